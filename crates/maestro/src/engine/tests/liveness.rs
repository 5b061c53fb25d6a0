//! Engines that are silent: some take their time, some hang.

use super::calls::{perform, target};
use super::script::{Asked, OK, Reply, Server, TIMEOUT, chunked};
use super::streams::{END, LAYERS, UPGRADED, exec, inspected, pull};
use crate::engine::DockerEngine;
use crate::engine::liveness::Liveness;
use crate::engine::wire::Call;
use futures_util::{StreamExt, TryStreamExt};
use maestro_core::boundary::{AttachOptions, CallOutcome, Engine, LogOptions};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::image::ImageRef;
use maestro_core::plan::EngineCall;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::SetOnce;
use tokio::time::timeout;

/// One question that nobody answers, and two pings.
const HANGS: Duration = TIMEOUT.saturating_mul(3);
/// Whoever waits longer waits for something else.
const AT_MOST: Duration = TIMEOUT.saturating_mul(8);

/// A server that answers the first ping, from which the version is known, and no other; the rest by script.
async fn hung(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
    pinged(|_| Reply::Stall(String::new()), script).await
}

/// A server that answers the first ping like an engine and further ones, counted from 1, by script.
async fn pinged(
    ping: impl Fn(usize) -> Reply + Send + Sync + 'static,
    script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> Server {
    let pings = AtomicUsize::new(0);
    Server::bare(move |asked| match asked.line.as_str() {
        "GET /_ping" => match pings.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::Ping,
            nth => ping(nth),
        },
        _ => script(asked),
    })
    .await
}

fn pings(server: &Server) -> usize {
    server.lines().iter().filter(|line| *line == "GET /_ping").count() - 1
}

/// The engine of a server, whose streams may be silent for as short a time as everything else.
fn engine(server: &Server) -> DockerEngine {
    let mut engine = server.engine();
    engine.liveness = Liveness::following(engine.wire.clone(), TIMEOUT, TIMEOUT);
    engine
}

#[track_caller]
fn assert_hangs(error: &EngineError, begun: Instant) {
    let hangs = |after: &Duration| *after == HANGS && (HANGS..AT_MOST).contains(&begun.elapsed());
    let tells = matches!(&error.kind, EngineErrorKind::Unresponsive { after, .. } if hangs(after));
    assert!(tells, "{error} after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_pull_from_an_engine_that_hangs_fails() {
    for text in [String::new(), format!("{OK}Transfer-Encoding: chunked\r\n\r\n"), chunked(&LAYERS[..2])] {
        let server = hung(move |_| Reply::Stall(text.clone())).await;
        let begun = Instant::now();
        let error = perform(&server.engine(), &pull(None)).await.unwrap_err();
        assert_hangs(&error, begun);
        assert_eq!(
            error.to_string(),
            format!(
                "ship alpha: pulling reg:5000/shop/web:2: no answer from tcp://127.0.0.1:{} within 0.9 s \
                 (the engine accepts connections and hangs, or packets get lost)",
                server.port
            )
        );
        assert_eq!(pings(&server), 2);
    }
}

/// A pull that comes to its end when `ping` says so.
async fn slow_pull(
    parts: (String, String),
    ping: impl Fn(usize, &SetOnce<()>) -> Reply + Send + Sync + 'static,
) -> Result<CallOutcome, EngineError> {
    let over = Arc::new(SetOnce::new());
    let end = over.clone();
    let server = pinged(
        move |nth| ping(nth, &over),
        move |_| Reply::Pause(parts.0.clone(), end.clone(), parts.1.clone()),
    )
    .await;
    perform(&server.engine(), &pull(None)).await
}

/// Before the head of the answer, and between two records.
fn silences() -> [(String, String); 2] {
    let whole = chunked(&LAYERS) + END;
    let begin = chunked(&LAYERS[..1]);
    [(String::new(), whole.clone()), (begin.clone(), whole[begin.len()..].to_owned())]
}

#[tokio::test]
async fn a_pull_may_be_silent_while_pings_are_answered() {
    for parts in silences() {
        let outcome = slow_pull(parts, |nth, over| {
            if nth == 4 {
                _ = over.set(());
            }
            // Any answer is one, however often.
            if nth % 3 == 0 { Reply::Ping } else { Reply::Json(500, r#"{"message":"busy"}"#.into()) }
        });
        assert_eq!(outcome.await, Ok(CallOutcome::Pulled { changed: true }));
    }
}

#[tokio::test]
async fn a_ping_that_gets_lost_is_not_the_end() {
    for parts in silences() {
        let outcome = slow_pull(parts, |nth, over| {
            if nth == 4 {
                _ = over.set(());
            }
            if nth % 2 == 0 { Reply::Ping } else { Reply::Stall(String::new()) }
        });
        assert_eq!(outcome.await, Ok(CallOutcome::Pulled { changed: true }));
    }
}

#[tokio::test]
async fn an_engine_that_answers_and_gets_nowhere_is_given_up_too() {
    let server = pinged(|_| Reply::Ping, |_| Reply::Stall(chunked(&LAYERS[..1]))).await;
    let engine = server.engine();
    let version = engine.version().await.unwrap();
    let clock = Call::new(Some(version.api), Duration::from_mins(1));
    let (idle, image) = (2 * TIMEOUT, ImageRef::parse("reg:5000/shop/web:2"));
    let kind = engine.pull(&clock, idle, &image, None, &|_| {}).await.unwrap_err();
    assert_eq!(
        kind.to_string(),
        "no news of it for 0.6 s: can the ship reach the registry, and write to its disk?"
    );
    assert!(!kind.is_about_ship() && pings(&server) > 0, "{kind:?}");
}

#[tokio::test]
async fn an_engine_that_refuses_connections_is_down() {
    let asked = Arc::new(SetOnce::new());
    let told = asked.clone();
    let server = hung(move |_| {
        _ = told.set(());
        Reply::Stall(String::new())
    })
    .await;
    let (engine, call) = (server.engine(), pull(None));
    let begun = Instant::now();
    let (result, ()) = tokio::join!(perform(&engine, &call), async {
        asked.wait().await;
        server.close();
    });
    let error = result.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Unreachable { .. }), "{error}");
    assert!((2 * TIMEOUT..AT_MOST).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn pulls_share_their_pings() {
    let server = hung(|_| Reply::Stall(String::new())).await;
    let engine = server.engine();
    let call = pull(None);
    let begun = Instant::now();
    for result in futures_util::future::join_all((0..20).map(|_| perform(&engine, &call))).await {
        assert_hangs(&result.unwrap_err(), begun);
    }
    assert_eq!(pings(&server), 2);
}

#[tokio::test]
async fn a_stop_takes_its_time_and_an_engine_that_hangs_does_not() {
    let stop = EngineCall::StopContainer { target: target(), grace: Duration::from_mins(5) };
    let server = hung(|_| Reply::Stall(String::new())).await;
    let begun = Instant::now();
    let error = perform(&server.engine(), &stop).await.unwrap_err();
    assert_hangs(&error, begun);
    assert!(error.ambiguous, "it may have stopped");

    let over = Arc::new(SetOnce::new());
    let end = over.clone();
    let server = pinged(
        move |nth| {
            if nth == 4 {
                _ = over.set(());
            }
            Reply::Ping
        },
        move |_| {
            Reply::Pause(String::new(), end.clone(), "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n".into())
        },
    )
    .await;
    assert_eq!(perform(&server.engine(), &stop).await, Ok(CallOutcome::Done));
}

#[tokio::test]
async fn a_login_waits_for_the_registry_and_for_no_engine_that_hangs() {
    let EngineCall::PullImage { auth, retry, .. } = pull(Some("secret")) else { unreachable!() };
    let server = hung(|_| Reply::Stall(String::new())).await;
    let begun = Instant::now();
    let login = EngineCall::Login { auth: auth.unwrap(), retry };
    assert_hangs(&perform(&server.engine(), &login).await.unwrap_err(), begun);
}

fn running(asked: &Asked) -> Reply {
    match asked.line.as_str() {
        "POST /v1.41/exec/e1/start" => Reply::Stall(UPGRADED.into()),
        "GET /v1.41/events" => Reply::Stall(chunked(&[])),
        _ => inspected(asked, true).unwrap_or_else(|| {
            if asked.line.contains("/logs?") { Reply::Stall(chunked(&[])) } else { exec(asked, "", 0) }
        }),
    }
}

#[tokio::test]
async fn programs_logs_and_events_end_when_their_engine_hangs() {
    let server = hung(running).await;
    let engine = engine(&server);
    let (target, command) = (target(), vec!["true".to_owned()]);
    let begun = Instant::now();
    let error = engine.run_in(&target, &command).await.unwrap_err();
    assert_hangs(&error, begun);
    assert!(error.ambiguous, "the program may have run");

    let server = hung(running).await;
    let engine = self::engine(&server);
    let options = AttachOptions { command, ..AttachOptions::default() };
    let mut session = engine.attach(&target, &options).await.unwrap();
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    let mut logs = engine.logs(&target, &follow);
    let mut events = engine.events(None).await.unwrap();
    let begun = Instant::now();
    let (session, logs, events) = tokio::join!(session.output.next(), logs.next(), events.next());
    assert_hangs(&session.unwrap().unwrap_err(), begun);
    assert_hangs(&logs.unwrap().unwrap_err(), begun);
    assert_hangs(&events.unwrap().unwrap_err(), begun);
}

#[tokio::test]
async fn programs_logs_and_events_may_be_silent_while_pings_are_answered() {
    let over = Arc::new(SetOnce::new());
    let enough = over.clone();
    let answer = move |nth| {
        if nth == 5 {
            _ = over.set(());
        }
        Reply::Ping
    };
    let server = pinged(answer, running).await;
    let engine = engine(&server);
    let (target, command) = (target(), vec!["true".to_owned()]);
    let options = AttachOptions { command: command.clone(), ..AttachOptions::default() };
    let session = engine.attach(&target, &options).await.unwrap();
    let follow = LogOptions { follow: true, ..LogOptions::default() };
    let logs = engine.logs(&target, &follow);
    let events = engine.events(None).await.unwrap();
    let silence = async {
        tokio::select! {
            end = engine.run_in(&target, &command) => panic!("{end:?}"),
            end = session.output.try_collect::<Vec<_>>() => panic!("{end:?}"),
            end = logs.try_collect::<Vec<_>>() => panic!("{end:?}"),
            end = events.try_collect::<Vec<_>>() => panic!("{end:?}"),
            &() = enough.wait() => {}
        }
    };
    timeout(AT_MOST, silence).await.unwrap();
}
