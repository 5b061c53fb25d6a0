//! Simulated fleets: many pretended engines, and the world around them.

mod samples;

pub use samples::{SampleHarness, sample_setup};
