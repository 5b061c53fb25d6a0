//! One instance in a run: where it stands, and the texts that say so.

use super::texts;
use crate::report::paint::Tone;
use jiff::Timestamp;
use maestro_core::engine_error::EngineError;
use maestro_core::event::Failure;
use maestro_core::image::ImageRef;
use maestro_core::model::Excess;
use maestro_core::names::{ContainerId, InstanceName, ServiceName, ShipName};
use maestro_core::plan::{
    Action, Blocked, EngineCall, Fate, Intent, Item, Plan, Settled, StepId, Target, Unit,
};
use maestro_core::status::elapsed;
use std::time::Duration;

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowState {
    /// Nothing is being done to it yet.
    Waiting,
    /// Something is being done to it, or fetched for it.
    Working,
    /// Everything was done.
    Done,
    /// Nothing was to be done.
    Unchanged,
    /// It is not as it is to be, and waits for somebody to decide.
    Held,
    /// It failed, and that does not count.
    Tolerated,
    /// It failed.
    Failed,
    /// It was not begun because of another failure.
    Aborted,
    /// It could not be planned.
    Blocked,
    /// It was left, or cut off, because the user wanted so.
    Interrupted,
}

impl RowState {
    /// Whether nothing will happen any more.
    pub fn is_final(self) -> bool {
        !matches!(self, RowState::Waiting | RowState::Working)
    }
}

/// A piece of a row's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it says; without control characters.
    pub text: String,
    /// What it means.
    pub tone: Tone,
    /// Cells that it fills at least; maestro-ng pads some results to 10.
    pub cells: usize,
}

impl Piece {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone, cells: 0 }
    }

    /// In a column of 10.
    pub(super) fn result(tone: Tone, text: &str) -> Self {
        Self { text: text.to_owned(), tone, cells: 10 }
    }
}

/// What went wrong with an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A step failed.
    Step(Failure),
    /// Its ship cannot be seen.
    Ship(EngineError),
    /// Its container's name is somebody else's; the text says whose.
    Foreign(String),
    /// Its program could not be started with so many variables.
    Variables(Excess),
    /// More of its service would be down than may be; the text says how many.
    Unavailable(String),
    /// A deployment has left another container in its place.
    HalfDone(String),
    /// No port of a range is free on its ship.
    Ports(String),
    /// It would have to go down, and none of its service may.
    Alone(String),
}

/// One instance in a run.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its number; stop and kill count down.
    pub number: usize,
    /// The instance.
    pub instance: InstanceName,
    /// Its service.
    pub service: ServiceName,
    /// Its ship.
    pub ship: ShipName,
    /// Where it stands.
    pub state: RowState,
    /// The CONTAINER column, once maestro-ng would show it: tag and id.
    pub cell: Option<Piece>,
    /// What is settled, after the cell.
    pub results: Vec<Piece>,
    /// What is being done.
    pub pending: Option<Piece>,
    /// More about what is being done, where a line has room for it.
    pub detail: Option<String>,
    /// How far the pull is that it waits for, in per cent.
    pub percent: Option<f32>,
    /// When its own first step began, since the command began.
    pub began: Option<Duration>,
    /// When it got into its last state.
    pub ended: Option<Duration>,
    /// What went wrong, even if the end was good.
    pub trouble: Option<Trouble>,
    /// What else it was that went wrong, if nothing was done for that reason.
    pub because_of: Option<String>,
    tag: String,
    /// Whether it is stopped for good.
    pub goes: bool,
    /// The image that it is to be of.
    wanted: ImageRef,
    /// The container that has been made for it.
    made: Option<ContainerId>,
    id: Option<ContainerId>,
    running: Vec<StepId>,
    remaining: usize,
    /// Whether the stopping half of a restart is under way or over, and the starting half has not begun.
    stopping: bool,
    /// Steps of the stopping half of a restart that are not over.
    to_stop: usize,
}

impl Row {
    pub(super) fn new(number: usize, plan: &Plan, item: &Item, steps: &[StepId], now: Timestamp) -> Self {
        let seen = item.container.as_ref();
        let mut row = Self {
            number,
            instance: item.instance.clone(),
            service: item.service.clone(),
            ship: item.ship.clone(),
            state: RowState::Waiting,
            cell: None,
            results: Vec::new(),
            pending: None,
            detail: None,
            percent: None,
            began: None,
            ended: None,
            trouble: None,
            because_of: None,
            // An engine's list has an id instead of a name that has moved on to another image.
            tag: seen
                .map(|s| &s.image)
                .filter(|image| image.repository() != "sha256")
                .unwrap_or(&item.image)
                .shown_version()
                .to_owned(),
            goes: item.goes(),
            wanted: item.image.clone(),
            made: None,
            id: seen.map(|s| s.id.clone()),
            running: Vec::new(),
            remaining: 0,
            stopping: false,
            to_stop: 0,
        };
        match &item.fate {
            Fate::Act { .. } => {
                row.remaining = steps.len();
                if matches!(plan.intent, Intent::Restart(_)) {
                    let halves = steps.iter().filter_map(|id| plan.step(*id));
                    row.to_stop = halves
                        .filter(|s| texts::half(&plan.intent, &s.action) == texts::Half::Stopping)
                        .count();
                }
                row.pending = Some(Piece::new(Tone::Plain, "waiting..."));
            }
            Fate::Settled(settled) => row.settle(settled, item, now),
            Fate::Blocked(blocked) => row.block(blocked),
            Fate::Waits { .. } => row.hold(),
        }
        row
    }

    /// The CONTAINER column as it is known now, whether or not maestro-ng would show it already: tag and id.
    pub fn container(&self) -> String {
        format!("{}:{}", self.tag, self.id.as_ref().map_or("-", ContainerId::short))
    }

    /// The container that is there now.
    pub fn container_id(&self) -> Option<&ContainerId> {
        self.id.as_ref()
    }

    fn settle(&mut self, settled: &Settled, item: &Item, now: Timestamp) {
        self.state = RowState::Unchanged;
        let seen = item.container.as_ref();
        let cell = self.container();
        let (cell, result) = match settled {
            Settled::Up => {
                let since = elapsed(seen.and_then(|s| s.started_at), now);
                let up = since.map_or_else(|| "up".to_owned(), |t| format!("up for {t}"));
                let health = texts::health(seen.and_then(|s| s.health));
                (Piece::new(Tone::Calm, cell), Piece::new(Tone::Calm, up + health))
            }
            Settled::Down => (Piece::new(Tone::Plain, cell), Piece::result(Tone::Calm, "down")),
            Settled::UpToDate => (Piece::new(Tone::Plain, cell), Piece::new(Tone::Calm, "up to date")),
            Settled::AsReleased => (Piece::new(Tone::Plain, cell), Piece::new(Tone::Calm, "as released")),
            Settled::Absent => (Piece::new(Tone::Plain, "-"), Piece::result(Tone::Calm, "absent")),
            Settled::Running => (Piece::new(Tone::Plain, cell), Piece::result(Tone::Bad, "skipped")),
            Settled::HostDown(error) => {
                self.state = RowState::Tolerated;
                self.trouble = Some(Trouble::Ship(error.clone()));
                (Piece::new(Tone::Plain, "-"), Piece::result(Tone::Bad, "host down"))
            }
        };
        self.cell = Some(cell);
        self.results.push(result);
        self.ended = Some(Duration::ZERO);
    }

    /// It waits for somebody to decide.
    fn hold(&mut self) {
        self.state = RowState::Held;
        self.cell = Some(Piece::new(Tone::Plain, self.container()));
        self.results.push(Piece::result(Tone::Warn, "waits"));
        self.ended = Some(Duration::ZERO);
    }

    fn block(&mut self, blocked: &Blocked) {
        self.state = RowState::Blocked;
        self.ended = Some(Duration::ZERO);
        match blocked {
            Blocked::Ship(error) => {
                self.cell = Some(Piece::new(Tone::Plain, "-"));
                self.results.push(Piece::result(Tone::Bad, "host down"));
                self.results.push(Piece::new(Tone::Bad, "failed!"));
                self.trouble = Some(Trouble::Ship(error.clone()));
            }
            Blocked::Foreign(whose) => {
                self.cell = Some(Piece::new(Tone::Plain, self.container()));
                self.results.push(Piece::result(Tone::Bad, "not ours"));
                self.results.push(Piece::new(Tone::Bad, "failed!"));
                self.trouble = Some(Trouble::Foreign(whose.clone()));
            }
            Blocked::Variables(excess) => {
                self.cell = Some(Piece::new(Tone::Plain, self.container()));
                self.results.push(Piece::result(Tone::Bad, "too many variables"));
                self.results.push(Piece::new(Tone::Bad, "failed!"));
                self.trouble = Some(Trouble::Variables(excess.clone()));
            }
            Blocked::Unavailable { .. } => {
                self.cell = Some(Piece::new(Tone::Plain, self.container()));
                self.results.push(Piece::result(Tone::Bad, "too many are down"));
                self.results.push(Piece::new(Tone::Bad, "failed!"));
                self.trouble = Some(Trouble::Unavailable(blocked.to_string()));
            }
            Blocked::HalfDone(_) => {
                self.cell = Some(Piece::new(Tone::Plain, self.container()));
                self.results.push(Piece::result(Tone::Bad, "half deployed"));
                self.results.push(Piece::new(Tone::Bad, "failed!"));
                self.trouble = Some(Trouble::HalfDone(blocked.to_string()));
            }
            Blocked::Ports { .. } => {
                self.cell = Some(Piece::new(Tone::Plain, self.container()));
                self.results.push(Piece::result(Tone::Bad, "no port is free"));
                self.results.push(Piece::new(Tone::Bad, "failed!"));
                self.trouble = Some(Trouble::Ports(blocked.to_string()));
            }
            Blocked::Alone { .. } => {
                self.cell = Some(Piece::new(Tone::Plain, self.container()));
                self.results.push(Piece::result(Tone::Bad, "none may be down"));
                self.results.push(Piece::new(Tone::Bad, "failed!"));
                self.trouble = Some(Trouble::Alone(blocked.to_string()));
            }
            Blocked::Dependency(other) => {
                self.results.push(Piece::new(Tone::Bad, "aborted!"));
                self.because_of = Some(other.to_string());
            }
        }
    }

    pub(super) fn step_started(
        &mut self,
        intent: &Intent,
        id: StepId,
        action: &Action,
        own: bool,
        at: Duration,
    ) {
        self.running.push(id);
        self.state = RowState::Working;
        if own {
            self.began.get_or_insert(at);
        }
        match texts::half(intent, action) {
            texts::Half::Stopping => {
                if self.cell.is_none() {
                    self.cell = Some(Piece::new(Tone::Good, self.container()));
                }
                self.stopping = true;
            }
            texts::Half::Starting if self.stopping => {
                self.stopping = false;
                self.cell = None;
                self.results.clear();
            }
            texts::Half::Starting | texts::Half::Neither => {}
        }
        if texts::shows_container(action) {
            self.cell = Some(Piece::new(Tone::Good, self.container()));
        }
        if let Some(text) = texts::pending(intent, action, self.id.as_ref().map(ContainerId::short)) {
            self.pending = Some(Piece::new(Tone::Plain, text));
            self.detail = texts::detail(action);
            self.percent = None;
        }
    }

    /// A step of a hook, which is done for all instances of a service.
    pub(super) fn hook_started(&mut self, id: StepId, action: &Action) {
        self.running.push(id);
        self.state = RowState::Working;
        if let Some(text) = texts::pending_hook(action) {
            self.pending = Some(Piece::new(Tone::Plain, text));
            self.detail = None;
            self.percent = None;
        }
    }

    pub(super) fn step_progressed(&mut self, id: StepId, piece: Option<Piece>, percent: Option<f32>) {
        // Of several steps at once, the latest is shown.
        if piece.is_some() && self.running.last() == Some(&id) {
            self.pending = piece;
            self.percent = percent;
        }
    }

    pub(super) fn container_created(&mut self, id: &ContainerId) {
        self.id = Some(id.clone());
        self.made = Some(id.clone());
        self.pending = Some(Piece::new(Tone::Plain, "waiting for container..."));
    }

    pub(super) fn step_done(&mut self, plan: &Plan, id: StepId, at: Duration) {
        self.running.retain(|running| *running != id);
        self.remaining = self.remaining.saturating_sub(1);
        let is_hook = matches!(plan.unit_of(id), Some(Unit::Hook { .. }));
        if let Some(step) = plan.step(id).filter(|_| !is_hook) {
            match &step.action {
                // Its own, not one that was kept of it.
                Action::Call(EngineCall::RemoveContainer { target })
                    if *target.name() == self.instance && !matches!(plan.intent, Intent::Clean) =>
                {
                    self.id = None;
                }
                // One that was kept comes back, or the one that was there makes way.
                Action::Call(EngineCall::RenameContainer { target, to }) => {
                    let is_back = *to == self.instance;
                    if is_back {
                        self.wanted.shown_version().clone_into(&mut self.tag);
                    }
                    self.id = match target {
                        Target::Seen { id, .. } if is_back => Some(id.clone()),
                        // What was made beside it is there already.
                        Target::Seen { .. } | Target::Made(_) => self.made.clone(),
                    };
                }
                Action::Call(EngineCall::CreateContainer { spec, .. }) => {
                    spec.image.shown_version().clone_into(&mut self.tag);
                }
                _ => {}
            }
            if self.to_stop > 0 && texts::half(&plan.intent, &step.action) == texts::Half::Stopping {
                self.to_stop -= 1;
                if self.to_stop == 0 {
                    self.results = vec![Piece::result(Tone::Good, "stopped")];
                    self.pending = None;
                }
            }
        }
        if self.remaining == 0 {
            self.complete(&plan.intent, at);
        } else if self.running.is_empty() {
            if self.began.is_none() {
                self.state = RowState::Waiting;
                self.pending = Some(Piece::new(Tone::Plain, "waiting..."));
            }
            self.detail = None;
            self.percent = None;
        }
    }

    fn complete(&mut self, intent: &Intent, at: Duration) {
        let container = self.container();
        let (cell, result) = match intent {
            Intent::Start { .. } | Intent::Restart(_) => {
                (Piece::new(Tone::Good, container), Piece::new(Tone::Good, "started"))
            }
            Intent::Deploy { .. } if self.goes => {
                (Piece::new(Tone::Good, container), Piece::result(Tone::Good, "stopped"))
            }
            Intent::Deploy { .. } => (Piece::new(Tone::Good, container), Piece::new(Tone::Good, "deployed")),
            Intent::Stop => (Piece::new(Tone::Good, container), Piece::result(Tone::Good, "stopped")),
            Intent::Kill => (Piece::new(Tone::Good, container), Piece::result(Tone::Good, "killed")),
            Intent::Pull => (Piece::new(Tone::Plain, ""), Piece::result(Tone::Good, "done")),
            Intent::Clean => {
                let id = self.id.as_ref().map_or("-", ContainerId::short);
                (Piece::new(Tone::Plain, id), Piece::result(Tone::Good, "removed"))
            }
        };
        self.cell = Some(cell);
        self.results = vec![result];
        self.end(RowState::Done, at);
    }

    pub(super) fn fail(&mut self, intent: &Intent, action: &Action, failure: &Failure, at: Duration) {
        if self.state == RowState::Failed {
            // The first failure is the one that is told.
            return;
        }
        self.reconsider();
        if let Some(text) = texts::failure_of(intent, action) {
            self.results.push(Piece::new(Tone::Bad, text));
        }
        self.results.push(Piece::new(Tone::Bad, "failed!"));
        self.trouble = Some(Trouble::Step(failure.clone()));
        self.end(RowState::Failed, at);
    }

    pub(super) fn tolerate(&mut self, intent: &Intent, action: &Action, failure: &Failure, at: Duration) {
        let said = failure.to_string();
        // Which check it was, and what it found, is told below the table.
        let why = texts::tolerated(intent, action).map_or_else(|| crate::report::clean(&said), Into::into);
        let text = format!("failed: {why}");
        self.results.push(Piece::new(Tone::Bad, text));
        self.trouble = Some(Trouble::Step(failure.clone()));
        self.end(RowState::Tolerated, at);
    }

    /// Something failed that changes nothing: the end may still be a good one.
    pub(super) fn note(&mut self, failure: &Failure) {
        self.trouble = Some(Trouble::Step(failure.clone()));
    }

    pub(super) fn abort(&mut self, because_of: Option<&Unit>, at: Duration) {
        self.because_of = because_of.map(|unit| match unit {
            Unit::Instance { instance, .. } => instance.to_string(),
            Unit::Hook { hook, .. } => hook.to_string(),
            Unit::Image { .. } | Unit::Login { .. } | Unit::Milestone(_) => unit.to_string(),
        });
        self.results.push(Piece::new(Tone::Bad, "aborted!"));
        self.end(RowState::Aborted, at);
    }

    pub(super) fn interrupt(&mut self, at: Duration) {
        self.reconsider();
        let text = if self.began.is_some() { "interrupted!" } else { "aborted!" };
        self.results.push(Piece::new(Tone::Bad, text));
        self.end(RowState::Interrupted, at);
    }

    /// The end that it seemed to have come to was not the whole story.
    fn reconsider(&mut self) {
        if self.state.is_final() {
            self.results.pop();
        }
    }

    fn end(&mut self, state: RowState, at: Duration) {
        self.state = state;
        self.pending = None;
        self.detail = None;
        self.running.clear();
        self.ended = Some(at);
    }
}
