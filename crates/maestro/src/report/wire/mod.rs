//! What machines read: the types of `--output json|jsonl|yaml` and `--progress json`.
//!
//! Names and meanings here are a promise; the domain types that they are made from are not. A field is never renamed
//! or given another meaning, only added. Times of the day are RFC 3339 in UTC, durations are whole milliseconds in fields
//! whose names end in `_ms`, ids of containers and images are complete. What is unknown is `null`.

mod balancers;
mod deptree;
mod diagnostic;
mod drift;
mod dump;
mod error;
mod findings;
mod lines;
mod plan;
mod releases;
mod run;
mod status;

pub use balancers::{BalancerEntry, EndpointEntry, FrontEndEntry};
pub use deptree::ServiceNeeds;
pub use diagnostic::{Diagnostic, Diagnostics, Label};
pub use drift::{Change, DriftEntry};
pub use dump::{Dump, InstanceDump};
pub use error::Error;
pub use findings::{Examined, Found, FoundAt};
pub use lines::{EventEntry, LogEntry};
pub use plan::{Container, Fate, Item, Plan, Step};
pub use releases::{DifferenceEntry, ReleaseEntry, ReleasedService};
pub use run::{Body, Instance, Line, Outcome, Pull, Retry, Run, ShipTime, Skip, Summary};
pub use status::{Port, State, StatusEntry};

use super::status::Output;
use serde::Serialize;
use std::time::Duration;

/// A list in a form that machines read, with a line end behind it.
pub fn list<T: Serialize>(output: Output, entries: &[T]) -> String {
    match output {
        Output::Jsonl => entries.iter().map(line).collect(),
        Output::Yaml => yaml(&entries),
        Output::Json | Output::Table | Output::Name => document(&entries),
    }
}

/// One document in a form that machines read, with a line end behind it.
pub fn one<T: Serialize>(output: Output, value: &T) -> String {
    match output {
        Output::Jsonl => line(value),
        Output::Yaml => yaml(value),
        Output::Json | Output::Table | Output::Name => document(value),
    }
}

/// Indented JSON.
pub fn document<T: Serialize>(value: &T) -> String {
    finish(serde_json::to_string_pretty(value))
}

/// JSON on one line.
pub fn line<T: Serialize>(value: &T) -> String {
    finish(serde_json::to_string(value))
}

fn finish(json: serde_json::Result<String>) -> String {
    // Only maps with keys that are no strings, and writers, can fail; wire types have neither.
    json.map_or_else(|error| format!("{{\"bug\":\"{error}\"}}\n"), |text| text + "\n")
}

fn yaml<T: Serialize>(value: &T) -> String {
    let mut text =
        serde_saphyr::to_string(value).unwrap_or_else(|error| format!("# a bug in Maestro: {error}\n"));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_core::config::{Limits, yaml};
    use maestro_core::diagnostic::Diagnostics;
    use maestro_core::source::SourceId;
    use proptest::prelude::*;

    /// What Maestro's own reader, which resolves scalars as PyYAML does, makes of a text that was written as YAML;
    /// none if it is no text any more.
    fn read_back(text: &str) -> Option<String> {
        let written = list(Output::Yaml, &[text]);
        let mut faults = Diagnostics::default();
        let tree = yaml::parse(SourceId(0), &written, &Limits::default(), &mut faults)?;
        tree.as_seq()?.first()?.as_str().map(str::to_owned)
    }

    #[test]
    fn yaml_keeps_texts_texts() {
        let tricky = [
            "no",
            "y",
            "on",
            "1e3",
            "1.5e+3",
            "0644",
            "22:22",
            "190:20:30",
            "~",
            "",
            " x ",
            "a: b",
            "- x",
            "# x",
            "a #b",
            "2026-11-21",
            "<<",
            "=",
            "!x",
            "0x1f",
            "0b1",
            "1_000",
            ".inf",
            ".nan",
            "null",
            "True",
            "'",
            "\"",
            "%",
            "@a",
            "`",
            "a\nb",
            "|",
            ">",
            "---",
            "...",
            "?",
            "? x",
            "[a",
            "{a",
            "*a",
            "&a",
            "a\t",
            "0123456789012",
            "12e45678",
        ];
        for text in tricky {
            assert_eq!(read_back(text).as_deref(), Some(text), "{}", list(Output::Yaml, &[text]));
        }
    }

    proptest! {
        #[test]
        fn yaml_keeps_any_printable_text(text in "[ -~äß東\n]{0,30}") {
            prop_assert_eq!(read_back(&text), Some(text));
        }
    }
}
