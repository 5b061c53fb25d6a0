//! From the text of an environment file to an [`Environment`](crate::model::Environment), or to everything that is
//! wrong with it.

pub mod limits;
pub mod node;
mod read;
mod template;
pub mod yaml;
pub mod tree;
pub mod python;
pub mod words;
pub mod envfile;
pub mod ports;
pub mod resources;
mod declared;
mod fields;
mod env;
mod expansion;
mod variables;
mod volumes;
mod checks;
mod patterns;
mod endpoints;
mod deploy;
mod safeguards;
mod docker_host;
mod ships;
mod registries;
mod anchors;
mod ledger;
mod auditors;
mod instances;
mod services;
mod balancers;
mod hooks;
mod host_ports;
mod placement;
mod compat;
mod load;
mod resolved;
mod json;
mod secrets;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

pub use endpoints::endpoint_url;
pub use json::json;
pub use limits::Limits;
pub use load::{Loaded, load, load_compared};
pub use resolved::resolved;
pub(crate) use secrets::is_secret;
pub(crate) use services::spelled_out;
pub use template::Unrenderable;
pub(crate) use template::{format_texts, render_values};

/// Which order `volumes:` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// Path in the container first.
    One,
    /// Path on the host first.
    Two,
}
