//! Connections to ports of a host that are no engine's.

use super::classify;
use maestro_core::engine_error::EngineErrorKind;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_util::either::Either;

/// A connection, direct or through SSH.
pub type Connection = Either<TcpStream, UnixStream>;

/// A connection to an address that this machine can reach.
pub(super) async fn direct(host: &str, port: u16, within: Duration) -> Result<TcpStream, EngineErrorKind> {
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    match timeout(within, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(EngineErrorKind::Unreachable { address, cause: classify::words(&error) }),
        Err(_) => Err(EngineErrorKind::Unresponsive { address, after: within }),
    }
}
