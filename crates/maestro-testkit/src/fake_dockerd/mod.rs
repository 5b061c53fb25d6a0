//! The face of a pretended engine that real clients see: Docker's HTTP API on TCP, TLS or a unix socket.
//!
//! What it says, and in which words, was compared with Docker Engine 20.10 and 28.5. It is strict where they are
//! not: unknown parameters and fields are refused.

mod answer;
mod archive;
mod containers;
mod describe;
mod exec;
mod images;
mod listen;
mod pki;
mod query;
mod route;
mod stream;

pub(crate) use images::DATA_ROOT;
pub use listen::At;
pub use pki::Pki;

use crate::daemon::{Daemon, Setup};
use crate::faults::Faults;
use listen::Listener;
use maestro_core::model::{Identity, Transport, Trust};
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A pretended dockerd that listens. It goes when it is dropped. Everything that [`Daemon`] can do can be done with
/// it too.
#[derive(Debug)]
pub struct FakeDockerd {
    daemon: Arc<Daemon>,
    at: At,
    stop: CancellationToken,
}

impl Deref for FakeDockerd {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl Drop for FakeDockerd {
    fn drop(&mut self) {
        self.stop.cancel();
        if let At::Unix(path) = &self.at {
            // Whoever made the directory may have removed it.
            _ = std::fs::remove_file(path);
        }
    }
}

impl FakeDockerd {
    /// Listens, and answers from now on in tasks of the present runtime. Port 0 is any free port.
    pub fn serve(setup: Setup, at: At) -> io::Result<Self> {
        let listener = Listener::bind(&at)?;
        let at = at.bound(&listener)?;
        let daemon = setup.address(&at.to_string()).build();
        Ok(Self::start(daemon, listener, at))
    }

    /// Gives an engine that may have other faces this one.
    pub fn over(daemon: Arc<Daemon>, at: At) -> io::Result<Self> {
        let listener = Listener::bind(&at)?;
        let at = at.bound(&listener)?;
        Ok(Self::start(daemon, listener, at))
    }

    fn start(daemon: Arc<Daemon>, listener: Listener, at: At) -> Self {
        let stop = CancellationToken::new();
        tokio::spawn(listen::keep(daemon.clone(), listener, at.clone(), stop.clone()));
        Self { daemon, at, stop }
    }

    /// Where it listens.
    pub fn at(&self) -> &At {
        &self.at
    }

    /// The TCP address on which it listens, if it does.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.at {
            At::Tcp(address) | At::Tls(address, _) => Some(*address),
            At::Unix(_) => None,
        }
    }

    /// Nothing goes wrong any more. It listens again when this is over.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub async fn recover(&self) {
        self.daemon.set_faults(Faults::none());
        let listens = async {
            while !self.is_listening() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_mins(1), listens).await;
        assert!(waited.is_ok(), "{} is not listened at again", self.at);
    }

    fn is_listening(&self) -> bool {
        match &self.at {
            At::Tcp(address) | At::Tls(address, _) => std::net::TcpStream::connect(address).is_ok(),
            At::Unix(path) => std::os::unix::net::UnixStream::connect(path).is_ok(),
        }
    }

    /// What is behind it.
    pub fn daemon(&self) -> &Arc<Daemon> {
        &self.daemon
    }

    /// How a ship of an environment says that its engine is reached here.
    pub fn transport(&self) -> Transport {
        match &self.at {
            At::Tcp(address) => {
                Transport::Tcp { host: address.ip().to_string().into(), port: address.port() }
            }
            At::Tls(address, pki) => Transport::Tls {
                host: address.ip().to_string().into(),
                port: address.port(),
                identity: Some(Identity {
                    cert: pki.client_cert().to_string_lossy().into(),
                    key: pki.client_key().to_string_lossy().into(),
                    optional: false,
                }),
                trust: Trust::File(pki.ca().to_string_lossy().into()),
            },
            At::Unix(path) => Transport::Unix { path: path.to_string_lossy().into() },
        }
    }
}
