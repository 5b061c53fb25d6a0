//! Where front ends are, where their configuration goes, and how they are asked what they have loaded.

use super::super::endpoints::{is_ssh_host, is_ssh_user};
use super::super::fields::Reader;
use super::super::node::Value;
use super::super::services::Services;
use super::{DEFAULT_STATUS, Entry, fault};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{BalancerKind, BalancerPlace, Listen, RemoteHost};
use crate::names::ServiceName;
use std::sync::Arc;

impl Entry<'_> {
    /// The one of `service`, `hosts` and `local` that is there.
    pub(super) fn place(&self, reader: &mut Reader<'_>, services: &Services) -> Option<BalancerPlace> {
        let is_local = self.get("local").filter(|node| !matches!(node.value, Value::Bool(false)));
        let given: Vec<_> =
            [("service", self.get("service")), ("hosts", self.get("hosts")), ("local", is_local)]
                .into_iter()
                .filter_map(|(key, node)| Some((key, node?)))
                .collect();
        match given[..] {
            [("service", node)] => {
                let name = reader.required_text(node, &self.of("service"))?;
                let service = self.service(reader, services, &name, node.span)?;
                if services.by_name.get(&service).is_some_and(|service| service.instances.is_empty()) {
                    let message = format!("{} has no instances, so nothing balances", self.of("service"));
                    reader.report(Diagnostic::warning(Code::Suspicious, message).at(node.span));
                }
                Some(BalancerPlace::Service(service))
            }
            [("hosts", node)] => {
                let hosts: Vec<_> = reader
                    .names(node, &self.of("hosts"))
                    .into_iter()
                    .map(|(text, place)| {
                        let host = remote_host(&text);
                        if host.is_none() {
                            let message =
                                format!("{}: `{text}` is no host that ssh can be given", self.of("hosts"));
                            reader.report(
                                Diagnostic::error(Code::BadValue, message)
                                    .at(place.span)
                                    .help("write `host`, `user@host` or `user@host:port`"),
                            );
                        }
                        host
                    })
                    .collect();
                if hosts.is_empty() {
                    fault(reader, Code::BadValue, node.span, format!("{} names none", self.of("hosts")));
                    return None;
                }
                Some(BalancerPlace::Hosts(hosts.into_iter().collect::<Option<_>>()?))
            }
            [("local", node)] => {
                if !matches!(node.value, Value::Bool(true)) {
                    let message = format!("{} can only be `true`", self.of("local"));
                    fault(reader, Code::BadValue, node.span, message);
                    return None;
                }
                Some(BalancerPlace::Local)
            }
            [] => {
                reader.report(
                    Diagnostic::error(Code::MissingKey, format!("{} does not say where it is", self.what))
                        .at(self.key.span)
                        .help("`service: NAME` for containers, `hosts: [user@host]` for hosts, `local: true` for this machine"),
                );
                None
            }
            [(first, _), .., (second, node)] => {
                let message = format!("{} has both `{first}` and `{second}`; it is in one place", self.what);
                fault(reader, Code::Conflict, node.span, message);
                None
            }
            [_] => None,
        }
    }

    /// A service that exists; none, after a complaint or for one that could not be read.
    pub(super) fn service(
        &self,
        reader: &mut Reader<'_>,
        services: &Services,
        name: &str,
        at: crate::source::Span,
    ) -> Option<ServiceName> {
        let service = ServiceName::from(name);
        if services.by_name.contains_key(&service) {
            return Some(service);
        }
        if !services.is_faulty(name) {
            let message = format!("service `{name}`, in {}, does not exist", self.what);
            let error = Diagnostic::error(Code::UnknownName, message).at(at);
            let error = reader.suggest(error, name, services.by_name.keys().map(ServiceName::as_str));
            reader.report(error);
        }
        None
    }

    /// Path of the configuration, where the front ends run.
    pub(super) fn config(
        &self,
        reader: &mut Reader<'_>,
        kind: &BalancerKind,
        place: &BalancerPlace,
    ) -> Option<Arc<str>> {
        let Some(node) = self.get("config") else {
            let usual = match (kind, place) {
                (BalancerKind::Haproxy, BalancerPlace::Service(_)) => "/usr/local/etc/haproxy/haproxy.cfg",
                (BalancerKind::Haproxy, _) => "/etc/haproxy/haproxy.cfg",
                (BalancerKind::Nginx, _) => "/etc/nginx/nginx.conf",
                (BalancerKind::Template { .. }, _) => {
                    self.missing(reader, "config");
                    return None;
                }
            };
            return Some(usual.into());
        };
        let path = reader.required_text(node, &self.of("config"))?;
        let parts = path.strip_prefix('/').map(|rest| rest.split('/').collect::<Vec<_>>());
        let is_fine = parts.is_some_and(|parts| !parts.iter().any(|part| matches!(*part, "" | "." | "..")));
        if !is_fine || path.contains(char::is_control) {
            let message = format!("{} must be the absolute path of a file, not `{path}`", self.of("config"));
            fault(reader, Code::BadValue, node.span, message);
            return None;
        }
        Some(path.into())
    }

    /// How a front end tells which generation it has loaded: a port, or a command.
    pub(super) fn acknowledgement(
        &self,
        reader: &mut Reader<'_>,
        services: &Services,
        kind: &BalancerKind,
        place: &BalancerPlace,
        listen: &[Listen],
    ) -> (Option<u16>, Option<Arc<[String]>>) {
        let is_template = matches!(kind, BalancerKind::Template { .. });
        let command = match self.get("acknowledge") {
            Some(node) => match self.command(reader, node, "acknowledge") {
                Some(command) => Some(command),
                None => return (None, None),
            },
            None => None,
        };
        let status = match self.get("status") {
            Some(node) => match reader.port(node, &self.of("status")) {
                Some(port) => Some(port),
                None => return (None, command),
            },
            None => (!is_template).then_some(DEFAULT_STATUS),
        };
        let at = self.get("status").map_or(self.key.span, |node| node.span);
        if let Some(port) = status.filter(|port| listen.iter().any(|listen| listen.port == *port)) {
            let message = format!("{} is {port}, which it listens on already", self.of("status"));
            fault(reader, Code::Conflict, at, message);
        }
        let Some(port) = status else {
            if command.is_none() {
                reader.report(
                    Diagnostic::error(
                        Code::MissingKey,
                        format!("{} has no way to acknowledge a configuration", self.what),
                    )
                    .at(self.key.span)
                    .note("nothing old may be stopped before every front end has loaded what leads to the new")
                    .help("`status: PORT` if the template makes it answer `generation` at /maestro/generation there, or `acknowledge: COMMAND` for a command that prints it"),
                );
            }
            return (None, command);
        };
        if let (BalancerPlace::Service(service), None) = (place, &command) {
            let instances = services.instances.values().filter(|instance| instance.service == *service);
            if let Some(mute) = instances.into_iter().find(|instance| instance.published(port).is_none()) {
                reader.report(
                    Diagnostic::error(
                        Code::Conflict,
                        format!(
                            "{} has no way to acknowledge a configuration: `{}` does not publish port {port}",
                            self.what, mute.name
                        ),
                    )
                    .at(at)
                    .help(format!(
                        "add it to the `ports` of service `{service}`, as in `status: \"{port}:{port}\"`, or give a command that prints it, `acknowledge: COMMAND`"
                    )),
                );
            }
        }
        (status, command)
    }
}

/// `host`, `user@host`, `user@host:port`, possibly behind `ssh://`.
fn remote_host(text: &str) -> Option<RemoteHost> {
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|port: &u16| *port > 0)?)),
        None => (rest, None),
    };
    let fine = is_ssh_host(host) && !host.contains(':') && user.is_none_or(is_ssh_user);
    fine.then(|| RemoteHost { host: host.into(), port, user: user.map(Into::into) })
}
