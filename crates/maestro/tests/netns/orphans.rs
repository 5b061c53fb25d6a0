//! However a command ends, no `ssh` of it goes on.

use super::site::{Site, until};
use maestro_testkit::practice::{PracticeFleet, TransportKind};
use rustix::process::{Pid, Signal, kill_process};

/// Every `ssh` on this machine that was started with the fleet's own configuration, as its command line.
fn masters(site: &Site) -> Vec<String> {
    let config = site.fleet.description().ssh_config.as_ref().unwrap().display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| {
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.starts_with("ssh ") && line.contains(&config)).collect()
}

/// Well within the minute after which a forgotten master would end by itself.
async fn none_is_left(site: &Site, after: &str) {
    until(&format!("no ssh is left after {after}"), async || masters(site).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_ssh_is_left_behind() {
    let site = Site::up(PracticeFleet::builder().ships(&[TransportKind::Ssh, TransportKind::Tcp])).await;
    site.write(&format!(
        "  tick:\n    image: {}\n    instances:\n      tick-1: {{ship: ship-1, stop_timeout: 30, command: \"sh -c \
         'trap : TERM; while :; do echo tick; sleep 1; done'\"}}\n      tick-2: {{ship: ship-2, stop_timeout: 0}}\n",
        site.image("bb:latest")
    ));
    for line in ["start tick-1", "status", "exec tick-1 false", "exec nobody true", "logs -n 1 tick"] {
        site.maestro(line).await;
        none_is_left(&site, line).await;
    }

    let begun = |line: &'static str| {
        let (site, child) = (&site, site.spawn(line));
        async move {
            until(&format!("`maestro {line}` has logged in"), async || !masters(site).is_empty()).await;
            child
        }
    };
    // What goes on for ever, and what has stopped to ask a container that does not want to.
    for line in ["logs -F tick", "events", "exec tick-1 sleep 1000", "stop tick-1"] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let mut child = begun(line).await;
            let end = format!("`maestro {line}` ends by {signal:?}");
            until(&end, async || {
                // A second one, for what would rather finish what is under way.
                kill_process(Pid::from_child(&child), signal).ok();
                child.try_wait().unwrap().is_some()
            })
            .await;
            none_is_left(&site, &end).await;
        }
    }
    // Once is enough where nothing has been begun.
    site.fleet.hang("ship-1").await.unwrap();
    for line in
        ["status", "plan restart", "logs tick", "logs -F tick", "events", "exec tick-1 true", "stop --all"]
    {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let mut child = begun(line).await;
            kill_process(Pid::from_child(&child), signal).unwrap();
            let end = format!("`maestro {line}` ends by {signal:?} while the engine hangs");
            until(&end, async || child.try_wait().unwrap().is_some()).await;
            none_is_left(&site, &end).await;
        }
    }
}
