//! Containers that are stopped for good stay so when their engine starts anew: engines start all whose restart policy is
//! `always`, whoever has stopped them. Whoever is taken back gets his policy again.

use crate::compare::Change;
use crate::fleet::ObservedContainer;
use crate::model::{Instance, RestartPolicy};
use crate::plan::{EngineCall, OnFailure, Target};
use crate::planner::Chain;
use crate::planner::builder::Builder;

/// How the attribute is called in which such a container differs.
const RESTART: &str = "restart";

/// A container that is stopped for good is not to be started by its engine. `likely` is its policy where that was not
/// asked for, if anything is known of it.
pub(super) fn rest(
    builder: &mut Builder<'_>,
    chain: &mut Chain,
    (container, target): (&ObservedContainer, &Target),
    likely: Option<&RestartPolicy>,
) {
    let never = RestartPolicy::default();
    if of(container).or(likely) != Some(&never) {
        let call = EngineCall::SetRestart { target: target.clone(), restart: never };
        builder.call(chain, call, OnFailure::Fail);
    }
}

/// A container that is about to be started again, or was about to be stopped for good and runs on, has the policy that its
/// instance is to have.
pub(super) fn wake(
    builder: &mut Builder<'_>,
    chain: &mut Chain,
    (container, target): (&ObservedContainer, &Target),
    instance: &Instance,
) {
    let restart = &instance.settings.restart;
    // What is only known to run has not been told to rest.
    let likely = if container.state.is_awake() { restart } else { &RestartPolicy::default() };
    if of(container).unwrap_or(likely) != restart {
        let call = EngineCall::SetRestart { target: target.clone(), restart: restart.clone() };
        builder.call(chain, call, OnFailure::Fail);
    }
}

/// Whether a difference is none in a container that does not run: it is seen to before it is started.
pub(super) fn is_seen_to(attribute: &str) -> bool {
    attribute == RESTART
}

/// Whether a container only differs in that it has been told to stay stopped: who was about to stop it was broken off.
pub(super) fn was_about_to_rest(container: &ObservedContainer, changes: &[Change]) -> bool {
    of(container) == Some(&RestartPolicy::default())
        && matches!(changes, [only] if is_seen_to(&only.attribute))
}

fn of(container: &ObservedContainer) -> Option<&RestartPolicy> {
    container.configuration.as_ref().map(|configuration| &configuration.restart)
}
