//! Command lines that mean nothing, and files that are not there.

use super::trap::Trap;
use std::fmt::Write as _;

const GOOD: &str = "services:
  database: {image: db:1, instances: {database-1: {ship: tcp}}}
  web: {image: web:1, requires: [database], instances: {web-1: {ship: unix}, web-2: {ship: ssh}}}
";

/// A trap with a file without faults.
fn good() -> Trap {
    let trap = Trap::new();
    trap.shell.write("maestro.yaml", trap.ships() + GOOD);
    trap
}

/// What several commands say that all must fail with this code.
async fn refused(trap: &Trap, code: i32, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let ran = trap.refuses(line, code).await;
        assert_eq!(ran.stdout, "", "{}", ran.all());
        write!(text, "$ maestro {line}\n{}\n", trap.redacted(&ran.stderr)).unwrap();
    }
    text
}

#[tokio::test]
async fn unknown_things() {
    let trap = good();
    let lines = [
        "start datbase",
        "status web database web-3",
        "stop wbe",
        "kill wbe",
        "restart web-11",
        "pull nosuch",
        "clean nosuch",
        "logs databse-1",
        "deptree wbe",
        "dump wbe",
    ];
    let new = ["exec web-4 true", "exec web true", "events wbe", "plan start wbe"];
    let text = refused(&trap, 1, &lines).await + &refused(&trap, 2, &new).await;
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn what_is_refused_by_rule() {
    let trap = good();
    let new = ["plan stop", "events --since yesterday", "plan kill"];
    let text = refused(&trap, 1, &["stop", "kill", "logs", "start -c -1"]).await;
    insta::assert_snapshot!(text + &refused(&trap, 2, &new).await);
}

#[tokio::test]
async fn bad_flags() {
    let trap = good();
    let lines = [
        "",
        "strat",
        "start --relaod",
        "start -c many",
        "start -r --reuse web",
        "start web -d database",
        "status --output xml",
        "start --output xml",
        "start --progress loud",
        "status -f other.yaml",
        "--color sometimes status",
        "exec",
        "exec web-1",
        "restart --step-delay -1",
        "plan status",
        "MAESTRO_PROGRESS=loud start",
    ];
    insta::assert_snapshot!(refused(&trap, 2, &lines).await);
}

#[tokio::test]
async fn files_that_are_not_there() {
    let trap = good();
    trap.shell.write("empty/other.yaml", "");
    trap.shell.write("nothing.yaml", "");
    let lines = [
        "-f nosuch.yaml start",
        "-f empty start",
        "-f nosuch/deep/maestro.yaml start",
        "-f maestro.yaml/maestro.yaml start",
        "MAESTRO_FILE=nosuch.yaml start",
        "-f nothing.yaml start",
        // Standard input is empty.
        "-f - start",
    ];
    let mut text = refused(&trap, 1, &lines).await;
    std::fs::remove_file(trap.shell.file("maestro.yaml")).unwrap();
    text += &refused(&trap, 1, &["start", "validate"]).await;
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn env_files_that_are_not_there() {
    let trap = Trap::new();
    let text = "services:
  web:
    image: web:1
    envfile: [nosuch.env, bad.env]
    instances: {web-1: {ship: tcp}}
";
    trap.shell.write("bad.env", b"A=\xff\n");
    insta::assert_snapshot!(trap.of(text).await);
}
