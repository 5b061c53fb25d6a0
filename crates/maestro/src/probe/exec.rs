//! The check that a local program succeeds.
//!
//! Its output is captured, not inherited as by maestro-ng: many checks run at once, and the terminal belongs to whoever
//! reports on the run. What remains of the output is the last line, in the failure.
//! For the same reason standard input is empty (unless the variables come on it): no check can ask a question.

use super::{Attempt, Budget, Fault, quote, retry, seconds, words};
use maestro_core::boundary::CheckFailure;
use maestro_core::model::{ContainerEnv, EnvFrom};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// What a variable without a value is for programs: Python's word for nothing, as maestro-ng wrote it.
const NOTHING: &str = "None";

/// How much of the end of a program's output is kept, in bytes.
const TAIL: usize = 4096;

/// How long the output of a program that has ended may still be on its way.
const LATE: Duration = Duration::from_secs(1);

/// A program to run, with what it gets to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program<'a> {
    pub(super) command: &'a [String],
    pub(super) env: Option<&'a ContainerEnv>,
    pub(super) env_from: &'a EnvFrom,
    /// How long one run may take.
    pub(super) limit: Duration,
}

/// Runs the program until it exits with 0.
pub(super) async fn check(program: Program<'_>, attempts: u32) -> Result<(), CheckFailure> {
    let what = format!("exec {}", quote(&program.command.join(" ")));
    let mut input = Vec::new();
    if *program.env_from == EnvFrom::Stdin {
        match serde_json::to_vec(&variables(program.env)) {
            Ok(json) => input = json,
            Err(error) => {
                let last = format!("the variables cannot be written as JSON: {error}");
                return Err(CheckFailure { check: what, attempts: 0, last });
            }
        }
    }
    retry(what, Budget::Tries(attempts), Runs { program, input }).await
}

/// Runs of one program, all with the same input.
struct Runs<'a> {
    program: Program<'a>,
    input: Vec<u8>,
}

impl Attempt for Runs<'_> {
    async fn attempt(&mut self) -> Result<(), Fault> {
        run(self.program, &self.input).await
    }
}

/// The variables of this process, and over them those of the container.
fn variables(env: Option<&ContainerEnv>) -> serde_json::Map<String, serde_json::Value> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let mut all: serde_json::Map<_, _> =
        std::env::vars_os().map(|(name, value)| (text(name), text(value).into())).collect();
    for (name, value) in env.map(ContainerEnv::resolved).unwrap_or_default() {
        all.insert(name.to_owned(), value.unwrap_or(NOTHING).into());
    }
    all
}

/// Runs the program once; it may read this if that is what it wants.
pub(super) async fn run(program: Program<'_>, input: &[u8]) -> Result<(), Fault> {
    let (mut running, mut output) = spawn(program)?;
    let stdin = running.child.stdin.take();
    let mut tail = Tail::default();
    let ended = timeout(program.limit, async {
        tokio::select! {
            status = running.child.wait() => status,
            never = async {
                tokio::join!(feed(stdin, input), tail.fill(&mut output));
                std::future::pending().await
            } => never,
        }
    })
    .await;
    let status = match ended {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(Fault::Lasting(format!("waiting for it failed: {}", words(&error)))),
        Err(_) => return Err(Fault::Lasting(format!("it did not end within {}", seconds(program.limit)))),
    };
    if status.success() {
        running.let_go();
        return Ok(());
    }
    // What it has left behind would keep the output open, and the next try would leave the same again.
    running.kill();
    // Something may have escaped from the group and keep it open nevertheless: what there is by now must do.
    timeout(LATE, tail.fill(&mut output)).await.ok();
    Err(Fault::Passing(match tail.last_line(program.env) {
        Some(line) => format!("{}: {line}", describe(status)),
        None => describe(status),
    }))
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Writes to the program's standard input and closes it. A program need not read it.
async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        stdin.write_all(input).await.ok();
    }
}

fn spawn(program: Program<'_>) -> Result<(Running, pipe::Receiver), Fault> {
    let Some((name, arguments)) = program.command.split_first() else {
        return Err(Fault::Lasting("there is no program to run".to_owned()));
    };
    let unstarted = |error: io::Error| match Errno::from_io_error(&error) {
        Some(Errno::NOENT) if !Path::new(name).exists() => {
            Fault::Lasting(format!("program not found: {name}"))
        }
        Some(Errno::NOENT) => Fault::Lasting(format!("{name} names an interpreter that is not there")),
        Some(Errno::TOOBIG) if *program.env_from == EnvFrom::Stdin || program.env.is_none() => {
            Fault::Lasting(format!(
                "{name} cannot be started: its arguments are longer than the system passes on"
            ))
        }
        Some(Errno::TOOBIG) => Fault::Lasting(format!(
            "{name} cannot be started: the variables are longer than the system passes on (`envfrom: stdin` has no limit)"
        )),
        // The machine, or another writer of the file, may be done with what they do in a second.
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::TXTBSY) => {
            Fault::Passing(format!("{name} cannot be started now: {}", words(&error)))
        }
        _ => Fault::Lasting(format!("{name} cannot be started: {}", words(&error))),
    };
    // One pipe for both streams, so that the last line is the last one that was written.
    let (reader, writer) = io::pipe().map_err(unstarted)?;
    let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(unstarted)?;
    let mut command = Command::new(name);
    command
        .args(arguments)
        .stdout(writer.try_clone().map_err(unstarted)?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true);
    match program.env_from {
        EnvFrom::Stdin => command.stdin(Stdio::piped()),
        EnvFrom::Environment => {
            for (name, value) in program.env.map(ContainerEnv::resolved).unwrap_or_default() {
                command.env(name, value.unwrap_or(NOTHING));
            }
            command.stdin(Stdio::null())
        }
    };
    let child = command.spawn().map_err(unstarted)?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    Ok((Running { child, group }, output))
}

/// A program in a process group of its own, which ends with this value.
#[derive(Debug)]
struct Running {
    child: Child,
    /// The group to kill, as long as there is something to kill.
    group: Option<Pid>,
}

impl Running {
    /// Kills what is left of the group. When the program itself has been waited for, its number could in theory belong
    /// to another group by now; but numbers are given out in a circle, and it has just become free.
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // The one expected error is that nothing is left.
            kill_process_group(group, Signal::KILL).ok();
        }
    }

    /// Leaves alone what the program has put in the background: it succeeded, and may have meant to.
    fn let_go(&mut self) {
        self.group = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of a program's output.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    /// Reads to the end. May be cancelled and called again.
    async fn fill(&mut self, output: &mut pipe::Receiver) {
        loop {
            self.0.drain(..self.0.len().saturating_sub(TAIL));
            match output.read_buf(&mut self.0).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    /// The last line with anything on it, without colours, and without what the program was told in confidence.
    fn last_line(&self, told: Option<&ContainerEnv>) -> Option<String> {
        let text = String::from_utf8_lossy(&self.0);
        let mut text = anstream::adapter::strip_str(&text).to_string();
        for secret in told.map(ContainerEnv::secrets).unwrap_or_default().into_values() {
            secret.veil(&mut text);
        }
        let line = text.rsplit(['\n', '\r']).map(str::trim).find(|line| !line.is_empty())?;
        Some(quote(line))
    }
}

#[cfg(test)]
mod tests;
