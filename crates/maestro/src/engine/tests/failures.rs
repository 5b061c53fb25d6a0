//! Engines that are down, hang, break off or talk nonsense.

use super::calls::{create, perform, target};
use super::script::{OK, Reply, Server, TIMEOUT, engine, options, ship};
use crate::engine::DockerEngine;
use maestro_core::boundary::{Engine, Scope};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::model::Transport;
use maestro_core::plan::EngineCall;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

async fn observe(engine: &DockerEngine) -> EngineError {
    engine.observe(&Scope::default()).await.unwrap_err()
}

fn is_unresponsive(error: &EngineError) -> bool {
    matches!(&error.kind, EngineErrorKind::Unresponsive { after, .. } if *after == TIMEOUT)
}

#[tokio::test]
async fn a_closed_port_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = observe(&engine(port, None)).await;
    assert_eq!(
        error.to_string(),
        format!(
            "ship alpha: looking at its containers: host down: tcp://127.0.0.1:{port}: Connection refused"
        )
    );
    let error = perform(&engine(port, None), &create()).await.unwrap_err();
    assert!(error.to_string().starts_with("ship alpha: creating container web-1: host down: "), "{error}");
    assert!(!error.ambiguous, "nothing was sent");
}

#[tokio::test]
async fn a_missing_socket_is_down() {
    let transport = Transport::Unix { path: "/nonexistent/docker.sock".into() };
    let error = observe(&DockerEngine::new(ship(transport, None), options())).await;
    assert_eq!(
        error.kind.to_string(),
        "host down: unix:///nonexistent/docker.sock: No such file or directory"
    );
}

#[tokio::test]
async fn a_host_name_that_is_none_is_a_setting() {
    let transport = Transport::Tcp { host: "not a host".into(), port: 1 };
    let error = observe(&DockerEngine::new(ship(transport, None), options())).await;
    assert!(matches!(error.kind, EngineErrorKind::Settings(_)), "{error}");
}

#[tokio::test]
async fn an_engine_that_never_answers_hangs() {
    // The system accepts the connection; nobody reads from it, as with a stopped engine.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let engine = engine(listener.local_addr().unwrap().port(), None);
    let begun = Instant::now();
    let error = observe(&engine).await;
    assert!(is_unresponsive(&error), "{error}");
    assert!(begun.elapsed() < 3 * TIMEOUT, "{:?}", begun.elapsed());
    // Those who wait together wait once.
    let begun = Instant::now();
    let scope = Scope::default();
    let all = futures_util::future::join_all((0..20).map(|_| engine.observe(&scope))).await;
    assert!(all.into_iter().all(|result| is_unresponsive(&result.unwrap_err())));
    assert!(begun.elapsed() < 3 * TIMEOUT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_change_that_is_not_answered_may_have_happened() {
    let server = Server::start(|_| Reply::Stall(String::new())).await;
    let engine = server.engine();
    // Reading is never ambiguous.
    assert!(!observe(&engine).await.ambiguous);
    let error = perform(&engine, &create()).await.unwrap_err();
    assert!(is_unresponsive(&error) && error.ambiguous, "{error:?}");
    let stop = EngineCall::StopContainer { target: target(), grace: Duration::ZERO };
    let error = perform(&engine, &stop).await.unwrap_err();
    assert!(is_unresponsive(&error) && error.ambiguous, "{error:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_tell_leaves_open_whether_it_happened() {
    let stop = EngineCall::StopContainer { target: target(), grace: Duration::ZERO };
    for (status, call, expected) in [
        (500, create(), true),
        (504, create(), true),
        (409, create(), false),
        (404, create(), false),
        (504, stop.clone(), true),
        (500, stop, false),
    ] {
        let reply = move || Reply::Json(status, r#"{"message":"context deadline exceeded"}"#.into());
        let server = Server::start(move |_| reply()).await;
        let error = perform(&server.engine(), &call).await.unwrap_err();
        assert_eq!(error.ambiguous, expected, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_body_that_stalls_hangs() {
    let server = Server::start(|_| Reply::Stall(format!("{OK}Content-Length: 100\r\n\r\n["))).await;
    let begun = Instant::now();
    let error = observe(&server.engine()).await;
    assert!(is_unresponsive(&error), "{error}");
    assert!(begun.elapsed() < 3 * TIMEOUT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_lost() {
    for answer in [String::new(), "HTTP/1.1 2".into(), OK.into(), format!("{OK}Content-Length: 100\r\n\r\n[")]
    {
        let text = answer.clone();
        let server = Server::start(move |_| Reply::Close(text.clone())).await;
        let error = observe(&server.engine()).await;
        assert!(matches!(error.kind, EngineErrorKind::Lost(_)), "{answer:?}: {error}");
        let error = perform(&server.engine(), &create()).await.unwrap_err();
        assert!(matches!(error.kind, EngineErrorKind::Lost(_)) && error.ambiguous, "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn nonsense_is_called_that() {
    for answer in ["SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), format!("{OK}Content-Length: 2\r\n\r\n[{{")] {
        let text = answer.clone();
        let server = Server::start(move |_| Reply::Stall(text.clone())).await;
        let error = observe(&server.engine()).await;
        assert!(matches!(error.kind, EngineErrorKind::Protocol(_)), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn an_engine_that_was_replaced_is_asked_again() {
    let version = |api: &str| format!(r#"{{"Version":"x","ApiVersion":"{api}"}}"#);
    let asked = AtomicUsize::new(0);
    let server = Server::bare(move |request| match request.line.as_str() {
        "GET /version" if asked.fetch_add(1, Ordering::Relaxed) == 0 => Reply::Json(200, version("1.41")),
        "GET /version" => Reply::Json(200, version("1.40")),
        "GET /v1.41/containers/json?all=1" => Reply::Json(
            400,
            r#"{"message":"client version 1.41 is too new. Maximum supported API version is 1.40"}"#.into(),
        ),
        _ => Reply::Json(200, "[]".into()),
    })
    .await;
    let engine = server.engine();
    assert!(matches!(observe(&engine).await.kind, EngineErrorKind::Api { status: 400, .. }));
    assert!(engine.observe(&Scope::default()).await.is_ok());
}
