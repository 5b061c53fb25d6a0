//! From YAML text to a tree of [`Node`]s: granit reads the syntax, this module builds what `PyYAML`'s `SafeLoader`
//! would, with places, and reports every fault that does not make the rest unreadable.
//!
//! Knows nothing of what an environment file means. Its own additions to `PyYAML` are limits, `<<` merges together
//! with the duplicate key check, and anchors that are defined again (specification, section 2.2, Q-12).

mod collection;
mod key;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;

use super::limits::Limits;
use super::node::{Node, Value};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, nearest};
use crate::source::{SourceId, Span};
use collection::{Collection, Frame, Shape};
use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};
use scalar::Kind;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

const NAMESPACE: &str = "tag:yaml.org,2002:";
/// The one tag of our own: what stands behind it is the name of a secret.
const SECRET: &str = "!secret";

/// Builds the tree of one YAML document. `None` when the text cannot be read to its end; otherwise the tree, with
/// faulty parts replaced by something harmless, each of them reported.
pub fn parse(
    source: SourceId,
    text: &str,
    limits: &Limits,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Node>> {
    if let Some(diagnostic) = syntax::control_character(source, text) {
        diagnostics.push(diagnostic);
        return None;
    }
    let composer = Composer {
        source,
        text,
        limits,
        diagnostics,
        warnings: 0,
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        expanded: Weight::default(),
        root: None,
    };
    composer.run()
}

/// Why composing stopped; the diagnostic is already written.
struct Stop;

/// More errors than this in one file come from one cause.
const MOST_ERRORS: usize = 100;
/// More doubts than this help nobody.
const MOST_WARNINGS: usize = 20;

struct Composer<'a> {
    source: SourceId,
    text: &'a str,
    limits: &'a Limits,
    diagnostics: &'a mut Diagnostics,
    warnings: usize,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Anchor>,
    /// What there is so far, aliases counted as what they stand for.
    expanded: Weight,
    root: Option<Arc<Node>>,
}

struct Anchor {
    name: String,
    span: Span,
    /// Set when the anchored node is complete.
    node: Option<Built>,
}

/// How much a node stands for, aliases followed.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    nodes: u64,
    /// Bytes of its scalars.
    text: u64,
}

impl Weight {
    /// A single node with so much text.
    fn of(text: &str) -> Self {
        Self { nodes: 1, text: text.len() as u64 }
    }

    fn and(self, other: Self) -> Self {
        Self { nodes: self.nodes.saturating_add(other.nodes), text: self.text.saturating_add(other.text) }
    }
}

/// A finished node with what the limits need to know about it.
#[derive(Clone)]
struct Built {
    node: Arc<Node>,
    weight: Weight,
    /// How deep it nests, aliases followed; a scalar has 0.
    height: usize,
    /// Whether it is the plain scalar `<<`, which merges where it stands as a key.
    is_merge: bool,
}

impl Composer<'_> {
    fn run(mut self) -> Option<Arc<Node>> {
        let options = granit_parser::options! {
            emit_unresolved_aliases: true,
            emit_anchor_events: true,
            flow_nesting_limit: self.limits.depth + 1,
            block_nesting_limit: self.limits.depth + 1,
        };
        let most_errors = self.diagnostics.len() + MOST_ERRORS + MOST_WARNINGS;
        let mut documents = 0;
        // An anchor event follows the event of its node, so an anchored scalar waits for it here.
        let mut waiting: Option<(Built, usize)> = None;
        for event in Parser::new_from_str_with_options(self.text, options) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    let open = self.stack.iter().rev().find_map(|frame| frame.open_bracket(self.text));
                    let diagnostic = syntax::explain(self.source, self.text, &error, open, self.limits);
                    self.diagnostics.push(diagnostic);
                    return None;
                }
            };
            let at = self.span(&span);
            if let Event::Anchor(id, name) = event {
                self.anchor_name(&name, at);
                self.anchors.insert(id, Anchor { name: name.into_owned(), span: at, node: None });
                if let Some((built, id)) = waiting.take() {
                    self.complete(id, built, at.end);
                }
                continue;
            }
            match event {
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        self.diagnostics.push(syntax::second_document(at));
                        break;
                    }
                }
                Event::Scalar(value, style, anchor, tag) => {
                    let value = self.without_added_line_end(&value, style, at);
                    let at = self.without_blank_lines(at, style);
                    let weight = Weight::of(value);
                    self.count(at, weight).ok()?;
                    let built = self.scalar(value, style, tag.as_deref(), at, self.tag_span(&span));
                    let built = Built { weight, ..built };
                    if anchor == 0 {
                        self.attach(built, at.end);
                    } else {
                        waiting = Some((built, anchor));
                    }
                }
                Event::SequenceStart(style, anchor, tag) => {
                    self.open(Collection::Seq(Vec::new()), style, anchor, tag.as_deref(), &span).ok()?;
                }
                Event::MappingStart(style, anchor, tag) => {
                    self.open(Collection::Map(Box::default()), style, anchor, tag.as_deref(), &span).ok()?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(frame) = self.stack.pop() {
                        let end = if frame.style == StructureStyle::Flow { at.end } else { frame.end };
                        let anchor = frame.anchor;
                        let built = frame.finish(end, self.text, &mut *self.diagnostics);
                        self.complete(anchor, built, end);
                    }
                }
                Event::Alias(id) => {
                    let built = self.alias(id, at).ok()?;
                    self.attach(built, at.end);
                }
                Event::UnresolvedAlias(name) => {
                    self.count(at, Weight::of("")).ok()?;
                    self.unknown_alias(&name, at);
                    self.diagnostics.leave_gap(at);
                    self.attach(leaf(at, Value::Null), at.end);
                }
                _ => {}
            }
            if self.diagnostics.len() >= most_errors {
                self.diagnostics.push(
                    Diagnostic::error(Code::YamlSyntax, "too many errors; the rest of the file was not read")
                        .at(at),
                );
                return None;
            }
        }
        let start = Span { source: self.source, start: 0, end: 0 };
        Some(self.root.unwrap_or_else(|| Arc::new(Node { span: start, value: Value::Null })))
    }

    /// A finished node: what its anchor stands for, and part of what encloses it.
    fn complete(&mut self, anchor: usize, built: Built, end: u32) {
        if let Some(anchor) = self.anchors.get_mut(&anchor) {
            anchor.node = Some(built.clone());
        }
        self.attach(built, end);
    }

    fn attach(&mut self, built: Built, end: u32) {
        match self.stack.last_mut() {
            Some(frame) => frame.add(built, end, self.text, &mut *self.diagnostics),
            None => self.root = Some(built.node),
        }
    }

    fn open(
        &mut self,
        collection: Collection,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: &granit_parser::Span,
    ) -> Result<(), Stop> {
        let at = self.span(span);
        self.count(at, Weight::of(""))?;
        if self.stack.len() >= self.limits.depth {
            let depth = self.limits.depth;
            self.diagnostics.push(syntax::too_deep(depth, at));
            return Err(Stop);
        }
        let shape = match tag.map(|tag| self.tag(tag, at, self.tag_span(span))) {
            None => Shape::Plain,
            Some(tag) => self.shape(&collection, &tag),
        };
        self.stack.push(Frame::new(at, style, collection, shape, anchor));
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: Span,
        tag_at: Option<Span>,
    ) -> Built {
        let implicit = if style == ScalarStyle::Plain { scalar::resolve(text) } else { Kind::Str };
        let tag = tag.map(|tag| self.tag(tag, at, tag_at));
        let kind = match &tag {
            None => implicit,
            Some(tag) => match tag.standard.as_deref() {
                // A lone `!` asks for the rules of plain scalars, whatever the quotes: PyYAML's reading.
                Some("") => scalar::resolve(text),
                Some("null") => Kind::Null,
                Some("bool") => Kind::Bool,
                Some("int") => Kind::Int,
                Some("float") => Kind::Float,
                Some("timestamp") => Kind::Timestamp,
                Some("str") => Kind::Str,
                Some("binary") => return self.binary(text, at),
                Some("seq" | "map" | "set" | "omap" | "pairs") => {
                    self.unfit(tag, "a single value");
                    implicit
                }
                None if tag.written == SECRET => return self.secret(text, at),
                _ => {
                    self.unknown_tag(tag);
                    implicit
                }
            },
        };
        match kind {
            Kind::Merge => return Built { is_merge: true, ..leaf(at, Value::Str(Arc::from(text))) },
            Kind::DefaultValue => self.diagnostics.push(
                Diagnostic::error(Code::YamlUnsupported, "a plain `=` is not a value")
                    .at(at)
                    .note("YAML 1.1 reserves it; maestro-ng refuses it too")
                    .help("quote it: \"=\""),
            ),
            Kind::Int | Kind::Float if tag.is_none() && scalar::is_sexagesimal(text) => {
                self.sexagesimal(text, at);
            }
            _ => {}
        }
        match scalar::construct(kind, text) {
            Ok(value) => leaf(at, value),
            Err(why) => {
                let kind = match kind {
                    Kind::Bool => "boolean",
                    Kind::Int => "integer",
                    Kind::Float => "number",
                    _ => "date",
                };
                self.diagnostics.push(
                    Diagnostic::error(Code::BadValue, format!("`{}` is not a usable {kind}", excerpt(text)))
                        .label(at, why),
                );
                self.diagnostics.leave_gap(at);
                leaf(at, Value::Str(Arc::from(text)))
            }
        }
    }

    /// `!secret NAME`: a value that is kept elsewhere.
    fn secret(&mut self, name: &str, at: Span) -> Built {
        if name.trim().is_empty() {
            let error = Diagnostic::error(Code::BadValue, "`!secret` without the name of a secret");
            self.diagnostics.push(error.at(at).help("write `!secret NAME`, and declare it below `secrets:`"));
            self.diagnostics.leave_gap(at);
            return leaf(at, Value::Null);
        }
        leaf(at, Value::Secret(Arc::from(name.trim())))
    }

    fn binary(&mut self, text: &str, at: Span) -> Built {
        let bytes = scalar::binary(text);
        if bytes.is_none() {
            self.diagnostics.push(
                Diagnostic::error(Code::BadValue, "`!!binary` needs base 64 text")
                    .label(at, "not base 64, or its padding with `=` is missing"),
            );
            self.diagnostics.leave_gap(at);
        }
        leaf(at, Value::Binary(Arc::from(bytes.unwrap_or_default())))
    }

    fn sexagesimal(&mut self, text: &str, at: Span) {
        self.warnings += 1;
        if self.warnings > MOST_WARNINGS {
            return;
        }
        let value = match scalar::construct(scalar::resolve(text), text) {
            Ok(Value::Int(number)) => number.value.to_string(),
            Ok(Value::Float(number)) => super::python::float_repr(number.value),
            _ => return,
        };
        self.diagnostics.push(
            Diagnostic::warning(Code::Suspicious, format!("`{text}` is the number {value}"))
                .label(at, "YAML 1.1 reads digits with colons in base 60")
                .help(format!("quote it if it is not meant as a number: \"{text}\"")),
        );
    }

    fn alias(&mut self, id: usize, at: Span) -> Result<Built, Stop> {
        let Some(anchor) = self.anchors.get(&id) else {
            return Ok(leaf(at, Value::Null));
        };
        let Some(built) = anchor.node.clone() else {
            let diagnostic = Diagnostic::error(
                Code::YamlUnsupported,
                format!("`*{}` stands inside of what it stands for", anchor.name),
            )
            .label(at, "this would nest without an end")
            .label(anchor.span, "the anchor");
            self.diagnostics.push(diagnostic);
            self.diagnostics.leave_gap(at);
            return Ok(leaf(at, Value::Null));
        };
        if self.stack.len() + built.height > self.limits.depth {
            let diagnostic =
                syntax::too_deep(self.limits.depth, at).label(anchor.span, "with what this anchor holds");
            self.diagnostics.push(diagnostic);
            return Err(Stop);
        }
        self.count(at, built.weight)?;
        Ok(Built { is_merge: false, ..built })
    }

    /// YAML 1.2 allows nearly anything in names of anchors; `PyYAML` does not, so `&` was never the beginning of a text.
    fn anchor_name(&mut self, name: &str, at: Span) {
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            self.diagnostics.push(
                Diagnostic::error(Code::YamlSyntax, format!("`&{}` is no name of an anchor", excerpt(name)))
                    .label(at, "letters, digits, `-` and `_` can be in it")
                    .help("quote the value if it is meant to begin with `&`"),
            );
        }
    }

    fn unknown_alias(&mut self, name: &str, at: Span) {
        let mut diagnostic = Diagnostic::error(
            Code::YamlSyntax,
            format!("there is no anchor `&{}` before this alias", excerpt(name)),
        )
        .at(at);
        match nearest(name, self.anchors.values().map(|anchor| anchor.name.as_str())) {
            Some(known) => diagnostic = diagnostic.help(format!("did you mean `*{known}`?")),
            None => diagnostic = diagnostic.help("quote the value if it is meant to begin with `*`"),
        }
        self.diagnostics.push(diagnostic);
    }

    fn count(&mut self, at: Span, weight: Weight) -> Result<(), Stop> {
        self.expanded = self.expanded.and(weight);
        let Limits { nodes, text_bytes, .. } = *self.limits;
        let much = if self.expanded.nodes > nodes {
            format!("{nodes} values")
        } else if self.expanded.text > text_bytes {
            format!("{} MiB of text", text_bytes >> 20)
        } else {
            return Ok(());
        };
        self.diagnostics.push(
            Diagnostic::error(Code::TooLarge, format!("the file stands for more than {much}"))
                .label(at, "the limit is passed here, each alias counted as all that it stands for")
                .help("aliases of aliases multiply; merge what is shared with `<<` once, or write less"),
        );
        Err(Stop)
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let start = span.start.byte_offset().unwrap_or(0).min(self.text.len());
        let end = span.end.byte_offset().unwrap_or(start).clamp(start, self.text.len());
        syntax::span(self.source, start, end)
    }

    /// The parser ends the last line of a block scalar even where the text does not; `PyYAML` leaves it open.
    fn without_added_line_end<'v>(&self, value: &'v str, style: ScalarStyle, at: Span) -> &'v str {
        // A text may be one long line, and have many scalars.
        if !is_block(style) || at.end as usize != self.text.len() {
            return value;
        }
        let last_line = self.text.rsplit('\n').next().unwrap_or("");
        if last_line.trim().is_empty() { value } else { value.strip_suffix('\n').unwrap_or(value) }
    }

    /// A block scalar's span includes the empty lines after it, which nobody means by its place.
    fn without_blank_lines(&self, at: Span, style: ScalarStyle) -> Span {
        if !is_block(style) {
            return at;
        }
        let written = self.text.get(at.start as usize..at.end as usize).unwrap_or("");
        syntax::span(self.source, at.start as usize, at.start as usize + written.trim_end().len())
    }

    fn tag_span(&self, span: &granit_parser::Span) -> Option<Span> {
        span.tag_span().map(|span| self.span(&span))
    }

    fn tag(&self, tag: &Tag, at: Span, tag_at: Option<Span>) -> UsedTag {
        let span = tag_at.unwrap_or(at);
        let written = self.text.get(span.start as usize..span.end as usize).unwrap_or("!");
        let standard = if written == "!" {
            Some(String::new())
        } else {
            tag.suffix_in_namespace(NAMESPACE).map(Cow::into_owned)
        };
        UsedTag { standard, written: excerpt(written).into_owned(), span }
    }

    fn shape(&mut self, collection: &Collection, tag: &UsedTag) -> Shape {
        let is_seq = matches!(collection, Collection::Seq(_));
        match tag.standard.as_deref() {
            Some("") => Shape::Plain,
            Some("seq") if is_seq => Shape::Plain,
            Some("map") if !is_seq => Shape::Plain,
            Some("omap") if is_seq => Shape::OrderedMap,
            Some("pairs") if is_seq => Shape::Pairs,
            Some("set") if !is_seq => Shape::Set,
            Some(
                "null" | "bool" | "int" | "float" | "timestamp" | "str" | "binary" | "seq" | "map" | "omap"
                | "pairs" | "set",
            ) => {
                self.unfit(tag, if is_seq { "a list" } else { "a mapping" });
                Shape::Plain
            }
            None if tag.written == SECRET => {
                self.unfit(tag, if is_seq { "a list" } else { "a mapping" });
                Shape::Plain
            }
            _ => {
                self.unknown_tag(tag);
                Shape::Plain
            }
        }
    }

    fn unfit(&mut self, tag: &UsedTag, what: &str) {
        self.diagnostics.push(
            Diagnostic::error(
                Code::YamlUnsupported,
                format!("the tag `{}` does not fit {what}", tag.written),
            )
            .at(tag.span)
            .help("remove the tag"),
        );
    }

    fn unknown_tag(&mut self, tag: &UsedTag) {
        let diagnostic =
            Diagnostic::error(Code::YamlUnsupported, format!("the tag `{}` is not known", tag.written))
                .at(tag.span);
        self.diagnostics.push(if tag.standard.is_some() {
            diagnostic.note("of the tags of YAML, those for plain data work").help("remove the tag")
        } else {
            diagnostic.help("remove it, or quote the value if it is meant to begin with `!`")
        });
    }
}

/// A tag in use: its name if it is one of YAML's own (empty for a lone `!`), and how it was written.
struct UsedTag {
    standard: Option<String>,
    written: String,
    span: Span,
}

fn is_block(style: ScalarStyle) -> bool {
    matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
}

fn leaf(span: Span, value: Value) -> Built {
    Built { node: Arc::new(Node { span, value }), weight: Weight::of(""), height: 0, is_merge: false }
}

/// As much of a text as fits into a message.
fn excerpt(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or("");
    match line.char_indices().nth(LONGEST) {
        None if line.len() == text.len() => Cow::Borrowed(text),
        None => Cow::Owned(format!("{line}…")),
        Some((end, _)) => Cow::Owned(format!("{}…", &line[..end])),
    }
}
