//! `status`, shown: maestro-ng's table, its full form, or data.

use super::grid::{Grid, Widest};
use super::paint::{Paint, Tone};
use super::printer::{Printer, Stream};
use super::rows::health;
use super::signs::Signs;
use super::table::{Columns, push_cell, push_result};
use super::text::{clean, right};
use super::{ErrorReport, list, wire};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::ContainerState;
use maestro_core::image::ImageRef;
use maestro_core::names::ShipName;
use maestro_core::status::{Found, PortStatus, Sighting, StatusRow};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The form of what a reading command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// For people to read
    #[default]
    #[value(alias = "text")]
    Table,
    /// One JSON document
    Json,
    /// A JSON object per line
    Jsonl,
    /// One YAML document
    Yaml,
    /// Names, one per line
    Name,
}

/// How the table looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Addresses of ships instead of their names.
    pub hosts: bool,
    /// With images and ports.
    pub full: bool,
}

/// Prints rows in the form asked for. Ships that could not be seen are explained on standard error, each once.
/// `at_work` says who is deploying.
pub fn print(printer: &Printer, rows: &[StatusRow], output: Output, look: Look, at_work: Option<&str>) {
    match output {
        Output::Table => {
            let (capabilities, paint) = (printer.capabilities(), printer.paint(Stream::Out));
            let columns = capabilities.columns;
            printer.data(&if capabilities.out_is_tty {
                fitted_table(rows, look, columns, Signs { paint, unicode: capabilities.unicode })
            } else {
                table(rows, look, columns, paint)
            });
        }
        Output::Json | Output::Jsonl | Output::Yaml => {
            let entries: Vec<_> = rows.iter().map(wire::StatusEntry::from).collect();
            printer.data(&wire::list(output, &entries));
        }
        Output::Name => {
            let names: Vec<&str> = rows.iter().map(|row| row.instance.as_str()).collect();
            printer.data(&names.iter().fold(String::new(), |text, name| text + name + "\n"));
        }
    }
    for (_, error) in ships_down(rows) {
        ErrorReport::from(error).warning().print(printer);
    }
    if let Some(at_work) = at_work {
        // What is there beside something is his.
        printer.talk(at_work);
        return;
    }
    let left: Vec<&str> =
        rows.iter().filter(|row| !row.left.is_empty()).map(|row| row.instance.as_str()).collect();
    if !left.is_empty() {
        ErrorReport::new("a deployment was broken off, and has left containers beside what they were to replace")
            .warning()
            .about(&list(&left))
            .hint("`maestro resume` goes on with it, `maestro abort` goes back; `maestro releases` says who began it")
            .hint("`maestro deploy` does what the file says now; `maestro plan deploy` shows how")
            .print(printer);
    }
}

fn ships_down(rows: &[StatusRow]) -> BTreeMap<&ShipName, &EngineError> {
    let down = rows.iter().filter_map(|row| match &row.found {
        Found::HostDown(error) => Some((&row.ship, error)),
        Found::Container(_) | Found::Absent | Found::Unknown => None,
    });
    down.collect()
}

/// The table on a terminal: as wide as its contents need, so that a narrow one shows more of it.
fn fitted_table(rows: &[StatusRow], look: Look, columns: usize, signs: Signs) -> String {
    let cells: Vec<String> = rows.iter().map(|row| cell(&row.found, &row.image)).collect();
    let mut widest = Widest::default();
    for (row, cell) in rows.iter().zip(&cells) {
        widest.add(row.instance.as_str(), row.service.as_str(), ship(row, look), cell);
    }
    let grid = Grid::new(widest, columns, signs);
    let mut text = grid.header("STATUS") + "\n";
    for (at, (row, cell)) in rows.iter().zip(&cells).enumerate() {
        let names = [row.instance.as_str(), row.service.as_str(), ship(row, look), cell];
        text.push_str(&grid.row(at + 1, names, false).open());
        push_status(&mut text, &row.found, signs.paint);
        push_left(&mut text, row, signs.paint);
        text.push('\n');
        if look.full {
            push_details(&mut text, row, signs.paint);
        }
    }
    text
}

fn ship(row: &StatusRow, look: Look) -> &str {
    if look.hosts { &row.address } else { row.ship.as_str() }
}

/// maestro-ng's table as text, for pipes.
pub(super) fn table(rows: &[StatusRow], look: Look, columns: usize, paint: Paint) -> String {
    let columns = Columns::of(columns);
    let mut text = columns.header();
    text.push('\n');
    for (at, row) in rows.iter().enumerate() {
        let (instance, service) = (row.instance.as_str(), row.service.as_str());
        text.push_str(&columns.prefix(at + 1, instance, service, ship(row, look), paint));
        let tone = match &row.found {
            Found::Container(seen) if seen.state.is_running() => Tone::Good,
            Found::Container(_) | Found::Absent | Found::HostDown(_) | Found::Unknown => Tone::Plain,
        };
        push_cell(&mut text, tone, &cell(&row.found, &row.image), paint);
        text.push(' ');
        push_status(&mut text, &row.found, paint);
        push_left(&mut text, row, paint);
        text.push('\n');
        if look.full {
            push_details(&mut text, row, paint);
        }
    }
    text
}

/// The CONTAINER column: tag and id.
fn cell(found: &Found, image: &ImageRef) -> String {
    match found {
        Found::Container(seen) => format!("{}:{}", seen.image.shown_version(), seen.id.short()),
        Found::Absent => format!("{}:-", image.shown_version()),
        Found::HostDown(_) | Found::Unknown => "-".to_owned(),
    }
}

fn push_status(line: &mut String, found: &Found, paint: Paint) {
    match found {
        Found::Container(seen) => {
            let since = seen.since.as_ref().map_or_else(String::new, |since| format!(" for {since}"));
            let (tone, word) =
                if seen.state.is_running() { (Tone::Good, "running") } else { (Tone::Bad, "down") };
            paint.push(line, tone, &format!("{word}{since}"));
            for remark in remarks(seen) {
                paint.push(line, Tone::Warn, &format!(" ({remark})"));
            }
        }
        Found::Absent => paint.push(line, Tone::Bad, "down"),
        Found::HostDown(error) => {
            push_result(line, Tone::Bad, "host down", paint);
            if let Some(remark) = remark_on_ship(&error.kind) {
                paint.push(line, Tone::Warn, &format!("({remark})"));
            }
        }
        Found::Unknown => push_result(line, Tone::Warn, "unknown", paint),
    }
}

/// What a deployment has left beside it.
fn push_left(line: &mut String, row: &StatusRow, paint: Paint) {
    for (name, state) in &row.left {
        paint.push(line, Tone::Warn, &format!(" ({}: {})", clean(name), state.name()));
    }
}

/// Where `host down` is not the whole truth.
fn remark_on_ship(kind: &EngineErrorKind) -> Option<&'static str> {
    Some(match kind {
        EngineErrorKind::Unresponsive { .. } => "no answer",
        EngineErrorKind::Tls { .. } => "TLS failed",
        EngineErrorKind::Ssh { .. } => "ssh failed",
        EngineErrorKind::Settings(_) => "not tried",
        EngineErrorKind::ApiVersion { .. } => "no common API version",
        EngineErrorKind::Lost(_) => "connection lost",
        EngineErrorKind::Unreachable { .. } => return None,
        _ => "error",
    })
}

/// What maestro-ng does not say, behind what it says, so that old scripts still find their words.
fn remarks(seen: &Sighting) -> Vec<String> {
    let mut remarks = Vec::new();
    match seen.state {
        ContainerState::Running | ContainerState::Exited => {}
        other => remarks.push(other.name().to_owned()),
    }
    if seen.state.is_running() {
        let health = health(seen.health).trim().trim_start_matches('(').trim_end_matches(')');
        if !health.is_empty() {
            remarks.push(health.to_owned());
        }
    }
    match seen.exit_code {
        Some(code) if code != 0 => remarks.push(format!("exit {code}")),
        _ => {}
    }
    match seen.restarts {
        Some(1) => remarks.push("restarted once".to_owned()),
        Some(times @ 2..) => remarks.push(format!("restarted {times} times")),
        _ => {}
    }
    if seen.foreign.is_some() {
        remarks.push("not ours".to_owned());
    }
    remarks
}

fn push_details(text: &mut String, row: &StatusRow, paint: Paint) {
    text.push_str("      ");
    text.push_str(&clean(row.image.as_str()));
    if let Found::Container(seen) = &row.found {
        let id = seen.image_id.as_str();
        let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
        // Writing to a String does not fail.
        _ = write!(text, "  ({})", clean(hex.get(..7).unwrap_or(hex)));
        if let Some(whose) = &seen.foreign {
            text.push_str("\n      ");
            paint.push(text, Tone::Warn, &format!("not ours: {}", clean(whose)));
        }
    }
    text.push('\n');
    for PortStatus { name, external, protocol, answers, .. } in &row.ports {
        let name = super::text::fit(&right(&clean(name), 15), 15);
        let external = format!("{}/{}", clean(external), protocol);
        _ = write!(text, "     >> {name}: {} is ", right(&external, 9));
        match answers {
            Some(true) => paint.push(text, Tone::Good, "up"),
            Some(false) => paint.push(text, Tone::Bad, "down"),
            None => text.push('-'),
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests;
