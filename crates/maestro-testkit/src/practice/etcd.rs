//! A real etcd of one member, on an address of this machine's loopback that nobody else has.

use super::command::{SYSTEM_PATH, tail};
use super::error::FleetError;
use super::install::Installation;
use super::pki::{Authority, CertificateFiles};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long it may take to serve.
const LIMIT: Duration = Duration::from_secs(20);
/// What it says then.
const SERVES: &str = "ready to serve client requests";

static NUMBER: AtomicU16 = AtomicU16::new(0);

/// etcd 3.4, as `scripts/install-practice-fleet` has unpacked it. It ends when this does, and leaves nothing.
#[derive(Debug)]
pub struct PracticeEtcd {
    program: PathBuf,
    address: SocketAddr,
    certificates: Option<CertificateFiles>,
    child: Child,
    dir: TempDir,
}

impl PracticeEtcd {
    /// Starts one that whoever reaches it may use.
    pub async fn start() -> Result<Self, FleetError> {
        Self::new(None).await
    }

    /// Starts one that speaks TLS, and lets in who has a certificate of this authority.
    pub async fn start_secure(authority: &Authority) -> Result<Self, FleetError> {
        Self::new(Some(authority)).await
    }

    async fn new(authority: Option<&Authority>) -> Result<Self, FleetError> {
        let program = Installation::find()?.etcd();
        let dir = tempfile::tempdir().map_err(FleetError::io("make a directory for etcd"))?;
        // An address for each process, and two ports of it for each etcd: nobody else has them.
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let ip = IpAddr::from(Ipv4Addr::new(127, 64 | high, middle, low));
        let address = SocketAddr::new(ip, 2379 + 2 * NUMBER.fetch_add(1, Ordering::Relaxed));
        let issue = |authority: &Authority| authority.issue_peer(ip, &dir.path().join("tls"));
        let certificates = authority.map(issue).transpose()?;
        let child = launch(&program, address, certificates.as_ref(), &dir)?;
        let mut etcd = Self { program, address, certificates, child, dir };
        etcd.serves().await?;
        Ok(etcd)
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Kills it; what was written stays.
    pub async fn kill(&mut self) -> Result<(), FleetError> {
        self.child.kill().await.map_err(FleetError::io("kill etcd"))
    }

    /// Starts it again after it was killed.
    pub async fn revive(&mut self) -> Result<(), FleetError> {
        self.child = launch(&self.program, self.address, self.certificates.as_ref(), &self.dir)?;
        self.serves().await
    }

    /// Waits until it does.
    async fn serves(&mut self) -> Result<(), FleetError> {
        let (log, began) = (self.dir.path().join("log"), Instant::now());
        while !String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).contains(SERVES) {
            if self.child.try_wait().map_err(FleetError::io("look at etcd"))?.is_some() {
                return Err(FleetError::Died { what: "etcd".to_owned(), tail: tail(&log), log });
            }
            if began.elapsed() > LIMIT {
                let detail = format!("; its log ends: {}", tail(&log));
                return Err(FleetError::Deadline {
                    what: "etcd did not serve".to_owned(),
                    waited: LIMIT,
                    detail,
                });
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn launch(
    program: &Path,
    address: SocketAddr,
    certificates: Option<&CertificateFiles>,
    dir: &TempDir,
) -> Result<Child, FleetError> {
    let log = File::create(dir.path().join("log")).map_err(FleetError::io("open the log of etcd"))?;
    let second = log.try_clone().map_err(FleetError::io("open the log of etcd"))?;
    let scheme = if certificates.is_some() { "https" } else { "http" };
    let peer = format!("http://{}:{}", address.ip(), address.port() + 1);
    let client = format!("{scheme}://{address}");
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", SYSTEM_PATH)
        .current_dir(dir.path())
        .args(["--name", "one", "--data-dir", "data", "--unsafe-no-fsync"])
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("one={peer}")]);
    if let Some(CertificateFiles { ca, cert, key }) = certificates {
        command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(ca);
        command.arg("--cert-file").arg(cert).arg("--key-file").arg(key);
    }
    let command = command.stdin(Stdio::null()).stdout(log).stderr(second).kill_on_drop(true);
    command.spawn().map_err(FleetError::io("start etcd"))
}
