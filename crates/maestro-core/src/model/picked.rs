//! Ports of a ship that are picked for one container, where the file leaves a choice (`external: 8100-8199`).

use crate::guest;
use crate::model::{ContainerSpec, EnvVar, Instance, Port};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Prefix of labels that say which port of its ship was picked for a port of a container, by its name in the file.
pub const LABEL_PORT: &str = "maestro.port.";

/// The ports that were picked for one container, by the names of its ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picked(BTreeMap<Arc<str>, u16>);

impl Port {
    /// First and last of the ports of which one is picked for a container; none if there is no choice.
    pub fn choice(&self) -> Option<(u16, u16)> {
        let (first, last) = self.external.split_once('-')?;
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (self.width() == 1 && first < last).then_some((first, last))
    }
}

impl Picked {
    /// Those that the labels of an instance's container tell, as far as they are of the ranges that the file says now.
    pub fn of(instance: &Instance, labels: &BTreeMap<String, String>) -> Self {
        let of = |(name, port): (&Arc<str>, &Port)| {
            let (first, last) = port.choice()?;
            let number = labels.get(&format!("{LABEL_PORT}{name}"))?.parse().ok()?;
            (first..=last).contains(&number).then(|| (name.clone(), number))
        };
        Self(instance.ports.iter().filter_map(of).collect())
    }

    /// All that labels tell, whatever the file says.
    pub fn numbers(labels: &BTreeMap<String, String>) -> impl Iterator<Item = u16> {
        labels.iter().filter_map(|(key, value)| key.strip_prefix(LABEL_PORT).and_then(|_| value.parse().ok()))
    }

    /// Notes a port.
    pub fn pick(&mut self, name: &Arc<str>, number: u16) {
        self.0.insert(name.clone(), number);
    }

    /// The port of the ship.
    pub fn get(&self, name: &str) -> Option<u16> {
        self.0.get(name).copied()
    }

    /// The variables by which a container knows them; in those of its service's other containers, and of others, are
    /// the ranges.
    pub fn variables(&self, instance: &Instance) -> Arc<[EnvVar]> {
        let variable = |(name, number): (&Arc<str>, &u16)| {
            let variable = guest::port(instance.service.as_str(), instance.name.as_str(), name);
            EnvVar::new(variable, number.to_string())
        };
        self.0.iter().map(variable).collect()
    }
}

impl ContainerSpec {
    /// Publishes the ports that were picked. The fingerprint stays as it is: it is of what the file says.
    pub fn publish(&mut self, instance: &Instance, picked: &Picked) {
        let mut at = 0;
        for (name, port) in &*instance.ports {
            if let (Some(number), Some(binding)) = (picked.get(name), self.ports.get_mut(at)) {
                binding.external = number.to_string().into();
                self.labels.insert(format!("{LABEL_PORT}{name}").into(), number.to_string().into());
            }
            at += usize::try_from(port.width()).unwrap_or(usize::MAX);
        }
        self.env.picked = picked.variables(instance);
    }
}
