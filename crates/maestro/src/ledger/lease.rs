//! Drives a lease over the anchors' shelves.

use super::clock::Clock;
use super::documents::OwnedLedger;
use super::epochs;
use super::index::INDEX;
use super::quorum::{Anchors, Quorum, Said};
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use maestro_core::boundary::{Claimed, File, FolderId, FolderName, Keep, Labels, LedgerError, Shelf};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::lease::{Answer, Ask, Holder, Lease, Order, Seen, Times, majority};
use maestro_core::names::ShipName;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// Who wants a lease, and how.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who and where, for people: `ada@laptop`.
    pub owner: String,
    /// When it began, for people.
    pub since: String,
    /// The command, for people: `deploy web`.
    pub doing: String,
    /// How long what may take.
    pub times: Times,
    /// How much of [`Times::call`] is for a program that is asked to stop.
    pub grace: Duration,
    /// How long to wait for somebody who lives. Who is dead is waited for as long as it takes to know.
    pub wait: Duration,
}

/// What a claim waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// Somebody else has it.
    Held {
        /// Who.
        holder: Holder,
        /// Whether a sign of life was seen; if none comes within the time to live, the lease is taken over.
        lives: bool,
    },
    /// It was taken over, and nothing of its last owner may be under way.
    Settling {
        /// For how long yet.
        left: Duration,
    },
    /// Too few anchors answer.
    Silent(Vec<ShipName>),
}

/// Why there is no lease.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has it, and lives.
    #[error("{} is at work here{}{}", name(.0), since(.0), doing(.0))]
    Held(Holder),
    /// It could not be had for another reason.
    #[error("no lease could be had")]
    Ledger(#[source] LedgerError),
    /// It is not wanted any more.
    #[error("the lease is not wanted any more")]
    LeftOff,
}

fn name(holder: &Holder) -> &str {
    if holder.owner.is_empty() { "somebody" } else { &holder.owner }
}

fn since(holder: &Holder) -> String {
    if holder.since.is_empty() { String::new() } else { format!(" since {}", holder.since) }
}

fn doing(holder: &Holder) -> String {
    if holder.doing.is_empty() { String::new() } else { format!(": {}", holder.doing) }
}

/// Gets the lease of the anchors' environment, or says who has it. From then on nobody else changes anything; that the
/// owner may, his [`Fence`] says. `tell` hears of what is waited for, whenever that
/// changes; `left_off` gives up, and gives back what was got. Where the future is dropped, that dies after its time to live.
pub async fn claim(
    anchors: &Anchors,
    claim: Claim,
    clock: Arc<dyn Clock>,
    tell: &mut (dyn FnMut(&Waiting) + Send),
    left_off: &CancellationToken,
) -> Result<HeldLease, LeaseError> {
    let times = claim.times;
    let lease = HeldLease::start(anchors, &claim, clock);
    let mut changes = lease.shared.changes.subscribe();
    let began = Instant::now();
    // A dead owner is found out, taken over and waited for; an anchor that fails once is asked again.
    let mut patience = began + claim.wait + times.settle() + times.ttl * 3;
    let mut told = None;
    loop {
        let over = Instant::now() >= patience;
        let (waiting, held, ready) = {
            let state = lease.shared.lock();
            let now = lease.shared.clock.now();
            // Whoever comes after nobody may look at everything; the fence waits for the first heartbeat.
            let ready = state.lease.may_write(now) || state.lease.is_alone() && state.lease.epoch().is_some();
            (lease.shared.waiting(&state, now), state.lease.is_held_by_another(), ready)
        };
        if ready {
            let said = lease.shared.lock().said.take();
            if let Some(said) = said {
                lease.ledger.begin_with(said).await;
            }
            return Ok(lease);
        }
        let gives_up = match &waiting {
            Some(Waiting::Held { .. }) => (held && began.elapsed() >= claim.wait) || over,
            Some(Waiting::Silent(_)) => began.elapsed() >= claim.wait.max(times.ttl),
            // As long as whoever is gone has said that it takes, and what follows.
            Some(Waiting::Settling { left }) => {
                patience = patience.max(Instant::now() + *left + times.ttl);
                false
            }
            None => over,
        };
        if gives_up {
            let error = match waiting {
                Some(Waiting::Held { holder, .. }) => LeaseError::Held(holder),
                _ => LeaseError::Ledger(lease.shared.too_few()),
            };
            // What was got is given back.
            _ = lease.release().await;
            return Err(error);
        }
        if let Some(waiting) = waiting
            && told.as_ref().is_none_or(|told| differs(told, &waiting))
        {
            tell(&waiting);
            told = Some(waiting);
        }
        tokio::select! {
            biased;
            () = left_off.cancelled() => {
                _ = lease.release().await;
                return Err(LeaseError::LeftOff);
            }
            _ = timeout(times.pace / 4, changes.changed()) => {}
        }
    }
}

/// Whether something is to be said: not for every second less.
fn differs(told: &Waiting, now: &Waiting) -> bool {
    !matches!((told, now), (Waiting::Settling { .. }, Waiting::Settling { .. })) && told != now
}

/// A lease that somebody has: as long as this is there, it is kept. Dropped, it dies after its time to live;
/// [`HeldLease::release`] gives it back.
pub struct HeldLease {
    shared: Arc<Shared>,
    ledger: Arc<OwnedLedger>,
    task: Option<JoinHandle<()>>,
}

struct Shared {
    anchors: Anchors,
    name: FolderName,
    labels: Labels,
    quorum: Arc<Quorum>,
    run: String,
    times: Times,
    clock: Arc<dyn Clock>,
    /// What programs may have for stopping, as whoever comes next knows it.
    grace: tokio::sync::Mutex<Duration>,
    state: Mutex<State>,
    changes: watch::Sender<()>,
    stop: CancellationToken,
}

struct State {
    lease: Lease,
    /// What each anchor said last instead of an answer.
    failures: Vec<Option<EngineError>>,
    ledger: Option<LedgerError>,
    /// What the ledger lists, as it was read with the epochs, where nobody can have written since.
    said: Option<Vec<Said<Vec<File>>>>,
    /// Whether it is recorded that this run is over.
    over: bool,
}

/// What came of an order.
enum Outcome {
    Answered(usize, Result<Answer, EngineError>),
    Read(Result<Vec<Said<Vec<File>>>, LedgerError>),
    Recorded(u64, Result<(), LedgerError>),
}

impl HeldLease {
    fn start(anchors: &Anchors, claim: &Claim, clock: Arc<dyn Clock>) -> Self {
        let holder = Holder {
            run: format!("{:016x}{:016x}", random(), random()),
            owner: claim.owner.clone(),
            since: claim.since.clone(),
            doing: claim.doing.clone(),
        };
        let (name, mut labels) = anchors.folder("lease");
        holder.write(&mut labels);
        let lease = Lease::new(holder.run.clone(), anchors.count(), claim.times, random());
        let failures = vec![None; anchors.count()];
        let shared = Arc::new(Shared {
            anchors: anchors.clone(),
            name,
            labels,
            quorum: Arc::new(Quorum::new(anchors.clone(), true, claim.times.call)),
            run: holder.run,
            times: claim.times,
            clock,
            grace: tokio::sync::Mutex::new(claim.grace),
            state: Mutex::new(State { lease, failures, ledger: None, said: None, over: false }),
            changes: watch::Sender::new(()),
            stop: CancellationToken::new(),
        });
        let task = tokio::spawn(Arc::clone(&shared).keep());
        let ledger = OwnedLedger::new(shared.quorum.clone(), Fence { shared: shared.clone() });
        Self { shared, ledger: Arc::new(ledger), task: Some(task) }
    }

    /// What every write has to pass.
    pub fn fence(&self) -> Fence {
        Fence { shared: self.shared.clone() }
    }

    /// The ledger, to be read and written under this lease.
    pub fn ledger(&self) -> Arc<OwnedLedger> {
        self.ledger.clone()
    }

    /// Gives the lease back. No call of the owner may be under way any more. What an anchor said that could not do it
    /// is returned: there, the lease dies after its time to live.
    pub async fn release(mut self) -> Result<(), Vec<EngineError>> {
        self.shared.stop.cancel();
        if let Some(task) = self.task.take() {
            // It ends when the calls under way do, and they have deadlines.
            _ = task.await;
        }
        let (folders, epoch) = {
            let state = self.shared.lock();
            let closes = state.lease.may_close() && !state.over;
            (state.lease.folders(), state.lease.epoch().filter(|_| closes))
        };
        if let Some(epoch) = epoch {
            // Without it, the next one waits a little longer.
            _ = epochs::close(&self.shared.quorum, epoch, &self.shared.run).await;
        }
        let removals = folders.iter().map(|(number, id)| self.shared.give_back(*number, id));
        let failed: Vec<EngineError> = join_all(removals).await.into_iter().flatten().collect();
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl std::fmt::Debug for HeldLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldLease").field("run", &self.shared.run).finish_non_exhaustive()
    }
}

/// Lets writes through while the lease is held.
#[derive(Clone)]
pub struct Fence {
    shared: Arc<Shared>,
}

impl Fence {
    /// [`Fence::pass`] for a call in which a program is given so long to stop, which may be longer than was thought of when
    /// the lease was claimed: whoever comes next has to know before.
    pub async fn pass_for(&self, grace: Duration) -> Result<u64, LedgerError> {
        let shared = &self.shared;
        let mut known = shared.grace.lock().await;
        if grace > *known {
            let epoch = self.pass().await?;
            let settle = shared.times.settle() + grace;
            epochs::lengthen(&shared.quorum, epoch, &shared.run, settle).await?;
            *known = grace;
        }
        drop(known);
        self.pass().await
    }

    /// Waits until a call that changes something may be sent, which is at once while heartbeats get through, and returns
    /// the epoch. The call has to be over within [`Times::call`]. Fails for ever once the lease is lost, and if no
    /// heartbeat gets through for the time to live.
    pub async fn pass(&self) -> Result<u64, LedgerError> {
        let mut changes = self.shared.changes.subscribe();
        let patience = Instant::now() + self.shared.times.ttl;
        loop {
            {
                let state = self.shared.lock();
                if self.shared.stop.is_cancelled() || state.over {
                    return Err(LedgerError::Fenced("it was given back".to_owned()));
                }
                if state.lease.is_lost() {
                    return Err(LedgerError::Fenced(Shared::why_lost(&state)));
                }
                // The clock is looked at last.
                if let Some(epoch) = state.lease.epoch()
                    && state.lease.may_write(self.shared.clock.now())
                {
                    return Ok(epoch);
                }
                if Instant::now() >= patience {
                    let seconds = self.shared.times.ttl.as_secs();
                    let cause = state.failures.iter().flatten().next();
                    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
                    let what = match self.shared.anchors.count() {
                        1 => "no heartbeat got through",
                        _ => "no majority of the anchors took a heartbeat",
                    };
                    return Err(LedgerError::Fenced(format!("{what} for {seconds} s{cause}")));
                }
            }
            _ = timeout_at(patience, changes.changed()).await;
        }
    }

    /// The mark that this run is over, for what is written last under this epoch.
    pub(super) fn over(&self, epoch: u64) -> File {
        epochs::over(epoch, &self.shared.run)
    }

    /// That mark has been recorded: from now on, nothing passes.
    pub(super) fn is_over(&self) {
        self.shared.lock().over = true;
    }
}

impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fence").field("run", &self.shared.run).finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims, and beats, until it is stopped or lost.
    async fn keep(self: Arc<Self>) {
        let mut calls = FuturesUnordered::new();
        loop {
            let orders = self.lock().lease.due(self.clock.now());
            calls.extend(orders.into_iter().map(|order| self.carry_out(order)));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(outcome) = calls.next(), if !calls.is_empty() => self.take(outcome),
                () = sleep(self.times.pace / 8) => {}
            }
        }
        // A claim that is under way may leave a folder that is to be given back.
        while let Some(outcome) = calls.next().await {
            self.take(outcome);
        }
    }

    async fn give_back(&self, number: usize, id: &FolderId) -> Option<EngineError> {
        let (_, anchor) = self.anchors.place(number)?;
        match timeout(self.times.ttl, anchor.remove(id)).await {
            Ok(result) => result.err(),
            Err(_) => Some(self.anchors.late(number, "giving the lease back", self.times.ttl)),
        }
    }

    fn take(&self, outcome: Outcome) {
        {
            let mut state = self.lock();
            let now = self.clock.now();
            match outcome {
                Outcome::Answered(number, answer) => {
                    if let Some(place) = state.failures.get_mut(number) {
                        *place = answer.as_ref().err().cloned();
                    }
                    state.lease.answered(now, number, answer.unwrap_or(Answer::Failed));
                    for (number, lease) in state.lease.folders() {
                        self.quorum.is_under(number, lease);
                    }
                }
                Outcome::Read(said) => {
                    state.ledger = said.as_ref().err().cloned();
                    let said = said.ok();
                    state.lease.epochs_read(now, said.as_deref().map(epochs::of));
                    state.said = said.filter(|_| state.lease.is_alone());
                }
                Outcome::Recorded(epoch, done) => {
                    state.ledger = done.as_ref().err().cloned();
                    state.lease.recorded(now, epoch, done.is_ok());
                }
            }
        }
        self.changes.send_replace(());
    }

    fn carry_out(&self, order: Order) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            match order {
                Order::ReadEpochs => Outcome::Read(self.quorum.get(INDEX).await),
                Order::Record(epoch) => Outcome::Recorded(
                    epoch,
                    epochs::record(&self.quorum, epoch, &self.run, self.times.settle()).await,
                ),
                Order::Ask(number, ask) => {
                    // A first look may have to log in; heartbeats may not be late.
                    let patience = match &ask {
                        Ask::Look | Ask::Claim => self.times.ttl,
                        Ask::Beat(..) | Ask::Remove(_) => self.times.deadline(),
                    };
                    let Some((_, anchor)) = self.anchors.place(number) else {
                        return Outcome::Answered(number, Ok(Answer::Failed));
                    };
                    let answer = match timeout(patience, self.ask(&**anchor, &ask)).await {
                        Ok(answer) => answer,
                        Err(_) => Err(self.anchors.late(number, "asking for the lease", patience)),
                    };
                    Outcome::Answered(number, answer)
                }
            }
        })
    }

    async fn ask(&self, anchor: &dyn Shelf, ask: &Ask) -> Result<Answer, EngineError> {
        let gone = |result: Result<(), EngineError>| match result {
            Ok(()) => Ok(Answer::Done),
            Err(error) if matches!(error.kind, EngineErrorKind::NotFound(_)) => Ok(Answer::Gone),
            Err(error) => Err(error),
        };
        match ask {
            Ask::Look => {
                let found = anchor.look(&self.name).await?.map(Seen::from);
                Ok(found.map_or(Answer::Free, Answer::Taken))
            }
            Ask::Claim => match anchor.claim(&self.name, Keep::Inside, &self.labels).await? {
                Claimed::Made(id) => Ok(Answer::Made(id)),
                Claimed::Taken(folder) => Ok(Answer::Taken(folder.into())),
            },
            Ask::Beat(id, beat) => gone(anchor.beat(id, *beat).await),
            Ask::Remove(id) => gone(anchor.remove(id).await),
        }
    }

    fn waiting(&self, state: &State, now: Duration) -> Option<Waiting> {
        if let Some(left) = state.lease.settles_in(now) {
            return Some(Waiting::Settling { left });
        }
        let lease = &state.lease;
        let silent = lease.silent();
        if self.anchors.count() - silent.len() < majority(self.anchors.count()) {
            let name = |number| self.anchors.place(number).map(|(name, _)| name.clone());
            return Some(Waiting::Silent(silent.into_iter().filter_map(name).collect()));
        }
        // Of several, who has most; the first of those that have as many.
        let rivals = lease.rivals();
        let votes = |run: &str| rivals.iter().filter(|rival| rival.seen.holder.run == run).count();
        let first = rivals.iter().rev().max_by_key(|rival| votes(&rival.seen.holder.run))?;
        let lives = rivals.iter().any(|r| r.moved && r.seen.holder.run == first.seen.holder.run);
        (lease.epoch().is_none()).then(|| Waiting::Held { holder: first.seen.holder.clone(), lives })
    }

    fn why_lost(state: &State) -> String {
        match state.lease.rivals().first() {
            Some(rival) => format!("{} took it over", name(&rival.seen.holder)),
            None => "it is gone from too many anchors".to_owned(),
        }
    }

    fn too_few(&self) -> LedgerError {
        let state = self.lock();
        if let Some(error) = &state.ledger {
            return error.clone();
        }
        let causes: Vec<EngineError> = state.failures.iter().flatten().cloned().collect();
        let places = self.anchors.count();
        LedgerError::TooFew { answered: places - causes.len(), needed: majority(places), places, causes }
    }
}

/// A random number, by what seeds the standard library's maps.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
