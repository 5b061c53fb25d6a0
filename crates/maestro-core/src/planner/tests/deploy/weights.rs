//! What canaries get of the requests, from the first thing that balancers are told to the last, wherever a deployment was
//! broken off.

use super::world::World;
use super::{DEPLOY, PROMOTE, environment, planned, released};
use crate::balance::{Rotation, Standing};
use crate::fleet::{ContainerState, ShipView};
use crate::model::Environment;
use crate::names::InstanceName;
use crate::plan::{Action, Fate, Hooking, Intent, Plan};
use std::collections::BTreeSet;

const WEB: &str = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}, c: {ip: 192.0.2.3}, d: {ip: 192.0.2.4}}
services:
  web:
    image: web:1
    ports: {http: PORTS}
    deploy: {strategy: canary, canaries: 2, weight: 10%, PACE}
    instances: {web-1: {ship: a}, web-2: {ship: b}, web-3: {ship: c}, web-4: {ship: d}}
  edge: {image: 'edge:1', ports: {http: 80, status: 8404}, instances: {edge-1: {ship: a}}}
balancers: {front: {kind: haproxy, service: edge, routes: [{service: web, port: http}]}}
";

const BACK: Intent =
    Intent::Deploy { ask_again: true, promote: true, doubtful: BTreeSet::new(), hooks: Hooking::Off };

/// Where there can be two of each, and where there cannot.
const WAYS: [(&str, &str); 4] = [
    ("'80:8100-8104'", "max_unavailable: 0"),
    ("'80:8100-8104'", "max_unavailable: 0, max_surge: 2"),
    ("'80:8080'", "max_unavailable: 1"),
    ("'80:8080'", "max_unavailable: 2"),
];

fn web(tag: u32, (ports, pace): (&str, &str)) -> Environment {
    let text = WEB.replace("PORTS", ports).replace("PACE", pace);
    environment(&text.replace("web:1", &format!("web:{tag}")))
}

/// What containers of an image get of a hundred requests for the service.
fn share(world: &World, rotation: &Rotation, image: &str) -> f64 {
    let is_of = |name: &InstanceName| {
        world.fleet.ships.values().any(|view| match view {
            ShipView::Reachable(state) => {
                state.containers.get(name.as_str()).is_some_and(|found| found.image.as_str() == image)
            }
            ShipView::Unreachable(_) => false,
        })
    };
    let (mut own, mut all) = (0.0, 0.0);
    for endpoint in rotation.endpoints() {
        if endpoint.service.as_str() == "web" && endpoint.standing == Standing::In {
            all += f64::from(endpoint.weight);
            own += if is_of(&endpoint.instance) { f64::from(endpoint.weight) } else { 0.0 };
        }
    }
    if all == 0.0 { 0.0 } else { 100.0 * own / all }
}

/// Carries out so many steps of a plan; `told` looks at whatever balancers are told. Returns how many there were, and what
/// balancers were told last.
fn followed(
    world: &mut World,
    plan: &Plan,
    most: usize,
    mut told: impl FnMut(&World, &Rotation),
) -> (usize, Rotation) {
    world.follow(plan, most, |world, rotation, action| {
        if matches!(action, Action::Route { .. }) {
            told(world, rotation);
        }
    })
}

/// What gets requests, with its weight.
fn weights(rotation: &Rotation) -> Vec<String> {
    let found = rotation.endpoints().into_iter();
    let found = found.filter(|e| e.service.as_str() == "web" && e.standing == Standing::In);
    found.map(|e| format!("{} {}", e.instance, e.weight)).collect()
}

const EQUAL: [&str; 4] = ["web-1 100", "web-2 100", "web-3 100", "web-4 100"];
const TRIED: [&str; 4] = ["web-1 1", "web-2 1", "web-3 9", "web-4 9"];

#[test]
fn a_plan_says_what_canaries_get() {
    let way = WAYS[0];
    let mut world = released(&web(1, way));
    let plan = planned(&web(2, way), &world.fleet, &DEPLOY);
    insta::assert_snapshot!(plan, @"
    deploy shop
      edge-1 (edge) on a: is as released
      web-1 (web) on a: it is not as released
      web-2 (web) on b: it is not as released
      web-3 (web) on c: waits for 2 of web: it is not as released
      web-4 (web) on d: waits for 2 of web: it is not as released
      front sends 10% of the requests for web to its canaries (web-1, web-2)
        1. image web:2 on a: pull web:2
        2. image web:2 on b: pull web:2
        3. all images: done [after 1 2]
        4. web-1 on a: create web-1.next-02223200fa0d from web:2 [after 1 3]
        5. web-1 on a: start web-1.next-02223200fa0d [after 4]
        6. web-1 on a: wait until web-1.next-02223200fa0d is running [after 5]
        7. web-1 on a: wait until web-1.next-02223200fa0d is steady [after 6]
        8. web-1 on a: tell front, requests go to web-1.next-02223200fa0d at 192.0.2.1:8101 (10% of them for 2 canaries), none go to web-1 any more [after 7]
        9. web-1 on a: stop web-1 (grace 10 s) [after 8]
       10. web-1 on a: wait until web-1 is not running [after 9]
       11. web-1 on a: rename web-1 to web-1.kept-1-000000000007 [after 10]
       12. web-1 on a: rename web-1.next-02223200fa0d to web-1 [after 11]
       13. web-1 on a: tell front, requests go to web-1 at 192.0.2.1:8101 (10% of them for 2 canaries), web-1.next-02223200fa0d is gone [after 12]
       14. web-2 on b: create web-2.next-c81da8f1ed51 from web:2 [after 13 2 3]
       15. web-2 on b: start web-2.next-c81da8f1ed51 [after 14]
       16. web-2 on b: wait until web-2.next-c81da8f1ed51 is running [after 15]
       17. web-2 on b: wait until web-2.next-c81da8f1ed51 is steady [after 16]
       18. web-2 on b: tell front, requests go to web-2.next-c81da8f1ed51 at 192.0.2.2:8101 (10% of them for 2 canaries), none go to web-2 any more [after 17]
       19. web-2 on b: stop web-2 (grace 10 s) [after 18]
       20. web-2 on b: wait until web-2 is not running [after 19]
       21. web-2 on b: rename web-2 to web-2.kept-1-000000000008 [after 20]
       22. web-2 on b: rename web-2.next-c81da8f1ed51 to web-2 [after 21]
       23. web-2 on b: tell front, requests go to web-2 at 192.0.2.2:8101 (10% of them for 2 canaries), web-2.next-c81da8f1ed51 is gone [after 22]
    ");
    world.finish(&plan);
    // It is at its canary stage, and nothing is to be done.
    insta::assert_snapshot!(planned(&web(2, way), &world.fleet, &DEPLOY), @"
    deploy shop
      edge-1 (edge) on a: is as released
      web-1 (web) on a: is as released
      web-2 (web) on b: is as released
      web-3 (web) on c: waits for 2 of web: it is not as released
      web-4 (web) on d: waits for 2 of web: it is not as released
      front sends 10% of the requests for web to its canaries (web-1, web-2)
    ");
    let plan = planned(&web(2, way), &world.fleet, &PROMOTE);
    assert!(plan.trials.is_empty() && !plan.to_string().contains('%'), "{plan}");
    assert_eq!(weights(&plan.rotation), EQUAL);
    world.finish(&plan);
    let last = planned(&web(2, way), &world.fleet, &DEPLOY);
    assert!(last.steps.is_empty() && last.trials.is_empty(), "{last}");
    assert_eq!(weights(&last.rotation), EQUAL);
}

/// The new release never gets more than was said, wherever a deployment was broken off, and the next one knows what
/// canaries get from what is there.
#[test]
fn canaries_never_get_more_than_their_portion() {
    for way in WAYS {
        let (old, new) = (web(1, way), web(2, way));
        let begun = released(&old);
        let plan = planned(&new, &begun.fleet, &DEPLOY);
        let within = |world: &World, rotation: &Rotation| {
            let share = share(world, rotation, "web:2");
            assert!(share < 10.1, "{way:?}: {share} of {:?}\n{plan}", weights(rotation));
        };
        let (all, last) = followed(&mut begun.clone(), &plan, usize::MAX, within);
        assert_eq!(weights(&last), TRIED, "{way:?}");
        assert!(all > 15, "{plan}");
        for broken_off in 0..=all {
            let mut half = begun.clone();
            followed(&mut half, &plan, broken_off, within);
            // Another process goes on.
            let mut world = half.clone();
            let next = planned(&new, &world.fleet, &DEPLOY.asking_again());
            within(&world, &next.rotation);
            let (_, last) = followed(&mut world, &next, usize::MAX, within);
            assert_eq!(weights(&last), TRIED, "{way:?}, broken off after {broken_off}\n{next}");
            let waiting = planned(&new, &world.fleet, &DEPLOY);
            assert_eq!(weights(&waiting.rotation), TRIED, "{waiting}");
            assert_eq!(waiting.items.iter().filter(|i| matches!(i.fate, Fate::Waits { .. })).count(), 2);
            // It is gone back from, and not a request more goes there meanwhile.
            let mut world = half.clone();
            let back = planned(&old, &world.fleet, &BACK);
            within(&world, &back.rotation);
            followed(&mut world, &back, usize::MAX, within);
            let last = planned(&old, &world.fleet, &DEPLOY);
            assert!(last.steps.is_empty(), "{last}");
            assert_eq!(weights(&last.rotation), EQUAL, "{last}");
            // Or the next release is tried in its place.
            let mut world = half;
            let mended = web(3, way);
            let next = planned(&mended, &world.fleet, &DEPLOY);
            let (_, last) = followed(&mut world, &next, usize::MAX, |world, rotation| {
                within(world, rotation);
                assert!(share(world, rotation, "web:2") + share(world, rotation, "web:3") < 10.1, "{next}");
            });
            assert_eq!(weights(&last), TRIED, "{way:?}, mended after {broken_off}\n{next}");
        }
    }
}

/// With a pause, all get the same again as soon as the first other one is told of, wherever it was broken off.
#[test]
fn when_the_others_follow_all_get_the_same() {
    for (ports, pace) in WAYS {
        let pace = format!("{pace}, pause: 5m");
        let way = (ports, pace.as_str());
        let (old, new) = (web(1, way), web(2, way));
        let begun = released(&old);
        let plan = planned(&new, &begun.fleet, &DEPLOY);
        let mut rotations = Vec::new();
        let (all, last) = followed(&mut begun.clone(), &plan, usize::MAX, |world, rotation| {
            let others = ["web-3", "web-4"].map(|name| {
                rotation
                    .endpoints()
                    .iter()
                    .any(|e| e.instance.as_str() == name && e.standing == Standing::In && e.weight != 100)
            });
            rotations.push((share(world, rotation, "web:2"), others.contains(&true)));
        });
        assert_eq!(weights(&last), EQUAL, "{plan}");
        let tried = rotations.iter().take_while(|(share, _)| *share < 10.1).count();
        assert!(tried >= 2, "{rotations:?}\n{plan}");
        assert!(rotations[tried..].iter().all(|(_, weighed)| !weighed), "{rotations:?}\n{plan}");
        for broken_off in 0..=all {
            let mut world = begun.clone();
            followed(&mut world, &plan, broken_off, |_, _| ());
            let next = planned(&new, &world.fleet, &DEPLOY.asking_again());
            let (_, last) = followed(&mut world, &next, usize::MAX, |_, _| ());
            assert!(super::nothing_is_left(&new, &world.fleet), "{next}");
            // Who was told nothing has nothing else to be told than what is there.
            let settled = planned(&new, &world.fleet, &DEPLOY);
            assert_eq!(weights(&settled.rotation), EQUAL, "{settled}");
            assert!(weights(&last) == EQUAL || next.trials.is_empty(), "{:?}\n{next}", weights(&last));
        }
    }
}

/// Once others have followed, whoever is left of the old release gets no more than before.
#[test]
fn a_promotion_that_was_broken_off_does_not_overload_who_is_left() {
    let way = WAYS[0];
    let (old, new) = (web(1, way), web(2, way));
    let mut world = released(&old);
    world.finish(&planned(&new, &world.fleet, &DEPLOY));
    let promote = planned(&new, &world.fleet, &PROMOTE);
    let (all, _) = followed(&mut world.clone(), &promote, usize::MAX, |_, _| ());
    for broken_off in 0..=all {
        let mut half = world.clone();
        followed(&mut half, &promote, broken_off, |_, _| ());
        let next = planned(&new, &half.fleet, &DEPLOY);
        assert!(share(&half, &next.rotation, "web:1") < 90.1, "{next}");
        for endpoint in next.rotation.endpoints().iter().filter(|e| e.service.as_str() == "web") {
            assert!([1, 9, 100].contains(&endpoint.weight), "{:?}", weights(&next.rotation));
        }
    }
}

/// Nobody is tried where nobody is waited for; and a service that no balancer knows tries its canaries as it does.
#[test]
fn only_who_is_waited_for_gets_another_share() {
    let way = WAYS[0];
    let first = planned(&web(1, way), &World::of(super::fleet("a:\nb:\nc:\nd:")).fleet, &DEPLOY);
    assert!(first.trials.is_empty(), "{first}");
    // A canary has gone by itself: it comes back, and nobody waits for that.
    let mut world = released(&web(1, way));
    let running = super::state(&mut world, "a").containers.get_mut("web-1").unwrap();
    running.state = ContainerState::Exited;
    let plan = planned(&web(1, way), &world.fleet, &DEPLOY);
    assert!(plan.trials.is_empty() && !plan.steps.is_empty(), "{plan}");
    // Who does not serve is replaced with the canaries, and gets what the others get.
    let mut world = released(&web(1, way));
    super::state(&mut world, "c").containers.get_mut("web-3").unwrap().state = ContainerState::Exited;
    let plan = planned(&web(2, way), &world.fleet, &DEPLOY);
    let (_, last) = followed(&mut world, &plan, usize::MAX, |_, _| ());
    assert_eq!(weights(&last), TRIED, "{plan}");
    assert_eq!(weights(&planned(&web(2, way), &world.fleet, &DEPLOY).rotation), TRIED);
}
