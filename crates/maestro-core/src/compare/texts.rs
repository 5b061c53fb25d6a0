//! Texts of attributes: one for all that mean the same.

use crate::fleet::{Mount, Published};
use crate::model::RestartPolicy;
use std::collections::BTreeSet;

/// A command in one line: words with anything odd in them in double quotes.
pub(super) fn words(words: &[String]) -> String {
    let odd = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\');
    let word = |word: &String| {
        if word.is_empty() || word.contains(odd) { format!("{word:?}") } else { word.clone() }
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

pub(super) fn trimmed(path: &str) -> &str {
    if path.len() > 1 { path.trim_end_matches('/') } else { path }
}

pub(super) fn with_protocol(port: &str) -> String {
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

pub(super) fn signal(signal: &str) -> String {
    let name = signal.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    if matches!(name, "" | "TERM" | "15") { String::new() } else { name.to_owned() }
}

/// Target and the rest of a bind. The mode says `rw` or nothing for the same.
pub(super) fn bind(bind: &str) -> (&str, String) {
    let mut parts = bind.splitn(3, ':');
    let (source, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mode: BTreeSet<&str> =
        parts.next().unwrap_or_default().split(',').filter(|m| !matches!(*m, "" | "rw")).collect();
    let mode: Vec<&str> = mode.into_iter().collect();
    let source = trimmed(source);
    let text = if mode.is_empty() { source.to_owned() } else { format!("{source} ({})", mode.join(",")) };
    (target, text)
}

pub(super) fn mount(mount: &Mount) -> String {
    let source = match (mount.kind.as_str(), trimmed(&mount.source)) {
        ("bind", source) => source.to_owned(),
        ("volume", "") => "anonymous".to_owned(),
        ("volume", source) => source.to_owned(),
        (kind, "") => kind.to_owned(),
        (kind, source) => format!("{kind} {source}"),
    };
    if mount.read_only { format!("{source} (ro)") } else { source }
}

/// `/target:/self/alias` is how an engine tells `target:alias`.
pub(super) fn plain_link(link: &str) -> String {
    let (target, alias) = link.split_once(':').unwrap_or((link, link));
    let (target, alias) = (target.trim_start_matches('/'), alias.rsplit('/').next().unwrap_or(alias));
    if target == alias { target.to_owned() } else { format!("{target}:{alias}") }
}

pub(super) fn capability(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").unwrap_or(&name).to_owned()
}

pub(super) fn security(option: &str) -> String {
    match option.split_once(['=', ':']) {
        Some(("no-new-privileges", "true")) => "no-new-privileges".to_owned(),
        Some((key, value)) => format!("{key}={value}"),
        None => option.to_owned(),
    }
}

pub(super) fn restart(policy: &RestartPolicy) -> String {
    match (&*policy.name, policy.retries) {
        ("" | "no", _) => String::new(),
        ("on-failure", retries) if retries > 0 => format!("on-failure, {retries} times"),
        (name, _) => name.to_owned(),
    }
}

pub(super) fn network_mode(mode: &str) -> &str {
    match mode {
        "" | "default" => "bridge",
        mode => mode,
    }
}

pub(super) fn host_port(published: &Published) -> String {
    let address = if published.address.is_empty() { "0.0.0.0" } else { &published.address };
    let port = if matches!(published.port.as_str(), "" | "0") { "any" } else { &published.port };
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// Where nothing is said of swap, it is as much again.
pub(super) fn swap(memory: i64, swap: i64) -> String {
    match swap {
        ..0 => "unlimited".to_owned(),
        0 => bytes(memory.saturating_mul(2)),
        swap => bytes(swap),
    }
}

/// A number of bytes, exactly.
pub(super) fn bytes(number: i64) -> String {
    let unit = |shift: u32| (number != 0 && number % (1 << shift) == 0).then_some(number >> shift);
    match (unit(30), unit(20), unit(10)) {
        (Some(gib), ..) => format!("{gib} GiB"),
        (_, Some(mib), _) => format!("{mib} MiB"),
        (.., Some(kib)) => format!("{kib} KiB"),
        _ => format!("{number} bytes"),
    }
}
