//! When an instance's turn is, among those of its service.

use super::Chain;
use super::deploy::Switch;
use crate::model::Portion;
use crate::names::InstanceName;
use crate::plan::StepId;
use std::time::Duration;

/// When the next instance's turn is, among those of its service.
#[derive(Default)]
pub(super) struct Turn<'a> {
    /// When these are done.
    pub(super) after: Vec<&'a InstanceName>,
    /// How many cannot be seen, and count as down.
    pub(super) unseen: usize,
    /// How many may be down.
    pub(super) allowed: usize,
    /// How many more of it serve than there are to be, by what is not in the file any more.
    pub(super) spare: usize,
    /// Those that are down while they are replaced.
    down: Line<'a>,
    /// Those of which nothing serves: they have nothing to wait for, and whatever goes down waits for them.
    idle: Vec<&'a InstanceName>,
    /// Those that are there twice while they are replaced.
    pub(super) beside: Line<'a>,
    /// Steps that come before all of them.
    pub(super) behind: Vec<StepId>,
    /// How many others are tried first, if what is to be replaced waits for them.
    pub(super) waits_for: Option<usize>,
    /// How long what has been replaced has to stay well before others follow.
    pub(super) pause: Duration,
    /// What canaries get of the requests together, if these are canaries.
    pub(super) portion: Option<Portion>,
    /// Whether canaries have been tried, and get what everybody gets.
    pub(super) level: bool,
    /// Those whose replacements run beside them, and take over together when all have been proved.
    pub(super) together: Option<Vec<(&'a InstanceName, Chain, Switch<'a>)>>,
}

/// Instances that are replaced one after the other, so many at a time.
#[derive(Debug, Clone, Default)]
pub(super) struct Line<'a> {
    pub(super) most: usize,
    begun: Vec<&'a InstanceName>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(unseen: usize, allowed: usize, beside: usize) -> Self {
        let down = Line { most: allowed.saturating_sub(unseen), begun: Vec::new() };
        let beside = Line { most: beside, begun: Vec::new() };
        Self { unseen, allowed, down, beside, ..Self::default() }
    }

    /// All of them at the same time.
    pub(super) fn together(all: usize, unseen: usize) -> Self {
        let line = Line { most: all, begun: Vec::new() };
        Self { unseen, down: line.clone(), beside: line, together: Some(Vec::new()), ..Self::default() }
    }

    /// The same, when these steps are done.
    pub(super) fn behind(self, steps: &[StepId]) -> Self {
        Self { behind: steps.to_vec(), ..self }
    }

    /// An instance that something is done to and of which nothing serves.
    pub(super) fn begin_idle(&mut self, instance: &'a InstanceName) {
        self.after.clear();
        self.idle.push(instance);
    }

    /// The next instance that something is done to, for which so many stop.
    pub(super) fn begin(&mut self, instance: &'a InstanceName, beside: bool, places: usize) {
        let line = if beside { &mut self.beside } else { &mut self.down };
        self.after.clear();
        // Each of its places is that of one before it.
        for _ in 0..places.clamp(1, line.most.max(1)) {
            let before = line.begun.len().checked_sub(line.most.max(1));
            match before.and_then(|place| line.begun.get(place)) {
                Some(before) => self.after.push(before),
                None if !beside => self.after.extend(&self.idle),
                None => {}
            }
            line.begun.push(instance);
        }
        self.after.dedup();
    }
}
