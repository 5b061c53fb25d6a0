//! Lines of `logs` and `events`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The instance.
    pub instance: String,
    /// When its engine received it.
    pub at: Option<String>,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The line, without its end.
    pub text: String,
}

/// Something that happened on a ship.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventEntry {
    /// When, by the engine's clock.
    pub at: String,
    /// The ship.
    pub ship: String,
    /// `container`, `image`, `network`, `volume` or `daemon`.
    pub kind: String,
    /// What happened, such as `start` or `die`.
    pub action: String,
    /// The id of what it happened to.
    pub id: String,
    /// Name, image, exit code and labels, in the engine's words.
    pub attributes: BTreeMap<String, String>,
}
