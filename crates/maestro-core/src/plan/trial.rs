//! What balancers do while some instances of a service are tried before the others.

use crate::model::Portion;
use crate::names::{BalancerName, InstanceName, ServiceName};
use std::fmt;

/// A service whose canaries get a portion of its requests while they are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The service.
    pub service: ServiceName,
    /// The canaries that are tried.
    pub canaries: Vec<InstanceName>,
    /// What all canaries of the service get of its requests together.
    pub portion: Portion,
    /// The balancers that send it to them.
    pub balancers: Vec<BalancerName>,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let balancers: Vec<&str> = self.balancers.iter().map(BalancerName::as_str).collect();
        let canaries: Vec<&str> = self.canaries.iter().map(InstanceName::as_str).collect();
        let (verb, percent) = (if balancers.len() == 1 { "sends" } else { "send" }, self.portion.percent);
        write!(
            f,
            "{} {verb} {percent}% of the requests for {} to its canaries ({})",
            balancers.join(", "),
            self.service,
            canaries.join(", ")
        )
    }
}
