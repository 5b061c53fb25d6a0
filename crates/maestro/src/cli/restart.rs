//! `maestro restart`.

use super::arguments::{Reaching, Selecting, Showing};
use super::session::Session;
use super::{Outcome, act};
use maestro_core::plan::{Intent, Restart};
use std::time::Duration;

/// Stop and start containers
///
/// Without names, everything is restarted. A container is stopped when the image of the next one is there; when an
/// instance does not come up again, no further one is stopped.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selecting: Selecting,
    #[command(flatten)]
    reaching: Reaching,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    pub(super) showing: Showing,
}

#[derive(Debug, Clone, clap::Args)]
struct How {
    /// Pull images even if they are there, before their containers are stopped
    #[arg(short, long, conflicts_with = "reuse")]
    refresh_images: bool,
    /// Start the stopped container as it is
    #[arg(long)]
    reuse: bool,
    /// Wait this many seconds before every instance but the first; with -c 1, one after another
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    step_delay: u32,
    /// Wait this many seconds between stop and start
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    stop_start_delay: u32,
    /// Leave containers alone that run the image which the file means now
    // What maestro-ng's users may write for it; there is `--output` now.
    #[arg(long, alias = "o")]
    only_if_changed: bool,
}

impl Args {
    pub(super) fn intent(&self) -> Intent {
        Intent::Restart(Restart {
            refresh: self.how.refresh_images,
            reuse: self.how.reuse,
            only_if_changed: self.how.only_if_changed,
            step_delay: Duration::from_secs(self.how.step_delay.into()),
            stop_start_delay: Duration::from_secs(self.how.stop_start_delay.into()),
        })
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    act::act(session, &args.intent(), &args.selecting, args.showing).await
}
