//! Which ships the replicas of a service are on: a function of what the file says, and of nothing else
//! (docs/design/0028).
//!
//! The replicas are placed one after another, so more or fewer of them move nobody. Each goes to the value of the tag that
//! is spread over with the fewest, and there to the ship with the fewest. Among equals it goes where its own preference
//! says, which depends on nothing but the names of the service and the ship (or value) and its number: a ship that comes
//! or goes changes the choice of few.

use crate::names::ShipName;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A ship that replicas may be on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    pub(super) ship: &'a ShipName,
    /// What is spread over first: the same text for all, if it is ships only.
    pub(super) domain: &'a str,
    /// How many may be there.
    pub(super) room: u64,
    /// Whether something else takes a port there that the replicas want. Such ships come last.
    pub(super) contested: bool,
}

/// The ships of the first, the second and so on of so many replicas. Their number is smaller where there is no room.
pub(super) fn place<'a>(service: &str, replicas: u64, candidates: &[Candidate<'a>]) -> Vec<&'a ShipName> {
    let mut berths: Vec<Berth<'a>> = candidates
        .iter()
        .map(|candidate| Berth {
            ship: candidate.ship,
            key: key([service, "ship", candidate.ship.as_str()]),
            room: candidate.room,
            count: 0,
            contested: candidate.contested,
        })
        .collect();
    let mut domains: BTreeMap<&str, Domain> = BTreeMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let domain = domains.entry(candidate.domain).or_insert_with(|| Domain {
            key: key([service, "value", candidate.domain]),
            berths: Vec::new(),
            room: [0, 0],
            count: 0,
        });
        domain.berths.push(at);
        let room = &mut domain.room[usize::from(candidate.contested)];
        *room = room.saturating_add(candidate.room);
    }
    let mut domains: Vec<Domain> = domains.into_values().collect();
    for domain in &mut domains {
        domain.berths.sort_by_key(|at| berths[*at].ship);
    }
    let mut ships = Vec::new();
    let mut contested = false;
    for number in 1..=replicas {
        let free = |domain: &Domain, contested: bool| domain.room[usize::from(contested)] > 0;
        if !contested && !domains.iter().any(|domain| free(domain, false)) {
            contested = true;
        }
        let open = domains.iter().enumerate().filter(|(_, domain)| free(domain, contested));
        let Some(chosen) = preferred(number, open.map(|(at, domain)| (at, domain.count, domain.key))) else {
            break;
        };
        let domain = &mut domains[chosen];
        let open = domain.berths.iter().map(|at| (*at, &berths[*at]));
        let open = open.filter(|(_, berth)| berth.contested == contested && berth.room > berth.count);
        let Some(chosen) = preferred(number, open.map(|(at, berth)| (at, berth.count, berth.key))) else {
            break;
        };
        domain.count += 1;
        domain.room[usize::from(contested)] -= 1;
        berths[chosen].count += 1;
        ships.push(berths[chosen].ship);
    }
    ships
}

struct Berth<'a> {
    ship: &'a ShipName,
    key: u64,
    room: u64,
    count: u64,
    contested: bool,
}

struct Domain {
    key: u64,
    /// In the order of the ships' names.
    berths: Vec<usize>,
    /// How many more there may be: on ships that nobody contests, and on the others.
    room: [u64; 2],
    count: u64,
}

/// Of those with the smallest count, the one that this replica prefers; of equals the first.
fn preferred(number: u64, of: impl Iterator<Item = (usize, u64, u64)>) -> Option<usize> {
    let mut best: Option<(usize, u64, u64)> = None;
    for (at, count, key) in of {
        if best.is_some_and(|(_, least, _)| count > least) {
            continue;
        }
        let weight = weight(number, key);
        if best.is_none_or(|(_, least, most)| count < least || weight > most) {
            best = Some((at, count, weight));
        }
    }
    best.map(|(at, ..)| at)
}

/// What stands for a ship, or value, to a service: the first eight bytes of a SHA-256. Another function would move
/// containers.
fn key(parts: [&str; 3]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// How much a replica likes what a key stands for (rendezvous hashing).
fn weight(number: u64, key: u64) -> u64 {
    mixed(key ^ mixed(number))
}

/// Scatters: the output function of `SplitMix64`.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
