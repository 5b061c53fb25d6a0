//! Lifecycle checks: whose they are, and where they go.

use super::{Found, Instance, Service, entries, items, listed};
use crate::config::node::{Mapping, Node};
use crate::config::python;
use crate::diagnostic::{Change, Diagnostic};
use crate::model::Environment;
use crate::source::Span;
use std::collections::BTreeSet;

/// Checks of other names are never run.
const PHASES: [&str; 4] = ["pre-start", "running", "pre-stop", "stopped"];

/// What Python's requests knows besides what is read here.
const OF_REQUESTS: [&str; 6] = ["json", "cookies", "files", "proxies", "stream", "hooks"];
/// What is read here.
const READ: [&str; 8] = ["verify", "cert", "headers", "params", "timeout", "auth", "data", "allow_redirects"];

pub(super) fn find(service: &Service<'_>, environment: &Environment, found: &mut Found) {
    leaks(service, found);
    hosts(service, environment, found);
    let instances = service.instances.iter().map(|instance| instance.map);
    for map in std::iter::once(service.map).chain(instances) {
        for (_, _, check) in http_checks(map) {
            for (key, _) in entries(check.get("requests_options")) {
                let name = python::text(key);
                if READ.contains(&&*name) {
                    continue;
                }
                let formerly = if OF_REQUESTS.contains(&&*name) {
                    "passes it on to Python's requests"
                } else {
                    "reads the file, and fails when the check is run"
                };
                let message = format!("`{name}` in `requests_options` is not read");
                found.push(Diagnostic::changed(Change::RequestOption, message, formerly).at(key.span));
            }
        }
    }
}

/// `http` checks with the phases that they are of, and their places.
fn http_checks(map: &Mapping) -> impl Iterator<Item = (&'static str, Span, &Mapping)> {
    let lifecycle = map.get("lifecycle").and_then(|node| node.as_map());
    PHASES.into_iter().flat_map(move |phase| {
        let checks = items(lifecycle.and_then(|map| map.get(phase)));
        let checks = checks.iter().filter_map(|node| Some((node.span, node.as_map()?)));
        checks
            .filter(|(_, map)| map.get("type").and_then(|node| node.as_str()) == Some("http"))
            .map(move |(span, check)| (phase, span, check))
    })
}

/// maestro-ng appends an instance's checks to its service's own list, from which the next instances take theirs.
fn leaks(service: &Service<'_>, found: &mut Found) {
    let of_service = service.map.get("lifecycle").and_then(|node| node.as_map());
    for (at, instance) in service.instances.iter().enumerate() {
        if at + 1 == service.instances.len() {
            break;
        }
        for (key, checks) in entries(instance.map.get("lifecycle")) {
            let phase = python::text(key);
            let is_shared =
                of_service.and_then(|map| map.get(&phase)).is_some_and(|node| node.as_seq().is_some());
            if PHASES.contains(&&*phase) && is_shared && !items(Some(checks)).is_empty() {
                let later = service.instances.iter().skip(at + 1).map(|instance| instance.name.as_str());
                found.push(
                    Diagnostic::changed(
                        Change::InstanceChecks,
                        format!("`{phase}` checks of instance `{}` are run for it alone", instance.name),
                        format!("runs them for what follows it in service `{}`, too", service.name),
                    )
                    .at(key.span)
                    .help(format!(
                        "if {} shall pass them, write them there, or at the service",
                        listed(later)
                    )),
                );
            }
        }
    }
}

/// maestro-ng takes the host out of a check when it makes that of the first instance. What aliases stand for is one
/// check to it.
fn hosts(service: &Service<'_>, environment: &Environment, found: &mut Found) {
    let ip = |instance: &Instance<'_>| {
        let instance = environment.instances.get(instance.name.as_str())?;
        environment.ships.get(&instance.ship).map(|ship| &*ship.ip)
    };
    let Some((first, later)) = service.instances.split_first() else { return };
    let first_ip = ip(first);
    let later_ips: BTreeSet<&str> = later.iter().filter_map(ip).collect();
    for (phase, span, check) in http_checks(service.map) {
        let Some(host) = check.get("host").filter(|node| !node.is_null()) else { continue };
        let text = python::text(host);
        let is_gone = !found.hostless.insert(span);
        let is_other = |ips: &BTreeSet<&str>| ips.len() > usize::from(ips.contains(&*text));
        if is_other(&later_ips) || is_gone && first_ip.is_some_and(|ip| ip != text) {
            let message = format!(
                "this `{phase}` check of service `{}` asks this host for every instance",
                service.name
            );
            host_note(message, host, found);
        }
    }
    for instance in &service.instances {
        for (phase, span, check) in http_checks(instance.map) {
            let Some(host) = check.get("host").filter(|node| !node.is_null()) else { continue };
            let is_gone = !found.hostless.insert(span);
            if is_gone && ip(instance).is_some_and(|ip| *ip != *python::text(host)) {
                let message = format!("this `{phase}` check asks this host wherever an alias stands for it");
                host_note(message, host, found);
            }
        }
    }
}

fn host_note(message: String, host: &Node, found: &mut Found) {
    found.push(
        Diagnostic::changed(
            Change::CheckHost,
            message,
            "asks it for the first instance only, and the `ip` of its ship for each of the others",
        )
        .at(host.span)
        .help("if each shall be asked at its own ship, remove `host`"),
    );
}
