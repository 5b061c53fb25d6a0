//! `weight:` of canaries: how many of a hundred requests balancers send to them (`docs/design/0031`).

use crate::config::fields::Reader;
use crate::config::node::{Mapping, Node, Value};
use crate::config::services::Services;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Balancer, Canary, Portion, Service, Strategy};
use crate::names::BalancerName;
use std::collections::BTreeMap;

/// How far the weights of servers may be off before it is said, of a hundred.
const OFF: f64 = 0.5;

/// `10%`: more than nothing, and less than all.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<u8> {
    let percent = match &node.value {
        Value::Str(text) => text.trim().strip_suffix('%').and_then(|text| text.trim_end().parse::<u8>().ok()),
        _ => None,
    };
    let percent = percent.filter(|percent| (1..=99).contains(percent));
    if percent.is_none() {
        let message = format!("{what} must be a percentage from 1% to 99%, such as `10%`");
        reader.report(
            Diagnostic::error(Code::BadValue, message)
                .at(node.span)
                .note("it is what the canaries together get of the service's requests"),
        );
    }
    percent
}

/// What services want of balancers that nobody can give them.
pub(in crate::config) fn check(
    reader: &mut Reader<'_>,
    root: &Mapping,
    services: &Services,
    balancers: &BTreeMap<BalancerName, Balancer>,
) {
    let written = root.get("balancers").and_then(|node| node.as_map()).map_or(0, |map| map.entries.len());
    for (name, service) in &services.by_name {
        let Strategy::Canary(canary @ Canary { weight: Some(percent), .. }) = service.deploy.strategy else {
            continue;
        };
        let Some(place) = services.weights.get(name) else { continue };
        let what = format!("`weight` of `deploy` of service `{name}`");
        // One that could not be read may be the one.
        let is_balanced = balancers.values().any(|balancer| balancer.serves(name));
        if !is_balanced && balancers.len() == written {
            reader.report(
                Diagnostic::error(
                    Code::Conflict,
                    format!("{what} cannot be kept: no balancer sends requests to it"),
                )
                .at(*place)
                .help("give it a route (`balancers`), or leave `weight` out"),
            );
        } else if let Some(said) = doubt(canary, percent, service) {
            reader.report(Diagnostic::warning(Code::Suspicious, format!("{what} {said}")).at(*place));
        }
    }
}

/// What is not as one would think.
fn doubt(canary: Canary, percent: u8, service: &Service) -> Option<String> {
    let all = service.instances.len();
    let canaries = canary.canaries.of_surplus(all);
    let Some(others) = all.checked_sub(canaries).filter(|others| *others > 0) else {
        return (all > 0).then(|| "does nothing: all its instances are tried first".to_owned());
    };
    let comes_to = Portion { percent, canaries }.split(canaries, others)?.percent(canaries, others);
    let is_off = (comes_to - f64::from(percent)).abs() > OFF;
    is_off.then(|| {
        format!("comes to {comes_to:.1}%: no server can have more than 255 times the requests of another")
    })
}
