//! Answers as dockerd gives them.

use crate::daemon::{Daemon, Trouble};
use crate::state::{Edition, Refusal};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Makes hyper close the connection without an answer, or in the middle of one.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
pub(crate) struct Cut;

/// A body that is there, or that comes piece by piece.
pub(crate) type Body = Either<Full<Bytes>, http_body_util::combinators::UnsyncBoxBody<Bytes, Cut>>;

/// An answer that has been decided on: also a refusal is one.
pub(crate) type Answer = Result<Response<Body>, Trouble>;

/// The body of whatever is there already.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(whole(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let mut bytes = serde_json::to_vec(value).map_err(|e| Refusal::failed(e.to_string()))?;
    bytes.push(b'\n');
    let mut answer = Response::new(whole(bytes));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

/// The answer to a request that is refused.
pub(crate) fn refusal(no: &Refusal) -> Answer {
    #[derive(Serialize)]
    struct Message<'a> {
        message: &'a str,
    }
    let status = StatusCode::from_u16(no.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, &Message { message: &no.message })
}

/// An answer whose body comes from a task that ends when nobody reads it any more.
pub(crate) fn feed<F>(write: impl FnOnce(Pen) -> F) -> Response<Body>
where
    F: Future<Output = Result<(), Cut>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(64);
    let pen = Pen(sender.clone());
    let writing = write(pen);
    let task = tokio::spawn(async move {
        if writing.await.is_err() {
            _ = sender.send(Err(Cut)).await;
        }
    });
    let pages = Pages { receiver, task };
    Response::new(Either::Right(BodyExt::boxed_unsync(StreamBody::new(pages))))
}

/// Writes a body piece by piece.
#[derive(Debug, Clone)]
pub(crate) struct Pen(mpsc::Sender<Result<Bytes, Cut>>);

impl Pen {
    /// Writes a piece; an error means that nobody reads any more.
    pub(crate) async fn write(&self, bytes: impl Into<Bytes>) -> Result<(), Cut> {
        self.0.send(Ok(bytes.into())).await.map_err(|_| Cut)
    }

    /// Writes one JSON record and a line end.
    pub(crate) async fn line(&self, value: &impl Serialize) -> Result<(), Cut> {
        let mut bytes = serde_json::to_vec(value).map_err(|_| Cut)?;
        bytes.extend(b"\r\n");
        self.write(bytes).await
    }
}

struct Pages {
    receiver: mpsc::Receiver<Result<Bytes, Cut>>,
    task: tokio::task::JoinHandle<()>,
}

impl futures_util::Stream for Pages {
    type Item = Result<Frame<Bytes>, Cut>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx).map(|page| page.map(|page| page.map(Frame::data)))
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What every answer says about its engine.
#[derive(Debug, Clone)]
pub(crate) struct Letterhead {
    server: HeaderValue,
    api: HeaderValue,
    builder: bool,
}

impl Letterhead {
    pub(crate) fn of(daemon: &Daemon) -> Self {
        let edition = daemon.look(crate::state::Machine::edition);
        let version = edition.version();
        let text = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("fake"));
        Self {
            server: text(format!("Docker/{} (linux)", version.engine)),
            api: text(version.api.to_string()),
            builder: edition == Edition::V28,
        }
    }

    pub(crate) fn put_on(&self, answer: &mut Response<Body>, is_ping: bool) {
        let headers = answer.headers_mut();
        headers.insert("Api-Version", self.api.clone());
        headers.insert("Docker-Experimental", HeaderValue::from_static("false"));
        headers.insert("Ostype", HeaderValue::from_static("linux"));
        headers.insert("Server", self.server.clone());
        if is_ping {
            headers.insert("Cache-Control", HeaderValue::from_static("no-cache, no-store, must-revalidate"));
            headers.insert("Pragma", HeaderValue::from_static("no-cache"));
            if self.builder {
                headers.insert("Builder-Version", HeaderValue::from_static("2"));
                headers.insert("Swarm", HeaderValue::from_static("inactive"));
            }
        }
    }
}
