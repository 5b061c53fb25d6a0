//! A run of which only the end is told.

use super::Clock;
use super::printer::Printer;
use super::problems;
use super::rows::Rows;
use maestro_core::event::{Event, Reporter};

pub(super) struct Quiet {
    printer: Printer,
    clock: Clock,
    rows: Option<Rows>,
}

impl Quiet {
    pub(super) fn new(printer: Printer, clock: Clock) -> Self {
        Self { printer, clock, rows: None }
    }
}

impl Reporter for Quiet {
    fn event(&mut self, event: &Event) {
        if let Event::RunStarted { plan } = event {
            self.rows = Some(Rows::new(plan.clone(), self.clock.now()));
        }
        let at = self.clock.elapsed();
        let Some(rows) = &mut self.rows else { return };
        rows.apply(event, at);
        if let Event::RunFinished { .. } = event {
            problems::tell(rows, &self.printer);
            problems::tell_summary(rows, &self.printer);
        }
    }
}
