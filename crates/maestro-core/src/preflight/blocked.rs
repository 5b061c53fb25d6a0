//! What of a plan cannot be done, though its ship can be seen.

use super::{Finding, Findings, Severity, Topic};
use crate::plan::{Blocked, Fate, Plan};

/// What is known to be in the way of a plan. Not that ships cannot be seen, and what follows from that: what is on them is
/// done when they are back.
pub fn blocked(plan: &Plan) -> Vec<Finding> {
    let mut findings = Findings::default();
    for item in &plan.items {
        let Fate::Blocked(why) = &item.fate else { continue };
        let (topic, what, remedy) = match why {
            // What an instance needs has an item of its own.
            Blocked::Ship(_) | Blocked::Dependency(_) => continue,
            Blocked::Unavailable { unseen, going, allowed, .. } if *unseen > 0 && going <= allowed => {
                continue;
            }
            Blocked::Foreign(_) => (
                Topic::Names,
                "a container with an instance's name is not ours",
                "rename or remove that container by hand, or give the instance another name",
            ),
            Blocked::Ports { .. } => (
                Topic::Ports,
                "no port of a range is free",
                "widen the range, or stop containers that have its ports",
            ),
            Blocked::Variables(_) => (
                Topic::Plan,
                "a container could not be started with its variables",
                "give it fewer or shorter ones; `links:` and `requires:` say of whom it is told",
            ),
            Blocked::Unavailable { allowed, .. } if *allowed > 0 => (
                Topic::Plan,
                "more instances would have to stop before another one starts than may be down",
                "let as many be down (`max_unavailable`), or take away why they cannot be there together",
            ),
            Blocked::Unavailable { .. } | Blocked::Alone { .. } => (
                Topic::Plan,
                "an instance would have to stop before its replacement starts, and none may be down",
                "let one be down (`max_unavailable: 1`), or take away why there cannot be two of it",
            ),
            Blocked::HalfDone(_) => (
                Topic::Plan,
                "a deployment was broken off here",
                "`maestro resume` goes on with it, `maestro abort` goes back",
            ),
        };
        let place = findings
            .note(Severity::Error, topic, what, remedy)
            .at(&item.ship, format!("{}: {why}", item.instance));
        place.instances.insert(item.instance.clone());
    }
    findings.sorted()
}
