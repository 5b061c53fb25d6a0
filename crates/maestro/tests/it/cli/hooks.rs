//! Hooks, as their users see them.

use super::site::{SHOP, Site, until};
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use rustix::process::Signal;
use std::time::Duration;

/// The shop with a web that has hooks.
fn shop(tag: &str, deploy: &str) -> String {
    SHOP.replace("shop/web:2.0", &format!("shop/web:{tag}"))
        .replace("    requires: [db]\n", &format!("    requires: [db]\n    deploy: {{{deploy}}}\n"))
}

const TELL: &str =
    "[/bin/sh, -c, 'echo $MAESTRO_HOOK $MAESTRO_SERVICE $MAESTRO_IMAGE of $MAESTRO_ENVIRONMENT >> told']";

fn hooks(before: &str, after: &str) -> String {
    format!("strategy: rolling, max_unavailable: 1, hooks: {{before: [{before}], after: [{after}]}}")
}

fn told(site: &Site) -> String {
    std::fs::read_to_string(site.shell.file("told")).unwrap_or_default()
}

/// How often containers of hooks have been started.
fn starts(site: &Site) -> usize {
    let changes = site.changes();
    changes.iter().filter(|change| change.contains("start") && change.contains("web.")).count()
}

#[tokio::test]
async fn they_are_run_before_and_after() {
    let with = |tag| {
        shop(
            tag,
            &hooks(
                &format!("{{run: [bin/migrate]}}, {{local: {TELL}}}"),
                &format!("{{local: {TELL}}}, {{run: bin/migrate}}"),
            ),
        )
    };
    let site = Site::new(&with("2.0"));
    site.run("deploy").await.ok();
    let digest =
        |text: &str| fancy_regex::Regex::new("@sha256:[0-9a-f]+").unwrap().replace_all(text, "").into_owned();
    assert_eq!(digest(&told(&site)), "before web shop/web:2.0 of shop\nafter web shop/web:2.0 of shop\n");
    site.write(&with("3.0"));
    site.clear_writes();
    let mut text = site.transcript(&["plan deploy web", "deploy --yes -c 1 --progress plain web"]).await;
    assert_eq!(told(&site).lines().count(), 4);
    // Its image is there before, nothing else of the service is touched before, and nothing after.
    let changes: Vec<String> = site.atlantic.writes().iter().map(ToString::to_string).collect();
    let of = |what: &str| changes.iter().position(|change| change.contains(what)).unwrap();
    let order = ["pull", "start web.before-1", "stop web-1", "start web-1", "create web.after-2"].map(of);
    assert!(order.is_sorted(), "{changes:?}");
    assert_eq!(starts(&site), 2);
    assert_eq!((site.state("web.before-1"), site.state("web.after-2")), ("exited", "exited"));
    // They are no instances; nothing is left to be done; and there is none on the way back.
    text += &site.transcript(&["status", "plan deploy web", "plan clean web"]).await;
    site.clear_writes();
    site.run("deploy --yes web").await.ok();
    site.run("drift").await.ok();
    site.run("rollback --yes").await.ok();
    assert!(site.image("web-1").contains("web:2.0"));
    assert_eq!((starts(&site), told(&site).lines().count()), (0, 4));
    site.run("clean web").await.ok();
    assert_eq!((site.state("web.before-1"), site.state("web.after-2")), ("absent", "absent"));
    assert_eq!(site.state("web-1"), "running");
    insta::assert_snapshot!(text);
}

/// What it wrote is shown, nothing of the service has been touched, and nothing is there to be taken back.
#[tokio::test]
async fn one_that_fails_keeps_everything_as_it_is() {
    let site = Site::new(&shop("2.0", &hooks("", "")));
    site.run("deploy").await.ok();
    site.write(&shop("3.0", &hooks("{run: [bin/broken]}", "")));
    site.clear_writes();
    let ran = site.run("deploy --yes -c 1 web").await.exits(4);
    insta::assert_snapshot!(site.redacted(&ran));
    assert!(site.changes().iter().all(|change| !change.contains("web-")), "{:?}", site.changes());
    assert_eq!(site.state("web.before-1"), "exited");
    assert!(site.image("web-1").contains("web:2.0"));
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
    // The next one makes another container.
    site.write(&shop("3.0", &hooks("{run: [bin/migrate]}", "")));
    site.run("deploy --yes web").await.ok().says("this is release 2");
}

/// One that has been run is not run again by whoever goes on; what failed is.
#[tokio::test]
async fn who_goes_on_runs_what_is_left() {
    let gate = "{local: [/bin/sh, ./gate]}";
    let deploy = hooks(&format!("{{run: [bin/migrate]}}, {{local: {TELL}}}, {gate}"), "{run: [bin/migrate]}");
    let site = Site::new(&shop("2.0", "on_failure: pause"));
    site.run("deploy").await.ok();
    site.write(&shop("3.0", &format!("{deploy}, on_failure: pause")));
    site.clear_writes();
    let failed = site.run("deploy --yes web").await.exits(3).says("hook before-3 of web");
    assert!(failed.all().contains("`maestro resume` goes on with it"), "{}", failed.all());
    assert!(site.changes().iter().all(|change| !change.contains("web-")), "{:?}", site.changes());
    site.run("resume --yes").await.exits(3);
    site.shell.write("gate", "exit 0");
    site.run("resume --yes").await.ok().says("this is release 2");
    assert_eq!((starts(&site), told(&site).lines().count()), (2, 1), "{:?}", site.changes());
    assert!(site.image("web-2").contains("web:3.0"));
}

#[tokio::test]
async fn canaries_and_the_others_share_them() {
    let canary = |tag: &str| {
        shop(
            tag,
            &format!(
                "strategy: canary, max_surge: 0, hooks: {{before: [{{run: [bin/migrate]}}, {{local: {TELL}}}], after: [{{run: [bin/migrate]}}]}}"
            ),
        )
    };
    let site = Site::new(&canary("2.0").replace("bin/migrate", "true").replace("hooks", "x-hooks"));
    site.run("deploy").await.ok();
    site.write(&canary("3.0"));
    site.clear_writes();
    site.run("deploy --yes web").await.exits(3);
    assert_eq!((starts(&site), told(&site).lines().count()), (1, 1));
    // What is left of it may be cleared away meanwhile: it is written down.
    site.run("clean web").await.ok();
    site.run("deploy --yes --promote web").await.ok();
    assert_eq!((starts(&site), told(&site).lines().count()), (2, 1));
    assert_eq!((site.state("web.before-1"), site.state("web.after-1")), ("absent", "exited"));
}

#[tokio::test]
async fn one_that_does_not_end_is_stopped() {
    let site = Site::new(&shop("2.0", "on_failure: pause"));
    site.run("deploy").await.ok();
    for hook in ["{run: [bin/endless], timeout: 1}", "{local: [/bin/sleep, 60], timeout: 1}"] {
        site.write(&shop("3.0", &format!("{}, on_failure: pause", hooks(hook, ""))));
        let ran = site.run("deploy --yes web").await.exits(3);
        assert!(ran.all().contains("it did not end within 1 s"), "{}", ran.all());
        assert!(site.image("web-1").contains("web:2.0"));
        // It has come to a good end when it was told to stop, which is none: whoever goes on runs it again.
        let runs = || (starts(&site), site.id("web.before-1"));
        let before = runs();
        site.run("resume --yes").await.exits(3).says("it did not end within 1 s");
        assert_eq!(hook.contains("endless"), runs() != before, "{:?}", site.changes());
    }
}

/// Whoever stops it may die before it has ended: what it ends with then is no good end either.
#[tokio::test]
async fn one_that_is_late_is_so_for_whoever_goes_on() {
    let shop = |tag, deploy: &str| shop(tag, deploy).replace("ports: {", "stop_timeout: 1, ports: {");
    let site = Site::slow_with(&shop("2.0", "on_failure: pause"), &Latency::default(), ", timeout: 2");
    site.run("deploy").await.ok();
    site.write(&shop(
        "3.0",
        &format!("{}, on_failure: pause", hooks("{run: [bin/endless], timeout: 1}", "")),
    ));
    site.clear_writes();
    site.atlantic.takes(&Latency::default().but(Operation::Stop, Duration::from_millis(300)));
    let mut deploying = site.shell.spawn("deploy --yes web");
    let stops = |change: &String| change.contains("stop web.before-1");
    until("it is stopped", || deploying.has_ended() || site.changes().iter().any(stops)).await;
    deploying.send(Signal::KILL);
    deploying.end().await.exits(-1);
    // Whether or not its engine does what nobody waits for any more.
    if site.state("web.before-1") == "running" {
        site.atlantic.meddle(|machine, now| machine.crash("web.before-1", 0, now)).unwrap();
    }
    assert_eq!(starts(&site), 1, "{:?}", site.changes());
    site.run("resume --yes").await.exits(3).says("it did not end within 1 s");
    assert_eq!(starts(&site), 2, "{:?}", site.changes());
    assert!(site.image("web-1").contains("web:2.0") && site.image("web-2").contains("web:2.0"));
}

/// Whoever waits for it may die: it is waited for by whoever goes on.
#[tokio::test]
async fn one_that_goes_on_is_waited_for() {
    // Dead owners are found out, and what they asked for is waited for: both the longer, the longer calls may take.
    let shop = |tag, deploy: &str| shop(tag, deploy).replace("ports: {", "stop_timeout: 1, ports: {");
    let site = Site::slow_with(&shop("2.0", "on_failure: pause"), &Latency::default(), ", timeout: 2");
    site.run("deploy").await.ok();
    site.write(&shop("3.0", &hooks("{run: [bin/endless]}", "")));
    site.clear_writes();
    let mut deploying = site.shell.spawn("deploy --yes web");
    until("it is started", || deploying.has_ended() || site.state("web.before-1") == "running").await;
    deploying.send(Signal::KILL);
    deploying.end().await.exits(-1);
    let mut resuming = site.shell.spawn("resume --yes --progress plain");
    resuming.until_it_writes("running bin/endless").await;
    site.atlantic.meddle(|machine, now| machine.crash("web.before-1", 0, now)).unwrap();
    resuming.end().await.ok().says("this is release 2");
    assert_eq!(starts(&site), 1, "{:?}", site.changes());
}

/// The first Ctrl-C waits for it, and begins nothing after it.
#[tokio::test]
async fn an_interrupt_waits_for_it() {
    let site = Site::new(&shop("2.0", "on_failure: pause"));
    site.run("deploy").await.ok();
    site.write(&shop("3.0", &hooks("{run: [bin/endless]}", "{run: [bin/migrate]}")));
    site.clear_writes();
    let mut deploying = site.shell.spawn("deploy --yes --progress plain web");
    deploying.until_it_writes("running bin/endless").await;
    deploying.interrupt();
    deploying.until_it_says("interrupt").await;
    site.atlantic.meddle(|machine, now| machine.crash("web.before-1", 0, now)).unwrap();
    deploying.end().await.exits(3).says("the deployment is not finished");
    assert!(site.changes().iter().all(|change| !change.contains("web-")), "{:?}", site.changes());
    site.run("resume --yes").await.ok().says("this is release 2");
    assert_eq!(starts(&site), 2, "{:?}", site.changes());
}

/// What was run on this machine is not run again by whoever deploys the same instead of going on.
#[tokio::test]
async fn who_deploys_the_same_again_goes_on() {
    let with = |tag: &str| {
        shop(
            tag,
            &format!(
                "{}, on_failure: pause",
                hooks(&format!("{{local: {TELL}}}"), "{local: [/bin/sh, ./gate]}")
            ),
        )
    };
    let site = Site::new(&shop("2.0", "on_failure: pause"));
    site.run("deploy").await.ok();
    site.write(&with("3.0"));
    // All is replaced, and what comes after fails.
    site.run("deploy --yes web").await.exits(3).says("hook after-1 of web");
    assert!(site.image("web-2").contains("web:3.0"));
    site.run("deploy --yes web").await.exits(3).says("hook after-1 of web");
    site.shell.write("gate", "exit 0");
    site.run("deploy --yes web").await.ok().says("this is release 2");
    assert_eq!(told(&site).lines().count(), 1);
    // With another release, all begins anew.
    site.shell.write("gate", "exit 1");
    site.write(&with("4.0"));
    site.run("deploy --yes web").await.exits(3);
    site.shell.write("gate", "exit 0");
    site.write(&with("5.0"));
    site.run("deploy --yes web").await.ok();
    assert_eq!(told(&site).lines().count(), 3);
    // Going back from there runs none.
    site.shell.write("gate", "exit 1");
    site.write(&with("6.0"));
    site.run("deploy --yes web").await.exits(3);
    site.run("abort --yes").await.ok();
    assert!(site.image("web-2").contains("web:5.0"));
    assert_eq!(told(&site).lines().count(), 4);
}

/// What was run has been run, also where that cannot be written down: it is not as if nothing had been done.
#[tokio::test]
async fn one_that_cannot_be_written_down_has_been_run() {
    let gate = "[/bin/sh, -c, 'echo run >> told; until [ -e go ]; do /bin/sleep 0.05; done']";
    for on_failure in ["rollback", "pause"] {
        let site = Site::new(&shop("2.0", "on_failure: pause"));
        site.run("deploy").await.ok();
        let deploy = hooks(&format!("{{local: {gate}}}"), "");
        site.write(&shop("3.0", &format!("{deploy}, on_failure: {on_failure}")));
        site.clear_writes();
        let deploying = site.shell.spawn("deploy --yes web");
        until("it is run", || !told(&site).is_empty()).await;
        let full = Fault::Refused(500, "no space left on device".to_owned());
        site.atlantic.set_faults(Faults::none().and(On::Only(Operation::Put), When::Always, full));
        site.shell.write("go", "");
        let ran = deploying.end().await.exits(3).says("it has been run, which cannot be written down");
        ran.says("no space left")
            .says("the deployment is not finished")
            .says("`maestro resume` goes on with it");
        assert!(site.changes().iter().all(|change| !change.contains("web-")), "{:?}", site.changes());
        site.run("releases").await.ok().says("not finished");
    }
}

/// Whoever takes the lease over may run it, too: it does not go on beside that.
#[tokio::test]
async fn one_on_this_machine_ends_with_the_lease() {
    let site = Site::new(&shop("2.0", "on_failure: pause"));
    site.run("deploy").await.ok();
    let sleeps = "{local: [/bin/sh, -c, 'echo $$ >> told; exec /bin/sleep 30']}";
    site.write(&shop("3.0", &hooks(sleeps, "")));
    let deploying = site.shell.spawn("deploy --yes web");
    until("it is run", || told(&site).ends_with('\n')).await;
    site.run("unlock --yes").await.ok().says("it has been taken away");
    let ran = deploying.end().await.exits(3).says("it was killed: the lease is lost");
    ran.says("the deployment is not finished").never_says("going back");
    let process = format!("/proc/{}/stat", told(&site).trim());
    let runs = || std::fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z "));
    until("it is gone", || !runs()).await;
    assert!(site.image("web-1").contains("web:2.0"));
}

/// Whoever runs it has to know its words; whoever reads a plan, or that it failed, does not.
#[tokio::test]
async fn passwords_of_theirs_are_not_shown() {
    let broken = "{run: [bin/broken, --password=hunter2, PGPASSWORD=hunter2], timeout: 1}";
    let site = Site::new(&shop("2.0", &hooks(broken, "")));
    for line in ["plan deploy", "plan deploy --full", "plan deploy --output json", "deploy --yes"] {
        let ran = site.run(line).await.says("bin/broken").never_says("hunter2");
        assert_eq!(ran.code, if line.starts_with("plan") { 0 } else { 3 }, "{}", ran.all());
    }
}
