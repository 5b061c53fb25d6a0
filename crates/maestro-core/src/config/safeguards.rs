//! `budget:` and `freeze:` of an environment: what binds every command that acts.

use super::deploy::share;
use super::fields::Reader;
use super::node::{Mapping, Node, Value};
use super::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Freeze, Safeguards, Share, Window};
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::sync::Arc;

/// More windows than anybody has.
const MOST_FREEZES: usize = 100;

const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// Reads both.
pub(super) fn read(reader: &mut Reader<'_>, root: &Mapping) -> Safeguards {
    let mut max_unavailable = None;
    if let Some(map) = root.get("budget").and_then(|node| reader.mapping(node, "`budget`")) {
        reader.check_keys(map, &["max_unavailable"], "`budget`", &[]);
        let node = map.get("max_unavailable").filter(|node| !node.is_null());
        max_unavailable = node.and_then(|node| {
            let found = share(reader, node, "`max_unavailable` of `budget`")?;
            if matches!(found, Share::Count(0) | Share::Percent(0)) {
                let message =
                    "`max_unavailable` of `budget` must be more than nothing, or nothing could ever be done";
                reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
            }
            Some(found)
        });
    }
    let mut freezes = Vec::new();
    if let Some(node) = root.get("freeze").filter(|node| !node.is_null()) {
        match &node.value {
            Value::Seq(items) if items.len() <= MOST_FREEZES => {
                freezes.extend(items.iter().filter_map(|item| freeze(reader, item)));
            }
            Value::Seq(_) => {
                let message = format!("`freeze` has more than {MOST_FREEZES} windows");
                reader.report(Diagnostic::error(Code::TooLarge, message).at(node.span));
            }
            _ => {
                let message = format!("`freeze` must be a list of windows, not {}", node.kind());
                reader.report(Diagnostic::error(Code::WrongType, message).at(node.span).help(FORMS));
            }
        }
    }
    Safeguards { max_unavailable, freezes }
}

const FORMS: &str = "a window is {from: 2026-12-20, to: 2027-01-03}, {from: fri 16:00, to: mon 06:00} or \
                     {from: '22:00', to: '06:00'}, with `timezone: Europe/Berlin` and a `reason:`";

fn freeze(reader: &mut Reader<'_>, node: &Arc<Node>) -> Option<Freeze> {
    let map = reader.mapping(node, "a window of `freeze`")?;
    reader.check_keys(map, &["from", "to", "timezone", "reason"], "a window of `freeze`", &[]);
    let zone = match map.get("timezone").filter(|node| !node.is_null()) {
        None => Some(TimeZone::UTC),
        Some(name) => zone(reader, name),
    };
    let reason = map.get("reason").filter(|node| !node.is_null()).map(|node| python::text(node).into());
    let mut end = |key: &str| {
        let Some(value) = map.get(key).filter(|value| !value.is_null()) else {
            reader.missing(node, node, "a window of `freeze`", key);
            return None;
        };
        let found = moment(&python::text(value));
        if found.is_none() {
            let message =
                format!("`{key}` of a window of `freeze` is no date, no day with a time, and no time");
            reader.report(Diagnostic::error(Code::BadValue, message).at(value.span).help(FORMS));
        }
        found
    };
    let (from, to) = (end("from"), end("to"));
    let window = match (from?, to?) {
        (Moment::Date(from), Moment::Date(to)) => Some(Window::Once { from: from.begin(), to: to.end() }),
        (Moment::Day(from), Moment::Day(to)) => Some(Window::Weekly { from, to }),
        (Moment::Time(from), Moment::Time(to)) => Some(Window::Daily { from, to }),
        _ => None,
    };
    let Some(window) = window else {
        let message = "`from` and `to` of a window of `freeze` must be of the same kind";
        reader.report(Diagnostic::error(Code::BadValue, message).at(node.span).help(FORMS));
        return None;
    };
    let freeze = Freeze { window, zone: zone?, reason };
    if freeze.is_empty() {
        let message = "a window of `freeze` ends where it begins, or before";
        reader.report(Diagnostic::error(Code::BadValue, message).at(node.span).help(FORMS));
        return None;
    }
    Some(freeze)
}

/// The zone of a name in the database that is part of this program: the same on every machine.
fn zone(reader: &mut Reader<'_>, node: &Node) -> Option<TimeZone> {
    let name = python::text(node);
    let found = TimeZoneDatabase::bundled().get(&name);
    if found.is_err() {
        let message = format!("there is no time zone `{name}`");
        let help = "write its name in the IANA database, such as `Europe/Berlin`, or `UTC`";
        reader.report(Diagnostic::error(Code::BadValue, message).at(node.span).help(help));
    }
    found.ok()
}

/// An end of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Date(Dated),
    Day((Weekday, Time)),
    Time(Time),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dated {
    /// The whole day.
    Day(Date),
    /// A moment of it.
    Moment(DateTime),
}

impl Dated {
    fn begin(self) -> DateTime {
        match self {
            Dated::Day(date) => date.to_datetime(Time::midnight()),
            Dated::Moment(moment) => moment,
        }
    }

    /// Until the third means that the third is part of it.
    fn end(self) -> DateTime {
        match self {
            Dated::Day(date) => date.saturating_add(1.day()).to_datetime(Time::midnight()),
            Dated::Moment(moment) => moment,
        }
    }
}

fn moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Some(time) = time(text) {
        return Some(Moment::Time(time));
    }
    let (first, rest) = text.split_once([' ', 'T']).map_or((text, None), |(first, rest)| (first, Some(rest)));
    let at = match rest {
        None => None,
        Some(rest) => Some(time(rest.trim())?),
    };
    if let Ok(date) = first.parse::<Date>() {
        return Some(Moment::Date(at.map_or(Dated::Day(date), |at| Dated::Moment(date.to_datetime(at)))));
    }
    let word = first.to_ascii_lowercase();
    let day =
        DAYS.iter().find(|(name, _)| word.len() >= 3 && name.starts_with(&word)).map(|(_, day)| *day)?;
    Some(Moment::Day((day, at.unwrap_or(Time::midnight()))))
}

/// `22:00`, `22:00:30`; and what YAML 1.1 makes of the first without quotes: a number to the base of sixty.
fn time(text: &str) -> Option<Time> {
    if let Ok(minutes) = text.parse::<i16>() {
        let (hour, minute) = (minutes / 60, minutes % 60);
        // From ten to ten in the morning on; before, it is a text.
        return if (60..1440).contains(&minutes) {
            Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()
        } else {
            None
        };
    }
    let is_clock = text.contains(':') && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    if is_clock { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limits, load};
    use crate::source::MapSources;

    fn read(text: &str) -> Result<Safeguards, String> {
        let text = format!(
            "__maestro: {{schema: 2}}\nname: t\nships: {{a: {{ip: 192.0.2.1}}}}\nservices: {{}}\n{text}\n"
        );
        let loaded = load(&MapSources::of(&*text), &Limits::default());
        match loaded.environment {
            Some(environment) => Ok(environment.safeguards),
            None => Err(loaded.diagnostics.iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("; ")),
        }
    }

    fn windows(text: &str) -> Result<Vec<String>, String> {
        let window = |freeze: &Freeze| format!("{:?}", freeze.window);
        Ok(read(text)?.freezes.iter().map(window).collect())
    }

    #[test]
    fn nothing_binds_where_nothing_is_said() {
        assert_eq!(read(""), Ok(Safeguards::default()));
        assert_eq!(read("budget:\nfreeze:"), Ok(Safeguards::default()));
    }

    #[test]
    fn windows_have_three_forms() {
        assert_eq!(
            windows(
                "freeze: [{from: 2026-12-20, to: 2027-01-03}, {from: 2026-12-20 18:00, to: 2026-12-21T06:00}]"
            ),
            Ok(vec![
                "Once { from: 2026-12-20T00:00:00, to: 2027-01-04T00:00:00 }".to_owned(),
                "Once { from: 2026-12-20T18:00:00, to: 2026-12-21T06:00:00 }".to_owned(),
            ])
        );
        assert_eq!(
            windows(
                "freeze: [{from: fri 16:00, to: Monday 06:00, timezone: Europe/Berlin, reason: weekend}]"
            ),
            Ok(vec!["Weekly { from: (Friday, 16:00:00), to: (Monday, 06:00:00) }".to_owned()])
        );
        // Without quotes, YAML 1.1 makes a number of the first.
        let nights = "freeze: [{from: 22:00, to: 06:00}, {from: '22:00', to: '06:00'}]";
        let night = "Daily { from: 22:00:00, to: 06:00:00 }".to_owned();
        assert_eq!(windows(nights), Ok(vec![night.clone(), night]));
    }

    #[test]
    fn what_means_nothing_is_said() {
        for (text, message) in [
            ("freeze: [{from: 2026-12-20, to: 2026-12-19}]", "ends where it begins"),
            ("freeze: [{from: '06:00', to: '06:00'}]", "ends where it begins"),
            ("freeze: [{from: 2026-12-20, to: '06:00'}]", "of the same kind"),
            ("freeze: [{from: soon, to: later}]", "`from` of a window of `freeze` is no date"),
            ("freeze: [{from: 2026-12-20}]", "to"),
            ("freeze: [{from: 2026-12-20, to: 2026-12-21, timezone: Mars/Olympus}]", "there is no time zone"),
            ("freeze: always", "must be a list"),
            ("budget: {max_unavailable: 0}", "must be more than nothing"),
            ("budget: 3", "budget"),
        ] {
            let said = windows(text).unwrap_err();
            assert!(said.contains(message), "{text}: {said}");
        }
    }

    #[test]
    fn a_budget_is_a_share() {
        let share = |text: &str| read(text).unwrap().max_unavailable.unwrap().to_string();
        assert_eq!(
            share("budget: {max_unavailable: 25%}") + " " + &share("budget: {max_unavailable: 3}"),
            "25% 3"
        );
    }
}
