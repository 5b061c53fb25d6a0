//! From desired and observed to a plan. Synchronous, total, deterministic: no clock, no randomness, no Docker.

pub mod budget;
mod builder;
mod deploy;
mod handover;
mod ports;
mod routes;
mod start;
mod stop;
mod turn;

use crate::boundary::Needs;
use crate::fleet::{FleetSnapshot, ObservedContainer, Ownership, ShipView};
use crate::image::ImageRef;
use crate::model::graph::Direction;
use crate::model::{Environment, Instance};
use crate::names::{InstanceName, ServiceName, ShipName};
use crate::plan::{
    Action, Blocked, EngineCall, FailurePolicy, Fate, Intent, Limits, Plan, Reason, Restart, Seen, Settled,
    StepId, Target, Unit,
};
use crate::select::{Selection, SelectionRules};
use builder::Builder;
use std::collections::{BTreeMap, BTreeSet};

impl Intent {
    /// How a command with this intent selects its instances.
    pub fn selection_rules(&self) -> SelectionRules {
        SelectionRules { direction: self.direction(), includes_omitted: false }
    }

    /// Which dependencies come first.
    pub fn direction(&self) -> Direction {
        if self.dependents_first() { Direction::NeededFor } else { Direction::Requires }
    }

    /// Whether instances wait for each other. Images and stopped containers have no order among them.
    fn waits(&self) -> bool {
        !matches!(self, Intent::Pull | Intent::Clean)
    }

    /// What must be known of the fleet.
    pub fn needs(&self) -> Needs {
        Needs {
            // Said of those that are left as they are: how long they have been up, and whether they are healthy.
            details: matches!(self, Intent::Start { .. } | Intent::Deploy { .. }),
            configurations: matches!(self, Intent::Deploy { .. }),
            images: matches!(self, Intent::Start { .. } | Intent::Restart(_) | Intent::Deploy { .. }),
            others: true,
            hooks: matches!(self, Intent::Deploy { .. }),
        }
    }
}

/// Decides what is to be done to the selected instances.
pub fn plan(
    environment: &Environment,
    fleet: &FleetSnapshot,
    intent: &Intent,
    selection: &Selection,
    limits: Limits,
) -> Plan {
    let mut builder = settle(environment, fleet, intent, selection, First::default());
    if let Intent::Deploy { .. } = intent {
        // Which images are pulled is known when all is decided; everybody waits for all of them. So are the services whose
        // hooks are due.
        let mut hooked = deploy::due(&builder, intent);
        if hooked.values().any(|hooked| hooked.blocked.is_some()) {
            // So are their services, and those that need them.
            hooked.retain(|_, hooked| hooked.blocked.is_some());
            builder = settle(environment, fleet, intent, selection, First { hooked, ..First::default() });
            let blocked = std::mem::take(&mut builder.hooked);
            hooked = deploy::due(&builder, intent);
            hooked.extend(blocked);
        }
        let for_hooks = hooked.values().filter_map(|hooked| hooked.pulls(&builder));
        let pulling: Vec<_> = builder.pulling().into_iter().chain(for_hooks).collect();
        if !pulling.is_empty() || !hooked.is_empty() {
            builder = settle(environment, fleet, intent, selection, First { pulling, hooked });
        }
    }
    let on_failure = match intent {
        // A restart that has broken one instance would go on to break the next.
        Intent::Restart(_) | Intent::Deploy { .. } => FailurePolicy::Halt,
        Intent::Start { .. } | Intent::Stop | Intent::Kill | Intent::Pull | Intent::Clean => {
            FailurePolicy::SkipDependents
        }
    };
    let lenient = match intent {
        Intent::Deploy { .. } => deploy::lenient(&builder),
        _ => BTreeSet::new(),
    };
    let mut plan = builder.finish(intent.clone(), limits.among(fleet.ships.len()), on_failure);
    if let Intent::Deploy { .. } = intent {
        handover::order(&mut plan, environment, fleet);
    }
    Plan { lenient, ..plan }
}

/// Containers that a plan takes back and of which only a list tells, by their ships: whoever carries it out looks at them
/// first, and plans again. Somebody may have changed them since they were put aside. None if there are none.
pub fn unexamined(plan: &Plan, fleet: &FleetSnapshot) -> Option<BTreeMap<ShipName, BTreeSet<InstanceName>>> {
    if !matches!(plan.intent, Intent::Deploy { .. }) {
        return None;
    }
    let mut found: BTreeMap<ShipName, BTreeSet<InstanceName>> = BTreeMap::new();
    for step in &plan.steps {
        let Action::Call(call) = &step.action else { continue };
        let (EngineCall::StartContainer { target: Target::Seen { id, .. } }
        | EngineCall::RenameContainer { target: Target::Seen { id, .. }, .. }) = call
        else {
            continue;
        };
        let Some(Unit::Instance { ship, instance }) = plan.units.get(step.unit.index()) else { continue };
        let Some(ShipView::Reachable(state)) = fleet.ship(ship) else { continue };
        let is_it = |container: &&ObservedContainer| {
            container.id == *id && container.name.as_ref() != instance.as_str()
        };
        if let Some(container) = state.containers.values().find(is_it)
            && container.configuration.is_none()
        {
            found.entry(ship.clone()).or_default().insert(InstanceName::from(&*container.name));
        }
    }
    (!found.is_empty()).then_some(found)
}

/// What is known from deciding once.
#[derive(Default)]
struct First<'a> {
    /// Their images are on their ships before anything else is done.
    pulling: Vec<&'a Instance>,
    /// Services whose hooks are run.
    hooked: BTreeMap<&'a ServiceName, deploy::Hooked<'a>>,
}

/// Decides for each instance.
fn settle<'a>(
    environment: &'a Environment,
    fleet: &'a FleetSnapshot,
    intent: &Intent,
    selection: &Selection,
    first: First<'a>,
) -> Builder<'a> {
    let ordered = selection.ordered && intent.waits();
    let mut builder = Builder::new(environment, fleet, intent.direction(), &selection.instances, ordered);
    if let Intent::Deploy { .. } = intent {
        builder.orphans = deploy::Orphans::of(&builder, &selection.whole);
    }
    builder.hooked = first.hooked;
    if !first.pulling.is_empty() {
        builder.pull_first(first.pulling.into_iter());
    }
    for (service, instances) in builder.in_dependency_order() {
        if matches!(intent, Intent::Deploy { .. }) {
            deploy::service(&mut builder, instances, intent);
        } else {
            for (index, instance) in instances {
                let fate = fate(&mut builder, index, instance, intent);
                builder.settle(index, instance, fate);
            }
        }
        builder.close(service);
    }
    deploy::rest(&mut builder);
    if *intent == Intent::Clean {
        deploy::clean(&mut builder);
    }
    builder
}

fn fate<'a>(builder: &mut Builder<'a>, index: usize, instance: &'a Instance, intent: &Intent) -> Fate {
    let fleet = builder.fleet;
    let (state, container) = match fleet.ship(&instance.ship) {
        Some(ShipView::Reachable(state)) => (state, state.containers.get(instance.name.as_str())),
        Some(ShipView::Unreachable(error)) => {
            return match intent {
                Intent::Stop | Intent::Kill => Fate::Settled(Settled::HostDown(error.clone())),
                Intent::Start { .. }
                | Intent::Restart(_)
                | Intent::Pull
                | Intent::Clean
                | Intent::Deploy { .. } => Fate::Blocked(Blocked::Ship(error.clone())),
            };
        }
        None => return Fate::Blocked(Blocked::Ship(not_observed(&instance.ship))),
    };
    if let Some(found) = container
        && !matches!(intent, Intent::Pull)
        && let Ownership::Foreign(whose) = found.ownership(builder.environment)
    {
        return Fate::Blocked(Blocked::Foreign(whose));
    }
    if let Some(found) = container {
        builder.know_seen(instance, found);
    }
    let running = container.is_some_and(|c| c.state.is_running());
    // What a deployment has left beside it, if it was broken off.
    let left: Vec<&ObservedContainer> = match intent {
        Intent::Pull | Intent::Deploy { .. } => Vec::new(),
        Intent::Start { .. } | Intent::Stop | Intent::Kill | Intent::Restart(_) | Intent::Clean => {
            state.nexts(builder.environment, &instance.name).collect()
        }
    };
    let (left_running, left_stopped): (Vec<_>, Vec<_>) =
        left.into_iter().partition(|next| next.state.is_running());
    if let (Intent::Start { .. } | Intent::Restart(_), false, Some(next)) =
        (intent, running, left_running.first())
    {
        return Fate::Blocked(Blocked::HalfDone(InstanceName::from(&*next.name)));
    }
    match intent {
        Intent::Start { .. } if running => Fate::Settled(Settled::Up),
        Intent::Start { refresh, reuse } => {
            if let Some(blocked) = start::excess(builder, instance, container, *reuse) {
                return blocked;
            }
            if let Some(other) = builder.blocked_dependency(instance) {
                return Fate::Blocked(Blocked::Dependency(other));
            }
            let because = if container.is_none() { Reason::Missing } else { Reason::Stopped };
            let ports = match start::ports(builder, instance, container, *reuse) {
                Ok(ports) => ports,
                Err(blocked) => return Fate::Blocked(blocked),
            };
            let mut chain = builder.chain(instance);
            start::image(builder, &mut chain, instance, container, *refresh, *reuse);
            start::steps(builder, &mut chain, instance, container, ports);
            chain.act(because)
        }
        Intent::Stop | Intent::Kill => {
            let containers: Vec<_> = container.filter(|_| running).into_iter().chain(left_running).collect();
            if containers.is_empty() {
                return Fate::Settled(Settled::Down);
            }
            let mut chain = builder.chain(instance);
            let kill = matches!(intent, Intent::Kill);
            let purpose = if kill { stop::Purpose::Kill } else { stop::Purpose::Stop };
            for container in containers {
                builder.know_seen(instance, container);
                stop::steps(builder, &mut chain, instance, container, purpose);
            }
            chain.act(Reason::Asked)
        }
        Intent::Restart(how) => restart(builder, index, instance, container, how),
        Intent::Deploy { ask_again, .. } => {
            let ask_again = *ask_again || deploy::is_doubtful(intent, instance);
            deploy::fate(builder, instance, state, ask_again)
        }
        Intent::Pull => {
            let step = builder.pull(instance);
            Fate::Act { steps: vec![step], because: Reason::Refresh, hindrance: None }
        }
        Intent::Clean => {
            if running || !left_running.is_empty() {
                return Fate::Settled(Settled::Running);
            }
            let containers: Vec<_> = container.into_iter().chain(left_stopped).collect();
            if containers.is_empty() {
                return Fate::Settled(Settled::Absent);
            }
            let mut chain = builder.chain(instance);
            for container in containers {
                stop::remove(builder, &mut chain, container);
            }
            chain.act(Reason::Asked)
        }
    }
}

fn restart<'a>(
    builder: &mut Builder<'a>,
    index: usize,
    instance: &'a Instance,
    container: Option<&ObservedContainer>,
    how: &Restart,
) -> Fate {
    let running = container.filter(|c| c.state.is_running());
    let because = match (container, running) {
        (None, _) => Reason::Missing,
        (Some(_), None) => Reason::Stopped,
        (Some(_), Some(running)) => {
            let wanted = builder.image_id(&instance.ship, &instance.image);
            if how.only_if_changed {
                if wanted.as_ref() == Some(&running.image_id) {
                    return Fate::Settled(Settled::UpToDate);
                }
                Reason::ImageMoved { from: running.image_id.clone(), to: wanted }
            } else {
                Reason::Asked
            }
        }
    };
    if let Some(blocked) = start::excess(builder, instance, container, how.reuse) {
        return blocked;
    }
    let ports = match start::ports(builder, instance, container, how.reuse) {
        Ok(ports) => ports,
        Err(blocked) => return Fate::Blocked(blocked),
    };
    let mut chain = builder.chain(instance);
    start::image(builder, &mut chain, instance, container, how.refresh, how.reuse);
    if index > 0 {
        builder.delay(&mut chain, how.step_delay, crate::plan::DelayReason::Step);
    }
    if let Some(container) = running {
        stop::steps(builder, &mut chain, instance, container, stop::Purpose::Restart);
    }
    builder.delay(&mut chain, how.stop_start_delay, crate::plan::DelayReason::StopStart);
    start::steps(builder, &mut chain, instance, container, ports);
    chain.act(because)
}

fn not_observed(ship: &ShipName) -> crate::engine_error::EngineError {
    crate::engine_error::EngineError {
        ship: ship.clone(),
        operation: "looking at the fleet".to_owned(),
        kind: crate::engine_error::EngineErrorKind::Protocol("the ship was not looked at".to_owned()),
        ambiguous: false,
    }
}

fn seen(container: &ObservedContainer) -> Seen {
    Seen {
        id: container.id.clone(),
        image: container.image.clone(),
        state: container.state,
        health: container.health,
        started_at: container.started_at,
        finished_at: container.finished_at,
    }
}

/// The steps of one instance, as they are put one after another.
struct Chain {
    unit: crate::plan::UnitId,
    /// What the next step comes after.
    last: Vec<StepId>,
    steps: Vec<StepId>,
}

impl Chain {
    fn act(self, because: Reason) -> Fate {
        Fate::Act { steps: self.steps, because, hindrance: None }
    }
}

/// Whether an engine has an image, where its images are known.
fn has_image(fleet: &FleetSnapshot, ship: &ShipName, image: &ImageRef) -> bool {
    match fleet.ship(ship) {
        Some(ShipView::Reachable(state)) => state.image(image).is_some(),
        Some(ShipView::Unreachable(_)) | None => false,
    }
}

#[cfg(test)]
pub(crate) mod tests;
