//! Runs for machines: events as they happen, and the whole of it at the end.

use super::{Error, Plan, ms};
use crate::report::rows::{RowState, Rows};
use jiff::Timestamp;
use maestro_core::boundary::{CallOutcome, Progress};
use maestro_core::event::{Event, News, RunSummary, Skipped, StepOutcome};
use maestro_core::plan::{self, StepId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One line of `--progress json`: something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub at: String,
    /// Time since the command began.
    pub elapsed_ms: u64,
    /// What.
    pub event: Body,
}

/// What happened. `type` tells which; steps are those of the plan in `run_started`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// The run begins.
    RunStarted {
        /// What will be done.
        plan: Plan,
    },
    /// A step begins.
    StepStarted {
        /// Its id.
        step: u32,
    },
    /// A step goes on.
    StepProgress {
        /// Its id.
        step: u32,
        /// How far a pull is.
        pull: Option<Pull>,
        /// A call that failed and is made again.
        retry: Option<Retry>,
    },
    /// A step is over.
    StepFinished {
        /// Its id.
        step: u32,
        /// How it ended.
        outcome: Outcome,
        /// Id of the container that it created.
        container: Option<String>,
        /// Whether a pull brought anything new.
        changed: Option<bool>,
        /// Why it failed.
        error: Option<Error>,
        /// How long it took.
        took_ms: u64,
    },
    /// A step will not be done.
    StepSkipped {
        /// Its id.
        step: u32,
        /// Why.
        because: Skip,
        /// Id of the step whose failure is the cause.
        cause: Option<u32>,
    },
    /// The user asked to stop: nothing new is begun, what is under way is finished.
    Interrupted,
    /// The run is over.
    RunFinished {
        /// How it ended.
        summary: Summary,
    },
}

/// How far a pull is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    /// Bytes downloaded, of layers whose size is known.
    pub current: u64,
    /// Bytes to download, of layers whose size is known.
    pub total: u64,
    /// Mean over all layers seen, 0 to 100.
    pub percent: f32,
    /// Layers complete.
    pub layers_done: usize,
    /// Layers seen.
    pub layers: usize,
}

/// A call that failed and is made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Number of the try that failed, from 1.
    pub attempt: u32,
    /// Why it failed.
    pub error: Error,
    /// How long until the next.
    pub pause_ms: u64,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Done,
    /// Nothing was to be done.
    Already,
    /// Failed.
    Failed,
}

/// Why a step will not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// A step before it failed.
    After,
    /// A step before it in the same unit failed, and that is tolerated.
    Tolerated,
    /// Something failed, and nothing more is begun.
    Halted,
    /// The user asked to stop.
    Interrupted,
}

/// How a run ended, counted over instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Whether the command succeeded.
    pub success: bool,
    /// Everything was done.
    pub done: usize,
    /// Nothing was to be done.
    pub unchanged: usize,
    /// Not as it is to be, and waiting for somebody to decide.
    #[serde(default, skip_serializing_if = "is_none")]
    pub waiting: usize,
    /// Failed, and that does not count.
    pub tolerated: usize,
    /// Failed.
    pub failed: usize,
    /// Not begun because of another failure.
    pub aborted: usize,
    /// Could not be planned.
    pub blocked: usize,
    /// Left because the user asked to stop.
    pub interrupted: usize,
    /// Calls to engines that were cut off: they may still take effect.
    pub abandoned: usize,
    /// How long it took since the command began.
    pub took_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

impl From<&RunSummary> for Summary {
    fn from(summary: &RunSummary) -> Self {
        Self {
            success: summary.is_success(),
            done: summary.done,
            unchanged: summary.unchanged,
            waiting: summary.waiting,
            tolerated: summary.tolerated,
            failed: summary.failed,
            aborted: summary.aborted,
            blocked: summary.blocked,
            interrupted: summary.interrupted,
            abandoned: summary.abandoned,
            took_ms: ms(summary.took),
        }
    }
}

impl From<&Progress> for Pull {
    fn from(progress: &Progress) -> Self {
        Self {
            current: progress.current,
            total: progress.total,
            percent: progress.percent,
            layers_done: progress.layers_done,
            layers: progress.layers,
        }
    }
}

impl Line {
    /// An event that happened at this time, so long after the command began. That time passes is no news.
    pub fn new(event: &Event, at: Timestamp, elapsed: Duration) -> Option<Self> {
        Some(Self { at: format!("{at:.3}"), elapsed_ms: ms(elapsed), event: Body::new(event)? })
    }
}

impl Body {
    fn new(event: &Event) -> Option<Self> {
        Some(match event {
            Event::RunStarted { plan } => Body::RunStarted { plan: (&**plan).into() },
            Event::StepStarted { step } => Body::StepStarted { step: step.0 },
            Event::StepProgress { step, news } => match news {
                News::Pull(progress) => {
                    Body::StepProgress { step: step.0, pull: Some(progress.into()), retry: None }
                }
                News::Retry { attempt, error, pause } => Body::StepProgress {
                    step: step.0,
                    pull: None,
                    retry: Some(Retry { attempt: *attempt, error: error.into(), pause_ms: ms(*pause) }),
                },
            },
            Event::StepFinished { step, outcome, took } => finished(*step, outcome, *took),
            Event::StepSkipped { step, because } => {
                let (because, cause) = match because {
                    Skipped::After(cause) => (Skip::After, Some(cause.0)),
                    Skipped::Tolerated(cause) => (Skip::Tolerated, Some(cause.0)),
                    Skipped::Halted(cause) => (Skip::Halted, Some(cause.0)),
                    Skipped::Interrupted => (Skip::Interrupted, None),
                };
                Body::StepSkipped { step: step.0, because, cause }
            }
            Event::Tick => return None,
            Event::Interrupted => Body::Interrupted,
            Event::RunFinished { summary } => Body::RunFinished { summary: summary.into() },
        })
    }
}

fn finished(step: StepId, outcome: &StepOutcome, took: Duration) -> Body {
    let (word, container, changed, error) = match outcome {
        StepOutcome::Done(CallOutcome::Done) => (Outcome::Done, None, None, None),
        StepOutcome::Done(CallOutcome::Already) => (Outcome::Already, None, None, None),
        StepOutcome::Done(CallOutcome::Created(id)) => (Outcome::Done, Some(id.as_str().into()), None, None),
        StepOutcome::Done(CallOutcome::Pulled { changed }) => (Outcome::Done, None, Some(*changed), None),
        StepOutcome::Failed(failure) => (Outcome::Failed, None, None, Some(failure.into())),
    };
    Body::StepFinished { step: step.0, outcome: word, container, changed, error, took_ms: ms(took) }
}

/// `--output json` of a run: all of it, once it is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The environment's name.
    pub environment: String,
    /// The command, such as `start`.
    pub command: String,
    /// When the command began.
    pub began_at: String,
    /// How it ended.
    pub summary: Summary,
    /// One per selected instance, in the order of the command.
    pub instances: Vec<Instance>,
    /// How long each ship had something to do, the slowest first.
    pub ships: Vec<ShipTime>,
}

/// What became of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The instance.
    pub instance: String,
    /// Its service.
    pub service: String,
    /// Its ship.
    pub ship: String,
    /// Its image, as the file names it.
    pub image: String,
    /// Id of its container.
    pub container: Option<String>,
    /// `done`, `unchanged`, `held`, `tolerated`, `failed`, `aborted`, `blocked` or `interrupted`.
    pub state: String,
    /// The same as the table says it, such as `started`, `up for 3m2s`, `failed!`.
    pub text: String,
    /// What went wrong.
    pub error: Option<Error>,
    /// When its first own step began, since the command began.
    pub began_ms: Option<u64>,
    /// When it was over, since the command began.
    pub ended_ms: Option<u64>,
}

/// How long a ship had something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipTime {
    /// The ship.
    pub ship: String,
    /// How long at least one step ran on it.
    pub busy_ms: u64,
}

impl Run {
    /// The state of a run, usually at its end.
    pub fn new(rows: &Rows, began_at: Timestamp, took: Duration) -> Self {
        let plan: &plan::Plan = rows.plan();
        let instances = rows.rows().iter().zip(&plan.items).map(|(row, item)| Instance {
            instance: row.instance.as_str().into(),
            service: row.service.as_str().into(),
            ship: row.ship.as_str().into(),
            image: item.image.as_str().into(),
            container: row.container_id().map(|id| id.as_str().into()),
            state: state(row.state).into(),
            text: row.results.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>().join(" "),
            error: row.trouble.as_ref().map(Error::from),
            began_ms: row.began.map(ms),
            ended_ms: row.ended.map(ms),
        });
        Self {
            environment: plan.environment.clone(),
            command: plan.intent.name().into(),
            began_at: format!("{began_at:.3}"),
            summary: (&rows.summary(took)).into(),
            instances: instances.collect(),
            ships: rows
                .busy()
                .into_iter()
                .map(|(ship, busy)| ShipTime { ship: ship.as_str().into(), busy_ms: ms(busy) })
                .collect(),
        }
    }
}

fn state(state: RowState) -> &'static str {
    match state {
        RowState::Waiting => "waiting",
        RowState::Working => "working",
        RowState::Done => "done",
        RowState::Unchanged => "unchanged",
        RowState::Held => "held",
        RowState::Tolerated => "tolerated",
        RowState::Failed => "failed",
        RowState::Aborted => "aborted",
        RowState::Blocked => "blocked",
        RowState::Interrupted => "interrupted",
    }
}
