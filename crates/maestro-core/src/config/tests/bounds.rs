//! What a small file may stand for: parts that many instances have are there once, and there is an end to all of it.

use super::*;
use crate::diagnostic::{Diagnostics, Severity};
use crate::model::{Check, Instance, Phase, SpecWriter};
use std::sync::Arc;

/// A service `s` with these lines, and so many instances `x-0`, `x-1`, … with this content.
fn service(lines: &str, instances: usize, content: &str) -> String {
    let mut text = format!("{HEAD}services:\n  s:\n    image: bb\n");
    for line in lines.lines() {
        writeln!(text, "    {line}").unwrap();
    }
    text.push_str("    instances:\n");
    for number in 0..instances {
        writeln!(text, "      x-{number}: {{ship: a{content}}}").unwrap();
    }
    text
}

fn two(environment: &Environment) -> [&Instance; 2] {
    [&environment.instances["x-0"], &environment.instances["x-1"]]
}

/// The codes and messages of loading within these limits.
fn said(sources: &MapSources, limits: &Limits) -> Vec<String> {
    said_of(&load(sources, limits).diagnostics)
}

fn said_of(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics.iter().map(|d| format!("{} {}", d.code, d.message)).collect()
}

#[test]
fn variables_of_services_and_files_are_shared() {
    let text = service("envfile: one.env\nenv: {B: 2}", 2, ", envfile: two.env, env: {D: 4}");
    let sources = MapSources::of(text).with_file("one.env", "A=1\n").with_file("two.env", "C=3\n");
    let environment = load(&sources, &Limits::default()).environment.unwrap();
    let [a, b] = two(&environment).map(|instance| &instance.settings.env);
    let shared: Vec<bool> = a.iter().zip(b).map(|(a, b)| Arc::ptr_eq(a, b)).collect();
    // The service's file, what else it says, the instance's file; only what the instance says is its own.
    assert_eq!(shared, [true, true, true, false]);
    let plan = SpecWriter::new(&environment).env(&environment.instances["x-0"]);
    assert!(plan.own.iter().zip(a).all(|(planned, part)| Arc::ptr_eq(planned, part)));
    let names: Vec<&str> = plan.own.iter().flat_map(|part| &**part).map(|var| &*var.name).collect();
    assert_eq!(names[..6], ["A", "B", "MAESTRO_ENVIRONMENT_NAME", "SERVICE_NAME", "C", "D"]);
}

#[test]
fn ports_are_shared_where_an_instance_adds_none() {
    let environment = environment(&service("ports: {p: 80}", 2, ", ports: {}"));
    let [a, b] = two(&environment);
    assert!(Arc::ptr_eq(&a.ports, &b.ports) && a.ports.len() == 1);
}

#[test]
fn commands_and_options_of_checks_are_shared() {
    let environment = environment(&service(
        "ports: {p: 80}\nlifecycle:\n  running:\n    - {type: exec, command: [a, b]}\n    - {type: http, port: p, requests_options: {data: x}}",
        2,
        "",
    ));
    let [a, b] = two(&environment).map(|instance| instance.checks[&Phase::Running].as_slice());
    assert_eq!(a, b);
    for pair in a.iter().zip(b) {
        match pair {
            (Check::Exec { command: a, .. }, Check::Exec { command: b, .. }) => assert!(Arc::ptr_eq(a, b)),
            (Check::Http(a), Check::Http(b)) => assert!(Arc::ptr_eq(&a.options, &b.options)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn there_is_an_end_to_variables() {
    let text = service("envfile: some.env", 5, "");
    let sources = MapSources::of(text).with_file("some.env", "A=1\n".repeat(100));
    // The service's own count, then 100 and what the service adds for each instance.
    let limits = |variables| Limits { variables, ..Limits::default() };
    assert_eq!(said(&sources, &limits(100 + 5 * 116)), Vec::<String>::new());
    let loaded = load(&sources, &limits(100 + 5 * 116 - 1));
    insta::assert_snapshot!(show(&loaded.diagnostics, &loaded.sources), @r#"
    E0103 the instances have more than 679 variables in all
      maestro.yaml:15:7 "x-4" the limit is passed here
      note: what a service says counts for each of its instances
      help: write less, or split the file into several environments
    "#);
    // A file named again and again, too.
    let again = service(&format!("envfile: [{}]", "some.env, ".repeat(100)), 0, "")
        .replace("instances:", "instances: {}");
    let sources = MapSources::of(again).with_file("some.env", "A=1\n");
    assert_eq!(said(&sources, &limits(1600)), Vec::<String>::new());
    assert_eq!(said(&sources, &limits(1599)).len(), 1);
}

#[test]
fn there_is_an_end_to_ports() {
    let limits = |ports| Limits { ports, ..Limits::default() };
    let text = service("ports: {p: 80, many: 1001-1098}", 5, ", net: none");
    assert_eq!(said(&MapSources::of(&*text), &limits(599)), Vec::<String>::new().as_slice());
    let own = service("ports: {p: 80}", 5, ", net: none, ports: {many: 1001-1098}");
    assert_eq!(said(&MapSources::of(&*own), &limits(496)), Vec::<String>::new().as_slice());
    for text in [text, own] {
        assert_eq!(
            said(&MapSources::of(text), &limits(495)),
            ["E0103 the instances have more than 495 published ports in all"]
        );
    }
}

#[test]
fn there_is_an_end_to_checks() {
    let limits = |checks| Limits { checks, ..Limits::default() };
    let checks = "lifecycle: {running: [{type: sleep, wait: 1}, {type: health}]}";
    for text in [service(checks, 5, ""), service("", 5, &format!(", {checks}"))] {
        assert_eq!(said(&MapSources::of(&*text), &limits(10)), Vec::<String>::new().as_slice());
        assert_eq!(
            said(&MapSources::of(text), &limits(9)),
            ["E0103 the instances have more than 9 lifecycle checks in all"]
        );
    }
}

#[test]
fn the_limits_are_far_above_what_anybody_deploys() {
    let Limits { variables, ports, checks, .. } = Limits::default();
    let instances = 10_000;
    assert!(variables >= instances * 3_000 && ports >= instances * 20 && checks >= instances * 20);
}

#[test]
fn a_fault_of_a_service_is_reported_once() {
    let text = service(
        "ports: {u: 53/udp}\nlimits: {memory: 3q, cup: 1}\nlifecycle:\n  running:\n    - {type: tcq}\n    - {type: tcp, port: zz}\n    - {type: http, port: u}",
        3,
        ", net: none",
    );
    assert_eq!(said(&MapSources::of(service("ports: {p: x}", 3, "")), &Limits::default()).len(), 1);
    let loaded = load(&MapSources::of(text), &Limits::default());
    insta::assert_snapshot!(show(&loaded.diagnostics, &loaded.sources), @r#"
    E0304 `memory` of `limits` of service `s` is `3q`: the unit must be k, m or g
      maestro.yaml:10:22 "3q"
      help: write 512m, 2g, or a number of bytes
    W0303 `limits` of service `s` has no key `cup`; it is ignored
      maestro.yaml:10:26 "cup"
      help: did you mean `cpu`?
    E0304 a `running` check of service `s` has the unknown type `tcq`
      maestro.yaml:13:18 "tcq"
      note: the types are tcp, http, exec, rexec, sleep, health
      help: did you mean `tcp`?
    E0401 `tcp` check (running) of service `s`: port `zz` is not defined by instance `x-0`
      maestro.yaml:14:29 "zz"
    E0304 `http` check (running) of service `s`: port `u` is not TCP
      maestro.yaml:15:30 "u"
    "#);
}

#[test]
fn the_pattern_of_a_service_is_one() {
    let text = service("lifecycle: {running: [{type: http, port: 80, match_regex: 'o(?=k)'}]}", 100, "");
    let limits = Limits { pattern_work: 6, ..Limits::default() };
    let environment = load(&MapSources::of(text), &limits).environment.unwrap();
    let patterns = two(&environment).map(|instance| match instance.checks[&Phase::Running].as_slice() {
        [Check::Http(check)] => check.match_regex.clone().unwrap(),
        other => panic!("{other:?}"),
    });
    assert!(Arc::ptr_eq(&patterns[0], &patterns[1]));
}

#[test]
fn there_is_an_end_to_patterns() {
    let mut lifecycle = String::from("lifecycle:\n  running:\n");
    for pattern in ["o(?=k)", "ok", "no", "o(?=k)", r"(\w{100}){10}(?=x)"] {
        writeln!(lifecycle, "    - {{type: http, port: 80, match_regex: '{pattern}'}}").unwrap();
    }
    let text = service(&lifecycle, 3, "");
    let within = |pattern_work| {
        let loaded = load(&MapSources::of(&*text), &Limits { pattern_work, ..Limits::default() });
        show(&loaded.diagnostics, &loaded.sources)
    };
    insta::assert_snapshot!(within(40_000), @r#"
    E0103 `match_regex` of `http` check (running) of service `s` takes too much memory
      maestro.yaml:15:47 "'(\\w{100}){10}(?=x)'"
      help: repeat less; `\w` and `\d` stand for all of Unicode, [0-9A-Za-z_] and [0-9] take less
    "#);
    insta::assert_snapshot!(within(7), @r#"
    E0103 all `match_regex` together take too much work
      maestro.yaml:12:47 "'ok'"
      note: equal patterns count once, those that need much memory count more
      help: repeat less; `\w` and `\d` stand for all of Unicode, [0-9A-Za-z_] and [0-9] take less
    "#);
}

/// How many diagnostics there are, and how many of them suggest a name.
fn suggestions(text: String) -> (usize, usize) {
    let diagnostics = load(&MapSources::of(text), &Limits::default()).diagnostics;
    let suggesting =
        diagnostics.iter().filter(|d| d.help.iter().any(|help| help.starts_with("did you mean")));
    (diagnostics.len(), suggesting.count())
}

#[test]
fn only_the_first_unknown_names_are_looked_for() {
    let mut requires = format!("{HEAD}services:\n");
    for number in 0..60 {
        writeln!(requires, "  s{number}: {{image: bb, requires: [t{number}], instances: {{}}}}").unwrap();
    }
    assert_eq!(suggestions(requires), (60, 50));
    let ships = service("", 60, "").replace("ship: a", "ship: ab");
    assert_eq!(suggestions(ships), (60, 50));
    let hosts = service("", 60, ", extra_hosts: {h: {ship: ab}}");
    assert_eq!(suggestions(hosts), (60, 50));
    let sources = service("", 60, ", volumes_from: x-11_");
    assert_eq!(suggestions(sources), (60, 50));
    let ports =
        service("ports: {http: 80}", 60, ", net: none, lifecycle: {running: [{type: tcp, port: htp}]}");
    assert_eq!(suggestions(ports), (60, 50));
    // A fault of the service, which every instance shows, is one.
    let checks = "[{type: tcp, port: htp}, {type: tcp, port: htt}]";
    let service =
        service(&format!("ports: {{http: 80}}\nlifecycle: {{running: {checks}}}"), 60, ", net: none");
    assert_eq!(suggestions(service), (2, 2));
}

#[test]
fn of_a_long_circle_both_ends_are_shown() {
    let mut services = format!("{HEAD}services:\n");
    for number in 0..30 {
        let next = (number + 1) % 30;
        writeln!(services, "  s{number:02}: {{image: bb, requires: [s{next:02}], instances: {{}}}}").unwrap();
    }
    insta::assert_snapshot!(complaints(&services), @r#"
    E0403 services require each other in a circle: s00 -> s01 -> s02 -> s03 -> s04 -> (20 more) -> s25 -> s26 -> s27 -> s28 -> s29 -> s00
      maestro.yaml:7:31 "s01" `s00` needs `s01`
      maestro.yaml:8:31 "s02" `s01` needs `s02`
      maestro.yaml:9:31 "s03" `s02` needs `s03`
      maestro.yaml:10:31 "s04" `s03` needs `s04`
      maestro.yaml:11:31 "s05" `s04` needs `s05`
      maestro.yaml:32:31 "s26" `s25` needs `s26`
      maestro.yaml:33:31 "s27" `s26` needs `s27`
      maestro.yaml:34:31 "s28" `s27` needs `s28`
      maestro.yaml:35:31 "s29" `s28` needs `s29`
      maestro.yaml:36:31 "s00" `s29` needs `s00`
    "#);
    let instances: String = (0..30).fold(service("", 0, ""), |text, number| {
        text + &format!("      x-{number:02}: {{ship: a, volumes_from: x-{:02}}}\n", (number + 1) % 30)
    });
    let loaded = load(&MapSources::of(instances), &Limits::default());
    let [circle] = &loaded.diagnostics.iter().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(circle.labels.len(), 10);
    assert!(circle.message.ends_with("x-04 -> (20 more) -> x-25 -> x-26 -> x-27 -> x-28 -> x-29 -> x-00"));
}

#[test]
fn of_many_circles_ten_are_shown() {
    let mut services = format!("{HEAD}services:\n");
    for number in 0..30 {
        writeln!(services, "  s{number}: {{image: bb, requires: [s{number}], instances: {{}}}}").unwrap();
    }
    let loaded = load(&MapSources::of(services), &Limits::default());
    let notes: Vec<&str> = loaded.diagnostics.iter().flat_map(|d| &d.notes).map(String::as_str).collect();
    assert_eq!((loaded.diagnostics.len(), notes), (10, vec!["there are 20 more circles"]));
}

/// A fault may stand in every line; what is said of the first ten thousand will do, and an error is never left out.
#[test]
fn there_is_an_end_to_faults() {
    let mut keys = String::new();
    for number in 0..10_500 {
        writeln!(keys, "k{number}: 1").unwrap();
    }
    let text = service(&keys, 1, &format!(", volumes_from: [{}]", "zz, ".repeat(10_500)));
    let diagnostics = load(&MapSources::of(text), &Limits::default()).diagnostics;
    assert_eq!(diagnostics.len(), 20_000);
    assert_eq!(diagnostics.iter().filter(|d| d.severity == Severity::Error).count(), 10_000);
}

/// What every instance gets in a copy of its own is short, or is not taken.
#[test]
fn addresses_and_images_are_short() {
    let long = "y".repeat(10_000);
    let ip = format!("name: t\nships: {{a: {{ip: {long}, endpoint: h}}}}\nservices: {{}}\n");
    assert_eq!(
        said(&MapSources::of(ip), &Limits::default()),
        ["E0304 `ip` of ship `a` is no address: it has 10000 bytes, and names of hosts have 253 at most"]
    );
    for image in [long.to_uppercase(), "y.".repeat(5_000) + "z/a"] {
        let text = service("", 2, "").replace("image: bb", &format!("image: {image}"));
        let said = said(&MapSources::of(text), &Limits::default());
        assert!(
            matches!(&said[..], [one] if one.starts_with("E0304 `image` of service `s` names no image")),
            "{said:?}"
        );
    }
}
