//! Corners of the dependency order that random worlds visit too rarely.

use super::world::{START, World, named, simulate};
use maestro_core::model::Phase;
use maestro_core::plan::{Intent, Limits};
use maestro_core::select::Selector;
use maestro_testkit::daemon::{Latency, Setup};
use std::time::Duration;

/// a needs b needs c; and in c, three takes volumes of two, which takes those of one.
const CHAIN: &str = "
__maestro: {schema: 2}
name: chain
ships: {s: {ip: 192.0.2.1}}
services:
  a: {image: x:1, requires: [b], instances: {a-1: {ship: s}}}
  b: {image: x:1, requires: [c], instances: {b-1: {ship: s}, b-2: {ship: s}}}
  c:
    image: x:1
    instances:
      three: {ship: s, volumes_from: [two]}
      two: {ship: s, volumes_from: [one]}
      one: {ship: s}
";

/// The containers in the order in which they were started.
fn started(calls: &str) -> Vec<&str> {
    calls.lines().filter_map(|line| line.split_once(": start ")).map(|(_, name)| name).collect()
}

fn stopped(calls: &str) -> Vec<&str> {
    let stops = calls.lines().filter_map(|line| line.split_once(": stop "));
    stops.map(|(_, rest)| rest.split_once(' ').map_or(rest, |(name, _)| name)).collect()
}

fn slow() -> World {
    World::with(CHAIN, |setup: Setup| setup.latency(Latency::of_all(Duration::from_millis(300))))
}

/// Takes containers away, as somebody else might.
fn lose(world: &World, names: &[&str]) {
    for name in names {
        world.ship("s").meddle(|machine, now| {
            machine.kill(name, None, now).unwrap();
            let how = maestro_testkit::state::Removal { volumes: true, force: false };
            machine.remove(name, how, now).unwrap();
        });
    }
}

#[test]
fn a_service_in_the_middle_that_is_up_keeps_both_sides_in_order() {
    simulate(async {
        let world = slow();
        world.act(&START, &Selector::default()).await;
        lose(&world, &["a-1", "one"]);
        let ran = world.act(&START, &Selector::default()).await;
        assert_eq!(started(&ran.calls()), ["one", "a-1"], "{}", ran.show());
        lose(&world, &["a-1", "b-2", "three"]);
        let ran = world.act(&START, &Selector::default()).await;
        assert_eq!(started(&ran.calls()), ["three", "b-2", "a-1"], "{}", ran.show());
    });
}

#[test]
fn a_service_in_the_middle_that_is_down_keeps_both_sides_in_order() {
    simulate(async {
        let world = slow();
        world.act(&START, &Selector::default()).await;
        lose(&world, &["b-1", "b-2"]);
        let ran = world.act(&Intent::Stop, &Selector::default()).await;
        assert_eq!(stopped(&ran.calls()), ["a-1", "three", "two", "one"], "{}", ran.show());
    });
}

#[test]
fn volumes_come_from_whoever_was_started_before_also_over_others() {
    simulate(async {
        let world = slow();
        world.act(&START, &Selector::default()).await;
        lose(&world, &["three", "one"]);
        let ran = world.act(&START, &Selector::default()).await;
        assert_eq!(started(&ran.calls()), ["one", "three"], "{}", ran.show());
        // The one in between is not even selected.
        lose(&world, &["three", "one"]);
        let ran = world.act(&START, &named(&["one", "three"])).await;
        assert_eq!(started(&ran.calls()), ["one", "three"], "{}", ran.show());
    });
}

#[test]
fn nobody_is_stopped_while_a_check_of_who_needs_it_still_runs() {
    let yaml = CHAIN.replace(
        "a: {image: x:1, requires: [b],",
        "a: {image: x:1, requires: [b], lifecycle: {pre-stop: [{type: exec, command: 'check pre-stop'}, {type: sleep, wait: 20}]},",
    );
    simulate(async {
        let world = World::new(&yaml);
        world.act(&START, &Selector::default()).await;
        world.probe.fail("a-1", Phase::PreStop, Duration::from_secs(1));
        let ran = world.act(&Intent::Stop, &Selector::default()).await;
        assert_eq!((ran.summary.tolerated, ran.summary.done), (1, 5), "{}", ran.show());
        assert!(ran.took >= Duration::from_secs(20), "{:?}\n{}", ran.took, ran.calls());
        assert!(world.ship("s").container("a-1").unwrap().is_running());
    });
}

#[test]
fn slots_come_back_from_whoever_is_skipped() {
    simulate(async {
        // b-1 fails, so a is never begun; everybody else has to get through a single slot.
        let yaml = format!("{CHAIN}  z: {{image: x:1, instances: {{z-1: {{ship: s}}, z-2: {{ship: s}}}}}}\n").replace(
            "b: {image: x:1, requires: [c],",
            "b: {image: x:1, requires: [c], lifecycle: {running: [{type: exec, command: 'check running', attempts: 1}, {type: sleep, wait: 3}]},",
        );
        let mut world = World::new(&yaml);
        world.limits = Limits { units: Some(1), calls: 1, calls_per_ship: 1, pulls_per_ship: 1 };
        world.probe.fail("b-1", Phase::Running, Duration::ZERO);
        let ran = world.act(&START, &Selector::default()).await;
        assert_eq!((ran.summary.done, ran.summary.failed, ran.summary.aborted), (6, 1, 1), "{}", ran.show());
    });
}
