//! What load balancers are to be told: from endpoints and routes to the text of a configuration (`docs/design/0023`).
//!
//! Pure, so that the same endpoints give the same text on every machine. A text has a [`Generation`], which front ends
//! tell when they are asked ([`Balancer::STATUS_PATH`]): so it is known which of them have loaded it.

mod haproxy;
mod names;
mod nginx;
mod rotation;
mod template;
#[cfg(test)]
mod tests;

pub use rotation::{Rotation, RouteChange, Standing, endpoints};

use crate::config::Unrenderable;
use crate::model::{Balancer, BalancerKind, Portion, Route};
use crate::names::{BalancerName, InstanceName, ServiceName};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// A port of a container, and whether requests go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The service.
    pub service: ServiceName,
    /// The instance, or whatever the container is called that stands in for it.
    pub instance: InstanceName,
    /// The port's name.
    pub port: Arc<str>,
    /// Address of its ship: a host name, or an address without brackets.
    pub address: Arc<str>,
    /// Port on the ship.
    pub number: u16,
    /// Whether requests go there.
    pub standing: Standing,
    /// What the canaries of its service get of the requests together, if it is one of them.
    pub portion: Option<Portion>,
    /// Its share of the requests, against those of the others of its service.
    pub weight: u8,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.instance, self.authority())
    }
}

impl Endpoint {
    /// The weight of an endpoint that nobody has given another.
    pub const WEIGHT: u8 = 100;

    /// Address and port as they are written together.
    fn authority(&self) -> String {
        let address = names::address(&self.address);
        if address.contains(':') {
            format!("[{address}]:{}", self.number)
        } else {
            format!("{address}:{}", self.number)
        }
    }
}

/// Which content of a configuration: equal ones are the same generation, wherever and whenever they were made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(Arc<str>);

impl Generation {
    /// Hexadecimal digits of it.
    const DIGITS: usize = 16;

    /// Reads what a front end says; none if that is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_one = text.len() == Self::DIGITS
            && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        is_one.then(|| Self(text.into()))
    }

    /// That of a text which does not name it yet.
    fn of(text: &str) -> Self {
        let mut digits = String::new();
        for byte in Sha256::digest(text.as_bytes()).iter().take(Self::DIGITS / 2) {
            // Writing to a string cannot fail.
            _ = write!(digits, "{byte:02x}");
        }
        Self(digits.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A configuration as all front ends of a balancer get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Whose.
    pub balancer: BalancerName,
    /// Which.
    pub generation: Generation,
    /// The file.
    pub text: Arc<str>,
}

/// Stands for the generation in the text that the generation is computed from.
const UNKNOWN: &str = "0000000000000000";

/// The configuration of a balancer for these endpoints. Endpoints of services that it does not serve are passed over.
///
/// # Errors
/// What is wrong with the template, if it is one of a user's own.
pub fn configuration(balancer: &Balancer, endpoints: &[Endpoint]) -> Result<Configuration, Unrenderable> {
    let backends = backends(balancer, endpoints);
    let render = |generation: &str| match &balancer.kind {
        BalancerKind::Haproxy => Ok(haproxy::render(balancer, &backends, generation)),
        BalancerKind::Nginx => Ok(nginx::render(balancer, &backends, generation)),
        BalancerKind::Template { name, text } => {
            template::render(balancer, &backends, generation, name, text)
        }
    };
    let generation = Generation::of(&render(UNKNOWN)?);
    let text = render(generation.as_str())?.into();
    Ok(Configuration { balancer: balancer.name.clone(), generation, text })
}

/// Where the requests of one or more routes go.
struct Backend<'a> {
    /// Unique, and harmless in every configuration.
    name: String,
    service: &'a ServiceName,
    port: &'a str,
    /// In the order of their names, each once.
    servers: Vec<Server<'a>>,
}

struct Server<'a> {
    name: String,
    endpoint: &'a Endpoint,
}

impl Backend<'_> {
    /// Whether anybody takes new requests.
    fn is_open(&self) -> bool {
        self.servers.iter().any(Server::takes_requests)
    }
}

impl Server<'_> {
    fn takes_requests(&self) -> bool {
        self.endpoint.standing == Standing::In && self.endpoint.weight > 0
    }
}

/// One for each port of a service that a route leads to, in the order of services and ports.
fn backends<'a>(balancer: &'a Balancer, endpoints: &'a [Endpoint]) -> Vec<Backend<'a>> {
    let wanted: BTreeSet<(&ServiceName, &str)> =
        balancer.routes.iter().map(|route| (&route.service, &*route.port)).collect();
    let mut sorted: BTreeMap<(&ServiceName, &str), BTreeMap<String, &Endpoint>> = BTreeMap::new();
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.standing != Standing::Out) {
        sorted
            .entry((&endpoint.service, &*endpoint.port))
            .or_default()
            .insert(names::safe(endpoint.instance.as_str()), endpoint);
    }
    let made = wanted.into_iter().enumerate().map(|(at, (service, port))| Backend {
        // The number makes it unique where what is left of two names is the same.
        name: format!("b{}_{}_{}", at + 1, names::safe(service.as_str()), names::safe(port)),
        service,
        port,
        servers: sorted
            .remove(&(service, port))
            .into_iter()
            .flatten()
            .map(|(name, endpoint)| Server { name, endpoint })
            .collect(),
    });
    made.collect()
}

/// The routes, those that are meant more exactly first, each with its backend.
fn ordered<'a, 'b>(balancer: &'a Balancer, backends: &'b [Backend<'b>]) -> Vec<(&'a Route, &'b Backend<'b>)> {
    let mut routes: Vec<_> = balancer
        .routes
        .iter()
        .filter_map(|route| {
            let leads =
                |backend: &&Backend<'_>| *backend.service == route.service && *backend.port == *route.port;
            Some((route, backends.iter().find(leads)?))
        })
        .collect();
    routes.sort_by(|(a, _), (b, _)| {
        let rank = |route: &Route| (route.host.is_none(), std::cmp::Reverse(route.path.len()));
        rank(a).cmp(&rank(b)).then_with(|| a.cmp(b))
    });
    routes
}

/// The first line of every file of ours, and what follows `comment` there.
fn head(balancer: &Balancer, generation: &str) -> String {
    format!(
        "# Written by Maestro for the balancer {}, generation {generation}: what is changed here is lost.\n",
        names::safe(balancer.name.as_str())
    )
}

/// Adds the author's own lines to a section.
fn own_lines(out: &mut String, lines: &str) {
    for line in lines.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        out.push_str("    ");
        out.push_str(line);
        out.push('\n');
    }
}
