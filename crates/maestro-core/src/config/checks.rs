//! `lifecycle:`: what must be true before an instance counts as started or stopped (specification, section 7).

mod http;

use super::endpoints::http_host;
use super::expansion::Counted;
use super::fields::Reader;
use super::node::{Mapping, Node, Value};
use super::{python, words};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Check, EnvFrom, HttpCheck, Phase, Port, Protocol};
use crate::source::Span;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const DEFAULT_TRIES: u32 = 180;
const DEFAULT_HEALTH_WAIT: Duration = Duration::from_mins(3);
const TYPES: [&str; 6] = ["tcp", "http", "exec", "rexec", "sleep", "health"];

/// What maestro-ng does where an option of a check means nothing.
const WHEN_RUN: &str = "reads the file, and fails when the check is run";

/// What checks refer to.
pub(super) struct Subject<'a> {
    pub(super) owner: &'a str,
    pub(super) ip: Arc<str>,
    pub(super) ports: &'a IndexMap<Arc<str>, Port>,
    /// Whether there are more of them, which could not be read.
    pub(super) has_faulty_ports: bool,
}

/// A check as the file says it. Addresses and ports are those of an instance, so it is complete only with one.
#[derive(Debug)]
pub(super) struct Draft {
    what: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Complete(Check),
    Tcp {
        port: PortName,
        attempts: u32,
    },
    Http {
        /// Without its port, and without its host if it names none.
        check: HttpCheck,
        port: PortName,
        names_host: bool,
    },
}

#[derive(Debug)]
struct PortName {
    text: String,
    span: Span,
}

/// Reads `lifecycle:` of a service or of an instance.
pub(super) fn read(
    reader: &mut Reader<'_>,
    node: Option<&Arc<Node>>,
    owner: &str,
) -> Vec<(Phase, Vec<Draft>)> {
    let what = format!("`lifecycle` of {owner}");
    let Some(map) = node.and_then(|node| reader.mapping(node, &what)) else { return Vec::new() };
    let mut drafts = Vec::new();
    for (key, value) in &map.entries {
        let name = python::text(key);
        let phase = [Phase::PreStart, Phase::Running, Phase::PreStop, Phase::Stopped]
            .into_iter()
            .find(|phase| phase.key() == name);
        if phase.is_none() && !name.starts_with("x-") {
            let message = format!("{what}: nothing ever checks `{name}`");
            reader.report(
                Diagnostic::warning(Code::UnknownKey, message)
                    .at(key.span)
                    .suggest(&name, ["pre-start", "running", "pre-stop", "stopped"]),
            );
        }
        let read = phase_checks(reader, value, &name, owner);
        if let Some(phase) = phase {
            drafts.push((phase, read));
        }
    }
    drafts
}

/// The checks of a service, then those of its instance (Q-14: nothing leaks to the next one).
pub(super) fn bind(
    reader: &mut Reader<'_>,
    sources: [&[(Phase, Vec<Draft>)]; 2],
    subject: &Subject<'_>,
    at: Span,
) -> BTreeMap<Phase, Vec<Check>> {
    let mut checks: BTreeMap<Phase, Vec<Check>> = BTreeMap::new();
    for (phase, drafts) in sources.into_iter().flatten() {
        if reader.expand(Counted::Checks, drafts.len() as u64, at) {
            let bound = drafts.iter().filter_map(|draft| draft.bind(reader, subject));
            checks.entry(*phase).or_default().extend(bound);
        }
    }
    checks
}

fn phase_checks(reader: &mut Reader<'_>, node: &Node, phase: &str, owner: &str) -> Vec<Draft> {
    let Some(items) = node.as_seq() else {
        if !node.is_null() {
            let message = format!("`{phase}` checks of {owner} must be a list, not {}", node.kind());
            reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
        }
        return Vec::new();
    };
    items.iter().filter_map(|item| check(reader, item, phase, owner)).collect()
}

fn check(reader: &mut Reader<'_>, node: &Node, phase: &str, owner: &str) -> Option<Draft> {
    let what = format!("a `{phase}` check of {owner}");
    let (map, kind) = reader.typed(node, &what)?;
    let kind_text = python::text(kind);
    let what = format!("`{kind_text}` check ({phase}) of {owner}");
    let kind = match &*kind_text {
        "tcp" => tcp(reader, node, map, &what)?,
        "http" => http::read(reader, node, map, &what)?,
        "exec" => {
            reader.check_keys(map, &["type", "command", "attempts", "envfrom"], &what, &[]);
            let command = command(reader, node, map, &what)?;
            let attempts = reader.tries(map.get("attempts"), &format!("`attempts` of {what}"), DEFAULT_TRIES);
            let env_from = match map.get("envfrom").map(|n| (n, python::text(n))) {
                None => EnvFrom::Environment,
                Some((_, text)) if text == "env" => EnvFrom::Environment,
                Some((_, text)) if text == "stdin" => EnvFrom::Stdin,
                Some((node, text)) => {
                    let message = format!("`envfrom` of {what} must be `env` or `stdin`, not `{text}`");
                    reader
                        .report(Diagnostic::error(Code::BadValue, message).at(node.span).formerly(WHEN_RUN));
                    return None;
                }
            };
            Kind::Complete(Check::Exec { command, attempts, env_from })
        }
        "rexec" => {
            reader.check_keys(map, &["type", "command", "attempts"], &what, &[]);
            let command = command(reader, node, map, &what)?;
            let attempts = reader.tries(map.get("attempts"), &format!("`attempts` of {what}"), DEFAULT_TRIES);
            Kind::Complete(Check::RemoteExec { command, attempts })
        }
        "sleep" => {
            reader.check_keys(map, &["type", "wait"], &what, &[]);
            let Some(wait) = map.get("wait") else {
                reader.missing(node, node, &what, "wait");
                return None;
            };
            let wait = reader.seconds(wait, &format!("`wait` of {what}"))?;
            // maestro-ng counts down in whole seconds: 1.5 waits 2.
            Kind::Complete(Check::Sleep { wait: Duration::from_secs_f64(wait.as_secs_f64().ceil()) })
        }
        "health" => {
            reader.check_keys(map, &["type", "max_wait"], &what, &[]);
            let max_wait = match map.get("max_wait") {
                Some(node) => reader.seconds(node, &format!("`max_wait` of {what}"))?,
                None => DEFAULT_HEALTH_WAIT,
            };
            Kind::Complete(Check::Health { max_wait })
        }
        _ => {
            let message = format!("a `{phase}` check of {owner} has the unknown type `{kind_text}`");
            reader.unknown_word(kind, message, &kind_text, &TYPES, "the types");
            return None;
        }
    };
    Some(Draft { what, kind })
}

fn command(reader: &mut Reader<'_>, owner: &Node, map: &Mapping, what: &str) -> Option<Arc<[String]>> {
    let Some(node) = map.get("command") else {
        reader.missing(owner, owner, what, "command");
        return None;
    };
    words_of(reader, node, &format!("`command` of {what}"))
}

/// A program and its arguments: a list, or a text that is split as a shell would, without one.
pub(super) fn words_of(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Arc<[String]>> {
    let command = match &node.value {
        Value::Seq(_) => reader.texts(node, what),
        _ => {
            let text = reader.required_text(node, what)?;
            match words::split(&text) {
                Ok(words) => words,
                Err(error) => {
                    let message = format!("{what} cannot be split into words: {error}");
                    reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
                    return None;
                }
            }
        }
    };
    if command.is_empty() {
        reader.report(Diagnostic::error(Code::BadValue, format!("{what} is empty")).at(node.span));
        return None;
    }
    Some(command.into())
}

fn tcp(reader: &mut Reader<'_>, node: &Node, map: &Mapping, what: &str) -> Option<Kind> {
    reader.check_keys(map, &["type", "port", "max_wait"], what, &[]);
    let Some(port) = map.get("port") else {
        reader.missing(node, node, what, "port");
        return None;
    };
    let attempts = reader.tries(map.get("max_wait"), &format!("`max_wait` of {what}"), DEFAULT_TRIES);
    Some(Kind::Tcp { port: PortName { text: python::text(port), span: port.span }, attempts })
}

impl Draft {
    /// The check of an instance; none if the instance has no such port.
    fn bind(&self, reader: &mut Reader<'_>, subject: &Subject<'_>) -> Option<Check> {
        match &self.kind {
            Kind::Complete(check) => Some(check.clone()),
            Kind::Tcp { port, attempts } => {
                let Some(declared) = subject.ports.get(&*port.text) else {
                    self.unknown_port(reader, port, subject);
                    return None;
                };
                let (port, picked) = self.external(reader, port, declared)?;
                Some(Check::Tcp { host: subject.ip.clone(), port, picked, attempts: *attempts })
            }
            Kind::Http { check, port, names_host } => {
                let (number, picked) = match (subject.ports.get(&*port.text), port.text.trim().parse::<u16>())
                {
                    (Some(declared), _) => self.external(reader, port, declared)?,
                    (None, Ok(0)) => {
                        self.fault(reader, port, "`port`", "must be from 1 to 65535, not 0");
                        return None;
                    }
                    (None, Ok(number)) => (number, None),
                    (None, Err(_)) => {
                        self.unknown_port(reader, port, subject);
                        return None;
                    }
                };
                let host = if *names_host { check.host.clone() } else { subject.ip.clone() };
                if let Some(why) = (!names_host).then(|| http_host(&host).err()).flatten() {
                    self.fault(reader, port, "`host`", &format!("is the `ip` of its ship, but {why}"));
                }
                Some(Check::Http(Box::new(HttpCheck { host, port: number, picked, ..check.clone() })))
            }
        }
    }

    fn unknown_port(&self, reader: &mut Reader<'_>, port: &PortName, subject: &Subject<'_>) {
        if subject.has_faulty_ports || !reader.is_news(Code::UnknownName, port.span) {
            return;
        }
        let message = format!("{}: port `{}` is not defined by {}", self.what, port.text, subject.owner);
        let error = Diagnostic::error(Code::UnknownName, message).at(port.span);
        let error = reader.suggest(error, &port.text, subject.ports.keys().map(|k| &**k));
        reader.report(error);
    }

    fn fault(&self, reader: &mut Reader<'_>, port: &PortName, option: &str, fault: &str) {
        if reader.is_news(Code::BadValue, port.span) {
            let message = format!("{option} of {} {fault}", self.what);
            reader.report(Diagnostic::error(Code::BadValue, message).at(port.span));
        }
    }

    /// The port of the ship; or, where it is picked for each container, none and what it is called.
    fn external(
        &self,
        reader: &mut Reader<'_>,
        name: &PortName,
        port: &Port,
    ) -> Option<(u16, Option<Arc<str>>)> {
        let PortName { text, span } = name;
        let fault = if port.protocol == Protocol::Udp {
            "not TCP".to_owned()
        } else if let Some(number) = port.external_number().filter(|n| *n != 0) {
            return Some((number, None));
        } else if port.choice().is_some() {
            return Some((0, Some(text.as_str().into())));
        } else {
            format!("`{}`, not one port to connect to", port.external)
        };
        if reader.is_news(Code::BadValue, *span) {
            let message = format!("{}: port `{text}` is {fault}", self.what);
            reader.report(Diagnostic::error(Code::BadValue, message).at(*span));
        }
        None
    }
}
