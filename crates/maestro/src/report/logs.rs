//! Lines of containers' output: plain for one container, with coloured names for several, or as data.

use super::printer::{Printer, Stream};
use super::text::{clean, width};
use super::wire;
use anstyle::{AnsiColor, Style};
use maestro_core::boundary::{LogLine, LogStream};
use maestro_core::names::InstanceName;
use std::collections::BTreeMap;

/// Form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Form {
    /// For people to read
    #[default]
    #[value(alias = "table")]
    Text,
    /// A JSON object per line
    Jsonl,
}

/// Colours that can be told apart on light and dark ground, in the order in which names get them.
const COLORS: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightYellow,
    AnsiColor::BrightGreen,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// Writes lines of containers.
pub struct LogWriter {
    printer: Printer,
    form: Form,
    /// What stands before each container's lines; empty if there is only one container.
    prefixes: BTreeMap<InstanceName, String>,
}

impl LogWriter {
    /// For these containers.
    pub fn new(printer: Printer, form: Form, names: &[InstanceName]) -> Self {
        let mut prefixes = BTreeMap::new();
        if names.len() > 1 {
            let longest = names.iter().map(|name| width(name.as_str())).max().unwrap_or(0);
            let colored = printer.paint(Stream::Out).is_on();
            for (at, name) in names.iter().enumerate() {
                let padding = " ".repeat(longest - width(name.as_str()));
                let style = Style::new().fg_color(Some(COLORS[at % COLORS.len()].into()));
                let prefix = if colored {
                    format!("{style}{name}{padding} |{style:#} ")
                } else {
                    format!("{name}{padding} | ")
                };
                prefixes.insert(name.clone(), prefix);
            }
        }
        Self { printer, form, prefixes }
    }

    /// Writes one line.
    pub fn line(&mut self, name: &InstanceName, line: &LogLine) {
        match self.form {
            Form::Text => {
                let prefix = self.prefixes.get(name).map_or("", String::as_str);
                // Programs colour their output; on a terminal that is wanted, elsewhere it was their choice.
                self.printer.data(&format!("{prefix}{}\n", line.text.trim_end()));
            }
            Form::Jsonl => {
                let entry = wire::LogEntry {
                    instance: clean(name.as_str()).into_owned(),
                    at: line.at.map(|at| at.to_string()),
                    stream: match line.stream {
                        LogStream::Stdout => "stdout".to_owned(),
                        LogStream::Stderr => "stderr".to_owned(),
                    },
                    text: line.text.clone(),
                };
                self.printer.data(&wire::line(&entry));
            }
        }
    }
}
