//! Instances that take volumes from others of their service: they come behind these, whatever is down.

use super::world::World;
use super::{DEPLOY, PROMOTE, environment, planned, released, state};
use crate::fleet::ContainerState;
use crate::model::Environment;
use crate::plan::{Action, EngineCall, Fate, Plan};
use std::fmt::Write as _;

/// A service on one ship; each instance with the one that it takes volumes from.
fn db(tag: u32, deploy: &str, instances: &[(&str, &str)]) -> Environment {
    let mut text = format!(
        "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n  db:\n    image: db:{tag}\n    \
         deploy: {{{deploy}}}\n    instances:\n"
    );
    for (name, source) in instances {
        _ = writeln!(text, "      {name}: {{ship: a, volumes_from: [{source}]}}");
    }
    environment(&text)
}

/// The same, deployed, and some of it down.
fn with_down(environment: &Environment, down: &[&str]) -> World {
    let mut world = released(environment);
    for name in down {
        state(&mut world, "a").containers.get_mut(*name).unwrap().state = ContainerState::Exited;
    }
    world
}

/// The instances that get containers, in the order of the plan.
fn made(plan: &Plan) -> Vec<&str> {
    let made = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Call(EngineCall::CreateContainer { spec, .. }) => spec.name.as_str().split(".next-").next(),
        _ => None,
    });
    made.collect()
}

#[test]
fn one_that_is_down_comes_first_where_another_takes_volumes() {
    let of = |tag| {
        let instances = [("db-1", ""), ("db-2", ""), ("db-3", "db-1")];
        db(tag, "strategy: rolling, max_unavailable: 1, max_surge: 0", &instances)
    };
    let mut world = with_down(&of(1), &["db-2", "db-3"]);
    let plan = planned(&of(2), &world.fleet, &DEPLOY);
    assert_eq!(made(&plan), ["db-2", "db-1", "db-3"], "{plan}");
    // The last of what could be next first.
    world.carry_out(
        &plan,
        usize::MAX,
        |open| open - 1,
        |world, action| assert!(!world.running().is_empty(), "all are down after {action} of\n{plan}"),
    );
}

#[test]
fn who_takes_volumes_comes_behind_a_canary_even_if_it_is_down() {
    let of = |tag| db(tag, "strategy: canary", &[("db-1", ""), ("db-2", "db-1"), ("db-3", "")]);
    let mut world = with_down(&of(1), &["db-2"]);
    for (intent, expected) in [(DEPLOY, &["db-1", "db-2"][..]), (PROMOTE, &["db-1", "db-2", "db-3"])] {
        let plan = planned(&of(2), &world.fleet, &intent);
        assert_eq!(made(&plan), expected, "{plan}");
    }
    world.finish(&planned(&of(2), &world.fleet, &DEPLOY));
    let next = planned(&of(2), &world.fleet, &DEPLOY);
    assert!(next.steps.is_empty(), "{next}");
}

/// Who is down and takes volumes from one that waits for canaries waits with it.
#[test]
fn who_takes_volumes_waits_with_its_source() {
    let of = |tag| db(tag, "strategy: canary", &[("db-1", ""), ("db-2", ""), ("db-3", "db-2")]);
    let world = with_down(&of(1), &["db-3"]);
    let plan = planned(&of(2), &world.fleet, &DEPLOY);
    assert_eq!(made(&plan), ["db-1"], "{plan}");
    let waits = plan.items.iter().filter(|item| matches!(item.fate, Fate::Waits { .. }));
    assert_eq!(waits.count(), 2, "{plan}");
    assert_eq!(made(&planned(&of(2), &world.fleet, &PROMOTE)), ["db-1", "db-2", "db-3"]);
}
