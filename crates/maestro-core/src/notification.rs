//! What auditors are told, and in which words (specification, section 8).

mod texts;

use crate::model::{Auditor, Channel, Level};
use crate::names::{InstanceName, ServiceName, ShipName};
use std::sync::Arc;

pub use texts::{Invocation, LogLine, Unformattable};

/// One thing that auditors are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What is done: the command's name.
    pub action: &'static str,
    /// To what.
    pub what: What,
    /// How far it is.
    pub moment: Moment,
    /// Who does it: the caller's login name.
    pub who: Arc<str>,
}

/// What something is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Everything that a command is about, in its order.
    Play(Arc<[Audited]>),
    /// One instance.
    Task(Audited),
}

/// What auditors may want to know of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Its name.
    pub instance: InstanceName,
    /// Its service.
    pub service: ServiceName,
    /// Its ship.
    pub ship: ShipName,
    /// The ship's address, as the file has it.
    pub ip: Arc<str>,
}

/// How far something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// It is about to be done.
    Begins,
    /// It is done, or nothing was to be done.
    Succeeded,
    /// It is not done.
    Failed {
        /// Why, where that is known.
        message: Option<String>,
    },
}

impl Notification {
    /// Whether an auditor is to be told.
    pub fn is_for(&self, auditor: &Auditor) -> bool {
        let needed = match (&self.moment, &self.what) {
            (Moment::Failed { .. }, _) => Level::Errors,
            (_, What::Play(_)) => Level::Info,
            (_, What::Task(_)) => Level::Debug,
        };
        let concerns = match &auditor.channel {
            Channel::Log { .. } | Channel::Slack(_) => true,
            Channel::Http(_) => self.moment == Moment::Begins,
            Channel::Exec(_) => self.moment == Moment::Succeeded && matches!(self.what, What::Play(_)),
            Channel::HipChat => false,
        };
        concerns && auditor.level >= needed
    }

    /// What it is about, in the order of the command.
    pub fn about(&self) -> &[Audited] {
        match &self.what {
            What::Play(all) => all,
            What::Task(one) => std::slice::from_ref(one),
        }
    }
}

#[cfg(test)]
mod tests;
