//! The pretending half, tried by itself.

mod conformance;
