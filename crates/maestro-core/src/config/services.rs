//! `services:` and how they need each other (specification, sections 3.4, 3.6 and 4.4).

mod replicas;

use super::env::{self, EnvReader, Variables};
use super::fields::{Reader, truthy};
use super::instances::{self, Parents};
use super::node::{Mapping, Node};
use super::ships::Ships;
use super::{Schema, checks, deploy, ports, python, resources};
use crate::diagnostic::{Code, Diagnostic};
use crate::guest;
use crate::model::{EnvValue, EnvVar, Instance, Port, Service, graph};
use crate::names::{InstanceName, ServiceName};
use crate::source::Span;
use replicas::Pending;
pub(crate) use replicas::spelled_out;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

const KEYS: [&str; 13] = [
    "image",
    "instances",
    "replicas",
    "place",
    "omit",
    "requires",
    "wants_info",
    "env",
    "envfile",
    "ports",
    "limits",
    "deploy",
    "lifecycle",
];

/// Mending one circle may mend others.
const MOST_CYCLES: usize = 10;

/// How much of a long circle is shown, at either end.
const SHOWN_PLACES: usize = 5;

/// Services and instances as far as they can be read, and what is needed to check them against each other.
#[derive(Default)]
pub(super) struct Services {
    pub(super) by_name: BTreeMap<ServiceName, Service>,
    pub(super) instances: BTreeMap<InstanceName, Instance>,
    pub(super) places: BTreeMap<InstanceName, Places>,
    /// Where the services stand.
    pub(super) service_places: BTreeMap<ServiceName, Span>,
    /// Where they say what their canaries get of the requests.
    pub(super) weights: BTreeMap<ServiceName, Span>,
    /// Services that are there and could not be read, and whose names are therefore no further mistake.
    faulty: BTreeSet<String>,
    /// Instances likewise.
    faulty_instances: BTreeSet<String>,
    /// Where a service says that it requires another.
    edges: BTreeMap<(ServiceName, ServiceName), Span>,
}

/// Where the parts of an instance stand that are checked later.
pub(super) struct Places {
    pub(super) name: Span,
    /// In the order of the instance's ports.
    pub(super) ports: Arc<[Span]>,
    pub(super) volumes_from: Vec<(String, Span)>,
    pub(super) volume_paths: BTreeMap<String, Span>,
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Mapping,
    schema: Schema,
    environment: Option<&Arc<str>>,
    ships: &Ships,
) -> Services {
    let mut all = Services::default();
    let Some(map) = root.get("services").and_then(|node| reader.mapping(node, "`services`")) else {
        return all;
    };
    let mut env = EnvReader::default();
    let (mut wanted, mut pending) = (Vec::new(), Vec::new());
    for (key, node) in &map.entries {
        let name = ServiceName::from(&*python::text(key));
        let what = format!("service `{name}`");
        let Some(map) = reader.mapping(node, &what) else {
            if node.is_null() {
                reader.missing(key, node, &what, "image");
            }
            all.faulty.insert(name.as_str().to_owned());
            continue;
        };
        let is_replicated = replicas::are_asked_for(reader, map, &what);
        let own = replicas::keys_of_all().chain(["ship"]).filter(|_| is_replicated);
        // To maestro-ng this is a key of instances, and means something else.
        let links = map.get("links").filter(|node| is_replicated || node.as_seq().is_some());
        let known: Vec<&str> = KEYS.into_iter().chain(own).chain(links.map(|_| "links")).collect();
        reader.check_keys(map, &known, &what, &[(&instances::KEYS, "an instance")]);
        if let Some(node) = map.get("deploy").and_then(|node| node.as_map()?.get("weight")) {
            all.weights.insert(name.clone(), node.span);
        }
        let service = Service {
            omit: map.get("omit").is_some_and(|n| truthy(n)),
            deploy: deploy::read(reader, map.get("deploy"), &what),
            links: links.filter(|node| !node.is_null()).map(|_| BTreeSet::new()),
            ..Service::default()
        };
        if let Some(node) = links.filter(|node| !node.is_null() && node.as_seq().is_none()) {
            let message = format!("`links` of {what} must be a list of services, not {}", node.kind());
            reader.report(
                Diagnostic::error(Code::WrongType, message)
                    .at(node.span)
                    .help("its containers are told where the instances of those are; `links: []` for none"),
            );
        }
        let links = links.filter(|node| node.as_seq().is_some());
        for (key, node) in
            [("requires", map.get("requires")), ("wants_info", map.get("wants_info")), ("links", links)]
        {
            if let Some(node) = node {
                for (other, place) in reader.names(node, &format!("`{key}` of {what}")) {
                    wanted.push((name.clone(), key, ServiceName::from(&*other), place.span));
                }
            }
        }
        let mut own_env = Variables::default();
        for key in ["envfile", "env"] {
            if let Some(node) = map.get(key) {
                env.read(reader, node, &what, &mut own_env);
            }
        }
        own_env.push(EnvVar {
            name: guest::ENVIRONMENT_NAME.into(),
            value: environment.cloned().map(EnvValue::from),
        });
        own_env.push(EnvVar::new(guest::SERVICE_NAME, name.as_str()));
        let own_env = own_env.finish();
        let own_ports = ports::read(reader, &ports::Ports::default(), map.get("ports"), &what, key.span);
        let parents = Parents {
            service: name.clone(),
            image: map.get("image").and_then(|n| reader.image(n, &format!("`image` of {what}"))),
            env_count: env::count(&own_env),
            env: own_env,
            ports_count: own_ports.by_name.values().map(Port::width).sum(),
            ports: own_ports,
            checks: checks::read(reader, map.get("lifecycle"), &what),
            limits: resources::read(reader, resources::Limits::default(), map.get("limits"), &what),
            schema,
            ships,
        };
        all.by_name.insert(name.clone(), service);
        all.service_places.insert(name.clone(), key.span);
        let list = map.get("instances");
        if list.is_none() && !is_replicated {
            reader.missing(node, node, &what, "instances");
            continue;
        }
        if parents.image.is_none() && !map.entries.iter().any(|(k, _)| k.as_str() == Some("image")) {
            reader.missing(key, node, &what, "image");
        }
        if is_replicated {
            pending.push(Pending { parents, map });
            continue;
        }
        let Some(list) = list else { continue };
        if let Some(list) = reader.mapping(list, &format!("`instances` of {what}")) {
            for (key, node) in &list.entries {
                all.instance(reader, &mut env, &parents, key, node);
            }
        }
    }
    all.replicate(reader, &mut env, pending);
    all.wire(reader, wanted);
    all.volumes_from(reader);
    all.cycles(reader);
    all
}

impl Services {
    /// Whether a service is there that could not be read, so that its name is no further mistake.
    pub(super) fn is_faulty(&self, name: &str) -> bool {
        self.faulty.contains(name)
    }

    fn instance(
        &mut self,
        reader: &mut Reader<'_>,
        env: &mut EnvReader,
        parents: &Parents<'_>,
        key: &Node,
        node: &Node,
    ) {
        let name = InstanceName::from(&*python::text(key));
        if let (Some(other), Some(place)) = (self.instances.get(&name), self.places.get(&name)) {
            let message = format!(
                "instance `{name}` of service `{}` is already defined in service `{}`",
                parents.service, other.service
            );
            reader.report(
                Diagnostic::error(Code::DuplicateName, message)
                    .at(key.span)
                    .label(place.name, "defined here first"),
            );
            return;
        }
        if !name.is_valid() {
            reader.report(
                Diagnostic::error(Code::BadValue, format!("`{name}` cannot be the name of a container"))
                    .at(key.span)
                    .note(
                        "the engine wants two or more of a-z A-Z 0-9 _ . - that begin with a letter or digit",
                    )
                    .formerly("reads the file, and the engine refuses the container"),
            );
            self.faulty_instances.insert(name.as_str().to_owned());
            return;
        }
        if let Some((instance, places)) = instances::read(reader, env, parents, &name, key, node) {
            if let Some(service) = self.by_name.get_mut(&parents.service) {
                service.instances.insert(name.clone());
            }
            self.places.insert(name.clone(), places);
            self.instances.insert(name, instance);
        } else {
            self.faulty_instances.insert(name.as_str().to_owned());
        }
    }

    /// `requires`, `wants_info` and `links`, now that all services are known.
    fn wire(&mut self, reader: &mut Reader<'_>, wanted: Vec<(ServiceName, &'static str, ServiceName, Span)>) {
        for (name, key, other, span) in wanted {
            if !self.by_name.contains_key(&other) {
                if self.faulty.contains(other.as_str()) {
                    continue;
                }
                let message = format!("service `{other}`, in `{key}` of service `{name}`, does not exist");
                let error = Diagnostic::error(Code::UnknownName, message).at(span);
                let known = self.by_name.keys().map(ServiceName::as_str);
                let error = reader.suggest(error, other.as_str(), known);
                reader.report(error);
                continue;
            }
            let Some(service) = self.by_name.get_mut(&name) else { continue };
            match key {
                "requires" => {
                    self.edges.entry((name, other.clone())).or_insert(span);
                    service.declared_requires.insert(other.clone());
                    service.requires.insert(other);
                }
                "links" => service.links.get_or_insert_default().extend([other]),
                _ => {
                    service.wants_info.insert(other);
                }
            }
        }
    }

    /// `volumes_from`: the source must exist, be on the same ship and share no path; its service comes first.
    fn volumes_from(&mut self, reader: &mut Reader<'_>) {
        let mut edges = Vec::new();
        for (name, places) in &self.places {
            let Some(consumer) = self.instances.get(name) else { continue };
            for (source, span) in &places.volumes_from {
                let Some(source) = self.instances.get(source.as_str()) else {
                    if self.faulty_instances.contains(source) {
                        continue;
                    }
                    let message =
                        format!("`{source}`, in `volumes_from` of instance `{name}`, does not exist");
                    let error = Diagnostic::error(Code::UnknownName, message).at(*span);
                    let known = self.instances.keys().map(InstanceName::as_str);
                    let error = reader.suggest(error, source, known);
                    reader.report(error);
                    continue;
                };
                if source.ship != consumer.ship {
                    let message = format!(
                        "instance `{name}` takes volumes from `{}` and must be on the same ship: they are on `{}` and `{}`",
                        source.name, consumer.ship, source.ship
                    );
                    reader.report(Diagnostic::error(Code::Conflict, message).at(*span));
                }
                let shared: Vec<&str> = self
                    .places
                    .get(&source.name)
                    .into_iter()
                    .flat_map(|other| other.volume_paths.keys())
                    .filter(|path| places.volume_paths.contains_key(*path))
                    .map(String::as_str)
                    .collect();
                if !shared.is_empty() {
                    let message = format!(
                        "instance `{name}` and `{}`, from which it takes volumes, both have {}",
                        source.name,
                        shared.join(", ")
                    );
                    reader.report(Diagnostic::error(Code::Conflict, message).at(*span));
                }
                edges.push((name.clone(), source.name.clone(), source.service.clone(), *span));
            }
        }
        for (name, source, service, span) in edges {
            let Some(consumer) = self.instances.get_mut(&name) else { continue };
            if consumer.service == service {
                consumer.after.insert(source);
            } else if let Some(owner) = self.by_name.get_mut(&consumer.service) {
                self.edges.entry((consumer.service.clone(), service.clone())).or_insert(span);
                owner.requires.insert(service);
            }
        }
    }

    /// Circles among services, and among the instances of one service.
    fn cycles(&self, reader: &mut Reader<'_>) {
        let services: BTreeMap<&str, BTreeSet<&str>> = self
            .by_name
            .iter()
            .map(|(name, s)| (name.as_str(), s.requires.iter().map(ServiceName::as_str).collect()))
            .collect();
        let cycles = graph::cycles(&services, MOST_CYCLES);
        for (at, cycle) in cycles.shown.iter().enumerate() {
            let message = format!("services require each other in a circle: {}", path(cycle));
            let mut error = Diagnostic::error(Code::Cycle, message)
                .formerly("reads such a file only while none of these services has an instance");
            if at + 1 == MOST_CYCLES && cycles.left_out > 0 {
                error = error.note(format!("there are {} more circles", cycles.left_out));
            }
            for (i, from) in cycle.iter().enumerate().filter(|(i, _)| is_shown(*i, cycle)) {
                let to = cycle[(i + 1) % cycle.len()];
                if let Some(span) = self.edges.get(&(ServiceName::from(*from), ServiceName::from(to))) {
                    error = error.label(*span, format!("`{from}` needs `{to}`"));
                }
            }
            reader.report(error);
        }
        let instances: BTreeMap<&str, BTreeSet<&str>> = self
            .instances
            .iter()
            .filter(|(_, i)| !i.after.is_empty())
            .map(|(name, i)| (name.as_str(), i.after.iter().map(InstanceName::as_str).collect()))
            .collect();
        let cycles = graph::cycles(&instances, MOST_CYCLES);
        for (at, cycle) in cycles.shown.iter().enumerate() {
            let message = format!("instances take volumes from each other in a circle: {}", path(cycle));
            let mut error = Diagnostic::error(Code::Cycle, message);
            if at + 1 == MOST_CYCLES && cycles.left_out > 0 {
                error = error.note(format!("there are {} more circles", cycles.left_out));
            }
            for (_, name) in cycle.iter().enumerate().filter(|(i, _)| is_shown(*i, cycle)) {
                if let Some(places) = self.places.get(*name) {
                    error = error.at(places.name);
                }
            }
            reader.report(error);
        }
    }
}

/// Whether this place of a circle is near enough to where it begins to be shown.
fn is_shown(place: usize, cycle: &[&str]) -> bool {
    place < SHOWN_PLACES || place + SHOWN_PLACES >= cycle.len()
}

/// `a -> b -> a`, without the middle of a long one.
fn path(cycle: &[&str]) -> String {
    let mut path = String::new();
    for (place, name) in cycle.iter().enumerate() {
        if is_shown(place, cycle) {
            path.push_str(name);
            path.push_str(" -> ");
        } else if place == SHOWN_PLACES {
            // Writing to a String does not fail.
            _ = write!(path, "({} more) -> ", cycle.len() - 2 * SHOWN_PLACES);
        }
    }
    path + cycle.first().copied().unwrap_or_default()
}
