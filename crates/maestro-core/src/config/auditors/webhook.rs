//! Webhooks: where a request goes, and what is in it (specification, section 8.4).

use super::{Entry, Room, WHEN_TOLD, format};
use crate::config::endpoints::{is_http_authority, is_token};
use crate::config::fields::{Reader, truthy};
use crate::config::node::{Node, Value};
use crate::config::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Channel, Payload, Webhook, WebhookMethod, authority};
use crate::names::Secret;
use std::sync::Arc;
use std::time::Duration;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
/// What a payload's texts may contain.
const PAYLOAD_NAMES: [&str; 4] = ["what", "action", "who", "message"];

pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry<'_>, room: &mut Room) -> Option<Channel> {
    entry.check_keys(reader, &["endpoint", "payload", "headers", "method", "timeout"]);
    let endpoint = endpoint(reader, entry);
    let payload = match entry.map.get("payload").filter(|node| !node.is_null()) {
        None => Some(Payload::Map(Vec::new())),
        Some(node) => payload(reader, node, &entry.of("payload"), room),
    };
    let headers = headers(reader, entry);
    let method = match entry.map.get("method").filter(|node| !node.is_null()) {
        None => Some(WebhookMethod::Post),
        Some(node) => reader.text(node, &entry.of("method")).and_then(|text| match &*text.to_uppercase() {
            "GET" => Some(WebhookMethod::Get),
            "POST" => Some(WebhookMethod::Post),
            _ => {
                let message = format!("{} must be GET or POST, not `{text}`", entry.of("method"));
                reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
                None
            }
        }),
    };
    let timeout = entry.timeout(reader, DEFAULT_TIMEOUT);
    Some(Channel::Http(Box::new(Webhook {
        endpoint: endpoint?,
        payload: payload?,
        headers: headers?,
        method: method?,
        timeout: timeout?,
    })))
}

fn endpoint(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Secret> {
    if let Some(node) = entry.map.get("endpoint").filter(|node| matches!(node.value, Value::Secret(_))) {
        return reader.secret(node, &entry.of("endpoint"));
    }
    let text = entry.needed(reader, "endpoint")?;
    let is_sound = authority(&text).is_some_and(is_http_authority);
    if !is_sound || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let node = entry.map.get("endpoint")?;
        // What it is instead is not repeated: it may be a secret in the wrong place.
        let message = format!("{} is no address of HTTP", entry.of("endpoint"));
        reader.report(
            Diagnostic::error(Code::BadValue, message)
                .at(node.span)
                .help("it begins with `http://` or `https://`, and a host follows")
                .formerly(WHEN_TOLD),
        );
        return None;
    }
    Some(Secret::new(text))
}

fn headers(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<Vec<(Arc<str>, Secret)>> {
    let Some(node) = entry.map.get("headers").filter(|node| truthy(node)) else { return Some(Vec::new()) };
    let map = reader.mapping(node, &entry.of("headers"))?;
    let mut headers = Vec::new();
    let mut sound = true;
    for (key, value) in &map.entries {
        let name = python::text(key);
        if !is_token(&name) {
            let message = format!("`{name}` in {} is no name of a header", entry.of("headers"));
            reader.report(Diagnostic::error(Code::BadValue, message).at(key.span));
            sound = false;
        }
        let what = format!("`{name}` in {}", entry.of("headers"));
        if let Value::Secret(secret) = &value.value {
            match reader.named_secret(secret, value, &what) {
                Some(secret) => headers.push((name.into(), secret)),
                None => sound = false,
            }
            continue;
        }
        let Some(text) = reader.required_text(value, &what) else {
            sound = false;
            continue;
        };
        if text.chars().any(|c| c.is_control() && c != '\t') {
            let message =
                format!("`{name}` in {} has a line end or another control character", entry.of("headers"));
            reader.report(Diagnostic::error(Code::BadValue, message).at(value.span));
            sound = false;
        }
        headers.push((name.into(), Secret::new(text)));
    }
    sound.then_some(headers)
}

/// A payload with all its faults told, as long as there is room.
fn payload(reader: &mut Reader<'_>, node: &Node, what: &str, room: &mut Room) -> Option<Payload> {
    if !room.take(reader, node.as_str().map_or(0, str::len)) {
        return None;
    }
    match &node.value {
        Value::Str(text) => Some(Payload::Text(format(reader, node, what, text.clone(), &PAYLOAD_NAMES)?)),
        Value::Seq(items) => {
            let items: Vec<_> = items.iter().map(|item| payload(reader, item, what, room)).collect();
            Some(Payload::List(items.into_iter().collect::<Option<_>>()?))
        }
        Value::Map(map) => {
            let entries: Vec<_> = map
                .entries
                .iter()
                .map(|(key, value)| Some((json_key(key), payload(reader, value, what, room)?)))
                .collect();
            Some(Payload::Map(entries.into_iter().collect::<Option<_>>()?))
        }
        _ => {
            let message = format!("{what} is made of strings, and this is {}", node.kind());
            reader.report(
                Diagnostic::error(Code::WrongType, message)
                    .at(node.span)
                    .help("put it in quotes")
                    .formerly(WHEN_TOLD),
            );
            None
        }
    }
}

/// What Python's `json` makes of a key.
fn json_key(key: &Node) -> Arc<str> {
    match &key.value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string().into(),
        _ => python::text(key).into(),
    }
}
