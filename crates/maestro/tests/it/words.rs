//! What fuzzing feeds the command line with, and what must hold for all of it: one word per line.
//!
//! The target under `/fuzz` includes this file by its path, and the test below runs what was kept again.

use maestro::cli::parse;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

/// Any words are a command line, a request for help, or a usage error that says something.
pub(crate) fn words(bytes: &[u8]) {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').filter(|_| !bytes.is_empty());
    let words: Vec<OsString> = lines.map(|line| OsString::from_vec(line.to_vec())).collect();
    let read = |before: &[&str]| {
        let before = before.iter().map(OsString::from);
        parse(std::iter::once("maestro".into()).chain(before).chain(words.clone()))
    };
    match read(&[]) {
        Ok(cli) => {
            // What stands before the command is independent of it, and the last of an option's values counts.
            let again = read(&["--color", "never", "-f", "other.yaml"]);
            assert!(
                again.is_ok_and(|again| again_like(&format!("{again:?}"), &format!("{cli:?}"))),
                "{words:?}"
            );
        }
        Err(error) => {
            assert!(matches!(error.exit_code(), 0 | 2), "{words:?}: {error:?}");
            assert_eq!(error.exit_code() == 2, error.use_stderr(), "{words:?}");
            assert!(
                !error.render().ansi().to_string().trim().is_empty(),
                "{words:?} is refused without a word"
            );
        }
    }
}

/// Whether the commands, which come last, are the same.
fn again_like(one: &str, other: &str) -> bool {
    let command = |text: &str| text.split_once("command: ").map(|(_, command)| command.to_owned());
    command(one).is_some() && command(one) == command(other)
}

#[cfg(test)]
mod tests {
    use super::words;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn any_words_are_read(
            lines in prop::collection::vec(
                prop_oneof![
                    4 => "(status|start|stop|restart|pull|clean|kill|logs|exec|plan|deptree|dump|complete|guest|events)",
                    4 => "-[fvhcdiCSsarFHn]{1,3}=?[0-9]{0,2}",
                    4 => "--(file|version|help|concur|with|ignore|container-f|ship|exp|all|ref|reuse|step|stop|only|full|show|out|prog|col)(=.{0,3})?",
                    2 => "--|-|",
                    2 => "\\PC{0,4}",
                ],
                0..8,
            ),
        ) {
            words(lines.join("\n").as_bytes());
        }
    }

    #[test]
    fn kept_words_are_read() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/words");
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            words(&std::fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 50, "{inputs} inputs are kept");
    }
}
