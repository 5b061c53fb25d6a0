//! A front end on a host: this one, or one that is reached through SSH. Everything is a command there.

use super::container::{COMMAND, said, with_file};
use super::status;
use crate::engine::{EngineOptions, Host};
use futures_util::future::BoxFuture;
use maestro_core::balance::{Configuration, Generation};
use maestro_core::boundary::{FrontEnd, FrontEndError};
use maestro_core::model::{Balancer, Reload, RemoteHost};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

/// A front end on a host.
pub struct HostFrontEnd {
    name: String,
    shell: Shell,
    file: String,
    check: Arc<[String]>,
    reload: Arc<[String]>,
    acknowledge: Option<Arc<[String]>>,
    status: Option<u16>,
}

/// Where commands are run.
enum Shell {
    Here,
    There(Box<Host>),
}

/// Writes standard input beside the configuration.
const WRITE: &str = "umask 022 && cat >\"$1\"";
/// Puts the new one into place, and keeps the one before.
const SWITCH: &str =
    "if [ -e \"$2\" ]; then cp -p \"$2\" \"$3\" || exit; else rm -f \"$3\"; fi; mv -f \"$1\" \"$2\"";
/// Puts a file into place, such as the one before.
const RENAME: &str = "mv -f \"$1\" \"$2\"";

impl HostFrontEnd {
    /// On this machine.
    pub fn local(balancer: &Balancer) -> Self {
        Self::on(balancer, "this machine".to_owned(), Shell::Here)
    }

    /// On a host. Nothing is opened yet.
    pub fn remote(balancer: &Balancer, host: &RemoteHost, options: &EngineOptions) -> Self {
        // A balancer that is asked by a command has no port to be asked at.
        let there = Host::new(host, balancer.status.unwrap_or(1), options);
        Self::on(balancer, host.to_string(), Shell::There(Box::new(there)))
    }

    fn on(balancer: &Balancer, name: String, shell: Shell) -> Self {
        let reload = match &balancer.reload {
            Reload::Command(command) => command.clone(),
            // Loading the file refuses signals here.
            Reload::Signal(_) => Arc::default(),
        };
        Self {
            name,
            shell,
            file: balancer.config.to_string(),
            check: balancer.check.clone(),
            reload,
            acknowledge: balancer.acknowledge.clone(),
            status: balancer.status,
        }
    }

    async fn run(&self, command: &[String], input: &[u8]) -> Result<(Option<i32>, String), FrontEndError> {
        match &self.shell {
            Shell::Here => here(command, input).await,
            Shell::There(host) => {
                let ran = host.run(command, input, COMMAND).await;
                ran.map_err(|error| FrontEndError::Unreachable(error.to_string()))
            }
        }
    }

    /// Runs a few lines of the system's own shell with these arguments.
    async fn script(&self, lines: &str, arguments: &[&str], input: &[u8]) -> Result<(), FrontEndError> {
        let words = ["sh", "-c", lines, "sh"].into_iter().chain(arguments.iter().copied());
        let command: Vec<String> = words.map(str::to_owned).collect();
        match self.run(&command, input).await? {
            (Some(0), _) => Ok(()),
            (code, output) => {
                Err(FrontEndError::Unwritable { file: self.file.clone(), because: ended(code, &output) })
            }
        }
    }

    /// Has the process read its file again.
    async fn load(&self) -> Result<(), FrontEndError> {
        let command = with_file(&self.reload, &self.file);
        match self.run(&command, &[]).await? {
            (Some(0), _) => Ok(()),
            (code, output) => Err(FrontEndError::Unloaded {
                command: command.join(" "),
                output: ended(code, &output),
                restored: false,
            }),
        }
    }

    async fn deliver(&self, configuration: &Configuration) -> Result<(), FrontEndError> {
        let (next, previous) = (format!("{}.next", self.file), format!("{}.previous", self.file));
        self.script(WRITE, &[&next], configuration.text.as_bytes()).await?;
        let check = with_file(&self.check, &next);
        match self.run(&check, &[]).await? {
            (Some(0), _) => {}
            (code, output) => {
                return Err(FrontEndError::Refused {
                    command: check.join(" "),
                    output: ended(code, &output),
                });
            }
        }
        self.script(SWITCH, &[&next, &self.file, &previous], &[]).await?;
        let (command, output) = match self.load().await {
            Err(FrontEndError::Unloaded { command, output, .. }) => (command, output),
            done => return done,
        };
        let restored = self.script(RENAME, &[&previous, &self.file], &[]).await.is_ok();
        // It may be half-way; what it had before it can have again.
        self.load().await.ok();
        Err(FrontEndError::Unloaded { command, output, restored })
    }

    async fn tell(&self) -> Result<Option<Generation>, FrontEndError> {
        if let Some(command) = &self.acknowledge {
            let (code, output) = self.run(command, &[]).await?;
            return Ok(if code == Some(0) { Generation::parse(&output) } else { None });
        }
        let Some(port) = self.status else { return Ok(None) };
        match &self.shell {
            Shell::Here => match timeout(status::ASKING, TcpStream::connect(("127.0.0.1", port))).await {
                Ok(Ok(connection)) => status::ask(connection).await,
                Ok(Err(error)) => Err(FrontEndError::Unreachable(error.to_string())),
                Err(_) => Err(FrontEndError::Unreachable("no connection".to_owned())),
            },
            Shell::There(host) => match timeout(COMMAND, host.connect()).await {
                Ok(Ok(connection)) => status::ask(connection).await,
                Ok(Err(error)) => Err(FrontEndError::Unreachable(error.to_string())),
                Err(_) => Err(FrontEndError::Unreachable("no connection".to_owned())),
            },
        }
    }
}

/// Runs a program on this machine.
async fn here(command: &[String], input: &[u8]) -> Result<(Option<i32>, String), FrontEndError> {
    let Some((program, arguments)) = command.split_first() else { return Ok((None, String::new())) };
    let mut running = Command::new(program);
    running
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let ran = async {
        let mut child = running.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program need not read it.
            stdin.write_all(input).await.ok();
        }
        child.wait_with_output().await
    };
    match timeout(COMMAND, ran).await {
        Ok(Ok(output)) => {
            let both = [output.stdout, output.stderr].concat();
            Ok((output.status.code(), String::from_utf8_lossy(&both).trim().to_owned()))
        }
        // Neither here in a moment nor later.
        Ok(Err(error)) => Ok((None, format!("`{program}` cannot be run: {error}"))),
        Err(_) => Ok((None, format!("`{program}` did not end within {} s", COMMAND.as_secs()))),
    }
}

fn ended(code: Option<i32>, output: &str) -> String {
    match code {
        Some(code) => said(code, output),
        None if output.is_empty() => "ended by a signal".to_owned(),
        None => output.to_owned(),
    }
}

impl FrontEnd for HostFrontEnd {
    fn name(&self) -> &str {
        &self.name
    }

    fn publish<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(self.deliver(configuration))
    }

    fn prepare<'a>(&'a self, configuration: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(async move {
            let next = format!("{}.next", self.file);
            self.script(WRITE, &[&next], configuration.text.as_bytes()).await?;
            self.script(RENAME, &[&next, &self.file], &[]).await
        })
    }

    fn serving(&self) -> BoxFuture<'_, Result<Option<Generation>, FrontEndError>> {
        Box::pin(self.tell())
    }

    /// Other processes of the same program may run on a host: nobody can tell.
    fn lingering(&self) -> BoxFuture<'_, Result<Option<usize>, FrontEndError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}
