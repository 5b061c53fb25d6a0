//! What can be done to a ship, and undone.

use super::error::FleetError;
use super::fleet::PracticeFleet;
use super::install::Installation;
use super::net;
use super::process;
use super::ship::{self, EngineStart, TransportKind};
use rustix::process::Signal;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a process may take to obey a signal.
const DEATH: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(10);
/// File that takes up the room on a full disk.
const BALLAST: &str = "ballast";

impl PracticeFleet {
    /// Pulls the ship's cable: nobody reaches it any more, connections hang. A unix socket is moved away, too.
    pub async fn cut_off(&self, ship: &str) -> Result<(), FleetError> {
        let (place, found) = self.find(ship)?;
        net::set_link(self.layout(), &self.runner(), &found.netns, false).await?;
        let socket = self.layout().docker_socket(place);
        // Gone already if the engine is.
        std::fs::rename(&socket, aside(&socket)).ok();
        Ok(())
    }

    /// Plugs the ship's cable in again.
    pub async fn restore(&self, ship: &str) -> Result<(), FleetError> {
        let (place, found) = self.find(ship)?;
        let socket = self.layout().docker_socket(place);
        std::fs::rename(aside(&socket), &socket).ok();
        net::set_link(self.layout(), &self.runner(), &found.netns, true).await
    }

    /// Pulls the registry's cable, or plugs it in again.
    pub async fn set_registry_reachable(&self, reachable: bool) -> Result<(), FleetError> {
        if self.description().registry.is_none() {
            return Err(FleetError::Unsupported { what: "this fleet has no registry".to_owned() });
        }
        net::set_link(self.layout(), &self.runner(), &self.layout().registry_netns(), reachable).await
    }

    /// Freezes the registry: it accepts connections and never answers, so that pulls take their time.
    pub async fn hang_registry(&self) -> Result<(), FleetError> {
        let pids = self.registry_pids()?;
        process::signal(&pids, Signal::STOP)?;
        until("the registry did not freeze", || pids.iter().all(|pid| process::is_stopped(*pid))).await
    }

    /// Lets a frozen registry go on.
    pub fn wake_registry(&self) -> Result<(), FleetError> {
        process::signal(&self.registry_pids()?, Signal::CONT)
    }

    fn registry_pids(&self) -> Result<Vec<i32>, FleetError> {
        let pids = process::in_namespaces(&[self.layout().registry_netns()]);
        if pids.is_empty() {
            return Err(FleetError::Unsupported { what: "no registry of this fleet is running".to_owned() });
        }
        Ok(pids)
    }

    /// Delays all that is sent to the ship. Zero ends it. Not every kernel can.
    pub async fn slow_down(&self, ship: &str, delay: Duration) -> Result<(), FleetError> {
        net::set_delay(self.layout(), &self.runner(), &self.ship(ship)?.netns, delay).await
    }

    /// Freezes the ship's engine: it accepts connections and never answers. Its containers go on.
    pub async fn hang(&self, ship: &str) -> Result<(), FleetError> {
        let pid = self.engine_pid(ship)?;
        process::signal(&[pid], Signal::STOP)?;
        until(&format!("the engine of {ship} did not freeze"), || process::is_stopped(pid)).await
    }

    /// Lets a frozen engine go on.
    pub fn wake(&self, ship: &str) -> Result<(), FleetError> {
        process::signal(&[self.engine_pid(ship)?], Signal::CONT)
    }

    /// Kills the ship's engine. Its containers go on, nobody watches them.
    pub async fn crash(&self, ship: &str) -> Result<(), FleetError> {
        let pid = self.engine_pid(ship)?;
        process::signal(&[pid], Signal::KILL)?;
        let place = self.find(ship)?.0;
        // The engine takes its containerd with it.
        gone(ship, || !ship::engine_or_containerd_runs(self.layout(), place)).await
    }

    /// Takes the power from the ship: engine, containers and SSH server are gone at once.
    pub async fn power_off(&self, ship: &str) -> Result<(), FleetError> {
        let place = self.find(ship)?.0;
        let (namespace, cgroup) = (self.layout().netns(place), self.layout().cgroup(place));
        let all = || {
            [process::in_namespaces(std::slice::from_ref(&namespace)), process::in_cgroup(&cgroup)].concat()
        };
        gone(ship, || {
            let left = all();
            process::signal(&left, Signal::KILL).ok();
            left.is_empty()
        })
        .await?;
        // As after a boot.
        let run = self.layout().ship_run(place);
        std::fs::remove_dir_all(&run).map_err(FleetError::io(format!("empty {}", run.display())))
    }

    /// Starts the ship's engine again after a crash, and what else ran there; waits until it answers.
    pub async fn start_again(&self, ship: &str) -> Result<(), FleetError> {
        let (place, found) = self.find(ship)?;
        let layout = self.layout();
        if ship::engine_pid(layout, place).is_some() {
            return Err(FleetError::Unsupported { what: format!("the engine of {ship} is running") });
        }
        if found.transport.kind() == TransportKind::Ssh && !ship::sshd_runs(layout, place) {
            ship::start_sshd(layout, &Installation::find()?, &self.runner(), place).await?;
        }
        EngineStart::saved(layout, place)?.launch(layout, &self.runner(), place).await?;
        ship::wait_for_engine(layout, place).await.map(drop)
    }

    /// Stops the ship's engine in an orderly way and starts it again.
    pub async fn restart_engine(&self, ship: &str) -> Result<(), FleetError> {
        let place = self.find(ship)?.0;
        process::signal(&[self.engine_pid(ship)?], Signal::TERM)?;
        gone(ship, || !ship::engine_or_containerd_runs(self.layout(), place)).await?;
        self.start_again(ship).await
    }

    /// Fills the ship's disk, which must have been given a size, to the last block.
    pub async fn fill_disk(&self, ship: &str) -> Result<(), FleetError> {
        let ballast = self.small_disk(ship)?.join(BALLAST);
        let what = format!("fill {}", ballast.display());
        let filling = tokio::task::spawn_blocking(move || fill_up(&ballast));
        filling.await.map_err(std::io::Error::other).flatten().map_err(FleetError::io(what))
    }

    /// Frees what [`PracticeFleet::fill_disk`] took.
    pub fn free_disk(&self, ship: &str) -> Result<(), FleetError> {
        let ballast = self.small_disk(ship)?.join(BALLAST);
        std::fs::remove_file(&ballast).map_err(FleetError::io(format!("remove {}", ballast.display())))
    }

    fn small_disk(&self, ship: &str) -> Result<PathBuf, FleetError> {
        let found = self.ship(ship)?;
        if found.disk_mib.is_none() {
            return Err(FleetError::Unsupported {
                what: format!("{ship} has a disk without a size; build the ship with `disk_mib`"),
            });
        }
        Ok(found.data_root.clone())
    }

    fn engine_pid(&self, ship: &str) -> Result<i32, FleetError> {
        let place = self.find(ship)?.0;
        ship::engine_pid(self.layout(), place)
            .ok_or_else(|| FleetError::Unsupported { what: format!("the engine of {ship} is not running") })
    }
}

/// Writes to a file until the disk has no room.
fn fill_up(path: &Path) -> std::io::Result<()> {
    let mut file = File::options().create(true).append(true).open(path)?;
    let block = vec![0; 64 * 1024];
    loop {
        match file.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Where a socket is while nobody may find it.
fn aside(socket: &Path) -> PathBuf {
    socket.with_extension("cut-off")
}

/// Waits until the processes of a ship are gone.
async fn gone(ship: &str, is_gone: impl FnMut() -> bool) -> Result<(), FleetError> {
    until(&format!("the processes of {ship} did not end"), is_gone).await
}

/// Waits until a condition holds that a signal brings about.
async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), FleetError> {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > DEATH {
            return Err(FleetError::Deadline { what: what.to_owned(), waited: DEATH, detail: String::new() });
        }
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}
