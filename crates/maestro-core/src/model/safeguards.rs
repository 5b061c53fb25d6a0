//! What binds every command that acts: how much may be down at once (`budget:`), and when nothing may be changed
//! (`freeze:`).

use crate::model::Share;
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::sync::Arc;

/// Windows that follow each other are one; so many of them are looked at.
const MOST_WINDOWS: usize = 64;

/// What binds every command that acts. Without any, nothing does.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Safeguards {
    /// How many of all instances that serve may be down at the same time.
    pub max_unavailable: Option<Share>,
    /// When nothing may be changed, in the order of the file.
    pub freezes: Vec<Freeze>,
}

/// A time during which nothing may be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Freeze {
    /// When, by the clocks of a time zone.
    pub window: Window,
    /// The time zone.
    pub zone: TimeZone,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Once, up to and without its end.
    Once {
        /// Its beginning.
        from: DateTime,
        /// Its end.
        to: DateTime,
    },
    /// Every week.
    Weekly {
        /// Its beginning.
        from: (Weekday, Time),
        /// Its end, the next such moment after the beginning.
        to: (Weekday, Time),
    },
    /// Every day.
    Daily {
        /// Its beginning.
        from: Time,
        /// Its end, of the next day if it is not later than the beginning.
        to: Time,
    },
}

/// Why nothing may be changed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("frozen until {until}{}", reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default())]
pub struct Frozen {
    /// When that is over, by the clock of the zone of the file: `Monday 2026-11-23 06:00 Europe/Berlin`.
    pub until: String,
    /// What the file says about it.
    pub reason: Option<Arc<str>>,
}

impl Safeguards {
    /// Why nothing may be changed at a time; none if it may.
    pub fn frozen(&self, now: Timestamp) -> Option<Frozen> {
        let ends = |at: Timestamp| {
            let windows = self.freezes.iter().filter_map(|freeze| Some((freeze.end(at)?, freeze)));
            windows.max_by_key(|(end, _)| *end)
        };
        let (mut end, mut last) = ends(now)?;
        let first = last;
        for _ in 0..MOST_WINDOWS {
            let Some((next, freeze)) = ends(end).filter(|(next, _)| *next > end) else { break };
            (end, last) = (next, freeze);
        }
        let until = end.to_zoned(last.zone.clone());
        let zone = last.zone.iana_name().unwrap_or("UTC");
        let until = format!("{} {zone}", until.strftime("%A %Y-%m-%d %H:%M"));
        Some(Frozen { until, reason: first.reason.clone() })
    }
}

impl Freeze {
    /// When the window ends in which a time is; none if it is in none.
    fn end(&self, at: Timestamp) -> Option<Timestamp> {
        let instant = |local: DateTime| self.zone.to_timestamp(local).ok();
        let within = |from: DateTime, to: DateTime| {
            let (from, to) = (instant(from)?, instant(to)?);
            (from..to).contains(&at).then_some(to)
        };
        if let Window::Once { from, to } = self.window {
            return within(from, to);
        }
        let today = at.to_zoned(self.zone.clone()).date();
        // No window is longer than a week.
        let begins = (0..=8).filter_map(|days: i64| today.checked_sub(days.days()).ok());
        let ends = begins.filter_map(|date| match self.window {
            Window::Once { .. } => None,
            Window::Daily { from, to } => {
                let days = i64::from(to <= from);
                within(date.to_datetime(from), date.checked_add(days.days()).ok()?.to_datetime(to))
            }
            Window::Weekly { from: (day, from), to: (last, to) } => {
                if date.weekday() != day {
                    return None;
                }
                let days = i64::from(day.until(last));
                let days = if days == 0 && to <= from { 7 } else { days };
                within(date.to_datetime(from), date.checked_add(days.days()).ok()?.to_datetime(to))
            }
        });
        ends.max()
    }

    /// Whether it has no duration, or would never end.
    pub fn is_empty(&self) -> bool {
        match self.window {
            Window::Once { from, to } => to <= from,
            Window::Weekly { from, to } => from == to,
            Window::Daily { from, to } => from == to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap()
    }

    fn frozen(windows: &[Window], now: &str) -> String {
        let freeze =
            |window: &Window| Freeze { window: *window, zone: berlin(), reason: Some("quiet".into()) };
        let safeguards =
            Safeguards { freezes: windows.iter().map(freeze).collect(), ..Safeguards::default() };
        let now: Timestamp = now.parse().unwrap();
        safeguards.frozen(now).map_or_else(|| "no".to_owned(), |frozen| frozen.until)
    }

    fn time(hour: i8) -> Time {
        Time::constant(hour, 0, 0, 0)
    }

    #[test]
    fn a_weekend_lasts_until_monday() {
        let weekend = [Window::Weekly { from: (Weekday::Friday, time(16)), to: (Weekday::Monday, time(6)) }];
        let monday = "Monday 2026-11-23 06:00 Europe/Berlin";
        for (now, expected) in [
            ("2026-11-20T14:59:59Z", "no"),
            ("2026-11-20T15:00:00Z", monday),
            ("2026-11-22T12:00:00Z", monday),
            ("2026-11-23T04:59:59Z", monday),
            ("2026-11-23T05:00:00Z", "no"),
        ] {
            assert_eq!(frozen(&weekend, now), expected, "{now}");
        }
    }

    #[test]
    fn nights_pass_midnight_and_the_changes_of_clocks() {
        let night = [Window::Daily { from: time(22), to: time(6) }];
        assert_eq!(frozen(&night, "2026-06-10T03:59:00Z"), "Wednesday 2026-06-10 06:00 Europe/Berlin");
        assert_eq!(frozen(&night, "2026-06-10T04:00:00Z"), "no");
        assert_eq!(frozen(&night, "2026-06-10T20:00:00Z"), "Thursday 2026-06-11 06:00 Europe/Berlin");
        // In the night to the 25th of October 2026, clocks go back.
        assert_eq!(frozen(&night, "2026-10-25T04:59:00Z"), "Sunday 2026-10-25 06:00 Europe/Berlin");
        assert_eq!(frozen(&night, "2026-10-25T05:00:00Z"), "no");
    }

    #[test]
    fn windows_that_follow_each_other_are_one() {
        let once = Window::Once {
            from: "2026-12-24T00:00".parse().unwrap(),
            to: "2026-12-27T00:00".parse().unwrap(),
        };
        let night = Window::Daily { from: time(22), to: time(6) };
        assert_eq!(frozen(&[once, night], "2026-12-24T10:00:00Z"), "Sunday 2026-12-27 06:00 Europe/Berlin");
        assert_eq!(frozen(&[once], "2026-12-26T22:59:00Z"), "Sunday 2026-12-27 00:00 Europe/Berlin");
        assert_eq!(frozen(&[once], "2026-12-26T23:00:00Z"), "no");
    }
}
