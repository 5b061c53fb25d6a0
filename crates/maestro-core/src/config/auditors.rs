//! `audit:`: who is told what is done (specification, section 8).

mod webhook;

use super::fields::{Reader, truthy};
use super::node::{Mapping, Node, Value};
use super::{format_texts, python};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Auditor, Channel, Format, Level, Script, Slack};
use crate::names::Secret;
use crate::source::Span;
use std::sync::Arc;
use std::time::Duration;

const TYPES: [&str; 5] = ["log", "http", "exec", "slack", "hipchat"];
/// What maestro-ng does where an auditor cannot tell anybody anything.
const WHEN_TOLD: &str = "reads the file, and fails whenever this auditor has something to tell";
const DEFAULT_NAME: &str = "maestro-ng";
/// maestro-ng waited for ever.
const DEFAULT_EXEC_TIMEOUT: Duration = Duration::from_mins(1);

/// What a script's arguments may contain.
const ARGUMENT_NAMES: [&str; 3] = ["what", "action", "who"];

/// Auditors of one file: each has a connection, or a program, of its own.
const MOST_AUDITORS: usize = 100;
/// Values in all their payloads, each alias counted as all that it stands for.
const MOST_VALUES: usize = 10_000;
/// Bytes of all their formats.
const MOST_BYTES: usize = 1 << 20;
/// What a format may add to the texts that it is filled in with, in bytes.
const WIDEST: usize = 16 << 10;

pub(super) fn read(reader: &mut Reader<'_>, root: &Mapping) -> Vec<Auditor> {
    let Some(node) = root.get("audit").filter(|node| truthy(node)) else { return Vec::new() };
    let Some(items) = node.as_seq() else {
        let message = format!("`audit` must be a list, not {}", node.kind());
        reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
        return Vec::new();
    };
    if items.len() > MOST_AUDITORS {
        let message = format!("there are more than {MOST_AUDITORS} auditors");
        reader.report(Diagnostic::error(Code::TooLarge, message).at(node.span));
        return Vec::new();
    }
    let mut warned = false;
    let mut space = Room { values: MOST_VALUES, bytes: MOST_BYTES, span: Some(node.span) };
    items.iter().filter_map(|item| auditor(reader, item, &mut space, &mut warned)).collect()
}

/// How much more there may be to fill in.
struct Room {
    values: usize,
    bytes: usize,
    /// Where to say that it is too much, until that is said.
    span: Option<Span>,
}

impl Room {
    /// Takes room for a value; says when there is none left, once.
    fn take(&mut self, reader: &mut Reader<'_>, bytes: usize) -> bool {
        let Some(span) = self.span else { return false };
        if let (Some(values), Some(bytes)) = (self.values.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (self.values, self.bytes) = (values, bytes);
            return true;
        }
        let message =
            format!("auditors have more than {MOST_VALUES} values or {MOST_BYTES} bytes to fill in");
        reader.report(Diagnostic::error(Code::TooLarge, message).at(span));
        self.span = None;
        false
    }
}

fn auditor(reader: &mut Reader<'_>, node: &Node, room: &mut Room, warned: &mut bool) -> Option<Auditor> {
    let (map, kind) = reader.typed(node, "an auditor")?;
    let kind_text = python::text(kind);
    if !TYPES.contains(&&*kind_text) {
        let message = format!("there is no auditor of type `{kind_text}`");
        reader.unknown_word(kind, message, &kind_text, &TYPES, "the types");
        return None;
    }
    let what = format!("the `{kind_text}` auditor");
    let entry = Entry { node, map, what: &what };
    let level = level(reader, &entry);
    let ignore_errors = ignore_errors(reader, &entry);
    let channel = match &*kind_text {
        "log" => log(reader, &entry),
        "http" => webhook::read(reader, &entry, room),
        "exec" => exec(reader, &entry, room),
        "slack" => slack(reader, &entry),
        _ => hipchat(reader, &entry, kind, warned),
    };
    Some(Auditor { level: level?, ignore_errors, channel: channel? })
}

/// One entry of the list.
struct Entry<'a> {
    node: &'a Node,
    map: &'a Mapping,
    what: &'a str,
}

impl Entry<'_> {
    fn check_keys(&self, reader: &mut Reader<'_>, own: &[&str]) {
        let known: Vec<&str> = ["type", "level", "ignore_errors"].iter().chain(own).copied().collect();
        reader.check_keys(self.map, &known, self.what, &[]);
    }

    fn of(&self, key: &str) -> String {
        format!("`{key}` of {}", self.what)
    }

    /// A text that must be there, and not be empty.
    fn needed(&self, reader: &mut Reader<'_>, key: &str) -> Option<Arc<str>> {
        let Some(node) = self.map.get(key) else {
            reader.missing(self.node, self.node, self.what, key);
            return None;
        };
        let text = reader.required_text(node, &self.of(key))?;
        if text.is_empty() {
            reader.report(
                Diagnostic::error(Code::BadValue, format!("{} is empty", self.of(key))).at(node.span),
            );
            return None;
        }
        Some(text.into())
    }

    /// A text that need not be there; an empty one is none.
    fn optional(&self, reader: &mut Reader<'_>, key: &str) -> Option<Arc<str>> {
        let node = self.map.get(key).filter(|node| truthy(node))?;
        Some(reader.text(node, &self.of(key))?.into())
    }

    /// How long something may take, or the default; none after a complaint.
    fn timeout(&self, reader: &mut Reader<'_>, default: Duration) -> Option<Duration> {
        let Some(node) = self.map.get("timeout").filter(|node| !node.is_null()) else { return Some(default) };
        let timeout = reader.seconds(node, &self.of("timeout"))?;
        if timeout.is_zero() {
            let message = format!("{} leaves no time at all", self.of("timeout"));
            reader.report(Diagnostic::error(Code::BadValue, message).at(node.span).formerly(WHEN_TOLD));
            return None;
        }
        Some(timeout)
    }
}

/// `info`, `debug`, or a number on the scale of Python's `logging`, where these are 20 and 10.
fn level(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Level> {
    let Some(node) = entry.map.get("level") else { return Some(Level::Info) };
    let number = match &node.value {
        #[expect(clippy::cast_precision_loss, reason = "only whether it is above 10 or 20 matters")]
        Value::Int(number) => number.value as f64,
        Value::Float(number) => number.value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Str(text) => match &**text {
            "info" => return Some(Level::Info),
            "debug" => return Some(Level::Debug),
            text => {
                let message =
                    format!("{} must be `info`, `debug` or a number, not `{text}`", entry.of("level"));
                reader.report(
                    Diagnostic::error(Code::BadValue, message).at(node.span).suggest(text, ["info", "debug"]),
                );
                return None;
            }
        },
        _ => {
            let message =
                format!("{} must be `info`, `debug` or a number, not {}", entry.of("level"), node.kind());
            reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
            return None;
        }
    };
    Some(match number {
        ..=10.0 => Level::Debug,
        ..=20.0 => Level::Info,
        _ => Level::Errors,
    })
}

/// True exactly; whoever writes something else that looks like it is told that it is not.
fn ignore_errors(reader: &mut Reader<'_>, entry: &Entry<'_>) -> bool {
    let Some(node) = entry.map.get("ignore_errors") else { return false };
    match node.value {
        Value::Bool(value) => value,
        _ if !truthy(node) => false,
        _ => {
            let message = format!(
                "{} is {}, not `true`: errors are not ignored",
                entry.of("ignore_errors"),
                node.kind()
            );
            reader.report(
                Diagnostic::warning(Code::Suspicious, message)
                    .at(node.span)
                    .help("write `ignore_errors: true`"),
            );
            false
        }
    }
}

fn log(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Channel> {
    entry.check_keys(reader, &["file"]);
    Some(Channel::Log { file: entry.needed(reader, "file")? })
}

fn slack(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Channel> {
    entry.check_keys(reader, &["channel", "token", "name", "icon"]);
    let channel = entry.needed(reader, "channel");
    let token = match entry.map.get("token") {
        Some(node) if matches!(node.value, Value::Secret(_)) => reader.secret(node, &entry.of("token")),
        _ => entry.needed(reader, "token").map(Secret::new),
    };
    let name = entry.optional(reader, "name").unwrap_or_else(|| DEFAULT_NAME.into());
    let icon = entry.optional(reader, "icon");
    Some(Channel::Slack(Box::new(Slack { channel: channel?, token: token?, name, icon })))
}

/// Read as maestro-ng read it, and of no effect.
fn hipchat(reader: &mut Reader<'_>, entry: &Entry<'_>, kind: &Node, warned: &mut bool) -> Option<Channel> {
    entry.check_keys(reader, &["room", "token", "name"]);
    let (room, token) = (entry.needed(reader, "room"), entry.needed(reader, "token"));
    entry.optional(reader, "name");
    if !std::mem::replace(warned, true) {
        let message = "HipChat is no more: nobody will be told there";
        reader.report(
            Diagnostic::warning(Code::Suspicious, message)
                .at(kind.span)
                .help("remove this auditor")
                .formerly("asks a service that is gone, and fails unless it has `ignore_errors: true`"),
        );
    }
    room.and(token).map(|_| Channel::HipChat)
}

fn exec(reader: &mut Reader<'_>, entry: &Entry<'_>, room: &mut Room) -> Option<Channel> {
    entry.check_keys(reader, &["script", "args", "timeout"]);
    let program = entry.needed(reader, "script");
    let args = match entry.map.get("args").filter(|node| truthy(node)) {
        None => Some(None),
        Some(node) => reader
            .text(node, &entry.of("args"))
            .filter(|text| room.take(reader, text.len()))
            .and_then(|text| format(reader, node, &entry.of("args"), text.into(), &ARGUMENT_NAMES))
            .map(Some),
    };
    let timeout = entry.timeout(reader, DEFAULT_EXEC_TIMEOUT);
    Some(Channel::Exec(Script { program: program?, args: args?, timeout: timeout? }))
}

/// A format that can be filled in.
fn format(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    text: Arc<str>,
    names: &[&str],
) -> Option<Format> {
    let sample: Vec<_> = names.iter().map(|name| (*name, *name)).collect();
    // Twice, as every text is counted where it is made and where it is put.
    match format_texts(&text, &sample, (WIDEST + 2 * text.len()) as u64) {
        Ok(_) => Some(Format(text)),
        Err(because) => {
            let known: Vec<_> = names.iter().map(|name| format!("{{{name}}}")).collect();
            reader.report(
                Diagnostic::error(Code::BadValue, format!("{what} cannot be filled in: {because}"))
                    .at(node.span)
                    .note(format!("it may contain {}", known.join(", ")))
                    .help("for a brace that is to stay write `{{ '{{' }}` or `{{ '}}' }}`: two, behind the template")
                    .formerly(WHEN_TOLD),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests;
