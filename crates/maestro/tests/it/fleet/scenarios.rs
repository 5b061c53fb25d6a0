//! What users do, call by call: every request that changes something, with the time at which it is made.

use super::world::{Ran, START, World, named, restart, simulate};
use maestro_core::model::Phase;
use maestro_core::plan::{Intent, Limits, Restart};
use maestro_core::select::Selector;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::state::{Behaviour, Content};
use std::time::Duration;

/// web needs db, on two ships, from a registry with a login; three webs.
const SHOP: &str = "
__maestro: {schema: 2}
name: shop
registries: {main: {registry: 'https://reg:5000', username: ci, password: secret}}
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  db: {image: 'reg:5000/db:1', instances: {db-1: {ship: a}}}
  web:
    image: 'reg:5000/web:1'
    requires: [db]
    lifecycle:
      running: [{type: exec, command: 'check running', attempts: 1}]
      pre-stop: [{type: exec, command: 'check pre-stop', attempts: 1}]
      stopped: [{type: exec, command: 'check stopped', attempts: 1}]
    instances: {web-1: {ship: a}, web-2: {ship: b}, web-3: {ship: b}}
";

/// The same file with a new tag of the web's image, over the same fleet.
fn released(world: &World) -> World {
    let next = World::new(&SHOP.replace("web:1", "web:2"));
    world.registries.push("reg:5000/web:2", &super::world::current("reg:5000/web:2"));
    World {
        environment: next.environment,
        ships: world.ships.clone(),
        registries: world.registries.clone(),
        probe: world.probe.clone(),
        limits: world.limits,
        dawdle: None,
    }
}

/// The registry and the ships get another content by the same tag.
fn repushed(world: &World, image: &str) {
    world.registries.push(image, &Content::new("pushed again", Behaviour::forever()));
}

async fn up() -> World {
    let world = World::new(SHOP);
    assert!(world.act(&START, &Selector::default()).await.summary.is_success());
    world
}

fn told(ran: &Ran) -> String {
    format!("{}{}", ran.calls(), ran.words())
}

#[test]
fn pull_stop_clean_start_with_a_new_tag() {
    simulate(async {
        let world = released(&up().await);
        let web = named(&["web"]);
        insta::assert_snapshot!(told(&world.act(&Intent::Pull, &web).await), @"
        0.000 a: log in to https://reg:5000 as ci
        0.000 b: log in to https://reg:5000 as ci
        0.000 a: pull reg:5000/web:2
        0.000 b: pull reg:5000/web:2
        3 pulled
        ");
        insta::assert_snapshot!(told(&world.act(&Intent::Stop, &web).await), @"
        0.000 a: stop web-1 (grace 10 s)
        0.000 b: stop web-2 (grace 10 s)
        0.000 b: stop web-3 (grace 10 s)
        3 stopped
        ");
        insta::assert_snapshot!(told(&world.act(&Intent::Clean, &web).await), @"
        0.000 a: remove web-1
        0.000 b: remove web-2
        0.000 b: remove web-3
        3 removed
        ");
        insta::assert_snapshot!(told(&world.act(&START, &web).await), @"
        0.000 a: create web-1 from reg:5000/web:2
        0.000 b: create web-2 from reg:5000/web:2
        0.000 b: create web-3 from reg:5000/web:2
        0.000 a: start web-1
        0.000 b: start web-2
        0.000 b: start web-3
        3 started
        ");
        for (ship, name) in [("a", "web-1"), ("b", "web-2"), ("b", "web-3")] {
            assert_eq!(world.ship(ship).container(name).unwrap().config.image, "reg:5000/web:2");
        }
        insta::assert_snapshot!(told(&world.act(&START, &web).await), @"all is up to date: 3 unchanged");
    });
}

#[test]
fn start_from_nothing() {
    simulate(async {
        let world = World::new(SHOP);
        insta::assert_snapshot!(told(&world.act(&START, &Selector::default()).await), @"
        0.000 a: log in to https://reg:5000 as ci
        0.000 b: log in to https://reg:5000 as ci
        0.000 a: pull reg:5000/db:1
        0.000 a: pull reg:5000/web:1
        0.000 b: pull reg:5000/web:1
        0.000 a: create db-1 from reg:5000/db:1
        0.000 a: start db-1
        0.060 a: create web-1 from reg:5000/web:1
        0.060 b: create web-2 from reg:5000/web:1
        0.060 b: create web-3 from reg:5000/web:1
        0.060 a: start web-1
        0.060 b: start web-2
        0.060 b: start web-3
        4 started
        ");
    });
}

#[test]
fn restart_everything() {
    simulate(async {
        let world = up().await;
        insta::assert_snapshot!(told(&world.act(&restart(), &Selector::default()).await), @"
        0.000 a: stop web-1 (grace 10 s)
        0.000 b: stop web-2 (grace 10 s)
        0.000 b: stop web-3 (grace 10 s)
        0.010 a: remove web-1
        0.010 b: remove web-2
        0.010 b: remove web-3
        0.010 a: create web-1 from reg:5000/web:1
        0.010 b: create web-2 from reg:5000/web:1
        0.010 b: create web-3 from reg:5000/web:1
        0.010 a: start web-1
        0.010 b: start web-2
        0.010 b: start web-3
        0.080 a: stop db-1 (grace 10 s)
        0.090 a: remove db-1
        0.090 a: create db-1 from reg:5000/db:1
        0.090 a: start db-1
        4 restarted
        ");
    });
}

#[test]
fn pull_and_restart_only_if_changed() {
    simulate(async {
        let world = up().await;
        repushed(&world, "reg:5000/db:1");
        let changed = Intent::Restart(Restart { only_if_changed: true, ..Restart::default() });
        // Pull here is not judged against the old content.
        world.try_act(&Intent::Pull, &Selector::default(), &[]).await;
        insta::assert_snapshot!(told(&world.act(&changed, &Selector::default()).await), @"
        0.000 a: stop db-1 (grace 10 s)
        0.010 a: remove db-1
        0.010 a: create db-1 from reg:5000/db:1
        0.010 a: start db-1
        1 restarted, 3 unchanged
        ");
        insta::assert_snapshot!(told(&world.act(&changed, &Selector::default()).await), @"all is up to date: 4 unchanged");
    });
}

#[test]
fn start_again_what_was_stopped() {
    simulate(async {
        let world = up().await;
        let web = named(&["web"]);
        world.act(&Intent::Stop, &web).await;
        let id = world.ship("b").container("web-2").unwrap().id;
        let reuse = Intent::Start { refresh: false, reuse: true };
        insta::assert_snapshot!(told(&world.act(&reuse, &web).await), @"
        0.000 a: start web-1
        0.000 b: start web-2
        0.000 b: start web-3
        3 started
        ");
        assert_eq!(world.ship("b").container("web-2").unwrap().id, id);
    });
}

#[test]
fn kill_asks_nobody() {
    simulate(async {
        let world = up().await;
        insta::assert_snapshot!(told(&world.act(&Intent::Kill, &Selector::default()).await), @"
        0.000 a: kill web-1
        0.000 b: kill web-2
        0.000 b: kill web-3
        0.010 a: kill db-1
        4 killed
        ");
    });
}

#[test]
fn stop_tolerates_a_container_that_refuses() {
    simulate(async {
        let world = up().await;
        let no = Fault::Refused(500, "cannot stop container: permission denied".to_owned());
        world.ship("b").set_faults(Faults::none().and(On::Only(Operation::Stop), When::Nth(1), no));
        world.probe.fail("web-1", Phase::PreStop, Duration::from_millis(200));
        let ran = world.act(&Intent::Stop, &Selector::default()).await;
        insta::assert_snapshot!(told(&ran), @"
        0.000 b: stop web-2 (grace 10 s) (the engine answered 500: cannot stop container: permission denied)
        0.000 b: stop web-3 (grace 10 s)
        0.200 a: stop db-1 (grace 10 s)
        WARNING: web-1: ship a: exec check pre-stop check failed after 1 attempt: exit code 1
        WARNING: web-2: ship b: stopping container web-2: the engine answered 500: cannot stop container: permission denied
        2 stopped, 2 could not be stopped
        ");
        assert!(ran.summary.is_success());
    });
}

#[test]
fn restart_leaves_a_container_that_refuses_to_stop() {
    simulate(async {
        let world = up().await;
        let no = Fault::Refused(500, "cannot stop container: permission denied".to_owned());
        world.ship("b").set_faults(Faults::none().and(On::Only(Operation::Stop), When::Nth(1), no));
        let ran = world.act(&restart(), &named(&["web"])).await;
        insta::assert_snapshot!(told(&ran), @"
        0.000 a: stop web-1 (grace 10 s)
        0.000 b: stop web-2 (grace 10 s) (the engine answered 500: cannot stop container: permission denied)
        0.000 b: stop web-3 (grace 10 s)
        0.010 a: remove web-1
        0.010 b: remove web-3
        0.010 a: create web-1 from reg:5000/web:1
        0.010 b: create web-3 from reg:5000/web:1
        0.010 a: start web-1
        0.010 b: start web-3
        WARNING: web-2: ship b: stopping container web-2: the engine answered 500: cannot stop container: permission denied
        2 restarted, 1 could not be restarted
        ");
        assert!(ran.summary.is_success());
    });
}

#[test]
fn restart_starts_what_it_has_stopped_whatever_a_check_says() {
    simulate(async {
        let world = up().await;
        world.probe.fail("web-1", Phase::Stopped, Duration::from_millis(200));
        let ran = world.act(&restart(), &named(&["web-1"])).await;
        insta::assert_snapshot!(told(&ran), @"
        0.000 a: stop web-1 (grace 10 s)
        0.210 a: remove web-1
        0.210 a: create web-1 from reg:5000/web:1
        0.210 a: start web-1
        WARNING: web-1: ship a: exec check stopped check failed after 1 attempt: exit code 1
        1 restarted
        ");
        assert!(ran.summary.is_success());
    });
}

#[test]
fn restart_one_by_one_halts_at_the_first_failure() {
    simulate(async {
        let mut world = up().await;
        world.limits = Limits { units: Some(1), ..Limits::default() };
        world.probe.fail("web-2", Phase::Running, Duration::from_secs(1));
        let pauses = Restart {
            step_delay: Duration::from_secs(2),
            stop_start_delay: Duration::from_secs(1),
            ..Restart::default()
        };
        let ran = world.act(&Intent::Restart(pauses), &Selector::default()).await;
        insta::assert_snapshot!(told(&ran), @"
        0.000 a: stop web-1 (grace 10 s)
        1.010 a: remove web-1
        1.010 a: create web-1 from reg:5000/web:1
        1.010 a: start web-1
        3.080 b: stop web-2 (grace 10 s)
        4.090 b: remove web-2
        4.090 b: create web-2 from reg:5000/web:1
        4.090 b: start web-2
        ERROR: web-2: ship b: exec check running check failed after 1 attempt: exit code 1
        1 restarted, 1 failed, 2 aborted
        ");
        assert_eq!((ran.summary.done, ran.summary.failed, ran.summary.aborted), (1, 1, 2));
    });
}

#[test]
fn restart_halts_and_finishes_the_pulls_that_have_begun() {
    simulate(async {
        let world = released(&up().await);
        world.registries.withdraw("reg:5000/web:2");
        let slow = Content::new("slow", Behaviour::forever()).with_layers(vec![1, 1], Duration::from_secs(4));
        world.registries.push("reg:5000/db:1", &slow);
        let refresh = Intent::Restart(Restart { refresh: true, ..Restart::default() });
        let ran = world.act(&refresh, &Selector::default()).await;
        insta::assert_snapshot!(told(&ran), @"
        0.000 a: log in to https://reg:5000 as ci
        0.000 b: log in to https://reg:5000 as ci
        0.000 a: pull reg:5000/web:2 (manifest for reg:5000/web:2 not found: manifest unknown: manifest unknown)
        0.000 a: pull reg:5000/db:1
        0.000 b: pull reg:5000/web:2 (manifest for reg:5000/web:2 not found: manifest unknown: manifest unknown)
        ERROR: web-1, web-2, web-3: ships a, b: pulling reg:5000/web:2: manifest for reg:5000/web:2 not found: manifest unknown: manifest unknown
          hint: check the image's name and tag, and that it has been pushed to that registry
        3 failed, 1 aborted
        ");
        assert_eq!((ran.summary.failed, ran.summary.aborted), (3, 1));
        assert_eq!(ran.summary.took, Duration::from_secs(8));
    });
}

#[test]
fn restart_leaves_what_could_not_be_started_again() {
    simulate(async {
        let before = up().await;
        // 20 variables of 120,000 bytes each.
        let vars: Vec<String> = (0..20).map(|n| format!("V{n}: {}", "x".repeat(120_000))).collect();
        let talkative = format!("instances: {{web-1: {{ship: a, env: {{{}}}}}, web-2:", vars.join(", "));
        let next = World::new(&SHOP.replace("instances: {web-1: {ship: a}, web-2:", &talkative));
        let world = World { environment: next.environment, ..before };
        let ran = world.act(&restart(), &named(&["web"])).await;
        insta::assert_snapshot!(told(&ran), @"
        0.000 b: stop web-2 (grace 10 s)
        0.000 b: stop web-3 (grace 10 s)
        0.010 b: remove web-2
        0.010 b: remove web-3
        0.010 b: create web-2 from reg:5000/web:1
        0.010 b: create web-3 from reg:5000/web:1
        0.010 b: start web-2
        0.010 b: start web-3
        ERROR: web-1: ship a: the variables of service `web` come to 2.3 MiB, and Linux starts no program with more than 2 MiB
          note: 2.3 MiB of that are the container's own variables and its command
          hint: put what is long into a file that is mounted; or let the stack of its programs grow: `ulimits: {stack: 10485760}`
        2 restarted, 1 blocked
        ");
        assert_eq!((ran.summary.done, ran.summary.blocked), (2, 1));
        assert!(!ran.summary.is_success());
        // It runs as it did, until it is stopped; then nothing brings it back.
        assert!(world.act(&Intent::Stop, &named(&["web"])).await.summary.is_success());
        let ran = world.act(&START, &named(&["web"])).await;
        insta::assert_snapshot!(told(&ran), @"
        0.000 b: remove web-2
        0.000 b: remove web-3
        0.000 b: create web-2 from reg:5000/web:1
        0.000 b: create web-3 from reg:5000/web:1
        0.000 b: start web-2
        0.000 b: start web-3
        ERROR: web-1: ship a: the variables of service `web` come to 2.3 MiB, and Linux starts no program with more than 2 MiB
          note: 2.3 MiB of that are the container's own variables and its command
          hint: put what is long into a file that is mounted; or let the stack of its programs grow: `ulimits: {stack: 10485760}`
        2 started, 1 blocked
        ");
    });
}
