//! Who needs whom.

use crate::model::Environment;
use crate::names::ServiceName;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

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

    /// All services, what comes first first.
    pub fn in_order(&self) -> Vec<&'a ServiceName> {
        let mut order = Vec::new();
        let mut visited: BTreeSet<&ServiceName> = BTreeSet::new();
        for root in self.edges.keys() {
            // Depth first, on a stack of our own because the depth is the author's.
            let mut stack = vec![(*root, false)];
            while let Some((name, expanded)) = stack.pop() {
                if expanded {
                    order.push(name);
                } else if visited.insert(name) {
                    stack.push((name, true));
                    stack.extend(self.next(name).map(|next| (next, false)));
                }
            }
        }
        order
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

/// The circles of a graph that are worth showing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cycles<'a> {
    /// One for each knot of nodes that reach each other: the shortest through the knot's first node in order, which it
    /// begins with.
    pub shown: Vec<Vec<&'a str>>,
    /// How many knots there are beyond those.
    pub left_out: usize,
}

/// Circles in a graph, at most so many; takes time in proportion to its size.
pub fn cycles<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, most: usize) -> Cycles<'a> {
    let names: Vec<&str> = edges.keys().copied().collect();
    let next: Vec<Vec<usize>> = edges
        .values()
        .map(|targets| targets.iter().filter_map(|target| names.binary_search(target).ok()).collect())
        .collect();
    let knots = knots(&next);
    let mut knot_of = vec![usize::MAX; names.len()];
    for (knot, members) in knots.iter().enumerate() {
        for member in members {
            knot_of[*member] = knot;
        }
    }
    let mut firsts: Vec<usize> = knots.iter().filter_map(|members| members.iter().min().copied()).collect();
    firsts.sort_unstable();
    let shown = firsts
        .iter()
        .take(most)
        .map(|first| shortest(&next, &knot_of, *first).into_iter().map(|node| names[node]).collect());
    Cycles { shown: shown.collect(), left_out: firsts.len().saturating_sub(most) }
}

/// Tarjan's strongly connected components, without those that are one node that does not reach itself. On a stack of
/// our own: the depth is the author's.
fn knots(next: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let mut index = vec![UNSEEN; next.len()];
    let mut low = vec![0; next.len()];
    let mut is_open = vec![false; next.len()];
    let (mut open, mut found, mut seen) = (Vec::new(), Vec::new(), 0);
    for root in 0..next.len() {
        if index[root] != UNSEEN {
            continue;
        }
        // Nodes being looked at, with how many of their targets have been.
        let mut path = vec![(root, 0)];
        while let Some((node, at)) = path.last_mut() {
            let node = *node;
            if *at == 0 && index[node] == UNSEEN {
                (index[node], low[node]) = (seen, seen);
                seen += 1;
                open.push(node);
                is_open[node] = true;
            }
            if let Some(target) = next[node].get(*at).copied() {
                *at += 1;
                if index[target] == UNSEEN {
                    path.push((target, 0));
                } else if is_open[target] {
                    low[node] = low[node].min(index[target]);
                }
                continue;
            }
            path.pop();
            if let Some((above, _)) = path.last() {
                low[*above] = low[*above].min(low[node]);
            }
            if low[node] == index[node] {
                let from = open.iter().rposition(|member| *member == node).unwrap_or(0);
                let members = open.split_off(from);
                for member in &members {
                    is_open[*member] = false;
                }
                if members.len() > 1 || next[node].binary_search(&node).is_ok() {
                    found.push(members);
                }
            }
        }
    }
    found
}

/// The shortest circle through a node of a knot, beginning with it.
fn shortest(next: &[Vec<usize>], knot_of: &[usize], first: usize) -> Vec<usize> {
    let mut from = vec![usize::MAX; next.len()];
    let mut open = VecDeque::from([first]);
    while let Some(node) = open.pop_front() {
        for target in &next[node] {
            if *target == first {
                let mut cycle = vec![node];
                while let Some(last) = cycle.last().filter(|last| **last != first) {
                    cycle.push(from[*last]);
                }
                cycle.reverse();
                return cycle;
            }
            if knot_of[*target] == knot_of[first] && from[*target] == usize::MAX {
                from[*target] = node;
                open.push_back(*target);
            }
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph(text: &'static str) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
        text.split_whitespace()
            .map(|line| {
                let (from, to) = line.split_once(':').unwrap();
                (from, to.split(',').filter(|t| !t.is_empty()).collect())
            })
            .collect()
    }

    fn shown(text: &'static str) -> Vec<Vec<&'static str>> {
        cycles(&graph(text), 10).shown
    }

    #[test]
    fn names_circles_once() {
        assert_eq!(shown("a:b b:c c:"), Vec::<Vec<&str>>::new());
        assert_eq!(shown("a:a"), [["a"]]);
        assert_eq!(shown("c:b b:a a:c d:a"), [["a", "c", "b"]]);
        assert_eq!(shown("a:b b:a c:d d:c"), [["a", "b"], ["c", "d"]]);
        assert_eq!(shown("a:b,x b:c c:a d:d,nobody"), [vec!["a", "b", "c"], vec!["d"]]);
    }

    #[test]
    fn a_knot_shows_its_shortest_circle() {
        assert_eq!(shown("a:b,c b:d c:d,a d:a"), [["a", "c"]]);
        assert_eq!(shown("b:c c:d,e d:b e:c"), [["b", "c", "d"]]);
        // Everybody needs everybody: there are more circles than anybody could count.
        let names: Vec<String> = (10..99).map(|n| format!("s{n}")).collect();
        let all: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let edges =
            all.iter().map(|name| (*name, all.iter().copied().filter(|n| n != name).collect())).collect();
        assert_eq!(cycles(&edges, 10), Cycles { shown: vec![vec!["s10", "s11"]], left_out: 0 });
    }

    #[test]
    fn many_knots_are_counted() {
        let names: Vec<String> = (10..99).map(|n| format!("s{n}")).collect();
        let edges = names.iter().map(|name| (name.as_str(), [name.as_str()].into())).collect();
        let cycles = cycles(&edges, 3);
        assert_eq!((cycles.shown, cycles.left_out), (vec![vec!["s10"], vec!["s11"], vec!["s12"]], 86));
    }

    #[test]
    fn a_long_circle_needs_no_stack() {
        let names: Vec<String> = (0..50_000).map(|n| format!("s{n:05}")).collect();
        let next = names.iter().cycle().skip(1);
        let edges = names.iter().zip(next).map(|(a, b)| (a.as_str(), [b.as_str()].into())).collect();
        let cycles = cycles(&edges, 10);
        assert!(cycles.shown[0].iter().copied().eq(names.iter().map(String::as_str)));
    }

    proptest! {
        /// What a search from every node finds.
        #[test]
        fn who_reaches_itself_is_in_a_knot(edges in proptest::collection::vec((0..9_usize, 0..9_usize), 0..25)) {
            let mut next = vec![BTreeSet::new(); 9];
            for (from, to) in edges {
                next[from].insert(to);
            }
            let reached = |from: usize| {
                let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
                while let Some(node) = open.pop() {
                    open.extend(next[node].iter().filter(|target| reached.insert(**target)));
                }
                reached
            };
            let mut expected: Vec<Vec<usize>> = Vec::new();
            for node in 0..9 {
                let knot: Vec<usize> = reached(node).into_iter().filter(|other| reached(*other).contains(&node)).collect();
                if !knot.is_empty() && !expected.contains(&knot) {
                    expected.push(knot);
                }
            }
            let sorted: Vec<Vec<usize>> = next.iter().map(|targets| targets.iter().copied().collect()).collect();
            let mut found = knots(&sorted);
            for knot in &mut found {
                knot.sort_unstable();
            }
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
