//! From what is there to what a release says (`docs/design/0018`). Looks at the fleet alone: where an earlier run was
//! broken off, this one goes on.

use super::builder::{Builder, Turn};
use super::{Chain, start, stop};
use crate::compare::changes;
use crate::fleet::{ContainerState, EngineState, FleetSnapshot, ObservedContainer, Ownership, ShipView};
use crate::model::{Check, ContainerSpec, Instance, Phase, Remedy};
use crate::names::{ConfigHash, ContainerId, InstanceName};
use crate::plan::{
    Blocked, Condition, EngineCall, FailurePolicy, Fate, Intent, OnFailure, Reason, Settled, Target,
};
use std::ops::Bound;
use std::sync::Arc;

/// How much of an id is in a name: as much as engines show.
const SHORT: usize = 12;

/// So many containers that were replaced are kept of an instance. More than one: the last one may have been no good.
const KEPT: usize = 3;

/// What is there for an instance, compared with what is to be.
struct Standing<'s> {
    spec: ContainerSpec,
    hash: ConfigHash,
    /// The container that bears its name.
    current: Option<&'s ObservedContainer>,
    /// One that was replaced once, and is what is to be now.
    kept: Option<&'s ObservedContainer>,
    /// Why something has to be done; none if nothing.
    because: Option<Reason>,
}

impl Standing<'_> {
    /// Whether a container has to be made.
    fn wants_new(&self) -> bool {
        matches!(self.because, Some(Reason::Missing | Reason::Differs(_))) && self.kept.is_none()
    }
}

fn standing<'s, 'i>(
    builder: &mut Builder<'i>,
    instance: &'i Instance,
    state: &'s EngineState,
    ask_again: bool,
) -> Standing<'s> {
    let (spec, hash) = builder.spec(instance);
    let wanted = state.image(&instance.image).map(|image| &image.id);
    let is_it = |container: &ObservedContainer| {
        container.config_hash().as_ref() == Some(&hash) && wanted == Some(&container.image_id)
    };
    let current = state.containers.get(instance.name.as_str());
    let because = match current {
        None => Some(Reason::Missing),
        Some(current) => match changes(&spec, current, state) {
            Some(changes) if !changes.is_empty() => Some(Reason::Differs(changes.into())),
            None if !is_it(current) => Some(Reason::Differs(Arc::default())),
            Some(_) | None if !current.state.is_running() => Some(Reason::Stopped),
            Some(_) | None if ask_again || current.state == ContainerState::Restarting => {
                Some(Reason::Unproven)
            }
            Some(_) | None => None,
        },
    };
    let replaced = matches!(because, Some(Reason::Missing | Reason::Differs(_)));
    let found = kept(state, &instance.name).filter(|_| replaced).find(|(_, container)| {
        !container.state.is_running()
            && is_it(container)
            && container.ownership(builder.environment) == Ownership::Ours
    });
    let kept = found.map(|(_, container)| container);
    Standing { spec, hash, current, kept, because }
}

/// Decides what is to be done to an instance on a ship that was seen.
pub(super) fn fate<'a>(
    builder: &mut Builder<'a>,
    instance: &'a Instance,
    state: &EngineState,
    ask_again: bool,
) -> Fate {
    let standing = standing(builder, instance, state, ask_again);
    let Some(because) = standing.because.clone() else { return Fate::Settled(Settled::AsReleased) };
    if standing.wants_new()
        && let Some(blocked) = start::excess(builder, instance, standing.current, false)
    {
        return blocked;
    }
    let goes_down =
        matches!(because, Reason::Differs(_)) && standing.current.is_some_and(|c| c.state.is_running());
    if let (true, Some((unseen, allowed))) = (goes_down, builder.turn.exhausted) {
        return Fate::Blocked(Blocked::Unavailable { service: instance.service.clone(), unseen, allowed });
    }
    if let Some(other) = builder.blocked_dependency(instance) {
        return Fate::Blocked(Blocked::Dependency(other));
    }
    let mut chain = builder.chain(instance);
    if standing.wants_new() {
        start::image(builder, &mut chain, instance, None, false, false);
        builder.after_images(&mut chain);
    }
    let named = |id: &ContainerId, name: &InstanceName| Target::Seen { id: id.clone(), name: name.clone() };
    let target = match (&because, standing.current, standing.kept) {
        (Reason::Stopped | Reason::Unproven, Some(current), _) => named(&current.id, &instance.name),
        (_, current, kept) => {
            make_way(builder, &mut chain, instance, state, current);
            let made = Target::Made(instance.name.clone());
            builder.checks(
                &mut chain,
                instance,
                Phase::PreStart,
                &made,
                Condition::NotRunning,
                OnFailure::Fail,
            );
            let (call, target) = match kept {
                Some(kept) => {
                    let target = named(&kept.id, &InstanceName::from(&*kept.name));
                    let call = EngineCall::RenameContainer { target, to: instance.name.clone() };
                    (call, named(&kept.id, &instance.name))
                }
                None => {
                    let spec = Box::new(standing.spec);
                    (EngineCall::CreateContainer { spec, hash: standing.hash }, made)
                }
            };
            builder.call(&mut chain, call, OnFailure::Fail);
            target
        }
    };
    if because != Reason::Unproven {
        builder.call(&mut chain, EngineCall::StartContainer { target: target.clone() }, OnFailure::Fail);
    }
    start::prove(builder, &mut chain, instance, &target);
    bake(builder, &mut chain, instance, &target);
    if let Reason::Differs(_) = because {
        forget(builder, &mut chain, instance, state, standing.kept);
    }
    chain.act(because)
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
        stop::steps(builder, chain, instance, current, stop::Purpose::Replace);
    }
    let target = Target::Seen { id: current.id.clone(), name: instance.name.clone() };
    let short = current.id.as_str().get(..SHORT).unwrap_or(current.id.as_str());
    let number = kept(state, &instance.name).map(|(number, _)| number).max().unwrap_or(0).saturating_add(1);
    let to = InstanceName::from(format!("{}{number}-{short}", kept_prefix(&instance.name)).as_str());
    builder.call(chain, EngineCall::RenameContainer { target, to }, OnFailure::Fail);
}

/// Removes what was kept longest, but for the last few. Last of all, so that nothing is gone that a failure might call
/// for.
fn forget<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    state: &EngineState,
    back: Option<&ObservedContainer>,
) {
    let is_back = |container: &ObservedContainer| back.is_some_and(|back| back.id == container.id);
    let mut older: Vec<_> = kept(state, &instance.name)
        .filter(|(_, container)| !container.state.is_running() && !is_back(container))
        .filter(|(_, c)| !matches!(c.ownership(builder.environment), Ownership::Foreign(_)))
        .collect();
    // The one that has just made way is the newest.
    let most = KEPT - 1;
    older.sort_by_key(|(number, _)| *number);
    let superfluous = older.len().saturating_sub(most);
    for (_, container) in older.into_iter().take(superfluous) {
        let target = Target::Seen { id: container.id.clone(), name: InstanceName::from(&*container.name) };
        builder.call(chain, EngineCall::RemoveContainer { target }, OnFailure::GoOn);
    }
}

/// Containers of an instance that were replaced, and when: the higher the number, the later.
fn kept<'s>(
    state: &'s EngineState,
    instance: &InstanceName,
) -> impl Iterator<Item = (u64, &'s ObservedContainer)> + use<'s> {
    let prefix = kept_prefix(instance);
    let behind = state.containers.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded));
    behind.map_while(move |(name, container)| {
        let rest = name.strip_prefix(&*prefix)?;
        let number = rest.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        Some((number, container))
    })
}

/// How the names of containers begin that an instance's were replaced by others.
fn kept_prefix(instance: &InstanceName) -> String {
    format!("{instance}.kept-")
}

/// A container that was replaced has to stay well for a while.
fn bake<'a>(builder: &mut Builder<'a>, chain: &mut Chain, instance: &'a Instance, target: &Target) {
    let bake = builder.deploy_of(instance).bake;
    if !bake.is_zero() {
        let check = Check::Sleep { wait: bake };
        let baking = builder.checking(instance, Phase::Running, target, check, Condition::Running);
        builder.push(chain, baking, OnFailure::Fail);
    }
}

/// What a failure means for the others: only where every service says so do the others go on.
pub(super) fn on_failure(builder: &Builder<'_>) -> FailurePolicy {
    let goes_on = |instance: &Instance| builder.deploy_of(instance).on_failure == Remedy::Continue;
    if builder.selected().iter().copied().all(goes_on) {
        FailurePolicy::SkipDependents
    } else {
        FailurePolicy::Halt
    }
}

/// Plans the instances of a service: as many at a time as its strategy allows, first those that are down, for they do
/// not get worse by it.
pub(super) fn service<'a>(
    builder: &mut Builder<'a>,
    mut members: Vec<(usize, &'a Instance)>,
    intent: &Intent,
) {
    let Some((_, first)) = members.first() else { return };
    let Some(service) = builder.environment.services.get(&first.service) else { return };
    let allowed = service.deploy.strategy.at_once(service.instances.len());
    let fleet = builder.fleet;
    let unseen = members.iter().filter(|(_, i)| !is_seen(fleet, i)).count();
    let is_up = |instance: &Instance| {
        fleet.container(&instance.ship, &instance.name).is_some_and(|container| container.state.is_running())
    };
    // Who takes volumes from another one has its place in the order already.
    if members.iter().all(|(_, instance)| instance.after.is_empty()) {
        members.sort_by_key(|(_, instance)| is_up(instance));
    }
    let free = allowed.saturating_sub(unseen);
    let exhausted = (free == 0).then_some((unseen, allowed));
    let mut begun: Vec<&InstanceName> = Vec::new();
    for (index, instance) in members {
        let before = begun.len().checked_sub(free.max(1)).and_then(|place| begun.get(place));
        builder.turn = Turn { after: before.copied(), exhausted };
        let fate = super::fate(builder, index, instance, intent);
        if matches!(fate, Fate::Act { .. }) {
            begun.push(&instance.name);
        }
        builder.settle(index, instance, fate);
    }
    builder.turn = Turn::default();
}

fn is_seen(fleet: &FleetSnapshot, instance: &Instance) -> bool {
    matches!(fleet.ship(&instance.ship), Some(ShipView::Reachable(_)))
}
