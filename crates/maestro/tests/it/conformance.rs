//! The suite that every engine passes, over the client that ships are reached with and pretended engines that listen:
//! every way to reach them that needs no other program, and both releases.

use futures_util::future::join_all;
use maestro::engine::{DockerEngine, EngineOptions};
use maestro_core::config::{Limits, load};
use maestro_core::model::{Ship, Transport};
use maestro_core::source::MapSources;
use maestro_testkit::clock::Clock;
use maestro_testkit::conformance::{CASES, run};
use maestro_testkit::fake_dockerd::{At, FakeDockerd, Pki};
use maestro_testkit::fleet::{Grid, SampleHarness, sample_setup};
use maestro_testkit::state::{Edition, Machine};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tempfile::TempDir;

/// The ship that is reached like this.
fn ship(transport: Transport) -> Ship {
    let yaml = Grid::over(vec![transport], 1).yaml();
    let environment = load(&MapSources::of(&*yaml), &Limits::default()).environment.expect(&yaml);
    environment.ships.into_values().next().unwrap()
}

/// All cases at once, as the instances of a run are.
async fn conforms(edition: Edition, at: At, docker_config: Arc<TempDir>) -> Vec<String> {
    let setup = sample_setup("ship-0001").edition(edition).clock(Clock::wall());
    let server = FakeDockerd::serve(setup, at).unwrap();
    let options =
        EngineOptions { docker_config: Some(docker_config.path().to_owned()), ..EngineOptions::default() };
    let engine = Arc::new(DockerEngine::new(ship(server.transport()), options));
    let harness = SampleHarness::new(engine);
    let results = join_all(CASES.iter().map(|case| run(case, &harness))).await;
    let mut failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    let left = server.look(Machine::count);
    if left > 0 {
        failed.push(format!("{left} containers were left behind"));
    }
    failed.into_iter().map(|problem| format!("{edition:?} at {}: {problem}", server.at())).collect()
}

#[tokio::test]
async fn pretended_engines_conform_however_they_are_reached() {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let suites = [Edition::V20, Edition::V28].into_iter().flat_map(|edition| {
        let dir = tempfile::tempdir().unwrap();
        let ways = [
            At::Tcp(any_port),
            At::Tls(any_port, Pki::new().unwrap()),
            At::Unix(dir.path().join("docker.sock")),
        ];
        let dir = Arc::new(dir);
        ways.map(|at| conforms(edition, at, dir.clone()))
    });
    let failed: Vec<String> = join_all(suites).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} failures:\n{}", failed.len(), failed.join("\n"));
}
