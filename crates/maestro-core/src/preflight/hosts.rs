//! What is to be said of ships: their clocks and their memory.

use super::{Findings, Here, Severity, Topic, World, bytes};
use std::time::Duration;

/// A clock that is further off than this is worth a word: people compare times of logs by the second.
const SKEW: Duration = Duration::from_secs(2);

pub(super) fn look(findings: &mut Findings, _: &World<'_>, here: &Here<'_>) {
    clock(findings, here);
    memory(findings, here);
}

fn clock(findings: &mut Findings, here: &Here<'_>) {
    let Some(reading) = here.facts.clock else {
        let note = findings.note(
            Severity::Unknown,
            Topic::Clock,
            "an engine does not tell its time",
            "compare `date` on that host with this machine's",
        );
        note.at(here.ship, "there is no time in what it says of itself".to_owned());
        return;
    };
    let off = reading.ahead.unsigned_abs();
    if off.saturating_sub(reading.uncertainty) <= SKEW {
        return;
    }
    let direction = if reading.ahead.is_positive() { "ahead of" } else { "behind" };
    let note = findings.note(
        Severity::Warning,
        Topic::Clock,
        "the clock of a ship is not this machine's: times in logs do not fit together, and far off, certificates \
         are not valid yet or any more",
        "let the host keep its time (chrony, systemd-timesyncd), and this machine, too",
    );
    note.at(here.ship, format!("{} {direction} this machine", span(off)));
}

/// A duration as coarse as it may be said.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        ..60 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn memory(findings: &mut Findings, here: &Here<'_>) {
    let limits = here.members.iter().filter_map(|instance| {
        let limit = instance.settings.memory.and_then(|limit| u64::try_from(limit).ok());
        limit.filter(|limit| *limit > 0).map(|limit| (*instance, limit))
    });
    let limited: Vec<_> = limits.collect();
    if !here.facts.limits_memory {
        for (instance, _) in &limited {
            let note = findings.note(
                Severity::Warning,
                Topic::Memory,
                "an engine cannot limit memory, and forgets the limits",
                "boot the host with the memory control group (`cgroup_enable=memory`), or live without limits",
            );
            note.about(here.ship, instance, format!("`memory` of {}", instance.name));
        }
    }
    let asked = limited.iter().fold(0u64, |sum, (_, limit)| sum.saturating_add(*limit));
    let Some(memory) = here.facts.memory.filter(|memory| asked > *memory) else { return };
    let note = findings.note(
        Severity::Warning,
        Topic::Memory,
        "the limits of a ship's instances are more than its memory: if they use what they may, the kernel kills some",
        "lower `memory` below `limits:`, or move instances to another ship",
    );
    let place = note.at(here.ship, format!("{} asked for, {} there", bytes(asked), bytes(memory)));
    place.instances.extend(limited.iter().map(|(instance, _)| instance.name.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_coarse() {
        let text = |millis| span(Duration::from_millis(millis));
        assert_eq!(
            [text(3_250), text(61_000), text(7_200_000), text(200_000_000)],
            ["3.2 s", "1 min", "2 h", "2 days"]
        );
    }
}
