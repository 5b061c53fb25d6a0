//! The order of a command: who comes first, and by name among those who wait for nobody.
//!
//! As maestro-ng has it, the list is passed over by name until all are placed; in each pass an instance is placed if
//! everything before it has been placed already, in this pass or an earlier one. The pass of an instance follows from
//! those of the ones before it, so that nothing has to be passed over more than once here.

use crate::model::Environment;
use crate::model::graph::{Direction, Graph};
use crate::names::{InstanceName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// Which instances of the same service come before an instance.
pub(crate) type Siblings<'a> = BTreeMap<&'a InstanceName, BTreeSet<&'a InstanceName>>;

/// When something is placed: the pass, and its place in that.
type Place<K> = (usize, K);

/// The chosen instances in the order of the command.
pub(super) fn order<'a>(
    environment: &'a Environment,
    graph: &Graph<'a>,
    direction: Direction,
    chosen: BTreeSet<&'a InstanceName>,
) -> Vec<&'a InstanceName> {
    let siblings = siblings_before(environment, direction, &chosen);
    let mut members: BTreeMap<&ServiceName, Vec<(&InstanceName, &InstanceName)>> = BTreeMap::new();
    for name in chosen {
        if let Some(instance) = environment.instances.get(name) {
            members.entry(&instance.service).or_default().push((name, name));
        }
    }
    // When the last instance of a service is placed; of one that is not in the play, what is behind it still counts.
    let mut last: BTreeMap<&ServiceName, Option<Place<&InstanceName>>> = BTreeMap::new();
    let mut placed: Vec<Place<&InstanceName>> = Vec::new();
    for service in graph.in_order() {
        let before = graph.next(service).filter_map(|before| last.get(before).copied().flatten()).max();
        let found = members.remove(service).map(|members| in_passes(&members, &siblings, before));
        let found = found.unwrap_or_default();
        last.insert(service, found.iter().max().copied().or(before));
        placed.extend(found);
    }
    placed.sort_unstable();
    placed.into_iter().map(|(_, name)| name).collect()
}

/// In which pass each of some instances of a service is placed that all come after `before`; `K` is what passes go by.
pub(crate) fn in_passes<'a, K: Ord + Copy>(
    members: &[(K, &'a InstanceName)],
    siblings: &Siblings<'a>,
    before: Option<Place<K>>,
) -> Vec<Place<K>> {
    let index: BTreeMap<&InstanceName, usize> =
        members.iter().enumerate().map(|(index, (_, name))| (*name, index)).collect();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); members.len()];
    let mut waits_for = vec![0_usize; members.len()];
    for (member, (_, name)) in members.iter().enumerate() {
        for first in siblings.get(name).into_iter().flatten().filter_map(|first| index.get(first)) {
            followers[*first].push(member);
            waits_for[member] += 1;
        }
    }
    let after = |(pass, first): Place<K>, key: K| if first < key { pass } else { pass + 1 };
    // Loading refuses circles; if there were one, it would come last.
    let mut places: Vec<Place<K>> = members.iter().map(|(key, _)| (usize::MAX, *key)).collect();
    let mut earliest: Vec<usize> =
        members.iter().map(|(key, _)| before.map_or(0, |before| after(before, *key))).collect();
    let mut ready: Vec<usize> = (0..members.len()).filter(|member| waits_for[*member] == 0).collect();
    while let Some(member) = ready.pop() {
        places[member].0 = earliest[member];
        for follower in &followers[member] {
            let (key, _) = members[*follower];
            earliest[*follower] = earliest[*follower].max(after(places[member], key));
            waits_for[*follower] -= 1;
            if waits_for[*follower] == 0 {
                ready.push(*follower);
            }
        }
    }
    places
}

/// Instances of the same service that come before others because of `volumes_from`, also where those in between are
/// not chosen; without those that come before one of these.
pub(crate) fn siblings_before<'a>(
    environment: &'a Environment,
    direction: Direction,
    chosen: &BTreeSet<&'a InstanceName>,
) -> Siblings<'a> {
    let mut before = Siblings::new();
    let mut behind = Siblings::new();
    for name in chosen {
        for source in sources(environment, name, chosen, &mut behind) {
            let (first, second) = match direction {
                Direction::Requires => (source, *name),
                Direction::NeededFor => (*name, source),
            };
            before.entry(second).or_default().insert(first);
        }
    }
    before
}

/// The nearest chosen ones among those whose volumes an instance takes, and whose those take. `behind` is what is known
/// already of those that are not chosen.
fn sources<'a>(
    environment: &'a Environment,
    name: &InstanceName,
    chosen: &BTreeSet<&'a InstanceName>,
    behind: &mut Siblings<'a>,
) -> BTreeSet<&'a InstanceName> {
    let direct = |name: &InstanceName| environment.instances.get(name).into_iter().flat_map(|i| &i.after);
    // Depth first, on a stack of our own because the depth is the author's.
    let mut open: Vec<(&InstanceName, bool)> =
        direct(name).filter(|source| !chosen.contains(source)).map(|source| (source, false)).collect();
    while let Some((name, is_expanded)) = open.pop() {
        if is_expanded {
            let found = nearest(direct(name), chosen, behind);
            behind.insert(name, found);
        } else if !behind.contains_key(name) {
            // Ends circles, which loading refuses.
            behind.insert(name, BTreeSet::new());
            open.push((name, true));
            open.extend(direct(name).filter(|source| !chosen.contains(source)).map(|source| (source, false)));
        }
    }
    nearest(direct(name), chosen, behind)
}

fn nearest<'a>(
    direct: impl Iterator<Item = &'a InstanceName>,
    chosen: &BTreeSet<&'a InstanceName>,
    behind: &Siblings<'a>,
) -> BTreeSet<&'a InstanceName> {
    let mut found = BTreeSet::new();
    for source in direct {
        if chosen.contains(source) {
            found.insert(source);
        } else {
            found.extend(behind.get(source).into_iter().flatten());
        }
    }
    found
}

#[cfg(test)]
mod tests;
