//! Ports of ranges: which one a container gets, who knows it, and who need not.

use super::world::{World, names};
use super::{DEPLOY, environment, planned, state};
use crate::fleet::FleetSnapshot;
use crate::model::{Environment, LABEL_PORT};
use crate::plan::{Action, EngineCall, Intent, Plan};
use std::fmt::Write as _;

/// Two of a service on one ship, somebody who needs them, and a port of the range that another one has for good.
const SHOP: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}}
services:
  api:
    image: api:1
    ports: {http: {exposed: 80, external: 8100-8105}, admin: '81:8200-8205'}
    deploy: {strategy: rolling, max_unavailable: 0}
    lifecycle: {running: [{type: tcp, port: http}], pre-stop: [{type: tcp, port: http, max_wait: 1}]}
    instances: {api-1: {ship: a}, api-2: {ship: a}}
  web:
    image: web:1
    requires: [api]
    ports: {http: '80:8100'}
    instances: {web-1: {ship: a}}
";

fn shop(tag: u32) -> Environment {
    environment(&SHOP.replace("api:1", &format!("api:{tag}")))
}

/// The ports of all containers that have labels which say so.
fn ports(fleet: &FleetSnapshot) -> String {
    let mut text = String::new();
    for view in fleet.ships.values() {
        let crate::fleet::ShipView::Reachable(state) = view else { continue };
        for container in state.containers.values() {
            let labels = container
                .labels
                .iter()
                .filter_map(|(key, value)| Some((key.strip_prefix(LABEL_PORT)?, value)));
            let labels: Vec<_> = labels.map(|(name, port)| format!(" {name}={port}")).collect();
            if !labels.is_empty() {
                _ = writeln!(text, "{}{}", container.name, labels.concat());
            }
        }
    }
    text
}

/// What containers that are made are told of ports.
fn told(plan: &Plan) -> Vec<String> {
    let specs = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Call(EngineCall::CreateContainer { spec, .. }) => Some(spec),
        _ => None,
    });
    let of = |name: String, env: &crate::model::ContainerEnv| {
        let resolved = env.resolved();
        let ports = resolved.iter().filter(|(key, _)| key.ends_with("_HTTP_PORT") && key.starts_with("API"));
        ports.map(|(key, value)| format!("{name}: {key}={}", value.unwrap_or_default())).collect::<Vec<_>>()
    };
    specs.flat_map(|spec| of(spec.name.to_string(), &spec.env)).collect()
}

#[test]
fn each_container_gets_the_first_port_that_nobody_has() {
    let mut world = World::of(super::fleet("a:"));
    let plan = planned(&shop(1), &world.fleet, &DEPLOY);
    // Itself it knows; of others it knows what the file says.
    insta::assert_debug_snapshot!(told(&plan), @r#"
    [
        "api-1: API_API_1_HTTP_PORT=8101",
        "api-1: API_API_2_HTTP_PORT=8100-8105",
        "api-2: API_API_1_HTTP_PORT=8100-8105",
        "api-2: API_API_2_HTTP_PORT=8102",
        "web-1: API_API_1_HTTP_PORT=8100-8105",
        "web-1: API_API_2_HTTP_PORT=8100-8105",
    ]
    "#);
    world.finish(&plan);
    insta::assert_snapshot!(ports(&world.fleet), @"
    api-1 admin=8200 http=8101
    api-2 admin=8201 http=8102
    ");
    // A consumer is not made anew because another port was picked, and neither is who has one.
    let plan = planned(&shop(2), &world.fleet, &DEPLOY);
    assert!(!plan.to_string().contains("web-1 on a:"), "{plan}");
    world.finish(&plan);
    insta::assert_snapshot!(ports(&world.fleet), @"
    api-1 admin=8202 http=8103
    api-1.kept-1-000000000003 admin=8200 http=8101
    api-2 admin=8203 http=8104
    api-2.kept-1-000000000004 admin=8201 http=8102
    ");
    assert!(super::nothing_is_left(&shop(2), &world.fleet));
    // The way back has the ports that it had.
    world.finish(&planned(&shop(1), &world.fleet, &DEPLOY));
    insta::assert_snapshot!(ports(&world.fleet), @"
    api-1 admin=8200 http=8101
    api-1.kept-2-00000000000a admin=8202 http=8103
    api-2 admin=8201 http=8102
    api-2.kept-2-00000000000f admin=8203 http=8104
    ");
}

#[test]
fn what_somebody_has_is_not_picked() {
    let mut world = World::of(super::fleet("a: other running x:1@them"));
    state(&mut world, "a").containers.get_mut("other").unwrap().ports =
        [8101, 8102, 8200].map(|port| (port, 80)).into();
    world.finish(&planned(&shop(1), &world.fleet, &DEPLOY));
    insta::assert_snapshot!(ports(&world.fleet), @"
    api-1 admin=8201 http=8103
    api-2 admin=8202 http=8104
    ");
    // Now they have all that is left.
    state(&mut world, "a").containers.get_mut("other").unwrap().ports =
        (8101..=8105).map(|port| (port, 80)).collect();
    let plan = planned(&shop(2), &world.fleet, &DEPLOY).to_string();
    assert!(plan.contains("api-1 (api) on a: blocked: no port of 8100-8105 is free on ship a"), "{plan}");
}

/// `start` leaves the choice to the engine, as maestro-ng does, but for ports that a check has to know.
#[test]
fn start_picks_what_checks_have_to_know() {
    let mut world = World::of(super::fleet("a:"));
    let start = Intent::Start { refresh: false, reuse: false };
    let plan = planned(&shop(1), &world.fleet, &start);
    world.finish(&plan);
    insta::assert_snapshot!(ports(&world.fleet), @"
    api-1 http=8101
    api-2 http=8102
    ");
    assert!(super::nothing_is_left(&shop(1), &world.fleet));
    // One whose port the engine has picked cannot be checked: it is made anew.
    let container = state(&mut world, "a").containers.get_mut("api-1").unwrap();
    container.labels.retain(|key, _| !key.starts_with(LABEL_PORT));
    let plan = planned(&shop(1), &world.fleet, &DEPLOY).to_string();
    assert!(plan.contains("api-1 (api) on a: ports.http: from 8100-8105 to one of 8100-8105"), "{plan}");
    assert!(names(&world.fleet).contains("api-2 running"));
}
