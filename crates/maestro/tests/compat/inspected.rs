//! What an engine says of a container, in lines that can be compared.

use super::spoken::Redaction;
use serde_json::Value;
use std::collections::BTreeMap;

/// All containers of a tool's ships, by ship and name.
pub(crate) type Containers = BTreeMap<String, Container>;

/// A container's fields by their paths, and its id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) fields: BTreeMap<String, String>,
}

/// What is different for every container, or says where the engine keeps it.
const OF_NO_INTEREST: [&str; 14] = [
    "Created",
    "Driver",
    "GraphDriver",
    "HostConfig.CgroupParent",
    "HostnamePath",
    "HostsPath",
    "Id",
    "LogPath",
    "NetworkSettings.Bridge",
    "Platform",
    "ResolvConfPath",
    "State.FinishedAt",
    "State.Pid",
    "State.StartedAt",
];

/// Fields of a network that an engine gives out in turn.
const GIVEN_OUT: [&str; 10] = [
    "SandboxID",
    "SandboxKey",
    "EndpointID",
    "Gateway",
    "GlobalIPv6Address",
    "IPAddress",
    "IPPrefixLen",
    "MacAddress",
    "NetworkID",
    "NetworkSettings.IPAddress",
];

/// Flattens the answer to an inspection. `before` is the container of this name after the step before.
pub(crate) fn flatten(found: &Value, redaction: &Redaction, before: Option<&Container>) -> Container {
    let id = found["Id"].as_str().unwrap().to_owned();
    let mut fields = BTreeMap::new();
    walk("", found, &mut |path, value| {
        let last = path.rsplit('.').next().unwrap_or(path);
        let skipped = OF_NO_INTEREST.iter().any(|field| {
            path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let network = path.starts_with("NetworkSettings.") && GIVEN_OUT.contains(&last);
        if !skipped && !network && !path.starts_with("Config.Labels.maestro.") && path != "Config.Labels" {
            let text = redaction.of(&value.to_string().replace(&id, "<ID>").replace(&id[..12], "<ID>"));
            fields.insert(path.to_owned(), text);
        }
    });
    if let Some(before) = before {
        let kept = if before.id == id { "kept" } else { "new" };
        fields.insert("Id".to_owned(), kept.to_owned());
    }
    Container { id, fields }
}

/// Every value that is no mapping, with its path. Variables and mounts come by their names instead of in an order.
fn walk(path: &str, value: &Value, found: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                walk(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, found);
            }
        }
        Value::Array(list) if path == "Config.Env" => {
            for variable in list.iter().filter_map(Value::as_str) {
                match variable.split_once('=') {
                    Some((name, value)) => found(&format!("{path}.{name}"), &Value::from(value)),
                    None => found(&format!("{path}.{variable}"), &Value::from("(unset)")),
                }
            }
        }
        Value::Array(list) if path == "Mounts" => {
            for mount in list {
                let destination = mount["Destination"].as_str().unwrap_or_default();
                walk(&format!("{path}.{destination}"), mount, found);
            }
        }
        value => found(path, value),
    }
}
