//! What authors see.

use super::*;
use crate::report::Capabilities;
use maestro_core::diagnostic::Code;
use maestro_core::source::{Hidden, SourceId, Span};
use proptest::prelude::*;

const FILE: &str = "name: shop
ships:
  atlantic: {ip: 192.0.2.1}
  東京: {ip: 192.0.2.2, docker_prot: 2375}
services:
  web:
    image: shop/web
    instances:
      web-1: {ship: atlantik}
      web-1: {ship: 東京}
";

fn map(text: &str, origin: Origin) -> SourceMap {
    let mut map = SourceMap::default();
    map.add(SourceText { name: "maestro.yaml".into(), origin, text: text.into() });
    map
}

fn span(text: &str, what: &str, nth: usize) -> Span {
    let start = text.match_indices(what).nth(nth).unwrap().0;
    span_at(start, start + what.len())
}

fn span_at(start: usize, end: usize) -> Span {
    Span { source: SourceId(0), start: u32::try_from(start).unwrap(), end: u32::try_from(end).unwrap() }
}

fn all(items: impl IntoIterator<Item = Diagnostic>) -> Diagnostics {
    let mut all = Diagnostics::default();
    items.into_iter().for_each(|item| all.push(item));
    all
}

fn shown(items: impl IntoIterator<Item = Diagnostic>, sources: &SourceMap) -> String {
    render(&all(items), sources, 100, Paint::new(false))
}

#[test]
fn faults_are_shown_where_they_are() {
    let faults = [
        Diagnostic::error(Code::UnknownName, "there is no ship `atlantik`")
            .at(span(FILE, "atlantik", 0))
            .suggest("atlantik", ["atlantic"]),
        Diagnostic::error(Code::DuplicateKey, "`web-1` is here twice")
            .label(span(FILE, "web-1", 1), "again")
            .label(span(FILE, "web-1", 0), "first here"),
        Diagnostic::warning(Code::UnknownKey, "nothing reads `docker_prot`")
            .label(span(FILE, "docker_prot", 0), "")
            .note("known keys are ip, endpoint, docker_port")
            .help("did you mean `docker_port`?"),
        Diagnostic::error(Code::Unreadable, "cannot read `x.env`: not found"),
    ];
    insta::assert_snapshot!(shown(faults, &map(FILE, Origin::File)), @r"
    error[E0401]: there is no ship `atlantik`
     --> maestro.yaml:9:21
      |
    9 |       web-1: {ship: atlantik}
      |                     ^^^^^^^^
      |
      = help: did you mean `atlantic`?

    error[E0202]: `web-1` is here twice
      --> maestro.yaml:10:7
       |
     9 |       web-1: {ship: atlantik}
       |       ----- first here
    10 |       web-1: {ship: 東京}
       |       ^^^^^ again

    warning[W0303]: nothing reads `docker_prot`
     --> maestro.yaml:4:23
      |
    4 |   東京: {ip: 192.0.2.2, docker_prot: 2375}
      |                         ^^^^^^^^^^^
      |
      = note: known keys are ip, endpoint, docker_port
      = help: did you mean `docker_port`?

    error[E0101]: cannot read `x.env`: not found

    ERROR: maestro.yaml: 3 errors and 1 warning
    ");
}

#[test]
fn rendered_text_is_called_so() {
    let fault = Diagnostic::error(Code::BadValue, "bad").at(span(FILE, "192.0.2.2", 0));
    insta::assert_snapshot!(shown([fault], &map(FILE, Origin::Rendered)), @r"
    error[E0304]: bad
     --> maestro.yaml (rendered):4:12
      |
    4 |   東京: {ip: 192.0.2.2, docker_prot: 2375}
      |              ^^^^^^^^^
      |
      = note: this is a place in the rendered text of maestro.yaml: what its template became

    ERROR: maestro.yaml: 1 error
    ");
}

#[test]
fn labels_that_are_far_apart_are_shown_apart() {
    let mut text = String::from("first: 1\n");
    text.push_str(&"filler: 2\n".repeat(500));
    text.push_str("first: 3\n");
    let fault = Diagnostic::error(Code::DuplicateKey, "`first` is here twice")
        .label(span(&text, "first", 1), "again")
        .label(span(&text, "first", 0), "first here");
    insta::assert_snapshot!(shown([fault], &map(&text, Origin::File)), @r"
    error[E0202]: `first` is here twice
       --> maestro.yaml:502:1
        |
    502 | first: 3
        | ^^^^^ again
        |
       ::: maestro.yaml:1:1
        |
      1 | first: 1
        | ----- first here

    ERROR: maestro.yaml: 1 error
    ");
}

#[test]
fn long_lines_are_cut_and_columns_stay_true() {
    let text = format!("{{{}, ship: nowhere, {}}}", "a: äöü, ".repeat(20_000), "b: 1, ".repeat(20_000));
    let fault =
        Diagnostic::error(Code::UnknownName, "there is no ship `nowhere`").at(span(&text, "nowhere", 0));
    insta::assert_snapshot!(shown([fault], &map(&text, Origin::File)), @r"
    error[E0401]: there is no ship `nowhere`
     --> maestro.yaml:1:160010
      |
    1 | …äöü, a: äöü, a: äöü, a: äöü, a: äöü, , ship: nowhere, b: 1, b: 1, b: 1, b: 1, b: 1, b: 1, b:...
      |                                               ^^^^^^^

    ERROR: maestro.yaml: 1 error
    ");
}

#[test]
fn tall_spans_are_shown_by_their_first_line() {
    let text = "a: 1\n".repeat(1000);
    let whole = Diagnostic::error(Code::WrongType, "not this").at(span_at(0, text.len()));
    let few = Diagnostic::error(Code::WrongType, "nor this").at(span_at(5, 20));
    insta::assert_snapshot!(shown([whole, few], &map(&text, Origin::File)), @r"
    error[E0301]: not this
     --> maestro.yaml:1:1
      |
    1 | a: 1
      | ^^^^

    error[E0301]: nor this
     --> maestro.yaml:2:1
      |
    2 | / a: 1
    3 | | a: 1
    4 | | a: 1
      | |____^

    ERROR: maestro.yaml: 2 errors
    ");
}

#[test]
fn the_end_of_a_text_is_a_place() {
    let fault = Diagnostic::error(Code::YamlSyntax, "more was expected").at(span_at(5, 5));
    assert!(shown([fault], &map("a: [\n", Origin::File)).contains(" --> maestro.yaml:2:1\n"));
}

#[test]
fn thousands_are_counted() {
    let text = "x: 1\n".repeat(5000);
    let faults = (0..5000).map(|n| {
        let place = span_at(n * 5, n * 5 + 1);
        if n % 2 == 0 {
            Diagnostic::warning(Code::Suspicious, "hm").at(place)
        } else {
            Diagnostic::error(Code::BadValue, "no").at(place)
        }
    });
    let shown = shown(faults, &map(&text, Origin::File));
    assert_eq!(shown.matches("error[E0304]").count(), 40);
    assert!(shown.ends_with("... and 4960 more\n\nERROR: maestro.yaml: 2500 errors and 2500 warnings\n"));
}

#[test]
fn what_a_file_says_is_not_obeyed() {
    let text = "name: \"\x1b[31mred\"\n";
    let fault = Diagnostic::error(Code::BadValue, "bad `\x1b[2J`")
        .label(span(text, "red", 0), "\x1b[0m")
        .note("\x07")
        .help("one\ntwo");
    let shown = shown([fault], &map(text, Origin::File));
    assert!(!shown.contains(['\x1b', '\x07']), "{shown:?}");
}

#[test]
fn they_go_to_standard_error_and_nothing_does_where_all_is_well() {
    let (printer, captured) = Printer::captured(Capabilities::plain(100));
    print(&printer, &Diagnostics::default(), &map(FILE, Origin::File));
    assert_eq!(captured.stderr(), "");
    print(&printer, &all([Diagnostic::warning(Code::Suspicious, "hm")]), &map(FILE, Origin::File));
    assert_eq!(captured.stderr(), "warning[W0501]: hm\n\nWARNING: maestro.yaml: 1 warning\n");
    assert_eq!(captured.stdout(), "");
}

/// What `validate` says of a file, whose `{{ env.PW }}` is `topsecret`.
fn said(file: &str) -> String {
    let sources = maestro_core::source::MapSources::of(file)
        .with_variable("PW", "topsecret")
        .with_variable("ODD", "top\"secret: x")
        .with_variable("R", "5");
    let loaded = maestro_core::config::load(&sources, &maestro_core::config::Limits::default());
    render(&loaded.diagnostics, &loaded.sources, 100, Paint::new(false))
}

#[test]
fn what_expressions_gave_is_not_shown() {
    let file = "name: t\nships: {a: {ip: 192.0.2.1}}\nservices: {}\nregistries:\n  \
         r: {registry: 'http://h:1', username: u, password: {{ env.PW }}, retry: {{ env.R }}}\n";
    insta::assert_snapshot!(said(file), @"
    error[E0301]: `retry` of registry `r` must be a mapping, not an integer
     --> maestro.yaml (rendered):5:72
      |
    5 |   r: {registry: 'http://h:1', username: u, password: …, retry: 5}
      |                                                                ^
      |
      = note: this is a place in the rendered text of maestro.yaml: what its template became
      = note: `…` stands for what may be secret: passwords and the like, and what a template's expressions gave

    ERROR: maestro.yaml: 1 error
    ");
}

#[test]
fn secrets_are_not_shown() {
    let head = "name: t\nships: {a: {ip: 192.0.2.1}}\nregistries:\n";
    for (what, line) in [
        ("written in the file", "  r: {registry: x, password: topsecret, retry: 5}"),
        ("below a template", "{# #}  r: {registry: x, password: topsecret, retry: 5}"),
        ("partly computed", "  r: {registry: x, password: top{{ env.NO }}secret, retry: 5}"),
        ("itself at fault", "  r: {registry: x, password: [topsecret]}"),
        ("an alias of nothing", "  r: {registry: x, password: *topsecret}"),
        ("odd", "  r: {registry: x, password: !topsecret x, retry: 5}"),
        ("a missing key", "  r: {username: {{ env.PW }}}"),
        ("other faults on the line", "  r: {x: {{ env.PW }}, y: 1, registry: x}"),
        ("no YAML", "  r: {registry: x, password: {{ env.PW }}, y: ]}"),
        ("no YAML, and no template", "  r: {registry: x, password: topsecret, y: ]}"),
        ("no YAML, with a list", "  r:\n    auth:\n    - topsecret\n    - x: ]\n"),
        ("no YAML because of it", "  r:\n    registry: x\n    password: {{ env.ODD }}\n"),
        ("no YAML because of it, quoted", "  r:\n    password: \"{{ env.ODD }}\"\n    registry: x\n"),
        ("no YAML below another key", "  r:\n    x: {{ env.ODD }}\n"),
        ("no YAML, and written", "  r:\n    password: topsecret: x\n"),
        ("an address", "  r: {registry: 'http://ci:topsecret@h:1'}"),
        ("an address below a template", "{# #}  r: {registry: 'http://ci:topsecret@h:1'}"),
        ("no template", "  r: {registry: x, password: topsecret, retry: {{ nothing.at.all }}}"),
    ] {
        let said = said(&format!("{head}{line}\n"));
        assert!(said.contains("rror[E0") || said.contains("ning[W0"), "{what}: {said}");
        for part in ["topsecret", "top\"", "\"secret", "secret: x"] {
            assert!(!said.contains(part), "{what}: {said}");
        }
    }
    for text in
        ["ships: {a: {ip: h, endpoint: 'tcp://u:topsecret@h:1'}}", "{# #}ships: {a: {ip: 'u:topsecret@h'}}"]
    {
        let said = said(&format!("name: t\nservices: {{}}\n{text}\n"));
        assert!(said.contains("before the `@`") && said.contains("maestro.yaml:3:"), "{said}");
        assert!(!said.contains("topsecret"), "{said}");
    }
    // A number that says what it was.
    let said = said(&format!("{head}  r: {{registry: x, password: 22:22}}\n"));
    assert!(said.contains("warning[W0501]") && !said.contains("22:22") && !said.contains("1342"), "{said}");
}

#[test]
fn columns_stay_true_where_something_is_not_shown() {
    let file = "name: t\nships: {a: {ip: 192.0.2.1}}\nregistries: {r: {registry: x, password: {{ env.PW }}, retry: 5}}\n";
    // Written in the file, computed, and neither: what is pointed at is as far away as the text before it is long.
    for (password, place) in [("a", 51), ("{{ env.PW }}", 62)] {
        let said = said(&file.replace("{{ env.PW }}", password));
        assert!(said.contains(&format!(":3:{place}\n")), "{said}");
        let lines: Vec<&str> = said.lines().filter(|line| line.contains('|')).collect();
        let [_, line, carets, ..] = lines[..] else { panic!("{said}") };
        let of = |line: &str, c: char| line.chars().position(|at| at == c);
        assert_eq!(of(line, '5'), of(carets, '^'), "{said}");
    }
}

#[test]
fn machines_get_places_too() {
    let fault =
        Diagnostic::error(Code::UnknownName, "no `atlantik`").label(span(FILE, "東京", 0), "here").help("x");
    let wire = crate::report::wire::Diagnostics::new(&all([fault]), &map(FILE, Origin::Rendered));
    assert_eq!((wire.valid, wire.errors, wire.warnings), (false, 1, 0));
    insta::assert_snapshot!(serde_json::to_string(&wire.diagnostics[0]).unwrap(), @r#"
    {"severity":"error","code":"E0401","message":"no `atlantik`","labels":[{"file":"maestro.yaml","rendered":true,"line":4,"column":3,"end_line":4,"end_column":5,"text":"here"}],"notes":[],"help":["x"]}
    "#);
}

proptest! {
    /// Whatever is pointed at, in whatever text: no panic, and the place is right.
    #[test]
    fn any_span_of_any_text_can_be_shown(
        text in "([ -~]{0,400}|[äß東\u{301}\t\r\n]{0,9}|\n){0,8}",
        ends in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>()), 1..4),
        hidden in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>()), 0..4),
        columns in 1usize..200,
    ) {
        let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut sources = map(&text, Origin::File);
        for (i, (a, b)) in hidden.iter().enumerate() {
            let (a, b) = (*a.get(&boundaries), *b.get(&boundaries));
            let span = span_at(a.min(b), a.max(b));
            sources.hide(Hidden { span, within: (i % 2 == 0).then_some(span) });
        }
        let mut fault = Diagnostic::error(Code::BadValue, "bad");
        for (a, b) in &ends {
            let (a, b) = (*a.get(&boundaries), *b.get(&boundaries));
            fault = fault.label(span_at(a.min(b), a.max(b)), "here");
        }
        let at = sources.position(fault.labels[0].span).unwrap();
        let text = render(&all([fault]), &sources, columns, Paint::new(true));
        let plain = anstream::adapter::strip_str(&text).to_string();
        let place = format!("maestro.yaml:{}:{}\n", at.line, at.column);
        prop_assert!(plain.contains(&place), "{} not in {}", place, plain);
    }
}
