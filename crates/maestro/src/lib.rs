//! Maestro acts: reads files, talks to engines, runs checks, shows what happens.

pub mod secrets;
pub mod sources;
pub mod terminal;
pub mod trust;
pub mod engine;
pub mod probe;
pub mod audit;
pub mod balance;
pub mod ledger;
pub mod etcd;
pub mod observe;
pub mod preflight;
pub mod resolve;
pub mod execute;
pub mod report;
pub mod cli;
