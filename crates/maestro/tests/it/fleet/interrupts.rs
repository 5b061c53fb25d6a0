//! Ctrl-C, at the moments at which it matters.

use super::world::{START, World, simulate};
use maestro_core::plan::{Intent, Limits};
use maestro_core::select::Selector;
use maestro_testkit::daemon::{Latency, Setup};
use maestro_testkit::faults::{Fault, Faults, On, When};
use maestro_testkit::state::{Behaviour, Content};
use std::time::Duration;

const SITE: &str = "
__maestro: {schema: 2}
name: site
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  db: {image: db:1, instances: {db-1: {ship: a}}}
  web:
    image: web:1
    requires: [db]
    instances: {web-1: {ship: a}, web-2: {ship: b}}
  log: {image: log:1, instances: {log-1: {ship: b}}}
";

#[test]
fn pressed_while_the_fleet_is_looked_at_nothing_is_begun() {
    simulate(async {
        let world = World::new(SITE);
        let ran = world.act_and_press(&START, &Selector::default(), &[0]).await;
        assert_eq!(ran.calls(), "");
        assert_eq!(ran.summary.interrupted, 4);
        assert!(!ran.summary.is_success());
    });
}

#[test]
fn pressed_once_what_was_begun_comes_to_its_end() {
    simulate(async {
        let world = World::with(SITE, |setup: Setup| setup.latency(Latency::of_all(Duration::from_secs(1))));
        // After the first pull has begun: db, web and log are being pulled, nothing else has been done.
        let pulled = world.act_and_press(&START, &Selector::default(), &[3]).await;
        insta::assert_snapshot!(pulled.calls(), @"
        0.000 a: pull db:1
        0.000 a: pull web:1
        0.000 b: pull log:1
        0.000 b: pull web:1
        ");
        // With images there, after db and log have been begun.
        let begun = world.act_and_press(&START, &Selector::default(), &[2]).await;
        insta::assert_snapshot!(begun.calls(), @"
        0.000 a: create db-1 from db:1
        0.000 b: create log-1 from log:1
        1.000 a: start db-1
        1.000 b: start log-1
        ");
        assert_eq!((begun.summary.done, begun.summary.interrupted), (2, 2));
        insta::assert_snapshot!(begun.words(), @"2 started, 2 left by the interrupt");
    });
}

#[test]
fn pressed_twice_it_ends_at_once_and_is_no_success() {
    simulate(async {
        let stubborn = Content::new("stubborn", Behaviour::ignores_term());
        let world = World::with(SITE, |setup: Setup| {
            ["db:1", "web:1", "log:1"].into_iter().fold(setup, |setup, image| setup.image(image, &stubborn))
        });
        world.act(&START, &Selector::default()).await;
        // Both webs and log are being stopped, which takes ten seconds.
        let ran = world.act_and_press(&Intent::Stop, &Selector::default(), &[4, 5]).await;
        assert_eq!(ran.summary.interrupted, 4, "{}", ran.show());
        assert!(!ran.summary.is_success());
        assert!(ran.took < Duration::from_secs(1), "{:?}", ran.took);
    });
}

#[test]
fn pressed_twice_a_ship_that_hangs_is_not_waited_for() {
    simulate(async {
        let mut world = World::new(SITE);
        world.limits = Limits { units: Some(1), ..Limits::default() };
        for engine in world.ships.values() {
            engine.set_faults(Faults::none().and(On::Writes, When::Always, Fault::Hangs));
        }
        let ran = world.act_and_press(&START, &Selector::default(), &[2, 2]).await;
        assert_eq!(ran.summary.interrupted, 4, "{}", ran.show());
        assert_eq!(ran.took, Duration::ZERO);
    });
}
