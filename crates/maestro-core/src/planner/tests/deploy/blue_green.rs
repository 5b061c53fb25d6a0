//! All replacements beside what they replace, and all of them take over together.

use super::world::names;
use super::{DEPLOY, environment, planned, released, state};
use crate::boundary::{CallOutcome, CheckFailure};
use crate::event::StepOutcome;
use crate::fleet::ContainerState;
use crate::model::Environment;
use crate::plan::{Action, EngineCall, StepId};
use crate::run::Run;
use std::sync::Arc;

const WEB: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}}
services:
  web:
    image: web:1
    ports: {http: '80:8100-8101'}
    deploy: {strategy: blue-green, bake: 5s}
    lifecycle: {running: [{type: tcp, port: http}]}
    instances: {web-1: {ship: a}, web-2: {ship: b}, web-3: {ship: c}}
";

fn web(tag: u32) -> Environment {
    environment(&WEB.replace("web:1", &format!("web:{tag}")))
}

#[test]
fn all_are_proved_before_any_takes_over() {
    let mut world = released(&web(1));
    let plan = planned(&web(2), &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      web-1 (web) on a: it is not as released
      web-2 (web) on b: it is not as released
      web-3 (web) on c: it is not as released
        1. image web:2 on a: pull web:2
        2. image web:2 on b: pull web:2
        3. image web:2 on c: pull web:2
        4. all images: done [after 1 2 3]
        5. web-1 on a: create web-1.next-23e99e869709 from web:2 [after 1 4]
        6. web-1 on a: start web-1.next-23e99e869709 [after 5]
        7. web-1 on a: wait until web-1.next-23e99e869709 is running [after 6]
        8. web-1 on a: running check tcp [after 7]
        9. web-1 on a: wait until web-1.next-23e99e869709 is steady [after 8]
       10. web-1 on a: running check sleep [after 9]
       11. web-1 on a: running check tcp [after 10]
       12. web-2 on b: create web-2.next-39da4f83a9f0 from web:2 [after 2 4]
       13. web-2 on b: start web-2.next-39da4f83a9f0 [after 12]
       14. web-2 on b: wait until web-2.next-39da4f83a9f0 is running [after 13]
       15. web-2 on b: running check tcp [after 14]
       16. web-2 on b: wait until web-2.next-39da4f83a9f0 is steady [after 15]
       17. web-2 on b: running check sleep [after 16]
       18. web-2 on b: running check tcp [after 17]
       19. web-3 on c: create web-3.next-8dda4684b2da from web:2 [after 3 4]
       20. web-3 on c: start web-3.next-8dda4684b2da [after 19]
       21. web-3 on c: wait until web-3.next-8dda4684b2da is running [after 20]
       22. web-3 on c: running check tcp [after 21]
       23. web-3 on c: wait until web-3.next-8dda4684b2da is steady [after 22]
       24. web-3 on c: running check sleep [after 23]
       25. web-3 on c: running check tcp [after 24]
       26. replacements of web: done [after 11 18 25]
       27. web-1 on a: stop web-1 (grace 10 s) [after 11 26]
       28. web-1 on a: wait until web-1 is not running [after 27]
       29. web-1 on a: rename web-1 to web-1.kept-1-000000000004 [after 28]
       30. web-1 on a: rename web-1.next-23e99e869709 to web-1 [after 29]
       31. web-2 on b: stop web-2 (grace 10 s) [after 18 26]
       32. web-2 on b: wait until web-2 is not running [after 31]
       33. web-2 on b: rename web-2 to web-2.kept-1-000000000005 [after 32]
       34. web-2 on b: rename web-2.next-39da4f83a9f0 to web-2 [after 33]
       35. web-3 on c: stop web-3 (grace 10 s) [after 25 26]
       36. web-3 on c: wait until web-3 is not running [after 35]
       37. web-3 on c: rename web-3 to web-3.kept-1-000000000006 [after 36]
       38. web-3 on c: rename web-3.next-8dda4684b2da to web-3 [after 37]
    ");
    world.finish(&plan);
    insta::assert_snapshot!(names(&world.fleet), @"
    a: web-1 running web:2
    a: web-1.kept-1-000000000004 exited web:1
    b: web-2 running web:2
    b: web-2.kept-1-000000000005 exited web:1
    c: web-3 running web:2
    c: web-3.kept-1-000000000006 exited web:1
    ");
    assert!(super::nothing_is_left(&web(2), &world.fleet));
    // And back: nothing is made.
    let back = planned(&web(1), &world.fleet, &DEPLOY);
    assert!(!back.to_string().contains(": create "), "{back}");
}

/// Whichever of them fails its check: nothing of the old ones has been touched, whoever else was quicker.
#[test]
fn if_one_fails_nothing_old_is_touched() {
    let world = released(&web(1));
    let plan = planned(&web(2), &world.fleet, &DEPLOY);
    let is_check = |id: &StepId| matches!(plan.step(*id).unwrap().action, Action::Check { .. });
    for bad in plan.ids().filter(is_check) {
        let mut run = Run::new(Arc::new(plan.clone()));
        let mut open: Vec<StepId> = Vec::new();
        while !run.is_over() {
            open.extend(run.take_ready());
            // The failure comes last of all that could happen.
            let at = open.iter().position(|id| *id != bad).unwrap_or(0);
            let step = open.remove(at);
            let outcome = if step == bad {
                StepOutcome::Failed(CheckFailure { check: "x".into(), attempts: 1, last: "x".into() }.into())
            } else {
                StepOutcome::Done(CallOutcome::Done)
            };
            let stops = matches!(
                plan.step(step).unwrap().action,
                Action::Call(EngineCall::StopContainer { .. } | EngineCall::RenameContainer { .. })
            );
            assert!(!stops, "step {} of {plan}", step.0 + 1);
            run.finish(step, &outcome);
        }
    }
}

/// One that cannot be replaced holds up all; one that does not run is no reason to wait.
#[test]
fn one_that_is_blocked_blocks_all_and_a_dead_ship_does_not() {
    let mut world = released(&web(1));
    let other = "other".into();
    let mut container = state(&mut world, "b").containers["web-2"].clone();
    (container.id, container.name) = (crate::names::ContainerId::new("other"), Arc::clone(&other));
    container.labels.clear();
    container.ports = [(8100, 80), (8101, 80)].into();
    state(&mut world, "b").containers.insert(other, container);
    insta::assert_snapshot!(planned(&web(2), &world.fleet, &DEPLOY), @"
    deploy shop
      web-1 (web) on a: blocked: needs web-2, which is blocked
      web-2 (web) on b: blocked: no port of 8100-8101 is free on ship b
      web-3 (web) on c: blocked: needs web-2, which is blocked
    ");
    let down = super::fleet("b: down");
    world.fleet.ships.extend(down.ships);
    state(&mut world, "c").containers.get_mut("web-3").unwrap().state = ContainerState::Exited;
    insta::assert_snapshot!(planned(&web(2), &world.fleet, &DEPLOY), @"
    deploy shop
      web-1 (web) on a: it is not as released
      web-2 (web) on b: blocked: ship b: listing containers: host down: 192.0.2.2:2375: connection refused
      web-3 (web) on c: it is not as released
        1. image web:2 on a: pull web:2
        2. image web:2 on c: pull web:2
        3. all images: done [after 1 2]
        4. web-3 on c: rename web-3 to web-3.kept-1-000000000006 [after 2 3]
        5. web-3 on c: create web-3 from web:2 [after 4]
        6. web-3 on c: start web-3 [after 5]
        7. web-3 on c: wait until web-3 is running [after 6]
        8. web-3 on c: running check tcp [after 7]
        9. web-3 on c: wait until web-3 is steady [after 8]
       10. web-3 on c: running check sleep [after 9]
       11. web-3 on c: running check tcp [after 10]
       12. web-1 on a: create web-1.next-23e99e869709 from web:2 [after 1 3]
       13. web-1 on a: start web-1.next-23e99e869709 [after 12]
       14. web-1 on a: wait until web-1.next-23e99e869709 is running [after 13]
       15. web-1 on a: running check tcp [after 14]
       16. web-1 on a: wait until web-1.next-23e99e869709 is steady [after 15]
       17. web-1 on a: running check sleep [after 16]
       18. web-1 on a: running check tcp [after 17]
       19. replacements of web: done [after 11 18]
       20. web-1 on a: stop web-1 (grace 10 s) [after 18 19]
       21. web-1 on a: wait until web-1 is not running [after 20]
       22. web-1 on a: rename web-1 to web-1.kept-1-000000000004 [after 21]
       23. web-1 on a: rename web-1.next-23e99e869709 to web-1 [after 22]
    ");
}
