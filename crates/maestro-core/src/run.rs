//! Carrying out a plan, as a pure state machine: which steps may start now, and what an end, a failure or an
//! interrupt means for the others. Whoever performs the steps makes no decision.

use crate::event::{RunSummary, Skipped, StepOutcome, Verdict};
use crate::names::ShipName;
use crate::plan::{Action, EngineCall, FailurePolicy, Fate, Item, Plan, Settled, StepId, Unit, UnitId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A plan being carried out.
#[derive(Debug)]
pub struct Run {
    plan: Arc<Plan>,
    steps: Vec<StepState>,
    /// For each step, how many of those before it are not over yet.
    waits: Vec<u32>,
    /// For each step, those that come after it.
    next: Vec<Vec<StepId>>,
    units: Vec<UnitState>,
    /// For each unit, its steps.
    members: Vec<Vec<StepId>>,
    /// Steps that may start as soon as their unit has a slot; first come those of the first unit.
    waiting: BTreeSet<(UnitId, StepId)>,
    /// Steps that may start as soon as their ship has room; without a ship, at once.
    ready: BTreeMap<Option<ShipName>, Lane>,
    /// Ships whose lane has changed since it was last looked at.
    changed: BTreeSet<Option<ShipName>>,
    /// Ships with calls that wait for room among all calls.
    crowded: BTreeSet<Option<ShipName>>,
    /// Calls that were taken and have not been finished, by their weight.
    calling: usize,
    /// Units that hold a slot.
    begun: usize,
    running: usize,
    left: usize,
    halted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepState {
    Waiting,
    Running,
    /// It succeeded, or its failure changes nothing.
    Done,
    Tolerated,
    Failed,
    CutOff,
    Skipped(Skipped),
}

#[derive(Debug, Clone, Default)]
struct UnitState {
    /// It holds a slot.
    begun: bool,
    /// One of its steps has been given out.
    touched: bool,
    /// Steps that are not over.
    left: u32,
    /// After a tolerated failure: steps that other units come after, who wait until nothing of this one runs.
    held: Vec<StepId>,
}

/// What may start on one ship.
#[derive(Debug, Default)]
struct Lane {
    pulls: BTreeSet<StepId>,
    calls: BTreeSet<StepId>,
    waits: BTreeSet<StepId>,
    pulling: usize,
    calling: usize,
}

/// What kind of room a step takes on its ship.
enum Room {
    Pull,
    Call,
    None,
}

impl Run {
    /// Nothing is started yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        let count = plan.steps.len();
        let mut waits = vec![0; count];
        let mut next = vec![Vec::new(); count];
        let mut units = vec![UnitState::default(); plan.units.len()];
        let mut members = vec![Vec::new(); plan.units.len()];
        for (id, step) in plan.ids().zip(&plan.steps) {
            for before in &step.after {
                waits[id.index()] += 1;
                next[before.index()].push(id);
            }
            units[step.unit.index()].left += 1;
            members[step.unit.index()].push(id);
        }
        let mut run = Self {
            steps: vec![StepState::Waiting; count],
            waits,
            next,
            units,
            members,
            waiting: BTreeSet::new(),
            ready: BTreeMap::new(),
            changed: BTreeSet::new(),
            crowded: BTreeSet::new(),
            calling: 0,
            begun: 0,
            running: 0,
            left: count,
            halted: false,
            plan,
        };
        for id in run.plan.ids() {
            if run.waits[id.index()] == 0 {
                run.offer(id);
            }
        }
        run
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Whether every step has ended or been skipped.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Number of steps that were taken and have not been finished.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Steps to be performed now, side by side, those of one ship after each other: what is asked of an engine at the
    /// same time can share an answer. Each is given out once; whoever takes it must finish it.
    pub fn take_ready(&mut self) -> Vec<StepId> {
        self.begin_units();
        let mut taken = Vec::new();
        let limits = self.plan.limits;
        while let Some(ship) = self.changed.pop_first() {
            let Some(lane) = self.ready.get_mut(&ship) else { continue };
            taken.extend(std::mem::take(&mut lane.waits));
            while lane.pulling < limits.pulls_per_ship.max(1) {
                let Some(step) = lane.pulls.pop_first() else { break };
                lane.pulling += 1;
                taken.push(step);
            }
            if !lane.calls.is_empty() {
                self.crowded.insert(ship);
            }
        }
        while self.calling < limits.calls.max(1) {
            let Some(ship) = self.crowded.pop_first() else { break };
            let Some(lane) = self.ready.get_mut(&ship) else { continue };
            while lane.calling < limits.calls_per_ship.max(1) && self.calling < limits.calls.max(1) {
                let Some(step) = lane.calls.pop_first() else { break };
                lane.calling += 1;
                self.calling += weight(&self.plan, step);
                taken.push(step);
            }
            if !lane.calls.is_empty() && lane.calling < limits.calls_per_ship.max(1) {
                self.crowded.insert(ship);
            }
        }
        for step in &taken {
            self.steps[step.index()] = StepState::Running;
            self.units[self.plan.steps[step.index()].unit.index()].touched = true;
        }
        self.running += taken.len();
        taken
    }

    /// A step that was taken has ended. Returns what will not be done because of it.
    ///
    /// A step that was not taken, or is finished already, is ignored.
    pub fn finish(&mut self, id: StepId, outcome: &StepOutcome) -> Vec<(StepId, Skipped)> {
        if self.steps.get(id.index()) != Some(&StepState::Running) {
            return Vec::new();
        }
        self.running -= 1;
        self.leave_lane(id);
        let unit = self.plan.steps[id.index()].unit;
        let mut skipped = Vec::new();
        match outcome.verdict(self.plan.steps[id.index()].on_failure) {
            Verdict::GoesOn => {
                self.steps[id.index()] = StepState::Done;
                self.over(id);
                self.release(id, None);
            }
            Verdict::Tolerated => {
                self.steps[id.index()] = StepState::Tolerated;
                self.over(id);
                self.tolerate(id, &mut skipped);
            }
            Verdict::Failed => {
                self.steps[id.index()] = StepState::Failed;
                self.over(id);
                self.fail(id, &mut skipped);
            }
            Verdict::CutOff => {
                self.steps[id.index()] = StepState::CutOff;
                self.over(id);
                self.skip_after(id, Skipped::Interrupted, &mut skipped);
            }
        }
        if self.units[unit.index()].left == 0 {
            for held in std::mem::take(&mut self.units[unit.index()].held) {
                self.release(held, Some(unit));
            }
        }
        skipped
    }

    /// Nothing new is begun; units that are under way are finished. Returns what will not be done.
    pub fn interrupt(&mut self) -> Vec<(StepId, Skipped)> {
        let mut skipped = Vec::new();
        self.stop_beginning(Skipped::Interrupted, &mut skipped);
        skipped
    }

    /// Nothing more is given out, whatever is half done. Steps that were given out must still be finished. Returns what
    /// will not be done.
    pub fn abort(&mut self) -> Vec<(StepId, Skipped)> {
        self.halted = true;
        let mut skipped = Vec::new();
        for id in self.plan.ids() {
            if self.steps[id.index()] == StepState::Waiting {
                self.skip(id, Skipped::Interrupted, &mut skipped);
            }
        }
        skipped
    }

    /// How it went so far, counted over instances.
    pub fn summary(&self, took: Duration) -> RunSummary {
        let mut summary = RunSummary { took, abandoned: self.abandoned(), ..RunSummary::default() };
        for item in &self.plan.items {
            match &item.fate {
                Fate::Settled(Settled::HostDown(_)) => summary.tolerated += 1,
                Fate::Settled(_) => summary.unchanged += 1,
                Fate::Waits { .. } => summary.waiting += 1,
                Fate::Blocked(_) => summary.blocked += 1,
                Fate::Act { steps, .. } => *self.count_for(steps, &mut summary) += 1,
            }
        }
        for step in self.strays() {
            match self.steps[step.index()] {
                StepState::Failed => summary.failed += 1,
                StepState::CutOff | StepState::Skipped(Skipped::Interrupted) => summary.interrupted += 1,
                _ => {}
            }
        }
        summary
    }

    /// Steps of hooks that are in no instance's row.
    fn strays(&self) -> impl Iterator<Item = StepId> {
        let hooks = self.plan.ids().filter(|id| matches!(self.plan.unit_of(*id), Some(Unit::Hook { .. })));
        let is_in =
            |item: &Item, id: &StepId| matches!(&item.fate, Fate::Act { steps, .. } if steps.contains(id));
        hooks.filter(move |id| !self.plan.items.iter().any(|item| is_in(item, id)))
    }

    fn count_for<'a>(&self, steps: &[StepId], summary: &'a mut RunSummary) -> &'a mut usize {
        let states = || steps.iter().chain(self.logins(steps)).map(|step| self.steps[step.index()]);
        if states().any(|state| state == StepState::Failed) {
            return &mut summary.failed;
        }
        let aborted = |state| matches!(state, StepState::Skipped(Skipped::After(_) | Skipped::Halted(_)));
        if states().any(aborted) {
            return &mut summary.aborted;
        }
        let interrupted =
            |state| matches!(state, StepState::CutOff | StepState::Skipped(Skipped::Interrupted));
        if states().any(interrupted) {
            return &mut summary.interrupted;
        }
        if states().any(|state| state == StepState::Tolerated) {
            return &mut summary.tolerated;
        }
        &mut summary.done
    }

    /// Calls that were cut off and that change something.
    fn abandoned(&self) -> usize {
        let may_take_effect = |action: &Action| match action {
            Action::Call(call) => !matches!(call, EngineCall::Login { .. }),
            Action::Route { .. } | Action::Provide { .. } => true,
            // What goes on in a one-off container is seen by whoever goes on.
            Action::Finish { .. } | Action::Local { .. } => false,
            Action::Await { .. } | Action::Check { .. } | Action::Delay { .. } | Action::Reached => false,
        };
        let steps = self.plan.steps.iter().zip(&self.steps);
        steps.filter(|(step, state)| **state == StepState::CutOff && may_take_effect(&step.action)).count()
    }

    /// The logins that pulls come after: they are no instance's own, and their failure is that of all who need them.
    fn logins(&self, steps: &[StepId]) -> impl Iterator<Item = &StepId> {
        let is_login = |id: &&StepId| matches!(self.plan.unit_of(**id), Some(Unit::Login { .. }));
        steps.iter().flat_map(|step| &self.plan.steps[step.index()].after).filter(is_login)
    }

    /// Gives slots to units that wait for one, in the order of the plan.
    fn begin_units(&mut self) {
        while self.plan.limits.units.is_none_or(|limit| self.begun < limit.max(1)) {
            let Some(&(unit, _)) = self.waiting.first() else { break };
            self.units[unit.index()].begun = true;
            self.begun += 1;
            // With the slot, everything of the unit that could start may start.
            while let Some(&(first, step)) = self.waiting.first().filter(|(first, _)| *first == unit) {
                self.waiting.remove(&(first, step));
                self.enter_lane(step);
            }
        }
    }

    /// A step comes after nothing any more.
    fn offer(&mut self, id: StepId) {
        let unit = self.plan.steps[id.index()].unit;
        let is_milestone = matches!(self.plan.units[unit.index()], Unit::Milestone(_));
        if is_milestone || self.units[unit.index()].begun {
            self.enter_lane(id);
        } else {
            self.waiting.insert((unit, id));
        }
    }

    fn enter_lane(&mut self, id: StepId) {
        let ship = self.ship(id);
        let room = self.room(id);
        let lane = self.ready.entry(ship.clone()).or_default();
        match room {
            Room::Pull => lane.pulls.insert(id),
            Room::Call => lane.calls.insert(id),
            Room::None => lane.waits.insert(id),
        };
        self.changed.insert(ship);
    }

    fn leave_lane(&mut self, id: StepId) {
        let ship = self.ship(id);
        let room = self.room(id);
        if let Some(lane) = self.ready.get_mut(&ship) {
            match room {
                Room::Pull => lane.pulling -= 1,
                Room::Call => {
                    lane.calling -= 1;
                    self.calling -= weight(&self.plan, id);
                }
                Room::None => {}
            }
        }
        self.changed.insert(ship);
    }

    fn ship(&self, id: StepId) -> Option<ShipName> {
        self.plan.unit_of(id).and_then(Unit::ship).cloned()
    }

    fn room(&self, id: StepId) -> Room {
        match &self.plan.steps[id.index()].action {
            Action::Call(EngineCall::PullImage { .. }) => Room::Pull,
            Action::Call(_) => Room::Call,
            Action::Await { .. }
            | Action::Check { .. }
            | Action::Delay { .. }
            | Action::Route { .. }
            | Action::Provide { .. }
            | Action::Finish { .. }
            | Action::Local { .. }
            | Action::Reached => Room::None,
        }
    }

    /// A step has ended or been skipped: its unit may be over, too.
    fn over(&mut self, id: StepId) {
        self.left -= 1;
        let unit = &mut self.units[self.plan.steps[id.index()].unit.index()];
        unit.left -= 1;
        if unit.left == 0 && unit.begun {
            self.begun -= 1;
        }
    }

    /// Tells those that come after a step that it is over; only those of other units than the given one.
    fn release(&mut self, id: StepId, except: Option<UnitId>) {
        for next in self.next[id.index()].clone() {
            if except == Some(self.plan.steps[next.index()].unit) {
                continue;
            }
            self.waits[next.index()] -= 1;
            if self.waits[next.index()] == 0 && self.steps[next.index()] == StepState::Waiting {
                self.offer(next);
            }
        }
    }

    /// Skips the rest of the unit. Who comes after it may begin once nothing of it runs any more.
    fn tolerate(&mut self, id: StepId, skipped: &mut Vec<(StepId, Skipped)>) {
        let unit = self.plan.steps[id.index()].unit;
        self.units[unit.index()].held.push(id);
        for other in self.members[unit.index()].clone() {
            if self.steps[other.index()] == StepState::Waiting {
                self.skip(other, Skipped::Tolerated(id), skipped);
                self.units[unit.index()].held.push(other);
            }
        }
    }

    fn fail(&mut self, id: StepId, skipped: &mut Vec<(StepId, Skipped)>) {
        self.skip_after(id, Skipped::After(id), skipped);
        let unit = self.plan.steps[id.index()].unit;
        for held in std::mem::take(&mut self.units[unit.index()].held) {
            self.skip_after(held, Skipped::After(id), skipped);
        }
        if !self.halted && self.plan.policy(id) == FailurePolicy::Halt {
            self.stop_beginning(Skipped::Halted(id), skipped);
        }
    }

    /// Skips everything that comes after a step, directly or not.
    fn skip_after(&mut self, id: StepId, because: Skipped, skipped: &mut Vec<(StepId, Skipped)>) {
        let mut open = self.next[id.index()].clone();
        while let Some(next) = open.pop() {
            if self.steps[next.index()] == StepState::Waiting {
                self.skip(next, because, skipped);
                open.extend(&self.next[next.index()]);
            }
        }
    }

    /// Skips every step of every unit of which nothing has been done.
    fn stop_beginning(&mut self, because: Skipped, skipped: &mut Vec<(StepId, Skipped)>) {
        if self.halted {
            return;
        }
        self.halted = true;
        let spared = self.made_room_for();
        let before = skipped.len();
        for id in self.plan.ids() {
            let unit = self.plan.steps[id.index()].unit;
            let is_begun = self.units[unit.index()].touched || spared.contains(&unit);
            if self.steps[id.index()] == StepState::Waiting && !is_begun {
                self.skip(id, because, skipped);
            }
        }
        // What has been spared may come after what has not: nobody would ever let it begin.
        let lost: Vec<StepId> = skipped.iter().skip(before).map(|(id, _)| *id).collect();
        for id in lost {
            self.skip_after(id, because, skipped);
        }
    }

    /// Units for which something has been stopped that was in their way: who leaves them now leaves nothing running.
    fn made_room_for(&self) -> BTreeSet<UnitId> {
        let is_begun = |id: &StepId| self.units[self.plan.steps[id.index()].unit.index()].touched;
        let mut rooms = self.plan.rooms();
        rooms.retain(|_, going| going.iter().any(is_begun));
        let is_spared = |unit: &UnitId| match &self.plan.units[unit.index()] {
            Unit::Instance { instance, .. } => rooms.contains_key(instance),
            _ => false,
        };
        // What else has to go for them goes, too.
        let going = rooms.values().flatten().map(|id| self.plan.steps[id.index()].unit);
        self.plan.steps.iter().map(|step| step.unit).filter(is_spared).chain(going).collect()
    }

    fn skip(&mut self, id: StepId, because: Skipped, skipped: &mut Vec<(StepId, Skipped)>) {
        self.steps[id.index()] = StepState::Skipped(because);
        let unit = self.plan.steps[id.index()].unit;
        self.waiting.remove(&(unit, id));
        let ship = self.ship(id);
        if let Some(lane) = self.ready.get_mut(&ship) {
            lane.pulls.remove(&id);
            lane.calls.remove(&id);
            lane.waits.remove(&id);
        }
        self.over(id);
        skipped.push((id, because));
    }
}

/// For how many calls a step counts.
fn weight(plan: &Plan, step: StepId) -> usize {
    match &plan.steps[step.index()].action {
        Action::Call(call) => call.weight(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
