//! Real engines: [`maestro_core::boundary::Engine`] over the Docker Engine API.
//!
//! `docker` is the engine; it asks `version` once and then speaks through `wire`, which sends requests over
//! connections that `connect` opens (`tls`, `ssh`). `observe`, `perform`, `pull`, `logs`, `events` and `exec` are what
//! can be asked (`configuration` is a part of the first), `examine` and `host_facts` find out what a ship is like, while `liveness` sees whether who is silent is still there;
//! `convert` writes the body of a creation, `credentials` finds logins, `shelf` is what leases and ledgers are kept in,
//! `front_end` what load balancers in containers need, `host` and `forward` reach what is no engine,
//! `classify` turns every kind of failure into an `EngineErrorKind`. Types of bollard-stubs, hyper, rustls and openssh stop here.

mod classify;
mod configuration;
mod connect;
mod convert;
mod credentials;
mod docker;
mod events;
mod examine;
mod exec;
mod forward;
mod frames;
mod front_end;
mod host;
mod host_facts;
mod lazily;
mod liveness;
mod logs;
mod observe;
mod perform;
mod pull;
mod shelf;
mod ssh;
mod tls;
mod version;
mod wire;

#[cfg(test)]
mod tests;

pub use docker::DockerEngine;
pub use forward::Connection;
pub use host::{Host, HostError};

use credentials::Credentials;
use maestro_core::boundary::Engine;
use maestro_core::model::Ship;
use maestro_core::names::ShipName;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What engines need to know besides their ship, the same for all engines of a process.
#[derive(Clone)]
pub struct EngineOptions {
    /// An ssh configuration file in place of the user's and the system's, as `ssh -F` takes it.
    pub ssh_config: Option<PathBuf>,
    /// A directory with a Docker `config.json`; none for `$DOCKER_CONFIG`, else `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// How many logins over SSH may be under way at once, over all engines that share this.
    pub handshakes: Arc<Semaphore>,
}

impl EngineOptions {
    /// Logins over SSH at a time, unless set otherwise: more only slow each other down.
    pub const HANDSHAKES: usize = 30;
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { ssh_config: None, docker_config: None, handshakes: Arc::new(Semaphore::new(Self::HANDSHAKES)) }
    }
}

/// What the engines of one process share besides their options: things that are costly to find out.
#[derive(Clone)]
struct Shared {
    options: EngineOptions,
    credentials: Arc<Credentials>,
    roots: Arc<tls::SystemRoots>,
    /// Permits for further connections that only save time. Every engine may have one connection; so few ships are
    /// quick over long distances, and a thousand ships do not cost thousands of connections.
    further: Arc<Semaphore>,
    /// Permits for connections that only find out whether somebody listens.
    tries: Arc<Semaphore>,
}

/// How many further connections there may be at a time, over all engines of a process.
const FURTHER: usize = 64;

/// How many ports are tried at a time, over all engines of a process.
const TRIES: usize = 128;

impl Shared {
    fn new(options: EngineOptions) -> Self {
        let credentials = Arc::new(Credentials::new(options.docker_config.clone()));
        let permits = |count| Arc::new(Semaphore::new(count));
        Self { options, credentials, roots: Arc::default(), further: permits(FURTHER), tries: permits(TRIES) }
    }
}

/// An engine for each ship. Nothing is connected before it is used.
pub fn engines<'a>(
    ships: impl IntoIterator<Item = &'a Ship>,
    options: EngineOptions,
) -> BTreeMap<ShipName, Arc<dyn Engine>> {
    let engines = docker_engines(ships, options).into_iter();
    engines.map(|(name, engine)| (name, engine as Arc<dyn Engine>)).collect()
}

/// The same for who needs their shelves, too ([`maestro_core::boundary::Shelf`]): both go over the same connections.
pub fn docker_engines<'a>(
    ships: impl IntoIterator<Item = &'a Ship>,
    options: EngineOptions,
) -> BTreeMap<ShipName, Arc<DockerEngine>> {
    let shared = Shared::new(options);
    let engine = |ship: &Ship| Arc::new(DockerEngine::sharing(ship.clone(), &shared));
    ships.into_iter().map(|ship| (ship.name.clone(), engine(ship))).collect()
}
