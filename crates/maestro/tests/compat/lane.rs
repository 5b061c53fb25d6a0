//! Two ships for one tool, and what is done on them for a case.

use super::cases::{Act, Case, Program};
use super::hook::{Hook, Told};
use super::inspected::{self, Containers};
use super::recorder::{Backend, Journal, Recorder};
use super::spoken::Redaction;
use maestro_testkit::practice::{EngineApi, PracticeFleet, TransportDescription};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What containers do where a case does not say.
const SLEEP: &str = "command: sleep 100, stop_timeout: 0";
/// How long one command may take, whatever it waits for.
const COMMAND_DEADLINE: Duration = Duration::from_mins(2);
/// The images that every ship has when a case begins.
const IMAGES: [&str; 3] = ["bb:latest", "shop/web:1.0", "shop/web:2.0"];

/// Where the two tools are.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) original: PathBuf,
    /// The Python that has the original's libraries.
    pub(crate) python: PathBuf,
    pub(crate) ours: PathBuf,
}

impl Tools {
    fn program(&self, program: Program) -> &Path {
        match program {
            Program::Original => &self.original,
            Program::Ours => &self.ours,
        }
    }
}

/// A tool with its ships.
pub(crate) struct Lane {
    tools: Tools,
    own: Program,
    ships: Vec<Ship>,
    hook: Hook,
    journal: Arc<Mutex<Journal>>,
    placeholders: Vec<(String, String)>,
}

struct Ship {
    /// What cases call it.
    name: &'static str,
    api: EngineApi,
    _recorder: Recorder,
    /// Ids of the images that it had at first, by their tags.
    images: BTreeMap<String, String>,
}

/// What one step did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Exit code; none if no tool was run.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    /// The calls that may change something: what each is about, and the call.
    pub(crate) writes: Vec<(String, String)>,
    /// The API versions of these calls.
    pub(crate) versions: BTreeSet<String>,
    /// What auditors have told the webhook, in the order in which it came.
    pub(crate) told: Vec<Told>,
    /// The variables that containers were to be created with, whether or not they were.
    pub(crate) variables: BTreeMap<String, BTreeMap<String, String>>,
    /// All containers afterwards.
    pub(crate) containers: Containers,
    /// A file that was to be shown.
    pub(crate) file: Option<String>,
}

impl Seen {
    /// Takes down what has been asked for, and told, since the last step.
    pub(crate) fn take(&mut self, journal: &mut Journal, redaction: &Redaction) {
        let calls = std::mem::take(&mut journal.calls);
        self.told = std::mem::take(&mut journal.told);
        let redact = |text: String| redaction.of(&text);
        for call in calls.iter().filter(|call| call.writes()) {
            self.writes.push((call.subject(&journal.names), redact(call.line(&journal.names))));
            self.versions.insert(call.version.clone());
        }
        for call in calls.iter().filter(|call| call.path == "/containers/create") {
            let variables = call.body["Env"].as_array().into_iter().flatten();
            let variables = variables.filter_map(|variable| {
                let variable = redact(variable.as_str()?.to_owned());
                let (name, value) = variable.split_once('=').unwrap_or((&variable, "(unset)"));
                Some((name.to_owned(), value.to_owned()))
            });
            self.variables.insert(call.subject(&journal.names), variables.collect());
        }
    }
}

impl Lane {
    /// Takes two ships of the fleet for a tool.
    pub(crate) async fn new(tools: &Tools, own: Program, fleet: &PracticeFleet, first: usize) -> Lane {
        let journal = Arc::new(Mutex::new(Journal::default()));
        let mut ships = Vec::new();
        let registry = fleet.description().registry.as_ref().unwrap();
        let hook = Hook::start(journal.clone()).await;
        let mut placeholders = vec![
            ("<SLEEP>".to_owned(), SLEEP.to_owned()),
            // A case's own empty lines are not part of its files.
            ("<BLANK>".to_owned(), String::new()),
            ("<REGISTRY>".to_owned(), registry.address.clone()),
            ("<HOOK>".to_owned(), hook.address.to_string()),
            ("<USER>".to_owned(), registry.login.username.clone()),
            ("<PASSWORD>".to_owned(), registry.login.password.clone()),
        ];
        let tls = fleet.ships().iter().find_map(|ship| match &ship.transport {
            TransportDescription::Tls { client, .. } => Some((ship, client)),
            _ => None,
        });
        // Nobody changes anything there, so all can look at it.
        let (ship, client) = tls.unwrap();
        placeholders.extend([
            ("<TLS>".to_owned(), ship.ip.to_string()),
            ("<CA>".to_owned(), client.ca.display().to_string()),
            ("<CERT>".to_owned(), client.cert.display().to_string()),
            ("<KEY>".to_owned(), client.key.display().to_string()),
        ]);
        for (number, name) in ["a", "b"].into_iter().enumerate() {
            let ship = &fleet.ships()[first + number];
            let recorder =
                Recorder::start(name, Backend::Engine(ship.harness_socket.clone()), journal.clone()).await;
            let api = fleet.api(&ship.name).unwrap();
            for image in IMAGES {
                fleet.load_image(&ship.name, image).await.unwrap();
            }
            let port = recorder.address.port();
            let whole = format!("{{ip: {}, endpoint: 127.0.0.1, docker_port: {port}, timeout: 60}}", ship.ip);
            let number = number + 1;
            placeholders.extend([
                (format!("<{}>", name.to_uppercase()), whole),
                (format!("<E{number}>"), ship.ip.to_string()),
                (format!("<P{number}>"), port.to_string()),
                (format!("<SOCKET{number}>"), ship.harness_socket.display().to_string()),
                (format!("<ROOT{number}>"), ship.data_root.display().to_string()),
            ]);
            let images = tags(&api).await;
            ships.push(Ship { name, api, _recorder: recorder, images });
        }
        Lane { tools: tools.clone(), own, ships, hook, journal, placeholders }
    }

    fn fill(&self, text: &str) -> String {
        self.placeholders.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// Does all of a case, from the same beginning as ever.
    pub(crate) async fn play(&self, case: &Case) -> Vec<Seen> {
        self.clean().await;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().canonicalize().unwrap();
        let write = |name: &str, text: &str| {
            let file = path.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, self.fill(text)).unwrap();
            if text.starts_with("#!") {
                std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        };
        write("maestro.yaml", &case.environment);
        write("hook.pem", &self.hook.authority);
        for (name, text) in &case.files {
            write(name, text);
        }
        let redaction = Redaction::new(&path, &self.placeholders);
        *self.journal.lock().unwrap() = Journal { rules: case.rules.clone(), ..Journal::default() };
        let mut before = Containers::default();
        let mut steps = Vec::new();
        for step in &case.steps {
            let mut seen = Seen::default();
            match &step.act {
                Act::Tag { ship, image, repository, tag } => {
                    let path = format!("/images/{image}/tag?repo={repository}&tag={tag}");
                    self.ship(ship).api.post(&path, &serde_json::Value::Null).await.unwrap();
                }
                Act::Fetch { ship, image } => {
                    let image = self.fill(image);
                    let (repository, tag) = image.rsplit_once(':').unwrap();
                    self.ship(ship).api.pull(repository, tag, Some(&self.login())).await.unwrap();
                }
                Act::Show { file } => {
                    let text = std::fs::read_to_string(path.join(file));
                    let text = text.unwrap_or_else(|error| format!("({})", error.kind()));
                    // Keys have no order that anybody could rely on.
                    let sorted: Option<BTreeMap<String, serde_json::Value>> =
                        serde_json::from_str(&text).ok();
                    let text = sorted.map_or(text, |map| serde_json::to_string_pretty(&map).unwrap());
                    seen.file = Some(redaction.of(&text));
                }
                Act::Guest { ship, container, call } => {
                    let found =
                        self.ship(ship).api.get(&format!("/containers/{container}/json")).await.unwrap();
                    seen.file = Some(redaction.of(&self.guest(&found, call).await));
                }
                Act::Tool { by, variables, stdin, arguments, original } => {
                    let by = by.unwrap_or(self.own);
                    let program = self.tools.program(by);
                    let arguments =
                        original.as_ref().filter(|_| by == Program::Original).unwrap_or(arguments);
                    seen = self.run(program, &path, variables, stdin.as_deref(), arguments).await;
                    seen.stdout = redaction.of(&seen.stdout);
                    seen.stderr = redaction.of(&seen.stderr);
                }
            }
            seen.take(&mut self.journal.lock().unwrap(), &redaction);
            seen.containers = self.look(&redaction, &before).await;
            before = seen.containers.clone();
            steps.push(seen);
        }
        steps
    }

    fn ship(&self, name: &str) -> &Ship {
        self.ships.iter().find(|ship| ship.name == name).unwrap()
    }

    fn login(&self) -> maestro_testkit::practice::Login {
        maestro_testkit::practice::Login { username: self.fill("<USER>"), password: self.fill("<PASSWORD>") }
    }

    async fn run(
        &self,
        program: &Path,
        home: &Path,
        variables: &[(String, String)],
        stdin: Option<&str>,
        arguments: &[String],
    ) -> Seen {
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments.iter().map(|argument| self.fill(argument)))
            .current_dir(home)
            // Neither tool sees this machine's proxies and authorities.
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", home)
            .env("LANG", "C.UTF-8")
            .env("COLUMNS", "120")
            .envs(variables.iter().map(|(name, value)| (name, self.fill(value))))
            .kill_on_drop(true)
            .stdin(match stdin {
                Some(file) => Stdio::from(std::fs::File::open(home.join(file)).unwrap()),
                None => Stdio::null(),
            });
        let began = Instant::now();
        let output = tokio::time::timeout(COMMAND_DEADLINE, command.output()).await;
        let Ok(output) = output else { panic!("{} {} hangs", program.display(), arguments.join(" ")) };
        let output = output.unwrap();
        Seen {
            code: Some(output.status.code().unwrap_or(-1)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: began.elapsed(),
            ..Seen::default()
        }
    }

    /// What `maestro.guestutils` answers in a container with these variables.
    async fn guest(&self, inspected: &serde_json::Value, call: &str) -> String {
        let variables = inspected["Config"]["Env"].as_array().unwrap().iter();
        let variables = variables.filter_map(|variable| variable.as_str()?.split_once('='));
        let script = format!("from maestro.guestutils import *\nprint({call})");
        let mut command = tokio::process::Command::new(&self.tools.python);
        command.args(["-c", &script]).env_clear().envs(variables).kill_on_drop(true);
        let output = tokio::time::timeout(COMMAND_DEADLINE, command.output()).await;
        let output = output.expect("the guest library answers in time").unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    async fn look(&self, redaction: &Redaction, before: &Containers) -> Containers {
        let mut all = Containers::default();
        for ship in &self.ships {
            for name in ship.api.containers().await.unwrap() {
                let found = ship.api.get(&format!("/containers/{name}/json")).await.unwrap();
                let key = format!("{}/{name}", ship.name);
                let container = inspected::flatten(&found, redaction, before.get(&key));
                all.insert(key, container);
            }
        }
        all
    }

    /// Takes away what the last case has left.
    async fn clean(&self) {
        for ship in &self.ships {
            let api = &ship.api;
            for name in api.containers().await.unwrap() {
                api.delete(&format!("/containers/{name}?force=1&v=1")).await.unwrap();
            }
            let now = tags(api).await;
            for tag in now.keys().filter(|tag| !ship.images.contains_key(*tag)) {
                api.delete(&format!("/images/{tag}?force=1")).await.unwrap();
            }
            for (name, id) in ship.images.iter().filter(|(name, id)| now.get(*name) != Some(id)) {
                let (repository, tag) = name.rsplit_once(':').unwrap();
                let path = format!("/images/{id}/tag?repo={repository}&tag={tag}");
                api.post(&path, &serde_json::Value::Null).await.unwrap();
            }
            api.post("/volumes/prune", &serde_json::Value::Null).await.unwrap();
        }
    }
}

/// Ids of an engine's images by their tags.
async fn tags(api: &EngineApi) -> BTreeMap<String, String> {
    let images = api.get("/images/json").await.unwrap();
    let mut tags = BTreeMap::new();
    for image in images.as_array().unwrap() {
        for tag in image["RepoTags"].as_array().into_iter().flatten() {
            let tag = tag.as_str().unwrap().to_owned();
            if tag != "<none>:<none>" {
                tags.insert(tag, image["Id"].as_str().unwrap().to_owned());
            }
        }
    }
    tags
}
