//! The program for images.

use std::io::{stderr, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let answer = maestro_guest::answer("maestro-guest", std::env::args_os().skip(1));
    ExitCode::from(answer.give(stdout(), stderr()))
}
