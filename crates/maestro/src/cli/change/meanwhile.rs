//! What others may have done between the first look and the lease.

use super::Change;
use super::recording::{instances, whole};
use crate::cli::kept::Past;
use crate::cli::{Fault, deploy};
use maestro_core::plan::Intent;

/// What a change has to do with a deployment that is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Unfinished {
    /// It is about that.
    Settled,
    /// It takes the place of that, if it means at least the same.
    Replaced,
    /// It is not done beside that.
    Refused,
}

impl Change<'_> {
    /// Whether nothing was done in the meantime that this change does not know of.
    pub(super) fn is_still_so(&self, past: &Past) -> Result<(), Fault> {
        // Of what a dead deployer wrote in too few places, another one may have got the number.
        let (known, current) = (self.past.history.current(), past.history.current());
        if let Some(current) = current
            && self.target.back.is_some()
            && known != Some(current)
        {
            return Err(Fault::Overtaken { number: current.number, by: current.by.clone() });
        }
        let Some(unfinished) = &past.unfinished else {
            return if self.unfinished == Unfinished::Settled {
                Err(Fault::NothingUnfinished)
            } else {
                Ok(())
            };
        };
        if self.unfinished == Unfinished::Settled {
            let is_same = past.unfinished == self.past.unfinished && known == current;
            return if is_same { Ok(()) } else { Err(Fault::Changed(Box::new(unfinished.clone()))) };
        }
        // Whoever deploys all of it again leaves nothing half done.
        let left = unfinished
            .release
            .environment(&self.today.0)
            .ok()
            .and_then(|then| instances(&then, &unfinished.meant(&then, &self.today.0)));
        let mine = instances(self.line.environment(), &self.target.selector).unwrap_or_default();
        let settled = whole(self.line.environment(), &self.target.selector);
        match left {
            Some(left)
                if self.unfinished == Unfinished::Replaced
                    && left.is_subset(&mine)
                    && unfinished.selector.gone.is_subset(&settled) =>
            {
                Ok(())
            }
            _ => Err(Fault::Unfinished(Box::new(unfinished.clone()))),
        }
    }

    /// What is unfinished is what the journal says now: what of it has been run of hooks, what is no good, and that nobody
    /// has seen the rest answer.
    pub(super) fn heed(&mut self, past: &Past) {
        if self.unfinished == Unfinished::Settled {
            return;
        }
        let unfinished = past.unfinished.as_ref();
        self.target.doubtful = deploy::doubtful(unfinished);
        if let Intent::Deploy { ask_again, doubtful, .. } = &mut self.intent {
            *ask_again |= past.is_open();
            doubtful.clone_from(&self.target.doubtful);
        }
        if !self.intent.goes_back() {
            self.intent = self.intent.clone().hooking(self.target.hooking(unfinished));
        }
    }
}
