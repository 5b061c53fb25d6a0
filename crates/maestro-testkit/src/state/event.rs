//! What an engine tells about what happens on it.

use crate::state::container::Container;
use jiff::Timestamp;
use maestro_core::boundary::EngineEvent;
use maestro_core::names::ContainerId;
use std::collections::{BTreeMap, VecDeque};

/// How many events are kept for those who ask for earlier ones; as many as the real engine keeps.
const KEPT: usize = 256;

/// The last events, numbered.
#[derive(Debug, Default)]
pub struct EventLog {
    kept: VecDeque<EngineEvent>,
    /// Number of the first one that is kept.
    first: u64,
}

impl EventLog {
    /// The number that the next event will have.
    pub fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// The event with this number or, where it is no longer kept, the oldest after it; and its number.
    pub fn get(&self, number: u64) -> Option<(u64, &EngineEvent)> {
        let number = number.max(self.first);
        let index = usize::try_from(number - self.first).ok()?;
        self.kept.get(index).map(|event| (number, event))
    }

    /// The number of the first kept event at or after a time.
    pub fn since(&self, at: Timestamp) -> u64 {
        self.first + self.kept.iter().take_while(|event| event.at < at).count() as u64
    }

    pub(crate) fn push(&mut self, event: EngineEvent) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.first += 1;
        }
        self.kept.push_back(event);
    }
}

/// Something that happened to a container.
pub(crate) fn of_container(
    container: &Container,
    at: Timestamp,
    action: impl Into<String>,
    more: &[(&str, String)],
) -> EngineEvent {
    let mut attributes: BTreeMap<String, String> =
        container.config.labels.iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    attributes.insert("image".to_owned(), container.config.image.clone());
    attributes.insert("name".to_owned(), container.name.to_string());
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    EngineEvent {
        at,
        kind: "container".to_owned(),
        action: action.into(),
        id: container.id.as_str().to_owned(),
        attributes,
    }
}

/// A container joined or left its network.
pub(crate) fn of_network(network: &str, at: Timestamp, action: &str, container: &ContainerId) -> EngineEvent {
    let name = if network == "default" { "bridge" } else { network };
    EngineEvent {
        at,
        kind: "network".to_owned(),
        action: action.to_owned(),
        id: crate::state::image::hex(&["network", name]),
        attributes: BTreeMap::from([
            ("container".to_owned(), container.as_str().to_owned()),
            ("name".to_owned(), name.to_owned()),
            ("type".to_owned(), name.to_owned()),
        ]),
    }
}

/// Something that happened to an image.
pub(crate) fn of_image(at: Timestamp, action: &str, id: &str, name: &str) -> EngineEvent {
    EngineEvent {
        at,
        kind: "image".to_owned(),
        action: action.to_owned(),
        id: id.to_owned(),
        attributes: BTreeMap::from([("name".to_owned(), name.to_owned())]),
    }
}
