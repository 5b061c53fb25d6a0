//! What is found out of a thousand ships, some of which are not well, and that nothing is touched for it.

use jiff::SignedDuration;
use maestro::observe::observe;
use maestro::preflight::learn;
use maestro_core::boundary::{Engine, Needs};
use maestro_core::fleet::{DiskSpace, Platform};
use maestro_core::model::Environment;
use maestro_core::names::{InstanceName, ShipName};
use maestro_core::plan::{Hooking, Intent, Limits, Plan};
use maestro_core::planner::plan;
use maestro_core::preflight::{Asking, Finding, Learnt, preflight};
use maestro_core::select::{Selector, select};
use maestro_testkit::daemon::{Latency, Setup};
use maestro_testkit::fake_engine::FakeEngine;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::fleet::Grid;
use maestro_testkit::state::{Behaviour, Content, Host, Registries};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SHIPS: usize = 1000;

/// What a deployment would do.
fn planned(environment: &Environment, learnt: &Learnt) -> Plan {
    let doubtful = BTreeSet::new();
    let intent = Intent::Deploy { ask_again: false, promote: false, doubtful, hooks: Hooking::NEW };
    let selection = select(environment, &Selector::default(), intent.selection_rules()).unwrap();
    plan(environment, &learnt.fleet, &intent, &selection, Limits::default())
}

/// What is wrong with the ship of this number.
fn host(index: usize) -> Host {
    let well = Host::default();
    match index {
        10..30 => Host { ahead: SignedDuration::from_secs(-90), ..well },
        30..50 => Host { platform: Platform::new("linux", "arm64"), ..well },
        50..70 => Host { disk: Ok(DiskSpace { free: 1 << 20, total: 1 << 40 }), ..well },
        70..90 => Host { disk: Err("nobody can look".to_owned()), ..well },
        _ => well,
    }
}

fn faults(index: usize) -> Faults {
    match index {
        0..5 => Faults::unreachable(),
        5..10 => Faults::hung(),
        // These answer what is asked first, and not what is asked next.
        90..95 => Faults::none().and(On::Only(Operation::Inspect), When::Always, Fault::Lost),
        95..100 => Faults::none().and(On::Only(Operation::Resolve), When::Always, Fault::BadLogin),
        _ => Faults::none(),
    }
}

fn count(findings: &[Finding]) -> BTreeMap<String, usize> {
    let key = |finding: &Finding| format!("{} {}", finding.severity.name(), finding.topic.name());
    findings.iter().fold(BTreeMap::new(), |mut all, finding| {
        *all.entry(key(finding)).or_default() += finding.places.len();
        all
    })
}

#[tokio::test(start_paused = true)]
async fn a_thousand_ships_are_examined_at_once() {
    let grid = Grid::new(SHIPS, 2).image("reg.example.com:5000/app:1");
    let environment = grid.environment().unwrap();
    let (registries, content) = (Registries::none(), Content::new("app", Behaviour::forever()));
    registries.push("reg.example.com:5000/app:1", &content);
    let fakes: Vec<FakeEngine> = (0..SHIPS)
        .map(|index| {
            let setup = Setup::new(&Grid::ship(index)).host(host(index)).faults(faults(index));
            setup.registries(&registries).latency(Latency::of_all(Duration::from_millis(50))).into()
        })
        .collect();
    for fake in &fakes[100..110] {
        fake.meddle(|machine, _| machine.occupy(20_001));
    }
    let engines: BTreeMap<ShipName, Arc<dyn Engine>> =
        fakes.iter().map(|fake| (fake.ship().clone(), fake.boxed())).collect();
    let instances: Vec<InstanceName> = environment.instances.keys().cloned().collect();

    let (began, paused) = (Instant::now(), tokio::time::Instant::now());
    let needs = Needs { images: true, others: true, ..Needs::default() };
    let fleet = observe(&environment, &engines, &instances, needs).await;
    let learnt = learn(&environment, &engines, fleet, &instances, Asking::All, &|_| ()).await;
    let findings = preflight(&environment, &learnt, &instances, &planned(&environment, &learnt));
    let (took, waited) = (began.elapsed(), paused.elapsed());

    let expected = [
        ("error disk", 20),
        ("error platform", 20),
        ("error ports", 10),
        ("error reachable", 15),
        ("error registry", 5),
        // Nobody has had the image, and the ships of which nobody can tell the room are among those.
        ("unknown disk", SHIPS - 15 - 20),
        ("warning clock", 20),
    ];
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(key, n)| (key.to_owned(), n)).collect();
    assert_eq!(count(&findings), expected);
    assert!(findings.len() < 15, "a line per kind, not per ship: {}", findings.len());
    let of_ports = findings.iter().find(|finding| finding.topic.name() == "ports").unwrap();
    let ships: BTreeSet<&str> = of_ports.places.keys().map(ShipName::as_str).collect();
    assert_eq!(ships.into_iter().next(), Some("ship-0101"));
    for fake in &fakes {
        assert!(fake.writes().is_empty(), "{}: {:?}", fake.ship(), fake.writes());
    }
    assert!(took < Duration::from_secs(10), "{took:?}");
    // Those that hang cost one deadline, and sixteen rounds of questions to one registry some more.
    assert!(waited < Duration::from_secs(8), "{waited:?}");
}

/// Each world is bad in one way, and the ship, the cause and a remedy are named.
#[tokio::test(start_paused = true)]
async fn every_cause_is_named() {
    let cases: [(&str, Host, Faults); 6] = [
        ("the engine cannot be reached", Host::default(), Faults::unreachable()),
        ("the engine cannot be reached", Host::default(), Faults::hung()),
        (
            "was not built for",
            Host { platform: Platform::new("linux", "s390x"), ..Host::default() },
            Faults::none(),
        ),
        (
            "the disk is full",
            Host { disk: Ok(DiskSpace { free: 0, total: 1 }), ..Host::default() },
            Faults::none(),
        ),
        (
            "a registry does not let a ship in",
            Host::default(),
            Faults::none().and(On::Only(Operation::Resolve), When::Always, Fault::BadLogin),
        ),
        (
            "the clock of a ship is not this machine's",
            Host { ahead: SignedDuration::from_mins(5), ..Host::default() },
            Faults::none(),
        ),
    ];
    for (what, host, faults) in cases {
        let environment = Grid::new(1, 1).environment().unwrap();
        let registries = Registries::none();
        registries.push("grid/app:1", &Content::new("app", Behaviour::forever()));
        let fake: FakeEngine =
            Setup::new("ship-0001").registries(&registries).host(host).faults(faults).into();
        let engines = BTreeMap::from([("ship-0001".into(), fake.boxed())]);
        let instances: Vec<InstanceName> = environment.instances.keys().cloned().collect();
        let needs = Needs { images: true, others: true, ..Needs::default() };
        let fleet = observe(&environment, &engines, &instances, needs).await;
        let learnt = learn(&environment, &engines, fleet, &instances, Asking::All, &|_| ()).await;
        let findings = preflight(&environment, &learnt, &instances, &planned(&environment, &learnt));
        let found = findings.iter().find(|finding| finding.what.contains(what));
        let found = found.unwrap_or_else(|| panic!("{what}: {findings:#?}"));
        assert!(found.places.contains_key("ship-0001") && !found.remedy.is_empty(), "{found:?}");
        assert!(found.places["ship-0001"].causes.iter().all(|cause| !cause.is_empty()), "{found:?}");
        assert!(fake.writes().is_empty());
    }
}
