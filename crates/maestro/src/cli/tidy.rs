//! What earlier releases have left on the ships and nobody goes back to goes when a new one is there, and what a deployment
//! has brought in whose place the new one came.

use super::act::Line;
use super::interrupts::Interrupts;
use super::kept::{self, Past};
use crate::execute::{Means, execute};
use crate::observe::observe_watched;
use crate::probe::SystemProbe;
use crate::report::diagnostics::plural;
use maestro_core::boundary::{Ledger, Needs};
use maestro_core::event::{Event, Reporter, StepOutcome};
use maestro_core::fleet::FleetSnapshot;
use maestro_core::history::Outline;
use maestro_core::model::Environment;
use maestro_core::names::{ServiceName, ShipName};
use maestro_core::plan::{Action, EngineCall, Plan, StepId};
use maestro_core::upkeep::{Forsaken, brought, forsaken, needed, plan, superfluous, superseded};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// Remembers what has been done, and says nothing.
#[derive(Default)]
struct Noting {
    done: BTreeSet<StepId>,
}

impl Reporter for Noting {
    fn event(&mut self, event: &Event) {
        if let Event::StepFinished { step, outcome: StepOutcome::Done(_), .. } = event {
            self.done.insert(*step);
        }
    }
}

impl Line<'_> {
    /// How what nobody will need any more is taken away once what is new is listed; none if there is nothing. `past` is
    /// what there was before, and `today` the file as it is today.
    pub(super) async fn leavings(
        &self,
        ledger: &dyn Ledger,
        past: &Past,
        today: &Environment,
        news: Option<&Outline>,
    ) -> Option<Plan> {
        let environment = self.environment();
        let history = &past.history;
        // Nobody needs what only a deployment has brought in whose place this one came.
        let mut others: Vec<_> = past.unfinished.iter().flat_map(|one| brought(one, today)).collect();
        let needed = needed(history, news);
        let ships: Vec<ShipName> = environment.ships.keys().cloned().collect();
        let needs = Needs { images: true, others: true, ..Needs::default() };
        let everybody: Vec<_> = environment.instances.keys().cloned().collect();
        let look =
            async || observe_watched(environment, self.engines(), (&everybody, &ships), needs, &|_| ()).await;
        // As long as all releases stay, so do their containers.
        let with_containers = needed.len() < history.records().len();
        let seen = if with_containers { Some(look().await) } else { None };
        let going = match &seen {
            Some(fleet) => self.forsaken(ledger, past, &needed, today, fleet).await,
            None => Vec::new(),
        };
        // Of what never became a release, only they tell.
        others.extend(going.iter().map(|one| one.container.image.clone()));
        let images = superseded(history, &needed, environment, others);
        let late;
        let fleet = match &seen {
            Some(fleet) => fleet,
            None if images.is_empty() => return None,
            None => {
                late = look().await;
                &late
            }
        };
        Some(plan(environment, &going, superfluous(fleet, &images, &going)))
            .filter(|plan| !plan.steps.is_empty())
    }

    /// Takes that away. What keeps it from that is no fault of the deployment: the next one tries again. Returns whether a
    /// call was given up that may still happen.
    pub(super) async fn tidy(&self, plan: Plan, interrupts: &mut Interrupts) -> bool {
        if let Some(fence) = self.fence()
            && fence.pass().await.is_err()
        {
            return false;
        }
        let means = Means {
            engines: self.engines().clone(),
            probe: Arc::new(SystemProbe::default()),
            fence: self.fence().cloned(),
            routes: None,
            remember: None,
        };
        let plan = Arc::new(plan);
        let mut noting = Noting::default();
        let summary =
            execute(plan.clone(), &means, &mut noting, &mut interrupts.unheard, Instant::now()).await;
        let (mut containers, mut images) = (0, 0);
        for step in noting.done.iter().filter_map(|id| plan.step(*id)) {
            match &step.action {
                Action::Call(EngineCall::RemoveContainer { .. }) => containers += 1,
                Action::Call(EngineCall::RemoveImage { .. }) => images += 1,
                _ => {}
            }
        }
        self.tell_tidied(containers, images);
        summary.abandoned > 0
    }

    /// Containers that neither the file, of today and of what was deployed, nor a release that is kept has. None if such
    /// a release cannot be read.
    async fn forsaken<'f>(
        &self,
        ledger: &dyn Ledger,
        past: &Past,
        needed: &BTreeSet<u64>,
        today: &Environment,
        fleet: &'f FleetSnapshot,
    ) -> Vec<Forsaken<'f>> {
        let environment = self.environment();
        let records = past.history.records().iter();
        let services: BTreeSet<ServiceName> =
            records.flat_map(|record| record.services.keys()).cloned().collect();
        if forsaken(environment, fleet, &services, &[today]).is_empty() {
            return Vec::new();
        }
        let mut then = Vec::new();
        for number in needed {
            let Ok(release) = kept::release(ledger, *number).await else { return Vec::new() };
            let Ok(environment) = release.environment_then(today) else { return Vec::new() };
            then.push(environment);
        }
        let kept: Vec<&Environment> = then.iter().chain([today]).collect();
        forsaken(environment, fleet, &services, &kept)
    }

    /// Says how much has gone.
    fn tell_tidied(&self, containers: usize, images: usize) {
        let parts = [(containers, "container"), (images, "image")];
        let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| plural(*count, what));
        let parts = parts.collect::<Vec<_>>().join(" and ");
        if !parts.is_empty() {
            self.talk(&format!("removed what nobody needs any more: {parts}"));
        }
    }
}
