//! What an engine offers for leases and ledgers: containers that are never started, and files in them.
//!
//! Creating a container claims its name; `PUT` and `GET /containers/{}/archive` write and read files, also on a named
//! volume; a heartbeat is how often the container would be started again, which `POST /containers/{}/update` changes and
//! every look at it tells. Engine 20.10 and 28.5 do so for a container of an empty image, which is loaded without a registry.

use super::classify;
use super::docker::{DockerEngine, is_cut_off};
use super::wire::{Call, encoded, json};
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use maestro_core::boundary::{Claimed, Deadlines, File, Folder, FolderId, FolderName, Keep, Labels, Shelf};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The empty image. Its name says to people what it is for.
const REPOSITORY: &str = "maestro/shelf";
const TAG: &str = "1";
/// A tar archive with nothing in it.
const EMPTY: [u8; 1024] = [0; 1024];
/// Where the files are in a container, and where the volume is mounted.
const ROOT: &str = "files";
/// How long to wait at first for whoever has a name to be seen, and at most each time.
const MOMENT: Duration = Duration::from_millis(10);
const LONGEST_MOMENT: Duration = Duration::from_millis(300);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    name: String,
    config: Config,
    #[serde(default)]
    host_config: Host,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Host {
    restart_policy: RestartPolicy,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RestartPolicy {
    maximum_retry_count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl DockerEngine {
    pub(super) fn writing(&self) -> Duration {
        self.ship.timeout.unwrap_or(Deadlines::DEFAULT_WRITE)
    }

    /// One use of the shelf: the version is asked first, and errors bear the operation's name.
    pub(super) async fn on_shelf<T>(
        &self,
        operation: impl FnOnce() -> String,
        total: Duration,
        act: impl AsyncFnOnce(Arc<Call>) -> Result<T, EngineErrorKind>,
    ) -> Result<T, EngineError> {
        let version = match self.version().await {
            Ok(version) => version,
            Err(kind) => return Err(self.failed(operation(), kind, false)),
        };
        let call = Call::new(Some(version.api), total);
        act(call.clone()).await.map_err(|kind| {
            let ambiguous = call.was_sent()
                && (is_cut_off(&kind)
                    || matches!(
                        kind,
                        EngineErrorKind::Protocol(_) | EngineErrorKind::Api { status: 500.., .. }
                    ));
            self.failed(operation(), kind, ambiguous)
        })
    }

    async fn claim_name(
        &self,
        call: &Call,
        name: &FolderName,
        keep: Keep,
        labels: &Labels,
    ) -> Result<Claimed, EngineErrorKind> {
        let patience = Instant::now() + self.writing();
        let mut moment = MOMENT;
        while Instant::now() < patience {
            match self.make_container(call, name, keep, labels).await {
                Err(EngineErrorKind::Conflict(_)) => {
                    if let Some(folder) = self.find(call, name.as_str()).await? {
                        return Ok(Claimed::Taken(folder));
                    }
                    // An engine gives a name away before the container can be seen, and takes it back when it cannot be
                    // seen any more.
                    sleep(moment).await;
                    moment = LONGEST_MOMENT.min(moment * 2);
                }
                Err(EngineErrorKind::NotFound(message)) if message.contains("No such image") => {
                    self.load_empty_image(call).await?;
                }
                result => return result.map(Claimed::Made),
            }
        }
        Err(EngineErrorKind::Conflict(format!("the name {name} is refused, and nobody has it")))
    }

    async fn make_container(
        &self,
        call: &Call,
        name: &FolderName,
        keep: Keep,
        labels: &Labels,
    ) -> Result<FolderId, EngineErrorKind> {
        let mut host = json!({ "NetworkMode": "none" });
        if keep == Keep::Apart {
            host["Binds"] = json!([format!("{name}:/{ROOT}")]);
        }
        let body = json!({
            "Image": format!("{REPOSITORY}:{TAG}"),
            // Without a command no container is made; this one is never run.
            "Cmd": ["/never-run"],
            "Labels": labels,
            "HostConfig": host,
        });
        let path = format!("/containers/create?name={}", encoded(name.as_str()));
        let created = self.wire.post(call, &path, json(&body)?).await?;
        let created: Created = self.wire.decode(call, created).await?;
        Ok(FolderId(created.id))
    }

    async fn load_empty_image(&self, call: &Call) -> Result<(), EngineErrorKind> {
        let path = format!("/images/create?fromSrc=-&repo={}&tag={TAG}", encoded(REPOSITORY));
        let answer = self.wire.send(call, tar_request(Method::POST), &path, EMPTY.to_vec()).await?;
        // One JSON value per line; a failure after the head of the answer is one of them.
        let said = self.wire.whole(call, answer).await?;
        let failed = serde_json::Deserializer::from_slice(&said)
            .into_iter::<Value>()
            .filter_map(Result::ok)
            .find_map(|line| line.get("error").and_then(Value::as_str).map(str::to_owned));
        match failed {
            Some(message) => Err(EngineErrorKind::Api { status: 500, message }),
            None => Ok(()),
        }
    }

    /// The container with this name.
    async fn find(&self, call: &Call, name: &str) -> Result<Option<Folder>, EngineErrorKind> {
        let found: Inspected = match self.wire.get(call, &format!("/containers/{}/json", encoded(name))).await
        {
            Err(EngineErrorKind::NotFound(_)) => return Ok(None),
            found => found?,
        };
        // An engine takes what is no name for the beginning of an id.
        let is_it = found.name.strip_prefix('/') == Some(name);
        Ok(is_it.then_some(Folder {
            id: FolderId(found.id),
            labels: found.config.labels.unwrap_or_default(),
            beat: found.host_config.restart_policy.maximum_retry_count,
        }))
    }

    /// An archive is packed and unpacked by a process of the engine's; this is a number in its books.
    async fn give_beat(&self, call: &Call, id: &FolderId, beat: u32) -> Result<(), EngineErrorKind> {
        let policy = json!({ "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": beat } });
        let path = format!("/containers/{}/update", encoded(&id.0));
        self.wire.post(call, &path, json(&policy)?).await.map(drop)
    }

    async fn put_files(&self, call: &Call, id: &FolderId, files: &[File]) -> Result<(), EngineErrorKind> {
        let archive = pack(files).map_err(|error| classify::odd(&error.to_string()))?;
        let path = format!("/containers/{}/archive?path=%2F", encoded(&id.0));
        self.wire.send(call, tar_request(Method::PUT), &path, archive).await.map(drop)
    }

    async fn get_files(&self, call: &Call, id: &FolderId, path: &str) -> Result<Vec<File>, EngineErrorKind> {
        let wanted = if path.is_empty() { ROOT.to_owned() } else { format!("{ROOT}/{path}") };
        let address = format!("/containers/{}/archive?path=%2F{}", encoded(&id.0), encoded(&wanted));
        let answer = match self.wire.send(call, Request::builder().method(Method::GET), &address, "").await {
            // The same status for a container that is not there, which everything else depends on.
            Err(EngineErrorKind::NotFound(message)) if !message.contains("No such container") => {
                return Ok(Vec::new());
            }
            // Below a file there is nothing.
            Err(EngineErrorKind::Api { message, .. }) if message.contains("not a directory") => {
                return Ok(Vec::new());
            }
            answer => answer?,
        };
        let bytes = self.wire.whole(call, answer).await?;
        unpack(&wanted, &bytes).map_err(|error| classify::odd(&error.to_string()))
    }
}

pub(super) fn tar_request(method: Method) -> http::request::Builder {
    Request::builder().method(method).header(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"))
}

/// Files as an archive that is unpacked at the container's root. A file without content takes the place of what is
/// there, which engines take away first, directories too.
fn pack(files: &[File]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut made = BTreeSet::new();
    for file in files {
        let path = format!("{ROOT}/{}", file.path);
        if file.content.is_empty() {
            made.retain(|directory: &String| {
                *directory != path && !directory.starts_with(&format!("{path}/"))
            });
        }
        for (at, _) in path.match_indices('/') {
            let directory = path.get(..at).unwrap_or_default();
            if made.insert(directory.to_owned()) {
                let mut header = header(0, 0o755);
                header.set_entry_type(tar::EntryType::Directory);
                archive.append_data(&mut header, format!("{directory}/"), io::empty())?;
            }
        }
        let mut header = header(file.content.len() as u64, 0o600);
        archive.append_data(&mut header, &path, file.content.as_slice())?;
    }
    archive.into_inner()
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header
}

/// The files of an archive whose paths begin with the last part of `wanted`.
fn unpack(wanted: &str, archive: &[u8]) -> io::Result<Vec<File>> {
    let before = wanted.rsplit_once('/').map_or("", |(before, _)| before);
    let mut files = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = format!("{before}/{}", entry.path()?.to_string_lossy());
        let path = path.trim_start_matches('/').strip_prefix(ROOT).unwrap_or_default();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.push(File { path: path.trim_start_matches('/').to_owned(), content });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

impl Shelf for DockerEngine {
    fn claim<'a>(
        &'a self,
        name: &'a FolderName,
        keep: Keep,
        labels: &'a Labels,
    ) -> BoxFuture<'a, Result<Claimed, EngineError>> {
        let what = move || format!("creating container {name}");
        Box::pin(self.on_shelf(what, self.writing(), async move |call| {
            self.claim_name(&call, name, keep, labels).await
        }))
    }

    fn look<'a>(&'a self, name: &'a FolderName) -> BoxFuture<'a, Result<Option<Folder>, EngineError>> {
        let what = move || format!("looking at container {name}");
        Box::pin(self.on_shelf(what, self.reading(), async move |call| self.find(&call, name.as_str()).await))
    }

    fn put<'a>(&'a self, id: &'a FolderId, files: &'a [File]) -> BoxFuture<'a, Result<(), EngineError>> {
        let what = move || format!("writing files into container {}", short(id));
        Box::pin(
            self.on_shelf(what, self.writing(), async move |call| self.put_files(&call, id, files).await),
        )
    }

    fn get<'a>(&'a self, id: &'a FolderId, path: &'a str) -> BoxFuture<'a, Result<Vec<File>, EngineError>> {
        let what = move || format!("reading files of container {}", short(id));
        Box::pin(self.on_shelf(what, self.writing(), async move |call| self.get_files(&call, id, path).await))
    }

    fn beat<'a>(&'a self, id: &'a FolderId, beat: u32) -> BoxFuture<'a, Result<(), EngineError>> {
        let what = move || format!("updating container {}", short(id));
        Box::pin(self.on_shelf(what, self.writing(), async move |call| self.give_beat(&call, id, beat).await))
    }

    fn remove<'a>(&'a self, id: &'a FolderId) -> BoxFuture<'a, Result<(), EngineError>> {
        let what = move || format!("removing container {}", short(id));
        Box::pin(self.on_shelf(what, self.writing(), async move |call| {
            let delete = Request::builder().method(Method::DELETE);
            let path = format!("/containers/{}?v=true&force=false", encoded(&id.0));
            match self.wire.send(&call, delete, &path, "").await {
                Ok(_) | Err(EngineErrorKind::NotFound(_)) => Ok(()),
                Err(error) => Err(error),
            }
        }))
    }
}

/// As people see it in lists of containers.
fn short(id: &FolderId) -> &str {
    id.0.get(..12).unwrap_or(&id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_survive_their_archive() {
        let files = [File::new("a/b/1", "one"), File::new("a/b/2", "two"), File::new("c", "three")];
        let packed = pack(&files).unwrap();
        let mut paths = Vec::new();
        for entry in tar::Archive::new(&*packed).entries().unwrap() {
            paths.push(entry.unwrap().path().unwrap().to_string_lossy().into_owned());
        }
        assert_eq!(paths, ["files/", "files/a/", "files/a/b/", "files/a/b/1", "files/a/b/2", "files/c"]);
        assert_eq!(unpack(ROOT, &packed).unwrap(), files);
    }

    /// It may be one that a host which died did not write to its end.
    #[test]
    fn a_file_without_content_is_seen() {
        let packed = pack(&[File::new("a/1", "x"), File::absent("a/2")]).unwrap();
        assert_eq!(unpack(ROOT, &packed).unwrap(), [File::new("a/1", "x"), File::absent("a/2")]);
    }

    #[test]
    fn a_damaged_archive_is_an_error() {
        let packed = pack(&[File::new("a", vec![b'x'; 2000])]).unwrap();
        assert!(unpack(ROOT, &packed[..1500]).is_err());
        assert!(unpack(ROOT, b"no archive at all").is_err());
    }
}
