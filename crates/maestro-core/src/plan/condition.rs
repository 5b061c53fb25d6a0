//! What is waited for of a container.

use crate::fleet::{ContainerState, ObservedContainer};

/// A state of a container that can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It runs, whatever its engine does for that: one between its end and its next start counts, too.
    Running,
    /// It runs, and its engine does not have to start it again meanwhile.
    Steady,
    /// It does not run, or does not exist.
    NotRunning,
}

impl Condition {
    /// Whether this is so of a container at this moment; none if there is no such container.
    pub fn holds(self, found: Option<&ObservedContainer>) -> bool {
        let state = found.map(|found| found.state);
        let is_running = state.is_some_and(ContainerState::is_running);
        match self {
            Condition::Running => is_running,
            Condition::Steady => state == Some(ContainerState::Running),
            Condition::NotRunning => !is_running,
        }
    }
}
