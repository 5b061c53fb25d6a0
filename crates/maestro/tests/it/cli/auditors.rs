//! `audit:` from end to end: who is told what, and what a deaf or dead auditor means for a command.

use super::shell::Ran;
use super::sink::{OK, Reply, Sink};
use super::site::{SHOP, Site, until};
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::redact::Redactor;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::net::TcpSocket;

/// What a command may take that nothing holds up, also on a machine with other things to do. Less than three times
/// [`SILENCE`], and than Slack may take.
const AT_ONCE: Duration = Duration::from_secs(8);
/// Seconds that an auditor is waited for that does not answer.
const SILENCE: u32 = 3;

/// A shop with these auditors.
fn site(auditors: &str) -> Site {
    Site::new(&format!("{SHOP}audit:\n{auditors}"))
}

fn log(site: &Site, name: &str) -> String {
    let text = std::fs::read_to_string(site.shell.file(name)).unwrap();
    site.shell.redactor().redact(&text)
}

/// A port that nobody listens on, for as long as the socket is kept.
fn closed_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn script(site: &Site, name: &str, lines: &str) {
    site.shell.write(name, format!("#!/bin/sh\n{lines}"));
    std::fs::set_permissions(site.shell.file(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Nothing was printed but errors, and nothing was asked of an engine that changes anything.
fn nothing_was_done(site: &Site, ran: &Ran) {
    assert_eq!(ran.stdout, "", "{}", ran.all());
    assert_eq!(site.writes(), [], "{}", ran.all());
}

/// Case 88, and each log with a level of its own (Q-41).
#[tokio::test]
async fn logs_say_what_was_done() {
    let site = site("- {type: log, file: all.log, level: debug}\n- {type: log, file: some.log}\n");
    site.run("LOGNAME=ops start -c 1 db web-1").await.ok();
    site.run("LOGNAME=ops start -c 1 db web-1").await.ok();
    site.run("LOGNAME=ops stop -c 1 web-1").await.ok();
    site.write(&format!(
        "{}audit:\n- {{type: log, file: all.log, level: debug}}\n- {{type: log, file: some.log}}\n",
        SHOP.replace("web:2.0", "web:3.0")
    ));
    site.registries.withdraw("shop/web:3.0");
    site.run("USER=dev pull web-1").await.exits(1);
    insta::assert_snapshot!(format!(
        "--- all.log\n{}--- some.log\n{}",
        log(&site, "all.log"),
        log(&site, "some.log")
    ));
    let text = std::fs::read_to_string(site.shell.file("some.log")).unwrap();
    let pattern = "2026-01-01 00:00:00,000 INFO: ops is starting db-1, web-1.";
    let shape =
        |line: &str| line.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    assert_eq!(shape(text.lines().next().unwrap()), shape(pattern));
}

/// Case 89.
#[tokio::test]
async fn webhooks_are_called_for_actions_only() {
    let sink = Sink::new(vec![OK]).await;
    let payload = "{text: '{what}|{action}|{who}', none: '', deep: {list: ['', '{message}']}}";
    let site = site(&format!(
        "- {{type: http, endpoint: 'http://{address}/plays', payload: {payload}, headers: {{X-Key: k}}}}\n\
         - {{type: http, endpoint: 'http://{address}/all', level: debug, method: get, headers: {{content-type: text/x}}}}\n",
        address = sink.address,
    ));
    site.run("LOGNAME=ops start -c 1 db web-1").await.ok();
    let requests = sink.requests();
    let of = |line: &str| {
        let found = requests.iter().filter(|request| request.head.starts_with(line));
        found.map(|request| &*request.body).collect::<Vec<_>>()
    };
    assert_eq!(
        of("POST /plays HTTP/1.1"),
        [
            r#"{"text":"db-1, web-1|start|ops","deep":{"list":["ops is starting [db-1 (on atlantic), web-1 (on atlantic)]."]}}"#
        ]
    );
    assert_eq!(of("GET /all HTTP/1.1"), ["null"; 3], "the play and two tasks");
    let posted = requests.iter().find(|request| request.head.starts_with("POST")).unwrap();
    assert!(posted.head.contains("content-type: application/json; charset=utf-8"), "{posted:?}");
    assert!(posted.head.contains("x-key: k"), "{posted:?}");
    // A header of the file's takes the place of a usual one.
    let got = requests.iter().find(|request| request.head.starts_with("GET")).unwrap();
    let types: Vec<_> = got.head.lines().filter(|line| line.starts_with("content-type")).collect();
    assert_eq!(types, ["content-type: text/x"]);
}

/// Case 90.
#[tokio::test]
async fn a_dead_webhook_matters_only_where_its_errors_do() {
    let (_kept, port) = closed_port();
    let entry = format!("type: http, endpoint: 'http://127.0.0.1:{port}/hunter2'");
    let strict = site(&format!("- {{{entry}}}\n"));
    let ran = strict.run("start").await.exits(1).within(AT_ONCE).never_says("hunter2");
    nothing_was_done(&strict, &ran);
    insta::assert_snapshot!(strict.redacted(&ran), @"
    $ maestro start
    --- stderr
    ERROR: the http auditor (127.0.0.1:[PORT]) could not be told: nothing was done
      cause: connection refused
      hint: `ignore_errors: true` lets commands go on without it
    --- exit 1
    ");
    let lenient = site(&format!("- {{{entry}, ignore_errors: true, level: debug}}\n"));
    let ran = lenient.run("start").await.ok().within(AT_ONCE);
    assert!(!ran.stderr.contains("auditor"), "{}", ran.all());
}

/// Whoever is told before a dead one is told, all the same.
#[tokio::test]
async fn all_auditors_are_told_at_once() {
    let (sink, silent) = (Sink::new(vec![OK]).await, Sink::new(vec![Reply::Silence]).await);
    let hung = format!("- {{type: http, endpoint: 'http://{}', timeout: {SILENCE}}}\n", silent.address);
    let site = site(&format!("{hung}{hung}{hung}- {{type: http, endpoint: 'http://{}'}}\n", sink.address));
    let ran = site.run("start").await.exits(1).says("no answer within 3 s").within(AT_ONCE);
    nothing_was_done(&site, &ran);
    assert_eq!((sink.requests().len(), silent.requests().len()), (1, 3));
}

/// Case 91: once, after success, and also without arguments (Q-43).
#[tokio::test]
async fn programs_are_run_after_success() {
    let site = site(
        "- {type: exec, script: ./tell, args: 'x {action} {who}', level: debug}\n- {type: exec, script: ./tell}\n\
         - {type: exec, script: ./fail}\n",
    );
    script(
        &site,
        "tell",
        "read -r line\nprintf '%s < %s\\n' \"$*\" \"$line\" >> told\necho nobody hears this\n",
    );
    script(&site, "fail", "echo out of tape >&2\nexit 3\n");
    let ran = site.run("start -c 1 db").await.ok().never_says("nobody hears");
    let told = std::fs::read_to_string(site.shell.file("told")).unwrap();
    let mut told: Vec<_> = told.lines().collect();
    told.sort_unstable();
    let input = r#"{"db-1":{"ship":"127.0.0.1","service":"db"}}"#;
    assert_eq!(told, [format!(" < {input}"), format!("x start None < {input}")]);
    assert!(
        ran.stderr.ends_with(
            "WARNING: the exec auditor (./fail) did not get 1 notification\n  cause: exit code 3: out of tape\n"
        ),
        "{}",
        ran.all()
    );
    site.registries.withdraw("shop/db:1");
    site.run("pull db").await.exits(1);
    let told = std::fs::read_to_string(site.shell.file("told")).unwrap();
    assert_eq!(told.lines().count(), 2, "not after a failure");
}

#[tokio::test]
async fn programs_that_hang_are_killed_with_all_they_started() {
    let site = site("- {type: exec, script: ./hang, timeout: 1}\n");
    script(&site, "hang", "/bin/sleep 600 &\necho $! > child\nwait\n");
    let ran = site.run("pull db").await.ok().says("it did not end within 1 s").within(AT_ONCE);
    assert!(ran.took >= Duration::from_secs(1));
    let child = std::fs::read_to_string(site.shell.file("child")).unwrap();
    let status = format!("/proc/{}/status", child.trim());
    let is_gone = || std::fs::read_to_string(&status).is_ok_and(|text| text.contains("(zombie)"));
    until("the program's child is gone", || !std::path::Path::new(&status).exists() || is_gone()).await;
}

/// Deaf while things happen: the deployment goes on, and its end waits as long as one notification may take.
#[tokio::test]
async fn a_webhook_that_falls_silent_holds_up_nothing() {
    let sink = Sink::new(vec![OK, Reply::Silence]).await;
    let site = site(&format!(
        "- {{type: http, endpoint: 'http://{}', timeout: {SILENCE}, level: debug, payload: '{{what}}'}}\n",
        sink.address
    ));
    let ran = site.run("start").await.ok().within(AT_ONCE);
    assert!(ran.stdout.contains("started"), "{}", ran.all());
    assert_eq!(sink.bodies()[..2], [r#""db-1, web-1, web-2""#, r#""db-1""#]);
    assert!(
        ran.stderr.contains("did not get 3 notifications\n  cause: no answer within 3 s\n"),
        "{}",
        ran.all()
    );
    // The same where nobody minds.
    let silent = Sink::new(vec![Reply::Silence]).await;
    site.write(&format!(
        "{SHOP}audit:\n- {{type: http, endpoint: 'http://{}', timeout: {SILENCE}, level: debug, ignore_errors: true}}\n",
        silent.address
    ));
    let ran = site.run("restart").await.ok().within(AT_ONCE);
    assert!(!ran.stderr.contains("auditor"), "{}", ran.all());
}

/// A webhook's answer is its own business.
#[tokio::test]
async fn what_webhooks_answer_does_not_matter() {
    for status in ["429 Too Many Requests", "500 Internal Server Error", "204 No Content"] {
        let sink = Sink::new(vec![Reply::Says(status, &["Retry-After: 60"], "")]).await;
        let site = site(&format!("- {{type: http, endpoint: 'http://{}'}}\n", sink.address));
        site.run("pull db").await.ok().within(AT_ONCE);
        assert_eq!(sink.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_to_is_an_error_at_once() {
    let site = site("- {type: log, file: no/such/directory.log}\n");
    let ran = site.run("start").await.exits(1);
    nothing_was_done(&site, &ran);
    insta::assert_snapshot!(site.redacted(&ran), @"
    $ maestro start
    --- stderr
    ERROR: the log auditor (no/such/directory.log) could not be told: nothing was done
      cause: no such file or directory
      hint: `ignore_errors: true` lets commands go on without it
    --- exit 1
    ");
}

/// A file system that hangs holds up a command for a while, and not its end.
#[tokio::test]
async fn a_log_that_hangs_is_given_up() {
    let site = site("- {type: log, file: audit.log}\n");
    let made = std::process::Command::new("mkfifo").arg(site.shell.file("audit.log")).status().unwrap();
    assert!(made.success());
    let ran = site.run("start").await.exits(1).within(Duration::from_secs(9));
    nothing_was_done(&site, &ran);
    ran.says("the file could not be written to within 5 s");
}

#[tokio::test]
async fn looking_and_planning_tell_nobody() {
    let sink = Sink::new(vec![OK]).await;
    let site = site(&format!(
        "- {{type: http, endpoint: 'http://{}', level: debug}}\n- {{type: log, file: audit.log, level: debug}}\n",
        sink.address
    ));
    let lines = [
        "validate",
        "status",
        "status -F",
        "plan start",
        "plan stop --all",
        "deptree",
        "dump --config",
        "logs db",
        "complete maestro start d",
    ];
    for line in lines {
        site.run(line).await;
    }
    assert!(sink.requests().is_empty() && !site.shell.file("audit.log").exists());
}

/// Two runs, one play.
#[tokio::test]
async fn a_restart_that_pulls_first_is_one_play() {
    let site = site("- {type: log, file: audit.log}\n");
    site.run("LOGNAME=ops start db").await.ok();
    site.run("LOGNAME=ops restart --refresh-images --only-if-changed db").await.ok();
    site.registries.withdraw("shop/db:1");
    site.run("LOGNAME=ops restart --refresh-images --only-if-changed db").await.exits(1);
    insta::assert_snapshot!(log(&site, "audit.log"), @"
    [TIME] INFO: ops is starting db-1.
    [TIME] INFO: Start of db-1 succeeded.
    [TIME] INFO: ops is restarting db-1.
    [TIME] INFO: Restart of db-1 succeeded.
    [TIME] INFO: ops is restarting db-1.
    [TIME] ERROR: Failed to restart db-1! (message: ship atlantic: pulling shop/db:1: pull access denied for shop/db, repository does not exist or may require 'docker login': denied: requested access to the resource is denied (asked without a login))
    [TIME] ERROR: Failed to restart db-1! (message: db-1: ship atlantic: pulling shop/db:1: pull access denied for shop/db, repository does not exist or may require 'docker login': denied: requested access to the resource is denied (asked without a login))
    ");
}

#[tokio::test]
async fn ctrl_c_is_not_held_up() {
    let sink = Sink::new(vec![Reply::Silence]).await;
    let site = site(&format!("- {{type: http, endpoint: 'http://{}', timeout: 600}}\n", sink.address));
    let start = site.shell.spawn("start");
    until("the auditor is told", || !sink.requests().is_empty()).await;
    start.interrupt();
    let ran = start.end().await.exits(1).within(AT_ONCE);
    nothing_was_done(&site, &ran);
    assert_eq!(ran.stderr, "ERROR: interrupted while auditors were told: no container was touched\n");

    let sink = Sink::new(vec![OK, Reply::Silence]).await;
    site.write(&format!(
        "{SHOP}audit: [{{type: http, endpoint: 'http://{}', timeout: 600, level: debug}}]\n",
        sink.address
    ));
    let mut start = site.shell.spawn("start db");
    start.until_it_says("1 started").await;
    start.interrupt();
    let ran = start.end().await.ok().within(AT_ONCE);
    assert!(
        ran.stderr.contains("did not get 1 notification\n  note: there was no time left"),
        "{}",
        ran.all()
    );
}

/// Nor by the second one, whoever has not heard of the end yet.
#[tokio::test]
async fn two_of_them_end_it_at_once() {
    let sink = Sink::new(vec![OK, Reply::Silence]).await;
    let site = Site::new(SHOP);
    site.run("pull").await.ok();
    site.write(&format!(
        "{SHOP}audit: [{{type: http, endpoint: 'http://{}', timeout: 600, level: debug}}]\n",
        sink.address
    ));
    site.atlantic.set_faults(Faults::none().and(On::Writes, When::Always, Fault::Hangs));
    let mut start = site.shell.spawn("start db");
    until("db-1 is being created", || site.writes().iter().any(|write| write.operation == Operation::Create))
        .await;
    start.interrupt();
    start.until_it_says("Ctrl-C again stops at once").await;
    start.interrupt();
    start.end().await.exits(1).within(AT_ONCE).says("did not get 1 notification");
}

/// The interrupt that ended the command does not end the telling of it.
#[tokio::test]
async fn ctrl_c_between_two_runs_is_told() {
    let site = site("- {type: log, file: audit.log}\n");
    site.run("LOGNAME=ops start db").await.ok();
    let looks = || site.atlantic.calls().get(&Operation::Observe).copied().unwrap_or_default();
    let before = looks();
    site.atlantic.set_faults(Faults::none().and(On::Only(Operation::Observe), When::From(2), Fault::Hangs));
    let restart = site.shell.spawn("LOGNAME=ops restart --refresh-images --only-if-changed db");
    until("the second look", || looks() == before + 2).await;
    restart.interrupt();
    let ran = restart.end().await.exits(1).within(AT_ONCE);
    let end = "1 pulled in [DURATION]\nERROR: interrupted: no container was touched\n";
    assert_eq!(site.shell.redactor().redact(&ran.stderr), end);
    assert!(
        log(&site, "audit.log").ends_with(
            "[TIME] INFO: ops is restarting db-1.\n\
             [TIME] ERROR: Failed to restart db-1! (message: Manual abort)\n"
        ),
        "{}",
        log(&site, "audit.log")
    );
}

/// Proxies are honoured for webhooks, not for ships (Q-72).
#[tokio::test]
async fn webhooks_go_through_a_proxy() {
    let proxy = Sink::new(vec![OK]).await;
    let site = site("- {type: http, endpoint: 'http://hooks.example.invalid/x', payload: '{action}'}\n");
    site.run(&format!("HTTP_PROXY=http://{} pull db", proxy.address)).await.ok();
    let requests = proxy.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert!(request.head.starts_with("POST http://hooks.example.invalid/x HTTP/1.1"), "{request:?}");
}

/// A small image has no certificates of authorities, and a webhook without TLS needs none.
#[tokio::test]
async fn a_machine_without_authorities_calls_webhooks() {
    let sink = Sink::new(vec![OK]).await;
    let site = site(&format!("- {{type: http, endpoint: 'http://{}'}}\n", sink.address));
    site.shell.write("none.pem", "");
    site.run("SSL_CERT_FILE=none.pem SSL_CERT_DIR=/nonexistent pull db").await.ok();
    assert_eq!(sink.requests().len(), 1);
}

const SLACK: &str = "- {type: slack, channel: '#ops', token: hunter2}\n";

#[tokio::test]
async fn slack_is_told_and_told_again_when_it_was_too_much() {
    let said = Reply::Says("200 OK", &[], r#"{"ok":true}"#);
    let busy = Reply::Says("429 Too Many Requests", &["Retry-After: 1"], "");
    let (slack, certificate) = Sink::in_place_of("slack.com", vec![busy, said]).await;
    let site = site(SLACK);
    site.shell.write("ca.pem", certificate);
    let proxy = format!("HTTPS_PROXY=http://{} SSL_CERT_FILE=ca.pem LOGNAME=ops", slack.address);
    let ran = site.run(&format!("{proxy} start -c 1 db")).await.ok();
    assert!(ran.took >= Duration::from_secs(1), "the pause is kept: {:?}", ran.took);
    let requests = slack.requests();
    let text = |at: usize| {
        let request: &super::sink::Request = &requests[at];
        assert!(request.head.starts_with("POST /api/chat.postMessage HTTP/1.1"), "{request:?}");
        assert!(request.head.contains("authorization: Bearer hunter2"), "{request:?}");
        let attachments =
            form_urlencoded::parse(request.body.as_bytes()).find(|(name, _)| name == "attachments");
        let attachments: serde_json::Value = serde_json::from_str(&attachments.unwrap().1).unwrap();
        attachments[0]["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(requests.len(), 3);
    assert_eq!(
        [text(0), text(1), text(2)],
        ["ops is starting db-1.", "ops is starting db-1.", "Start of db-1 succeeded."]
    );
}

#[tokio::test]
async fn slack_that_says_no_is_an_error_and_that_wants_a_pause_does_not_get_a_long_one() {
    for (reply, cause) in [
        (Reply::Says("200 OK", &[], r#"{"ok":false,"error":"invalid_auth"}"#), "Slack says: invalid_auth"),
        (
            Reply::Says("429 Too Many Requests", &["Retry-After: 300"], ""),
            "Slack wants no more messages for another 300 s",
        ),
    ] {
        let (slack, certificate) = Sink::in_place_of("slack.com", vec![reply]).await;
        let site = site(SLACK);
        site.shell.write("ca.pem", certificate);
        let line = format!("HTTPS_PROXY=http://{} SSL_CERT_FILE=ca.pem start", slack.address);
        let ran = site.run(&line).await.exits(1).within(AT_ONCE).says(cause);
        nothing_was_done(&site, &ran);
    }
}

/// By no command, in no form, from a file that is right or wrong.
#[tokio::test]
async fn secrets_are_never_shown() {
    let (_kept, port) = closed_port();
    let entries = format!(
        "- {{type: slack, channel: '#ops', token: hunter2, chanel: x}}\n\
         - {{type: slack, channel: '#ops', token: PLACE, chanel: x}}\n\
         - {{type: http, endpoint: 'http://me:hunter2@127.0.0.1:{port}/hunter2', headers: {{X-Key: hunter2}}, tmeout: 1}}\n"
    );
    let right = site(&entries);
    let wrong = right.shell.file("wrong.yaml");
    let text = std::fs::read_to_string(right.shell.file("maestro.yaml")).unwrap();
    let text = text.replace("PLACE", "'{{ env.TOKEN }}'");
    right.shell.write("maestro.yaml", &text);
    std::fs::write(&wrong, text.replace("channel: '#ops', ", "").replace("X-Key", "'X Key'")).unwrap();
    let environment = format!("TOKEN=hunter2 HTTPS_PROXY=http://127.0.0.1:{port}");
    for line in [
        "validate",
        "validate --output json",
        "-f wrong.yaml validate",
        "-f wrong.yaml validate --output yaml",
        "-f wrong.yaml start",
        "dump --config",
        "dump --config --output json",
        "status",
        "plan start --full",
        "start",
        "start --output json",
        "stop --all --progress json",
    ] {
        let ran = right.run(&format!("{environment} {line}")).await.never_says("hunter2");
        assert!(!ran.stdout.is_empty() || !ran.stderr.is_empty(), "{line}");
    }
    let ran = right.run(&format!("{environment} start")).await.exits(1);
    let redactor = Redactor::new().port(port, "[PORT]");
    insta::assert_snapshot!(redactor.redact(&ran.stderr));
}

/// An auditor that does not take what it is told keeps somebody from beginning, but nobody from going back by himself.
#[tokio::test]
async fn no_auditor_forbids_the_way_back() {
    let sink = Sink::new(vec![OK, OK, Reply::Silence]).await;
    let audited = |tag: &str| {
        let web = SHOP.replace("web:2.0", tag).replace("    requires: [db]\n", "    deploy: {bake: 2s}\n");
        format!("{web}audit:\n- {{type: http, endpoint: 'http://{}', timeout: 1}}\n", sink.address)
    };
    let site = Site::new(&audited("web:2.0"));
    site.run("deploy").await.ok();
    site.write(&audited("web:brief-3.0"));
    let ran = site.run("deploy --yes web").await.exits(4);
    let ran = ran.says("did not get 1 notification").says("as in release 1 again");
    for name in ["web-1", "web-2"] {
        assert!(site.image(name).contains("web:2.0"), "{}", ran.all());
        assert_eq!(site.state(name), "running", "{}", ran.all());
    }
    site.clear_writes();
    site.run("deploy --yes web").await.exits(1).says("nothing was done").says("no answer within 1 s");
    assert_eq!(site.changes(), Vec::<String>::new());
}

/// Why nothing was begun is what counts; that it could not be taken out of the journal is told besides.
#[tokio::test]
async fn what_keeps_a_deployment_from_beginning_is_what_it_ends_with() {
    let sink = Sink::new(vec![Reply::Silence]).await;
    let audited =
        format!("{SHOP}audit:\n- {{type: http, endpoint: 'http://{}', timeout: {SILENCE}}}\n", sink.address);
    let site = Site::new(&audited);
    let deploying = site.shell.spawn("deploy --yes");
    until("the auditor is being told", || !sink.requests().is_empty()).await;
    let refused = Fault::Refused(500, "no space left".into());
    site.atlantic.set_faults(Faults::none().and(On::Only(Operation::Put), When::Always, refused));
    let ran = deploying.end().await.exits(1).says("could not be told: nothing was done");
    let warning = "WARNING: what is kept of releases and deployments cannot be used";
    assert!(ran.stderr.contains(warning) && ran.stderr.contains("no space left"), "{}", ran.all());
    assert!(ran.stderr.find(warning) < ran.stderr.find("ERROR"), "{}", ran.all());
}
