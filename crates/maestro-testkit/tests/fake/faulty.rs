//! What goes wrong, as the executor sees it.

use crate::world::{create, engine, named, perform, pull, setup, start, stop, writes};
use futures_util::StreamExt;
use maestro_core::boundary::{CallOutcome, Engine, LogOptions, Scope};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::ContainerState;
use maestro_core::plan::EngineCall;
use maestro_testkit::daemon::Latency;
use maestro_testkit::fake_engine::FakeEngine;
use maestro_testkit::faults::{Faults, Operation};
use maestro_testkit::state::{Behaviour, Content, Registries};
use std::time::Duration;
use tokio::time::Instant;

async fn observe(engine: &FakeEngine) -> Result<(), EngineError> {
    engine.observe(&Scope::default()).await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_engine_says_so_at_once() {
    let engine = engine(Behaviour::forever(), Faults::unreachable());
    let begun = Instant::now();
    let error = observe(&engine).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Unreachable { .. }), "{error}");
    let error = perform(&engine, create("web-1")).await.unwrap_err();
    assert!(!error.ambiguous, "nothing can have happened");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(writes(&engine), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_hung_engine_is_given_up_after_its_deadline() {
    let engine = engine(Behaviour::forever(), Faults::hung()).with_timeout(Duration::from_secs(3));
    let begun = Instant::now();
    let error = observe(&engine).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert!(
        matches!(&error.kind, EngineErrorKind::Unresponsive { after, .. } if *after == Duration::from_secs(3)),
        "{error}"
    );
    let error = perform(&engine, stop("web-1", 10)).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_secs(3 + 13), "the grace of a stop counts");
    assert!(error.ambiguous, "it may have happened");
    assert_eq!(writes(&engine), ["stop web-1 (nothing)"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_engine_answers_late_or_too_late() {
    let slow = engine(Behaviour::forever(), Faults::slow(Duration::from_secs(4)));
    let begun = Instant::now();
    assert!(matches!(perform(&slow, create("web-1")).await, Ok(CallOutcome::Created(_))));
    assert_eq!(begun.elapsed(), Duration::from_secs(4));
    let slower = engine(Behaviour::forever(), Faults::slow(Duration::from_mins(1)));
    let error = perform(&slower, create("web-1")).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Unresponsive { .. }) && error.ambiguous, "{error}");
    assert!(slower.container("web-1").is_some(), "it has happened all the same");
}

#[tokio::test(start_paused = true)]
async fn a_create_may_fail_and_succeed() {
    let engine = engine(Behaviour::forever(), Faults::create_succeeds_with_500());
    let error = perform(&engine, create("web-1")).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Api { status: 500, .. }) && error.ambiguous, "{error}");
    assert_eq!(engine.container("web-1").map(|c| c.state), Some(ContainerState::Created));
    let error = perform(&engine, create("web-1")).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Conflict(_)), "{error}");
    assert_eq!(writes(&engine), ["create web-1", "create web-1 (refused: 409)"]);
}

#[tokio::test(start_paused = true)]
async fn the_nth_call_is_refused() {
    let faults = Faults::refuses_nth(Operation::Start, 2, 503, "try again");
    let engine = engine(Behaviour::forever(), faults);
    for name in ["web-1", "web-2"] {
        perform(&engine, create(name)).await.unwrap();
    }
    assert_eq!(perform(&engine, start("web-1")).await, Ok(CallOutcome::Done));
    let error = perform(&engine, start("web-2")).await.unwrap_err();
    assert!(error.kind.is_transient(), "{error}");
    assert_eq!(perform(&engine, start("web-2")).await, Ok(CallOutcome::Done));
}

#[tokio::test(start_paused = true)]
async fn an_engine_dies_in_the_middle() {
    let engine = engine(Behaviour::forever(), Faults::dies_at_write(2));
    perform(&engine, create("web-1")).await.unwrap();
    observe(&engine).await.unwrap();
    let error = perform(&engine, start("web-1")).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Lost(_)) && error.ambiguous, "{error}");
    assert!(engine.container("web-1").is_some_and(|c| c.is_running()), "its last act was done");
    let error = observe(&engine).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Unreachable { .. }), "{error}");
    engine.set_faults(Faults::none());
    observe(&engine).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_their_engine() {
    let engine = engine(Behaviour::forever(), Faults::dies_at_write(3));
    perform(&engine, create("web-1")).await.unwrap();
    perform(&engine, start("web-1")).await.unwrap();
    let (target, options) = (named("web-1"), LogOptions { follow: true, ..LogOptions::default() });
    let mut logs = engine.logs(&target, &options);
    let mut events = engine.events(None).await.unwrap();
    let (line, event, stopped) = tokio::join!(
        logs.next(),
        events.next(),
        perform(&engine, EngineCall::KillContainer { target: named("web-1") })
    );
    assert!(stopped.is_err());
    assert!(matches!(line, Some(Err(_)) | None), "{line:?}");
    let mut last = event;
    while let Some(Ok(_)) = last {
        last = events.next().await;
    }
    assert!(matches!(last, Some(Err(EngineError { kind: EngineErrorKind::Lost(_), .. }))), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flapping_engine_comes_and_goes() {
    let faults = Faults::flaps(Duration::from_secs(2), Duration::from_secs(1), 11);
    let engine = engine(Behaviour::forever(), faults);
    let mut seen = Vec::new();
    for _ in 0..12 {
        seen.push(observe(&engine).await.is_ok());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(seen.iter().filter(|up| **up).count(), 8, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn registries_say_no_in_several_ways() {
    let registries = Registries::none();
    registries.push("reg:5000/web:1", &Content::new("web", Behaviour::forever()));
    registries.trouble("reg:5000", &[(503, "Service Unavailable"), (429, "Too Many Requests")]);
    let engine: FakeEngine = setup(Behaviour::forever()).registries(&registries).into();
    for status in [503, 429] {
        let error = perform(&engine, pull("reg:5000/web:1")).await.unwrap_err();
        assert!(
            matches!(&error.kind, EngineErrorKind::Registry { status: Some(s), .. } if *s == status),
            "{error}"
        );
    }
    assert_eq!(perform(&engine, pull("reg:5000/web:1")).await, Ok(CallOutcome::Pulled { changed: true }));
    let error = perform(&engine, pull("elsewhere:5000/web:1")).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Registry { status: None, .. }), "{error}");
    engine.set_faults(Faults::wrong_password());
    let error = perform(&engine, pull("reg:5000/web:1")).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Unauthorized { .. }), "{error}");
    engine.set_faults(Faults::full_disk());
    let error = perform(&engine, pull("reg:5000/web:1")).await.unwrap_err();
    assert!(error.to_string().contains("no space left on device"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_when_and_how_many_at_once() {
    let latency = Latency::of_all(Duration::from_millis(100)).but(Operation::Start, Duration::from_secs(1));
    let engine: FakeEngine = setup(Behaviour::forever()).latency(latency).into();
    let (a, b) = tokio::join!(perform(&engine, create("web-1")), perform(&engine, create("web-2")));
    a.and(b).unwrap();
    perform(&engine, start("web-1")).await.unwrap();
    let times: Vec<_> = engine.writes().iter().map(|w| (w.at.as_millis(), w.operation)).collect();
    assert_eq!(times, [(0, Operation::Create), (0, Operation::Create), (100, Operation::Start)]);
    assert_eq!(engine.busiest(), 2);
    assert_eq!(engine.calls().get(&Operation::Create), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    async fn run(seed: u64) -> Vec<String> {
        let engine = engine(Behaviour::forever(), Faults::any(seed));
        for name in ["web-1", "web-2", "web-3"] {
            for call in [create(name), start(name), stop(name, 1)] {
                let result = engine.perform(&call, &|_| {}).await;
                drop(result);
            }
        }
        writes(&engine)
    }
    for seed in 0..100 {
        assert_eq!(run(seed).await, run(seed).await, "seed {seed}");
    }
}
