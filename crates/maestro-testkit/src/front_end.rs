//! Front ends of load balancers in memory: they do what they are told, late, never, or until they are killed.

use futures_util::future::BoxFuture;
use maestro_core::balance::{Configuration, Generation};
use maestro_core::boundary::{FrontEnd, FrontEndError};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A front end in memory. Time is tokio's, which tests may pause.
#[derive(Debug, Default)]
pub struct MemoryFrontEnd {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Configuration>,
    /// What its process has loaded; none while it does not run.
    process: Option<Process>,
    /// How long it takes from a reload until new connections see the new configuration.
    delay: Duration,
    /// How long a process lives on that was replaced.
    linger: Duration,
    former: Vec<Instant>,
    faults: VecDeque<FrontEndError>,
    /// Everything that it was given, in order.
    published: Vec<Configuration>,
}

#[derive(Debug, Default)]
struct Process {
    loaded: Option<Configuration>,
    /// Configurations that it will have loaded, and when.
    coming: VecDeque<(Instant, Configuration)>,
}

impl MemoryFrontEnd {
    /// One that runs, and has loaded nothing.
    pub fn new(name: &str) -> Self {
        let state = State { process: Some(Process::default()), ..State::default() };
        Self { name: name.to_owned(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance();
        state
    }

    /// From now on, so much time passes from a reload until it counts.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// From now on, a process that is replaced lives on for so long.
    pub fn linger(&self, linger: Duration) {
        self.state().linger = linger;
    }

    /// The next configuration that it is given fails like this.
    pub fn fail(&self, error: FrontEndError) {
        self.state().faults.push_back(error);
    }

    /// Its process ends, and what it had begun with it.
    pub fn kill(&self) {
        let mut state = self.state();
        state.process = None;
        state.former.clear();
    }

    /// A new process loads the file that is there.
    pub fn start(&self) {
        let mut state = self.state();
        let loaded = state.file.clone();
        state.process = Some(Process { loaded, coming: VecDeque::new() });
    }

    /// What new connections are served by; none while it does not run.
    pub fn loaded(&self) -> Option<Configuration> {
        self.state().process.as_ref()?.loaded.clone()
    }

    /// Everything that it was given and took, in order.
    pub fn published(&self) -> Vec<Configuration> {
        self.state().published.clone()
    }
}

impl State {
    fn advance(&mut self) {
        let now = Instant::now();
        let linger = self.linger;
        if let Some(process) = &mut self.process {
            while process.coming.front().is_some_and(|(at, _)| *at <= now) {
                if let Some((at, configuration)) = process.coming.pop_front() {
                    process.loaded = Some(configuration);
                    self.former.push(at + linger);
                }
            }
        }
        self.former.retain(|ends| *ends > now);
    }
}

impl FrontEnd for MemoryFrontEnd {
    fn name(&self) -> &str {
        &self.name
    }

    fn publish<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(async move {
            let mut state = self.state();
            if state.process.is_none() {
                return Err(FrontEndError::Unreachable(format!("{} does not run", self.name)));
            }
            if let Some(fault) = state.faults.pop_front() {
                return Err(fault);
            }
            state.file = Some(configuration.clone());
            state.published.push(configuration.clone());
            let at = Instant::now() + state.delay;
            if let Some(process) = &mut state.process {
                process.coming.push_back((at, configuration.clone()));
            }
            Ok(())
        })
    }

    fn prepare<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(async move {
            self.state().file = Some(configuration.clone());
            Ok(())
        })
    }

    fn serving(&self) -> BoxFuture<'_, Result<Option<Generation>, FrontEndError>> {
        Box::pin(async move {
            match &self.state().process {
                None => Err(FrontEndError::Unreachable("connection refused".to_owned())),
                Some(process) => Ok(process.loaded.as_ref().map(|loaded| loaded.generation.clone())),
            }
        })
    }

    fn lingering(&self) -> BoxFuture<'_, Result<Option<usize>, FrontEndError>> {
        Box::pin(async move { Ok(Some(self.state().former.len())) })
    }
}
