//! Arguments that several commands share.

use crate::report::Progress;
use crate::report::status::Output;
use maestro_core::names::ServiceName;
use maestro_core::plan::Limits;
use maestro_core::select::Selector;
use std::collections::BTreeSet;
use std::num::IntErrorKind;

/// Which instances a command means.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Selecting {
    /// Services or instances; all services if none is named
    #[arg(value_name = "thing", allow_negative_numbers = true)]
    pub(super) things: Vec<String>,
    /// Also what these need (what needs them, for stop, kill and restart)
    #[arg(short = 'd', long)]
    pub(super) with_dependencies: bool,
    /// Don't wait for dependencies; without names, don't include them either
    #[arg(short = 'i', long)]
    pub(super) ignore_dependencies: bool,
    /// Only instances whose name matches this shell pattern
    #[arg(short = 'C', long, value_name = "PATTERN", allow_negative_numbers = true)]
    pub(super) container_filter: Option<String>,
    /// Only instances on ships whose name matches this shell pattern
    #[arg(short = 'S', long, value_name = "PATTERN", allow_negative_numbers = true)]
    pub(super) ship_filter: Option<String>,
    /// At most this many instances at a time; 0 for no limit
    #[arg(short, long, value_name = "LIMIT", allow_negative_numbers = true, value_parser = integer)]
    pub(super) concurrency: Option<i64>,
    /// As in a [`Selector`]: nobody types it.
    #[arg(skip)]
    pub(super) gone: BTreeSet<ServiceName>,
}

impl Selecting {
    pub(super) fn selector(&self) -> Selector {
        Selector {
            things: self.things.clone(),
            with_dependencies: self.with_dependencies,
            ignore_dependencies: self.ignore_dependencies,
            instance_filter: pattern(self.container_filter.as_ref()),
            ship_filter: pattern(self.ship_filter.as_ref()),
            gone: self.gone.clone(),
        }
    }

    /// What was selected once.
    pub(super) fn of(selector: &Selector, units: Option<usize>) -> Self {
        Self {
            things: selector.things.clone(),
            with_dependencies: selector.with_dependencies,
            ignore_dependencies: selector.ignore_dependencies,
            container_filter: selector.instance_filter.clone(),
            ship_filter: selector.ship_filter.clone(),
            concurrency: units.and_then(|units| i64::try_from(units).ok()),
            gone: selector.gone.clone(),
        }
    }

    /// The limits of a run; none if `-c` is negative.
    pub(super) fn limits(&self) -> Option<Limits> {
        let units = usize::try_from(self.concurrency.unwrap_or(0)).ok()?;
        Some(Limits { units: (units > 0).then_some(units), ..Limits::default() })
    }
}

/// The pattern of a filter; none if it is empty, which to maestro-ng is no filter: scripts say `-C "$ONLY"`.
pub(super) fn pattern(given: Option<&String>) -> Option<String> {
    given.filter(|pattern| !pattern.is_empty()).cloned()
}

/// An integer as Python reads it, which scripts may write as ` 8` or `1_000`. What is too large is as large as can be.
pub(super) fn integer(text: &str) -> Result<i64, std::num::ParseIntError> {
    let text = text.trim();
    let between_digits = |at: usize| {
        let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        is_digit(text.as_bytes().get(at.wrapping_sub(1))) && is_digit(text.as_bytes().get(at + 1))
    };
    let digits: String = text
        .char_indices()
        .filter(|(at, letter)| *letter != '_' || !between_digits(*at))
        .map(|(_, letter)| letter)
        .collect();
    digits.parse().or_else(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => Ok(i64::MAX),
        IntErrorKind::NegOverflow => Ok(i64::MIN),
        _ => Err(error),
    })
}

/// How far a command reaches that could stop everything.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Reaching {
    /// Names of services mean their instances; accepted for old scripts, this is always so
    #[arg(short = 's', long)]
    pub(super) expand_services: bool,
    /// Everything, without naming it
    #[arg(short = 'a', long)]
    pub(super) all: bool,
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Showing {
    /// How to show what happens
    #[arg(long, value_name = "HOW", env = "MAESTRO_PROGRESS", default_value = "auto")]
    progress: Progress,
    /// Form of the result: a table, a document at the end, an object per event, or the names of what was done
    #[arg(long, value_name = "FORM", default_value = "table")]
    output: Output,
}

impl Showing {
    /// The form that was asked for, where a plan is shown instead of a run.
    pub(super) fn form(self) -> Output {
        self.output
    }

    /// Whether one document says everything, at the end.
    pub(super) fn is_one_document(self) -> bool {
        matches!(self.progress(), Progress::Document(_))
    }

    /// For a second run of a command: of two documents, none could be read.
    pub(super) fn beside(self) -> Self {
        let progress = if self.is_one_document() { Progress::Quiet } else { self.progress };
        let output = if self.is_one_document() { Output::Table } else { self.output };
        Self { progress, output }
    }

    pub(super) fn progress(self) -> Progress {
        match self.output {
            Output::Table => self.progress,
            Output::Jsonl => Progress::Json,
            Output::Json | Output::Yaml | Output::Name => Progress::Document(self.output),
        }
    }
}

/// Form of what a reading command prints.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Printing {
    /// Form of the output
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub(super) output: Output,
}
