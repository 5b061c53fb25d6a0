//! The body of `POST /containers/create`.

use bollard_stubs::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, PortBinding, PortMap, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};
use maestro_core::model::ContainerSpec;
use std::collections::HashMap;

/// Writes down what is asked for (specification, section 4).
pub(super) fn create_body(spec: &ContainerSpec) -> ContainerCreateBody {
    let settings = &*spec.settings;
    let env = spec.env.resolved().into_iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        // A name alone takes the variable away that the image sets.
        None => name.to_owned(),
    });
    let labels = settings
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .chain(spec.labels.iter().map(|(key, value)| ((*key).to_owned(), value.to_string())));
    ContainerCreateBody {
        hostname: spec.hostname.as_ref().map(ToString::to_string),
        image: Some(spec.image.as_str().to_owned()),
        cmd: settings.command.clone(),
        env: Some(env.collect()),
        exposed_ports: (!spec.ports.is_empty()).then(|| exposed(spec)),
        volumes: Some(settings.volumes.iter().cloned().collect()),
        user: settings.user.clone(),
        working_dir: settings.workdir.clone(),
        labels: Some(labels.collect()),
        attach_stdin: Some(false),
        attach_stdout: Some(false),
        attach_stderr: Some(false),
        open_stdin: Some(false),
        stdin_once: Some(false),
        tty: Some(false),
        network_disabled: Some(false),
        host_config: Some(host_config(spec)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let settings = &*spec.settings;
    HostConfig {
        binds: Some(settings.binds.clone()),
        links: Some(settings.links.clone()),
        volumes_from: Some(settings.volumes_from.clone()),
        port_bindings: (!spec.ports.is_empty()).then(|| bindings(spec)),
        privileged: settings.privileged.then_some(true),
        cap_add: some(&settings.cap_add),
        cap_drop: some(&settings.cap_drop),
        extra_hosts: some(&settings.extra_hosts),
        network_mode: Some(settings.network_mode.clone().unwrap_or_else(|| "default".to_owned())),
        restart_policy: Some(RestartPolicy {
            name: Some(restart(&settings.restart.name)),
            maximum_retry_count: Some(settings.restart.retries),
        }),
        dns: some(&settings.dns),
        cpu_shares: settings.cpu_shares,
        memory: settings.memory,
        memory_swap: settings.memory_swap,
        log_config: settings.log.as_ref().map(|log| HostConfigLogConfig {
            typ: Some(log.driver.clone()),
            config: Some(log.options.clone().into_iter().collect()),
        }),
        ulimits: (!settings.ulimits.is_empty()).then(|| {
            settings
                .ulimits
                .iter()
                .map(|limit| ResourcesUlimits {
                    name: Some(limit.name.clone()),
                    soft: limit.soft,
                    hard: limit.hard,
                })
                .collect()
        }),
        security_opt: some(&settings.security_opt),
        ..HostConfig::default()
    }
}

fn some(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn exposed(spec: &ContainerSpec) -> Vec<String> {
    let mut ports: Vec<String> = Vec::with_capacity(spec.ports.len());
    for port in &spec.ports {
        let port = format!("{}/{}", port.exposed, port.protocol);
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

/// Two names may publish the same port of the container: it then has two bindings.
fn bindings(spec: &ContainerSpec) -> PortMap {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::with_capacity(spec.ports.len());
    for port in &spec.ports {
        let of_port = bindings.entry(format!("{}/{}", port.exposed, port.protocol)).or_default();
        of_port.get_or_insert_default().push(PortBinding {
            host_ip: Some(port.address.to_string()),
            host_port: Some(port.external.to_string()),
        });
    }
    bindings
}

/// Loading has checked the name.
fn restart(name: &str) -> RestartPolicyNameEnum {
    match name {
        "always" => RestartPolicyNameEnum::ALWAYS,
        "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
        "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
        _ => RestartPolicyNameEnum::NO,
    }
}

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
            labels: BTreeMap::from([("maestro.instance", "web-1".into())]),
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
