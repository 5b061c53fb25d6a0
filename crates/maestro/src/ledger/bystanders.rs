//! For whoever has no lease: who has it, whether he lives, and how it is taken away from him.

use super::quorum::Anchors;
use futures_util::future::join_all;
use maestro_core::boundary::Shelf;
use maestro_core::engine_error::EngineError;
use maestro_core::lease::{Holder, Seen, Times, majority};
use maestro_core::names::ShipName;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Who has the lease on which anchor, for who only wants to know.
pub async fn holders(
    anchors: &Anchors,
    deadline: Duration,
) -> Vec<(ShipName, Result<Option<Holder>, EngineError>)> {
    let looks = (0..anchors.count()).filter_map(|number| {
        let (ship, shelf) = anchors.place(number)?;
        Some(async move {
            let found = at_most(anchors, number, deadline, look_at(anchors, &**shelf)).await;
            (ship.clone(), found.map(|found| found.map(|seen| seen.holder)))
        })
    });
    join_all(looks).await
}

/// Who has the lease on any of these anchors and lives, which takes as long to know as a heartbeat takes to move, or a
/// dead owner to be known as one; none if nobody does. `tell` hears of who is looked at. Anchors that do not answer are
/// left out: this is for who does not need the lease, and only wants to be in nobody's way.
pub async fn at_work(
    anchors: &Anchors,
    among: &dyn Fn(&ShipName) -> bool,
    times: Times,
    tell: &mut (dyn FnMut(&Holder) + Send),
) -> Option<Holder> {
    let numbers: Vec<usize> = (0..anchors.count())
        .filter(|number| anchors.place(*number).is_some_and(|(ship, _)| among(ship)))
        .collect();
    // What each said that answered.
    let look_at_all = async || -> BTreeMap<usize, Option<Seen>> {
        let looks = numbers.iter().filter_map(|number| {
            let (_, shelf) = anchors.place(*number)?;
            let found = at_most(anchors, *number, times.deadline(), look_at(anchors, &**shelf));
            Some(async move { Some((*number, found.await.ok()?)) })
        });
        join_all(looks).await.into_iter().flatten().collect()
    };
    let mut last = look_at_all().await;
    let mut there = last.values().flatten();
    let holder = there.next()?.holder.clone();
    // What was cut off gets what was sent to it before when it is back: on one of several, one heartbeat says nothing.
    let mut certain = if 1 + there.count() < majority(anchors.count()) { 2 } else { 1 };
    tell(&holder);
    let began = Instant::now();
    while began.elapsed() < times.ttl {
        sleep(times.pace).await;
        let now = look_at_all().await;
        now.values().flatten().next()?;
        // What is found on an anchor that had not answered before may be as old as what the others have.
        let moved = now.iter().find_map(|(number, seen)| {
            let is_other = last.get(number).is_some_and(|before| before != seen);
            seen.as_ref().filter(|_| is_other)
        });
        if let Some(lives) = moved {
            certain -= 1;
            if certain == 0 {
                return Some(lives.holder.clone());
            }
        }
        last.extend(now);
    }
    None
}

/// What came of taking a lease away.
#[derive(Debug)]
pub struct Unlocked {
    /// From how many anchors it was taken.
    pub taken: usize,
    /// What the others said where it may be yet.
    pub failed: Vec<EngineError>,
    /// Whether those are too few for it to be anybody's lease.
    pub is_over: bool,
}

/// Takes a run's lease away, wherever it is. If that is so on a majority of the anchors, its owner stops at his next write,
/// and who claims next waits until nothing of it can be under way.
pub async fn unlock(anchors: &Anchors, run: &str, deadline: Duration) -> Unlocked {
    let removals = (0..anchors.count()).filter_map(|number| {
        let (_, shelf) = anchors.place(number)?;
        Some(at_most(anchors, number, deadline, take_away(anchors, &**shelf, run)))
    });
    let mut taken = 0;
    let mut failed = Vec::new();
    for result in join_all(removals).await {
        match result {
            Ok(was_there) => taken += usize::from(was_there),
            Err(error) => failed.push(error),
        }
    }
    let is_over = failed.len() < majority(anchors.count());
    Unlocked { taken, failed, is_over }
}

async fn at_most<T>(
    anchors: &Anchors,
    number: usize,
    deadline: Duration,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    match timeout(deadline, work).await {
        Ok(result) => result,
        Err(_) => Err(anchors.late(number, "looking for a lease", deadline)),
    }
}

async fn look_at(anchors: &Anchors, shelf: &dyn Shelf) -> Result<Option<Seen>, EngineError> {
    Ok(shelf.look(&anchors.folder("lease").0).await?.map(Seen::from))
}

async fn take_away(anchors: &Anchors, shelf: &dyn Shelf, run: &str) -> Result<bool, EngineError> {
    match look_at(anchors, shelf).await? {
        Some(Seen { id, holder, .. }) if holder.run == run => shelf.remove(&id).await.map(|()| true),
        _ => Ok(false),
    }
}
