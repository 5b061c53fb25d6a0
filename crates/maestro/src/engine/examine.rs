//! What a ship is like besides its containers: asked of its engine, of its host where there is a way to, and of its ports.

use super::docker::DockerEngine;
use super::wire::encoded;
use jiff::{SignedDuration, Timestamp};
use maestro_core::boundary::Examination;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::fleet::{ClockReading, EngineVersion, HostFacts, HostPort, Occupant, Platform};
use maestro_core::image::ImageRef;
use maestro_core::model::{ApiVersion, Protocol};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// The answer to `GET /version`, as far as it is about the host.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct About {
    #[serde(default)]
    os: String,
    #[serde(default)]
    arch: String,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: Option<String>,
}

/// The answer to `GET /info`, as far as it is about the host.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Host {
    name: String,
    /// The kernel's word for it, such as `armv7l`.
    architecture: String,
    system_time: String,
    mem_total: Option<i64>,
    memory_limit: Option<bool>,
    docker_root_dir: String,
}

/// A container in `GET /containers/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Running {
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    ports: Option<Vec<Mapping>>,
    #[serde(default)]
    host_config: Option<Networked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mapping {
    #[serde(default, rename = "IP")]
    address: Option<String>,
    public_port: Option<u16>,
    #[serde(default, rename = "Type")]
    protocol: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Networked {
    #[serde(default)]
    network_mode: Option<String>,
}

/// The answer to `GET /volumes`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Volumes {
    #[serde(default)]
    volumes: Option<Vec<Named>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
}

/// An image in `GET /images/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoredImage {
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    size: i64,
}

/// The answer to `GET /images/{}/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Built {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

impl DockerEngine {
    /// What its host is like.
    pub(super) async fn facts(&self, wanted: &Examination) -> Result<HostFacts, EngineErrorKind> {
        let (negotiated, _) = self.read_call().await?;
        let about: Option<About> = self.unless_refused("/version").await?;
        let began = Instant::now();
        let host: Option<Host> = self.unless_refused("/info").await?;
        let (took, now) = (began.elapsed(), Timestamp::now());
        let host = host.unwrap_or_default();
        let running: Option<Vec<Running>> = self.unless_refused("/containers/json").await?;
        let volumes: Option<Volumes> = self.unless_refused("/volumes").await?;
        let networks: Option<Vec<Named>> = self.unless_refused("/networks").await?;
        let images: Vec<StoredImage> = self.unless_refused("/images/json").await?.unwrap_or_default();
        let names = |names: Vec<Named>| names.into_iter().map(|named| named.name).collect();
        let occupants: Vec<Occupant> = running.into_iter().flatten().filter_map(Running::occupant).collect();
        let free = |port: &&HostPort| {
            let has = |occupant: &Occupant| occupant.ports.iter().any(|own| own.clashes(port));
            !occupants.iter().any(has)
        };
        let unclaimed: Vec<HostPort> = wanted.ports.iter().filter(free).cloned().collect();
        let data_root = Some(host.docker_root_dir).filter(|path| !path.is_empty());
        Ok(HostFacts {
            version: EngineVersion {
                min_api: about.as_ref().and_then(About::min_api),
                ..negotiated.engine.clone()
            },
            platform: about.and_then(|about| about.platform(&host.architecture)),
            clock: reading(&host.system_time, now, took),
            memory: host.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
            limits_memory: host.memory_limit.unwrap_or(true),
            disk: self.room(data_root.as_deref(), &host.name).await,
            data_root,
            occupants,
            listening: self.listening(unclaimed).await,
            volumes: volumes.map(|answer| names(answer.volumes.unwrap_or_default())),
            networks: networks.map(names),
            platforms: self.platforms(wanted, &images).await?,
            sizes: largest(&images),
        })
    }

    /// An answer; none if the engine, or a proxy before it, does not give this one.
    async fn unless_refused<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, EngineErrorKind> {
        let (_, call) = self.read_call().await?;
        match self.wire.get(&call, path).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_about_ship() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// What those of the wanted images were built for that are there.
    async fn platforms(
        &self,
        wanted: &Examination,
        there: &[StoredImage],
    ) -> Result<BTreeMap<ImageRef, Platform>, EngineErrorKind> {
        let mut platforms = BTreeMap::new();
        for image in &wanted.images {
            let is_it = |found: &StoredImage| {
                image.is_among(texts(found.repo_tags.as_ref()), texts(found.repo_digests.as_ref()))
            };
            if !there.iter().any(is_it) {
                continue;
            }
            let path = format!("/images/{}/json", encoded(image.as_str()));
            if let Some(built) = self.unless_refused::<Built>(&path).await? {
                let Built { os, architecture, variant } = built;
                platforms.insert(image.clone(), Platform { os, architecture, variant });
            }
        }
        Ok(platforms)
    }
}

impl About {
    fn min_api(&self) -> Option<ApiVersion> {
        ApiVersion::parse(self.min_api_version.as_deref()?)
    }

    /// What it runs. The engine's own architecture decides; the kernel tells of which variant the machine is.
    fn platform(self, kernel: &str) -> Option<Platform> {
        if self.os.is_empty() || self.arch.is_empty() {
            return None;
        }
        let variant = match (&*self.arch, kernel) {
            ("arm", "armv5tel") => "v5",
            ("arm", "armv6l") => "v6",
            ("arm", "armv7l") => "v7",
            _ => "",
        };
        Some(Platform { os: self.os, architecture: self.arch, variant: variant.to_owned() })
    }
}

impl Running {
    fn occupant(self) -> Option<Occupant> {
        let names = self.names.unwrap_or_default();
        let name = super::observe::own_name(&names)?.into();
        let port = |port: Mapping| {
            let protocol = match &*port.protocol {
                "tcp" => Protocol::Tcp,
                "udp" => Protocol::Udp,
                _ => return None,
            };
            Some(HostPort::new(protocol, &port.address.unwrap_or_default(), port.public_port?))
        };
        // An engine that listens on both families lists a port twice.
        let ports: BTreeSet<HostPort> = self.ports.into_iter().flatten().filter_map(port).collect();
        let mode = self.host_config.and_then(|host| host.network_mode);
        Some(Occupant {
            name,
            ports: ports.into_iter().collect(),
            in_host_network: mode.as_deref() == Some("host"),
        })
    }
}

/// How far the engine's clock is from this machine's. It was read at some time while the question was under way: in the
/// middle, give or take a half.
fn reading(told: &str, now: Timestamp, took: std::time::Duration) -> Option<ClockReading> {
    let told: Timestamp = told.parse().ok()?;
    let half = took / 2;
    let asked = now.checked_sub(SignedDuration::try_from(half).ok()?).ok()?;
    Some(ClockReading { ahead: told.duration_since(asked), uncertainty: half })
}

fn texts(names: Option<&Vec<String>>) -> impl Iterator<Item = &str> {
    names.into_iter().flatten().map(String::as_str)
}

/// What the largest image of each repository takes.
fn largest(images: &[StoredImage]) -> BTreeMap<String, u64> {
    let mut largest: BTreeMap<String, u64> = BTreeMap::new();
    for image in images {
        let Some(size) = u64::try_from(image.size).ok().filter(|size| *size > 0) else { continue };
        let names = texts(image.repo_tags.as_ref()).chain(texts(image.repo_digests.as_ref()));
        for name in names.filter(|name| !name.starts_with("<none>")) {
            let repository = ImageRef::parse(Arc::<str>::from(name)).listed_repository().to_owned();
            let known = largest.entry(repository).or_default();
            *known = (*known).max(size);
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_is_read_in_the_middle_of_the_question() {
        let now: Timestamp = "2026-11-21T10:00:10Z".parse().unwrap();
        let read = |told: &str| reading(told, now, Duration::from_secs(2)).unwrap();
        let right = read("2026-11-21T11:00:09.000000001+01:00");
        assert_eq!((right.ahead.as_millis(), right.uncertainty.as_secs()), (0, 1));
        assert_eq!(read("2026-11-21T10:00:04Z").ahead.as_secs(), -5);
        assert_eq!(reading("", now, Duration::ZERO), None);
    }

    #[test]
    fn machines_of_one_architecture_have_variants() {
        let about = |os: &str, arch: &str| About { os: os.into(), arch: arch.into(), min_api_version: None };
        let platform = |arch: &str, kernel| about("linux", arch).platform(kernel).unwrap().to_string();
        assert_eq!(platform("amd64", "x86_64"), "linux/amd64");
        assert_eq!(platform("arm", "armv7l"), "linux/arm/v7");
        // A 32-bit system on a 64-bit kernel.
        assert_eq!(platform("arm", "aarch64"), "linux/arm");
        assert_eq!(about("", "amd64").platform(""), None);
    }
}
