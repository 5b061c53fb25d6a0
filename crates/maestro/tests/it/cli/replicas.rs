//! Services with `replicas:`, from the file to containers.

use super::site::Site;
use maestro_testkit::fake_dockerd::FakeDockerd;
use std::collections::BTreeSet;

/// A web on ports of a range, with so many replicas that nobody is told of.
fn web(replicas: u32) -> String {
    format!(
        "
  web:
    image: shop/web:2.0
    replicas: {replicas}
    place: {{ships: '*ic', max_per_ship: 3}}
    ports: {{http: {{exposed: 80, external: 18100-18199}}}}
    restart: always
    links: []
  job:
    image: shop/job:1
    replicas: 0
"
    )
}

/// The ports of each ship that its containers have.
fn ports(site: &Site) -> [BTreeSet<String>; 2] {
    [&site.atlantic, &site.pacific].map(|ship| {
        let containers = (1..=5).filter_map(|number| ship.container(&format!("web-{number}")));
        containers
            .map(|container| container.config.labels.as_ref().unwrap()["maestro.port.http"].clone())
            .collect()
    })
}

/// On which ships each of five runs.
fn ships(site: &Site) -> [Vec<&'static str>; 5] {
    std::array::from_fn(|at| {
        let name = format!("web-{}", at + 1);
        let ships = [("atlantic", &site.atlantic), ("pacific", &site.pacific)];
        let runs =
            |ship: &FakeDockerd| ship.container(&name).is_some_and(|one| one.state.name() == "running");
        ships.into_iter().filter(|(_, ship)| runs(ship)).map(|(name, _)| name).collect()
    })
}

#[tokio::test]
async fn one_more_is_one_more() {
    let site = Site::new(&web(4));
    let mut text = site.transcript(&["validate", "dump --output name", "deptree", "plan deploy"]).await;
    site.run("deploy --yes").await.ok();
    assert_eq!(ports(&site).map(|ports| ports.len()), [2, 2], "each on a port of its own");
    site.run("plan deploy --detailed-exitcode").await.exits(0);
    site.write(&web(5));
    site.clear_writes();
    text += &site.transcript(&["deploy --yes -c 1 --progress quiet", "status"]).await;
    assert_eq!(site.changes(), ["create web-5", "start web-5"]);
    assert_eq!(ports(&site).map(|ports| ports.len()).iter().sum::<usize>(), 5);
    // A release has them where they were.
    text += &site.transcript(&["diff 1 2"]).await;
    site.clear_writes();
    site.run("deploy --yes").await.ok().never_says("release 3");
    assert_eq!(site.changes(), [""; 0]);
    insta::assert_snapshot!(text);
}

/// A way back is a way back to the same ships, wherever today's file has them.
#[tokio::test]
async fn fewer_are_the_last_ones_less_and_a_release_has_its_ships() {
    let site = Site::new(&web(4));
    site.run("deploy --yes").await.ok();
    let first = ships(&site);
    site.write(&web(2));
    site.clear_writes();
    site.run("deploy --yes -c 1").await.ok().says("this is release 2");
    let mut changes = site.changes();
    changes.sort();
    // Nor does an engine start them that starts anew.
    assert_eq!(changes, ["stop web-3", "stop web-4", "update web-3", "update web-4"]);
    let elsewhere = |ship: &str| web(4).replace("'*ic', max_per_ship: 3", ship);
    site.write(&elsewhere("pacific"));
    site.run("deploy --yes").await.ok().says("this is release 3");
    assert_eq!(ships(&site)[..4], [["pacific"]; 4]);
    site.write(&elsewhere("atlantic"));
    site.run("rollback --yes --to 1").await.ok();
    assert_eq!(ships(&site), first);
}

/// Containers that are told of each other, as maestro-ng's are, are replaced where they are when one comes.
#[tokio::test]
async fn who_is_told_of_one_more_is_replaced_where_it_is() {
    let told = |replicas| web(replicas).replace("    links: []\n", "");
    let site = Site::new(&told(2));
    site.run("deploy --yes").await.ok();
    let before = ships(&site);
    site.write(&told(3));
    let text = site.transcript(&["plan deploy"]).await;
    assert!(text.contains("env.WEB_INSTANCES"), "{text}");
    site.run("deploy --yes").await.ok();
    assert_eq!(ships(&site)[..2], before[..2]);
    assert_eq!(ships(&site)[2].len(), 1);
}

/// Those who ask for more than fits are told before anybody is asked.
#[tokio::test]
async fn too_many_are_refused() {
    let site = Site::new(&web(4));
    let text = std::fs::read_to_string(site.shell.file("maestro.yaml")).unwrap();
    site.shell.write("maestro.yaml", text.replace("replicas: 4", "replicas: 7"));
    let ran = site.run("deploy --yes").await.exits(2);
    assert_eq!(site.writes(), []);
    insta::assert_snapshot!(site.redacted(&ran));
}
