//! What the documents say is so: commands that they show are understood, files that they point at exist.

use crate::tidy::files_below;
use crate::tidy::sources::root;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// Commands shown in texts and by scripts: `(where, words)`, without variables before them and what follows in a shell.
fn commands(path: &Path) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(path).unwrap();
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start().trim_start_matches("$ ");
        for command in line.split("&&").flat_map(|part| part.split(" ; ")) {
            let words: Vec<&str> = command.split_whitespace().take_while(|word| *word != "#").collect();
            let begins = words.iter().position(|word| !is_assignment(word)).unwrap_or(words.len());
            if words.get(begins) == Some(&"maestro") {
                let words = words[begins..].iter().map(|&word| word.to_owned()).collect();
                found.push((format!("{}:{}", path.display(), at + 1), words));
            }
        }
    }
    found
}

/// `NAME=value`.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

#[test]
fn commands_that_are_shown_are_understood() {
    let mut seen = 0;
    for file in [
        "README.md",
        "CONTRIBUTING.md",
        "RELEASE.md",
        "docs/coming-from-maestro-ng.md",
        "docs/deployments.md",
        "scripts/demo",
    ] {
        for (place, words) in commands(&root().join(file)) {
            seen += 1;
            let parsed = maestro::cli::parse(words.iter().map(OsString::from));
            assert!(parsed.is_ok(), "{place}: `{}`: {}", words.join(" "), parsed.unwrap_err());
        }
    }
    assert!(seen >= 12, "only {seen} commands were found in the documents");
}

#[test]
fn every_command_is_in_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let commands = commands_of_the_program();
    assert!(commands.len() >= 14, "the list of commands was not understood: {commands:?}");
    for command in commands {
        assert!(readme.contains(&format!("`{command}`")), "README.md does not mention `maestro {command}`");
    }
}

/// The commands that `maestro --help` lists.
fn commands_of_the_program() -> Vec<String> {
    let help = maestro::cli::parse(["maestro", "--help"].map(OsString::from)).unwrap_err().to_string();
    let list = help.split_once("Commands:\n").unwrap().1.split("\n\n").next().unwrap().to_owned();
    let first_words = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    first_words.filter(|word| !word.is_empty() && *word != "help").map(str::to_owned).collect()
}

/// Whoever moves over finds every note and every difference that has a number, and no number that says nothing.
#[test]
fn every_change_is_in_the_page_for_who_moves_over() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap();
    let page = read("docs/coming-from-maestro-ng.md");
    let changes = read("crates/maestro-core/src/diagnostic/change.rs");
    let notes: Vec<&str> =
        changes.split('"').filter(|text| text.starts_with("N06") && text.len() == 5).collect();
    let differences = read("crates/maestro/tests/compat/differences.txt");
    let heads: Vec<&str> =
        differences.lines().filter(|line| !line.is_empty() && !line.starts_with([' ', '#'])).collect();
    let decisions: Vec<&str> = heads.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(notes.len() >= 20 && decisions.len() >= 80, "{notes:?} {decisions:?}");
    for number in notes.iter().chain(&decisions) {
        assert!(page.contains(number), "docs/coming-from-maestro-ng.md does not mention {number}");
    }
    for word in page.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-') {
        let number = word.strip_prefix("Q-").or(word.strip_prefix("D-")).unwrap_or_default();
        let is_number = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
        assert!(!is_number || decisions.contains(&word), "differences.txt does not list {word}");
    }
    let records = files_below(&root().join("docs/design"), "md");
    for head in heads {
        let Some((_, record)) = head.strip_suffix(").").and_then(|head| head.rsplit_once('(')) else {
            continue;
        };
        let is_there = records.iter().any(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{record}-")))
        });
        assert!(is_there, "there is no design record for `{head}`");
    }
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for file in files_below(&root(), "md") {
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            if path.is_empty() || link.contains("://") {
                continue;
            }
            seen += 1;
            let target = file.parent().unwrap().join(path);
            assert!(target.exists(), "{} links to `{link}`, which is not there", file.display());
        }
    }
    assert!(seen >= 15, "only {seen} links were found");
}

#[test]
fn design_records_are_whole_and_listed() {
    let directory = root().join("docs/design");
    let index = fs::read_to_string(directory.join("README.md")).unwrap();
    let records: Vec<String> = files_below(&directory, "md")
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name != "README.md")
        .collect();
    assert!(records.len() >= 8, "only {} design records were found", records.len());
    for (at, name) in records.iter().enumerate() {
        let number = format!("{:04}", at + 1);
        assert!(name.starts_with(&format!("{number}-")), "{name} should have the number {number}");
        assert!(index.contains(&format!("({name})")), "docs/design/README.md does not list {name}");
        let text = fs::read_to_string(directory.join(name)).unwrap();
        let title = text.lines().next().unwrap_or_default();
        assert!(title.starts_with(&format!("# {number}: ")), "{name} begins with `{title}`");
        for part in ["Context", "Choice", "Rejected", "Consequences"] {
            assert!(text.contains(&format!("\n## {part}\n")), "{name} has no section `{part}`");
        }
    }
}
