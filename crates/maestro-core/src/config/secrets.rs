//! What of an environment file is nobody's business: passwords and the like, which neither messages nor `dump` show.
//!
//! Decision: docs/design/0012.

use super::node::{Node, Value};
use super::python;
use super::tree::Origins;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{Hidden, SourceId, SourceMap, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Keys below which keys are names that the author chose, and say nothing about what they hold.
const OF_NAMES: [&str; 9] =
    ["services", "instances", "registries", "ships", "ports", "volumes", "links", "ulimits", "extra_hosts"];

/// What the place of a value in the file says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Where every file begins: nothing is known yet, and `secrets:` is where secrets are declared.
    Root,
    /// Below `secrets:` of the root: names.
    Declarations,
    /// Where a secret comes from. Who writes a value in place of that shall not see it printed.
    Declaration,
    /// Nothing.
    Plain,
    /// Its keys are names.
    Names,
    /// Below `audit:`.
    Audit,
    /// Below `requests_options:`.
    Request,
    /// A path: what follows its `?` is secret.
    Path,
    /// A host: what stands before its `@` is secret.
    Host,
    /// The values of this mapping are secret, its keys are not.
    Values,
    /// All of it is secret.
    Secret,
}

impl Place {
    /// The place of what a key holds.
    pub(super) fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "secrets") => Self::Declarations,
            (Self::Declarations, _) => Self::Declaration,
            (Self::Declaration, "env" | "file" | "command") => Self::Plain,
            (Self::Declaration, _) => Self::Secret,
            (Self::Secret | Self::Values, _) => Self::Secret,
            (Self::Names, _) => Self::Plain,
            (Self::Audit, "endpoint") => Self::Secret,
            (Self::Audit, "payload") | (Self::Request, "params" | "data") | (_, "headers") => Self::Values,
            (_, "audit") => Self::Audit,
            (_, "requests_options") => Self::Request,
            (_, "path") => Self::Path,
            (_, "host") => Self::Host,
            (_, key) if OF_NAMES.contains(&key) => Self::Names,
            (_, key) if is_secret(key) => Self::Secret,
            (Self::Audit, _) => Self::Audit,
            (Self::Root | Self::Plain | Self::Request | Self::Path | Self::Host, _) => Self::Plain,
        }
    }

    /// Whether nothing of what stands here is shown.
    pub(super) fn is_secret(self, node: &Node) -> bool {
        match self {
            // What is called so is no secret.
            Self::Secret => !matches!(node.value, Value::Secret(_)),
            Self::Values | Self::Declarations | Self::Declaration => {
                !matches!(node.value, Value::Map(_) | Value::Secret(_))
            }
            Self::Root
            | Self::Plain
            | Self::Names
            | Self::Audit
            | Self::Request
            | Self::Path
            | Self::Host => false,
        }
    }
}

/// Parts of keys that hold secrets, whatever stands before or behind them, and with `-` or nothing for `_`.
const SECRET_PARTS: [&str; 8] =
    ["password", "passwd", "passphrase", "secret", "token", "credential", "api_key", "private_key"];

/// Words that mean something else within others: a compass, a bypass.
const SECRET_WORDS: [&str; 2] = ["pass", "pwd"];

/// Whether what a key of this name holds is secret.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    matches!(&*key, "auth" | "authorization")
        || SECRET_PARTS.iter().any(|part| key.contains(part) || key.contains(&part.replace('_', "")))
        || key.split('_').any(|word| SECRET_WORDS.contains(&word))
}

/// Notes what messages must not quote of all texts.
///
/// Of the rendered text that is everything that an expression gave, except to labels within the one value that it is
/// a part of; and everywhere it is the values of secret keys. Where there is no tree to find those in, it is what
/// follows something that looks like such a key.
pub(super) fn hide(map: &mut SourceMap, root: Option<&Arc<Node>>, origins: &Origins) {
    let rendered = origins.rendered().and_then(|id| Some((id, Arc::clone(&map.get(id)?.text))));
    let computed = rendered.as_ref().map(|(_, text)| origins.computed(text.len())).unwrap_or_default();
    // What the readers have found, where it stands in files.
    let found: Vec<Hidden> = rendered.iter().flat_map(|(id, _)| map.hidden(*id)).collect();
    for Hidden { span, within } in found {
        origins.copies(span).for_each(|span| map.hide(Hidden { span, within }));
    }
    let Some(root) = root else {
        if let Some((source, _)) = rendered {
            for Range { start, end } in computed {
                map.hide(Hidden { span: Span { source, start, end }, within: None });
            }
        }
        let texts: Vec<_> = map.iter().map(|(id, source)| (id, Arc::clone(&source.text))).collect();
        for (source, text) in texts {
            hide_by_line(map, source, &text);
        }
        return;
    };
    let mut found = Found::default();
    found.visit(root, Place::Root);
    for span in found.secrets {
        let span = without_colon(span, map);
        origins.copies(span).for_each(|span| map.hide(Hidden { span, within: None }));
        map.hide(Hidden { span, within: None });
    }
    for (span, place) in found.partly {
        let text = text_of(span, map);
        let offset = |at: usize| span.start + u32::try_from(at).unwrap_or(0);
        let span = match place {
            Place::Host => text.rfind('@').map(|at| Span { end: offset(at), ..span }),
            _ => text.find('?').map(|at| Span { start: offset(at + 1), ..span }),
        };
        let Some(span) = span else { continue };
        origins.copies(span).for_each(|span| map.hide(Hidden { span, within: None }));
        map.hide(Hidden { span, within: None });
    }
    let Some((source, _)) = rendered else { return };
    let scalars: Vec<Span> = found.scalars.into_iter().filter(|span| span.source == source).collect();
    for gap in computed {
        hide_computed(map, source, &gap, &scalars);
    }
}

/// What an expression gave, cut at the ends of the values that it is a part of.
fn hide_computed(map: &mut SourceMap, source: SourceId, gap: &Range<u32>, scalars: &[Span]) {
    let mut at = gap.start;
    let first = scalars.partition_point(|scalar| scalar.end <= gap.start);
    for scalar in scalars.iter().skip(first).take_while(|scalar| scalar.start < gap.end) {
        let (start, end) = (scalar.start.max(at), scalar.end.min(gap.end));
        if start < end {
            map.hide(Hidden { span: Span { source, start: at, end: start }, within: None });
            map.hide(Hidden { span: Span { source, start, end }, within: Some(*scalar) });
            at = end;
        }
    }
    map.hide(Hidden { span: Span { source, start: at, end: gap.end }, within: None });
}

/// What the tree says about its text.
#[derive(Debug, Default)]
struct Found {
    secrets: BTreeSet<Span>,
    /// Of these a part is secret.
    partly: BTreeSet<(Span, Place)>,
    /// In the order of the text.
    scalars: BTreeSet<Span>,
    /// Aliases share nodes: each is looked at once.
    seen: BTreeSet<(Span, Place)>,
}

impl Found {
    fn visit(&mut self, node: &Node, place: Place) {
        if !self.seen.insert((node.span, place)) {
            return;
        }
        if place.is_secret(node) {
            self.secrets.insert(node.span);
        }
        if matches!(place, Place::Path | Place::Host) && node.as_str().is_some() {
            self.partly.insert((node.span, place));
        }
        match &node.value {
            Value::Map(map) => {
                for (key, value) in map.entries.iter().chain(&map.dropped) {
                    self.visit(key, Place::Plain);
                    let place = place.below(&python::text(key));
                    self.visit(value, place);
                    // A tag or an anchor stands before its value. An alias stands elsewhere.
                    if place.is_secret(value)
                        && (key.span.source, key.span.end) <= (value.span.source, value.span.start)
                    {
                        self.secrets.insert(Span { start: key.span.end, ..value.span });
                    }
                }
            }
            Value::Seq(items) => items.iter().for_each(|item| self.visit(item, place)),
            _ => {
                self.scalars.insert(node.span);
            }
        }
    }
}

/// What stands behind a key without the colon; a value as it is.
fn without_colon(span: Span, map: &SourceMap) -> Span {
    let text = text_of(span, map);
    let value = text.trim_start().strip_prefix(':').map_or(text, str::trim_start);
    Span { start: span.start + u32::try_from(text.len() - value.len()).unwrap_or(0), ..span }
}

/// Without a tree: hides what follows a colon after something like `password`, and a list or a block of text below
/// such a key.
fn hide_by_line(map: &mut SourceMap, source: SourceId, text: &str) {
    let mut start = 0;
    // The indentation of a secret key whose value is below it, and whether that is a block of text.
    let mut open: Option<(usize, bool)> = None;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let indentation = content.len() - content.trim_start().len();
        let secret = match open {
            Some((key, true)) if content.is_empty() || indentation > key => Some(indentation),
            Some((key, false)) if content.is_empty() || indentation >= key && is_item(content) => {
                Some(indentation)
            }
            _ => {
                open = None;
                after_secret_key(content)
            }
        };
        if let Some(from) = secret {
            let at = |offset: usize| u32::try_from(start + offset).unwrap_or(u32::MAX);
            map.hide(Hidden { span: Span { source, start: at(from), end: at(content.len()) }, within: None });
            let value = content.get(from..).unwrap_or_default().trim();
            let is_block = value.starts_with(['|', '>']);
            if open.is_none() && (value.is_empty() || is_block) {
                open = Some((indentation, is_block));
            }
        }
        start += line.len();
    }
}

fn is_item(line: &str) -> bool {
    line.trim_start().starts_with('-')
}

/// Where in a line the value of a secret key begins.
fn after_secret_key(line: &str) -> Option<usize> {
    line.match_indices(':').map(|(colon, _)| colon).find_map(|colon| {
        let before = line.get(..colon)?.trim_end_matches([' ', '"', '\'']);
        let from = before.rfind(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')).map_or(0, |at| {
            at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        is_secret(before.get(from..)?).then_some(colon + 1)
    })
}

/// Takes what messages quote of secrets out of them. To be called before labels are moved.
pub(super) fn keep_out_of_messages(diagnostics: &mut Diagnostics, map: &SourceMap) {
    let secrets: BTreeMap<SourceId, Vec<Span>> =
        map.iter().map(|(id, _)| (id, secrets_of(map, id))).collect();
    // The first one that ends behind a place.
    let secret = |source: SourceId, at: u32| {
        let spans = secrets.get(&source)?;
        spans.get(spans.partition_point(|span| span.end <= at)).copied()
    };
    for diagnostic in diagnostics.iter_mut() {
        for label in diagnostic.labels.iter().map(|label| label.span).collect::<Vec<_>>() {
            let line = || line_of(label, map);
            let touches = |line: Span| secret(line.source, line.start).is_some_and(|s| s.start < line.end);
            if diagnostic.code == Code::YamlSyntax && touches(line()) {
                // The example is made of the line.
                for help in &mut diagnostic.help {
                    if let Some(at) = help.find(", as in `") {
                        help.truncate(at);
                    }
                }
            }
            let around = secret(label.source, label.start);
            if around.is_some_and(|secret| secret.start <= label.start && label.end <= secret.end) {
                unquote(diagnostic, text_of(label, map));
            }
        }
    }
}

/// What is not shown of a text for sure, in its order and without overlaps.
fn secrets_of(map: &SourceMap, id: SourceId) -> Vec<Span> {
    let mut spans: Vec<Span> = map.hidden(id).filter(|h| h.within.is_none()).map(|h| h.span).collect();
    spans.sort_unstable();
    spans.dedup_by(|next, span| {
        let overlap = next.start <= span.end;
        if overlap {
            span.end = span.end.max(next.end);
        }
        overlap
    });
    spans
}

/// Takes a text out of all that is said.
fn unquote(diagnostic: &mut Diagnostic, text: &str) {
    if diagnostic.help.iter().any(|help| help.starts_with("quote it if it is not meant as a number")) {
        // Says which number: as good as the text.
        "a number is not the one that it looks like".clone_into(&mut diagnostic.message);
    }
    let word = text.trim_matches(|c: char| !c.is_alphanumeric());
    let messages = std::iter::once(&mut diagnostic.message)
        .chain(&mut diagnostic.notes)
        .chain(&mut diagnostic.help)
        .chain(diagnostic.labels.iter_mut().map(|label| &mut label.text));
    for message in messages {
        for secret in [text, word] {
            if secret.chars().nth(1).is_some() && message.contains(secret) {
                *message = message.replace(secret, "…");
            }
        }
    }
}

fn text_of(span: Span, map: &SourceMap) -> &str {
    let source = map.get(span.source);
    source.and_then(|source| source.text.get(span.start as usize..span.end as usize)).unwrap_or_default()
}

/// The whole line that a span begins in.
fn line_of(span: Span, map: &SourceMap) -> Span {
    let Some(source) = map.get(span.source) else { return span };
    let (before, after) = source.text.split_at_checked(span.start as usize).unwrap_or((&source.text, ""));
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = before.len() + after.find('\n').unwrap_or(after.len());
    let small = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    Span { start: small(start), end: small(end), ..span }
}
