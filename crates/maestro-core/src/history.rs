//! Which releases there were, and what one goes back to (`docs/design/0022`).

mod document;

pub use document::{FORMAT, HistoryError};

use crate::boundary::Entry;
use crate::names::ServiceName;
use crate::release::{Part, Release};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What is listed of a release. The release says of every service how it is since then, not only of those that were
/// deployed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number: the later, the higher.
    pub number: u64,
    /// When it was recorded, by the clock of whoever did.
    pub at: Timestamp,
    /// Who did: `ada@laptop`.
    pub by: String,
    /// With which command: `deploy web --tag 7`.
    pub doing: String,
    /// The one that a roll-back of everything returns to.
    pub before: Option<u64>,
    /// The one that it went back to.
    pub back_to: Option<u64>,
    /// The services that have been deployed so far.
    pub services: BTreeMap<ServiceName, Shipped>,
}

/// What is listed of a service in a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// What the release says of it.
    pub part: Part,
    /// The release which has what it was before.
    pub before: Option<u64>,
}

/// Releases in the order of their numbers.
#[derive(Debug, Clone, Default)]
pub struct History {
    records: Vec<Record>,
}

/// Where a roll-back goes: which services are to be as they are in which release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// By the release's number.
    pub services: BTreeMap<u64, BTreeSet<ServiceName>>,
    /// The one release that it goes back to, if it is one, whole.
    pub whole: Option<u64>,
}

/// Why there is no way back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReturn {
    /// Nothing was ever recorded.
    #[error("no release has been recorded yet")]
    NoRelease,
    /// There is no such release, or not any more.
    #[error("there is no release {0}")]
    Unknown(u64),
    /// The first that is kept is the one that is there.
    #[error("nothing that was there before release {0} is kept")]
    First(u64),
    /// A service has not changed since the first release that is kept.
    #[error("there is no earlier release of `{0}`")]
    FirstOf(ServiceName),
    /// A release knows nothing of a service.
    #[error("release {number} does not have `{service}`")]
    NotIn {
        /// The release.
        number: u64,
        /// The service.
        service: ServiceName,
    },
}

impl History {
    /// Of what a ledger lists.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn read(entries: &[Entry]) -> Result<Self, HistoryError> {
        let records: Result<Vec<_>, _> = entries.iter().map(Record::read).collect();
        let mut records = records?;
        records.sort_by_key(|record| record.number);
        Ok(Self { records })
    }

    #[cfg(test)]
    pub(crate) fn of(records: Vec<Record>) -> Self {
        Self { records }
    }

    /// The one that is there, if every deployment was one of Maestro's.
    pub fn current(&self) -> Option<&Record> {
        self.records.last()
    }

    /// All that are kept, the earliest first.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// One of them.
    pub fn record(&self, number: u64) -> Option<&Record> {
        self.records.iter().find(|record| record.number == number)
    }

    /// The number of the next one.
    pub fn next(&self) -> u64 {
        self.current().map_or(1, |record| record.number.saturating_add(1))
    }

    /// Where a roll-back goes: of everything, or of some services; to a release, or to what was there before.
    ///
    /// # Errors
    /// If there is no way back.
    pub fn back(&self, services: &BTreeSet<ServiceName>, to: Option<u64>) -> Result<Return, NoReturn> {
        let current = self.current().ok_or(NoReturn::NoRelease)?;
        let known = |number: u64| self.record(number).ok_or(NoReturn::Unknown(number));
        if services.is_empty() {
            let number = match to {
                Some(number) => number,
                None => current
                    .before
                    .filter(|number| self.record(*number).is_some())
                    .ok_or(NoReturn::First(current.number))?,
            };
            let all = known(number)?.services.keys().cloned().collect();
            return Ok(Return { services: [(number, all)].into(), whole: Some(number) });
        }
        let mut back = Return { services: BTreeMap::new(), whole: None };
        for service in services {
            let number = match to {
                Some(number) if known(number)?.services.contains_key(service) => number,
                Some(number) => return Err(NoReturn::NotIn { number, service: service.clone() }),
                None => {
                    let before = current.services.get(service).and_then(|shipped| shipped.before);
                    before
                        .filter(|number| self.record(*number).is_some())
                        .ok_or_else(|| NoReturn::FirstOf(service.clone()))?
                }
            };
            back.services.entry(number).or_default().insert(service.clone());
        }
        Ok(back)
    }

    /// What is recorded when services were deployed as a release says, the others being as they were; none if that is
    /// the current one already. With the services of the whole release.
    pub fn deployed(&self, release: &Release, services: &BTreeSet<ServiceName>) -> Option<Outline> {
        let parts = release.parts();
        let current = self.current();
        let mut shipped: BTreeMap<_, _> = current.map(|record| record.services.clone()).unwrap_or_default();
        // A service that the file does not have any more is none of the environment's.
        let known = shipped.len();
        shipped.retain(|name, _| parts.contains_key(name));
        let mut changed = shipped.len() < known;
        for service in services {
            let Some(part) = parts.get(service) else { continue };
            let known = shipped.get(service);
            if known.is_some_and(|known| known.part == *part) {
                continue;
            }
            changed = true;
            let before = current.filter(|_| known.is_some()).map(|record| record.number);
            shipped.insert(service.clone(), Shipped { part: part.clone(), before });
        }
        changed.then(|| Outline {
            before: current.map(|record| record.number),
            back_to: None,
            services: shipped,
        })
    }

    /// What is recorded when a roll-back is done; none if everything is so already.
    pub fn returned(&self, back: &Return) -> Option<Outline> {
        let current = self.current()?;
        let mut services = match back.whole {
            // Nothing else is there then.
            Some(_) => BTreeMap::new(),
            None => current.services.clone(),
        };
        for (number, names) in &back.services {
            let record = self.record(*number)?;
            let there = names.iter().filter_map(|name| record.services.get_key_value(name));
            services.extend(there.map(|(name, shipped)| (name.clone(), shipped.clone())));
        }
        if same(&services, &current.services) {
            return None;
        }
        let whole = back.whole.and_then(|number| self.record(number));
        let before = match whole {
            Some(record) => record.before,
            // The last one at which something was otherwise.
            None => self.otherwise(current.before, &services),
        };
        let back_to = back.services.keys().copied().max();
        Some(Outline { before, back_to, services })
    }

    /// From a release back, the first that is not like this.
    fn otherwise(&self, from: Option<u64>, services: &BTreeMap<ServiceName, Shipped>) -> Option<u64> {
        let mut number = from?;
        // Whatever precedes has a lower number, so this ends.
        loop {
            let record = self.record(number)?;
            if !same(&record.services, services) {
                return Some(number);
            }
            number = record.before.filter(|before| *before < number)?;
        }
    }
}

/// Whether all services are the same in both.
fn same(one: &BTreeMap<ServiceName, Shipped>, other: &BTreeMap<ServiceName, Shipped>) -> bool {
    one.len() == other.len()
        && one.iter().all(|(name, shipped)| other.get(name).is_some_and(|known| known.part == shipped.part))
}

/// A release's record, but for its number and who recorded it when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// As in [`Record`].
    pub before: Option<u64>,
    /// As in [`Record`].
    pub back_to: Option<u64>,
    /// As in [`Record`].
    pub services: BTreeMap<ServiceName, Shipped>,
}

#[cfg(test)]
mod tests;
