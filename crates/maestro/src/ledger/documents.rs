//! Releases and the journal, as files on a majority of anchors (`index`).

use super::envelope::{open, seal};
use super::index::{INDEX, Index, body_path, closing, head_path, record_path};
use super::lease::Fence;
use super::quorum::{Anchors, Quorum, Said};
use futures_util::future::BoxFuture;
use maestro_core::boundary::{Contents, Document, File, Ledger, LedgerError, LedgerWriter};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The ledger of an environment, for who only reads.
pub struct ShelfLedger {
    quorum: Quorum,
    /// What was listed last: a release is never written again.
    read: Mutex<Option<Arc<Index>>>,
}

/// The ledger of an environment, for who has its lease.
pub struct OwnedLedger {
    quorum: Arc<Quorum>,
    fence: Fence,
    written: AtomicU64,
    /// Whether what is written next is the last.
    ends: AtomicBool,
    /// Held while anything is read or written.
    known: tokio::sync::Mutex<Known>,
}

/// What an owner knows of what there is until he writes, for nobody else writes.
#[derive(Default)]
struct Known {
    /// What anchors have, as it was read when the lease was claimed, if nobody can have written since.
    said: Option<Vec<Said<Vec<File>>>>,
    index: Option<Arc<Index>>,
    /// The number of the journal that was written last, while it is open.
    open: Option<u64>,
}

/// What was found of a release.
struct Body {
    document: Option<Document>,
    /// The anchors that were asked and lack it.
    lacking: Vec<usize>,
}

/// A release's body. Those that list it are asked first, one after another.
async fn body(quorum: &Quorum, index: &Index, number: u64, epoch: u64) -> Result<Body, LedgerError> {
    let known = locked(quorum.bodies()).get(&(number, epoch)).cloned();
    if known.is_some() {
        return Ok(Body { document: known, lacking: Vec::new() });
    }
    let first = index.listed_by(&head_path(number, epoch));
    let document = |files: &[File]| files.iter().find_map(|file| open(&file.content));
    let sought = quorum.seek(&body_path(number, epoch), &first, |files| document(files).is_some()).await?;
    let body = Body { document: sought.found.as_deref().and_then(document), lacking: sought.lacking };
    // What somebody lacks is looked at again, by one who may mend it.
    if let Some(document) = body.document.as_ref().filter(|_| body.lacking.is_empty()) {
        locked(quorum.bodies()).insert((number, epoch), document.clone());
    }
    Ok(body)
}

fn damaged(number: u64) -> LedgerError {
    LedgerError::DamagedRelease(number)
}

impl ShelfLedger {
    /// Of these anchors; makes nothing on them. `deadline` is for one call.
    pub fn new(anchors: &Anchors, deadline: Duration) -> Self {
        Self { quorum: Quorum::new(anchors.clone(), false, deadline), read: Mutex::default() }
    }

    async fn index(&self) -> Result<Arc<Index>, LedgerError> {
        let mut index = Index::of(&self.quorum.any_majority(INDEX).await?);
        // Whoever was not asked may have it whole.
        if index.is_damaged()
            && let Ok(said) = self.quorum.get(INDEX).await
        {
            index = Index::of(&said);
        }
        let index = Arc::new(index);
        *locked(&self.read) = Some(index.clone());
        Ok(index)
    }
}

impl Ledger for ShelfLedger {
    fn contents(&self) -> BoxFuture<'_, Result<Contents, LedgerError>> {
        Box::pin(async { Ok(self.index().await?.contents()) })
    }

    fn release(&self, number: u64) -> BoxFuture<'_, Result<Option<Document>, LedgerError>> {
        Box::pin(async move {
            let read = locked(&self.read).clone();
            let index = match read {
                Some(index) => index,
                None => self.index().await?,
            };
            let Some(entry) = index.entries().remove(&number) else { return Ok(None) };
            let body = body(&self.quorum, &index, number, entry.epoch).await?;
            body.document.map(Some).ok_or_else(|| damaged(number))
        })
    }
}

impl OwnedLedger {
    pub(super) fn new(quorum: Arc<Quorum>, fence: Fence) -> Self {
        let (written, ends) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { quorum, fence, written, ends, known: tokio::sync::Mutex::default() }
    }

    /// What is written next is the last, and no other call of this run is under way then: that it is over is recorded
    /// with it, which saves the owner a way to the anchors and leaves his successor nobody to wait for.
    pub fn ends_with_next(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    /// This is what anchors have: it was read since the lease was claimed, and nobody can have written since.
    pub(super) async fn begin_with(&self, said: Vec<Said<Vec<File>>>) {
        self.known.lock().await.said = Some(said);
    }

    /// What there is.
    async fn index(&self, known: &mut Known) -> Result<Arc<Index>, LedgerError> {
        if let Some(index) = &known.index {
            return Ok(index.clone());
        }
        let said = match known.said.take() {
            Some(said) => said,
            None => self.quorum.get(INDEX).await?,
        };
        let index = Arc::new(self.mended(said).await?);
        known.index = Some(index.clone());
        Ok(index)
    }

    /// What an anchor lacks is put there: what an owner has seen cannot vanish any more.
    async fn mended(&self, mut said: Vec<Said<Vec<File>>>) -> Result<Index, LedgerError> {
        let (mut index, bodies) = loop {
            let index = Index::of(&said);
            match self.bodies_that_are_missing(&index).await {
                Ok(bodies) => break (index, bodies),
                // Somebody died while he wrote it there, or that anchor is going: a majority of the others knows as much
                // as was ever recorded.
                Err((anchors, _)) if said.len() >= self.quorum.needed() + anchors.len() => {
                    said.retain(|(anchor, _)| !anchors.contains(anchor));
                }
                Err((_, error)) => return Err(error),
            }
        };
        let mut causes = Vec::new();
        for (anchor, lacks) in index.lacking() {
            let mut files = Vec::new();
            for missing in lacks {
                if let Some(release) = missing.release
                    && let Some(body) = bodies.get(&release)
                {
                    files.push(File::new(body_path(release.0, release.1), seal(body)));
                }
                files.push(missing.file);
            }
            self.fence.pass().await?;
            match self.quorum.mend(anchor, &files).await {
                Ok(()) => index.is_mended(anchor),
                Err(error) => causes.push(error),
            }
        }
        let needed = self.quorum.needed();
        match index.fewest() {
            Some(fewest) if fewest < needed => Err(self.quorum.too_few(fewest, needed, causes)),
            _ => Ok(index),
        }
    }

    /// The bodies of the releases that some anchors do not list, but of those that are damaged everywhere: what a majority
    /// lists was recorded. Else who lists one that cannot be read.
    async fn bodies_that_are_missing(
        &self,
        index: &Index,
    ) -> Result<BTreeMap<(u64, u64), Document>, (Vec<usize>, LedgerError)> {
        let mut bodies = BTreeMap::new();
        let needed = self.quorum.needed();
        for missing in index.lacking().into_iter().flat_map(|(_, lacks)| lacks) {
            let Some(release @ (number, epoch)) = missing.release else { continue };
            if bodies.contains_key(&release) {
                continue;
            }
            let listed_by = index.listed_by(&missing.file.path);
            match body(&self.quorum, index, number, epoch).await {
                Ok(Body { document: Some(document), .. }) => _ = bodies.insert(release, document),
                Ok(_) if listed_by.len() >= needed => {}
                Ok(_) => {
                    // So many more might list it, too.
                    let wanted = needed + listed_by.len();
                    return Err((listed_by, self.quorum.too_few(index.heard(), wanted, Vec::new())));
                }
                Err(error) => return Err((listed_by, error)),
            }
        }
        Ok(bodies)
    }

    /// Passes the fence last, and then writes.
    async fn put(&self, known: &mut Known, files: impl FnOnce(u64) -> Vec<File>) -> Result<(), LedgerError> {
        let epoch = self.fence.pass().await?;
        known.said = None;
        known.index = None;
        let mut files = files(epoch);
        let ends = self.ends.load(Ordering::Relaxed);
        if ends {
            files.push(self.fence.over(epoch));
        }
        self.quorum.put(&files).await?;
        if ends {
            self.fence.is_over();
        }
        Ok(())
    }

    /// Writes the next record of a journal, and then what goes with it.
    async fn record(
        &self,
        known: &mut Known,
        number: u64,
        record: &Document,
        more: Vec<File>,
    ) -> Result<(), LedgerError> {
        let written = self.written.fetch_add(1, Ordering::Relaxed);
        let files = |epoch| {
            let mut files = vec![File::new(record_path(number, epoch, written), seal(record))];
            files.extend(more);
            files
        };
        self.put(known, files).await?;
        known.open = Some(number);
        Ok(())
    }

    /// The number of the journal in progress: of this run, or one that was cut off.
    async fn open(&self, known: &mut Known) -> Result<Option<u64>, LedgerError> {
        match known.open {
            Some(number) => Ok(Some(number)),
            None => Ok(self.index(known).await?.journal().map(|journal| journal.run)),
        }
    }
}

fn locked<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger for OwnedLedger {
    fn contents(&self) -> BoxFuture<'_, Result<Contents, LedgerError>> {
        Box::pin(async { Ok(self.index(&mut *self.known.lock().await).await?.contents()) })
    }

    fn release(&self, number: u64) -> BoxFuture<'_, Result<Option<Document>, LedgerError>> {
        Box::pin(async move {
            let index = self.index(&mut *self.known.lock().await).await?;
            let Some(entry) = index.entries().remove(&number) else { return Ok(None) };
            let found = body(&self.quorum, &index, number, entry.epoch).await?;
            let document = found.document.ok_or_else(|| damaged(number))?;
            let file = [File::new(body_path(number, entry.epoch), seal(&document))];
            for anchor in found.lacking {
                self.fence.pass().await?;
                // It is mended another time; a majority had it when it was recorded.
                _ = self.quorum.mend(anchor, &file).await;
            }
            Ok(Some(document))
        })
    }
}

impl LedgerWriter for OwnedLedger {
    fn add<'a>(
        &'a self,
        number: u64,
        head: &'a Document,
        body: &'a Document,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let known = &mut *self.known.lock().await;
            let open = self.open(known).await?;
            // What is listed is there: the head comes after the body, and what it came from is over after both.
            let files = |epoch| {
                let mut files = vec![
                    File::new(body_path(number, epoch), seal(body)),
                    File::new(head_path(number, epoch), seal(head)),
                ];
                files.extend(open.into_iter().flat_map(closing));
                files
            };
            self.put(known, files).await?;
            known.open = None;
            Ok(())
        })
    }

    fn forget_below(&self, number: u64) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let known = &mut *self.known.lock().await;
            match self.index(known).await?.forgetting(number) {
                Some(files) => self.put(known, |_| files).await,
                None => Ok(()),
            }
        })
    }

    fn open_journal<'a>(&'a self, first: &'a Document) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let known = &mut *self.known.lock().await;
            let index = self.index(known).await?;
            // At once, the new one first: wherever that is cut off, there is one of them.
            let before = index.journal().map(|journal| closing(journal.run)).unwrap_or_default();
            self.record(known, index.last_journal() + 1, first, before).await
        })
    }

    fn append<'a>(&'a self, record: &'a Document) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let known = &mut *self.known.lock().await;
            let number = self.open(known).await?.ok_or(LedgerError::NoJournal)?;
            self.record(known, number, record, Vec::new()).await
        })
    }

    fn close_journal(&self) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let known = &mut *self.known.lock().await;
            if let Some(number) = self.open(known).await? {
                self.put(known, |_| closing(number)).await?;
                known.open = None;
            }
            Ok(())
        })
    }
}

impl std::fmt::Debug for ShelfLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShelfLedger").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OwnedLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnedLedger").finish_non_exhaustive()
    }
}
