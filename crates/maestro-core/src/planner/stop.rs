//! Stopping, killing and removing a container (specification, section 6.5, stop, kill, clean).

use super::Chain;
use super::builder::Builder;
use super::start::SETTLE;
use crate::fleet::ObservedContainer;
use crate::model::{Instance, Phase};
use crate::names::InstanceName;
use crate::plan::{Action, Condition, EngineCall, OnFailure, Target};
use std::time::Duration;

/// Why a container is stopped, which says what a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is to be down. What fails is reported and fails nothing else.
    Stop,
    /// The same, without asking.
    Kill,
    /// It is to be started again: one that refuses to stop is left as it is, one that has stopped is started.
    Restart,
    /// Another one takes its place: one that refuses to stop stays, and nothing takes its place.
    Replace,
    /// It was never to stay: whatever its checks say, it goes.
    Discard,
    /// It is frozen, so none of its checks could answer, and is started again or makes way.
    Thaw,
}

/// From a container that runs to one that does not.
pub(super) fn steps<'a>(
    builder: &mut Builder<'a>,
    chain: &mut Chain,
    instance: &'a Instance,
    container: &ObservedContainer,
    purpose: Purpose,
) {
    let (refusal, aftermath) = match purpose {
        Purpose::Stop | Purpose::Kill => (OnFailure::Tolerate, OnFailure::Tolerate),
        Purpose::Restart => (OnFailure::TolerateIfRunning, OnFailure::GoOn),
        Purpose::Replace | Purpose::Discard | Purpose::Thaw => (OnFailure::Fail, OnFailure::GoOn),
    };
    let asked = if purpose == Purpose::Discard { OnFailure::GoOn } else { refusal };
    // One that was to take the instance's place has a name of its own.
    let name = InstanceName::from(&*container.name);
    let target = Target::Seen { id: container.id.clone(), name };
    let call = if purpose == Purpose::Kill {
        EngineCall::KillContainer { target: target.clone() }
    } else {
        if purpose != Purpose::Thaw {
            builder.checks(chain, instance, Phase::PreStop, &target, Condition::Running, asked);
        }
        EngineCall::StopContainer { target: target.clone(), grace: instance.stop_timeout }
    };
    builder.call(chain, call, refusal);
    let wait = Action::Await {
        target: target.clone(),
        condition: Condition::NotRunning,
        steady: Duration::ZERO,
        within: SETTLE,
    };
    builder.push(chain, wait, refusal);
    builder.checks(chain, instance, Phase::Stopped, &target, Condition::NotRunning, aftermath);
}

/// Removes a container that does not run, with its anonymous volumes.
pub(super) fn remove(builder: &mut Builder<'_>, chain: &mut Chain, container: &ObservedContainer) {
    let target = Target::Seen { id: container.id.clone(), name: InstanceName::from(&*container.name) };
    builder.call(chain, EngineCall::RemoveContainer { target }, OnFailure::Fail);
}
