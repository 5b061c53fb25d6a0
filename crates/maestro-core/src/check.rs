//! An independent look at a plan: what no plan may ever contain, whoever made it.

use crate::fleet::{FleetSnapshot, ShipView};
use crate::plan::{Action, EngineCall, Fate, Plan, StepId, Target, Unit, UnitId};
use std::collections::{BTreeMap, BTreeSet};

/// A defect of a plan: a bug in the planner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A step comes after one that is not before it.
    #[error("step {} comes after step {}, which is not before it", .step.0 + 1, .after.0 + 1)]
    Order {
        /// The step.
        step: StepId,
        /// What it comes after.
        after: StepId,
    },
    /// A unit waits for another one after it has begun, which can lock up a run with limited concurrency.
    #[error("step {} waits for another unit after its own unit has begun", .0.0 + 1)]
    LateWait(StepId),
    /// A container is made without its image being on the ship, or being pulled before.
    #[error("step {} creates a container whose image is not there", .0.0 + 1)]
    NoImage(StepId),
    /// A container is stopped or removed, and its replacement's image is not there yet.
    #[error("step {} takes a container away before its replacement's image is there", .0.0 + 1)]
    TooEarly(StepId),
    /// A step acts on a ship that cannot be seen.
    #[error("step {} acts on a ship that cannot be seen", .0.0 + 1)]
    Blind(StepId),
    /// A container is made while another of its name stands.
    #[error("step {} creates a container whose name is taken", .0.0 + 1)]
    NameTaken(StepId),
    /// A step belongs to no instance's row and to no milestone or login.
    #[error("step {} belongs to no instance", .0.0 + 1)]
    Lost(StepId),
}

/// Looks for defects.
pub fn lint(plan: &Plan, fleet: &FleetSnapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut begun: BTreeSet<UnitId> = BTreeSet::new();
    let mut rows: BTreeSet<StepId> = BTreeSet::new();
    for item in &plan.items {
        if let Fate::Act { steps, .. } = &item.fate {
            rows.extend(steps);
        }
    }
    let chains = chains(plan);
    for (id, step) in plan.ids().zip(&plan.steps) {
        for after in &step.after {
            if *after >= id {
                findings.push(Finding::Order { step: id, after: *after });
            }
        }
        let foreign = step.after.iter().filter_map(|a| plan.step(*a)).any(|before| before.unit != step.unit);
        let own = step.after.iter().filter_map(|a| plan.step(*a)).any(|before| before.unit == step.unit);
        if begun.contains(&step.unit) && foreign && own {
            findings.push(Finding::LateWait(id));
        }
        begun.insert(step.unit);
        let unit = plan.units.get(step.unit.index());
        if !rows.contains(&id) && matches!(unit, Some(Unit::Instance { .. } | Unit::Image { .. })) {
            findings.push(Finding::Lost(id));
        }
        let visible = unit
            .and_then(Unit::ship)
            .is_none_or(|ship| matches!(fleet.ship(ship), Some(ShipView::Reachable(_))));
        if !visible {
            findings.push(Finding::Blind(id));
        }
    }
    for chain in chains.values() {
        chain.lint(plan, fleet, &mut findings);
    }
    findings
}

/// The steps of one instance, shared ones included.
struct InstanceChain<'a> {
    item: &'a crate::plan::Item,
    steps: &'a [StepId],
}

fn chains(plan: &Plan) -> BTreeMap<&str, InstanceChain<'_>> {
    plan.items
        .iter()
        .filter_map(|item| match &item.fate {
            Fate::Act { steps, .. } => Some((item.instance.as_str(), InstanceChain { item, steps })),
            Fate::Settled(_) | Fate::Blocked(_) => None,
        })
        .collect()
}

impl InstanceChain<'_> {
    fn lint(&self, plan: &Plan, fleet: &FleetSnapshot, findings: &mut Vec<Finding>) {
        let calls = || {
            self.steps.iter().filter_map(|id| match &plan.step(*id)?.action {
                Action::Call(call) => Some((*id, call)),
                _ => None,
            })
        };
        let creates = calls().find(|(_, call)| matches!(call, EngineCall::CreateContainer { .. }));
        let mut has_image = match fleet.ship(&self.item.ship) {
            Some(ShipView::Reachable(state)) => state.image(&self.item.image).is_some(),
            Some(ShipView::Unreachable(_)) | None => false,
        };
        let mut stands = self.item.container.is_some();
        for (id, call) in calls() {
            match call {
                EngineCall::PullImage { image, .. } => has_image |= *image == self.item.image,
                EngineCall::CreateContainer { .. } => {
                    if !has_image {
                        findings.push(Finding::NoImage(id));
                    }
                    if stands {
                        findings.push(Finding::NameTaken(id));
                    }
                    stands = true;
                }
                EngineCall::StopContainer { .. } | EngineCall::KillContainer { .. } => {
                    if creates.is_some() && !has_image {
                        findings.push(Finding::TooEarly(id));
                    }
                }
                EngineCall::RemoveContainer { target } => {
                    if creates.is_some() && !has_image {
                        findings.push(Finding::TooEarly(id));
                    }
                    if matches!(target, Target::Seen { .. }) {
                        stands = false;
                    }
                }
                EngineCall::Login { .. } | EngineCall::StartContainer { .. } => {}
            }
        }
    }
}
