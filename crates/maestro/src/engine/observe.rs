//! What one engine looks like: its containers, the details of some, what those were made of, its images.
//!
//! Answers are decoded into just what is needed: bollard describes every field of an inspection, which takes several
//! times as long, and this is what is asked for most.

use super::configuration::{Info, InspectedImage, Told};
use super::docker::DockerEngine;
use super::version::Negotiated;
use super::wire::{Call, encoded, read_json};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use maestro_core::boundary::Scope;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::fleet::{
    ContainerState, EngineDefaults, EngineState, Health, ImageConfig, ObservedContainer, ObservedImage,
};
use maestro_core::image::ImageRef;
use maestro_core::names::{ContainerId, ImageId, InstanceName};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::SemaphorePermit;

/// How many containers of one engine are inspected at a time at most. Engines answer an inspection in a fraction of a
/// millisecond; it is the way there and back that adds up.
const INSPECTIONS: usize = 8;

/// How many names a list is asked for at most. Proxies refuse long addresses, and a list of all is not much longer then.
const FILTERED: usize = 16;

/// A container in `GET /containers/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    image: String,
    #[serde(default, rename = "ImageID")]
    image_id: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    ports: Option<Vec<ListedPort>>,
}

/// A port of a container in a list; without a public one it is not published.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPort {
    #[serde(default)]
    private_port: Option<u16>,
    #[serde(default)]
    public_port: Option<u16>,
}

impl ListedPort {
    /// The port of the host, and the container's to which it leads.
    fn leads(self) -> Option<(u16, u16)> {
        Some((self.public_port?, self.private_port.unwrap_or_default()))
    }
}

/// The answer to `GET /containers/{}/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    #[serde(default)]
    id: String,
    /// Its own name, with a slash before it; links' names are not here.
    #[serde(default)]
    name: String,
    #[serde(default)]
    image: String,
    state: State,
    #[serde(default)]
    restart_count: Option<i64>,
    pub(super) config: Config,
    #[serde(default)]
    network_settings: Networking,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Networking {
    #[serde(default)]
    ports: Option<BTreeMap<String, Option<Vec<HostPort>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostPort {
    #[serde(default)]
    host_port: String,
}

impl Networking {
    /// Ports of the host that the container has now, and its own to which they lead.
    fn host_ports(&self) -> BTreeMap<u16, u16> {
        let published = self.ports.iter().flatten().flat_map(|(own, bindings)| {
            let own = own.split('/').next().and_then(|number| number.parse().ok());
            bindings.iter().flatten().map(move |binding| Some((binding.host_port.parse().ok()?, own?)))
        });
        published.flatten().collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(default)]
    exit_code: Option<i64>,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    finished_at: String,
    #[serde(default)]
    health: Option<HealthState>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthState {
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    #[serde(default)]
    image: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    /// Whether the container has a terminal, which decides the form of its output.
    #[serde(default)]
    pub(super) tty: bool,
}

/// An image in `GET /images/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedImage {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
}

impl DockerEngine {
    /// What is there now.
    pub(super) async fn look(&self, scope: &Scope) -> Result<EngineState, EngineErrorKind> {
        let (version, call) = self.read_call().await?;
        let mut containers = BTreeMap::new();
        let mut wanted = Vec::new();
        if scope.only.as_ref() == Some(&scope.details) {
            // A list would tell nothing that the inspections do not.
            wanted.extend(
                scope.details.iter().map(|name| (Arc::from(name.as_str()), name.as_str().to_owned())),
            );
        } else {
            let listed: Vec<Listed> = self.wire.get(&call, &list_path(scope.only.as_ref())).await?;
            for container in listed {
                let Some(name) = own_name(container.names.as_deref().unwrap_or_default()) else { continue };
                if scope.only.as_ref().is_some_and(|only| !only.contains(name)) {
                    continue;
                }
                let name: Arc<str> = name.into();
                if scope.details.contains(&*name) {
                    wanted.push((name, container.id));
                } else {
                    containers.insert(name.clone(), container.observed(name));
                }
            }
        }
        // Each question that is asked at the same time as another needs a connection of its own.
        let configurations = scope.configurations && !scope.details.is_empty();
        let questions = wanted.len() + usize::from(scope.images || configurations);
        let further = self.further(questions.min(INSPECTIONS).saturating_sub(1));
        let at_once = 1 + further.as_ref().map_or(0, SemaphorePermit::num_permits);
        let inspected = stream::iter(wanted)
            .map(|(name, reference)| self.inspect_named(&version, name, reference, configurations))
            .buffer_unordered(at_once)
            .try_collect::<Vec<_>>();
        let general = async {
            let images = self.images(&version, scope.images).await?;
            Ok::<_, EngineErrorKind>((images, self.defaults(&version, configurations).await?))
        };
        let (inspected, (images, defaults)) = if at_once > 1 {
            tokio::try_join!(inspected, general)?
        } else {
            (inspected.await?, general.await?)
        };
        let inspected: Vec<ObservedContainer> = inspected.into_iter().flatten().collect();
        let of_images: BTreeSet<ImageId> =
            inspected.iter().filter(|_| configurations).map(|found| found.image_id.clone()).collect();
        let image_configs = stream::iter(of_images)
            .map(|id| self.image_config(&version, id))
            .buffer_unordered(at_once)
            .try_filter_map(async |config| Ok(config))
            .try_collect()
            .await?;
        containers.extend(inspected.into_iter().map(|container| (container.name.clone(), container)));
        Ok(EngineState { version: version.engine.clone(), containers, images, image_configs, defaults })
    }

    /// Permits for up to so many further connections, as far as there are any.
    fn further(&self, wanted: usize) -> Option<SemaphorePermit<'_>> {
        let further = &self.shared.further;
        let wanted =
            u32::try_from(wanted.min(further.available_permits())).ok().filter(|wanted| *wanted > 0)?;
        further.try_acquire_many(wanted).ok()
    }

    /// The details of the container with this name; none if there is none. `reference` is its id or its name, which
    /// an engine may take for the beginning of another's id.
    async fn inspect_named(
        &self,
        version: &Negotiated,
        name: Arc<str>,
        reference: String,
        configuration: bool,
    ) -> Result<Option<ObservedContainer>, EngineErrorKind> {
        let text = match self.wire.get_text(&self.call(version), &inspection(&reference)).await {
            Ok(text) => text,
            Err(EngineErrorKind::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let found: Inspected = read_json(&text)?;
        if found.name.strip_prefix('/') != Some(&*name) {
            return Ok(None);
        }
        let mut found = found.observed(name)?;
        if configuration {
            found.configuration = Some(Arc::new(read_json::<Told>(&text)?.configuration()));
        }
        Ok(Some(found))
    }

    /// A container's details.
    pub(super) async fn inspect(&self, call: &Call, reference: &str) -> Result<Inspected, EngineErrorKind> {
        self.wire.get(call, &inspection(reference)).await
    }

    /// What an image says; none if it is gone.
    async fn image_config(
        &self,
        version: &Negotiated,
        id: ImageId,
    ) -> Result<Option<(ImageId, Arc<ImageConfig>)>, EngineErrorKind> {
        let path = format!("/images/{}/json", encoded(id.as_str()));
        match self.wire.get::<InspectedImage>(&self.call(version), &path).await {
            Ok(image) => Ok(Some((id, Arc::new(image.image_config())))),
            Err(EngineErrorKind::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the engine takes where nothing is asked for; none if it does not tell, as some proxies do not let it.
    async fn defaults(
        &self,
        version: &Negotiated,
        wanted: bool,
    ) -> Result<Option<EngineDefaults>, EngineErrorKind> {
        if !wanted {
            return Ok(None);
        }
        match self.wire.get::<Info>(&self.call(version), "/info").await {
            Ok(info) => Ok(Some(info.defaults())),
            Err(error) if error.is_about_ship() => Err(error),
            Err(_) => Ok(None),
        }
    }

    async fn images(
        &self,
        version: &Negotiated,
        wanted: bool,
    ) -> Result<Option<Vec<ObservedImage>>, EngineErrorKind> {
        if !wanted {
            return Ok(None);
        }
        let listed: Vec<ListedImage> = self.wire.get(&self.call(version), "/images/json").await?;
        let named = |names: Option<Vec<String>>| -> Vec<String> {
            names.into_iter().flatten().filter(|name| !name.starts_with("<none>")).collect()
        };
        let images = listed
            .into_iter()
            .map(|image| ObservedImage {
                id: ImageId::new(image.id),
                tags: named(image.repo_tags),
                digests: named(image.repo_digests),
            })
            .collect();
        Ok(Some(images))
    }
}

/// Where a container's details are.
fn inspection(reference: &str) -> String {
    format!("/containers/{}/json", encoded(reference))
}

/// Where the list of all containers is, or of those with these names. An engine takes each name for a regular
/// expression (<https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Container/operation/ContainerList>).
fn list_path(only: Option<&BTreeSet<InstanceName>>) -> String {
    let all = "/containers/json?all=1";
    let Some(names) = only.filter(|names| names.len() <= FILTERED) else { return all.to_owned() };
    let names: Vec<_> =
        names.iter().map(|name| format!("^/?{}$", name.as_str().replace('.', "\\."))).collect();
    format!("{all}&filters={}", encoded(&serde_json::json!({ "name": names }).to_string()))
}

/// Links give a container further names, `/consumer/alias`; its own has no second slash.
pub(super) fn own_name(names: &[String]) -> Option<&str> {
    names.iter().map(|name| name.strip_prefix('/').unwrap_or(name)).find(|name| !name.contains('/'))
}

impl Listed {
    fn observed(self, name: Arc<str>) -> ObservedContainer {
        ObservedContainer {
            id: ContainerId::new(self.id),
            name,
            // Nothing is decided about containers that nobody asked about, so a word that is new costs nothing.
            state: ContainerState::parse(&self.state).unwrap_or(ContainerState::Dead),
            health: None,
            image: ImageRef::parse(self.image),
            image_id: ImageId::new(self.image_id),
            labels: self.labels.unwrap_or_default(),
            started_at: None,
            finished_at: None,
            exit_code: None,
            restarts: None,
            ports: self.ports.into_iter().flatten().filter_map(ListedPort::leads).collect(),
            configuration: None,
        }
    }
}

impl Inspected {
    fn observed(self, name: Arc<str>) -> Result<ObservedContainer, EngineErrorKind> {
        let state = ContainerState::parse(&self.state.status).ok_or_else(|| {
            EngineErrorKind::Protocol(format!("{name} is in the unknown state `{}`", self.state.status))
        })?;
        let finished_at = time(&self.state.finished_at)?;
        Ok(ObservedContainer {
            state,
            health: Some(health(self.state.health.as_ref())),
            // A list shows an id where the name has moved on to another image; the inspection remembers the name.
            image: ImageRef::parse(self.config.image),
            image_id: ImageId::new(self.image),
            labels: self.config.labels.unwrap_or_default(),
            started_at: time(&self.state.started_at)?,
            finished_at,
            exit_code: self.state.exit_code.filter(|_| finished_at.is_some() && !state.is_running()),
            restarts: self.restart_count.and_then(|count| u64::try_from(count).ok()),
            ports: self.network_settings.host_ports(),
            configuration: None,
            id: ContainerId::new(self.id),
            name,
        })
    }
}

fn health(state: Option<&HealthState>) -> Health {
    match state.map(|state| state.status.as_str()) {
        None | Some("" | "none") => Health::None,
        Some("healthy") => Health::Healthy,
        Some("starting") => Health::Starting,
        Some(_) => Health::Unhealthy,
    }
}

/// A point in time; the engine writes the year 1 for "never".
fn time(text: &str) -> Result<Option<Timestamp>, EngineErrorKind> {
    if text.is_empty() || text.starts_with("0001-") {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| EngineErrorKind::Protocol(format!("`{text}` is no time: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_do_not_rename_a_container() {
        let names = |names: &[&str]| {
            own_name(&names.iter().map(ToString::to_string).collect::<Vec<_>>()).map(str::to_owned)
        };
        assert_eq!(names(&["/web-1/db", "/db-1"]), Some("db-1".into()));
        assert_eq!(names(&["/db-1"]), Some("db-1".into()));
        assert_eq!(names(&["/web-1/db"]), None);
        assert_eq!(names(&[]), None);
    }

    #[test]
    fn a_list_of_some_asks_for_no_other_name() {
        let names = |names: &[&str]| Some(names.iter().copied().map(InstanceName::from).collect());
        let path = |only: Option<BTreeSet<_>>| list_path(only.as_ref());
        assert_eq!(path(None), "/containers/json?all=1");
        assert_eq!(
            path(names(&["db", "web.1-2"])),
            format!("/containers/json?all=1&filters={}", encoded(r#"{"name":["^/?db$","^/?web\\.1-2$"]}"#))
        );
        let many: Vec<_> = (0..=FILTERED).map(|n| format!("web-{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(path(names(&many)), "/containers/json?all=1");
    }

    #[test]
    fn the_year_one_is_never() {
        assert_eq!(time("0001-01-01T00:00:00Z"), Ok(None));
        assert_eq!(time(""), Ok(None));
        assert_eq!(
            time("2026-11-20T10:00:00.123456789Z").unwrap().unwrap().to_string(),
            "2026-11-20T10:00:00.123456789Z"
        );
        assert!(time("yesterday").is_err());
    }
}
