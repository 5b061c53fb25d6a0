//! `maestro rollback`.

use super::act::{Line, untouched};
use super::arguments::Selecting;
use super::change::{Agreed, Change, Options, Unfinished};
use super::interrupts::unless_interrupted;
use super::kept::{self, Kept, Past, Patience, owner};
use super::session::Session;
use super::{Fault, Outcome, deploy};
use crate::report::{ErrorReport, list};
use futures_util::future::{FutureExt as _, try_join, try_join_all};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maestro_core::boundary::{Ledger, Unreadable};
use maestro_core::deployment::Deployment;
use maestro_core::fleet::FleetSnapshot;
use maestro_core::history::{NoReturn, Return};
use maestro_core::model::Environment;
use maestro_core::names::{InstanceName, ServiceName, ShipName};
use maestro_core::plan::{Intent, Plan};
use maestro_core::release::Release;
use maestro_core::select::{Selector, select};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Go back to an earlier release
///
/// To the one before, or the one that is named; of everything, or of some services. What was replaced since is still on
/// the ships, stopped, and is started again; no registry is asked. What was given up by that is not gone back to: another
/// `rollback` goes one further.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Services; everything that was deployed if none is named
    #[arg(value_name = "service")]
    services: Vec<String>,
    /// The number of the release; `maestro releases` lists them
    #[arg(long, value_name = "RELEASE")]
    to: Option<u64>,
    /// At most this many instances at a time; 0 for no limit
    #[arg(short, long, value_name = "LIMIT", default_value_t = 0)]
    concurrency: usize,
    #[command(flatten)]
    pub(super) options: Options,
}

impl Args {
    /// What is meant without a number is the way back from what is half done, and not one further.
    fn unfinished(&self) -> Unfinished {
        if self.to.is_some() { Unfinished::Replaced } else { Unfinished::Refused }
    }

    /// As one would type it.
    fn doing(&self) -> String {
        let words = ["rollback"].into_iter().chain(self.services.iter().map(String::as_str));
        let words = words.collect::<Vec<_>>().join(" ");
        self.to.map_or_else(|| words.clone(), |to| format!("{words} --to {to}"))
    }
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let draft = Draft::new(session, &args, Some(args.options.patience)).await?;
    let (plan, _) = draft.plan().await.map_err(untouched)?;
    let Draft { line, kept, past, target, today, intent } = draft;
    let options = args.options;
    let unfinished = args.unfinished();
    let change = Change { session, line, kept, past, target, today, intent, options, unfinished };
    change.run(plan, Agreed::Shown).await
}

/// A way back that is being prepared.
pub(super) struct Draft<'a> {
    line: Line<'a>,
    kept: Kept,
    past: Past,
    pub(super) target: Deployment,
    today: (Environment, Release),
    intent: Intent,
}

impl<'a> Draft<'a> {
    /// Finds the release, and says which it is. Who means to go there waits for who is at work.
    pub(super) async fn new(
        session: &'a Session,
        args: &Args,
        patience: Option<Patience>,
    ) -> Result<Self, Fault> {
        let (mut today, of_today) = session.release(|_, tree| Ok(tree))?;
        let (engines, kept) = session.fleet(&mut today).await?;
        let past = match patience {
            Some(patience) => kept.past_after_others(session, &args.doing(), patience).await?,
            None => kept.past(session).await?,
        };
        if args.unfinished() == Unfinished::Refused
            && let Some(unfinished) = past.unfinished.clone()
        {
            return Err(Fault::Unfinished(Box::new(unfinished)));
        }
        let current = past.history.current().map_or(0, |record| record.number);
        let is_later = |one: &&Unreadable| matches!(one, Unreadable::Release(number) if *number > current);
        if args.to.is_none()
            && let Some(Unreadable::Release(number)) = past.unreadable.iter().find(is_later)
        {
            return Err(Fault::Unlisted(*number));
        }
        let services: BTreeSet<_> =
            args.services.iter().map(|name| ServiceName::from(name.as_str())).collect();
        if let Some(current) = past.history.current()
            && let Some(unknown) = services.iter().find(|name| !current.services.contains_key(*name))
        {
            // Known to the file, it was never deployed; else it is a slip of the pen.
            select(&today, &things([unknown]), deploy::INTENT.selection_rules())?;
            return Err(NoReturn::FirstOf(unknown.clone()).into());
        }
        let back = past.history.back(&services, args.to)?;
        let release = unless_interrupted(composed(kept.reader(), &past, &back, &of_today)).await?;
        let environment = deploy::environment(session, &release, &today)?;
        let mut selector = things(back.services.values().flatten());
        if let (Some(current), Some(_)) = (past.history.current(), back.whole) {
            let is_back =
                |name: &&ServiceName| back.services.values().any(|services| services.contains(*name));
            selector.gone = current.services.keys().filter(|name| !is_back(name)).cloned().collect();
        }
        tell_left_out(session, &release.left_out(&today, back.services.values().flatten()));
        let doubtful = deploy::doubtful(past.unfinished.as_ref());
        let units = (args.concurrency > 0).then_some(args.concurrency);
        let selecting = Selecting::of(&selector, units);
        tell(session, &past, &back);
        let target = Deployment {
            release,
            selector,
            units,
            by: owner(),
            at: Timestamp::now(),
            doing: args.doing(),
            back: Some(back),
            doubtful: doubtful.clone(),
            promote: false,
            gives_up: false,
            hooks: BTreeMap::new(),
        };
        let line = Line::of(session, Cow::Owned(selecting), environment, engines);
        let line = line.unsealed(&deploy::INTENT).await?;
        // Of what is half done, nobody has seen what runs answer.
        let intent = deploy::back(past.is_open(), doubtful);
        Ok(Self { line, kept, past, target, today: (today, of_today), intent })
    }

    pub(super) fn line(&self) -> &Line<'a> {
        &self.line
    }

    /// Looks at the fleet and decides what to do.
    pub(super) async fn plan(&self) -> Result<(Plan, FleetSnapshot), Fault> {
        let seeing = self.line.plan_seen(&self.intent, self.intent.selection_rules());
        let ahead = self.kept.read_ahead(&self.past).map(Ok);
        Ok(unless_interrupted(try_join(seeing, ahead)).await?.0)
    }
}

/// Which release it is.
fn tell(session: &Session, past: &Past, back: &Return) {
    for (number, services) in &back.services {
        let Some(record) = past.history.record(*number) else { continue };
        let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
        let of = if back.whole.is_some() { String::new() } else { format!(" of {}", list(&names)) };
        session.printer.talk(&format!(
            "back to release {number}{of}: {}, {}: {}",
            record.at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M"),
            record.by,
            record.doing
        ));
    }
}

/// A selection of these services.
fn things<'a>(services: impl IntoIterator<Item = &'a ServiceName>) -> Selector {
    let things = services.into_iter().map(ToString::to_string).collect();
    Selector { things, ..Selector::default() }
}

/// What the fleet shall be then: what the release says that is gone back to, or that for some services and for all else what
/// is now.
async fn composed(
    ledger: &dyn Ledger,
    past: &Past,
    back: &Return,
    today: &Release,
) -> Result<Release, Fault> {
    let Some(current) = past.history.current() else { return Err(NoReturn::NoRelease.into()) };
    if let Some(whole) = back.whole {
        return Ok(kept::release(ledger, whole).await?.on_ships_of(today));
    }
    let parts = back
        .services
        .iter()
        .map(async |(number, services)| Ok::<_, Fault>((kept::release(ledger, *number).await?, services)));
    let (current, parts) = try_join(kept::release(ledger, current.number), try_join_all(parts)).await?;
    let current = current.on_ships_of(today);
    Ok(parts.iter().fold(current, |whole, (part, services)| whole.with_services_of(part, services)))
}

/// Says what a release had on ships that today's file does not have.
fn tell_left_out(session: &Session, left_out: &[(InstanceName, ShipName)]) {
    if left_out.is_empty() {
        return;
    }
    let names: Vec<String> =
        left_out.iter().map(|(instance, ship)| format!("{instance} on {ship}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    ErrorReport::new(format!(
        "the release had more, on ships that the file does not have any more: {}",
        list(&names)
    ))
    .warning()
    .hint("nothing can be started there: put the ship into the file again, or deploy as many elsewhere")
    .print(&session.printer);
}
