//! `maestro-guest`: what Maestro told a container about itself and its surroundings, for programs in it that have no
//! Python to ask maestro-ng's module. `maestro guest` is the same.

mod command;

pub use command::{Answer, answer};
