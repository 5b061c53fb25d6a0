//! The wait for the ships' answers: one line on a terminal, gone as soon as it is over.

use super::Printer;
use super::paint::Tone;
use super::printer::Stream;
use super::text::{clean, crop};
use maestro_core::names::ShipName;
use maestro_core::status::span;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

/// Names of ships that have not answered which a line has room for.
const MOST_NAMES: usize = 3;

/// Which ships are being waited for. Whatever it has shown goes when it is dropped.
pub struct Looking {
    printer: Printer,
    ships: usize,
    missing: BTreeSet<ShipName>,
    /// How long it has been waited when that was shown last.
    shown: Option<Duration>,
}

impl Looking {
    /// Nobody has answered yet, and nothing is shown.
    pub fn new(printer: Printer, ships: impl IntoIterator<Item = ShipName>) -> Self {
        let missing: BTreeSet<ShipName> = ships.into_iter().collect();
        Self { printer, ships: missing.len(), missing, shown: None }
    }

    /// A ship has answered, or will not.
    pub fn answered(&mut self, ship: &ShipName) {
        self.missing.remove(ship);
        // A thousand answers in a row are not worth a thousand lines.
        if let Some(waited) = self.shown
            && self.missing.len() <= MOST_NAMES
        {
            self.show(waited);
        }
    }

    /// Shows who is being waited for.
    pub fn show(&mut self, waited: Duration) {
        self.shown = Some(waited);
        let ellipsis = if self.printer.capabilities().unicode { "…" } else { "..." };
        let text = crop(&self.text(waited), self.printer.note_columns(), ellipsis);
        self.printer.note(&self.printer.paint(Stream::Err).tone(Tone::Dim, &text));
    }

    fn text(&self, waited: Duration) -> String {
        let ships = if self.ships == 1 { "1 ship".to_owned() } else { format!("{} ships", self.ships) };
        let mut text = format!("looking at {ships} for {}", span(waited.as_secs()));
        let mut names = self.missing.iter().take(MOST_NAMES).map(|name| clean(name.as_str()));
        if let Some(first) = names.next() {
            // Writing to a String does not fail.
            _ = write!(text, "; no answer yet from {first}");
            for name in names {
                _ = write!(text, ", {name}");
            }
            if self.missing.len() > MOST_NAMES {
                _ = write!(text, " and {} more", self.missing.len() - MOST_NAMES);
            }
        }
        text
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        if self.shown.is_some() {
            self.printer.note("");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Capabilities;

    fn ships(names: &[&str]) -> Vec<ShipName> {
        names.iter().map(|name| ShipName::from(*name)).collect()
    }

    fn terminal(columns: usize) -> Capabilities {
        Capabilities { err_is_tty: true, animate_err: true, ..Capabilities::plain(columns) }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_line_names_who_is_waited_for_and_goes() {
        let (printer, captured) = Printer::captured(terminal(80));
        let mut looking = Looking::new(printer.clone(), ships(&["d", "a", "b", "c", "c"]));
        looking.answered(&"d".into());
        assert_eq!(captured.stderr(), "", "in time");
        looking.show(SECOND);
        looking.answered(&"a".into());
        looking.show(65 * SECOND);
        drop(looking);
        printer.talk("next");
        assert_eq!(
            captured.stderr(),
            "\rlooking at 4 ships for 1s; no answer yet from a, b, c\x1b[K\
             \rlooking at 4 ships for 1s; no answer yet from b, c\x1b[K\
             \rlooking at 4 ships for 1m5s; no answer yet from b, c\x1b[K\
             \r\x1b[Knext\n"
        );
        assert_eq!(captured.stdout(), "");
    }

    #[test]
    fn a_big_fleet_and_a_narrow_terminal_take_one_line() {
        let (printer, captured) = Printer::captured(terminal(40));
        let names: Vec<String> = (0..1000).map(|n| format!("ship-{n:04}")).collect();
        let mut looking = Looking::new(printer, names.iter().map(|name| name.as_str().into()));
        looking.show(SECOND);
        for name in &names[..900] {
            looking.answered(&name.as_str().into());
        }
        assert_eq!(captured.stderr(), "\rlooking at 1000 ships for 1s; no answe…\x1b[K");
        assert_eq!(
            looking.text(SECOND),
            "looking at 1000 ships for 1s; no answer yet from ship-0900, ship-0901, ship-0902 and 97 more"
        );
    }

    #[test]
    fn whatever_is_printed_takes_its_place() {
        let (printer, captured) = Printer::captured(terminal(80));
        let mut looking = Looking::new(printer.clone(), ships(&["a"]));
        looking.show(SECOND);
        printer.talk("WARNING: x");
        looking.show(2 * SECOND);
        printer.data("data\n");
        assert_eq!(
            captured.stderr(),
            "\rlooking at 1 ship for 1s; no answer yet from a\x1b[K\r\x1b[KWARNING: x\n\
             \rlooking at 1 ship for 2s; no answer yet from a\x1b[K\r\x1b[K"
        );
        assert_eq!(captured.stdout(), "data\n");
    }

    #[test]
    fn a_pipe_gets_nothing() {
        let (printer, captured) = Printer::captured(Capabilities::plain(80));
        let mut looking = Looking::new(printer, ships(&["a"]));
        looking.show(SECOND);
        drop(looking);
        assert_eq!(captured.stderr(), "");
    }
}
