//! Maestro decides: what a file means, what a fleet looks like, what is to be done about it.
//!
//! This crate has no runtime, socket, file, clock or environment access. Same input, same bytes out.

#![warn(missing_docs)]

pub mod source;
pub mod diagnostic;
pub mod config;
