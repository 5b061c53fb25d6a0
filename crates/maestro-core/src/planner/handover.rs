//! Ports that change hands: who takes one is begun when who has it has stopped, where that makes no circle. Where it does,
//! the preflight says so (`docs/design/0024`).

use crate::fleet::{FleetSnapshot, ShipView};
use crate::model::{Environment, Instance, Picked};
use crate::names::{ContainerId, ShipName};
use crate::plan::{Action, EngineCall, Fate, Plan, StepId, Takeovers, Target, UnitId};
use std::collections::{BTreeMap, BTreeSet};

/// Lets whoever takes a port come after whoever has it.
pub(super) fn order(plan: &mut Plan, environment: &Environment, fleet: &FleetSnapshot) {
    let pairs = pairs(plan, environment, fleet);
    let mut is_ordered = true;
    for (stop, start) in pairs {
        let Some(unit) = plan.step(start).map(|step| step.unit) else { continue };
        let before = plan.preceding(stop);
        let is_of = |plan: &Plan, id: StepId| plan.step(id).is_some_and(|step| step.unit == unit);
        if is_of(plan, stop)
            || before.iter().any(|id| is_of(plan, *id))
            || plan.preceding(start).contains(&stop)
        {
            continue;
        }
        for first in firsts(plan, unit) {
            is_ordered &= stop < first;
            if let Some(step) = plan.steps.get_mut(first.index()) {
                step.after.push(stop);
            }
        }
    }
    if !is_ordered {
        renumber(plan);
    }
}

/// The end of a container that has a port, and the start of the one that is to have it.
fn pairs(plan: &Plan, environment: &Environment, fleet: &FleetSnapshot) -> BTreeSet<(StepId, StepId)> {
    let takeovers = Takeovers::of(plan);
    let mut holders: BTreeMap<&ShipName, BTreeMap<u16, &ContainerId>> = BTreeMap::new();
    let mut pairs = BTreeSet::new();
    for item in plan.items.iter().filter(|item| matches!(item.fate, Fate::Act { .. })) {
        let Some(instance) = environment.instances.get(&item.instance) else { continue };
        let Some(start) = takeovers.start_of(&item.ship, &item.instance) else { continue };
        let holders = holders.entry(&item.ship).or_insert_with(|| held(fleet, &item.ship));
        for port in wanted(plan, start, instance, fleet) {
            let holder = holders.get(&port);
            let stop = holder.and_then(|container| takeovers.stop_of(&item.ship, container));
            pairs.extend(stop.map(|stop| (stop, start)));
        }
    }
    pairs
}

/// Who has which port of a ship.
fn held<'f>(fleet: &'f FleetSnapshot, ship: &ShipName) -> BTreeMap<u16, &'f ContainerId> {
    let Some(ShipView::Reachable(state)) = fleet.ship(ship) else { return BTreeMap::new() };
    let running = state.containers.values().filter(|container| container.state.is_running());
    running.flat_map(|container| container.ports.keys().map(|port| (*port, &container.id))).collect()
}

/// The ports of its ship that a container needs which is started: those that the file says, and those that were picked for
/// it when it was made. What is picked now is what nobody has.
fn wanted(plan: &Plan, start: StepId, instance: &Instance, fleet: &FleetSnapshot) -> Vec<u16> {
    let mode = instance.settings.network_mode.as_deref().unwrap_or("");
    if matches!(mode, "host" | "none") || mode.starts_with("container:") {
        return Vec::new();
    }
    let fixed = instance.ports.values().filter(|port| port.is_fixed()).filter_map(|port| {
        let (first, last) = port.external.split_once('-').unwrap_or((&port.external, &port.external));
        Some(first.parse::<u16>().ok()?..=last.parse().ok()?)
    });
    let mut ports: Vec<u16> = fixed.flatten().collect();
    if let Some(Action::Call(EngineCall::StartContainer { target: Target::Seen { id, .. } })) =
        plan.step(start).map(|step| &step.action)
        && let Some(ShipView::Reachable(state)) = fleet.ship(&instance.ship)
    {
        let started = state.containers.values().filter(|container| container.id == *id);
        ports.extend(started.flat_map(|container| Picked::numbers(&container.labels)));
    }
    ports
}

/// The steps of a unit that come after none of its own.
fn firsts(plan: &Plan, unit: UnitId) -> Vec<StepId> {
    let own = |id: &StepId| plan.step(*id).is_some_and(|step| step.unit == unit);
    let is_first = |id: &StepId| plan.step(*id).is_some_and(|step| !step.after.iter().any(own));
    plan.ids().filter(|id| own(id) && is_first(id)).collect()
}

/// Numbers all steps anew, so that each comes after those that it waits for; the steps of a unit stay together.
fn renumber(plan: &mut Plan) {
    let mut waits: Vec<usize> = plan.steps.iter().map(|step| step.after.len()).collect();
    let mut next: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    for (id, step) in plan.ids().zip(&plan.steps) {
        for before in &step.after {
            next.entry(*before).or_default().push(id);
        }
    }
    let unit = |id: StepId| plan.step(id).map(|step| step.unit);
    let mut open: BTreeSet<StepId> = plan.ids().filter(|id| waits.get(id.index()) == Some(&0)).collect();
    let mut order: Vec<StepId> = Vec::with_capacity(plan.steps.len());
    // Those that may be next of the unit that the last one is of.
    let mut own: BTreeSet<StepId> = BTreeSet::new();
    while let Some(id) = own.pop_first().or_else(|| open.first().copied()) {
        open.remove(&id);
        if order.last().is_some_and(|last| unit(*last) != unit(id)) {
            own.clear();
        }
        order.push(id);
        for after in next.get(&id).into_iter().flatten() {
            if let Some(left) = waits.get_mut(after.index()) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    open.insert(*after);
                    own.extend((unit(*after) == unit(id)).then_some(*after));
                }
            }
        }
    }
    let places: BTreeMap<StepId, StepId> = order.iter().copied().zip(plan.ids()).collect();
    let place = |id: &mut StepId| *id = places.get(id).copied().unwrap_or(*id);
    let mut steps: Vec<_> = order.iter().filter_map(|id| plan.step(*id).cloned()).collect();
    steps.iter_mut().flat_map(|step| &mut step.after).for_each(place);
    plan.steps = steps;
    for item in &mut plan.items {
        if let Fate::Act { steps, .. } = &mut item.fate {
            steps.iter_mut().for_each(place);
        }
    }
}
