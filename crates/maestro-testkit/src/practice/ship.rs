//! The processes of one ship: an engine, and an SSH server where the ship is reached that way.

use super::command::{self, Runner};
use super::error::FleetError;
use super::install::{EngineRelease, Installation};
use super::layout::Layout;
use super::pki::CertificateFiles;
use super::process;
use super::{api::EngineApi, api::EngineVersionInfo};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Port of an engine without TLS.
pub(crate) const TCP_PORT: u16 = 2375;
/// Port of an engine with TLS.
pub(crate) const TLS_PORT: u16 = 2376;
/// Port of the SSH server.
pub(crate) const SSH_PORT: u16 = 22;

const ENGINE_READY: Duration = Duration::from_secs(45);
const SSHD_READY: Duration = Duration::from_secs(20);
/// By this time a server that was started is a process of its ship, or has failed.
const SETTLED: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(15);

/// How a client reaches a ship's engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// Plain TCP.
    Tcp,
    /// TLS, both sides with a certificate.
    Tls,
    /// SSH: to the engine's socket, or to its port 2375 on the ship's loopback.
    Ssh,
    /// A unix socket.
    Unix,
}

/// What starting a ship's engine needs, also again after a crash.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct EngineStart {
    command: Vec<PathBuf>,
    path: String,
}

/// Gives a server of the ship a /run of its own, so that sockets and pid files have their usual names and nothing
/// of the machine's is touched. The first argument is that directory.
const OWN_RUN: &str = r#"mount --bind "$1" /run; mkdir -p /run/sshd; shift;"#;

impl EngineStart {
    pub(crate) fn new(
        layout: &Layout,
        installation: &Installation,
        ship: usize,
        release: EngineRelease,
        transport: TransportKind,
        certificate: Option<&CertificateFiles>,
    ) -> EngineStart {
        let mut command = vec![layout.ship_run(ship), installation.dockerd(release)];
        let mut arg = |words: &[&str]| command.extend(words.iter().map(PathBuf::from));
        let config = layout.ship_dir(ship).join("daemon.json");
        arg(&["--config-file", &config.to_string_lossy()]);
        arg(&["--data-root", &layout.data_root(ship).to_string_lossy()]);
        arg(&["--exec-opt", "native.cgroupdriver=cgroupfs"]);
        arg(&["--cgroup-parent", &format!("/{}", layout.cgroup(ship))]);
        arg(&["--insecure-registry", &layout.subnet(), "--ip6tables=false"]);
        arg(&["--host", "unix:///run/docker.sock", "--host", "unix:///run/harness.sock"]);
        let address = layout.ship_address(ship);
        match (transport, certificate) {
            (TransportKind::Tls, Some(files)) => {
                arg(&["--host", &format!("tcp://{address}:{TLS_PORT}"), "--tlsverify"]);
                arg(&["--tlscacert", &files.ca.to_string_lossy()]);
                arg(&["--tlscert", &files.cert.to_string_lossy(), "--tlskey", &files.key.to_string_lossy()]);
            }
            // Said outright, or the engine waits a quarter of a minute to show a warning.
            (TransportKind::Tcp, _) => {
                arg(&["--host", &format!("tcp://{address}:{TCP_PORT}"), "--tls=false"]);
            }
            (TransportKind::Ssh, _) => {
                arg(&["--host", &format!("tcp://127.0.0.1:{TCP_PORT}"), "--tls=false"]);
            }
            (TransportKind::Unix | TransportKind::Tls, _) => {}
        }
        EngineStart { command, path: installation.engine_path(release) }
    }

    /// Keeps it for whoever restarts the engine.
    pub(crate) fn save(&self, layout: &Layout, ship: usize) -> Result<(), FleetError> {
        let path = layout.ship_dir(ship).join("engine.json");
        let failed = || FleetError::io(format!("write {}", path.display()));
        let text = serde_json::to_vec(self).map_err(|error| failed()(error.into()))?;
        fs::write(&path, text).map_err(failed())
    }

    pub(crate) fn saved(layout: &Layout, ship: usize) -> Result<EngineStart, FleetError> {
        let path = layout.ship_dir(ship).join("engine.json");
        let failed = || FleetError::io(format!("read {}", path.display()));
        let text = fs::read(&path).map_err(failed())?;
        serde_json::from_slice(&text).map_err(|error| failed()(error.into()))
    }

    /// Starts the engine; it answers later.
    pub(crate) async fn launch(
        &self,
        layout: &Layout,
        runner: &Runner,
        ship: usize,
    ) -> Result<(), FleetError> {
        let run = layout.ship_run(ship);
        fs::create_dir_all(&run).map_err(FleetError::io(format!("make {}", run.display())))?;
        let config = layout.ship_dir(ship).join("daemon.json");
        // An empty one, so that the machine's own is not read.
        fs::write(&config, "{}").map_err(FleetError::io(format!("write {}", config.display())))?;
        // A crashed engine leaves pid files, and the next one takes their numbers for living processes if they
        // are somebody else's by now, or not yet collected by init.
        fs::remove_file(layout.engine_pid_file(ship)).ok();
        fs::remove_file(layout.containerd_pid_file(ship)).ok();
        let home = layout.ship_dir(ship);
        let environment = [("PATH", self.path.as_str()), ("HOME", &*home.to_string_lossy())];
        let log = layout.engine_log(ship);
        runner.launch(&layout.netns(ship), OWN_RUN, &self.command, &environment, &log).await
    }
}

/// Waits until a ship's engine answers, and asks for its version.
pub(crate) async fn wait_for_engine(layout: &Layout, ship: usize) -> Result<EngineVersionInfo, FleetError> {
    let api = EngineApi::unix(layout.harness_socket(ship));
    let name = Layout::ship_name(ship);
    let log = layout.engine_log(ship);
    let started = Instant::now();
    loop {
        let error = match api.ping(Duration::from_secs(2)).await {
            Ok(()) => return api.version().await,
            Err(error) => error,
        };
        if started.elapsed() > SETTLED && !engine_exists(layout, ship) {
            let tail = command::tail(&log);
            return Err(FleetError::Died { what: format!("the engine of {name}"), log, tail });
        }
        if started.elapsed() > ENGINE_READY {
            return Err(FleetError::Deadline {
                what: format!("the engine of {name} did not answer"),
                waited: ENGINE_READY,
                detail: format!(" ({error}); its log ends: {}", command::tail(&log)),
            });
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Whether there is an engine, or something that is about to become it.
fn engine_exists(layout: &Layout, ship: usize) -> bool {
    let data_root = layout.data_root(ship);
    process::in_namespaces(&[layout.netns(ship)]).into_iter().any(|pid| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == data_root.as_os_str().as_bytes())
    })
}

/// Process id of a ship's engine, if it runs.
pub(crate) fn engine_pid(layout: &Layout, ship: usize) -> Option<i32> {
    process::from_pid_file(&layout.engine_pid_file(ship), &layout.netns(ship))
}

/// Whether a ship's engine or its containerd runs.
pub(crate) fn engine_or_containerd_runs(layout: &Layout, ship: usize) -> bool {
    let containerd = process::from_pid_file(&layout.containerd_pid_file(ship), &layout.netns(ship));
    engine_pid(layout, ship).is_some() || containerd.is_some()
}

/// Whether a ship's SSH server runs.
pub(crate) fn sshd_runs(layout: &Layout, ship: usize) -> bool {
    process::from_pid_file(&layout.ship_run(ship).join("sshd.pid"), &layout.netns(ship)).is_some()
}

/// Starts a ship's SSH server and waits for its greeting.
pub(crate) async fn start_sshd(
    layout: &Layout,
    installation: &Installation,
    runner: &Runner,
    ship: usize,
) -> Result<(), FleetError> {
    let authorized_keys = layout.ssh_dir().join("authorized_keys");
    let directory = layout.ship_dir(ship);
    let config = directory.join("sshd_config");
    let address = layout.ship_address(ship);
    // Everything that depends on the machine's accounts, PAM or name service is off.
    let text = format!(
        "ListenAddress {address}:{SSH_PORT}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile /run/sshd.pid\n\
         PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PubkeyAuthentication yes\nStrictModes no\nUsePAM no\nUseDNS no\nX11Forwarding no\nPrintMotd no\n\
         PrintLastLog no\nAllowTcpForwarding yes\nAllowStreamLocalForwarding yes\nMaxStartups 100\n\
         MaxSessions 100\nLogLevel VERBOSE\n",
        directory.join("ssh_host_key").display(),
        authorized_keys.display(),
    );
    fs::write(&config, text).map_err(FleetError::io(format!("write {}", config.display())))?;
    let run = layout.ship_run(ship);
    fs::create_dir_all(&run).map_err(FleetError::io(format!("make {}", run.display())))?;
    let mut server = vec![run, installation.sshd()];
    server.extend(["-D", "-e", "-f"].map(PathBuf::from));
    server.push(config);
    let log = layout.sshd_log(ship);
    runner.launch(&layout.netns(ship), OWN_RUN, &server, &[], &log).await?;
    let started = Instant::now();
    while !greets((address, SSH_PORT)).await {
        if started.elapsed() > SETTLED && !sshd_runs(layout, ship) {
            let what = format!("the SSH server of {}", Layout::ship_name(ship));
            let tail = command::tail(&log);
            return Err(FleetError::Died { what, log, tail });
        }
        if started.elapsed() > SSHD_READY {
            return Err(FleetError::Deadline {
                what: format!("the SSH server of {} did not greet", Layout::ship_name(ship)),
                waited: SSHD_READY,
                detail: format!("; its log ends: {}", command::tail(&log)),
            });
        }
        tokio::time::sleep(TICK).await;
    }
    Ok(())
}

async fn greets(address: (std::net::Ipv4Addr, u16)) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let mut start = [0; 4];
        stream.read_exact(&mut start).await.ok()?;
        Some(start)
    };
    tokio::time::timeout(Duration::from_secs(2), greeting).await == Ok(Some(*b"SSH-"))
}

/// Makes a key pair, `path` and `path`.pub, and returns the public half.
pub(crate) async fn make_ssh_key(runner: &Runner, path: &Path, comment: &str) -> Result<String, FleetError> {
    let file = path.to_string_lossy();
    runner.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", &file]).await?;
    let public = path.with_extension("pub");
    let text = fs::read_to_string(&public).map_err(FleetError::io(format!("read {}", public.display())))?;
    Ok(text.trim().to_owned())
}
