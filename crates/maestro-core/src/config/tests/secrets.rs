//! What messages do not quote (docs/design/0012), also of what has no place in the tree.

use crate::config::{Limits, load};
use crate::source::MapSources;
use std::fmt::Write as _;

/// All texts of a faulty environment without what is hidden for sure, whatever is pointed at.
fn quotable(sources: &MapSources) -> String {
    let loaded = load(sources, &Limits::default());
    assert!(loaded.environment.is_none());
    let mut quotable = String::new();
    for (id, source) in loaded.sources.iter() {
        let hidden: Vec<_> =
            loaded.sources.hidden(id).filter(|h| h.within.is_none()).map(|h| h.span).collect();
        let is_hidden = |at: usize| hidden.iter().any(|h| (h.start as usize..h.end as usize).contains(&at));
        quotable.extend(source.text.char_indices().filter(|(at, _)| !is_hidden(*at)).map(|(_, c)| c));
    }
    for diagnostic in loaded.diagnostics.iter() {
        write!(quotable, "\n{diagnostic:?}").unwrap();
    }
    quotable
}

/// What is written twice is not read, and stands on the line that is shown.
#[test]
fn secrets_without_a_place_in_the_tree() {
    for text in [
        "registries: {r: {registry: 'http://h', password: a, password: hunter2}}",
        "registries: {r: {registry: 'http://h', password: a, \"password\": &x hunter2}}",
        "audit: [{type: http, endpoint: 'http://h', headers: {X: a, X: hunter2}}]",
        "audit: [{type: http, endpoint: 'http://h', endpoint: 'http://hunter2'}]",
        "a: {<<: {b: c}, <<: {token: hunter2}}",
        "a: {? [b] : {token: hunter2}}",
        "a: {? [token] : {b: c}, token: {[d]: hunter2}}",
        "a: !!omap [token: b, token: hunter2]",
        "a: {path: /x, path: '/y?hunter2'}",
    ] {
        let quotable = quotable(&MapSources::of(format!("name: t\nships: {{}}\nservices: {{}}\n{text}\n")));
        assert!(!quotable.contains("hunter2"), "{quotable}");
    }
    // What is not secret is quoted there, too.
    let text = "name: t\nships: {}\nservices: {token: {image: a, image: hunter2}}\n";
    assert!(quotable(&MapSources::of(text)).contains("image: hunter2"));
}

#[test]
fn secrets_in_the_tree() {
    for text in [
        "a: {host: 'u:hunter2@h'}",
        "a: {requests_options: {params: {k: hunter2}, data: hunter2}}",
        "audit: [{payload: [hunter2]}]",
        "a: {token: !!str &x hunter2}",
        "a: &x hunter2\nb: {token: *x}",
        "a: {DB_PASS: hunter2, mysql-pwd: hunter2, pass: hunter2}",
        "a: {SSH_PRIVATE_KEY: hunter2, credentials: {b: hunter2}, passphrase: hunter2}",
    ] {
        let quotable = quotable(&MapSources::of(format!("name: t\nships: []\n{text}\n")));
        assert!(!quotable.contains("hunter2"), "{quotable}");
    }
    for text in ["services: {auth: {image: hunter2}}", "a: {bypass: hunter2, compass: hunter2, key: hunter2}"]
    {
        let quotable = quotable(&MapSources::of(format!("name: t\nships: []\n{text}\n")));
        assert!(quotable.contains("hunter2"), "{quotable}");
    }
}

/// Where there is no tree, there are lines.
#[test]
fn secrets_in_what_is_no_yaml() {
    for text in [
        "a: {DB_PASSWORD: 'hunter2', b: c}",
        "\"api-key\" : hunter2",
        "token:\n- hunter2",
        "auth:\n  - u\n\n  - hunter2",
        "password: |\n  hunter2\n\n   hunter2",
        "- secret: >-\n    hunter2",
        "password: hunter2: x",
    ] {
        let quotable = quotable(&MapSources::of(format!("{text}\nb: [")));
        assert!(!quotable.contains("hunter2"), "{quotable}");
    }
    for text in ["auth:\n- u\nimage: hunter2", "password: |\n  x\nimage: hunter2", "auth:\n  image: hunter2"]
    {
        assert!(quotable(&MapSources::of(format!("{text}\nb: ["))).contains("hunter2"), "{text}");
    }
}

/// Whatever stands in a file of variables is most likely secret: a pasted key, a password behind a colon.
#[test]
fn lines_of_env_files() {
    let text =
        "name: t\nships: {a: {ip: h}}\nservices: {s: {image: bb, envfile: e, instances: {s-1: {ship: a}}}}\n";
    let sources = MapSources::of(text).with_file("e", "A=1\nPASSWORD: hunter2\n hunter2 \nB=2\nhunter2");
    let quotable = quotable(&sources);
    assert!(!quotable.contains("hunter2") && !quotable.contains("PASSWORD"), "{quotable}");
    assert_eq!(quotable.matches("a line of env file `e` has no `=`").count(), 3);
}

/// A file that is no env file at all has a fault in every line.
#[test]
fn of_many_bad_lines_the_first_are_reported() {
    let text =
        "name: t\nships: {a: {ip: h}}\nservices: {s: {image: bb, envfile: e, instances: {s-1: {ship: a}}}}\n";
    for (lines, expected) in
        [(10, None), (11, Some("1 more line has none")), (5_000, Some("4990 more lines have none"))]
    {
        let loaded = load(&MapSources::of(text).with_file("e", "x\n".repeat(lines)), &Limits::default());
        assert_eq!(loaded.diagnostics.len(), 10);
        let notes: Vec<&str> = loaded.diagnostics.iter().flat_map(|d| &d.notes).map(String::as_str).collect();
        assert_eq!(notes, expected.into_iter().collect::<Vec<_>>());
    }
}
