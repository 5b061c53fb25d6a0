//! Hooks on real engines: a container of the new image that changes what is in a volume, before anybody needs it so.

use super::site::Site;
use maestro_testkit::practice::{PracticeFleet, TransportKind};

/// A shop whose web gets a schema first.
fn shop(site: &Site, tag: &str, before: &str) -> String {
    let (registry, data) = (site.image("shop"), site.path().display());
    format!(
        "  web:\n    image: {registry}/web:{tag}\n    ports: {{http: '8080:18080'}}\n    env: {{TABLE: orders}}\n    \
         deploy:\n      strategy: rolling\n      max_unavailable: 1\n      hooks:\n        before: [{before}]\n        \
         after: [{{local: [cp, schema, announced]}}, {{run: [grep, -q, orders, /data/schema]}}]\n    \
         instances:\n      \
         web-1: {{ship: ship-1, stop_timeout: 1, volumes: {{{data}: /data}}}}\n      \
         web-2: {{ship: ship-2, stop_timeout: 1, volumes: {{{data}: /data}}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_changed_before_anybody_needs_it_so() {
    let site =
        Site::up(PracticeFleet::builder().ships(&[TransportKind::Tcp, TransportKind::Unix]).mixed()).await;
    let read = |name: &str| std::fs::read_to_string(site.path().join(name)).unwrap_or_default();
    let migrate = "{run: [sh, -c, 'echo $TABLE of $SHOP_NAME >>/data/schema; echo migrated'], timeout: 1m}";
    site.write(&shop(&site, "1.0", migrate));
    site.maestro("deploy").await.ok().says("2 deployed").says("this is release 1");
    assert_eq!(read("schema"), "orders of shop/web 1.0\n");
    assert_eq!(read("announced"), read("schema"));

    // As the instance's, but for its ports; what it wrote can be read.
    let hook = site.inspect("ship-1", "web.before-1").await.unwrap();
    assert_eq!((&hook["State"]["ExitCode"], &hook["State"]["Status"]), (&0.into(), &"exited".into()));
    assert_eq!(hook["HostConfig"]["RestartPolicy"]["Name"], "no");
    let ports = &hook["HostConfig"]["PortBindings"];
    assert!(ports.is_null() || ports.as_object().is_some_and(serde_json::Map::is_empty), "{ports}");
    let fingerprint = site.fingerprint().await;
    site.maestro("deploy").await.ok().says("as released");
    site.maestro("status").await.ok().never_says("before-1");
    site.maestro("plan deploy --detailed-exitcode").await.ok();
    assert_eq!(site.fingerprint().await, fingerprint);

    // One that fails: nothing of the service is touched, and what it had to say is shown.
    let web = (site.id("ship-1", "web-1").await, site.id("ship-2", "web-2").await);
    site.write(&shop(&site, "2.0", "{run: [sh, -c, 'echo there is no table >&2; exit 3']}"));
    site.maestro("deploy --yes").await.fails(4).says("exited with code 3").says("there is no table");
    site.write(&shop(&site, "2.0", "{run: [sleep, 1000], timeout: 1s}"));
    site.maestro("deploy --yes").await.fails(4).says("it did not end within 1 s, and was stopped");
    assert_eq!((site.id("ship-1", "web-1").await, site.id("ship-2", "web-2").await), web);

    site.write(&shop(&site, "2.0", migrate));
    site.maestro("plan deploy").await.ok().says("before web: run sh -c");
    site.maestro("deploy --yes").await.ok().says("this is release 2");
    assert_eq!(read("schema"), "orders of shop/web 1.0\norders of shop/web 2.0\n");
    // What has been changed is not changed once more on the way back.
    site.maestro("rollback --yes").await.ok().says("this is release 3, as 1 was");
    assert_eq!(site.tag("ship-1", "web-1").await.unwrap(), "1.0");
    assert_eq!(read("schema").lines().count(), 2);
    site.maestro("clean").await.ok();
    assert!(site.inspect("ship-1", "web.before-1").await.is_none());
    assert_eq!(site.inspect("ship-1", "web-1").await.unwrap()["State"]["Running"], true);
}
