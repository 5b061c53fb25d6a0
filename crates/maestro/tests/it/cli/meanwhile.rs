//! Deployments and releases of a file that has become another one meanwhile.

use super::deploying::anywhere;
use super::site::{SHOP, Site};
use maestro_testkit::fake_dockerd::FakeDockerd;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::state::Archived;

const TWO: &str = "
  db: {image: 'shop/db:1', instances: {db-1: {ship: atlantic}}}
  web:
    image: shop/web:2.0
    deploy: {strategy: recreate, on_failure: pause}
    instances: {web-1: {ship: atlantic}, web-2: {ship: pacific}}
";

/// A ship that is gone for good is in nobody's way.
#[tokio::test]
async fn a_deployment_can_be_ended_without_a_ship_that_is_gone() {
    let site = Site::new(TWO);
    site.run("deploy").await.ok();
    site.write(&TWO.replace("web:2.0", "web:brief-3.0"));
    let ran = site.run("deploy --yes -c 1").await.exits(3);
    assert!(site.image("web-1").contains("brief"), "{}", ran.all());
    let alone = |tag: &str| {
        format!(
            "__maestro: {{schema: 2}}\nname: shop\nships:\n  atlantic: {{ip: 127.0.0.1, socket_path: {}}}\nservices:{}",
            site.shell.file("atlantic.sock").display(),
            TWO.replace(", web-2: {ship: pacific}", "").replace("web:2.0", &format!("web:{tag}")),
        )
    };
    site.shell.write("maestro.yaml", alone("brief-3.0"));
    site.clear_writes();
    site.run("abort --yes").await.ok().says("2 deployed").says("everything is as in release 1 again");
    assert!(site.image("web-1").contains("web:2.0"));
    assert_eq!(site.state("web-1"), "running");
    assert_eq!(site.pacific.writes(), [], "it is none of the environment's any more");
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
    // What the release had there does not come back, and that is said.
    site.shell.write("maestro.yaml", alone("2.0"));
    site.run("deploy --yes").await.ok().says("this is release 2");
    site.run("rollback --yes").await.ok().says("as 1 was").says("web-2 on pacific");
}

/// A release is put together of what was deployed when; it is read before anything is begun.
#[tokio::test]
async fn what_could_not_be_gone_back_to_is_not_begun() {
    let site = Site::new(SHOP);
    site.run("deploy").await.ok();
    let other_way =
        SHOP.replace("    requires: [db]\n", "").replace("shop/db:1\n", "shop/db:2\n    requires: [web]\n");
    site.write(&other_way);
    site.clear_writes();
    let ran = site.run("deploy --yes db").await.exits(1);
    let said = ran.all();
    assert!(
        said.contains("nothing has been done: it does not go together with web as deployed last"),
        "{said}"
    );
    assert!(said.contains("deploy web together with it"), "{said}");
    assert!(site.changes().is_empty(), "{:?}", site.changes());
    site.run("deploy --yes").await.ok().says("this is release 2");
    site.run("rollback --yes").await.ok().says("this is release 3, as 1 was");
}

/// A service that is gone from the file is none of the releases that follow.
#[tokio::test]
async fn a_service_that_is_gone_is_not_brought_back() {
    let site = Site::new(TWO);
    site.run("deploy").await.ok();
    let without = TWO.replace("  db: {image: 'shop/db:1', instances: {db-1: {ship: atlantic}}}\n", "");
    site.write(&without);
    site.run("deploy --yes").await.ok().says("this is release 2");
    site.write(&without.replace("web:2.0", "web:3.0"));
    site.run("deploy --yes").await.ok().says("this is release 3");
    site.clear_writes();
    site.run("rollback --yes").await.ok().says("this is release 4, as 2 was");
    let changes = site.changes();
    assert!(!changes.is_empty() && changes.iter().all(|change| !change.contains("db-1")), "{changes:?}");
}

/// Of a service, what the file does not have any more is stopped, and comes back as it was.
#[tokio::test]
async fn instances_that_are_gone_stop() {
    let site = Site::new(TWO);
    site.run("deploy").await.ok();
    site.write(&TWO.replace(", web-2: {ship: pacific}", ""));
    let mut text =
        site.transcript(&["plan deploy", "deploy -c 1 --yes", "plan deploy --detailed-exitcode"]).await;
    assert_eq!((site.state("web-1"), site.state("web-2")), ("running", "exited"));
    text += &site.transcript(&["plan rollback", "rollback --yes -c 1"]).await;
    assert_eq!((site.state("web-1"), site.state("web-2")), ("running", "running"));
    insta::assert_snapshot!(anywhere(&text));
}

/// What is not to be there any more is its service's, also where it does not go: what was proved stays if that says so.
#[tokio::test]
async fn what_does_not_go_fails_its_own_service() {
    let rolling = TWO.replace("strategy: recreate", "strategy: rolling, max_unavailable: 1");
    let site = Site::new(&rolling);
    site.run("deploy").await.ok();
    site.write(&rolling.replace(", web-2: {ship: pacific}", "").replace("web:2.0", "web:3.0"));
    site.pacific.set_faults(Faults::none().and(
        On::Only(Operation::Stop),
        When::Always,
        Fault::Refused(500, "no".into()),
    ));
    let ran = site.run("deploy --yes").await.exits(3).never_says("going back");
    assert!(site.image("web-1").contains("web:3.0"), "{}", ran.all());
    assert_eq!((site.state("web-1"), site.state("web-2")), ("running", "running"));
    site.pacific.recover().await;
    site.run("resume --yes").await.ok().says("this is release 2");
    assert_eq!((site.state("web-1"), site.state("web-2")), ("running", "exited"));
}

/// What moves to another ship is stopped where it was, and what a deployment added that failed is stopped, too.
#[tokio::test]
async fn what_a_failed_deployment_has_added_goes() {
    let rolling = TWO.replace("strategy: recreate, on_failure: pause", "strategy: rolling");
    let site = Site::new(&rolling);
    site.run("deploy").await.ok();
    let more = rolling.replace("web-2: {ship: pacific}", "web-2: {ship: atlantic}, web-3: {ship: pacific}")
        + "  cache: {image: 'shop/cache:1', instances: {cache-1: {ship: atlantic}}}\n  \
           last: {image: 'shop/last:brief-1', requires: [cache, web], instances: {last-1: {ship: pacific}}}\n";
    site.write(&more);
    let ran = site.run("deploy --yes").await.exits(4);
    let said = ran.all();
    assert!(said.contains("everything is as in release 1 again"), "{said}");
    for (ship, up) in [(&site.atlantic, "db-1 web-1"), (&site.pacific, "web-2")] {
        assert_eq!(running(ship), up, "{said}");
    }
    site.write(&more.replace("brief-1", "1"));
    site.run("deploy --yes").await.ok().says("this is release 2");
    assert_eq!(running(&site.pacific), "last-1 web-3");
    // Back to what did not have them: they stop. And forth again.
    site.run("rollback --yes").await.ok().says("this is release 3, as 1 was");
    assert_eq!((running(&site.atlantic), running(&site.pacific)), ("db-1 web-1".into(), "web-2".into()));
    site.run("rollback --yes --to 2").await.ok();
    assert_eq!(
        (running(&site.atlantic), running(&site.pacific)),
        ("cache-1 db-1 web-1 web-2".into(), "last-1 web-3".into())
    );
}

/// A service that is gone as a whole stays, unless somebody says otherwise.
#[tokio::test]
async fn services_that_are_gone_stop_when_that_is_said() {
    let site = Site::new(TWO);
    site.run("deploy").await.ok();
    site.write(&TWO.replace("  db: {image: 'shop/db:1', instances: {db-1: {ship: atlantic}}}\n", ""));
    let mut text = site.transcript(&["plan deploy", "deploy --yes"]).await;
    assert_eq!(site.state("db-1"), "running");
    text += &site
        .transcript(&["plan deploy --remove-orphans", "deploy --yes --remove-orphans", "plan deploy"])
        .await;
    assert_eq!(site.state("db-1"), "exited");
    insta::assert_snapshot!(anywhere(&text));
}

/// A service that the file had, and that was never deployed, is stopped by the way back from its first deployment.
#[tokio::test]
async fn what_was_never_there_before_stops_again() {
    let site = Site::new(&TWO.replace("shop/db:1", "shop/db:brief-1"));
    site.run("deploy web").await.ok().says("this is release 1");
    site.run("deploy --yes db").await.exits(4).says("everything is as in release 1 again");
    assert_ne!(site.state("db-1"), "running");
    site.write(TWO);
    site.run("deploy --yes db").await.ok().says("this is release 2");
    assert_eq!(site.state("db-1"), "running");
    site.run("rollback --yes").await.ok().says("this is release 3, as 1 was");
    assert_eq!((site.state("db-1"), site.state("web-1")), ("exited", "running"));
}

/// Whoever takes the place of another one, of another name and with its port, is not kept from it.
#[tokio::test]
async fn what_is_renamed_gets_the_port_that_it_had() {
    let site = Site::new(SHOP);
    site.run("deploy").await.ok();
    site.write(&SHOP.replace("web-1:", "www-1:"));
    site.run("deploy --yes").await.ok().says("this is release 2");
    assert_eq!((site.state("web-1"), site.state("www-1")), ("exited", "running"));
    site.run("rollback --yes").await.ok();
    assert_eq!((site.state("web-1"), site.state("www-1")), ("running", "exited"));
}

/// None of a service is a release, too.
#[tokio::test]
async fn a_service_without_instances_is_released() {
    let file = |replicas: u32| {
        format!(
            "\n  web: {{image: 'shop/web:2.0', replicas: {replicas}, links: []}}\n  db: {{image: 'shop/db:1', replicas: 1}}\n"
        )
    };
    let site = Site::new(&file(2));
    site.run("deploy").await.ok().says("this is release 1");
    site.write(&file(0));
    site.run("deploy --yes web").await.ok().says("this is release 2");
    assert_eq!((site.state("web-1"), site.state("web-2")), ("exited", "exited"));
    site.run("rollback --yes").await.ok().says("this is release 3, as 1 was");
    assert_eq!((site.state("web-1"), site.state("web-2")), ("running", "running"));
}

/// What runs on a ship.
fn running(ship: &FakeDockerd) -> String {
    let up = ship.look(|machine| {
        let up = machine.containers().into_iter().filter(|container| container.state.name() == "running");
        up.map(|container| container.name.to_string()).collect::<std::collections::BTreeSet<_>>()
    });
    up.into_iter().collect::<Vec<_>>().join(" ")
}

const LEDGER: &str = "maestro.ledger.shop";

/// Puts this in the place of all files of the ledger below a directory whose paths contain a text; returns of how many.
fn damage(site: &Site, directory: &str, which: &str, content: &[u8]) -> usize {
    let (before, _) = directory.rsplit_once('/').unwrap();
    let damaged = site.engines().map(|engine| {
        engine.meddle(|machine, now| {
            let Ok(mut files) = machine.get_archive(LEDGER, &format!("/{directory}")) else { return 0 };
            files.retain(|file| file.content.is_some() && file.path.contains(which));
            for file in &mut files {
                file.path = format!("{before}/{}", file.path);
                file.content = Some(content.to_vec());
            }
            let count = files.len();
            machine.put_archive(LEDGER, files, now).unwrap();
            count
        })
    });
    damaged.sum()
}

/// Without a way back, there is still one forward.
#[tokio::test]
async fn a_release_that_is_damaged_everywhere_is_followed_by_another() {
    let site = Site::new(TWO);
    site.run("deploy").await.ok();
    assert_eq!(damage(&site, "files/bodies", "", b"garbage"), 1, "two ships have one anchor");
    site.write(&TWO.replace("web:2.0", "web:3.0"));
    site.run("deploy --yes web").await.exits(1).says("it does not go together with db");
    assert!(site.image("web-1").contains("web:2.0"));
    // Nor is one offered.
    site.write(&TWO.replace("web:2.0", "web:brief-3.0").replace("on_failure: pause", "on_failure: rollback"));
    let ran = site.run("deploy --yes").await.exits(3).says("release 1 is damaged").says("not finished");
    ran.says("nobody can go back to release 1").never_says("maestro abort");
    site.write(&TWO.replace("web:2.0", "web:3.0"));
    site.run("deploy --yes").await.ok().says("release 1 is damaged").says("this is release 2");
    assert!(site.image("web-1").contains("web:3.0") && site.image("web-2").contains("web:3.0"));
    site.run("deploy --yes web").await.ok().never_says("damaged");
}

/// Which release was before the current one is not known if that one is not listed.
#[tokio::test]
async fn nobody_goes_further_back_than_was_meant() {
    let site = Site::new(TWO);
    for tag in ["2.0", "3.0", "4.0"] {
        site.write(&TWO.replace("web:2.0", &format!("web:{tag}")));
        site.run("deploy --yes").await.ok();
    }
    assert_eq!(damage(&site, "files/index/heads", "0000000003.", b""), 1);
    site.run("releases").await.ok().says("release 3 is not listed");
    site.clear_writes();
    let ran = site.run("rollback --yes").await.exits(1).says("what was before release 3 is not known");
    assert!(site.changes().is_empty(), "{:?}\n{}", site.changes(), ran.all());
    site.run("deploy --yes").await.ok().says("release 3 is not listed").says("this is release 3");
    site.run("rollback --yes").await.ok().never_says("not listed").says("as 2 was");
    assert!(site.image("web-1").contains("web:3.0"));
}

/// A deployment of which nothing is left but that it began may be half done.
#[tokio::test]
async fn whoever_finds_a_damaged_journal_makes_sure() {
    let site = Site::new(TWO);
    site.run("deploy").await.ok();
    site.run("deploy --yes").await.ok().never_says("may be unfinished");
    let journal = "files/index/journal/00000000/0000000002/0000000001.00000000";
    site.atlantic.meddle(|machine, now| {
        let file = Archived { path: journal.to_owned(), content: Some(Vec::new()) };
        machine.put_archive(LEDGER, vec![file], now).unwrap();
    });
    site.run("plan deploy --detailed-exitcode").await.exits(10).says("a deployment may be unfinished");
    site.run("deploy --yes").await.ok().says("a deployment may be unfinished");
    site.run("plan deploy --detailed-exitcode").await.exits(0).never_says("may be unfinished");
}
