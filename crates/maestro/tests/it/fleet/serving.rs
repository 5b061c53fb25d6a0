//! How many instances of a service run while it is deployed, and how many its file lets be down.

use maestro_core::model::{Environment, LABEL_INSTANCE, Pace, Strategy};
use maestro_core::names::{InstanceName, ServiceName, ShipName};
use maestro_core::plan::Intent;
use maestro_testkit::fake_engine::FakeEngine;
use maestro_testkit::state::Container;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Looks at what runs on the ships themselves.
pub(super) struct Serving {
    environment: Arc<Environment>,
    /// So many of a service have to run at any time.
    floors: BTreeMap<ServiceName, usize>,
}

impl Serving {
    pub(super) fn new(
        environment: &Arc<Environment>,
        ships: &BTreeMap<ShipName, FakeEngine>,
        intent: &Intent,
    ) -> Self {
        let mut serving = Self { environment: environment.clone(), floors: BTreeMap::new() };
        if matches!(intent, Intent::Deploy { .. }) {
            for (name, service) in &environment.services {
                let all = service.instances.len();
                // Who is down and takes volumes of another one comes up behind that one's replacement, and is not counted
                // besides it.
                let is_stuck = |instance: &&InstanceName| {
                    !environment.instances[*instance].after.is_empty() && !serving.is_up(ships, instance)
                };
                let stuck = service.instances.iter().filter(is_stuck).count();
                let least = all.saturating_sub(may_be_down(service.deploy.strategy, all) + stuck);
                serving.floors.insert(name.clone(), least.min(serving.running(ships, name)));
            }
        }
        serving
    }

    /// How many instances of a service run.
    fn running(&self, ships: &BTreeMap<ShipName, FakeEngine>, service: &ServiceName) -> usize {
        let instances = self.environment.services[service].instances.iter();
        instances.filter(|name| self.is_up(ships, name)).count()
    }

    /// Whether an instance runs, in whichever container.
    fn is_up(&self, ships: &BTreeMap<ShipName, FakeEngine>, instance: &InstanceName) -> bool {
        let is_its = |container: &&Container| container.is_running() && is_of(container, instance.as_str());
        let engine = &ships[&self.environment.instances[instance].ship];
        engine.look(|machine| machine.containers().iter().any(is_its))
    }

    /// What is wrong now.
    pub(super) fn wrong(&self, ships: &BTreeMap<ShipName, FakeEngine>) -> Option<String> {
        self.floors.iter().filter(|(_, floor)| **floor > 0).find_map(|(service, floor)| {
            let running = self.running(ships, service);
            (running < *floor).then(|| format!("{running} of {service} run, and not {floor}"))
        })
    }
}

/// Whether a container is an instance's, under its name or as what is about to take its place.
fn is_of(container: &Container, instance: &str) -> bool {
    let name = &*container.name;
    let labels = container.config.labels.as_ref();
    let is_beside = labels.and_then(|all| all.get(LABEL_INSTANCE)).is_some_and(|label| label == instance);
    name == instance || is_beside
}

fn may_be_down(strategy: Strategy, all: usize) -> usize {
    match strategy {
        Strategy::Recreate => all,
        Strategy::BlueGreen => 0,
        Strategy::Rolling(Pace { max_unavailable, .. }) => max_unavailable.of(all),
        Strategy::Canary(canary) => canary.pace.max_unavailable.of(all),
    }
}

/// Whether the file lets two containers of an instance run at the same time.
pub(super) fn may_be_twice(environment: &Environment, instance: &str) -> bool {
    let Some(instance) = environment.instances.get(instance) else { return false };
    let service = &environment.services[&instance.service];
    let beside = match service.deploy.strategy {
        Strategy::Recreate => false,
        Strategy::BlueGreen => true,
        Strategy::Rolling(pace) => !pace.max_surge.is_nothing(),
        Strategy::Canary(canary) => !canary.pace.max_surge.is_nothing(),
    };
    let sources: BTreeSet<&str> = environment
        .instances
        .values()
        .flat_map(|other| other.settings.volumes_from.iter().map(String::as_str))
        .collect();
    let is_held = !instance.settings.volumes_from.is_empty() || sources.contains(instance.name.as_str());
    beside && !is_held && !instance.ports.values().any(|port| port.external.parse::<u16>().is_ok())
}
