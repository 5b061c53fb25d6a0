//! Every form of every key of a file, alone and in random company: what maestro-ng accepts is accepted, what it refuses is
//! refused, and engines are asked for the same containers. The engines are stubs, so that hundreds take a minute.

use super::recorder::{Backend, Journal, Recorder};
use super::stub::Stub;
use super::{Tools, tools};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Random environments in a run.
const RANDOM: u32 = 200;
/// How long one environment may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// Environments are not shrunk for longer than this, in tries.
const SHRINKING: u32 = 200;

/// A line of `forms.txt`.
#[derive(Debug, Clone)]
struct Form {
    /// `I`, `S` or `T`: whose line it is.
    of: char,
    line: String,
    /// Whether maestro-ng refuses it.
    refused: bool,
    /// The number of the decision by which Maestro does something else.
    number: Option<String>,
}

fn forms() -> Vec<Form> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/forms.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(form).collect()
}

/// The numbers that forms cite.
pub(crate) fn numbers() -> Vec<String> {
    forms().into_iter().filter_map(|form| form.number).collect()
}

fn form(line: &str) -> Form {
    let (rest, number) = line.split_once(" ## ").map_or((line, None), |(rest, number)| (rest, Some(number)));
    let (of, line) = rest.split_once(' ').unwrap();
    Form {
        of: of.chars().next().unwrap(),
        refused: of.ends_with('!'),
        line: line.to_owned(),
        number: number.map(str::to_owned),
    }
}

/// An environment with these lines; of two with the same key, the first.
fn environment(forms: &[&Form], port: u16) -> String {
    let lines = |of: char, defaults: &[&str], indent: usize| {
        let mut seen = BTreeSet::new();
        let chosen = forms.iter().filter(|form| form.of == of).map(|form| form.line.as_str());
        chosen.chain(defaults.iter().copied()).fold(String::new(), |mut text, line| {
            if seen.insert(line.split_once(':').unwrap().0.to_owned()) {
                writeln!(text, "{:indent$}{line}", "").unwrap();
            }
            text
        })
    };
    format!(
        "{}ships:\n  a: {{ip: 192.0.2.1, endpoint: 127.0.0.1, docker_port: {port}}}\n  \
         b: {{ip: 192.0.2.2, endpoint: 127.0.0.1, docker_port: {port}}}\nservices:\n  s:\n{}    instances:\n      \
         s-1:\n{}      s-2: {{ship: b}}\n  other: {{image: 'front:latest', instances: {{other-1: {{ship: b, ports: {{p: '5:6'}}}}}}}}\n",
        lines('T', &["__maestro: {schema: 2}", "name: t"], 0),
        lines('S', &["image: bb:latest"], 4),
        lines('I', &["ship: a"], 8),
    )
}

/// What came of one environment.
#[derive(Debug)]
struct Result {
    code: i64,
    /// What engines were asked for: fields by container and path.
    asked: BTreeMap<String, String>,
    said: String,
}

/// Both tools, and an engine for each.
struct Bench {
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
    journal: Arc<Mutex<Journal>>,
    stub: Arc<Mutex<Stub>>,
    recorder: Recorder,
}

impl Side {
    async fn new() -> Side {
        let (journal, stub) = (Arc::<Mutex<Journal>>::default(), Arc::<Mutex<Stub>>::default());
        let recorder = Recorder::start("a", Backend::Stub(stub.clone()), journal.clone()).await;
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("x.env"), "F=1\nG=a b=c\n").unwrap();
        Side { home, journal, stub, recorder }
    }

    fn begin(&self, forms: &[&Form]) {
        *self.journal.lock().unwrap() = Journal::default();
        *self.stub.lock().unwrap() = Stub::default();
        let text = environment(forms, self.recorder.address.port());
        std::fs::write(self.home.path().join("maestro.yaml"), text).unwrap();
    }

    fn asked(&self) -> BTreeMap<String, String> {
        let mut asked = BTreeMap::new();
        let journal = self.journal.lock().unwrap();
        for call in journal.calls.iter().filter(|call| call.path == "/containers/create") {
            flatten(&call.query["name"], &normal(call.body.clone()), &mut asked);
        }
        asked
    }

    fn variables(&self) -> BTreeMap<&str, String> {
        let home = self.home.path().display().to_string();
        [("PATH", "/usr/bin:/bin".to_owned()), ("HOME", home), ("LANG", "C.UTF-8".to_owned())].into()
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
        value => _ = into.insert(path.to_owned(), value.to_string()),
    }
}

impl Bench {
    async fn new(tools: Tools) -> Bench {
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

    /// Starts the service of an environment with both tools.
    async fn play(&mut self, forms: &[&Form]) -> (Result, Result) {
        self.original.begin(forms);
        self.ours.begin(forms);
        let ours = Command::new(&self.tools.ours)
            .args(["start", "s"])
            .current_dir(self.ours.home.path())
            .env_clear()
            .envs(self.ours.variables())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let original = self.zygote.run(&self.original);
        let both = async { tokio::join!(original, ours) };
        let Ok((code, output)) = tokio::time::timeout(DEADLINE, both).await else {
            panic!("one of the tools hangs:\n{}", environment(forms, 0))
        };
        let output = output.unwrap();
        let read = |name| std::fs::read_to_string(self.original.home.path().join(name)).unwrap_or_default();
        let original = Result { code, asked: self.original.asked(), said: read("stdout") + &read("stderr") };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ours = Result {
            code: output.status.code().unwrap_or(-1).into(),
            asked: self.ours.asked(),
            said: text(&output.stdout) + &text(&output.stderr),
        };
        (original, ours)
    }
}

impl Zygote {
    async fn run(&mut self, side: &Side) -> i64 {
        let wanted =
            json!({"home": side.home.path(), "arguments": ["start", "s"], "variables": side.variables()});
        self.to.write_all(format!("{wanted}\n").as_bytes()).await.unwrap();
        self.from.next_line().await.unwrap().expect("maestro-ng's loader lives").parse().unwrap()
    }
}

/// In what the two differ: nothing if in nothing.
fn difference(original: &Result, ours: &Result) -> String {
    let mut text = String::new();
    if original.code != ours.code {
        writeln!(text, "exit code: {} => {}", original.code, ours.code).unwrap();
    } else if original.code == 0 {
        let paths: BTreeSet<&String> = original.asked.keys().chain(ours.asked.keys()).collect();
        for path in paths {
            let (original, ours) = (original.asked.get(path), ours.asked.get(path));
            if original != ours {
                writeln!(text, "{path}: {original:?} => {ours:?}").unwrap();
            }
        }
    }
    if ours.said.contains("panicked") {
        text.push_str("Maestro panicked\n");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_alone() {
    let Some(tools) = tools() else { return };
    let mut bench = Bench::new(tools).await;
    let mut findings = String::new();
    for form in &forms() {
        let (original, ours) = bench.play(&[form]).await;
        let difference = difference(&original, &ours);
        if (original.code != 0) != form.refused {
            let line = &form.line;
            writeln!(findings, "{} {line}: maestro-ng's exit code is {}", form.of, original.code).unwrap();
        }
        match (&form.number, difference.is_empty()) {
            (None, false) => {
                let ours: String = ours.said.chars().take(400).collect();
                writeln!(findings, "{} {}\n{difference}{ours}", form.of, form.line).unwrap();
            }
            (Some(number), true) => {
                writeln!(findings, "{} {}: {number} did not occur", form.of, form.line).unwrap();
            }
            (None, true) | (Some(_), false) => {}
        }
    }
    assert!(findings.is_empty(), "\n{findings}");
}

#[test]
fn forms_in_random_company() {
    let Some(tools) = tools() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let bench = tokio::sync::Mutex::new(runtime.block_on(Bench::new(tools)));
    let (refused, accepted): (Vec<Form>, Vec<Form>) =
        forms().into_iter().filter(|form| form.number.is_none()).partition(|form| form.refused);
    // What is refused hides everything else, so it is rare.
    let some = (
        proptest::sample::subsequence(accepted, 0..=12),
        prop_oneof![9 => Just(None), 1 => proptest::sample::select(refused).prop_map(Some)],
    );
    let config =
        Config { cases: RANDOM, max_shrink_iters: SHRINKING, failure_persistence: None, ..Config::default() };
    // The same ones every time: whoever looks for what nobody has seen yet raises `RANDOM`.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, random).run(&some, |(accepted, refused)| {
        let forms: Vec<&Form> = accepted.iter().chain(&refused).collect();
        let (original, ours) = runtime.block_on(async { bench.lock().await.play(&forms).await });
        let difference = difference(&original, &ours);
        if difference.is_empty() {
            return Ok(());
        }
        let file = environment(&forms, 0);
        Err(TestCaseError::fail(format!("\n{difference}\n{file}\n{}\n{}", original.said, ours.said)))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
