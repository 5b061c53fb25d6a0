//! Real load balancers: as programs of this machine, and as images that are made of them.

use super::command::Runner;
use super::error::FleetError;
use super::fleet::PracticeFleet;
use super::image::{Entry, Image, layer};
use super::install::Installation;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// HAProxy 2.6 or nginx 1.22, as `scripts/install-practice-fleet` has unpacked them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadBalancer {
    /// HAProxy.
    Haproxy,
    /// nginx.
    Nginx,
}

/// What its image has before it is told anything: it runs, and answers that there is nothing.
const HAPROXY: &str = "global\n    master-worker\ndefaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n    \
                       timeout connect 5s\nfrontend empty\n    bind :80\n    http-request return status 404\n";
const NGINX: &str = "events {}\nhttp { server { listen 80 default_server; return 404; } }\n";

impl LoadBalancer {
    /// Its name, which is also the program's.
    pub fn name(self) -> &'static str {
        match self {
            LoadBalancer::Haproxy => "haproxy",
            LoadBalancer::Nginx => "nginx",
        }
    }

    /// The program, and where it finds its libraries.
    ///
    /// # Errors
    /// That it is not installed.
    pub fn program(self) -> Result<(PathBuf, OsString), FleetError> {
        let installation = Installation::find()?;
        Ok((installation.balancer(self.name()), installation.balancer_libraries().into_os_string()))
    }

    /// Path of its configuration in the image.
    pub fn config(self) -> &'static str {
        match self {
            LoadBalancer::Haproxy => "/usr/local/etc/haproxy/haproxy.cfg",
            LoadBalancer::Nginx => "/etc/nginx/nginx.conf",
        }
    }

    async fn image(self) -> Result<Image, FleetError> {
        let installation = Installation::find()?;
        let program = installation.balancer(self.name());
        let read =
            |path: &Path| std::fs::read(path).map_err(FleetError::io(format!("read {}", path.display())));
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for library in libraries(&program, &installation.balancer_libraries()).await? {
            let name = library.strip_prefix("/").unwrap_or(&library);
            // The loader has its place in every program; everything else is looked for where we say.
            let name = match name.file_name() {
                Some(file) if !file.to_string_lossy().starts_with("ld-") => {
                    format!("lib/{}", file.to_string_lossy())
                }
                _ => name.to_string_lossy().into_owned(),
            };
            files.insert(name, read(&library)?);
        }
        files.insert(format!("bin/{}", self.name()), read(&program)?);
        files.insert("bin/busybox".to_owned(), read(&installation.busybox())?);
        let text = if self == LoadBalancer::Haproxy { HAPROXY } else { NGINX };
        files.insert(self.config().trim_start_matches('/').to_owned(), text.as_bytes().to_vec());
        let users = "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
        files.insert("etc/passwd".to_owned(), users.as_bytes().to_vec());
        let groups = "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n";
        files.insert("etc/group".to_owned(), groups.as_bytes().to_vec());

        let mut directories: Vec<String> =
            ["run", "tmp", "var/lib/nginx", "var/log/nginx", "var/lock"].map(str::to_owned).into();
        directories.extend(files.keys().filter_map(|path| Some(path.rsplit_once('/')?.0.to_owned())));
        let mut parents: Vec<String> = directories.iter().flat_map(|path| above(path)).collect();
        parents.sort();
        parents.dedup();
        let mut entries: Vec<Entry<'_>> = parents.iter().map(|path| Entry::Directory(path)).collect();
        for (path, content) in &files {
            entries.push(Entry::File { path, mode: 0o755, content });
        }
        entries.push(Entry::Symlink { path: "bin/mv", target: "busybox" });
        entries.push(Entry::Symlink { path: "bin/sh", target: "busybox" });
        entries.push(Entry::Symlink { path: "var/run", target: "/run" });
        let command = match self {
            LoadBalancer::Haproxy => json!(["haproxy", "-W", "-db", "-f", self.config()]),
            LoadBalancer::Nginx => json!(["nginx", "-g", "daemon off;"]),
        };
        let config = json!({ "Env": ["PATH=/bin", "LD_LIBRARY_PATH=/lib"], "Cmd": command });
        Ok(Image::new(&format!("edge/{}", self.name()), "1.0", vec![layer(&entries)?], &config))
    }
}

/// A path and all directories that it is in.
fn above(path: &str) -> Vec<String> {
    let cuts = path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default().to_owned());
    cuts.chain([path.to_owned()]).collect()
}

/// The libraries that a program is started with.
async fn libraries(program: &Path, beside: &Path) -> Result<Vec<PathBuf>, FleetError> {
    let beside = format!("LD_LIBRARY_PATH={}", beside.display());
    let said = Runner::default().run("env", &[&beside, "ldd", &program.to_string_lossy()]).await?;
    let path = |line: &str| {
        let found = line.split_once("=>").map_or(line, |(_, found)| found);
        let path = found.split_whitespace().next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    Ok(said.lines().filter_map(path).collect())
}

impl PracticeFleet {
    /// Loads the image of a load balancer into a ship's engine. Returns its name there.
    ///
    /// # Errors
    /// What is not installed, or what the engine said.
    pub async fn load_balancer(&self, ship: &str, balancer: LoadBalancer) -> Result<String, FleetError> {
        let image = balancer.image().await?;
        let name = format!("{}:{}", image.repository, image.tag);
        self.api(ship)?.load(image.archive(&name)?).await?;
        Ok(name)
    }
}
