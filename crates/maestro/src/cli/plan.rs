//! `maestro plan`.

use super::act::{Line, pulls_first};
use super::arguments::{Printing, Selecting, Showing};
use super::kept::{Kept, described};
use super::safeguards::frozen;
use super::session::Session;
use super::{Fault, Outcome, clean, deploy, kill, pull, restart, rollback, start, stop};
use crate::report::findings::warn;
use crate::report::plan::print;
use crate::report::releases::tell_unfinished;
use crate::report::status::Output;
use crate::report::{ErrorReport, list};
use clap::{Args as _, FromArgMatches as _, Subcommand};
use maestro_core::deployment::Deployment;
use maestro_core::fleet::FleetSnapshot;
use maestro_core::lease::Holder;
use maestro_core::model::Frozen;
use maestro_core::names::BalancerName;
use maestro_core::plan::{Blocked, Fate, Intent, Plan, Settled};
use maestro_core::preflight::Finding;
use maestro_core::release::Release;
use maestro_core::saved::SavedPlan;
use maestro_core::select::Selector;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// With `--detailed-exitcode`, where there is something to do, or something that cannot be done.
const CHANGES: u8 = 10;

/// Show what a command would do (deploy if none is named), and do nothing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// With every step, and what it waits for
    #[arg(short = 'F', long, global = true)]
    full: bool,
    /// Write the plan to this file, for `maestro apply`; passwords that are in containers' variables are in it
    #[arg(short, long, value_name = "FILE", global = true)]
    out: Option<PathBuf>,
    /// End with 10 if there is something to do, or something that waits or cannot be done
    #[arg(long, global = true)]
    detailed_exitcode: bool,
    #[command(flatten)]
    printing: Printing,
    #[command(subcommand)]
    command: Option<Command>,
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
    Rollback(rollback::Args),
}

impl Command {
    /// What is shown where no command is named.
    fn usual() -> Result<Self, clap::Error> {
        let words = deploy::Args::augment_args(clap::Command::new("deploy"));
        Ok(Self::Deploy(deploy::Args::from_arg_matches(&words.try_get_matches_from(["deploy"])?)?))
    }

    /// How the command is to be shown.
    fn showing(&self) -> Showing {
        match self {
            Command::Start(args) => args.showing,
            Command::Stop(args) => args.showing,
            Command::Restart(args) => args.showing,
            Command::Pull(args) => args.showing,
            Command::Clean(args) => args.showing,
            Command::Kill(args) => args.showing,
            Command::Deploy(args) => args.showing(),
            Command::Rollback(args) => args.options.showing,
        }
    }
}

/// A plan, and what it rests on.
struct Made {
    plan: Plan,
    fleet: FleetSnapshot,
    release: Release,
    selector: Selector,
    /// What would be in the way of it.
    foreseen: Vec<Finding>,
    /// Balancers that would be told something without it.
    rebalances: BTreeSet<BalancerName>,
    /// Why this is not the time for it.
    frozen: Option<Frozen>,
}

async fn make(session: &Session, command: &Command) -> Result<Made, Fault> {
    let (intent, selecting) = match command {
        Command::Start(args) => (args.intent(), &args.selecting),
        Command::Stop(args) => (args.intent()?, &args.selecting),
        Command::Restart(args) => (args.intent(), &args.selecting),
        Command::Pull(args) => (Intent::Pull, &args.selecting),
        Command::Clean(args) => (Intent::Clean, &args.selecting),
        Command::Kill(args) => (args.intent()?, &args.selecting),
        Command::Deploy(args) => {
            let reading = async |kept: &Kept| kept.past(session).await;
            let (mut draft, past) = deploy::Draft::new(session, args, reading).await?;
            let past = match past {
                Ok(past) => {
                    draft.orphans(&past, args);
                    Some(past)
                }
                // Nothing is done here, so nothing is lost by that.
                Err(fault @ Fault::Ledger(_)) => {
                    ErrorReport::of(&fault).warning().print(&session.printer);
                    None
                }
                Err(fault) => return Err(fault),
            };
            let unfinished = past.as_ref().and_then(|past| past.unfinished.as_ref());
            if let Some(unfinished) = unfinished {
                tell_unfinished(&session.printer, unfinished);
            }
            let hooks = draft.target(args, unfinished).hooking(unfinished);
            let (plan, fleet) = draft.plan(&args.intent(past.as_ref(), hooks)).await?;
            draft.tell_orphans(&fleet);
            if let Some(holder) = Holder::seen(draft.line().environment(), &fleet) {
                session.printer.talk(&described(&holder));
            }
            let foreseen = draft.foreseen(&plan).await?;
            let selector = draft.selector();
            let past = past.filter(|_| plan.steps.is_empty());
            let rebalances = past.map(|past| draft.rebalances(&past)).unwrap_or_default();
            let frozen = frozen(draft.line().environment(), &plan, !rebalances.is_empty());
            let release = draft.release;
            return Ok(Made { plan, fleet, release, selector, foreseen, rebalances, frozen });
        }
        Command::Rollback(args) => {
            let draft = rollback::Draft::new(session, args, None).await?;
            let (plan, fleet) = draft.plan().await?;
            let frozen = frozen(draft.line().environment(), &plan, false);
            let Deployment { release, selector, .. } = draft.target;
            let (foreseen, rebalances) = (Vec::new(), BTreeSet::new());
            return Ok(Made { plan, fleet, release, selector, foreseen, rebalances, frozen });
        }
    };
    let (line, release) = line(session, selecting)?;
    let line = line.unsealed(&intent).await?;
    let (plan, fleet) = line.plan_seen(&intent, intent.selection_rules()).await?;
    let (selector, foreseen, rebalances) = (selecting.selector(), Vec::new(), BTreeSet::new());
    let frozen = frozen(line.environment(), &plan, pulls_first(&intent));
    Ok(Made { plan, fleet, release, selector, foreseen, rebalances, frozen })
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let command = match args.command {
        Some(command) => command,
        None => Command::usual().map_err(|error| Fault::Usage(error.to_string()))?,
    };
    if args.out.is_some() {
        let why = match &command {
            Command::Restart(restart) if pulls_first(&restart.intent()) => {
                "what a restart of what has changed does is only known when it has pulled; save `pull` and `restart --only-if-changed` by themselves"
            }
            Command::Rollback(_) => "a way back is not saved: `rollback` says where it goes, and asks",
            _ => "",
        };
        if !why.is_empty() {
            return Err(Fault::Usage(why.to_owned()));
        }
    }
    let Made { plan, fleet, release, selector, foreseen, rebalances, frozen } =
        make(session, &command).await?;
    if let Some(file) = &args.out {
        let saved = SavedPlan::new(release, selector, &plan, &fleet);
        write_private(file, &saved.to_bytes()).map_err(|error| {
            Fault::Usage(format!("the plan cannot be written to {}: {error}", file.display()))
        })?;
    }
    // `plan --output json start` and `plan start --output json` mean the same.
    let form =
        if args.printing.output == Output::Table { command.showing().form() } else { args.printing.output };
    print(&session.printer, &plan, &rebalances, form, args.full);
    warn(&session.printer, &foreseen);
    if let Some(frozen) = frozen {
        ErrorReport::of(&Fault::Frozen(frozen)).warning().print(&session.printer);
    }
    if !rebalances.is_empty() {
        let names: Vec<&str> = rebalances.iter().map(BalancerName::as_str).collect();
        session.printer.talk(&format!(
            "balancers would be told what the file says of them now, which is another release: {}",
            list(&names)
        ));
    }
    Ok(match args.detailed_exitcode {
        true if !rebalances.is_empty() => ExitCode::from(CHANGES),
        true => detailed(&plan),
        false => ExitCode::SUCCESS,
    })
}

/// What a script learns of a plan. What waits or cannot be done is not as it is to be either.
fn detailed(plan: &Plan) -> ExitCode {
    let any = |test: fn(&Fate) -> bool| plan.items.iter().any(|item| test(&item.fate));
    let is_unseen =
        |fate: &Fate| matches!(fate, Fate::Blocked(Blocked::Ship(_)) | Fate::Settled(Settled::HostDown(_)));
    let is_otherwise = |fate: &Fate| match fate {
        Fate::Act { .. } | Fate::Waits { .. } => true,
        Fate::Blocked(why) => !matches!(why, Blocked::Ship(_)),
        Fate::Settled(_) => false,
    };
    if !plan.is_empty() || any(is_otherwise) {
        ExitCode::from(CHANGES)
    } else if any(is_unseen) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn line<'a>(session: &'a Session, selecting: &'a Selecting) -> Result<(Line<'a>, Release), Fault> {
    let (today, release) = session.release(|_, tree| Ok(tree))?;
    if selecting.limits().is_none() {
        return Err(Fault::Usage("the limit of -c must not be negative".to_owned()));
    }
    let engines = session.engines(&today).into();
    Ok((Line::of(session, Cow::Borrowed(selecting), today, engines), release))
}

/// Nobody else may read it: variables may be passwords.
fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    // One that was there has the mode that it had.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}
