//! `maestro doctor`, and the same before a deployment.

use super::arguments::{Printing, Selecting};
use super::deploy::INTENT;
use super::look::{look, shown};
use super::session::Session;
use super::{Fault, Outcome};
use crate::observe::Engines;
use crate::preflight::learn;
use crate::report::ErrorReport;
use crate::report::findings::{Asked, print, warn};
use maestro_core::boundary::Needs;
use maestro_core::fleet::FleetSnapshot;
use maestro_core::model::Environment;
use maestro_core::model::graph::Direction;
use maestro_core::names::{InstanceName, ShipName};
use maestro_core::plan::{Action, Fate, Limits, Plan};
use maestro_core::planner::plan;
use maestro_core::preflight::{Asking, Finding, Severity, preflight};
use maestro_core::select::{SelectionRules, select};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Find out what a deployment would fail of, and touch nothing
///
/// Asks all ships at once: whether they can be reached and speak a common API, whether their clocks are right, whether
/// registries let them have the images, what those were built for and whether they have room, whether names and ports are
/// free, whether volumes and networks are there, and whether there is as much memory as is asked for. What cannot be told
/// is said to be so. `deploy` does the same for what it would change.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selecting: Selecting,
    #[command(flatten)]
    printing: Printing,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let mut environment = session.environment()?;
    let rules = SelectionRules { direction: Direction::Requires, includes_omitted: false };
    let selection = select(&environment, &args.selecting.selector(), rules)?;
    let instances = &selection.instances;
    let mut secrets = environment.secrets_of_containers(instances);
    secrets.extend(environment.secrets_of_registries(instances));
    session.unseal(&mut environment, &secrets).await?;
    let engines = session.engines(&environment);
    // What a deployment would do is seen here only as far as containers go: which of them it would stop, and when.
    let planned =
        |fleet: &FleetSnapshot| Cow::Owned(plan(&environment, fleet, &INTENT, &selection, Limits::default()));
    let wanted = (&instances[..], Asking::All, INTENT.needs());
    let findings = examine(session, &environment, &engines, wanted, planned).await?;
    let asked = Asked {
        ships: ships(&environment, instances).len(),
        instances: instances.len(),
        took: session.began.elapsed(),
    };
    print(&session.printer, &findings, asked, args.printing.output);
    Ok(if findings.iter().any(is_error) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What would be in the way of what a plan changes. Looks at the fleet by itself; registries are asked about images only
/// that are not where they are needed: a way back needs none.
pub(super) async fn foreseen(
    session: &Session,
    environment: &Environment,
    engines: &Engines,
    plan: &Plan,
) -> Result<Vec<Finding>, Fault> {
    let changes = |step: &_| matches!(plan.step(*step).map(|step| &step.action), Some(Action::Call(_)));
    let acting = plan.items.iter().filter_map(|item| match &item.fate {
        Fate::Act { steps, .. } if steps.iter().any(changes) => Some(item.instance.clone()),
        Fate::Act { .. } | Fate::Settled(_) | Fate::Blocked(_) | Fate::Waits { .. } => None,
    });
    let acting: Vec<InstanceName> = acting.collect();
    if acting.is_empty() {
        return Ok(Vec::new());
    }
    let needs = Needs { images: true, others: true, ..Needs::default() };
    let wanted = (&acting[..], Asking::Missing, needs);
    let mut findings = examine(session, environment, engines, wanted, |_| Cow::Borrowed(plan)).await?;
    findings.retain(|finding| finding.severity != Severity::Unknown);
    Ok(findings)
}

/// Shows warnings.
///
/// # Errors
/// [`Fault::Preflight`], with the errors, unless it is to be done all the same.
pub(super) fn judge(session: &Session, findings: Vec<Finding>) -> Result<(), Fault> {
    let (errors, others): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(is_error);
    warn(&session.printer, &others);
    match &session.despite.preflight {
        _ if errors.is_empty() => Ok(()),
        None => Err(Fault::Preflight(errors)),
        Some(reason) => {
            warn(&session.printer, &errors);
            let said = format!("this would fail; done all the same: {reason}");
            ErrorReport::new(said).warning().print(&session.printer);
            Ok(())
        }
    }
}

async fn examine<'p>(
    session: &Session,
    environment: &Environment,
    engines: &Engines,
    (instances, asking, needs): (&[InstanceName], Asking, Needs),
    planned: impl FnOnce(&FleetSnapshot) -> Cow<'p, Plan>,
) -> Result<Vec<Finding>, Fault> {
    let fleet = look(session, environment, engines, instances, needs).await?;
    let learnt = shown(session, ships(environment, instances), async |answered| {
        learn(environment, engines, fleet, instances, asking, answered).await
    })
    .await?;
    Ok(preflight(environment, &learnt, instances, &planned(&learnt.fleet)))
}

fn ships(environment: &Environment, instances: &[InstanceName]) -> BTreeSet<ShipName> {
    instances.iter().filter_map(|name| environment.instances.get(name)).map(|i| i.ship.clone()).collect()
}

fn is_error(finding: &Finding) -> bool {
    finding.severity == Severity::Error
}
