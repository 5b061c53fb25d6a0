//! Puts a plan together: steps in chains, pulls and logins once per ship, milestones between services.

use super::deploy::{Hooked, Orphans, doubtful};
use super::ports::Ports;
use super::turn::Turn;
use super::{Chain, seen};
use crate::balance::Rotation;
use crate::fleet::{FleetSnapshot, ShipView, at};
use crate::image::ImageRef;
use crate::model::graph::{Direction, Graph};
use crate::model::{
    Besides, Check, ContainerSpec, Deploy, Environment, Excess, Hindrance, Instance, Phase, Retry, SpecWriter,
};
use crate::names::{ConfigHash, ImageId, InstanceName, RegistryName, ServiceName, ShipName};
use crate::plan::{
    Action, Condition, DelayReason, EngineCall, FailurePolicy, Fate, Intent, Item, Limits, Milestone,
    OnFailure, Plan, RegistryAuth, Step, StepId, Target, Trial, Unit, UnitId,
};
use crate::select::{in_passes, siblings_before};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Builder<'a> {
    pub(super) environment: &'a Environment,
    pub(super) fleet: &'a FleetSnapshot,
    specs: SpecWriter<'a>,
    besides: Besides<'a>,
    pub(super) ports: Ports,
    graph: Graph<'a>,
    /// Selected instances in the order of the command.
    selected: Vec<&'a Instance>,
    /// Whether instances wait for each other.
    ordered: bool,
    /// Instances of the same service that come before an instance.
    siblings: BTreeMap<&'a InstanceName, BTreeSet<&'a InstanceName>>,
    fates: Vec<Option<Fate>>,
    steps: Vec<Step>,
    units: Vec<Unit>,
    pulls: BTreeMap<(ShipName, ImageRef), StepId>,
    logins: BTreeMap<(ShipName, RegistryName), StepId>,
    /// Last steps of every instance that acts.
    ends: BTreeMap<&'a InstanceName, Vec<StepId>>,
    /// For every other one, last steps of the nearest ones before it in its service that act.
    ends_before: BTreeMap<&'a InstanceName, Vec<StepId>>,
    /// What whoever comes after a service waits for.
    milestones: BTreeMap<&'a ServiceName, Vec<StepId>>,
    /// Services that some other one comes after.
    awaited: BTreeSet<&'a ServiceName>,
    /// What instances that make containers wait for: every image on every ship.
    images: Option<StepId>,
    /// Services whose hooks are run.
    pub(super) hooked: BTreeMap<&'a ServiceName, Hooked<'a>>,
    /// When the next instance's turn is, besides what it needs.
    pub(super) turn: Turn<'a>,
    /// Services whose canaries get a portion of their requests.
    pub(super) trials: Vec<Trial>,
    /// What is not in the file any more.
    pub(super) orphans: Orphans<'a>,
    /// The first blocked instance of a service, or of what it comes after.
    blocked: BTreeMap<&'a ServiceName, InstanceName>,
    /// For each instance the first blocked one, by name, of itself and those that come before it in its service.
    blocked_instances: BTreeMap<&'a InstanceName, &'a InstanceName>,
}

/// A point of a plan that is being made.
pub(super) struct Mark {
    steps: usize,
    units: usize,
    pulls: BTreeMap<(ShipName, ImageRef), StepId>,
    logins: BTreeMap<(ShipName, RegistryName), StepId>,
    orphans: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        environment: &'a Environment,
        fleet: &'a FleetSnapshot,
        direction: Direction,
        selected: &[InstanceName],
        ordered: bool,
    ) -> Self {
        let selected: Vec<&Instance> =
            selected.iter().filter_map(|name| environment.instances.get(name)).collect();
        let names = selected.iter().map(|i| &i.name).collect();
        let graph = Graph::new(environment, direction);
        let awaited = environment.services.keys().flat_map(|name| graph.next(name)).collect();
        Self {
            environment,
            fleet,
            specs: SpecWriter::new(environment),
            besides: Besides::new(environment),
            ports: Ports::default(),
            graph,
            siblings: siblings_before(environment, direction, &names),
            fates: vec![None; selected.len()],
            selected,
            ordered,
            steps: Vec::new(),
            units: Vec::new(),
            pulls: BTreeMap::new(),
            logins: BTreeMap::new(),
            ends: BTreeMap::new(),
            ends_before: BTreeMap::new(),
            milestones: BTreeMap::new(),
            awaited,
            images: None,
            hooked: BTreeMap::new(),
            turn: Turn::default(),
            trials: Vec::new(),
            orphans: Orphans::default(),
            blocked: BTreeMap::new(),
            blocked_instances: BTreeMap::new(),
        }
    }

    /// All services, what comes first first, with their selected instances and those instances' places in the
    /// command's order; sources of volumes come before who uses them.
    pub(super) fn in_dependency_order(&self) -> Vec<(&'a ServiceName, Vec<(usize, &'a Instance)>)> {
        let mut by_service: BTreeMap<&ServiceName, Vec<(usize, &Instance)>> = BTreeMap::new();
        for (index, instance) in self.selected.iter().enumerate() {
            by_service.entry(&instance.service).or_default().push((index, *instance));
        }
        let mut order = Vec::new();
        for service in self.graph.in_order() {
            let mut members = by_service.remove(service).unwrap_or_default();
            let keys: Vec<_> = members.iter().map(|(index, instance)| (*index, &instance.name)).collect();
            let places: BTreeMap<usize, usize> = in_passes(&keys, &self.siblings, None)
                .into_iter()
                .map(|(pass, index)| (index, pass))
                .collect();
            members.sort_by_key(|(index, _)| (places.get(index).copied(), *index));
            order.push((service, members));
        }
        order
    }

    /// Something that this instance needs and that cannot be had.
    pub(super) fn blocked_dependency(&self, instance: &Instance) -> Option<InstanceName> {
        if !self.ordered {
            return None;
        }
        let sibling = self.blocked_sibling(&instance.name).cloned();
        sibling.or_else(|| {
            self.graph.next(&instance.service).find_map(|before| self.blocked.get(before).cloned())
        })
    }

    /// The first blocked instance among those that come before an instance in its service, however far.
    fn blocked_sibling(&self, instance: &InstanceName) -> Option<&'a InstanceName> {
        let before = self.siblings.get(instance).into_iter().flatten();
        before.filter_map(|name| self.blocked_instances.get(*name).copied()).min()
    }

    /// Last steps of the nearest instances that act among those before an instance in its service.
    fn sibling_ends(&self, instance: &InstanceName) -> Vec<StepId> {
        let mut ends: Vec<StepId> = Vec::new();
        let mut known: BTreeSet<StepId> = BTreeSet::new();
        for sibling in self.siblings.get(instance).into_iter().flatten() {
            let found = self.ends.get(*sibling).or_else(|| self.ends_before.get(*sibling));
            ends.extend(found.into_iter().flatten().filter(|step| known.insert(**step)));
        }
        ends
    }

    /// Begins the steps of an instance: they come after everything that this one waits for.
    pub(super) fn chain(&mut self, instance: &'a Instance) -> Chain {
        let unit = self.unit(Unit::Instance { instance: instance.name.clone(), ship: instance.ship.clone() });
        let mut last = Vec::new();
        if self.ordered {
            last = self.gates(&instance.service);
            last.extend(self.sibling_ends(&instance.name));
        }
        for ends in self.turn.after.iter().filter_map(|before| self.ends.get(*before)) {
            last.extend(ends.iter().filter(|end| !last.contains(end)).copied().collect::<Vec<_>>());
        }
        last.extend(&self.turn.behind);
        Chain { unit, last, steps: Vec::new() }
    }

    /// Begins steps that are no instance's, behind these.
    pub(super) fn chain_of(&mut self, unit: Unit, last: Vec<StepId>) -> Chain {
        Chain { unit: self.unit(unit), last, steps: Vec::new() }
    }

    /// What comes before everything that is done to a service: what it needs is done, and every image is everywhere.
    pub(super) fn begins(&self, service: &ServiceName) -> Vec<StepId> {
        let gates = if self.ordered { self.gates(service) } else { Vec::new() };
        gates.into_iter().chain(self.images).collect()
    }

    /// Goes on with the steps of an instance in a unit of its own, when a milestone is reached.
    pub(super) fn resume(&mut self, instance: &Instance, before: Chain, milestone: StepId) -> Chain {
        let unit = self.unit(Unit::Instance { instance: instance.name.clone(), ship: instance.ship.clone() });
        let mut last = before.last;
        last.push(milestone);
        Chain { unit, last, steps: before.steps }
    }

    /// A point that is reached when all these steps are over.
    pub(super) fn milestone(&mut self, milestone: Milestone, after: Vec<StepId>) -> StepId {
        let unit = self.unit(Unit::Milestone(milestone));
        self.add(unit, Action::Reached, after, OnFailure::Fail)
    }

    /// The last ones of these steps: checks at the end of a chain are side by side.
    pub(super) fn ends_of(&self, steps: &[StepId]) -> Vec<StepId> {
        let mut inner: BTreeSet<StepId> = BTreeSet::new();
        for step in steps {
            inner.extend(self.steps.get(step.index()).into_iter().flat_map(|s| &s.after));
        }
        steps.iter().filter(|step| !inner.contains(step)).copied().collect()
    }

    /// How the steps of all instances end that have been planned.
    pub(super) fn all_ends(&self) -> Vec<StepId> {
        let ends: BTreeSet<StepId> = self.ends.values().flatten().copied().collect();
        ends.into_iter().collect()
    }

    /// How the steps of a service's instances end, and every image is everywhere.
    pub(super) fn done(&self, service: &ServiceName) -> Vec<StepId> {
        let instances = self.environment.services.get(service).into_iter().flat_map(|s| &s.instances);
        let ends = instances.filter_map(|name| self.ends.get(name)).flatten().copied();
        let ends: BTreeSet<StepId> = ends.chain(self.images).collect();
        ends.into_iter().collect()
    }

    /// What a service requires, directly or not.
    pub(super) fn needs(&self, service: &ServiceName) -> BTreeSet<&'a ServiceName> {
        self.graph.closure(service)
    }

    /// Services of which an instance has such a fate.
    pub(super) fn services_whose(
        &self,
        is_such: impl Fn(&Fate) -> bool,
    ) -> impl Iterator<Item = &'a ServiceName> {
        let fates = self.selected.iter().zip(&self.fates);
        fates.filter_map(move |(instance, fate)| {
            fate.as_ref().is_some_and(&is_such).then_some(&instance.service)
        })
    }

    /// How far the plan has come, to get back to.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            steps: self.steps.len(),
            units: self.units.len(),
            pulls: self.pulls.clone(),
            logins: self.logins.clone(),
            orphans: self.orphans.items.len(),
        }
    }

    /// Forgets all steps since.
    pub(super) fn rewind(&mut self, mark: Mark) {
        self.steps.truncate(mark.steps);
        self.units.truncate(mark.units);
        self.pulls = mark.pulls;
        self.logins = mark.logins;
        self.orphans.items.truncate(mark.orphans);
    }

    /// What is pulled for these is everything that is pulled: notes the point at which it is done.
    pub(super) fn pull_first(&mut self, instances: impl Iterator<Item = &'a Instance>) {
        let pulls: BTreeSet<StepId> = instances.map(|instance| self.pull(instance)).collect();
        let unit = self.unit(Unit::Milestone(Milestone::Images));
        self.images = Some(self.add(unit, Action::Reached, pulls.into_iter().collect(), OnFailure::Fail));
    }

    /// Instances whose image is pulled.
    pub(super) fn pulling(&self) -> Vec<&'a Instance> {
        let fetched = |instance: &&&'a Instance| {
            self.pulls.contains_key(&(instance.ship.clone(), instance.image.clone()))
        };
        self.selected.iter().filter(fetched).copied().collect()
    }

    /// A chain that makes or stops a container begins when every ship has every image.
    pub(super) fn after_images(&self, chain: &mut Chain) {
        chain.last.extend(self.images);
    }

    /// Selected instances in the order of the command.
    pub(super) fn selected(&self) -> &[&'a Instance] {
        &self.selected
    }

    /// How an instance is deployed.
    pub(super) fn deploy_of(&self, instance: &Instance) -> Deploy {
        self.environment.services.get(&instance.service).map(|s| s.deploy.clone()).unwrap_or_default()
    }

    /// What has to be reached before a service's instances may begin.
    fn gates(&self, service: &ServiceName) -> Vec<StepId> {
        let gates: BTreeSet<StepId> = self
            .graph
            .next(service)
            .filter_map(|before| self.milestones.get(before))
            .flatten()
            .copied()
            .collect();
        gates.into_iter().collect()
    }

    /// All instances of a service have been planned: notes what whoever comes after it waits for, which is what the
    /// service itself waits for if it does nothing, and whether it is blocked.
    pub(super) fn close(&mut self, service: &'a ServiceName) {
        if !self.ordered {
            return;
        }
        let instances = self.environment.services.get(service).into_iter().flat_map(|s| &s.instances);
        let ends: Vec<StepId> =
            instances.clone().filter_map(|name| self.ends.get(name)).flatten().copied().collect();
        let reached = match ends.as_slice() {
            [] => self.gates(service),
            [only] => vec![*only],
            _ if !self.awaited.contains(service) => Vec::new(),
            _ => {
                let unit = self.unit(Unit::Milestone(Milestone::Service(service.clone())));
                vec![self.add(unit, Action::Reached, ends, OnFailure::Fail)]
            }
        };
        self.milestones.insert(service, reached);
        let blocked = instances.clone().filter_map(|name| self.blocked_instances.get(name)).min();
        let blocked = blocked.copied().cloned();
        let blocked =
            blocked.or_else(|| self.graph.next(service).find_map(|before| self.blocked.get(before).cloned()));
        if let Some(blocked) = blocked {
            self.blocked.insert(service, blocked);
        }
    }

    pub(super) fn unit(&mut self, unit: Unit) -> UnitId {
        self.units.push(unit);
        UnitId(u32::try_from(self.units.len() - 1).unwrap_or(u32::MAX))
    }

    fn add(&mut self, unit: UnitId, action: Action, after: Vec<StepId>, on_failure: OnFailure) -> StepId {
        self.steps.push(Step { unit, action, after, on_failure });
        StepId(u32::try_from(self.steps.len() - 1).unwrap_or(u32::MAX))
    }

    /// The next step of a chain.
    pub(super) fn push(&mut self, chain: &mut Chain, action: Action, on_failure: OnFailure) {
        let step = self.add(chain.unit, action, std::mem::take(&mut chain.last), on_failure);
        chain.last = vec![step];
        chain.steps.push(step);
    }

    /// The next step of a chain, which is a call.
    pub(super) fn call(&mut self, chain: &mut Chain, call: EngineCall, on_failure: OnFailure) {
        self.push(chain, Action::Call(call), on_failure);
    }

    /// A pause, if there is one.
    pub(super) fn delay(&mut self, chain: &mut Chain, pause: Duration, why: DelayReason) {
        if !pause.is_zero() {
            self.push(chain, Action::Delay { pause, why }, OnFailure::Fail);
        }
    }

    /// The checks of a phase, side by side.
    pub(super) fn checks(
        &mut self,
        chain: &mut Chain,
        instance: &'a Instance,
        phase: Phase,
        target: &Target,
        guard: Condition,
        on_failure: OnFailure,
    ) {
        let checks = instance.checks.get(&phase).into_iter().flatten();
        let actions: Vec<_> =
            checks.map(|c| self.checking(instance, phase, target, c.clone(), guard)).collect();
        self.side_by_side(chain, actions, on_failure);
    }

    /// The checks of a container that has passed them; none only waits.
    pub(super) fn checks_again(&mut self, chain: &mut Chain, instance: &'a Instance, target: &Target) {
        let (phase, guard) = (Phase::Running, Condition::Running);
        let checks = instance.checks.get(&phase).into_iter().flatten();
        let checks = checks.filter(|check| !matches!(check, Check::Sleep { .. }));
        let actions: Vec<_> =
            checks.map(|c| self.checking(instance, phase, target, c.clone(), guard)).collect();
        self.side_by_side(chain, actions, OnFailure::Fail);
    }

    fn side_by_side(&mut self, chain: &mut Chain, actions: Vec<Action>, on_failure: OnFailure) {
        if actions.is_empty() {
            return;
        }
        let mut ends = Vec::with_capacity(actions.len());
        for action in actions {
            ends.push(self.add(chain.unit, action, chain.last.clone(), on_failure));
        }
        chain.steps.extend(&ends);
        chain.last = ends;
    }

    /// One check of a container.
    pub(super) fn checking(
        &mut self,
        instance: &'a Instance,
        phase: Phase,
        target: &Target,
        check: Check,
        guard: Condition,
    ) -> Action {
        let mut env = matches!(check, Check::Exec { .. }).then(|| self.specs.env(instance));
        let mut check = check;
        if let Some(picked) = self.picked(instance, target) {
            check = check.at(picked);
            if let Some(env) = &mut env {
                env.picked = picked.variables(instance);
            }
        }
        Action::Check { target: target.clone(), phase, check, env: env.map(Arc::new), guard }
    }

    /// What to ask the engine for.
    pub(super) fn spec(&mut self, instance: &'a Instance) -> (ContainerSpec, ConfigHash) {
        self.specs.spec(instance)
    }

    /// Why a container that is made now could not be started.
    pub(super) fn excess(&mut self, instance: &'a Instance) -> Option<Excess> {
        self.specs.excess(instance)
    }

    /// Why there cannot be two containers of an instance at the same time.
    pub(super) fn hindrance(&self, instance: &Instance) -> Option<Hindrance> {
        let front_end = || self.placed_in(instance).into_iter().next().map(Hindrance::FrontEnd);
        self.besides.hindrance(instance).or_else(front_end)
    }

    /// The image that a reference means on a ship now.
    pub(super) fn image_id(&self, ship: &ShipName, image: &ImageRef) -> Option<ImageId> {
        match self.fleet.ship(ship)? {
            ShipView::Reachable(state) => state.image(image).map(|image| image.id.clone()),
            ShipView::Unreachable(_) => None,
        }
    }

    /// The step that gets an instance's image onto its ship: one for all instances that need it.
    pub(super) fn pull(&mut self, instance: &Instance) -> StepId {
        let key = (instance.ship.clone(), instance.image.clone());
        if let Some(step) = self.pulls.get(&key) {
            return *step;
        }
        let registry = self.environment.registry_of(&instance.image);
        let auth = RegistryAuth::for_image(self.environment, &instance.image);
        let retry = registry.map(|r| r.retry.clone()).unwrap_or_default();
        let login = auth.as_ref().filter(|auth| auth.password.is_some());
        let after: Vec<StepId> = login.map(|auth| self.login(instance, auth, &retry)).into_iter().collect();
        let unit = self.unit(Unit::Image { ship: instance.ship.clone(), image: instance.image.clone() });
        let call = EngineCall::PullImage { image: instance.image.clone(), auth, retry };
        let step = self.add(unit, Action::Call(call), after, OnFailure::Fail);
        self.pulls.insert(key, step);
        step
    }

    /// The step that logs in to a registry on an instance's ship.
    fn login(&mut self, instance: &Instance, auth: &RegistryAuth, retry: &Retry) -> StepId {
        let key = (instance.ship.clone(), auth.registry.clone());
        if let Some(step) = self.logins.get(&key) {
            return *step;
        }
        let unit = self.unit(Unit::Login { ship: instance.ship.clone(), registry: auth.registry.clone() });
        let call = EngineCall::Login { auth: auth.clone(), retry: retry.clone() };
        let step = self.add(unit, Action::Call(call), Vec::new(), OnFailure::Fail);
        self.logins.insert(key, step);
        step
    }

    /// What to ask the engine for, for a container in which one command is run once.
    pub(super) fn one_off(
        &mut self,
        instance: &'a Instance,
        name: InstanceName,
        command: &[String],
        run: &str,
    ) -> (ContainerSpec, ConfigHash) {
        self.specs.one_off(instance, name, command, run)
    }

    /// What has been decided of the selected instances.
    pub(super) fn fates(&self) -> impl Iterator<Item = (&'a Instance, &Fate)> {
        let decided = self.selected.iter().zip(&self.fates);
        decided.filter_map(|(instance, fate)| Some((*instance, fate.as_ref()?)))
    }

    /// What has been decided of the instance at this place of the command's order.
    pub(super) fn fate_of(&self, index: usize) -> Option<&Fate> {
        self.fates.get(index)?.as_ref()
    }

    /// Puts steps before and behind those of an instance, for its row.
    pub(super) fn extend_row(&mut self, index: usize, before: &[StepId], behind: &[StepId]) {
        if let Some(Some(Fate::Act { steps, .. })) = self.fates.get_mut(index) {
            let new: Vec<StepId> = before.iter().filter(|step| !steps.contains(step)).copied().collect();
            steps.splice(0..0, new);
            let new: Vec<StepId> = behind.iter().filter(|step| !steps.contains(step)).copied().collect();
            steps.extend(new);
        }
    }

    /// Whoever comes after an instance comes after these steps.
    pub(super) fn ends_with(&mut self, index: usize, ends: Vec<StepId>) {
        if let Some(instance) = self.selected.get(index) {
            self.ends.insert(&instance.name, ends);
        }
    }

    /// Notes what becomes of an instance.
    pub(super) fn settle(&mut self, index: usize, instance: &'a Instance, fate: Fate) {
        match &fate {
            Fate::Act { steps, .. } => {
                let ends = self.ends_of(steps);
                self.ends.insert(&instance.name, ends);
            }
            Fate::Blocked(_) | Fate::Settled(_) | Fate::Waits { .. } => {
                let ends = self.sibling_ends(&instance.name);
                if !ends.is_empty() {
                    self.ends_before.insert(&instance.name, ends);
                }
            }
        }
        let own = matches!(fate, Fate::Blocked(_)).then_some(&instance.name);
        if let Some(first) = self.blocked_sibling(&instance.name).into_iter().chain(own).min() {
            self.blocked_instances.insert(&instance.name, first);
        }
        if let Some(place) = self.fates.get_mut(index) {
            *place = Some(fate);
        }
    }

    pub(super) fn finish(self, intent: Intent, limits: Limits, on_failure: FailurePolicy) -> Plan {
        let items: Vec<Item> = self
            .selected
            .iter()
            .zip(self.fates)
            .filter_map(|(instance, fate)| {
                Some(Item {
                    instance: instance.name.clone(),
                    service: instance.service.clone(),
                    ship: instance.ship.clone(),
                    image: instance.image.clone(),
                    container: self.fleet.container(&instance.ship, &instance.name).map(seen),
                    fate: fate?,
                })
            })
            .chain(self.orphans.items)
            .collect();
        let mut rotation = Rotation::default();
        if !self.environment.balancers.is_empty() {
            rotation = Rotation::of(self.environment, self.fleet);
            for Trial { service, canaries, portion, .. } in &self.trials {
                rotation.try_first(service, canaries, *portion);
            }
            // What the file does not have there is called like this itself.
            let own = self.environment.instances.values();
            let names = own.map(|instance| (at(&instance.name, &instance.ship), &instance.name));
            let names: BTreeMap<InstanceName, &InstanceName> = names.collect();
            for container in doubtful(&intent) {
                rotation.withdraw(names.get(container).copied().unwrap_or(container));
            }
        }
        Plan {
            environment: self.environment.display_name().to_owned(),
            intent,
            items,
            steps: self.steps,
            units: self.units,
            limits,
            on_failure,
            lenient: BTreeSet::new(),
            rotation,
            trials: self.trials,
            front_ends: self.environment.front_ends_up(self.fleet),
        }
    }
}
