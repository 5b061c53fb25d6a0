//! `balancers` for machines.

use super::super::balancers::{Shown, ShownFrontEnd, address};
use maestro_core::balance::{Endpoint, Generation};
use serde::{Deserialize, Serialize};

/// One balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerEntry {
    /// Its name.
    pub balancer: String,
    /// `haproxy`, `nginx` or `template`.
    pub kind: String,
    /// The generation that its front ends should serve.
    pub generation: String,
    /// Whether all front ends serve it; `null` if that is not known of all, and of no one that it does not.
    pub current: Option<bool>,
    /// Its front ends.
    pub front_ends: Vec<FrontEndEntry>,
    /// Where its requests should go.
    pub endpoints: Vec<EndpointEntry>,
}

/// One front end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontEndEntry {
    /// Its name: an instance, or a host.
    pub front_end: String,
    /// The generation that it serves; `null` if it is none of Maestro's, or nobody knows.
    pub generation: Option<String>,
    /// Whether that is the one that it should; `null` if nobody knows.
    pub current: Option<bool>,
    /// Why nobody knows.
    pub error: Option<String>,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointEntry {
    /// The service.
    pub service: String,
    /// The port's name.
    pub port: String,
    /// The instance.
    pub instance: String,
    /// Address and port.
    pub address: String,
    /// `in`, `draining` or `out`.
    pub state: String,
    /// Its share of the requests, against those of the others of its service.
    pub weight: u8,
}

impl FrontEndEntry {
    fn of(front_end: &ShownFrontEnd, wanted: &Generation) -> Self {
        let (generation, current, error) = match &front_end.serving {
            Ok(serving) => {
                (serving.as_ref().map(ToString::to_string), Some(serving.as_ref() == Some(wanted)), None)
            }
            Err(error) => (None, None, Some(error.to_string())),
        };
        Self { front_end: front_end.name.clone(), generation, current, error }
    }
}

impl From<&Endpoint> for EndpointEntry {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            service: endpoint.service.as_str().into(),
            port: endpoint.port.to_string(),
            instance: endpoint.instance.as_str().into(),
            address: address(endpoint),
            state: endpoint.standing.name().into(),
            weight: endpoint.weight,
        }
    }
}

impl From<&Shown> for BalancerEntry {
    fn from(shown: &Shown) -> Self {
        let front_ends: Vec<_> =
            shown.front_ends.iter().map(|front_end| FrontEndEntry::of(front_end, &shown.wanted)).collect();
        let said = || front_ends.iter().map(|front_end| front_end.current);
        let current = if said().any(|current| current == Some(false)) {
            Some(false)
        } else {
            said().all(|current| current.is_some()).then_some(true)
        };
        Self {
            balancer: shown.balancer.as_str().into(),
            kind: shown.kind.to_owned(),
            generation: shown.wanted.to_string(),
            current,
            front_ends,
            endpoints: shown.endpoints.iter().map(EndpointEntry::from).collect(),
        }
    }
}
