#![no_main]

#[path = "../../crates/maestro/tests/it/words.rs"]
mod words;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| words::words(bytes));
