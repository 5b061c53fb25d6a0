//! `validate --compat`: where something else comes of a file than with maestro-ng.

use super::shell::Shell;
use crate::tidy::sources::root;
use std::fs;

const LEANING: &str = "\
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1, api_version: '1.18'}}
services:
  web:
    image: shop/web
    instances:
      web-1: {ship: a, env: {PASSWORD: hunter2}}
audit:
  - {type: exec, script: ./tell-everybody}
";

#[tokio::test]
async fn places_are_told_and_are_no_fault() {
    let shell = Shell::empty();
    shell.write("maestro.yaml", LEANING);
    let broken = LEANING.replace("web-1:", "w:");
    shell.write("broken.yaml", &broken);
    shell.write(
        "plain.yaml",
        "name: t\nships: {a: {ip: h}}\nservices: {s: {image: 'b:1', instances: {s-1: {ship: a}}}}\n",
    );
    shell.write(
        "one.yaml",
        "name: t\nships: {a: {ip: h}}\nservices: {s: {image: b, instances: {s-1: {ship: a}}}}\n",
    );
    shell.write("unreadable.yaml", "name: [\n");
    let mut transcript = String::new();
    for line in [
        "validate --compat",
        "validate --compat --output json",
        "validate --compat --output name",
        "validate",
        "-f broken.yaml validate --compat",
        "-f plain.yaml validate --compat",
        "-f plain.yaml validate --compat --output json",
        "-f one.yaml validate --compat",
        "-f unreadable.yaml validate --compat",
    ] {
        transcript += &shell.run(line).await.all();
    }
    assert!(!transcript.contains("hunter2"), "{transcript}");
    insta::assert_snapshot!(transcript);
}

/// The files in the manner of what people wrote, that both tools do the same with.
#[tokio::test]
async fn files_of_users_have_the_notes_that_they_lean_on() {
    let expected = [("U1", "N0622 W0303"), ("U2", "W0501"), ("U3", ""), ("U4", "E0302"), ("U5", "")];
    let cases = fs::read_to_string(root().join("crates/maestro/tests/compat/cases/12-users.txt")).unwrap();
    let cases: Vec<&str> = cases.split("\n== ").skip(1).collect();
    assert_eq!(cases.len(), expected.len());
    for (case, (name, codes)) in cases.into_iter().zip(expected) {
        assert!(case.starts_with(&format!("{name} ")), "{case}");
        let shell = Shell::empty();
        shell.write("common.env", "A=b\n");
        shell.write("maestro.yaml", file(case));
        let ran = shell.run("validate --compat --output json").await;
        let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let found: Vec<&str> =
            said["diagnostics"].as_array().unwrap().iter().map(|d| d["code"].as_str().unwrap()).collect();
        let notes = codes.matches('N').count();
        assert_eq!(
            (found.join(" "), &said["changes"]),
            (codes.to_owned(), &notes.into()),
            "{name}: {}",
            ran.all()
        );
    }
}

/// The environment file of a case of the differential harness.
fn file(case: &str) -> String {
    const HEAD: &str = "__maestro: {schema: 2}\nname: t\nships: {a: <A>}\nservices:\n";
    let part = |name: &str| {
        let body = case.split_once(&format!("\n{name}\n"))?.1;
        let lines = body.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
        Some(lines.fold(String::new(), |text, line| text + line.get(4..).unwrap_or_default() + "\n"))
    };
    let indented = |text: &str, by: usize| {
        text.lines().fold(String::new(), |all, line| all + &" ".repeat(by) + line + "\n")
    };
    let text = match (part("environment"), part("services"), part("instance")) {
        (Some(environment), _, _) => environment,
        (_, Some(services), _) => HEAD.to_owned() + &indented(&services, 2),
        (_, _, Some(instance)) => {
            let begin = "  s:\n    image: bb:latest\n    instances:\n      spec-x:\n        ship: a\n";
            HEAD.to_owned() + begin + &indented(&instance, 8)
        }
        _ => panic!("no file in {case}"),
    };
    [
        ("<E1>", "192.0.2.1"),
        ("<E2>", "192.0.2.2"),
        ("<P1>", "2375"),
        ("<P2>", "2376"),
        ("<A>", "{ip: 192.0.2.1}"),
    ]
    .into_iter()
    .fold(text.replace("<SLEEP>", "command: sleep 100"), |text, (from, to)| text.replace(from, to))
}

/// What `make demo` writes beside the demo's file, with ships that all are reached in the same way.
const FLEET: &str = "\
{% set registry = 'reg.example.com' %}
registries: {practice: {registry: 'https://reg.example.com', username: u, password: p, email: ~}}
ships: {ship-1: {ip: 192.0.2.1}, ship-2: {ip: 192.0.2.2}, ship-3: {ip: 192.0.2.3}}
";

#[tokio::test]
async fn the_demo_leans_on_nothing() {
    let shell = Shell::empty();
    shell.write("maestro.yaml", fs::read(root().join("demo/shop/maestro.yaml")).unwrap());
    shell.write("fleet.yaml", FLEET);
    shell
        .run("validate --compat")
        .await
        .ok()
        .says("shop: 3 ships, 4 services, 7 instances")
        .says("nothing in this file leans on what changed");
}
