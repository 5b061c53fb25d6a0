//! `status` for machines.

use super::Error;
use maestro_core::fleet::Health;
use maestro_core::status::{Found, PortStatus, StatusRow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One instance: what the file wants and what its ship says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusEntry {
    /// The instance.
    pub instance: String,
    /// Its service.
    pub service: String,
    /// Its ship.
    pub ship: String,
    /// The ship's address.
    pub address: String,
    /// Its image, as the file names it.
    pub image: String,
    /// What there is.
    pub state: State,
    /// Whether its container counts as running: paused and restarting ones do.
    pub running: bool,
    /// Id of its container.
    pub container: Option<String>,
    /// The image that the container was created from, as it was named then.
    pub container_image: Option<String>,
    /// Id of that image's content.
    pub image_id: Option<String>,
    /// `none` (it has no HEALTHCHECK), `starting`, `healthy` or `unhealthy`.
    pub health: Option<String>,
    /// When it last started.
    pub started_at: Option<String>,
    /// When it last ended.
    pub finished_at: Option<String>,
    /// How its process ended, unless it runs.
    pub exit_code: Option<i64>,
    /// How often its engine has restarted it.
    pub restarts: Option<u64>,
    /// Fingerprint of what Maestro asked for when it created it.
    pub config: Option<String>,
    /// Whose the container is, if not this environment's: half a sentence.
    pub foreign: Option<String>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Containers that were to take its place, left by a deployment that was broken off, and what they are doing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<String, State>,
    /// Why nothing is known.
    pub error: Option<Error>,
}

/// What there is of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Container made, never started.
    Created,
    /// Container runs.
    Running,
    /// Container is frozen.
    Paused,
    /// Container ended and is being started again.
    Restarting,
    /// Container ended.
    Exited,
    /// Container is being removed.
    Removing,
    /// Container could not be removed.
    Dead,
    /// No container.
    Absent,
    /// Its ship cannot be seen.
    HostDown,
    /// Its ship was not looked at.
    Unknown,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name in the file.
    pub name: String,
    /// The port on the ship, or a range of them.
    pub external: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Whether a connection was accepted; `null` if none was tried.
    pub up: Option<bool>,
}

impl From<&PortStatus> for Port {
    fn from(port: &PortStatus) -> Self {
        Self {
            name: port.name.to_string(),
            external: port.external.to_string(),
            protocol: port.protocol.to_string(),
            up: port.answers,
        }
    }
}

impl From<maestro_core::fleet::ContainerState> for State {
    fn from(state: maestro_core::fleet::ContainerState) -> Self {
        use maestro_core::fleet::ContainerState;
        match state {
            ContainerState::Created => State::Created,
            ContainerState::Running => State::Running,
            ContainerState::Paused => State::Paused,
            ContainerState::Restarting => State::Restarting,
            ContainerState::Exited => State::Exited,
            ContainerState::Removing => State::Removing,
            ContainerState::Dead => State::Dead,
        }
    }
}

pub(super) fn health(health: Health) -> &'static str {
    match health {
        Health::None => "none",
        Health::Starting => "starting",
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
    }
}

impl From<&StatusRow> for StatusEntry {
    fn from(row: &StatusRow) -> Self {
        let nothing = Self {
            instance: row.instance.as_str().into(),
            service: row.service.as_str().into(),
            ship: row.ship.as_str().into(),
            address: row.address.to_string(),
            image: row.image.as_str().into(),
            state: State::Unknown,
            running: false,
            container: None,
            container_image: None,
            image_id: None,
            health: None,
            started_at: None,
            finished_at: None,
            exit_code: None,
            restarts: None,
            config: None,
            foreign: None,
            ports: row.ports.iter().map(Port::from).collect(),
            left: row.left.iter().map(|(name, state)| (name.to_string(), (*state).into())).collect(),
            error: None,
        };
        match &row.found {
            Found::Unknown => nothing,
            Found::Absent => Self { state: State::Absent, ..nothing },
            Found::HostDown(error) => Self { state: State::HostDown, error: Some(error.into()), ..nothing },
            Found::Container(seen) => Self {
                state: seen.state.into(),
                running: seen.state.is_running(),
                container: Some(seen.id.as_str().into()),
                container_image: Some(seen.image.as_str().into()),
                image_id: Some(seen.image_id.as_str().into()),
                health: seen.health.map(|h| health(h).into()),
                started_at: seen.started_at.map(|t| t.to_string()),
                finished_at: seen.finished_at.map(|t| t.to_string()),
                exit_code: seen.exit_code,
                restarts: seen.restarts,
                config: seen.config.as_ref().map(ToString::to_string),
                foreign: seen.foreign.clone(),
                ..nothing
            },
        }
    }
}
