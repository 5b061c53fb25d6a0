//! What a program cannot be started with: Linux takes only so much of arguments and variables (execve(2)).
//!
//! One `NAME=value`, with a byte for its end, may have 128 KiB. All of them with the arguments, and with 8 bytes for the
//! address of each, may have a quarter of the limit of the stack: 2 MiB, as that is 8 MiB where neither the container
//! (`ulimits`) nor the engine (`default-ulimits`) sets another one; in any case 128 KiB, and never more than 6 MiB.
//! Engines make and start such a container all the same: its program ends at once, and `argument list too long` is in its
//! log.
//!
//! Seen with Docker 20.10.24 on Linux 6.18. Of 128 KiB for one variable, the last byte could be used. Of the whole, all but
//! 142 bytes could: what the engine adds (`PATH`, `HOSTNAME`, `HOME`) and the program's name. So it was with the stack as
//! it is, with one of 16 MiB (4 MiB less 142 bytes), of 64 MiB and without a limit (6 MiB less 142), of 1 MiB (256 KiB less
//! 142) and of 256 KiB (128 KiB less 142).
//!
//! What image and engine add is not known here: only sets are found that are too large without it.

use crate::guest;
use crate::model::links::{Links, instances, is_told_of_itself, told};
use crate::model::{EnvVar, Environment, Instance};
use crate::names::ServiceName;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The longest text.
const MOST_OF_ONE: usize = 128 * KIB;

/// The limit of the stack where nobody sets one.
const STACK: usize = 8 * MIB;

/// What all may have whatever the stack may.
const LEAST: usize = 128 * KIB;

/// What all may have however large the stack may be.
const MOST: usize = 6 * MIB;

/// The address of a text.
const ADDRESS: usize = 8;

/// Room for what image and engine add, where a stack is proposed.
const ROOM: usize = 64 * KIB;

/// More variables than a program can be started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// The service whose containers they are for.
    pub service: ServiceName,
    /// The one that is too long by itself; none if it is all of them.
    pub variable: Option<Arc<str>>,
    /// How much it is, in bytes.
    pub bytes: usize,
    /// How much it may be, in bytes.
    pub limit: usize,
    /// What most of it comes from.
    pub largest: Part,
}

/// Variables that come from one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The service that they are the links of; none if they are the container's own.
    pub links_of: Option<ServiceName>,
    /// How much it is, in bytes.
    pub bytes: usize,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, limit) = (at_least(self.bytes), at_most(self.limit));
        match &self.variable {
            Some(name) => write!(
                f,
                "variable `{name}` of service `{}` has {bytes}, and Linux starts no program with one of more than {limit}",
                self.service
            ),
            None => write!(
                f,
                "the variables of service `{}` come to {bytes}, and Linux starts no program with more than {limit}",
                self.service
            ),
        }
    }
}

impl Excess {
    /// Where most of it comes from.
    pub fn cause(&self) -> String {
        match (&self.variable, &self.largest.links_of) {
            (Some(_), Some(other)) => format!("it has the names of all instances of service `{other}`"),
            (Some(_), None) => "it is one of the container's own".to_owned(),
            (None, Some(other)) => format!(
                "{} of that say where the instances of service `{other}` are",
                at_least(self.largest.bytes)
            ),
            (None, None) => {
                format!(
                    "{} of that are the container's own variables and its command",
                    at_least(self.largest.bytes)
                )
            }
        }
    }

    /// What can be done about it.
    pub fn remedy(&self) -> String {
        let smaller = match &self.largest.links_of {
            Some(other) if *other == self.service => {
                "split the service, or publish fewer ports: its containers are told of all its instances and their ports".to_owned()
            }
            Some(other) => format!(
                "split service `{other}`, or leave it out of `requires` and `wants_info`: who names it there is told of all its instances and their ports"
            ),
            None => "put what is long into a file that is mounted".to_owned(),
        };
        // The next whole MiB.
        let stack = (4 * (self.bytes + ROOM)).next_multiple_of(MIB);
        if self.variable.is_none() && stack <= 4 * MOST {
            format!("{smaller}; or let the stack of its programs grow: `ulimits: {{stack: {stack}}}`")
        } else {
            smaller
        }
    }
}

/// A size as people read it, rounded up: what is beyond a limit shall not look as if it were not.
fn at_least(bytes: usize) -> String {
    if bytes < MIB { format!("{} KiB", bytes.div_ceil(KIB)) } else { tenths((bytes * 10).div_ceil(MIB)) }
}

/// The same, rounded down.
fn at_most(bytes: usize) -> String {
    if bytes < MIB { format!("{} KiB", bytes / KIB) } else { tenths(bytes * 10 / MIB) }
}

fn tenths(of_mib: usize) -> String {
    match (of_mib / 10, of_mib % 10) {
        (whole, 0) => format!("{whole} MiB"),
        (whole, tenths) => format!("{whole}.{tenths} MiB"),
    }
}

/// How much the variables of containers are. What instances of one service have in common is added up once.
#[derive(Debug)]
pub struct Weights<'a> {
    environment: &'a Environment,
    /// By service, and whether it is for its own containers.
    blocks: BTreeMap<(&'a ServiceName, bool), Block>,
    /// What the containers of a service are told of services: at most, as names may be the same.
    links: BTreeMap<&'a ServiceName, Sum<'a>>,
    /// What somebody would be told who is told of all services; nothing until somebody asks.
    all: Option<Block>,
    /// How much has been looked at for `links`.
    work: usize,
    /// What exactly, where it may be too much.
    joined: BTreeMap<&'a ServiceName, Joined>,
}

/// The link variables of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block {
    /// All of them.
    bytes: usize,
    /// The one with the names of its instances: no other one can be long.
    names: usize,
}

/// The link variables of several services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum<'a> {
    /// All of them.
    bytes: usize,
    /// The service that most of it comes from, and how much that is.
    largest: (&'a ServiceName, usize),
    /// The first service with too many names for one variable, and how much that variable is.
    names: Option<(&'a ServiceName, usize)>,
}

/// The link variables of a container, each once.
#[derive(Debug)]
struct Joined {
    vars: IndexMap<Arc<str>, usize>,
    /// What is left of each block.
    parts: Vec<Part>,
    longest: Option<(Arc<str>, usize, ServiceName)>,
}

impl<'a> Weights<'a> {
    /// Of the containers of an environment.
    pub fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            blocks: BTreeMap::new(),
            links: BTreeMap::new(),
            all: None,
            work: 0,
            joined: BTreeMap::new(),
        }
    }

    /// Why the program of a container could not be started, if each variable has a name of its own. That is how it is but
    /// for services, instances or ports whose names differ in punctuation alone.
    pub fn at_most(&mut self, instance: &'a Instance) -> Option<Excess> {
        let own = own_at_most(instance);
        let all = self.all();
        if own.longest.is_none() && all.names <= MOST_OF_ONE && own.bytes + all.bytes <= limit(instance) {
            return None;
        }
        let links = self.links(&instance.service);
        let longest = links.names.map(|(service, bytes)| {
            (guest::instances(service.as_str()).into(), bytes, Some(service.clone()))
        });
        let (service, bytes) = links.largest;
        let parts =
            [Part { links_of: None, bytes: own.bytes }, Part { links_of: Some(service.clone()), bytes }];
        excess(instance, own.bytes + links.bytes, longest.or(own.longest), parts.into_iter())
    }

    /// How many services, and names of services in them, [`Weights::at_most`] has looked at. Whoever asks for every service
    /// has to keep an eye on it: each may be told of all others.
    pub fn work(&self) -> usize {
        self.work
    }

    /// Why the program of a container could not be started.
    pub(super) fn of(&mut self, instance: &'a Instance, links: &mut Links<'a>) -> Option<Excess> {
        self.at_most(instance)?;
        let joined =
            self.joined.entry(&instance.service).or_insert_with(|| Joined::of(&links.of(&instance.service)));
        let mut own: IndexMap<&str, usize> = IndexMap::new();
        for var in instance.settings.env.iter().flat_map(|part| &**part) {
            if !joined.vars.contains_key(&var.name) {
                own.insert(&var.name, bytes(var));
            }
        }
        let longest = own.iter().find(|(_, bytes)| **bytes > MOST_OF_ONE);
        let longest = longest.map(|(name, bytes)| (Arc::from(*name), *bytes, None));
        let links_longest = joined.longest.clone().map(|(name, bytes, service)| (name, bytes, Some(service)));
        let own = command(instance) + own.values().map(|bytes| with_address(*bytes)).sum::<usize>();
        let total = own + joined.parts.iter().map(|part| part.bytes).sum::<usize>();
        let parts = std::iter::once(Part { links_of: None, bytes: own }).chain(joined.parts.iter().cloned());
        excess(instance, total, links_longest.or(longest), parts)
    }

    fn all(&mut self) -> Block {
        if let Some(all) = self.all {
            return all;
        }
        let mut all = Block { bytes: 0, names: 0 };
        for name in self.environment.services.keys() {
            // With the ports that only its own containers are told: it is one of them, or less.
            let block = self.block(name, true);
            all = Block { bytes: all.bytes + block.bytes, names: all.names.max(block.names) };
        }
        self.all = Some(all);
        all
    }

    fn links(&mut self, service: &'a ServiceName) -> Sum<'a> {
        if let Some(known) = self.links.get(service) {
            return *known;
        }
        let is_told = is_told_of_itself(self.environment, service);
        let own = if is_told { self.block(service, true) } else { Block { bytes: 0, names: 0 } };
        let too_many = |service, block: Block| (block.names > MOST_OF_ONE).then_some((service, block.names));
        let mut sum = Sum { bytes: own.bytes, largest: (service, own.bytes), names: too_many(service, own) };
        for other in told(self.environment, service) {
            let block = self.block(other, false);
            sum.bytes += block.bytes;
            if block.bytes >= sum.largest.1 {
                sum.largest = (other, block.bytes);
            }
            sum.names = sum.names.or_else(|| too_many(other, block));
            self.work +=
                1 + self.environment.services.get(other).map_or(0, |other| other.declared_requires.len());
        }
        self.links.insert(service, sum);
        sum
    }

    fn block(&mut self, service: &'a ServiceName, own: bool) -> Block {
        let environment = self.environment;
        *self.blocks.entry((service, own)).or_insert_with(|| Block::of(environment, service, own))
    }
}

impl Block {
    /// Without making the variables: there may be millions in files that nobody starts.
    fn of(environment: &Environment, service: &ServiceName, own: bool) -> Self {
        let prefix = guest::sanitise(service.as_str()).len() + "_".len();
        let (mut bytes, mut names) = (0, 0);
        let mut add = |name: usize, value: usize| bytes += with_address(text(name, value));
        for instance in instances(environment, service) {
            let prefix = prefix + guest::sanitise(instance.name.as_str()).len();
            names += instance.name.as_str().len() + ",".len();
            if let Some(ship) = environment.ships.get(&instance.ship) {
                add(prefix + "_HOST".len(), ship.ip.len());
            }
            for (name, port) in &*instance.ports {
                let prefix = prefix + "_".len() + guest::sanitise(name).len();
                add(prefix + "_PORT".len(), port.external.len());
                if own {
                    add(prefix + "_INTERNAL_PORT".len(), port.exposed.len());
                }
            }
        }
        let names = text(prefix + "INSTANCES".len(), names.saturating_sub(",".len()));
        Self { bytes: bytes + with_address(names), names }
    }
}

impl Joined {
    fn of(blocks: &[Arc<crate::model::LinkBlock>]) -> Self {
        let mut vars: IndexMap<Arc<str>, (usize, usize)> = IndexMap::new();
        for (at, block) in blocks.iter().enumerate() {
            for var in &block.vars {
                vars.insert(var.name.clone(), (at, bytes(var)));
            }
        }
        let mut parts: Vec<Part> =
            blocks.iter().map(|block| Part { links_of: Some(block.service.clone()), bytes: 0 }).collect();
        let mut longest = None;
        for (name, (at, bytes)) in &vars {
            let Some(part) = parts.get_mut(*at) else { continue };
            part.bytes += with_address(*bytes);
            if let (true, None, Some(service)) = (*bytes > MOST_OF_ONE, &longest, &part.links_of) {
                longest = Some((name.clone(), *bytes, service.clone()));
            }
        }
        Self { vars: vars.into_iter().map(|(name, (_, bytes))| (name, bytes)).collect(), parts, longest }
    }
}

/// What a container has besides links, each mention of a variable counted.
struct Own {
    bytes: usize,
    longest: Option<(Arc<str>, usize, Option<ServiceName>)>,
}

fn own_at_most(instance: &Instance) -> Own {
    let mut own = Own { bytes: command(instance), longest: None };
    for var in instance.settings.env.iter().flat_map(|part| &**part) {
        let bytes = bytes(var);
        own.bytes += with_address(bytes);
        if bytes > MOST_OF_ONE {
            own.longest = Some((var.name.clone(), bytes, None));
        }
    }
    own
}

/// The arguments; those of the image are not known.
fn command(instance: &Instance) -> usize {
    instance.settings.command.iter().flatten().map(|word| with_address(word.len() + 1)).sum()
}

fn excess(
    instance: &Instance,
    total: usize,
    longest: Option<(Arc<str>, usize, Option<ServiceName>)>,
    parts: impl Iterator<Item = Part>,
) -> Option<Excess> {
    let service = instance.service.clone();
    if let Some((name, bytes, links_of)) = longest {
        let largest = Part { links_of, bytes };
        return Some(Excess { service, variable: Some(name), bytes, limit: MOST_OF_ONE, largest });
    }
    let limit = limit(instance);
    if total <= limit {
        return None;
    }
    let largest = parts.max_by_key(|part| part.bytes)?;
    Some(Excess { service, variable: None, bytes: total, limit, largest })
}

/// How much all may have.
fn limit(instance: &Instance) -> usize {
    let set =
        instance.settings.ulimits.iter().find(|limit| limit.name == "stack").and_then(|limit| limit.soft);
    match set {
        None => STACK / 4,
        // Negative numbers stand for no limit.
        Some(stack) => usize::try_from(stack).map_or(MOST, |stack| (stack / 4).clamp(LEAST, MOST)),
    }
}

/// What a variable takes. One that is unset in the container takes nothing.
fn bytes(var: &EnvVar) -> usize {
    var.value.as_ref().map_or(0, |value| text(var.name.len(), value.len()))
}

/// `NAME=value` and its end.
fn text(name: usize, value: usize) -> usize {
    name + "=".len() + value + 1
}

fn with_address(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + ADDRESS }
}

#[cfg(test)]
mod tests;
