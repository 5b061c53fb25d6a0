//! Those who have no lease, and look who has one.

use super::{Deployer, SECOND, TestClock, times, world};
use maestro::ledger::{HeldLease, at_work, holders, unlock};
use maestro_core::lease::Holder;
use maestro_testkit::shelf::{MemoryShelf, Weather};
use std::time::Duration;
use tokio::time::Instant;

fn pair(world: &[MemoryShelf]) -> (Deployer, Deployer) {
    let clock = || TestClock::new(SECOND, 100);
    (Deployer::of("ada", world, clock()), Deployer::of("bob", world, clock()))
}

/// Nothing arrives any more of what was under way.
fn die(deployer: &Deployer, lease: HeldLease) {
    deployer.weather(Weather::Unreachable);
    drop(lease);
}

/// Who is at work, as this bystander sees it. After his first look, these anchors of his change.
async fn seen_by(bystander: &Deployer, changes: &[(usize, Weather)]) -> Option<String> {
    let mut tell = |_: &Holder| {
        for (number, weather) in changes {
            bystander.shelves[*number].weather(*weather);
        }
    };
    let found = at_work(&bystander.anchors(), &|_| true, times(), &mut tell).await;
    found.map(|holder| holder.owner)
}

#[tokio::test(start_paused = true)]
async fn who_lives_is_at_work_and_who_is_dead_is_not() {
    for anchors in [1, 3] {
        let world = world(anchors);
        let (ada, bob) = pair(&world);
        assert_eq!(seen_by(&bob, &[]).await, None);
        let lease = ada.claim(Duration::ZERO).await.unwrap();
        let began = Instant::now();
        assert_eq!(seen_by(&bob, &[]).await.as_deref(), Some("ada"), "{anchors} anchors");
        assert!(began.elapsed() < times().ttl, "{anchors} anchors: {:?}", began.elapsed());
        die(&ada, lease);
        assert_eq!(seen_by(&bob, &[]).await, None, "{anchors} anchors");
    }
}

/// An anchor that is seen for the first time has moved no more than the others, and one that was away for a while has
/// what it had.
#[tokio::test(start_paused = true)]
async fn an_anchor_that_is_late_is_no_sign_of_life() {
    for away in [Weather::Still, Weather::Unreachable] {
        for late in 0..3 {
            let world = world(3);
            let (ada, bob) = pair(&world);
            die(&ada, ada.claim(Duration::ZERO).await.unwrap());
            bob.shelves[late].weather(away);
            assert_eq!(seen_by(&bob, &[(late, Weather::Fine)]).await, None, "{away:?} {late}");
            // Two of them, one of which comes back before the other.
            bob.shelves[late].weather(away);
            bob.shelves[(late + 1) % 3].weather(away);
            assert_eq!(seen_by(&bob, &[(late, Weather::Fine)]).await, None, "{away:?} {late}, and another");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_lives_is_seen_on_those_that_answer() {
    for late in 0..3 {
        let world = world(3);
        let (ada, bob) = pair(&world);
        let _lease = ada.claim(Duration::ZERO).await.unwrap();
        bob.shelves[late].weather(Weather::Still);
        let seen = seen_by(&bob, &[(late, Weather::Fine)]).await;
        assert_eq!(seen.as_deref(), Some("ada"), "{late}");
        let other = (late + 1) % 3;
        bob.shelves[late].weather(Weather::Unreachable);
        bob.shelves[other].weather(Weather::Unreachable);
        let seen = seen_by(&bob, &[(late, Weather::Fine)]).await;
        assert_eq!(seen.as_deref(), Some("ada"), "{late} and {other}");
    }
}

/// An owner needs a majority: whether the others can be asked makes no difference to him.
#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_away_where_a_majority_of_anchors_answers() {
    for (anchors, away, is_over) in [(1, 0, true), (1, 1, false), (3, 1, true), (3, 2, false), (5, 2, true)] {
        let case = format!("{away} of {anchors} are away");
        let world = world(anchors);
        let (ada, bob) = pair(&world);
        let lease = ada.claim(Duration::ZERO).await.unwrap();
        let found = holders(&bob.anchors(), SECOND).await;
        let run = found[0].1.clone().unwrap().unwrap().run;
        for (shelf, weather) in bob.shelves.iter().zip([Weather::Unreachable, Weather::Still]).take(away) {
            shelf.weather(weather);
        }
        let unlocked = unlock(&bob.anchors(), &run, SECOND).await;
        assert_eq!((unlocked.taken, unlocked.failed.len()), (anchors - away, away), "{case}");
        assert_eq!(unlocked.is_over, is_over, "{case}");
        let eve = Deployer::of("eve", &world, TestClock::new(SECOND, 100));
        let eves = eve.claim(Duration::ZERO).await;
        assert_eq!(eves.is_ok(), is_over, "{case}: {eves:?}");
        assert_eq!(lease.fence().pass().await.is_err(), is_over, "{case}");
    }
}
