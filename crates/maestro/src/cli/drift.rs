//! `maestro drift`.

use super::Outcome;
use super::arguments::{Printing, Selecting};
use super::look::look;
use super::session::Session;
use crate::report::drift::print;
use maestro_core::boundary::Needs;
use maestro_core::drift::{Drift, drift};
use maestro_core::model::graph::Direction;
use maestro_core::select::{SelectionRules, select};
use std::process::ExitCode;

/// Show what is not as the file says
///
/// Every container is compared with what would be made of the file now, attribute by attribute: what somebody has changed
/// by hand is named, as well as containers that are missing, stopped or somebody else's. What of values looks like a
/// password is not shown. Nothing is changed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selecting: Selecting,
    /// Exit with 10 if anything is not as the file says
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    printing: Printing,
}

/// What a script learns that asked for it.
const DRIFTED: u8 = 10;

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let mut environment = session.environment()?;
    let rules = SelectionRules { direction: Direction::Requires, includes_omitted: false };
    let selection = select(&environment, &args.selecting.selector(), rules)?;
    let secrets = environment.secrets_of_containers(&selection.instances);
    session.unseal(&mut environment, &secrets).await?;
    let engines = session.engines(&environment);
    let needs = Needs { details: true, configurations: true, images: true, others: true, hooks: false };
    let fleet = look(session, &environment, &engines, &selection.instances, needs).await?;
    let drifts = drift(&environment, &fleet, &selection.instances);
    print(&session.printer, &drifts, args.printing.output);
    Ok(if drifts.iter().any(Drift::is_unknown) {
        ExitCode::FAILURE
    } else if args.detailed_exitcode && drifts.iter().any(Drift::is_drift) {
        ExitCode::from(DRIFTED)
    } else {
        ExitCode::SUCCESS
    })
}
