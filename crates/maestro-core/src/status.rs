//! What is there, instance by instance: the answer of `status`, before anybody decides how it looks.

use crate::engine_error::EngineError;
use crate::fleet::{ContainerState, FleetSnapshot, Health, ObservedContainer, Ownership, ShipView};
use crate::image::ImageRef;
use crate::model::{Environment, Instance, Picked, Protocol};
use crate::names::{ConfigHash, ContainerId, ImageId, InstanceName, ServiceName, ShipName};
use jiff::Timestamp;
use std::sync::Arc;

/// One instance: what the file wants and what its ship says.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusRow {
    /// The instance.
    pub instance: InstanceName,
    /// Its service.
    pub service: ServiceName,
    /// Its ship.
    pub ship: ShipName,
    /// The ship's address.
    pub address: Arc<str>,
    /// Its image, as the file names it.
    pub image: ImageRef,
    /// What its ship says.
    pub found: Found,
    /// Its published ports in the order of the file.
    pub ports: Vec<PortStatus>,
    /// Containers that were to take its place, and are left by a deployment that was broken off: what they are called,
    /// and what they are doing.
    pub left: Vec<(Arc<str>, ContainerState)>,
}

/// What a ship says about an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// There is a container of that name.
    Container(Box<Sighting>),
    /// There is none.
    Absent,
    /// The ship could not be seen, so nothing is known.
    HostDown(EngineError),
    /// The ship was not looked at.
    Unknown,
}

/// A container that bears an instance's name.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Its id.
    pub id: ContainerId,
    /// The image that it was created from, as it was named then.
    pub image: ImageRef,
    /// The content of that image.
    pub image_id: ImageId,
    /// What it is doing.
    pub state: ContainerState,
    /// What its HEALTHCHECK says, where that is known.
    pub health: Option<Health>,
    /// When it last started.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// How long it has been running or down: `5m3s`; none where the clocks or the engine do not tell.
    pub since: Option<String>,
    /// How its process ended, if it did.
    pub exit_code: Option<i64>,
    /// How often the engine has restarted it.
    pub restarts: Option<u64>,
    /// The fingerprint that it was created with, if Maestro created it.
    pub config: Option<ConfigHash>,
    /// Whose it is, if it is not this environment's: half a sentence.
    pub foreign: Option<String>,
}

/// One published port, and whether something accepts connections there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortStatus {
    /// Its name in the file.
    pub name: Arc<str>,
    /// The port on the ship, or a range of them.
    pub external: Arc<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// What to connect to in order to find out; none where one connection cannot tell (UDP, ranges) or the ship
    /// cannot be seen.
    pub target: Option<u16>,
    /// Whether a connection was accepted; none if none was tried.
    pub answers: Option<bool>,
}

/// One row per instance, in the order given; names that the environment does not have are left out.
///
/// Ports are listed with their targets; whoever wants to know whether they answer fills that in.
pub fn rows(
    environment: &Environment,
    fleet: &FleetSnapshot,
    instances: &[InstanceName],
    now: Timestamp,
) -> Vec<StatusRow> {
    instances
        .iter()
        .filter_map(|name| environment.instances.get(name))
        .map(|instance| row(environment, fleet, instance, now))
        .collect()
}

fn row(environment: &Environment, fleet: &FleetSnapshot, instance: &Instance, now: Timestamp) -> StatusRow {
    let found = match fleet.ship(&instance.ship) {
        None => Found::Unknown,
        Some(ShipView::Unreachable(error)) => Found::HostDown(error.clone()),
        Some(ShipView::Reachable(state)) => match state.containers.get(instance.name.as_str()) {
            None => Found::Absent,
            Some(container) => Found::Container(Box::new(sighting(environment, container, now))),
        },
    };
    let left = match fleet.ship(&instance.ship) {
        Some(ShipView::Reachable(state)) => state
            .nexts(environment, &instance.name)
            .map(|container| (container.name.clone(), container.state))
            .collect(),
        Some(ShipView::Unreachable(_)) | None => Vec::new(),
    };
    let seen = matches!(found, Found::Container(_) | Found::Absent);
    let picked = fleet
        .container(&instance.ship, &instance.name)
        .map(|container| Picked::of(instance, &container.labels))
        .unwrap_or_default();
    let ports = instance
        .ports
        .iter()
        .map(|(name, port)| PortStatus {
            name: name.clone(),
            external: match picked.get(name) {
                Some(number) => number.to_string().into(),
                None => port.external.clone(),
            },
            protocol: port.protocol,
            target: port
                .external_number()
                .or_else(|| picked.get(name))
                .filter(|_| seen && port.protocol == Protocol::Tcp),
            answers: None,
        })
        .collect();
    StatusRow {
        instance: instance.name.clone(),
        service: instance.service.clone(),
        ship: instance.ship.clone(),
        address: environment.ships.get(&instance.ship).map_or_else(|| "".into(), |ship| ship.ip.clone()),
        image: instance.image.clone(),
        found,
        ports,
        left,
    }
}

fn sighting(environment: &Environment, container: &ObservedContainer, now: Timestamp) -> Sighting {
    let running = container.state.is_running();
    Sighting {
        id: container.id.clone(),
        image: container.image.clone(),
        image_id: container.image_id.clone(),
        state: container.state,
        health: container.health,
        started_at: container.started_at,
        finished_at: container.finished_at,
        since: elapsed(if running { container.started_at } else { container.finished_at }, now),
        exit_code: container.exit_code.filter(|_| !running),
        restarts: container.restarts,
        config: container.config_hash(),
        foreign: match container.ownership(environment) {
            Ownership::Ours | Ownership::Adoptable => None,
            Ownership::Foreign(whose) => Some(whose),
        },
    }
}

/// How long ago something was, as status tables say it. None if unknown: engines write the year 1 for "never", and
/// a clock that is behind the engine's sees the future.
pub fn elapsed(then: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let then = then.filter(|t| t.as_second() >= 0)?;
    u64::try_from(now.duration_since(then).as_secs()).ok().map(span)
}

/// A number of seconds as `Ns`, `NmNs`, `NhNm` or `NdNhNm`.
pub fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m{}s", seconds % 60),
        3_600..86_400 => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{EngineState, EngineVersion};
    use crate::model::{ApiVersion, LABEL_CONFIG, LABEL_ENVIRONMENT, Port, Settings, Ship, Transport};
    use indexmap::IndexMap;
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn spans_have_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3_599, "59m59s"),
            (3_600, "1h0m"),
            (86_399, "23h59m"),
            (86_400, "1d0h0m"),
            (10 * 86_400 + 3 * 3_600 + 7 * 60 + 9, "10d3h7m"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn unknown_and_future_times_say_nothing() {
        let now = at("2026-11-21T12:00:00Z");
        assert_eq!(elapsed(Some(at("2026-11-21T11:58:57.9Z")), now), Some("1m2s".into()));
        assert_eq!(elapsed(Some(at("2026-11-21T12:00:00.4Z")), now), Some("0s".into()));
        assert_eq!(elapsed(Some(at("2026-11-21T12:00:01Z")), now), None);
        assert_eq!(elapsed(Some(at("0001-01-01T00:00:00Z")), now), None);
        assert_eq!(elapsed(None, now), None);
    }

    fn environment() -> Environment {
        let port = |external: &str, protocol| Port {
            exposed: "80".into(),
            external: external.into(),
            protocol,
            address: "0.0.0.0".into(),
        };
        let instance = |name: &str, ship: &str| Instance {
            name: name.into(),
            service: "web".into(),
            ship: ship.into(),
            image: ImageRef::parse("shop/web:2"),
            ports: [
                ("http".into(), port("8080", Protocol::Tcp)),
                ("dns".into(), port("53", Protocol::Udp)),
                ("many".into(), port("8000-8010", Protocol::Tcp)),
            ]
            .into_iter()
            .collect::<IndexMap<_, _>>()
            .into(),
            stop_timeout: Duration::from_secs(10),
            after: BTreeSet::new(),
            checks: BTreeMap::new(),
            settings: Settings::default().into(),
        };
        let ship = |name: &str, ip: &str| Ship {
            name: name.into(),
            ip: ip.into(),
            transport: Transport::Tcp { host: ip.into(), port: 2375 },
            api_version: None,
            timeout: None,
            tags: std::collections::BTreeMap::new(),
        };
        Environment {
            name: Some("shop".into()),
            ships: [ship("s1", "192.0.2.1"), ship("s2", "192.0.2.2")]
                .into_iter()
                .map(|s| (s.name.clone(), s))
                .collect(),
            services: BTreeMap::new(),
            instances: ["web-1", "web-2", "web-3"]
                .into_iter()
                .map(|n| (n.into(), instance(n, "s1")))
                .chain([("web-4".into(), instance("web-4", "s2"))])
                .collect(),
            registries: indexmap::IndexMap::default(),
            auditors: Vec::new(),
            balancers: BTreeMap::new(),
            safeguards: crate::model::Safeguards::default(),
            anchors: Vec::new(),
            ledger: None,
            secrets: BTreeMap::new(),
        }
    }

    fn container(name: &str, state: ContainerState, labels: &[(&str, &str)]) -> ObservedContainer {
        ObservedContainer {
            id: "0123456789abcdef".into(),
            name: name.into(),
            state,
            health: Some(Health::Unhealthy),
            image: ImageRef::parse("shop/web:1"),
            image_id: "sha256:feedbeef".into(),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            started_at: Some(at("2026-11-21T11:00:00Z")),
            finished_at: Some(at("2026-11-21T11:59:30Z")),
            exit_code: Some(137),
            restarts: Some(2),
            ports: std::collections::BTreeMap::new(),
            configuration: None,
        }
    }

    #[test]
    fn every_instance_gets_what_its_ship_says() {
        let engine = EngineState {
            version: EngineVersion {
                engine: "28.5".into(),
                api: ApiVersion::NEWEST,
                min_api: Some(ApiVersion::OLDEST),
            },
            containers: [
                container(
                    "web-1",
                    ContainerState::Paused,
                    &[(LABEL_ENVIRONMENT, "shop"), (LABEL_CONFIG, "c0ffee")],
                ),
                container("web-2", ContainerState::Exited, &[("com.docker.compose.project", "x")]),
            ]
            .into_iter()
            .map(|c| (c.name.clone(), c))
            .collect(),
            images: None,
            image_configs: BTreeMap::new(),
            defaults: None,
        };
        let down = EngineError {
            ship: "s2".into(),
            operation: "looking".into(),
            kind: crate::engine_error::EngineErrorKind::Lost("reset".into()),
            ambiguous: false,
        };
        let fleet = FleetSnapshot {
            ships: [
                ("s1".into(), ShipView::Reachable(engine.into())),
                ("s2".into(), ShipView::Unreachable(down.clone())),
            ]
            .into(),
        };
        let names = ["web-4", "web-3", "web-2", "web-1", "nobody"].map(InstanceName::from);
        let now = at("2026-11-21T12:00:00Z");
        let rows = rows(&environment(), &fleet, &names, now);
        assert_eq!(
            rows.iter().map(|r| r.instance.as_str()).collect::<Vec<_>>(),
            ["web-4", "web-3", "web-2", "web-1"]
        );
        assert_eq!(rows[0].found, Found::HostDown(down));
        assert_eq!(&*rows[0].address, "192.0.2.2");
        assert!(rows[0].ports.iter().all(|p| p.target.is_none()));
        assert_eq!(rows[1].found, Found::Absent);
        let targets: Vec<_> = rows[1].ports.iter().map(|p| p.target).collect();
        assert_eq!(targets, [Some(8080), None, None], "UDP and ranges cannot be tried");

        let Found::Container(exited) = &rows[2].found else { panic!("{:?}", rows[2].found) };
        assert_eq!((exited.since.as_deref(), exited.exit_code), (Some("30s"), Some(137)));
        assert!(exited.foreign.as_deref().is_some_and(|f| f.contains("com.docker.compose.project")));
        assert_eq!(exited.config, None);

        let Found::Container(paused) = &rows[3].found else { panic!("{:?}", rows[3].found) };
        assert_eq!(paused.since.as_deref(), Some("1h0m"), "paused counts as running");
        assert_eq!(paused.exit_code, None, "the last exit code of a running container says nothing");
        assert_eq!(paused.foreign, None);
        assert_eq!(paused.config, Some(ConfigHash("c0ffee".into())));
    }
}
