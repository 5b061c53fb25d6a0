//! `maestro pull`.

use super::arguments::{Selecting, Showing};
use super::session::Session;
use super::{Outcome, act};
use maestro_core::plan::Intent;

/// Pull images, once for each ship and image
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selecting: Selecting,
    #[command(flatten)]
    pub(super) showing: Showing,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    act::act(session, &Intent::Pull, &args.selecting, args.showing).await
}
