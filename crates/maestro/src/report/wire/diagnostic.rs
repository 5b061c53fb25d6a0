//! Faults of an environment file for machines.

use crate::report::diagnostics::Lines;
use crate::report::status::Output;
use maestro_core::diagnostic::{self, Severity};
use maestro_core::source::{Origin, SourceId, SourceMap};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `--output json` of `validate`: all that is to be said about an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// Whether the environment can be used.
    pub valid: bool,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings there are.
    pub warnings: usize,
    /// With `--compat`: how many of them are about something that maestro-ng does otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<usize>,
    /// All of them, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// One fault or doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// `error`, `warning` or, with `--compat`, `note`.
    pub severity: String,
    /// What kind of fault; stable, such as `E0202`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where; the first is the primary place. Empty where there is none.
    pub labels: Vec<Label>,
    /// Facts that explain it.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Vec<String>,
}

/// A place that a diagnostic points at. Lines and columns count from 1, columns in characters; the end is exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The file, as the user named it.
    pub file: String,
    /// Whether the place is in what the file's template became, not in the file.
    pub rendered: bool,
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character.
    pub column: usize,
    /// Line of the end.
    pub end_line: usize,
    /// Column of the end.
    pub end_column: usize,
    /// What is to be said about the place; may be empty.
    pub text: String,
}

impl Diagnostics {
    /// In a form that machines read: one document, a line for each fault, or their codes.
    pub fn text(&self, output: Output) -> String {
        match output {
            Output::Jsonl => super::list(output, &self.diagnostics),
            Output::Name => self.diagnostics.iter().fold(String::new(), |text, d| text + &d.code + "\n"),
            Output::Table | Output::Json | Output::Yaml => super::one(output, self),
        }
    }

    /// For texts of this map.
    pub fn new(diagnostics: &diagnostic::Diagnostics, sources: &SourceMap) -> Self {
        let lines = sources.iter().map(|(id, source)| (id, Lines::of(&source.text))).collect();
        let all: Vec<Diagnostic> = diagnostics.iter().map(|d| Diagnostic::new(d, sources, &lines)).collect();
        let of = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
        let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
        Self { valid: errors == 0, errors, warnings, changes: None, diagnostics: all }
    }

    /// The same with the number of those about something that maestro-ng does otherwise.
    #[must_use]
    pub fn compared(self, diagnostics: &diagnostic::Diagnostics) -> Self {
        Self { changes: Some(diagnostics.changes()), ..self }
    }
}

impl Diagnostic {
    fn new(
        diagnostic: &diagnostic::Diagnostic,
        sources: &SourceMap,
        lines: &BTreeMap<SourceId, Lines>,
    ) -> Self {
        Self {
            severity: match diagnostic.severity {
                Severity::Error => "error".into(),
                Severity::Warning => "warning".into(),
                Severity::Note => "note".into(),
            },
            code: diagnostic.code.id().into(),
            message: diagnostic.message.clone(),
            labels: diagnostic.labels.iter().filter_map(|l| Label::new(l, sources, lines)).collect(),
            notes: diagnostic.notes.clone(),
            help: diagnostic.help.clone(),
        }
    }
}

impl Label {
    fn new(
        label: &diagnostic::Label,
        sources: &SourceMap,
        lines: &BTreeMap<SourceId, Lines>,
    ) -> Option<Self> {
        let source = sources.get(label.span.source)?;
        let lines = lines.get(&label.span.source)?;
        let start = lines.position(&source.text, label.span.start as usize);
        let end = lines.position(&source.text, label.span.end as usize);
        Some(Self {
            file: source.name.clone(),
            rendered: source.origin == Origin::Rendered,
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            text: label.text.clone(),
        })
    }
}
