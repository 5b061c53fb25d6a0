//! What follows from how a change was carried out. Decided here, and nowhere else.

use crate::cli::act::Carried;
use maestro_core::model::Remedy;

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequel {
    /// It is done but for what waits until somebody decides.
    Waits,
    /// It is done.
    Done,
    /// Nothing was changed, and nothing is left to be finished.
    Untouched,
    /// Nothing was changed, and what was unfinished before still is.
    Unfinished,
    /// Nothing was changed, and the lease is somebody else's: so is what there is to be said and done about it.
    Lost,
    /// What failed is taken back.
    GoesBack,
    /// It stays as far as it came, until somebody decides.
    Stays,
}

impl Sequel {
    /// After a change that found a deployment unfinished, or found none. `remedy` is what the services want that failed;
    /// none where there is no way back.
    pub(super) fn of(carried: &Carried, unfinished: bool, remedy: Option<Remedy>) -> Self {
        let summary = &carried.summary;
        // Nothing is over before what was abandoned is.
        if summary.is_success() && summary.abandoned == 0 {
            return if summary.waiting > 0 { Sequel::Waits } else { Sequel::Done };
        }
        if !carried.touched {
            return match (carried.fenced, unfinished) {
                (true, _) => Sequel::Lost,
                (false, true) => Sequel::Unfinished,
                (false, false) => Sequel::Untouched,
            };
        }
        // Whoever has interrupted it decides himself. A call that may still happen could undo what is taken back. Without
        // the lease there is no way that could be gone.
        let is_free = !carried.interrupted && summary.abandoned == 0 && !carried.fenced;
        // What cannot be seen, or was left out by the interrupt, is no failure of what is deployed.
        if summary.failed > 0 && is_free && remedy == Some(Remedy::Rollback) {
            Sequel::GoesBack
        } else {
            Sequel::Stays
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_core::event::RunSummary;
    use std::collections::BTreeSet;

    const BACK: Option<Remedy> = Some(Remedy::Rollback);

    /// Containers were changed.
    fn carried(summary: RunSummary) -> Carried {
        Carried {
            summary,
            touched: true,
            interrupted: false,
            fenced: false,
            failed: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            trials: Vec::new(),
        }
    }

    fn failed() -> Carried {
        carried(RunSummary { done: 1, failed: 1, aborted: 1, ..RunSummary::default() })
    }

    #[test]
    fn what_went_well_is_done_unless_something_waits() {
        let done = carried(RunSummary { done: 2, ..RunSummary::default() });
        assert_eq!(Sequel::of(&done, false, BACK), Sequel::Done);
        assert_eq!(Sequel::of(&done, true, BACK), Sequel::Done);
        // Who comes too late with his interrupt has not kept anything from being done.
        assert_eq!(Sequel::of(&Carried { interrupted: true, ..done }, false, BACK), Sequel::Done);
        let waits = carried(RunSummary { done: 1, waiting: 1, ..RunSummary::default() });
        assert_eq!(Sequel::of(&waits, false, BACK), Sequel::Waits);
        let abandoned = carried(RunSummary { done: 2, abandoned: 1, ..RunSummary::default() });
        assert_eq!(Sequel::of(&abandoned, false, BACK), Sequel::Stays);
    }

    #[test]
    fn what_failed_is_taken_back_where_its_services_want_that() {
        assert_eq!(Sequel::of(&failed(), false, BACK), Sequel::GoesBack);
        assert_eq!(Sequel::of(&failed(), true, BACK), Sequel::GoesBack);
        for remedy in [None, Some(Remedy::Pause), Some(Remedy::Continue)] {
            assert_eq!(Sequel::of(&failed(), false, remedy), Sequel::Stays, "{remedy:?}");
        }
        assert_eq!(Sequel::of(&Carried { fenced: true, ..failed() }, false, BACK), Sequel::Stays);
        let blocked = carried(RunSummary { done: 1, blocked: 1, ..RunSummary::default() });
        assert_eq!(Sequel::of(&blocked, false, BACK), Sequel::Stays, "ships that are down come back");
    }

    /// An instance that failed counts as failed, whatever of it was cut off besides.
    #[test]
    fn nobody_goes_back_who_was_interrupted() {
        assert_eq!(Sequel::of(&Carried { interrupted: true, ..failed() }, false, BACK), Sequel::Stays);
        let mut abandoned = failed();
        abandoned.summary.abandoned = 1;
        assert_eq!(Sequel::of(&abandoned, false, BACK), Sequel::Stays);
    }

    /// A ship that is down leaves what is unfinished unfinished, whether or not there was anything else to be done.
    #[test]
    fn what_changed_nothing_leaves_what_it_found() {
        let blocked = RunSummary { blocked: 2, ..RunSummary::default() };
        for summary in [blocked, failed().summary] {
            let untouched = || Carried { touched: false, ..carried(summary.clone()) };
            assert_eq!(Sequel::of(&untouched(), false, BACK), Sequel::Untouched);
            assert_eq!(Sequel::of(&untouched(), true, BACK), Sequel::Unfinished);
            let lost = Carried { fenced: true, ..untouched() };
            assert_eq!(Sequel::of(&lost, true, BACK), Sequel::Lost);
        }
    }
}
