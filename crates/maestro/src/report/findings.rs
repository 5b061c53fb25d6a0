//! What was found before a deployment, shown: as blocks for people, or as data.

use super::paint::{Paint, Tone};
use super::printer::{Printer, Stream};
use super::status::Output;
use super::text::{broken, clean, pad};
use super::wire;
use maestro_core::names::ShipName;
use maestro_core::preflight::{Finding, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Different causes that are shown of one finding.
const MOST_CAUSES: usize = 6;
/// Names of ships that are shown of one cause.
const MOST_SHIPS: usize = 8;
/// Cells of the columns before the text.
const SEVERITY: usize = 9;
const TOPIC: usize = 11;
/// The text has at least as many.
const LEAST: usize = 30;
/// Where nobody says how wide a line may be.
const WIDE: usize = 120;

/// What was asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// How many ships.
    pub ships: usize,
    /// About how many instances.
    pub instances: usize,
    /// How long it took.
    pub took: Duration,
}

/// Prints what was found in the form asked for.
pub fn print(printer: &Printer, findings: &[Finding], asked: Asked, output: Output) {
    match output {
        Output::Table => {
            let capabilities = printer.capabilities();
            let columns = if capabilities.out_is_tty { capabilities.columns } else { WIDE };
            let paint = printer.paint(Stream::Out);
            let mut text = blocks(findings, columns, paint);
            text.push_str(&summary(findings, asked, paint));
            text.push('\n');
            printer.data(&text);
        }
        Output::Json | Output::Yaml => {
            printer.data(&wire::one(output, &wire::Examined::new(findings, asked)));
        }
        Output::Jsonl => {
            let entries: Vec<_> = findings.iter().map(wire::Found::from).collect();
            printer.data(&wire::list(output, &entries));
        }
        Output::Name => {
            let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
            let ships: BTreeSet<&ShipName> = errors.flat_map(|finding| finding.places.keys()).collect();
            printer.data(&ships.into_iter().fold(String::new(), |text, ship| text + ship.as_str() + "\n"));
        }
    }
}

/// Prints findings beside something else that is done.
pub fn warn<'a>(printer: &Printer, findings: impl IntoIterator<Item = &'a Finding>) {
    let columns = printer.capabilities().columns;
    for finding in findings {
        printer.talk(block(finding, columns, printer.paint(Stream::Err)).trim_end());
    }
}

fn blocks(findings: &[Finding], columns: usize, paint: Paint) -> String {
    findings.iter().map(|finding| block(finding, columns, paint)).collect()
}

fn block(finding: &Finding, columns: usize, paint: Paint) -> String {
    let tone = match finding.severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warn,
        Severity::Unknown => Tone::Calm,
    };
    let room = columns.saturating_sub(SEVERITY + TOPIC).max(LEAST);
    let indent = " ".repeat(SEVERITY + TOPIC);
    let mut text = paint.tone(tone, &pad(finding.severity.name(), SEVERITY));
    text.push_str(&pad(finding.topic.name(), TOPIC));
    for (at, piece) in broken(&clean(&finding.what), room, room) {
        if at > 0 {
            text.push_str(&indent);
        }
        paint.push(&mut text, Tone::Strong, piece);
        text.push('\n');
    }
    let mut line = |said: &str, tone: Tone| {
        for (at, piece) in broken(&clean(said), room, room.saturating_sub(2)) {
            text.push_str(&indent);
            text.push_str(if at > 0 { "  " } else { "" });
            paint.push(&mut text, tone, piece);
            text.push('\n');
        }
    };
    let mut by_causes: BTreeMap<&BTreeSet<String>, Vec<&ShipName>> = BTreeMap::new();
    for (ship, place) in &finding.places {
        by_causes.entry(&place.causes).or_default().push(ship);
    }
    let mut groups: Vec<_> = by_causes.into_iter().collect();
    groups.sort_by_key(|(_, ships)| (std::cmp::Reverse(ships.len()), ships.first().copied()));
    for (causes, ships) in groups.iter().take(MOST_CAUSES) {
        let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
        let shown = some(&causes, MOST_CAUSES, "; ");
        line(&format!("{}: {shown}", names(ships)), Tone::Plain);
    }
    let left_out: usize = groups.iter().skip(MOST_CAUSES).map(|(_, ships)| ships.len()).sum();
    if left_out > 0 {
        let ships = if left_out == 1 { "1 more ship".to_owned() } else { format!("{left_out} more ships") };
        line(&format!("and {ships}; `--output json` has all"), Tone::Plain);
    }
    line(&format!("remedy: {}", finding.remedy), Tone::Dim);
    text
}

fn names(ships: &[&ShipName]) -> String {
    let names: Vec<&str> = ships.iter().map(|ship| ship.as_str()).collect();
    some(&names, MOST_SHIPS, ", ")
}

/// The first few, and how many more there are.
fn some(texts: &[&str], most: usize, between: &str) -> String {
    let shown = texts.iter().take(most).copied().collect::<Vec<_>>().join(between);
    match texts.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn summary(findings: &[Finding], asked: Asked, paint: Paint) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, unknown) =
        (count(Severity::Error), count(Severity::Warning), count(Severity::Unknown));
    let plural = |number: usize, one: &str| {
        if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
    };
    let found = [(errors, "error"), (warnings, "warning"), (unknown, "thing")].into_iter();
    let found: Vec<String> = found.filter(|(n, _)| *n > 0).map(|(n, one)| plural(n, one)).collect();
    let (tone, verdict) = match (errors, warnings, unknown) {
        (0, 0, 0) => (Tone::Good, "all is well".to_owned()),
        (0, 0, _) => {
            (Tone::Good, format!("all is well, but for {} that could not be told", found.join(", ")))
        }
        (_, _, 0) => (Tone::Plain, found.join(", ")),
        _ => (Tone::Plain, format!("{} that could not be told", found.join(", "))),
    };
    let tone = if errors > 0 { Tone::Bad } else { tone };
    let (ships, instances) = (plural(asked.ships, "ship"), plural(asked.instances, "instance"));
    let seconds = asked.took.as_secs_f64();
    format!("{ships} asked about {instances} in {seconds:.1} s: {}", paint.tone(tone, &verdict))
}

#[cfg(test)]
mod tests;
