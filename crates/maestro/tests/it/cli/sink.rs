//! Servers that auditors tell something: they write down every request, and answer as they are told to.

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What a sink says to a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// A status, header lines and a body.
    Says(&'static str, &'static [&'static str], &'static str),
    /// Nothing, ever.
    Silence,
}

pub(super) const OK: Reply = Reply::Says("200 OK", &[], "");

/// A server on loopback that ends when it is dropped.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    _task: JoinSet<()>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// `POST /x HTTP/1.1` and the headers.
    pub(super) head: String,
    pub(super) body: String,
}

impl Sink {
    /// Gives the first request the first reply, and so on; the last serves all that follow.
    pub(super) async fn new(replies: Vec<Reply>) -> Self {
        Self::start(replies, None).await
    }

    /// A proxy that is itself what is asked for behind it, whatever that is: with its certificate, in PEM.
    pub(super) async fn in_place_of(name: &str, replies: Vec<Reply>) -> (Self, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        (Self::start(replies, Some(TlsAcceptor::from(Arc::new(config)))).await, authority.pem())
    }

    async fn start(replies: Vec<Reply>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let replies = Arc::new(Mutex::new(replies.into_iter().rev().collect()));
        let seen = requests.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(connection(stream, tls.clone(), replies.clone(), seen.clone()));
            }
        });
        Self { address, requests, _task: task }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// What was sent, in the order in which it came.
    pub(super) fn bodies(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.body).collect()
    }
}

/// What is left to say, the next at the end.
type Replies = Arc<Mutex<Vec<Reply>>>;

async fn connection(
    mut stream: TcpStream,
    tls: Option<TlsAcceptor>,
    replies: Replies,
    seen: Arc<Mutex<Vec<Request>>>,
) {
    match tls {
        None => while serve(&mut stream, &replies, &seen).await.is_some() {},
        Some(tls) => {
            let Some(asked) = read(&mut stream).await else { return };
            assert!(asked.head.starts_with("CONNECT "), "{asked:?}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            if let Ok(mut stream) = tls.accept(stream).await {
                while serve(&mut stream, &replies, &seen).await.is_some() {}
            }
        }
    }
}

async fn serve(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    replies: &Replies,
    seen: &Mutex<Vec<Request>>,
) -> Option<()> {
    let request = read(stream).await?;
    seen.lock().unwrap().push(request);
    let reply = {
        let mut replies = replies.lock().unwrap();
        if replies.len() > 1 { replies.pop().unwrap() } else { replies[0].clone() }
    };
    match reply {
        Reply::Says(status, headers, body) => {
            let headers = headers.iter().fold(String::new(), |all, header| all + header + "\r\n");
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).await.ok()
        }
        Reply::Silence => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            None
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, length)| length.parse().unwrap());
            if body.len() >= length {
                return Some(Request { head: head.to_owned(), body: body.to_owned() });
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
