//! What users and their scripts read, byte for byte: every command's output in a pipe, in every form.

use super::shell::Shell;
use super::site::{SHOP, Site, until};
use maestro_core::boundary::LogStream;
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::{Faults, Operation};
use maestro_testkit::state::{Behaviour, Content, CreateConfig};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

#[tokio::test]
async fn a_life_in_plain_lines() {
    let site = Site::new(SHOP);
    let lines = [
        "status",
        "start -c 1",
        "start -c 1",
        "restart -c 1",
        "restart --only-if-changed -c 1",
        "stop -c 1 web",
        "status",
        "clean -c 1",
        "kill -c 1 db",
        "pull -c 1 web",
    ];
    insta::assert_snapshot!(site.transcript(&lines).await);
}

/// Something runs, something has ended, something is missing, something is not ours.
#[tokio::test]
async fn status_in_every_form() {
    // One port that answers, and one that nobody else can make answer.
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (open, shut) = (open.local_addr().unwrap().port(), closed.local_addr().unwrap().port());
    let site = Site::new(&format!(
        "
  db: {{image: shop/db:1, instances: {{db-1: {{ship: atlantic, ports: {{sql: '5432:{open}', admin: '9000:{shut}'}}}}}}}}
  job: {{image: shop/job:1, instances: {{job-1: {{ship: pacific}}}}}}
  log: {{image: shop/log:1, instances: {{log-1: {{ship: pacific}}}}}}
  web: {{image: shop/web:2.0, instances: {{web-1: {{ship: atlantic}}}}}}
"
    ));
    site.run("start db job").await.ok();
    site.pacific.meddle(|machine, now| machine.kill("job-1", None, now)).unwrap();
    site.run("pull log").await.ok();
    let theirs = BTreeMap::from([("com.docker.compose.project".to_owned(), "theirs".to_owned())]);
    let image = "shop/log:1".into();
    let config = CreateConfig { image, labels: theirs.into(), ..CreateConfig::default() };
    site.pacific.meddle(|machine, now| machine.create("log-1", config, now)).unwrap();
    let forms = [
        "status",
        "status --full",
        "status --show-hosts db",
        "status --output name",
        "status --output jsonl",
        "status --output json --full db",
        "status --output yaml job web",
    ];
    let text = site.transcript(&forms).await;
    let text = text.replace(&open.to_string(), "[OPEN]").replace(&shut.to_string(), "[SHUT]");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn ships_that_are_down_are_explained_once() {
    let site = Site::new(SHOP);
    site.run("start").await.ok();
    site.atlantic.set_faults(Faults::unreachable());
    until("the socket is closed", || {
        std::os::unix::net::UnixStream::connect(site.shell.file("atlantic.sock")).is_err()
    })
    .await;
    let lines = [
        "status",
        "status --output json",
        "start -c 1",
        "stop -c 1 web",
        "restart -c 1",
        "clean -c 1",
        "logs db web",
        "exec db-1 true",
        "plan restart",
        "status --output name",
    ];
    insta::assert_snapshot!(site.transcript(&lines).await);
}

/// What depends on it is left alone, and what the container said for itself is shown.
#[tokio::test]
async fn what_does_not_start() {
    let broken = Behaviour::exits(Duration::ZERO, 3).says(LogStream::Stderr, "no such table: users");
    let site = Site::with(SHOP, |setup| setup.image("shop/db:1", &Content::new("db", broken.clone())));
    insta::assert_snapshot!(site.transcript(&["start -c 1", "status"]).await);
}

/// Of many that did not start the output of a few is enough.
#[tokio::test]
async fn the_output_of_a_few_is_shown() {
    let broken = Behaviour::exits(Duration::ZERO, 3).says(LogStream::Stderr, "no such table: users");
    let instances: Vec<_> = (1..=7).map(|n| format!("db-{n}: {{ship: atlantic}}")).collect();
    let services = format!("\n  db: {{image: shop/db:1, instances: {{{}}}}}\n", instances.join(", "));
    let site = Site::with(&services, |setup| setup.image("shop/db:1", &Content::new("db", broken.clone())));
    let ran = site.run("start").await.exits(1);
    assert_eq!(ran.stderr.matches("the last lines of its output").count(), 5, "{}", ran.all());
    ran.says("2 more did not start; `maestro logs` shows what they wrote");
}

/// Found when the old container is gone, it would have cost a service.
#[tokio::test]
async fn a_check_that_cannot_be_made_stops_nothing() {
    let services = |options: &str| {
        format!(
            "
  web:
    image: shop/web:2.0
    lifecycle: {{stopped: [{{type: http, port: 80, scheme: https, requests_options: {{{options}}}}}]}}
    instances: {{web-1: {{ship: atlantic}}}}
"
        )
    };
    let site = Site::new(&services(""));
    site.run("start").await.ok();
    site.clear_writes();
    for options in ["verify: nosuch.pem", "cert: nosuch.pem", "cert: [nosuch.pem, nosuch.key]"] {
        site.write(&services(options));
        let ran = site.run("restart").await.exits(1);
        let said = ran.all();
        assert!(said.contains("nosuch.pem cannot be used: no such file"), "{said}");
        assert!(said.contains("web-1") && said.contains("no container was touched"), "{said}");
        assert!(site.writes().is_empty(), "{:?}", site.writes());
    }
    assert_eq!(site.state("web-1"), "running");
}

#[tokio::test]
async fn plans_in_every_form() {
    let site = Site::new(SHOP);
    site.run("start db web-1").await.ok();
    site.write(&SHOP.replace("web:2.0", "web:2.1"));
    let forms = [
        "plan start",
        "plan restart -c 1 --full",
        "plan stop --all",
        "plan clean",
        "plan pull",
        "plan kill web",
        "plan restart --only-if-changed",
        "plan --output name restart",
        "plan --output json start",
        "plan start --output jsonl",
        "plan --output yaml stop web-1",
    ];
    let text = site.transcript(&forms).await;
    insta::assert_snapshot!(text);
    assert_eq!(site.state("web-2"), "absent", "a plan does nothing");
}

#[tokio::test]
async fn runs_in_every_form() {
    let site = Site::new(SHOP);
    let no_space = Faults::refuses_nth(Operation::Create, 1, 500, "no space left on device");
    site.pacific.set_faults(no_space);
    let lines = [
        "start -c 1 --progress quiet",
        "start -c 1 --progress json",
        "MAESTRO_PROGRESS=quiet start -c 1",
        "restart -c 1 --output json web-1",
        "stop -c 1 --all --output jsonl",
        "stop -c 1 --all --progress quiet",
        "clean -c 1 --output json db",
    ];
    insta::assert_snapshot!(site.transcript(&lines).await);
}

#[tokio::test]
async fn what_the_file_says() {
    let site = Site::new(SHOP);
    let lines = [
        "validate",
        "validate --output json",
        "deptree",
        "deptree --recursive web",
        "dump web-2",
        "complete maestro",
        "complete maestro st",
        "complete maestro start w",
    ];
    insta::assert_snapshot!(site.transcript(&lines).await);
    assert_eq!(site.atlantic.calls(), BTreeMap::new());
}

/// What is odd about a file is said by every command, but never where a shell completes a word.
#[tokio::test]
async fn warnings() {
    let site = Site::new(&SHOP.replace("    env:", "    evn: {A: b}\n    env:"));
    let lines = ["validate", "validate --output json", "deptree", "status db", "complete maestro start w"];
    insta::assert_snapshot!(site.transcript(&lines).await);
}

/// Also of the look at the fleet.
#[tokio::test]
async fn the_time_is_that_of_the_whole_command() {
    let look = Duration::from_millis(700);
    let site = Site::slow(SHOP, &Latency::default().but(Operation::Observe, look));
    let said = site.run("clean --progress quiet").await.ok().stderr;
    let seconds = said.split(" in ").nth(1).and_then(|text| text.split('s').next()?.parse::<f64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds >= look.as_secs_f64()), "{said}");
    for line in ["clean --progress json", "clean --output jsonl"] {
        let ran = site.run(line).await.ok();
        let last: serde_json::Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
        let summary = last.pointer("/event/summary").unwrap_or(&last["summary"]);
        assert!(summary["took_ms"].as_u64() >= Some(700), "{last}");
    }
}

/// A warning is said once, and not among the data.
#[tokio::test]
async fn ports_that_clash() {
    let site = Site::new(&SHOP.replace("8080:18080", "8080:5432"));
    let warning = "`db-1` and `web-1` publish the same port of ship `atlantic`: 5432/tcp";
    for line in ["validate", "status --output json", "plan start --output json", "pull --output json"] {
        let ran = site.run(line).await.ok();
        assert_eq!(ran.stderr.matches(warning).count(), 1, "{}", ran.all());
        assert!(!ran.stdout.contains(warning), "{}", ran.all());
        if line.ends_with("json") {
            serde_json::from_str::<serde_json::Value>(&ran.stdout)
                .unwrap_or_else(|_| panic!("{}", ran.all()));
        }
    }
}

#[tokio::test]
async fn help() {
    let shell = Shell::empty();
    let mut text = String::new();
    for line in ["--version", "--help", "-h", "help restart", "", "start --helpp"] {
        text += &shell.run(line).await.all();
    }
    let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn logs_and_programs() {
    let says = |words: &str, text: &str| {
        let behaviour = Behaviour::forever().says(LogStream::Stdout, text).says(LogStream::Stderr, "oops");
        Content::new(words, behaviour)
    };
    let site = Site::with(SHOP, |setup| {
        setup
            .image("shop/db:1", &says("db", "ready to serve"))
            .image("shop/web:2.0", &says("web", "listening"))
    });
    site.run("start -c 1").await.ok();
    let lines = [
        "logs db",
        "logs db web",
        "logs -n 1 web-1",
        "logs --output jsonl db",
        "logs",
        "exec db-1 echo hello",
        "exec db-1 false",
        "exec db echo hello",
        "exec web-3 true",
    ];
    insta::assert_snapshot!(site.transcript(&lines).await);
}
