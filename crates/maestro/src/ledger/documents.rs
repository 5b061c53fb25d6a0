//! Releases and the journal, as files on a majority of anchors.
//!
//! Every file is written once, under a name in which the epoch of its writer's lease is: what a late call writes is never
//! in the place of something else. Of two releases of one number, the one of the later epoch counts. What is deleted
//! stays deleted, because marks say up to which number: an anchor that was away and still has it changes nothing.

use super::envelope::{open, seal};
use super::epochs::{bucket, number_of, numbered, without_earlier};
use super::lease::Fence;
use super::quorum::{Anchors, Quorum, Said};
use futures_util::future::BoxFuture;
use maestro_core::boundary::{Contents, Document, Entry, File, Journal, Ledger, LedgerError, LedgerWriter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is read to know what there is.
pub(super) const INDEX: &str = "index";
const HEADS: &str = "index/heads";
const JOURNALS: &str = "index/journal";
/// Mark: releases below this number are deleted.
const FLOOR: &str = "index/floor";
/// Mark: the journals up to this number are closed.
const CLOSED: &str = "index/closed";
const BODIES: &str = "bodies";

/// The ledger of an environment, for who only reads.
pub struct ShelfLedger {
    quorum: Arc<Quorum>,
    /// What was listed last: a release is never written again.
    read: Mutex<Option<Arc<Index>>>,
}

/// The ledger of an environment, for who has its lease.
pub struct OwnedLedger {
    ledger: ShelfLedger,
    fence: Fence,
    written: AtomicU64,
    /// The number of the journal that was written last, while it is open.
    open: Mutex<Option<u64>>,
    /// What was read, until something is written: nobody else writes. Held while either is done.
    read: tokio::sync::Mutex<Option<Arc<Index>>>,
}

/// What there is, as a majority has it.
struct Index {
    /// By their paths, without what is damaged or obsolete.
    files: BTreeMap<String, Document>,
    /// What each anchor that answered has of them.
    has: Vec<Said<BTreeSet<String>>>,
    floor: u64,
    closed: u64,
}

impl Index {
    fn of(said: Vec<Said<Vec<File>>>) -> Self {
        let mut files = BTreeMap::new();
        let mut has = Vec::new();
        for (number, found) in said {
            let mut names = BTreeSet::new();
            for file in found {
                // A damaged one is as good as none: another anchor has it, or it never was written.
                if let Some(document) = open(&file.content) {
                    names.insert(file.path.clone());
                    files.insert(file.path, document);
                }
            }
            has.push((number, names));
        }
        let highest = |directory| {
            files.keys().filter_map(|path: &String| number_of(directory, path)).map(|(n, _)| n).max()
        };
        let (floor, closed) = (highest(FLOOR).unwrap_or(0), highest(CLOSED).unwrap_or(0));
        let current = highest(JOURNALS).filter(|number| *number > closed);
        files.retain(|path, _| {
            let is = |directory, test: &dyn Fn(u64) -> bool| {
                number_of(directory, path).is_some_and(|(number, _)| test(number))
            };
            is(HEADS, &|number| number >= floor)
                || is(FLOOR, &|number| number == floor)
                || is(CLOSED, &|number| number == closed)
                || is(JOURNALS, &|number| Some(number) == current)
        });
        Self { files, has, floor, closed }
    }

    /// The releases by number, each with the epoch that counts and its head.
    fn entries(&self) -> BTreeMap<u64, Entry> {
        let mut entries = BTreeMap::new();
        for (path, head) in &self.files {
            if let Some((number, rest)) = number_of(HEADS, path)
                && let Some(epoch) = rest.strip_prefix('.').and_then(|epoch| epoch.parse().ok())
            {
                // Paths are in their order, so the later epoch comes last.
                entries.insert(number, Entry { number, epoch, head: head.clone() });
            }
        }
        entries
    }

    fn journal(&self) -> Option<Journal> {
        let mut journal: Option<Journal> = None;
        for (path, record) in &self.files {
            if let Some((number, _)) = number_of(JOURNALS, path) {
                let journal = journal.get_or_insert_with(|| Journal { run: number, records: Vec::new() });
                journal.records.push(record.clone());
            }
        }
        journal
    }

    fn contents(&self) -> Contents {
        Contents { releases: self.entries().into_values().collect(), journal: self.journal() }
    }

    /// The number of the last journal that there was.
    fn last_journal(&self) -> u64 {
        self.journal().map_or(self.closed, |journal| journal.run)
    }
}

impl ShelfLedger {
    /// Of these anchors; makes nothing on them. `deadline` is for one call.
    pub fn new(anchors: &Anchors, deadline: Duration) -> Self {
        Self::over(Arc::new(Quorum::new(anchors.clone(), false, deadline)))
    }

    fn over(quorum: Arc<Quorum>) -> Self {
        Self { quorum, read: Mutex::default() }
    }

    async fn index(&self) -> Result<Index, LedgerError> {
        self.quorum.get(INDEX).await.map(Index::of)
    }

    /// A release's body, and the anchors that answered and lack it.
    async fn body(&self, number: u64, epoch: u64) -> Result<(Option<Document>, Vec<usize>), LedgerError> {
        let bodies = self.quorum.bodies();
        let known = locked(bodies).get(&(number, epoch)).cloned();
        if known.is_some() {
            return Ok((known, Vec::new()));
        }
        let path = body_path(number, epoch);
        let mut body = None;
        let mut lacks = Vec::new();
        for (anchor, files) in self.quorum.get(&path).await? {
            match files.iter().find_map(|file| open(&file.content)) {
                Some(document) => body = Some(document),
                None => lacks.push(anchor),
            }
        }
        // What somebody lacks is looked at again, by one who may mend it.
        if let Some(document) = body.as_ref().filter(|_| lacks.is_empty()) {
            locked(bodies).insert((number, epoch), document.clone());
        }
        Ok((body, lacks))
    }
}

impl Ledger for ShelfLedger {
    fn contents(&self) -> BoxFuture<'_, Result<Contents, LedgerError>> {
        Box::pin(async {
            let index = Arc::new(self.index().await?);
            *locked(&self.read) = Some(index.clone());
            Ok(index.contents())
        })
    }

    fn release(&self, number: u64) -> BoxFuture<'_, Result<Option<Document>, LedgerError>> {
        Box::pin(async move {
            let read = locked(&self.read).clone();
            let index = match read {
                Some(index) => index,
                None => Arc::new(self.index().await?),
            };
            let Some(entry) = index.entries().remove(&number) else { return Ok(None) };
            let (body, _) = self.body(number, entry.epoch).await?;
            body.map(Some).ok_or_else(|| LedgerError::Damaged(format!("release {number}")))
        })
    }
}

impl OwnedLedger {
    pub(super) fn new(quorum: Arc<Quorum>, fence: Fence) -> Self {
        let (ledger, written) = (ShelfLedger::over(quorum), AtomicU64::new(0));
        Self { ledger, fence, written, open: Mutex::default(), read: tokio::sync::Mutex::default() }
    }

    /// What there is.
    async fn index(&self) -> Result<Arc<Index>, LedgerError> {
        let mut read = self.read.lock().await;
        if let Some(index) = &*read {
            return Ok(index.clone());
        }
        let index = Arc::new(self.mended().await?);
        *read = Some(index.clone());
        Ok(index)
    }

    /// What there is, read now, and what an anchor lacks is put there: what an owner has seen cannot vanish any more.
    async fn mended(&self) -> Result<Index, LedgerError> {
        let mut index = match self.fence.index() {
            Some(said) => Index::of(said),
            None => self.ledger.index().await?,
        };
        let lacking = index.has.iter().map(|(anchor, has)| {
            let lacks = index.files.iter().filter(|(path, _)| !has.contains(*path));
            let lacks: Vec<_> = lacks.map(|(path, document)| (path.clone(), document.clone())).collect();
            (*anchor, lacks)
        });
        let lacking: Vec<_> = lacking.filter(|(_, lacks)| !lacks.is_empty()).collect();
        if lacking.is_empty() {
            return Ok(index);
        }
        self.fence.pass().await?;
        for (anchor, lacks) in lacking {
            let mut files = Vec::new();
            for (path, document) in lacks {
                if let Some((number, rest)) = number_of(HEADS, &path)
                    && let Some(epoch) = rest.strip_prefix('.').and_then(|epoch| epoch.parse().ok())
                    && let Ok((Some(body), _)) = self.ledger.body(number, epoch).await
                {
                    files.push(File::new(body_path(number, epoch), seal(&body)));
                }
                files.push(File::new(path, seal(&document)));
            }
            if self.ledger.quorum.mend(anchor, &files).await.is_ok()
                && let Some((_, has)) = index.has.iter_mut().find(|(number, _)| *number == anchor)
            {
                has.extend(index.files.keys().cloned());
            }
        }
        let is_safe = |path: &String| {
            index.has.iter().filter(|(_, has)| has.contains(path)).count() >= self.ledger.quorum.needed()
        };
        match index.files.keys().find(|path| !is_safe(path)) {
            None => Ok(index),
            Some(path) => Err(LedgerError::Damaged(path.clone())),
        }
    }

    async fn write(&self, files: &[File]) -> Result<(), LedgerError> {
        self.fence.pass().await?;
        self.put(files).await
    }

    async fn put(&self, files: &[File]) -> Result<(), LedgerError> {
        let mut read = self.read.lock().await;
        *read = None;
        self.fence.index();
        self.ledger.quorum.put(files).await
    }

    /// Writes the next record of a journal, and then what goes with it.
    async fn record(&self, number: u64, record: &Document, more: Vec<File>) -> Result<(), LedgerError> {
        let epoch = self.fence.pass().await?;
        let written = self.written.fetch_add(1, Ordering::Relaxed);
        let path = format!("{}/{epoch:010}.{written:08}", numbered(JOURNALS, number));
        let mut files = vec![File::new(path, seal(record))];
        files.extend(more);
        self.put(&files).await?;
        self.know_open(Some(number));
        Ok(())
    }

    /// The number of the journal in progress: of this run, or one that was cut off.
    async fn open(&self) -> Result<Option<u64>, LedgerError> {
        let known = *locked(&self.open);
        match known {
            Some(number) => Ok(Some(number)),
            None => Ok(self.index().await?.journal().map(|journal| journal.run)),
        }
    }

    fn know_open(&self, number: Option<u64>) {
        *locked(&self.open) = number;
    }
}

fn locked<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn body_path(number: u64, epoch: u64) -> String {
    format!("{}.{epoch:010}", numbered(BODIES, number))
}

fn head_path(number: u64, epoch: u64) -> String {
    format!("{}.{epoch:010}", numbered(HEADS, number))
}

/// A file that says all by its name.
fn mark(directory: &str, number: u64) -> Vec<File> {
    let mut files = vec![File::new(numbered(directory, number), seal(&Document::new(0, Vec::new())))];
    files.extend(without_earlier(directory, number));
    files
}

impl Ledger for OwnedLedger {
    fn contents(&self) -> BoxFuture<'_, Result<Contents, LedgerError>> {
        Box::pin(async { Ok(self.index().await?.contents()) })
    }

    fn release(&self, number: u64) -> BoxFuture<'_, Result<Option<Document>, LedgerError>> {
        Box::pin(async move {
            let Some(entry) = self.index().await?.entries().remove(&number) else { return Ok(None) };
            let (body, lacks) = self.ledger.body(number, entry.epoch).await?;
            let body = body.ok_or_else(|| LedgerError::Damaged(format!("release {number}")))?;
            if !lacks.is_empty() {
                self.fence.pass().await?;
                let file = [File::new(body_path(number, entry.epoch), seal(&body))];
                for anchor in lacks {
                    // It is mended another time; a majority had it when it was recorded.
                    _ = self.ledger.quorum.mend(anchor, &file).await;
                }
            }
            Ok(Some(body))
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
            let epoch = self.fence.pass().await?;
            // What is listed is there: the head comes after the body, and what it came from is over after both.
            let mut files = vec![
                File::new(body_path(number, epoch), seal(body)),
                File::new(head_path(number, epoch), seal(head)),
            ];
            files.extend(self.open().await?.into_iter().flat_map(closing));
            self.put(&files).await?;
            self.know_open(None);
            Ok(())
        })
    }

    fn forget_below(&self, number: u64) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let index = self.index().await?;
            if number <= index.floor {
                return Ok(());
            }
            let mut files = mark(FLOOR, number);
            let mut whole = BTreeSet::new();
            for (_, entry) in index.entries().range(..number) {
                // An anchor that has two of one number keeps the other until the bucket goes.
                if bucket(HEADS, entry.number) == bucket(HEADS, number) {
                    files.push(File::absent(head_path(entry.number, entry.epoch)));
                    files.push(File::absent(body_path(entry.number, entry.epoch)));
                } else if whole.insert(bucket(HEADS, entry.number)) {
                    files.push(File::absent(bucket(HEADS, entry.number)));
                    files.push(File::absent(bucket(BODIES, entry.number)));
                }
            }
            self.write(&files).await
        })
    }

    fn open_journal<'a>(&'a self, first: &'a Document) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let index = self.index().await?;
            // At once, the new one first: wherever that is cut off, there is one of them.
            let before = index.journal().map(|journal| closing(journal.run)).unwrap_or_default();
            self.record(index.last_journal() + 1, first, before).await
        })
    }

    fn append<'a>(&'a self, record: &'a Document) -> BoxFuture<'a, Result<(), LedgerError>> {
        Box::pin(async move {
            let number = self.open().await?.ok_or(LedgerError::NoJournal)?;
            self.record(number, record, Vec::new()).await
        })
    }

    fn close_journal(&self) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            if let Some(number) = self.open().await? {
                self.write(&closing(number)).await?;
                self.know_open(None);
            }
            Ok(())
        })
    }
}

/// The mark that a journal is closed, and then its records' end.
fn closing(number: u64) -> Vec<File> {
    let mut files = mark(CLOSED, number);
    files.push(File::absent(numbered(JOURNALS, number)));
    files.extend(without_earlier(JOURNALS, number));
    files
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
