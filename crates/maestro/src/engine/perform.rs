//! The calls that change a ship.

use super::docker::DockerEngine;
use super::wire::Call;
use super::{classify, convert};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptionsBuilder,
};
use maestro_core::boundary::{CallOutcome, Deadlines, Progress};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::model::ContainerSpec;
use maestro_core::names::ContainerId;
use maestro_core::plan::EngineCall;
use std::sync::Arc;

/// A call as people say it.
fn operation(call: &EngineCall) -> String {
    match call {
        EngineCall::Login { auth, .. } => format!("logging in to {} as {}", auth.url, auth.username),
        EngineCall::PullImage { image, .. } => format!("pulling {image}"),
        EngineCall::CreateContainer { spec, .. } => format!("creating container {}", spec.name),
        EngineCall::StartContainer { target } => format!("starting container {}", target.name()),
        EngineCall::StopContainer { target, .. } => format!("stopping container {}", target.name()),
        EngineCall::KillContainer { target } => format!("killing container {}", target.name()),
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
        clock: &Arc<Call>,
        deadlines: Deadlines,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<CallOutcome, EngineErrorKind> {
        let wire = self.wire()?;
        let docker = wire.docker(clock);
        match call {
            EngineCall::Login { auth, retry: _ } => self.log_in(clock, auth).await,
            EngineCall::PullImage { image, auth, retry: _ } => {
                self.pull(clock, deadlines.idle, image, auth.as_ref(), progress).await
            }
            EngineCall::CreateContainer { spec, hash: _ } => self.create(clock, spec).await,
            EngineCall::StartContainer { target } => {
                let start = docker.start_container(target.reference(), None::<StartContainerOptions>);
                done(wire.within(clock, bollard(start)).await)
            }
            EngineCall::StopContainer { target, grace } => {
                let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
                let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
                let options = StopContainerOptionsBuilder::default().t(seconds).build();
                done(
                    wire.within(clock, bollard(docker.stop_container(target.reference(), Some(options))))
                        .await,
                )
            }
            EngineCall::KillContainer { target } => {
                let kill = docker.kill_container(target.reference(), None::<KillContainerOptions>);
                match wire.within(clock, bollard(kill)).await {
                    // Engines refuse to kill what does not run: with 409, before API 1.25 with 500.
                    Err(
                        EngineErrorKind::Conflict(message) | EngineErrorKind::Api { status: 500, message },
                    ) if message.contains("is not running") => Ok(CallOutcome::Already),
                    result => done(result),
                }
            }
            EngineCall::RemoveContainer { target } => {
                let options = RemoveContainerOptionsBuilder::default().v(true).force(false).build();
                let remove = docker.remove_container(target.reference(), Some(options));
                match wire.within(clock, bollard(remove)).await {
                    Err(EngineErrorKind::NotFound(_)) => Ok(CallOutcome::Already),
                    result => done(result),
                }
            }
        }
    }

    async fn create(&self, clock: &Arc<Call>, spec: &ContainerSpec) -> Result<CallOutcome, EngineErrorKind> {
        let wire = self.wire()?;
        let options = CreateContainerOptionsBuilder::default().name(spec.name.as_str()).build();
        let create = wire.docker(clock);
        let create = create.create_container(Some(options), convert::create_body(spec));
        let created = wire.within(clock, bollard(create)).await?;
        Ok(CallOutcome::Created(ContainerId::new(created.id)))
    }
}

/// Whether a call that was sent may have been carried out although this came back.
fn may_have_happened(call: &EngineCall, error: &EngineErrorKind) -> bool {
    match (call, error) {
        // Asking a registry changes nothing that could be half done.
        (EngineCall::Login { .. }, _) => false,
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

async fn bollard<T>(
    call: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, EngineErrorKind> {
    call.await.map_err(|error| classify::bollard(&error))
}

/// 304 says that there was nothing to do.
fn done(result: Result<(), EngineErrorKind>) -> Result<CallOutcome, EngineErrorKind> {
    match result {
        Ok(()) => Ok(CallOutcome::Done),
        Err(EngineErrorKind::Api { status: 304, .. }) => Ok(CallOutcome::Already),
        Err(error) => Err(error),
    }
}
