//! The integration tests: one binary, one module per subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where something is not as it must be"
)]

mod cli;
mod conformance;
mod documents;
mod tidy;
mod fleet;
mod ledger;
mod words;
