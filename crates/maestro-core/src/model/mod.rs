//! The described world: an [`Environment`] is valid by construction; who made one has reported all its errors.

mod auditor;
mod balancer;
mod beside;
mod check;
mod container;
mod deploy;
mod fingerprint;
pub mod graph;
mod hook;
mod ledger;
mod links;
mod picked;
mod portion;
mod safeguards;
mod secret;
mod ship;
mod variables;

pub(crate) use auditor::authority;
pub use auditor::{Auditor, Channel, Format, Level, Payload, Script, Slack, Webhook, WebhookMethod};
pub use balancer::{Balancer, BalancerKind, BalancerMode, BalancerPlace, Listen, Reload, RemoteHost, Route};
pub(crate) use beside::is_read_only;
pub use beside::{Besides, Hindrance};
pub use check::{Check, ClientCert, EnvFrom, Fields, HttpCheck, Phase, RequestOptions};
pub(crate) use container::bindings;
pub use container::{
    ContainerEnv, ContainerSpec, EnvValue, EnvVar, FOREIGN_LABELS, LABEL_CONFIG, LABEL_ENVIRONMENT,
    LABEL_INSTANCE, LABEL_ROLE, LABEL_RUN, LABEL_SECRETS, LABEL_SERVICE, LogConfig, PortBinding, Protocol,
    RestartPolicy, SpecWriter, Ulimit,
};
pub use deploy::{Canary, Deploy, Pace, Remedy, Share, Strategy};
pub use hook::{Hook, HookName, HookPlace, Hooks, When};
pub use ledger::Etcd;
pub use links::{LinkBlock, Links};
pub use picked::{LABEL_PORT, Picked};
pub use portion::{Portion, Split};
pub use safeguards::{Freeze, Frozen, Safeguards, Window};
pub use secret::{DeclaredSecret, SecretSource};
pub use ship::{ApiVersion, Identity, Ship, SshRemote, Transport, Trust};
pub use variables::{Excess, Weights};

use crate::image::ImageRef;
use crate::names::{BalancerName, InstanceName, RegistryName, Secret, SecretName, ServiceName, ShipName};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Everything that one environment file describes.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its name in Python's text form; none where the file says `name:` without a value.
    pub name: Option<Arc<str>>,
    /// Hosts.
    pub ships: BTreeMap<ShipName, Ship>,
    /// Logical services.
    pub services: BTreeMap<ServiceName, Service>,
    /// Instances of all services.
    pub instances: BTreeMap<InstanceName, Instance>,
    /// Registries in the order of the file: the first that matches an image is its registry.
    pub registries: IndexMap<RegistryName, Registry>,
    /// Who is told what is done, in the order of the file.
    pub auditors: Vec<Auditor>,
    /// Load balancers.
    pub balancers: BTreeMap<BalancerName, Balancer>,
    /// What binds every command that acts.
    pub safeguards: Safeguards,
    /// The ships that keep the lease and what was released; empty if the file does not say.
    pub anchors: Vec<ShipName>,
    /// What keeps them in place of ships.
    pub ledger: Option<Etcd>,
    /// Where the values of secrets come from that are known by their names.
    pub secrets: BTreeMap<SecretName, DeclaredSecret>,
}

/// A logical service: what its instances share, and what it needs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Service {
    /// Left out of commands that name nothing, except `status`.
    pub omit: bool,
    /// Services that must be up before this one: declared ones and those implied by `volumes_from`.
    pub requires: BTreeSet<ServiceName>,
    /// The declared ones only: these, and what they require, hand their addresses to this service's containers.
    pub declared_requires: BTreeSet<ServiceName>,
    /// Services whose addresses this one wants to know, without needing them.
    pub wants_info: BTreeSet<ServiceName>,
    /// The services of whose instances its containers are told, if the file says so. If not, they are told of those of
    /// their own and of what that requires and wants to know, and replaced when one of these comes or goes.
    pub links: Option<BTreeSet<ServiceName>>,
    /// Its instances.
    pub instances: BTreeSet<InstanceName>,
    /// How it is brought from one release to the next.
    pub deploy: Deploy,
}

/// One desired container.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its name, which is also the container's.
    pub name: InstanceName,
    /// The service that owns it.
    pub service: ServiceName,
    /// The ship that it belongs on.
    pub ship: ShipName,
    /// Its image.
    pub image: ImageRef,
    /// Published ports by name, in the order of the file (service first); instances that add none share their service's.
    pub ports: Arc<IndexMap<Arc<str>, Port>>,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_timeout: Duration,
    /// Instances of the same service that this one takes volumes from: they come up before it.
    pub after: BTreeSet<InstanceName>,
    /// Lifecycle checks per phase, in the order of the file.
    pub checks: BTreeMap<Phase, Vec<Check>>,
    /// What goes into the container besides what is derived from the rest of the environment.
    pub settings: Arc<Settings>,
}

/// The parts of an instance that only matter when its container is created.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// Variables of the instance in the order of precedence, later ones win; links are not among them. Parts that come
    /// from the service or from a file are shared.
    pub env: Vec<Arc<[EnvVar]>>,
    /// The command, if not the image's own.
    pub command: Option<Vec<String>>,
    /// Binds in the engine's form `source:target:mode`.
    pub binds: Vec<String>,
    /// Paths in the container that are volumes: targets of binds and anonymous ones.
    pub volumes: BTreeSet<String>,
    /// Containers whose volumes are mounted.
    pub volumes_from: Vec<String>,
    /// Links of the default bridge, `name:alias`, sorted.
    pub links: Vec<String>,
    /// The user.
    pub user: Option<String>,
    /// Full access to the host.
    pub privileged: bool,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities dropped.
    pub cap_drop: Vec<String>,
    /// Extra lines of `/etc/hosts`, `name:ip`, sorted.
    pub extra_hosts: Vec<String>,
    /// The network mode.
    pub network_mode: Option<String>,
    /// The restart policy.
    pub restart: RestartPolicy,
    /// Name servers.
    pub dns: Vec<String>,
    /// Relative share of the CPU.
    pub cpu_shares: Option<i64>,
    /// Memory limit in bytes.
    pub memory: Option<i64>,
    /// Memory and swap limit in bytes, in Docker's meaning.
    pub memory_swap: Option<i64>,
    /// Logging.
    pub log: Option<LogConfig>,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
    /// Security options.
    pub security_opt: Vec<String>,
    /// The author's labels.
    pub labels: BTreeMap<String, String>,
    /// Working directory.
    pub workdir: Option<String>,
}

impl Instance {
    /// Where on its ship a TCP port of the container can be reached: the address that it is bound to, and the port. None
    /// if it is not published, or nobody knows beforehand where.
    pub fn published(&self, port: u16) -> Option<(&str, u16)> {
        if self.settings.network_mode.as_deref() == Some("host") {
            return Some(("0.0.0.0", port));
        }
        let ports = self.ports.values().filter(|published| published.protocol == Protocol::Tcp);
        ports.into_iter().find_map(|published| {
            let (first, last) = container::range(&published.exposed);
            let place =
                u32::from(port).checked_sub(first).filter(|place| *place <= last.saturating_sub(first))?;
            let (external, end) = container::range(&published.external);
            // A range for a single port is one that the engine chooses from.
            let is_known = end.checked_sub(external)? == last.checked_sub(first)?;
            let number = u16::try_from(external.checked_add(place)?).ok().filter(|number| *number > 0)?;
            is_known.then_some((&*published.address, number))
        })
    }
}

/// One published port. Texts may be ranges such as `8000-8010`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// In the container, without protocol.
    pub exposed: Arc<str>,
    /// On the ship, without protocol.
    pub external: Arc<str>,
    /// The protocol of both.
    pub protocol: Protocol,
    /// The address on the ship that it is bound to.
    pub address: Arc<str>,
}

impl Port {
    /// How many ports of the container it stands for.
    pub fn width(&self) -> u64 {
        let (first, last) = container::range(&self.exposed);
        u64::from(last.saturating_sub(first)) + 1
    }

    /// Whether every container of the instance would have the same ports of the ship. If not, there is a range for one
    /// port of the container, or whichever port is free (`0`).
    pub fn is_fixed(&self) -> bool {
        let (first, last) = container::range(&self.external);
        first != 0 && u64::from(last.saturating_sub(first)) + 1 == self.width()
    }

    /// Whether a port of the ship is one of those that it may be published at.
    pub fn may_take(&self, number: u16) -> bool {
        let (first, last) = container::range(&self.external);
        (first..=last).contains(&u32::from(number))
    }

    /// The external port as a number; none if it is a range or out of range.
    pub fn external_number(&self) -> Option<u16> {
        self.external.parse().ok()
    }
}

/// A place that images come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Registry {
    /// Its key in the file.
    pub name: RegistryName,
    /// Its address as written, the server address of the login.
    pub url: Arc<str>,
    /// Who logs in; none for no login.
    pub login: Option<Login>,
    /// How often a failed call is tried again, and when.
    pub retry: Retry,
}

/// Who logs in to a registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// The user.
    pub username: Arc<str>,
    /// The password; none if it is to come from the Docker credential file.
    pub password: Option<Secret>,
    /// The address that very old registries ask for.
    pub email: Option<Arc<str>>,
}

/// How calls to a registry are repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, at least 1.
    pub attempts: u32,
    /// HTTP statuses that are worth another try, besides those that are transient by nature.
    pub when: BTreeSet<u16>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 3, when: BTreeSet::new() }
    }
}

impl Environment {
    /// The name as people read it.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or("unnamed")
    }

    /// The registry of an image (specification, section 4.9): the entry whose key is the first component of the
    /// reference, else the first entry whose address has that host.
    pub fn registry_of(&self, image: &ImageRef) -> Option<&Registry> {
        let candidate = image.first_component()?;
        self.registries.get(candidate).or_else(|| {
            self.registries.values().find(|r| {
                r.host_and_port().is_some_and(|host| {
                    host == candidate || host.rsplit_once(':').is_some_and(|(name, _)| name == candidate)
                })
            })
        })
    }
}

impl Registry {
    /// Host and port of the address, if it has a scheme; addresses without one match nothing.
    pub fn host_and_port(&self) -> Option<&str> {
        let rest = self.url.split_once("://")?.1;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        (!host.is_empty()).then_some(host)
    }
}
