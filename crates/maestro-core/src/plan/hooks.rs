//! Which hooks a deployment runs, and what one of them is.

use crate::compare::shown_command;
use crate::image::ImageRef;
use crate::model::HookName;
use crate::model::When;
use crate::names::{ContainerId, ServiceName, ShipName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which hooks a deployment runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hooking {
    /// None: it is a way back. Those of the release that it goes back to have been run, and would do the same again to
    /// what has been changed since.
    Off,
    /// Those of services of which something is replaced, and what is left of those that were begun.
    On {
        /// What one-off containers are marked with that are made for services whose hooks have not been begun.
        run: String,
        /// Services whose hooks were to be run when the deployment began, whatever is left to be done now.
        begun: BTreeMap<ServiceName, Begun>,
    },
}

/// How far the hooks of a service are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Begun {
    /// What their one-off containers are marked with.
    pub run: String,
    /// Those that have been run to a good end, as far as it was written down.
    pub done: BTreeSet<(When, usize)>,
    /// Containers that had not ended when their time was over: whatever they end with since, it is not a good end.
    pub late: BTreeSet<ContainerId>,
}

impl Hooking {
    /// Nothing has been begun.
    pub const NEW: Self = Hooking::On { run: String::new(), begun: BTreeMap::new() };
}

/// One hook that is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookTask {
    /// Which.
    pub name: HookName,
    /// Program and arguments.
    pub command: Arc<[String]>,
    /// The image of the service.
    pub image: ImageRef,
    /// The ship that its container is on; none for the machine that deploys.
    pub ship: Option<ShipName>,
    /// How long it may take.
    pub within: Duration,
}

impl fmt::Display for HookTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} ", shown_command(&self.command))?;
        match &self.ship {
            Some(ship) => write!(f, "in a container of {} on {ship}", self.image.without_pin())?,
            None => f.write_str("on this machine")?,
        }
        write!(f, " (at most {} s)", self.within.as_secs_f64())
    }
}
