//! Rules about the sources that the compiler does not know. A failure says which rule was broken, where, and why it is
//! one. Every rule is also tried on sources that break it.

pub(super) mod sources;

use sources::{Kind, SourceFile, Workspace, root};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module of `maestro` may use of its own crate. A new module gets a line here, and with it a layer.
const LAYERS: [(&str, &[&str]); 16] = [
    ("secrets", &[]),
    ("sources", &[]),
    ("terminal", &[]),
    ("trust", &[]),
    ("engine", &["trust"]),
    ("probe", &["trust"]),
    ("audit", &["probe"]),
    ("balance", &["engine", "ledger"]),
    ("ledger", &[]),
    ("etcd", &["probe"]),
    ("observe", &[]),
    ("resolve", &["observe"]),
    ("preflight", &["observe"]),
    ("execute", &["balance", "ledger", "observe"]),
    ("report", &["terminal"]),
    (
        "cli",
        &[
            "secrets",
            "sources",
            "terminal",
            "engine",
            "probe",
            "audit",
            "balance",
            "ledger",
            "etcd",
            "observe",
            "resolve",
            "preflight",
            "execute",
            "report",
        ],
    ),
];

/// What `maestro-core` may depend on: nothing that could open a file or a socket, or wait.
const CORE_DEPENDENCIES: [&str; 11] = [
    "granit-parser",
    "minijinja",
    "indexmap",
    "serde_json",
    "fancy-regex",
    "thiserror",
    "foldhash",
    "futures-util",
    "jiff",
    "sha2",
    "base64",
];

/// Most lines of a source.
const MOST_LINES: usize = 600;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 10] =
    ["util", "utils", "helper", "helpers", "manager", "managers", "handler", "handlers", "misc", "common"];

/// Fails with the rule and everything that breaks it.
fn uphold(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "\n{rule}\n\nBroken here:\n  {}\n", findings.join("\n  "));
}

#[test]
fn core_modules_use_only_those_above_them() {
    let workspace = Workspace::read();
    let order = core_order();
    assert!(order.len() >= 15, "lib.rs was not understood: {order:?}");
    let files: Vec<_> = workspace.library("maestro-core").collect();
    let (edges, findings) = downward_edges(&files, &order);
    assert!(edges >= 40, "only {edges} uses of other modules were seen; the reading of sources is broken");
    uphold(
        "maestro-core's modules use only those above them in lib.rs. The list is the order in which the crate is read \
         and understood; an edge down the list is a circle of meaning. Move what both need further up, or move the \
         module's line.",
        &findings,
    );
}

/// Modules of `maestro-core` in the order of lib.rs.
fn core_order() -> Vec<String> {
    let text = fs::read_to_string(root().join("crates/maestro-core/src/lib.rs")).unwrap();
    let name = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    text.lines().filter_map(name).collect()
}

/// How many uses of other modules there are, and those that go down the list.
fn downward_edges(files: &[&SourceFile], order: &[String]) -> (usize, Vec<String>) {
    let place = |module: &str| order.iter().position(|name| name == module);
    let mut edges = 0;
    let mut findings = Vec::new();
    for file in files {
        let Some(own) = file.top().and_then(place) else { continue };
        for (other, line) in file.uses() {
            let Some(used) = place(other) else { continue };
            edges += usize::from(used != own);
            if used > own {
                findings.push(format!(
                    "{}:{line}: `{}` uses `{other}`, which is below it",
                    file.path, order[own]
                ));
            }
        }
    }
    (edges, findings)
}

#[test]
fn an_edge_down_the_list_is_found() {
    let order = ["names", "plan", "run"].map(str::to_owned);
    for text in [
        "use crate::run::Run;",
        "use crate::{names::InstanceName, run::Run};",
        "fn f() { matches!(x, crate::run::Run) }",
        "use super::super::run::Run;",
    ] {
        let file = SourceFile::made_up("maestro-core", &["plan", "render"], text);
        assert_eq!(downward_edges(&[&file], &order).1.len(), 1, "{text}");
    }
    for text in [
        "use crate::names::ShipName; use super::Run;",
        "//! See [`crate::run::Run`].",
        "#[cfg(test)] mod tests { use crate::run::Run; }",
        "#[cfg(test)]\nmod tests;\nfn f() { let x = \"crate::run\"; }",
    ] {
        let file = SourceFile::made_up("maestro-core", &["plan", "render"], text);
        assert_eq!(downward_edges(&[&file], &order).1, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn modules_of_maestro_keep_to_their_layer() {
    let workspace = Workspace::read();
    let files: Vec<_> = workspace.library("maestro").collect();
    let (edges, findings) = layer_edges(&files);
    assert!(edges >= 10, "only {edges} uses of other modules were seen; the reading of sources is broken");
    uphold(
        "maestro's modules use of each other only what LAYERS in this test allows. Engines and checks know nothing of \
         how they are shown, reports nothing of what is done, so that each can be tried alone and the command line is \
         the only place that knows all. A new module needs its line there.",
        &findings,
    );
}

/// How many uses of other modules there are, and those that their layer forbids.
fn layer_edges(files: &[&SourceFile]) -> (usize, Vec<String>) {
    let layers: BTreeMap<_, _> = LAYERS.into_iter().collect();
    let mut edges = 0;
    let mut findings = Vec::new();
    for file in files {
        let Some(own) = file.top() else { continue };
        let Some(allowed) = layers.get(own) else {
            findings.push(format!("{}: `{own}` has no layer", file.path));
            continue;
        };
        for (other, line) in file.uses().into_iter().filter(|(other, _)| *other != own) {
            edges += 1;
            if !allowed.contains(&other) {
                findings.push(format!("{}:{line}: `{own}` uses `{other}`", file.path));
            }
        }
    }
    (edges, findings)
}

#[test]
fn an_edge_out_of_a_layer_is_found() {
    let engine = SourceFile::made_up("maestro", &["engine", "pull"], "use crate::report::Printer;");
    let cli = SourceFile::made_up("maestro", &["cli", "pull"], "use crate::report::Printer;");
    let stranger = SourceFile::made_up("maestro", &["surprise"], "");
    assert_eq!(layer_edges(&[&engine]).1, ["crates/maestro/src/engine/pull.rs:1: `engine` uses `report`"]);
    assert_eq!(layer_edges(&[&cli]), (1, vec![]));
    assert_eq!(layer_edges(&[&stranger]).1.len(), 1);
}

#[test]
fn only_the_command_line_and_reports_print() {
    let workspace = Workspace::read();
    let (mut printing, mut findings) = (0, Vec::new());
    for file in workspace.files.iter().filter(|file| file.kind != Kind::Test) {
        let prints = prints(file);
        if may_print(file) {
            printing += prints.len();
        } else {
            findings.extend(prints);
        }
    }
    assert!(printing > 0, "not even the reports print; the reading of sources is broken");
    uphold(
        "Only cli/ and report/ of maestro, and the programs of other crates, write to standard output and error. \
         Everything else returns values or sends events, so that what is shown has one form, one place and one test.",
        &findings,
    );
}

fn may_print(file: &SourceFile) -> bool {
    match (file.crate_name.as_str(), file.kind) {
        ("maestro", Kind::Library) => matches!(file.top(), Some("cli" | "report")),
        ("maestro-testkit" | "maestro-guest", Kind::Program) => true,
        _ => false,
    }
}

/// Where a source writes to standard output or error.
fn prints(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    for (at, token) in file.tokens.iter().enumerate() {
        let macro_call = matches!(token.text.as_str(), "print" | "println" | "eprint" | "eprintln" | "dbg")
            && file.is_at(at + 1, &["!"]);
        let handle = matches!(token.text.as_str(), "stdout" | "stderr")
            && file.is_at(at + 1, &["(", ")"])
            && at
                .checked_sub(1)
                .is_none_or(|before| !file.is_at(before, &["."]) && !file.is_at(before, &["fn"]));
        if macro_call || handle {
            found.push(format!("{}:{}: `{}`", file.path, token.line, token.text));
        }
    }
    found
}

#[test]
fn printing_is_found() {
    let file = |text| SourceFile::made_up("maestro", &["execute"], text);
    for text in
        ["fn f() { println!(\"x\"); }", "fn f() { io::stderr().lock(); }", "fn f() { if a { dbg!(a); } }"]
    {
        assert_eq!(prints(&file(text)).len(), 1, "{text}");
    }
    for text in [
        "fn f() { child.stdout(); writeln!(out, \"println!\") }",
        "fn f() { command.stdout(Stdio::piped()) }",
    ] {
        assert_eq!(prints(&file(text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn docker_clients_stay_below_the_engine() {
    let workspace = Workspace::read();
    let (mut inside, mut findings) = (0, Vec::new());
    for file in &workspace.files {
        for token in
            file.tokens.iter().filter(|token| matches!(token.text.as_str(), "bollard_stubs" | "openssh"))
        {
            if file.crate_name == "maestro" && file.top() == Some("engine") {
                inside += 1;
            } else {
                findings.push(format!("{}:{}: `{}`", file.path, token.line, token.text));
            }
        }
    }
    assert!(inside > 0, "the engine does not use bollard-stubs either; the reading of sources is broken");
    uphold(
        "bollard-stubs and openssh are named below crates/maestro/src/engine/ only. What Docker's API looks like is one \
         module's business: everybody else speaks of `Engine` and `EngineCall`, of which there are fakes.",
        &findings,
    );
}

#[test]
fn the_deciding_crate_depends_on_nothing_that_acts() {
    let core = dependencies("maestro-core");
    assert!(core.len() >= 5, "the manifest was not understood: {core:?}");
    let strange = core.iter().filter(|name| !CORE_DEPENDENCIES.contains(&name.as_str()));
    uphold(
        "maestro-core depends on what CORE_DEPENDENCIES in this test lists. It decides and does no IO; a crate that \
         could do some would let it. If a new one is as harmless, add it there.",
        &strange.cloned().collect::<Vec<_>>(),
    );
    let upward = dependencies("maestro-testkit").into_iter().filter(|name| name == "maestro");
    uphold(
        "maestro-testkit does not depend on maestro. What pretends to be an engine must not share code with what \
         talks to engines: they would be wrong together.",
        &upward.collect::<Vec<_>>(),
    );
}

/// Names in the section `dependencies` of a crate's manifest.
fn dependencies(crate_name: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join("crates").join(crate_name).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[").find_map(|section| section.strip_prefix("dependencies]"));
    let names = section.unwrap().lines().filter(|line| line.contains('=') && !line.starts_with('#'));
    names.filter_map(|line| line.split(['.', ' ', '=']).next()).map(str::to_owned).collect()
}

#[test]
fn sources_can_be_read_in_one_sitting() {
    let workspace = Workspace::read();
    assert!(workspace.files.len() > 100, "only {} sources were seen", workspace.files.len());
    assert!(workspace.files.iter().any(|file| file.lines > 300), "no source was measured");
    let long = workspace.files.iter().filter(|file| file.lines > MOST_LINES);
    uphold(
        &format!(
            "A source has at most {MOST_LINES} lines and aims at 300. Central files grow until nobody knows them \
             whole; split this one along a seam, not at a line number."
        ),
        &long.map(|file| format!("{}: {} lines", file.path, file.lines)).collect::<Vec<_>>(),
    );
}

#[test]
fn names_say_what_is_inside() {
    let workspace = Workspace::read();
    let (mut seen, mut findings) = (0, Vec::new());
    for file in &workspace.files {
        let name = file.module.last().map_or("", |name| name.as_str());
        if name.split('_').any(|part| EMPTY_NAMES.contains(&part)) {
            findings.push(file.path.clone());
        }
        for pair in file.tokens.windows(2) {
            let [keyword, name] = pair else { continue };
            if matches!(keyword.text.as_str(), "struct" | "enum" | "trait" | "mod") {
                seen += 1;
                if is_empty_name(&name.text) {
                    findings.push(format!("{}:{}: `{}`", file.path, name.line, name.text));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} definitions were seen");
    uphold(
        "No module or type is called util, helper, manager, handler, misc or common. Such names collect whatever has \
         no place; the field's word for the thing (docs/glossary.md) says where it belongs.",
        &findings,
    );
}

/// Whether a type's or module's name ends with a word that says nothing.
fn is_empty_name(name: &str) -> bool {
    let name = name.to_lowercase();
    EMPTY_NAMES.iter().any(|empty| name.ends_with(empty))
}

#[test]
fn every_source_is_compiled() {
    let workspace = Workspace::read();
    let tests = workspace.files.iter().filter(|file| file.kind == Kind::Test).count();
    assert!(tests >= 5, "only {tests} sources of tests were seen");
    uphold(
        "Every source is reached by `mod` from its crate, and every file below tests/ from a [[test]] of the manifest. \
         A forgotten test file is a test that always passes.",
        &workspace.unreached,
    );
}

#[test]
fn no_test_is_ignored() {
    let (mut seen, mut findings) = (0, Vec::new());
    for file in files_below(&root().join("crates"), "rs") {
        let text = fs::read_to_string(&file).unwrap();
        for (at, line) in text.lines().map(str::trim_start).enumerate() {
            seen += usize::from(line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
            if line.starts_with("#[ignore") {
                findings.push(format!("{}:{}", file.display(), at + 1));
            }
        }
    }
    assert!(seen > 100, "only {seen} tests were seen");
    uphold(
        "No test is marked #[ignore]. A test that cannot run here says so loudly and fails where it must run \
         (MAESTRO_REQUIRE_NETNS=1); one that nobody runs proves nothing.",
        &findings,
    );
}

/// Files of this kind below a directory, without what builds and tools have left.
pub(super) fn files_below(directory: &Path, extension: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.insert(path);
        }
    }
    found
}
