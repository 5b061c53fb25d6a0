//! What holds at every step of a deployment, whichever of those that may be next is next, and whichever fail.

use super::rules::{Rules, is_hooks, up};
use super::world::World;
use crate::balance::{Endpoint, RouteChange};
use crate::event::{StepOutcome, Verdict};
use crate::fleet::{FleetSnapshot, ObservedContainer, ShipView, at};
use crate::model::{LABEL_INSTANCE, Phase, Remedy, When};
use crate::names::{ContainerId, InstanceName, ServiceName, ShipName};
use crate::plan::{Action, Condition, EngineCall, Item, Plan, StepId, Target, Unit, UnitId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What has failed in a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures {
    /// What the services want of which something failed: the most careful counts.
    pub(super) remedy: Remedy,
    /// Containers that have not proved to be any good, as `name@ship`.
    pub(super) doubtful: BTreeSet<InstanceName>,
}

/// Looks at a plan that is carried out.
pub(super) struct Watch {
    rules: Arc<Rules>,
    /// For each step, those that have to be over.
    before: BTreeMap<StepId, Vec<Arc<BTreeSet<StepId>>>>,
    over: BTreeSet<StepId>,
    failed: BTreeSet<StepId>,
    /// Units of which a step has been given out.
    begun: BTreeSet<UnitId>,
    /// Something has failed whose service does not want the others to go on.
    is_halted: bool,
    /// How many containers that can write to a directory ran at the beginning.
    writers: BTreeMap<(ShipName, String), usize>,
    /// Front ends that need not acknowledge, and those that have got what they are to start with.
    left: BTreeSet<InstanceName>,
    provided: BTreeSet<InstanceName>,
    /// Containers that ran at the beginning.
    at_first: BTreeSet<ContainerId>,
}

impl Watch {
    pub(super) fn new(plan: &Plan, rules: &Arc<Rules>, world: &World) -> Self {
        let mut watch = Self {
            rules: rules.clone(),
            before: BTreeMap::new(),
            over: BTreeSet::new(),
            failed: BTreeSet::new(),
            begun: BTreeSet::new(),
            is_halted: false,
            writers: world.writers(),
            left: BTreeSet::new(),
            provided: BTreeSet::new(),
            at_first: up(&world.fleet).map(|(_, container)| container.id.clone()).collect(),
        };
        watch.dependencies(plan);
        watch.hooks(plan);
        watch
    }

    fn put(&mut self, steps: impl Iterator<Item = StepId>, first: &Arc<BTreeSet<StepId>>) {
        for step in steps.filter(|_| !first.is_empty()) {
            self.before.entry(step).or_default().push(first.clone());
        }
    }

    /// Nothing is done to an instance before what it needs is done.
    fn dependencies(&mut self, plan: &Plan) {
        let rules = self.rules.clone();
        for item in &plan.items {
            let Some(needed) = rules.order.get(&item.instance) else { continue };
            let needed = plan.items.iter().filter(|other| needed.contains(&other.instance));
            let first = Arc::new(needed.flat_map(Item::steps).collect());
            // Images are pulled whenever they like.
            self.put(of_instance(plan, item), &first);
        }
    }

    /// Hooks before come when all images are there and what the service requires is done, and before anything is done to
    /// the service; those after when all is done to it. One comes after the other.
    fn hooks(&mut self, plan: &Plan) {
        let rules = self.rules.clone();
        let is_pull = |id: &StepId| {
            matches!(plan.step(*id).unwrap().action, Action::Call(EngineCall::PullImage { .. }))
        };
        let pulls: BTreeSet<StepId> = plan.ids().filter(is_pull).collect();
        for service in plan.hooked() {
            let of = |when: When| {
                let mut found: BTreeMap<usize, BTreeSet<StepId>> = BTreeMap::new();
                for id in plan.ids() {
                    if let Some(Unit::Hook { hook, .. }) = plan.unit_of(id)
                        && hook.service == *service
                        && hook.when == when
                    {
                        found.entry(hook.number).or_default().insert(id);
                    }
                }
                found
            };
            let needed = |item: &&Item| rules.needs[service].contains(&item.service) && !item.goes();
            let needed = plan.items.iter().filter(needed).flat_map(Item::steps);
            let begin: BTreeSet<StepId> = pulls.iter().copied().chain(needed).collect();
            // What goes for somebody else, or last of all, is not waited for.
            let own = || plan.items.iter().filter(|item| item.service == *service && !item.goes());
            let own: BTreeSet<StepId> = own().flat_map(|item| of_instance(plan, item)).collect();
            let (before, after) = (of(When::Before), of(When::After));
            let all: BTreeSet<StepId> = before.values().flatten().copied().collect();
            self.put(own.iter().copied(), &Arc::new(all.clone()));
            for (hooks, mut first) in [(before, begin), (after, &all | &own)] {
                for steps in hooks.into_values() {
                    self.put(steps.iter().copied(), &Arc::new(first.clone()));
                    first.extend(steps);
                }
            }
        }
    }

    /// Steps may begin now.
    pub(super) fn given(&mut self, plan: &Plan, steps: &[StepId]) {
        let rooms = if self.is_halted { plan.rooms() } else { BTreeMap::new() };
        for step in steps {
            let unit = plan.step(*step).unwrap().unit;
            let is_spared = || match plan.unit_of(*step) {
                // Room was made for it, or it has to go for one that room was made for.
                Some(Unit::Instance { instance, .. }) => {
                    let mut goes = plan.items.iter().filter(|item| item.goes());
                    rooms.contains_key(instance) || goes.any(|item| item.instance == *instance)
                }
                _ => false,
            };
            let goes_on = !self.is_halted || self.begun.contains(&unit) || is_spared();
            assert!(goes_on, "{step:?} is begun after what has failed in\n{plan}");
        }
        self.begun.extend(steps.iter().map(|step| plan.step(*step).unwrap().unit));
    }

    /// A step is about to be done.
    pub(super) fn begin(&self, plan: &Plan, step: StepId, world: &World) {
        let before = self.before.get(&step).into_iter().flatten().flat_map(|first| first.iter());
        let open = before.copied().find(|first| !self.over.contains(first));
        assert_eq!(open, None, "{step:?} is done before what it needs is in\n{plan}");
        let Action::Call(call) = &plan.step(step).unwrap().action else { return };
        let ship = || plan.unit_of(step).unwrap().ship().unwrap();
        let is_front_end =
            |name: &InstanceName| self.rules.front_ends.contains(&(ship().clone(), name.clone()));
        match call {
            EngineCall::StopContainer { target, .. } | EngineCall::KillContainer { target } => {
                let Some(container) = container(&world.fleet, ship(), target) else { return };
                let got = self.leads_to(world, ship(), container);
                assert_eq!(got, None, "{} is stopped, and gets requests, in\n{plan}", container.name);
                let name = InstanceName::from(&*container.name);
                let is_told = !is_front_end(&name) || self.left.contains(&name);
                assert!(is_told, "{name} is stopped, and has to acknowledge, in\n{plan}");
            }
            EngineCall::StartContainer { target } => {
                let Some(container) = container(&world.fleet, ship(), target) else { return };
                let name = InstanceName::from(&*container.name);
                let has_all = !is_front_end(&name) || self.provided.contains(&name);
                assert!(has_all, "{name} starts without a configuration in\n{plan}");
            }
            _ => {}
        }
    }

    /// The endpoint at which a container of a ship gets requests.
    fn leads_to(&self, world: &World, ship: &ShipName, container: &ObservedContainer) -> Option<Endpoint> {
        let published = world.published.as_ref()?;
        self.rules.gets(published).into_iter().find(|endpoint| {
            self.rules.ships.get(&endpoint.address) == Some(ship)
                && container.ports.contains_key(&endpoint.number)
        })
    }

    /// A step has been done, or has failed.
    pub(super) fn end(&mut self, plan: &Plan, step: StepId, outcome: &StepOutcome, world: &World) {
        let action = &plan.step(step).unwrap().action;
        if matches!(outcome.verdict(plan.step(step).unwrap().on_failure), Verdict::Failed) {
            self.failed.insert(step);
            self.is_halted |= !self.is_lenient(plan, step);
        } else {
            self.over.insert(step);
            match action {
                Action::Route { change: RouteChange { leave, join, .. }, .. } => {
                    self.left.extend(leave.iter().cloned());
                    self.left.retain(|name| !join.contains(name));
                    self.provided.retain(|name| !join.contains(name));
                }
                Action::Provide { front_end } => _ = self.provided.insert(front_end.clone()),
                _ => {}
            }
        }
        match action {
            Action::Route { .. } => self.lead_somewhere(plan, world),
            Action::Call(EngineCall::StartContainer { .. }) => self.write_alone(plan, world),
            _ => {}
        }
    }

    /// Requests go to what runs, and has been proved or ran before, where that can be seen.
    fn lead_somewhere(&self, plan: &Plan, world: &World) {
        for endpoint in world.published.iter().flat_map(|rotation| self.rules.gets(rotation)) {
            let ship = &self.rules.ships[&endpoint.address];
            if world.has_lost(ship) {
                continue;
            }
            let is_it = |container: &&ObservedContainer| container.ports.contains_key(&endpoint.number);
            let is_dead = world.dead.iter().any(|(on, ports)| on == ship && ports.contains(&endpoint.number));
            let found = up(&world.fleet).filter(|(on, _)| *on == ship).map(|(_, c)| c).find(is_it);
            let is_good = found
                .is_some_and(|found| world.proved.contains(&found.id) || self.at_first.contains(&found.id));
            assert!(is_good || is_dead, "requests go to {endpoint:?}, and there is {found:?}, in\n{plan}");
        }
    }

    /// No two containers of an instance can write to the same directory, nor more than the file has, or than could before.
    fn write_alone(&self, plan: &Plan, world: &World) {
        for (place, count) in world.writers() {
            let of = |all: &BTreeMap<(ShipName, String), usize>| all.get(&place).copied().unwrap_or_default();
            let most = of(&self.writers).max(of(&self.rules.writers));
            assert!(count <= most, "{count} write to {place:?}, not {most}, in\n{plan}");
        }
        let mut own = BTreeSet::new();
        for (ship, container) in up(&world.fleet).filter(|(_, container)| !is_hooks(container)) {
            for source in world.binds_of(container) {
                let instance = container.labels.get(LABEL_INSTANCE);
                assert!(own.insert((ship, instance, source)), "two of {instance:?} write there in\n{plan}");
            }
        }
    }

    /// What has failed.
    pub(super) fn failures(&self, plan: &Plan) -> Option<Failures> {
        let remedies = self.failed.iter().flat_map(|step| services_of(plan, *step));
        let remedies = remedies.map(|service| self.rules.remedies.get(service).copied().unwrap_or_default());
        let remedy = remedies.max_by_key(|remedy| match remedy {
            Remedy::Continue => 0,
            Remedy::Rollback => 1,
            Remedy::Pause => 2,
        });
        let doubtful = self.failed.iter().filter_map(|step| match &plan.step(*step).unwrap().action {
            Action::Await { target, condition: Condition::Running | Condition::Steady, .. }
            | Action::Check { target, phase: Phase::Running, .. } => {
                Some(at(target.name(), plan.unit_of(*step)?.ship()?))
            }
            _ => None,
        });
        Some(Failures { remedy: remedy?, doubtful: doubtful.collect() })
    }

    /// Whether all whose step it is want the others to go on if it fails.
    fn is_lenient(&self, plan: &Plan, step: StepId) -> bool {
        let goes_on = |service: &&ServiceName| self.rules.remedies.get(*service) == Some(&Remedy::Continue);
        let services = services_of(plan, step);
        !services.is_empty() && services.iter().all(goes_on)
    }

    /// The run is over. Where all that failed lets the others go on, whatever comes after nothing that failed has been done.
    pub(super) fn finish(&self, plan: &Plan) {
        if self.is_halted {
            return;
        }
        let mut lost = self.failed.clone();
        for (id, step) in plan.ids().zip(&plan.steps) {
            if step.after.iter().any(|before| lost.contains(before)) {
                lost.insert(id);
            }
            assert!(self.over.contains(&id) || lost.contains(&id), "{id:?} is not done in\n{plan}");
        }
    }
}

/// The services whose step it is.
fn services_of(plan: &Plan, step: StepId) -> BTreeSet<&ServiceName> {
    let is_its = |item: &&Item| match plan.unit_of(step) {
        Some(Unit::Instance { instance, .. }) => item.instance == *instance,
        _ => item.steps().any(|own| own == step),
    };
    match plan.unit_of(step) {
        Some(Unit::Hook { hook, .. }) => [&hook.service].into(),
        _ => plan.items.iter().filter(is_its).map(|item| &item.service).collect(),
    }
}

/// What is done to an instance, or to what goes, by itself.
fn of_instance<'p>(plan: &'p Plan, item: &'p Item) -> impl Iterator<Item = StepId> {
    let is_own = |step: &StepId| matches!(plan.unit_of(*step), Some(Unit::Instance { instance, .. }) if *instance == item.instance);
    item.steps().filter(is_own)
}

fn container<'f>(
    fleet: &'f FleetSnapshot,
    ship: &ShipName,
    target: &Target,
) -> Option<&'f ObservedContainer> {
    let Some(ShipView::Reachable(state)) = fleet.ship(ship) else { return None };
    match target {
        Target::Seen { id, .. } => state.containers.values().find(|container| container.id == *id),
        Target::Made(name) => state.containers.get(name.as_str()),
    }
}
