//! What can only be compared once both sides are known.

use super::reduced::Attributes;
use super::texts;
use crate::fleet::{Connection, EngineState, ObservedContainer};
use crate::model::{ApiVersion, ContainerSpec, LABEL_ENVIRONMENT, LABEL_INSTANCE, LABEL_SERVICE};

/// Since this version, engines don't write their own default limits into containers.
const ULIMITS_AS_ASKED: ApiVersion = ApiVersion { major: 1, minor: 41 };

/// Takes away what cannot be compared or follows from something else, which both sides have to be known for.
pub(super) fn settle(
    wanted: &mut Attributes,
    found: &mut Attributes,
    spec: &ContainerSpec,
    container: &ObservedContainer,
    engine: &EngineState,
) {
    network(wanted, found, container, engine);
    if spec.hostname.is_none() {
        hostname(found, container);
    }
    labels(wanted, found);
    log(wanted, found, engine);
    if let Some(defaults) = &engine.defaults
        && found.get("runtime") == Some(&defaults.runtime)
    {
        found.remove("runtime");
    }
    if found.contains_key("shm_size") && is_common(engine, "shm_size") {
        found.remove("shm_size");
    }
    if engine.version.api < ULIMITS_AS_ASKED {
        found.retain(|attribute, _| !attribute.starts_with("ulimits.") || wanted.contains_key(attribute));
    }
    if spec.settings.privileged
        && !spec.settings.security_opt.iter().any(|o| texts::security(o) == "label=disable")
    {
        without(found, "security_opt", "label=disable");
    }
}

/// Whether all containers of an engine whose configurations are known, several, have the same of something that it can
/// be configured to fill in and does not tell.
fn is_common(engine: &EngineState, other: &str) -> bool {
    let mut known = engine.containers.values().filter_map(|container| container.configuration.as_deref());
    let Some(first) = known.next().map(|configuration| configuration.others.get(other)) else { return false };
    let mut more = 0;
    let same = known.all(|configuration| {
        more += 1;
        configuration.others.get(other) == first
    });
    same && more > 0
}

/// The network mode as the engine would tell it, and what the container has to be connected to.
fn network(
    wanted: &mut Attributes,
    found: &mut Attributes,
    container: &ObservedContainer,
    engine: &EngineState,
) {
    let Some(configuration) = container.configuration.as_deref() else { return };
    let asked = wanted.get("network").cloned().unwrap_or_default();
    if let Some(name) = asked.strip_prefix("container:") {
        // Asked for by name, and told by id.
        let is =
            found.get("network").and_then(|network| network.strip_prefix("container:")).unwrap_or_default();
        let same = match engine.containers.get(name) {
            Some(other) => other.id.as_str() == is,
            // One that was not looked at, or an id.
            None => !is.is_empty(),
        };
        if same {
            found.insert("network".to_owned(), asked);
        }
        return;
    }
    // Networks may be asked for by id, too.
    let by_id = |(name, connection): (&String, &Connection)| {
        (asked.len() >= 12 && connection.id.starts_with(&asked)).then(|| name.clone())
    };
    let name = configuration.networks.iter().find_map(by_id).unwrap_or_else(|| asked.clone());
    wanted.insert("networks".to_owned(), name);
}

/// An engine gives a container the host's name, that of another container, or the beginning of its id.
fn hostname(found: &mut Attributes, container: &ObservedContainer) {
    let mode = found.get("network").map_or("", String::as_str);
    let is = found.get("hostname").map_or("", String::as_str);
    if mode == "host" || mode.starts_with("container:") || container.id.as_str().starts_with(is) {
        found.remove("hostname");
    }
}

/// Maestro's labels count where the container has them: those that maestro-ng made have none. The fingerprint is looked
/// at when nothing else is found, and what another Maestro adds is its own business.
fn labels(wanted: &mut Attributes, found: &mut Attributes) {
    let ours = [LABEL_ENVIRONMENT, LABEL_SERVICE, LABEL_INSTANCE].map(|label| format!("labels.{label}"));
    let counts = |attribute: &String| !attribute.starts_with("labels.maestro.") || ours.contains(attribute);
    wanted.retain(|attribute, _| {
        counts(attribute) && (!ours.contains(attribute) || found.contains_key(attribute))
    });
    found.retain(|attribute, _| counts(attribute));
}

/// Engines lay options of their own under those that are asked for.
fn log(wanted: &mut Attributes, found: &mut Attributes, engine: &EngineState) {
    found.retain(|attribute, _| !attribute.starts_with("log_opt.") || wanted.contains_key(attribute));
    if wanted.contains_key("log_driver") {
        return;
    }
    match &engine.defaults {
        None => _ = found.remove("log_driver"),
        Some(defaults) if found.get("log_driver") == Some(&defaults.log_driver) => {
            found.remove("log_driver");
        }
        Some(_) => {}
    }
}

/// Takes one of the texts of a list away.
fn without(attributes: &mut Attributes, attribute: &str, item: &str) {
    let Some(text) = attributes.remove(attribute) else { return };
    let rest: Vec<&str> = text.split(", ").filter(|other| *other != item).collect();
    if !rest.is_empty() {
        attributes.insert(attribute.to_owned(), rest.join(", "));
    }
}
