//! The suite over [`FakeEngine`], in paused time.

use maestro_testkit::conformance::{CASES, run};
use maestro_testkit::daemon::Latency;
use maestro_testkit::fake_engine::FakeEngine;
use maestro_testkit::fleet::{SampleHarness, sample_setup};
use maestro_testkit::state::{Edition, Machine};
use std::time::Duration;

async fn all_cases(edition: Edition, latency: Duration) {
    let setup = sample_setup("ship-1").edition(edition).latency(Latency::of_all(latency));
    let engine = FakeEngine::from(setup);
    let harness = SampleHarness::new(engine.boxed());
    let mut failed = Vec::new();
    for case in CASES {
        if let Err(problem) = run(case, &harness).await {
            failed.push(problem);
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(engine.look(Machine::count), 0, "a case left containers behind");
}

#[tokio::test(start_paused = true)]
async fn the_fake_conforms() {
    all_cases(Edition::V20, Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn the_fake_conforms_when_it_takes_its_time() {
    all_cases(Edition::V28, Duration::from_millis(30)).await;
}
