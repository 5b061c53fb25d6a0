//! Deployments: plans in their text form, and what comes of them wherever they are broken off.

mod beside;
mod broken_off;
mod crowds;
mod drawn;
mod canary;
mod blue_green;
mod frozen;
mod hooks;
mod journal;
mod orphans;
mod outages;
mod policies;
mod ranges;
mod routes;
mod rules;
mod unseen;
mod users;
mod watch;
mod way_back;
mod weights;
mod world;

use super::{fleet, shop};
use crate::check::lint;
use crate::config::{Limits as TextLimits, load};
use crate::fleet::{ContainerState, FleetSnapshot, ShipView};
use crate::model::Environment;
use crate::plan::{Action, EngineCall, Fate, Hooking, Intent, Limits, Plan};
use crate::planner::plan;
use crate::select::{Selector, select};
use crate::source::MapSources;
use std::collections::BTreeSet;
use std::sync::Arc;
use world::{World, names};

const DEPLOY: Intent =
    Intent::Deploy { ask_again: false, promote: false, doubtful: BTreeSet::new(), hooks: Hooking::NEW };
const PROMOTE: Intent =
    Intent::Deploy { ask_again: false, promote: true, doubtful: BTreeSet::new(), hooks: Hooking::NEW };

fn environment(text: &str) -> Environment {
    let loaded = load(&MapSources::of(text), &TextLimits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn planned(environment: &Environment, fleet: &FleetSnapshot, intent: &Intent) -> Plan {
    let selector = Selector::default();
    let selection = select(environment, &selector, intent.selection_rules()).unwrap();
    let plan = plan(environment, fleet, intent, &selection, Limits::default());
    assert_eq!(lint(&plan, fleet), [], "{plan}");
    plan
}

/// A fleet on which every instance is as released.
fn released(environment: &Environment) -> World {
    let ships: Vec<String> = environment.ships.keys().map(|ship| format!("{ship}:")).collect();
    let ships = ships.join("\n");
    let mut world = World::of(fleet(&ships));
    let plan = planned(environment, &world.fleet, &DEPLOY);
    world.finish(&plan);
    world
}

/// The containers of a ship.
fn state<'w>(world: &'w mut World, ship: &str) -> &'w mut crate::fleet::EngineState {
    let ShipView::Reachable(state) = world.fleet.ships.get_mut(&crate::names::ShipName::from(ship)).unwrap()
    else {
        panic!()
    };
    Arc::make_mut(state)
}

fn nothing_is_left(environment: &Environment, fleet: &FleetSnapshot) -> bool {
    planned(environment, fleet, &DEPLOY).items.iter().all(|item| matches!(item.fate, Fate::Settled(_)))
}

#[test]
fn a_new_release_takes_the_place_of_the_old_one_which_is_kept() {
    let mut world = released(&shop());
    let mut next = shop();
    for instance in next.instances.values_mut().filter(|i| i.service.as_str() == "api") {
        instance.image = crate::image::ImageRef::parse("api:2");
    }
    let plan = planned(&next, &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      db-1 (db) on a: is as released
      api-1 (api) on a: it is not as released
      api-2 (api) on b: it is not as released
      web-1 (web) on b: is as released
        1. image api:2 on a: pull api:2
        2. image api:2 on b: pull api:2
        3. all images: done [after 1 2]
        4. api-1 on a: stop api-1 (grace 10 s) [after 1 3]
        5. api-1 on a: wait until api-1 is not running [after 4]
        6. api-1 on a: rename api-1 to api-1.kept-1-000000000008 [after 5]
        7. api-1 on a: create api-1 from api:2 [after 6]
        8. api-1 on a: start api-1 [after 7]
        9. api-1 on a: wait until api-1 is running [after 8]
       10. api-1 on a: wait until api-1 is steady [after 9]
       11. api-2 on b: stop api-2 (grace 10 s) [after 2 3]
       12. api-2 on b: wait until api-2 is not running [after 11]
       13. api-2 on b: rename api-2 to api-2.kept-1-000000000009 [after 12]
       14. api-2 on b: create api-2 from api:2 [after 13]
       15. api-2 on b: start api-2 [after 14]
       16. api-2 on b: wait until api-2 is running [after 15]
       17. api-2 on b: wait until api-2 is steady [after 16]
       18. service api: done [after 10 17]
    ");
    world.finish(&plan);
    insta::assert_snapshot!(names(&world.fleet), @"
    a: api-1 running api:2
    a: api-1.kept-1-000000000008 exited api:1
    a: db-1 running reg:5000/db:1
    b: api-2 running api:2
    b: api-2.kept-1-000000000009 exited api:1
    b: web-1 running web:1
    ");
    insta::assert_snapshot!(planned(&next, &world.fleet, &DEPLOY), @"
    deploy shop
      db-1 (db) on a: is as released
      api-1 (api) on a: is as released
      api-2 (api) on b: is as released
      web-1 (web) on b: is as released
    ");
    // The way back: nothing is pulled or made.
    insta::assert_snapshot!(planned(&shop(), &world.fleet, &DEPLOY), @"
    deploy shop
      db-1 (db) on a: is as released
      api-1 (api) on a: it is not as released
      api-2 (api) on b: it is not as released
      web-1 (web) on b: is as released
        1. api-1 on a: stop api-1 (grace 10 s)
        2. api-1 on a: wait until api-1 is not running [after 1]
        3. api-1 on a: rename api-1 to api-1.kept-2-000000000014 [after 2]
        4. api-1 on a: rename api-1.kept-1-000000000008 to api-1 [after 3]
        5. api-1 on a: start api-1 [after 4]
        6. api-1 on a: wait until api-1 is running [after 5]
        7. api-1 on a: wait until api-1 is steady [after 6]
        8. api-2 on b: stop api-2 (grace 10 s)
        9. api-2 on b: wait until api-2 is not running [after 8]
       10. api-2 on b: rename api-2 to api-2.kept-2-000000000015 [after 9]
       11. api-2 on b: rename api-2.kept-1-000000000009 to api-2 [after 10]
       12. api-2 on b: start api-2 [after 11]
       13. api-2 on b: wait until api-2 is running [after 12]
       14. api-2 on b: wait until api-2 is steady [after 13]
       15. service api: done [after 7 14]
    ");
}

/// Somebody else's container is no way back, whatever it is called and made of.
#[test]
fn what_another_environment_has_kept_is_left_alone() {
    let with = |tag: &str| {
        let mut environment = shop();
        let api = environment.instances.values_mut().filter(|i| i.service.as_str() == "api");
        api.for_each(|instance| instance.image = crate::image::ImageRef::parse(format!("api:{tag}")));
        environment
    };
    let mut world = released(&with("1"));
    world.finish(&planned(&with("2"), &world.fleet, &DEPLOY));
    let back = planned(&with("1"), &world.fleet, &DEPLOY);
    let makes = |plan: &Plan| plan.to_string().matches(": create ").count();
    assert_eq!(makes(&back), 0, "{back}");
    for view in world.fleet.ships.values_mut() {
        let ShipView::Reachable(state) = view else { continue };
        let containers = Arc::make_mut(state).containers.values_mut();
        for container in containers.filter(|container| container.name.contains(".kept-")) {
            container.labels.insert(crate::model::LABEL_ENVIRONMENT.to_owned(), "another".to_owned());
        }
    }
    let back = planned(&with("1"), &world.fleet, &DEPLOY);
    assert_eq!(makes(&back), 2, "{back}");
}

/// Of what was replaced, the last three are kept: the last one may have been no good.
#[test]
fn what_was_kept_longest_is_removed_in_the_end() {
    let with = |tag: &str| {
        let mut environment = shop();
        let api = environment.instances.values_mut().filter(|i| i.service.as_str() == "api");
        api.for_each(|instance| instance.image = crate::image::ImageRef::parse(format!("api:{tag}")));
        environment
    };
    let mut world = released(&with("1"));
    for tag in ["2", "3", "2", "4", "5", "6"] {
        let plan = planned(&with(tag), &world.fleet, &DEPLOY);
        world.finish(&plan);
    }
    insta::assert_snapshot!(names(&world.fleet), @"
    a: api-1 running api:6
    a: api-1.kept-4-000000000014 exited api:2
    a: api-1.kept-5-000000000030 exited api:4
    a: api-1.kept-6-00000000003a exited api:5
    a: db-1 running reg:5000/db:1
    b: api-2 running api:6
    b: api-2.kept-4-000000000015 exited api:2
    b: api-2.kept-5-000000000031 exited api:4
    b: api-2.kept-6-00000000003b exited api:5
    b: web-1 running web:1
    ");
}

const ROLLING: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}, d: {ip: 192.0.2.4}}
services:
  web:
    image: web:1
    deploy: {strategy: rolling, max_unavailable: 50%, max_surge: 0, bake: 20s, on_failure: pause}
    instances: {web-1: {ship: a}, web-2: {ship: b}, web-3: {ship: c}, web-4: {ship: d}}
";

#[test]
fn a_rolling_deployment_takes_a_few_at_a_time_and_those_that_are_down_first() {
    let old = environment(ROLLING);
    let mut world = released(&old);
    state(&mut world, "c").containers.get_mut("web-3").unwrap().state = ContainerState::Exited;
    let next = environment(&ROLLING.replace("web:1", "web:2"));
    insta::assert_snapshot!(planned(&next, &world.fleet, &DEPLOY), @"
    deploy shop
      web-1 (web) on a: it is not as released
      web-2 (web) on b: it is not as released
      web-3 (web) on c: it is not as released
      web-4 (web) on d: it is not as released
        1. image web:2 on a: pull web:2
        2. image web:2 on b: pull web:2
        3. image web:2 on c: pull web:2
        4. image web:2 on d: pull web:2
        5. all images: done [after 1 2 3 4]
        6. web-3 on c: rename web-3 to web-3.kept-1-000000000007 [after 3 5]
        7. web-3 on c: create web-3 from web:2 [after 6]
        8. web-3 on c: start web-3 [after 7]
        9. web-3 on c: wait until web-3 is running [after 8]
       10. web-3 on c: wait until web-3 is steady [after 9]
       11. web-3 on c: running check sleep [after 10]
       12. web-1 on a: stop web-1 (grace 10 s) [after 11 1 5]
       13. web-1 on a: wait until web-1 is not running [after 12]
       14. web-1 on a: rename web-1 to web-1.kept-1-000000000005 [after 13]
       15. web-1 on a: create web-1 from web:2 [after 14]
       16. web-1 on a: start web-1 [after 15]
       17. web-1 on a: wait until web-1 is running [after 16]
       18. web-1 on a: wait until web-1 is steady [after 17]
       19. web-1 on a: running check sleep [after 18]
       20. web-2 on b: stop web-2 (grace 10 s) [after 11 2 5]
       21. web-2 on b: wait until web-2 is not running [after 20]
       22. web-2 on b: rename web-2 to web-2.kept-1-000000000006 [after 21]
       23. web-2 on b: create web-2 from web:2 [after 22]
       24. web-2 on b: start web-2 [after 23]
       25. web-2 on b: wait until web-2 is running [after 24]
       26. web-2 on b: wait until web-2 is steady [after 25]
       27. web-2 on b: running check sleep [after 26]
       28. web-4 on d: stop web-4 (grace 10 s) [after 19 4 5]
       29. web-4 on d: wait until web-4 is not running [after 28]
       30. web-4 on d: rename web-4 to web-4.kept-1-000000000008 [after 29]
       31. web-4 on d: create web-4 from web:2 [after 30]
       32. web-4 on d: start web-4 [after 31]
       33. web-4 on d: wait until web-4 is running [after 32]
       34. web-4 on d: wait until web-4 is steady [after 33]
       35. web-4 on d: running check sleep [after 34]
    ");
    // Half of them cannot be seen: no other one may go down.
    let mut lost = released(&old).fleet;
    for ship in ["a", "b"] {
        let down = super::fleet(&format!("{ship}: down"));
        lost.ships.extend(down.ships);
    }
    insta::assert_snapshot!(planned(&next, &lost, &DEPLOY), @"
    deploy shop
      web-1 (web) on a: blocked: ship a: listing containers: host down: 192.0.2.2:2375: connection refused
      web-2 (web) on b: blocked: ship b: listing containers: host down: 192.0.2.2:2375: connection refused
      web-3 (web) on c: blocked: 2 of the instances of web cannot be seen, and 2 may be down at a time
      web-4 (web) on d: blocked: 2 of the instances of web cannot be seen, and 2 may be down at a time
    ");
}

/// What starts at a time shares no engine where it need not, and no ship is the last to hear of a release.
#[test]
fn those_that_are_replaced_at_a_time_are_on_different_ships() {
    let text = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  web:
    image: web:1
    deploy: {strategy: rolling, max_unavailable: 2, max_surge: 0}
    instances: {web-1: {ship: a}, web-2: {ship: a}, web-3: {ship: a}, web-4: {ship: b}, web-5: {ship: b}}
";
    let mut world = released(&environment(text));
    // What is down comes first, whoever else is on its ship.
    let down = state(&mut world, "a").containers.get_mut("web-3").unwrap();
    down.state = ContainerState::Exited;
    let plan = planned(&environment(&text.replace("web:1", "web:2")), &world.fleet, &DEPLOY);
    let created = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Call(EngineCall::CreateContainer { spec, .. }) => Some(spec.name.as_str()),
        _ => None,
    });
    let created: Vec<&str> = created.collect();
    assert_eq!(created, ["web-3", "web-1", "web-4", "web-2", "web-5"], "{plan}");
}
