//! The environment of a regular fleet: so many ships, so many containers on each.

use maestro_core::config::{Limits, load};
use maestro_core::model::{Environment, Transport};
use maestro_core::source::MapSources;
use std::fmt::Write as _;

/// A regular fleet. Ship `ship-0001` has the containers `app-0001-01`, `app-0001-02`, … of the service `app-0001`, so
/// that link variables do not grow with the square of the fleet.
#[derive(Debug, Clone)]
pub struct Grid {
    ships: Vec<Transport>,
    containers: usize,
    image: String,
    ship_settings: String,
}

/// A grid that Maestro cannot load. The text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the grid's environment does not load: {0}")]
pub struct GridError(String);

impl Grid {
    /// So many ships with so many containers each, at addresses that do not exist.
    pub fn new(ships: usize, containers: usize) -> Self {
        let address = |n: usize| Transport::Tcp {
            host: format!("198.18.{}.{}", n / 250, n % 250 + 1).into(),
            port: 2375,
        };
        Self::over((0..ships).map(address).collect(), containers)
    }

    /// Ships that are reached like this, with so many containers each.
    pub fn over(ships: Vec<Transport>, containers: usize) -> Self {
        Self { ships, containers, image: "grid/app:1".to_owned(), ship_settings: String::new() }
    }

    /// With this image.
    #[must_use]
    pub fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    /// With these settings of every ship, as YAML in flow style: `api_version: "1.24", timeout: 30`.
    #[must_use]
    pub fn ship_settings(mut self, settings: &str) -> Self {
        settings.clone_into(&mut self.ship_settings);
        self
    }

    /// The name of a ship, counted from 0.
    pub fn ship(index: usize) -> String {
        format!("ship-{:04}", index + 1)
    }

    /// The environment file.
    pub fn yaml(&self) -> String {
        let mut text = String::from("__maestro: {schema: 2}\nname: grid\nships:\n");
        for (index, transport) in self.ships.iter().enumerate() {
            let mut ship = address(transport);
            if !self.ship_settings.is_empty() {
                ship = format!("{ship}, {}", self.ship_settings);
            }
            line(&mut text, &format!("  {}: {{{ship}}}", Self::ship(index)));
        }
        text.push_str("services:\n");
        for index in 0..self.ships.len() {
            let service = format!("app-{:04}", index + 1);
            line(&mut text, &format!("  {service}:\n    image: {}\n    instances:", self.image));
            for container in 1..=self.containers {
                let ship = Self::ship(index);
                let ports = format!("{{http: {{exposed: 8080, external: {}}}}}", 20_000 + container);
                line(&mut text, &format!("      {service}-{container:02}: {{ship: {ship}, ports: {ports}}}"));
            }
        }
        text
    }

    /// What the file means.
    pub fn environment(&self) -> Result<Environment, GridError> {
        let loaded = load(&MapSources::of(self.yaml()), &Limits::default());
        loaded.environment.ok_or_else(|| GridError(format!("{:?}", loaded.diagnostics)))
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    _ = writeln!(text, "{line}");
}

fn address(transport: &Transport) -> String {
    match transport {
        Transport::Tcp { host, port } => format!("ip: {host}, docker_port: {port}"),
        Transport::Unix { path } => format!("ip: 127.0.0.1, socket_path: {path}"),
        Transport::Tls { host, port, identity, trust } => {
            let mut text = format!("ip: {host}, docker_port: {port}, tls: true");
            if let Some(identity) = identity {
                _ = write!(text, ", tls_cert: {}, tls_key: {}", identity.cert, identity.key);
            }
            if let maestro_core::model::Trust::File(ca) = trust {
                _ = write!(text, ", tls_verify: true, tls_ca_cert: {ca}");
            }
            text
        }
        Transport::Ssh { host, .. } => format!("ip: {host}"),
    }
}
