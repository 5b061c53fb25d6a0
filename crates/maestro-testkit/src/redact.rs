//! Takes out of a text what differs from run to run, so that it can be compared with a snapshot.

use regex::{Captures, Regex};
use std::borrow::Cow;
use std::path::Path;
use std::sync::LazyLock;

/// Replaces ids, times, durations, and whatever else it was told.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    texts: Vec<(String, String)>,
}

/// What is replaced, and by what, in this order.
static PATTERNS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        // 2026-01-01T00:00:00.123Z, 2026-01-01 00:00:00+01:00
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?", "[TIME]"),
        (r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b", "[TIME]"),
        (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "[TIME]"),
        (r"\bsha256:[0-9a-f]{7,64}\b", "[DIGEST]"),
        (r"\b[0-9a-f]{64}\b", "[ID]"),
        (r"\b[0-9a-f]{32}\b", "[HASH]"),
        (r"\b(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d{2,5}\b", "$1:[PORT]"),
        // "took_ms":12
        (r#"("\w+_ms": ?)\d+"#, "${1}[MS]"),
        (r"\b(?:\d+ (?:days?|hours?|minutes?|seconds?)(?:, | and |\b))+", "[DURATION]"),
        (
            r"\b\d+(?:\.\d+)? ?(?:ns|µs|us|ms|s|min|m|h|d)\b(?: ?\d+(?:\.\d+)? ?(?:ms|s|min|m|h)\b)*",
            "[DURATION]",
        ),
    ]
    .into_iter()
    .filter_map(|(pattern, by)| Regex::new(pattern).ok().map(|regex| (regex, by)))
    .collect()
});

/// What could be the first digits of an id: engines show twelve, status tables seven. A word without a digit, and a
/// number without a letter, is none.
static SHORT_ID: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b(?:[0-9a-f]{12}|[0-9a-f]{7})\b").ok());

impl Redactor {
    /// Replaces what always differs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces a text, before anything else.
    #[must_use]
    pub fn text(mut self, what: impl Into<String>, by: &str) -> Self {
        let what = what.into();
        if !what.is_empty() {
            self.texts.push((what, by.to_owned()));
            // `/tmp/x/sub` must not become `[DIR]/sub` because `/tmp/x` is known too.
            self.texts.sort_by_key(|(what, _)| std::cmp::Reverse(what.len()));
        }
        self
    }

    /// Replaces a path, as it is and with its links resolved.
    #[must_use]
    pub fn path(self, what: &Path, by: &str) -> Self {
        let resolved = what.canonicalize().unwrap_or_else(|_| what.to_owned());
        self.text(resolved.to_string_lossy(), by).text(what.to_string_lossy(), by)
    }

    /// Replaces a port wherever it follows a colon.
    #[must_use]
    pub fn port(self, port: u16, by: &str) -> Self {
        self.text(format!(":{port}"), &format!(":{by}"))
    }

    /// The text without what differs.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (what, by) in &self.texts {
            text = text.replace(what, by);
        }
        for (pattern, by) in PATTERNS.iter() {
            if let Cow::Owned(changed) = pattern.replace_all(&text, *by) {
                text = changed;
            }
        }
        if let Some(short) = SHORT_ID.as_ref() {
            let id = |found: &Captures<'_>| {
                let word = found.get(0).map_or("", |m| m.as_str());
                let mixed =
                    word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().any(|b| b.is_ascii_alphabetic());
                if mixed { "[ID]".to_owned() } else { word.to_owned() }
            };
            text = short.replace_all(&text, id).into_owned();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_patterns_are_patterns() {
        assert_eq!(PATTERNS.len(), 10);
        assert!(SHORT_ID.is_some());
    }

    #[test]
    fn takes_out_what_differs() {
        let cases = [
            ("at 2026-01-01T00:00:00.123456789Z", "at [TIME]"),
            ("at 2026-01-01 12:34, by 12:34", "at [TIME], by 12:34"),
            ("at 2026-01-01 00:00:00, or 12:34:56", "at [TIME], or [TIME]"),
            ("up for 2 hours, 3 minutes and 1 second", "up for [DURATION]"),
            ("took 1.2 s", "took [DURATION]"),
            ("took 350ms, then 1m 20s", "took [DURATION], then [DURATION]"),
            ("web-1 3f2a1bc up", "web-1 [ID] up"),
            ("defaced effaced 1234567 8", "defaced effaced 1234567 8"),
            ("127.0.0.1:43210 and 192.0.2.1:2375", "127.0.0.1:[PORT] and 192.0.2.1:2375"),
            ("sha256:0123456789abcdef", "[DIGEST]"),
            (r#"{"took_ms":12,"began_ms": 3}"#, r#"{"took_ms":[MS],"began_ms": [MS]}"#),
            ("3 ships, 12 containers", "3 ships, 12 containers"),
            ("shop/web:2 on ship-1", "shop/web:2 on ship-1"),
        ];
        for (text, expected) in cases {
            assert_eq!(Redactor::new().redact(text), expected);
        }
        let id = "0f".repeat(32);
        assert_eq!(Redactor::new().redact(&id), "[ID]");
    }

    #[test]
    fn takes_out_what_it_was_told() {
        let redactor =
            Redactor::new().text("/tmp/x", "[DIR]").text("/tmp/x/deep", "[DEEP]").port(2375, "[DOCKER]");
        assert_eq!(
            redactor.redact("/tmp/x/deep/a /tmp/x/b 192.0.2.1:2375"),
            "[DEEP]/a [DIR]/b 192.0.2.1:[DOCKER]"
        );
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("maestro.yaml");
        let redactor = Redactor::new().path(directory.path(), "[TMP]");
        assert_eq!(redactor.redact(&file.to_string_lossy()), "[TMP]/maestro.yaml");
    }
}
