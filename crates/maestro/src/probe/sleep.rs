//! The check that lets time pass.

use maestro_core::boundary::CheckFailure;
use std::time::Duration;

/// Waits; cannot fail.
pub(super) async fn check(wait: Duration) -> Result<(), CheckFailure> {
    tokio::time::sleep(wait).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::probe::SystemProbe;
    use crate::probe::testing::instance;
    use maestro_core::boundary::Probe as _;
    use maestro_core::model::Check;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn passes_after_its_time_and_not_before() {
        let begin = Instant::now();
        let wait = Duration::from_hours(24);
        assert_eq!(SystemProbe::new().check(&instance(), &Check::Sleep { wait }, None).await, Ok(()));
        assert_eq!(begin.elapsed(), wait);
    }
}
