//! What nothing needs any more: images of releases that nobody goes back to soon.

use crate::balance::Rotation;
use crate::fleet::{FleetSnapshot, ShipView};
use crate::history::{History, Record};
use crate::image::ImageRef;
use crate::model::Environment;
use crate::names::{ImageId, ShipName};
use crate::plan::{Action, EngineCall, FailurePolicy, Intent, Limits, OnFailure, Plan, Step, Unit, UnitId};
use std::collections::{BTreeMap, BTreeSet};

/// Images of so many releases stay on the ships, the current one included: as many as containers that were replaced.
const KEPT: usize = 4;

/// Pinned images of earlier releases that are not those of the last few, nor of what one goes back to from the current
/// one, nor of the file.
pub fn superseded(history: &History, environment: &Environment) -> Vec<ImageRef> {
    let mut needed: BTreeSet<u64> =
        history.records().iter().rev().take(KEPT).map(|record| record.number).collect();
    let current = history.current();
    needed.extend(
        current.iter().flat_map(|record| record.services.values()).filter_map(|shipped| shipped.before),
    );
    let mut from = current;
    for _ in 0..KEPT {
        let Some(record) = from else { break };
        needed.insert(record.number);
        from = record.before.and_then(|number| history.record(number));
    }
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
    for image in old.into_iter().flat_map(images).filter(|image| image.digest().is_some()) {
        if !keeping.iter().chain(&gone).any(|known| same(known, &image)) {
            gone.push(image);
        }
    }
    gone
}

/// Which of these images are on which ships, without a container there that was made from them. None of a ship whose
/// images were not asked for.
pub fn superfluous(fleet: &FleetSnapshot, images: &[ImageRef]) -> BTreeMap<ShipName, Vec<ImageRef>> {
    let mut found: BTreeMap<ShipName, Vec<ImageRef>> = BTreeMap::new();
    for (ship, view) in &fleet.ships {
        let ShipView::Reachable(state) = view else { continue };
        let used: BTreeSet<&ImageId> =
            state.containers.values().map(|container| &container.image_id).collect();
        for image in images {
            if state.image(image).is_some_and(|known| !used.contains(&known.id)) {
                found.entry(ship.clone()).or_default().push(image.clone());
            }
        }
    }
    found
}

/// The plan that takes these away, everywhere at once. Who cannot be rid of one goes on: it will be there next time.
pub fn plan(environment: &Environment, images: BTreeMap<ShipName, Vec<ImageRef>>) -> Plan {
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
    for (index, (ship, image)) in (0..).zip(each) {
        plan.units.push(Unit::Image { ship, image: image.clone() });
        plan.steps.push(Step {
            unit: UnitId(index),
            action: Action::Call(EngineCall::RemoveImage { image }),
            after: Vec::new(),
            on_failure: OnFailure::GoOn,
        });
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limits, load};
    use crate::history::Shipped;
    use crate::planner::tests::fleet;
    use crate::release::Part;
    use crate::source::MapSources;

    fn environment(image: &str) -> Environment {
        let text = "__maestro: {schema: 2}\nname: shop\nships: {a: {ip: 192.0.2.1}}\nservices:\n  web: {image: web, instances: \
                    {web-1: {ship: a}}}\n";
        let mut environment = load(&MapSources::of(text), &Limits::default()).environment.unwrap();
        for instance in environment.instances.values_mut() {
            instance.image = ImageRef::parse(image);
        }
        environment
    }

    /// A release of one service with this image, after another one.
    fn record(number: u64, before: Option<u64>, image: &str) -> Record {
        let part = Part { id: image.to_owned(), images: vec![image.to_owned()] };
        Record {
            number,
            at: "2026-11-21T12:00:00Z".parse().unwrap(),
            by: "ada@laptop".into(),
            doing: "deploy".into(),
            before,
            back_to: None,
            services: [("web".into(), Shipped { part, before })].into(),
        }
    }

    fn gone(images: &[&str], today: &str) -> Vec<String> {
        let numbered = (1_u64..).zip(images);
        let records = numbered
            .map(|(number, image)| record(number, number.checked_sub(1).filter(|before| *before > 0), image));
        let history = History::of(records.collect());
        superseded(&history, &environment(today)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn images_of_the_last_releases_stay() {
        let six = [
            "web:1@sha256:a",
            "web:2@sha256:b",
            "web:3@sha256:c",
            "web:4@sha256:d",
            "web:5@sha256:e",
            "web:6@sha256:f",
        ];
        assert_eq!(gone(&six[..4], "web:4"), [""; 0]);
        assert_eq!(gone(&six, "web:6"), ["web:1@sha256:a", "web:2@sha256:b"]);
        assert_eq!(gone(&six, "docker.io/library/web:1@sha256:a"), ["web:2@sha256:b"], "the file has it");
        let again = [
            "web:1@sha256:a",
            "web:2@sha256:b",
            "web:3@sha256:c",
            "web:4@sha256:d",
            "web:5@sha256:e",
            "web:1@sha256:a",
        ];
        assert_eq!(gone(&again, "web:6"), ["web:2@sha256:b"], "what is current again stays");
        let unpinned = ["web:1", "web:2@sha256:b", "web:3", "web:4", "web:5", "web:6"];
        assert_eq!(gone(&unpinned, "web:6"), ["web:2@sha256:b"], "of a tag alone nobody knows what it is");
    }

    /// Who has gone back far goes further back from there.
    #[test]
    fn images_stay_that_one_goes_back_to() {
        let mut records: Vec<Record> = Vec::new();
        for (number, tag) in (1..=8).zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
            records.push(record(number, (number > 1).then(|| number - 1), &format!("web:1@sha256:{tag}")));
        }
        records.push(record(9, Some(1), "web:1@sha256:b"));
        let gone = superseded(&History::of(records), &environment("web:9"));
        assert_eq!(
            gone.iter().filter_map(ImageRef::digest).collect::<Vec<_>>(),
            ["sha256:c", "sha256:d", "sha256:e"]
        );
    }

    /// As far as there are releases before it; and where the service was deployed last is not where all of it was.
    #[test]
    fn images_stay_of_the_whole_way_back_and_of_each_service() {
        let records = || -> Vec<Record> {
            let tags = (1..=8).zip(["a", "b", "c", "d", "e", "f", "g", "h"]);
            tags.map(|(n, tag)| record(n, n.checked_sub(1), &format!("web:1@sha256:{tag}"))).collect()
        };
        let gone = |last: Record| {
            let history = History::of(records().into_iter().chain([last]).collect());
            let gone = superseded(&history, &environment("web:9"));
            gone.iter().filter_map(ImageRef::digest).collect::<Vec<_>>().join(" ")
        };
        // Back to 3, from where one goes to 2 and 1.
        assert_eq!(gone(record(9, Some(2), "web:1@sha256:c")), "sha256:d sha256:e");
        // Something else has been deployed, and this service goes back to 1.
        let mut last = record(9, Some(8), "web:1@sha256:h");
        for shipped in last.services.values_mut() {
            shipped.before = Some(1);
        }
        assert_eq!(gone(last), "sha256:b sha256:c sha256:d sha256:e");
    }

    #[test]
    fn what_a_container_was_made_from_stays() {
        let images = ["web:1@sha256:a", "web:2@sha256:b", "web:3@sha256:c"].map(ImageRef::parse);
        let mut fleet = fleet("a: web-1 running two\nb:\n");
        for (ship, known) in [("a", ["one", "two"].as_slice()), ("b", &["two"])] {
            let Some(ShipView::Reachable(state)) = fleet.ships.get_mut(&ShipName::from(ship)) else {
                panic!()
            };
            let state = std::sync::Arc::make_mut(state);
            let observed = known.iter().map(|id| crate::fleet::ObservedImage {
                id: ImageId::new(format!("sha256:{id}")),
                tags: Vec::new(),
                digests: vec![if *id == "one" { "web@sha256:a" } else { "web@sha256:b" }.to_owned()],
            });
            state.images = Some(observed.collect());
        }
        let found = superfluous(&fleet, &images);
        let text =
            |ship: &str| found[&ShipName::from(ship)].iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            (text("a"), text("b")),
            (vec!["web:1@sha256:a".to_owned()], vec!["web:2@sha256:b".to_owned()])
        );
    }
}
