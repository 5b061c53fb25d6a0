//! Taking values out of the YAML tree: what was expected, what stands there, and the diagnostic between them.

use super::declared::Declared;
use super::expansion::Expansion;
use super::limits::Limits;
use super::node::{Mapping, Node, Value};
use super::patterns::Patterns;
use super::python;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use crate::image;
use crate::names::{Secret, SecretName};
use crate::source::{SourceMap, Sources, Span};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A century, in seconds: no pause of a deployment is longer, and times that far ahead still fit a clock.
const CENTURY: f64 = 3.2e9;

/// Looking for a name takes time in proportion to the number of names, and there may be as many names to look for.
const MOST_SUGGESTIONS: usize = 50;

/// What every part of the reader needs: where texts come from, and where complaints go.
pub(super) struct Reader<'a> {
    pub(super) sources: &'a dyn Sources,
    pub(super) diagnostics: Diagnostics,
    pub(super) map: SourceMap,
    pub(super) expansion: Expansion,
    pub(super) patterns: Patterns,
    /// For how many more diagnostics a name is looked for among all names of the file.
    suggestions_left: usize,
    /// Secrets that are declared.
    pub(super) declared: Declared,
    /// What has been said about places that many instances share.
    said: BTreeSet<(Code, Span)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        sources: &'a dyn Sources,
        diagnostics: Diagnostics,
        map: SourceMap,
        limits: &Limits,
    ) -> Self {
        Self {
            sources,
            diagnostics,
            map,
            expansion: Expansion::new(limits),
            patterns: Patterns::new(limits),
            suggestions_left: MOST_SUGGESTIONS,
            declared: Declared::default(),
            said: BTreeSet::new(),
        }
    }
}

impl Reader<'_> {
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// "Did you mean", from among names of which a file may have thousands; not for more diagnostics than anybody reads.
    pub(super) fn suggest<'n>(
        &mut self,
        diagnostic: Diagnostic,
        given: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Diagnostic {
        let Some(left) = self.suggestions_left.checked_sub(1) else { return diagnostic };
        self.suggestions_left = left;
        diagnostic.suggest(given, known)
    }

    /// Whether a fault that only shows with an instance has not shown with another one at the same place.
    pub(super) fn is_news(&mut self, code: Code, place: Span) -> bool {
        self.said.insert((code, place))
    }

    fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        self.declared.met(node);
        self.report(
            Diagnostic::error(Code::WrongType, format!("{what} must be {expected}, not {}", node.kind()))
                .at(node.span),
        );
    }

    /// A mapping; null counts as an empty one (Q-70).
    pub(super) fn mapping<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Mapping> {
        match &node.value {
            Value::Map(map) => Some(map),
            Value::Null => None,
            _ => {
                self.wrong_type(node, what, "a mapping");
                None
            }
        }
    }

    /// Warns of keys that nothing reads. Keys that begin with `x-`, `.` or `_` are the author's own.
    pub(super) fn check_keys(
        &mut self,
        map: &Mapping,
        known: &[&str],
        what: &str,
        elsewhere: &[(&[&str], &str)],
    ) {
        for (key, _) in &map.entries {
            if self.diagnostics.is_full(Severity::Warning) {
                return;
            }
            let text = python::text(key);
            if known.contains(&&*text) || text.starts_with("x-") || text.starts_with(['.', '_']) {
                continue;
            }
            let mut warning =
                Diagnostic::warning(Code::UnknownKey, format!("{what} has no key `{text}`; it is ignored"))
                    .at(key.span)
                    .suggest(&text, known.iter().copied());
            for (keys, owner) in elsewhere {
                if keys.contains(&&*text) {
                    warning = warning.note(format!("`{text}` is a key of {owner}"));
                }
            }
            self.report(warning);
        }
    }

    /// Any scalar as Python would print it; nothing for null, a complaint for lists and mappings.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match node.value {
            Value::Null => None,
            Value::Seq(_) | Value::Map(_) | Value::Binary(_) | Value::Secret(_) => {
                self.wrong_type(node, what, "a string");
                None
            }
            _ => Some(python::text(node)),
        }
    }

    /// A value that must be there: complains about null too.
    pub(super) fn required_text(&mut self, node: &Node, what: &str) -> Option<String> {
        if node.is_null() {
            self.wrong_type(node, what, "a string");
            return None;
        }
        self.text(node, what)
    }

    /// A text that may be kept elsewhere; nothing for null.
    pub(super) fn secret(&mut self, node: &Node, what: &str) -> Option<Secret> {
        match &node.value {
            Value::Secret(name) => self.named_secret(name, node, what),
            _ => self.text(node, what).map(Secret::new),
        }
    }

    /// A secret that has been declared; none after a complaint.
    pub(super) fn named_secret(&mut self, name: &Arc<str>, node: &Node, what: &str) -> Option<Secret> {
        self.declared.met(node);
        if self.declared.contains(name) {
            return Some(Secret::named(SecretName::new(name.clone())));
        }
        if self.is_news(Code::UnknownName, node.span) {
            let message = format!("secret `{name}`, {what}, is not declared");
            let known: Vec<String> = self.declared.names().map(ToString::to_string).collect();
            let error = Diagnostic::error(Code::UnknownName, message)
                .at(node.span)
                .note("secrets are declared below `secrets:`, such as `secrets: {NAME: {env: VARIABLE}}`");
            let error = self.suggest(error, name, known.iter().map(String::as_str));
            self.report(error);
        }
        None
    }

    /// One string or a list of them; null is none.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        match &node.value {
            Value::Null => Vec::new(),
            Value::Seq(items) => items
                .iter()
                .filter_map(|item| self.required_text(item, &format!("an item of {what}")))
                .collect(),
            _ => self.text(node, what).into_iter().collect(),
        }
    }

    /// One name or a list of them with their places; null is none.
    pub(super) fn names<'n>(&mut self, node: &'n Arc<Node>, what: &str) -> Vec<(String, &'n Arc<Node>)> {
        match &node.value {
            Value::Null => Vec::new(),
            Value::Seq(items) => items
                .iter()
                .filter_map(|item| Some((self.required_text(item, &format!("an item of {what}"))?, item)))
                .collect(),
            _ => self.text(node, what).map(|text| (text, node)).into_iter().collect(),
        }
    }

    /// An integer, or a string that is one.
    pub(super) fn integer(&mut self, node: &Node, what: &str) -> Option<i64> {
        let value = match &node.value {
            Value::Int(number) => i64::try_from(number.value).ok(),
            Value::Bool(value) => Some(i64::from(*value)),
            Value::Str(text) => text.trim().parse().ok(),
            Value::Float(number) => integral(number.value),
            _ => None,
        };
        if value.is_none() {
            self.wrong_type_or_value(node, what, "an integer");
        }
        value
    }

    /// The name of an image; none after a complaint.
    pub(super) fn image(&mut self, node: &Node, what: &str) -> Option<Arc<str>> {
        let text = self.required_text(node, what)?;
        let Err(fault) = image::check(&text) else { return Some(text.into()) };
        let error = Diagnostic::error(Code::BadValue, format!("{what} names no image: {fault}"))
            .at(node.span)
            .formerly("reads the file, and leaves the name to the engine");
        self.report(fault.help.into_iter().fold(error, Diagnostic::help));
        None
    }

    /// A port to connect to.
    pub(super) fn port(&mut self, node: &Node, what: &str) -> Option<u16> {
        let number = self.integer(node, what)?;
        let port = u16::try_from(number).ok().filter(|port| *port > 0);
        if port.is_none() {
            let message = format!("{what} must be from 1 to 65535, not {number}");
            self.report(Diagnostic::error(Code::BadValue, message).at(node.span));
        }
        port
    }

    fn wrong_type_or_value(&mut self, node: &Node, what: &str, expected: &str) {
        match &node.value {
            Value::Str(text) => {
                let message = format!("{what} must be {expected}, not `{text}`");
                self.report(Diagnostic::error(Code::BadValue, message).at(node.span));
            }
            Value::Int(number) => {
                let message = format!("{what} is out of range: {}", number.text);
                self.report(Diagnostic::error(Code::BadValue, message).at(node.span));
            }
            _ => self.wrong_type(node, what, expected),
        }
    }

    /// A number of seconds, not negative and less than a century.
    pub(super) fn seconds(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let value = match &node.value {
            #[expect(clippy::cast_precision_loss, reason = "seconds beyond 2^53 are refused below")]
            Value::Int(number) => Some(number.value as f64),
            Value::Float(number) => Some(number.value),
            Value::Str(text) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(value) = value else {
            self.wrong_type_or_value(node, what, "a number of seconds");
            return None;
        };
        if !(0.0..CENTURY).contains(&value) {
            let message =
                format!("{what} must be a number of seconds, from 0 to less than a century, not {value}");
            self.report(Diagnostic::error(Code::BadValue, message).at(node.span));
            return None;
        }
        Some(Duration::from_secs_f64(value))
    }

    /// A number of tries; null, zero and what is falsy mean the default, as in Python's `x or default`.
    pub(super) fn tries(&mut self, node: Option<&Arc<Node>>, what: &str, default: u32) -> u32 {
        let Some(node) = node.filter(|n| truthy(n)) else { return default };
        let Some(value) = self.integer(node, what) else { return default };
        u32::try_from(value).unwrap_or_else(|_| {
            let message = format!("{what} must be a number from 1 to {}, not {value}", u32::MAX);
            self.report(Diagnostic::error(Code::BadValue, message).at(node.span));
            default
        })
    }

    /// A mapping of texts to texts.
    pub(super) fn text_map(&mut self, node: &Node, what: &str) -> Vec<(String, String)> {
        let Some(map) = self.mapping(node, what) else { return Vec::new() };
        let mut pairs = Vec::new();
        for (key, value) in &map.entries {
            let key = python::text(key);
            if let Some(value) = self.required_text(value, &format!("`{key}` of {what}")) {
                pairs.push((key, value));
            }
        }
        pairs
    }

    /// A mapping that says by its `type` what it is, and that.
    pub(super) fn typed<'n>(&mut self, node: &'n Node, what: &str) -> Option<(&'n Mapping, &'n Arc<Node>)> {
        let Value::Map(map) = &node.value else {
            self.wrong_type(node, what, "a mapping");
            return None;
        };
        let kind = map.get("type");
        if kind.is_none() {
            self.missing(node, node, what, "type");
        }
        Some((map, kind?))
    }

    /// Complains of a word that is none of those known, which are `what`.
    pub(super) fn unknown_word(
        &mut self,
        place: &Node,
        message: String,
        word: &str,
        known: &[&str],
        what: &str,
    ) {
        self.report(
            Diagnostic::error(Code::BadValue, message)
                .at(place.span)
                .suggest(word, known.iter().copied())
                .note(format!("{what} are {}", known.join(", "))),
        );
    }

    /// Complains at a place that a value lacks a key, unless the key may be in a part of it that could not be read.
    pub(super) fn missing(&mut self, place: &Node, value: &Node, what: &str, key: &str) {
        if !self.diagnostics.is_gap(value.span) {
            self.report(Diagnostic::error(Code::MissingKey, format!("{what} has no `{key}`")).at(place.span));
        }
    }
}

/// A float that is an integer exactly.
#[expect(clippy::cast_possible_truncation, reason = "guarded by the range check")]
fn integral(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
}

/// Whether Python counts this as true: not null, false, zero, or empty.
pub(super) fn truthy(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Int(number) => number.value != 0,
        Value::Float(number) => number.value != 0.0,
        Value::Timestamp(_) | Value::Secret(_) => true,
        Value::Str(text) => !text.is_empty(),
        Value::Binary(bytes) => !bytes.is_empty(),
        Value::Seq(items) => !items.is_empty(),
        Value::Map(map) => !map.entries.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::golden::show;
    use crate::config::{Limits, load};
    use crate::source::MapSources;

    #[test]
    fn images_are_checked_where_they_stand() {
        let text = "name: t\nships: {a: {ip: 192.0.2.1}}\nservices:\n  s:\n    image: Shop/web\n    instances:\n      \
                    s-1: {ship: a, image: 'bb:1 '}\n      s-2: {ship: a}\n  u:\n    image: UPPER\n    instances: {}\n";
        let loaded = load(&MapSources::of(text), &Limits::default());
        insta::assert_snapshot!(show(&loaded.diagnostics, &loaded.sources), @r#"
        E0304 `image` of instance `s-1` names no image: it has blanks in it
          maestro.yaml:7:29 "'bb:1 '"
          help: write `bb:1`
        E0304 `image` of service `u` names no image: `UPPER` cannot be part of a repository's name
          maestro.yaml:10:12 "UPPER"
          help: names of repositories are in lower case; did you mean `upper`?
        "#);
    }
}
