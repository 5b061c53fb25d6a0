//! Taking a fleet down, whatever state it is in. Works from the layout alone and may be repeated.

use super::command::Runner;
use super::error::FleetError;
use super::layout::Layout;
use super::process;
use super::slot::{self, Lock};
use futures_util::future::join_all;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long killed processes may take to be gone.
const DEATH: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_millis(10);

/// Ends engines, containers and servers, then removes mounts, control groups, namespaces and the
/// directories. Goes on after a failure; reports all that is left at the end.
pub(crate) async fn teardown(layout: &Layout, lock: &Lock) -> Result<(), FleetError> {
    let runner = lock.runner();
    let mut left = Vec::new();
    if let Err(error) = stop_processes(layout).await {
        left.push(chain(&error));
    }
    let directories = [layout.state.clone(), layout.run()];
    for point in process::mounts_below(&directories) {
        // Lazily: what still has a file open there is about to end.
        if let Err(error) = runner.run("umount", &["--lazy".as_ref(), point.as_os_str()]).await {
            left.push(chain(&error));
        }
    }
    left.extend(remove_cgroups(layout).await);
    left.extend(remove_network(layout, &runner).await);
    if slot::owns_state(layout)
        && let Err(error) = remove_state(&layout.state)
    {
        left.push(chain(&error));
    }
    if !left.is_empty() {
        return Err(FleetError::Left { left });
    }
    slot::remove_slot_dir(layout.slot)
}

/// Kills all that runs in the fleet's namespaces and control groups, again and again until nothing is left: an
/// engine may be starting a container at this moment. Engines are not asked to stop: that takes seconds, and
/// what they would tidy up (mounts, addresses, packet filters) is in namespaces of their own and goes with those.
async fn stop_processes(layout: &Layout) -> Result<(), FleetError> {
    let namespaces = layout.namespaces();
    let started = Instant::now();
    loop {
        let processes = process::in_namespaces(&namespaces);
        process::signal(&processes, Signal::KILL)?;
        let containers = kill_containers(layout)?;
        if processes.is_empty() && containers == 0 {
            return Ok(());
        }
        if started.elapsed() > DEATH {
            return Err(FleetError::Deadline {
                what: format!("processes {processes:?} and {containers} in containers did not end"),
                waited: DEATH,
                detail: String::new(),
            });
        }
        tokio::time::sleep(TICK).await;
    }
}

fn kill_containers(layout: &Layout) -> Result<usize, FleetError> {
    let pids: Vec<i32> =
        (0..layout.ships).flat_map(|ship| process::in_cgroup(&layout.cgroup(ship))).collect();
    process::signal(&pids, Signal::KILL)?;
    (0..layout.ships).for_each(|ship| process::thaw(&layout.cgroup(ship)));
    Ok(pids.len())
}

/// The kernel lets go of a control group a moment after its last process.
async fn remove_cgroups(layout: &Layout) -> Vec<String> {
    let names: Vec<String> = (0..layout.ships).map(|ship| layout.cgroup(ship)).collect();
    let started = Instant::now();
    loop {
        for name in &names {
            process::remove_cgroup(name);
        }
        let left: Vec<PathBuf> = names.iter().flat_map(|name| process::cgroup_directories(name)).collect();
        if left.is_empty() || started.elapsed() > DEATH {
            return left.iter().map(|path| format!("control group {}", path.display())).collect();
        }
        tokio::time::sleep(TICK).await;
    }
}

/// A namespace takes its end of each cable with it, and so the other one.
async fn remove_network(layout: &Layout, runner: &Runner) -> Vec<String> {
    let namespaces =
        layout.namespaces().into_iter().filter(|name| Path::new("/run/netns").join(name).exists());
    let removals = namespaces.map(|name| async move { runner.run("ip", &["netns", "delete", &name]).await });
    let mut results = join_all(removals).await;
    let link = layout.host_link();
    let there = || Path::new("/sys/class/net").join(&link).exists();
    if there() {
        let result = runner.run("ip", &["link", "delete", &link]).await;
        // It may have gone with its namespace before it was deleted here.
        if there() {
            results.push(result);
        }
    }
    results.into_iter().filter_map(Result::err).map(|error| chain(&error)).collect()
}

fn remove_state(state: &Path) -> Result<(), FleetError> {
    match std::fs::remove_dir_all(state) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FleetError::io(format!("remove {}", state.display()))(error))
        }
        _ => Ok(()),
    }
}

/// An error with all that caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
