//! Why rendering stopped. One failure ends it; there is no sensible text to go on with.

use super::text::Exhausted;
use crate::diagnostic::{Code, Diagnostic, Label};
use crate::source::{SourceMap, Span};

/// The result of everything that a template can get wrong.
pub(super) type Res<T> = Result<T, Failure>;

/// A fault of a template. Boxed: it is returned through every expression and rarely there.
#[derive(Debug)]
pub(super) struct Failure(Box<Fault>);

#[derive(Debug)]
struct Fault {
    code: Code,
    message: String,
    at: Option<Span>,
    label: String,
    notes: Vec<String>,
    help: Vec<String>,
    /// The tags and calls that led there, innermost first.
    trail: Vec<Label>,
    /// A template that was asked for and does not exist.
    missing: bool,
    /// The expression that has no value.
    undefined: Option<Span>,
}

/// More than this of how one got there helps nobody.
const LONGEST_TRAIL: usize = 4;

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Fault {
            code,
            message: message.into(),
            at: None,
            label: String::new(),
            notes: Vec::new(),
            help: Vec::new(),
            trail: Vec::new(),
            missing: false,
            undefined: None,
        }))
    }

    /// An expression that means nothing, or fails for these values.
    pub(super) fn render(message: impl Into<String>) -> Self {
        Self::new(Code::TemplateRender, message)
    }

    /// More work, output or depth than any honest template needs.
    pub(super) fn runaway(message: impl Into<String>) -> Self {
        Self::new(Code::TemplateRunaway, message)
    }

    /// Something needs the value of an expression that has none.
    pub(super) fn undefined(expression: Span) -> Self {
        let mut failure = Self::render("");
        failure.0.undefined = Some(expression);
        failure
    }

    /// A template that does not exist, which `include … ignore missing` passes over.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        let mut failure = Self::render(message);
        failure.0.missing = true;
        failure
    }

    pub(super) fn is_missing(&self) -> bool {
        self.0.missing
    }

    /// Whether it is about work or memory.
    pub(super) fn is_runaway(&self) -> bool {
        self.0.code == Code::TemplateRunaway
    }

    /// Where it is, unless a more exact place is known.
    #[must_use]
    pub(super) fn at(mut self, span: Span) -> Self {
        self.0.at.get_or_insert(span);
        self
    }

    #[must_use]
    pub(super) fn label(mut self, text: impl Into<String>) -> Self {
        self.0.label = text.into();
        self
    }

    #[must_use]
    pub(super) fn note(mut self, text: impl Into<String>) -> Self {
        self.0.notes.push(text.into());
        self
    }

    #[must_use]
    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.0.help.push(text.into());
        self
    }

    /// Adds how one got there.
    #[must_use]
    pub(super) fn through(mut self, span: Span, text: &str) -> Self {
        if self.0.trail.len() < LONGEST_TRAIL && self.0.at != Some(span) {
            self.0.trail.push(Label { span, text: text.to_owned() });
        }
        self
    }

    pub(super) fn into_diagnostic(self, map: &SourceMap) -> Diagnostic {
        let mut fault = *self.0;
        let mut origin = None;
        if let Some(span) = fault.undefined {
            let written = map
                .get(span.source)
                .and_then(|source| source.text.get(span.start as usize..span.end as usize))
                .unwrap_or("it");
            let expression = written.split_whitespace().collect::<Vec<_>>().join(" ");
            fault.message = format!("`{expression}` is undefined");
            if let Some(variable) = environment_variable(&expression) {
                fault.help.push(format!(
                    "set the environment variable `{variable}`, or give a default: `env.get('{variable}', 'default')`"
                ));
            }
            match fault.at {
                Some(at) if !contains(at, span) => origin = Some(span),
                _ => fault.at = Some(span),
            }
        }
        let mut diagnostic = Diagnostic::error(fault.code, fault.message);
        if let Some(at) = fault.at {
            diagnostic = diagnostic.label(at, if origin.is_some() { "needed here" } else { &fault.label });
        }
        if let Some(origin) = origin {
            diagnostic = diagnostic.label(origin, "this has no value");
        }
        diagnostic.labels.extend(fault.trail);
        diagnostic.notes = fault.notes;
        diagnostic.help = fault.help;
        diagnostic
    }
}

fn contains(outer: Span, inner: Span) -> bool {
    outer.source == inner.source && outer.start <= inner.start && inner.end <= outer.end
}

/// The variable of `env.NAME` and `env['NAME']`.
fn environment_variable(expression: &str) -> Option<&str> {
    let rest = expression.strip_prefix("env")?;
    let name = match rest.strip_prefix('.') {
        Some(name) => name,
        None => rest.strip_prefix('[')?.strip_suffix(']')?.trim().trim_matches(['\'', '"']),
    };
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then_some(name)
}

impl From<Exhausted> for Failure {
    fn from(exhausted: Exhausted) -> Self {
        match exhausted {
            Exhausted::Steps => Self::runaway("the template does not come to an end")
                .note("it did more work than any environment needs")
                .help("look for a loop over too many items, or a recursion that does not stop"),
            Exhausted::Bytes => Self::runaway("the template takes too much memory")
                .help("look for a string or list that grows with each round of a loop"),
        }
    }
}
