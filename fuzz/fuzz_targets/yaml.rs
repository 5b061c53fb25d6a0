#![no_main]

#[path = "../../crates/maestro-testkit/src/fuzzing.rs"]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::yaml(bytes));
