//! Load balancers that stand before services: what they pass on, where their configuration goes, and how it is known
//! that they have taken it in.

use crate::names::{BalancerName, ServiceName};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One entry of `balancers:`.
#[derive(Debug, Clone, PartialEq)]
pub struct Balancer {
    /// Its name.
    pub name: BalancerName,
    /// Whose configuration is written.
    pub kind: BalancerKind,
    /// Which front ends there are: each gets the same configuration, and each has to acknowledge it.
    pub place: BalancerPlace,
    /// Path of the configuration where the front ends run.
    pub config: Arc<str>,
    /// Where it accepts connections; empty for a template, which says so itself.
    pub listen: Vec<Listen>,
    /// What it understands of what it passes on.
    pub mode: BalancerMode,
    /// What goes where. Of two that fit, the one with a host counts, then the one with the longer path.
    pub routes: Vec<Route>,
    /// Port at which the front end itself tells its generation, at [`Balancer::STATUS_PATH`].
    pub status: Option<u16>,
    /// A command on the front end that prints the generation, instead of a request to `status`.
    pub acknowledge: Option<Arc<[String]>>,
    /// How long requests may go on that were begun before a change.
    pub drain: Duration,
    /// How long a front end may take to acknowledge a configuration.
    pub patience: Duration,
    /// What tries a configuration before it is used; [`Balancer::FILE`] in it stands for its path.
    pub check: Arc<[String]>,
    /// What makes a front end read its configuration again.
    pub reload: Reload,
    /// Lines for the section `global` of HAProxy, or the main context of nginx.
    pub global: Arc<str>,
    /// Lines for the section `defaults` of HAProxy, or the context `http` of nginx.
    pub defaults: Arc<str>,
}

impl Balancer {
    /// Where a front end tells its generation.
    pub const STATUS_PATH: &'static str = "/maestro/generation";
    /// What stands for the path of the configuration in commands.
    pub const FILE: &'static str = "{file}";

    /// How long a connection may be idle between two requests: a process that was replaced lasts as long, so it is at
    /// most half of the time for draining.
    pub fn keep_alive(&self) -> Duration {
        (self.drain / 2).clamp(Duration::from_secs(1), Duration::from_secs(15))
    }

    /// Whether any of its routes leads to a service.
    pub fn serves(&self, service: &ServiceName) -> bool {
        self.routes.iter().any(|route| route.service == *service)
    }
}

/// Whose configuration is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BalancerKind {
    /// HAProxy, 2.4 or newer.
    Haproxy,
    /// nginx.
    Nginx,
    /// Whatever the author's own template is for.
    Template {
        /// The file, as messages name it.
        name: Arc<str>,
        /// What is in it.
        text: Arc<str>,
    },
}

impl BalancerKind {
    /// Its name in the file.
    pub fn name(&self) -> &'static str {
        match self {
            BalancerKind::Haproxy => "haproxy",
            BalancerKind::Nginx => "nginx",
            BalancerKind::Template { .. } => "template",
        }
    }
}

/// Where the front ends of a balancer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BalancerPlace {
    /// In the containers of a service.
    Service(ServiceName),
    /// On hosts that are reached through SSH.
    Hosts(Vec<RemoteHost>),
    /// On the machine that Maestro runs on.
    Local,
}

/// A host that a front end runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RemoteHost {
    /// Host as `ssh` takes it, possibly an alias of its configuration.
    pub host: Arc<str>,
    /// Port, if not that of the ssh configuration.
    pub port: Option<u16>,
    /// User, if not that of the ssh configuration.
    pub user: Option<Arc<str>>,
}

impl fmt::Display for RemoteHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// An address that connections are accepted at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// Address, without brackets; none for all.
    pub address: Option<Arc<str>>,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.as_deref() {
            Some(address) if address.contains(':') => write!(f, "[{address}]:{}", self.port),
            Some(address) => write!(f, "{address}:{}", self.port),
            None => write!(f, "{}", self.port),
        }
    }
}

/// What a balancer understands of what it passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BalancerMode {
    /// Requests.
    #[default]
    Http,
    /// Connections.
    Tcp,
}

/// Requests that go to one service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The host that they name, in lower case; none for any.
    pub host: Option<Arc<str>>,
    /// Where their path begins; `/` for any. `/a` means `/a` and what is below it, and not `/ab`.
    pub path: Arc<str>,
    /// The service that they go to.
    pub service: ServiceName,
    /// Which port of it.
    pub port: Arc<str>,
}

/// What makes a front end read its configuration again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// A signal to the container's first process, such as `HUP`.
    Signal(Arc<str>),
    /// A command on the front end.
    Command(Arc<[String]>),
}
