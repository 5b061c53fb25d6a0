//! The steps by which one container takes the place of another.

use super::Way;
use super::restarts;
use super::standing::{Standing, Wanted, aside_name, is_kept, kept, kept_name, next_name};
use crate::fleet::{ContainerState, EngineState, ObservedContainer, Ownership};
use crate::model::{Check, Instance, Phase, Picked};
use crate::names::{ContainerId, InstanceName};
use crate::plan::{Action, Condition, EngineCall, OnFailure, Reason, Target};
use crate::planner::builder::Builder;
use crate::planner::{Chain, start, stop};
use std::time::Duration;

/// So many containers that were replaced are kept of an instance. More than one: the last one may have been no good.
const KEPT: usize = 3;

/// An engine that starts a container again takes that for a success when it has run for so long
/// (<https://docs.docker.com/engine/containers/start-containers-automatically/>).
const STEADY: Duration = Duration::from_secs(10);

/// What is left to be done when the container that is to be has been proved, and bears a name of its own.
pub(in crate::planner) struct Switch<'a> {
    instance: &'a Instance,
    state: &'a EngineState,
    /// The container that bears the instance's name.
    current: Option<&'a ObservedContainer>,
    /// The one that takes its place.
    next: Target,
    /// Whether it bears the instance's name already.
    is_named: bool,
    left: Vec<Left<'a>>,
    /// What comes back, if it was kept.
    back: Option<&'a ContainerId>,
    because: Reason,
    /// How it is to run while it is proved.
    condition: Condition,
}

/// A container that was to take the place of another, and is not what is to be.
struct Left<'a> {
    container: &'a ObservedContainer,
    target: Target,
    is_stopped: bool,
}

fn seen(container: &ObservedContainer) -> Target {
    named(container, &InstanceName::from(&*container.name))
}

fn named(container: &ObservedContainer, name: &InstanceName) -> Target {
    Target::Seen { id: container.id.clone(), name: name.clone() }
}

/// Brings the container that is to be up, and proves it.
pub(super) fn bring_up<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    state: &'a EngineState,
    (standing, ports): (Standing<'a>, Picked),
    (way, because): (Way, Reason),
) -> Switch<'a> {
    let runs = standing.runs_already();
    let condition = condition(&standing);
    let Standing { mut spec, hash, current, wanted, left, ask_again, .. } = standing;
    let is_current = matches!(wanted, Wanted::Current(_));
    // Whether it has the instance's name before it is started. If not, the name says that it has not been proved.
    let is_named_first = match wanted {
        Wanted::Current(_) => true,
        Wanted::Next(_) => way == Way::StopFirst,
        Wanted::Kept(_) | Wanted::New => way != Way::Beside,
    };
    let name = if is_named_first { instance.name.clone() } else { next_name(&instance.name, &hash) };
    let mut left: Vec<Left<'a>> = left
        .into_iter()
        .map(|container| Left {
            container,
            target: seen(container),
            is_stopped: !container.state.is_running(),
        })
        .collect();
    if way == Way::StopFirst {
        for one in left.iter_mut().filter(|one| !one.is_stopped) {
            builder.drain(chain, instance, one.target.name());
            stop::steps(builder, chain, instance, one.container, stop::Purpose::Discard);
            one.is_stopped = true;
        }
    }
    if is_named_first && !is_current {
        if current.is_some_and(|current| current.state.is_running()) {
            builder.drain(chain, instance, &instance.name);
            builder.leave(chain, instance);
        }
        make_way(builder, chain, instance, state, current);
    }
    // What is not to be may have the name, and may be all that serves.
    if let Some(one) = left.iter_mut().find(|one| *one.target.name() == name) {
        let to = aside_name(&instance.name, one.container);
        let call = EngineCall::RenameContainer { target: one.target.clone(), to: to.clone() };
        builder.call(chain, call, OnFailure::Fail);
        one.target = named(one.container, &to);
    }
    if let Wanted::New = wanted {
        builder.know(instance, &Target::Made(name.clone()), ports.clone());
    }
    let watched = match wanted {
        Wanted::Next(next) if !is_named_first => seen(next),
        _ => Target::Made(name.clone()),
    };
    if let Wanted::Current(container) | Wanted::Next(container) = wanted
        && container.state == ContainerState::Paused
    {
        // Nobody knows why it was frozen, nor what it missed meanwhile: it begins anew.
        stop::steps(builder, chain, instance, container, stop::Purpose::Thaw);
    }
    if !is_current && !runs {
        builder.checks(chain, instance, Phase::PreStart, &watched, Condition::NotRunning, OnFailure::Fail);
    }
    let (call, target) = match wanted {
        Wanted::Current(container) => (None, seen(container)),
        Wanted::Next(container) | Wanted::Kept(container) => {
            let target = seen(container);
            let is_named = *target.name() == name;
            let call = EngineCall::RenameContainer { target, to: name.clone() };
            ((!is_named).then_some(call), named(container, &name))
        }
        Wanted::New => {
            spec.name = name.clone();
            spec.publish(instance, &ports);
            (Some(EngineCall::CreateContainer { spec: Box::new(spec), hash }), Target::Made(name.clone()))
        }
    };
    if let Some(call) = call {
        builder.call(chain, call, OnFailure::Fail);
    }
    if let Wanted::Current(container) | Wanted::Next(container) | Wanted::Kept(container) = wanted {
        restarts::wake(builder, chain, (container, &target), instance);
    }
    if !runs {
        builder.provide(chain, instance);
        builder.call(chain, EngineCall::StartContainer { target: target.clone() }, OnFailure::Fail);
        // From now on it takes requests, whatever is thought of it later.
        builder.join(chain, instance);
    }
    let is_proved = because == Reason::LeftBeside && !ask_again && left.iter().all(|one| one.is_stopped);
    if !is_proved {
        start::prove(builder, chain, instance, &target);
        if condition == Condition::Steady {
            let target = target.clone();
            let wait = Action::Await { target, condition, steady: Duration::ZERO, within: STEADY };
            builder.push(chain, wait, OnFailure::Fail);
        }
    }
    let bake = builder.deploy_of(instance).bake;
    if because != Reason::LeftBeside && !bake.is_zero() {
        stay_well(builder, chain, instance, (&target, condition), bake);
    }
    let back = match wanted {
        Wanted::Kept(container) | Wanted::Next(container) => Some(&container.id),
        Wanted::Current(_) | Wanted::New => None,
    };
    // Also where it ran before: whoever drained it may have been broken off. Who gets requests already is left alone.
    if is_named_first {
        builder.admit(chain, instance, &target, None);
    }
    Switch {
        instance,
        state,
        current,
        next: target,
        is_named: is_named_first,
        left,
        back,
        because,
        condition,
    }
}

/// How a container is to run when it has been proved. What is as the file says, and is started again and again since before
/// anybody deployed, is told of, and judged by its checks alone.
fn condition(standing: &Standing<'_>) -> Condition {
    match standing.wanted {
        Wanted::Current(current) if current.state == ContainerState::Restarting && !standing.ask_again => {
            Condition::Running
        }
        Wanted::Current(_) | Wanted::Next(_) | Wanted::Kept(_) | Wanted::New => Condition::Steady,
    }
}

impl<'a> Switch<'a> {
    /// Whether the one that is to be has been proved under another name than the instance's.
    pub(super) fn is_beside(&self) -> bool {
        !self.is_named
    }

    pub(super) fn instance(&self) -> &'a Instance {
        self.instance
    }
}

/// From the old one to the new one, which has been proved: the old one stops and is kept, the new one gets its name.
pub(super) fn hand_over<'a>(builder: &mut Builder<'a>, chain: &mut Chain, switch: Switch<'a>) {
    let Switch { instance, state, current, mut next, is_named, left, back, because, condition } = switch;
    if !is_named {
        // One of them serves at any time: the new one is let in, and the old one is drained.
        let serves = current.filter(|current| current.state.is_running()).map(|_| &instance.name);
        builder.admit(chain, instance, &next, serves);
        make_way(builder, chain, instance, state, current);
        let call = EngineCall::RenameContainer { target: next.clone(), to: instance.name.clone() };
        builder.call(chain, call, OnFailure::Fail);
        let picked = builder.picked(instance, &next).cloned().unwrap_or_default();
        let before = next.name().clone();
        next = match next {
            Target::Seen { id, .. } => Target::Seen { id, name: instance.name.clone() },
            Target::Made(_) => Target::Made(instance.name.clone()),
        };
        builder.know(instance, &next, picked);
        builder.renamed(chain, instance, &before, &next);
    }
    for Left { container, target, is_stopped } in left {
        if !is_stopped {
            // It may have served: whoever left it was on the way to it.
            builder.drain(chain, instance, &InstanceName::from(&*container.name));
            let container = ObservedContainer { name: target.name().as_str().into(), ..container.clone() };
            stop::steps(builder, chain, instance, &container, stop::Purpose::Discard);
        }
        if is_kept(container, &instance.name) {
            restarts::rest(builder, chain, (container, &target), None);
        } else {
            builder.call(chain, EngineCall::RemoveContainer { target }, OnFailure::Fail);
        }
    }
    if let Reason::Differs(_) = because {
        forget(builder, chain, instance, state, back);
    }
    let pause = builder.turn.pause;
    if !pause.is_zero() {
        stay_well(builder, chain, instance, (&next, condition), pause);
    }
}

/// Takes the container away that bears the instance's name. It is kept: the way back.
fn make_way<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    state: &EngineState,
    current: Option<&ObservedContainer>,
) {
    let Some(current) = current else { return };
    if current.state.is_running() {
        let is_frozen = current.state == ContainerState::Paused;
        let purpose = if is_frozen { stop::Purpose::Thaw } else { stop::Purpose::Replace };
        stop::steps(builder, chain, instance, current, purpose);
    }
    let target = seen(current);
    restarts::rest(builder, chain, (current, &target), Some(&instance.settings.restart));
    let number = kept(state, &instance.name).map(|(number, _)| number).max().unwrap_or(0).saturating_add(1);
    let to = kept_name(&instance.name, number, current);
    builder.call(chain, EngineCall::RenameContainer { target, to }, OnFailure::Fail);
}

/// Removes what was kept longest, but for the last few. Last of all, so that nothing is gone that a failure might call
/// for.
fn forget<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    state: &EngineState,
    back: Option<&ContainerId>,
) {
    let mut older: Vec<_> = kept(state, &instance.name)
        .filter(|(_, container)| !container.state.is_running() && back != Some(&container.id))
        .filter(|(_, c)| !matches!(c.ownership(builder.environment), Ownership::Foreign(_)))
        .collect();
    // The one that has just made way is the newest.
    let most = KEPT - 1;
    older.sort_by_key(|(number, _)| *number);
    let superfluous = older.len().saturating_sub(most);
    for (_, container) in older.into_iter().take(superfluous) {
        builder.call(chain, EngineCall::RemoveContainer { target: seen(container) }, OnFailure::GoOn);
    }
}

/// A container has to go on running for so long, and then to pass its checks again.
fn stay_well<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    (target, condition): (&Target, Condition),
    wait: Duration,
) {
    let waiting = builder.checking(instance, Phase::Running, target, Check::Sleep { wait }, condition);
    builder.push(chain, waiting, OnFailure::Fail);
    builder.checks_again(chain, instance, target);
}
