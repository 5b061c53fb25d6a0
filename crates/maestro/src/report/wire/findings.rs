//! `doctor` for machines.

use crate::report::findings::Asked;
use maestro_core::preflight::{Finding, Severity};
use serde::{Deserialize, Serialize};

/// What `doctor` has found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// Whether nothing was found of which a deployment would fail.
    pub well: bool,
    /// How many ships were asked.
    pub ships: usize,
    /// About how many instances.
    pub instances: usize,
    /// How long it took.
    pub elapsed_ms: u64,
    /// What was found, the worst first.
    pub findings: Vec<Found>,
}

/// Something that was found, on however many ships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// `error`, `warning` or `unknown`.
    pub severity: String,
    /// What was looked at: `reachable`, `api`, `clock`, `registry`, `platform`, `disk`, `memory`, `names`, `ports`,
    /// `volumes` or `networks`.
    pub check: String,
    /// What is the matter.
    pub what: String,
    /// What can be done about it.
    pub remedy: String,
    /// Where.
    pub places: Vec<FoundAt>,
}

/// A finding on one ship.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundAt {
    /// The ship.
    pub ship: String,
    /// What exactly was found there.
    pub causes: Vec<String>,
    /// The instances that it is about; empty if it is about the ship.
    pub instances: Vec<String>,
}

impl Examined {
    /// Of findings.
    pub(in crate::report) fn new(findings: &[Finding], asked: Asked) -> Self {
        Self {
            well: !findings.iter().any(|finding| finding.severity == Severity::Error),
            ships: asked.ships,
            instances: asked.instances,
            elapsed_ms: u64::try_from(asked.took.as_millis()).unwrap_or(u64::MAX),
            findings: findings.iter().map(Found::from).collect(),
        }
    }
}

impl From<&Finding> for Found {
    fn from(finding: &Finding) -> Self {
        let places = finding.places.iter().map(|(ship, place)| FoundAt {
            ship: ship.to_string(),
            causes: place.causes.iter().cloned().collect(),
            instances: place.instances.iter().map(ToString::to_string).collect(),
        });
        Self {
            severity: finding.severity.name().to_owned(),
            check: finding.topic.name().to_owned(),
            what: finding.what.clone(),
            remedy: finding.remedy.clone(),
            places: places.collect(),
        }
    }
}
