//! The straight line of every command that acts: select, observe, plan, execute, report.

use super::arguments::{Selecting, Showing};
use super::change::PARTLY;
use super::interrupts::{Interrupts, listen, unless_interrupted};
use super::kept::Kept;
use super::look::look;
use super::safeguards::{see, unless_frozen};
use super::session::Session;
use super::telling::Telling;
use super::watching::{Watching, spoke, started};
use super::{Fault, Outcome, deploy, doctor};
use crate::balance::{Balancing, Routes};
use crate::execute::{Means, Remember, execute};
use crate::ledger::{Fence, LeaseError};
use crate::observe::{Engines, look_closer};
use crate::probe::SystemProbe;
use crate::report::{ErrorReport, Printer, reporter};
use futures_util::{FutureExt, StreamExt};
use maestro_core::balance::RouteChange;
use maestro_core::boundary::LogOptions;
use maestro_core::check::lint;
use maestro_core::event::RunSummary;
use maestro_core::fleet::{FleetSnapshot, at};
use maestro_core::lease::Holder;
use maestro_core::model::{Environment, Phase};
use maestro_core::names::{BalancerName, InstanceName, SecretName, ServiceName};
use maestro_core::plan::{Action, Intent, Limits, Plan, Restart, StepId, Trial};
use maestro_core::planner::{plan, unexamined};
use maestro_core::preflight::{Finding, blocked};
use maestro_core::select::{SelectionRules, Selector, select};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Lines of a container's output that are shown when it did not start.
const LAST_LINES: u64 = 20;
/// Containers of which they are shown.
const MOST_OUTPUTS: usize = 5;

/// Does what an intent says to the selected instances.
pub(super) async fn act(
    session: &Session,
    intent: &Intent,
    selecting: &Selecting,
    showing: Showing,
) -> Outcome {
    if selecting.limits().is_none() {
        return Err(Fault::Usage("the limit of -c must not be negative".to_owned()));
    }
    let mut environment = session.environment()?;
    let (engines, kept) = session.fleet(&mut environment).await?;
    let line = Line::of(session, Cow::Borrowed(selecting), environment, engines);
    let line = line.unsealed(intent).await.map_err(untouched)?;
    let first = if pulls_first(intent) { Intent::Pull } else { intent.clone() };
    let at_work = async {
        if matches!(intent, Intent::Pull) { Ok(None) } else { line.in_the_way_of(&kept, intent).await }
    };
    let (plan, at_work) = tokio::join!(line.plan_for(&first, Some(intent)), at_work);
    let plan = plan.map_err(untouched)?;
    match at_work.map_err(untouched)? {
        Some(holder) if !plan.steps.is_empty() => Err(Fault::Lease(LeaseError::Held(holder))),
        _ => carry_out(line, intent, plan, showing).await,
    }
}

/// Carries out the first plan of a command, and what follows from it.
async fn carry_out(line: Line<'_>, intent: &Intent, plan: Plan, showing: Showing) -> Outcome {
    let session = line.session;
    Ok(ended(session, &carried_out(line, intent, plan, showing).await?))
}

/// The same, for who wants to know more of it than whether it went well.
pub(super) async fn carried_out(
    mut line: Line<'_>,
    intent: &Intent,
    plan: Plan,
    showing: Showing,
) -> Result<Carried, Fault> {
    let mut interrupts = listen();
    line.unless_frozen(&plan, pulls_first(intent))?;
    line.unseal_auditors().await?;
    let carried = line.carry(intent, plan, showing, &mut interrupts).await;
    line.leave();
    carried
}

/// What a command without a lease ends with, as maestro-ng's did: 1, however far it has come.
pub(super) fn ended(session: &Session, carried: &Carried) -> ExitCode {
    let summary = &carried.summary;
    match summary.is_success() {
        true if summary.waiting > 0 => {
            tell_waiting(&session.printer, summary.waiting, &[]);
            ExitCode::from(PARTLY)
        }
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// How to go on where canaries have been tried, and what they get of the requests until then.
pub(super) fn tell_waiting(printer: &Printer, waiting: usize, trials: &[Trial]) {
    let (what, wait) = if waiting == 1 { ("instance", "waits") } else { ("instances", "wait") };
    let report =
        ErrorReport::new(format!("{waiting} {what} {wait} while others of the service are tried")).warning();
    trials
        .iter()
        .fold(report, |report, trial| report.note(trial.to_string()))
        .hint("`maestro deploy --promote` goes on with them, `maestro abort` goes back")
        .print(printer);
}

/// How a plan was carried out.
pub(super) struct Carried {
    pub(super) summary: RunSummary,
    /// Whether a container has been changed, or may have been.
    pub(super) touched: bool,
    /// Whether there was a Ctrl-C, whatever came of it.
    pub(super) interrupted: bool,
    /// Whether the lease was lost, which has been said.
    pub(super) fenced: bool,
    /// Services of which something failed.
    pub(super) failed: BTreeSet<ServiceName>,
    /// Containers that turned out to be no good, as `name@ship`.
    pub(super) doubtful: BTreeSet<InstanceName>,
    /// What canaries get of the requests.
    pub(super) trials: Vec<Trial>,
}

/// What has changed can only be told when the images have been pulled: the line is walked twice.
pub(super) fn pulls_first(intent: &Intent) -> bool {
    matches!(intent, Intent::Restart(Restart { refresh: true, only_if_changed: true, .. }))
}

/// Whoever interrupts a command that acts wants to know how far it has come.
pub(super) fn untouched(fault: Fault) -> Fault {
    match fault {
        Fault::LeftOff => Fault::Interrupted,
        other => other,
    }
}

/// A restart of what has changed has pulled already.
fn without_refresh(intent: &Intent) -> Intent {
    match intent {
        Intent::Restart(how) if how.only_if_changed => {
            Intent::Restart(Restart { refresh: false, ..how.clone() })
        }
        other => other.clone(),
    }
}

/// Which of the runs that make up one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// Another one follows if it succeeds.
    First,
    /// The one that the command is about.
    Last,
}

/// A plan, and everything on this machine that its checks need.
struct Ready {
    plan: Arc<Plan>,
    probe: SystemProbe,
}

impl Ready {
    async fn new(plan: Plan) -> Result<Self, Fault> {
        let probe = SystemProbe::default();
        for step in &plan.steps {
            let Action::Check { target, check, .. } = &step.action else { continue };
            if let Err(failure) = probe.prepare(check).await {
                return Err(Fault::Unprepared { instance: target.name().clone(), failure });
            }
        }
        Ok(Self { plan: Arc::new(plan), probe })
    }
}

/// The secrets without whose values nobody can do this to these instances.
pub(super) fn secrets_for(
    environment: &Environment,
    intent: &Intent,
    instances: &[InstanceName],
) -> BTreeSet<SecretName> {
    match intent {
        Intent::Start { .. } | Intent::Restart(_) | Intent::Deploy { .. } => {
            let mut wanted = environment.secrets_of_containers(instances);
            wanted.extend(environment.secrets_of_registries(instances));
            wanted.extend(environment.secrets_of_checks(instances, &Phase::ALL));
            wanted
        }
        Intent::Pull => environment.secrets_of_registries(instances),
        Intent::Stop => environment.secrets_of_checks(instances, &[Phase::PreStop, Phase::Stopped]),
        Intent::Kill => environment.secrets_of_checks(instances, &[Phase::Stopped]),
        Intent::Clean => BTreeSet::new(),
    }
}

/// An environment, its engines, and what was selected.
pub(super) struct Line<'a> {
    session: &'a Session,
    selecting: Cow<'a, Selecting>,
    environment: Environment,
    engines: Arc<Engines>,
    /// What every change has to pass, where only one may make changes.
    fence: Option<Fence>,
    /// The balancers, where they are to be told.
    balancing: Option<Balancing>,
    /// Where it is written down which hooks have been run.
    remember: Option<Arc<dyn Remember>>,
    /// Whether it is begun also if an auditor cannot be told of it.
    unopposed: bool,
    /// Whether it is done although that is frozen, which has been said.
    despite_freeze: bool,
}

impl<'a> Line<'a> {
    /// Of an environment, its engines, and what is said about its instances.
    pub(super) fn of(
        session: &'a Session,
        selecting: Cow<'a, Selecting>,
        mut environment: Environment,
        engines: Arc<Engines>,
    ) -> Self {
        // What is gone is not to be there, whatever a release says that has it and never deployed it.
        let gone = &selecting.gone;
        environment.instances.retain(|_, instance| !gone.contains(&instance.service));
        for (_, service) in environment.services.iter_mut().filter(|(name, _)| gone.contains(*name)) {
            service.instances.clear();
        }
        Self {
            session,
            selecting,
            environment,
            engines,
            fence: None,
            balancing: None,
            remember: None,
            unopposed: false,
            despite_freeze: false,
        }
    }

    /// The same for who goes back by himself: auditors are told, and none of them can keep him from it.
    pub(super) fn unopposed(self) -> Self {
        Self { unopposed: true, ..self }
    }

    /// The same with the values of those secrets that whoever wants this needs, of what is selected.
    ///
    /// # Errors
    /// A name that means nothing, and secrets that cannot be had.
    pub(super) async fn unsealed(mut self, intent: &Intent) -> Result<Self, Fault> {
        let selection = select(&self.environment, &self.selecting.selector(), intent.selection_rules())?;
        let wanted = secrets_for(&self.environment, intent, &selection.instances);
        self.session.unseal(&mut self.environment, &wanted).await?;
        Ok(self)
    }

    /// Gets what is needed to tell auditors. To be called before anything is begun.
    pub(super) async fn unseal_auditors(&mut self) -> Result<(), Fault> {
        let wanted = self.environment.secrets_of_auditors();
        self.session.unseal(&mut self.environment, &wanted).await
    }

    /// The same for who has a lease.
    pub(super) fn behind(self, fence: Fence) -> Self {
        Self { fence: Some(fence), ..self }
    }

    /// The same for who tells balancers what it does.
    pub(super) fn balanced(self, balancing: Balancing) -> Self {
        Self { balancing: Some(balancing), ..self }
    }

    /// The same for who writes down which hooks have been run.
    pub(super) fn remembering(self, remember: Arc<dyn Remember>) -> Self {
        Self { remember: Some(remember), ..self }
    }

    pub(super) fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    pub(super) fn engines(&self) -> &Arc<Engines> {
        &self.engines
    }

    /// Services that the environment does not have any more are meant, too.
    pub(super) fn also(&mut self, gone: BTreeSet<ServiceName>) {
        self.selecting.to_mut().gone = gone;
    }

    /// What is meant.
    pub(super) fn selector(&self) -> Selector {
        self.selecting.selector()
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Somebody who deploys to the same ships at this moment.
    pub(super) async fn in_the_way_of(&self, kept: &Kept, intent: &Intent) -> Result<Option<Holder>, Fault> {
        let selection = select(&self.environment, &self.selecting.selector(), intent.selection_rules())?;
        let instances = selection.instances.iter().filter_map(|name| self.environment.instances.get(name));
        let ships = instances.map(|instance| &instance.ship).collect();
        unless_interrupted(async { Ok(kept.at_work(self.session, &ships).await) }).await
    }

    /// Looks at the fleet and decides what to do.
    pub(super) async fn plan(&self, intent: &Intent) -> Result<Plan, Fault> {
        self.plan_for(intent, None).await
    }

    /// The same with the selection of another intent.
    async fn plan_for(&self, intent: &Intent, selected_by: Option<&Intent>) -> Result<Plan, Fault> {
        let rules = selected_by.unwrap_or(intent).selection_rules();
        Ok(self.plan_seen(intent, rules).await?.0)
    }

    /// The same, with what was seen of the fleet.
    pub(super) async fn plan_seen(
        &self,
        intent: &Intent,
        rules: SelectionRules,
    ) -> Result<(Plan, FleetSnapshot), Fault> {
        let selection = select(&self.environment, &self.selecting.selector(), rules)?;
        let needs = intent.needs();
        let mut wanted = selection.instances.clone();
        if matches!(intent, Intent::Deploy { .. }) {
            let selected = wanted.iter().filter_map(|name| self.environment.instances.get(name));
            let services = selected.map(|instance| &instance.service).collect();
            wanted.extend(self.environment.balanced_with(&services));
        }
        let mut besides = Vec::new();
        if matches!(intent, Intent::Deploy { .. }) && !selection.whole.is_empty() {
            // There may be something left of them anywhere.
            besides.extend(self.environment.ships.keys().cloned());
        }
        let mut seen =
            see(self.session, &self.environment, &self.engines, (&wanted, &besides), needs).await?;
        let limits = self.selecting.limits().unwrap_or_default();
        let decide = |fleet: &FleetSnapshot| plan(&self.environment, fleet, intent, &selection, limits);
        let mut plan = decide(&seen.fleet);
        // Where one is not as it was made, another one may be taken back in its place.
        while let Some(unexamined) = unexamined(&plan, &seen.fleet) {
            let looking = look_closer(&self.engines, &mut seen.fleet, unexamined);
            unless_interrupted(looking.map(Ok)).await?;
            plan = decide(&seen.fleet);
        }
        let fleet = &seen.fleet;
        seen.keep_budget(self.session, &self.environment, &mut plan)?;
        match lint(&plan, fleet).into_iter().next() {
            Some(finding) => Err(Fault::UnsoundPlan(finding)),
            None => Ok((plan, seen.fleet)),
        }
    }

    /// What canaries get of the requests by what there is.
    pub(super) async fn trials(&self, intent: &Intent) -> Result<Vec<Trial>, Fault> {
        let selection = select(&self.environment, &self.selecting.selector(), intent.selection_rules())?;
        let seen = look(self.session, &self.environment, &self.engines, &selection.instances, intent.needs());
        let fleet = seen.await?;
        Ok(plan(&self.environment, &fleet, intent, &selection, Limits::default()).trials)
    }

    /// Says something on the way.
    pub(super) fn talk(&self, words: &str) {
        self.session.printer.talk(words);
    }

    /// The balancers of the services of which something is meant.
    pub(super) fn balancers(&self) -> Result<Vec<BalancerName>, Fault> {
        let rules = deploy::INTENT.selection_rules();
        let selection = select(&self.environment, &self.selecting.selector(), rules)?;
        let selected = selection.instances.iter().filter_map(|name| self.environment.instances.get(name));
        let services: BTreeSet<_> = selected.map(|instance| &instance.service).collect();
        let balancers = services.iter().flat_map(|service| self.environment.balancers_of(service));
        let balancers: BTreeSet<_> = balancers.map(|balancer| balancer.name.clone()).collect();
        Ok(balancers.into_iter().collect())
    }

    /// Has balancers send requests to all that serves: what was drained and serves on, whyever, is let in again.
    ///
    /// # Errors
    /// A front end that does not acknowledge it.
    pub(super) async fn send_everywhere(&self) -> Result<(), Fault> {
        let Some(balancing) = self.balancing.clone() else { return Ok(()) };
        let balancers = self.balancers()?;
        if balancers.is_empty() {
            return Ok(());
        }
        // Nobody is in doubt any more.
        let intent = &deploy::INTENT;
        let (plan, _) = self.plan_seen(intent, intent.selection_rules()).await?;
        if let Some(fence) = &self.fence {
            fence.pass().await?;
        }
        let routes = Routes::new(self.environment.clone(), balancing, &plan);
        let sent = routes.turn().await.change(&balancers, &RouteChange::default()).await;
        sent.map_err(|error| Fault::Unbalanced(error.to_string()))
    }

    /// Where balancers send requests while a plan is carried out; none where it tells them nothing.
    fn routes(&self, plan: &Plan) -> Option<Arc<Routes>> {
        let tells = |action: &Action| matches!(action, Action::Route { .. } | Action::Provide { .. });
        let balancing = self.balancing.clone()?;
        plan.steps
            .iter()
            .any(|step| tells(&step.action))
            .then(|| Arc::new(Routes::new(self.environment.clone(), balancing, plan)))
    }

    /// What would be in the way of a plan besides containers.
    pub(super) async fn foreseen(&self, plan: &Plan) -> Result<Vec<Finding>, Fault> {
        doctor::foreseen(self.session, &self.environment, &self.engines, plan).await
    }

    /// Refuses a plan for which this is not the time. `more` if more is done than it says. That it is done all the same is
    /// said once, however often this is asked.
    pub(super) fn unless_frozen(&mut self, plan: &Plan, more: bool) -> Result<(), Fault> {
        if !self.despite_freeze {
            self.despite_freeze = unless_frozen(self.session, &self.environment, plan, more)?;
        }
        Ok(())
    }

    /// Refuses a plan that would fail, and one of which a part cannot be done: it would never come to its end.
    pub(super) async fn preflight(&self, plan: &Plan) -> Result<(), Fault> {
        let mut findings = blocked(plan);
        findings.extend(self.foreseen(plan).await?);
        doctor::judge(self.session, findings)
    }

    /// The process ends with the command: its memory goes back as a whole. To free a large environment piece by piece
    /// would only keep the user waiting. The engines are dropped all the same: theirs is more than memory.
    fn leave(self) {
        std::mem::forget(self.environment);
    }

    /// Carries out the first plan of a command, and what follows from it; tells the auditors.
    pub(super) async fn carry(
        &self,
        intent: &Intent,
        plan: Plan,
        showing: Showing,
        interrupts: &mut Interrupts,
    ) -> Result<Carried, Fault> {
        let heard = &mut interrupts.unheard;
        let ready = Ready::new(plan).await?;
        let lenient = self.unopposed.then_some(&self.session.printer);
        let mut telling = Telling::begin(&self.environment, intent, &ready.plan, lenient, heard).await?;
        let outcome = self.walk(intent, ready, showing, &mut telling, heard).await;
        telling.end(outcome.as_ref().map(|_| ()), &self.session.printer, heard).await;
        Ok(Carried { interrupted: interrupts.count() > 0, ..outcome? })
    }

    /// Carries out a plan, and what is planned after it.
    async fn walk(
        &self,
        intent: &Intent,
        mut ready: Ready,
        showing: Showing,
        telling: &mut Telling,
        interrupts: &mut mpsc::UnboundedReceiver<()>,
    ) -> Result<Carried, Fault> {
        if pulls_first(intent) {
            let pulled = self.carry_out(ready, showing, Walk::First, telling, interrupts).await;
            if !pulled.summary.is_success() {
                return Ok(pulled);
            }
            let plan = self.plan(&without_refresh(intent)).await.map_err(untouched)?;
            ready = Ready::new(plan).await?;
        }
        Ok(self.carry_out(ready, showing, Walk::Last, telling, interrupts).await)
    }

    async fn carry_out(
        &self,
        Ready { plan, probe }: Ready,
        showing: Showing,
        walk: Walk,
        telling: &mut Telling,
        interrupts: &mut mpsc::UnboundedReceiver<()>,
    ) -> Carried {
        let means = Means {
            engines: self.engines.clone(),
            probe: Arc::new(probe),
            fence: self.fence.clone(),
            routes: self.routes(&plan),
            remember: self.remember.clone(),
        };
        let mut watching = Watching {
            inner: reporter(showing.progress(), self.session.printer.clone(), self.session.began),
            untold: walk == Walk::First && showing.is_one_document(),
            unwell: Vec::new(),
            failed: BTreeSet::new(),
            plan: plan.clone(),
            touched: false,
            fenced: false,
        };
        let mut listening = telling.listen(&mut watching);
        let summary =
            execute(plan.clone(), &means, &mut listening, interrupts, self.session.began.into()).await;
        let Watching { unwell, failed, touched, fenced, .. } = watching;
        let doubtful = unwell.iter().filter_map(|id| {
            let target = started(&plan.step(*id)?.action)?;
            Some(at(target.name(), plan.unit_of(*id)?.ship()?))
        });
        let doubtful = doubtful.collect();
        let left_out = unwell.len().saturating_sub(MOST_OUTPUTS);
        let mut any = false;
        for step in unwell.into_iter().take(MOST_OUTPUTS) {
            tokio::select! {
                shown = self.show_output(&plan, step) => any |= shown,
                Some(()) = interrupts.recv() => break,
            }
        }
        if any && left_out > 0 {
            self.session
                .printer
                .talk(&format!("{left_out} more did not start; `maestro logs` shows what they wrote"));
        }
        let trials = plan.trials.clone();
        // As in `leave`.
        std::mem::forget(plan);
        Carried { summary, touched, interrupted: false, fenced, failed, doubtful, trials }
    }

    /// What a container that did not start has to say for itself; whether it has said anything.
    async fn show_output(&self, plan: &Plan, step: StepId) -> bool {
        let Some(target) = plan.step(step).and_then(|step| spoke(&step.action)) else { return false };
        let Some(engine) = plan.unit_of(step).and_then(|u| u.ship()).and_then(|ship| self.engines.get(ship))
        else {
            return false;
        };
        let options = LogOptions { tail: Some(LAST_LINES), ..LogOptions::default() };
        let mut lines = engine.logs(target, &options);
        let mut output = Vec::new();
        while let Some(Ok(line)) = lines.next().await {
            output.push(line.text);
        }
        if !output.is_empty() {
            ErrorReport::new("the last lines of its output")
                .warning()
                .about(target.name().as_str())
                .note(self.session.veiled(output.join("\n")))
                .print(&self.session.printer);
        }
        !output.is_empty()
    }
}
