//! Where everything of one fleet is, and what it is called.
//!
//! All names follow from the slot (which of the 512 subnets of 198.18.0.0/15) and the number of the ship, so
//! that a fleet can be taken down by whoever knows the slot, whatever state it was left in.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Running fleets are recorded below this directory, one numbered directory each. It is on a file system that
/// does not survive a reboot, and neither do namespaces, processes and mounts.
pub(crate) const RUN: &str = "/run/maestro-practice";
/// There are this many /24 subnets in 198.18.0.0/15, the range set aside for testing networks (RFC 2544).
pub(crate) const SLOTS: u16 = 512;
/// Ships of one fleet at most: addresses .11 to .250.
pub(crate) const MOST_SHIPS: usize = 240;

/// The names and places of one fleet.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) slot: u16,
    pub(crate) state: PathBuf,
    pub(crate) ships: usize,
}

impl Layout {
    /// Runtime directory of the fleet: short, because a unix socket's path has at most 107 bytes.
    pub(crate) fn run(&self) -> PathBuf {
        slot_dir(self.slot)
    }

    /// This machine's cable to the fleet: its only interface that the fleet makes.
    pub(crate) fn host_link(&self) -> String {
        format!("mp{}", self.slot)
    }

    /// Namespace of the switch that all cables go to.
    pub(crate) fn switch_netns(&self) -> String {
        format!("mp{}x", self.slot)
    }

    /// Name of the registry's namespace and of the switch's end of its cable.
    pub(crate) fn registry_netns(&self) -> String {
        format!("mp{}r", self.slot)
    }

    /// Name of a ship's namespace and of the switch's end of its cable. Ships count from 0.
    pub(crate) fn netns(&self, ship: usize) -> String {
        format!("mp{}s{}", self.slot, ship + 1)
    }

    /// Every namespace of the fleet.
    pub(crate) fn namespaces(&self) -> Vec<String> {
        let ships = (0..self.ships).map(|ship| self.netns(ship));
        ships.chain([self.registry_netns(), self.switch_netns()]).collect()
    }

    /// Parent of the control groups of a ship's containers.
    pub(crate) fn cgroup(&self, ship: usize) -> String {
        format!("maestro-{}", self.netns(ship))
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        let [high, low] = self.slot.to_be_bytes();
        Ipv4Addr::new(198, 18 + high, low, last)
    }

    pub(crate) fn host_address(&self) -> Ipv4Addr {
        self.address(1)
    }

    pub(crate) fn registry_address(&self) -> Ipv4Addr {
        self.address(2)
    }

    pub(crate) fn ship_address(&self, ship: usize) -> Ipv4Addr {
        self.address(u8::try_from(ship).unwrap_or(u8::MAX).saturating_add(11))
    }

    pub(crate) fn subnet(&self) -> String {
        format!("{}/24", self.address(0))
    }

    pub(crate) fn ship_name(ship: usize) -> String {
        format!("ship-{}", ship + 1)
    }

    /// What a ship keeps on disk: data root, log, certificates.
    pub(crate) fn ship_dir(&self, ship: usize) -> PathBuf {
        self.state.join(Layout::ship_name(ship))
    }

    pub(crate) fn data_root(&self, ship: usize) -> PathBuf {
        self.ship_dir(ship).join("docker")
    }

    /// What the ship sees as /run: its sockets and pid files, under their usual names.
    pub(crate) fn ship_run(&self, ship: usize) -> PathBuf {
        self.run().join(format!("s{}", ship + 1))
    }

    /// The engine's socket at its usual place, for clients.
    pub(crate) fn docker_socket(&self, ship: usize) -> PathBuf {
        self.ship_run(ship).join("docker.sock")
    }

    /// The engine's second socket, for the harness: it works whatever is done to the ship's transport.
    pub(crate) fn harness_socket(&self, ship: usize) -> PathBuf {
        self.ship_run(ship).join("harness.sock")
    }

    pub(crate) fn engine_pid_file(&self, ship: usize) -> PathBuf {
        self.ship_run(ship).join("docker.pid")
    }

    pub(crate) fn containerd_pid_file(&self, ship: usize) -> PathBuf {
        self.ship_run(ship).join("docker/containerd/containerd.pid")
    }

    pub(crate) fn engine_log(&self, ship: usize) -> PathBuf {
        self.ship_dir(ship).join("dockerd.log")
    }

    pub(crate) fn sshd_log(&self, ship: usize) -> PathBuf {
        self.ship_dir(ship).join("sshd.log")
    }

    pub(crate) fn registry_dir(&self) -> PathBuf {
        self.state.join("registry")
    }

    pub(crate) fn pki_dir(&self) -> PathBuf {
        self.state.join("pki")
    }

    pub(crate) fn ssh_dir(&self) -> PathBuf {
        self.state.join("ssh")
    }

    /// The description of the running fleet.
    pub(crate) fn description(&self) -> PathBuf {
        self.state.join("fleet.json")
    }
}

/// The runtime directory of a slot.
pub(crate) fn slot_dir(slot: u16) -> PathBuf {
    Path::new(RUN).join(slot.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_cover_the_benchmark_range_and_nothing_else() {
        let layout = |slot| Layout { slot, state: PathBuf::from("/s"), ships: 2 };
        assert_eq!(layout(0).subnet(), "198.18.0.0/24");
        assert_eq!(layout(255).subnet(), "198.18.255.0/24");
        assert_eq!(layout(256).subnet(), "198.19.0.0/24");
        assert_eq!(layout(SLOTS - 1).ship_address(0).to_string(), "198.19.255.11");
        assert_eq!(layout(0).ship_address(MOST_SHIPS - 1).to_string(), "198.18.0.250");
    }

    #[test]
    fn interface_names_fit_into_the_fifteen_bytes_that_linux_allows() {
        let layout = Layout { slot: SLOTS - 1, state: PathBuf::from("/s"), ships: MOST_SHIPS };
        assert_eq!(layout.netns(MOST_SHIPS - 1), "mp511s240");
        assert!(layout.namespaces().iter().all(|name| name.len() <= 15));
    }
}
