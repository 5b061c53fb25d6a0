//! What goes where.

use super::super::endpoints::host;
use super::super::fields::Reader;
use super::super::node::{Mapping, Node};
use super::super::services::Services;
use super::{Entry, fault};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::model::{BalancerMode, BalancerPlace, Protocol, Route};
use crate::names::ServiceName;
use crate::source::Span;
use std::collections::BTreeMap;
use std::sync::Arc;

const KEYS: [&str; 4] = ["host", "path", "service", "port"];

impl Entry<'_> {
    /// All routes; none if any of them is no route.
    pub(super) fn routes(
        &self,
        reader: &mut Reader<'_>,
        services: &Services,
        mode: BalancerMode,
        place: Option<&BalancerPlace>,
        room: &mut usize,
    ) -> Option<Vec<Route>> {
        let what = self.of("routes");
        let Some(node) = self.get("routes") else {
            self.missing(reader, "routes");
            return None;
        };
        let Some(items) = node.as_seq() else {
            let message = format!("{what} must be a list, not {}", node.kind());
            fault(reader, Code::WrongType, node.span, message);
            return None;
        };
        if items.is_empty() {
            fault(reader, Code::BadValue, node.span, format!("{what} has none"));
            return None;
        }
        let Some(left) = room.checked_sub(items.len()) else {
            let message = format!("there are more than {} routes", super::MOST_ROUTES);
            fault(reader, Code::TooLarge, node.span, message);
            return None;
        };
        *room = left;
        let mut known: BTreeMap<(Option<Arc<str>>, Arc<str>), Span> = BTreeMap::new();
        let mut routes = Vec::new();
        for item in items {
            let Some(route) = self.route(reader, services, mode, place, item) else { continue };
            if let Some(first) = known.insert((route.host.clone(), route.path.clone()), item.span) {
                reader.report(
                    Diagnostic::error(
                        Code::Conflict,
                        format!("two routes of {} are for the same requests", self.what),
                    )
                    .at(item.span)
                    .label(first, "the first of them")
                    .help("give one of them another `host` or `path`"),
                );
                continue;
            }
            routes.push(route);
        }
        // Every complaint above left one out.
        (routes.len() == items.len()).then_some(routes)
    }

    fn route(
        &self,
        reader: &mut Reader<'_>,
        services: &Services,
        mode: BalancerMode,
        place: Option<&BalancerPlace>,
        node: &Node,
    ) -> Option<Route> {
        let what = format!("a route of {}", self.what);
        let Some(map) = node.as_map() else {
            let message = format!("{what} must be a mapping, not {}", node.kind());
            fault(reader, Code::WrongType, node.span, message);
            return None;
        };
        reader.check_keys(map, &KEYS, &what, &[]);
        let host = match value(map, "host") {
            None => Some(None),
            Some(node) => self.route_host(reader, node, mode, &what).map(Some),
        };
        let path = match value(map, "path") {
            None => Some("/".into()),
            Some(node) => self.route_path(reader, node, mode, &what),
        };
        let mut named = [None, None];
        for (slot, key) in named.iter_mut().zip(["service", "port"]) {
            match value(map, key) {
                Some(node) => {
                    *slot =
                        reader.required_text(node, &format!("`{key}` of {what}")).map(|text| (text, node));
                }
                None => reader.missing(node, node, &what, key),
            }
        }
        let [service, port] = named;
        let (name, name_node) = service?;
        let service = self.service(reader, services, &name, name_node.span)?;
        if place.is_some_and(|place| *place == BalancerPlace::Service(service.clone())) {
            let message = format!("{what} leads to service `{service}`, which the balancer itself runs in");
            fault(reader, Code::Conflict, name_node.span, message);
            return None;
        }
        let (port, port_node) = port?;
        self.knows_port(reader, services, &service, &port, port_node)?;
        Some(Route { host: host?, path: path?, service, port: port.into() })
    }

    /// Whether all instances of a service publish this port, by TCP.
    fn knows_port(
        &self,
        reader: &mut Reader<'_>,
        services: &Services,
        service: &ServiceName,
        port: &str,
        node: &Node,
    ) -> Option<()> {
        let instances = services.instances.values().filter(|instance| instance.service == *service);
        for instance in instances {
            match instance.ports.get(port) {
                Some(declared) if declared.protocol == Protocol::Tcp => {}
                Some(_) => {
                    let message =
                        format!("port `{port}` of `{}`, in {}, is not TCP", instance.name, self.what);
                    fault(reader, Code::BadValue, node.span, message);
                    return None;
                }
                None => {
                    // It may be one that could not be read.
                    let is_bad = |d: &Diagnostic| d.code == Code::BadPort && d.severity == Severity::Error;
                    if !reader.diagnostics.iter().any(is_bad) {
                        let message =
                            format!("`{}` has no port `{port}`, which {} leads to", instance.name, self.what);
                        let error = Diagnostic::error(Code::UnknownName, message).at(node.span);
                        let error = reader.suggest(error, port, instance.ports.keys().map(|key| &**key));
                        reader.report(error);
                    }
                    return None;
                }
            }
        }
        Some(())
    }

    fn route_host(
        &self,
        reader: &mut Reader<'_>,
        node: &Node,
        mode: BalancerMode,
        what: &str,
    ) -> Option<Arc<str>> {
        let text = reader.required_text(node, &format!("`host` of {what}"))?;
        if mode == BalancerMode::Tcp {
            self.only_http(reader, node, "host");
            return None;
        }
        match host(&text) {
            Ok(name) if !name.contains([':', '%']) => Some(name.trim_end_matches('.').to_lowercase().into()),
            Ok(_) | Err(_) => {
                let message =
                    format!("`host` of {what} cannot be `{text}`: it is a host name or an IPv4 address");
                fault(reader, Code::BadValue, node.span, message);
                None
            }
        }
    }

    fn route_path(
        &self,
        reader: &mut Reader<'_>,
        node: &Node,
        mode: BalancerMode,
        what: &str,
    ) -> Option<Arc<str>> {
        let text = reader.required_text(node, &format!("`path` of {what}"))?;
        if mode == BalancerMode::Tcp {
            self.only_http(reader, node, "path");
            return None;
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~:@+,=".contains(c);
        let above = text.split('/').any(|part| matches!(part, "." | ".."));
        if !text.starts_with('/') || !text.chars().all(plain) || above || text.contains("//") {
            reader.report(
                Diagnostic::error(Code::BadValue, format!("`path` of {what} cannot be `{text}`"))
                    .at(node.span)
                    .note("it begins with `/`, and has a-z A-Z 0-9 - . _ ~ : @ + , = between single `/`"),
            );
            return None;
        }
        // `/a` and `/a/` are the same: what is at it and below it.
        let path = text.trim_end_matches('/');
        Some(if path.is_empty() { "/".into() } else { path.into() })
    }

    fn only_http(&self, reader: &mut Reader<'_>, node: &Node, key: &str) {
        let message = format!("`{key}` means nothing to {}, which passes on connections", self.what);
        reader.report(
            Diagnostic::error(Code::Conflict, message)
                .at(node.span)
                .help("leave it out, or write `mode: http`"),
        );
    }
}

fn value<'m>(map: &'m Mapping, key: &str) -> Option<&'m Arc<Node>> {
    map.get(key).filter(|node| !node.is_null())
}
