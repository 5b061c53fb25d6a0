//! What can be learnt of a ship besides its containers, before anything is begun and without touching it.

use crate::fleet::EngineVersion;
use crate::image::ImageRef;
use crate::model::Protocol;
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What cannot be told, and why: half a sentence.
pub type Untold = String;

/// What a machine, or an image, is built for. In the words of images: `linux`, `arm`, `v7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub architecture: String,
    /// Variant of the architecture; empty where there is only one, or it is not told.
    pub variant: String,
}

impl Platform {
    /// A platform without a variant.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: String::new() }
    }

    /// Whether a machine of this platform runs what was built for the other one without emulating it. What does not say
    /// what it was built for fits everywhere.
    pub fn runs(&self, image: &Self) -> bool {
        let unknown = |text: &str| matches!(text, "" | "unknown");
        let number = |variant: &str| variant.trim_start_matches('v').parse::<u32>().ok();
        let older = || number(&image.variant).unwrap_or(0) <= number(&self.variant).unwrap_or(u32::MAX);
        let fits = match (&*self.architecture, &*image.architecture) {
            ("amd64", "386") | ("arm64", "arm") => true,
            ("arm", "arm") => older(),
            (own, other) => own == other || unknown(other),
        };
        fits && (unknown(&image.os) || self.os == image.os)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

/// A port of a host, at one of its addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Protocol.
    pub protocol: Protocol,
    /// Port.
    pub port: u16,
    /// Address; empty for all of them.
    pub address: Arc<str>,
}

impl HostPort {
    /// A port at an address, which may be written as `0.0.0.0` or `::` for all of them.
    pub fn new(protocol: Protocol, address: &str, port: u16) -> Self {
        let address = if matches!(address, "0.0.0.0" | "::") { "" } else { address };
        Self { protocol, port, address: address.into() }
    }

    /// Whether only one of them can be listened at.
    pub fn clashes(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && self.port == other.port
            && (self.address == other.address || self.address.is_empty() || other.address.is_empty())
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.address {
            "" => write!(f, "{}/{}", self.port, self.protocol),
            address if address.contains(':') => write!(f, "[{address}]:{}/{}", self.port, self.protocol),
            address => write!(f, "{address}:{}/{}", self.port, self.protocol),
        }
    }
}

/// A ship's clock against this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// How far the ship's is ahead; negative if it is behind.
    pub ahead: SignedDuration,
    /// By how much that may be wrong: half of the time that the question took.
    pub uncertainty: Duration,
}

/// Room on the file system that images and containers are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Free for who is not root, in bytes.
    pub free: u64,
    /// In all, in bytes.
    pub total: u64,
}

/// A container that runs, and what it has of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// Its name.
    pub name: Arc<str>,
    /// Ports of the host that it has.
    pub ports: Vec<HostPort>,
    /// Whether it is in the host's network: then nobody tells which ports it has.
    pub in_host_network: bool,
}

/// What an engine and its host say of themselves. What an engine does not tell is none.
#[derive(Debug, Clone, PartialEq)]
pub struct HostFacts {
    /// Who the engine is, with the oldest API that it speaks.
    pub version: EngineVersion,
    /// What the engine runs.
    pub platform: Option<Platform>,
    /// Its clock.
    pub clock: Option<ClockReading>,
    /// Its memory in bytes.
    pub memory: Option<u64>,
    /// Whether it can limit the memory of containers; if not, it forgets limits.
    pub limits_memory: bool,
    /// Where images and containers are.
    pub data_root: Option<String>,
    /// The room there, or why nobody knows.
    pub disk: Result<DiskSpace, Untold>,
    /// Containers that run.
    pub occupants: Vec<Occupant>,
    /// Of the ports that were asked about and that no container has: whether something listens there.
    pub listening: BTreeMap<HostPort, Result<bool, Untold>>,
    /// Names of its volumes.
    pub volumes: Option<BTreeSet<String>>,
    /// Names of its networks.
    pub networks: Option<BTreeSet<String>>,
    /// Of the images that were asked about and are there: what they were built for.
    pub platforms: BTreeMap<ImageRef, Platform>,
    /// What its images take on disk, by their repositories without tag or digest: the largest of each.
    pub sizes: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Platform { os: next(), architecture: next(), variant: next() }
    }

    #[test]
    fn machines_run_what_they_were_built_for_and_what_came_before() {
        for (machine, image, runs) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/386", true),
            ("linux/amd64", "linux/arm64/v8", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm/v6", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/386", "linux/amd64", false),
            ("linux/amd64", "/", true),
            ("linux/amd64", "unknown/unknown", true),
        ] {
            assert_eq!(platform(machine).runs(&platform(image)), runs, "{image} on {machine}");
        }
    }

    #[test]
    fn ports_clash_where_addresses_do() {
        let at = |address: &str| HostPort::new(Protocol::Tcp, address, 80);
        assert!(at("0.0.0.0").clashes(&at("127.0.0.1")) && at("").clashes(&at("::")));
        assert!(!at("127.0.0.1").clashes(&at("192.0.2.1")));
        assert!(!at("").clashes(&HostPort::new(Protocol::Udp, "", 80)));
        assert_eq!(at("::1").to_string() + " " + &at("0.0.0.0").to_string(), "[::1]:80/tcp 80/tcp");
    }
}
