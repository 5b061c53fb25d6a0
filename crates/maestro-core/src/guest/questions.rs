//! Questions of a program in a container.

use super::names::{self, CONTAINER_NAME, ENVIRONMENT_NAME, HOST_ADDRESS, SERVICE_NAME};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// A variable is not there, or empty.
    #[error(
        "{what} is not known: the variable {variable} is not set; is this a container that Maestro started?"
    )]
    Variable {
        /// What it would say.
        what: String,
        /// Its name.
        variable: String,
    },
    /// A variable of another service, or of a port that is not there.
    #[error(
        "{what} is not known: the variable {variable} is not set; does the service of this container require \
         {service}, and is the name right?"
    )]
    Link {
        /// What it would say.
        what: String,
        /// Its name.
        variable: String,
        /// The service it is about.
        service: String,
    },
    /// A port that is not one number.
    #[error("{what} is not one number but `{value}` ({variable})")]
    NoNumber {
        /// What it is.
        what: String,
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
    },
    /// A service has too few instances.
    #[error("{service} has {found} nodes, and at least {wanted} are asked for")]
    TooFew {
        /// The service.
        service: String,
        /// How many it has.
        found: usize,
        /// How many are asked for.
        wanted: usize,
    },
}

/// A container's view of its surroundings. The answers are those of maestro-ng's `maestro.guestutils`.
pub struct Guest<V> {
    variable: V,
}

impl<V: Fn(&str) -> Option<String>> Guest<V> {
    /// One that looks variables up like this.
    pub fn new(variable: V) -> Self {
        Self { variable }
    }

    /// The name of the environment; `local` outside of one.
    pub fn environment(&self) -> String {
        (self.variable)(ENVIRONMENT_NAME).unwrap_or_else(|| "local".to_owned())
    }

    /// The container's service.
    pub fn service(&self) -> Result<String, Missing> {
        self.own(SERVICE_NAME, "the service")
    }

    /// The container's name.
    pub fn container(&self) -> Result<String, Missing> {
        self.own(CONTAINER_NAME, "the container's name")
    }

    /// The address of its ship, as the file has it.
    pub fn host_address(&self) -> Result<String, Missing> {
        self.own(HOST_ADDRESS, "the host's address")
    }

    /// A port of its own, as it is within the container; `default` where there is none.
    pub fn port(&self, name: &str, default: Option<u16>) -> Result<u16, Missing> {
        self.node_exposed_port(&self.service()?, &self.container()?, name, default)
    }

    /// The address of the ship of another container.
    pub fn node_host(&self, service: &str, container: &str) -> Result<String, Missing> {
        let variable = names::host(service, container);
        (self.variable)(&variable).ok_or_else(|| Missing::Link {
            what: format!("the host of {container}"),
            variable,
            service: service.to_owned(),
        })
    }

    /// A port of another container, as it is reached from outside; `default` where there is none.
    pub fn node_port(
        &self,
        service: &str,
        container: &str,
        port: &str,
        default: Option<u16>,
    ) -> Result<u16, Missing> {
        self.number(service, container, port, names::port(service, container, port), default)
    }

    /// A port of a container of the same service, as it is within that container; `default` where there is none.
    pub fn node_exposed_port(
        &self,
        service: &str,
        container: &str,
        port: &str,
        default: Option<u16>,
    ) -> Result<u16, Missing> {
        self.number(service, container, port, names::internal_port(service, container, port), default)
    }

    /// `host[:port…]` of every container of a service, in the order of their names.
    pub fn nodes(&self, service: &str, ports: &[&str], minimum: usize) -> Result<Vec<String>, Missing> {
        let instances = (self.variable)(&names::instances(service));
        let nodes = instances.iter().flat_map(|names| names.split(',')).map(|container| {
            let mut node = self.node_host(service, container)?;
            for port in ports {
                node.push(':');
                node.push_str(&self.node_port(service, container, port, None)?.to_string());
            }
            Ok(node)
        });
        let nodes = nodes.collect::<Result<Vec<_>, Missing>>()?;
        if nodes.len() < minimum {
            return Err(Missing::TooFew { service: service.to_owned(), found: nodes.len(), wanted: minimum });
        }
        Ok(nodes)
    }

    fn own(&self, variable: &str, what: &str) -> Result<String, Missing> {
        (self.variable)(variable)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Missing::Variable { what: what.to_owned(), variable: variable.to_owned() })
    }

    fn number(
        &self,
        service: &str,
        container: &str,
        port: &str,
        variable: String,
        default: Option<u16>,
    ) -> Result<u16, Missing> {
        let what = || format!("port {port} of {container}");
        match ((self.variable)(&variable), default) {
            (Some(value), _) => {
                value.trim().parse().map_err(|_| Missing::NoNumber { what: what(), variable, value })
            }
            (None, Some(default)) => Ok(default),
            (None, None) => Err(Missing::Link { what: what(), variable, service: service.to_owned() }),
        }
    }
}
