//! Requests about images, registries, and the engine itself.

use crate::daemon::{LayerNews, LayerStage};
use crate::fake_dockerd::answer::{Answer, Cut, Pen, feed};
use crate::fake_dockerd::describe::{inspected_image, listed_image, rfc3339};
use crate::fake_dockerd::route::{Call, ok};
use crate::faults::Operation;
use crate::state::{Behaviour, Content, Credentials, Edition, Refusal, hex, listed};
use base64::Engine as _;
use maestro_core::fleet::ContainerState;
use maestro_core::image::ImageRef;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where an engine has its data.
pub(crate) const DATA_ROOT: &str = "/var/lib/docker";

pub(crate) async fn version(call: &Call) -> Answer {
    call.query(&[])?;
    let asked = |m: &crate::state::Machine| Ok((m.edition(), m.host().platform.clone()));
    let (edition, platform) = call.daemon.read(Operation::Inspect, "", asked).await?;
    let version = edition.version();
    let (api, min_api) = (version.api.to_string(), edition.oldest_api().to_string());
    ok(&json!({
        "Platform": {"Name": ""},
        "Components": [{
            "Name": "Engine",
            "Version": version.engine,
            "Details": {"ApiVersion": api, "MinAPIVersion": min_api, "Arch": platform.architecture, "Os": platform.os},
        }],
        "Version": version.engine,
        "ApiVersion": api,
        "MinAPIVersion": min_api,
        "GitCommit": "fake",
        "GoVersion": "none",
        "Os": platform.os,
        "Arch": platform.architecture,
        "KernelVersion": "6.1.0",
        "BuildTime": "2026-01-01T00:00:00.000000000+00:00",
    }))
}

pub(crate) async fn volumes(call: &Call) -> Answer {
    call.query(&[])?;
    let named = |name: &String| json!({"Name": name, "Driver": "local", "Scope": "local"});
    let look = |m: &crate::state::Machine| Ok(m.volumes().iter().map(named).collect::<Vec<_>>());
    let volumes = call.daemon.read(Operation::Inspect, "", look).await?;
    // Without any, the older release has nothing where a list would be.
    let old = call.daemon.look(crate::state::Machine::edition) == Edition::V20;
    let volumes = if volumes.is_empty() && old { serde_json::Value::Null } else { volumes.into() };
    ok(&json!({"Volumes": volumes, "Warnings": null}))
}

pub(crate) async fn networks(call: &Call) -> Answer {
    call.query(&[])?;
    let named = |name: &str| json!({"Name": name, "Id": hex(&["network", name]), "Scope": "local"});
    let look = |m: &crate::state::Machine| Ok(m.network_names().map(named).to_vec());
    ok(&call.daemon.read(Operation::Inspect, "", look).await?)
}

pub(crate) async fn info(call: &Call) -> Answer {
    call.query(&[])?;
    let now = call.daemon.now();
    let ship = call.daemon.ship().to_string();
    let info = call
        .daemon
        .read(Operation::Inspect, "", |machine| {
            let all = machine.containers();
            let count = |test: fn(ContainerState) -> bool| all.iter().filter(|c| test(c.state)).count();
            let defaults = crate::state::Machine::defaults();
            Ok(json!({
                "ID": machine.engine_id(),
                "LoggingDriver": defaults.log_driver,
                "DefaultRuntime": defaults.runtime,
                "MemoryLimit": defaults.memory,
                "SwapLimit": defaults.swap,
                "CPUShares": defaults.cpu_shares,
                "Name": ship,
                "Containers": all.len(),
                "ContainersRunning": count(|s| matches!(s, ContainerState::Running | ContainerState::Restarting)),
                "ContainersPaused": count(|s| s == ContainerState::Paused),
                "ContainersStopped": count(|s| !s.is_running()),
                "Images": machine.images().len(),
                "Driver": "overlay2",
                "OSType": machine.host().platform.os,
                "Architecture": machine.kernel_architecture(),
                "OperatingSystem": "Fake Linux",
                "KernelVersion": "6.1.0",
                "NCPU": 2,
                "MemTotal": machine.host().memory,
                "DockerRootDir": DATA_ROOT,
                "ServerVersion": machine.edition().version().engine,
                "SystemTime": rfc3339(Some(now.saturating_add(machine.host().ahead).unwrap_or(now))),
                "IndexServerAddress": "https://index.docker.io/v1/",
            }))
        })
        .await?;
    ok(&info)
}

/// The body of `POST /auth`, and of `X-Registry-Auth`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Login {
    username: Option<String>,
    password: Option<String>,
    serveraddress: Option<String>,
}

impl Login {
    fn credentials(&self) -> Option<Credentials> {
        let username = self.username.clone().filter(|name| !name.is_empty())?;
        Some(Credentials { username, password: self.password.clone().unwrap_or_default() })
    }
}

pub(crate) async fn auth(mut call: Call) -> Answer {
    call.query(&[])?;
    let login: Login = call.parse().await?;
    let who = login.credentials().ok_or_else(|| Refusal::strict("a login without a user"))?;
    call.daemon.login(login.serveraddress.as_deref().unwrap_or_default(), &who).await?;
    ok(&json!({"IdentityToken": "", "Status": "Login Succeeded"}))
}

pub(crate) async fn list(call: &Call) -> Answer {
    // The last two are of clients from before API 1.25.
    let query =
        call.query(&["all", "filters", "digests", "shared-size", "manifests", "filter", "only_ids"])?;
    let filters = query.filters(&["reference"])?;
    let wanted = query.text("filter");
    let images = call
        .daemon
        .read(Operation::Images, "", |machine| {
            let old = machine.edition() == Edition::V20;
            let matches = |tag: &str, pattern: &str| {
                tag == pattern || tag.rsplit_once(':').is_some_and(|(repository, _)| repository == pattern)
            };
            let shown: Vec<_> = machine
                .images()
                .iter()
                .filter(|i| wanted.is_none_or(|w| i.tags.iter().any(|tag| matches(tag, w))))
                .filter(|i| filters.allow("reference", |w| i.tags.iter().any(|tag| matches(tag, w))))
                .map(|i| listed_image(i, old))
                .collect();
            serde_json::to_value(&shown).map_err(|e| Refusal::failed(e.to_string()))
        })
        .await?;
    ok(&images)
}

/// `DELETE /images/{}`.
pub(crate) async fn remove(call: &Call, name: &str) -> Answer {
    call.query(&[])?;
    let removed = call.daemon.remove_image(name).await?;
    let mut lines = vec![json!({"Untagged": removed.name})];
    lines.extend(removed.image.map(|id| json!({"Deleted": id.as_str()})));
    ok(&lines)
}

pub(crate) async fn inspect(call: &Call, name: &str) -> Answer {
    call.query(&["manifests"])?;
    let image =
        call.daemon.read(Operation::Images, name, |m| m.inspect_image(name).map(inspected_image)).await?;
    ok(&image)
}

/// Who asks a registry. What cannot be read counts as nothing, as it does for the real engine.
fn who(call: &Call) -> Option<Credentials> {
    let login = call.header("x-registry-auth").and_then(|text| {
        let bytes = base64::engine::general_purpose::URL_SAFE.decode(text).ok()?;
        serde_json::from_slice::<Login>(&bytes).ok()
    });
    login.and_then(|login| login.credentials())
}

/// What an image is in its registry.
pub(crate) async fn distribution(call: &Call, name: &str) -> Answer {
    call.query(&[])?;
    let found = call.daemon.look_up(&ImageRef::parse(name), who(call).as_ref()).await?;
    let platform = &found.platform;
    ok(&json!({
        "Descriptor": {
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "digest": found.digest,
            "size": 1_000,
        },
        "Platforms": [{"architecture": platform.architecture, "os": platform.os, "variant": platform.variant}],
    }))
}

pub(crate) async fn create(mut call: Call) -> Answer {
    let query = call.query(&["fromImage", "fromSrc", "repo", "tag", "message", "changes", "platform"])?;
    let Some(image) = query.text("fromImage") else {
        return import(&mut call, query.text("fromSrc"), query.text("repo"), query.text("tag")).await;
    };
    let tag = query.text("tag").unwrap_or_default();
    let image = ImageRef::parse(match (tag.contains(':'), tag.is_empty()) {
        (_, true) if ImageRef::parse(image).tag() == "latest" && !image.ends_with(":latest") => {
            return Err(Refusal::strict("without a tag, an engine pulls all tags that there are").into());
        }
        (_, true) => image.to_owned(),
        (true, _) => format!("{image}@{tag}"),
        (false, _) => format!("{image}:{tag}"),
    });
    let who = who(&call);
    let content = call.daemon.begin_pull(&image, who.as_ref()).await?;
    let daemon = call.daemon.clone();
    let mut answer = feed(|pen| async move {
        let (news, mut layers) = mpsc::unbounded_channel();
        let repository = image.repository();
        let path = repository.split_once('/').map_or(repository, |(_, path)| path);
        pen.line(&json!({"status": format!("Pulling from {path}"), "id": image.pull_tag()})).await?;
        let tell = async {
            while let Some(news) = layers.recv().await {
                pen.line(&layer(&content, news)).await?;
            }
            Ok::<(), Cut>(())
        };
        let pull = async {
            let changed = daemon.finish_pull(&image, &content, |layer| _ = news.send(layer)).await;
            drop(news);
            changed
        };
        let (changed, told) = tokio::join!(pull, tell);
        told?;
        finish(&pen, &image, &content, changed.map_err(|_| Cut)?).await
    });
    let kind = hyper::header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    Ok(answer)
}

async fn finish(pen: &Pen, image: &ImageRef, content: &Content, changed: bool) -> Result<(), Cut> {
    pen.line(&json!({"status": format!("Digest: {}", content.digest)})).await?;
    let what = if changed { "Downloaded newer image" } else { "Image is up to date" };
    pen.line(&json!({"status": format!("Status: {what} for {}", listed(image))})).await
}

/// One record of a pull's progress.
fn layer(content: &Content, news: LayerNews) -> serde_json::Value {
    let id = hex(&[&content.digest, &news.index.to_string()]);
    let id = id.get(..12).unwrap_or(&id);
    match news.stage {
        LayerStage::Exists => json!({"status": "Already exists", "progressDetail": {}, "id": id}),
        LayerStage::Downloading(current) => json!({
            "status": "Downloading",
            "progressDetail": {"current": current, "total": news.size},
            "progress": format!("[=>   ] {current}B/{}B", news.size),
            "id": id,
        }),
        LayerStage::Complete => json!({"status": "Pull complete", "progressDetail": {}, "id": id}),
    }
}

/// `docker import`: an image from a tar archive; what is in it does not matter here.
async fn import(
    call: &mut Call,
    source: Option<&str>,
    repository: Option<&str>,
    tag: Option<&str>,
) -> Answer {
    if source != Some("-") {
        return Err(Refusal::strict("only fromImage and fromSrc=- are modelled").into());
    }
    let bytes = call.body().await?;
    let content: Arc<Content> = Content::new(&format!("import {}", hash(&bytes)), Behaviour::forever());
    let repository =
        repository.ok_or_else(|| Refusal::strict("an import without a name cannot be found again"))?;
    let name = format!("{repository}:{}", tag.unwrap_or("latest"));
    let act = |machine: &mut crate::state::Machine, now| Ok(machine.add_image(&name, &content, now));
    call.daemon.call(Operation::Pull, &name, act, |_| crate::daemon::Effect::Done).await?;
    ok(&json!({"status": content.id.as_str()}))
}

fn hash(bytes: &[u8]) -> String {
    hex(&[&String::from_utf8_lossy(bytes)])
}
