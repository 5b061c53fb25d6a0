//! What services need, for machines.

use crate::report::deptree::Dependencies;
use maestro_core::names::ServiceName;
use serde::{Deserialize, Serialize};

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceNeeds {
    /// The service.
    pub service: String,
    /// Whether it was asked about; the others are there because something needs them.
    pub asked: bool,
    /// The services that it needs directly, by name.
    pub needs: Vec<String>,
}

impl ServiceNeeds {
    /// All that was asked about and all that is needed for it, what is needed first.
    pub fn all(dependencies: &Dependencies) -> Vec<Self> {
        let one = |name: &ServiceName| Self {
            service: name.to_string(),
            asked: dependencies.roots.contains(name),
            needs: dependencies.needs.get(name).into_iter().flatten().map(ToString::to_string).collect(),
        };
        dependencies.in_order().into_iter().map(one).collect()
    }
}
