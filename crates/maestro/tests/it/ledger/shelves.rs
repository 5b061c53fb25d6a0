//! The suite that every shelf passes: memory, and pretended engines that listen.

use futures_util::future::BoxFuture;
use maestro::engine::{DockerEngine, EngineOptions};
use maestro_core::boundary::Shelf;
use maestro_core::config::{Limits, load};
use maestro_core::model::{Ship, Transport};
use maestro_core::source::MapSources;
use maestro_testkit::clock::Clock;
use maestro_testkit::daemon::{Latency, Setup};
use maestro_testkit::fake_dockerd::{At, FakeDockerd};
use maestro_testkit::fake_engine::FakeEngine;
use maestro_testkit::fleet::Grid;
use maestro_testkit::shelf::MemoryShelf;
use maestro_testkit::shelf::conformance::{SHELF_CASES, ShelfHarness, run_shelf_case};
use maestro_testkit::state::{Edition, Machine};
use std::sync::Arc;
use std::time::Duration;

struct Memory(MemoryShelf);

impl ShelfHarness for Memory {
    fn shelf(&self) -> Arc<dyn Shelf> {
        Arc::new(self.0.clone())
    }

    fn neighbour(&self) -> Arc<dyn Shelf> {
        Arc::new(self.0.clone())
    }

    fn sees_both(&self) -> bool {
        true
    }

    fn prune(&self) -> BoxFuture<'_, Result<(), String>> {
        self.0.prune();
        Box::pin(async { Ok(()) })
    }
}

/// Without HTTP.
struct Inside(FakeEngine);

impl ShelfHarness for Inside {
    fn shelf(&self) -> Arc<dyn Shelf> {
        Arc::new(self.0.clone())
    }

    fn neighbour(&self) -> Arc<dyn Shelf> {
        self.shelf()
    }

    fn prune(&self) -> BoxFuture<'_, Result<(), String>> {
        self.0.meddle(Machine::prune);
        Box::pin(async { Ok(()) })
    }
}

struct Pretended {
    server: FakeDockerd,
    ship: Ship,
    options: EngineOptions,
}

impl ShelfHarness for Pretended {
    fn shelf(&self) -> Arc<dyn Shelf> {
        Arc::new(DockerEngine::new(self.ship.clone(), self.options.clone()))
    }

    fn neighbour(&self) -> Arc<dyn Shelf> {
        self.shelf()
    }

    fn prune(&self) -> BoxFuture<'_, Result<(), String>> {
        self.server.meddle(Machine::prune);
        Box::pin(async { Ok(()) })
    }
}

async fn all_cases(harness: &dyn ShelfHarness) {
    let mut failed = Vec::new();
    for case in SHELF_CASES {
        if let Err(problem) = run_shelf_case(case, harness).await {
            failed.push(problem);
        }
    }
    assert!(failed.is_empty(), "{} failures:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn memory_is_a_shelf() {
    all_cases(&Memory(MemoryShelf::new("ship-1", Duration::from_millis(5)))).await;
}

#[tokio::test(start_paused = true)]
async fn a_pretended_engine_without_http_is_a_shelf() {
    let latency = Latency::of_all(Duration::from_millis(3));
    let engine = FakeEngine::from(Setup::new("ship-1").latency(latency));
    all_cases(&Inside(engine.clone())).await;
    assert_eq!((*engine).look(Machine::count), 0, "containers were left behind");
}

fn ship(transport: Transport) -> Ship {
    let yaml = Grid::over(vec![transport], 1).ship_settings("timeout: 60").yaml();
    let environment = load(&MapSources::of(&*yaml), &Limits::default()).environment.unwrap();
    environment.ships.into_values().next().unwrap()
}

async fn pretended(edition: Edition) {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::new("ship-0001").edition(edition).clock(Clock::wall());
    let server = FakeDockerd::serve(setup, At::loopback()).unwrap();
    let options = EngineOptions { docker_config: Some(dir.path().to_owned()), ..EngineOptions::default() };
    let harness = Pretended { ship: ship(server.transport()), server, options };
    all_cases(&harness).await;
    assert_eq!(harness.server.look(Machine::count), 0, "containers were left behind");
}

#[tokio::test]
async fn a_pretended_engine_is_a_shelf() {
    pretended(Edition::V28).await;
}

#[tokio::test]
async fn an_old_pretended_engine_is_a_shelf() {
    pretended(Edition::V20).await;
}
