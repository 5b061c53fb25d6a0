//! Which instances get requests, while a deployment changes that step by step.

use super::Endpoint;
use crate::fleet::{ContainerState, FleetSnapshot, Ownership, ShipView};
use crate::model::{Balancer, BalancerPlace, Environment, Port};
use crate::names::{InstanceName, ServiceName};
use std::collections::BTreeMap;
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
            for endpoint in endpoints(environment, name, name, standing(name, &instance.ship)) {
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

    /// Adds the endpoints of an instance as the environment has them, for a container that is called like this.
    pub fn admit_as(&mut self, environment: &Environment, instance: &InstanceName, container: &InstanceName) {
        for endpoint in endpoints(environment, instance, container, Standing::In) {
            self.put(endpoint);
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

    /// A container gets another share of the requests. False if none of that name is known.
    pub fn weigh(&mut self, container: &InstanceName, weight: u8) -> bool {
        self.set(container, |endpoint| endpoint.weight = weight)
    }

    fn set(&mut self, container: &InstanceName, change: impl Fn(&mut Endpoint)) -> bool {
        let Some(ports) = self.endpoints.get_mut(container) else { return false };
        ports.values_mut().for_each(change);
        true
    }

    /// All endpoints, in the order of their containers and ports.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.endpoints.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Those that a balancer's routes lead to.
    pub fn endpoints_of(&self, balancer: &Balancer) -> Vec<Endpoint> {
        let leads = |endpoint: &Endpoint| {
            let wanted = |route: &crate::model::Route| {
                route.service == endpoint.service && route.port == endpoint.port
            };
            balancer.routes.iter().any(wanted)
        };
        self.endpoints
            .values()
            .flat_map(BTreeMap::values)
            .filter(|endpoint| leads(endpoint))
            .cloned()
            .collect()
    }
}

/// The TCP ports of an instance, as far as it is known beforehand where they are published.
fn endpoints(
    environment: &Environment,
    instance: &InstanceName,
    container: &InstanceName,
    standing: Standing,
) -> Vec<Endpoint> {
    let Some(found) = environment.instances.get(instance) else { return Vec::new() };
    let Some(ship) = environment.ships.get(&found.ship) else { return Vec::new() };
    let place = |port: &Port| {
        let (address, number) = found.published(port.exposed.parse().ok()?)?;
        // Published at one address of the ship, it is nowhere else.
        let anywhere = matches!(address, "" | "0.0.0.0" | "::");
        let address: Arc<str> = if anywhere { ship.ip.clone() } else { address.into() };
        Some((address, number))
    };
    let ports = found.ports.iter().filter(|(_, port)| port.protocol == crate::model::Protocol::Tcp);
    ports
        .filter_map(|(name, port)| {
            let (address, number) = place(port)?;
            Some(Endpoint {
                service: found.service.clone(),
                instance: container.clone(),
                port: name.clone(),
                address,
                number,
                standing,
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
