//! From what is there to what a release says (`docs/design/0018`). Looks at the fleet alone: where an earlier run was
//! broken off, this one goes on.

mod canary;
mod claims;
mod hooks;
mod orphans;
mod replace;
mod restarts;
mod standing;

use super::builder::Builder;
use super::start;
use super::turn::Turn;
use crate::fleet::{EngineState, FleetSnapshot, ShipView, at};
use crate::model::{Hindrance, Instance, Picked, Remedy, Strategy};
use crate::names::{InstanceName, ServiceName, ShipName};
use crate::plan::{Blocked, Fate, Intent, Milestone, Reason, Settled, StepId};
pub(super) use hooks::{Hooked, clean, due};
pub(super) use orphans::{Orphans, rest};
pub(super) use replace::Switch;
use standing::{Standing, Wanted};
use std::collections::{BTreeMap, BTreeSet};

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
    if let (Some(canaries), Reason::Missing | Reason::Differs(_)) = (builder.turn.waits_for, &because) {
        return Fate::Waits { canaries, because };
    }
    if standing.wants_new()
        && let Some(blocked) = start::excess(builder, instance, standing.current, false)
    {
        return blocked;
    }
    let (way, hindrance) = way(builder, instance, &standing);
    let in_the_way = match way {
        Way::InPlace if !standing.runs_already() => orphans::in_the_way(builder, instance, None),
        Way::StopFirst => orphans::in_the_way(builder, instance, standing.current),
        Way::InPlace | Way::Beside => Vec::new(),
    };
    if let Some(blocked) = orphans::missed(builder, instance, &in_the_way) {
        return Fate::Blocked(blocked);
    }
    // It goes down itself, or what makes room for it does.
    let going = orphans::going(builder, instance, &in_the_way) + usize::from(way == Way::StopFirst);
    let spared = builder.turn.spare.min(going.saturating_sub(1));
    let going = going - spared;
    match way {
        Way::InPlace if !in_the_way.is_empty() => {
            let hindrance = builder.hindrance(instance);
            if let Some(blocked) = none_may_go_down(builder, instance, hindrance.as_ref(), going) {
                return Fate::Blocked(blocked);
            }
        }
        Way::StopFirst => {
            if let Some(blocked) = none_may_go_down(builder, instance, hindrance.as_ref(), going) {
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
    if let Some(blocked) = builder.hooked.get(&instance.service).and_then(|hooked| hooked.blocked.clone()) {
        return Fate::Blocked(blocked);
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
    builder.turn.spare -= spared;
    if way == Way::InPlace && in_the_way.is_empty() {
        builder.turn.begin_idle(&instance.name);
    } else {
        builder.turn.begin(&instance.name, way == Way::Beside, going);
    }
    let mut chain = builder.chain(instance);
    if standing.wants_new() {
        start::image(builder, &mut chain, instance, None, false, false);
    }
    if standing.wants_new() || way != Way::InPlace || !in_the_way.is_empty() {
        builder.after_images(&mut chain);
    }
    orphans::make_room(builder, &mut chain, in_the_way);
    let switch =
        replace::bring_up(builder, &mut chain, instance, state, (standing, ports), (way, because.clone()));
    if let Some(together) = builder.turn.together.as_mut().filter(|_| switch.is_beside()) {
        let steps = chain.steps.clone();
        together.push((&instance.name, chain, switch));
        return Fate::Act { steps, because, hindrance };
    }
    replace::hand_over(builder, &mut chain, switch);
    Fate::Act { steps: chain.steps, because, hindrance }
}

/// Why an instance may not be stopped: too many of its service are down, or none may be.
fn none_may_go_down(
    builder: &Builder<'_>,
    instance: &Instance,
    hindrance: Option<&Hindrance>,
    going: usize,
) -> Option<Blocked> {
    let Turn { unseen, allowed, .. } = builder.turn;
    if allowed >= unseen + going.max(1) || allowed > unseen && is_unlimited(builder, instance) {
        return None;
    }
    let service = instance.service.clone();
    Some(match hindrance {
        Some(why) if allowed == 0 => Blocked::Alone { service, why: why.clone() },
        _ => Blocked::Unavailable { service, unseen, going, allowed },
    })
}

/// Whether all of its service may be down.
fn is_unlimited(builder: &Builder<'_>, instance: &Instance) -> bool {
    let service = builder.environment.services.get(&instance.service);
    service.is_some_and(|service| builder.turn.allowed >= service.instances.len())
}

/// Services whose failures are no reason for the others to stop.
pub(super) fn lenient(builder: &Builder<'_>) -> BTreeSet<ServiceName> {
    let goes_on = |instance: &&Instance| builder.deploy_of(instance).on_failure == Remedy::Continue;
    let selected = builder.selected().iter().copied().filter(goes_on);
    selected.map(|instance| instance.service.clone()).collect()
}

/// Plans the instances of a service: as many at a time as its strategy allows, first those that are down, for they do
/// not get worse by it, and one of each ship before the next of any: those that are replaced at a time share no engine
/// where they need not, and the first ones tell of every ship.
pub(super) fn service<'a>(builder: &mut Builder<'a>, members: Vec<(usize, &'a Instance)>, intent: &Intent) {
    let Some(&(_, first)) = members.first() else { return };
    let Some(service) = builder.environment.services.get(&first.service) else { return };
    let places: Vec<usize> = members.iter().map(|(index, _)| *index).collect();
    let again = hooks::is_left(builder, &first.service, intent).then(|| intent.asking_again());
    let intent = again.as_ref().unwrap_or(intent);
    let before = hooks::before(builder, &first.service);
    let strategy = service.deploy.strategy;
    let all = service.instances.len();
    let fleet = builder.fleet;
    let unseen = members.iter().filter(|(_, i)| !is_seen(fleet, i)).count();
    let up = service.instances.iter().filter_map(|name| builder.environment.instances.get(name));
    let up = up.filter(|instance| is_up(builder, instance)).count();
    let spare = orphans::spare(builder, &first.service, up, all);
    let turn = || {
        let mut turn = Turn::new(unseen, strategy.down(all), strategy.beside(all)).behind(&before.last);
        turn.spare = spare;
        turn
    };
    builder.turn = turn();
    // Who takes volumes from another one has its place in the order already.
    let is_ordered = members.iter().any(|(_, instance)| !instance.after.is_empty());
    let (well, down) = with_users(members, &[], |instance| may_lose(builder, instance, intent));
    let in_turn = |part| if is_ordered { part } else { one_of_each_ship(part) };
    let members: Vec<_> = in_turn(down).into_iter().chain(in_turn(well)).collect();
    match strategy {
        Strategy::Recreate | Strategy::Rolling(_) => {
            builder.turn = turn();
            some(builder, members, intent);
        }
        Strategy::BlueGreen => {
            builder.turn = Turn::together(all, unseen).behind(&before.last);
            together(builder, &first.service, members, intent);
        }
        Strategy::Canary(canary) => canary::service(builder, service, canary, members, intent, &turn),
    }
    builder.turn = Turn::default();
    hooks::after(builder, &first.service, &places, &before);
}

/// Instances, each with its place in the plan.
type Members<'a> = Vec<(usize, &'a Instance)>;

/// Those of which something is so, or of one that they take something from, or that are behind these; and all others. Of
/// each, those that something is taken from come first, as they do in `members`.
fn with_users<'a>(
    members: Members<'a>,
    behind: &[&'a InstanceName],
    mut is_so: impl FnMut(&'a Instance) -> bool,
) -> (Members<'a>, Members<'a>) {
    let mut found: BTreeSet<&InstanceName> = behind.iter().copied().collect();
    members.into_iter().partition(|(_, instance)| {
        let is_one = is_so(instance) || instance.after.iter().any(|source| found.contains(source));
        if is_one {
            found.insert(&instance.name);
        }
        is_one
    })
}

/// One of each ship before the next of any.
fn one_of_each_ship(members: Members<'_>) -> Members<'_> {
    let mut on_ships: BTreeMap<&ShipName, usize> = BTreeMap::new();
    let queue = members.into_iter().map(|(index, instance)| {
        let place = on_ships.entry(&instance.ship).or_default();
        *place += 1;
        (*place, (index, instance))
    });
    let mut queue: Vec<_> = queue.collect();
    queue.sort_by_key(|(place, _)| *place);
    queue.into_iter().map(|(_, member)| member).collect()
}

/// Plans some instances of a service; returns how their chains end.
fn some<'a>(builder: &mut Builder<'a>, members: Vec<(usize, &'a Instance)>, intent: &Intent) -> Vec<StepId> {
    let mut ends = Vec::new();
    for (index, instance) in members {
        let fate = super::fate(builder, index, instance, intent);
        if let Fate::Act { steps, .. } = &fate {
            ends.extend(builder.ends_of(steps));
        }
        builder.settle(index, instance, fate);
    }
    ends
}

/// Plans all instances of a service: when all replacements have been proved beside what they replace, they take over.
fn together<'a>(
    builder: &mut Builder<'a>,
    service: &ServiceName,
    members: Vec<(usize, &'a Instance)>,
    intent: &Intent,
) {
    let mark = builder.mark();
    let mut fates: Vec<_> = members
        .into_iter()
        .map(|(index, instance)| (index, instance, super::fate(builder, index, instance, intent)))
        .collect();
    // What a ship that is down has is none of the others' business.
    let is_in_the_way = |fate: &Fate| matches!(fate, Fate::Blocked(why) if !matches!(why, Blocked::Ship(_)));
    let blocked = fates.iter().find(|(_, _, fate)| is_in_the_way(fate)).map(|(_, i, _)| i.name.clone());
    let waiting = builder.turn.together.take().unwrap_or_default();
    if let Some(blocked) = blocked {
        builder.rewind(mark);
        for (_, _, fate) in fates.iter_mut().filter(|(_, _, fate)| matches!(fate, Fate::Act { .. })) {
            *fate = Fate::Blocked(Blocked::Dependency(blocked.clone()));
        }
    } else if !waiting.is_empty() {
        let mut proofs = Vec::new();
        for (_, _, fate) in &fates {
            if let Fate::Act { steps, .. } = fate {
                proofs.extend(builder.ends_of(steps));
            }
        }
        let proved = builder.milestone(Milestone::Proved(service.clone()), proofs);
        for (name, before, switch) in waiting {
            let mut chain = builder.resume(switch.instance(), before, proved);
            replace::hand_over(builder, &mut chain, switch);
            let found = fates.iter_mut().find(|(_, instance, _)| instance.name == *name);
            if let Some((_, _, Fate::Act { steps, .. })) = found {
                *steps = chain.steps;
            }
        }
    }
    for (index, instance, fate) in fates {
        builder.settle(index, instance, fate);
    }
}

/// Whether the container that bears an instance's name is known to be no good.
pub(super) fn is_doubtful(intent: &Intent, instance: &Instance) -> bool {
    doubtful(intent).contains(&at(&instance.name, &instance.ship))
}

/// Containers that are known to be no good, as `name@ship`.
pub(super) fn doubtful(intent: &Intent) -> &BTreeSet<InstanceName> {
    static NONE: BTreeSet<InstanceName> = BTreeSet::new();
    match intent {
        Intent::Deploy { doubtful, .. } => doubtful,
        _ => &NONE,
    }
}

fn is_seen(fleet: &FleetSnapshot, instance: &Instance) -> bool {
    matches!(fleet.ship(&instance.ship), Some(ShipView::Reachable(_)))
}

/// Whether an instance is one that could be down and is not: something serves for it that is not known to be no good, or has
/// to go for it.
fn may_lose<'a>(builder: &Builder<'a>, instance: &'a Instance, intent: &Intent) -> bool {
    if is_up(builder, instance) {
        return !is_doubtful(intent, instance);
    }
    // What has gone for another service already does not serve any more.
    orphans::going(builder, instance, &orphans::in_the_way(builder, instance, None)) > 0
}

/// Whether anything serves for an instance.
fn is_up(builder: &Builder<'_>, instance: &Instance) -> bool {
    let Some(ShipView::Reachable(state)) = builder.fleet.ship(&instance.ship) else { return false };
    let current = state.containers.get(instance.name.as_str()).into_iter();
    current
        .chain(state.nexts(builder.environment, &instance.name))
        .any(|container| container.state.is_awake())
}
