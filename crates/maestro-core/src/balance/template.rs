//! The configuration that comes of a user's own template.
//!
//! Its variables are `balancer`, `generation`, `routes` (`host`, `path`, `service`, `port`, `backend`) and `backends`
//! (`name`, `service`, `port`, `servers`); a server has `name`, `instance`, `address`, `port`, `authority`, `state` and
//! `weight`, which is 0 for one that is drained. A promise to users: only added to.

use super::{Backend, ordered};
use crate::config::{Limits, Unrenderable, render_values};
use crate::model::Balancer;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn render(
    balancer: &Balancer,
    backends: &[Backend<'_>],
    generation: &str,
    name: &str,
    text: &Arc<str>,
) -> Result<String, Unrenderable> {
    let routes: Vec<Value> = ordered(balancer, backends)
        .into_iter()
        .map(|(route, backend)| {
            json!({
                "host": route.host.as_deref(),
                "path": &*route.path,
                "service": route.service.as_str(),
                "port": &*route.port,
                "backend": backend.name,
            })
        })
        .collect();
    let backends: Vec<Value> = backends.iter().map(described).collect();
    let values = [
        ("balancer", json!(balancer.name.as_str())),
        ("generation", json!(generation)),
        ("routes", Value::Array(routes)),
        ("backends", Value::Array(backends)),
    ];
    render_values(name, text, &values, &Limits::default())
}

fn described(backend: &Backend<'_>) -> Value {
    let servers: Vec<Value> = backend
        .servers
        .iter()
        .map(|server| {
            let endpoint = server.endpoint;
            json!({
                "name": server.name,
                "instance": endpoint.instance.as_str(),
                "address": &*endpoint.address,
                "port": endpoint.number,
                "authority": endpoint.authority(),
                "state": endpoint.standing.name(),
                "weight": if server.takes_requests() { endpoint.weight } else { 0 },
            })
        })
        .collect();
    json!({
        "name": backend.name,
        "service": backend.service.as_str(),
        "port": backend.port,
        "servers": servers,
    })
}
