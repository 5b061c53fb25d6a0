//! The file of known differences.

use std::path::Path;

/// One number, and what follows from it.
#[derive(Debug)]
pub(crate) struct Difference {
    /// `Q-05` or `D-01`.
    pub(crate) number: String,
    /// What differences look like.
    pub(crate) patterns: Vec<String>,
}

pub(crate) fn read(path: &Path) -> Vec<Difference> {
    let mut all: Vec<Difference> = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(pattern) = line.strip_prefix("    ") {
            all.last_mut().expect("a pattern belongs to a number").patterns.push(pattern.to_owned());
            continue;
        }
        let (number, what) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?} says nothing"));
        let digits = number.strip_prefix("Q-").or(number.strip_prefix("D-")).unwrap_or_default();
        let known = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        assert!(known && !what.is_empty(), "{line:?} is neither a quirk nor a decision");
        all.push(Difference { number: number.to_owned(), patterns: Vec::new() });
    }
    all
}

/// Whether a text looks like a pattern, in which `*` stands for anything and `?` for one letter.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut here) = (0, 0);
    // The last `*`, and where what it stands for ends.
    let mut star = None;
    while here < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[here] => {
                at += 1;
                here += 1;
            }
            _ => {
                let Some((place, end)) = star else { return false };
                star = Some((place, end + 1));
                at = place + 1;
                here = end + 1;
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[test]
fn patterns_match_whole_texts() {
    for (pattern, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*c", "abc", true),
        ("a*c", "abcd", false),
        ("a*b*c", "a b b c", true),
        ("*x*", "axb", true),
        ("a*a", "a", false),
        ("*", "", true),
        ("a?c*", "a?c", true),
        ("a?c", "ac", false),
        ("*ab*ab", "abab ab", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}
