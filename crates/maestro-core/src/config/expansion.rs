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
}

/// How much of each there is so far, and how much there may be.
#[derive(Debug)]
pub(super) struct Expansion {
    variables: Count,
    ports: Count,
    checks: Count,
}

#[derive(Debug)]
struct Count {
    most: u64,
    so_far: u64,
}

impl Expansion {
    pub(super) fn new(limits: &Limits) -> Self {
        let up_to = |most| Count { most, so_far: 0 };
        Self { variables: up_to(limits.variables), ports: up_to(limits.ports), checks: up_to(limits.checks) }
    }

    fn of(&mut self, counted: Counted) -> (&mut Count, &'static str) {
        match counted {
            Counted::Variables => (&mut self.variables, "variables"),
            Counted::Ports => (&mut self.ports, "published ports"),
            Counted::Checks => (&mut self.checks, "lifecycle checks"),
        }
    }
}

impl Reader<'_> {
    /// Counts what somebody gets. Whoever is told `false` goes without it: the limit is passed, and it has been said.
    pub(super) fn expand(&mut self, counted: Counted, by: u64, at: Span) -> bool {
        let (count, what) = self.expansion.of(counted);
        let fitted = count.so_far <= count.most;
        count.so_far = count.so_far.saturating_add(by);
        let fits = count.so_far <= count.most;
        let most = count.most;
        if fitted && !fits {
            let message = format!("the instances have more than {most} {what} in all");
            self.report(
                Diagnostic::error(Code::TooLarge, message)
                    .label(at, "the limit is passed here")
                    .note("what a service says counts for each of its instances")
                    .help("write less, or split the file into several environments"),
            );
        }
        fits
    }
}
