//! Splitting a command into words as Python's `shlex.split` does: POSIX quoting, no comments, no expansion.

/// Why a command cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A quote is not closed.
    #[error("a quotation is not closed")]
    Quote,
    /// It ends with a backslash.
    #[error("nothing follows the last backslash")]
    Escape,
}

/// The words of a command.
pub fn split(text: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(chars.next().ok_or(WordsError::Escape)?),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(WordsError::Quote)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(WordsError::Quote)? {
                        '"' => break,
                        // Only the quote and the backslash itself can be escaped here; any other keeps its backslash.
                        '\\' => match chars.next().ok_or(WordsError::Quote)? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values are what Python 3.11's shlex.split returns.
    #[test]
    fn splits_like_shlex() {
        let cases: [(&str, &[&str]); 9] = [
            ("", &[]),
            ("  a  b ", &["a", "b"]),
            ("sh -c 'echo $HOME; sleep 9'", &["sh", "-c", "echo $HOME; sleep 9"]),
            (r#"a "b c" d"#, &["a", "b c", "d"]),
            (r#""a\"b\\c\d""#, &[r#"a"b\c\d"#]),
            (r"a\ b c\\d", &["a b", r"c\d"]),
            ("a '' \"\" b", &["a", "", "", "b"]),
            ("a#b #c", &["a#b", "#c"]),
            ("x'y'\"z\"", &["xyz"]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        assert_eq!(split("'a"), Err(WordsError::Quote));
        assert_eq!(split("\"a\\"), Err(WordsError::Quote));
        assert_eq!(split("a\\"), Err(WordsError::Escape));
    }
}
