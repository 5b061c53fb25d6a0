//! Programs in containers, run.

use crate::daemon::{Daemon, Trouble};
use crate::faults::Operation;
use crate::state::{ExecRequest, Machine, Program};
use futures_util::future::BoxFuture;
use maestro_core::boundary::LogStream;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A piece of output.
pub type Piece = (LogStream, Vec<u8>);

/// The ends of a running program's streams.
#[derive(Debug)]
pub struct ExecStreams {
    /// What it reads; dropping it ends its standard input.
    pub input: mpsc::Sender<Vec<u8>>,
    /// What it writes; ends when the program does.
    pub output: mpsc::Receiver<Piece>,
}

impl Daemon {
    /// `POST /containers/{}/exec`.
    pub(crate) async fn create_exec(&self, reference: &str, request: ExecRequest) -> Result<String, Trouble> {
        let act = |machine: &mut Machine, now| machine.create_exec(reference, request, now);
        self.call(Operation::Exec, reference, act, |_| super::Effect::Done).await
    }

    /// `POST /exec/{}/start`: the program runs until it ends, its container does, or nobody reads it any more.
    pub(crate) fn run_exec(self: &Arc<Self>, id: &str) -> Result<ExecStreams, Trouble> {
        let program = self.meddle(|machine, now| machine.start_exec(id, now))?;
        let (input, stdin) = mpsc::channel(16);
        let (out, output) = mpsc::channel(64);
        let daemon = self.clone();
        let id = id.to_owned();
        tokio::spawn(async move {
            let tty = daemon.look(|m| m.exec(&id).is_ok_and(|e| e.request.tty));
            let mut process = Process { stdin, out: out.clone(), tty };
            let killed = daemon.until(|m| match m.exec(&id) {
                Ok(exec) => exec.exit_code,
                Err(_) => Some(137),
            });
            let code = tokio::select! {
                code = process.run(&program) => code,
                code = killed => code,
            };
            daemon.meddle(|machine, now| machine.end_exec(&id, code, now));
            // Only now does the output end: whoever has read it to its end finds the exit code.
            drop(out);
        });
        Ok(ExecStreams { input, output })
    }
}

struct Process {
    stdin: mpsc::Receiver<Vec<u8>>,
    out: mpsc::Sender<Piece>,
    tty: bool,
}

impl Process {
    fn run<'a>(&'a mut self, program: &'a Program) -> BoxFuture<'a, i64> {
        Box::pin(async move {
            match program {
                Program::Exit(code) => *code,
                Program::Say(text, is_error) => {
                    self.write(text.clone().into_bytes(), *is_error).await;
                    0
                }
                Program::Cat => {
                    while let Some(bytes) = self.stdin.recv().await {
                        self.write(bytes, false).await;
                    }
                    0
                }
                Program::Sleep(time) => {
                    tokio::time::sleep(*time).await;
                    0
                }
                Program::Script(parts) => {
                    let mut code = 0;
                    for part in parts {
                        code = self.run(part).await;
                        if matches!(part, Program::Exit(_)) {
                            break;
                        }
                    }
                    code
                }
                Program::Missing(message, code) => {
                    self.write(message.clone().into_bytes(), false).await;
                    *code
                }
            }
        })
    }

    async fn write(&mut self, bytes: Vec<u8>, is_error: bool) {
        let stream = if is_error && !self.tty { LogStream::Stderr } else { LogStream::Stdout };
        if !bytes.is_empty() {
            // A program whose reader has gone writes into the void, as with a real engine.
            _ = self.out.send((stream, bytes)).await;
        }
    }
}
