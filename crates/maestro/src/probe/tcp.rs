//! The check that something accepts connections. No proxy is asked: the question is whether this port answers.

use super::{Attempt, Budget, Fault, address, retry, seconds, words};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, select_ok};
use maestro_core::boundary::CheckFailure;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one try may take, with the look-up of the name.
const LIMIT: Duration = Duration::from_secs(1);

/// Tries to connect.
pub(super) async fn check(host: &str, port: u16, attempts: u32) -> Result<(), CheckFailure> {
    let what = format!("tcp {}", address(host, port));
    retry(what, Budget::Tries(attempts), Door { host, port, lookup: None }).await
}

/// Where to connect, by name or number.
struct Door<'a> {
    host: &'a str,
    port: u16,
    /// A look-up that has begun. It outlives the try that began it: a slow resolver needs more than a second, and each
    /// look-up given up would go on to occupy a thread.
    lookup: Option<BoxFuture<'a, io::Result<Vec<SocketAddr>>>>,
}

impl Attempt for Door<'_> {
    async fn attempt(&mut self) -> Result<(), Fault> {
        let result = match timeout(LIMIT, self.connect()).await {
            Ok(result) => result,
            Err(_) if self.lookup.is_some() => {
                Err(format!("the name `{}` was not resolved within {}", self.host, seconds(LIMIT)))
            }
            Err(_) => Err(format!("no answer within {}", seconds(LIMIT))),
        };
        result.map_err(Fault::Passing)
    }
}

impl Door<'_> {
    async fn connect(&mut self) -> Result<(), String> {
        let (host, port) = (self.host, self.port);
        let lookup = self.lookup.get_or_insert_with(|| {
            async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }.boxed()
        });
        let found = lookup.await;
        self.lookup = None;
        let addresses = found.map_err(|e| format!("cannot resolve `{host}`: {}", words(&e)))?;
        if addresses.is_empty() {
            return Err(format!("the name `{host}` has no address"));
        }
        // All at once: an address that swallows packets must not use up the second of one that answers.
        match select_ok(addresses.into_iter().map(|a| TcpStream::connect(a).boxed())).await {
            Ok(_) => Ok(()),
            Err(error) => Err(words(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::probe::SystemProbe;
    use crate::probe::testing::instance;
    use maestro_core::boundary::{CheckFailure, Probe as _};
    use maestro_core::model::Check;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::net::TcpSocket;
    use tokio::time::Instant;

    /// A port that is ours and refuses connections until somebody listens.
    fn reserved() -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    async fn check(host: &str, port: u16, attempts: u32) -> (Result<(), CheckFailure>, Duration) {
        let begin = Instant::now();
        let check = Check::Tcp { host: host.into(), port, picked: None, attempts };
        (SystemProbe::new().check(&instance(), &check, None).await, begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_tried_again() {
        let (_socket, address) = reserved();
        let (result, took) = check("127.0.0.1", address.port(), 4).await;
        assert_eq!(
            result.unwrap_err().to_string(),
            format!("tcp {address} check failed after 4 attempts: connection refused")
        );
        assert_eq!(took, Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn passes_as_soon_as_somebody_listens() {
        let (socket, address) = reserved();
        let server = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(2500)).await;
            let listener = socket.listen(8).unwrap();
            listener.accept().await.unwrap();
        });
        let (result, took) = check("127.0.0.1", address.port(), 180).await;
        assert_eq!((result, took), (Ok(()), Duration::from_secs(3)));
        tokio::time::timeout(Duration::from_mins(1), server).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_costs_a_second_a_try() {
        // A full backlog: the kernel drops what else wants to connect.
        let (socket, address) = reserved();
        let listener = socket.listen(1).unwrap();
        let mut waiting = Vec::new();
        let limit = Duration::from_millis(200);
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, limit) {
            waiting.push(stream);
            assert!(waiting.len() < 64, "the backlog never fills");
        }
        let (result, took) = check("127.0.0.1", address.port(), 3).await;
        assert_eq!(
            result.unwrap_err().to_string(),
            format!("tcp {address} check failed after 3 attempts: no answer within 1 s")
        );
        assert_eq!(took, Duration::from_secs(5));
        drop(listener);
    }

    #[tokio::test]
    async fn a_name_is_looked_up() {
        let (socket, address) = reserved();
        let _listener = socket.listen(8).unwrap();
        assert_eq!(check("localhost", address.port(), 60).await.0, Ok(()));
        // Too long for a name: the resolver refuses it without asking anybody.
        let failure = check(&"x".repeat(300), 80, 1).await.0.unwrap_err();
        assert!(failure.last.starts_with("cannot resolve `xxx"), "{failure}");
    }
}
