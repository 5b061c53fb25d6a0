//! What is in the way of several instances at the same time: they have a volume together.

use super::world::World;
use super::{DEPLOY, environment, planned, released, state};
use crate::fleet::Configuration;
use crate::model::{Environment, Share};
use crate::plan::{Fate, Plan};
use crate::planner::budget::keep;
use std::fmt::Write as _;

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
        text.contains("3 of db would have to stop before it starts, and 1 may be down at a time"),
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
