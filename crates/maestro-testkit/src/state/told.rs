//! What an engine tells of a container that was asked for: laid over its image, with what engines fill in.

use crate::state::container::Container;
use crate::state::create::{CreateConfig, HostConfig, LogConfig, RestartPolicy};
use crate::state::edition::Edition;
use crate::state::refusal::Refusal;
use crate::state::{Machine, hex};
use maestro_core::fleet::{Configuration, Connection, EngineDefaults, ImageConfig, Published};
use maestro_core::model;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The size of shared memory.
const SHM: i64 = 64 << 20;

/// The body of `POST /containers/{}/update`: limits that can be changed while a container runs.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the Engine API's, by the same names")]
pub struct Update {
    pub memory: Option<i64>,
    pub memory_swap: Option<i64>,
    pub cpu_shares: Option<i64>,
    pub nano_cpus: Option<i64>,
    pub pids_limit: Option<i64>,
    pub restart_policy: Option<RestartPolicy>,
}

impl Machine {
    /// What the engine takes where nothing is asked for.
    pub(crate) fn defaults() -> EngineDefaults {
        EngineDefaults {
            log_driver: "json-file".to_owned(),
            runtime: "runc".to_owned(),
            memory: true,
            swap: true,
            cpu_shares: true,
        }
    }

    /// `POST /containers/{}/update`. What is not said stays.
    pub fn update(&mut self, reference: &str, update: Update) -> Result<(), Refusal> {
        let id = self.resolve(reference)?;
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        let host = &container.config.host_config;
        let (memory, swap) = (update.memory.filter(|n| *n != 0).or(host.memory).unwrap_or(0), swap(host));
        if memory > swap && swap > 0 && update.memory_swap.unwrap_or(0) == 0 {
            return Err(Refusal::failed(format!(
                "Cannot update container {}: Memory limit should be smaller than already set memoryswap limit, \
                 update the memoryswap at the same time",
                container.id
            )));
        }
        let host = &mut Arc::make_mut(&mut container.config).host_config;
        let set = |field: &mut Option<i64>, value: Option<i64>| {
            if value.is_some_and(|value| value != 0) {
                *field = value;
            }
        };
        set(&mut host.memory, update.memory);
        set(&mut host.memory_swap, update.memory_swap);
        set(&mut host.cpu_shares, update.cpu_shares);
        set(&mut host.nano_cpus, update.nano_cpus);
        set(&mut host.pids_limit, update.pids_limit);
        if let Some(policy) =
            update.restart_policy.filter(|p| p.name.as_deref().is_some_and(|n| !n.is_empty()))
        {
            host.restart_policy = Some(policy);
        }
        Ok(())
    }

    /// All that an inspection says was asked for.
    pub(crate) fn told(&self, container: &Container) -> CreateConfig {
        let asked = &*container.config;
        let image = container.content.image_config();
        let entrypoint = asked.entrypoint.clone();
        let command = asked.cmd.clone().filter(|cmd| !cmd.is_empty());
        let mut labels = image.labels;
        labels.extend(asked.labels.clone().unwrap_or_default());
        let or_image = |asked: &Option<String>, image: String| {
            Some(asked.clone().filter(|asked| !asked.is_empty()).unwrap_or(image))
        };
        let keys = |asked: &Option<BTreeMap<String, Value>>, image: std::collections::BTreeSet<String>| {
            let image = image.into_iter().map(|key| (key, Value::Object(serde_json::Map::new())));
            let all: BTreeMap<_, _> = image.chain(asked.clone().unwrap_or_default()).collect();
            (!all.is_empty()).then_some(all)
        };
        CreateConfig {
            hostname: Some(self.hostname(container)),
            user: or_image(&asked.user, image.user),
            exposed_ports: keys(&asked.exposed_ports, image.exposed),
            volumes: keys(&asked.volumes, image.volumes),
            env: Some(env(asked.env.as_deref().unwrap_or_default(), &image.env)),
            cmd: match (&entrypoint, command) {
                (None, None) => Some(image.command).filter(|cmd| !cmd.is_empty()),
                (_, command) => command,
            },
            entrypoint: entrypoint.or_else(|| Some(image.entrypoint).filter(|e| !e.is_empty())),
            working_dir: or_image(&asked.working_dir, image.workdir),
            labels: Some(labels),
            stop_signal: or_image(&asked.stop_signal, image.stop_signal).filter(|signal| !signal.is_empty()),
            host_config: self.told_of_host(container),
            ..asked.clone()
        }
    }

    fn hostname(&self, container: &Container) -> String {
        let asked = container.config.hostname.clone().filter(|name| !name.is_empty());
        asked.unwrap_or_else(|| match self.neighbour(container) {
            Some(other) => self.hostname(other),
            None if container.config.network_mode() == "host" => "ship".to_owned(),
            None => container.id.as_str().chars().take(12).collect(),
        })
    }

    /// Whose network the container shares.
    fn neighbour(&self, container: &Container) -> Option<&Container> {
        let name = container.config.network_mode().strip_prefix("container:")?;
        self.get(name).ok().filter(|other| other.id != container.id)
    }

    fn told_of_host(&self, container: &Container) -> HostConfig {
        let asked = &container.config.host_config;
        let mode = match (container.config.network_mode(), self.neighbour(container)) {
            (_, Some(other)) => format!("container:{}", other.id),
            ("default", None) => self.edition().say("default", "bridge"),
            (mode, None) => mode.to_owned(),
        };
        let policy = asked.restart_policy.clone().unwrap_or_default();
        let name = policy.name.filter(|name| !name.is_empty() || self.edition() == Edition::V20);
        let link = |link: &String| {
            let (target, alias) = link.split_once(':').unwrap_or((link, link));
            format!("/{target}:/{}/{alias}", container.name)
        };
        let log = asked.log_config.clone().unwrap_or_default();
        let driver = if log.kind.is_empty() { Self::defaults().log_driver } else { log.kind };
        let unconfined = asked.privileged.then(|| "label=disable".to_owned());
        let options: Vec<String> = asked.security_opt.iter().flatten().cloned().chain(unconfined).collect();
        HostConfig {
            links: Some(asked.links.iter().flatten().map(link).collect()),
            network_mode: Some(mode),
            restart_policy: Some(RestartPolicy {
                name: Some(name.unwrap_or_else(|| self.edition().say("", "no"))),
                maximum_retry_count: Some(policy.maximum_retry_count.unwrap_or(0)),
            }),
            cpu_shares: Some(asked.cpu_shares.unwrap_or(0)),
            memory: Some(asked.memory.unwrap_or(0)),
            memory_swap: Some(swap(asked)),
            log_config: Some(LogConfig { kind: driver, config: Some(log.config.unwrap_or_default()) }),
            security_opt: Some(options),
            shm_size: Some(asked.shm_size.filter(|size| *size > 0).unwrap_or(SHM)),
            ..asked.clone()
        }
    }

    /// The networks that it is connected to, or will be, and their ids.
    pub(crate) fn networks(container: &Container) -> BTreeMap<String, String> {
        let network = match container.config.network_mode() {
            mode if mode.starts_with("container:") => return BTreeMap::new(),
            "default" => "bridge",
            mode => mode,
        };
        BTreeMap::from([(network.to_owned(), hex(&["network", network]))])
    }

    /// The same as the core has it.
    pub(crate) fn configuration(&self, container: &Container) -> Configuration {
        let told = self.told(container);
        let host = told.host_config;
        let restart = host.restart_policy.unwrap_or_default();
        let log = host.log_config.unwrap_or_default();
        let text = |text: Option<String>| text.unwrap_or_default();
        Configuration {
            hostname: text(told.hostname),
            config: ImageConfig {
                env: told.env.unwrap_or_default(),
                command: told.cmd.unwrap_or_default(),
                entrypoint: told.entrypoint.unwrap_or_default(),
                labels: told.labels.unwrap_or_default(),
                user: text(told.user),
                workdir: text(told.working_dir),
                exposed: told.exposed_ports.into_iter().flatten().map(|(port, _)| port).collect(),
                volumes: told.volumes.into_iter().flatten().map(|(path, _)| path).collect(),
                healthcheck: container.content.image_config().healthcheck,
                stop_signal: text(told.stop_signal),
            },
            binds: host.binds.unwrap_or_default(),
            mounts: Vec::new(),
            volumes_from: host.volumes_from.unwrap_or_default(),
            links: host.links.unwrap_or_default(),
            ports: published(host.port_bindings.unwrap_or_default()),
            privileged: host.privileged,
            cap_add: host.cap_add.unwrap_or_default(),
            cap_drop: host.cap_drop.unwrap_or_default(),
            extra_hosts: host.extra_hosts.unwrap_or_default(),
            dns: host.dns.unwrap_or_default(),
            network_mode: text(host.network_mode),
            networks: Self::networks(container)
                .into_iter()
                .map(|(name, id)| (name, Connection { id, address: String::new() }))
                .collect(),
            restart: model::RestartPolicy {
                name: text(restart.name).into(),
                retries: restart.maximum_retry_count.unwrap_or(0),
            },
            cpu_shares: host.cpu_shares.unwrap_or(0),
            memory: host.memory.unwrap_or(0),
            memory_swap: host.memory_swap.unwrap_or(0),
            log: model::LogConfig { driver: log.kind, options: log.config.unwrap_or_default() },
            ulimits: host
                .ulimits
                .into_iter()
                .flatten()
                .map(|limit| model::Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard })
                .collect(),
            security_opt: host.security_opt.unwrap_or_default(),
            others: [
                ("shm_size", host.shm_size.map(|size| size.to_string())),
                ("read_only", host.readonly_rootfs.then(|| "yes".to_owned())),
                ("pids_limit", host.pids_limit.filter(|n| *n != 0).map(|n| n.to_string())),
                ("cpus", host.nano_cpus.filter(|n| *n > 0).map(cpus)),
            ]
            .into_iter()
            .filter_map(|(attribute, text)| Some((attribute.to_owned(), text?)))
            .collect(),
        }
    }
}

/// The image's variables behind those that are asked for, and without those that these name.
fn env(asked: &[String], image: &[String]) -> Vec<String> {
    let name = |variable: &str| variable.split_once('=').map_or(variable, |(name, _)| name).to_owned();
    let names: Vec<String> = asked.iter().map(|variable| name(variable)).collect();
    let further = image.iter().filter(|variable| !names.contains(&name(variable)));
    asked.iter().chain(further).cloned().collect()
}

/// As much swap as memory where nothing is said of it.
fn swap(host: &HostConfig) -> i64 {
    match (host.memory.unwrap_or(0), host.memory_swap.unwrap_or(0)) {
        (memory, 0) => memory.saturating_mul(2),
        (_, swap) => swap,
    }
}

fn cpus(nano: i64) -> String {
    let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn published(
    bindings: BTreeMap<String, Option<Vec<crate::state::HostPort>>>,
) -> BTreeMap<String, Vec<Published>> {
    let published = |host: crate::state::HostPort| Published {
        address: host.host_ip.unwrap_or_default(),
        port: host.host_port.unwrap_or_default(),
    };
    let hosts = bindings
        .into_iter()
        .map(|(port, hosts)| (port, hosts.into_iter().flatten().map(published).collect::<Vec<_>>()));
    hosts.filter(|(_, hosts)| !hosts.is_empty()).collect()
}
