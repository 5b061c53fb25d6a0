use super::*;
use crate::config::{golden, python};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{MapSources, SourceError};
use std::collections::BTreeMap;

fn tree_of(sources: &MapSources) -> Tree {
    tree(sources, &Limits::default())
}

/// The diagnostics after they found their places.
fn placed(sources: &MapSources) -> String {
    let mut tree = tree_of(sources);
    place(&mut tree.diagnostics, &tree.map, &tree.origins);
    golden::show(&tree.diagnostics, &tree.map)
}

#[test]
fn a_file_without_tags_is_its_own_text() {
    let tree = tree_of(&MapSources::of("a: 1\nb: |\n  x\n"));
    // The last line end belongs to no value, as with Jinja2.
    assert_eq!(python::text(&tree.root.unwrap()), "{'a': 1, 'b': 'x'}");
    assert_eq!(tree.map.iter().count(), 1);
    assert!(tree.diagnostics.is_empty());
}

#[test]
fn line_ends_of_windows_are_line_ends() {
    let sources = MapSources::of("a: {{ env.X }}\r\nb: 1\r\nb: 2\r\n").with_variable("X", "y");
    insta::assert_snapshot!(placed(&sources), @"");
    assert_eq!(python::text(&tree_of(&sources).root.unwrap()), "{'a': 'y', 'b': 1}");
}

#[test]
fn places_move_into_the_files() {
    let sources = MapSources::of(
        "{% set port = 80 %}\n\
         web: {image: web, port: {{ port }}, port: 81}\n\
         {% include 'more.yaml' %}\n\
         {% macro service(name) %}\n{{ name }}:\n  when: 22:22\n{% endmacro %}\n\
         {{ service('db') }}\n",
    )
    .with_file("more.yaml", "more:\n  - !custom {{ port }}\n  - *nowhere\n");
    insta::assert_snapshot!(placed(&sources), @"");
}

#[test]
fn what_was_computed_stays_in_the_rendered_text() {
    let sources =
        MapSources::of("{% for name in ['web', 'web'] %}\n{{ name }}: {{ '22:22' }}\n{% endfor %}\n");
    insta::assert_snapshot!(placed(&sources), @"");
}

#[test]
fn two_rounds_of_a_loop_are_told_apart() {
    let sources = MapSources::of("{% for name in [1, 2] %}\nweb: {}\n{% endfor %}\n");
    insta::assert_snapshot!(placed(&sources), @"");
}

#[test]
fn a_syntax_error_of_the_rendered_text_is_shown_where_it_is_written() {
    let sources = MapSources::of("{% if true %}\na: b: c\n{% endif %}\n");
    insta::assert_snapshot!(placed(&sources), @"");
}

#[test]
fn long_places_are_cut_to_their_first_line() {
    let sources = MapSources::of("{% set x = 1 %}\na:\n  b: {{ x }}\n  c: 2\n");
    let tree = tree_of(&sources);
    let node = tree.root.as_ref().unwrap().as_map().unwrap().get("a").unwrap().clone();
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(Diagnostic::error(Code::WrongType, "this is a mapping").at(node.span));
    place(&mut diagnostics, &tree.map, &tree.origins);
    insta::assert_snapshot!(golden::show(&diagnostics, &tree.map), @"");
}

#[test]
fn placing_leaves_other_files_alone() {
    let mut tree = tree_of(&MapSources::of("{% set x = 1 %}a: {{ x }}\n"));
    let file = Span { source: SourceId(0), start: 3, end: 6 };
    tree.diagnostics.push(Diagnostic::error(Code::BadValue, "something").at(file));
    place(&mut tree.diagnostics, &tree.map, &tree.origins);
    assert_eq!(tree.diagnostics.iter().next().unwrap().labels[0].span, file);
}

/// Sources that cannot be read.
struct Broken(SourceError);

impl Sources for Broken {
    fn read(&self, _: SourceKind, _: &str) -> Result<Vec<u8>, SourceError> {
        Err(self.0.clone())
    }

    fn display_name(&self, _: SourceKind, _: &str) -> String {
        "shop.yaml".to_owned()
    }

    fn variables(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

#[test]
fn files_that_cannot_be_read() {
    let fault = |error: SourceError| {
        let tree = tree(&Broken(error), &Limits::default());
        assert!(tree.root.is_none());
        golden::show(&tree.diagnostics, &tree.map)
    };
    insta::assert_snapshot!(fault(SourceError::NotFound), @"");
    insta::assert_snapshot!(fault(SourceError::TooLarge { size: 50 << 20, limit: 16 << 20 }), @"");
    insta::assert_snapshot!(fault(SourceError::Other("permission denied".to_owned())), @"");
}

#[test]
fn files_that_are_no_text() {
    let faults = |bytes: &[u8]| placed(&MapSources::of(bytes));
    insta::assert_snapshot!(faults(b"a: 1\nb: caf\xe9\n"), @"");
    insta::assert_snapshot!(faults(b"\xff\xfea\0"), @"");
    let included = MapSources::of("{% include 'x' %}").with_file("x", b"\xff".as_slice());
    insta::assert_snapshot!(placed(&included), @"");
}

#[test]
fn fifty_megabytes_are_refused() {
    let sources = MapSources::of(vec![b'a'; 50 << 20]);
    insta::assert_snapshot!(placed(&sources), @"");
    let included = MapSources::of("{% include 'x' %}").with_file("x", vec![b'a'; 50 << 20]);
    insta::assert_snapshot!(placed(&included), @"");
}
