//! The environment without `ships:`.

use super::endpoints::endpoint_url;
use super::fields::Reader;
use super::node::Node;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Identity, Ship, Transport, Trust};
use std::collections::BTreeMap;
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
            let transport = tls(&variables, url, &host, port);
            (host.clone(), transport.unwrap_or(Transport::Tcp { host, port }))
        }
        Transport::Ssh { ref host, .. } => (host.clone(), transport),
        Transport::Unix { .. } => ("127.0.0.1".into(), transport),
    };
    Some(Ship { name: SHIP.into(), ip, transport, api_version: None, timeout: None, tags: BTreeMap::new() })
}

/// TLS as Docker's client has it: `DOCKER_TLS_VERIFY` or `DOCKER_TLS`, with the files of `DOCKER_CERT_PATH` or else of the
/// directory of its configuration; of the client's certificate, what is not there is not shown.
///
/// `https://` alone means TLS, too, with the system's authorities unless there is a `DOCKER_CERT_PATH`.
fn tls(variables: &BTreeMap<String, String>, url: &str, host: &Arc<str>, port: u16) -> Option<Transport> {
    let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let (verify, docker) = (get("DOCKER_TLS_VERIFY").is_some(), get("DOCKER_TLS").is_some());
    let configuration = || {
        let home = || get("HOME").map(|home| format!("{home}/.docker"));
        get("DOCKER_CONFIG").cloned().or_else(home).filter(|_| verify || docker)
    };
    let directory = get("DOCKER_CERT_PATH").cloned().or_else(configuration);
    let file =
        |name: &str| directory.as_ref().map(|directory| Arc::<str>::from(format!("{directory}/{name}")));
    let identity = file("cert.pem").zip(file("key.pem"));
    let trust = match file("ca.pem") {
        _ if docker && !verify => Trust::Anything,
        Some(path) => Trust::File(path),
        None => Trust::System,
    };
    (verify || docker || url.starts_with("https")).then(|| Transport::Tls {
        host: Arc::clone(host),
        port,
        identity: identity.map(|(cert, key)| Identity { cert, key, optional: true }),
        trust,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::{Limits, load};
    use crate::model::{Transport, Trust};
    use crate::source::MapSources;

    /// How the engine is reached, and with which files.
    fn reached(url: &str, variables: &[(&str, &str)]) -> String {
        let mut sources = MapSources::of("name: t\nservices: {}\n").with_variable("DOCKER_HOST", url);
        for (name, value) in variables {
            sources = sources.with_variable(name, value);
        }
        let ship = load(&sources, &Limits::default()).environment.unwrap().ships["docker"].clone();
        match ship.transport {
            Transport::Tls { identity, trust, .. } => {
                let shown = identity.map_or_else(String::new, |identity| {
                    assert!(identity.optional);
                    format!(", {} {}", identity.cert, identity.key)
                });
                match trust {
                    Trust::Anything => format!("anything{shown}"),
                    Trust::System => format!("system{shown}"),
                    Trust::File(path) => format!("{path}{shown}"),
                }
            }
            other => other.to_string(),
        }
    }

    #[test]
    fn an_address_with_a_login_is_not_repeated() {
        let said = |url: &str| {
            let sources = MapSources::of("name: t\nservices: {}\n").with_variable("DOCKER_HOST", url);
            load(&sources, &Limits::default())
                .diagnostics
                .iter()
                .map(|d| d.message.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            said("tcp://u:hunter2@h:1"),
            ["DOCKER_HOST cannot be used: it has a login in it, before the `@`"]
        );
        assert_eq!(said("h"), ["DOCKER_HOST is `h`: it has no scheme"]);
    }

    #[test]
    fn tls_is_as_dockers_client_has_it() {
        let (tcp, verify, home) = ("tcp://h:1", ("DOCKER_TLS_VERIFY", "1"), ("HOME", "/h"));
        let all = |directory: &str| format!("{directory}/ca.pem, {directory}/cert.pem {directory}/key.pem");
        assert_eq!(reached(tcp, &[home, ("DOCKER_CERT_PATH", "/c")]), "tcp://h:1");
        assert_eq!(reached(tcp, &[home, ("DOCKER_TLS_VERIFY", "")]), "tcp://h:1");
        assert_eq!(reached(tcp, &[home, verify]), all("/h/.docker"));
        assert_eq!(reached(tcp, &[home, verify, ("DOCKER_CONFIG", "/d")]), all("/d"));
        assert_eq!(
            reached(tcp, &[home, verify, ("DOCKER_CONFIG", "/d"), ("DOCKER_CERT_PATH", "/c")]),
            all("/c")
        );
        assert_eq!(reached(tcp, &[verify]), "system");
        assert_eq!(
            reached(tcp, &[("DOCKER_TLS", "1"), home]),
            "anything, /h/.docker/cert.pem /h/.docker/key.pem"
        );
        assert_eq!(reached("https://h:1", &[home]), "system");
        assert_eq!(reached("https://h:1", &[home, ("DOCKER_CERT_PATH", "/c")]), all("/c"));
    }
}
