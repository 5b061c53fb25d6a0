//! Hooks: what is run once around the deployment of a service (`docs/design/0029`).
//!
//! Whether a service's are due is known when it is decided what becomes of its instances. So all is decided twice: first
//! without hooks, then with those that are due.

use crate::fleet::{ContainerState, EngineState, ObservedContainer, Ownership, ShipView};
use crate::model::{
    ContainerEnv, EnvVar, Hook, HookName, HookPlace, Hooks, Instance, LABEL_RUN, LABEL_SERVICE, When,
};
use crate::names::{InstanceName, ServiceName, ShipName};
use crate::plan::{
    Action, Begun, Blocked, Condition, EngineCall, Fate, HookTask, Hooking, Intent, OnFailure, Reason,
    StepId, Target, Unit,
};
use crate::planner::builder::Builder;
use crate::planner::start::SETTLE;
use crate::planner::{Chain, has_image, start};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A service whose hooks are due.
#[derive(Debug)]
pub(in crate::planner) struct Hooked<'a> {
    /// The instance whose image, settings and ship they get.
    instance: &'a Instance,
    hooks: Arc<Hooks>,
    /// Whether something of the service is replaced now; if not, only what comes after that is left.
    is_replaced: bool,
    begun: Begun,
    /// Why they cannot be run.
    pub(in crate::planner) blocked: Option<Blocked>,
}

/// Steps of hooks: all, and those that what follows comes after.
#[derive(Debug, Default)]
pub(super) struct Steps {
    all: Vec<StepId>,
    pub(super) last: Vec<StepId>,
}

/// What is there of a hook's container.
enum Found<'a> {
    /// It has come to a good end in this run.
    Done,
    /// It was made in this run, and has not ended.
    Open(&'a ShipName, &'a ObservedContainer),
    /// Nothing of this run that is of use.
    Nothing,
}

/// The services whose hooks are due, now that it is known what becomes of their instances.
pub(in crate::planner) fn due<'a>(
    builder: &Builder<'a>,
    intent: &Intent,
) -> BTreeMap<&'a ServiceName, Hooked<'a>> {
    let environment = builder.environment;
    let with_hooks = environment.services.iter().filter(|(_, service)| !service.deploy.hooks.is_empty());
    let mut all = BTreeMap::new();
    for (name, service) in with_hooks {
        let members = || builder.fates().filter(|(instance, _)| instance.service == *name);
        let is_replaced = members().any(|(_, fate)| replaces(fate));
        if !is_replaced && !is_left(builder, name, intent) {
            continue;
        }
        let seen = members()
            .map(|(instance, _)| instance)
            .filter(|instance| super::is_seen(builder.fleet, instance));
        let (Some(instance), Some(begun)) = (seen.min_by_key(|i| &i.name), progress(intent, name)) else {
            continue;
        };
        let hooks = service.deploy.hooks.clone();
        let mut hooked = Hooked { instance, hooks, is_replaced, begun, blocked: None };
        hooked.blocked = hooked.blocked(builder);
        all.insert(name, hooked);
    }
    all
}

/// Whether an instance gets another container.
fn replaces(fate: &Fate) -> bool {
    matches!(fate, Fate::Act { because: Reason::Missing | Reason::Differs(_), .. })
}

/// Whether an instance is not what it is to be when all is done.
fn is_left_out(fate: &Fate) -> bool {
    matches!(fate, Fate::Blocked(_) | Fate::Waits { .. })
}

/// How far the hooks of a service are; none if none are run.
fn progress(intent: &Intent, service: &ServiceName) -> Option<Begun> {
    match intent {
        Intent::Deploy { hooks: Hooking::On { run, begun }, .. } => {
            let new = || Begun { run: run.clone(), ..Begun::default() };
            Some(begun.get(service).cloned().unwrap_or_else(new))
        }
        _ => None,
    }
}

/// Whether a service was begun whose last hooks have not been run: it is not finished, whatever its instances are like.
pub(super) fn is_left(builder: &Builder<'_>, service: &ServiceName, intent: &Intent) -> bool {
    let Intent::Deploy { hooks: Hooking::On { begun, .. }, .. } = intent else { return false };
    let (Some(begun), Some(found)) = (begun.get(service), builder.environment.services.get(service)) else {
        return false;
    };
    found.deploy.hooks.at(When::After).any(|(number, hook)| {
        let name = HookName { service: service.clone(), when: When::After, number };
        !is_done(builder, &name, hook, begun)
    })
}

fn is_done(builder: &Builder<'_>, name: &HookName, hook: &Hook, begun: &Begun) -> bool {
    begun.done.contains(&(name.when, name.number))
        || hook.place == HookPlace::Container && matches!(found(builder, name, begun), Found::Done)
}

/// Whether a container was made for a hook of a service of this environment.
fn is_hooks(builder: &Builder<'_>, container: &ObservedContainer, service: &ServiceName) -> bool {
    container.ownership(builder.environment) == Ownership::Ours
        && container.labels.contains_key(LABEL_RUN)
        && container.labels.get(LABEL_SERVICE).is_some_and(|label| label == service.as_str())
}

/// What there is of a hook in this run, on whichever ship: the one that it would be run on now may have been out of sight.
fn found<'a>(builder: &Builder<'a>, name: &HookName, begun: &Begun) -> Found<'a> {
    let container = name.container();
    let mut open = Found::Nothing;
    for (ship, view) in &builder.fleet.ships {
        let ShipView::Reachable(state) = view else { continue };
        let Some(found) = state.containers.get(container.as_str()) else { continue };
        let is_of_run = found.labels.get(LABEL_RUN).is_some_and(|label| *label == begun.run);
        let is_late = begun.late.contains(&found.id);
        if !is_of_run || is_late || !is_hooks(builder, found, &name.service) {
            continue;
        }
        match found.state {
            ContainerState::Exited if found.exit_code == Some(0) => return Found::Done,
            state if state.is_running() || state == ContainerState::Created => {
                open = Found::Open(ship, found);
            }
            _ => {}
        }
    }
    open
}

impl<'a> Hooked<'a> {
    fn service(&self) -> &'a ServiceName {
        &self.instance.service
    }

    fn name(&self, when: When, number: usize) -> HookName {
        HookName { service: self.service().clone(), when, number }
    }

    /// The hooks of one time that are left to be run.
    fn left(&self, builder: &Builder<'_>, when: When) -> Vec<(HookName, Hook)> {
        let hooks = self.hooks.at(when).map(|(number, hook)| (self.name(when, number), hook.clone()));
        hooks.filter(|(name, hook)| !is_done(builder, name, hook, &self.begun)).collect()
    }

    fn state(&self, builder: &Builder<'a>) -> Option<&'a EngineState> {
        match builder.fleet.ship(&self.instance.ship)? {
            ShipView::Reachable(state) => Some(state),
            ShipView::Unreachable(_) => None,
        }
    }

    /// Somebody else's container that has the name which a hook's needs.
    fn blocked(&self, builder: &Builder<'a>) -> Option<Blocked> {
        let state = self.state(builder)?;
        let left = [When::Before, When::After].into_iter().flat_map(|when| self.left(builder, when));
        left.filter(|(_, hook)| hook.place == HookPlace::Container).find_map(|(name, _)| {
            let container = state.containers.get(name.container().as_str())?;
            if is_hooks(builder, container, self.service()) {
                return None;
            }
            let whose = match container.ownership(builder.environment) {
                Ownership::Foreign(whose) => whose,
                Ownership::Ours | Ownership::Adoptable => "it was not made for that".to_owned(),
            };
            Some(Blocked::Foreign(format!("{name} needs the name `{}`: {whose}", container.name)))
        })
    }

    /// The instance, if its image has to be brought to its ship for those that are run now.
    pub(in crate::planner) fn pulls(&self, builder: &Builder<'_>) -> Option<&'a Instance> {
        let mut fates = builder.fates().filter(|(instance, _)| instance.service == *self.service());
        let is_whole = !fates.any(|(_, fate)| is_left_out(fate));
        let times = [(When::Before, self.is_replaced), (When::After, is_whole)];
        let run = times.into_iter().filter(|(_, is_run)| *is_run);
        let mut run = run.flat_map(|(when, _)| self.left(builder, when));
        // One that is there has its image.
        let is_made = |(name, hook): &(HookName, Hook)| {
            hook.place == HookPlace::Container && matches!(found(builder, name, &self.begun), Found::Nothing)
        };
        let needs = self.blocked.is_none() && run.any(|run| is_made(&run));
        (needs && !has_image(builder.fleet, &self.instance.ship, &self.instance.image))
            .then_some(self.instance)
    }

    fn task(&self, name: HookName, hook: &Hook, ship: Option<&ShipName>) -> Arc<HookTask> {
        Arc::new(HookTask {
            name,
            command: hook.command.clone(),
            image: self.instance.image.clone(),
            ship: ship.cloned(),
            within: hook.timeout,
        })
    }

    /// What a program on the machine that deploys is told.
    fn variables(&self, builder: &Builder<'_>, when: When) -> ContainerEnv {
        ContainerEnv::of(vec![
            EnvVar::new("MAESTRO_ENVIRONMENT", builder.environment.display_name()),
            EnvVar::new("MAESTRO_SERVICE", self.service().as_str()),
            EnvVar::new("MAESTRO_IMAGE", self.instance.image.as_str()),
            EnvVar::new("MAESTRO_HOOK", when.key()),
        ])
    }

    /// One hook, behind these steps.
    fn run(&self, builder: &mut Builder<'a>, name: HookName, hook: &Hook, last: Vec<StepId>) -> Chain {
        match hook.place {
            HookPlace::Local => {
                let unit = Unit::Hook { hook: name.clone(), ship: None };
                let mut chain = builder.chain_of(unit, last);
                let env = self.variables(builder, name.when).into();
                let action = Action::Local { hook: self.task(name, hook, None), env };
                builder.push(&mut chain, action, OnFailure::Fail);
                chain
            }
            HookPlace::Container => self.run_container(builder, name, hook, last),
        }
    }

    fn run_container(
        &self,
        builder: &mut Builder<'a>,
        name: HookName,
        hook: &Hook,
        last: Vec<StepId>,
    ) -> Chain {
        let found = found(builder, &name, &self.begun);
        let ship = if let Found::Open(ship, _) = found { ship } else { &self.instance.ship };
        let mut chain = builder.chain_of(Unit::Hook { hook: name.clone(), ship: Some(ship.clone()) }, last);
        let own = name.container();
        let (target, is_started) = match found {
            Found::Open(_, container) => {
                let target = Target::Seen { id: container.id.clone(), name: own };
                (target, container.state.is_running())
            }
            Found::Done | Found::Nothing => {
                start::image(builder, &mut chain, self.instance, None, false, false);
                self.clear(builder, &mut chain, &own);
                let (spec, hash) =
                    builder.one_off(self.instance, own.clone(), &hook.command, &self.begun.run);
                let call = EngineCall::CreateContainer { spec: Box::new(spec), hash };
                builder.call(&mut chain, call, OnFailure::Fail);
                (Target::Made(own), false)
            }
        };
        if !is_started {
            let call = EngineCall::StartContainer { target: target.clone() };
            builder.call(&mut chain, call, OnFailure::Fail);
        }
        let grace = self.instance.stop_timeout;
        let action = Action::Finish { target, hook: self.task(name, hook, Some(ship)), grace };
        builder.push(&mut chain, action, OnFailure::Fail);
        chain
    }

    /// Takes away what is left of an earlier run, or failed in this one.
    fn clear(&self, builder: &mut Builder<'a>, chain: &mut Chain, own: &InstanceName) {
        let Some(old) = self.state(builder).and_then(|state| state.containers.get(own.as_str())) else {
            return;
        };
        let target = Target::Seen { id: old.id.clone(), name: own.clone() };
        if old.state.is_running() {
            // Nobody waits for it any more, and two of it would be in each other's way.
            let grace = self.instance.stop_timeout;
            let call = EngineCall::StopContainer { target: target.clone(), grace };
            builder.call(chain, call, OnFailure::Fail);
            let wait = Action::Await {
                target: target.clone(),
                condition: Condition::NotRunning,
                steady: Duration::ZERO,
                within: SETTLE,
            };
            builder.push(chain, wait, OnFailure::Fail);
        }
        builder.call(chain, EngineCall::RemoveContainer { target }, OnFailure::Fail);
    }

    /// Those of one time, one after the other.
    fn all(&self, builder: &mut Builder<'a>, when: When, last: Vec<StepId>) -> Steps {
        let mut steps = Steps { all: Vec::new(), last };
        for (name, hook) in self.left(builder, when) {
            let chain = self.run(builder, name, &hook, steps.last);
            steps.all.extend(chain.steps);
            steps.last = chain.last;
        }
        steps
    }
}

/// Removes what is left of hooks: on the ships of the selected instances, of their services.
pub(in crate::planner) fn clean(builder: &mut Builder<'_>) {
    let selected: BTreeSet<(&ShipName, &ServiceName)> =
        builder.selected().iter().map(|instance| (&instance.ship, &instance.service)).collect();
    for (ship, service) in selected {
        let Some(ShipView::Reachable(state)) = builder.fleet.ship(ship) else { continue };
        let of_service = |container: &&ObservedContainer| {
            !container.state.is_running() && is_hooks(builder, container, service)
        };
        let left: Vec<_> = state.containers.values().filter(of_service).collect();
        for container in left {
            let own = InstanceName::from(&*container.name);
            let Some(hook) = HookName::of(service, &own) else { continue };
            let mut chain = builder.chain_of(Unit::Hook { hook, ship: Some(ship.clone()) }, Vec::new());
            let target = Target::Seen { id: container.id.clone(), name: own };
            builder.call(&mut chain, EngineCall::RemoveContainer { target }, OnFailure::Fail);
        }
    }
}

/// What is run before a service is touched.
pub(super) fn before(builder: &mut Builder<'_>, service: &ServiceName) -> Steps {
    let Some(hooked) = builder.hooked.remove(service) else { return Steps::default() };
    let mut steps = Steps::default();
    if hooked.is_replaced && hooked.blocked.is_none() {
        let first = builder.begins(service);
        steps = hooked.all(builder, When::Before, first);
        if steps.all.is_empty() {
            // Nothing is left to be waited for.
            steps.last.clear();
        }
    }
    builder.hooked.insert(hooked.service(), hooked);
    steps
}

/// What is run when a service has been replaced: not before each of those instances is as it is to be. Also puts all of them
/// into the rows of the instances: those before into every row, for they wait for them, those after into the last one.
pub(super) fn after(builder: &mut Builder<'_>, service: &ServiceName, members: &[usize], before: &Steps) {
    let Some(hooked) = builder.hooked.remove(service) else { return };
    let mut acting: Vec<usize> = Vec::new();
    let mut ends = Vec::new();
    let mut is_whole = hooked.blocked.is_none();
    for index in members {
        match builder.fate_of(*index) {
            Some(Fate::Act { steps, .. }) => {
                ends.extend(builder.ends_of(steps));
                acting.push(*index);
            }
            Some(fate) => is_whole &= !is_left_out(fate),
            None => {}
        }
    }
    if is_whole {
        let last = if ends.is_empty() { before.last.clone() } else { ends };
        let steps = hooked.all(builder, When::After, last);
        if let Some(index) = acting.iter().max()
            && !steps.all.is_empty()
        {
            builder.extend_row(*index, &[], &steps.all);
            builder.ends_with(*index, steps.last);
        }
    }
    for index in acting {
        builder.extend_row(index, &before.all, &[]);
    }
    builder.hooked.insert(hooked.service(), hooked);
}
