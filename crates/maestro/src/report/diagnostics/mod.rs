//! Faults of an environment file, shown to its author: code, message, the place in the text, and what to do.

mod excerpt;

use super::paint::{Paint, Tone};
use super::printer::{Printer, Stream};
use super::text::clean;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
pub(super) use excerpt::Lines;
use excerpt::{Excerpt, Mark};
use maestro_core::diagnostic::{Diagnostic, Diagnostics, Label, Severity};
use maestro_core::source::{Origin, SourceMap, SourceText};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// So many are shown with their text; nobody reads more.
const MOST: usize = 40;

/// Labels that are so many lines apart are shown in one piece.
const NEAR: usize = 5;

/// Why a line does not look as it does in the file.
const MASKED: &str =
    "`…` stands for what may be secret: passwords and the like, and what a template's expressions gave";

/// Says on standard error all that is to be said about an environment, and how much that was.
pub fn print(printer: &Printer, diagnostics: &Diagnostics, sources: &SourceMap) {
    if !diagnostics.is_empty() {
        let columns = printer.capabilities().columns;
        printer.talk(render(diagnostics, sources, columns, printer.paint(Stream::Err)).trim_end());
    }
}

/// All that is to be said, as text. Of thousands the first are shown, errors before warnings, and notes last.
pub fn render(diagnostics: &Diagnostics, sources: &SourceMap, columns: usize, paint: Paint) -> String {
    let renderer = if paint.is_on() { Renderer::styled().hyperlink(false) } else { Renderer::plain() };
    let renderer = renderer.term_width(columns);
    let lines: BTreeMap<_, _> = sources.iter().map(|(id, source)| (id, Lines::of(&source.text))).collect();
    let shown: Vec<&Diagnostic> = if diagnostics.len() > MOST {
        let of = |severity| diagnostics.iter().filter(move |d| d.severity == severity);
        let order = of(Severity::Error).chain(of(Severity::Warning)).chain(of(Severity::Note));
        order.take(MOST).collect()
    } else {
        diagnostics.iter().collect()
    };
    let mut text = String::new();
    for diagnostic in &shown {
        let view = View { sources, lines: &lines };
        text.push_str(&view.render(diagnostic, &renderer));
        text.push_str("\n\n");
    }
    let untold = diagnostics.len() - shown.len();
    if untold > 0 {
        _ = write!(text, "... and {untold} more\n\n");
    }
    let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if (errors, warnings) == (0, 0) {
        return text;
    }
    let counted = match (errors, warnings) {
        (0, warnings) => plural(warnings, "warning"),
        (errors, 0) => plural(errors, "error"),
        (errors, warnings) => format!("{} and {}", plural(errors, "error"), plural(warnings, "warning")),
    };
    let file =
        sources.iter().next().map_or_else(String::new, |(_, source)| format!("{}: ", clean(&source.name)));
    // The line that scripts written for maestro-ng look for.
    if errors > 0 {
        paint.push(&mut text, Tone::Bad, "ERROR");
    } else {
        paint.push(&mut text, Tone::Warn, "WARNING");
    }
    _ = writeln!(text, ": {file}{counted}");
    text
}

pub(crate) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Some lines with what is pointed at in them.
struct Piece {
    snippet: Snippet<'static, Annotation<'static>>,
    /// The place as the renderer will say it, and as it is.
    correction: Option<(String, String)>,
    /// Whether something is not shown.
    masked: bool,
}

struct View<'a> {
    sources: &'a SourceMap,
    lines: &'a BTreeMap<maestro_core::source::SourceId, Lines>,
}

impl View<'_> {
    fn render(&self, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(lines_of(&diagnostic.message)).id(diagnostic.code.id());
        let mut group = Group::with_title(title);
        let mut corrections = Vec::new();
        let mut masked = false;
        for piece in self.pieces(diagnostic) {
            group = group.element(piece.snippet);
            corrections.extend(piece.correction);
            masked |= piece.masked;
        }
        for note in &diagnostic.notes {
            group = group.element(Level::NOTE.message(lines_of(note)));
        }
        if let Some(note) = self.rendered_note(diagnostic) {
            group = group.element(Level::NOTE.message(note));
        }
        if masked {
            group = group.element(Level::NOTE.message(MASKED));
        }
        for help in &diagnostic.help {
            group = group.element(Level::HELP.message(lines_of(help)));
        }
        let text = renderer.render(&[group]);
        corrections.iter().fold(text, |text, (shown, meant)| text.replacen(shown, meant, 1))
    }

    /// The texts that a diagnostic points into: labels that are near each other share one.
    fn pieces(&self, diagnostic: &Diagnostic) -> Vec<Piece> {
        let mut clusters: Vec<Vec<(usize, &Label)>> = Vec::new();
        for (at, label) in diagnostic.labels.iter().enumerate() {
            let near = |other: &Label| {
                other.span.source == label.span.source
                    && self.line(other).zip(self.line(label)).is_some_and(|(a, b)| a.abs_diff(b) <= NEAR)
            };
            match clusters.iter_mut().find(|cluster| cluster.iter().any(|(_, other)| near(other))) {
                Some(cluster) => cluster.push((at, label)),
                None => clusters.push(vec![(at, label)]),
            }
        }
        clusters.iter().filter_map(|cluster| self.piece(cluster)).collect()
    }

    fn line(&self, label: &Label) -> Option<usize> {
        Some(self.lines.get(&label.span.source)?.line(label.span.start as usize))
    }

    fn piece(&self, cluster: &[(usize, &Label)]) -> Option<Piece> {
        let (_, first) = cluster.first()?;
        let source = self.sources.get(first.span.source)?;
        let lines = self.lines.get(&first.span.source)?;
        let marks: Vec<Mark> = cluster
            .iter()
            .map(|(_, label)| Mark { start: label.span.start as usize, end: label.span.end as usize })
            .collect();
        let hidden = self.sources.hidden(first.span.source);
        let excerpt = Excerpt::new(&source.text, lines, &marks, hidden);
        let mut snippet = Snippet::source(excerpt.text.clone()).line_start(excerpt.first_line);
        for ((at, label), span) in cluster.iter().zip(excerpt.marks.clone()) {
            let kind = if *at == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let text = (!label.text.is_empty()).then(|| clean(&label.text).into_owned());
            snippet = snippet.annotation(kind.span(span).label(text));
        }
        let path = path(source);
        // Of a long line the snippet has only a part, and the renderer counts columns in that.
        let position = lines.position(&source.text, first.span.start as usize);
        let shown = excerpt.column();
        let correction = (shown != position.column).then(|| {
            let place = |column| format!("{path}:{}:{column}", position.line);
            (place(shown), place(position.column))
        });
        Some(Piece { snippet: snippet.path(path), correction, masked: excerpt.masked })
    }

    fn rendered_note(&self, diagnostic: &Diagnostic) -> Option<String> {
        let source = self.sources.get(diagnostic.labels.first()?.span.source)?;
        (source.origin == Origin::Rendered).then(|| {
            format!(
                "this is a place in the rendered text of {}: what its template became",
                clean(&source.name)
            )
        })
    }
}

fn path(source: &SourceText) -> String {
    match source.origin {
        Origin::File => clean(&source.name).into_owned(),
        Origin::Rendered => format!("{} (rendered)", clean(&source.name)),
    }
}

/// The text with its line ends, which the renderer indents, and nothing else that could steer the terminal.
fn lines_of(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
