//! Env files: one `NAME=value` per line (specification, section 4.6).

use crate::model::EnvVar;
use std::sync::Arc;

/// A line that is neither a variable nor a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Byte offset of its start.
    pub start: usize,
    /// Byte offset of its end.
    pub end: usize,
}

/// The variables of an env file, and the lines that are none.
///
/// Lines whose first character is `#` are comments; others are trimmed and split at the first `=`. Nothing is
/// unquoted, unescaped or expanded. Blank lines are skipped.
pub fn parse(text: &str) -> (Vec<EnvVar>, Vec<BadLine>) {
    let mut vars = Vec::new();
    let mut bad = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end_matches(['\n', '\r']).len();
        let trimmed = line.trim();
        if !line.starts_with('#') && !trimmed.is_empty() {
            match trimmed.split_once('=') {
                Some((name, value)) => vars.push(EnvVar::new(Arc::from(name), Arc::from(value))),
                None => bad.push(BadLine { start, end }),
            }
        }
        start += line.len();
    }
    (vars, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let (vars, bad) = parse(text);
        assert!(bad.is_empty(), "{bad:?}");
        vars.into_iter()
            .map(|v| (v.name.to_string(), v.value.as_deref().unwrap_or_default().to_owned()))
            .collect()
    }

    #[test]
    fn keeps_everything_after_the_first_equals_sign() {
        let text = "#c\nA=b=c\nE=\nQ=\"x y\"\n  F = 2 \r\n\n#\n";
        let expected = [("A", "b=c"), ("E", ""), ("Q", "\"x y\""), ("F ", " 2")];
        assert_eq!(pairs(text), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }

    #[test]
    fn points_at_lines_without_an_equals_sign() {
        let (vars, bad) = parse("A=1\nexport\n #x\n");
        assert_eq!(vars.len(), 1);
        assert_eq!(bad, [BadLine { start: 4, end: 10 }, BadLine { start: 11, end: 14 }]);
    }
}
