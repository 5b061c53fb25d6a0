//! A table that is as wide as its contents need and no wider than the terminal.

use super::paint::Tone;
use super::signs::Signs;
use super::text::{clean, crop, fit, width};

/// Widths of the columns. They are maestro-ng's columns in its order, as wide as their contents need; one that is 0 is
/// left out where the terminal is narrow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) signs: Signs,
    /// Cells of a line; one less than the terminal has, so that no terminal breaks it.
    pub(super) line: usize,
    instance: usize,
    service: usize,
    ship: usize,
    container: usize,
}

/// The widest text of each column.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Widest {
    pub(super) instance: usize,
    pub(super) service: usize,
    pub(super) ship: usize,
    pub(super) container: usize,
}

impl Widest {
    /// Takes a row into account.
    pub(super) fn add(&mut self, instance: &str, service: &str, ship: &str, container: &str) {
        for (cells, text) in [
            (&mut self.instance, instance),
            (&mut self.service, service),
            (&mut self.ship, ship),
            (&mut self.container, container),
        ] {
            *cells = (*cells).max(width(text));
        }
    }
}

/// What the STATUS column should have, and what it must have.
const GOOD_STATUS: usize = 34;
const LEAST_STATUS: usize = 16;

impl Grid {
    /// For a terminal of so many columns.
    pub(super) fn new(widest: Widest, columns: usize, signs: Signs) -> Self {
        let cells = |title: &str, most: usize, cells: usize| cells.max(title.len()).min(most);
        let mut grid = Self {
            signs,
            line: columns.saturating_sub(1).max(1),
            instance: cells("INSTANCE", 40, widest.instance),
            service: cells("SERVICE", 20, widest.service),
            ship: cells("SHIP", 40, widest.ship),
            container: cells("CONTAINER", 25, widest.container),
        };
        grid.shrink();
        grid
    }

    /// Makes room for the status: first names are cut, then whole columns go.
    fn shrink(&mut self) {
        let cut = |cells: &mut usize, least: usize, missing: usize| {
            *cells = (*cells).min((*cells).saturating_sub(missing).max(least.min(*cells)));
        };
        for (which, least) in [(2, 8), (1, 8), (0, 16), (3, 14)] {
            let missing = GOOD_STATUS.saturating_sub(self.status());
            let column = match which {
                0 => &mut self.instance,
                1 => &mut self.service,
                2 => &mut self.ship,
                _ => &mut self.container,
            };
            cut(column, least, missing);
        }
        for which in [1, 2, 3] {
            if self.status() < GOOD_STATUS - 8 {
                match which {
                    1 => self.service = 0,
                    2 => self.ship = 0,
                    _ => self.container = 0,
                }
            }
        }
        let missing = LEAST_STATUS.saturating_sub(self.status());
        cut(&mut self.instance, 8, missing);
    }

    /// Cells that are left for the status.
    fn status(&self) -> usize {
        let columns = [self.instance, self.service, self.ship, self.container];
        let used: usize = columns.iter().map(|cells| if *cells > 0 { cells + 1 } else { 0 }).sum();
        self.line.saturating_sub(used + 5)
    }

    /// The titles; the last column has one of its own.
    pub(super) fn header(&self, last: &str) -> String {
        let mut line = Line::new(self);
        line.push(Tone::Dim, "  #  ");
        line.column(Tone::Dim, "INSTANCE", self.instance);
        line.column(Tone::Dim, "SERVICE", self.service);
        line.column(Tone::Dim, "SHIP", self.ship);
        line.column(Tone::Dim, "CONTAINER", self.container);
        line.push(Tone::Dim, last);
        line.finish()
    }

    /// A row up to where its status begins. What is `quiet` is no news.
    pub(super) fn row(
        &self,
        number: usize,
        [instance, service, ship, container]: [&str; 4],
        quiet: bool,
    ) -> Line {
        let mut line = Line::new(self);
        line.push(Tone::Dim, &format!("{number:>3}. "));
        line.column(if quiet { Tone::Plain } else { Tone::Strong }, &clean(instance), self.instance);
        line.column(Tone::Plain, &clean(service), self.service);
        line.column(Tone::Plain, &clean(ship), self.ship);
        line.column(if quiet { Tone::Dim } else { Tone::Plain }, &clean(container), self.container);
        line
    }
}

/// A line, built piece by piece and never wider than it may be.
pub(super) struct Line {
    text: String,
    pub(super) left: usize,
    signs: Signs,
}

impl Line {
    pub(super) fn new(grid: &Grid) -> Self {
        Self { text: String::new(), left: grid.line, signs: grid.signs }
    }

    pub(super) fn push(&mut self, tone: Tone, text: &str) {
        let text = crop(text, self.left, self.signs.ellipsis());
        self.left -= width(&text);
        self.signs.paint.push(&mut self.text, tone, &text);
    }

    pub(super) fn ellipsis(&self) -> &'static str {
        self.signs.ellipsis()
    }

    /// Something that is left out rather than cut.
    pub(super) fn push_whole(&mut self, tone: Tone, text: &str) {
        if width(text) <= self.left {
            self.push(tone, text);
        }
    }

    /// A column and the blank behind it; nothing if it has no cells.
    pub(super) fn column(&mut self, tone: Tone, text: &str, cells: usize) {
        if cells > 0 {
            let text = crop(text, cells, self.signs.ellipsis());
            self.push(tone, &fit(&text, cells));
            self.push(Tone::Plain, " ");
        }
    }

    /// Something that has its own colours and is so many cells wide; nothing if there is no room.
    pub(super) fn push_painted(&mut self, painted: &str, cells: usize) {
        if cells <= self.left {
            self.text.push_str(painted);
            self.left -= cells;
        }
    }

    /// So far; what follows may be as wide as it likes.
    pub(super) fn open(self) -> String {
        self.text
    }

    pub(super) fn finish(self) -> String {
        self.text.trim_end().to_owned()
    }
}
