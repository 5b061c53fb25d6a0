//! `replicas:` of a service: instances `web-1`, `web-2` and so on that are all the same, and that are placed
//! (docs/design/0028).

mod berths;

use super::Services;
use crate::config::env::EnvReader;
use crate::config::expansion::Counted;
use crate::config::fields::Reader;
use crate::config::host_ports::Taken;
use crate::config::instances::{self, Parents};
use crate::config::node::{Mapping, Node, Value};
use crate::config::{placement, python};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::Environment;
use crate::names::{InstanceName, ServiceName, ShipName};
use crate::source::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Keys of an instance that are those of its service, too, and inherited, or mean something else there; and the one that
/// `place` is for.
const NOT_OF_ALL: [&str; 8] = ["ship", "image", "ports", "env", "envfile", "limits", "lifecycle", "links"];

/// Bytes of text that count as one value.
const BYTES_OF_A_VALUE: usize = 16;

/// A service whose replicas are placed when all instances are known that the file places itself.
pub(super) struct Pending<'a> {
    pub(super) parents: Parents<'a>,
    pub(super) map: &'a Mapping,
}

/// What a service with `replicas` says for each of them, besides what every service gives to its instances.
pub(super) fn keys_of_all() -> impl Iterator<Item = &'static str> {
    instances::KEYS.into_iter().filter(|key| !NOT_OF_ALL.contains(key))
}

fn written<'n>(map: &'n Mapping, key: &str) -> Option<&'n Arc<Node>> {
    map.get(key).filter(|node| !node.is_null())
}

/// Whether a service has replicas. Complains where that is not clear.
pub(super) fn are_asked_for(reader: &mut Reader<'_>, map: &Mapping, what: &str) -> bool {
    let Some(replicas) = written(map, "replicas") else {
        if let Some(place) = written(map, "place") {
            let message = format!("`place` of {what} does nothing: it has no `replicas`");
            reader.report(
                Diagnostic::warning(Code::Suspicious, message)
                    .at(place.span)
                    .help("write `replicas: 2`, or whichever number, instead of `instances`"),
            );
        }
        return false;
    };
    if let Some(instances) = written(map, "instances") {
        let message = format!("{what} has both `replicas` and `instances`");
        reader.report(
            Diagnostic::error(Code::Conflict, message)
                .at(replicas.span)
                .label(instances.span, "these have ships already")
                .help("leave one out: `instances` have their ships written, `replicas` are placed; two kinds are two services")
                .formerly("reads the instances alone"),
        );
        return false;
    }
    if let Some(ship) = written(map, "ship") {
        let message = format!("the replicas of {what} have no `ship` in common: they are placed");
        let name = python::text(ship);
        reader.report(
            Diagnostic::error(Code::Conflict, message)
                .at(ship.span)
                .help(format!("write `place: {{ships: {name}}}`")),
        );
    }
    true
}

impl Services {
    /// Places replicas and reads them as the instances that they are. Services come in the order of their names: whose
    /// ports are taken first does not depend on where they stand in the file.
    pub(super) fn replicate(
        &mut self,
        reader: &mut Reader<'_>,
        env: &mut EnvReader,
        mut pending: Vec<Pending<'_>>,
    ) {
        if pending.is_empty() {
            return;
        }
        pending.sort_by(|a, b| a.parents.service.cmp(&b.parents.service));
        let mut taken = Taken::default();
        for instance in self.instances.values().filter(|instance| !self.is_omitted(&instance.service)) {
            taken.by(instance);
        }
        for service in &pending {
            self.replicas(reader, env, service, &mut taken);
        }
    }

    /// Who is left out of everything is there to take the place of another.
    fn is_omitted(&self, service: &ServiceName) -> bool {
        self.by_name.get(service).is_some_and(|service| service.omit)
    }

    fn replicas(
        &mut self,
        reader: &mut Reader<'_>,
        env: &mut EnvReader,
        service: &Pending<'_>,
        taken: &mut Taken,
    ) {
        let Pending { parents, map } = service;
        let Some(node) = map.get("replicas") else { return };
        let Some(number) = number(reader, node, &format!("`replicas` of service `{}`", parents.service))
        else {
            return;
        };
        let values = shared(map).map(|(_, value)| size(value)).sum::<u64>();
        let fits = reader.expand(Counted::Replicas, number, node.span)
            && reader.expand(Counted::Replicated, number.saturating_mul(values), node.span);
        if !fits {
            return;
        }
        let nobody = Taken::default();
        let is_omitted = self.is_omitted(&parents.service);
        let avoided = if is_omitted { &nobody } else { &*taken };
        let placed = berths::candidates(reader, service, number, avoided)
            .map(|candidates| placement::place(parents.service.as_str(), number, &candidates));
        let Some(placed) = placed else {
            self.unplaced(reader, env, service, number);
            return;
        };
        let mut nodes: BTreeMap<&ShipName, Arc<Node>> = BTreeMap::new();
        let mut said = BTreeSet::new();
        for (name, ship) in names(&parents.service, number).zip(placed) {
            let one = nodes.entry(ship).or_insert_with(|| instance_node(map, ship, node.span));
            let before = reader.diagnostics.len();
            self.instance(reader, env, parents, &text_node(node.span, name.as_str()), one);
            // What they have in common is said once.
            let is_first = said.is_empty();
            let mut news = Vec::new();
            reader.diagnostics.retain_after(before, |diagnostic| {
                let place = (diagnostic.code, diagnostic.labels.first().map(|label| label.span));
                let is_news = is_first || !said.contains(&place);
                news.push(place);
                is_news
            });
            said.extend(news);
            if let Some(instance) = self.instances.get(&name).filter(|_| !is_omitted) {
                taken.by(instance);
            }
        }
    }

    /// What is wrong with replicas that cannot be placed, besides that. Their names are no further mistakes.
    fn unplaced(&mut self, reader: &mut Reader<'_>, env: &mut EnvReader, service: &Pending<'_>, number: u64) {
        let Pending { parents, map } = service;
        let span = map.get("replicas").map(|node| node.span);
        if let (Some(span), Some(ship), Some(name)) =
            (span, parents.ships.by_name.keys().next(), names(&parents.service, number).next())
        {
            let node = instance_node(map, ship, span);
            let key = text_node(span, name.as_str());
            instances::read(reader, env, parents, &name, &key, &node);
        }
        let names = names(&parents.service, number).map(|name| name.as_str().to_owned());
        self.faulty_instances.extend(names);
    }
}

/// `web-1`, `web-2`, and so on.
fn names(service: &ServiceName, number: u64) -> impl Iterator<Item = InstanceName> {
    (1..=number).map(move |at| InstanceName::new(format!("{service}-{at}")))
}

/// How many of something: none after a complaint.
fn number(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<u64> {
    if let Value::Bool(_) = node.value {
        let message = format!("{what} must be an integer, not {}", node.kind());
        reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
        return None;
    }
    let number = reader.integer(node, what)?;
    let found = u64::try_from(number).ok();
    if found.is_none() {
        let message = format!("{what} must be 0 or more, not {number}");
        reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
    }
    found
}

/// What each replica of a service is given as its own.
fn shared(map: &Mapping) -> impl Iterator<Item = &(Arc<Node>, Arc<Node>)> {
    let is_shared = |key: &str| keys_of_all().any(|known| known == key);
    map.entries.iter().filter(move |(key, _)| key.as_str().is_some_and(is_shared))
}

/// A replica as if somebody had written it.
fn instance_node(map: &Mapping, ship: &ShipName, span: Span) -> Arc<Node> {
    let mut entries = vec![(Arc::new(text_node(span, "ship")), Arc::new(text_node(span, ship.as_str())))];
    entries.extend(shared(map).cloned());
    Arc::new(Node { span, value: Value::Map(Mapping { entries, dropped: Vec::new() }) })
}

fn text_node(span: Span, text: &str) -> Node {
    Node { span, value: Value::Str(text.into()) }
}

/// How many values a tree has, its texts counted by their length.
fn size(node: &Node) -> u64 {
    let texts = |length: usize| 1 + (length / BYTES_OF_A_VALUE) as u64;
    match &node.value {
        Value::Str(text) => texts(text.len()),
        Value::Binary(bytes) => texts(bytes.len()),
        Value::Seq(items) => 1 + items.iter().map(|item| size(item)).sum::<u64>(),
        Value::Map(map) => 1 + map.entries.iter().map(|(key, value)| size(key) + size(value)).sum::<u64>(),
        _ => 1,
    }
}

/// A file in which the replicas of each service are instances on the ships where they were placed.
pub(crate) fn spelled_out(root: &Arc<Node>, environment: &Environment) -> Arc<Node> {
    in_map(root, |key, value| match key.as_str() {
        Some("services") => in_map(value, |key, value| service(key, value, environment)),
        _ => value.clone(),
    })
}

fn service(key: &Node, node: &Arc<Node>, environment: &Environment) -> Arc<Node> {
    let Some(map) = node.as_map() else { return node.clone() };
    let Some(replicas) = written(map, "replicas") else { return node.clone() };
    let name = python::text(key);
    let mut nodes: BTreeMap<&ShipName, Arc<Node>> = BTreeMap::new();
    let of = environment.services.get(name.as_str()).into_iter().flat_map(|service| &service.instances);
    let instances = of.filter_map(|name| environment.instances.get(name)).map(|instance| {
        let node = nodes
            .entry(&instance.ship)
            .or_insert_with(|| instance_node(map, &instance.ship, replicas.span))
            .clone();
        (Arc::new(text_node(replicas.span, instance.name.as_str())), node)
    });
    let instances = Value::Map(Mapping { entries: instances.collect(), dropped: Vec::new() });
    let instances = Arc::new(Node { span: replicas.span, value: instances });
    let is_gone =
        |key: &str| ["place", "instances"].into_iter().chain(keys_of_all()).any(|known| known == key);
    let entries = map.entries.iter().filter(|(key, _)| !key.as_str().is_some_and(is_gone));
    let entries = entries.map(|(key, value)| match key.as_str() {
        Some("replicas") => (Arc::new(text_node(key.span, "instances")), instances.clone()),
        _ => (key.clone(), value.clone()),
    });
    let value = Value::Map(Mapping { entries: entries.collect(), dropped: map.dropped.clone() });
    Arc::new(Node { span: node.span, value })
}

/// The same mapping with other values.
fn in_map(node: &Arc<Node>, change: impl Fn(&Node, &Arc<Node>) -> Arc<Node>) -> Arc<Node> {
    let Some(map) = node.as_map() else { return node.clone() };
    let entries = map.entries.iter().map(|(key, value)| (key.clone(), change(key, value))).collect();
    let value = Value::Map(Mapping { entries, dropped: map.dropped.clone() });
    Arc::new(Node { span: node.span, value })
}
