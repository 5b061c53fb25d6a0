//! The cases, as `cases/*.txt` write them; CONTRIBUTING.md says how.

use super::recorder::Rule;
use std::fmt::Write as _;
use std::path::Path;

/// Something that both tools are made to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Case {
    /// Number in the compatibility test plan, with a letter or a place in a list where one number has several.
    pub(crate) name: String,
    pub(crate) title: String,
    /// The environment file, with placeholders.
    pub(crate) environment: String,
    /// Further files by their paths, with placeholders.
    pub(crate) files: Vec<(String, String)>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) steps: Vec<Step>,
    /// What Maestro must say, in any step.
    pub(crate) says: Vec<String>,
    /// Seconds that the longest step takes at least.
    pub(crate) takes: Option<u64>,
    /// Seconds that no step takes.
    pub(crate) within: Option<u64>,
    /// Whether Maestro may have one container down at a time in the last step, and no more.
    pub(crate) one_down: bool,
    /// Whether the versions of the interface are compared, which else are each tool's business.
    pub(crate) versions: bool,
    /// Whether the calls of all containers have one order, rather than those of each.
    pub(crate) in_order: bool,
    pub(crate) chance: Chance,
}

/// How much of what maestro-ng does depends on chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Chance {
    #[default]
    Nothing,
    /// Rows and calls, but not what comes of them.
    Rows,
    /// All but exit codes, and lines that are no rows.
    Everything,
}

/// One line of `run`.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) line: String,
    pub(crate) act: Act,
    /// Pairs of containers of which the first is done before the second is begun.
    pub(crate) ordered: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Runs the tool, or a certain one on both sides.
    Tool {
        by: Option<Program>,
        variables: Vec<(String, String)>,
        stdin: Option<String>,
        arguments: Vec<String>,
        /// What maestro-ng is told instead, where it has other words for the same.
        original: Option<Vec<String>>,
    },
    /// Gives an image of a ship another name.
    Tag { ship: String, image: String, repository: String, tag: String },
    /// Pulls an image from the fleet's registry onto a ship.
    Fetch { ship: String, image: String },
    /// Compares a file that the tool has written.
    Show { file: String },
    /// Compares what maestro-ng's library for programs in containers finds in the variables of one.
    Guest { ship: String, container: String, call: String },
}

/// One of the two tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// maestro-ng.
    Original,
    /// Maestro.
    Ours,
}

/// The parts of a case as written.
#[derive(Debug, Default)]
struct Parts(Vec<(String, Vec<String>)>);

impl Parts {
    fn lines(&self, part: &str) -> Vec<String> {
        let of = self.0.iter().filter(|(name, _)| name == part);
        of.flat_map(|(_, lines)| lines.iter().cloned()).collect()
    }

    fn has(&self, part: &str) -> bool {
        self.0.iter().any(|(name, _)| name == part)
    }
}

/// All cases of a directory, in the order of their files' names.
pub(crate) fn read(directory: &Path) -> Vec<Case> {
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        for case in text.split("\n== ").skip(1) {
            cases.extend(parse(case));
        }
    }
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "two cases have this number"));
    cases
}

/// One case, or one for each line of its part `each …`.
fn parse(text: &str) -> Vec<Case> {
    let mut lines = text.lines();
    let (name, title) = lines.next().unwrap().split_once(' ').unwrap();
    let mut parts = Parts::default();
    for line in lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("    "), parts.0.last_mut()) {
            (Some(line), Some((_, lines))) => lines.push(line.to_owned()),
            (Some(line), None) => panic!("case {name}: {line:?} belongs to no part"),
            (None, _) => parts.0.push((line.trim_end().to_owned(), Vec::new())),
        }
    }
    let Some(place) = parts.0.iter().position(|(part, _)| part.starts_with("each ")) else {
        return vec![assemble(name.to_owned(), title, &parts)];
    };
    let (part, variants) = parts.0.remove(place);
    let part = part.trim_start_matches("each ").to_owned();
    let variants = variants.into_iter().enumerate().map(|(number, variant)| {
        let mut parts = Parts(parts.0.clone());
        parts.0.push((part.clone(), vec![variant]));
        assemble(format!("{name}.{}", number + 1), title, &parts)
    });
    variants.collect()
}

fn assemble(name: String, title: &str, parts: &Parts) -> Case {
    let mut case = Case {
        title: title.to_owned(),
        environment: environment(parts),
        rules: parts.lines("engine").iter().map(|line| rule(line)).collect(),
        steps: parts.lines("run").iter().map(|line| step(line)).collect(),
        says: parts.lines("says"),
        takes: parts.lines("takes").first().map(|seconds| seconds.parse().unwrap()),
        within: parts.lines("within").first().map(|seconds| seconds.parse().unwrap()),
        one_down: parts.has("one down at a time"),
        versions: parts.has("versions"),
        in_order: parts.has("in order"),
        chance: match (parts.has("racy"), parts.has("racy rows")) {
            (true, _) => Chance::Everything,
            (false, true) => Chance::Rows,
            (false, false) => Chance::Nothing,
        },
        name,
        ..Case::default()
    };
    assert!(!case.steps.is_empty(), "case {} does nothing", case.name);
    for (part, lines) in &parts.0 {
        match part.as_str() {
            "environment" | "top" | "ships" | "services" | "service" | "instances" | "instance"
            | "engine" | "run" | "says" | "takes" | "within" | "one down at a time" | "versions"
            | "in order" | "racy" | "racy rows" => {}
            other => match other.strip_prefix("file ") {
                Some(path) => case.files.push((path.to_owned(), joined(lines))),
                None => panic!("case {}: there is no part {other:?}", case.name),
            },
        }
    }
    case
}

fn joined(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

/// The pairs of a mapping in braces, each in a line of its own.
fn unbraced(line: &str) -> Vec<String> {
    let Some(inside) = line.strip_prefix('{').filter(|_| !line.starts_with("{{") && !line.starts_with("{%"))
    else {
        return vec![line.to_owned()];
    };
    let (mut depth, mut quote, mut lines) = (0, None, vec![String::new()]);
    for letter in inside.strip_suffix('}').unwrap().chars() {
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(letter),
            ('{' | '[', None) => depth += 1,
            ('}' | ']', None) => depth -= 1,
            (',', None) if depth == 0 => {
                lines.push(String::new());
                continue;
            }
            _ => {}
        }
        lines.last_mut().unwrap().push(letter);
    }
    lines.iter().map(|line| line.trim().to_owned()).collect()
}

/// Lines with a default for every key that they do not have.
fn mapping(text: &mut String, indent: usize, defaults: &[(&str, &str)], lines: &[String]) {
    let lines: Vec<String> = lines.iter().flat_map(|line| unbraced(line)).collect();
    for (key, value) in defaults {
        if !lines.iter().any(|line| line.starts_with(&format!("{key}:"))) {
            writeln!(text, "{:indent$}{key}: {value}", "").unwrap();
        }
    }
    for line in &lines {
        writeln!(text, "{:indent$}{line}", "").unwrap();
    }
}

/// The environment file: the plan's one service with one instance on one of two ships, but for what is given.
fn environment(parts: &Parts) -> String {
    if parts.has("environment") {
        return joined(&parts.lines("environment"));
    }
    let mut text = String::new();
    mapping(&mut text, 0, &[("__maestro", "{schema: 2}"), ("name", "t")], &parts.lines("top"));
    text.push_str("ships:\n");
    let ships = parts.lines("ships");
    if ships.is_empty() {
        text.push_str("  a: <A>\n  b: <B>\n");
    }
    mapping(&mut text, 2, &[], &ships);
    text.push_str("services:\n");
    if parts.has("services") {
        mapping(&mut text, 2, &[], &parts.lines("services"));
        return text;
    }
    text.push_str("  s:\n");
    mapping(&mut text, 4, &[("image", "bb:latest")], &parts.lines("service"));
    text.push_str("    instances:\n");
    if parts.has("instances") {
        mapping(&mut text, 6, &[], &parts.lines("instances"));
        return text;
    }
    text.push_str("      spec-x:\n");
    let defaults = [("ship", "a"), ("command", "sleep 100"), ("stop_timeout", "0")];
    mapping(&mut text, 8, &defaults, &parts.lines("instance"));
    text
}

/// `POST /images/create 500 {"message": "no"}`
fn rule(line: &str) -> Rule {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("{line:?} is no answer of an engine"));
    Rule {
        method: word().parse().unwrap(),
        path: word().to_owned(),
        status: word().parse().unwrap(),
        body: word().replace("\\n", "\n"),
    }
}

/// `COLUMNS=100 status -F`, `-f - status < file`, `maestro: start`, `@ tag a bb:latest other:1`.
fn step(line: &str) -> Step {
    let words = split(line);
    let act = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["@", "tag", ship, image, name] => {
            let (repository, tag) = name.rsplit_once(':').unwrap();
            let [ship, image, repository, tag] = [*ship, *image, repository, tag].map(str::to_owned);
            Act::Tag { ship, image, repository, tag }
        }
        ["@", "fetch", ship, image] => Act::Fetch { ship: (*ship).to_owned(), image: (*image).to_owned() },
        ["@", "show", file] => Act::Show { file: (*file).to_owned() },
        ["@", "guest", ship, container, call] => {
            let [ship, container, call] = [*ship, *container, call].map(str::to_owned);
            Act::Guest { ship, container, call }
        }
        ["@", ..] => panic!("there is no step {line:?}"),
        _ => tool(words),
    };
    Step { line: line.to_owned(), act, ordered: Vec::new() }
}

fn tool(mut words: Vec<String>) -> Act {
    let by = match words[0].as_str() {
        "maestro-ng:" => Some(Program::Original),
        "maestro:" => Some(Program::Ours),
        _ => None,
    };
    words.drain(..usize::from(by.is_some()));
    let stdin = words.iter().position(|word| word == "<").map(|at| words.drain(at..).nth(1).unwrap());
    let is_variable = |word: &&String| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let count = words.iter().take_while(is_variable).count();
    let variables = words.drain(..count).map(|word| {
        let (name, value) = word.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    Act::Tool { by, variables: variables.collect(), stdin, arguments: words, original: None }.no_arguments()
}

impl Act {
    /// `(nothing)` stands for no arguments.
    fn no_arguments(mut self) -> Self {
        if let Act::Tool { arguments, .. } = &mut self
            && arguments == &["(nothing)"]
        {
            arguments.clear();
        }
        self
    }
}

/// Words, of which some may be in quotes of either kind.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|first| matches!(first, '\'' | '"'));
        let (word, after) = match quote {
            Some(quote) => rest[1..].split_once(quote).unwrap(),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}
