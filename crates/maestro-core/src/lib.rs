//! Maestro decides: what a file means, what a fleet looks like, what is to be done about it.
//!
//! This crate has no runtime, socket, file, clock or environment access. Same input, same bytes out.
//! The modules are listed in the order in which they are best read; each uses only those above it.

#![warn(missing_docs)]

pub mod names;
pub mod glob;
pub mod image;
pub mod source;
pub mod diagnostic;
pub mod guest;
pub mod model;
pub mod engine_error;
pub mod fleet;
pub mod status;
pub mod config;
pub mod balance;
pub mod compare;
pub mod drift;
pub mod plan;
pub mod notification;
pub mod boundary;
pub mod lease;
pub mod select;
pub mod planner;
pub mod check;
pub mod release;
pub mod preflight;
pub mod history;
pub mod saved;
pub mod deployment;
pub mod upkeep;
pub mod retry;
pub mod event;
pub mod run;
pub mod audit;
