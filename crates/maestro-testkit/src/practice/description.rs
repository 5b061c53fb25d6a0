//! What a client of a running fleet needs to know.

use super::pki::CertificateFiles;
use super::registry::Login;
use super::ship::TransportKind;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// A running fleet, as `practice-fleet env` prints it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FleetDescription {
    /// State directory: everything on disk that belongs to the fleet.
    pub state: PathBuf,
    /// Which of the 512 subnets it has.
    pub slot: u16,
    /// Its subnet, such as `198.18.0.0/24`.
    pub subnet: String,
    /// This machine's address in that subnet.
    pub host_address: Ipv4Addr,
    /// The registry, if there is one.
    pub registry: Option<RegistryDescription>,
    /// The ships, in order.
    pub ships: Vec<ShipDescription>,
    /// For `ssh -F`: knows every SSH ship by name and by address, with key and host keys.
    pub ssh_config: Option<PathBuf>,
}

/// The registry of a fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegistryDescription {
    /// Host and port: what image names begin with.
    pub address: String,
    /// The same as a URL.
    pub url: String,
    /// Who may push and pull.
    pub login: Login,
    /// The images in it, complete names.
    pub images: Vec<String>,
}

/// One ship.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShipDescription {
    /// `ship-1`, `ship-2`, …
    pub name: String,
    /// Its address: the engine's where it listens on TCP, and that of published ports.
    pub ip: Ipv4Addr,
    /// How its engine is reached.
    pub transport: TransportDescription,
    /// Version of the engine.
    pub engine_version: String,
    /// Newest API version of the engine.
    pub api_version: String,
    /// A socket of the engine for inspection, whatever is done to the transport.
    pub harness_socket: PathBuf,
    /// The engine's log.
    pub log: PathBuf,
    /// The ship's network namespace.
    pub netns: String,
    /// The engine's data root.
    pub data_root: PathBuf,
    /// Size of the disk at the data root in MiB, if it was given one.
    pub disk_mib: Option<u32>,
}

/// How a ship's engine is reached, with all that a client needs for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TransportDescription {
    /// Plain TCP.
    Tcp {
        /// Port at the ship's address.
        port: u16,
    },
    /// TLS, both sides with a certificate.
    Tls {
        /// Port at the ship's address.
        port: u16,
        /// The client's certificate, its key, and the authority.
        client: CertificateFiles,
    },
    /// SSH.
    Ssh {
        /// Port of the SSH server at the ship's address.
        port: u16,
        /// User to log in as.
        user: String,
        /// Private key of that user.
        key: PathBuf,
        /// Host keys, for strict checking.
        known_hosts: PathBuf,
        /// The engine's socket on the ship.
        remote_socket: PathBuf,
        /// The engine's port on the ship's loopback.
        remote_port: u16,
    },
    /// A unix socket.
    Unix {
        /// The socket.
        socket: PathBuf,
    },
}

impl TransportDescription {
    /// Which kind it is.
    pub fn kind(&self) -> TransportKind {
        match self {
            TransportDescription::Tcp { .. } => TransportKind::Tcp,
            TransportDescription::Tls { .. } => TransportKind::Tls,
            TransportDescription::Ssh { .. } => TransportKind::Ssh,
            TransportDescription::Unix { .. } => TransportKind::Unix,
        }
    }
}

impl FleetDescription {
    /// The ship of this name, or of this number counted from 1, with its place in the list.
    pub fn ship(&self, name: &str) -> Option<(usize, &ShipDescription)> {
        let number = name.parse().ok().and_then(|number: usize| number.checked_sub(1));
        let mut ships = self.ships.iter().enumerate();
        ships.find(|(place, ship)| ship.name == name || number == Some(*place))
    }

    /// The complete name of one of the ready-made images.
    pub fn image(&self, repository_and_tag: &str) -> String {
        match &self.registry {
            Some(registry) => format!("{}/{repository_and_tag}", registry.address),
            None => repository_and_tag.to_owned(),
        }
    }

    /// The sections `registries` and `ships` of an environment file for this fleet.
    pub fn environment_yaml(&self) -> String {
        let mut yaml = String::new();
        self.write_yaml(&mut yaml).ok();
        yaml
    }

    fn write_yaml(&self, yaml: &mut String) -> std::fmt::Result {
        if let Some(RegistryDescription { url, login, .. }) = &self.registry {
            writeln!(yaml, "registries:\n  practice:\n    registry: {url}")?;
            writeln!(
                yaml,
                "    username: {:?}\n    password: {:?}\n    email: null",
                login.username, login.password
            )?;
        }
        writeln!(yaml, "ships:")?;
        for ship in &self.ships {
            writeln!(yaml, "  {}:\n    ip: {}", ship.name, ship.ip)?;
            match &ship.transport {
                TransportDescription::Tcp { port } => writeln!(yaml, "    docker_port: {port}")?,
                TransportDescription::Tls { port, client } => {
                    writeln!(yaml, "    docker_port: {port}\n    tls: true\n    tls_verify: true")?;
                    writeln!(yaml, "    tls_ca_cert: {}", client.ca.display())?;
                    writeln!(yaml, "    tls_cert: {}", client.cert.display())?;
                    writeln!(yaml, "    tls_key: {}", client.key.display())?;
                }
                TransportDescription::Ssh { port, user, key, remote_port, .. } => {
                    writeln!(yaml, "    docker_port: {remote_port}\n    ssh_tunnel:\n      user: {user}")?;
                    writeln!(yaml, "      key: {}\n      port: {port}", key.display())?;
                }
                TransportDescription::Unix { socket } => {
                    writeln!(yaml, "    socket_path: {}", socket.display())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ship(name: &str, transport: TransportDescription) -> ShipDescription {
        ShipDescription {
            name: name.to_owned(),
            ip: Ipv4Addr::new(198, 18, 0, 11),
            transport,
            engine_version: "20.10.24".to_owned(),
            api_version: "1.41".to_owned(),
            harness_socket: PathBuf::from("/h.sock"),
            log: PathBuf::from("/log"),
            netns: "mp0s1".to_owned(),
            data_root: PathBuf::from("/data"),
            disk_mib: None,
        }
    }

    #[test]
    fn every_transport_is_written_as_an_environment_file_says_it() {
        let client = CertificateFiles { ca: "/ca".into(), cert: "/cert".into(), key: "/key".into() };
        let description = FleetDescription {
            state: PathBuf::from("/state"),
            slot: 0,
            subnet: "198.18.0.0/24".to_owned(),
            host_address: Ipv4Addr::new(198, 18, 0, 1),
            registry: Some(RegistryDescription {
                address: "198.18.0.2:5000".to_owned(),
                url: "http://198.18.0.2:5000".to_owned(),
                login: Login { username: "a".to_owned(), password: "b\"c".to_owned() },
                images: Vec::new(),
            }),
            ships: vec![
                ship("ship-1", TransportDescription::Tcp { port: 2375 }),
                ship("ship-2", TransportDescription::Tls { port: 2376, client }),
                ship(
                    "ship-3",
                    TransportDescription::Ssh {
                        port: 22,
                        user: "root".to_owned(),
                        key: PathBuf::from("/id"),
                        known_hosts: PathBuf::from("/known_hosts"),
                        remote_socket: PathBuf::from("/var/run/docker.sock"),
                        remote_port: 2375,
                    },
                ),
                ship("ship-4", TransportDescription::Unix { socket: PathBuf::from("/d.sock") }),
            ],
            ssh_config: None,
        };
        let expected = r#"registries:
  practice:
    registry: http://198.18.0.2:5000
    username: "a"
    password: "b\"c"
    email: null
ships:
  ship-1:
    ip: 198.18.0.11
    docker_port: 2375
  ship-2:
    ip: 198.18.0.11
    docker_port: 2376
    tls: true
    tls_verify: true
    tls_ca_cert: /ca
    tls_cert: /cert
    tls_key: /key
  ship-3:
    ip: 198.18.0.11
    docker_port: 2375
    ssh_tunnel:
      user: root
      key: /id
      port: 22
  ship-4:
    ip: 198.18.0.11
    socket_path: /d.sock
"#;
        assert_eq!(description.environment_yaml(), expected);
        let names = ["ship-3", "3", "0", "ship-5"];
        let places = names.map(|name| description.ship(name).map(|(place, _)| place));
        assert_eq!(places, [Some(2), Some(2), None, None]);
    }
}
