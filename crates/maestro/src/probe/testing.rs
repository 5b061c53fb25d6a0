//! What the tests of checks share: somebody who is checked, an HTTP server that says what it was told to say.

use maestro_core::names::InstanceName;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Somebody whose checks these are.
pub(crate) fn instance() -> InstanceName {
    InstanceName::from("web-1")
}

/// What a server does with one connection, once it has read the request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Sends this and closes.
    Send(Vec<u8>),
    /// Sends this and says nothing more, ever.
    Stall(Vec<u8>),
}

/// An answer with a status such as `200 OK`, header lines and a body.
pub(crate) fn answer(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for header in headers {
        text += header;
        text += "\r\n";
    }
    text += "\r\n";
    Answer::Send([text.as_bytes(), body].concat())
}

/// A server on this machine; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Gives the first connection the first answer, and so on; the last answer serves all that follow.
    pub(crate) async fn new(answers: Vec<Answer>) -> Self {
        Self::start(answers, None).await
    }

    /// The same over TLS.
    pub(crate) async fn with_tls(answers: Vec<Answer>, tls: TlsAcceptor) -> Self {
        Self::start(answers, Some(tls)).await
    }

    async fn start(answers: Vec<Answer>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut answers = answers.into_iter();
            let mut answer = answers.next().unwrap();
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (this, tls, seen) = (answer.clone(), tls.clone(), seen.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, this, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, this, &seen).await;
                            }
                        }
                    }
                });
                answer = answers.next().unwrap_or(answer);
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    /// The requests so far, as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer, seen: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    seen.lock().unwrap().push(String::from_utf8(request).unwrap());
    match answer {
        Answer::Send(bytes) => {
            // The other side may have heard enough.
            stream.write_all(&bytes).await.ok();
            stream.shutdown().await.ok();
        }
        Answer::Stall(bytes) => {
            stream.write_all(&bytes).await.unwrap();
            std::future::pending::<()>().await;
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.parse().unwrap());
    body.len() >= length
}
