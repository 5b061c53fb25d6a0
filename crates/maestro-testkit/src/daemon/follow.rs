//! Reading a container's output as it grows.

use crate::state::{Container, Machine};
use maestro_core::boundary::{LogLine, LogOptions};

/// How far a follower of a container's output has read.
pub(crate) struct Follower {
    reference: String,
    /// Which lines it has had.
    next: usize,
    /// Which start of the process it follows; none to stop at the present end.
    start: Option<u64>,
}

impl Follower {
    /// Begins where the options say.
    pub(crate) fn new(container: &Container, options: &LogOptions) -> Self {
        let all = &container.logs;
        let first = match options.since {
            Some(since) => all.iter().take_while(|line| line.at.is_some_and(|at| at < since)).count(),
            None => 0,
        };
        let tail = options.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(usize::MAX);
        Self {
            reference: container.id.as_str().to_owned(),
            next: first.max(all.len().saturating_sub(tail)),
            start: (options.follow && container.has_process()).then_some(container.starts),
        }
    }

    /// What it has not had yet. Nothing if the engine closes the stream, none if something may still come.
    pub(crate) fn read(&mut self, machine: &Machine) -> Option<Vec<LogLine>> {
        let Ok(container) = machine.get(&self.reference) else { return Some(Vec::new()) };
        let lines = container.logs.get(self.next..).unwrap_or_default().to_vec();
        self.next = container.logs.len();
        if !lines.is_empty() {
            return Some(lines);
        }
        // The engine closes the stream when the process ends, also if it is to be started again.
        let goes_on = self.start.is_some_and(|start| container.has_process() && container.starts == start);
        if goes_on { None } else { Some(Vec::new()) }
    }
}
