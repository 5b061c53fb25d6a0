//! Whether there can be two containers of one instance at the same time: the one that serves, and the one that is to
//! take its place.

use crate::model::{Environment, Instance};
use crate::names::{BalancerName, InstanceName};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Why there cannot be two containers of an instance at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// Both would publish this port of their ship.
    Port(Arc<str>),
    /// Both could write to this volume, or directory of their ship.
    Volume(String),
    /// Both could write to the volumes of this container.
    VolumesOf(String),
    /// Both would listen in this network, which is not their own: `host`, or `container:…`.
    Network(String),
    /// This instance holds on to the container, by a link, its volumes or its network.
    Held(InstanceName),
    /// It is a front end of this balancer, which is told by its name where requests go.
    FrontEnd(BalancerName),
}

impl fmt::Display for Hindrance {
    /// Half a sentence about the instance.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hindrance::Port(port) => write!(f, "it publishes the fixed port {port} of its ship"),
            Hindrance::Volume(source) => write!(f, "it can write to {source}"),
            Hindrance::VolumesOf(other) => write!(f, "it can write to the volumes of {other}"),
            Hindrance::Network(network) => write!(f, "its network is `{network}`"),
            Hindrance::Held(other) => write!(f, "{other} holds on to its container"),
            Hindrance::FrontEnd(balancer) => write!(f, "it is a front end of {balancer}"),
        }
    }
}

/// Which instances can be there twice.
#[derive(Debug)]
pub struct Besides<'a> {
    /// Whose container others hold on to, and one of those others.
    held: BTreeMap<&'a str, &'a InstanceName>,
}

impl<'a> Besides<'a> {
    /// In an environment.
    pub fn new(environment: &'a Environment) -> Self {
        Self::of(environment.instances.values())
    }

    /// Among these instances.
    pub fn of(instances: impl Iterator<Item = &'a Instance>) -> Self {
        let mut held = BTreeMap::new();
        for instance in instances {
            let settings = &*instance.settings;
            let sources = settings.volumes_from.iter().chain(&settings.links);
            let names = sources.map(|text| text.split(':').next().unwrap_or(text));
            for name in names.chain(network_of(instance)) {
                held.entry(name).or_insert(&instance.name);
            }
        }
        Self { held }
    }

    /// What speaks against two containers of an instance; none if nothing does.
    pub fn hindrance(&self, instance: &Instance) -> Option<Hindrance> {
        let settings = &*instance.settings;
        let network = settings.network_mode.as_deref().unwrap_or("");
        if network == "host" || network_of(instance).is_some() {
            return Some(Hindrance::Network(network.to_owned()));
        }
        // Without a network of its ship's, nothing is published.
        let mut ports = instance.ports.values().filter(|_| network != "none");
        if let Some(port) = ports.find(|port| port.is_fixed()) {
            return Some(Hindrance::Port(port.external.clone()));
        }
        if let Some(bind) = settings.binds.iter().find(|bind| !is_read_only(bind)) {
            let source = bind.split(':').next().unwrap_or(bind);
            return Some(Hindrance::Volume(source.to_owned()));
        }
        if let Some(other) = settings.volumes_from.iter().find(|other| !is_read_only(other)) {
            let name = other.split(':').next().unwrap_or(other);
            return Some(Hindrance::VolumesOf(name.to_owned()));
        }
        self.held.get(instance.name.as_str()).map(|other| Hindrance::Held((*other).clone()))
    }
}

/// The container whose network an instance shares.
fn network_of(instance: &Instance) -> Option<&str> {
    instance.settings.network_mode.as_deref()?.strip_prefix("container:")
}

/// Whether the mode behind the last colon says so: `source:target:ro`, `container:ro`.
pub(crate) fn is_read_only(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, mode)| mode.split(',').any(|option| option == "ro"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limits, load};
    use crate::source::MapSources;

    #[test]
    fn what_speaks_against_two_is_found() {
        let of = |keys: &str, other: &str| {
            let text = format!(
                "__maestro: {{schema: 2}}\nname: t\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n  s:\n    image: bb\n    instances:\n      \
                 s-1: {{ship: a, {keys}}}\n      s-2: {{ship: a, {other}}}\n"
            );
            let loaded = load(&MapSources::of(&*text), &Limits::default());
            let environment =
                loaded.environment.unwrap_or_else(|| panic!("{keys}: {:?}", loaded.diagnostics));
            let instance = &environment.instances[&InstanceName::from("s-1")];
            Besides::new(&environment).hindrance(instance).map(|why| why.to_string())
        };
        let nothing = [
            "",
            "ports: {http: {exposed: 80, external: 8000-8009}}",
            "ports: {http: '80:0'}",
            "ports: {http: 80}, net: none",
            "volumes: {/a: {target: /b, mode: ro}}",
            "container_volumes: [/data]",
            "links: {s-2: other}",
        ];
        for keys in nothing {
            assert_eq!(of(keys, ""), None, "{keys}");
        }
        for (keys, why) in [
            ("ports: {http: 80}", "it publishes the fixed port 80 of its ship"),
            (
                "ports: {http: {exposed: 80, external: 8000-8000}}",
                "it publishes the fixed port 8000-8000 of its ship",
            ),
            ("ports: {http: '80-81:8000-8001'}", "it publishes the fixed port 8000-8001 of its ship"),
            ("volumes: {/a: /b}", "it can write to /a"),
            ("volumes_from: [s-2]", "it can write to the volumes of s-2"),
            ("net: host", "its network is `host`"),
            ("net: 'container:s-2'", "its network is `container:s-2`"),
        ] {
            assert_eq!(of(keys, "").as_deref(), Some(why), "{keys}");
        }
        for other in ["links: {s-1: other}", "volumes_from: [s-1]", "net: 'container:s-1'"] {
            assert_eq!(of("", other).as_deref(), Some("s-2 holds on to its container"), "{other}");
        }
    }
}
