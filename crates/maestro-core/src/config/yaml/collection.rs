//! Lists and mappings while they are being read: duplicate keys, `<<` merges, and the tags that reshape them.

use super::key::KeyId;
use super::{Built, Weight};
use crate::config::node::{Mapping, Node, Value};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Span;
use granit_parser::StructureStyle;
use std::collections::BTreeMap;
use std::sync::Arc;

type Entry = (Arc<Node>, Arc<Node>);

/// YAML's limit for keys before a colon, which the parser enforces, here for all: most keys are names, and those are
/// repeated wherever something is said about what bears them.
const LONGEST_KEY: usize = 1024;

/// What a tag makes of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing: a list is a list, a mapping a mapping.
    Plain,
    /// `!!omap`: a list of single pairs, read as one mapping.
    OrderedMap,
    /// `!!pairs`: a list of single pairs, read as a list of lists of two.
    Pairs,
    /// `!!set`: a mapping without values, read as the list of its keys.
    Set,
}

/// The items so far.
pub(super) enum Collection {
    Seq(Vec<Arc<Node>>),
    Map(Box<MapItems>),
}

/// The entries of a mapping so far.
#[derive(Default)]
pub(super) struct MapItems {
    entries: Vec<Entry>,
    /// Index into `entries` of each key.
    keys: BTreeMap<KeyId, usize>,
    pending: Pending,
    merge_key: Option<Span>,
    /// Entries to be merged, in the order in which Python would insert them.
    merged: Vec<Entry>,
    /// Whether there would have been more of them.
    has_gaps: bool,
    /// Entries with faulty keys.
    dropped: Vec<Entry>,
}

/// The key whose value comes next.
#[derive(Default)]
enum Pending {
    #[default]
    None,
    Key(Arc<Node>, KeyId),
    Merge,
    /// Its entry is dropped; the reason is reported.
    Faulty(Arc<Node>),
}

/// A collection that is open.
pub(super) struct Frame {
    span: Span,
    /// End of the last thing in it.
    pub(super) end: u32,
    pub(super) style: StructureStyle,
    pub(super) anchor: usize,
    collection: Collection,
    shape: Shape,
    weight: Weight,
    height: usize,
}

impl Frame {
    pub(super) fn new(
        span: Span,
        style: StructureStyle,
        collection: Collection,
        shape: Shape,
        anchor: usize,
    ) -> Self {
        Self { span, end: span.end, style, anchor, collection, shape, weight: Weight::of(""), height: 0 }
    }

    /// The bracket or brace that began it, if one did: a single pair within brackets has none of its own.
    pub(super) fn open_bracket(&self, text: &str) -> Option<Span> {
        let is_open = text.get(self.span.start as usize..)?.starts_with(['[', '{']);
        (is_open && self.style == StructureStyle::Flow)
            .then(|| Span { end: self.span.start + 1, ..self.span })
    }

    /// Adds an item, a key, or the value of the key that was added before. `end` is where it ends here, which is not
    /// the end of its node if it is an alias.
    pub(super) fn add(&mut self, built: Built, end: u32, text: &str, diagnostics: &mut Diagnostics) {
        self.end = self.end.max(end);
        self.weight = self.weight.and(built.weight);
        self.height = self.height.max(built.height);
        match &mut self.collection {
            Collection::Seq(items) => {
                if built.is_merge {
                    diagnostics.push(merge_as_value(built.node.span));
                }
                items.push(built.node);
            }
            Collection::Map(map) => match std::mem::take(&mut map.pending) {
                Pending::None => map.pending = map.key(built, text, diagnostics),
                Pending::Key(key, id) => {
                    if built.is_merge {
                        diagnostics.push(merge_as_value(built.node.span));
                    }
                    map.keys.insert(id, map.entries.len());
                    map.entries.push((key, built.node));
                }
                Pending::Merge => map.merge(&built.node, diagnostics),
                Pending::Faulty(key) => map.dropped.push((key, built.node)),
            },
        }
    }

    /// The finished node, which ends at `end`.
    pub(super) fn finish(self, end: u32, text: &str, diagnostics: &mut Diagnostics) -> Built {
        let span = Span { end: end.max(self.span.start), ..self.span };
        if matches!(&self.collection, Collection::Map(map) if map.has_gaps) {
            diagnostics.leave_gap(span);
        }
        let value = match (self.collection, self.shape) {
            (Collection::Seq(items), Shape::OrderedMap) => ordered_map(&items, text, diagnostics),
            (Collection::Seq(items), Shape::Pairs) => pairs(&items, diagnostics),
            (Collection::Seq(items), _) => Value::Seq(items),
            (Collection::Map(map), Shape::Set) => {
                Value::Seq(map.into_entries().into_iter().map(|(key, _)| key).collect())
            }
            (Collection::Map(mut map), _) => {
                let dropped = std::mem::take(&mut map.dropped);
                Value::Map(Mapping { dropped, entries: map.into_entries() })
            }
        };
        Built {
            node: Arc::new(Node { span, value }),
            weight: self.weight,
            height: self.height + 1,
            is_merge: false,
        }
    }
}

impl MapItems {
    fn key(&mut self, built: Built, text: &str, diagnostics: &mut Diagnostics) -> Pending {
        let key = built.node;
        if built.is_merge {
            if let Some(first) = self.merge_key.replace(key.span) {
                diagnostics.push(
                    Diagnostic::error(Code::DuplicateKey, "`<<` is written twice in this mapping")
                        .label(key.span, "written again here")
                        .label(first, "first written here")
                        .help("merge several mappings with a list: `<<: [*one, *two]`"),
                );
                return Pending::Faulty(key);
            }
            return Pending::Merge;
        }
        let Some(id) = KeyId::of(&key.value) else {
            diagnostics.push(
                Diagnostic::error(Code::YamlUnsupported, format!("{} cannot be a key", key.kind()))
                    .at(key.span)
                    .help("quote it if it is meant as text"),
            );
            return Pending::Faulty(key);
        };
        if let Some(length) = key.as_str().map(str::len).filter(|length| *length > LONGEST_KEY) {
            diagnostics.push(
                Diagnostic::error(
                    Code::YamlUnsupported,
                    format!("a key has {LONGEST_KEY} bytes at most, and this has {length}"),
                )
                .at(key.span),
            );
            return Pending::Faulty(key);
        }
        if let Some((first, _)) = self.keys.get(&id).and_then(|&index| self.entries.get(index)) {
            diagnostics.push(duplicate(first, &key, text));
            return Pending::Faulty(key);
        }
        Pending::Key(key, id)
    }

    /// Later mappings of a list are inserted first, so that the earlier ones win: `PyYAML`'s order.
    fn merge(&mut self, from: &Arc<Node>, diagnostics: &mut Diagnostics) {
        let sources = match &from.value {
            Value::Map(_) => std::slice::from_ref(from),
            Value::Seq(items) => items.as_slice(),
            _ => {
                diagnostics.push(not_mergeable(from));
                self.has_gaps = true;
                return;
            }
        };
        for source in sources.iter().rev() {
            self.has_gaps |= source.as_map().is_none() || diagnostics.is_gap(source.span);
            match source.as_map() {
                Some(map) => self.merged.extend(map.entries.iter().cloned()),
                None => diagnostics.push(not_mergeable(source)),
            }
        }
    }

    /// All entries: the merged ones first, each replaced by what was written here under the same key.
    fn into_entries(self) -> Vec<Entry> {
        if self.merged.is_empty() {
            return self.entries;
        }
        let mut index: BTreeMap<KeyId, usize> = BTreeMap::new();
        let mut entries: Vec<Entry> = Vec::with_capacity(self.merged.len() + self.entries.len());
        for entry in self.merged.into_iter().chain(self.entries) {
            let Some(id) = KeyId::of(&entry.0.value) else { continue };
            if let Some(slot) = index.get(&id).and_then(|&i| entries.get_mut(i)) {
                *slot = entry;
            } else {
                index.insert(id, entries.len());
                entries.push(entry);
            }
        }
        entries
    }
}

fn duplicate(first: &Node, again: &Node, text: &str) -> Diagnostic {
    let written = |node: &Node| {
        let written = text.get(node.span.start as usize..node.span.end as usize).unwrap_or("");
        super::excerpt(written).into_owned()
    };
    let (first_text, again_text) = (written(first), written(again));
    let same = first_text == again_text || matches!(first.value, Value::Str(_));
    let message = if same {
        format!("`{again_text}` is written twice in this mapping")
    } else {
        format!("`{again_text}` is the same key as `{first_text}`")
    };
    let diagnostic = Diagnostic::error(Code::DuplicateKey, message)
        .label(again.span, "written again here")
        .label(first.span, "first written here");
    if same {
        diagnostic.help("remove one of the two, or give it another name")
    } else {
        diagnostic
            .note(format!("unquoted, both stand for {}", crate::config::python::text(first)))
            .help("quote them to keep them apart")
    }
}

fn merge_as_value(span: Span) -> Diagnostic {
    Diagnostic::error(Code::YamlUnsupported, "a plain `<<` is not a value")
        .label(span, "it merges mappings, and stands as a key: `<<: *other`")
        .help("quote it: \"<<\"")
}

fn not_mergeable(node: &Node) -> Diagnostic {
    Diagnostic::error(Code::YamlUnsupported, format!("`<<` merges mappings, and this is {}", node.kind()))
        .at(node.span)
        .help("give it a mapping or a list of mappings, usually by alias: `<<: *defaults`")
}

fn single_pair<'a>(item: &'a Node, tag: &str, diagnostics: &mut Diagnostics) -> Option<&'a Entry> {
    if let Some(Mapping { entries, .. }) = item.as_map()
        && let [entry] = entries.as_slice()
    {
        return Some(entry);
    }
    diagnostics.push(
        Diagnostic::error(Code::YamlUnsupported, format!("`{tag}` needs a list of single pairs"))
            .label(item.span, format!("this is {}", item.kind()))
            .help("write each item as `- key: value`"),
    );
    None
}

fn ordered_map(items: &[Arc<Node>], text: &str, diagnostics: &mut Diagnostics) -> Value {
    let mut map = MapItems::default();
    for item in items {
        let Some((key, value)) = single_pair(item, "!!omap", diagnostics) else { continue };
        let key = Built { node: Arc::clone(key), weight: Weight::default(), height: 0, is_merge: false };
        match map.key(key, text, diagnostics) {
            Pending::Key(key, id) => {
                map.keys.insert(id, map.entries.len());
                map.entries.push((key, Arc::clone(value)));
            }
            Pending::Faulty(key) => map.dropped.push((key, Arc::clone(value))),
            Pending::None | Pending::Merge => {}
        }
    }
    Value::Map(Mapping { entries: map.entries, dropped: map.dropped })
}

fn pairs(items: &[Arc<Node>], diagnostics: &mut Diagnostics) -> Value {
    let pair = |item: &Arc<Node>| {
        let (key, value) = single_pair(item, "!!pairs", diagnostics)?;
        let value = Value::Seq(vec![Arc::clone(key), Arc::clone(value)]);
        Some(Arc::new(Node { span: item.span, value }))
    };
    Value::Seq(items.iter().filter_map(pair).collect())
}
