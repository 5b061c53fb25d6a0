//! Which create requests the engine does not take, and in which words.

use crate::state::create::{CreateConfig, HostPort};
use crate::state::edition::Edition;
use crate::state::refusal::Refusal;
use std::collections::BTreeSet;
use std::net::IpAddr;

const LOG_DRIVERS: [&str; 10] =
    ["none", "local", "json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "gcplogs"];

const BIND_MODES: [&str; 12] =
    ["", "rw", "ro", "z", "Z", "nocopy", "shared", "rshared", "slave", "rslave", "private", "rprivate"];

/// Networks that exist on every engine.
pub(crate) const NETWORKS: [&str; 4] = ["default", "bridge", "host", "none"];

/// What can be judged without knowing the engine's other containers and images.
pub(crate) fn validate(config: &CreateConfig, edition: Edition) -> Result<(), Refusal> {
    ports(config)?;
    restart(config, edition)?;
    network(config)?;
    binds(config)?;
    let host = &config.host_config;
    if host.memory.is_some_and(|bytes| bytes != 0 && bytes < 6 * 1024 * 1024) {
        return Err(Refusal::bad("Minimum memory limit allowed is 6MB"));
    }
    if let Some(log) = &host.log_config
        && !log.kind.is_empty()
        && !LOG_DRIVERS.contains(&log.kind.as_str())
    {
        return Err(Refusal::bad(format!("logger: no log driver named '{}' is registered", log.kind)));
    }
    for limit in host.ulimits.iter().flatten() {
        if limit.soft.unwrap_or(0) > limit.hard.unwrap_or(0) && limit.hard != Some(-1) {
            return Err(Refusal::bad(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                limit.soft.unwrap_or(0),
                limit.hard.unwrap_or(0)
            )));
        }
    }
    if let Some(variable) = config.env.iter().flatten().find(|v| v.is_empty() || v.starts_with('=')) {
        return Err(Refusal::bad(format!("invalid environment variable: {variable}")));
    }
    if host.auto_remove || host.publish_all_ports || config.tty || config.open_stdin {
        return Err(Refusal::strict("AutoRemove, PublishAllPorts, Tty and OpenStdin are not modelled"));
    }
    Ok(())
}

fn ports(config: &CreateConfig) -> Result<(), Refusal> {
    let bindings = config.host_config.port_bindings.iter().flatten();
    for key in config.exposed_ports.iter().flat_map(|p| p.keys()) {
        container_port(key)?;
    }
    for (key, hosts) in bindings {
        container_port(key)?;
        if !config.exposed_ports.as_ref().is_some_and(|exposed| exposed.contains_key(key)) {
            // The real one binds nothing, silently.
            return Err(Refusal::strict(format!("the binding of {key} does nothing: it is not exposed")));
        }
        for host in hosts.iter().flatten() {
            host_ports(host)?;
            if let Some(ip) = host.host_ip.as_deref().filter(|ip| !ip.is_empty())
                && ip.parse::<IpAddr>().is_err()
            {
                return Err(Refusal::bad(format!("invalid IP address: {ip}")));
            }
        }
    }
    Ok(())
}

/// Reads `80/tcp`.
pub(crate) fn container_port(key: &str) -> Result<(u16, &str), Refusal> {
    let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let number = port.parse::<u16>().ok().filter(|n| *n > 0);
    match number {
        Some(number) if matches!(protocol, "tcp" | "udp" | "sctp") => Ok((number, protocol)),
        Some(_) => Err(Refusal::bad(format!("invalid proto: {protocol}"))),
        None => Err(Refusal::bad(format!("invalid port specification: \"{port}\""))),
    }
}

/// The host ports that a binding allows, both ends; none for any.
pub(crate) fn host_ports(host: &HostPort) -> Result<Option<(u16, u16)>, Refusal> {
    let text = host.host_port.as_deref().unwrap_or("");
    if text.is_empty() || text == "0" {
        return Ok(None);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first <= last => Ok(Some((first, last))),
        _ => Err(Refusal::bad(format!("invalid port specification: \"{text}\""))),
    }
}

fn restart(config: &CreateConfig, edition: Edition) -> Result<(), Refusal> {
    let name = config.restart_policy();
    match name {
        "on-failure" => Ok(()),
        "no" | "always" | "unless-stopped" if config.restart_tries() == 0 => Ok(()),
        "no" | "always" | "unless-stopped" => Err(edition.retry_count(name)),
        _ => Err(edition.restart_policy(name)),
    }
}

fn network(config: &CreateConfig) -> Result<(), Refusal> {
    let mode = config.network_mode();
    let links = config.host_config.links.iter().flatten().count();
    if mode == "host" && links > 0 {
        return Err(Refusal::bad(
            "conflicting options: host type networking can't be used with links. \
             This would result in undefined behavior",
        ));
    }
    if mode.starts_with("container:") && config.hostname.as_deref().is_some_and(|h| !h.is_empty()) {
        return Err(Refusal::bad("conflicting options: hostname and the network mode"));
    }
    Ok(())
}

fn binds(config: &CreateConfig) -> Result<(), Refusal> {
    let mut targets = BTreeSet::new();
    for bind in config.host_config.binds.iter().flatten() {
        let parts: Vec<&str> = bind.split(':').collect();
        let (source, target, mode) = match parts[..] {
            [source, target] => (source, target, ""),
            [source, target, mode] => (source, target, mode),
            _ => return Err(Refusal::bad(format!("invalid volume specification: '{bind}'"))),
        };
        if source.is_empty() || !target.starts_with('/') {
            return Err(Refusal::bad(format!(
                "invalid volume specification: '{bind}': invalid mount config for type \"bind\": \
                 invalid mount path: '{target}' mount path must be absolute"
            )));
        }
        if source.contains('/') && !source.starts_with('/') {
            return Err(Refusal::bad(format!(
                "create {source}: \"{source}\" includes invalid characters for a local volume name, only \
                 \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
                 If you intended to pass a host directory, use absolute path"
            )));
        }
        if mode.split(',').any(|part| !BIND_MODES.contains(&part)) {
            return Err(Refusal::failed(format!("invalid mode: {mode}")));
        }
        if !targets.insert(target) {
            return Err(Refusal::bad(format!("Duplicate mount point: {target}")));
        }
    }
    Ok(())
}
