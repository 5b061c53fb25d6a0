//! What comes of a file otherwise than with maestro-ng 0.8.3: a note for each place of it that leans on something that
//! changed (`docs/coming-from-maestro-ng.md`).
//!
//! Only what maestro-ng worked with is looked for. What it refused as a whole, and is read here, no file in use has.
//! Values that may be secret are pointed at and not quoted (docs/design/0012).

mod auditors;
mod checks;
mod instances;
mod registries;

use super::fields::truthy;
use super::node::{Mapping, Node, Value};
use super::python;
use crate::diagnostic::{Change, Code, Diagnostic};
use crate::model::{ApiVersion, Environment, Transport};
use crate::source::Span;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// A service as it stands in the file.
struct Service<'n> {
    name: String,
    map: &'n Mapping,
    instances: Vec<Instance<'n>>,
}

/// An instance as it stands in the file.
struct Instance<'n> {
    name: String,
    map: &'n Mapping,
}

/// All notes about a file, in no order. `computed` is what of its text a template's expressions gave.
pub(super) fn find(root: &Mapping, environment: &Environment, computed: &[Range<u32>]) -> Vec<Diagnostic> {
    let services = services(root);
    let mut found = Found::default();
    name(root, computed, &mut found);
    ships(root, environment, &mut found);
    registries::find(root, environment, &mut found);
    all_omitted(root, &services, environment, &mut found);
    for service in &services {
        replicas(service, &mut found);
        instances::find(service, environment, &mut found);
        checks::find(service, environment, &mut found);
    }
    auditors::find(root, environment, &mut found);
    found.notes
}

/// So many notes are kept: more help nobody, and aliases multiply.
const MOST: usize = 10_000;

/// The notes so far.
#[derive(Default)]
struct Found {
    notes: Vec<Diagnostic>,
    /// Aliases share their nodes: what stands in one place is said once.
    said: BTreeSet<(Code, Option<Span>)>,
    /// `http` checks that maestro-ng has taken the host out of.
    hostless: BTreeSet<Span>,
    /// How much has been looked at to know what requires what.
    work: usize,
}

impl Found {
    fn push(&mut self, note: Diagnostic) {
        let place = note.labels.first().map(|label| label.span);
        if self.notes.len() < MOST && self.said.insert((note.code, place)) {
            self.notes.push(note);
        }
    }
}

fn services(root: &Mapping) -> Vec<Service<'_>> {
    entries(root.get("services"))
        .iter()
        .filter_map(|(key, node)| {
            let map = node.as_map()?;
            let instances = entries(map.get("instances"))
                .iter()
                .filter_map(|(key, node)| Some(Instance { name: python::text(key), map: node.as_map()? }));
            Some(Service { name: python::text(key), map, instances: instances.collect() })
        })
        .collect()
}

/// The entries of a mapping, if this is one.
fn entries(node: Option<&Arc<Node>>) -> &[(Arc<Node>, Arc<Node>)] {
    node.and_then(|node| node.as_map()).map_or(&[], |map| &map.entries)
}

/// The items of a list, if this is one.
fn items(node: Option<&Arc<Node>>) -> &[Arc<Node>] {
    node.and_then(|node| node.as_seq()).unwrap_or_default()
}

/// Where a key of a mapping stands.
fn key_span(map: &Mapping, key: &str) -> Option<Span> {
    map.entries.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(k, _)| k.span)
}

/// `a`, `b` and 3 more.
fn listed<'a>(mut names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const MOST: usize = 3;
    let mut parts: Vec<String> = names.by_ref().take(MOST).map(|name| format!("`{name}`")).collect();
    if names.len() > 0 {
        parts.push(format!("{} more", names.len()));
    }
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

/// A name that changes from one run to the next makes other containers of them.
fn name(root: &Mapping, computed: &[Range<u32>], found: &mut Found) {
    let Some(node) = root.get("name") else { return };
    if computed.iter().any(|gap| gap.start < node.span.end && node.span.start < gap.end) {
        found.push(
            Diagnostic::changed(
                Change::ComputedName,
                "containers that Maestro has made belong to the environment of this name, and no other touches them",
                "acts on every container that has the name of an instance",
            )
            .at(node.span)
            .help("nothing to do if each name has ships, or names of instances, of its own"),
        );
    }
}

/// What ships say about how their engines are spoken to.
fn ships(root: &Mapping, environment: &Environment, found: &mut Found) {
    let defaults = root.get("ship_defaults").and_then(|node| node.as_map());
    for (key, node) in entries(root.get("ships")) {
        let name = python::text(key);
        let own = node.as_map();
        let field = |key: &str| own.and_then(|map| map.get(key)).or_else(|| defaults?.get(key));
        let is_tls = environment
            .ships
            .get(name.as_str())
            .is_some_and(|ship| matches!(ship.transport, Transport::Tls { .. }));
        if let Some(node) = field("ssl_version").filter(|node| is_tls && !node.is_null()) {
            found.push(
                Diagnostic::changed(
                    Change::TlsVersion,
                    "`ssl_version` is not read: TLS 1.2 or 1.3 is agreed on with the engine",
                    "speaks just that version, and TLS 1.0 where none is given",
                )
                .at(node.span)
                .help("nothing to do; remove it when nobody uses maestro-ng any more"),
            );
        }
        if let Some(node) = field("ssh_tunnel").filter(|node| truthy(node)) {
            ssh_tunnel(node, found);
        }
        let Some(node) = field("api_version") else { continue };
        let Value::Float(number) = &node.value else { continue };
        let read = python::text(node);
        if ApiVersion::parse(&number.text).is_some() && *read != *number.text {
            found.push(
                Diagnostic::changed(
                    Change::ApiVersionDigits,
                    format!("`api_version: {}` means what is written", number.text),
                    format!(
                        "takes it for the number {read}, and speaks version {read}, which no engine knows"
                    ),
                )
                .at(node.span)
                .help("remove it: the version is negotiated with each engine"),
            );
        }
    }
}

/// Both tools run the system's ssh, with other options.
fn ssh_tunnel(tunnel: &Node, found: &mut Found) {
    let Some(map) = tunnel.as_map() else { return };
    let note = Diagnostic::changed(
        Change::SshTunnel,
        "this tunnel's host must take this `key`: no other is offered",
        "has ssh offer an agent's keys, too",
    )
    .at(tunnel.span)
    .help("try `ssh -o BatchMode=yes -o IdentitiesOnly=yes -i KEY USER@HOST`, as the user who runs Maestro");
    found.push(if map.get("port").is_some_and(|port| !port.is_null()) {
        note
    } else {
        note.note("without `port:` it is that of ssh's configuration; maestro-ng takes 22")
    });
}

/// Commands without names leave omitted services out; maestro-ng takes nothing for everything.
fn all_omitted(root: &Mapping, services: &[Service<'_>], environment: &Environment, found: &mut Found) {
    let is_omitted = |service: &Service<'_>| service.map.get("omit").is_some_and(|node| truthy(node));
    let is_filled = |name: &str| environment.services.get(name).is_some_and(|s| !s.instances.is_empty());
    let has_instances = |service: &&Service<'_>| !service.instances.is_empty() || is_filled(&service.name);
    let mut filled = services.iter().filter(has_instances).peekable();
    if filled.peek().is_none() || !filled.all(is_omitted) {
        return;
    }
    if let Some(span) = key_span(root, "services") {
        found.push(
            Diagnostic::changed(
                Change::AllOmitted,
                "without names, commands have nothing to do: every service that has instances is omitted",
                "acts on everything then, with `start` and `clean` as with `stop --all`",
            )
            .at(span)
            .help("name services or instances in scripts, or take `omit` away from some"),
        );
    }
}

/// Who goes back has to write instances.
fn replicas(service: &Service<'_>, found: &mut Found) {
    let Some(node) = service.map.get("replicas").filter(|node| !node.is_null()) else { return };
    let name = &service.name;
    found.push(
        Diagnostic::changed(
            Change::Replicas,
            format!("`replicas` of service `{name}`, and `place`, are Maestro's own"),
            "knows neither, and does not read the file: each service needs its `instances`",
        )
        .at(node.span)
        .help("nothing to do, unless maestro-ng is to read this file, too"),
    );
}

#[cfg(test)]
mod tests;
