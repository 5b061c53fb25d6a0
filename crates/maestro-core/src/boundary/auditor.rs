//! Who is told what is done.

use crate::notification::Notification;
use futures_util::future::BoxFuture;

/// Somebody who can be told what is done.
pub trait Auditor: Send + Sync {
    /// Tells it once. Ends within the time that its configuration leaves; dropping the future gives up.
    fn tell<'a>(&'a self, notification: &'a Notification) -> BoxFuture<'a, Result<(), Undelivered>>;
}

/// Why an auditor could not be told: nothing that is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undelivered(pub String);
