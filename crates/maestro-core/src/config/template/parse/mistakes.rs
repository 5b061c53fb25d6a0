//! Template syntax errors in the words of somebody who wants to mend them.

use crate::config::template::failure::Failure;
use crate::config::template::text::small;
use crate::diagnostic::{Code, nearest};
use crate::source::{SourceId, Span};
use minijinja::machinery::{Token, Tokenizer};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

const TAGS: [&str; 15] = [
    "for",
    "if",
    "with",
    "set",
    "autoescape",
    "filter",
    "block",
    "extends",
    "include",
    "import",
    "from",
    "macro",
    "call",
    "raw",
    "do",
];

/// The failure for an error of the parser.
pub(super) fn explain(source: SourceId, text: &str, error: &Error) -> Failure {
    let range = error.range().unwrap_or(text.len()..text.len());
    let boundary = |offset: usize| {
        let offset = offset.min(text.len());
        small((0..=offset).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0))
    };
    let at = Span { source, start: boundary(range.start), end: boundary(range.end.max(range.start)) };
    let detail = error.detail().unwrap_or("").to_owned();
    let syntax = |message: String| Failure::new(Code::TemplateSyntax, message);
    if let Some(failure) = unclosed(source, text, at, &detail).or_else(|| unbalanced(source, text, at)) {
        return failure;
    }
    if let Some(name) = detail.strip_prefix("unknown statement ") {
        let failure = syntax(format!("there is no tag `{name}`")).at(at);
        return match nearest(name, TAGS) {
            Some(known) => failure.help(format!("did you mean `{known}`?")),
            None if matches!(name, "break" | "continue") => {
                failure.help("filter the loop instead: `{% for x in items if condition %}`")
            }
            None => failure,
        };
    }
    match detail.as_str() {
        "unexpected end of comment" => syntax("a comment is not closed".to_owned())
            .at(last_of(source, text, at, "{#"))
            .help("close it with `#}`"),
        "unexpected end of raw block" => syntax("`raw` is not closed".to_owned())
            .at(last_of(source, text, at, "{%"))
            .help("close it with `{% endraw %}`"),
        "unexpected end of string" => {
            let quote = text.get(..at.start as usize).and_then(|before| before.rfind(['\'', '"']));
            let at = quote.map_or(at, |start| Span { source, start: small(start), end: small(start + 1) });
            syntax("a string is not closed".to_owned()).at(at)
        }
        "unexpected character" => syntax("this character means nothing in an expression".to_owned()).at(at),
        _ if error.kind() == ErrorKind::BadEscape => {
            syntax("this string has an escape that does not exist".to_owned())
                .at(at)
                .help("write `\\\\` for a backslash")
        }
        "" => syntax("this is not valid template syntax".to_owned()).at(at),
        _ => {
            let detail = match detail.strip_suffix("expected in") {
                Some(before) => format!("{before}expected `in`"),
                None => detail,
            };
            let detail = detail
                .replace("end of variable block", "`}}`")
                .replace("start of variable block", "`{{`")
                .replace("end of block", "`%}`")
                .replace("start of block", "`{%`")
                .replace("template-data", "text")
                .replace("unexpected end of input", "the file ends");
            syntax(detail).at(at)
        }
    }
}

/// The last place at or before an error where a text stands.
fn last_of(source: SourceId, text: &str, at: Span, wanted: &str) -> Span {
    match text.get(..at.start as usize).and_then(|before| before.rfind(wanted)) {
        Some(start) => Span { source, start: small(start), end: small(start + wanted.len()) },
        None => at,
    }
}

/// An expression or a tag without its closing brackets: the parser goes on into the text behind it, and reports the
/// first word there that does not fit.
fn unclosed(source: SourceId, text: &str, error: Span, detail: &str) -> Option<Failure> {
    let mut tokens = Tokenizer::new(text, "", false, SyntaxConfig::default());
    let mut open: Option<(&str, &str, Span)> = None;
    while let Ok(Some((token, span))) = tokens.next_token() {
        if span.start_offset >= error.end.max(error.start + 1) {
            break;
        }
        let at = Span { source, start: span.start_offset, end: span.start_offset + 2 };
        match token {
            Token::VariableStart => open = Some(("{{", "}}", at)),
            Token::BlockStart => open = Some(("{%", "%}", at)),
            Token::VariableEnd | Token::BlockEnd => open = None,
            _ => {}
        }
    }
    let (opened, closes, at) = open?;
    let behind = text.get(at.end as usize..)?;
    if is_closed(behind, closes) {
        return None;
    }
    let failure = Failure::new(Code::TemplateSyntax, format!("`{opened}` is not closed"))
        .at(at)
        .help(format!("close it with `{closes}`"));
    if detail.starts_with("unexpected end of ") {
        return Some(failure);
    }
    let noticed =
        text.get(error.start as usize..error.end as usize).and_then(|noticed| noticed.lines().next());
    let error = Span { end: error.start + small(noticed.unwrap_or("").len()), ..error };
    Some(failure.label("it is still open").through(error, &format!("expected `{closes}` before this")))
}

/// Whether brackets are closed before others are opened. Those in strings do not count, and a string ends on its line.
fn is_closed(behind: &str, closes: &str) -> bool {
    // Brackets right within brackets are a mistake of another kind.
    let mut rest = behind.trim_start();
    rest = ["{{", "{%", "{#"].iter().find_map(|opens| rest.strip_prefix(opens)).unwrap_or(rest);
    while let Some(next) = rest.chars().next() {
        if rest.starts_with(closes) {
            return true;
        }
        if ["{{", "{%", "{#"].iter().any(|opens| rest.starts_with(opens)) {
            return false;
        }
        rest = &rest[next.len_utf8()..];
        if matches!(next, '"' | '\'')
            && let Some(end) = rest.lines().next().and_then(|line| line.find(next))
        {
            rest = &rest[end + 1..];
        }
    }
    false
}

/// A tag that is never closed, or closed by the wrong end: the parser reports where it noticed, not what is amiss.
fn unbalanced(source: SourceId, text: &str, error: Span) -> Option<Failure> {
    let mut tokens = Tokenizer::new(text, "", false, SyntaxConfig::default());
    let mut open: Vec<(&str, Span)> = Vec::new();
    let mut previous: Option<Token<'_>> = None;
    let mut is_set_block = false;
    let mut set: Option<Span> = None;
    while let Ok(Some((token, span))) = tokens.next_token() {
        if span.start_offset > error.end {
            break;
        }
        let at = Span { source, start: span.start_offset, end: span.end_offset };
        match (&previous, &token) {
            (Some(Token::BlockStart), Token::Ident(word)) => match *word {
                "for" | "if" | "with" | "filter" | "block" | "macro" | "call" | "autoescape" => {
                    open.push((word, at));
                }
                "set" => {
                    is_set_block = true;
                    set = Some(at);
                }
                _ => {
                    if let Some(closes) = word.strip_prefix("end") {
                        match open.pop() {
                            Some((opened, _)) if opened == closes => {}
                            Some((opened, begin)) => {
                                return Some(
                                    Failure::new(
                                        Code::TemplateSyntax,
                                        format!("`{word}` where `end{opened}` is needed"),
                                    )
                                    .at(at)
                                    .through(begin, "this is still open"),
                                );
                            }
                            None => {
                                return Some(
                                    Failure::new(Code::TemplateSyntax, format!("`{word}` closes nothing"))
                                        .at(at),
                                );
                            }
                        }
                    }
                }
            },
            (_, Token::Assign) => is_set_block = false,
            (_, Token::BlockEnd) => {
                if let Some(at) = set.take()
                    && std::mem::take(&mut is_set_block)
                {
                    open.push(("set", at));
                }
            }
            _ => {}
        }
        previous = Some(token);
    }
    // Only an error at the end of the file is about what is open there.
    let rest = text.get(error.end as usize..).unwrap_or("");
    let (opened, at) = *open.last()?;
    let at_end = rest.trim().is_empty() || rest.trim() == "%}";
    at_end.then(|| {
        Failure::new(Code::TemplateSyntax, format!("`{opened}` is not closed"))
            .at(at)
            .help(format!("close it with `{{% end{opened} %}}`"))
    })
}
