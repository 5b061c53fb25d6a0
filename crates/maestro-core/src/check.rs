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
    // What the first step of each unit comes after: nothing else of other units may hold up the steps behind it.
    let mut begun: BTreeMap<UnitId, &[StepId]> = BTreeMap::new();
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
        let awaited = *begun.entry(step.unit).or_insert(&step.after);
        let foreign = |before: &StepId| plan.step(*before).is_some_and(|before| before.unit != step.unit);
        if step.after != awaited
            && step.after.iter().any(|before| foreign(before) && !awaited.contains(before))
        {
            findings.push(Finding::LateWait(id));
        }
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

/// What is certain when a step begins, whatever runs at the same time: what the steps that it comes after have done.
#[derive(Clone, Copy, Default)]
struct Certain {
    /// The image of the instance's container is on the ship.
    image: bool,
    /// The container that was seen is gone.
    gone: bool,
}

impl InstanceChain<'_> {
    fn lint(&self, plan: &Plan, fleet: &FleetSnapshot, findings: &mut Vec<Finding>) {
        let call = |id: StepId| match &plan.step(id)?.action {
            Action::Call(call) => Some(call),
            _ => None,
        };
        let replaced =
            self.steps.iter().any(|id| matches!(call(*id), Some(EngineCall::CreateContainer { .. })));
        let at_first = Certain {
            image: match fleet.ship(&self.item.ship) {
                Some(ShipView::Reachable(state)) => state.image(&self.item.image).is_some(),
                Some(ShipView::Unreachable(_)) | None => false,
            },
            gone: self.item.container.is_none(),
        };
        let mut made = false;
        let mut after: BTreeMap<StepId, Certain> = BTreeMap::new();
        // In the order of the plan, whatever the order of the row.
        for id in self.steps.iter().copied().collect::<BTreeSet<_>>() {
            let behind = plan.step(id).into_iter().flat_map(|step| &step.after);
            let mut certain = behind.filter_map(|before| after.get(before)).fold(at_first, |all, one| {
                Certain { image: all.image || one.image, gone: all.gone || one.gone }
            });
            match call(id) {
                Some(EngineCall::PullImage { image, .. }) => certain.image |= *image == self.item.image,
                Some(EngineCall::CreateContainer { .. }) => {
                    if !certain.image {
                        findings.push(Finding::NoImage(id));
                    }
                    if made || !certain.gone {
                        findings.push(Finding::NameTaken(id));
                    }
                    made = true;
                }
                Some(EngineCall::StopContainer { .. } | EngineCall::KillContainer { .. }) => {
                    if replaced && !certain.image {
                        findings.push(Finding::TooEarly(id));
                    }
                }
                // What makes way is no longer in it; what comes back takes the name.
                Some(EngineCall::RenameContainer { to, .. })
                    if to.as_str() != self.item.instance.as_str() =>
                {
                    certain.gone = true;
                }
                Some(EngineCall::RenameContainer { .. }) => {
                    if made || !certain.gone {
                        findings.push(Finding::NameTaken(id));
                    }
                    made = true;
                }
                Some(EngineCall::RemoveContainer { target }) => {
                    if replaced && !certain.image {
                        findings.push(Finding::TooEarly(id));
                    }
                    certain.gone |= matches!(target, Target::Seen { .. });
                }
                Some(EngineCall::Login { .. } | EngineCall::StartContainer { .. }) | None => {}
            }
            after.insert(id, certain);
        }
    }
}
