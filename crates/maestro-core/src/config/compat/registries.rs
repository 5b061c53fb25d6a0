//! Registries: logins and retries.

use super::{Found, entries, listed};
use crate::config::fields::truthy;
use crate::config::node::{Mapping, Node, Value};
use crate::config::python;
use crate::diagnostic::{Change, Diagnostic};
use crate::model::Environment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn find(root: &Mapping, environment: &Environment, found: &mut Found) {
    // Which registries are used, and by which first components of images' names.
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for instance in environment.instances.values() {
        if let (Some(registry), Some(component)) =
            (environment.registry_of(&instance.image), instance.image.first_component())
        {
            used.entry(registry.name.as_str()).or_default().insert(component);
        }
    }
    for (key, node) in entries(root.get("registries")) {
        let name = python::text(key);
        let (Some(components), Some(map)) = (used.get(&*name), node.as_map()) else { continue };
        login(key, &name, map, found);
        retries(&name, map, found);
        let Some(registry) = environment.registries.get(&*name).filter(|r| r.login.is_some()) else {
            continue;
        };
        let host = registry.host_and_port();
        let others: Vec<&str> = components.iter().copied().filter(|c| Some(*c) != host).collect();
        if !others.is_empty() {
            found.push(
                Diagnostic::changed(
                    Change::LoginSent,
                    format!(
                        "images below {} are pulled with the login of registry `{name}`",
                        listed(others.into_iter())
                    ),
                    "logs in and pulls them without the login, for its address is another name",
                )
                .at(key.span)
                .help("check that this user may pull them"),
            );
        }
    }
}

fn login(key: &Node, name: &str, map: &Mapping, found: &mut Found) {
    if !map.get("username").is_some_and(|node| truthy(node)) {
        return;
    }
    let missing: Vec<&str> = ["email", "password"].into_iter().filter(|key| map.get(key).is_none()).collect();
    if !missing.is_empty() {
        found.push(
            Diagnostic::changed(
                Change::LoginIncomplete,
                format!("registry `{name}` is logged in to without {}", listed(missing.into_iter())),
                "fails whenever something is to be pulled from there",
            )
            .at(key.span)
            .note("a password that is not here is taken from the file of `docker login`"),
        );
    }
}

fn retries(name: &str, map: &Mapping, found: &mut Found) {
    let Some(retry) = map.get("retry").and_then(|node| node.as_map()) else { return };
    let is_none = |node: &&Arc<Node>| matches!(&node.value, Value::Int(number) if number.value < 1);
    if let Some(node) = retry.get("attempts").filter(is_none) {
        found.push(
            Diagnostic::changed(
                Change::RetriesExhausted,
                format!("registry `{name}` is asked once"),
                "never asks it, and takes that for success",
            )
            .at(node.span),
        );
    }
    if let Some(node) = retry.get("when").filter(|node| node.as_seq().is_some_and(|items| !items.is_empty()))
    {
        found.push(
            Diagnostic::changed(
                Change::RetriesExhausted,
                format!("a pull from registry `{name}` that fails with these statuses every time has failed"),
                "takes it for done after the last try, and exits with 0",
            )
            .at(node.span)
            .help("scripts that went on with the old image stop here: see whether that is what they want"),
        );
    }
}
