//! A fleet of engines without HTTP, for an environment.

use crate::clock::Clock;
use crate::daemon::{Latency, Setup};
use crate::fake_engine::FakeEngine;
use crate::faults::Faults;
use crate::state::{Behaviour, Content, Edition, Ends, OnTerm, Registries};
use maestro_core::boundary::{Engine, LogStream};
use maestro_core::image::ImageRef;
use maestro_core::model::{Environment, Transport};
use maestro_core::names::ShipName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What an image's containers do, told by its name: those of `…healthy…` become healthy after a second, those of
/// `…unhealthy…` do not, those of `…stubborn…` ignore SIGTERM, those of `…slow…` stop after two seconds, those of
/// `…brief…` end at once with code 1, those of `…fleeting…` after two seconds, those of `…stumbling…` at once when they are
/// started first, and not the second time; all others run forever. With the command
/// `bin/migrate`, they end well, with `bin/broken` with code 3, and with `bin/endless` not by themselves.
pub fn usual_behaviour(image: &ImageRef) -> Behaviour {
    let moment = Duration::from_millis(20);
    let migrates = Behaviour::exits(moment, 0).says(LogStream::Stdout, "all tables are up to date");
    let breaks = Behaviour::exits(moment, 3).says(LogStream::Stderr, "there is no table `orders`");
    by_name(image)
        .when(&["bin/migrate"], migrates)
        .when(&["bin/broken"], breaks)
        .when(&["bin/endless"], Behaviour::forever())
}

fn by_name(image: &ImageRef) -> Behaviour {
    let name = image.as_str();
    let second = Duration::from_secs(1);
    if name.contains("unhealthy") {
        Behaviour::unhealthy(second)
    } else if name.contains("healthy") {
        Behaviour::healthy(second)
    } else if name.contains("stubborn") {
        Behaviour::ignores_term()
    } else if name.contains("slow") {
        Behaviour { on_term: OnTerm::Exits(2 * second, 0), ..Behaviour::default() }
    } else if name.contains("brief") {
        Behaviour::exits(Duration::ZERO, 1)
    } else if name.contains("fleeting") {
        Behaviour::exits(2 * second, 1)
    } else if name.contains("stumbling") {
        Behaviour {
            ends: Ends::FirstStarts { starts: 1, after: second / 50, code: 1 },
            ..Behaviour::default()
        }
    } else {
        Behaviour::forever()
    }
}

/// An engine for each ship of an environment, and registries that have its images.
#[derive(Debug)]
pub struct SimulatedFleet {
    /// By ship.
    pub engines: BTreeMap<ShipName, FakeEngine>,
    /// Where they pull from.
    pub registries: Registries,
    /// Their common clock.
    pub clock: Clock,
}

/// How to simulate an environment.
pub struct Simulation<'a> {
    environment: &'a Environment,
    latency: Latency,
    faults: Box<dyn Fn(usize) -> Faults + 'a>,
    behaviour: Box<dyn Fn(&ImageRef) -> Behaviour + 'a>,
    images_are_there: bool,
}

impl std::fmt::Debug for Simulation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation").finish_non_exhaustive()
    }
}

impl SimulatedFleet {
    /// A fleet for an environment. Images are in registries only; nothing goes wrong.
    pub fn of(environment: &Environment) -> Simulation<'_> {
        Simulation {
            environment,
            latency: Latency::default(),
            faults: Box::new(|_| Faults::none()),
            behaviour: Box::new(usual_behaviour),
            images_are_there: false,
        }
    }

    /// As the executor wants them.
    pub fn boxed(&self) -> BTreeMap<ShipName, Arc<dyn Engine>> {
        self.engines.iter().map(|(ship, engine)| (ship.clone(), engine.boxed())).collect()
    }
}

impl<'a> Simulation<'a> {
    /// How long calls take.
    #[must_use]
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// What goes wrong on which ship, counted from 0 in the order of names.
    #[must_use]
    pub fn faults(mut self, faults: impl Fn(usize) -> Faults + 'a) -> Self {
        self.faults = Box::new(faults);
        self
    }

    /// What an image's containers do, instead of [`usual_behaviour`].
    #[must_use]
    pub fn behaviour(mut self, behaviour: impl Fn(&ImageRef) -> Behaviour + 'a) -> Self {
        self.behaviour = Box::new(behaviour);
        self
    }

    /// Images are on the ships already.
    #[must_use]
    pub fn with_images(mut self) -> Self {
        self.images_are_there = true;
        self
    }

    /// The fleet.
    pub fn build(self) -> SimulatedFleet {
        let (registries, clock) = (Registries::none(), Clock::fixed());
        let images = images(self.environment, &registries, &*self.behaviour);
        let engine = |(index, (name, ship)): (usize, (&ShipName, &maestro_core::model::Ship))| {
            let address = match &ship.transport {
                Transport::Tcp { port, .. } | Transport::Tls { port, .. } => format!("{}:{port}", ship.ip),
                Transport::Unix { .. } | Transport::Ssh { .. } => format!("{}:0", ship.ip),
            };
            let edition = if index % 2 == 0 { Edition::V20 } else { Edition::V28 };
            let mut setup = Setup::new(name.as_str())
                .address(&address)
                .edition(edition)
                .clock(clock)
                .latency(self.latency.clone())
                .faults((self.faults)(index))
                .registries(&registries);
            if self.images_are_there {
                let here = self.environment.instances.values().filter(|i| i.ship == *name);
                let wanted: BTreeSet<&ImageRef> = here.map(|i| &i.image).collect();
                for image in wanted {
                    if let Some(content) = images.get(image) {
                        setup = setup.image(image.as_str(), content);
                    }
                }
            }
            let engine = FakeEngine::from(setup);
            let engine = match ship.timeout {
                Some(timeout) => engine.with_timeout(timeout),
                None => engine,
            };
            (name.clone(), engine)
        };
        let engines = self.environment.ships.iter().enumerate().map(engine).collect();
        SimulatedFleet { engines, registries, clock }
    }
}

/// Puts all images of an environment into their registries, with the logins that it has.
pub(crate) fn images<'a>(
    environment: &'a Environment,
    registries: &Registries,
    behaviour: &dyn Fn(&ImageRef) -> Behaviour,
) -> BTreeMap<&'a ImageRef, Arc<Content>> {
    let mut images = BTreeMap::new();
    for instance in environment.instances.values() {
        images.entry(&instance.image).or_insert_with(|| {
            let content = Content::of(&instance.image, behaviour(&instance.image));
            registries.push(instance.image.as_str(), &content);
            content
        });
    }
    for registry in environment.registries.values() {
        if let (Some(host), Some(login)) = (registry.host_and_port(), &registry.login)
            && let Some(password) = &login.password
        {
            registries.require_login(host, &login.username, password.expose());
        }
    }
    images
}
