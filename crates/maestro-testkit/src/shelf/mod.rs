//! Shelves: one in memory, and the suite that all kinds of them pass.

pub mod conformance;
mod memory;

pub use memory::{MemoryShelf, Weather};
