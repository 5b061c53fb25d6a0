//! `maestro deploy`.

use super::act::{Line, secrets_for, untouched};
use super::arguments::{Selecting, Showing};
use super::change::{Agreed, Change, Options, Unfinished, whole};
use super::interrupts::unless_interrupted;
use super::kept::{Kept, Past, owner};
use super::session::Session;
use super::{Fault, Outcome};
use crate::report::{ErrorReport, diagnostics, list};
use crate::resolve::resolve;
use futures_util::future::{FutureExt as _, join, try_join};
use jiff::Timestamp;
use maestro_core::config::Loaded;
use maestro_core::deployment::Deployment;
use maestro_core::engine_error::EngineError;
use maestro_core::fleet::{FleetSnapshot, orphans};
use maestro_core::image::ImageRef;
use maestro_core::model::Environment;
use maestro_core::names::{BalancerName, InstanceName, ServiceName};
use maestro_core::plan::{Hooking, Intent, Plan};
use maestro_core::preflight::Finding;
use maestro_core::release::{Release, disagreement, retagged};
use maestro_core::select::{Selector, select};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Bring containers to what the file says
///
/// What is as the file says and runs is left alone. The rest is replaced, as the `deploy:` section of its service has
/// it: all at once, a few at a time, all together beside the old ones, or some first. Tags are resolved to one content
/// for all ships, and every ship has every image before the first container is stopped. The last three that were replaced are kept, stopped: the way back.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selecting: Selecting,
    /// This tag instead of those that the file gives to the images of the services named
    #[arg(short, long)]
    tag: Option<String>,
    /// Go on with the instances that wait while others of their service are tried (`strategy: canary`)
    #[arg(long)]
    promote: bool,
    /// Also stop what earlier releases had of services that the file does not have any more
    #[arg(long)]
    remove_orphans: bool,
    #[command(flatten)]
    options: Options,
}

impl Args {
    pub(super) fn showing(&self) -> Showing {
        self.options.showing
    }

    /// What is wanted of the fleet. Of what is unfinished, nobody has seen what was begun come up.
    pub(super) fn intent(&self, past: Option<&Past>, hooks: Hooking) -> Intent {
        let ask_again = past.is_some_and(Past::is_open);
        let doubtful = doubtful(past.and_then(|past| past.unfinished.as_ref()));
        Intent::Deploy { ask_again, promote: self.promote, doubtful, hooks }
    }

    /// As one would type it.
    fn doing(&self) -> String {
        let tag = self.tag.iter().flat_map(|tag| ["--tag", tag]);
        let flags = [(self.promote, "--promote"), (self.remove_orphans, "--remove-orphans")];
        let flags = flags.into_iter().filter_map(|(is_given, flag)| is_given.then_some(flag));
        let words = ["deploy"].into_iter().chain(self.selecting.things.iter().map(String::as_str));
        let words = words.chain(tag).chain(flags);
        words.collect::<Vec<_>>().join(" ")
    }
}

/// What a deployment wants of a fleet.
pub(super) const INTENT: Intent =
    Intent::Deploy { ask_again: false, promote: false, doubtful: BTreeSet::new(), hooks: Hooking::NEW };

/// What an unfinished deployment has found to be no good; a later one does not know better before it has looked.
pub(super) fn doubtful(unfinished: Option<&Deployment>) -> BTreeSet<InstanceName> {
    unfinished.map(|unfinished| unfinished.doubtful.clone()).unwrap_or_default()
}

/// What a way back wants of a fleet: nobody tries it first, and no hooks are run.
pub(super) fn back(ask_again: bool, doubtful: BTreeSet<InstanceName>) -> Intent {
    Intent::Deploy { ask_again, promote: true, doubtful, hooks: Hooking::Off }
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let reading =
        async |kept: &Kept| kept.past_after_others(session, &args.doing(), args.options.patience).await;
    let (mut draft, past) = Draft::new(session, &args, reading).await?;
    let past = past?;
    draft.orphans(&past, &args);
    let unfinished = past.unfinished.as_ref();
    let target = draft.target(&args, unfinished);
    let intent = args.intent(Some(&past), target.hooking(unfinished));
    let ahead = draft.kept.read_ahead(&past).map(Ok);
    let looking = unless_interrupted(try_join(draft.plan(&intent), ahead));
    let ((plan, fleet), ()) = looking.await.map_err(untouched)?;
    draft.tell_orphans(&fleet);
    let Draft { line, release, kept, today, .. } = draft;
    let (today, options, unfinished) = ((today, release), args.options, Unfinished::Replaced);
    let change = Change { session, line, kept, past, target, today, intent, options, unfinished };
    change.run(plan, Agreed::Shown).await
}

/// A deployment that is being prepared.
pub(super) struct Draft<'a> {
    session: &'a Session,
    /// Its environment is the release's, whose images are pinned.
    line: Line<'a>,
    pub(super) release: Release,
    kept: Kept,
    today: Environment,
    /// Images of which no registry tells what they are, and why.
    unresolved: Vec<(ImageRef, EngineError)>,
    instances: Vec<InstanceName>,
}

impl<'a> Draft<'a> {
    /// Reads the file, and asks what its tags stand for, and meanwhile what was deployed before.
    pub(super) async fn new(
        session: &'a Session,
        args: &'a Args,
        reading: impl AsyncFnOnce(&Kept) -> Result<Past, Fault>,
    ) -> Result<(Self, Result<Past, Fault>), Fault> {
        let selecting = &args.selecting;
        if selecting.limits().is_none() {
            return Err(Fault::Usage("the limit of -c must not be negative".to_owned()));
        }
        let (mut today, mut release) = session.release(|today, tree| match &args.tag {
            None => Ok(tree),
            Some(tag) => Ok(retagged(&tree, &named(today, selecting)?, tag)),
        })?;
        let (engines, kept) = session.fleet(&mut today).await?;
        let mut environment = environment(session, &release, &today)?;
        let instances = select(&environment, &selecting.selector(), INTENT.selection_rules())?.instances;
        let secrets = secrets_for(&environment, &INTENT, &instances);
        session.unseal(&mut environment, &secrets).await?;
        let resolving = resolve(&environment, &engines, &instances);
        let resolving = unless_interrupted(async { Ok(resolving.await) });
        let (resolved, past) = join(resolving, reading(&kept)).await;
        let resolved = resolved?;
        let selected = instances.iter().filter_map(|name| environment.instances.get(name));
        for instance in selected {
            if let Some(Ok(digest)) = resolved.get(&instance.image) {
                release.pin(&instance.service, &instance.image, digest);
            }
        }
        let unresolved =
            resolved.into_iter().filter_map(|(image, answer)| Some((image, answer.err()?))).collect();
        release.pin_images_of(&mut environment);
        let line = Line::of(session, Cow::Borrowed(selecting), environment, engines);
        Ok((Self { session, line, release, kept, today, unresolved, instances }, past))
    }

    /// What is to go into the journal, in the place of what is unfinished.
    pub(super) fn target(&self, args: &Args, unfinished: Option<&Deployment>) -> Deployment {
        Deployment {
            release: self.release.clone(),
            selector: self.line.selector(),
            units: args.selecting.limits().and_then(|limits| limits.units),
            by: owner(),
            at: Timestamp::now(),
            doing: args.doing(),
            back: None,
            doubtful: doubtful(unfinished),
            promote: args.promote,
            gives_up: false,
            hooks: BTreeMap::new(),
        }
    }

    /// Balancers that are otherwise in the file than they were deployed, or a service behind them is: that is published
    /// and recorded, also where no container is changed.
    pub(super) fn rebalances(&self, past: &Past) -> BTreeSet<BalancerName> {
        let environment = self.line.environment();
        if environment.balancers.is_empty() {
            return BTreeSet::new();
        }
        let parts = self.release.parts();
        let current = past.history.current().map(|record| &record.services);
        let known = |name: &ServiceName| current?.get(name).map(|shipped| &shipped.part);
        let mut services = whole(environment, &self.line.selector());
        services.retain(|name| parts.contains_key(name) && known(name) != parts.get(name));
        let balancers = services.iter().flat_map(|name| environment.balancers_of(name));
        balancers.map(|balancer| balancer.name.clone()).collect()
    }

    /// What would be in the way of a plan.
    pub(super) async fn foreseen(&self, plan: &Plan) -> Result<Vec<Finding>, Fault> {
        self.line.foreseen(plan).await
    }

    pub(super) fn line(&self) -> &Line<'a> {
        &self.line
    }

    /// What earlier releases had and the file does not have any more is meant, too, if somebody says so.
    pub(super) fn orphans(&mut self, past: &Past, args: &Args) {
        if args.remove_orphans {
            let records = past.history.records().iter();
            let known = records.flat_map(|record| record.services.keys());
            let gone = known.filter(|name| !self.today.services.contains_key(*name)).cloned();
            self.line.also(gone.collect());
        }
    }

    /// Says what runs of services that the file does not have any more, and stays.
    pub(super) fn tell_orphans(&self, fleet: &FleetSnapshot) {
        let gone = &self.line.selector().gone;
        let mut left: BTreeMap<ServiceName, Vec<String>> = BTreeMap::new();
        for orphan in orphans(&self.today, fleet) {
            if !self.today.services.contains_key(&orphan.service) && !gone.contains(&orphan.service) {
                left.entry(orphan.service.clone()).or_default().push(orphan.name().to_string());
            }
        }
        for (service, names) in left {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            ErrorReport::new(format!(
                "{service} is not in the file any more, and still runs: {}",
                list(&names)
            ))
            .warning()
            .hint("`maestro deploy --remove-orphans` stops that")
            .print(&self.session.printer);
        }
    }

    pub(super) fn selector(&self) -> Selector {
        self.line.selector()
    }

    /// Looks at the fleet and decides what to do, if all ships would run the same.
    pub(super) async fn plan(&self, intent: &Intent) -> Result<(Plan, FleetSnapshot), Fault> {
        let (plan, fleet) = self.line.plan_seen(intent, intent.selection_rules()).await?;
        for (image, error) in &self.unresolved {
            if let Some(why) = disagreement(self.line.environment(), &fleet, &self.instances, image) {
                return Err(Fault::Unresolved { image: image.clone(), why, error: Box::new(error.clone()) });
            }
        }
        Ok((plan, fleet))
    }
}

/// The services that are named, for a tag that is theirs.
fn named(today: &Environment, selecting: &Selecting) -> Result<BTreeSet<ServiceName>, Fault> {
    if selecting.things.is_empty() {
        return Err(Fault::Usage("--tag wants the names of the services whose images have it".to_owned()));
    }
    let selection = select(today, &selecting.selector(), INTENT.selection_rules())?;
    let services = selection.instances.iter().filter_map(|name| today.instances.get(name));
    Ok(services.map(|instance| instance.service.clone()).collect())
}

/// What a release says, with the registries and auditors of today.
pub(super) fn environment(
    session: &Session,
    release: &Release,
    today: &Environment,
) -> Result<Environment, Fault> {
    release.environment(today).map_err(|loaded| unreadable(session, &loaded))
}

/// Says why a release cannot be read any more.
pub(super) fn unreadable(session: &Session, loaded: &Loaded) -> Fault {
    diagnostics::print(&session.printer, &loaded.diagnostics, &loaded.sources);
    Fault::Environment
}
