//! Hooks: programs that are run once, to their end.

use super::Means;
use super::look::Looks;
use super::step::{LOOK_AGAIN, describe, has_ended, pass};
use maestro_core::boundary::{CallOutcome, Engine, LedgerError};
use maestro_core::compare::shown_command;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::event::Failure;
use maestro_core::model::ContainerEnv;
use maestro_core::names::ShipName;
use maestro_core::plan::{EngineCall, HookTask, Target};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Runs a program on this machine, for no longer than something may be changed.
pub(super) async fn local(
    means: &Means,
    hook: &HookTask,
    env: &ContainerEnv,
) -> Result<CallOutcome, Failure> {
    pass(means, Duration::ZERO).await?;
    let ended = tokio::select! {
        // What has ended has ended, whoever has the lease by now.
        biased;
        ended = means.probe.run(&hook.command, env, hook.within) => ended,
        // Whoever comes next may run it, too.
        lost = lost(means) => Err(format!("it was killed: {lost}")),
    };
    ended.map_err(|because| failed(hook, &because))?;
    note(means, hook).await
}

/// Ends when nothing may be changed any more.
async fn lost(means: &Means) -> LedgerError {
    let Some(fence) = &means.fence else { return std::future::pending().await };
    loop {
        sleep(LOOK_AGAIN).await;
        if let Err(lost) = fence.pass().await {
            return lost;
        }
    }
}

/// Waits until the program of a one-off container has ended with 0; stops it when its time is over.
pub(super) async fn finish(
    means: &Means,
    looks: &Looks,
    (ship, engine): (&ShipName, &dyn Engine),
    target: &Target,
    hook: &HookTask,
    grace: Duration,
) -> Result<CallOutcome, Failure> {
    let deadline = Instant::now() + hook.within;
    let container = loop {
        let container = match looks.detail(ship, target).await {
            Ok(Some(found)) if has_ended(&found) && found.exit_code == Some(0) => {
                return note(means, hook).await;
            }
            Ok(Some(found)) if has_ended(&found) => {
                return Err(failed(hook, &describe(Some(&found))));
            }
            Ok(None) => return Err(failed(hook, "its container is gone")),
            Ok(Some(found)) => Some(found.id),
            Err(error) if is_passing(&error.kind) && Instant::now() < deadline => None,
            Err(error) => return Err(error.into()),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(container) = container.filter(|_| left.is_zero()) {
            break container;
        }
        sleep(LOOK_AGAIN.min(left)).await;
    };
    let late = format!("it did not end within {} s", hook.within.as_secs_f64());
    if let Some(remember) = &means.remember {
        // Before it is stopped: whoever goes on would take a good end for one that was in time.
        let noted = remember.is_late(&hook.name, &container).await;
        noted.map_err(|error| {
            failed(hook, &format!("{late}, and runs on, for that cannot be written down: {error}"))
        })?;
    }
    pass(means, grace).await?;
    let call = EngineCall::StopContainer { target: target.clone(), grace };
    let stopped = engine.perform(&call, &|_| ()).await;
    Err(failed(
        hook,
        &match stopped {
            Ok(_) => format!("{late}, and was stopped"),
            Err(error) => format!("{late}, and could not be stopped: {error}"),
        },
    ))
}

/// Whether the engine may answer later: a program that runs does not need it meanwhile.
fn is_passing(error: &EngineErrorKind) -> bool {
    error.is_transient() || error.is_about_ship()
}

fn failed(hook: &HookTask, because: &str) -> Failure {
    Failure::Hook {
        hook: hook.name.to_string(),
        command: shown_command(&hook.command),
        because: because.to_owned(),
    }
}

/// Before anything else is done, so that nobody runs it again.
async fn note(means: &Means, hook: &HookTask) -> Result<CallOutcome, Failure> {
    if let Some(remember) = &means.remember {
        let noted = remember.ran(&hook.name).await;
        // Whatever has become of the lease: it is not as if nothing had been done.
        noted.map_err(|error| {
            failed(hook, &format!("it has been run, which cannot be written down: {error}"))
        })?;
    }
    Ok(CallOutcome::Done)
}
