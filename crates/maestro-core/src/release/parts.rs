//! Releases taken apart by service, and put together again.

use super::document::sha256;
use super::{Release, at, each, with};
use crate::config::node::{Mapping, Node, Value};
use crate::config::tree::tree;
use crate::config::{Limits, resolved};
use crate::image::ImageRef;
use crate::model::Environment;
use crate::names::{InstanceName, ServiceName, ShipName};
use crate::source::MapSources;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// Keys that name env files, if their value is a text or a list of texts (specification, section 4.6).
const VARIABLES: [&str; 2] = ["envfile", "env"];
/// Key of a balancer that names a template.
const TEMPLATE: &str = "template";
/// How much of a digest is in an env file's name.
const SHORT: usize = 12;

/// What a release says of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// What tells it from other contents: a SHA-256 over everything that the release says of it, images included.
    pub id: String,
    /// Its images, as they are pinned.
    pub images: Vec<String>,
}

impl Release {
    /// What it says of each of its services.
    pub fn parts(&self) -> BTreeMap<ServiceName, Part> {
        let Some(root) = self.root() else { return BTreeMap::new() };
        let balancers = entries(&root, "balancers");
        entries(&root, "services")
            .iter()
            .map(|(name, node)| (ServiceName::from(name.as_str()), self.part(name, node, &balancers)))
            .collect()
    }

    /// This one, with `services` as `other` has them; what it does not have of them is left out.
    #[must_use]
    pub fn with_services_of(&self, other: &Release, services: &BTreeSet<ServiceName>) -> Self {
        let Some(root) = self.root() else { return other.clone() };
        let is_theirs = |name: &String| services.iter().any(|service| service.as_str() == name);
        let mut all = self.services();
        all.retain(|name, _| !is_theirs(name));
        all.extend(other.services().into_iter().filter(|(name, _)| is_theirs(name)));
        let mut images = self.images.clone();
        images.retain(|name, _| !is_theirs(name));
        images.extend(other.images.clone().into_iter().filter(|(name, _)| is_theirs(name)));
        let mut env_files = self.env_files.clone();
        env_files.extend(other.env_files.clone());
        let mut named: BTreeSet<String> = all.values().flat_map(env_files_of).collect();
        let balancers = entries(&root, "balancers").into_values();
        named.extend(
            balancers.filter_map(|balancer| Some(balancer.as_map()?.get(TEMPLATE)?.as_str()?.to_owned())),
        );
        env_files.retain(|name, _| named.contains(name));
        let entries = all.into_iter().map(|(name, service)| (text_node(&service, &name), service)).collect();
        let root = with_secrets_of(&put(&root, "services", entries), other.root().as_ref());
        Self {
            environment: self.environment.clone(),
            file: resolved(&root, &[]),
            env_files,
            variables: self.variables.clone(),
            images,
        }
    }

    /// This one, reaching ships as `today` does; ships that today's file does not have any more stay as they were.
    #[must_use]
    pub fn on_ships_of(&self, today: &Release) -> Self {
        let (Some(root), Some(theirs)) = (self.root(), today.root()) else { return self.clone() };
        let ships =
            |root: &Arc<Node>| section(root, "ships").map(|map| map.entries.clone()).unwrap_or_default();
        let mut entries = ships(&theirs);
        let known: BTreeSet<String> =
            entries.iter().filter_map(|(key, _)| key.as_str().map(str::to_owned)).collect();
        let gone = |(key, _): &(Arc<Node>, _)| key.as_str().is_none_or(|name| !known.contains(name));
        entries.extend(ships(&root).into_iter().filter(gone));
        // Without any, there is the one of the process's variables.
        if entries.is_empty() {
            return Self { variables: today.variables.clone(), ..self.clone() };
        }
        let mut root = put(&root, "ships", entries);
        let defaults = theirs.as_map().and_then(|map| map.get("ship_defaults"));
        if let Some(defaults) = defaults {
            root = put_node(&root, "ship_defaults", defaults.clone());
        }
        let without: &[&str] = if defaults.is_none() { &["ship_defaults"] } else { &[] };
        Self { file: resolved(&root, without), ..self.clone() }
    }

    /// This one, with those ships of `other`, too, that it does not have.
    #[must_use]
    pub fn and_ships_of(&self, other: &Release) -> Self {
        let (Some(root), Some(theirs)) = (self.root(), other.root()) else { return self.clone() };
        let ships =
            |root: &Arc<Node>| section(root, "ships").map(|map| map.entries.clone()).unwrap_or_default();
        let mut entries = ships(&root);
        if entries.is_empty() {
            return self.clone();
        }
        let known: BTreeSet<String> =
            entries.iter().filter_map(|(key, _)| key.as_str().map(str::to_owned)).collect();
        let missing = ships(&theirs).into_iter();
        entries.extend(missing.filter(|(key, _)| key.as_str().is_some_and(|name| !known.contains(name))));
        Self { file: resolved(&put(&root, "ships", entries), &[]), ..self.clone() }
    }

    /// Instances of these services that are on ships which `today` does not have: nobody can reach them.
    pub fn left_out<'a>(
        &self,
        today: &Environment,
        services: impl IntoIterator<Item = &'a ServiceName>,
    ) -> Vec<(InstanceName, ShipName)> {
        let mut all = self.services();
        let instances = services.into_iter().filter_map(|service| {
            let service = all.remove(service.as_str())?;
            let instances = service.as_map()?.get("instances")?.as_map()?;
            let each = instances.entries.iter().filter_map(|(name, instance)| {
                let ship = ShipName::from(instance.as_map()?.get("ship")?.as_str()?);
                let is_there = today.ships.contains_key(&ship);
                (!is_there).then_some((InstanceName::from(name.as_str()?), ship))
            });
            Some(each.collect::<Vec<_>>())
        });
        instances.flatten().collect()
    }

    /// The tree of the file. It was written by [`resolved`], so it can be read; none if somebody has tampered with it.
    fn root(&self) -> Option<Arc<Node>> {
        tree(&MapSources::of(&*self.file), &Limits::default()).root
    }

    /// Its services, in the order of their names.
    pub(super) fn services(&self) -> BTreeMap<String, Arc<Node>> {
        self.root().map(|root| entries(&root, "services")).unwrap_or_default()
    }

    fn part(&self, name: &str, service: &Arc<Node>, balancers: &BTreeMap<String, Arc<Node>>) -> Part {
        let mut content = resolved(service, &[]);
        // Templates have names that tell their contents.
        for (balancer, node) in balancers.iter().filter(|(_, node)| routes_to(node, name)) {
            _ = write!(content, "\n{balancer}\n{}", resolved(node, &[]));
        }
        for name in env_files_of(service) {
            if let Some(text) = self.env_files.get(&name) {
                _ = write!(content, "\n{name}\n{text}");
            }
        }
        let pinned = |image: String| {
            let digest = self.images.get(name).and_then(|images| images.get(&image));
            let parsed = ImageRef::parse(&*image);
            digest.map_or_else(|| image.clone(), |digest| parsed.pinned(digest).as_str().to_owned())
        };
        let images: Vec<String> = images(service).into_iter().map(pinned).collect();
        for image in &images {
            _ = write!(content, "\n{image}");
        }
        Part { id: sha256(&content), images }
    }
}

/// Gives env files and templates names that tell their contents, so that files of several releases can be in one.
pub(super) fn renamed(
    root: &Arc<Node>,
    files: &BTreeMap<String, String>,
) -> (Arc<Node>, BTreeMap<String, String>) {
    let new_name = |name: &str, text: &str| {
        let digest = sha256(text);
        format!("{}/{name}", digest.get(..SHORT).unwrap_or_default())
    };
    let names: BTreeMap<&str, String> =
        files.iter().map(|(name, text)| (name.as_str(), new_name(name, text))).collect();
    let rename = |node: &Arc<Node>| match names.get(node.as_str().unwrap_or_default()) {
        Some(name) => with(node, Value::Str(name.as_str().into())),
        None => node.clone(),
    };
    let variables = |node: &Arc<Node>| match &node.value {
        Value::Seq(items) => with(node, Value::Seq(items.iter().map(rename).collect())),
        _ => rename(node),
    };
    let in_both =
        |node: &Arc<Node>| VARIABLES.iter().fold(node.clone(), |node, key| at(&node, key, variables));
    let root = if names.is_empty() {
        root.clone()
    } else {
        let root = at(root, "services", |services| {
            each(services, |_, service| {
                at(&in_both(service), "instances", |instances| each(instances, |_, one| in_both(one)))
            })
        });
        at(&root, "balancers", |balancers| each(balancers, |_, balancer| at(balancer, TEMPLATE, rename)))
    };
    let files = files.iter().map(|(name, text)| (new_name(name, text), text.clone())).collect();
    (root, files)
}

/// What a section has, in the order of the names.
fn entries(root: &Arc<Node>, of: &str) -> BTreeMap<String, Arc<Node>> {
    let entries = section(root, of).into_iter().flat_map(|map| &map.entries);
    entries.filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value.clone()))).collect()
}

/// Whether a balancer sends requests to a service.
fn routes_to(balancer: &Arc<Node>, service: &str) -> bool {
    let routes = balancer.as_map().and_then(|map| map.get("routes")).map(|routes| &routes.value);
    let Some(Value::Seq(routes)) = routes else { return false };
    let to = |route: &Arc<Node>| {
        route.as_map().and_then(|map| map.get("service")?.as_str().map(|to| to == service))
    };
    routes.iter().any(|route| to(route) == Some(true))
}

/// What is written at a service and its instances.
fn everywhere(service: &Arc<Node>) -> impl Iterator<Item = &Mapping> {
    let own = service.as_map();
    let instances = own.and_then(|map| map.get("instances")?.as_map());
    let instances = instances.into_iter().flat_map(|map| &map.entries).filter_map(|(_, one)| one.as_map());
    own.into_iter().chain(instances)
}

/// Names of env files of a service, and whatever else may be one.
fn env_files_of(service: &Arc<Node>) -> BTreeSet<String> {
    let values = everywhere(service).flat_map(|map| VARIABLES.iter().filter_map(|key| map.get(key)));
    let texts = values.flat_map(|value| match &value.value {
        Value::Seq(items) => items.iter().filter_map(|item| item.as_str()).collect(),
        _ => value.as_str().into_iter().collect::<Vec<_>>(),
    });
    texts.map(str::to_owned).collect()
}

/// Images of a service and its instances, as they are written.
fn images(service: &Arc<Node>) -> BTreeSet<String> {
    let images = everywhere(service).filter_map(|map| map.get("image")?.as_str());
    images.map(str::to_owned).collect()
}

fn section<'a>(root: &'a Arc<Node>, key: &str) -> Option<&'a Mapping> {
    root.as_map()?.get(key)?.as_map()
}

/// The same mapping with another mapping under a key.
fn put(root: &Arc<Node>, key: &str, entries: Vec<(Arc<Node>, Arc<Node>)>) -> Arc<Node> {
    put_node(root, key, with(root, Value::Map(Mapping { entries, dropped: Vec::new() })))
}

/// The same file with secrets of another one that it does not declare: services may have come from there.
fn with_secrets_of(root: &Arc<Node>, other: Option<&Arc<Node>>) -> Arc<Node> {
    let entries =
        |root: &Arc<Node>| section(root, "secrets").map(|map| map.entries.clone()).unwrap_or_default();
    let mut secrets = entries(root);
    let known: BTreeSet<String> =
        secrets.iter().filter_map(|(key, _)| key.as_str().map(str::to_owned)).collect();
    let theirs = other.map(entries).unwrap_or_default().into_iter();
    let count = secrets.len();
    secrets.extend(theirs.filter(|(key, _)| key.as_str().is_some_and(|name| !known.contains(name))));
    if secrets.len() == count { root.clone() } else { put(root, "secrets", secrets) }
}

fn put_node(root: &Arc<Node>, key: &str, node: Arc<Node>) -> Arc<Node> {
    let Value::Map(map) = &root.value else { return root.clone() };
    let mut map = map.clone();
    match map.entries.iter_mut().find(|(known, _)| known.as_str() == Some(key)) {
        Some((_, value)) => *value = node,
        None => map.entries.push((text_node(root, key), node)),
    }
    with(root, Value::Map(map))
}

/// A text; where it stands is where `near` does.
fn text_node(near: &Arc<Node>, text: &str) -> Arc<Node> {
    with(near, Value::Str(text.into()))
}
