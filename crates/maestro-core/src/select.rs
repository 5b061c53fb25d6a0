//! Which instances a command means, and in which order (specification, sections 1.7 and 6.2).

use crate::diagnostic::nearest;
use crate::glob::Glob;
use crate::model::Environment;
use crate::model::graph::{Direction, Graph};
use crate::names::{InstanceName, ServiceName};
use order::order;
use std::collections::BTreeSet;

mod order;

pub(crate) use order::{in_passes, siblings_before};

/// A filter that no instance passes.
const NOTHING: &str = "/";

/// What the command line says about instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Names of services and instances; empty for all services.
    pub things: Vec<String>,
    /// Also what these need, or what needs them.
    pub with_dependencies: bool,
    /// Don't wait for dependencies; without names, don't include them either.
    pub ignore_dependencies: bool,
    /// Only instances whose name matches this glob.
    pub instance_filter: Option<String>,
    /// Only instances on ships whose name matches this glob.
    pub ship_filter: Option<String>,
    /// Services that the environment does not have any more, whose containers are meant, too.
    pub gone: BTreeSet<ServiceName>,
}

impl Selector {
    /// The same of these things only. Of none, nothing is meant: where none is named, everything would be.
    #[must_use]
    pub fn only(self, things: Vec<String>) -> Self {
        let nothing = things.is_empty().then(|| NOTHING.to_owned());
        Self { things, instance_filter: nothing.or(self.instance_filter), ..self }
    }
}

/// How a command selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectionRules {
    /// Which dependencies `-d` adds, and which way the order goes.
    pub direction: Direction,
    /// Whether services with `omit` count where nothing is named.
    pub includes_omitted: bool,
}

/// The instances of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// In the order of the command, each once.
    pub instances: Vec<InstanceName>,
    /// Whether dependencies among them are waited for.
    pub ordered: bool,
    /// Services all of whose instances are meant, and so whatever else there is of them; also those that are gone.
    pub whole: BTreeSet<ServiceName>,
}

/// A name that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{thing} is neither a service nor a container")]
pub struct UnknownThing {
    /// The name.
    pub thing: String,
    /// The known name that is most like it.
    pub nearest: Option<String>,
}

/// Resolves what the command line says.
pub fn select(
    environment: &Environment,
    selector: &Selector,
    rules: SelectionRules,
) -> Result<Selection, UnknownThing> {
    let mut chosen: BTreeSet<&InstanceName> = BTreeSet::new();
    let mut whole: BTreeSet<&ServiceName> = BTreeSet::new();
    for service in services_of(environment, selector, rules)? {
        match service {
            Thing::Instance(name) => {
                chosen.insert(name);
            }
            Thing::Service(name) => {
                whole.insert(name);
                chosen.extend(instances_of(environment, name));
            }
        }
    }
    let with_dependencies =
        if selector.things.is_empty() { !selector.ignore_dependencies } else { selector.with_dependencies };
    let mut instances: Vec<&InstanceName> = if with_dependencies {
        let graph = Graph::new(environment, rules.direction);
        let services: BTreeSet<&ServiceName> =
            chosen.iter().filter_map(|name| environment.instances.get(*name)).map(|i| &i.service).collect();
        for needed in reachable(&graph, services) {
            chosen.extend(instances_of(environment, needed));
        }
        order(environment, &graph, rules.direction, chosen)
    } else {
        chosen.into_iter().collect()
    };
    let keep = |filter: &Option<String>| filter.as_deref().map(Glob::new);
    let (by_name, by_ship) = (keep(&selector.instance_filter), keep(&selector.ship_filter));
    instances.retain(|name| {
        by_name.as_ref().is_none_or(|glob| glob.matches(name.as_str()))
            && by_ship.as_ref().is_none_or(|glob| {
                environment.instances.get(*name).is_some_and(|i| glob.matches(i.ship.as_str()))
            })
    });
    let kept: BTreeSet<&InstanceName> = instances.iter().copied().collect();
    whole.extend(instances.iter().filter_map(|name| environment.instances.get(*name)).map(|i| &i.service));
    whole.retain(|service| instances_of(environment, service).all(|name| kept.contains(name)));
    if by_name.is_some() || by_ship.is_some() {
        // Nobody asked for what has no instances.
        whole.retain(|service| instances_of(environment, service).next().is_some());
    }
    Ok(Selection {
        instances: instances.into_iter().cloned().collect(),
        ordered: !selector.ignore_dependencies,
        whole: whole.into_iter().chain(&selector.gone).cloned().collect(),
    })
}

enum Thing<'a> {
    Instance(&'a InstanceName),
    Service(&'a ServiceName),
}

/// What is named, or all services. An instance wins over a service of the same name.
fn services_of<'a>(
    environment: &'a Environment,
    selector: &Selector,
    rules: SelectionRules,
) -> Result<Vec<Thing<'a>>, UnknownThing> {
    if selector.things.is_empty() {
        return Ok(environment
            .services
            .iter()
            .filter(|(_, service)| rules.includes_omitted || !service.omit)
            .map(|(name, _)| Thing::Service(name))
            .collect());
    }
    let resolve = |thing: &String| {
        if let Some((name, _)) = environment.instances.get_key_value(thing.as_str()) {
            return Ok(Thing::Instance(name));
        }
        if let Some((name, _)) = environment.services.get_key_value(thing.as_str()) {
            return Ok(Thing::Service(name));
        }
        let names = environment.services.keys().map(ServiceName::as_str);
        let known = names.chain(environment.instances.keys().map(InstanceName::as_str));
        Err(UnknownThing { thing: thing.clone(), nearest: nearest(thing, known).map(str::to_owned) })
    };
    selector.things.iter().map(resolve).collect()
}

fn instances_of<'a>(
    environment: &'a Environment,
    service: &ServiceName,
) -> impl Iterator<Item = &'a InstanceName> {
    environment.services.get(service).into_iter().flat_map(|s| &s.instances)
}

fn reachable<'a>(graph: &Graph<'a>, from: BTreeSet<&'a ServiceName>) -> BTreeSet<&'a ServiceName> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&ServiceName> = from.into_iter().flat_map(|name| graph.next(name)).collect();
    while let Some(name) = open.pop() {
        if reached.insert(name) {
            open.extend(graph.next(name));
        }
    }
    reached
}
