//! What is shipped: a file with nothing left to be rendered, and the content that each of its image references stood for
//! (`docs/design/0018`).

mod document;
mod parts;

pub(crate) use document::sha256;
pub use document::{DocumentError, FORMAT};
pub use parts::Part;

use crate::config::node::{Mapping, Node, Value};
use crate::config::{Limits, Loaded, load, resolved, spelled_out};
use crate::fleet::{FleetSnapshot, ShipView};
use crate::image::ImageRef;
use crate::model::Environment;
use crate::names::{ImageId, InstanceName, ServiceName, ShipName};
use crate::source::{MapSources, SourceError, SourceKind, Sources};
use parts::renamed;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Keys of a file that a release has no business with: who may pull, and who is told, are matters of today.
const OF_TODAY: [&str; 6] = ["registries", "audit", "budget", "freeze", "anchors", "ledger"];

/// What a fleet is, or was, or shall be. Passwords may be among its variables: its file is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Release {
    /// The environment's name.
    pub environment: String,
    /// The file, without what is of today.
    file: String,
    /// The env files that it names, by the names that it gives them, which tell their contents.
    env_files: BTreeMap<String, String>,
    /// What a file without ships needs to know of the process that reads it.
    variables: BTreeMap<String, String>,
    /// What image references stand for: digests, `sha256:…`, by service, for two may have been deployed at other times.
    images: BTreeMap<String, BTreeMap<String, String>>,
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release").field("environment", &self.environment).finish_non_exhaustive()
    }
}

impl Release {
    /// Of a file that was loaded through these sources. Replicas are written down as instances, on the ships that they have.
    pub fn of(environment: &Environment, root: &Arc<Node>, sources: &Recorded<'_>) -> Self {
        let has_ships =
            root.as_map().is_some_and(|map| map.get("ships").is_some_and(|ships| !ships.is_null()));
        let engine = |name: &str| name.starts_with("DOCKER_") || name == "HOME";
        let variables = sources.variables().into_iter().filter(|(name, _)| !has_ships && engine(name));
        let (root, env_files) = renamed(root, &sources.env_files());
        // Where replicas are is part of what is shipped: ships that come or go later do not move those of a release.
        let root = spelled_out(&root, environment);
        Self {
            environment: environment.display_name().to_owned(),
            file: resolved(&root, &OF_TODAY),
            env_files,
            variables: variables.collect(),
            images: BTreeMap::new(),
        }
    }

    /// The same, with what an image reference of a service stands for.
    pub fn pin(&mut self, service: &ServiceName, image: &ImageRef, digest: &str) {
        let images = self.images.entry(service.as_str().to_owned()).or_default();
        images.insert(image.as_str().to_owned(), digest.to_owned());
    }

    /// Gives the instances of an environment that it described the contents that were found for its images since.
    pub fn pin_images_of(&self, environment: &mut Environment) {
        for instance in environment.instances.values_mut() {
            let images = self.images.get(instance.service.as_str());
            if let Some(digest) = images.and_then(|images| images.get(instance.image.as_str())) {
                instance.image = instance.image.pinned(digest);
            }
        }
    }

    /// The environment that it describes, of its images. Registries and auditors are those of `today`; instances on ships
    /// that today's file does not have any more are left out, for nobody can reach them.
    ///
    /// # Errors
    /// What was loaded, if the file cannot be read any more: a newer Maestro may refuse what an older one wrote.
    pub fn environment(&self, today: &Environment) -> Result<Environment, Box<Loaded>> {
        let mut environment = self.environment_then(today)?;
        let gone = |ship: &ShipName| !today.ships.contains_key(ship);
        environment.instances.retain(|_, instance| !gone(&instance.ship));
        environment.ships.retain(|name, _| !gone(name));
        let Environment { instances, services, .. } = &mut environment;
        for service in services.values_mut() {
            service.instances.retain(|name| instances.contains_key(name));
        }
        Ok(environment)
    }

    /// The same with all that it had, also on ships that today's file does not have any more: to be looked at, not to be
    /// deployed.
    ///
    /// # Errors
    /// As for [`Release::environment`].
    pub fn environment_then(&self, today: &Environment) -> Result<Environment, Box<Loaded>> {
        let sources = MapSources {
            environment: self.file.clone().into_bytes(),
            files: self
                .env_files
                .iter()
                .map(|(name, text)| (name.clone(), text.clone().into_bytes()))
                .collect(),
            variables: self.variables.clone(),
        };
        let mut loaded = load(&sources, &Limits::default());
        let Some(mut environment) = loaded.environment.take() else { return Err(Box::new(loaded)) };
        self.pin_images_of(&mut environment);
        environment.registries.clone_from(&today.registries);
        environment.auditors.clone_from(&today.auditors);
        environment.anchors.clone_from(&today.anchors);
        environment.ledger.clone_from(&today.ledger);
        environment.safeguards.clone_from(&today.safeguards);
        // Where a value comes from is a matter of today, too; of those that today's file does not know any more, as it was.
        for secret in environment.secrets.values_mut() {
            secret.place = "an earlier release".into();
        }
        environment.secrets.extend(today.secrets.clone());
        Ok(environment)
    }
}

/// Why ships that need an image would not run the same, where no registry tells what it is: those that have it have
/// different contents, or some would have to get it at whatever moment. None if they would.
pub fn disagreement(
    environment: &Environment,
    fleet: &FleetSnapshot,
    instances: &[InstanceName],
    image: &ImageRef,
) -> Option<String> {
    let mut first: Option<(&ImageId, &ShipName)> = None;
    let needing = instances.iter().filter_map(|name| environment.instances.get(name));
    for instance in needing.filter(|instance| instance.image == *image) {
        // Who cannot be seen is not deployed to.
        let Some(ShipView::Reachable(state)) = fleet.ship(&instance.ship) else { continue };
        let Some(found) = state.image(image) else {
            return Some(format!("ship {} does not have it", instance.ship));
        };
        let (content, ship) = *first.get_or_insert((&found.id, &instance.ship));
        if *content != found.id {
            return Some(format!(
                "ships {ship} and {} have different contents under that name",
                instance.ship
            ));
        }
    }
    None
}

/// Sources that remember which env files were read.
pub struct Recorded<'a> {
    inner: &'a dyn Sources,
    read: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl<'a> Recorded<'a> {
    /// Nothing has been read yet.
    pub fn new(inner: &'a dyn Sources) -> Self {
        Self { inner, read: RefCell::default() }
    }

    fn env_files(&self) -> BTreeMap<String, String> {
        let read = self.read.borrow();
        // Loading has refused what is no text.
        read.iter().map(|(name, bytes)| (name.clone(), String::from_utf8_lossy(bytes).into_owned())).collect()
    }
}

impl Sources for Recorded<'_> {
    fn read(&self, kind: SourceKind, name: &str) -> Result<Vec<u8>, SourceError> {
        let bytes = self.inner.read(kind, name)?;
        if kind == SourceKind::EnvFile {
            self.read.borrow_mut().insert(name.to_owned(), bytes.clone());
        }
        Ok(bytes)
    }

    fn display_name(&self, kind: SourceKind, name: &str) -> String {
        self.inner.display_name(kind, name)
    }

    fn variables(&self) -> BTreeMap<String, String> {
        self.inner.variables()
    }
}

/// A file in which the images of some services have another tag, wherever they are written.
#[must_use]
pub fn retagged(root: &Arc<Node>, services: &BTreeSet<ServiceName>, tag: &str) -> Arc<Node> {
    let retag = |node: &Arc<Node>| -> Arc<Node> {
        let Value::Str(text) = &node.value else { return node.clone() };
        let image = ImageRef::parse(text.clone());
        with(node, Value::Str(format!("{}:{tag}", image.repository()).into()))
    };
    at(root, "services", |services_node| {
        each(services_node, |name, service| {
            if !services.iter().any(|s| Some(s.as_str()) == name) {
                return service.clone();
            }
            let service = at(service, "image", retag);
            at(&service, "instances", |instances| each(instances, |_, one| at(one, "image", retag)))
        })
    })
}

fn with(node: &Node, value: Value) -> Arc<Node> {
    Arc::new(Node { span: node.span, value })
}

/// The same mapping with another value of one key, if it has it.
fn at(node: &Arc<Node>, key: &str, change: impl Fn(&Arc<Node>) -> Arc<Node>) -> Arc<Node> {
    each(node, |name, value| if name == Some(key) { change(value) } else { value.clone() })
}

/// The same mapping with other values; by their keys, where those are texts.
fn each(node: &Arc<Node>, change: impl Fn(Option<&str>, &Arc<Node>) -> Arc<Node>) -> Arc<Node> {
    let Value::Map(map) = &node.value else { return node.clone() };
    let entries = map.entries.iter().map(|(key, value)| (key.clone(), change(key.as_str(), value))).collect();
    with(node, Value::Map(Mapping { entries, dropped: map.dropped.clone() }))
}

#[cfg(test)]
mod tests;
