//! Several deployers, some of which sleep, die, or are cut off.

use super::{Deployer, SECOND, TestClock, times, world};
use futures_util::future::join_all;
use maestro::ledger::{LeaseError, Waiting, holders, unlock};
use maestro_core::boundary::{Document, Ledger, LedgerError, LedgerWriter};
use maestro_core::lease::Holder;
use maestro_testkit::shelf::Weather;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_hours(1);

fn pair(world: &[maestro_testkit::shelf::MemoryShelf]) -> (Deployer, Deployer) {
    // Clocks that differ by hours, and run at speeds that differ by a fifth.
    (
        Deployer::of("ada", world, TestClock::new(9 * HOUR, 90)),
        Deployer::of("bob", world, TestClock::new(SECOND, 110)),
    )
}

#[tokio::test(start_paused = true)]
async fn of_two_at_once_one_wins_and_the_other_hears_who() {
    for anchors in [1, 2, 3, 5] {
        let world = world(anchors);
        let (ada, bob) = pair(&world);
        let began = Instant::now();
        let (first, second) = tokio::join!(ada.claim(Duration::ZERO), bob.claim(Duration::ZERO));
        let (lease, refused) = match (first, second) {
            (Ok(lease), Err(refused)) | (Err(refused), Ok(lease)) => (lease, refused),
            other => panic!("{anchors} anchors: {other:?}"),
        };
        let LeaseError::Held(holder) = &refused else { panic!("{refused}") };
        assert_eq!(holder.doing, "deploy web");
        assert!(refused.to_string().ends_with(" is at work here since noon: deploy web"), "{refused}");
        assert!(began.elapsed() < 10 * SECOND, "{anchors} anchors: {:?}", began.elapsed());
        assert_eq!(lease.fence().pass().await, Ok(1));
        lease.release().await.unwrap();
        let shown = holders(&ada.anchors(), SECOND).await;
        assert!(shown.iter().all(|(_, found)| *found == Ok(None)), "{shown:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_one_who_gave_it_back() {
    let world = world(3);
    let (ada, bob) = pair(&world);
    for (epoch, deployer) in (1..).zip([&ada, &bob, &bob, &ada]) {
        let began = Instant::now();
        let lease = deployer.claim(Duration::ZERO).await.unwrap();
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
        assert_eq!(lease.fence().pass().await, Ok(epoch));
        lease.release().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_it_when_it_is_given_back() {
    let world = world(3);
    let (ada, bob) = pair(&world);
    let lease = ada.claim(Duration::ZERO).await.unwrap();
    let began = Instant::now();
    let mut told = Vec::new();
    let mut tell = |waiting: &Waiting| told.push(waiting.clone());
    let (bobs, ()) = tokio::join!(bob.claim_and_tell(5 * 60 * SECOND, &mut tell), async {
        sleep(60 * SECOND).await;
        assert_eq!(lease.fence().pass().await, Ok(1));
        lease.release().await.unwrap();
    });
    assert_eq!(bobs.unwrap().fence().pass().await, Ok(2));
    assert!((60 * SECOND..70 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
    let lives =
        |waiting: &Waiting| matches!(waiting, Waiting::Held { holder, lives: true } if holder.owner == "ada");
    assert!(told.iter().any(lives), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_sleeps_past_its_lease_and_wakes_writes_no_more() {
    let world = world(3);
    let (ada, bob) = pair(&world);
    let adas = ada.claim(Duration::ZERO).await.unwrap();
    let fence = adas.fence();
    adas.ledger().add(1, &text("one"), &text("body")).await.unwrap();
    // From one moment to the next nothing of hers happens; what she was sending arrives when she wakes.
    ada.weather(Weather::Still);
    let began = Instant::now();
    let bobs = bob.claim(Duration::ZERO).await.unwrap();
    let took = began.elapsed();
    assert!(took >= times().settle() * 10 / 11 && took < 2 * times().settle(), "{took:?}");
    assert_eq!(bobs.fence().pass().await, Ok(2));
    bobs.ledger().add(2, &text("two"), &text("body")).await.unwrap();
    ada.weather(Weather::Fine);
    let refused = fence.pass().await;
    assert!(matches!(&refused, Err(LedgerError::Fenced(_))), "{refused:?}");
    assert!(adas.ledger().add(2, &text("other"), &text("other")).await.is_err());
    adas.release().await.unwrap();
    let found = bobs.ledger().contents().await.unwrap().releases;
    let heads: Vec<_> = found.iter().map(|entry| (entry.number, entry.epoch, entry.head.clone())).collect();
    assert_eq!(heads, [(1, 1, text("one")), (2, 2, text("two"))]);
    assert_eq!(bobs.fence().pass().await, Ok(2));
    bobs.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_asks_again_before_it_writes() {
    let world = world(3);
    let (ada, _) = pair(&world);
    let lease = ada.claim(Duration::ZERO).await.unwrap();
    let fence = lease.fence();
    for _ in 0..20 {
        let began = Instant::now();
        ada.clock.sleep(8 * 3600 * SECOND);
        // Nobody came meanwhile: another heartbeat is enough.
        assert_eq!(fence.pass().await, Ok(1));
        assert!(began.elapsed() > Duration::ZERO && began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
        sleep(7 * SECOND).await;
    }
    lease.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dead_owners_lease_is_taken_by_one_of_several() {
    let world = world(3);
    let (ada, bob) = pair(&world);
    let eve = Deployer::of("eve", &world, TestClock::new(HOUR, 100));
    drop(ada.claim(Duration::ZERO).await.unwrap());
    let began = Instant::now();
    let claimed = join_all([bob.claim(Duration::ZERO), eve.claim(Duration::ZERO)]).await;
    assert_eq!(claimed.iter().filter(|lease| lease.is_ok()).count(), 1, "{claimed:?}");
    assert!(began.elapsed() < 2 * times().settle(), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_owner_who_is_cut_off_stops_until_he_is_back() {
    let world = world(3);
    let (ada, bob) = pair(&world);
    let lease = ada.claim(Duration::ZERO).await.unwrap();
    let fence = lease.fence();
    // One anchor may be away.
    ada.shelves[1].weather(Weather::Unreachable);
    sleep(60 * SECOND).await;
    assert_eq!(fence.pass().await, Ok(1));
    ada.shelves[2].weather(Weather::Mute);
    sleep(11 * SECOND).await;
    let began = Instant::now();
    let refused = fence.pass().await;
    assert!(matches!(&refused, Err(LedgerError::Fenced(why)) if why.contains("majority")), "{refused:?}");
    assert!(began.elapsed() <= times().ttl, "{:?}", began.elapsed());
    ada.weather(Weather::Fine);
    assert_eq!(fence.pass().await, Ok(1));
    // Whoever else comes hears that she lives.
    let refused = bob.claim(Duration::ZERO).await.unwrap_err();
    assert!(matches!(&refused, LeaseError::Held(holder) if holder.owner == "ada"), "{refused}");
    lease.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_prune_of_one_anchor_is_mended_and_of_all_ends_the_lease() {
    let world = world(3);
    let (ada, bob) = pair(&world);
    let lease = ada.claim(Duration::ZERO).await.unwrap();
    let fence = lease.fence();
    lease.ledger().add(1, &text("one"), &text("body")).await.unwrap();
    for shelf in &world {
        shelf.prune();
        sleep(2 * times().settle()).await;
        assert_eq!(fence.pass().await, Ok(1));
    }
    lease.ledger().add(2, &text("two"), &text("body")).await.unwrap();
    world.iter().for_each(maestro_testkit::shelf::MemoryShelf::prune);
    let pruned = Instant::now();
    let bobs = bob.claim(Duration::ZERO).await;
    // Whoever of them gets it: not before what she may have sent is over.
    if let Ok(lease) = &bobs {
        assert!(pruned.elapsed() >= times().ttl, "{:?}", pruned.elapsed());
        assert_eq!(lease.ledger().contents().await.unwrap().releases.len(), 2);
    }
    let refused = fence.pass().await;
    assert!(matches!(refused, Err(LedgerError::Fenced(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn unlock_takes_it_from_one_who_lives() {
    let world = world(3);
    let (ada, bob) = pair(&world);
    let lease = ada.claim(Duration::ZERO).await.unwrap();
    let shown = holders(&bob.anchors(), SECOND).await;
    let run = shown[0].1.clone().unwrap().unwrap().run;
    assert_eq!(unlock(&bob.anchors(), "another", SECOND).await.taken, 0);
    assert_eq!(lease.fence().pass().await, Ok(1));
    assert_eq!(unlock(&bob.anchors(), &run, SECOND).await.taken, 3);
    let began = Instant::now();
    let bobs = bob.claim(Duration::ZERO).await.unwrap();
    assert!(began.elapsed() >= times().settle() * 10 / 11, "{:?}", began.elapsed());
    assert_eq!(bobs.fence().pass().await, Ok(2));
    assert!(lease.fence().pass().await.is_err());
}

/// Where a shelf sees to that: what is still on its way when the lease is taken away is not written any more.
#[tokio::test(start_paused = true)]
async fn what_arrives_after_the_lease_has_gone_is_refused() {
    for anchors in [1, 3] {
        let world = world(anchors);
        let (ada, bob) = pair(&world);
        let adas = ada.claim(Duration::ZERO).await.unwrap();
        adas.ledger().add(1, &text("one"), &text("first")).await.unwrap();
        let found = holders(&bob.anchors(), SECOND).await;
        let run = found[0].1.clone().unwrap().unwrap().run;
        ada.weather(Weather::Still);
        let ledger = adas.ledger();
        let (late, ()) = tokio::join!(async { ledger.add(2, &text("two"), &text("second")).await }, async {
            assert_eq!(unlock(&bob.anchors(), &run, SECOND).await.taken, anchors);
            ada.weather(Weather::Fine);
        });
        assert!(matches!(late, Err(LedgerError::TooFew { answered: 0, .. })), "{late:?}");
        let bobs = bob.claim(Duration::ZERO).await.unwrap();
        let listed: Vec<u64> =
            bobs.ledger().contents().await.unwrap().releases.iter().map(|entry| entry.number).collect();
        assert_eq!(listed, [1], "{anchors} anchors");
        bobs.ledger().add(2, &text("two"), &text("another")).await.unwrap();
        bobs.release().await.unwrap();
    }
}

/// Who changes his mind while he waits leaves nothing behind that others would have to wait for.
#[tokio::test(start_paused = true)]
async fn who_leaves_off_gives_back_what_was_got() {
    for anchors in [1, 3] {
        let world = world(anchors);
        let (ada, bob) = pair(&world);
        // He takes it over from somebody dead, and has to wait until nothing of hers can happen any more.
        drop(ada.claim(Duration::ZERO).await.unwrap());
        let left_off = CancellationToken::new();
        let mut hear = |_: &Waiting| {};
        let (refused, ()) = tokio::join!(bob.claim_until(HOUR, &mut hear, &left_off), async {
            let is_bobs = |holder: &Option<Holder>| holder.as_ref().is_some_and(|found| found.owner == "bob");
            let deadline = Instant::now() + HOUR;
            while !holders(&ada.anchors(), SECOND)
                .await
                .iter()
                .any(|(_, found)| found.as_ref().is_ok_and(is_bobs))
            {
                assert!(Instant::now() < deadline, "{anchors} anchors: nothing was claimed");
                sleep(SECOND / 10).await;
            }
            left_off.cancel();
        });
        assert!(matches!(refused, Err(LeaseError::LeftOff)), "{anchors} anchors: {refused:?}");
        let shown = holders(&ada.anchors(), SECOND).await;
        assert!(shown.iter().all(|(_, found)| *found == Ok(None)), "{anchors} anchors: {shown:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_of_anchors_there_is_no_lease() {
    let world = world(3);
    let (ada, _) = pair(&world);
    ada.shelves[0].weather(Weather::Unreachable);
    ada.shelves[2].weather(Weather::Still);
    let began = Instant::now();
    let refused = ada.claim(Duration::ZERO).await.unwrap_err();
    let LeaseError::Ledger(LedgerError::TooFew { answered: 1, needed: 2, places: 3, .. }) = &refused else {
        panic!("{refused:?}")
    };
    assert!(began.elapsed() < 3 * times().ttl, "{:?}", began.elapsed());
    // And what was got is given back.
    ada.weather(Weather::Fine);
    let shown = holders(&ada.anchors(), SECOND).await;
    assert!(shown.iter().all(|(_, found)| *found == Ok(None)), "{shown:?}");
}

fn text(words: &str) -> Document {
    Document::new(1, words)
}

/// Whoever stops a program that may take longer than he thought when he began says so before.
#[tokio::test(start_paused = true)]
async fn a_successor_waits_for_the_longest_stop() {
    for (grace, wait) in [(5, 60), (10, 60), (600, 660)] {
        let world = world(3);
        let ada = Deployer::of("ada", &world, TestClock::new(SECOND, 100));
        let lease = ada.claim(Duration::ZERO).await.unwrap();
        let puts = world[0].puts();
        assert_eq!(lease.fence().pass_for(grace * SECOND).await, Ok(1));
        // Once is enough.
        assert_eq!(lease.fence().pass_for(grace * SECOND).await, Ok(1));
        assert_eq!(world[0].puts() - puts, u64::from(grace > 10), "{grace}");
        ada.weather(Weather::Still);
        let stopped = Instant::now();
        let bob = Deployer::of("bob", &world, TestClock::new(SECOND, 100));
        let bobs = bob.claim(Duration::ZERO).await.unwrap();
        assert_eq!(bobs.fence().pass().await, Ok(2));
        let waited = stopped.elapsed().as_secs();
        assert!(waited >= u64::from(grace) + 30 && waited < wait + 30, "{grace}: {waited}");
        drop(lease);
        bobs.release().await.unwrap();
    }
}
