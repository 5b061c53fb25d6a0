//! From what is there to what a release says (`docs/design/0018`). Looks at the fleet alone: where an earlier run was
//! broken off, this one goes on.

mod replace;
mod standing;

use super::builder::{Builder, Turn};
use super::start;
use crate::fleet::{EngineState, FleetSnapshot, ShipView};
use crate::model::{Hindrance, Instance, Picked, Remedy};
use crate::plan::{Blocked, FailurePolicy, Fate, Intent, Settled};
pub(super) use standing::nexts;
use standing::{Standing, Wanted};

/// How the container that is to be takes the place of what serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Nothing serves that it could take the place of.
    InPlace,
    /// It starts beside what serves, which stops when it has been proved.
    Beside,
    /// What serves stops first.
    StopFirst,
}

/// Decides how, and what speaks against starting it beside, where the strategy would have it.
fn way(builder: &Builder<'_>, instance: &Instance, standing: &Standing<'_>) -> (Way, Option<Hindrance>) {
    if !standing.is_served_by_another() {
        return (Way::InPlace, None);
    }
    let is_beside = |next: &crate::fleet::ObservedContainer| next.state.is_running();
    if matches!(standing.wanted, Wanted::Next(next) | Wanted::Current(next) if is_beside(next)) {
        // Both run, so both can.
        return (Way::Beside, None);
    }
    if builder.turn.beside.most == 0 {
        return (Way::StopFirst, None);
    }
    match builder.hindrance(instance) {
        None => (Way::Beside, None),
        Some(hindrance) => (Way::StopFirst, Some(hindrance)),
    }
}

/// Decides what is to be done to an instance on a ship that was seen.
pub(super) fn fate<'a>(
    builder: &mut Builder<'a>,
    instance: &'a Instance,
    state: &'a EngineState,
    ask_again: bool,
) -> Fate {
    let standing = Standing::of(builder, instance, state, ask_again);
    let Some(because) = standing.because.clone() else { return Fate::Settled(Settled::AsReleased) };
    if standing.wants_new()
        && let Some(blocked) = start::excess(builder, instance, standing.current, false)
    {
        return blocked;
    }
    let (way, hindrance) = way(builder, instance, &standing);
    match way {
        Way::StopFirst => {
            if let Some(blocked) = none_may_go_down(builder, instance, hindrance.as_ref()) {
                return Fate::Blocked(blocked);
            }
        }
        Way::Beside => {
            if let Some(blocked) = standing.taken_name(builder.environment, state, &instance.name) {
                return blocked;
            }
        }
        Way::InPlace => {}
    }
    if let Some(other) = builder.blocked_dependency(instance) {
        return Fate::Blocked(Blocked::Dependency(other));
    }
    let ports = match standing.wanted {
        Wanted::New => match builder.pick(instance, true) {
            Ok(ports) => ports,
            Err(blocked) => return Fate::Blocked(blocked),
        },
        Wanted::Current(container) | Wanted::Next(container) | Wanted::Kept(container) => {
            builder.reserve(&instance.ship, container);
            builder.know_seen(instance, container);
            Picked::default()
        }
    };
    builder.turn.begin(&instance.name, way == Way::Beside);
    let mut chain = builder.chain(instance);
    if standing.wants_new() {
        start::image(builder, &mut chain, instance, None, false, false);
        builder.after_images(&mut chain);
    }
    let switch =
        replace::bring_up(builder, &mut chain, instance, state, (standing, ports), (way, because.clone()));
    replace::hand_over(builder, &mut chain, switch);
    Fate::Act { steps: chain.steps, because, hindrance }
}

/// Why an instance may not be stopped: too many of its service are down, or none may be.
fn none_may_go_down(
    builder: &Builder<'_>,
    instance: &Instance,
    hindrance: Option<&Hindrance>,
) -> Option<Blocked> {
    let Turn { unseen, allowed, .. } = builder.turn;
    if allowed > unseen {
        return None;
    }
    let service = instance.service.clone();
    Some(match hindrance {
        Some(why) if allowed == 0 => Blocked::Alone { service, why: why.clone() },
        _ => Blocked::Unavailable { service, unseen, allowed },
    })
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
    let strategy = service.deploy.strategy;
    let allowed = strategy.down(service.instances.len());
    let fleet = builder.fleet;
    let unseen = members.iter().filter(|(_, i)| !is_seen(fleet, i)).count();
    // Who takes volumes from another one has its place in the order already.
    if members.iter().all(|(_, instance)| instance.after.is_empty()) {
        members.sort_by_key(|(_, instance)| is_up(builder, instance));
    }
    builder.turn = Turn::new(unseen, allowed, strategy.beside(service.instances.len()));
    for (index, instance) in members {
        let fate = super::fate(builder, index, instance, intent);
        builder.settle(index, instance, fate);
    }
    builder.turn = Turn::default();
}

fn is_seen(fleet: &FleetSnapshot, instance: &Instance) -> bool {
    matches!(fleet.ship(&instance.ship), Some(ShipView::Reachable(_)))
}

/// Whether anything serves for an instance.
fn is_up(builder: &Builder<'_>, instance: &Instance) -> bool {
    let Some(ShipView::Reachable(state)) = builder.fleet.ship(&instance.ship) else { return false };
    let current = state.containers.get(instance.name.as_str()).into_iter();
    current
        .chain(nexts(builder.environment, state, &instance.name))
        .any(|container| container.state.is_running())
}
