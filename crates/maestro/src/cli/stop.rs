//! `maestro stop`.

use super::arguments::{Reaching, Selecting, Showing};
use super::session::Session;
use super::{Fault, Outcome, act};
use maestro_core::plan::Intent;

/// Stop containers
///
/// Containers get the time that their `stop_timeout` says. What cannot be stopped is reported and is no failure.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selecting: Selecting,
    #[command(flatten)]
    reaching: Reaching,
    #[command(flatten)]
    pub(super) showing: Showing,
}

impl Args {
    /// What is wanted; refused where that would be everything without anybody having said so.
    pub(super) fn intent(&self) -> Result<Intent, Fault> {
        if self.selecting.things.is_empty() && !self.reaching.all {
            return Err(Fault::NothingNamed("stop"));
        }
        Ok(Intent::Stop)
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    act::act(session, &args.intent()?, &args.selecting, args.showing).await
}
