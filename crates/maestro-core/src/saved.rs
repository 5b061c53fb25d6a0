//! A plan that is kept, to be carried out later and exactly so (`docs/design/0018`): what is wanted, and what was seen
//! when it was decided. Planning is a pure function, so the same of both gives the same steps.

mod document;

pub use document::{FORMAT, SavedError};
pub(crate) use document::{read_selector, selector};

use crate::fleet::{FleetSnapshot, ShipView};
use crate::image::ImageRef;
use crate::names::InstanceName;
use crate::plan::{Action, EngineCall, Fate, Intent, Item, Plan, Reason};
use crate::release::{Release, sha256};
use crate::select::Selector;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

/// A plan that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPlan {
    /// What the fleet shall be, or what it is that is started and stopped.
    pub release: Release,
    /// What is wanted of it.
    pub intent: Intent,
    /// Of which instances.
    pub selector: Selector,
    /// How many at a time at most.
    pub units: Option<usize>,
    /// What was seen of each instance that the plan has something to do for.
    seen: BTreeMap<InstanceName, Sight>,
    /// What tells these steps from others.
    checksum: String,
}

/// What is kept of an instance besides the attributes in which it differs, containers beside it, and images on its ship.
const SHIP: &str = "ship";
const CONTAINER: &str = "container";
const STATE: &str = "state";
const CONTENT: &str = "content";
const SECRETS: &str = "what its container is made of, with secrets";
/// Between an image and its ship.
const ON: &str = " on ";

/// Whether that is a container beside an instance's.
fn is_beside(what: &str, instance: &InstanceName) -> bool {
    what.strip_prefix(instance.as_str()).is_some_and(|rest| rest.starts_with('.'))
}

/// What was seen of an instance: what it is called, and how it was.
pub type Sight = BTreeMap<String, String>;

/// Something that is not as it was when a plan was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The instance.
    pub instance: InstanceName,
    /// What of it.
    pub what: String,
    /// How it was; none for nothing.
    pub was: Option<String>,
    /// How it is.
    pub is: Option<String>,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, what, .. } = self;
        match (self.was.as_deref().map(shortened), self.is.as_deref().map(shortened)) {
            (None, Some(is)) if what == SHIP => write!(f, "{instance}: its ship is {is}"),
            (None, Some(is)) => write!(f, "{instance}: {what} is {is}, and was not there"),
            (Some(was), Some(is)) => write!(f, "{instance}: {what} was {was}, and is {is}"),
            (was, None) => write!(f, "{instance}: {what} was {}, and is gone", was.unwrap_or("there")),
        }
    }
}

/// An id as people know it, and everything else as it is.
fn shortened(text: &str) -> &str {
    let id = text.strip_prefix("sha256:").unwrap_or(text);
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { id.get(..12).unwrap_or(id) } else { text }
}

impl SavedPlan {
    /// Keeps a plan that was made of this.
    pub fn new(release: Release, selector: Selector, plan: &Plan, fleet: &FleetSnapshot) -> Self {
        Self {
            release,
            intent: plan.intent.clone(),
            selector,
            units: plan.limits.units,
            seen: plan.items.iter().map(|item| (item.instance.clone(), sight(item, plan, fleet))).collect(),
            checksum: checksum(plan),
        }
    }

    /// What has moved since: the same plan made now, of what is seen now, has to rest on the same.
    pub fn moved(&self, plan: &Plan, fleet: &FleetSnapshot) -> Vec<Moved> {
        let mut moved = Vec::new();
        let now: BTreeMap<&InstanceName, Sight> =
            plan.items.iter().map(|item| (&item.instance, sight(item, plan, fleet))).collect();
        let none = Sight::new();
        for instance in
            self.seen.keys().chain(now.keys().copied().filter(|name| !self.seen.contains_key(*name)))
        {
            let (was, is) = (self.seen.get(instance).unwrap_or(&none), now.get(instance).unwrap_or(&none));
            let new = is.keys().filter(|what| !was.contains_key(*what));
            let all: Vec<&String> =
                was.keys().chain(new).filter(|what| was.get(*what) != is.get(*what)).collect();
            // What is told of a container that is out of sight, or another one, follows from that.
            let says_all = [SHIP, CONTAINER].into_iter().find(|one| all.iter().any(|what| what == one));
            let follows = |what: &str| match says_all {
                Some(SHIP) => what != SHIP,
                Some(_) => !(what == CONTAINER || what.contains(ON) || is_beside(what, instance)),
                None => false,
            };
            for what in all.into_iter().filter(|what| !follows(what)) {
                let is_attribute = ![SHIP, CONTAINER, STATE, CONTENT, SECRETS].contains(&&**what)
                    && !what.contains(ON)
                    && !is_beside(what, instance);
                moved.push(Moved {
                    instance: instance.clone(),
                    what: what.clone(),
                    was: was.get(what).cloned(),
                    // Attributes are kept that differ.
                    is: is.get(what).cloned().or_else(|| is_attribute.then(|| "as it is to be".to_owned())),
                });
            }
        }
        moved
    }

    /// Whether these are the steps that were kept. Where nothing has moved they are, but for another Maestro.
    pub fn is_this(&self, plan: &Plan) -> bool {
        checksum(plan) == self.checksum
    }
}

/// What a plan rests on, of one instance.
fn sight(item: &Item, plan: &Plan, fleet: &FleetSnapshot) -> Sight {
    let mut sight = Sight::new();
    let mut note = |what: &str, how: String| _ = sight.insert(what.to_owned(), how);
    let state = match fleet.ship(&item.ship) {
        Some(ShipView::Reachable(state)) => state,
        Some(ShipView::Unreachable(_)) | None => {
            note(SHIP, "out of sight".to_owned());
            return sight;
        }
    };
    if let Some(seen) = &item.container {
        note(CONTAINER, seen.id.as_str().to_owned());
        note(STATE, seen.state.name().to_owned());
    }
    if let Some(container) = state.containers.get(item.instance.as_str()) {
        note(CONTENT, container.image_id.as_str().to_owned());
    }
    let on_ship = |image: &ImageRef| state.image(image).map(|image| image.id.as_str().to_owned());
    if let Some(id) = on_ship(&item.image) {
        note(&format!("{}{ON}{}", item.image.without_pin(), item.ship), id);
    }
    if let Some(hash) = hash_of_secrets(item, plan) {
        note(SECRETS, hash);
    }
    let prefix = format!("{}.", item.instance);
    let behind = state.containers.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded));
    for (name, container) in behind.take_while(|(name, _)| name.starts_with(&prefix)) {
        note(name, container.state.name().to_owned());
    }
    if let Fate::Act { because: Reason::Differs(changes), .. } = &item.fate {
        for change in &**changes {
            note(&change.attribute, change.found.clone().unwrap_or_else(|| "nothing".to_owned()));
        }
    }
    sight
}

/// The fingerprint of a container that is made with secrets: without them, the release says what it is made of.
fn hash_of_secrets(item: &Item, plan: &Plan) -> Option<String> {
    let Fate::Act { steps, .. } = &item.fate else { return None };
    let made = steps.iter().filter_map(|step| match &plan.step(*step)?.action {
        Action::Call(EngineCall::CreateContainer { spec, hash }) => Some((spec, hash)),
        _ => None,
    });
    let mut sealed = made.filter(|(spec, _)| !spec.env.secrets().is_empty());
    sealed.next().map(|(_, hash)| hash.0.chars().take(12).collect())
}

fn checksum(plan: &Plan) -> String {
    sha256(plan.to_string())
}

#[cfg(test)]
mod tests;
