//! The whole way: read, render, parse, resolve.

use super::fields::{Reader, truthy};
use super::limits::Limits;
use super::node::{Mapping, Node, Value};
use super::tree::{place, tree};
use super::{
    Schema, anchors, auditors, balancers, compat, declared, deploy, hooks, host_ports, ledger, python,
    registries, safeguards, secrets, services, ships, variables,
};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::model::Environment;
use crate::source::{SourceMap, Sources};
use std::sync::Arc;

const KEYS: [&str; 14] = [
    "__maestro",
    "name",
    "registries",
    "ship_defaults",
    "ship_provider",
    "ships",
    "services",
    "balancers",
    "anchors",
    "ledger",
    "audit",
    "budget",
    "freeze",
    "secrets",
];

/// What loading produced.
#[derive(Debug)]
pub struct Loaded {
    /// The environment; none if there was any error.
    pub environment: Option<Environment>,
    /// The loaded file, if it could be read to its end.
    pub tree: Option<Arc<Node>>,
    /// Everything that is to be said about the text, in its order.
    pub diagnostics: Diagnostics,
    /// The texts that the diagnostics point into.
    pub sources: SourceMap,
}

/// Reads an environment. Opens no connection, and reports all errors that can be found at once.
pub fn load(sources: &dyn Sources, limits: &Limits) -> Loaded {
    read(sources, limits, false)
}

/// The same, and says wherever something else comes of the file than with maestro-ng 0.8.3.
pub fn load_compared(sources: &dyn Sources, limits: &Limits) -> Loaded {
    read(sources, limits, true)
}

fn read(sources: &dyn Sources, limits: &Limits, compared: bool) -> Loaded {
    let tree = tree(sources, limits);
    let mut reader = Reader::new(sources, tree.diagnostics, tree.map, limits);
    let mut environment = tree.root.as_deref().and_then(|root| resolve(&mut reader, root, limits));
    if let Some(environment) = &mut environment {
        declared::place(&mut environment.secrets, &reader.declared, &tree.origins, &reader.map);
    }
    let mut diagnostics = reader.diagnostics;
    if compared {
        let root = tree.root.as_ref().and_then(|root| root.as_map());
        let rendered = tree.origins.rendered().and_then(|id| reader.map.get(id));
        let computed = rendered.map(|source| tree.origins.computed(source.text.len())).unwrap_or_default();
        let changes = root
            .zip(environment.as_ref())
            .map(|(root, environment)| compat::find(root, environment, &computed));
        diagnostics.compare(changes.unwrap_or_default());
    }
    diagnostics.sort();
    if !diagnostics.is_empty() {
        secrets::hide(&mut reader.map, tree.root.as_ref(), &tree.origins);
        secrets::keep_out_of_messages(&mut diagnostics, &reader.map);
    }
    place(&mut diagnostics, &reader.map, &tree.origins);
    diagnostics.fold_notes();
    Loaded {
        environment: environment.filter(|_| !diagnostics.has_errors()),
        tree: tree.root,
        diagnostics,
        sources: reader.map,
    }
}

fn resolve(reader: &mut Reader<'_>, node: &Node, limits: &Limits) -> Option<Environment> {
    let Value::Map(root) = &node.value else {
        let message = format!("an environment must be a mapping, not {}", node.kind());
        reader.report(
            Diagnostic::error(Code::WrongType, message)
                .at(node.span)
                .help("it begins with `name:`, `ships:` and `services:`"),
        );
        return None;
    };
    reader.check_keys(root, &KEYS, "an environment", &[]);
    let schema = schema(reader, root);
    let name: Option<Arc<str>> = match root.get("name") {
        None => {
            reader.missing(node, node, "the environment", "name");
            None
        }
        Some(name) if name.is_null() => None,
        Some(name) => Some(python::text(name).into()),
    };
    if let Some(provider) = root.get("ship_provider") {
        let text = python::text(provider);
        if text != "static" {
            let message = format!("there is no ship provider `{text}`");
            reader.report(
                Diagnostic::error(Code::BadValue, message).at(provider.span).note("the only one is `static`"),
            );
        }
    }
    let secrets = declared::read(reader, root);
    let registries = registries::read(reader, root);
    let ships = ships::read(reader, root, node);
    let services = services::read(reader, root, schema, name.as_ref(), &ships);
    host_ports::check(reader, &services);
    deploy::check(reader, &services);
    hooks::check(reader, &services);
    let auditors = auditors::read(reader, root);
    let anchors = anchors::read(reader, root, &ships);
    let ledger = ledger::read(reader, root);
    let balancers = balancers::read(reader, root, &services, limits);
    deploy::weight::check(reader, root, &services, &balancers);
    let safeguards = safeguards::read(reader, root);
    let environment = Environment {
        name,
        ships: ships.by_name,
        services: services.by_name,
        instances: services.instances,
        registries,
        auditors,
        balancers,
        safeguards,
        anchors,
        ledger,
        secrets,
    };
    variables::check(reader, &environment, &services.service_places);
    declared::check(reader, node);
    Some(environment)
}

/// `__maestro.schema`: 1 by default; anything that is not 1 is the current one, as in maestro-ng.
fn schema(reader: &mut Reader<'_>, root: &Mapping) -> Schema {
    let header = root.get("__maestro").and_then(|node| reader.mapping(node, "`__maestro`"));
    if let Some(map) = header {
        reader.check_keys(map, &["schema", "base_dir"], "`__maestro`", &[]);
    }
    let Some(node) = header.and_then(|map| map.get("schema")) else {
        warn_of_schema_one(reader, root);
        return Schema::One;
    };
    match &node.value {
        Value::Int(number) if number.value == 1 => Schema::One,
        Value::Bool(true) => Schema::One,
        #[expect(clippy::float_cmp, reason = "Python compares 1.0 == 1 exactly, too")]
        Value::Float(number) if number.value == 1.0 => Schema::One,
        Value::Int(number) if number.value >= 3 => {
            reader.report(
                Diagnostic::error(Code::BadValue, format!("schema {} is not known", number.value))
                    .at(node.span)
                    .help("the schemas are 1 and 2; write `schema: 2`")
                    .formerly("reads every schema but 1 as 2"),
            );
            Schema::Two
        }
        _ => Schema::Two,
    }
}

/// Schema 1 turns volumes round; who does not say which schema it is may not know.
fn warn_of_schema_one(reader: &mut Reader<'_>, root: &Mapping) {
    let services = root.get("services").and_then(|n| n.as_map());
    let volumes = services.into_iter().flat_map(|map| &map.entries).find_map(|(_, service)| {
        let instances = service.as_map()?.get("instances")?.as_map()?;
        instances.entries.iter().find_map(|(_, instance)| instance.as_map()?.get("volumes").cloned())
    });
    if let Some(volumes) = volumes.filter(|v| truthy(v)) {
        reader.report(
            Diagnostic::warning(
                Code::Suspicious,
                "without `__maestro: {schema: 2}`, volumes are written {path in container: path on host}",
            )
            .at(volumes.span),
        );
    }
}
