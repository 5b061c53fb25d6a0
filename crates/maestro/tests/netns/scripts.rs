//! The deploy scripts of maestro-ng's users, word for word, on a mixed fleet that is reached in four ways.

use super::site::Site;
use maestro_testkit::practice::{PracticeFleet, TransportKind};
use std::fmt::Write as _;

const ALL: [TransportKind; 4] =
    [TransportKind::Tcp, TransportKind::Tls, TransportKind::Ssh, TransportKind::Unix];

/// db ← api ← web; web on every ship, its release from the environment.
fn shop(site: &Site) -> String {
    let registry = site.image("shop");
    let mut text = format!(
        "  db:\n    image: {registry}/db:1.0\n    ports: {{sql: '5432:15432'}}\n    \
         instances: {{db-1: {{ship: ship-1, stop_timeout: 2}}}}\n    \
         lifecycle: {{running: [{{type: tcp, port: sql, max_wait: 30}}]}}\n\
         \x20 api:\n    image: {registry}/api:1.0\n    requires: [db]\n    ports: {{http: '8080:18081'}}\n    \
         instances: {{api-1: {{ship: ship-2, stop_timeout: 2}}}}\n    \
         lifecycle: {{running: [{{type: http, port: http, path: /healthz, max_wait: 30}}, {{type: health, max_wait: 30}}]}}\n\
         \x20 web:\n    image: {registry}/web:{{{{ env.TAG or '1.0' }}}}\n    requires: [api]\n    \
         ports: {{http: '8080:18080'}}\n    \
         lifecycle:\n      running: [{{type: http, port: http, path: /, match_regex: 'shop/web', max_wait: 30}}]\n      \
         pre-stop: [{{type: rexec, command: 'true', attempts: 2}}]\n    instances:\n"
    );
    for ship in 1..=4 {
        writeln!(text, "      web-{ship}: {{ship: ship-{ship}, stop_timeout: 2}}").unwrap();
    }
    text
}

async fn tags(site: &Site) -> Vec<String> {
    let mut tags = Vec::new();
    for ship in 1..=4 {
        let tag = site.tag(&format!("ship-{ship}"), &format!("web-{ship}")).await;
        tags.push(tag.unwrap_or_else(|| "none".to_owned()));
    }
    tags
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_scripts_run_unchanged() {
    let site = Site::up(PracticeFleet::builder().ships(&ALL).mixed()).await;
    site.write(&shop(&site));

    site.maestro("pull").await.ok();
    site.maestro("start").await.ok().says("started");
    assert_eq!(tags(&site).await, ["1.0"; 4]);

    // A second start makes no call that changes anything, and says that all is up.
    let before = site.fingerprint().await;
    let again = site.maestro("start").await.ok().says("up for");
    assert_eq!(again.stdout.matches("up for").count(), 6, "{}", again.all());
    let plan = site.maestro("plan start --output json").await.ok();
    assert!(plan.stdout.contains("\"steps\": []"), "{}", plan.all());
    site.maestro("restart --only-if-changed").await.ok().says("up to date");
    assert_eq!(site.fingerprint().await, before);

    // maestro -f F pull web ; maestro -f F stop web ; maestro -f F clean web ; maestro -f F start web
    let new = [("TAG", "2.0")];
    for command in ["pull web", "stop web", "clean web", "start web"] {
        site.maestro_with(&format!("-f maestro.yaml {command}"), &new).await.ok();
    }
    assert_eq!(tags(&site).await, ["2.0"; 4]);
    site.maestro_with("status", &new).await.ok().says("2.0:");

    // In the site's directory: maestro pull ; maestro restart
    site.maestro("pull").await.ok();
    site.maestro("restart").await.ok();
    assert_eq!(tags(&site).await, ["1.0"; 4]);

    // -r pulls and then compares.
    let before = site.fingerprint().await;
    site.maestro("restart -r --only-if-changed -c 1 web").await.ok().says("up to date");
    assert_eq!(site.fingerprint().await, before);
    site.maestro_with("restart -r --only-if-changed -c 1 -s web", &new).await.ok().never_says("up to date");
    assert_eq!(tags(&site).await, ["2.0"; 4]);

    site.maestro("stop").await.fails(1).says("--all");
    site.maestro("kill web-1").await.ok().says("killed");
    site.maestro("stop -a").await.ok().says("down").says("stopped");
    site.maestro("clean").await.ok().says("removed");
    assert_eq!(site.fingerprint().await, "");
    site.maestro("clean").await.ok().says("absent");
}

/// What is needed is up before what needs it begins, and the other way round when stopping.
#[tokio::test(flavor = "multi_thread")]
async fn dependencies_hold_on_real_engines() {
    let site =
        Site::up(PracticeFleet::builder().ships(&[TransportKind::Tcp, TransportKind::Unix]).mixed()).await;
    let registry = site.image("shop");
    // Every database is up two seconds after its start only, and its check sees that.
    site.write(&format!(
        "  db:\n    image: {registry}/db:1.0\n    env: {{START_DELAY: 2}}\n    ports: {{sql: '5432:15432'}}\n    \
         lifecycle: {{running: [{{type: tcp, port: sql, max_wait: 30}}]}}\n    \
         instances: {{db-1: {{ship: ship-1, stop_timeout: 1}}, db-2: {{ship: ship-2, stop_timeout: 1}}}}\n\
         \x20 web:\n    image: {registry}/web:1.0\n    requires: [db]\n    \
         instances: {{web-1: {{ship: ship-1, stop_timeout: 1}}, web-2: {{ship: ship-2, stop_timeout: 1}}}}\n"
    ));
    site.maestro("start").await.ok();
    let at = async |ship: &str, container: &str, key: &str| {
        let found = site.inspect(ship, container).await.unwrap();
        found["State"][key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    for web in [("ship-1", "web-1"), ("ship-2", "web-2")] {
        for db in [("ship-1", "db-1"), ("ship-2", "db-2")] {
            let lead = at(web.0, web.1, "StartedAt").await.duration_since(at(db.0, db.1, "StartedAt").await);
            assert!(lead.as_millis() >= 1900, "{web:?} only {} ms after {db:?}", lead.as_millis());
        }
    }
    site.maestro("stop -a -c 3").await.ok();
    for web in [("ship-1", "web-1"), ("ship-2", "web-2")] {
        for db in [("ship-1", "db-1"), ("ship-2", "db-2")] {
            assert!(at(web.0, web.1, "FinishedAt").await <= at(db.0, db.1, "FinishedAt").await);
        }
    }
}
