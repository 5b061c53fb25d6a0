//! A run on a terminal: one table, redrawn in place while it happens, that remains when it is over.
//!
//! Drawn when something happens, and at every tick of the executor for what only time changes, at most fifteen times a
//! second. Everything about the terminal is [`Screen`](super::screen::Screen)'s.

mod layout;
#[cfg(test)]
mod tests;

use super::printer::{Printer, Stream};
use super::rows::{Row, Rows};
use super::signs::Signs;
use super::text::wrapped;
use super::{Clock, problems};
use layout::Layout;
use maestro_core::event::{Event, Reporter};
use std::time::Duration;

/// Between two frames at least.
const FRAME: Duration = Duration::from_millis(66);

pub(super) struct Live {
    printer: Printer,
    clock: Clock,
    run: Option<Run>,
}

struct Run {
    rows: Rows,
    /// Rows in the order in which they came to their end.
    recent: Vec<usize>,
    drawn: Option<Duration>,
}

impl Live {
    pub(super) fn new(printer: Printer, clock: Clock) -> Self {
        Self { printer, clock, run: None }
    }

    fn signs(&self) -> Signs {
        Signs { paint: self.printer.paint(Stream::Out), unicode: self.printer.capabilities().unicode }
    }

    fn frame(&mut self, at: Duration) {
        let signs = self.signs();
        let Some(run) = &mut self.run else { return };
        run.drawn = Some(at);
        let (columns, height) = self.printer.size();
        let layout = Layout::of(&run.rows, columns, signs);
        self.printer.draw(layout.frame(&run.rows, &run.recent, at, height), columns);
    }

    /// The whole table, then what went wrong, then one line that sums it up.
    fn finish(&mut self) {
        let signs = self.signs();
        let Some(run) = self.run.take() else { return };
        let (columns, _) = self.printer.size();
        let layout = Layout::of(&run.rows, columns, signs);
        self.printer.draw(layout.table(&run.rows), columns);
        self.printer.keep();
        problems::tell(&run.rows, &self.printer);
        let (tone, text) = problems::summary(&run.rows);
        let text = wrapped(&text, columns.saturating_sub(1));
        self.printer.data(&(signs.paint.tone(tone, &text) + "\n"));
    }
}

impl Reporter for Live {
    fn event(&mut self, event: &Event) {
        if let Event::RunStarted { plan } = event {
            let rows = Rows::new(plan.clone(), self.clock.now());
            self.run = Some(Run { rows, recent: Vec::new(), drawn: None });
        }
        let at = self.clock.elapsed();
        let Some(run) = &mut self.run else { return };
        let changed = run.rows.apply(event, at);
        if let Event::RunFinished { .. } = event {
            self.finish();
            return;
        }
        // A row comes to its end once; of those that have done so before the beginning, trouble is news.
        let at_once = matches!(event, Event::RunStarted { .. });
        let rows = run.rows.rows();
        let is_news = |row: &Row| if at_once { row.trouble.is_some() } else { row.state.is_final() };
        run.recent.extend(changed.into_iter().filter(|at| rows.get(*at).is_some_and(is_news)));
        // Whoever has pressed a key wants to see that at once.
        let now = matches!(event, Event::Interrupted);
        if now || run.drawn.is_none_or(|drawn| at.saturating_sub(drawn) >= FRAME) {
            self.frame(at);
        }
    }
}

impl Drop for Live {
    /// A run that ends without saying so, by a panic, leaves its last frame; what is said about it comes below.
    fn drop(&mut self) {
        if self.run.is_some() {
            self.printer.keep();
        }
    }
}
