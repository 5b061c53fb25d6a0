//! The environment without `ships:`.

use super::endpoints::endpoint_url;
use super::fields::Reader;
use super::node::Node;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Identity, Ship, Transport, Trust};
use std::sync::Arc;

/// Name of the ship of an environment that names none.
pub(super) const SHIP: &str = "docker";

/// The ship of an environment without `ships:`: the engine that the Docker CLI would talk to.
pub(super) fn from_docker_host(reader: &mut Reader<'_>, root: &Node) -> Option<Ship> {
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
            // An address with a password in it is not printed.
            let message = if url.contains('@') {
                format!("DOCKER_HOST cannot be used: {why}")
            } else {
                format!("DOCKER_HOST is `{url}`: {why}")
            };
            reader.report(Diagnostic::error(Code::BadValue, message).at(root.span));
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
    Some(Ship { name: SHIP.into(), ip, transport, api_version: None, timeout: None })
}
