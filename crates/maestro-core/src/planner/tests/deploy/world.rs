//! A fleet that does what plans say, and no more than engines would.

use crate::balance::Rotation;
use crate::boundary::CheckFailure;
use crate::event::{Failure, StepOutcome, Verdict};
use crate::fleet::{ContainerState, EngineState, FleetSnapshot, ObservedContainer, ObservedImage, ShipView};
use crate::model::{Check, Environment, HookName, LABEL_PORT, Phase};
use crate::names::{ContainerId, ImageId, InstanceName, ServiceName};
use crate::plan::{Action, Condition, EngineCall, Item, Plan, StepId, Target, Unit};
use crate::run::Run;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// How a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Well.
    Well,
    /// It fails.
    Failed,
    /// It fails, and what was asked for is done all the same: the answer was lost.
    Unheard,
}

/// What engines would do.
#[derive(Clone)]
pub(super) struct World {
    pub(super) fleet: FleetSnapshot,
    pub(super) made: usize,
    /// Instances that ran at the beginning, and have been stopped since.
    pub(super) stopped: Vec<ContainerId>,
    /// Fixed ports of containers.
    ports: BTreeMap<ContainerId, Vec<String>>,
    /// Containers that have been seen to run since they were started.
    proved: BTreeSet<ContainerId>,
    /// Hooks that have come to a good end.
    pub(super) hooks: Vec<HookName>,
    /// How the next steps end, over and over; all well if it is empty.
    pub(super) ends: Vec<End>,
    /// Instances, and those that have to be done before anything is done to them.
    order: BTreeMap<InstanceName, BTreeSet<InstanceName>>,
    /// Containers that were started by the plan that is carried out.
    started: BTreeSet<ContainerId>,
    /// How many containers of that plan have died by themselves that had been seen to run.
    pub(super) died: usize,
}

impl World {
    pub(super) fn of(fleet: FleetSnapshot) -> Self {
        Self {
            fleet,
            made: 0,
            stopped: Vec::new(),
            ports: BTreeMap::new(),
            proved: BTreeSet::new(),
            hooks: Vec::new(),
            ends: Vec::new(),
            order: BTreeMap::new(),
            started: BTreeSet::new(),
            died: 0,
        }
    }

    /// From now on, nothing may be done to an instance before all that it needs is as it is to be.
    pub(super) fn obeys(&mut self, environment: &Environment) {
        self.order = needed(environment);
    }

    /// What runs, as `name@ship`, and the image of each.
    pub(super) fn running(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (ship, view) in &self.fleet.ships {
            let ShipView::Reachable(state) = view else { continue };
            let up = state.containers.values().filter(|container| container.state.is_running());
            found.extend(
                up.map(|container| (format!("{}@{ship}", container.name), container.image.to_string())),
            );
        }
        found
    }

    /// Carries so many steps of a plan out, one after another, and follows what balancers are told. After each, `look`
    /// looks at what there is, and at where requests go by then. Returns how many steps there were, and what balancers
    /// were told last.
    pub(super) fn follow(
        &mut self,
        plan: &Plan,
        most: usize,
        mut look: impl FnMut(&World, &Rotation, &Action),
    ) -> (usize, Rotation) {
        let mut rotation = plan.rotation.clone();
        let mut steps = 0;
        let followed = |world: &World, action: &Action| {
            steps += 1;
            if let Action::Route { change, .. } = action {
                rotation.change(change);
            }
            look(world, &rotation, action);
        };
        self.carry_out(plan, most, |_| 0, followed);
        (steps, rotation)
    }

    /// Carries a plan out up to a number of steps; of those that could be next, `choose` says which one is. After each,
    /// `look` looks at what there is.
    pub(super) fn carry_out(
        &mut self,
        plan: &Plan,
        most: usize,
        mut choose: impl FnMut(usize) -> usize,
        mut look: impl FnMut(&World, &Action),
    ) {
        let mut run = Run::new(Arc::new(plan.clone()));
        let mut in_order = InOrder::new(plan, &self.order);
        let mut open: Vec<StepId> = Vec::new();
        let mut done = 0;
        self.started.clear();
        self.died = 0;
        while done < most && !run.is_over() {
            open.extend(run.take_ready());
            assert!(!open.is_empty(), "nothing can be next, and it is not over:\n{plan}");
            let step = open.remove(choose(open.len()));
            let action = &plan.step(step).unwrap().action;
            done += 1;
            let end = if self.ends.is_empty() { End::Well } else { self.ends[done % self.ends.len()] };
            in_order.begin(plan, step);
            if end == End::Failed {
                self.fail(plan, step);
                look(self, action);
                let outcome = StepOutcome::Failed(failure());
                in_order.end(plan, step, &outcome);
                run.finish(step, &outcome);
                continue;
            }
            match action {
                Action::Call(call) => self.perform(plan, step, call),
                Action::Await { target, condition: Condition::Running, .. } => {
                    let container = found(self.state(plan, step), target);
                    assert!(container.state.is_running(), "{} does not run", container.name);
                    let id = container.id.clone();
                    self.proved.insert(id);
                }
                Action::Check { target, check: Check::Tcp { port, picked: Some(name), .. }, .. } => {
                    let labels = &found(self.state(plan, step), target).labels;
                    let label = labels.get(&format!("{LABEL_PORT}{name}"));
                    assert_eq!(label, Some(&port.to_string()), "{target:?} is asked at another port");
                }
                Action::Finish { target, hook, .. } => {
                    let container = found(self.state(plan, step), target);
                    assert!(container.state.is_running(), "{} does not run", container.name);
                    container.state = ContainerState::Exited;
                    container.exit_code = Some(0);
                    self.hooks.push(hook.name.clone());
                }
                Action::Local { hook, .. } => self.hooks.push(hook.name.clone()),
                _ => {}
            }
            look(self, action);
            let outcome = match action {
                Action::Call(_) if end == End::Unheard => StepOutcome::Failed(failure()),
                _ => StepOutcome::Done(crate::boundary::CallOutcome::Done),
            };
            in_order.end(plan, step, &outcome);
            run.finish(step, &outcome);
        }
    }

    /// What has been started dies where it fails to prove itself; calls that fail do nothing.
    fn fail(&mut self, plan: &Plan, step: StepId) {
        let (Action::Await { target, condition: Condition::Running, .. }
        | Action::Check { target, phase: Phase::Running, .. }) = &plan.step(step).unwrap().action
        else {
            return;
        };
        let id = found(self.state(plan, step), target).id.clone();
        if self.started.contains(&id) {
            found(self.state(plan, step), target).state = ContainerState::Exited;
            self.died += usize::from(self.proved.remove(&id));
        }
    }

    /// Carries a plan out.
    pub(super) fn finish(&mut self, plan: &Plan) {
        self.carry_out(plan, usize::MAX, |_| 0, |_, _| ());
    }

    /// How many instances of a service serve: their own container runs, or one beside it that has been proved.
    pub(super) fn serving(&self, environment: &Environment, service: &ServiceName) -> usize {
        environment.services[service].instances.iter().filter(|name| self.serves(environment, name)).count()
    }

    /// Whether an instance serves.
    pub(super) fn serves(&self, environment: &Environment, name: &InstanceName) -> bool {
        let instance = &environment.instances[name];
        let Some(ShipView::Reachable(state)) = self.fleet.ship(&instance.ship) else { return false };
        let own = state.containers.get(name.as_str()).is_some_and(|c| c.state.is_running());
        own || state
            .nexts(environment, name)
            .any(|next| next.state.is_running() && self.proved.contains(&next.id))
    }

    fn state(&mut self, plan: &Plan, step: StepId) -> &mut EngineState {
        let ship = plan.unit_of(step).unwrap().ship().unwrap();
        match self.fleet.ships.get_mut(ship).unwrap() {
            ShipView::Reachable(state) => Arc::make_mut(state),
            ShipView::Unreachable(error) => panic!("{error}"),
        }
    }

    fn perform(&mut self, plan: &Plan, step: StepId, call: &EngineCall) {
        self.made += 1;
        let id = ContainerId::new(format!("{:012x}{:052}", self.made, 0));
        let mut stopped = None;
        let fixed = self.ports.clone();
        let mut ports = None;
        let state = self.state(plan, step);
        match call {
            EngineCall::Login { .. } | EngineCall::RemoveImage { .. } => {}
            EngineCall::PullImage { image, .. } => {
                let id = ImageId::new(format!("sha256:{image}"));
                let image = ObservedImage { id, tags: vec![image.to_string()], digests: Vec::new() };
                state.images.get_or_insert_default().push(image);
            }
            EngineCall::CreateContainer { spec, .. } => {
                let image_id = state
                    .image(&spec.image)
                    .unwrap_or_else(|| panic!("{} is not there", spec.image))
                    .id
                    .clone();
                // Of a range, the engine picks one that is free.
                let is_one = |port: &String| port.parse::<u16>().is_ok();
                let bindings = spec.ports.iter().map(|binding| binding.external.to_string()).filter(is_one);
                ports = Some((id.clone(), bindings.collect()));
                let name: Arc<str> = spec.name.as_str().into();
                let container = ObservedContainer {
                    id,
                    name: name.clone(),
                    state: ContainerState::Created,
                    health: None,
                    image: spec.image.clone(),
                    image_id,
                    labels: spec.labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
                    started_at: None,
                    finished_at: None,
                    exit_code: None,
                    restarts: None,
                    ports: spec
                        .ports
                        .iter()
                        .filter_map(|port| {
                            Some((port.external.parse().ok()?, u16::try_from(port.exposed).ok()?))
                        })
                        .collect(),
                    configuration: None,
                };
                assert!(state.containers.insert(name.clone(), container).is_none(), "{name} is taken");
            }
            EngineCall::StartContainer { target } => {
                let id = found(state, target).id.clone();
                let running = state.containers.values().filter(|c| c.state.is_running() && c.id != id);
                let taken: Vec<_> = running.filter_map(|c| fixed.get(&c.id)).flatten().collect();
                let clash = fixed.get(&id).into_iter().flatten().find(|port| taken.contains(port));
                let now = found(state, target).state;
                assert_ne!(now, ContainerState::Paused, "engines refuse to start what is paused");
                assert_eq!(clash, None, "{} starts on a port that another one has\n{plan}", target.name());
                found(state, target).state = ContainerState::Running;
                self.started.insert(id);
            }
            EngineCall::StopContainer { target, .. } | EngineCall::KillContainer { target } => {
                let container = found(state, target);
                container.state = ContainerState::Exited;
                stopped = Some(container.id.clone());
            }
            EngineCall::RenameContainer { target, to } => {
                let mut container = found(state, target).clone();
                state.containers.remove(&container.name);
                container.name = to.as_str().into();
                assert!(
                    state.containers.insert(container.name.clone(), container).is_none(),
                    "{to} is taken"
                );
            }
            EngineCall::SetRestart { target, .. } => {
                let container = found(state, target);
                assert!(!container.state.is_running(), "what runs is left alone");
            }
            EngineCall::RemoveContainer { target } => {
                let container = found(state, target);
                assert!(!container.state.is_running());
                let name = container.name.clone();
                state.containers.remove(&name);
            }
        }
        if let Some(id) = &stopped {
            self.proved.remove(id);
        }
        self.stopped.extend(stopped);
        self.ports.extend(ports);
    }
}

/// Whom each instance needs: all of the services that its own requires, over any number of others, and those of its own that
/// it takes something from. Worked out from the file, and not from the planner's graph.
fn needed(environment: &Environment) -> BTreeMap<InstanceName, BTreeSet<InstanceName>> {
    let mut all: BTreeMap<InstanceName, BTreeSet<InstanceName>> = BTreeMap::new();
    for (name, instance) in &environment.instances {
        let mut services: BTreeSet<&ServiceName> = BTreeSet::new();
        let mut open = vec![&instance.service];
        while let Some(service) = open.pop() {
            open.extend(environment.services[service].requires.iter().filter(|next| services.insert(next)));
        }
        let of = |service: &&ServiceName| environment.services[*service].instances.iter().cloned();
        let needed = services.iter().flat_map(of).chain(instance.after.iter().cloned());
        all.insert(name.clone(), needed.collect());
    }
    all
}

/// Looks that nothing is done to an instance before what it needs is done.
struct InOrder {
    /// For each step, those that have to be over.
    before: BTreeMap<StepId, Arc<BTreeSet<StepId>>>,
    over: BTreeSet<StepId>,
}

impl InOrder {
    fn new(plan: &Plan, order: &BTreeMap<InstanceName, BTreeSet<InstanceName>>) -> Self {
        let mut before = BTreeMap::new();
        for item in &plan.items {
            let Some(needed) = order.get(&item.instance) else { continue };
            let needed = plan.items.iter().filter(|other| needed.contains(&other.instance));
            let first: Arc<BTreeSet<StepId>> = Arc::new(needed.flat_map(Item::steps).collect());
            // Images are pulled whenever they like.
            let own = |step: &StepId| matches!(plan.unit_of(*step), Some(Unit::Instance { instance, .. }) if *instance == item.instance);
            before.extend(item.steps().filter(own).map(|step| (step, first.clone())));
        }
        Self { before, over: BTreeSet::new() }
    }

    fn begin(&self, plan: &Plan, step: StepId) {
        let mut before = self.before.get(&step).into_iter().flat_map(|before| before.iter());
        let open = before.find(|before| !self.over.contains(before));
        assert_eq!(open, None, "{step:?} is done before what it needs is in\n{plan}");
    }

    fn end(&mut self, plan: &Plan, step: StepId, outcome: &StepOutcome) {
        if !matches!(outcome.verdict(plan.step(step).unwrap().on_failure), Verdict::Failed) {
            self.over.insert(step);
        }
    }
}

fn failure() -> Failure {
    Failure::Check(CheckFailure { check: "x".into(), attempts: 1, last: "no".into() })
}

fn found<'a>(state: &'a mut EngineState, target: &Target) -> &'a mut ObservedContainer {
    let container = match target {
        Target::Seen { id, .. } => state.containers.values_mut().find(|container| container.id == *id),
        Target::Made(name) => state.containers.get_mut(name.as_str()),
    };
    container.unwrap_or_else(|| panic!("{target:?} is not there"))
}

/// All containers: ship, name, state, image.
pub(super) fn names(fleet: &FleetSnapshot) -> String {
    let mut text = String::new();
    for (ship, view) in &fleet.ships {
        let ShipView::Reachable(state) = view else { continue };
        for container in state.containers.values() {
            _ = writeln!(text, "{ship}: {} {} {}", container.name, container.state.name(), container.image);
        }
    }
    text
}
