//! Tests of Maestro as a whole, in one binary.

mod fleet;
