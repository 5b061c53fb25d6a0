//! Kinds of changes that people make to containers by hand.

use serde_json::{Value, json};

/// A change, and what has to be said of it.
pub(super) struct Kind {
    /// What the instance is called.
    pub(super) name: &'static str,
    pub(super) by: By,
    /// All attributes that are found; after `*` some of them; after `=` the verdict.
    pub(super) finds: &'static [&'static str],
}

/// How it is made.
pub(super) enum By {
    /// `docker update`.
    Update(fn() -> Value),
    /// Another call, with its body; `NAME` stands for the container.
    Post(&'static str, &'static str),
    /// `docker rm -f`.
    Remove,
    /// Removing it and making it again almost as it was.
    Recreate {
        /// Not everything can be started in a practice fleet.
        starts: bool,
        change: fn(&mut Value),
    },
}

const fn update(name: &'static str, body: fn() -> Value, finds: &'static [&'static str]) -> Kind {
    Kind { name, by: By::Update(body), finds }
}

const fn post(
    name: &'static str,
    path: &'static str,
    body: &'static str,
    finds: &'static [&'static str],
) -> Kind {
    Kind { name, by: By::Post(path, body), finds }
}

const fn again(name: &'static str, change: fn(&mut Value), finds: &'static [&'static str]) -> Kind {
    Kind { name, by: By::Recreate { starts: true, change }, finds }
}

/// It is only created again.
const fn created(name: &'static str, change: fn(&mut Value), finds: &'static [&'static str]) -> Kind {
    Kind { name, by: By::Recreate { starts: false, change }, finds }
}

/// Sets a variable, or takes it away.
fn env(body: &mut Value, name: &str, value: Option<&str>) {
    let env = body["Env"].as_array_mut().unwrap();
    env.retain(|variable| variable.as_str().unwrap().split('=').next() != Some(name));
    env.extend(value.map(|value| Value::from(format!("{name}={value}"))));
}

/// Sets a field of `HostConfig`.
fn host(body: &mut Value, field: &str, value: Value) {
    body["HostConfig"][field] = value;
}

pub(super) const KINDS: &[Kind] = &[
    update("memory", || json!({"Memory": 32 << 20}), &["memory"]),
    update("swap", || json!({"MemorySwap": 192 << 20}), &["swap"]),
    update("cpu", || json!({"CpuShares": 256}), &["cpu"]),
    update("cpus", || json!({"NanoCPUs": 500_000_000}), &["cpus"]),
    update("quota", || json!({"CpuPeriod": 100_000, "CpuQuota": 50_000}), &["cpu_period", "cpu_quota"]),
    update("cpuset", || json!({"CpusetCpus": "0"}), &["cpuset_cpus"]),
    update("pids", || json!({"PidsLimit": 100}), &["pids_limit"]),
    update("reserved", || json!({"MemoryReservation": 16 << 20}), &["memory_reservation"]),
    update("restart", || json!({"RestartPolicy": {"Name": "always"}}), &["restart"]),
    update(
        "tries",
        || json!({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}}),
        &["restart"],
    ),
    post("connected", "/networks/other/connect", r#"{"Container": "NAME"}"#, &["networks"]),
    post(
        "addressed",
        "/networks/other/connect",
        r#"{"Container": "NAME", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.77.0.99"}}}"#,
        &["networks", "networks.other.ip"],
    ),
    post("disconnected", "/networks/bridge/disconnect", r#"{"Container": "NAME"}"#, &["networks"]),
    post("renamed", "/containers/NAME/rename?name=NAME-old", "", &["=renamed"]),
    post("stopped", "/containers/NAME/stop?t=0", "", &["state"]),
    post("paused", "/containers/NAME/pause", "", &["state"]),
    Kind { name: "removed", by: By::Remove, finds: &["=missing"] },
    again("env-value", |b| env(b, "MODE", Some("hand")), &["env.MODE"]),
    again("env-more", |b| env(b, "MORE", Some("")), &["env.MORE"]),
    again("env-less", |b| env(b, "MODE", None), &["env.MODE"]),
    again("env-secret", |b| env(b, "DB_PASSWORD", Some("hunter3")), &["env.DB_PASSWORD"]),
    again("env-image", |b| env(b, "PATH", Some("/bin")), &["env.PATH"]),
    again("label", |b| b["Labels"]["team"] = json!("other"), &["labels.team"]),
    again("label-more", |b| b["Labels"]["more"] = json!(""), &["labels.more"]),
    again("command", |b| b["Cmd"] = json!(["sleep", "99999"]), &["command"]),
    again("entrypoint", |b| b["Entrypoint"] = json!(["env"]), &["entrypoint"]),
    again("user", |b| b["User"] = json!("1:1"), &["user"]),
    again("workdir", |b| b["WorkingDir"] = json!("/tmp"), &["workdir"]),
    again("hostname", |b| b["Hostname"] = json!("other"), &["hostname"]),
    again("domain", |b| b["Domainname"] = json!("example.com"), &["domainname"]),
    again("signal", |b| b["StopSignal"] = json!("SIGKILL"), &["stop_signal"]),
    again("grace", |b| b["StopTimeout"] = json!(3), &["stop_timeout"]),
    again("health", |b| b["Healthcheck"] = json!({"Test": ["CMD", "true"]}), &["healthcheck.test"]),
    again("terminal", |b| b["Tty"] = json!(true), &["tty"]),
    again("stdin", |b| b["OpenStdin"] = json!(true), &["stdin_open"]),
    again(
        "port",
        |b| b["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostPort"] = json!("25000"),
        &["ports.8080/tcp"],
    ),
    again(
        "port-address",
        |b| b["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostIp"] = json!("127.0.0.1"),
        &["ports.8080/tcp"],
    ),
    again("port-less", |b| host(b, "PortBindings", json!({})), &["ports.8080/tcp"]),
    again(
        "port-more",
        |b| {
            b["ExposedPorts"]["99/tcp"] = json!({});
            b["HostConfig"]["PortBindings"]["99/tcp"] = json!([{"HostPort": ""}]);
        },
        &["expose.99/tcp", "ports.99/tcp"],
    ),
    again("ports-all", |b| host(b, "PublishAllPorts", json!(true)), &["publish_all"]),
    again(
        "bind-mode",
        |b| {
            let bind = b["HostConfig"]["Binds"][0].as_str().unwrap().replace(":ro", "");
            b["HostConfig"]["Binds"][0] = json!(bind);
        },
        &["volumes./data"],
    ),
    again("bind-source", |b| host(b, "Binds", json!(["/tmp:/data:ro"])), &["volumes./data"]),
    again("volume-more", |b| b["Volumes"]["/more"] = json!({}), &["volumes./more"]),
    again("mount", |b| host(b, "Mounts", json!([{"Type": "tmpfs", "Target": "/more"}])), &["volumes./more"]),
    again("tmpfs", |b| host(b, "Tmpfs", json!({"/scratch": "size=1m"})), &["tmpfs"]),
    again("volumes-from", |b| host(b, "VolumesFrom", json!([])), &["volumes_from"]),
    again("links", |b| host(b, "Links", json!([])), &["links"]),
    again("read-only", |b| host(b, "ReadonlyRootfs", json!(true)), &["read_only"]),
    created("privileged", |b| host(b, "Privileged", json!(true)), &["state", "privileged", "security_opt"]),
    created("cap-add", |b| host(b, "CapAdd", json!(["SYS_TIME"])), &["state", "cap_add"]),
    again("cap-drop", |b| host(b, "CapDrop", json!(["MKNOD", "CAP_CHOWN"])), &["cap_drop"]),
    created(
        "device",
        |b| {
            host(
                b,
                "Devices",
                json!([{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}]),
            );
        },
        &["state", "devices"],
    ),
    created("sysctl", |b| host(b, "Sysctls", json!({"net.ipv4.ip_forward": "1"})), &["state", "sysctls"]),
    created("init", |b| host(b, "Init", json!(true)), &["state", "init"]),
    again("pid", |b| host(b, "PidMode", json!("host")), &["*", "pid"]),
    again("ipc", |b| host(b, "IpcMode", json!("host")), &["*", "ipc"]),
    created(
        "uts",
        |b| {
            b["Hostname"] = json!("");
            host(b, "UTSMode", json!("host"));
        },
        &["*", "state", "uts"],
    ),
    again("shm", |b| host(b, "ShmSize", json!(1 << 20)), &["shm_size"]),
    again(
        "ulimit",
        |b| host(b, "Ulimits", json!([{"Name": "nofile", "Soft": 99, "Hard": 99}])),
        &["ulimits.nofile"],
    ),
    again("dns", |b| host(b, "Dns", json!(["192.0.2.54"])), &["dns"]),
    again("dns-search", |b| host(b, "DnsSearch", json!(["example.com"])), &["dns_search"]),
    again("hosts", |b| host(b, "ExtraHosts", json!(["gw:192.0.2.2"])), &["extra_hosts"]),
    again("seccomp", |b| host(b, "SecurityOpt", json!(["no-new-privileges"])), &["security_opt"]),
    created("unmasked", |b| host(b, "MaskedPaths", json!([])), &["state", "masked_paths"]),
    again("groups", |b| host(b, "GroupAdd", json!(["7"])), &["group_add"]),
    again("oom", |b| host(b, "OomScoreAdj", json!(100)), &["oom_score_adj"]),
    again("log", |b| host(b, "LogConfig", json!({"Type": "none"})), &["log_driver", "log_opt.max-size"]),
    again(
        "log-option",
        |b| b["HostConfig"]["LogConfig"]["Config"]["max-size"] = json!("2m"),
        &["log_opt.max-size"],
    ),
    again(
        "image",
        |b| b["Image"] = json!(b["Image"].as_str().unwrap().replace(":1.0", ":2.0")),
        &["*", "image"],
    ),
    again(
        "by-hand",
        |b| {
            let image = b["Image"].clone();
            *b = json!({"Image": image, "Cmd": ["sleep", "1000"], "HostConfig": {"RestartPolicy": {"Name": "always"}}});
        },
        &["*", "command", "env.MODE", "hostname", "labels.team", "memory", "ports.8080/tcp", "restart"],
    ),
    // Of a container that says that it is ours, this is a label like any other.
    again(
        "compose",
        |b| b["Labels"]["com.docker.compose.project"] = json!("theirs"),
        &["labels.com.docker.compose.project"],
    ),
    again("stranger", |b| b["Labels"] = json!({"com.docker.compose.project": "theirs"}), &["=foreign"]),
    again("environment", |b| b["Labels"]["maestro.environment"] = json!("theirs"), &["=foreign"]),
    again("service", |b| b["Labels"]["maestro.service"] = json!("theirs"), &["labels.maestro.service"]),
];
