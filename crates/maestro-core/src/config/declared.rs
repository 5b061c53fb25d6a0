//! `secrets:`: what secrets are called, and where their values come from; and whether every `!secret` is where one can be.
//!
//! Values are never read here (docs/design/0032).

use super::checks::words_of;
use super::fields::Reader;
use super::node::{Mapping, Node, Value};
use super::python;
use super::tree::Origins;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{DeclaredSecret, SecretSource};
use crate::names::SecretName;
use crate::source::{Origin, SourceMap, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const KEYS: [&str; 3] = ["env", "file", "command"];
const FORMS: &str = "write `{env: VARIABLE}`, `{file: PATH}` or `{command: [PROGRAM, ARGUMENT]}`";

/// Secrets that a file declares, and references to them that have been read.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// Also those of which something is wrong: their names are no further mistake.
    places: BTreeMap<Arc<str>, Span>,
    met: BTreeSet<Span>,
}

impl Declared {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.places.keys()
    }

    /// Notes that a reference has been read where it stands.
    pub(super) fn met(&mut self, node: &Node) {
        self.met.insert(node.span);
    }
}

/// Reads the section. To be called before anything that may refer to it.
pub(super) fn read(reader: &mut Reader<'_>, root: &Mapping) -> BTreeMap<SecretName, DeclaredSecret> {
    let mut secrets = BTreeMap::new();
    let Some(map) = root.get("secrets").and_then(|node| reader.mapping(node, "`secrets`")) else {
        return secrets;
    };
    for (key, node) in &map.entries {
        let name: Arc<str> = python::text(key).into();
        reader.declared.places.insert(name.clone(), key.span);
        if let Some(source) = source(reader, node, &format!("secret `{name}`")) {
            secrets.insert(SecretName::new(name), DeclaredSecret { source, place: Arc::default() });
        }
    }
    secrets
}

fn source(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<SecretSource> {
    let Value::Map(map) = &node.value else {
        // What it is instead is not repeated: it may be the value.
        let message = format!("{what} must say where its value comes from, and is {}", node.kind());
        reader.report(Diagnostic::error(Code::WrongType, message).at(node.span).help(FORMS));
        return None;
    };
    reader.check_keys(map, &KEYS, what, &[]);
    let given: Vec<_> = KEYS.iter().filter_map(|key| Some((*key, map.get(key)?))).collect();
    let [(key, value)] = given[..] else {
        let message = format!("{what} must have one source, and has {}", given.len());
        let code = if given.is_empty() { Code::MissingKey } else { Code::Conflict };
        reader.report(Diagnostic::error(code, message).at(node.span).help(FORMS));
        return None;
    };
    let what = format!("`{key}` of {what}");
    if key == "command" {
        let words = words_of(reader, value, &what)?;
        if words.first().is_some_and(String::is_empty) {
            let message = format!("{what} has an empty text where its program is to be");
            reader.report(Diagnostic::error(Code::BadValue, message).at(value.span));
            return None;
        }
        return Some(SecretSource::Command(words.to_vec()));
    }
    let text = reader.required_text(value, &what)?;
    if text.is_empty() || text.contains('\0') || key == "env" && text.contains('=') {
        let kind = if key == "env" { "variable" } else { "file" };
        reader.report(Diagnostic::error(Code::BadValue, format!("{what} names no {kind}")).at(value.span));
        return None;
    }
    Some(if key == "env" { SecretSource::Env(text.into()) } else { SecretSource::File(text.into()) })
}

/// Complains of references that nobody reads: what is to be kept elsewhere must not become a text by accident.
pub(super) fn check(reader: &mut Reader<'_>, root: &Node) {
    // What could not be read may have had them where they belong.
    if reader.diagnostics.has_errors() {
        return;
    }
    let mut seen = BTreeSet::new();
    let mut lost = BTreeMap::new();
    visit(root, &mut seen, &mut lost);
    for (span, name) in lost {
        if reader.declared.met.contains(&span) {
            continue;
        }
        let message = format!("secret `{name}` cannot be used here");
        reader.report(Diagnostic::error(Code::BadValue, message).at(span).note(
            "secrets are values of variables (`env:`), passwords of registries, of `ledger:` and of `http` checks (`auth:`), and \
             tokens, headers and endpoints of auditors",
        ));
    }
}

/// All references but for those below the author's own keys.
fn visit(node: &Node, seen: &mut BTreeSet<Span>, lost: &mut BTreeMap<Span, Arc<str>>) {
    match &node.value {
        Value::Secret(name) => _ = lost.insert(node.span, name.clone()),
        Value::Seq(_) | Value::Map(_) if !seen.insert(node.span) => {}
        Value::Seq(items) => items.iter().for_each(|item| visit(item, seen, lost)),
        Value::Map(map) => {
            for (key, value) in &map.entries {
                visit(key, seen, lost);
                if !key.as_str().is_some_and(|key| key.starts_with("x-") || key.starts_with(['.', '_'])) {
                    visit(value, seen, lost);
                }
            }
        }
        _ => {}
    }
}

/// Notes where each is declared, as people look for it.
pub(super) fn place(
    secrets: &mut BTreeMap<SecretName, DeclaredSecret>,
    declared: &Declared,
    origins: &Origins,
    map: &SourceMap,
) {
    for (name, secret) in secrets {
        let Some(span) = declared.places.get(name.as_str()).map(|span| origins.place(*span)) else {
            continue;
        };
        let Some(source) = map.get(span.source) else { continue };
        let line = map.position(span).filter(|_| source.origin == Origin::File).map(|at| at.line);
        secret.place = match line {
            Some(line) => format!("{}:{line}", source.name).into(),
            None => source.name.as_str().into(),
        };
    }
}
