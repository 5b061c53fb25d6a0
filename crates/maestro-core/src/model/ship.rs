//! Hosts and the ways to reach their engines. Description only: opening a connection is IO.

use crate::names::ShipName;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A host that runs a Docker Engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Ship {
    /// Its name.
    pub name: ShipName,
    /// The address that containers are told and that checks connect to.
    pub ip: Arc<str>,
    /// How its engine is reached.
    pub transport: Transport,
    /// Never speak a newer API than this; none to speak the newest that both sides know.
    pub api_version: Option<ApiVersion>,
    /// How long the engine may take to answer; none for the defaults of [`crate::boundary::Deadlines`].
    pub timeout: Option<Duration>,
    /// What the file says of it for choosing among ships, such as `zone: a`.
    pub tags: BTreeMap<String, String>,
}

/// A way to reach an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP.
    Tcp {
        /// Host name or address, without brackets.
        host: Arc<str>,
        /// Port.
        port: u16,
    },
    /// HTTP over TLS.
    Tls {
        /// Host name or address, without brackets; certificates are verified against it.
        host: Arc<str>,
        /// Port.
        port: u16,
        /// The client's certificate and key.
        identity: Option<Identity>,
        /// Whose certificates are accepted.
        trust: Trust,
    },
    /// A socket on this machine.
    Unix {
        /// Its path.
        path: Arc<str>,
    },
    /// Through the system's `ssh`, whose configuration, agent and known hosts apply.
    Ssh {
        /// Host as `ssh` takes it, possibly an alias of its configuration.
        host: Arc<str>,
        /// Port, if not that of the ssh configuration.
        port: Option<u16>,
        /// User, if not that of the ssh configuration.
        user: Option<Arc<str>>,
        /// Private key file, if not those of the ssh configuration.
        key: Option<Arc<str>>,
        /// What to reach on the other side.
        remote: SshRemote,
    },
}

/// Where the engine listens on the other side of an SSH connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshRemote {
    /// A socket.
    Socket(Arc<str>),
    /// A port of 127.0.0.1.
    Port(u16),
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Path of the certificate chain, PEM.
    pub cert: Arc<str>,
    /// Path of the private key, PEM.
    pub key: Arc<str>,
    /// Whether none is shown where neither file exists.
    pub optional: bool,
}

/// Whose server certificates are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Everybody's: maestro-ng's default.
    Anything,
    /// Those of the system's authorities.
    System,
    /// Those of the authorities in this PEM file only.
    File(Arc<str>),
}

/// A version of the Docker Engine API, such as 1.41.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    /// Always 1 so far.
    pub major: u16,
    /// Counts up.
    pub minor: u16,
}

impl ApiVersion {
    /// The oldest version that Maestro speaks: Docker 1.12, the minimum of today's engines.
    pub const OLDEST: Self = Self { major: 1, minor: 24 };
    /// The newest version that Maestro knows: Docker 28.5.
    pub const NEWEST: Self = Self { major: 1, minor: 51 };

    /// Reads `1.41` or `v1.41`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.strip_prefix('v').unwrap_or(text).split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Transport::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Transport::Tls { host, port, .. } => write!(f, "https://{}:{port}", bracketed(host)),
            Transport::Unix { path } => write!(f, "unix://{path}"),
            Transport::Ssh { host, port, user, .. } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                f.write_str(&bracketed(host))?;
                port.map_or(Ok(()), |port| write!(f, ":{port}"))
            }
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}
