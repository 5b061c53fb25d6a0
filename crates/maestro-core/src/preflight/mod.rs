//! Whether a deployment would fail, found out before anything is touched (`docs/design/0024`).
//!
//! What was learnt of the ships goes in, findings come out. Nothing that is only likely is called an error, and what
//! cannot be told is said to be so.

mod blocked;
mod hosts;
mod images;
mod surroundings;

pub use blocked::blocked;
pub use images::{Asking, questions};

use crate::boundary::{Examination, RegistryImage};
use crate::engine_error::{EngineError, EngineErrorKind};
use crate::fleet::{EngineState, FleetSnapshot, HostFacts, HostPort, ShipView};
use crate::image::ImageRef;
use crate::model::{Environment, Instance};
use crate::names::{InstanceName, ShipName};
use crate::plan::{Plan, Takeovers};
use std::collections::{BTreeMap, BTreeSet};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A deployment would fail, or do harm.
    Error,
    /// Somebody should look at it.
    Warning,
    /// It could not be told.
    Unknown,
}

impl Severity {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Unknown => "unknown",
        }
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Whether engines answer.
    Reachable,
    /// Whether they speak a version of the API that Maestro speaks.
    Api,
    /// Whether their clocks are right.
    Clock,
    /// Whether registries let images through.
    Registry,
    /// Whether images were built for the ships.
    Platform,
    /// Whether images have room.
    Disk,
    /// Whether there is as much memory as is asked for.
    Memory,
    /// Whether containers' names are free.
    Names,
    /// Whether ports of the host are free.
    Ports,
    /// Whether volumes are there.
    Volumes,
    /// Whether networks and other containers are there that containers want to use.
    Networks,
    /// Whether the strategy and the settings of an instance allow what is to be done.
    Plan,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Reachable,
        Self::Api,
        Self::Clock,
        Self::Registry,
        Self::Platform,
        Self::Disk,
        Self::Memory,
        Self::Names,
        Self::Ports,
        Self::Volumes,
        Self::Networks,
        Self::Plan,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Reachable => "reachable",
            Topic::Api => "api",
            Topic::Clock => "clock",
            Topic::Registry => "registry",
            Topic::Platform => "platform",
            Topic::Disk => "disk",
            Topic::Memory => "memory",
            Topic::Names => "names",
            Topic::Ports => "ports",
            Topic::Volumes => "volumes",
            Topic::Networks => "networks",
            Topic::Plan => "plan",
        }
    }
}

/// Something that was found, on however many ships.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub topic: Topic,
    /// What is the matter, the same on all these ships.
    pub what: String,
    /// What can be done about it.
    pub remedy: String,
    /// Where.
    pub places: BTreeMap<ShipName, Place>,
}

/// A finding on one ship.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// What exactly was found there.
    pub causes: BTreeSet<String>,
    /// The instances that it is about; empty if it is about the ship.
    pub instances: BTreeSet<InstanceName>,
}

/// What was learnt of a fleet.
#[derive(Debug, Clone, Default)]
pub struct Learnt {
    /// Containers and images.
    pub fleet: FleetSnapshot,
    /// What the ships are like; not of those that did not show their containers.
    pub hosts: BTreeMap<ShipName, Result<HostFacts, EngineError>>,
    /// What registries say, by the ship that asked.
    pub registries: BTreeMap<(ShipName, ImageRef), Result<RegistryImage, EngineError>>,
}

/// What there is to be learnt of the ships that these instances belong on, and that can be seen.
pub fn examinations(
    environment: &Environment,
    fleet: &FleetSnapshot,
    instances: &[InstanceName],
) -> BTreeMap<ShipName, Examination> {
    let mut all: BTreeMap<ShipName, Examination> = BTreeMap::new();
    for instance in instances.iter().filter_map(|name| environment.instances.get(name)) {
        if state(fleet, &instance.ship).is_some() {
            let examination = all.entry(instance.ship.clone()).or_default();
            examination.images.insert(instance.image.clone());
            examination.ports.extend(surroundings::ports(instance).into_iter().filter_map(only));
        }
    }
    all
}

/// The port that is taken; none where the engine takes a free one out of several.
fn only(mut choice: Vec<HostPort>) -> Option<HostPort> {
    if choice.len() == 1 { choice.pop() } else { None }
}

/// Everything that is to be said before these instances are deployed, the worst first. The plan says what of that which is
/// in the way goes before.
pub fn preflight(
    environment: &Environment,
    learnt: &Learnt,
    instances: &[InstanceName],
    plan: &Plan,
) -> Vec<Finding> {
    let mut ships: BTreeMap<&ShipName, Vec<&Instance>> = BTreeMap::new();
    for instance in instances.iter().filter_map(|name| environment.instances.get(name)) {
        ships.entry(&instance.ship).or_default().push(instance);
    }
    let world = World {
        environment,
        learnt,
        takeovers: Takeovers::of(plan),
        ships,
        answers: images::answers(learnt),
        largest: images::largest(learnt),
    };
    let mut findings = Findings::default();
    for (ship, members) in &world.ships {
        let view = learnt.fleet.ship(ship);
        let host = learnt.hosts.get(*ship);
        let error = match (view, host) {
            (Some(ShipView::Unreachable(error)), _) | (_, Some(Err(error))) => Some(error),
            _ => None,
        };
        if let Some(error) = error {
            findings.unreachable(ship, &error.kind);
            continue;
        }
        let (Some(ShipView::Reachable(state)), Some(Ok(facts))) = (view, host) else {
            let note = findings.note(
                Severity::Unknown,
                Topic::Reachable,
                "a ship was not looked at",
                "run `maestro doctor` again",
            );
            note.at(ship, "nothing is known of it".to_owned());
            continue;
        };
        let here = Here { ship, state, facts, members };
        hosts::look(&mut findings, &world, &here);
        images::look(&mut findings, &world, &here);
        surroundings::look(&mut findings, &world, &here);
    }
    images::look_at_registries(&mut findings, &world);
    findings.sorted()
}

/// What is looked at.
struct World<'a> {
    environment: &'a Environment,
    learnt: &'a Learnt,
    /// What is stopped and started, and in which order.
    takeovers: Takeovers<'a>,
    /// The instances that are to be deployed, by ship.
    ships: BTreeMap<&'a ShipName, Vec<&'a Instance>>,
    /// What registries say of images, whoever asked.
    answers: BTreeMap<&'a ImageRef, &'a RegistryImage>,
    /// What the largest image of each repository takes that any ship has.
    largest: BTreeMap<&'a str, u64>,
}

/// A ship that answered.
struct Here<'a> {
    ship: &'a ShipName,
    state: &'a EngineState,
    facts: &'a HostFacts,
    members: &'a [&'a Instance],
}

fn state<'a>(fleet: &'a FleetSnapshot, ship: &ShipName) -> Option<&'a EngineState> {
    match fleet.ship(ship)? {
        ShipView::Reachable(state) => Some(state),
        ShipView::Unreachable(_) => None,
    }
}

/// Findings that are alike are one.
#[derive(Default)]
struct Findings {
    all: BTreeMap<(Severity, Topic, String, String), BTreeMap<ShipName, Place>>,
}

/// Where a finding is noted.
struct Note<'a>(&'a mut BTreeMap<ShipName, Place>);

impl<'a> Note<'a> {
    fn at(self, ship: &ShipName, cause: String) -> &'a mut Place {
        let place = self.0.entry(ship.clone()).or_default();
        place.causes.insert(cause);
        place
    }

    fn about(self, ship: &ShipName, instance: &Instance, cause: String) {
        self.at(ship, cause).instances.insert(instance.name.clone());
    }
}

impl Findings {
    fn note(
        &mut self,
        severity: Severity,
        topic: Topic,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Note<'_> {
        Note(self.all.entry((severity, topic, what.into(), remedy.into())).or_default())
    }

    fn unreachable(&mut self, ship: &ShipName, kind: &EngineErrorKind) {
        let remedy = kind.hint().unwrap_or_else(|| "look at the engine's log on that host".to_owned());
        let (topic, what) = match kind {
            EngineErrorKind::ApiVersion { .. } => {
                (Topic::Api, "engine and Maestro speak no version of the API in common")
            }
            kind if kind.is_about_ship() => (Topic::Reachable, "the engine cannot be reached"),
            _ => (Topic::Reachable, "the engine does not answer what it is asked"),
        };
        self.note(Severity::Error, topic, what, remedy).at(ship, kind.to_string());
    }

    fn sorted(self) -> Vec<Finding> {
        let finding =
            |((severity, topic, what, remedy), places)| Finding { severity, topic, what, remedy, places };
        self.all.into_iter().map(finding).collect()
    }
}

/// Bytes, for people.
fn bytes(count: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in UNITS {
        if count >> shift > 0 {
            let tenths = u128::from(count) * 10 / (1u128 << shift);
            return if tenths >= 100 || tenths.is_multiple_of(10) {
                format!("{} {unit}", tenths / 10)
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{count} bytes")
}

#[cfg(test)]
pub(crate) mod tests;
