//! What commands want.

use super::Hooking;
use crate::names::InstanceName;
use std::collections::BTreeSet;
use std::time::Duration;

/// What a command wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Containers exist and run.
    Start {
        /// Pull images even if they are there.
        refresh: bool,
        /// Start a stopped container as it is instead of making it anew.
        reuse: bool,
    },
    /// Containers do not run.
    Stop,
    /// Containers do not run, and are not asked.
    Kill,
    /// Containers are stopped and started.
    Restart(Restart),
    /// Images are there.
    Pull,
    /// Stopped containers are gone.
    Clean,
    /// Containers are as the release says: of its images, made as it says, running and well.
    Deploy {
        /// Ask the checks of those that are so already, too: nobody has seen them answer.
        ask_again: bool,
        /// Those that wait for their service's canaries follow.
        promote: bool,
        /// Containers that may run, and are known to be no good, as `name@ship`: their instances come first, and they get
        /// no requests.
        doubtful: BTreeSet<InstanceName>,
        /// The hooks that it runs.
        hooks: Hooking,
    },
}

/// How to restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restart {
    /// Pull images even if they are there, before their containers are stopped.
    pub refresh: bool,
    /// Start the stopped container as it is instead of making it anew.
    pub reuse: bool,
    /// Leave containers alone that run the image which their reference means now.
    pub only_if_changed: bool,
    /// Pause before every container but the first.
    pub step_delay: Duration,
    /// Pause between stop and start.
    pub stop_start_delay: Duration,
}

impl Intent {
    /// The command's name, which is also the verb of messages.
    pub fn name(&self) -> &'static str {
        match self {
            Intent::Start { .. } => "start",
            Intent::Stop => "stop",
            Intent::Kill => "kill",
            Intent::Restart(_) => "restart",
            Intent::Pull => "pull",
            Intent::Clean => "clean",
            Intent::Deploy { .. } => "deploy",
        }
    }

    /// The same, running these hooks if it is a deployment.
    #[must_use]
    pub fn hooking(self, hooks: Hooking) -> Self {
        match self {
            Intent::Deploy { ask_again, promote, doubtful, hooks: _ } => {
                Intent::Deploy { ask_again, promote, doubtful, hooks }
            }
            other => other,
        }
    }

    /// The same, asking the checks of what is as it is to be, too, if it is a deployment.
    #[must_use]
    pub fn asking_again(&self) -> Self {
        let mut again = self.clone();
        if let Intent::Deploy { ask_again, .. } = &mut again {
            *ask_again = true;
        }
        again
    }

    /// Whether it goes back to a release that was there before.
    pub fn goes_back(&self) -> bool {
        matches!(self, Intent::Deploy { hooks: Hooking::Off, .. })
    }

    /// Which way dependencies point: `false` if what is needed comes first, `true` if what depends on it does.
    pub fn dependents_first(&self) -> bool {
        matches!(self, Intent::Stop | Intent::Kill | Intent::Restart(_))
    }
}
