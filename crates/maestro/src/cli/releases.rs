//! `maestro releases` and `maestro diff`.

use super::arguments::Printing;
use super::interrupts::unless_interrupted;
use super::kept;
use super::session::Session;
use super::{Fault, Outcome, deploy};
use crate::report::releases;
use maestro_core::compare::between;
use maestro_core::history::NoReturn;
use maestro_core::model::Environment;
use std::process::ExitCode;

/// List what was deployed, the latest first
///
/// A release says of every service how it was when that was recorded; the images that changed with it are shown. The
/// last twenty are kept.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    printing: Printing,
}

/// Show in what two releases differ, or a release and the file
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DiffArgs {
    /// The number of a release
    from: u64,
    /// Another one; the environment file if none is given
    to: Option<u64>,
    #[command(flatten)]
    printing: Printing,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let mut environment = session.environment()?;
    let (_, kept) = session.fleet(&mut environment).await?;
    let past = kept.past(session).await?;
    releases::print(&session.printer, &past.history, past.unfinished.as_ref(), args.printing.output);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn diff(session: &Session, args: DiffArgs) -> Outcome {
    let (mut today, of_today) = session.release(|_, tree| Ok(tree))?;
    let (_, kept) = session.fleet(&mut today).await?;
    let past = kept.past(session).await?;
    for number in [Some(args.from), args.to].into_iter().flatten() {
        past.history.record(number).ok_or(NoReturn::Unknown(number))?;
    }
    let reader = kept.reader();
    let read = async |number: u64| -> Result<Environment, Fault> {
        let release = unless_interrupted(kept::release(reader, number)).await?;
        // What it had on ships that are gone is a difference, too.
        let release = release.on_ships_of(&of_today);
        release.environment_then(&today).map_err(|loaded| deploy::unreadable(session, &loaded))
    };
    let from = read(args.from).await?;
    let to = match args.to {
        Some(number) => read(number).await?,
        // As a release would have it.
        None => deploy::environment(session, &of_today, &today)?,
    };
    releases::print_differences(&session.printer, &between(&from, &to), args.printing.output);
    Ok(ExitCode::SUCCESS)
}
