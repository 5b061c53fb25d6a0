//! Reading an answer's body and searching it, within limits: servers may send anything, and patterns may take for ever.

use super::{quote, seconds};
use fancy_regex::{Error, Regex, RegexBuilder, RuntimeError};
use reqwest::Response;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

/// How much of a body is read, in bytes.
const BODY: usize = 10 * 1024 * 1024;

/// What a search may take at the least, when an answer came in the last moment.
const LEAST: Duration = Duration::from_secs(1);

/// A pattern ready to be searched for; `.` matches line ends too.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Arc<Regex>);

/// Patterns, each compiled by the first check that needs it: thousands of instances may have the same, and a compiled
/// one may take megabytes.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    known: Mutex<BTreeMap<Arc<str>, Arc<Compiled>>>,
}

/// What became of a pattern, once somebody has tried.
type Compiled = OnceCell<Result<Pattern, String>>;

/// A body, or the beginning of a long one.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    cut: bool,
}

impl Patterns {
    /// A pattern ready to be searched for.
    pub(super) async fn get(&self, pattern: Arc<str>) -> Result<Pattern, String> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(pattern.clone())
            .or_default()
            .clone();
        known.get_or_init(|| Pattern::new(pattern)).await.clone()
    }
}

impl Pattern {
    /// Compiles a pattern; a big one may take a moment.
    async fn new(pattern: Arc<str>) -> Result<Self, String> {
        let text = pattern.clone();
        let compile = move || RegexBuilder::new(&text).dot_matches_new_line(true).build();
        match tokio::task::spawn_blocking(compile).await {
            Ok(Ok(regex)) => Ok(Self(Arc::new(regex))),
            Ok(Err(error)) => Err(format!("`{}` is no regular expression: {error}", quote(&pattern))),
            Err(error) => Err(format!("compiling `{}` was interrupted: {error}", quote(&pattern))),
        }
    }

    /// Searches until `deadline`, or a little longer if that is near. The error says why there is no match.
    ///
    /// A search cannot be interrupted: one that is given up occupies a thread until it ends. There is one at most for
    /// every check, because the check is over then.
    pub(super) async fn search(&self, body: Body, deadline: Instant) -> Result<(), String> {
        let begin = Instant::now();
        let deadline = deadline.max(begin + LEAST);
        let (size, cut) = (body.bytes.len(), body.cut);
        let regex = self.0.clone();
        let searching = tokio::task::spawn_blocking(move || is_in(&regex, &body.text()));
        let pattern = quote(self.0.as_str());
        let whole = if cut { "the first " } else { "" };
        match timeout_at(deadline, searching).await {
            Ok(Ok(Ok(true))) => Ok(()),
            Ok(Ok(Ok(false))) => Err(format!("no match for `{pattern}` in {whole}{size} bytes")),
            Ok(Ok(Err(Error::RuntimeError(
                RuntimeError::BacktrackLimitExceeded | RuntimeError::StackOverflow,
            )))) => Err(format!("the search for `{pattern}` in {whole}{size} bytes takes too many steps")),
            Ok(Ok(Err(error))) => Err(format!("the search for `{pattern}` failed: {error}")),
            Ok(Err(error)) => Err(format!("the search for `{pattern}` was interrupted: {error}")),
            Err(_) => Err(format!(
                "the search for `{pattern}` in {whole}{size} bytes was given up after {}",
                seconds(begin.elapsed())
            )),
        }
    }
}

/// As Python searches: nothing is found in an empty body, and `$` also matches before a line end that ends the body.
fn is_in(regex: &Regex, text: &str) -> Result<bool, Error> {
    if text.is_empty() {
        return Ok(false);
    }
    match text.strip_suffix('\n') {
        Some(line) => Ok(regex.is_match(text)? || regex.is_match(line)?),
        None => regex.is_match(text),
    }
}

impl Body {
    /// Reads a body, up to 10 MiB of it.
    pub(super) async fn read(mut response: Response) -> reqwest::Result<Self> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BODY {
                bytes.truncate(BODY);
                return Ok(Self { bytes, cut: true });
            }
        }
        Ok(Self { bytes, cut: false })
    }

    /// UTF-8 where it is that, else Latin-1, in which every byte is a character.
    fn text(self) -> String {
        String::from_utf8(self.bytes).unwrap_or_else(|error| {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            if self.cut && bytes.len() - valid < 4 {
                // The cut went through a character.
                bytes.truncate(valid);
                return String::from_utf8(bytes).unwrap_or_default();
            }
            bytes.into_iter().map(char::from).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::MissedTickBehavior;

    fn body(bytes: &[u8]) -> Body {
        Body { bytes: bytes.to_vec(), cut: false }
    }

    async fn search(pattern: &str, bytes: &[u8]) -> Result<(), String> {
        let pattern = Pattern::new(pattern.into()).await.unwrap();
        pattern.search(body(bytes), Instant::now() + Duration::from_mins(10)).await
    }

    #[tokio::test]
    async fn searches_as_python_does() {
        for (pattern, text) in [
            ("ok", "all ok here"),
            ("a.*z", "a\n\nz"),
            ("^ok$", "ok\n"),
            ("(?i)OK(?=!)", "say ok!"),
            ("(.)\\1", "aa"),
            ("é", "café"),
        ] {
            assert_eq!(search(pattern, text.as_bytes()).await, Ok(()), "{pattern}");
        }
        assert_eq!(search("caf.$", b"caf\xe9").await, Ok(()), "Latin-1");
        for (pattern, text) in [("", ""), ("^$", ""), ("OK", "ok"), ("^ok$", "ok\n\n"), ("^ok$", "not ok")] {
            assert!(search(pattern, text.as_bytes()).await.is_err(), "{pattern}");
        }
        assert_eq!(search("no", b"yes").await.unwrap_err(), "no match for `no` in 3 bytes");
        assert!(Pattern::new("(".into()).await.unwrap_err().starts_with("`(` is no regular expression: "));
    }

    #[tokio::test]
    async fn instances_share_a_pattern() {
        let patterns = Patterns::default();
        let (first, second) = tokio::join!(patterns.get("a".into()), patterns.get("a".into()));
        assert!(Arc::ptr_eq(&first.unwrap().0, &second.unwrap().0));
        assert_eq!(patterns.get("(".into()).await.unwrap_err(), patterns.get("(".into()).await.unwrap_err());
    }

    #[tokio::test]
    async fn a_catastrophic_pattern_is_stopped_by_its_steps() {
        let failure = search(r"(a*)*\1b", &[b'a'; 5000]).await.unwrap_err();
        assert_eq!(failure, r"the search for `(a*)*\1b` in 5000 bytes takes too many steps");
    }

    #[test]
    fn a_long_search_holds_up_nobody_and_is_given_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (failure, ticks) = runtime.block_on(async {
            // Quadratic, and in no step of it is there anything to count: minutes for this body.
            let pattern = Pattern::new("(?=.*x)y".into()).await.unwrap();
            let mut ticks = 0;
            let mut clock = tokio::time::interval(Duration::from_millis(10));
            clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let searching = pattern.search(body(&vec![b'a'; 300_000]), Instant::now());
            tokio::pin!(searching);
            loop {
                tokio::select! {
                    result = &mut searching => break (result.unwrap_err(), ticks),
                    _ = clock.tick() => ticks += 1,
                }
            }
        });
        // The thread goes on until the process ends, as it would after a command.
        runtime.shutdown_background();
        assert!(
            failure.starts_with("the search for `(?=.*x)y` in 300000 bytes was given up after "),
            "{failure}"
        );
        assert!(ticks > 2, "the runtime stood still: {ticks} ticks in a second");
    }

    #[tokio::test]
    async fn ten_mebibytes_of_a_body_are_read() {
        let sent = |size: usize| Response::from(http::Response::new(vec![b'.'; size]));
        let whole = Body::read(sent(BODY)).await.unwrap();
        assert_eq!((whole.bytes.len(), whole.cut), (BODY, false));
        let cut = Body::read(sent(BODY + 1)).await.unwrap();
        assert_eq!((cut.bytes.len(), cut.cut), (BODY, true));
        let pattern = Pattern::new("no".into()).await.unwrap();
        let failure = pattern.search(Body { bytes: b"yes".to_vec(), cut: true }, Instant::now()).await;
        assert_eq!(failure.unwrap_err(), "no match for `no` in the first 3 bytes");
    }

    #[test]
    fn a_cut_character_is_left_out() {
        let cut = Body { bytes: "ab€".as_bytes()[..4].to_vec(), cut: true };
        assert_eq!(cut.text(), "ab");
        assert_eq!(body(b"ab\xe2\x82").text(), "abâ\u{82}");
    }
}
