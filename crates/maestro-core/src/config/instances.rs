//! One instance of a service (specification, section 3.5).

use super::checks::{self, Draft, Subject};
use super::env::{EnvReader, Variables};
use super::expansion::Counted;
use super::fields::{Reader, truthy};
use super::node::{Mapping, Node, Value};
use super::ports::Ports;
use super::services::Places;
use super::ships::Ships;
use super::{Schema, ports, python, resources, volumes, words};
use crate::diagnostic::{Code, Diagnostic};
use crate::guest;
use crate::image::ImageRef;
use crate::model::{EnvVar, Instance, LogConfig, Phase, Settings, Ship};
use crate::names::{InstanceName, ServiceName, ShipName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Keys of an instance.
pub(super) const KEYS: [&str; 29] = [
    "ship",
    "image",
    "command",
    "cmd",
    "ports",
    "env",
    "envfile",
    "volumes",
    "container_volumes",
    "volumes_from",
    "links",
    "username",
    "privileged",
    "cap_add",
    "cap_drop",
    "extra_hosts",
    "net",
    "restart",
    "dns",
    "stop_timeout",
    "limits",
    "log_driver",
    "log_opt",
    "lxc_conf",
    "workdir",
    "security_opt",
    "ulimits",
    "labels",
    "lifecycle",
];

/// Logging drivers that engines have built in.
const LOG_DRIVERS: [&str; 11] = [
    "json-file",
    "syslog",
    "journald",
    "gelf",
    "fluentd",
    "none",
    "local",
    "awslogs",
    "splunk",
    "gcplogs",
    "logentries",
];

const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// What an instance inherits: read once, and shared where it is long.
pub(super) struct Parents<'a> {
    pub(super) service: ServiceName,
    pub(super) image: Option<Arc<str>>,
    pub(super) env: Vec<Arc<[EnvVar]>>,
    /// How much that counts.
    pub(super) env_count: u64,
    pub(super) ports: Ports,
    /// How much those count.
    pub(super) ports_count: u64,
    pub(super) checks: Vec<(Phase, Vec<Draft>)>,
    pub(super) limits: resources::Limits,
    pub(super) schema: Schema,
    pub(super) ships: &'a Ships,
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    env: &mut EnvReader,
    parents: &Parents<'_>,
    name: &InstanceName,
    key: &Node,
    node: &Node,
) -> Option<(Instance, Places)> {
    let what = format!("instance `{name}`");
    let empty = Mapping::default();
    let map = match &node.value {
        Value::Null => &empty,
        _ => reader.mapping(node, &what)?,
    };
    reader.check_keys(map, &KEYS, &what, &[]);
    let image = match map.get("image").filter(|n| !n.is_null()) {
        Some(node) => reader.image(node, &format!("`image` of {what}")),
        None => parents.image.clone(),
    };
    let ship = ship(reader, parents, (map, node), &what, key);
    let ports = if reader.expand(Counted::Ports, parents.ports_count, key.span) {
        ports::read(reader, &parents.ports, map.get("ports"), &what, key.span)
    } else {
        Ports { has_faulty: true, ..Ports::default() }
    };
    let volumes = volumes::read(
        reader,
        map.get("volumes").map(|n| &**n),
        map.get("container_volumes").map(|n| &**n),
        parents.schema,
        &what,
    );
    let volumes_from = map
        .get("volumes_from")
        .map(|node| reader.names(node, &format!("`volumes_from` of {what}")))
        .unwrap_or_default();
    let volumes_from: Vec<_> = volumes_from.into_iter().map(|(name, node)| (name, node.span)).collect();
    let ip = ship.map_or_else(|| "".into(), |ship| ship.ip.clone());
    let subject =
        Subject { owner: &what, ip: ip.clone(), ports: &ports.by_name, has_faulty_ports: ports.has_faulty };
    let own_checks = checks::read(reader, map.get("lifecycle"), &what);
    let checks = checks::bind(reader, [&parents.checks, &own_checks], &subject, key.span);
    let stop_timeout = map
        .get("stop_timeout")
        .filter(|node| !node.is_null())
        .and_then(|node| reader.seconds(node, &format!("`stop_timeout` of {what}")))
        .unwrap_or(DEFAULT_STOP_TIMEOUT);
    let mut settings = settings(reader, parents, map, &what);
    settings.binds = volumes.binds;
    settings.volumes = volumes.paths.keys().cloned().collect();
    settings.volumes_from = volumes_from.iter().map(|(name, _)| name.clone()).collect();
    let fits = reader.expand(Counted::Variables, parents.env_count, key.span);
    let mut variables = Variables::after(if fits { &parents.env } else { &[] });
    for key in ["envfile", "env"] {
        if let Some(node) = map.get(key) {
            env.read(reader, node, &what, &mut variables);
        }
    }
    let (image, ship) = (ImageRef::parse(image?), ship?);
    variables.push(EnvVar::new(guest::CONTAINER_NAME, name.as_str()));
    variables.push(EnvVar::new(guest::HOST_ADDRESS, ip));
    variables.push(EnvVar::new(guest::IMAGE, image.as_str()));
    variables.push(EnvVar::new(guest::TAG, image.tag()));
    settings.env = variables.finish();
    let instance = Instance {
        name: name.clone(),
        service: parents.service.clone(),
        ship: ship.name.clone(),
        image,
        ports: ports.by_name,
        stop_timeout,
        after: BTreeSet::new(),
        checks,
        settings: Arc::new(settings),
    };
    Some((
        instance,
        Places { name: key.span, ports: ports.places, volumes_from, volume_paths: volumes.paths },
    ))
}

fn ship<'a>(
    reader: &mut Reader<'_>,
    parents: &Parents<'a>,
    (map, value): (&Mapping, &Node),
    what: &str,
    key: &Node,
) -> Option<&'a Ship> {
    let written = map.get("ship");
    let Some(node) = written.filter(|n| !n.is_null()) else {
        // An environment that names no ships has one, and there is nothing to choose.
        let only = parents.ships.only();
        if only.is_none() && !parents.ships.is_unknown() {
            reader.missing(key, written.map_or(value, |node| node), what, "ship");
        }
        return only;
    };
    let name = reader.text(node, &format!("`ship` of {what}"))?;
    let ship = parents.ships.by_name.get(name.as_str());
    if ship.is_none() && !parents.ships.is_faulty(&name) && !parents.ships.is_unknown() {
        let message = format!("ship `{name}`, of {what}, does not exist");
        let error = Diagnostic::error(Code::UnknownName, message).at(node.span);
        let error = reader.suggest(error, &name, parents.ships.by_name.keys().map(ShipName::as_str));
        reader.report(error);
    }
    ship
}

fn settings(reader: &mut Reader<'_>, parents: &Parents<'_>, map: &Mapping, what: &str) -> Settings {
    let limits = resources::read(reader, parents.limits, map.get("limits"), what);
    let of = |key: &str| map.get(key).filter(|n| truthy(n));
    let (privileged, labels, ulimits, restart) =
        (of("privileged"), of("labels"), of("ulimits"), map.get("restart"));
    // In quotes even `no` is true: nobody is to get all privileges for that, and no engine takes it.
    if let Some(node) = privileged.filter(|node| matches!(node.value, Value::Str(_))) {
        let message = format!("`privileged` of {what} must be `yes` or `no`, not a text");
        reader.report(
            Diagnostic::error(Code::WrongType, message)
                .at(node.span)
                .help("write it without quotes")
                .formerly("takes every text for true, and sends it to the engine, which refuses it"),
        );
    }
    let (user, net, workdir) = (of("username"), of("net"), of("workdir"));
    if let Some(node) = of("lxc_conf") {
        let message = format!("`lxc_conf` of {what} is not sent: today's engines do nothing with it");
        let warning = Diagnostic::warning(Code::Suspicious, message).at(node.span);
        reader.report(
            warning
                .help("remove it; `limits`, `cap_add` and `security_opt` do what it was used for")
                .formerly("sends it to the engine"),
        );
    }
    let lists = ["cap_add", "cap_drop", "dns", "security_opt"].map(|key| {
        map.get(key).map(|node| reader.texts(node, &format!("`{key}` of {what}"))).unwrap_or_default()
    });
    let [cap_add, cap_drop, dns, security_opt] = lists;
    let mut text = |node: Option<&Arc<Node>>, key: &str| {
        node.and_then(|n| reader.text(n, &format!("`{key}` of {what}")))
    };
    let (user, network_mode, workdir) = (text(user, "username"), text(net, "net"), text(workdir, "workdir"));
    Settings {
        command: command(reader, map, what),
        links: pairs(reader, map, "links", what),
        extra_hosts: extra_hosts(reader, parents, map, what),
        restart: restart.map(|node| resources::restart(reader, node, what)).unwrap_or_default(),
        cpu_shares: limits.cpu,
        memory: limits.memory,
        memory_swap: limits.swap,
        log: log(reader, map, what),
        ulimits: ulimits.map(|node| resources::ulimits(reader, node, what)).unwrap_or_default(),
        labels: labels.map(|node| read_labels(reader, node, what)).unwrap_or_default(),
        user,
        privileged: privileged.is_some(),
        cap_add,
        cap_drop,
        network_mode,
        dns,
        security_opt,
        workdir,
        ..Settings::default()
    }
}

/// `command`, or `cmd` where that key is absent: a list as it is, a string split into words.
fn command(reader: &mut Reader<'_>, map: &Mapping, what: &str) -> Option<Vec<String>> {
    let node = map.get("command").or_else(|| map.get("cmd"))?;
    match &node.value {
        Value::Null => None,
        Value::Seq(_) => Some(reader.texts(node, &format!("`command` of {what}"))),
        _ => {
            let text = reader.text(node, &format!("`command` of {what}"))?;
            words::split(&text)
                .map_err(|error| {
                    let message = format!("`command` of {what} cannot be split into words: {error}");
                    reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
                })
                .ok()
        }
    }
}

/// `name:value` for each entry of a mapping, sorted.
fn pairs(reader: &mut Reader<'_>, map: &Mapping, key: &str, what: &str) -> Vec<String> {
    let Some(node) = map.get(key) else { return Vec::new() };
    let mut pairs = reader.text_map(node, &format!("`{key}` of {what}"));
    pairs.sort();
    pairs.into_iter().map(|(name, value)| format!("{name}:{value}")).collect()
}

fn extra_hosts(reader: &mut Reader<'_>, parents: &Parents<'_>, map: &Mapping, what: &str) -> Vec<String> {
    let what = format!("`extra_hosts` of {what}");
    let Some(hosts) = map.get("extra_hosts").and_then(|node| reader.mapping(node, &what)) else {
        return Vec::new();
    };
    let mut lines = BTreeMap::new();
    for (key, value) in &hosts.entries {
        let name = python::text(key);
        match &value.value {
            Value::Str(ip) => {
                lines.insert(name, ip.to_string());
            }
            Value::Map(map) => {
                let Some(ship) = map.get("ship") else {
                    reader.missing(value, value, &format!("`{name}` in {what}"), "ship");
                    continue;
                };
                let ship_name = python::text(ship);
                match parents.ships.by_name.get(ship_name.as_str()) {
                    Some(ship) => {
                        lines.insert(name, ship.ip.to_string());
                    }
                    None if parents.ships.is_faulty(&ship_name) => {}
                    None => {
                        let message = format!("ship `{ship_name}`, of `{name}` in {what}, does not exist");
                        let error = Diagnostic::error(Code::UnknownName, message).at(ship.span);
                        let known = parents.ships.by_name.keys().map(ShipName::as_str);
                        let error = reader.suggest(error, &ship_name, known);
                        reader.report(error);
                    }
                }
            }
            _ => reader.report(
                Diagnostic::warning(
                    Code::Suspicious,
                    format!("`{name}` in {what} is {} and is ignored", value.kind()),
                )
                .at(value.span)
                .help("write an address, or {ship: NAME}"),
            ),
        }
    }
    lines.into_iter().map(|(name, ip)| format!("{name}:{ip}")).collect()
}

fn log(reader: &mut Reader<'_>, map: &Mapping, what: &str) -> Option<LogConfig> {
    let options = map.get("log_opt").filter(|n| !n.is_null());
    let Some(node) = map.get("log_driver").filter(|n| truthy(n)) else {
        if let Some(node) = options {
            let message = format!("`log_opt` of {what} is ignored: it has no `log_driver`");
            reader.report(Diagnostic::warning(Code::Suspicious, message).at(node.span));
        }
        return None;
    };
    let driver = reader.text(node, &format!("`log_driver` of {what}"))?;
    // A name with a slash or a colon is that of a plugin.
    if !LOG_DRIVERS.contains(&driver.as_str()) && !driver.contains(['/', ':']) {
        let message = format!("`log_driver` of {what} is `{driver}`, which no engine has");
        reader.report(
            Diagnostic::error(Code::BadValue, message).at(node.span).suggest(&driver, LOG_DRIVERS).note(
                format!(
                    "the drivers are {}; plugins are named with their repository",
                    LOG_DRIVERS.join(", ")
                ),
            ),
        );
        return None;
    }
    let options = match options {
        None => BTreeMap::new(),
        Some(node) => match &node.value {
            Value::Map(map) => {
                map.entries.iter().map(|(key, value)| (python::text(key), python::text(value))).collect()
            }
            _ => {
                let message = format!("`log_opt` of {what} must be a mapping, not {}", node.kind());
                reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
                BTreeMap::new()
            }
        },
    };
    Some(LogConfig { driver, options })
}

fn read_labels(reader: &mut Reader<'_>, node: &Node, what: &str) -> BTreeMap<String, String> {
    let what = format!("`labels` of {what}");
    let labels: BTreeMap<String, String> = match &node.value {
        Value::Seq(_) => reader.texts(node, &what).into_iter().map(|label| (label, String::new())).collect(),
        Value::Map(map) => map
            .entries
            .iter()
            .map(|(key, value)| {
                // Q-39: engines take text only.
                (python::text(key), if value.is_null() { String::new() } else { python::text(value) })
            })
            .collect(),
        _ => {
            let message = format!("{what} must be a list or a mapping, not {}", node.kind());
            reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
            BTreeMap::new()
        }
    };
    if let Some(label) = labels.keys().find(|label| label.starts_with("maestro.")) {
        let message = format!("{what}: `{label}` is one of Maestro's own labels");
        reader.report(Diagnostic::error(Code::Conflict, message).at(node.span).help(
            "labels that begin with `maestro.` are how Maestro knows its containers; choose another name",
        ).formerly("sends it like any other"));
    }
    labels
}

#[cfg(test)]
mod tests {
    use crate::config::golden::show;
    use crate::config::{Limits, load};
    use crate::source::MapSources;

    #[test]
    fn what_is_not_sent_is_warned_of() {
        let text = "name: t\nships: {a: {ip: 192.0.2.1}}\nservices:\n  s:\n    image: bb\n    instances:\n      \
                    s-1: {ship: a, lxc_conf: {lxc.cgroup.cpuset.cpus: 0}}\n      s-2: {ship: a, lxc_conf: {}}\n";
        let loaded = load(&MapSources::of(text), &Limits::default());
        insta::assert_snapshot!(show(&loaded.diagnostics, &loaded.sources), @r#"
        W0501 `lxc_conf` of instance `s-1` is not sent: today's engines do nothing with it
          maestro.yaml:7:32 "{lxc.cgroup.cpuset.cpus: 0}"
          help: remove it; `limits`, `cap_add` and `security_opt` do what it was used for
        "#);
        assert!(loaded.environment.is_some());
    }
}
