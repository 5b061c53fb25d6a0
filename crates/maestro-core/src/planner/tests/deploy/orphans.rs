//! Instances that are not in the file any more, or on another ship.

use super::world::World;
use super::{DEPLOY, PROMOTE, environment, fleet, planned, released};
use crate::balance::Standing;
use crate::fleet::{ContainerState, ShipView};
use crate::model::Environment;
use crate::names::{InstanceName, ShipName};
use crate::plan::{Action, EngineCall, Hooking, Intent, Limits, Plan};
use crate::planner::plan;
use crate::run::Run;
use crate::select::{Selector, select};
use std::sync::Arc;

const SHOP: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}}
services:
  web:
    image: web:1
    ports: {http: PORTS}
    deploy: {STRATEGY}
    instances: {INSTANCES}
  edge: {image: 'edge:1', ports: {http: 80, status: 8404}, instances: {edge-1: {ship: a}}}
balancers: {front: {kind: haproxy, service: edge, routes: [{service: web, port: http}]}}
";

const ROLLING: &str = "strategy: rolling, max_unavailable: 1";
const FIXED: &str = "'80:8080'";
const RANGE: &str = "'80:8100-8104'";
const THREE: &str = "web-1: {ship: a}, web-2: {ship: b}, web-3: {ship: c}";

fn shop(ports: &str, strategy: &str, instances: &str) -> Environment {
    environment(&SHOP.replace("PORTS", ports).replace("STRATEGY", strategy).replace("INSTANCES", instances))
}

/// What runs on each ship.
fn running(world: &World) -> String {
    world.running().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

/// Carries a plan out, stopping after every step to look whether anybody is stopped who gets requests, and whether enough
/// do; then again broken off after each step, and gone on with.
fn reaches(from: &World, to: &Environment, plan: &Plan, least: usize, end: &str) {
    let carry = |world: &mut World, plan: &Plan, most: usize| {
        let (steps, _) = world.follow(plan, most, |_, rotation, action| {
            let gets = rotation.endpoints().into_iter();
            let gets = gets.filter(|e| e.service.as_str() == "web" && e.standing == Standing::In);
            let gets: Vec<_> = gets.map(|endpoint| endpoint.instance).collect();
            if let Action::Call(EngineCall::StopContainer { target, .. }) = action {
                let name = target.name().as_str();
                let own = |got: &InstanceName| got.as_str() == name;
                let there = |got: &InstanceName| got.as_str().starts_with(&format!("{name}@"));
                let is_there = plan.items.iter().any(|item| there(&item.instance));
                assert!(
                    !gets.iter().any(|got| if is_there { there(got) } else { own(got) }),
                    "{name}: {gets:?}\n{plan}"
                );
            }
            assert!(gets.len() >= least, "{gets:?} after {action:?} of\n{plan}");
        });
        steps
    };
    let mut whole = from.clone();
    let all = carry(&mut whole, plan, usize::MAX);
    assert_eq!(running(&whole), end, "{plan}");
    let again = planned(to, &whole.fleet, &DEPLOY);
    assert!(again.steps.is_empty(), "{again}");
    for most in 0..all {
        let mut world = from.clone();
        carry(&mut world, plan, most);
        let rest = planned(to, &world.fleet, &PROMOTE);
        carry(&mut world, &rest, usize::MAX);
        assert_eq!(running(&world), end, "broken off after {most}:\n{plan}\n{rest}");
    }
}

#[test]
fn what_is_gone_stops_when_everything_else_is_done() {
    let world = released(&shop(RANGE, ROLLING, THREE));
    let to = shop(RANGE, ROLLING, "web-1: {ship: a}, web-2: {ship: b}").clone();
    let plan = planned(&to, &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      edge-1 (edge) on a: is as released
      web-1 (web) on a: it is not as released
      web-2 (web) on b: it is not as released
      web-3@c (web) on c: it is not to be there any more
        1. web-1 on a: create web-1.next-713d3cdcae79 from web:1
        2. web-1 on a: start web-1.next-713d3cdcae79 [after 1]
        3. web-1 on a: wait until web-1.next-713d3cdcae79 is running [after 2]
        4. web-1 on a: wait until web-1.next-713d3cdcae79 is steady [after 3]
        5. web-1 on a: tell front, requests go to web-1.next-713d3cdcae79 at 192.0.2.1:8101, none go to web-1 any more [after 4]
        6. web-1 on a: stop web-1 (grace 10 s) [after 5]
        7. web-1 on a: wait until web-1 is not running [after 6]
        8. web-1 on a: rename web-1 to web-1.kept-1-000000000006 [after 7]
        9. web-1 on a: rename web-1.next-713d3cdcae79 to web-1 [after 8]
       10. web-1 on a: tell front, requests go to web-1 at 192.0.2.1:8101, web-1.next-713d3cdcae79 is gone [after 9]
       11. web-2 on b: create web-2.next-5cec24de4efd from web:1 [after 10]
       12. web-2 on b: start web-2.next-5cec24de4efd [after 11]
       13. web-2 on b: wait until web-2.next-5cec24de4efd is running [after 12]
       14. web-2 on b: wait until web-2.next-5cec24de4efd is steady [after 13]
       15. web-2 on b: tell front, requests go to web-2.next-5cec24de4efd at 192.0.2.2:8101, none go to web-2 any more [after 14]
       16. web-2 on b: stop web-2 (grace 10 s) [after 15]
       17. web-2 on b: wait until web-2 is not running [after 16]
       18. web-2 on b: rename web-2 to web-2.kept-1-000000000007 [after 17]
       19. web-2 on b: rename web-2.next-5cec24de4efd to web-2 [after 18]
       20. web-2 on b: tell front, requests go to web-2 at 192.0.2.2:8101, web-2.next-5cec24de4efd is gone [after 19]
       21. all instances: done [after 10 20]
       22. web-3@c on c: tell front, none go to web-3@c any more [after 21]
       23. web-3@c on c: set restart of web-3 to no [after 22]
       24. web-3@c on c: stop web-3 (grace 10 s) [after 23]
       25. web-3@c on c: wait until web-3 is not running [after 24]
    ");
    reaches(&world, &to, &plan, 2, "edge-1@a web-1@a web-2@b");
    // It comes back as it was.
    let mut less = world.clone();
    less.finish(&plan);
    let back = shop(RANGE, ROLLING, THREE);
    let plan = planned(&back, &less.fleet, &DEPLOY);
    assert!(
        plan.steps
            .iter()
            .all(|step| !matches!(step.action, Action::Call(EngineCall::CreateContainer { .. })))
    );
    reaches(&less, &back, &plan, 2, "edge-1@a web-1@a web-2@b web-3@c");
}

/// Whoever finds one stopped takes it for done: by then, its engine does not start it any more. Whoever finds it running
/// leaves it as it was made, or stops it.
#[test]
fn what_is_stopped_is_started_by_no_engine() {
    let old = shop(RANGE, ROLLING, &THREE.replace("{ship: c}", "{ship: c, restart: always}"));
    let new = shop(RANGE, ROLLING, "web-1: {ship: a}, web-2: {ship: b}");
    let mut world = World::of(fleet("a:\nb:\nc:"));
    world.tells = true;
    world.finish(&planned(&old, &world.fleet, &DEPLOY));
    let policy = |world: &World| {
        let found = world.fleet.container(&"c".into(), &"web-3".into()).unwrap();
        (found.state, found.configuration.as_ref().unwrap().restart.name.to_string())
    };
    assert_eq!(policy(&world), (ContainerState::Running, "always".to_owned()));
    let plan = planned(&new, &world.fleet, &DEPLOY);
    for most in 0..=plan.steps.len() {
        let mut broken_off = world.clone();
        broken_off.carry_out(&plan, most, |_| 0, |_, _| ());
        let (state, restart) = policy(&broken_off);
        assert!(state.is_running() || restart == "no", "{restart} after {most} of\n{plan}");
        for (to, end) in [(&new, (ContainerState::Exited, "no")), (&old, (ContainerState::Running, "always"))]
        {
            let mut world = broken_off.clone();
            let rest = planned(to, &world.fleet, &DEPLOY);
            assert!(!rest.to_string().contains("create web-3"), "after {most} of\n{plan}\n{rest}");
            world.finish(&rest);
            let (state, restart) = policy(&world);
            assert_eq!((state, &*restart), end, "after {most} of\n{plan}\n{rest}");
            assert!(planned(to, &world.fleet, &DEPLOY).steps.is_empty(), "after {most} of\n{plan}\n{rest}");
        }
    }
}

#[test]
fn what_has_moved_serves_until_it_serves_elsewhere() {
    let world = released(&shop(RANGE, ROLLING, THREE));
    let to = shop(RANGE, ROLLING, "web-1: {ship: b}, web-2: {ship: b}, web-3: {ship: c}");
    let plan = planned(&to, &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      edge-1 (edge) on a: is as released
      web-1 (web) on b: there is no container
      web-2 (web) on b: it is not as released
      web-3 (web) on c: it is not as released
      web-1@a (web) on a: it belongs on b now
        1. web-1 on b: create web-1 from web:1
        2. web-1 on b: start web-1 [after 1]
        3. web-1 on b: wait until web-1 is running [after 2]
        4. web-1 on b: wait until web-1 is steady [after 3]
        5. web-1 on b: tell front, requests go to web-1 at 192.0.2.2:8101 [after 4]
        6. web-2 on b: create web-2.next-043ce53f3faa from web:1
        7. web-2 on b: start web-2.next-043ce53f3faa [after 6]
        8. web-2 on b: wait until web-2.next-043ce53f3faa is running [after 7]
        9. web-2 on b: wait until web-2.next-043ce53f3faa is steady [after 8]
       10. web-2 on b: tell front, requests go to web-2.next-043ce53f3faa at 192.0.2.2:8102, none go to web-2 any more [after 9]
       11. web-2 on b: stop web-2 (grace 10 s) [after 10]
       12. web-2 on b: wait until web-2 is not running [after 11]
       13. web-2 on b: rename web-2 to web-2.kept-1-000000000007 [after 12]
       14. web-2 on b: rename web-2.next-043ce53f3faa to web-2 [after 13]
       15. web-2 on b: tell front, requests go to web-2 at 192.0.2.2:8102, web-2.next-043ce53f3faa is gone [after 14]
       16. web-3 on c: create web-3.next-24aeb03cb330 from web:1 [after 15]
       17. web-3 on c: start web-3.next-24aeb03cb330 [after 16]
       18. web-3 on c: wait until web-3.next-24aeb03cb330 is running [after 17]
       19. web-3 on c: wait until web-3.next-24aeb03cb330 is steady [after 18]
       20. web-3 on c: tell front, requests go to web-3.next-24aeb03cb330 at 192.0.2.3:8101, none go to web-3 any more [after 19]
       21. web-3 on c: stop web-3 (grace 10 s) [after 20]
       22. web-3 on c: wait until web-3 is not running [after 21]
       23. web-3 on c: rename web-3 to web-3.kept-1-000000000008 [after 22]
       24. web-3 on c: rename web-3.next-24aeb03cb330 to web-3 [after 23]
       25. web-3 on c: tell front, requests go to web-3 at 192.0.2.3:8101, web-3.next-24aeb03cb330 is gone [after 24]
       26. all instances: done [after 5 15 25]
       27. web-1@a on a: tell front, none go to web-1@a any more [after 26]
       28. web-1@a on a: set restart of web-1 to no [after 27]
       29. web-1@a on a: stop web-1 (grace 10 s) [after 28]
       30. web-1@a on a: wait until web-1 is not running [after 29]
    ");
    reaches(&world, &to, &plan, 3, "edge-1@a web-1@b web-2@b web-3@c");
}

#[test]
fn all_of_them_renamed() {
    let world = released(&shop(RANGE, ROLLING, THREE));
    let to = shop(RANGE, ROLLING, "www-1: {ship: a}, www-2: {ship: b}, www-3: {ship: c}");
    let plan = planned(&to, &world.fleet, &DEPLOY);
    reaches(&world, &to, &plan, 3, "edge-1@a www-1@a www-2@b www-3@c");
}

#[test]
fn what_is_in_the_way_goes_first_and_one_at_a_time() {
    let world = released(&shop(FIXED, ROLLING, THREE));
    let to = shop(FIXED, ROLLING, "www-1: {ship: a}, www-2: {ship: b}, www-3: {ship: c}");
    let plan = planned(&to, &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      edge-1 (edge) on a: is as released
      www-1 (web) on a: there is no container
      www-2 (web) on b: there is no container
      www-3 (web) on c: there is no container
      web-1@a (web) on a: it is not to be there any more
      web-2@b (web) on b: it is not to be there any more
      web-3@c (web) on c: it is not to be there any more
        1. web-1@a on a: tell front, none go to web-1@a any more
        2. web-1@a on a: set restart of web-1 to no [after 1]
        3. web-1@a on a: stop web-1 (grace 10 s) [after 2]
        4. web-1@a on a: wait until web-1 is not running [after 3]
        5. www-1 on a: create www-1 from web:1 [after 4]
        6. www-1 on a: start www-1 [after 5]
        7. www-1 on a: wait until www-1 is running [after 6]
        8. www-1 on a: wait until www-1 is steady [after 7]
        9. www-1 on a: tell front, requests go to www-1 at 192.0.2.1:8080 [after 8]
       10. web-2@b on b: tell front, none go to web-2@b any more [after 9]
       11. web-2@b on b: set restart of web-2 to no [after 10]
       12. web-2@b on b: stop web-2 (grace 10 s) [after 11]
       13. web-2@b on b: wait until web-2 is not running [after 12]
       14. www-2 on b: create www-2 from web:1 [after 9 13]
       15. www-2 on b: start www-2 [after 14]
       16. www-2 on b: wait until www-2 is running [after 15]
       17. www-2 on b: wait until www-2 is steady [after 16]
       18. www-2 on b: tell front, requests go to www-2 at 192.0.2.2:8080 [after 17]
       19. web-3@c on c: tell front, none go to web-3@c any more [after 18]
       20. web-3@c on c: set restart of web-3 to no [after 19]
       21. web-3@c on c: stop web-3 (grace 10 s) [after 20]
       22. web-3@c on c: wait until web-3 is not running [after 21]
       23. www-3 on c: create www-3 from web:1 [after 18 22]
       24. www-3 on c: start www-3 [after 23]
       25. www-3 on c: wait until www-3 is running [after 24]
       26. www-3 on c: wait until www-3 is steady [after 25]
       27. www-3 on c: tell front, requests go to www-3 at 192.0.2.3:8080 [after 26]
    ");
    reaches(&world, &to, &plan, 2, "edge-1@a www-1@a www-2@b www-3@c");
    // Two change places.
    let to = shop(FIXED, ROLLING, "web-1: {ship: b}, web-2: {ship: a}, web-3: {ship: c}");
    let plan = planned(&to, &world.fleet, &DEPLOY);
    reaches(&world, &to, &plan, 1, "edge-1@a web-2@a web-1@b web-3@c");
}

/// What had to make room for another service is none that the own service could do without.
#[test]
fn what_went_for_another_service_is_not_counted_again() {
    let mut world = released(&shop(FIXED, ROLLING, THREE));
    let api = "services:\n  api: {image: 'api:1', ports: {http: '80:8080'}, instances: {api-1: {ship: c}}}\n";
    let to = SHOP.replace("services:\n", api).replace("    deploy:", "    requires: [api]\n    deploy:");
    let to =
        to.replace("PORTS", FIXED).replace("STRATEGY", "strategy: rolling, max_unavailable: 1, max_surge: 0");
    // Two have to go for the first of them, and only one may be down: it follows when the other one is there.
    let to = environment(&to.replace("INSTANCES", "web-1: {ship: b}, web-4: {ship: a}"));
    for end in ["edge-1@a web-4@a web-2@b api-1@c", "edge-1@a web-4@a web-1@b api-1@c"] {
        let plan = planned(&to, &world.fleet, &DEPLOY);
        world.follow(&plan, usize::MAX, |_, rotation, action| {
            let endpoints = rotation.endpoints();
            let serves = endpoints.iter().any(|e| e.service.as_str() == "web" && e.standing == Standing::In);
            assert!(serves, "after {action:?} of\n{plan}");
        });
        assert_eq!(running(&world), end, "{plan}");
    }
}

/// Without a strategy, there are never two of an instance.
#[test]
fn what_is_stopped_first_is_so_on_another_ship() {
    let world = released(&shop(RANGE, "strategy: recreate", THREE));
    let to = shop(RANGE, "strategy: recreate", "web-1: {ship: b}, web-2: {ship: b}, web-3: {ship: c}");
    let plan = planned(&to, &world.fleet, &DEPLOY);
    let text = plan.to_string();
    assert!(text.find("stop web-1").unwrap() < text.find("create web-1").unwrap(), "{text}");
    reaches(&world, &to, &plan, 0, "edge-1@a web-1@b web-2@b web-3@c");
}

#[test]
fn what_is_not_meant_stays() {
    let world = released(&shop(RANGE, ROLLING, THREE));
    let to = shop(RANGE, ROLLING, "web-1: {ship: a}, web-2: {ship: b}");
    let of = |selector: Selector| {
        let selection = select(&to, &selector, DEPLOY.selection_rules()).unwrap();
        plan(&to, &world.fleet, &DEPLOY, &selection, Limits::default()).to_string()
    };
    let things = |things: &[&str]| Selector {
        things: things.iter().map(ToString::to_string).collect(),
        ..Selector::default()
    };
    for part in [
        things(&["web-1"]),
        things(&["edge"]),
        Selector { ship_filter: Some("a".into()), ..things(&["web"]) },
    ] {
        assert!(!of(part).contains("web-3"));
    }
    for all in [
        things(&["web"]),
        things(&["web-1", "web-2"]),
        Selector { ship_filter: Some("*".into()), ..Selector::default() },
    ] {
        assert!(of(all).contains("web-3@c (web) on c: it is not to be there any more"));
    }
    // A service that is gone is only meant if somebody says so.
    let without = environment(
        &SHOP
            .replace("PORTS", RANGE)
            .replace("STRATEGY", ROLLING)
            .replace("INSTANCES", "www-1: {ship: a}")
            .replace("  web:\n", "  www:\n")
            .replace("service: web", "service: www"),
    );
    let selection = |gone: &[&str]| {
        let gone = gone.iter().map(|name| (*name).into()).collect();
        select(&without, &Selector { gone, ..Selector::default() }, DEPLOY.selection_rules()).unwrap()
    };
    let text = |gone: &[&str]| {
        plan(&without, &world.fleet, &DEPLOY, &selection(gone), Limits::default()).to_string()
    };
    assert!(!text(&[]).contains("web-1@a"), "{}", text(&[]));
    assert!(
        text(&["web"]).contains("web-1@a (web) on a: it is not to be there any more"),
        "{}",
        text(&["web"])
    );
}

/// What waits for canaries is not the last word.
#[test]
fn nothing_stops_while_canaries_are_tried() {
    let canary = "strategy: canary, canaries: 1";
    let mut world = released(&shop(RANGE, canary, THREE));
    let to = environment(
        &SHOP
            .replace("PORTS", RANGE)
            .replace("STRATEGY", canary)
            .replace("web:1", "web:2")
            .replace("INSTANCES", "web-1: {ship: a}, web-2: {ship: b}"),
    );
    let plan = planned(&to, &world.fleet, &DEPLOY);
    assert!(!plan.to_string().contains("web-3"), "{plan}");
    world.finish(&plan);
    let plan = planned(&to, &world.fleet, &PROMOTE);
    world.finish(&plan);
    assert_eq!(running(&world), "edge-1@a web-1@a web-2@b");
    let ShipView::Reachable(state) = world.fleet.ship(&ShipName::from("c")).unwrap() else { panic!() };
    assert_eq!(state.containers["web-3"].state, ContainerState::Exited, "it is not removed");
}

/// Two of one service on one ship that share a volume with those before them: none of the new ones starts beside any of
/// the old ones.
#[test]
fn all_that_are_in_the_way_are_waited_for() {
    let of = |names: [&str; 2]| {
        let [one, two] = names;
        environment(&format!(
            "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n  db:\n    image: db:1\n    \
             instances:\n      {one}: {{ship: a, volumes: {{/data: /srv/db}}}}\n      {two}: {{ship: a, volumes: {{/data: \
             /srv/db}}}}\n"
        ))
    };
    let world = released(&of(["db-1", "db-2"]));
    let to = of(["pg-1", "pg-2"]);
    let plan = planned(&to, &world.fleet, &DEPLOY);
    let mut whole = world.clone();
    whole.carry_out(
        &plan,
        usize::MAX,
        |open| open - 1,
        |world, _| {
            let up = running(world);
            assert!(!up.contains("db-") || !up.contains("pg-"), "{up}:\n{plan}");
        },
    );
    assert_eq!(running(&whole), "pg-1@a pg-2@a");
}

/// Who is interrupted after something was stopped to make room has what it made room for started.
#[test]
fn what_room_was_made_for_is_finished() {
    let world = released(&shop(FIXED, ROLLING, THREE));
    let to = shop(FIXED, ROLLING, "www-1: {ship: a}, www-2: {ship: b}, www-3: {ship: c}");
    let plan = planned(&to, &world.fleet, &DEPLOY);
    let mut run = Run::new(Arc::new(plan.clone()));
    let mut done = Vec::new();
    while !run.is_over() {
        for step in run.take_ready() {
            done.push(plan.step(step).unwrap().action.clone());
            if done.len() == 2 {
                run.interrupt();
            }
            run.finish(step, &crate::event::StepOutcome::Done(crate::boundary::CallOutcome::Done));
        }
    }
    let is = |action: &Action, wanted: &str| action.to_string() == wanted;
    assert!(done.iter().any(|action| is(action, "start www-1")), "{done:?}");
    assert!(!done.iter().any(|action| action.to_string().contains("stop web-2")), "{done:?}");
}

/// What is known to be no good gets no requests where it is, and what has its name elsewhere gets them.
#[test]
fn what_has_moved_and_is_no_good_gets_no_requests() {
    let home = shop(RANGE, ROLLING, THREE);
    let mut world = released(&home);
    let away = shop(RANGE, ROLLING, "web-1: {ship: b}, web-2: {ship: b}, web-3: {ship: c}");
    let plan = planned(&away, &world.fleet, &DEPLOY);
    world.carry_out(&plan, 3, |_| 0, |_, _| ());
    assert!(running(&world).contains("web-1@a") && running(&world).contains("web-1@b"), "{plan}");
    let doubtful = ["web-1@b".into()].into();
    let back = Intent::Deploy { ask_again: true, promote: true, doubtful, hooks: Hooking::Off };
    let plan = planned(&home, &world.fleet, &back);
    let endpoints = plan.rotation.endpoints();
    let gets = endpoints.iter().filter(|e| e.service.as_str() == "web" && e.standing == Standing::In);
    assert_eq!(gets.map(|e| e.instance.as_str()).collect::<Vec<_>>(), ["web-1", "web-2", "web-3"], "{plan}");
}
