//! Maestro pretends: what the tests stand on.
//!
//! One strict state machine of a Docker Engine ([`state`]) has two faces: the trait that Maestro's executor sees
//! ([`fake_engine`]), and Docker's HTTP API ([`fake_dockerd`]). One suite ([`conformance`]) runs over both, and over
//! real engines: that keeps the pretending honest. The real ones are those of a practice fleet ([`practice`]).

pub mod state;
pub mod clock;
pub mod faults;
pub mod daemon;
pub mod fake_engine;
pub mod fake_dockerd;

pub mod conformance;
pub mod backend;
pub mod front_end;
pub mod load;
pub mod shelf;
pub mod fleet;
pub mod worlds;
pub mod redact;
pub mod fuzzing;

pub mod practice;
