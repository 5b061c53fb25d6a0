//! What nothing needs any more: images of releases that nobody goes back to soon, or that never came to be, and containers
//! that no such release has (`docs/design/0034`).

mod containers;

pub use containers::{Forsaken, forsaken};

use crate::balance::Rotation;
use crate::deployment::Deployment;
use crate::fleet::{FleetSnapshot, ShipView, at};
use crate::history::{History, Outline, Record};
use crate::image::ImageRef;
use crate::model::Environment;
use crate::names::{ContainerId, ImageId, ShipName};
use crate::plan::{
    Action, EngineCall, FailurePolicy, Intent, Limits, OnFailure, Plan, Step, StepId, Unit, UnitId,
};
use crate::select::select;
use std::collections::{BTreeMap, BTreeSet};

/// Images and containers of so many releases stay on the ships, the current one included: as many as containers that
/// were replaced.
const KEPT: usize = 4;

/// The releases that are listed whose images and containers stay: the last few, and what one goes back to from the
/// current one, and from `news`, which has come after these.
pub fn needed(history: &History, news: Option<&Outline>) -> BTreeSet<u64> {
    let mut needed: BTreeSet<u64> =
        history.records().iter().rev().take(KEPT).map(|record| record.number).collect();
    let current = history.current();
    let services = current.iter().flat_map(|record| record.services.values());
    let services = services.chain(news.iter().flat_map(|news| news.services.values()));
    needed.extend(services.filter_map(|shipped| shipped.before));
    for start in [current.map(|record| record.number), news.and_then(|news| news.before)] {
        let mut from = start.and_then(|number| history.record(number));
        for _ in 0..KEPT {
            let Some(record) = from else { break };
            needed.insert(record.number);
            from = record.before.and_then(|number| history.record(number));
        }
    }
    // Nobody goes back to what is not listed any more.
    needed.retain(|number| history.record(*number).is_some());
    needed
}

/// Pinned images that a deployment had for what it was about; none if what it was to bring cannot be read any more.
pub fn brought(deployment: &Deployment, today: &Environment) -> Vec<ImageRef> {
    let Ok(environment) = deployment.release.environment(today) else { return Vec::new() };
    let rules = Intent::Pull.selection_rules();
    let Ok(selection) = select(&environment, &deployment.selector, rules) else { return Vec::new() };
    let instances = selection.instances.iter().filter_map(|name| environment.instances.get(name));
    instances.map(|instance| instance.image.clone()).collect()
}

/// Pinned images of earlier releases, and of `others`, that are not those of the releases that are needed, nor of the file.
pub fn superseded(
    history: &History,
    needed: &BTreeSet<u64>,
    environment: &Environment,
    others: Vec<ImageRef>,
) -> Vec<ImageRef> {
    let images = |record: &Record| -> Vec<ImageRef> {
        let parts = record.services.values();
        parts.flat_map(|shipped| &shipped.part.images).map(|text| ImageRef::parse(text.as_str())).collect()
    };
    let (kept, old): (Vec<&Record>, Vec<&Record>) =
        history.records().iter().partition(|record| needed.contains(&record.number));
    let mut keeping: Vec<ImageRef> = kept.into_iter().flat_map(images).collect();
    keeping.extend(environment.instances.values().map(|instance| instance.image.clone()));
    let same = |one: &ImageRef, other: &ImageRef| {
        one.listed_repository() == other.listed_repository() && one.digest() == other.digest()
    };
    let mut gone: Vec<ImageRef> = Vec::new();
    let old = old.into_iter().flat_map(images).chain(others);
    for image in old.filter(|image| image.digest().is_some()) {
        if !keeping.iter().chain(&gone).any(|known| same(known, &image)) {
            gone.push(image);
        }
    }
    gone
}

/// Which of these images are on which ships, without a container there that was made from them and stays. None of a ship
/// whose images were not asked for.
pub fn superfluous(
    fleet: &FleetSnapshot,
    images: &[ImageRef],
    going: &[Forsaken<'_>],
) -> BTreeMap<ShipName, Vec<ImageRef>> {
    let going: BTreeSet<&ContainerId> = going.iter().map(|one| &one.container.id).collect();
    let mut found: BTreeMap<ShipName, Vec<ImageRef>> = BTreeMap::new();
    for (ship, view) in &fleet.ships {
        let ShipView::Reachable(state) = view else { continue };
        let stay = state.containers.values().filter(|container| !going.contains(&container.id));
        let used: BTreeSet<&ImageId> = stay.map(|container| &container.image_id).collect();
        for image in images {
            if state.image(image).is_some_and(|known| !used.contains(&known.id)) {
                found.entry(ship.clone()).or_default().push(image.clone());
            }
        }
    }
    found
}

/// The plan that takes these away, everywhere at once, and images after the containers. Who cannot be rid of one goes on:
/// it will be there next time.
pub fn plan(
    environment: &Environment,
    containers: &[Forsaken<'_>],
    images: BTreeMap<ShipName, Vec<ImageRef>>,
) -> Plan {
    let each =
        images.into_iter().flat_map(|(ship, images)| images.into_iter().map(move |i| (ship.clone(), i)));
    let mut plan = Plan {
        environment: environment.display_name().to_owned(),
        intent: Intent::Clean,
        items: Vec::new(),
        steps: Vec::new(),
        units: Vec::new(),
        limits: Limits::default(),
        on_failure: FailurePolicy::SkipDependents,
        lenient: BTreeSet::new(),
        rotation: Rotation::default(),
        trials: Vec::new(),
        front_ends: BTreeSet::new(),
    };
    let mut next = 0;
    let mut add = |unit: Unit, call: EngineCall, after: Vec<StepId>| {
        let number = next;
        next += 1;
        plan.units.push(unit);
        let action = Action::Call(call);
        plan.steps.push(Step { unit: UnitId(number), action, after, on_failure: OnFailure::GoOn });
        StepId(number)
    };
    let mut before: BTreeMap<&ShipName, Vec<StepId>> = BTreeMap::new();
    for one in containers {
        let unit = Unit::Instance { instance: at(&one.container.name, one.ship), ship: one.ship.clone() };
        let step = add(unit, EngineCall::RemoveContainer { target: one.target() }, Vec::new());
        before.entry(one.ship).or_default().push(step);
    }
    for (ship, image) in each {
        let after = before.get(&ship).cloned().unwrap_or_default();
        add(Unit::Image { ship, image: image.clone() }, EngineCall::RemoveImage { image }, after);
    }
    plan
}

#[cfg(test)]
mod tests;
