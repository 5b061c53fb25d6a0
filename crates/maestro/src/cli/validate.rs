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
                    "{}: {}, {}, {}\n",
                    environment.display_name(),
                    diagnostics::plural(environment.ships.len(), "ship"),
                    diagnostics::plural(environment.services.len(), "service"),
                    diagnostics::plural(environment.instances.len(), "instance")
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
