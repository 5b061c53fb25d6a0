//! Containers of an environment that its file does not have any more, or has on another ship.

use super::{FleetSnapshot, KEPT, NEXT, ObservedContainer, Ownership, ShipView};
use crate::model::{Environment, LABEL_INSTANCE, LABEL_SERVICE};
use crate::names::{InstanceName, ServiceName, ShipName};

/// A container that runs, was made for an instance of this environment, and is not where its file has that instance, or
/// has another name.
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
    /// Whether it was to take the place of another one, which serves.
    pub is_unproved: bool,
}

impl Orphan<'_> {
    /// What it is called where instances have their names: `web-4@ship`, which no instance can be called.
    pub fn name(&self) -> InstanceName {
        at(&self.container.name, self.ship)
    }
}

/// A container on a ship, as one name.
pub fn at(container: impl std::fmt::Display, ship: &ShipName) -> InstanceName {
    InstanceName::from(format!("{container}@{ship}").as_str())
}

/// Whether a container on a ship was made for an instance of this environment that its file does not have there.
pub fn is_orphan(environment: &Environment, ship: &ShipName, container: &ObservedContainer) -> bool {
    let instance = container.labels.get(LABEL_INSTANCE).map(|label| InstanceName::from(label.as_str()));
    let home = |instance: &InstanceName| environment.instances.get(instance).map(|known| &known.ship);
    container.ownership(environment) == Ownership::Ours
        && instance
            .is_some_and(|instance| home(&instance) != Some(ship) || !bears_its_name(container, &instance))
}

/// Whether a container is called as one of an instance is; else somebody has renamed it.
fn bears_its_name(container: &ObservedContainer, instance: &InstanceName) -> bool {
    let rest = container.name.strip_prefix(instance.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(NEXT) || rest.starts_with(KEPT))
}

/// All that were seen, by ship and name.
pub fn orphans<'f>(environment: &Environment, fleet: &'f FleetSnapshot) -> Vec<Orphan<'f>> {
    let seen = fleet.ships.iter().filter_map(|(ship, view)| match view {
        ShipView::Reachable(state) => Some((ship, state)),
        ShipView::Unreachable(_) => None,
    });
    let found =
        seen.flat_map(|(ship, state)| state.containers.values().map(move |found| (ship, state, found)));
    found
        .filter(|(.., container)| container.state.is_running())
        .filter(|(ship, _, container)| is_orphan(environment, ship, container))
        .filter_map(|(ship, state, container)| {
            let label = |key: &str| container.labels.get(key).map(String::as_str);
            let instance = InstanceName::from(label(LABEL_INSTANCE)?);
            let service = ServiceName::from(label(LABEL_SERVICE)?);
            let own = state.containers.get(instance.as_str());
            let is_unproved = container.name.contains(NEXT) && own.is_some_and(|own| own.state.is_running());
            Some(Orphan { ship, container, instance, service, is_unproved })
        })
        .collect()
}
