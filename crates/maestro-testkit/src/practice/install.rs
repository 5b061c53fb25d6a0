//! What scripts/install-practice-fleet put on this machine, and where.

use super::command::SYSTEM_PATH;
use super::error::FleetError;
use std::path::PathBuf;

/// Which engine a ship runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineRelease {
    /// Docker Engine 20.10, of Debian 12.
    Old,
    /// Docker Engine 28.5, of Debian unstable.
    New,
}

/// The folder into which the install script unpacked engines, registry and SSH server.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    folder: PathBuf,
}

/// Programs that come from the system, with what they are needed for.
const SYSTEM_PROGRAMS: [(&str, &str); 9] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("iptables", "iptables"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("ssh", "the OpenSSH client"),
    ("ssh-keygen", "the OpenSSH client"),
];

impl Installation {
    /// Finds the installation below `MAESTRO_PRACTICE_CACHE`, or `maestro-practice` in the user's cache directory,
    /// and checks that all is there. Needs root, as all that follows does.
    pub(crate) fn find() -> Result<Installation, FleetError> {
        if !rustix::process::geteuid().is_root() {
            return Err(FleetError::NotRoot);
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("MAESTRO_PRACTICE_CACHE")
            .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("maestro-practice")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/maestro-practice")))
            .unwrap_or_else(|| PathBuf::from("/var/cache/maestro-practice"));
        let installation = Installation { folder };
        let folders: Vec<PathBuf> = SYSTEM_PATH.split(':').map(PathBuf::from).collect();
        for (program, package) in SYSTEM_PROGRAMS {
            if !folders.iter().any(|folder| folder.join(program).is_file()) {
                return Err(FleetError::NotInstalled { what: package, path: PathBuf::from(program) });
            }
        }
        let unpacked = [
            ("Docker Engine 20.10", installation.dockerd(EngineRelease::Old)),
            ("containerd", installation.folder.join("old/usr/bin/containerd")),
            ("the registry", installation.registry()),
            ("the SSH server", installation.sshd()),
            ("busybox", installation.busybox()),
            ("HAProxy", installation.balancer("haproxy")),
            ("nginx", installation.balancer("nginx")),
            ("etcd", installation.etcd()),
        ];
        match unpacked.into_iter().find(|(_, path)| !path.is_file()) {
            Some((what, path)) => Err(FleetError::NotInstalled { what, path }),
            None => Ok(installation),
        }
    }

    /// Whether an engine of this release is there.
    pub(crate) fn has(&self, release: EngineRelease) -> bool {
        self.dockerd(release).is_file()
    }

    pub(crate) fn dockerd(&self, release: EngineRelease) -> PathBuf {
        match release {
            EngineRelease::Old => self.folder.join("old/usr/sbin/dockerd"),
            EngineRelease::New => self.folder.join("new/usr/sbin/dockerd"),
        }
    }

    /// The search path of an engine: the new one brings its own docker-proxy, and both use the old one's
    /// containerd and runc (the new runc needs a newer C library).
    pub(crate) fn engine_path(&self, release: EngineRelease) -> String {
        let old = self.folder.join("old/usr");
        let new = self.folder.join("new/usr/sbin");
        let old = format!("{0}/sbin:{0}/bin:{SYSTEM_PATH}", old.display());
        match release {
            EngineRelease::Old => old,
            EngineRelease::New => format!("{}:{old}", new.display()),
        }
    }

    pub(crate) fn registry(&self) -> PathBuf {
        self.folder.join("old/usr/bin/docker-registry")
    }

    pub(crate) fn sshd(&self) -> PathBuf {
        self.folder.join("old/usr/sbin/sshd")
    }

    /// A load balancer: `haproxy` or `nginx`.
    pub(crate) fn balancer(&self, program: &str) -> PathBuf {
        self.folder.join("balancers/usr/sbin").join(program)
    }

    /// Where the libraries are that a load balancer needs and the system may lack.
    pub(crate) fn balancer_libraries(&self) -> PathBuf {
        let library = format!("balancers/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        self.folder.join(library)
    }

    pub(crate) fn etcd(&self) -> PathBuf {
        self.folder.join("etcd/usr/bin/etcd")
    }

    pub(crate) fn busybox(&self) -> PathBuf {
        self.folder.join("old/bin/busybox")
    }
}
