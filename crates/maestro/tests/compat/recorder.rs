//! A proxy between a tool and one engine that writes down what the tool asks for, and answers in the engine's place
//! where a case says so.

use super::hook::Told;
use super::stub::Stub;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Body = BoxBody<Bytes, Error>;

/// An answer that the engine does not give itself.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) method: Method,
    /// What the path begins with, without the API version.
    pub(crate) path: String,
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl Rule {
    /// Whether it is about a call of this path, without its API version.
    pub(crate) fn applies(&self, method: &Method, path: &str) -> bool {
        self.method == *method && path.starts_with(&self.path)
    }
}

/// What was asked of the engines of one tool, and told by its auditors, in the order in which it came.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) calls: Vec<Call>,
    pub(crate) told: Vec<Told>,
    /// Names of containers by their ids.
    pub(crate) names: BTreeMap<String, String>,
    pub(crate) rules: Vec<Rule>,
}

/// Who answers what a case does not.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    /// A real engine at this socket.
    Engine(PathBuf),
    /// Nobody real.
    Stub(Arc<Mutex<Stub>>),
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) ship: &'static str,
    pub(crate) method: Method,
    /// Without API version and query.
    pub(crate) path: String,
    /// The API version in the path: `/v1.41`, or nothing.
    pub(crate) version: String,
    /// In the order of the names; what is false by default and said to be false is left out.
    pub(crate) query: BTreeMap<String, String>,
    /// Whether a login came with it.
    pub(crate) login: bool,
    pub(crate) body: Value,
}

impl Call {
    /// Whether it may change something.
    pub(crate) fn writes(&self) -> bool {
        self.method != Method::GET && self.method != Method::HEAD
    }

    /// What it is about: a container, or an image.
    pub(crate) fn subject(&self, names: &BTreeMap<String, String>) -> String {
        let mut parts = self.path.trim_start_matches('/').split('/');
        let subject = match (parts.next(), parts.next()) {
            (Some("containers"), Some("create")) => self.query.get("name").cloned().unwrap_or_default(),
            (Some("containers"), Some(reference)) => named(names, reference).to_owned(),
            (Some("images"), Some("create")) => self.query.get("fromImage").cloned().unwrap_or_default(),
            (Some(first), _) => first.to_owned(),
            (None, _) => String::new(),
        };
        format!("{}/{subject}", self.ship)
    }

    /// In one line, ids replaced by names.
    pub(crate) fn line(&self, names: &BTreeMap<String, String>) -> String {
        let parts: Vec<&str> = self.path.split('/').map(|part| named(names, part)).collect();
        let mut line = format!("{} {} {}", self.ship, self.method, parts.join("/"));
        for (place, (name, value)) in self.query.iter().enumerate() {
            write!(line, "{}{name}={value}", if place == 0 { '?' } else { '&' }).unwrap();
        }
        let of_interest: &[&str] = match parts.as_slice() {
            ["", "auth"] => &["serveraddress", "username"],
            ["", "containers", _, "exec"] => &["Cmd"],
            _ => &[],
        };
        for key in of_interest {
            write!(line, " {key}={}", self.body[key]).unwrap();
        }
        if self.login {
            line.push_str(" (with a login)");
        }
        line
    }
}

/// The name of the container with this id, or with an id that begins so; or what was given.
fn named<'a>(names: &'a BTreeMap<String, String>, reference: &'a str) -> &'a str {
    let is_id = reference.len() >= 12 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = is_id.then(|| names.iter().find(|(id, _)| id.starts_with(reference))).flatten();
    found.map_or(reference, |(_, name)| name)
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorder {
    /// A proxy of the engine at this socket on any free port of loopback.
    pub(crate) async fn start(
        ship: &'static str,
        backend: Backend,
        journal: Arc<Mutex<Journal>>,
    ) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (backend, journal) = (backend.clone(), journal.clone());
                let service = hyper::service::service_fn(move |request| {
                    let (backend, journal) = (backend.clone(), journal.clone());
                    async move {
                        let answer = forward(ship, backend, journal, request).await;
                        Ok::<_, Infallible>(answer.unwrap_or_else(|error| {
                            let mut answer = Response::new(whole(format!("recorder: {error}")));
                            *answer.status_mut() = StatusCode::BAD_GATEWAY;
                            answer
                        }))
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                // How a tool ends a conversation is its business.
                tokio::spawn(async move { connection.await.ok() });
            }
        });
        Recorder { address, task }
    }
}

/// In chunks, as engines send what goes on: their clients look at that.
fn chunked(text: String) -> Body {
    StreamBody::new(futures_util::stream::iter([Ok(Frame::data(text.into()))])).boxed()
}

fn whole(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(Into::into).boxed()
}

/// The path without the API version.
fn unversioned(path: &str) -> &str {
    let rest =
        path.strip_prefix("/v").and_then(|rest| rest.split_once('/').map(|(version, _)| version.len()));
    match rest {
        Some(length) if path.as_bytes()[2].is_ascii_digit() => &path[2 + length..],
        _ => path,
    }
}

fn parse_query(query: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| {
        let value = decode(value);
        let value = match value.as_str() {
            "True" | "true" => "1".to_owned(),
            "False" | "false" => "0".to_owned(),
            _ => value,
        };
        (decode(name), value)
    });
    // What is not said is false.
    pairs.filter(|(name, value)| !(value == "0" && matches!(name.as_str(), "v" | "link" | "force"))).collect()
}

async fn forward(
    ship: &'static str,
    backend: Backend,
    journal: Arc<Mutex<Journal>>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Error> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = unversioned(head.uri.path()).to_owned();
    let version = head.uri.path().strip_suffix(path.as_str()).unwrap_or_default().to_owned();
    let call = Call {
        ship,
        method: head.method.clone(),
        query: parse_query(head.uri.query().unwrap_or_default()),
        login: head.headers.contains_key("x-registry-auth"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        path: path.clone(),
        version,
    };
    let name = (path == "/containers/create").then(|| call.query.get("name").cloned()).flatten();
    let rule = {
        let mut journal = journal.lock().unwrap();
        let rule = journal.rules.iter().find(|rule| rule.applies(&call.method, &path)).cloned();
        journal.calls.push(call.clone());
        rule
    };
    if let Some(rule) = rule {
        return Ok(Response::builder()
            .status(rule.status)
            .header("Content-Type", "application/json")
            // In chunks, as engines do: their clients look at that.
            .body(
                StreamBody::new(futures_util::stream::iter([Ok(Frame::data(rule.body.into()))])).boxed(),
            )?);
    }
    let engine = match backend {
        Backend::Engine(engine) => engine,
        Backend::Stub(stub) => {
            let (status, answer) = stub.lock().unwrap().answer(&call);
            if let (Some(name), Some(id)) = (name, answer["Id"].as_str()) {
                journal.lock().unwrap().names.insert(id.to_owned(), name);
            }
            let body = if answer.is_null() { String::new() } else { answer.to_string() };
            return Ok(Response::builder()
                .status(status)
                .header("Content-Type", "application/json")
                .header("Api-Version", "1.41")
                .body(if call.path == "/images/create" { chunked(body) } else { whole(body) })?);
        }
    };
    let stream = UnixStream::connect(engine).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move { connection.with_upgrades().await.ok() });
    let mut answer = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let other = hyper::upgrade::on(&mut answer);
        tokio::spawn(async move {
            if let (Ok(tool), Ok(engine)) = (upgrade.await, other.await) {
                tokio::io::copy_bidirectional(&mut TokioIo::new(tool), &mut TokioIo::new(engine)).await.ok();
            }
        });
    }
    let Some(name) = name else { return Ok(answer.map(|body| body.map_err(Into::into).boxed())) };
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    let said: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    if let Some(id) = said["Id"].as_str() {
        journal.lock().unwrap().names.insert(id.to_owned(), name);
    }
    Ok(Response::from_parts(head, whole(body)))
}
