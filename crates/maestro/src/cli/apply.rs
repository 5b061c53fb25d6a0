//! `maestro apply`.

use super::act::{Line, carried_out, ended, untouched};
use super::arguments::Selecting;
use super::change::{Agreed, Change, Options, PARTLY, Unfinished};
use super::kept::owner;
use super::session::Session;
use super::{Fault, Outcome, deploy};
use crate::ledger::LeaseError;
use crate::report::ErrorReport;
use jiff::Timestamp;
use maestro_core::deployment::Deployment;
use maestro_core::fleet::FleetSnapshot;
use maestro_core::plan::{Intent, Plan};
use maestro_core::saved::{Moved, SavedPlan};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// No plan is larger, in bytes: its largest part is the environment file.
const LARGEST: u64 = 256 << 20;
/// What has moved is told so often.
const MOST: usize = 25;

/// Carry out a plan that `maestro plan --out` has written, and nothing else
///
/// Looks again first. If anything that the plan rests on is not as it was, nothing is done, what has moved is named, and
/// the exit code is 6.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The plan
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    options: Options,
}

pub(super) async fn run(session: &Session, args: Args) -> Outcome {
    let unreadable = |why: &dyn std::fmt::Display| Fault::Usage(format!("{}: {why}", args.file.display()));
    let bytes = read(&args.file).map_err(|error| unreadable(&error))?;
    let saved = SavedPlan::from_bytes(&bytes).map_err(|error| unreadable(&error))?;
    let (mut today, of_today) = session.release(|_, tree| Ok(tree))?;
    if today.display_name() != saved.release.environment {
        let why = format!(
            "it is a plan for `{}`, and the environment here is `{}`",
            saved.release.environment,
            today.display_name()
        );
        return Err(unreadable(&why));
    }
    let (engines, kept) = session.fleet(&mut today).await?;
    let environment = deploy::environment(session, &saved.release, &today)?;
    let selecting = Selecting::of(&saved.selector, saved.units);
    let line = Line::of(session, Cow::Owned(selecting), environment, engines);
    let line = line.unsealed(&saved.intent).await?;
    let Intent::Deploy { ask_again, promote, .. } = saved.intent else {
        let intent = saved.intent.clone();
        let plan = planned(&line, &saved, &intent).await?;
        if let Some(holder) = line.in_the_way_of(&kept, &intent).await.map_err(untouched)? {
            return Err(Fault::Lease(LeaseError::Held(holder)));
        }
        args.options.confirming.confirm(&session.printer, &plan, intent.name()).await?;
        let carried = carried_out(line, &intent, plan, args.options.showing).await?;
        let half_done = carried.touched && !carried.summary.is_success();
        return Ok(if half_done { ExitCode::from(PARTLY) } else { ended(session, &carried) });
    };
    let doing = format!("apply {}", args.file.display());
    let past = kept.past_after_others(session, &doing, args.options.patience).await?;
    // A plan that asks nobody takes what runs for good, of which nobody knows then whether it is.
    let with_unfinished = if ask_again { Unfinished::Replaced } else { Unfinished::Refused };
    if let Some(unfinished) = past.unfinished.clone()
        && with_unfinished == Unfinished::Refused
    {
        return Err(Fault::Unfinished(Box::new(unfinished)));
    }
    let doubtful = deploy::doubtful(past.unfinished.as_ref());
    let target = Deployment {
        release: saved.release.clone(),
        selector: saved.selector.clone(),
        units: saved.units,
        by: owner(),
        at: Timestamp::now(),
        doing,
        back: None,
        doubtful: doubtful.clone(),
        promote,
        gives_up: false,
        hooks: BTreeMap::new(),
    };
    let hooks = target.hooking(past.unfinished.as_ref());
    let intent = Intent::Deploy { ask_again, promote, doubtful, hooks };
    let plan = planned(&line, &saved, &intent).await?;
    let change = Change {
        session,
        line,
        kept,
        past,
        target,
        today: (today, of_today),
        intent,
        options: args.options,
        unfinished: with_unfinished,
    };
    change.run(plan, Agreed::Saved(Box::new(saved))).await
}

/// The plan that was saved, made again.
async fn planned(line: &Line<'_>, saved: &SavedPlan, intent: &Intent) -> Result<Plan, Fault> {
    let (plan, fleet) = line.plan_seen(intent, intent.selection_rules()).await.map_err(untouched)?;
    is_still(saved, &plan, &fleet)?;
    Ok(plan)
}

/// Whether a plan that is made now is the one that was saved.
pub(super) fn is_still(saved: &SavedPlan, plan: &Plan, fleet: &FleetSnapshot) -> Result<(), Fault> {
    let moved = saved.moved(plan, fleet);
    if moved.is_empty() && saved.is_this(plan) { Ok(()) } else { Err(Fault::Stale(moved)) }
}

/// What is said of a plan that does not fit any more.
pub(super) fn stale(moved: &[Moved]) -> ErrorReport {
    let mut report = if moved.is_empty() {
        ErrorReport::new("this Maestro would do something else than the plan says; nothing has been done")
            .note("another version made the plan")
    } else {
        ErrorReport::new("the plan is stale, and nothing has been done: not all is as it was")
    };
    for one in moved.iter().take(MOST) {
        report = report.note(one.to_string());
    }
    if moved.len() > MOST {
        report = report.note(format!("and {} more", moved.len() - MOST));
    }
    report.hint("plan again, and look at what would be done now")
}

/// A file of a size that a plan may have.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is too large for a plan"));
    }
    Ok(bytes)
}
