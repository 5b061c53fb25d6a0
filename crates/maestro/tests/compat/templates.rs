//! Templates and YAML as people write them, rendered and loaded by maestro-ng's own loader and by Maestro: the same text,
//! byte for byte, and the same data, type for type. What the one refuses, the other does.
//!
//! The corpus is `templates/*.txt`. A line `= x` is the template `{{ x }}`, any other line the template itself; what is
//! longer stands between `== NAME` and `==`, with further files behind `-- PATH`. Lines with `#` are comments, but for
//! those within. `templates/grammar` makes random ones of pieces.

use super::differences::{self, Difference};
use maestro_core::config::node::{Node, Value as Loaded};
use maestro_core::config::tree::tree;
use maestro_core::config::{Limits, python};
use maestro_core::source::{MapSources, Origin};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Random templates in a run.
const RANDOM: u32 = 500;
/// Decisions that make a random template, at most.
const CHOICES: usize = 90;
/// How Maestro says that it is too much: brackets within brackets, integers of more than 127 bits (design record 0010).
const LIMITS: [&str; 3] = ["in one place", "is not a usable integer", "too large"];
const SHRINKING: u32 = 2000;

/// What `env` holds, in the order in which Maestro shows it.
const VARIABLES: [(&str, &str); 7] = [
    ("EMPTY", ""),
    ("HOME", "/home/joe"),
    ("PORT", "8080"),
    ("SITE", "paris"),
    ("TAG", "1.10"),
    ("USER", "joe"),
    ("WORDS", "a, b,c"),
];

/// A template, with all that it includes.
#[derive(Debug)]
struct Template {
    name: String,
    environment: String,
    files: BTreeMap<String, String>,
}

/// What came of one.
#[derive(Debug, PartialEq)]
struct Outcome {
    text: Result<String, String>,
    /// Canonical, with types.
    data: Result<Value, String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/templates")
}

fn corpus() -> Vec<Template> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    paths.sort();
    paths.iter().flat_map(|path| templates(&std::fs::read_to_string(path).unwrap())).collect()
}

fn templates(text: &str) -> Vec<Template> {
    let mut all = Vec::new();
    let mut open: Option<(Template, Option<String>)> = None;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        let begun = content.strip_prefix("== ");
        if begun.is_some() || content == "==" {
            all.extend(open.take().map(|(template, _)| template));
            let new = |name: &str| Template {
                name: name.to_owned(),
                environment: String::new(),
                files: BTreeMap::new(),
            };
            open = begun.map(|name| (new(name), None));
        } else if let Some((template, file)) = &mut open {
            if let Some(path) = content.strip_prefix("-- ") {
                *file = Some(path.to_owned());
            }
            match file {
                Some(path) if content.starts_with("-- ") => {
                    _ = template.files.insert(path.clone(), String::new());
                }
                Some(path) => template.files.get_mut(path).unwrap().push_str(line),
                None => template.environment.push_str(line),
            }
        } else if !content.is_empty() && !content.starts_with('#') {
            let expression = content.strip_prefix("= ").map(|expression| format!("{{{{ {expression} }}}}"));
            all.push(Template {
                name: content.to_owned(),
                environment: expression.unwrap_or_else(|| content.to_owned()),
                files: BTreeMap::new(),
            });
        }
    }
    all.extend(open.map(|(template, _)| template));
    all
}

/// maestro-ng's loader.
struct Python {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Option<Python> {
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("maestro-ng/bin/python3");
        if !python.is_file() {
            let missing = "maestro-ng is not installed; run scripts/install-maestro-ng";
            assert!(std::env::var_os("MAESTRO_REQUIRE_NETNS").is_none(), "{missing}");
            eprintln!("SKIPPED, nothing to compare with: {missing}");
            return None;
        }
        let mut child = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/templates.py"))
            .env_clear()
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Some(Python { child, to, from })
    }

    fn load(&mut self, template: &Template) -> Outcome {
        let mut files = template.files.clone();
        files.insert("maestro.yaml".to_owned(), template.environment.clone());
        let variables: BTreeMap<&str, &str> = VARIABLES.into();
        let asked = json!({"files": files, "variables": variables});
        writeln!(self.to.as_mut().unwrap(), "{asked}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let mut seen: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            panic!("{error} in {line:?} for {}:\n{}", template.name, template.environment)
        });
        let mut result = |key: &str| match seen.get_mut(key).map(Value::take) {
            Some(value) => Ok(value),
            None => Err(seen.as_object().unwrap().values().next_back().unwrap().as_str().unwrap().to_owned()),
        };
        let text = result("text").map(|text| text.as_str().unwrap().to_owned());
        Outcome { text, data: result("data") }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.to = None;
        _ = self.child.wait();
    }
}

fn ours(template: &Template) -> Outcome {
    let mut sources = MapSources::of(template.environment.as_str());
    for (name, text) in &template.files {
        sources = sources.with_file(name, text.as_str());
    }
    for (name, value) in VARIABLES {
        sources = sources.with_variable(name, value);
    }
    let loaded = std::panic::catch_unwind(AssertUnwindSafe(|| tree(&sources, &Limits::default())));
    let Ok(loaded) = loaded else {
        let text = "Maestro panicked".to_owned();
        return Outcome { text: Ok(text.clone()), data: Err(text) };
    };
    let messages: Vec<&str> = loaded
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == maestro_core::diagnostic::Severity::Error)
        .map(|diagnostic| diagnostic.message.as_str())
        .collect();
    let refused = (!messages.is_empty()).then(|| messages.join("; "));
    let rendered = loaded.map.iter().find(|(_, text)| text.origin == Origin::Rendered);
    let text = match (rendered, &refused) {
        (Some((_, text)), _) => Ok(text.text.to_string()),
        (None, Some(refused)) if has_logic(&template.environment) => Err(refused.clone()),
        (None, _) => {
            let text = &loaded.map.iter().next().unwrap().1.text;
            Ok(text.strip_suffix('\n').unwrap_or(text).to_owned())
        }
    };
    let data = match (refused, loaded.root) {
        (Some(refused), _) => Err(refused),
        (None, root) => Ok(root.map_or(Value::Null, |root| typed(&root))),
    };
    Outcome { text, data }
}

fn has_logic(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|sign| text.contains(sign))
}

/// The data as `templates.py` writes it.
fn typed(node: &Node) -> Value {
    match &node.value {
        Loaded::Null => Value::Null,
        Loaded::Bool(value) => (*value).into(),
        Loaded::Str(text) => text.to_string().into(),
        Loaded::Int(_) => json!({"int": python::text(node)}),
        Loaded::Float(_) => json!({"float": python::text(node)}),
        Loaded::Timestamp(_) => json!({"time": python::text(node)}),
        // PyYAML refuses it.
        Loaded::Secret(_) => Value::Null,
        Loaded::Binary(_) => json!({"bytes": python::text(node)}),
        Loaded::Seq(items) => items.iter().map(|item| typed(item)).collect(),
        Loaded::Map(map) => {
            let entries = map.entries.iter().map(|(key, value)| json!([typed(key), typed(value)]));
            json!({"map": entries.collect::<Vec<_>>()})
        }
    }
}

/// In what the two differ, as the file of differences has it.
fn difference(original: &Outcome, ours: &Outcome) -> Option<String> {
    match (&original.text, &ours.text) {
        (Err(_), Err(_)) => return None,
        (Ok(original), Ok(ours)) if original == ours => {}
        (original, ours) => {
            let shown = |text: &Result<String, String>| match text {
                Ok(text) => format!("{text:?}"),
                Err(_) => "refused".to_owned(),
            };
            return Some(format!("text: {} => {}", shown(original), shown(ours)));
        }
    }
    match (&original.data, &ours.data) {
        (Err(_), Err(_)) => None,
        (Ok(original), Ok(ours)) if original == ours => None,
        (original, ours) => {
            let shown = |data: &Result<Value, String>| match data {
                Ok(data) => data.to_string(),
                Err(_) => "refused".to_owned(),
            };
            Some(format!("data: {} => {}", shown(original), shown(ours)))
        }
    }
}

/// Why one of them refuses it.
fn reason(original: &Outcome, ours: &Outcome) -> String {
    let reasons = [("maestro-ng", original), ("maestro", ours)].map(|(who, outcome)| {
        let refused = outcome.text.as_ref().err().or(outcome.data.as_ref().err());
        refused.map_or_else(String::new, |refused| format!("        {who}: {refused}\n"))
    });
    reasons.concat()
}

#[test]
fn templates_render_and_load_as_maestro_ng_has_them() {
    let Some(mut python) = Python::start() else { return };
    let known = differences::read(&folder().join("differences"));
    let patterns: Vec<(&Difference, &String)> =
        known.iter().flat_map(|known| known.patterns.iter().map(move |pattern| (known, pattern))).collect();
    let mut occurred: BTreeSet<&String> = BTreeSet::new();
    let mut names = BTreeSet::new();
    let mut findings = String::new();
    for template in &corpus() {
        assert!(names.insert(template.name.clone()), "two templates are called {}", template.name);
        let (original, ours) = (python.load(template), ours(template));
        let Some(difference) = difference(&original, &ours) else { continue };
        let line = format!("{} {difference}", template.name);
        let matching = patterns.iter().map(|(_, pattern)| *pattern);
        let matching: Vec<&String> =
            matching.filter(|pattern| differences::matches(pattern, &line)).collect();
        occurred.extend(matching.iter().copied());
        if matching.is_empty() {
            writeln!(findings, "    {line}\n{}", reason(&original, &ours)).unwrap();
        }
    }
    for (known, pattern) in patterns.iter().filter(|(_, pattern)| !occurred.contains(pattern)) {
        writeln!(findings, "{} is listed and did not occur: {pattern}", known.number).unwrap();
    }
    assert!(findings.is_empty(), "{} templates\n{findings}", names.len());
}

/// What random templates are made of: a line `NAME:`, and below it, indented, what may stand for `<NAME>`. The first is
/// the simplest.
struct Grammar(BTreeMap<String, Vec<String>>);

impl Grammar {
    fn read() -> Grammar {
        let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut rule = String::new();
        for line in std::fs::read_to_string(folder().join("grammar")).unwrap().lines() {
            match line.strip_prefix("    ") {
                Some(piece) => rules.entry(rule.clone()).or_default().push(piece.replace("\\n", "\n")),
                None if line.is_empty() || line.starts_with('#') => {}
                None => line.trim_end_matches(':').clone_into(&mut rule),
            }
        }
        Grammar(rules)
    }

    /// Each choice decides what stands for the next name; when there are none left, it is the simplest.
    fn write(&self, rule: &str, choices: &mut impl Iterator<Item = u16>, out: &mut String) {
        let pieces = self.0.get(rule).unwrap_or_else(|| panic!("nothing stands for <{rule}>"));
        let mut rest = pieces[usize::from(choices.next().unwrap_or(0)) % pieces.len()].as_str();
        while let Some((before, name, after)) = self.name(rest) {
            out.push_str(before);
            self.write(name, choices, out);
            rest = after;
        }
        out.push_str(rest);
    }

    /// The next name in a piece: what is before it, and behind.
    fn name<'p>(&self, piece: &'p str) -> Option<(&'p str, &'p str, &'p str)> {
        piece.match_indices('<').find_map(|(start, _)| {
            let (name, after) = piece[start + 1..].split_once('>')?;
            self.0.contains_key(name).then_some((&piece[..start], name, after))
        })
    }
}

#[test]
fn pieces_in_random_company_render_and_load_alike() {
    let Some(python) = Python::start() else { return };
    let python = RefCell::new(python);
    let grammar = Grammar::read();
    let refused = RefCell::new(0);
    let choices = proptest::collection::vec(proptest::prelude::any::<u16>(), 1..CHOICES);
    let config =
        Config { cases: RANDOM, max_shrink_iters: SHRINKING, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new_with_rng(config, super::seeded()).run(&choices, |choices| {
        let mut environment = String::new();
        grammar.write("file", &mut choices.into_iter(), &mut environment);
        let template = Template { name: "random".to_owned(), environment, files: BTreeMap::new() };
        let (original, ours) = (python.borrow_mut().load(&template), ours(&template));
        *refused.borrow_mut() += u32::from(original.text.is_err());
        let refused = ours.text.as_ref().err().or(ours.data.as_ref().err());
        let is_too_much = refused.is_some_and(|refused| LIMITS.iter().any(|limit| refused.contains(limit)));
        match difference(&original, &ours) {
            None => Ok(()),
            Some(_) if is_too_much => Ok(()),
            Some(difference) => {
                let reason = reason(&original, &ours);
                Err(TestCaseError::fail(format!("\n{}\n{difference}\n{reason}", template.environment)))
            }
        }
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    // What is refused compares little.
    assert!(refused.take() < RANDOM / 4, "{} of {RANDOM} are refused", refused.take());
}
