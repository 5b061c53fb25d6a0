//! What fuzzing feeds with arbitrary bytes, and what must hold for all of them.
//!
//! The targets under `/fuzz` and the replay of the kept corpus (`tests/corpus.rs`) call the same functions. They
//! panic when something does not hold; that they return says that the input was handled. This file depends on
//! `maestro-core` alone: the targets include it by its path, to be built without the rest of this crate.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "a panic is how a target says that something does not hold, and that is all that it is for"
)]

use maestro_core::config::limits::Limits;
use maestro_core::config::node::{Node, Value};
use maestro_core::config::tree::{Tree, place, tree};
use maestro_core::config::{envfile, ports, python, yaml};
use maestro_core::diagnostic::{Diagnostics, Severity};
use maestro_core::image::{self, ImageRef};
use maestro_core::source::{MapSources, Origin, SourceId, SourceMap, SourceText};
use std::sync::Arc;

/// One target: bytes in, nothing out.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: &[(&str, Target)] =
    &[("template", template), ("yaml", yaml), ("ports", ports), ("image", image), ("envfile", envfile)];

/// Far below the defaults, so that running into them is quick.
const LIMITS: Limits = Limits {
    file_bytes: 64 << 10,
    rendered_bytes: 128 << 10,
    template_steps: 50_000,
    template_bytes: 1 << 20,
    depth: 100,
    nodes: 50_000,
    text_bytes: 1 << 20,
    variables: 50_000,
    ports: 50_000,
    checks: 50_000,
    pattern_work: 1_000,
    replicas: 1_000,
    replicated: 50_000,
    placements: 50_000,
};

/// Between the environment file and the files that it can include, which are called `f1`, `f2` and so on.
const FILE_SEPARATOR: u8 = 1;

/// The whole load stage: files, templates, YAML, places.
pub fn template(bytes: &[u8]) {
    let mut files = bytes.split(|byte| *byte == FILE_SEPARATOR);
    let mut sources = MapSources::of(files.next().unwrap_or(&[])).with_variable("FOO", "bar");
    for (i, file) in files.take(3).enumerate() {
        sources = sources.with_file(&format!("f{}", i + 1), file);
    }
    let Tree { root, map, mut diagnostics, origins } = tree(&sources, &LIMITS);
    assert!(root.is_some() || diagnostics.has_errors(), "nothing came of it, and nothing was said");
    sound(root.as_deref(), &diagnostics, &map);
    place(&mut diagnostics, &map, &origins);
    sound(None, &diagnostics, &map);
}

/// The YAML stage alone.
pub fn yaml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut map = SourceMap::default();
    let source = map.add(SourceText { name: "fuzz".to_owned(), origin: Origin::File, text: Arc::from(text) });
    let mut diagnostics = Diagnostics::default();
    let root = yaml::parse(source, text, &LIMITS, &mut diagnostics);
    assert!(root.is_some() || diagnostics.has_errors(), "nothing came of it, and nothing was said");
    sound(root.as_deref(), &diagnostics, &map);
}

/// A port specification: what is accepted names ports that exist, and both sides are as they were written.
pub fn ports(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(port) = ports::spec(text) else { return };
    let protocol = port.protocol;
    let sides = [&port.exposed, &port.external].map(|side| {
        let atom = ports::atom(&format!("{side}/{protocol}")).expect("a side of a port is a port");
        assert!(atom.first <= atom.last && atom.protocol == protocol, "{text:?}");
        atom
    });
    assert!(sides[0].first > 0, "{text:?} exposes port 0");
    let lengths = sides.map(|atom| atom.last - atom.first);
    assert!(lengths[0] == 0 || lengths[0] == lengths[1], "{text:?} pairs ranges of different lengths");
}

/// An image reference: its parts are parts of it, and it is found among the names that engines would give it.
pub fn image(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let image = ImageRef::parse(text);
    assert_eq!(image.as_str(), text);
    assert!(text.starts_with(image.repository()), "{text:?}");
    assert!(image.tag() == "latest" || text.ends_with(image.tag()), "{text:?}");
    assert!(image.without_pin().ends_with(image.short()), "{text:?}");
    assert!(!image.registry_host().is_empty(), "{text:?}");
    let of_hub = image.registry_host() == "docker.io";
    let (tag, digest) = match image.digest() {
        Some(digest) => (None, Some(format!("{}@{digest}", image.repository()))),
        None => (Some(format!("{}:{}", image.repository(), image.tag())), None),
    };
    // What files may say is split as engines split it.
    if image::check(text).is_ok() {
        assert!(!image.repository().is_empty() && !image.tag().is_empty(), "{text:?}");
        assert!(!image.repository().contains(['@', ' ']), "{text:?}");
        assert_eq!(image.digest().is_some(), text.contains('@'), "{text:?}");
    }
    // Engines shorten Docker Hub's names; all others are listed as they were pulled.
    assert!(of_hub || image.is_among(tag.as_deref(), digest.as_deref()), "{text:?} is not itself");
}

/// An env file: every line is a variable, a comment, blank, or reported, and names have no `=`.
pub fn envfile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (vars, bad) = envfile::parse(text);
    assert!(vars.len() + bad.len() <= text.lines().count(), "{text:?}");
    for var in vars {
        assert!(!var.name.contains('='), "{var:?}");
    }
    for line in bad {
        assert!(text.get(line.start..line.end).is_some_and(|line| !line.contains(['=', '\n'])), "{line:?}");
    }
}

/// Diagnostics point into texts and say something; nodes lie within the text.
fn sound(root: Option<&Node>, diagnostics: &Diagnostics, map: &SourceMap) {
    for diagnostic in diagnostics.iter() {
        assert!(!diagnostic.message.is_empty(), "{diagnostic:?}");
        for label in &diagnostic.labels {
            let source = map.get(label.span.source);
            let range = label.span.start as usize..label.span.end as usize;
            assert!(source.is_some_and(|source| source.text.get(range).is_some()), "{diagnostic:?}");
            assert!(map.position(label.span).is_some(), "{diagnostic:?}");
        }
    }
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    assert!(errors < 200, "{errors} errors");
    if let Some(root) = root {
        let text = map.get(root.span.source).map(|source| Arc::clone(&source.text)).unwrap_or_default();
        within(root, root.span.source, &text);
        // Writing out what aliases share multiplies; the limit on nodes bounds it.
        assert!(python::text(root).len() <= 64 * LIMITS.rendered_bytes, "a tree that is too large");
    }
}

fn within(node: &Node, source: SourceId, text: &str) {
    assert_eq!(node.span.source, source);
    assert!(text.get(node.span.start as usize..node.span.end as usize).is_some(), "{:?}", node.span);
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| within(item, source, text)),
        Value::Map(map) => map.entries.iter().for_each(|(key, value)| {
            within(key, source, text);
            within(value, source, text);
        }),
        _ => {}
    }
}
