//! Arguments that several commands share.

use crate::report::Progress;
use crate::report::status::Output;
use maestro_core::plan::Limits;
use maestro_core::select::Selector;

/// Which instances a command means.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Selecting {
    /// Services or instances; all services if none is named
    #[arg(value_name = "thing")]
    pub(super) things: Vec<String>,
    /// Also what these need (what needs them, for stop, kill and restart)
    #[arg(short = 'd', long)]
    pub(super) with_dependencies: bool,
    /// Don't wait for dependencies; without names, don't include them either
    #[arg(short = 'i', long)]
    pub(super) ignore_dependencies: bool,
    /// Only instances whose name matches this shell pattern
    #[arg(short = 'C', long, value_name = "PATTERN")]
    pub(super) container_filter: Option<String>,
    /// Only instances on ships whose name matches this shell pattern
    #[arg(short = 'S', long, value_name = "PATTERN")]
    pub(super) ship_filter: Option<String>,
    /// At most this many instances at a time; 0 for no limit
    #[arg(short, long, value_name = "LIMIT", allow_negative_numbers = true)]
    pub(super) concurrency: Option<i64>,
}

impl Selecting {
    pub(super) fn selector(&self) -> Selector {
        Selector {
            things: self.things.clone(),
            with_dependencies: self.with_dependencies,
            ignore_dependencies: self.ignore_dependencies,
            instance_filter: self.container_filter.clone(),
            ship_filter: self.ship_filter.clone(),
        }
    }

    /// The limits of a run; none if `-c` is negative.
    pub(super) fn limits(&self) -> Option<Limits> {
        let units = usize::try_from(self.concurrency.unwrap_or(0)).ok()?;
        Some(Limits { units: (units > 0).then_some(units), ..Limits::default() })
    }
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
