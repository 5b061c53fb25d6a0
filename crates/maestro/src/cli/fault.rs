//! What ends a command early, said to the operator.

use super::telling;
use crate::audit::Missed;
use crate::report::{ErrorReport, Printer, list};
use maestro_core::boundary::CheckFailure;
use maestro_core::check::Finding;
use maestro_core::engine_error::EngineError;
use maestro_core::image::ImageRef;
use maestro_core::names::InstanceName;
use maestro_core::select::UnknownThing;

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
    /// Something that runs would be stopped, and nobody can be asked. The text says what.
    #[error("nobody can be asked, and nothing has been done: {0}")]
    Unconfirmed(String),
    /// The user said no.
    #[error("nothing has been done")]
    Declined,
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
    #[error("interrupted while the ships were looked at: no container was touched")]
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
    UnsoundPlan(Finding),
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
                | Fault::Usage(_)
        )
    }

    pub(super) fn print(&self, printer: &Printer) {
        let report = match self {
            Fault::Environment => return,
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
            Fault::Unresolved { error, .. } => ErrorReport::of(self)
                .note(error.to_string())
                .hint("try again when the registry answers, or have the image on every ship first"),
            Fault::Unconfirmed(_) => {
                ErrorReport::of(self).hint("`--yes` means it; `maestro plan` shows it in full")
            }
            Fault::Unannounced(missed) => {
                for missed in missed {
                    telling::unannounced(missed).print(printer);
                }
                return;
            }
            Fault::Usage(_)
            | Fault::LeftOff
            | Fault::Declined
            | Fault::Unprepared { .. }
            | Fault::Interrupted
            | Fault::InterruptedTelling
            | Fault::UnsoundPlan(_)
            | Fault::Terminal(_)
            | Fault::Output(_) => ErrorReport::of(self),
        };
        report.print(printer);
    }
}
