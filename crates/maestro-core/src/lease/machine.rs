//! The state machine of one deployer.

use crate::boundary::{FolderId, LAST_BEAT};
use crate::lease::{Answer, Ask, Epochs, Order, Seen, Times, majority};
use std::time::Duration;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

/// One deployer's way to a lease, and with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease {
    run: String,
    times: Times,
    anchors: Vec<Anchor>,
    stage: Stage,
    /// Epochs are being read or recorded, since then.
    asked: Option<Duration>,
    /// Not before this.
    ask_at: Duration,
    /// How long after a claim nothing of who was there before is under way.
    settle: Duration,
    /// All recorded epochs were over when this run claimed.
    alone: bool,
    /// It could write at some time.
    has_held: bool,
    /// Since when it has had a majority, while it waits for the others.
    enough_since: Option<Duration>,
    /// No claims before this.
    claim_at: Duration,
    beats: u32,
    chance: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    /// It wants a majority.
    Contending,
    /// It has one, and reads who had it before.
    Reading,
    /// It writes down that it is the owner.
    Recording(u64),
    /// It is the owner since then, and may write while its heartbeats say so.
    Holding(u64, Duration),
    /// It was, and is not.
    Lost,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Anchor {
    standing: Standing,
    busy: Option<(Ask, Duration)>,
    /// No look and no heartbeat before this.
    at: Duration,
    /// After a failure: nothing at all before this.
    rest: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Standing {
    /// Nothing is known.
    Unknown,
    /// Nobody has it.
    Free,
    Mine(Mine),
    /// This run's, and it is given up.
    Leaving(FolderId),
    Theirs(Theirs),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Mine {
    id: FolderId,
    /// When the answer to the claim came.
    claimed: Duration,
    /// Heartbeats sent earlier do not count: whoever was there before may still be writing.
    counts_from: Duration,
    /// It is of those that made this run the owner, or has counted since.
    counted: bool,
    /// When the last heartbeat was sent that was taken and counts.
    taken: Option<Duration>,
}

/// So often a heartbeat has to move that it is certain that somebody lives.
const CERTAIN: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Theirs {
    seen: Seen,
    /// When the first answer came that showed this heartbeat.
    since: Duration,
    /// When the last look was sent that showed the same.
    looked: Duration,
    /// How often its heartbeat has been seen to move; no more than [`CERTAIN`].
    moves: u8,
}

/// Somebody else who has the lease on an anchor.
#[derive(Debug, Clone, Copy)]
pub struct Rival<'a> {
    /// The anchor's number.
    pub anchor: usize,
    /// Who.
    pub seen: &'a Seen,
    /// Whether its heartbeat was seen to move: it is not dead.
    pub moved: bool,
    /// When what its heartbeat shows was seen first, by this process's clock.
    pub since: Duration,
}

impl Lease {
    /// Nothing is claimed yet. `run` differs for every process and claim; `chance` is a random number, by which
    /// deployers that are in each other's way do not come back at the same time.
    pub fn new(run: impl Into<String>, anchors: usize, times: Times, chance: u64) -> Self {
        let anchor =
            Anchor { standing: Standing::Unknown, busy: None, at: Duration::ZERO, rest: Duration::ZERO };
        Self {
            run: run.into(),
            times,
            anchors: vec![anchor; anchors],
            stage: Stage::Contending,
            asked: None,
            ask_at: Duration::ZERO,
            settle: times.settle(),
            alone: false,
            has_held: false,
            enough_since: None,
            claim_at: Duration::ZERO,
            beats: 0,
            chance: chance | 1,
        }
    }

    /// What is to be done now. Every order is given once, and is under way until its answer has come.
    pub fn due(&mut self, now: Duration) -> Vec<Order> {
        self.decide(now);
        let mut orders = Vec::new();
        if self.asked.is_none() && now >= self.ask_at {
            let order = match self.stage {
                Stage::Reading => Some(Order::ReadEpochs),
                Stage::Recording(epoch) => Some(Order::Record(epoch)),
                Stage::Contending | Stage::Holding(..) | Stage::Lost => None,
            };
            if let Some(order) = order {
                self.asked = Some(now);
                orders.push(order);
            }
        }
        let may_claim = self.may_claim(now);
        let ttl = self.times.ttl;
        for (number, anchor) in self.anchors.iter_mut().enumerate() {
            if anchor.busy.is_some() || now < anchor.rest || self.stage == Stage::Lost {
                continue;
            }
            let is_time = now >= anchor.at;
            let ask = match &anchor.standing {
                Standing::Free if may_claim => Some(Ask::Claim),
                Standing::Theirs(theirs) if may_claim && theirs.is_dead(ttl) => {
                    Some(Ask::Remove(theirs.seen.id.clone()))
                }
                Standing::Leaving(id) => Some(Ask::Remove(id.clone())),
                Standing::Mine(mine) if is_time => {
                    self.beats = self.beats % LAST_BEAT + 1;
                    Some(Ask::Beat(mine.id.clone(), self.beats))
                }
                Standing::Unknown | Standing::Free | Standing::Theirs(_) if is_time => Some(Ask::Look),
                _ => None,
            };
            if let Some(ask) = ask {
                anchor.busy = Some((ask.clone(), now));
                orders.push(Order::Ask(number, ask));
            }
        }
        orders
    }

    /// Takes an anchor's answer to what it was asked last.
    pub fn answered(&mut self, now: Duration, number: usize, answer: Answer) {
        let (pace, settle) = (self.times.pace, self.settle);
        let Some(anchor) = self.anchors.get_mut(number) else { return };
        let Some((ask, sent)) = anchor.busy.take() else { return };
        anchor.at = sent + pace;
        let mine = |id: FolderId| {
            Standing::Mine(Mine { id, claimed: now, counts_from: now + settle, counted: false, taken: None })
        };
        match (ask, answer) {
            (Ask::Look | Ask::Claim, Answer::Free) => anchor.standing = Standing::Free,
            (Ask::Look | Ask::Claim, Answer::Made(id)) => anchor.standing = mine(id),
            // A claim whose answer was lost.
            (Ask::Look | Ask::Claim, Answer::Taken(seen)) if seen.holder.run == self.run => {
                anchor.standing = mine(seen.id);
            }
            (Ask::Look | Ask::Claim, Answer::Taken(seen)) => match &mut anchor.standing {
                Standing::Theirs(theirs) if theirs.seen == seen => theirs.looked = sent,
                standing => {
                    let moves = match standing {
                        Standing::Theirs(theirs) if theirs.seen.id == seen.id && theirs.seen.beat != 0 => {
                            CERTAIN.min(theirs.moves + 1)
                        }
                        // Somebody has come meanwhile.
                        Standing::Theirs(_) => CERTAIN,
                        _ => 0,
                    };
                    *standing = Standing::Theirs(Theirs { seen, since: now, looked: sent, moves });
                }
            },
            (Ask::Beat(..), Answer::Done) => {
                if let (Standing::Mine(mine), Stage::Holding(_, since)) = (&mut anchor.standing, &self.stage)
                    && sent >= *since
                    && sent >= mine.counts_from
                {
                    mine.taken = Some(sent);
                    mine.counted = true;
                }
            }
            (Ask::Beat(..), Answer::Gone) => {
                anchor.standing = Standing::Unknown;
                anchor.at = now;
            }
            (Ask::Remove(_), Answer::Done | Answer::Gone) => anchor.standing = Standing::Free,
            // What was asked may have been done, or may be done later. A folder of this run's stays one until an
            // anchor says otherwise; of a claim, a look tells.
            (ask, _) => {
                anchor.rest = now + pace;
                if ask == Ask::Claim {
                    anchor.standing = Standing::Unknown;
                }
            }
        }
        self.decide(now);
        self.has_held |= self.may_write(now);
    }

    /// Takes what was read of epochs; none if it could not be read.
    pub fn epochs_read(&mut self, now: Duration, epochs: Option<Epochs>) {
        let Some(sent) = self.asked.take() else { return };
        if self.stage != Stage::Reading {
            return;
        }
        let Some(epochs) = epochs else {
            self.ask_at = now + self.times.pace;
            return;
        };
        // What was read before a claim says nothing about who was there before it.
        if self.counted().any(|mine| mine.claimed > sent) {
            return;
        }
        // Who was there before may have had more patience.
        self.settle = self.settle.max(epochs.settle);
        let settle = if epochs.over { Duration::ZERO } else { self.settle };
        for mine in self.each_mine().filter(|mine| mine.counted) {
            mine.counts_from = mine.claimed + settle;
        }
        self.alone = epochs.over;
        self.stage = Stage::Recording(epochs.highest + 1);
    }

    /// Takes whether an epoch was recorded.
    pub fn recorded(&mut self, now: Duration, epoch: u64, done: bool) {
        self.asked = None;
        if self.stage != Stage::Recording(epoch) {
            return;
        }
        if !done {
            self.ask_at = now + self.times.pace;
            return;
        }
        self.stage = Stage::Holding(epoch, now);
        for anchor in &mut self.anchors {
            anchor.at = anchor.at.min(now);
        }
    }

    /// Whether a call that changes something may be sent now.
    pub fn may_write(&self, now: Duration) -> bool {
        self.valid_until().is_some_and(|until| now < until)
    }

    /// Until when it may, unless another heartbeat is taken before.
    pub fn valid_until(&self) -> Option<Duration> {
        if !matches!(self.stage, Stage::Holding(..)) {
            return None;
        }
        let mut taken: Vec<Duration> = self.mine().filter_map(|mine| mine.taken).collect();
        taken.sort_unstable_by(|a, b| b.cmp(a));
        taken.get(majority(self.anchors.len()) - 1).map(|sent| *sent + self.times.valid())
    }

    /// How long an owner still waits until nothing of his predecessor can be under way.
    pub fn settles_in(&self, now: Duration) -> Option<Duration> {
        if !matches!(self.stage, Stage::Holding(..)) {
            return None;
        }
        let mut times: Vec<Duration> = self.counted().map(|mine| mine.counts_from).collect();
        times.sort_unstable();
        let last = times.get(majority(self.anchors.len()) - 1)?;
        last.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// The epoch that this run is the owner of, or would be as soon as its heartbeats count.
    pub fn epoch(&self) -> Option<u64> {
        match self.stage {
            Stage::Holding(epoch, _) => Some(epoch),
            _ => None,
        }
    }

    /// Whether it was the owner and is not any more; it never will be again.
    pub fn is_lost(&self) -> bool {
        self.stage == Stage::Lost
    }

    /// Whether whoever had it before has said that he is done: nothing of his can be under way.
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Whether it may be recorded that this run is over, so that the next owner need not wait: not by one that waited
    /// in vain for its own predecessor's last call.
    pub fn may_close(&self) -> bool {
        self.has_held || self.alone
    }

    /// The folders that are this run's, by their anchors' numbers, for who leaves.
    pub fn folders(&self) -> Vec<(usize, FolderId)> {
        let folder = |(number, anchor): (usize, &Anchor)| match &anchor.standing {
            Standing::Mine(Mine { id, .. }) | Standing::Leaving(id) => Some((number, id.clone())),
            Standing::Unknown | Standing::Free | Standing::Theirs(_) => None,
        };
        self.anchors.iter().enumerate().filter_map(folder).collect()
    }

    /// Who else has the lease somewhere.
    pub fn rivals(&self) -> Vec<Rival<'_>> {
        let mut rivals = Vec::new();
        for (anchor, found) in self.anchors.iter().enumerate() {
            if let Standing::Theirs(theirs) = &found.standing {
                let Theirs { seen, since, .. } = theirs;
                rivals.push(Rival { anchor, seen, moved: self.lives(theirs), since: *since });
            }
        }
        rivals
    }

    /// Whether somebody lives who has the lease: on a majority of these anchors, or perhaps of others.
    pub fn is_held_by_another(&self) -> bool {
        let ttl = self.times.ttl;
        let lives = |anchor: &Anchor| matches!(&anchor.standing, Standing::Theirs(theirs) if self.lives(theirs) && !theirs.is_dead(ttl));
        self.stage == Stage::Contending && self.anchors.iter().any(lives)
    }

    /// Whether somebody was seen to live. On too few anchors one heartbeat says nothing: what was cut off gets what was
    /// sent to it before when it is back, whoever has sent it.
    fn lives(&self, theirs: &Theirs) -> bool {
        let run = &theirs.seen.holder.run;
        let is_theirs = |anchor: &&Anchor| matches!(&anchor.standing, Standing::Theirs(other) if other.seen.holder.run == *run);
        let enough = self.anchors.iter().filter(is_theirs).count() >= majority(self.anchors.len());
        theirs.moves >= if enough { 1 } else { CERTAIN }
    }

    /// The anchors that did not answer the last question.
    pub fn silent(&self) -> Vec<usize> {
        let silent = |(number, anchor): (usize, &Anchor)| {
            (anchor.standing == Standing::Unknown && anchor.rest > Duration::ZERO).then_some(number)
        };
        self.anchors.iter().enumerate().filter_map(silent).collect()
    }

    /// What follows from what is known.
    fn decide(&mut self, now: Duration) {
        let needed = majority(self.anchors.len());
        let ttl = self.times.ttl;
        // Whoever is on too few of these anchors may have enough of others: not every file has the same.
        let is_about =
            |anchor: &Anchor| matches!(&anchor.standing, Standing::Theirs(theirs) if !theirs.is_dead(ttl));
        match self.stage {
            Stage::Contending if self.mine().count() >= needed && !self.anchors.iter().any(is_about) => {
                // Those that are only a moment late shall count from the beginning, too.
                let since = *self.enough_since.get_or_insert(now);
                let late = |a: &Anchor| matches!(a.standing, Standing::Unknown | Standing::Free);
                if now < since + self.times.pace / 8 && self.anchors.iter().any(late) {
                    return;
                }
                self.enough_since = None;
                for mine in self.each_mine() {
                    mine.counted = true;
                }
                self.stage = Stage::Reading;
            }
            Stage::Contending => {
                self.enough_since = None;
                let unasked = |a: &Anchor| a.standing == Standing::Unknown && a.busy.is_some();
                let hopeless = self.is_held_by_another()
                    || self.attainable() < needed && !self.anchors.iter().any(unasked);
                if hopeless && self.mine().next().is_some() {
                    self.claim_at = now + self.backoff();
                    for anchor in &mut self.anchors {
                        if let Standing::Mine(mine) = &anchor.standing {
                            anchor.standing = Standing::Leaving(mine.id.clone());
                        }
                    }
                }
            }
            Stage::Reading | Stage::Recording(_) if self.counted().count() < needed => {
                let settle = self.settle;
                for mine in self.each_mine() {
                    mine.counted = false;
                    mine.counts_from = mine.claimed + settle;
                }
                self.alone = false;
                self.stage = Stage::Contending;
            }
            Stage::Holding(..) if self.counted().count() < needed => self.stage = Stage::Lost,
            Stage::Reading | Stage::Recording(_) | Stage::Holding(..) | Stage::Lost => {}
        }
    }

    fn may_claim(&self, now: Duration) -> bool {
        match self.stage {
            Stage::Contending => {
                now >= self.claim_at
                    && self.attainable() >= majority(self.anchors.len())
                    && !self.is_held_by_another()
            }
            Stage::Reading | Stage::Recording(_) | Stage::Holding(..) => true,
            Stage::Lost => false,
        }
    }

    /// How many anchors this run has, or could have now.
    fn attainable(&self) -> usize {
        let attainable = |anchor: &&Anchor| match &anchor.standing {
            Standing::Mine(_) | Standing::Free => true,
            Standing::Theirs(theirs) => theirs.is_dead(self.times.ttl),
            Standing::Unknown | Standing::Leaving(_) => false,
        };
        self.anchors.iter().filter(attainable).count()
    }

    fn mine(&self) -> impl Iterator<Item = &Mine> {
        self.anchors.iter().filter_map(|anchor| match &anchor.standing {
            Standing::Mine(mine) => Some(mine),
            _ => None,
        })
    }

    fn each_mine(&mut self) -> impl Iterator<Item = &mut Mine> {
        self.anchors.iter_mut().filter_map(|anchor| match &mut anchor.standing {
            Standing::Mine(mine) => Some(mine),
            _ => None,
        })
    }

    fn counted(&self) -> impl Iterator<Item = &Mine> {
        self.mine().filter(|mine| mine.counted)
    }

    /// Between a quarter of the pace and a little more than one.
    fn backoff(&mut self) -> Duration {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let eighths = u32::try_from(self.chance % 8).unwrap_or(0);
        self.times.pace / 4 + self.times.pace * eighths / 8
    }
}

impl Theirs {
    fn is_dead(&self, ttl: Duration) -> bool {
        self.looked >= self.since + ttl
    }
}
