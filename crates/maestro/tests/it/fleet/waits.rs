//! Waiting for containers: looks are shared, bounded, and survive whoever took them.

use super::world::{START, World, simulate};
use maestro_core::model::Phase;
use maestro_core::plan::Intent;
use maestro_core::select::Selector;
use maestro_testkit::daemon::{Latency, Setup};
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::state::{Behaviour, Content};
use std::fmt::Write as _;
use std::time::Duration;

/// So many instances of one service on one ship.
fn crowd(count: usize, lifecycle: &str) -> String {
    let mut text = format!(
        "__maestro: {{schema: 2}}\nname: sim\nships: {{s1: {{ip: 192.0.2.1}}}}\nservices:\n  web:\n    \
         image: web:1\n    lifecycle: {lifecycle}\n    instances:\n"
    );
    for number in 0..count {
        writeln!(text, "      web-{number}: {{ship: s1}}").unwrap();
    }
    text
}

fn observations(world: &World) -> u64 {
    world.ship("s1").calls().get(&Operation::Observe).copied().unwrap_or(0)
}

#[test]
fn a_crowd_that_waits_looks_once_at_a_time() {
    simulate(async {
        let healthy = Content::new("healthy", Behaviour::healthy(Duration::from_secs(20)));
        let yaml = crowd(100, "{running: [{type: health, max_wait: 60}]}");
        let latency = Latency::of_all(Duration::from_millis(5));
        let world =
            World::with(&yaml, |setup: Setup| setup.latency(latency.clone()).image("web:1", &healthy));
        let ran = world.act(&START, &Selector::default()).await;
        assert_eq!(ran.summary.done, 100, "{}", ran.said);
        // Each container looks about sixty times, most of the time together with others.
        assert!(observations(&world) < 1_000, "{}", observations(&world));
        assert!(world.ship("s1").busiest() <= 17, "{}", world.ship("s1").busiest());
    });
}

#[test]
fn a_crowd_that_does_not_start_looks_once_at_a_time() {
    simulate(async {
        let broken = Content::new("broken", Behaviour::exits(Duration::from_millis(1), 1));
        let latency = Latency::of_all(Duration::from_millis(5));
        let world = World::with(&crowd(100, "{}"), |setup: Setup| {
            setup.latency(latency.clone()).image("web:1", &broken)
        });
        let ran = world.act(&START, &Selector::default()).await;
        assert_eq!(ran.summary.failed, 100);
        assert_eq!(ran.said.matches("exited with code 1").count(), 25, "{}", ran.said);
        assert!(world.ship("s1").busiest() <= 17, "{}", world.ship("s1").busiest());
    });
}

#[test]
fn a_program_that_ends_at_once_is_told_as_such_however_slow_the_engine() {
    for slow in [70, 300, 900] {
        simulate(async {
            let slow = Duration::from_millis(slow);
            let broken = Content::new("broken", Behaviour::lingers(slow, 1));
            let latency = Latency::default().but(Operation::Start, slow);
            let world = World::with(&crowd(4, "{}"), |setup: Setup| {
                setup.latency(latency.clone()).image("web:1", &broken)
            });
            let ran = world.act(&START, &Selector::default()).await;
            assert_eq!((ran.summary.done, ran.summary.failed), (0, 4), "{slow:?} {}", ran.said);
        });
    }
}

#[test]
fn a_look_outlives_whoever_took_it() {
    simulate(async {
        // The guard of web-0's check takes a look that lasts two seconds; the check ends in the middle of it, while
        // the others wait for its result.
        let yaml = crowd(4, "{running: [{type: exec, command: 'check running', attempts: 1}]}");
        let latency = Latency::default().but(Operation::Observe, Duration::from_secs(2));
        let web = Content::new("web", Behaviour::forever());
        let world = World::with(&yaml, |setup: Setup| setup.latency(latency.clone()).image("web:1", &web));
        for (name, after) in [("web-0", 1_100), ("web-1", 2_500), ("web-2", 4_100), ("web-3", 0)] {
            world.probe.delay(name, Phase::Running, Duration::from_millis(after));
        }
        let ran = world.act(&START, &Selector::default()).await;
        assert_eq!(ran.summary.done, 4, "{}", ran.show());
        // Whoever asks when a look has begun waits for the next one: two looks, then the longest check, two looks again.
        assert!(ran.took < Duration::from_secs(16), "{:?}", ran.took);
    });
}

#[test]
fn a_container_that_ends_while_it_is_checked_is_noticed() {
    simulate(async {
        let brief = Content::new("brief", Behaviour::exits(Duration::from_secs(3), 7));
        let yaml = crowd(1, "{running: [{type: exec, command: 'check running', attempts: 1}]}");
        let world = World::with(&yaml, |setup: Setup| setup.image("web:1", &brief));
        world.probe.delay("web-0", Phase::Running, Duration::from_mins(10));
        let ran = world.act(&START, &Selector::default()).await;
        assert!(
            ran.said.contains("web-0: ship s1: web-0 did not stay running: it is exited with code 7"),
            "{}",
            ran.said
        );
        assert!(ran.took < Duration::from_secs(6), "{:?}", ran.took);
    });
}

#[test]
fn a_container_that_ends_just_before_its_check_does_is_noticed() {
    simulate(async {
        // The guard looks once a second.
        let brief = Content::new("brief", Behaviour::exits(Duration::from_millis(700), 7));
        let yaml = crowd(1, "{running: [{type: exec, command: 'check running', attempts: 1}]}");
        let world = World::with(&yaml, |setup: Setup| setup.image("web:1", &brief));
        world.probe.delay("web-0", Phase::Running, Duration::from_secs(1));
        let ran = world.act(&START, &Selector::default()).await;
        assert!(ran.said.contains("web-0 did not stay running: it is exited with code 7"), "{}", ran.said);
    });
}

#[test]
fn a_stop_takes_the_grace_that_it_needs() {
    simulate(async {
        let stubborn = Content::new("stubborn", Behaviour::ignores_term());
        let world = World::with(&crowd(3, "{}"), |setup: Setup| setup.image("web:1", &stubborn));
        world.act(&START, &Selector::default()).await;
        let ran = world.act(&Intent::Stop, &Selector::default()).await;
        assert_eq!(ran.summary.done, 3, "{}", ran.show());
        assert!(ran.took >= Duration::from_secs(10) && ran.took < Duration::from_secs(12), "{:?}", ran.took);
    });
}

#[test]
fn a_ship_that_goes_away_while_a_check_runs_is_noticed() {
    for (fault, cause, within) in [
        (Fault::Unreachable, "listing containers: host down: 127.0.0.1:2375: connection refused", 6),
        (Fault::Hangs, "listing containers: no answer from 127.0.0.1:2375 within 5 s", 16),
    ] {
        simulate(async {
            let yaml = crowd(20, "{running: [{type: exec, command: 'check running', attempts: 1}]}");
            let world = World::new(&yaml);
            for number in 0..20 {
                world.probe.delay(&format!("web-{number}"), Phase::Running, Duration::from_mins(10));
            }
            let from = When::Between(Duration::from_secs(3), Duration::from_hours(1));
            world.ship("s1").set_faults(Faults::none().and(On::Any, from, fault));
            let ran = world.act(&START, &Selector::default()).await;
            assert_eq!(ran.summary.failed, 20, "{}", ran.show());
            assert!(ran.said.contains("web-0, web-1, web-10 and 17 more: ship s1: "), "{}", ran.said);
            assert!(ran.said.contains(cause), "{}", ran.said);
            assert!(ran.took < Duration::from_secs(within), "{:?}", ran.took);
        });
    }
}
