//! A host that is reached through SSH for something else than an engine: commands, and ports of its own.

use super::ssh::{Login, Ssh};
use super::{Connection, EngineOptions};
use maestro_core::boundary::Deadlines;
use maestro_core::model::{RemoteHost, SshRemote};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::either::Either;

/// A host. Logs in when it is first used, once for all that is asked of it.
pub struct Host {
    ssh: Ssh,
}

/// Why something could not be done on a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// What is kept of the end of a program's output, in bytes.
const TAIL: usize = 4096;

impl Host {
    /// A host, of which this port of its loopback will be asked for.
    pub fn new(host: &RemoteHost, port: u16, options: &EngineOptions) -> Self {
        let login = Login { host: host.host.clone(), port: host.port, user: host.user.clone(), key: None };
        let address = format!("ssh://{host}");
        Self { ssh: Ssh::new(login, SshRemote::Port(port), address, Deadlines::DEFAULT_READ, options) }
    }

    /// Runs a program to its end: its exit code, none if a signal ended it, and the end of what it wrote.
    pub async fn run(
        &self,
        command: &[String],
        input: &[u8],
        within: Duration,
    ) -> Result<(Option<i32>, String), HostError> {
        match timeout(within, self.ssh.run(command, input)).await {
            Ok(ran) => ran.map_err(|error| HostError(error.to_string())),
            Err(_) => Err(HostError(format!("no end within {} s", within.as_secs_f64()))),
        }
    }

    /// A connection to the port that was named.
    pub async fn connect(&self) -> Result<Connection, HostError> {
        self.ssh.open().await.map(Either::Right).map_err(|error| HostError(error.to_string()))
    }
}

/// The end of what a program wrote, on either stream.
pub(super) fn tail(stdout: &[u8], stderr: &[u8]) -> String {
    let text = [stdout, stderr].map(|bytes| {
        String::from_utf8_lossy(bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or_default())
            .trim()
            .to_owned()
    });
    text.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}
