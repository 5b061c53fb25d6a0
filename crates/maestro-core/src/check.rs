//! An independent look at a plan: what no plan may ever contain, whoever made it.

use crate::fleet::{FleetSnapshot, ShipView};
use crate::model::{ContainerEnv, ContainerSpec, LABEL_PORT};
use crate::names::{Secret, SecretName};
use crate::plan::{Action, Condition, EngineCall, Fate, Plan, StepId, Unit, UnitId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A defect of a plan: a bug in the planner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A step comes after one that is not before it.
    #[error("step {} comes after step {}, which is not before it", .step.0 + 1, .after.0 + 1)]
    Order {
        /// The step.
        step: StepId,
        /// What it comes after.
        after: StepId,
    },
    /// A unit waits for another one after it has begun, which can lock up a run with limited concurrency.
    #[error("step {} waits for another unit after its own unit has begun", .0.0 + 1)]
    LateWait(StepId),
    /// A container is made without its image being on the ship, or being pulled before.
    #[error("step {} creates a container whose image is not there", .0.0 + 1)]
    NoImage(StepId),
    /// A container is stopped or removed, and its replacement's image is not there yet.
    #[error("step {} takes a container away before its replacement's image is there", .0.0 + 1)]
    TooEarly(StepId),
    /// A step acts on a ship that cannot be seen.
    #[error("step {} acts on a ship that cannot be seen", .0.0 + 1)]
    Blind(StepId),
    /// A container is made while another of its name stands.
    #[error("step {} creates a container whose name is taken", .0.0 + 1)]
    NameTaken(StepId),
    /// A container is stopped whose replacement was started beside it and has not been proved.
    #[error("step {} stops a container before the one beside it has been proved", .0.0 + 1)]
    Unproved(StepId),
    /// A container is started beside another one of its instance, and both publish a port.
    #[error("step {} starts a second container on the port {port} of its ship", .step.0 + 1)]
    Doubled {
        /// The step.
        step: StepId,
        /// The port.
        port: Arc<str>,
    },
    /// A container is made, a program told or somebody logged in with a secret that has not been fetched.
    #[error("step {} needs the value of secret `{secret}`, which has not been fetched", .step.0 + 1)]
    Sealed {
        /// The step.
        step: StepId,
        /// The secret.
        secret: SecretName,
    },
    /// A step belongs to no instance's row and to no milestone or login.
    #[error("step {} belongs to no instance", .0.0 + 1)]
    Lost(StepId),
}

/// Looks for defects.
pub fn lint(plan: &Plan, fleet: &FleetSnapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    // What the first step of each unit comes after: nothing else of other units may hold up the steps behind it.
    let mut begun: BTreeMap<UnitId, &[StepId]> = BTreeMap::new();
    let mut rows: BTreeSet<StepId> = BTreeSet::new();
    for item in &plan.items {
        if let Fate::Act { steps, .. } = &item.fate {
            rows.extend(steps);
        }
    }
    let chains = chains(plan);
    for (id, step) in plan.ids().zip(&plan.steps) {
        for after in &step.after {
            if *after >= id {
                findings.push(Finding::Order { step: id, after: *after });
            }
        }
        let awaited = *begun.entry(step.unit).or_insert(&step.after);
        let foreign = |before: &StepId| plan.step(*before).is_some_and(|before| before.unit != step.unit);
        if step.after != awaited
            && step.after.iter().any(|before| foreign(before) && !awaited.contains(before))
        {
            findings.push(Finding::LateWait(id));
        }
        let unit = plan.units.get(step.unit.index());
        if !rows.contains(&id) && matches!(unit, Some(Unit::Instance { .. } | Unit::Image { .. })) {
            findings.push(Finding::Lost(id));
        }
        let visible = unit
            .and_then(Unit::ship)
            .is_none_or(|ship| matches!(fleet.ship(ship), Some(ShipView::Reachable(_))));
        if !visible {
            findings.push(Finding::Blind(id));
        }
        if let Some(secret) = sealed(&step.action) {
            findings.push(Finding::Sealed { step: id, secret });
        }
    }
    for chain in chains.values() {
        chain.lint(plan, fleet, &mut findings);
    }
    findings
}

/// A secret that a step needs and that has no value.
fn sealed(action: &Action) -> Option<SecretName> {
    let of_env = |env: &ContainerEnv| env.secrets().into_values().find_map(Secret::missing).cloned();
    match action {
        Action::Call(EngineCall::CreateContainer { spec, .. }) => of_env(&spec.env),
        Action::Call(EngineCall::Login { auth, .. } | EngineCall::PullImage { auth: Some(auth), .. }) => {
            auth.password.as_ref().and_then(Secret::missing).cloned()
        }
        Action::Check { check, env, .. } => {
            let password = check.password().and_then(Secret::missing).cloned();
            env.as_ref().and_then(|env| of_env(env)).or(password)
        }
        Action::Local { env, .. } => of_env(env),
        _ => None,
    }
}

/// The steps of one instance, shared ones included, but for those of hooks, whose containers are not its own.
struct InstanceChain<'a> {
    item: &'a crate::plan::Item,
    steps: Vec<StepId>,
}

fn chains(plan: &Plan) -> BTreeMap<&str, InstanceChain<'_>> {
    let is_hook = |id: &StepId| matches!(plan.unit_of(*id), Some(Unit::Hook { .. }));
    plan.items
        .iter()
        .filter_map(|item| match &item.fate {
            Fate::Act { steps, .. } => {
                let steps = steps.iter().copied().filter(|step| !is_hook(step)).collect();
                Some((item.instance.as_str(), InstanceChain { item, steps }))
            }
            Fate::Settled(_) | Fate::Blocked(_) | Fate::Waits { .. } => None,
        })
        .collect()
}

/// What is certain when a step begins, whatever runs at the same time: what the steps that it comes after have done.
#[derive(Clone)]
struct Certain<'a> {
    /// The image of the instance's container is on the ship.
    image: bool,
    /// Names of the instance's containers.
    names: BTreeSet<&'a str>,
    /// Containers that this plan starts and that have been seen to run.
    proved: BTreeSet<&'a str>,
    /// The container that bore the instance's name does not run.
    stopped: bool,
}

impl Certain<'_> {
    /// After both of two steps that are done side by side.
    fn and(mut self, other: &Self) -> Self {
        self.image |= other.image;
        self.stopped |= other.stopped;
        self.names.retain(|name| other.names.contains(name));
        self.proved.extend(&other.proved);
        self
    }
}

impl InstanceChain<'_> {
    fn at_first<'f>(&self, fleet: &'f FleetSnapshot) -> Certain<'f> {
        let state = match fleet.ship(&self.item.ship) {
            Some(ShipView::Reachable(state)) => Some(state),
            Some(ShipView::Unreachable(_)) | None => None,
        };
        let own = self.item.instance.as_str();
        let behind = (Bound::Included(own), Bound::Unbounded);
        let names = state.into_iter().flat_map(|state| state.containers.range::<str, _>(behind));
        let names = names.map(|(name, _)| &**name).take_while(|name| name.starts_with(own));
        Certain {
            image: state.is_some_and(|state| state.image(&self.item.image).is_some()),
            names: names
                .filter(|name| name.strip_prefix(own).is_some_and(|r| r.is_empty() || r.starts_with('.')))
                .collect(),
            proved: BTreeSet::new(),
            stopped: self.item.container.as_ref().is_none_or(|seen| !seen.state.is_running()),
        }
    }

    fn lint(&self, plan: &Plan, fleet: &FleetSnapshot, findings: &mut Vec<Finding>) {
        let own = self.item.instance.as_str();
        let replaced =
            self.steps.iter().any(|id| matches!(call(plan, *id), Some(EngineCall::CreateContainer { .. })));
        let at_first = self.at_first(fleet);
        let mut given: BTreeSet<&str> = BTreeSet::new();
        // Started under a name of its own, beside the one that bears the instance's.
        let mut beside: BTreeSet<&str> = BTreeSet::new();
        let mut ports: BTreeMap<&str, Option<&Arc<str>>> = BTreeMap::new();
        let mut after: BTreeMap<StepId, Certain<'_>> = BTreeMap::new();
        // In the order of the plan, whatever the order of the row.
        for id in self.steps.iter().copied().collect::<BTreeSet<_>>() {
            let behind = plan.step(id).into_iter().flat_map(|step| &step.after);
            let known = behind.filter_map(|before| after.get(before)).cloned();
            let mut certain = known.reduce(|all, one| all.and(&one)).unwrap_or_else(|| at_first.clone());
            match call(plan, id) {
                Some(EngineCall::PullImage { image, .. }) => certain.image |= *image == self.item.image,
                Some(EngineCall::CreateContainer { spec, .. }) => {
                    if !certain.image {
                        findings.push(Finding::NoImage(id));
                    }
                    let name = spec.name.as_str();
                    if certain.names.contains(name) || !given.insert(name) {
                        findings.push(Finding::NameTaken(id));
                    }
                    certain.names.insert(name);
                    ports.insert(name, fixed_port(spec));
                }
                Some(EngineCall::StopContainer { target, .. } | EngineCall::KillContainer { target }) => {
                    if replaced && !certain.image {
                        findings.push(Finding::TooEarly(id));
                    }
                    if target.name().as_str() == own {
                        if beside.iter().any(|name| !certain.proved.contains(name)) {
                            findings.push(Finding::Unproved(id));
                        }
                        certain.stopped = true;
                    }
                }
                Some(EngineCall::StartContainer { target }) if target.name().as_str() != own => {
                    let name = target.name().as_str();
                    beside.insert(name);
                    let fixed = ports.get(name).copied().flatten();
                    if let (Some(port), false) = (fixed, certain.stopped) {
                        findings.push(Finding::Doubled { step: id, port: port.clone() });
                    }
                }
                Some(EngineCall::RenameContainer { target, to }) => {
                    certain.names.remove(target.name().as_str());
                    if certain.names.contains(to.as_str()) || !given.insert(to.as_str()) {
                        findings.push(Finding::NameTaken(id));
                    }
                    certain.names.insert(to.as_str());
                }
                Some(EngineCall::RemoveContainer { target }) => {
                    if replaced && !certain.image {
                        findings.push(Finding::TooEarly(id));
                    }
                    certain.names.remove(target.name().as_str());
                }
                Some(EngineCall::RemoveImage { image }) => certain.image &= *image != self.item.image,
                Some(
                    EngineCall::Login { .. }
                    | EngineCall::StartContainer { .. }
                    | EngineCall::SetRestart { .. },
                )
                | None => {}
            }
            if let Some(Action::Await { target, condition: Condition::Steady, .. }) =
                plan.step(id).map(|step| &step.action)
            {
                certain.proved.insert(target.name().as_str());
            }
            after.insert(id, certain);
        }
    }
}

fn call(plan: &Plan, id: StepId) -> Option<&EngineCall> {
    match &plan.step(id)?.action {
        Action::Call(call) => Some(call),
        _ => None,
    }
}

/// A port that every container of an instance would have: one that was not picked for this one.
fn fixed_port(spec: &ContainerSpec) -> Option<&Arc<str>> {
    let is_picked = |port: &Arc<str>| {
        spec.labels.iter().any(|(label, value)| label.starts_with(LABEL_PORT) && value == port)
    };
    let mut ports = spec.ports.iter().map(|binding| &binding.external);
    ports.find(|port| port.parse::<u16>().is_ok_and(|number| number != 0) && !is_picked(port))
}
