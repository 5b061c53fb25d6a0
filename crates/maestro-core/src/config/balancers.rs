//! `balancers:` (design, sections 9 and 11): what stands before services, and how it is told.

mod commands;
mod places;
mod routes;
#[cfg(test)]
mod tests;

use super::endpoints::host;
use super::fields::Reader;
use super::limits::Limits;
use super::node::{Mapping, Node};
use super::services::Services;
use super::template::check_syntax;
use super::{deploy, python, read};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Balancer, BalancerKind, BalancerMode, BalancerPlace, Listen};
use crate::names::BalancerName;
use crate::source::{SourceKind, Span};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const KEYS: [&str; 17] = [
    "kind",
    "service",
    "hosts",
    "local",
    "config",
    "listen",
    "mode",
    "routes",
    "status",
    "acknowledge",
    "drain",
    "timeout",
    "check",
    "reload",
    "template",
    "global",
    "defaults",
];
const KINDS: [&str; 3] = ["haproxy", "nginx", "template"];
/// Keys that say something to HAProxy and nginx; a template says it itself.
const OF_GENERATED: [&str; 4] = ["listen", "mode", "global", "defaults"];

/// Balancers of one file, and routes of all of them, each alias counted.
const MOST_BALANCERS: usize = 100;
const MOST_ROUTES: usize = 10_000;

const DEFAULT_LISTEN: u16 = 80;
const DEFAULT_STATUS: u16 = 8404;
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);
const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);
/// Nobody waits longer, and the programs' own clocks take it.
const LONGEST: Duration = Duration::from_hours(24);

pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Mapping,
    services: &Services,
    limits: &Limits,
) -> BTreeMap<BalancerName, Balancer> {
    let mut all = BTreeMap::new();
    let Some(node) = root.get("balancers") else { return all };
    let Some(map) = reader.mapping(node, "`balancers`") else { return all };
    if map.entries.len() > MOST_BALANCERS {
        let message = format!("there are more than {MOST_BALANCERS} balancers");
        reader.report(Diagnostic::error(Code::TooLarge, message).at(node.span));
        return all;
    }
    let mut routes_left = MOST_ROUTES;
    let mut files = BTreeMap::new();
    for (key, node) in &map.entries {
        let name = python::text(key);
        let what = format!("balancer `{name}`");
        if !is_name(&name) {
            let message = format!("`{name}` cannot be the name of a balancer");
            reader.report(
                Diagnostic::error(Code::BadValue, message)
                    .at(key.span)
                    .note("names are of a-z A-Z 0-9 _ . - and begin with a letter or digit"),
            );
            continue;
        }
        let Some(map) = reader.mapping(node, &what) else {
            if node.is_null() {
                reader.missing(key, node, &what, "kind");
            }
            continue;
        };
        reader.check_keys(map, &KEYS, &what, &[]);
        let entry = Entry { key, node, map, what: &what };
        let Some(balancer) = entry.balancer(reader, services, limits, &mut routes_left, &name) else {
            continue;
        };
        entry.shares_file(reader, &balancer, &mut files);
        all.insert(balancer.name.clone(), balancer);
    }
    all
}

/// What may be in the names of a configuration's sections.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= 100
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// One balancer as it is written.
struct Entry<'a> {
    key: &'a Node,
    node: &'a Node,
    map: &'a Mapping,
    what: &'a str,
}

/// An error at a place.
fn fault(reader: &mut Reader<'_>, code: Code, at: Span, message: String) {
    reader.report(Diagnostic::error(code, message).at(at));
}

impl Entry<'_> {
    /// What a message calls a value of it.
    fn of(&self, key: &str) -> String {
        format!("`{key}` of {}", self.what)
    }

    /// A value that is there and not null.
    fn get(&self, key: &str) -> Option<&Arc<Node>> {
        self.map.get(key).filter(|node| !node.is_null())
    }

    fn missing(&self, reader: &mut Reader<'_>, key: &str) {
        reader.missing(self.key, self.node, self.what, key);
    }

    fn balancer(
        &self,
        reader: &mut Reader<'_>,
        services: &Services,
        limits: &Limits,
        room: &mut usize,
        name: &str,
    ) -> Option<Balancer> {
        let kind = self.kind(reader, limits);
        let place = self.place(reader, services);
        let mode = self.mode(reader, kind.as_ref());
        let listen = self.listen(reader, kind.as_ref());
        let routes = self.routes(reader, services, mode, place.as_ref(), room);
        let drain = self.time(reader, "drain", DEFAULT_DRAIN);
        let patience = self.time(reader, "timeout", DEFAULT_PATIENCE);
        let (global, defaults) = (self.lines(reader, "global"), self.lines(reader, "defaults"));
        // What is right for the rest depends on these.
        let (kind, place) = (kind?, place?);
        self.needless(reader, &kind);
        let config = self.config(reader, &kind, &place);
        let check = self.check(reader, &kind);
        let reload = self.reload(reader, &kind, &place);
        let (status, acknowledge) = self.acknowledgement(reader, services, &kind, &place, &listen);
        Some(Balancer {
            name: name.into(),
            kind,
            place,
            config: config?,
            listen,
            mode,
            routes: routes?,
            status,
            acknowledge,
            drain: drain?,
            patience: patience?,
            check: check?,
            reload: reload?,
            global,
            defaults,
        })
    }

    fn kind(&self, reader: &mut Reader<'_>, limits: &Limits) -> Option<BalancerKind> {
        let Some(node) = self.get("kind") else {
            self.missing(reader, "kind");
            return None;
        };
        match &*reader.required_text(node, &self.of("kind"))? {
            "haproxy" => Some(BalancerKind::Haproxy),
            "nginx" => Some(BalancerKind::Nginx),
            "template" => self.template(reader, limits),
            other => {
                let message = format!("{} cannot be `{other}`", self.of("kind"));
                reader.unknown_word(node, message, other, &KINDS, "the kinds");
                None
            }
        }
    }

    /// Reads the template. As an env file, of which it has the ways: the file is the author's, lies where env files lie,
    /// and a release keeps what was in it.
    fn template(&self, reader: &mut Reader<'_>, limits: &Limits) -> Option<BalancerKind> {
        let Some(node) = self.get("template") else {
            self.missing(reader, "template");
            return None;
        };
        let path = reader.required_text(node, &self.of("template"))?;
        let name = reader.sources.display_name(SourceKind::EnvFile, &path);
        match read::read(reader.sources, SourceKind::EnvFile, &path, limits, &mut reader.map) {
            Ok(source) => {
                if let Err(diagnostic) = check_syntax(source, &reader.map, limits) {
                    reader.report(diagnostic.note(format!("it is the template of {}", self.what)));
                    return None;
                }
                let text = reader.map.get(source).map(|source| source.text.clone()).unwrap_or_default();
                Some(BalancerKind::Template { name: name.into(), text })
            }
            Err(unread) => {
                reader.report(
                    unread.into_diagnostic(&name).label(node.span, format!("named by {}", self.what)),
                );
                None
            }
        }
    }

    fn mode(&self, reader: &mut Reader<'_>, kind: Option<&BalancerKind>) -> BalancerMode {
        let Some(node) = self.get("mode") else { return BalancerMode::Http };
        let Some(text) = reader.required_text(node, &self.of("mode")) else { return BalancerMode::Http };
        match &*text {
            "http" => BalancerMode::Http,
            "tcp" if matches!(kind, Some(BalancerKind::Nginx)) => {
                reader.report(
                    Diagnostic::error(Code::BadValue, format!("{} cannot be `tcp`", self.of("mode")))
                        .at(node.span)
                        .help("use `kind: haproxy`, or a template of your own"),
                );
                BalancerMode::Tcp
            }
            "tcp" => BalancerMode::Tcp,
            other => {
                let message = format!("{} cannot be `{other}`", self.of("mode"));
                reader.unknown_word(node, message, other, &["http", "tcp"], "the modes");
                BalancerMode::Http
            }
        }
    }

    /// A port, `address:port`, or a list of these.
    fn listen(&self, reader: &mut Reader<'_>, kind: Option<&BalancerKind>) -> Vec<Listen> {
        if matches!(kind, Some(BalancerKind::Template { .. })) {
            return Vec::new();
        }
        let Some(node) = self.get("listen") else {
            return vec![Listen { address: None, port: DEFAULT_LISTEN }];
        };
        let what = self.of("listen");
        let mut all = Vec::new();
        for (text, place) in reader.names(node, &what) {
            let Some(listen) = listen(&text) else {
                let message = format!("{what} cannot be `{text}`");
                reader.report(Diagnostic::error(Code::BadValue, message).at(place.span).note(
                    "it is a port, or an address and a port, as in `80`, `127.0.0.1:80` and `[::1]:80`",
                ));
                continue;
            };
            // No address means all of IPv4.
            let is_all =
                |listen: &Listen| listen.address.as_deref().is_none_or(|address| address == "0.0.0.0");
            let is_six =
                |listen: &Listen| listen.address.as_deref().is_some_and(|address| address.contains(':'));
            if all.iter().any(|other: &Listen| {
                other.port == listen.port
                    && is_six(other) == is_six(&listen)
                    && (other.address == listen.address || is_all(other) || is_all(&listen))
            }) {
                fault(reader, Code::Conflict, place.span, format!("{what} has port {} twice", listen.port));
                continue;
            }
            all.push(listen);
        }
        all
    }

    /// How long something may take; none after a complaint.
    fn time(&self, reader: &mut Reader<'_>, key: &str, default: Duration) -> Option<Duration> {
        let Some(node) = self.get(key) else { return Some(default) };
        let time = deploy::time(reader, node, &self.of(key))?;
        if time < Duration::from_secs(1) || time > LONGEST {
            let message = format!("{} must be from one second to a day", self.of(key));
            fault(reader, Code::BadValue, node.span, message);
            return None;
        }
        Some(time)
    }

    fn lines(&self, reader: &mut Reader<'_>, key: &str) -> Arc<str> {
        let text = self.get(key).and_then(|node| reader.text(node, &self.of(key)));
        text.unwrap_or_default().into()
    }

    /// Keys that are there and say nothing.
    fn needless(&self, reader: &mut Reader<'_>, kind: &BalancerKind) {
        let (keys, why): (&[&str], _) = match kind {
            BalancerKind::Template { .. } => (&OF_GENERATED, "the template says it"),
            BalancerKind::Haproxy | BalancerKind::Nginx => (&["template"], "`kind: template` reads it"),
        };
        for key in keys {
            if let Some(node) = self.get(key) {
                let message = format!("{} does nothing: {why}", self.of(key));
                reader.report(Diagnostic::warning(Code::Suspicious, message).at(node.span));
            }
        }
    }

    /// Two balancers would write the same file.
    fn shares_file(
        &self,
        reader: &mut Reader<'_>,
        balancer: &Balancer,
        files: &mut BTreeMap<(String, Arc<str>), Span>,
    ) {
        let places = match &balancer.place {
            BalancerPlace::Service(service) => vec![format!("service {service}")],
            BalancerPlace::Hosts(hosts) => hosts.iter().map(ToString::to_string).collect(),
            BalancerPlace::Local => vec![String::new()],
        };
        for place in places {
            if let Some(first) = files.insert((place, balancer.config.clone()), self.key.span) {
                reader.report(
                    Diagnostic::error(
                        Code::Conflict,
                        format!("{} writes {}, which another one writes, too", self.what, balancer.config),
                    )
                    .at(self.key.span)
                    .label(first, "the other one"),
                );
                return;
            }
        }
    }
}

fn listen(text: &str) -> Option<Listen> {
    let port = |text: &str| {
        text.parse().ok().filter(|port: &u16| *port > 0 && text.bytes().all(|c| c.is_ascii_digit()))
    };
    match text.rsplit_once(':') {
        None => Some(Listen { address: None, port: port(text)? }),
        Some((address, number)) => {
            if address.contains(':') && !address.starts_with('[') {
                return None;
            }
            let address = host(address).ok()?.parse::<std::net::IpAddr>().ok()?;
            Some(Listen { address: Some(address.to_string().into()), port: port(number)? })
        }
    }
}
