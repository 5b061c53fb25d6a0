//! What `POST /containers/create` may say. A field that is not modelled here is refused: it could not be kept.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The body of a create request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "the fields are the Engine API's")]
#[expect(missing_docs, reason = "the fields are the Engine API's, by the same names")]
pub struct CreateConfig {
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub user: Option<String>,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    pub exposed_ports: Option<BTreeMap<String, Value>>,
    pub tty: bool,
    pub open_stdin: bool,
    pub stdin_once: bool,
    pub network_disabled: bool,
    pub env: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub image: String,
    pub volumes: Option<BTreeMap<String, Value>>,
    pub working_dir: Option<String>,
    pub labels: Option<BTreeMap<String, String>>,
    pub stop_signal: Option<String>,
    pub stop_timeout: Option<i64>,
    /// Old clients say it here instead of in `HostConfig`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<i64>,
    #[serde(skip_serializing)]
    pub host_config: HostConfig,
    #[serde(skip_serializing)]
    pub networking_config: Option<Value>,
}

/// The part of a create request that is about the host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "the fields are the Engine API's")]
#[expect(missing_docs, reason = "the fields are the Engine API's, by the same names")]
pub struct HostConfig {
    pub binds: Option<Vec<String>>,
    pub links: Option<Vec<String>>,
    pub lxc_conf: Option<Value>,
    pub volumes_from: Option<Vec<String>>,
    pub port_bindings: Option<BTreeMap<String, Option<Vec<HostPort>>>>,
    pub restart_policy: Option<RestartPolicy>,
    pub network_mode: Option<String>,
    pub privileged: bool,
    pub cap_add: Option<Vec<String>>,
    pub cap_drop: Option<Vec<String>>,
    pub dns: Option<Vec<String>>,
    pub extra_hosts: Option<Vec<String>>,
    pub cpu_shares: Option<i64>,
    pub memory: Option<i64>,
    pub memory_swap: Option<i64>,
    pub log_config: Option<LogConfig>,
    pub ulimits: Option<Vec<Ulimit>>,
    pub security_opt: Option<Vec<String>>,
    pub auto_remove: bool,
    pub publish_all_ports: bool,
    pub readonly_rootfs: bool,
    pub shm_size: Option<i64>,
    pub pids_limit: Option<i64>,
    pub nano_cpus: Option<i64>,
}

/// Where a container's port is published.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the Engine API's, by the same names")]
pub struct HostPort {
    pub host_ip: Option<String>,
    pub host_port: Option<String>,
}

/// What happens when the process ends.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the Engine API's, by the same names")]
pub struct RestartPolicy {
    pub name: Option<String>,
    pub maximum_retry_count: Option<i64>,
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the Engine API's, by the same names")]
pub struct LogConfig {
    #[serde(rename = "Type")]
    pub kind: String,
    pub config: Option<BTreeMap<String, String>>,
}

/// A limit of processes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the Engine API's, by the same names")]
pub struct Ulimit {
    pub name: String,
    pub soft: Option<i64>,
    pub hard: Option<i64>,
}

impl CreateConfig {
    /// The name of the restart policy, `no` if none is set.
    pub fn restart_policy(&self) -> &str {
        match self.host_config.restart_policy.as_ref().and_then(|p| p.name.as_deref()) {
            None | Some("") => "no",
            Some(name) => name,
        }
    }

    /// How often `on-failure` tries; 0 for without end.
    pub fn restart_tries(&self) -> u64 {
        let tries = self.host_config.restart_policy.as_ref().and_then(|p| p.maximum_retry_count);
        u64::try_from(tries.unwrap_or(0)).unwrap_or(0)
    }

    /// The network mode, `default` if none is set.
    pub fn network_mode(&self) -> &str {
        match self.host_config.network_mode.as_deref() {
            None | Some("") => "default",
            Some(mode) => mode,
        }
    }
}
