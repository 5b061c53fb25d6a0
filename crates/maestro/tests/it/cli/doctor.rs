//! `doctor`, and what `deploy` and `plan deploy` make of it, as their users see it.

use super::site::Site;
use jiff::SignedDuration;
use maestro_core::fleet::Platform;
use maestro_testkit::faults::Faults;
use maestro_testkit::state::{Behaviour, Content, CreateConfig, Host};
use std::collections::BTreeMap;
use std::net::TcpListener;

/// A web on both ships, at these ports.
fn web(image: &str, ports: [u16; 2]) -> String {
    format!(
        "\n  web:\n    image: {image}\n    instances:\n      web-1: {{ship: atlantic, ports: {{http: '8080:{}'}}}}\n      \
         web-2: {{ship: pacific, ports: {{http: '8080:{}'}}}}\n",
        ports[0], ports[1]
    )
}

/// A port that nobody listens on, for the time being.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_fleet_that_is_well() {
    let site = Site::new(&web("shop/web:1.0", [free(), free()]));
    site.run("doctor").await.ok().says("2 ships asked about 2 instances in ");
    site.run("deploy").await.ok();
    site.clear_writes();
    let ran = site.run("doctor web").await.ok().says("all is well");
    assert!(!ran.stdout.contains("error") && !ran.stdout.contains("warning"), "{}", ran.all());
    assert_eq!(site.writes(), [], "nothing is touched");
    let ran = site.run("doctor --output json").await.ok();
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&told["well"], &told["ships"]), (&true.into(), &2.into()), "{told}");
}

#[tokio::test]
async fn what_is_in_the_way_is_told_in_every_form() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (taken, free) = (listener.local_addr().unwrap().port(), free());
    let off = Host { ahead: SignedDuration::from_hours(-2), memory: 1 << 30, ..Host::default() };
    let services = web("shop/web:1.0", [taken, free]) + "    limits: {memory: 768m}\n";
    let services =
        services.replace("web-2: {ship: pacific", "web-3: {ship: atlantic}\n      web-2: {ship: pacific");
    let site = Site::with(&services, |setup| {
        let named = format!("{setup:?}").contains("atlantic");
        if named { setup.host(off.clone()) } else { setup }
    });
    let redacted =
        |text: String| text.replace(&taken.to_string(), "TAKEN").replace(&free.to_string(), "FREE");
    let lines =
        ["doctor", "doctor --output json", "doctor --output jsonl", "doctor --output name", "doctor nobody"];
    let text = redacted(site.transcript(&lines).await);
    assert_eq!(site.writes(), []);
    insta::assert_snapshot!(text);
    // A deployment is refused for what it would change, a plan shows what is in the way.
    let text = redacted(site.transcript(&["plan deploy", "deploy", "deploy web-2"]).await);
    insta::assert_snapshot!("what_is_in_the_way_of_a_deployment", text);
    assert_eq!((site.state("web-1"), site.state("web-2")), ("absent", "running"));
}

#[tokio::test]
async fn images_that_do_not_come_are_told_before() {
    let site = Site::new(&web("reg.example.com:5000/web:1.0", [free(), free()]));
    let image = "reg.example.com:5000/web:1.0";
    let arm =
        Content::new("web for arm", Behaviour::forever()).with_platform(Platform::new("linux", "arm64"));
    site.registries.push(image, &arm);
    site.run("doctor")
        .await
        .exits(1)
        .says("an image was not built for a ship's platform")
        .says("linux/arm64");
    site.run("deploy").await.exits(1).says("linux/arm64");
    site.registries.push(image, &Content::new("web", Behaviour::forever()));
    site.registries.require_login("reg.example.com:5000", "ci", "secret");
    site.run("doctor").await.exits(1).says("a registry does not let a ship in").says("docker login");
    site.registries.withdraw(image);
    site.registries.forget("reg.example.com:5000");
    site.run("doctor").await.exits(1).says("a registry cannot be asked").says("no such host");
    assert_eq!(site.writes(), []);
}

/// Whoever knows better says why.
#[tokio::test]
async fn what_would_fail_is_tried_by_who_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let site = Site::new(&web("shop/web:2.0", [port, 18081]));
    site.run("deploy --yes").await.exits(1).says("--despite-preflight");
    let ran = site.run("--despite-preflight leaving deploy --yes").await.ok();
    ran.says("this would fail; done all the same: leaving");
    assert_eq!(site.state("web-1"), "running");
}

/// What runs under the old name of a service keeps its port until somebody says that it is not to be there.
#[tokio::test]
async fn a_service_with_another_name_does_not_get_its_port_by_itself() {
    let port = free();
    let named = |name: &str| {
        format!(
            "\n  {name}:\n    image: shop/web:1.0\n    instances:\n      {name}-1: {{ship: atlantic, ports: {{http: \
             '8080:{port}'}}}}\n"
        )
    };
    let site = Site::new(&named("web"));
    site.run("deploy --yes").await.ok();
    site.write(&named("www"));
    site.clear_writes();
    for line in ["doctor", "plan deploy", "deploy --yes"] {
        let ran = site.run(line).await;
        assert!(ran.all().contains("--remove-orphans` stops it first"), "{line}: {}", ran.all());
        assert_eq!(ran.code, i32::from(line != "plan deploy"), "{line}: {}", ran.all());
    }
    assert_eq!(site.writes(), []);
    site.run("deploy --yes --remove-orphans").await.ok();
    site.run("doctor").await.ok();
    assert_eq!((site.state("web-1"), site.state("www-1")), ("exited", "running"));
}

/// Two that can be replaced, and one whose name somebody else's container has.
fn with_log(tag: &str, deploy: &str) -> String {
    web(&format!("shop/web:{tag}"), [18080, 18081])
        .replace("image:", &format!("deploy: {{{deploy}}}\n    image:"))
        + "  log: {image: shop/log:1, instances: {log-1: {ship: pacific}}}\n"
}

/// What is known to be impossible for one is not begun for the others: it would never come to its end.
#[tokio::test]
async fn what_cannot_be_done_for_one_is_begun_for_nobody() {
    let deploy = "strategy: rolling, max_unavailable: 1, on_failure: pause";
    let site = Site::new(&with_log("1.0", deploy));
    site.run("deploy web").await.ok();
    let theirs = BTreeMap::from([("com.docker.compose.project".to_owned(), "theirs".to_owned())]);
    let config =
        CreateConfig { image: "shop/log:1".into(), labels: theirs.into(), ..CreateConfig::default() };
    site.run("pull log").await.ok();
    site.pacific.meddle(|machine, now| machine.create("log-1", config, now)).unwrap();
    site.run("plan deploy web --detailed-exitcode").await.exits(0);
    // That it cannot be done is no reason to say that nothing is to be done.
    site.run("plan deploy --detailed-exitcode").await.exits(10).says("1 blocked");
    site.run("plan deploy").await.ok();
    site.write(&with_log("2.0", deploy));
    site.clear_writes();
    let ran = site.run("deploy --yes").await.exits(1).says("log-1: a container of that name exists");
    assert!(ran.stderr.contains("rename or remove that container by hand"), "{}", ran.all());
    assert!(ran.stderr.contains("nothing has been done"), "{}", ran.all());
    assert_eq!(site.writes(), []);
    // Who knows better gets what can be done, and is told the same when going on.
    let ran = site.run("--despite-preflight hotfix deploy --yes").await.exits(3);
    assert!(ran.stderr.contains("done all the same: hotfix"), "{}", ran.all());
    assert!(site.image("web-1").contains("2.0") && site.image("web-2").contains("2.0"), "{}", ran.all());
    site.pacific.meddle(|machine, now| machine.rename("log-1", "somebodys", now)).unwrap();
    site.run("resume --yes").await.ok();
    site.run("plan deploy --detailed-exitcode").await.exits(0);
    // All that can be seen is as it is to be, and not everything can be seen.
    site.pacific.set_faults(Faults::unreachable());
    site.run("plan deploy --detailed-exitcode").await.exits(1);
    site.run("plan deploy").await.ok();
}

/// Nor where there is no port left for a replacement.
#[tokio::test]
async fn a_range_without_a_free_port_keeps_all_as_they_are() {
    let services = |tag: &str| {
        format!(
            "
  log: {{image: 'shop/log:{tag}', instances: {{log-1: {{ship: pacific}}}}}}
  web:
    image: shop/web:{tag}
    deploy: {{strategy: rolling, max_unavailable: 0}}
    ports: {{http: '8080:18080-18081'}}
    instances: {{web-1: {{ship: atlantic}}, web-2: {{ship: atlantic}}}}
"
        )
    };
    let site = Site::new(&services("1.0"));
    site.run("deploy").await.ok();
    site.write(&services("2.0"));
    site.clear_writes();
    let ran = site.run("deploy --yes").await.exits(1).says("no port of 18080-18081 is free on ship atlantic");
    assert!(ran.stderr.contains("remedy: widen the range"), "{}", ran.all());
    assert_eq!(site.writes(), []);
}
