//! `maestro resume` and `maestro abort`.

use super::act::{Line, untouched};
use super::arguments::Selecting;
use super::change::way_back::going_back;
use super::change::{Agreed, Change, Options, Unfinished};
use super::interrupts::unless_interrupted;
use super::kept::{self, owner};
use super::session::Session;
use super::{Fault, Outcome, deploy};
use jiff::Timestamp;
use maestro_core::deployment::Deployment;
use maestro_core::model::Environment;
use maestro_core::plan::Intent;
use std::borrow::Cow;

/// Go on with a deployment that was broken off
///
/// From any machine: what was to be done is in the journal, which is kept with the releases. What is there is
/// looked at again, and what is missing is done; the checks of everything that was to be replaced are asked again.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    options: Options,
}

/// Go back from a deployment that was broken off, to the release before it
#[derive(Debug, Clone, clap::Args)]
pub(super) struct AbortArgs {
    #[command(flatten)]
    options: Options,
}

pub(super) async fn resume(session: &Session, args: ResumeArgs) -> Outcome {
    Box::pin(settle(session, args.options, Which::GoOn)).await
}

pub(super) async fn abort(session: &Session, args: AbortArgs) -> Outcome {
    Box::pin(settle(session, args.options, Which::GoBack)).await
}

/// How an unfinished deployment is brought to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    GoOn,
    GoBack,
}

async fn settle(session: &Session, options: Options, which: Which) -> Outcome {
    let (mut today, of_today) = session.release(|_, tree| Ok(tree))?;
    let (engines, kept) = session.fleet(&mut today).await?;
    let doing = if which == Which::GoOn { "resume" } else { "abort" };
    let past = kept.past_after_others(session, doing, options.patience).await?;
    let unfinished = past.unfinished.clone().ok_or(Fault::NothingUnfinished)?;
    session.printer.talk(&format!(
        "unfinished: {} ({}, {})",
        unfinished.doing,
        unfinished.by,
        unfinished.at.strftime("%Y-%m-%d %H:%M")
    ));
    let release = unfinished.release.on_ships_of(&of_today);
    let environment: Environment = deploy::environment(session, &release, &today)?;
    let selector = unfinished.meant(&environment, &today);
    let unfinished = Deployment { selector, ..unfinished };
    let of_today = (today, of_today);
    let (target, environment, selecting) = if which == Which::GoOn {
        let target = Deployment { release, by: owner(), at: Timestamp::now(), ..unfinished };
        let selecting = Selecting::of(&target.selector, target.units);
        (target, environment, selecting)
    } else {
        let reading = unless_interrupted(kept::current(kept.reader(), &past));
        let before = reading.await.map_err(untouched)?.ok_or(Fault::NothingBefore)?;
        let back = going_back(session, &of_today, &past, &before, &unfinished, &environment)?;
        (back.target, back.environment, back.selecting)
    };
    let line = Line::of(session, Cow::Owned(selecting), environment, engines);
    let line = line.unsealed(&deploy::INTENT).await?;
    let doubtful = target.doubtful.clone();
    let intent = if which == Which::GoBack || target.gives_up || target.back.is_some() {
        deploy::back(true, doubtful)
    } else {
        let hooks = target.hooking(Some(&target));
        Intent::Deploy { ask_again: true, promote: target.promote, doubtful, hooks }
    };
    let (plan, _) = line.plan_seen(&intent, intent.selection_rules()).await.map_err(untouched)?;
    let (today, unfinished) = (of_today, Unfinished::Settled);
    let change = Change { session, line, kept, past, target, today, intent, options, unfinished };
    change.run(plan, Agreed::Shown).await
}
