//! Containers of instances that have left the file.

use crate::fleet::{ContainerState, FleetSnapshot, ObservedContainer, Ownership, ShipView, is_orphan};
use crate::model::{Environment, LABEL_INSTANCE, LABEL_SERVICE};
use crate::names::{InstanceName, ServiceName, ShipName};
use crate::plan::Target;
use std::collections::BTreeSet;

/// A container that nobody starts again: it does not run, was made for an instance of this environment, and neither the
/// file nor a release that is kept has that instance on its ship.
#[derive(Debug, Clone, Copy)]
pub struct Forsaken<'f> {
    /// The ship that it is on.
    pub ship: &'f ShipName,
    /// It.
    pub container: &'f ObservedContainer,
}

impl Forsaken<'_> {
    /// As a plan means it.
    pub(super) fn target(&self) -> Target {
        Target::Seen { id: self.container.id.clone(), name: InstanceName::from(&*self.container.name) }
    }
}

/// All that were seen. `services` are those that were deployed from here. Another file of the same name may have others, or
/// the same ledger: what the file does not have as a whole stays as long as anything of it runs, or may run unseen. `kept` is
/// what the releases had whose containers stay, and the file of today.
pub fn forsaken<'f>(
    environment: &Environment,
    fleet: &'f FleetSnapshot,
    services: &BTreeSet<ServiceName>,
    kept: &[&Environment],
) -> Vec<Forsaken<'f>> {
    let mut found = Vec::new();
    let lives = Lives::of(environment, fleet);
    for (ship, view) in &fleet.ships {
        let ShipView::Reachable(state) = view else { continue };
        let ended = state.containers.values().filter(|container| has_ended(container.state));
        for container in ended.filter(|container| is_orphan(environment, ship, container)) {
            let label = |key: &str| container.labels.get(key).map(String::as_str);
            let (Some(instance), Some(service)) = (label(LABEL_INSTANCE), label(LABEL_SERVICE)) else {
                continue;
            };
            let had = |release: &&Environment| {
                release.instances.get(instance).is_some_and(|known| known.ship == *ship)
            };
            let may_live = !environment.services.contains_key(service) && lives.may(service);
            if services.contains(service) && !may_live && !kept.iter().any(had) {
                found.push(Forsaken { ship, container });
            }
        }
    }
    found
}

/// Services of which something runs.
struct Lives<'f> {
    seen: BTreeSet<&'f str>,
    /// Whether there are ships of which nobody knows.
    is_blind: bool,
}

impl<'f> Lives<'f> {
    fn of(environment: &Environment, fleet: &'f FleetSnapshot) -> Self {
        let mut lives = Self { seen: BTreeSet::new(), is_blind: false };
        for view in fleet.ships.values() {
            match view {
                ShipView::Reachable(state) => lives.seen.extend(
                    state
                        .containers
                        .values()
                        .filter(|container| container.state.is_running())
                        .filter(|container| container.ownership(environment) == Ownership::Ours)
                        .filter_map(|container| Some(container.labels.get(LABEL_SERVICE)?.as_str())),
                ),
                ShipView::Unreachable(_) => lives.is_blind = true,
            }
        }
        lives
    }

    fn may(&self, service: &str) -> bool {
        self.is_blind || self.seen.contains(service)
    }
}

/// Whether a container is there and does nothing: not one that its engine is removing, or could not remove.
fn has_ended(state: ContainerState) -> bool {
    match state {
        ContainerState::Created | ContainerState::Exited => true,
        ContainerState::Running
        | ContainerState::Paused
        | ContainerState::Restarting
        | ContainerState::Removing
        | ContainerState::Dead => false,
    }
}
