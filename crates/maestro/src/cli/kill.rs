//! `maestro kill`.

use super::arguments::{Reaching, Selecting, Showing};
use super::session::Session;
use super::{Fault, Outcome, act};
use maestro_core::plan::Intent;

/// Kill containers
///
/// Like stop, without asking and without pre-stop checks.
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
            return Err(Fault::NothingNamed("kill"));
        }
        Ok(Intent::Kill)
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    act::act(session, &args.intent()?, &args.selecting, args.showing).await
}
