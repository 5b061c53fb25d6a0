//! What is not as the file says, instance by instance: the answer of `drift`, before anybody decides how it looks.

use crate::compare::{Change, changes};
use crate::engine_error::EngineError;
use crate::fleet::{
    ContainerState, EngineState, FleetSnapshot, NEXT, ObservedContainer, Ownership, ShipView,
};
use crate::model::{ContainerSpec, Environment, LABEL_ENVIRONMENT, LABEL_INSTANCE, Picked, SpecWriter};
use crate::names::{ContainerId, InstanceName, ServiceName, ShipName};
use std::sync::Arc;

/// One instance, and how far its container is from what the file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// The instance.
    pub instance: InstanceName,
    /// Its service.
    pub service: ServiceName,
    /// Its ship.
    pub ship: ShipName,
    /// The container that bears its name, if there is one.
    pub container: Option<ContainerId>,
    /// What is the matter.
    pub verdict: Verdict,
    /// What is otherwise with its container, attribute by attribute; whether it runs is one of them.
    pub changes: Vec<Change>,
}

/// What is the matter with an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Nothing: it runs, as the file has it.
    AsInFile,
    /// Something of its container is otherwise.
    Changed {
        /// Whether the container has none of Maestro's labels: somebody made it by hand, or maestro-ng did.
        unlabelled: bool,
    },
    /// There is no container of its name.
    Missing {
        /// One that Maestro made for it, and that bears another name now.
        renamed: Option<Arc<str>>,
    },
    /// The container of its name is somebody else's; half a sentence says whose.
    Foreign(String),
    /// Its ship could not be seen.
    Unseen(EngineError),
    /// Its ship was not looked at, or does not tell what it was asked.
    Unknown,
}

impl Drift {
    /// Whether anything is known to be otherwise.
    pub fn is_drift(&self) -> bool {
        matches!(self.verdict, Verdict::Changed { .. } | Verdict::Missing { .. } | Verdict::Foreign(_))
    }

    /// Whether it could not be found out.
    pub fn is_unknown(&self) -> bool {
        matches!(self.verdict, Verdict::Unseen(_) | Verdict::Unknown)
    }
}

/// One entry per instance, in the order given; names that the environment does not have are left out.
///
/// The fleet has to have been asked for configurations, images and the containers of others.
pub fn drift(environment: &Environment, fleet: &FleetSnapshot, instances: &[InstanceName]) -> Vec<Drift> {
    let mut writer = SpecWriter::new(environment);
    let instances = instances.iter().filter_map(|name| environment.instances.get(name));
    instances
        .map(|instance| {
            let nothing = Drift {
                instance: instance.name.clone(),
                service: instance.service.clone(),
                ship: instance.ship.clone(),
                container: None,
                verdict: Verdict::Unknown,
                changes: Vec::new(),
            };
            let engine = match fleet.ship(&instance.ship) {
                None => return nothing,
                Some(ShipView::Unreachable(error)) => {
                    return Drift { verdict: Verdict::Unseen(error.clone()), ..nothing };
                }
                Some(ShipView::Reachable(engine)) => engine,
            };
            let Some(container) = engine.containers.get(instance.name.as_str()) else {
                let renamed = renamed(environment, engine, &instance.name);
                return Drift { verdict: Verdict::Missing { renamed }, ..nothing };
            };
            let nothing = Drift { container: Some(container.id.clone()), ..nothing };
            if let Ownership::Foreign(whose) = container.ownership(environment) {
                return Drift { verdict: Verdict::Foreign(whose), ..nothing };
            }
            let (mut spec, _) = writer.spec(instance);
            // Which port of a range it has is its own affair.
            spec.publish(instance, &Picked::of(instance, &container.labels));
            compared(&spec, container, engine, nothing)
        })
        .collect()
}

fn compared(
    spec: &ContainerSpec,
    container: &ObservedContainer,
    engine: &EngineState,
    nothing: Drift,
) -> Drift {
    let Some(mut all) = changes(spec, container, engine) else { return nothing };
    if container.state != ContainerState::Running {
        let running = ContainerState::Running.name().to_owned();
        let change = Change {
            attribute: "state".to_owned(),
            wanted: Some(running),
            found: Some(container.state.name().to_owned()),
            secret: false,
        };
        all.insert(0, change);
    }
    let verdict = if all.is_empty() {
        Verdict::AsInFile
    } else {
        Verdict::Changed { unlabelled: !container.labels.contains_key(LABEL_INSTANCE) }
    };
    Drift { verdict, changes: all, ..nothing }
}

/// The name of a container that was made for an instance and does not bear its name. Those that a deployment has put
/// aside, `web-1.kept-…`, are where they belong; one that was to take its place is not.
fn renamed(environment: &Environment, engine: &EngineState, instance: &InstanceName) -> Option<Arc<str>> {
    let (aside, next) = (format!("{instance}."), format!("{instance}{NEXT}"));
    let is_of = |container: &&ObservedContainer| {
        let label = |key| container.labels.get(key).map(String::as_str);
        label(LABEL_INSTANCE) == Some(instance.as_str())
            && label(LABEL_ENVIRONMENT) == Some(environment.display_name())
            && (!container.name.starts_with(&aside) || container.name.starts_with(&next))
    };
    engine.containers.values().find(is_of).map(|container| container.name.clone())
}
