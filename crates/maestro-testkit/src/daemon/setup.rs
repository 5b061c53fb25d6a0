//! How a pretended engine is set up.

use crate::clock::Clock;
use crate::daemon::Daemon;
use crate::daemon::journal::Journal;
use crate::faults::{Faults, Operation};
use crate::state::{Content, Edition, Host, Machine, Registries};
use maestro_core::names::ShipName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// How long calls take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    all: Duration,
    some: BTreeMap<Operation, Duration>,
}

impl Latency {
    /// Every call takes this long.
    pub fn of_all(all: Duration) -> Self {
        Self { all, some: BTreeMap::new() }
    }

    /// This kind of call takes this long instead.
    #[must_use]
    pub fn but(mut self, operation: Operation, takes: Duration) -> Self {
        self.some.insert(operation, takes);
        self
    }

    pub(crate) fn of(&self, operation: Operation) -> Duration {
        self.some.get(&operation).copied().unwrap_or(self.all)
    }
}

/// A pretended engine before it is there.
#[derive(Debug, Clone)]
pub struct Setup {
    ship: ShipName,
    address: Arc<str>,
    edition: Edition,
    clock: Option<Clock>,
    latency: Latency,
    faults: Faults,
    registries: Registries,
    images: Vec<(String, Arc<Content>)>,
    host: Host,
}

impl Setup {
    /// An engine without images that answers at once.
    pub fn new(ship: &str) -> Self {
        Self {
            ship: ShipName::from(ship),
            address: "127.0.0.1:2375".into(),
            edition: Edition::default(),
            clock: None,
            latency: Latency::default(),
            faults: Faults::none(),
            registries: Registries::none(),
            images: Vec::new(),
            host: Host::default(),
        }
    }

    /// What is dialled to reach it; its host part is the ship's own address.
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        self.address = address.into();
        self
    }

    /// What its host is like.
    #[must_use]
    pub fn host(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// Which release it is.
    #[must_use]
    pub fn edition(mut self, edition: Edition) -> Self {
        self.edition = edition;
        self
    }

    /// Whose time it shows; without, one of its own that starts at a fixed date.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How long calls take.
    #[must_use]
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Where it pulls from.
    #[must_use]
    pub fn registries(mut self, registries: &Registries) -> Self {
        self.registries = registries.clone();
        self
    }

    /// An image that is there from the start.
    #[must_use]
    pub fn image(mut self, reference: &str, content: &Arc<Content>) -> Self {
        self.images.push((reference.to_owned(), content.clone()));
        self
    }

    /// The engine.
    pub fn build(self) -> Arc<Daemon> {
        let clock = self.clock.unwrap_or_else(Clock::fixed);
        let host = self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host);
        let mut machine = Machine::new(self.edition, self.ship.as_str(), host).on(self.host);
        for (reference, content) in &self.images {
            machine.add_image(reference, content, clock.now());
        }
        Arc::new(Daemon {
            ship: self.ship,
            address: self.address,
            machine: Mutex::new(machine),
            changed: Notify::new(),
            faults_changed: Notify::new(),
            clock,
            faults: Mutex::new(self.faults),
            registries: self.registries,
            latency: Mutex::new(self.latency),
            journal: Mutex::new(Journal::default()),
        })
    }
}
