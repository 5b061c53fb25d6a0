//! maestro-ng's table: which column is how wide, and one row as one line of text.

use super::paint::{Paint, Tone};
use super::rows::{Piece, Row};
use super::text::{clean, fit, pad};

/// Widths of the columns that depend on the terminal (specification, section 6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    instance: usize,
    ship: usize,
}

const SERVICE: usize = 20;
const CONTAINER: usize = 25;
const STATUS: usize = 10;

impl Columns {
    /// For a terminal of this many columns: 60 are kept for what happens, names share the rest.
    pub(super) fn of(columns: usize) -> Self {
        let instance = (columns.saturating_sub(60) / 3).clamp(20, 40);
        Self { instance, ship: columns.saturating_sub(instance + 80).min(40) }
    }

    pub(super) fn header(self) -> String {
        [
            "  # ".to_owned(),
            fit("INSTANCE", self.instance),
            fit("SERVICE", SERVICE),
            fit("SHIP", self.ship),
            fit("CONTAINER", CONTAINER) + " ",
            fit("STATUS", STATUS),
        ]
        .join(" ")
    }

    /// What every line of an instance begins with.
    pub(super) fn prefix(
        self,
        number: usize,
        instance: &str,
        service: &str,
        ship: &str,
        paint: Paint,
    ) -> String {
        let mut line = format!("{number:>3}. ");
        paint.push(&mut line, Tone::Strong, &fit(&clean(instance), self.instance));
        line.push(' ');
        line.push_str(&fit(&clean(service), SERVICE));
        line.push(' ');
        line.push_str(&fit(&clean(ship), self.ship));
        line
    }

    /// What every line of a row begins with.
    pub(super) fn beginning(self, row: &Row, paint: Paint) -> String {
        self.prefix(row.number, row.instance.as_str(), row.service.as_str(), row.ship.as_str(), paint)
    }

    /// The rest of a row of a run: what is settled, then what is being done.
    pub(super) fn rest(row: &Row, paint: Paint) -> String {
        let mut line = String::new();
        if let Some(cell) = &row.cell {
            push_cell(&mut line, cell.tone, &cell.text, paint);
        }
        for Piece { text, tone, cells } in row.results.iter().chain(&row.pending) {
            line.push(' ');
            paint.push(&mut line, *tone, &pad(text, *cells));
        }
        line
    }
}

/// Appends the CONTAINER column.
pub(super) fn push_cell(line: &mut String, tone: Tone, text: &str, paint: Paint) {
    line.push(' ');
    paint.push(line, tone, &pad(&clean(text), CONTAINER));
    line.push(' ');
}

/// Appends a result in the STATUS column's width.
pub(super) fn push_result(line: &mut String, tone: Tone, text: &str, paint: Paint) {
    paint.push(line, tone, &pad(text, STATUS));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_follow_the_terminal() {
        for (columns, instance, ship) in [
            (1, 20, 0),
            (60, 20, 0),
            (100, 20, 0),
            (120, 20, 20),
            (150, 30, 40),
            (200, 40, 40),
            (1000, 40, 40),
        ] {
            assert_eq!(Columns::of(columns), Columns { instance, ship }, "{columns}");
        }
    }

    #[test]
    fn the_header_is_maestro_ngs() {
        assert_eq!(
            Columns::of(120).header(),
            "  #  INSTANCE             SERVICE              SHIP                 CONTAINER                  STATUS    "
        );
        assert_eq!(
            Columns::of(100).header(),
            "  #  INSTANCE             SERVICE               CONTAINER                  STATUS    "
        );
    }
}
