//! `ships:` and `ship_defaults:`: hosts and how their engines are reached (specification, sections 3.3 and 9).

use super::docker_host::{self, from_docker_host};
use super::endpoints::{HAS_LOGIN, LONGEST_NAME, endpoint_url, host, is_ssh_host, is_ssh_user};
use super::fields::{Reader, truthy};
use super::node::{Mapping, Node, Value};
use super::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{ApiVersion, Identity, Ship, SshRemote, Transport, Trust};
use crate::names::ShipName;
use crate::source::Hidden;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Keys that a ship takes from `ship_defaults` unless it has them itself, even with null.
const DEFAULTED: [&str; 11] = [
    "docker_port",
    "socket_path",
    "api_version",
    "timeout",
    "ssh_tunnel",
    "tls",
    "tls_cert",
    "tls_key",
    "tls_ca_cert",
    "tls_verify",
    "ssl_version",
];
const OWN: [&str; 3] = ["ip", "endpoint", "tags"];

/// The ships of a file.
#[derive(Debug, Default)]
pub(super) struct Ships {
    /// Those that could be read.
    pub(super) by_name: BTreeMap<ShipName, Ship>,
    /// Those that are there and could not, and whose names are therefore no further mistake.
    faulty: BTreeSet<String>,
    /// Whether there are none because `DOCKER_HOST` is missing, too.
    unknown: bool,
}

impl Ships {
    /// Whether a fault with this name has been reported already.
    pub(super) fn is_faulty(&self, name: &str) -> bool {
        self.faulty.contains(name)
    }

    /// Whether any of them could not be read, or it is not known which there are.
    pub(super) fn has_gaps(&self) -> bool {
        self.unknown || !self.faulty.is_empty()
    }

    /// The ship of an instance that names none.
    pub(super) fn only(&self) -> Option<&Ship> {
        self.by_name.get(docker_host::SHIP).filter(|_| self.by_name.len() == 1)
    }

    /// Whether it has been reported already that there are no ships.
    pub(super) fn is_unknown(&self) -> bool {
        self.unknown
    }
}

/// Reads all ships.
pub(super) fn read(reader: &mut Reader<'_>, root: &Mapping, root_node: &Node) -> Ships {
    let defaults = root.get("ship_defaults").and_then(|node| {
        let map = reader.mapping(node, "`ship_defaults`")?;
        reader.check_keys(map, &DEFAULTED, "`ship_defaults`", &[(&OWN, "a ship")]);
        Some(map)
    });
    let mut all = Ships::default();
    let Some(ships) = root.get("ships") else {
        match from_docker_host(reader, root_node) {
            Some(ship) => {
                all.by_name.insert(ship.name.clone(), ship);
            }
            None => all.unknown = true,
        }
        return all;
    };
    if ships.is_null() {
        reader.report(
            Diagnostic::error(Code::MissingKey, "`ships` is empty")
                .at(ships.span)
                .help("write `ships: {}` for none, or leave the key out to use DOCKER_HOST"),
        );
        all.unknown = true;
    }
    let Some(ships) = reader.mapping(ships, "`ships`") else { return all };
    for (key, value) in &ships.entries {
        let name = python::text(key);
        match ship(reader, &name, value, defaults) {
            Some(ship) => {
                all.by_name.insert(ship.name.clone(), ship);
            }
            None => {
                all.faulty.insert(name);
            }
        }
    }
    all
}

fn ship(reader: &mut Reader<'_>, name: &str, node: &Node, defaults: Option<&Mapping>) -> Option<Ship> {
    let what = format!("ship `{name}`");
    let empty = Mapping::default();
    let map = match &node.value {
        Value::Null => &empty,
        _ => reader.mapping(node, &what)?,
    };
    let known: Vec<&str> = OWN.into_iter().chain(DEFAULTED).collect();
    reader.check_keys(map, &known, &what, &[]);
    let field = |key: &str| map.get(key).or_else(|| defaults?.get(key));
    let Some(ip_node) = map.get("ip") else {
        reader.missing(node, node, &what, "ip");
        return None;
    };
    let ip: Arc<str> = reader.required_text(ip_node, &format!("`ip` of {what}"))?.into();
    // Every container is told, in many variables.
    if ip.len() > LONGEST_NAME + 1 {
        let length = ip.len();
        let message = format!(
            "`ip` of {what} is no address: it has {length} bytes, and names of hosts have {LONGEST_NAME} at most"
        );
        reader.report(Diagnostic::error(Code::BadValue, message).at(ip_node.span).formerly("takes any text"));
        return None;
    }
    let endpoint = match map.get("endpoint").filter(|n| !n.is_null()) {
        Some(node) => Some((reader.text(node, &format!("`endpoint` of {what}"))?, node.as_ref())),
        None => None,
    };
    let transport = match &endpoint {
        Some((url, node)) if url.contains("://") => match endpoint_url(url) {
            Ok(Transport::Tls { host, port, .. }) => tls(reader, &what, host, port, &field),
            Ok(transport) => transport,
            Err(why) => {
                bad_endpoint(reader, node, &what, url, &why);
                return None;
            }
        },
        _ => classic(reader, &what, (&ip, ip_node), endpoint.as_ref(), &field)?,
    };
    Some(Ship {
        name: name.into(),
        ip,
        transport,
        api_version: api_version(reader, field("api_version"), &what),
        timeout: field("timeout")
            .filter(|n| truthy(n))
            .and_then(|n| reader.seconds(n, &format!("`timeout` of {what}"))),
        tags: map
            .get("tags")
            .map(|node| reader.text_map(node, &format!("`tags` of {what}")).into_iter().collect())
            .unwrap_or_default(),
    })
}

/// Complains about an endpoint. Endpoints are printed, so none may have a password in it, and none that has is quoted.
fn bad_endpoint(reader: &mut Reader<'_>, node: &Node, what: &str, text: &str, why: &str) {
    let error = Diagnostic::error(Code::BadValue, format!("`endpoint` of {what}: {why}"))
        .at(node.span)
        .formerly("takes any text, and tries to connect to it");
    let digits = |port: &&str| !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit());
    let error = match text.rsplit_once(':').map(|(_, port)| port).filter(digits) {
        _ if why == HAS_LOGIN => {
            reader.map.hide(Hidden { span: node.span, within: None });
            error.help("an engine takes no password; write `ssh://USER@HOST`, or `tls_cert:` and `tls_key:`")
        }
        Some(port) if !text.contains("://") => {
            error.help(format!("write `tcp://{text}`, or the host alone and `docker_port: {port}`"))
        }
        _ => error,
    };
    reader.report(error);
}

/// maestro-ng's three forms, first match wins: SSH tunnel, socket, TCP with or without TLS.
fn classic<'n>(
    reader: &mut Reader<'_>,
    what: &str,
    (ip, ip_node): (&str, &Node),
    endpoint: Option<&(String, &Node)>,
    field: &impl Fn(&str) -> Option<&'n Arc<Node>>,
) -> Option<Transport> {
    let secure = ["tls", "tls_verify"].iter().any(|key| field(key).is_some_and(|n| truthy(n)));
    let tls_port = field("tls").is_some_and(|n| truthy(n));
    let port = match field("docker_port").filter(|n| !n.is_null()) {
        None => {
            if tls_port {
                2376
            } else {
                2375
            }
        }
        Some(node) => reader.port(node, &format!("`docker_port` of {what}"))?,
    };
    let text = endpoint.map_or(ip, |(text, _)| text);
    let refuse = |reader: &mut Reader<'_>, why: &str| match endpoint {
        Some((_, node)) => bad_endpoint(reader, node, what, text, why),
        None => {
            if why == HAS_LOGIN {
                reader.map.hide(Hidden { span: ip_node.span, within: None });
            }
            let message = format!("`ip` of {what}: {why}");
            reader.report(
                Diagnostic::error(Code::BadValue, message)
                    .at(ip_node.span)
                    .formerly("takes any text, and tries to connect to it"),
            );
        }
    };
    if let Some(tunnel) = field("ssh_tunnel").filter(|n| truthy(n)) {
        if text.contains('@') {
            refuse(reader, HAS_LOGIN);
            return None;
        }
        let host = text.trim_start_matches('[').trim_end_matches(']').into();
        return ssh_tunnel(reader, tunnel, what, host, port);
    }
    if let Some(path) = field("socket_path").filter(|n| truthy(n)) {
        let path = reader.text(path, &format!("`socket_path` of {what}"))?;
        return Some(Transport::Unix { path: path.into() });
    }
    let host: Arc<str> = match host(text) {
        Ok(host) => host.into(),
        Err(why) => {
            refuse(reader, &why);
            return None;
        }
    };
    if secure { Some(tls(reader, what, host, port, field)) } else { Some(Transport::Tcp { host, port }) }
}

fn tls<'n>(
    reader: &mut Reader<'_>,
    what: &str,
    host: Arc<str>,
    port: u16,
    field: &impl Fn(&str) -> Option<&'n Arc<Node>>,
) -> Transport {
    let mut path = |key: &str| {
        let node = field(key).filter(|n| truthy(n))?;
        Some((Arc::<str>::from(reader.text(node, &format!("`{key}` of {what}"))?), node.span))
    };
    let (cert, key, ca) = (path("tls_cert"), path("tls_key"), path("tls_ca_cert"));
    let identity = match (cert, key) {
        (Some((cert, _)), Some((key, _))) => Some(Identity { cert, key, optional: false }),
        (None, None) => None,
        (Some((_, span)), None) | (None, Some((_, span))) => {
            let message = format!("{what} needs both `tls_cert` and `tls_key`");
            reader.report(Diagnostic::error(Code::MissingKey, message).at(span));
            None
        }
    };
    let verify = field("tls_verify").is_some_and(|n| truthy(n));
    let trust = match (verify, ca) {
        (true, Some((ca, _))) => Trust::File(ca),
        (true, None) => Trust::System,
        (false, Some((_, span))) => {
            let message =
                format!("{what} has a `tls_ca_cert` that is not used: certificates are not verified");
            reader.report(
                Diagnostic::warning(Code::Suspicious, message).at(span).help("add `tls_verify: true`"),
            );
            Trust::Anything
        }
        (false, None) => Trust::Anything,
    };
    Transport::Tls { host, port, identity, trust }
}

fn ssh_tunnel(
    reader: &mut Reader<'_>,
    node: &Node,
    ship: &str,
    host: Arc<str>,
    docker_port: u16,
) -> Option<Transport> {
    let what = format!("`ssh_tunnel` of {ship}");
    let map = reader.mapping(node, &what)?;
    reader.check_keys(map, &["user", "key", "port", "socket"], &what, &[]);
    let mut text = |key: &str| {
        let Some(value) = map.get(key).filter(|n| truthy(n)) else {
            let other = format!("endpoint: ssh://USER@{host}");
            reader.report(
                Diagnostic::error(Code::MissingKey, format!("{what} has no `{key}`")).at(node.span).help(
                    format!("`{other}` needs neither user nor key: ssh's own configuration and agent apply"),
                ),
            );
            return None;
        };
        reader.text(value, &format!("`{key}` of {what}"))
    };
    let (user, key) = (text("user"), text("key"));
    let port = match map.get("port").filter(|n| !n.is_null()) {
        None => None,
        Some(node) => Some(reader.port(node, &format!("`port` of {what}"))?),
    };
    let remote = match map.get("socket").filter(|n| !n.is_null()) {
        Some(node) => SshRemote::Socket(reader.text(node, &format!("`socket` of {what}"))?.into()),
        None => SshRemote::Port(docker_port),
    };
    if !is_ssh_host(&host) || !user.as_deref().is_none_or(is_ssh_user) {
        let message = format!("{what}: `{host}` or its user is no name that ssh can be given");
        reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
        return None;
    }
    Some(Transport::Ssh { host, port, user: Some(user?.into()), key: Some(key?.into()), remote })
}

fn api_version(reader: &mut Reader<'_>, node: Option<&Arc<Node>>, what: &str) -> Option<ApiVersion> {
    let node = node.filter(|n| !n.is_null())?;
    // As written: to YAML, 1.20 is the number 1.2.
    let text = match &node.value {
        Value::Float(number) => number.text.to_string(),
        _ => reader.text(node, &format!("`api_version` of {what}"))?,
    };
    if text == "auto" {
        return None;
    }
    let version = ApiVersion::parse(&text);
    if version.is_none() {
        let message =
            format!("`api_version` of {what} must be `auto` or a version such as 1.41, not `{text}`");
        reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
    }
    if version.is_some_and(|v| v < ApiVersion::OLDEST) {
        let message = format!(
            "`api_version: {text}` of {what} is older than any that Maestro speaks ({}); it is ignored",
            ApiVersion::OLDEST
        );
        reader.report(
            Diagnostic::warning(Code::Suspicious, message)
                .at(node.span)
                .help("remove it: the version is negotiated with each engine")
                .formerly("speaks just that version, and 1.18 where none is given"),
        );
        return None;
    }
    version
}

#[cfg(test)]
mod tests {
    use crate::config::golden::show;
    use crate::config::{Limits, load};
    use crate::source::{MapSources, SourceId};

    #[test]
    fn endpoints_are_checked() {
        let ships = [
            "a: {ip: h, endpoint: '10.0.0.1:2375'}",
            "b: {ip: h, endpoint: 'a b'}",
            "c: {ip: h, endpoint: 'tcp://[::1'}",
            "d: {ip: h, docker_port: 0}",
            "e: {ip: h, endpoint: 'tcp://h:0'}",
            "f: {ip: h, ssh_tunnel: {user: u, key: k, port: 0}}",
            "g: {ip: h, endpoint: 'tcp://u:hunter2@h:1'}",
            "h: {ip: h, endpoint: 'u:hunter2@h'}",
            "i: {ip: 'u:hunter2@h'}",
            "j: {ip: 'u:hunter2@h', ssh_tunnel: {user: u, key: k}}",
            "k: {ip: 'h:2375'}",
            "l: {ip: h, endpoint: 'ssh://u:hunter2@h'}",
            "fine: {ip: h, endpoint: '[::1]', docker_port: '1'}",
            "socket: {ip: 'any thing', socket_path: /s}",
        ];
        let text = format!("name: t\nservices: {{}}\nships:\n  {}\n", ships.join("\n  "));
        let loaded = load(&MapSources::of(&*text), &Limits::default());
        let said = show(&loaded.diagnostics, &loaded.sources);
        for diagnostic in loaded.diagnostics.iter() {
            assert!(!format!("{diagnostic:?}").contains("hunter2"));
        }
        assert_eq!(loaded.sources.hidden(SourceId(0)).count(), 5);
        let messages = said.lines().filter(|line| !line.starts_with("  maestro.yaml")).collect::<Vec<_>>();
        insta::assert_snapshot!(messages.join("\n"), @"
        E0304 `endpoint` of ship `a`: `10.0.0.1:2375` is no host name and no address
          help: write `tcp://10.0.0.1:2375`, or the host alone and `docker_port: 2375`
        E0304 `endpoint` of ship `b`: `a b` is no host name and no address
        E0304 `endpoint` of ship `c`: `[::1` is no host name and no address
        E0304 `docker_port` of ship `d` must be from 1 to 65535, not 0
        E0304 `endpoint` of ship `e`: `0` is no port: ports are from 1 to 65535
        E0304 `port` of `ssh_tunnel` of ship `f` must be from 1 to 65535, not 0
        E0304 `endpoint` of ship `g`: it has a login in it, before the `@`
          help: an engine takes no password; write `ssh://USER@HOST`, or `tls_cert:` and `tls_key:`
        E0304 `endpoint` of ship `h`: it has a login in it, before the `@`
          help: an engine takes no password; write `ssh://USER@HOST`, or `tls_cert:` and `tls_key:`
        E0304 `ip` of ship `i`: it has a login in it, before the `@`
        E0304 `ip` of ship `j`: it has a login in it, before the `@`
        E0304 `ip` of ship `k`: `h:2375` is no host name and no address
        E0304 `endpoint` of ship `l`: it has a login in it, before the `@`
          help: an engine takes no password; write `ssh://USER@HOST`, or `tls_cert:` and `tls_key:`
        ");
    }
}
