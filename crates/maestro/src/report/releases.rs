//! `releases` and `diff`, shown.

use super::paint::{Paint, Tone};
use super::printer::{Printer, Stream};
use super::status::Output;
use super::text::{clean, crop, pad, width};
use super::{list, wire};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maestro_core::compare::{Difference, Extent};
use maestro_core::deployment::Deployment;
use maestro_core::history::{History, Record};
use maestro_core::image::ImageRef;
use std::collections::BTreeMap;

/// Between columns.
const GAP: &str = "  ";

/// Prints what was released, the latest first; a deployment that is not finished is told on standard error.
pub fn print(printer: &Printer, history: &History, unfinished: Option<&Deployment>, output: Output) {
    let records = history.records();
    let earlier = |at: usize| at.checked_sub(1).and_then(|at| records.get(at));
    let latest_first = records.iter().enumerate().rev();
    match output {
        Output::Table => {
            let rows = latest_first.map(|(at, record)| row(record, earlier(at)));
            let capabilities = printer.capabilities();
            let columns = capabilities.out_is_tty.then_some(capabilities.columns);
            printer.data(&table(rows.collect(), columns, printer.paint(Stream::Out)));
            if records.is_empty() {
                printer.talk("nothing has been released yet; `maestro deploy` does it");
            }
        }
        Output::Json | Output::Jsonl | Output::Yaml => {
            let entries: Vec<_> = latest_first
                .map(|(at, record)| wire::ReleaseEntry::new(record, earlier(at), history))
                .collect();
            printer.data(&wire::list(output, &entries));
        }
        Output::Name => {
            let numbers = latest_first.map(|(_, record)| format!("{}\n", record.number));
            printer.data(&numbers.collect::<String>());
        }
    }
    if let Some(unfinished) = unfinished {
        tell_unfinished(printer, unfinished);
    }
}

/// Says of a deployment that it is not finished.
pub fn tell_unfinished(printer: &Printer, unfinished: &Deployment) {
    printer.talk(&format!(
        "not finished: {} ({}, {}); `maestro resume` goes on, `maestro abort` goes back",
        clean(&unfinished.doing),
        clean(&unfinished.by),
        at(unfinished.at)
    ));
}

/// The cells of a release.
type Row = [String; 5];

fn row(record: &Record, earlier: Option<&Record>) -> Row {
    let doing = match record.back_to {
        Some(number) => format!("{} (as {number})", record.doing),
        None => record.doing.clone(),
    };
    [record.number.to_string(), at(record.at), record.by.clone(), doing, changed(record, earlier)]
        .map(|text| clean(&text).into_owned())
}

/// When something was, as clocks here show it.
fn at(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Services that are not as they were in the release before, with the versions of their images.
fn changed(record: &Record, earlier: Option<&Record>) -> String {
    let services = record.services.iter().filter(|(name, shipped)| {
        earlier.and_then(|earlier| earlier.services.get(*name)).map(|was| &was.part) != Some(&shipped.part)
    });
    let shown = services.map(|(name, shipped)| {
        let versions = shipped.part.images.iter();
        let versions: Vec<String> =
            versions.map(|image| ImageRef::parse(&**image).shown_version().to_owned()).collect();
        format!("{name} {}", versions.join("/"))
    });
    list(&shown.collect::<Vec<_>>())
}

fn table(rows: Vec<Row>, columns: Option<usize>, paint: Paint) -> String {
    let heads = ["RELEASE", "WHEN", "WHO", "COMMAND", "CHANGED"].map(str::to_owned);
    let widest = |column: usize| {
        let cells = rows.iter().chain([&heads]).filter_map(|row| row.get(column));
        cells.map(|cell| width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(widest).collect();
    let fixed: usize = widths.iter().take(heads.len() - 1).map(|width| width + GAP.len()).sum();
    let room = columns.map_or(usize::MAX, |all| all.saturating_sub(fixed).max(16));
    let mut text = String::new();
    for (at, row) in [heads].into_iter().chain(rows).enumerate() {
        let last = row.len() - 1;
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column == last {
                text.push_str(&crop(cell, room, "…"));
                continue;
            }
            let tone = if at > 0 && column == 0 { Tone::Strong } else { Tone::Plain };
            paint.push(&mut text, tone, &pad(cell, *width));
            text.push_str(GAP);
        }
        text.push('\n');
    }
    text
}

/// Prints in what two releases differ; instances that differ alike are told once.
pub fn print_differences(printer: &Printer, differences: &[Difference], output: Output) {
    match output {
        Output::Table => {
            printer.data(&alike(differences));
            if differences.is_empty() {
                printer.talk("they are the same");
            }
        }
        Output::Json | Output::Jsonl | Output::Yaml => {
            let entries: Vec<_> = differences.iter().map(wire::DifferenceEntry::from).collect();
            printer.data(&wire::list(output, &entries));
        }
        Output::Name => {
            let names = differences.iter().map(|difference| format!("{}\n", difference.instance));
            printer.data(&names.collect::<String>());
        }
    }
}

fn alike(differences: &[Difference]) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for difference in differences {
        let how = match &difference.extent {
            Extent::Added => "  added\n".to_owned(),
            Extent::Removed => "  removed\n".to_owned(),
            Extent::Changed(changes) => changes
                .iter()
                .fold(String::new(), |how, change| how + "  " + &clean(&change.to_come()) + "\n"),
        };
        let place = *known.entry(how.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, instances)) => instances.push(difference.instance.as_str()),
            None => groups.push((how, vec![difference.instance.as_str()])),
        }
    }
    let text =
        |text: String, (how, instances): (String, Vec<&str>)| text + &clean(&list(&instances)) + ":\n" + &how;
    groups.into_iter().fold(String::new(), text)
}
