//! `ships:` and `ship_defaults:`: hosts and how their engines are reached (specification, sections 3.3 and 9).

use super::fields::{Reader, truthy};
use super::node::{Mapping, Node, Value};
use super::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{ApiVersion, Identity, Ship, SshRemote, Transport, Trust};
use crate::names::ShipName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Name of the ship of an environment that names none.
const DOCKER_HOST_SHIP: &str = "docker";
const SOCKET: &str = "/var/run/docker.sock";

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
const OWN: [&str; 2] = ["ip", "endpoint"];

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

    /// The ship of an instance that names none.
    pub(super) fn only(&self) -> Option<&Ship> {
        self.by_name.get(DOCKER_HOST_SHIP).filter(|_| self.by_name.len() == 1)
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
    let Some(ip) = map.get("ip") else {
        reader.missing(node, node, &what, "ip");
        return None;
    };
    let ip: Arc<str> = reader.required_text(ip, &format!("`ip` of {what}"))?.into();
    let endpoint = match map.get("endpoint").filter(|n| !n.is_null()) {
        Some(node) => Some((reader.text(node, &format!("`endpoint` of {what}"))?, node)),
        None => None,
    };
    let transport = match &endpoint {
        Some((url, node)) if url.contains("://") => match endpoint_url(url) {
            Ok(Transport::Tls { host, port, .. }) => tls(reader, &what, host, port, &field),
            Ok(transport) => transport,
            Err(why) => {
                reader.report(
                    Diagnostic::error(Code::BadValue, format!("`endpoint` of {what}: {why}")).at(node.span),
                );
                return None;
            }
        },
        _ => {
            let host = endpoint.as_ref().map_or(&*ip, |(text, _)| text);
            let host: Arc<str> = host.trim_start_matches('[').trim_end_matches(']').into();
            classic(reader, node, &what, host, &field)?
        }
    };
    Some(Ship {
        name: name.into(),
        ip,
        transport,
        api_version: api_version(reader, field("api_version"), &what),
        timeout: field("timeout")
            .filter(|n| truthy(n))
            .and_then(|n| reader.seconds(n, &format!("`timeout` of {what}"))),
    })
}

/// maestro-ng's three forms, first match wins: SSH tunnel, socket, TCP with or without TLS.
fn classic<'n>(
    reader: &mut Reader<'_>,
    node: &Node,
    what: &str,
    host: Arc<str>,
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
        Some(node) => {
            let number = reader.integer(node, &format!("`docker_port` of {what}"))?;
            let Ok(port) = u16::try_from(number) else {
                let message = format!("`docker_port` of {what} must be from 1 to 65535, not {number}");
                reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
                return None;
            };
            port
        }
    };
    if let Some(tunnel) = field("ssh_tunnel").filter(|n| truthy(n)) {
        return ssh_tunnel(reader, tunnel, what, host, port);
    }
    if let Some(path) = field("socket_path").filter(|n| truthy(n)) {
        let path = reader.text(path, &format!("`socket_path` of {what}"))?;
        return Some(Transport::Unix { path: path.into() });
    }
    if host.is_empty() {
        reader
            .report(Diagnostic::error(Code::BadValue, format!("{what} has an empty address")).at(node.span));
        return None;
    }
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
        (Some((cert, _)), Some((key, _))) => Some(Identity { cert, key }),
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
        Some(node) => {
            let number = reader.integer(node, &format!("`port` of {what}"))?;
            let Ok(port) = u16::try_from(number) else {
                let message = format!("`port` of {what} must be from 1 to 65535, not {number}");
                reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
                return None;
            };
            Some(port)
        }
    };
    let remote = match map.get("socket").filter(|n| !n.is_null()) {
        Some(node) => SshRemote::Socket(reader.text(node, &format!("`socket` of {what}"))?.into()),
        None => SshRemote::Port(docker_port),
    };
    // A host that begins with a dash would be an option to ssh.
    if !is_ssh_word(&host) || !user.as_deref().is_none_or(is_ssh_word) {
        let message = format!("{what}: `{host}` or its user is no name that ssh can be given");
        reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
        return None;
    }
    Some(Transport::Ssh { host, port, user: Some(user?.into()), key: Some(key?.into()), remote })
}

fn is_ssh_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'))
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
                .help("remove it: the version is negotiated with each engine"),
        );
        return None;
    }
    version
}

/// Reads `tcp://host:port`, `https://host:port`, `unix:///path`, `ssh://[user@]host[:port][/socket]`.
///
/// # Errors
/// What is wrong with it, as half a sentence.
pub fn endpoint_url(url: &str) -> Result<Transport, String> {
    let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
    let bad_port = |port: &str| format!("`{port}` is no port");
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Transport::Unix { path: rest.into() }),
        "unix" => Err("a socket needs an absolute path, as in unix:///var/run/docker.sock".into()),
        "tcp" | "http" | "https" => {
            let authority = rest.split('/').next().unwrap_or_default();
            let (host, port) = host_and_port(authority);
            if host.is_empty() {
                return Err("it names no host".into());
            }
            let secure = scheme == "https";
            let port = match port {
                None => {
                    if secure {
                        2376
                    } else {
                        2375
                    }
                }
                Some(port) => port.parse().map_err(|_| bad_port(port))?,
            };
            Ok(if secure {
                Transport::Tls { host: host.into(), port, identity: None, trust: Trust::System }
            } else {
                Transport::Tcp { host: host.into(), port }
            })
        }
        "ssh" => {
            let (authority, path) = match rest.find('/') {
                Some(slash) => rest.split_at(slash),
                None => (rest, ""),
            };
            let (user, authority) = match authority.rsplit_once('@') {
                Some((user, authority)) => (Some(user), authority),
                None => (None, authority),
            };
            let (host, port) = host_and_port(authority);
            if !is_ssh_word(host) || !user.is_none_or(is_ssh_word) {
                return Err(format!("`{authority}` is no host that ssh can be given"));
            }
            Ok(Transport::Ssh {
                host: host.into(),
                port: port.map(|port| port.parse().map_err(|_| bad_port(port))).transpose()?,
                user: user.map(Into::into),
                key: None,
                remote: SshRemote::Socket(if matches!(path, "" | "/") { SOCKET } else { path }.into()),
            })
        }
        _ => Err(format!("`{scheme}` is not a way to reach an engine; use tcp, https, unix or ssh")),
    }
}

/// Splits `host:port`, `[::1]:port`, `host`.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    if let Some(rest) = authority.strip_prefix('[')
        && let Some((host, rest)) = rest.split_once(']')
    {
        return (host, rest.strip_prefix(':'));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

/// The ship of an environment without `ships:`: the engine that the Docker CLI would talk to.
fn from_docker_host(reader: &mut Reader<'_>, root: &Node) -> Option<Ship> {
    let variables = reader.sources.variables();
    let Some(url) = variables.get("DOCKER_HOST").filter(|v| !v.is_empty()) else {
        reader.report(
            Diagnostic::error(Code::MissingKey, "the environment has no `ships`, and DOCKER_HOST is not set")
                .at(root.span)
                .help("name the hosts under `ships:`, or set DOCKER_HOST for an environment of one engine"),
        );
        return None;
    };
    let transport = match endpoint_url(url) {
        Ok(transport) => transport,
        Err(why) => {
            reader.report(
                Diagnostic::error(Code::BadValue, format!("DOCKER_HOST is `{url}`: {why}")).at(root.span),
            );
            return None;
        }
    };
    let (ip, transport) = match transport {
        Transport::Tcp { host, port } | Transport::Tls { host, port, .. } => {
            let verify = variables.get("DOCKER_TLS_VERIFY").is_some_and(|v| !v.is_empty());
            let certs = variables.get("DOCKER_CERT_PATH").filter(|v| !v.is_empty());
            let secure = verify || url.starts_with("https");
            let file = |dir: &str, name: &str| Arc::<str>::from(format!("{dir}/{name}"));
            let transport = if secure {
                Transport::Tls {
                    host: host.clone(),
                    port,
                    identity: certs
                        .map(|dir| Identity { cert: file(dir, "cert.pem"), key: file(dir, "key.pem") }),
                    trust: certs.map_or(Trust::System, |dir| Trust::File(file(dir, "ca.pem"))),
                }
            } else {
                Transport::Tcp { host: host.clone(), port }
            };
            (host, transport)
        }
        Transport::Ssh { ref host, .. } => (host.clone(), transport),
        Transport::Unix { .. } => ("127.0.0.1".into(), transport),
    };
    Some(Ship { name: DOCKER_HOST_SHIP.into(), ip, transport, api_version: None, timeout: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_endpoints() {
        for (url, expected) in [
            ("tcp://h:1", "tcp://h:1"),
            ("tcp://h", "tcp://h:2375"),
            ("tcp://[::1]:2", "tcp://[::1]:2"),
            ("https://h", "https://h:2376"),
            ("unix:///run/d.sock", "unix:///run/d.sock"),
            ("ssh://h", "ssh://h"),
            ("ssh://u@h:22/run/d.sock", "ssh://u@h:22"),
        ] {
            assert_eq!(endpoint_url(url).map(|t| t.to_string()).as_deref(), Ok(expected), "{url}");
        }
        for url in ["h", "npipe://x", "unix://x", "tcp://", "tcp://h:x", "ssh://-oProxyCommand=x", "ssh://"] {
            assert!(endpoint_url(url).is_err(), "{url}");
        }
    }
}
