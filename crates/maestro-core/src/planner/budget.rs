//! Keeping a budget over a whole environment: never more instances down at the same time than may be, in whatever order
//! steps end, and whatever fails.
//!
//! Every instance that is down holds a token, and there are as many as instances may be down. What is down stays, or is
//! brought up by the plan, which frees its token when it has succeeded. Who goes down takes a token first: one that is
//! free from the beginning, or the one of an instance before it in the plan, whose end it then comes after. If that one
//! does not succeed, nothing comes after it.

use crate::fleet::{ContainerState, FleetSnapshot, Health, ObservedContainer, ShipView, orphans};
use crate::model::{Environment, Instance, Share};
use crate::names::InstanceName;
use crate::plan::{Action, EngineCall, Fate, Intent, Item, Plan, StepId, Unit};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A plan that cannot be carried out within the budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "at least {would} of {all} instances would be down at the same time ({down} are now{}), and {allowed} may be: \
     it needs `max_unavailable: {needed}`, and the budget says {share}",
    if *unseen > 0 { format!(", {unseen} of them because nobody can see them") } else { String::new() }
)]
pub struct OverBudget {
    /// How many would be down at once at least.
    pub would: usize,
    /// Instances that count: those of services that are not left out.
    pub all: usize,
    /// Those that are down now.
    pub down: usize,
    /// Those among them that cannot be seen.
    pub unseen: usize,
    /// How many may be down.
    pub allowed: usize,
    /// The smallest budget with which it could be done, in the form of the file.
    pub needed: Share,
    /// The budget.
    pub share: Share,
}

/// What a plan does to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// It is down, and comes up.
    Up,
    /// It serves, goes down, and comes up again.
    Around,
    /// It serves, and goes down.
    Down,
}

/// An instance that a plan takes down or brings up.
struct Chain {
    course: Course,
    /// The first steps of its own.
    first: Vec<StepId>,
    /// The last ones.
    ends: Vec<StepId>,
}

/// Orders a plan so that it keeps the budget, by nothing but more waiting.
///
/// # Errors
/// The smallest budget with which that could be done; the plan is as it was.
pub fn keep(
    plan: &mut Plan,
    environment: &Environment,
    fleet: &FleetSnapshot,
    share: Share,
) -> Result<(), OverBudget> {
    let counted: Vec<&Instance> = environment.instances.values().filter(|i| counts(environment, i)).collect();
    let rooms = plan.rooms();
    // What is not where the file has it serves for an instance as long as it runs.
    let elsewhere: BTreeSet<InstanceName> =
        orphans(environment, fleet).into_iter().map(|orphan| orphan.instance).collect();
    let is_served = |instance: &&&Instance| {
        serves(environment, fleet, instance)
            || elsewhere.contains(&instance.name)
            || rooms.contains_key(&instance.name)
    };
    let serving: BTreeSet<&InstanceName> =
        counted.iter().filter(is_served).map(|instance| &instance.name).collect();
    let (all, down) = (counted.len(), counted.len() - serving.len());
    let chains = chains(plan, environment, &serving, &rooms);
    let allowed = share.of(all);
    if let Some(waits) = schedule(&chains, down, allowed) {
        for (step, more) in waits {
            if let Some(step) = plan.steps.get_mut(step.index()) {
                let new: Vec<_> = more.into_iter().filter(|wait| !step.after.contains(wait)).collect();
                step.after.extend(new);
            }
        }
        return Ok(());
    }
    // The more may be down, the more can be done; with all of them, everything can.
    let (mut no, mut would) = (allowed, all.max(allowed + 1));
    while would - no > 1 {
        let middle = no + (would - no) / 2;
        if schedule(&chains, down, middle).is_some() {
            would = middle;
        } else {
            no = middle;
        }
    }
    let seen = |instance: &&&Instance| matches!(fleet.ship(&instance.ship), Some(ShipView::Reachable(_)));
    let unseen = all - counted.iter().filter(seen).count();
    Err(OverBudget { would, all, down, unseen, allowed, needed: smallest(share, would, all), share })
}

/// Whether an instance is one of those that are to serve.
fn counts(environment: &Environment, instance: &Instance) -> bool {
    environment.services.get(&instance.service).is_none_or(|service| !service.omit)
}

/// Whether an instance's container runs, and its HEALTHCHECK, if it has one and that is known, says that it is well. Where
/// it does not run, the one that was to take its place may: whoever stopped it had proved that one, and was broken off.
fn serves(environment: &Environment, fleet: &FleetSnapshot, instance: &Instance) -> bool {
    let Some(ShipView::Reachable(state)) = fleet.ship(&instance.ship) else { return false };
    let is_well = |container: &ObservedContainer| {
        container.state == ContainerState::Running
            && !matches!(container.health, Some(Health::Starting | Health::Unhealthy))
    };
    match state.containers.get(instance.name.as_str()) {
        Some(own) if own.state.is_running() => is_well(own),
        Some(_) | None => state.nexts(environment, &instance.name).any(is_well),
    }
}

/// The smallest share, of the same form, that is so many of all.
fn smallest(share: Share, count: usize, all: usize) -> Share {
    match share {
        Share::Count(_) => Share::Count(u32::try_from(count).unwrap_or(u32::MAX)),
        Share::Percent(_) => {
            let percent = (count * 100).div_ceil(all.max(1)).min(100);
            Share::Percent(u8::try_from(percent).unwrap_or(100))
        }
    }
}

/// The instances of a plan that go down or come up, in the order of their first steps.
fn chains(
    plan: &Plan,
    environment: &Environment,
    serving: &BTreeSet<&InstanceName>,
    rooms: &BTreeMap<InstanceName, BTreeSet<StepId>>,
) -> Vec<Chain> {
    let chain = |item: &Item| {
        let Fate::Act { steps, .. } = &item.fate else { return None };
        if !environment.instances.get(&item.instance).is_some_and(|instance| counts(environment, instance)) {
            return None;
        }
        let is_own = |id: &StepId| matches!(plan.unit_of(*id), Some(Unit::Instance { instance, .. }) if *instance == item.instance);
        let mut own: BTreeSet<StepId> = steps.iter().copied().filter(is_own).collect();
        own.extend(rooms.get(&item.instance).into_iter().flatten());
        let course = course(plan, &own, serving.contains(&item.instance))?;
        let after = |id: &StepId| plan.step(*id).map(|step| step.after.as_slice()).unwrap_or_default();
        let first = own.iter().copied().filter(|id| !after(id).iter().any(|before| own.contains(before)));
        let awaited: BTreeSet<StepId> = own.iter().flat_map(after).copied().collect();
        let ends = own.iter().copied().filter(|id| !awaited.contains(id));
        Some(Chain { course, first: first.collect(), ends: ends.collect() })
    };
    let mut chains: Vec<Chain> = plan.items.iter().filter_map(chain).collect();
    chains.sort_by_key(|chain| chain.first.first().copied());
    chains
}

/// What becomes of an instance; none if nothing that counts. One whose replacement is started before it is stopped does not
/// go down.
fn course(plan: &Plan, own: &BTreeSet<StepId>, serves: bool) -> Option<Course> {
    let call = |id: &StepId| match &plan.step(*id)?.action {
        Action::Call(call) => Some(call),
        _ => None,
    };
    let place = |test: fn(&EngineCall) -> bool| own.iter().position(|id| call(id).is_some_and(test));
    let starts = place(|call| matches!(call, EngineCall::StartContainer { .. }));
    let stops =
        place(|call| matches!(call, EngineCall::StopContainer { .. } | EngineCall::KillContainer { .. }));
    match (serves, stops, starts) {
        // What is to be runs already, and is proved before anything else of the instance stops.
        (_, _, None) if matches!(plan.intent, Intent::Deploy { .. }) => None,
        (true, Some(_), None) => Some(Course::Down),
        (true, Some(stop), Some(start)) if stop < start => Some(Course::Around),
        (false, _, Some(_)) => Some(Course::Up),
        _ => None,
    }
}

/// What has to be waited for besides, by step; none if the budget cannot be kept.
fn schedule(chains: &[Chain], down: usize, allowed: usize) -> Option<BTreeMap<StepId, Vec<StepId>>> {
    let mut free = allowed.saturating_sub(down);
    let mut debt = down.saturating_sub(allowed);
    // Who pays it back: nobody goes down before they are up.
    let mut paying: Vec<StepId> = Vec::new();
    let mut tokens: VecDeque<&[StepId]> = VecDeque::new();
    let mut waits: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    for chain in chains {
        if chain.course == Course::Up {
            if debt > 0 {
                debt -= 1;
                paying.extend(&chain.ends);
            } else {
                tokens.push_back(&chain.ends);
            }
            continue;
        }
        if debt > 0 {
            return None;
        }
        let mut after = paying.clone();
        if free > 0 {
            free -= 1;
        } else {
            after.extend(tokens.pop_front()?);
        }
        if !after.is_empty() {
            for step in &chain.first {
                waits.insert(*step, after.clone());
            }
        }
        if chain.course == Course::Around {
            tokens.push_back(&chain.ends);
        }
    }
    Some(waits)
}
