//! The order is that of passing over the list again and again, without doing so.

use super::*;
use crate::config::{Limits, load};
use crate::source::MapSources;
use proptest::prelude::*;
use std::fmt::Write as _;

/// What the order is defined by: passes over the list by name; in each, an instance is placed if everything before it in the play's direction has
/// been placed already, in this pass or an earlier one.
fn passed_over<'a>(
    environment: &'a Environment,
    graph: &Graph<'a>,
    direction: Direction,
    chosen: BTreeSet<&'a InstanceName>,
) -> Vec<&'a InstanceName> {
    let mut left: BTreeMap<&ServiceName, usize> = BTreeMap::new();
    for instance in chosen.iter().filter_map(|name| environment.instances.get(*name)) {
        *left.entry(&instance.service).or_default() += 1;
    }
    let siblings = all_siblings_before(environment, direction, &chosen);
    let mut placed: BTreeSet<&InstanceName> = BTreeSet::new();
    let mut ordered = Vec::with_capacity(chosen.len());
    let mut remaining: Vec<&InstanceName> = chosen.into_iter().collect();
    while !remaining.is_empty() {
        let before = ordered.len();
        remaining.retain(|name| {
            let Some(instance) = environment.instances.get(*name) else { return false };
            let ready = is_free(graph, &left, &instance.service)
                && siblings.get(name).is_none_or(|before| before.iter().all(|s| placed.contains(s)));
            if ready {
                if let Some(count) = left.get_mut(&instance.service) {
                    *count -= 1;
                }
                placed.insert(name);
                ordered.push(*name);
            }
            !ready
        });
        if ordered.len() == before {
            // Loading refuses circles, so this cannot happen; if it did, the order by name loses nothing.
            ordered.append(&mut remaining);
        }
    }
    ordered
}

/// Whether all instances of all services before this one have been placed.
fn is_free<'a>(graph: &Graph<'a>, left: &BTreeMap<&'a ServiceName, usize>, service: &ServiceName) -> bool {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&ServiceName> = graph.next(service).collect();
    while let Some(name) = open.pop() {
        match left.get(name) {
            Some(0) => {}
            Some(_) => return false,
            // Not in the play: what is behind it still counts.
            None => {
                if seen.insert(name) {
                    open.extend(graph.next(name));
                }
            }
        }
    }
    true
}

/// Instances of the same service that come before others because of `volumes_from`, also where those in between are
/// not chosen.
fn all_siblings_before<'a>(
    environment: &'a Environment,
    direction: Direction,
    chosen: &BTreeSet<&'a InstanceName>,
) -> BTreeMap<&'a InstanceName, BTreeSet<&'a InstanceName>> {
    let mut before: BTreeMap<&InstanceName, BTreeSet<&InstanceName>> = BTreeMap::new();
    for name in chosen {
        for source in all_sources(environment, name).into_iter().filter(|source| chosen.contains(source)) {
            let (first, second) = match direction {
                Direction::Requires => (source, *name),
                Direction::NeededFor => (*name, source),
            };
            before.entry(second).or_default().insert(first);
        }
    }
    before
}

/// Whose volumes an instance takes, and whose those take.
fn all_sources<'a>(environment: &'a Environment, name: &InstanceName) -> BTreeSet<&'a InstanceName> {
    let direct = |name: &InstanceName| environment.instances.get(name).into_iter().flat_map(|i| &i.after);
    let mut found = BTreeSet::new();
    let mut open: Vec<&InstanceName> = direct(name).collect();
    while let Some(source) = open.pop() {
        if found.insert(source) {
            open.extend(direct(source));
        }
    }
    found
}

/// Services with instances `(letter, sources)`; services and instances need only what was made before them.
fn world(services: &[(Vec<usize>, Vec<Vec<usize>>)], letters: &[char]) -> Environment {
    let mut text = String::from("__maestro: {schema: 2}\nname: t\nships: {a: {ip: 192.0.2.1}}\nservices:\n");
    for (service, (requires, instances)) in services.iter().enumerate() {
        let requires: Vec<String> =
            requires.iter().filter(|r| **r < service).map(|r| format!("s{r}")).collect();
        let name = |instance: usize| {
            format!("{}{}", letters[(service * 5 + instance) % letters.len()], service * 5 + instance)
        };
        writeln!(
            text,
            "  s{service}:\n    image: bb\n    requires: [{}]\n    instances:",
            requires.join(", ")
        )
        .unwrap();
        for (instance, sources) in instances.iter().enumerate() {
            let sources: Vec<String> = sources.iter().filter(|s| **s < instance).map(|s| name(*s)).collect();
            writeln!(text, "      {}: {{ship: a, volumes_from: [{}]}}", name(instance), sources.join(", "))
                .unwrap();
        }
    }
    load(&MapSources::of(text), &Limits::default()).environment.unwrap()
}

fn services() -> impl Strategy<Value = Vec<(Vec<usize>, Vec<Vec<usize>>)>> {
    use proptest::collection::vec;
    vec((vec(0..4_usize, 0..3), vec(vec(0..5_usize, 0..3), 0..5)), 1..5)
}

proptest! {
    #[test]
    fn the_order_is_that_of_passes(
        services in services(),
        letters in Just("abcdefghijklmnopqrst".chars().collect::<Vec<_>>()).prop_shuffle(),
        left_out in proptest::collection::vec(any::<bool>(), 20),
        is_backwards in any::<bool>(),
    ) {
        let environment = world(&services, &letters);
        let direction = if is_backwards { Direction::NeededFor } else { Direction::Requires };
        let graph = Graph::new(&environment, direction);
        let chosen: BTreeSet<&InstanceName> =
            environment.instances.keys().zip(left_out).filter(|(_, out)| !out).map(|(name, _)| name).collect();
        prop_assert_eq!(
            order(&environment, &graph, direction, chosen.clone()),
            passed_over(&environment, &graph, direction, chosen)
        );
    }
}

fn chain(length: usize) -> Environment {
    let instances: Vec<Vec<usize>> = (0..length).map(|n| n.checked_sub(1).into_iter().collect()).collect();
    world(&[(Vec::new(), instances)], &['i'])
}

#[test]
fn of_a_chain_only_neighbours_are_kept() {
    let environment = chain(100);
    let all: BTreeSet<&InstanceName> = environment.instances.keys().collect();
    let siblings = siblings_before(&environment, Direction::Requires, &all);
    assert_eq!(siblings.values().map(BTreeSet::len).sum::<usize>(), 99);
    // Who is not chosen is looked through.
    let ends: BTreeSet<&InstanceName> =
        all.into_iter().filter(|name| matches!(name.as_str(), "i3" | "i90")).collect();
    let siblings = siblings_before(&environment, Direction::Requires, &ends);
    assert_eq!(
        siblings[&InstanceName::from("i90")].iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["i3"]
    );
}

#[test]
fn a_long_chain_needs_no_stack() {
    let environment = chain(5_000);
    let all: BTreeSet<&InstanceName> = environment.instances.keys().collect();
    let graph = Graph::new(&environment, Direction::NeededFor);
    assert_eq!(order(&environment, &graph, Direction::NeededFor, all.clone())[0].as_str(), "i4999");
    let ends: BTreeSet<&InstanceName> =
        all.into_iter().filter(|name| matches!(name.as_str(), "i0" | "i4999")).collect();
    assert_eq!(siblings_before(&environment, Direction::NeededFor, &ends).len(), 1);
}
