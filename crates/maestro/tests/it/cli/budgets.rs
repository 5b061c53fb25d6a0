//! Deployments in files with a `budget:`: a release that is no good is taken back, and whoever is broken off can go on and
//! back, however little may be down.

use super::site::Site;
use futures_util::future::join_all;
use std::fmt::Write as _;

/// Three instances of a service, and one that they need; only one of the four may be down.
fn shop(tag: &str, how: &str, ports: [&str; 3], db: &str) -> String {
    let mut text = format!(
        "
  db:
    image: shop/db:{db}
    deploy: {{strategy: rolling, max_unavailable: 1}}
    instances:
      db-1: {{ship: atlantic, stop_timeout: 1, ports: {{sql: '15432'}}}}
  web:
    image: shop/web:{tag}
    requires: [db]
    deploy: {{{how}}}
    lifecycle:
      running: [{{type: exec, command: \"/bin/sh -c '[ $DOCKER_TAG != never-3 ]'\", attempts: 1}}]
    instances:
"
    );
    for (number, port) in (1..).zip(ports) {
        let ship = if number == 2 { "pacific" } else { "atlantic" };
        writeln!(
            text,
            "      web-{number}: {{ship: {ship}, stop_timeout: 1, ports: {{http: '8080:{port}'}}}}"
        )
        .unwrap();
    }
    text + "budget: {max_unavailable: 1}\n"
}

const RANGE: [&str; 3] = ["18080-18089"; 3];
const FIXED: [&str; 3] = ["18081", "18082", "18083"];
const ALL: [&str; 4] = ["db-1", "web-1", "web-2", "web-3"];

/// All containers: their ids, and what they do.
fn all(site: &Site) -> Vec<(String, &'static str)> {
    let found = ALL.map(|name| {
        let found = site.atlantic.container(name).or_else(|| site.pacific.container(name));
        (found.map_or_else(String::new, |container| container.id.as_str().to_owned()), site.state(name))
    });
    found.into()
}

async fn taken_back(how: &str, ports: [&str; 3]) {
    let site = Site::new(&shop("2.0", how, ports, "1"));
    // Nothing runs yet: more is down than may be, and that is no reason not to bring it up.
    site.run("deploy").await.ok();
    let before = all(&site);
    site.write(&shop("never-3", how, ports, "1"));
    let ran = site.run("deploy --yes").await;
    assert_eq!(ran.code, 4, "{how}: {}", ran.all());
    assert_eq!(all(&site), before, "{how}: {}", ran.all());
    // Somebody has to decide, and goes back by hand.
    let pausing = format!("{how}, on_failure: pause");
    site.write(&shop("never-3", &pausing, ports, "1"));
    let ran = site.run("deploy --yes").await;
    assert_eq!(ran.code, 3, "{how}: {}", ran.all());
    let ran = site.run("resume --yes").await;
    assert_eq!(ran.code, 3, "{how}: {}", ran.all());
    let ran = site.run("abort --yes").await;
    assert_eq!(ran.code, 0, "{how}: {}", ran.all());
    assert_eq!(all(&site), before, "{how}: {}", ran.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_is_taken_back() {
    join_all([
        taken_back("strategy: blue-green", RANGE),
        taken_back("strategy: rolling, max_unavailable: 0", RANGE),
        taken_back("strategy: rolling, max_unavailable: 1", FIXED),
        taken_back("strategy: canary, max_unavailable: 0, pause: 1s", RANGE),
    ])
    .await;
}

/// What is needed has been replaced when the first of those that need it turns out to be no good, and stays down: to go
/// back, what is needed has to go down, too.
#[tokio::test]
async fn no_way_back_is_refused() {
    let how = "strategy: rolling, max_unavailable: 1";
    let site = Site::new(&shop("2.0", how, FIXED, "1"));
    site.run("deploy").await.ok();
    let before = all(&site);
    site.write(&shop("brief-3.0", how, FIXED, "2"));
    let ran = site.run("deploy --yes").await;
    assert_eq!(ran.code, 4, "{}", ran.all());
    assert!(ran.stderr.contains("at least 2 of 4 instances would be down at the same time"), "{}", ran.all());
    assert!(ran.stderr.contains("done all the same: it goes back"), "{}", ran.all());
    assert_eq!(all(&site), before, "{}", ran.all());
}
