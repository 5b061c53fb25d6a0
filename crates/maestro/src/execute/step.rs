//! One step: a call with its retries, a wait, a check under guard, a pause.

use super::look::Looks;
use super::{Means, hooks};
use crate::ledger::Fence;
use maestro_core::boundary::{CallOutcome, CheckFailure, Engine, Progress};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::event::{Failure, News, StepOutcome};
use maestro_core::fleet::{ContainerState, Health, ObservedContainer};
use maestro_core::model::{Check, Phase};
use maestro_core::names::ShipName;
use maestro_core::plan::{Action, Condition, EngineCall, Plan, StepId, Target, Unit};
use maestro_core::retry::{Next, next, settled};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// How often a container is looked at while something is waited for.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often a guard looks, and how long checks pause between tries.
const SECOND: Duration = Duration::from_secs(1);

/// Performs one step of a plan.
pub(super) async fn perform(
    plan: Arc<Plan>,
    id: StepId,
    means: Means,
    looks: Arc<Looks>,
    news: mpsc::Sender<(StepId, News)>,
) -> StepOutcome {
    match attempt(&plan, id, &means, &looks, &news).await {
        Ok(outcome) => StepOutcome::Done(outcome),
        Err(failure) => StepOutcome::Failed(failure),
    }
}

async fn attempt(
    plan: &Plan,
    id: StepId,
    means: &Means,
    looks: &Looks,
    news: &mpsc::Sender<(StepId, News)>,
) -> Result<CallOutcome, Failure> {
    let internal = |what: &str| Failure::Internal(format!("step {}: {what}", id.0 + 1));
    let step = plan.step(id).ok_or_else(|| internal("not in the plan"))?;
    if let Action::Delay { pause, .. } = &step.action {
        sleep(*pause).await;
        return Ok(CallOutcome::Done);
    }
    if let Action::Local { hook, env } = &step.action {
        return hooks::local(means, hook, env).await;
    }
    let ship = plan.unit_of(id).and_then(Unit::ship).ok_or_else(|| internal("on no ship"))?;
    let engine = means.engines.get(ship).ok_or_else(|| internal("on an unknown ship"))?;
    match &step.action {
        Action::Call(call) => {
            let fence = means.fence.as_ref();
            Calling { id, ship, engine: &**engine, looks, news, fence }.call(call).await
        }
        Action::Await { target, condition: Condition::Steady, within, .. } => {
            stay(looks, ship, target, *within).await
        }
        Action::Await { target, condition, steady, within } => {
            sleep(*steady).await;
            reach(looks, ship, target, *condition, *steady, *within).await
        }
        Action::Check { target, phase, check, env, guard } => {
            let checking = async {
                match check {
                    Check::RemoteExec { command, attempts } => {
                        remote_exec(&**engine, target, command, *attempts).await
                    }
                    Check::Health { max_wait } => healthy(looks, ship, target, *max_wait).await,
                    Check::Tcp { .. } | Check::Http(_) | Check::Exec { .. } | Check::Sleep { .. } => {
                        Ok(means.probe.check(target.name(), check, env.as_deref()).await?)
                    }
                }
            };
            let before = restarts(looks, ship, target, *guard).await?;
            tokio::select! {
                biased;
                result = checking => result?,
                broken = keep(looks, ship, target, *guard) => return Err(broken),
            }
            if *phase != Phase::Running {
                return Ok(CallOutcome::Done);
            }
            // It may have ended since the guard last looked, and not every check would notice.
            if let Some(broken) = broken(looks, ship, target, *guard, Closely(true)).await {
                return Err(broken);
            }
            if restarts(looks, ship, target, *guard).await? != before {
                return Err(not_kept(looks, ship, target, *guard).await);
            }
            Ok(CallOutcome::Done)
        }
        Action::Route { balancers, change } => {
            let routes = means.routes.as_ref().ok_or_else(|| internal("without balancers"))?;
            let turn = routes.turn().await;
            pass(means, Duration::ZERO).await?;
            let changed = turn.change(balancers, change).await;
            if changed.is_err() {
                // That it may not go on comes before whatever else went wrong.
                pass(means, Duration::ZERO).await?;
            }
            changed.map_err(|error| Failure::Unbalanced(error.to_string())).map(|()| CallOutcome::Done)
        }
        Action::Provide { front_end } => {
            let routes = means.routes.as_ref().ok_or_else(|| internal("without balancers"))?;
            let turn = routes.turn().await;
            pass(means, Duration::ZERO).await?;
            let provided = turn.provide(front_end).await;
            if provided.is_err() {
                pass(means, Duration::ZERO).await?;
            }
            provided.map_err(|error| Failure::Unbalanced(error.to_string())).map(|()| CallOutcome::Done)
        }
        Action::Finish { target, hook, grace } => {
            hooks::finish(means, looks, (ship, &**engine), target, hook, *grace).await
        }
        Action::Delay { .. } | Action::Local { .. } | Action::Reached => Ok(CallOutcome::Done),
    }
}

/// Whether whoever carries the plan out may change something, in a call that gives a program so long for stopping.
pub(super) async fn pass(means: &Means, grace: Duration) -> Result<(), Failure> {
    if let Some(fence) = &means.fence {
        fence.pass_for(grace).await?;
    }
    Ok(())
}

/// What a call gives a program for stopping.
fn grace(call: &EngineCall) -> Duration {
    match call {
        EngineCall::StopContainer { grace, .. } => *grace,
        _ => Duration::ZERO,
    }
}

/// A call that changes a ship, with its retries.
struct Calling<'a> {
    id: StepId,
    ship: &'a ShipName,
    engine: &'a dyn Engine,
    looks: &'a Looks,
    news: &'a mpsc::Sender<(StepId, News)>,
    fence: Option<&'a Fence>,
}

impl Calling<'_> {
    async fn call(&self, call: &EngineCall) -> Result<CallOutcome, Failure> {
        // A full channel means that the reporter is behind; the next piece of news says more than this one.
        let progress = |progress: Progress| {
            self.news.try_send((self.id, News::Pull(progress))).ok();
        };
        let begun = Instant::now();
        let mut attempt = 0;
        // Whether it may have happened, by this try or by one before.
        let mut ambiguous = false;
        loop {
            attempt += 1;
            if let Some(fence) = self.fence
                && !call.only_adds()
            {
                fence.pass_for(grace(call)).await?;
            }
            let mut error = match self.engine.perform(call, &progress).await {
                Ok(outcome) => {
                    self.note(call, begun);
                    return Ok(outcome);
                }
                Err(error) => error,
            };
            ambiguous |= error.ambiguous;
            // A ship that is gone now cannot tell what became of the try before.
            error.ambiguous |= ambiguous && error.kind.is_about_ship();
            let next = next(call, &error, attempt);
            if ambiguous
                && let Some(container) = call.evidence()
                && let Ok(state) = self.looks.at(self.ship, container).await
                && let Some(outcome) = settled(call, &state)
            {
                self.note(call, begun);
                return Ok(outcome);
            }
            let Next::Retry { pause } = next else { return Err(error.into()) };
            let news = News::Retry { attempt, error, pause };
            // The reporter is gone only when the run is.
            self.news.send((self.id, news)).await.ok();
            sleep(pause).await;
        }
    }

    /// A container that took long to start is looked at more closely.
    fn note(&self, call: &EngineCall, begun: Instant) {
        if let EngineCall::StartContainer { target } = call {
            self.looks.started(self.ship, target.name(), begun.elapsed());
        }
    }
}

/// Waits until a container, which has been `given` time already, is in a state.
async fn reach(
    looks: &Looks,
    ship: &ShipName,
    target: &Target,
    condition: Condition,
    given: Duration,
    within: Duration,
) -> Result<CallOutcome, Failure> {
    let deadline = Instant::now() + within;
    loop {
        match looks.settled(ship, target, given).await {
            Ok(found) if condition.holds(found.as_ref()) => return Ok(CallOutcome::Done),
            // It was started, so it has ended, and nobody starts it again.
            Ok(Some(found)) if condition == Condition::Running && has_ended(&found) => {
                return Err(not_kept(looks, ship, target, condition).await);
            }
            Ok(_) => {}
            Err(error) if error.kind.is_transient() && Instant::now() < deadline => {}
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= deadline {
            let found = looks.detail(ship, target).await?;
            return Err(Failure::NotReached {
                container: target.name().to_string(),
                condition,
                within,
                found: describe(found.as_ref()),
            });
        }
        sleep(LOOK_AGAIN.min(deadline - Instant::now())).await;
    }
}

/// Looks whether a container runs and has not been started again by its engine; if it has been, whether that happens
/// another time.
async fn stay(
    looks: &Looks,
    ship: &ShipName,
    target: &Target,
    within: Duration,
) -> Result<CallOutcome, Failure> {
    let condition = Condition::Steady;
    let deadline = Instant::now() + within;
    let mut before = None;
    loop {
        let is_over = Instant::now() >= deadline;
        match looks.detail(ship, target).await {
            Ok(Some(found)) if condition.holds(Some(&found)) => {
                let count = found.restarts.unwrap_or_default();
                if *before.get_or_insert(count) != count {
                    return Err(not_kept(looks, ship, target, condition).await);
                }
                if count == 0 || is_over {
                    return Ok(CallOutcome::Done);
                }
            }
            Ok(Some(found)) if found.state == ContainerState::Restarting && before.is_none() && !is_over => {}
            Ok(_) => return Err(not_kept(looks, ship, target, condition).await),
            Err(error) if error.kind.is_transient() && !is_over => {}
            Err(error) => return Err(error.into()),
        }
        sleep(LOOK_AGAIN.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}

/// How often its engine has started a container again, where that matters.
async fn restarts(
    looks: &Looks,
    ship: &ShipName,
    target: &Target,
    guard: Condition,
) -> Result<Option<u64>, Failure> {
    if guard != Condition::Steady {
        return Ok(None);
    }
    Ok(looks.detail(ship, target).await?.and_then(|found| found.restarts))
}

/// Ends when a container is no longer as it should be.
async fn keep(looks: &Looks, ship: &ShipName, target: &Target, condition: Condition) -> Failure {
    loop {
        sleep(SECOND).await;
        if let Some(broken) = broken(looks, ship, target, condition, Closely(false)).await {
            return broken;
        }
    }
}

/// Whether to ask for the container itself, rather than for a list, which is cheaper and may be out of date.
struct Closely(bool);

/// How a container is not as it should be, at two looks in a row.
async fn broken(
    looks: &Looks,
    ship: &ShipName,
    target: &Target,
    condition: Condition,
    Closely(closely): Closely,
) -> Option<Failure> {
    for again in [true, false] {
        let found = if closely {
            looks.detail(ship, target).await
        } else {
            looks.at(ship, target.name()).await.map(|state| target.among(&state).cloned())
        };
        match found {
            Ok(found) if condition.holds(found.as_ref()) => return None,
            Ok(_) if again => sleep(LOOK_AGAIN).await,
            Ok(_) => return Some(not_kept(looks, ship, target, condition).await),
            // Who hangs has had a whole deadline already.
            Err(error) if again && !matches!(error.kind, EngineErrorKind::Unresponsive { .. }) => {
                sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Some(Failure::Engine(error)),
        }
    }
    None
}

async fn not_kept(looks: &Looks, ship: &ShipName, target: &Target, condition: Condition) -> Failure {
    let found = looks.detail(ship, target).await.ok().flatten();
    Failure::NotKept { container: target.name().to_string(), condition, found: describe(found.as_ref()) }
}

pub(super) fn has_ended(container: &ObservedContainer) -> bool {
    matches!(container.state, ContainerState::Exited | ContainerState::Dead)
}

pub(super) fn describe(found: Option<&ObservedContainer>) -> String {
    match found {
        None => "gone".to_owned(),
        Some(ObservedContainer { state, exit_code: Some(code), .. }) if !state.is_running() => {
            format!("{} with code {code}", state.name())
        }
        Some(ObservedContainer { state, restarts: Some(count @ 1..), .. }) => {
            format!("{}, and has been started again {count} times by its engine", state.name())
        }
        Some(container) => container.state.name().to_owned(),
    }
}

/// Runs a program in the container until it succeeds.
async fn remote_exec(
    engine: &dyn Engine,
    target: &Target,
    command: &[String],
    attempts: u32,
) -> Result<(), Failure> {
    let mut last = String::new();
    for attempt in 1..=attempts {
        match engine.run_in(target, command).await {
            Ok(0) => return Ok(()),
            Ok(code) => last = format!("exit code {code}"),
            Err(error) if error.kind.is_about_ship() => return Err(error.into()),
            Err(EngineError { kind: kind @ EngineErrorKind::NotFound(_), .. }) => last = kind.to_string(),
            Err(error) => last = error.kind.to_string(),
        }
        if attempt < attempts {
            sleep(SECOND).await;
        }
    }
    Err(CheckFailure { check: format!("rexec {}", command.join(" ")), attempts, last }.into())
}

/// Waits until the container's own HEALTHCHECK says `healthy`.
async fn healthy(looks: &Looks, ship: &ShipName, target: &Target, max_wait: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + max_wait;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let found = match looks.detail(ship, target).await {
            Ok(found) => found,
            Err(error) if error.kind.is_transient() && Instant::now() < deadline => {
                sleep(LOOK_AGAIN).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let last = match found.as_ref().and_then(|c| c.health) {
            Some(Health::Healthy) => return Ok(()),
            Some(Health::Starting) if Instant::now() < deadline => {
                sleep(LOOK_AGAIN).await;
                continue;
            }
            Some(Health::Starting) => format!("still starting after {} s", max_wait.as_secs_f64()),
            Some(Health::Unhealthy) => "the container is unhealthy".to_owned(),
            Some(Health::None) | None => "the image has no HEALTHCHECK".to_owned(),
        };
        return Err(CheckFailure { check: "health".to_owned(), attempts, last }.into());
    }
}
