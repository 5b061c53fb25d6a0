//! Connections through the system's `ssh`: the user's configuration, agent, known hosts and jump hosts apply.
//!
//! One `ssh` per ship logs in, goes to the background as a multiplexing master, and is told over its control socket to
//! forward a local socket in a private directory to the engine. Each HTTP connection is then a connection to that
//! socket and, inside the one SSH connection, a channel of its own. Against one `ssh -W` per connection this saves a
//! process and a round of file descriptors each, and unlike `-W` it reaches unix sockets with any version of OpenSSH;
//! channels for forwarding do not count against the server's `MaxSessions`.
//!
//! Nothing stays behind: until it has logged in `ssh` is our child and dies with the future that waits for it, later
//! it is told to stop when the engine is dropped, and it ends by itself when nobody has used it for
//! [`IDLE`] seconds, even if this process was killed.

use super::EngineOptions;
use super::classify;
use super::lazily::Lazily;
use maestro_core::engine_error::EngineErrorKind;
use maestro_core::model::SshRemote;
use openssh::{ForwardType, Session, Socket};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

/// A login may take this long in all, or the ship's `timeout:` if that is longer: jump hosts and slow name servers take
/// their time even where the engine is quick. Whether anybody is there at all, `ssh` finds out within the deadline
/// that other connections have too.
const LOGIN: Duration = Duration::from_secs(15);
/// The master ends after so many seconds without a connection through it.
const IDLE: u32 = 60;
/// How often `ssh` asks whether the other side is still there; after three times without answer it gives up.
const ALIVE_INTERVAL: u32 = 15;
/// How long a master that is there may take to obey.
const CONTROL: Duration = Duration::from_secs(5);

/// Who logs in where.
pub(super) struct Login {
    pub(super) host: Arc<str>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<Arc<str>>,
    pub(super) key: Option<Arc<str>>,
}

/// The way to one engine through SSH.
pub(super) struct Ssh {
    login: Login,
    remote: SshRemote,
    address: String,
    connect: Duration,
    config: Option<PathBuf>,
    handshakes: Arc<Semaphore>,
    master: Lazily<Arc<Master>>,
}

/// An `ssh` that is logged in and forwards. Dropping it ends it and removes its directory.
struct Master {
    session: Session,
    socket: PathBuf,
    /// Other ports of the host that are forwarded, and the sockets that lead there.
    ports: Mutex<BTreeMap<(String, u16), PathBuf>>,
    log: PathBuf,
    /// How much of the log has been read.
    read: AtomicUsize,
}

impl Master {
    async fn connect_to(&self, host: &str, port: u16) -> Result<UnixStream, String> {
        let mut ports = self.ports.lock().await;
        let number = ports.len();
        let socket = match ports.get(&(host.to_owned(), port)) {
            Some(socket) => socket.clone(),
            None => {
                let socket = self.socket.with_file_name(format!("port-{number}"));
                let remote = Socket::new(host, port);
                let forward = self.session.request_port_forward(
                    ForwardType::Local,
                    Socket::from(socket.as_path()),
                    remote,
                );
                match timeout(CONTROL, forward).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(classify::chain(&error)),
                    Err(_) => return Err("the ssh that was started does not answer".to_owned()),
                }
                ports.insert((host.to_owned(), port), socket.clone());
                socket
            }
        };
        drop(ports);
        match timeout(CONTROL, UnixStream::connect(&socket)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(format!("the forwarded socket is gone: {error}")),
            Err(_) => Err("the forwarded socket does not answer".to_owned()),
        }
    }
}

impl Ssh {
    pub(super) fn new(
        login: Login,
        remote: SshRemote,
        address: String,
        connect: Duration,
        options: &EngineOptions,
    ) -> Self {
        Self {
            login,
            remote,
            address,
            connect,
            config: options.ssh_config.clone(),
            handshakes: options.handshakes.clone(),
            master: Lazily::default(),
        }
    }

    /// A connection to the engine, after a login if there is none.
    pub(super) async fn open(&self) -> Result<UnixStream, EngineErrorKind> {
        let master = self.master.get(|| self.log_in()).await?;
        if let Ok(Ok(stream)) = timeout(CONTROL, UnixStream::connect(&master.socket)).await {
            return Ok(stream);
        }
        // The master is gone: the connection broke, or nobody used it for a while.
        self.master.forget(|stale| Arc::ptr_eq(stale, &master)).await;
        drop(master);
        let master = self.master.get(|| self.log_in()).await?;
        match timeout(CONTROL, UnixStream::connect(&master.socket)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.failed(format!("the forwarded socket is gone: {error}"))),
            Err(_) => Err(self.failed("the forwarded socket does not answer".to_owned())),
        }
    }

    /// A connection to a port of an address that the other side can reach, after a login if there is none.
    pub(super) async fn open_to(&self, host: &str, port: u16) -> Result<UnixStream, EngineErrorKind> {
        let master = self.master.get(|| self.log_in()).await?;
        match master.connect_to(host, port).await {
            Ok(stream) => Ok(stream),
            Err(_) => {
                self.master.forget(|stale| Arc::ptr_eq(stale, &master)).await;
                drop(master);
                let master = self.master.get(|| self.log_in()).await?;
                master.connect_to(host, port).await.map_err(|because| self.failed(because))
            }
        }
    }

    /// Runs a program on the other side, with this on its standard input: its exit code, none if a signal ended it, and
    /// the end of what it wrote.
    pub(super) async fn run(
        &self,
        command: &[String],
        input: &[u8],
    ) -> Result<(Option<i32>, String), EngineErrorKind> {
        let Some((program, arguments)) = command.split_first() else { return Ok((None, String::new())) };
        let master = self.master.get(|| self.log_in()).await?;
        let ran = async {
            let mut child = master
                .session
                .command(program.as_str())
                .args(arguments)
                .stdin(openssh::Stdio::piped())
                .stdout(openssh::Stdio::piped())
                .stderr(openssh::Stdio::piped())
                .spawn()
                .await?;
            if let Some(mut stdin) = child.stdin().take() {
                // A program need not read it.
                stdin.write_all(input).await.ok();
                stdin.shutdown().await.ok();
            }
            child.wait_with_output().await
        };
        match ran.await {
            Ok(output) => Ok((output.status.code(), super::host::tail(&output.stdout, &output.stderr))),
            Err(error) => {
                // Whoever tries again logs in again.
                self.master.forget(|stale| Arc::ptr_eq(stale, &master)).await;
                Err(self.failed(classify::chain(&error)))
            }
        }
    }

    /// What a program writes that is run where `ssh` logs in. The connection is the same, so nobody logs in again.
    pub(super) async fn output_of(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let master = self.master.get(|| self.log_in()).await.map_err(|error| error.to_string())?;
        let mut command = master.session.command(program);
        command.args(arguments).stdin(openssh::Stdio::null());
        match timeout(CONTROL.max(self.connect), command.output()).await {
            Ok(Ok(output)) if output.stdout.is_empty() => {
                Err(format!("`{program}` cannot be run over SSH there"))
            }
            Ok(Ok(output)) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Ok(Err(error)) => Err(format!("`{program}` cannot be run over SSH: {}", classify::chain(&error))),
            Err(_) => Err(format!("`{program}` over SSH does not end")),
        }
    }

    async fn log_in(&self) -> Result<Arc<Master>, EngineErrorKind> {
        // Waiting for a turn is bounded by the deadlines of those whose turn it is.
        let _turn =
            self.handshakes.acquire().await.map_err(|_| self.failed("this process is ending".to_owned()))?;
        // The system's directory for temporary files, not the home directory: the path of a socket must be short.
        let directory = tempfile::Builder::new()
            .prefix("maestro-ssh-")
            .tempdir()
            .map_err(|error| self.failed(format!("no directory for its sockets: {error}")))?;
        let place = directory.path().to_owned();
        // Dropping it ends the master, also one that went to the background just when nobody waited for it any more.
        let session = Session::new_native_mux(directory);
        self.launch(&place).await?;

        let (socket, log) = (place.join("engine"), place.join("log"));
        let remote = match &self.remote {
            SshRemote::Socket(path) => Socket::from(Path::new(&**path)),
            SshRemote::Port(port) => Socket::new("127.0.0.1", *port),
        };
        let forward =
            session.request_port_forward(ForwardType::Local, Socket::from(socket.as_path()), remote);
        match timeout(CONTROL, forward).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.failed(classify::chain(&error))),
            Err(_) => return Err(self.failed("the ssh that was started does not answer".to_owned())),
        }
        Ok(Arc::new(Master { session, socket, ports: Mutex::default(), log, read: AtomicUsize::new(0) }))
    }

    /// Starts `ssh` and waits until it is logged in, when it goes to the background.
    async fn launch(&self, directory: &Path) -> Result<(), EngineErrorKind> {
        let log = directory.join("log");
        let mut ssh = Command::new("ssh");
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        // Ctrl-C is for Maestro, which finishes what is in flight: a proxy of ssh's that is in the terminal's group would
        // take the connection with it. `ssh -f` leaves the group, its proxies do not.
        ssh.process_group(0);
        ssh.args(self.arguments(directory, &log));
        let mut child = ssh.spawn().map_err(|error| {
            self.failed(match error.kind() {
                std::io::ErrorKind::NotFound => "there is no program `ssh` on this machine".to_owned(),
                _ => format!("cannot start `ssh`: {error}"),
            })
        })?;
        let within = LOGIN.max(self.connect);
        let status = match timeout(within, child.wait()).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return Err(self.failed(format!("lost track of `ssh`: {error}"))),
            Err(_) => {
                return Err(EngineErrorKind::Unresponsive { address: self.address.clone(), after: within });
            }
        };
        if status.success() {
            return Ok(());
        }
        let said = tokio::fs::read(&log).await.unwrap_or_default();
        Err(classify::ssh(&self.address, &String::from_utf8_lossy(&said), &status.to_string()))
    }

    fn arguments(&self, directory: &Path, log: &Path) -> Vec<std::ffi::OsString> {
        let mut arguments: Vec<std::ffi::OsString> =
            vec!["-M".into(), "-N".into(), "-T".into(), "-f".into(), "-E".into(), log.into()];
        arguments.extend(["-S".into(), directory.join("master").into()]);
        if let Some(config) = &self.config {
            arguments.extend(["-F".into(), config.into()]);
        }
        // What is given here wins over the user's configuration: nothing may ask a question, and forwardings that are
        // meant for interactive logins must not be opened. Whether an unknown host is trusted is the user's to say
        // (`StrictHostKeyChecking`); where ssh would ask, as it does unless told otherwise, it refuses instead.
        for option in [
            "BatchMode=yes".to_owned(),
            "ClearAllForwardings=yes".to_owned(),
            "ForwardAgent=no".to_owned(),
            "ForwardX11=no".to_owned(),
            "PermitLocalCommand=no".to_owned(),
            "ConnectionAttempts=1".to_owned(),
            "LogLevel=INFO".to_owned(),
            format!("ControlPersist={IDLE}"),
            format!("ServerAliveInterval={ALIVE_INTERVAL}"),
            format!("ConnectTimeout={}", self.connect.as_secs().max(1)),
        ] {
            arguments.extend(["-o".into(), option.into()]);
        }
        if let Some(port) = self.login.port {
            arguments.extend(["-p".into(), port.to_string().into()]);
        }
        if let Some(user) = &self.login.user {
            arguments.extend(["-l".into(), (&**user).into()]);
        }
        if let Some(key) = &self.login.key {
            arguments.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into(), (&**key).into()]);
        }
        arguments.extend(["--".into(), (&*self.login.host).into()]);
        arguments
    }

    /// A connection that broke before any answer may never have reached the engine; `ssh` says so in its log only.
    pub(super) async fn explain(&self, kind: EngineErrorKind) -> EngineErrorKind {
        if !matches!(kind, EngineErrorKind::Lost(_)) {
            return kind;
        }
        let Some(master) = self.master.peek().await else { return kind };
        let said = tokio::fs::read(&master.log).await.unwrap_or_default();
        let from = master.read.swap(said.len(), Ordering::Relaxed).min(said.len());
        let news = String::from_utf8_lossy(&said[from..]).into_owned();
        let refusal =
            news.lines().rev().find_map(|line| line.split_once("open failed: ").map(|(_, why)| why));
        match refusal {
            Some(why) => {
                let remote = match &self.remote {
                    SshRemote::Socket(path) => path.to_string(),
                    SshRemote::Port(port) => format!("127.0.0.1:{port}"),
                };
                self.failed(format!(
                    "logged in, but no engine can be reached at {remote} there: {}",
                    why.trim()
                ))
            }
            None => kind,
        }
    }

    fn failed(&self, cause: String) -> EngineErrorKind {
        EngineErrorKind::Ssh { address: self.address.clone(), cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_host_name_is_an_option() {
        let login = Login {
            host: "-oProxyCommand=touch /tmp/x".into(),
            port: Some(2222),
            user: Some("ops".into()),
            key: Some("/keys/id".into()),
        };
        let options = EngineOptions { ssh_config: Some("/etc/other".into()), ..EngineOptions::default() };
        let ssh = Ssh::new(login, SshRemote::Port(2375), String::new(), Duration::from_secs(5), &options);
        let arguments: Vec<String> = ssh
            .arguments(Path::new("/tmp/d"), Path::new("/tmp/d/log"))
            .into_iter()
            .map(|a| a.into_string().unwrap())
            .collect();
        let tail = &arguments[arguments.len() - 10..];
        assert_eq!(
            tail,
            [
                "-p",
                "2222",
                "-l",
                "ops",
                "-o",
                "IdentitiesOnly=yes",
                "-i",
                "/keys/id",
                "--",
                "-oProxyCommand=touch /tmp/x"
            ]
        );
        let text = arguments.join(" ");
        assert!(text.contains("-F /etc/other"), "{text}");
        assert!(text.contains("-S /tmp/d/master"), "{text}");
    }
}
