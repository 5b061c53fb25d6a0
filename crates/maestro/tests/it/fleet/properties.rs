//! Random worlds, random commands, random delays: what must be so is so. Failing cases shrink.

use super::world::{Ran, START, World, restart, simulate};
use maestro_core::model::Phase;
use maestro_core::names::InstanceName;
use maestro_core::plan::{Fate, Hooking, Intent, Limits, Restart};
use maestro_core::select::{Selector, select};
use maestro_testkit::faults::Faults;
use maestro_testkit::worlds::{Layout, Prior, PriorImage, layouts, prior_images, priors};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;
use std::time::Duration;

/// A world before it exists.
#[derive(Debug, Clone)]
struct Scene {
    layout: Layout,
    priors: Vec<Prior>,
    images: Vec<PriorImage>,
    limits: Limits,
    dawdle: Option<u64>,
}

impl Scene {
    fn build(&self) -> World {
        let mut world = World::of(&self.layout, &self.priors, &self.images);
        world.limits = self.limits;
        world.dawdle = self.dawdle;
        world
    }
}

fn scenes() -> impl Strategy<Value = Scene> {
    let limits = (prop::option::of(1..4usize), 1..12usize, 1..5usize, 1..3usize).prop_map(
        |(units, calls, calls_per_ship, pulls_per_ship)| Limits {
            units,
            calls,
            calls_per_ship,
            pulls_per_ship,
        },
    );
    (layouts(7, 3), priors(), prior_images(), limits, prop::option::of(any::<u64>()))
        .prop_map(|(layout, priors, images, limits, dawdle)| Scene { layout, priors, images, limits, dawdle })
}

fn intents() -> impl Strategy<Value = Intent> {
    let start = any::<(bool, bool)>().prop_map(|(refresh, reuse)| Intent::Start { refresh, reuse });
    let pause = || prop_oneof![3 => Just(Duration::ZERO), 1 => (1..4u64).prop_map(Duration::from_secs)];
    let restart = (any::<(bool, bool, bool)>(), pause(), pause()).prop_map(
        |((refresh, reuse, only_if_changed), step_delay, stop_start_delay)| {
            // What has changed can only be told after a pull: the command line walks the line twice.
            let refresh = refresh && !only_if_changed;
            Intent::Restart(Restart { refresh, reuse, only_if_changed, step_delay, stop_start_delay })
        },
    );
    prop_oneof![
        4 => start,
        4 => restart,
        2 => any::<bool>().prop_map(|ask_again| Intent::Deploy { ask_again, promote: false, doubtful: BTreeSet::new(), hooks: Hooking::NEW }),
        2 => Just(Intent::Stop),
        1 => Just(Intent::Kill),
        1 => Just(Intent::Pull),
        1 => Just(Intent::Clean),
    ]
}

/// What a command line may say about a layout, before the layout is known.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags of a command line")]
struct Words {
    things: Vec<Index>,
    with_dependencies: bool,
    ignore_dependencies: bool,
    only_first_instances: bool,
    only_first_ship: bool,
}

fn words() -> impl Strategy<Value = Words> {
    let things = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(any::<Index>(), 1..5)];
    let rarely = || prop::bool::weighted(0.15);
    (things, any::<bool>(), rarely(), rarely(), rarely()).prop_map(
        |(things, with_dependencies, ignore_dependencies, only_first_instances, only_first_ship)| Words {
            things,
            with_dependencies,
            ignore_dependencies,
            only_first_instances,
            only_first_ship,
        },
    )
}

fn selector(layout: &Layout, words: &Words) -> Selector {
    let placed = layout.instances();
    let known: Vec<&String> = placed.iter().flat_map(|p| [&p.service, &p.name]).collect();
    Selector {
        things: words.things.iter().map(|thing| (*thing.get(&known)).clone()).collect(),
        with_dependencies: words.with_dependencies,
        ignore_dependencies: words.ignore_dependencies,
        instance_filter: words.only_first_instances.then(|| "*-0".to_owned()),
        ship_filter: words.only_first_ship.then(|| "ship-0".to_owned()),
        gone: BTreeSet::new(),
    }
}

/// Whether every container finds those that it takes volumes from: without, no engine makes it.
fn has_sources(world: &World, selector: &Selector, intent: &Intent) -> bool {
    let selected = select(&world.environment, selector, intent.selection_rules()).unwrap();
    let chosen: BTreeSet<&InstanceName> = selected.instances.iter().collect();
    selected.instances.iter().all(|name| {
        world.environment.instances[name].after.iter().all(|source| {
            let ship = &world.environment.instances[source].ship;
            let ordered_first = selected.ordered && chosen.contains(source) && !intent.dependents_first();
            ordered_first || (world.ships[ship].container(source.as_str()).is_some() && selected.ordered)
        })
    })
}

/// Walks the line; a breach is a failure that shrinks.
async fn walk(
    world: &World,
    intent: &Intent,
    selector: &Selector,
    presses: &[usize],
) -> Result<Ran, TestCaseError> {
    let ran = world.try_act(intent, selector, presses).await;
    if ran.breaches.is_empty() {
        return Ok(ran);
    }
    Err(TestCaseError::fail(format!("{}\n{}", ran.breaches.join("\n"), ran.show())))
}

/// A failing case is shown, not kept in a file: it belongs into a test of its own. `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => default,
        None => ProptestConfig { cases: 128, ..default },
    }
}

proptest! {
    #![proptest_config(config())]

    /// Nothing goes wrong on any engine: everything that is not blocked is done, in order and within limits.
    #[test]
    fn whatever_is_asked_is_done_in_order(scene in scenes(), intent in intents(), which in words()) {
        simulate(async {
            let world = scene.build();
            let selector = selector(&scene.layout, &which);
            let complete = has_sources(&world, &selector, &intent);
            let ran = walk(&world, &intent, &selector, &[]).await?;
            if complete {
                let s = &ran.summary;
                prop_assert_eq!((s.failed, s.aborted, s.tolerated, s.interrupted), (0, 0, 0, 0), "{}", ran.show());
            }
            Ok(())
        })?;
    }

    /// What has been started is not started again, what has been restarted is up to date, and what has been deployed is as
    /// released.
    #[test]
    fn a_second_time_nothing_is_done(scene in scenes(), which in words()) {
        simulate(async {
            let world = scene.build();
            let mut selector = selector(&scene.layout, &which);
            selector.ignore_dependencies = false;
            if !walk(&world, &START, &selector, &[]).await?.summary.is_success() {
                return Ok(());
            }
            let changed = Intent::Restart(Restart { only_if_changed: true, ..Restart::default() });
            if walk(&world, &changed, &selector, &[]).await?.summary.failed > 0 {
                // Users of volumes come before their sources, which may not be there yet.
                return Ok(());
            }
            let (promote, doubtful) = (false, BTreeSet::new());
            let deploy = Intent::Deploy { ask_again: false, promote, doubtful, hooks: Hooking::NEW };
            for intent in [&START, &changed, &deploy] {
                // What is up to date may not be as released yet.
                if *intent == deploy && !walk(&world, intent, &selector, &[]).await?.summary.is_success() {
                    return Ok(());
                }
                for engine in world.ships.values() {
                    engine.clear_writes();
                }
                let ran = walk(&world, intent, &selector, &[]).await?;
                prop_assert!(ran.plan.is_empty() && ran.plan.steps.is_empty(), "{}", ran.plan);
                let s = &ran.summary;
                prop_assert_eq!((s.done, s.failed, s.aborted, s.tolerated), (0, 0, 0, 0));
                for engine in world.ships.values() {
                    prop_assert_eq!(engine.writes(), []);
                }
            }
            Ok(())
        })?;
    }

    /// A check that fails stops what comes after its instance, and nothing else.
    #[test]
    fn a_failed_check_stops_exactly_what_depends_on_it(
        scene in scenes(),
        which in prop::collection::vec(any::<Index>(), 1..3),
        running in any::<bool>(),
    ) {
        simulate(async {
            let world = scene.build();
            let phase = if running { Phase::Running } else { Phase::PreStart };
            let checked: Vec<&InstanceName> = world
                .environment
                .instances
                .values()
                .filter(|i| i.checks.get(&phase).is_some_and(|checks| !checks.is_empty()))
                .map(|i| &i.name)
                .collect();
            if checked.is_empty() {
                return Ok(());
            }
            let failing: BTreeSet<InstanceName> = which.iter().map(|i| (*i.get(&checked)).clone()).collect();
            for name in &failing {
                world.probe.fail(name.as_str(), phase, Duration::from_millis(1_500));
            }
            let selector = Selector::default();
            let selection = select(&world.environment, &selector, START.selection_rules()).unwrap();
            let before = super::watch::order(&world.environment, &START, &selection);
            let ran = walk(&world, &START, &selector, &[]).await?;
            let acts: BTreeSet<&InstanceName> = ran
                .plan
                .items
                .iter()
                .filter(|item| matches!(item.fate, Fate::Act { .. }))
                .map(|item| &item.instance)
                .collect();
            let fails = |name: &InstanceName| failing.contains(name) && acts.contains(name);
            let stopped = |name: &InstanceName| before.get(name).is_some_and(|all| all.iter().any(fails));
            for (item, row) in ran.plan.items.iter().zip(ran.rows.rows()) {
                if !acts.contains(&item.instance) {
                    continue;
                }
                let expected = if stopped(&item.instance) {
                    maestro::report::RowState::Aborted
                } else if fails(&item.instance) {
                    maestro::report::RowState::Failed
                } else {
                    maestro::report::RowState::Done
                };
                prop_assert_eq!(row.state, expected, "{}\n{}", item.instance, ran.show());
            }
            Ok(())
        })?;
    }

    /// The first Ctrl-C lets what has begun come to its end and begins nothing; the second ends the run at once.
    #[test]
    fn interrupts_end_a_run(
        scene in scenes(),
        intent in intents(),
        first in 0..60usize,
        second in prop::option::of(0..30usize),
    ) {
        simulate(async {
            let world = scene.build();
            let mut presses = vec![first];
            presses.extend(second.map(|later| first + later));
            let ran = walk(&world, &intent, &Selector::default(), &presses).await?;
            if second.is_some_and(|later| first + later < ran.events) {
                prop_assert_eq!(ran.after_press, Some(Duration::ZERO), "{}", ran.show());
            }
            Ok(())
        })?;
    }

    /// A restart leaves nothing down in silence, whatever fails in its course.
    #[test]
    fn a_restart_that_succeeds_leaves_everything_up(
        scene in scenes(),
        failing in prop::collection::vec((any::<Index>(), 0..4usize, 0..4_000u64), 1..4),
    ) {
        simulate(async {
            let world = scene.build();
            let names: Vec<&InstanceName> = world.environment.instances.keys().collect();
            for (which, phase, after) in &failing {
                let phase = [Phase::PreStart, Phase::Running, Phase::PreStop, Phase::Stopped][*phase];
                world.probe.fail(which.get(&names).as_str(), phase, Duration::from_millis(*after));
            }
            let ran = walk(&world, &restart(), &Selector::default(), &[]).await?;
            if ran.summary.is_success() {
                for (name, instance) in &world.environment.instances {
                    let container = world.ships[&instance.ship].container(name.as_str());
                    prop_assert!(container.is_some_and(|c| c.is_running()), "{name} is down\n{}", ran.show());
                }
            }
            Ok(())
        })?;
    }

    /// Ships fail in every way, checks fail, the user loses patience: what is told at the end is true all the same,
    /// and what was left half done is in nobody's way.
    #[test]
    fn whatever_goes_wrong_what_is_told_is_true(
        scene in scenes(),
        intent in intents(),
        faults in prop::collection::vec(any::<u64>(), 3),
        failing in prop::collection::vec((any::<Index>(), 0..4usize, 0..4_000u64), 0..3),
        presses in prop::collection::vec(0..80usize, 0..3),
    ) {
        simulate(async {
            let world = scene.build();
            for (engine, seed) in world.ships.values().zip(&faults) {
                engine.set_faults(Faults::any(*seed));
            }
            let names: Vec<&InstanceName> = world.environment.instances.keys().collect();
            for (which, phase, after) in &failing {
                let phase = [Phase::PreStart, Phase::Running, Phase::PreStop, Phase::Stopped][*phase];
                world.probe.fail(which.get(&names).as_str(), phase, Duration::from_millis(*after));
            }
            walk(&world, &intent, &Selector::default(), &presses).await?;
            for engine in world.ships.values() {
                engine.set_faults(Faults::none());
            }
            for phase in [Phase::PreStart, Phase::Running, Phase::PreStop, Phase::Stopped] {
                for name in &names {
                    world.probe.delay(name.as_str(), phase, Duration::ZERO);
                }
            }
            let ran = walk(&world, &START, &Selector::default(), &[]).await?;
            let s = &ran.summary;
            prop_assert_eq!((s.failed, s.aborted, s.tolerated), (0, 0, 0), "{}", ran.show());
            Ok(())
        })?;
    }
}
