//! Which request means what.

use crate::daemon::{Daemon, Trouble};
use crate::fake_dockerd::answer::{Answer, Body, Cut, Letterhead, empty, json, refusal, whole};
use crate::fake_dockerd::query::Query;
use crate::fake_dockerd::{archive, containers, exec, images, stream};
use crate::faults::Operation;
use crate::state::Refusal;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use maestro_core::model::ApiVersion;
use std::sync::Arc;

/// The largest body of a request that is read.
const MAX_BODY: usize = 8 << 20;

/// One request: what it is about, and the request itself.
pub(crate) struct Call {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) request: Request<Incoming>,
}

impl Call {
    /// The query, which may have these parameters.
    pub(crate) fn query(&self, known: &[&str]) -> Result<Query, Refusal> {
        Query::parse(self.request.uri().query(), known)
    }

    /// The whole body.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Refusal> {
        let body = Limited::new(self.request.body_mut(), MAX_BODY).collect().await;
        body.map(http_body_util::Collected::to_bytes).map_err(|e| Refusal::bad(e.to_string()))
    }

    /// The body as JSON; without one, the default.
    pub(crate) async fn parse<T: serde::de::DeserializeOwned + Default>(&mut self) -> Result<T, Refusal> {
        let bytes = self.body().await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(T::default());
        }
        let kind = self.header("content-type").unwrap_or("");
        if kind.split(';').next() != Some("application/json") {
            return Err(Refusal::bad(format!("Content-Type specified ({kind}) must be 'application/json'")));
        }
        serde_json::from_slice(&bytes).map_err(|e| Refusal::bad(format!("invalid JSON: {e}")))
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name).and_then(|value| value.to_str().ok())
    }
}

/// Answers one request; an error cuts the connection.
pub(crate) async fn serve(
    daemon: Arc<Daemon>,
    letterhead: Arc<Letterhead>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let is_ping = request.uri().path().ends_with("/_ping");
    let answer = match answer(Call { daemon, request }).await {
        Err(Trouble::Refused(no)) => refusal(&no),
        other => other,
    };
    match answer {
        Ok(mut answer) => {
            letterhead.put_on(&mut answer, is_ping);
            Ok(answer)
        }
        Err(Trouble::Hangs) => std::future::pending().await,
        Err(Trouble::Refused(_) | Trouble::Unreachable | Trouble::Lost) => Err(Cut),
    }
}

async fn answer(call: Call) -> Answer {
    let path = call.request.uri().path().to_owned();
    let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy();
    let (version, path) = match split_version(&decoded) {
        Some((version, path)) => (Some(version), path),
        None => (None, &*decoded),
    };
    let edition = call.daemon.look(crate::state::Machine::edition);
    let (oldest, range) = (edition.oldest_api(), edition.version());
    let Some(parsed) = version.map_or(Some(range.api), parse_version) else {
        return Err(Refusal::bad(format!("invalid API version {}", version.unwrap_or_default())).into());
    };
    if parsed < oldest {
        // Both releases answer this one in plain text.
        let text = format!(
            "client version {} is too old. Minimum supported API version is {}, \
             please upgrade your client to a newer version\n",
            version.unwrap_or_default(),
            oldest
        );
        let mut answer = Response::new(whole(text));
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(answer);
    }
    if parsed > range.api {
        return Err(Refusal::bad(format!(
            "client version {} is too new. Maximum supported API version is {}",
            version.unwrap_or_default(),
            range.api
        ))
        .into());
    }
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    route(call, &parts).await
}

/// `/v1.41/rest` without its version.
fn split_version(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/v").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?;
    let slash = rest.find('/')?;
    Some((&rest[..slash], &rest[slash..]))
}

fn parse_version(text: &str) -> Option<ApiVersion> {
    ApiVersion::parse(text).or_else(|| text.parse().ok().map(|major| ApiVersion { major, minor: 0 }))
}

async fn route(call: Call, parts: &[&str]) -> Answer {
    let (get, post) = (call.request.method() == Method::GET, call.request.method() == Method::POST);
    let head = call.request.method() == Method::HEAD;
    let delete = call.request.method() == Method::DELETE;
    match parts {
        ["_ping"] if get || head => ping(&call).await,
        ["version"] if get => images::version(&call).await,
        ["info"] if get => images::info(&call).await,
        ["volumes"] if get => images::volumes(&call).await,
        ["networks"] if get => images::networks(&call).await,
        ["auth"] if post => images::auth(call).await,
        ["events"] if get => stream::events(call).await,
        ["containers", "json"] if get => containers::list(&call).await,
        ["containers", "create"] if post => containers::create(call).await,
        ["containers", id] if delete => containers::remove(&call, id).await,
        ["containers", id, "json"] if get => containers::inspect(&call, id).await,
        ["containers", id, "logs"] if get => stream::logs(call, id).await,
        ["containers", id, "attach"] if post => exec::attach(call, id).await,
        ["containers", id, "exec"] if post => exec::create(call, id).await,
        ["containers", id, "archive"] if get => archive::get(&call, id).await,
        ["containers", id, "archive"] if call.request.method() == Method::PUT => archive::put(call, id).await,
        ["containers", id, verb] if post => containers::act(call, id, verb).await,
        ["exec", id, "start"] if post => exec::start(call, id).await,
        ["exec", id, "resize"] if post => exec::resize(&call, id),
        ["exec", id, "json"] if get => exec::inspect(&call, id).await,
        ["images", "json"] if get => images::list(&call).await,
        ["images", "create"] if post => images::create(call).await,
        ["distribution", name @ .., "json"] if get && !name.is_empty() => {
            images::distribution(&call, &name.join("/")).await
        }
        ["images", name @ ..] if delete && !name.is_empty() => images::remove(&call, &name.join("/")).await,
        ["images", name @ .., "json"] if get && !name.is_empty() => {
            images::inspect(&call, &name.join("/")).await
        }
        _ => Err(Refusal::missing("page not found").into()),
    }
}

async fn ping(call: &Call) -> Answer {
    call.query(&[])?;
    call.daemon.read(Operation::Inspect, "", |_| Ok(())).await?;
    let mut answer = empty(StatusCode::OK);
    let text = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, text);
    if call.request.method() == Method::GET {
        *answer.body_mut() = whole("OK");
    }
    Ok(answer)
}

/// 200 with this.
pub(crate) fn ok(value: &impl serde::Serialize) -> Answer {
    json(StatusCode::OK, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_version_off_a_path() {
        assert_eq!(split_version("/v1.41/containers/json"), Some(("1.41", "/containers/json")));
        assert_eq!(split_version("/version"), None);
        assert_eq!(split_version("/volumes"), None);
    }
}
