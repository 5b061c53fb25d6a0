//! One deployer at a time, decided without a clock or a connection: what to ask of the anchors next, and whether an
//! owner may write now (`docs/design/0019`).
//!
//! Times are passed in, as the time that one clock of this process shows which goes on while the machine sleeps. No two
//! clocks are ever compared. Whoever drives it carries out every order once, within [`Times::deadline`], and says what
//! came of it; what took longer, or whose answer was lost, has failed.

mod holder;
mod machine;

pub use holder::{Holder, Seen};
pub use machine::{Lease, Rival};

use crate::boundary::FolderId;
use std::time::Duration;

/// How long what may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Times {
    /// A lease whose heartbeat does not move for so long is dead.
    pub ttl: Duration,
    /// The longest that a call of an owner may be under way.
    pub call: Duration,
    /// From one heartbeat, or one look, to the next.
    pub pace: Duration,
}

impl Times {
    /// The time to live where nothing else is said: five tries of a heartbeat, each as long as a slow login.
    pub const TTL: Duration = Duration::from_secs(15);

    /// For this time to live, and calls that take so long at most.
    pub fn new(ttl: Duration, call: Duration) -> Self {
        Self { ttl, call, pace: ttl / 5 }
    }

    /// How long an owner may write after a heartbeat was sent that a majority took. A third of the time to live is for
    /// clocks that do not run alike.
    pub fn valid(self) -> Duration {
        self.ttl * 2 / 3
    }

    /// How long after a claim nothing of whoever was there before can be under way.
    pub fn settle(self) -> Duration {
        self.ttl + self.call
    }

    /// How long to wait for the answer to an order.
    pub fn deadline(self) -> Duration {
        self.pace
    }
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// Ask an anchor, by its number; [`Lease::answered`] takes what it says.
    Ask(usize, Ask),
    /// Read which epochs were recorded, from a majority; [`Lease::epochs_read`].
    ReadEpochs,
    /// Record that this epoch is this run's, with a majority; [`Lease::recorded`].
    Record(u64),
}

/// A question to one anchor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// Whose is the lease there, and what does its heartbeat show?
    Look,
    /// Claim it.
    Claim,
    /// Give the folder this heartbeat.
    Beat(FolderId, u32),
    /// Take this folder away.
    Remove(FolderId),
}

/// What an anchor said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// Nobody has the lease there.
    Free,
    /// It was claimed.
    Made(FolderId),
    /// This is there.
    Taken(Seen),
    /// It was done.
    Done,
    /// That folder is gone.
    Gone,
    /// No answer that means anything: it may have been done, or may be done later.
    Failed,
}

/// What is recorded of epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epochs {
    /// The highest; 0 if there never was one.
    pub highest: u64,
    /// Whether every run that recorded it has said that it is over.
    pub over: bool,
    /// [`Times::settle`] of those that have not.
    pub settle: Duration,
}

/// How many of so many are a majority.
pub fn majority(anchors: usize) -> usize {
    anchors / 2 + 1
}
