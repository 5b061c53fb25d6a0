//! The integration tests: one binary, one module per subject.

mod documents;
mod tidy;
mod fleet;
