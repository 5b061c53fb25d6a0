//! Diagnostics as text, for the golden tests of this module: plain, and nobody's output format.

use crate::diagnostic::Diagnostics;
use crate::source::{LineColumn, Origin, SourceMap};
use std::fmt::Write as _;

/// Every diagnostic with its places as `name:line:column` and the text that they point at.
pub(super) fn show(diagnostics: &Diagnostics, map: &SourceMap) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics.iter() {
        writeln!(out, "{} {}", diagnostic.code, diagnostic.message).unwrap();
        for label in &diagnostic.labels {
            let source = map.get(label.span.source).unwrap();
            let position = map.position(label.span).unwrap();
            let rendered = if source.origin == Origin::Rendered { " (rendered)" } else { "" };
            let quoted = &source.text[label.span.start as usize..label.span.end as usize];
            let LineColumn { line, column } = position;
            write!(out, "  {}{rendered}:{line}:{column} {quoted:?}", source.name).unwrap();
            writeln!(
                out,
                "{}",
                if label.text.is_empty() { String::new() } else { format!(" {}", label.text) }
            )
            .unwrap();
        }
        for note in &diagnostic.notes {
            writeln!(out, "  note: {note}").unwrap();
        }
        for help in &diagnostic.help {
            writeln!(out, "  help: {help}").unwrap();
        }
    }
    out
}
