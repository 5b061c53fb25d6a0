//! What containers are told in variables (specification, sections 4.6 and 5).

use super::{HEAD, environment, instance};
use crate::config::{Limits, load};
use crate::model::{Environment, SpecWriter};
use crate::source::MapSources;

fn variables(environment: &Environment, name: &str) -> Vec<String> {
    let mut writer = SpecWriter::new(environment);
    let env = writer.env(&environment.instances[name]);
    let mut vars: Vec<String> =
        env.resolved().into_iter().map(|(k, v)| v.map_or(k.to_owned(), |v| format!("{k}={v}"))).collect();
    vars.sort();
    vars
}

/// The worked example of the specification, section 5.2.
const HARBOUR: &str = r#"
__maestro: {schema: 2}
name: harbour
ships:
  north: {ip: 192.0.2.10}
  south: {ip: 192.0.2.20, endpoint: 10.0.0.20}
services:
  store-db:
    image: registry.example:5000/store:7.2
    env: {TUNING: [-a, [-b, -c]], MODE: base}
    ports: {sql: "5432:15432"}
    instances:
      store-1:
        ship: north
        env: {MODE: primary}
        ports: {repl.x: "7000-7001:17000-17001"}
      store-2:
        ship: south
        ports: {sql: 5432, stats: 9125/udp}
  front.web:
    image: front
    requires: [store-db]
    instances:
      web_a:
        ship: south
        ports: {http: {exposed: 8080, external: [192.0.2.20, 80]}}
"#;

#[test]
fn containers_learn_what_the_specification_says() {
    let harbour = environment(HARBOUR);
    assert_eq!(
        variables(&harbour, "store-1"),
        [
            "CONTAINER_HOST_ADDRESS=192.0.2.10",
            "CONTAINER_NAME=store-1",
            "DOCKER_IMAGE=registry.example:5000/store:7.2",
            "DOCKER_TAG=7.2",
            "MAESTRO_ENVIRONMENT_NAME=harbour",
            "MODE=primary",
            "SERVICE_NAME=store-db",
            "STORE_DB_INSTANCES=store-1,store-2",
            "STORE_DB_STORE_1_HOST=192.0.2.10",
            "STORE_DB_STORE_1_REPL_X_INTERNAL_PORT=7000-7001",
            "STORE_DB_STORE_1_REPL_X_PORT=17000-17001",
            "STORE_DB_STORE_1_SQL_INTERNAL_PORT=5432",
            "STORE_DB_STORE_1_SQL_PORT=15432",
            "STORE_DB_STORE_2_HOST=192.0.2.20",
            "STORE_DB_STORE_2_SQL_INTERNAL_PORT=5432",
            "STORE_DB_STORE_2_SQL_PORT=5432",
            "STORE_DB_STORE_2_STATS_INTERNAL_PORT=9125",
            "STORE_DB_STORE_2_STATS_PORT=9125",
            "TUNING=-a -b -c",
        ]
    );
    assert_eq!(
        variables(&harbour, "web_a"),
        [
            "CONTAINER_HOST_ADDRESS=192.0.2.20",
            "CONTAINER_NAME=web_a",
            "DOCKER_IMAGE=front",
            "DOCKER_TAG=latest",
            "FRONT_WEB_INSTANCES=web_a",
            "FRONT_WEB_WEB_A_HOST=192.0.2.20",
            "FRONT_WEB_WEB_A_HTTP_INTERNAL_PORT=8080",
            "FRONT_WEB_WEB_A_HTTP_PORT=80",
            "MAESTRO_ENVIRONMENT_NAME=harbour",
            "SERVICE_NAME=front.web",
            "STORE_DB_INSTANCES=store-1,store-2",
            "STORE_DB_STORE_1_HOST=192.0.2.10",
            "STORE_DB_STORE_1_REPL_X_PORT=17000-17001",
            "STORE_DB_STORE_1_SQL_PORT=15432",
            "STORE_DB_STORE_2_HOST=192.0.2.20",
            "STORE_DB_STORE_2_SQL_PORT=5432",
            "STORE_DB_STORE_2_STATS_PORT=9125",
        ]
    );
}

#[test]
fn wants_info_tells_the_same_and_needs_nothing() {
    let wanting = environment(&HARBOUR.replace("requires", "wants_info"));
    assert_eq!(variables(&wanting, "web_a"), variables(&environment(HARBOUR), "web_a"));
    assert!(wanting.services["front.web"].requires.is_empty());
}

#[test]
fn knowledge_goes_along_requires_and_not_along_wants_info() {
    let text = format!(
        "{HEAD}services:\n\
         \x20 a: {{image: x, requires: [b], wants_info: [d], instances: {{a-1: {{ship: a}}}}}}\n\
         \x20 b: {{image: x, requires: [c], instances: {{b-1: {{ship: a}}}}}}\n\
         \x20 c: {{image: x, instances: {{c-1: {{ship: a}}}}}}\n\
         \x20 d: {{image: x, requires: [e], instances: {{}}}}\n\
         \x20 e: {{image: x, instances: {{e-1: {{ship: a}}}}}}\n"
    );
    let vars = variables(&environment(&text), "a-1").join(" ");
    for known in ["A_INSTANCES=a-1", "B_INSTANCES=b-1", "C_INSTANCES=c-1", "D_INSTANCES="] {
        assert!(vars.contains(known), "{known} in {vars}");
    }
    assert!(!vars.contains("E_INSTANCES"), "{vars}");
}

#[test]
fn values_are_as_python_prints_them() {
    let env = instance("env: {L: [a, [b, c]], T: yes, N: 1.50, Z: ~, S: 12:30, O: 0755, E: [], M: {a: 1}}");
    let vars = variables(&env, "x-1");
    for expected in ["L=a b c", "T=True", "N=1.5", "Z", "S=750", "O=493", "E=", "M={'a': 1}"] {
        assert!(vars.iter().any(|v| v == expected), "{expected} in {vars:?}");
    }
    // What a loop of a template leaves empty is an empty word.
    let env = instance("env: {A: [a, [], b], B: [a, [[], [c]]], C: [[], []], D: [[[]]]}");
    let vars = variables(&env, "x-1");
    for expected in ["A=a  b", "B=a  c", "C= ", "D="] {
        assert!(vars.iter().any(|v| v == expected), "{expected} in {vars:?}");
    }
}

#[test]
fn nobody_overrides_what_the_tool_says_of_the_container() {
    let env = instance("env: {CONTAINER_NAME: x, S_INSTANCES: y, SERVICE_NAME: z}");
    let vars = variables(&env, "x-1");
    for expected in ["CONTAINER_NAME=x-1", "S_INSTANCES=x-1", "SERVICE_NAME=z"] {
        assert!(vars.iter().any(|v| v == expected), "{expected} in {vars:?}");
    }
}

#[test]
fn env_files_are_below_env_and_instances_above_services() {
    let text = format!(
        "{HEAD}services: {{s: {{image: x, envfile: s.env, env: {{B: 2, C: 2}}, \
         instances: {{x-1: {{ship: a, envfile: [i.env], env: {{D: 4}}}}}}}}}}\n"
    );
    let sources = MapSources::of(text)
        .with_file("s.env", "A=1\nB=1\nC=1\nD=1\n")
        .with_file("i.env", "#no\n\nC=3\nD=3\n");
    let environment = load(&sources, &Limits::default()).environment.unwrap();
    let vars = variables(&environment, "x-1");
    for expected in ["A=1", "B=2", "C=3", "D=4"] {
        assert!(vars.iter().any(|v| v == expected), "{expected} in {vars:?}");
    }
}

#[test]
fn services_that_are_told_too_much_are_warned_of_and_loaded() {
    let long = "x".repeat(130_000);
    let text = format!(
        "{HEAD}services:\n\
         \x20 small: {{image: x, instances: {{s-1: {{ship: a}}}}}}\n\
         \x20 large:\n\
         \x20   image: x\n\
         \x20   instances:\n\
         \x20     l-1: {{ship: a}}\n\
         \x20     l-2: {{ship: a, env: {{A: &long {long}, B: *long, C: *long, D: *long, E: *long, F: *long}}, command: *long}}\n\
         \x20     l-3: {{ship: a, env: {{A: *long, B: *long, C: *long, D: *long, E: *long, F: *long, G: *long, H: *long,\n\
         \x20       I: *long, J: *long, K: *long, L: *long, M: *long, N: *long, O: *long, P: *long, Q: *long}}}}\n"
    );
    let loaded = load(&MapSources::of(text), &Limits::default());
    assert_eq!(loaded.environment.unwrap().instances.len(), 4);
    let said: Vec<String> = loaded
        .diagnostics
        .iter()
        .map(|d| {
            let place = loaded.sources.position(d.labels[0].span).unwrap();
            format!(
                "{} line {}: {}; {}; {}",
                d.code,
                place.line,
                d.message,
                d.notes.join(" "),
                d.help.join(" ")
            )
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @"W0502 line 8: the variables of service `large` come to 2.2 MiB, and Linux starts no program with more than 2 MiB; 2.2 MiB of that are the container's own variables and its command; put what is long into a file that is mounted; or let the stack of its programs grow: `ulimits: {stack: 9437184}`");
}

#[test]
fn fingerprints_are_of_what_containers_are_told() {
    let hash = |text: &str| {
        let environment = environment(text);
        let (spec, hash) = SpecWriter::new(&environment).spec(&environment.instances["web_a"]);
        assert_eq!(spec.config_hash(), hash);
        hash
    };
    let before = hash(HARBOUR);
    assert_eq!(hash(HARBOUR), before);
    // Its own ports, those of whom it knows, its own variables; and nothing that it does not learn.
    assert_ne!(hash(&HARBOUR.replace("exposed: 8080", "exposed: 8081")), before);
    assert_ne!(hash(&HARBOUR.replace("5432:15432", "5432:15433")), before);
    assert_ne!(hash(&HARBOUR.replace("name: harbour", "name: port")), before);
    assert_eq!(hash(&HARBOUR.replace("5432:15432", "5433:15432")), before);
    assert_eq!(hash(&HARBOUR.replace("MODE: primary", "MODE: secondary")), before);
}

/// Where one text ends and the next begins is part of it, and what it is for.
#[test]
fn fingerprints_keep_apart_what_reads_the_same() {
    let hash = |lines: &str| {
        let environment = instance(lines);
        SpecWriter::new(&environment).spec(&environment.instances["x-1"]).1
    };
    for (one, other) in [
        ("dns: [ab, c]", "dns: [a, bc]"),
        ("cap_add: [KILL]", "cap_drop: [KILL]"),
        ("command: [a, b]", "command: [ab]"),
        ("env: {AB: C}", "env: {A: BC}"),
    ] {
        assert_ne!(hash(one), hash(other), "{one} {other}");
        assert_eq!(hash(one), hash(one));
    }
}
