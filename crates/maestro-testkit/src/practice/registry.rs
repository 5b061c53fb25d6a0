//! The private registry of a fleet: a login, plain HTTP, a namespace of its own.

use super::command::{self, Runner};
use super::error::FleetError;
use super::http::{Answer, Ask, Peer, exchange};
use super::image::{Image, MANIFEST_TYPE, digest};
use super::install::Installation;
use super::layout::Layout;
use super::process;
use base64::Engine as _;
use http::Method;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The registry's port.
pub(crate) const PORT: u16 = 5000;
const READY: Duration = Duration::from_secs(20);
const REQUEST: Duration = Duration::from_secs(20);
/// By this time the registry is a process of its namespace, or has failed.
const SETTLED: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(10);

/// A user of the registry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Login {
    /// User name.
    pub username: String,
    /// Password. It guards nothing: the registry is reachable from this machine only.
    pub password: String,
}

impl Default for Login {
    fn default() -> Login {
        Login { username: "purser".to_owned(), password: "hardtack".to_owned() }
    }
}

impl Login {
    fn basic(&self) -> String {
        let pair = format!("{}:{}", self.username, self.password);
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    }
}

fn peer(layout: &Layout) -> Peer {
    Peer::Tcp(SocketAddr::new(IpAddr::V4(layout.registry_address()), PORT))
}

/// Starts the registry and waits until it answers.
pub(crate) async fn start(
    layout: &Layout,
    installation: &Installation,
    runner: &Runner,
    login: &Login,
) -> Result<(), FleetError> {
    let directory = layout.registry_dir();
    let failed = || FleetError::io(format!("set up the registry in {}", directory.display()));
    std::fs::create_dir_all(directory.join("data")).map_err(failed())?;
    // The least cost that bcrypt has: the registry checks the password with every request.
    let hash = bcrypt::hash(&login.password, 4).map_err(|error| failed()(std::io::Error::other(error)))?;
    std::fs::write(directory.join("htpasswd"), format!("{}:{hash}\n", login.username)).map_err(failed())?;
    // JSON is YAML.
    let config = json!({
        "version": "0.1",
        "log": { "level": "info", "accesslog": { "disabled": false } },
        "storage": {
            "filesystem": { "rootdirectory": directory.join("data") },
            "delete": { "enabled": true },
        },
        "auth": { "htpasswd": { "realm": "practice fleet", "path": directory.join("htpasswd") } },
        "http": { "addr": format!("{}:{PORT}", layout.registry_address()), "secret": "practice" },
    });
    std::fs::write(directory.join("config.yml"), config.to_string()).map_err(failed())?;
    let server = [installation.registry(), PathBuf::from("serve"), directory.join("config.yml")];
    runner.launch(&layout.registry_netns(), "", &server, &[], &directory.join("log")).await?;
    wait_until_ready(layout, login).await
}

async fn wait_until_ready(layout: &Layout, login: &Login) -> Result<(), FleetError> {
    let started = Instant::now();
    let log = layout.registry_dir().join("log");
    loop {
        let Err(error) = request(layout, login, Ask::new(Method::GET, "/v2/")).await else {
            return Ok(());
        };
        let settled = started.elapsed() > SETTLED;
        if settled && process::in_namespaces(&[layout.registry_netns()]).is_empty() {
            let tail = command::tail(&log);
            return Err(FleetError::Died { what: "the registry".to_owned(), log, tail });
        }
        if started.elapsed() > READY {
            return Err(FleetError::Deadline {
                what: "the registry did not answer".to_owned(),
                waited: READY,
                detail: format!(" ({error}); its log ends: {}", command::tail(&log)),
            });
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Pushes an image. Every layer that `base` has must be in the registry already, and is taken over from there.
pub(crate) async fn push(
    layout: &Layout,
    login: &Login,
    image: &Image,
    base: Option<&Image>,
) -> Result<(), FleetError> {
    let repository = &image.repository;
    for layer in &image.layers {
        match base.filter(|base| base.layers.iter().any(|of_base| of_base.digest == layer.digest)) {
            Some(base) => {
                let path = format!(
                    "/v2/{repository}/blobs/uploads/?mount={}&from={}",
                    layer.digest, base.repository
                );
                request(layout, login, Ask::new(Method::POST, &path)).await?;
            }
            None => upload(layout, login, repository, &layer.digest, layer.tar.clone()).await?,
        }
    }
    upload(layout, login, repository, &digest(&image.config), image.config.clone()).await?;
    let path = format!("/v2/{repository}/manifests/{}", image.tag);
    let ask = Ask::new(Method::PUT, &path).header("Content-Type", MANIFEST_TYPE).body(image.manifest());
    request(layout, login, ask).await.map(drop)
}

async fn upload(
    layout: &Layout,
    login: &Login,
    repository: &str,
    digest: &str,
    content: hyper::body::Bytes,
) -> Result<(), FleetError> {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let begun = request(layout, login, Ask::new(Method::POST, &path)).await?;
    let location = begun.headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let uri: http::Uri = location.parse().unwrap_or_default();
    let joint = if uri.query().is_some() { '&' } else { '?' };
    let path = format!("{}{joint}digest={digest}", uri.path_and_query().map_or("/", |path| path.as_str()));
    let ask = Ask::new(Method::PUT, &path).header("Content-Type", "application/octet-stream").body(content);
    request(layout, login, ask).await.map(drop)
}

async fn request(layout: &Layout, login: &Login, ask: Ask<'_>) -> Result<Answer, FleetError> {
    let asked = format!("{} {}", ask.method, ask.path);
    let answer = exchange(&peer(layout), ask.header("Authorization", login.basic()), REQUEST).await?;
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(FleetError::Answer {
        peer: "the registry".to_owned(),
        request: asked,
        status: answer.status.as_u16(),
        body: String::from_utf8_lossy(&answer.body).trim().to_owned(),
    })
}
