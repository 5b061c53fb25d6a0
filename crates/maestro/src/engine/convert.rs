//! The body of `POST /containers/create`
//! (<https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Container/operation/ContainerCreate>).
//!
//! Borrowed from the specification and written once: with bollard's owned types this took twice the time, for 10,000
//! containers a twentieth of all.

use maestro_core::model::{ContainerSpec, PortBinding, Settings, Ulimit};
use maestro_core::names::InstanceName;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::BTreeMap;

/// What is asked for (specification, section 4).
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_excessive_bools, reason = "the engine's own")]
pub(super) struct CreateBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    image: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<&'a [String]>,
    env: Env<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exposed_ports: Option<Keys<Vec<String>>>,
    volumes: Keys<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<&'a str>,
    labels: Labels<'a>,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    open_stdin: bool,
    stdin_once: bool,
    tty: bool,
    network_disabled: bool,
    host_config: HostConfig<'a>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig<'a> {
    binds: &'a [String],
    links: &'a [String],
    volumes_from: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    port_bindings: Option<BTreeMap<String, Vec<Published<'a>>>>,
    #[serde(skip_serializing_if = "is_false")]
    privileged: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cap_add: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cap_drop: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    extra_hosts: &'a [String],
    network_mode: &'a str,
    restart_policy: RestartPolicy<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    dns: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_shares: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_swap: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_config: Option<LogConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ulimits: Vec<Limit<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    security_opt: &'a [String],
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Published<'a> {
    host_ip: &'a str,
    host_port: &'a str,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct RestartPolicy<'a> {
    name: &'a str,
    maximum_retry_count: i64,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogConfig<'a> {
    #[serde(rename = "Type")]
    driver: &'a str,
    config: &'a BTreeMap<String, String>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Limit<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    soft: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hard: Option<i64>,
}

/// Writes down what is asked for.
pub(super) fn create_body(spec: &ContainerSpec) -> CreateBody<'_> {
    let settings = &*spec.settings;
    CreateBody {
        hostname: spec.hostname.as_ref().map(InstanceName::as_str),
        image: spec.image.as_str(),
        cmd: settings.command.as_deref(),
        env: Env(spec),
        exposed_ports: (!spec.ports.is_empty()).then(|| exposed(spec)),
        volumes: Keys(settings.volumes.iter().map(String::as_str).collect()),
        user: settings.user.as_deref(),
        working_dir: settings.workdir.as_deref(),
        labels: Labels(spec),
        attach_stdin: false,
        attach_stdout: false,
        attach_stderr: false,
        open_stdin: false,
        stdin_once: false,
        tty: false,
        network_disabled: false,
        host_config: host_config(settings, &spec.ports),
    }
}

fn host_config<'a>(settings: &'a Settings, ports: &'a [PortBinding]) -> HostConfig<'a> {
    HostConfig {
        binds: &settings.binds,
        links: &settings.links,
        volumes_from: &settings.volumes_from,
        port_bindings: (!ports.is_empty()).then(|| bindings(ports)),
        privileged: settings.privileged,
        cap_add: &settings.cap_add,
        cap_drop: &settings.cap_drop,
        extra_hosts: &settings.extra_hosts,
        network_mode: settings.network_mode.as_deref().unwrap_or("default"),
        restart_policy: RestartPolicy {
            name: &settings.restart.name,
            maximum_retry_count: settings.restart.retries,
        },
        dns: &settings.dns,
        cpu_shares: settings.cpu_shares,
        memory: settings.memory,
        memory_swap: settings.memory_swap,
        log_config: settings.log.as_ref().map(|log| LogConfig { driver: &log.driver, config: &log.options }),
        ulimits: settings
            .ulimits
            .iter()
            .map(|Ulimit { name, soft, hard }| Limit { name, soft: *soft, hard: *hard })
            .collect(),
        security_opt: &settings.security_opt,
    }
}

fn port(port: &PortBinding) -> String {
    format!("{}/{}", port.exposed, port.protocol)
}

fn exposed(spec: &ContainerSpec) -> Keys<Vec<String>> {
    let mut ports: Vec<String> = Vec::with_capacity(spec.ports.len());
    for port in spec.ports.iter().map(port) {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    Keys(ports)
}

/// Two names may publish the same port of the container: it then has two bindings.
fn bindings(ports: &[PortBinding]) -> BTreeMap<String, Vec<Published<'_>>> {
    let mut bindings: BTreeMap<String, Vec<Published<'_>>> = BTreeMap::new();
    for of in ports {
        let published = Published { host_ip: &of.address, host_port: &of.external };
        bindings.entry(port(of)).or_default().push(published);
    }
    bindings
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// All variables, `NAME=value`.
struct Env<'a>(&'a ContainerSpec);

impl Serialize for Env<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.env.resolved().into_iter().map(|(name, value)| Variable(name, value)))
    }
}

struct Variable<'a>(&'a str, Option<&'a str>);

impl Serialize for Variable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            Some(value) => serializer.collect_str(&format_args!("{}={value}", self.0)),
            // A name alone takes the variable away that the image sets.
            None => serializer.serialize_str(self.0),
        }
    }
}

/// The author's labels and Maestro's.
struct Labels<'a>(&'a ContainerSpec);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let theirs = self.0.settings.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        // Ours win.
        let theirs = theirs.filter(|(key, _)| !self.0.labels.contains_key(*key));
        let ours = self.0.labels.iter().map(|(key, value)| (&**key, &**value));
        serializer.collect_map(theirs.chain(ours))
    }
}

/// A set, as the engine writes one: a map to nothing.
struct Keys<T>(T);

impl<T> Serialize for Keys<T>
where
    for<'a> &'a T: IntoIterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for key in &self.0 {
            map.serialize_entry(&key, &Nothing {})?;
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Nothing {}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_core::image::ImageRef;
    use maestro_core::model::{
        ContainerEnv, EnvVar, LogConfig, PortBinding as Published, Protocol, RestartPolicy as Restart,
        Settings, Ulimit,
    };
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn spec(settings: Settings) -> ContainerSpec {
        ContainerSpec {
            name: "web-1".into(),
            hostname: settings.network_mode.is_none().then(|| "web-1".into()),
            image: ImageRef::parse("reg.example.com:5000/shop/web:2"),
            env: ContainerEnv::of(vec![
                EnvVar::new("SERVICE_NAME", "web"),
                EnvVar { name: "UNSET".into(), value: None },
                EnvVar::new("EMPTY", ""),
            ]),
            ports: Vec::new(),
            settings: Arc::new(settings),
            labels: BTreeMap::from([("maestro.instance".into(), "web-1".into())]),
        }
    }

    /// The JSON that is sent, with the keys of every map in order.
    fn json(spec: &ContainerSpec) -> String {
        fn sorted(value: serde_json::Value) -> serde_json::Value {
            use serde_json::Value;
            match value {
                Value::Object(map) => {
                    let map: BTreeMap<String, Value> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
                    Value::Object(map.into_iter().collect())
                }
                Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
                other => other,
            }
        }
        serde_json::to_string_pretty(&sorted(serde_json::to_value(create_body(spec)).unwrap())).unwrap()
    }

    #[test]
    fn says_little_by_default() {
        insta::assert_snapshot!(json(&spec(Settings::default())));
    }

    #[test]
    fn says_everything_that_was_asked_for() {
        let mut spec = spec(Settings {
            command: Some(vec!["serve".into(), "--port=80".into()]),
            binds: vec!["/srv/web:/data:ro,Z".into()],
            volumes: ["/data".to_owned(), "/cache".to_owned()].into(),
            volumes_from: vec!["data-1".into()],
            links: vec!["db-1:db".into()],
            user: Some("www".into()),
            privileged: true,
            cap_add: vec!["NET_ADMIN".into()],
            cap_drop: vec!["MKNOD".into()],
            extra_hosts: vec!["gateway:192.0.2.1".into()],
            network_mode: None,
            restart: Restart { name: "on-failure".into(), retries: 3 },
            dns: vec!["192.0.2.53".into()],
            cpu_shares: Some(512),
            memory: Some(256 << 20),
            memory_swap: Some(512 << 20),
            log: Some(LogConfig {
                driver: "json-file".into(),
                options: [("max-size".to_owned(), "10m".to_owned())].into(),
            }),
            ulimits: vec![Ulimit { name: "nofile".into(), soft: Some(1024), hard: None }],
            security_opt: vec!["no-new-privileges".into()],
            labels: [("team".to_owned(), "shop".to_owned())].into(),
            workdir: Some("/srv".into()),
            ..Settings::default()
        });
        let port = |exposed, protocol, address: &str, external: &str| Published {
            exposed,
            protocol,
            address: address.into(),
            external: external.into(),
        };
        spec.ports = vec![
            port(80, Protocol::Tcp, "0.0.0.0", "8080"),
            port(80, Protocol::Tcp, "127.0.0.1", "8081"),
            port(53, Protocol::Udp, "0.0.0.0", "5353-5360"),
        ];
        insta::assert_snapshot!(json(&spec));
    }

    #[test]
    fn the_hosts_network_has_no_host_name_of_its_own() {
        let spec = spec(Settings { network_mode: Some("host".into()), ..Settings::default() });
        insta::assert_snapshot!(json(&spec));
    }
}
