//! A change from one release to another: under the lease, written into the journal before it begins, recorded when it is
//! done, and taken back when it fails and its services say so.

mod meanwhile;
mod recording;
mod sequel;
pub(super) mod way_back;

pub(super) use meanwhile::Unfinished;
pub(super) use recording::whole;

use super::act::{Carried, Line, carried_out, ended, tell_waiting, untouched};
use super::arguments::Showing;
use super::confirm::Confirming;
use super::fault::HELD;
use super::interrupts::{Interrupts, listen, unless_interrupted};
use super::kept::{self, Kept, Past, Patience};
use super::session::Session;
use super::{Fault, Outcome, hooks};
use crate::ledger::{Fence, HeldLease, OwnedLedger};
use futures_util::future::{LocalBoxFuture, TryFutureExt, try_join};
use maestro_core::boundary::LedgerWriter;
use maestro_core::deployment::Deployment;
use maestro_core::model::{Environment, Remedy};
use maestro_core::names::ServiceName;
use maestro_core::plan::{Fate, Intent, Plan};
use maestro_core::release::Release;
use maestro_core::saved::SavedPlan;
use recording::{News, instances};
use sequel::Sequel;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use way_back::explain;

/// So long what is done waits for a look at what is to be taken away after it.
const A_MOMENT: Duration = Duration::from_secs(1);

/// All is done.
const DONE: u8 = 0;
/// Nothing was changed, and not all is well.
const FAILED: u8 = 1;
/// Something was changed, and not all is done.
pub(super) const PARTLY: u8 = 3;

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
    /// What it has to do with a deployment that is not finished.
    pub(super) unfinished: Unfinished,
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
        let session = self.session;
        let is_blocked = plan.items.iter().any(|item| matches!(item.fate, Fate::Blocked(_)));
        let is_news = self.news(&self.past.history).is_some() || self.past.unfinished.is_some();
        // Who changes nothing needs no lease, and writes nothing.
        if plan.steps.is_empty() && (is_blocked || !is_news) {
            let carried = carried_out(self.line, &self.intent, plan, self.options.showing).await?;
            if Sequel::of(&carried, self.past.unfinished.is_some(), None) == Sequel::Unfinished {
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
        let patience = self.options.patience;
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

    /// Under the lease, everything is looked at again.
    async fn under(
        mut self,
        lease: &HeldLease,
        shown: &str,
        agreed: Agreed,
        interrupts: &mut Interrupts,
    ) -> Result<Ended, Fault> {
        let ledger = lease.ledger();
        let mut past = kept::past(&*ledger).await?;
        interrupts.unless_any()?;
        self.is_still_so(&past)?;
        self.heed(&past);
        let seeing = self.line.plan_seen(&self.intent, self.intent.selection_rules());
        let (before, (plan, fleet)) =
            try_join(kept::way_back(self.session, &*ledger, &past), seeing.map_err(untouched)).await?;
        past.way_back = past.way_back.filter(|_| before.is_some());
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
        let before = before.filter(|_| !self.target.gives_up);
        let remedy = before.is_some().then(|| self.remedy(&carried.failed));
        let Carried { ref summary, touched, .. } = carried;
        match Sequel::of(&carried, past.unfinished.is_some(), remedy) {
            Sequel::Waits => {
                // It is not finished before somebody has decided.
                if !touched {
                    self.leave_journal(ledger, past).await?;
                }
                tell_waiting(&self.session.printer, summary.waiting, &carried.trials);
                Ok(Ended::with(PARTLY))
            }
            Sequel::Done => match self.line.send_everywhere().await {
                Ok(()) => Ok(self.done(ledger, past, news, summary.abandoned > 0, interrupts).await),
                Err(fault) => {
                    fault.print(&self.session.printer);
                    let is_meant =
                        self.remedy(&self.services()) == Remedy::Rollback && interrupts.count() == 0;
                    match before.filter(|_| is_meant) {
                        Some(before) if self.may_go_on().await => {
                            Ok(self.take_back(ledger, past, before, carried.doubtful, interrupts).await)
                        }
                        _ => {
                            explain(self.session, past);
                            Ok(Ended::with(PARTLY))
                        }
                    }
                }
            },
            Sequel::Untouched => {
                self.leave_journal(ledger, past).await?;
                Ok(Ended::with(FAILED))
            }
            Sequel::Unfinished => {
                self.leave_journal(ledger, past).await?;
                explain(self.session, past);
                Ok(Ended::with(PARTLY))
            }
            Sequel::Lost => Ok(Ended::with(HELD)),
            Sequel::GoesBack => match before {
                Some(before) if self.may_go_on().await && interrupts.unless_any().is_ok() => {
                    Ok(self.take_back(ledger, past, before, carried.doubtful, interrupts).await)
                }
                _ => self.stay(ledger, past, carried).await,
            },
            Sequel::Stays => self.stay(ledger, past, carried).await,
        }
    }

    /// Everything is done: what is left is to say so in the ledger, and to take away what nobody needs any more.
    /// `abandoned` is whether calls were given up that may still happen.
    async fn done(
        &self,
        ledger: &Arc<OwnedLedger>,
        past: &Past,
        news: Option<News>,
        abandoned: bool,
        interrupts: &mut Interrupts,
    ) -> Ended {
        // What came to nothing without a new release stays: it may be tried again, and another environment on these
        // ships may be about to use the same images. Nor is anybody kept waiting for it who has had enough.
        let tidies = self.target.back.is_none() && interrupts.unheard.is_empty();
        let outline = news.as_ref().filter(|_| tidies).map(|news| news.outline.clone());
        let look = async || match &outline {
            Some(outline) => self.line.leavings(&**ledger, past, &self.today.0, Some(outline)).await,
            None => None,
        };
        // No ship that hangs keeps what is done from being recorded.
        let seen = timeout(A_MOMENT, look()).await;
        let ends = matches!(seen, Ok(None)) && !abandoned;
        if let Err(fault) = self.record(ledger, past, news, ends).await {
            // Nobody knows that it is done.
            fault.print(&self.session.printer);
            explain(self.session, past);
            return Ended::with(PARTLY);
        }
        let leavings = match seen {
            Ok(leavings) => leavings,
            Err(_) => look().await,
        };
        let abandoned = match leavings {
            Some(plan) => self.line.tidy(plan, interrupts).await,
            None => false,
        };
        if self.target.gives_up {
            self.tell_taken_back(past);
        }
        Ended { abandoned, ..Ended::with(DONE) }
    }

    /// The services of which something is meant.
    fn services(&self) -> BTreeSet<ServiceName> {
        let environment = self.line.environment();
        let meant = instances(environment, &self.target.selector).unwrap_or_default();
        let meant = meant.iter().filter_map(|name| environment.instances.get(name));
        meant.map(|instance| instance.service.clone()).collect()
    }

    /// It stays as far as it came.
    async fn stay(&self, ledger: &OwnedLedger, past: &Past, carried: Carried) -> Result<Ended, Fault> {
        if !carried.doubtful.is_empty() {
            ledger.append(&self.doubting(carried.doubtful).document()).await?;
        }
        explain(self.session, past);
        Ok(Ended::with(PARTLY))
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
}

/// A line whose changes have to pass a fence, and of which balancers are told.
fn leased<'a>(line: Line<'a>, kept: &Kept, fence: Option<&Fence>) -> Line<'a> {
    let balancing = kept.balancing(line.environment());
    match fence {
        Some(fence) => line.behind(fence.clone()).balanced(balancing.behind(fence)),
        None => line.balanced(balancing),
    }
}
