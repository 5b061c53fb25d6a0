//! What a load balancer in a container needs of its engine: its file, signals, its processes, and its ports.

use super::classify;
use super::docker::DockerEngine;
use super::shelf::tar_request;
use super::wire::encoded;
use super::{Connection, host};
use futures_util::TryStreamExt as _;
use http::{Method, Request};
use maestro_core::boundary::{AttachOptions, Engine as _, LogStream};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::plan::Target;
use serde::Deserialize;
use std::io::{self, Read as _};
use std::time::Duration;
use tokio::time::timeout;

/// How much of a program's output is kept while it runs, in bytes.
const MOST_OUTPUT: usize = 1 << 16;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Top {
    #[serde(default)]
    titles: Vec<String>,
    #[serde(default)]
    processes: Option<Vec<Vec<String>>>,
}

impl DockerEngine {
    /// Puts a file into a container, running or not; the directory has to be there.
    pub async fn put_file(&self, target: &Target, path: &str, content: &[u8]) -> Result<(), EngineError> {
        let what = || format!("writing {path} in {}", target.name());
        self.on_shelf(what, self.writing(), async move |call| {
            let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
            let archive = packed(name, content).map_err(|error| classify::odd(&error.to_string()))?;
            let address = format!(
                "/containers/{}/archive?path={}",
                encoded(target.reference()),
                encoded(if directory.is_empty() { "/" } else { directory })
            );
            self.wire.send(&call, tar_request(Method::PUT), &address, archive).await.map(drop)
        })
        .await
    }

    /// A file of a container; none if it is not there.
    pub async fn get_file(&self, target: &Target, path: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let what = || format!("reading {path} in {}", target.name());
        self.on_shelf(what, self.writing(), async move |call| {
            let address =
                format!("/containers/{}/archive?path={}", encoded(target.reference()), encoded(path));
            let answer =
                match self.wire.send(&call, Request::builder().method(Method::GET), &address, "").await {
                    Err(EngineErrorKind::NotFound(message)) if !message.contains("No such container") => {
                        return Ok(None);
                    }
                    answer => answer?,
                };
            let bytes = self.wire.whole(&call, answer).await?;
            unpacked(&bytes).map_err(|error| classify::odd(&error.to_string()))
        })
        .await
    }

    /// Sends a signal to the first process of a container.
    pub async fn signal(&self, target: &Target, signal: &str) -> Result<(), EngineError> {
        let what = || format!("sending SIG{signal} to {}", target.name());
        self.on_shelf(what, self.writing(), async move |call| {
            let path = format!("/containers/{}/kill?signal=SIG{signal}", encoded(target.reference()));
            self.wire.post(&call, &path, Vec::new()).await.map(drop)
        })
        .await
    }

    /// The command lines of a container's processes; none if its host has no `ps`.
    pub async fn processes(&self, target: &Target) -> Result<Option<Vec<String>>, EngineError> {
        let what = || format!("looking at the processes of {}", target.name());
        self.on_shelf(what, self.reading(), async move |call| {
            let path = format!("/containers/{}/top", encoded(target.reference()));
            match self.wire.get::<Top>(&call, &path).await {
                Ok(top) => {
                    let column = top.titles.iter().position(|title| matches!(&**title, "CMD" | "COMMAND"));
                    Ok(column.map(|column| {
                        let rows = top.processes.unwrap_or_default().into_iter();
                        rows.filter_map(|mut row| (column < row.len()).then(|| row.swap_remove(column)))
                            .collect()
                    }))
                }
                Err(EngineErrorKind::Api { status: 500, .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Runs a program in a container, as root, to its end: its exit code and the end of what it wrote.
    pub async fn run_with_output(
        &self,
        target: &Target,
        command: &[String],
        within: Duration,
    ) -> Result<(i64, String), EngineError> {
        let options = AttachOptions {
            command: command.to_vec(),
            user: Some("0".to_owned()),
            ..AttachOptions::default()
        };
        let run = async {
            let mut session = self.attach(target, &options).await?;
            let (mut out, mut err) = (Vec::new(), Vec::new());
            while let Some(piece) = session.output.try_next().await? {
                let kept = if piece.stream == LogStream::Stdout { &mut out } else { &mut err };
                kept.extend(piece.bytes);
                let surplus = kept.len().saturating_sub(MOST_OUTPUT);
                kept.drain(..surplus);
            }
            Ok((self.exit_code(&session.id).await?, host::tail(&out, &err)))
        };
        match timeout(within, run).await {
            Ok(result) => result,
            Err(_) => {
                let what =
                    format!("running `{}` in {}", command.first().map_or("", |word| word), target.name());
                Err(self.failed(what, self.wire.unresponsive(within), true))
            }
        }
    }

    /// A connection to a port of the ship: to `inside` as the ship itself has it, through SSH where the ship is reached so,
    /// else to `outside`.
    pub async fn connect_to(
        &self,
        outside: &str,
        inside: &str,
        port: u16,
    ) -> Result<Connection, EngineError> {
        let connection = self.wire.dialer().dial_port(outside, inside, port).await;
        // Nothing is concluded about the engine.
        connection.map_err(|kind| {
            super::docker::error(&self.ship.name, format!("connecting to port {port}"), kind, false)
        })
    }
}

fn packed(name: &str, content: &[u8]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content)?;
    archive.into_inner()
}

fn unpacked(archive: &[u8]) -> io::Result<Option<Vec<u8>>> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            return Ok(Some(content));
        }
    }
    Ok(None)
}
