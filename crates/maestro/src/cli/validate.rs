//! `maestro validate`.

use super::session::Session;
use crate::report::status::Output;
use crate::report::{diagnostics, wire};
use std::process::ExitCode;

/// Check the environment file, and connect to nothing
///
/// Shows every error and every warning with its place. The exit code is 1 if there are errors.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Form of the output
    ///
    /// `name` is the codes of what is wrong; in `jsonl` each fault is a line.
    #[arg(long, value_name = "FORM", default_value = "table")]
    output: Output,
}

pub(super) fn run(session: &Session, args: &Args) -> ExitCode {
    let loaded = session.read();
    match args.output {
        Output::Table => {
            diagnostics::print(&session.printer, &loaded.diagnostics, &loaded.sources);
            if let Some(environment) = &loaded.environment {
                session.printer.data(&format!(
                    "{}: {} ships, {} services, {} instances\n",
                    environment.display_name(),
                    environment.ships.len(),
                    environment.services.len(),
                    environment.instances.len()
                ));
            }
        }
        output => {
            let faults = wire::Diagnostics::new(&loaded.diagnostics, &loaded.sources);
            session.printer.data(&faults.text(output));
        }
    }
    if loaded.environment.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
