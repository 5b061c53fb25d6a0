//! The way back from deployments behind a balancer that also add instances, move some and leave some out: broken off
//! anywhere, and the way back from there broken off anywhere, too.

use super::world::World;
use super::{PROMOTE, environment, planned, released};
use crate::balance::Standing;
use crate::model::Environment;
use crate::names::InstanceName;
use crate::plan::{Action, EngineCall, Hooking, Intent, Plan};
use std::collections::BTreeSet;

/// Of which the first one is replaced where it is, the second one moves, the third one goes, and the fourth one is new.
const SHOP: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}}
services:
  web:
    image: web:TAG
    ports: {http: PORTS}
    deploy: {STRATEGY}
    lifecycle: {running: [{type: tcp, port: http}]}
    instances: {INSTANCES}
  edge: {image: 'edge:1', ports: {http: 80, status: 8404}, instances: {edge-1: {ship: a}}}
balancers: {front: {kind: haproxy, service: edge, routes: [{service: web, port: http}]}}
";

const BEFORE: &str = "web-1: {ship: a}, web-2: {ship: b}, web-3: {ship: c}";
const AFTER: &str = "web-1: {ship: a}, web-2: {ship: c}, web-4: {ship: b}";

const FIXED: &str = "'80:8080'";
const RANGE: &str = "'80:8100-8109'";

fn shop(tag: &str, ports: &str, strategy: &str, instances: &str) -> Environment {
    let text = SHOP.replace("TAG", tag).replace("PORTS", ports);
    environment(&text.replace("STRATEGY", strategy).replace("INSTANCES", instances))
}

/// What runs on each ship, and from which image.
fn running(world: &World) -> String {
    let running = world.running().into_iter().map(|(name, image)| format!("{name} {image}"));
    running.collect::<Vec<_>>().join(", ")
}

/// Carries so many steps of a plan out, and looks after each that nobody is stopped who gets requests, and that so many do
/// get some. How many steps there were.
fn carry(world: &mut World, plan: &Plan, most: usize, least: usize, case: &str) -> usize {
    let (steps, _) = world.follow(plan, most, |_, rotation, action| {
        let gets = rotation.endpoints().into_iter();
        let gets = gets.filter(|e| e.service.as_str() == "web" && e.standing == Standing::In);
        let gets: Vec<InstanceName> = gets.map(|endpoint| endpoint.instance).collect();
        assert!(gets.len() >= least, "{case}: only {gets:?} after {action} of\n{plan}");
        if let Action::Call(EngineCall::StopContainer { target, .. }) = action {
            // What has its name on another ship is called `name@ship` where it is not to be.
            let name = target.name().as_str();
            let elsewhere = |got: &InstanceName| got.as_str().starts_with(&format!("{name}@"));
            let is_elsewhere = plan.items.iter().any(|item| elsewhere(&item.instance));
            let is_it = |got: &InstanceName| if is_elsewhere { elsewhere(got) } else { got.as_str() == name };
            assert!(!gets.iter().any(is_it), "{case}: {name} is stopped, and {gets:?} get requests:\n{plan}");
        }
    });
    steps
}

/// All places at which it is broken off, and for each so many at which the way back is: another sample each time.
fn goes_back(ports: &str, strategy: &str, least: usize) {
    /// Of the places in a way back, one of so many is tried.
    const SAMPLE: usize = 6;
    let (old, new) = (shop("1", ports, strategy, BEFORE), shop("2", ports, strategy, AFTER));
    let back =
        Intent::Deploy { ask_again: true, promote: true, doubtful: BTreeSet::new(), hooks: Hooking::Off };
    let before = released(&old);
    let expected = running(&before);
    let forth = planned(&new, &before.fleet, &PROMOTE);
    let all = carry(&mut before.clone(), &forth, usize::MAX, least, strategy);
    assert!(all >= 20, "{forth}");
    for most in 0..=all {
        let mut there = before.clone();
        carry(&mut there, &forth, most, least, strategy);
        let plan = planned(&old, &there.fleet, &back);
        let mut returned = there.clone();
        let steps = carry(&mut returned, &plan, usize::MAX, least, &format!("{strategy}, back from {most}"));
        assert_eq!(running(&returned), expected, "{strategy}, back from {most}:\n{forth}\n{plan}");
        for again in (most % SAMPLE..steps).step_by(SAMPLE) {
            let case = format!("{strategy}, back from {most}, and again after {again}");
            let mut world = there.clone();
            carry(&mut world, &plan, again, least, &case);
            let rest = planned(&old, &world.fleet, &back);
            carry(&mut world, &rest, usize::MAX, least, &case);
            assert_eq!(running(&world), expected, "{case}:\n{plan}\n{rest}");
            let nothing = planned(&old, &world.fleet, &PROMOTE);
            assert!(nothing.steps.is_empty(), "{case}:\n{nothing}");
        }
    }
}

#[test]
fn from_what_is_replaced_a_few_at_a_time() {
    goes_back(FIXED, "strategy: rolling, max_unavailable: 1", 2);
    goes_back(RANGE, "strategy: rolling, max_unavailable: 0", 3);
}

#[test]
fn from_what_is_replaced_all_at_once() {
    goes_back(RANGE, "strategy: blue-green", 3);
}

#[test]
fn from_what_is_stopped_first() {
    goes_back(FIXED, "strategy: recreate", 0);
}

#[test]
fn from_canaries() {
    goes_back(RANGE, "strategy: canary, max_unavailable: 0", 3);
    goes_back(RANGE, "strategy: canary, max_unavailable: 0, pause: 1m, weight: 10%", 3);
}
