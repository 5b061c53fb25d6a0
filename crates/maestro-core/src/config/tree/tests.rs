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
    insta::assert_snapshot!(placed(&sources), @r#"
    E0202 `b` is written twice in this mapping
      maestro.yaml:3:1 "b" written again here
      maestro.yaml:2:1 "b" first written here
      help: remove one of the two, or give it another name
    "#);
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
    insta::assert_snapshot!(placed(&sources), @r#"
    E0202 `port` is written twice in this mapping
      maestro.yaml:2:37 "port" written again here
      maestro.yaml:2:19 "port" first written here
      help: remove one of the two, or give it another name
    E0203 the tag `!custom` is not known
      more.yaml:2:5 "!custom"
      help: remove it, or quote the value if it is meant to begin with `!`
    E0201 there is no anchor `&nowhere` before this alias
      more.yaml:3:5 "*nowhere"
      help: quote the value if it is meant to begin with `*`
    W0501 `22:22` is the number 1342
      maestro.yaml:6:9 "22:22" YAML 1.1 reads digits with colons in base 60
      help: quote it if it is not meant as a number: "22:22"
    "#);
}

#[test]
fn what_was_computed_stays_in_the_rendered_text() {
    let sources =
        MapSources::of("{% for name in ['web', 'web'] %}\n{{ name }}: {{ '22:22' }}\n{% endfor %}\n");
    insta::assert_snapshot!(placed(&sources), @r#"
    W0501 `22:22` is the number 1342
      maestro.yaml (rendered):2:6 "22:22" YAML 1.1 reads digits with colons in base 60
      help: quote it if it is not meant as a number: "22:22"
    E0202 `web` is written twice in this mapping
      maestro.yaml (rendered):4:1 "web" written again here
      maestro.yaml (rendered):2:1 "web" first written here
      help: remove one of the two, or give it another name
    W0501 `22:22` is the number 1342
      maestro.yaml (rendered):4:6 "22:22" YAML 1.1 reads digits with colons in base 60
      help: quote it if it is not meant as a number: "22:22"
    "#);
}

#[test]
fn two_rounds_of_a_loop_are_told_apart() {
    let sources = MapSources::of("{% for name in [1, 2] %}\nweb: {}\n{% endfor %}\n");
    insta::assert_snapshot!(placed(&sources), @r#"
    E0202 `web` is written twice in this mapping
      maestro.yaml (rendered):4:1 "web" written again here
      maestro.yaml (rendered):2:1 "web" first written here
      help: remove one of the two, or give it another name
    "#);
}

#[test]
fn a_syntax_error_of_the_rendered_text_is_shown_where_it_is_written() {
    let sources = MapSources::of("{% if true %}\na: b: c\n{% endif %}\n");
    insta::assert_snapshot!(placed(&sources), @r#"
    E0201 a `key: value` pair cannot stand here
      maestro.yaml:2:5 ":" a second `: ` on this line
      help: quote the value if it contains `: `, as in `a: "b: c"`
    "#);
}

#[test]
fn long_places_are_cut_to_their_first_line() {
    let sources = MapSources::of("{% set x = 1 %}\na:\n  b: {{ x }}\n  c: 2\n");
    let tree = tree_of(&sources);
    let node = tree.root.as_ref().unwrap().as_map().unwrap().get("a").unwrap().clone();
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(Diagnostic::error(Code::WrongType, "this is a mapping").at(node.span));
    place(&mut diagnostics, &tree.map, &tree.origins);
    insta::assert_snapshot!(golden::show(&diagnostics, &tree.map), @r#"
    E0301 this is a mapping
      maestro.yaml (rendered):3:3 "b: 1"
    "#);
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
    insta::assert_snapshot!(fault(SourceError::NotFound), @"
    E0101 `shop.yaml` was not found
      help: check the path; a directory needs a `maestro.yaml` in it
    ");
    insta::assert_snapshot!(fault(SourceError::TooLarge { size: 50 << 20, limit: 16 << 20 }), @"
    E0103 `shop.yaml` is too large: 50 MiB, and the limit is 16 MiB
      help: check that this is the right file: no environment is that large
    ");
    // A pipe, of which nobody knows how much would have come.
    insta::assert_snapshot!(fault(SourceError::TooLarge { size: (16 << 20) + 1, limit: 16 << 20 }), @"
    E0103 `shop.yaml` is too large: more than 16 MiB
      help: check that this is the right file: no environment is that large
    ");
    insta::assert_snapshot!(fault(SourceError::Other("permission denied".to_owned())), @"E0101 `shop.yaml` could not be read: permission denied");
}

#[test]
fn files_that_are_no_text() {
    let faults = |bytes: &[u8]| placed(&MapSources::of(bytes));
    insta::assert_snapshot!(faults(b"a: 1\nb: caf\xe9\n"), @r#"
    E0102 the file is not UTF-8
      maestro.yaml:2:7 "�" this byte is not part of a character
      note: the byte is 0xe9
      help: save it as UTF-8
    "#);
    insta::assert_snapshot!(faults(b"\xff\xfea\0"), @r#"
    E0102 the file is not UTF-8
      maestro.yaml:1:1 "�" this byte is not part of a character
      help: it looks like UTF-16: save it as UTF-8
    "#);
    let included = MapSources::of("{% include 'x' %}").with_file("x", b"\xff".as_slice());
    insta::assert_snapshot!(placed(&included), @r#"
    E0102 the file is not UTF-8
      x:1:1 "�" this byte is not part of a character
      maestro.yaml:1:4 "include 'x'" included here
      note: the byte is 0xff
      help: save it as UTF-8
    "#);
}

#[test]
fn fifty_megabytes_are_refused() {
    let sources = MapSources::of(vec![b'a'; 50 << 20]);
    insta::assert_snapshot!(placed(&sources), @"
    E0103 `maestro.yaml` is too large: 50 MiB, and the limit is 16 MiB
      help: check that this is the right file: no environment is that large
    ");
    let included = MapSources::of("{% include 'x' %}").with_file("x", vec![b'a'; 50 << 20]);
    insta::assert_snapshot!(placed(&included), @r#"
    E0103 `x` is too large: 50 MiB, and the limit is 16 MiB
      maestro.yaml:1:4 "include 'x'"
      help: check that this is the right file: no environment is that large
    "#);
}
