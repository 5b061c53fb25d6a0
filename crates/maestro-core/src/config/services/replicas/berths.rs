//! `place:` of a service: on which ships its replicas may be, and how many on each.

use super::{Pending, number, written};
use crate::config::expansion::Counted;
use crate::config::fields::Reader;
use crate::config::host_ports::Taken;
use crate::config::node::Mapping;
use crate::config::placement::Candidate;
use crate::config::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::glob::Glob;
use crate::model::{Port, Protocol, Ship};
use crate::names::ShipName;
use crate::source::Span;
use std::collections::BTreeSet;

const KEYS: [&str; 4] = ["ships", "tags", "spread", "max_per_ship"];

/// Ships that a message names.
const MOST_NAMES: usize = 3;

/// What `place` says.
#[derive(Default)]
struct Place {
    /// Names and patterns, and where they stand; none for all ships.
    ships: Option<(Vec<(String, Span)>, Span)>,
    /// Tags with the values that a ship may have.
    tags: Vec<(String, Vec<String>, Span)>,
    spread: Option<(String, Span)>,
    max_per_ship: Option<(u64, Span)>,
}

/// Why there can be only so many replicas on a ship.
struct Bound<'n> {
    most: u64,
    reason: Reason<'n>,
    at: Span,
}

enum Reason<'n> {
    Fixed(&'n Port),
    Range(&'n Port),
    HostNetwork(&'n Port),
    MaxPerShip,
}

/// The ships that so many replicas can be placed on, which have room for all. None if that cannot be; then it has been said,
/// or something has that makes it hard to tell.
pub(super) fn candidates<'a>(
    reader: &mut Reader<'_>,
    service: &Pending<'a>,
    replicas: u64,
    taken: &Taken,
) -> Option<Vec<Candidate<'a>>> {
    let Pending { parents, map } = service;
    let what = format!("service `{}`", parents.service);
    let at = map.get("replicas")?.span;
    let before = reader.diagnostics.errors();
    let place = read(reader, map, &what);
    let all = &parents.ships.by_name;
    if !reader.expand(Counted::Placements, place.work(all.keys()), at) || parents.ships.has_gaps() {
        return None;
    }
    let ships = place.allowed(reader, all.values().collect(), &what);
    if reader.diagnostics.errors() > before {
        return None;
    }
    if ships.is_empty() && replicas > 0 {
        let message = format!("{what} has replicas, and there are no ships");
        reader
            .report(Diagnostic::error(Code::BadValue, message).at(at).help("name the hosts under `ships:`"));
        return None;
    }
    let ports = &parents.ports;
    let steps = replicas.saturating_add(ports.by_name.len() as u64);
    if !reader.expand(Counted::Placements, steps.saturating_mul(ships.len() as u64), at) {
        return None;
    }
    let network = network(map);
    let bound = place.bound(network, ports.by_name.values().zip(ports.places.iter().copied()));
    let room = bound.as_ref().map_or(u64::MAX, |bound| bound.most);
    if let Some(bound) = bound.filter(|bound| bound.most.saturating_mul(ships.len() as u64) < replicas) {
        let few =
            Shortage { what: &what, replicas, at, ships: ships.len(), is_narrowed: place.is_narrowed() };
        reader.report(few.diagnostic(&bound));
        return None;
    }
    let is_taken = |ship: &ShipName| ports.by_name.values().any(|port| taken.has(ship, port));
    let candidates = ships.into_iter().map(|ship| Candidate {
        ship: &ship.name,
        domain: place.spread.as_ref().and_then(|(tag, _)| ship.tags.get(tag)).map_or("", String::as_str),
        room,
        contested: matches!(network, Network::Own) && is_taken(&ship.name),
    });
    Some(candidates.collect())
}

fn read(reader: &mut Reader<'_>, map: &Mapping, what: &str) -> Place {
    let what = format!("`place` of {what}");
    let Some(map) = map.get("place").and_then(|node| reader.mapping(node, &what)) else {
        return Place::default();
    };
    reader.check_keys(map, &KEYS, &what, &[]);
    let mut place = Place::default();
    if let Some(node) = written(map, "ships") {
        let names = reader.names(node, &format!("`ships` of {what}")).into_iter();
        place.ships = Some((names.map(|(name, node)| (name, node.span)).collect(), node.span));
    }
    if let Some(tags) = written(map, "tags") {
        let what = format!("`tags` of {what}");
        for (key, value) in reader.mapping(tags, &what).into_iter().flat_map(|map| &map.entries) {
            let name = python::text(key);
            let values = reader.texts(value, &format!("`{name}` of {what}"));
            place.tags.push((name, values, value.span));
        }
    }
    if let Some(node) = written(map, "spread") {
        place.spread = reader.text(node, &format!("`spread` of {what}")).map(|tag| (tag, node.span));
    }
    if let Some(node) = written(map, "max_per_ship") {
        let what = format!("`max_per_ship` of {what}");
        place.max_per_ship = number(reader, node, &what).map(|most| (most, node.span));
        if let Some((0, span)) = place.max_per_ship {
            let message = format!("{what} is 0: there would be none");
            reader.report(
                Diagnostic::error(Code::BadValue, message).at(span).help("write `replicas: 0` for none"),
            );
        }
    }
    place
}

impl Place {
    /// How much it takes to find the ships that it allows, in comparisons of a replica with a ship.
    fn work<'s>(&self, ships: impl Iterator<Item = &'s ShipName>) -> u64 {
        let (mut count, mut bytes) = (0_u64, 0_u64);
        for ship in ships {
            (count, bytes) = (count + 1, bytes + ship.as_str().len() as u64);
        }
        let patterns = self.ships.iter().flat_map(|(patterns, _)| patterns);
        let pattern_bytes: u64 = patterns.map(|(pattern, _)| 1 + pattern.len() as u64).sum();
        let tags: u64 = self.tags.iter().map(|(_, values, _)| 1 + values.len() as u64).sum();
        count.saturating_mul(1 + tags).saturating_add(bytes.saturating_mul(pattern_bytes) / 16)
    }

    /// Whether it leaves ships out, as far as one can see.
    fn is_narrowed(&self) -> bool {
        self.ships.is_some() || !self.tags.is_empty()
    }

    /// The ships that it allows. Complains of what no ship answers to.
    fn allowed<'a>(&self, reader: &mut Reader<'_>, all: Vec<&'a Ship>, what: &str) -> Vec<&'a Ship> {
        let mut ships = self.named(reader, all, what);
        for (tag, values, span) in &self.tags {
            if ships.is_empty() {
                break;
            }
            let (note, known) = (told(tag, &ships), tags_like(tag, &ships));
            ships.retain(|ship| ship.tags.get(tag).is_some_and(|value| values.contains(value)));
            if ships.is_empty() {
                let wanted: Vec<_> = values.iter().map(|value| format!("{tag}: {value}")).collect();
                let wanted = listed(wanted.iter().map(String::as_str), "or");
                let message = format!("`place` of {what} allows no ship: none has the tag {wanted}");
                let error = Diagnostic::error(Code::UnknownName, message).at(*span).note(note);
                let error = reader.suggest(error, tag, known.iter().copied());
                reader.report(error);
            }
        }
        let Some((tag, span)) = &self.spread else { return ships };
        let without = ships.iter().filter(|ship| !ship.tags.contains_key(tag));
        let without: Vec<&str> = without.map(|ship| ship.name.as_str()).collect();
        if !without.is_empty() {
            let (ship, has) = if without.len() == 1 { ("ship", "has") } else { ("ships", "have") };
            let message = format!(
                "`place` of {what} spreads over `{tag}`, and {ship} {} {has} no such tag",
                listed(without.into_iter(), "and")
            );
            let error = Diagnostic::error(Code::MissingKey, message).at(*span).note(told(tag, &ships));
            let error = reader.suggest(error, tag, tags_like(tag, &ships));
            reader.report(error.help(format!(
                "give every ship that may be used `tags: {{{tag}: …}}`, or name those that have it in `ships`"
            )));
        }
        ships
    }

    /// The ships that are named, or all.
    fn named<'a>(&self, reader: &mut Reader<'_>, all: Vec<&'a Ship>, what: &str) -> Vec<&'a Ship> {
        let Some((names, span)) = &self.ships else { return all };
        if names.is_empty() {
            let message = format!("`ships` of `place` of {what} names no ship");
            let error = Diagnostic::error(Code::BadValue, message).at(*span);
            reader.report(error.help("leave it out for all ships, or write `replicas: 0` for none"));
        }
        let mut chosen = vec![false; all.len()];
        for (name, at) in names {
            if let Ok(found) = all.binary_search_by(|ship| ship.name.as_str().cmp(name)) {
                chosen[found] = true;
                continue;
            }
            let (glob, is_pattern) = (Glob::new(name), name.contains(['*', '?', '[']));
            let mut is_empty = true;
            for (ship, chosen) in all.iter().zip(&mut chosen).filter(|_| is_pattern) {
                if glob.matches(ship.name.as_str()) {
                    (*chosen, is_empty) = (true, false);
                }
            }
            if is_empty {
                let message = if is_pattern {
                    format!("no ship has a name like `{name}`, in `place` of {what}")
                } else {
                    format!("ship `{name}`, in `place` of {what}, does not exist")
                };
                let error = Diagnostic::error(Code::UnknownName, message).at(*at);
                let error = reader.suggest(error, name, all.iter().map(|ship| ship.name.as_str()));
                reader.report(error);
            }
        }
        all.into_iter().zip(chosen).filter_map(|(ship, chosen)| chosen.then_some(ship)).collect()
    }

    /// What allows the fewest on a ship.
    fn bound<'p>(
        &self,
        network: Network,
        ports: impl Iterator<Item = (&'p Port, Span)>,
    ) -> Option<Bound<'p>> {
        let of_port = |(port, at): (&'p Port, Span)| {
            let (most, reason) = match (network, port.choice()) {
                (Network::Host, _) => (1, Reason::HostNetwork(port)),
                (Network::Own, Some((first, last))) => (u64::from(last - first) + 1, Reason::Range(port)),
                (Network::Own, None) if port.is_fixed() => (1, Reason::Fixed(port)),
                (Network::Own | Network::Other, _) => return None,
            };
            Some(Bound { most, reason, at })
        };
        let by_hand = self.max_per_ship.map(|(most, at)| Bound { most, reason: Reason::MaxPerShip, at });
        ports.filter_map(of_port).chain(by_hand).min_by_key(|bound| bound.most)
    }
}

/// What a service's containers have for ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// They are mapped to some of the ship.
    Own,
    /// They are those of the ship.
    Host,
    /// None, or those of another container.
    Other,
}

fn network(map: &Mapping) -> Network {
    match written(map, "net").and_then(|node| node.as_str()) {
        Some("host") => Network::Host,
        Some(mode) if mode == "none" || mode.starts_with("container:") => Network::Other,
        _ => Network::Own,
    }
}

/// Replicas that do not fit.
struct Shortage<'a> {
    what: &'a str,
    replicas: u64,
    at: Span,
    /// How many ships there are to be on.
    ships: usize,
    /// Whether `place` leaves others out.
    is_narrowed: bool,
}

impl Shortage<'_> {
    fn diagnostic(&self, bound: &Bound<'_>) -> Diagnostic {
        let (why, help) = match bound.reason {
            Reason::Fixed(port) => {
                let ports = if port.width() == 1 { "port" } else { "ports" };
                let exposed = &port.exposed;
                let of = if port.protocol == Protocol::Udp { "/udp" } else { "" };
                let help = match port.width() {
                    1 => format!("use a range, such as {{exposed: {exposed}{of}, external: 8100-8199{of}}}"),
                    _ => "publish fewer ports, each of them with a range".to_owned(),
                };
                (format!(" for its fixed {ports} {}", port.external), help)
            }
            Reason::Range(port) => {
                (format!(" for its ports {}", port.external), "use a wider range".to_owned())
            }
            Reason::HostNetwork(port) => (
                format!(" for its port {}, which with `net: host` is the ship's", port.exposed),
                "do without `net: host`".to_owned(),
            ),
            Reason::MaxPerShip => {
                (format!(" with `max_per_ship: {}`", bound.most), "let more be on a ship".to_owned())
            }
        };
        let needed = self.replicas.div_ceil(bound.most.max(1));
        let ships = if needed == 1 { "ship" } else { "ships" };
        let there = match (self.is_narrowed, self.ships) {
            (true, ships) => format!("`place` allows {ships}"),
            (false, 1) => "there is 1".to_owned(),
            (false, ships) => format!("there are {ships}"),
        };
        let others = if self.is_narrowed { ", allow more ships" } else { "" };
        let message = format!("{} needs {needed} {ships}{why}, and {there}", self.what);
        Diagnostic::error(Code::Conflict, message)
            .label(self.at, "so many replicas")
            .label(bound.at, "this allows for fewer")
            .help(format!("{help}{others}, or have fewer replicas"))
    }
}

/// What ships say of a tag.
fn told(tag: &str, ships: &[&Ship]) -> String {
    let values: BTreeSet<&str> = ships.iter().filter_map(|ship| Some(ship.tags.get(tag)?.as_str())).collect();
    if values.is_empty() {
        return format!("none of them has a tag `{tag}`");
    }
    format!("on those that have it, `{tag}` is {}", listed(values.into_iter(), "or"))
}

/// The names of tags that ships have, if they do not have this one.
fn tags_like<'a>(tag: &str, ships: &[&'a Ship]) -> BTreeSet<&'a str> {
    let tags: BTreeSet<&str> = ships.iter().flat_map(|ship| ship.tags.keys().map(String::as_str)).collect();
    if tags.contains(tag) { BTreeSet::new() } else { tags }
}

/// `a`, `b` and 3 more.
fn listed<'a>(mut names: impl ExactSizeIterator<Item = &'a str>, word: &str) -> String {
    let mut parts: Vec<String> = names.by_ref().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    if names.len() > 0 {
        parts.push(format!("{} more", names.len()));
    }
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} {word} {last}", parts.join(", ")) }
}
