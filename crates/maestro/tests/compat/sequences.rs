//! Whole environments and sequences of commands, drawn: hundreds on stubs, and some on real engines beside the cases.

use super::bench::Bench;
use super::cases::Case;
use super::differences::{self, Difference};
use super::environments::{Drawn, drawn};
use super::lane::Seen;
use super::{compare, keep, seeded, tools, unknown};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Environments on stubs in a run.
const ENVIRONMENTS: u32 = 150;
/// Environments on real engines in a run.
const REAL: usize = 12;
/// Environments are not shrunk for longer than this, in tries.
const SHRINKING: u32 = 150;
/// On real engines no try is begun after this.
const REAL_SHRINKING: Duration = Duration::from_mins(1);

/// Something drawn that can be made smaller.
pub(crate) type Tree = Box<dyn ValueTree<Value = Drawn>>;

/// What both have done, but that maestro-ng asks for an image again for each container, unless it is there by then.
fn once(seen: &[Seen]) -> Vec<Seen> {
    let mut all = seen.to_vec();
    for seen in &mut all {
        let mut pulled = Vec::new();
        seen.writes.retain(|(_, line)| {
            let again = pulled.contains(line);
            if line.contains(" POST /images/create") {
                pulled.push(line.clone());
            }
            !again
        });
        let lines = seen.stdout.lines().filter(|line| !line.contains("  pulling image "));
        seen.stdout = lines.fold(String::new(), |text, line| text + line + "\n");
    }
    all
}

/// In what the two differ.
pub(crate) fn differences(case: &Case, original: &[Seen], ours: &[Seen]) -> Vec<String> {
    compare::differences(case, &once(original), &once(ours))
}

/// Environments for real engines, and how they are made smaller.
pub(crate) fn real() -> Vec<(Case, Tree)> {
    let mut runner = TestRunner::new_with_rng(Config::default(), seeded());
    let mut tree = |number| {
        let tree: Tree = Box::new(drawn(true).new_tree(&mut runner).unwrap());
        (tree.current().case(format!("drawn.{number}")), tree)
    };
    (1..=REAL).map(&mut tree).collect()
}

/// The smallest case that was found to fail still, and what came of it.
pub(crate) async fn shrunk(
    mut tree: Tree,
    name: &str,
    fails: impl AsyncFn(&Case) -> Vec<String>,
) -> Option<(Case, Vec<String>)> {
    let mut smallest = None;
    let mut smaller = tree.simplify();
    let began = Instant::now();
    while smaller && began.elapsed() < REAL_SHRINKING {
        let case = tree.current().case(name.to_owned());
        let found = fails(&case).await;
        smaller = if found.is_empty() { tree.complicate() } else { tree.simplify() };
        if !found.is_empty() {
            smallest = Some((case, found));
        }
    }
    smallest
}

/// Everything that nobody has decided.
pub(crate) fn findings(case: &Case, original: &[Seen], ours: &[Seen], known: &[Difference]) -> Vec<String> {
    let mut found = unknown(&differences(case, original, ours), known);
    found.extend(compare::unsaid(case, ours));
    if !found.is_empty() {
        keep(case, original, ours);
    }
    found
}

#[test]
fn environments_and_sequences() {
    let Some(tools) = tools() else { return };
    let known =
        differences::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/differences.txt"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let bench = tokio::sync::Mutex::new(runtime.block_on(Bench::new(tools)));
    let config = Config {
        cases: ENVIRONMENTS,
        max_shrink_iters: SHRINKING,
        failure_persistence: None,
        ..Config::default()
    };
    let counts = Mutex::new([0_usize; 3]);
    let outcome = TestRunner::new_with_rng(config, seeded()).run(&drawn(false), |drawn: Drawn| {
        let case = drawn.case("drawn".to_owned());
        let (original, ours) = runtime.block_on(async { bench.lock().await.play(&case).await });
        {
            let mut counts = counts.lock().unwrap();
            counts[0] += 1;
            counts[1] += case.steps.len();
            counts[2] += usize::from(original.iter().any(|seen| seen.code != Some(0)));
        }
        let found = findings(&case, &original, &ours, &known);
        if found.is_empty() {
            return Ok(());
        }
        Err(TestCaseError::fail(format!("\n{}\n\n{}", found.join("\n"), case.environment)))
    });
    let [environments, commands, refused] = *counts.lock().unwrap();
    eprintln!("{environments} environments, {commands} commands, {refused} with some that fail");
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(refused < environments / 2, "{refused} of {environments} have commands that fail");
}
