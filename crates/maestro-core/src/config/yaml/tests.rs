mod faults;

use super::*;
use crate::config::golden;
use crate::config::python;
use crate::source::{Origin, SourceMap, SourceText};
use proptest::prelude::*;

struct Parsed {
    root: Option<Arc<Node>>,
    diagnostics: Diagnostics,
    map: SourceMap,
}

fn parsed_within(text: &str, limits: &Limits) -> Parsed {
    let mut map = SourceMap::default();
    let source = map.add(SourceText { name: "f".to_owned(), origin: Origin::File, text: Arc::from(text) });
    let mut diagnostics = Diagnostics::default();
    let root = parse(source, text, limits, &mut diagnostics);
    Parsed { root, diagnostics, map }
}

fn parsed(text: &str) -> Parsed {
    parsed_within(text, &Limits::default())
}

/// Python's text of a document without faults.
fn value(text: &str) -> String {
    let parsed = parsed(text);
    assert!(!parsed.diagnostics.has_errors(), "{text:?}: {}", golden::show(&parsed.diagnostics, &parsed.map));
    python::text(&parsed.root.unwrap())
}

#[test]
fn plain_scalars_resolve_as_pyyaml_resolves_them() {
    // The right column was produced by PyYAML 6.0.3.
    let cases = [
        ("yes", "True"),
        ("Yes", "True"),
        ("ON", "True"),
        ("true", "True"),
        ("no", "False"),
        ("Off", "False"),
        ("FALSE", "False"),
        ("y", "'y'"),
        ("n", "'n'"),
        ("yEs", "'yEs'"),
        ("tRue", "'tRue'"),
        ("~", "None"),
        ("null", "None"),
        ("NULL", "None"),
        ("nULL", "'nULL'"),
        ("", "None"),
        ("0", "0"),
        ("-0", "0"),
        ("017", "15"),
        ("0o17", "'0o17'"),
        ("08", "'08'"),
        ("0_7", "7"),
        ("0x1F", "31"),
        ("-0x_f", "-15"),
        ("0X1F", "'0X1F'"),
        ("0b11", "3"),
        ("0b12", "'0b12'"),
        ("+12", "12"),
        ("1_000", "1000"),
        ("_1", "'_1'"),
        ("12:30", "750"),
        ("22:22", "1342"),
        ("190:20:30", "685230"),
        ("25:2525", "'25:2525'"),
        ("1:60", "'1:60'"),
        ("01:30", "'01:30'"),
        ("80:8080", "'80:8080'"),
        ("-1:30", "-90"),
        ("1.0e+3", "1000.0"),
        ("1e3", "'1e3'"),
        ("12e03", "'12e03'"),
        ("1.5e3", "'1.5e3'"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("+.5", "'+.5'"),
        ("1.2.3", "'1.2.3'"),
        ("1_0.2_5", "10.25"),
        ("1.10", "1.1"),
        (".inf", "inf"),
        ("-.INF", "-inf"),
        ("+.inf", "inf"),
        (".nan", "nan"),
        ("-.nan", "'-.nan'"),
        ("inf", "'inf'"),
        ("1:30.5", "90.5"),
        ("2020-01-02", "datetime.date(2020, 1, 2)"),
        ("2020-1-2", "'2020-1-2'"),
        ("2020-01-01 10:00:00", "datetime.datetime(2020, 1, 1, 10, 0)"),
        (
            "2001-12-14t21:59:43.10-05:00",
            "datetime.datetime(2001, 12, 14, 21, 59, 43, 100000, tzinfo=datetime.timezone(datetime.timedelta(days=-1, seconds=68400)))",
        ),
        (
            "2001-12-15T2:59:43.1Z",
            "datetime.datetime(2001, 12, 15, 2, 59, 43, 100000, tzinfo=datetime.timezone.utc)",
        ),
        ("10:00:00 foo", "'10:00:00 foo'"),
        ("<<x", "'<<x'"),
        ("==", "'=='"),
        ("-", "'-'"),
        ("1-2", "'1-2'"),
    ];
    for (text, expected) in cases {
        let document = if text == "-" { "- '-'\n".to_owned() } else { format!("- {text}\n") };
        assert_eq!(value(&document), format!("[{expected}]"), "{text:?}");
    }
}

#[test]
fn quotes_and_blocks_make_strings() {
    assert_eq!(value("['1', \"yes\", '']"), "['1', 'yes', '']");
    assert_eq!(value("a: |\n  1\n  2\n"), "{'a': '1\\n2\\n'}");
    assert_eq!(value("a: >-\n  1\n  2\n"), "{'a': '1 2'}");
    // The last line has no end here.
    assert_eq!(value("a: |\n  1\n  2"), "{'a': '1\\n2'}");
    assert_eq!(value("a: |+\n  1\n\n"), "{'a': '1\\n\\n'}");
    assert_eq!(value("a: |\n  1\n  "), "{'a': '1\\n'}");
    assert_eq!(value("a: |\n  1\nb: 2"), "{'a': '1\\n', 'b': 2}");
}

#[test]
fn a_lone_string_is_its_own_text() {
    assert_eq!(value("it's"), "it's");
    assert_eq!(value("2020-01-01 10:00:00+01:30"), "2020-01-01 10:00:00+01:30");
}

#[test]
fn tags_of_plain_data_work() {
    assert_eq!(
        value("[!!str 12, !!int '0x10', !!float '1', !!bool 'YES', !!null x]"),
        "['12', 16, 1.0, True, None]"
    );
    assert_eq!(value("! '12'"), "12");
    assert_eq!(value("!!timestamp '2020-1-2'"), "2020-01-02");
    assert_eq!(value("!!binary 'aGVs bG8='"), "b'hello'");
    assert_eq!(value("!!omap [b: 1, a: 2]"), "{'b': 1, 'a': 2}");
    assert_eq!(value("!!pairs [b: 1, b: 2]"), "[['b', 1], ['b', 2]]");
    assert_eq!(value("!!set {b, a}"), "['b', 'a']");
    assert_eq!(value("%YAML 1.2\n---\na: yes\n"), "{'a': True}");
}

#[test]
fn the_byte_order_mark_and_line_ends_of_windows_are_no_content() {
    assert_eq!(value("\u{feff}a: 1\r\nb: |\r\n  x\r\n"), "{'a': 1, 'b': 'x\\n'}");
    assert_eq!(value(""), "None");
    assert_eq!(value("# nothing\n"), "None");
}

#[test]
fn merges_fill_in_and_keep_pythons_order() {
    let document = "\
base: &base {x: 1, y: 2}
other: &other {y: 7, z: 3}
one: {y: 9, <<: *base}
two: {<<: [*base, *other], w: 1}
three: {<<: {a: 1}}
'<<': text
";
    assert_eq!(
        value(document),
        "{'base': {'x': 1, 'y': 2}, 'other': {'y': 7, 'z': 3}, 'one': {'x': 1, 'y': 9}, \
         'two': {'y': 2, 'z': 3, 'x': 1, 'w': 1}, 'three': {'a': 1}, '<<': 'text'}"
    );
}

#[test]
fn aliases_share_their_node() {
    let root = parsed("a: &x [1]\nb: *x\n").root.unwrap();
    let map = root.as_map().unwrap();
    assert!(Arc::ptr_eq(map.get("a").unwrap(), map.get("b").unwrap()));
}

#[test]
fn numbers_keep_their_text() {
    let root = parsed("[1.20, 0x10]").root.unwrap();
    let texts: Vec<&str> = root
        .as_seq()
        .unwrap()
        .iter()
        .map(|node| match &node.value {
            Value::Int(number) => &*number.text,
            Value::Float(number) => &*number.text,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["1.20", "0x10"]);
}

#[test]
fn spans_cover_what_was_written() {
    let text = "a:\n  - &x {b: 'c'}\n  - d: |\n      e\n\n# end\nf: *x\n";
    let root = parsed(text).root.unwrap();
    let written = |node: &Node| &text[node.span.start as usize..node.span.end as usize];
    assert_eq!(written(&root), &text[..text.len() - 1]);
    let list = root.as_map().unwrap().get("a").unwrap();
    assert_eq!(written(list), "- &x {b: 'c'}\n  - d: |\n      e");
    let items = list.as_seq().unwrap();
    assert_eq!(written(&items[0]), "{b: 'c'}");
    assert_eq!(written(items[0].as_map().unwrap().get("b").unwrap()), "'c'");
}

#[test]
fn nesting_is_limited_whatever_makes_it() {
    let limits = Limits { depth: 20, ..Limits::default() };
    let deep = |text: &str| {
        let parsed = parsed_within(text, &limits);
        let codes: Vec<Code> = parsed.diagnostics.iter().map(|d| d.code).collect();
        assert!(parsed.root.is_none() == (codes == [Code::TooLarge]), "{codes:?}");
        parsed.root.is_none()
    };
    assert!(!deep(&"[".repeat(20).add_closing(']')));
    assert!(deep(&"[".repeat(21).add_closing(']')));
    assert!(deep(&"[".repeat(100_000)));
    assert!(deep(&"- ".repeat(100_000)));
    assert!(deep(&lines(0..100, |i| format!("{}a:\n", " ".repeat(i)))));
    // Each line is flat; together they nest.
    let chain = |n: usize| {
        let lines = lines(1..n, |i| format!("k{i}: &a{i} [*a{}]\n", i - 1));
        format!("k0: &a0 []\n{lines}")
    };
    assert!(!deep(&chain(19)));
    assert!(deep(&chain(40)));
}

fn lines(range: std::ops::Range<usize>, line: impl Fn(usize) -> String) -> String {
    range.map(line).collect::<Vec<_>>().concat()
}

trait Closing {
    fn add_closing(self, bracket: char) -> String;
}

impl Closing for String {
    fn add_closing(self, bracket: char) -> String {
        let closing = bracket.to_string().repeat(self.len());
        self + &closing
    }
}

#[test]
fn a_bomb_of_aliases_is_refused_and_many_honest_ones_are_not() {
    let bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned()
        + &lines(1..9, |i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", ")));
    insta::assert_snapshot!(faults::faults(&bomb), @r#"
    E0103 the file stands for more than 5000000 values
      f:7:25 "*a5" the limit is passed here, each alias counted as all that it stands for
      help: aliases of aliases multiply; merge what is shared with `<<` once, or write less
    -> nothing
    "#);

    let merge_bomb = format!(
        "a: &a {{{}}}\nb:\n  <<: [{}]\n",
        (0..3000).map(|i| format!("k{i}: 1")).collect::<Vec<_>>().join(", "),
        vec!["*a"; 3000].join(", ")
    );
    assert!(parsed(&merge_bomb).root.is_none());

    let honest = "env: &env {a: 1, b: 2}\ninstances:\n".to_owned()
        + &lines(0..500, |i| format!("  i{i}: {{env: *env, more: {{<<: *env, c: 3}}}}\n"));
    let parsed = parsed(&honest);
    assert!(parsed.diagnostics.is_empty());
    let instances = parsed.root.unwrap();
    assert_eq!(instances.as_map().unwrap().get("instances").unwrap().as_map().unwrap().entries.len(), 500);
}

#[test]
fn a_bomb_of_long_texts_is_refused_and_many_honest_ones_are_not() {
    let long = "x".repeat(1 << 20);
    for (bomb, place) in [
        (format!("a: &a {long}\nb: [{}]\n", "*a, ".repeat(10_000)), "f:2:509 \"*a\""),
        // One list of them is little, a list of such lists is not.
        (format!("a: &a {long}\nb: &b [{}]\nc: [{}]\n", "*a,".repeat(9), "*b,".repeat(99)), "f:3:44 \"*b\""),
    ] {
        let parsed = parsed(&bomb);
        assert!(parsed.root.is_none());
        let said = golden::show(&parsed.diagnostics, &parsed.map);
        let head = format!(
            "E0103 the file stands for more than 128 MiB of text\n  {place} the limit is passed here"
        );
        assert!(said.starts_with(&head), "{said}");
    }
    let honest = format!("env: &env {{a: {}}}\ninstances:\n", "x".repeat(2_000))
        + &lines(0..10_000, |i| format!("  i{i}: {{env: *env, more: {{<<: *env, c: 3}}}}\n"));
    assert!(parsed(&honest).root.is_some());
    // What is written once always fits.
    let Limits { rendered_bytes, file_bytes, text_bytes, .. } = Limits::default();
    assert!(text_bytes > rendered_bytes.max(file_bytes) as u64);
}

/// Keys become names, and names are part of whatever is said about what they stand for.
#[test]
fn keys_are_as_short_as_yaml_wants_them() {
    let (most, long) = ("x".repeat(1024), "x".repeat(1025));
    assert_eq!(parsed(&format!("? {most}\n: 1\n")).diagnostics.len(), 0);
    for text in [
        format!("? {long}\n: 1\nb: 2\n"),
        format!("a: &a '{long}'\nb: {{*a : 1}}\n"),
        format!("? '{long}'\n"),
    ] {
        let parsed = parsed(&text);
        let said: Vec<_> = parsed.diagnostics.iter().map(|d| (d.code, &*d.message)).collect();
        assert_eq!(said, [(Code::YamlUnsupported, "a key has 1024 bytes at most, and this has 1025")]);
    }
}

#[test]
fn errors_without_end_are_cut_off() {
    let parsed = parsed(&"- !x 1\n".repeat(10_000));
    assert!(parsed.root.is_none());
    assert!(parsed.diagnostics.len() < 200);
    let warned = parsed_within(&"- 22:22\n".repeat(10_000), &Limits::default());
    assert!(warned.root.is_some());
    assert_eq!(warned.diagnostics.len(), MOST_WARNINGS);
}

/// Text that is nearly YAML.
fn nearly_yaml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a: "),
        Just("b:\n"),
        Just("  "),
        Just("- "),
        Just("\n"),
        Just("&x "),
        Just("*x"),
        Just("<<: "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(", "),
        Just("'"),
        Just("\""),
        Just("|\n"),
        Just(">-\n"),
        Just("!!int "),
        Just("!t "),
        Just("? "),
        Just(": "),
        Just("# "),
        Just("1:30"),
        Just("2020-01-01"),
        Just("="),
        Just("~"),
        Just("é"),
        Just("\t"),
        Just("---\n"),
        Just("...\n"),
        Just("%"),
        Just("\r\n"),
        Just("\\"),
        Just("0x1_"),
        Just("!!binary "),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// What must hold for every text: no panic, and every span within the text and on character boundaries.
fn sound(text: &str) {
    let parsed = parsed(text);
    assert!(parsed.root.is_some() || parsed.diagnostics.has_errors());
    for diagnostic in parsed.diagnostics.iter() {
        for label in &diagnostic.labels {
            assert!(text.get(label.span.start as usize..label.span.end as usize).is_some(), "{diagnostic:?}");
        }
    }
    if let Some(root) = &parsed.root {
        spans_are_sound(root, text);
        python::text(root);
    }
}

fn spans_are_sound(node: &Node, text: &str) {
    assert!(text.get(node.span.start as usize..node.span.end as usize).is_some(), "{:?}", node.span);
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| spans_are_sound(item, text)),
        Value::Map(map) => map.entries.iter().for_each(|(key, value)| {
            spans_are_sound(key, text);
            spans_are_sound(value, text);
        }),
        _ => {}
    }
}

proptest! {
    #[test]
    fn nearly_yaml_never_panics(text in nearly_yaml()) {
        sound(&text);
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,60}") {
        sound(&text);
    }

    #[test]
    fn integers_and_floats_read_back(int in any::<i64>(), float in any::<f64>()) {
        prop_assert_eq!(value(&format!("- {int}\n")), format!("[{int}]"));
        if float.is_finite() {
            let written = python::float_repr(float);
            // `1e+16` has no dot, so YAML 1.1 has it a string.
            if written.contains('.') {
                prop_assert_eq!(value(&format!("- {written}\n")), format!("[{written}]"));
            }
        }
    }
}
