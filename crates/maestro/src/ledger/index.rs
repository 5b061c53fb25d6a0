//! What a ledger lists, and under which names its files are.
//!
//! Every file is written once, under a name in which the epoch of its writer's lease is: what a late call writes is never
//! in the place of something else. Of two releases of one number, the one of the later epoch counts. What is deleted
//! stays deleted, because marks say up to which number: an anchor that was away and still has it changes nothing.

use super::envelope::{open, seal};
use super::epochs::{bucket, number_of, numbered, without_earlier};
use super::quorum::Said;
use maestro_core::boundary::{Contents, Document, Entry, File, Journal, Unreadable};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// What is read to know what there is.
pub(super) const INDEX: &str = "index";
const HEADS: &str = "index/heads";
const JOURNALS: &str = "index/journal";
/// Mark: releases below this number are deleted.
const FLOOR: &str = "index/floor";
/// Mark: the journals up to this number are closed.
const CLOSED: &str = "index/closed";
const BODIES: &str = "bodies";

/// What there is, as a majority has it.
pub(super) struct Index {
    /// By their paths, without what is damaged or obsolete.
    files: BTreeMap<String, Document>,
    /// What each anchor that answered has of them.
    has: Vec<Said<BTreeSet<String>>>,
    unreadable: BTreeSet<Unreadable>,
    floor: u64,
    closed: u64,
}

impl Index {
    /// By what anchors have.
    pub(super) fn of(said: &[Said<Vec<File>>]) -> Self {
        let mut files = BTreeMap::new();
        let mut has = Vec::new();
        let mut damaged = BTreeSet::new();
        for (number, found) in said {
            let mut names = BTreeSet::new();
            for file in found {
                if let Some(document) = open(&file.content) {
                    names.insert(file.path.clone());
                    files.insert(file.path.clone(), document);
                } else if is_mark(&file.path) {
                    files.insert(file.path.clone(), nothing());
                } else {
                    damaged.insert(file.path.as_str());
                }
            }
            has.push((*number, names));
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
        // What comes later takes the place of what is damaged; so does the same of another anchor.
        let is_replaced = |path: &str, by: &dyn Fn(&str) -> bool| {
            files.range::<str, _>((Bound::Included(path), Bound::Unbounded)).any(|(other, _)| by(other))
        };
        let unreadable = damaged.into_iter().filter_map(|path| {
            if let Some((number, _)) = release_of(path) {
                let by = |other: &str| release_of(other).is_some_and(|(other, _)| other == number);
                (number >= floor && !is_replaced(path, &by)).then_some(Unreadable::Release(number))
            } else {
                let (number, _) = number_of(JOURNALS, path)?;
                let by = |other: &str| number_of(JOURNALS, other).is_some();
                (number > closed && !is_replaced(path, &by)).then_some(Unreadable::Journal)
            }
        });
        let unreadable = unreadable.collect();
        Self { files, has, unreadable, floor, closed }
    }

    /// Whether something cannot be read that some anchor has, of those that answered.
    pub(super) fn is_damaged(&self) -> bool {
        !self.unreadable.is_empty()
    }

    /// The releases by number, each with the epoch that counts and its head.
    pub(super) fn entries(&self) -> BTreeMap<u64, Entry> {
        let mut entries = BTreeMap::new();
        for (path, head) in &self.files {
            if let Some((number, epoch)) = release_of(path) {
                // Paths are in their order, so the later epoch comes last.
                entries.insert(number, Entry { number, epoch, head: head.clone() });
            }
        }
        entries
    }

    pub(super) fn journal(&self) -> Option<Journal> {
        let mut journal: Option<Journal> = None;
        for (path, record) in &self.files {
            if let Some((number, _)) = number_of(JOURNALS, path) {
                let journal = journal.get_or_insert_with(|| Journal { run: number, records: Vec::new() });
                journal.records.push(record.clone());
            }
        }
        journal
    }

    pub(super) fn contents(&self) -> Contents {
        let releases = self.entries().into_values().collect();
        Contents { releases, journal: self.journal(), unreadable: self.unreadable.clone() }
    }

    /// The number of the last journal that there was.
    pub(super) fn last_journal(&self) -> u64 {
        self.journal().map_or(self.closed, |journal| journal.run)
    }

    /// How many anchors answered.
    pub(super) fn heard(&self) -> usize {
        self.has.len()
    }

    /// The anchors that have a file, of those that answered.
    pub(super) fn listed_by(&self, path: &str) -> Vec<usize> {
        self.has.iter().filter(|(_, has)| has.contains(path)).map(|(anchor, _)| *anchor).collect()
    }

    /// What each anchor that answered lacks, in the order in which it is to be put there: what is said to be over is over
    /// after what came of it is there.
    pub(super) fn lacking(&self) -> Vec<Said<Vec<Missing>>> {
        let rank = |path: &str| match () {
            () if path.starts_with(HEADS) => 0,
            () if path.starts_with(JOURNALS) => 1,
            () => 2,
        };
        let lacks = self.has.iter().map(|(anchor, has)| {
            let missing = self.files.iter().filter(|(path, _)| !has.contains(*path));
            let mut missing: Vec<Missing> = missing
                .map(|(path, document)| Missing {
                    file: File::new(path, seal(document)),
                    release: release_of(path),
                })
                .collect();
            missing.sort_by_key(|missing| rank(&missing.file.path));
            (*anchor, missing)
        });
        lacks.filter(|(_, missing)| !missing.is_empty()).collect()
    }

    /// An anchor has everything now.
    pub(super) fn is_mended(&mut self, anchor: usize) {
        if let Some((_, has)) = self.has.iter_mut().find(|(number, _)| *number == anchor) {
            has.extend(self.files.keys().cloned());
        }
    }

    /// How many anchors have what the fewest have; none if there is nothing.
    pub(super) fn fewest(&self) -> Option<usize> {
        self.files.keys().map(|path| self.listed_by(path).len()).min()
    }

    /// What takes the releases below a number away; none if they are gone.
    pub(super) fn forgetting(&self, number: u64) -> Option<Vec<File>> {
        if number <= self.floor {
            return None;
        }
        let mut files = mark(FLOOR, number);
        let mut whole = BTreeSet::new();
        for (_, entry) in self.entries().range(..number) {
            // An anchor that has two of one number keeps the other until the bucket goes.
            if bucket(HEADS, entry.number) == bucket(HEADS, number) {
                files.push(File::absent(head_path(entry.number, entry.epoch)));
                files.push(File::absent(body_path(entry.number, entry.epoch)));
            } else if whole.insert(bucket(HEADS, entry.number)) {
                files.push(File::absent(bucket(HEADS, entry.number)));
                files.push(File::absent(bucket(BODIES, entry.number)));
            }
        }
        Some(files)
    }
}

/// A file that an anchor lacks.
pub(super) struct Missing {
    pub(super) file: File,
    /// The number and epoch of the release that it lists, if it does: its body comes before it.
    pub(super) release: Option<(u64, u64)>,
}

fn release_of(path: &str) -> Option<(u64, u64)> {
    let (number, rest) = number_of(HEADS, path)?;
    Some((number, rest.strip_prefix('.')?.parse().ok()?))
}

/// Where the next record of a journal is.
pub(super) fn record_path(number: u64, epoch: u64, written: u64) -> String {
    format!("{}/{epoch:010}.{written:08}", numbered(JOURNALS, number))
}

/// Where a release's body is.
pub(super) fn body_path(number: u64, epoch: u64) -> String {
    format!("{}.{epoch:010}", numbered(BODIES, number))
}

/// Where it is listed.
pub(super) fn head_path(number: u64, epoch: u64) -> String {
    format!("{}.{epoch:010}", numbered(HEADS, number))
}

/// A file that says all by its name.
fn mark(directory: &str, number: u64) -> Vec<File> {
    let mut files = vec![File::new(numbered(directory, number), seal(&nothing()))];
    files.extend(without_earlier(directory, number));
    files
}

/// Whether the name of a file says all, so that it counts although it is damaged.
fn is_mark(path: &str) -> bool {
    [FLOOR, CLOSED].iter().any(|directory| number_of(directory, path).is_some())
}

/// The content of a mark.
fn nothing() -> Document {
    Document::new(0, Vec::new())
}

/// The mark that a journal is closed, and then its records' end.
pub(super) fn closing(number: u64) -> Vec<File> {
    let mut files = mark(CLOSED, number);
    files.push(File::absent(numbered(JOURNALS, number)));
    files.extend(without_earlier(JOURNALS, number));
    files
}
