//! The only language in which a run talks to people and machines.

use crate::boundary::{CallOutcome, CheckFailure, LedgerError, Progress};
use crate::engine_error::{EngineError, EngineErrorKind};
use crate::plan::{Condition, OnFailure, Plan, StepId};
use std::sync::Arc;
use std::time::Duration;

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// What will be done; reporters draw their rows from it.
        plan: Arc<Plan>,
    },
    /// A step begins.
    StepStarted {
        /// Which.
        step: StepId,
    },
    /// A step goes on.
    StepProgress {
        /// Which.
        step: StepId,
        /// How far it is.
        news: News,
    },
    /// A step is over.
    StepFinished {
        /// Which.
        step: StepId,
        /// How it ended.
        outcome: StepOutcome,
        /// How long it took.
        took: Duration,
    },
    /// A step will not be done.
    StepSkipped {
        /// Which.
        step: StepId,
        /// Why.
        because: Skipped,
    },
    /// Time has passed: what shows durations may be drawn again.
    Tick,
    /// The first interrupt: nothing new is begun, what is under way is finished.
    Interrupted,
    /// The run is over.
    RunFinished {
        /// How it ended.
        summary: RunSummary,
    },
}

/// What a step has to say while it is under way.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A pull goes on.
    Pull(Progress),
    /// A call failed and is made again.
    Retry {
        /// Number of the try that failed, from 1.
        attempt: u32,
        /// Why it failed.
        error: EngineError,
        /// How long until the next.
        pause: Duration,
    },
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// With success.
    Done(CallOutcome),
    /// Without.
    Failed(Failure),
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The engine said no, or nothing.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A check did not pass.
    #[error(transparent)]
    Check(#[from] CheckFailure),
    /// A container did not get into a state in time.
    #[error("{container} was not {condition} after {} s: it is {found}", within.as_secs_f64())]
    NotReached {
        /// The container's name.
        container: String,
        /// The state.
        condition: Condition,
        /// How long was waited.
        within: Duration,
        /// What it is instead, such as `exited with code 1`.
        found: String,
    },
    /// A container did not stay in a state while checks ran.
    #[error("{container} did not stay {condition}: it is {found}")]
    NotKept {
        /// The container's name.
        container: String,
        /// The state.
        condition: Condition,
        /// What it is instead.
        found: String,
    },
    /// A balancer does not send requests where it should. The text says why.
    #[error("{0}")]
    Unbalanced(String),
    /// A hook did not come to a good end.
    #[error("{hook}, `{command}`, failed: {because}")]
    Hook {
        /// Which.
        hook: String,
        /// What was run.
        command: String,
        /// How it ended.
        because: String,
    },
    /// Whoever carries the plan out has lost the right to; it was not begun.
    #[error(transparent)]
    Fenced(#[from] LedgerError),
    /// The second interrupt cut it off; whether it happened is not known.
    #[error("interrupted")]
    Interrupted,
    /// A defect of Maestro itself.
    #[error("this is a bug in Maestro, please report it: {0}")]
    Internal(String),
}

/// What the end of a step means for its unit and for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded, or its failure changes nothing.
    GoesOn,
    /// It failed, and only the rest of its unit is skipped.
    Tolerated,
    /// It failed.
    Failed,
    /// The user cut it off.
    CutOff,
}

impl Failure {
    /// What it means for a step with this policy.
    pub fn verdict(&self, policy: OnFailure) -> Verdict {
        match (self, policy) {
            (Failure::Interrupted, _) => Verdict::CutOff,
            (Failure::Fenced(_), _) => Verdict::Failed,
            (_, OnFailure::Fail) => Verdict::Failed,
            (_, OnFailure::Tolerate) => Verdict::Tolerated,
            (failure, OnFailure::TolerateIfRunning) if failure.leaves_running() => Verdict::Tolerated,
            (_, OnFailure::TolerateIfRunning) => Verdict::Failed,
            (_, OnFailure::GoOn) => Verdict::GoesOn,
        }
    }

    /// Whether it shows that a container which was to be stopped runs on: the engine said no to that very call, it
    /// was not asked because of a check, or the container was seen to run.
    fn leaves_running(&self) -> bool {
        match self {
            Failure::Engine(error) => {
                !error.ambiguous
                    && !error.kind.is_about_ship()
                    && !matches!(error.kind, EngineErrorKind::NotFound(_))
            }
            Failure::Check(_) => true,
            Failure::NotReached { condition, .. } => *condition == Condition::NotRunning,
            Failure::NotKept { .. }
            | Failure::Fenced(_)
            | Failure::Unbalanced(_)
            | Failure::Hook { .. }
            | Failure::Interrupted
            | Failure::Internal(_) => false,
        }
    }
}

impl StepOutcome {
    /// What it means for a step with this policy.
    pub fn verdict(&self, policy: OnFailure) -> Verdict {
        match self {
            StepOutcome::Done(_) => Verdict::GoesOn,
            StepOutcome::Failed(failure) => failure.verdict(policy),
        }
    }
}

/// Why a step will not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// A step before it failed.
    After(StepId),
    /// A step before it in the same unit failed, and that is tolerated.
    Tolerated(StepId),
    /// Something failed, and the policy is to begin nothing more.
    Halted(StepId),
    /// The user interrupted the run.
    Interrupted,
}

/// How a run ended, counted over instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// Instances for which everything was done.
    pub done: usize,
    /// Instances for which nothing was to be done.
    pub unchanged: usize,
    /// Instances that wait for others to be tried, and for somebody to decide.
    pub waiting: usize,
    /// Instances whose failure is tolerated.
    pub tolerated: usize,
    /// Instances that failed.
    pub failed: usize,
    /// Instances that were not begun because of another failure.
    pub aborted: usize,
    /// Instances that could not be planned.
    pub blocked: usize,
    /// Instances left because of an interrupt.
    pub interrupted: usize,
    /// Calls to engines that a second interrupt cut off: they may still take effect.
    pub abandoned: usize,
    /// How long it took since the command began.
    pub took: Duration,
}

impl RunSummary {
    /// Whether the command succeeded.
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.aborted == 0 && self.blocked == 0 && self.interrupted == 0
    }
}

/// Shows events. Synchronous: a slow terminal slows the run instead of filling memory.
pub trait Reporter: Send {
    /// Takes one event.
    fn event(&mut self, event: &Event);
}
