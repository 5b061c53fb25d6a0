//! Which host ports are taken, and by whom.

use crate::state::container::{Container, Published};
use crate::state::refusal::Refusal;
use crate::state::validate::{container_port, host_ports};
use crate::state::{Machine, edition::Edition};

/// Where ports are picked from when a container does not say which it wants.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

impl Machine {
    /// The ports that a container gets when it starts now, or in which words it is told that it does not.
    pub(crate) fn publish(&self, container: &Container) -> Result<Vec<Published>, Refusal> {
        let mut got: Vec<Published> = Vec::new();
        if matches!(container.config.network_mode(), "host" | "none") {
            return Ok(got);
        }
        for (key, hosts) in container.config.host_config.port_bindings.iter().flatten() {
            let (port, protocol) = container_port(key)?;
            for host in hosts.iter().flatten() {
                let ip = host.host_ip.as_deref().filter(|ip| !ip.is_empty()).unwrap_or("0.0.0.0");
                if !self.is_own_address(ip) {
                    let message = format!("listen {protocol}4 {ip}: bind: cannot assign requested address");
                    return Err(self.no_port(container, &message));
                }
                let range = host_ports(host)?;
                let (first, last) = range.unwrap_or((*EPHEMERAL.start(), *EPHEMERAL.end()));
                let free = (first..=last).find(|p| {
                    let taken = |t: &Published| {
                        t.host == *p && t.protocol == protocol && (overlap(&t.ip, ip) || overlap(ip, &t.ip))
                    };
                    !got.iter().any(taken)
                        && !self
                            .containers
                            .values()
                            .filter(|c| c.id != container.id)
                            .any(|c| c.published.iter().any(taken))
                        && !self.foreign_ports.contains(p)
                });
                let Some(free) = free else {
                    let message = format!("Bind for {ip}:{first} failed: port is already allocated");
                    return Err(self.no_port(container, &message));
                };
                got.push(Published {
                    container: port,
                    protocol: protocol.to_owned(),
                    ip: ip.to_owned(),
                    host: free,
                });
            }
        }
        Ok(got)
    }

    /// A process outside of all containers listens on a host port.
    pub fn occupy(&mut self, port: u16) {
        self.foreign_ports.insert(port);
    }

    fn is_own_address(&self, ip: &str) -> bool {
        matches!(ip, "0.0.0.0" | "::") || ip.starts_with("127.") || *ip == *self.address
    }

    fn no_port(&self, container: &Container, message: &str) -> Refusal {
        let edition: Edition = self.edition();
        let endpoint = crate::state::image::hex(&["endpoint", container.id.as_str()]);
        Refusal::failed(edition.networking(format!(
            "driver failed programming external connectivity on endpoint {} ({endpoint}): {message}",
            container.name
        )))
    }
}

/// Whether whoever listens on the first address also takes the second.
fn overlap(wide: &str, narrow: &str) -> bool {
    wide == narrow || matches!(wide, "0.0.0.0" | "::")
}
