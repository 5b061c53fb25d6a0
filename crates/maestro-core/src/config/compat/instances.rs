//! Instances: images, ports, order, and values that engines refused.

use super::{Found, Instance, Service, entries, items, key_span};
use crate::config::fields::truthy;
use crate::config::node::{Mapping, Node, Value};
use crate::config::{ports, python};
use crate::diagnostic::{Change, Diagnostic};
use crate::image::{self, ImageRef};
use crate::model::Environment;
use crate::names::ServiceName;
use std::collections::BTreeSet;
use std::sync::Arc;

/// So many services, and names of services in them, are looked at for what is noted about volumes.
const MOST_WORK: usize = 3_000_000;

pub(super) fn find(service: &Service<'_>, environment: &Environment, found: &mut Found) {
    let own_image = |instance: &Instance<'_>| instance.map.get("image").is_some_and(|node| !node.is_null());
    if !service.instances.is_empty() {
        if !service.instances.iter().all(own_image) {
            image(service.map, found);
        }
        let what = format!("service `{}`", service.name);
        port_ranges(service.map, &what, |name| has_none(service, "ports", name), found);
        limits(service.map, |name| has_none(service, "limits", name), found);
    }
    for instance in &service.instances {
        let what = format!("instance `{}`", instance.name);
        image(instance.map, found);
        port_ranges(instance.map, &what, |_| true, found);
        limits(instance.map, |_| true, found);
        volumes_from(instance, environment, found);
        read_as_meant(instance.map, found);
        if let Some(node) = instance.map.get("stop_timeout").filter(|node| node.as_str().is_some()) {
            found.push(
                Diagnostic::changed(
                    Change::StopTimeout,
                    format!("`stop_timeout` of {what} is a number of seconds, also in quotes"),
                    "fails at every stop of it, and exits with 0 all the same",
                )
                .at(node.span),
            );
        }
    }
}

fn image(map: &Mapping, found: &mut Found) {
    let Some(node) = map.get("image") else { return };
    let Some(text) = node.as_str().filter(|text| image::check(text).is_ok()) else { return };
    let image = ImageRef::parse(text);
    if image.digest().is_some() {
        found.push(
            Diagnostic::changed(
                Change::ImageDigest,
                "an image that is named by its digest is pulled only where it is not there yet",
                "takes the digest for a tag, and pulls it whenever it creates a container",
            )
            .at(node.span)
            .help("nothing to do"),
        );
    } else if image.repository() == image.as_str() {
        found.push(
            Diagnostic::changed(
                Change::ImageWithoutTag,
                "an image without a tag is `latest`, and is pulled only where it is not there yet",
                "pulls it whenever it creates a container",
            )
            .at(node.span)
            .help("where scripts count on a new image, let them say `start -r` or `restart -r`, or `pull` first"),
        );
    }
}

/// Whether some instance takes this from its service, for lack of its own.
fn has_none(service: &Service<'_>, key: &str, name: &str) -> bool {
    service.instances.iter().any(|instance| {
        !entries(instance.map.get(key)).iter().any(|(known, _)| *python::text(known) == *name)
    })
}

fn port_ranges(map: &Mapping, what: &str, is_used: impl Fn(&str) -> bool, found: &mut Found) {
    for (key, node) in entries(map.get("ports")) {
        let exposed = node.as_map().map_or(Some(node), |map| map.get("exposed"));
        let Some(text) = exposed.and_then(|node| node.as_str()) else { continue };
        let exposed = text.split(':').next().unwrap_or(text);
        // To engines `8-8` is no port, either.
        if exposed.contains('-') && ports::atom(exposed).is_ok() && is_used(&python::text(key)) {
            let message = format!("port `{}` of {what} is published port by port", python::text(key));
            let formerly = "asks for the range in one, which the engine refuses: no such container starts";
            found.push(Diagnostic::changed(Change::PortRange, message, formerly).at(node.span));
        }
    }
}

fn limits(map: &Mapping, is_used: impl Fn(&str) -> bool, found: &mut Found) {
    let Some(limits) = map.get("limits").and_then(|node| node.as_map()) else { return };
    for key in ["cpu", "memory", "swap"] {
        let is_other = |node: &&Arc<Node>| match node.value {
            Value::Bool(_) => true,
            // Fractions are refused.
            Value::Float(ref number) => number.value.fract() == 0.0,
            // `64m` is maestro-ng's own.
            Value::Str(_) => key == "cpu",
            _ => false,
        };
        if let Some(node) = limits.get(key).filter(is_other).filter(|_| is_used(key)) {
            meant(node, key, found);
        }
    }
}

/// Where the order of stopping, or starting, is new.
fn volumes_from(instance: &Instance<'_>, environment: &Environment, found: &mut Found) {
    let Some(list) = instance.map.get("volumes_from") else { return };
    let Some(consumer) = environment.instances.get(instance.name.as_str()) else { return };
    let sources = if list.as_seq().is_some() { items(Some(list)) } else { std::slice::from_ref(list) };
    for node in sources {
        let Some(source) = node.as_str().and_then(|name| environment.instances.get(name)) else { continue };
        let (consumer_name, name) = (&consumer.name, &source.name);
        let change = if source.service == consumer.service {
            Diagnostic::changed(
                Change::VolumeOrder,
                format!("`{consumer_name}` is started after `{name}` and stopped before it"),
                "fails at `start`, `status`, `pull` and `clean`, for both are of one service",
            )
        } else if requires(environment, &consumer.service, &source.service, &mut found.work) == Some(false) {
            Diagnostic::changed(
                Change::VolumeOrder,
                format!("`{consumer_name}` is stopped before `{name}`, and with it by `stop -d {name}`"),
                "starts them in this order, and stops and restarts them in any",
            )
            .help("nothing to do")
        } else {
            continue;
        };
        found.push(change.at(node.span));
    }
}

/// Whether a service says that it requires another, possibly by way of third ones. Nobody can tell any more once too much
/// has been asked: chains of thousands of services would take minutes.
fn requires(
    environment: &Environment,
    service: &ServiceName,
    other: &ServiceName,
    work: &mut usize,
) -> Option<bool> {
    let mut seen = BTreeSet::new();
    let mut open = vec![service];
    while let Some(name) = open.pop() {
        let Some(service) = environment.services.get(name).filter(|_| seen.insert(name)) else { continue };
        *work += 1 + service.declared_requires.len();
        if *work > MOST_WORK {
            return None;
        }
        if service.declared_requires.contains(other) {
            return Some(true);
        }
        open.extend(&service.declared_requires);
    }
    Some(false)
}

/// Values of another type than engines want.
fn read_as_meant(map: &Mapping, found: &mut Found) {
    for (key, node) in entries(map.get("labels")) {
        // To engines null is as good as an empty text.
        if node.as_str().is_none() && !node.is_null() {
            meant(node, &python::text(key), found);
        }
    }
    for key in ["cap_add", "cap_drop", "dns", "security_opt"] {
        let Some(node) = map.get(key).filter(|node| truthy(node)) else { continue };
        let values = if node.as_seq().is_some() { items(Some(node)) } else { std::slice::from_ref(node) };
        for node in values.iter().filter(|node| node.as_str().is_none()) {
            meant(node, key, found);
        }
    }
    for key in ["workdir", "net"] {
        if let Some(node) = map.get(key).filter(|node| truthy(node) && node.as_str().is_none()) {
            meant(node, key, found);
        }
    }
    if let Some(node) = map.get("command").or_else(|| map.get("cmd")).filter(|node| !node.is_null()) {
        let words = node.as_seq().map_or(std::slice::from_ref(node), |words| words);
        for word in words.iter().filter(|word| word.as_str().is_none()) {
            meant(word, "command", found);
        }
    }
    let is_number = |node: &&Arc<Node>| matches!(node.value, Value::Int(_) | Value::Float(_)) && truthy(node);
    if let Some(node) = map.get("privileged").filter(is_number) {
        meant(node, "privileged", found);
    }
    for (key, node) in entries(map.get("ulimits")) {
        if matches!(node.value, Value::Bool(_)) {
            meant(node, &python::text(key), found);
        }
    }
    if let Some(span) = key_span(map, "container_volumes")
        && map.get("container_volumes").is_some_and(|node| node.is_null())
    {
        let message = "`container_volumes` without a value is none";
        let formerly = "asks for a volume at the path `null`";
        found.push(Diagnostic::changed(Change::ReadAsMeant, message, formerly).at(span));
    }
}

fn meant(node: &Node, key: &str, found: &mut Found) {
    found.push(
        Diagnostic::changed(
            Change::ReadAsMeant,
            format!("`{key}` is {}, and is sent in the form that engines want", node.kind()),
            "sends it as it is, and the engine refuses the container",
        )
        .at(node.span),
    );
}
