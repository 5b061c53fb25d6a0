//! What a pretended engine's host is like.

use crate::state::Machine;
use jiff::SignedDuration;
use maestro_core::fleet::{DiskSpace, Platform, Untold};
use std::collections::BTreeSet;

/// A host.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// What it runs.
    pub platform: Platform,
    /// Its memory in bytes.
    pub memory: u64,
    /// The room for images, or why nobody knows. Told by no engine: only [`crate::fake_engine`] shows it.
    pub disk: Result<DiskSpace, Untold>,
    /// How far its clock is ahead of everybody else's. Times of containers are not affected.
    pub ahead: SignedDuration,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            platform: Platform::new("linux", "amd64"),
            memory: 8 << 30,
            disk: Ok(DiskSpace { free: 100 << 30, total: 200 << 30 }),
            ahead: SignedDuration::ZERO,
        }
    }
}

impl Machine {
    /// The same on another host.
    #[must_use]
    pub fn on(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// What its host is like.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Names of its volumes; those without names of their own are not modelled.
    pub fn volumes(&self) -> &BTreeSet<String> {
        &self.volumes
    }

    /// Names of its networks.
    pub fn network_names(&self) -> [&'static str; 3] {
        ["bridge", "host", "none"]
    }

    /// Whether somebody outside of all containers listens on a port.
    pub fn is_occupied(&self, port: u16) -> bool {
        self.foreign_ports.contains(&port)
    }

    /// The kernel's word for the architecture.
    pub(crate) fn kernel_architecture(&self) -> &str {
        match (&*self.host.platform.architecture, &*self.host.platform.variant) {
            ("amd64", _) => "x86_64",
            ("arm64", _) => "aarch64",
            ("arm", "v6") => "armv6l",
            ("arm", _) => "armv7l",
            (other, _) => other,
        }
    }

    /// A container brings the volumes along that it names.
    pub(super) fn make_volumes(&mut self, binds: &[String]) {
        let sources = binds.iter().filter_map(|bind| bind.split(':').next());
        let names = sources.filter(|source| !source.is_empty() && !source.starts_with('/'));
        self.volumes.extend(names.map(str::to_owned));
    }
}
