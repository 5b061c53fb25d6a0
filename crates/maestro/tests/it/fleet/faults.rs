//! What goes wrong on ships: who is told what, who goes on, and what it costs.

use super::world::{START, World, named, restart, simulate};
use maestro::report::RowState;
use maestro_core::names::ShipName;
use maestro_core::plan::{Blocked, Fate, Intent, Limits};
use maestro_core::select::Selector;
use maestro_testkit::daemon::Effect;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::state::{Behaviour, Content, Ends};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// `web` on so many ships, one instance on each, and nothing that it needs.
fn web(ships: usize) -> String {
    let mut text = String::from(
        "__maestro: {schema: 2}\nname: sim\n\
         registries: {main: {registry: 'https://reg:5000', username: ci, password: secret}}\n\
         ships:\n",
    );
    for ship in 1..=ships {
        writeln!(text, "  s{ship}: {{ip: 192.0.2.{ship}}}").unwrap();
    }
    text.push_str("services:\n  web:\n    image: 'reg:5000/web:2'\n    instances:\n");
    for ship in 1..=ships {
        writeln!(text, "      web-{ship}: {{ship: s{ship}}}").unwrap();
    }
    text
}

#[test]
fn each_trouble_is_told_with_instance_ship_and_cause_and_stops_nobody_else() {
    let refuses = |operation, status, text: &str| Faults::refuses_nth(operation, 1, status, text);
    let troubles: [(Faults, &str); 11] = [
        (Faults::unreachable(), "listing containers: host down: 127.0.0.1:2375: connection refused"),
        (Faults::hung(), "listing containers: no answer from 127.0.0.1:2375 within 5 s"),
        (Faults::wrong_password(), "logging in to https://reg:5000: "),
        (Faults::full_disk(), "pulling reg:5000/web:2: no space left on device"),
        (
            refuses(Operation::Pull, 404, "manifest for reg:5000/web:2 not found: manifest unknown"),
            "pulling reg:5000/web:2: manifest for reg:5000/web:2 not found",
        ),
        (
            refuses(Operation::Create, 500, "no space left on device"),
            "creating container web-7: the engine answered 500: no space left on device",
        ),
        (
            refuses(Operation::Create, 409, "Conflict. The container name \"/web-8\" is already in use"),
            "creating container web-8: Conflict. The container name",
        ),
        (
            refuses(Operation::Start, 500, "Bind for 0.0.0.0:80 failed: port is already allocated"),
            "starting container web-9: the engine answered 500: Bind for 0.0.0.0:80 failed: port is already allocated",
        ),
        (Faults::dies_at_write(2), "creating container web-10: "),
        (Faults::dies_at_write(3), "starting container web-11: "),
        (
            Faults::none().and(On::Only(Operation::Start), When::Always, Fault::Hangs),
            "starting container web-12: no answer from 127.0.0.1:2375 within 30 s",
        ),
    ];
    simulate(async {
        let world = World::new(&web(14));
        for (number, (faults, _)) in troubles.iter().enumerate() {
            world.ship(&format!("s{}", number + 2)).set_faults(faults.clone());
        }
        // Ends by itself as soon as it has started.
        let broken = Content::new("broken", Behaviour::exits(Duration::from_millis(10), 3));
        world.ship("s13").meddle(|machine, now| machine.add_image("reg:5000/web:2", &broken, now));
        let missing = Content::new("missing", Behaviour { ends: Ends::NoProgram, ..Behaviour::default() });
        world.ship("s14").meddle(|machine, now| machine.add_image("reg:5000/web:2", &missing, now));
        let ran = world.act(&START, &Selector::default()).await;
        let causes = troubles.iter().map(|(_, cause)| *cause).chain([
            "web-13 did not stay running: it is exited with code 3",
            "starting container web-14: the engine answered 400: failed to create shim task",
        ]);
        for (number, cause) in (2..).zip(causes) {
            let line = ran.said.lines().find(|line| line.starts_with(&format!("ERROR: web-{number}: ")));
            let line = line.unwrap_or_else(|| panic!("nothing is said of web-{number}\n{}", ran.said));
            assert!(line.contains(&format!("ship s{number}: ")), "{line}");
            assert!(line.contains(cause), "{line}\n{cause}");
        }
        assert!(!ran.summary.is_success());
        assert_eq!((ran.summary.done, ran.summary.blocked, ran.summary.failed), (1, 2, 11), "{}", ran.show());
        // The longest of them: a look at a ship that hangs, a call that hangs, a look whether it happened after all.
        assert!(ran.took < Duration::from_secs(5 + 30 + 5 + 1), "{:?}", ran.took);
    });
}

/// Ships in groups of ten, each with a database and nine webs that need it; the groups do not need each other.
fn groups(ships: usize) -> String {
    let mut text = String::from(
        "__maestro: {schema: 2}\nname: sim\n\
         registries: {main: {registry: 'https://reg:5000', username: ci, password: secret}}\n\
         ships:\n",
    );
    for ship in 0..ships {
        writeln!(text, "  s{ship:03}: {{ip: 198.51.100.{}}}", ship % 250 + 1).unwrap();
    }
    text.push_str("services:\n");
    for group in 0..ships.div_ceil(10) {
        let members = group * 10..ships.min(group * 10 + 10);
        writeln!(text, "  db{group}:\n    image: 'reg:5000/db:1'\n    instances:").unwrap();
        writeln!(text, "      db{group}-1: {{ship: s{:03}}}", members.start).unwrap();
        writeln!(text, "  web{group}:\n    image: 'reg:5000/web:1'\n    requires: [db{group}]").unwrap();
        text.push_str(
            "    lifecycle:\n      running: [{type: exec, command: 'check running', attempts: 1}]\n",
        );
        text.push_str("    instances:\n");
        for ship in members {
            writeln!(text, "      web{group}-{ship}: {{ship: s{ship:03}}}").unwrap();
        }
    }
    text
}

/// Ships of groups in which nothing goes wrong.
fn healthy_groups(world: &World, faulty: &BTreeSet<ShipName>) -> BTreeSet<ShipName> {
    let ships: Vec<&ShipName> = world.ships.keys().collect();
    let groups = ships.chunks(10).filter(|group| group.iter().all(|ship| !faulty.contains(*ship)));
    groups.flatten().map(|ship| (*ship).clone()).collect()
}

/// One fleet through a life of faults, all of which follow from the seed.
async fn live(seed: u64, ships: usize) {
    let world = World::new(&groups(ships));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut limits = Limits::default();
    if random.bool() {
        limits.units = Some(random.usize(1..60));
    }
    let world = World { limits, dawdle: random.bool().then(|| random.u64(..)), ..world };
    let all = Selector::default();
    for intent in [START, restart(), Intent::Stop, START, Intent::Kill, Intent::Clean] {
        let mut faulty = BTreeSet::new();
        for (name, engine) in &world.ships {
            // Whole groups stay healthy, so that there is somebody whom the others must not hold up.
            let chosen = if random.u8(0..4) == 0 { Faults::any(random.u64(..)) } else { Faults::none() };
            if format!("{chosen:?}") != format!("{:?}", Faults::none()) {
                faulty.insert(name.clone());
            }
            engine.set_faults(chosen);
        }
        let ran = world.try_act(&intent, &all, &[]).await;
        assert!(
            ran.breaches.is_empty(),
            "seed {seed}, {ships} ships, {}:\n{}\n{}",
            intent.name(),
            ran.breaches.join("\n"),
            ran.calls()
        );
        let halts = matches!(intent, Intent::Restart(_));
        let healthy = healthy_groups(&world, &faulty);
        for (at, (item, row)) in ran.plan.items.iter().zip(ran.rows.rows()).enumerate() {
            if !halts && healthy.contains(&item.ship) {
                assert!(
                    matches!(row.state, RowState::Done | RowState::Unchanged),
                    "seed {seed}, {ships} ships, {}: {} is {:?}, and its ship and all that it needs are well",
                    intent.name(),
                    item.instance,
                    row.state
                );
            }
            let culprit = match &item.fate {
                Fate::Blocked(Blocked::Dependency(other)) => {
                    ran.plan.items.iter().position(|item| item.instance == *other).unwrap()
                }
                _ => at,
            };
            let trouble = matches!(row.state, RowState::Tolerated | RowState::Failed | RowState::Blocked);
            let explained = ran.rows.rows()[culprit].trouble.is_some() || !trouble;
            assert!(explained, "seed {seed}: {} is {:?} and nobody knows why", item.instance, row.state);
        }
        assert!(ran.took < Duration::from_mins(30), "seed {seed}: {:?}", ran.took);
    }
    // Everything is repaired: what was left half done is in nobody's way.
    for engine in world.ships.values() {
        engine.set_faults(Faults::none());
    }
    let ran = world.act(&START, &all).await;
    assert!(ran.summary.is_success(), "seed {seed}, {ships} ships: {}", ran.show());
    let ran = world.act(&START, &all).await;
    assert!(ran.plan.is_empty(), "seed {seed}, {ships} ships: {}", ran.plan);
    let count: usize =
        world.ships.values().map(|engine| engine.look(maestro_testkit::state::Machine::count)).sum();
    assert_eq!(count, world.environment.instances.len(), "seed {seed}, {ships} ships");
}

/// How many seeds are tried: `MAESTRO_SIM_SEEDS` asks for more.
fn seeds(usual: u64) -> u64 {
    std::env::var("MAESTRO_SIM_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

#[test]
fn small_fleets_live_through_faults() {
    for seed in 0..seeds(24) {
        simulate(live(seed, 10 + usize::try_from(seed % 30).unwrap()));
    }
}

#[test]
fn large_fleets_live_through_faults() {
    for seed in 1_000..1_000 + seeds(2) {
        simulate(live(seed, 300));
    }
}

#[test]
fn dead_and_hung_ships_cost_one_deadline_together() {
    simulate(async {
        let world = World::new(&groups(300));
        for (number, engine) in world.ships.values().enumerate() {
            match number % 10 {
                3 => engine.set_faults(Faults::unreachable()),
                7 => engine.set_faults(Faults::hung()),
                _ => {}
            }
        }
        let ran = world.act(&START, &Selector::default()).await;
        assert_eq!((ran.summary.done, ran.summary.blocked), (270, 60));
        assert!(ran.took < Duration::from_millis(5_500), "{:?}", ran.took);
    });
}

#[test]
fn ships_that_hang_in_mid_run_cost_one_deadline_together() {
    simulate(async {
        let world = World::new(&groups(300));
        for (number, engine) in world.ships.values().enumerate() {
            if number % 10 > 6 {
                // The first answers: the look at the fleet, login, pull.
                let hangs = Faults::none().and(On::Any, When::From(4), Fault::Hangs);
                engine.set_faults(hangs);
            }
        }
        let ran = world.act(&START, &Selector::default()).await;
        assert_eq!((ran.summary.done, ran.summary.failed), (240, 90), "{}", ran.said);
        // One call, and one look whether it happened after all.
        assert!(ran.took < Duration::from_secs(36), "{:?}", ran.took);
    });
}

#[test]
fn a_container_that_was_made_after_all_is_adopted() {
    for faults in [
        Faults::create_succeeds_with_500(),
        Faults::loses_answer(Operation::Create, 1),
        // Neither the answer nor the look at what became of it gets through; the second try is a conflict.
        Faults::loses_answer(Operation::Create, 1).and(
            On::Only(Operation::Observe),
            When::Nth(2),
            Fault::Lost,
        ),
    ] {
        simulate(async {
            let world = World::new(&web(1));
            world.ship("s1").set_faults(faults.clone());
            let ran = world.act(&START, &Selector::default()).await;
            assert!(ran.summary.is_success(), "{faults:?}\n{}", ran.show());
            let made = world.ship("s1").writes();
            let made = made.iter().filter(|w| w.operation == Operation::Create && w.effect == Effect::Done);
            assert_eq!(made.count(), 1);
            assert!(world.act(&START, &Selector::default()).await.plan.is_empty());
        });
    }
}

#[test]
fn a_lost_answer_is_no_failure_where_the_ship_can_tell() {
    for (operation, intent) in [
        (Operation::Start, START),
        (Operation::Stop, Intent::Stop),
        (Operation::Kill, Intent::Kill),
        (Operation::Stop, restart()),
        (Operation::Remove, restart()),
        (Operation::Create, restart()),
    ] {
        for look_too in [false, true] {
            simulate(async {
                let world = World::new(&web(1));
                if intent != START {
                    world.act(&START, &Selector::default()).await;
                }
                let mut faults = Faults::loses_answer(operation, 1);
                if look_too {
                    faults = faults.and(On::Only(Operation::Observe), When::Nth(2), Fault::Lost);
                }
                world.ship("s1").set_faults(faults);
                let ran = world.act(&intent, &Selector::default()).await;
                assert_eq!(ran.summary.done, 1, "{operation:?} {look_too} {}", ran.show());
            });
        }
    }
}

#[test]
fn a_look_that_gets_lost_is_taken_again() {
    simulate(async {
        let world = World::new(&web(1));
        let lost = Faults::none().and(On::Only(Operation::Observe), When::Nth(2), Fault::Lost);
        world.ship("s1").set_faults(lost);
        let ran = world.act(&START, &Selector::default()).await;
        assert!(ran.summary.is_success(), "{}", ran.show());
    });
}

#[test]
fn a_restart_whose_ship_dies_is_no_success() {
    // At the stop, the removal, the creation, the start.
    for nth in 1..=4 {
        simulate(async {
            let world = World::new(&web(1));
            world.act(&START, &Selector::default()).await;
            world.ship("s1").set_faults(Faults::dies_at_write(nth));
            let ran = world.act(&restart(), &Selector::default()).await;
            assert!(!ran.summary.is_success(), "{nth}: {}", ran.show());
            assert!(ran.said.contains("web-1: ship s1: "), "{}", ran.said);
        });
    }
}

#[test]
fn stop_succeeds_where_the_ship_dies_and_says_so() {
    simulate(async {
        let world = World::new(&web(2));
        world.act(&START, &Selector::default()).await;
        world.ship("s1").set_faults(Faults::dies_at_write(1));
        let ran = world.act(&Intent::Stop, &Selector::default()).await;
        assert!(ran.summary.is_success(), "maestro-ng counts it as done (Q-28)");
        assert_eq!((ran.summary.done, ran.summary.tolerated), (1, 1));
        assert!(ran.said.contains("WARNING: web-1: ship s1: stopping container web-1: "), "{}", ran.said);
    });
}

#[test]
fn a_registry_in_trouble_is_asked_again() {
    simulate(async {
        let world = World::new(&web(3));
        world.registries.trouble("reg:5000", &[(503, "Service Unavailable"), (429, "")]);
        let ran = world.act(&Intent::Pull, &Selector::default()).await;
        assert_eq!(ran.summary.done, 3, "{}", ran.show());
        assert!(ran.took >= Duration::from_secs(1), "{:?}", ran.took);
    });
}

/// It comes back, or does not; a name that does not exist will not come to exist.
#[test]
fn a_registry_that_is_away_is_asked_again() {
    simulate(async {
        let world = World::new(&web(1));
        world.registries.refuse("reg:5000", 2);
        let ran = world.act(&Intent::Pull, &Selector::default()).await;
        assert_eq!(ran.summary.done, 1, "{}", ran.show());
        assert!(ran.took >= Duration::from_secs(3), "1 s, then 2 s: {:?}", ran.took);
        world.registries.refuse("reg:5000", 9);
        let before = world.registries.requests("reg:5000");
        let ran = world.act(&Intent::Pull, &Selector::default()).await;
        assert_eq!(ran.summary.failed, 1, "{}", ran.show());
        assert_eq!(world.registries.requests("reg:5000") - before, 3);
        assert!(ran.said.contains("hint: is the registry up"), "{}", ran.said);
        let world = World::new(&web(1).replace("reg:5000", "nowhere:5000"));
        world.registries.forget("nowhere:5000");
        let ran = world.act(&Intent::Pull, &Selector::default()).await;
        assert_eq!(ran.summary.failed, 1, "{}", ran.show());
        assert!(ran.took < Duration::from_secs(1), "{:?}", ran.took);
        assert!(ran.said.contains("hint: the ship cannot resolve"), "{}", ran.said);
    });
}

#[test]
fn a_slow_ship_holds_up_nobody() {
    simulate(async {
        let world = World::new(&web(3));
        world.ship("s2").set_faults(Faults::slow(Duration::from_secs(4)));
        let ran = world.act(&START, &named(&["web"])).await;
        assert!(ran.summary.is_success(), "{}", ran.show());
        let last = |ship: &str| ran.transcript.iter().filter(|e| e.ship.as_str() == ship).map(|e| e.at).max();
        assert!(last("s1") < Some(Duration::from_secs(1)) && last("s3") < Some(Duration::from_secs(1)));
        assert!(last("s2") > Some(Duration::from_secs(8)));
    });
}
