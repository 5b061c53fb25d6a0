//! One strict state machine of a Docker Engine: what every call does to it, and in which words it says no.
//!
//! Pure: no IO, no waiting; the time is an argument and must not run backwards. What time brings about (a process
//! ends, a container is started again, a HEALTHCHECK changes its mind) is caught up with by [`Machine::advance`].
//! Where a real engine silently does less than was asked, this one refuses: a fake is there to find wrong
//! assumptions.

mod archive;
mod behaviour;
mod container;
mod create;
mod edition;
mod event;
mod exec;
mod host;
mod image;
mod lifecycle;
mod ports;
mod process;
mod refusal;
mod told;
mod validate;

pub use archive::Archived;
pub use behaviour::{Behaviour, Ends, HealthScript, OnTerm, ScriptedProgram};
pub use container::{Container, Published};
pub use create::{CreateConfig, HostConfig, HostPort, LogConfig, RestartPolicy, Ulimit};
pub use edition::Edition;
pub use event::EventLog;
pub use exec::{Exec, ExecRequest, Program};
pub use host::Host;
pub(crate) use image::Removed;
pub use image::{Content, Credentials, LocalImage, Registries};
pub use lifecycle::{Change, Created, Removal, Stopping};
pub use refusal::{Cause, Refusal};
pub use told::Update;

pub(crate) use image::{hex, listed};

use jiff::Timestamp;
use maestro_core::fleet::ContainerState;
use maestro_core::image::ImageRef;
use maestro_core::names::ContainerId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One pretended Docker Engine.
#[derive(Debug)]
pub struct Machine {
    edition: Edition,
    address: Arc<str>,
    /// Makes ids differ between engines.
    seed: String,
    made: u64,
    containers: BTreeMap<ContainerId, Container>,
    names: BTreeMap<Arc<str>, ContainerId>,
    images: Vec<LocalImage>,
    execs: BTreeMap<String, Exec>,
    program_runs: exec::ProgramRuns,
    foreign_ports: BTreeSet<u16>,
    volumes: BTreeSet<String>,
    host: Host,
    files: archive::Files,
    events: EventLog,
    wakes: BTreeMap<(Timestamp, u64), process::Wake>,
    /// The latest time that it has heard of.
    now: Timestamp,
}

impl Machine {
    /// An engine without containers and images. `seed` makes its ids; `address` is the host's own, on which
    /// containers may publish ports.
    pub fn new(edition: Edition, seed: &str, address: &str) -> Self {
        Self {
            edition,
            address: address.into(),
            seed: seed.to_owned(),
            made: 0,
            containers: BTreeMap::new(),
            names: BTreeMap::new(),
            images: Vec::new(),
            execs: BTreeMap::new(),
            program_runs: BTreeMap::new(),
            foreign_ports: BTreeSet::new(),
            volumes: BTreeSet::new(),
            host: Host::default(),
            files: archive::Files::default(),
            events: EventLog::default(),
            wakes: BTreeMap::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Which release it is.
    pub fn edition(&self) -> Edition {
        self.edition
    }

    /// The id that `GET /info` tells.
    pub fn engine_id(&self) -> String {
        hex(&["engine", &self.seed])
    }

    /// All containers, newest first as engines list them.
    pub fn containers(&self) -> Vec<&Container> {
        let mut all: Vec<&Container> = self.containers.values().collect();
        all.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.name.cmp(&b.name)));
        all
    }

    /// How many containers there are.
    pub fn count(&self) -> usize {
        self.containers.len()
    }

    /// The container with this name, id, or beginning of an id.
    pub fn get(&self, reference: &str) -> Result<&Container, Refusal> {
        let id = self.resolve(reference)?;
        self.containers.get(&id).ok_or_else(|| no_such_container(reference))
    }

    fn resolve(&self, reference: &str) -> Result<ContainerId, Refusal> {
        if self.containers.contains_key(reference) {
            return Ok(ContainerId::new(reference));
        }
        let name = reference.strip_prefix('/').unwrap_or(reference);
        if let Some(id) = self.names.get(name) {
            return Ok(id.clone());
        }
        if reference.is_empty() {
            return Err(no_such_container(reference));
        }
        let mut found = self
            .containers
            .range(ContainerId::new(reference)..)
            .take_while(|(id, _)| id.as_str().starts_with(reference));
        match (found.next(), found.next()) {
            (Some((id, _)), None) => Ok(id.clone()),
            (Some(_), Some(_)) => {
                Err(Refusal::bad(format!("Multiple IDs found with provided prefix: {reference}")))
            }
            (None, _) => Err(no_such_container(reference)),
        }
    }

    /// The images that are there.
    pub fn images(&self) -> &[LocalImage] {
        &self.images
    }

    /// The image that a name, a digest or an id means.
    pub fn image(&self, reference: &str) -> Option<&LocalImage> {
        if let Some(image) = self.images.iter().find(|i| i.content.id.as_str() == reference) {
            return Some(image);
        }
        // Most references are written as engines list them.
        if let Some(image) = self.images.iter().find(|i| i.tags.contains(reference)) {
            return Some(image);
        }
        let listed = listed(&ImageRef::parse(reference));
        let named = self.images.iter().find(|i| i.tags.contains(&listed) || i.digests.contains(&listed));
        named.or_else(|| {
            let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
            let is_id = digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let begins = |i: &&LocalImage| {
                i.content.id.as_str().strip_prefix("sha256:").is_some_and(|id| id.starts_with(digits))
            };
            is_id.then(|| self.images.iter().find(begins)).flatten()
        })
    }

    /// `GET /images/{}/json`.
    pub fn inspect_image(&self, reference: &str) -> Result<&LocalImage, Refusal> {
        self.image(reference)
            .ok_or_else(|| self.edition.no_such_image(reference, &listed(&ImageRef::parse(reference))))
    }

    /// Makes an image be there under a name, as a finished pull does. Whether anything changed.
    pub fn add_image(&mut self, reference: &str, content: &Arc<Content>, now: Timestamp) -> bool {
        let image = ImageRef::parse(reference);
        let name = listed(&image);
        let repository = name.split_once('@').map_or_else(
            || name.rsplit_once(':').map_or(name.as_str(), |(repository, _)| repository),
            |(repository, _)| repository,
        );
        let digest = format!("{repository}@{}", content.digest);
        let is_tag = image.digest().is_none();
        let had = self
            .images
            .iter()
            .any(|i| i.content.id == content.id && (i.tags.contains(&name) || i.digests.contains(&name)));
        if is_tag {
            for other in &mut self.images {
                if other.content.id != content.id {
                    other.tags.remove(&name);
                }
            }
        }
        let index = self.images.iter().position(|i| i.content.id == content.id).unwrap_or_else(|| {
            self.images.push(LocalImage {
                content: content.clone(),
                tags: BTreeSet::new(),
                digests: BTreeSet::new(),
            });
            self.images.len() - 1
        });
        if let Some(local) = self.images.get_mut(index) {
            if is_tag {
                local.tags.insert(name.clone());
            }
            local.digests.insert(digest);
        }
        self.events.push(event::of_image(now, "pull", &name, repository));
        !had
    }

    /// Takes an image away, as somebody else might.
    pub fn forget_image(&mut self, reference: &str) {
        let name = listed(&ImageRef::parse(reference));
        for image in &mut self.images {
            image.tags.remove(&name);
            image.digests.remove(&name);
        }
        self.images.retain(|i| !i.tags.is_empty() || !i.digests.is_empty());
    }

    /// The image of a container as a list shows it: its name, or its id once the name means another.
    pub fn shown_image<'a>(&self, container: &'a Container) -> &'a str {
        match self.image(&container.config.image) {
            Some(image) if image.content.id == container.content.id => &container.config.image,
            _ => container.content.id.as_str(),
        }
    }

    /// The state of a container as a list shows it. An inspection waits for the engine to have cleared away what is
    /// left of a process, a list does not.
    pub fn shown_state(&self, container: &Container) -> ContainerState {
        let lingers = container.content.behaviour.lingers;
        let ended =
            container.finished_at.filter(|_| container.exit().is_some() && !container.stopped_by_hand);
        match ended {
            Some(ended) if self.now.duration_since(ended).unsigned_abs() < lingers => ContainerState::Running,
            _ => container.state,
        }
    }

    /// The last events.
    pub fn events(&self) -> &EventLog {
        &self.events
    }

    fn next_id(&mut self, kind: &str) -> String {
        self.made += 1;
        hex(&[kind, &self.seed, &self.made.to_string()])
    }
}

fn no_such_container(reference: &str) -> Refusal {
    Refusal::missing(format!("No such container: {reference}"))
}
