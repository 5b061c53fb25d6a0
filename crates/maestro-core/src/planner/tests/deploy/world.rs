//! A fleet that does what plans say, and no more than engines would.

use super::rules::{Rules, is_hooks, up, written};
use super::watch::{Failures, Watch};
use crate::balance::Rotation;
use crate::boundary::{CallOutcome, CheckFailure};
use crate::compare::told;
use crate::event::{Failure, StepOutcome};
use crate::fleet::{ContainerState, EngineState, FleetSnapshot, ObservedContainer, ObservedImage, ShipView};
use crate::model::{Check, Environment, HookName, LABEL_PORT, Phase, RestartPolicy};
use crate::names::{ContainerId, ImageId, InstanceName, ServiceName, ShipName};
use crate::plan::{Action, Condition, EngineCall, Plan, StepId, Target};
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
    pub(super) proved: BTreeSet<ContainerId>,
    /// Hooks that have come to a good end.
    pub(super) hooks: Vec<HookName>,
    /// How the next steps end, over and over; all well if it is empty.
    pub(super) ends: Vec<End>,
    /// What no step may break.
    rules: Option<Arc<Rules>>,
    /// Whether engines tell what containers were made of.
    pub(super) tells: bool,
    /// The directories that containers can write to.
    binds: BTreeMap<ContainerId, Vec<String>>,
    /// Where the plan that is carried out sends requests by now, and what front ends have been told last.
    rotation: Rotation,
    pub(super) published: Option<Rotation>,
    /// Ships and ports of the containers of that plan that have died by themselves.
    pub(super) dead: Vec<(ShipName, BTreeSet<u16>)>,
    /// Containers that were started by the plan that is carried out.
    started: BTreeSet<ContainerId>,
    /// What has failed of that plan, if anything has.
    pub(super) failures: Option<Failures>,
    /// How many containers of that plan have died by themselves that had been seen to run.
    pub(super) died: usize,
    /// Ships that cannot be reached, as they are.
    lost: BTreeMap<ShipName, ShipView>,
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
            rules: None,
            tells: false,
            binds: BTreeMap::new(),
            rotation: Rotation::default(),
            published: None,
            dead: Vec::new(),
            started: BTreeSet::new(),
            failures: None,
            died: 0,
            lost: BTreeMap::new(),
        }
    }

    /// These ships, one bit each, cannot be reached from now on, and all others can.
    pub(super) fn reach_all_but(&mut self, ships: u8) {
        if !self.lost.is_empty() {
            // What balancers were told of them was a guess.
            self.published = None;
        }
        self.fleet.ships.append(&mut self.lost);
        let down = |ship: &ShipName| super::fleet(&format!("{ship}: down")).ships.remove(ship).unwrap();
        let found = self.fleet.ships.iter_mut().enumerate().filter(|(number, _)| ships >> number & 1 == 1);
        for (_, (ship, view)) in found {
            self.lost.insert(ship.clone(), std::mem::replace(view, down(ship)));
        }
    }

    /// Whether a ship cannot be reached.
    pub(super) fn has_lost(&self, ship: &ShipName) -> bool {
        self.lost.contains_key(ship)
    }

    /// From now on, no step may break what a file says.
    pub(super) fn obeys(&mut self, rules: &Arc<Rules>) {
        self.rules = Some(rules.clone());
    }

    /// The directories that a container can write to.
    pub(super) fn binds_of(&self, container: &ObservedContainer) -> &[String] {
        self.binds.get(&container.id).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many containers run that can write to a directory of a ship.
    pub(super) fn writers(&self) -> BTreeMap<(ShipName, String), usize> {
        let mut all = BTreeMap::new();
        for (ship, container) in up(&self.fleet).filter(|(_, container)| !is_hooks(container)) {
            for source in self.binds_of(container) {
                *all.entry((ship.clone(), source.clone())).or_default() += 1;
            }
        }
        all
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
        let mut steps = 0;
        let followed = |world: &World, action: &Action| {
            steps += 1;
            look(world, &world.rotation, action);
        };
        self.carry_out(plan, most, |_| 0, followed);
        (steps, self.rotation.clone())
    }

    /// Carries a plan out up to a number of steps; of those that could be next, `choose` says which one is. After each,
    /// `look` looks at what there is. Returns whether all has been done.
    pub(super) fn carry_out(
        &mut self,
        plan: &Plan,
        most: usize,
        mut choose: impl FnMut(usize) -> usize,
        mut look: impl FnMut(&World, &Action),
    ) -> bool {
        let mut run = Run::new(Arc::new(plan.clone()));
        let mut watch = self.rules.clone().map(|rules| Watch::new(plan, &rules, self));
        let mut open: Vec<StepId> = Vec::new();
        let mut done = 0;
        let mut is_well = true;
        self.started.clear();
        self.dead.clear();
        self.died = 0;
        self.failures = None;
        self.rotation.clone_from(&plan.rotation);
        while done < most && !run.is_over() {
            let ready = run.take_ready();
            if let Some(watch) = &mut watch {
                watch.given(plan, &ready);
            }
            open.extend(ready);
            assert!(!open.is_empty(), "nothing can be next, and it is not over:\n{plan}");
            let step = open.remove(choose(open.len()));
            let action = &plan.step(step).unwrap().action;
            done += 1;
            let end = if self.ends.is_empty() { End::Well } else { self.ends[done % self.ends.len()] };
            if let Some(watch) = &watch {
                watch.begin(plan, step, self);
            }
            match action {
                _ if end == End::Failed => self.fail(plan, step),
                Action::Call(call) => self.perform(plan, step, call),
                Action::Await { target, condition: Condition::Running | Condition::Steady, .. } => {
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
                Action::Route { change, .. } => {
                    self.rotation.change(change);
                    self.published = Some(self.rotation.clone());
                }
                _ => {}
            }
            look(self, action);
            let outcome = match (action, end) {
                (_, End::Failed) | (Action::Call(_), End::Unheard) => StepOutcome::Failed(failure()),
                _ => StepOutcome::Done(CallOutcome::Done),
            };
            is_well &= matches!(outcome, StepOutcome::Done(_));
            if let Some(watch) = &mut watch {
                watch.end(plan, step, &outcome, self);
            }
            run.finish(step, &outcome);
        }
        if let Some(watch) = watch {
            self.failures = watch.failures(plan);
            if run.is_over() {
                watch.finish(plan);
            }
        }
        is_well &= run.is_over();
        if is_well {
            // Whoever is done tells all front ends where requests go by then.
            self.published = Some(self.rotation.clone());
        }
        is_well
    }

    /// What has been started dies where it fails to prove itself, and hooks end; calls that fail do nothing.
    fn fail(&mut self, plan: &Plan, step: StepId) {
        match &plan.step(step).unwrap().action {
            Action::Await { target, condition: Condition::Running | Condition::Steady, .. }
            | Action::Check { target, phase: Phase::Running, .. } => {
                let id = found(self.state(plan, step), target).id.clone();
                if self.started.contains(&id) {
                    let container = found(self.state(plan, step), target);
                    container.state = ContainerState::Exited;
                    let ports = container.ports.keys().copied().collect();
                    self.dead.push((plan.unit_of(step).unwrap().ship().unwrap().clone(), ports));
                    self.died += usize::from(self.proved.remove(&id));
                }
            }
            Action::Finish { target, .. } => {
                let container = found(self.state(plan, step), target);
                (container.state, container.exit_code) = (ContainerState::Exited, Some(1));
            }
            _ => {}
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
        let mut made = None;
        let tells = self.tells;
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
                made = Some((id.clone(), bindings.collect(), written(&spec.settings.binds)));
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
                    configuration: tells.then(|| told(spec).into()),
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
            EngineCall::SetRestart { target, restart } => {
                let container = found(state, target);
                // What runs is told to stay stopped just where it is stopped next.
                let rests = *restart == RestartPolicy::default();
                assert!(
                    !container.state.is_running() || rests == stops(plan, target),
                    "{target:?} in\n{plan}"
                );
                if let Some(configuration) = &mut container.configuration {
                    Arc::make_mut(configuration).restart = restart.clone();
                }
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
        if let Some((id, ports, binds)) = made {
            self.ports.insert(id.clone(), ports);
            self.binds.insert(id, binds);
        }
    }
}

fn stops(plan: &Plan, wanted: &Target) -> bool {
    plan.steps.iter().any(|step| match &step.action {
        Action::Call(EngineCall::StopContainer { target, .. }) => target == wanted,
        _ => false,
    })
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
