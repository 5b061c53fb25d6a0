//! Simulated fleets: the whole line from a file to a summary, over pretended engines and under paused time.
//!
//! [`world`] walks the line, [`watch`] stands between the executor and the engines and checks at every call and every
//! event what must always be so, [`truth`] compares what was told at the end with what is really there.

mod probe;
mod truth;
mod watch;
mod watched;
mod world;

mod doctor;
mod faults;
mod interrupts;
mod order;
mod properties;
mod scenarios;
mod waits;
