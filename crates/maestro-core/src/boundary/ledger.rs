//! What was shipped, and what is being done: documents that outlive every deployer.

use crate::engine_error::EngineError;
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;

/// Reads what was recorded, from a majority of the places that keep it.
pub trait Ledger: Send + Sync {
    /// What there is, without the releases themselves.
    fn contents(&self) -> BoxFuture<'_, Result<Contents, LedgerError>>;

    /// One release of those that were listed last; none if there is none of that number.
    fn release(&self, number: u64) -> BoxFuture<'_, Result<Option<Document>, LedgerError>>;
}

/// A ledger, for whoever has the lease: every write first makes sure that it is still there.
pub trait LedgerWriter: Ledger {
    /// Records a release, its head, which is listed, apart from the rest; the journal in progress ends with that. A
    /// number is used once.
    fn add<'a>(
        &'a self,
        number: u64,
        head: &'a Document,
        body: &'a Document,
    ) -> BoxFuture<'a, Result<(), LedgerError>>;

    /// Deletes all releases with smaller numbers, for ever.
    fn forget_below(&self, number: u64) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Begins a journal with its first record. One that was in progress is closed by that.
    fn open_journal<'a>(&'a self, first: &'a Document) -> BoxFuture<'a, Result<(), LedgerError>>;

    /// Writes the next record of the journal in progress: of this run, or one that was cut off.
    fn append<'a>(&'a self, record: &'a Document) -> BoxFuture<'a, Result<(), LedgerError>>;

    /// Ends the journal in progress, if there is one.
    fn close_journal(&self) -> BoxFuture<'_, Result<(), LedgerError>>;
}

/// Bytes, and the number of the form that they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Whoever reads it knows this form, or says that a newer Maestro is needed.
    pub format: u16,
    /// In that form.
    pub bytes: Vec<u8>,
}

impl Document {
    /// A document.
    pub fn new(format: u16, bytes: impl Into<Vec<u8>>) -> Self {
        Self { format, bytes: bytes.into() }
    }
}

/// What a ledger has at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// What is known of all releases, by their numbers.
    pub releases: Vec<Entry>,
    /// The journal of the run that is in progress, or was cut off; none if the last one was closed.
    pub journal: Option<Journal>,
    /// What is missing above because it is damaged in every place that has it.
    pub unreadable: BTreeSet<Unreadable>,
}

/// Something that was written, and that nobody can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unreadable {
    /// What is listed of the release of this number.
    Release(u64),
    /// The last record of a journal that was not closed.
    Journal,
}

/// A release in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: u64,
    /// The epoch of the lease under which it was recorded.
    pub epoch: u64,
    /// What is listed of it.
    pub head: Document,
}

/// A journal in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The epoch of the lease under which it was begun.
    pub run: u64,
    /// Its records, in the order in which they were written.
    pub records: Vec<Document>,
}

/// Why a ledger could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Too few of its places answered, or took what they lacked; nothing is concluded from what the others said.
    #[error("{}{}", too_few(*answered, *needed, *places), first(causes))]
    TooFew {
        /// How many answered.
        answered: usize,
        /// How many have to.
        needed: usize,
        /// How many there are.
        places: usize,
        /// What the others said.
        causes: Vec<EngineError>,
    },
    /// The lease is gone, or could not be confirmed in time: nothing may be written any more.
    #[error("the lease is lost: {0}")]
    Fenced(String),
    /// A release that is listed is damaged on every anchor that has it.
    #[error("release {0} is damaged on every anchor that has it")]
    DamagedRelease(u64),
    /// A record was to be written, and no journal is in progress.
    #[error("no journal is in progress")]
    NoJournal,
}

fn too_few(answered: usize, needed: usize, places: usize) -> String {
    match places {
        1 => "its only place cannot be used".to_owned(),
        _ => format!("only {answered} of {places} anchors can be used, and {needed} are needed"),
    }
}

impl LedgerError {
    /// What the operator can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            LedgerError::TooFew { causes, .. } => causes.first()?.kind.hint(),
            LedgerError::DamagedRelease(_) => {
                Some("`maestro deploy` of everything records a release that can be read".to_owned())
            }
            LedgerError::Fenced(_) | LedgerError::NoJournal => None,
        }
    }
}

/// The first of several causes, as the end of a sentence.
fn first(causes: &[EngineError]) -> String {
    causes.first().map(|cause| format!(": {cause}")).unwrap_or_default()
}
