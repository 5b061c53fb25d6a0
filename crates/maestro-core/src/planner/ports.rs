//! Which ports of their ships containers get, where the file leaves a choice: the first that nobody has.

use super::builder::Builder;
use crate::fleet::{EngineState, ObservedContainer, ShipView};
use crate::model::{Check, Instance, Picked};
use crate::names::ShipName;
use crate::plan::{Blocked, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Ports of ships, and whose they are.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ships: BTreeMap<ShipName, Taken>,
    /// What was picked for a container, by ship and what the engine is asked for.
    known: BTreeMap<(ShipName, String), Picked>,
}

/// Ports of one ship.
#[derive(Debug, Clone, Default)]
struct Taken {
    /// Somebody has them, or will have.
    held: BTreeSet<u16>,
    /// Somebody who does not run would want them again.
    remembered: BTreeSet<u16>,
}

impl Taken {
    fn of(builder: &Builder<'_>, ship: &ShipName) -> Self {
        let mut taken = Self::default();
        let state: Option<&EngineState> = match builder.fleet.ship(ship) {
            Some(ShipView::Reachable(state)) => Some(state),
            Some(ShipView::Unreachable(_)) | None => None,
        };
        for container in state.into_iter().flat_map(|state| state.containers.values()) {
            let asked = container.configuration.iter().flat_map(|c| c.ports.values().flatten());
            let asked = asked.filter_map(|published| published.port.parse().ok()).filter(|port| *port != 0);
            let wants = Picked::numbers(&container.labels).chain(asked);
            if container.state.is_running() {
                taken.held.extend(wants.chain(container.ports.keys().copied()));
            } else {
                taken.remembered.extend(wants);
            }
        }
        for instance in builder.environment.instances.values().filter(|instance| instance.ship == *ship) {
            for port in instance.ports.values().filter(|port| port.is_fixed()) {
                let (first, last) = port.external.split_once('-').unwrap_or((&port.external, &port.external));
                if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
                    taken.held.extend(first..=last);
                }
            }
        }
        taken
    }

    fn first(&self, (first, last): (u16, u16)) -> Option<u16> {
        let free = || (first..=last).filter(|port| !self.held.contains(port));
        free().find(|port| !self.remembered.contains(port)).or_else(|| free().next())
    }
}

impl<'a> Builder<'a> {
    /// Picks ports for a container that is made: all, or those only that checks have to know. Else the engine picks.
    pub(super) fn pick(&mut self, instance: &'a Instance, all: bool) -> Result<Picked, Blocked> {
        let mut picked = Picked::default();
        let is_checked = |name: &str| {
            instance.checks.values().flatten().filter_map(Check::picked).any(|checked| checked == name)
        };
        for (name, port) in instance.ports.iter().filter(|(name, _)| all || is_checked(name)) {
            let Some(choice) = port.choice() else { continue };
            let taken = self.taken(&instance.ship);
            let Some(number) = taken.first(choice) else {
                return Err(Blocked::Ports { ship: instance.ship.clone(), range: port.external.clone() });
            };
            taken.held.insert(number);
            picked.pick(name, number);
        }
        Ok(picked)
    }

    /// Notes which ports were picked for a container, for its checks to know.
    pub(super) fn know(&mut self, instance: &Instance, target: &Target, picked: Picked) {
        self.ports.known.insert((instance.ship.clone(), target.reference().to_owned()), picked);
    }

    /// The same, of one that is there; its ports stay its own.
    pub(super) fn know_seen(&mut self, instance: &Instance, container: &ObservedContainer) {
        let picked = Picked::of(instance, &container.labels);
        if picked != Picked::default() {
            let key = (instance.ship.clone(), container.id.as_str().to_owned());
            self.ports.known.insert(key, picked);
        }
    }

    /// What is known to be picked for a container.
    pub(super) fn picked(&self, instance: &Instance, target: &Target) -> Option<&Picked> {
        self.ports.known.get(&(instance.ship.clone(), target.reference().to_owned()))
    }

    /// Whether a container that does not run could have its ports again.
    pub(super) fn has_free_ports(&mut self, ship: &ShipName, container: &ObservedContainer) -> bool {
        let wants: Vec<u16> = Picked::numbers(&container.labels).collect();
        wants.is_empty() || !wants.iter().any(|port| self.taken(ship).held.contains(port))
    }

    /// A container that does not run gets its ports again.
    pub(super) fn reserve(&mut self, ship: &ShipName, container: &ObservedContainer) {
        let wants: Vec<u16> = Picked::numbers(&container.labels).collect();
        if !wants.is_empty() {
            self.taken(ship).held.extend(wants);
        }
    }

    fn taken(&mut self, ship: &ShipName) -> &mut Taken {
        if !self.ports.ships.contains_key(ship) {
            let taken = Taken::of(self, ship);
            self.ports.ships.insert(ship.clone(), taken);
        }
        self.ports.ships.entry(ship.clone()).or_default()
    }
}

/// The ports of instances with a choice that a container has not picked, though checks have to know them.
pub(super) fn unknown(instance: &Instance, container: &ObservedContainer) -> Option<(Arc<str>, Arc<str>)> {
    let picked = Picked::of(instance, &container.labels);
    let checked = instance.checks.values().flatten().filter_map(Check::picked);
    let name = checked.into_iter().find(|name| picked.get(name).is_none())?;
    let (name, port) = instance.ports.get_key_value(name)?;
    Some((name.clone(), port.external.clone()))
}
