//! What to do when a call that changes a ship failed: give up, try again, or look whether it happened after all.

use crate::boundary::CallOutcome;
use crate::engine_error::{EngineError, EngineErrorKind};
use crate::fleet::{ContainerState, EngineState, ObservedContainer};
use crate::model::{LABEL_CONFIG, LABEL_INSTANCE, LABEL_RUN, Retry};
use crate::plan::{EngineCall, Target};
use std::time::Duration;

/// Tries of a call to an engine, where no registry says otherwise.
const ENGINE_ATTEMPTS: u32 = 3;
/// Pause before the second try; doubled before each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, whoever asks for it.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What follows a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it has failed.
    GiveUp,
    /// The same call after a pause. If it may have happened already, [`settled`] has to be asked first.
    Retry {
        /// The pause.
        pause: Duration,
    },
    /// It may have happened: only [`settled`] can tell. It is not tried again.
    Look,
}

/// Decides after try number `attempt`, counted from 1.
pub fn next(call: &EngineCall, error: &EngineError, attempt: u32) -> Next {
    let (attempts, worth_it) = match call {
        EngineCall::Login { retry, .. } | EngineCall::PullImage { retry, .. } => {
            (retry.attempts, error.kind.is_transient() || is_listed(retry, &error.kind))
        }
        EngineCall::RemoveImage { .. }
        | EngineCall::CreateContainer { .. }
        | EngineCall::StartContainer { .. }
        | EngineCall::StopContainer { .. }
        | EngineCall::KillContainer { .. }
        | EngineCall::RenameContainer { .. }
        | EngineCall::SetRestart { .. }
        | EngineCall::RemoveContainer { .. } => (ENGINE_ATTEMPTS, error.kind.is_transient()),
    };
    if worth_it && attempt < attempts {
        return Next::Retry { pause: pause(error, attempt) };
    }
    if error.ambiguous { Next::Look } else { Next::GiveUp }
}

fn is_listed(retry: &Retry, kind: &EngineErrorKind) -> bool {
    match kind {
        // Old files list what engines of their time answered, whatever the registry had said to them.
        EngineErrorKind::Registry { status, answered, .. } => {
            status.iter().chain(answered).any(|status| retry.when.contains(status))
        }
        EngineErrorKind::Api { status, .. } => retry.when.contains(status),
        EngineErrorKind::Unauthorized { answered, .. } => {
            [401, 403].iter().chain(answered).any(|status| retry.when.contains(status))
        }
        EngineErrorKind::NotFound(_) => retry.when.contains(&404),
        _ => false,
    }
}

/// What the registry asks for, else twice as long each time.
fn pause(error: &EngineError, attempt: u32) -> Duration {
    let asked = match &error.kind {
        EngineErrorKind::Registry { retry_after, .. } => *retry_after,
        _ => None,
    };
    asked.unwrap_or_else(|| FIRST_PAUSE * 2_u32.saturating_pow((attempt - 1).min(16))).min(LONGEST_PAUSE)
}

/// Whether an engine shows that a call has happened: the outcome that it should have reported.
///
/// A container counts as made by this call if it bears the fingerprint that the call asked for.
pub fn settled(call: &EngineCall, state: &EngineState) -> Option<CallOutcome> {
    match call {
        EngineCall::Login { .. }
        | EngineCall::PullImage { .. }
        | EngineCall::RemoveImage { .. }
        | EngineCall::SetRestart { .. } => None,
        EngineCall::CreateContainer { spec, hash } => {
            let found = state.containers.get(spec.name.as_str())?;
            let ours = found.labels.get(LABEL_CONFIG).is_some_and(|label| *label == hash.0);
            (ours && !found.state.is_running()).then(|| CallOutcome::Created(found.id.clone()))
        }
        EngineCall::StartContainer { target } => {
            // What is run once may have ended since.
            let has_started = |c: &ObservedContainer| {
                c.state.is_running() || c.labels.contains_key(LABEL_RUN) && c.state != ContainerState::Created
            };
            target.among(state).is_some_and(has_started).then_some(CallOutcome::Done)
        }
        EngineCall::StopContainer { target, .. } | EngineCall::KillContainer { target } => {
            target.among(state).is_none_or(|c| !c.state.is_running()).then_some(CallOutcome::Done)
        }
        EngineCall::RenameContainer { target, to } => {
            let found = state.containers.get(to.as_str());
            let is_it = |container: &ObservedContainer| match target {
                Target::Seen { id, .. } => container.id == *id,
                // The name was free, and the label says for whom it was made.
                Target::Made(_) => {
                    container.labels.get(LABEL_INSTANCE).is_some_and(|label| *label == to.as_str())
                }
            };
            found.is_some_and(is_it).then_some(CallOutcome::Done)
        }
        EngineCall::RemoveContainer { target } => target.among(state).is_none().then_some(CallOutcome::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageRef;
    use crate::names::{ContainerId, InstanceName, ShipName};

    fn pull(attempts: u32, when: &[u16]) -> EngineCall {
        let retry = Retry { attempts, when: when.iter().copied().collect() };
        EngineCall::PullImage { image: ImageRef::parse("x"), auth: None, retry }
    }

    fn error(kind: EngineErrorKind, ambiguous: bool) -> EngineError {
        EngineError { ship: ShipName::from("a"), operation: "x".into(), kind, ambiguous }
    }

    fn registry(status: u16, retry_after: Option<u64>) -> EngineError {
        let retry_after = retry_after.map(Duration::from_secs);
        let message = String::new();
        error(EngineErrorKind::Registry { message, status: Some(status), answered: None, retry_after }, false)
    }

    #[test]
    fn pulls_are_tried_as_often_as_the_registry_says() {
        let seconds = |s| Next::Retry { pause: Duration::from_secs(s) };
        assert_eq!(next(&pull(3, &[]), &registry(503, None), 1), seconds(1));
        assert_eq!(next(&pull(3, &[]), &registry(503, None), 2), seconds(2));
        assert_eq!(next(&pull(3, &[]), &registry(503, None), 3), Next::GiveUp);
        assert_eq!(next(&pull(3, &[]), &registry(429, Some(7)), 1), seconds(7));
        assert_eq!(next(&pull(3, &[]), &registry(429, Some(9999)), 1), seconds(60));
        assert_eq!(next(&pull(3, &[]), &registry(418, None), 1), Next::GiveUp);
        assert_eq!(next(&pull(3, &[418]), &registry(418, None), 1), seconds(1));
        let unreachable = |why: &str| {
            let message = format!("Get \"http://reg:5000/v2/\": dial tcp: {why}");
            let answered = Some(500);
            error(EngineErrorKind::Registry { message, status: None, answered, retry_after: None }, false)
        };
        assert_eq!(next(&pull(3, &[]), &unreachable("connection refused"), 2), seconds(2));
        assert_eq!(next(&pull(3, &[]), &unreachable("connection refused"), 3), Next::GiveUp);
        assert_eq!(next(&pull(3, &[]), &unreachable("lookup reg: no such host"), 1), Next::GiveUp);
        // What the engine answered counts where the file lists it, and only there.
        assert_eq!(next(&pull(2, &[500]), &unreachable("lookup reg: no such host"), 1), seconds(1));
        assert_eq!(next(&pull(2, &[500]), &unreachable("lookup reg: no such host"), 2), Next::GiveUp);
    }

    /// Engines of the time of old files answered 500 when a registry wanted a login.
    #[test]
    fn a_refused_login_is_tried_again_where_the_file_lists_what_was_answered() {
        let refused = |answered| {
            error(EngineErrorKind::Unauthorized { message: "unauthorized".into(), answered }, false)
        };
        let again = Next::Retry { pause: FIRST_PAUSE };
        for (when, answered, expected) in [
            (&[500][..], Some(500), again),
            (&[500], Some(401), Next::GiveUp),
            (&[500], None, Next::GiveUp),
            (&[401], Some(500), again),
            (&[403], None, again),
            (&[], Some(500), Next::GiveUp),
        ] {
            assert_eq!(next(&pull(2, when), &refused(answered), 1), expected, "{when:?} {answered:?}");
        }
    }

    #[test]
    fn what_may_have_happened_is_looked_at() {
        let target = Target::Seen { id: ContainerId::from("i"), name: InstanceName::from("x-1") };
        let stop = EngineCall::StopContainer { target, grace: Duration::ZERO };
        let hung = EngineErrorKind::Unresponsive { address: String::new(), after: Duration::ZERO };
        assert_eq!(next(&stop, &error(hung.clone(), true), 1), Next::Look);
        assert_eq!(next(&stop, &error(hung, false), 1), Next::GiveUp);
        let lost = EngineErrorKind::Lost(String::new());
        assert_eq!(next(&stop, &error(lost, true), 1), Next::Retry { pause: FIRST_PAUSE });
    }
}
