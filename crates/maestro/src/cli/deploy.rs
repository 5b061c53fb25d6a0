//! `maestro deploy`.

use super::arguments::{Selecting, Showing};
use super::session::Session;
use super::{Outcome, act};
use maestro_core::plan::Intent;

/// Bring containers to what the file says
///
/// What is as the file says and runs is left alone. The rest is replaced, as the `deploy:` section of its service has
/// it: all at once, or a few at a time. Every ship has every image before the first container is stopped. Containers that
/// were replaced are kept, stopped.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selecting: Selecting,
    #[command(flatten)]
    pub(super) showing: Showing,
}

impl Args {
    pub(super) fn intent() -> Intent {
        Intent::Deploy { ask_again: false }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    act::act(session, &Args::intent(), &args.selecting, args.showing).await
}
