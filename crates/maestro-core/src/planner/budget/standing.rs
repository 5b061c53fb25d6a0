//! What serves for instances that are not where the file has them, and whom it makes room for.

use crate::fleet::{FleetSnapshot, orphans};
use crate::model::{Environment, Instance};
use crate::names::InstanceName;
use crate::plan::{Item, Plan, StepId};
use std::collections::{BTreeMap, BTreeSet};

/// For which instance each container serves that the file does not have there: its own one, which belongs elsewhere, or one
/// that it makes room for. Each serves for one only, and no two for the same, unless both were its own.
pub(super) fn standing_in(
    plan: &Plan,
    environment: &Environment,
    fleet: &FleetSnapshot,
    (counted, at_home): (&[&Instance], &BTreeSet<&InstanceName>),
) -> BTreeMap<InstanceName, InstanceName> {
    let counted: BTreeSet<&InstanceName> = counted.iter().map(|instance| &instance.name).collect();
    let mut found: BTreeMap<InstanceName, InstanceName> = BTreeMap::new();
    for orphan in orphans(environment, fleet) {
        if counted.contains(&orphan.instance) && !at_home.contains(&orphan.instance) {
            found.insert(orphan.name(), orphan.instance);
        }
    }
    let mut served: BTreeSet<InstanceName> = found.values().cloned().collect();
    let going: BTreeMap<StepId, &Item> = plan
        .items
        .iter()
        .filter(|item| item.goes())
        .flat_map(|item| item.steps().map(move |s| (s, item)))
        .collect();
    let mut rooms: Vec<_> = plan.rooms().into_iter().collect();
    rooms.sort_by_key(|(_, steps)| steps.first().copied());
    for (instance, steps) in rooms {
        if !counted.contains(&instance) || at_home.contains(&instance) || served.contains(&instance) {
            continue;
        }
        let service = environment.instances.get(&instance).map(|instance| &instance.service);
        // What another service has had does not serve for it.
        let makers = steps.iter().filter_map(|step| going.get(step));
        let makers = makers.filter(|item| Some(&item.service) == service).map(|item| &item.instance);
        let unused = makers.into_iter().find(|maker| !found.contains_key(*maker));
        if let Some(maker) = unused {
            found.insert(maker.clone(), instance.clone());
            served.insert(instance);
        }
    }
    found
}

/// The rows of a plan that have to be looked at together: of those that make room, and of those that they make room for, or
/// serve for. What goes when all is done makes room for nobody.
pub(super) fn groups<'p>(
    plan: &'p Plan,
    standing_in: &BTreeMap<InstanceName, InstanceName>,
) -> Vec<Vec<&'p Item>> {
    let items: BTreeMap<&InstanceName, &Item> =
        plan.items.iter().map(|item| (&item.instance, item)).collect();
    let going: BTreeMap<StepId, &Item> = plan
        .items
        .iter()
        .filter(|item| item.goes())
        .flat_map(|item| item.steps().map(move |s| (s, item)))
        .collect();
    let mut beside: BTreeMap<&InstanceName, BTreeSet<&InstanceName>> = BTreeMap::new();
    let mut join = |one: &'p InstanceName, other: &'p InstanceName| {
        beside.entry(one).or_default().insert(other);
        beside.entry(other).or_default().insert(one);
    };
    for (instance, steps) in plan.rooms() {
        let Some((instance, _)) = items.get_key_value(&instance) else { continue };
        for maker in steps.iter().filter_map(|step| going.get(step)) {
            join(instance, &maker.instance);
            let stood = standing_in.get(&maker.instance).and_then(|stood| items.get_key_value(stood));
            if let Some((stood, item)) = stood
                && !plan.goes_after(maker, item)
            {
                join(stood, &maker.instance);
            }
        }
    }
    let mut seen: BTreeSet<&InstanceName> = BTreeSet::new();
    let mut groups = Vec::new();
    for item in &plan.items {
        let mut open = vec![&item.instance];
        let mut members = Vec::new();
        while let Some(name) = open.pop() {
            if seen.insert(name) {
                members.extend(items.get(name));
                open.extend(beside.get(name).into_iter().flatten());
            }
        }
        if !members.is_empty() {
            groups.push(members);
        }
    }
    groups
}
