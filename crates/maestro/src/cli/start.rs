//! `maestro start`.

use super::arguments::{Selecting, Showing};
use super::session::Session;
use super::{Outcome, act};
use maestro_core::plan::Intent;

/// Create and start containers
///
/// What runs is left alone. A stopped container is replaced by a new one, made from the file as it is now; images
/// that a ship does not have are pulled first.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selecting: Selecting,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) showing: Showing,
}

#[derive(Debug, Clone, clap::Args)]
struct How {
    /// Pull images even if they are there
    #[arg(short, long, conflicts_with = "reuse")]
    refresh_images: bool,
    /// Start a stopped container as it is
    #[arg(long)]
    reuse: bool,
}

impl Args {
    pub(super) fn intent(&self) -> Intent {
        Intent::Start { refresh: self.how.refresh_images, reuse: self.how.reuse }
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    act::act(session, &args.intent(), &args.selecting, args.showing).await
}
