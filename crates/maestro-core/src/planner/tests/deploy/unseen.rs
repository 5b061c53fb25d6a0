//! Ships that cannot be reached while a release is deployed, and can be later.

use super::broken_off::{carry_out, is_up, left, waits};
use super::drawn::{drawn, is_settled, releases};
use super::journal::Journal;
use super::world::names;
use super::{DEPLOY, PROMOTE, environment, planned, released};
use crate::model::{Environment, Share};
use crate::plan::{Action, Blocked, Fate, Intent, Plan, Step};
use crate::planner::budget::keep;
use crate::planner::tests::cases;
use crate::preflight::blocked;
use proptest::prelude::*;
use std::fmt::Write as _;

/// What is left for later, because of a ship that cannot be reached or for want of what is there.
fn deferred(plan: &Plan) -> usize {
    plan.items.iter().filter(|item| matches!(item.fate, Fate::Blocked(_))).count()
}

/// Three ships, and services of which instances are on them; each says on which, what it shares there, and how many may be
/// down.
fn moving(strategy: &str, instances: &[(&str, &str)]) -> Environment {
    let mut text =
        "__maestro: {schema: 2}\nname: shop\nships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: \
                    192.0.2.3}}\nservices:\n  db:\n    image: db:1\n"
            .to_owned();
    _ = writeln!(text, "    deploy: {{{strategy}}}\n    instances:");
    for (name, ship) in instances {
        _ = writeln!(text, "      {name}: {{ship: {ship}, volumes: {{/srv/db: /data}}}}");
    }
    environment(&text)
}

/// What serves for an instance whose new ship cannot be reached goes for another one, and is missed: it is said, and counts
/// in the budget.
#[test]
fn what_served_for_one_that_cannot_be_reached_is_down() {
    let old = moving("strategy: recreate", &[("db-1", "c"), ("db-2", "b")]);
    let new = moving("strategy: recreate", &[("db-1", "b"), ("db-2", "a")]);
    let mut world = released(&old);
    world.reach_all_but(1);
    let mut plan = planned(&new, &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      db-1 (db) on b: there is no container
      db-2 (db) on a: blocked: ship a: listing containers: host down: 192.0.2.2:2375: connection refused
      db-2@b (db) on b: it belongs on a now
      db-1@c (db) on c: it belongs on b now
        1. db-2@b on b: set restart of db-2 to no
        2. db-2@b on b: stop db-2 (grace 10 s) [after 1]
        3. db-2@b on b: wait until db-2 is not running [after 2]
        4. db-1@c on c: set restart of db-1 to no
        5. db-1@c on c: stop db-1 (grace 10 s) [after 4]
        6. db-1@c on c: wait until db-1 is not running [after 5]
        7. db-1 on b: create db-1 from db:1 [after 3 6]
        8. db-1 on b: start db-1 [after 7]
        9. db-1 on b: wait until db-1 is running [after 8]
       10. db-1 on b: wait until db-1 is steady [after 9]
    ");
    let outages = plan.outages();
    assert_eq!((outages[0].instances, outages[0].at_once, outages[0].stay), (2, 2, 1), "{plan}");
    let refused = keep(&mut plan, &new, &world.fleet, Share::Count(1)).unwrap_err();
    assert_eq!((refused.would, refused.down), (2, 0), "{refused}\n{plan}");
    assert_eq!(keep(&mut plan, &new, &world.fleet, Share::Count(2)), Ok(()));
}

proptest! {
    #![proptest_config(cases(400))]

    /// What is on ships that cannot be reached is left for later, and all is done that does not need it, with no more down
    /// than may be, those that cannot be seen among them. When they are back, the next deployment does the rest.
    #[test]
    fn what_was_left_for_later_is_done_when_its_ship_is_back(
        services in drawn(),
        sweeps in any::<bool>(),
        lost in 1..8u8,
        luck in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let releases = releases(&services);
        let target = &releases[1];
        let mut world = releases[0].begun();
        let mut luck = luck.into_iter().cycle();
        let mut choose = |count: usize| luck.next().unwrap().index(count);
        let mut journal = Journal::default();
        let is_possible = |intent: &Intent| !target.planned(&world.fleet, intent, sweeps).1;
        if !is_possible(&journal.intent(1, &DEPLOY)) || !is_possible(&journal.intent(1, &PROMOTE)) {
            return Ok(());
        }
        world.reach_all_but(lost);
        let before = names(&world.fleet);
        let (plan, is_refused) = target.planned(&world.fleet, &journal.intent(1, &DEPLOY), sweeps);
        prop_assert!(blocked(&plan).is_empty(), "a ship that is down is no reason to refuse\n{plan}");
        if is_refused {
            // What belongs on such a ship stays where it is until then, and may have the port of another service's.
            return Ok(());
        }
        for item in plan.items.iter().filter(|item| !item.goes()) {
            let is_lost = matches!(item.fate, Fate::Blocked(Blocked::Ship(_)));
            prop_assert_eq!(is_lost, world.has_lost(&item.ship), "{}\n{}", &item.instance, &plan);
        }
        journal.begin(&plan);
        prop_assert!(carry_out(target, &plan, &mut world, usize::MAX, &mut choose), "{plan}");
        journal.note(&target.environment, &mut world);
        let (again, _) = target.planned(&world.fleet, &journal.intent(1, &DEPLOY), sweeps);
        // Where hooks wait for those that are left, checks are asked again, and balancers told the same.
        let is_quiet = |step: &Step| {
            matches!(step.action, Action::Await { .. } | Action::Check { .. } | Action::Route { .. } | Action::Reached)
        };
        prop_assert!(again.steps.iter().all(is_quiet), "not all was done\n{again}after\n{plan}on\n{before}");
        prop_assert!(deferred(&again) <= deferred(&plan), "{}", again);
        world.reach_all_but(0);
        for intent in [&DEPLOY, &PROMOTE] {
            let (plan, is_refused) = target.planned(&world.fleet, &journal.intent(1, intent), sweeps);
            prop_assert!(!is_refused, "what was left for later cannot be done\n{plan}");
            prop_assert!(deferred(&plan) == 0, "{plan}");
            journal.begin(&plan);
            prop_assert!(carry_out(target, &plan, &mut world, usize::MAX, &mut choose), "{plan}");
            journal.note(&target.environment, &mut world);
            let (next, _) = target.planned(&world.fleet, &journal.intent(1, intent), sweeps);
            prop_assert!(next.is_empty() && next.steps.iter().all(is_quiet), "the next plan is {next}");
            if waits(&next) {
                continue;
            }
            prop_assert!(next.steps.is_empty() && is_settled(&next), "the next plan is {next}");
            journal.finish(&target.environment, &plan);
            prop_assert!(is_up(&target.environment, &world), "{}", names(&world.fleet));
            prop_assert_eq!(left(target, &world, sweeps), Vec::<String>::new());
            return Ok(());
        }
        prop_assert!(false, "it waits for whom it was promoted by");
    }
}
