//! Containers of an environment that its file does not have any more, or has on another ship.

use super::{FleetSnapshot, ObservedContainer, Ownership, ShipView};
use crate::model::{Environment, LABEL_INSTANCE, LABEL_SERVICE};
use crate::names::{InstanceName, ServiceName, ShipName};

/// A container that runs, was made for an instance of this environment, and is not where its file has that instance.
#[derive(Debug, Clone)]
pub struct Orphan<'f> {
    /// The ship that it is on.
    pub ship: &'f ShipName,
    /// It.
    pub container: &'f ObservedContainer,
    /// The instance that it was made for.
    pub instance: InstanceName,
    /// That instance's service.
    pub service: ServiceName,
}

impl Orphan<'_> {
    /// What it is called where instances have their names: `web-4@ship`, which no instance can be called.
    pub fn name(&self) -> InstanceName {
        InstanceName::from(format!("{}@{}", self.container.name, self.ship).as_str())
    }
}

/// All that were seen, by ship and name.
pub fn orphans<'f>(environment: &Environment, fleet: &'f FleetSnapshot) -> Vec<Orphan<'f>> {
    let seen = fleet.ships.iter().filter_map(|(ship, view)| match view {
        ShipView::Reachable(state) => Some((ship, state)),
        ShipView::Unreachable(_) => None,
    });
    let found = seen.flat_map(|(ship, state)| state.containers.values().map(move |found| (ship, found)));
    found
        .filter(|(_, container)| container.state.is_running())
        .filter(|(_, container)| container.ownership(environment) == Ownership::Ours)
        .filter_map(|(ship, container)| {
            let label = |key: &str| container.labels.get(key).map(String::as_str);
            let instance = InstanceName::from(label(LABEL_INSTANCE)?);
            let is_at_home = environment.instances.get(&instance).is_some_and(|known| known.ship == *ship);
            let service = ServiceName::from(label(LABEL_SERVICE)?);
            (!is_at_home).then_some(Orphan { ship, container, instance, service })
        })
        .collect()
}
