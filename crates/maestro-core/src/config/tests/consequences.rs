//! A fault is said once; what follows from it only hides it.

use super::{HEAD, complaints};
use crate::config::{Limits, load};
use crate::source::MapSources;

/// The messages, one per line.
fn messages(text: &str) -> String {
    let complaints = complaints(text);
    let heads = complaints.lines().filter(|line| line.starts_with(['E', 'W']));
    heads.collect::<Vec<_>>().join("\n")
}

/// An alias without an anchor stands for nothing, and nobody has to be told that it is none of what is wanted there.
#[test]
fn an_unknown_alias_is_the_only_fault() {
    for (what, text) in [
        ("a required value", "services: {s: {image: *x, instances: {x-1: {ship: a}}}}"),
        ("an item", "services: {s: {image: bb, requires: [*x], instances: {x-1: {ship: a}}}}"),
        ("a name", "services: {s: {image: bb, instances: {x-1: {ship: *x}}}}"),
        ("a number", "services: {s: {image: bb, instances: {x-1: {ship: a, stop_timeout: *x}}}}"),
        ("a port", "services: {s: {image: bb, instances: {x-1: {ship: a, ports: {p: *x}}}}}"),
        ("a host", "services: {s: {image: bb, instances: {x-1: {ship: a, extra_hosts: {h: *x}}}}}"),
        ("a key", "services: {s: {image: bb, *x : 1, instances: {x-1: {ship: a}}}}"),
        ("an instance", "services: {s: {image: bb, instances: {x-1: *x}}}"),
        ("the instances", "services: {s: {image: bb, instances: *x}}"),
        ("a service", "services: {s: *x, t: {image: bb, requires: s, instances: {x-1: {ship: a}}}}"),
        (
            "a source of volumes",
            "services: {s: {image: bb, instances: {x-1: {ship: *x}, x-2: {ship: a, volumes_from: x-1}}}}",
        ),
        (
            "the ports of a check",
            "services: {s: {image: bb, instances: {x-1: {ship: a, ports: *x, \
             lifecycle: {running: [{type: tcp, port: p}, {type: http, port: p}]}}}}}",
        ),
        (
            "a port of a check",
            "services: {s: {image: bb, ports: {p: *x}, instances: {x-1: {ship: a, \
             lifecycle: {running: [{type: tcp, port: p}]}}}}}",
        ),
        ("a check", "services: {s: {image: bb, instances: {x-1: {ship: a, lifecycle: {running: [*x]}}}}}"),
        ("a registry", "registries: {r: *x}"),
        ("what is merged", "services: {s: {<<: *x, instances: {x-1: {ship: a}}}}"),
        ("a part of what is merged", "services: {s: {image: bb, instances: {x-1: {<<: [{net: host}, *x]}}}}"),
        ("what is merged twice", ".d: &d {<<: *x}\nservices: {s: {<<: *d, instances: {x-1: {ship: a}}}}"),
    ] {
        assert_eq!(
            messages(&format!("{HEAD}{text}\n")),
            "E0201 there is no anchor `&x` before this alias",
            "{what}"
        );
    }
    for text in ["name: t\nships: {a: {ip: *x}}", "name: t\nships: {a: *x}", "name: t\nships: *x", "<<: *x"] {
        let text = format!("{text}\nservices: {{s: {{image: bb, instances: {{x-1: {{ship: a}}}}}}}}\n");
        assert_eq!(messages(&text), "E0201 there is no anchor `&x` before this alias", "{text}");
    }
}

#[test]
fn a_value_that_is_not_what_its_tag_says_is_the_only_fault() {
    for (text, expected) in [
        ("ports: {p: !!int abc}", "E0304 `abc` is not a usable integer"),
        ("stop_timeout: !!float abc", "E0304 `abc` is not a usable number"),
        ("ports: &p {p: *p}", "E0203 `*p` stands inside of what it stands for"),
    ] {
        let text = format!("{HEAD}services: {{s: {{image: bb, instances: {{x-1: {{ship: a, {text}}}}}}}}}\n");
        assert_eq!(messages(&text), expected, "{text}");
    }
}

/// What has nothing to do with it is said as ever.
#[test]
fn other_faults_are_found_as_well() {
    let text = "services: {s: {image: *x, requires: t, instances: {x-1: {ship: c}, x-2: {}}}}\n";
    assert_eq!(
        messages(&format!("{HEAD}{text}")),
        "E0201 there is no anchor `&x` before this alias\n\
         E0401 service `t`, in `requires` of service `s`, does not exist\n\
         E0401 ship `c`, of instance `x-1`, does not exist\n\
         E0302 instance `x-2` has no `ship`"
    );
}

/// What YAML 1.1 makes of digits with colons is said where the text is read, whatever it is meant for.
#[test]
fn a_port_in_base_60_is_one_doubt() {
    let text = format!(
        "{HEAD}services: {{s: {{image: bb, instances: {{x-1: {{ship: a, ports: {{p: 22:22, q: {{exposed: 8:08, external: 80}}}}}}}}}}}}\n"
    );
    let loaded = load(&MapSources::of(text), &Limits::default());
    let said: Vec<&str> = loaded.diagnostics.iter().map(|d| &*d.message).collect();
    assert_eq!(said, ["`22:22` is the number 1342", "`8:08` is the number 488"]);
    let ports = &loaded.environment.unwrap().instances["x-1"].ports;
    assert_eq!((&*ports["p"].external, &*ports["q"].exposed), ("1342", "488"));
}
