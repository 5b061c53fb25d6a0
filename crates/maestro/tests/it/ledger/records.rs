//! What is recorded, whichever anchors are there.

use super::{Deployer, SECOND, TestClock, world};
use maestro::ledger::{HeldLease, ShelfLedger};
use maestro_core::boundary::{Document, FolderName, Ledger, LedgerError, LedgerWriter};
use maestro_testkit::shelf::{MemoryShelf, Weather};
use std::time::Duration;
use tokio::time::sleep;

fn text(words: &str) -> Document {
    Document::new(1, words)
}

async fn owner(world: &[MemoryShelf]) -> (Deployer, HeldLease) {
    let deployer = Deployer::of("ada", world, TestClock::new(SECOND, 100));
    let lease = deployer.claim(Duration::ZERO).await.unwrap();
    (deployer, lease)
}

fn reader(world: &[MemoryShelf]) -> (Deployer, ShelfLedger) {
    let deployer = Deployer::of("reader", world, TestClock::new(SECOND, 100));
    let ledger = ShelfLedger::new(&deployer.anchors(), 5 * SECOND);
    (deployer, ledger)
}

async fn numbers(ledger: &dyn Ledger) -> Vec<u64> {
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

fn ledger_name() -> FolderName {
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
