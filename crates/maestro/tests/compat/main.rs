//! Maestro beside maestro-ng 0.8.3 itself: both do the same on the same engines, and every difference is one that was
//! decided. Needs root and what `scripts/install-practice-fleet` and `scripts/install-maestro-ng` install.
//!
//! `MAESTRO_COMPAT=32,33` narrows the cases down; what was seen is left in `target/tmp/compat`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test stops where something is not as it must be, and says where it does nothing"
)]

mod bench;
mod cases;
mod compare;
mod differences;
mod environments;
mod generated;
mod hook;
mod inspected;
mod lane;
mod recorder;
mod sequences;
mod spoken;
mod stub;
mod templates;

use cases::{Case, Program};
use differences::Difference;
use lane::{Lane, Seen, Tools};
use maestro_testkit::practice::{Login, PracticeFleet, TransportKind};
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Cases that are under way at the same time. Each has four ships: two for either tool.
const AT_ONCE: usize = 2;

/// The programs, if all is there that the comparison needs.
fn tools() -> Option<Tools> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("maestro-ng/bin");
    let tools = Tools {
        original: folder.join("maestro"),
        python: folder.join("python3"),
        ours: PathBuf::from(env!("CARGO_BIN_EXE_maestro")),
    };
    let missing = match PracticeFleet::available() {
        Err(error) => error.to_string(),
        Ok(()) if !tools.original.is_file() => {
            "maestro-ng is not installed; run scripts/install-maestro-ng".to_owned()
        }
        Ok(()) => return Some(tools),
    };
    assert!(
        std::env::var_os("MAESTRO_REQUIRE_NETNS").is_none(),
        "maestro-ng and real engines are required: {missing}"
    );
    eprintln!("SKIPPED, nothing to compare with: {missing}");
    None
}

/// Where what is random begins: at the same every time, unless `MAESTRO_COMPAT_SEED` is some other number.
fn seeded() -> TestRng {
    let Ok(seed) = std::env::var("MAESTRO_COMPAT_SEED") else {
        return TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    };
    let seed: u64 = seed.parse().expect("MAESTRO_COMPAT_SEED is a number");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// What came of one case.
struct Outcome {
    case: Case,
    differences: Vec<String>,
    unsaid: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn maestro_does_what_maestro_ng_does() {
    let Some(tools) = tools() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat");
    let mut cases = cases::read(&folder.join("cases"));
    let mut trees = BTreeMap::new();
    for (case, tree) in sequences::real() {
        trees.insert(case.name.clone(), tree);
        cases.push(case);
    }
    let all = cases.len();
    if let Ok(wanted) = std::env::var("MAESTRO_COMPAT") {
        let wanted: Vec<&str> = wanted.split(',').collect();
        let number = |name: &str| name.split('.').next().unwrap().to_owned();
        cases.retain(|case| wanted.iter().any(|word| *word == case.name || *word == number(&case.name)));
    }
    let complete = cases.len() == all;
    let known = differences::read(&folder.join("differences.txt"));
    let fleet = PracticeFleet::builder()
        .ships(&[TransportKind::Tcp; 4 * AT_ONCE])
        .ships(&[TransportKind::Tls])
        .registry(Login::default())
        .up()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let mut pairs = Vec::new();
    for place in 0..AT_ONCE {
        let lane = async |own, first| Lane::new(&tools, own, &fleet, first).await;
        pairs.push((lane(Program::Original, 4 * place).await, lane(Program::Ours, 4 * place + 2).await));
    }
    let queue = Mutex::new(VecDeque::from(cases));
    let outcomes = futures_util::future::join_all(pairs.iter().map(async |(original, ours)| {
        let mut outcomes = Vec::new();
        loop {
            let Some(case) = queue.lock().unwrap().pop_front() else { return outcomes };
            let (original, ours) = tokio::join!(original.play(&case), ours.play(&case));
            keep(&case, &original, &ours);
            let compare = if is_drawn(&case) { sequences::differences } else { compare::differences };
            let differences = compare(&case, &original, &ours);
            let unsaid = compare::unsaid(&case, &ours);
            outcomes.push(Outcome { case, differences, unsaid });
        }
    }))
    .await;
    let mut outcomes: Vec<Outcome> = outcomes.into_iter().flatten().collect();
    let failing =
        |outcome: &&mut Outcome| is_drawn(&outcome.case) && !unknown(&outcome.differences, &known).is_empty();
    if let Some(outcome) = outcomes.iter_mut().find(failing) {
        let again = async |case: &Case| {
            let (original, ours) = tokio::join!(pairs[0].0.play(case), pairs[0].1.play(case));
            sequences::findings(case, &original, &ours, &known)
        };
        let tree = trees.remove(&outcome.case.name).unwrap();
        if let Some((case, found)) = sequences::shrunk(tree, &outcome.case.name, again).await {
            outcome.differences = found;
            outcome.differences.push(case.environment);
        }
    }
    fleet.down().await.unwrap();
    let findings = judge(&outcomes, &known, complete);
    assert!(findings.is_empty(), "\n{findings}\nWhat was seen is in {}\n", kept().display());
}

/// Whether it is one of those that nobody has written.
fn is_drawn(case: &Case) -> bool {
    case.name.starts_with("drawn")
}

/// Differences that no number covers.
fn unknown(found: &[String], known: &[Difference]) -> Vec<String> {
    let listed = |one: &&String| {
        known.iter().flat_map(|known| &known.patterns).any(|pattern| differences::matches(pattern, one))
    };
    found.iter().filter(|one| !listed(one)).cloned().collect()
}

/// What is not as the file of differences says.
fn judge(outcomes: &[Outcome], known: &[Difference], complete: bool) -> String {
    let mut findings = String::new();
    let mut occurred = BTreeSet::new();
    for outcome in outcomes {
        let patterns = known.iter().flat_map(|known| &known.patterns);
        let met =
            |pattern: &&String| outcome.differences.iter().any(|one| differences::matches(pattern, one));
        occurred.extend(patterns.filter(met));
        let unknown = unknown(&outcome.differences, known);
        if !unknown.is_empty() || !outcome.unsaid.is_empty() {
            writeln!(findings, "# {} {}", outcome.case.name, outcome.case.title).unwrap();
        }
        for difference in unknown.iter().chain(&outcome.unsaid) {
            writeln!(findings, "    {difference}").unwrap();
        }
    }
    if complete {
        for difference in known {
            let others = std::env::var_os("MAESTRO_COMPAT_SEED").is_some();
            // What other seeds show nobody knows.
            let here = |pattern: &&String| !(others && pattern.starts_with("drawn"));
            let absent = difference.patterns.iter().filter(|pattern| !occurred.contains(pattern));
            for pattern in absent.filter(here) {
                writeln!(findings, "{} is listed and did not occur: {pattern}", difference.number).unwrap();
            }
        }
    }
    findings
}

#[test]
fn every_number_of_the_plan_has_a_case() {
    let cases = cases::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/cases"));
    let number = |case: &Case| {
        let digits = case.name.split(|letter: char| !letter.is_ascii_digit()).next()?;
        digits.parse::<u32>().ok()
    };
    let numbers: BTreeSet<u32> = cases.iter().filter_map(number).collect();
    let missing: Vec<u32> = (1..=96).filter(|number| !numbers.contains(number)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Every difference has its number in one file, wherever it shows.
#[test]
fn every_number_that_is_cited_is_listed_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat");
    let mut numbers = BTreeSet::new();
    for known in differences::read(&folder.join("differences.txt")) {
        assert!(numbers.insert(known.number.clone()), "{} is listed twice", known.number);
    }
    let of_templates = differences::read(&folder.join("templates/differences"));
    let cited: Vec<String> =
        of_templates.into_iter().map(|known| known.number).chain(generated::numbers()).collect();
    assert!(cited.len() > 20, "{cited:?}");
    let unknown: Vec<&String> = cited.iter().filter(|number| !numbers.contains(*number)).collect();
    assert!(unknown.is_empty(), "not in differences.txt: {unknown:?}");
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compat")
}

/// Leaves both tools' doing where it can be looked at.
fn keep(case: &Case, original: &[Seen], ours: &[Seen]) {
    let mut text = format!("{} {}\n\n{}\n", case.name, case.title, case.environment);
    for (step, (original, ours)) in case.steps.iter().zip(original.iter().zip(ours)) {
        for (who, seen) in [("maestro-ng", original), ("maestro", ours)] {
            writeln!(text, "$ {}   ({who}, {:.1} s)", step.line, seen.took.as_secs_f32()).unwrap();
            write!(text, "{}{}", seen.stdout, seen.stderr).unwrap();
            writeln!(text, "exit {:?}", seen.code).unwrap();
            for (_, line) in &seen.writes {
                writeln!(text, "    {line}").unwrap();
            }
            for told in &seen.told {
                writeln!(text, "    told {told:?}").unwrap();
            }
            if let Some(file) = &seen.file {
                writeln!(text, "{file}").unwrap();
            }
        }
    }
    std::fs::create_dir_all(kept()).unwrap();
    std::fs::write(kept().join(format!("{}.txt", case.name)), text).unwrap();
}
