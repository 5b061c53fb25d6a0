//! A run for machines.

use super::printer::Printer;
use super::rows::{RowState, Rows};
use super::status::Output;
use super::{Clock, problems, wire};
use jiff::Timestamp;
use maestro_core::event::{Event, Reporter};

/// One object per line for every event, as it happens.
pub(super) struct Lines {
    printer: Printer,
    clock: Clock,
}

impl Lines {
    pub(super) fn new(printer: Printer, clock: Clock) -> Self {
        Self { printer, clock }
    }
}

impl Reporter for Lines {
    fn event(&mut self, event: &Event) {
        if let Some(line) = wire::Line::new(event, self.clock.now(), self.clock.elapsed()) {
            self.printer.data(&wire::line(&line));
        }
    }
}

/// One document when the run is over. What went wrong is on standard error too, for whoever reads along.
pub(super) struct Document {
    printer: Printer,
    clock: Clock,
    output: Output,
    run: Option<(Rows, Timestamp)>,
}

impl Document {
    pub(super) fn new(printer: Printer, clock: Clock, output: Output) -> Self {
        Self { printer, clock, output, run: None }
    }
}

impl Reporter for Document {
    fn event(&mut self, event: &Event) {
        if let Event::RunStarted { plan } = event {
            self.run = Some((Rows::new(plan.clone(), self.clock.now()), self.clock.began()));
        }
        let at = self.clock.elapsed();
        let Some((rows, began)) = &mut self.run else { return };
        rows.apply(event, at);
        if let Event::RunFinished { .. } = event {
            problems::tell(rows, &self.printer);
            self.printer.data(&match self.output {
                Output::Name => {
                    let done = rows.rows().iter().filter(|row| row.state == RowState::Done);
                    done.fold(String::new(), |text, row| text + row.instance.as_str() + "\n")
                }
                output => wire::one(output, &wire::Run::new(rows, *began, at)),
            });
        }
    }
}
