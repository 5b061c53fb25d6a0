//! What a file means for one instance.

use maestro_core::model::{ContainerSpec, Environment, Instance, LABEL_CONFIG};
use maestro_core::names::ConfigHash;
use serde::Serialize;
use std::collections::BTreeMap;

/// A file and what it means, in one document.
#[derive(Debug, Serialize)]
pub struct Dump {
    /// The file itself, loaded.
    pub config: serde_json::Value,
    /// The instances that were selected.
    pub instances: Vec<InstanceDump>,
}

/// One instance with everything that its container would be asked for; the attributes that maestro-ng's `dump` shows,
/// under its names where they have a meaning here.
#[derive(Debug, Serialize)]
pub struct InstanceDump {
    name: String,
    service: String,
    ship: String,
    ship_ip: String,
    ship_address: String,
    image: String,
    short_image: String,
    hostname: Option<String>,
    command: Option<Vec<String>>,
    env: BTreeMap<String, Option<String>>,
    ports: Vec<Port>,
    volumes: Vec<String>,
    container_volumes: Vec<String>,
    volumes_from: Vec<String>,
    links: Vec<String>,
    username: Option<String>,
    privileged: bool,
    cap_add: Vec<String>,
    cap_drop: Vec<String>,
    extra_hosts: Vec<String>,
    network_mode: Option<String>,
    restart_policy: RestartPolicy,
    dns: Vec<String>,
    stop_timeout: f64,
    cpu_shares: Option<i64>,
    mem_limit: Option<i64>,
    memswap_limit: Option<i64>,
    log_config: Option<LogConfig>,
    workdir: Option<String>,
    security_opt: Vec<String>,
    ulimits: Vec<Ulimit>,
    labels: BTreeMap<String, String>,
    lifecycle: BTreeMap<&'static str, Vec<&'static str>>,
    /// The fingerprint; none if the values of secrets are part of it, which are not looked up for this.
    config: Option<String>,
}

#[derive(Debug, Serialize)]
struct Port {
    name: String,
    exposed: String,
    external: String,
    protocol: String,
    address: String,
}

#[derive(Debug, Serialize)]
struct RestartPolicy {
    name: String,
    retries: i64,
}

#[derive(Debug, Serialize)]
struct LogConfig {
    driver: String,
    options: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct Ulimit {
    name: String,
    soft: Option<i64>,
    hard: Option<i64>,
}

impl InstanceDump {
    /// Of an instance and what would be asked for.
    pub fn new(
        environment: &Environment,
        instance: &Instance,
        spec: &ContainerSpec,
        hash: &ConfigHash,
    ) -> Self {
        let settings = &*spec.settings;
        let ship = environment.ships.get(&instance.ship);
        let is_sealed = spec.env.secrets().values().any(|secret| secret.missing().is_some());
        let own_labels = spec
            .labels
            .iter()
            .filter(|(key, _)| !(is_sealed && **key == LABEL_CONFIG))
            .map(|(key, value)| (key.to_string(), value.to_string()));
        Self {
            name: instance.name.to_string(),
            service: instance.service.to_string(),
            ship: instance.ship.to_string(),
            ship_ip: ship.map(|s| s.ip.to_string()).unwrap_or_default(),
            ship_address: ship.map(|s| s.transport.to_string()).unwrap_or_default(),
            image: spec.image.to_string(),
            short_image: spec.image.short().to_owned(),
            hostname: spec.hostname.as_ref().map(ToString::to_string),
            command: settings.command.clone(),
            env: spec
                .env
                .resolved()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
                .collect(),
            ports: instance
                .ports
                .iter()
                .map(|(name, port)| Port {
                    name: name.to_string(),
                    exposed: port.exposed.to_string(),
                    external: port.external.to_string(),
                    protocol: port.protocol.to_string(),
                    address: port.address.to_string(),
                })
                .collect(),
            volumes: settings.binds.clone(),
            container_volumes: settings.volumes.iter().cloned().collect(),
            volumes_from: settings.volumes_from.clone(),
            links: settings.links.clone(),
            username: settings.user.clone(),
            privileged: settings.privileged,
            cap_add: settings.cap_add.clone(),
            cap_drop: settings.cap_drop.clone(),
            extra_hosts: settings.extra_hosts.clone(),
            network_mode: settings.network_mode.clone(),
            restart_policy: RestartPolicy {
                name: settings.restart.name.to_string(),
                retries: settings.restart.retries,
            },
            dns: settings.dns.clone(),
            stop_timeout: instance.stop_timeout.as_secs_f64(),
            cpu_shares: settings.cpu_shares,
            mem_limit: settings.memory,
            memswap_limit: settings.memory_swap,
            log_config: settings
                .log
                .as_ref()
                .map(|log| LogConfig { driver: log.driver.clone(), options: log.options.clone() }),
            workdir: settings.workdir.clone(),
            security_opt: settings.security_opt.clone(),
            ulimits: settings
                .ulimits
                .iter()
                .map(|limit| Ulimit { name: limit.name.clone(), soft: limit.soft, hard: limit.hard })
                .collect(),
            labels: settings.labels.clone().into_iter().chain(own_labels).collect(),
            lifecycle: instance
                .checks
                .iter()
                .map(|(phase, checks)| {
                    (phase.key(), checks.iter().map(maestro_core::model::Check::name).collect())
                })
                .collect(),
            config: (!is_sealed).then(|| hash.to_string()),
        }
    }
}
