//! What etcd offers for leases and ledgers ([`Shelf`]): a cluster is one anchor (`docs/design/0030`).
//!
//! Below the prefix, a folder `NAME` has these keys. `NAME/id` is who it is, `NAME/labels` what is written on it;
//! `NAME/files/PATH` is a file. What of a file is too large for one request comes behind it, in `NAME/files/PATH␀NUMBER`,
//! and is there before the file itself is. Whatever is done to a folder is one transaction, or several, that each do
//! nothing unless `NAME/id` is still what it was.
//!
//! `NAME/again` is written by whoever puts once more what he had no answer to. A first try does nothing once that is
//! there: whatever became of it, it does not come after the second.

mod gateway;
mod keys;
mod transaction;

use futures_util::future::BoxFuture;
use gateway::{Failure, Gateway, TOO_MUCH};
use keys::{Keys, Keyspan, Op, Page, Pair};
use maestro_core::boundary::{Claimed, Deadlines, File, Folder, FolderId, FolderName, Keep, Labels, Shelf};
use maestro_core::engine_error::{ETCD, EngineError, EngineErrorKind};
use maestro_core::model::Etcd;
use maestro_core::names::ShipName;
use serde_json::{Value, json};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use transaction::Outcome;

/// How long one use may take in all.
const DEADLINE: Duration = Deadlines::DEFAULT_WRITE;

/// How many keys are asked for at once.
const PAGE: usize = 500;
/// How many if those were too much for a gateway: before 3.4.17 they pass on 4 MiB, and a key has a quarter of one.
const SMALL_PAGE: usize = 14;
/// How often something is begun anew that somebody else was in the way of.
const TRIES: usize = 4;
/// What etcd says to who asks for a revision that is not kept any more.
const FORGOTTEN: &str = "required revision has been compacted";

/// A shelf in an etcd.
pub struct EtcdShelf {
    name: ShipName,
    gateway: Gateway,
    /// The latest revision of the store that it told of.
    seen: AtomicU64,
}

impl EtcdShelf {
    /// Connects to nothing yet.
    pub fn new(etcd: &Etcd) -> Self {
        let name = ShipName::new(format!("{ETCD}{}", etcd.endpoints.join(", ")));
        Self { name, gateway: Gateway::new(etcd.clone()), seen: AtomicU64::new(0) }
    }

    /// What it is called in a ship's stead.
    pub fn name(&self) -> &ShipName {
        &self.name
    }

    /// One use, with its deadline; errors bear the operation's name.
    async fn on<T>(
        &self,
        operation: impl FnOnce() -> String,
        act: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, EngineError> {
        let result = timeout(DEADLINE, act).await.unwrap_or_else(|_| {
            let did = format!("did not answer within {} s", DEADLINE.as_secs());
            Err(Failure { kind: EngineErrorKind::Etcd(did), ambiguous: true })
        });
        let ship = self.name.clone();
        result.map_err(|Failure { kind, ambiguous }| EngineError {
            ship,
            operation: operation(),
            kind,
            ambiguous,
        })
    }

    /// Does one thing if all conditions are met, and else another; what was found then.
    async fn transaction(
        &self,
        conditions: &[Value],
        then: &[Op],
        otherwise: &[Op],
    ) -> Result<Outcome, Failure> {
        let json = |ops: &[Op]| ops.iter().map(Op::json).collect::<Vec<_>>();
        let body = json!({ "compare": conditions, "success": json(then), "failure": json(otherwise) });
        let writes = then.iter().chain(otherwise).any(Op::writes);
        let answer = self.gateway.call("/v3/kv/txn", &body, writes).await?;
        let outcome = Outcome::read(answer, then, otherwise).ok_or_else(|| nonsense(writes))?;
        self.seen.fetch_max(outcome.revision, Ordering::Relaxed);
        Ok(outcome)
    }

    /// Does something that may be done twice if all conditions are met; a second time if the answer is lost: by another
    /// member, if there is one.
    async fn twice(&self, conditions: &[Value], then: &[Op]) -> Result<Outcome, Failure> {
        match self.transaction(conditions, then, &[]).await {
            Err(failure) if failure.ambiguous => {
                let again = self.transaction(conditions, then, &[]).await;
                again.map_err(|failure| Failure { ambiguous: true, ..failure })
            }
            done => done,
        }
    }

    /// Puts something into a folder, and a second time if the answer is lost: by another member, if there is one.
    async fn put_all(&self, id: &FolderId, beside: Option<&FolderId>, files: &[File]) -> Result<(), Failure> {
        let keys = self.keys(keys::name(id));
        let beside = beside.map(|other| (self.keys(keys::name(other)), other));
        for mut ops in keys.put(files) {
            let put = Put { keys: &keys, id, beside: beside.as_ref() };
            let may_be_done = match self.put_first(&put, &ops).await {
                Ok(true) => continue,
                Ok(false) => false,
                Err(failure) if failure.ambiguous => true,
                Err(failure) => return Err(failure),
            };
            ops.push(keys.again());
            let again = self.transaction(&put.conditions(), &ops, &put.asks()).await;
            again
                .and_then(|outcome| put.done(&outcome).map(drop))
                .map_err(|failure| Failure { ambiguous: failure.ambiguous || may_be_done, ..failure })?;
        }
        Ok(())
    }

    /// Puts something into a folder, unless something is put there again meanwhile; whether it was done.
    async fn put_first(&self, put: &Put<'_>, ops: &[Op]) -> Result<bool, Failure> {
        for _ in 0..TRIES {
            let mut conditions = put.conditions();
            conditions.push(put.keys.not_again_since(self.seen.load(Ordering::Relaxed)));
            let outcome = self.transaction(&conditions, ops, &put.asks()).await?;
            if put.done(&outcome)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The files at a path and below, all as they were at one time.
    async fn files(&self, id: &FolderId, path: &str) -> Result<Vec<File>, Failure> {
        let keys = self.keys(keys::name(id));
        let mut limit = PAGE;
        let mut tries = 1;
        loop {
            match self.pages(id, &keys, keys.of_files(path), &mut limit).await {
                // What was asked for is so old that etcd has forgotten it.
                Err(Failure { kind: EngineErrorKind::Etcd(did), .. })
                    if did.contains(FORGOTTEN) && tries < TRIES => {}
                found => return found.map(|found| keys.files_in(found)),
            }
            tries += 1;
        }
    }

    /// What is in these keys, one page after another.
    async fn pages(
        &self,
        id: &FolderId,
        keys: &Keys,
        mut spans: Vec<Keyspan>,
        limit: &mut usize,
    ) -> Result<Vec<Pair>, Failure> {
        let mut found: Vec<Vec<Pair>> = spans.iter().map(|_| Vec::new()).collect();
        let mut left: Vec<usize> = (0..spans.len()).collect();
        let mut revision = None;
        while !left.is_empty() {
            let page = Page { limit: *limit / left.len(), revision };
            let ops: Vec<Op> = left
                .iter()
                .filter_map(|at| spans.get(*at))
                .map(|span| Op::Range(span.clone(), Some(page)))
                .collect();
            let outcome = match self.transaction(&[keys.is(id)], &ops, &[]).await {
                Err(Failure { kind: EngineErrorKind::Etcd(did), .. })
                    if did.contains(TOO_MUCH) && *limit > SMALL_PAGE =>
                {
                    *limit = SMALL_PAGE;
                    continue;
                }
                outcome => outcome?,
            };
            if !outcome.met {
                return Err(gone(id));
            }
            revision = revision.or(Some(outcome.revision));
            let mut more = Vec::new();
            for (at, part) in left.into_iter().zip(outcome.found) {
                let (Some(span), Some(all)) = (spans.get_mut(at), found.get_mut(at)) else { continue };
                if part.more {
                    let last = part.pairs.last().and_then(|(key, _)| span.behind(key));
                    *span = last.ok_or_else(|| nonsense(false))?;
                    more.push(at);
                }
                all.extend(part.pairs);
            }
            left = more;
        }
        Ok(found.concat())
    }

    fn keys(&self, folder: &str) -> Keys {
        Keys::of(&self.gateway.etcd().prefix, folder)
    }
}

impl Shelf for EtcdShelf {
    fn claim<'a>(
        &'a self,
        name: &'a FolderName,
        keep: Keep,
        labels: &'a Labels,
    ) -> BoxFuture<'a, Result<Claimed, EngineError>> {
        let keys = self.keys(name.as_str());
        let id = keys::new_id(name, keep, &format!("{:016x}{:016x}", random(), random()));
        Box::pin(self.on(move || format!("claiming {name}"), async move {
            let make = keys.make(&id, labels);
            let outcome = self.transaction(&[keys.is_free()], &make, &keys.folder()).await?;
            if outcome.met {
                return Ok(Claimed::Made(id));
            }
            // Nothing was done; but who has the name has to be there, then.
            keys.folder_in(&outcome.pairs()).map(Claimed::Taken).ok_or_else(|| nonsense(false))
        }))
    }

    fn look<'a>(&'a self, name: &'a FolderName) -> BoxFuture<'a, Result<Option<Folder>, EngineError>> {
        let keys = self.keys(name.as_str());
        Box::pin(self.on(move || format!("looking at {name}"), async move {
            let outcome = self.transaction(&[keys.is_free()], &[], &keys.folder()).await?;
            if outcome.met {
                return Ok(None);
            }
            keys.folder_in(&outcome.pairs()).map(Some).ok_or_else(|| nonsense(false))
        }))
    }

    fn put<'a>(&'a self, id: &'a FolderId, files: &'a [File]) -> BoxFuture<'a, Result<(), EngineError>> {
        let what = || format!("writing files into {}", keys::name(id));
        Box::pin(self.on(what, self.put_all(id, None, files)))
    }

    fn put_beside<'a>(
        &'a self,
        id: &'a FolderId,
        other: &'a FolderId,
        files: &'a [File],
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        let what = || format!("writing files into {}", keys::name(id));
        Box::pin(self.on(what, self.put_all(id, Some(other), files)))
    }

    fn get<'a>(&'a self, id: &'a FolderId, path: &'a str) -> BoxFuture<'a, Result<Vec<File>, EngineError>> {
        Box::pin(self.on(|| format!("reading files of {}", keys::name(id)), self.files(id, path)))
    }

    fn beat<'a>(&'a self, id: &'a FolderId, beat: u32) -> BoxFuture<'a, Result<(), EngineError>> {
        let keys = self.keys(keys::name(id));
        Box::pin(self.on(|| format!("keeping {}", keys::name(id)), async move {
            // What comes late only brings back a heartbeat that was there.
            let outcome = self.twice(&[keys.is(id)], &[keys.give(beat)]).await?;
            if outcome.met { Ok(()) } else { Err(gone(id)) }
        }))
    }

    fn remove<'a>(&'a self, id: &'a FolderId) -> BoxFuture<'a, Result<(), EngineError>> {
        let keys = self.keys(keys::name(id));
        Box::pin(self.on(|| format!("removing {}", keys::name(id)), async move {
            // No other folder ever has its id: what comes late does nothing.
            self.twice(&[keys.is(id)], &keys.remove(id)).await.map(drop)
        }))
    }
}

/// Something that is put into a folder, if that is there; and another one beside it, if that has to be.
struct Put<'a> {
    keys: &'a Keys,
    id: &'a FolderId,
    beside: Option<&'a (Keys, &'a FolderId)>,
}

impl Put<'_> {
    fn conditions(&self) -> Vec<Value> {
        let other = self.beside.map(|(keys, id)| keys.is(id));
        [self.keys.is(self.id)].into_iter().chain(other).collect()
    }

    /// What tells which condition was not met.
    fn asks(&self) -> Vec<Op> {
        let other = self.beside.map(|(keys, _)| keys.who());
        [self.keys.who()].into_iter().chain(other).collect()
    }

    /// Whether it was done; false if nothing was in its way but somebody who put something again.
    fn done(&self, outcome: &Outcome) -> Result<bool, Failure> {
        if outcome.met {
            return Ok(true);
        }
        let found = outcome.pairs();
        if !self.keys.is_in(self.id, &found) {
            return Err(gone(self.id));
        }
        match self.beside {
            Some((keys, other)) if !keys.is_in(other, &found) => {
                let is_gone = format!("{} was taken away", keys::name(other));
                Err(Failure { kind: EngineErrorKind::Conflict(is_gone), ambiguous: false })
            }
            _ => Ok(false),
        }
    }
}

fn gone(id: &FolderId) -> Failure {
    let kind = EngineErrorKind::NotFound(format!("{} is not there any more", keys::name(id)));
    Failure { kind, ambiguous: false }
}

fn nonsense(ambiguous: bool) -> Failure {
    Failure { ambiguous, ..Failure::sure("gave an answer that makes no sense") }
}

impl std::fmt::Debug for EtcdShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EtcdShelf").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A random number, by what seeds the standard library's maps.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
