//! `releases` and `diff` for machines.

use super::Change;
use maestro_core::compare::{Difference, Extent};
use maestro_core::history::{History, Record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseEntry {
    /// Its number: the later, the higher.
    pub release: u64,
    /// Whether it is the one that was recorded last.
    pub current: bool,
    /// When it was recorded, by the clock of whoever did.
    pub at: String,
    /// Who did.
    pub by: String,
    /// With which command.
    pub command: String,
    /// The one that a roll-back of everything would return to from here.
    pub before: Option<u64>,
    /// The one that it went back to, if it was a roll-back.
    pub back_to: Option<u64>,
    /// The services that have been deployed so far.
    pub services: BTreeMap<String, ReleasedService>,
}

/// A service in a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedService {
    /// Its images, with the content that they stand for.
    pub images: Vec<String>,
    /// Whether it is not as it was in the release with the number before.
    pub changed: bool,
    /// What tells it from others: the same for the same.
    pub id: String,
}

impl ReleaseEntry {
    /// A record, and the one that precedes it in the list.
    pub fn new(record: &Record, earlier: Option<&Record>, history: &History) -> Self {
        let services = record.services.iter().map(|(name, shipped)| {
            let was = earlier.and_then(|earlier| earlier.services.get(name));
            let service = ReleasedService {
                images: shipped.part.images.clone(),
                changed: was.is_none_or(|was| was.part != shipped.part),
                id: shipped.part.id.clone(),
            };
            (name.to_string(), service)
        });
        Self {
            release: record.number,
            current: history.current().is_some_and(|current| current.number == record.number),
            at: record.at.to_string(),
            by: record.by.clone(),
            command: record.doing.clone(),
            before: record.before,
            back_to: record.back_to,
            services: services.collect(),
        }
    }
}

/// An instance in which two releases differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceEntry {
    /// The instance.
    pub instance: String,
    /// Its service.
    pub service: String,
    /// `added`, `removed` or `changed`.
    pub difference: String,
    /// In what; `found` in the first, `wanted` by the second.
    pub changes: Vec<Change>,
}

impl From<&Difference> for DifferenceEntry {
    fn from(difference: &Difference) -> Self {
        let (kind, changes) = match &difference.extent {
            Extent::Added => ("added", Vec::new()),
            Extent::Removed => ("removed", Vec::new()),
            Extent::Changed(changes) => ("changed", changes.iter().map(Change::from).collect()),
        };
        Self {
            instance: difference.instance.to_string(),
            service: difference.service.to_string(),
            difference: kind.to_owned(),
            changes,
        }
    }
}
