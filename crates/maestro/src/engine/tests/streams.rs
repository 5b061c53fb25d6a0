//! Answers that come in pieces: pulls, output, events, attached programs.

use super::calls::{perform, target};
use super::script::{Asked, OK, Reply, Server, TIMEOUT, chunked, options, ship};
use crate::engine::{DockerEngine, EngineOptions};
use base64::Engine as _;
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use maestro_core::boundary::{AttachOptions, CallOutcome, Engine, LogLine, LogOptions, LogStream, Progress};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::image::ImageRef;
use maestro_core::model::{Retry, Transport};
use maestro_core::names::Secret;
use maestro_core::plan::{EngineCall, RegistryAuth};
use std::sync::Mutex;
use tokio::time::timeout;

pub(super) const END: &str = "0\r\n\r\n";
pub(super) const LAYERS: [&str; 4] = [
    "{\"status\":\"Pulling from shop/web\",\"id\":\"2\"}\r\n",
    "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":5,\"total\":10},\"id\":\"a\"}\r\n",
    "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"a\"}\r\n",
    "{\"status\":\"Status: Downloaded newer image for reg:5000/shop/web:2\"}\r\n",
];

pub(super) fn pull(password: Option<&str>) -> EngineCall {
    let auth = password.map(|password| RegistryAuth {
        registry: "main".into(),
        url: "https://reg:5000".into(),
        username: "ci".into(),
        password: Some(Secret::new(password)),
        email: None,
    });
    EngineCall::PullImage { image: ImageRef::parse("reg:5000/shop/web:2"), auth, retry: Retry::default() }
}

fn login(password: &str) -> EngineCall {
    let EngineCall::PullImage { auth, retry, .. } = pull(Some(password)) else { unreachable!() };
    EngineCall::Login { auth: auth.unwrap(), retry }
}

async fn pulled(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Result<CallOutcome, EngineError> {
    let server = Server::start(move |_| reply()).await;
    perform(&server.engine(), &pull(None)).await
}

#[tokio::test]
async fn a_pull_reports_progress_and_shows_its_login() {
    let server = Server::start(|_| Reply::Stall(chunked(&LAYERS) + END)).await;
    let seen = Mutex::new(Vec::new());
    let engine = server.engine();
    // Bytes that differ between the two alphabets of base64.
    let call = pull(Some("p>>>?\u{ff}~~~"));
    let outcome =
        engine.perform(&call, &|progress: Progress| seen.lock().unwrap().push(progress.percent)).await;
    assert_eq!(outcome, Ok(CallOutcome::Pulled { changed: true }));
    assert_eq!(*seen.lock().unwrap(), [50.0, 100.0]);
    let asked = server.last();
    assert_eq!(asked.line, "POST /v1.41/images/create?fromImage=reg%3A5000%2Fshop%2Fweb&tag=2");
    let header = &asked.headers["x-registry-auth"];
    assert!(header.contains(['-', '_']) && !header.contains(['+', '/']), "{header}");
    let login: serde_json::Value =
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE.decode(header).unwrap()).unwrap();
    assert_eq!(
        login,
        serde_json::json!({"username": "ci", "password": "p>>>?\u{ff}~~~", "serveraddress": "https://reg:5000"})
    );
}

#[tokio::test]
async fn a_pull_without_login_is_anonymous() {
    let up_to_date = "{\"status\":\"Status: Image is up to date for reg:5000/shop/web:2\"}\r\n";
    let server = Server::start(move |_| Reply::Stall(chunked(&[up_to_date]) + END)).await;
    let outcome = perform(&server.engine(), &pull(None)).await;
    assert_eq!(outcome, Ok(CallOutcome::Pulled { changed: false }));
    assert!(!server.last().headers.contains_key("x-registry-auth"));
}

#[tokio::test]
async fn a_pull_may_fail_in_mid_stream() {
    let error = pulled(|| {
        let text = "{\"errorDetail\":{\"message\":\"received unexpected HTTP status: 503 Service Unavailable\"},\"error\":\"x\"}\r\n";
        Reply::Stall(chunked(&[LAYERS[0], text]) + END)
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "ship alpha: pulling reg:5000/shop/web:2: received unexpected HTTP status: 503 Service Unavailable"
    );
    assert!(matches!(error.kind, EngineErrorKind::Registry { status: Some(503), .. }), "{error:?}");
    assert!(error.kind.is_transient() && !error.ambiguous);
}

#[tokio::test]
async fn a_pull_may_be_refused() {
    let denied = pulled(|| {
        Reply::Json(500, r#"{"message":"Get http://reg:5000/v2/x: no basic auth credentials"}"#.into())
    });
    assert_eq!(
        denied.await.unwrap_err().to_string(),
        "ship alpha: pulling reg:5000/shop/web:2: Get http://reg:5000/v2/x: no basic auth credentials (asked without a login)"
    );
    let unauthorized =
        pulled(|| Reply::Json(500, r#"{"message":"unauthorized: authentication required"}"#.into()));
    let kind = unauthorized.await.unwrap_err().kind;
    assert!(matches!(kind, EngineErrorKind::Unauthorized { answered: Some(500), .. }), "{kind:?}");
    let missing =
        pulled(|| Reply::Json(404, r#"{"message":"manifest for x:2 not found: manifest unknown"}"#.into()));
    assert!(matches!(missing.await.unwrap_err().kind, EngineErrorKind::NotFound(_)));
}

/// What stands before the engine, such as a proxy, has nothing to say about the registry.
#[tokio::test]
async fn an_engine_that_is_not_reached_by_its_proxy_is_asked_again() {
    for status in ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Time-out"] {
        let page = format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>");
        let server = Server::start(move |_| Reply::Stall(page.clone())).await;
        for call in [pull(None), login("secret")] {
            let error = perform(&server.engine(), &call).await.unwrap_err();
            assert!(error.kind.is_transient(), "{status}: {error:?}");
        }
    }
    // What the engine says about the registry counts for logins as it does for pulls.
    let server = Server::start(|_| {
        Reply::Json(
            500,
            r#"{"message":"Get https://reg:5000/v2/: dial tcp: connect: connection refused"}"#.into(),
        )
    })
    .await;
    for call in [pull(None), login("secret")] {
        let error = perform(&server.engine(), &call).await.unwrap_err();
        assert!(error.kind.is_transient(), "{error:?}");
    }
    let busy = pulled(|| Reply::Json(500, r#"{"message":"write /a: no space left on device"}"#.into()));
    assert!(!busy.await.unwrap_err().kind.is_transient());
}

#[tokio::test]
async fn a_login_that_cannot_be_looked_up_is_told_only_where_one_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let helper = r#"{"credsStore": "maestro-test-which-does-not-exist"}"#;
    std::fs::write(directory.path().join("config.json"), helper).unwrap();
    let options = || EngineOptions { docker_config: Some(directory.path().to_owned()), ..options() };
    let engine = |server: &Server| {
        let transport = Transport::Tcp { host: "127.0.0.1".into(), port: server.port };
        DockerEngine::new(ship(transport, None), options())
    };
    let public = Server::start(|_| Reply::Stall(chunked(&LAYERS) + END)).await;
    assert_eq!(perform(&engine(&public), &pull(None)).await, Ok(CallOutcome::Pulled { changed: true }));
    assert!(!public.last().headers.contains_key("x-registry-auth"));
    let private =
        Server::start(|_| Reply::Json(500, r#"{"message":"unauthorized: authentication required"}"#.into()));
    let error = perform(&engine(&private.await), &pull(None)).await.unwrap_err().to_string();
    assert!(
        error.contains("authentication required (asked without a login: the credential helper"),
        "{error}"
    );
}

#[tokio::test]
async fn a_pull_that_breaks_off_is_lost() {
    for text in [chunked(&LAYERS[..2]), chunked(&["{\"status\":\"Pull"])] {
        let error = pulled(move || Reply::Close(text.clone())).await.unwrap_err();
        assert!(matches!(error.kind, EngineErrorKind::Lost(_)) && !error.ambiguous, "{error:?}");
    }
}

#[tokio::test]
async fn a_login_names_registry_and_user_when_refused() {
    let login = |password: Option<&str>| {
        let EngineCall::PullImage { auth, retry, .. } = pull(Some(password.unwrap_or_default())) else {
            unreachable!()
        };
        let mut auth = auth.unwrap();
        auth.password = password.map(Secret::new);
        EngineCall::Login { auth, retry }
    };
    let server = Server::start(|asked| {
        if asked.body.contains("secret") {
            Reply::Json(200, r#"{"Status":"Login Succeeded"}"#.into())
        } else {
            Reply::Json(401, r#"{"message":"Get https://reg:5000/v2/: unauthorized"}"#.into())
        }
    })
    .await;
    let engine = server.engine();
    assert_eq!(perform(&engine, &login(Some("secret"))).await, Ok(CallOutcome::Done));
    assert_eq!(server.last().line, "POST /v1.41/auth");
    assert_eq!(
        perform(&engine, &login(Some("wrong"))).await.unwrap_err().to_string(),
        "ship alpha: logging in to https://reg:5000 as ci: https://reg:5000 does not accept the login of ci: \
         Get https://reg:5000/v2/: unauthorized"
    );
    assert_eq!(
        perform(&engine, &login(None)).await.unwrap_err().to_string(),
        "ship alpha: logging in to https://reg:5000 as ci: no password for ci at https://reg:5000: \
         there is none below `registries:` and none in the Docker credential file"
    );
}

fn frame(stream: u8, text: &str) -> String {
    let length = u8::try_from(text.len()).unwrap();
    let head = [stream, 0, 0, 0, 0, 0, 0, length];
    String::from_utf8([&head[..], text.as_bytes()].concat()).unwrap()
}

pub(super) fn inspected(asked: &Asked, terminal: bool) -> Option<Reply> {
    asked.line.ends_with("/json").then(|| {
        let body = format!(
            r#"{{"Image":"sha256:1","State":{{"Status":"running"}},"Config":{{"Image":"i","Tty":{terminal}}}}}"#
        );
        Reply::Json(200, body)
    })
}

async fn logs(engine: &DockerEngine, options: &LogOptions) -> Result<Vec<LogLine>, EngineError> {
    engine.logs(&target(), options).try_collect().await
}

#[tokio::test]
async fn output_comes_in_lines() {
    let text = [
        frame(1, "2026-11-20T10:00:00.000000001Z one\n"),
        frame(2, "2026-11-20T10:00:01.000000000Z oops\n"),
        frame(1, "2026-11-20T10:00:02.000000000Z tw"),
        frame(1, "2026-11-20T10:00:02.500000000Z o\n"),
    ];
    let server = Server::start(move |asked| {
        inspected(asked, false).unwrap_or_else(|| {
            let pieces: Vec<&str> = text.iter().map(String::as_str).collect();
            Reply::Stall(chunked(&pieces) + END)
        })
    })
    .await;
    let options =
        LogOptions { tail: Some(3), follow: false, since: Some("2026-11-20T10:00:00.5Z".parse().unwrap()) };
    let lines = logs(&server.engine(), &options).await.unwrap();
    let texts: Vec<_> =
        lines.iter().map(|l| (l.stream, l.text.as_str(), l.at.unwrap().to_string())).collect();
    assert_eq!(
        texts,
        [
            (LogStream::Stdout, "one", "2026-11-20T10:00:00.000000001Z".to_owned()),
            (LogStream::Stderr, "oops", "2026-11-20T10:00:01Z".to_owned()),
            (LogStream::Stdout, "two", "2026-11-20T10:00:02Z".to_owned()),
        ]
    );
    assert_eq!(
        server.last().line,
        "GET /v1.41/containers/0123456789abcdef/logs?stdout=1&stderr=1&timestamps=1&follow=0&tail=3&since=1795168800.500000000"
    );
}

#[tokio::test]
async fn a_terminals_output_has_no_frames() {
    let server = Server::start(|asked| {
        inspected(asked, true).unwrap_or_else(|| {
            Reply::Close(format!("{OK}\r\n2026-11-20T10:00:00Z \u{1}one\r\n2026-11-20T10:00:01Z two"))
        })
    })
    .await;
    let lines = logs(&server.engine(), &LogOptions::default()).await.unwrap();
    assert_eq!(lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["\u{1}one", "two"]);
}

#[tokio::test]
async fn following_waits_as_long_as_it_takes() {
    let quiet = || Reply::Stall(chunked(&[&frame(1, "2026-11-20T10:00:00Z one\n")]));
    let server = Server::start(move |asked| inspected(asked, false).unwrap_or_else(quiet)).await;
    let engine = server.engine();
    let (target, follow) = (target(), LogOptions { follow: true, ..LogOptions::default() });
    let mut lines = engine.logs(&target, &follow);
    assert_eq!(lines.next().await.unwrap().unwrap().text, "one");
    assert!(timeout(3 * TIMEOUT, lines.next()).await.is_err(), "silence is no error");
    // What is not followed has to come.
    let error = logs(&engine, &LogOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Unresponsive { .. }), "{error}");
}

#[tokio::test]
async fn output_that_breaks_off_is_lost() {
    let broken = || Reply::Close(chunked(&[&frame(1, "2026-11-20T10:00:00Z one\n")]));
    let server = Server::start(move |asked| inspected(asked, false).unwrap_or_else(broken)).await;
    let error = logs(&server.engine(), &LogOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind, EngineErrorKind::Lost(_)), "{error}");
    assert!(
        error.to_string().starts_with("ship alpha: reading the output of web-1: connection lost: "),
        "{error}"
    );
}

#[tokio::test]
async fn events_of_any_kind_are_passed_on() {
    let server = Server::start(|_| {
        let events = [
            "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"a1\",\"Attributes\":{\"exitCode\":\"1\"}},\"time\":1795168800,\"timeNano\":1795168800000000007}\n",
            "{\"Type\":\"hologram\",\"Action\":\"shine\",\"Actor\":{\"ID\":\"h\"},\"time\":1795168801}\n",
        ];
        Reply::Stall(chunked(&events))
    })
    .await;
    let engine = server.engine();
    let events = engine.events(Some("2026-11-20T10:00:00Z".parse().unwrap())).await.unwrap();
    let events: Vec<_> = events.take(2).try_collect().await.unwrap();
    assert_eq!(server.last().line, "GET /v1.41/events?since=1795168800.000000000");
    assert_eq!(events[0].at.to_string(), "2026-11-20T10:00:00.000000007Z");
    assert_eq!((events[0].action.as_str(), events[0].attributes["exitCode"].as_str()), ("die", "1"));
    assert_eq!(
        (events[1].kind.as_str(), events[1].at.to_string().as_str()),
        ("hologram", "2026-11-20T10:00:01Z")
    );
}

pub(super) const UPGRADED: &str = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

pub(super) fn exec(asked: &Asked, output: &str, code: i64) -> Reply {
    match asked.line.as_str() {
        "POST /v1.41/containers/0123456789abcdef/exec" => Reply::Json(201, r#"{"Id":"e1"}"#.into()),
        "POST /v1.41/exec/e1/start" if output.is_empty() => Reply::Echo(UPGRADED.into()),
        "POST /v1.41/exec/e1/start" => Reply::Close(format!("{UPGRADED}{output}")),
        "GET /v1.41/exec/e1/json" => Reply::Json(200, format!(r#"{{"Running":false,"ExitCode":{code}}}"#)),
        _ => Reply::Json(200, String::new()),
    }
}

#[tokio::test]
async fn a_program_is_run_to_its_end() {
    let server = Server::start(|asked| exec(asked, &frame(1, "hello"), 7)).await;
    let code = server.engine().run_in(&target(), &["check".into(), "it".into()]).await;
    assert_eq!(code, Ok(7));
    assert_eq!(
        server.lines()[1..],
        [
            "POST /v1.41/containers/0123456789abcdef/exec",
            "POST /v1.41/exec/e1/start",
            "GET /v1.41/exec/e1/json"
        ]
    );
}

#[tokio::test]
async fn a_program_reads_and_writes() {
    let server = Server::start(|asked| exec(asked, "", 0)).await;
    let engine = server.engine();
    let options = AttachOptions { command: vec!["cat".into()], stdin: true, ..AttachOptions::default() };
    let mut session = engine.attach(&target(), &options).await.unwrap();
    session.input.send(b"over ".to_vec()).await.unwrap();
    session.input.send(b"and out".to_vec()).await.unwrap();
    session.input.close().await.unwrap();
    let output: Vec<_> = session.output.try_collect().await.unwrap();
    let bytes: Vec<u8> = output.into_iter().flat_map(|output| output.bytes).collect();
    assert_eq!(bytes, b"over and out");
    assert_eq!(engine.exit_code(&session.id).await, Ok(0));
}

#[tokio::test]
async fn a_terminal_program_has_a_size() {
    let server = Server::start(|asked| exec(asked, "\u{1}raw", 0)).await;
    let engine = server.engine();
    let options =
        AttachOptions { command: vec!["vi".into()], tty: Some((80, 24)), ..AttachOptions::default() };
    let session = engine.attach(&target(), &options).await.unwrap();
    let output: Vec<_> = session.output.try_collect().await.unwrap();
    assert_eq!(output[0].bytes, b"\x01raw");
    engine.resize(&session.id, 100, 30).await.unwrap();
    let lines = server.lines();
    assert_eq!(lines[3], "POST /v1.41/exec/e1/resize?h=24&w=80");
    assert_eq!(lines[4], "POST /v1.41/exec/e1/resize?h=30&w=100");
}
