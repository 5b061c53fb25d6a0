//! Programs that the harness runs: short ones to their end, servers into the background.

use super::error::FleetError;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

/// How long a short program (`ip`, `mount`, `ssh-keygen`) may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Moves the lock out of the way of a program that opens something else as its standard input (`ip -batch` does),
/// and becomes that program.
const KEEP_LOCK: &str = r#"exec 3<&0 </dev/null "$@""#;

/// The search path for everything that is run, so that nothing depends on the caller's.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs programs for a fleet.
///
/// Each of them inherits the fleet's lock, by way of its standard input: if this process is killed, nobody takes
/// the fleet for abandoned while a program that it started goes on building.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runner {
    lock: Option<Arc<File>>,
}

impl Runner {
    /// Runs programs that hold this lock. The default one holds none.
    pub(crate) fn holding(lock: &Arc<File>) -> Runner {
        Runner { lock: Some(Arc::clone(lock)) }
    }

    fn input(&self) -> Result<Stdio, FleetError> {
        let Some(lock) = &self.lock else { return Ok(Stdio::null()) };
        lock.try_clone().map(Stdio::from).map_err(FleetError::io("share the lock of a fleet"))
    }

    /// Runs `program` to its end and returns what it wrote to its output.
    pub(crate) async fn run<A: AsRef<OsStr>>(&self, program: &str, args: &[A]) -> Result<String, FleetError> {
        let shown = shown(program, args);
        let failed = |source| FleetError::Io { what: format!("run `{shown}`"), source };
        let output = Command::new("sh")
            .args(["-c", KEEP_LOCK, "sh", program])
            .args(args)
            .env("PATH", SYSTEM_PATH)
            .env("LC_ALL", "C")
            .stdin(self.input()?)
            .kill_on_drop(true)
            .output();
        let Ok(output) = tokio::time::timeout(LIMIT, output).await else {
            return Err(FleetError::Deadline {
                what: format!("`{shown}` did not end"),
                waited: LIMIT,
                detail: String::new(),
            });
        };
        let output = output.map_err(failed)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = [output.stderr, output.stdout].concat();
        Err(FleetError::Command {
            command: shown,
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&said).trim().replace('\n', "; "),
        })
    }

    /// Starts a server that outlives this process: in the namespace `netns`, in a session of its own, no terminal,
    /// a clean environment (in particular no proxy settings, which an engine would use for its registry),
    /// everything it says in `log`. `prepare` is shell code that is run there first, without access to the
    /// machine's mounts; it sees the server's program and arguments as its own.
    ///
    /// `setsid --fork` makes the server a child of init, so no zombie of it is ever left with the caller. It lets
    /// go of the lock when it can be found in its namespace.
    pub(crate) async fn launch(
        &self,
        netns: &str,
        prepare: &str,
        server: &[PathBuf],
        environment: &[(&str, &str)],
        log: &Path,
    ) -> Result<(), FleetError> {
        let failed = || FleetError::io(format!("open the log {}", log.display()));
        let file = File::options().create(true).append(true).open(log).map_err(failed())?;
        let second = file.try_clone().map_err(failed())?;
        let netns = format!("--net=/run/netns/{netns}");
        let script = format!("{prepare} exec \"$@\" </dev/null");
        let enter = ["--fork", "nsenter", &netns, "unshare", "--mount", "--propagation", "slave"];
        let become_server = ["sh", "-e", "-c", &script, "sh"];
        let words = enter.iter().chain(&become_server).map(OsStr::new);
        let args: Vec<&OsStr> = words.chain(server.iter().map(|word| word.as_os_str())).collect();
        let shown = shown("setsid", &args);
        let mut child = Command::new("setsid")
            .args(&args)
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .envs(environment.iter().copied())
            .current_dir("/")
            .stdin(self.input()?)
            .stdout(file)
            .stderr(second)
            .spawn()
            .map_err(|source| FleetError::Io { what: format!("run `{shown}`"), source })?;
        let Ok(status) = tokio::time::timeout(LIMIT, child.wait()).await else {
            return Err(FleetError::Deadline {
                what: format!("`{shown}` did not go into the background"),
                waited: LIMIT,
                detail: String::new(),
            });
        };
        let status = status.map_err(|source| FleetError::Io { what: format!("run `{shown}`"), source })?;
        if status.success() {
            return Ok(());
        }
        Err(FleetError::Command { command: shown, status: status.to_string(), output: tail(log) })
    }
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(4);
    let said = lines.get(from..).unwrap_or_default().join(" | ");
    if said.is_empty() { "(nothing)".to_owned() } else { said }
}

fn shown<A: AsRef<OsStr>>(program: &str, args: &[A]) -> String {
    let mut shown = program.to_owned();
    for arg in args {
        shown.push(' ');
        shown.push_str(&arg.as_ref().to_string_lossy());
    }
    shown
}
