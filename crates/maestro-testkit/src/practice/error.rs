//! What can go wrong with a practice fleet.

use std::path::PathBuf;
use std::time::Duration;

/// Why the practice fleet could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// Network namespaces, mounts and engines need root.
    #[error(
        "a practice fleet makes network namespaces and runs Docker Engines, which needs root; run it as root"
    )]
    NotRoot,
    /// Something that the install script provides is not there.
    #[error("{what} is not installed ({path} is missing); run scripts/install-practice-fleet as root", path = path.display())]
    NotInstalled {
        /// What is missing.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The directory of a fleet cannot be used for what was asked.
    #[error("cannot use the fleet directory {path}: {why}", path = path.display())]
    State {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Every subnet of 198.18.0.0/15 is in use.
    #[error("no subnet of 198.18.0.0/15 is free for another fleet; see `ls {run}` and take fleets down", run = run.display())]
    NoFreeSlot {
        /// Where running fleets are recorded.
        run: PathBuf,
    },
    /// A program that the harness runs failed.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// Program and arguments.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// A file, directory or process operation failed.
    #[error("cannot {what}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Something did not come about in time.
    #[error("{what} within {waited:?}{detail}")]
    Deadline {
        /// What did not happen.
        what: String,
        /// How long it was waited for.
        waited: Duration,
        /// The end of a log, or nothing.
        detail: String,
    },
    /// A process of the fleet ended by itself.
    #[error("{what} ended unexpectedly; the end of {log} says: {tail}", log = log.display())]
    Died {
        /// Which process.
        what: String,
        /// Its log.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },
    /// An HTTP exchange with an engine or the registry broke.
    #[error("{request} on {peer} broke off")]
    Exchange {
        /// Who was talked to.
        peer: String,
        /// Method and path.
        request: String,
        /// What broke.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An engine or the registry answered with an error.
    #[error("{request} on {peer} was answered with {status}: {body}")]
    Answer {
        /// Who answered.
        peer: String,
        /// Method and path.
        request: String,
        /// HTTP status, or 200 when an error came in the stream.
        status: u16,
        /// What it said.
        body: String,
    },
    /// No ship of this name or number.
    #[error("the fleet has no ship {name}; it has {known}")]
    UnknownShip {
        /// What was asked for.
        name: String,
        /// The names of those that exist.
        known: String,
    },
    /// The operation needs something that this fleet or machine does not have.
    #[error("{what}")]
    Unsupported {
        /// What is missing, and how to get it.
        what: String,
    },
    /// A certificate could not be made.
    #[error("cannot make the certificate of {subject}")]
    Certificate {
        /// Whose.
        subject: String,
        /// What was wrong.
        #[source]
        source: rcgen::Error,
    },
    /// Taking the fleet down left something behind.
    #[error("taking the fleet down left something behind: {}", left.join("; "))]
    Left {
        /// What is left, one entry per thing.
        left: Vec<String>,
    },
}

impl FleetError {
    /// An I/O failure while doing `what`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> FleetError {
        let what = what.into();
        move |source| FleetError::Io { what, source }
    }
}
