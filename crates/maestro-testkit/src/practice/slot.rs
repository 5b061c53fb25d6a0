//! Which fleet has which subnet and names, and who answers for it.
//!
//! A fleet owns a slot: a numbered directory with a record of all that the fleet may make, written before any of
//! it is made. The process that brings a fleet up holds a lock on that directory, which the kernel lets go when the
//! process ends, however it ends. So a record without a lock is either a fleet that was left running on purpose
//! (it is marked) or one whose owner died, which anybody may take down.

use super::command::Runner;
use super::error::FleetError;
use super::layout::{Layout, RUN, SLOTS, slot_dir};
use super::teardown::teardown;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const RECORD: &str = "record.json";
const DETACHED: &str = "detached";
/// File in the state directory that says whose it is.
const MARKER: &str = "slot";

/// What taking a fleet down needs to know.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    slot: u16,
    state: PathBuf,
    ships: usize,
}

impl Record {
    fn read(slot: u16) -> Option<Record> {
        let text = fs::read(slot_dir(slot).join(RECORD)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn layout(self) -> Layout {
        Layout { slot: self.slot, state: self.state, ships: self.ships }
    }
}

/// The right to change a fleet. Given up when it is dropped or its process ends, and all programs that hold it too
/// have ended.
#[derive(Debug)]
pub(crate) struct Lock {
    directory: Arc<File>,
}

impl Lock {
    pub(crate) fn runner(&self) -> Runner {
        Runner::holding(&self.directory)
    }
}

/// Locks a slot, unless another process has it or it is gone.
fn try_lock(slot: u16) -> Result<Option<Lock>, FleetError> {
    let path = slot_dir(slot);
    let failed = |source| FleetError::Io { what: format!("lock {}", path.display()), source };
    let directory = match File::open(&path) {
        Ok(directory) => directory,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match directory.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // The last holder may have removed the directory before it let go; then this locks nothing.
    let held = directory.metadata().map_err(failed)?;
    match fs::metadata(&path) {
        Ok(there) if there.ino() == held.ino() && there.dev() == held.dev() => {
            Ok(Some(Lock { directory: Arc::new(directory) }))
        }
        _ => Ok(None),
    }
}

/// Takes a free slot for a new fleet and records what it will make.
pub(crate) async fn claim(state: &Path, ships: usize) -> Result<(Layout, Lock), FleetError> {
    for slot in 0..SLOTS {
        if !make_slot_dir(slot)? {
            continue;
        }
        let Some(lock) = try_lock(slot)? else { continue };
        if !network_is_free(slot).await? {
            remove_slot_dir(slot)?;
            continue;
        }
        let record = Record { slot, state: state.to_owned(), ships };
        write_record(&record)?;
        let layout = record.layout();
        if let Err(error) = claim_state(&layout) {
            remove_slot_dir(slot)?;
            return Err(error);
        }
        return Ok((layout, lock));
    }
    Err(FleetError::NoFreeSlot { run: PathBuf::from(RUN) })
}

/// The one name of a state directory, whatever links lead there. It need not exist yet.
pub(crate) fn resolve(state: &Path) -> Result<PathBuf, FleetError> {
    let failed = || FleetError::io(format!("resolve {}", state.display()));
    if let Ok(resolved) = state.canonicalize() {
        return Ok(resolved);
    }
    let state = std::path::absolute(state).map_err(failed())?;
    match (state.parent().map(Path::canonicalize), state.file_name()) {
        (Some(Ok(parent)), Some(name)) => Ok(parent.join(name)),
        _ => Ok(state),
    }
}

/// Makes the directory of a slot; false if there is one.
fn make_slot_dir(slot: u16) -> Result<bool, FleetError> {
    let path = slot_dir(slot);
    // The parent goes when the last fleet does, which may be at this moment.
    for _ in 0..100 {
        fs::create_dir_all(RUN).map_err(FleetError::io(format!("make {RUN}")))?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(FleetError::io(format!("make {}", path.display()))(error)),
        }
    }
    Ok(false)
}

fn write_record(record: &Record) -> Result<(), FleetError> {
    let path = slot_dir(record.slot).join(RECORD);
    let partial = path.with_extension("partial");
    let failed = || FleetError::io(format!("write {}", path.display()));
    let text = serde_json::to_vec(record).map_err(|error| failed()(error.into()))?;
    fs::write(&partial, text).map_err(failed())?;
    fs::rename(&partial, &path).map_err(failed())
}

/// Whether nothing on this machine uses the names and addresses of a slot.
async fn network_is_free(slot: u16) -> Result<bool, FleetError> {
    let layout = Layout { slot, state: PathBuf::new(), ships: 1 };
    let taken = Path::new("/sys/class/net").join(layout.host_link()).exists()
        || layout.namespaces().iter().any(|name| Path::new("/run/netns").join(name).exists());
    if taken {
        return Ok(false);
    }
    let subnet = layout.subnet();
    let addresses = Runner::default().run("ip", &["-4", "-o", "address", "show", "to", &subnet]).await?;
    let routes = Runner::default().run("ip", &["-4", "route", "show", "root", &subnet]).await?;
    Ok(addresses.trim().is_empty() && routes.trim().is_empty())
}

/// Makes the state directory and marks it as this fleet's. It must be new or empty, or left over from a fleet that
/// is gone (after a reboot).
fn claim_state(layout: &Layout) -> Result<(), FleetError> {
    let path = &layout.state;
    let refuse = |why: &str| FleetError::State { path: path.clone(), why: why.to_owned() };
    if path.starts_with("/run") || path.starts_with("/var/run") {
        return Err(refuse(
            "a ship has a /run of its own and would not see it; choose a directory elsewhere",
        ));
    }
    if path.to_str().is_none_or(|text| text.contains(['"', '\n', '\\', ':', ',', ' '])) {
        return Err(refuse("the path has a character that ssh or docker configuration cannot hold"));
    }
    if let Some(slot) = marked_slot(path) {
        if slot != layout.slot && Record::read(slot).is_some_and(|record| record.state == *path) {
            return Err(refuse("a fleet is up there; take it down first with `practice-fleet down`"));
        }
        fs::remove_dir_all(path).map_err(FleetError::io(format!("remove {}", path.display())))?;
    }
    let failed = || FleetError::io(format!("make {}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed())?;
    if fs::read_dir(path).map_err(failed())?.next().is_some() {
        return Err(refuse(
            "it is not empty, and all of it would be removed with the fleet; choose a new one",
        ));
    }
    match File::create_new(path.join(MARKER)) {
        Ok(mut marker) => write!(marker, "{}", layout.slot).map_err(failed()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(refuse("another fleet is coming up there; choose another directory"))
        }
        Err(error) => Err(failed()(error)),
    }
}

/// The slot whose fleet owns this state directory, by its own account.
fn marked_slot(state: &Path) -> Option<u16> {
    fs::read_to_string(state.join(MARKER)).ok()?.trim().parse().ok()
}

/// Whether the state directory is this fleet's to remove.
pub(crate) fn owns_state(layout: &Layout) -> bool {
    marked_slot(&layout.state) == Some(layout.slot)
}

/// Says that the fleet stays when its maker ends.
pub(crate) fn mark_detached(layout: &Layout) -> Result<(), FleetError> {
    let path = layout.run().join(DETACHED);
    File::create(&path).map(drop).map_err(FleetError::io(format!("make {}", path.display())))
}

/// Removes a slot's directory, and the directory of slots when it was the last one.
pub(crate) fn remove_slot_dir(slot: u16) -> Result<(), FleetError> {
    let path = slot_dir(slot);
    match fs::remove_dir_all(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(FleetError::io(format!("remove {}", path.display()))(error)),
    }
    // Fails while there are other fleets, as it should.
    fs::remove_dir(RUN).ok();
    Ok(())
}

/// Every slot that has a directory.
fn slots() -> Vec<u16> {
    let entries = fs::read_dir(RUN).into_iter().flatten().flatten();
    let mut slots: Vec<u16> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    slots.sort_unstable();
    slots
}

/// The fleet whose state directory this is.
pub(crate) fn find(state: &Path) -> Option<Layout> {
    let records = slots().into_iter().filter_map(Record::read);
    records.into_iter().find(|record| record.state == state).map(Record::layout)
}

/// Takes down every fleet whose owner died before it was finished or taken down. Returns how many, or the first fault
/// of those that cannot be taken down; the others are gone then, too.
pub(crate) async fn sweep() -> Result<usize, FleetError> {
    let mut swept = Ok(0);
    for slot in slots() {
        match (sweep_slot(slot).await, &mut swept) {
            (Ok(true), Ok(swept)) => *swept += 1,
            (Err(error), Ok(_)) => swept = Err(error),
            (Ok(_) | Err(_), _) => {}
        }
    }
    swept
}

/// Takes down the fleet of one slot, if it is an orphan. Returns whether there was one.
async fn sweep_slot(slot: u16) -> Result<bool, FleetError> {
    let Some(lock) = try_lock(slot)? else { return Ok(false) };
    match Record::read(slot) {
        Some(record)
            if slot_dir(slot).join(DETACHED).exists() && marked_slot(&record.state) == Some(slot) =>
        {
            Ok(false)
        }
        Some(record) => teardown(&record.layout(), &lock).await.map(|()| true),
        // Its maker died before it had made anything else.
        None => remove_slot_dir(slot).map(|()| false),
    }
}

/// Locks a fleet, waiting a while for processes that are just ending. Nothing if somebody else took it down.
pub(crate) async fn lock(layout: &Layout) -> Result<Option<Lock>, FleetError> {
    let limit = Duration::from_secs(10);
    let started = Instant::now();
    loop {
        if let Some(lock) = try_lock(layout.slot)? {
            return Ok(Some(lock));
        }
        if !slot_dir(layout.slot).exists() {
            return Ok(None);
        }
        if started.elapsed() > limit {
            return Err(FleetError::State {
                path: layout.state.clone(),
                why: "the process that brought this fleet up is still running and owns it; end that first"
                    .to_owned(),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Removes the state directory of a fleet that a reboot took down. False if the directory is not a fleet's.
pub(crate) fn remove_leftover_state(state: &Path) -> Result<bool, FleetError> {
    // Left behind where a process was killed at its very first step.
    fs::remove_dir(RUN).ok();
    if marked_slot(state).is_none() {
        return Ok(false);
    }
    fs::remove_dir_all(state).map_err(FleetError::io(format!("remove {}", state.display())))?;
    Ok(true)
}
