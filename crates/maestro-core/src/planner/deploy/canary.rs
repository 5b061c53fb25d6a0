//! A few first, the others when somebody says so, or after a while; and what balancers send to them meanwhile
//! (`docs/design/0031`).

use super::standing::Standing;
use super::{is_up, may_lose, some, with_users};
use crate::fleet::ShipView;
use crate::model::{Canary, Instance, Portion, Service};
use crate::names::InstanceName;
use crate::plan::{Intent, Reason, StepId};
use crate::planner::builder::Builder;
use crate::planner::turn::Turn;
use std::time::Duration;

/// Plans the instances of a service. `turn` is how those begin that wait for nobody.
pub(super) fn service<'a>(
    builder: &mut Builder<'a>,
    service: &'a Service,
    canary: Canary,
    members: Vec<(usize, &'a Instance)>,
    intent: &Intent,
    turn: &dyn Fn() -> Turn<'a>,
) {
    let promote = matches!(intent, Intent::Deploy { promote: true, .. });
    let first: Vec<&InstanceName> =
        service.instances.iter().take(canary.canaries.of_surplus(service.instances.len())).collect();
    let (canaries, others): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(_, instance)| first.contains(&&instance.name));
    let portion = canary.weight.map(|percent| Portion { percent, canaries: first.len() });
    if promote || !service.instances.iter().any(|name| is_named_new(builder, name)) {
        if let Some(portion) = portion.filter(|_| intent.goes_back()) {
            still_tried(builder, &canaries, &others, portion);
        }
        builder.turn = turn();
        let all = canaries.into_iter().chain(others).collect();
        // Those that are down first: who is not would be one more.
        let (well, down) = with_users(all, &[], |instance| may_lose(builder, instance, intent));
        some(builder, down.into_iter().chain(well).collect(), intent);
        return;
    }
    // Who does not serve has nothing to lose, and would be one more that is down.
    let (others, down) = with_users(others, &[], |instance| is_up(builder, instance));
    builder.turn = turn();
    // For whom others go that serve, they go after those that are down; and who takes something from a canary, after it.
    let (making, down) = with_users(down, &first, |instance| may_lose(builder, instance, intent));
    // Only while somebody is waited for.
    let follows = others.iter().any(|(_, instance)| is_new(builder, instance));
    let portion = portion.filter(|_| follows && !canaries.is_empty());
    if let (Some(portion), Some((_, one))) = (portion, canaries.first()) {
        let names = canaries.iter().map(|(_, instance)| instance.name.clone()).collect();
        builder.try_first(&one.service, names, portion);
    }
    let mut behind = some(builder, down, intent);
    builder.turn.portion = portion;
    behind.extend(tried(builder, canary, canaries, intent));
    builder.turn.portion = None;
    builder.turn.pause = Duration::ZERO;
    behind.extend(some(builder, making, intent));
    builder.turn = turn();
    builder.turn.behind.extend(behind);
    builder.turn.waits_for = canary.pause.is_none().then_some(first.len());
    // Whoever follows shows that the canaries are good.
    builder.turn.level = portion.is_some() && canary.pause.is_some();
    some(builder, others, intent);
}

/// On the way back from a release that was tried: until its canaries are what they were, they get no more of the requests
/// than before.
fn still_tried<'a>(
    builder: &mut Builder<'a>,
    canaries: &[(usize, &'a Instance)],
    others: &[(usize, &'a Instance)],
    portion: Portion,
) {
    let mut is_left = |instance: &'a Instance| serves(builder, instance).is_some();
    let left: Vec<&Instance> =
        canaries.iter().map(|(_, instance)| *instance).filter(|instance| is_left(instance)).collect();
    // Where others had followed, all got the same.
    if let Some(one) = left.first()
        && !others.iter().any(|(_, instance)| is_left(instance))
    {
        let names = left.iter().map(|instance| instance.name.clone()).collect();
        builder.try_first(&one.service, names, portion);
    }
}

fn is_named_new(builder: &mut Builder<'_>, name: &InstanceName) -> bool {
    let instance = builder.environment.instances.get(name);
    instance.is_some_and(|instance| is_new(builder, instance))
}

/// Whether an instance has anything to lose: something serves for it that is not as the release says.
fn is_new<'a>(builder: &mut Builder<'a>, instance: &'a Instance) -> bool {
    matches!(serves(builder, instance), Some(Reason::Missing | Reason::Differs(_)))
}

/// Why something is to be done to an instance for which something serves that is not what is to be.
fn serves<'a>(builder: &mut Builder<'a>, instance: &'a Instance) -> Option<Reason> {
    let fleet = builder.fleet;
    let Some(ShipView::Reachable(state)) = fleet.ship(&instance.ship) else { return None };
    let standing = Standing::of(builder, instance, state, false);
    if standing.is_served_by_another() { standing.because } else { None }
}

/// Plans the instances that are tried first. Where others follow by themselves, those that are as the release says have to
/// stay well, too: it may have been broken off while they did.
fn tried<'a>(
    builder: &mut Builder<'a>,
    canary: Canary,
    canaries: Vec<(usize, &'a Instance)>,
    intent: &Intent,
) -> Vec<StepId> {
    let Some(pause) = canary.pause else { return some(builder, canaries, intent) };
    builder.turn.pause = pause;
    some(builder, canaries, &intent.asking_again())
}
