//! `drift`, shown: what is not as the file says, in a table or as data.

use super::errors::ErrorReport;
use super::paint::{Paint, Tone};
use super::printer::{Printer, Stream};
use super::status::Output;
use super::text::{clean, crop, pad, width};
use super::wire;
use maestro_core::drift::{Drift, Verdict};
use maestro_core::engine_error::EngineError;
use maestro_core::names::ShipName;
use std::collections::BTreeMap;

/// What stands for nothing.
const NOTHING: &str = "-";

/// How wide a value may be on a terminal at least.
const LEAST: usize = 16;

/// Prints what is otherwise in the form asked for; data has all instances. Ships that could not be seen are explained on
/// standard error, each once.
pub fn print(printer: &Printer, drifts: &[Drift], output: Output) {
    match output {
        Output::Table => {
            let capabilities = printer.capabilities();
            let columns = capabilities.out_is_tty.then_some(capabilities.columns);
            printer.data(&table(drifts, columns, printer.paint(Stream::Out)));
        }
        Output::Json | Output::Jsonl | Output::Yaml => {
            let entries: Vec<_> = drifts.iter().map(wire::DriftEntry::from).collect();
            printer.data(&wire::list(output, &entries));
        }
        Output::Name => {
            let names = drifts.iter().filter(|drift| drift.is_drift()).map(|drift| drift.instance.as_str());
            printer.data(&names.fold(String::new(), |text, name| text + name + "\n"));
        }
    }
    let down: BTreeMap<&ShipName, &EngineError> = drifts
        .iter()
        .filter_map(|drift| match &drift.verdict {
            Verdict::Unseen(error) => Some((&drift.ship, error)),
            _ => None,
        })
        .collect();
    for error in down.into_values() {
        ErrorReport::from(error).print(printer);
    }
}

/// One line of the table: what is otherwise with an instance.
struct Line {
    instance: String,
    ship: String,
    attribute: String,
    wanted: String,
    found: String,
}

/// All that is otherwise, and how many are as they should be.
fn table(drifts: &[Drift], columns: Option<usize>, paint: Paint) -> String {
    let lines: Vec<Line> = drifts.iter().flat_map(lines).collect();
    let mut text = String::new();
    if !lines.is_empty() {
        let widest = |title: &str, of: &dyn Fn(&Line) -> &str| {
            lines.iter().map(|line| width(of(line))).chain([width(title)]).max().unwrap_or(0)
        };
        let instance = widest("INSTANCE", &|line| &line.instance);
        let ship = widest("SHIP", &|line| &line.ship);
        let attribute = widest("ATTRIBUTE", &|line| &line.attribute);
        let room = columns.map(|all| all.saturating_sub(instance + ship + attribute + 4 * 2));
        let share = room.map_or(usize::MAX, |room| (room / 2).max(LEAST));
        let wanted = widest("FILE SAYS", &|line| &line.wanted).min(share);
        let is = room.map_or(usize::MAX, |room| room.saturating_sub(wanted).max(LEAST));
        let cell = |text: &str, cells: usize| pad(&crop(text, cells, "…"), cells);
        let heads = [
            cell("INSTANCE", instance),
            cell("SHIP", ship),
            cell("ATTRIBUTE", attribute),
            cell("FILE SAYS", wanted),
        ];
        text.push_str(&heads.join("  "));
        text.push_str("  IS\n");
        for line in &lines {
            paint.push(&mut text, Tone::Strong, &cell(&line.instance, instance));
            for (value, cells) in [(&line.ship, ship), (&line.attribute, attribute), (&line.wanted, wanted)] {
                text.push_str("  ");
                text.push_str(&cell(value, cells));
            }
            text.push_str("  ");
            paint.push(&mut text, Tone::Warn, &crop(&line.found, is, "…"));
            text.push('\n');
        }
    }
    text.push_str(&summary(drifts));
    text.push('\n');
    text
}

fn lines(drift: &Drift) -> Vec<Line> {
    let line = |attribute: &str, wanted: &str, found: &str| Line {
        instance: clean(drift.instance.as_str()).into_owned(),
        ship: clean(drift.ship.as_str()).into_owned(),
        attribute: clean(attribute).into_owned(),
        wanted: clean(wanted).into_owned(),
        found: clean(found).into_owned(),
    };
    match &drift.verdict {
        Verdict::AsInFile => Vec::new(),
        Verdict::Missing { renamed: None } => vec![line("container", "running", "missing")],
        Verdict::Missing { renamed: Some(name) } => {
            vec![line("container", drift.instance.as_str(), &format!("renamed to {name}"))]
        }
        Verdict::Foreign(whose) => vec![line("container", "ours", &format!("not ours: {whose}"))],
        Verdict::Unseen(_) => vec![line("ship", "reachable", "cannot be seen")],
        Verdict::Unknown => vec![line("ship", "reachable", "unknown")],
        Verdict::Changed { unlabelled } => {
            let made =
                unlabelled.then(|| line("container", "made by Maestro", "made by hand or by maestro-ng"));
            let shown = |text: &Option<String>| match text.as_deref() {
                None => NOTHING.to_owned(),
                Some("") => "\"\"".to_owned(),
                Some(text) => text.to_owned(),
            };
            let changes = drift
                .changes
                .iter()
                .map(|change| line(&change.attribute, &shown(&change.wanted), &shown(&change.found)));
            made.into_iter().chain(changes).collect()
        }
    }
}

fn summary(drifts: &[Drift]) -> String {
    let count = |test: fn(&Drift) -> bool| drifts.iter().filter(|drift| test(drift)).count();
    let (drifted, unknown) = (count(Drift::is_drift), count(Drift::is_unknown));
    let same = drifts.len() - drifted - unknown;
    let mut parts = vec![format!("{same} of {} as in the file", instances(drifts.len()))];
    if drifted > 0 {
        parts.push(format!("{drifted} not"));
    }
    if unknown > 0 {
        parts.push(format!("{unknown} unknown"));
    }
    parts.join(", ")
}

fn instances(count: usize) -> String {
    if count == 1 { "1 instance".to_owned() } else { format!("{count} instances") }
}

#[cfg(test)]
mod tests;
