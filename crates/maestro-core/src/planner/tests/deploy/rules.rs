//! What a file says that no deployment of it may break. All of it is worked out from the file, and not as the planner does.

use crate::balance::{Endpoint, Rotation, Standing};
use crate::fleet::{FleetSnapshot, ObservedContainer, ShipView};
use crate::model::{BalancerPlace, Environment, LABEL_RUN, Remedy};
use crate::names::{InstanceName, ServiceName, ShipName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a file says that no deployment of it may break.
pub(super) struct Rules {
    /// Instances, and those that have to be done before anything is done to them.
    pub(super) order: BTreeMap<InstanceName, BTreeSet<InstanceName>>,
    /// Services, and all that they require.
    pub(super) needs: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    pub(super) remedies: BTreeMap<ServiceName, Remedy>,
    /// Services that requests are sent to.
    pub(super) routed: BTreeSet<ServiceName>,
    /// Instances in whose containers front ends run.
    pub(super) front_ends: BTreeSet<(ShipName, InstanceName)>,
    pub(super) ships: BTreeMap<Arc<str>, ShipName>,
    /// How many instances of the file can write to a directory of a ship.
    pub(super) writers: BTreeMap<(ShipName, String), usize>,
}

impl Rules {
    pub(super) fn of(environment: &Environment) -> Self {
        let needs = needs(environment);
        let mut writers: BTreeMap<(ShipName, String), usize> = BTreeMap::new();
        for instance in environment.instances.values() {
            for source in written(&instance.settings.binds) {
                *writers.entry((instance.ship.clone(), source)).or_default() += 1;
            }
        }
        let place = |name: &InstanceName| (environment.instances[name].ship.clone(), name.clone());
        let balancers = || environment.balancers.values();
        let edges = balancers().filter_map(|balancer| match &balancer.place {
            BalancerPlace::Service(service) => environment.services.get(service),
            BalancerPlace::Hosts(_) | BalancerPlace::Local => None,
        });
        Self {
            order: order(environment, &needs),
            needs,
            remedies: environment.services.iter().map(|(n, s)| (n.clone(), s.deploy.on_failure)).collect(),
            routed: balancers().flat_map(|of| of.routes.iter().map(|route| route.service.clone())).collect(),
            front_ends: edges.flat_map(|service| service.instances.iter().map(place)).collect(),
            ships: environment.ships.iter().map(|(name, ship)| (ship.ip.clone(), name.clone())).collect(),
            writers,
        }
    }

    /// Where balancers send requests.
    pub(super) fn gets(&self, rotation: &Rotation) -> Vec<Endpoint> {
        let is_in = |endpoint: &Endpoint| {
            endpoint.standing == Standing::In && self.routed.contains(&endpoint.service)
        };
        rotation.endpoints().into_iter().filter(is_in).collect()
    }

    /// How many of a service answer the requests that are sent there.
    pub(super) fn answering(
        &self,
        service: &ServiceName,
        rotation: &Rotation,
        fleet: &FleetSnapshot,
    ) -> usize {
        let runs = |endpoint: &Endpoint| {
            let ship = self.ships.get(&endpoint.address);
            up(fleet)
                .any(|(on, container)| Some(on) == ship && container.ports.contains_key(&endpoint.number))
        };
        self.gets(rotation).iter().filter(|of| of.service == *service && runs(of)).count()
    }
}

/// The directories that binds give to write to.
pub(super) fn written(binds: &[String]) -> Vec<String> {
    let written = binds.iter().filter(|bind| !bind.ends_with(":ro"));
    written.filter_map(|bind| Some(bind.split(':').next()?.to_owned())).collect()
}

/// Services, and all of those that they require, over any number of others.
fn needs(environment: &Environment) -> BTreeMap<ServiceName, BTreeSet<ServiceName>> {
    let all = environment.services.keys().map(|name| {
        let mut found = BTreeSet::new();
        let mut open = vec![name];
        while let Some(service) = open.pop() {
            let next = environment.services[service].requires.iter();
            open.extend(next.filter(|next| found.insert((*next).clone())));
        }
        (name.clone(), found)
    });
    all.collect()
}

/// Whom each instance needs: all of the services that its own requires, and those of its own that it takes something from.
fn order(
    environment: &Environment,
    needs: &BTreeMap<ServiceName, BTreeSet<ServiceName>>,
) -> BTreeMap<InstanceName, BTreeSet<InstanceName>> {
    let all = environment.instances.iter().map(|(name, instance)| {
        let of = |service: &ServiceName| environment.services[service].instances.iter().cloned();
        let needed = needs[&instance.service].iter().flat_map(of).chain(instance.after.iter().cloned());
        (name.clone(), needed.collect())
    });
    all.collect()
}

/// Whether a hook is run in a container.
pub(super) fn is_hooks(container: &ObservedContainer) -> bool {
    container.labels.contains_key(LABEL_RUN)
}

/// All containers that run.
pub(super) fn up(fleet: &FleetSnapshot) -> impl Iterator<Item = (&ShipName, &ObservedContainer)> {
    let seen = fleet.ships.iter().filter_map(|(ship, view)| match view {
        ShipView::Reachable(state) => Some((ship, state)),
        ShipView::Unreachable(_) => None,
    });
    let all =
        seen.flat_map(|(ship, state)| state.containers.values().map(move |container| (ship, container)));
    all.filter(|(_, container)| container.state.is_running())
}
