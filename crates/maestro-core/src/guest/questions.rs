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

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(text: &'static str) -> Guest<impl Fn(&str) -> Option<String>> {
        Guest::new(move |name: &str| {
            let mut pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        })
    }

    #[test]
    fn what_is_empty_is_not_known_but_for_the_environment() {
        let nothing =
            guest("SERVICE_NAME= CONTAINER_NAME= CONTAINER_HOST_ADDRESS= MAESTRO_ENVIRONMENT_NAME=");
        assert!([nothing.service(), nothing.container(), nothing.host_address()].iter().all(Result::is_err));
        assert_eq!((nothing.environment(), guest("").environment()), (String::new(), "local".to_owned()));
    }

    #[test]
    fn nodes_are_in_the_order_of_their_names_and_enough() {
        let two =
            guest("DB_INSTANCES=b-1,a.2 DB_B_1_HOST=h1 DB_A_2_HOST=h2 DB_B_1_SQL_PORT=1 DB_A_2_SQL_PORT=2");
        assert_eq!(two.nodes("db", &["sql"], 2).unwrap(), ["h1:1", "h2:2"]);
        let few = Missing::TooFew { service: "db".into(), found: 2, wanted: 3 };
        assert_eq!(two.nodes("db", &[], 3), Err(few));
        assert!(two.nodes("db", &["http"], 0).is_err(), "a port that is not there");
        // Not there is nobody, empty is a fault: as in maestro-ng.
        assert_eq!(guest("").nodes("db", &[], 0).unwrap(), Vec::<String>::new());
        assert!(guest("DB_INSTANCES=").nodes("db", &[], 0).is_err());
    }

    #[test]
    fn ports_are_one_number_each() {
        let text = "SERVICE_NAME=s CONTAINER_NAME=s-1 S_S_1_A_INTERNAL_PORT=80 S_S_1_B_INTERNAL_PORT=80-90 S_S_1_A_PORT=81";
        let guest = guest(text);
        assert_eq!((guest.port("a", None), guest.port("a", Some(1))), (Ok(80), Ok(80)));
        assert_eq!((guest.port("c", Some(1)), guest.node_port("s", "s-1", "a", None)), (Ok(1), Ok(81)));
        assert!(guest.port("b", Some(1)).is_err() && guest.port("c", None).is_err());
    }
}
