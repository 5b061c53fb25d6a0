//! What is tried, and what is found wrong with those who do less.

use super::{Flaw, MOST, Move, NOW, Rules, World, explore};

/// As many worlds as these, and nothing is wrong in any.
fn holds(rules: &Rules) {
    let mut worlds = 0_u64;
    let mut owners = 0_u64;
    let everybody: Vec<usize> = (0..rules.rates.len()).collect();
    let found = explore(rules, MOST, |world| {
        worlds += 1;
        owners += u64::from(world.deployers.iter().any(|d| !d.gone && d.lease.may_write(NOW)));
        // What follows is the same for many, and takes as long as a hundred worlds.
        if !worlds.is_multiple_of(499) {
            return;
        }
        let still: Vec<usize> = everybody
            .iter()
            .copied()
            .filter(|n| !world.deployers[*n].gone && !world.deployers[*n].lease.is_lost())
            .collect();
        // Whoever is left alone, the others dead, becomes the owner; and so does one of all.
        for living in still.iter().map(|n| vec![*n]).chain((still.len() > 1).then(|| still.clone())) {
            let comes = world.clone().comes_to_an_owner(&living, rules);
            assert!(comes, "of {living:?} nobody becomes the owner:\n{world:#?}");
        }
    });
    let found = found.unwrap_or_else(|wrong| panic!("{rules:?}: {wrong}"));
    assert!(owners > 10, "{rules:?}: in {owners} of {found} worlds somebody may write: nothing was tried");
}

/// What is wrong is found.
fn fails(rules: &Rules) {
    if let Ok(worlds) = explore(rules, MOST, |_| {}) {
        panic!("{rules:?}: nothing is wrong in {worlds} worlds");
    }
}

fn rules(anchors: usize, rates: &[u64], losses: u32, prunes: u32, pauses: u32) -> Rules {
    Rules { rates: rates.to_vec(), anchors, losses, prunes, pauses, kills: 0, splits: None, flaw: None }
}

#[test]
fn no_two_owners_whatever_their_clocks() {
    for rates in [[6, 6], [5, 6], [6, 5]] {
        holds(&rules(1, &rates, 0, 0, 1));
        holds(&rules(1, &rates, 0, 1, 0));
    }
}

#[test]
fn no_two_owners_where_answers_get_lost() {
    holds(&rules(1, &[6, 6], 1, 0, 0));
}

#[test]
fn no_two_owners_where_folders_vanish_in_a_pause() {
    holds(&rules(1, &[6, 6], 0, 1, 1));
}

#[test]
fn no_two_owners_of_three_deployers() {
    holds(&rules(1, &[6, 6, 6], 0, 0, 0));
}

/// With losses and pauses, three anchors are too many worlds for all of them; these are those that chance leads to.
#[test]
fn no_two_owners_in_long_runs_on_three_anchors() {
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |below: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        usize::try_from(chance % below as u64).unwrap()
    };
    let mut highest = Vec::new();
    for walk in 0..120 {
        let rules = rules(3, [&[6, 6, 6], &[5, 6, 6], &[6, 6, 5]][walk % 3], 6, 3, 6);
        let mut world = World::new(&rules);
        for step in 0..500 {
            let mut moves = world.moves();
            // What happens most of the time is that calls arrive and time passes.
            if draw(8) > 0 {
                moves.retain(|m| matches!(m, Move::Tick | Move::Deliver(_, _, _) | Move::Resume(_)));
            }
            let next = moves[draw(moves.len())];
            world.make(next, &rules);
            if let Some(wrong) = world.wrong() {
                panic!("walk {walk}, step {step}, {next:?}: {wrong}\n{world:#?}");
            }
        }
        highest.push(world.records.iter().filter(|r| r.whole).map(|r| r.epoch).max().unwrap_or(0));
    }
    let several = highest.iter().filter(|epoch| **epoch > 1).count();
    assert!(several > 20, "only {several} walks had more than one owner: {highest:?}");
}

/// Whoever has put a lease aside by another name has not ended it: why `docs/design/0019` has it removed.
#[test]
fn a_dead_lease_that_is_renamed_comes_back() {
    fails(&Rules { flaw: Some(Flaw::Renames), ..rules(1, &[6, 6], 0, 0, 2) });
}

#[test]
fn heartbeats_by_name_keep_two_owners_alive() {
    fails(&Rules { flaw: Some(Flaw::BeatsByName), ..rules(1, &[6, 6], 0, 0, 2) });
}

#[test]
fn who_does_not_wait_is_too_early() {
    fails(&Rules { flaw: Some(Flaw::NeverWaits), ..rules(1, &[6, 6], 0, 1, 1) });
}

#[test]
fn who_never_was_the_owner_cannot_say_that_all_is_over() {
    fails(&Rules { flaw: Some(Flaw::ClosesAlways), ..rules(1, &[6, 6, 6], 0, 1, 0) });
}

/// The bound on clocks is one: a third of the time to live is not enough for any.
#[test]
fn clocks_may_not_differ_as_much_as_they_like() {
    fails(&rules(1, &[2, 6], 0, 1, 1));
}

/// On three anchors, all calls of a deployer that are under way together are answered before anything else happens, but for
/// a claim or a removal that others may come behind; and one of the two may die at any time.
#[test]
fn no_two_owners_of_two_deployers_on_three_anchors() {
    holds(&Rules { kills: 1, splits: Some(1), ..rules(3, &[6, 6], 0, 0, 0) });
}

#[test]
fn who_does_not_wait_is_too_early_on_three_anchors() {
    let dying = Rules { kills: 1, splits: Some(1), ..rules(3, &[6, 6], 0, 0, 0) };
    fails(&Rules { flaw: Some(Flaw::NeverWaits), ..dying });
}
