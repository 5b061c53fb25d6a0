//! `maestro status`.

use super::Outcome;
use super::arguments::{Printing, Selecting};
use super::interrupts::unless_interrupted;
use super::kept::described;
use super::look::look;
use super::session::Session;
use crate::report::status::{Look, print};
use futures_util::future::join_all;
use jiff::Timestamp;
use maestro_core::boundary::Needs;
use maestro_core::lease::Holder;
use maestro_core::model::graph::Direction;
use maestro_core::select::{SelectionRules, select};
use maestro_core::status::{StatusRow, rows};
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Show the state of containers
///
/// All ships are asked at once. The exit code is 0 whatever the state.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selecting: Selecting,
    /// With image and ports, and whether something answers there
    #[arg(short = 'F', long)]
    full: bool,
    /// Addresses of ships instead of their names
    #[arg(short = 'H', long)]
    show_hosts: bool,
    #[command(flatten)]
    printing: Printing,
}

/// How long a port may take to accept a connection.
const PORT_DEADLINE: Duration = Duration::from_secs(1);

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let environment = session.environment()?;
    let rules = SelectionRules { direction: Direction::Requires, includes_omitted: true };
    // Where dependencies are included, as without names, what is needed comes first (maestro-ng's numbers of rows).
    let selection = select(&environment, &args.selecting.selector(), rules)?;
    let engines = session.engines(&environment);
    // All containers, for what a deployment may have left beside them.
    let needs = Needs { details: true, others: true, ..Needs::default() };
    let fleet = look(session, &environment, &engines, &selection.instances, needs).await?;
    let mut rows = rows(&environment, &fleet, &selection.instances, Timestamp::now());
    if args.full {
        unless_interrupted(async {
            join_all(rows.iter_mut().map(ask_ports)).await;
            Ok(())
        })
        .await?;
    }
    let look = Look { hosts: args.show_hosts, full: args.full };
    let at_work = Holder::seen(&environment, &fleet).map(|holder| described(&holder));
    print(&session.printer, &rows, args.printing.output, look, at_work.as_deref());
    Ok(ExitCode::SUCCESS)
}

/// Finds out which ports accept connections.
async fn ask_ports(row: &mut StatusRow) {
    let address = row.address.clone();
    join_all(row.ports.iter_mut().map(async |port| {
        if let Some(target) = port.target {
            let connection = timeout(PORT_DEADLINE, TcpStream::connect((&*address, target))).await;
            port.answers = Some(matches!(connection, Ok(Ok(_))));
        }
    }))
    .await;
}
