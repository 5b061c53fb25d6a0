//! What we ask the engine for when a container is created, and its fingerprint.

use crate::image::ImageRef;
use crate::model::fingerprint::Fingerprint;
use crate::model::links::{LinkBlock, Links};
use crate::model::variables::{Excess, Weights};
use crate::model::{Environment, Instance, Settings};
use crate::names::{ConfigHash, InstanceName, Secret};
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Label: the environment that a container belongs to.
pub const LABEL_ENVIRONMENT: &str = "maestro.environment";
/// Label: the service that a container belongs to.
pub const LABEL_SERVICE: &str = "maestro.service";
/// Label: the instance that a container is.
pub const LABEL_INSTANCE: &str = "maestro.instance";
/// Label: the fingerprint of what was asked for, a [`ConfigHash`].
pub const LABEL_CONFIG: &str = "maestro.config";
/// Label: what Maestro keeps in a container that is no instance and never runs, such as `lease` and `ledger`.
pub const LABEL_ROLE: &str = "maestro.role";
/// Label: the names of the variables whose values are secrets, with blanks between them; none if there is no such one.
pub const LABEL_SECRETS: &str = "maestro.secrets";
/// Label: the run of a deployment that a one-off container is of. It is no instance.
pub const LABEL_RUN: &str = "maestro.run";

/// Prefixes of labels by which other tools mark the containers that are theirs.
pub const FOREIGN_LABELS: [&str; 5] = [
    "com.docker.compose.",
    "com.docker.swarm.",
    "com.docker.stack.",
    "io.kubernetes.",
    "com.hashicorp.nomad.",
];

/// A variable; without a value it is unset in the container even where the image sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Its name.
    pub name: Arc<str>,
    /// Its value.
    pub value: Option<EnvValue>,
}

/// The value of a variable. Behaves as its text.
#[derive(Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// One that the file has, or that follows from it.
    Plain(Arc<str>),
    /// One of which the file has the name.
    Secret(Arc<Secret>),
}

impl EnvValue {
    /// The secret that it is.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(secret) => Some(secret),
        }
    }
}

impl Deref for EnvValue {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

impl From<Arc<str>> for EnvValue {
    fn from(text: Arc<str>) -> Self {
        Self::Plain(text)
    }
}

impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => text.fmt(f),
            Self::Secret(secret) => secret.fmt(f),
        }
    }
}

impl EnvVar {
    /// A variable with a value.
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), value: Some(EnvValue::Plain(value.into())) }
    }

    /// The length of name and value.
    pub(super) fn bytes(&self) -> usize {
        self.name.len() + self.value.as_deref().map_or(0, str::len)
    }
}

/// All variables of a container: its own, then the shared blocks of link variables, which win.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerEnv {
    /// The instance's own variables, in parts that others may share; later ones win.
    pub own: Vec<Arc<[EnvVar]>>,
    /// Link variables; later blocks win. Containers of one service share them.
    pub links: Arc<[Arc<LinkBlock>]>,
    /// What was picked for this very container, which wins over everything and is in no fingerprint.
    pub picked: Arc<[EnvVar]>,
}

/// For how many variables room is made at once: thousands are common, and a million may be the same few again and again.
const MOST_ROOM: usize = 1 << 16;

impl ContainerEnv {
    /// Variables of nobody else, and no links.
    pub fn of(own: Vec<EnvVar>) -> Self {
        Self { own: vec![own.into()], links: Arc::default(), picked: Arc::default() }
    }

    /// Every variable once, with the value that wins, in the order of first mention.
    pub fn resolved(&self) -> IndexMap<&str, Option<&str>, RandomState> {
        let mut all = self.own_resolved(self.links.iter().map(|b| b.vars.len()).sum());
        for var in self.links.iter().flat_map(|b| &b.vars).chain(&*self.picked) {
            all.insert(&*var.name, var.value.as_deref());
        }
        all
    }

    /// The variables whose values are secrets, and these.
    pub fn secrets(&self) -> BTreeMap<&str, &Secret> {
        let mut secrets = BTreeMap::new();
        for var in self.own.iter().flat_map(|part| &**part) {
            match var.value.as_ref().and_then(EnvValue::secret) {
                Some(secret) => _ = secrets.insert(&*var.name, secret),
                None if secrets.is_empty() => {}
                None => _ = secrets.remove(&*var.name),
            }
        }
        if !secrets.is_empty() {
            // Those of links win.
            for var in self.links.iter().flat_map(|block| &block.vars) {
                secrets.remove(&*var.name);
            }
        }
        secrets
    }

    /// The length of all names and values, each mention counted.
    pub fn bytes(&self) -> usize {
        let own = self.own.iter().flat_map(|part| &**part).map(EnvVar::bytes).sum::<usize>();
        own + self.links.iter().map(|block| block.bytes).sum::<usize>()
    }

    /// Every variable that is no link once, with room for so many more.
    fn own_resolved(&self, more: usize) -> IndexMap<&str, Option<&str>, RandomState> {
        let count = more + self.own.iter().map(|part| part.len()).sum::<usize>();
        let mut all = IndexMap::with_capacity_and_hasher(count.min(MOST_ROOM), RandomState::default());
        for var in self.own.iter().flat_map(|part| &**part) {
            all.insert(&*var.name, var.value.as_deref());
        }
        all
    }
}

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// One container port published on one host port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortBinding {
    /// Port in the container; never a range.
    pub exposed: u32,
    /// Protocol.
    pub protocol: Protocol,
    /// Address on the host.
    pub address: Arc<str>,
    /// Port on the host, or a range from which the engine picks one.
    pub external: Arc<str>,
}

/// What the engine does when the container's process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// `no`, `always`, `on-failure` or `unless-stopped`.
    pub name: Arc<str>,
    /// Tries, for `on-failure`.
    pub retries: i64,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self { name: "no".into(), retries: 0 }
    }
}

/// Where the container's output goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// Logging driver.
    pub driver: String,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

/// A resource limit of the container's processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// Its name, such as `nofile`.
    pub name: String,
    /// Soft limit; none for the engine's default.
    pub soft: Option<i64>,
    /// Hard limit; none for the engine's default.
    pub hard: Option<i64>,
}

/// Everything that one `POST /containers/create` says.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    /// The container's name.
    pub name: InstanceName,
    /// Its host name; none where the network mode forbids one.
    pub hostname: Option<InstanceName>,
    /// Image.
    pub image: ImageRef,
    /// Variables.
    pub env: ContainerEnv,
    /// Published ports.
    pub ports: Vec<PortBinding>,
    /// All the rest, as the file says it.
    pub settings: Arc<Settings>,
    /// Labels by which Maestro knows its containers; the author's are in `settings`.
    pub labels: BTreeMap<Cow<'static, str>, Arc<str>>,
}

/// Makes specifications; shares what instances of one service have in common.
#[derive(Debug)]
pub struct SpecWriter<'a> {
    environment: &'a Environment,
    links: Links<'a>,
    weights: Weights<'a>,
}

impl<'a> SpecWriter<'a> {
    /// For the instances of one environment.
    pub fn new(environment: &'a Environment) -> Self {
        Self { environment, links: Links::new(environment), weights: Weights::new(environment) }
    }

    /// Why the program of an instance's container could not be started with these variables; none if nothing is known
    /// against it.
    pub fn excess(&mut self, instance: &'a Instance) -> Option<Excess> {
        self.weights.of(instance, &mut self.links)
    }

    /// All variables of an instance's container.
    pub fn env(&mut self, instance: &'a Instance) -> ContainerEnv {
        ContainerEnv {
            own: instance.settings.env.clone(),
            links: self.links.of(&instance.service),
            picked: Arc::default(),
        }
    }

    /// What to ask the engine for, and its fingerprint, which is also among the labels.
    pub fn spec(&mut self, instance: &'a Instance) -> (ContainerSpec, ConfigHash) {
        let mut spec = ContainerSpec {
            name: instance.name.clone(),
            hostname: instance.settings.network_mode.is_none().then(|| instance.name.clone()),
            image: instance.image.clone(),
            env: self.env(instance),
            ports: bindings(instance),
            settings: instance.settings.clone(),
            labels: BTreeMap::from([
                (LABEL_ENVIRONMENT.into(), self.environment.display_name().into()),
                (LABEL_SERVICE.into(), instance.service.as_str().into()),
                (LABEL_INSTANCE.into(), instance.name.as_str().into()),
            ]),
        };
        let hash = spec.config_hash();
        spec.labels.insert(LABEL_CONFIG.into(), hash.0.as_str().into());
        let secrets: Vec<&str> = spec.env.secrets().into_keys().collect();
        if !secrets.is_empty() {
            let names = secrets.join(" ").into();
            spec.labels.insert(LABEL_SECRETS.into(), names);
        }
        (spec, hash)
    }

    /// The same for a container in which one command is run once: as the instance's, but for its ports, and for what makes
    /// others find it or starts it again.
    pub fn one_off(
        &mut self,
        instance: &'a Instance,
        name: InstanceName,
        command: &[String],
        run: &str,
    ) -> (ContainerSpec, ConfigHash) {
        let settings = Settings {
            command: Some(command.to_vec()),
            restart: RestartPolicy::default(),
            // Whoever watches the engine for labels would send requests to it.
            labels: BTreeMap::new(),
            ..Settings::clone(&instance.settings)
        };
        let mut spec = ContainerSpec {
            name,
            hostname: None,
            image: instance.image.clone(),
            env: self.env(instance),
            ports: Vec::new(),
            settings: settings.into(),
            labels: BTreeMap::from([
                (LABEL_ENVIRONMENT.into(), self.environment.display_name().into()),
                (LABEL_SERVICE.into(), instance.service.as_str().into()),
                (LABEL_RUN.into(), run.into()),
            ]),
        };
        let hash = spec.config_hash();
        spec.labels.insert(LABEL_CONFIG.into(), hash.0.as_str().into());
        (spec, hash)
    }
}

/// One binding per exposed port; a range of exposed ports is expanded, pairwise with a range of host ports of the
/// same length. Loading has checked that lengths agree.
pub(crate) fn bindings(instance: &Instance) -> Vec<PortBinding> {
    let mut bindings = Vec::new();
    for port in instance.ports.values() {
        let (first, last) = range(&port.exposed);
        for exposed in first..=last {
            let external = if first == last {
                port.external.clone()
            } else {
                (range(&port.external).0 + (exposed - first)).to_string().into()
            };
            bindings.push(PortBinding {
                exposed,
                protocol: port.protocol,
                address: port.address.clone(),
                external,
            });
        }
    }
    bindings
}

/// Both ends of `80` or `80-90`. Loading has checked the grammar; a text that is none gives an empty port 0.
pub(super) fn range(text: &str) -> (u32, u32) {
    match text.split_once('-') {
        Some((first, last)) => (first.parse().unwrap_or(0), last.parse().unwrap_or(0)),
        None => (text.parse().unwrap_or(0), text.parse().unwrap_or(0)),
    }
}

impl ContainerSpec {
    /// The fingerprint of everything asked for, except Maestro's own labels.
    ///
    /// Stable over versions of Maestro: every part is written with its name and length, in a fixed order, and parts
    /// that are empty are left out, so that a new kind of setting does not change the hash of those who don't use it.
    /// Of an image that has both, the tag is in it and not the digest: the same container may have been made before the
    /// tag was resolved. Whether it is of the same content, its image's id tells.
    /// The values of secrets are in it as any others, once they have been fetched: another value is another container.
    /// Link variables are in it by the fingerprints of their blocks, which are computed once for all containers.
    pub fn config_hash(&self) -> ConfigHash {
        let mut out = Fingerprint::default();
        let settings = &*self.settings;
        out.part("image", [self.image.without_pin()]);
        out.part("hostname", self.hostname.as_ref().map(InstanceName::as_str));
        for (name, value) in self.env.own_resolved(0) {
            out.part("env", [name].into_iter().chain(value));
        }
        out.part("links", self.env.links.iter().map(|block| &*block.fingerprint));
        for port in &self.ports {
            let exposed = format!("{}/{}", port.exposed, port.protocol);
            out.part("port", [exposed.as_str(), &*port.address, &*port.external]);
        }
        out.part("command", settings.command.iter().flatten().map(String::as_str));
        out.part("command-set", settings.command.as_ref().map(|_| ""));
        out.part("binds", settings.binds.iter().map(String::as_str));
        out.part("volumes", settings.volumes.iter().map(String::as_str));
        out.part("volumes-from", settings.volumes_from.iter().map(String::as_str));
        out.part("links", settings.links.iter().map(String::as_str));
        out.part("user", settings.user.as_deref());
        out.part("privileged", settings.privileged.then_some("yes"));
        out.part("cap-add", settings.cap_add.iter().map(String::as_str));
        out.part("cap-drop", settings.cap_drop.iter().map(String::as_str));
        out.part("extra-hosts", settings.extra_hosts.iter().map(String::as_str));
        out.part("network", settings.network_mode.as_deref());
        out.part("restart", [&*settings.restart.name, &settings.restart.retries.to_string()]);
        out.part("dns", settings.dns.iter().map(String::as_str));
        for (name, value) in
            [("cpu", settings.cpu_shares), ("memory", settings.memory), ("swap", settings.memory_swap)]
        {
            out.part(name, value.map(|v| v.to_string()).as_deref());
        }
        if let Some(log) = &settings.log {
            out.part("log", [log.driver.as_str()]);
            for (key, value) in &log.options {
                out.part("log-option", [key.as_str(), value]);
            }
        }
        for limit in &settings.ulimits {
            let text = |v: Option<i64>| v.map_or_else(String::new, |v| v.to_string());
            out.part("ulimit", [limit.name.as_str(), &text(limit.soft), &text(limit.hard)]);
        }
        out.part("security", settings.security_opt.iter().map(String::as_str));
        for (key, value) in &settings.labels {
            out.part("label", [key.as_str(), value]);
        }
        out.part("workdir", settings.workdir.as_deref());
        ConfigHash(out.finish())
    }
}
