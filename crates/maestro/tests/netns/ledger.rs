//! Leases and ledgers on real engines of both releases.

use super::site::Site;
use futures_util::future::{BoxFuture, join_all};
use maestro::engine::{DockerEngine, EngineOptions, docker_engines};
use maestro::ledger::{Anchors, BootClock, Claim, HeldLease, LeaseError, claim, holders};
use maestro_core::boundary::{Document, Ledger, LedgerError, LedgerWriter, Shelf};
use maestro_core::config::{Limits, load};
use maestro_core::lease::Times;
use maestro_core::model::{Environment, Ship};
use maestro_core::source::MapSources;
use maestro_testkit::practice::{EngineApi, PracticeFleet, TransportKind};
use maestro_testkit::shelf::conformance::{SHELF_CASES, ShelfHarness, run_shelf_case};
use serde_json::Value;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

struct Real {
    ship: Ship,
    options: EngineOptions,
    api: EngineApi,
    /// What all cases use, so that not every one has to log in.
    shelf: Arc<DockerEngine>,
}

impl ShelfHarness for Real {
    fn shelf(&self) -> Arc<dyn Shelf> {
        self.shelf.clone()
    }

    fn neighbour(&self) -> Arc<dyn Shelf> {
        Arc::new(DockerEngine::new(self.ship.clone(), self.options.clone()))
    }

    /// `docker system prune --all`.
    fn prune(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            for path in [
                "/containers/prune",
                "/networks/prune",
                "/images/prune?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D",
            ] {
                self.api.post(path, &Value::Null).await.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    }
}

fn environment(site: &Site) -> Environment {
    let text = format!("name: x\n{}", site.fleet.description().environment_yaml());
    load(&MapSources::of(text), &Limits::default()).environment.unwrap()
}

fn options(site: &Site) -> EngineOptions {
    EngineOptions {
        ssh_config: site.fleet.description().ssh_config.clone(),
        docker_config: Some(site.path().to_owned()),
        ..EngineOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_engines_are_shelves() {
    let transports = [TransportKind::Tcp, TransportKind::Tls, TransportKind::Ssh, TransportKind::Unix];
    let site = Site::up(PracticeFleet::builder().ships(&transports).mixed()).await;
    let environment = environment(&site);
    let suites = environment.ships.values().map(async |ship| {
        let real = Real {
            ship: ship.clone(),
            options: options(&site),
            api: site.fleet.api(ship.name.as_str()).unwrap(),
            shelf: Arc::new(DockerEngine::new(ship.clone(), options(&site))),
        };
        let mut failed = Vec::new();
        for case in SHELF_CASES {
            if let Err(problem) = run_shelf_case(case, &real).await {
                failed.push(format!("{} ({}): {problem}", ship.name, ship.transport));
            }
        }
        failed
    });
    let failed: Vec<String> = join_all(suites).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} failures:\n{}", failed.len(), failed.join("\n"));
}

fn times() -> Times {
    Times::new(Duration::from_secs(6), Duration::from_secs(3))
}

/// Claims, as another process does if the connections are its own.
async fn deployer(owner: &str, anchors: &Anchors, wait: u64) -> Result<HeldLease, LeaseError> {
    let wanted = Claim {
        owner: owner.to_owned(),
        since: "noon".to_owned(),
        doing: "deploy".to_owned(),
        times: times(),
        grace: Duration::ZERO,
        wait: Duration::from_secs(wait),
    };
    claim(anchors, wanted, Arc::new(BootClock), &mut |_| {}, &CancellationToken::new()).await
}

fn anchors(environment: &Environment, options: EngineOptions) -> Anchors {
    let shelves = docker_engines(environment.ships.values(), options).into_iter();
    Anchors::new(environment.display_name(), shelves.map(|(name, shelf)| (name, shelf as Arc<dyn Shelf>)))
}

fn text(words: &str) -> Document {
    Document::new(1, words)
}

/// A deployer in a thread of its own, which stands still, heartbeats and all, from when it says that it has written
/// until it is told to go on.
struct Sleeper {
    has_written: mpsc::Receiver<()>,
    wake: mpsc::Sender<()>,
    /// What its fence said then, and whether its next write failed.
    thread: JoinHandle<(Result<u64, LedgerError>, bool)>,
}

fn sleeper(anchors: Anchors) -> Sleeper {
    let (wrote, has_written) = mpsc::channel();
    let (wake, woken) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lease = deployer("ada", &anchors, 0).await.unwrap();
            let fence = lease.fence();
            assert_eq!(fence.pass().await, Ok(1));
            lease.ledger().add(1, &text("one"), &Document::new(1, vec![9; 3_000_000])).await.unwrap();
            lease.ledger().open_journal(&text("begun")).await.unwrap();
            wrote.send(()).unwrap();
            woken.recv_timeout(Duration::from_mins(2)).unwrap();
            // Nothing else of this deployer has happened since: this is its next write.
            let refused = fence.pass().await;
            let late = lease.ledger().add(2, &text("late"), &text("late")).await.is_err();
            _ = lease.release().await;
            (refused, late)
        })
    });
    Sleeper { has_written, wake, thread }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_deployers_one_wins_and_a_sleeper_is_too_late() {
    let transports = [TransportKind::Tcp, TransportKind::Tls, TransportKind::Ssh];
    let site = Site::up(PracticeFleet::builder().ships(&transports).mixed()).await;
    let environment = environment(&site);
    one_wins_and_a_sleeper_is_too_late(&|| anchors(&environment, options(&site))).await;
    site.write("  web: {image: \"x:1\", instances: {web-1: {ship: ship1}}}\n");
    let ran = site.maestro("status").await;
    assert!(!ran.stdout.contains("maestro.ledger"), "{}", ran.all());
}

/// `connect` makes connections to the same anchors.
pub(crate) async fn one_wins_and_a_sleeper_is_too_late(connect: &dyn Fn() -> Anchors) {
    let Sleeper { has_written, wake, thread } = sleeper(connect());
    tokio::task::spawn_blocking(move || has_written.recv_timeout(Duration::from_mins(1)))
        .await
        .unwrap()
        .unwrap();

    let began = Instant::now();
    let (bobs, eves) = (connect(), connect());
    let (bob, eve) = tokio::join!(deployer("bob", &bobs, 0), deployer("eve", &eves, 0));
    let took = began.elapsed();
    assert!(took >= times().settle() && took < 4 * times().settle(), "{took:?}");
    let (lease, refused) = match (bob, eve) {
        (Ok(lease), Err(refused)) | (Err(refused), Ok(lease)) => (lease, refused),
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused, LeaseError::Held(_)), "{refused:?}");
    let ledger = lease.ledger();
    let journal = ledger.contents().await.unwrap().journal.unwrap();
    assert_eq!(journal.records, [text("begun")]);
    assert_eq!(ledger.release(1).await.unwrap().unwrap().bytes.len(), 3_000_000);

    wake.send(()).unwrap();
    let (refused, late) = tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    assert!(matches!(refused, Err(LedgerError::Fenced(_))), "{refused:?}");
    assert!(late, "a late write was let through");
    assert_eq!(lease.fence().pass().await, Ok(2));

    for number in 2..12 {
        ledger.add(number, &text("head"), &Document::new(1, vec![1; 50_000])).await.unwrap();
    }
    let numbers: Vec<u64> =
        ledger.contents().await.unwrap().releases.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..12).collect::<Vec<_>>());
    ledger.forget_below(10).await.unwrap();
    ledger.close_journal().await.unwrap();
    assert_eq!(ledger.contents().await.unwrap().releases.len(), 2);
    assert_eq!(ledger.contents().await.unwrap().journal, None);
    lease.release().await.unwrap();
    let shown = holders(&connect(), Duration::from_secs(10)).await;
    assert!(shown.iter().all(|(_, found)| *found == Ok(None)), "{shown:?}");

    // Nobody has to wait for one who has said goodbye, and commands leave what is kept alone.
    for epoch in 3..6 {
        let began = Instant::now();
        let lease = deployer("bob", &connect(), 0).await.unwrap();
        let claimed = began.elapsed();
        assert_eq!(lease.fence().pass().await, Ok(epoch));
        lease.release().await.unwrap();
        assert!(claimed < Duration::from_secs(5), "{claimed:?}");
    }
}
