//! What is said about `audit:`, and what becomes of it.

use crate::config::golden::show;
use crate::config::{Limits, load};
use crate::model::{Auditor, Channel, Level, Payload};
use crate::source::MapSources;
use std::time::Duration;

fn file(audit: &str) -> MapSources {
    MapSources::of(format!("name: t\nships: {{a: {{ip: 192.0.2.1}}}}\nservices: {{}}\naudit:{audit}"))
}

fn said(audit: &str) -> String {
    let loaded = load(&file(audit), &Limits::default());
    show(&loaded.diagnostics, &loaded.sources)
}

fn read(audit: &str) -> Vec<Auditor> {
    let loaded = load(&file(audit), &Limits::default());
    assert!(loaded.diagnostics.is_empty(), "{}", show(&loaded.diagnostics, &loaded.sources));
    loaded.environment.unwrap().auditors
}

#[test]
fn every_type_with_its_defaults() {
    let auditors = read(
        "
- {type: log, file: audit.log}
- {type: http, endpoint: 'https://example.com:8443/x?y'}
- {type: exec, script: ./tell}
- {type: slack, channel: '#ops', token: hunter2}
",
    );
    insta::assert_debug_snapshot!(auditors);
}

#[test]
fn everything_that_can_be_set() {
    let auditors = read(
        "
- {type: log, file: 7, level: debug, ignore_errors: true}
- type: http
  endpoint: HTTP://user:hunter2@[::1]:80
  payload: {text: '{what} {action} {who} {message}', list: [a, {b: \"{{ '{{}}' }}\"}]}
  headers: {X-Key: hunter2, X-Number: 7}
  method: get
  timeout: 0.5
- {type: exec, script: tell, args: 'x {action}', timeout: 90}
- {type: slack, channel: c, token: hunter2, name: bot, icon: 'https://example.com/i.png', level: info}
",
    );
    let text = format!("{auditors:#?}");
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
    let Channel::Http(webhook) = &auditors[1].channel else { panic!("{auditors:?}") };
    assert_eq!((webhook.host(), webhook.timeout), ("[::1]:80", Duration::from_millis(500)));
    assert_eq!(webhook.endpoint.expose(), "HTTP://user:hunter2@[::1]:80");
}

#[test]
fn levels_are_words_or_thresholds() {
    for (level, expected) in [
        ("info", Level::Info),
        ("'debug'", Level::Debug),
        ("10", Level::Debug),
        ("0", Level::Debug),
        ("-1.5", Level::Debug),
        ("10.5", Level::Info),
        ("20", Level::Info),
        ("21", Level::Errors),
        (".inf", Level::Errors),
        (".nan", Level::Errors),
    ] {
        let auditors = read(&format!("\n- {{type: log, file: f, level: {level}}}"));
        assert_eq!(auditors[0].level, expected, "{level}");
    }
}

#[test]
fn nothing_is_nobody() {
    for nothing in ["", " []", " ~", " {}", " false"] {
        assert_eq!(read(nothing), [], "{nothing}");
    }
}

#[test]
fn every_fault_in_one_go() {
    insta::assert_snapshot!(said(
        "
- {type: log, level: verbose}
- {type: log, file: '', level: [], fiel: x}
- {type: http, payload: {a: 1, b: [yes, '{whom}'], c: '{', d: '{}', e: ~}}
- {type: http, endpoint: example.com/x, method: PUT, timeout: 0, headers: {'a b': c, d: \"e\\nf\", g: [h]}}
- {type: exec, args: '{message}', timeout: -1}
- {type: slack, token: hunter2, icon: []}
- {type: hipchat, room: r}
- {type: slak, token: hunter2}
- {file: f}
- log
"
    ));
    insta::assert_snapshot!(said(" log"), @"
    E0301 `audit` must be a list, not a string
      maestro.yaml:4:8 \"log\"
    ");
}

/// What could only fail later, and would name a part of the login as its host then.
#[test]
fn addresses_that_are_none() {
    for endpoint in
        ["http://u:hunt/er2@h", "http://h:x", "https://:80", "http://", "http://h h", "ftp://h", "h"]
    {
        let told = said(&format!("\n- {{type: http, endpoint: '{endpoint}'}}"));
        assert!(told.starts_with("E0304 `endpoint` of the `http` auditor is no address of HTTP"), "{told}");
    }
    for endpoint in ["http://u:p@h:1/x@y?z", "https://[::1]", "https://bücher.example#x"] {
        read(&format!("\n- {{type: http, endpoint: '{endpoint}'}}"));
    }
}

#[test]
fn doubts() {
    insta::assert_snapshot!(said(
        "
- {type: log, file: f, ignore_errors: 'true', chanel: x}
- {type: slack, channel: c, token: hunter2, ignore_errors: no, chanel: x}
- {type: hipchat, room: r, token: hunter2}
- {type: hipchat, room: s, token: hunter2, name: ~}
"
    ));
}

/// Also where aliases make a small file large.
#[test]
fn there_is_an_end_to_it() {
    let list =
        |items: usize| format!("\n- {{type: http, endpoint: 'http://h', payload: [{}]}}", "a,".repeat(items));
    // The list is a value, too.
    let auditors = read(&list(9_999));
    let Channel::Http(webhook) = &auditors[0].channel else { panic!("{auditors:?}") };
    assert!(matches!(&webhook.payload, Payload::List(items) if items.len() == 9_999));
    let too_much = "E0103 auditors have more than 10000 values or 1048576 bytes to fill in";
    let long = "x".repeat(700_000);
    for audit in [
        list(10_000),
        format!("\n- &a {{type: http, endpoint: 'http://h', payload: [{}]}}\n- *a", "a,".repeat(5_000)),
        format!("\n- {{type: http, endpoint: 'http://h', payload: [&a {long}, *a]}}"),
        format!("\n- &a {{type: exec, script: s, args: {long}}}\n- *a"),
    ] {
        let told = said(&audit);
        let said: Vec<&str> = told.lines().filter(|line| line.starts_with('E')).collect();
        assert_eq!(said, [too_much]);
    }
    let many = format!("\n- &a {{type: log, file: f}}{}", "\n- *a".repeat(100));
    assert!(said(&many).starts_with("E0103 there are more than 100 auditors"));
    for wide in ["{what:>2000000000}", "{what:>20000}", "{what:{what:>100000}}"] {
        let told = said(&format!("\n- {{type: http, endpoint: 'http://h', payload: '{wide}'}}"));
        assert!(
            told.starts_with("E0304 `payload` of the `http` auditor cannot be filled in: it is too long"),
            "{told}"
        );
    }
    read(&format!("\n- {{type: http, endpoint: 'http://h', payload: '{}'}}", "{what}".repeat(100_000)));
}
