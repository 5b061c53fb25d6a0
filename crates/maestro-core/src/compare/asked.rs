//! What an engine would say of a container that is made of a specification now: what is asked for, laid over what the
//! image says, as the engine's `merge` of both does at creation.

use crate::fleet::{Configuration, ImageConfig, Published};
use crate::model::ContainerSpec;
use std::collections::{BTreeMap, BTreeSet};

/// An image that says nothing.
pub(super) static NO_IMAGE: ImageConfig = ImageConfig {
    env: Vec::new(),
    command: Vec::new(),
    entrypoint: Vec::new(),
    labels: BTreeMap::new(),
    user: String::new(),
    workdir: String::new(),
    exposed: BTreeSet::new(),
    volumes: BTreeSet::new(),
    healthcheck: BTreeMap::new(),
    stop_signal: String::new(),
};

/// What the engine would tell, but for what it fills in by itself.
pub(super) fn configuration(spec: &ContainerSpec, image: &ImageConfig) -> Configuration {
    let settings = &*spec.settings;
    Configuration {
        config: laid_over(spec, image),
        hostname: spec.hostname.as_ref().map(ToString::to_string).unwrap_or_default(),
        binds: settings.binds.clone(),
        mounts: Vec::new(),
        volumes_from: settings.volumes_from.clone(),
        links: settings.links.clone(),
        ports: ports(spec),
        privileged: settings.privileged,
        cap_add: settings.cap_add.clone(),
        cap_drop: settings.cap_drop.clone(),
        extra_hosts: settings.extra_hosts.clone(),
        dns: settings.dns.clone(),
        network_mode: settings.network_mode.clone().unwrap_or_default(),
        // That follows from the mode.
        networks: BTreeMap::new(),
        restart: settings.restart.clone(),
        cpu_shares: settings.cpu_shares.unwrap_or(0),
        memory: settings.memory.unwrap_or(0),
        memory_swap: settings.memory_swap.unwrap_or(0),
        log: settings.log.clone().unwrap_or_default(),
        ulimits: settings.ulimits.clone(),
        security_opt: settings.security_opt.clone(),
        others: BTreeMap::new(),
    }
}

fn laid_over(spec: &ContainerSpec, image: &ImageConfig) -> ImageConfig {
    let settings = &*spec.settings;
    let resolved = spec.env.resolved();
    let mut env: Vec<String> = image
        .env
        .iter()
        .filter(|variable| !resolved.contains_key(variable.split_once('=').map_or(&***variable, |(n, _)| n)))
        .cloned()
        .collect();
    env.extend(resolved.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => (*name).to_owned(),
    }));
    let mut labels = image.labels.clone();
    labels.extend(settings.labels.clone());
    labels.extend(spec.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())));
    let or_image = |asked: Option<&str>, image: &str| match asked {
        None | Some("") => image.to_owned(),
        Some(asked) => asked.to_owned(),
    };
    ImageConfig {
        env,
        // The entry point is never asked for, so that arguments do not take it away.
        command: match &settings.command {
            Some(command) if !command.is_empty() => command.clone(),
            _ => image.command.clone(),
        },
        entrypoint: image.entrypoint.clone(),
        labels,
        user: or_image(settings.user.as_deref(), &image.user),
        workdir: or_image(settings.workdir.as_deref(), &image.workdir),
        exposed: ports(spec).into_keys().chain(image.exposed.iter().cloned()).collect(),
        volumes: settings.volumes.union(&image.volumes).cloned().collect(),
        healthcheck: image.healthcheck.clone(),
        stop_signal: image.stop_signal.clone(),
    }
}

fn ports(spec: &ContainerSpec) -> BTreeMap<String, Vec<Published>> {
    let mut ports: BTreeMap<String, Vec<Published>> = BTreeMap::new();
    for port in &spec.ports {
        let published = Published { address: port.address.to_string(), port: port.external.to_string() };
        ports.entry(format!("{}/{}", port.exposed, port.protocol)).or_default().push(published);
    }
    ports
}
