//! What is remembered of a run while it is shown: what failed, and whether anything has been changed.

use maestro_core::event::{Event, Failure, Reporter, StepOutcome};
use maestro_core::model::Phase;
use maestro_core::names::ServiceName;
use maestro_core::plan::{Action, Condition, Plan, StepId, Target, Unit};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The container that a step wanted to see running.
pub(super) fn started(action: &Action) -> Option<&Target> {
    match action {
        Action::Await { target, condition: Condition::Running | Condition::Steady, .. } => Some(target),
        Action::Check { target, phase: Phase::Running, .. } => Some(target),
        Action::Await { .. }
        | Action::Check { .. }
        | Action::Call(_)
        | Action::Delay { .. }
        | Action::Route { .. }
        | Action::Provide { .. }
        | Action::Finish { .. }
        | Action::Local { .. }
        | Action::Reached => None,
    }
}

/// The container whose output may tell why a step failed.
pub(super) fn spoke(action: &Action) -> Option<&Target> {
    match action {
        Action::Finish { target, .. } => Some(target),
        other => started(other),
    }
}

/// Passes events on, and remembers what went wrong.
pub(super) struct Watching {
    pub(super) inner: Box<dyn Reporter>,
    /// Whether a success is not the end, and the document is still to come.
    pub(super) untold: bool,
    /// Steps that failed in a way that the container's output may explain.
    pub(super) unwell: Vec<StepId>,
    /// Services of which something failed.
    pub(super) failed: BTreeSet<ServiceName>,
    pub(super) plan: Arc<Plan>,
    /// Whether a container has been changed, or may have been.
    pub(super) touched: bool,
    /// Whether the lease was lost.
    pub(super) fenced: bool,
}

impl Watching {
    fn ended(&mut self, step: StepId, outcome: &StepOutcome) {
        let action = self.plan.step(step).map(|step| &step.action);
        let changes = match action {
            Some(Action::Call(call)) => call.container().is_some(),
            // A program that was run may have done anything.
            Some(Action::Route { .. } | Action::Finish { .. } | Action::Local { .. }) => true,
            _ => false,
        };
        match outcome {
            StepOutcome::Done(_) => self.touched |= changes,
            StepOutcome::Failed(failure) => {
                self.fenced |= matches!(failure, Failure::Fenced(_));
                // Of what a balancer is told in several calls, some have been made.
                let in_part = matches!(action, Some(Action::Route { .. }));
                self.touched |= changes && (in_part || may_have_happened(failure));
                if matches!(
                    failure,
                    Failure::NotReached { .. }
                        | Failure::NotKept { .. }
                        | Failure::Check(_)
                        | Failure::Hook { .. }
                ) {
                    self.unwell.push(step);
                }
                match self.plan.unit_of(step) {
                    // What is not to be there any more has a service, too.
                    Some(Unit::Instance { instance, .. }) => {
                        let items = self.plan.items.iter().filter(|item| item.instance == *instance);
                        self.failed.extend(items.map(|item| item.service.clone()));
                    }
                    Some(Unit::Hook { hook, .. }) => _ = self.failed.insert(hook.service.clone()),
                    Some(Unit::Image { .. } | Unit::Login { .. } | Unit::Milestone(_)) | None => {}
                }
            }
        }
    }
}

/// Whether what failed may be done all the same.
fn may_have_happened(failure: &Failure) -> bool {
    match failure {
        Failure::Engine(error) => error.ambiguous,
        Failure::Interrupted | Failure::Unbalanced(_) | Failure::Hook { .. } => true,
        _ => false,
    }
}

impl Reporter for Watching {
    fn event(&mut self, event: &Event) {
        if let Event::StepFinished { step, outcome, .. } = event {
            self.ended(*step, outcome);
        }
        if self.untold && matches!(event, Event::RunFinished { summary } if summary.is_success()) {
            return;
        }
        self.inner.event(event);
    }
}
