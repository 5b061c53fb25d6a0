//! Every form of every key of a file, alone and in random company: what maestro-ng accepts is accepted, what it refuses is
//! refused, and engines are asked for the same containers. The engines are stubs, so that hundreds take a minute.

use super::bench::Bench;
use super::cases::{Act, Case, Step};
use super::lane::Seen;
use super::{seeded, tools};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Random environments in a run.
const RANDOM: u32 = 100;
/// Environments are not shrunk for longer than this, in tries.
const SHRINKING: u32 = 200;

/// A line of `forms.txt`.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// `I`, `S` or `T`: whose line it is.
    pub(crate) of: char,
    pub(crate) line: String,
    /// Whether maestro-ng refuses it.
    pub(crate) refused: bool,
    /// The number of the decision by which Maestro does something else.
    pub(crate) number: Option<String>,
}

pub(crate) fn forms() -> Vec<Form> {
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

/// A start in an environment with these lines; of two with the same key, the first.
fn case(forms: &[&Form]) -> Case {
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
    let environment = format!(
        "{}ships:\n  a: <A>\n  b: <B>\nservices:\n  s:\n{}    instances:\n      s-1:\n{}      s-2: {{ship: b}}\n  \
         other: {{image: 'front:latest', instances: {{other-1: {{ship: b, ports: {{p: '5:6'}}}}}}}}\n",
        lines('T', &["__maestro: {schema: 2}", "name: t"], 0),
        lines('S', &["image: bb:latest"], 4),
        lines('I', &["ship: a"], 8),
    );
    let arguments = ["start", "s"].map(str::to_owned).to_vec();
    let act = Act::Tool { by: None, variables: Vec::new(), stdin: None, arguments, original: None };
    let step = Step { line: "start s".to_owned(), act, ordered: Vec::new() };
    Case { environment, steps: vec![step], ..Case::default() }
}

/// In what the two differ: nothing if in nothing.
fn difference(original: &Seen, ours: &Seen) -> String {
    let mut text = String::new();
    if original.code != ours.code {
        writeln!(text, "exit code: {:?} => {:?}", original.code, ours.code).unwrap();
    } else if original.code == Some(0) {
        let names: BTreeSet<&String> = original.containers.keys().chain(ours.containers.keys()).collect();
        for name in names {
            let fields = |seen: &Seen| seen.containers.get(name).cloned().unwrap_or_default().fields;
            let (original, ours) = (fields(original), fields(ours));
            let paths: BTreeSet<&String> = original.keys().chain(ours.keys()).collect();
            for path in paths.into_iter().filter(|path| original.get(*path) != ours.get(*path)) {
                let (original, ours) = (original.get(path), ours.get(path));
                writeln!(text, "{name} {path}: {original:?} => {ours:?}").unwrap();
            }
        }
    }
    if ours.stderr.contains("panicked") {
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
        let (original, ours) = bench.play(&case(&[form])).await;
        let (original, ours) = (&original[0], &ours[0]);
        let difference = difference(original, ours);
        if (original.code != Some(0)) != form.refused {
            let line = &form.line;
            writeln!(findings, "{} {line}: maestro-ng's exit code is {:?}", form.of, original.code).unwrap();
        }
        match (&form.number, difference.is_empty()) {
            (None, false) => {
                let ours: String = ours.stdout.chars().chain(ours.stderr.chars()).take(400).collect();
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
    let outcome = TestRunner::new_with_rng(config, seeded()).run(&some, |(accepted, refused)| {
        let forms: Vec<&Form> = accepted.iter().chain(&refused).collect();
        let case = case(&forms);
        let (original, ours) = runtime.block_on(async { bench.lock().await.play(&case).await });
        let (original, ours) = (&original[0], &ours[0]);
        let difference = difference(original, ours);
        if difference.is_empty() {
            return Ok(());
        }
        let file = &case.environment;
        let said = |seen: &Seen| format!("{}{}", seen.stdout, seen.stderr);
        Err(TestCaseError::fail(format!("\n{difference}\n{file}\n{}\n{}", said(original), said(ours))))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
