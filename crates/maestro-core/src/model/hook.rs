//! Commands that are run before and after a service is deployed.

use crate::names::{InstanceName, ServiceName};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The hooks of a service, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// Before the first of its containers is touched.
    pub before: Vec<Hook>,
    /// When all its instances have been proved and have taken over.
    pub after: Vec<Hook>,
}

/// A command that is run once in a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Where.
    pub place: HookPlace,
    /// Program and arguments; no shell comes in between.
    pub command: Arc<[String]>,
    /// How long it may take.
    pub timeout: Duration,
}

/// Where a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPlace {
    /// In a container of its own, as the service's are made.
    Container,
    /// On the machine that deploys.
    Local,
}

/// When a hook is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Before the service is touched.
    Before,
    /// When it has been replaced.
    After,
}

/// Which hook of an environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HookName {
    /// Its service.
    pub service: ServiceName,
    /// When it is run.
    pub when: When,
    /// Its number among those, from 1.
    pub number: usize,
}

impl Hooks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Those of one time, with their numbers.
    pub fn at(&self, when: When) -> impl Iterator<Item = (usize, &Hook)> {
        let hooks = match when {
            When::Before => &self.before,
            When::After => &self.after,
        };
        (1..).zip(hooks)
    }

    /// The containers that those of a service may be run in.
    pub fn containers<'a>(&'a self, service: &'a ServiceName) -> impl Iterator<Item = HookName> + 'a {
        [When::Before, When::After].into_iter().flat_map(move |when| {
            let hooks = self.at(when).filter(|(_, hook)| hook.place == HookPlace::Container);
            hooks.map(move |(number, _)| HookName { service: service.clone(), when, number })
        })
    }
}

impl When {
    /// Its key in the file.
    pub fn key(self) -> &'static str {
        match self {
            When::Before => "before",
            When::After => "after",
        }
    }

    /// The time with this key.
    pub fn parse(key: &str) -> Option<Self> {
        [When::Before, When::After].into_iter().find(|when| when.key() == key)
    }
}

impl HookName {
    /// The name of the container that it is run in: `web.before-1`.
    pub fn container(&self) -> InstanceName {
        InstanceName::from(format!("{}.{}-{}", self.service, self.when.key(), self.number).as_str())
    }
}

impl HookName {
    /// The hook of a service that is run in a container of this name.
    pub fn of(service: &ServiceName, container: &InstanceName) -> Option<Self> {
        let rest = container.as_str().strip_prefix(service.as_str())?.strip_prefix('.')?;
        let (when, number) = rest.split_once('-')?;
        let name = Self { service: service.clone(), when: When::parse(when)?, number: number.parse().ok()? };
        (name.container() == *container).then_some(name)
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hook {}-{} of {}", self.when.key(), self.number, self.service)
    }
}
