//! The engines' clock. It follows the runtime's, so that paused time is paused for engines too.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// A clock that all engines of a fleet share.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    epoch: Timestamp,
    start: Instant,
}

impl Clock {
    /// Starts at 2026-01-01 00:00:00 UTC, whenever that is: the same run shows the same times.
    pub fn fixed() -> Self {
        Self { epoch: Timestamp::constant(1_767_225_600, 0), start: Instant::now() }
    }

    /// Shows the time of day.
    pub fn wall() -> Self {
        Self { epoch: Timestamp::now(), start: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.at(self.start.elapsed())
    }

    /// How long it has been running.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// When the runtime's clock will show what this one calls `at`.
    pub fn instant(&self, at: Timestamp) -> Instant {
        let ahead = Duration::try_from(at.duration_since(self.epoch)).unwrap_or(Duration::ZERO);
        self.start + ahead
    }

    fn at(&self, elapsed: Duration) -> Timestamp {
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        self.epoch.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}
