//! A few first, the others when somebody says so, or after a while.

use super::world::names;
use super::{DEPLOY, PROMOTE, environment, planned, released, state};
use crate::fleet::ContainerState;
use crate::model::Environment;
use crate::plan::Fate;

const WEB: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}}
services:
  web:
    image: web:1
    ports: {http: '80:8100-8101'}
    deploy: {strategy: canary, canaries: 1, bake: 5s}
    lifecycle: {running: [{type: tcp, port: http}]}
    instances: {web-1: {ship: a}, web-2: {ship: b}, web-3: {ship: c}}
";

fn web(tag: u32) -> Environment {
    environment(&WEB.replace("web:1", &format!("web:{tag}")))
}

#[test]
fn the_others_wait_until_they_are_told() {
    let mut world = released(&web(1));
    let plan = planned(&web(2), &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      web-1 (web) on a: it is not as released
      web-2 (web) on b: waits for 1 of web: it is not as released
      web-3 (web) on c: waits for 1 of web: it is not as released
        1. image web:2 on a: pull web:2
        2. all images: done [after 1]
        3. web-1 on a: create web-1.next-23e99e869709 from web:2 [after 1 2]
        4. web-1 on a: start web-1.next-23e99e869709 [after 3]
        5. web-1 on a: wait until web-1.next-23e99e869709 is running [after 4]
        6. web-1 on a: running check tcp [after 5]
        7. web-1 on a: wait until web-1.next-23e99e869709 is steady [after 6]
        8. web-1 on a: running check sleep [after 7]
        9. web-1 on a: running check tcp [after 8]
       10. web-1 on a: stop web-1 (grace 10 s) [after 9]
       11. web-1 on a: wait until web-1 is not running [after 10]
       12. web-1 on a: rename web-1 to web-1.kept-1-000000000004 [after 11]
       13. web-1 on a: rename web-1.next-23e99e869709 to web-1 [after 12]
    ");
    world.finish(&plan);
    // As often as one likes.
    let again = planned(&web(2), &world.fleet, &DEPLOY);
    insta::assert_snapshot!(again, @"
    deploy shop
      web-1 (web) on a: is as released
      web-2 (web) on b: waits for 1 of web: it is not as released
      web-3 (web) on c: waits for 1 of web: it is not as released
    ");
    assert!(again.is_empty());
    let on = planned(&web(2), &world.fleet, &PROMOTE);
    insta::assert_snapshot!(on, @"
    deploy shop
      web-1 (web) on a: is as released
      web-2 (web) on b: it is not as released
      web-3 (web) on c: it is not as released
        1. image web:2 on b: pull web:2
        2. image web:2 on c: pull web:2
        3. all images: done [after 1 2]
        4. web-2 on b: create web-2.next-39da4f83a9f0 from web:2 [after 1 3]
        5. web-2 on b: start web-2.next-39da4f83a9f0 [after 4]
        6. web-2 on b: wait until web-2.next-39da4f83a9f0 is running [after 5]
        7. web-2 on b: running check tcp [after 6]
        8. web-2 on b: wait until web-2.next-39da4f83a9f0 is steady [after 7]
        9. web-2 on b: running check sleep [after 8]
       10. web-2 on b: running check tcp [after 9]
       11. web-2 on b: stop web-2 (grace 10 s) [after 10]
       12. web-2 on b: wait until web-2 is not running [after 11]
       13. web-2 on b: rename web-2 to web-2.kept-1-000000000005 [after 12]
       14. web-2 on b: rename web-2.next-39da4f83a9f0 to web-2 [after 13]
       15. web-3 on c: create web-3.next-8dda4684b2da from web:2 [after 14 2 3]
       16. web-3 on c: start web-3.next-8dda4684b2da [after 15]
       17. web-3 on c: wait until web-3.next-8dda4684b2da is running [after 16]
       18. web-3 on c: running check tcp [after 17]
       19. web-3 on c: wait until web-3.next-8dda4684b2da is steady [after 18]
       20. web-3 on c: running check sleep [after 19]
       21. web-3 on c: running check tcp [after 20]
       22. web-3 on c: stop web-3 (grace 10 s) [after 21]
       23. web-3 on c: wait until web-3 is not running [after 22]
       24. web-3 on c: rename web-3 to web-3.kept-1-000000000006 [after 23]
       25. web-3 on c: rename web-3.next-8dda4684b2da to web-3 [after 24]
    ");
    let mut back = world.clone();
    world.finish(&on);
    assert!(super::nothing_is_left(&web(2), &world.fleet));
    // Or back, with nobody asked.
    back.finish(&planned(&web(1), &back.fleet, &DEPLOY));
    assert!(super::nothing_is_left(&web(1), &back.fleet));
    insta::assert_snapshot!(names(&back.fleet), @"
    a: web-1 running web:1
    a: web-1.kept-2-00000000000b exited web:2
    b: web-2 running web:1
    c: web-3 running web:1
    ");
}

/// Where nothing serves that could be lost, nobody is tried first.
#[test]
fn a_first_deployment_tries_nobody() {
    let world = super::World::of(super::fleet("a:\nb:\nc:"));
    let plan = planned(&web(1), &world.fleet, &DEPLOY);
    assert!(plan.items.iter().all(|item| matches!(item.fate, Fate::Act { .. })), "{plan}");
    // Neither is one that is added, while all others are as they should be.
    let two = environment(&WEB.replace(", web-3: {ship: c}", ""));
    let mut world = released(&two);
    let third = super::fleet("c: | web:1");
    world.fleet.ships.extend(third.ships);
    let plan = planned(&web(1), &world.fleet, &DEPLOY);
    assert!(plan.to_string().contains("create web-3 from web:1"), "{plan}");
    // Who does not run has nothing to lose.
    let mut world = released(&web(1));
    state(&mut world, "b").containers.get_mut("web-2").unwrap().state = ContainerState::Exited;
    let plan = planned(&web(2), &world.fleet, &DEPLOY).to_string();
    assert!(plan.contains("create web-2 from web:2") && plan.contains("web-3 (web) on c: waits"), "{plan}");
}

#[test]
fn with_a_pause_they_follow_by_themselves() {
    let with = |tag: &str| environment(&WEB.replace("bake: 5s", "pause: 5m").replace("web:1", tag));
    let mut world = released(&with("web:1"));
    let plan = planned(&with("web:2"), &world.fleet, &DEPLOY);
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
       10. web-1 on a: stop web-1 (grace 10 s) [after 9]
       11. web-1 on a: wait until web-1 is not running [after 10]
       12. web-1 on a: rename web-1 to web-1.kept-1-000000000004 [after 11]
       13. web-1 on a: rename web-1.next-23e99e869709 to web-1 [after 12]
       14. web-1 on a: running check sleep [after 13]
       15. web-1 on a: running check tcp [after 14]
       16. web-2 on b: create web-2.next-39da4f83a9f0 from web:2 [after 15 2 4]
       17. web-2 on b: start web-2.next-39da4f83a9f0 [after 16]
       18. web-2 on b: wait until web-2.next-39da4f83a9f0 is running [after 17]
       19. web-2 on b: running check tcp [after 18]
       20. web-2 on b: wait until web-2.next-39da4f83a9f0 is steady [after 19]
       21. web-2 on b: stop web-2 (grace 10 s) [after 20]
       22. web-2 on b: wait until web-2 is not running [after 21]
       23. web-2 on b: rename web-2 to web-2.kept-1-000000000005 [after 22]
       24. web-2 on b: rename web-2.next-39da4f83a9f0 to web-2 [after 23]
       25. web-3 on c: create web-3.next-8dda4684b2da from web:2 [after 24 15 3 4]
       26. web-3 on c: start web-3.next-8dda4684b2da [after 25]
       27. web-3 on c: wait until web-3.next-8dda4684b2da is running [after 26]
       28. web-3 on c: running check tcp [after 27]
       29. web-3 on c: wait until web-3.next-8dda4684b2da is steady [after 28]
       30. web-3 on c: stop web-3 (grace 10 s) [after 29]
       31. web-3 on c: wait until web-3 is not running [after 30]
       32. web-3 on c: rename web-3 to web-3.kept-1-000000000006 [after 31]
       33. web-3 on c: rename web-3.next-8dda4684b2da to web-3 [after 32]
    ");
    // Broken off while the canary has to stay well: it has to once more.
    world.carry_out(&plan, 13, |_| 0, |_, _| ());
    insta::assert_snapshot!(planned(&with("web:2"), &world.fleet, &DEPLOY), @"
    deploy shop
      web-1 (web) on a: its checks have not been seen to answer
      web-2 (web) on b: it is not as released
      web-3 (web) on c: it is not as released
        1. web-1 on a: wait until web-1 is running
        2. web-1 on a: running check tcp [after 1]
        3. web-1 on a: wait until web-1 is steady [after 2]
        4. web-1 on a: running check sleep [after 3]
        5. web-1 on a: running check tcp [after 4]
        6. web-2 on b: create web-2.next-39da4f83a9f0 from web:2 [after 5]
        7. web-2 on b: start web-2.next-39da4f83a9f0 [after 6]
        8. web-2 on b: wait until web-2.next-39da4f83a9f0 is running [after 7]
        9. web-2 on b: running check tcp [after 8]
       10. web-2 on b: wait until web-2.next-39da4f83a9f0 is steady [after 9]
       11. web-2 on b: stop web-2 (grace 10 s) [after 10]
       12. web-2 on b: wait until web-2 is not running [after 11]
       13. web-2 on b: rename web-2 to web-2.kept-1-000000000005 [after 12]
       14. web-2 on b: rename web-2.next-39da4f83a9f0 to web-2 [after 13]
       15. web-3 on c: create web-3.next-8dda4684b2da from web:2 [after 14 5]
       16. web-3 on c: start web-3.next-8dda4684b2da [after 15]
       17. web-3 on c: wait until web-3.next-8dda4684b2da is running [after 16]
       18. web-3 on c: running check tcp [after 17]
       19. web-3 on c: wait until web-3.next-8dda4684b2da is steady [after 18]
       20. web-3 on c: stop web-3 (grace 10 s) [after 19]
       21. web-3 on c: wait until web-3 is not running [after 20]
       22. web-3 on c: rename web-3 to web-3.kept-1-000000000006 [after 21]
       23. web-3 on c: rename web-3.next-8dda4684b2da to web-3 [after 22]
    ");
    let plan = planned(&with("web:2"), &world.fleet, &DEPLOY);
    world.finish(&plan);
    assert!(super::nothing_is_left(&with("web:2"), &world.fleet));
}
