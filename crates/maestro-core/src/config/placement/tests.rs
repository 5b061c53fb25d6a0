use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A ship of a test's own.
#[derive(Debug, Clone)]
struct Spot {
    ship: ShipName,
    domain: String,
    room: u64,
    contested: bool,
}

fn spot(ship: &str, domain: &str) -> Spot {
    Spot { ship: ship.into(), domain: domain.to_owned(), room: u64::MAX, contested: false }
}

/// The names of the ships, in the order of the replicas.
fn placed(service: &str, replicas: u64, spots: &[Spot]) -> Vec<String> {
    let candidates: Vec<Candidate<'_>> = spots
        .iter()
        .map(|spot| Candidate {
            ship: &spot.ship,
            domain: &spot.domain,
            room: spot.room,
            contested: spot.contested,
        })
        .collect();
    place(service, replicas, &candidates).into_iter().map(ToString::to_string).collect()
}

fn ships(count: usize) -> Vec<Spot> {
    (1..=count).map(|number| spot(&format!("web-{number}"), "")).collect()
}

/// How many replicas are on other ships than before.
fn moved(before: &[String], after: &[String]) -> usize {
    before.iter().zip(after).filter(|(before, after)| before != after).count()
}

fn counts(ships: &[String], spots: &[Spot]) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = spots.iter().map(|spot| (spot.ship.to_string(), 0)).collect();
    for ship in ships {
        *counts.get_mut(ship).unwrap() += 1;
    }
    counts
}

/// Another result moves the containers of everybody who has replicas. It may never change.
#[test]
fn the_places_are_the_same_in_all_versions() {
    insta::assert_snapshot!(placed("web", 12, &ships(5)).join(" "), @"web-1 web-5 web-4 web-2 web-3 web-3 web-5 web-1 web-4 web-2 web-3 web-5");
    insta::assert_snapshot!(placed("api", 12, &ships(5)).join(" "), @"web-2 web-5 web-4 web-3 web-1 web-5 web-3 web-4 web-2 web-1 web-5 web-4");
    let zones = [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c")];
    let zones = zones.map(|(ship, zone)| spot(ship, zone));
    insta::assert_snapshot!(placed("web", 12, &zones).join(" "), @"b1 a3 c1 a1 c1 b2 b2 a2 c1 b1 c1 a2");
    let tight: Vec<Spot> = zones.iter().map(|spot| Spot { room: 2, ..spot.clone() }).collect();
    insta::assert_snapshot!(placed("web", 20, &tight).join(" "), @"b1 a3 c1 a1 c1 b2 b2 a2 b1 a3 a1 a2");
    insta::assert_snapshot!(format!("{:x} {:x}", key(["web", "ship", "a"]), weight(1, 2)), @"f8347a061fb85f4b bcd9dbb49673066b");
}

#[test]
fn there_is_a_place_for_nobody_and_nobody_without_one() {
    assert_eq!(placed("web", 0, &ships(3)), [""; 0]);
    assert_eq!(placed("web", 3, &[]), [""; 0]);
    let full: Vec<Spot> = ships(3).into_iter().map(|spot| Spot { room: 0, ..spot }).collect();
    assert_eq!(placed("web", 3, &full), [""; 0]);
}

/// Of many services with one replica each, none of ten ships has much more than a tenth.
#[test]
fn services_begin_on_different_ships() {
    let spots = ships(10);
    let all: Vec<String> = (0..2000).flat_map(|number| placed(&format!("s{number}"), 1, &spots)).collect();
    let counts = counts(&all, &spots);
    assert!(counts.values().all(|count| (150..=250).contains(count)), "{counts:?}");
}

/// The numbers of docs/design/0028: how many of so many replicas move when a ship comes, on average over many fleets, and
/// how many would have to for the counts to be even.
#[test]
fn few_move_when_a_ship_comes() {
    const WORLDS: u32 = 200;
    let mut table = String::new();
    for (ships, replicas) in [
        (2, 2_u32),
        (2, 4),
        (3, 3),
        (3, 6),
        (3, 9),
        (5, 5),
        (5, 10),
        (10, 5),
        (10, 10),
        (10, 20),
        (10, 50),
        (30, 15),
        (30, 30),
        (30, 60),
        (100, 50),
        (100, 100),
    ] {
        let (mut all, mut needed) = (0, 0);
        for world in 0..WORLDS {
            let spots: Vec<Spot> = (0..=ships).map(|number| spot(&format!("{world}-{number}"), "")).collect();
            let before = placed("web", replicas.into(), &spots[1..]);
            let after = placed("web", replicas.into(), &spots);
            all += moved(&before, &after);
            needed += least_moved(&before, &spots);
        }
        let average = |sum: usize| f64::from(u32::try_from(sum).unwrap()) / f64::from(WORLDS);
        let (all, needed) = (average(all), average(needed));
        if replicas <= ships {
            // 1/(n+1) + 1/n + … + 1/(n+2-r): each replica chooses among those that are left, one more than before.
            let expected: f64 = (0..replicas).map(|taken| 1.0 / f64::from(ships + 1 - taken)).sum();
            assert!((all - expected).abs() < 0.3, "{ships} {replicas}: {all} and not {expected}");
        }
        writeln!(table, "{ships:>3} ships, {replicas:>3} replicas: {all:>5.2} move, {needed:>5.2} have to")
            .unwrap();
    }
    insta::assert_snapshot!(table, @"
      2 ships,   2 replicas:  0.86 move,  0.00 have to
      2 ships,   4 replicas:  2.29 move,  1.00 have to
      3 ships,   3 replicas:  1.10 move,  0.00 have to
      3 ships,   6 replicas:  3.15 move,  1.00 have to
      3 ships,   9 replicas:  5.13 move,  2.00 have to
      5 ships,   5 replicas:  1.56 move,  0.00 have to
      5 ships,  10 replicas:  4.39 move,  1.00 have to
     10 ships,   5 replicas:  0.62 move,  0.00 have to
     10 ships,  10 replicas:  2.15 move,  0.00 have to
     10 ships,  20 replicas:  6.24 move,  1.00 have to
     10 ships,  50 replicas: 24.39 move,  4.00 have to
     30 ships,  15 replicas:  0.67 move,  0.00 have to
     30 ships,  30 replicas:  2.93 move,  0.00 have to
     30 ships,  60 replicas:  9.06 move,  1.00 have to
    100 ships,  50 replicas:  0.79 move,  0.00 have to
    100 ships, 100 replicas:  4.49 move,  0.00 have to
    ");
}

/// How many have to move for the counts to be even on these ships: those beyond what each may keep.
fn least_moved(before: &[String], spots: &[Spot]) -> usize {
    let (each, more) = (before.len() / spots.len(), before.len() % spots.len());
    let mut counts =
        counts(before, spots).into_values().map(|count| usize::try_from(count).unwrap()).collect::<Vec<_>>();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let kept = counts.iter().enumerate().map(|(at, count)| (*count).min(each + usize::from(at < more)));
    before.len() - kept.sum::<usize>()
}

fn spots() -> impl Strategy<Value = Vec<Spot>> {
    let one = (0..4_u8, prop_oneof![Just(u64::MAX), 0..4_u64], prop::bool::weighted(0.2));
    prop::collection::vec(one, 1..14).prop_map(|spots| {
        let spot = |(at, (domain, room, contested)): (usize, (u8, u64, bool))| Spot {
            ship: format!("ship-{at}").as_str().into(),
            domain: domain.to_string(),
            room,
            contested,
        };
        spots.into_iter().enumerate().map(spot).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// More replicas move none, fewer take away the last ones.
    #[test]
    fn a_number_more_or_less_moves_nobody(spots in spots(), replicas in 0..40_u64, more in 0..10_u64) {
        let (some, all) = (placed("web", replicas, &spots), placed("web", replicas + more, &spots));
        prop_assert_eq!(&all[..some.len()], &some[..]);
    }

    #[test]
    fn the_order_of_ships_means_nothing(
        (spots, shuffled) in spots().prop_flat_map(|spots| (Just(spots.clone()), Just(spots).prop_shuffle())),
        replicas in 0..40_u64,
    ) {
        prop_assert_eq!(placed("web", replicas, &spots), placed("web", replicas, &shuffled));
    }

    /// Nobody has more than fits, and nobody is left out while there is room.
    #[test]
    fn all_that_fit_are_placed(spots in spots(), replicas in 0..40_u64) {
        let ships = placed("web", replicas, &spots);
        let room = spots.iter().fold(0_u64, |room, spot| room.saturating_add(spot.room));
        prop_assert_eq!(ships.len() as u64, room.min(replicas));
        let counts = counts(&ships, &spots);
        for spot in &spots {
            prop_assert!(counts[spot.ship.as_str()] <= spot.room);
        }
    }

    /// No value has two fewer than another, nor a ship than another of its value, unless there is no room for more.
    #[test]
    fn places_are_even(spots in spots(), replicas in 0..40_u64) {
        let spots: Vec<Spot> = spots.into_iter().map(|spot| Spot { contested: false, ..spot }).collect();
        let counts = counts(&placed("web", replicas, &spots), &spots);
        let mut domains: BTreeMap<&str, (u64, bool, Vec<&Spot>)> = BTreeMap::new();
        for spot in &spots {
            let domain = domains.entry(&spot.domain).or_default();
            let count = counts[spot.ship.as_str()];
            domain.0 += count;
            domain.1 |= count < spot.room;
            domain.2.push(spot);
        }
        let most = domains.values().map(|domain| domain.0).max().unwrap();
        for (name, (count, has_room, spots)) in &domains {
            prop_assert!(!has_room || count + 1 >= most, "{name} of {domains:?}");
            let most = spots.iter().map(|spot| counts[spot.ship.as_str()]).max().unwrap();
            for spot in spots {
                let count = counts[spot.ship.as_str()];
                prop_assert!(count == spot.room || count + 1 >= most, "{spot:?} of {counts:?}");
            }
        }
    }

    /// Where something else is in the way, nobody goes while there is room elsewhere.
    #[test]
    fn contested_ships_come_last(spots in spots(), replicas in 0..40_u64) {
        let ships = placed("web", replicas, &spots);
        let is_contested = |ship: &String| {
            let found = spots.iter().find(|spot| spot.ship.as_str() == ship).unwrap();
            found.contested
        };
        let free = spots.iter().filter(|spot| !spot.contested);
        let free = free.fold(0_u64, |room, spot| room.saturating_add(spot.room));
        let first = ships.iter().position(is_contested).unwrap_or(ships.len()) as u64;
        prop_assert!(first == free.min(replicas));
    }

    /// A ship more of one value moves nobody of another value, and none from one value to another.
    #[test]
    fn a_ship_that_comes_moves_only_those_of_its_value(domains in prop::collection::vec(0..4_u8, 2..14), replicas in 0..40_u64) {
        let all: Vec<Spot> =
            domains.iter().enumerate().map(|(at, domain)| spot(&format!("ship-{at}"), &domain.to_string())).collect();
        let (new, old) = all.split_first().unwrap();
        prop_assume!(old.iter().any(|spot| spot.domain == new.domain));
        let domain_of = |ship: &String| &all.iter().find(|spot| spot.ship.as_str() == ship).unwrap().domain;
        let (before, after) = (placed("web", replicas, old), placed("web", replicas, &all));
        let touched: BTreeSet<&String> = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after)
            .flat_map(|(before, after)| [domain_of(before), domain_of(after)])
            .collect();
        prop_assert!(touched.iter().all(|domain| **domain == new.domain), "{touched:?}");
    }

    /// While there are no more replicas than ships, all who move make room for one that goes to the new ship.
    #[test]
    fn nobody_moves_for_nothing(
        (count, replicas) in (1..14_usize).prop_flat_map(|count| (Just(count), 0..=count as u64)),
    ) {
        let all = ships(count + 1);
        let (before, after) = (placed("web", replicas, &all[1..]), placed("web", replicas, &all));
        let to_new = after.iter().filter(|ship| *ship == all[0].ship.as_str()).count();
        prop_assert!(to_new == 1 || (to_new == 0 && before == after), "{before:?} {after:?}");
    }
}
