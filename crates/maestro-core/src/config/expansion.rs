//! What services say counts once for each of their instances: a small file can stand for gigabytes.

use super::fields::Reader;
use super::limits::Limits;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Variables,
    Ports,
    Checks,
    Replicas,
    /// Values that replicas share.
    Replicated,
    /// Ships that replicas can be on.
    Placements,
}

/// How much of each there is so far, and how much there may be.
#[derive(Debug)]
pub(super) struct Expansion {
    variables: Count,
    ports: Count,
    checks: Count,
    replicas: Count,
    replicated: Count,
    placements: Count,
}

#[derive(Debug)]
struct Count {
    most: u64,
    so_far: u64,
}

impl Expansion {
    pub(super) fn new(limits: &Limits) -> Self {
        let up_to = |most| Count { most, so_far: 0 };
        Self {
            variables: up_to(limits.variables),
            ports: up_to(limits.ports),
            checks: up_to(limits.checks),
            replicas: up_to(limits.replicas),
            replicated: up_to(limits.replicated),
            placements: up_to(limits.placements),
        }
    }

    fn of(&mut self, counted: Counted) -> (&mut Count, &'static str, &'static str) {
        match counted {
            Counted::Variables => (&mut self.variables, "instances", "variables"),
            Counted::Ports => (&mut self.ports, "instances", "published ports"),
            Counted::Checks => (&mut self.checks, "instances", "lifecycle checks"),
            Counted::Replicas => (&mut self.replicas, "services", "replicas"),
            Counted::Replicated => (&mut self.replicated, "replicas", "values"),
            Counted::Placements => (&mut self.placements, "replicas", "ships to choose from"),
        }
    }
}

impl Reader<'_> {
    /// Counts what somebody gets. Whoever is told `false` goes without it: the limit is passed, and it has been said.
    pub(super) fn expand(&mut self, counted: Counted, by: u64, at: Span) -> bool {
        let (count, who, what) = self.expansion.of(counted);
        let fitted = count.so_far <= count.most;
        count.so_far = count.so_far.saturating_add(by);
        let fits = count.so_far <= count.most;
        let most = count.most;
        if fitted && !fits {
            let message = format!("the {who} have more than {most} {what} in all");
            let error = Diagnostic::error(Code::TooLarge, message).label(at, "the limit is passed here");
            let error = match counted {
                Counted::Replicas | Counted::Placements => error,
                _ => error.note("what a service says counts for each of its instances"),
            };
            self.report(error.help("write less, or split the file into several environments"));
        }
        fits
    }
}
