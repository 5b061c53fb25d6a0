//! Deployments behind real load balancers: no request is lost on the way from one release to the next.

use super::site::Site;
use maestro_testkit::load::{Load, Tally};
use maestro_testkit::practice::{LoadBalancer, PracticeFleet, TransportKind};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

/// Rounds of each strategy, if `MAESTRO_CUTOVERS` says nothing else.
const ROUNDS: usize = 2;
/// Requests a second, a quarter more than is asked for.
const RATE: u32 = 250;

const THREE: [&str; 3] = ["web-1: ship-1", "web-2: ship-2", "web-3: ship-3"];

fn file(site: &Site, kind: LoadBalancer, tag: &str, strategy: &str, web_on: &[&str]) -> String {
    let web = site.image("shop/web");
    let kind = kind.name();
    let instances = web_on.iter().map(|at| {
        let (name, ship) = at.split_once(": ").unwrap();
        format!("      {name}: {{ship: {ship}, stop_timeout: 1}}\n")
    });
    let instances: String = instances.collect();
    format!(
        "  web:\n    image: {web}:{tag}\n    ports: {{http: '8080:18100-18109'}}\n    deploy: {{{strategy}}}\n    \
         lifecycle: {{running: [{{type: http, port: http, path: /, max_wait: 20}}]}}\n    instances:\n{instances}\
         \x20 edge:\n    image: edge/{kind}:1.0\n    ports: {{http: '80:10080', status: '8404:18404'}}\n    instances:\n      \
         edge-1: {{ship: ship-1, stop_timeout: 1}}\n      edge-2: {{ship: ship-2, stop_timeout: 1}}\n\
         balancers:\n  front: {{kind: {kind}, service: edge, drain: 10s, timeout: 30s, \
         routes: [{{service: web, port: http}}]}}\n"
    )
}

/// Deploys behind two front ends of a kind, under load, and kills one of them in the middle of two deployments.
async fn deployed_behind(kind: LoadBalancer) -> Tally {
    let ships = [TransportKind::Tcp, TransportKind::Ssh, TransportKind::Unix];
    let site = Site::up(PracticeFleet::builder().ships(&ships).mixed()).await;
    for ship in ["ship-1", "ship-2"] {
        site.fleet.load_balancer(ship, kind).await.unwrap();
    }
    let rolling = "strategy: rolling, max_unavailable: 0";
    site.write(&file(&site, kind, "1.0", rolling, &THREE));
    site.maestro("deploy").await.ok().says("5 deployed");
    site.maestro("balancers").await.ok();
    site.maestro("plan deploy --detailed-exitcode").await.ok().says("nothing would be done");

    let address = |ship: &str| SocketAddr::new(IpAddr::V4(site.fleet.ship(ship).unwrap().ip), 10080);
    let front_ends = vec![address("ship-1"), address("ship-2")];
    let load =
        Load { front_ends, host: "shop".into(), path: "/".into(), rate: RATE, keeping: 6, fresh: 6 }.start();
    let rounds =
        std::env::var("MAESTRO_CUTOVERS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..2 * rounds {
        let strategy = if round % 4 < 2 { rolling } else { "strategy: blue-green" };
        let tag = if round.is_multiple_of(2) { "2.0" } else { "1.0" };
        site.write(&file(&site, kind, tag, strategy, &THREE));
        let deploying = site.maestro("deploy --yes web");
        let ran = if round == 1 || round == 3 {
            // A front end dies, and comes back with the file that it has.
            let ((), ran) = tokio::join!(
                async {
                    let first = site.fleet.api("ship-1").unwrap();
                    super::site::until("the first replacement is there", async || {
                        let all = first.get("/containers/json?all=1").await.unwrap();
                        all.to_string().contains("/web-1.next-")
                    })
                    .await;
                    let api = site.fleet.api("ship-2").unwrap();
                    load.goes_down(address("ship-2"));
                    api.post("/containers/edge-2/kill", &Value::Null).await.unwrap();
                    api.post("/containers/edge-2/start", &Value::Null).await.unwrap();
                    super::site::until("edge-2 is back", async || {
                        tokio::net::TcpStream::connect(address("ship-2")).await.is_ok()
                    })
                    .await;
                    load.is_back(address("ship-2"));
                },
                deploying
            );
            ran
        } else {
            deploying.await
        };
        let ran = ran.ok().says("3 deployed");
        let so_far = load.so_far();
        assert_eq!(so_far.failed(), 0, "round {round}: {so_far:?}\n{}", ran.all());
        site.maestro("balancers").await.ok();
    }
    // One moves, two have other names, one goes.
    let elsewhere = [
        (["web-1: ship-1", "web-2: ship-2", "web-3: ship-1"].as_slice(), "3 deployed, 1 stopped"),
        (&["web-1: ship-1", "www-2: ship-2", "www-3: ship-3"], "3 deployed, 2 stopped"),
        (&["web-1: ship-1", "www-2: ship-2"], "2 deployed, 1 stopped"),
    ];
    for (web_on, what) in elsewhere {
        site.write(&file(&site, kind, "1.0", rolling, web_on));
        let ran = site.maestro("deploy --yes web").await.ok().says(what);
        let so_far = load.so_far();
        assert_eq!(so_far.failed(), 0, "{what}: {so_far:?}\n{}", ran.all());
        site.maestro("plan deploy --detailed-exitcode").await.ok();
    }
    let (tally, rate) = load.stop().await;
    assert!(rate >= 200.0, "only {rate} requests a second");
    tally
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_behind_haproxy() {
    let tally = deployed_behind(LoadBalancer::Haproxy).await;
    assert_eq!(tally.failed(), 0, "{tally:?}");
    assert_eq!(tally.again, 0, "HAProxy closes no connection that a request may be on: {tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_behind_nginx() {
    let tally = deployed_behind(LoadBalancer::Nginx).await;
    assert_eq!(tally.failed(), 0, "{tally:?}");
}
