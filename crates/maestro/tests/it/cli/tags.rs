//! Tags that move: all ships run the content that a tag stood for when it was looked up, once.

use super::site::{Site, until};
use maestro_testkit::daemon::{Effect, Latency, Write};
use maestro_testkit::fake_dockerd::FakeDockerd;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::state::{Behaviour, Content};
use std::sync::Arc;
use std::time::Duration;

/// An instance on each of three ships; the first of them by name is the one that is asked what the tag stands for.
const WEB: &str = "
  web:
    image: shop/web:stable
    deploy: {strategy: rolling}
    instances: {web-1: {ship: arctic}, web-2: {ship: atlantic}, web-3: {ship: pacific}}
";

/// Long enough to move a tag before it is over.
const A_WHILE: Duration = Duration::from_millis(1500);

fn content(words: &str) -> Arc<Content> {
    Content::new(words, Behaviour::forever())
}

/// The tag stands for something else from now on.
fn push(site: &Site, words: &str) -> Arc<Content> {
    let content = content(words);
    site.registries.push("shop/web:stable", &content);
    content
}

fn arctic(site: &Site) -> &FakeDockerd {
    site.engines().find(|engine| engine.ship().as_str() == "arctic").unwrap()
}

/// Every instance runs, was made from this content, and says so.
#[track_caller]
fn all_are_of(site: &Site, content: &Content) {
    for name in ["web-1", "web-2", "web-3"] {
        let container = site.engines().find_map(|engine| engine.container(name)).unwrap();
        assert!(container.is_running(), "{name}");
        assert_eq!(container.content.digest, content.digest, "{name}");
        assert_eq!(container.config.image, format!("shop/web:stable@{}", content.digest), "{name}");
    }
}

#[tokio::test]
async fn a_tag_that_moves_meanwhile_is_one_content_on_all_ships() {
    let site = Site::of_three(WEB, "");
    let one = push(&site, "one");
    // The registry has answered, and nobody here has heard it yet.
    let late = Faults::none().and(On::Only(Operation::Resolve), When::Always, Fault::Slow(A_WHILE));
    arctic(&site).set_faults(late);
    let deploying = site.shell.spawn("deploy --yes");
    until("the registry is asked", || site.registries.requests("docker.io") > 0).await;
    let two = push(&site, "two");
    deploying.end().await.ok().says("this is release 1");
    all_are_of(&site, &one);
    arctic(&site).recover().await;

    // What it stands for by now is a change, and moves on when the first ship has it.
    site.run("plan --detailed-exitcode deploy").await.exits(10).says("web-3");
    all_are_of(&site, &one);
    for ship in [&site.atlantic, &site.pacific] {
        ship.takes(&Latency::default().but(Operation::Pull, A_WHILE));
    }
    site.clear_writes();
    let deploying = site.shell.spawn("deploy --yes");
    let is_pulled = |write: &Write| write.operation == Operation::Pull && write.effect == Effect::Done;
    until("the first ship pulls", || arctic(&site).writes().iter().any(is_pulled)).await;
    let three = push(&site, "three");
    deploying.end().await.ok().says("this is release 2");
    all_are_of(&site, &two);
    for ship in [&site.atlantic, &site.pacific] {
        ship.takes(&Latency::default());
    }

    site.run("plan --detailed-exitcode deploy").await.exits(10);
    site.run("deploy --yes").await.ok().says("this is release 3");
    all_are_of(&site, &three);
    site.run("plan --detailed-exitcode deploy").await.ok();
    // The way back is to what it stood for then.
    site.run("rollback --yes").await.ok().says("as 2 was");
    all_are_of(&site, &two);
}

/// Where nobody tells what a tag stands for, ships that have different contents of that name are not deployed to.
#[tokio::test]
async fn ships_that_differ_are_not_deployed_to_without_a_registry() {
    let site = Site::of_three(WEB, "");
    site.registries.forget("docker.io");
    let has = |ship: &FakeDockerd, words: &str| {
        ship.meddle(|machine, now| machine.add_image("shop/web:stable", &content(words), now))
    };
    has(arctic(&site), "one");
    has(&site.atlantic, "one");
    let refused = async |why: &str| {
        for line in ["deploy --yes", "plan deploy"] {
            let said = format!(
                "nothing has been done: no registry tells which content shop/web:stable is, and {why}"
            );
            site.run(line)
                .await
                .exits(1)
                .says(&said)
                .says("no such host")
                .says("hint: the ship cannot resolve the registry's name");
        }
        assert_eq!(site.writes(), []);
    };
    refused("ship pacific does not have it").await;
    has(&site.pacific, "two");
    refused("ships arctic and pacific have different contents under that name").await;
    // The same everywhere is all that is needed.
    has(&site.pacific, "one");
    site.run("deploy --yes").await.ok().says("this is release 1");
    for name in ["web-1", "web-2", "web-3"] {
        let container = site.engines().find_map(|engine| engine.container(name)).unwrap();
        assert_eq!((container.is_running(), &container.content.id), (true, &content("one").id), "{name}");
    }
}
