//! Which instances get requests, while a deployment changes that step by step.

use super::Endpoint;
use crate::fleet::{
    ContainerState, FleetSnapshot, NEXT, ObservedContainer, Orphan, Ownership, ShipView, orphans,
};
use crate::model::{Balancer, BalancerPlace, Environment, Instance, LABEL_PORT, Picked, Port, Portion};
use crate::names::{InstanceName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Whether an endpoint gets requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It does.
    In,
    /// It gets no new ones, and finishes those that it has.
    Draining,
    /// It is not known to balancers.
    Out,
}

impl Standing {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Standing::In => "in",
            Standing::Draining => "draining",
            Standing::Out => "out",
        }
    }
}

/// The endpoints of all services that balancers stand before.
///
/// Changing one changes nothing anywhere: what it says is published. So every step of a deployment can be computed
/// beforehand, and done again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotation {
    /// By the name of the container, then by that of the port.
    endpoints: BTreeMap<InstanceName, BTreeMap<Arc<str>, Endpoint>>,
}

impl Rotation {
    /// Every instance of the environment whose container of its name runs and is this environment's is in. Those that
    /// cannot be seen are in, too: that a ship is silent is no reason to send nobody there.
    pub fn of(environment: &Environment, fleet: &FleetSnapshot) -> Self {
        let standing = |instance: &InstanceName, ship: &_| match fleet.ship(ship) {
            None | Some(ShipView::Unreachable(_)) => Standing::In,
            Some(ShipView::Reachable(state)) => match state.containers.get(instance.as_str()) {
                Some(container)
                    if container.state == ContainerState::Running
                        && !matches!(container.ownership(environment), Ownership::Foreign(_)) =>
                {
                    Standing::In
                }
                _ => Standing::Out,
            },
        };
        let mut rotation = Self::default();
        for (name, instance) in &environment.instances {
            for next in standing_in(environment, fleet, instance) {
                let picked = published(instance, next);
                let called = InstanceName::from(&*next.name);
                for endpoint in endpoints(environment, name, &called, &picked, Standing::In) {
                    rotation.put(endpoint);
                }
            }
            let container = fleet.container(&instance.ship, name);
            let picked = container.map(|found| published(instance, found)).unwrap_or_default();
            for endpoint in endpoints(environment, name, name, &picked, standing(name, &instance.ship)) {
                rotation.put(endpoint);
            }
        }
        // What the file does not have any more serves until it is stopped.
        for orphan in orphans(environment, fleet) {
            for endpoint in endpoints_of_orphan(environment, &orphan) {
                rotation.put(endpoint);
            }
        }
        rotation
    }

    /// Every instance of the environment is in.
    pub fn all(environment: &Environment) -> Self {
        Self::of(environment, &FleetSnapshot::default())
    }

    /// Adds an endpoint, or replaces the one of the same container and port: for one whose port the engine has chosen, or
    /// whose container does not have its instance's name.
    pub fn put(&mut self, endpoint: Endpoint) {
        let ports = self.endpoints.entry(endpoint.instance.clone()).or_default();
        ports.insert(endpoint.port.clone(), endpoint);
    }

    /// What it is after a change.
    pub fn change(&mut self, change: &RouteChange) {
        for container in &change.withdraw {
            self.endpoints.remove(container);
        }
        for service in &change.level {
            self.level(service);
        }
        for endpoint in &change.admit {
            self.put(endpoint.clone());
        }
        for container in &change.drain {
            self.drain(container);
        }
    }

    /// A container gets requests. False if none of that name is known.
    pub fn admit(&mut self, container: &InstanceName) -> bool {
        self.set(container, |endpoint| endpoint.standing = Standing::In)
    }

    /// A container gets no more requests, and finishes those that it has. False if none of that name is known.
    pub fn drain(&mut self, container: &InstanceName) -> bool {
        self.set(container, |endpoint| endpoint.standing = Standing::Draining)
    }

    /// A container is no longer known to balancers. False if none of that name was.
    pub fn withdraw(&mut self, container: &InstanceName) -> bool {
        self.set(container, |endpoint| endpoint.standing = Standing::Out)
    }

    /// These instances of a service get such a portion of its requests, whatever stands in for them.
    pub fn try_first(&mut self, service: &ServiceName, canaries: &[InstanceName], portion: Portion) {
        let is_of = |container: &InstanceName| {
            let stands_in = |name: &InstanceName| {
                let rest = container.as_str().strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(NEXT))
            };
            canaries.iter().any(stands_in)
        };
        for (container, ports) in &mut self.endpoints {
            if is_of(container) {
                let own = ports.values_mut().filter(|endpoint| endpoint.service == *service);
                own.for_each(|endpoint| endpoint.portion = Some(portion));
            }
        }
    }

    /// Everybody of a service gets the same again.
    fn level(&mut self, service: &ServiceName) {
        let all = self.endpoints.values_mut().flat_map(BTreeMap::values_mut);
        all.filter(|endpoint| endpoint.service == *service).for_each(|endpoint| endpoint.portion = None);
    }

    fn set(&mut self, container: &InstanceName, change: impl Fn(&mut Endpoint)) -> bool {
        let Some(ports) = self.endpoints.get_mut(container) else { return false };
        ports.values_mut().for_each(change);
        true
    }

    /// All endpoints, in the order of their containers and ports.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        weighed(self.endpoints.values().flat_map(BTreeMap::values).cloned().collect())
    }

    /// Those that a balancer's routes lead to.
    pub fn endpoints_of(&self, balancer: &Balancer) -> Vec<Endpoint> {
        let leads = |endpoint: &Endpoint| {
            let wanted = |route: &crate::model::Route| {
                route.service == endpoint.service && route.port == endpoint.port
            };
            balancer.routes.iter().any(wanted)
        };
        let all = self.endpoints.values().flat_map(BTreeMap::values);
        weighed(all.filter(|endpoint| leads(endpoint)).cloned().collect())
    }
}

/// Gives the canaries among those that get requests their portion of what goes to the same port of the same service.
fn weighed(mut endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    /// Canaries and others, and what the canaries get.
    type Met = (usize, usize, Option<Portion>);
    if endpoints.iter().all(|endpoint| endpoint.portion.is_none()) {
        return endpoints;
    }
    let mut met: BTreeMap<(ServiceName, Arc<str>), Met> = BTreeMap::new();
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.standing == Standing::In) {
        let place = met.entry((endpoint.service.clone(), endpoint.port.clone())).or_default();
        match endpoint.portion {
            Some(portion) => (place.0, place.2) = (place.0 + 1, Some(portion)),
            None => place.1 += 1,
        }
    }
    let split = |(canaries, others, portion): Met| portion?.split(canaries, others);
    let mut splits: BTreeMap<_, _> =
        met.into_iter().filter_map(|(port, met)| Some((port, split(met)?))).collect();
    // Where all get the same, it is what they always get.
    splits.retain(|_, split| split.canary != split.other);
    for endpoint in &mut endpoints {
        if let Some(split) = splits.get(&(endpoint.service.clone(), endpoint.port.clone())) {
            endpoint.weight = if endpoint.portion.is_some() { split.canary } else { split.other };
        }
    }
    endpoints
}

/// What a deployment that was broken off has left to serve in the place of an instance: its own container has stopped
/// then, and stops only when the next one has been proved and let in.
fn standing_in<'f>(
    environment: &Environment,
    fleet: &'f FleetSnapshot,
    instance: &Instance,
) -> Vec<&'f ObservedContainer> {
    let Some(ShipView::Reachable(state)) = fleet.ship(&instance.ship) else { return Vec::new() };
    let own = state.containers.get(instance.name.as_str());
    if own.is_some_and(|container| container.state.is_running()) {
        return Vec::new();
    }
    let running = |next: &&ObservedContainer| next.state == ContainerState::Running;
    state.nexts(environment, &instance.name).filter(running).collect()
}

/// Where the ports of a container are, which may be of an earlier release and elsewhere than the file says now.
fn published(instance: &Instance, container: &ObservedContainer) -> Picked {
    let mut found = Picked::default();
    for (name, port) in &*instance.ports {
        let key = format!("{}/tcp", port.exposed);
        let bound = container.configuration.as_ref().and_then(|of| of.ports.get(&key)?.first());
        let bound = bound.and_then(|bound| bound.port.parse().ok()).filter(|number| *number > 0);
        let labelled = || container.labels.get(&format!("{LABEL_PORT}{name}"))?.parse().ok();
        if let Some(number) = bound.or_else(labelled) {
            found.pick(name, number);
        }
    }
    found
}

/// Where a container answers that the file does not have any more: at the ports that those of its service have by now.
fn endpoints_of_orphan(environment: &Environment, orphan: &Orphan<'_>) -> Vec<Endpoint> {
    let sibling = environment.instances.values().find(|known| known.service == orphan.service);
    let (Some(sibling), Some(ship)) = (sibling, environment.ships.get(orphan.ship)) else {
        return Vec::new();
    };
    if orphan.container.state != ContainerState::Running || orphan.is_unproved {
        return Vec::new();
    }
    let ports = sibling.ports.iter().filter(|(_, port)| port.protocol == crate::model::Protocol::Tcp);
    let found = ports.filter_map(|(name, port)| {
        let exposed: u16 = port.exposed.parse().ok()?;
        let (number, _) = orphan.container.ports.iter().find(|(_, own)| **own == exposed)?;
        Some(Endpoint {
            service: orphan.service.clone(),
            instance: orphan.name(),
            port: name.clone(),
            address: ship.ip.clone(),
            number: *number,
            standing: Standing::In,
            portion: None,
            weight: Endpoint::WEIGHT,
        })
    });
    found.collect()
}

/// Who gets requests, and who gets no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteChange {
    /// Requests go there from now on.
    pub admit: Vec<Endpoint>,
    /// These containers get no new requests, and finish those that they have.
    pub drain: Vec<InstanceName>,
    /// These are not known any more.
    pub withdraw: Vec<InstanceName>,
    /// Of these services, canaries get what everybody gets.
    pub level: Vec<ServiceName>,
    /// Front ends that are about to be stopped: they are told what is published, and nobody waits for them.
    pub leave: Vec<InstanceName>,
    /// Front ends that have been started.
    pub join: Vec<InstanceName>,
}

/// The TCP ports of an instance, as far as it is known beforehand where they are published, for a container that is
/// called like this and for which these ports were picked.
pub fn endpoints(
    environment: &Environment,
    instance: &InstanceName,
    container: &InstanceName,
    picked: &Picked,
    standing: Standing,
) -> Vec<Endpoint> {
    let Some(found) = environment.instances.get(instance) else { return Vec::new() };
    let Some(ship) = environment.ships.get(&found.ship) else { return Vec::new() };
    let place = |name: &str, port: &Port| {
        let (address, number) = match picked.get(name) {
            Some(number) => (&*port.address, number),
            None => found.published(port.exposed.parse().ok()?)?,
        };
        // Published at one address of the ship, it is nowhere else.
        let anywhere = matches!(address, "" | "0.0.0.0" | "::");
        let address: Arc<str> = if anywhere { ship.ip.clone() } else { address.into() };
        Some((address, number))
    };
    let ports = found.ports.iter().filter(|(_, port)| port.protocol == crate::model::Protocol::Tcp);
    ports
        .filter_map(|(name, port)| {
            let (address, number) = place(name, port)?;
            Some(Endpoint {
                service: found.service.clone(),
                instance: container.clone(),
                port: name.clone(),
                address,
                number,
                standing,
                portion: None,
                weight: Endpoint::WEIGHT,
            })
        })
        .collect()
}

impl Environment {
    /// The balancers that stand before a service.
    pub fn balancers_of<'a>(&'a self, service: &'a ServiceName) -> impl Iterator<Item = &'a Balancer> {
        self.balancers.values().filter(move |balancer| balancer.serves(service))
    }

    /// The instances in whose containers front ends run that have to acknowledge what is published: all that run, and those
    /// that cannot be seen, for they may serve.
    pub fn front_ends_up(&self, fleet: &FleetSnapshot) -> BTreeSet<InstanceName> {
        let all = self.balancers.values().flat_map(|balancer| self.front_ends_of(balancer));
        let is_up = |name: &InstanceName| {
            let ship = self.instances.get(name).and_then(|instance| fleet.ship(&instance.ship));
            match ship {
                None | Some(ShipView::Unreachable(_)) => true,
                Some(ShipView::Reachable(state)) => {
                    state.containers.get(name.as_str()).is_some_and(|container| container.state.is_running())
                }
            }
        };
        all.filter(is_up).collect()
    }

    /// Everything that has to be seen for balancers of these services to be told: their front ends, and all that they
    /// send requests to.
    pub fn balanced_with(&self, services: &BTreeSet<&ServiceName>) -> BTreeSet<InstanceName> {
        let balancers: Vec<&Balancer> = self
            .balancers
            .values()
            .filter(|balancer| {
                let is_place =
                    |s: &&ServiceName| matches!(&balancer.place, BalancerPlace::Service(p) if p == *s);
                services.iter().any(|service| balancer.serves(service) || is_place(service))
            })
            .collect();
        let behind = balancers.iter().flat_map(|balancer| &balancer.routes);
        let behind = behind.filter_map(|route| self.services.get(&route.service));
        let behind = behind.flat_map(|service| service.instances.iter().cloned());
        balancers.iter().flat_map(|balancer| self.front_ends_of(balancer)).chain(behind).collect()
    }

    /// The instances in whose containers front ends of a balancer run; none if they run elsewhere.
    pub fn front_ends_of(&self, balancer: &Balancer) -> Vec<InstanceName> {
        match &balancer.place {
            BalancerPlace::Service(service) => {
                self.services.get(service).map(|s| s.instances.iter().cloned().collect()).unwrap_or_default()
            }
            BalancerPlace::Hosts(_) | BalancerPlace::Local => Vec::new(),
        }
    }
}
