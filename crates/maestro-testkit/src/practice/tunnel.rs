//! An SSH connection that makes an engine's socket on a ship reachable here, as a client would.

use super::command::SYSTEM_PATH;
use super::error::FleetError;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

const TICK: Duration = Duration::from_millis(10);

/// Closed when dropped.
#[derive(Debug)]
pub(crate) struct Tunnel {
    directory: TempDir,
    _ssh: Child,
}

impl Tunnel {
    /// Logs in to `host` of an ssh configuration and forwards a socket, within the deadline.
    pub(crate) async fn open(
        config: &Path,
        host: &str,
        remote: &Path,
        deadline: Duration,
    ) -> Result<Tunnel, FleetError> {
        let failed = |source| FleetError::Io { what: format!("open an SSH connection to {host}"), source };
        let directory = tempfile::Builder::new().prefix("mp-").tempdir().map_err(failed)?;
        let socket = directory.path().join("s");
        let mut ssh = Command::new("ssh")
            .arg("-F")
            .arg(config)
            .args(["-N", "-T", "-o", "ExitOnForwardFailure=yes", "-L"])
            .arg(format!("{}:{}", socket.display(), remote.display()))
            .arg(host)
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let started = Instant::now();
        // ssh makes the socket when it has logged in, and listens at it a moment later.
        while UnixStream::connect(&socket).await.is_err() {
            if ssh.try_wait().map_err(failed)?.is_some() {
                let output = ssh.wait_with_output().await.map_err(failed)?;
                return Err(FleetError::Command {
                    command: format!("ssh -F {} {host}", config.display()),
                    status: output.status.to_string(),
                    output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                });
            }
            if started.elapsed() > deadline {
                return Err(FleetError::Deadline {
                    what: format!("the SSH connection to {host} did not open"),
                    waited: deadline,
                    detail: String::new(),
                });
            }
            tokio::time::sleep(TICK).await;
        }
        Ok(Tunnel { directory, _ssh: ssh })
    }

    /// The socket on this side.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("s")
    }
}
