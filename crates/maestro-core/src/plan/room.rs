//! Who has to go before another can come.

use super::{Fate, Item, Plan, StepId};
use crate::names::InstanceName;
use std::collections::{BTreeMap, BTreeSet};

impl Plan {
    /// For each instance that comes after something that is not to be there any more, and was in its way: the steps with
    /// which that goes.
    pub fn rooms(&self) -> BTreeMap<InstanceName, BTreeSet<StepId>> {
        let mut going: BTreeMap<StepId, &[StepId]> = BTreeMap::new();
        for item in self.items.iter().filter(|item| item.goes()) {
            going.extend(acts(item).iter().map(|step| (*step, acts(item))));
        }
        let mut rooms: BTreeMap<InstanceName, BTreeSet<StepId>> = BTreeMap::new();
        if going.is_empty() {
            return rooms;
        }
        for item in self.items.iter().filter(|item| !item.goes()) {
            let steps = acts(item).iter().filter_map(|id| self.step(*id));
            for steps in steps.flat_map(|step| &step.after).filter_map(|before| going.get(before)) {
                rooms.entry(item.instance.clone()).or_default().extend(*steps);
            }
        }
        rooms
    }
}

fn acts(item: &Item) -> &[StepId] {
    match &item.fate {
        Fate::Act { steps, .. } => steps,
        Fate::Settled(_) | Fate::Blocked(_) | Fate::Waits { .. } => &[],
    }
}
