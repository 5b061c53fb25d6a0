//! `maestro complete`: what a shell may put behind the words that have been typed.

use super::session::Session;
use super::{Cli, Fault, Outcome};
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::process::ExitCode;

/// List the words that may follow, for shells
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {
    /// The words typed so far, the program's name first
    #[arg(value_name = "tokens", trailing_var_arg = true, allow_hyphen_values = true)]
    tokens: Vec<String>,
}

pub(super) fn run(session: &Session, args: &Args) -> Outcome {
    let words: Vec<&str> =
        args.tokens.iter().flat_map(|token| token.split(' ')).filter(|word| !word.starts_with('-')).collect();
    let candidates: BTreeSet<String> = match words.as_slice() {
        [] | [_] | [_, _] => commands(),
        _ => {
            // Whatever is wrong with the file, somebody is in the middle of typing a line.
            let environment = session.read().environment.ok_or(Fault::Environment)?;
            let services = environment.services.keys().map(ToString::to_string);
            services.chain(environment.instances.keys().map(ToString::to_string)).collect()
        }
    };
    let prefix = if words.len() < 2 { "" } else { words.last().copied().unwrap_or_default() };
    let matching: Vec<String> = candidates.into_iter().filter(|word| word.starts_with(prefix)).collect();
    session.printer.data(&format!("{}\n", matching.join(" ")));
    Ok(ExitCode::SUCCESS)
}

fn commands() -> BTreeSet<String> {
    let command = Cli::command();
    command.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_owned()).collect()
}
