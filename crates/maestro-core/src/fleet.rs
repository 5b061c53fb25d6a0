//! What is really there: one snapshot of all engines, taken before anything is decided.
//!
//! Labels are parsed here and nowhere else. The snapshot is lossless about containers: those that nobody asked for
//! are in it too.

mod configuration;
mod host;
mod orphans;

pub use configuration::{Configuration, Connection, EngineDefaults, ImageConfig, Mount, Published};
pub use host::{ClockReading, DiskSpace, HostFacts, HostPort, Occupant, Platform, Untold};
pub use orphans::{Orphan, at, is_orphan, orphans};

use crate::engine_error::EngineError;
use crate::image::ImageRef;
use crate::model::{
    ApiVersion, Environment, FOREIGN_LABELS, LABEL_CONFIG, LABEL_ENVIRONMENT, LABEL_INSTANCE, LABEL_ROLE,
    LABEL_SERVICE,
};
use crate::names::{ConfigHash, ContainerId, ImageId, InstanceName, ShipName};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// What is in the name of a container, behind that of an instance, whose place it is to take (`docs/design/0018`).
pub const NEXT: &str = ".next-";

/// What is between the name of an instance and the rest of the name of a container that was replaced.
pub const KEPT: &str = ".kept-";

/// Every ship that was looked at.
#[derive(Debug, Clone, Default)]
pub struct FleetSnapshot {
    /// By name.
    pub ships: BTreeMap<ShipName, ShipView>,
}

/// What one ship looked like, or why it could not be seen.
#[derive(Debug, Clone)]
pub enum ShipView {
    /// Its engine answered.
    Reachable(Arc<EngineState>),
    /// It did not; nothing is known, nothing may be concluded.
    Unreachable(EngineError),
}

/// What one engine said.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineState {
    /// Who it is.
    pub version: EngineVersion,
    /// All its containers by name, foreign ones included.
    pub containers: BTreeMap<Arc<str>, ObservedContainer>,
    /// Its images; none if they were not asked for.
    pub images: Option<Vec<ObservedImage>>,
    /// What the images of the containers whose configurations were asked for say; those that are gone are not in it.
    pub image_configs: BTreeMap<ImageId, Arc<ImageConfig>>,
    /// What it takes where nothing is asked for; none if configurations were not asked for, or if it does not tell.
    pub defaults: Option<EngineDefaults>,
}

/// Who an engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    /// Version of the engine, such as `20.10.24`.
    pub engine: String,
    /// Newest API that it speaks.
    pub api: ApiVersion,
    /// Oldest API that it speaks, where that mattered.
    pub min_api: Option<ApiVersion>,
}

/// One container as its engine describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedContainer {
    /// Its id.
    pub id: ContainerId,
    /// Its name, without the leading slash.
    pub name: Arc<str>,
    /// What it is doing.
    pub state: ContainerState,
    /// What its HEALTHCHECK says; only known where details were asked for.
    pub health: Option<Health>,
    /// The image that it was created from, as it was named then.
    pub image: ImageRef,
    /// The content of that image.
    pub image_id: ImageId,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Ports of its ship that it has now, and where they lead: to ports of its own.
    pub ports: BTreeMap<u16, u16>,
    /// When it last started; only known where details were asked for.
    pub started_at: Option<Timestamp>,
    /// When it last ended; only known where details were asked for.
    pub finished_at: Option<Timestamp>,
    /// How its process ended; only known where details were asked for and it did.
    pub exit_code: Option<i64>,
    /// How often the engine has restarted it; only known where details were asked for.
    pub restarts: Option<u64>,
    /// What it was made of; only known where that was asked for.
    pub configuration: Option<Arc<Configuration>>,
}

/// What a container is doing, in the engine's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process runs.
    Running,
    /// Its process is frozen.
    Paused,
    /// Its process ended and is being started again.
    Restarting,
    /// Its process ended.
    Exited,
    /// It is being removed.
    Removing,
    /// It could not be removed.
    Dead,
}

impl ContainerState {
    /// Whether the engine reports `Running: true`; paused and restarting containers count.
    pub fn is_running(self) -> bool {
        match self {
            ContainerState::Running | ContainerState::Paused | ContainerState::Restarting => true,
            ContainerState::Created
            | ContainerState::Exited
            | ContainerState::Removing
            | ContainerState::Dead => false,
        }
    }

    /// Whether its process runs, or is started again by its engine: one that is frozen answers nobody.
    pub fn is_awake(self) -> bool {
        self.is_running() && self != ContainerState::Paused
    }

    /// The engine's word.
    pub fn name(self) -> &'static str {
        match self {
            ContainerState::Created => "created",
            ContainerState::Running => "running",
            ContainerState::Paused => "paused",
            ContainerState::Restarting => "restarting",
            ContainerState::Exited => "exited",
            ContainerState::Removing => "removing",
            ContainerState::Dead => "dead",
        }
    }

    /// Reads the engine's word.
    pub fn parse(word: &str) -> Option<Self> {
        [
            ContainerState::Created,
            ContainerState::Running,
            ContainerState::Paused,
            ContainerState::Restarting,
            ContainerState::Exited,
            ContainerState::Removing,
            ContainerState::Dead,
        ]
        .into_iter()
        .find(|state| state.name() == word)
    }
}

/// What a container's own HEALTHCHECK says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It has none.
    None,
    /// Not known yet.
    Starting,
    /// Well.
    Healthy,
    /// Not well.
    Unhealthy,
}

/// One image that an engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedImage {
    /// Its content.
    pub id: ImageId,
    /// `repository:tag`.
    pub tags: Vec<String>,
    /// `repository@digest`.
    pub digests: Vec<String>,
}

/// Whose a container is, as seen from one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Made by Maestro for this environment.
    Ours,
    /// Has an instance's name and no labels of any tool: maestro-ng made it, and it is taken over.
    Adoptable,
    /// Somebody else's; never touched. The text says whose.
    Foreign(String),
}

impl EngineState {
    /// The image that a reference means on this engine, if images were asked for and it is there.
    pub fn image(&self, image: &ImageRef) -> Option<&ObservedImage> {
        self.images
            .iter()
            .flatten()
            .find(|i| image.is_among(i.tags.iter().map(String::as_str), i.digests.iter().map(String::as_str)))
    }
}

impl EngineState {
    /// Containers that were to take the place of an instance's, whatever they are. Those of others, and what just bears
    /// such a name, are not among them.
    pub fn nexts<'s, 'n>(
        &'s self,
        environment: &'n Environment,
        instance: &'n InstanceName,
    ) -> impl Iterator<Item = &'s ObservedContainer> + use<'s, 'n> {
        let prefix = format!("{instance}{NEXT}");
        let behind = self.containers.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded));
        let named =
            behind.map_while(move |(name, container)| name.starts_with(&*prefix).then_some(container));
        named.filter(move |container| container.is_of(environment, instance))
    }
}

impl FleetSnapshot {
    /// What is known of a ship; none if it was not looked at.
    pub fn ship(&self, name: &ShipName) -> Option<&ShipView> {
        self.ships.get(name)
    }

    /// The container that bears an instance's name on its ship.
    pub fn container(&self, ship: &ShipName, instance: &InstanceName) -> Option<&ObservedContainer> {
        match self.ships.get(ship)? {
            ShipView::Reachable(state) => state.containers.get(instance.as_str()),
            ShipView::Unreachable(_) => None,
        }
    }
}

impl ObservedContainer {
    /// The fingerprint that it was created with, if Maestro created it.
    pub fn config_hash(&self) -> Option<ConfigHash> {
        self.labels.get(LABEL_CONFIG).map(|text| ConfigHash(text.clone()))
    }

    /// Whether this environment's Maestro made it for an instance, whatever it is called.
    pub fn is_of(&self, environment: &Environment, instance: &InstanceName) -> bool {
        self.ownership(environment) == Ownership::Ours
            && self.labels.get(LABEL_INSTANCE).is_some_and(|label| label == instance.as_str())
    }

    /// Whether it is this environment's.
    pub fn ownership(&self, environment: &Environment) -> Ownership {
        if let Some(owner) = self.labels.get(LABEL_ENVIRONMENT) {
            if let Some(role) = self.labels.get(LABEL_ROLE) {
                return Ownership::Foreign(format!(
                    "it is Maestro's own {role} of the environment `{owner}`"
                ));
            }
            return if owner == environment.display_name() {
                Ownership::Ours
            } else {
                let instance = self.labels.get(LABEL_INSTANCE).map(|name| format!("`{name}` "));
                let service = self.labels.get(LABEL_SERVICE).map(|name| format!("of service `{name}` "));
                let [instance, service] = [instance, service].map(Option::unwrap_or_default);
                Ownership::Foreign(format!("it is {instance}{service}in the environment `{owner}`"))
            };
        }
        let foreign =
            self.labels.keys().find(|key| FOREIGN_LABELS.iter().any(|prefix| key.starts_with(prefix)));
        match foreign {
            Some(key) => Ownership::Foreign(format!("its label `{key}` says that another tool made it")),
            None => Ownership::Adoptable,
        }
    }
}
