//! What earlier releases have left on the ships and nobody goes back to goes when a new one is there.

use super::act::Line;
use super::interrupts;
use crate::execute::{Means, execute};
use crate::observe::observe_watched;
use crate::probe::SystemProbe;
use maestro_core::boundary::Needs;
use maestro_core::event::{Event, Reporter, StepOutcome};
use maestro_core::history::History;
use maestro_core::names::ShipName;
use maestro_core::upkeep::{plan, superfluous, superseded};
use std::sync::Arc;
use tokio::time::Instant;

/// Counts what has been done, and says nothing.
#[derive(Default)]
struct Counting {
    done: usize,
}

impl Reporter for Counting {
    fn event(&mut self, event: &Event) {
        if let Event::StepFinished { outcome: StepOutcome::Done(_), .. } = event {
            self.done += 1;
        }
    }
}

impl Line<'_> {
    /// Takes images away that only earlier releases had. What keeps it from that is no fault of the deployment: the next
    /// one tries again.
    pub(super) async fn tidy(&self, history: &History) {
        let environment = self.environment();
        let images = superseded(history, environment);
        if images.is_empty() {
            return;
        }
        let ships: Vec<ShipName> = environment.ships.keys().cloned().collect();
        let needs = Needs { images: true, others: true, ..Needs::default() };
        let everybody: Vec<_> = environment.instances.keys().cloned().collect();
        let fleet = observe_watched(environment, self.engines(), (&everybody, &ships), needs, &|_| ()).await;
        let plan = plan(environment, superfluous(&fleet, &images));
        if plan.steps.is_empty() {
            return;
        }
        if let Some(fence) = self.fence()
            && fence.pass().await.is_err()
        {
            return;
        }
        let means = Means {
            engines: self.engines().clone(),
            probe: Arc::new(SystemProbe::default()),
            fence: self.fence().cloned(),
            routes: None,
            remember: None,
        };
        let mut counting = Counting::default();
        let mut interrupts = interrupts::listen();
        execute(Arc::new(plan), &means, &mut counting, &mut interrupts, Instant::now()).await;
        self.tell_tidied(counting.done);
    }
}
