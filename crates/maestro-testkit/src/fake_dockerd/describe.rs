//! Containers and images in the words of the Engine API.

use crate::state::{Container, CreateConfig, HostConfig, LocalImage, Machine};
use jiff::Timestamp;
use maestro_core::fleet::{ContainerState, Health, ImageConfig};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One entry of `GET /containers/json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed<'a> {
    id: &'a str,
    names: [String; 1],
    image: &'a str,
    #[serde(rename = "ImageID")]
    image_id: &'a str,
    command: String,
    created: i64,
    ports: Vec<ListedPort<'a>>,
    labels: &'a BTreeMap<String, String>,
    state: &'static str,
    status: String,
    host_config: ListedHost<'a>,
    network_settings: ListedNetworks,
    mounts: [(); 0],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPort<'a> {
    #[serde(rename = "IP", skip_serializing_if = "Option::is_none")]
    ip: Option<&'a str>,
    private_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_port: Option<u16>,
    #[serde(rename = "Type")]
    kind: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedHost<'a> {
    network_mode: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedNetworks {
    networks: Nothing,
}

/// `{}`: which networks there are is not modelled.
#[derive(Debug, Serialize)]
struct Nothing {}

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// One container as a list shows it.
pub(crate) fn listed<'a>(machine: &Machine, container: &'a Container, now: Timestamp) -> Listed<'a> {
    Listed {
        id: container.id.as_str(),
        names: [format!("/{}", container.name)],
        image: machine.shown_image(container),
        image_id: container.content.id.as_str(),
        command: container.config.cmd.as_ref().map_or_else(|| "program".to_owned(), |cmd| cmd.join(" ")),
        created: container.created_at.as_second(),
        ports: container
            .published
            .iter()
            .map(|p| ListedPort {
                ip: Some(&p.ip),
                private_port: p.container,
                public_port: Some(p.host),
                kind: &p.protocol,
            })
            .collect(),
        labels: container.config.labels.as_ref().unwrap_or(&NO_LABELS),
        state: machine.shown_state(container).name(),
        status: status(container, now),
        host_config: ListedHost { network_mode: container.config.network_mode() },
        network_settings: ListedNetworks { networks: Nothing {} },
        mounts: [],
    }
}

/// `Up 3 minutes (healthy)`, `Exited (3) 5 seconds ago`.
fn status(container: &Container, now: Timestamp) -> String {
    let since = |at: Option<Timestamp>| at.map_or(0, |at| now.as_second() - at.as_second());
    let started = human(since(container.started_at));
    let ended = human(since(container.finished_at));
    match container.state {
        ContainerState::Created => "Created".to_owned(),
        ContainerState::Running => match container.health {
            Some(Health::Healthy) => format!("Up {started} (healthy)"),
            Some(Health::Unhealthy) => format!("Up {started} (unhealthy)"),
            Some(Health::Starting) => format!("Up {started} (health: starting)"),
            Some(Health::None) | None => format!("Up {started}"),
        },
        ContainerState::Paused => format!("Up {started} (Paused)"),
        ContainerState::Restarting => format!("Restarting ({}) {ended} ago", container.exit_code),
        ContainerState::Exited => format!("Exited ({}) {ended} ago", container.exit_code),
        ContainerState::Removing => "Removal In Progress".to_owned(),
        ContainerState::Dead => "Dead".to_owned(),
    }
}

/// A duration as dockerd rounds it.
fn human(seconds: i64) -> String {
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{} minutes", seconds / 60),
        3600..7200 => "About an hour".to_owned(),
        7200..172_800 => format!("{} hours", seconds / 3600),
        172_800..1_209_600 => format!("{} days", seconds / 86_400),
        _ => format!("{} weeks", seconds / 604_800),
    }
}

/// `GET /containers/{}/json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inspected<'a> {
    id: &'a str,
    created: String,
    path: &'a str,
    args: &'a [String],
    state: State<'a>,
    image: &'a str,
    name: String,
    restart_count: u64,
    driver: &'static str,
    platform: &'static str,
    #[serde(rename = "ExecIDs")]
    exec_ids: Option<Vec<String>>,
    host_config: HostConfig,
    mounts: [(); 0],
    config: Config,
    network_settings: InspectedNetworks<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "the fields are the Engine API's")]
struct State<'a> {
    status: &'static str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: u32,
    exit_code: i64,
    error: &'a str,
    started_at: String,
    finished_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<HealthState>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthState {
    status: &'static str,
    failing_streak: u32,
    log: [(); 0],
}

/// What was asked for, and the HEALTHCHECK, which nobody can ask for here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(flatten)]
    told: CreateConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<serde_json::Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedNetworks<'a> {
    ports: BTreeMap<String, Vec<HostAddress<'a>>>,
    networks: BTreeMap<String, serde_json::Value>,
}

/// A HEALTHCHECK as an engine writes it; none if there is none.
fn healthcheck(config: &ImageConfig) -> Option<serde_json::Value> {
    let test: Vec<&str> = config.healthcheck.get("test")?.split(' ').collect();
    Some(serde_json::json!({ "Test": test }))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostAddress<'a> {
    host_ip: &'a str,
    host_port: String,
}

/// One container with its details.
pub(crate) fn inspected<'a>(machine: &Machine, container: &'a Container) -> Inspected<'a> {
    let mut told = machine.told(container);
    let (path, args) = match container.config.cmd.as_deref() {
        Some([path, args @ ..]) => (path.as_str(), args),
        _ => ("program", &[] as &[String]),
    };
    let mut ports: BTreeMap<String, Vec<HostAddress<'_>>> = BTreeMap::new();
    for port in &container.published {
        let hosts = ports.entry(format!("{}/{}", port.container, port.protocol)).or_default();
        hosts.push(HostAddress { host_ip: &port.ip, host_port: port.host.to_string() });
    }
    Inspected {
        id: container.id.as_str(),
        created: rfc3339(Some(container.created_at)),
        path,
        args,
        state: State {
            status: container.state.name(),
            running: container.state.is_running(),
            paused: container.state == ContainerState::Paused,
            restarting: container.state == ContainerState::Restarting,
            oom_killed: false,
            dead: container.state == ContainerState::Dead,
            pid: if container.has_process() { 4_242 } else { 0 },
            exit_code: container.exit_code,
            error: &container.error,
            started_at: rfc3339(container.started_at),
            finished_at: rfc3339(container.finished_at),
            health: container.health.map(|health| HealthState {
                status: match health {
                    Health::None => "none",
                    Health::Starting => "starting",
                    Health::Healthy => "healthy",
                    Health::Unhealthy => "unhealthy",
                },
                failing_streak: u32::from(health == Health::Unhealthy),
                log: [],
            }),
        },
        image: container.content.id.as_str(),
        name: format!("/{}", container.name),
        restart_count: container.restarts,
        driver: "overlay2",
        platform: "linux",
        exec_ids: None,
        host_config: std::mem::take(&mut told.host_config),
        mounts: [],
        config: Config { told, healthcheck: healthcheck(&container.content.image_config()) },
        network_settings: InspectedNetworks {
            ports,
            networks: Machine::networks(container)
                .into_iter()
                .map(|(name, id)| (name, serde_json::json!({"NetworkID": id, "IPAMConfig": null})))
                .collect(),
        },
    }
}

/// A time with nine digits; the engine's word for never.
pub(crate) fn rfc3339(at: Option<Timestamp>) -> String {
    match at {
        Some(at) => at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string(),
        None => "0001-01-01T00:00:00Z".to_owned(),
    }
}

/// One entry of `GET /images/json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListedImage<'a> {
    containers: i64,
    created: i64,
    id: &'a str,
    labels: Option<BTreeMap<String, String>>,
    parent_id: &'static str,
    repo_digests: Vec<&'a str>,
    repo_tags: Vec<&'a str>,
    shared_size: i64,
    size: u64,
}

/// When all images were made.
const MADE: Timestamp = Timestamp::constant(1_760_000_000, 0);

/// One image as a list shows it.
pub(crate) fn listed_image(image: &LocalImage, old: bool) -> ListedImage<'_> {
    let mut tags: Vec<&str> = image.tags.iter().map(String::as_str).collect();
    let mut digests: Vec<&str> = image.digests.iter().map(String::as_str).collect();
    if old && tags.is_empty() {
        // The older release has a word for nothing, in both lists.
        tags.push("<none>:<none>");
        if digests.is_empty() {
            digests.push("<none>@<none>");
        }
    }
    ListedImage {
        containers: -1,
        created: MADE.as_second(),
        id: image.content.id.as_str(),
        labels: None,
        parent_id: "",
        repo_digests: digests,
        repo_tags: tags,
        shared_size: -1,
        size: image.content.layers.iter().sum(),
    }
}

/// `GET /images/{}/json`.
pub(crate) fn inspected_image(image: &LocalImage) -> serde_json::Value {
    let config = image.content.image_config();
    let keys = |keys: &BTreeSet<String>| -> serde_json::Value {
        keys.iter().map(|key| (key.clone(), serde_json::json!({}))).collect::<serde_json::Map<_, _>>().into()
    };
    serde_json::json!({
        "Id": image.content.id.as_str(),
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Parent": "",
        "Comment": "",
        "Created": rfc3339(Some(MADE)),
        "Author": "",
        "Config": {
            "Cmd": config.command,
            "Entrypoint": config.entrypoint,
            "Env": config.env,
            "Labels": config.labels,
            "User": config.user,
            "WorkingDir": config.workdir,
            "ExposedPorts": keys(&config.exposed),
            "Volumes": keys(&config.volumes),
            "StopSignal": config.stop_signal,
            "Healthcheck": healthcheck(&config),
        },
        "Architecture": image.content.platform.architecture,
        "Variant": image.content.platform.variant,
        "Os": image.content.platform.os,
        "Size": image.content.layers.iter().sum::<u64>(),
        "RootFS": {"Type": "layers", "Layers": []},
        "Metadata": {"LastTagTime": rfc3339(None)},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_as_dockerd_rounds_them() {
        let cases = [
            (0, "Less than a second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (7199, "About an hour"),
            (90_000, "25 hours"),
            (172_800, "2 days"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human(seconds), text);
        }
    }

    #[test]
    fn times_have_nine_digits() {
        assert_eq!(rfc3339(Some(Timestamp::constant(1_760_000_000, 5))), "2025-10-09T08:53:20.000000005Z");
    }
}
