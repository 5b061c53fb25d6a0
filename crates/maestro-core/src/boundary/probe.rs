//! Checks that are not calls to an engine: sockets, HTTP, local programs; and programs that are run once.

use crate::model::{Check, ContainerEnv};
use crate::names::InstanceName;
use futures_util::future::BoxFuture;
use std::time::Duration;

/// Runs checks. `Health` and `RemoteExec` never reach it: the executor asks the engine for them.
pub trait Probe: Send + Sync {
    /// Runs one check to its end. Dropping the future ends the check and everything that it started.
    fn check<'a>(
        &'a self,
        instance: &'a InstanceName,
        check: &'a Check,
        env: Option<&'a ContainerEnv>,
    ) -> BoxFuture<'a, Result<(), CheckFailure>>;

    /// Runs a program once, which is told these variables besides those of this process. When its time is over, or the
    /// future is dropped, it is killed with everything that it started.
    ///
    /// # Errors
    /// How it ended, if not with 0: half a sentence, with the last line that it wrote.
    fn run<'a>(
        &'a self,
        command: &'a [String],
        env: &'a ContainerEnv,
        within: Duration,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// A check that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{check} check failed after {attempts} {}: {last}", if *attempts == 1 { "attempt" } else { "attempts" })]
pub struct CheckFailure {
    /// What was checked, such as `tcp 192.0.2.1:80`.
    pub check: String,
    /// Number of tries.
    pub attempts: u32,
    /// What the last try ended with.
    pub last: String,
}
