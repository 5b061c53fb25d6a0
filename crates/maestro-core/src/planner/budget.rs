//! Keeping a budget over a whole environment: never more instances down at the same time than may be, in whatever order
//! steps end, and whatever fails.
//!
//! Every instance that is down holds a token, and there are as many as instances may be down. What is down stays, or is
//! brought up by the plan, which frees its token when it has succeeded. Who goes down takes a token first: one that is
//! free from the beginning, or the one of an instance before it in the plan, whose end it then comes after. If that one
//! does not succeed, nothing comes after it.

mod standing;

use crate::fleet::{ContainerState, FleetSnapshot, Health, ObservedContainer, ShipView};
use crate::model::{Environment, Instance, Share};
use crate::names::InstanceName;
use crate::plan::{Action, EngineCall, Intent, Item, Plan, StepId, Unit};
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

/// Instances that a plan takes down or brings up: one, or those for which the same containers make room.
struct Chain {
    /// How many of them go down.
    goes: usize,
    /// Their first steps.
    first: Vec<StepId>,
    /// The last ones of each that comes up.
    ends: Vec<Vec<StepId>>,
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
    let at_home = |instance: &&&Instance| serves(environment, fleet, instance);
    let at_home: BTreeSet<&InstanceName> = counted.iter().filter(at_home).map(|i| &i.name).collect();
    let standing_in = standing::standing_in(plan, environment, fleet, (&counted, &at_home));
    let serves = |instance: &&&Instance| {
        at_home.contains(&instance.name) || standing_in.values().any(|stood| *stood == instance.name)
    };
    let serving: BTreeSet<&InstanceName> = counted.iter().filter(serves).map(|i| &i.name).collect();
    let (all, down) = (counted.len(), counted.len() - serving.len());
    let chains = chains(plan, environment, (&serving, &at_home), &standing_in);
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
    (serving, at_home): (&BTreeSet<&InstanceName>, &BTreeSet<&InstanceName>),
    standing_in: &BTreeMap<InstanceName, InstanceName>,
) -> Vec<Chain> {
    let after = |id: &StepId| plan.step(*id).map(|step| step.after.as_slice()).unwrap_or_default();
    let group = |members: Vec<&Item>| {
        let mut chain = Chain { goes: 0, first: Vec::new(), ends: Vec::new() };
        let room: BTreeSet<StepId> =
            members.iter().filter(|item| item.goes()).flat_map(|i| i.steps()).collect();
        let mut all = room.clone();
        for item in members.iter().filter(|item| !item.goes()) {
            let is_counted =
                environment.instances.get(&item.instance).is_some_and(|i| counts(environment, i));
            let own = own(plan, item);
            all.extend(&own);
            let is_stood = standing_in.values().any(|stood| *stood == item.instance);
            let course = if is_stood && !room.is_empty() && !at_home.contains(&item.instance) {
                // What serves for it goes when room is made, wherever in the plan that is.
                Some(if own.is_empty() { Course::Down } else { Course::Around })
            } else {
                course(plan, &own, serving.contains(&item.instance))
            };
            let Some(course) = course.filter(|_| is_counted) else { continue };
            chain.goes += usize::from(course != Course::Up);
            if course != Course::Down {
                let awaited: BTreeSet<StepId> = own.iter().flat_map(after).copied().collect();
                chain.ends.push(own.into_iter().filter(|id| !awaited.contains(id)).collect());
            }
        }
        // Of whom nothing else is done.
        let stood = members.iter().filter_map(|item| standing_in.get(&item.instance));
        chain.goes += stood.filter(|stood| plan.items.iter().all(|item| item.instance != **stood)).count();
        let is_first = |id: &StepId| !after(id).iter().any(|before| all.contains(before));
        chain.first = all.iter().copied().filter(is_first).collect();
        (chain.goes > 0 || !chain.ends.is_empty()).then_some(chain)
    };
    let mut chains: Vec<Chain> = standing::groups(plan, standing_in).into_iter().filter_map(group).collect();
    chains.sort_by_key(|chain| chain.first.first().copied());
    chains
}

/// The steps that are an instance's own: pulls are shared, and hooks are its service's.
fn own(plan: &Plan, item: &Item) -> BTreeSet<StepId> {
    let is_own = |id: &StepId| matches!(plan.unit_of(*id), Some(Unit::Instance { instance, .. }) if *instance == item.instance);
    item.steps().filter(is_own).collect()
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

/// What has to be waited for besides, by step; none if the budget cannot be kept. Steps wait for earlier ones only.
fn schedule(chains: &[Chain], down: usize, allowed: usize) -> Option<BTreeMap<StepId, Vec<StepId>>> {
    let mut free = allowed.saturating_sub(down);
    let mut debt = down.saturating_sub(allowed);
    // Who pays it back: nobody goes down before they are up.
    let mut paying: Vec<StepId> = Vec::new();
    let mut tokens: VecDeque<&[StepId]> = VecDeque::new();
    let mut waits: BTreeMap<StepId, Vec<StepId>> = BTreeMap::new();
    for chain in chains {
        if chain.goes > 0 {
            let begin = chain.first.first().copied();
            let is_before = |steps: &[StepId]| steps.iter().all(|step| Some(*step) < begin);
            if debt > 0 || !is_before(&paying) {
                return None;
            }
            let mut after = paying.clone();
            for _ in 0..chain.goes {
                if free > 0 {
                    free -= 1;
                } else {
                    let place = tokens.iter().position(|ends| is_before(ends))?;
                    after.extend(tokens.remove(place).into_iter().flatten());
                }
            }
            if !after.is_empty() {
                for step in &chain.first {
                    waits.insert(*step, after.clone());
                }
            }
        }
        for ends in &chain.ends {
            if debt > 0 {
                debt -= 1;
                paying.extend(ends);
            } else {
                tokens.push_back(ends);
            }
        }
    }
    Some(waits)
}
