//! Images: what an engine has, and what registries offer.

use crate::state::behaviour::Behaviour;
use crate::state::edition::Edition;
use crate::state::refusal::{Cause, Refusal};
use maestro_core::fleet::{ImageConfig, Platform};
use maestro_core::image::ImageRef;
use maestro_core::names::ImageId;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What an image is made of. Two contents made from the same words are the same content.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The id that engines give it.
    pub id: ImageId,
    /// The digest under which registries have it.
    pub digest: String,
    /// Sizes of its layers in bytes.
    pub layers: Vec<u64>,
    /// How long each layer takes to pull.
    pub layer_time: Duration,
    /// What the process of its containers does.
    pub behaviour: Behaviour,
    /// What it says of its containers, but for its HEALTHCHECK.
    pub config: ImageConfig,
    /// What it was built for.
    pub platform: Platform,
}

impl Content {
    /// A content; `words` tell it from others.
    pub fn new(words: &str, behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            id: ImageId::new(format!("sha256:{}", hex(&["image", words]))),
            digest: format!("sha256:{}", hex(&["manifest", words])),
            layers: vec![1_000_000, 3_000_000],
            layer_time: Duration::ZERO,
            behaviour,
            config: ImageConfig { command: vec!["program".to_owned()], ..ImageConfig::default() },
            platform: Platform::new("linux", "amd64"),
        })
    }

    /// The content that a reference means: of that digest, if it names one.
    pub fn of(image: &ImageRef, behaviour: Behaviour) -> Arc<Self> {
        let made = Self::new(image.as_str(), behaviour);
        match image.digest() {
            Some(digest) => Arc::new(Self { digest: digest.to_owned(), ..Self::clone(&made) }),
            None => made,
        }
    }

    /// The same, saying this of its containers. Whether it has a HEALTHCHECK is up to its behaviour.
    #[must_use]
    pub fn with_config(self: Arc<Self>, config: ImageConfig) -> Arc<Self> {
        Arc::new(Self { config, ..Self::clone(&self) })
    }

    /// The same, built for another platform.
    #[must_use]
    pub fn with_platform(self: Arc<Self>, platform: Platform) -> Arc<Self> {
        Arc::new(Self { platform, ..Self::clone(&self) })
    }

    /// All that it says of its containers.
    pub(crate) fn image_config(&self) -> ImageConfig {
        let test = self.behaviour.health.as_ref().map(|_| ("test".to_owned(), "CMD true".to_owned()));
        ImageConfig { healthcheck: test.into_iter().collect(), ..self.config.clone() }
    }

    /// The same, with layers of these sizes that each take this long to pull.
    #[must_use]
    pub fn with_layers(self: Arc<Self>, layers: Vec<u64>, layer_time: Duration) -> Arc<Self> {
        Arc::new(Self { layers, layer_time, ..Self::clone(&self) })
    }
}

/// 64 hexadecimal digits that depend on nothing but the parts.
pub(crate) fn hex(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part.as_bytes());
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        _ = write!(text, "{byte:02x}");
    }
    text
}

/// An image that an engine has.
#[derive(Debug, Clone)]
pub struct LocalImage {
    /// What it is made of.
    pub content: Arc<Content>,
    /// `repository:tag`, as engines list them.
    pub tags: BTreeSet<String>,
    /// `repository@digest`, as engines list them.
    pub digests: BTreeSet<String>,
}

/// The form in which engines list a repository: Docker Hub's without host and without `library/`.
pub(crate) fn familiar(repository: &str) -> &str {
    let short = repository.strip_prefix("docker.io/").unwrap_or(repository);
    let short = short.strip_prefix("index.docker.io/").unwrap_or(short);
    short.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(short)
}

/// `repository:tag` or `repository@digest`, as engines list them.
pub(crate) fn listed(image: &ImageRef) -> String {
    let repository = familiar(image.repository());
    match image.digest() {
        Some(digest) => format!("{repository}@{digest}"),
        None => format!("{repository}:{}", image.tag()),
    }
}

/// A name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

/// The world of registries that engines pull from; shared by the engines of a fleet. Unknown hosts do not exist.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    hosts: Arc<Mutex<BTreeMap<String, Host>>>,
}

#[derive(Debug, Clone, Default)]
struct Host {
    login: Option<Credentials>,
    images: BTreeMap<String, Arc<Content>>,
    troubles: VecDeque<Trouble>,
    requests: u64,
}

/// What becomes of a request to a registry.
#[derive(Debug, Clone)]
enum Trouble {
    /// It is answered with a status.
    Answers(u16, String),
    /// Nobody listens.
    Refuses,
}

impl Registries {
    /// No registry at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Offers an image; makes its registry if there is none. A tag that exists moves.
    pub fn push(&self, image: &str, content: &Arc<Content>) {
        let image = ImageRef::parse(image);
        let mut hosts = self.lock();
        let host = hosts.entry(image.registry_host().to_owned()).or_default();
        host.images.insert(format!("{}@{}", familiar(image.repository()), content.digest), content.clone());
        if image.digest().is_none() {
            host.images.insert(listed(&image), content.clone());
        }
    }

    /// Takes an image away.
    pub fn withdraw(&self, image: &str) {
        let image = ImageRef::parse(image);
        if let Some(host) = self.lock().get_mut(image.registry_host()) {
            host.images.remove(&listed(&image));
        }
    }

    /// Takes a registry away; its host does not exist any more.
    pub fn forget(&self, host: &str) {
        self.lock().remove(host);
    }

    /// Makes a registry ask for a login.
    pub fn require_login(&self, host: &str, username: &str, password: &str) {
        self.lock().entry(host.to_owned()).or_default().login =
            Some(Credentials { username: username.to_owned(), password: password.to_owned() });
    }

    /// The next requests to a registry are answered with these HTTP statuses, one each.
    pub fn trouble(&self, host: &str, statuses: &[(u16, &str)]) {
        let mut hosts = self.lock();
        let troubles = &mut hosts.entry(host.to_owned()).or_default().troubles;
        troubles.extend(statuses.iter().map(|(status, text)| Trouble::Answers(*status, (*text).to_owned())));
    }

    /// The next so many connections to a registry are refused, as while it is being restarted.
    pub fn refuse(&self, host: &str, times: usize) {
        let mut hosts = self.lock();
        let troubles = &mut hosts.entry(host.to_owned()).or_default().troubles;
        troubles.extend(std::iter::repeat_n(Trouble::Refuses, times));
    }

    /// How many requests a registry has had.
    pub fn requests(&self, host: &str) -> u64 {
        self.lock().get(host).map_or(0, |h| h.requests)
    }

    /// What `POST /auth` finds out.
    pub(crate) fn login(&self, server: &str, who: &Credentials) -> Result<(), Refusal> {
        let name = host_of(server);
        let mut hosts = self.lock();
        let host = open(&mut hosts, name)?;
        match &host.login {
            Some(expected) if expected != who => Err(Refusal {
                status: 500,
                message: format!("login attempt to http://{name}/v2/ failed with status: 401 Unauthorized"),
                cause: Cause::BadLogin,
            }),
            _ => Ok(()),
        }
    }

    /// What a pull finds.
    pub(crate) fn find(
        &self,
        image: &ImageRef,
        who: Option<&Credentials>,
        edition: Edition,
    ) -> Result<Arc<Content>, Refusal> {
        let name = image.registry_host();
        let mut hosts = self.lock();
        let host = open(&mut hosts, name)?;
        match (&host.login, who) {
            (None, _) => {}
            (Some(expected), Some(who)) if expected == who => {}
            (Some(_), Some(_)) => return Err(edition.pull_unauthorized()),
            (Some(_), None) => {
                let path = image.repository().strip_prefix(name).unwrap_or(image.repository());
                return Err(Refusal {
                    status: 500,
                    message: format!(
                        "Head \"http://{name}/v2{path}/manifests/{}\": no basic auth credentials",
                        image.pull_tag()
                    ),
                    cause: Cause::BadLogin,
                });
            }
        }
        let listed = listed(image);
        host.images.get(&listed).cloned().ok_or_else(|| {
            if name == "docker.io" {
                let repository = familiar(image.repository());
                Refusal::missing(format!(
                    "pull access denied for {repository}, repository does not exist or may require \
                     'docker login': denied: requested access to the resource is denied"
                ))
            } else {
                Refusal::missing(format!(
                    "manifest for {listed} not found: manifest unknown: manifest unknown"
                ))
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request to a registry, if it exists and has no trouble.
fn open<'a>(hosts: &'a mut BTreeMap<String, Host>, name: &str) -> Result<&'a mut Host, Refusal> {
    let Some(host) = hosts.get_mut(name) else {
        return Err(Refusal {
            status: 500,
            message: format!("Get \"https://{name}/v2/\": dial tcp: lookup {name}: no such host"),
            cause: Cause::Registry(None),
        });
    };
    host.requests += 1;
    match host.troubles.pop_front() {
        None => Ok(host),
        Some(Trouble::Refuses) => Err(Refusal {
            status: 500,
            message: format!(
                "Get \"https://{name}/v2/\": dial tcp 192.0.2.250:5000: connect: connection refused"
            ),
            cause: Cause::Registry(None),
        }),
        Some(Trouble::Answers(429, _)) => Err(Refusal {
            status: 500,
            message: "toomanyrequests: You have reached your pull rate limit.".to_owned(),
            cause: Cause::Registry(Some(429)),
        }),
        Some(Trouble::Answers(status, text)) => Err(Refusal {
            status: 500,
            message: format!("received unexpected HTTP status: {status} {text}"),
            cause: Cause::Registry(Some(status)),
        }),
    }
}

/// `http://host:port/v1/` and `host:port` both mean the registry `host:port`; Docker Hub has a long name.
fn host_of(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or(rest) {
        "" | "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_move_and_digests_stay() {
        let registries = Registries::none();
        let (old, new) =
            (Content::new("web 1", Behaviour::forever()), Content::new("web 2", Behaviour::forever()));
        registries.push("reg:5000/web:1", &old);
        registries.push("reg:5000/web:1", &new);
        let find =
            |text: &str| registries.find(&ImageRef::parse(text), None, Edition::V20).map(|c| c.id.clone());
        assert_eq!(find("reg:5000/web:1"), Ok(new.id.clone()));
        assert_eq!(find(&format!("reg:5000/web@{}", old.digest)), Ok(old.id.clone()));
        assert_eq!(find("reg:5000/web").unwrap_err().status, 404);
        assert_eq!(find("nowhere.example.com/web").unwrap_err().status, 500);
    }

    #[test]
    fn logins_are_checked() {
        let registries = Registries::none();
        registries.push("reg:5000/web:1", &Content::new("web", Behaviour::forever()));
        registries.require_login("reg:5000", "ci", "secret");
        let image = ImageRef::parse("reg:5000/web:1");
        let who = |password: &str| Credentials { username: "ci".into(), password: password.into() };
        let find = |who: Option<&Credentials>| registries.find(&image, who, Edition::V28).map(|_| ());
        assert_eq!(find(Some(&who("secret"))), Ok(()));
        assert_eq!(find(Some(&who("wrong"))).unwrap_err().cause, Cause::BadLogin);
        assert_eq!(find(None).unwrap_err().cause, Cause::BadLogin);
        assert!(registries.login("http://reg:5000", &who("secret")).is_ok());
        assert_eq!(registries.login("reg:5000", &who("wrong")).unwrap_err().cause, Cause::BadLogin);
    }
}

/// What the removal of an image's name has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removed {
    /// The name, as lists have it.
    pub(crate) name: String,
    /// The image, if that was its last name.
    pub(crate) image: Option<ImageId>,
}

impl crate::state::Machine {
    /// Takes a name away from an image, and the image if it was the last one. Refuses, as engines do, what a container was
    /// made from.
    pub(crate) fn remove_image(&mut self, name: &str) -> Result<Removed, Refusal> {
        let listed = listed(&ImageRef::parse(name));
        let Some(image) =
            self.images.iter_mut().find(|i| i.tags.contains(&listed) || i.digests.contains(&listed))
        else {
            return Err(Refusal::missing(format!("No such image: {name}")));
        };
        let id = image.content.id.clone();
        if let Some(user) = self.containers.values().find(|container| container.content.id == id) {
            let short = user.id.short();
            return Err(Refusal::conflict(format!(
                "conflict: unable to remove repository reference \"{name}\" (must force) - container {short} is using its \
                 referenced image {}",
                id.as_str()
            )));
        }
        image.tags.remove(&listed);
        image.digests.remove(&listed);
        let is_last = image.tags.is_empty() && image.digests.is_empty();
        if is_last {
            self.images.retain(|known| known.content.id != id);
        }
        Ok(Removed { name: listed, image: is_last.then_some(id) })
    }
}
