//! Instances that publish the same port of a ship. The engine refuses the second of them while the first runs. maestro-ng
//! loads such files, and some mean it: of two instances that take turns, one is stopped when the other is started. So
//! this is a warning.

use super::fields::Reader;
use super::services::Services;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Instance, Port, Protocol};
use crate::names::{InstanceName, ShipName};
use crate::source::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Instances, and ports, that a warning names.
const MOST_NAMES: usize = 3;

/// Ports of a ship that an instance publishes.
struct Claim<'a> {
    first: u16,
    last: u16,
    address: Address<'a>,
    instance: &'a InstanceName,
    place: Span,
}

/// Where a port is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Address<'a> {
    /// At one address.
    Ip(IpAddr),
    /// At what the engine may make of this text.
    Text(&'a str),
}

impl<'a> Address<'a> {
    fn of(port: &'a Port) -> Self {
        match &*port.address {
            // The engine's default.
            "" => Address::Ip(IpAddr::from([0, 0, 0, 0])),
            text => text.parse().map_or(Address::Text(text), Address::Ip),
        }
    }

    /// Whether it is every address of its family, and which family that is.
    fn family(self) -> (Option<bool>, bool) {
        match self {
            Address::Ip(ip) => (Some(ip.is_ipv4()), ip.is_unspecified()),
            Address::Text(_) => (None, false),
        }
    }
}

/// Warns of ports that are published twice.
pub(super) fn check(reader: &mut Reader<'_>, services: &Services) {
    let mut ships: BTreeMap<(&ShipName, Protocol), Vec<Claim<'_>>> = BTreeMap::new();
    for (name, instance) in &services.instances {
        // Who is left out of everything is there to take the place of another.
        let omitted = services.by_name.get(&instance.service).is_some_and(|service| service.omit);
        let Some(places) = services.places.get(name).filter(|_| !omitted && maps_ports(instance)) else {
            continue;
        };
        for (port, place) in instance.ports.values().zip(&*places.ports) {
            if let Some((first, last)) = published(port) {
                let address = Address::of(port);
                ships.entry((&instance.ship, port.protocol)).or_default().push(Claim {
                    first,
                    last,
                    address,
                    instance: name,
                    place: *place,
                });
            }
        }
    }
    for ((ship, protocol), mut claims) in ships {
        claims.sort_by_key(|claim| claim.first);
        for (first, others) in &clashes(&claims) {
            reader.report(warning(ship, protocol, &claims, (*first, others)));
        }
    }
}

/// The ports of ships that instances take for sure, at whichever address.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// First ports and last ones; no two overlap.
    ports: BTreeMap<(ShipName, Protocol), BTreeMap<u16, u16>>,
}

impl Taken {
    /// Notes those of an instance, unless others take turns with it.
    pub(super) fn by(&mut self, instance: &Instance) {
        for port in instance.ports.values().filter(|_| maps_ports(instance)) {
            let Some((mut first, mut last)) = published(port) else { continue };
            let ports = self.ports.entry((instance.ship.clone(), port.protocol)).or_default();
            while let Some((&from, &to)) = ports.range(..=last).next_back().filter(|(_, to)| **to >= first) {
                ports.remove(&from);
                (first, last) = (first.min(from), last.max(to));
            }
            ports.insert(first, last);
        }
    }

    /// Whether somebody has one that this port takes on a ship for sure.
    pub(super) fn has(&self, ship: &ShipName, port: &Port) -> bool {
        let Some((first, last)) = published(port) else { return false };
        let ports = self.ports.get(&(ship.clone(), port.protocol));
        ports.and_then(|ports| ports.range(..=last).next_back()).is_some_and(|(_, to)| *to >= first)
    }
}

/// Whether ports of this container are mapped to ports of its ship at all.
fn maps_ports(instance: &Instance) -> bool {
    let mode = instance.settings.network_mode.as_deref().unwrap_or("");
    !matches!(mode, "host" | "none") && !mode.starts_with("container:")
}

/// The ports that will be taken for sure: of a range for one port of the container, the engine takes a free one.
fn published(port: &Port) -> Option<(u16, u16)> {
    let range = |text: &str| -> Option<(u16, u16)> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    let ((from, to), (first, last)) = (range(&port.exposed)?, range(&port.external)?);
    (first != 0 && to - from == last - first).then_some((first, last))
}

/// Which claims, by the order of their first ports, clash with one before them; together with that one.
fn clashes(claims: &[Claim<'_>]) -> BTreeMap<usize, Vec<usize>> {
    // The claim that reaches furthest: at an address, at all of a family, at any of a family.
    let mut at: BTreeMap<Address<'_>, usize> = BTreeMap::new();
    let mut at_all: BTreeMap<Option<bool>, usize> = BTreeMap::new();
    let mut at_any: BTreeMap<Option<bool>, usize> = BTreeMap::new();
    let mut clashes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        let (family, is_all) = claim.address.family();
        let before =
            if is_all { [at_any.get(&family), None] } else { [at.get(&claim.address), at_all.get(&family)] };
        let before = before.into_iter().flatten().copied();
        let taken = before.filter(|&other| {
            let other = &claims[other];
            other.last >= claim.first && other.instance != claim.instance
        });
        if let Some(other) = taken.min() {
            clashes.entry(other).or_default().push(index);
        }
        let reach = |furthest: &mut usize| {
            if claims[*furthest].last < claim.last {
                *furthest = index;
            }
        };
        reach(at.entry(claim.address).or_insert(index));
        reach(at_any.entry(family).or_insert(index));
        if is_all {
            reach(at_all.entry(family).or_insert(index));
        }
    }
    clashes
}

fn warning(
    ship: &ShipName,
    protocol: Protocol,
    claims: &[Claim<'_>],
    (first, others): (usize, &[usize]),
) -> Diagnostic {
    let first = &claims[first];
    let mut names = BTreeSet::from([first.instance]);
    let mut ports = Vec::new();
    let mut places = Vec::new();
    for other in others.iter().map(|&other| &claims[other]) {
        names.insert(other.instance);
        ports.push((other.first, first.last.min(other.last)));
        places.push(other.place);
    }
    ports.dedup();
    let is_one = matches!(ports[..], [(from, to)] if from == to);
    let mut texts: Vec<String> = ports
        .iter()
        .take(MOST_NAMES)
        .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") })
        .collect();
    if ports.len() > MOST_NAMES {
        texts.push("…".to_owned());
    }
    let message = format!(
        "{} publish the same {} of ship `{ship}`: {}/{protocol}",
        listed(&names),
        if is_one { "port" } else { "ports" },
        texts.join(", ")
    );
    let warning = Diagnostic::warning(Code::Suspicious, message)
        .note("the engine refuses to start one of them while another runs")
        .help("give each a port of its own, unless they take turns");
    match places.iter().find(|place| **place != first.place) {
        Some(place) => {
            warning.label(*place, "published again here").label(first.place, "published here first")
        }
        None => warning.at(first.place),
    }
}

/// `a`, `b` and 3 more.
fn listed(names: &BTreeSet<&InstanceName>) -> String {
    let mut parts: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    if names.len() > MOST_NAMES {
        parts.push(format!("{} more", names.len() - MOST_NAMES));
    }
    let last = parts.pop().unwrap_or_default();
    format!("{} and {last}", parts.join(", "))
}
