//! One front end of a load balancer: a process that accepts connections, and the file that tells it where they go.

use crate::balance::{Configuration, Generation};
use futures_util::future::BoxFuture;

/// One front end. Every method has its deadlines inside, and makes no retries; dropping a future gives up.
pub trait FrontEnd: Send + Sync {
    /// What people call it: `edge-1`, `ops@lb-1`, `this machine`.
    fn name(&self) -> &str;

    /// Tries a configuration, puts it into the place of the one in use, and has it loaded. It counts when
    /// [`FrontEnd::serving`] says so. What does not pass its check changes nothing; where loading it fails, the one before
    /// is put back.
    fn publish<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>>;

    /// Gives a configuration to a front end that does not run yet, so that it starts with it: nothing can try it there.
    fn prepare<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>>;

    /// The generation by which new connections are served now, as the front end itself says; none if it says something
    /// else.
    fn serving(&self) -> BoxFuture<'_, Result<Option<Generation>, FrontEndError>>;

    /// How many of its processes have been replaced and still finish what they began; none if nobody can tell.
    fn lingering(&self) -> BoxFuture<'_, Result<Option<usize>, FrontEndError>>;
}

/// Why a front end does not have a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontEndError {
    /// It cannot be reached, or does not run. Both may be otherwise in a moment.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// The configuration did not pass its check. The one before is in use.
    #[error("the configuration does not pass `{command}`: {output}")]
    Refused {
        /// The command that tried it.
        command: String,
        /// What that wrote last.
        output: String,
    },
    /// The configuration could not be put into place. The one before is in use.
    #[error("{file} cannot be replaced: {because}")]
    Unwritable {
        /// Path of the configuration.
        file: String,
        /// Why.
        because: String,
    },
    /// It did not load the configuration.
    #[error("`{command}` failed: {output}; {}", put_back(*restored))]
    Unloaded {
        /// What should have made it.
        command: String,
        /// What that wrote last.
        output: String,
        /// Whether the configuration before is in its place again.
        restored: bool,
    },
    /// The lease is lost: it was told nothing, or not everything.
    #[error("{0}")]
    Fenced(String),
}

impl FrontEndError {
    /// Whether the same may succeed a moment later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, FrontEndError::Unreachable(_))
    }
}

fn put_back(restored: bool) -> &'static str {
    if restored {
        "the configuration before has been put back"
    } else {
        "the configuration before could not be put back"
    }
}
