//! The pretending half, tried by itself.

#![expect(clippy::unwrap_used, reason = "tests may unwrap, their helpers too")]

mod conformance;
mod dockerd;
mod faulty;
mod machine;
mod random;
mod world;
