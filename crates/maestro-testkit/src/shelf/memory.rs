//! A shelf in memory, whose network can be told what to do.

use futures_util::future::BoxFuture;
use maestro_core::boundary::{Claimed, File, Folder, FolderId, FolderName, Keep, Labels, Shelf};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::names::ShipName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A shelf in memory. Clones are the same shelf, each with a network of its own.
#[derive(Debug)]
pub struct MemoryShelf {
    ship: ShipName,
    content: Arc<Mutex<Content>>,
    weather: watch::Sender<Weather>,
    latency: Duration,
    held_back: Arc<Mutex<Option<(String, Duration)>>>,
}

/// What becomes of calls over one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// They arrive.
    Fine,
    /// They do not, and their sender is told.
    Unreachable,
    /// They arrive when the weather changes.
    Still,
    /// They arrive, and their answers don't.
    Mute,
}

#[derive(Debug, Default)]
struct Content {
    folders: BTreeMap<FolderName, Stored>,
    apart: BTreeMap<FolderName, Files>,
    made: u64,
    puts: u64,
    is_full: bool,
}

#[derive(Debug)]
struct Stored {
    id: FolderId,
    labels: Labels,
    keep: Keep,
    beat: u32,
    files: Files,
}

type Files = BTreeMap<String, Vec<u8>>;

impl Clone for MemoryShelf {
    fn clone(&self) -> Self {
        Self {
            ship: self.ship.clone(),
            content: self.content.clone(),
            weather: watch::Sender::new(Weather::Fine),
            latency: self.latency,
            held_back: self.held_back.clone(),
        }
    }
}

impl MemoryShelf {
    /// An empty shelf that answers after this time.
    pub fn new(ship: &str, latency: Duration) -> Self {
        Self {
            ship: ShipName::from(ship),
            content: Arc::default(),
            weather: watch::Sender::new(Weather::Fine),
            latency,
            held_back: Arc::default(),
        }
    }

    /// What becomes of calls from now on, of those under way too.
    pub fn weather(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Whatever is read at this path or below takes so much longer from now on.
    pub fn hold_back(&self, path: &str, time: Duration) {
        *self.held_back.lock().unwrap_or_else(PoisonError::into_inner) = Some((path.to_owned(), time));
    }

    /// Takes all folders away; what is kept apart stays.
    pub fn prune(&self) {
        self.lock().folders.clear();
    }

    /// How many folders there are.
    pub fn folders(&self) -> usize {
        self.lock().folders.len()
    }

    /// How many times files were put here.
    pub fn puts(&self) -> u64 {
        self.lock().puts
    }

    /// From now on it keeps no more files.
    pub fn fill(&self) {
        self.lock().is_full = true;
    }

    /// Changes a file that is kept apart, as a disk that forgets might.
    pub fn spoil(&self, name: &FolderName, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        change(self.lock().apart.entry(name.clone()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<T>(
        &self,
        what: &str,
        act: impl FnOnce(&mut Content) -> Result<T, EngineErrorKind> + Send,
    ) -> Result<T, EngineError> {
        let error = |kind, ambiguous| EngineError {
            ship: self.ship.clone(),
            operation: what.to_owned(),
            kind,
            ambiguous,
        };
        tokio::time::sleep(self.latency).await;
        let mut weather = self.weather.subscribe();
        // It cannot close while it is borrowed from.
        let now = weather.wait_for(|weather| *weather != Weather::Still).await.map(|weather| *weather).ok();
        if now == Some(Weather::Unreachable) {
            let (address, cause) = (self.ship.to_string(), "no route to host".to_owned());
            return Err(error(EngineErrorKind::Unreachable { address, cause }, false));
        }
        let result = act(&mut self.lock());
        if now == Some(Weather::Mute) {
            _ = weather.wait_for(|weather| *weather == Weather::Unreachable).await;
            return Err(error(EngineErrorKind::Lost("the connection is gone".to_owned()), true));
        }
        result.map_err(|kind| error(kind, false))
    }
}

impl Stored {
    fn folder(&self) -> Folder {
        Folder { id: self.id.clone(), labels: self.labels.clone(), beat: self.beat }
    }
}

impl Content {
    fn put(&mut self, id: &FolderId, files: &[File]) -> Result<(), EngineErrorKind> {
        self.puts += 1;
        if self.is_full {
            let message = "no space left on device".to_owned();
            return Err(EngineErrorKind::Api { status: 500, message });
        }
        let kept = self.by_id(id)?;
        for file in files {
            let below = format!("{}/", file.path);
            kept.retain(|path, _| {
                // A file where a directory is to be is in its way.
                *path != file.path
                    && !path.starts_with(&below)
                    && !(file.path.starts_with(path) && file.path[path.len()..].starts_with('/'))
            });
            if !file.content.is_empty() {
                kept.insert(file.path.clone(), file.content.clone());
            }
        }
        Ok(())
    }

    fn by_id(&mut self, id: &FolderId) -> Result<&mut Files, EngineErrorKind> {
        let found = self.folders.iter_mut().find(|(_, stored)| stored.id == *id);
        let (name, stored) = found.ok_or_else(|| gone(id))?;
        Ok(match stored.keep {
            Keep::Inside => &mut stored.files,
            Keep::Apart => self.apart.entry(name.clone()).or_default(),
        })
    }
}

fn gone(id: &FolderId) -> EngineErrorKind {
    EngineErrorKind::NotFound(format!("No such folder: {}", id.0))
}

impl Shelf for MemoryShelf {
    fn claim<'a>(
        &'a self,
        name: &'a FolderName,
        keep: Keep,
        labels: &'a Labels,
    ) -> BoxFuture<'a, Result<Claimed, EngineError>> {
        Box::pin(self.call("claiming", move |content| {
            if let Some(stored) = content.folders.get(name) {
                return Ok(Claimed::Taken(stored.folder()));
            }
            content.made += 1;
            let id = FolderId(format!("{:064x}", content.made));
            let stored =
                Stored { id: id.clone(), labels: labels.clone(), keep, beat: 0, files: Files::new() };
            content.folders.insert(name.clone(), stored);
            Ok(Claimed::Made(id))
        }))
    }

    fn look<'a>(&'a self, name: &'a FolderName) -> BoxFuture<'a, Result<Option<Folder>, EngineError>> {
        Box::pin(self.call("looking", move |content| Ok(content.folders.get(name).map(Stored::folder))))
    }

    fn put<'a>(&'a self, id: &'a FolderId, files: &'a [File]) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(self.call("putting files", move |content| content.put(id, files)))
    }

    fn put_beside<'a>(
        &'a self,
        id: &'a FolderId,
        other: &'a FolderId,
        files: &'a [File],
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(self.call("putting files", move |content| {
            content.by_id(id)?;
            if content.folders.values().any(|stored| stored.id == *other) {
                return content.put(id, files);
            }
            Err(EngineErrorKind::Conflict(format!("No such folder: {}", other.0)))
        }))
    }

    fn get<'a>(&'a self, id: &'a FolderId, path: &'a str) -> BoxFuture<'a, Result<Vec<File>, EngineError>> {
        let held_back = self.held_back.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let longer = held_back.filter(|(held, _)| path.starts_with(held)).map(|(_, time)| time);
        let get = self.call("getting files", move |content| {
            let below = format!("{path}/");
            let kept = content.by_id(id)?;
            Ok(kept
                .iter()
                .filter(|(file, _)| path.is_empty() || *file == path || file.starts_with(&below))
                .map(|(path, content)| File { path: path.clone(), content: content.clone() })
                .collect())
        });
        Box::pin(async move {
            tokio::time::sleep(longer.unwrap_or_default()).await;
            get.await
        })
    }

    fn beat<'a>(&'a self, id: &'a FolderId, beat: u32) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(self.call("giving a heartbeat", move |content| {
            let found = content.folders.values_mut().find(|stored| stored.id == *id);
            found.ok_or_else(|| gone(id))?.beat = beat;
            Ok(())
        }))
    }

    fn remove<'a>(&'a self, id: &'a FolderId) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(self.call("removing", move |content| {
            content.folders.retain(|_, stored| stored.id != *id);
            Ok(())
        }))
    }
}
