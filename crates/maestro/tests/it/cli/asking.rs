//! Questions on a terminal, and what counts as an answer.

use super::shell::Running;
use super::site::{SHOP, Site, until};
use jiff::{SignedDuration, Timestamp};
use maestro_testkit::state::Archived;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

/// Nothing of what follows an answer here takes that long.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Gives a command on a terminal; its standard error is read beside it, once it has asked.
pub(super) async fn asked(site: &Site, line: &str) -> (Running, File) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let screen = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut command = site.shell.command(line);
    command.stdin(screen.try_clone().unwrap()).stderr(screen);
    let keys = File::from(terminal.try_clone().unwrap());
    let mut running = Running::on(line, command, File::from(terminal));
    running.until_it_says("Go on? [y/N]").await;
    (running, keys)
}

async fn released() -> Site {
    let site = Site::new(SHOP);
    site.run("deploy").await.ok();
    site.write(&SHOP.replace("shop/web:2.0", "shop/web:3.0"));
    site.clear_writes();
    site
}

#[tokio::test]
async fn nothing_is_done_without_a_yes() {
    let site = released().await;
    for answer in ["\n", "n\n", "why?\n", "\u{4}"] {
        let (running, mut keys) = asked(&site, "deploy --progress plain web").await;
        keys.write_all(answer.as_bytes()).unwrap();
        running.end().await.exits(1).says("nothing has been done").within(AT_ONCE);
        assert_eq!(site.writes(), [], "{answer:?}");
    }
}

/// Who does not want to answer does not have to press Enter.
#[tokio::test]
async fn an_interrupt_is_a_no() {
    let site = released().await;
    let (running, _keys) = asked(&site, "deploy --progress plain web").await;
    running.interrupt();
    running.end().await.exits(1).says("nothing has been done").within(AT_ONCE);
    assert_eq!(site.writes(), []);
}

#[tokio::test]
async fn a_yes_is_a_yes() {
    let site = released().await;
    let (running, mut keys) = asked(&site, "deploy --progress plain web").await;
    keys.write_all(b"y\n").unwrap();
    running.end().await.ok().says("2 deployed");
    assert!(site.pacific.container("web-2").unwrap().config.image.contains("web:3.0"));
}

/// What is frozen when the answer comes was not when the question was asked.
#[tokio::test]
async fn a_yes_may_come_too_late() {
    let site = released().await;
    let begins = Timestamp::now() + SignedDuration::from_secs(6);
    site.write(&format!(
        "{}freeze: [{{from: '{}', to: 2099-12-31, reason: stocktaking}}]\n",
        SHOP.replace("shop/web:2.0", "shop/web:3.0"),
        begins.strftime("%Y-%m-%d %H:%M:%S")
    ));
    let (running, mut keys) = asked(&site, "deploy --progress plain web").await;
    until("the window has begun", || Timestamp::now() >= begins).await;
    keys.write_all(b"y\n").unwrap();
    running.end().await.exits(2).says("frozen until").says("stocktaking");
    assert_eq!(site.changes(), Vec::<String>::new());
    site.run("unlock --yes").await.ok().says("nobody has the lease");
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
}

/// A service whose check fails for versions that are no good; what is so stays as it is.
fn checked(tag: &str) -> String {
    format!(
        "
  web:
    image: shop/web:{tag}
    deploy: {{on_failure: pause}}
    lifecycle:
      running: [{{type: exec, attempts: 1, command: \"/bin/sh -c 'case $DOCKER_TAG in never*) exit 1; esac'\"}}]
    instances: {{web-1: {{ship: atlantic, stop_timeout: 1}}}}
"
    )
}

/// What somebody else has broken off while the question was there runs, and is no good.
#[tokio::test]
async fn a_yes_takes_nothing_for_good_that_was_broken_off_meanwhile() {
    let site = Site::new(&checked("2.0"));
    site.run("deploy").await.ok();
    site.write(&checked("never-3"));
    let (running, mut keys) = asked(&site, "deploy --progress plain").await;
    site.run("deploy --yes").await.exits(3).says("the deployment is not finished");
    assert_eq!(site.state("web-1"), "running");
    keys.write_all(b"y\n").unwrap();
    running.end().await.exits(3).says("the deployment is not finished");
    assert_eq!(site.run("releases --output name").await.ok().stdout, "1\n");
    site.run("abort --yes").await.ok().says("everything is as in release 1 again");
}

/// Who wants back one release does not want back two.
#[tokio::test]
async fn a_yes_goes_back_no_further_than_was_meant() {
    let site = Site::new(&checked("1.0"));
    site.run("deploy").await.ok();
    site.write(&checked("2.0"));
    site.run("deploy --yes").await.ok().says("this is release 2");
    site.write(&checked("never-3"));
    let (running, mut keys) = asked(&site, "rollback --progress plain").await;
    site.run("LOGNAME=ada deploy --yes").await.exits(3).says("the deployment is not finished");
    site.clear_writes();
    // Who goes on with something else is asked again.
    keys.write_all(b"y\ny\n").unwrap();
    running.end().await.exits(1).says("`deploy` of ada@").says("`maestro abort` goes back");
    assert_eq!(site.changes(), Vec::<String>::new());
    site.run("abort --yes").await.ok().says("everything is as in release 2 again");
}

/// What is not finished is not what somebody else has begun in its place.
#[tokio::test]
async fn a_yes_is_for_the_deployment_that_was_shown() {
    let site = Site::new(&checked("2.0"));
    site.run("deploy").await.ok();
    site.write(&checked("never-3"));
    site.run("deploy --yes web").await.exits(3);
    let (running, mut keys) = asked(&site, "abort --progress plain").await;
    site.write(&checked("never-4"));
    site.run("LOGNAME=ada deploy --yes web").await.exits(3).says("the deployment is not finished");
    site.clear_writes();
    keys.write_all(b"y\n").unwrap();
    let ran = running.end().await.exits(6).never_says("no deployment is unfinished");
    ran.says("has changed in the meantime").says("`deploy web` of ada@");
    assert_eq!(site.changes(), Vec::<String>::new());
    site.run("abort --yes").await.ok().says("everything is as in release 1 again");
}

/// A release is not another one that has its number.
#[tokio::test]
async fn a_yes_is_for_the_release_that_was_shown() {
    let site = Site::new(&checked("1.0"));
    site.run("deploy").await.ok();
    site.write(&checked("2.0"));
    site.run("deploy --yes").await.ok().says("this is release 2");
    let (running, mut keys) = asked(&site, "rollback --progress plain").await;
    // What was listed is gone, and others get the numbers.
    let heads = |content| Archived { path: "files/index/heads".to_owned(), content };
    let emptied = vec![heads(Some(Vec::new())), heads(None)];
    site.atlantic.meddle(|machine, now| machine.put_archive("maestro.ledger.shop", emptied, now)).unwrap();
    for (tag, number) in [("3.0", 1), ("4.0", 2)] {
        site.write(&checked(tag));
        site.run("LOGNAME=ada deploy --yes").await.ok().says(&format!("this is release {number}"));
    }
    site.clear_writes();
    keys.write_all(b"y\ny\n").unwrap();
    running.end().await.exits(6).says("ada@").says("has deployed release 2 in the meantime");
    assert_eq!(site.changes(), Vec::<String>::new());
}
