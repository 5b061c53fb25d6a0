//! `lifecycle:`: what must be true before an instance counts as started or stopped (specification, section 7).

mod http;

use super::fields::Reader;
use super::node::{Mapping, Node, Value};
use super::{python, words};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Check, EnvFrom, Phase, Port, Protocol};
use crate::source::Span;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const DEFAULT_TRIES: u32 = 180;
const DEFAULT_HEALTH_WAIT: Duration = Duration::from_mins(3);
const TYPES: [&str; 6] = ["tcp", "http", "exec", "rexec", "sleep", "health"];

/// What checks refer to.
pub(super) struct Subject<'a> {
    pub(super) owner: &'a str,
    pub(super) ip: Arc<str>,
    pub(super) ports: &'a IndexMap<Arc<str>, Port>,
    /// Whether there are more of them, which could not be read.
    pub(super) has_faulty_ports: bool,
}

/// The checks of a service, then those of its instance (Q-14: nothing leaks to the next one).
pub(super) fn read(
    reader: &mut Reader<'_>,
    sources: [Option<&Arc<Node>>; 2],
    subject: &Subject<'_>,
) -> BTreeMap<Phase, Vec<Check>> {
    let mut checks: BTreeMap<Phase, Vec<Check>> = BTreeMap::new();
    for node in sources.into_iter().flatten() {
        let what = format!("`lifecycle` of {}", subject.owner);
        let Some(map) = reader.mapping(node, &what) else { continue };
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
            let read = phase_checks(reader, value, &name, subject);
            if let Some(phase) = phase {
                checks.entry(phase).or_default().extend(read);
            }
        }
    }
    checks
}

fn phase_checks(reader: &mut Reader<'_>, node: &Node, phase: &str, subject: &Subject<'_>) -> Vec<Check> {
    let Some(items) = node.as_seq() else {
        if !node.is_null() {
            let message =
                format!("`{phase}` checks of {} must be a list, not {}", subject.owner, node.kind());
            reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
        }
        return Vec::new();
    };
    items.iter().filter_map(|item| check(reader, item, phase, subject)).collect()
}

fn check(reader: &mut Reader<'_>, node: &Node, phase: &str, subject: &Subject<'_>) -> Option<Check> {
    let what = format!("a `{phase}` check of {}", subject.owner);
    let Value::Map(map) = &node.value else {
        let message = format!("{what} must be a mapping, not {}", node.kind());
        reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
        return None;
    };
    let Some(kind) = map.get("type") else {
        reader.missing(node, node, &what, "type");
        return None;
    };
    let kind_text = python::text(kind);
    let what = format!("`{kind_text}` check ({phase}) of {}", subject.owner);
    match &*kind_text {
        "tcp" => tcp(reader, node, map, &what, subject),
        "http" => http::read(reader, node, map, &what, subject),
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
                    reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
                    return None;
                }
            };
            Some(Check::Exec { command, attempts, env_from })
        }
        "rexec" => {
            reader.check_keys(map, &["type", "command", "attempts"], &what, &[]);
            let command = command(reader, node, map, &what)?;
            let attempts = reader.tries(map.get("attempts"), &format!("`attempts` of {what}"), DEFAULT_TRIES);
            Some(Check::RemoteExec { command, attempts })
        }
        "sleep" => {
            reader.check_keys(map, &["type", "wait"], &what, &[]);
            let Some(wait) = map.get("wait") else {
                reader.missing(node, node, &what, "wait");
                return None;
            };
            let wait = reader.seconds(wait, &format!("`wait` of {what}"))?;
            // maestro-ng counts down in whole seconds: 1.5 waits 2.
            Some(Check::Sleep { wait: Duration::from_secs_f64(wait.as_secs_f64().ceil()) })
        }
        "health" => {
            reader.check_keys(map, &["type", "max_wait"], &what, &[]);
            let max_wait = match map.get("max_wait") {
                Some(node) => reader.seconds(node, &format!("`max_wait` of {what}"))?,
                None => DEFAULT_HEALTH_WAIT,
            };
            Some(Check::Health { max_wait })
        }
        _ => {
            let message =
                format!("a `{phase}` check of {} has the unknown type `{kind_text}`", subject.owner);
            reader.report(
                Diagnostic::error(Code::BadValue, message)
                    .at(kind.span)
                    .suggest(&kind_text, TYPES)
                    .note(format!("the types are {}", TYPES.join(", "))),
            );
            None
        }
    }
}

fn command(reader: &mut Reader<'_>, owner: &Node, map: &Mapping, what: &str) -> Option<Vec<String>> {
    let Some(node) = map.get("command") else {
        reader.missing(owner, owner, what, "command");
        return None;
    };
    let command = match &node.value {
        Value::Seq(_) => reader.texts(node, &format!("`command` of {what}")),
        _ => {
            let text = reader.required_text(node, &format!("`command` of {what}"))?;
            match words::split(&text) {
                Ok(words) => words,
                Err(error) => {
                    let message = format!("`command` of {what} cannot be split into words: {error}");
                    reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
                    return None;
                }
            }
        }
    };
    if command.is_empty() {
        reader
            .report(Diagnostic::error(Code::BadValue, format!("`command` of {what} is empty")).at(node.span));
        return None;
    }
    Some(command)
}

fn tcp(
    reader: &mut Reader<'_>,
    node: &Node,
    map: &Mapping,
    what: &str,
    subject: &Subject<'_>,
) -> Option<Check> {
    reader.check_keys(map, &["type", "port", "max_wait"], what, &[]);
    let Some(port) = map.get("port") else {
        reader.missing(node, node, what, "port");
        return None;
    };
    let name = python::text(port);
    let Some(declared) = subject.ports.get(&*name) else {
        unknown_port(reader, port.span, &name, what, subject);
        return None;
    };
    let port = external(reader, port.span, &name, declared, what)?;
    let attempts = reader.tries(map.get("max_wait"), &format!("`max_wait` of {what}"), DEFAULT_TRIES);
    Some(Check::Tcp { host: subject.ip.clone(), port, attempts })
}

fn unknown_port(reader: &mut Reader<'_>, span: Span, name: &str, what: &str, subject: &Subject<'_>) {
    if subject.has_faulty_ports {
        return;
    }
    let message = format!("{what}: port `{name}` is not defined by {}", subject.owner);
    reader.report(
        Diagnostic::error(Code::UnknownName, message)
            .at(span)
            .suggest(name, subject.ports.keys().map(|k| &**k)),
    );
}

fn external(reader: &mut Reader<'_>, span: Span, name: &str, port: &Port, what: &str) -> Option<u16> {
    if port.protocol == Protocol::Udp {
        let message = format!("{what}: port `{name}` is not TCP");
        reader.report(Diagnostic::error(Code::BadValue, message).at(span));
        return None;
    }
    let number = port.external_number().filter(|n| *n != 0);
    if number.is_none() {
        let message = format!("{what}: port `{name}` is `{}`, not one port to connect to", port.external);
        reader.report(Diagnostic::error(Code::BadValue, message).at(span));
    }
    number
}
