//! Asking a front end which generation it serves: through itself, and over a new connection each time, because one that
//! stands may be that of a process which is being replaced.

use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use maestro_core::balance::Generation;
use maestro_core::boundary::FrontEndError;
use maestro_core::model::Balancer;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// How long one answer may take.
pub(super) const ASKING: Duration = Duration::from_secs(3);
/// No answer of ours is longer.
const LONGEST: usize = 1024;

/// Asks over a connection that was opened for it.
pub(super) async fn ask(
    connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Option<Generation>, FrontEndError> {
    match timeout(ASKING, exchange(connection)).await {
        Ok(Ok(text)) => Ok(Generation::parse(&text)),
        Ok(Err(error)) => Err(FrontEndError::Unreachable(error.to_string())),
        Err(_) => Err(FrontEndError::Unreachable(format!("no answer within {} s", ASKING.as_secs()))),
    }
}

/// The body of a good answer, and nothing of any other.
async fn exchange(
    connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(connection)).await?;
    let request = Request::get(Balancer::STATUS_PATH)
        .header(HOST, "maestro")
        .header(USER_AGENT, concat!("maestro/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Ok(String::new());
        }
        let body = Limited::new(answer.into_body(), LONGEST).collect().await?.to_bytes();
        Ok(String::from_utf8_lossy(&body).into_owned())
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end once the last byte of the answer is in, before that is looked at.
        _ = driver => answer.await,
    }
}
