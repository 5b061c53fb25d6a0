//! What must be so at every call and at every event of a run, whoever planned it.
//!
//! Nothing here trusts the planner: who comes before whom is worked out again from the environment, and what is on a
//! ship is looked up on the ship. Breaches are noted and told at the end; a panic in a task would only look like a
//! failed step.

use maestro_core::event::{Event, Failure, Skipped, StepOutcome};
use maestro_core::fleet::{FleetSnapshot, Ownership, ShipView};
use maestro_core::model::{Environment, LABEL_INSTANCE};
use maestro_core::names::{InstanceName, ServiceName, ShipName};
use maestro_core::plan::{
    Action, Condition, EngineCall, Fate, Intent, OnFailure, Plan, StepId, Unit, UnitId,
};
use maestro_core::select::Selection;
use maestro_testkit::fake_engine::FakeEngine;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is known of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Waiting,
    Running,
    /// With success, or with a failure that changes nothing.
    Done,
    Tolerated,
    Failed,
    CutOff,
    Skipped(Skipped),
}

/// How many requests of each kind are under way on a ship, and were at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) calls: usize,
    pub(super) pulls: usize,
    pub(super) reads: usize,
}

/// One call that changes a ship, as the golden transcripts show it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) at: Duration,
    pub(super) ship: ShipName,
    pub(super) call: String,
    pub(super) end: String,
}

/// The conscience of one run.
pub(super) struct Watch {
    environment: Arc<Environment>,
    intent: Intent,
    ships: BTreeMap<ShipName, FakeEngine>,
    /// Who must be done before an instance may be touched, among the selected.
    before: BTreeMap<InstanceName, BTreeSet<InstanceName>>,
    plan: Option<Arc<Plan>>,
    fleet: FleetSnapshot,
    began: Instant,
    steps: Vec<Seen>,
    items: BTreeMap<InstanceName, usize>,
    units: BTreeMap<InstanceName, UnitId>,
    members: Vec<Vec<StepId>>,
    touched: BTreeSet<UnitId>,
    /// Units that were begun and are not over.
    open: BTreeSet<UnitId>,
    /// Instances of which is known that they were done well.
    passed: BTreeSet<InstanceName>,
    touched_at_interrupt: BTreeSet<UnitId>,
    interrupts: usize,
    finished: bool,
    loads: BTreeMap<ShipName, Load>,
    pub(super) peaks: BTreeMap<ShipName, Load>,
    pub(super) transcript: Vec<Entry>,
    pub(super) breaches: Vec<String>,
}

impl Watch {
    pub(super) fn new(
        environment: &Arc<Environment>,
        ships: &BTreeMap<ShipName, FakeEngine>,
        intent: &Intent,
        selection: &Selection,
    ) -> Self {
        Self {
            before: order(environment, intent, selection),
            environment: environment.clone(),
            intent: intent.clone(),
            ships: ships.clone(),
            plan: None,
            fleet: FleetSnapshot::default(),
            began: Instant::now(),
            steps: Vec::new(),
            items: BTreeMap::new(),
            units: BTreeMap::new(),
            members: Vec::new(),
            touched: BTreeSet::new(),
            open: BTreeSet::new(),
            passed: BTreeSet::new(),
            touched_at_interrupt: BTreeSet::new(),
            interrupts: 0,
            finished: false,
            loads: BTreeMap::new(),
            peaks: BTreeMap::new(),
            transcript: Vec::new(),
            breaches: Vec::new(),
        }
    }

    /// The fleet was looked at and this was decided.
    pub(super) fn planned(&mut self, plan: &Arc<Plan>, fleet: FleetSnapshot) {
        self.steps = vec![Seen::Waiting; plan.steps.len()];
        self.items = plan.items.iter().enumerate().map(|(at, item)| (item.instance.clone(), at)).collect();
        self.members = vec![Vec::new(); plan.units.len()];
        for id in plan.ids() {
            self.members[plan.steps[id.index()].unit.index()].push(id);
        }
        for (at, unit) in plan.units.iter().enumerate() {
            if let Unit::Instance { instance, .. } = unit {
                self.units.insert(instance.clone(), UnitId(u32::try_from(at).unwrap()));
            }
        }
        self.plan = Some(plan.clone());
        self.fleet = fleet;
        self.began = Instant::now();
    }

    fn breach(&mut self, text: impl Into<String>) {
        if self.breaches.len() < 10 {
            self.breaches.push(format!("{:?}: {}", self.began.elapsed(), text.into()));
        }
    }

    fn plan(&self) -> Arc<Plan> {
        self.plan.clone().expect("nothing happens before there is a plan")
    }

    // ---- what the reporter sees

    pub(super) fn event(&mut self, event: &Event) {
        if self.finished {
            self.breach(format!("after the end: {event:?}"));
        }
        match event {
            Event::RunStarted { .. } | Event::Tick => {}
            Event::StepStarted { step } => self.started(*step),
            Event::StepProgress { step, .. } => {
                if self.steps[step.index()] != Seen::Running {
                    self.breach(format!("{} goes on and does not run", self.name(*step)));
                }
            }
            Event::StepFinished { step, outcome, .. } => self.ended(*step, outcome),
            Event::StepSkipped { step, because } => self.skipped(*step, *because),
            Event::Interrupted => self.touched_at_interrupt = self.touched.clone(),
            Event::RunFinished { .. } => self.finish(),
        }
        self.look_for_twins(event);
    }

    /// The user has pressed Ctrl-C this many times; what is told about it comes later.
    pub(super) fn interrupted(&mut self) {
        self.interrupts += 1;
    }

    fn started(&mut self, id: StepId) {
        let plan = self.plan();
        let step = &plan.steps[id.index()];
        if self.steps[id.index()] != Seen::Waiting {
            self.breach(format!("{} starts, and was {:?}", self.name(id), self.steps[id.index()]));
        }
        self.steps[id.index()] = Seen::Running;
        for before in &step.after {
            if !self.has_passed(*before) {
                self.breach(format!("{} starts before {}", self.name(id), self.name(*before)));
            }
        }
        self.touched.insert(step.unit);
        self.open.insert(step.unit);
        let under_way = self.open.len();
        if plan.limits.units.is_some_and(|limit| under_way > limit.max(1)) {
            self.breach(format!("{} starts as unit {under_way} of {:?}", self.name(id), plan.limits.units));
        }
        if let Some(Unit::Instance { instance, .. }) = plan.units.get(step.unit.index()) {
            self.may_be_touched(&instance.clone());
        }
    }

    fn ended(&mut self, id: StepId, outcome: &StepOutcome) {
        if self.steps[id.index()] != Seen::Running {
            self.breach(format!("{} ends, and was {:?}", self.name(id), self.steps[id.index()]));
        }
        self.steps[id.index()] = match outcome {
            StepOutcome::Done(_) => Seen::Done,
            StepOutcome::Failed(Failure::Interrupted) => Seen::CutOff,
            StepOutcome::Failed(Failure::Internal(text)) => {
                self.breach(format!("{}: {text}", self.name(id)));
                Seen::Failed
            }
            StepOutcome::Failed(failure) => self.failed(id, failure),
        };
        self.close(id);
    }

    /// What a failure is, by the rules and not by what the run makes of it.
    fn failed(&self, id: StepId, failure: &Failure) -> Seen {
        let refused = match failure {
            Failure::Engine(error) => !error.ambiguous && !error.kind.is_about_ship(),
            Failure::Check(_) => true,
            Failure::NotReached { condition, .. } => *condition == Condition::NotRunning,
            _ => false,
        };
        match self.plan().steps[id.index()].on_failure {
            OnFailure::Tolerate => Seen::Tolerated,
            OnFailure::TolerateIfRunning if refused => Seen::Tolerated,
            OnFailure::GoOn => Seen::Done,
            OnFailure::TolerateIfRunning | OnFailure::Fail => Seen::Failed,
        }
    }

    fn close(&mut self, id: StepId) {
        let unit = self.plan().steps[id.index()].unit;
        if self.is_over(unit) {
            self.open.remove(&unit);
        }
    }

    fn skipped(&mut self, id: StepId, because: Skipped) {
        if self.steps[id.index()] != Seen::Waiting {
            self.breach(format!("{} is skipped, and was {:?}", self.name(id), self.steps[id.index()]));
        }
        let unit = self.plan().steps[id.index()].unit;
        if because == Skipped::Interrupted && self.interrupts == 1 && self.touched.contains(&unit) {
            self.breach(format!("{} was begun, and is skipped at the first interrupt", self.name(id)));
        }
        self.steps[id.index()] = Seen::Skipped(because);
        self.close(id);
    }

    fn finish(&mut self) {
        self.finished = true;
        let plan = self.plan();
        for id in plan.ids() {
            if !self.is_step_over(id) {
                self.breach(format!("{} is {:?} at the end", self.name(id), self.steps[id.index()]));
            }
        }
        if self.interrupts > 0 {
            let late: Vec<UnitId> = self.touched.difference(&self.touched_at_interrupt).copied().collect();
            for unit in late {
                self.breach(format!("{} was begun after the interrupt", plan.units[unit.index()]));
            }
        }
    }

    /// Never two containers of one instance, but for those that a deployment keeps, which do not run.
    fn look_for_twins(&mut self, event: &Event) {
        let (Event::StepStarted { step } | Event::StepFinished { step, .. }) = event else { return };
        let Some(ship) = self.plan().unit_of(*step).and_then(Unit::ship).cloned() else { return };
        let Some(engine) = self.ships.get(&ship) else { return };
        let mut instances: Vec<String> = engine.look(|machine| {
            let labels = |c: &&maestro_testkit::state::Container| c.config.labels.clone().unwrap_or_default();
            let is_kept =
                |c: &&maestro_testkit::state::Container| c.name.contains(".kept-") && !c.is_running();
            let containers = machine.containers();
            let of_now = containers.iter().filter(|c| !is_kept(c));
            of_now.filter_map(|c| labels(c).get(LABEL_INSTANCE).cloned()).collect()
        });
        instances.sort_unstable();
        if let Some([twin, _]) = instances.array_windows().find(|[one, other]| one == other) {
            self.breach(format!("two containers of {twin} on {ship}"));
        }
    }

    // ---- what the engines see

    /// A request begins; [`Watch::leave`] must follow.
    pub(super) fn enter(&mut self, ship: &ShipName, kind: Kind) {
        let load = self.loads.entry(ship.clone()).or_default();
        *load.of(kind) += 1;
        let load = *load;
        let peak = self.peaks.entry(ship.clone()).or_default();
        for kind in [Kind::Call, Kind::Pull, Kind::Read] {
            *peak.of(kind) = peak.get(kind).max(load.get(kind));
        }
        let Some(plan) = &self.plan else { return };
        let limits = plan.limits;
        if load.calls > limits.calls_per_ship.max(1) || load.pulls > limits.pulls_per_ship.max(1) {
            self.breach(format!("{ship} has {load:?} at the same time"));
        }
        if load.reads > 1 {
            self.breach(format!("{ship} is looked at {} times at the same time", load.reads));
        }
    }

    pub(super) fn leave(&mut self, ship: &ShipName, kind: Kind) {
        *self.loads.entry(ship.clone()).or_default().of(kind) -= 1;
    }

    /// A call that changes a ship begins. Returns its place in the transcript.
    pub(super) fn calls(&mut self, ship: &ShipName, call: &EngineCall) -> usize {
        if !matches!(self.fleet.ship(ship), Some(ShipView::Reachable(_))) {
            self.breach(format!("{ship} could not be seen: {call}"));
        }
        if self.interrupts > 1 {
            self.breach(format!("after the second interrupt on {ship}: {call}"));
        }
        match call {
            EngineCall::Login { .. } | EngineCall::PullImage { .. } | EngineCall::RemoveImage { .. } => {}
            EngineCall::SetRestart { target, .. } => self.is_not_foreign(ship, target.reference(), call),
            EngineCall::CreateContainer { spec, .. } => {
                self.may_be_touched(&spec.name.clone());
                self.needed_really_run(&spec.name.clone());
            }
            EngineCall::StartContainer { target } => {
                self.is_not_foreign(ship, target.reference(), call);
                self.may_be_touched(&target.name().clone());
                self.needed_really_run(&target.name().clone());
            }
            EngineCall::RenameContainer { target, to } => {
                self.is_not_foreign(ship, target.reference(), call);
                // One makes way under another name, or one that was kept takes the instance's.
                let is_back = self.items.contains_key(to);
                let instance = if is_back { to.clone() } else { target.name().clone() };
                self.may_be_touched(&instance);
                self.has_replacement(ship, &instance, call);
            }
            EngineCall::StopContainer { target, .. }
            | EngineCall::KillContainer { target }
            | EngineCall::RemoveContainer { target } => {
                self.is_not_foreign(ship, target.reference(), call);
                // What was kept of an instance is touched in its turn.
                let name = target.name().as_str();
                let instance =
                    InstanceName::from(name.split_once(".kept-").map_or(name, |(instance, _)| instance));
                self.may_be_touched(&instance);
                self.has_replacement(ship, &instance, call);
            }
        }
        self.transcript.push(Entry {
            at: self.began.elapsed(),
            ship: ship.clone(),
            call: call.to_string(),
            end: " (cut off)".to_owned(),
        });
        self.transcript.len() - 1
    }

    fn is_not_foreign(&mut self, ship: &ShipName, reference: &str, call: &EngineCall) {
        let foreign = self.ships[ship].container(reference).is_some_and(|c| {
            let labels = c.config.labels.clone().unwrap_or_default();
            is_foreign(&labels, &self.environment)
        });
        if foreign {
            self.breach(format!("{call} on {ship}, and it is somebody else's"));
        }
    }

    /// Whoever takes a container away to make another one has the other one's image.
    fn has_replacement(&mut self, ship: &ShipName, name: &InstanceName, call: &EngineCall) {
        let plan = self.plan();
        let Some(item) = self.items.get(name).map(|at| &plan.items[*at]) else {
            return self.breach(format!("{name} was not selected"));
        };
        let Fate::Act { steps, .. } = &item.fate else {
            return self.breach(format!("nothing was to be done to {name}"));
        };
        let makes = steps.iter().filter_map(|id| plan.step(*id)).any(|step| {
            matches!(&step.action, Action::Call(EngineCall::CreateContainer { spec, .. }) if spec.name == *name)
        });
        let image = &self.environment.instances[name].image;
        if makes && !self.ships[ship].look(|machine| machine.image(image.as_str()).is_some()) {
            self.breach(format!("{call} on {ship}, and {image} is not there"));
        }
    }

    /// Everybody who must be done before this instance is, and well.
    fn may_be_touched(&mut self, name: &InstanceName) {
        let plan = self.plan();
        for other in self.before.get(name).cloned().unwrap_or_default() {
            if self.passed.contains(&other) {
                continue;
            }
            let Some(item) = self.items.get(&other).map(|at| &plan.items[*at]) else { continue };
            let verdict = match &item.fate {
                Fate::Settled(_) | Fate::Waits { .. } => continue,
                Fate::Blocked(_) if !matches!(self.intent, Intent::Start { .. } | Intent::Deploy { .. }) => {
                    continue;
                }
                Fate::Blocked(_) => "is blocked",
                Fate::Act { steps, .. } => {
                    let unit = self.unit_of(&other);
                    if unit.is_some_and(|unit| !self.is_over(unit)) {
                        "is not done"
                    } else if steps.iter().all(|step| self.has_passed(*step)) {
                        self.passed.insert(other);
                        continue;
                    } else {
                        "failed"
                    }
                }
            };
            self.breach(format!("{name} is touched, and {other} before it {verdict}"));
        }
    }

    /// What an instance needs runs, in fact and not only in the events.
    fn needed_really_run(&mut self, name: &InstanceName) {
        if !matches!(self.intent, Intent::Start { .. }) {
            return;
        }
        for other in self.before.get(name).cloned().unwrap_or_default() {
            let ship = &self.environment.instances[&other].ship;
            if !self.ships[ship].container(other.as_str()).is_some_and(|c| c.is_running()) {
                self.breach(format!("{name} starts, and {other} does not run"));
            }
        }
    }

    fn unit_of(&self, name: &InstanceName) -> Option<UnitId> {
        self.units.get(name).copied()
    }

    // ---- what is known of steps

    /// What a step has come to; a milestone is told of only where it is not reached.
    pub(super) fn seen(&self, id: StepId) -> Seen {
        self.steps[id.index()]
    }

    fn is_step_over(&self, id: StepId) -> bool {
        match self.steps[id.index()] {
            Seen::Done | Seen::Tolerated | Seen::Failed | Seen::CutOff | Seen::Skipped(_) => true,
            Seen::Running => false,
            Seen::Waiting => {
                let step = &self.plan().steps[id.index()];
                matches!(step.action, Action::Reached)
                    && step.after.iter().all(|before| self.has_passed(*before))
            }
        }
    }

    /// Whether what comes after a step may begin.
    fn has_passed(&self, id: StepId) -> bool {
        match self.steps[id.index()] {
            Seen::Done | Seen::Tolerated | Seen::Skipped(Skipped::Tolerated(_)) => true,
            Seen::Failed | Seen::Skipped(_) | Seen::CutOff | Seen::Running => false,
            Seen::Waiting => self.is_step_over(id),
        }
    }

    fn is_over(&self, unit: UnitId) -> bool {
        self.members[unit.index()].iter().all(|id| self.is_step_over(*id))
    }

    pub(super) fn was_touched(&self, name: &InstanceName) -> bool {
        self.unit_of(name).is_some_and(|unit| self.touched.contains(&unit))
    }

    fn name(&self, id: StepId) -> String {
        let plan = self.plan();
        format!(
            "step {} ({}: {})",
            id.0 + 1,
            plan.units[plan.steps[id.index()].unit.index()],
            plan.steps[id.index()].action
        )
    }
}

/// What is asked of an engine.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Call,
    Pull,
    Read,
}

impl Load {
    fn of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Call => &mut self.calls,
            Kind::Pull => &mut self.pulls,
            Kind::Read => &mut self.reads,
        }
    }

    fn get(mut self, kind: Kind) -> usize {
        *self.of(kind)
    }
}

/// Whether labels say that a container is not this environment's.
pub(super) fn is_foreign(labels: &BTreeMap<String, String>, environment: &Environment) -> bool {
    let container = maestro_core::fleet::ObservedContainer {
        id: "x".into(),
        name: "x".into(),
        state: maestro_core::fleet::ContainerState::Running,
        health: None,
        image: maestro_core::image::ImageRef::parse("x"),
        image_id: maestro_core::names::ImageId::new("x"),
        labels: labels.clone(),
        started_at: None,
        finished_at: None,
        exit_code: None,
        restarts: None,
        ports: std::collections::BTreeMap::new(),
        configuration: None,
    };
    matches!(container.ownership(environment), Ownership::Foreign(_))
}

/// Who must be done before whom, worked out from the text of the rules and not from the planner's graph: instances of
/// all services that a service needs, over any number of others, selected or not; and sources of volumes.
pub(super) fn order(
    environment: &Environment,
    intent: &Intent,
    selection: &Selection,
) -> BTreeMap<InstanceName, BTreeSet<InstanceName>> {
    let mut before: BTreeMap<InstanceName, BTreeSet<InstanceName>> = BTreeMap::new();
    if !selection.ordered || matches!(intent, Intent::Pull | Intent::Clean) {
        return before;
    }
    for name in &selection.instances {
        let instance = &environment.instances[name];
        let services = needed_services(environment, &instance.service);
        let sources = needed_siblings(environment, name);
        for other in &selection.instances {
            if !services.contains(&environment.instances[other].service) && !sources.contains(other) {
                continue;
            }
            let (first, second) = if intent.dependents_first() { (name, other) } else { (other, name) };
            before.entry(second.clone()).or_default().insert(first.clone());
        }
    }
    before
}

fn needed_services(environment: &Environment, service: &ServiceName) -> BTreeSet<ServiceName> {
    let mut needed: BTreeSet<ServiceName> = environment.services[service].requires.clone();
    loop {
        let more: BTreeSet<ServiceName> =
            needed.iter().flat_map(|name| environment.services[name].requires.clone()).collect();
        let before = needed.len();
        needed.extend(more);
        if needed.len() == before {
            return needed;
        }
    }
}

fn needed_siblings(environment: &Environment, name: &InstanceName) -> BTreeSet<InstanceName> {
    let mut needed: BTreeSet<InstanceName> = environment.instances[name].after.clone();
    loop {
        let more: BTreeSet<InstanceName> =
            needed.iter().flat_map(|name| environment.instances[name].after.clone()).collect();
        let before = needed.len();
        needed.extend(more);
        if needed.len() == before {
            return needed;
        }
    }
}
