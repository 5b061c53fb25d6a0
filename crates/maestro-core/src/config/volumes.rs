//! Volumes of an instance: binds, anonymous volumes, and the two schemas' opposite orders (specification, 4.3).

use super::fields::Reader;
use super::node::{Node, Value};
use super::{Schema, python};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// What an instance mounts.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// In the engine's form.
    pub(super) binds: Vec<String>,
    /// Every path in the container that is a volume, with the place that says so.
    pub(super) paths: BTreeMap<String, Span>,
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    volumes: Option<&Node>,
    container_volumes: Option<&Node>,
    schema: Schema,
    owner: &str,
) -> Volumes {
    let mut result = Volumes::default();
    // Keyed by source: under schema 1 a second path on one source replaces the first.
    let mut binds: IndexMap<String, (String, String)> = IndexMap::new();
    let what = format!("`volumes` of {owner}");
    if let Some(map) = volumes.and_then(|node| reader.mapping(node, &what)) {
        for (key, value) in &map.entries {
            let key_text = python::text(key);
            let bind = match schema {
                Schema::One => reader
                    .required_text(value, &format!("the host path of `{key_text}` in {what}"))
                    .map(|source| (source, (key_text, "rw".to_owned()))),
                Schema::Two => {
                    target(reader, value, &key_text, owner).map(|(path, mode)| (key_text, (path, mode)))
                }
            };
            if let Some((source, (path, mode))) = bind {
                result.paths.insert(path.clone(), value.span);
                binds.insert(source, (path, mode));
            }
        }
    }
    result.binds =
        binds.into_iter().map(|(source, (path, mode))| format!("{source}:{path}:{mode}")).collect();
    if let Some(node) = container_volumes {
        let binds = result.paths.clone();
        for path in reader.texts(node, &format!("`container_volumes` of {owner}")) {
            if let Some(bound) = binds.get(&path) {
                let message = format!("{owner} has `{path}` both as a bind and as a container volume");
                reader.report(
                    Diagnostic::error(Code::Conflict, message).at(node.span).label(*bound, "bound here"),
                );
            }
            result.paths.insert(path, node.span);
        }
    }
    result
}

/// The right-hand side of schema 2: `/in` or `{target: /in, mode: ro}`.
fn target(reader: &mut Reader<'_>, node: &Node, source: &str, owner: &str) -> Option<(String, String)> {
    match &node.value {
        Value::Str(path) => Some((path.to_string(), "rw".to_owned())),
        Value::Map(map) if map.get("target").is_some() => {
            reader.check_keys(map, &["target", "mode"], &format!("volume `{source}` of {owner}"), &[]);
            let path = reader.required_text(map.get("target")?, "the target of a volume")?;
            let mode = match map.get("mode") {
                Some(mode) => reader.required_text(mode, "the mode of a volume")?,
                None => "rw".to_owned(),
            };
            Some((path, mode))
        }
        _ => {
            let mut error =
                Diagnostic::error(Code::BadVolume, format!("volume `{source}` of {owner} means nothing"))
                    .at(node.span)
                    .help("write a path in the container, or {target: PATH, mode: ro}");
            if let Value::Map(map) = &node.value {
                let keys: Vec<String> = map.entries.iter().map(|(k, _)| python::text(k)).collect();
                error = error.note(format!("it has the keys {}, not `target`", keys.join(", ")));
            }
            reader.report(error);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::golden::show;
    use crate::config::{Limits, load};
    use crate::source::MapSources;

    const FILE: &str = "\
__maestro: {schema: 2}
name: t
ships: {a: {ip: 192.0.2.1}}
services:
  s:
    image: bb
    instances:
";

    #[test]
    fn a_container_volume_may_be_there_twice() {
        let text = format!("{FILE}      s-1: {{ship: a, container_volumes: [/a, /b, /a]}}\n");
        let loaded = load(&MapSources::of(text), &Limits::default());
        assert_eq!(show(&loaded.diagnostics, &loaded.sources), "");
        let volumes = &loaded.environment.unwrap().instances["s-1"].settings.volumes;
        assert_eq!(volumes.iter().collect::<Vec<_>>(), ["/a", "/b"]);
    }

    #[test]
    fn a_container_volume_may_not_be_a_bind_too() {
        let text =
            format!("{FILE}      s-1: {{ship: a, volumes: {{/h: /a}}, container_volumes: [/b, /a]}}\n");
        let loaded = load(&MapSources::of(text), &Limits::default());
        insta::assert_snapshot!(show(&loaded.diagnostics, &loaded.sources), @r#"
        E0404 instance `s-1` has `/a` both as a bind and as a container volume
          maestro.yaml:8:60 "[/b, /a]"
          maestro.yaml:8:36 "/a" bound here
        "#);
    }
}
