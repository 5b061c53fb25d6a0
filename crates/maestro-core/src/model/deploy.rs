//! How a service is brought from one release to the next: its `deploy:` section.

use std::fmt;
use std::time::Duration;

/// How a service is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deploy {
    /// In which order, and how many instances at a time.
    pub strategy: Strategy,
    /// How long a replaced instance has to stay well before it counts as good.
    pub bake: Duration,
    /// What follows when an instance does not come up, or does not stay up.
    pub on_failure: Remedy,
}

/// In which order instances are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// All at the same time, each one stopped before its replacement starts: maestro-ng's way.
    #[default]
    Recreate,
    /// A few at a time, each one stopped before its replacement starts.
    Rolling {
        /// How many may be down at the same time.
        max_unavailable: Share,
    },
}

impl Strategy {
    /// How many of so many instances are replaced at the same time.
    pub fn at_once(self, instances: usize) -> usize {
        match self {
            Strategy::Recreate => instances.max(1),
            Strategy::Rolling { max_unavailable } => max_unavailable.of(instances),
        }
    }

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Recreate => "recreate",
            Strategy::Rolling { .. } => "rolling",
        }
    }
}

/// A part of the instances of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u8),
}

impl Share {
    /// How many that are of `all`: rounded down, for it is what may be missing, but at least one, for nothing could be
    /// done otherwise.
    pub fn of(self, all: usize) -> usize {
        let share = match self {
            Share::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Share::Percent(percent) => all.saturating_mul(usize::from(percent)) / 100,
        };
        share.max(1)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Count(count) => write!(f, "{count}"),
            Share::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// What follows when a deployment fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Remedy {
    /// Nothing more is begun, and what was done is taken back.
    #[default]
    Rollback,
    /// Nothing more is begun, and everything stays as it is until somebody decides.
    Pause,
    /// Whatever does not need the failed instance goes on.
    Continue,
}

impl Remedy {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Remedy::Rollback => "rollback",
            Remedy::Pause => "pause",
            Remedy::Continue => "continue",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_never_nothing() {
        for (share, all, expected) in [
            (Share::Count(2), 10, 2),
            (Share::Count(0), 10, 1),
            (Share::Percent(25), 10, 2),
            (Share::Percent(25), 3, 1),
            (Share::Percent(100), 7, 7),
            (Share::Percent(0), 7, 1),
        ] {
            assert_eq!(share.of(all), expected, "{share} of {all}");
        }
    }
}
