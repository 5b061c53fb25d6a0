//! Which events of a run auditors are told of, folded from the events themselves (specification, section 8.1).
//!
//! One command is one play, whatever it takes: a restart that pulls first is told as a restart. A task is what the play
//! does to one instance.

use crate::event::{Event, StepOutcome, Verdict};
use crate::model::Environment;
use crate::names::ShipName;
use crate::notification::{Audited, Moment, Notification, What};
use crate::plan::{Blocked, Fate, Intent, Item, Plan, StepId, Unit};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What maestro-ng called it when somebody pressed Ctrl-C.
const INTERRUPTED: &str = "Manual abort";

/// A command that is being carried out, as auditors see it.
#[derive(Debug)]
pub struct Play {
    action: &'static str,
    who: Arc<str>,
    everything: Arc<[Audited]>,
    /// The ships' addresses, as the file has them.
    ips: BTreeMap<ShipName, Arc<str>>,
    /// The run that is under way, if any.
    run: Option<Tasks>,
    /// The first thing that went wrong.
    failure: Option<String>,
    interrupted: bool,
    over: bool,
}

/// What a run does to each instance.
#[derive(Debug)]
struct Tasks {
    plan: Arc<Plan>,
    all: Vec<Task>,
    /// For each step, the tasks that it is part of.
    members: Vec<Vec<u32>>,
    /// Whether it only prepares what the play is about: then it is not told, but for its failures.
    prepares: bool,
}

#[derive(Debug)]
struct Task {
    audited: Audited,
    begun: bool,
    over: bool,
    /// Whether its failure is tolerated; it succeeds then, once nothing of it is under way.
    tolerated: bool,
    left: usize,
    running: usize,
}

impl Play {
    /// A command that wants this, and is about what the plan is about. `who` is the caller's login name.
    pub fn new(environment: &Environment, intent: &Intent, plan: &Plan, who: impl Into<Arc<str>>) -> Self {
        let ips = environment.ships.values().map(|ship| (ship.name.clone(), ship.ip.clone())).collect();
        Self {
            action: intent.name(),
            who: who.into(),
            everything: plan.items.iter().map(|item| audited(item, &ips)).collect(),
            ips,
            run: None,
            failure: None,
            interrupted: false,
            over: false,
        }
    }

    /// How many notifications there can be of one play.
    pub fn most(&self) -> usize {
        // A task begins and ends, in one run or in two; the play does so once.
        4 * self.everything.len() + 2
    }

    /// That it is about to be carried out. A play about nothing is not worth a word.
    pub fn begins(&self) -> Option<Notification> {
        (!self.everything.is_empty()).then(|| self.notification(Moment::Begins))
    }

    /// That it came to its end between two runs, for this reason; none if the user wanted so.
    pub fn breaks_off(&mut self, because: Option<String>) -> Option<Notification> {
        self.interrupted |= because.is_none();
        self.failure = self.failure.take().or(because);
        self.ends(false)
    }

    /// Takes an event; returns what there is to tell, in this order.
    pub fn hear(&mut self, event: &Event) -> Vec<Notification> {
        let mut told = Vec::new();
        match event {
            Event::RunStarted { plan } => self.run_started(plan, &mut told),
            Event::StepStarted { step } => self.step_started(*step, &mut told),
            Event::StepFinished { step, outcome, .. } => self.step_finished(*step, outcome, &mut told),
            Event::StepSkipped { step, .. } => self.step_skipped(*step, &mut told),
            Event::Interrupted => self.interrupted = true,
            Event::RunFinished { summary } => {
                let prepares = self.run.take().is_some_and(|run| run.prepares);
                if !(summary.is_success() && prepares) {
                    told.extend(self.ends(summary.is_success()));
                }
            }
            Event::StepProgress { .. } | Event::Tick => {}
        }
        told
    }

    fn ends(&mut self, well: bool) -> Option<Notification> {
        if self.everything.is_empty() || std::mem::replace(&mut self.over, true) {
            return None;
        }
        if well {
            return Some(self.notification(Moment::Succeeded));
        }
        let interrupted = self.interrupted.then(|| INTERRUPTED.to_owned());
        let message = self.failure.take().or(interrupted);
        Some(self.notification(Moment::Failed { message }))
    }

    fn notification(&self, moment: Moment) -> Notification {
        self.about(What::Play(self.everything.clone()), moment)
    }

    fn about(&self, what: What, moment: Moment) -> Notification {
        Notification { action: self.action, what, moment, who: self.who.clone() }
    }

    fn run_started(&mut self, plan: &Arc<Plan>, told: &mut Vec<Notification>) {
        let mut members = vec![Vec::new(); plan.steps.len()];
        let mut all = Vec::with_capacity(plan.items.len());
        for (at, item) in plan.items.iter().enumerate() {
            let steps = plan.steps_of(item);
            for step in &steps {
                if let (Some(tasks), Ok(at)) = (members.get_mut(step.index()), u32::try_from(at)) {
                    tasks.push(at);
                }
            }
            all.push(Task {
                audited: audited(item, &self.ips),
                begun: false,
                over: false,
                tolerated: false,
                left: steps.len(),
                running: 0,
            });
        }
        self.run =
            Some(Tasks { plan: plan.clone(), all, members, prepares: plan.intent.name() != self.action });
        for (at, item) in plan.items.iter().enumerate() {
            match &item.fate {
                Fate::Act { .. } => {}
                Fate::Settled(_) | Fate::Waits { .. } => self.task_succeeds(at, told),
                Fate::Blocked(Blocked::Ship(error)) => self.task_fails(at, &error.to_string(), told),
                Fate::Blocked(Blocked::Foreign(whose)) => {
                    let message = format!("a container of that name exists and is not ours: {whose}");
                    self.task_fails(at, &message, told);
                }
                Fate::Blocked(Blocked::Variables(excess)) => {
                    self.task_fails(at, &excess.to_string(), told);
                }
                Fate::Blocked(blocked @ (Blocked::Ports { .. } | Blocked::HalfDone(_))) => {
                    self.task_fails(at, &blocked.to_string(), told);
                }
                // It is never begun.
                Fate::Blocked(
                    Blocked::Dependency(_) | Blocked::Unavailable { .. } | Blocked::Alone { .. },
                ) => self.task_is_left(at),
            }
        }
    }

    fn step_started(&mut self, step: StepId, told: &mut Vec<Notification>) {
        let Some(run) = &self.run else { return };
        // Pulling is all that `pull` does to an instance; for others it is what comes before them.
        let own =
            matches!(run.plan.unit_of(step), Some(Unit::Instance { .. })) || run.plan.intent == Intent::Pull;
        for at in run.tasks(step) {
            if let Some(task) = self.task(at) {
                task.running += 1;
            }
            if own {
                self.task_begins(at, told);
            }
        }
    }

    fn step_finished(&mut self, step: StepId, outcome: &StepOutcome, told: &mut Vec<Notification>) {
        let Some(run) = &self.run else { return };
        let Some(policy) = run.plan.step(step).map(|step| step.on_failure) else { return };
        let verdict = outcome.verdict(policy);
        for at in run.tasks(step) {
            let Some(task) = self.task(at) else { continue };
            task.running = task.running.saturating_sub(1);
            match (verdict, outcome) {
                (Verdict::Failed, StepOutcome::Failed(failure)) => {
                    self.task_fails(at, &failure.to_string(), told);
                }
                (Verdict::CutOff, _) => self.task_is_left(at),
                (Verdict::Tolerated, _) => task.tolerated = true,
                (Verdict::GoesOn | Verdict::Failed, _) => task.left = task.left.saturating_sub(1),
            }
            self.may_succeed(at, told);
        }
    }

    fn step_skipped(&mut self, step: StepId, told: &mut Vec<Notification>) {
        let Some(run) = &self.run else { return };
        for at in run.tasks(step) {
            // The rest of what was tolerated.
            if self.task(at).is_some_and(|task| task.tolerated) {
                self.may_succeed(at, told);
            } else {
                self.task_is_left(at);
            }
        }
    }

    fn task(&mut self, at: usize) -> Option<&mut Task> {
        self.run.as_mut()?.all.get_mut(at)
    }

    fn may_succeed(&mut self, at: usize, told: &mut Vec<Notification>) {
        if self.task(at).is_some_and(|task| task.left == 0 || (task.tolerated && task.running == 0)) {
            self.task_succeeds(at, told);
        }
    }

    fn task_begins(&mut self, at: usize, told: &mut Vec<Notification>) {
        let Some(run) = &mut self.run else { return };
        let Some(task) = run.all.get_mut(at).filter(|task| !task.begun && !task.over) else { return };
        if run.prepares {
            return;
        }
        task.begun = true;
        let what = What::Task(task.audited.clone());
        told.push(self.about(what, Moment::Begins));
    }

    fn task_succeeds(&mut self, at: usize, told: &mut Vec<Notification>) {
        self.task_begins(at, told);
        let Some(run) = &mut self.run else { return };
        let Some(task) = run.all.get_mut(at).filter(|task| !task.over) else { return };
        task.over = true;
        if !run.prepares {
            let what = What::Task(task.audited.clone());
            told.push(self.about(what, Moment::Succeeded));
        }
    }

    fn task_fails(&mut self, at: usize, message: &str, told: &mut Vec<Notification>) {
        let Some(task) = self.task(at).filter(|task| !task.over) else { return };
        task.over = true;
        let (was_begun, audited) = (std::mem::replace(&mut task.begun, true), task.audited.clone());
        // An image that could not be pulled is told like anything else that could not be done to the instance.
        if !was_begun {
            told.push(self.about(What::Task(audited.clone()), Moment::Begins));
        }
        self.failure.get_or_insert_with(|| format!("{}: {message}", audited.instance));
        let moment = Moment::Failed { message: Some(message.to_owned()) };
        told.push(self.about(What::Task(audited), moment));
    }

    /// Nothing more will be told of it.
    fn task_is_left(&mut self, at: usize) {
        if let Some(task) = self.task(at) {
            task.over = true;
        }
    }
}

impl Tasks {
    fn tasks(&self, step: StepId) -> Vec<usize> {
        let members = self.members.get(step.index()).map_or(&[][..], Vec::as_slice);
        members.iter().map(|at| *at as usize).collect()
    }
}

fn audited(item: &Item, ips: &BTreeMap<ShipName, Arc<str>>) -> Audited {
    Audited {
        instance: item.instance.clone(),
        service: item.service.clone(),
        ship: item.ship.clone(),
        ip: ips.get(&item.ship).cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
