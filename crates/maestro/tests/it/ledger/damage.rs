//! What is left of the lists when an anchor's host died while they were written.

use super::records::{ledger_name, numbers, owner, reader, text};
use super::world;
use maestro_core::boundary::{Contents, Ledger, LedgerWriter, Unreadable};
use maestro_testkit::shelf::{MemoryShelf, Weather};

/// How a file is damaged: it is empty, or ends too early.
const KEPT: [usize; 2] = [0, 20];

/// Damages the files whose paths contain this; there are so many of them.
fn damage(shelf: &MemoryShelf, path: &str, kept: usize) -> usize {
    let mut count = 0;
    shelf.spoil(&ledger_name(), |files| {
        for (_, content) in files.iter_mut().filter(|(other, _)| other.contains(path)) {
            content.truncate(kept);
            count += 1;
        }
    });
    count
}

/// What is read, by anybody and by an owner, and what is damaged of it.
async fn read(world: &[MemoryShelf]) -> (Contents, Vec<Unreadable>) {
    let (_, reader) = reader(world);
    let contents = reader.contents().await.unwrap();
    let (_ada, lease) = owner(world).await;
    assert_eq!(lease.ledger().contents().await.unwrap(), contents);
    lease.release().await.unwrap();
    let unreadable = contents.unreadable.iter().copied().collect();
    (contents, unreadable)
}

#[tokio::test(start_paused = true)]
async fn a_release_that_cannot_be_listed_is_missed() {
    for kept in KEPT {
        let world = world(1);
        let (_ada, lease) = owner(&world).await;
        for number in 1..=2 {
            lease.ledger().add(number, &text("head"), &text("body")).await.unwrap();
        }
        lease.release().await.unwrap();
        assert_eq!(damage(&world[0], "heads/00000000/0000000002", kept), 1);
        let (contents, unreadable) = read(&world).await;
        assert_eq!((contents.releases.len(), unreadable), (1, vec![Unreadable::Release(2)]), "{kept}");
        // The next one has its number.
        let (_ada, lease) = owner(&world).await;
        lease.ledger().add(2, &text("head"), &text("another")).await.unwrap();
        lease.release().await.unwrap();
        let (contents, unreadable) = read(&world).await;
        assert_eq!((contents.releases.len(), unreadable), (2, vec![]), "{kept}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_journal_whose_last_record_is_damaged_is_missed() {
    for kept in KEPT {
        for (path, left, is_missed) in
            [("00000001.00000000", 1, false), ("00000001.00000001", 1, true), ("journal", 0, true)]
        {
            let case = format!("{path}, {kept}");
            let world = world(1);
            let (_ada, lease) = owner(&world).await;
            lease.ledger().open_journal(&text("deploy")).await.unwrap();
            lease.ledger().append(&text("go back")).await.unwrap();
            lease.release().await.unwrap();
            assert_eq!(damage(&world[0], path, kept), 2 - left, "{case}");
            let (contents, unreadable) = read(&world).await;
            assert_eq!(contents.journal.map_or(0, |journal| journal.records.len()), left, "{case}");
            assert_eq!(unreadable.contains(&Unreadable::Journal), is_missed, "{case}");
            // The next one takes its place.
            let (_ada, lease) = owner(&world).await;
            lease.ledger().open_journal(&text("another")).await.unwrap();
            let contents = lease.ledger().contents().await.unwrap();
            assert_eq!(contents.journal.unwrap().records.last(), Some(&text("another")), "{case}");
            assert!(contents.unreadable.is_empty(), "{case}: {:?}", contents.unreadable);
            lease.ledger().close_journal().await.unwrap();
            lease.release().await.unwrap();
            let (contents, unreadable) = read(&world).await;
            assert_eq!((contents.journal, unreadable), (None, vec![]), "{case}");
        }
    }
}

/// Marks say all by their names; what is deleted is not missed.
#[tokio::test(start_paused = true)]
async fn marks_count_although_they_are_damaged() {
    for kept in KEPT {
        let world = world(1);
        let (_ada, lease) = owner(&world).await;
        let ledger = lease.ledger();
        for number in 1..=3 {
            ledger.open_journal(&text("deploy")).await.unwrap();
            ledger.add(number, &text("head"), &text("body")).await.unwrap();
        }
        ledger.forget_below(3).await.unwrap();
        lease.release().await.unwrap();
        // Engines leave empty files where something was.
        world[0].spoil(&ledger_name(), |files| {
            for path in ["heads/00000000/0000000002.0000000001", "journal/00000000/0000000003"] {
                files.insert(format!("index/{path}"), Vec::new());
            }
        });
        assert_eq!(damage(&world[0], "index/floor", kept), 1);
        assert_eq!(damage(&world[0], "index/closed", kept), 3);
        let (contents, unreadable) = read(&world).await;
        let listed: Vec<u64> = contents.releases.iter().map(|entry| entry.number).collect();
        assert_eq!((listed, contents.journal, unreadable), (vec![3], None, vec![]), "{kept}");
    }
}

/// A reader who asks no more anchors than he needs asks the others, if what one has cannot be read.
#[tokio::test(start_paused = true)]
async fn what_is_damaged_on_one_anchor_is_read_from_another() {
    for kept in KEPT {
        let world = world(3);
        let (ada, lease) = owner(&world).await;
        let ledger = lease.ledger();
        ada.shelves[1].weather(Weather::Unreachable);
        ledger.add(1, &text("head"), &text("body")).await.unwrap();
        ledger.open_journal(&text("deploy")).await.unwrap();
        damage(&world[0], "heads", kept);
        damage(&world[0], "journal", kept);
        let (_, reader) = reader(&world);
        let contents = reader.contents().await.unwrap();
        assert_eq!(numbers(&reader).await, [1], "{kept}");
        assert_eq!(contents.journal.unwrap().records, [text("deploy")], "{kept}");
        assert!(contents.unreadable.is_empty(), "{kept}: {:?}", contents.unreadable);
        ada.weather(Weather::Fine);
        // An owner mends it.
        assert!(ledger.contents().await.unwrap().unreadable.is_empty(), "{kept}");
        damage(&world[2], "index", kept);
        assert_eq!(numbers(&reader).await, [1], "{kept}");
        lease.release().await.unwrap();
    }
}
