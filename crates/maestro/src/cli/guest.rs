//! `maestro guest`.

use super::session::Session;
use crate::report::Stream;
use std::ffi::OsString;
use std::process::ExitCode;

/// What Maestro told the container that this runs in: names, addresses, ports
///
/// The same as the program `maestro-guest`, which is small enough to be added to an image. Reads no environment file.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(super) struct Args {
    /// What is asked for; `maestro guest --help` has all questions
    #[arg(value_name = "QUESTION", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

pub(super) fn run(session: &Session, args: Args) -> ExitCode {
    let answer = maestro_guest::answer("maestro guest", args.words);
    session.printer.data(&answer.out);
    session.printer.print(Stream::Err, &answer.err);
    ExitCode::from(answer.code)
}
