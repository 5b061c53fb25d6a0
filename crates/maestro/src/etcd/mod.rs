//! What etcd offers for leases and ledgers ([`Shelf`]): a cluster is one anchor (`docs/design/0030`).
//!
//! Below the prefix, a folder `NAME` has these keys. `NAME/id` is who it is, `NAME/labels` what is written on it;
//! `NAME/files/PATH` is a file. What of a file is too large for one request comes behind it, in `NAME/files/PATH␀NUMBER`,
//! and is there before the file itself is. Whatever is done to a folder is one transaction, or several, that each do
//! nothing unless `NAME/id` is still what it was.

mod gateway;
mod keys;

use futures_util::future::BoxFuture;
use gateway::{Failure, Gateway};
use keys::{Keys, Op, Pair};
use maestro_core::boundary::{Claimed, Deadlines, File, Folder, FolderId, FolderName, Keep, Labels, Shelf};
use maestro_core::engine_error::{ETCD, EngineError, EngineErrorKind};
use maestro_core::model::Etcd;
use maestro_core::names::ShipName;
use serde::Deserialize;
use serde_json::{Value, json};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use tokio::time::timeout;

/// How long one use may take in all.
const DEADLINE: Duration = Deadlines::DEFAULT_WRITE;

/// A shelf in an etcd.
pub struct EtcdShelf {
    name: ShipName,
    gateway: Gateway,
}

/// What a transaction did: whether its conditions were met, and what it found.
#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    response_range: Option<Found>,
}

#[derive(Default, Deserialize)]
struct Found {
    #[serde(default)]
    kvs: Vec<Encoded>,
}

#[derive(Deserialize)]
struct Encoded {
    key: String,
    #[serde(default)]
    value: String,
}

impl EtcdShelf {
    /// Connects to nothing yet.
    pub fn new(etcd: &Etcd) -> Self {
        let name = ShipName::new(format!("{ETCD}{}", etcd.endpoints.join(", ")));
        Self { name, gateway: Gateway::new(etcd.clone()) }
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

    /// Does one thing if a condition is met, and else another; what was found then.
    async fn transaction(
        &self,
        condition: Value,
        then: &[Op],
        otherwise: &[Op],
    ) -> Result<(bool, Vec<Pair>), Failure> {
        let json = |ops: &[Op]| ops.iter().map(Op::json).collect::<Vec<_>>();
        let body = json!({ "compare": [condition], "success": json(then), "failure": json(otherwise) });
        let writes = then.iter().chain(otherwise).any(Op::writes);
        let answer = self.gateway.call("/v3/kv/txn", &body, writes).await?;
        let odd = || Failure {
            kind: EngineErrorKind::Etcd("gave an answer that makes no sense".to_owned()),
            ambiguous: writes,
        };
        let done = Done::deserialize(answer).map_err(|_| odd())?;
        let found = done.responses.into_iter().filter_map(|response| response.response_range);
        let pair = |Encoded { key, value }| Some((keys::decoded(&key)?, keys::decoded(&value)?));
        let found: Option<Vec<Pair>> = found.flat_map(|found| found.kvs).map(pair).collect();
        Ok((done.succeeded, found.ok_or_else(odd)?))
    }

    /// Does something with a folder that is there.
    async fn with(&self, id: &FolderId, keys: &Keys, then: &[Op]) -> Result<Vec<Pair>, Failure> {
        let (is_there, found) = self.transaction(keys.is(id), then, &[]).await?;
        let gone = || EngineErrorKind::NotFound(format!("{} is not there any more", keys::name(id)));
        if is_there { Ok(found) } else { Err(Failure { kind: gone(), ambiguous: false }) }
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
            let (was_free, found) = self.transaction(keys.is_free(), &make, &keys.folder()).await?;
            let taken = keys.folder_in(&found).filter(|_| !was_free);
            Ok(taken.map_or(Claimed::Made(id), |(id, labels)| Claimed::Taken(Folder { id, labels })))
        }))
    }

    fn look<'a>(&'a self, name: &'a FolderName) -> BoxFuture<'a, Result<Option<Folder>, EngineError>> {
        let keys = self.keys(name.as_str());
        Box::pin(self.on(move || format!("looking at {name}"), async move {
            let (_, found) = self.transaction(keys.is_free(), &[], &keys.folder()).await?;
            Ok(keys.folder_in(&found).map(|(id, labels)| Folder { id, labels }))
        }))
    }

    fn put<'a>(&'a self, id: &'a FolderId, files: &'a [File]) -> BoxFuture<'a, Result<(), EngineError>> {
        let keys = self.keys(keys::name(id));
        Box::pin(self.on(|| format!("writing files into {}", keys::name(id)), async move {
            for transaction in keys.put(files) {
                self.with(id, &keys, &transaction).await?;
            }
            Ok(())
        }))
    }

    fn get<'a>(&'a self, id: &'a FolderId, path: &'a str) -> BoxFuture<'a, Result<Vec<File>, EngineError>> {
        let keys = self.keys(keys::name(id));
        Box::pin(self.on(|| format!("reading files of {}", keys::name(id)), async move {
            let found = self.with(id, &keys, &keys.get(path)).await?;
            Ok(keys.files_in(found))
        }))
    }

    fn remove<'a>(&'a self, id: &'a FolderId) -> BoxFuture<'a, Result<(), EngineError>> {
        let keys = self.keys(keys::name(id));
        Box::pin(self.on(|| format!("removing {}", keys::name(id)), async move {
            self.transaction(keys.is(id), &keys.remove(id), &[]).await.map(drop)
        }))
    }
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
