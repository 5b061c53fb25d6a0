//! Containers that somebody has paused: they hold what they have, and answer nobody.

use super::{DEPLOY, environment, nothing_is_left, planned, released, state};
use crate::fleet::ContainerState;
use crate::names::InstanceName;
use crate::plan::{Action, EngineCall, Fate, Reason};

const SHOP: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}}
services:
  m: {image: 'm:1', lifecycle: {pre-stop: [{type: rexec, command: drain}]}, instances: {m-1: {ship: a}}}
";

#[test]
fn one_that_is_frozen_begins_anew() {
    let environment = environment(SHOP);
    let mut world = released(&environment);
    state(&mut world, "a").containers.get_mut("m-1").unwrap().state = ContainerState::Paused;
    let before = world.fleet.clone();
    let plan = planned(&environment, &world.fleet, &DEPLOY);
    let Fate::Act { because, .. } = &plan.items[0].fate else { panic!("{plan}") };
    assert_eq!(because, &Reason::Stopped, "{plan}");
    let is_asked = |action: &Action| matches!(action, Action::Check { .. });
    assert!(!plan.steps.iter().any(|step| is_asked(&step.action)), "what is frozen cannot answer: {plan}");
    let is_made = |action: &Action| matches!(action, Action::Call(EngineCall::CreateContainer { .. }));
    assert!(!plan.steps.iter().any(|step| is_made(&step.action)), "{plan}");
    world.finish(&plan);
    let name = InstanceName::from("m-1");
    let (then, now) =
        (before.container(&"a".into(), &name).unwrap(), world.fleet.container(&"a".into(), &name).unwrap());
    assert_eq!((&now.id, now.state), (&then.id, ContainerState::Running));
    assert!(nothing_is_left(&environment, &world.fleet));
}

/// It holds its ports, and is in the way of its replacement like one that runs; it is not asked before it stops either.
#[test]
fn one_that_is_frozen_and_differs_is_replaced() {
    let mut world = released(&environment(SHOP));
    state(&mut world, "a").containers.get_mut("m-1").unwrap().state = ContainerState::Paused;
    let next = environment(&SHOP.replace("m:1", "m:2"));
    let plan = planned(&next, &world.fleet, &DEPLOY);
    assert!(!plan.steps.iter().any(|step| matches!(step.action, Action::Check { .. })), "{plan}");
    world.finish(&plan);
    assert!(nothing_is_left(&next, &world.fleet));
}
