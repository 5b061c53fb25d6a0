//! A small HTTP server that answers everything with its name: what stands behind a load balancer in tests.

use http::Response;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A server on a port of its own, which ends when it is dropped: at once, with all that it was doing.
#[derive(Debug)]
pub struct Backend {
    address: SocketAddr,
    served: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Backend {
    /// Starts one that takes so long for each answer.
    pub async fn start(name: &str, takes: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let served = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(serve(listener, Bytes::from(name.to_owned()), takes, Arc::clone(&served)));
        Ok(Self { address, served, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has answered.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, name: Bytes, takes: Duration, served: Arc<AtomicU64>) {
    // Connections end with the server.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let (name, served) = (name.clone(), Arc::clone(&served));
        connections.spawn(async move {
            let answer = service_fn(move |_| {
                let (name, served) = (name.clone(), Arc::clone(&served));
                async move {
                    tokio::time::sleep(takes).await;
                    served.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Infallible>(Response::new(Full::new(name)))
                }
            });
            // What is broken off is the other side's business to tell.
            http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.ok();
        });
    }
}
