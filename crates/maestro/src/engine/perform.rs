//! The calls that change a ship.

use super::convert;
use super::docker::DockerEngine;
use super::wire::{Call, encoded, json};
use bollard_stubs::models::ContainerCreateResponse;
use http::{Method, Request};
use maestro_core::boundary::{CallOutcome, Deadlines, Progress};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::model::ContainerSpec;
use maestro_core::names::ContainerId;
use maestro_core::plan::EngineCall;
use serde_json::json;

/// A call as people say it.
fn operation(call: &EngineCall) -> String {
    match call {
        EngineCall::Login { auth, .. } => format!("logging in to {} as {}", auth.url, auth.username),
        EngineCall::PullImage { image, .. } => format!("pulling {image}"),
        EngineCall::RemoveImage { image } => format!("removing {image}"),
        EngineCall::CreateContainer { spec, .. } => format!("creating container {}", spec.name),
        EngineCall::StartContainer { target } => format!("starting container {}", target.name()),
        EngineCall::StopContainer { target, .. } => format!("stopping container {}", target.name()),
        EngineCall::KillContainer { target } => format!("killing container {}", target.name()),
        EngineCall::RenameContainer { target, to } => {
            format!("renaming container {} to {to}", target.name())
        }
        EngineCall::SetRestart { target, .. } => format!("updating container {}", target.name()),
        EngineCall::RemoveContainer { target } => format!("removing container {}", target.name()),
    }
}

impl DockerEngine {
    /// Makes one call, once.
    pub(super) async fn change(
        &self,
        call: &EngineCall,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<CallOutcome, EngineError> {
        let deadlines = Deadlines::perform(call, self.ship.timeout);
        let version = match self.version().await {
            Ok(version) => version,
            Err(kind) => return Err(self.failed(operation(call), kind, false)),
        };
        let clock = Call::new(Some(version.api), deadlines.total);
        match self.make(call, &clock, deadlines, progress).await {
            Ok(outcome) => Ok(outcome),
            Err(kind) => {
                let ambiguous = may_have_happened(call, &kind) && clock.was_sent();
                Err(self.failed(operation(call), kind, ambiguous))
            }
        }
    }

    async fn make(
        &self,
        call: &EngineCall,
        clock: &Call,
        deadlines: Deadlines,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<CallOutcome, EngineErrorKind> {
        match call {
            EngineCall::Login { auth, retry: _ } => self.log_in(clock, auth).await,
            EngineCall::PullImage { image, auth, retry: _ } => {
                self.pull(clock, deadlines.idle, image, auth.as_ref(), progress).await
            }
            EngineCall::RemoveImage { image } => {
                let delete = Request::builder().method(Method::DELETE);
                match self.wire.send(clock, delete, &format!("/images/{}", encoded(image.as_str())), "").await
                {
                    Err(EngineErrorKind::NotFound(_)) => Ok(CallOutcome::Already),
                    result => done(result.map(drop)),
                }
            }
            EngineCall::CreateContainer { spec, hash: _ } => self.create(clock, spec).await,
            EngineCall::StartContainer { target } => {
                done(self.post(clock, format!("/containers/{}/start", encoded(target.reference()))).await)
            }
            EngineCall::StopContainer { target, grace } => {
                let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
                // Engines read it as a number of 32 bits with a sign.
                let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
                let path = format!("/containers/{}/stop?t={seconds}", encoded(target.reference()));
                // The container may take its time, the engine may not.
                done(self.liveness.watch(self.post(clock, path)).await)
            }
            EngineCall::KillContainer { target } => {
                match self.post(clock, format!("/containers/{}/kill", encoded(target.reference()))).await {
                    // Engines refuse to kill what does not run: with 409, before API 1.25 with 500.
                    Err(
                        EngineErrorKind::Conflict(message) | EngineErrorKind::Api { status: 500, message },
                    ) if message.contains("is not running") => Ok(CallOutcome::Already),
                    result => done(result),
                }
            }
            EngineCall::RenameContainer { target, to } => {
                let name = encoded(to.as_str());
                self.post(clock, format!("/containers/{}/rename?name={name}", encoded(target.reference())))
                    .await?;
                Ok(CallOutcome::Done)
            }
            EngineCall::SetRestart { target, restart } => {
                let policy = json!({ "Name": &*restart.name, "MaximumRetryCount": restart.retries });
                let path = format!("/containers/{}/update", encoded(target.reference()));
                self.wire.post(clock, &path, json(&json!({ "RestartPolicy": policy }))?).await?;
                Ok(CallOutcome::Done)
            }
            EngineCall::RemoveContainer { target } => {
                let delete = Request::builder().method(Method::DELETE);
                let path = format!("/containers/{}?v=true&force=false", encoded(target.reference()));
                match self.wire.send(clock, delete, &path, "").await {
                    Err(EngineErrorKind::NotFound(_)) => Ok(CallOutcome::Already),
                    result => done(result.map(drop)),
                }
            }
        }
    }

    async fn create(&self, clock: &Call, spec: &ContainerSpec) -> Result<CallOutcome, EngineErrorKind> {
        let path = format!("/containers/create?name={}", encoded(spec.name.as_str()));
        let body = json(&convert::create_body(spec))?;
        let created = self.wire.post(clock, &path, body).await?;
        let created: ContainerCreateResponse = self.wire.decode(clock, created).await?;
        Ok(CallOutcome::Created(ContainerId::new(created.id)))
    }

    /// A request that is all in its path.
    async fn post(&self, clock: &Call, path: String) -> Result<(), EngineErrorKind> {
        self.wire.post(clock, &path, Vec::new()).await.map(drop)
    }
}

/// Whether a call that was sent may have been carried out although this came back.
fn may_have_happened(call: &EngineCall, error: &EngineErrorKind) -> bool {
    match (call, error) {
        // Asking a registry changes nothing that could be half done.
        (EngineCall::Login { .. } | EngineCall::PullImage { .. }, _) => false,
        (
            _,
            EngineErrorKind::Lost(_) | EngineErrorKind::Unresponsive { .. } | EngineErrorKind::Protocol(_),
        ) => true,
        // A proxy before the engine gave up waiting for it.
        (_, EngineErrorKind::Api { status: 502 | 504, .. }) => true,
        // The engine gave up in the middle: the container may be there.
        (EngineCall::CreateContainer { .. }, EngineErrorKind::Api { status: 500.., .. }) => true,
        _ => false,
    }
}

/// 304 says that there was nothing to do.
fn done(result: Result<(), EngineErrorKind>) -> Result<CallOutcome, EngineErrorKind> {
    match result {
        Ok(()) => Ok(CallOutcome::Done),
        Err(EngineErrorKind::Api { status: 304, .. }) => Ok(CallOutcome::Already),
        Err(error) => Err(error),
    }
}
