//! One HTTP request over one connection, to an engine or the registry, with a deadline.

use super::error::FleetError;
use http::header::{CONTENT_LENGTH, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Where to connect.
#[derive(Debug, Clone)]
pub enum Peer {
    /// A unix socket.
    Unix(PathBuf),
    /// Plain TCP.
    Tcp(SocketAddr),
    /// TLS over TCP; the server's certificate must be for the address.
    Tls(SocketAddr, Arc<rustls::ClientConfig>),
}

impl std::fmt::Display for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Peer::Tcp(address) => write!(formatter, "tcp://{address}"),
            Peer::Tls(address, _) => write!(formatter, "tls://{address}"),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

/// A request to be sent: method, path with query, further headers, body.
#[derive(Debug, Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) headers: Vec<(&'a str, String)>,
    pub(crate) body: Bytes,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(method: Method, path: &'a str) -> Ask<'a> {
        Ask { method, path, headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn header(mut self, name: &'a str, value: impl Into<String>) -> Ask<'a> {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Ask<'a> {
        self.body = body.into();
        self
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Sends one request and reads the whole answer, whatever its status, within the deadline.
pub(crate) async fn exchange(peer: &Peer, ask: Ask<'_>, deadline: Duration) -> Result<Answer, FleetError> {
    let request = format!("{} {}", ask.method, ask.path);
    match tokio::time::timeout(deadline, connect_and_send(peer, ask)).await {
        Ok(answer) => {
            answer.map_err(|source| FleetError::Exchange { peer: peer.to_string(), request, source })
        }
        Err(_) => Err(FleetError::Deadline {
            what: format!("{request} on {peer} was not answered"),
            waited: deadline,
            detail: String::new(),
        }),
    }
}

async fn connect_and_send(peer: &Peer, ask: Ask<'_>) -> Result<Answer, Cause> {
    match peer {
        Peer::Unix(path) => send(UnixStream::connect(path).await?, "engine", ask).await,
        Peer::Tcp(address) => send(TcpStream::connect(address).await?, &address.to_string(), ask).await,
        Peer::Tls(address, config) => {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::IpAddress(address.ip().into());
            let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
            send(stream, &address.to_string(), ask).await
        }
    }
}

async fn send<S>(stream: S, host: &str, ask: Ask<'_>) -> Result<Answer, Cause>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::builder()
        .method(ask.method)
        .uri(ask.path)
        .header(HOST, host)
        .header(CONTENT_LENGTH, ask.body.len());
    for (name, value) in ask.headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(ask.body))?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok::<Answer, Cause>(Answer { status: head.status, headers: head.headers, body })
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end once the last byte of the answer is in, before that is looked at.
        _ = connection => answer.await,
    }
}
