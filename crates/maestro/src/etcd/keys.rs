//! Folders and files as keys, and what is done to them as requests of a transaction.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maestro_core::boundary::{File, Folder, FolderId, FolderName, Keep, Labels};
use serde_json::{Value, json};

/// What of a file is put at once, and how much a transaction has. etcd takes 1.5 MiB unless it is told otherwise; slow lines
/// are given less, for each transaction has its deadline.
const PART: usize = 250_000;
/// How many requests a transaction may have; etcd takes 128 unless it is told otherwise.
const MOST: usize = 120;

/// The keys of a folder.
pub(super) struct Keys {
    id: Vec<u8>,
    labels: Vec<u8>,
    beat: Vec<u8>,
    again: Vec<u8>,
    files: String,
}

/// What is found at a key.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// A request within a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// Everything in these keys, or the first page of it.
    Range(Keyspan, Option<Page>),
    /// Everything in these keys goes.
    Delete(Keyspan),
    /// A key and its value.
    Put(Vec<u8>, Vec<u8>),
}

/// Not everything at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// How many keys, at most.
    pub(super) limit: usize,
    /// As it was at this revision, instead of as it is.
    pub(super) revision: Option<u64>,
}

/// The keys from one to another, which is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyspan {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Keyspan {
    fn new(from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) -> Self {
        Self { from: from.into(), to: to.into() }
    }

    fn of(key: &[u8]) -> Self {
        Self::new(key, [key, b"\0"].concat())
    }

    fn has(&self, key: &[u8]) -> bool {
        *self.from <= *key && *key < *self.to
    }

    /// What comes behind a key; none if it is not among these.
    pub(super) fn behind(&self, key: &[u8]) -> Option<Self> {
        self.has(key).then(|| Self::new([key, b"\0"].concat(), &*self.to))
    }
}

impl Op {
    pub(super) fn json(&self) -> Value {
        let span = |span: &Keyspan| json!({ "key": encoded(&span.from), "range_end": encoded(&span.to) });
        match self {
            Op::Range(keys, page) => {
                let mut range = span(keys);
                if let Some(Page { limit, revision }) = page {
                    // As etcd's own JSON has 64 bits.
                    range["limit"] = json!(limit.to_string());
                    range["revision"] = json!(revision.unwrap_or(0).to_string());
                }
                json!({ "request_range": range })
            }
            Op::Delete(keys) => json!({ "request_delete_range": span(keys) }),
            Op::Put(key, value) => json!({ "request_put": { "key": encoded(key), "value": encoded(value) } }),
        }
    }

    pub(super) fn writes(&self) -> bool {
        !matches!(self, Op::Range(..))
    }

    fn size(&self) -> usize {
        match self {
            Op::Range(keys, _) | Op::Delete(keys) => keys.from.len() + keys.to.len(),
            Op::Put(key, value) => key.len() + value.len(),
        }
    }

    /// Whether etcd refuses both in one transaction, for the order would matter.
    fn is_in_the_way_of(&self, other: &Op) -> bool {
        match (self, other) {
            (Op::Put(key, _), Op::Put(other, _)) => key == other,
            (Op::Put(key, _), Op::Delete(keys)) | (Op::Delete(keys), Op::Put(key, _)) => keys.has(key),
            _ => false,
        }
    }
}

impl Keys {
    pub(super) fn of(prefix: &str, folder: &str) -> Self {
        let of = |what: &str| format!("{prefix}/{folder}/{what}");
        Self {
            id: of("id").into(),
            labels: of("labels").into(),
            beat: of("beat").into(),
            again: of("again").into(),
            files: of("files/"),
        }
    }

    /// Condition: nobody has the folder's name.
    pub(super) fn is_free(&self) -> Value {
        json!({ "key": encoded(&self.id), "target": "CREATE", "result": "EQUAL", "create_revision": "0" })
    }

    /// Condition: it is this very folder that has the name.
    pub(super) fn is(&self, id: &FolderId) -> Value {
        let id = encoded(id.0.as_bytes());
        json!({ "key": encoded(&self.id), "target": "VALUE", "result": "EQUAL", "value": id })
    }

    /// Condition: nothing has been put again since this revision.
    pub(super) fn not_again_since(&self, revision: u64) -> Value {
        let next = revision.saturating_add(1).to_string();
        json!({ "key": encoded(&self.again), "target": "MOD", "result": "LESS", "mod_revision": next })
    }

    /// Marks that something is put again.
    pub(super) fn again(&self) -> Op {
        Op::Put(self.again.clone(), b"1".to_vec())
    }

    /// Asks who the folder is, and no more.
    pub(super) fn who(&self) -> Op {
        Op::Range(Keyspan::of(&self.id), None)
    }

    /// Whether that found this very folder.
    pub(super) fn is_in(&self, id: &FolderId, found: &[Pair]) -> bool {
        found.iter().any(|(key, value)| *key == self.id && *value == id.0.as_bytes())
    }

    /// Gives the folder a heartbeat.
    pub(super) fn give(&self, beat: u32) -> Op {
        Op::Put(self.beat.clone(), beat.to_string().into())
    }

    /// Asks who the folder is, what is written on it, and for its heartbeat.
    pub(super) fn folder(&self) -> [Op; 3] {
        [&self.id, &self.labels, &self.beat].map(|key| Op::Range(Keyspan::of(key), None))
    }

    /// What that found.
    pub(super) fn folder_in(&self, found: &[Pair]) -> Option<Folder> {
        let value = |wanted: &[u8]| found.iter().find(|(key, _)| key == wanted).map(|(_, value)| value);
        let labels = value(&self.labels).and_then(|labels| serde_json::from_slice(labels).ok());
        let beat = value(&self.beat).and_then(|beat| std::str::from_utf8(beat).ok()?.parse().ok());
        Some(Folder {
            id: FolderId(String::from_utf8_lossy(value(&self.id)?).into_owned()),
            labels: labels.unwrap_or_default(),
            beat: beat.unwrap_or(0),
        })
    }

    pub(super) fn make(&self, id: &FolderId, labels: &Labels) -> Vec<Op> {
        let mut ops = vec![
            Op::Put(self.id.clone(), id.0.clone().into()),
            Op::Put(self.labels.clone(), json!(labels).to_string().into()),
        ];
        ops.extend(self.files_of(id));
        ops
    }

    pub(super) fn remove(&self, id: &FolderId) -> Vec<Op> {
        let mut ops: Vec<Op> =
            [&self.id, &self.labels, &self.beat, &self.again].map(|key| Op::Delete(Keyspan::of(key))).into();
        ops.extend(self.files_of(id));
        ops
    }

    /// Takes away all files, unless they are kept apart.
    fn files_of(&self, id: &FolderId) -> Option<Op> {
        (keep(id) == Keep::Inside).then(|| Op::Delete(self.all()))
    }

    fn all(&self) -> Keyspan {
        let name = self.files.trim_end_matches('/');
        Keyspan::new(name.to_owned() + "/", name.to_owned() + "0")
    }

    /// Where the files at a path and below are, in the order of their paths; without a path, all.
    pub(super) fn of_files(&self, path: &str) -> Vec<Keyspan> {
        if path.is_empty() { vec![self.all()] } else { vec![self.whole(path), self.below(path)] }
    }

    /// The files in what was found there. Parts without a file are of one that is being put.
    pub(super) fn files_in(&self, found: Vec<Pair>) -> Vec<File> {
        let mut files: Vec<File> = Vec::new();
        for (key, value) in found {
            let key = String::from_utf8_lossy(&key);
            let Some(path) = key.strip_prefix(&self.files) else { continue };
            match path.split_once('\0') {
                None => files.push(File::new(path, value)),
                Some((path, _)) => {
                    if let Some(file) = files.last_mut().filter(|file| file.path == path) {
                        file.content.extend(value);
                    }
                }
            }
        }
        files
    }

    /// Puts files, in transactions to be done one after another. A large file is there when its last part is.
    pub(super) fn put(&self, files: &[File]) -> Vec<Vec<Op>> {
        let mut transactions = vec![Vec::new()];
        for together in files.iter().flat_map(|file| self.steps(file)) {
            let last = transactions.last_mut();
            let fits = |last: &&mut Vec<Op>| {
                let size: usize = last.iter().chain(&together).map(Op::size).sum();
                let conflicts = |op: &Op| last.iter().any(|other| op.is_in_the_way_of(other));
                last.is_empty()
                    || (size <= PART
                        && last.len() + together.len() <= MOST
                        && !together.iter().any(conflicts))
            };
            match last.filter(fits) {
                Some(last) => last.extend(together),
                None => transactions.push(together),
            }
        }
        transactions
    }

    /// How one file is put: what has to happen together, in its order.
    fn steps(&self, file: &File) -> Vec<Vec<Op>> {
        let clear = vec![Op::Delete(self.whole(&file.path)), Op::Delete(self.below(&file.path))];
        let key = self.key(&file.path);
        let mut parts = file.content.chunks(PART);
        let Some(first) = parts.next() else { return vec![clear] };
        let first = Op::Put(key.clone().into(), first.into());
        if file.content.len() <= PART {
            let parts = Keyspan::new(key.clone() + "\0", key + "\x01");
            return vec![vec![Op::Delete(parts), Op::Delete(self.below(&file.path)), first]];
        }
        let mut steps = vec![clear];
        steps.extend(
            parts
                .enumerate()
                .map(|(number, part)| vec![Op::Put(format!("{key}\0{number:08}").into(), part.into())]),
        );
        steps.push(vec![first]);
        steps
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.files)
    }

    /// A file and its parts.
    fn whole(&self, path: &str) -> Keyspan {
        Keyspan::new(self.key(path), self.key(path) + "\x01")
    }

    /// What is below a directory: `0` follows `/`.
    fn below(&self, path: &str) -> Keyspan {
        Keyspan::new(self.key(path) + "/", self.key(path) + "0")
    }
}

/// A folder's id: its name, where its files are, and what no other has.
pub(super) fn new_id(name: &FolderName, keep: Keep, unique: &str) -> FolderId {
    let keep = if keep == Keep::Inside { "inside" } else { "apart" };
    FolderId(format!("{name}/{keep}/{unique}"))
}

/// The name in an id.
pub(super) fn name(id: &FolderId) -> &str {
    id.0.split('/').next().unwrap_or_default()
}

fn keep(id: &FolderId) -> Keep {
    if id.0.split('/').nth(1) == Some("apart") { Keep::Apart } else { Keep::Inside }
}

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What etcd does with transactions, and refuses.
    fn apply(content: &mut BTreeMap<Vec<u8>, Vec<u8>>, ops: &[Op]) {
        assert!(ops.len() <= 128 && ops.iter().map(Op::size).sum::<usize>() < 1_400_000);
        for (at, op) in ops.iter().enumerate() {
            assert!(ops[..at].iter().all(|other| !op.is_in_the_way_of(other)), "{op:?}");
            match op {
                Op::Put(key, value) => _ = content.insert(key.clone(), value.clone()),
                Op::Delete(keys) => content.retain(|key, _| !keys.has(key)),
                Op::Range(..) => {}
            }
        }
    }

    fn files(keys: &Keys, content: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<(String, usize)> {
        let found = content.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        keys.files_in(found).into_iter().map(|file| (file.path, file.content.len())).collect()
    }

    /// Whoever puts it may die after any transaction.
    #[test]
    fn a_large_file_is_there_whole_or_not_at_all() {
        let keys = Keys::of("/m", "maestro.ledger.shop");
        let mut content = BTreeMap::new();
        let file = |size: usize| [File::new("a/b", vec![7; size]), File::new("a/b-not", "x")];
        for (before, after) in
            [(0, 7 * PART / 2), (7 * PART / 2, 5 * PART / 2), (5 * PART / 2, 10), (10, PART + 1)]
        {
            for died in 0..10 {
                let mut content = content.clone();
                let put = keys.put(&file(after));
                put.iter().take(died).for_each(|ops| apply(&mut content, ops));
                let sizes: Vec<usize> = files(&keys, &content).iter().map(|(_, size)| *size).collect();
                let known = [0, 1, before, after];
                assert!(sizes.iter().all(|size| known.contains(size)), "{before} to {after}: {sizes:?}");
                // Whoever comes next has no use for what was left.
                keys.put(&file(5)).iter().for_each(|ops| apply(&mut content, ops));
                assert_eq!(files(&keys, &content), [("a/b".to_owned(), 5), ("a/b-not".to_owned(), 1)]);
                assert_eq!(content.len(), 2);
            }
            keys.put(&file(after)).iter().for_each(|ops| apply(&mut content, ops));
            assert_eq!(files(&keys, &content), [("a/b".to_owned(), after), ("a/b-not".to_owned(), 1)]);
        }
        keys.put(&[File::absent("a")]).iter().for_each(|ops| apply(&mut content, ops));
        assert!(content.is_empty());
    }
}
