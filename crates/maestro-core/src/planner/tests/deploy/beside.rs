//! Replacements that start beside what they replace, and what they leave where they are broken off.

use super::world::names;
use super::{DEPLOY, environment, planned, released, state};
use crate::fleet::ContainerState;
use crate::plan::{Intent, Restart};
use std::fmt::Write as _;

const WEB: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  web:
    image: web:1
    deploy: {strategy: rolling, max_unavailable: 0, bake: 20s}
    lifecycle: {pre-stop: [{type: rexec, command: drain}]}
    instances: {web-1: {ship: a}, web-2: {ship: b}}
";

fn web(tag: u32) -> crate::model::Environment {
    environment(&WEB.replace("web:1", &format!("web:{tag}")))
}

#[test]
fn a_replacement_starts_beside_what_it_replaces() {
    let world = released(&web(1));
    insta::assert_snapshot!(planned(&web(2), &world.fleet, &DEPLOY), @"
    deploy shop
      web-1 (web) on a: it is not as released
      web-2 (web) on b: it is not as released
        1. image web:2 on a: pull web:2
        2. image web:2 on b: pull web:2
        3. all images: done [after 1 2]
        4. web-1 on a: create web-1.next-db0c22072102 from web:2 [after 1 3]
        5. web-1 on a: start web-1.next-db0c22072102 [after 4]
        6. web-1 on a: wait until web-1.next-db0c22072102 is running [after 5]
        7. web-1 on a: wait until web-1.next-db0c22072102 is steady [after 6]
        8. web-1 on a: running check sleep [after 7]
        9. web-1 on a: pre-stop check rexec [after 8]
       10. web-1 on a: stop web-1 (grace 10 s) [after 9]
       11. web-1 on a: wait until web-1 is not running [after 10]
       12. web-1 on a: rename web-1 to web-1.kept-1-000000000003 [after 11]
       13. web-1 on a: rename web-1.next-db0c22072102 to web-1 [after 12]
       14. web-2 on b: create web-2.next-e460fd788c20 from web:2 [after 13 2 3]
       15. web-2 on b: start web-2.next-e460fd788c20 [after 14]
       16. web-2 on b: wait until web-2.next-e460fd788c20 is running [after 15]
       17. web-2 on b: wait until web-2.next-e460fd788c20 is steady [after 16]
       18. web-2 on b: running check sleep [after 17]
       19. web-2 on b: pre-stop check rexec [after 18]
       20. web-2 on b: stop web-2 (grace 10 s) [after 19]
       21. web-2 on b: wait until web-2 is not running [after 20]
       22. web-2 on b: rename web-2 to web-2.kept-1-000000000004 [after 21]
       23. web-2 on b: rename web-2.next-e460fd788c20 to web-2 [after 22]
    ");
}

#[test]
fn what_cannot_be_there_twice_is_stopped_first_and_the_plan_says_why() {
    let with = |tag: &str| {
        let text = WEB.replace("max_unavailable: 0", "max_unavailable: 1").replace("web:1", tag);
        environment(&text.replace("{ship: a}", "{ship: a, ports: {http: 80}}"))
    };
    let world = released(&with("web:1"));
    insta::assert_snapshot!(planned(&with("web:2"), &world.fleet, &DEPLOY), @"
    deploy shop
      web-1 (web) on a: it is not as released; stopped first, since it publishes the fixed port 80 of its ship
      web-2 (web) on b: it is not as released
        1. image web:2 on a: pull web:2
        2. image web:2 on b: pull web:2
        3. all images: done [after 1 2]
        4. web-1 on a: pre-stop check rexec [after 1 3]
        5. web-1 on a: stop web-1 (grace 10 s) [after 4]
        6. web-1 on a: wait until web-1 is not running [after 5]
        7. web-1 on a: rename web-1 to web-1.kept-1-000000000003 [after 6]
        8. web-1 on a: create web-1 from web:2 [after 7]
        9. web-1 on a: start web-1 [after 8]
       10. web-1 on a: wait until web-1 is running [after 9]
       11. web-1 on a: wait until web-1 is steady [after 10]
       12. web-1 on a: running check sleep [after 11]
       13. web-2 on b: create web-2.next-3cb6ab12b1e8 from web:2 [after 2 3]
       14. web-2 on b: start web-2.next-3cb6ab12b1e8 [after 13]
       15. web-2 on b: wait until web-2.next-3cb6ab12b1e8 is running [after 14]
       16. web-2 on b: wait until web-2.next-3cb6ab12b1e8 is steady [after 15]
       17. web-2 on b: running check sleep [after 16]
       18. web-2 on b: pre-stop check rexec [after 17]
       19. web-2 on b: stop web-2 (grace 10 s) [after 18]
       20. web-2 on b: wait until web-2 is not running [after 19]
       21. web-2 on b: rename web-2 to web-2.kept-1-000000000004 [after 20]
       22. web-2 on b: rename web-2.next-3cb6ab12b1e8 to web-2 [after 21]
    ");
}

/// Every state that a run can leave, gone on from and gone back from.
#[test]
fn half_done_states_are_seen() {
    let mut text = String::new();
    for done in [3, 5, 9, 10] {
        let mut world = released(&environment(&WEB.replace(", web-2: {ship: b}", "")));
        let only = |tag: u32| {
            environment(&WEB.replace(", web-2: {ship: b}", "").replace("web:1", &format!("web:{tag}")))
        };
        world.carry_out(&planned(&only(2), &world.fleet, &DEPLOY), done, |_| 0, |_, _| ());
        _ = write!(text, "after {done} steps:\n{}", names(&world.fleet));
        for tag in [2, 1, 3] {
            _ = write!(text, "to {tag}: {}", planned(&only(tag), &world.fleet, &DEPLOY));
        }
    }
    insta::assert_snapshot!(text);
}

/// One that failed is started again; one that the engine could not remove is replaced.
#[test]
fn a_replacement_that_failed_is_tried_again() {
    let mut world = released(&web(1));
    world.carry_out(&planned(&web(2), &world.fleet, &DEPLOY), 8, |_| 0, |_, _| ());
    let next = |state: &crate::fleet::EngineState| {
        state.containers.keys().find(|name| name.contains(".next-")).cloned()
    };
    let name = next(state(&mut world, "a")).unwrap();
    state(&mut world, "a").containers.get_mut(&name).unwrap().state = ContainerState::Exited;
    let plan = planned(&web(2), &world.fleet, &DEPLOY).to_string();
    assert!(plan.contains(&format!("start {name}")) && !plan.contains(&format!("create {name}")), "{plan}");
    state(&mut world, "a").containers.get_mut(&name).unwrap().state = ContainerState::Dead;
    let plan = planned(&web(2), &world.fleet, &DEPLOY).to_string();
    assert!(plan.contains(&format!("create {name}")), "{plan}");
}

/// Somebody else's container has the name that a replacement would have.
#[test]
fn a_name_that_is_taken_blocks() {
    let mut world = released(&web(1));
    world.carry_out(&planned(&web(2), &world.fleet, &DEPLOY), 8, |_| 0, |_, _| ());
    for container in state(&mut world, "a").containers.values_mut().filter(|c| c.name.contains(".next-")) {
        container.labels.clear();
    }
    let plan = planned(&web(2), &world.fleet, &DEPLOY).to_string();
    assert!(plan.contains("was not made to take the place of `web-1`"), "{plan}");
    assert!(!plan.contains("web-1 on a:"), "{plan}");
}

/// What other commands make of a deployment that was broken off.
#[test]
fn other_commands_know_what_is_left() {
    let only = |tag: u32| {
        environment(&WEB.replace(", web-2: {ship: b}", "").replace("web:1", &format!("web:{tag}")))
    };
    let old = released(&only(1));
    let mut text = String::new();
    for done in [3, 5, 9] {
        let mut world = old.clone();
        world.carry_out(&planned(&only(2), &world.fleet, &DEPLOY), done, |_| 0, |_, _| ());
        _ = write!(text, "after {done} steps:\n{}", names(&world.fleet));
        let start = Intent::Start { refresh: false, reuse: false };
        for intent in [start, Intent::Restart(Restart::default()), Intent::Stop, Intent::Kill, Intent::Clean]
        {
            text += &planned(&only(2), &world.fleet, &intent).to_string();
        }
        world.finish(&planned(&only(2), &world.fleet, &Intent::Stop));
        assert!(!names(&world.fleet).contains("running"), "{}", names(&world.fleet));
        world.finish(&planned(&only(2), &world.fleet, &Intent::Clean));
        assert_eq!(names(&world.fleet), "");
        world.finish(&planned(&only(2), &world.fleet, &DEPLOY));
        assert!(super::nothing_is_left(&only(2), &world.fleet));
    }
    insta::assert_snapshot!(text);
}
