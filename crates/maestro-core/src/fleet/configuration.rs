//! What a container was made of, as its engine tells it, and what its image brought along.

use crate::model::{LogConfig, RestartPolicy, Ulimit};
use std::collections::{BTreeMap, BTreeSet};

/// What an image says of its containers. An engine lays what is asked for over it when it creates one, and calls the
/// outcome the container's `Config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// Variables, `NAME=value`; a name alone is unset in the container.
    pub env: Vec<String>,
    /// Arguments, or program and arguments where there is no entry point.
    pub command: Vec<String>,
    /// Program and first arguments.
    pub entrypoint: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The user; empty for root.
    pub user: String,
    /// The working directory; empty for `/`.
    pub workdir: String,
    /// Ports that it listens on, such as `80/tcp`.
    pub exposed: BTreeSet<String>,
    /// Paths that are volumes.
    pub volumes: BTreeSet<String>,
    /// The fields of its HEALTHCHECK by name, such as `test`, in text; those without a meaning left out.
    pub healthcheck: BTreeMap<String, String>,
    /// The signal that stops it; empty for SIGTERM.
    pub stop_signal: String,
}

/// Everything that a container was asked for, as its engine tells it.
///
/// Texts are the engine's own. What an engine fills in by itself is in it, too: see [`crate::compare`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// What an image could have said, too.
    pub config: ImageConfig,
    /// Its host name.
    pub hostname: String,
    /// Binds, `source:target` or `source:target:mode`.
    pub binds: Vec<String>,
    /// Mounts that were asked for in the other form that there is.
    pub mounts: Vec<Mount>,
    /// Containers whose volumes are mounted.
    pub volumes_from: Vec<String>,
    /// Links of the default bridge: `/target:/self/alias`, or `target:alias`.
    pub links: Vec<String>,
    /// Published ports by port in the container, such as `80/tcp`, as they were asked for: texts of ports may be ranges.
    pub ports: BTreeMap<String, Vec<Published>>,
    /// Full access to the host.
    pub privileged: bool,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities dropped.
    pub cap_drop: Vec<String>,
    /// Extra lines of `/etc/hosts`, `name:ip`.
    pub extra_hosts: Vec<String>,
    /// Name servers.
    pub dns: Vec<String>,
    /// The network mode.
    pub network_mode: String,
    /// The networks that it is connected to, or will be when it starts, by name.
    pub networks: BTreeMap<String, Connection>,
    /// The restart policy.
    pub restart: RestartPolicy,
    /// Relative share of the CPU; 0 for none.
    pub cpu_shares: i64,
    /// Memory limit in bytes; 0 for none.
    pub memory: i64,
    /// Memory and swap limit in bytes, -1 for none, 0 for twice the memory.
    pub memory_swap: i64,
    /// Logging; an empty driver is the engine's default one.
    pub log: LogConfig,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
    /// Security options.
    pub security_opt: Vec<String>,
    /// What Maestro never asks for, where it says anything, by attribute (`read_only`, `pids_limit`), in text.
    pub others: BTreeMap<String, String>,
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs` and so on.
    pub kind: String,
    /// Path or name of what is mounted; may be empty.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// Where a port of a container is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    /// Address on the host; empty for all of them.
    pub address: String,
    /// Port on the host, or a range from which the engine picks one; empty or `0` for any.
    pub port: String,
}

/// A container's end of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// The network's id.
    pub id: String,
    /// The address that was asked for; empty for whichever there is.
    pub address: String,
}

/// What an engine takes where nothing is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineDefaults {
    /// The logging driver.
    pub log_driver: String,
    /// The runtime.
    pub runtime: String,
    /// Whether it can limit memory; if not, it forgets what was asked for.
    pub memory: bool,
    /// Whether it can limit swap.
    pub swap: bool,
    /// Whether it can share out the CPU.
    pub cpu_shares: bool,
}
