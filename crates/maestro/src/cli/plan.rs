//! `maestro plan`.

use super::act::Line;
use super::arguments::Printing;
use super::session::Session;
use super::{Outcome, clean, kill, pull, restart, start, stop};
use crate::report::status::Output;
use crate::report::wire;
use clap::Subcommand;
use maestro_core::plan::Intent;
use std::process::ExitCode;

/// Show what a command would do, and do nothing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    printing: Printing,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Start(start::Args),
    Stop(stop::Args),
    Restart(restart::Args),
    Pull(pull::Args),
    Clean(clean::Args),
    Kill(kill::Args),
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let (intent, selecting, showing) = match &args.command {
        Command::Start(args) => (args.intent(), &args.selecting, args.showing),
        Command::Stop(args) => (args.intent()?, &args.selecting, args.showing),
        Command::Restart(args) => (args.intent(), &args.selecting, args.showing),
        Command::Pull(args) => (Intent::Pull, &args.selecting, args.showing),
        Command::Clean(args) => (Intent::Clean, &args.selecting, args.showing),
        Command::Kill(args) => (args.intent()?, &args.selecting, args.showing),
    };
    let plan = Line::new(session, selecting)?.plan(&intent).await?;
    // `plan --output json start` and `plan start --output json` mean the same.
    let form = if args.printing.output == Output::Table { showing.form() } else { args.printing.output };
    let text = match form {
        Output::Table => plan.to_string(),
        Output::Name => {
            let acts =
                plan.items.iter().filter(|item| matches!(item.fate, maestro_core::plan::Fate::Act { .. }));
            acts.fold(String::new(), |text, item| text + item.instance.as_str() + "\n")
        }
        form @ (Output::Json | Output::Jsonl | Output::Yaml) => wire::one(form, &wire::Plan::from(&plan)),
    };
    session.printer.data(&text);
    Ok(ExitCode::SUCCESS)
}
