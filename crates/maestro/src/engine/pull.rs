//! Getting an image onto a ship, and logging in to where it comes from.

use super::credentials::{Found, Who};
use super::docker::DockerEngine;
use super::wire::{Call, encoded};
use futures_util::TryStreamExt;
use http::{Method, Request};
use maestro_core::boundary::{CallOutcome, Deadlines, Progress, RegistryImage};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::Platform;
use maestro_core::image::ImageRef;
use maestro_core::model::ApiVersion;
use maestro_core::plan::RegistryAuth;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// The first API with `GET /distribution/{}/json`.
const DISTRIBUTION: ApiVersion = ApiVersion { major: 1, minor: 30 };

impl DockerEngine {
    /// Makes sure that a registry accepts a login.
    pub(super) async fn log_in(
        &self,
        clock: &Call,
        auth: &RegistryAuth,
    ) -> Result<CallOutcome, EngineErrorKind> {
        let wire = &self.wire;
        let Some(found) = self.shared.credentials.of_login(auth).await? else {
            return Err(EngineErrorKind::unauthorized(format!(
                "no password for {} at {}: there is none below `registries:` and none in the Docker credential file",
                auth.username, auth.url
            )));
        };
        let post = Request::builder().method(Method::POST);
        // The registry may take its time, the engine may not.
        match self.liveness.watch(wire.send(clock, post, "/auth", found.body())).await {
            Ok(_) => Ok(CallOutcome::Done),
            Err(EngineErrorKind::Api { status: status @ (401 | 403), message }) => {
                Err(EngineErrorKind::Unauthorized {
                    message: format!(
                        "{} does not accept the login of {}: {message}",
                        auth.url, found.username
                    ),
                    answered: Some(status),
                })
            }
            Err(EngineErrorKind::Api { status, message }) => {
                Err(match of_registry(&message, Some(status), &Who::Login(&found.username)) {
                    // A server error without a status of the registry's is the engine's own.
                    EngineErrorKind::Registry { message, status: None, .. } if status < 500 => {
                        EngineErrorKind::Api { status, message }
                    }
                    kind => kind,
                })
            }
            Err(other) => Err(other),
        }
    }

    /// Pulls an image.
    pub(super) async fn pull(
        &self,
        clock: &Call,
        idle: Duration,
        image: &ImageRef,
        auth: Option<&RegistryAuth>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<CallOutcome, EngineErrorKind> {
        let wire = &self.wire;
        let credentials = self.shared.credentials.of_pull(image, auth).await?;
        let who = Who::of(&credentials);
        let mut post = Request::builder().method(Method::POST);
        if let Some(found) = credentials.login() {
            post = post.header("X-Registry-Auth", found.header());
        }
        let path = format!(
            "/images/create?fromImage={}&tag={}",
            encoded(image.repository()),
            encoded(image.pull_tag())
        );
        // The engine answers when the registry has: that too is news, or none for too long.
        let response = self.news(idle, wire.send(clock, post, &path, "")).await;
        let response = response.map_err(|kind| match kind {
            EngineErrorKind::Api { status: 400, .. } | EngineErrorKind::Conflict(_) => kind,
            EngineErrorKind::Api { status, message } => of_registry(&message, Some(status), &who),
            EngineErrorKind::NotFound(message) => of_registry(&message, Some(404), &who),
            other => other,
        })?;

        let mut records = pin!(wire.records::<Record>(response.into_body()));
        let mut layers = Layers::default();
        let mut changed = true;
        wire.within(clock, async {
            while let Some(record) = self.news(idle, records.try_next()).await? {
                if let Some(message) = record.error_text() {
                    return Err(of_registry(message, None, &who));
                }
                if record.status.contains("Image is up to date") {
                    changed = false;
                }
                if layers.take(&record) {
                    progress(layers.progress());
                }
            }
            Ok(CallOutcome::Pulled { changed })
        })
        .await
    }

    /// What an image is in its registry now.
    pub(super) async fn in_registry(
        &self,
        image: &ImageRef,
        auth: Option<&RegistryAuth>,
    ) -> Result<RegistryImage, EngineError> {
        let found = self.ask_registry(image, auth).await;
        found.map_err(|kind| self.failed(format!("asking which content {image} is"), kind, false))
    }

    async fn ask_registry(
        &self,
        image: &ImageRef,
        auth: Option<&RegistryAuth>,
    ) -> Result<RegistryImage, EngineErrorKind> {
        let version = self.version().await?;
        if version.api < DISTRIBUTION {
            return Err(EngineErrorKind::Api {
                status: 404,
                message: format!("engines ask registries what an image is since API {DISTRIBUTION}"),
            });
        }
        // The engine in turn asks the registry.
        let clock = Call::new(Some(version.api), self.reading().max(Deadlines::DEFAULT_WRITE));
        let credentials = self.shared.credentials.of_pull(image, auth).await?;
        let who = Who::of(&credentials);
        let mut get = Request::builder().method(Method::GET);
        if let Some(found) = credentials.login() {
            get = get.header("X-Registry-Auth", found.header());
        }
        let name = format!("{}:{}", image.repository(), image.tag());
        let name = if image.digest().is_some() { image.as_str() } else { &name };
        let path = format!("/distribution/{}/json", encoded(name));
        let asked = self.wire.send(&clock, get, &path, "");
        let response = self.liveness.watch(asked).await.map_err(|kind| match kind {
            EngineErrorKind::Api { status, message } => of_registry(&message, Some(status), &who),
            other => other,
        })?;
        let found: Distribution = self.wire.decode(&clock, response).await?;
        let platform = |Built { os, architecture, variant }| Platform { os, architecture, variant };
        let platforms = found.platforms.unwrap_or_default().into_iter().map(platform).collect();
        Ok(RegistryImage { digest: found.descriptor.digest, platforms })
    }

    /// Waits for the next that is heard of a pull. An engine that hangs is found out long before `idle`, which is for
    /// those that answer and get nowhere.
    async fn news<T>(
        &self,
        idle: Duration,
        next: impl Future<Output = Result<T, EngineErrorKind>> + Send,
    ) -> Result<T, EngineErrorKind> {
        let next = async {
            timeout(idle, next).await.unwrap_or_else(|_| {
                Err(EngineErrorKind::Registry {
                    message: format!(
                        "no news of it for {} s: can the ship reach the registry, and write to its disk?",
                        idle.as_secs_f64()
                    ),
                    status: None,
                    answered: None,
                    retry_after: None,
                })
            })
        };
        self.liveness.watch(next).await
    }
}

/// The answer to `GET /distribution/{}/json`
/// (<https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Distribution>; since API 1.30).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Distribution {
    descriptor: Descriptor,
    #[serde(default)]
    platforms: Option<Vec<Built>>,
}

/// What an image was built for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Built {
    os: String,
    architecture: String,
    variant: String,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// One line of the answer to a pull.
#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    status: String,
    /// The layer.
    #[serde(default)]
    id: String,
    #[serde(default, rename = "progressDetail")]
    detail: Option<Detail>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default, rename = "errorDetail")]
    error_detail: Option<ErrorDetail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    current: Option<u64>,
    #[serde(default)]
    total: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorDetail {
    #[serde(default)]
    message: Option<String>,
}

impl Record {
    fn error_text(&self) -> Option<&str> {
        self.error_detail.as_ref().and_then(|detail| detail.message.as_deref()).or(self.error.as_deref())
    }
}

/// What is known of the layers of an image that is being pulled.
#[derive(Default)]
struct Layers {
    by_id: BTreeMap<String, Layer>,
    highest: f32,
}

#[derive(Default, Clone, Copy)]
struct Layer {
    current: u64,
    total: u64,
    downloaded: bool,
    done: bool,
}

impl Layers {
    /// Takes a record in; whether it was about a layer.
    fn take(&mut self, record: &Record) -> bool {
        // The first record's id is the tag.
        if record.id.is_empty() || record.status.starts_with("Pulling from") {
            return false;
        }
        let layer = self.by_id.entry(record.id.clone()).or_default();
        match record.status.as_str() {
            "Pull complete" | "Already exists" => (layer.downloaded, layer.done) = (true, true),
            "Download complete" | "Verifying Checksum" => layer.downloaded = true,
            // Extraction counts from zero again, in other bytes.
            "Extracting" => layer.downloaded = true,
            _ => {
                if let Some(Detail { current: Some(current), total: Some(total) }) = record.detail
                    && total > 0
                {
                    layer.current = layer.current.max(current.min(total));
                    layer.total = total;
                }
            }
        }
        if layer.downloaded {
            layer.current = layer.total;
        }
        true
    }

    fn progress(&mut self) -> Progress {
        let count = self.by_id.len().max(1);
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        let mean = self.by_id.values().map(Layer::percent).sum::<f32>() / count as f32;
        // A layer that is announced late lowers the mean; people should not see that.
        self.highest = self.highest.max(mean.min(100.0));
        Progress {
            current: self.by_id.values().map(|layer| layer.current).fold(0, u64::saturating_add),
            total: self.by_id.values().map(|layer| layer.total).fold(0, u64::saturating_add),
            percent: self.highest,
            layers_done: self.by_id.values().filter(|layer| layer.done).count(),
            layers: self.by_id.len(),
        }
    }
}

impl Layer {
    fn percent(&self) -> f32 {
        if self.downloaded {
            return 100.0;
        }
        if self.total == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
        let percent = self.current as f32 / self.total as f32 * 100.0;
        percent
    }
}

/// What a registry said, through the engine, which passes its words on in many forms and its status in few.
/// `answered` is the engine's own status.
fn of_registry(message: &str, answered: Option<u16>, who: &Who<'_>) -> EngineErrorKind {
    let lower = message.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let status = status_in(&lower);
    if status.is_none_or(|status| status < 500 && status != 429) {
        if has(&[
            "unauthorized",
            "authentication required",
            "access denied",
            "denied:",
            "no basic auth credentials",
            "incorrect username or password",
        ]) || matches!(status, Some(401 | 403))
        {
            return EngineErrorKind::Unauthorized {
                message: format!("{} ({who})", message.trim()),
                answered,
            };
        }
        if has(&["manifest unknown", "name unknown", "not found", "no such image", "no matching manifest"]) {
            return EngineErrorKind::NotFound(message.trim().to_owned());
        }
    }
    let retry_after = pause_in(&lower);
    EngineErrorKind::Registry { message: message.trim().to_owned(), status, answered, retry_after }
}

/// The HTTP status in an engine's words about a registry.
fn status_in(lower: &str) -> Option<u16> {
    if lower.contains("toomanyrequests") {
        return Some(429);
    }
    let after = ["http status: ", "status code ", "status code: ", "statuscode: ", "status: ", "http "];
    after.iter().find_map(|marker| {
        let digits = &lower[lower.find(marker)? + marker.len()..];
        let digits = digits.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok().filter(|status| (100..600).contains(status))
    })
}

/// How long a registry asks to wait: `retry-after: 30`, `retry after 1.5s`, `retry-after: 481.5µs`.
fn pause_in(lower: &str) -> Option<Duration> {
    let at = lower.find("retry-after").or_else(|| lower.find("retry after"))? + "retry-after".len();
    let rest = lower[at..].trim_start_matches([':', '=', ' ', '"']);
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let number: f64 = rest[..digits].parse().ok()?;
    let unit = rest[digits..].trim_start();
    let seconds = match unit {
        u if u.starts_with("ms") || u.starts_with("milli") => number / 1e3,
        u if u.starts_with("µs") || u.starts_with("us") || u.starts_with("micro") => number / 1e6,
        u if u.starts_with("ns") || u.starts_with("nano") => number / 1e9,
        u if u.starts_with('m') => number * 60.0,
        _ => number,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

impl Found {
    fn body(&self) -> String {
        self.json().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> Record {
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn progress_never_falls() {
        let mut layers = Layers::default();
        let mut seen = Vec::new();
        for line in [
            r#"{"status":"Pulling from shop/web","id":"2"}"#,
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"a"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":50,"total":100},"id":"a"}"#,
            r#"{"status":"Already exists","progressDetail":{},"id":"b"}"#,
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"c"}"#,
            r#"{"status":"Download complete","progressDetail":{},"id":"a"}"#,
            r#"{"status":"Extracting","progressDetail":{"current":1,"total":100},"id":"a"}"#,
            r#"{"status":"Downloading","progressDetail":{"current":300,"total":300},"id":"c"}"#,
            r#"{"status":"Pull complete","progressDetail":{},"id":"a"}"#,
            r#"{"status":"Pull complete","progressDetail":{},"id":"c"}"#,
            r#"{"status":"Digest: sha256:ab"}"#,
            r#"{"status":"Status: Downloaded newer image for shop/web:2"}"#,
        ] {
            if layers.take(&record(line)) {
                let p = layers.progress();
                seen.push(format!(
                    "{}/{} B {:.0} % {}/{}",
                    p.current, p.total, p.percent, p.layers_done, p.layers
                ));
            }
        }
        assert_eq!(
            seen,
            [
                "0/0 B 0 % 0/1",
                "50/100 B 50 % 0/1",
                "50/100 B 75 % 1/2",
                "50/100 B 75 % 1/3",
                "100/100 B 75 % 1/3",
                "100/100 B 75 % 1/3",
                "400/400 B 100 % 1/3",
                "400/400 B 100 % 2/3",
                "400/400 B 100 % 3/3",
            ]
        );
    }

    #[test]
    fn registries_are_understood() {
        let secs = |s| Some(Duration::from_secs(s));
        let registry = |message: &str, status, retry_after| EngineErrorKind::Registry {
            message: message.into(),
            status,
            answered: None,
            retry_after,
        };
        let unauthorized =
            |message: &str| EngineErrorKind::unauthorized(format!("{message} (asked without a login)"));
        for text in [
            "Get https://reg:5000/v2/x/manifests/1: unauthorized: authentication required",
            "Get http://reg:5000/v2/x/manifests/1: no basic auth credentials",
            "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            "unexpected status from HEAD request to https://reg/v2/x/manifests/1: 403 Forbidden, http status: 403",
        ] {
            assert_eq!(of_registry(text, None, &Who::Nobody), unauthorized(text));
        }
        for text in [
            "manifest for reg:5000/x:1 not found: manifest unknown: manifest unknown",
            "no matching manifest for linux/arm64 in the manifest list entries",
        ] {
            assert_eq!(of_registry(text, None, &Who::Nobody), EngineErrorKind::NotFound(text.into()));
        }
        for (text, status, pause) in [
            ("received unexpected HTTP status: 503 Service Unavailable", Some(503), None),
            ("toomanyrequests: You have reached your pull rate limit.", Some(429), None),
            ("toomanyrequests: retry-after: 30, allowed: 10/minute", Some(429), secs(30)),
            ("error parsing HTTP 429 response body: not found", Some(429), None),
            ("unexpected status code 502: retry after 2m", Some(502), secs(120)),
            ("Get https://reg/v2/: dial tcp 192.0.2.1:443: connect: connection refused", None, None),
            ("failed to register layer: write /a: no space left on device", None, None),
        ] {
            assert_eq!(of_registry(text, None, &Who::Nobody), registry(text, status, pause), "{text}");
        }
    }
}
