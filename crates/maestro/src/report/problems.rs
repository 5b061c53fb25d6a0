//! The end of a run in words: what went wrong and why, each cause once, and one line that sums it up.

use super::errors::ErrorReport;
use super::paint::Tone;
use super::printer::{Printer, Stream};
use super::rows::{RowState, Rows, Trouble};
use maestro_core::event::Failure;
use maestro_core::plan::Intent;
use maestro_core::status::span;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// So many causes are told; a fleet that is down has one per instance.
const MOST: usize = 25;

/// What went wrong, one report per cause, in the order of the plan; and how many instances failed for reasons that
/// are not told for brevity.
pub(super) fn problems(rows: &Rows) -> (Vec<ErrorReport>, usize) {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut untold = 0;
    for row in rows.rows() {
        let Some(trouble) = &row.trouble else { continue };
        let mut report = match trouble {
            Trouble::Step(Failure::Engine(error)) | Trouble::Ship(error) => ErrorReport::on_a_ship(error),
            Trouble::Step(failure) => ErrorReport::from(failure),
            Trouble::Foreign(whose) => {
                ErrorReport::new(format!("a container of that name exists and is not ours: {whose}"))
                    .hint("rename the instance, or remove that container")
            }
            Trouble::Variables(excess) => ErrorReport::from(excess),
            Trouble::Unavailable(why) => ErrorReport::new(why.clone()).hint(
                "bring those ships back first, or let more be down: `max_unavailable` in the service's `deploy:`",
            ),
            Trouble::HalfDone(why) => ErrorReport::new(why.clone())
                .hint("`maestro deploy` goes on with that, or goes back if the file is as it was"),
            Trouble::Ports(why) => ErrorReport::new(why.clone()).hint(
                "make the range larger: it has to have a port for each container on the ship, those included that are to be replaced",
            ),
            Trouble::Alone(why) => ErrorReport::new(why.clone())
                .hint("let one be down: `max_unavailable: 1` in the service's `deploy:`"),
        };
        if matches!(row.state, RowState::Tolerated | RowState::Done) {
            report = report.warning();
        }
        let key = format!("{:?} {}", report.level, report.what);
        let at = *known.entry(key).or_insert(groups.len());
        let (instance, ship) = (row.instance.as_str(), row.ship.as_str());
        if let Some(group) = groups.get_mut(at) {
            group.instances.push(instance);
            if !group.ships.contains(&ship) {
                group.ships.push(ship);
            }
        } else if groups.len() < MOST {
            groups.push(Group { report, instances: vec![instance], ships: vec![ship] });
        } else {
            untold += 1;
        }
    }
    let strays = rows.strays().iter().map(|(unit, failure)| {
        let report = match failure {
            Failure::Engine(error) => ErrorReport::on_a_ship(error),
            failure => ErrorReport::from(failure),
        };
        report.about(&unit.to_string())
    });
    (groups.into_iter().map(Group::report).chain(strays).collect(), untold)
}

/// Instances that have the same trouble, wherever they are: a tag that nobody has pushed is missing on every ship.
struct Group<'a> {
    report: ErrorReport,
    instances: Vec<&'a str>,
    ships: Vec<&'a str>,
}

impl Group<'_> {
    fn report(self) -> ErrorReport {
        let ships = if self.ships.len() > 1 { "ships" } else { "ship" };
        self.report.about(&format!("{ships} {}", list(&self.ships))).about(&list(&self.instances))
    }
}

/// Names, the first few of many.
pub fn list<T: AsRef<str>>(names: &[T]) -> String {
    let name = |at: usize| names.get(at).map(AsRef::as_ref).unwrap_or_default();
    match names {
        [_, _, _, _, _, ..] => format!("{}, {}, {} and {} more", name(0), name(1), name(2), names.len() - 3),
        _ => names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", "),
    }
}

/// Says what went wrong, on standard error.
pub(super) fn tell(rows: &Rows, printer: &Printer) {
    let (reports, untold) = problems(rows);
    for report in &reports {
        report.print(printer);
    }
    if untold > 0 {
        printer.talk(&format!("... and {untold} more; see the table"));
    }
}

/// Says in one line on standard error how it ended.
pub(super) fn tell_summary(rows: &Rows, printer: &Printer) {
    let (tone, text) = summary(rows);
    printer.talk(&printer.paint(Stream::Err).tone(tone, &text));
}

/// How it ended, in one line.
pub(super) fn summary(rows: &Rows) -> (Tone, String) {
    let verb = match rows.plan().intent {
        Intent::Start { .. } => "started",
        Intent::Stop => "stopped",
        Intent::Kill => "killed",
        Intent::Restart(_) => "restarted",
        Intent::Pull => "pulled",
        Intent::Clean => "removed",
        Intent::Deploy { .. } => "deployed",
    };
    let count = |state| rows.count(state);
    let (done, unchanged) = (count(RowState::Done), count(RowState::Unchanged));
    let held = count(RowState::Held);
    let bad = [
        (count(RowState::Tolerated), format!("could not be {verb}")),
        (count(RowState::Failed) + rows.strays().len(), "failed".to_owned()),
        (count(RowState::Blocked), "blocked".to_owned()),
        (count(RowState::Aborted), "aborted".to_owned()),
        (count(RowState::Interrupted), "left by the interrupt".to_owned()),
    ];
    let well = bad.iter().all(|(count, _)| *count == 0);
    let mut text = match rows.plan().intent {
        _ if rows.rows().is_empty() => "nothing was selected".to_owned(),
        Intent::Start { .. } | Intent::Restart(_) | Intent::Pull | Intent::Deploy { .. }
            if well && done == 0 && held == 0 =>
        {
            format!("all is up to date: {unchanged} unchanged")
        }
        Intent::Clean if well && done == 0 && !rows.plan().is_empty() => {
            format!("what hooks have left is removed: {unchanged} unchanged")
        }
        _ if well && done == 0 => format!("nothing was to be done: {unchanged} unchanged"),
        _ => {
            let gone = rows.rows().iter().filter(|row| row.goes && row.state == RowState::Done).count();
            let parts = [
                (done - gone, verb.to_owned()),
                (gone, "stopped".to_owned()),
                (unchanged, "unchanged".to_owned()),
                (held, "waiting".to_owned()),
            ]
            .into_iter()
            .chain(bad);
            let parts: Vec<String> = parts
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!("{count} {what}"))
                .collect();
            parts.join(", ")
        }
    };
    if let Some(took) = rows.ended()
        && !rows.rows().is_empty()
    {
        text.push_str(" in ");
        text.push_str(&took_text(took));
        if let [(ship, busy), _, ..] = rows.busy()[..] {
            text.push_str("; slowest ship: ");
            text.push_str(&super::clean(ship.as_str()));
            text.push_str(" (");
            text.push_str(&took_text(busy));
            text.push(')');
        }
    }
    match rows.abandoned() {
        0 => {}
        1 => text.push_str("; 1 call was abandoned and may still take effect: see `maestro status`"),
        calls => {
            _ = write!(
                text,
                "; {calls} calls were abandoned and may still take effect: see `maestro status`"
            );
        }
    }
    if count(RowState::Interrupted) > 0 {
        text.push_str("; the same command goes on from here");
    }
    let tone = match (well, done) {
        (false, _) if rows.summary(Duration::ZERO).is_success() => Tone::Warn,
        (false, _) => Tone::Bad,
        (true, 0) => Tone::Calm,
        (true, _) => Tone::Good,
    };
    (tone, text)
}

/// How long something took: tenths while they matter.
pub(super) fn took_text(took: Duration) -> String {
    if took < Duration::from_secs(10) { format!("{:.1}s", took.as_secs_f64()) } else { span(took.as_secs()) }
}
