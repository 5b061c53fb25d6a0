//! `maestro validate`.

use super::session::Session;
use crate::report::status::Output;
use crate::report::{diagnostics, wire};
use maestro_core::config::Loaded;
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
    /// Say wherever something else comes of the file than with maestro-ng 0.8.3
    ///
    /// Notes are no faults: the exit code is that without them. What changed besides is in
    /// docs/coming-from-maestro-ng.md.
    #[arg(long)]
    compat: bool,
}

pub(super) fn run(session: &Session, args: &Args) -> ExitCode {
    let loaded = if args.compat { session.read_compared() } else { session.read() };
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
            if args.compat {
                session.printer.data(conclusion(&loaded).as_deref().unwrap_or_default());
            }
        }
        output => {
            let faults = wire::Diagnostics::new(&loaded.diagnostics, &loaded.sources);
            let faults = if args.compat { faults.compared(&loaded.diagnostics) } else { faults };
            session.printer.data(&faults.text(output));
        }
    }
    if loaded.environment.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of the comparison; nothing where the file could not be read so far that all would have been found.
fn conclusion(loaded: &Loaded) -> Option<String> {
    match loaded.diagnostics.changes() {
        0 if loaded.environment.is_none() => None,
        0 => Some("nothing in this file leans on what changed\n".to_owned()),
        1 => Some("1 place to look at\n".to_owned()),
        places => Some(format!("{places} places to look at\n")),
    }
}
