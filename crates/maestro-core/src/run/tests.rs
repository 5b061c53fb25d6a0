//! The state machine on its own: plans made by hand, properties over random ones.

use super::Run;
use crate::boundary::{CallOutcome, CheckFailure};
use crate::engine_error::{EngineError, EngineErrorKind};
use crate::event::{Failure, Skipped, StepOutcome, Verdict};
use crate::image::ImageRef;
use crate::model::{ContainerEnv, ContainerSpec, EnvVar, Retry};
use crate::names::{ConfigHash, ContainerId, InstanceName, ServiceName, ShipName};
use crate::plan::{
    Action, EngineCall, FailurePolicy, Fate, Intent, Item, Limits, OnFailure, Plan, Reason, RegistryAuth,
    Step, StepId, Target, Unit, UnitId,
};
use OnFailure::{Fail, GoOn, Tolerate, TolerateIfRunning};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One instance per unit; each step is (unit, what it comes after, what its failure means).
fn plan(
    units: usize,
    steps: &[(u32, Vec<u32>, OnFailure)],
    limits: Limits,
    on_failure: FailurePolicy,
) -> Arc<Plan> {
    let instance = |unit: usize| InstanceName::from(format!("i-{unit}").as_str());
    let ship = |unit: usize| ShipName::from(format!("s-{}", unit % 3).as_str());
    Arc::new(Plan {
        environment: "test".into(),
        rotation: crate::balance::Rotation::default(),
        trials: Vec::new(),
        front_ends: std::collections::BTreeSet::new(),
        lenient: std::collections::BTreeSet::new(),
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
                    hindrance: None,
                },
            })
            .collect(),
        steps: steps
            .iter()
            .map(|(unit, after, on_failure)| Step {
                unit: UnitId(*unit),
                action: Action::Call(EngineCall::KillContainer {
                    target: Target::Seen { id: ContainerId::from("id"), name: instance(*unit as usize) },
                }),
                after: after.iter().copied().map(StepId).collect(),
                on_failure: *on_failure,
            })
            .collect(),
        units: (0..units).map(|unit| Unit::Instance { instance: instance(unit), ship: ship(unit) }).collect(),
        limits,
        on_failure,
    })
}

fn done() -> StepOutcome {
    StepOutcome::Done(CallOutcome::Done)
}

fn failed() -> StepOutcome {
    StepOutcome::Failed(CheckFailure { check: "x".into(), attempts: 1, last: "x".into() }.into())
}

fn lost() -> StepOutcome {
    let kind = EngineErrorKind::Lost("x".into());
    let error = EngineError { ship: ShipName::from("s-0"), operation: "x".into(), kind, ambiguous: true };
    StepOutcome::Failed(error.into())
}

fn cut_off() -> StepOutcome {
    StepOutcome::Failed(Failure::Interrupted)
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
    let steps = [(0, vec![], Fail), (1, vec![], Fail), (2, vec![], Fail), (3, vec![0, 1], Fail)];
    let mut run = Run::new(plan(4, &steps, Limits::default(), FailurePolicy::SkipDependents));
    assert_eq!(ids(&run.take_ready()), [0, 1, 2]);
    assert_eq!(skipped(&run.finish(StepId(0), &failed())), [3]);
    assert_eq!(skipped(&run.finish(StepId(1), &failed())), [] as [u32; 0]);
    assert!(run.finish(StepId(2), &done()).is_empty());
    assert!(run.is_over());
    let summary = run.summary(Duration::ZERO);
    assert_eq!((summary.done, summary.failed, summary.aborted), (1, 2, 1));
}

#[test]
fn a_tolerated_failure_skips_the_rest_of_its_unit_only() {
    let steps = [(0, vec![], Tolerate), (0, vec![0], Tolerate), (1, vec![1], Fail)];
    let mut run = Run::new(plan(2, &steps, Limits::default(), FailurePolicy::SkipDependents));
    assert_eq!(ids(&run.take_ready()), [0]);
    assert_eq!(run.finish(StepId(0), &failed()), [(StepId(1), Skipped::Tolerated(StepId(0)))]);
    assert_eq!(ids(&run.take_ready()), [2]);
    run.finish(StepId(2), &done());
    let summary = run.summary(Duration::ZERO);
    assert_eq!((summary.done, summary.tolerated, summary.failed), (1, 1, 0));
    assert!(summary.is_success());
}

#[test]
fn units_get_their_slots_in_order_and_keep_them() {
    let steps = [(0, vec![], Fail), (0, vec![0], Fail), (1, vec![], Fail), (2, vec![], Fail)];
    let limits = Limits { units: Some(1), ..Limits::default() };
    let mut run = Run::new(plan(3, &steps, limits, FailurePolicy::Halt));
    assert_eq!(ids(&run.take_ready()), [0]);
    assert_eq!(ids(&run.take_ready()), [] as [u32; 0]);
    run.finish(StepId(0), &done());
    assert_eq!(ids(&run.take_ready()), [1]);
    run.finish(StepId(1), &done());
    assert_eq!(ids(&run.take_ready()), [2]);
    assert_eq!(skipped(&run.finish(StepId(2), &failed())), [3]);
    assert!(run.is_over());
}

#[test]
fn an_interrupt_lets_what_has_begun_go_on() {
    let steps = [(0, vec![], Fail), (0, vec![0], Fail), (1, vec![1], Fail)];
    let mut run = Run::new(plan(2, &steps, Limits::default(), FailurePolicy::SkipDependents));
    run.take_ready();
    assert_eq!(run.interrupt(), [(StepId(2), Skipped::Interrupted)]);
    run.finish(StepId(0), &done());
    assert_eq!(ids(&run.take_ready()), [1]);
    run.finish(StepId(1), &done());
    assert!(run.is_over());
    assert_eq!(run.summary(Duration::ZERO).interrupted, 1);
}

#[test]
fn what_was_cut_off_is_no_failure_and_no_success() {
    // Whatever a failure of the step would mean.
    for policy in [Fail, Tolerate, TolerateIfRunning, GoOn] {
        let steps = [(0, vec![], policy), (0, vec![0], policy), (1, vec![], policy)];
        let mut run = Run::new(plan(2, &steps, Limits::default(), FailurePolicy::SkipDependents));
        assert_eq!(ids(&run.take_ready()), [0, 2]);
        assert_eq!(run.abort(), [(StepId(1), Skipped::Interrupted)]);
        assert_eq!(run.finish(StepId(0), &cut_off()), []);
        assert_eq!(run.finish(StepId(2), &cut_off()), []);
        assert!(run.is_over());
        let summary = run.summary(Duration::ZERO);
        assert_eq!((summary.interrupted, summary.abandoned), (2, 2), "{policy:?}");
        assert!(!summary.is_success());
    }
}

/// A wait changes nothing, and neither does a call that came to its end.
#[test]
fn only_calls_that_were_cut_off_are_abandoned() {
    let steps = [(0, vec![], Fail), (1, vec![], Fail), (2, vec![], Fail), (3, vec![], Fail)];
    let mut plan = plan(4, &steps, Limits::default(), FailurePolicy::SkipDependents);
    let why = crate::plan::DelayReason::Step;
    Arc::make_mut(&mut plan).steps[0].action = Action::Delay { pause: Duration::from_secs(1), why };
    let auth = RegistryAuth {
        registry: "main".into(),
        url: "http://h".into(),
        username: "u".into(),
        password: None,
        email: None,
    };
    let login = EngineCall::Login { auth, retry: Retry::default() };
    Arc::make_mut(&mut plan).steps[3].action = Action::Call(login);
    let mut run = Run::new(plan);
    assert_eq!(ids(&run.take_ready()), [0, 3, 1, 2]);
    run.abort();
    run.finish(StepId(0), &cut_off());
    run.finish(StepId(1), &cut_off());
    run.finish(StepId(3), &cut_off());
    run.finish(StepId(2), &done());
    let summary = run.summary(Duration::ZERO);
    assert_eq!((summary.done, summary.interrupted, summary.abandoned), (1, 3, 1));
}

#[test]
fn a_restart_tolerates_only_what_leaves_the_container_up() {
    let steps = [(0, vec![], TolerateIfRunning), (0, vec![0], Fail)];
    let end = |outcome: &StepOutcome| {
        let mut run = Run::new(plan(1, &steps, Limits::default(), FailurePolicy::Halt));
        run.take_ready();
        run.finish(StepId(0), outcome);
        assert!(run.is_over());
        let summary = run.summary(Duration::ZERO);
        (summary.tolerated, summary.failed)
    };
    assert_eq!(end(&failed()), (1, 0));
    assert_eq!(end(&lost()), (0, 1));
}

#[test]
fn a_failure_that_changes_nothing_lets_its_unit_go_on() {
    let steps = [(0, vec![], GoOn), (0, vec![0], Fail)];
    let mut run = Run::new(plan(1, &steps, Limits::default(), FailurePolicy::Halt));
    run.take_ready();
    assert_eq!(run.finish(StepId(0), &failed()), []);
    assert_eq!(ids(&run.take_ready()), [1]);
    run.finish(StepId(1), &done());
    assert_eq!(run.summary(Duration::ZERO).done, 1);
}

#[test]
fn nobody_begins_while_something_of_the_unit_before_still_runs() {
    // Two checks side by side; 3 comes after the whole of unit 0.
    let steps = [(0, vec![], Tolerate), (0, vec![], Tolerate), (0, vec![0, 1], Tolerate), (1, vec![2], Fail)];
    for second in [done(), failed()] {
        let mut run = Run::new(plan(2, &steps, Limits::default(), FailurePolicy::SkipDependents));
        assert_eq!(ids(&run.take_ready()), [0, 1]);
        assert_eq!(run.finish(StepId(0), &failed()), [(StepId(2), Skipped::Tolerated(StepId(0)))]);
        assert_eq!(ids(&run.take_ready()), [] as [u32; 0]);
        run.finish(StepId(1), &second);
        assert_eq!(ids(&run.take_ready()), [3]);
    }
}

#[test]
fn a_failure_wins_over_a_tolerated_one_of_the_same_unit() {
    let steps = [
        (0, vec![], TolerateIfRunning),
        (0, vec![], TolerateIfRunning),
        (0, vec![0, 1], Fail),
        (1, vec![2], Fail),
    ];
    let mut run = Run::new(plan(2, &steps, Limits::default(), FailurePolicy::SkipDependents));
    run.take_ready();
    run.finish(StepId(0), &failed());
    assert_eq!(run.finish(StepId(1), &lost()), [(StepId(3), Skipped::After(StepId(1)))]);
    assert!(run.is_over());
    let summary = run.summary(Duration::ZERO);
    assert_eq!((summary.failed, summary.aborted), (1, 1));
}

#[test]
fn engines_are_not_flooded() {
    let steps: Vec<_> = (0..30).map(|unit| (unit, vec![], Fail)).collect();
    let limits = Limits { calls_per_ship: 2, ..Limits::default() };
    let mut run = Run::new(plan(30, &steps, limits, FailurePolicy::SkipDependents));
    // Three ships, two calls each; those of one ship side by side.
    assert_eq!(ids(&run.take_ready()), [0, 3, 1, 4, 2, 5]);
    run.finish(StepId(4), &done());
    assert_eq!(ids(&run.take_ready()), [7]);
}

#[test]
fn calls_are_limited_over_all_ships() {
    let steps: Vec<_> = (0..9).map(|unit| (unit, vec![], Fail)).collect();
    let limits = Limits { calls: 4, calls_per_ship: 3, ..Limits::default() };
    let mut run = Run::new(plan(9, &steps, limits, FailurePolicy::SkipDependents));
    assert_eq!(ids(&run.take_ready()), [0, 3, 6, 1]);
    assert!(run.take_ready().is_empty());
    run.finish(StepId(3), &done());
    assert_eq!(ids(&run.take_ready()), [4]);
    for step in [0, 6, 1, 4] {
        run.finish(StepId(step), &done());
    }
    assert_eq!(ids(&run.take_ready()), [7, 2, 5, 8]);
}

/// Thousands of containers of one service have a megabyte of variables each: not a thousand of them at once.
#[test]
fn large_requests_count_for_several() {
    let steps: Vec<_> = (0..9).map(|unit| (unit, vec![], Fail)).collect();
    let limits = Limits { calls: 4, calls_per_ship: 3, ..Limits::default() };
    let mut large = (*plan(9, &steps, limits, FailurePolicy::SkipDependents)).clone();
    for (step, kib) in [(0, 31), (3, 32), (6, 512)] {
        let value = "x".repeat(kib << 10);
        let spec = ContainerSpec {
            name: InstanceName::from("i"),
            hostname: None,
            image: ImageRef::parse("x"),
            env: ContainerEnv::of(vec![EnvVar::new("V", value)]),
            ports: Vec::new(),
            settings: Arc::default(),
            labels: BTreeMap::new(),
        };
        let call = EngineCall::CreateContainer { spec: Box::new(spec), hash: ConfigHash(String::new()) };
        large.steps[step].action = Action::Call(call);
    }
    let mut run = Run::new(Arc::new(large));
    // One, two, and seventeen: the last one goes although there is not room for all of it.
    assert_eq!(ids(&run.take_ready()), [0, 3, 6]);
    run.finish(StepId(0), &done());
    run.finish(StepId(3), &done());
    assert!(run.take_ready().is_empty());
    run.finish(StepId(6), &done());
    assert_eq!(ids(&run.take_ready()), [1, 4, 7, 2]);
}

/// Units of one to four steps in a row, the first of which may come after ends of earlier units.
fn plans() -> impl Strategy<Value = (Arc<Plan>, usize)> {
    let policy = prop_oneof![Just(Fail), Just(Tolerate), Just(TolerateIfRunning), Just(GoOn)];
    let unit = (1..5usize, prop::collection::vec(any::<prop::sample::Index>(), 0..3), policy);
    let limits = (prop::option::of(1..4usize), 1..7usize, 1..4usize);
    (prop::collection::vec(unit, 1..12), limits, any::<bool>()).prop_map(
        |(units, (slots, total, calls), halt)| {
            let mut steps: Vec<(u32, Vec<u32>, OnFailure)> = Vec::new();
            let mut ends: Vec<u32> = Vec::new();
            for (unit, (length, after, on_failure)) in units.iter().enumerate() {
                let mut last: Vec<u32> = if ends.is_empty() {
                    Vec::new()
                } else {
                    let picked: BTreeSet<u32> = after.iter().map(|i| *i.get(&ends)).collect();
                    picked.into_iter().collect()
                };
                for _ in 0..*length {
                    let id = u32::try_from(steps.len()).unwrap();
                    steps.push((u32::try_from(unit).unwrap(), last, *on_failure));
                    last = vec![id];
                }
                ends.extend(&last);
            }
            let limits = Limits { units: slots, calls: total, calls_per_ship: calls, pulls_per_ship: 1 };
            let policy = if halt { FailurePolicy::Halt } else { FailurePolicy::SkipDependents };
            (plan(units.len(), &steps, limits, policy), units.len())
        },
    )
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
            prop_assert!(running.len() <= plan.limits.calls);
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
            let outcome = match luck {
                0 => failed(),
                1 => lost(),
                _ => done(),
            };
            match outcome.verdict(plan.step(step).unwrap().on_failure) {
                Verdict::GoesOn => _ = ended.insert(step),
                Verdict::Tolerated => _ = tolerated.insert(step),
                Verdict::Failed | Verdict::CutOff => {}
            }
            skips.extend(run.finish(step, &outcome));
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
