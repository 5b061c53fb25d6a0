//! Sends requests to one engine: pooled connections, the version in the path, a clock per call, refusals as errors.
//!
//! The API's types come from bollard's models; its client does not fit (`docs/design/0009`).

use super::classify;
use super::connect::{Connector, Dialer};
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, BodyStream, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::model::ApiVersion;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::io::StreamReader;

/// A connection that nobody needs is closed after this time: sooner than anything on the way forgets it.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// No answer may be larger: a list of 100,000 containers is a tenth of this.
const LARGEST_ANSWER: usize = 1 << 30;
/// Nor a line of an answer that comes in lines.
const LONGEST_LINE: usize = 1 << 20;
/// Nor the text of a refusal.
const LARGEST_REFUSAL: usize = 1 << 16;
/// All that means something in an address, or may come to.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A name or reference as a part of a path or a query.
pub(super) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, ESCAPED)
}

/// The JSON of a whole answer.
pub(super) fn read_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, EngineErrorKind> {
    serde_json::from_slice(text).map_err(|error| classify::odd(&error.to_string()))
}

/// A value as the body of a request.
pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, EngineErrorKind> {
    serde_json::to_vec(value).map_err(|error| classify::odd(&error.to_string()))
}

/// The clock of one call. It starts when there is a connection to send the request over: until then the deadlines of
/// connecting hold, which differ by transport.
pub(super) struct Call {
    /// The version that the path names; none for requests that are the same in all versions.
    version: Option<ApiVersion>,
    total: Duration,
    connected: OnceLock<Instant>,
}

impl Call {
    pub(super) fn new(version: Option<ApiVersion>, total: Duration) -> Arc<Self> {
        Arc::new(Self { version, total, connected: OnceLock::new() })
    }

    /// Whether the engine may have seen the request.
    pub(super) fn was_sent(&self) -> bool {
        self.connected.get().is_some()
    }

    /// There is a connection: until when the call has time. Only the first request of a call starts its clock.
    fn start(&self) -> Instant {
        *self.connected.get_or_init(Instant::now) + self.total
    }
}

/// Connections to one engine, and what is sent over them.
#[derive(Clone)]
pub(super) struct Wire {
    line: Arc<Line>,
}

struct Line {
    dialer: Arc<Dialer>,
    client: Client<Connector, Full<Bytes>>,
    authority: Result<Authority, EngineErrorKind>,
}

impl Wire {
    pub(super) fn new(dialer: Dialer) -> Self {
        let dialer = Arc::new(dialer);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(Connector(dialer.clone()));
        let authority = dialer.authority();
        let authority = Authority::try_from(authority.as_str()).map_err(|_| {
            EngineErrorKind::Settings(format!("`{authority}` is not a host name or address and a port"))
        });
        Self { line: Arc::new(Line { dialer, client, authority }) }
    }

    /// Waits for a part of a call that comes after its first answer, until the call's time is over.
    pub(super) async fn within<T>(
        &self,
        call: &Call,
        part: impl Future<Output = Result<T, EngineErrorKind>>,
    ) -> Result<T, EngineErrorKind> {
        let result = timeout_at(call.start(), part).await;
        result.unwrap_or_else(|_| Err(self.line.dialer.unresponsive(call.total)))
    }

    /// One request; the answer's body is still to be read.
    pub(super) async fn send(
        &self,
        call: &Call,
        request: http::request::Builder,
        path_and_query: &str,
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, EngineErrorKind> {
        let path = PathAndQuery::try_from(path_and_query)
            .map_err(|error| classify::odd(&format!("`{path_and_query}` cannot be asked for: {error}")))?;
        let request = match request.headers_ref() {
            Some(headers) if headers.contains_key(CONTENT_TYPE) => request,
            _ => request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")),
        };
        let request = request
            .uri(self.line.address(call.version, &path)?)
            .body(Full::new(body.into()))
            .map_err(|error| classify::odd(&classify::chain(&error)))?;
        self.line.send(call, request).await
    }

    /// What a GET returns.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        call: &Call,
        path_and_query: &str,
    ) -> Result<T, EngineErrorKind> {
        let response =
            self.send(call, Request::builder().method(Method::GET), path_and_query, Bytes::new()).await?;
        self.decode(call, response).await
    }

    /// The body of what a GET returns, to be read in more than one way.
    pub(super) async fn get_text(&self, call: &Call, path_and_query: &str) -> Result<Bytes, EngineErrorKind> {
        let response =
            self.send(call, Request::builder().method(Method::GET), path_and_query, Bytes::new()).await?;
        self.within(call, self.line.read(response.into_body())).await
    }

    /// The head of the answer to a ping.
    pub(super) async fn ping(&self, call: &Call) -> Result<HeaderMap, EngineErrorKind> {
        let response =
            self.send(call, Request::builder().method(Method::GET), "/_ping", Bytes::new()).await?;
        let (head, body) = response.into_parts();
        // Read to its end, so that the connection can be used again.
        self.within(call, self.line.read(body)).await?;
        Ok(head.headers)
    }

    /// Posts JSON, or nothing, and returns the answer's head: whoever expects a body decodes it.
    pub(super) async fn post(
        &self,
        call: &Call,
        path_and_query: &str,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, EngineErrorKind> {
        self.send(call, Request::builder().method(Method::POST), path_and_query, body).await
    }

    /// The bytes of an answer's body.
    pub(super) async fn whole(
        &self,
        call: &Call,
        response: Response<Incoming>,
    ) -> Result<Bytes, EngineErrorKind> {
        self.within(call, self.line.read(response.into_body())).await
    }

    /// An answer's body.
    pub(super) async fn decode<T: DeserializeOwned>(
        &self,
        call: &Call,
        response: Response<Incoming>,
    ) -> Result<T, EngineErrorKind> {
        read_json(&self.whole(call, response).await?)
    }

    /// The pieces of a body as they come. Between two of them at most `idle` may pass, if it is given.
    pub(super) fn pieces(
        &self,
        body: Incoming,
        idle: Option<Duration>,
    ) -> impl Stream<Item = Result<Bytes, EngineErrorKind>> + Send + 'static {
        let line = self.line.clone();
        let pieces = Box::pin(BodyStream::new(body).try_filter_map(async |f| Ok(f.into_data().ok())));
        futures_util::stream::unfold(Some(pieces), move |state| {
            let line = line.clone();
            async move {
                let mut pieces = state?;
                let next = match idle {
                    None => pieces.next().await,
                    Some(idle) => match timeout(idle, pieces.next()).await {
                        Ok(next) => next,
                        Err(_) => return Some((Err(line.dialer.unresponsive(idle)), None)),
                    },
                };
                match next? {
                    Ok(piece) => Some((Ok(piece), Some(pieces))),
                    Err(error) => Some((Err(classify::body(&line.dialer.address, &error)), None)),
                }
            }
        })
    }

    /// The records of a body that has one JSON value per line.
    pub(super) fn records<T: DeserializeOwned + Send + 'static>(
        &self,
        body: Incoming,
    ) -> impl Stream<Item = Result<T, EngineErrorKind>> + Send + 'static {
        let bytes = StreamReader::new(self.pieces(body, None).map_err(io::Error::other));
        FramedRead::new(bytes, LinesCodec::new_with_max_length(LONGEST_LINE)).filter_map(async |line| {
            match line {
                Ok(line) if line.trim().is_empty() => None,
                Ok(line) => {
                    Some(serde_json::from_str(&line).map_err(|error| classify::odd(&error.to_string())))
                }
                Err(error) => Some(Err(classify::line(error))),
            }
        })
    }

    /// What opens the connections.
    pub(super) fn dialer(&self) -> &Dialer {
        &self.line.dialer
    }

    /// What a program writes that is run on the engine's host, where there is a way to do that.
    pub(super) async fn run_on_host(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        self.line.dialer.run(program, arguments).await
    }

    /// Nothing was heard for too long.
    pub(super) fn unresponsive(&self, after: Duration) -> EngineErrorKind {
        self.line.dialer.unresponsive(after)
    }
}

impl Line {
    /// The full address of a request.
    fn address(&self, version: Option<ApiVersion>, path: &PathAndQuery) -> Result<Uri, EngineErrorKind> {
        let path = match version {
            None => path.clone(),
            Some(version) => PathAndQuery::try_from(format!("/v{version}{path}"))
                .map_err(|error| classify::odd(&format!("`{path}` cannot be asked for: {error}")))?,
        };
        Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone()?)
            .path_and_query(path)
            .build()
            .map_err(|error| classify::odd(&classify::chain(&error)))
    }

    async fn send(
        &self,
        call: &Call,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, EngineErrorKind> {
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(concat!("maestro/", env!("CARGO_PKG_VERSION"))));
        let mut captured = capture_connection(&mut request);
        let mut response = pin!(self.client.request(request));
        let early = tokio::select! {
            biased;
            result = &mut response => Some(result),
            () = async { drop(captured.wait_for_connection_metadata().await) } => None,
        };
        let result = match early {
            Some(result) => {
                if result.is_ok() {
                    call.start();
                }
                Ok(result)
            }
            None => timeout_at(call.start(), response).await,
        };
        match result {
            Ok(Ok(response)) => {
                let accepted = timeout_at(call.start(), self.accept(response)).await;
                accepted.unwrap_or_else(|_| Err(self.dialer.unresponsive(call.total)))
            }
            // Rare, and large.
            Ok(Err(error)) => {
                let error = classify::client(&self.dialer.address, &error);
                Err(Box::pin(self.dialer.explain(error)).await)
            }
            Err(_) => Err(self.dialer.unresponsive(call.total)),
        }
    }

    /// Passes success on and reads why the engine refuses. "Nothing to do" (304) counts as a refusal: most
    /// calls do not expect it.
    async fn accept(&self, response: Response<Incoming>) -> Result<Response<Incoming>, EngineErrorKind> {
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let body = Limited::new(response.into_body(), LARGEST_REFUSAL).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(classify::refusal(status, &body))
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, EngineErrorKind> {
        match Limited::new(body, LARGEST_ANSWER).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => Err(match error.downcast_ref::<hyper::Error>() {
                Some(error) => classify::body(&self.dialer.address, error),
                None => classify::odd(&error.to_string()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn references_are_encoded() {
        for (text, expected) in [
            ("reg:5000/a_b/c.d-1", "reg%3A5000%2Fa_b%2Fc.d-1"),
            ("sha256:ab", "sha256%3Aab"),
            ("x&y z", "x%26y%20z"),
            ("ü", "%C3%BC"),
        ] {
            assert_eq!(encoded(text).to_string(), expected);
        }
    }
}
