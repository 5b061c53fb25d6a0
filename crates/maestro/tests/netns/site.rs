//! A directory with a `maestro.yaml` for a practice fleet, and the program run in it as a user would.

use maestro_testkit::practice::{FleetBuilder, Login, PracticeFleet};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long one command may take, whatever happens to the fleet meanwhile.
const COMMAND_DEADLINE: Duration = Duration::from_mins(2);

/// A practice fleet and an environment on it.
pub(crate) struct Site {
    pub(crate) fleet: PracticeFleet,
    dir: TempDir,
}

/// What a command did.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ran {
    /// Everything that was said, for messages of tests.
    pub(crate) fn all(&self) -> String {
        format!("exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.all());
        self
    }

    #[track_caller]
    pub(crate) fn fails(self, with: i32) -> Self {
        assert_eq!(self.code, with, "{}", self.all());
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "no {text:?} in {}", self.all());
        self
    }

    #[track_caller]
    pub(crate) fn never_says(self, text: &str) -> Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "{text:?} in {}", self.all());
        self
    }
}

impl Site {
    /// Brings a fleet with a registry up.
    pub(crate) async fn up(fleet: FleetBuilder) -> Self {
        let fleet = fleet.registry(Login::default()).up().await.unwrap_or_else(|error| panic!("{error}"));
        Self { fleet, dir: tempfile::tempdir().unwrap() }
    }

    /// The complete name of a ready-made image.
    pub(crate) fn image(&self, name: &str) -> String {
        self.fleet.description().image(name)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the environment: the fleet's ships and registry, and these services.
    pub(crate) fn write(&self, services: &str) {
        self.write_with(&self.fleet.description().environment_yaml(), services);
    }

    pub(crate) fn write_with(&self, fleet: &str, services: &str) {
        let text = format!("__maestro: {{schema: 2}}\nname: site\n{fleet}services:\n{services}");
        std::fs::write(self.path().join("maestro.yaml"), text).unwrap();
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maestro"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.path())
            .env("DOCKER_CONFIG", self.path())
            .env("COLUMNS", "120")
            .env_remove("MAESTRO_PROGRESS");
        if let Some(config) = &self.fleet.description().ssh_config {
            command.env("MAESTRO_SSH_CONFIG", config);
        }
        command
    }

    /// Starts the program; the caller ends it.
    pub(crate) fn spawn(&self, arguments: &str) -> std::process::Child {
        self.spawn_with(arguments, &[])
    }

    /// The same with more environment variables.
    pub(crate) fn spawn_with(&self, arguments: &str, variables: &[(&str, &str)]) -> std::process::Child {
        self.command(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs the program to its end.
    pub(crate) async fn maestro(&self, arguments: &str) -> Ran {
        self.maestro_with(arguments, &[]).await
    }

    /// The same with more environment variables.
    pub(crate) async fn maestro_with(&self, arguments: &str, variables: &[(&str, &str)]) -> Ran {
        let began = std::time::Instant::now();
        let mut command = tokio::process::Command::from(self.command(arguments));
        command.stdin(Stdio::null()).kill_on_drop(true).envs(variables.iter().copied());
        let output = tokio::time::timeout(COMMAND_DEADLINE, command.output()).await;
        let Ok(output) = output else { panic!("`maestro {arguments}` hangs") };
        let Output { status, stdout, stderr } = output.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Ran {
            code: status.code().unwrap_or(-1),
            stdout: text(stdout),
            stderr: text(stderr),
            took: began.elapsed(),
        };
        assert!(!ran.stderr.contains("panicked"), "`maestro {arguments}`: {}", ran.all());
        ran
    }

    /// What the engine itself says of a container; none if there is none.
    pub(crate) async fn inspect(&self, ship: &str, container: &str) -> Option<Value> {
        self.fleet.api(ship).unwrap().get(&format!("/containers/{container}/json")).await.ok()
    }

    /// A container's id.
    pub(crate) async fn id(&self, ship: &str, container: &str) -> String {
        let found =
            self.inspect(ship, container).await.unwrap_or_else(|| panic!("{ship} has no {container}"));
        found["Id"].as_str().unwrap_or_default().to_owned()
    }

    /// Tag of the image that a container was made from, also where a digest stands behind it.
    pub(crate) async fn tag(&self, ship: &str, container: &str) -> Option<String> {
        let found = self.inspect(ship, container).await?;
        let image = found["Config"]["Image"].as_str()?.split('@').next()?;
        Some(image.rsplit(':').next()?.to_owned())
    }

    /// Id and start time of every container of every ship: the same as before if nobody did anything.
    pub(crate) async fn fingerprint(&self) -> String {
        let mut text = String::new();
        for ship in self.fleet.ships() {
            let mut names = self.fleet.api(&ship.name).unwrap().containers().await.unwrap();
            names.sort();
            // Where releases are kept is no container of the file.
            for name in names.into_iter().filter(|name| !name.trim_start_matches('/').starts_with("maestro."))
            {
                let found = self.inspect(&ship.name, &name).await.unwrap();
                writeln!(text, "{name} {} {}", found["Id"], found["State"]["StartedAt"]).unwrap();
            }
        }
        text
    }
}

/// Waits until something is so.
pub(crate) async fn until<F: AsyncFnMut() -> bool>(what: &str, mut so: F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !so().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
