//! Lifecycle checks: what must be true before an instance counts as started, stopped or fit to be touched.

use crate::model::Picked;
use crate::names::Secret;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// When a check runs (specification, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Before create and start.
    PreStart,
    /// After start.
    Running,
    /// Before stop; not before kill.
    PreStop,
    /// After stop and kill.
    Stopped,
}

impl Phase {
    /// All of them, in their order.
    pub const ALL: [Phase; 4] = [Phase::PreStart, Phase::Running, Phase::PreStop, Phase::Stopped];

    /// The key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Phase::PreStart => "pre-start",
            Phase::Running => "running",
            Phase::PreStop => "pre-stop",
            Phase::Stopped => "stopped",
        }
    }
}

/// One check of one instance, complete: nothing has to be looked up to run it. Cheap to clone: what is long is shared.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// Something accepts connections: one try takes at most a second, a second's pause between tries.
    Tcp {
        /// Address of the ship.
        host: Arc<str>,
        /// External port; 0 if it is picked for each container.
        port: u16,
        /// The name of the port, if its number is picked for each container.
        picked: Option<Arc<str>>,
        /// Number of tries.
        attempts: u32,
    },
    /// An HTTP request is answered well.
    Http(Box<HttpCheck>),
    /// A local program exits with 0; a second's pause between tries.
    Exec {
        /// Program and arguments; no shell.
        command: Arc<[String]>,
        /// Number of tries.
        attempts: u32,
        /// How the program learns the container's variables.
        env_from: EnvFrom,
    },
    /// A program inside the container exits with 0; a second's pause between tries.
    RemoteExec {
        /// Program and arguments; no shell.
        command: Arc<[String]>,
        /// Number of tries.
        attempts: u32,
    },
    /// Time passes. Always succeeds.
    Sleep {
        /// How long.
        wait: Duration,
    },
    /// The container's own HEALTHCHECK says `healthy`. A container without one fails at once.
    Health {
        /// How long it may take.
        max_wait: Duration,
    },
}

/// How an `exec` check learns the container's variables.
#[derive(Debug, Clone, PartialEq)]
pub enum EnvFrom {
    /// As environment variables, over those of this process.
    Environment,
    /// As one JSON object on standard input.
    Stdin,
}

/// An HTTP check: repeated with a second's pause until it succeeds or `max_wait` is over.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCheck {
    /// Address to ask.
    pub host: Arc<str>,
    /// Port to ask; 0 if it is picked for each container.
    pub port: u16,
    /// The name of the port, if its number is picked for each container.
    pub picked: Option<Arc<str>>,
    /// `http` or `https`.
    pub scheme: Arc<str>,
    /// Path and query, with a leading slash.
    pub path: Arc<str>,
    /// Method, in upper case.
    pub method: Arc<str>,
    /// If there is one, the body must contain a match and the status does not matter; else the status must be 200.
    pub match_regex: Option<Arc<str>>,
    /// How long it may take in all.
    pub max_wait: Duration,
    /// Options of the request.
    pub options: Arc<RequestOptions>,
}

/// The options of maestro-ng's `requests_options` that have a meaning here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RequestOptions {
    /// Whether certificates are verified.
    pub verify: Option<bool>,
    /// A CA file to verify against.
    pub ca_file: Option<Arc<str>>,
    /// The client's certificate.
    pub cert: Option<ClientCert>,
    /// Extra headers; none for one that is not to be sent, though it usually is.
    pub headers: BTreeMap<String, Option<String>>,
    /// Extra query.
    pub params: Fields,
    /// Deadline of one request.
    pub timeout: Option<Duration>,
    /// Basic authentication.
    pub auth: Option<(String, Secret)>,
    /// Body; pairs are sent as a form.
    pub data: Option<Fields>,
    /// Whether redirects are followed; they are by default.
    pub allow_redirects: Option<bool>,
}

/// The certificate that a check shows, PEM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientCert {
    /// Path of the certificate chain.
    pub cert: Arc<str>,
    /// Path of the private key; none if it is in the same file.
    pub key: Option<Arc<str>>,
}

/// What is sent as a query or as a body.
#[derive(Clone, PartialEq, Eq)]
pub enum Fields {
    /// To be encoded; names may be there several times.
    Pairs(Vec<(String, String)>),
    /// As it is.
    Text(String),
}

impl Default for Fields {
    fn default() -> Self {
        Self::Pairs(Vec::new())
    }
}

/// Without the values, which may be secret.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fields::Pairs(pairs) => f.debug_list().entries(pairs.iter().map(|(name, _)| name)).finish(),
            Fields::Text(_) => f.write_str("***"),
        }
    }
}

impl Check {
    /// The name of the port that it asks, if that is picked for each container.
    pub fn picked(&self) -> Option<&str> {
        match self {
            Check::Tcp { picked, .. } => picked.as_deref(),
            Check::Http(check) => check.picked.as_deref(),
            Check::Exec { .. } | Check::RemoteExec { .. } | Check::Sleep { .. } | Check::Health { .. } => {
                None
            }
        }
    }

    /// The check of a container for which these ports were picked.
    #[must_use]
    pub fn at(mut self, ports: &Picked) -> Self {
        let number = |name: &Option<Arc<str>>| name.as_deref().and_then(|name| ports.get(name));
        match &mut self {
            Check::Tcp { port, picked, .. } => *port = number(picked).unwrap_or(*port),
            Check::Http(check) => check.port = number(&check.picked).unwrap_or(check.port),
            Check::Exec { .. } | Check::RemoteExec { .. } | Check::Sleep { .. } | Check::Health { .. } => {}
        }
        self
    }

    /// What it logs in with.
    pub fn password(&self) -> Option<&Secret> {
        match self {
            Check::Http(check) => check.options.auth.as_ref().map(|(_, password)| password),
            Check::Tcp { .. }
            | Check::Exec { .. }
            | Check::RemoteExec { .. }
            | Check::Sleep { .. }
            | Check::Health { .. } => None,
        }
    }

    /// The `type` in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Check::Tcp { .. } => "tcp",
            Check::Http(_) => "http",
            Check::Exec { .. } => "exec",
            Check::RemoteExec { .. } => "rexec",
            Check::Sleep { .. } => "sleep",
            Check::Health { .. } => "health",
        }
    }
}
