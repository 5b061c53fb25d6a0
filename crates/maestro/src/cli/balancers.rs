//! `maestro balancers`.

use super::act::Line;
use super::arguments::{Printing, Selecting};
use super::deploy;
use super::interrupts::unless_interrupted;
use super::kept::Kept;
use super::look::look;
use super::session::Session;
use super::{Fault, Outcome};
use crate::balance::Balancing;
use crate::observe::Engines;
use crate::report::ErrorReport;
use crate::report::balancers::{Shown, ShownFrontEnd, print};
use futures_util::future::join_all;
use maestro_core::balance::{Configuration, Rotation, configuration};
use maestro_core::boundary::{FrontEndError, Needs};
use maestro_core::diagnostic::nearest;
use maestro_core::model::{Balancer, Canary, Environment, Service, Strategy};
use maestro_core::names::{InstanceName, ServiceName};
use maestro_core::plan::Trial;
use maestro_core::release::Release;
use std::borrow::Cow;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Show what load balancers serve, and what they should
///
/// Every front end is asked which configuration it has loaded. The one that it should have is that for the instances that
/// run now; those on ships that do not answer count as running. Nothing is changed. The exit code is 1 if a front end
/// could not be asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Balancers; without names, all
    #[arg(value_name = "BALANCER")]
    names: Vec<String>,
    /// Print the configuration that this balancer should have, and ask no front end
    #[arg(long, value_name = "BALANCER", conflicts_with_all = ["names", "output"])]
    config: Option<String>,
    #[command(flatten)]
    printing: Printing,
}

/// How long a front end may take to say what it serves.
const ASKING: Duration = Duration::from_secs(20);

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let (mut environment, release) = session.release(|_, tree| Ok(tree))?;
    let (engines, kept) = session.fleet(&mut environment).await?;
    let wanted: Vec<&str> = args.config.iter().chain(&args.names).map(String::as_str).collect();
    let balancers = chosen(&environment, &wanted)?;
    let balancing = kept.balancing(&environment);
    let behind: Vec<InstanceName> = environment
        .instances
        .values()
        .filter(|instance| balancers.iter().any(|balancer| balancer.serves(&instance.service)))
        .map(|instance| instance.name.clone())
        .collect();
    let fleet = look(session, &environment, &engines, &behind, Needs::default()).await?;
    let mut rotation = Rotation::of(&environment, &fleet);
    let tries = |service: &ServiceName| environment.services.get(service).is_some_and(weighs);
    if balancers.iter().flat_map(|balancer| &balancer.routes).any(|route| tries(&route.service)) {
        for trial in trials(session, (&environment, &release), engines, &kept).await? {
            rotation.try_first(&trial.service, &trial.canaries, trial.portion);
        }
    }
    if args.config.is_some() {
        for balancer in balancers {
            session.printer.data(&wanted_of(balancer, &rotation)?.text);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let shown = unless_interrupted(async {
        let asked = balancers.iter().map(|balancer| ask(balancer, &balancing, &rotation));
        join_all(asked).await.into_iter().collect::<Result<Vec<_>, Fault>>()
    })
    .await?;
    print(&session.printer, &shown, args.printing.output);
    let silent = shown.iter().flat_map(|shown| &shown.front_ends).any(|front_end| front_end.serving.is_err());
    Ok(if silent { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether canaries of a service get a portion of its requests.
fn weighs(service: &Service) -> bool {
    matches!(service.deploy.strategy, Strategy::Canary(Canary { weight: Some(_), .. }))
}

/// What canaries get of the requests as long as a deployment is not finished: what it would have balancers do, if it went
/// on now.
async fn trials(
    session: &Session,
    (today, of_today): (&Environment, &Release),
    engines: Arc<Engines>,
    kept: &Kept,
) -> Result<Vec<Trial>, Fault> {
    let past = match kept.past(session).await {
        // Nothing is done here, so nothing is lost by that.
        Err(fault @ Fault::Ledger(_)) => {
            ErrorReport::of(&fault)
                .warning()
                .note("whether canaries are being tried is not known")
                .print(&session.printer);
            return Ok(Vec::new());
        }
        past => past?,
    };
    let Some(unfinished) = past.unfinished else { return Ok(Vec::new()) };
    let release = unfinished.release.on_ships_of(of_today);
    let environment = deploy::environment(session, &release, today)?;
    let selecting = Selecting::of(&unfinished.meant(&environment, today), unfinished.units);
    let intent = if unfinished.gives_up || unfinished.back.is_some() {
        deploy::back(false, unfinished.doubtful)
    } else {
        deploy::INTENT
    };
    Line::of(session, Cow::Owned(selecting), environment, engines).trials(&intent).await
}

/// The balancers of these names, or all.
fn chosen<'a>(environment: &'a Environment, names: &[&str]) -> Result<Vec<&'a Balancer>, Fault> {
    if names.is_empty() {
        return Ok(environment.balancers.values().collect());
    }
    let find = |name: &&str| {
        environment.balancers.get(*name).ok_or_else(|| {
            let known = environment.balancers.keys().map(maestro_core::names::BalancerName::as_str);
            let hint =
                nearest(name, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            Fault::Usage(format!("there is no balancer `{name}`{hint}"))
        })
    };
    names.iter().map(find).collect()
}

fn wanted_of(balancer: &Balancer, rotation: &Rotation) -> Result<Configuration, Fault> {
    configuration(balancer, &rotation.endpoints_of(balancer))
        .map_err(|fault| Fault::Usage(format!("the template of balancer {} fails: {fault}", balancer.name)))
}

async fn ask(balancer: &Balancer, balancing: &Balancing, rotation: &Rotation) -> Result<Shown, Fault> {
    let wanted = wanted_of(balancer, rotation)?.generation;
    let front_ends = balancing.front_ends(&balancer.name).iter().map(async |front_end| {
        let late = || Err(FrontEndError::Unreachable(format!("no answer within {} s", ASKING.as_secs())));
        let serving = timeout(ASKING, front_end.serving()).await.unwrap_or_else(|_| late());
        ShownFrontEnd { name: front_end.name().to_owned(), serving }
    });
    Ok(Shown {
        balancer: balancer.name.clone(),
        kind: balancer.kind.name(),
        wanted,
        front_ends: join_all(front_ends).await,
        endpoints: rotation.endpoints_of(balancer),
    })
}
