//! Ctrl-C while something is deployed: before the first change, when something has failed, and when all is done.

use super::shell::Ran;
use super::site::{SHOP, Site, until};
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use std::time::Duration;

/// Long enough for a Ctrl-C in the middle of it.
const A_WHILE: Duration = Duration::from_secs(1);
/// Nobody who finds the lease or a journal is done within that time.
const AT_ONCE: Duration = Duration::from_secs(8);

/// How often something has been asked for.
fn count(site: &Site, operation: Operation) -> usize {
    site.writes().iter().filter(|write| write.operation == operation).count()
}

/// A shop of which version 2.0 is deployed; its file says 3.0. Whatever is written down takes a while.
async fn released() -> Site {
    let site = Site::new(SHOP);
    site.run("deploy").await.ok();
    site.write(&SHOP.replace("shop/web:2.0", "shop/web:3.0"));
    site.clear_writes();
    site.atlantic.takes(&Latency::default().but(Operation::Put, A_WHILE));
    site
}

/// Whose turn it is is put first, the journal second.
#[tokio::test]
async fn before_the_first_change_one_is_enough() {
    for puts in [1, 2] {
        let site = released().await;
        let hasty = site.shell.spawn("deploy --yes web");
        until("it is being written down", || count(&site, Operation::Put) == puts).await;
        hasty.interrupt();
        let ran = hasty.end().await.exits(1).says("no container was touched");
        assert_eq!(site.changes(), Vec::<String>::new(), "{puts}: {}", ran.all());
        site.atlantic.takes(&Latency::default());
        site.run("unlock --yes").await.ok().says("nobody has the lease");
        site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
        site.run("deploy --yes web").await.ok().says("this is release 2").within(AT_ONCE);
    }
}

/// What was unfinished before still is.
#[tokio::test]
async fn before_the_first_change_the_journal_stays_as_it_was() {
    let site = Site::new(&SHOP.replace("requires: [db]", "deploy: {on_failure: pause}"));
    site.run("deploy").await.ok();
    site.write(
        &SHOP.replace("requires: [db]", "deploy: {on_failure: pause}").replace("web:2.0", "web:brief-3"),
    );
    site.run("LOGNAME=ada deploy --yes web").await.exits(3);
    site.clear_writes();
    site.atlantic.takes(&Latency::default().but(Operation::Put, A_WHILE));
    let hasty = site.shell.spawn("LOGNAME=bob resume --yes");
    until("the journal is being written", || count(&site, Operation::Put) == 2).await;
    hasty.interrupt();
    let ran = hasty.end().await.exits(1).says("no container was touched");
    assert_eq!(site.changes(), Vec::<String>::new(), "{}", ran.all());
    site.atlantic.takes(&Latency::default());
    site.run("deploy --yes db").await.exits(1).says("`deploy web` of ada@");
    site.run("abort --yes").await.ok().says("everything is as in release 1 again").within(AT_ONCE);
}

/// The third thing that is put is the release.
#[tokio::test]
async fn when_all_is_done_it_is_too_late() {
    let site = released().await;
    let late = site.shell.spawn("deploy --yes web");
    until("the release is being recorded", || count(&site, Operation::Put) == 3).await;
    late.interrupt();
    late.end().await.ok().says("this is release 2").says("Ctrl-C came too late");
    site.atlantic.takes(&Latency::default());
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
}

/// A service whose check fails for versions that are no good, and writes that down; with something more.
fn checked(tag: &str, more: &str) -> String {
    let fails = "case $DOCKER_TAG in never*) echo no >failed; exit 1; esac";
    format!(
        "
  web:
    image: shop/web:{tag}
    lifecycle:
      running:
        - {{type: exec, attempts: 1, command: \"/bin/sh -c '{fails}'\"}}
{more}
"
    )
}

/// Deploys what is no good, and presses Ctrl-C twice when it has failed and something else is so, too.
async fn pressed_twice_when_it_has_failed(site: &Site, mut and: impl FnMut() -> bool) -> Ran {
    let failed = site.shell.file("failed");
    let mut running = site.shell.spawn("deploy --yes");
    until("it has failed", || failed.exists() && and()).await;
    running.interrupt();
    running.until_it_says("Ctrl-C again stops at once").await;
    running.interrupt();
    running.end().await.within(AT_ONCE)
}

fn is_left(ran: Ran) -> Ran {
    ran.exits(3)
        .never_says("going back")
        .says("the deployment is not finished")
        .says("`maestro resume` goes on with it")
        .says("`maestro abort` goes back to release 1")
}

/// Whoever wants to stop wants nobody to go back, although it has failed.
#[tokio::test]
async fn nobody_goes_back_by_himself_after_it() {
    let more = "        - {type: exec, attempts: 1, command: \"/bin/sh -c 'case $DOCKER_TAG in never*) exec /bin/sleep 60; esac'\"}
    instances: {web-1: {ship: atlantic, stop_timeout: 1}}";
    let site = Site::new(&checked("2.0", more));
    site.run("deploy").await.ok();
    site.write(&checked("never-3", more));
    is_left(pressed_twice_when_it_has_failed(&site, || true).await);
    assert!(site.image("web-1").contains("never-3"));
    site.run("abort --yes").await.ok().says("everything is as in release 1 again").within(AT_ONCE);
    assert!(site.image("web-1").contains("web:2.0"));
}

/// Nor while a call may still take effect that was abandoned.
#[tokio::test]
async fn nobody_goes_back_while_a_call_may_still_take_effect() {
    let more = "    deploy: {strategy: blue-green}
    instances:
      web-1: {ship: atlantic, stop_timeout: 1, ports: {http: '8080:18100-18109'}}
      web-2: {ship: pacific, stop_timeout: 1, ports: {http: '8080:18100-18109'}}";
    let site = Site::new(&checked("2.0", more));
    site.run("deploy").await.ok();
    site.write(&checked("never-3", more));
    site.clear_writes();
    site.pacific.set_faults(Faults::none().and(On::Only(Operation::Start), When::Always, Fault::Hangs));
    let starts = || site.pacific.writes().iter().any(|write| write.operation == Operation::Start);
    let ran = pressed_twice_when_it_has_failed(&site, starts).await;
    is_left(ran.says("1 call was abandoned and may still take effect"));
    site.run("releases").await.ok().says("not finished");
}
