//! Who needs whom.

use crate::model::Environment;
use crate::names::ServiceName;
use std::collections::{BTreeMap, BTreeSet};

/// Which way to follow dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a service to what it needs.
    Requires,
    /// From a service to what needs it.
    NeededFor,
}

/// Services that a service needs, or that need it, directly; without those that do not exist.
#[derive(Debug, Clone)]
pub struct Graph<'a> {
    edges: BTreeMap<&'a ServiceName, BTreeSet<&'a ServiceName>>,
}

impl<'a> Graph<'a> {
    /// The dependencies of an environment, declared and implied.
    pub fn new(environment: &'a Environment, direction: Direction) -> Self {
        let mut edges: BTreeMap<_, BTreeSet<_>> =
            environment.services.keys().map(|name| (name, BTreeSet::new())).collect();
        for (name, service) in &environment.services {
            for needed in &service.requires {
                let (from, to) = match direction {
                    Direction::Requires => (name, needed),
                    Direction::NeededFor => (needed, name),
                };
                edges.entry(from).or_default().insert(to);
            }
        }
        Self { edges }
    }

    /// Direct neighbours of a service, by name.
    pub fn next(&self, service: &ServiceName) -> impl Iterator<Item = &'a ServiceName> + use<'a, '_> {
        self.edges.get(service).into_iter().flatten().copied()
    }

    /// All services that can be reached, without the one itself unless it is on a circle.
    pub fn closure(&self, service: &ServiceName) -> BTreeSet<&'a ServiceName> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&ServiceName> = self.next(service).collect();
        while let Some(name) = open.pop() {
            if reached.insert(name) {
                open.extend(self.next(name));
            }
        }
        reached
    }
}

/// Circles in a graph, each once, beginning with its first name in order; at least one per knot of nodes that reach
/// each other.
pub fn cycles<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in edges.keys() {
        if done.contains(start) {
            continue;
        }
        // Depth first with a stack of our own: the depth is the author's.
        let mut path: Vec<(&str, std::collections::btree_set::Iter<'_, &str>)> = Vec::new();
        let mut on_path: BTreeSet<&str> = BTreeSet::new();
        let Some(next) = edges.get(start) else { continue };
        path.push((*start, next.iter()));
        on_path.insert(*start);
        while let Some((name, next)) = path.last_mut() {
            let name = *name;
            match next.next() {
                None => {
                    on_path.remove(name);
                    done.insert(name);
                    path.pop();
                }
                Some(target) if on_path.contains(target) => {
                    let from = path.iter().position(|(n, _)| n == target).unwrap_or(0);
                    let mut cycle: Vec<&str> = path[from..].iter().map(|(n, _)| *n).collect();
                    let first = (0..cycle.len()).min_by_key(|i| cycle[*i]).unwrap_or(0);
                    cycle.rotate_left(first);
                    if !found.contains(&cycle) {
                        found.push(cycle);
                    }
                }
                Some(target) if done.contains(target) => {}
                Some(target) => {
                    if let Some(next) = edges.get(target) {
                        path.push((*target, next.iter()));
                        on_path.insert(*target);
                    }
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(text: &'static str) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
        text.split_whitespace()
            .map(|line| {
                let (from, to) = line.split_once(':').unwrap();
                (from, to.split(',').filter(|t| !t.is_empty()).collect())
            })
            .collect()
    }

    #[test]
    fn names_circles_once() {
        assert_eq!(cycles(&graph("a:b b:c c:")), Vec::<Vec<&str>>::new());
        assert_eq!(cycles(&graph("a:a")), [["a"]]);
        assert_eq!(cycles(&graph("c:b b:a a:c d:a")), [["a", "c", "b"]]);
        assert_eq!(cycles(&graph("a:b b:a c:d d:c")), [["a", "b"], ["c", "d"]]);
    }
}
