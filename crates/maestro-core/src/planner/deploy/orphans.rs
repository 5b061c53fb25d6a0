//! What the file does not have any more, or has on another ship, is stopped: when everything else is done, or before
//! what it is in the way of. It is not removed: who goes back finds it.

use super::claims::Claim;
use super::restarts;
use crate::fleet::{ObservedContainer, Orphan, orphans};
use crate::model::Instance;
use crate::names::{InstanceName, ServiceName};
use crate::plan::{
    Action, Blocked, Condition, EngineCall, Fate, Item, Milestone, OnFailure, Reason, StepId, Target, Unit,
};
use crate::planner::builder::Builder;
use crate::planner::start::SETTLE;
use crate::planner::{Chain, seen};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a container may take to stop of whose service the file has no instance.
const GRACE: Duration = Duration::from_secs(10);

/// Those that are stopped, and what becomes of each.
#[derive(Default)]
pub(in crate::planner) struct Orphans<'a> {
    all: Vec<Orphan<'a>>,
    /// Those whose turn has come.
    pub(in crate::planner) items: Vec<Item>,
}

impl<'a> Orphans<'a> {
    /// Those of these services.
    pub(in crate::planner) fn of(builder: &Builder<'a>, services: &BTreeSet<ServiceName>) -> Self {
        let mut all = orphans(builder.environment, builder.fleet);
        all.retain(|orphan| services.contains(&orphan.service));
        Self { all, items: Vec::new() }
    }

    fn left(&self) -> Vec<Orphan<'a>> {
        self.all.iter().filter(|orphan| self.item(&orphan.name()).is_none()).cloned().collect()
    }

    /// The row of one that has been stopped.
    fn item(&self, name: &InstanceName) -> Option<&Item> {
        self.items.iter().find(|item| item.instance == *name)
    }
}

/// Those that have to stop before a container of an instance is started, where `current` makes way for it.
pub(super) fn in_the_way<'a>(
    builder: &Builder<'a>,
    instance: &'a Instance,
    current: Option<&ObservedContainer>,
) -> Vec<Orphan<'a>> {
    let all = &builder.orphans.all;
    let mode = instance.settings.network_mode.as_deref().unwrap_or("");
    let publishes = !matches!(mode, "host" | "none") && !mode.starts_with("container:");
    let mut found: BTreeSet<usize> = BTreeSet::new();
    // Also those that another one has had stopped: it waits for them, too.
    for (place, orphan) in all.iter().enumerate() {
        let takes = |port: &u16| instance.ports.values().any(|of| of.is_fixed() && of.may_take(*port));
        let is_here = *orphan.ship == instance.ship;
        // Without a strategy there are never two of an instance.
        let is_itself =
            orphan.instance == instance.name && builder.turn.beside.most == 0 && current.is_none();
        // What another service has is stopped when that has been replaced, and waited for.
        let is_own = || {
            let is_known = builder.environment.services.contains_key(&orphan.service);
            orphan.service == instance.service
                || !is_known
                || builder.needs(&orphan.service).contains(&instance.service)
        };
        if is_itself || is_here && publishes && orphan.container.ports.keys().any(takes) && is_own() {
            found.insert(place);
        }
    }
    for claim in Claim::of(instance) {
        // What it has had, it had together with them.
        if current.is_some_and(|current| claim.is_of(current) != Some(false)) {
            continue;
        }
        let is_sibling = |orphan: &Orphan<'_>| {
            orphan.service == instance.service
                && *orphan.ship == instance.ship
                && claim.is_of(orphan.container) != Some(false)
        };
        let siblings: Vec<usize> =
            all.iter().enumerate().filter(|(_, orphan)| is_sibling(orphan)).map(|(place, _)| place).collect();
        let are_known = siblings
            .iter()
            .filter_map(|place| all.get(*place))
            .all(|orphan| claim.is_of(orphan.container).is_some());
        let is_limited = builder.turn.allowed < members(builder, instance);
        if is_limited && are_known && claim.can_be_shared() && siblings.len() > 1 {
            // They have it together, so any of them can have it together with those that come.
            if siblings.iter().all(|place| !found.contains(place)) {
                let is_left = |place: &&usize| {
                    all.get(**place).is_some_and(|orphan| builder.orphans.item(&orphan.name()).is_none())
                };
                found.extend(siblings.iter().find(is_left));
            }
        } else {
            found.extend(siblings);
        }
    }
    found.into_iter().filter_map(|place| all.get(place).cloned()).collect()
}

/// How many of its service go when these do, that nothing has stopped yet.
pub(super) fn going(builder: &Builder<'_>, instance: &Instance, these: &[Orphan<'_>]) -> usize {
    let goes = |orphan: &&Orphan<'_>| {
        orphan.service == instance.service && builder.orphans.item(&orphan.name()).is_none()
    };
    these.iter().filter(goes).count()
}

/// Why these may not go, though they are of services that come later: more of one would be down than may be.
pub(super) fn missed(builder: &Builder<'_>, instance: &Instance, these: &[Orphan<'_>]) -> Option<Blocked> {
    let others = these.iter().filter(|orphan| orphan.service != instance.service);
    others.map(|orphan| &orphan.service).find_map(|name| {
        let service = builder.environment.services.get(name)?;
        let goes = |orphan: &&Orphan<'_>| {
            orphan.service == *name
                && (builder.orphans.item(&orphan.name()).is_some()
                    || these.iter().any(|one| one.name() == orphan.name()))
        };
        let going = builder.orphans.all.iter().filter(goes).count();
        let all = service.instances.len();
        let allowed = service.deploy.strategy.down(all);
        let up = service.instances.iter().filter_map(|name| builder.environment.instances.get(name));
        let up = up.filter(|instance| super::is_up(builder, instance)).count();
        let up = up + builder.orphans.all.iter().filter(|orphan| orphan.service == *name).count();
        // Those that are down already are down, too.
        let least = up.min(all).min(all.saturating_sub(allowed));
        (up.saturating_sub(going) < least).then(|| Blocked::Unavailable {
            service: name.clone(),
            unseen: 0,
            going,
            allowed,
        })
    })
}

/// How many more of a service run than there are to be.
pub(super) fn spare(builder: &Builder<'_>, service: &ServiceName, up: usize, all: usize) -> usize {
    // What has gone for another service serves no more.
    let is_left = |orphan: &&Orphan<'_>| builder.orphans.item(&orphan.name()).is_none();
    let orphans = builder.orphans.all.iter().filter(|orphan| orphan.service == *service);
    (up + orphans.filter(is_left).count()).saturating_sub(all)
}

fn members(builder: &Builder<'_>, instance: &Instance) -> usize {
    builder.environment.services.get(&instance.service).map_or(0, |service| service.instances.len())
}

/// Stops what is in the way of an instance, before anything of its chain.
pub(super) fn make_room<'a>(builder: &mut Builder<'a>, chain: &mut Chain, first: Vec<Orphan<'a>>) {
    let before = chain.last.clone();
    for orphan in first {
        let known = builder.orphans.item(&orphan.name());
        let ends = match known.map(|item| &item.fate) {
            Some(Fate::Act { steps, .. }) => builder.ends_of(&steps.clone()),
            _ => stop(builder, &orphan, before.clone()),
        };
        chain.last.extend(ends.into_iter().filter(|end| !before.contains(end)));
    }
}

/// Stops all others, when everything else is done. Those of services that stay as they are, for whatever reason, stay, too.
pub(in crate::planner) fn rest(builder: &mut Builder<'_>) {
    let stays = |item: &Fate| matches!(item, Fate::Blocked(_) | Fate::Waits { .. });
    let mut staying: BTreeSet<ServiceName> = builder.services_whose(stays).cloned().collect();
    // What stays may have been told of what it needs.
    let needed: Vec<ServiceName> =
        staying.iter().flat_map(|service| builder.needs(service)).cloned().collect();
    staying.extend(needed);
    let mut left = builder.orphans.left();
    left.retain(|orphan| !staying.contains(&orphan.service));
    let (awaited, left): (Vec<_>, Vec<_>) = left.into_iter().partition(|orphan| is_awaited(builder, orphan));
    for orphan in awaited {
        let after = builder.done(&orphan.service);
        stop(builder, &orphan, after);
    }
    if left.is_empty() {
        return;
    }
    let after = match builder.all_ends() {
        ends if ends.len() > 1 => vec![builder.milestone(Milestone::Deployed, ends)],
        ends => ends,
    };
    for orphan in left {
        stop(builder, &orphan, after.clone());
    }
}

/// Whether an instance of another service takes a port of one.
fn is_awaited(builder: &Builder<'_>, orphan: &Orphan<'_>) -> bool {
    let takes = |instance: &Instance| {
        let mut ports = instance.ports.values().filter(|port| port.is_fixed());
        ports.any(|port| orphan.container.ports.keys().any(|number| port.may_take(*number)))
    };
    let mut acting = builder.fates().filter(|(_, fate)| matches!(fate, Fate::Act { .. }));
    acting.any(|(instance, _)| {
        instance.ship == *orphan.ship && instance.service != orphan.service && takes(instance)
    })
}

/// The steps that stop one; how they end.
fn stop(builder: &mut Builder<'_>, orphan: &Orphan<'_>, after: Vec<StepId>) -> Vec<StepId> {
    let environment = builder.environment;
    let name = orphan.name();
    let target =
        Target::Seen { id: orphan.container.id.clone(), name: InstanceName::from(&*orphan.container.name) };
    let unit = builder.unit(Unit::Instance { instance: name.clone(), ship: orphan.ship.clone() });
    let mut chain = Chain { unit, last: after, steps: Vec::new() };
    builder.drain_of(&mut chain, &orphan.service, &name);
    let of_service = environment.instances.values().filter(|known| known.service == orphan.service);
    let grace = of_service.map(|known| known.stop_timeout).max().unwrap_or(GRACE);
    // First: who finds it stopped takes it for done.
    restarts::rest(builder, &mut chain, (orphan.container, &target), None);
    builder.call(&mut chain, EngineCall::StopContainer { target: target.clone(), grace }, OnFailure::Fail);
    let wait =
        Action::Await { target, condition: Condition::NotRunning, steady: Duration::ZERO, within: SETTLE };
    builder.push(&mut chain, wait, OnFailure::Fail);
    let ends = chain.last.clone();
    let because = match environment.instances.get(&orphan.instance) {
        Some(known) => Reason::Moved(known.ship.clone()),
        None => Reason::Gone,
    };
    builder.orphans.items.push(Item {
        instance: name,
        service: orphan.service.clone(),
        ship: orphan.ship.clone(),
        image: orphan.container.image.clone(),
        container: Some(seen(orphan.container)),
        fate: Fate::Act { steps: chain.steps, because, hindrance: None },
    });
    ends
}
