//! Sizes, resource limits and restart policies (specification, sections 4.11 and 4.12).

use super::fields::Reader;
use super::node::{Mapping, Node, Value};
use super::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{RestartPolicy, Ulimit};
use std::sync::Arc;

/// Resource limits of an instance.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) cpu: Option<i64>,
    pub(super) memory: Option<i64>,
    pub(super) swap: Option<i64>,
}

/// Reads `limits:`, whose keys win one by one over those of the service.
pub(super) fn read(
    reader: &mut Reader<'_>,
    inherited: Limits,
    node: Option<&Arc<Node>>,
    owner: &str,
) -> Limits {
    let mut limits = inherited;
    let what = format!("`limits` of {owner}");
    let Some(map) = node.and_then(|node| reader.mapping(node, &what)) else { return limits };
    reader.check_keys(map, &["cpu", "memory", "swap"], &what, &[]);
    if let Some(node) = map.get("cpu") {
        limits.cpu = if node.is_null() { None } else { reader.integer(node, &format!("`cpu` of {what}")) };
    }
    if let Some(node) = map.get("memory") {
        limits.memory = bytes(reader, node, &format!("`memory` of {what}"));
    }
    if let Some(node) = map.get("swap") {
        limits.swap = bytes(reader, node, &format!("`swap` of {what}"));
    }
    limits
}

/// Why a text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// The suffix is not one of `k`, `m`, `g`.
    #[error("the unit must be k, m or g")]
    Unit,
    /// What is before the suffix is no whole number.
    #[error("it must be a whole number, possibly with the unit k, m or g")]
    Number,
}

/// Reads `1024`, `64m`, `2G`: a number of bytes.
pub fn size(text: &str) -> Result<i64, SizeError> {
    let digits_end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(digits_end);
    let factor: i64 = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ if unit.starts_with('.') || digits.is_empty() => return Err(SizeError::Number),
        _ => return Err(SizeError::Unit),
    };
    digits.parse::<i64>().ok().and_then(|n| n.checked_mul(factor)).ok_or(SizeError::Number)
}

fn bytes(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<i64> {
    match &node.value {
        Value::Null => None,
        // As maestro-ng takes it.
        Value::Str(text) if text.is_empty() => None,
        Value::Str(text) => match size(text) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                reader.report(
                    Diagnostic::error(Code::BadValue, format!("{what} is `{text}`: {error}"))
                        .at(node.span)
                        .help("write 512m, 2g, or a number of bytes"),
                );
                None
            }
        },
        Value::Float(number) if number.value.fract() != 0.0 => {
            let message = format!("{what} must be a whole number of bytes, not {}", number.text);
            reader.report(
                Diagnostic::error(Code::WrongType, message)
                    .at(node.span)
                    .formerly("reads the file, and leaves the number to the engine"),
            );
            None
        }
        _ => reader.integer(node, what),
    }
}

/// Reads `ulimits:`.
pub(super) fn ulimits(reader: &mut Reader<'_>, node: &Node, owner: &str) -> Vec<Ulimit> {
    let what = format!("`ulimits` of {owner}");
    let Some(map) = reader.mapping(node, &what) else { return Vec::new() };
    let mut limits = Vec::new();
    for (key, value) in &map.entries {
        let name = python::text(key);
        let what = format!("ulimit `{name}` of {owner}");
        match &value.value {
            Value::Int(_) | Value::Bool(_) => {
                let limit = reader.integer(value, &what);
                limits.push(Ulimit { name, soft: limit, hard: limit });
            }
            Value::Map(sides) => {
                reader.check_keys(sides, &["soft", "hard", "Soft", "Hard"], &what, &[]);
                let soft = side(reader, sides, ["soft", "Soft"], &what);
                let hard = side(reader, sides, ["hard", "Hard"], &what);
                limits.push(Ulimit { name, soft, hard });
            }
            _ => {
                let message = format!("{what} is {} and is ignored", value.kind());
                reader.report(
                    Diagnostic::warning(Code::Suspicious, message)
                        .at(value.span)
                        .help("write a number, or {soft: 1024, hard: 2048}"),
                );
            }
        }
    }
    limits
}

fn side(reader: &mut Reader<'_>, map: &Mapping, keys: [&str; 2], what: &str) -> Option<i64> {
    let node = keys.into_iter().find_map(|key| map.get(key))?;
    if node.is_null() { None } else { reader.integer(node, &format!("`{}` of {what}", keys[0])) }
}

const POLICIES: [&str; 4] = ["no", "always", "on-failure", "unless-stopped"];

/// Reads `restart:`. Values that are neither a string nor a mapping mean `no`, as in maestro-ng: YAML 1.1 reads a
/// plain `no` as a boolean.
pub(super) fn restart(reader: &mut Reader<'_>, node: &Node, owner: &str) -> RestartPolicy {
    let what = format!("`restart` of {owner}");
    let (name, retries) = match &node.value {
        Value::Str(text) => match text.split_once(':') {
            None => (text.to_string(), 0),
            Some((name, retries)) => match retries.trim().parse() {
                Ok(retries) => (name.to_owned(), retries),
                Err(_) => {
                    bad_policy(reader, node, &format!("{what} has no number of retries after the colon"));
                    return RestartPolicy::default();
                }
            },
        },
        Value::Map(map) => {
            if let Some((key, _)) =
                map.entries.iter().find(|(k, _)| !matches!(k.as_str(), Some("name" | "retries")))
            {
                let message = format!("{what} has no key `{}`", python::text(key));
                reader.report(
                    Diagnostic::error(Code::BadValue, message)
                        .at(key.span)
                        .help("the keys are `name` and `retries`"),
                );
                return RestartPolicy::default();
            }
            let name = map.get("name").and_then(|n| reader.text(n, &what)).unwrap_or_else(|| "no".to_owned());
            let retries = map.get("retries").and_then(|n| reader.integer(n, &format!("`retries` of {what}")));
            (name, retries.unwrap_or(0))
        }
        _ => return RestartPolicy::default(),
    };
    // `{name: no}` is a boolean to YAML 1.1, and Python prints it as `False`.
    let name = if name == "False" { "no".to_owned() } else { name };
    if !POLICIES.contains(&name.as_str()) {
        let message = format!("{what} is `{name}`, which is no restart policy");
        reader.unknown_word(node, message, &name, &POLICIES, "the policies");
    }
    RestartPolicy { name: name.into(), retries }
}

fn bad_policy(reader: &mut Reader<'_>, node: &Node, message: &str) {
    reader.report(
        Diagnostic::error(Code::BadValue, message)
            .at(node.span)
            .help("write on-failure:3 or {name: on-failure, retries: 3}"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        for (text, bytes) in
            [("0", 0), ("1024", 1024), ("64m", 67_108_864), ("128M", 134_217_728), ("2g", 2 << 30)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, error) in [
            ("10mb", SizeError::Unit),
            ("1t", SizeError::Unit),
            ("1.5g", SizeError::Number),
            ("", SizeError::Number),
            ("m", SizeError::Number),
            ("-1", SizeError::Number),
            ("99999999999g", SizeError::Number),
        ] {
            assert_eq!(size(text), Err(error), "{text}");
        }
    }
}
