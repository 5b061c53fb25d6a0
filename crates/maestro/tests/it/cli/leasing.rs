//! One deployer at a time.

use super::shell::Ran;
use super::site::{SHOP, Site, until};
use futures_util::future::join_all;
use jiff::Timestamp;
use maestro_testkit::daemon::{Latency, Write};
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::state::{CreateConfig, Removal};
use rustix::process::Signal;
use std::time::Duration;

/// Long enough to see each change of a container before the next one.
const A_MOMENT: Duration = Duration::from_millis(300);
/// Long enough to see that somebody lives before he is done.
const A_WHILE: Duration = Duration::from_millis(1500);

fn shop(tag: &str) -> String {
    SHOP.replace("shop/web:2.0", &format!("shop/web:{tag}"))
        .replace("ports: {", "stop_timeout: 1, ports: {")
        .replace(
            "    requires: [db]\n",
            "    requires: [db]\n    deploy: {strategy: rolling, max_unavailable: 1}\n",
        )
}

/// A shop of which version 2.0 is deployed; its file says 3.0.
async fn released(each: Duration) -> Site {
    let site = Site::slow_with(&shop("2.0"), &Latency::default(), ", timeout: 3");
    site.run("deploy").await.ok();
    site.write(&shop("3.0"));
    site.clear_writes();
    site.changes_take(each);
    site
}

/// As it is said since when somebody is at work.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Since when somebody is at work, as it was said.
fn at_work_since(ran: &Ran) -> String {
    let (_, since) = ran.stderr.split_once(" at work here since ").unwrap_or_else(|| panic!("{}", ran.all()));
    since.chars().take(now().len()).collect()
}

/// Whether a container has been changed.
fn has_begun(site: &Site) -> bool {
    site.changes().iter().any(|change| change.contains("web-"))
}

#[tokio::test]
async fn the_second_one_is_told_who_is_at_work_or_waits() {
    let site = released(A_WHILE).await;
    let began = now();
    let first = site.shell.spawn("LOGNAME=ada deploy --yes -c 1 web");
    until("the first one has begun", || has_begun(&site)).await;
    let since = began..=now();
    // Whatever they find while somebody is at work, nothing left to do for one, is not to be relied upon.
    let others = ["deploy --yes web", "deploy --yes db", "rollback --yes web", "resume --yes", "abort --yes"];
    for other in join_all(others.map(|command| site.run(command))).await {
        let other = other.exits(5).says("ada@").says("UTC: deploy web").says("--wait-lease");
        assert!(since.contains(&at_work_since(&other)), "{since:?}: {}", other.all());
    }
    let other = site.run("stop web").await.exits(1).says("ada@").says("maestro unlock");
    assert!(since.contains(&at_work_since(&other)), "{since:?}: {}", other.all());
    site.run("status web").await.ok();
    let waiting = site.run("deploy --yes --wait-lease 1m --tag 2.0 web").await.ok().says("waiting for ada@");
    first.end().await.ok().says("this is release 2");
    assert!(
        site.image("web-1").contains("web:2.0") && site.image("web-2").contains("web:2.0"),
        "{}",
        waiting.all()
    );
    waiting.says("this is release 3");
}

/// Who sleeps while somebody else takes over is refused when he wakes.
#[tokio::test]
async fn a_sleeper_is_too_late() {
    let site = released(A_MOMENT).await;
    let sleeper = site.shell.spawn("deploy --yes -c 1 web");
    until("the sleeper has begun", || has_begun(&site)).await;
    sleeper.send(Signal::STOP);
    let next = site.run("deploy --yes --wait-lease 1m --tag 4.0 web").await;
    // Its tag is in no registry yet: nothing was begun.
    next.exits(1).says("shop/web:4.0");
    site.write(&shop("4.0"));
    let next = site.run("deploy --yes --wait-lease 1m web").await.ok().says("this is release 2");
    site.clear_writes();
    sleeper.send(Signal::CONT);
    let late = sleeper.end().await.exits(3).says("the lease is lost").says("somebody else may be at work");
    assert!(!late.all().contains("going back"), "{}", late.all());
    assert!(!has_begun(&site), "{:?}\n{}", site.changes(), late.all());
    for name in ["web-1", "web-2"] {
        assert!(site.image(name).contains("web:4.0"), "{}\n{}", next.all(), late.all());
        assert_eq!(site.state(name), "running");
    }
    site.run("releases --output name").await.ok().says("2\n1\n");
}

/// Who loses it before his first change has changed nothing: somebody else is at work.
#[tokio::test]
async fn a_sleeper_who_has_not_begun_has_done_nothing() {
    let site = released(Duration::ZERO).await;
    let takes = |each| {
        for ship in [&site.atlantic, &site.pacific] {
            ship.takes(&Latency::default().but(Operation::Pull, each));
        }
    };
    takes(A_WHILE);
    let sleeper = site.shell.spawn("deploy --yes web");
    let pulls = |write: &Write| write.operation == Operation::Pull;
    until("the sleeper pulls", || site.writes().iter().any(pulls)).await;
    sleeper.send(Signal::STOP);
    takes(Duration::ZERO);
    site.write(&shop("4.0"));
    site.run("deploy --yes --wait-lease 1m web").await.ok().says("this is release 2");
    site.clear_writes();
    sleeper.send(Signal::CONT);
    let late = sleeper.end().await.exits(5).says("the lease is lost");
    assert!(!has_begun(&site), "{:?}\n{}", site.changes(), late.all());
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
}

/// Who changes his mind while he claims it keeps nobody from it.
#[tokio::test]
async fn ctrl_c_gives_back_what_was_claimed() {
    let site = released(Duration::ZERO).await;
    site.atlantic.takes(&Latency::default().but(Operation::Put, A_WHILE));
    let hasty = site.shell.spawn("deploy --yes web");
    let claims =
        |write: &Write| write.operation == Operation::Create && write.subject.starts_with("maestro.lease");
    until("the lease is being claimed", || site.writes().iter().any(claims)).await;
    hasty.interrupt();
    hasty.end().await.exits(1).says("interrupted: no container was touched");
    site.atlantic.takes(&Latency::default());
    site.run("unlock --yes").await.ok().says("nobody has the lease");
    assert!(!has_begun(&site), "{:?}", site.changes());
}

#[tokio::test]
async fn a_lease_can_be_taken_away() {
    let site = released(A_MOMENT).await;
    site.run("unlock --yes").await.ok().says("nobody has the lease");
    let hung = site.shell.spawn("LOGNAME=ada deploy --yes -c 1 web");
    until("it has begun", || has_begun(&site)).await;
    hung.send(Signal::STOP);
    site.run("unlock").await.exits(2).says("ada@").says("nobody can be asked");
    site.run("unlock --yes").await.ok().says("it has been taken away");
    site.run("unlock --yes").await.ok().says("nobody has the lease");
    // Nobody is in the way of maestro-ng's commands any more.
    site.run("start db").await.ok();
    site.run("abort --yes").await.ok();
    hung.send(Signal::CONT);
    let late = hung.end().await;
    assert_ne!(late.code, 0, "{}", late.all());
    assert!(
        site.image("web-1").contains("web:2.0") && site.image("web-2").contains("web:2.0"),
        "{}",
        late.all()
    );
}

/// One of three anchors is often why somebody hangs: he needs the other two.
#[tokio::test]
async fn a_lease_can_be_taken_away_although_an_anchor_is_down() {
    let site = Site::of_three(&shop("2.0"), ", timeout: 3");
    site.run("deploy").await.ok();
    site.write(&shop("3.0"));
    site.clear_writes();
    site.changes_take(A_MOMENT);
    let hung = site.shell.spawn("LOGNAME=ada deploy --yes -c 1 web");
    until("it has begun", || has_begun(&site)).await;
    hung.send(Signal::STOP);
    site.pacific.set_faults(Faults::unreachable());
    site.run("unlock --yes").await.ok().says("WARNING").says("it has been taken away");
    // Nobody is in the way of maestro-ng's commands any more.
    site.run("start db").await.ok();
    let left: Vec<bool> =
        site.engines().map(|engine| engine.container("maestro.lease.shop").is_some()).collect();
    assert_eq!(left, [false, false, true], "the last one is pacific");
    hung.send(Signal::KILL);
    hung.end().await;
}

/// Of two who have some of the anchors each, one keeps his; that is no reason to leave the other his.
#[tokio::test]
async fn who_cannot_be_locked_out_does_not_keep_others_in() {
    let site = Site::of_three(&shop("2.0"), ", timeout: 3");
    site.run("deploy").await.ok();
    site.write(&shop("3.0"));
    site.clear_writes();
    site.changes_take(A_MOMENT);
    let hung = site.shell.spawn("LOGNAME=ada deploy --yes -c 1 web");
    until("it has begun", || has_begun(&site)).await;
    hung.send(Signal::STOP);
    let lease = "maestro.lease.shop";
    site.pacific.meddle(|machine, now| {
        let mut config = CreateConfig::clone(&machine.get(lease).unwrap().config);
        let labels = config.labels.as_mut().unwrap();
        labels.insert("maestro.lease.owner".to_owned(), "eve@elsewhere".to_owned());
        // Behind all others in their order.
        labels.insert("maestro.lease.run".to_owned(), "~".to_owned());
        machine.remove(lease, Removal { volumes: true, force: false }, now).unwrap();
        machine.create(lease, config, now).unwrap();
    });
    let refused = Fault::Refused(500, "no space left on device".to_owned());
    let faults = Faults::none().and(On::Only(Operation::Remove), When::Always, refused);
    let others = || site.engines().filter(|engine| engine.tcp_address().is_none());
    others().for_each(|engine| engine.set_faults(faults.clone()));
    let unlocked = site.run("unlock --yes").await.exits(1).says("no space left on device");
    let unlocked = unlocked.says("it has been taken away").says("the lease is still there");
    assert!(site.pacific.container(lease).is_none(), "{}", unlocked.all());
    hung.send(Signal::KILL);
    hung.end().await;
}
