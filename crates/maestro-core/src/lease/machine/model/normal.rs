//! Worlds that differ only in what makes no difference are the same.

use super::{LONG, NOW, Rules, World, chance, times};
use crate::boundary::FolderId;
use crate::lease::machine::{Lease, Stage, Standing};
use crate::lease::{Ask, Order};
use std::time::Duration;

impl World {
    /// Cuts off what nothing depends on, and gives folders the numbers that equal worlds have.
    pub(super) fn settle_down(&mut self, rules: &Rules) {
        for (number, deployer) in self.deployers.iter_mut().enumerate() {
            deployer.lease.settle_down(number);
            deployer.writes_until = if deployer.lease.may_write(NOW) && !deployer.gone {
                NOW + times().call
            } else {
                deployer.writes_until.max(NOW)
            };
            // What they once knew makes no difference.
            if deployer.gone || deployer.lease.is_lost() {
                deployer.gone |= deployer.writes_until <= NOW;
                deployer.calls.clear();
                deployer.lease = Lease::new(number.to_string(), rules.anchors, times(), chance(number));
                deployer.lease.stage = Stage::Lost;
            }
        }
        // Which of two heartbeats is which makes no difference, as long as each goes to its own folder.
        for number in 0..self.deployers.len() {
            if self.deployers[number].lease.beats == 1 && rules.flaw.is_none() {
                self.turn_beats(number);
            }
        }
        let mut known: Vec<FolderId> = Vec::new();
        let mut number = |id: &mut FolderId| {
            let at = known.iter().position(|k| k == id).unwrap_or_else(|| {
                known.push(id.clone());
                known.len() - 1
            });
            // Most have it already.
            if id.0.strip_prefix('f').and_then(|at| at.parse().ok()) != Some(at) {
                *id = FolderId(format!("f{at}"));
            }
        };
        for kept in self.shelves.iter_mut().flatten() {
            number(&mut kept.id);
        }
        for deployer in &mut self.deployers {
            deployer.lease.each_id(&mut number);
            for order in deployer.calls.iter_mut().chain(&mut deployer.late) {
                if let Order::Ask(_, ask) = order {
                    each_id_of(ask, &mut number);
                }
            }
        }
        let attic = std::mem::take(&mut self.attic);
        self.attic = attic
            .into_iter()
            .filter(|id| known.contains(id))
            .map(|mut id| {
                let at = known.iter().position(|k| *k == id).unwrap_or_default();
                id.0 = format!("f{at}");
                id
            })
            .collect();
        self.made = u32::try_from(known.len()).unwrap();
    }
}

impl World {
    /// Every heartbeat of a deployer that is one of two is the other one.
    fn turn_beats(&mut self, number: usize) {
        let turn = |beat: &mut u32| *beat = if *beat == 0 { 0 } else { 3 - *beat };
        let turn_ask = |ask: &mut Ask| {
            if let Ask::Beat(_, beat) = ask {
                turn(beat);
            }
        };
        let name = number.to_string();
        for kept in self.shelves.iter_mut().flatten().filter(|kept| kept.run == number) {
            turn(&mut kept.beat);
        }
        let seen = self.deployers.iter_mut().flat_map(|deployer| &mut deployer.lease.anchors);
        for anchor in seen {
            if let Standing::Theirs(theirs) = &mut anchor.standing
                && theirs.seen.holder.run == name
            {
                turn(&mut theirs.seen.beat);
            }
        }
        let deployer = &mut self.deployers[number];
        deployer.lease.beats = 0;
        deployer
            .lease
            .anchors
            .iter_mut()
            .filter_map(|anchor| anchor.busy.as_mut())
            .for_each(|(ask, _)| turn_ask(ask));
        for order in deployer.calls.iter_mut().chain(&mut deployer.late) {
            if let Order::Ask(_, ask) = order {
                turn_ask(ask);
            }
        }
    }
}

fn each_id_of(ask: &mut Ask, change: &mut impl FnMut(&mut FolderId)) {
    match ask {
        Ask::Beat(id, _) | Ask::Remove(id) => change(id),
        Ask::Look | Ask::Claim => {}
    }
}

impl Lease {
    pub(super) fn each_time(&mut self, mut change: impl FnMut(&mut Duration)) {
        self.asked.iter_mut().for_each(&mut change);
        change(&mut self.ask_at);
        change(&mut self.claim_at);
        if let Stage::Holding(_, since) = &mut self.stage {
            change(since);
        }
        for anchor in &mut self.anchors {
            change(&mut anchor.at);
            change(&mut anchor.rest);
            if let Some((_, sent)) = &mut anchor.busy {
                change(sent);
            }
            match &mut anchor.standing {
                Standing::Mine(mine) => {
                    change(&mut mine.claimed);
                    change(&mut mine.counts_from);
                    mine.taken.iter_mut().for_each(&mut change);
                }
                Standing::Theirs(theirs) => {
                    change(&mut theirs.since);
                    change(&mut theirs.looked);
                }
                Standing::Unknown | Standing::Free | Standing::Leaving(_) => {}
            }
        }
    }

    pub(super) fn sent(&self, order: &Order) -> Duration {
        match order {
            Order::Ask(anchor, _) => self.anchors[*anchor].busy.as_ref().map_or(NOW, |(_, sent)| *sent),
            Order::ReadEpochs | Order::Record(_) => NOW,
        }
    }

    fn each_id(&mut self, change: &mut impl FnMut(&mut FolderId)) {
        for anchor in &mut self.anchors {
            if let Some((ask, _)) = &mut anchor.busy {
                each_id_of(ask, change);
            }
            match &mut anchor.standing {
                Standing::Mine(mine) => change(&mut mine.id),
                Standing::Leaving(id) => change(id),
                Standing::Theirs(theirs) => change(&mut theirs.seen.id),
                Standing::Unknown | Standing::Free => {}
            }
        }
    }

    fn settle_down(&mut self, number: usize) {
        self.chance = chance(number);
        self.beats %= 2;
        let earliest = NOW.saturating_sub(times().settle());
        self.each_time(|time| *time = (*time).max(earliest));
        let newest = self.counted().map(|mine| mine.claimed).max().unwrap_or(earliest);
        if let Some(asked) = &mut self.asked {
            // All that matters is whether it was before a claim.
            *asked = if *asked >= newest { newest } else { NOW.saturating_sub(LONG) };
        }
        for gate in [&mut self.ask_at, &mut self.claim_at] {
            *gate = (*gate).max(NOW);
        }
        if let Stage::Holding(_, since) = &mut self.stage {
            let oldest = self.anchors.iter().filter_map(|a| a.busy.as_ref()).map(|(_, sent)| *sent).min();
            *since = if oldest.is_some_and(|sent| sent < *since) { *since } else { earliest };
        }
        for anchor in &mut self.anchors {
            anchor.at = anchor.at.max(NOW);
            anchor.rest = anchor.rest.max(NOW);
            if let Standing::Theirs(theirs) = &mut anchor.standing {
                let dead = theirs.is_dead(times().ttl);
                theirs.looked = if dead { theirs.since + times().ttl } else { theirs.since };
            }
            if let Standing::Mine(mine) = &mut anchor.standing {
                mine.taken = mine.taken.filter(|sent| *sent + times().valid() > NOW);
                let sent = anchor.busy.as_ref().map_or(NOW, |(_, sent)| *sent);
                if mine.counts_from <= sent {
                    mine.counts_from = earliest;
                }
                if matches!(self.stage, Stage::Holding(..)) {
                    mine.claimed = earliest;
                }
            }
        }
    }
}
