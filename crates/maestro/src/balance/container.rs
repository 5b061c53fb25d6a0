//! A front end in a container: everything goes through the engine of its ship.

use super::status;
use crate::engine::DockerEngine;
use futures_util::future::BoxFuture;
use maestro_core::balance::{Configuration, Generation};
use maestro_core::boundary::{FrontEnd, FrontEndError};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::model::{Balancer, BalancerKind, Instance, Reload, Ship};
use maestro_core::plan::Target;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a check, or a command that reloads, may take.
pub(super) const COMMAND: Duration = Duration::from_secs(30);

/// A front end in a container.
pub struct ContainerFrontEnd {
    name: String,
    target: Target,
    engine: Arc<DockerEngine>,
    kind: BalancerKind,
    file: String,
    check: Arc<[String]>,
    reload: Reload,
    asking: Asking,
}

/// How the generation is read back.
enum Asking {
    /// A command in the container prints it.
    Command(Arc<[String]>),
    /// A port of the ship tells it: at the first address from here, at the second from the ship itself.
    Port { outside: String, inside: String, port: u16 },
    /// There is no way: loading the file has complained.
    Nothing,
}

impl ContainerFrontEnd {
    /// The front end in the container of an instance. Nothing is opened yet.
    pub fn new(balancer: &Balancer, instance: &Instance, ship: &Ship, engine: Arc<DockerEngine>) -> Self {
        let asking = match &balancer.acknowledge {
            Some(command) => Asking::Command(command.clone()),
            None => match balancer.status.and_then(|port| instance.published(port)) {
                Some(("" | "0.0.0.0" | "::", port)) => {
                    Asking::Port { outside: ship.ip.to_string(), inside: "127.0.0.1".to_owned(), port }
                }
                Some((address, port)) => {
                    Asking::Port { outside: address.to_owned(), inside: address.to_owned(), port }
                }
                None => Asking::Nothing,
            },
        };
        Self {
            name: instance.name.to_string(),
            // By its name: it may be replaced while it is asked.
            target: Target::Made(instance.name.clone()),
            engine,
            kind: balancer.kind.clone(),
            file: balancer.config.to_string(),
            check: balancer.check.clone(),
            reload: balancer.reload.clone(),
            asking,
        }
    }

    async fn run(&self, command: &[String]) -> Result<(i64, String), FrontEndError> {
        match self.engine.run_with_output(&self.target, command, COMMAND).await {
            // Not otherwise in a moment; as a shell has it.
            Err(error) if lacks_program(&error) => Ok((127, error.kind.to_string())),
            ran => ran.map_err(|error| unreachable(&error)),
        }
    }

    /// Tries a file that is there under this name.
    async fn try_out(&self, file: &str) -> Result<(), FrontEndError> {
        let command = with_file(&self.check, file);
        let (code, output) = self.run(&command).await?;
        if code == 0 {
            return Ok(());
        }
        Err(FrontEndError::Refused { command: command.join(" "), output: said(code, &output) })
    }

    /// Gives a file that is there the name of the configuration. In one step if the container has `mv`; else the engine
    /// unpacks it there, which is not seen half only because nobody reads it at that moment.
    async fn switch(&self, from: &str, content: &[u8]) -> Result<(), FrontEndError> {
        let unwritable = |because: String| FrontEndError::Unwritable { file: self.file.clone(), because };
        let command = ["mv", "-f", from, &self.file].map(str::to_owned);
        match self.run(&command).await? {
            (0, _) => return Ok(()),
            (126 | 127, _) => {}
            (code, output) => return Err(unwritable(said(code, &output))),
        }
        let put = self.engine.put_file(&self.target, &self.file, content).await;
        put.map_err(|error| unwritable(error.kind.to_string()))
    }

    /// Has the process read its file again.
    async fn load(&self) -> Result<(), FrontEndError> {
        let unloaded = |command: String, output: String| {
            Err(FrontEndError::Unloaded { command, output, restored: false })
        };
        match &self.reload {
            Reload::Signal(signal) => match self.engine.signal(&self.target, signal).await {
                Ok(()) => Ok(()),
                // Whoever has just been killed reads the file when he starts.
                Err(error) if does_not_run(&error) => Ok(()),
                Err(error) if error.kind.is_about_ship() => Err(unreachable(&error)),
                Err(error) => unloaded(format!("SIG{signal}"), error.kind.to_string()),
            },
            Reload::Command(command) => {
                let command = with_file(command, &self.file);
                match self.run(&command).await? {
                    (0, _) => Ok(()),
                    (code, output) => unloaded(command.join(" "), said(code, &output)),
                }
            }
        }
    }

    fn unwritable(&self, error: &EngineError) -> FrontEndError {
        if error.kind.is_about_ship() {
            return unreachable(error);
        }
        FrontEndError::Unwritable { file: self.file.clone(), because: error.kind.to_string() }
    }

    async fn deliver(&self, configuration: &Configuration) -> Result<(), FrontEndError> {
        let unwritable = |error: EngineError| self.unwritable(&error);
        let before = self.engine.get_file(&self.target, &self.file).await.map_err(unwritable)?;
        let next = format!("{}.next", self.file);
        let text = configuration.text.as_bytes();
        self.engine.put_file(&self.target, &next, text).await.map_err(unwritable)?;
        self.try_out(&next).await?;
        self.switch(&next, text).await?;
        let (command, output) = match self.load().await {
            Err(FrontEndError::Unloaded { command, output, .. }) => (command, output),
            done => return done,
        };
        let restored = match &before {
            None => false,
            Some(before) => {
                let put = self.engine.put_file(&self.target, &next, before).await.is_ok();
                put && self.switch(&next, before).await.is_ok()
            }
        };
        // It may be half-way; what it had before it can have again.
        self.load().await.ok();
        Err(FrontEndError::Unloaded { command, output, restored })
    }

    async fn tell(&self) -> Result<Option<Generation>, FrontEndError> {
        match &self.asking {
            Asking::Nothing => Ok(None),
            Asking::Command(command) => {
                let (code, output) = self.run(command).await?;
                Ok(if code == 0 { Generation::parse(&output) } else { None })
            }
            Asking::Port { outside, inside, port } => {
                let connecting = self.engine.connect_to(outside, inside, *port);
                match timeout(COMMAND, connecting).await {
                    Ok(Ok(connection)) => status::ask(connection).await,
                    Ok(Err(error)) => Err(FrontEndError::Unreachable(error.kind.to_string())),
                    Err(_) => Err(FrontEndError::Unreachable("no connection".to_owned())),
                }
            }
        }
    }

    async fn remaining(&self) -> Result<Option<usize>, FrontEndError> {
        let processes = self.engine.processes(&self.target).await.map_err(|error| unreachable(&error))?;
        Ok(processes.and_then(|processes| replaced(&self.kind, &processes)))
    }
}

/// How many of these processes have been replaced; none if they do not tell.
fn replaced(kind: &BalancerKind, processes: &[String]) -> Option<usize> {
    match kind {
        // One master and one worker are as it should be.
        BalancerKind::Haproxy => {
            let is_one = |line: &&String| {
                line.split_whitespace()
                    .next()
                    .is_some_and(|program| program.rsplit('/').next() == Some("haproxy"))
            };
            processes.iter().filter(is_one).count().checked_sub(2)
        }
        BalancerKind::Nginx => {
            let is_master = |line: &String| line.contains("nginx: master process");
            let is_ending = |line: &&String| line.contains("nginx: worker process is shutting down");
            processes.iter().any(is_master).then(|| processes.iter().filter(is_ending).count())
        }
        BalancerKind::Template { .. } => None,
    }
}

/// A command for this file.
pub(super) fn with_file(command: &[String], file: &str) -> Vec<String> {
    command.iter().map(|word| word.replace(Balancer::FILE, file)).collect()
}

/// What a program that failed said, or how it ended.
pub(super) fn said(code: impl std::fmt::Display, output: &str) -> String {
    if output.is_empty() { format!("exit code {code}") } else { output.to_owned() }
}

/// Nothing can be done in a container that does not run, or on a ship that does not answer.
fn unreachable(error: &EngineError) -> FrontEndError {
    FrontEndError::Unreachable(error.to_string())
}

/// Whether a container does not run at the moment.
fn does_not_run(error: &EngineError) -> bool {
    match &error.kind {
        EngineErrorKind::Conflict(message) | EngineErrorKind::Api { message, .. } => {
            message.contains("is not running")
        }
        _ => false,
    }
}

/// Whether a container lacks the program that it was to run.
fn lacks_program(error: &EngineError) -> bool {
    match &error.kind {
        EngineErrorKind::Api { message, .. }
        | EngineErrorKind::NotFound(message)
        | EngineErrorKind::Conflict(message) => message.contains("executable file not found"),
        _ => false,
    }
}

impl FrontEnd for ContainerFrontEnd {
    fn name(&self) -> &str {
        &self.name
    }

    fn publish<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(self.deliver(configuration))
    }

    fn prepare<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(async move {
            let put = self.engine.put_file(&self.target, &self.file, configuration.text.as_bytes());
            put.await.map_err(|error| self.unwritable(&error))
        })
    }

    fn serving(&self) -> BoxFuture<'_, Result<Option<Generation>, FrontEndError>> {
        Box::pin(self.tell())
    }

    fn lingering(&self) -> BoxFuture<'_, Result<Option<usize>, FrontEndError>> {
        Box::pin(self.remaining())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_tell_what_is_left() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let haproxy = |all: &[&str]| replaced(&BalancerKind::Haproxy, &lines(all));
        let (master, worker) = ("haproxy -sf 8 -x sockpair@3 -W -f /h.cfg", "/usr/sbin/haproxy -W -f /h.cfg");
        assert_eq!(haproxy(&["/sbin/docker-init -- haproxy -W", master, worker]), Some(0));
        assert_eq!(haproxy(&[master, worker, worker]), Some(1));
        assert_eq!(haproxy(&[master]), None);
        let nginx = |all: &[&str]| replaced(&BalancerKind::Nginx, &lines(all));
        let master = "nginx: master process nginx -g daemon off;";
        assert_eq!(nginx(&[master, "nginx: worker process"]), Some(0));
        assert_eq!(
            nginx(&[master, "nginx: worker process", "nginx: worker process is shutting down"]),
            Some(1)
        );
        assert_eq!(nginx(&["nginx -t"]), None);
    }
}
