//! The load stage up to the YAML tree: read, render, parse, and find the places in the files again.

use super::limits::Limits;
use super::node::Node;
use super::read::read;
use super::{template, yaml};
use crate::diagnostic::{Diagnostics, Label};
use crate::source::{Origin, SourceId, SourceKind, SourceMap, SourceText, Sources, Span};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use template::Segment;

/// What became of an environment file.
#[derive(Debug)]
pub struct Tree {
    /// The tree; `None` when the text could not be read to its end. With errors in the diagnostics it has gaps.
    pub root: Option<Arc<Node>>,
    /// Every text that was read, and the rendered one.
    pub map: SourceMap,
    /// What is wrong so far.
    pub diagnostics: Diagnostics,
    /// Where the rendered text came from; for [`place`].
    pub origins: Origins,
}

/// Which parts of the rendered text stand in a file just so.
#[derive(Debug, Default)]
pub struct Origins {
    rendered: Option<SourceId>,
    segments: Vec<Segment>,
}

/// Reads the environment file, renders it, parses it. Everything that is wrong is in the diagnostics.
pub fn tree(sources: &dyn Sources, limits: &Limits) -> Tree {
    let mut tree = Tree {
        root: None,
        map: SourceMap::default(),
        diagnostics: Diagnostics::default(),
        origins: Origins::default(),
    };
    let environment = match read(sources, SourceKind::Environment, "", limits, &mut tree.map) {
        Ok(environment) => environment,
        Err(unread) => {
            let name = sources.display_name(SourceKind::Environment, "");
            tree.diagnostics.push(unread.into_diagnostic(&name));
            return tree;
        }
    };
    let Some(file) = tree.map.get(environment).cloned() else { return tree };
    if !template::has_logic(&file.text) {
        // Rendering drops the last line end, which a block scalar at the end of the file shows.
        let text = file.text.strip_suffix('\n').unwrap_or(&file.text);
        tree.root = yaml::parse(environment, text, limits, &mut tree.diagnostics);
        return tree;
    }
    let rendered = match template::render(environment, sources, limits, &mut tree.map) {
        Ok(rendered) => rendered,
        Err(diagnostic) => {
            tree.diagnostics.push(diagnostic);
            return tree;
        }
    };
    let text: Arc<str> = Arc::from(rendered.text);
    let source =
        tree.map.add(SourceText { name: file.name, origin: Origin::Rendered, text: Arc::clone(&text) });
    tree.root = yaml::parse(source, &text, limits, &mut tree.diagnostics);
    tree.origins = Origins { rendered: Some(source), segments: rendered.segments };
    tree
}

/// Moves labels from the rendered text into the files, where what they point at stands there just so; what a
/// template computed keeps its place in the rendered text. To be called once, when all diagnostics are there.
///
/// Labels of the rendered text are cut off at the end of their first line: what begins in a file need not end there.
pub fn place(diagnostics: &mut Diagnostics, map: &SourceMap, origins: &Origins) {
    let Some(rendered) = origins.rendered else { return };
    let Some(text) = map.get(rendered).map(|source| &source.text) else { return };
    for diagnostic in diagnostics.iter_mut() {
        for label in &mut diagnostic.labels {
            if label.span.source == rendered {
                label.span = first_line(label.span, text);
            }
        }
        let placed: Vec<Span> = diagnostic.labels.iter().map(|label| origins.place(label.span)).collect();
        // Two rounds of a loop are one place in the file: then only the rendered text can tell them apart.
        if !collapses(&diagnostic.labels, &placed) {
            for (label, span) in diagnostic.labels.iter_mut().zip(placed) {
                label.span = span;
            }
        }
    }
}

fn collapses(labels: &[Label], placed: &[Span]) -> bool {
    let mut sources: BTreeMap<Span, Span> = BTreeMap::new();
    labels.iter().zip(placed).any(|(label, span)| *sources.entry(*span).or_insert(label.span) != label.span)
}

fn first_line(span: Span, text: &str) -> Span {
    let pointed = text.get(span.start as usize..span.end as usize).unwrap_or("");
    match pointed.find('\n') {
        Some(length) => Span { end: span.start + u32::try_from(length).unwrap_or(0), ..span },
        None => span,
    }
}

impl Origins {
    /// The rendered text, if anything was rendered.
    pub(super) fn rendered(&self) -> Option<SourceId> {
        self.rendered
    }

    /// What of the rendered text, which has so many bytes, stands in no file: the values of expressions.
    pub(super) fn computed(&self, length: usize) -> Vec<Range<u32>> {
        let mut gaps = Vec::new();
        let mut at = 0;
        for segment in &self.segments {
            gaps.push(at..segment.rendered);
            at = segment.rendered + segment.length;
        }
        gaps.push(at..u32::try_from(length).unwrap_or(u32::MAX));
        gaps.retain(|gap| gap.start < gap.end);
        gaps
    }

    /// The parts of a span that stand in files, as they stand there.
    pub(super) fn copies(&self, span: Span) -> impl Iterator<Item = Span> {
        let first = self.segments.partition_point(|segment| segment.rendered + segment.length <= span.start);
        let overlapping = self.segments.iter().skip(first).take_while(move |s| s.rendered < span.end);
        overlapping.filter(move |_| Some(span.source) == self.rendered).map(move |segment| {
            let start = span.start.max(segment.rendered);
            let end = span.end.min(segment.rendered + segment.length);
            let there = |at: u32| segment.start + (at - segment.rendered);
            Span { source: segment.source, start: there(start), end: there(end) }
        })
    }

    /// Where a span of the rendered text stands in a file; the same span if it does not.
    pub(super) fn place(&self, span: Span) -> Span {
        if Some(span.source) != self.rendered {
            return span;
        }
        let after = self.segments.partition_point(|segment| segment.rendered <= span.start);
        let Some(segment) = after.checked_sub(1).and_then(|i| self.segments.get(i)) else { return span };
        let end = segment.rendered + segment.length;
        if span.start > end || span.end > end {
            return span;
        }
        Span {
            source: segment.source,
            start: segment.start + (span.start - segment.rendered),
            end: segment.start + (span.end - segment.rendered),
        }
    }
}

#[cfg(test)]
mod tests;
