//! Requests about programs in containers, and the connections that they take over.

use crate::daemon::{Daemon, ExecStreams, Follower, Piece};
use crate::fake_dockerd::answer::{Answer, Body, Cut, empty, feed, json};
use crate::fake_dockerd::route::{Call, ok};
use crate::fake_dockerd::stream::{frame, multiplexed, text};
use crate::faults::Operation;
use crate::state::{Edition, Exec, ExecRequest, Machine, Refusal};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use maestro_core::boundary::LogOptions;
use serde::Deserialize;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// The body of `POST /containers/{}/exec`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "the fields are the Engine API's")]
struct CreateExec {
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    tty: bool,
    privileged: bool,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    user: Option<String>,
    working_dir: Option<String>,
    detach_keys: Option<String>,
    console_size: Option<(u16, u16)>,
}

pub(crate) async fn create(mut call: Call, id: &str) -> Answer {
    call.query(&[])?;
    let body: CreateExec = call.parse().await?;
    if body.privileged || body.detach_keys.is_some_and(|keys| !keys.is_empty()) {
        return Err(Refusal::strict("Privileged and DetachKeys of an exec are not modelled").into());
    }
    let request = ExecRequest {
        command: body.cmd.unwrap_or_default(),
        tty: body.tty,
        stdin: body.attach_stdin,
        stdout: body.attach_stdout,
        stderr: body.attach_stderr,
        workdir: body.working_dir,
        env: body.env.unwrap_or_default(),
        user: body.user,
    };
    let exec = call.daemon.create_exec(id, request).await?;
    if let Some((height, width)) = body.console_size {
        call.daemon.meddle(|machine, _| machine.size_exec(&exec, width, height))?;
    }
    json(StatusCode::CREATED, &serde_json::json!({"Id": exec}))
}

/// The body of `POST /exec/{}/start`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct StartExec {
    detach: bool,
    tty: bool,
    console_size: Option<(u16, u16)>,
}

pub(crate) async fn start(mut call: Call, id: &str) -> Answer {
    call.query(&[])?;
    let body: StartExec = call.parse().await?;
    let request = call.daemon.look(|machine| machine.exec(id).map(|exec| exec.request.clone()))?;
    if body.tty != request.tty {
        return Err(Refusal::strict("Tty of start and create differ: output would be garbled").into());
    }
    if let Some((height, width)) = body.console_size {
        call.daemon.meddle(|machine, _| machine.size_exec(id, width, height))?;
    }
    let streams = call.daemon.run_exec(id)?;
    if body.detach {
        return Ok(empty(StatusCode::OK));
    }
    let wants = Wants { tty: request.tty, out: request.stdout, err: request.stderr };
    Ok(connect(call, streams, wants, request.stdin))
}

/// Which output is handed on, and how.
#[derive(Debug, Clone, Copy)]
struct Wants {
    tty: bool,
    out: bool,
    err: bool,
}

impl Wants {
    /// A piece of output as it goes over the wire; none if nobody asked for it.
    fn wire(self, (stream, bytes): Piece) -> Option<Vec<u8>> {
        let wanted = match stream {
            maestro_core::boundary::LogStream::Stdout => self.out,
            maestro_core::boundary::LogStream::Stderr => self.err,
        };
        wanted.then(|| if self.tty { bytes } else { frame(stream, &bytes) })
    }
}

/// Hands the connection over to a program; without an upgrade, answers with its output.
fn connect(mut call: Call, streams: ExecStreams, wants: Wants, stdin: bool) -> Response<Body> {
    let ExecStreams { input, mut output } = streams;
    let raw = HeaderValue::from_static("application/vnd.docker.raw-stream");
    if !call.header("upgrade").is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp")) {
        drop(input);
        let mut answer = feed(|pen| async move {
            while let Some(piece) = output.recv().await {
                if let Some(bytes) = wants.wire(piece) {
                    pen.write(bytes).await?;
                }
            }
            Ok(())
        });
        answer.headers_mut().insert(CONTENT_TYPE, raw);
        return answer;
    }
    let edition = call.daemon.look(Machine::edition);
    let upgrade = hyper::upgrade::on(&mut call.request);
    tokio::spawn(async move {
        let Ok(connection) = upgrade.await else { return };
        let (mut read, mut write) = tokio::io::split(TokioIo::new(connection));
        let reading = async move {
            let input = stdin.then_some(input);
            let mut buffer = vec![0; 8192];
            loop {
                match read.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                        if let Some(input) = &input
                            && input.send(bytes).await.is_err()
                        {
                            break;
                        }
                    }
                }
            }
        };
        let writing = async {
            while let Some(piece) = output.recv().await {
                if let Some(bytes) = wants.wire(piece)
                    && write.write_all(&bytes).await.is_err()
                {
                    return;
                }
            }
            // Whoever reads it may be gone.
            _ = write.shutdown().await;
        };
        // Its input may end long before its output, and never the other way round.
        let reading = tokio::spawn(reading);
        writing.await;
        reading.abort();
    });
    let mut answer = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    let framed = multiplexed(edition).filter(|_| !wants.tty && edition == Edition::V28);
    headers.insert(CONTENT_TYPE, framed.unwrap_or(raw));
    answer
}

pub(crate) async fn inspect(call: &Call, id: &str) -> Answer {
    call.query(&[])?;
    let exec = call.daemon.read(Operation::Exec, id, |machine| machine.exec(id).cloned()).await?;
    ok(&described(&exec))
}

fn described(exec: &Exec) -> serde_json::Value {
    let (program, arguments) = match exec.request.command.as_slice() {
        [program, arguments @ ..] => (program.as_str(), arguments),
        [] => ("", &[] as &[String]),
    };
    serde_json::json!({
        "ID": exec.id,
        "Running": exec.is_running(),
        "ExitCode": exec.exit_code,
        "ProcessConfig": {
            "tty": exec.request.tty,
            "entrypoint": program,
            "arguments": arguments,
            "privileged": false,
        },
        "OpenStdin": exec.request.stdin,
        "OpenStdout": exec.request.stdout,
        "OpenStderr": exec.request.stderr,
        "CanRemove": false,
        "ContainerID": exec.container.as_str(),
        "DetachKeys": "",
        "Pid": if exec.is_running() { 4_243 } else { 0 },
    })
}

pub(crate) fn resize(call: &Call, id: &str) -> Answer {
    let query = call.query(&["h", "w"])?;
    let size = (query.number::<u16>("w")?, query.number::<u16>("h")?);
    let (Some(width), Some(height)) = size else { return Err(Refusal::bad("h and w are needed").into()) };
    call.daemon.meddle(|machine, _| machine.resize_exec(id, width, height))?;
    Ok(empty(StatusCode::OK))
}

/// `POST /containers/{}/attach`: the container's own output, from now on or from its beginning.
pub(crate) async fn attach(call: Call, id: &str) -> Answer {
    let query = call.query(&["logs", "stream", "stdin", "stdout", "stderr", "detachKeys"])?;
    if query.flag("stdin") {
        return Err(Refusal::strict("containers here read nothing").into());
    }
    let options =
        LogOptions { tail: (!query.flag("logs")).then_some(0), follow: query.flag("stream"), since: None };
    let begin = |machine: &Machine| machine.get(id).map(|c| Follower::new(c, &options));
    let follower = call.daemon.read(Operation::Logs, id, begin).await?;
    let wants = Wants { tty: false, out: query.flag("stdout"), err: query.flag("stderr") };
    let (input, _) = mpsc::channel(1);
    let (sender, output) = mpsc::channel(64);
    tokio::spawn(pour(call.daemon.clone(), follower, sender));
    Ok(connect(call, ExecStreams { input, output }, wants, false))
}

async fn pour(daemon: Arc<Daemon>, mut follower: Follower, to: mpsc::Sender<Piece>) -> Result<(), Cut> {
    loop {
        let lines = daemon.until(|machine| follower.read(machine)).await;
        if lines.is_empty() {
            return Ok(());
        }
        for line in lines {
            to.send((line.stream, text(&line, false).into_bytes())).await.map_err(|_| Cut)?;
        }
    }
}
