//! Where the output goes decides how it looks: data stays data, pipes get plain text, and a reader that goes away
//! stops nothing.

use super::shell::{Ran, Shell};
use super::site::{SHOP, Site};
use maestro_core::boundary::LogStream;
use maestro_core::config::{Limits, json, load};
use maestro_core::source::MapSources;
use maestro_testkit::faults::Faults;
use maestro_testkit::state::{Behaviour, Content};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

const ESCAPE: char = '\x1b';

/// One command of every kind, after which everything runs again.
const ALL: [&str; 17] = [
    "status",
    "status --full",
    "plan restart",
    "start",
    "restart --only-if-changed",
    "logs db",
    "logs --output jsonl db",
    "exec db-1 echo hello",
    "exec db-1 false",
    "validate",
    "deptree",
    "dump",
    "complete maestro start",
    "status nosuch",
    "--help",
    "start --nosuch",
    "restart",
];

fn parsed(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.all()))
}

/// A whole JSON value on every line.
fn parsed_lines(ran: &Ran) -> Vec<Value> {
    assert!(ran.stdout.ends_with('\n'), "{}", ran.all());
    let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}", ran.all()));
    ran.stdout.lines().map(line).collect()
}

/// What a YAML document means, as this program reads it.
fn read_yaml(ran: &Ran) -> Value {
    let mut text = "document:\n".to_owned();
    for line in ran.stdout.lines() {
        writeln!(text, "  {line}").unwrap();
    }
    let tree = load(&MapSources::of(text), &Limits::default()).tree;
    let tree = tree.unwrap_or_else(|| panic!("no YAML: {}", ran.all()));
    serde_json::to_value(json(&tree)).unwrap()["document"].clone()
}

#[tokio::test]
async fn documents_are_whole() {
    let talkative = Behaviour::forever().says(LogStream::Stdout, "\"quoted\"\tand \x1b[1mbold");
    let site = Site::with(SHOP, |setup| setup.image("shop/db:1", &Content::new("db", talkative.clone())));
    // Whatever goes wrong is in the document, or on standard error: never among the data.
    for faults in [Faults::none(), Faults::missing_image(), Faults::unreachable()] {
        site.pacific.set_faults(faults);
        for line in [
            "status --output json",
            "status --full --output json",
            "plan restart --output json",
            "start --output json",
            "restart --output json",
            "stop --all --output json",
            "clean --output json",
            "validate --output json",
        ] {
            assert!(parsed(&site.run(line).await).is_object() || line.starts_with("status"), "{line}");
        }
        for line in [
            "status --output jsonl",
            "plan start --output jsonl",
            "start --output jsonl",
            "start --progress json",
            "logs --output jsonl db",
            "stop --all --output jsonl",
            "kill --all --progress json",
            "clean --output jsonl",
        ] {
            parsed_lines(&site.run(line).await);
        }
    }
}

/// It pulls before it can tell what has changed: two runs, and still one document.
#[tokio::test]
async fn a_refreshing_restart_is_one_document() {
    let site = Site::new(SHOP);
    let line = "restart --refresh-images --only-if-changed --output json";
    assert_eq!(parsed(&site.run(line).await.ok())["command"], "restart");
    site.pacific.set_faults(Faults::missing_image());
    assert_eq!(parsed(&site.run(line).await.exits(1))["command"], "pull");
}

#[tokio::test]
async fn all_forms_say_the_same() {
    let site = Site::new(SHOP);
    site.run("start db").await.ok();
    let lines = [
        ("status --output FORM", true, "instance"),
        ("plan --output FORM restart", false, "instance"),
        ("deptree --output FORM", true, "service"),
        ("dump --output FORM", true, "name"),
    ];
    for (line, is_list, name) in lines {
        let form = |form: &str| line.replace("FORM", form);
        let whole = parsed(&site.run(&form("json")).await.ok());
        let lines = parsed_lines(&site.run(&form("jsonl")).await.ok());
        assert_eq!(if is_list { Value::Array(lines) } else { lines[0].clone() }, whole, "{line}");
        assert_eq!(read_yaml(&site.run(&form("yaml")).await.ok()), whole, "{line}");
        let rows = if is_list { &whole } else { &whole["items"] };
        let instances = rows.as_array().unwrap().iter().filter_map(|row| row[name].as_str());
        let names = site.run(&form("name")).await.ok().stdout;
        assert_eq!(names.lines().collect::<Vec<_>>(), instances.collect::<Vec<_>>(), "{line}");
    }
}

#[tokio::test]
async fn pipes_get_plain_text() {
    let site = Site::new(SHOP);
    for surroundings in ["", "TERM=xterm-256color", "NO_COLOR=1 CLICOLOR_FORCE=1", "TERM=dumb"] {
        for line in ALL {
            let ran = site.run(&format!("{surroundings} {line}")).await;
            for text in [&ran.stdout, &ran.stderr] {
                assert!(!text.contains([ESCAPE, '\r', '\x08']), "{}", ran.all());
            }
        }
    }
}

#[tokio::test]
async fn colour_is_there_when_it_is_asked_for_and_never_in_data() {
    let site = Site::new(SHOP);
    site.run("start").await.ok();
    for (line, colour) in [
        ("CLICOLOR_FORCE=1 status", true),
        ("CLICOLOR_FORCE=0 status", false),
        ("NO_COLOR= CLICOLOR_FORCE=1 status", true),
        ("NO_COLOR=1 --color always status", true),
        ("CLICOLOR_FORCE=1 --color never status", false),
        ("CLICOLOR_FORCE=1 start", true),
        ("CLICOLOR_FORCE=1 status --output json", false),
        ("--color always status --output yaml", false),
        ("--color always status --output name", false),
        ("--color always plan --output json restart", false),
        ("--color always restart --output jsonl", false),
        ("--color always restart --progress json", false),
        ("--color always complete maestro start", false),
    ] {
        let ran = site.run(line).await.ok();
        assert_eq!(ran.stdout.contains(ESCAPE), colour, "{}", ran.all());
    }
    // Standard error decides for itself.
    for (line, colour) in [
        ("CLICOLOR_FORCE=1 status nosuch", true),
        ("NO_COLOR=1 status nosuch", false),
        ("--color always status nosuch", true),
    ] {
        let ran = site.run(line).await.exits(1);
        assert_eq!(ran.stderr.contains(ESCAPE), colour, "{}", ran.all());
    }
}

/// Which stream nobody reads.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Closed {
    Out,
    Both,
}

/// Runs a command whose reader has gone before anything was written.
async fn run_unread(shell: &Shell, line: &str, closed: Closed) -> Option<i32> {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let err = match closed {
        Closed::Out => Stdio::piped(),
        Closed::Both => writer.try_clone().unwrap().into(),
    };
    let child = shell.command(line).stdout(writer).stderr(err).spawn().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("panicked") && !said.to_lowercase().contains("pipe"), "{line}: {said}");
    output.status.code()
}

#[tokio::test]
async fn a_reader_that_goes_away_changes_nothing() {
    let site = Site::new(SHOP);
    for line in ALL {
        let read = site.run(line).await;
        for closed in [Closed::Out, Closed::Both] {
            let code = run_unread(&site.shell, line, closed).await;
            assert_eq!(code, Some(read.code), "{closed:?}: {}", read.all());
        }
    }
}

/// `maestro restart | head -1` restarts everything.
#[tokio::test]
async fn work_goes_on_when_nobody_reads() {
    let site = Site::new(SHOP);
    for closed in [Closed::Out, Closed::Both] {
        assert_eq!(run_unread(&site.shell, "start", closed).await, Some(0));
        assert_eq!(["db-1", "web-1", "web-2"].map(|name| site.state(name)), ["running"; 3]);
        assert_eq!(run_unread(&site.shell, "stop --all", closed).await, Some(0));
        assert_eq!(["db-1", "web-1", "web-2"].map(|name| site.state(name)), ["exited"; 3]);
    }
}

/// Nor is a program waited for whose output nobody reads. This one goes on until its input ends.
#[tokio::test]
async fn a_program_that_goes_on_unread_is_left() {
    let site = Site::new(SHOP);
    site.run("start db").await.ok();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = site.shell.command("exec -i db-1 cat");
    let mut child = command.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"one\n").await.unwrap();
    let output = timeout(Duration::from_secs(4), child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
    drop(input);
}

/// A disk that is full is another matter: what was to be written is not there.
#[tokio::test]
async fn output_that_cannot_be_written_is_a_failure() {
    let site = Site::new(SHOP);
    for line in ["status", "start", "deptree", "exec db-1 echo hello"] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let child = site.shell.command(line).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("No space left on device"), "{line}: {said}");
    }
    assert_eq!(site.state("web-2"), "running");
}

/// `while read line; do maestro exec db-1 …; done < lines` sees every line: a program is given input on request only.
#[tokio::test]
async fn a_program_takes_no_input_that_it_is_not_given() {
    let site = Site::new(SHOP);
    site.run("start db").await.ok();
    site.shell.write("lines", "one\ntwo\n");
    for (line, given, left) in [
        ("exec db-1 cat", "", "one\ntwo\n"),
        ("exec -T db-1 cat", "", "one\ntwo\n"),
        ("exec -i db-1 cat", "one\ntwo\n", ""),
        ("exec --interactive db-1 cat", "one\ntwo\n", ""),
    ] {
        let mut lines = File::open(site.shell.file("lines")).unwrap();
        // Copies of a file's descriptor share its position, as with the processes of a shell.
        let child = site.shell.command(line).stdin(lines.try_clone().unwrap()).stdout(Stdio::piped()).spawn();
        let output = child.unwrap().wait_with_output().await.unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(0), given.into()), "{line}");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, left, "{line}");
    }
}
