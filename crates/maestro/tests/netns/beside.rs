//! Deployments whose replacements start beside what they replace, on real engines: there is always somebody who answers.

use super::site::{Site, until};
use futures_util::future::join_all;
use maestro_testkit::practice::{PracticeFleet, TransportKind};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PORTS: std::ops::RangeInclusive<u16> = 18100..=18104;

fn web(site: &Site, tag: &str, deploy: &str) -> String {
    let image = site.image("shop");
    format!(
        "  web:\n    image: {image}/web:{tag}\n    ports: {{http: '8080:18100-18104'}}\n    deploy: {{{deploy}}}\n    \
         lifecycle:\n      running: [{{type: http, port: http, path: /, match_regex: 'shop/web [12]', max_wait: 3}}]\n    \
         instances:\n      web-1: {{ship: ship-1, stop_timeout: 1}}\n      web-2: {{ship: ship-2, stop_timeout: 1}}\n      \
         web-3: {{ship: ship-3, stop_timeout: 1}}\n"
    )
}

/// Whether something answers well at a port.
async fn answers(ip: Ipv4Addr, port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((ip, port)).await.ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(answer.starts_with(b"HTTP/1.") && answer.windows(5).any(|part| part == b" 200 "))
    };
    timeout(Duration::from_secs(2), ask).await.ok().flatten().unwrap_or(false)
}

/// On how many ships an instance answers, whichever port it has.
async fn answering(ips: &[Ipv4Addr]) -> usize {
    let ship = async |ip: &Ipv4Addr| join_all(PORTS.map(|port| answers(*ip, port))).await.contains(&true);
    join_all(ips.iter().map(ship)).await.into_iter().filter(|answers| *answers).count()
}

/// Asks again and again while something goes on; tells the fewest that answered, and how often it was asked.
async fn watched<T>(ips: &[Ipv4Addr], work: impl Future<Output = T>) -> (T, usize, usize) {
    let fewest = Arc::new(AtomicUsize::new(usize::MAX));
    let rounds = Arc::new(AtomicUsize::new(0));
    let watching = tokio::spawn({
        let (ips, fewest, rounds) = (ips.to_vec(), fewest.clone(), rounds.clone());
        async move {
            loop {
                fewest.fetch_min(answering(&ips).await, Ordering::Relaxed);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let done = work.await;
    watching.abort();
    (done, fewest.load(Ordering::Relaxed), rounds.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_always_answers() {
    let ships = [TransportKind::Tcp, TransportKind::Unix, TransportKind::Ssh];
    let site = Site::up(PracticeFleet::builder().ships(&ships).mixed()).await;
    let ips: Vec<Ipv4Addr> = site.fleet.ships().iter().map(|ship| ship.ip).collect();
    let tags = async || {
        let tag =
            async |n: usize| site.tag(&format!("ship-{n}"), &format!("web-{n}")).await.unwrap_or_default();
        join_all((1..=3).map(tag)).await
    };
    let one_by_one = "strategy: rolling, max_unavailable: 0, bake: 1s";
    site.write(&web(&site, "1.0", one_by_one));
    site.maestro("deploy").await.ok();
    assert_eq!(answering(&ips).await, 3);

    // One after the other, and nobody is ever missing.
    site.write(&web(&site, "2.0", one_by_one));
    let (ran, fewest, rounds) = watched(&ips, site.maestro("deploy --yes")).await;
    ran.ok().says("3 deployed");
    assert!(fewest == 3 && rounds > 20, "{fewest} of 3 answered, in {rounds} rounds");
    assert_eq!(tags().await, ["2.0"; 3]);
    site.maestro("plan deploy --detailed-exitcode").await.ok().says("nothing would be done");
    site.maestro("status -F").await.ok().says("18101/tcp is up").never_says("next");

    // All together, and one does not come up: nothing old has been touched, and what is left is told.
    let together = "strategy: blue-green, bake: 1s, on_failure: pause";
    let before = site.fingerprint().await;
    site.write(&web(&site, "broken", together));
    let (ran, fewest, _) = watched(&ips, site.maestro("deploy --yes")).await;
    ran.fails(3).says("check failed");
    assert_eq!(fewest, 3);
    assert_eq!(tags().await, ["2.0"; 3]);
    let after = site.fingerprint().await;
    assert!(before.lines().all(|line| after.contains(line)), "{before}\n{after}");
    site.maestro("status").await.ok().says(".next-").says("was broken off");
    // Back: what is left is removed, and nothing else is done.
    site.write(&web(&site, "2.0", together));
    site.maestro("deploy --yes").await.ok().says("3 deployed");
    assert_eq!(site.fingerprint().await, before);

    // All together, and all is well.
    site.write(&web(&site, "1.0", together));
    let (ran, fewest, rounds) = watched(&ips, site.maestro("deploy --yes")).await;
    ran.ok().says("3 deployed");
    assert!(fewest == 3 && rounds > 10, "{fewest} of 3 answered, in {rounds} rounds");
    assert_eq!(tags().await, ["1.0"; 3]);
    until("all answer", async || answering(&ips).await == 3).await;

    // Some first: they wait, go on, and are done.
    site.write(&web(&site, "2.0", "strategy: canary, canaries: 1, on_failure: pause"));
    site.maestro("deploy --yes").await.fails(3).says("2 waiting").says("--promote");
    assert_eq!(tags().await, ["2.0", "1.0", "1.0"]);
    // The canary is asked once more.
    site.maestro("deploy --yes --promote").await.ok().says("3 deployed");
    assert_eq!(tags().await, ["2.0"; 3]);
}
