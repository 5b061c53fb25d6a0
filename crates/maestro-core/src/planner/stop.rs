//! Stopping, killing and removing a container (specification, section 6.5, stop, kill, clean).

use super::Chain;
use super::builder::Builder;
use super::start::SETTLE;
use crate::fleet::ObservedContainer;
use crate::model::{Instance, Phase};
use crate::plan::{Action, Condition, EngineCall, OnFailure, Target};
use std::time::Duration;

/// From a container that runs to one that does not. What fails here is reported and fails nothing else.
pub(super) fn steps<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    container: &ObservedContainer,
    kill: bool,
) {
    let target = Target::Seen { id: container.id.clone(), name: instance.name.clone() };
    let call = if kill {
        EngineCall::KillContainer { target: target.clone() }
    } else {
        builder.checks(chain, instance, Phase::PreStop, &target, Condition::Running, OnFailure::Tolerate);
        EngineCall::StopContainer { target: target.clone(), grace: instance.stop_timeout }
    };
    builder.call(chain, call, OnFailure::Tolerate);
    let wait = Action::Await {
        target: target.clone(),
        condition: Condition::NotRunning,
        steady: Duration::ZERO,
        within: SETTLE,
    };
    builder.push(chain, wait, OnFailure::Tolerate);
    builder.checks(chain, instance, Phase::Stopped, &target, Condition::NotRunning, OnFailure::Tolerate);
}

/// Removes a container that does not run, with its anonymous volumes.
pub(super) fn remove<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    container: &ObservedContainer,
) {
    let target = Target::Seen { id: container.id.clone(), name: instance.name.clone() };
    builder.call(chain, EngineCall::RemoveContainer { target }, OnFailure::Fail);
}
