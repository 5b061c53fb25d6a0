//! One container of a pretended engine.

use crate::state::create::CreateConfig;
use crate::state::image::Content;
use jiff::Timestamp;
use maestro_core::boundary::{LogLine, LogStream};
use maestro_core::fleet::{ContainerState, Health};
use maestro_core::names::ContainerId;
use std::sync::Arc;
use std::time::Duration;

/// One container. Read it; only [`crate::state::Machine`] changes it.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// Its name, without the slash.
    pub name: Arc<str>,
    /// When it was made.
    pub created_at: Timestamp,
    /// All that was asked for.
    pub config: Arc<CreateConfig>,
    /// What its image is made of.
    pub content: Arc<Content>,
    /// What it is doing.
    pub state: ContainerState,
    /// How often its process has been started, by anybody.
    pub starts: u64,
    /// How often the engine has started it again by itself.
    pub restarts: u64,
    /// When it last started.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// How it last ended.
    pub exit_code: i64,
    /// Why it could not be started.
    pub error: String,
    /// What its HEALTHCHECK says; none if it has none or never ran.
    pub health: Option<Health>,
    /// Where it is published while it runs.
    pub published: Vec<Published>,
    /// What it has written.
    pub logs: Vec<LogLine>,
    /// Somebody asked for its end: no restart policy applies.
    pub(crate) stopped_by_hand: bool,
    /// A stop waits for its end.
    pub(crate) stopping: bool,
    /// The pause before the engine starts it again.
    pub(crate) backoff: Duration,
}

/// One published port of a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Port in the container.
    pub container: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Address on the host.
    pub ip: String,
    /// Port on the host.
    pub host: u16,
}

impl Container {
    /// Whether the engine reports `Running: true`.
    pub fn is_running(&self) -> bool {
        self.state.is_running()
    }

    /// Whether its process lives: not while the engine waits to start it again.
    pub fn has_process(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused)
    }

    /// How its process ended, if it did and is not to be started again.
    pub fn exit(&self) -> Option<i64> {
        matches!(self.state, ContainerState::Exited | ContainerState::Dead).then_some(self.exit_code)
    }

    pub(crate) fn log(&mut self, at: Timestamp, stream: LogStream, text: String) {
        self.logs.push(LogLine { at: Some(at), stream, text });
    }
}
