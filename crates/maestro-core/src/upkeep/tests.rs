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

fn gone_of(history: &History, environment: &Environment, others: Vec<ImageRef>) -> Vec<ImageRef> {
    superseded(history, &needed(history, None), environment, others)
}

fn gone(images: &[&str], today: &str) -> Vec<String> {
    let numbered = (1_u64..).zip(images);
    let records = numbered
        .map(|(number, image)| record(number, number.checked_sub(1).filter(|before| *before > 0), image));
    let history = History::of(records.collect());
    gone_of(&history, &environment(today), Vec::new()).iter().map(ToString::to_string).collect()
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
    let gone = gone_of(&History::of(records), &environment("web:9"), Vec::new());
    assert_eq!(
        gone.iter().filter_map(ImageRef::digest).collect::<Vec<_>>(),
        ["sha256:c", "sha256:d", "sha256:e"]
    );
}

/// Nothing is needed of what is not listed any more, and everything that one goes back to from what has just been recorded.
#[test]
fn what_is_needed_is_listed_and_the_newest_one_counts() {
    let records: Vec<Record> =
        (5..=12).map(|number| record(number, Some(number - 1), &format!("web:1@sha256:{number}"))).collect();
    let mut history = records.clone();
    for shipped in history.last_mut().unwrap().services.values_mut() {
        shipped.before = Some(3);
    }
    let history = History::of(history);
    assert_eq!(needed(&history, None), BTreeSet::from([9, 10, 11, 12]));
    let news = Outline { before: Some(6), back_to: Some(7), services: records[2].services.clone() };
    assert_eq!(needed(&history, Some(&news)), BTreeSet::from([5, 6, 9, 10, 11, 12]));
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
        let gone = gone_of(&history, &environment("web:9"), Vec::new());
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
        let Some(ShipView::Reachable(state)) = fleet.ships.get_mut(&ShipName::from(ship)) else { panic!() };
        let state = std::sync::Arc::make_mut(state);
        let observed = known.iter().map(|id| crate::fleet::ObservedImage {
            id: ImageId::new(format!("sha256:{id}")),
            tags: Vec::new(),
            digests: vec![if *id == "one" { "web@sha256:a" } else { "web@sha256:b" }.to_owned()],
        });
        state.images = Some(observed.collect());
    }
    let found = superfluous(&fleet, &images, &[]);
    let text = |ship: &str| found[&ShipName::from(ship)].iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (text("a"), text("b")),
        (vec!["web:1@sha256:a".to_owned()], vec!["web:2@sha256:b".to_owned()])
    );
}

/// An environment with these instances of `web`, each on a ship.
fn having(instances: &str) -> Environment {
    let text = format!(
        "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}, b: {{ip: 192.0.2.2}}}}\nservices:\n  web: \
         {{image: 'web:1', instances: {{{instances}}}}}\n"
    );
    load(&MapSources::of(text), &Limits::default()).environment.unwrap()
}

/// Ships with containers of the service `web`, but for those of `job-…`, whose names tell their instances.
fn standing(text: &str) -> FleetSnapshot {
    let mut fleet = fleet(text);
    for view in fleet.ships.values_mut() {
        let ShipView::Reachable(state) = view else { continue };
        for (name, container) in &mut std::sync::Arc::make_mut(state).containers {
            if name.starts_with("nobodys") {
                continue;
            }
            let service = name.split('-').next().unwrap();
            let instance = name.split('.').next().unwrap();
            container.labels.insert(crate::model::LABEL_SERVICE.into(), service.into());
            container.labels.insert(crate::model::LABEL_INSTANCE.into(), instance.into());
        }
    }
    fleet
}

fn names(found: &[Forsaken<'_>]) -> Vec<String> {
    found.iter().map(|one| at(&one.container.name, one.ship).to_string()).collect()
}

#[test]
fn only_containers_that_nobody_can_want_back_go() {
    let file = having("web-1: {ship: a}, web-2: {ship: b}");
    let fleet = standing(
        "a: web-1 exited web:1, web-1.kept-1-x exited web:1, web-2 exited web:1, web-2.kept-1-x created web:1, \
            web-3 running web:1, web-3.kept-1-x exited web:1, web-4 exited web:1, web-5 exited@other web:1, \
            web-6 dead web:1, web-7 paused web:1, web-8 restarting web:1, web-9 removing web:1, \
            job-1 exited job:1, nobodys exited x:1
         b: web-2 running web:1, web-4 exited web:1
         c: down",
    );
    let web = BTreeSet::from(["web".into()]);
    let all = forsaken(&file, &fleet, &web, &[]);
    assert_eq!(
        names(&all),
        ["web-2@a", "web-2.kept-1-x@a", "web-3.kept-1-x@a", "web-4@a", "web-4@b"],
        "what runs, is in the file, or another's"
    );
    let kept = [having("web-4: {ship: b}"), having("web-2: {ship: a}, web-3: {ship: b}")];
    let found = forsaken(&file, &fleet, &web, &kept.each_ref());
    assert_eq!(
        names(&found),
        ["web-3.kept-1-x@a", "web-4@a"],
        "what a release has there that one may go back to"
    );
    assert_eq!(
        names(&forsaken(&file, &fleet, &BTreeSet::new(), &[])),
        [""; 0],
        "what was never deployed from here"
    );
}

/// A service that is gone as a whole may be that of another file of the same name: as long as it lives, nothing of it goes.
#[test]
fn what_may_be_another_files_stays_as_long_as_it_lives() {
    let file = having("web-1: {ship: a}");
    let services = BTreeSet::from(["web".into(), "job".into()]);
    for (world, expected) in [
        ("a: job-1 exited job:1\nb:", vec!["job-1@a"]),
        ("a: job-1 exited job:1\nb: job-2 running job:1", vec![]),
        ("a: job-1 exited job:1\nb: job-2 running@other job:1", vec!["job-1@a"]),
        ("a: job-1 exited job:1\nb: down", vec![]),
        // What the file has in part is its own.
        ("a: web-2 exited web:1\nb: down", vec!["web-2@a"]),
        ("a: web-1 running web:1, web-2 exited web:1\nb:", vec!["web-2@a"]),
    ] {
        assert_eq!(names(&forsaken(&file, &standing(world), &services, &[])), expected, "{world}");
    }
}

/// An image goes after the container that holds it, and not where another one does.
#[test]
fn images_go_after_the_containers_that_were_made_from_them() {
    let file = having("web-1: {ship: b}");
    let mut fleet = standing("a: web-3 exited one\nb: web-1 running one, web-3 exited one\n");
    for view in fleet.ships.values_mut() {
        let ShipView::Reachable(state) = view else { continue };
        let image = crate::fleet::ObservedImage {
            id: ImageId::new("sha256:one".to_owned()),
            tags: Vec::new(),
            digests: vec!["web@sha256:a".to_owned()],
        };
        std::sync::Arc::make_mut(state).images = Some(vec![image]);
    }
    let going = forsaken(&file, &fleet, &BTreeSet::from(["web".into()]), &[]);
    let images = [ImageRef::parse("web:1@sha256:a")];
    assert!(superfluous(&fleet, &images, &[]).is_empty(), "there are containers of it everywhere");
    let plan = plan(&file, &going, superfluous(&fleet, &images, &going));
    let steps: Vec<String> = plan
        .ids()
        .zip(&plan.steps)
        .map(|(id, step)| {
            let ship = plan.unit_of(id).and_then(Unit::ship).unwrap();
            format!("{ship}: {} {:?}", step.action, step.after.iter().map(|id| id.0).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(steps, ["a: remove web-3 []", "b: remove web-3 []", "a: remove web:1@sha256:a [0]"]);
}

/// What a deployment has brought that came to nothing goes, but for what a release has that is kept.
#[test]
fn images_of_what_came_to_nothing_go() {
    let history = History::of(vec![record(1, None, "web:1@sha256:a")]);
    let brought =
        ["web:1@sha256:a", "web:2@sha256:b", "web:2", "web:3@sha256:c"].map(ImageRef::parse).to_vec();
    let gone = gone_of(&history, &environment("web:3@sha256:c"), brought);
    assert_eq!(gone.iter().map(ToString::to_string).collect::<Vec<_>>(), ["web:2@sha256:b"]);
}
