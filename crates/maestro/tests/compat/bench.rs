//! Both tools beside each other on engines that are stubs: a command takes a fraction of a second, and no container.

use super::cases::{Act, Case, Program, Step};
use super::inspected::{Container, Containers};
use super::lane::{Seen, Tools};
use super::recorder::{Backend, Journal, Recorder};
use super::spoken::Redaction;
use super::stub::Stub;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The ships that environments on stubs have.
pub(crate) const SHIPS: [&str; 3] = ["a", "b", "c"];
/// How long one command may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// Both tools, and engines for each.
pub(crate) struct Bench {
    tools: Tools,
    zygote: Zygote,
    original: Side,
    ours: Side,
}

/// A maestro-ng that is loaded once.
struct Zygote {
    _child: Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
}

struct Side {
    home: TempDir,
    path: PathBuf,
    journal: Arc<Mutex<Journal>>,
    ships: Vec<Ship>,
}

struct Ship {
    name: &'static str,
    stub: Arc<Mutex<Stub>>,
    recorder: Recorder,
}

impl Side {
    async fn new() -> Side {
        let journal = Arc::<Mutex<Journal>>::default();
        let mut ships = Vec::new();
        for name in SHIPS {
            let stub = Arc::<Mutex<Stub>>::default();
            let recorder = Recorder::start(name, Backend::Stub(stub.clone()), journal.clone()).await;
            ships.push(Ship { name, stub, recorder });
        }
        let home = tempfile::tempdir().unwrap();
        let path = home.path().canonicalize().unwrap();
        std::fs::write(path.join("x.env"), "F=1\nG=a b=c\n").unwrap();
        Side { home, path, journal, ships }
    }

    /// Engines without containers, and this file; `<A>` in it is ship `a` complete.
    fn begin(&self, environment: &str) {
        *self.journal.lock().unwrap() = Journal::default();
        let mut text = environment.to_owned();
        for (number, ship) in self.ships.iter().enumerate() {
            *ship.stub.lock().unwrap() = Stub::default();
            let port = ship.recorder.address.port();
            let whole = format!("{{ip: 192.0.2.{}, endpoint: 127.0.0.1, docker_port: {port}}}", number + 1);
            text = text.replace(&format!("<{}>", ship.name.to_uppercase()), &whole);
        }
        std::fs::write(self.home.path().join("maestro.yaml"), text).unwrap();
    }

    fn variables(&self) -> BTreeMap<&str, String> {
        let home = self.home.path().display().to_string();
        [("PATH", "/usr/bin:/bin".to_owned()), ("HOME", home), ("LANG", "C.UTF-8".to_owned())].into()
    }

    /// What came of a command.
    fn seen(&self, code: i32, output: [String; 2], before: &Containers) -> Seen {
        let redaction = Redaction::new(&self.path, &[]);
        let [stdout, stderr] = output.map(|text| redaction.of(&text));
        let mut seen = Seen { code: Some(code), stdout, stderr, ..Seen::default() };
        seen.take(&mut self.journal.lock().unwrap(), &redaction);
        for ship in &self.ships {
            for (name, made) in ship.stub.lock().unwrap().containers() {
                let key = format!("{}/{name}", ship.name);
                let mut container = Container { id: made.id.clone(), fields: BTreeMap::new() };
                flatten("", &normal(made.config.clone()), &mut container.fields);
                container.fields.insert("State".to_owned(), made.state().to_owned());
                if let Some(before) = before.get(&key) {
                    let kept = if before.id == made.id { "kept" } else { "new" };
                    container.fields.insert("Id".to_owned(), kept.to_owned());
                }
                seen.containers.insert(key, container);
            }
        }
        seen
    }
}

/// What a request means, whatever form it has: what is not said, and what is said to be as ever, are the same.
fn normal(mut body: Value) -> Value {
    let map = body.as_object_mut().unwrap();
    // Where old versions of the API had these.
    let moved: Vec<(&str, Value)> = ["CpuShares", "Memory", "MemorySwap"]
        .into_iter()
        .filter_map(|key| Some((key, map.remove(key)?)))
        .filter(|(_, value)| *value != json!(0))
        .collect();
    if let Some(host) = map.get_mut("HostConfig").and_then(Value::as_object_mut) {
        host.extend(moved.into_iter().map(|(key, value)| (key.to_owned(), value)));
        if host.get("NetworkMode") == Some(&json!("default")) {
            host.remove("NetworkMode");
        }
        if host.get("RestartPolicy").is_some_and(|policy| policy["Name"] == "no") {
            host.remove("RestartPolicy");
        }
        // Engines have not read these for years, and Maestro does not send them.
        host.remove("LxcConf");
        // One word for a list of one: engines take either.
        for key in ["CapAdd", "CapDrop"] {
            if let Some(Value::String(one)) = host.get(key) {
                let list = json!([one]);
                host.insert(key.to_owned(), list);
            }
        }
        for limit in host.get_mut("Ulimits").and_then(Value::as_array_mut).into_iter().flatten() {
            limit.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        }
    }
    if let Some(labels) = map.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.retain(|name, _| !name.starts_with("maestro."));
    }
    let variables = map.remove("Env").unwrap_or_default();
    let variables = variables.as_array().into_iter().flatten().filter_map(Value::as_str);
    let variables: Map<String, Value> = variables
        .map(|variable| variable.split_once('=').unwrap_or((variable, "(unset)")))
        .map(|(name, value)| (name.to_owned(), format!("={value}").into()))
        .collect();
    map.insert("Env".to_owned(), variables.into());
    body
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| flatten(&format!("{path} {key}"), value, into));
        }
        Value::Null | Value::Bool(false) => {}
        Value::Array(list) if list.is_empty() => {}
        Value::Object(_) if !path.contains(" Volumes ") && !path.contains(" ExposedPorts ") => {}
        Value::String(text) if text.is_empty() && !path.contains(" Labels ") => {}
        Value::Number(number) if number.as_f64() == Some(0.0) => {}
        value => _ = into.insert(path.trim_start().to_owned(), value.to_string()),
    }
}

impl Bench {
    pub(crate) async fn new(tools: Tools) -> Bench {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/zygote.py");
        let mut child = Command::new(&tools.python)
            .arg(script)
            .env_clear()
            .env("LANG", "C.UTF-8")
            // Read when it is loaded.
            .env("COLUMNS", "120")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap()).lines();
        let zygote = Zygote { _child: child, to, from };
        Bench { tools, zygote, original: Side::new().await, ours: Side::new().await }
    }

    /// Does all of a case with both tools, until neither has anything more to do.
    pub(crate) async fn play(&mut self, case: &Case) -> (Vec<Seen>, Vec<Seen>) {
        self.original.begin(&case.environment);
        self.ours.begin(&case.environment);
        let (mut all_original, mut all_ours) = (Vec::<Seen>::new(), Vec::<Seen>::new());
        for step in &case.steps {
            let last = |all: &[Seen]| all.last().map(|seen| seen.containers.clone()).unwrap_or_default();
            let before = (last(&all_original), last(&all_ours));
            let (original, ours) = self.step(step, &before.0, &before.1).await;
            all_original.push(original);
            all_ours.push(ours);
        }
        (all_original, all_ours)
    }

    async fn step(&mut self, step: &Step, before: &Containers, ours_before: &Containers) -> (Seen, Seen) {
        let Act::Tool { by, arguments, original, .. } = &step.act else { panic!("there are no such ships") };
        let for_original = original.as_ref().unwrap_or(arguments);
        let (zygote, tools) = (&mut self.zygote, &self.tools);
        let both = async {
            match by {
                None => tokio::join!(
                    zygote.run(&self.original, for_original),
                    maestro(tools, &self.ours, arguments)
                ),
                Some(Program::Ours) => tokio::join!(
                    maestro(tools, &self.original, arguments),
                    maestro(tools, &self.ours, arguments)
                ),
                Some(Program::Original) => (
                    zygote.run(&self.original, for_original).await,
                    zygote.run(&self.ours, for_original).await,
                ),
            }
        };
        let Ok((original, ours)) = tokio::time::timeout(DEADLINE, both).await else {
            panic!("one of the tools hangs at {}", step.line)
        };
        (self.original.seen(original.0, original.1, before), self.ours.seen(ours.0, ours.1, ours_before))
    }
}

async fn maestro(tools: &Tools, side: &Side, arguments: &[String]) -> (i32, [String; 2]) {
    let output = Command::new(&tools.ours)
        .args(arguments)
        .current_dir(&side.path)
        .env_clear()
        .envs(side.variables())
        .env("COLUMNS", "120")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), [text(&output.stdout), text(&output.stderr)])
}

impl Zygote {
    async fn run(&mut self, side: &Side, arguments: &[String]) -> (i32, [String; 2]) {
        let wanted = json!({"home": side.path, "arguments": arguments, "variables": side.variables()});
        self.to.write_all(format!("{wanted}\n").as_bytes()).await.unwrap();
        let code = self.from.next_line().await.unwrap().expect("maestro-ng's loader lives");
        let read = |name| std::fs::read(side.path.join(name)).unwrap_or_default();
        let read = |name| String::from_utf8_lossy(&read(name)).into_owned();
        (code.parse().unwrap(), [read("stdout"), read("stderr")])
    }
}
