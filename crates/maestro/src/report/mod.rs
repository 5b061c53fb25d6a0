//! Everything that shows something: tables, progress, errors, JSON. Besides `cli/`, the only place that prints.
//!
//! All text leaves through a [`Printer`], which knows whether a stream is a terminal, takes colour, or was closed.
//! What a run looks like is folded from its events by [`Rows`], which is pure; each reporter shows those rows in its
//! own way. Nothing here knows an engine, and nothing here decides.

pub mod balancers;
mod capabilities;
pub mod deptree;
pub mod diagnostics;
pub mod drift;
pub mod errors;
pub mod events;
pub mod findings;
mod grid;
mod json;
mod live;
pub mod logs;
mod looking;
pub mod paint;
mod plain;
pub mod plan;
pub mod releases;
pub mod printer;
mod problems;
mod quiet;
mod rows;
mod screen;
mod signs;
pub mod status;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
pub mod wire;

pub use capabilities::{Capabilities, ColorChoice, Surroundings};
pub use errors::ErrorReport;
pub use looking::Looking;
pub use printer::{Captured, Printer, Stream};
pub use problems::list;
pub use rows::{Row, RowState, Rows};
pub use text::{clean, crop, width};

use jiff::Timestamp;
use maestro_core::event::Reporter;
use status::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a run is shown while it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Progress {
    /// A live table on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// A live table
    Tty,
    /// A line for every change
    Plain,
    /// A JSON object per line for every event
    Json,
    /// Only errors and the summary
    Quiet,
    /// One document when the run is over: `--output json` and others.
    #[value(skip)]
    Document(Output),
}

/// Shows a run in the way asked for; times are those since the command began, which looks at the fleet first.
pub fn reporter(progress: Progress, printer: Printer, began: Instant) -> Box<dyn Reporter> {
    let clock = Clock::since(began);
    match progress {
        Progress::Auto if printer.capabilities().animate => Box::new(live::Live::new(printer, clock)),
        Progress::Tty => Box::new(live::Live::new(printer, clock)),
        Progress::Auto | Progress::Plain => Box::new(plain::Plain::new(printer, clock)),
        Progress::Json => Box::new(json::Lines::new(printer, clock)),
        Progress::Document(output) => Box::new(json::Document::new(printer, clock, output)),
        Progress::Quiet => Box::new(quiet::Quiet::new(printer, clock)),
    }
}

/// What time it is: of the day for people, and since the command began for measuring.
#[derive(Clone)]
struct Clock {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    fn since(began: Instant) -> Self {
        Self { now: Arc::new(Timestamp::now), elapsed: Arc::new(move || began.elapsed()) }
    }

    fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Time since the command began.
    fn elapsed(&self) -> Duration {
        (self.elapsed)()
    }

    /// When the command began.
    fn began(&self) -> Timestamp {
        let now = self.now();
        now.checked_sub(self.elapsed()).unwrap_or(now)
    }
}
