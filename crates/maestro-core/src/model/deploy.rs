//! How a service is brought from one release to the next: its `deploy:` section.

use crate::model::Hooks;
use std::fmt;
use std::sync::Arc;
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
    /// What is run before and after.
    pub hooks: Arc<Hooks>,
}

/// In which order instances are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// All at the same time, each one stopped before its replacement starts: maestro-ng's way.
    #[default]
    Recreate,
    /// A few at a time.
    Rolling(Pace),
    /// All replacements start beside what they replace; when all have been proved, they take over together.
    BlueGreen,
    /// A few first, which have to be good; the others when somebody says so, or after a while.
    Canary(Canary),
}

/// Which instances are tried first, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// How many are tried.
    pub canaries: Share,
    /// How long they have to stay well before the others follow; none if somebody has to say so.
    pub pause: Option<Duration>,
    /// How many of a hundred requests balancers send to them together until then, 1 to 99; none if they get what everybody
    /// gets.
    pub weight: Option<u8>,
    /// How the canaries are replaced, and then the others.
    pub pace: Pace,
}

/// How many instances are replaced at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many may be down at the same time: those that are stopped before their replacements start.
    pub max_unavailable: Share,
    /// How many may be there twice at the same time: those whose replacements start beside them.
    pub max_surge: Share,
}

impl Strategy {
    /// How many of so many instances may be down at the same time.
    pub fn down(self, instances: usize) -> usize {
        match self {
            Strategy::Recreate => instances.max(1),
            Strategy::Rolling(pace) | Strategy::Canary(Canary { pace, .. }) => {
                pace.max_unavailable.of(instances)
            }
            Strategy::BlueGreen => 0,
        }
    }

    /// How many of so many instances may be there twice at the same time; nothing if replacements never start beside
    /// what they replace.
    pub fn beside(self, instances: usize) -> usize {
        match self {
            Strategy::Recreate => 0,
            Strategy::Rolling(pace) | Strategy::Canary(Canary { pace, .. }) => {
                pace.max_surge.of_surplus(instances)
            }
            Strategy::BlueGreen => instances.max(1),
        }
    }

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Recreate => "recreate",
            Strategy::Rolling(_) => "rolling",
            Strategy::BlueGreen => "blue-green",
            Strategy::Canary(_) => "canary",
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
    /// Whether it is none at all.
    pub fn is_nothing(self) -> bool {
        matches!(self, Share::Count(0) | Share::Percent(0))
    }

    /// How many that are of `all`: rounded down, for it is what may be missing, but at least one if it is not nothing.
    pub fn of(self, all: usize) -> usize {
        let share = match self {
            Share::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Share::Percent(percent) => all.saturating_mul(usize::from(percent)) / 100,
        };
        if self.is_nothing() { 0 } else { share.max(1) }
    }

    /// The same rounded up, for it is what may be there in addition.
    pub fn of_surplus(self, all: usize) -> usize {
        match self {
            Share::Count(_) => self.of(all),
            Share::Percent(percent) => all.saturating_mul(usize::from(percent)).div_ceil(100),
        }
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
    fn a_share_is_rounded_as_it_does_no_harm() {
        for (share, all, missing, surplus) in [
            (Share::Count(2), 10, 2, 2),
            (Share::Count(0), 10, 0, 0),
            (Share::Percent(25), 10, 2, 3),
            (Share::Percent(25), 3, 1, 1),
            (Share::Percent(34), 3, 1, 2),
            (Share::Percent(100), 7, 7, 7),
            (Share::Percent(0), 7, 0, 0),
        ] {
            assert_eq!(share.of(all), missing, "{share} of {all}");
            assert_eq!(share.of_surplus(all), surplus, "{share} of {all}");
        }
    }
}
