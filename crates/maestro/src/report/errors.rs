//! Errors as people read them: what, why, and what to do.
//!
//! ```text
//! ERROR: web-1: ship atlantic: creating container web-1: host down: tcp://192.0.2.1:2375: connection refused
//!   cause: ...
//!   hint: is the host up, is the engine running, and does it listen on that address?
//! ```
//!
//! The first line stands alone, as maestro-ng's does, so that `grep ERROR` finds all that scripts need.

use super::paint::{Paint, Tone};
use super::printer::{Printer, Stream};
use super::text::{broken, clean, width};
use maestro_core::engine_error::EngineError;
use maestro_core::event::Failure;
use maestro_core::model::Excess;
use std::error::Error;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Something that was wanted did not happen.
    #[default]
    Error,
    /// Somebody should look.
    Warning,
}

/// One error, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorReport {
    /// How bad it is.
    pub level: Level,
    /// What happened, and to what.
    pub what: String,
    /// Why, the nearest cause first.
    pub causes: Vec<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
}

impl ErrorReport {
    /// An error that says this.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// An error and everything that it was caused by.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut report = Self::new(error.to_string());
        let mut source = error.source();
        // A chain that refers to itself would never end.
        while let Some(cause) = source.filter(|_| report.causes.len() < 16) {
            let text = cause.to_string();
            // Errors that only pass on another say the same.
            if report.causes.last().unwrap_or(&report.what) != &text {
                report.causes.push(text);
            }
            source = cause.source();
        }
        report
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(self) -> Self {
        Self { level: Level::Warning, ..self }
    }

    /// The same with something else worth knowing.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The same with something to do about it.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// The same about something: `web-1: ...`.
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.what = format!("{subject}: {}", self.what);
        self
    }

    /// As text, without a line end behind it; broken between words where a terminal has only so many columns.
    pub fn render(&self, paint: Paint, columns: Option<usize>) -> String {
        let (word, tone) = match self.level {
            Level::Error => ("ERROR", Tone::Bad),
            Level::Warning => ("WARNING", Tone::Warn),
        };
        let mut text = String::new();
        paint.push(&mut text, tone, word);
        push_lines(&mut text, &self.what, width(word), "  ", columns);
        let parts = [("cause", &self.causes), ("note", &self.notes), ("hint", &self.hints)];
        for (label, parts) in parts {
            for part in parts {
                text.push_str("\n  ");
                paint.push(&mut text, Tone::Calm, label);
                push_lines(&mut text, part, 2 + width(label), "    ", columns);
            }
        }
        text
    }

    /// Says it on standard error.
    pub fn print(&self, printer: &Printer) {
        // In a pipe a line stays whole, for `grep`.
        let columns = printer.capabilities().err_is_tty.then(|| printer.note_columns());
        printer.talk(&self.render(printer.paint(Stream::Err), columns));
    }
}

/// Appends `: ` and the lines of a text, all but the first indented, none of them able to steer the terminal. The first
/// line has `used` cells already.
fn push_lines(text: &mut String, part: &str, used: usize, indent: &str, columns: Option<usize>) {
    text.push_str(": ");
    let mut used = used + 2;
    for (at, line) in part.trim_end().lines().enumerate() {
        if at > 0 {
            text.push('\n');
            text.push_str(indent);
            used = width(indent);
        }
        let line = clean(line);
        let cells = columns.unwrap_or(usize::MAX);
        for (at, piece) in broken(&line, cells.saturating_sub(used), cells.saturating_sub(width(indent))) {
            if at > 0 {
                text.push('\n');
                text.push_str(indent);
            }
            text.push_str(piece);
        }
    }
}

impl ErrorReport {
    /// What an engine said, for a text that says elsewhere which ship it is.
    pub(super) fn on_a_ship(error: &EngineError) -> Self {
        let mut report = Self::from(error);
        report.what = format!("{}: {}", error.operation, error.kind);
        report
    }
}

impl From<&EngineError> for ErrorReport {
    fn from(error: &EngineError) -> Self {
        let mut report = Self::of(error);
        report.hints.extend(error.kind.hint());
        if error.ambiguous {
            report = report.note("the engine may have done it although it did not say so");
        }
        report
    }
}

impl From<&Failure> for ErrorReport {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Engine(error) => Self::from(error),
            Failure::Check(_)
            | Failure::NotReached { .. }
            | Failure::NotKept { .. }
            | Failure::Hook { .. }
            | Failure::Interrupted
            | Failure::Internal(_) => Self::of(failure),
            Failure::Unbalanced(_) => Self::of(failure)
                .note("what was served before is still served")
                .hint("`maestro balancers` shows what every front end serves"),
            Failure::Fenced(_) => {
                Self::of(failure).note("nothing is changed without it, for somebody else may be at work")
            }
        }
    }
}

impl From<&Excess> for ErrorReport {
    fn from(excess: &Excess) -> Self {
        Self::new(excess.to_string()).note(excess.cause()).hint(excess.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_core::engine_error::EngineErrorKind;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the environment")]
    struct Outer(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Transparent(#[from] Outer);

    fn plain(report: &ErrorReport) -> String {
        report.render(Paint::new(false), None)
    }

    #[test]
    fn a_chain_is_told_once() {
        let error = Transparent(Outer(io::Error::other("disk\non \x1b[31mfire")));
        let report = ErrorReport::of(&error).hint("call the fire brigade").about("web");
        insta::assert_snapshot!(plain(&report), @r"
        ERROR: web: cannot read the environment
          cause: disk
            on ␛[31mfire
          hint: call the fire brigade
        ");
    }

    #[test]
    fn engine_errors_bring_their_hints() {
        let error = EngineError {
            ship: "atlantic".into(),
            operation: "creating container web-1".into(),
            kind: EngineErrorKind::unauthorized("no basic auth credentials"),
            ambiguous: true,
        };
        insta::assert_snapshot!(plain(&ErrorReport::from(&Failure::Engine(error)).about("web-1")), @r"
        ERROR: web-1: ship atlantic: creating container web-1: no basic auth credentials
          note: the engine may have done it although it did not say so
          hint: check the login below `registries:`, or run `docker login` for that registry on this machine
        ");
    }

    #[test]
    fn terminals_break_lines_between_words() {
        let report = ErrorReport::new("ship atlantic: looking at its containers: no answer within 5 s")
            .note("two lines\nof somebody else's output, the second of which is long")
            .hint("look at the engine's log on that host; `timeout:` of the ship sets how long to wait");
        insta::assert_snapshot!(report.render(Paint::new(false), Some(40)), @"
        ERROR: ship atlantic: looking at its
          containers: no answer within 5 s
          note: two lines
            of somebody else's output, the
            second of which is long
          hint: look at the engine's log on that
            host; `timeout:` of the ship sets
            how long to wait
        ");
        let (printer, captured) = Printer::captured(crate::report::Capabilities::plain(40));
        report.print(&printer);
        assert_eq!(captured.stderr(), plain(&report) + "\n", "a pipe gets whole lines");
    }

    #[test]
    fn only_terminals_get_colour() {
        let report = ErrorReport::new("x").hint("y");
        assert_eq!(
            report.render(Paint::new(true), None),
            "\x1b[1m\x1b[31mERROR\x1b[0m: x\n  \x1b[36mhint\x1b[0m: y"
        );
        assert_eq!(report.warning().render(Paint::new(false), None), "WARNING: x\n  hint: y");
    }
}
