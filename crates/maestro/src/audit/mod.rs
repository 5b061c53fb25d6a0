//! Telling auditors what is done: a log, a webhook, a program, a Slack channel.
//!
//! What there is to tell, and in which words, has been decided. Owns how it is sent, how long that may take, and that
//! nobody waits for it who need not. Knows nothing of engines or terminals.

mod exec;
mod log;
mod slack;
mod webhook;
mod who;

pub use who::who;

use futures_util::future::join_all;
use maestro_core::boundary::{Auditor, Undelivered};
use maestro_core::model::{self, Channel, Environment};
use maestro_core::notification::Notification;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

/// What HTTP requests say they come from.
const AGENT: &str = concat!("maestro/", env!("CARGO_PKG_VERSION"));

/// What an auditor may take beyond its own limit, which it keeps by itself and can explain better.
const GRACE: Duration = Duration::from_millis(100);

/// Everybody who is to be told what commands do.
pub struct Auditors {
    all: Vec<Listed>,
}

/// One of them.
#[derive(Clone)]
struct Listed {
    settings: Arc<model::Auditor>,
    auditor: Arc<dyn Auditor>,
    /// How long telling it once may take.
    limit: Duration,
}

/// An auditor that was not told something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Who: type and place, nothing that is secret.
    pub auditor: String,
    /// How many notifications.
    pub count: usize,
    /// Why, of the last one that failed; none if there was no time left.
    pub because: Option<String>,
}

impl Auditors {
    /// Those of an environment. Opens nothing.
    pub fn of(environment: &Environment) -> Self {
        Self { all: environment.auditors.iter().filter_map(Listed::new).collect() }
    }

    /// Whether nobody is to be told anything.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Tells all of them at the same time that something is about to be done, and waits for those without whom it may
    /// not be. Returns who hears the rest, which is `most` notifications, and who of them could not be told, and whose
    /// errors count.
    pub async fn announce(self, announcement: &Notification, most: usize) -> (Audience, Vec<Missed>) {
        let (ignored, needed): (Vec<_>, Vec<_>) =
            self.all.into_iter().partition(|one| one.settings.ignore_errors);
        let mut audience = Audience { members: Vec::new() };
        for one in ignored {
            audience.members.push(Member::new(one, most));
        }
        audience.tell(announcement);
        let told = needed.iter().filter(|one| announcement.is_for(&one.settings)).map(async |one| {
            let because = one.tell(announcement).await.err()?.to_string();
            Some(Missed { auditor: one.name(), count: 1, because: Some(because) })
        });
        let missed: Vec<Missed> = join_all(told).await.into_iter().flatten().collect();
        audience.members.extend(needed.into_iter().map(|one| Member::new(one, most)));
        (audience, missed)
    }
}

impl Listed {
    fn new(settings: &model::Auditor) -> Option<Self> {
        let (auditor, limit): (Arc<dyn Auditor>, _) = match &settings.channel {
            Channel::Log { file } => (Arc::new(log::Log::new(file)), log::LIMIT),
            Channel::Http(webhook) => {
                (Arc::new(webhook::WebhookCall::new((**webhook).clone())), webhook.timeout)
            }
            Channel::Exec(script) => (Arc::new(exec::ScriptRun::new(script.clone())), script.timeout),
            Channel::Slack(slack) => (Arc::new(slack::SlackPost::new((**slack).clone())), slack::LIMIT),
            Channel::HipChat => return None,
        };
        Some(Self { settings: Arc::new(settings.clone()), auditor, limit })
    }

    fn name(&self) -> String {
        let channel = &self.settings.channel;
        format!("the {} auditor ({})", channel.kind(), channel.place())
    }

    async fn tell(&self, notification: &Notification) -> Result<(), Undelivered> {
        match timeout(self.limit.saturating_add(GRACE), self.auditor.tell(notification)).await {
            Ok(result) => result,
            Err(_) => Err(Undelivered(format!("it took longer than {}", crate::probe::seconds(self.limit)))),
        }
    }
}

/// Who hears what happens while it does: each in a task of its own, in order, and nobody waits.
pub struct Audience {
    members: Vec<Member>,
}

struct Member {
    listed: Listed,
    queue: Option<mpsc::Sender<Notification>>,
    task: JoinHandle<()>,
    record: Arc<Mutex<Record>>,
}

/// What became of the notifications of one auditor.
#[derive(Debug, Default)]
struct Record {
    waiting: usize,
    failed: usize,
    because: Option<String>,
}

fn locked(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Member {
    fn new(listed: Listed, most: usize) -> Self {
        let (queue, incoming) = mpsc::channel(most.max(1));
        let record = Arc::new(Mutex::new(Record::default()));
        let task = tokio::spawn(deliver(listed.clone(), incoming, record.clone()));
        Self { listed, queue: Some(queue), task, record }
    }

    fn tell(&self, notification: &Notification) {
        if !notification.is_for(&self.listed.settings) {
            return;
        }
        let mut record = locked(&self.record);
        let sent = self.queue.as_ref().is_some_and(|queue| queue.try_send(notification.clone()).is_ok());
        let count = if sent { &mut record.waiting } else { &mut record.failed };
        *count += 1;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tells one auditor one thing after another.
async fn deliver(listed: Listed, mut incoming: mpsc::Receiver<Notification>, record: Arc<Mutex<Record>>) {
    while let Some(notification) = incoming.recv().await {
        let result = listed.tell(&notification).await;
        let mut record = locked(&record);
        record.waiting -= 1;
        if let Err(because) = result {
            record.failed += 1;
            record.because = Some(because.to_string());
        }
    }
}

impl Audience {
    /// Of nobody.
    pub fn nobody() -> Self {
        Self { members: Vec::new() }
    }

    /// Whether nobody hears anything.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Hands a notification to those whom it concerns. Waits for nothing.
    pub fn tell(&mut self, notification: &Notification) {
        self.members.iter().for_each(|member| member.tell(notification));
    }

    /// There will be nothing more to tell: waits until everybody has heard everything, for each as long as telling it
    /// once may take, and for nobody longer than `patience`. May be dropped.
    pub async fn close(&mut self, patience: Duration) {
        let began = Instant::now();
        let ends = self.members.iter_mut().map(|member| {
            member.queue = None;
            let limit = member.listed.limit.saturating_add(GRACE).min(patience);
            timeout_at(began + limit, &mut member.task)
        });
        join_all(ends).await;
    }

    /// Who was not told everything. Gives up what is still under way.
    pub fn missed(self) -> Vec<Missed> {
        let minds = |member: &&Member| !member.listed.settings.ignore_errors;
        let missed = self.members.iter().filter(minds).map(|member| {
            member.task.abort();
            let record = locked(&member.record);
            let because = record.because.clone();
            Missed { auditor: member.listed.name(), count: record.waiting + record.failed, because }
        });
        missed.filter(|missed| missed.count > 0).collect()
    }
}

#[cfg(test)]
mod tests;
