//! One deployer, step by step: what the model leaves to whoever drives it.

use super::Lease;
use crate::boundary::FolderId;
use crate::lease::{Answer, Ask, Epochs, Holder, Order, Seen, Times};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

fn seconds(number: u64) -> Duration {
    HOUR + Duration::from_secs(number)
}

fn lease(anchors: usize) -> Lease {
    Lease::new("me", anchors, Times::new(Duration::from_secs(15), Duration::from_secs(30)), 7)
}

fn id(text: &str) -> FolderId {
    FolderId(text.to_owned())
}

fn theirs(beat: u32) -> Answer {
    let holder = Holder { run: "they".to_owned(), owner: "ada".to_owned(), ..Holder::default() };
    Answer::Taken(Seen { id: id("t"), holder, beat })
}

/// What is asked of the anchors now.
fn asks(lease: &mut Lease, now: Duration) -> Vec<Ask> {
    let asks = lease.due(now).into_iter().map(|order| match order {
        Order::Ask(_, ask) => ask,
        other => panic!("{other:?}"),
    });
    asks.collect()
}

/// Brings a lease on one anchor so far that its heartbeats count.
fn owner(over: bool) -> Lease {
    let mut lease = lease(1);
    assert_eq!(asks(&mut lease, seconds(0)), [Ask::Look]);
    lease.answered(seconds(0), 0, Answer::Free);
    assert_eq!(asks(&mut lease, seconds(0)), [Ask::Claim]);
    lease.answered(seconds(1), 0, Answer::Made(id("m")));
    let orders = lease.due(seconds(1));
    assert!(orders.contains(&Order::ReadEpochs), "{orders:?}");
    lease.epochs_read(seconds(1), Some(Epochs { highest: 4, over, settle: Duration::from_secs(10) }));
    lease.answered(seconds(1), 0, Answer::Done);
    assert_eq!(lease.due(seconds(1)), [Order::Record(5)]);
    lease.recorded(seconds(2), 5, true);
    lease
}

/// Sends a heartbeat and has it answered later.
fn beat(lease: &mut Lease, sent: u64, answered: u64, answer: Answer) {
    let asked = asks(lease, seconds(sent));
    assert!(matches!(&asked[..], [Ask::Beat(to, _)] if *to == id("m")), "{asked:?}");
    lease.answered(seconds(answered), 0, answer);
}

#[test]
fn writes_are_allowed_from_the_send_of_a_heartbeat() {
    let mut lease = owner(true);
    assert!(!lease.may_write(seconds(2)), "no heartbeat was taken since the epoch was recorded");
    beat(&mut lease, 2, 5, Answer::Done);
    assert_eq!(lease.epoch(), Some(5));
    assert_eq!(lease.valid_until(), Some(seconds(12)));
    assert!(lease.may_write(seconds(11)) && !lease.may_write(seconds(12)));
    beat(&mut lease, 14, 15, Answer::Failed);
    assert!(!lease.may_write(seconds(15)));
    beat(&mut lease, 18, 19, Answer::Done);
    assert!(lease.may_write(seconds(27)) && !lease.is_lost());
}

#[test]
fn after_one_who_did_not_say_goodbye_nothing_counts_until_his_last_call_is_over() {
    let mut lease = owner(false);
    assert_eq!(lease.settles_in(seconds(2)), Some(Duration::from_secs(44)));
    for sent in [2, 20, 45] {
        beat(&mut lease, sent, sent, Answer::Done);
        assert!(!lease.may_write(seconds(sent)) && !lease.may_close());
    }
    // Claimed at 1, and 45 seconds later.
    beat(&mut lease, 48, 48, Answer::Done);
    assert!(lease.may_write(seconds(48)) && lease.may_close());
    assert_eq!(lease.settles_in(seconds(48)), None);
}

#[test]
fn who_was_there_before_may_have_had_more_patience() {
    let mut lease = lease(1);
    asks(&mut lease, seconds(0));
    lease.answered(seconds(0), 0, Answer::Free);
    asks(&mut lease, seconds(0));
    lease.answered(seconds(0), 0, Answer::Made(id("m")));
    lease.due(seconds(0));
    lease.epochs_read(seconds(0), Some(Epochs { highest: 1, over: false, settle: Duration::from_secs(100) }));
    lease.answered(seconds(0), 0, Answer::Done);
    lease.due(seconds(0));
    lease.recorded(seconds(0), 2, true);
    assert_eq!(lease.settles_in(seconds(0)), Some(Duration::from_secs(100)));
}

#[test]
fn an_owner_whose_folder_is_gone_never_writes_again() {
    let mut lease = owner(true);
    beat(&mut lease, 2, 2, Answer::Done);
    beat(&mut lease, 5, 5, Answer::Gone);
    assert!(lease.is_lost() && !lease.may_write(seconds(5)));
    assert_eq!(lease.due(seconds(60)), []);
    assert_eq!(lease.epoch(), None);
}

#[test]
fn a_heartbeat_that_moves_is_left_alone() {
    let mut lease = lease(1);
    for beat in 1..20 {
        let now = seconds(3 * u64::from(beat));
        assert_eq!(asks(&mut lease, now), [Ask::Look], "{beat}");
        lease.answered(now, 0, theirs(beat));
        assert_eq!(lease.is_held_by_another(), beat > 1, "{beat}");
    }
    let rivals = lease.rivals();
    assert_eq!((rivals[0].seen.holder.owner.as_str(), rivals[0].moved), ("ada", true));
}

#[test]
fn one_that_stands_still_for_the_time_to_live_is_taken_away() {
    let mut lease = lease(1);
    for second in [0, 3, 6, 9, 12, 15] {
        assert_eq!(asks(&mut lease, seconds(second)), [Ask::Look], "{second}");
        // Answers are late: what counts is when a look was sent, and when the first answer came.
        lease.answered(seconds(second + 1), 0, theirs(1));
    }
    assert_eq!(asks(&mut lease, seconds(18)), [Ask::Look], "14 seconds are not enough");
    lease.answered(seconds(18), 0, theirs(1));
    assert_eq!(asks(&mut lease, seconds(18)), [Ask::Remove(id("t"))]);
    lease.answered(seconds(18), 0, Answer::Gone);
    assert_eq!(asks(&mut lease, seconds(18)), [Ask::Claim]);
}

#[test]
fn a_minority_is_given_up() {
    let mut lease = lease(3);
    assert_eq!(asks(&mut lease, seconds(0)).len(), 3);
    for number in 0..3 {
        lease.answered(seconds(0), number, Answer::Free);
    }
    assert_eq!(asks(&mut lease, seconds(0)), [Ask::Claim, Ask::Claim, Ask::Claim]);
    lease.answered(seconds(0), 0, Answer::Made(id("m")));
    lease.answered(seconds(0), 1, theirs(0));
    lease.answered(seconds(0), 2, theirs(0));
    assert_eq!(asks(&mut lease, seconds(0)), [Ask::Remove(id("m"))]);
    assert_eq!(lease.folders(), [(0, id("m"))]);
    lease.answered(seconds(0), 0, Answer::Done);
    assert_eq!(lease.folders(), []);
}

#[test]
fn a_claim_whose_answer_was_lost_is_found_again() {
    let mut lease = lease(1);
    asks(&mut lease, seconds(0));
    lease.answered(seconds(0), 0, Answer::Free);
    asks(&mut lease, seconds(0));
    lease.answered(seconds(0), 0, Answer::Failed);
    assert_eq!(lease.silent(), [0]);
    assert_eq!(asks(&mut lease, seconds(1)), []);
    assert_eq!(asks(&mut lease, seconds(3)), [Ask::Look]);
    let holder = Holder { run: "me".to_owned(), ..Holder::default() };
    lease.answered(seconds(3), 0, Answer::Taken(Seen { id: id("m"), holder, beat: 0 }));
    assert_eq!(lease.folders(), [(0, id("m"))]);
}

/// Two of three are enough, but whoever has the third may be one whose file names that one alone.
#[test]
fn nobody_begins_beside_one_who_lives_on_too_few() {
    let mut lease = lease(3);
    assert_eq!(asks(&mut lease, seconds(0)), [Ask::Look, Ask::Look, Ask::Look]);
    lease.answered(seconds(0), 0, theirs(1));
    lease.answered(seconds(0), 1, Answer::Free);
    lease.answered(seconds(0), 2, Answer::Free);
    assert_eq!(asks(&mut lease, seconds(0)), [Ask::Claim, Ask::Claim]);
    lease.answered(seconds(0), 1, Answer::Made(id("b")));
    lease.answered(seconds(0), 2, Answer::Made(id("c")));
    let mut clone = lease.clone();
    // Nobody knows yet whether he lives, so epochs are not read.
    let mut now = seconds(0);
    let step = |lease: &mut Lease, now: Duration, answer: Answer| {
        for order in lease.due(now) {
            match order {
                Order::Ask(0, Ask::Look) => lease.answered(now, 0, answer.clone()),
                Order::Ask(number, Ask::Beat(..) | Ask::Remove(_)) => {
                    lease.answered(now, number, Answer::Done);
                }
                Order::Ask(number, Ask::Look) => lease.answered(now, number, Answer::Free),
                other => return Some(other),
            }
        }
        None
    };
    for _ in 0..10 {
        now += Duration::from_secs(1);
        assert_eq!(step(&mut lease, now, theirs(1)), None);
    }
    assert!(!lease.is_held_by_another());
    // He does: what was claimed is given back, and nothing claimed again.
    for beat in 2..20 {
        now += Duration::from_secs(3);
        assert_eq!(step(&mut lease, now, theirs(beat)), None);
        // The first one may have been on its way since before he died.
        assert_eq!(lease.is_held_by_another(), beat > 2);
    }
    assert!(lease.folders().is_empty());
    // He does not, and is taken away.
    let removal = (0..60).find_map(|second| step(&mut clone, seconds(second), theirs(1)));
    assert!(matches!(removal, Some(Order::Ask(0, Ask::Remove(_)) | Order::ReadEpochs)), "{removal:?}");
}
