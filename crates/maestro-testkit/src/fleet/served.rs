//! A fleet of engines that listen, with the environment file that describes them.

use crate::clock::Clock;
use crate::daemon::{Latency, Setup};
use crate::fake_dockerd::{At, FakeDockerd};
use crate::fake_engine::create_config;
use crate::faults::Faults;
use crate::fleet::Grid;
use crate::state::{Behaviour, Content, Edition, Registries};
use maestro_core::model::{Environment, SpecWriter};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the engines of a fleet listen.
#[derive(Debug, Clone)]
pub enum Place {
    /// On free ports of 127.0.0.1.
    AnyPorts,
    /// On ports of 127.0.0.1 from this one on.
    Ports(u16),
    /// On port 2375 of 127.0.1.1, 127.0.1.2 and so on, as ships do.
    Hosts,
    /// On sockets in this directory.
    Sockets(PathBuf),
}

impl Place {
    fn at(&self, index: usize) -> io::Result<At> {
        let too_many = || io::Error::new(io::ErrorKind::InvalidInput, "too many engines for this place");
        Ok(match self {
            Place::AnyPorts => At::loopback(),
            Place::Ports(first) => {
                let port =
                    u16::try_from(index).ok().and_then(|n| first.checked_add(n)).ok_or_else(too_many)?;
                At::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            }
            Place::Hosts => {
                let high = u8::try_from(index / 250 + 1).map_err(|_| too_many())?;
                let low = u8::try_from(index % 250 + 1).map_err(|_| too_many())?;
                At::Tcp(SocketAddr::from(([127, 0, high, low], 2375)))
            }
            Place::Sockets(directory) => At::Unix(directory.join(format!("{}.sock", Grid::ship(index)))),
        })
    }
}

/// A regular fleet that listens. It goes when it is dropped.
#[derive(Debug)]
pub struct ServedFleet {
    /// The engines, in the order of their ships' names.
    pub engines: Vec<FakeDockerd>,
    /// Where they pull from.
    pub registries: Registries,
    /// What describes it.
    pub grid: Grid,
}

impl ServedFleet {
    /// So many engines that have the grid's image and no containers.
    pub fn serve(
        engines: usize,
        containers: usize,
        place: &Place,
        latency: &Latency,
        faults: impl Fn(usize) -> Faults,
    ) -> io::Result<Self> {
        let (registries, clock) = (Registries::none(), Clock::wall());
        let content = Content::new("grid", Behaviour::forever());
        let image = "grid/app:1";
        registries.push(image, &content);
        let mut serving = Vec::with_capacity(engines);
        for index in 0..engines {
            let setup = Setup::new(&Grid::ship(index))
                .edition(if index % 2 == 0 { Edition::V20 } else { Edition::V28 })
                .clock(clock)
                .latency(latency.clone())
                .faults(faults(index))
                .registries(&registries)
                .image(image, &content);
            serving.push(FakeDockerd::serve(setup, place.at(index)?)?);
        }
        let transports = serving.iter().map(FakeDockerd::transport).collect();
        Ok(Self { engines: serving, registries, grid: Grid::over(transports, containers).image(image) })
    }

    /// Offers another image to all engines; it need not be pulled to be there.
    pub fn add_image(&self, reference: &str, content: &Arc<Content>) {
        self.registries.push(reference, content);
        for engine in &self.engines {
            engine.meddle(|machine, now| machine.add_image(reference, content, now));
        }
    }

    /// Makes all containers of the environment exist and run, as Maestro would have made them. Fails with the first
    /// refusal.
    pub fn run_all(&self, environment: &Environment) -> Result<(), String> {
        let engines: BTreeMap<_, _> = self.engines.iter().map(|e| (e.ship(), e)).collect();
        let mut writer = SpecWriter::new(environment);
        for instance in environment.instances.values() {
            let Some(engine) = engines.get(&instance.ship) else { continue };
            let (spec, _) = writer.spec(instance);
            let config = create_config(&spec);
            engine
                .meddle(|machine, now| {
                    machine.create(spec.name.as_str(), config, now)?;
                    machine.start(spec.name.as_str(), now)
                })
                .map_err(|no| format!("{}: {no}", instance.name))?;
        }
        Ok(())
    }
}
