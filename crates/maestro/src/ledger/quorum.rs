//! Files on a majority of anchors.

use futures_util::stream::{FuturesUnordered, StreamExt};
use maestro_core::boundary::{
    Claimed, Document, File, FolderId, FolderName, Keep, Labels, LedgerError, Shelf,
};
use maestro_core::engine_error::{ETCD, EngineError, EngineErrorKind};
use maestro_core::lease::majority;
use maestro_core::model::{LABEL_ENVIRONMENT, LABEL_ROLE};
use maestro_core::names::ShipName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long those that are late are waited for once a majority has answered: they are repaired later.
const GRACE: Duration = Duration::from_millis(300);
/// How often a folder is claimed again that is taken away while it is used.
const TRIES: usize = 3;

/// The places that keep an environment's lease and ledger, always in the same order.
#[derive(Clone)]
pub struct Anchors {
    environment: Arc<str>,
    places: Arc<[(ShipName, Arc<dyn Shelf>)]>,
    /// The releases that this process has read, by their numbers and epochs: they never change.
    bodies: Arc<Mutex<BTreeMap<(u64, u64), Document>>>,
}

impl Anchors {
    /// One, three or five; of an even number, one adds nothing.
    pub fn new(environment: &str, places: impl IntoIterator<Item = (ShipName, Arc<dyn Shelf>)>) -> Self {
        let (environment, places) = (environment.into(), places.into_iter().collect());
        Self { environment, places, bodies: Arc::default() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    pub(super) fn place(&self, number: usize) -> Option<&(ShipName, Arc<dyn Shelf>)> {
        self.places.get(number)
    }

    /// The folder for something, and what is written on it.
    pub(super) fn folder(&self, role: &str) -> (FolderName, Labels) {
        let labels = [(LABEL_ENVIRONMENT, &*self.environment), (LABEL_ROLE, role)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        (FolderName::of(role, &self.environment), labels.into())
    }

    /// Asks all at the same time, and returns what they said, once a majority has answered: none for who was late.
    async fn each<T>(
        &self,
        questions: impl Iterator<Item = impl Future<Output = (usize, Result<T, EngineError>)>>,
    ) -> Vec<Option<Result<T, EngineError>>> {
        let mut said: Vec<Option<Result<T, EngineError>>> = self.places.iter().map(|_| None).collect();
        let mut asked: FuturesUnordered<_> = questions.collect();
        let mut good = 0;
        while let Some((number, answer)) = asked.next().await {
            good += usize::from(answer.is_ok());
            if let Some(place) = said.get_mut(number) {
                *place = Some(answer);
            }
            if good >= majority(self.places.len()) {
                break;
            }
        }
        let mut late = std::pin::pin!(sleep(GRACE));
        loop {
            tokio::select! {
                biased;
                next = asked.next() => match next {
                    Some((number, answer)) => {
                        if let Some(place) = said.get_mut(number) {
                            *place = Some(answer);
                        }
                    }
                    None => return said,
                },
                () = &mut late => return said,
            }
        }
    }
}

impl std::fmt::Debug for Anchors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.places.iter().map(|(name, _)| name).collect();
        let mut anchors = f.debug_struct("Anchors");
        anchors.field("environment", &self.environment).field("places", &names).finish_non_exhaustive()
    }
}

/// What one anchor said, and its number.
pub(super) type Said<T> = (usize, T);

/// What was found of what was looked for.
pub(super) struct Sought {
    pub(super) found: Option<Vec<File>>,
    /// The anchors that were asked and don't have it.
    pub(super) lacking: Vec<usize>,
}

/// What is done with a folder.
enum Work<'a> {
    Put(&'a [File]),
    Get(&'a str),
}

/// One folder of files that outlive it, on every anchor.
pub(super) struct Quorum {
    anchors: Anchors,
    name: FolderName,
    labels: Labels,
    /// The folder's id on each anchor, as far as it is known.
    ids: Mutex<Vec<Option<FolderId>>>,
    /// The lease's folder on each anchor that its owner has, or had last: what is put is put beside it.
    leases: Mutex<Vec<Option<FolderId>>>,
    /// Whether folders are made where there are none. Who only reads makes none: where none is, nothing is kept, or
    /// nobody has written since it was taken away.
    makes: bool,
    deadline: Duration,
}

impl Quorum {
    pub(super) fn new(anchors: Anchors, makes: bool, deadline: Duration) -> Self {
        let (name, labels) = anchors.folder("ledger");
        let [ids, leases] = [(); 2].map(|()| Mutex::new(vec![None; anchors.count()]));
        Self { anchors, name, labels, ids, leases, makes, deadline }
    }

    /// From now on, what is put to an anchor is put beside this folder, which is the lease there.
    pub(super) fn is_under(&self, number: usize, lease: FolderId) {
        if let Some(place) = lock(&self.leases).get_mut(number) {
            *place = Some(lease);
        }
    }

    /// Puts files to a majority at least.
    pub(super) async fn put(&self, files: &[File]) -> Result<(), LedgerError> {
        self.each(&Work::Put(files)).await.map(drop)
    }

    /// Puts files to one anchor that lacks them.
    pub(super) async fn mend(&self, number: usize, files: &[File]) -> Result<(), EngineError> {
        self.on(number, &Work::Put(files)).await.1.map(drop)
    }

    /// The releases that have been read.
    pub(super) fn bodies(&self) -> &Mutex<BTreeMap<(u64, u64), Document>> {
        &self.anchors.bodies
    }

    /// How many anchors are a majority.
    pub(super) fn needed(&self) -> usize {
        majority(self.anchors.count())
    }

    /// The files at a path and below, as every anchor of a majority has them.
    pub(super) async fn get(&self, path: &str) -> Result<Vec<Said<Vec<File>>>, LedgerError> {
        self.each(&Work::Get(path)).await
    }

    /// The same of a majority, whichever it is: no more are asked, unless one fails or is late.
    pub(super) async fn any_majority(&self, path: &str) -> Result<Vec<Said<Vec<File>>>, LedgerError> {
        let mut good = Vec::new();
        let order: Vec<usize> = (0..self.anchors.count()).collect();
        let asking = self.ask_in_turn(&order, self.needed(), path, |number, files| {
            good.push((number, files));
            self.needed().saturating_sub(good.len())
        });
        let causes = asking.await;
        if good.len() >= self.needed() {
            Ok(good)
        } else {
            Err(self.too_few(good.len(), self.needed(), causes))
        }
    }

    /// The files at a path on the first anchor where they are what is looked for. These anchors are asked first.
    pub(super) async fn seek(
        &self,
        path: &str,
        first: &[usize],
        is_it: impl Fn(&[File]) -> bool + Send + Sync,
    ) -> Result<Sought, LedgerError> {
        let rest = (0..self.anchors.count()).filter(|number| !first.contains(number));
        let order: Vec<usize> = first.iter().copied().chain(rest).collect();
        let mut sought = Sought { found: None, lacking: Vec::new() };
        let asking = self.ask_in_turn(&order, 1, path, |number, files| {
            if is_it(&files) {
                sought.found = Some(files);
            } else {
                sought.lacking.push(number);
            }
            usize::from(sought.found.is_none())
        });
        let causes = asking.await;
        if sought.found.is_none() && !causes.is_empty() {
            // It may be where nobody answered.
            return Err(self.too_few(sought.lacking.len(), self.anchors.count(), causes));
        }
        Ok(sought)
    }

    /// Asks so many anchors for the files at a path, the first in this order, and one more for each that fails or is late.
    /// `take` is told every answer, and says how many more are wanted. Returns what failed.
    async fn ask_in_turn(
        &self,
        order: &[usize],
        mut wanted: usize,
        path: &str,
        mut take: impl FnMut(usize, Vec<File>) -> usize + Send,
    ) -> Vec<EngineError> {
        let work = Work::Get(path);
        let mut left = order.iter().map(|number| self.on(*number, &work));
        let mut asked = FuturesUnordered::new();
        let mut causes = Vec::new();
        loop {
            asked.extend(left.by_ref().take(wanted.saturating_sub(asked.len())));
            if wanted == 0 || asked.is_empty() {
                return causes;
            }
            match timeout(GRACE, asked.next()).await {
                Ok(Some((number, Ok(files)))) => wanted = take(number, files),
                Ok(Some((_, Err(error)))) => causes.push(error),
                Ok(None) => {}
                Err(_) => asked.extend(left.next()),
            }
        }
    }

    async fn each(&self, work: &Work<'_>) -> Result<Vec<Said<Vec<File>>>, LedgerError> {
        let said = self.anchors.each((0..self.anchors.count()).map(|number| self.on(number, work))).await;
        self.enough(said)
    }

    /// What the anchors said that answered, if they are a majority.
    fn enough<T>(&self, said: Vec<Option<Result<T, EngineError>>>) -> Result<Vec<Said<T>>, LedgerError> {
        let (mut good, mut causes) = (Vec::new(), Vec::new());
        for (number, answer) in said.into_iter().enumerate() {
            match answer {
                Some(Ok(answer)) => good.push((number, answer)),
                Some(Err(error)) => causes.push(error),
                None => {}
            }
        }
        if good.len() >= self.needed() {
            Ok(good)
        } else {
            Err(self.too_few(good.len(), self.needed(), causes))
        }
    }

    pub(super) fn too_few(&self, answered: usize, needed: usize, causes: Vec<EngineError>) -> LedgerError {
        LedgerError::TooFew { answered, needed, places: self.anchors.count(), causes }
    }

    /// Does something with the folder of one anchor.
    async fn on(&self, number: usize, work: &Work<'_>) -> (usize, Result<Vec<File>, EngineError>) {
        let result = match timeout(self.deadline, self.try_on(number, work)).await {
            Ok(result) => result,
            Err(_) => Err(self.anchors.late(number, &format!("using {}", self.name), self.deadline)),
        };
        (number, result)
    }

    /// The same, without a deadline. There are no files where no folder is and none is to be made.
    async fn try_on(&self, number: usize, work: &Work<'_>) -> Result<Vec<File>, EngineError> {
        let Some((_, anchor)) = self.anchors.place(number) else { return Ok(Vec::new()) };
        let mut last = None;
        for _ in 0..TRIES {
            let Some(id) = self.id(number, &**anchor).await? else { return Ok(Vec::new()) };
            let result = match work {
                Work::Put(files) => {
                    let lease = lock(&self.leases).get(number).cloned().flatten();
                    match lease {
                        Some(lease) => anchor.put_beside(&id, &lease, files).await.map(|()| Vec::new()),
                        None => anchor.put(&id, files).await.map(|()| Vec::new()),
                    }
                }
                Work::Get(path) => anchor.get(&id, path).await,
            };
            match result {
                Err(error) if matches!(error.kind, EngineErrorKind::NotFound(_)) => {
                    self.know(number, None);
                    last = Some(error);
                }
                result => return result,
            }
        }
        last.map_or(Ok(Vec::new()), Err)
    }

    async fn id(&self, number: usize, anchor: &dyn Shelf) -> Result<Option<FolderId>, EngineError> {
        if let Some(id) = lock(&self.ids).get(number).cloned().flatten() {
            return Ok(Some(id));
        }
        let (id, labels) = if self.makes {
            match anchor.claim(&self.name, Keep::Apart, &self.labels).await? {
                Claimed::Made(id) => (id, None),
                Claimed::Taken(folder) => (folder.id, Some(folder.labels)),
            }
        } else {
            match anchor.look(&self.name).await? {
                Some(folder) => (folder.id, Some(folder.labels)),
                None => return Ok(None),
            }
        };
        if let Some(labels) = labels
            && labels.get(LABEL_ROLE) != self.labels.get(LABEL_ROLE)
        {
            let text = format!("{} is not Maestro's ledger: remove or rename it", self.name);
            return Err(self.anchors.error(
                number,
                "looking for the ledger",
                EngineErrorKind::Conflict(text),
            ));
        }
        self.know(number, Some(id.clone()));
        Ok(Some(id))
    }

    fn know(&self, number: usize, id: Option<FolderId>) {
        if let Some(place) = lock(&self.ids).get_mut(number) {
            *place = id;
        }
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Anchors {
    pub(super) fn error(&self, number: usize, operation: &str, kind: EngineErrorKind) -> EngineError {
        let ship = self.place(number).map_or_else(|| ShipName::from("?"), |(name, _)| name.clone());
        EngineError { ship, operation: operation.to_owned(), kind, ambiguous: false }
    }

    /// An anchor that did not answer in time.
    pub(super) fn late(&self, number: usize, operation: &str, after: Duration) -> EngineError {
        let address = self.place(number).map_or_else(String::new, |(name, _)| name.to_string());
        let kind = if address.starts_with(ETCD) {
            EngineErrorKind::Etcd(format!("did not answer within {} s", after.as_secs_f64()))
        } else {
            EngineErrorKind::Unresponsive { address, after }
        };
        EngineError { ambiguous: true, ..self.error(number, operation, kind) }
    }
}
