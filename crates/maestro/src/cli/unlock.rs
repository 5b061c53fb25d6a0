//! `maestro unlock`.

use super::confirm::Confirming;
use super::interrupts::unless_interrupted;
use super::kept::described;
use super::session::Session;
use super::{Fault, Outcome};
use crate::ledger::{Unlocked, holders, unlock};
use crate::report::ErrorReport;
use maestro_core::boundary::Deadlines;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Take the lease away from whoever has it
///
/// Nobody needs this after a crash: a lease whose owner is dead is taken over by the next deployment, by itself. It is
/// for an owner that lives and hangs, and will not let go. He stops before his next change.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    confirming: Confirming,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let mut environment = session.environment()?;
    let (_, kept) = session.fleet(&mut environment).await?;
    let deadline = Deadlines::DEFAULT_WRITE;
    let looking = holders(kept.anchors(), deadline);
    let mut found = BTreeMap::new();
    let mut unseen = false;
    for (_, answer) in unless_interrupted(async { Ok(looking.await) }).await? {
        match answer {
            Ok(Some(holder)) => _ = found.insert(holder.run.clone(), holder),
            Ok(None) => {}
            Err(error) => {
                unseen = true;
                ErrorReport::from(&error).warning().print(&session.printer);
            }
        }
    }
    if found.is_empty() {
        if unseen {
            session.printer.talk("whether anybody has the lease is not known");
            return Ok(ExitCode::FAILURE);
        }
        session.printer.talk("nobody has the lease");
        return Ok(ExitCode::SUCCESS);
    }
    let mut is_locked = false;
    for holder in found.values() {
        args.confirming.ask(&session.printer, &described(holder), "`unlock` takes the lease away").await?;
        let taking = unlock(kept.anchors(), &holder.run, deadline);
        let Unlocked { failed, is_over, .. } = unless_interrupted(async { Ok(taking.await) }).await?;
        for error in &failed {
            let report = ErrorReport::from(error);
            let report = if is_over { report.warning() } else { report };
            report.print(&session.printer);
        }
        if is_over {
            session.printer.talk("it has been taken away; what was begun is not undone by that");
        }
        is_locked |= !is_over;
    }
    if is_locked { Err(Fault::StillLocked) } else { Ok(ExitCode::SUCCESS) }
}
