//! What does not serve while a plan is carried out, and how long is waited for it: told from the plan alone.

use super::{Action, EngineCall, Fate, Intent, Item, Plan, Reason, StepId, Unit};
use crate::model::Check;
use crate::names::{InstanceName, ServiceName};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What of a service stops serving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// The service.
    pub service: ServiceName,
    /// How many of its instances stop serving, one after another or at once.
    pub instances: usize,
    /// How many of them are down at the same time at most, as long as nothing fails.
    pub at_once: usize,
    /// How many of them stay down.
    pub stay: usize,
    /// The longest that is waited for one of those that come up again, from its stop until it has been proved: grace,
    /// checks, bake and pauses, each as long as it may take. What has no limit of its own (programs, requests that end),
    /// and what engines take for what they do, comes on top.
    pub within: Duration,
}

/// An instance that stops serving.
struct Down {
    /// The step with which it stops.
    first: StepId,
    /// The steps that are over when it serves again; none if it does not.
    ends: Vec<StepId>,
    /// Whether it keeps its slot of the limit until it is over; what makes room for another one has a slot before that.
    is_one_unit: bool,
    within: Duration,
}

impl Outage {
    /// How long is waited at most, in whole seconds.
    pub fn seconds(&self) -> u64 {
        self.within.as_secs() + u64::from(self.within.subsec_nanos() > 0)
    }
}

impl Plan {
    /// What stops serving, by service, in the order of the plan's items.
    pub fn outages(&self) -> Vec<Outage> {
        let rooms = self.rooms_of_own();
        // Who makes room for another one is that one's outage.
        let making: BTreeSet<StepId> = rooms.values().flatten().copied().collect();
        let mut order: Vec<&ServiceName> = Vec::new();
        let mut downs: BTreeMap<&ServiceName, Vec<Down>> = BTreeMap::new();
        for item in &self.items {
            let Some(down) = self.down(item, &rooms, &making) else { continue };
            let own = downs.entry(&item.service).or_default();
            if own.is_empty() {
                order.push(&item.service);
            }
            own.push(down);
        }
        let outage = |service: &ServiceName| {
            let mut own = downs.remove(service)?;
            own.sort_by_key(|down| down.first);
            let stay = own.iter().filter(|down| down.ends.is_empty()).count();
            let slots = self.limits.units.filter(|_| own.iter().all(|down| down.is_one_unit));
            let most = slots.map_or(own.len(), |slots| stay + slots.max(1));
            Some(Outage {
                service: service.clone(),
                instances: own.len(),
                at_once: self.at_once(&own).min(most),
                stay,
                within: own.iter().map(|down| down.within).max().unwrap_or_default(),
            })
        };
        order.into_iter().filter_map(outage).collect()
    }

    /// Who has to go before another one of its service can come. What goes for another service is an outage of its own one; if
    /// it belongs elsewhere, of the instance that it serves for until that is up, also where that is left for later.
    fn rooms_of_own(&self) -> BTreeMap<InstanceName, BTreeSet<StepId>> {
        let items: BTreeMap<&str, &Item> =
            self.items.iter().map(|item| (item.instance.as_str(), item)).collect();
        let mut own: BTreeMap<InstanceName, BTreeSet<StepId>> = BTreeMap::new();
        let going: Vec<&Item> = self.items.iter().filter(|item| item.goes()).collect();
        for (instance, steps) in self.rooms() {
            let service = items.get(instance.as_str()).map(|item| &item.service);
            for item in going.iter().filter(|item| item.steps().any(|step| steps.contains(&step))) {
                let home = item.instance.as_str().split('@').next().and_then(|name| items.get(name));
                if Some(&item.service) == service {
                    let home = home.filter(|home| is_left(home)).map_or(&instance, |home| &home.instance);
                    own.entry(home.clone()).or_default().extend(item.steps());
                } else if let Some(home) = home.filter(|home| !self.goes_after(item, home)) {
                    own.entry(home.instance.clone()).or_default().extend(item.steps());
                }
            }
        }
        own
    }

    /// Whether one goes only when an instance is up for certain.
    pub(crate) fn goes_after(&self, item: &Item, instance: &Item) -> bool {
        let is_own = |id: &StepId| matches!(self.unit_of(*id), Some(Unit::Instance { instance: name, .. }) if *name == instance.instance);
        if is_left(instance) {
            return false;
        }
        let Some(first) = item.steps().next() else { return true };
        let before = self.preceding(first);
        instance.steps().filter(is_own).all(|step| before.contains(&step))
    }

    fn down(
        &self,
        item: &Item,
        rooms: &BTreeMap<InstanceName, BTreeSet<StepId>>,
        making: &BTreeSet<StepId>,
    ) -> Option<Down> {
        let steps = match &item.fate {
            // What is elsewhere by now serves there.
            Fate::Act { because: Reason::Moved(_), .. } => return None,
            Fate::Act { steps, .. } => steps.as_slice(),
            _ if is_left(item) => &[],
            _ => return None,
        };
        if steps.iter().any(|step| making.contains(step)) {
            return None;
        }
        let room = rooms.get(&item.instance);
        let is_own = |id: &&StepId| matches!(self.unit_of(**id), Some(Unit::Instance { instance, .. }) if *instance == item.instance);
        let own: BTreeSet<StepId> =
            steps.iter().filter(is_own).chain(room.into_iter().flatten()).copied().collect();
        let calls = || {
            own.iter().filter_map(|id| match &self.step(*id)?.action {
                Action::Call(call) => Some((*id, call)),
                _ => None,
            })
        };
        let (first, stopped) = calls().find_map(|(id, call)| match call {
            EngineCall::StopContainer { target, .. } | EngineCall::KillContainer { target } => {
                Some((id, target))
            }
            _ => None,
        })?;
        // What is frozen is stopped, too, and is missed by nobody.
        let own_one = item.container.as_ref().filter(|seen| stopped.reference() == seen.id.as_str());
        if own_one.is_some_and(|seen| !seen.state.is_awake()) {
            return None;
        }
        let is_one_unit = room.is_none();
        let start = calls().find(|(_, call)| matches!(call, EngineCall::StartContainer { .. }));
        match start.map(|(id, _)| id) {
            Some(start) if start < first => None,
            Some(_) => {
                let awaited: BTreeSet<StepId> = own.iter().flat_map(|id| self.after(*id)).copied().collect();
                let ends = own.iter().copied().filter(|id| !awaited.contains(id)).collect();
                Some(Down { first, ends, is_one_unit, within: self.within(&own, first) })
            }
            // What is to be runs already, and has been proved.
            None if matches!(self.intent, Intent::Deploy { .. }) && !item.goes() && !is_left(item) => None,
            None => Some(Down { first, ends: Vec::new(), is_one_unit, within: Duration::ZERO }),
        }
    }

    fn after(&self, id: StepId) -> &[StepId] {
        self.step(id).map(|step| step.after.as_slice()).unwrap_or_default()
    }

    /// How long is waited at most from a step to the last one of an instance; checks of a phase are asked side by side.
    fn within(&self, own: &BTreeSet<StepId>, first: StepId) -> Duration {
        let mut until: BTreeMap<StepId, Duration> = BTreeMap::new();
        for id in own.range(first..) {
            let Some(step) = self.step(*id) else { continue };
            let before = step.after.iter().filter_map(|before| until.get(before)).max().copied();
            if *id == first || before.is_some() {
                until.insert(*id, before.unwrap_or_default() + longest(&step.action));
            }
        }
        until.into_values().max().unwrap_or_default()
    }

    /// How many are down at the same time at most: each that goes down only when another one is up again has its place.
    fn at_once(&self, downs: &[Down]) -> usize {
        let mut owners: BTreeMap<StepId, usize> = BTreeMap::new();
        for (number, down) in downs.iter().enumerate() {
            owners.extend(down.ends.iter().map(|end| (*end, number)));
        }
        // Steps that come after one of them, as far as anybody may wait for that: steps come after those before them.
        let (Some((first, _)), Some(last)) = (owners.first_key_value(), downs.last()) else {
            return downs.len();
        };
        let mut follows: BTreeSet<StepId> = BTreeSet::new();
        for id in (first.0..last.first.0).map(StepId) {
            if owners.contains_key(&id) || self.after(id).iter().any(|before| follows.contains(before)) {
                follows.insert(id);
            }
        }
        let mut taken: BTreeSet<usize> = BTreeSet::new();
        for down in downs {
            let mut open: VecDeque<StepId> = self.after(down.first).iter().copied().collect();
            let mut seen: BTreeSet<StepId> = BTreeSet::new();
            let mut ended: BTreeMap<usize, usize> = BTreeMap::new();
            while let Some(id) = open.pop_front() {
                if !follows.contains(&id) || !seen.insert(id) {
                    continue;
                }
                if let Some(owner) = owners.get(&id) {
                    let count = ended.entry(*owner).or_default();
                    *count += 1;
                    let is_up = downs.get(*owner).is_some_and(|other| other.ends.len() == *count);
                    if is_up && taken.insert(*owner) {
                        break;
                    }
                }
                open.extend(self.after(id));
            }
        }
        downs.len() - taken.len()
    }
}

/// Whether an instance is left for later, and has nothing that serves where it belongs.
fn is_left(item: &Item) -> bool {
    let is_awake = item.container.as_ref().is_some_and(|seen| seen.state.is_awake());
    matches!(item.fate, Fate::Blocked(_) | Fate::Waits { .. }) && !is_awake
}

/// How long a step waits at most, as far as it has a limit of its own.
fn longest(action: &Action) -> Duration {
    match action {
        Action::Call(EngineCall::StopContainer { grace, .. }) => *grace,
        Action::Await { steady, within, .. } => *steady + *within,
        Action::Check { check, .. } => match check {
            // A try takes a second at most, and so does the pause behind it.
            Check::Tcp { attempts, .. } => {
                Duration::from_secs(u64::from(*attempts) * 2).saturating_sub(PAUSE)
            }
            Check::Exec { attempts, .. } | Check::RemoteExec { attempts, .. } => {
                PAUSE * attempts.saturating_sub(1)
            }
            Check::Http(http) => http.max_wait,
            Check::Sleep { wait } => *wait,
            Check::Health { max_wait } => *max_wait,
        },
        Action::Delay { pause, .. } => *pause,
        Action::Call(_)
        | Action::Route { .. }
        | Action::Provide { .. }
        | Action::Finish { .. }
        | Action::Local { .. }
        | Action::Reached => Duration::ZERO,
    }
}

/// Between two tries of a check.
const PAUSE: Duration = Duration::from_secs(1);
