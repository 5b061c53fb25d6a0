//! Budgets: what is refused and how little would be enough, and that no order of events and no failure breaks one.

use super::{cases, fleet};
use crate::boundary::{CallOutcome, CheckFailure};
use crate::check::lint;
use crate::config::{Limits as TextLimits, load};
use crate::engine_error::{EngineError, EngineErrorKind};
use crate::event::{Failure, StepOutcome, Verdict};
use crate::fleet::FleetSnapshot;
use crate::model::{Environment, Share};
use crate::names::InstanceName;
use crate::plan::{
    Action, EngineCall, Fate, Hooking, Intent, Limits, OnFailure, Plan, Restart, StepId, Unit,
};
use crate::planner::budget::{OverBudget, keep};
use crate::planner::plan;
use crate::run::Run;
use crate::select::{Selector, select};
use crate::source::MapSources;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

fn environment(text: &str) -> Environment {
    let loaded = load(&MapSources::of(text), &TextLimits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.diagnostics))
}

fn planned(environment: &Environment, fleet: &FleetSnapshot, intent: &Intent, things: &[&str]) -> Plan {
    let selector =
        Selector { things: things.iter().map(ToString::to_string).collect(), ..Selector::default() };
    let selection = select(environment, &selector, intent.selection_rules()).unwrap();
    plan(environment, fleet, intent, &selection, Limits::default())
}

/// Two services of two instances on two ships; one that is left out does not count.
const SHOP: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  api: {image: 'x:1', instances: {api-1: {ship: a}, api-2: {ship: b}}}
  web: {image: 'x:1', requires: [api], instances: {web-1: {ship: a}, web-2: {ship: b}}}
  job: {image: 'x:1', omit: true, instances: {job-1: {ship: a}}}
";

const UP: &str =
    "a: api-1 running x:1, web-1 running x:1 | x:1\nb: api-2 running x:1, web-2 running x:1 | x:1";

fn restart() -> Intent {
    Intent::Restart(Restart::default())
}

fn kept(seen: &str, intent: &Intent, things: &[&str], share: Share) -> Result<Plan, OverBudget> {
    let (environment, fleet) = (environment(SHOP), fleet(seen));
    let mut plan = planned(&environment, &fleet, intent, things);
    keep(&mut plan, &environment, &fleet, share).map(|()| plan)
}

fn refused(seen: &str, intent: &Intent, things: &[&str], share: Share) -> String {
    kept(seen, intent, things, share).map_or_else(|no| no.to_string(), |plan| format!("allowed\n{plan}"))
}

#[test]
fn what_cannot_be_met_is_refused_with_what_would_be_enough() {
    assert_eq!(
        refused(UP, &Intent::Stop, &[], Share::Percent(25)),
        "at least 4 of 4 instances would be down at the same time (0 are now), and 1 may be: it needs \
         `max_unavailable: 100%`, and the budget says 25%"
    );
    assert_eq!(
        refused(UP, &Intent::Kill, &["web"], Share::Count(1)),
        "at least 2 of 4 instances would be down at the same time (0 are now), and 1 may be: it needs \
         `max_unavailable: 2`, and the budget says 1"
    );
    assert!(kept(UP, &Intent::Kill, &["web"], Share::Percent(50)).is_ok());
    // Those that are down already count, and those that nobody can see.
    let down = UP.replace("api-1 running", "api-1 exited");
    assert!(refused(&down, &restart(), &["web"], Share::Count(1)).starts_with("at least 2 of 4"));
    let unseen = "a: down\nb: api-2 running x:1, web-2 running x:1 | x:1";
    let said = refused(unseen, &restart(), &["web-2"], Share::Percent(50));
    assert!(
        said.contains("3 of 4") && said.contains("(2 are now, 2 of them because nobody can see them)"),
        "{said}"
    );
    assert!(said.contains("max_unavailable: 75%"), "{said}");
}

#[test]
fn what_takes_nothing_down_is_never_refused() {
    for intent in [Intent::Start { refresh: false, reuse: false }, Intent::Clean, Intent::Pull] {
        let down = "a: api-1 exited x:1\nb: down";
        let plan = kept(down, &intent, &[], Share::Count(1)).unwrap();
        assert_eq!(plan.to_string(), planned(&environment(SHOP), &fleet(down), &intent, &[]).to_string());
    }
    // What is left out of everything may be down as it likes.
    let job = UP.replace("api-1 running", "job-1 running x:1, api-1 running");
    assert!(kept(&job, &Intent::Stop, &["job"], Share::Count(1)).is_ok());
}

#[test]
fn one_after_the_other_over_all_services() {
    let plan = kept(UP, &restart(), &[], Share::Count(1)).unwrap();
    let (most, _) = simulate(&environment(SHOP), &fleet(UP), &plan, &mut |_| 0, &mut || false);
    assert_eq!(most, 1);
    // A budget for all changes nothing.
    let plan = kept(UP, &restart(), &[], Share::Percent(100)).unwrap();
    assert_eq!(plan.to_string(), planned(&environment(SHOP), &fleet(UP), &restart(), &[]).to_string());
}

#[test]
fn who_is_down_comes_up_before_others_go_down() {
    // Restarts go from what depends to what it needs: web comes up first.
    let down = UP.replace("web-1 running", "web-1 exited");
    let plan = kept(&down, &restart(), &[], Share::Count(1)).unwrap();
    let (most, ups) = simulate(&environment(SHOP), &fleet(&down), &plan, &mut |_| 0, &mut || false);
    assert_eq!((most, ups), (1, 4));
    // If it does not come up, nobody goes down for it.
    let (most, _) = simulate(&environment(SHOP), &fleet(&down), &plan, &mut |_| 0, &mut || true);
    assert_eq!(most, 1);
}

/// How a step fails.
fn failure(action: &Action) -> Failure {
    match action {
        Action::Call(_) => {
            let kind = EngineErrorKind::Api { status: 500, message: "no".into() };
            let error = EngineError { ship: "a".into(), operation: "x".into(), kind, ambiguous: false };
            Failure::Engine(error)
        }
        Action::Await { condition, within, .. } => Failure::NotReached {
            container: "x".into(),
            condition: *condition,
            within: *within,
            found: "otherwise".into(),
        },
        _ => Failure::Check(CheckFailure { check: "x".into(), attempts: 1, last: "no".into() }),
    }
}

/// Carries a plan out in some order and with some failures; how many were down at most, and how many came up.
fn simulate(
    environment: &Environment,
    fleet: &FleetSnapshot,
    plan: &Plan,
    choose: &mut dyn FnMut(usize) -> usize,
    fails: &mut dyn FnMut() -> bool,
) -> (usize, usize) {
    assert_eq!(lint(plan, fleet), [], "{plan}");
    let counted: Vec<_> = environment
        .instances
        .values()
        .filter(|instance| !environment.services[&instance.service].omit)
        .collect();
    let is_up = |instance: &&&crate::model::Instance| {
        fleet.container(&instance.ship, &instance.name).is_some_and(|c| c.state.is_running())
    };
    let mut up: BTreeSet<InstanceName> = counted.iter().filter(is_up).map(|i| i.name.clone()).collect();
    // Of each instance, the steps of its own that are not over.
    let mut left: BTreeMap<InstanceName, BTreeSet<StepId>> = BTreeMap::new();
    for item in &plan.items {
        if let Fate::Act { steps, .. } = &item.fate {
            let own = |id: &StepId| matches!(plan.unit_of(*id), Some(Unit::Instance { .. }));
            left.insert(item.instance.clone(), steps.iter().copied().filter(own).collect());
        }
    }
    // Those whose replacements serve beside them: what stops afterwards is not missed.
    let mut beside: BTreeSet<InstanceName> = BTreeSet::new();
    let mut run = Run::new(Arc::new(plan.clone()));
    let mut open: Vec<StepId> = Vec::new();
    let (mut most, mut ups) = (counted.len() - up.len(), 0);
    while !run.is_over() {
        for step in run.take_ready() {
            // From the moment that it is asked to stop it does not count on anymore.
            if let Action::Call(
                EngineCall::StopContainer { target, .. } | EngineCall::KillContainer { target },
            ) = &plan.step(step).unwrap().action
                && !beside.contains(target.name())
            {
                up.remove(target.name());
            }
            open.push(step);
        }
        most = most.max(counted.len() - counted.iter().filter(|i| up.contains(&i.name)).count());
        let step = open.remove(choose(open.len()));
        let failed = fails();
        let outcome = if failed {
            StepOutcome::Failed(failure(&plan.step(step).unwrap().action))
        } else {
            StepOutcome::Done(CallOutcome::Done)
        };
        // Who is tolerated because it runs on has not gone down.
        let policy = plan.step(step).unwrap().on_failure;
        if let (Some(Unit::Instance { instance, .. }), OnFailure::TolerateIfRunning, Verdict::Tolerated) =
            (plan.unit_of(step), policy, outcome.verdict(policy))
        {
            up.insert(instance.clone());
        }
        run.finish(step, &outcome);
        if let Some(Unit::Instance { instance, .. }) = plan.unit_of(step) {
            let own = left.get_mut(instance).unwrap();
            let starts = |id: &StepId| {
                matches!(plan.step(*id).unwrap().action, Action::Call(EngineCall::StartContainer { .. }))
            };
            let comes_up = plan.items.iter().any(|item| {
                item.instance == *instance
                    && matches!(&item.fate, Fate::Act { steps, .. } if steps.iter().any(starts))
            });
            if !failed {
                own.remove(&step);
                if let Action::Call(EngineCall::StartContainer { target }) = &plan.step(step).unwrap().action
                    && target.name().as_str().contains(".next-")
                {
                    beside.insert(instance.clone());
                }
                if own.is_empty() && comes_up {
                    up.insert(instance.clone());
                    ups += 1;
                }
            }
        }
    }
    (most, ups)
}

/// A world: services with instances on ships, who needs whom, and what is up.
#[derive(Debug, Clone)]
struct Layout {
    /// Instances of each service: the ship, and whether it is up.
    services: Vec<Vec<(u8, bool)>>,
    /// Whether each service needs the one before it.
    needs: Vec<bool>,
    /// Which ships cannot be seen.
    unseen: Option<u8>,
    rolling: bool,
}

impl Layout {
    fn yaml(&self) -> String {
        let mut text = String::from(
            "__maestro: {schema: 2}\nname: shop\nships: {s0: {ip: 192.0.2.1}, s1: {ip: 192.0.2.2}, s2: {ip: 192.0.2.3}}\nservices:\n",
        );
        for (n, instances) in self.services.iter().enumerate() {
            let requires =
                if n > 0 && self.needs[n] { format!(", requires: [v{}]", n - 1) } else { String::new() };
            let deploy = if self.rolling { ", deploy: {strategy: rolling, max_unavailable: 2}" } else { "" };
            let instances: Vec<String> = instances
                .iter()
                .enumerate()
                .map(|(i, (ship, _))| format!("v{n}-{i}: {{ship: s{ship}}}"))
                .collect();
            writeln!(
                text,
                "  v{n}: {{image: 'x:2'{requires}{deploy}, lifecycle: {{pre-stop: [{{type: sleep, wait: 1}}, \
                 {{type: sleep, wait: 2}}], running: [{{type: sleep, wait: 1}}, {{type: sleep, wait: 2}}]}}, \
                 instances: {{{}}}}}",
                instances.join(", ")
            )
            .unwrap();
        }
        text
    }

    fn fleet(&self) -> FleetSnapshot {
        let mut ships: Vec<Vec<String>> = vec![Vec::new(); 3];
        for (n, instances) in self.services.iter().enumerate() {
            for (i, (ship, is_up)) in instances.iter().enumerate() {
                let state = if *is_up { "running" } else { "exited" };
                ships[usize::from(*ship)].push(format!("v{n}-{i} {state} x:1"));
            }
        }
        let line = |(ship, containers): (usize, &Vec<String>)| match self.unseen {
            Some(unseen) if usize::from(unseen) == ship => format!("s{ship}: down\n"),
            _ => format!("s{ship}: {} | x:1 x:2\n", containers.join(", ")),
        };
        fleet(&ships.iter().enumerate().map(line).collect::<String>())
    }
}

fn layouts() -> impl Strategy<Value = Layout> {
    let instances = prop::collection::vec((0..3u8, prop::bool::weighted(0.8)), 1..5);
    let services = prop::collection::vec(instances, 1..5);
    let unseen = prop_oneof![4 => Just(None), 1 => (0..3u8).prop_map(Some)];
    (services, prop::collection::vec(any::<bool>(), 5), unseen, any::<bool>())
        .prop_map(|(services, needs, unseen, rolling)| Layout { services, needs, unseen, rolling })
}

fn shares() -> impl Strategy<Value = Share> {
    prop_oneof![(1..8u32).prop_map(Share::Count), (1..=100u8).prop_map(Share::Percent)]
}

fn intents() -> impl Strategy<Value = Intent> {
    prop_oneof![
        3 => Just(restart()),
        3 => any::<(bool, bool)>().prop_map(|(ask_again, promote)| Intent::Deploy { ask_again, promote, doubtful: BTreeSet::new(), hooks: Hooking::NEW }),
        1 => Just(Intent::Stop),
        1 => Just(Intent::Kill),
        1 => Just(Intent::Start { refresh: true, reuse: false }),
    ]
}

proptest! {
    #![proptest_config(cases(2000))]

    /// Whatever ends when, and whatever fails: never more are down than may be, or than were.
    #[test]
    fn a_budget_is_kept_in_every_order_and_with_every_failure(
        layout in layouts(),
        share in shares(),
        intent in intents(),
        units in prop::option::of(1..4usize),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 64),
        failures in prop::collection::vec(prop::bool::weighted(0.1), 64),
    ) {
        let (environment, fleet) = (environment(&layout.yaml()), layout.fleet());
        let mut plan = planned(&environment, &fleet, &intent, &[]);
        plan.limits.units = units;
        let untouched = plan.to_string();
        let all = environment.instances.len();
        match keep(&mut plan, &environment, &fleet, share) {
            Ok(()) => {
                let (mut next, mut failing) = (0, 0);
                let mut choose = |open: usize| {
                    next += 1;
                    choices[next % choices.len()].index(open)
                };
                let mut fails = || {
                    failing += 1;
                    failures[failing % failures.len()]
                };
                let before = all - environment.instances.values()
                    .filter(|i| fleet.container(&i.ship, &i.name).is_some_and(|c| c.state.is_running()))
                    .count();
                let (most, _) = simulate(&environment, &fleet, &plan, &mut choose, &mut fails);
                prop_assert!(most <= share.of(all).max(before), "{most} of {all} with {share}\n{plan}");
            }
            Err(no) => {
                prop_assert_eq!(plan.to_string(), untouched, "it is as it was");
                // That much is enough, and less is not.
                prop_assert!(no.would > no.allowed && no.would <= all);
                let mut plan = plan;
                prop_assert!(keep(&mut plan.clone(), &environment, &fleet, no.needed).is_ok());
                let less = Share::Count(u32::try_from(no.would - 1).unwrap());
                if no.would > 1 {
                    prop_assert!(keep(&mut plan, &environment, &fleet, less).is_err());
                }
            }
        }
    }
}
