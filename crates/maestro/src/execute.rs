//! Carrying out a plan: performs what [`Run`] gives out, within deadlines, and tells the reporter. Makes no decision
//! about containers; if one is needed here, the plan lacks something.

mod hooks;
mod look;
mod step;

use crate::balance::Routes;
use crate::ledger::Fence;
use crate::observe::Engines;
use futures_util::future::BoxFuture;
use look::Looks;
use maestro_core::boundary::{CallOutcome, LedgerError, Probe};
use maestro_core::event::{Event, Failure, News, Reporter, RunSummary, Skipped, StepOutcome};
use maestro_core::model::HookName;
use maestro_core::names::ContainerId;
use maestro_core::plan::{Action, Plan, StepId};
use maestro_core::run::Run;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

/// What steps need besides the plan.
#[derive(Clone)]
pub struct Means {
    /// The engines.
    pub engines: Arc<Engines>,
    /// Runs checks that are not calls to an engine.
    pub probe: Arc<dyn Probe>,
    /// What every change of a container has to pass, where only one may make changes.
    pub fence: Option<Fence>,
    /// The balancers, where there are any.
    pub routes: Option<Arc<Routes>>,
    /// Where it is written down how hooks ended; none if nobody would go on from there.
    pub remember: Option<Arc<dyn Remember>>,
}

/// Writes down what whoever goes on cannot see.
pub trait Remember: Send + Sync {
    /// A hook has come to a good end: it must not be run again.
    fn ran<'a>(&'a self, hook: &'a HookName) -> BoxFuture<'a, Result<(), LedgerError>>;

    /// The time of a hook is over that runs in this container: whatever that ends with from now on, it is not a good end.
    fn is_late<'a>(
        &'a self,
        hook: &'a HookName,
        container: &'a ContainerId,
    ) -> BoxFuture<'a, Result<(), LedgerError>>;
}

/// How often reporters may redraw what only time changes.
const TICK: Duration = Duration::from_millis(100);

/// Carries out a plan to its end. Each message on `interrupts` is one Ctrl-C: after the first nothing new is begun,
/// after the second calls that are under way are abandoned. The summary's time is that since `began`, when the command
/// did: looking at the fleet is part of it.
pub async fn execute(
    plan: Arc<Plan>,
    means: &Means,
    reporter: &mut dyn Reporter,
    interrupts: &mut mpsc::UnboundedReceiver<()>,
    began: Instant,
) -> RunSummary {
    let mut dispatcher = Dispatcher {
        run: Run::new(plan.clone()),
        looks: Arc::new(Looks::new(&means.engines)),
        means: means.clone(),
        tasks: JoinSet::new(),
        running: BTreeMap::new(),
        reporter,
    };
    dispatcher.reporter.event(&Event::RunStarted { plan });
    dispatcher.drive(interrupts).await;
    let summary = dispatcher.run.summary(began.elapsed());
    dispatcher.reporter.event(&Event::RunFinished { summary: summary.clone() });
    summary
}

/// The only one that talks to the outside: everything that happens passes through it in one order.
struct Dispatcher<'a> {
    run: Run,
    looks: Arc<Looks>,
    means: Means,
    tasks: JoinSet<StepOutcome>,
    running: BTreeMap<Id, (StepId, Instant)>,
    reporter: &'a mut dyn Reporter,
}

impl Dispatcher<'_> {
    async fn drive(&mut self, interrupts: &mut mpsc::UnboundedReceiver<()>) {
        let (news_in, mut news_out) = mpsc::channel::<(StepId, News)>(1024);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut interrupted = 0;
        loop {
            // Before anything is begun: the user may have pressed Ctrl-C while the fleet was looked at.
            while interrupts.try_recv().is_ok() {
                interrupted += 1;
                self.interrupt(interrupted);
            }
            self.start_ready(&news_in);
            if self.run.is_over() {
                break;
            }
            tokio::select! {
                biased;
                Some(()) = interrupts.recv() => {
                    interrupted += 1;
                    self.interrupt(interrupted);
                }
                Some((step, news)) = news_out.recv() => {
                    self.reporter.event(&Event::StepProgress { step, news });
                }
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                _ = tick.tick() => self.reporter.event(&Event::Tick),
            }
        }
    }

    fn start_ready(&mut self, news: &mpsc::Sender<(StepId, News)>) {
        loop {
            let ready = self.run.take_ready();
            if ready.is_empty() {
                return;
            }
            for id in ready {
                let Some(step) = self.run.plan().step(id) else { continue };
                if matches!(step.action, Action::Reached) {
                    let skipped = self.run.finish(id, &StepOutcome::Done(CallOutcome::Done));
                    self.skipped(skipped);
                    continue;
                }
                self.reporter.event(&Event::StepStarted { step: id });
                let task = step::perform(
                    self.run.plan().clone(),
                    id,
                    self.means.clone(),
                    self.looks.clone(),
                    news.clone(),
                );
                let handle = self.tasks.spawn(task);
                self.running.insert(handle.id(), (id, Instant::now()));
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, StepOutcome), tokio::task::JoinError>) {
        let (task, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => (error.id(), StepOutcome::Failed(Failure::Interrupted)),
            Err(error) => (error.id(), StepOutcome::Failed(Failure::Internal(error.to_string()))),
        };
        let Some((step, began)) = self.running.remove(&task) else { return };
        let skipped = self.run.finish(step, &outcome);
        self.reporter.event(&Event::StepFinished { step, outcome, took: began.elapsed() });
        self.skipped(skipped);
    }

    fn interrupt(&mut self, times: u32) {
        let skipped = if times == 1 {
            self.reporter.event(&Event::Interrupted);
            self.run.interrupt()
        } else {
            self.tasks.abort_all();
            self.run.abort()
        };
        self.skipped(skipped);
    }

    fn skipped(&mut self, skipped: Vec<(StepId, Skipped)>) {
        for (step, because) in skipped {
            self.reporter.event(&Event::StepSkipped { step, because });
        }
    }
}
