//! What a plan says of what will be down, and for how long.

use super::{DEPLOY, environment, planned, released, state};
use crate::fleet::ContainerState;
use crate::model::Environment;
use crate::plan::{Intent, Limits, Plan, Restart};
use crate::planner::plan;
use crate::select::{Selector, select};
use std::fmt::Write as _;

/// A service of four instances on two ships; each takes 30 s to stop at most, and is watched.
fn web(tag: u32, deploy: &str, ports: &str) -> Environment {
    let mut text = format!(
        "
__maestro: {{schema: 2}}
name: shop
ships: {{a: {{ip: 192.0.2.1}}, b: {{ip: 192.0.2.2}}}}
services:
  db: {{image: 'db:{tag}', instances: {{db-1: {{ship: a}}}}}}
  web:
    image: web:{tag}
    requires: [db]
    deploy: {{{deploy}}}
    lifecycle:
      running: [{{type: tcp, port: http}}, {{type: sleep, wait: 12}}]
    instances:
"
    );
    for (number, ship) in (1..).zip(["a", "b", "a", "b"]) {
        let ports = ports.replace('#', &number.to_string());
        writeln!(
            text,
            "      web-{number}: {{ship: {ship}, stop_timeout: 30, ports: {{http: '80:{ports}'}}}}"
        )
        .unwrap();
    }
    environment(&text)
}

fn said(plan: &Plan) -> String {
    plan.outages().iter().fold(String::new(), |mut text, outage| {
        let crate::plan::Outage { service, instances, at_once, stay, within } = outage;
        writeln!(text, "{service}: {instances} of which {at_once} at once and {stay} for good, {within:?}")
            .unwrap();
        text
    })
}

fn deploying(deploy: &str, ports: &str) -> String {
    let world = released(&web(1, deploy, ports));
    said(&planned(&web(2, deploy, ports), &world.fleet, &DEPLOY))
}

#[test]
fn a_few_at_a_time_are_down_one_after_another() {
    insta::assert_snapshot!(deploying("strategy: rolling, max_unavailable: 2, bake: 20s", "808#"), @"
    db: 1 of which 1 at once and 0 for good, 30.05s
    web: 4 of which 2 at once and 0 for good, 788.05s
    ");
}

#[test]
fn all_are_down_at_once() {
    insta::assert_snapshot!(deploying("strategy: recreate", "808#"), @"
    db: 1 of which 1 at once and 0 for good, 30.05s
    web: 4 of which 4 at once and 0 for good, 409.05s
    ");
}

#[test]
fn what_is_replaced_beside_does_not_go_down() {
    insta::assert_snapshot!(deploying("strategy: blue-green", "8080-8089"), @"db: 1 of which 1 at once and 0 for good, 30.05s");
    insta::assert_snapshot!(deploying("strategy: rolling, max_unavailable: 0", "8080-8089"), @"db: 1 of which 1 at once and 0 for good, 30.05s");
}

#[test]
fn some_are_tried_first() {
    let canary = "strategy: canary, canaries: 2, pause: 1m, max_unavailable: 2";
    insta::assert_snapshot!(deploying(canary, "808#"), @"
    db: 1 of which 1 at once and 0 for good, 30.05s
    web: 4 of which 2 at once and 0 for good, 828.05s
    ");
}

#[test]
fn other_commands_take_down_too() {
    let environment = web(1, "strategy: recreate", "808#");
    let mut world = released(&environment);
    insta::assert_snapshot!(said(&planned(&environment, &world.fleet, &Intent::Stop)), @"
    web: 4 of which 4 at once and 4 for good, 0ns
    db: 1 of which 1 at once and 1 for good, 0ns
    ");
    insta::assert_snapshot!(said(&planned(&environment, &world.fleet, &Intent::Restart(Restart::default()))), @"
    web: 4 of which 4 at once and 0 for good, 399.05s
    db: 1 of which 1 at once and 0 for good, 20.05s
    ");
    insta::assert_snapshot!(said(&planned(&environment, &world.fleet, &DEPLOY)), @"");
    // Who is down already does not go down.
    for name in ["web-1", "web-3"] {
        state(&mut world, "a").containers.get_mut(name).unwrap().state = ContainerState::Exited;
    }
    insta::assert_snapshot!(said(&planned(&environment, &world.fleet, &Intent::Restart(Restart::default()))), @"
    web: 2 of which 2 at once and 0 for good, 399.05s
    db: 1 of which 1 at once and 0 for good, 20.05s
    ");
}

#[test]
fn who_limits_how_many_are_worked_on_hears_of_so_many() {
    let environment = web(1, "strategy: recreate", "808#");
    let world = released(&environment);
    let limited = |intent: &Intent, units: usize| {
        let selection = select(&environment, &Selector::default(), intent.selection_rules()).unwrap();
        let limits = Limits { units: Some(units), ..Limits::default() };
        said(&plan(&environment, &world.fleet, intent, &selection, limits))
    };
    insta::assert_snapshot!(limited(&Intent::Restart(Restart::default()), 1), @"
    web: 4 of which 1 at once and 0 for good, 399.05s
    db: 1 of which 1 at once and 0 for good, 20.05s
    ");
    insta::assert_snapshot!(limited(&Intent::Restart(Restart::default()), 3), @"
    web: 4 of which 3 at once and 0 for good, 399.05s
    db: 1 of which 1 at once and 0 for good, 20.05s
    ");
    insta::assert_snapshot!(limited(&Intent::Stop, 1), @"
    web: 4 of which 4 at once and 4 for good, 0ns
    db: 1 of which 1 at once and 1 for good, 0ns
    ");
}

#[test]
fn what_makes_room_and_what_goes() {
    let old = web(1, "strategy: recreate", "808#");
    let world = released(&old);
    let text = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  db: {image: 'db:1', instances: {db-1: {ship: b}}}
  web:
    image: web:1
    requires: [db]
    deploy: {strategy: recreate}
    instances: {web-9: {ship: a, ports: {http: '80:8081'}}}
";
    insta::assert_snapshot!(said(&planned(&environment(text), &world.fleet, &DEPLOY)), @"
    db: 1 of which 1 at once and 0 for good, 30.05s
    web: 4 of which 3 at once and 3 for good, 30.05s
    ");
}
