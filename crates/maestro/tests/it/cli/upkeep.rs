//! What is left on the ships, and when it goes.

use super::site::Site;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::state::LocalImage;

/// A service with instances, each on a ship.
fn shop(tag: &str, instances: &str) -> String {
    format!(
        "
  web:
    image: shop/web:{tag}
    deploy: {{strategy: rolling, max_unavailable: 1}}
    instances: {{{instances}}}
"
    )
}

const THREE: &str = "web-1: {ship: atlantic}, web-2: {ship: pacific}, web-3: {ship: pacific}";
const TWO: &str = "web-1: {ship: atlantic}, web-2: {ship: pacific}";

/// How many images of the service are on each ship.
fn images(site: &Site) -> [usize; 2] {
    let is_of_web = |image: &&LocalImage| image.digests.iter().any(|digest| digest.starts_with("shop/web@"));
    [&site.atlantic, &site.pacific]
        .map(|ship| ship.look(|machine| machine.images().iter().filter(is_of_web).count()))
}

/// Who goes back soon finds the containers of instances that are gone; in the end they go, too.
#[tokio::test]
async fn containers_of_what_has_left_the_file_go_with_its_releases() {
    let site = Site::new(&shop("1", THREE));
    site.run("deploy --yes").await.ok();
    site.write(&shop("2", TWO));
    site.run("deploy --yes").await.ok();
    assert_eq!(site.state("web-3"), "exited");
    // The way back needs it.
    site.run("rollback --yes").await.ok();
    assert_eq!(site.state("web-3"), "running");
    site.run("rollback --yes --to 2").await.ok();
    for tag in ["5", "6", "7"] {
        site.write(&shop(tag, TWO));
        site.run("deploy --yes").await.ok();
        assert_eq!(site.state("web-3"), "exited", "release {tag}");
    }
    site.write(&shop("8", TWO));
    site.clear_writes();
    let ran =
        site.run("deploy --yes").await.ok().says("removed what nobody needs any more: 1 container and ");
    assert_eq!(site.state("web-3"), "absent", "{}", ran.all());
    let writes = site.pacific.writes();
    let last = writes.iter().rposition(|write| write.operation == Operation::Remove).unwrap();
    let first = writes.iter().position(|write| write.operation == Operation::RemoveImage).unwrap();
    assert!(last < first, "{writes:?}");
    assert_eq!((site.state("web-1"), site.state("web-2")), ("running", "running"));
}

/// What a deployment has brought that was taken back or given up may be tried again; where another one has taken its place,
/// nobody does.
#[tokio::test]
async fn images_of_a_deployment_that_was_replaced_go() {
    let shop = |tag: &str, remedy: &str| {
        shop(tag, TWO).replace("max_unavailable: 1", &format!("max_unavailable: 1, on_failure: {remedy}"))
    };
    let site = Site::new(&shop("1", "rollback"));
    site.run("deploy --yes").await.ok();
    assert_eq!(images(&site), [1, 1]);
    site.write(&shop("brief-2", "rollback"));
    let ran = site.run("deploy --yes -c 1").await.exits(4);
    assert_eq!(images(&site), [2, 2], "{}", ran.all());
    site.write(&shop("brief-3", "pause"));
    site.run("deploy --yes -c 1").await.exits(3);
    assert_eq!(images(&site), [3, 3]);
    site.write(&shop("4", "pause"));
    let ran = site.run("deploy --yes").await.ok().says("removed what nobody needs any more: ");
    assert_eq!(images(&site)[1], 3, "{}", ran.all());
}

/// What is tidied is looked for on all ships; what is done is recorded all the same, at once.
#[tokio::test]
async fn a_ship_that_hangs_keeps_no_release_from_being_recorded() {
    let db = "\n  db: {image: 'shop/db:1', instances: {db-1: {ship: pacific}}}";
    let file = |tag: u32| db.to_owned() + &shop(&tag.to_string(), "web-1: {ship: atlantic}");
    let site = Site::new(&file(1));
    for tag in 1..=6 {
        site.write(&file(tag));
        site.run("deploy --yes").await.ok();
    }
    site.write(&file(7));
    site.pacific.set_faults(Faults::none().and(On::Any, When::Always, Fault::Hangs));
    let mut deploying = site.shell.spawn("deploy --yes web");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(40);
    loop {
        let listed = site.run("releases --output name").await.ok();
        if listed.stdout.lines().count() == 7 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", listed.all());
    }
    assert!(!deploying.has_ended(), "whoever deploys looks at that ship yet");
    deploying.end().await.ok();
}
