//! The way back from a deployment that did not come to its end, and what is said of one that stays as it is.

use super::recording::{instances, whole};
use super::{Change, Ended, PARTLY, leased};
use crate::cli::act::Line;
use crate::cli::arguments::Selecting;
use crate::cli::interrupts::Interrupts;
use crate::cli::kept::{self, Past};
use crate::cli::session::Session;
use crate::cli::{Fault, deploy};
use crate::ledger::OwnedLedger;
use crate::report::ErrorReport;
use jiff::Timestamp;
use maestro_core::boundary::LedgerWriter;
use maestro_core::deployment::Deployment;
use maestro_core::event::Failure;
use maestro_core::model::{Environment, Remedy};
use maestro_core::names::{InstanceName, ServiceName};
use maestro_core::release::Release;
use maestro_core::select::Selector;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// It failed, and everything is as it was.
const TAKEN_BACK: u8 = 4;

impl Change<'_> {
    /// Whether the lease is still held: without it, there is no way back that could be gone.
    pub(super) async fn may_go_on(&self) -> bool {
        let Some(fence) = self.line.fence() else { return true };
        let passed = fence.pass().await;
        if let Err(lost) = passed {
            ErrorReport::from(&Failure::Fenced(lost)).print(&self.session.printer);
            return false;
        }
        true
    }

    /// What goes into the journal when more has turned out to be no good.
    pub(super) fn doubting(&self, more: BTreeSet<InstanceName>) -> Deployment {
        let mut target = self.target.clone();
        target.doubtful.extend(more);
        target
    }

    /// What the services want of which something failed: the most careful counts.
    pub(super) fn remedy(&self, failed: &BTreeSet<ServiceName>) -> Remedy {
        let services = &self.line.environment().services;
        failed
            .iter()
            .filter_map(|name| services.get(name))
            .map(|service| service.deploy.on_failure)
            .max_by_key(|remedy| match remedy {
                Remedy::Continue => 0,
                Remedy::Rollback => 1,
                Remedy::Pause => 2,
            })
            .unwrap_or_default()
    }

    pub(super) fn tell_taken_back(&self, past: &Past) {
        let number = past.history.current().map_or(0, |record| record.number);
        self.session.printer.talk(&format!("everything is as in release {number} again"));
    }

    /// Goes back to the release that was there. Something has been changed, so wherever that ends it is not over.
    pub(super) async fn take_back(
        self,
        ledger: &Arc<OwnedLedger>,
        past: &Past,
        before: Release,
        doubtful: BTreeSet<InstanceName>,
        interrupts: &mut Interrupts,
    ) -> Ended {
        let session = self.session;
        self.try_back(ledger, past, before, doubtful, interrupts).await.unwrap_or_else(|fault| {
            fault.print(&session.printer);
            explain(session, past);
            Ended::with(PARTLY)
        })
    }

    async fn try_back(
        self,
        ledger: &Arc<OwnedLedger>,
        past: &Past,
        before: Release,
        doubtful: BTreeSet<InstanceName>,
        interrupts: &mut Interrupts,
    ) -> Result<Ended, Fault> {
        let session = self.session;
        let deployment = self.doubting(doubtful);
        let today = &self.today;
        let back = going_back(session, today, past, &before, &deployment, self.line.environment())?;
        let GoingBack { target, environment, selecting } = back;
        let line = Line::of(session, Cow::Owned(selecting), environment, self.line.engines().clone());
        let mut line = line.unsealed(&deploy::INTENT).await?;
        line.unseal_auditors().await?;
        let number = past.history.current().map_or(0, |record| record.number);
        session.printer.talk(&format!("it failed: going back to release {number}"));
        ledger.append(&target.document()).await?;
        let line = leased(line, &self.kept, self.line.fence()).unopposed();
        let intent = deploy::back(false, target.doubtful.clone());
        let plan = line.plan_seen(&intent, intent.selection_rules()).await?.0;
        let carried = line.carry(&intent, plan, self.options.showing.beside(), interrupts).await?;
        let abandoned = carried.summary.abandoned > 0;
        let told = if carried.summary.is_success() { line.send_everywhere().await } else { Ok(()) };
        if let Err(fault) = &told {
            fault.print(&session.printer);
        }
        if carried.summary.is_success() && told.is_ok() {
            ledger.close_journal().await?;
            self.tell_taken_back(past);
            return Ok(Ended { abandoned, ..Ended::with(TAKEN_BACK) });
        }
        ErrorReport::new(format!("not everything is as in release {number} again"))
            .warning()
            .hint("`maestro abort` tries again, `maestro resume` too")
            .print(&session.printer);
        Ok(Ended { abandoned, ..Ended::with(PARTLY) })
    }
}

/// What to do about a deployment that did not come to its end.
pub(super) fn explain(session: &Session, past: &Past) {
    let report =
        ErrorReport::new("the deployment is not finished").warning().hint("`maestro resume` goes on with it");
    let report = match (past.way_back, past.history.current()) {
        (Some(number), _) => report.hint(format!("`maestro abort` goes back to release {number}")),
        (None, Some(record)) => report.note(format!("nobody can go back to release {}", record.number)),
        (None, None) => report.note("there is no release yet that could be gone back to"),
    };
    report.print(&session.printer);
}

/// The way back from a deployment to the release before it.
pub(in crate::cli) struct GoingBack {
    pub(in crate::cli) target: Deployment,
    pub(in crate::cli) environment: Environment,
    pub(in crate::cli) selecting: Selecting,
}

/// Prepares it. `environment` is that of the deployment.
pub(in crate::cli) fn going_back(
    session: &Session,
    today: &(Environment, Release),
    past: &Past,
    before: &Release,
    deployment: &Deployment,
    environment: &Environment,
) -> Result<GoingBack, Fault> {
    let known = past.history.current().ok_or(Fault::NothingBefore)?;
    let release = before.on_ships_of(&today.1);
    let old = deploy::environment(session, &release, &today.0)?;
    let selected = instances(environment, &deployment.selector).unwrap_or_default();
    let services: BTreeSet<&ServiceName> =
        selected.iter().filter_map(|name| environment.instances.get(name)).map(|i| &i.service).collect();
    let whole = whole(environment, &deployment.selector);
    let services: BTreeSet<&ServiceName> = services.into_iter().chain(&whole).collect();
    // What was not there before goes.
    let is_new = |name: &&ServiceName| !known.services.contains_key(*name);
    let gone: BTreeSet<ServiceName> = services.iter().copied().filter(is_new).cloned().collect();
    // What belongs to these services now or belonged to them then, but for what was left out on purpose.
    let things = old.instances.values().filter(|instance| {
        known.services.contains_key(&instance.service)
            && services.contains(&instance.service)
            && (selected.contains(&instance.name) || !environment.instances.contains_key(&instance.name))
    });
    let things: Vec<String> = things.map(|instance| instance.name.to_string()).collect();
    // Where nothing is meant any more, nothing is left to be taken back.
    if things.is_empty() && gone.is_empty() && !selected.is_empty() {
        return Err(Fault::NothingBefore);
    }
    let ignore_dependencies = deployment.selector.ignore_dependencies;
    let selector = Selector { ignore_dependencies, gone, ..Selector::default() }.only(things);
    let selecting = Selecting::of(&selector, deployment.units);
    let target = Deployment {
        release,
        selector,
        units: deployment.units,
        by: kept::owner(),
        at: Timestamp::now(),
        doing: format!("going back from: {}", deployment.doing),
        back: None,
        doubtful: deployment.doubtful.clone(),
        promote: false,
        gives_up: true,
        hooks: BTreeMap::new(),
    };
    Ok(GoingBack { target, environment: old, selecting })
}
