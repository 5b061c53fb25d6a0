//! Link variables: how containers find each other without a network of their own (specification, section 5).
//!
//! A service of *n* instances has variables in proportion to *n*, and each of its *n* containers gets all of them.
//! They are therefore made once per service and shared, and joined with a container's own variables only when its
//! request is written.

use crate::guest;
use crate::model::fingerprint::Fingerprint;
use crate::model::{EnvVar, Environment, Instance};
use crate::names::ServiceName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The variables that describe one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkBlock {
    /// The service.
    pub service: ServiceName,
    /// In the order of instances and ports.
    pub vars: Vec<EnvVar>,
    /// What all of them amount to in the fingerprints of containers.
    pub fingerprint: String,
    /// The length of all names and values.
    pub bytes: usize,
}

/// Link variables of all services, each made when it is first asked for.
#[derive(Debug)]
pub struct Links<'a> {
    environment: &'a Environment,
    own: BTreeMap<&'a ServiceName, Arc<LinkBlock>>,
    others: BTreeMap<&'a ServiceName, Arc<LinkBlock>>,
    recipients: BTreeMap<&'a ServiceName, Arc<[Arc<LinkBlock>]>>,
}

impl<'a> Links<'a> {
    /// The links of an environment; nothing is computed yet.
    pub fn new(environment: &'a Environment) -> Self {
        Self { environment, own: BTreeMap::new(), others: BTreeMap::new(), recipients: BTreeMap::new() }
    }

    /// What the containers of a service get: their own service's variables, then those of every service that it
    /// declares to require, directly or not, and of those that it wants to know directly; or those that it lists.
    pub fn of(&mut self, service: &'a ServiceName) -> Arc<[Arc<LinkBlock>]> {
        if let Some(blocks) = self.recipients.get(service) {
            return blocks.clone();
        }
        let mut blocks = Vec::new();
        if is_told_of_itself(self.environment, service) {
            blocks.push(self.own(service));
        }
        for other in told(self.environment, service) {
            blocks.push(self.other(other));
        }
        let blocks: Arc<[_]> = blocks.into();
        self.recipients.insert(service, blocks.clone());
        blocks
    }

    fn own(&mut self, service: &'a ServiceName) -> Arc<LinkBlock> {
        let environment = self.environment;
        self.own.entry(service).or_insert_with(|| Arc::new(block(environment, service, true))).clone()
    }

    fn other(&mut self, service: &'a ServiceName) -> Arc<LinkBlock> {
        let environment = self.environment;
        self.others.entry(service).or_insert_with(|| Arc::new(block(environment, service, false))).clone()
    }
}

/// Whether a service's containers are told of each other.
pub(super) fn is_told_of_itself(environment: &Environment, service: &ServiceName) -> bool {
    let links = environment.services.get(service).and_then(|service| service.links.as_ref());
    links.is_none_or(|links| links.contains(service))
}

/// Other services whose addresses a service's containers are told.
pub(super) fn told<'a>(environment: &'a Environment, service: &'a ServiceName) -> BTreeSet<&'a ServiceName> {
    if let Some(links) = environment.services.get(service).and_then(|service| service.links.as_ref()) {
        return links.iter().filter(|other| *other != service).collect();
    }
    let mut told = BTreeSet::new();
    let mut open: Vec<&ServiceName> = vec![service];
    while let Some(next) = open.pop() {
        let Some(next) = environment.services.get(next) else { continue };
        for needed in &next.declared_requires {
            if told.insert(needed) {
                open.push(needed);
            }
        }
    }
    if let Some(wanting) = environment.services.get(service) {
        told.extend(&wanting.wants_info);
    }
    // Around a circle, or because it wants to know itself: it does anyway.
    told.remove(service);
    told
}

fn block(environment: &Environment, name: &ServiceName, own: bool) -> LinkBlock {
    let mut vars = Vec::new();
    let mut names = String::new();
    for instance in instances(environment, name) {
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(instance.name.as_str());
        let own_name = instance.name.as_str();
        if let Some(ship) = environment.ships.get(&instance.ship) {
            vars.push(EnvVar::new(guest::host(name.as_str(), own_name), &*ship.ip));
        }
        for (port_name, port) in &*instance.ports {
            vars.push(EnvVar::new(guest::port(name.as_str(), own_name, port_name), &*port.external));
            if own {
                let variable = guest::internal_port(name.as_str(), own_name, port_name);
                vars.push(EnvVar::new(variable, &*port.exposed));
            }
        }
    }
    vars.push(EnvVar::new(guest::instances(name.as_str()), &*names));
    let mut fingerprint = Fingerprint::default();
    for var in &vars {
        fingerprint.part("env", [&*var.name].into_iter().chain(var.value.as_deref()));
    }
    let bytes = vars.iter().map(EnvVar::bytes).sum();
    LinkBlock { service: name.clone(), vars, fingerprint: fingerprint.finish(), bytes }
}

/// The instances of a service.
pub(super) fn instances<'a>(
    environment: &'a Environment,
    service: &ServiceName,
) -> impl Iterator<Item = &'a Instance> + use<'a> {
    let names = environment.services.get(service).into_iter().flat_map(|service| &service.instances);
    names.filter_map(|name| environment.instances.get(name))
}
