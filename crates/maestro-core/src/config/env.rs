//! `env` and `envfile`: maps, file names, and lists that mix them (specification, section 4.6).

use super::expansion::Counted;
use super::fields::{Reader, truthy};
use super::node::{Node, Value};
use super::{envfile, python};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{EnvValue, EnvVar};
use crate::source::{Hidden, Origin, SourceError, SourceKind, SourceText, Span};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a part counts as at least: it takes room even if it is small.
const LEAST_COUNT: u64 = 16;

/// Of a file that is no env file at all, every line is wrong.
const MOST_BAD_LINES: usize = 10;

/// Variables in the order of precedence. Parts that others have too are shared, not copied.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    parts: Vec<Arc<[EnvVar]>>,
    /// What follows the parts.
    last: Vec<EnvVar>,
}

impl Variables {
    /// After those of somebody else.
    pub(super) fn after(inherited: &[Arc<[EnvVar]>]) -> Self {
        Self { parts: inherited.to_vec(), last: Vec::new() }
    }

    pub(super) fn push(&mut self, var: EnvVar) {
        self.last.push(var);
    }

    fn share(&mut self, part: Arc<[EnvVar]>) {
        self.close();
        self.parts.push(part);
    }

    fn close(&mut self) {
        if !self.last.is_empty() {
            self.parts.push(std::mem::take(&mut self.last).into());
        }
    }

    pub(super) fn finish(mut self) -> Vec<Arc<[EnvVar]>> {
        self.close();
        self.parts
    }
}

/// How much these parts count.
pub(super) fn count(parts: &[Arc<[EnvVar]>]) -> u64 {
    parts.iter().map(|part| weight(part.len())).sum()
}

fn weight(length: usize) -> u64 {
    (length as u64).max(LEAST_COUNT)
}

/// Reads env sources; each file is read once, however many instances name it.
#[derive(Default)]
pub(super) struct EnvReader {
    files: BTreeMap<String, Option<Arc<[EnvVar]>>>,
}

impl EnvReader {
    /// The variables of one source, later ones win. Falsy sources are skipped.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, node: &Node, owner: &str, into: &mut Variables) {
        if !truthy(node) {
            return;
        }
        match &node.value {
            Value::Map(map) => {
                if reader.expand(Counted::Variables, weight(map.entries.len()), node.span) {
                    for (key, value) in &map.entries {
                        into.push(variable(reader, &python::text(key), value, owner));
                    }
                }
            }
            Value::Str(path) => {
                if let Some(vars) = self.file(reader, path, node, owner)
                    && reader.expand(Counted::Variables, weight(vars.len()), node.span)
                {
                    into.share(vars);
                }
            }
            Value::Seq(items) => {
                for item in items {
                    self.read(reader, item, owner, into);
                }
            }
            _ => {
                let message = format!(
                    "the environment of {owner} must be a mapping, the name of an env file, or a list of these, not {}",
                    node.kind()
                );
                reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
            }
        }
    }

    fn file(
        &mut self,
        reader: &mut Reader<'_>,
        path: &str,
        node: &Node,
        owner: &str,
    ) -> Option<Arc<[EnvVar]>> {
        if let Some(known) = self.files.get(path) {
            return known.clone();
        }
        let vars = read_file(reader, path, node, owner);
        self.files.insert(path.to_owned(), vars.clone());
        vars
    }
}

fn read_file(reader: &mut Reader<'_>, path: &str, node: &Node, owner: &str) -> Option<Arc<[EnvVar]>> {
    let name = reader.sources.display_name(SourceKind::EnvFile, path);
    let bytes = match reader.sources.read(SourceKind::EnvFile, path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let code = match error {
                SourceError::TooLarge { .. } => Code::TooLarge,
                SourceError::NotFound | SourceError::Other(_) => Code::Unreadable,
            };
            reader.report(
                Diagnostic::error(code, format!("env file `{name}` cannot be read: {error}"))
                    .label(node.span, format!("named by {owner}"))
                    .note("env files are looked up from the directory of the environment file"),
            );
            return None;
        }
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            reader.report(
                Diagnostic::error(Code::NotUtf8, format!("env file `{name}` is not UTF-8 (byte {offset})"))
                    .label(node.span, format!("named by {owner}")),
            );
            return None;
        }
    };
    let (vars, bad) = envfile::parse(&text);
    if bad.is_empty() {
        return Some(vars.into());
    }
    let source = reader.map.add(SourceText { name: name.clone(), origin: Origin::File, text: text.into() });
    let untold = bad.len().saturating_sub(MOST_BAD_LINES);
    for (number, line) in bad.iter().take(MOST_BAD_LINES).enumerate() {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let span = Span { source, start: offset(line.start), end: offset(line.end) };
        // A password behind a colon, a line of a key: nothing here is harmless for sure.
        reader.map.hide(Hidden { span, within: None });
        let mut error =
            Diagnostic::error(Code::BadEnvFile, format!("a line of env file `{name}` has no `=`"))
                .at(span)
                .help("write NAME=value, or `#` in the first column for a comment");
        if number + 1 == MOST_BAD_LINES && untold > 0 {
            let lines = if untold == 1 { "line has" } else { "lines have" };
            error = error.note(format!("{untold} more {lines} none"));
        }
        reader.report(error);
    }
    None
}

/// A variable from a YAML value: lists are joined with blanks, null means unset, anything else is as
/// Python prints it.
fn variable(reader: &mut Reader<'_>, name: &str, value: &Node, owner: &str) -> EnvVar {
    let name: Arc<str> = name.into();
    match &value.value {
        Value::Null => EnvVar { name, value: None },
        Value::Str(text) => EnvVar { name, value: Some(text.clone().into()) },
        Value::Secret(secret) => {
            let secret = reader.named_secret(secret, value, &format!("in variable `{name}` of {owner}"));
            EnvVar { name, value: secret.map(|secret| EnvValue::Secret(secret.into())) }
        }
        Value::Seq(items) => EnvVar::new(name, joined(items)),
        _ => EnvVar::new(name, python::text(value)),
    }
}

/// A list in a list is one word, if it is empty an empty one: `[a, [], b]` has two blanks.
fn joined(items: &[Arc<Node>]) -> String {
    let word = |item: &Arc<Node>| match &item.value {
        Value::Seq(inner) => joined(inner),
        _ => python::text(item),
    };
    items.iter().map(word).collect::<Vec<_>>().join(" ")
}
