//! Logs, programs in containers and events, over all ways to reach an engine.

use super::site::{Site, until};
use maestro_testkit::practice::{PracticeFleet, TransportKind};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};

/// Lines that a running program has written so far.
fn collect(child: &mut std::process::Child) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let reader = BufReader::new(child.stdout.take().unwrap());
    let kept = lines.clone();
    std::thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            kept.lock().unwrap().push(line);
        }
    });
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_programs_and_events() {
    let site = Site::up(
        PracticeFleet::builder()
            .ships(&[TransportKind::Tcp, TransportKind::Tls, TransportKind::Ssh, TransportKind::Unix])
            .mixed(),
    )
    .await;
    let image = site.image("bb:latest");
    let mut text = format!("  tick:\n    image: {image}\n    instances:\n");
    for ship in 1..=4 {
        writeln!(
            text,
            "      tick-{ship}: {{ship: ship-{ship}, stop_timeout: 0, command: \"sh -c 'echo begin {ship}; while :; do echo tick {ship}; sleep 1; done'\"}}"
        )
        .unwrap();
    }
    site.write(&text);

    let mut events = site.spawn("events --output jsonl");
    let happened = collect(&mut events);
    site.maestro("start").await.ok();

    // All of the past, merged; one container's lines have no name before them.
    let ran = site.maestro("logs tick").await.ok();
    for ship in 1..=4 {
        assert!(ran.stdout.contains(&format!("tick-{ship} | begin {ship}")), "{}", ran.all());
        let one = site.maestro(&format!("logs -n 1 tick-{ship}")).await.ok();
        assert_eq!(one.stdout.trim(), format!("tick {ship}"), "{}", one.all());
    }

    // Following survives a restart.
    let mut follow = site.spawn("logs -F tick");
    let lines = collect(&mut follow);
    let has = |text: &str| lines.lock().unwrap().iter().any(|line| line.contains(text));
    until("all four are followed", async || (1..=4).all(|ship| has(&format!("tick-{ship} | tick {ship}"))))
        .await;
    assert!(!has("begin"), "following shows no history");
    site.maestro("restart").await.ok();
    until("all four are followed again", async || (1..=4).all(|ship| has(&format!("begin {ship}")))).await;
    follow.kill().unwrap();
    follow.wait().unwrap();

    for ship in 1..=4 {
        // Words are split at blanks here, so the shell in the container makes its own.
        site.maestro(&format!("exec tick-{ship} sh -c exit${{IFS}}7")).await.fails(7);
        site.maestro(&format!("exec tick-{ship} hostname")).await.ok().says(&format!("tick-{ship}"));
        site.maestro(&format!("exec tick-{ship} cat /no/such/file")).await.fails(1).says("No such file");
        let saw = |action: &str| {
            happened.lock().unwrap().iter().any(|line| {
                line.contains(&format!("\"action\":\"{action}\"")) && line.contains(&format!("tick-{ship}"))
            })
        };
        until("events of every ship", async || saw("create") && saw("start") && saw("die")).await;
    }
    events.kill().unwrap();
    events.wait().unwrap();
}
