//! Leases and ledgers: over memory in paused time, and the shelves that they are made of.

mod bystanders;
mod damage;
mod deployers;
mod etcd;
mod fenced;
pub(crate) mod gateway;
mod records;
mod shelves;

use maestro::ledger::{Anchors, Claim, Clock, HeldLease, LeaseError, Waiting, claim};
use maestro_core::boundary::Shelf;
use maestro_core::lease::Times;
use maestro_core::names::ShipName;
use maestro_testkit::shelf::{MemoryShelf, Weather};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

/// The runtime's clock, from any beginning, at any speed, and with jumps: for when a machine has slept.
struct TestClock {
    start: Instant,
    from: Duration,
    percent: u32,
    slept: AtomicU64,
}

impl TestClock {
    fn new(from: Duration, percent: u32) -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), from, percent, slept: AtomicU64::new(0) })
    }

    /// The machine sleeps for so long, which no timer of its processes notices.
    fn sleep(&self, time: Duration) {
        self.slept.fetch_add(time.as_secs(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        let slept = Duration::from_secs(self.slept.load(Ordering::Relaxed));
        self.from + slept + self.start.elapsed() * self.percent / 100
    }
}

/// A deployer, with a network and a clock of its own.
struct Deployer {
    name: &'static str,
    shelves: Vec<Arc<MemoryShelf>>,
    clock: Arc<TestClock>,
}

fn world(anchors: usize) -> Vec<MemoryShelf> {
    (0..anchors).map(|n| MemoryShelf::new(&format!("ship-{n}"), Duration::from_millis(20))).collect()
}

fn times() -> Times {
    Times::new(Times::TTL, 30 * SECOND)
}

impl Deployer {
    fn of(name: &'static str, world: &[MemoryShelf], clock: Arc<TestClock>) -> Self {
        Self { name, shelves: world.iter().cloned().map(Arc::new).collect(), clock }
    }

    fn anchors(&self) -> Anchors {
        let places = self.shelves.iter().enumerate().map(|(number, shelf)| {
            (ShipName::new(format!("ship-{number}")), shelf.clone() as Arc<dyn Shelf>)
        });
        Anchors::new("großer laden", places)
    }

    async fn claim(&self, wait: Duration) -> Result<HeldLease, LeaseError> {
        self.claim_and_tell(wait, &mut |_| {}).await
    }

    async fn claim_and_tell(
        &self,
        wait: Duration,
        tell: &mut (dyn FnMut(&Waiting) + Send),
    ) -> Result<HeldLease, LeaseError> {
        self.claim_until(wait, tell, &CancellationToken::new()).await
    }

    async fn claim_until(
        &self,
        wait: Duration,
        tell: &mut (dyn FnMut(&Waiting) + Send),
        left_off: &CancellationToken,
    ) -> Result<HeldLease, LeaseError> {
        let wanted = Claim {
            owner: self.name.to_owned(),
            since: "noon".to_owned(),
            doing: "deploy web".to_owned(),
            times: times(),
            grace: 10 * SECOND,
            wait,
        };
        claim(&self.anchors(), wanted, self.clock.clone(), tell, left_off).await
    }

    fn weather(&self, weather: Weather) {
        self.shelves.iter().for_each(|shelf| shelf.weather(weather));
    }
}
