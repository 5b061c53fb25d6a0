//! Deployments and releases of a file that has become another one meanwhile.

use super::site::{SHOP, Site};

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
    let file = format!(
        "__maestro: {{schema: 2}}\nname: shop\nships:\n  atlantic: {{ip: 127.0.0.1, socket_path: {}}}\nservices:{}",
        site.shell.file("atlantic.sock").display(),
        TWO.replace(", web-2: {ship: pacific}", "").replace("web:2.0", "web:brief-3.0"),
    );
    site.shell.write("maestro.yaml", file);
    site.clear_writes();
    site.run("abort --yes").await.ok().says("2 deployed").says("everything is as in release 1 again");
    assert!(site.image("web-1").contains("web:2.0"));
    assert_eq!(site.state("web-1"), "running");
    assert_eq!(site.pacific.writes(), [], "it is none of the environment's any more");
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
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
