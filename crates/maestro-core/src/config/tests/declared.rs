//! `secrets:` and `!secret` (docs/design/0032).

use crate::config::golden::show;
use crate::config::{Limits, json, load, resolved};
use crate::model::{Channel, Check, Environment, Phase, SecretSource, SpecWriter};
use crate::names::{InstanceName, Secret, SecretName};
use crate::source::MapSources;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const FILE: &str = "\
name: shop
secrets:
  db: {env: DB_PASSWORD}
  registry: {file: registry.txt}
  token: {command: [pass, show, token]}
  etcd: {command: pass show etcd}
  nobody: {env: X}
  hook: {env: HOOK}
  login: {env: LOGIN}
registries:
  main: {registry: 'https://reg:5000', username: ci, password: !secret registry}
ledger: {etcd: 'https://e', username: u, password: !secret etcd}
audit:
  - {type: slack, channel: c, token: !secret token}
  - {type: http, endpoint: 'http://h', headers: {X-Key: !secret token, Accept: all}}
  - {type: http, endpoint: !secret hook}
ships: {a: {ip: 192.0.2.1}}
x-env: &env {A: 1, PASSWORD: !secret db, UNUSED: !secret db}
services:
  db: {image: 'reg:5000/db', env: *env, instances: {db-1: {ship: a, env: {UNUSED: plain}}}}
  web: {image: web, instances: {web-1: {ship: a, env: {A: 1}}, web-2: {ship: a, env: *env}}}
  api:
    image: api
    lifecycle: {running: [{type: http, port: 80, requests_options: {auth: [ci, !secret login]}}]}
    instances: {api-1: {ship: a}, api-2: {ship: a}}
";

fn environment(text: &str) -> Environment {
    let loaded = load(&MapSources::of(text), &Limits::default());
    loaded.environment.unwrap_or_else(|| panic!("{}", show(&loaded.diagnostics, &loaded.sources)))
}

fn names(names: &[&str]) -> BTreeSet<SecretName> {
    names.iter().map(|name| SecretName::from(*name)).collect()
}

#[test]
fn sources_are_read_and_where_they_stand() {
    let environment = environment(FILE);
    let shown: Vec<_> = environment
        .secrets
        .iter()
        .map(|(name, secret)| format!("{name}: {} ({})", secret.source, secret.place))
        .collect();
    assert_eq!(
        shown,
        [
            "db: the variable DB_PASSWORD (maestro.yaml:3)",
            "etcd: `pass` (maestro.yaml:6)",
            "hook: the variable HOOK (maestro.yaml:8)",
            "login: the variable LOGIN (maestro.yaml:9)",
            "nobody: the variable X (maestro.yaml:7)",
            "registry: the file registry.txt (maestro.yaml:4)",
            "token: `pass` (maestro.yaml:5)",
        ]
    );
    let words = |words: [&str; 3]| SecretSource::Command(words.map(str::to_owned).to_vec());
    assert_eq!(environment.secrets["etcd"].source, words(["pass", "show", "etcd"]));
}

/// Of a file with logic, the place is the one in the file.
#[test]
fn places_are_those_of_the_file() {
    let text = format!("{{# two\nlines #}}{{% for n in ['s'] %}}{{% endfor %}}{FILE}");
    assert_eq!(&*environment(&text).secrets["db"].place, "maestro.yaml:4");
}

#[test]
fn only_what_is_used_is_wanted() {
    let environment = environment(FILE);
    let of = |names: &[&str]| names.iter().map(|name| InstanceName::from(*name)).collect::<Vec<_>>();
    assert_eq!(environment.secrets_of_containers(&of(&["web-1"])), names(&[]));
    assert_eq!(environment.secrets_of_containers(&of(&["web-1", "web-2"])), names(&["db"]));
    assert_eq!(environment.secrets_of_registries(&of(&["web-1", "web-2"])), names(&[]));
    assert_eq!(environment.secrets_of_registries(&of(&["db-1"])), names(&["registry"]));
    assert_eq!(environment.secrets_of_checks(&of(&["db-1"]), &Phase::ALL), names(&[]));
    assert_eq!(environment.secrets_of_checks(&of(&["db-1", "api-1"]), &Phase::ALL), names(&["login"]));
    let others = [Phase::PreStart, Phase::PreStop, Phase::Stopped];
    assert_eq!(environment.secrets_of_checks(&of(&["api-1"]), &others), names(&[]));
    assert_eq!(environment.secrets_of_containers(&of(&["api-1"])), names(&[]));
    assert_eq!(environment.secrets_of_auditors(), names(&["hook", "token"]));
    assert_eq!(environment.secrets_of_ledger(), names(&["etcd"]));
}

#[test]
fn values_get_where_they_are_used() {
    let sealed = environment(FILE);
    let mut open = sealed.clone();
    let values: BTreeMap<SecretName, Secret> = ["db", "registry", "token", "etcd", "hook", "login"]
        .map(|name| (name.into(), Secret::new(format!("hunter2-{name}"))))
        .into();
    open.unseal(&values);
    let all: Vec<InstanceName> = open.instances.keys().cloned().collect();
    for of in [Environment::secrets_of_containers, Environment::secrets_of_registries] {
        assert_eq!(of(&open, &all), names(&[]));
    }
    assert_eq!(open.secrets_of_checks(&all, &Phase::ALL), names(&[]));
    assert!(open.secrets_of_auditors().is_empty() && open.secrets_of_ledger().is_empty());
    assert!(!format!("{open:?}").contains("hunter2"), "{open:?}");
    let password = open.registries["main"].login.as_ref().and_then(|login| login.password.clone());
    assert_eq!(password.unwrap().expose(), "hunter2-registry");
    let Channel::Slack(slack) = &open.auditors[0].channel else { panic!() };
    assert_eq!(slack.token.expose(), "hunter2-token");
    let Channel::Http(hook) = &open.auditors[2].channel else { panic!() };
    assert_eq!((hook.endpoint.expose(), hook.host()), ("hunter2-hook", "hook"));
    let options = |name: &str| match open.instances[name].checks.values().flatten().next() {
        Some(Check::Http(check)) => check.options.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(options("api-1").auth.as_ref().unwrap().1.expose(), "hunter2-login");
    assert!(Arc::ptr_eq(&options("api-1"), &options("api-2")), "what is shared stays so");

    let spec = |environment: &Environment, name: &str| {
        SpecWriter::new(environment).spec(&environment.instances[name])
    };
    let (db, hash) = spec(&open, "db-1");
    let resolved = db.env.resolved();
    assert_eq!((resolved["PASSWORD"], resolved["UNUSED"]), (Some("hunter2-db"), Some("plain")));
    assert_eq!(db.labels["maestro.secrets"].as_ref(), "PASSWORD");
    assert!(!format!("{db:?}").contains("hunter2"), "{db:?}");
    // Another value is another container; the same value is the same, wherever it comes from.
    assert_ne!(hash, spec(&sealed, "db-1").1);
    let mut other = sealed.clone();
    other.unseal(&[("db".into(), Secret::new("other"))].into());
    assert_ne!(hash, spec(&other, "db-1").1);
    let plain = environment(&FILE.replace("!secret db", "hunter2-db"));
    assert_eq!(hash, spec(&plain, "db-1").1);
    assert!(!spec(&plain, "db-1").0.labels.contains_key("maestro.secrets"));
    assert_eq!(spec(&sealed, "web-1"), spec(&open, "web-1"));
}

#[test]
fn a_file_that_is_written_down_has_names() {
    let text = {
        let loaded = load(&MapSources::of(FILE), &Limits::default());
        resolved(loaded.tree.as_ref().unwrap(), &[])
    };
    assert!(text.contains(r#""PASSWORD": !secret "db""#), "{text}");
    let (mut again, once) = (environment(&text), environment(FILE));
    for secret in again.secrets.values_mut() {
        secret.place = once.secrets["db"].place.clone();
    }
    let places = |environment: &Environment| {
        environment.secrets.values().map(|secret| secret.source.clone()).collect::<Vec<_>>()
    };
    assert_eq!(places(&again), places(&once));
    assert_eq!(again.instances, once.instances);
    assert_eq!(again.registries, once.registries);
}

#[test]
fn a_dump_shows_names_and_no_values() {
    let text = FILE.replace("nobody: {env: X}", "nobody: {env: X, value: hunter2}");
    let loaded = load(&MapSources::of(text), &Limits::default());
    let dumped = serde_json::to_string(&json(&loaded.tree.unwrap())).unwrap();
    assert!(!dumped.contains("hunter2"), "{dumped}");
    for shown in [
        r#""db":{"env":"DB_PASSWORD"}"#,
        r#""token":{"command":["pass","show","token"]}"#,
        r#""password":"!secret registry""#,
        r#""PASSWORD":"!secret db""#,
    ] {
        assert!(dumped.contains(shown), "{shown}: {dumped}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let file = "name: t\nships: {a: {ip: 192.0.2.1}}\nservices: {s: {image: bb, env: &e {A: !secret NAME}, \
                instances: {s-1: {ship: a, env: *e}, s-2: {ship: a, env: *e}}}}\n";
    let known = file.replace("NAME", "known");
    let cases = [
        file.replace("NAME", "knwon") + "secrets: {known: {env: X}}",
        file.replace("NAME", "x"),
        file.replace("NAME", "''") + "secrets: {known: {env: X}}",
        known.clone() + "secrets: {known: hunter2}",
        known.clone() + "secrets: {known: }",
        known.clone() + "secrets: {known: {}}",
        known.clone() + "secrets: {known: {env: A, file: b}}",
        known.clone() + "secrets: {known: {env: '', fiel: hunter2}}",
        known.clone() + "secrets: {known: {env: A=B}}",
        known.clone() + "secrets: {known: {command: []}}",
        known.clone() + "secrets: {known: {file: [hunter2]}}",
        known.clone() + "secrets: {known: {file: !secret known}}",
        known.clone() + "secrets: [hunter2]",
        known.replace("image: bb", "image: !secret known") + "secrets: {known: {env: X}}",
        known.replace("{A:", "{B: [x, !secret known], A:") + "secrets: {known: {env: X}}",
        known.replace("image: bb", "image: bb, labels: {l: !secret known}, x-of-mine: !secret known")
            + "secrets: {known: {env: X}}",
        known.replace("image: bb", "image: bb, !secret known : x") + "secrets: {known: {env: X}}",
        known.clone() + "secrets: {known: {env: X}}\nx-y: !secret [known]",
        known.clone()
            + "secrets: {known: {env: X}}\nregistries: {r: {registry: 'http://h', username: u, password: !secret knwon}}",
    ];
    let said = cases.map(|text| {
        let loaded = load(&MapSources::of(&*text), &Limits::default());
        assert!(loaded.environment.is_none(), "{text}");
        assert!(!format!("{:?}", loaded.diagnostics).contains("hunter2"), "{:?}", loaded.diagnostics);
        let (_, rest) = text.split_once("services: ").unwrap();
        format!("{rest}\n{}\n", show(&loaded.diagnostics, &loaded.sources))
    });
    insta::assert_snapshot!(said.concat());
}

/// A value in the place of a source stands nowhere that is shown.
#[test]
fn what_is_written_in_the_place_of_a_source_is_hidden() {
    for wrong in [
        "{a: hunter2}",
        "{a: [hunter2]}",
        "{a: {value: hunter2}}",
        "{a: {env: X, v: hunter2}}",
        "[hunter2]",
        "hunter2",
    ] {
        let text = format!("name: t\nships: {{}}\nsecrets: {wrong}\nservices: 1\n");
        let loaded = load(&MapSources::of(text), &Limits::default());
        for (id, source) in loaded.sources.iter() {
            let at = source.text.find("hunter2").unwrap();
            let is_hidden = loaded.sources.hidden(id).any(|hidden| {
                hidden.within.is_none()
                    && (hidden.span.start as usize..hidden.span.end as usize).contains(&at)
            });
            assert!(is_hidden, "{wrong}");
        }
    }
}
