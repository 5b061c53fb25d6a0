//! Finding and signalling the processes of a fleet.
//!
//! Nothing is found by name: a process belongs to a ship if it is in the ship's network namespace (engine,
//! containerd, shims, proxies, sshd) or in one of the ship's control groups (containers).

use super::error::FleetError;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where `ip netns` keeps the namespaces.
const NETNS: &str = "/run/netns";

/// The processes whose network namespace has one of these names.
pub(crate) fn in_namespaces(names: &[String]) -> Vec<i32> {
    let wanted: Vec<(u64, u64)> =
        names.iter().filter_map(|name| identity(&Path::new(NETNS).join(name))).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            wanted.contains(&identity(&entry.path().join("ns/net"))?).then_some(pid)
        })
        .collect()
}

/// What the kernel calls the namespace behind a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// The processes in a control group of this name, at the top of any hierarchy, and in the groups below it.
pub(crate) fn in_cgroup(name: &str) -> Vec<i32> {
    let mut pids = Vec::new();
    for root in cgroup_directories(name) {
        visit(&root, &mut |directory| {
            let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            pids.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        });
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Lets the processes of a control group of this name run that somebody has frozen, a paused container's for one: they
/// could not end otherwise, whatever signal they get.
pub(crate) fn thaw(name: &str) {
    for root in cgroup_directories(name) {
        visit(&root, &mut |directory| {
            // The two versions of control groups; each has one of the files, or none at the top.
            for (file, running) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
                let file = directory.join(file);
                if file.exists() {
                    fs::write(file, running).ok();
                }
            }
        });
    }
}

/// Removes the (empty) control groups of this name. Those that still have processes stay.
pub(crate) fn remove_cgroup(name: &str) {
    for root in cgroup_directories(name) {
        visit(&root, &mut |directory| drop(fs::remove_dir(directory)));
    }
}

/// The directories of a control group, one per hierarchy that has it.
pub(crate) fn cgroup_directories(name: &str) -> Vec<PathBuf> {
    let roots = mounts().into_iter().filter(|mount| mount.kind == "cgroup" || mount.kind == "cgroup2");
    roots.map(|mount| mount.point.join(name)).filter(|path| path.is_dir()).collect()
}

/// Calls `on` for every directory of a tree, the deepest first.
fn visit(directory: &Path, on: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            visit(&entry.path(), on);
        }
    }
    on(directory);
}

/// Sends a signal to every process of the list. One that is gone already is no error.
pub(crate) fn signal(pids: &[i32], signal: Signal) -> Result<(), FleetError> {
    for pid in pids {
        let Some(target) = Pid::from_raw(*pid) else { continue };
        match kill_process(target, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(FleetError::io(format!("signal process {pid}"))(error.into())),
        }
    }
    Ok(())
}

/// Whether every thread of a process is stopped. A signal to stop reaches them one after the other.
pub(crate) fn is_stopped(pid: i32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let state = |path: PathBuf| {
        let stat = fs::read_to_string(path).unwrap_or_default();
        // The name in parentheses may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
    };
    tasks.map(|task| task.path().join("stat")).all(state)
}

/// A process id from a file, if such a process is in the namespace: a stale file must never hit a stranger.
pub(crate) fn from_pid_file(path: &Path, namespace: &str) -> Option<i32> {
    let pid: i32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let its_own = identity(&Path::new("/proc").join(pid.to_string()).join("ns/net"))?;
    (identity(&Path::new(NETNS).join(namespace))? == its_own).then_some(pid)
}

/// One line of this process's mount table.
struct Mount {
    point: PathBuf,
    kind: String,
}

fn mounts() -> Vec<Mount> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let line = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let point = unescape(left.split(' ').nth(4)?);
        Some(Mount { point, kind: right.split(' ').next()?.to_owned() })
    };
    table.lines().filter_map(line).collect()
}

/// What is mounted at or below one of these directories, the last mounted first.
pub(crate) fn mounts_below(directories: &[PathBuf]) -> Vec<PathBuf> {
    let below = |mount: &Mount| directories.iter().any(|directory| mount.point.starts_with(directory));
    let mut points: Vec<PathBuf> =
        mounts().into_iter().filter(|mount| below(mount)).map(|mount| mount.point).collect();
    points.reverse();
    points
}

/// The kernel writes blanks, tabs, newlines and backslashes of a path as octal numbers.
fn unescape(text: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    let text = escapes.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain));
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_id_that_is_not_in_the_namespace_is_not_believed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), std::process::id().to_string()).unwrap();
        assert_eq!(from_pid_file(file.path(), "mp-no-such-namespace"), None);
    }

    #[test]
    fn mount_points_with_blanks_are_read_back() {
        assert_eq!(unescape("/a\\040b\\134c"), PathBuf::from("/a b\\c"));
    }

    #[test]
    fn the_mount_table_of_this_machine_is_readable() {
        assert!(mounts().iter().any(|mount| mount.point == Path::new("/proc") && mount.kind == "proc"));
    }
}
