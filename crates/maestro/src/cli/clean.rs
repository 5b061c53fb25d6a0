//! `maestro clean`.

use super::arguments::{Selecting, Showing};
use super::session::Session;
use super::{Outcome, act};
use maestro_core::plan::Intent;

/// Remove stopped containers and their anonymous volumes
///
/// What runs is left alone.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selecting: Selecting,
    #[command(flatten)]
    pub(super) showing: Showing,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    act::act(session, &Intent::Clean, &args.selecting, args.showing).await
}
