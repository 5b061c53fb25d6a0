//! A place that keeps a few named folders of files: what leases and ledgers are made of.

use crate::engine_error::EngineError;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What one anchor offers: an engine, etcd, or memory. Every method has its deadlines inside. What may have been
/// done is tried again by none, unless what comes late of the first try is refused then.
///
/// Two properties are all that leases need of it: of several claims of one name at most one succeeds until the folder
/// is gone, and neither files nor heartbeats reach a folder that is gone.
pub trait Shelf: Send + Sync {
    /// Makes a folder, or says who has one by that name. At any time there is at most one of a name.
    fn claim<'a>(
        &'a self,
        name: &'a FolderName,
        keep: Keep,
        labels: &'a Labels,
    ) -> BoxFuture<'a, Result<Claimed, EngineError>>;

    /// The folder that bears a name; none if there is none.
    fn look<'a>(&'a self, name: &'a FolderName) -> BoxFuture<'a, Result<Option<Folder>, EngineError>>;

    /// Puts files into a folder, over those of the same path and in their order; what else is there stays. A file
    /// without content takes away what is at its path and below. `NotFound` if the folder is gone, whoever has its
    /// name now.
    fn put<'a>(&'a self, id: &'a FolderId, files: &'a [File]) -> BoxFuture<'a, Result<(), EngineError>>;

    /// The same, on condition that another folder is there, too. Shelves that can see both at once refuse it with
    /// `Conflict` if that one is gone, however late it comes; the others put it all the same.
    fn put_beside<'a>(
        &'a self,
        id: &'a FolderId,
        other: &'a FolderId,
        files: &'a [File],
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        _ = other;
        self.put(id, files)
    }

    /// The files at a path and below, in the order of their paths; without a path, all. None for a path at which nothing
    /// is; `NotFound` if the folder is gone. A file that is being put may be seen half, or not at all. One without content was
    /// taken away, or its shelf's host died while it was written.
    fn get<'a>(&'a self, id: &'a FolderId, path: &'a str) -> BoxFuture<'a, Result<Vec<File>, EngineError>>;

    /// Gives a folder this heartbeat, in place of the last one, for whoever looks at it. From 1 to [`LAST_BEAT`].
    /// `NotFound` if the folder is gone, whoever has its name now.
    fn beat<'a>(&'a self, id: &'a FolderId, beat: u32) -> BoxFuture<'a, Result<(), EngineError>>;

    /// Takes a folder away, its labels and, unless they are kept [`Keep::Apart`], its files; nothing if it is gone.
    fn remove<'a>(&'a self, id: &'a FolderId) -> BoxFuture<'a, Result<(), EngineError>>;
}

/// The highest number that every shelf takes as a heartbeat.
pub const LAST_BEAT: u32 = i32::MAX.unsigned_abs();

/// What is written on a folder when it is made; never changes.
pub type Labels = BTreeMap<String, String>;

/// Where the files of a folder are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// In it: they go when it goes.
    Inside,
    /// Beside it, under the same name: whoever claims the name next finds them.
    Apart,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The folder was made, and is empty unless its files are kept apart.
    Made(FolderId),
    /// The name has a folder already.
    Taken(Folder),
}

/// A folder that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Which.
    pub id: FolderId,
    /// What is written on it.
    pub labels: Labels,
    /// The last heartbeat that it was given; 0 before the first one.
    pub beat: u32,
}

/// One folder, and none that bears its name later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderId(pub String);

/// A file in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Names of `[a-z0-9.-]` with `/` between them.
    pub path: String,
    /// Not empty where a file is put.
    pub content: Vec<u8>,
}

impl File {
    /// A file.
    pub fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: content.into() }
    }

    /// Takes away what is at a path and below it.
    pub fn absent(path: impl Into<String>) -> Self {
        Self::new(path, Vec::new())
    }
}

/// A folder's name, which engines accept as a container's and a volume's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderName(String);

impl FolderName {
    /// The longest part of a name that is taken from an environment's.
    const LONGEST: usize = 100;

    /// `maestro.<role>.<environment>`. An environment's name that is no part of a container's is cut down to what may
    /// be in one, with a hash of the whole behind it and a dot more before it, so that no two share a folder.
    pub fn of(role: &str, environment: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let is_plain = (1..=Self::LONGEST).contains(&environment.len())
            && !environment.starts_with('.')
            && environment.chars().all(plain);
        if is_plain {
            return Self(format!("maestro.{role}.{environment}"));
        }
        let mut name = format!("maestro.{role}..");
        name.extend(
            environment.chars().take(Self::LONGEST).map(|c| if plain(c) && c != '.' { c } else { '_' }),
        );
        name.push('-');
        for byte in Sha256::digest(environment.as_bytes()).iter().take(8) {
            // Writing to a string cannot fail.
            _ = write!(name, "{byte:02x}");
        }
        Self(name)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for FolderName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::FolderName;
    use crate::names::InstanceName;
    use std::collections::BTreeSet;

    #[test]
    fn every_environment_has_a_name_of_its_own() {
        let long = "x".repeat(300);
        let longer = "x".repeat(301);
        let names = [
            "shop",
            "Shop",
            "shop.eu",
            ".shop",
            "",
            " ",
            "shop eu",
            "shop/eu",
            "großer laden",
            &long,
            &longer,
            "shop_eu-d9e85f98c59b1a5f",
            "-",
            "..",
        ];
        let made: BTreeSet<_> = names.iter().map(|name| FolderName::of("lease", name)).collect();
        assert_eq!(made.len(), names.len());
        for name in &made {
            assert!(InstanceName::from(name.as_str()).is_valid() && name.as_str().len() < 140, "{name}");
        }
        assert_eq!(FolderName::of("lease", "shop").as_str(), "maestro.lease.shop");
        assert_eq!(FolderName::of("ledger", "shop eu").as_str(), "maestro.ledger..shop_eu-bd758028c36c82cd");
    }
}
