//! `doctor`, and what `deploy` and `plan deploy` make of it, as their users see it.

use super::site::Site;
use jiff::SignedDuration;
use maestro_core::fleet::Platform;
use maestro_testkit::state::{Behaviour, Content, Host};
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
