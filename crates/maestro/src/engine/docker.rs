//! The engine of one ship.

use super::connect::Dialer;
use super::lazily::Lazily;
use super::liveness::Liveness;
use super::version::{Negotiated, VersionAnswer, negotiate, settled};
use super::wire::{Call, Wire};
use super::{EngineOptions, Shared};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use maestro_core::boundary::{
    AttachOptions, CallOutcome, Deadlines, Engine, EngineEvents, Examination, ExecSession, LogLine,
    LogOptions, Progress, RegistryImage, Scope,
};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::{EngineState, HostFacts};
use maestro_core::image::ImageRef;
use maestro_core::model::Ship;
use maestro_core::names::ShipName;
use maestro_core::plan::{EngineCall, RegistryAuth, Target};
use std::sync::Arc;
use std::time::Duration;

/// A Docker Engine at the other end of a connection.
///
/// Nothing is opened before the first call. Calls that wait at the same time for a connection or for the engine's
/// version share one attempt, and how it ends.
pub struct DockerEngine {
    pub(super) ship: Ship,
    pub(super) shared: Shared,
    pub(super) wire: Wire,
    pub(super) liveness: Arc<Liveness>,
    version: Lazily<Arc<Negotiated>>,
}

impl DockerEngine {
    /// The engine of a ship that shares nothing with others; see [`super::engines`] for many.
    pub fn new(ship: Ship, options: EngineOptions) -> Self {
        Self::sharing(ship, &Shared::new(options))
    }

    pub(super) fn sharing(ship: Ship, shared: &Shared) -> Self {
        let reading = Deadlines::read(ship.timeout);
        let wire = Wire::new(Dialer::new(&ship, shared, reading.connect));
        let liveness = Liveness::new(wire.clone(), reading.total);
        Self { ship, shared: shared.clone(), wire, liveness, version: Lazily::default() }
    }

    /// Who the engine is and which version to speak, asked when it is needed first.
    pub(super) async fn version(&self) -> Result<Arc<Negotiated>, EngineErrorKind> {
        self.version
            .get(async || {
                let call = Call::new(None, self.reading());
                // With a ceiling a ping does not settle it; who does not answer one may answer the question itself.
                if self.ship.api_version.is_none() {
                    match self.wire.ping(&call).await {
                        Ok(head) => {
                            if let Some(settled) = settled(&self.ship, &head) {
                                return Ok(Arc::new(settled));
                            }
                        }
                        Err(error) if error.is_about_ship() => return Err(error),
                        Err(_) => {}
                    }
                }
                let answer: VersionAnswer = self.wire.get(&call, "/version").await?;
                negotiate(&self.ship, answer).map(Arc::new)
            })
            .await
    }

    /// How long a call that reads may take.
    pub(super) fn reading(&self) -> Duration {
        Deadlines::read(self.ship.timeout).total
    }

    /// The clock of a call that reads.
    pub(super) fn call(&self, version: &Negotiated) -> Arc<Call> {
        Call::new(Some(version.api), self.reading())
    }

    /// The version, and the clock of a call that reads.
    pub(super) async fn read_call(&self) -> Result<(Arc<Negotiated>, Arc<Call>), EngineErrorKind> {
        let version = self.version().await?;
        let call = self.call(&version);
        Ok((version, call))
    }

    /// An error of this ship. Where the ship as a whole did not answer it may come back as another engine.
    pub(super) fn failed(
        &self,
        operation: impl Into<String>,
        kind: EngineErrorKind,
        ambiguous: bool,
    ) -> EngineError {
        if kind.is_about_ship() || speaks_other_version(&kind) {
            self.version.forget_unless_busy();
        }
        error(&self.ship.name, operation, kind, ambiguous)
    }
}

/// An engine that was up- or downgraded in the meantime says so.
fn speaks_other_version(kind: &EngineErrorKind) -> bool {
    matches!(kind, EngineErrorKind::Api { status: 400, message }
        if message.contains("client version") && message.contains("is too"))
}

/// Whether the call may have gone on without us.
pub(super) fn is_cut_off(kind: &EngineErrorKind) -> bool {
    matches!(kind, EngineErrorKind::Lost(_) | EngineErrorKind::Unresponsive { .. })
}

/// An error of a ship.
pub(super) fn error(
    ship: &ShipName,
    operation: impl Into<String>,
    kind: EngineErrorKind,
    ambiguous: bool,
) -> EngineError {
    EngineError { ship: ship.clone(), operation: operation.into(), kind, ambiguous }
}

impl Engine for DockerEngine {
    fn observe<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<EngineState, EngineError>> {
        Box::pin(async move {
            let state = self.look(scope).await;
            state.map_err(|kind| self.failed("looking at its containers", kind, false))
        })
    }

    fn perform<'a>(
        &'a self,
        call: &'a EngineCall,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<CallOutcome, EngineError>> {
        Box::pin(self.change(call, progress))
    }

    fn examine<'a>(&'a self, examination: &'a Examination) -> BoxFuture<'a, Result<HostFacts, EngineError>> {
        Box::pin(async move {
            let facts = self.facts(examination).await;
            facts.map_err(|kind| self.failed("finding out what its host is like", kind, false))
        })
    }

    fn look_up<'a>(
        &'a self,
        image: &'a ImageRef,
        auth: Option<&'a RegistryAuth>,
    ) -> BoxFuture<'a, Result<RegistryImage, EngineError>> {
        Box::pin(self.in_registry(image, auth))
    }

    fn run_in<'a>(
        &'a self,
        target: &'a Target,
        command: &'a [String],
    ) -> BoxFuture<'a, Result<i64, EngineError>> {
        Box::pin(self.run(target, command))
    }

    fn attach<'a>(
        &'a self,
        target: &'a Target,
        options: &'a AttachOptions,
    ) -> BoxFuture<'a, Result<ExecSession, EngineError>> {
        Box::pin(self.attach_to(target, options))
    }

    fn resize<'a>(
        &'a self,
        exec: &'a str,
        width: u16,
        height: u16,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(self.resize_terminal(exec, width, height))
    }

    fn exit_code<'a>(&'a self, exec: &'a str) -> BoxFuture<'a, Result<i64, EngineError>> {
        Box::pin(self.exit_code_of(exec))
    }

    fn logs<'a>(
        &'a self,
        target: &'a Target,
        options: &'a LogOptions,
    ) -> BoxStream<'a, Result<LogLine, EngineError>> {
        self.output_of(target, options)
    }

    fn events(&self, since: Option<Timestamp>) -> BoxFuture<'_, Result<EngineEvents<'_>, EngineError>> {
        Box::pin(self.happenings(since))
    }
}
