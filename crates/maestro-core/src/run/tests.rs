//! The state machine on its own: plans made by hand, properties over random ones.

use super::Run;
use crate::event::Skipped;
use crate::image::ImageRef;
use crate::names::{ContainerId, InstanceName, ServiceName, ShipName};
use crate::plan::{
    Action, EngineCall, FailurePolicy, Fate, Intent, Item, Limits, OnFailure, Plan, Reason, Step, StepId,
    Target, Unit, UnitId,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// One instance per unit; each step is (unit, what it comes after, whether its failure is tolerated).
fn plan(
    units: usize,
    steps: &[(u32, Vec<u32>, bool)],
    limits: Limits,
    on_failure: FailurePolicy,
) -> Arc<Plan> {
    let instance = |unit: usize| InstanceName::from(format!("i-{unit}").as_str());
    let ship = |unit: usize| ShipName::from(format!("s-{}", unit % 3).as_str());
    Arc::new(Plan {
        environment: "test".into(),
        intent: Intent::Stop,
        items: (0..units)
            .map(|unit| Item {
                instance: instance(unit),
                service: ServiceName::from("s"),
                ship: ship(unit),
                image: ImageRef::parse("x"),
                container: None,
                fate: Fate::Act {
                    steps: steps
                        .iter()
                        .enumerate()
                        .filter(|(_, (u, ..))| *u as usize == unit)
                        .map(|(i, _)| StepId(u32::try_from(i).unwrap()))
                        .collect(),
                    because: Reason::Asked,
                },
            })
            .collect(),
        steps: steps
            .iter()
            .map(|(unit, after, tolerate)| Step {
                unit: UnitId(*unit),
                action: Action::Call(EngineCall::KillContainer {
                    target: Target::Seen { id: ContainerId::from("id"), name: instance(*unit as usize) },
                }),
                after: after.iter().copied().map(StepId).collect(),
                on_failure: if *tolerate { OnFailure::Tolerate } else { OnFailure::Fail },
            })
            .collect(),
        units: (0..units).map(|unit| Unit::Instance { instance: instance(unit), ship: ship(unit) }).collect(),
        limits,
        on_failure,
    })
}

fn ids(steps: &[StepId]) -> Vec<u32> {
    steps.iter().map(|s| s.0).collect()
}

fn skipped(steps: &[(StepId, Skipped)]) -> Vec<u32> {
    let mut steps: Vec<u32> = steps.iter().map(|(s, _)| s.0).collect();
    steps.sort_unstable();
    steps
}

#[test]
fn a_failure_skips_what_comes_after_it_once() {
    // 3 has two failed dependencies.
    let steps = [(0, vec![], false), (1, vec![], false), (2, vec![], false), (3, vec![0, 1], false)];
    let mut run = Run::new(plan(4, &steps, Limits::default(), FailurePolicy::SkipDependents));
    assert_eq!(ids(&run.take_ready()), [0, 1, 2]);
    assert_eq!(skipped(&run.finish(StepId(0), false)), [3]);
    assert_eq!(skipped(&run.finish(StepId(1), false)), [] as [u32; 0]);
    assert!(run.finish(StepId(2), true).is_empty());
    assert!(run.is_over());
    let summary = run.summary(Duration::ZERO);
    assert_eq!((summary.done, summary.failed, summary.aborted), (1, 2, 1));
}

#[test]
fn a_tolerated_failure_skips_the_rest_of_its_unit_only() {
    let steps = [(0, vec![], true), (0, vec![0], true), (1, vec![1], false)];
    let mut run = Run::new(plan(2, &steps, Limits::default(), FailurePolicy::SkipDependents));
    assert_eq!(ids(&run.take_ready()), [0]);
    assert_eq!(run.finish(StepId(0), false), [(StepId(1), Skipped::Tolerated(StepId(0)))]);
    assert_eq!(ids(&run.take_ready()), [2]);
    run.finish(StepId(2), true);
    let summary = run.summary(Duration::ZERO);
    assert_eq!((summary.done, summary.tolerated, summary.failed), (1, 1, 0));
    assert!(summary.is_success());
}

#[test]
fn units_get_their_slots_in_order_and_keep_them() {
    let steps = [(0, vec![], false), (0, vec![0], false), (1, vec![], false), (2, vec![], false)];
    let limits = Limits { units: Some(1), ..Limits::default() };
    let mut run = Run::new(plan(3, &steps, limits, FailurePolicy::Halt));
    assert_eq!(ids(&run.take_ready()), [0]);
    assert_eq!(ids(&run.take_ready()), [] as [u32; 0]);
    run.finish(StepId(0), true);
    assert_eq!(ids(&run.take_ready()), [1]);
    run.finish(StepId(1), true);
    assert_eq!(ids(&run.take_ready()), [2]);
    assert_eq!(skipped(&run.finish(StepId(2), false)), [3]);
    assert!(run.is_over());
}

#[test]
fn an_interrupt_lets_what_has_begun_go_on() {
    let steps = [(0, vec![], false), (0, vec![0], false), (1, vec![1], false)];
    let mut run = Run::new(plan(2, &steps, Limits::default(), FailurePolicy::SkipDependents));
    run.take_ready();
    assert_eq!(run.interrupt(), [(StepId(2), Skipped::Interrupted)]);
    run.finish(StepId(0), true);
    assert_eq!(ids(&run.take_ready()), [1]);
    run.finish(StepId(1), true);
    assert!(run.is_over());
    assert_eq!(run.summary(Duration::ZERO).interrupted, 1);
}

#[test]
fn engines_are_not_flooded() {
    let steps: Vec<_> = (0..30).map(|unit| (unit, vec![], false)).collect();
    let limits = Limits { calls_per_ship: 2, ..Limits::default() };
    let mut run = Run::new(plan(30, &steps, limits, FailurePolicy::SkipDependents));
    // Three ships, two calls each.
    assert_eq!(ids(&run.take_ready()), [0, 1, 2, 3, 4, 5]);
    run.finish(StepId(4), true);
    assert_eq!(ids(&run.take_ready()), [7]);
}

/// Units of one to four steps in a row, the first of which may come after ends of earlier units.
fn plans() -> impl Strategy<Value = (Arc<Plan>, usize)> {
    let unit = (1..5usize, prop::collection::vec(any::<prop::sample::Index>(), 0..3), any::<bool>());
    let limits = (prop::option::of(1..4usize), 1..4usize);
    (prop::collection::vec(unit, 1..12), limits, any::<bool>()).prop_map(|(units, (slots, calls), halt)| {
        let mut steps: Vec<(u32, Vec<u32>, bool)> = Vec::new();
        let mut ends: Vec<u32> = Vec::new();
        for (unit, (length, after, tolerate)) in units.iter().enumerate() {
            let mut last: Vec<u32> = if ends.is_empty() {
                Vec::new()
            } else {
                let picked: BTreeSet<u32> = after.iter().map(|i| *i.get(&ends)).collect();
                picked.into_iter().collect()
            };
            for _ in 0..*length {
                let id = u32::try_from(steps.len()).unwrap();
                steps.push((u32::try_from(unit).unwrap(), last, *tolerate));
                last = vec![id];
            }
            ends.extend(&last);
        }
        let limits = Limits { units: slots, calls_per_ship: calls, pulls_per_ship: 1 };
        let policy = if halt { FailurePolicy::Halt } else { FailurePolicy::SkipDependents };
        (plan(units.len(), &steps, limits, policy), units.len())
    })
}

proptest! {
    /// Whatever fails, in whatever order steps end, whenever somebody interrupts: every step ends exactly once, none
    /// starts before those that it comes after, limits hold, and the run comes to an end.
    #[test]
    fn every_step_ends_once_and_in_order(
        (plan, units) in plans(),
        choices in prop::collection::vec((any::<prop::sample::Index>(), 0..10u8), 200),
        interrupt in prop::option::of(0..20usize),
    ) {
        let mut run = Run::new(plan.clone());
        let mut running: Vec<StepId> = Vec::new();
        let mut ended: BTreeSet<StepId> = BTreeSet::new();
        let mut tolerated: BTreeSet<StepId> = BTreeSet::new();
        let mut choices = choices.into_iter();
        let mut turn = 0;
        while !run.is_over() {
            for step in run.take_ready() {
                for before in &plan.step(step).unwrap().after {
                    prop_assert!(ended.contains(before) || tolerated.contains(before), "{step:?} too early");
                }
                running.push(step);
            }
            prop_assert!(!running.is_empty(), "nothing runs and nothing is over");
            let active: BTreeSet<UnitId> = running.iter().map(|s| plan.step(*s).unwrap().unit).collect();
            prop_assert!(plan.limits.units.is_none_or(|limit| active.len() <= limit));
            for ship in 0..3 {
                let ship = ShipName::from(format!("s-{ship}").as_str());
                let calls = running.iter().filter(|s| plan.unit_of(**s).unwrap().ship() == Some(&ship)).count();
                prop_assert!(calls <= plan.limits.calls_per_ship);
            }
            let mut skips = Vec::new();
            if interrupt == Some(turn) {
                skips.extend(run.interrupt());
            }
            turn += 1;
            let (which, luck) = choices.next().unwrap();
            let step = running.swap_remove(which.index(running.len()));
            let success = luck > 1;
            if success {
                ended.insert(step);
            } else if plan.step(step).unwrap().on_failure == OnFailure::Tolerate {
                tolerated.insert(step);
            }
            skips.extend(run.finish(step, success));
            for (step, because) in skips {
                prop_assert!(!ended.contains(&step) && !running.contains(&step), "{step:?} skipped after its start");
                if matches!(because, Skipped::Tolerated(_)) {
                    prop_assert!(tolerated.insert(step));
                }
            }
        }
        prop_assert_eq!(run.running(), 0);
        let s = run.summary(Duration::ZERO);
        prop_assert_eq!(s.done + s.tolerated + s.failed + s.aborted + s.interrupted, units);
    }
}
