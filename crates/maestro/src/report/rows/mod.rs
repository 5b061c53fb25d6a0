//! What a run looks like at any moment: its events folded over its plan, one row per instance.
//!
//! Pure: events and times come in, rows are there to be looked at. Every reporter shows these rows, so that a pipe, a
//! terminal and a JSON document tell the same story.

mod row;
mod texts;

pub(super) use row::{Piece, Trouble};
pub use row::{Row, RowState};
pub(super) use texts::{counts_down, health};

use jiff::Timestamp;
use maestro_core::boundary::{CallOutcome, Progress};
use maestro_core::event::{Event, Failure, News, RunSummary, Skipped, StepOutcome, Verdict};
use maestro_core::names::ShipName;
use maestro_core::plan::{Action, EngineCall, Intent, Item, Plan, StepId, Unit, UnitId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The state of a run.
#[derive(Debug)]
pub struct Rows {
    plan: Arc<Plan>,
    all: Vec<Row>,
    /// For each step, the rows that it is part of.
    members: Vec<Vec<u32>>,
    pulls: BTreeMap<UnitId, Pull>,
    ships: Vec<(ShipName, Busy)>,
    /// For each unit, where its ship is in `ships`.
    ship_of: Vec<Option<usize>>,
    counts: BTreeMap<RowState, usize>,
    interrupted: bool,
    /// Calls under way that change something.
    calls: BTreeSet<StepId>,
    /// How many of those were cut off.
    abandoned: usize,
    ended: Option<Duration>,
    /// What went wrong with hooks that are in nobody's row.
    strays: Vec<(Unit, Failure)>,
}

/// One image on its way to one ship.
#[derive(Debug, Clone, PartialEq)]
pub struct Pull {
    /// How far it is.
    pub progress: Progress,
    /// When it began, since the command began.
    pub began: Duration,
    /// What went wrong for the moment; the pull is tried again.
    pub trouble: Option<String>,
    /// Whether it is over.
    pub over: bool,
}

/// How long a ship had something to do.
#[derive(Debug, Clone, Copy, Default)]
struct Busy {
    ever: bool,
    steps: usize,
    since: Duration,
    total: Duration,
}

impl Rows {
    /// Before the first step. Times of the day, such as those a container was started at, are told relative to `now`.
    pub fn new(plan: Arc<Plan>, now: Timestamp) -> Self {
        let count = plan.items.len();
        let descending = texts::counts_down(&plan.intent);
        let mut members = vec![Vec::new(); plan.steps.len()];
        let mut rows = Vec::with_capacity(count);
        let mut counts = BTreeMap::new();
        for (at, item) in plan.items.iter().enumerate() {
            let steps = plan.steps_of(item);
            for step in &steps {
                if let (Some(rows), Ok(at)) = (members.get_mut(step.index()), u32::try_from(at)) {
                    rows.push(at);
                }
            }
            let row = Row::new(if descending { count - at } else { at + 1 }, &plan, item, &steps, now);
            *counts.entry(row.state).or_insert(0) += 1;
            rows.push(row);
        }
        let mut ships = BTreeMap::new();
        for ship in plan.units.iter().filter_map(Unit::ship) {
            let next = ships.len();
            ships.entry(ship).or_insert(next);
        }
        let ship_of = plan.units.iter().map(|unit| ships.get(unit.ship()?).copied()).collect();
        let mut ships: Vec<_> = ships.into_iter().collect();
        ships.sort_by_key(|(_, at)| *at);
        Self {
            ships: ships.into_iter().map(|(ship, _)| (ship.clone(), Busy::default())).collect(),
            ship_of,
            plan,
            all: rows,
            members,
            pulls: BTreeMap::new(),
            counts,
            interrupted: false,
            calls: BTreeSet::new(),
            abandoned: 0,
            ended: None,
            strays: Vec::new(),
        }
    }

    /// Takes an event that happened so long after the command began. Returns the indices of the rows whose
    /// text may have changed.
    pub fn apply(&mut self, event: &Event, at: Duration) -> Vec<usize> {
        match event {
            Event::RunStarted { .. } => (0..self.all.len()).collect(),
            Event::StepStarted { step } => self.started(*step, at),
            Event::StepProgress { step, news } => self.progressed(*step, news),
            Event::StepFinished { step, outcome, .. } => self.finished(*step, outcome, at),
            Event::StepSkipped { step, because } => self.skipped(*step, *because, at),
            Event::Tick => Vec::new(),
            Event::Interrupted => {
                self.interrupted = true;
                Vec::new()
            }
            Event::RunFinished { .. } => self.over(at),
        }
    }

    /// The plan that is carried out.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// One row per instance, in the order of the plan.
    pub fn rows(&self) -> &[Row] {
        &self.all
    }

    /// The item of a row.
    pub fn item(&self, row: usize) -> Option<&Item> {
        self.plan.items.get(row)
    }

    /// How many rows are in a state.
    pub fn count(&self, state: RowState) -> usize {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    /// How many rows are in their last state.
    pub fn settled(&self) -> usize {
        self.counts.iter().filter(|(state, _)| state.is_final()).map(|(_, count)| count).sum()
    }

    /// Pulls that are under way, in the order of the plan: image, ship, how far.
    pub fn pulls(&self) -> impl Iterator<Item = (&Unit, &Pull)> {
        self.pulls
            .iter()
            .filter(|(_, pull)| !pull.over)
            .filter_map(|(id, pull)| Some((self.plan.units.get(id.index())?, pull)))
    }

    /// What went wrong with hooks that are in nobody's row.
    pub fn strays(&self) -> &[(Unit, Failure)] {
        &self.strays
    }

    /// Whether the user has asked the run to stop.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether the run is over, and how long it took.
    pub fn ended(&self) -> Option<Duration> {
        self.ended
    }

    /// How long each ship had something to do, the slowest first.
    pub fn busy(&self) -> Vec<(&ShipName, Duration)> {
        let ever = self.ships.iter().filter(|(_, busy)| busy.ever);
        let mut ships: Vec<_> = ever.map(|(name, busy)| (name, busy.total)).collect();
        ships.sort_by_key(|(name, total)| (std::cmp::Reverse(*total), *name));
        ships
    }

    /// Calls that were cut off, and may still take effect.
    pub fn abandoned(&self) -> usize {
        self.abandoned
    }

    /// How the run ended, counted over instances.
    pub fn summary(&self, took: Duration) -> RunSummary {
        RunSummary {
            done: self.count(RowState::Done),
            unchanged: self.count(RowState::Unchanged),
            waiting: self.count(RowState::Held),
            tolerated: self.count(RowState::Tolerated),
            failed: self.count(RowState::Failed) + self.strays.len(),
            aborted: self.count(RowState::Aborted),
            blocked: self.count(RowState::Blocked),
            interrupted: self.count(RowState::Interrupted),
            abandoned: self.abandoned,
            took,
        }
    }

    fn busy_at(&mut self, unit: UnitId) -> Option<&mut Busy> {
        let at = (*self.ship_of.get(unit.index())?)?;
        self.ships.get_mut(at).map(|(_, busy)| busy)
    }

    fn started(&mut self, id: StepId, at: Duration) -> Vec<usize> {
        let plan = self.plan.clone();
        let (Some(step), Some(unit)) = (plan.step(id), plan.unit_of(id)) else { return Vec::new() };
        if let Some(busy) = self.busy_at(step.unit) {
            busy.ever = true;
            if busy.steps == 0 {
                busy.since = at;
            }
            busy.steps += 1;
        }
        if matches!(&step.action, Action::Call(call) if !matches!(call, EngineCall::Login { .. })) {
            self.calls.insert(id);
        }
        if matches!(step.action, Action::Call(EngineCall::PullImage { .. })) {
            let pull = Pull { progress: Progress::default(), began: at, trouble: None, over: false };
            self.pulls.insert(step.unit, pull);
        }
        if matches!(unit, Unit::Hook { .. }) {
            return self.change(id, |row| row.hook_started(id, &step.action));
        }
        // Pulling is all that `pull` does to an instance.
        let own = matches!(unit, Unit::Instance { .. }) || plan.intent == Intent::Pull;
        self.change(id, |row| {
            row.step_started(&plan.intent, id, &step.action, own, at);
        })
    }

    fn progressed(&mut self, id: StepId, news: &News) -> Vec<usize> {
        let plan = self.plan.clone();
        let Some(step) = plan.step(id) else { return Vec::new() };
        if let Some(pull) = self.pulls.get_mut(&step.unit) {
            match news {
                News::Pull(progress) => {
                    // Cosmetic, but people watch it: a bar does not go back.
                    let percent = progress.percent.max(pull.progress.percent);
                    pull.progress = Progress { percent, ..*progress };
                    pull.trouble = None;
                }
                News::Retry { .. } => pull.trouble = Some(texts::news(news)),
            }
        }
        let percent = self.pulls.get(&step.unit).map(|pull| pull.progress.percent);
        let piece = texts::progress(&step.action, news, percent);
        let percent = percent.filter(|_| matches!(news, News::Pull(_)));
        self.change(id, |row| row.step_progressed(id, piece.clone(), percent))
    }

    fn finished(&mut self, id: StepId, outcome: &StepOutcome, at: Duration) -> Vec<usize> {
        let plan = self.plan.clone();
        let Some(step) = plan.step(id) else { return Vec::new() };
        if let Some(busy) = self.busy_at(step.unit) {
            busy.steps = busy.steps.saturating_sub(1);
            if busy.steps == 0 {
                busy.total += at.saturating_sub(busy.since);
            }
        }
        if matches!(step.action, Action::Call(EngineCall::PullImage { .. }))
            && let Some(pull) = self.pulls.get_mut(&step.unit)
        {
            pull.over = true;
        }
        let verdict = outcome.verdict(step.on_failure);
        let unit = plan.unit_of(id);
        let is_hook = matches!(unit, Some(Unit::Hook { .. }));
        if let (Some(unit), StepOutcome::Failed(failure), Verdict::Failed) = (unit, outcome, verdict)
            && is_hook
            && self.members.get(id.index()).is_none_or(Vec::is_empty)
        {
            self.strays.push((unit.clone(), failure.clone()));
        }
        if self.calls.remove(&id) && verdict == Verdict::CutOff {
            self.abandoned += 1;
        }
        // A failure of its own says more than that somebody else's was the first: its pull fails after it was
        // aborted, or the second of two checks does after the first was tolerated.
        let may_change = |row: &Row| match verdict {
            Verdict::Failed => true,
            Verdict::CutOff => is_open(row) || row.state == RowState::Tolerated,
            Verdict::GoesOn | Verdict::Tolerated => is_open(row),
        };
        self.change_members(id, may_change, |row| match outcome {
            StepOutcome::Done(outcome) => {
                if let (CallOutcome::Created(container), false) = (outcome, is_hook) {
                    row.container_created(container);
                }
                row.step_done(&plan, id, at);
            }
            StepOutcome::Failed(failure) => match verdict {
                Verdict::CutOff => row.interrupt(at),
                Verdict::Tolerated => row.tolerate(&plan.intent, &step.action, failure, at),
                Verdict::Failed => row.fail(&plan.intent, &step.action, failure, at),
                Verdict::GoesOn => {
                    row.note(failure);
                    row.step_done(&plan, id, at);
                }
            },
        })
    }

    fn skipped(&mut self, id: StepId, because: Skipped, at: Duration) -> Vec<usize> {
        let cause = match because {
            Skipped::After(cause) | Skipped::Halted(cause) => Some(cause),
            Skipped::Interrupted => None,
            // The failure that is tolerated is the row's own, and has been told.
            Skipped::Tolerated(_) => return Vec::new(),
        };
        let plan = self.plan.clone();
        let members = self.members.get(id.index()).cloned().unwrap_or_default();
        let own: &[u32] = cause.and_then(|c| self.members.get(c.index())).map_or(&[], Vec::as_slice);
        // A row's own failure explains itself when it arrives.
        let members: Vec<u32> = members.into_iter().filter(|row| !own.contains(row)).collect();
        self.change_rows(&members, is_open, |row| match cause {
            Some(cause) => row.abort(plan.unit_of(cause), at),
            None => row.interrupt(at),
        })
    }

    fn over(&mut self, at: Duration) -> Vec<usize> {
        self.ended = Some(at);
        for (_, busy) in self.ships.iter_mut().filter(|(_, busy)| busy.steps > 0) {
            busy.steps = 0;
            busy.total += at.saturating_sub(busy.since);
        }
        self.pulls.clear();
        self.abandoned += std::mem::take(&mut self.calls).len();
        let left: Vec<u32> = (0..self.all.len())
            .filter(|at| !self.all[*at].state.is_final())
            .filter_map(|at| u32::try_from(at).ok())
            .collect();
        // Nothing was heard of their end: cut off.
        self.change_rows(&left, is_open, |row| row.interrupt(at))
    }

    /// Changes the rows of a step that are not in their last state.
    fn change(&mut self, step: StepId, change: impl Fn(&mut Row)) -> Vec<usize> {
        self.change_members(step, is_open, change)
    }

    fn change_members(
        &mut self,
        step: StepId,
        may_change: impl Fn(&Row) -> bool,
        change: impl Fn(&mut Row),
    ) -> Vec<usize> {
        let members = self.members.get_mut(step.index()).map(std::mem::take).unwrap_or_default();
        let changed = self.change_rows(&members, may_change, change);
        if let Some(place) = self.members.get_mut(step.index()) {
            *place = members;
        }
        changed
    }

    fn change_rows(
        &mut self,
        members: &[u32],
        may_change: impl Fn(&Row) -> bool,
        change: impl Fn(&mut Row),
    ) -> Vec<usize> {
        let mut changed = Vec::with_capacity(members.len());
        for at in members.iter().map(|at| *at as usize) {
            let Some(row) = self.all.get_mut(at) else { continue };
            if !may_change(row) {
                continue;
            }
            let before = row.state;
            change(row);
            if row.state != before {
                if let Some(count) = self.counts.get_mut(&before) {
                    *count -= 1;
                }
                *self.counts.entry(row.state).or_insert(0) += 1;
            }
            changed.push(at);
        }
        changed
    }
}

fn is_open(row: &Row) -> bool {
    !row.state.is_final()
}

#[cfg(test)]
mod tests;
