//! Every interleaving of small worlds: deployers, anchors, a recorded epoch, and everything that can happen between
//! them. What is explored is [`Lease`] itself, not a copy of it.
//!
//! Calls take effect at any time after they were sent, or never, or after their sender has given them up; answers get
//! lost; a deployer that is not scheduled is one that is paused, or dead; folders vanish; clocks differ, and run at
//! their own speed. Times are kept relative to each deployer's own present and cut off where nothing depends on them
//! any more, so that there are finitely many worlds, and no end of time.

mod checks;
mod normal;

use super::{Lease, Stage};
use crate::boundary::FolderId;
use crate::lease::majority;
use crate::lease::{Answer, Ask, Epochs, Holder, Order, Seen, Times};
use foldhash::quality::FixedState;
use std::collections::{BTreeSet, VecDeque};
use std::hash::BuildHasher;
use std::time::Duration;

/// What every deployer's clock shows. Instead of it going on, everything else moves into the past.
const NOW: Duration = Duration::from_secs(1000);
/// Nothing depends on what is longer ago, or further away.
const LONG: Duration = Duration::from_secs(18);
/// More worlds than there are of what is tried here.
const MOST: usize = 400_000;
/// A tick of the world's own time, by a clock that is right.
const TICK: u64 = 6;

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// Two ticks to live, a little more than one to write; a moment for a call. Heartbeats and looks follow each other.
fn times() -> Times {
    Times { ttl: seconds(2 * TICK), call: seconds(1), pace: Duration::ZERO }
}

/// What the world is like, and what is wrong with it.
#[derive(Debug, Clone)]
struct Rules {
    /// How far each deployer's clock goes in a tick.
    rates: Vec<u64>,
    anchors: usize,
    /// How many answers and calls get lost, or come late, at most.
    losses: u32,
    /// How many folders vanish at most.
    prunes: u32,
    /// How often a deployer is stopped at most; one that is never started again is dead.
    pauses: u32,
    /// How many deployers die at most.
    kills: u32,
    /// How often something else happens at most behind a claim, or a removal, and before the other calls arrive that its
    /// sender has under way; none if anything happens at any time.
    splits: Option<u32>,
    flaw: Option<Flaw>,
}

/// What must not be done; each has to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// A dead lease is renamed away instead of removed: heartbeats still reach it.
    Renames,
    /// Heartbeats are put into whatever bears the name.
    BeatsByName,
    /// Nobody waits for the last call of who was there before.
    NeverWaits,
    /// Everybody records that he is over, even if he never was the owner.
    ClosesAlways,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    shelves: Vec<Option<Kept>>,
    /// Renamed folders, where that is the flaw.
    attic: BTreeSet<FolderId>,
    made: u32,
    records: Vec<Record>,
    deployers: Vec<Deployer>,
    losses: u32,
    prunes: u32,
    pauses: u32,
    kills: u32,
    splits: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kept {
    id: FolderId,
    run: usize,
    beat: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Record {
    epoch: u64,
    run: usize,
    /// A majority has it; before, who reads may see it or not.
    whole: bool,
    over: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Deployer {
    lease: Lease,
    /// Under way.
    calls: Vec<Order>,
    /// Given up, and still under way.
    late: Option<Order>,
    /// A call that it sent while it might may be under way until then.
    writes_until: Duration,
    paused: bool,
    gone: bool,
}

#[derive(Debug, Clone, Copy)]
enum Move {
    Tick,
    Pause(usize),
    Kill(usize),
    Resume(usize),
    Deliver(usize, usize, bool),
    /// All that is under way arrives, and is answered, before anything else happens.
    DeliverAll(usize, bool),
    LoseAnswer(usize, usize),
    GiveUp(usize, usize, bool),
    Late(usize),
    Prune(usize),
    Leave(usize),
}

impl World {
    fn new(rules: &Rules) -> Self {
        let deployer = |number: usize| Deployer {
            lease: Lease::new(number.to_string(), rules.anchors, times(), chance(number)),
            calls: Vec::new(),
            late: None,
            writes_until: Duration::ZERO,
            // Each begins when it likes.
            paused: true,
            gone: false,
        };
        let mut world = Self {
            shelves: vec![None; rules.anchors],
            attic: BTreeSet::new(),
            made: 0,
            records: Vec::new(),
            deployers: (0..rules.rates.len()).map(deployer).collect(),
            losses: rules.losses,
            prunes: rules.prunes,
            pauses: rules.pauses,
            kills: rules.kills,
            splits: rules.splits,
        };
        world.settle_down(rules);
        world
    }

    /// What can happen next.
    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        let waits = |d: &Deployer| !d.paused && d.calls.iter().any(|order| is_overdue(d, order));
        if !self.deployers.iter().any(|d| !d.gone && waits(d)) {
            moves.push(Move::Tick);
        }
        for (number, deployer) in self.deployers.iter().enumerate().filter(|(_, d)| !d.gone) {
            if deployer.paused {
                moves.push(Move::Resume(number));
                if self.losses > 0 {
                    moves.extend((0..deployer.calls.len()).map(|call| Move::LoseAnswer(number, call)));
                }
                continue;
            }
            if self.pauses > 0 {
                moves.push(Move::Pause(number));
            }
            if self.kills > 0 && !deployer.lease.is_lost() {
                moves.push(Move::Kill(number));
            }
            match self.splits {
                Some(splits) => moves.extend(self.rounds(number, splits)),
                None => moves.extend(self.answers(number)),
            }
            if matches!(deployer.lease.stage, Stage::Holding(..) | Stage::Recording(_)) {
                moves.push(Move::Leave(number));
            }
        }
        let late = self.deployers.iter().enumerate().filter(|(_, d)| d.late.is_some());
        moves.extend(late.map(|(number, _)| Move::Late(number)));
        if self.prunes > 0 {
            let there = self.shelves.iter().enumerate().filter(|(_, kept)| kept.is_some());
            moves.extend(there.map(|(anchor, _)| Move::Prune(anchor)));
        }
        moves
    }

    /// What can become of the calls of a deployer, each by itself.
    fn answers(&self, number: usize) -> Vec<Move> {
        let deployer = &self.deployers[number];
        let mut moves = Vec::new();
        for (call, order) in deployer.calls.iter().enumerate() {
            // Calls are answered in the order in which they were sent, or one is late.
            if call > 0 && self.losses == 0 {
                continue;
            }
            moves.push(Move::Deliver(number, call, false));
            if *order == Order::ReadEpochs && self.records.iter().any(|r| !r.whole) {
                moves.push(Move::Deliver(number, call, true));
            }
            if self.losses > 0 {
                moves.push(Move::LoseAnswer(number, call));
                if is_overdue(deployer, order) {
                    moves.push(Move::GiveUp(number, call, false));
                    if deployer.late.is_none() && matches!(order, Order::Ask(..)) {
                        moves.push(Move::GiveUp(number, call, true));
                    }
                }
            }
        }
        moves
    }

    /// What can become of them where they are answered together, but for a few that are split.
    fn rounds(&self, number: usize, splits: u32) -> Vec<Move> {
        let calls = &self.deployers[number].calls;
        let Some(first) = calls.first() else { return Vec::new() };
        let mut moves = vec![Move::DeliverAll(number, false)];
        if calls.contains(&Order::ReadEpochs) && self.records.iter().any(|r| !r.whole) {
            moves.push(Move::DeliverAll(number, true));
        }
        let is_race = matches!(first, Order::Ask(_, Ask::Claim | Ask::Remove(_)));
        if is_race && calls.len() > 1 && splits > 0 {
            moves.push(Move::Deliver(number, 0, false));
        }
        moves
    }

    fn make(&mut self, next: Move, rules: &Rules) {
        self.happen(next, rules);
        self.settle_down(rules);
    }

    fn happen(&mut self, next: Move, rules: &Rules) {
        match next {
            Move::Tick => self.tick(rules),
            Move::Pause(number) => {
                self.pauses -= 1;
                self.deployers[number].paused = true;
            }
            // What it has sent may be under way.
            Move::Kill(number) => {
                self.kills -= 1;
                self.deployers[number].lease.stage = Stage::Lost;
            }
            Move::Resume(number) => self.deployers[number].paused = false,
            Move::DeliverAll(number, sees) => {
                let splits = self.splits.take();
                for _ in 0..self.deployers[number].calls.len() {
                    self.happen(Move::Deliver(number, 0, sees), rules);
                }
                self.splits = splits;
            }
            Move::Deliver(number, call, sees) => {
                self.losses -= u32::from(call > 0);
                self.splits = self.splits.map(|splits| splits - 1);
                let order = self.deployers[number].calls.remove(call);
                match order {
                    Order::Ask(anchor, ask) => {
                        let answer = self.effect(number, anchor, &ask, rules);
                        self.deployers[number].lease.answered(NOW, anchor, answer);
                    }
                    Order::ReadEpochs => {
                        let epochs = self.epochs(sees, rules);
                        self.deployers[number].lease.epochs_read(NOW, Some(epochs));
                    }
                    Order::Record(epoch) => {
                        for record in &mut self.records {
                            record.whole |= record.epoch == epoch && record.run == number;
                        }
                        self.deployers[number].lease.recorded(NOW, epoch, true);
                    }
                }
            }
            // It has happened, and its sender hears of it at the earliest when he has given it up.
            Move::LoseAnswer(number, call) => {
                self.losses -= 1;
                let order = self.deployers[number].calls.remove(call);
                if let Order::Ask(anchor, ask) = &order {
                    _ = self.effect(number, *anchor, ask, rules);
                }
                self.fail(number, &order);
            }
            Move::GiveUp(number, call, late) => {
                self.losses -= 1;
                let order = self.deployers[number].calls.remove(call);
                self.fail(number, &order);
                if late {
                    self.deployers[number].late = Some(order);
                }
            }
            Move::Late(number) => {
                if let Some(Order::Ask(anchor, ask)) = self.deployers[number].late.take() {
                    _ = self.effect(number, anchor, &ask, rules);
                }
            }
            Move::Prune(anchor) => {
                self.prunes -= 1;
                self.shelves[anchor] = None;
            }
            Move::Leave(number) => {
                let deployer = &mut self.deployers[number];
                deployer.gone = true;
                deployer.calls.clear();
                // Who leaves waits for what is under way.
                deployer.writes_until = Duration::ZERO;
                let folders = deployer.lease.folders();
                if deployer.lease.may_close() || rules.flaw == Some(Flaw::ClosesAlways) {
                    for record in self.records.iter_mut().filter(|r| r.run == number) {
                        (record.whole, record.over) = (true, true);
                    }
                }
                for (anchor, id) in folders {
                    self.shelves[anchor].take_if(|kept| kept.id == id);
                }
            }
        }
        self.send();
    }

    /// Who is awake does at once what is due.
    fn send(&mut self) {
        for (number, deployer) in self.deployers.iter_mut().enumerate().filter(|(_, d)| !d.paused && !d.gone)
        {
            let orders = deployer.lease.due(NOW);
            for order in &orders {
                if let Order::Record(epoch) = order
                    && !self.records.iter().any(|r| r.epoch == *epoch && r.run == number)
                {
                    self.records.push(Record { epoch: *epoch, run: number, whole: false, over: false });
                }
            }
            deployer.calls.extend(orders);
        }
    }

    fn fail(&mut self, number: usize, order: &Order) {
        let lease = &mut self.deployers[number].lease;
        match order {
            Order::Ask(anchor, _) => lease.answered(NOW, *anchor, Answer::Failed),
            Order::ReadEpochs => lease.epochs_read(NOW, None),
            Order::Record(epoch) => lease.recorded(NOW, *epoch, false),
        }
    }

    /// A call arrives at an anchor.
    fn effect(&mut self, number: usize, anchor: usize, ask: &Ask, rules: &Rules) -> Answer {
        let kept = &mut self.shelves[anchor];
        let seen = |kept: &Kept| {
            Answer::Taken(Seen {
                id: kept.id.clone(),
                holder: Holder { run: kept.run.to_string(), ..Holder::default() },
                beat: kept.beat,
            })
        };
        match ask {
            Ask::Look => kept.as_ref().map_or(Answer::Free, seen),
            Ask::Claim => match kept {
                Some(kept) => seen(kept),
                None => {
                    self.made += 1;
                    let id = FolderId(self.made.to_string());
                    *kept = Some(Kept { id: id.clone(), run: number, beat: 0 });
                    Answer::Made(id)
                }
            },
            Ask::Beat(id, beat) => match kept {
                Some(kept) if kept.id == *id || rules.flaw == Some(Flaw::BeatsByName) => {
                    kept.beat = *beat;
                    Answer::Done
                }
                _ if self.attic.contains(id) => Answer::Done,
                _ => Answer::Gone,
            },
            Ask::Remove(id) => match kept {
                Some(found) if found.id == *id => {
                    if rules.flaw == Some(Flaw::Renames) {
                        self.attic.insert(id.clone());
                    }
                    *kept = None;
                    Answer::Done
                }
                _ => Answer::Gone,
            },
        }
    }

    fn epochs(&self, sees: bool, rules: &Rules) -> Epochs {
        let known = || self.records.iter().filter(|r| r.whole || sees);
        let highest = known().map(|r| r.epoch).max().unwrap_or(0);
        let is_over = known().filter(|r| r.epoch == highest).all(|r| r.over);
        Epochs { highest, over: is_over || rules.flaw == Some(Flaw::NeverWaits), settle: times().settle() }
    }

    fn tick(&mut self, rules: &Rules) {
        for (deployer, rate) in self.deployers.iter_mut().zip(&rules.rates) {
            let past = |time: &mut Duration| *time = time.saturating_sub(seconds(*rate));
            deployer.lease.each_time(past);
            past(&mut deployer.writes_until);
        }
    }

    /// What must hold in every world.
    fn wrong(&self) -> Option<String> {
        for (number, deployer) in self.deployers.iter().enumerate() {
            let lease = &deployer.lease;
            let looks = lease.is_alone() && lease.epoch().is_some() && self.has(number);
            if deployer.gone || !lease.may_write(NOW) && !looks {
                continue;
            }
            for (other, rival) in self.deployers.iter().enumerate() {
                if other != number && !rival.gone && rival.writes_until > NOW {
                    return Some(format!("{number} may write, and a call of {other} may be under way"));
                }
            }
            let epoch = deployer.lease.epoch();
            if self.records.iter().any(|r| r.whole && Some(r.epoch) > epoch && r.over) {
                return Some(format!("{number} may write, and a later owner has been there"));
            }
        }
        None
    }

    /// Whether a deployer has most of the folders.
    fn has(&self, number: usize) -> bool {
        let own = self.shelves.iter().flatten().filter(|kept| kept.run == number);
        own.count() >= majority(self.shelves.len())
    }

    /// Whether those who still live come to a lease if nothing more goes wrong.
    fn comes_to_an_owner(mut self, living: &[usize], rules: &Rules) -> bool {
        self.splits = None;
        for (number, deployer) in self.deployers.iter_mut().enumerate() {
            deployer.late = None;
            deployer.paused = !living.contains(&number);
        }
        self.send();
        for _ in 0..60 {
            for number in living {
                for _ in 0..4 * rules.anchors {
                    if !self.deployers[*number].calls.is_empty() {
                        self.make(Move::Deliver(*number, 0, true), rules);
                    }
                    if self.deployers[*number].lease.may_write(NOW) {
                        return true;
                    }
                }
            }
            // A lease that was lost is no obstacle: whoever claims next is one who has just come.
            if living.iter().all(|number| self.deployers[*number].lease.is_lost()) {
                return true;
            }
            self.make(Move::Tick, rules);
        }
        false
    }
}

/// Who is awake gives up a call within two ticks.
fn is_overdue(deployer: &Deployer, order: &Order) -> bool {
    deployer.lease.sent(order) + seconds(TICK / 2) <= NOW
}

fn chance(number: usize) -> u64 {
    [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9][number % 3]
}

/// All worlds that can come about; the first in which something is wrong, with how it came about.
fn explore(rules: &Rules, most: usize, mut each: impl FnMut(&World)) -> Result<usize, String> {
    let hash = FixedState::default();
    let first = World::new(rules);
    let mut seen = BTreeSet::from([hash.hash_one(&first)]);
    // How each world came about: its predecessor, and the move.
    let mut trail: Vec<(usize, Move)> = vec![(0, Move::Tick)];
    let mut open = VecDeque::from([(first, 0)]);
    while let Some((world, number)) = open.pop_front() {
        each(&world);
        for next in world.moves() {
            let mut after = world.clone();
            after.make(next, rules);
            // Everybody was the owner once.
            if after.records.iter().any(|r| r.epoch > rules.rates.len() as u64)
                || !seen.insert(hash.hash_one(&after))
            {
                continue;
            }
            trail.push((number, next));
            if let Some(wrong) = after.wrong() {
                return Err(format!("{wrong}: {:?}\n{after:#?}", path(&trail)));
            }
            if seen.len() >= most {
                return Err(format!("more than {most} worlds, {} to go", open.len()));
            }
            open.push_back((after, trail.len() - 1));
        }
    }
    Ok(seen.len())
}

fn path(trail: &[(usize, Move)]) -> Vec<Move> {
    let mut path = Vec::new();
    let mut at = trail.len() - 1;
    while let Some((before, made)) = trail.get(at).filter(|_| at > 0) {
        path.push(*made);
        at = *before;
    }
    path.reverse();
    path
}
