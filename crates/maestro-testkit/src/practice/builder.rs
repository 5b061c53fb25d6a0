//! Bringing a fleet up: everything side by side, in this order only where it must be.

use super::api::EngineVersionInfo;
use super::command::Runner;
use super::description::{FleetDescription, RegistryDescription, ShipDescription, TransportDescription};
use super::error::FleetError;
use super::fleet::{Guard, PracticeFleet};
use super::image::Image;
use super::install::{EngineRelease, Installation};
use super::layout::{Layout, MOST_SHIPS};
use super::net;
use super::pki::{Authority, CertificateFiles, write_private};
use super::registry::{self, Login};
use super::ship::{self, EngineStart, SSH_PORT, TCP_PORT, TLS_PORT, TransportKind};
use super::shop;
use super::slot;
use futures_util::future::{try_join, try_join_all};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// One ship to be built.
#[derive(Debug, Clone, Copy)]
pub struct ShipPlan {
    /// How its engine is reached.
    pub transport: TransportKind,
    /// Which engine it runs.
    pub release: EngineRelease,
    /// Size of its disk in MiB, to be filled. The images and an engine's own files need some 20.
    pub disk_mib: Option<u32>,
}

/// Describes a fleet to be brought up.
#[derive(Debug, Clone)]
pub struct FleetBuilder {
    state: Option<PathBuf>,
    ships: Vec<ShipPlan>,
    mixed: bool,
    login: Option<Login>,
}

impl FleetBuilder {
    /// No ships, no registry.
    pub(crate) fn new() -> FleetBuilder {
        FleetBuilder { state: None, ships: Vec::new(), mixed: false, login: None }
    }

    /// Adds ships with the old engine, one per transport, in this order: `ship-1`, `ship-2`, …
    #[must_use]
    pub fn ships(mut self, transports: &[TransportKind]) -> FleetBuilder {
        let plan = |transport: &TransportKind| ShipPlan {
            transport: *transport,
            release: EngineRelease::Old,
            disk_mib: None,
        };
        self.ships.extend(transports.iter().map(plan));
        self
    }

    /// Adds one ship.
    #[must_use]
    pub fn ship(mut self, plan: ShipPlan) -> FleetBuilder {
        self.ships.push(plan);
        self
    }

    /// Gives every second ship, from the first, the new engine where it is installed.
    #[must_use]
    pub fn mixed(mut self) -> FleetBuilder {
        self.mixed = true;
        self
    }

    /// Gives every ship this engine.
    #[must_use]
    pub fn all(mut self, release: EngineRelease) -> FleetBuilder {
        for ship in &mut self.ships {
            ship.release = release;
        }
        self
    }

    /// Adds a registry with this login and all ready-made images.
    #[must_use]
    pub fn registry(mut self, login: Login) -> FleetBuilder {
        self.login = Some(login);
        self
    }

    /// Keeps everything in this directory, which must be new or empty. Without, a temporary one is made.
    #[must_use]
    pub fn state(mut self, directory: impl Into<PathBuf>) -> FleetBuilder {
        self.state = Some(directory.into());
        self
    }

    /// Brings the fleet up and waits until every engine and the registry answer. On failure, or if this future is
    /// dropped half-way, all that was made is removed again. Takes down fleets whose owner died, too.
    pub async fn up(mut self) -> Result<PracticeFleet, FleetError> {
        let installation = Installation::find()?;
        self.check(&installation)?;
        // What cannot be removed keeps its slot and stands in nobody's way; `practice-fleet sweep` says why.
        slot::sweep().await.ok();
        let (state, temporary) = self.choose_state()?;
        let (layout, lock) = slot::claim(&state, self.ships.len()).await?;
        // From here on, everything that was made is removed unless the fleet gets finished.
        let guard = Guard::new(layout.clone(), lock);
        // Ends before the guard does: while it holds the lock, nothing is taken down.
        let runner = guard.runner();
        temporary.map(TempDir::keep);
        let (images, ()) = try_join(shop::build(&installation), net::build(&layout, &runner)).await?;
        let registry = self.start_registry(&layout, &installation, &runner, &images);
        let ships = self.start_ships(&layout, &installation, &runner);
        let (ships, registry) = try_join(ships, registry).await?;
        let ssh = self.ships.iter().any(|ship| ship.transport == TransportKind::Ssh);
        let description = FleetDescription {
            state,
            slot: layout.slot,
            subnet: layout.subnet(),
            host_address: layout.host_address(),
            registry,
            ships,
            ssh_config: ssh.then(|| layout.ssh_dir().join("config")),
        };
        drop(runner);
        PracticeFleet::finished(description, guard)
    }

    /// The state directory, and what removes it again if it is a temporary one.
    fn choose_state(&self) -> Result<(PathBuf, Option<TempDir>), FleetError> {
        let Some(given) = &self.state else {
            let made = tempfile::Builder::new().prefix("maestro-practice-").tempdir();
            let made = made.map_err(FleetError::io("make a temporary directory"))?;
            return Ok((slot::resolve(made.path())?, Some(made)));
        };
        if let Some(parent) = given.parent() {
            fs::create_dir_all(parent).map_err(FleetError::io(format!("make {}", parent.display())))?;
        }
        Ok((slot::resolve(given)?, None))
    }

    fn check(&mut self, installation: &Installation) -> Result<(), FleetError> {
        if self.ships.len() > MOST_SHIPS {
            return Err(FleetError::Unsupported {
                what: format!("a practice fleet has at most {MOST_SHIPS} ships"),
            });
        }
        for (place, ship) in self.ships.iter_mut().enumerate() {
            if self.mixed && place % 2 == 0 && installation.has(EngineRelease::New) {
                ship.release = EngineRelease::New;
            }
            if !installation.has(ship.release) {
                let path = installation.dockerd(ship.release);
                return Err(FleetError::NotInstalled { what: "Docker Engine 28.5", path });
            }
        }
        Ok(())
    }

    async fn start_registry(
        &self,
        layout: &Layout,
        installation: &Installation,
        runner: &Runner,
        images: &[Image],
    ) -> Result<Option<RegistryDescription>, FleetError> {
        let Some(login) = &self.login else { return Ok(None) };
        registry::start(layout, installation, runner, login).await?;
        // The first is the base of all others. One after the other: images share layers, and the registry may refuse a
        // manifest while another push writes one of its layers once more.
        if let Some((base, others)) = images.split_first() {
            registry::push(layout, login, base, None).await?;
            for image in others {
                registry::push(layout, login, image, Some(base)).await?;
            }
        }
        let address = format!("{}:{}", layout.registry_address(), registry::PORT);
        Ok(Some(RegistryDescription {
            url: format!("http://{address}"),
            images: images
                .iter()
                .map(|image| format!("{address}/{}:{}", image.repository, image.tag))
                .collect(),
            address,
            login: login.clone(),
        }))
    }

    async fn start_ships(
        &self,
        layout: &Layout,
        installation: &Installation,
        runner: &Runner,
    ) -> Result<Vec<ShipDescription>, FleetError> {
        let credentials = self.make_credentials(layout, runner).await?;
        let starts = self.ships.iter().enumerate().map(|(ship, plan)| {
            let credentials = &credentials;
            async move {
                let version = start_ship(layout, installation, runner, ship, *plan, credentials).await?;
                Ok::<_, FleetError>(describe(layout, ship, *plan, credentials, version))
            }
        });
        try_join_all(starts).await
    }

    /// Certificates and SSH keys, of which most take longer to make than to use.
    async fn make_credentials(&self, layout: &Layout, runner: &Runner) -> Result<Credentials, FleetError> {
        let with = |kind| {
            let ships = self.ships.iter().enumerate();
            ships.filter(move |(_, ship)| ship.transport == kind).map(|(ship, _)| ship).collect::<Vec<_>>()
        };
        for ship in 0..self.ships.len() {
            let directory = layout.ship_dir(ship);
            fs::create_dir_all(&directory)
                .map_err(FleetError::io(format!("make {}", directory.display())))?;
        }
        let mut credentials = Credentials::default();
        let tls = with(TransportKind::Tls);
        if !tls.is_empty() {
            let authority = Authority::new("Maestro practice fleet")?;
            credentials.client = Some(authority.issue_client("maestro", &layout.pki_dir().join("client"))?);
            for ship in tls {
                let address = IpAddr::V4(layout.ship_address(ship));
                let files = authority.issue_server(address, &layout.ship_dir(ship).join("pki"))?;
                credentials.servers.push((ship, files));
            }
        }
        let ssh = with(TransportKind::Ssh);
        if !ssh.is_empty() {
            make_ssh_files(layout, runner, &ssh).await?;
        }
        Ok(credentials)
    }
}

/// Certificates of the fleet.
#[derive(Debug, Default)]
struct Credentials {
    client: Option<CertificateFiles>,
    servers: Vec<(usize, CertificateFiles)>,
}

impl Credentials {
    fn server(&self, ship: usize) -> Option<&CertificateFiles> {
        self.servers.iter().find(|(of, _)| *of == ship).map(|(_, files)| files)
    }
}

/// The user's key, the host keys, `known_hosts` and a client configuration.
async fn make_ssh_files(layout: &Layout, runner: &Runner, ships: &[usize]) -> Result<(), FleetError> {
    let directory = layout.ssh_dir();
    let failed = || FleetError::io(format!("set up {}", directory.display()));
    fs::create_dir_all(&directory).map_err(failed())?;
    let user_key = directory.join("id_ed25519");
    let host_keys = ships.iter().map(|ship| {
        let path = layout.ship_dir(*ship).join("ssh_host_key");
        async move { ship::make_ssh_key(runner, &path, "practice-host").await }
    });
    let (user, hosts) =
        try_join(ship::make_ssh_key(runner, &user_key, "practice"), try_join_all(host_keys)).await?;
    fs::write(directory.join("authorized_keys"), user + "\n").map_err(failed())?;
    let mut known = String::new();
    let mut config = String::new();
    for (ship, key) in ships.iter().zip(hosts) {
        let (name, address) = (Layout::ship_name(*ship), layout.ship_address(*ship));
        // Writing to a string cannot fail.
        writeln!(known, "{name},{address} {key}").ok();
        writeln!(config, "Host {name}\n  HostName {address}").ok();
    }
    writeln!(
        config,
        "Host *\n  User root\n  Port {SSH_PORT}\n  IdentityFile {}\n  IdentitiesOnly yes\n  BatchMode yes\n  \
         UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes",
        user_key.display(),
        directory.join("known_hosts").display(),
    )
    .ok();
    fs::write(directory.join("known_hosts"), known).map_err(failed())?;
    write_private(&directory.join("config"), &config)
}

async fn start_ship(
    layout: &Layout,
    installation: &Installation,
    runner: &Runner,
    ship: usize,
    plan: ShipPlan,
    credentials: &Credentials,
) -> Result<EngineVersionInfo, FleetError> {
    let data = layout.data_root(ship);
    fs::create_dir_all(&data).map_err(FleetError::io(format!("make {}", data.display())))?;
    mount_disk(runner, &data, plan.disk_mib).await?;
    let certificate = credentials.server(ship);
    let start = EngineStart::new(layout, installation, ship, plan.release, plan.transport, certificate);
    start.save(layout, ship)?;
    let engine = async {
        start.launch(layout, runner, ship).await?;
        ship::wait_for_engine(layout, ship).await
    };
    if plan.transport != TransportKind::Ssh {
        return engine.await;
    }
    let sshd = ship::start_sshd(layout, installation, runner, ship);
    try_join(engine, sshd).await.map(|(version, ())| version)
}

/// Gives a ship a disk, in memory: an engine writes through to its disk at every step and at every end of a
/// container, which makes a real one slow for no use, and most of all to take down. Without a size it is half of
/// the machine's memory, as the kernel sees fit; nothing is taken until it is used.
async fn mount_disk(runner: &Runner, point: &Path, size_mib: Option<u32>) -> Result<(), FleetError> {
    let options = size_mib.map_or_else(|| "mode=0711".to_owned(), |size| format!("mode=0711,size={size}m"));
    let words = ["-t", "tmpfs", "-o", &options, "maestro-practice"];
    let mut words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    words.push(point.as_os_str());
    runner.run("mount", &words).await.map(drop)
}

fn describe(
    layout: &Layout,
    ship: usize,
    plan: ShipPlan,
    credentials: &Credentials,
    version: EngineVersionInfo,
) -> ShipDescription {
    let transport = match (plan.transport, &credentials.client) {
        (TransportKind::Tls, Some(client)) => {
            TransportDescription::Tls { port: TLS_PORT, client: client.clone() }
        }
        (TransportKind::Ssh, _) => TransportDescription::Ssh {
            port: SSH_PORT,
            user: "root".to_owned(),
            key: layout.ssh_dir().join("id_ed25519"),
            known_hosts: layout.ssh_dir().join("known_hosts"),
            remote_socket: PathBuf::from("/var/run/docker.sock"),
            remote_port: TCP_PORT,
        },
        (TransportKind::Unix, _) => TransportDescription::Unix { socket: layout.docker_socket(ship) },
        (TransportKind::Tcp | TransportKind::Tls, _) => TransportDescription::Tcp { port: TCP_PORT },
    };
    ShipDescription {
        name: Layout::ship_name(ship),
        ip: layout.ship_address(ship),
        transport,
        engine_version: version.version,
        api_version: version.api_version,
        harness_socket: layout.harness_socket(ship),
        log: layout.engine_log(ship),
        netns: layout.netns(ship),
        data_root: layout.data_root(ship),
        disk_mib: plan.disk_mib,
    }
}
