//! What balancers are told: nobody stops who gets requests, wherever an earlier deployment was broken off.

use super::world::World;
use super::{DEPLOY, PROMOTE, environment, planned, released};
use crate::balance::{Rotation, Standing};
use crate::fleet::{ShipView, at};
use crate::model::Environment;
use crate::names::InstanceName;
use crate::plan::{Action, EngineCall, Hooking, Intent, Plan};

const WEB: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}}
services:
  web:
    image: web:1
    ports: {http: PORTS}
    deploy: {STRATEGY}
    instances: {web-1: {ship: a}, web-2: {ship: b}, web-3: {ship: c}}
  edge: {image: 'edge:1', ports: {http: 80, status: 8404}, instances: {edge-1: {ship: a}}}
balancers: {front: {kind: haproxy, service: edge, routes: [{service: web, port: http}]}}
";

const FIXED: &str = "'80:8080'";
const RANGE: &str = "'80:8100-8104'";

fn web(tag: u32, ports: &str, strategy: &str) -> Environment {
    let text = WEB.replace("PORTS", ports).replace("STRATEGY", strategy);
    environment(&text.replace("web:1", &format!("web:{tag}")))
}

/// Carries out so many steps of a plan, and follows what balancers are told; `least` instances get requests and can
/// answer them at any time.
fn followed(world: &mut World, plan: &Plan, most: usize, least: usize) -> usize {
    let (steps, _) = world.follow(plan, most, |world, rotation, action| {
        if let Action::Call(EngineCall::StopContainer { target, .. }) = action {
            let mut gets = rotation.endpoints().into_iter().filter(|e| e.standing == Standing::In);
            let name = target.name();
            assert!(gets.all(|got| got.instance != *name), "{name} gets requests and is stopped\n{plan}");
        }
        assert!(answering(world, rotation) >= least, "after {action:?} of\n{plan}");
    });
    steps
}

/// How many endpoints get requests at a port at which a container listens.
fn answering(world: &World, rotation: &Rotation) -> usize {
    let listens = |number: u16| {
        let label = |c: &crate::fleet::ObservedContainer| {
            c.state.is_running() && c.labels.get("maestro.port.http") == Some(&number.to_string())
        };
        let states = world.fleet.ships.values().filter_map(|view| match view {
            ShipView::Reachable(state) => Some(state),
            ShipView::Unreachable(_) => None,
        });
        states.flat_map(|state| state.containers.values()).any(label)
    };
    let gets = rotation.endpoints().into_iter();
    gets.filter(|e| e.service.as_str() == "web" && e.standing == Standing::In && listens(e.number)).count()
}

#[test]
fn nobody_stops_who_gets_requests() {
    for (ports, strategy, least) in [
        (RANGE, "strategy: rolling, max_unavailable: 0", 2),
        (RANGE, "strategy: blue-green", 2),
        (RANGE, "strategy: canary", 2),
        (FIXED, "strategy: rolling, max_unavailable: 1", 0),
        (FIXED, "strategy: recreate", 0),
    ] {
        let (old, new) = (web(1, ports, strategy), web(2, ports, strategy));
        let begun = released(&old);
        let plan = planned(&new, &begun.fleet, &PROMOTE);
        assert!(plan.to_string().contains("tell front"), "{plan}");
        let all = followed(&mut begun.clone(), &plan, usize::MAX, least);
        assert!(all > 15, "{plan}");
        for broken_off in 0..=all {
            let mut half = begun.clone();
            followed(&mut half, &plan, broken_off, least);
            for target in [&old, &new] {
                let mut world = half.clone();
                let next = planned(target, &world.fleet, &PROMOTE);
                followed(&mut world, &next, usize::MAX, least);
                let last = planned(target, &world.fleet, &PROMOTE);
                assert!(last.steps.is_empty(), "{strategy}, broken off after {broken_off}:\n{last}");
            }
        }
    }
}

/// Who goes back begins with what is no good, and nobody is sent there meanwhile.
#[test]
fn what_is_known_to_be_no_good_comes_first_and_gets_no_requests() {
    let rolling = "strategy: rolling, max_unavailable: 1";
    let (old, new) = (web(1, FIXED, rolling), web(2, FIXED, rolling));
    let mut world = released(&old);
    let plan = planned(&new, &world.fleet, &DEPLOY);
    world.finish(&plan);
    let doubtful = ["web-2@b".into()].into();
    let back = Intent::Deploy { ask_again: false, promote: true, doubtful, hooks: Hooking::Off };
    let plan = planned(&old, &world.fleet, &back);
    let stopped = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Call(EngineCall::StopContainer { target, .. }) => Some(target.name().as_str()),
        _ => None,
    });
    assert_eq!(stopped.collect::<Vec<_>>(), ["web-2", "web-1", "web-3"], "{plan}");
    let endpoints = plan.rotation.endpoints();
    let gets = endpoints.iter().filter(|e| e.service.as_str() == "web" && e.standing == Standing::In);
    assert_eq!(gets.map(|e| e.instance.as_str()).collect::<Vec<_>>(), ["web-1", "web-3"]);
    let mut rotation = plan.rotation.clone();
    world.carry_out(
        &plan,
        usize::MAX,
        |_| 0,
        |_, action| {
            if let Action::Route { change, .. } = action {
                rotation.change(change);
            }
        },
    );
    assert_eq!(rotation, planned(&old, &world.fleet, &DEPLOY).rotation, "all get requests again");
    // What is as it should be has to prove that it is any good.
    let plan = planned(&old, &world.fleet, &back);
    assert!(plan.to_string().contains("web-2 (web) on b: its checks have not been seen to answer"), "{plan}");
    assert!(plan.to_string().contains("web-1 (web) on a: is as released"), "{plan}");
}

/// What was tried beside it and is no good says nothing of what serves.
#[test]
fn what_serves_is_not_in_doubt_because_of_what_was_tried_beside_it() {
    let beside = "strategy: blue-green";
    let (old, new) = (web(1, RANGE, beside), web(2, RANGE, beside));
    let mut world = released(&old);
    let plan = planned(&new, &world.fleet, &DEPLOY);
    world.carry_out(&plan, 6, |_| 0, |_, _| ());
    let left = world.fleet.ships.values().find_map(|view| match view {
        ShipView::Reachable(state) => {
            let mut names = state.containers.keys().filter(|name| name.contains(".next-"));
            names.next().map(|name| InstanceName::from(&**name))
        }
        ShipView::Unreachable(_) => None,
    });
    let doubtful = [at(left.unwrap(), &"a".into())].into();
    let back = Intent::Deploy { ask_again: true, promote: true, doubtful, hooks: Hooking::Off };
    let plan = planned(&old, &world.fleet, &back);
    let endpoints = plan.rotation.endpoints();
    let gets = endpoints.iter().filter(|e| e.service.as_str() == "web" && e.standing == Standing::In);
    assert_eq!(gets.map(|e| e.instance.as_str()).collect::<Vec<_>>(), ["web-1", "web-2", "web-3"]);
}
