//! One deployer at a time, and what outlives him: leases, releases and journals on a few anchors (`docs/design/0019`).
//!
//! `lease` drives [`maestro_core::lease::Lease`] over the anchors' shelves: [`claim`], then a [`HeldLease`] whose
//! [`Fence`] every write passes. `quorum` writes files to a majority and reads them from one; `epochs` and `documents`
//! are what is kept that way. `clock` is the time that goes on while the machine sleeps. Nothing here knows what kind
//! of shelf an anchor has.

mod clock;
mod documents;
mod envelope;
mod epochs;
mod lease;
mod quorum;

pub use clock::{BootClock, Clock};
pub use documents::{OwnedLedger, ShelfLedger};
pub use lease::{Claim, Fence, HeldLease, LeaseError, Waiting, at_work, claim, holders, unlock};
pub use quorum::Anchors;
