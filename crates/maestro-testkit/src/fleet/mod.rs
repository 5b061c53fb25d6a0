//! Simulated fleets: many pretended engines, the world around them, and the environment that describes them.

mod grid;
mod samples;
mod served;
mod simulated;

pub use grid::{Grid, GridError};
pub use samples::{SampleHarness, sample_setup};
pub use served::{Place, ServedFleet};
pub use simulated::{SimulatedFleet, Simulation, usual_behaviour};
