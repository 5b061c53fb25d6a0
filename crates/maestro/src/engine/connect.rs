//! Opens connections to one engine, by whichever transport its ship has. Pooling is the HTTP client's.

use super::ssh::Ssh;
use super::tls::Tls;
use super::{Shared, classify};
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::model::{Ship, Transport};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_util::either::Either;
use tower_service::Service;

/// After this much silence the system asks whether the other side is still there, every [`KEEPALIVE_INTERVAL`]. Quiet
/// streams (`logs --follow`, `events`) have no deadline of their own; this is what ends them when a host is cut off. After
/// the same time the engine itself is asked, see [`super::liveness`].
pub(super) const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// Opens connections to the engine of one ship.
pub(super) struct Dialer {
    /// What is dialled, as messages name it.
    pub(super) address: String,
    route: Route,
    connect: Duration,
}

enum Route {
    Tcp { tcp: HttpConnector, host: Arc<str>, port: u16 },
    Tls { tcp: HttpConnector, host: Arc<str>, port: u16, tls: Tls },
    Unix { path: Arc<str> },
    Ssh(Box<Ssh>),
}

impl Dialer {
    /// For a ship. Nothing is opened yet.
    pub(super) fn new(ship: &Ship, shared: &Shared, connect: Duration) -> Self {
        let route = match &ship.transport {
            Transport::Tcp { host, port } => Route::Tcp { tcp: tcp(), host: host.clone(), port: *port },
            Transport::Tls { host, port, identity, trust } => Route::Tls {
                tcp: tcp(),
                host: host.clone(),
                port: *port,
                tls: Tls::new(host.clone(), identity.clone(), trust.clone(), shared.roots.clone()),
            },
            Transport::Unix { path } => Route::Unix { path: path.clone() },
            Transport::Ssh { host, port, user, key, remote } => Route::Ssh(Box::new(Ssh::new(
                super::ssh::Login { host: host.clone(), port: *port, user: user.clone(), key: key.clone() },
                remote.clone(),
                ship.transport.to_string(),
                connect,
                &shared.options,
            ))),
        };
        Self { address: ship.transport.to_string(), route, connect }
    }

    /// The authority of request addresses, which is also the `Host` header.
    pub(super) fn authority(&self) -> String {
        match &self.route {
            Route::Tcp { host, port, .. } | Route::Tls { host, port, .. } => authority(host, *port),
            Route::Unix { .. } | Route::Ssh(_) => "docker".to_owned(),
        }
    }

    /// A connection to a port of the ship: through SSH if that is how the ship is reached, else to its address.
    pub(super) async fn dial_port(
        &self,
        outside: &str,
        inside: &str,
        port: u16,
    ) -> Result<super::Connection, EngineErrorKind> {
        match &self.route {
            Route::Ssh(ssh) => Ok(Either::Right(ssh.open_to(inside, port).await?)),
            Route::Tcp { .. } | Route::Tls { .. } | Route::Unix { .. } => {
                Ok(Either::Left(super::forward::direct(outside, port, self.connect).await?))
            }
        }
    }

    /// A new connection, ready for HTTP.
    async fn dial(&self) -> Result<Stream, EngineErrorKind> {
        match &self.route {
            Route::Tcp { tcp, host, port } => Ok(Stream::new(self.tcp(tcp, host, *port).await?)),
            Route::Tls { tcp, host, port, tls } => {
                let connector = tls.connector().await?;
                let stream = self.tcp(tcp, host, *port).await?;
                match timeout(self.connect, connector.handshake(stream)).await {
                    Ok(Ok(stream)) => Ok(Stream::new(stream)),
                    Ok(Err(error)) => Err(classify::handshake(&self.address, &error)),
                    Err(_) => Err(self.unresponsive(self.connect)),
                }
            }
            Route::Unix { path } => match timeout(self.connect, UnixStream::connect(&**path)).await {
                Ok(Ok(stream)) => Ok(Stream::new(stream)),
                Ok(Err(error)) => Err(classify::dialling(&self.address, &error)),
                Err(_) => Err(self.unresponsive(self.connect)),
            },
            Route::Ssh(ssh) => Ok(Stream::new(ssh.open().await?)),
        }
    }

    async fn tcp(
        &self,
        connector: &HttpConnector,
        host: &str,
        port: u16,
    ) -> Result<TcpStream, EngineErrorKind> {
        let address = Uri::builder()
            .scheme("http")
            .authority(authority(host, port))
            .path_and_query("/")
            .build()
            .map_err(|_| EngineErrorKind::Settings(format!("`{host}` is not a host name or address")))?;
        match timeout(self.connect, connector.clone().call(address)).await {
            Ok(Ok(stream)) => Ok(stream.into_inner()),
            Ok(Err(error)) => Err(classify::dialling(&self.address, &error)),
            Err(_) => Err(EngineErrorKind::Unreachable {
                address: self.address.clone(),
                cause: format!("nothing answers there within {} s", self.connect.as_secs_f64()),
            }),
        }
    }

    /// What a program writes that is run on the engine's host; half a sentence if it cannot be run.
    pub(super) async fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        match &self.route {
            Route::Ssh(ssh) => ssh.output_of(program, arguments).await,
            Route::Tcp { .. } | Route::Tls { .. } | Route::Unix { .. } => {
                Err("there is no SSH connection to its host".to_owned())
            }
        }
    }

    /// The engine did not answer in time.
    pub(super) fn unresponsive(&self, after: Duration) -> EngineErrorKind {
        EngineErrorKind::Unresponsive { address: self.address.clone(), after }
    }

    /// Looks for a better reason why a connection broke: with SSH, the far end's is in the log of `ssh`.
    pub(super) async fn explain(&self, kind: EngineErrorKind) -> EngineErrorKind {
        match &self.route {
            Route::Ssh(ssh) => ssh.explain(kind).await,
            Route::Tcp { .. } | Route::Tls { .. } | Route::Unix { .. } => kind,
        }
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    tcp
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// What the HTTP client asks for connections.
#[derive(Clone)]
pub(super) struct Connector(pub(super) Arc<Dialer>);

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = EngineErrorKind;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dialer = self.0.clone();
        Box::pin(async move { dialer.dial().await.map(TokioIo::new) })
    }
}

/// A connection to an engine.
pub(super) struct Stream(Box<dyn Duplex>);

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Stream {
    fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
