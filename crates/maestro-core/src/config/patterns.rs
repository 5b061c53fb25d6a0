//! Regular expressions of checks: compiled to see whether they are any, once each, and with an end to the work of it.

use super::limits::Limits;
use fancy_regex::{CompileError, Error, RegexBuilder};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How large a part of a pattern may become in bytes, and what a byte of the pattern's text counts then: a pattern may have
/// a part every few bytes, and making one takes time in proportion to its size.
const SIZES: [(usize, u64); 4] = [(64 << 10, 1), (256 << 10, 4), (1 << 20, 16), (5 << 20, 80)];

/// How many instructions a pattern may have besides its parts.
const MOST_INSTRUCTIONS: usize = 100_000;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is none, in the library's words.
    NoPattern(Arc<str>),
    /// It gets too large.
    Large,
    /// With it, all patterns together take too much work.
    TooMuch,
    /// All patterns before it took too much work already.
    NotTried,
}

/// All patterns of a file with what became of them.
#[derive(Debug)]
pub(super) struct Patterns {
    known: BTreeMap<Arc<str>, Result<(), Unusable>>,
    /// None after a pattern that took more.
    work_left: Option<u64>,
}

impl Patterns {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { known: BTreeMap::new(), work_left: Some(limits.pattern_work) }
    }

    /// The pattern, if it is one; equal patterns are one text.
    pub(super) fn check(&mut self, text: &str) -> Result<Arc<str>, Unusable> {
        if let Some((known, verdict)) = self.known.get_key_value(text) {
            return verdict.clone().map(|()| known.clone());
        }
        let pattern: Arc<str> = text.into();
        let verdict = self.compile(text);
        if self.work_left.is_some() {
            self.known.insert(pattern.clone(), verdict.clone());
        }
        verdict.map(|()| pattern)
    }

    fn compile(&mut self, text: &str) -> Result<(), Unusable> {
        for (size, factor) in SIZES {
            let work = (text.len() as u64).saturating_mul(factor);
            let left = self.work_left.ok_or(Unusable::NotTried)?;
            self.work_left = left.checked_sub(work);
            if self.work_left.is_none() {
                return Err(Unusable::TooMuch);
            }
            let compiled =
                RegexBuilder::new(text).delegate_size_limit(size).max_prog_size(MOST_INSTRUCTIONS).build();
            match compiled {
                Ok(_) => return Ok(()),
                Err(error) if is_large(&error) => {}
                Err(error) => return Err(Unusable::NoPattern(error.to_string().into())),
            }
        }
        Err(Unusable::Large)
    }
}

/// Whether the pattern would have been one, with more room.
fn is_large(error: &Error) -> bool {
    match error {
        Error::CompileError(why) => match &**why {
            CompileError::InnerError(why) => why.size_limit().is_some(),
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(pattern_work: u64) -> Patterns {
        Patterns::new(&Limits { pattern_work, ..Limits::default() })
    }

    #[test]
    fn a_pattern_is_compiled_once() {
        let mut patterns = patterns(6);
        let first = patterns.check("o(?=k)").unwrap();
        let second = patterns.check("o(?=k)").unwrap();
        assert!(Arc::ptr_eq(&first, &second) && patterns.work_left == Some(0));
        assert_eq!(patterns.check("ok"), Err(Unusable::TooMuch));
        assert_eq!(patterns.check("ok"), Err(Unusable::NotTried));
        assert!(patterns.check("o(?=k)").is_ok());
    }

    #[test]
    fn what_is_wrong_is_known_once_too() {
        let mut patterns = patterns(1);
        let Err(Unusable::NoPattern(first)) = patterns.check("(") else { panic!() };
        let Err(Unusable::NoPattern(second)) = patterns.check("(") else { panic!() };
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn large_patterns_count_more() {
        let work = |pattern: &str| {
            let mut patterns = Patterns::new(&Limits::default());
            patterns.check(pattern).unwrap();
            Limits::default().pattern_work - patterns.work_left.unwrap()
        };
        assert_eq!(work(r"status: \w+"), 11);
        assert_eq!(work(r"\w{10}"), 6 * (1 + 4 + 16));
    }

    #[test]
    fn patterns_without_end_are_refused() {
        let mut patterns = Patterns::new(&Limits::default());
        assert_eq!(patterns.check(r"(\w{100}){10}(?=x)"), Err(Unusable::Large));
        assert!(matches!(patterns.check(&"(".repeat(30_000)), Err(Unusable::NoPattern(_))));
        assert_eq!(patterns.check(&r"\w{99}(?=x)".repeat(20_000)), Err(Unusable::TooMuch));
    }
}
