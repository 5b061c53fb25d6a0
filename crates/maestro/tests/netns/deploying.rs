//! Deployments on real engines: step by step, with checks, and back.

use super::site::Site;
use maestro_testkit::practice::{PracticeFleet, TransportKind};

fn shop(site: &Site) -> String {
    let registry = site.image("shop");
    format!(
        "  db:\n    image: {registry}/db:1.0\n    instances: {{db-1: {{ship: ship-1, stop_timeout: 1}}}}\n\
         \x20 web:\n    image: {registry}/web:{{{{ env.TAG or '1.0' }}}}\n    requires: [db]\n    \
         ports: {{http: '8080:18080'}}\n    env: {{GREETING: '{{{{ env.GREETING or \"hello\" }}}}'}}\n    \
         deploy: {{strategy: rolling, max_unavailable: 1, bake: 1s}}\n    \
         lifecycle:\n      running: [{{type: http, port: http, path: /, match_regex: 'shop/web [12]', max_wait: 3}}]\n    \
         instances:\n      web-1: {{ship: ship-1, stop_timeout: 1}}\n      web-2: {{ship: ship-2, stop_timeout: 1}}\n      \
         web-3: {{ship: ship-3, stop_timeout: 1}}\n"
    )
}

async fn tags(site: &Site) -> Vec<String> {
    let mut tags = Vec::new();
    for ship in 1..=3 {
        tags.push(site.tag(&format!("ship-{ship}"), &format!("web-{ship}")).await.unwrap_or_default());
    }
    tags
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_deployed_and_taken_back() {
    let ships = [TransportKind::Tcp, TransportKind::Unix, TransportKind::Ssh];
    let site = Site::up(PracticeFleet::builder().ships(&ships).mixed()).await;
    site.write(&shop(&site));

    // What `start` has made is as a release would have it.
    site.maestro("start").await.ok();
    let started = site.fingerprint().await;
    site.maestro("deploy").await.ok().says("as released").never_says("deployed").says("this is release 1");
    assert_eq!(site.fingerprint().await, started);

    let two = [("TAG", "2.0")];
    site.maestro_with("plan deploy --detailed-exitcode", &two).await.fails(10).says("env.DOCKER_TAG");
    site.maestro_with("deploy", &two).await.fails(2).says("--yes");
    assert_eq!(site.fingerprint().await, started);
    site.maestro_with("deploy --yes", &two).await.ok().says("3 deployed, 1 unchanged");
    assert_eq!(tags(&site).await, ["2.0"; 3]);
    site.maestro_with("plan deploy --detailed-exitcode", &two).await.ok().says("nothing would be done");

    // One that never answers is the last one that is touched. The very container comes back that was there, and what is
    // well is left alone.
    let deployed = site.fingerprint().await;
    let (web_1, web_2) = (site.id("ship-1", "web-1").await, site.inspect("ship-2", "web-2").await.unwrap());
    let broken = [("TAG", "broken")];
    let failed = site.maestro_with("deploy --yes web", &broken).await.fails(4);
    let failed = failed.says("check failed").says("aborted").says("1 deployed, 2 unchanged");
    assert_eq!(tags(&site).await, ["2.0"; 3], "{}", failed.all());
    assert_eq!(site.id("ship-1", "web-1").await, web_1);
    assert_eq!(site.inspect("ship-2", "web-2").await.unwrap()["State"], web_2["State"]);
    assert_ne!(site.fingerprint().await, deployed, "it was started again");

    // A way back by one word, with the registry down.
    site.fleet.set_registry_reachable(false).await.unwrap();
    let listed = site.maestro("releases --output name").await.ok();
    assert_eq!(listed.stdout, "2\n1\n");
    site.maestro("rollback --yes").await.ok().says("this is release 3, as 1 was");
    assert_eq!(tags(&site).await, ["1.0"; 3]);
    site.maestro("rollback --yes web --to 2").await.ok().says("this is release 4, as 2 was");
    assert_eq!(tags(&site).await, ["2.0"; 3]);
}
