//! What a failure means for the others is for the service to say that fails.

use super::{DEPLOY, environment, planned, released};
use crate::boundary::{CallOutcome, CheckFailure};
use crate::event::{Failure, RunSummary, StepOutcome};
use crate::names::InstanceName;
use crate::plan::{Action, Condition, Plan, Unit};
use crate::run::Run;
use std::sync::Arc;
use std::time::Duration;

/// One that stays as it is and says nothing, one that goes on, one that does not, and two more.
const SHOP: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}}
services:
  m: {image: 'm:1', instances: {m-1: {ship: a}}}
  lenient:
    image: lenient:1
    deploy: {strategy: rolling, max_unavailable: 1, max_surge: 0, on_failure: continue}
    instances: {lenient-1: {ship: a}, lenient-2: {ship: a}}
  careful: {image: 'careful:1', deploy: {strategy: recreate}, instances: {careful-1: {ship: a}}}
  other: {image: 'other:1', requires: [m], instances: {other-1: {ship: a}}}
";

/// Carries a plan out, one step after another; whatever waits for an instance to run fails for this one.
fn failing(plan: &Plan, name: &str) -> RunSummary {
    let mut run = Run::new(Arc::new(plan.clone()));
    // So that nothing else has begun yet.
    let mut open = Vec::new();
    while !run.is_over() {
        open.extend(run.take_ready());
        let step = open.remove(0);
        let waits =
            matches!(plan.step(step).unwrap().action, Action::Await { condition: Condition::Running, .. });
        let is_it = matches!(plan.unit_of(step), Some(Unit::Instance { instance, .. }) if *instance == InstanceName::from(name));
        let failure = CheckFailure { check: "x".into(), attempts: 1, last: "no".into() };
        let outcome = if waits && is_it {
            StepOutcome::Failed(Failure::Check(failure))
        } else {
            StepOutcome::Done(CallOutcome::Done)
        };
        run.finish(step, &outcome);
    }
    run.summary(Duration::ZERO)
}

fn plan() -> Plan {
    let world = released(&environment(SHOP));
    let mut next = SHOP.to_owned();
    for service in ["lenient", "careful", "other"] {
        next = next.replace(&format!("{service}:1"), &format!("{service}:2"));
    }
    let mut plan = planned(&environment(&next), &world.fleet, &DEPLOY);
    plan.limits.units = Some(1);
    plan
}

#[test]
fn others_go_on_if_the_service_says_so_that_fails() {
    // The one behind it waits for its place: who is down keeps it.
    let summary = failing(&plan(), "lenient-1");
    let RunSummary { done, failed, aborted, unchanged, .. } = summary;
    assert_eq!((done, failed, aborted, unchanged), (2, 1, 1, 1));
    // The last one fails alone.
    let RunSummary { done, failed, aborted, .. } = failing(&plan(), "lenient-2");
    assert_eq!((done, failed, aborted), (3, 1, 0));
}

#[test]
fn nobody_goes_on_if_the_service_does_not_say_so_that_fails() {
    let RunSummary { done, failed, aborted, .. } = failing(&plan(), "careful-1");
    assert_eq!((done, failed, aborted), (0, 1, 3));
}
