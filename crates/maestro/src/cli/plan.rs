//! `maestro plan`.

use super::act::Line;
use super::arguments::{Printing, Selecting};
use super::session::Session;
use super::{Fault, Outcome, clean, deploy, kill, pull, restart, start, stop};
use crate::report::plan::print;
use crate::report::status::Output;
use clap::Subcommand;
use maestro_core::plan::Intent;
use std::process::ExitCode;

/// Show what a command would do, and do nothing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// With every step, and what it waits for
    #[arg(short = 'F', long, global = true)]
    full: bool,
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
    Deploy(deploy::Args),
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let (line, intent, showing) = match &args.command {
        Command::Start(args) => (of(session, &args.selecting)?, args.intent(), args.showing),
        Command::Stop(args) => (of(session, &args.selecting)?, args.intent()?, args.showing),
        Command::Restart(args) => (of(session, &args.selecting)?, args.intent(), args.showing),
        Command::Pull(args) => (of(session, &args.selecting)?, Intent::Pull, args.showing),
        Command::Clean(args) => (of(session, &args.selecting)?, Intent::Clean, args.showing),
        Command::Kill(args) => (of(session, &args.selecting)?, args.intent()?, args.showing),
        Command::Deploy(args) => (deploy::line(session, args).await?, deploy::INTENT, args.showing),
    };
    let plan = line.plan(&intent).await?;
    // `plan --output json start` and `plan start --output json` mean the same.
    let form = if args.printing.output == Output::Table { showing.form() } else { args.printing.output };
    print(&session.printer, &plan, form, args.full);
    Ok(ExitCode::SUCCESS)
}

fn of<'a>(session: &'a Session, selecting: &'a Selecting) -> Result<Line<'a>, Fault> {
    Line::new(session, selecting)
}
