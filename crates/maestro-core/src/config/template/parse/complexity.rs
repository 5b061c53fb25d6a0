//! Refuses templates whose syntax nests so deep that parsing them would use up the stack: the parser bounds
//! brackets and tags, but not chains of operators, `elif`s or `not`s.

use crate::config::template::failure::{Failure, Res};
use crate::config::template::text::small;
use crate::source::{SourceId, Span};
use minijinja::machinery::{Token, Tokenizer};
use minijinja::syntax::SyntaxConfig;

/// Operators and the like in one expression, those around it included.
const MOST_OPERATORS: usize = 200;
/// Open brackets in one tag.
const MOST_BRACKETS: usize = 40;
/// Branches of one `if`.
const MOST_BRANCHES: usize = 100;
/// Open tags.
const MOST_TAGS: usize = 60;

/// An error where the syntax nests too deep. Other errors are the parser's to report.
pub(super) fn check(source: SourceId, text: &str) -> Res<()> {
    let mut tokens = Tokenizer::new(text, "", false, SyntaxConfig::default());
    // Operators since the last comma, for each open bracket.
    let mut operators = vec![0_usize];
    // Branches of each open tag.
    let mut open: Vec<usize> = Vec::new();
    let mut at_tag_start = false;
    while let Ok(Some((token, span))) = tokens.next_token() {
        let was_tag_start = std::mem::replace(&mut at_tag_start, matches!(token, Token::BlockStart));
        match token {
            Token::BlockStart | Token::VariableStart => operators = vec![0],
            Token::BracketOpen | Token::ParenOpen | Token::BraceOpen => operators.push(0),
            Token::BracketClose | Token::ParenClose | Token::BraceClose => {
                operators.pop();
                count(&mut operators);
            }
            Token::Comma | Token::Colon => {
                if let Some(last) = operators.last_mut() {
                    *last = 0;
                }
            }
            Token::Ident(word) if was_tag_start => tag(word, &mut open),
            Token::Ident("not" | "and" | "or" | "is" | "in" | "if" | "else")
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Pow
            | Token::Mod
            | Token::Dot
            | Token::Tilde
            | Token::Pipe
            | Token::Eq
            | Token::Ne
            | Token::Gt
            | Token::Gte
            | Token::Lt
            | Token::Lte => count(&mut operators),
            _ => {}
        }
        let what = if operators.len() > MOST_BRACKETS {
            "brackets"
        } else if operators.iter().sum::<usize>() > MOST_OPERATORS {
            "operators"
        } else if open.iter().any(|branches| *branches > MOST_BRANCHES) {
            "`elif` branches"
        } else if open.len() > MOST_TAGS {
            "tags within tags"
        } else {
            continue;
        };
        let end = span.end_offset.min(small(text.len()));
        let at = Span { source, start: span.start_offset.min(end), end };
        return Err(Failure::runaway(format!("too many {what} in one place"))
            .at(at)
            .help("split it up: `{% set %}` keeps a value for later"));
    }
    Ok(())
}

fn count(operators: &mut Vec<usize>) {
    match operators.last_mut() {
        Some(last) => *last += 1,
        None => operators.push(1),
    }
}

fn tag(word: &str, open: &mut Vec<usize>) {
    match word {
        "for" | "if" | "with" | "filter" | "block" | "macro" | "call" | "autoescape" => open.push(1),
        "elif" => {
            if let Some(branches) = open.last_mut() {
                *branches += 1;
            }
        }
        _ if word.starts_with("end") => {
            open.pop();
        }
        _ => {}
    }
}
