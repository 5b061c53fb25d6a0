//! A run in a pipe: maestro-ng's lines, one whole line for every change, never redrawn.

use super::Clock;
use super::printer::{Printer, Stream};
use super::problems;
use super::rows::Rows;
use super::table::Columns;
use maestro_core::event::{Event, News, Reporter};
use maestro_core::plan::StepId;
use std::collections::BTreeMap;

pub(super) struct Plain {
    printer: Printer,
    clock: Clock,
    columns: Columns,
    rows: Option<Rows>,
    /// What was last printed of each row.
    last: Vec<Line>,
    /// Tenths of a pull that were told; every tenth is one line.
    tenths: BTreeMap<StepId, u8>,
}

/// A line in its two parts. The first is made once; two steps with the same words are one line.
#[derive(Clone, Default)]
struct Line {
    beginning: String,
    rest: String,
}

impl Plain {
    pub(super) fn new(printer: Printer, clock: Clock) -> Self {
        let columns = Columns::of(printer.capabilities().columns);
        Self { printer, clock, columns, rows: None, last: Vec::new(), tenths: BTreeMap::new() }
    }

    /// Whether a line is due. A pull for many instances is told on the line of the first.
    fn is_due(&mut self, event: &Event, changed: &mut Vec<usize>) -> bool {
        let Event::StepProgress { step, news: News::Pull(progress) } = event else { return true };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=10")]
        let tenth = (progress.percent / 10.0).clamp(0.0, 10.0) as u8;
        let told = self.tenths.entry(*step).or_default();
        changed.truncate(1);
        let due = tenth > *told;
        *told = tenth.max(*told);
        due
    }
}

impl Reporter for Plain {
    fn event(&mut self, event: &Event) {
        if let Event::RunStarted { plan } = event {
            self.last = vec![Line::default(); plan.items.len()];
            self.rows = Some(Rows::new(plan.clone(), self.clock.now()));
            self.printer.data(&(self.columns.header() + "\n"));
        }
        if let Event::Tick = event {
            return;
        }
        let at = self.clock.elapsed();
        let Some(mut rows) = self.rows.take() else { return };
        let mut changed = rows.apply(event, at);
        if self.is_due(event, &mut changed) {
            let paint = self.printer.paint(Stream::Out);
            let mut text = String::new();
            for row in changed {
                let (Some(row), Some(last)) = (rows.rows().get(row), self.last.get_mut(row)) else {
                    continue;
                };
                let rest = Columns::rest(row, paint);
                let is_first = last.beginning.is_empty();
                if is_first || rest != last.rest {
                    if is_first {
                        last.beginning = self.columns.beginning(row, paint);
                    }
                    text.push_str(&last.beginning);
                    text.push_str(&rest);
                    text.push('\n');
                    last.rest = rest;
                }
            }
            self.printer.data(&text);
        }
        match event {
            Event::Interrupted => {
                self.printer.talk("interrupted: finishing what is under way; Ctrl-C again stops at once");
            }
            Event::RunFinished { .. } => {
                problems::tell(&rows, &self.printer);
                problems::tell_summary(&rows, &self.printer);
            }
            _ => {}
        }
        self.rows = Some(rows);
    }
}
