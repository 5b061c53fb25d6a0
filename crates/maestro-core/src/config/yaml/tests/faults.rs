//! Every diagnostic of the YAML stage, word for word.

use super::parsed;
use crate::config::{golden, python};

/// The diagnostics, and what was made of the text all the same.
pub(super) fn faults(text: &str) -> String {
    let parsed = parsed(text);
    let tree = parsed.root.map_or_else(|| "nothing".to_owned(), |root| python::text(&root));
    format!("{}-> {tree}", golden::show(&parsed.diagnostics, &parsed.map))
}

#[test]
fn duplicate_key() {
    insta::assert_snapshot!(faults("a: 1\nb: 2\na: 3\n"), @r#"
    E0202 `a` is written twice in this mapping
      f:3:1 "a" written again here
      f:1:1 "a" first written here
      help: remove one of the two, or give it another name
    -> {'a': 1, 'b': 2}
    "#);
}

#[test]
fn duplicate_key_in_braces() {
    insta::assert_snapshot!(faults("x: {a: 1, \"a\": 2}"), @r#"
    E0202 `"a"` is written twice in this mapping
      f:1:11 "\"a\"" written again here
      f:1:5 "a" first written here
      help: remove one of the two, or give it another name
    -> {'x': {'a': 1}}
    "#);
}

#[test]
fn duplicate_key_by_equality() {
    insta::assert_snapshot!(faults("1: a\ntrue: b\n1.0: c\n"), @r#"
    E0202 `true` is the same key as `1`
      f:2:1 "true" written again here
      f:1:1 "1" first written here
      note: unquoted, both stand for 1
      help: quote them to keep them apart
    E0202 `1.0` is the same key as `1`
      f:3:1 "1.0" written again here
      f:1:1 "1" first written here
      note: unquoted, both stand for 1
      help: quote them to keep them apart
    -> {1: 'a'}
    "#);
}

#[test]
fn duplicate_boolean_keys() {
    insta::assert_snapshot!(faults("on: 1\nyes: 2\n"), @r#"
    E0202 `yes` is the same key as `on`
      f:2:1 "yes" written again here
      f:1:1 "on" first written here
      note: unquoted, both stand for True
      help: quote them to keep them apart
    -> {True: 1}
    "#);
}

#[test]
fn all_faults_at_once() {
    insta::assert_snapshot!(faults("a: !foo 1\nb: =\na: 2\nc: *nowhere\nd: !!int x\n? [k]\n: v\n"), @r#"
    E0203 the tag `!foo` is not known
      f:1:4 "!foo"
      help: remove it, or quote the value if it is meant to begin with `!`
    E0203 a plain `=` is not a value
      f:2:4 "="
      note: YAML 1.1 reserves it; maestro-ng refuses it too
      help: quote it: "="
    E0202 `a` is written twice in this mapping
      f:3:1 "a" written again here
      f:1:1 "a" first written here
      help: remove one of the two, or give it another name
    E0201 there is no anchor `&nowhere` before this alias
      f:4:4 "*nowhere"
      help: quote the value if it is meant to begin with `*`
    E0304 `x` is not a usable integer
      f:5:10 "x" not an integer
    E0203 a list cannot be a key
      f:6:3 "[k]"
      help: quote it if it is meant as text
    -> {'a': 1, 'b': '=', 'c': None, 'd': 'x'}
    "#);
}

#[test]
fn names_of_anchors() {
    insta::assert_snapshot!(faults("a: &Az-_09 1\nb: *Az-_09\nc: &a.b 2\nd: &é 3\n"), @r#"
    E0201 `&a.b` is no name of an anchor
      f:3:4 "&a.b" letters, digits, `-` and `_` can be in it
      help: quote the value if it is meant to begin with `&`
    E0201 `&é` is no name of an anchor
      f:4:4 "&é" letters, digits, `-` and `_` can be in it
      help: quote the value if it is meant to begin with `&`
    -> {'a': 1, 'b': 1, 'c': 2, 'd': 3}
    "#);
}

#[test]
fn tags_that_do_not_fit() {
    insta::assert_snapshot!(faults("a: !!map x\nb: !!str [1]\nc: !!set [1]\nd: !!python/object:os.system {}\n"), @r#"
    E0203 the tag `!!map` does not fit a single value
      f:1:4 "!!map"
      help: remove the tag
    E0203 the tag `!!str` does not fit a list
      f:2:4 "!!str"
      help: remove the tag
    E0203 the tag `!!set` does not fit a list
      f:3:4 "!!set"
      help: remove the tag
    E0203 the tag `!!python/object:os.system` is not known
      f:4:4 "!!python/object:os.system"
      note: of the tags of YAML, those for plain data work
      help: remove the tag
    -> {'a': 'x', 'b': [1], 'c': [1], 'd': {}}
    "#);
}

#[test]
fn second_merge() {
    insta::assert_snapshot!(faults("a: &a {}\nb: {<<: *a, <<: *a}\n"), @r#"
    E0202 `<<` is written twice in this mapping
      f:2:13 "<<" written again here
      f:2:5 "<<" first written here
      help: merge several mappings with a list: `<<: [*one, *two]`
    -> {'a': {}, 'b': {}}
    "#);
}

#[test]
fn merge_of_no_mapping() {
    insta::assert_snapshot!(faults("a: {<<: 1}\nb: {<<: [{x: 1}, 2]}\n"), @r#"
    E0203 `<<` merges mappings, and this is an integer
      f:1:9 "1"
      help: give it a mapping or a list of mappings, usually by alias: `<<: *defaults`
    E0203 `<<` merges mappings, and this is an integer
      f:2:18 "2"
      help: give it a mapping or a list of mappings, usually by alias: `<<: *defaults`
    -> {'a': {}, 'b': {'x': 1}}
    "#);
}

#[test]
fn merge_as_value() {
    insta::assert_snapshot!(faults("a: <<\nb: [<<]\n"), @r#"
    E0203 a plain `<<` is not a value
      f:1:4 "<<" it merges mappings, and stands as a key: `<<: *other`
      help: quote it: "<<"
    E0203 a plain `<<` is not a value
      f:2:5 "<<" it merges mappings, and stands as a key: `<<: *other`
      help: quote it: "<<"
    -> {'a': '<<', 'b': ['<<']}
    "#);
}

#[test]
fn plain_equals_sign() {
    insta::assert_snapshot!(faults("a: =\n"), @r#"
    E0203 a plain `=` is not a value
      f:1:4 "="
      note: YAML 1.1 reserves it; maestro-ng refuses it too
      help: quote it: "="
    -> {'a': '='}
    "#);
}

#[test]
fn unhashable_keys() {
    insta::assert_snapshot!(faults("[a]: 1\n{b: c}: 2\n"), @r#"
    E0203 a list cannot be a key
      f:1:1 "[a]"
      help: quote it if it is meant as text
    E0203 a mapping cannot be a key
      f:2:1 "{b: c}"
      help: quote it if it is meant as text
    -> {}
    "#);
}

#[test]
fn second_document() {
    insta::assert_snapshot!(faults("a: 1\n---\nb: 2\n"), @r#"
    E0203 a second document begins here
      f:2:1 "---"
      note: an environment is one YAML document
      help: remove the `---`, or move what follows into a file of its own
    -> {'a': 1}
    "#);
}

#[test]
fn base_60() {
    insta::assert_snapshot!(faults("ports: [22:22, 1:30.5]\n"), @r#"
    W0501 `22:22` is the number 1342
      f:1:9 "22:22" YAML 1.1 reads digits with colons in base 60
      help: quote it if it is not meant as a number: "22:22"
    W0501 `1:30.5` is the number 90.5
      f:1:16 "1:30.5" YAML 1.1 reads digits with colons in base 60
      help: quote it if it is not meant as a number: "1:30.5"
    -> {'ports': [1342, 90.5]}
    "#);
}

#[test]
fn no_such_day() {
    insta::assert_snapshot!(faults("a: 2020-13-45\nb: 2020-01-01 25:00:00\nc: 2020-01-01 10:00:00+25:00\n"), @r#"
    E0304 `2020-13-45` is not a usable date
      f:1:4 "2020-13-45" there is no such day; quote it if it is not meant as a date
    E0304 `2020-01-01 25:00:00` is not a usable date
      f:2:4 "2020-01-01 25:00:00" there is no such time of day; quote it if it is not meant as a time
    E0304 `2020-01-01 10:00:00+25:00` is not a usable date
      f:3:4 "2020-01-01 10:00:00+25:00" an offset from UTC is less than a day
    -> {'a': '2020-13-45', 'b': '2020-01-01 25:00:00', 'c': '2020-01-01 10:00:00+25:00'}
    "#);
}

#[test]
fn integer_too_large() {
    insta::assert_snapshot!(faults("a: 999999999999999999999999999999999999999999\n"), @r#"
    E0304 `999999999999999999999999999999999999999999` is not a usable integer
      f:1:4 "999999999999999999999999999999999999999999" too large for an integer; quote it to make it a string
    -> {'a': '999999999999999999999999999999999999999999'}
    "#);
}

#[test]
fn not_base_64() {
    insta::assert_snapshot!(faults("a: !!binary a\n"), @r#"
    E0304 `!!binary` needs base 64 text
      f:1:13 "a" not base 64, or its padding with `=` is missing
    -> {'a': b''}
    "#);
}

#[test]
fn pairs_of_more_than_one() {
    insta::assert_snapshot!(faults("!!pairs [{a: 1, b: 2}, c]\n"), @r#"
    E0203 `!!pairs` needs a list of single pairs
      f:1:10 "{a: 1, b: 2}" this is a mapping
      help: write each item as `- key: value`
    E0203 `!!pairs` needs a list of single pairs
      f:1:24 "c" this is a string
      help: write each item as `- key: value`
    -> []
    "#);
}

#[test]
fn unknown_alias() {
    insta::assert_snapshot!(faults("abc: &abc 1\nx: *abd\ny: *zzz\n"), @r#"
    E0201 there is no anchor `&abd` before this alias
      f:2:4 "*abd"
      help: did you mean `*abc`?
    E0201 there is no anchor `&zzz` before this alias
      f:3:4 "*zzz"
      help: quote the value if it is meant to begin with `*`
    -> {'abc': 1, 'x': None, 'y': None}
    "#);
}

#[test]
fn alias_within_its_anchor() {
    insta::assert_snapshot!(faults("a: &a {b: *a}\n"), @r#"
    E0203 `*a` stands inside of what it stands for
      f:1:11 "*a" this would nest without an end
      f:1:4 "&a" the anchor
    -> {'a': {'b': None}}
    "#);
}

#[test]
fn control_character() {
    insta::assert_snapshot!(faults("a: x\u{1b}[31m\n"), @r#"
    E0201 the control character U+001B is not allowed in YAML
      f:1:5 "\u{1b}"
      help: remove it; it looks like a colour code copied from a terminal
    -> nothing
    "#);
}

#[test]
fn control_character_other() {
    insta::assert_snapshot!(faults("a: \u{0}\n"), @r#"
    E0201 the control character U+0000 is not allowed in YAML
      f:1:4 "\0"
      help: remove it, or write it in double quotes as "\x00"
    -> nothing
    "#);
}

#[test]
fn tab_as_indentation() {
    insta::assert_snapshot!(faults("a:\n\tb: 1\n"), @r#"
    E0201 a tab cannot indent YAML
      f:2:1 "\t"
      help: indent with spaces only
    -> nothing
    "#);
}

#[test]
fn tab_noticed_late() {
    insta::assert_snapshot!(faults("- a: 1\n\tb: 2\n"), @r#"
    E0201 a tab cannot indent YAML
      f:2:1 "\t"
      help: indent with spaces only
    -> nothing
    "#);
}

#[test]
fn tab_in_block() {
    insta::assert_snapshot!(faults("a: |\n\tb\n"), @r#"
    E0201 a tab cannot indent YAML
      f:2:1 "\t"
      help: indent with spaces only
    -> nothing
    "#);
}

#[test]
fn two_colons() {
    insta::assert_snapshot!(faults("command: echo foo: bar\n"), @r#"
    E0201 a `key: value` pair cannot stand here
      f:1:18 ":" a second `: ` on this line
      help: quote the value if it contains `: `, as in `command: "echo foo: bar"`
    -> nothing
    "#);
}

#[test]
fn two_colons_and_quotes() {
    insta::assert_snapshot!(faults("- a: say \"x\": it's\n"), @r#"
    E0201 a `key: value` pair cannot stand here
      f:1:13 ":" a second `: ` on this line
      help: quote the value if it contains `: `, as in `a: 'say "x": it''s'`
    -> nothing
    "#);
}

#[test]
fn key_where_none_can_be() {
    insta::assert_snapshot!(faults("a\nb: 1\n"), @r#"
    E0201 a `key: value` pair cannot stand here
      f:2:2 ":" this `:` begins a value
      help: check that this line is indented like its neighbours, and that the line before it ends a value
    -> nothing
    "#);
}

#[test]
fn unclosed_double_quote() {
    insta::assert_snapshot!(faults("a: \"x\nb: 1\nc: 2\n"), @r#"
    E0201 a quoted string is not closed
      f:1:4 "\"" it begins here
      help: close it with `"`; a double quote within is written \"
    -> nothing
    "#);
}

#[test]
fn unclosed_single_quote() {
    insta::assert_snapshot!(faults("a: 'it\n"), @r#"
    E0201 a quoted string is not closed
      f:1:4 "'" it begins here
      help: close it with `'`; a single quote within is doubled: ''
    -> nothing
    "#);
}

#[test]
fn text_after_quotes() {
    insta::assert_snapshot!(faults("command: \"echo \"hi\"\"\n"), @r#"
    E0201 text follows a quoted string
      f:1:17 "h"
      help: quote the whole value; a single quote within single quotes is doubled, a double quote within double quotes is written \"
    -> nothing
    "#);
}

#[test]
fn bad_escape() {
    insta::assert_snapshot!(faults("a: \"C:\\data\"\n"), @r#"
    E0201 `\` begins an escape in double quotes, and this one does not exist
      f:1:4 "\""
      help: write `\\` for a backslash, or use single quotes
    -> nothing
    "#);
}

#[test]
fn unclosed_bracket() {
    insta::assert_snapshot!(faults("a: [1, 2\nb: 3\n"), @r#"
    E0201 `[` is not closed
      f:1:4 "[" it is still open
      f:2:2 ":" expected `,` or `]` before this
      help: close it with `]`; quote a value that contains brackets, braces, commas or `: `
    -> nothing
    "#);
}

#[test]
fn unclosed_brace() {
    insta::assert_snapshot!(faults("ships:\n  a: {ip: 192.0.2.1\n  b: {ip: 192.0.2.2}\n"), @r#"
    E0201 `{` is not closed
      f:2:6 "{" it is still open
      f:3:4 ":" expected `,` or `}` before this
      help: close it with `}`; quote a value that contains brackets, braces, commas or `: `
    -> nothing
    "#);
}

#[test]
fn unclosed_bracket_around_a_pair() {
    insta::assert_snapshot!(faults("[é: *x\nf: 1]\n"), @r#"
    E0201 there is no anchor `&x` before this alias
      f:1:5 "*x"
      help: quote the value if it is meant to begin with `*`
    E0201 `[` is not closed
      f:1:1 "[" it is still open
      f:2:1 "f" expected `,` or `]` before this
      help: close it with `]`; quote a value that contains brackets, braces, commas or `: `
    -> nothing
    "#);
}

#[test]
fn bracket_at_the_end() {
    insta::assert_snapshot!(faults("a: [1, 2\n"), @r#"
    E0201 unclosed bracket '['
      f:1:4 "["
      help: close the bracket; quote the value if it is meant to begin with `[` or `{`
    -> nothing
    "#);
}

#[test]
fn wrong_bracket() {
    insta::assert_snapshot!(faults("a: {x: 1]\n"), @r#"
    E0201 mismatched bracket '{' closed by ']'
      f:1:4 "{"
      help: check that each bracket is closed once, by its own kind
    -> nothing
    "#);
}

#[test]
fn stray_bracket() {
    insta::assert_snapshot!(faults("a: 1]\nb: ]\n"), @r#"
    E0201 misplaced bracket
      f:2:4 "]"
      help: check that each bracket is closed once, by its own kind
    -> nothing
    "#);
}

#[test]
fn missing_comma() {
    insta::assert_snapshot!(faults("a: {x: 1 y: 2}\n"), @r#"
    E0201 expected `,` or `}`
      f:1:11 ":"
      help: quote a value that contains `,`, `: `, brackets or braces
    -> nothing
    "#);
}

#[test]
fn missing_colon() {
    insta::assert_snapshot!(faults("a: 1\nb\nc: 2\n"), @r#"
    E0201 this line is neither a `key: value` pair nor part of the value before it
      f:2:1 "b"
      help: add the missing `:`, or check the indentation and the quotes of the lines before
    -> nothing
    "#);
}

#[test]
fn wrong_indentation() {
    insta::assert_snapshot!(faults("a:\n  b: 1\n c: 2\n"), @r#"
    E0201 expected a key of the mapping, or its end
      f:3:2 "c" this does not fit the mapping that it stands in
      help: check the indentation: the keys of one mapping stand in the same column
    -> nothing
    "#);
}

#[test]
fn list_and_mapping() {
    insta::assert_snapshot!(faults("a:\n  - b\n  c: d\n"), @r#"
    E0201 expected `-` for the next item of the list, or its end
      f:3:3 "c" this does not fit the list that it stands in
      help: check the indentation: the `-` of one list stand in the same column
    -> nothing
    "#);
}

#[test]
fn list_on_the_line_of_its_key() {
    insta::assert_snapshot!(faults("a: - b\n"), @r#"
    E0201 a list item cannot stand here
      f:1:4 "-"
      help: put the list on a line of its own, below its key
    -> nothing
    "#);
}

#[test]
fn reserved_character() {
    insta::assert_snapshot!(faults("a: @b\n"), @r#"
    E0201 unquoted text cannot begin with `@`
      f:1:4 "@"
      help: quote the value
    -> nothing
    "#);
}

#[test]
fn percent() {
    insta::assert_snapshot!(faults("a: %b\n"), @r#"
    E0201 unquoted text cannot begin with `%`
      f:1:4 "%"
      help: quote the value
    -> nothing
    "#);
}

#[test]
fn lone_star() {
    insta::assert_snapshot!(faults("a: *\n"), @r#"
    E0201 `&` and `*` need a name
      f:1:4 "*"
      help: quote the value if it is meant to begin with `&` or `*`
    -> nothing
    "#);
}

#[test]
fn undeclared_handle() {
    insta::assert_snapshot!(faults("a: !x!y 1\n"), @r#"
    E0201 the tag is not known
      f:1:4 "!"
      help: remove it, or quote the value if it is meant to begin with `!`
    -> nothing
    "#);
}

#[test]
fn comment_within_a_value() {
    insta::assert_snapshot!(faults("a: 1 # one\n  b\n"), @r##"
    E0201 a comment cannot stand within a value of several lines
      f:1:6 "#"
    -> nothing
    "##);
}

#[test]
fn comment_too_close() {
    insta::assert_snapshot!(faults("a: 'b'#c\n"), @r##"
    E0201 comments must be separated from other tokens by whitespace
      f:1:7 "#"
      help: put a space before `#`, or quote the value
    -> nothing
    "##);
}

#[test]
fn text_after_block_header() {
    insta::assert_snapshot!(faults("a: | x\n  y\n"), @r#"
    E0201 text follows `|` or `>`
      f:1:4 "|"
      help: begin the text on the next line, or quote the value if it is meant to begin with `|` or `>`
    -> nothing
    "#);
}
