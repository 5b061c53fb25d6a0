//! A configuration as one text per attribute, without what an engine fills in by itself, so that two that mean the same
//! are the same. Attributes that say nothing are left out.

use super::texts::{
    bind, bytes, capability, host_port, mount, network_mode, plain_link, restart, security, signal, swap,
    trimmed, with_protocol, words,
};
use crate::fleet::{Configuration, EngineState, ImageConfig};
use crate::model::LogConfig;
use std::collections::{BTreeMap, BTreeSet};

/// Texts by attribute.
pub(super) type Attributes = BTreeMap<String, String>;

/// What Maestro never asks for, and what engines tell of it where nobody did, besides nothing. What is not in this list
/// is not compared.
const OTHERS: &[(&str, &[&str])] = &[
    ("annotations", &[]),
    ("auto_remove", &[]),
    ("blkio_device_read_bps", &[]),
    ("blkio_device_read_iops", &[]),
    ("blkio_device_write_bps", &[]),
    ("blkio_device_write_iops", &[]),
    ("blkio_weight", &[]),
    ("blkio_weight_device", &[]),
    ("cgroup_parent", &[]),
    // Which of the two it is depends on the host's control groups when it was created.
    ("cgroupns", &["host", "private"]),
    ("cpu_period", &[]),
    ("cpu_quota", &[]),
    ("cpu_rt_period", &[]),
    ("cpu_rt_runtime", &[]),
    ("cpus", &[]),
    ("cpuset_cpus", &[]),
    ("cpuset_mems", &[]),
    ("device_cgroup_rules", &[]),
    ("device_requests", &[]),
    ("devices", &[]),
    ("dns_opt", &[]),
    ("dns_search", &[]),
    ("domainname", &[]),
    ("group_add", &[]),
    ("init", &[]),
    // The default of engines before 20.10, and of those since.
    ("ipc", &["shareable", "private"]),
    ("kernel_memory", &[]),
    ("masked_paths", &[]),
    ("memory_reservation", &[]),
    ("memory_swappiness", &["-1"]),
    ("network_disabled", &[]),
    ("oom_kill_disable", &[]),
    ("oom_score_adj", &[]),
    ("pid", &[]),
    ("pids_limit", &["-1"]),
    ("publish_all", &[]),
    ("read_only", &[]),
    ("readonly_paths", &[]),
    // And the engine's own, where it tells: see `settled`.
    ("runtime", &["runc", "io.containerd.runc.v2"]),
    ("shm_size", &["67108864"]),
    ("stdin_once", &[]),
    ("stdin_open", &[]),
    ("stop_timeout", &[]),
    ("storage_opt", &[]),
    ("sysctls", &[]),
    ("tmpfs", &[]),
    ("tty", &[]),
    ("userns", &[]),
    ("uts", &[]),
    ("volume_driver", &[]),
];

/// Which of them are numbers of bytes.
const BYTES: [&str; 3] = ["kernel_memory", "memory_reservation", "shm_size"];

/// What is the same on both sides word for word, and need not be taken apart: with hundreds of thousands of variables,
/// that is most of what there is to do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Same {
    env: bool,
    labels: bool,
}

impl Same {
    pub(super) fn of(one: &ImageConfig, other: &ImageConfig) -> Self {
        Self { env: same_variables(&one.env, &other.env), labels: one.labels == other.labels }
    }
}

/// Whether they are the same in any order. Where a name is there twice, the order counts, and they are not.
fn same_variables(one: &[String], other: &[String]) -> bool {
    fn sorted(variables: &[String]) -> Vec<&str> {
        let mut sorted: Vec<&str> = variables.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        sorted
    }
    let name = |variable: &str| variable.split_once('=').map_or(variable.len(), |(name, _)| name.len());
    let (one, other) = (sorted(one), sorted(other));
    let is_twice = |pair: &[&str]| match pair {
        [first, second] => first.get(..name(first)) == second.get(..name(second)),
        _ => false,
    };
    one == other && !one.windows(2).any(is_twice)
}

/// Both sides alike.
pub(super) fn attributes(of: &Configuration, engine: &EngineState, without: Same) -> Attributes {
    let mut out = Reduced::default();
    out.config(&of.config, without);
    out.mounts(of);
    out.network(of);
    out.set("hostname", of.hostname.clone());
    out.list("volumes_from", of.volumes_from.iter().map(|from| from.trim_end_matches(":rw").to_owned()));
    out.list("links", of.links.iter().map(|link| plain_link(link)));
    out.list("cap_add", of.cap_add.iter().map(|cap| capability(cap)));
    out.list("cap_drop", of.cap_drop.iter().map(|cap| capability(cap)));
    out.list("extra_hosts", of.extra_hosts.iter().cloned());
    out.set("dns", of.dns.join(", "));
    out.flag("privileged", of.privileged);
    out.list("security_opt", of.security_opt.iter().map(|option| security(option)));
    out.set("restart", restart(&of.restart));
    let limits = engine.defaults.as_ref();
    if limits.is_none_or(|can| can.cpu_shares) && of.cpu_shares != 0 {
        out.set("cpu", of.cpu_shares.to_string());
    }
    if limits.is_none_or(|can| can.memory) && of.memory != 0 {
        out.set("memory", bytes(of.memory));
        if limits.is_none_or(|can| can.swap) {
            out.set("swap", swap(of.memory, of.memory_swap));
        }
    }
    out.log(&of.log);
    for limit in &of.ulimits {
        let text = format!("{}:{}", limit.soft.unwrap_or(0), limit.hard.unwrap_or(0));
        out.set(&format!("ulimits.{}", limit.name), text);
    }
    for (attribute, filled_in) in OTHERS {
        let text = of.others.get(*attribute).filter(|text| !filled_in.contains(&text.as_str()));
        let Some(text) = text else { continue };
        let number = text.parse().ok().filter(|_| BYTES.contains(attribute));
        out.set(attribute, number.map_or_else(|| text.clone(), bytes));
    }
    out.0
}

#[derive(Default)]
struct Reduced(Attributes);

impl Reduced {
    fn set(&mut self, attribute: &str, text: String) {
        if !text.is_empty() {
            self.0.insert(attribute.to_owned(), text);
        }
    }

    /// A value that an author chose, which may be empty.
    fn put(&mut self, group: &str, name: &str, text: &str) {
        self.0.insert(format!("{group}.{name}"), text.to_owned());
    }

    fn flag(&mut self, attribute: &str, is: bool) {
        self.set(attribute, if is { "yes".to_owned() } else { String::new() });
    }

    /// Whose order means nothing.
    fn list(&mut self, attribute: &str, items: impl Iterator<Item = String>) {
        let items: BTreeSet<String> = items.collect();
        self.set(attribute, items.into_iter().collect::<Vec<_>>().join(", "));
    }

    fn config(&mut self, config: &ImageConfig, without: Same) {
        if !without.env {
            // A name alone takes a variable away.
            for (name, value) in config.env.iter().filter_map(|variable| variable.split_once('=')) {
                self.put("env", name, value);
            }
        }
        if !without.labels {
            for (key, value) in &config.labels {
                self.put("labels", key, value);
            }
        }
        for port in &config.exposed {
            self.set(&format!("expose.{}", with_protocol(port)), "yes".to_owned());
        }
        for (field, value) in &config.healthcheck {
            self.put("healthcheck", field, value);
        }
        self.set("command", words(&config.command));
        self.set("entrypoint", words(&config.entrypoint));
        self.set("user", config.user.clone());
        self.set("workdir", trimmed(&config.workdir).to_owned());
        self.set("stop_signal", signal(&config.stop_signal));
    }

    /// What is mounted where, whichever way it was asked for.
    fn mounts(&mut self, of: &Configuration) {
        for path in &of.config.volumes {
            self.set(&format!("volumes.{}", trimmed(path)), "anonymous".to_owned());
        }
        for asked in &of.binds {
            let (target, text) = bind(asked);
            self.set(&format!("volumes.{}", trimmed(target)), text);
        }
        for asked in &of.mounts {
            self.set(&format!("volumes.{}", trimmed(&asked.target)), mount(asked));
        }
    }

    fn network(&mut self, of: &Configuration) {
        self.set("network", network_mode(&of.network_mode).to_owned());
        self.list("networks", of.networks.keys().cloned());
        for (name, connection) in &of.networks {
            self.set(&format!("networks.{name}.ip"), connection.address.clone());
        }
        for (port, published) in &of.ports {
            self.list(&format!("ports.{}", with_protocol(port)), published.iter().map(host_port));
        }
    }

    fn log(&mut self, log: &LogConfig) {
        self.set("log_driver", log.driver.clone());
        for (key, value) in &log.options {
            self.put("log_opt", key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::same_variables;

    #[test]
    fn the_order_of_variables_means_nothing_but_where_a_name_is_there_twice() {
        let same = |one: &[&str], other: &[&str]| {
            let texts = |of: &[&str]| of.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            same_variables(&texts(one), &texts(other))
        };
        assert!(same(&["A=1", "B=", "A-B=1"], &["B=", "A-B=1", "A=1"]));
        assert!(!same(&["A=1"], &["A=2"]));
        assert!(!same(&["A=1"], &["A=1", "B=1"]));
        assert!(!same(&["A=1", "A=2"], &["A=2", "A=1"]));
    }
}
