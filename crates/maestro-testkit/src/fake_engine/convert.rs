//! Between the state machine's types and the core's.

use crate::state::{
    Container, CreateConfig, HostConfig, HostPort as Binding, LogConfig, Machine, Published, RestartPolicy,
    Ulimit,
};
use maestro_core::boundary::{Examination, Scope};
use maestro_core::fleet::{
    ClockReading, EngineState, Health, HostFacts, HostPort, ObservedContainer, ObservedImage, Occupant,
};
use maestro_core::image::ImageRef;
use maestro_core::model::{ContainerSpec, Protocol};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The body of the create request for a specification.
pub fn create_config(spec: &ContainerSpec) -> CreateConfig {
    let settings = &*spec.settings;
    let mut bindings: BTreeMap<String, Option<Vec<Binding>>> = BTreeMap::new();
    for port in &spec.ports {
        let hosts = bindings.entry(format!("{}/{}", port.exposed, port.protocol)).or_default();
        hosts.get_or_insert_default().push(Binding {
            host_ip: Some(port.address.to_string()),
            host_port: Some(port.external.to_string()),
        });
    }
    let mut labels = settings.labels.clone();
    labels.extend(spec.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    let env = spec.env.resolved().into_iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    });
    let empty = serde_json::Value::Object(serde_json::Map::new());
    CreateConfig {
        hostname: spec.hostname.as_ref().map(ToString::to_string),
        user: settings.user.clone(),
        exposed_ports: Some(bindings.keys().map(|port| (port.clone(), empty.clone())).collect()),
        env: Some(env.collect()),
        cmd: settings.command.clone(),
        image: spec.image.as_str().to_owned(),
        volumes: Some(settings.volumes.iter().map(|path| (path.clone(), empty.clone())).collect()),
        working_dir: settings.workdir.clone(),
        labels: Some(labels),
        host_config: HostConfig {
            binds: Some(settings.binds.clone()),
            links: Some(settings.links.clone()),
            volumes_from: Some(settings.volumes_from.clone()),
            port_bindings: Some(bindings),
            restart_policy: Some(RestartPolicy {
                name: Some(settings.restart.name.to_string()),
                maximum_retry_count: Some(settings.restart.retries),
            }),
            network_mode: settings.network_mode.clone(),
            privileged: settings.privileged,
            cap_add: Some(settings.cap_add.clone()),
            cap_drop: Some(settings.cap_drop.clone()),
            dns: Some(settings.dns.clone()),
            extra_hosts: Some(settings.extra_hosts.clone()),
            cpu_shares: settings.cpu_shares,
            memory: settings.memory,
            memory_swap: settings.memory_swap,
            log_config: settings
                .log
                .as_ref()
                .map(|log| LogConfig { kind: log.driver.clone(), config: Some(log.options.clone()) }),
            ulimits: Some(
                settings
                    .ulimits
                    .iter()
                    .map(|limit| Ulimit { name: limit.name.clone(), soft: limit.soft, hard: limit.hard })
                    .collect(),
            ),
            security_opt: Some(settings.security_opt.clone()),
            ..HostConfig::default()
        },
        ..CreateConfig::default()
    }
}

/// What an observation shows.
pub(crate) fn engine_state(machine: &Machine, scope: &Scope) -> EngineState {
    let containers = machine.containers();
    EngineState {
        version: machine.edition().version(),
        containers: containers
            .iter()
            .filter(|c| scope.only.as_ref().is_none_or(|only| only.contains(&*c.name)))
            .map(|c| {
                let wanted = scope.details.contains(&*c.name);
                (c.name.clone(), observed(machine, c, wanted, wanted && scope.configurations))
            })
            .collect(),
        images: scope.images.then(|| {
            let image = |i: &crate::state::LocalImage| ObservedImage {
                id: i.content.id.clone(),
                tags: i.tags.iter().cloned().collect(),
                digests: i.digests.iter().cloned().collect(),
            };
            machine.images().iter().map(image).collect()
        }),
        image_configs: containers
            .iter()
            .filter(|c| scope.configurations && scope.details.contains(&*c.name))
            .filter(|c| machine.images().iter().any(|image| image.content.id == c.content.id))
            .map(|c| (c.content.id.clone(), Arc::new(c.content.image_config())))
            .collect(),
        defaults: (scope.configurations && !scope.details.is_empty()).then(Machine::defaults),
    }
}

/// What an examination finds out.
pub(crate) fn host_facts(machine: &Machine, wanted: &Examination) -> HostFacts {
    let host = machine.host();
    let occupant = |container: &&Container| Occupant {
        name: container.name.clone(),
        ports: container.published.iter().filter_map(published).collect(),
        in_host_network: container.config.network_mode() == "host",
    };
    let containers = machine.containers();
    let occupants: Vec<Occupant> =
        containers.iter().filter(|c| machine.shown_state(c).is_running()).map(occupant).collect();
    let free = |port: &&HostPort| !occupants.iter().flat_map(|o| &o.ports).any(|own| own.clashes(port));
    let listens = |port: &HostPort| match port.protocol {
        Protocol::Tcp => Ok(machine.is_occupied(port.port)),
        Protocol::Udp => Err("nobody who listens for UDP says so".to_owned()),
    };
    let platform = |image: &ImageRef| {
        let found = machine.image(image.as_str())?;
        Some((image.clone(), found.content.platform.clone()))
    };
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for image in machine.images() {
        let size: u64 = image.content.layers.iter().sum();
        for name in image.tags.iter().chain(&image.digests) {
            let known =
                sizes.entry(ImageRef::parse(name.as_str()).listed_repository().to_owned()).or_default();
            *known = (*known).max(size);
        }
    }
    HostFacts {
        version: machine.edition().version(),
        platform: Some(host.platform.clone()),
        clock: Some(ClockReading { ahead: host.ahead, uncertainty: Duration::ZERO }),
        memory: Some(host.memory),
        limits_memory: Machine::defaults().memory,
        data_root: Some(crate::fake_dockerd::DATA_ROOT.to_owned()),
        disk: host.disk.clone(),
        listening: wanted.ports.iter().filter(free).map(|port| (port.clone(), listens(port))).collect(),
        volumes: Some(machine.volumes().clone()),
        networks: Some(machine.network_names().map(str::to_owned).into()),
        platforms: wanted.images.iter().filter_map(platform).collect(),
        sizes,
        occupants,
    }
}

fn published(port: &Published) -> Option<HostPort> {
    let protocol = match &*port.protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some(HostPort::new(protocol, &port.ip, port.host))
}

fn observed(
    machine: &Machine,
    container: &Container,
    details: bool,
    configuration: bool,
) -> ObservedContainer {
    // With details, the engine says how the image was named; a list shows its id once the name means another.
    let image = if details { container.config.image.as_str() } else { machine.shown_image(container) };
    ObservedContainer {
        id: container.id.clone(),
        name: container.name.clone(),
        state: if details { container.state } else { machine.shown_state(container) },
        health: details.then(|| container.health.unwrap_or(Health::None)),
        image: ImageRef::parse(image),
        image_id: container.content.id.clone(),
        labels: container.config.labels.clone().unwrap_or_default(),
        started_at: container.started_at.filter(|_| details),
        finished_at: container.finished_at.filter(|_| details),
        exit_code: container.exit().filter(|_| details),
        restarts: details.then_some(container.restarts),
        ports: container.published.iter().map(|published| (published.host, published.container)).collect(),
        configuration: configuration.then(|| Arc::new(machine.configuration(container))),
    }
}
