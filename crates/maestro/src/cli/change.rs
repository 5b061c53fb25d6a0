//! A change from one release to another: under the lease, written into the journal before it begins, recorded when it is
//! done, and taken back when it fails and its services say so.

use super::act::{Carried, Line, carried_out, ended, tell_waiting, untouched};
use super::arguments::{Selecting, Showing};
use super::confirm::Confirming;
use super::fault::HELD;
use super::interrupts::{Interrupts, listen, unless_interrupted};
use super::kept::{self, Kept, Past, Patience};
use super::session::Session;
use super::tidy::Leavings;
use super::{Fault, Outcome, deploy, hooks};
use crate::ledger::{Fence, HeldLease, OwnedLedger};
use crate::report::{ErrorReport, list};
use futures_util::future::{LocalBoxFuture, TryFutureExt, try_join};
use jiff::Timestamp;
use maestro_core::boundary::{Document, LedgerWriter};
use maestro_core::deployment::Deployment;
use maestro_core::event::Failure;
use maestro_core::history::{History, Outline, Record};
use maestro_core::model::{Environment, Remedy};
use maestro_core::names::{InstanceName, ServiceName};
use maestro_core::plan::{Fate, Hooking, Intent, Plan};
use maestro_core::release::{FORMAT, Release};
use maestro_core::saved::SavedPlan;
use maestro_core::select::{Selector, select};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;

/// All is done.
const DONE: u8 = 0;
/// Nothing was changed, and not all is well.
const FAILED: u8 = 1;
/// Something was changed, and not all is done.
pub(super) const PARTLY: u8 = 3;
/// It failed, and everything is as it was.
const TAKEN_BACK: u8 = 4;
/// A filter that no instance passes.
const NOTHING: &str = "/";
/// So many releases are kept.
const KEPT_RELEASES: u64 = 20;

/// A change of a fleet that has been prepared.
pub(super) struct Change<'a> {
    pub(super) session: &'a Session,
    /// Of the environment that the fleet shall be like.
    pub(super) line: Line<'a>,
    pub(super) kept: Kept,
    pub(super) past: Past,
    /// What goes into the journal.
    pub(super) target: Deployment,
    /// The file as it is today: where ships are, and who may pull.
    pub(super) today: (Environment, Release),
    pub(super) intent: Intent,
    pub(super) options: Options,
    /// Whether it is about the deployment that is not finished.
    pub(super) settles: bool,
}

/// How a change is asked for, waited for and shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) confirming: Confirming,
    #[command(flatten)]
    pub(super) patience: Patience,
    #[command(flatten)]
    pub(super) showing: Showing,
}

/// What somebody has seen and agreed to.
pub(super) enum Agreed {
    /// This plan, or what comes after another question.
    Shown,
    /// Exactly the plan that was saved.
    Saved(Box<SavedPlan>),
}

/// A release that is to be recorded.
struct News {
    outline: Outline,
    release: Release,
}

/// How far a change came.
struct Ended {
    code: u8,
    /// Calls that were given up may still happen, so nobody else may begin before they cannot.
    abandoned: bool,
    /// How many interrupts there were until it had been carried out.
    interrupts: usize,
}

impl Ended {
    fn with(code: u8) -> Self {
        Self { code, abandoned: false, interrupts: 0 }
    }
}

impl<'a> Change<'a> {
    /// Carries it through.
    pub(super) fn run(self, plan: Plan, agreed: Agreed) -> LocalBoxFuture<'a, Outcome> {
        Box::pin(self.through(plan, agreed))
    }

    async fn through(mut self, plan: Plan, agreed: Agreed) -> Outcome {
        let is_blocked = plan.items.iter().any(|item| matches!(item.fate, Fate::Blocked(_)));
        let is_news = self.news(&self.past.history).is_some() || self.past.unfinished.is_some();
        // Who changes nothing needs no lease, and writes nothing.
        if plan.steps.is_empty() && (is_blocked || !is_news) {
            let session = self.session;
            let carried = carried_out(self.line, &self.intent, plan, self.options.showing).await?;
            if !carried.summary.is_success() && self.past.unfinished.is_some() {
                explain(session, &self.past);
                return Ok(ExitCode::from(PARTLY));
            }
            return Ok(ended(session, &carried));
        }
        // Whatever is waited for from here on, no interrupt is lost.
        let mut interrupts = listen();
        self.unless_frozen(&plan)?;
        self.line.unseal_auditors().await.map_err(untouched)?;
        // What ran before will run again; whoever goes back is in a hurry.
        if self.target.back.is_none() && !self.target.gives_up {
            self.line.preflight(&plan).await.map_err(untouched)?;
        }
        self.confirm(&plan).await?;
        let (session, patience) = (self.session, self.options.patience);
        let lease = self.kept.claim(session, &self.target.doing, patience, &mut interrupts).await?;
        let outcome = Box::pin(self.under(&lease, &plan.to_string(), agreed, &mut interrupts)).await;
        if !outcome.as_ref().is_ok_and(|ended| ended.abandoned) {
            // Where it cannot be given back, it is dead soon.
            lease.release().await.ok();
        }
        let ended = outcome?;
        if ended.code == DONE && interrupts.count() > ended.interrupts {
            session.printer.talk("Ctrl-C came too late: all is done");
        }
        Ok(ExitCode::from(ended.code))
    }

    /// Refuses a plan for which this is not the time.
    fn unless_frozen(&mut self, plan: &Plan) -> Result<(), Fault> {
        // When all is done, balancers are told; where something waits, it is not.
        let waits = plan.items.iter().any(|item| matches!(item.fate, Fate::Waits { .. }));
        let tells = !waits && !self.line.balancers()?.is_empty();
        self.line.unless_frozen(plan, tells)
    }

    async fn confirm(&self, plan: &Plan) -> Result<(), Fault> {
        let verb = if self.target.gives_up {
            "abort"
        } else {
            self.target.doing.split(' ').next().unwrap_or_default()
        };
        self.options.confirming.confirm(&self.session.printer, plan, verb).await
    }

    /// What would be recorded.
    fn news(&self, history: &History) -> Option<Outline> {
        if self.target.gives_up {
            return None;
        }
        match &self.target.back {
            Some(back) => history.returned(back),
            None => history.deployed(&self.target.release, &self.whole_services()),
        }
    }

    /// Services all of whose instances are meant.
    fn whole_services(&self) -> BTreeSet<ServiceName> {
        let gone = &self.target.selector.gone;
        let mut whole = whole(self.line.environment(), &self.target.selector);
        whole.retain(|name| !gone.contains(name));
        whole
    }

    /// Under the lease, everything is looked at again.
    async fn under(
        mut self,
        lease: &HeldLease,
        shown: &str,
        agreed: Agreed,
        interrupts: &mut Interrupts,
    ) -> Result<Ended, Fault> {
        let ledger = lease.ledger();
        let past = kept::past(&*ledger).await?;
        interrupts.unless_any()?;
        self.is_still_so(&past)?;
        self.remember_hooks(&past);
        let seeing = self.line.plan_seen(&self.intent, self.intent.selection_rules());
        let (before, (plan, fleet)) =
            try_join(kept::current(&*ledger, &past), seeing.map_err(untouched)).await?;
        match agreed {
            Agreed::Saved(saved) => super::apply::is_still(&saved, &plan, &fleet)?,
            Agreed::Shown if plan.to_string() != shown => {
                self.session.printer.talk("the fleet is not as it was any more");
                self.confirm(&plan).await?;
            }
            Agreed::Shown => {}
        }
        // It may have been long since somebody looked.
        self.unless_frozen(&plan)?;
        if let Intent::Deploy { hooks: hooking, .. } = &self.intent {
            self.target.hooks = hooks::begun(hooking, &plan);
        }
        let noting = hooks::Noting::new(ledger.clone(), self.target.clone());
        let line = leased(self.line, &self.kept, Some(&lease.fence())).remembering(noting.clone());
        let mut change = Change { line, ..self };
        let news = change.composed(&past, before.as_ref())?;
        // Nothing has been begun: whoever waits for a first heartbeat that does not get through may leave.
        unless_interrupted(async { Ok(lease.fence().pass().await?) }).await.map_err(untouched)?;
        interrupts.unless_any()?;
        ledger.open_journal(&change.target.document()).await?;
        // The last moment at which nothing has been done.
        if let Err(fault) = interrupts.unless_any() {
            return Err(change.leaving(&ledger, &past, fault).await);
        }
        let carried = change.line.carry(&change.intent, plan, change.options.showing, interrupts).await;
        let until_then = interrupts.count();
        change.target.hooks = noting.begun().await;
        let abandoned = carried.as_ref().is_ok_and(|carried| carried.summary.abandoned > 0);
        let touched = carried.as_ref().is_ok_and(|carried| carried.touched);
        let session = change.session;
        let ended = match Box::pin(change.after(carried, &ledger, &past, before, news, interrupts)).await {
            // What was begun is not over with that, whatever it is.
            Err(fault) if touched => {
                fault.print(&session.printer);
                explain(session, &past);
                Ended::with(PARTLY)
            }
            other => other?,
        };
        Ok(Ended { abandoned: abandoned || ended.abandoned, interrupts: until_then, ..ended })
    }

    /// What has been run of hooks is what the journal says now.
    fn remember_hooks(&mut self, past: &Past) {
        if let Intent::Deploy { hooks: Hooking::On { .. }, .. } = self.intent
            && !self.settles
        {
            self.intent = self.intent.clone().hooking(self.target.hooking(past.unfinished.as_ref()));
        }
    }

    /// Whether nothing was done in the meantime that this change does not know of.
    fn is_still_so(&self, past: &Past) -> Result<(), Fault> {
        let number = |past: &Past| past.history.current().map(|record| record.number);
        if let Some(current) = past.history.current()
            && self.target.back.is_some()
            && number(past) != number(&self.past)
        {
            return Err(Fault::Overtaken { number: current.number, by: current.by.clone() });
        }
        if self.settles {
            let same = past.unfinished == self.past.unfinished && number(past) == number(&self.past);
            return if same { Ok(()) } else { Err(Fault::NothingUnfinished) };
        }
        let Some(unfinished) = &past.unfinished else { return Ok(()) };
        // Whoever deploys all of it again leaves nothing half done.
        let left = unfinished
            .release
            .environment(&self.today.0)
            .ok()
            .and_then(|environment| instances(&environment, &unfinished.selector));
        let mine = instances(self.line.environment(), &self.target.selector).unwrap_or_default();
        let settled = whole(self.line.environment(), &self.target.selector);
        match left {
            Some(left) if left.is_subset(&mine) && unfinished.selector.gone.is_subset(&settled) => Ok(()),
            _ => Err(Fault::Unfinished(Box::new(unfinished.clone()))),
        }
    }

    /// What follows from how it went.
    async fn after(
        self,
        carried: Result<Carried, Fault>,
        ledger: &Arc<OwnedLedger>,
        past: &Past,
        before: Option<Release>,
        news: Option<News>,
        interrupts: &mut Interrupts,
    ) -> Result<Ended, Fault> {
        let carried = match carried {
            Ok(carried) => carried,
            // Nothing was begun.
            Err(fault) => return Err(self.leaving(ledger, past, fault).await),
        };
        let Carried { summary, touched, interrupted, fenced, failed, doubtful, trials } = carried;
        if summary.is_success() && summary.waiting > 0 {
            // It is not finished before somebody has decided.
            if !touched {
                self.leave_journal(ledger, past).await?;
            }
            tell_waiting(&self.session.printer, summary.waiting, &trials);
            return Ok(Ended::with(PARTLY));
        }
        if summary.is_success() {
            if let Err(fault) = self.line.send_everywhere().await {
                fault.print(&self.session.printer);
                explain(self.session, past);
                return Ok(Ended::with(PARTLY));
            }
            let is_new = news.is_some() && self.target.back.is_none();
            let outline = news.as_ref().map(|news| news.outline.clone());
            if let Err(fault) = self.record(ledger, past, news).await {
                // Everything is done, and nobody knows.
                fault.print(&self.session.printer);
                explain(self.session, past);
                return Ok(Ended::with(PARTLY));
            }
            let mut abandoned = false;
            // What came to nothing without a new release stays: it may be tried again, and another environment on these
            // ships may be about to use the same images. Nor is anybody kept waiting for it who has had enough.
            if is_new && interrupts.unheard.is_empty() {
                let leavings = Leavings { past, today: &self.today.0, news: outline.as_ref() };
                abandoned = self.line.tidy(&**ledger, leavings, interrupts).await;
            }
            if self.target.gives_up {
                self.tell_taken_back(past);
            }
            return Ok(Ended { abandoned, ..Ended::with(DONE) });
        }
        if !touched {
            if fenced {
                return Ok(Ended::with(HELD));
            }
            self.leave_journal(ledger, past).await?;
            if past.unfinished.is_some() {
                // What was begun before is not finished by this.
                explain(self.session, past);
                return Ok(Ended::with(PARTLY));
            }
            return Ok(Ended::with(FAILED));
        }
        let goes_back = summary.failed > 0
            // Whoever has interrupted it decides himself. A call that may still happen could undo what is taken back.
            && !interrupted
            && summary.abandoned == 0
            && !self.target.gives_up
            && self.remedy(&failed) == Remedy::Rollback
            && !fenced
            && self.may_go_on().await
            && interrupts.unless_any().is_ok();
        match before {
            Some(before) if goes_back => self.take_back(ledger, past, before, doubtful, interrupts).await,
            _ => {
                if !doubtful.is_empty() {
                    ledger.append(&self.doubting(doubtful).document()).await?;
                }
                explain(self.session, past);
                Ok(Ended::with(PARTLY))
            }
        }
    }

    /// Whether the lease is still held: without it, there is no way back that could be gone.
    async fn may_go_on(&self) -> bool {
        let Some(fence) = self.line.fence() else { return true };
        let passed = fence.pass().await;
        if let Err(lost) = passed {
            ErrorReport::from(&Failure::Fenced(lost)).print(&self.session.printer);
            return false;
        }
        true
    }

    /// What goes into the journal when more has turned out to be no good.
    fn doubting(&self, more: BTreeSet<InstanceName>) -> Deployment {
        let mut target = self.target.clone();
        target.doubtful.extend(more);
        target
    }

    /// A run that changed nothing leaves what it found.
    async fn leave_journal(&self, ledger: &OwnedLedger, past: &Past) -> Result<(), Fault> {
        match &past.unfinished {
            Some(unfinished) => ledger.open_journal(&unfinished.document()).await?,
            None => ledger.close_journal().await?,
        }
        Ok(())
    }

    /// The same where a fault has ended it. That is what counts, whatever else goes wrong.
    async fn leaving(&self, ledger: &OwnedLedger, past: &Past, fault: Fault) -> Fault {
        if let Err(second) = self.leave_journal(ledger, past).await {
            second.warn(&self.session.printer);
        }
        fault
    }

    /// What the services want of which something failed: the most careful counts.
    fn remedy(&self, failed: &BTreeSet<ServiceName>) -> Remedy {
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

    /// What is to be recorded, if all goes well. It is read once before anything is begun: what could not be read later
    /// would be no way back.
    ///
    /// # Errors
    /// It cannot be read; why has been shown.
    fn composed(&self, past: &Past, before: Option<&Release>) -> Result<Option<News>, Fault> {
        let Some(outline) = self.news(&past.history) else { return Ok(None) };
        // The others are as they were deployed last, whatever the file says of them by now.
        let deployed: BTreeSet<ServiceName> = match &self.target.back {
            Some(back) => back.services.values().flatten().cloned().collect(),
            None => self.whole_services(),
        };
        let others: BTreeSet<_> =
            outline.services.keys().filter(|name| !deployed.contains(*name)).cloned().collect();
        let Some(before) = before.filter(|_| !others.is_empty()) else {
            return Ok(Some(News { outline, release: self.target.release.clone() }));
        };
        let release = self.target.release.and_ships_of(before).with_services_of(before, &others);
        if deploy::environment(self.session, &release, &self.today.0).is_err() {
            let others: Vec<&str> = others.iter().map(ServiceName::as_str).collect();
            return Err(Fault::Unkept(list(&others)));
        }
        Ok(Some(News { outline, release }))
    }

    /// Writes down what the fleet is now, and that the deployment is over.
    async fn record(&self, ledger: &OwnedLedger, past: &Past, news: Option<News>) -> Result<(), Fault> {
        let Some(News { outline, release }) = news else {
            ledger.close_journal().await?;
            self.note_parts(past);
            return Ok(());
        };
        let number = past.history.next();
        let Outline { before, back_to, services } = outline;
        let Deployment { at, by, doing, .. } = self.target.clone();
        let record = Record { number, at, by, doing, before, back_to, services };
        let format = u16::try_from(FORMAT).unwrap_or(u16::MAX);
        ledger.add(number, &record.document(), &Document::new(format, release.to_bytes())).await?;
        self.session.printer.talk(&match back_to {
            Some(back_to) => format!("this is release {number}, as {back_to} was"),
            None => format!("this is release {number}"),
        });
        let first = number.saturating_sub(KEPT_RELEASES - 1);
        if past.history.records().first().is_some_and(|record| record.number < first) {
            // The next one tries again.
            ledger.forget_below(first).await.ok();
        }
        Ok(())
    }

    fn tell_taken_back(&self, past: &Past) {
        let number = past.history.current().map_or(0, |record| record.number);
        self.session.printer.talk(&format!("everything is as in release {number} again"));
    }

    /// A part of a service is no release.
    fn note_parts(&self, past: &Past) {
        let environment = self.line.environment();
        let whole = self.whole_services();
        let selected = instances(environment, &self.target.selector).unwrap_or_default();
        let parts: BTreeSet<&str> = selected
            .iter()
            .filter_map(|name| environment.instances.get(name))
            .filter(|instance| !whole.contains(&instance.service))
            .map(|instance| instance.service.as_str())
            .collect();
        let known = past.history.current();
        let is_news = known.is_none_or(|record| {
            let now = self.target.release.parts();
            parts.iter().any(|name| record.services.get(*name).map(|shipped| &shipped.part) != now.get(*name))
        });
        if !parts.is_empty() && is_news && !self.target.gives_up {
            let parts: Vec<&str> = parts.into_iter().collect();
            self.session.printer.talk(&format!(
                "not all instances of {} were deployed: no release has been recorded",
                list(&parts)
            ));
        }
    }

    /// Goes back to the release that was there.
    async fn take_back(
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
        let prepared = async {
            let back = going_back(session, today, past, &before, &deployment, self.line.environment())?;
            let GoingBack { target, environment, selecting } = back;
            let line = Line::of(session, Cow::Owned(selecting), environment, self.line.engines().clone());
            let mut line = line.unsealed(&deploy::INTENT).await?;
            line.unseal_auditors().await?;
            Ok::<_, Fault>((target, line))
        };
        let (target, line) = match prepared.await {
            Ok(prepared) => prepared,
            Err(fault) => {
                fault.print(&session.printer);
                explain(self.session, past);
                return Ok(Ended::with(PARTLY));
            }
        };
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

/// A line whose changes have to pass a fence, and of which balancers are told.
fn leased<'a>(line: Line<'a>, kept: &Kept, fence: Option<&Fence>) -> Line<'a> {
    let balancing = kept.balancing(line.environment());
    match fence {
        Some(fence) => line.behind(fence.clone()).balanced(balancing.behind(fence)),
        None => line.balanced(balancing),
    }
}

/// What to do about a deployment that did not come to its end.
fn explain(session: &Session, past: &Past) {
    let report =
        ErrorReport::new("the deployment is not finished").warning().hint("`maestro resume` goes on with it");
    let report = match past.history.current() {
        Some(record) => report.hint(format!("`maestro abort` goes back to release {}", record.number)),
        None => report.note("there is no release yet that could be gone back to"),
    };
    report.print(&session.printer);
}

/// The way back from a deployment to the release before it.
pub(super) struct GoingBack {
    pub(super) target: Deployment,
    pub(super) environment: Environment,
    pub(super) selecting: Selecting,
}

/// Prepares it. `environment` is that of the deployment.
pub(super) fn going_back(
    session: &Session,
    today: &(Environment, Release),
    past: &Past,
    before: &Release,
    deployment: &Deployment,
    environment: &Environment,
) -> Result<GoingBack, Fault> {
    let known = past.history.current().ok_or(Fault::NothingBefore)?;
    let release = before.on_ships_of(&today.1);
    let old = super::deploy::environment(session, &release, &today.0)?;
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
    if things.is_empty() && gone.is_empty() {
        return Err(Fault::NothingBefore);
    }
    let selector = Selector {
        // Without any, all would be meant.
        instance_filter: things.is_empty().then(|| NOTHING.to_owned()),
        things,
        ignore_dependencies: deployment.selector.ignore_dependencies,
        gone,
        ..Selector::default()
    };
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

/// Services that are meant as a whole, also those that are gone.
pub(super) fn whole(environment: &Environment, selector: &Selector) -> BTreeSet<ServiceName> {
    let rules = deploy::INTENT.selection_rules();
    select(environment, selector, rules).map(|selection| selection.whole).unwrap_or_default()
}

/// The instances that are meant; none if a name means nothing.
fn instances(environment: &Environment, selector: &Selector) -> Option<BTreeSet<InstanceName>> {
    let rules = deploy::INTENT.selection_rules();
    Some(select(environment, selector, rules).ok()?.instances.into_iter().collect())
}
