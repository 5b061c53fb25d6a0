//! A server that answers requests as a test says, and remembers them.

use crate::engine::{DockerEngine, EngineOptions};
use maestro_core::model::{ApiVersion, Ship, Transport};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::SetOnce;
use tokio::task::JoinHandle;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

/// What the server does with a request.
pub(super) enum Reply {
    /// Answers, and keeps the connection open.
    Json(u16, String),
    /// Answers a ping like an engine 20.10.
    Ping,
    /// Writes these bytes and then nothing, with the connection open.
    Stall(String),
    /// Writes the first bytes, waits until it may go on, and writes the others.
    Pause(String, Arc<SetOnce<()>>, String),
    /// Writes these bytes and closes the connection.
    Close(String),
    /// Writes these bytes and hands back whatever comes, in one frame of standard output.
    Echo(String),
}

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
const VERSION: &str =
    r#"{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#;

/// A running server. It ends with the test.
pub(super) struct Server {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers pings and `GET /version` like an engine 20.10, everything else by script.
    pub(super) async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::bare(move |asked| match asked.line.as_str() {
            "GET /_ping" => Reply::Ping,
            "GET /version" => Reply::Json(200, VERSION.into()),
            _ => script(asked),
        })
        .await
    }

    /// Answers everything by script.
    pub(super) async fn bare(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, script) = (asked.clone(), Arc::new(script));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), seen.clone()));
            }
        });
        Self { port, asked, task }
    }

    /// Accepts no further connections; those that there are go on.
    pub(super) fn close(&self) {
        self.task.abort();
    }

    /// The requests so far, as `METHOD PATH`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.line.clone()).collect()
    }

    /// The last request.
    pub(super) fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().cloned().unwrap()
    }

    /// An engine of a ship that is this server.
    pub(super) fn engine(&self) -> DockerEngine {
        engine(self.port, None)
    }
}

/// How long engines of these tests may take to answer.
pub(super) const TIMEOUT: Duration = Duration::from_millis(300);

/// An engine of a ship at a port of the loopback interface.
pub(super) fn engine(port: u16, ceiling: Option<&str>) -> DockerEngine {
    let transport = Transport::Tcp { host: "127.0.0.1".into(), port };
    DockerEngine::new(ship(transport, ceiling), options())
}

pub(super) fn ship(transport: Transport, ceiling: Option<&str>) -> Ship {
    Ship {
        name: "alpha".into(),
        ip: "127.0.0.1".into(),
        transport,
        api_version: ceiling.map(|ceiling| ApiVersion::parse(ceiling).unwrap()),
        timeout: Some(TIMEOUT),
        tags: std::collections::BTreeMap::new(),
    }
}

/// Options that keep the logins of whoever runs the tests out of them.
pub(super) fn options() -> EngineOptions {
    EngineOptions { docker_config: Some("/nonexistent".into()), ..EngineOptions::default() }
}

/// Serves one connection.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Arc<impl Fn(&Asked) -> Reply>,
    seen: Arc<Mutex<Vec<Asked>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream).await {
        let reply = script(&asked);
        seen.lock().unwrap().push(asked);
        match reply {
            Reply::Json(status, body) => {
                let length =
                    if status == 304 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
                let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{length}\r\n");
                _ = stream.write_all((head + &body).as_bytes()).await;
            }
            Reply::Ping => {
                let head = "Api-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: 2";
                _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nOK").as_bytes()).await;
            }
            Reply::Stall(text) => {
                _ = stream.write_all(text.as_bytes()).await;
                _ = stream.flush().await;
                // Until the client hangs up.
                _ = stream.read_to_end(&mut Vec::new()).await;
                return;
            }
            Reply::Pause(text, may_go_on, rest) => {
                _ = stream.write_all(text.as_bytes()).await;
                _ = stream.flush().await;
                may_go_on.wait().await;
                _ = stream.write_all(rest.as_bytes()).await;
            }
            Reply::Close(text) => {
                _ = stream.write_all(text.as_bytes()).await;
                _ = stream.shutdown().await;
                return;
            }
            Reply::Echo(text) => {
                _ = stream.write_all(text.as_bytes()).await;
                let mut input = Vec::new();
                _ = stream.read_to_end(&mut input).await;
                let mut frame = vec![1, 0, 0, 0];
                frame.extend(u32::try_from(input.len()).unwrap().to_be_bytes());
                frame.extend(input);
                _ = stream.write_all(&frame).await;
                _ = stream.shutdown().await;
                return;
            }
        }
        _ = stream.flush().await;
    }
}

async fn read(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Asked> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let line = head.first()?.strip_suffix(" HTTP/1.1")?.to_owned();
    let headers: BTreeMap<String, String> = head[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { line, headers, body: String::from_utf8(body).ok()? })
}

/// A body in chunks, without the end that says it is complete.
pub(super) fn chunked(lines: &[&str]) -> String {
    let mut text = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    for line in lines {
        write!(text, "{:x}\r\n{line}\r\n", line.len()).unwrap();
    }
    text
}
