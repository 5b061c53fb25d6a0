//! What the ships, or etcd, keep for everybody who deploys: the lease, the releases, and the journal of the last run.

use super::Fault;
use super::act::untouched;
use super::interrupts::{Interrupts, listen, unless_interrupted};
use super::session::Session;
use crate::audit::who;
use crate::balance::Balancing;
use crate::engine::{DockerEngine, EngineOptions};
use crate::etcd::EtcdShelf;
use crate::ledger::{
    Anchors, BootClock, Claim, HeldLease, LeaseError, ShelfLedger, Waiting, at_work, claim, holders,
};
use crate::report::{ErrorReport, Printer, list};
use jiff::{SignedDuration, Timestamp};
use maestro_core::boundary::{Contents, Deadlines, Ledger, LedgerError, Shelf, Unreadable};
use maestro_core::deployment::Deployment;
use maestro_core::history::{History, Record};
use maestro_core::lease::{Holder, Times};
use maestro_core::model::Environment;
use maestro_core::names::ShipName;
use maestro_core::release::Release;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// So many ships keep it where the file names none, if there are that many; else one does: of two, both would have to be
/// there.
const ANCHORS: usize = 3;

/// The longest that can be waited for others.
const LONGEST: Duration = Duration::from_hours(24 * 366);

/// Where it is kept.
pub(super) struct Kept {
    anchors: Anchors,
    reader: ShelfLedger,
    times: Times,
    /// How long programs have for stopping, as far as the file says.
    grace: Duration,
    engines: BTreeMap<ShipName, Arc<DockerEngine>>,
    options: EngineOptions,
}

/// What was there before.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    pub(super) history: History,
    /// A deployment that did not come to its end, or is under way.
    pub(super) unfinished: Option<Deployment>,
    /// The current release, unless it turned out that nobody can go back to it.
    pub(super) way_back: Option<u64>,
    /// What there was besides, and is damaged.
    pub(super) unreadable: BTreeSet<Unreadable>,
}

impl Past {
    /// Whether nobody may have seen what runs answer, for something is half done, or may be.
    pub(super) fn is_open(&self) -> bool {
        self.unfinished.is_some() || self.unreadable.contains(&Unreadable::Journal)
    }
}

/// How long to wait for others.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Patience {
    /// Wait so long for somebody else who is deploying, such as 5m; else exit with 5 at once
    #[arg(long, value_name = "TIME", default_value = "0", env = "MAESTRO_WAIT_LEASE", value_parser = duration)]
    wait_lease: Duration,
}

impl Kept {
    pub(super) fn new(
        environment: &Environment,
        engines: BTreeMap<ShipName, Arc<DockerEngine>>,
        options: EngineOptions,
    ) -> Self {
        let graces = environment.instances.values().map(|instance| instance.stop_timeout);
        let grace = graces.max().unwrap_or_default();
        let write =
            environment.ships.values().map(|ship| ship.timeout.unwrap_or(Deadlines::DEFAULT_WRITE)).max();
        let longest = grace + write.unwrap_or(Deadlines::DEFAULT_WRITE);
        let anchors = Anchors::new(environment.display_name(), places(environment, &engines));
        let reader = ShelfLedger::new(&anchors, Deadlines::DEFAULT_WRITE);
        Self { anchors, reader, times: Times::new(Times::TTL, longest), grace, engines, options }
    }

    /// The front ends of an environment's balancers, over the same connections.
    pub(super) fn balancing(&self, environment: &Environment) -> Balancing {
        Balancing::new(environment, &self.engines, &self.options)
    }

    pub(super) fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// Reads it, without the releases themselves, and says what of it cannot be read.
    pub(super) async fn past(&self, session: &Session) -> Result<Past, Fault> {
        let past = unless_interrupted(past(&self.reader)).await?;
        for one in &past.unreadable {
            unreadable(*one).print(&session.printer);
        }
        Ok(past)
    }

    /// Reads the current release ahead, for whoever needs it under the lease: what was read once is remembered. Why it
    /// cannot be read is said then.
    pub(super) async fn read_ahead(&self, past: &Past) {
        current(&self.reader, past).await.ok();
    }

    /// Reads releases of what was read last.
    pub(super) fn reader(&self) -> &ShelfLedger {
        &self.reader
    }

    /// The same when nobody is at work any more: whoever is changes what is read here and what is looked at then, so that
    /// nothing would seem to be left to do, or something in the way.
    ///
    /// # Errors
    /// Besides what cannot be read: somebody is at work for longer than there is patience for.
    pub(super) async fn past_after_others(
        &self,
        session: &Session,
        doing: &str,
        patience: Patience,
    ) -> Result<Past, Fault> {
        let looks = holders(&self.anchors, self.times.deadline());
        let found = unless_interrupted(async { Ok(looks.await) }).await.map_err(untouched)?;
        if found.iter().any(|(_, holder)| matches!(holder, Ok(Some(_)))) {
            // It is not kept while somebody thinks about a question.
            let mut interrupts = listen();
            self.claim(session, doing, patience, &mut interrupts).await?.release().await.ok();
            interrupts.unless_any()?;
        }
        self.past(session).await.map_err(untouched)
    }

    /// Who is deploying at this moment, as far as these ships tell.
    pub(super) async fn at_work(&self, session: &Session, ships: &BTreeSet<&ShipName>) -> Option<Holder> {
        let ttl = self.times.ttl.as_secs();
        let mut told = false;
        let mut tell = |holder: &Holder| {
            told = true;
            let waiting = format!("{}; waiting {ttl} s for a sign of life", described(holder));
            session.printer.talk(&waiting);
        };
        // Of etcd nobody learns on which ships somebody is at work.
        let among = |place: &ShipName| !self.engines.contains_key(place) || ships.contains(place);
        let found = at_work(&self.anchors, &among, self.times, &mut tell).await;
        if told && found.is_none() {
            session.printer.talk("nobody is at work here any more");
        }
        found
    }

    /// Gets the lease, and says on the way what is waited for. Whoever is interrupted gives back what he has got.
    pub(super) async fn claim(
        &self,
        session: &Session,
        doing: &str,
        patience: Patience,
        interrupts: &mut Interrupts,
    ) -> Result<HeldLease, Fault> {
        let wanted = Claim {
            owner: owner(),
            since: Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            doing: doing.to_owned(),
            times: self.times,
            grace: self.grace,
            wait: patience.wait_lease,
        };
        let printer = session.printer.clone();
        let ttl = self.times.ttl;
        let mut tell = |waiting: &Waiting| tell(&printer, waiting, ttl);
        let left_off = CancellationToken::new();
        let mut claiming = pin!(claim(&self.anchors, wanted, Arc::new(BootClock), &mut tell, &left_off));
        loop {
            tokio::select! {
                biased;
                outcome = &mut claiming => return match outcome {
                    Err(LeaseError::LeftOff) => Err(Fault::Interrupted),
                    Ok(lease) if interrupts.count() > 0 => {
                        lease.release().await.ok();
                        Err(Fault::Interrupted)
                    }
                    outcome => Ok(outcome?),
                },
                // What was got is given back, unless that takes too long, too.
                Some(()) = interrupts.unheard.recv() => {
                    if left_off.is_cancelled() {
                        return Err(Fault::Interrupted);
                    }
                    left_off.cancel();
                }
            }
        }
    }
}

/// Where an environment's lease and ledger are.
fn places(
    environment: &Environment,
    engines: &BTreeMap<ShipName, Arc<DockerEngine>>,
) -> Vec<(ShipName, Arc<dyn Shelf>)> {
    if let Some(etcd) = &environment.ledger {
        let shelf = EtcdShelf::new(etcd);
        return vec![(shelf.name().clone(), Arc::new(shelf))];
    }
    let many = if engines.len() < ANCHORS { 1 } else { ANCHORS };
    let usual = || engines.keys().take(many).cloned().collect();
    let names = if environment.anchors.is_empty() { usual() } else { environment.anchors.clone() };
    let place = |name: ShipName| {
        let shelf: Arc<dyn Shelf> = engines.get(&name)?.clone();
        Some((name, shelf))
    };
    names.into_iter().filter_map(place).collect()
}

/// Reads what a ledger lists.
pub(super) async fn past(ledger: &dyn Ledger) -> Result<Past, Fault> {
    let Contents { releases, journal, unreadable } = ledger.contents().await?;
    let history = History::read(&releases)?;
    let unfinished = journal.as_ref().map(Deployment::last).transpose()?;
    let way_back = history.current().map(|record| record.number);
    Ok(Past { history, unfinished, way_back, unreadable })
}

/// What is said of something that is damaged on all anchors.
fn unreadable(what: Unreadable) -> ErrorReport {
    let everywhere = "damaged on every anchor that has it";
    let report = match what {
        Unreadable::Release(number) => {
            ErrorReport::new(format!("release {number} is not listed: its entry is {everywhere}"))
                .hint("`maestro deploy` of everything records what is there then")
        }
        Unreadable::Journal => {
            ErrorReport::new(format!("a deployment may be unfinished: what its journal says is {everywhere}"))
                .hint("`maestro deploy` of everything makes sure, and asks all checks again")
        }
    };
    report.warning()
}

/// Reads a release that is listed.
pub(super) async fn release(ledger: &dyn Ledger, number: u64) -> Result<Release, Fault> {
    let document = ledger.release(number).await?;
    let document = document.ok_or(LedgerError::DamagedRelease(number))?;
    Release::from_bytes(&document.bytes).map_err(|error| Fault::Release { number, error })
}

/// The current release, if there is one.
pub(super) async fn current(ledger: &dyn Ledger, past: &Past) -> Result<Option<Release>, Fault> {
    match past.history.current().map(|record: &Record| record.number) {
        Some(number) => Ok(Some(release(ledger, number).await?)),
        None => Ok(None),
    }
}

/// The same for whoever could go back to it, and can do without: of one that is damaged everywhere, that is said.
pub(super) async fn way_back(
    session: &Session,
    ledger: &dyn Ledger,
    past: &Past,
) -> Result<Option<Release>, Fault> {
    match current(ledger, past).await {
        Err(Fault::Ledger(error @ LedgerError::DamagedRelease(_))) => {
            ErrorReport::new(format!("there is no way back to what is there now: {error}"))
                .warning()
                .print(&session.printer);
            Ok(None)
        }
        other => other,
    }
}

/// Who deploys, and from where.
pub(super) fn owner() -> String {
    let system = rustix::system::uname();
    format!("{}@{}", who(), system.nodename().to_string_lossy())
}

fn tell(printer: &Printer, waiting: &Waiting, ttl: Duration) {
    printer.talk(&match waiting {
        Waiting::Held { holder, lives: true } => format!("waiting for {}", described(holder)),
        Waiting::Held { holder, lives: false } => {
            format!("{}; waiting {} s for a sign of life", described(holder), ttl.as_secs())
        }
        Waiting::Settling { left } => format!(
            "whoever was at work here is gone; waiting {} s until nothing that was asked for can happen any more",
            left.as_secs().max(1)
        ),
        Waiting::Silent(ships) => {
            let names: Vec<&str> = ships.iter().map(ShipName::as_str).collect();
            format!("waiting for {}, where the lease is kept", list(&names))
        }
    });
}

/// Who has a lease, since when, and what for.
pub(super) fn described(holder: &Holder) -> String {
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    format!(
        "{}, at work here since {}: {}",
        or(&holder.owner, "somebody"),
        or(&holder.since, "some time"),
        or(&holder.doing, "nobody knows what")
    )
}

/// `5m`, `1h 30m`, or seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let parsed: SignedDuration = match text.parse::<u32>() {
        Ok(seconds) => SignedDuration::from_secs(seconds.into()),
        Err(_) => text.parse().map_err(|error: jiff::Error| error.to_string())?,
    };
    let time = Duration::try_from(parsed).map_err(|_| "it is negative".to_owned())?;
    // What ends after all clocks cannot be waited for.
    if time > LONGEST { Err("it is longer than a year".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [("0", 0), ("90", 90), ("5m", 300), ("1h 30m", 5400), (" 10s ", 10)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "soon", "-5m", "5 parsecs", "PT9223372036854775807S", "99999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
