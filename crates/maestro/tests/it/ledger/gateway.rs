//! An etcd whose gateways say odd things when they are told to: transactions as etcd has them, in memory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What gateways before 3.4.17 pass on, in bytes.
const OLD_GATEWAY: usize = 4 << 20;

/// What a member does with a request, other than what it should.
#[derive(Debug, Clone, Copy)]
pub(super) enum Odd {
    /// Answers with this status and body, and has done nothing.
    Says(u16, &'static str),
    /// Does it, and its answer gets lost.
    Loses,
    /// Does it and answers with this status.
    DoesAndSays(u16),
    /// Is paused: whoever asks hears nothing, and it is done when it wakes.
    Sleeps,
    /// Does it and its answer gets lost; then somebody else changes something.
    LosesAnd(fn(&mut Store)),
    /// Answers; then somebody else changes something.
    Meanwhile(fn(&mut Store)),
}

/// A member of the cluster.
pub(crate) struct Member {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

struct Shared {
    store: Arc<Mutex<Store>>,
    odd: Mutex<VecDeque<Odd>>,
    /// What it answers whoever logs in with, if one has to.
    login: Mutex<Option<Value>>,
    asked: Mutex<usize>,
    asleep: Mutex<Vec<Value>>,
}

/// What is kept, and was.
#[derive(Default)]
pub(crate) struct Store {
    revision: u64,
    keys: Keys,
    past: BTreeMap<u64, Keys>,
    compacted: u64,
}

type Keys = BTreeMap<Vec<u8>, Kept>;

#[derive(Clone)]
struct Kept {
    value: Arc<[u8]>,
    created: u64,
    modified: u64,
}

/// A cluster of so many members.
pub(crate) async fn cluster<const MEMBERS: usize>() -> [Member; MEMBERS] {
    let store = Arc::new(Mutex::new(Store { revision: 1, ..Store::default() }));
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        members.push(Member::start(store.clone()).await);
    }
    members.try_into().unwrap_or_else(|_| panic!("there are {MEMBERS}"))
}

impl Member {
    async fn start(store: Arc<Mutex<Store>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            store,
            odd: Mutex::default(),
            login: Mutex::default(),
            asked: Mutex::default(),
            asleep: Mutex::default(),
        });
        let (mut task, serving) = (JoinSet::new(), shared.clone());
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = serving.clone();
                connections.spawn(async move { shared.serve(stream).await });
            }
        });
        Self { address, shared, _task: task }
    }

    /// From now on, it answers only who has logged in.
    pub(crate) fn requires(&self, user: &str, password: &str) {
        *lock(&self.shared.login) = Some(json!({ "name": user, "password": password }));
    }

    /// What it does with its next requests, one after another; those that follow are answered as they should be.
    pub(super) fn next(&self, odd: impl IntoIterator<Item = Odd>) {
        lock(&self.shared.odd).extend(odd);
    }

    /// How often it was asked since this was called last.
    pub(super) fn asked(&self) -> usize {
        std::mem::take(&mut lock(&self.shared.asked))
    }

    /// Does what it was asked for while it slept; how much that was.
    pub(super) fn wakes(&self) -> usize {
        let late = std::mem::take(&mut *lock(&self.shared.asleep));
        for request in &late {
            lock(&self.shared.store).transact(request);
        }
        late.len()
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.shared.store)
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap()
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) {
        let Some((head, request)) = read(&mut stream).await else { return };
        *lock(&self.asked) += 1;
        let login = lock(&self.login).clone();
        let refused = login.and_then(|login| not_let_in(&login, &head, &request));
        let odd = lock(&self.odd).pop_front();
        let transact = || lock(&self.store).transact(&request);
        let (status, body) = match odd {
            None if refused.is_some() => refused.unwrap_or_default(),
            Some(Odd::Says(status, body)) => (status, body.to_owned()),
            Some(Odd::Loses) => return drop(transact()),
            Some(Odd::LosesAnd(change)) => {
                transact();
                return change(&mut lock(&self.store));
            }
            Some(Odd::Sleeps) => return lock(&self.asleep).push(request),
            Some(Odd::DoesAndSays(status)) => {
                transact();
                (status, "no".to_owned())
            }
            Some(Odd::Meanwhile(change)) => {
                let answer = transact();
                change(&mut lock(&self.store));
                answer
            }
            None => transact(),
        };
        let head =
            format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        _ = stream.write_all((head + &body).as_bytes()).await;
    }
}

/// What somebody hears who logs in, or has not.
fn not_let_in(login: &Value, head: &str, request: &Value) -> Option<(u16, String)> {
    if head.starts_with("post /v3/auth/authenticate ") {
        let wrong = "etcdserver: authentication failed, invalid user ID or password";
        return Some(if request == login {
            (200, json!({ "header": {}, "token": "t.1" }).to_string())
        } else {
            (400, json!({ "error": wrong, "message": wrong, "code": 3 }).to_string())
        });
    }
    let empty = "etcdserver: user name is empty";
    let is_let_in = head.lines().any(|line| line == "authorization: t.1");
    (!is_let_in).then(|| (400, json!({ "error": empty, "message": empty, "code": 3 }).to_string()))
}

/// The head, in lower case, and the body.
async fn read(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if let Some(body) = bytes.get(end + 4..end + 4 + length) {
                let paths = ["post /v3/kv/txn ", "post /v3/auth/authenticate "];
                assert!(paths.iter().any(|path| head.starts_with(path)), "{head}");
                let body = serde_json::from_slice(body).unwrap();
                return Some((head, body));
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_str().map_or(0, |number| number.parse().unwrap())
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().unwrap().iter()
}

impl Store {
    /// Puts something, as somebody else would.
    pub(super) fn put(&mut self, key: &str, value: &[u8]) {
        let put = json!({ "request_put": { "key": STANDARD.encode(key), "value": STANDARD.encode(value) } });
        self.transact(&json!({ "compare": [], "success": [put], "failure": [] }));
    }

    /// Forgets what was.
    pub(super) fn compact(&mut self) {
        self.compacted = self.revision;
        self.past.clear();
    }

    /// Takes all folders away; what is kept apart stays.
    pub(super) fn prune(&mut self) {
        let is_inside = |kept: &Kept| String::from_utf8_lossy(&kept.value).contains("/inside/");
        let folders: Vec<Vec<u8>> = self.keys.keys().filter(|key| key.ends_with(b"/id")).cloned().collect();
        for id in folders {
            let Some(kept) = self.keys.remove(&id) else { continue };
            let folder = &id[..id.len() - b"id".len()];
            self.keys.retain(|key, _| {
                let rest = key.strip_prefix(folder);
                !rest.is_some_and(|rest| !rest.starts_with(b"files/") || is_inside(&kept))
            });
        }
        self.revision += 1;
    }

    /// Whether a value has this text.
    pub(crate) fn contains(&self, text: &str) -> bool {
        let is_there = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        self.keys
            .values()
            .chain(self.past.values().flat_map(BTreeMap::values))
            .any(|kept| is_there(&kept.value))
    }

    pub(super) fn has(&self, end: &str) -> bool {
        self.keys.keys().any(|key| key.ends_with(end.as_bytes()))
    }

    fn meets(&self, condition: &Value) -> bool {
        let found = self.keys.get(&decoded(&condition["key"]));
        match (condition["target"].as_str().unwrap(), condition["result"].as_str().unwrap()) {
            ("CREATE", "EQUAL") => found.map_or(0, |k| k.created) == number(&condition["create_revision"]),
            ("MOD", "LESS") => found.map_or(0, |k| k.modified) < number(&condition["mod_revision"]),
            ("VALUE", "EQUAL") => found.is_some_and(|k| *k.value == *decoded(&condition["value"])),
            other => panic!("{other:?}"),
        }
    }

    /// Status and body.
    fn transact(&mut self, request: &Value) -> (u16, String) {
        let met = each(&request["compare"]).all(|condition| self.meets(condition));
        let asked = &request[if met { "success" } else { "failure" }];
        let before = self.keys.clone();
        let next = self.revision + 1;
        let mut size = 0;
        let mut responses = Vec::new();
        for op in each(asked) {
            if let Some(put) = op.get("request_put") {
                let (key, value) = (decoded(&put["key"]), decoded(&put["value"]));
                let created = self.keys.get(&key).map_or(next, |kept| kept.created);
                self.keys.insert(key, Kept { value: value.into(), created, modified: next });
                responses.push(json!({ "response_put": {} }));
            } else if let Some(range) = op.get("request_delete_range") {
                let (from, to) = (decoded(&range["key"]), decoded(&range["range_end"]));
                self.keys.retain(|key, _| !(from <= *key && *key < to));
                responses.push(json!({ "response_delete_range": {} }));
            } else {
                let range = &op["request_range"];
                let wanted = number(&range["revision"]);
                if wanted > 0 && wanted < self.compacted {
                    let message = "etcdserver: mvcc: required revision has been compacted";
                    return (400, json!({ "error": message, "message": message, "code": 11 }).to_string());
                }
                responses.push(self.range(range, &mut size));
            }
        }
        if size > OLD_GATEWAY {
            let message = format!("grpc: received message larger than max ({size} vs. {OLD_GATEWAY})");
            return (429, json!({ "error": message, "message": message, "code": 8 }).to_string());
        }
        if each(asked).any(|op| op.get("request_range").is_none()) {
            self.past.insert(self.revision, before);
            self.revision = next;
        }
        let mut answer = json!({ "header": { "revision": self.revision.to_string() } });
        // What is false or empty is left out.
        if met {
            answer["succeeded"] = true.into();
        }
        if !responses.is_empty() {
            answer["responses"] = responses.into();
        }
        (200, answer.to_string())
    }

    fn range(&self, range: &Value, size: &mut usize) -> Value {
        let (from, to) = (decoded(&range["key"]), decoded(&range["range_end"]));
        let limit = match number(&range["limit"]) {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap(),
        };
        let revision = number(&range["revision"]);
        let keys = if revision == 0 { &self.keys } else { self.past.get(&revision).unwrap_or(&self.keys) };
        let mut found = keys.range(from..to);
        let mut kvs = Vec::new();
        for (key, kept) in found.by_ref().take(limit) {
            *size += key.len() + kept.value.len();
            kvs.push(json!({ "key": STANDARD.encode(key), "value": STANDARD.encode(&kept.value) }));
        }
        let mut answer = json!({});
        if !kvs.is_empty() {
            answer["kvs"] = kvs.into();
        }
        if found.next().is_some() {
            answer["more"] = true.into();
        }
        json!({ "response_range": answer })
    }
}
