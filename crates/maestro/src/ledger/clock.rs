//! The time by which leases are measured.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A clock that never stops and never jumps; what it shows means nothing to other clocks.
pub trait Clock: Send + Sync {
    /// The time since some beginning.
    fn now(&self) -> Duration;
}

/// The time since the machine started, sleep included: a deployer that wakes knows for how long it was not there.
#[derive(Debug, Clone, Copy, Default)]
pub struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        // It counts from the start of the machine, and a second has fewer nanoseconds than that.
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on() {
        let before = BootClock.now();
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while BootClock.now() <= before {
            assert!(std::time::Instant::now() < deadline, "the clock stands still");
        }
    }
}
