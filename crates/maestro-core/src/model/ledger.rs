//! Where the lease and what was released are kept, if not on ships.

use super::ClientCert;
use crate::names::Secret;
use std::sync::Arc;

/// An etcd: one cluster, by the addresses of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    /// `http://` or `https://`, host and port of each member that may be asked; never empty.
    pub endpoints: Vec<Arc<str>>,
    /// What all keys begin with, without a slash at its end.
    pub prefix: Arc<str>,
    /// A file with whom to trust, instead of the system's authorities.
    pub ca_file: Option<Arc<str>>,
    /// The certificate that is shown.
    pub cert: Option<ClientCert>,
    /// User and password.
    pub login: Option<(Arc<str>, Secret)>,
}
