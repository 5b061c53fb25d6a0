//! What ends a command early, said to the operator.

use super::{apply, telling};
use crate::audit::Missed;
use crate::ledger::LeaseError;
use crate::report::findings::warn;
use crate::report::{ErrorReport, Printer, list};
use crate::secrets::Unfetched;
use maestro_core::boundary::{CheckFailure, LedgerError};
use maestro_core::check;
use maestro_core::deployment::{Deployment, JournalError};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::event::Failure;
use maestro_core::history::{HistoryError, NoReturn};
use maestro_core::image::ImageRef;
use maestro_core::model::Frozen;
use maestro_core::names::InstanceName;
use maestro_core::planner::budget::OverBudget;
use maestro_core::preflight::Finding;
use maestro_core::release::DocumentError;
use maestro_core::saved::Moved;
use maestro_core::select::UnknownThing;
use std::process::ExitCode;

/// Somebody else has the lease, or has taken it away before anything was changed.
pub(super) const HELD: u8 = 5;
/// Where a plan does not fit any more, or something else is not as it was agreed to.
const STALE: u8 = 6;

/// Why a command could not do what it was asked. Failures within a run are not among these: a run reports them.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The environment has errors; they have been shown where somebody wants to see them.
    #[error("the environment has errors")]
    Environment,
    /// A name means nothing.
    #[error(transparent)]
    Unknown(#[from] UnknownThing),
    /// A name is no instance.
    #[error("{thing} is no instance")]
    NoInstance {
        /// The name.
        thing: String,
        /// The instance whose name is most like it.
        nearest: Option<String>,
    },
    /// A name is that of a service, where an instance is wanted.
    #[error("{service} is a service, not an instance")]
    Service {
        /// The service.
        service: String,
        /// Its instances.
        instances: Vec<String>,
    },
    /// `stop` or `kill` without names and without `--all`.
    #[error("nothing to {0} was named, and --all was not given")]
    NothingNamed(&'static str),
    /// An option has a value that means nothing.
    #[error("{0}")]
    Usage(String),
    /// Ships might run different contents of one image.
    #[error("nothing has been done: no registry tells which content {image} is, and {why}")]
    Unresolved {
        /// The image.
        image: ImageRef,
        /// How the ships differ.
        why: String,
        /// What the registry, or an engine on its behalf, said.
        error: Box<EngineError>,
    },
    /// Nothing may be changed now.
    #[error("nothing has been done: {0}")]
    Frozen(Frozen),
    /// Too much would be down at once.
    #[error("nothing has been done: {0}")]
    OverBudget(OverBudget),
    /// A deployment would fail, or do harm.
    #[error("nothing has been done: this would not come to a good end")]
    Preflight(Vec<Finding>),
    /// Something that runs would be stopped, and nobody can be asked. The text says what.
    #[error("nobody can be asked, and nothing has been done: {0}")]
    Unconfirmed(String),
    /// The user said no.
    #[error("nothing has been done")]
    Declined,
    /// A saved plan does not fit any more; this has moved.
    #[error("the plan is stale, and nothing has been done")]
    Stale(Vec<Moved>),
    /// Somebody else is deploying, or the lease could not be had.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// What the ships, or etcd, keep cannot be read or written.
    #[error("what is kept of releases and deployments cannot be used")]
    Ledger(
        #[from]
        #[source]
        LedgerError,
    ),
    /// Values of secrets cannot be had.
    #[error("secrets cannot be had: {}", list(&.0.iter().map(|one| one.name.as_str()).collect::<Vec<_>>()))]
    Secrets(Vec<Unfetched>),
    /// What they keep of releases cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// What they keep of a release cannot be read.
    #[error("release {number} cannot be read: {error}")]
    Release {
        /// Its number.
        number: u64,
        /// Why.
        error: DocumentError,
    },
    /// What they keep of the last run cannot be read.
    #[error("the journal of the last deployment cannot be read: {0}")]
    Journal(#[from] JournalError),
    /// A deployment was broken off, and what is asked for would leave a part of it as it is.
    #[error("nothing has been done: `{}` of {} is not finished", .0.doing, .0.by)]
    Unfinished(Box<Deployment>),
    /// A balancer does not send requests where it should; the text says why.
    #[error("{0}")]
    Unbalanced(String),
    /// A lease could not be taken away everywhere; the reasons have been shown.
    #[error("the lease is still there")]
    StillLocked,
    /// What would be recorded could not be read again, together with these services as they were deployed last.
    #[error("nothing has been done: it does not go together with {0} as deployed last")]
    Unkept(String),
    /// There is nothing to go on with.
    #[error("no deployment is unfinished")]
    NothingUnfinished,
    /// What was to be gone on with, or back from, is not what was shown.
    #[error("nothing has been done: what is not finished has changed in the meantime, and is `{}` of {} now", .0.doing, .0.by)]
    Changed(Box<Deployment>),
    /// There is no release to go back to.
    #[error("there is no release to go back to")]
    NothingBefore,
    /// The current release is damaged, so nobody knows which one was before it.
    #[error("nothing has been done: what was before release {0} is not known")]
    Unlisted(u64),
    /// There is no way back.
    #[error(transparent)]
    NoReturn(#[from] NoReturn),
    /// Somebody has deployed in the meantime.
    #[error("nothing has been done: {by} has deployed release {number} in the meantime")]
    Overtaken {
        /// The release.
        number: u64,
        /// Who.
        by: String,
    },
    /// A check cannot be made at all.
    #[error("the check {} of {instance} cannot be made: {}; no container was touched", failure.check, failure.last)]
    Unprepared {
        /// The instance that is checked.
        instance: InstanceName,
        /// What is in the way.
        failure: CheckFailure,
    },
    /// The user wanted no more of something that only reads.
    #[error("interrupted")]
    LeftOff,
    /// The user wanted no more of it before anything was begun.
    #[error("interrupted: no container was touched")]
    Interrupted,
    /// The same, later.
    #[error("interrupted while auditors were told: no container was touched")]
    InterruptedTelling,
    /// Auditors that could not be told what was to be done.
    #[error("auditors could not be told")]
    Unannounced(Vec<Missed>),
    /// An engine said no, or nothing.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The planner made a plan that must not be carried out.
    #[error("this is a bug in Maestro, please report it; nothing has been done: {0}")]
    UnsoundPlan(check::Finding),
    /// The terminal could not be used.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] std::io::Error),
    /// What was to be printed is lost.
    #[error("standard output cannot be written to")]
    Output(#[source] std::io::Error),
}

impl Fault {
    /// Whether what was asked for was wrong, so that nothing was tried.
    pub(super) fn is_wrong_input(&self) -> bool {
        matches!(
            self,
            Fault::Environment
                | Fault::Unknown(_)
                | Fault::NoInstance { .. }
                | Fault::Service { .. }
                | Fault::NothingNamed(_)
                | Fault::Unconfirmed(_)
                | Fault::Frozen(_)
                | Fault::OverBudget(_)
                | Fault::NoReturn(_)
                | Fault::Secrets(_)
                | Fault::Usage(_)
        )
    }

    /// The exit code of commands that maestro-ng did not have.
    pub(super) fn code(&self) -> ExitCode {
        match self {
            Fault::Lease(LeaseError::Held(_)) | Fault::Ledger(LedgerError::Fenced(_)) => ExitCode::from(HELD),
            Fault::Stale(_) | Fault::Overtaken { .. } | Fault::Changed(_) => ExitCode::from(STALE),
            fault if fault.is_wrong_input() => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }

    pub(super) fn print(&self, printer: &Printer) {
        if let Some(report) = self.report(printer) {
            report.print(printer);
        }
    }

    /// Says it where another fault is what the command ends with.
    pub(super) fn warn(&self, printer: &Printer) {
        if let Some(report) = self.report(printer) {
            report.warning().print(printer);
        }
    }

    /// What is to be said; none if that has been done. Where it is about several things, they are printed here.
    fn report(&self, printer: &Printer) -> Option<ErrorReport> {
        let report = match self {
            Fault::Environment => return None,
            Fault::Engine(error) => ErrorReport::from(error),
            Fault::Unknown(UnknownThing { nearest, .. }) | Fault::NoInstance { nearest, .. } => {
                let report = ErrorReport::of(self);
                match nearest {
                    Some(name) => report.hint(format!("did you mean `{name}`?")),
                    None => report.hint("`maestro status --output name` lists the instances"),
                }
            }
            Fault::Service { instances, .. } => match &instances[..] {
                [] => ErrorReport::of(self).hint("it has no instances"),
                instances => ErrorReport::of(self).hint(format!("choose one of {}", list(instances))),
            },
            Fault::NothingNamed(verb) => {
                ErrorReport::of(self).hint(format!("`maestro {verb} --all` means everything"))
            }
            Fault::Unresolved { error, .. } => {
                let report = ErrorReport::of(self).note(error.to_string());
                match error.kind.hint() {
                    Some(hint) => report.hint(hint),
                    None if matches!(error.kind, EngineErrorKind::NotFound(_)) => {
                        report.hint("is the name right, and has it been pushed?")
                    }
                    None => report.hint("try again when the registry answers, or have the image on every ship first"),
                }
            }
            Fault::Frozen(_) => ErrorReport::of(self)
                .hint("what cannot wait: `maestro --despite-freeze REASON …`; or change `freeze:` of the file"),
            Fault::OverBudget(_) => ErrorReport::of(self).hint(
                "take fewer at a time, or bring up what is down first; `maestro --despite-budget REASON …` does it all \
                 the same",
            ),
            Fault::Preflight(findings) => {
                warn(printer, findings);
                ErrorReport::of(self)
                    .hint("`maestro doctor` looks again, and `maestro plan deploy` shows what would be done")
                    .hint("where that is wrong, `maestro --despite-preflight REASON deploy …` does it all the same")
            }
            Fault::Unbalanced(_) => {
                ErrorReport::of(self).hint("`maestro balancers` shows what every front end serves")
            }
            Fault::Unkept(others) => ErrorReport::of(self).hint(format!("deploy {others} together with it")),
            Fault::Stale(moved) => apply::stale(moved),
            Fault::Lease(LeaseError::Held(_)) => ErrorReport::of(self)
                .hint("`--wait-lease 5m` waits")
                .hint("`maestro unlock` takes the lease away from whoever cannot give it back"),
            Fault::Ledger(lost @ LedgerError::Fenced(_)) => ErrorReport::from(&Failure::Fenced(lost.clone())),
            Fault::Lease(LeaseError::Ledger(error)) | Fault::Ledger(error) => {
                error.hint().into_iter().fold(ErrorReport::of(self), ErrorReport::hint)
            }
            Fault::Unfinished(_) => ErrorReport::of(self)
                .hint("`maestro resume` goes on with it, `maestro abort` goes back")
                .hint("a deployment of the same services takes its place"),
            Fault::NoReturn(_) | Fault::Unlisted(_) => {
                ErrorReport::of(self).hint("`maestro releases` lists what is kept")
            }
            Fault::Overtaken { .. } | Fault::Changed(_) => {
                ErrorReport::of(self).hint("look at `maestro releases`, and ask again")
            }
            Fault::Unconfirmed(_) => {
                ErrorReport::of(self).hint("`--yes` means it; `maestro plan` shows it in full")
            }
            Fault::Secrets(unfetched) => {
                for one in unfetched {
                    ErrorReport::of(one).print(printer);
                }
                return None;
            }
            Fault::Unannounced(missed) => {
                for missed in missed {
                    telling::unannounced(missed).print(printer);
                }
                return None;
            }
            Fault::Usage(_)
            | Fault::LeftOff
            | Fault::Lease(LeaseError::LeftOff)
            | Fault::Declined
            | Fault::Unprepared { .. }
            | Fault::Interrupted
            | Fault::InterruptedTelling
            | Fault::History(_)
            | Fault::Release { .. }
            | Fault::Journal(_)
            | Fault::NothingUnfinished
            | Fault::NothingBefore
            | Fault::StillLocked
            | Fault::UnsoundPlan(_)
            | Fault::Terminal(_)
            | Fault::Output(_) => ErrorReport::of(self),
        };
        Some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is lost before anything was changed is somebody else's now; what cannot be read is nobody's.
    #[test]
    fn a_lost_lease_is_somebody_elses() {
        let lost = Fault::Ledger(LedgerError::Fenced("ada took it over".to_owned()));
        assert_eq!(lost.code(), ExitCode::from(HELD));
        assert_eq!(Fault::Ledger(LedgerError::NoJournal).code(), ExitCode::FAILURE);
    }
}
