//! Escapes of string literals that Python knows and the parser reads otherwise, or not at all.

use crate::config::template::failure::{Failure, Res};
use crate::diagnostic::Code;

/// The text of a string literal, or of several one behind the other, if it has such an escape: else nothing.
pub(super) fn unescaped(written: &str) -> Option<Res<String>> {
    let mut out = String::new();
    let mut differs = false;
    let mut rest = written;
    while let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        let mut characters = rest[1..].chars();
        loop {
            match characters.next()? {
                '\\' => {
                    let (escaped, is_other) = escape(&mut characters)?;
                    differs |= is_other;
                    match escaped {
                        Ok(escaped) => out.extend(escaped),
                        Err(failure) => return Some(Err(failure)),
                    }
                }
                c if c == quote => break,
                c => out.push(c),
            }
        }
        rest = characters.as_str().trim_start();
    }
    (differs && rest.is_empty()).then_some(Ok(out))
}

/// What an escape stands for, and whether the parser would read it otherwise; `None` where it is the parser's to refuse.
fn escape(characters: &mut std::str::Chars<'_>) -> Option<(Res<Vec<char>>, bool)> {
    let letter = characters.next()?;
    let (text, differs) = match letter {
        '\n' => (Vec::new(), true),
        'a' => (vec!['\x07'], true),
        'v' => (vec!['\x0b'], true),
        '/' => (vec!['\\', '/'], true),
        'U' => (vec![hexadecimal(characters, 8)?], true),
        'N' => {
            let failure = Failure::new(
                Code::TemplateSyntax,
                "characters by their names, as in `\\N{…}`, are not available",
            )
            .help("write the character itself");
            return Some((Err(failure), true));
        }
        'u' => (vec![hexadecimal(characters, 4)?], false),
        'x' => (vec![hexadecimal(characters, 2)?], false),
        'b' => (vec!['\x08'], false),
        'f' => (vec!['\x0c'], false),
        'n' => (vec!['\n'], false),
        'r' => (vec!['\r'], false),
        't' => (vec!['\t'], false),
        '"' | '\'' | '\\' => (vec![letter], false),
        '0'..='7' => {
            let mut code = letter.to_digit(8)?;
            for _ in 0..2 {
                let Some(digit) = characters.clone().next().and_then(|c| c.to_digit(8)) else { break };
                characters.next();
                code = 8 * code + digit;
            }
            (vec![char::from_u32(code)?], false)
        }
        _ => (vec!['\\', letter], false),
    };
    Some((Ok(text), differs))
}

fn hexadecimal(characters: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let mut code = 0;
    for _ in 0..digits {
        code = 16 * code + characters.next()?.to_digit(16)?;
    }
    char::from_u32(code)
}
