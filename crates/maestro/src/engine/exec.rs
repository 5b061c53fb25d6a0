//! Programs run in containers.

use super::classify;
use super::docker::{DockerEngine, error, is_cut_off};
use super::frames::Frames;
use super::version::Negotiated;
use super::wire::{Call, encoded, json};
use bollard_stubs::models::{ExecConfig, ExecInspectResponse, IdResponse};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use futures_util::{SinkExt, Stream};
use http::header::{CONNECTION, UPGRADE};
use http::{Method, Request};
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use maestro_core::boundary::{AttachOptions, ExecOutput, ExecSession};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::model::ApiVersion;
use maestro_core::plan::Target;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::codec::{BytesCodec, FramedWrite};
use tokio_util::io::ReaderStream;

/// A check's program that runs longer than this is stuck.
const LONGEST_RUN: Duration = Duration::from_hours(1);
/// First pause before asking again how a program ended whose output is over.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Since when programs can be given variables, and a directory.
const EXEC_ENV: ApiVersion = ApiVersion { major: 1, minor: 25 };
const EXEC_WORKDIR: ApiVersion = ApiVersion { major: 1, minor: 35 };

impl DockerEngine {
    /// Runs a program to its end.
    pub(super) async fn run(&self, target: &Target, command: &[String]) -> Result<i64, EngineError> {
        let run = async {
            let version = self.version().await?;
            let options = AttachOptions { command: command.to_vec(), ..AttachOptions::default() };
            let (id, connection) = self.start(&version, target, &options).await?;
            let drained = async {
                let mut output = ReaderStream::new(TokioIo::new(connection)).map_err(lost);
                while self.liveness.watch(output.try_next()).await?.is_some() {}
                Ok(())
            };
            match timeout(LONGEST_RUN, drained).await {
                Ok(result) => result?,
                Err(_) => return Err(self.wire.unresponsive(LONGEST_RUN)),
            }
            self.ended(&version, &id).await
        };
        run.await.map_err(|kind| self.cut_short(target, command, kind))
    }

    /// Starts a program and connects to its streams.
    pub(super) async fn attach_to(
        &self,
        target: &Target,
        options: &AttachOptions,
    ) -> Result<ExecSession, EngineError> {
        let started = async {
            let version = self.version().await?;
            self.start(&version, target, options).await
        };
        let (id, connection) =
            started.await.map_err(|kind| self.cut_short(target, &options.command, kind))?;
        let ship = self.ship.name.clone();
        let operation: Arc<str> = running(target, &options.command).into();
        let (read, write) = tokio::io::split(TokioIo::new(connection));
        let pieces = ReaderStream::new(read).map_err(lost);
        let failed = {
            let (ship, operation) = (ship.clone(), operation.clone());
            move |kind| error(&ship, &*operation, kind, false)
        };
        let input = FramedWrite::new(write, BytesCodec::new())
            .with(|bytes: Vec<u8>| ready(Ok::<_, io::Error>(Bytes::from(bytes))))
            .sink_map_err(move |broken| error(&ship, &*operation, lost(broken), false));
        Ok(ExecSession {
            id,
            output: output(self.liveness.follow(pieces), options.tty.is_some()).map_err(failed).boxed(),
            input: Box::pin(input),
        })
    }

    /// Tells a terminal program its window's size.
    pub(super) async fn resize_terminal(
        &self,
        exec: &str,
        width: u16,
        height: u16,
    ) -> Result<(), EngineError> {
        let resize = async {
            let (_, call) = self.read_call().await?;
            self.wire.post(&call, &resize_path(exec, width, height), Vec::new()).await.map(drop)
        };
        resize.await.map_err(|kind| self.failed("resizing the terminal", kind, false))
    }

    /// How a program ended.
    pub(super) async fn exit_code_of(&self, exec: &str) -> Result<i64, EngineError> {
        let ended = async {
            let version = self.version().await?;
            self.ended(&version, exec).await
        };
        ended.await.map_err(|kind| self.failed("asking how the program ended", kind, false))
    }

    fn cut_short(&self, target: &Target, command: &[String], kind: EngineErrorKind) -> EngineError {
        let ambiguous = is_cut_off(&kind);
        self.failed(running(target, command), kind, ambiguous)
    }

    async fn start(
        &self,
        version: &Negotiated,
        target: &Target,
        options: &AttachOptions,
    ) -> Result<(String, Upgraded), EngineErrorKind> {
        let too_old = |what: &str, since| EngineErrorKind::ApiVersion {
            engine_min: version.engine.min_api,
            engine_max: version.engine.api,
            wanted: format!("{what} needs {since} and {} is spoken", version.api),
        };
        if !options.env.is_empty() && version.api < EXEC_ENV {
            return Err(too_old("running a program with variables of its own", EXEC_ENV));
        }
        if options.workdir.is_some() && version.api < EXEC_WORKDIR {
            return Err(too_old("running a program in a directory of its own", EXEC_WORKDIR));
        }
        let config = ExecConfig {
            attach_stdin: Some(options.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(options.tty.is_some()),
            cmd: Some(options.command.clone()),
            user: options.user.clone(),
            working_dir: options.workdir.clone(),
            env: (!options.env.is_empty()).then(|| options.env.clone()),
            ..ExecConfig::default()
        };
        let call = self.call(version);
        let path = format!("/containers/{}/exec", encoded(target.reference()));
        let created = self.wire.post(&call, &path, json(&config)?).await?;
        let IdResponse { id } = self.wire.decode(&call, created).await?;

        let call = self.call(version);
        let post =
            Request::builder().method(Method::POST).header(CONNECTION, "Upgrade").header(UPGRADE, "tcp");
        let body = serde_json::json!({"Detach": false, "Tty": options.tty.is_some()}).to_string();
        let response = self.wire.send(&call, post, &format!("/exec/{id}/start"), body).await?;
        let connection = self.wire.within(&call, async {
            hyper::upgrade::on(response)
                .await
                .map_err(|error| classify::odd(&format!("no connection to the program: {error}")))
        });
        let connection = connection.await?;
        if let Some((width, height)) = options.tty {
            self.size(&call, &id, width, height).await?;
        }
        Ok((id, connection))
    }

    /// The first size of a terminal. A program that has ended already has none, and that is no failure.
    async fn size(
        &self,
        call: &Arc<Call>,
        exec: &str,
        width: u16,
        height: u16,
    ) -> Result<(), EngineErrorKind> {
        match self.wire.post(call, &resize_path(exec, width, height), Vec::new()).await {
            Err(error) if error.is_about_ship() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The exit code, once the engine has it: it notices the end of output before the end of the program.
    async fn ended(&self, version: &Negotiated, exec: &str) -> Result<i64, EngineErrorKind> {
        let until = Instant::now() + self.reading();
        let mut pause = FIRST_PAUSE;
        loop {
            let call = self.call(version);
            let found: ExecInspectResponse = self.wire.get(&call, &format!("/exec/{exec}/json")).await?;
            match found.exit_code {
                Some(code) if found.running != Some(true) => return Ok(code),
                _ if Instant::now() + pause > until => {
                    return Err(classify::odd(
                        "the program's output is over, and the engine does not say how it ended",
                    ));
                }
                _ => sleep(pause).await,
            }
            pause *= 2;
        }
    }
}

/// The connection to a program broke.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn lost(error: io::Error) -> EngineErrorKind {
    EngineErrorKind::Lost(classify::words(&error))
}

fn running(target: &Target, command: &[String]) -> String {
    format!("running `{}` in {}", command.first().map_or("", String::as_str), target.name())
}

fn resize_path(exec: &str, width: u16, height: u16) -> String {
    format!("/exec/{exec}/resize?h={height}&w={width}")
}

fn output(
    pieces: impl Stream<Item = Result<Bytes, EngineErrorKind>> + Send + 'static,
    terminal: bool,
) -> BoxStream<'static, Result<ExecOutput, EngineErrorKind>> {
    let mut frames = Frames::new(terminal);
    pieces
        .map(move |bytes| {
            let mut outputs = Vec::new();
            frames.take(&bytes?, |piece| {
                if !piece.bytes.is_empty() {
                    outputs.push(Ok(ExecOutput { stream: piece.stream, bytes: piece.bytes.to_vec() }));
                }
            })?;
            Ok(futures_util::stream::iter(outputs))
        })
        .try_flatten()
        .boxed()
}
