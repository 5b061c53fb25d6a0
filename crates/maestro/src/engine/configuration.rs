//! What a container was made of, what its image says, and what an engine takes where nothing is asked for.
//!
//! Only what is compared is decoded, and what Maestro never asks for in one general form: fields that an engine to come
//! adds are passed over.

use maestro_core::fleet::{
    Configuration, Connection, EngineDefaults, ImageConfig, Mount as Mounted, Published,
};
use maestro_core::model::{LogConfig, RestartPolicy, Ulimit};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The part of an inspection that says what was asked for.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Told {
    config: Config,
    host_config: HostConfig,
    #[serde(default)]
    network_settings: Option<NetworkSettings>,
}

/// The answer to `GET /images/{}/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InspectedImage {
    #[serde(default)]
    config: Option<Config>,
}

/// The answer to `GET /info`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Info {
    logging_driver: String,
    default_runtime: String,
    memory_limit: bool,
    swap_limit: bool,
    #[serde(rename = "CPUShares")]
    cpu_shares: bool,
}

/// The engine writes a set as a map to nothing.
type Set = Option<BTreeMap<String, Value>>;

/// A value; where there is `null`, as other engines of this API have it here and there, nothing.
fn or_nothing<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A structure of typed fields, and of fields whose text is all that matters, by the attribute that they are.
macro_rules! told {
    ($name:ident { $($field:ident: $type:ty = $key:literal,)* } others { $($other:ident = $other_key:literal,)* }) => {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct $name {
            $(#[serde(rename = $key, deserialize_with = "or_nothing")] $field: $type,)*
            $(#[serde(rename = $other_key)] $other: Value,)*
        }

        impl $name {
            /// What is said of the others.
            fn others(&self) -> impl Iterator<Item = (String, String)> {
                let all = [$((stringify!($other), &self.$other)),*];
                all.into_iter().filter_map(|(attribute, value)| Some((attribute.to_owned(), text(attribute, value)?)))
            }
        }
    };
}

told! {
    Config {
        hostname: String = "Hostname",
        env: Option<Vec<String>> = "Env",
        cmd: Option<Vec<String>> = "Cmd",
        entrypoint: Option<Vec<String>> = "Entrypoint",
        labels: Option<BTreeMap<String, String>> = "Labels",
        user: String = "User",
        workdir: String = "WorkingDir",
        exposed: Set = "ExposedPorts",
        volumes: Set = "Volumes",
        healthcheck: Option<Healthcheck> = "Healthcheck",
        stop_signal: String = "StopSignal",
    } others {
        domainname = "Domainname",
        network_disabled = "NetworkDisabled",
        stdin_once = "StdinOnce",
        stdin_open = "OpenStdin",
        stop_timeout = "StopTimeout",
        tty = "Tty",
    }
}

told! {
    HostConfig {
        binds: Option<Vec<String>> = "Binds",
        mounts: Option<Vec<Mount>> = "Mounts",
        volumes_from: Option<Vec<String>> = "VolumesFrom",
        links: Option<Vec<String>> = "Links",
        ports: Option<BTreeMap<String, Option<Vec<HostPort>>>> = "PortBindings",
        privileged: bool = "Privileged",
        cap_add: Option<Vec<String>> = "CapAdd",
        cap_drop: Option<Vec<String>> = "CapDrop",
        extra_hosts: Option<Vec<String>> = "ExtraHosts",
        dns: Option<Vec<String>> = "Dns",
        network_mode: String = "NetworkMode",
        restart: Option<Restart> = "RestartPolicy",
        cpu_shares: i64 = "CpuShares",
        memory: i64 = "Memory",
        memory_swap: i64 = "MemorySwap",
        log: Option<Log> = "LogConfig",
        ulimits: Option<Vec<Limit>> = "Ulimits",
        security_opt: Option<Vec<String>> = "SecurityOpt",
    } others {
        annotations = "Annotations",
        auto_remove = "AutoRemove",
        blkio_device_read_bps = "BlkioDeviceReadBps",
        blkio_device_read_iops = "BlkioDeviceReadIOps",
        blkio_device_write_bps = "BlkioDeviceWriteBps",
        blkio_device_write_iops = "BlkioDeviceWriteIOps",
        blkio_weight = "BlkioWeight",
        blkio_weight_device = "BlkioWeightDevice",
        cgroup_parent = "CgroupParent",
        cgroupns = "CgroupnsMode",
        cpu_period = "CpuPeriod",
        cpu_quota = "CpuQuota",
        cpu_rt_period = "CpuRealtimePeriod",
        cpu_rt_runtime = "CpuRealtimeRuntime",
        cpus = "NanoCpus",
        cpuset_cpus = "CpusetCpus",
        cpuset_mems = "CpusetMems",
        device_cgroup_rules = "DeviceCgroupRules",
        device_requests = "DeviceRequests",
        devices = "Devices",
        dns_opt = "DnsOptions",
        dns_search = "DnsSearch",
        group_add = "GroupAdd",
        init = "Init",
        ipc = "IpcMode",
        kernel_memory = "KernelMemory",
        masked_paths = "MaskedPaths",
        memory_reservation = "MemoryReservation",
        memory_swappiness = "MemorySwappiness",
        oom_kill_disable = "OomKillDisable",
        oom_score_adj = "OomScoreAdj",
        pid = "PidMode",
        pids_limit = "PidsLimit",
        publish_all = "PublishAllPorts",
        read_only = "ReadonlyRootfs",
        readonly_paths = "ReadonlyPaths",
        runtime = "Runtime",
        shm_size = "ShmSize",
        storage_opt = "StorageOpt",
        sysctls = "Sysctls",
        tmpfs = "Tmpfs",
        userns = "UsernsMode",
        uts = "UTSMode",
        volume_driver = "VolumeDriver",
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Healthcheck {
    test: Option<Vec<String>>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    start_interval: u64,
    retries: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Mount {
    #[serde(rename = "Type")]
    kind: String,
    source: String,
    target: String,
    read_only: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HostPort {
    host_ip: String,
    host_port: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Restart {
    name: String,
    maximum_retry_count: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Log {
    #[serde(rename = "Type")]
    driver: String,
    config: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Limit {
    name: String,
    soft: Option<i64>,
    hard: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Option<Endpoint>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Endpoint {
    #[serde(rename = "NetworkID")]
    network_id: String,
    #[serde(rename = "IPAMConfig")]
    ipam_config: Option<Ipam>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ipam {
    #[serde(rename = "IPv4Address")]
    ipv4: String,
}

impl Told {
    pub(super) fn configuration(self) -> Configuration {
        let (config, host) = (self.config, self.host_config);
        let others = config.others().chain(host.others()).collect();
        let networks = self.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let restart = host.restart.unwrap_or_default();
        let log = host.log.unwrap_or_default();
        Configuration {
            hostname: config.hostname.clone(),
            config: config.image_config(),
            binds: host.binds.unwrap_or_default(),
            mounts: host.mounts.into_iter().flatten().map(Mount::mounted).collect(),
            volumes_from: host.volumes_from.unwrap_or_default(),
            links: host.links.unwrap_or_default(),
            ports: host.ports.into_iter().flatten().filter_map(published).collect(),
            privileged: host.privileged,
            cap_add: host.cap_add.unwrap_or_default(),
            cap_drop: host.cap_drop.unwrap_or_default(),
            extra_hosts: host.extra_hosts.unwrap_or_default(),
            dns: host.dns.unwrap_or_default(),
            network_mode: host.network_mode,
            networks: networks
                .into_iter()
                .map(|(name, endpoint)| (name, endpoint.unwrap_or_default().connection()))
                .collect(),
            restart: RestartPolicy { name: restart.name.into(), retries: restart.maximum_retry_count },
            cpu_shares: host.cpu_shares,
            memory: host.memory,
            memory_swap: host.memory_swap,
            log: LogConfig { driver: log.driver, options: log.config.unwrap_or_default() },
            ulimits: host
                .ulimits
                .into_iter()
                .flatten()
                .map(|Limit { name, soft, hard }| Ulimit { name, soft, hard })
                .collect(),
            security_opt: host.security_opt.unwrap_or_default(),
            others,
        }
    }
}

impl InspectedImage {
    pub(super) fn image_config(self) -> ImageConfig {
        self.config.unwrap_or_default().image_config()
    }
}

impl Info {
    pub(super) fn defaults(self) -> EngineDefaults {
        EngineDefaults {
            log_driver: self.logging_driver,
            runtime: self.default_runtime,
            memory: self.memory_limit,
            swap: self.swap_limit,
            cpu_shares: self.cpu_shares,
        }
    }
}

impl Config {
    fn image_config(self) -> ImageConfig {
        let keys = |set: Set| set.into_iter().flatten().map(|(key, _)| key).collect();
        ImageConfig {
            env: self.env.unwrap_or_default(),
            command: self.cmd.unwrap_or_default(),
            entrypoint: self.entrypoint.unwrap_or_default(),
            labels: self.labels.unwrap_or_default(),
            user: self.user,
            workdir: self.workdir,
            exposed: keys(self.exposed),
            volumes: keys(self.volumes),
            healthcheck: self.healthcheck.map(Healthcheck::fields).unwrap_or_default(),
            stop_signal: self.stop_signal,
        }
    }
}

impl Healthcheck {
    fn fields(self) -> BTreeMap<String, String> {
        let time = |nanos: u64| (nanos > 0).then(|| format!("{:?}", Duration::from_nanos(nanos)));
        let fields = [
            ("test", self.test.filter(|test| !test.is_empty()).map(|test| test.join(" "))),
            ("interval", time(self.interval)),
            ("timeout", time(self.timeout)),
            ("start_period", time(self.start_period)),
            ("start_interval", time(self.start_interval)),
            ("retries", (self.retries > 0).then(|| self.retries.to_string())),
        ];
        fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect()
    }
}

impl Mount {
    fn mounted(self) -> Mounted {
        Mounted { kind: self.kind, source: self.source, target: self.target, read_only: self.read_only }
    }
}

impl Endpoint {
    fn connection(self) -> Connection {
        Connection {
            id: self.network_id,
            address: self.ipam_config.map(|ipam| ipam.ipv4).unwrap_or_default(),
        }
    }
}

/// A port that is published; one with an empty list is not.
fn published((port, hosts): (String, Option<Vec<HostPort>>)) -> Option<(String, Vec<Published>)> {
    let hosts: Vec<_> = hosts
        .into_iter()
        .flatten()
        .map(|host| Published { address: host.host_ip, port: host.host_port })
        .collect();
    (!hosts.is_empty()).then_some((port, hosts))
}

/// A value in text; none for one that says nothing.
fn text(attribute: &str, value: &Value) -> Option<String> {
    match attribute {
        // Which paths an engine masks differs by release. None at all is what somebody asked for.
        "masked_paths" | "readonly_paths" => {
            value.as_array().is_some_and(Vec::is_empty).then(|| "none".to_owned())
        }
        "cpus" => value.as_u64().filter(|nano| *nano > 0).map(billionths),
        _ => plain(value),
    }
}

fn plain(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null | Value::Bool(false) => return None,
        Value::Bool(true) => "yes".to_owned(),
        Value::Number(number) if number.as_f64() == Some(0.0) => return None,
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| match plain(value) {
                Some(text) => format!("{key}={text}"),
                None => key.clone(),
            };
            let mut fields: Vec<_> = fields.iter().map(field).collect();
            fields.sort_unstable();
            fields.join(" ")
        }
    };
    (!text.is_empty()).then_some(text)
}

/// `0.5` for 500,000,000.
fn billionths(number: u64) -> String {
    let text = format!("{}.{:09}", number / 1_000_000_000, number % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn configuration(of: Value) -> Configuration {
        serde_json::from_value::<Told>(of).unwrap().configuration()
    }

    #[test]
    fn an_engine_may_say_nothing_or_something_new() {
        let little = configuration(json!({"Config": {}, "HostConfig": {}}));
        assert_eq!(
            little,
            Configuration {
                restart: RestartPolicy { name: "".into(), retries: 0 },
                ..Configuration::default()
            }
        );
        let odd = configuration(json!({
            "Config": {"Env": null, "Labels": null, "Healthcheck": null, "Brand": {"New": 1}},
            "HostConfig": {
                "Binds": null, "PortBindings": {"80/tcp": null, "81/tcp": []}, "Mounts": null, "RestartPolicy": null,
                "LogConfig": {"Type": "none", "Config": null}, "ToCome": [1], "PidsLimit": null, "Init": false,
                "OomScoreAdj": 0, "Dns": null, "Memory": null, "NetworkMode": null, "MaskedPaths": ["/proc/keys"], "ReadonlyPaths": null,
            },
            "NetworkSettings": {"Networks": {"bridge": null}, "ToCome": 1},
        }));
        assert_eq!(odd.others, BTreeMap::new());
        assert_eq!(odd.ports, BTreeMap::new());
        assert_eq!(odd.log.driver, "none");
        assert_eq!(odd.networks, BTreeMap::from([("bridge".to_owned(), Connection::default())]));
    }

    #[test]
    fn what_nobody_asks_for_is_told_in_text() {
        let told = configuration(json!({
            "Config": {"Tty": true, "StopTimeout": 3, "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_500_000_000}},
            "HostConfig": {
                "NanoCpus": 500_000_000, "PidsLimit": -1, "MaskedPaths": [], "Sysctls": {"b": "1", "a": ""},
                "Devices": [{"PathOnHost": "/dev/null", "CgroupPermissions": "r"}], "UTSMode": "host",
                "GroupAdd": ["7", "8"], "BlkioDeviceReadIOps": [{"Path": "/dev/x", "Rate": 5}],
            },
        }));
        let others: Vec<String> = told.others.iter().map(|(key, text)| format!("{key}: {text}")).collect();
        assert_eq!(
            others,
            [
                "blkio_device_read_iops: Path=/dev/x Rate=5",
                "cpus: 0.5",
                "devices: CgroupPermissions=r PathOnHost=/dev/null",
                "group_add: 7, 8",
                "masked_paths: none",
                "pids_limit: -1",
                "stop_timeout: 3",
                "sysctls: a b=1",
                "tty: yes",
                "uts: host",
            ]
        );
        let health: Vec<_> = told.config.healthcheck.into_iter().collect();
        let text = str::to_owned;
        assert_eq!(health, [(text("interval"), text("1.5s")), (text("test"), text("CMD true"))]);
    }
}
