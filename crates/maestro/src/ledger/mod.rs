//! One deployer at a time, and what outlives him: leases, releases and journals on a few anchors (`docs/design/0019`).
//!
//! `lease` drives [`maestro_core::lease::Lease`] over the anchors' shelves: [`claim`], then a [`HeldLease`] whose
//! [`Fence`] every write passes; `bystanders` is for those who have none. `quorum` writes files to a majority and reads
//! them from one; `epochs` and `documents`, which `index` lists, are what is kept that way. `clock` is the time that goes on while the machine sleeps. Nothing here knows what kind
//! of shelf an anchor has.

mod bystanders;
mod clock;
mod documents;
mod envelope;
mod epochs;
mod index;
mod lease;
mod quorum;

pub use bystanders::{Unlocked, at_work, holders, unlock};
pub use clock::{BootClock, Clock};
pub use documents::{OwnedLedger, ShelfLedger};
pub use lease::{Claim, Fence, HeldLease, LeaseError, Waiting, claim};
pub use quorum::Anchors;
