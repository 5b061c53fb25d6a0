//! `budget:` and `freeze:`, as they bind the command line.

use super::Fault;
use super::look::look_around;
use super::session::Session;
use crate::observe::Engines;
use crate::report::ErrorReport;
use jiff::Timestamp;
use maestro_core::boundary::Needs;
use maestro_core::fleet::FleetSnapshot;
use maestro_core::model::{Environment, Frozen, Share};
use maestro_core::names::{InstanceName, ShipName};
use maestro_core::plan::{Action, Plan};
use maestro_core::planner::budget;
use std::collections::BTreeSet;

/// What has to be seen of a fleet besides the instances of a command: with a budget, everything that may be down.
pub(super) struct Seen {
    /// The ships of the command's instances.
    pub(super) fleet: FleetSnapshot,
    /// All ships; none if nobody asks.
    all: Option<FleetSnapshot>,
}

/// Looks at the ships of these instances and at some besides, and at those of all others if there is a budget for all.
pub(super) async fn see(
    session: &Session,
    environment: &Environment,
    engines: &Engines,
    (instances, besides): (&[InstanceName], &[ShipName]),
    needs: Needs,
) -> Result<Seen, Fault> {
    if environment.safeguards.max_unavailable.is_none() {
        let fleet = look_around(session, environment, engines, (instances, besides), needs).await?;
        return Ok(Seen { fleet, all: None });
    }
    let everybody: Vec<InstanceName> = environment.instances.keys().cloned().collect();
    let needs = Needs { details: true, others: true, ..needs };
    let all = look_around(session, environment, engines, (&everybody, besides), needs).await?;
    let mut fleet = all.clone();
    let ships = instances.iter().filter_map(|name| environment.instances.get(name)).map(|i| &i.ship);
    let ships: BTreeSet<&ShipName> = ships.chain(besides).collect();
    fleet.ships.retain(|ship, _| ships.contains(ship));
    Ok(Seen { fleet, all: Some(all) })
}

impl Seen {
    /// Orders a plan so that it keeps the budget. Where a way back cannot, it exceeds it by as little as can be: nobody
    /// is to be kept on a release that is no good.
    ///
    /// # Errors
    /// [`Fault::OverBudget`] if that cannot be, unless it is to be done all the same.
    pub(super) fn keep_budget(
        &self,
        session: &Session,
        environment: &Environment,
        plan: &mut Plan,
    ) -> Result<(), Fault> {
        let (Some(share), Some(all)) = (environment.safeguards.max_unavailable, &self.all) else {
            return Ok(());
        };
        match (budget::keep(plan, environment, all, share), &session.despite.budget) {
            (Ok(()), _) => Ok(()),
            (Err(over), Some(reason)) => {
                warn(session, &over, reason);
                Ok(())
            }
            (Err(over), None) if plan.intent.goes_back() => {
                warn(session, &over, "it goes back");
                let more = Share::Count(u32::try_from(over.would).unwrap_or(u32::MAX));
                budget::keep(plan, environment, all, more).map_err(Fault::OverBudget)
            }
            (Err(over), None) => Err(Fault::OverBudget(over)),
        }
    }
}

/// Refuses to change what users get while that is frozen: containers, and what balancers are told. Images may come at any
/// time. `more` if the command does more of that than this plan says. Returns whether it is to be done all the same, which
/// is said then.
///
/// # Errors
/// [`Fault::Frozen`], unless it is to be done all the same.
pub(super) fn unless_frozen(
    session: &Session,
    environment: &Environment,
    plan: &Plan,
    more: bool,
) -> Result<bool, Fault> {
    match (frozen(environment, plan, more), &session.despite.freeze) {
        (None, _) => Ok(false),
        (Some(frozen), Some(reason)) => {
            warn(session, &frozen, reason);
            Ok(true)
        }
        (Some(frozen), None) => Err(Fault::Frozen(frozen)),
    }
}

/// Why this is not the time for a plan.
pub(super) fn frozen(environment: &Environment, plan: &Plan, more: bool) -> Option<Frozen> {
    let touches = more || plan.steps.iter().any(|step| touches(&step.action));
    touches.then(|| environment.safeguards.frozen(Timestamp::now())).flatten()
}

/// Whether users may notice it.
fn touches(action: &Action) -> bool {
    match action {
        Action::Call(call) => call.container().is_some(),
        // A program that is run may do anything.
        Action::Route { .. } | Action::Provide { .. } | Action::Finish { .. } | Action::Local { .. } => true,
        Action::Await { .. } | Action::Check { .. } | Action::Delay { .. } | Action::Reached => false,
    }
}

fn warn(session: &Session, what: &dyn std::fmt::Display, reason: &str) {
    ErrorReport::new(format!("{what}; done all the same: {reason}")).warning().print(&session.printer);
}
