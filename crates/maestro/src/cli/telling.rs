//! Auditors and commands that act: told before anything is begun, then of everything that happens.

use super::Fault;
use crate::audit::{Audience, Auditors, Missed, who};
use crate::report::{ErrorReport, Printer, diagnostics};
use maestro_core::audit::Play;
use maestro_core::event::{Event, Failure, Reporter, StepOutcome};
use maestro_core::model::Environment;
use maestro_core::plan::{Intent, Plan};
use std::future::pending;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long auditors may still take when the user has pressed Ctrl-C twice.
const HURRY: Duration = Duration::from_secs(1);

/// One command, as its auditors hear of it.
pub(super) struct Telling {
    play: Play,
    audience: Audience,
    /// Whether the user wants to wait for nothing any more.
    hurried: bool,
}

impl Telling {
    /// Announces what will be done; the first plan has everything that it is about.
    ///
    /// # Errors
    /// An auditor that could not be told and whose errors count, and the interrupt: nothing may be begun then. Where
    /// `lenient` is where to say so, nobody whom auditors do not hear of is kept from anything.
    pub(super) async fn begin(
        environment: &Environment,
        intent: &Intent,
        first: &Plan,
        lenient: Option<&Printer>,
        interrupts: &mut mpsc::UnboundedReceiver<()>,
    ) -> Result<Self, Fault> {
        let auditors = Auditors::of(environment);
        let play = Play::new(environment, intent, first, who());
        let (audience, missed) = match play.begins().filter(|_| !auditors.is_empty()) {
            None => (Audience::nobody(), Vec::new()),
            Some(announcement) => tokio::select! {
                told = auditors.announce(&announcement, play.most()) => told,
                Some(()) = interrupts.recv() => return Err(Fault::InterruptedTelling),
            },
        };
        match lenient {
            None if !missed.is_empty() => return Err(Fault::Unannounced(missed)),
            None => {}
            Some(printer) => missed.iter().for_each(|missed| report(missed).warning().print(printer)),
        }
        Ok(Self { play, audience, hurried: false })
    }

    /// Passes events on, and tells of them.
    pub(super) fn listen<'a>(&'a mut self, inner: &'a mut dyn Reporter) -> Listening<'a> {
        Listening { telling: self, inner }
    }

    /// Waits until everybody has heard everything, within limits, and says who has not.
    pub(super) async fn end(
        mut self,
        outcome: Result<(), &Fault>,
        printer: &Printer,
        interrupts: &mut mpsc::UnboundedReceiver<()>,
    ) {
        let interrupted = matches!(outcome, Err(Fault::Interrupted | Fault::LeftOff));
        if let Err(fault) = outcome {
            let end = self.play.breaks_off((!interrupted).then(|| fault.to_string()));
            if let Some(notification) = end {
                self.audience.tell(&notification);
            }
        }
        let patience = if self.hurried { HURRY } else { Duration::MAX };
        // The interrupt that ended the command while it only looked comes here as well, now or in a moment.
        let enough = async {
            for _ in 0..=usize::from(interrupted) {
                let Some(()) = interrupts.recv().await else { return pending().await };
            }
        };
        tokio::select! {
            () = self.audience.close(patience) => {}
            () = enough => {}
        }
        for missed in self.audience.missed() {
            report(&missed).warning().print(printer);
        }
    }
}

/// What is to be said about an auditor that was not told something.
fn report(missed: &Missed) -> ErrorReport {
    let count = diagnostics::plural(missed.count, "notification");
    let mut report = ErrorReport::new(format!("{} did not get {count}", missed.auditor));
    report.causes.extend(missed.because.clone());
    if missed.because.is_none() {
        report = report.note("there was no time left");
    }
    report
}

/// An auditor without which nothing was begun.
pub(super) fn unannounced(missed: &Missed) -> ErrorReport {
    let mut report = ErrorReport::new(format!("{} could not be told: nothing was done", missed.auditor));
    report.causes.extend(missed.because.clone());
    report.hint("`ignore_errors: true` lets commands go on without it")
}

/// A reporter in front of another one.
pub(super) struct Listening<'a> {
    telling: &'a mut Telling,
    inner: &'a mut dyn Reporter,
}

impl Reporter for Listening<'_> {
    fn event(&mut self, event: &Event) {
        if let Event::StepFinished { outcome: StepOutcome::Failed(Failure::Interrupted), .. } = event {
            self.telling.hurried = true;
        }
        if !self.telling.audience.is_empty() {
            for notification in self.telling.play.hear(event) {
                self.telling.audience.tell(&notification);
            }
        }
        self.inner.event(event);
    }
}
