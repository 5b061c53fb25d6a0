//! The suite that every engine passes, over the client that ships are reached with and pretended engines that listen:
//! every way to reach them that needs no other program, and both releases.

use futures_util::future::join_all;
use maestro::engine::{DockerEngine, EngineOptions};
use maestro_core::boundary::Engine;
use maestro_core::config::{Limits, load};
use maestro_core::engine_error::EngineError;
use maestro_core::model::{Retry, Ship, SpecWriter, Transport};
use maestro_core::names::Secret;
use maestro_core::plan::{EngineCall, RegistryAuth, Target};
use maestro_core::source::MapSources;
use maestro_testkit::clock::Clock;
use maestro_testkit::conformance::{CASES, run};
use maestro_testkit::daemon::Setup;
use maestro_testkit::fake_dockerd::{At, FakeDockerd, Pki};
use maestro_testkit::fake_engine::FakeEngine;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::fleet::{Grid, SampleHarness, sample_setup};
use maestro_testkit::state::{Edition, Machine};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The ship that is reached like this. It may take its time: all cases share a thread with its server, on a machine that
/// may be busy.
fn ship(transport: Transport) -> Ship {
    let yaml = Grid::over(vec![transport], 1).ship_settings("timeout: 60").yaml();
    let environment = load(&MapSources::of(&*yaml), &Limits::default()).environment.expect(&yaml);
    environment.ships.into_values().next().unwrap()
}

/// All cases at once, as the instances of a run are.
async fn conforms(edition: Edition, at: At) {
    let dir = tempfile::tempdir().unwrap();
    let setup = sample_setup("ship-0001").edition(edition).clock(Clock::wall());
    let server = FakeDockerd::serve(setup, at).unwrap();
    let options = EngineOptions { docker_config: Some(dir.path().to_owned()), ..EngineOptions::default() };
    let engine = Arc::new(DockerEngine::new(ship(server.transport()), options));
    let harness = SampleHarness::new(engine);
    let results = join_all(CASES.iter().map(|case| run(case, &harness))).await;
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} failures:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(server.look(Machine::count), 0, "containers were left behind");
}

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[tokio::test]
async fn a_pretended_engine_conforms_over_tcp() {
    conforms(Edition::V28, At::Tcp(ANY_PORT)).await;
}

#[tokio::test]
async fn an_old_pretended_engine_conforms_over_tcp() {
    conforms(Edition::V20, At::Tcp(ANY_PORT)).await;
}

#[tokio::test]
async fn a_pretended_engine_conforms_over_tls() {
    conforms(Edition::V28, At::Tls(ANY_PORT, Pki::new().unwrap())).await;
}

#[tokio::test]
async fn an_old_pretended_engine_conforms_over_tls() {
    conforms(Edition::V20, At::Tls(ANY_PORT, Pki::new().unwrap())).await;
}

#[tokio::test]
async fn a_pretended_engine_conforms_at_a_socket() {
    let dir = tempfile::tempdir().unwrap();
    conforms(Edition::V28, At::Unix(dir.path().join("docker.sock"))).await;
}

#[tokio::test]
async fn an_old_pretended_engine_conforms_at_a_socket() {
    let dir = tempfile::tempdir().unwrap();
    conforms(Edition::V20, At::Unix(dir.path().join("docker.sock"))).await;
}

/// Every call that changes a ship.
fn calls() -> Vec<EngineCall> {
    let yaml = "__maestro: {schema: 2}\nname: t\nships: {a: {ip: 192.0.2.1}}\nservices: {s: {image: 'reg:5000/x:1', \
                instances: {x-1: {ship: a}}}}";
    let environment = load(&MapSources::of(yaml), &Limits::default()).environment.unwrap();
    let instance = &environment.instances["x-1"];
    let (spec, hash) = SpecWriter::new(&environment).spec(instance);
    let target = || Target::Made(instance.name.clone());
    let auth = RegistryAuth {
        registry: "main".into(),
        url: "http://reg:5000".into(),
        username: "ci".into(),
        password: Some(Secret::new("secret")),
        email: None,
    };
    vec![
        EngineCall::Login { auth, retry: Retry::default() },
        EngineCall::PullImage { image: instance.image.clone(), auth: None, retry: Retry::default() },
        EngineCall::CreateContainer { spec: Box::new(spec), hash },
        EngineCall::StartContainer { target: target() },
        EngineCall::StopContainer { target: target(), grace: Duration::ZERO },
        EngineCall::KillContainer { target: target() },
        EngineCall::RemoveContainer { target: target() },
        EngineCall::RemoveImage { image: instance.image.clone() },
    ]
}

/// What executor and planner make of an error: its kind, whether it may have happened, whether it may pass.
fn meaning(error: &EngineError) -> String {
    let kind = format!("{:?}", error.kind);
    let kind = kind.split([' ', '(']).next().unwrap_or_default();
    format!("{kind}, ambiguous: {}, transient: {}", error.ambiguous, error.kind.is_transient())
}

/// Tests that use the one face must not learn what the other would not have told.
#[tokio::test]
async fn both_faces_of_a_pretended_engine_fail_alike() {
    let dir = tempfile::tempdir().unwrap();
    let options = || EngineOptions { docker_config: Some(dir.path().to_owned()), ..EngineOptions::default() };
    let mut differences = Vec::new();
    let answers = [400, 409, 500, 502, 503, 504].map(|status| Fault::Refused(status, "no".to_owned()));
    let missing = Fault::Refused(404, "manifest unknown".to_owned());
    for fault in answers.into_iter().chain([missing, Fault::Lost, Fault::DoneButLost]) {
        for call in calls() {
            let setup = || {
                let faults = Faults::none().and(On::Only(operation(&call)), When::Always, fault.clone());
                Setup::new("ship-0001").clock(Clock::wall()).faults(faults)
            };
            let inside = FakeEngine::from(setup());
            let server = FakeDockerd::serve(setup(), At::loopback()).unwrap();
            let outside = DockerEngine::new(ship(server.transport()), options());
            let inside = inside.perform(&call, &|_| {}).await.map_err(|error| meaning(&error));
            let outside = outside.perform(&call, &|_| {}).await.map_err(|error| meaning(&error));
            if inside != outside {
                differences.push(format!("{call} with {fault:?}: {inside:?}, over HTTP {outside:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

fn operation(call: &EngineCall) -> Operation {
    match call {
        EngineCall::Login { .. } => Operation::Login,
        EngineCall::PullImage { .. } => Operation::Pull,
        EngineCall::CreateContainer { .. } => Operation::Create,
        EngineCall::StartContainer { .. } => Operation::Start,
        EngineCall::StopContainer { .. } => Operation::Stop,
        EngineCall::KillContainer { .. } => Operation::Kill,
        EngineCall::RenameContainer { .. } => Operation::Rename,
        EngineCall::SetRestart { .. } => Operation::Update,
        EngineCall::RemoveImage { .. } => Operation::RemoveImage,
        EngineCall::RemoveContainer { .. } => Operation::Remove,
    }
}
