//! Random worlds are worlds.

use maestro_core::check::lint;
use maestro_core::config::{Limits as TextLimits, load};
use maestro_core::fleet::{FleetSnapshot, Ownership, ShipView};
use maestro_core::model::{Check, Environment, SpecWriter};
use maestro_core::plan::{Intent, Limits, Restart};
use maestro_core::planner::plan;
use maestro_core::select::Selection;
use maestro_core::source::MapSources;
use maestro_testkit::fleet::SimulatedFleet;
use maestro_testkit::state::Machine;
use maestro_testkit::worlds::{NOW, rich_layouts, worlds};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn environments_are_valid((environment, snapshot) in worlds(6, 4)) {
        valid(&environment)?;
        fits(&environment, &snapshot)?;
    }

    /// What a layout writes means something: an unknown key would be a warning.
    #[test]
    fn files_say_nothing_that_is_unknown(layout in rich_layouts(6, 4)) {
        let yaml = layout.yaml();
        let loaded = load(&MapSources::of(yaml.as_str()), &TextLimits::default());
        prop_assert!(loaded.diagnostics.iter().next().is_none(), "{:?}\n{yaml}", loaded.diagnostics);
        let names: BTreeSet<String> = layout.instances().into_iter().map(|placed| placed.name).collect();
        let loaded = loaded.environment.unwrap();
        prop_assert_eq!(names, loaded.instances.keys().map(ToString::to_string).collect::<BTreeSet<_>>());
    }

    #[test]
    fn every_world_can_be_planned_for((environment, snapshot) in worlds(6, 4)) {
        let selection = Selection {
            instances: environment.instances.keys().cloned().collect(),
            ordered: true,
            whole: environment.services.keys().cloned().collect(),
        };
        let intents = [
            Intent::Start { refresh: false, reuse: false },
            Intent::Stop,
            Intent::Kill,
            Intent::Restart(Restart::default()),
            Intent::Pull,
            Intent::Clean,
        ];
        for intent in intents {
            let plan = plan(&environment, &snapshot, &intent, &selection, Limits::default());
            let findings = lint(&plan, &snapshot);
            prop_assert!(findings.is_empty(), "{intent:?}: {findings:?}");
        }
    }

    /// Every engine takes what the environment asks for, unless it is told to fail.
    #[test]
    fn simulated_engines_take_every_container((environment, _) in worlds(6, 4)) {
        let fleet = SimulatedFleet::of(&environment).with_images().build();
        let mut writer = SpecWriter::new(&environment);
        // Instances are numbered so that those whose volumes others use come first.
        for instance in environment.instances.values() {
            let (spec, _) = writer.spec(instance);
            let engine = &fleet.engines[&instance.ship];
            let config = maestro_testkit::fake_engine::create_config(&spec);
            let name = spec.name.as_str();
            let result = engine.meddle(|m, now| m.create(name, config, now).and_then(|_| m.start(name, now)));
            prop_assert!(result.is_ok(), "{name}: {result:?}");
        }
        let made: usize = fleet.engines.values().map(|e| e.look(Machine::count)).sum();
        prop_assert_eq!(made, environment.instances.len());
    }
}

fn valid(environment: &Environment) -> Result<(), TestCaseError> {
    let mut host_ports = BTreeSet::new();
    for (name, instance) in &environment.instances {
        prop_assert_eq!(name, &instance.name);
        prop_assert!(name.is_valid());
        prop_assert!(environment.ships.contains_key(&instance.ship));
        prop_assert!(environment.services[&instance.service].instances.contains(name));
        for port in instance.ports.values() {
            prop_assert!(host_ports.insert(port.external.clone()), "{} is published twice", port.external);
        }
        for source in &instance.settings.volumes_from {
            let source = &environment.instances[source.as_str()];
            prop_assert_eq!(&source.ship, &instance.ship);
            let needed = source.service == instance.service && instance.after.contains(&source.name)
                || environment.services[&instance.service].requires.contains(&source.service);
            prop_assert!(needed, "{name} does not wait for {}", source.name);
        }
        for check in instance.checks.values().flatten() {
            if let Check::Tcp { port, .. } = check {
                prop_assert!(instance.ports.values().any(|p| p.external_number() == Some(*port)));
            }
        }
    }
    let mut done = BTreeSet::new();
    let mut left: BTreeMap<_, _> = environment.services.iter().collect();
    while !left.is_empty() {
        let ready: Vec<_> = left
            .iter()
            .filter(|(_, s)| s.requires.is_subset(&done))
            .map(|(name, _)| (*name).clone())
            .collect();
        prop_assert!(!ready.is_empty(), "a cycle among {:?}", left.keys());
        for name in ready {
            left.remove(&name);
            done.insert(name);
        }
    }
    for service in environment.services.values() {
        prop_assert!(service.declared_requires.is_subset(&service.requires));
        prop_assert!(service.wants_info.iter().all(|other| environment.services.contains_key(other)));
    }
    Ok(())
}

fn fits(environment: &Environment, snapshot: &FleetSnapshot) -> Result<(), TestCaseError> {
    prop_assert!(snapshot.ships.keys().eq(environment.ships.keys()));
    for view in snapshot.ships.values() {
        let ShipView::Reachable(state) = view else { continue };
        for (name, container) in &state.containers {
            prop_assert_eq!(name, &container.name);
            prop_assert!(container.started_at.is_none_or(|at| at < NOW));
            prop_assert!(
                container.state.is_running()
                    || container.exit_code.is_some()
                    || container.started_at.is_none()
            );
        }
    }
    Ok(())
}

/// Nothing that a planner has to tell apart is missing from what comes up at random.
#[test]
fn everything_comes_up() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut count = |what: &str| *seen.entry(what.to_owned()).or_default() += 1;
    for _ in 0..200 {
        let (environment, snapshot) = worlds(6, 4).new_tree(&mut runner).unwrap().current();
        for instance in environment.instances.values() {
            match snapshot.container(&instance.ship, &instance.name) {
                None => count("absent"),
                Some(container) => {
                    count(container.state.name());
                    count(match container.ownership(&environment) {
                        Ownership::Ours => "ours",
                        Ownership::Adoptable => "adoptable",
                        Ownership::Foreign(_) => "foreign",
                    });
                    if let Some(ShipView::Reachable(state)) = snapshot.ship(&instance.ship) {
                        count(match state.image(&instance.image) {
                            None => "image absent",
                            Some(image) if image.id == container.image_id => "image current",
                            Some(_) => "image moved",
                        });
                    }
                }
            }
            instance.checks.values().flatten().for_each(|check| count(check.name()));
            if !instance.settings.volumes_from.is_empty() {
                count("shares volumes");
            }
        }
        let unreachable = snapshot.ships.values().filter(|v| matches!(v, ShipView::Unreachable(_))).count();
        (0..unreachable).for_each(|_| count("unreachable"));
    }
    let wanted = [
        "absent",
        "running",
        "exited",
        "created",
        "paused",
        "restarting",
        "dead",
        "ours",
        "adoptable",
        "foreign",
        "image absent",
        "image current",
        "image moved",
        "sleep",
        "tcp",
        "rexec",
        "health",
        "shares volumes",
        "unreachable",
    ];
    for what in wanted {
        assert!(seen.get(what).is_some_and(|n| *n >= 5), "{what} hardly ever comes up: {seen:?}");
    }
}
