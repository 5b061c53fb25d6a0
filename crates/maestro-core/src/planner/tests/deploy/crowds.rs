//! What is in the way of several instances at the same time: they have a volume together.

use super::world::World;
use super::{DEPLOY, environment, planned, released, state};
use crate::boundary::CallOutcome;
use crate::event::StepOutcome;
use crate::fleet::{Configuration, ShipView};
use crate::image::ImageRef;
use crate::model::{Environment, Share};
use crate::names::ShipName;
use crate::plan::{Action, EngineCall, Fate, Plan};
use crate::planner::budget::keep;
use crate::run::Run;
use std::fmt::Write as _;
use std::sync::Arc;

/// A service whose instances are on one ship; each with its directory.
fn db(strategy: &str, instances: &[(&str, &str)]) -> Environment {
    let mut text = format!(
        "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n  db:\n    image: db:1\n    deploy: \
         {{{strategy}}}\n    instances:\n"
    );
    for (name, directory) in instances {
        _ = writeln!(text, "      {name}: {{ship: a, volumes: {{{directory}: /data}}}}");
    }
    environment(&text)
}

/// The same, deployed; engines tell what containers were made of.
fn deployed(strategy: &str, instances: &[(&str, &str)]) -> World {
    let mut world = released(&db(strategy, instances));
    for (name, directory) in instances {
        let configuration =
            Configuration { binds: vec![format!("{directory}:/data:rw")], ..Configuration::default() };
        let container = state(&mut world, "a").containers.get_mut(*name).unwrap();
        container.configuration = Some(configuration.into());
    }
    world
}

const OLD: [(&str, &str); 3] = [("db-1", "/srv/db"), ("db-2", "/srv/db"), ("db-3", "/srv/db")];
const NEW: [(&str, &str); 3] = [("pg-1", "/srv/db"), ("pg-2", "/srv/db"), ("pg-3", "/srv/db")];
const ROLLING: &str = "strategy: rolling, max_unavailable: 1";

/// Carries a plan out, the last of what could be next first; how many ran when the fewest did.
fn least(world: &World, plan: &Plan) -> usize {
    let mut world = world.clone();
    let mut least = world.running().len();
    world.carry_out(plan, usize::MAX, |open| open - 1, |world, _| least = least.min(world.running().len()));
    least
}

#[test]
fn of_several_that_have_had_a_volume_together_one_goes_at_a_time() {
    let (world, to) = (deployed(ROLLING, &OLD), db(ROLLING, &NEW));
    let mut plan = planned(&to, &world.fleet, &DEPLOY);
    let outages = plan.outages();
    assert_eq!((outages[0].instances, outages[0].at_once), (3, 1), "{plan}");
    assert_eq!(least(&world, &plan), 2, "{plan}");
    assert_eq!(keep(&mut plan, &to, &world.fleet, Share::Count(1)), Ok(()));
    assert_eq!(least(&world, &plan), 2, "{plan}");
    let mut end = world.clone();
    end.finish(&plan);
    let running: Vec<String> = end.running().into_iter().map(|(name, _)| name).collect();
    assert_eq!(running, ["pg-1@a", "pg-2@a", "pg-3@a"]);
}

/// Where each has its own, none starts beside the one that has had it.
#[test]
fn who_has_a_directory_for_itself_goes_before_who_takes_it() {
    let old = [("db-1", "/srv/1"), ("db-2", "/srv/2"), ("db-3", "/srv/3")];
    let new = [("pg-1", "/srv/3"), ("pg-2", "/srv/1"), ("pg-3", "/srv/2")];
    let (world, to) = (deployed(ROLLING, &old), db(ROLLING, &new));
    let plan = planned(&to, &world.fleet, &DEPLOY);
    let mut now = world.clone();
    now.carry_out(
        &plan,
        usize::MAX,
        |open| open - 1,
        |world, _| {
            let up: Vec<String> = world.running().into_iter().map(|(name, _)| name).collect();
            let both = |old: &str, new: &str| up.iter().any(|n| n == old) && up.iter().any(|n| n == new);
            assert!(!both("db-3@a", "pg-1@a") && !both("db-1@a", "pg-2@a"), "{up:?}\n{plan}");
            assert!(!both("db-2@a", "pg-3@a") && up.len() > 1, "{up:?}\n{plan}");
        },
    );
    assert_eq!(plan.outages()[0].at_once, 1);
}

/// Nobody knows whether they have it together: all would have to go, and only one may.
#[test]
fn what_would_take_more_down_than_may_be_is_blocked() {
    let mut world = deployed(ROLLING, &OLD);
    for container in state(&mut world, "a").containers.values_mut() {
        container.configuration = None;
    }
    let plan = planned(&db(ROLLING, &NEW), &world.fleet, &DEPLOY);
    assert!(plan.items.iter().all(|item| matches!(item.fate, Fate::Blocked(_))), "{plan}");
    let text = plan.to_string();
    assert!(
        text.contains(
            "3 of db would have to stop before it starts, and 1 may be down, with those that are already"
        ),
        "{text}"
    );
    let found = crate::preflight::blocked(&plan);
    assert!(found[0].remedy.contains("max_unavailable"), "{found:?}");
    // With more that may be down, it can be done.
    let all = "strategy: rolling, max_unavailable: 3";
    let plan = planned(&db(all, &NEW), &world.fleet, &DEPLOY);
    assert_eq!(plan.outages()[0].at_once, 3, "{plan}");
}

/// What makes room for all of them takes all of them down at once, and the budget has to allow that.
#[test]
fn room_for_several_is_as_many_that_are_down() {
    for (old, new, would) in [(&OLD[..], &NEW[..], 3), (&OLD[..2], &NEW[..2], 2), (&OLD[..1], &NEW[..], 3)] {
        let (world, to) = (deployed("strategy: recreate", old), db("strategy: recreate", new));
        let mut plan = planned(&to, &world.fleet, &DEPLOY);
        let before = plan.to_string();
        let refused = keep(&mut plan, &to, &world.fleet, Share::Count(1)).unwrap_err();
        assert_eq!((refused.would, refused.down), (would, new.len() - old.len()), "{refused}\n{plan}");
        assert_eq!(plan.to_string(), before);
        let more = Share::Count(u32::try_from(would).unwrap());
        assert_eq!(keep(&mut plan, &to, &world.fleet, more), Ok(()), "{plan}");
        assert_eq!(crate::check::lint(&plan, &world.fleet), []);
    }
}

/// Who takes the port of what goes stops it first, also where it has been there before at another port.
#[test]
fn what_has_the_port_goes_before_who_moves_there() {
    let of = |instances: &str| {
        environment(&format!(
            "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n  web: {{image: 'web:1', deploy: \
             {{{ROLLING}}}, instances: {{{instances}}}}}\n"
        ))
    };
    let web = |name: &str, port: u16| format!("{name}: {{ship: a, ports: {{http: '80:{port}'}}}}");
    let mut world = released(&of(&[web("web-1", 8080), web("web-2", 8081)].join(", ")));
    let plan = planned(&of(&web("web-1", 8081)), &world.fleet, &DEPLOY);
    world.finish(&plan);
    let running: Vec<String> = world.running().into_iter().map(|(name, _)| name).collect();
    assert_eq!(running, ["web-1@a"], "{plan}");
}

/// Whoever is interrupted between two that go for the same instance has it finished, if all that it waits for is done or
/// goes; and whatever is left of a run comes to its end.
#[test]
fn an_instance_that_waits_for_several_is_finished_or_left() {
    let of = |services: &str| {
        environment(&format!(
            "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n{services}"
        ))
    };
    let web = |name: &str, ports: &str| format!("{name}: {{ship: a, ports: {{{ports}}}}}");
    let (one, two) = (web("web-1", "h: '80:8080'"), web("web-2", "h: '80:8081'"));
    let old = of(&format!(
        "  api: {{image: 'x:1', instances: {{{}}}}}\n  web: {{image: 'x:1', instances: {{{one}, {two}}}}}\n",
        web("api-1", "h: '80:8082'")
    ));
    // Two of its own, and one of a service that has to be done first.
    for (ports, api) in [("h: '80:8080', s: '81:8081'", "h: '80:8082'"), ("h: '80:8080', s: '81:8082'", "")] {
        let name = if api.is_empty() { "api-2" } else { "api-1" };
        let new = of(&format!(
            "  api: {{image: 'x:1', instances: {{{}}}}}\n  web: {{image: 'x:1', instances: {{{}}}}}\n",
            web(name, api),
            web("www-1", ports)
        ));
        let world = released(&old);
        let plan = planned(&new, &world.fleet, &DEPLOY);
        for interrupted in 0..plan.steps.len() {
            let mut run = Run::new(Arc::new(plan.clone()));
            let mut done = Vec::new();
            while !run.is_over() {
                let ready = run.take_ready();
                assert!(!ready.is_empty(), "interrupted after {interrupted}, it does not end:\n{plan}");
                for (place, step) in ready.into_iter().enumerate() {
                    if done.len() == interrupted && place == 0 {
                        run.interrupt();
                    }
                    done.push(plan.step(step).unwrap().action.to_string());
                    run.finish(step, &StepOutcome::Done(CallOutcome::Done));
                }
            }
            if !api.is_empty()
                && interrupted < plan.steps.len()
                && done.iter().any(|d| d.starts_with("stop web-1"))
            {
                assert!(done.contains(&"start www-1".to_owned()), "{interrupted}: {done:?}\n{plan}");
            }
        }
    }
}

/// What another service takes the port of goes when its own service serves without it.
#[test]
fn what_another_service_waits_for_goes_when_its_own_one_is_done() {
    let of = |api: &str, web: &str| {
        environment(&format!(
            "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}, b: {{ip: 192.0.2.2}}}}\nservices:\n  api: \
             {{image: 'x:1', instances: {{{api}}}}}\n  web: {{image: 'x:1', deploy: {{{ROLLING}}}, instances: {{{web}}}}}\n"
        ))
    };
    let old = of("api-1: {ship: b}", "web-1: {ship: a, ports: {http: '80:8080'}}");
    let new = of("api-1: {ship: b}, api-2: {ship: a, ports: {http: '80:8080'}}", "web-2: {ship: b}");
    let world = released(&old);
    let plan = planned(&new, &world.fleet, &DEPLOY);
    let text = plan.to_string();
    assert!(text.find("wait until web-2 is running") < text.find(": stop web-1"), "{text}");
    assert!(text.find("wait until web-1 is not running") < text.find(": create api-2"), "{text}");
    let mut end = world.clone();
    end.carry_out(&plan, usize::MAX, |open| open - 1, |_, _| ());
    let running: Vec<String> = end.running().into_iter().map(|(name, _)| name).collect();
    assert_eq!(running, ["api-2@a", "api-1@b", "web-2@b"]);
}

/// A port that was picked and that somebody else has by now is not what a container is started with again.
#[test]
fn what_comes_back_finds_its_picked_port_taken() {
    let of = |web: &str, api: &str| {
        environment(&format!(
            "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}, b: {{ip: 192.0.2.2}}}}\nservices:\n  api: \
             {{image: 'x:1', instances: {{{api}}}}}\n  web: {{image: 'x:1', instances: {{{web}}}}}\n"
        ))
    };
    let range = "ports: {http: '80:8080-8083'}";
    let mut world = released(&of(&format!("web-1: {{ship: a, {range}}}"), "api-1: {ship: b}"));
    let away = of("web-1: {ship: b}", "api-1: {ship: b}, api-2: {ship: a, ports: {http: '80:8080'}}");
    world.finish(&planned(&away, &world.fleet, &DEPLOY));
    let back = of(
        &format!("web-1: {{ship: a, {range}}}"),
        "api-1: {ship: b}, api-2: {ship: a, ports: {http: '80:8080'}}",
    );
    let plan = planned(&back, &world.fleet, &DEPLOY);
    assert!(plan.to_string().contains("ports.http: from 8080 to one of 8080-8083 that is free"), "{plan}");
    world.finish(&plan);
    let running: Vec<String> = world.running().into_iter().map(|(name, _)| name).collect();
    assert_eq!(running, ["api-2@a", "web-1@a", "api-1@b"]);
}

/// Who is only started again stops what has its port, and so waits for the images of all others, as those do that are made.
#[test]
fn what_makes_room_for_one_that_is_started_again_waits_for_all_images() {
    let of = |api: u32, web: &str| {
        environment(&format!(
            "__maestro: {{schema: 2}}\nname: shop\nships: {{a: {{ip: 192.0.2.1}}, b: {{ip: 192.0.2.2}}}}\nservices:\n  api: \
             {{image: 'api:{api}', instances: {{api-1: {{ship: a}}}}}}\n  web: {{image: 'x:1', instances: {{{web}: {{ship: b, ports: \
             {{http: '80:8080'}}}}}}}}\n"
        ))
    };
    let mut world = released(&of(1, "web-1"));
    world.finish(&planned(&of(1, "web-2"), &world.fleet, &DEPLOY));
    let plan = planned(&of(2, "web-1"), &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      api-1 (api) on a: it is not as released
      web-1 (web) on b: the container does not run
      web-2@b (web) on b: it is not to be there any more
        1. image api:2 on a: pull api:2
        2. all images: done [after 1]
        3. api-1 on a: stop api-1 (grace 10 s) [after 1 2]
        4. api-1 on a: wait until api-1 is not running [after 3]
        5. api-1 on a: rename api-1 to api-1.kept-1-000000000003 [after 4]
        6. api-1 on a: create api-1 from api:2 [after 5]
        7. api-1 on a: start api-1 [after 6]
        8. api-1 on a: wait until api-1 is running [after 7]
        9. api-1 on a: wait until api-1 is steady [after 8]
       10. web-2@b on b: set restart of web-2 to no [after 2]
       11. web-2@b on b: stop web-2 (grace 10 s) [after 10]
       12. web-2@b on b: wait until web-2 is not running [after 11]
       13. web-1 on b: start web-1 [after 2 12]
       14. web-1 on b: wait until web-1 is running [after 13]
       15. web-1 on b: wait until web-1 is steady [after 14]
    ");
    world.carry_out(
        &plan,
        usize::MAX,
        |open| open - 1,
        |world, action| {
            if matches!(action, Action::Call(EngineCall::StopContainer { .. })) {
                let Some(ShipView::Reachable(state)) = world.fleet.ship(&ShipName::from("a")) else {
                    panic!()
                };
                assert!(
                    state.image(&ImageRef::parse("api:2")).is_some(),
                    "{action}, and an image is missing:\n{plan}"
                );
            }
        },
    );
}
