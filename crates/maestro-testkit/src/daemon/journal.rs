//! Who asked what of an engine, and what came of it.

use crate::daemon::{Daemon, Trouble, lock};
use crate::faults::{Fault, Operation};
use crate::state::{Change, Refusal};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A call that changes an engine, or was to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// When it came, since the fleet's start.
    pub at: Duration,
    /// What was asked.
    pub operation: Operation,
    /// The container's name, or the image.
    pub subject: String,
    /// What came of it.
    pub effect: Effect,
}

/// What came of a call, whatever its caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is under way.
    Pending,
    /// It was done.
    Done,
    /// Nothing was to be done.
    Already,
    /// The engine said no, with this status.
    Refused(u16),
    /// It did not reach the engine, or the engine did not get around to it.
    Nothing,
}

impl Effect {
    pub(crate) fn of(change: Change) -> Self {
        match change {
            Change::Done => Effect::Done,
            Change::Already => Effect::Already,
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation.name(), self.subject)?;
        match self.effect {
            Effect::Done => Ok(()),
            Effect::Pending => f.write_str(" (under way)"),
            Effect::Already => f.write_str(" (already)"),
            Effect::Refused(status) => write!(f, " (refused: {status})"),
            Effect::Nothing => f.write_str(" (nothing)"),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) writes: Vec<Write>,
    pub(crate) calls: BTreeMap<Operation, u64>,
    pub(crate) busiest: usize,
    busy: usize,
}

/// One call under way; over when dropped.
pub(crate) struct Entry<'a> {
    daemon: &'a Daemon,
    write: Option<usize>,
    pub(crate) fault: Option<Fault>,
}

impl Entry<'_> {
    pub(crate) fn close(&mut self, effect: Effect) {
        let Some(index) = self.write.take() else { return };
        if let Some(write) = lock(&self.daemon.journal).writes.get_mut(index) {
            write.effect = effect;
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.close(Effect::Nothing);
        let mut journal = lock(&self.daemon.journal);
        journal.busy = journal.busy.saturating_sub(1);
    }
}

impl Daemon {
    /// Writes a call down and finds out what goes wrong with it.
    pub(crate) fn enter(&self, operation: Operation, subject: &str) -> Result<Entry<'_>, Trouble> {
        let at = self.clock.elapsed();
        let fault = lock(&self.faults).decide(operation, at);
        if matches!(fault, Some(Fault::Dies | Fault::Unreachable)) {
            // Whoever follows a stream notices.
            self.weather_changed();
        }
        let mut journal = lock(&self.journal);
        if fault == Some(Fault::Unreachable) {
            return Err(Trouble::Unreachable);
        }
        *journal.calls.entry(operation).or_default() += 1;
        journal.busy += 1;
        journal.busiest = journal.busiest.max(journal.busy);
        let write = operation.is_write().then(|| {
            let subject = subject.to_owned();
            journal.writes.push(Write { at, operation, subject, effect: Effect::Pending });
            journal.writes.len() - 1
        });
        Ok(Entry { daemon: self, write, fault })
    }

    /// What happens before the call is carried out.
    pub(crate) async fn before(&self, fault: Option<&Fault>, operation: Operation) -> Result<(), Trouble> {
        let pause = lock(&self.latency).of(operation);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        match fault {
            None | Some(Fault::Slow(_) | Fault::DoneButRefused(..) | Fault::DoneButLost | Fault::Dies) => {
                Ok(())
            }
            Some(Fault::Unreachable) => Err(Trouble::Unreachable),
            Some(Fault::Hangs) => Err(Trouble::Hangs),
            Some(Fault::Refused(status, message)) => Err(refusal(*status, message).into()),
            Some(Fault::Lost) => Err(Trouble::Lost),
            Some(Fault::BadLogin) => {
                let edition = self.look(crate::state::Machine::edition);
                Err(edition.pull_unauthorized().into())
            }
        }
    }

    /// What happens after the call was carried out.
    pub(crate) async fn after(&self, fault: Option<&Fault>) -> Result<(), Trouble> {
        match fault {
            Some(Fault::Slow(by)) => {
                tokio::time::sleep(*by).await;
                Ok(())
            }
            Some(Fault::DoneButRefused(status, message)) => Err(refusal(*status, message).into()),
            Some(Fault::DoneButLost | Fault::Dies) => Err(Trouble::Lost),
            _ => Ok(()),
        }
    }
}

fn refusal(status: u16, message: &str) -> Refusal {
    match status {
        404 => Refusal::missing(message),
        409 => Refusal::conflict(message),
        _ => Refusal { status, ..Refusal::failed(message) },
    }
}
