//! Which containers a plan stops and starts, and what of that is certain to be over before what.

use super::{Action, Condition, EngineCall, Plan, StepId, Target, Unit};
use crate::names::{ContainerId, InstanceName, ShipName};
use std::collections::{BTreeMap, BTreeSet};

/// When a plan stops what is there, and starts what is to be: what one has of its ship the other can have only then.
#[derive(Debug)]
pub struct Takeovers<'p> {
    plan: &'p Plan,
    stops: BTreeMap<(&'p ShipName, &'p ContainerId), StepId>,
    starts: BTreeMap<(&'p ShipName, &'p InstanceName), StepId>,
}

impl<'p> Takeovers<'p> {
    /// Those of a plan.
    pub fn of(plan: &'p Plan) -> Self {
        let (mut stops, mut starts) = (BTreeMap::new(), BTreeMap::new());
        for (id, step) in plan.ids().zip(&plan.steps) {
            let Some(Unit::Instance { instance, ship }) = plan.units.get(step.unit.index()) else { continue };
            match &step.action {
                Action::Call(
                    EngineCall::StopContainer { target, .. } | EngineCall::KillContainer { target },
                )
                | Action::Await { target, condition: Condition::NotRunning, .. } => {
                    if let Target::Seen { id: container, .. } = target {
                        // The last one: when it does not run any more.
                        stops.insert((ship, container), id);
                    }
                }
                Action::Call(EngineCall::StartContainer { .. }) => {
                    starts.entry((ship, instance)).or_insert(id);
                }
                _ => {}
            }
        }
        Self { plan, stops, starts }
    }

    /// The step after which a container that was there does not run any more, if it is stopped.
    pub fn stop_of(&self, ship: &ShipName, container: &ContainerId) -> Option<StepId> {
        self.stops.get(&(ship, container)).copied()
    }

    /// The step that starts a container of an instance, if one is started.
    pub fn start_of(&self, ship: &ShipName, instance: &InstanceName) -> Option<StepId> {
        self.starts.get(&(ship, instance)).copied()
    }

    /// Whether a step is begun only when another one is over, whatever else is done at the same time.
    pub fn follows(&self, step: StepId, before: StepId) -> bool {
        step == before || self.plan.preceding(step).contains(&before)
    }
}

impl Plan {
    /// All steps that are over when a step is begun.
    pub fn preceding(&self, step: StepId) -> BTreeSet<StepId> {
        let mut all = BTreeSet::new();
        let mut open = vec![step];
        while let Some(step) = open.pop() {
            let after = self.step(step).map(|step| step.after.as_slice()).unwrap_or_default();
            open.extend(after.iter().copied().filter(|before| all.insert(*before)));
        }
        all
    }
}
