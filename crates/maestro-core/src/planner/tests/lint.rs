//! What the lint finds in plans that a planner with a bug could have made.

use super::{fleet, named, planned};
use crate::check::{Finding, lint};
use crate::fleet::FleetSnapshot;
use crate::plan::{Action, EngineCall, Intent, Plan, Restart};

const WORLD: &str = "a: db-1 running reg:5000/db:1 | reg:5000/db:1\nb: web-1 running web:1* |";

fn restart() -> (FleetSnapshot, Plan) {
    let fleet = fleet(WORLD);
    let plan = planned(&fleet, &Intent::Restart(Restart::default()), &named(&["web-1"]));
    (fleet, plan)
}

/// What is found once nothing comes after such a call any more.
fn found_without(call: fn(&EngineCall) -> bool) -> Vec<Finding> {
    let (fleet, mut plan) = restart();
    let is = |action: &Action| matches!(action, Action::Call(made) if call(made));
    let cut: Vec<_> = plan.ids().zip(&plan.steps).filter(|(_, s)| is(&s.action)).map(|(id, _)| id).collect();
    assert_eq!(cut.len(), 1, "{plan}");
    for step in &mut plan.steps {
        step.after.retain(|before| !cut.contains(before));
    }
    lint(&plan, &fleet)
}

#[test]
fn to_be_earlier_in_the_list_is_not_to_be_done_before() {
    let without_pull = found_without(|call| matches!(call, EngineCall::PullImage { .. }));
    assert!(
        matches!(without_pull[..], [Finding::TooEarly(_), Finding::TooEarly(_), Finding::NoImage(_)]),
        "{without_pull:?}"
    );
    let without_removal = found_without(|call| matches!(call, EngineCall::RemoveContainer { .. }));
    assert!(
        matches!(without_removal[..], [Finding::NoImage(_), Finding::NameTaken(_)]),
        "{without_removal:?}"
    );
}

#[test]
fn a_unit_that_has_begun_waits_for_nobody() {
    let (fleet, mut plan) = restart();
    let is_start = |action: &Action| matches!(action, Action::Call(EngineCall::StartContainer { .. }));
    let start = plan.steps.iter().position(|step| is_start(&step.action)).unwrap();
    let pull = plan.ids().next().unwrap();
    plan.steps[start].after = [pull].into();
    // Its unit's first step waits for the pull as well, so that nothing is held up.
    assert_eq!(lint(&plan, &fleet), []);
    for step in &mut plan.steps[1..start] {
        step.after.retain(|before| *before != pull);
    }
    let found = lint(&plan, &fleet);
    assert!(
        found.iter().any(|finding| matches!(finding, Finding::LateWait(id) if id.0 as usize == start)),
        "{found:?}"
    );
}

#[test]
fn a_container_is_made_once() {
    let (fleet, mut plan) = restart();
    let create = plan
        .steps
        .iter()
        .position(|step| matches!(step.action, Action::Call(EngineCall::CreateContainer { .. })))
        .unwrap();
    plan.steps[create + 1].action = plan.steps[create].action.clone();
    let found = lint(&plan, &fleet);
    assert!(matches!(found[..], [Finding::NameTaken(id)] if id.0 as usize == create + 1), "{found:?}");
}
