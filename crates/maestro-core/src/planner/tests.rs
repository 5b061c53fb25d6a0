//! Plans in their text form, for small worlds.

mod budget;
mod deploy;
mod lint;

use super::plan;
use crate::check::lint;
use crate::config::{Limits as TextLimits, load};
use crate::engine_error::{EngineError, EngineErrorKind};
use crate::fleet::{
    ContainerState, EngineState, EngineVersion, FleetSnapshot, ObservedContainer, ObservedImage, ShipView,
};
use crate::image::ImageRef;
use crate::model::{ApiVersion, Environment, LABEL_ENVIRONMENT};
use crate::names::{ContainerId, ImageId, ShipName};
use crate::plan::{Intent, Limits, Plan, Restart};
use crate::select::{Selection, Selector, select};
use crate::source::MapSources;
use proptest::prelude::ProptestConfig;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Three services in a row, on two ships: web needs api needs db.
const SHOP: &str = "
__maestro: {schema: 2}
name: shop
registries: {main: {registry: 'https://reg:5000', username: ci, password: pw}}
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  db: {image: 'reg:5000/db:1', instances: {db-1: {ship: a}}}
  api:
    image: api:1
    requires: [db]
    instances: {api-1: {ship: a}, api-2: {ship: b}}
  web:
    image: web:1
    requires: [api]
    ports: {http: 80}
    lifecycle:
      running: [{type: tcp, port: http}, {type: sleep, wait: 1}]
      pre-stop: [{type: rexec, command: drain}]
    instances: {web-1: {ship: b}}
";

fn shop() -> Environment {
    load(&MapSources::of(SHOP), &TextLimits::default()).environment.unwrap()
}

/// So many random worlds, or as many as `PROPTEST_CASES` says.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => asked,
        None => ProptestConfig { cases: usual, ..asked },
    }
}

/// One line per ship: `a: db-1 running reg:5000/db:1, old exited x:1 | image:tag other:tag`, or `b: down`.
/// A container's image has the id that the image of that name has, unless a `*` follows it: then it is an older one.
pub(crate) fn fleet(text: &str) -> FleetSnapshot {
    let mut ships = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (name, rest) = line.split_once(':').unwrap();
        let ship = ShipName::from(name);
        let view = if rest.trim() == "down" {
            ShipView::Unreachable(EngineError {
                ship: ship.clone(),
                operation: "listing containers".into(),
                kind: EngineErrorKind::Unreachable {
                    address: "192.0.2.2:2375".into(),
                    cause: "connection refused".into(),
                },
                ambiguous: false,
            })
        } else {
            let (containers, images) = rest.split_once('|').unwrap_or((rest, ""));
            ShipView::Reachable(Arc::new(EngineState {
                version: EngineVersion {
                    engine: "20.10".into(),
                    api: ApiVersion { major: 1, minor: 41 },
                    min_api: Some(ApiVersion { major: 1, minor: 12 }),
                },
                containers: containers
                    .split(',')
                    .filter(|c| !c.trim().is_empty())
                    .map(container)
                    .map(|c| (c.name.clone(), c))
                    .collect(),
                images: Some(images.split_whitespace().map(image).collect()),
                image_configs: BTreeMap::new(),
                defaults: None,
            }))
        };
        ships.insert(ship, view);
    }
    FleetSnapshot { ships }
}

fn container(text: &str) -> ObservedContainer {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, state, image] = words[..] else { panic!("{text}") };
    let (state, owner) = state.split_once('@').unwrap_or((state, "shop"));
    ObservedContainer {
        id: ContainerId::new(format!("id-{name}")),
        name: name.into(),
        state: ContainerState::parse(state).unwrap(),
        health: None,
        image: ImageRef::parse(image.trim_end_matches('*')),
        image_id: ImageId::new(format!("sha256:{image}")),
        labels: BTreeMap::from([(LABEL_ENVIRONMENT.to_owned(), owner.to_owned())]),
        started_at: None,
        finished_at: None,
        exit_code: None,
        restarts: None,
        ports: std::collections::BTreeMap::new(),
        configuration: None,
    }
}

fn image(text: &str) -> ObservedImage {
    ObservedImage {
        id: ImageId::new(format!("sha256:{text}")),
        tags: vec![text.to_owned()],
        digests: Vec::new(),
    }
}

fn planned(fleet: &FleetSnapshot, intent: &Intent, selector: &Selector) -> Plan {
    let environment = shop();
    let selection = select(&environment, selector, intent.selection_rules()).unwrap();
    let plan = plan(&environment, fleet, intent, &selection, Limits::default());
    assert_eq!(lint(&plan, fleet), []);
    plan
}

fn shown(world: &str, intent: &Intent) -> String {
    planned(&fleet(world), intent, &Selector::default()).to_string()
}

fn named(things: &[&str]) -> Selector {
    Selector { things: things.iter().map(|t| (*t).to_owned()).collect(), ..Selector::default() }
}

const START: Intent = Intent::Start { refresh: false, reuse: false };

const ALL_IMAGES: &str = "| reg:5000/db:1 api:1 web:1";

#[test]
fn start_pulls_once_and_goes_from_the_needed_to_the_needing() {
    insta::assert_snapshot!(shown("a:\nb: | api:1", &START), @"
    start shop
      db-1 (db) on a: there is no container
      api-1 (api) on a: there is no container
      api-2 (api) on b: there is no container
      web-1 (web) on b: there is no container
        1. registry main on a: log in to https://reg:5000 as ci
        2. image reg:5000/db:1 on a: pull reg:5000/db:1 [after 1]
        3. db-1 on a: create db-1 from reg:5000/db:1 [after 2]
        4. db-1 on a: start db-1 [after 3]
        5. db-1 on a: wait until db-1 is running [after 4]
        6. image api:1 on a: pull api:1
        7. api-1 on a: create api-1 from api:1 [after 5 6]
        8. api-1 on a: start api-1 [after 7]
        9. api-1 on a: wait until api-1 is running [after 8]
       10. api-2 on b: create api-2 from api:1 [after 5]
       11. api-2 on b: start api-2 [after 10]
       12. api-2 on b: wait until api-2 is running [after 11]
       13. service api: done [after 9 12]
       14. image web:1 on b: pull web:1
       15. web-1 on b: create web-1 from web:1 [after 13 14]
       16. web-1 on b: start web-1 [after 15]
       17. web-1 on b: wait until web-1 is running [after 16]
       18. web-1 on b: running check tcp [after 17]
       19. web-1 on b: running check sleep [after 17]
    ");
}

#[test]
fn start_of_what_runs_does_nothing() {
    let world =
        "a: db-1 running reg:5000/db:1, api-1 running api:1\nb: api-2 paused api:1, web-1 restarting web:1";
    let plan = planned(&fleet(world), &START, &Selector::default());
    assert!(plan.is_empty());
    insta::assert_snapshot!(plan, @"
    start shop
      db-1 (db) on a: is up
      api-1 (api) on a: is up
      api-2 (api) on b: is up
      web-1 (web) on b: is up
    ");
}

#[test]
fn start_replaces_what_is_stopped_and_goes_round_what_is_blocked() {
    let world = format!("a: db-1 exited reg:5000/db:1, api-1 created@other api:1 {ALL_IMAGES}\nb: down");
    insta::assert_snapshot!(shown(&world, &START), @"
    start shop
      db-1 (db) on a: the container does not run
      api-1 (api) on a: blocked: a container of that name exists and is not ours: it is in the environment `other`
      api-2 (api) on b: blocked: ship b: listing containers: host down: 192.0.2.2:2375: connection refused
      web-1 (web) on b: blocked: ship b: listing containers: host down: 192.0.2.2:2375: connection refused
        1. db-1 on a: remove db-1
        2. db-1 on a: create db-1 from reg:5000/db:1 [after 1]
        3. db-1 on a: start db-1 [after 2]
        4. db-1 on a: wait until db-1 is running [after 3]
    ");
}

#[test]
fn start_with_reuse_starts_what_is_there() {
    let world = format!("a: db-1 exited reg:5000/db:1 {ALL_IMAGES}\nb:");
    let intent = Intent::Start { refresh: true, reuse: true };
    insta::assert_snapshot!(planned(&fleet(&world), &intent, &named(&["db"])), @"
    start shop
      db-1 (db) on a: the container does not run
        1. db-1 on a: start db-1
        2. db-1 on a: wait until db-1 is running [after 1]
    ");
}

#[test]
fn stop_goes_from_the_needing_to_the_needed_and_tolerates() {
    let world =
        "a: db-1 running reg:5000/db:1, api-1 exited api:1\nb: web-1 running web:1, api-2 running api:1";
    insta::assert_snapshot!(shown(world, &Intent::Stop), @"
    stop shop
      web-1 (web) on b: asked for
      api-1 (api) on a: is down
      api-2 (api) on b: asked for
      db-1 (db) on a: asked for
        1. web-1 on b: pre-stop check rexec
        2. web-1 on b: stop web-1 (grace 10 s) [after 1]
        3. web-1 on b: wait until web-1 is not running [after 2]
        4. api-2 on b: stop api-2 (grace 10 s) [after 3]
        5. api-2 on b: wait until api-2 is not running [after 4]
        6. db-1 on a: stop db-1 (grace 10 s) [after 5]
        7. db-1 on a: wait until db-1 is not running [after 6]
    ");
    insta::assert_snapshot!(shown("a: db-1 running reg:5000/db:1\nb: down", &Intent::Kill), @"
    kill shop
      web-1 (web) on b: cannot be seen: ship b: listing containers: host down: 192.0.2.2:2375: connection refused
      api-1 (api) on a: is down
      api-2 (api) on b: cannot be seen: ship b: listing containers: host down: 192.0.2.2:2375: connection refused
      db-1 (db) on a: asked for
        1. db-1 on a: kill db-1
        2. db-1 on a: wait until db-1 is not running [after 1]
    ");
}

#[test]
fn restart_has_the_image_before_it_stops_anything() {
    let world =
        "a: db-1 running reg:5000/db:1, api-1 running api:1\nb: api-2 running api:1, web-1 running web:1";
    let intent = Intent::Restart(Restart {
        refresh: true,
        step_delay: Duration::from_secs(2),
        stop_start_delay: Duration::from_secs(1),
        ..Restart::default()
    });
    insta::assert_snapshot!(shown(world, &intent), @"
    restart shop
      web-1 (web) on b: asked for
      api-1 (api) on a: asked for
      api-2 (api) on b: asked for
      db-1 (db) on a: asked for
        1. image web:1 on b: pull web:1
        2. web-1 on b: pre-stop check rexec [after 1]
        3. web-1 on b: stop web-1 (grace 10 s) [after 2]
        4. web-1 on b: wait until web-1 is not running [after 3]
        5. web-1 on b: wait 1 s between stop and start [after 4]
        6. web-1 on b: remove web-1 [after 5]
        7. web-1 on b: create web-1 from web:1 [after 6]
        8. web-1 on b: start web-1 [after 7]
        9. web-1 on b: wait until web-1 is running [after 8]
       10. web-1 on b: running check tcp [after 9]
       11. web-1 on b: running check sleep [after 9]
       12. service web: done [after 10 11]
       13. image api:1 on a: pull api:1
       14. api-1 on a: wait 2 s before the next instance [after 12 13]
       15. api-1 on a: stop api-1 (grace 10 s) [after 14]
       16. api-1 on a: wait until api-1 is not running [after 15]
       17. api-1 on a: wait 1 s between stop and start [after 16]
       18. api-1 on a: remove api-1 [after 17]
       19. api-1 on a: create api-1 from api:1 [after 18]
       20. api-1 on a: start api-1 [after 19]
       21. api-1 on a: wait until api-1 is running [after 20]
       22. image api:1 on b: pull api:1
       23. api-2 on b: wait 2 s before the next instance [after 12 22]
       24. api-2 on b: stop api-2 (grace 10 s) [after 23]
       25. api-2 on b: wait until api-2 is not running [after 24]
       26. api-2 on b: wait 1 s between stop and start [after 25]
       27. api-2 on b: remove api-2 [after 26]
       28. api-2 on b: create api-2 from api:1 [after 27]
       29. api-2 on b: start api-2 [after 28]
       30. api-2 on b: wait until api-2 is running [after 29]
       31. service api: done [after 21 30]
       32. registry main on a: log in to https://reg:5000 as ci
       33. image reg:5000/db:1 on a: pull reg:5000/db:1 [after 32]
       34. db-1 on a: wait 2 s before the next instance [after 31 33]
       35. db-1 on a: stop db-1 (grace 10 s) [after 34]
       36. db-1 on a: wait until db-1 is not running [after 35]
       37. db-1 on a: wait 1 s between stop and start [after 36]
       38. db-1 on a: remove db-1 [after 37]
       39. db-1 on a: create db-1 from reg:5000/db:1 [after 38]
       40. db-1 on a: start db-1 [after 39]
       41. db-1 on a: wait until db-1 is running [after 40]
    ");
}

#[test]
fn restart_only_if_changed_leaves_the_rest_alone() {
    let world = format!(
        "a: db-1 running reg:5000/db:1, api-1 running api:1* {ALL_IMAGES}\n\
         b: api-2 running api:1, web-1 exited web:1 {ALL_IMAGES}"
    );
    let intent = Intent::Restart(Restart { only_if_changed: true, ..Restart::default() });
    insta::assert_snapshot!(shown(&world, &intent), @"
    restart shop
      web-1 (web) on b: the container does not run
      api-1 (api) on a: the image has changed
      api-2 (api) on b: is up to date
      db-1 (db) on a: is up to date
        1. web-1 on b: remove web-1
        2. web-1 on b: create web-1 from web:1 [after 1]
        3. web-1 on b: start web-1 [after 2]
        4. web-1 on b: wait until web-1 is running [after 3]
        5. web-1 on b: running check tcp [after 4]
        6. web-1 on b: running check sleep [after 4]
        7. service web: done [after 5 6]
        8. api-1 on a: stop api-1 (grace 10 s) [after 7]
        9. api-1 on a: wait until api-1 is not running [after 8]
       10. api-1 on a: remove api-1 [after 9]
       11. api-1 on a: create api-1 from api:1 [after 10]
       12. api-1 on a: start api-1 [after 11]
       13. api-1 on a: wait until api-1 is running [after 12]
    ");
}

#[test]
fn pull_and_clean_have_no_order() {
    insta::assert_snapshot!(shown("a:\nb:", &Intent::Pull), @"
    pull shop
      db-1 (db) on a: asked for
      api-1 (api) on a: asked for
      api-2 (api) on b: asked for
      web-1 (web) on b: asked for
        1. registry main on a: log in to https://reg:5000 as ci
        2. image reg:5000/db:1 on a: pull reg:5000/db:1 [after 1]
        3. image api:1 on a: pull api:1
        4. image api:1 on b: pull api:1
        5. image web:1 on b: pull web:1
    ");
    let world = "a: db-1 exited reg:5000/db:1, api-1 running api:1\nb: web-1 dead web:1";
    insta::assert_snapshot!(shown(world, &Intent::Clean), @"
    clean shop
      db-1 (db) on a: asked for
      api-1 (api) on a: is running; left alone
      api-2 (api) on b: is absent
      web-1 (web) on b: asked for
        1. db-1 on a: remove db-1
        2. web-1 on b: remove web-1
    ");
}

#[test]
fn instances_wait_for_services_that_are_not_in_the_play() {
    // api is not selected; web still waits for db, which api needs.
    let world = format!("a: {ALL_IMAGES}\nb: {ALL_IMAGES}");
    insta::assert_snapshot!(planned(&fleet(&world), &START, &named(&["web", "db"])), @"
    start shop
      db-1 (db) on a: there is no container
      web-1 (web) on b: there is no container
        1. db-1 on a: create db-1 from reg:5000/db:1
        2. db-1 on a: start db-1 [after 1]
        3. db-1 on a: wait until db-1 is running [after 2]
        4. web-1 on b: create web-1 from web:1 [after 3]
        5. web-1 on b: start web-1 [after 4]
        6. web-1 on b: wait until web-1 is running [after 5]
        7. web-1 on b: running check tcp [after 6]
        8. web-1 on b: running check sleep [after 6]
    ");
}

#[test]
fn ignoring_dependencies_waits_for_nothing() {
    let world = format!("a: {ALL_IMAGES}\nb: {ALL_IMAGES}");
    let selector = Selector { ignore_dependencies: true, ..named(&["web", "db"]) };
    let plan = planned(&fleet(&world), &START, &selector);
    assert!(plan.steps.iter().all(|s| s.after.iter().all(|a| plan.step(*a).unwrap().unit == s.unit)));
}

#[test]
fn selection_follows_the_specification() {
    let environment = shop();
    let select = |selector: &Selector, intent: &Intent| -> Vec<String> {
        let Selection { instances, .. } = select(&environment, selector, intent.selection_rules()).unwrap();
        instances.iter().map(ToString::to_string).collect()
    };
    assert_eq!(select(&Selector::default(), &START), ["db-1", "api-1", "api-2", "web-1"]);
    assert_eq!(select(&Selector::default(), &Intent::Stop), ["web-1", "api-1", "api-2", "db-1"]);
    assert_eq!(select(&named(&["web", "db-1", "web-1"]), &START), ["db-1", "web-1"]);
    let with = Selector { with_dependencies: true, ..named(&["api"]) };
    assert_eq!(select(&with, &START), ["db-1", "api-1", "api-2"]);
    assert_eq!(select(&with, &Intent::Stop), ["web-1", "api-1", "api-2"]);
    let filtered = Selector { ship_filter: Some("b".into()), ..with };
    assert_eq!(select(&filtered, &START), ["api-2"]);
    let unknown = crate::select::select(&environment, &named(&["wbe"]), START.selection_rules());
    assert_eq!(unknown.unwrap_err().nearest.as_deref(), Some("web"));
}

#[test]
fn many_ships_share_the_calls() {
    let per_ship = |ships| Limits::default().among(ships).calls_per_ship;
    assert_eq!([0, 1, 128, 300, 1000, 100_000].map(per_ship), [16, 16, 16, 6, 2, 2]);
    assert_eq!(Limits { calls_per_ship: 1, ..Limits::default() }.among(1).calls_per_ship, 1);
}

/// Instances of one service, each of which takes the volumes of the one before.
const CHAIN: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}}
services:
  db:
    image: db:1
    instances:
      db-1: {ship: a}
      db-2: {ship: a, volumes_from: db-1}
      db-3: {ship: a, volumes_from: db-2}
";

#[test]
fn who_takes_volumes_waits_also_behind_one_with_nothing_to_do() {
    let environment = load(&MapSources::of(CHAIN), &TextLimits::default()).environment.unwrap();
    let selection = select(&environment, &Selector::default(), START.selection_rules()).unwrap();
    let shown =
        |world: &str| plan(&environment, &fleet(world), &START, &selection, Limits::default()).to_string();
    insta::assert_snapshot!(shown("a: db-1 exited db:1, db-2 running db:1 | db:1"), @"
    start shop
      db-1 (db) on a: the container does not run
      db-2 (db) on a: is up
      db-3 (db) on a: there is no container
        1. db-1 on a: remove db-1
        2. db-1 on a: create db-1 from db:1 [after 1]
        3. db-1 on a: start db-1 [after 2]
        4. db-1 on a: wait until db-1 is running [after 3]
        5. db-3 on a: create db-3 from db:1 [after 4]
        6. db-3 on a: start db-3 [after 5]
        7. db-3 on a: wait until db-3 is running [after 6]
    ");
    insta::assert_snapshot!(shown("a: db-1 exited@other db:1, db-2 running db:1 | db:1"), @"
    start shop
      db-1 (db) on a: blocked: a container of that name exists and is not ours: it is in the environment `other`
      db-2 (db) on a: is up
      db-3 (db) on a: blocked: needs db-1, which is blocked
    ");
}

/// Two instances of a service whose variables no program could be started with, and one that needs them.
pub(crate) fn talkative() -> Environment {
    let value = "x".repeat(120_000);
    let vars: Vec<String> = (0..20).map(|number| format!("V{number}: {value}")).collect();
    let text = format!(
        "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n\
         \x20 db: {{image: 'db:1', env: {{{}}}, instances: {{db-1: {{ship: a}}, db-2: {{ship: a}}}}}}\n\
         \x20 web: {{image: 'web:1', requires: [db], instances: {{web-1: {{ship: a}}}}}}\n",
        vars.join(", ")
    );
    load(&MapSources::of(text), &TextLimits::default()).environment.unwrap()
}

#[test]
fn what_could_not_be_started_is_neither_made_nor_stopped() {
    let environment = talkative();
    let world = fleet("a: db-1 running db:1, db-2 exited db:1, web-1 running web:1 | db:1 web:1");
    let shown = |intent: &Intent| {
        let selection = select(&environment, &Selector::default(), intent.selection_rules()).unwrap();
        let plan = plan(&environment, &world, intent, &selection, Limits::default());
        assert_eq!(lint(&plan, &world), []);
        plan.to_string()
    };
    insta::assert_snapshot!(shown(&START), @"
    start shop
      db-1 (db) on a: is up
      db-2 (db) on a: blocked: the variables of service `db` come to 2.3 MiB, and Linux starts no program with more than 2 MiB
      web-1 (web) on a: is up
    ");
    insta::assert_snapshot!(shown(&Intent::Restart(Restart::default())), @"
    restart shop
      web-1 (web) on a: asked for
      db-1 (db) on a: blocked: the variables of service `db` come to 2.3 MiB, and Linux starts no program with more than 2 MiB
      db-2 (db) on a: blocked: the variables of service `db` come to 2.3 MiB, and Linux starts no program with more than 2 MiB
        1. web-1 on a: stop web-1 (grace 10 s)
        2. web-1 on a: wait until web-1 is not running [after 1]
        3. web-1 on a: remove web-1 [after 2]
        4. web-1 on a: create web-1 from web:1 [after 3]
        5. web-1 on a: start web-1 [after 4]
        6. web-1 on a: wait until web-1 is running [after 5]
    ");
    // What is there is started as it is, and all else is done as ever.
    insta::assert_snapshot!(shown(&Intent::Start { refresh: false, reuse: true }), @"
    start shop
      db-1 (db) on a: is up
      db-2 (db) on a: the container does not run
      web-1 (web) on a: is up
        1. db-2 on a: start db-2
        2. db-2 on a: wait until db-2 is running [after 1]
    ");
    let none = fleet("a: web-1 running web:1 | db:1 web:1");
    let start = Intent::Start { refresh: false, reuse: true };
    let selection = select(&environment, &Selector::default(), start.selection_rules()).unwrap();
    let plan = plan(&environment, &none, &start, &selection, Limits::default()).to_string();
    assert_eq!(plan.matches("blocked: the variables of").count(), 2, "{plan}");
    insta::assert_snapshot!(shown(&Intent::Restart(Restart { reuse: true, ..Restart::default() })), @"
    restart shop
      web-1 (web) on a: asked for
      db-1 (db) on a: asked for
      db-2 (db) on a: the container does not run
        1. web-1 on a: stop web-1 (grace 10 s)
        2. web-1 on a: wait until web-1 is not running [after 1]
        3. web-1 on a: start web-1 [after 2]
        4. web-1 on a: wait until web-1 is running [after 3]
        5. db-1 on a: stop db-1 (grace 10 s) [after 4]
        6. db-1 on a: wait until db-1 is not running [after 5]
        7. db-1 on a: start db-1 [after 6]
        8. db-1 on a: wait until db-1 is running [after 7]
        9. db-2 on a: start db-2 [after 4]
       10. db-2 on a: wait until db-2 is running [after 9]
    ");
    insta::assert_snapshot!(shown(&Intent::Restart(Restart { only_if_changed: true, ..Restart::default() })), @"
    restart shop
      web-1 (web) on a: is up to date
      db-1 (db) on a: is up to date
      db-2 (db) on a: blocked: the variables of service `db` come to 2.3 MiB, and Linux starts no program with more than 2 MiB
    ");
    insta::assert_snapshot!(shown(&Intent::Stop), @"
    stop shop
      web-1 (web) on a: asked for
      db-1 (db) on a: asked for
      db-2 (db) on a: is down
        1. web-1 on a: stop web-1 (grace 10 s)
        2. web-1 on a: wait until web-1 is not running [after 1]
        3. db-1 on a: stop db-1 (grace 10 s) [after 2]
        4. db-1 on a: wait until db-1 is not running [after 3]
    ");
    insta::assert_snapshot!(shown(&Intent::Clean), @"
    clean shop
      db-1 (db) on a: is running; left alone
      db-2 (db) on a: asked for
      web-1 (web) on a: is running; left alone
        1. db-2 on a: remove db-2
    ");
}
