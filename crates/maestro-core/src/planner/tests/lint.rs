//! What the lint finds in plans that a planner with a bug could have made.

use super::{fleet, named, planned};
use crate::check::{Finding, lint};
use crate::fleet::FleetSnapshot;
use crate::plan::{Action, EngineCall, Hooking, Intent, Plan, Restart};
use std::collections::BTreeSet;

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

/// A deployment that starts a container beside the one that it replaces.
fn beside() -> (FleetSnapshot, Plan) {
    let mut environment = super::shop();
    for service in environment.services.values_mut() {
        service.deploy.strategy = crate::model::Strategy::Rolling(crate::model::Pace {
            max_unavailable: crate::model::Share::Count(0),
            max_surge: crate::model::Share::Count(1),
        });
    }
    let fleet = fleet("a: db-1 running reg:5000/db:1, api-1 running api:1* | reg:5000/db:1\nb: |");
    let intent =
        Intent::Deploy { ask_again: false, promote: false, doubtful: BTreeSet::new(), hooks: Hooking::NEW };
    let selection =
        crate::select::select(&environment, &named(&["api-1"]), intent.selection_rules()).unwrap();
    let plan =
        crate::planner::plan(&environment, &fleet, &intent, &selection, crate::plan::Limits::default());
    assert_eq!(lint(&plan, &fleet), [], "{plan}");
    (fleet, plan)
}

#[test]
fn what_serves_is_stopped_when_the_next_one_is_proved() {
    let (fleet, mut plan) = beside();
    let stop = plan
        .steps
        .iter()
        .position(|step| matches!(step.action, Action::Call(EngineCall::StopContainer { .. })));
    let stop = stop.unwrap_or_else(|| panic!("{plan}"));
    let proof = plan.steps[stop].after.clone();
    for step in &mut plan.steps[stop..] {
        step.after = step
            .after
            .iter()
            .map(|id| if proof.contains(id) { crate::plan::StepId(id.0 - 1) } else { *id })
            .collect();
    }
    let found = lint(&plan, &fleet);
    assert!(matches!(found[..], [Finding::Unproved(id)] if id.index() == stop), "{found:?} in {plan}");
}

#[test]
fn no_port_is_published_twice() {
    let (fleet, mut plan) = beside();
    for step in &mut plan.steps {
        if let Action::Call(EngineCall::CreateContainer { spec, .. }) = &mut step.action {
            spec.ports.push(crate::model::PortBinding {
                exposed: 80,
                protocol: crate::model::Protocol::Tcp,
                address: "".into(),
                external: "8080".into(),
            });
        }
    }
    let found = lint(&plan, &fleet);
    assert!(matches!(&found[..], [Finding::Doubled { port, .. }] if &**port == "8080"), "{found:?}");
}

/// What has not been fetched is in no container, and logs in nowhere.
#[test]
fn secrets_have_values() {
    use crate::model::{EnvValue, EnvVar};
    use crate::names::Secret;
    let (fleet, mut plan) = restart();
    assert_eq!(lint(&plan, &fleet), []);
    let secret = |value: Option<&str>| {
        let named = Secret::named("db".into());
        value.map_or_else(|| named.clone(), |value| named.with_value_of(&Secret::new(value)))
    };
    let mut with = |secret: Secret| {
        for step in &mut plan.steps {
            match &mut step.action {
                Action::Call(EngineCall::CreateContainer { spec, .. }) => {
                    let value = Some(EnvValue::Secret(secret.clone().into()));
                    spec.env.own.push([EnvVar { name: "P".into(), value }].into());
                }
                Action::Call(EngineCall::PullImage { auth: Some(auth), .. }) => {
                    auth.password = Some(secret.clone());
                }
                _ => {}
            }
        }
        lint(&plan, &fleet)
    };
    assert_eq!(with(secret(Some("hunter2"))), []);
    let found = with(secret(None));
    assert!(
        !found.is_empty() && found.iter().all(|finding| matches!(finding, Finding::Sealed { .. })),
        "{found:?}"
    );
}
