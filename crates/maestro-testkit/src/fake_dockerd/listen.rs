//! Listening, and not listening while the engine is down.

use crate::daemon::Daemon;
use crate::fake_dockerd::answer::Letterhead;
use crate::fake_dockerd::pki::Pki;
use crate::fake_dockerd::route;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Where a pretended dockerd listens.
#[derive(Debug, Clone)]
pub enum At {
    /// Plain HTTP.
    Tcp(SocketAddr),
    /// HTTP over TLS, for clients with a certificate of this authority.
    Tls(SocketAddr, Arc<Pki>),
    /// A unix socket; what was there is replaced.
    Unix(PathBuf),
}

impl At {
    /// Any free port of 127.0.0.1.
    pub fn loopback() -> Self {
        At::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same, with the port that it really is.
    pub(crate) fn bound(self, listener: &Listener) -> io::Result<Self> {
        Ok(match (self, listener) {
            (At::Tcp(_), Listener::Tcp(tcp)) => At::Tcp(tcp.local_addr()?),
            (At::Tls(_, pki), Listener::Tcp(tcp)) => At::Tls(tcp.local_addr()?, pki),
            (at, _) => at,
        })
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Tcp(address) | At::Tls(address, _) => write!(f, "{address}"),
            At::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    pub(crate) fn bind(at: &At) -> io::Result<Self> {
        match at {
            At::Tcp(address) | At::Tls(address, _) => {
                let socket = match address {
                    SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
                    SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
                };
                socket.set_reuseaddr(true)?;
                socket.bind(*address)?;
                Ok(Listener::Tcp(socket.listen(1024)?))
            }
            At::Unix(path) => {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                UnixListener::bind(path).map(Listener::Unix)
            }
        }
    }

    async fn accept(&self) -> io::Result<Connection> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Connection::Tcp(stream))
            }
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| Connection::Unix(stream)),
        }
    }
}

/// How often an engine that may go down by the clock looks at it.
const LOOK: Duration = Duration::from_millis(5);

/// Accepts connections while the engine is up; closes everything while it is down.
pub(crate) async fn keep(daemon: Arc<Daemon>, first: Listener, at: At, stop: CancellationToken) {
    let letterhead = Arc::new(Letterhead::of(&daemon));
    let tls = match &at {
        At::Tls(_, pki) => Some(TlsAcceptor::from(pki.server_config())),
        At::Tcp(_) | At::Unix(_) => None,
    };
    let mut listener = Some(first);
    let mut up = stop.child_token();
    loop {
        let faults_changed = daemon.faults_changed();
        if daemon.is_down() {
            listener = None;
            up.cancel();
        } else if listener.is_none() {
            // Somebody else may have taken the port for a moment.
            listener = Listener::bind(&at).ok();
            up = stop.child_token();
        }
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        let look = async {
            if listener.is_none() || daemon.may_go_down() {
                tokio::time::sleep(LOOK).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            accepted = accept => match accepted {
                Ok(connection) => {
                    let (daemon, letterhead, tls) = (daemon.clone(), letterhead.clone(), tls.clone());
                    let up = up.clone();
                    tokio::spawn(async move {
                        tokio::select! {
                            () = up.cancelled() => {}
                            () = converse(daemon, letterhead, connection, tls) => {}
                        }
                    });
                }
                // Too many files are open: some will be closed.
                Err(_) => tokio::time::sleep(LOOK).await,
            },
            () = faults_changed => {}
            () = look => {}
            () = stop.cancelled() => break,
        }
    }
}

async fn converse(
    daemon: Arc<Daemon>,
    letterhead: Arc<Letterhead>,
    connection: Connection,
    tls: Option<TlsAcceptor>,
) {
    match (connection, tls) {
        (Connection::Tcp(stream), None) => speak(daemon, letterhead, stream).await,
        (Connection::Unix(stream), _) => speak(daemon, letterhead, stream).await,
        (Connection::Tcp(stream), Some(tls)) => {
            if let Ok(stream) = tls.accept(stream).await {
                speak(daemon, letterhead, stream).await;
            }
        }
    }
}

async fn speak<S>(daemon: Arc<Daemon>, letterhead: Arc<Letterhead>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| route::serve(daemon.clone(), letterhead.clone(), request));
    // How a conversation ends is its client's business.
    _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}
