//! `secrets:`, as its users see it (docs/design/0032): fetched where they are needed, and shown nowhere.

use super::sink::{OK, Sink};
use super::site::Site;
use crate::ledger::gateway;
use maestro_testkit::state::Machine;
use std::fmt::Write as _;

/// What none of them may show.
const PLANTED: &str = "hunter2";
/// What a process has to have for [`shop`].
const KEY: &str = "SHOP_KEY=hunter2-key";

/// A web with secrets of all sources, from a registry that wants a password; a db with one; one that nobody uses.
fn shop(tag: &str, dsn: &str) -> String {
    format!(
        "
  db:
    image: shop/db:1
    env: {{PASSWORD: !secret db}}
    instances:
      db-1: {{ship: atlantic, ports: {{sql: '5432'}}}}
  web:
    image: reg.example.com:5000/web:{tag}
    env: {{MODE: production, DSN: {dsn}, KEY: !secret key}}
    deploy: {{strategy: rolling, max_unavailable: 1}}
    instances:
      web-1: {{ship: atlantic, ports: {{http: '8080:18080'}}}}
      web-2: {{ship: pacific, ports: {{http: '8080:18081'}}}}
secrets:
  db: {{command: [/bin/cat, secret/db]}}
  dsn: {{file: secret/dsn}}
  key: {{env: SHOP_KEY}}
  registry: {{file: secret/registry}}
  nobodys: {{command: [/no/such/program]}}
registries:
  main: {{registry: 'http://reg.example.com:5000', username: ci, password: !secret registry}}
audit: [{{type: log, file: audit.log}}]
"
    )
}

fn site() -> Site {
    let site = Site::new(&shop("2.0", "!secret dsn"));
    site.registries.require_login("reg.example.com:5000", "ci", "hunter2-registry");
    for (name, value) in [("db", "hunter2-db\n"), ("dsn", "hunter2-dsn"), ("registry", "hunter2-registry\n")]
    {
        site.shell.write(&format!("secret/{name}"), value);
    }
    site
}

/// A variable of a container.
fn variable(site: &Site, container: &str, name: &str) -> Option<String> {
    let found = site.atlantic.container(container).or_else(|| site.pacific.container(container))?;
    let env = found.config.env.clone().unwrap_or_default();
    env.iter().find_map(|variable| variable.strip_prefix(&format!("{name}=")).map(str::to_owned))
}

/// All files that an engine keeps for Maestro, and the labels of all its containers.
fn kept(machine: &Machine) -> String {
    let mut text = String::new();
    for container in machine.containers() {
        writeln!(text, "{:?}", container.config.labels).unwrap();
        let binds = container.config.host_config.binds.iter().flatten();
        let paths = binds.filter_map(|bind| bind.split(':').nth(1)).chain(["/"]);
        let archives = paths.filter_map(|path| machine.get_archive(&container.name, path).ok());
        for archived in archives.flatten() {
            let content = archived.content.unwrap_or_default();
            writeln!(text, "{}: {}", archived.path, String::from_utf8_lossy(&content)).unwrap();
        }
    }
    text
}

#[tokio::test]
async fn containers_get_values_and_nobody_else_does() {
    let site = site();
    let first = site.run(&format!("{KEY} deploy --yes")).await.ok().says("this is release 1");
    for web in ["web-1", "web-2"] {
        assert_eq!(variable(&site, web, "DSN").as_deref(), Some("hunter2-dsn"));
        assert_eq!(variable(&site, web, "KEY").as_deref(), Some("hunter2-key"));
    }
    assert_eq!(variable(&site, "db-1", "PASSWORD").as_deref(), Some("hunter2-db"));
    first.never_says(PLANTED);
    site.clear_writes();
    site.run(&format!("{KEY} deploy --yes")).await.ok().never_says("release 2");
    assert_eq!(site.writes(), [], "what is there is as it is to be");
    site.run(&format!("{KEY} drift --detailed-exitcode")).await.ok();

    // Some of it is to be changed, and somebody has put his hand on it.
    site.write(&shop("3.0", "plain"));
    site.shell.write("secret/db", "hunter2-other");
    let mut ran = Vec::new();
    for line in [
        "validate",
        "validate --output json",
        "dump",
        "dump --config --output json",
        "dump --config --output yaml",
        "status -F",
        "status --output json",
        "doctor",
        "drift",
        "drift --output json",
        "plan start --full",
        "plan restart --full --output json",
        "plan deploy --full",
        "plan deploy --full --output json",
        "plan --out next.plan deploy",
        "deploy",
        "apply --yes next.plan",
        "releases",
        "releases --output json",
        "diff 1 2",
        "diff 2 --output json",
        "rollback --yes --progress json",
        "restart --output json",
        "stop --all --progress plain",
        "start --progress json",
        "logs -n 5 web-1",
        "pull",
        "clean",
        "kill --all",
    ] {
        ran.push(site.run(&format!("{KEY} {line}")).await);
    }
    // What fails says no more than what does not.
    site.registries.require_login("reg.example.com:5000", "ci", "other");
    site.registries.push("shop/brief:1", &maestro_testkit::state::Content::new("b", brief()));
    site.write(&shop("3.0", "!secret dsn").replace("shop/db:1", "shop/brief:1"));
    for line in
        ["pull", "doctor", "deploy --yes", "resume --yes", "abort --yes", "deploy --yes db", "releases"]
    {
        ran.push(site.run(&format!("{KEY} {line}")).await);
    }
    for ran in ran {
        assert!(!ran.all().contains("panicked"), "{}", ran.all());
        let line = ran.all();
        // The key is on the command line that this test has typed.
        assert!(!line.replace(KEY, "").contains(PLANTED), "{line}");
    }
    for file in ["next.plan", "audit.log"] {
        let text = std::fs::read_to_string(site.shell.file(file)).unwrap();
        assert!(text.len() > 100 && !text.contains(PLANTED), "{file}: {text}");
    }
    for machine in [&site.atlantic, &site.pacific] {
        let kept = machine.look(kept);
        assert!(!kept.contains(PLANTED), "{kept}");
    }
    let kept = site.atlantic.look(kept);
    assert!(kept.contains(r#"!secret \"dsn\""#) && kept.contains("secret/dsn"), "{kept}");
}

/// A program that ends badly at once.
fn brief() -> maestro_testkit::state::Behaviour {
    maestro_testkit::state::Behaviour::exits(std::time::Duration::from_millis(1), 1)
}

/// Another value is another container, and no other release.
#[tokio::test]
async fn another_value_is_deployed_and_gone_back_with() {
    let site = site();
    let run = async |line: &str| site.run(&format!("{KEY} {line}")).await;
    run("deploy --yes").await.ok();
    site.shell.write("secret/dsn", "hunter2-wrong");
    run("plan --out next.plan deploy").await.ok();
    site.shell.write("secret/dsn", "hunter2-new");
    run("apply --yes next.plan").await.exits(6).says("with secrets was");
    let mut text = site.redacted(&run("drift web --detailed-exitcode").await.exits(10));
    text += &site.redacted(&run("plan deploy").await);
    run("deploy --yes -c 1").await.ok().never_says("this is release 2");
    assert_eq!(variable(&site, "web-1", "DSN").as_deref(), Some("hunter2-new"));
    run("drift --detailed-exitcode").await.ok();

    site.write(&shop("3.0", "!secret dsn"));
    run("deploy --yes").await.ok().says("this is release 2");
    site.shell.write("secret/dsn", "hunter2-newest");
    text += &site.redacted(&run("diff 1 2").await.ok());
    // The way back is to the image and the names of then, with the values of now.
    site.clear_writes();
    run("rollback --yes").await.ok().says("this is release 3, as 1 was");
    assert!(site.image("web-1").contains("web:2.0"));
    assert_eq!(variable(&site, "web-1", "DSN").as_deref(), Some("hunter2-newest"));
    // And to what was kept, where the values are the same.
    run("rollback --yes --to 2").await.ok();
    site.clear_writes();
    run("rollback --yes --to 1").await.ok();
    assert!(site.changes().iter().all(|change| !change.contains("create")), "{:?}", site.changes());

    // A name that the file has no more is found in the release.
    let plain = shop("3.0", "plain").replace("  dsn: {file: secret/dsn}\n", "");
    site.write(&plain);
    run("deploy --yes").await.ok();
    run("rollback --yes").await.ok();
    assert_eq!(variable(&site, "web-1", "DSN").as_deref(), Some("hunter2-newest"));
    std::fs::remove_file(site.shell.file("secret/dsn")).unwrap();
    run("deploy --yes").await.ok();
    site.clear_writes();
    text += &site.redacted(&run("rollback --yes").await.exits(2));
    assert_eq!(site.changes(), Vec::<String>::new());
    insta::assert_snapshot!(super::deploying::anywhere(&text).replace(KEY, "[KEY]"));
}

/// All that is missing is told at once, and nothing is touched. Who needs none asks for none.
#[tokio::test]
async fn what_cannot_be_had_is_told_before_anything_is_touched() {
    let site = site();
    for line in
        ["validate", "status", "dump --output name", "deptree", "--help", "releases", "stop --all", "clean"]
    {
        let ran = site.run(line).await.ok();
        assert!(!ran.all().contains("cannot be had"), "{}", ran.all());
    }
    std::fs::remove_file(site.shell.file("secret/db")).unwrap();
    std::fs::write(site.shell.file("secret/dsn"), "\n").unwrap();
    site.clear_writes();
    let mut text = String::new();
    for (line, code) in [("deploy --yes", 2), ("start", 1), ("plan deploy", 2), ("drift", 2), ("doctor", 2)] {
        let ran = site.run(line).await.exits(code);
        // The program says so by itself.
        let said = site.redacted(&ran);
        let said: Vec<&str> = said.lines().filter(|line| !line.starts_with("/bin/cat")).collect();
        text += &(said.join("\n") + "\n");
    }
    assert_eq!(site.writes(), []);
    insta::assert_snapshot!(text);
    // What one instance needs is no other's business.
    site.shell.write("secret/db", "hunter2-db");
    site.run("start db").await.ok();
    site.run("pull web").await.ok();
    site.run("stop db").await.ok();
}

/// Programs that check, and auditors: each is told what it is to know, and nobody repeats it.
#[tokio::test]
async fn checks_and_auditors_are_told() {
    let sink = Sink::new(vec![OK]).await;
    let services = |script: &str| {
        format!(
            "
  db:
    image: shop/db:1
    env: {{DSN: !secret dsn}}
    lifecycle:
      running: [{{type: exec, command: [/bin/sh, -c, '{script}'], attempts: 1}}]
      stopped: [{{type: exec, command: [/bin/sh, -c, 'test \"$DSN\" = hunter2-dsn'], attempts: 1}}]
    instances:
      db-1: {{ship: atlantic}}
secrets:
  dsn: {{file: dsn}}
  key: {{env: SHOP_KEY}}
audit: [{{type: http, endpoint: 'http://{}', headers: {{X-Key: !secret key}}, payload: {{text: '{{message}}'}}}}]
",
            sink.address
        )
    };
    let site = Site::new(&services("echo it is $DSN; exit 1"));
    site.shell.write("dsn", "hunter2-dsn");
    let failed = site.run(&format!("{KEY} start --output json")).await.exits(1).says("it is …");
    assert!(!failed.all().replace(KEY, "").contains(PLANTED), "{}", failed.all());
    site.write(&services("test \"$DSN\" = hunter2-dsn"));
    site.run(&format!("{KEY} start")).await.ok();
    site.run(&format!("{KEY} stop --all")).await.ok();
    let requests = sink.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests.iter().all(|request| request.head.contains("x-key: hunter2-key")), "{requests:?}");
    assert!(!sink.bodies().concat().contains(PLANTED), "{requests:?}");
    // Whoever must be told and cannot be keeps everything as it is.
    site.clear_writes();
    site.run("start").await.exits(1).says("secret `key`, declared in maestro.yaml");
    assert_eq!(site.writes(), []);
}

/// Addresses and passwords of requests are no less secret than what is in them.
#[tokio::test]
async fn requests_log_in_and_go_where_only_secrets_say() {
    let (hook, checked) = (Sink::new(vec![OK]).await, Sink::new(vec![OK]).await);
    let site = Site::new(&format!(
        "
  db:
    image: shop/db:1
    lifecycle:
      running:
        - {{type: http, host: 127.0.0.1, port: {}, max_wait: 2, requests_options: {{auth: [ci, !secret key]}}}}
    instances:
      db-1: {{ship: atlantic}}
secrets:
  key: {{env: SHOP_KEY}}
  hook: {{file: hook}}
audit: [{{type: http, endpoint: !secret hook, payload: '{{message}}'}}]
",
        checked.address.port()
    ));
    site.run(&format!("{KEY} start")).await.exits(1).says("secret `hook`").says("there is no such file");
    for address in ["hunter2", "ftp://hunter2", "http://hunter2.invalid/x"] {
        site.shell.write("hook", address);
        let ran = site.run(&format!("{KEY} start")).await.exits(1).says("the http auditor (hook)");
        assert!(!ran.all().replace(KEY, "").contains(PLANTED), "{}", ran.all());
    }
    assert_eq!(site.writes(), [], "nothing before auditors are told");
    site.shell.write("hook", format!("http://{}/hunter2-hook", hook.address));
    for command in ["start", "restart", "deploy --yes"] {
        let ran = site.run(&format!("{KEY} {command}")).await.ok();
        assert!(!ran.all().replace(KEY, "").contains(PLANTED), "{}", ran.all());
    }
    let heads: Vec<String> = checked.requests().into_iter().map(|request| request.head).collect();
    // `ci:hunter2-key`
    let login = "authorization: Basic Y2k6aHVudGVyMi1rZXk=";
    assert!(heads.len() >= 2 && heads.iter().all(|head| head.contains(login)), "{heads:?}");
    let told = hook.requests();
    assert!(told.iter().all(|request| request.head.starts_with("POST /hunter2-hook ")), "{told:?}");
    // What does not check does not ask.
    site.run("stop --all").await.ok();
    site.run("start").await.exits(1).says("secret `key`");
}

/// Where lease and ledger are kept in an etcd that wants a password.
#[tokio::test]
async fn an_etcd_lets_in_who_has_the_password() {
    let [etcd] = gateway::cluster().await;
    etcd.requires("maestro", "hunter2-etcd");
    let shop = |tag: &str| {
        format!(
            "
  db:
    image: shop/db:{tag}
    instances:
      db-1: {{ship: atlantic}}
secrets:
  etcd: {{file: etcd}}
ledger: {{etcd: 'http://{}', username: maestro, password: !secret etcd}}
",
            etcd.address
        )
    };
    let site = Site::new(&shop("1"));
    site.run("deploy --yes").await.exits(2).says("secret `etcd`").says("there is no such file");
    site.shell.write("etcd", "hunter2-wrong\n");
    let ran = site.run("deploy --yes").await.exits(1).says("authentication failed");
    assert!(!ran.all().contains(PLANTED), "{}", ran.all());
    assert_eq!(site.writes(), []);
    site.shell.write("etcd", "hunter2-etcd\n");
    site.run("deploy --yes").await.ok().says("this is release 1");
    site.write(&shop("2"));
    site.run("deploy --yes").await.ok().says("this is release 2");
    site.run("rollback --yes").await.ok().says("this is release 3");
    let mut said = String::new();
    for line in ["releases --output json", "diff 1 2", "unlock --yes", "status"] {
        said += &site.run(line).await.ok().all();
    }
    assert!(!said.contains(PLANTED), "{said}");
    assert!(!etcd.store().contains(PLANTED), "a password is in what is kept");
}
