//! A running fleet: what it is, how to reach it, how it ends.

use super::api::EngineApi;
use super::builder::FleetBuilder;
use super::command::Runner;
use super::description::{FleetDescription, ShipDescription, TransportDescription};
use super::error::FleetError;
use super::http::Peer;
use super::install::{EngineRelease, Installation};
use super::layout::Layout;
use super::shop;
use super::slot::{self, Lock};
use super::teardown::teardown;
use super::tunnel::Tunnel;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A fleet of real Docker Engines on this machine. Its maker takes it down by dropping it, unless it was detached.
#[derive(Debug)]
pub struct PracticeFleet {
    layout: Layout,
    description: FleetDescription,
    /// A fleet that was only opened has none.
    guard: Option<Guard>,
}

/// Takes a fleet down when dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    layout: Layout,
    lock: Option<Lock>,
}

impl Guard {
    pub(crate) fn new(layout: Layout, lock: Lock) -> Guard {
        Guard { layout, lock: Some(lock) }
    }

    pub(crate) fn runner(&self) -> Runner {
        self.lock.as_ref().map(Lock::runner).unwrap_or_default()
    }

    async fn down(mut self) -> Result<(), FleetError> {
        take_down(&self.layout, self.lock.take()).await.map(drop)
    }

    /// Leaves the fleet running.
    fn release(mut self) -> Result<(), FleetError> {
        slot::mark_detached(&self.layout)?;
        self.lock = None;
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.lock.is_none() {
            return;
        }
        let (layout, lock) = (&self.layout, self.lock.take());
        // A runtime cannot be entered from within another, so this one gets a thread of its own. What could not
        // be removed is recorded in the slot and is removed by the next sweep.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map(|runtime| runtime.block_on(take_down(layout, lock)).ok()).ok();
            });
        });
    }
}

/// Takes a fleet down under a lock of its own: whoever built at it under the old one has ended when that is free.
/// False if somebody else was quicker.
async fn take_down(layout: &Layout, old: Option<Lock>) -> Result<bool, FleetError> {
    drop(old);
    match slot::lock(layout).await? {
        Some(lock) => teardown(layout, &lock).await.map(|()| true),
        None => Ok(false),
    }
}

impl PracticeFleet {
    /// Starts describing a fleet.
    pub fn builder() -> FleetBuilder {
        FleetBuilder::new()
    }

    /// Whether fleets can be brought up here: root, and everything installed. The error says what is missing.
    pub fn available() -> Result<(), FleetError> {
        Installation::find().map(drop)
    }

    /// Whether ships can have an engine of this release here.
    pub fn has(release: EngineRelease) -> bool {
        Installation::find().is_ok_and(|installation| installation.has(release))
    }

    /// A fleet that somebody else brought up and left running, in this state directory.
    pub fn open(state: &Path) -> Result<PracticeFleet, FleetError> {
        let state = slot::resolve(state)?;
        let none = || FleetError::State {
            path: state.clone(),
            why: "no practice fleet is up there; bring one up with `practice-fleet up`".to_owned(),
        };
        let layout = slot::find(&state).ok_or_else(none)?;
        let text = std::fs::read(layout.description()).map_err(|_| none())?;
        let description = serde_json::from_slice(&text).map_err(|_| none())?;
        Ok(PracticeFleet { layout, description, guard: None })
    }

    pub(crate) fn finished(description: FleetDescription, guard: Guard) -> Result<PracticeFleet, FleetError> {
        let layout = guard.layout.clone();
        let path = layout.description();
        let failed = || FleetError::io(format!("write {}", path.display()));
        let text = serde_json::to_vec_pretty(&description).map_err(|error| failed()(error.into()))?;
        std::fs::write(&path, text).map_err(failed())?;
        Ok(PracticeFleet { layout, description, guard: Some(guard) })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Runs programs for this fleet, under its lock if this is its owner.
    pub(crate) fn runner(&self) -> Runner {
        self.guard.as_ref().map(Guard::runner).unwrap_or_default()
    }

    /// What a client needs to know.
    pub fn description(&self) -> &FleetDescription {
        &self.description
    }

    /// The ships.
    pub fn ships(&self) -> &[ShipDescription] {
        &self.description.ships
    }

    /// The ship of this name, or of this number counted from 1.
    pub fn ship(&self, name: &str) -> Result<&ShipDescription, FleetError> {
        self.find(name).map(|(_, ship)| ship)
    }

    pub(crate) fn find(&self, name: &str) -> Result<(usize, &ShipDescription), FleetError> {
        self.description.ship(name).ok_or_else(|| FleetError::UnknownShip {
            name: name.to_owned(),
            known: self.ships().iter().map(|ship| ship.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// A ship's engine, past its transport: for setting up and for looking at what is really there.
    pub fn api(&self, ship: &str) -> Result<EngineApi, FleetError> {
        Ok(EngineApi::unix(&self.ship(ship)?.harness_socket))
    }

    /// Asks a ship's engine through its transport, as a client would, within the deadline.
    pub async fn ping(&self, ship: &str, deadline: Duration) -> Result<(), FleetError> {
        let ship = self.ship(ship)?;
        let at = |port| SocketAddr::new(IpAddr::V4(ship.ip), port);
        let mut tunnel = None;
        let peer = match &ship.transport {
            TransportDescription::Tcp { port } => Peer::Tcp(at(*port)),
            TransportDescription::Tls { port, client } => {
                Peer::Tls(at(*port), Arc::new(client.client_config()?))
            }
            TransportDescription::Unix { socket } => Peer::Unix(socket.clone()),
            TransportDescription::Ssh { remote_socket, .. } => {
                let config = self.layout.ssh_dir().join("config");
                let open = Tunnel::open(&config, &ship.name, remote_socket, deadline).await?;
                Peer::Unix(tunnel.insert(open).socket())
            }
        };
        EngineApi::new(peer).ping(deadline).await
    }

    /// Loads a ready-made image into a ship's engine without a registry. Returns its name there, which is that
    /// without a registry: `shop/web:1.0`.
    pub async fn load_image(&self, ship: &str, repository_and_tag: &str) -> Result<String, FleetError> {
        let images = shop::build(&Installation::find()?).await?;
        let name = |image: &super::image::Image| format!("{}:{}", image.repository, image.tag);
        let Some(image) = images.iter().find(|image| name(image) == repository_and_tag) else {
            let known = images.iter().map(name).collect::<Vec<_>>().join(", ");
            return Err(FleetError::Unsupported {
                what: format!("there is no ready-made image {repository_and_tag}; there are {known}"),
            });
        };
        self.api(ship)?.load(image.archive(repository_and_tag)?).await?;
        Ok(repository_and_tag.to_owned())
    }

    /// Pulls a ready-made image from the fleet's registry into a ship's engine. Returns its complete name.
    pub async fn pull_image(&self, ship: &str, repository: &str, tag: &str) -> Result<String, FleetError> {
        let Some(registry) = &self.description.registry else {
            return Err(FleetError::Unsupported { what: "this fleet has no registry".to_owned() });
        };
        let repository = format!("{}/{repository}", registry.address);
        self.api(ship)?.pull(&repository, tag, Some(&registry.login)).await?;
        Ok(format!("{repository}:{tag}"))
    }

    /// Stops everything and removes all that was made.
    pub async fn down(self) -> Result<(), FleetError> {
        match self.guard {
            Some(guard) => guard.down().await,
            None => PracticeFleet::remove(&self.layout.state).await.map(drop),
        }
    }

    /// Leaves the fleet running when this process ends, until [`PracticeFleet::remove`].
    pub fn detach(self) -> Result<FleetDescription, FleetError> {
        if let Some(guard) = self.guard {
            guard.release()?;
        }
        Ok(self.description)
    }

    /// Takes down the fleet of a state directory, whatever state it is in, unless the process that owns it still
    /// runs. False if there is none.
    pub async fn remove(state: &Path) -> Result<bool, FleetError> {
        if !rustix::process::geteuid().is_root() {
            return Err(FleetError::NotRoot);
        }
        let state = slot::resolve(state)?;
        let Some(layout) = slot::find(&state) else { return slot::remove_leftover_state(&state) };
        take_down(&layout, None).await
    }

    /// Takes down every fleet whose owner died without doing so. Returns how many there were.
    pub async fn sweep() -> Result<usize, FleetError> {
        slot::sweep().await
    }
}
