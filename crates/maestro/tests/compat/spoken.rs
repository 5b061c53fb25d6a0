//! What a tool has printed, in parts that can be compared.

use fancy_regex::Regex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

/// Takes out what differs from run to run, and what differs between the two tools' ships.
pub(crate) struct Redaction {
    texts: Vec<(String, String)>,
}

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
        // Colours, and a line that is written over.
        (r"\x1b\[[0-9;]*m", ""),
        (r"(?m)^.*\x1b\[K\r", ""),
        (r"[0-9a-f]{64}", "<HEX>"),
        (r"(?<=:)[0-9a-f]{7}(?= )", "<ID7>"),
        (r"(?<=container )[0-9a-f]{7}(?=\.\.\.)", "<ID7>"),
        (r"(?m)(?<= )[0-9a-f]{7}(?= {10,}(?:removed *)?$)", "<ID7>"),
        (r"(up|running|down) for [0-9dhms]+", "$1 for <TIME>"),
        (r" \d+\.\d%", ""),
        // What an auditor logs.
        (r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "<AT> "),
    ];
    patterns.into_iter().map(|(pattern, by)| (Regex::new(pattern).unwrap(), by)).collect()
});

impl Redaction {
    /// For a tool in this directory, with these placeholders and their values.
    pub(crate) fn new(home: &Path, placeholders: &[(String, String)]) -> Redaction {
        let mut texts = vec![(home.display().to_string(), "<DIR>".to_owned())];
        let addresses = placeholders.iter().filter(|(name, _)| {
            ["<E", "<SOCKET", "<ROOT", "<REGISTRY", "<HOOK"].iter().any(|start| name.starts_with(start))
        });
        texts.extend(addresses.map(|(name, value)| (value.clone(), name.clone())));
        Redaction { texts }
    }

    pub(crate) fn of(&self, text: &str) -> String {
        let text = self.texts.iter().fold(text.to_owned(), |text, (what, by)| text.replace(what, by));
        PATTERNS.iter().fold(text, |text, (pattern, by)| pattern.replace_all(&text, *by).into_owned())
    }
}

/// Standard output: a table's rows as they came, and all other lines.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    /// What was shown of each row, by number and instance.
    pub(crate) rows: BTreeMap<(u32, String), Vec<String>>,
    pub(crate) text: Vec<String>,
}

impl Spoken {
    pub(crate) fn read(stdout: &str) -> Spoken {
        let mut spoken = Spoken::default();
        for line in stdout.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            match row(line) {
                Some((key, rest)) => spoken.rows.entry(key).or_default().push(rest),
                None => spoken.text.push(line.to_owned()),
            }
        }
        spoken
    }
}

/// `  1. spec-x               s   …`
fn row(line: &str) -> Option<((u32, String), String)> {
    let (number, rest) = line.trim_start().split_once(". ")?;
    let number = number.parse().ok()?;
    let (instance, _) = rest.split_once(' ')?;
    Some(((number, instance.to_owned()), rest.to_owned()))
}
