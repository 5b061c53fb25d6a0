//! Instances that publish the same port of a ship.

use super::{HEAD, show};
use crate::config::{Limits, load};
use crate::source::MapSources;
use std::fmt::Write as _;

/// What is said about instances of one service, each with these lines.
fn said_of(instances: &[&str]) -> String {
    let mut text = format!("{HEAD}services:\n  s:\n    image: bb\n    instances:\n");
    for (at, lines) in instances.iter().enumerate() {
        writeln!(text, "      x-{}: {{{lines}}}", at + 1).unwrap();
    }
    said(&text)
}

fn said(text: &str) -> String {
    let loaded = load(&MapSources::of(text), &Limits::default());
    assert!(loaded.environment.is_some(), "{}", show(&loaded.diagnostics, &loaded.sources));
    show(&loaded.diagnostics, &loaded.sources)
}

#[test]
fn two_that_cannot_run_together_are_warned_about() {
    insta::assert_snapshot!(
        said_of(&["ship: a, ports: {http: '80:8080'}", "ship: a, ports: {web: '8080', dns: 53/udp}"]),
        @r#"
    W0501 `x-1` and `x-2` publish the same port of ship `a`: 8080/tcp
      maestro.yaml:11:35 "'8080'" published again here
      maestro.yaml:10:36 "'80:8080'" published here first
      note: the engine refuses to start one of them while another runs
      help: give each a port of its own, unless they take turns
    "#
    );
    insta::assert_snapshot!(
        said_of(&["ship: a, ports: {p: 8000-8010}", "ship: a, ports: {p: '80:8005', q: '80:8010', r: '80:8011'}"]),
        @r#"
    W0501 `x-1` and `x-2` publish the same ports of ship `a`: 8005, 8010/tcp
      maestro.yaml:11:33 "'80:8005'" published again here
      maestro.yaml:10:33 "8000-8010" published here first
      note: the engine refuses to start one of them while another runs
      help: give each a port of its own, unless they take turns
    "#
    );
}

/// Whichever began first, what counts is who reaches that far.
#[test]
fn of_ranges_the_one_that_reaches_it_clashes() {
    let said = said_of(&[
        "ship: a, ports: {p: 8000-8001}",
        "ship: a, ports: {p: 8002-8010}",
        "ship: a, ports: {p: '80:8005'}",
    ]);
    assert!(said.starts_with("W0501 `x-2` and `x-3` publish the same port of ship `a`: 8005/tcp"), "{said}");
}

/// Ports of a service are written once, and one warning is enough for all who have them.
#[test]
fn many_are_one_warning() {
    let instances: String =
        (1..=6).fold(String::new(), |text, n| text + &format!("      x-{n}: {{ship: a}}\n"));
    insta::assert_snapshot!(
        said(&format!("{HEAD}services:\n  s:\n    image: bb\n    ports: {{p: 80}}\n    instances:\n{instances}")),
        @r#"
    W0501 `x-1`, `x-2`, `x-3` and 3 more publish the same port of ship `a`: 80/tcp
      maestro.yaml:9:16 "80"
      note: the engine refuses to start one of them while another runs
      help: give each a port of its own, unless they take turns
    "#
    );
}

#[test]
fn addresses_clash_if_one_is_the_other_or_all() {
    let with = |address: &str| format!("ship: a, ports: {{p: {{exposed: 80, external: ['{address}', 80]}}}}");
    for (one, other, clash) in [
        ("192.0.2.1", "192.0.2.1", true),
        ("192.0.2.1", "0.0.0.0", true),
        ("0.0.0.0", "192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("::", "0.0.0.0", false),
        ("::", "2001:db8::1", true),
        ("2001:db8::1", "2001:DB8:0::1", true),
        ("", "192.0.2.1", true),
    ] {
        assert_eq!(!said_of(&[&with(one), &with(other)]).is_empty(), clash, "{one} {other}");
    }
}

#[test]
fn nothing_is_said_of_those_that_can() {
    for [one, other] in [
        ["ship: a, ports: {p: 80}", "ship: b, ports: {p: 80}"],
        ["ship: a, ports: {p: 80}", "ship: a, ports: {p: 80/udp}"],
        ["ship: a, ports: {p: 80}", "ship: a, ports: {p: '80:81'}"],
        // The engine chooses one that is free.
        ["ship: a, ports: {p: '80:0'}", "ship: a, ports: {p: '80:0'}"],
        ["ship: a, ports: {p: '80:8000-8010'}", "ship: a, ports: {p: '80:8000-8010'}"],
        // Nothing is mapped where there is no network of its own.
        ["ship: a, ports: {p: 80}, net: host", "ship: a, ports: {p: 80}, net: host"],
        ["ship: a, ports: {p: 80}, net: host", "ship: a, ports: {p: 80}"],
        ["ship: a, ports: {p: 80}", "ship: a, ports: {p: 80}, net: 'container:x-1'"],
        ["ship: a, ports: {p: 80}, net: none", "ship: a, ports: {p: 80}"],
        // Two names for one port are no two containers.
        ["ship: a, ports: {p: 80, q: 80}", "ship: a"],
    ] {
        assert_eq!(said_of(&[one, other]), "", "{one} | {other}");
    }
    let services = "services:
  blue: {image: bb, ports: {p: 80}, instances: {x-1: {ship: a}}}
  green: {image: bb, omit: true, ports: {p: 80}, instances: {x-2: {ship: a}}}
";
    assert_eq!(said(&format!("{HEAD}{services}")), "", "who is left out is there to take another's place");
}
