//! Making and starting a container (specification, section 6.5, start).

use super::builder::Builder;
use super::{Chain, has_image};
use crate::fleet::ObservedContainer;
use crate::model::{Instance, Phase, Picked};
use crate::plan::{Action, Blocked, Condition, EngineCall, Fate, OnFailure, Target};
use std::time::Duration;

/// How long a started container may take to run: maestro-ng looks eleven times, half a second apart.
pub(super) const SETTLE: Duration = Duration::from_secs(5);

/// How long a started container has to fail at once before it is looked at; the look takes its time too, to be shared.
const STEADY: Duration = Duration::from_millis(50);

/// Whoever cannot be started is neither made, nor stopped to be made anew.
pub(super) fn excess<'a>(
    builder: &mut Builder<'a>,
    instance: &'a Instance,
    container: Option<&ObservedContainer>,
    reuse: bool,
) -> Option<Fate> {
    let reused = reuse && container.is_some();
    let excess = if reused { None } else { builder.excess(instance) };
    excess.map(|excess| Fate::Blocked(Blocked::Variables(excess)))
}

/// The image has to be there before the container is stopped or removed. Comes first in every chain, so that
/// nothing in the chain waits for another unit once its first step has begun.
pub(super) fn image<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    container: Option<&ObservedContainer>,
    refresh: bool,
    reuse: bool,
) {
    let reused = reuse && container.is_some();
    if !reused && (refresh || !has_image(builder.fleet, &instance.ship, &instance.image)) {
        let pull = builder.pull(instance);
        chain.last.push(pull);
        chain.steps.push(pull);
    }
}

/// The ports that a container gets which is made now; none if the one that is there is started as it is.
pub(super) fn ports<'a>(
    builder: &mut Builder<'a>,
    instance: &'a Instance,
    container: Option<&ObservedContainer>,
    reuse: bool,
) -> Result<Option<Picked>, Blocked> {
    if reuse && container.is_some() { Ok(None) } else { builder.pick(instance, false).map(Some) }
}

/// From a container that does not run to one that runs and passes its checks: one that is made and has these ports, or
/// the one that is there.
pub(super) fn steps<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    container: Option<&ObservedContainer>,
    ports: Option<Picked>,
) {
    let name = &instance.name;
    let old = container.map(|c| Target::Seen { id: c.id.clone(), name: name.clone() });
    let watched = old.clone().unwrap_or_else(|| Target::Made(name.clone()));
    builder.checks(chain, instance, Phase::PreStart, &watched, Condition::NotRunning, OnFailure::Fail);
    let target = match (old, ports) {
        (Some(old), None) => old,
        (old, ports) => {
            if let Some(old) = old {
                builder.call(chain, EngineCall::RemoveContainer { target: old }, OnFailure::Fail);
            }
            let (mut spec, hash) = builder.spec(instance);
            let made = Target::Made(name.clone());
            if let Some(ports) = ports {
                spec.publish(instance, &ports);
                builder.know(instance, &made, ports);
            }
            builder.call(chain, EngineCall::CreateContainer { spec: Box::new(spec), hash }, OnFailure::Fail);
            made
        }
    };
    builder.call(chain, EngineCall::StartContainer { target: target.clone() }, OnFailure::Fail);
    prove(builder, chain, instance, &target);
}

/// A container that was started has to run and to pass its checks.
pub(super) fn prove<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    target: &Target,
) {
    let wait = Action::Await {
        target: target.clone(),
        condition: Condition::Running,
        steady: STEADY,
        within: SETTLE,
    };
    builder.push(chain, wait, OnFailure::Fail);
    builder.checks(chain, instance, Phase::Running, target, Condition::Running, OnFailure::Fail);
}
