//! What is recorded, whichever anchors are there.

use super::{Deployer, SECOND, TestClock, times, world};
use maestro::ledger::{HeldLease, ShelfLedger};
use maestro_core::boundary::{Document, FolderName, Ledger, LedgerError, LedgerWriter};
use maestro_testkit::shelf::{MemoryShelf, Weather};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(super) fn text(words: &str) -> Document {
    Document::new(1, words)
}

pub(super) async fn owner(world: &[MemoryShelf]) -> (Deployer, HeldLease) {
    let deployer = Deployer::of("ada", world, TestClock::new(SECOND, 100));
    let lease = deployer.claim(Duration::ZERO).await.unwrap();
    (deployer, lease)
}

pub(super) fn reader(world: &[MemoryShelf]) -> (Deployer, ShelfLedger) {
    let deployer = Deployer::of("reader", world, TestClock::new(SECOND, 100));
    let ledger = ShelfLedger::new(&deployer.anchors(), 5 * SECOND);
    (deployer, ledger)
}

pub(super) async fn numbers(ledger: &dyn Ledger) -> Vec<u64> {
    ledger.contents().await.unwrap().releases.iter().map(|entry| entry.number).collect()
}

#[tokio::test(start_paused = true)]
async fn releases_are_listed_read_and_deleted() {
    let world = world(3);
    let (_, lease) = owner(&world).await;
    let (_, reader) = reader(&world);
    assert_eq!(numbers(&reader).await, [0; 0]);
    let ledger = lease.ledger();
    for number in 95..=205 {
        let body = Document::new(3, vec![7; 10_000]);
        ledger.add(number, &text(&format!("head {number}")), &body).await.unwrap();
        if number > 95 {
            ledger.forget_below(number - 9).await.unwrap();
        }
    }
    let kept: Vec<u64> = (196..=205).collect();
    assert_eq!(numbers(&reader).await, kept);
    assert_eq!(numbers(&*ledger).await, kept);
    assert_eq!(reader.release(200).await.unwrap(), Some(Document::new(3, vec![7; 10_000])));
    assert_eq!(reader.release(195).await.unwrap(), None);
    let head = &reader.contents().await.unwrap().releases[0].head;
    assert_eq!(*head, text("head 196"));
    // What is left behind does not grow.
    for shelf in &world {
        shelf.spoil(&ledger_name(), |files| {
            let bytes: usize = files.values().map(Vec::len).sum();
            assert!(
                files.len() < 130 && bytes < 120_000,
                "{} files, {bytes} bytes: {:?}",
                files.len(),
                files.keys()
            );
        });
    }
    ledger.forget_below(1).await.unwrap();
    assert_eq!(numbers(&reader).await, kept);
    lease.release().await.unwrap();
}

pub(super) fn ledger_name() -> FolderName {
    FolderName::of("ledger", "großer laden")
}

#[tokio::test(start_paused = true)]
async fn an_anchor_that_was_away_is_mended() {
    let world = world(3);
    let (ada, lease) = owner(&world).await;
    let ledger = lease.ledger();
    ledger.add(1, &text("one"), &text("first")).await.unwrap();
    ada.shelves[0].weather(Weather::Unreachable);
    ledger.add(2, &text("two"), &text("second")).await.unwrap();
    ledger.forget_below(2).await.unwrap();
    ledger.open_journal(&text("begun")).await.unwrap();
    ledger.append(&text("more")).await.unwrap();
    ada.shelves[0].weather(Weather::Fine);
    // Whoever asks a majority with it finds everything, and what was deleted stays so.
    let (bob, reader) = reader(&world);
    bob.shelves[1].weather(Weather::Unreachable);
    assert_eq!(numbers(&reader).await, [2]);
    assert_eq!(reader.release(2).await.unwrap(), Some(text("second")));
    // An owner mends it; then it is as good as the others.
    assert_eq!(numbers(&*ledger).await, [2]);
    bob.shelves[1].weather(Weather::Fine);
    world[1].spoil(&ledger_name(), std::collections::BTreeMap::clear);
    bob.shelves[2].weather(Weather::Unreachable);
    let reader = ShelfLedger::new(&bob.anchors(), 5 * SECOND);
    assert_eq!(reader.release(2).await.unwrap(), Some(text("second")));
    let journal = reader.contents().await.unwrap().journal.unwrap();
    assert_eq!(journal.records, [text("begun"), text("more")]);
    lease.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_read_from_another_anchor() {
    let world = world(3);
    let (_, lease) = owner(&world).await;
    let ledger = lease.ledger();
    ledger.add(1, &text("one"), &Document::new(1, vec![5; 1000])).await.unwrap();
    for shelf in &world[..2] {
        shelf.spoil(&ledger_name(), |files| {
            for content in files.values_mut() {
                let cut = content.len() - 1;
                content.truncate(cut);
            }
        });
    }
    assert_eq!(ledger.release(1).await.unwrap(), Some(Document::new(1, vec![5; 1000])));
    // It was mended.
    world[2].spoil(&ledger_name(), std::collections::BTreeMap::clear);
    assert_eq!(ledger.release(1).await.unwrap(), Some(Document::new(1, vec![5; 1000])));
    lease.release().await.unwrap();
}

/// What an owner relies on is on a majority; where it cannot be put there, it is said why.
#[tokio::test(start_paused = true)]
async fn an_anchor_that_cannot_be_mended_says_why() {
    for away in [false, true] {
        let world = world(3);
        let (ada, lease) = owner(&world).await;
        ada.shelves[2].weather(Weather::Unreachable);
        lease.ledger().add(1, &text("one"), &text("first")).await.unwrap();
        ada.weather(Weather::Fine);
        lease.release().await.unwrap();
        let bob = Deployer::of("bob", &world, TestClock::new(SECOND, 100));
        if away {
            bob.shelves[0].weather(Weather::Unreachable);
        }
        let lease = bob.claim(Duration::ZERO).await.unwrap();
        world[2].fill();
        let read = lease.ledger().contents().await;
        if away {
            let error = read.unwrap_err();
            assert!(matches!(error, LedgerError::TooFew { answered: 1, needed: 2, .. }), "{error:?}");
            assert!(error.to_string().contains("no space left on device"), "{error}");
        } else {
            assert_eq!(read.unwrap().releases.len(), 1);
        }
    }
}

/// Whoever wrote a release died when one anchor had it: the first one, or the last one.
async fn died_while_he_wrote(at: usize) -> (Vec<MemoryShelf>, Deployer) {
    let world = world(3);
    let (ada, lease) = owner(&world).await;
    let ledger = lease.ledger();
    ledger.add(1, &text("one"), &text("first")).await.unwrap();
    ledger.open_journal(&text("begun")).await.unwrap();
    for other in (0..3).filter(|other| *other != at) {
        ada.shelves[other].weather(Weather::Unreachable);
    }
    ledger.add(2, &text("two"), &text("second")).await.unwrap_err();
    ada.weather(Weather::Still);
    drop(lease);
    let bob = Deployer::of("bob", &world, TestClock::new(SECOND, 100));
    (world, bob)
}

/// What is listed can be read from every majority, however slow the one is that has it.
#[tokio::test(start_paused = true)]
async fn what_only_one_anchor_has_is_put_to_the_others_whole() {
    for at in [0, 2] {
        let (world, bob) = died_while_he_wrote(at).await;
        world[at].hold_back("bodies", 2 * SECOND);
        let lease = bob.claim(Duration::ZERO).await.unwrap();
        assert_eq!(numbers(&*lease.ledger()).await, [1, 2], "{at}");
        assert_eq!(lease.ledger().contents().await.unwrap().journal, None);
        bob.shelves[at].weather(Weather::Unreachable);
        let (other, reader) = reader(&world);
        other.shelves[at].weather(Weather::Unreachable);
        assert_eq!(reader.release(2).await.unwrap(), Some(text("second")), "{at}");
        lease.release().await.unwrap_err();
    }
}

/// What cannot be read whole was never recorded: it is as if its writer had died before.
#[tokio::test(start_paused = true)]
async fn what_one_anchor_lists_and_cannot_give_is_left_out() {
    for damaged in [true, false] {
        let (world, bob) = died_while_he_wrote(0).await;
        if damaged {
            world[0].spoil(&ledger_name(), |files| {
                files.retain(|path, _| !path.contains("bodies/00000000/0000000002"));
            });
        } else {
            world[0].hold_back("bodies", 600 * SECOND);
        }
        let lease = bob.claim(Duration::ZERO).await.unwrap();
        let ledger = lease.ledger();
        assert_eq!(numbers(&*ledger).await, [1], "{damaged}");
        let journal = ledger.contents().await.unwrap().journal.unwrap();
        assert_eq!(journal.records, [text("begun")], "{damaged}");
        // It is in nobody's way.
        ledger.add(2, &text("other"), &text("another")).await.unwrap();
        let (_, reader) = reader(&world);
        let contents = reader.contents().await.unwrap();
        assert_eq!((contents.releases.len(), contents.journal), (2, None), "{damaged}");
        assert_eq!(reader.release(2).await.unwrap(), Some(text("another")), "{damaged}");
        lease.release().await.unwrap();
    }
}

/// What a majority lists was recorded: it stays listed, and is in nobody's way, though nobody can read it any more.
#[tokio::test(start_paused = true)]
async fn what_is_damaged_everywhere_keeps_nobody_from_mending_the_rest() {
    let world = world(3);
    let (_, lease) = owner(&world).await;
    for (number, words) in [(1, "first"), (2, "second")] {
        lease.ledger().add(number, &text("head"), &text(words)).await.unwrap();
    }
    lease.release().await.unwrap();
    for shelf in &world[..2] {
        shelf.spoil(&ledger_name(), |files| {
            files.retain(|path, _| !path.contains("bodies/00000000/0000000001"));
        });
    }
    // A new ship.
    world[2].spoil(&ledger_name(), std::collections::BTreeMap::clear);
    let bob = Deployer::of("bob", &world, TestClock::new(SECOND, 100));
    let lease = bob.claim(Duration::ZERO).await.unwrap();
    let ledger = lease.ledger();
    assert_eq!(numbers(&*ledger).await, [1, 2]);
    assert_eq!(ledger.release(1).await, Err(LedgerError::DamagedRelease(1)));
    // From then on any of them may be away, though nobody can tell then what that one has.
    for away in 0..3 {
        bob.weather(Weather::Fine);
        bob.shelves[away].weather(Weather::Unreachable);
        let next = u64::try_from(away).unwrap() + 3;
        ledger.add(next, &text("head"), &text("more")).await.unwrap();
        assert_eq!(numbers(&*ledger).await, (1..=next).collect::<Vec<_>>(), "{away}");
        assert_eq!(ledger.release(2).await.unwrap(), Some(text("second")), "{away}");
    }
    bob.weather(Weather::Fine);
    lease.release().await.unwrap();
}

/// Whether what one anchor lists was ever recorded is not known as long as another one is not heard of: it is not
/// damaged for that.
#[tokio::test(start_paused = true)]
async fn what_may_be_where_nobody_answers_is_not_called_damaged() {
    for away in [Some(Weather::Unreachable), Some(Weather::Still), None] {
        let (world, bob) = died_while_he_wrote(0).await;
        world[0].spoil(&ledger_name(), |files| {
            files.retain(|path, _| !path.contains("bodies/00000000/0000000002"));
        });
        let lease = bob.claim(Duration::ZERO).await.unwrap();
        match away {
            Some(weather) => bob.shelves[2].weather(weather),
            // It only says too late what it lists.
            None => world[2].hold_back("index", 2 * SECOND),
        }
        let read = lease.ledger().contents().await;
        assert!(
            matches!(read, Err(LedgerError::TooFew { answered: 2, needed: 3, .. })),
            "{away:?}: {read:?}"
        );
    }
}

/// A reader asks no more anchors than he needs, unless one fails or is late.
#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_nobody_who_is_late() {
    let world = world(3);
    let (_, lease) = owner(&world).await;
    lease.ledger().add(1, &text("one"), &text("first")).await.unwrap();
    for late in 0..3 {
        let (other, reader) = reader(&world);
        other.shelves[late].weather(Weather::Still);
        let began = tokio::time::Instant::now();
        assert_eq!(numbers(&reader).await, [1], "{late}");
        assert_eq!(reader.release(1).await.unwrap(), Some(text("first")), "{late}");
        assert!(began.elapsed() < SECOND, "{late}: {:?}", began.elapsed());
    }
    lease.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_journal_is_gone_on_with_by_another() {
    let world = world(3);
    let (ada, lease) = owner(&world).await;
    assert_eq!(lease.ledger().append(&text("x")).await, Err(LedgerError::NoJournal));
    lease.ledger().open_journal(&text("1")).await.unwrap();
    lease.ledger().append(&text("2")).await.unwrap();
    ada.weather(Weather::Still);
    let bob = Deployer::of("bob", &world, TestClock::new(SECOND, 100));
    let bobs = bob.claim(Duration::ZERO).await.unwrap();
    let ledger = bobs.ledger();
    for number in 3..13 {
        ledger.append(&text(&number.to_string())).await.unwrap();
    }
    let (_, reader) = reader(&world);
    let journal = reader.contents().await.unwrap().journal.unwrap();
    let wanted: Vec<_> = (1..13).map(|number: u64| text(&number.to_string())).collect();
    assert_eq!((journal.run, journal.records), (1, wanted));
    ledger.close_journal().await.unwrap();
    assert_eq!(reader.contents().await.unwrap().journal, None);
    ledger.open_journal(&text("next")).await.unwrap();
    ledger.open_journal(&text("after")).await.unwrap();
    let journal = reader.contents().await.unwrap().journal.unwrap();
    assert_eq!((journal.run, journal.records), (3, vec![text("after")]));
    bobs.release().await.unwrap();
}

/// Wherever that is cut off, one of them is there.
#[tokio::test(start_paused = true)]
async fn a_journal_takes_the_place_of_another_at_once() {
    let world = world(3);
    let (ada, lease) = owner(&world).await;
    let ledger = lease.ledger();
    ledger.open_journal(&text("one")).await.unwrap();
    let before: Vec<u64> = world.iter().map(MemoryShelf::puts).collect();
    let cutting = async {
        while world.iter().zip(&before).any(|(shelf, before)| shelf.puts() == *before) {
            sleep(Duration::from_millis(1)).await;
        }
        ada.weather(Weather::Unreachable);
    };
    let next = text("two");
    _ = tokio::join!(ledger.open_journal(&next), cutting);
    ada.weather(Weather::Fine);
    let (_, reader) = reader(&world);
    assert_eq!(reader.contents().await.unwrap().journal.unwrap().records, [text("two")]);
    lease.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_nothing_is_concluded() {
    let world = world(3);
    let (ada, lease) = owner(&world).await;
    lease.ledger().add(1, &text("one"), &text("first")).await.unwrap();
    ada.shelves[0].weather(Weather::Unreachable);
    ada.shelves[1].weather(Weather::Unreachable);
    let read = lease.ledger().contents().await;
    assert!(matches!(read, Err(LedgerError::TooFew { answered: 1, needed: 2, .. })), "{read:?}");
    let written = lease.ledger().add(2, &text("two"), &text("second")).await;
    assert!(written.is_err(), "{written:?}");
    ada.weather(Weather::Fine);
    lease.release().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reader_makes_nothing() {
    let world = world(3);
    let (_, reader) = reader(&world);
    assert_eq!(numbers(&reader).await, [0; 0]);
    assert_eq!(reader.contents().await.unwrap().journal, None);
    assert!(world.iter().all(|shelf| shelf.puts() == 0 && shelf.folders() == 0));
}

#[tokio::test(start_paused = true)]
async fn with_what_is_written_last_a_run_is_over() {
    let world = world(3);
    let (ada, lease) = owner(&world).await;
    let ledger = lease.ledger();
    ledger.open_journal(&text("deploy")).await.unwrap();
    ledger.ends_with_next();
    ledger.add(1, &text("head 1"), &text("body 1")).await.unwrap();
    // Nothing passes after that.
    let refused = ledger.open_journal(&text("more")).await.unwrap_err();
    assert!(matches!(refused, LedgerError::Fenced(_)), "{refused}");
    assert!(lease.fence().pass().await.is_err());
    // It died without giving the lease back: nobody waits until its last calls cannot happen any more.
    drop(lease);
    let bob = Deployer::of("bob", &world, TestClock::new(SECOND, 100));
    let began = Instant::now();
    let lease = bob.claim(Duration::ZERO).await.unwrap();
    assert!(began.elapsed() < times().ttl + 2 * SECOND, "{:?}", began.elapsed());
    assert_eq!(lease.fence().pass().await, Ok(2));
    let there = lease.ledger().contents().await.unwrap();
    assert_eq!((there.releases.len(), there.journal), (1, None));
    lease.release().await.unwrap();
    drop(ada);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_last_is_no_end() {
    let world = world(3);
    let (ada, lease) = owner(&world).await;
    lease.ledger().open_journal(&text("deploy")).await.unwrap();
    lease.ledger().ends_with_next();
    for at in 0..2 {
        ada.shelves[at].weather(Weather::Unreachable);
    }
    lease.ledger().add(1, &text("head 1"), &text("body 1")).await.unwrap_err();
    ada.weather(Weather::Fine);
    // Whoever comes next finds it written, or not, and a run that is over.
    lease.release().await.unwrap();
    let (_, lease) = owner(&world).await;
    let there = lease.ledger().contents().await.unwrap();
    assert!(there.journal.is_some() != (there.releases.len() == 1), "{there:?}");
}
