//! maestro-ng's wording (specification, section 6.6): which step says what.

use super::row::Piece;
use crate::report::clean;
use crate::report::paint::Tone;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::event::News;
use maestro_core::fleet::Health;
use maestro_core::model::{Check, Phase};
use maestro_core::plan::{Action, Condition, DelayReason, EngineCall, HookTask, Intent, Target};
use std::time::Duration;

/// Which part of a command a step belongs to; a restart has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Stopping,
    Starting,
    Neither,
}

pub(super) fn half(intent: &Intent, action: &Action) -> Half {
    if !matches!(intent, Intent::Stop | Intent::Kill | Intent::Restart(_) | Intent::Deploy { .. }) {
        return Half::Neither;
    }
    match action {
        Action::Call(call) => match call {
            EngineCall::StopContainer { .. } | EngineCall::KillContainer { .. } => Half::Stopping,
            EngineCall::RemoveContainer { .. }
            | EngineCall::RenameContainer { .. }
            | EngineCall::SetRestart { .. }
            | EngineCall::CreateContainer { .. }
            | EngineCall::StartContainer { .. } => Half::Starting,
            EngineCall::Login { .. } | EngineCall::PullImage { .. } | EngineCall::RemoveImage { .. } => {
                Half::Neither
            }
        },
        Action::Await { condition: Condition::NotRunning, .. } => Half::Stopping,
        Action::Await { condition: Condition::Running | Condition::Steady, .. } => Half::Starting,
        Action::Check { phase: Phase::PreStop | Phase::Stopped, .. } => Half::Stopping,
        Action::Check { phase: Phase::PreStart | Phase::Running, .. } => Half::Starting,
        Action::Delay { why: DelayReason::StopStart, .. } => Half::Starting,
        Action::Route { change, .. } if change.admit.is_empty() => Half::Stopping,
        Action::Route { .. } | Action::Provide { .. } => Half::Starting,
        Action::Delay { why: DelayReason::Step, .. }
        | Action::Finish { .. }
        | Action::Local { .. }
        | Action::Reached => Half::Neither,
    }
}

/// Stop and kill number their rows N to 1.
pub(in crate::report) fn counts_down(intent: &Intent) -> bool {
    matches!(intent, Intent::Stop | Intent::Kill)
}

/// Whether the container is there to be shown when this step begins.
pub(super) fn shows_container(action: &Action) -> bool {
    matches!(action, Action::Call(EngineCall::StartContainer { .. }))
}

/// What a step says while it is under way; `id` is the short id of the container that is there.
pub(super) fn pending(intent: &Intent, action: &Action, id: Option<&str>) -> Option<String> {
    let id = id.unwrap_or("-");
    let stopping =
        if matches!(intent, Intent::Kill) { "killing the service..." } else { "stopping service..." };
    let text = match action {
        Action::Call(EngineCall::Login { auth, .. }) => format!("logging in to {}...", clean(&auth.url)),
        Action::Call(EngineCall::RemoveImage { image }) => {
            format!("removing image {}...", clean(image.short()))
        }
        Action::Call(EngineCall::PullImage { image, .. }) => {
            format!("pulling image {}...", clean(image.short()))
        }
        Action::Call(EngineCall::CreateContainer { spec, .. }) => {
            format!("creating container from {}...", clean(spec.image.short()))
        }
        Action::Call(EngineCall::StartContainer { .. }) => format!("starting container {id}..."),
        Action::Call(EngineCall::StopContainer { .. } | EngineCall::KillContainer { .. }) => stopping.into(),
        Action::Call(EngineCall::RenameContainer { target, .. }) => {
            format!("renaming container {}...", short(target).unwrap_or(id))
        }
        Action::Call(EngineCall::SetRestart { target, .. }) => {
            format!("updating container {}...", short(target).unwrap_or(id))
        }
        Action::Call(EngineCall::RemoveContainer { target }) => {
            format!("removing container {}...", short(target).unwrap_or(id))
        }
        Action::Await { condition: Condition::Running, .. } => "waiting for initialization...".into(),
        Action::Await { condition: Condition::NotRunning, .. } => stopping.into(),
        Action::Check { phase, .. } => match phase {
            Phase::PreStart => "checking service...".into(),
            Phase::Running => "waiting for service...".into(),
            Phase::PreStop | Phase::Stopped => stopping.into(),
        },
        Action::Delay { pause, why: DelayReason::Step } => {
            format!("waiting {}s before restart...", pause.as_secs_f64())
        }
        Action::Delay { pause, why: DelayReason::StopStart } => {
            format!("waiting {}s before starting...", pause.as_secs_f64())
        }
        Action::Route { change, .. } if change.admit.is_empty() => "draining...".into(),
        Action::Route { .. } => "waiting for balancers...".into(),
        Action::Provide { .. } => "configuring...".into(),
        Action::Finish { hook, .. } | Action::Local { hook, .. } => hook_text(hook),
        // That is one look, nearly always.
        Action::Await { condition: Condition::Steady, .. } | Action::Reached => return None,
    };
    Some(text)
}

/// What is said of a hook while it is run.
fn hook_text(hook: &HookTask) -> String {
    let program = hook.command.first().map(String::as_str).unwrap_or_default();
    format!("running {}...", clean(program))
}

/// What a step of a hook says while it is under way, if it is more than a preparation.
pub(super) fn pending_hook(action: &Action) -> Option<String> {
    match action {
        Action::Finish { hook, .. } | Action::Local { hook, .. } => Some(hook_text(hook)),
        _ => None,
    }
}

/// The short id of a container that was seen.
fn short(target: &Target) -> Option<&str> {
    match target {
        Target::Seen { id, .. } => Some(id.short()),
        Target::Made(_) => None,
    }
}

/// What exactly a step waits for, where maestro-ng's wording does not tell.
pub(super) fn detail(action: &Action) -> Option<String> {
    let Action::Check { check, phase, .. } = action else { return None };
    let what = match check {
        Check::Tcp { host, port, .. } => format!("tcp {host}:{port}"),
        Check::Http(http) => format!("{}://{}:{}{}", http.scheme, http.host, http.port, http.path),
        Check::Exec { command, .. } => format!("exec {}", command.join(" ")),
        Check::RemoteExec { command, .. } => format!("rexec {}", command.join(" ")),
        Check::Sleep { wait } => format!("sleep {}s", wait.as_secs_f64()),
        Check::Health { .. } => "health".to_owned(),
    };
    let what = clean(&what);
    Some(match phase {
        Phase::Running => what.into_owned(),
        Phase::PreStart | Phase::PreStop | Phase::Stopped => format!("{}: {what}", phase.key()),
    })
}

/// What a step says when there is news of it.
pub(super) fn progress(action: &Action, news: &News, percent: Option<f32>) -> Option<Piece> {
    let what = match action {
        Action::Call(EngineCall::PullImage { image, .. }) => {
            format!("pulling image {}", clean(image.short()))
        }
        Action::Call(EngineCall::Login { auth, .. }) => format!("logging in to {}", clean(&auth.url)),
        _ => String::new(),
    };
    match self::news(news) {
        text if matches!(news, News::Retry { .. }) => Some(Piece::new(Tone::Bad, format!("{what}{text}"))),
        _ => percent.map(|p| Piece::new(Tone::Plain, format!("{what}... {p:.1}%"))),
    }
}

/// The text of news itself.
pub(super) fn news(news: &News) -> String {
    match news {
        News::Pull(progress) => format!("... {:.1}%", progress.percent),
        News::Retry { error, pause, .. } => {
            format!("... got {}; retrying in {}", code(&error.kind), seconds(*pause))
        }
    }
}

/// The shortest name for what went wrong with a call: the HTTP status where there is one.
fn code(kind: &EngineErrorKind) -> String {
    match kind {
        EngineErrorKind::Registry { status: Some(status), .. }
        | EngineErrorKind::Registry { answered: Some(status), .. }
        | EngineErrorKind::Api { status, .. } => status.to_string(),
        EngineErrorKind::Registry { .. } => "no answer from the registry".into(),
        EngineErrorKind::Unreachable { .. } => "no connection".into(),
        EngineErrorKind::Unresponsive { .. } => "no answer".into(),
        EngineErrorKind::Lost(_) => "connection lost".into(),
        other => clean(&other.to_string()).into_owned(),
    }
}

fn seconds(pause: Duration) -> String {
    // Tenths, for pauses below a second that back-off begins with.
    let tenths = (pause.as_secs_f64() * 10.0).round() / 10.0;
    format!("{tenths}s")
}

/// What maestro-ng says before `failed!` when this step fails.
pub(super) fn failure_of(intent: &Intent, action: &Action) -> Option<&'static str> {
    match action {
        Action::Check { phase: Phase::Running, .. } | Action::Await { condition: Condition::Steady, .. } => {
            Some("container did not start!")
        }
        Action::Finish { .. } | Action::Local { .. } => Some("hook"),
        Action::Check { phase: Phase::PreStart, .. }
        | Action::Await { condition: Condition::Running, .. }
        | Action::Call(EngineCall::CreateContainer { .. } | EngineCall::StartContainer { .. }) => {
            Some("error starting container!")
        }
        // Part of a start; what a restart or a `pull` fetches, it fetches before.
        Action::Call(
            EngineCall::Login { .. } | EngineCall::PullImage { .. } | EngineCall::RemoveContainer { .. },
        ) if matches!(intent, Intent::Start { .. }) => Some("error starting container!"),
        _ => None,
    }
}

/// What maestro-ng says of a container that was not stopped or not shown to have stopped, if a check is the reason.
pub(super) fn tolerated(intent: &Intent, action: &Action) -> Option<&'static str> {
    match (action, intent) {
        (Action::Check { phase: Phase::PreStop, .. }, _) => Some("failed pre-stop lifecycle checks"),
        (Action::Check { phase: Phase::Stopped, .. }, Intent::Kill) => Some("failed killed lifecycle checks"),
        (Action::Check { phase: Phase::Stopped, .. }, _) => Some("failed stopped lifecycle checks"),
        _ => None,
    }
}

/// What a HEALTHCHECK says, appended to a state; nothing where all is well.
pub(in crate::report) fn health(health: Option<Health>) -> &'static str {
    match health {
        Some(Health::Unhealthy) => " (unhealthy)",
        Some(Health::Starting) => " (health: starting)",
        Some(Health::Healthy | Health::None) | None => "",
    }
}
