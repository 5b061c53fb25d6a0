//! What is asked, and what is made of the answers.

use super::script::{Asked, Reply, Server, engine};
use crate::engine::DockerEngine;
use maestro_core::boundary::{CallOutcome, Engine, Scope};
use maestro_core::engine_error::EngineError;
use maestro_core::fleet::{ContainerState, Health};
use maestro_core::image::ImageRef;
use maestro_core::model::{ContainerEnv, ContainerSpec, EnvVar, Settings};
use maestro_core::names::ConfigHash;
use maestro_core::plan::{EngineCall, Target};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "0123456789abcdef";

pub(super) fn target() -> Target {
    Target::Seen { id: ID.into(), name: "web-1".into() }
}

pub(super) async fn perform(engine: &DockerEngine, call: &EngineCall) -> Result<CallOutcome, EngineError> {
    engine.perform(call, &|_| {}).await
}

pub(super) fn create() -> EngineCall {
    let spec = ContainerSpec {
        name: "web-1".into(),
        hostname: Some("web-1".into()),
        image: ImageRef::parse("shop/web:2"),
        env: ContainerEnv::of(vec![EnvVar::new("A", "1")]),
        ports: Vec::new(),
        settings: Arc::new(Settings::default()),
        labels: BTreeMap::new(),
    };
    EngineCall::CreateContainer { spec: Box::new(spec), hash: ConfigHash("x".into()) }
}

fn details(names: &[&str]) -> Scope {
    Scope { details: names.iter().copied().map(Into::into).collect(), ..Scope::default() }
}

#[tokio::test]
async fn asks_for_the_version_once_and_names_it() {
    let server = Server::start(|_| Reply::Json(200, "[]".into())).await;
    let engine = server.engine();
    for _ in 0..2 {
        let state = engine.observe(&Scope { images: true, ..Scope::default() }).await.unwrap();
        assert_eq!(state.version.engine, "20.10.24");
        assert_eq!(state.images, Some(Vec::new()));
    }
    assert_eq!(
        server.lines(),
        [
            "GET /_ping",
            "GET /v1.41/containers/json?all=1",
            "GET /v1.41/images/json",
            "GET /v1.41/containers/json?all=1",
            "GET /v1.41/images/json",
        ]
    );
}

#[tokio::test]
async fn a_ships_version_is_a_ceiling() {
    let server = Server::start(|_| Reply::Json(200, "[]".into())).await;
    engine(server.port, Some("1.30")).observe(&Scope::default()).await.unwrap();
    assert_eq!(server.last().line, "GET /v1.30/containers/json?all=1");
    let error = engine(server.port, Some("1.18")).observe(&Scope::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ship alpha: looking at its containers: no common API version: the engine speaks 1.12 to 1.41, \
         `api_version: 1.18` of the ship allows nothing newer than 1.18, and Maestro speaks 1.24 at least"
    );
}

fn fleet(asked: &Asked) -> Reply {
    let body = match asked.line.as_str() {
        "GET /v1.41/containers/json?all=1" => {
            r#"[
            {"Id":"a1","Names":["/web-1/db","/db-1"],"Image":"sha256:77","ImageID":"sha256:77","State":"running","Labels":{"x":"y"}},
            {"Id":"a2","Names":["/gone-1"],"Image":"i","ImageID":"sha256:1","State":"running","Labels":null},
            {"Id":"a3","Names":["/other"],"Image":"i","ImageID":"sha256:1","State":"hibernating","Labels":{}}]"#
        }
        "GET /v1.41/containers/a1/json" => {
            r#"{"Id":"a1","Name":"/db-1","Image":"sha256:77","RestartCount":2,
            "State":{"Status":"exited","Running":false,"ExitCode":137,"StartedAt":"2026-11-20T10:00:00.5Z",
                     "FinishedAt":"2026-11-20T11:00:00Z","Health":{"Status":"unhealthy","Log":[]}},
            "Config":{"Image":"shop/db:1","Labels":{"x":"y"},"Tty":false}}"#
        }
        _ => return Reply::Json(404, r#"{"message":"No such container: a2"}"#.into()),
    };
    Reply::Json(200, body.into())
}

#[tokio::test]
async fn sees_what_is_there() {
    let server = Server::start(fleet).await;
    let state = server.engine().observe(&details(&["db-1", "gone-1", "never-1"])).await.unwrap();
    // What vanished after it was listed is not there.
    assert_eq!(state.containers.keys().map(|k| &**k).collect::<Vec<_>>(), ["db-1", "other"]);
    assert_eq!(state.images, None);
    let db = &state.containers["db-1"];
    assert_eq!(db.state, ContainerState::Exited);
    assert_eq!(db.health, Some(Health::Unhealthy));
    assert_eq!(db.image, ImageRef::parse("shop/db:1"), "the name that it was created from");
    assert_eq!(db.image_id.as_str(), "sha256:77");
    assert_eq!(db.exit_code, Some(137));
    assert_eq!(db.restarts, Some(2));
    assert_eq!(db.started_at.unwrap().to_string(), "2026-11-20T10:00:00.5Z");
    assert_eq!(db.labels["x"], "y");
    let other = &state.containers["other"];
    assert_eq!((other.state, other.health, other.started_at), (ContainerState::Dead, None, None));
}

#[tokio::test]
async fn calls_are_the_engines_own() {
    let server = Server::start(|asked| match asked.line.as_str() {
        "POST /v1.41/containers/create?name=web-1" => {
            Reply::Json(201, format!(r#"{{"Id":"{ID}","Warnings":null}}"#))
        }
        _ => Reply::Json(204, String::new()),
    })
    .await;
    let engine = server.engine();
    assert_eq!(perform(&engine, &create()).await, Ok(CallOutcome::Created(ID.into())));
    let body: serde_json::Value = serde_json::from_str(&server.last().body).unwrap();
    assert_eq!(body["Image"], "shop/web:2");
    assert_eq!(body["Env"], serde_json::json!(["A=1"]));
    assert_eq!(server.last().headers["content-type"], "application/json");

    let made = Target::Made("web-1".into());
    for (call, line) in [
        (EngineCall::StartContainer { target: made }, "POST /v1.41/containers/web-1/start"),
        (
            EngineCall::StopContainer { target: target(), grace: Duration::from_millis(9001) },
            "POST /v1.41/containers/0123456789abcdef/stop?t=10",
        ),
        (EngineCall::KillContainer { target: target() }, "POST /v1.41/containers/0123456789abcdef/kill"),
        (
            EngineCall::RemoveContainer { target: target() },
            "DELETE /v1.41/containers/0123456789abcdef?v=true&force=false",
        ),
    ] {
        assert_eq!(perform(&engine, &call).await, Ok(CallOutcome::Done), "{line}");
        assert_eq!(server.last().line, line);
    }
}

#[tokio::test]
async fn nothing_to_do_is_no_error() {
    let server = Server::start(|asked| match asked.line.rsplit('/').next().unwrap() {
        "start" | "stop?t=1" => Reply::Json(304, String::new()),
        "kill" => {
            Reply::Json(409, r#"{"message":"Cannot kill container: x: Container x is not running"}"#.into())
        }
        _ => Reply::Json(404, r#"{"message":"No such container: x"}"#.into()),
    })
    .await;
    let engine = server.engine();
    for call in [
        EngineCall::StartContainer { target: target() },
        EngineCall::StopContainer { target: target(), grace: Duration::from_secs(1) },
        EngineCall::KillContainer { target: target() },
        EngineCall::RemoveContainer { target: target() },
    ] {
        assert_eq!(perform(&engine, &call).await, Ok(CallOutcome::Already), "{call}");
    }
}

#[tokio::test]
async fn refusals_name_ship_call_and_reason() {
    let server = Server::start(|asked| {
        let (status, message) = match asked.line.rsplit('/').next().unwrap() {
            "create?name=web-1" => (409, "Conflict. The container name \\\"/web-1\\\" is already in use"),
            "start" => (500, "driver failed: port is already allocated"),
            "stop?t=1" => (404, "No such container: web-1"),
            "kill" => (500, "cannot kill: permission denied"),
            _ => (409, "You cannot remove a running container 01. Stop the container"),
        };
        Reply::Json(status, format!(r#"{{"message":"{message}"}}"#))
    })
    .await;
    let engine = server.engine();
    for (call, expected) in [
        (
            create(),
            "ship alpha: creating container web-1: Conflict. The container name \"/web-1\" is already in use",
        ),
        (
            EngineCall::StartContainer { target: target() },
            "ship alpha: starting container web-1: the engine answered 500: driver failed: port is already allocated",
        ),
        (
            EngineCall::StopContainer { target: target(), grace: Duration::from_secs(1) },
            "ship alpha: stopping container web-1: No such container: web-1",
        ),
        (
            EngineCall::KillContainer { target: target() },
            "ship alpha: killing container web-1: the engine answered 500: cannot kill: permission denied",
        ),
        (
            EngineCall::RemoveContainer { target: target() },
            "ship alpha: removing container web-1: You cannot remove a running container 01. Stop the container",
        ),
    ] {
        let error = perform(&engine, &call).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!error.ambiguous, "{error}");
    }
}
