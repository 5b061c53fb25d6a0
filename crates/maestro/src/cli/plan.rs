//! `maestro plan`.

use super::act::{Line, pulls_first};
use super::arguments::{Printing, Selecting};
use super::deploy::Draft;
use super::session::Session;
use super::{Fault, Outcome, clean, deploy, kill, pull, restart, start, stop};
use crate::report::plan::print;
use crate::report::status::Output;
use clap::Subcommand;
use maestro_core::plan::{Fate, Intent};
use maestro_core::release::Release;
use maestro_core::saved::SavedPlan;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// With `--detailed-exitcode`, where there is something to do.
const CHANGES: u8 = 10;

/// Show what a command would do, and do nothing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// With every step, and what it waits for
    #[arg(short = 'F', long, global = true)]
    full: bool,
    /// Write the plan to this file, for `maestro apply`; passwords that are in containers' variables are in it
    #[arg(short, long, value_name = "FILE", global = true)]
    out: Option<PathBuf>,
    /// End with 10 if there is something to do
    #[arg(long, global = true)]
    detailed_exitcode: bool,
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
    let (intent, selecting, showing) = match &args.command {
        Command::Start(args) => (args.intent(), &args.selecting, args.showing),
        Command::Stop(args) => (args.intent()?, &args.selecting, args.showing),
        Command::Restart(args) => (args.intent(), &args.selecting, args.showing),
        Command::Pull(args) => (Intent::Pull, &args.selecting, args.showing),
        Command::Clean(args) => (Intent::Clean, &args.selecting, args.showing),
        Command::Kill(args) => (args.intent()?, &args.selecting, args.showing),
        Command::Deploy(args) => (deploy::INTENT, &args.selecting, args.showing),
    };
    if args.out.is_some() && pulls_first(&intent) {
        let why = "what a restart of what has changed does is only known when it has pulled; save `pull` and `restart --only-if-changed` by themselves";
        return Err(Fault::Usage(why.to_owned()));
    }
    let ((plan, fleet), release) = match &args.command {
        Command::Deploy(args) => {
            let draft = Draft::new(session, args).await?;
            (draft.plan().await?, draft.release)
        }
        _ => {
            let (line, release) = line(session, selecting)?;
            (line.plan_seen(&intent, intent.selection_rules()).await?, release)
        }
    };
    if let Some(file) = &args.out {
        let saved = SavedPlan::new(release, selecting.selector(), &plan, &fleet);
        write_private(file, &saved.to_bytes()).map_err(|error| {
            Fault::Usage(format!("the plan cannot be written to {}: {error}", file.display()))
        })?;
    }
    // `plan --output json start` and `plan start --output json` mean the same.
    let form = if args.printing.output == Output::Table { showing.form() } else { args.printing.output };
    print(&session.printer, &plan, form, args.full);
    let changes = plan.items.iter().any(|item| matches!(item.fate, Fate::Act { .. }));
    Ok(if changes && args.detailed_exitcode { ExitCode::from(CHANGES) } else { ExitCode::SUCCESS })
}

fn line<'a>(session: &'a Session, selecting: &'a Selecting) -> Result<(Line<'a>, Release), Fault> {
    let (today, release) = session.release(|_, tree| Ok(tree))?;
    if selecting.limits().is_none() {
        return Err(Fault::Usage("the limit of -c must not be negative".to_owned()));
    }
    let engines = session.engines(&today).into();
    Ok((Line::of(session, selecting, today, engines), release))
}

/// Nobody else may read it: variables may be passwords.
fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}
