//! A state machine with a clock, a lock and faults: what both faces of a pretended engine, the trait and HTTP, share.

mod follow;
mod journal;
mod process;
mod setup;

pub(crate) use follow::Follower;
pub use journal::{Effect, Write};
pub use process::{ExecStreams, Piece};
pub use setup::{Latency, Setup};

use crate::clock::Clock;
use crate::faults::{Faults, Operation};
use crate::state::{
    Archived, Change, Container, Content, CreateConfig, Created, Credentials, Machine, Refusal, Registries,
    Removal, Removed, Stopping, Update,
};
use jiff::Timestamp;
use journal::Journal;
use maestro_core::boundary::Progress;
use maestro_core::image::ImageRef;
use maestro_core::names::ShipName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Why a call got no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The engine said no.
    Refused(Refusal),
    /// There is no connection.
    Unreachable,
    /// No answer will ever come.
    Hangs,
    /// The connection broke.
    Lost,
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Trouble::Refused(refusal)
    }
}

/// One pretended engine, with everything around it.
#[derive(Debug)]
pub struct Daemon {
    ship: ShipName,
    address: Arc<str>,
    machine: Mutex<Machine>,
    changed: Notify,
    faults_changed: Notify,
    clock: Clock,
    faults: Mutex<Faults>,
    registries: Registries,
    latency: Mutex<Latency>,
    journal: Mutex<Journal>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Daemon {
    /// The ship that it is on.
    pub fn ship(&self) -> &ShipName {
        &self.ship
    }

    /// What is dialled to reach it, for messages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Its time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The registries that it pulls from.
    pub fn registries(&self) -> &Registries {
        &self.registries
    }

    /// Looks at the state as it is now.
    pub fn look<T>(&self, look: impl FnOnce(&Machine) -> T) -> T {
        let mut machine = lock(&self.machine);
        machine.advance(self.now());
        look(&machine)
    }

    /// Changes the state from outside, as somebody else on that host might; no fault and no journal apply.
    pub fn meddle<T>(&self, meddle: impl FnOnce(&mut Machine, Timestamp) -> T) -> T {
        let result = {
            let mut machine = lock(&self.machine);
            // No two calls come at the very same time, however fast.
            let now = machine.after(self.now());
            meddle(&mut machine, now)
        };
        self.changed.notify_waiters();
        result
    }

    /// Waits until something is so.
    pub async fn until<T>(&self, mut test: impl FnMut(&Machine) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let wake = {
                let mut machine = lock(&self.machine);
                machine.advance(self.now());
                if let Some(found) = test(&machine) {
                    return found;
                }
                machine.next_wake()
            };
            match wake {
                // A timer may fire a little early by this clock.
                Some(at) => {
                    let at = self.clock.instant(at) + Duration::from_micros(1);
                    _ = tokio::time::timeout_at(at, changed).await;
                }
                None => changed.await,
            }
        }
    }

    /// A container as it is now.
    pub fn container(&self, reference: &str) -> Option<Container> {
        self.look(|machine| machine.get(reference).ok().cloned())
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.faults) = faults;
        self.weather_changed();
    }

    fn weather_changed(&self) {
        self.changed.notify_waiters();
        self.faults_changed.notify_waiters();
    }

    /// Ends when other things go wrong than before.
    pub(crate) fn faults_changed(&self) -> impl Future<Output = ()> {
        self.faults_changed.notified()
    }

    pub(crate) fn may_go_down(&self) -> bool {
        lock(&self.faults).may_go_down()
    }

    /// Whether nobody is there at the moment.
    pub fn is_down(&self) -> bool {
        lock(&self.faults).is_down(self.clock.elapsed())
    }

    /// All calls that change something, in the order in which they came.
    pub fn writes(&self) -> Vec<Write> {
        lock(&self.journal).writes.clone()
    }

    /// From now on, calls take this long.
    pub fn takes(&self, latency: &Latency) {
        lock(&self.latency).clone_from(latency);
    }

    /// Forgets the calls so far.
    pub fn clear_writes(&self) {
        *lock(&self.journal) = Journal::default();
    }

    /// How many calls of each kind have come.
    pub fn calls(&self) -> BTreeMap<Operation, u64> {
        lock(&self.journal).calls.clone()
    }

    /// The most calls that were under way at the same time.
    pub fn busiest(&self) -> usize {
        lock(&self.journal).busiest
    }

    /// One call: its faults, its time, what it does, and its entry in the journal.
    pub(crate) async fn call<T>(
        &self,
        operation: Operation,
        subject: &str,
        act: impl FnOnce(&mut Machine, Timestamp) -> Result<T, Refusal>,
        effect: impl FnOnce(&T) -> Effect,
    ) -> Result<T, Trouble> {
        let mut entry = self.enter(operation, subject)?;
        if let Err(trouble) = self.before(entry.fault.as_ref(), operation).await {
            entry.close(match &trouble {
                Trouble::Refused(no) => Effect::Refused(no.status),
                _ => Effect::Nothing,
            });
            return Err(trouble);
        }
        let result = self.meddle(act);
        entry.close(match &result {
            Ok(value) => effect(value),
            Err(no) => Effect::Refused(no.status),
        });
        self.after(entry.fault.as_ref()).await?;
        Ok(result?)
    }

    /// A call that reads.
    pub(crate) async fn read<T>(
        &self,
        operation: Operation,
        subject: &str,
        look: impl FnOnce(&Machine) -> Result<T, Refusal>,
    ) -> Result<T, Trouble> {
        let entry = self.enter(operation, subject)?;
        self.before(entry.fault.as_ref(), operation).await?;
        let result = self.look(look);
        self.after(entry.fault.as_ref()).await?;
        Ok(result?)
    }

    /// `POST /containers/create`.
    pub(crate) async fn create(&self, name: &str, config: CreateConfig) -> Result<Created, Trouble> {
        let act = |machine: &mut Machine, now| machine.create(name, config, now);
        self.call(Operation::Create, name, act, |_| Effect::Done).await
    }

    /// `POST /containers/{}/start`.
    pub(crate) async fn start(&self, reference: &str) -> Result<Change, Trouble> {
        let subject = self.name_of(reference);
        let act = |machine: &mut Machine, now| machine.start(reference, now);
        self.call(Operation::Start, &subject, act, |change| Effect::of(*change)).await
    }

    /// `POST /containers/{}/stop`, until it has stopped.
    pub(crate) async fn stop(&self, reference: &str, grace: Duration) -> Result<Change, Trouble> {
        let subject = self.name_of(reference);
        let act = |machine: &mut Machine, now| machine.stop(reference, grace, now);
        let effect = |stopping: &Stopping| match stopping {
            Stopping::Already => Effect::Already,
            Stopping::Begun { .. } => Effect::Done,
        };
        match self.call(Operation::Stop, &subject, act, effect).await? {
            Stopping::Already => Ok(Change::Already),
            Stopping::Begun { id, start } => {
                let over = |machine: &Machine| {
                    let lost = self.is_down().then_some(Err(Trouble::Lost));
                    machine.has_stopped(&id, start).then_some(Ok(Change::Done)).or(lost)
                };
                self.until(over).await
            }
        }
    }

    /// `POST /containers/{}/kill`.
    pub(crate) async fn kill(&self, reference: &str, signal: Option<&str>) -> Result<(), Trouble> {
        let subject = self.name_of(reference);
        let act = |machine: &mut Machine, now| machine.kill(reference, signal, now);
        self.call(Operation::Kill, &subject, act, |()| Effect::Done).await
    }

    /// `DELETE /containers/{}`.
    pub(crate) async fn remove(&self, reference: &str, how: Removal) -> Result<(), Trouble> {
        let subject = self.name_of(reference);
        let act = |machine: &mut Machine, now| machine.remove(reference, how, now);
        self.call(Operation::Remove, &subject, act, |()| Effect::Done).await
    }

    /// `POST /containers/{}/rename`.
    pub async fn rename(&self, reference: &str, name: &str) -> Result<(), Trouble> {
        let subject = self.name_of(reference);
        let act = |machine: &mut Machine, now| machine.rename(reference, name, now);
        self.call(Operation::Rename, &subject, act, |()| Effect::Done).await
    }

    /// `DELETE /images/{}`; what it was, and whether it is gone.
    pub(crate) async fn remove_image(&self, name: &str) -> Result<Removed, Trouble> {
        let act = |machine: &mut Machine, _| machine.remove_image(name);
        self.call(Operation::RemoveImage, name, act, |_| Effect::Done).await
    }

    /// `POST /containers/{}/update`.
    pub(crate) async fn update(&self, reference: &str, update: Update) -> Result<(), Trouble> {
        let subject = self.name_of(reference);
        let act = |machine: &mut Machine, _| machine.update(reference, update);
        self.call(Operation::Update, &subject, act, |()| Effect::Done).await
    }

    /// `PUT /containers/{}/archive`.
    pub(crate) async fn put_archive(&self, reference: &str, entries: Vec<Archived>) -> Result<(), Trouble> {
        let subject = self.name_of(reference);
        let act = |machine: &mut Machine, now| machine.put_archive(reference, entries, now);
        self.call(Operation::Put, &subject, act, |()| Effect::Done).await
    }

    /// `GET /containers/{}/archive`.
    pub(crate) async fn get_archive(&self, reference: &str, path: &str) -> Result<Vec<Archived>, Trouble> {
        self.read(Operation::Get, reference, |machine| machine.get_archive(reference, path)).await
    }

    /// `POST /auth`.
    pub(crate) async fn login(&self, server: &str, who: &Credentials) -> Result<(), Trouble> {
        let act = |_: &mut Machine, _| self.registries.login(server, who);
        self.call(Operation::Login, server, act, |()| Effect::Done).await
    }

    /// `POST /images/create`, first half: what the registry says.
    pub(crate) async fn begin_pull(
        &self,
        image: &ImageRef,
        who: Option<&Credentials>,
    ) -> Result<Arc<Content>, Trouble> {
        let act = |machine: &mut Machine, _| {
            let found = self.registries.find(image, who, machine.edition())?;
            let own = &machine.host().platform;
            if own.runs(&found.platform) {
                return Ok(found);
            }
            // As of an image that was built for several platforms. Of one that was built for a single other one, an
            // engine takes what it cannot run.
            Err(Refusal::missing(format!("no matching manifest for {own} in the manifest list entries")))
        };
        self.call(Operation::Pull, image.as_str(), act, |_| Effect::Done).await
    }

    /// `GET /distribution/{}/json`.
    pub(crate) async fn look_up(
        &self,
        image: &ImageRef,
        who: Option<&Credentials>,
    ) -> Result<Arc<Content>, Trouble> {
        let act = |machine: &mut Machine, _| self.registries.find(image, who, machine.edition());
        self.call(Operation::Resolve, image.as_str(), act, |_| Effect::Done).await
    }

    /// `POST /images/create`, second half: layer after layer, then the image is there. Whether anything changed.
    pub(crate) async fn finish_pull(
        &self,
        image: &ImageRef,
        content: &Arc<Content>,
        mut news: impl FnMut(LayerNews),
    ) -> Result<bool, Trouble> {
        let has = self.look(|m| m.images().iter().any(|i| i.content.id == content.id));
        for (index, size) in content.layers.iter().copied().enumerate() {
            if has {
                news(LayerNews { index, size, stage: LayerStage::Exists });
                continue;
            }
            for quarter in 1..=4u32 {
                if !content.layer_time.is_zero() {
                    tokio::time::sleep(content.layer_time / 4).await;
                }
                if self.is_down() {
                    return Err(Trouble::Lost);
                }
                let current = size * u64::from(quarter) / 4;
                news(LayerNews { index, size, stage: LayerStage::Downloading(current) });
            }
            news(LayerNews { index, size, stage: LayerStage::Complete });
        }
        Ok(self.meddle(|machine, now| machine.add_image(image.as_str(), content, now)))
    }

    fn name_of(&self, reference: &str) -> String {
        self.look(|m| m.get(reference).map_or_else(|_| reference.to_owned(), |c| c.name.to_string()))
    }
}

/// How far one layer of a pull is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerNews {
    /// Which.
    pub(crate) index: usize,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// What is known of it.
    pub(crate) stage: LayerStage,
}

/// What is known of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerStage {
    /// It was there.
    Exists,
    /// So many bytes have come.
    Downloading(u64),
    /// It is there now.
    Complete,
}

/// Adds up layers as [`Progress`] does.
#[derive(Debug)]
pub(crate) struct Layers(Vec<(u64, u64, bool)>);

impl Layers {
    pub(crate) fn new(sizes: &[u64]) -> Self {
        Self(sizes.iter().map(|size| (0, *size, false)).collect())
    }

    pub(crate) fn take(&mut self, news: LayerNews) -> Progress {
        if let Some(layer) = self.0.get_mut(news.index) {
            match news.stage {
                LayerStage::Downloading(current) => layer.0 = current,
                LayerStage::Exists | LayerStage::Complete => *layer = (news.size, news.size, true),
            }
        }
        let (current, total) = self.0.iter().fold((0, 0), |sum, l| (sum.0 + l.0, sum.1 + l.1));
        let parts: f64 = self.0.iter().map(|l| share(l.0, l.1)).sum();
        #[expect(clippy::cast_possible_truncation, reason = "a percentage needs no more")]
        #[expect(clippy::cast_precision_loss, reason = "images have few layers")]
        let percent = (parts * 100.0 / self.0.len().max(1) as f64) as f32;
        let layers_done = self.0.iter().filter(|l| l.2).count();
        Progress { current, total, percent, layers_done, layers: self.0.len() }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
