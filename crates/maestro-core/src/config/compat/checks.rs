//! Lifecycle checks: whose they are, and where they go.

use super::{Found, Service, entries, items, listed};
use crate::config::node::Mapping;
use crate::config::python;
use crate::diagnostic::{Change, Diagnostic};
use crate::model::Environment;

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
        for (_, check) in http_checks(map) {
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

/// `http` checks with the phases that they are of.
fn http_checks(map: &Mapping) -> impl Iterator<Item = (&'static str, &Mapping)> {
    let lifecycle = map.get("lifecycle").and_then(|node| node.as_map());
    PHASES.into_iter().flat_map(move |phase| {
        let checks = items(lifecycle.and_then(|map| map.get(phase)));
        let checks = checks.iter().filter_map(|node| node.as_map());
        checks
            .filter(|map| map.get("type").and_then(|node| node.as_str()) == Some("http"))
            .map(move |check| (phase, check))
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

/// maestro-ng takes the host out of a service's check when it makes that of the first instance.
fn hosts(service: &Service<'_>, environment: &Environment, found: &mut Found) {
    for (phase, check) in http_checks(service.map) {
        let Some(host) = check.get("host").filter(|node| !node.is_null()) else { continue };
        let text = python::text(host);
        let is_other = |name: &str| {
            let instance = environment.instances.get(name);
            let ship = instance.and_then(|instance| environment.ships.get(&instance.ship));
            ship.is_some_and(|ship| *ship.ip != *text)
        };
        if service.instances.iter().skip(1).any(|instance| is_other(&instance.name)) {
            found.push(
                Diagnostic::changed(
                    Change::CheckHost,
                    format!(
                        "this `{phase}` check of service `{}` asks this host for every instance",
                        service.name
                    ),
                    "asks it for the first instance only, and the `ip` of its ship for each of the others",
                )
                .at(host.span)
                .help("if each shall be asked at its own ship, remove `host`"),
            );
        }
    }
}
