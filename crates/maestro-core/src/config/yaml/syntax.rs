//! Syntax errors in the words of somebody who wants to mend them: what the parser stumbled over is often not what
//! the author got wrong.

use crate::config::limits::Limits;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{SourceId, Span};
use granit_parser::{ErrorKind, ScanError};

/// A span from byte offsets, moved to character boundaries by its callers.
pub(super) fn span(source: SourceId, start: usize, end: usize) -> Span {
    let small = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    Span { source, start: small(start), end: small(end) }
}

/// The first character that YAML does not allow anywhere, if there is one.
pub(super) fn control_character(source: SourceId, text: &str) -> Option<Diagnostic> {
    let bytes = text.as_bytes();
    let suspicious = |(i, byte): (usize, &u8)| match byte {
        b'\t' | b'\n' | b'\r' => false,
        0..=0x1f | 0x7f => true,
        // U+0080 to U+009F without U+0085, and U+FFFE, U+FFFF.
        0xc2 => bytes.get(i + 1).is_some_and(|next| (0x80..=0x9f).contains(next) && *next != 0x85),
        0xef => matches!(bytes.get(i + 1..i + 3), Some([0xbf, 0xbe | 0xbf])),
        _ => false,
    };
    let at = bytes.iter().enumerate().position(suspicious)?;
    let character = text.get(at..)?.chars().next()?;
    Some(
        Diagnostic::error(
            Code::YamlSyntax,
            format!("the control character U+{:04X} is not allowed in YAML", u32::from(character)),
        )
        .at(span(source, at, at + character.len_utf8()))
        .help(match character {
            '\u{1b}' => "remove it; it looks like a colour code copied from a terminal".to_owned(),
            _ => format!("remove it, or write it in double quotes as \"\\x{:02x}\"", u32::from(character)),
        }),
    )
}

pub(super) fn second_document(at: Span) -> Diagnostic {
    Diagnostic::error(Code::YamlUnsupported, "a second document begins here")
        .at(at)
        .note("an environment is one YAML document")
        .help("remove the `---`, or move what follows into a file of its own")
}

pub(super) fn too_deep(limit: usize, at: Span) -> Diagnostic {
    Diagnostic::error(Code::TooLarge, format!("lists and mappings nest more than {limit} levels deep")).at(at)
}

/// The diagnostic for an error of the parser; `open` is the innermost bracket that is not closed yet.
pub(super) fn explain(
    source: SourceId,
    text: &str,
    error: &ScanError,
    open: Option<Span>,
    limits: &Limits,
) -> Diagnostic {
    let offset = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let offset = (0..=offset).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let place = Place { source, text, offset };
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(limits.depth, place.character()),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => tab(place),
        _ if place.rest().starts_with('\t') => tab(place),
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::DocumentIndicatorInQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent => unclosed_quote(place),
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
            if open.is_some_and(|open| (open.start as usize) < place.line_start()) =>
        {
            open_bracket(place, open)
        }
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::InvalidColonPlacement => colon(place),
        ErrorKind::UnexpectedCharacter { character } => {
            Diagnostic::error(Code::YamlSyntax, format!("unquoted text cannot begin with `{character}`"))
                .at(place.character())
                .help("quote the value")
        }
        kind => {
            let (message, label, help) = words(kind);
            let message = message.map_or_else(|| kind.to_string(), str::to_owned);
            let mut diagnostic = Diagnostic::error(Code::YamlSyntax, message).label(place.character(), label);
            if !help.is_empty() {
                diagnostic = diagnostic.help(help);
            }
            diagnostic
        }
    }
}

#[derive(Clone, Copy)]
struct Place<'a> {
    source: SourceId,
    text: &'a str,
    offset: usize,
}

impl<'a> Place<'a> {
    /// The character at the place; at the end of the text, the end of its last line.
    fn character(self) -> Span {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        let start = if length == 0 { self.text.trim_end().len() } else { self.offset };
        span(self.source, start, start + length)
    }

    fn rest(self) -> &'a str {
        self.text.get(self.offset..).unwrap_or("")
    }

    fn line_start(self) -> usize {
        self.text.get(..self.offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
    }

    /// The line of the place, without its end.
    fn line(self) -> &'a str {
        self.text.get(self.line_start()..).and_then(|rest| rest.lines().next()).unwrap_or("")
    }
}

/// The parser notices a tab some way before or after it; this finds the first one that indents.
fn tab(place: Place<'_>) -> Diagnostic {
    let mut at = place.offset;
    let mut line_start = place.line_start();
    for line in place.text.get(line_start..).unwrap_or("").split_inclusive('\n').take(5) {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line.get(..indentation).and_then(|blanks| blanks.find('\t')) {
            at = line_start + tab;
            break;
        }
        line_start += line.len();
    }
    Diagnostic::error(Code::YamlSyntax, "a tab cannot indent YAML")
        .label(Place { offset: at, ..place }.character(), "")
        .help("indent with spaces only")
}

fn open_bracket(place: Place<'_>, open: Option<Span>) -> Diagnostic {
    let bracket = open.and_then(|open| place.text.get(open.start as usize..open.end as usize)).unwrap_or("[");
    let close = if bracket == "{" { '}' } else { ']' };
    let mut diagnostic = Diagnostic::error(Code::YamlSyntax, format!("`{bracket}` is not closed"));
    if let Some(open) = open {
        diagnostic = diagnostic.label(open, "it is still open");
    }
    diagnostic.label(place.character(), format!("expected `,` or `{close}` before this")).help(format!(
        "close it with `{close}`; quote a value that contains brackets, braces, commas or `: `"
    ))
}

/// `key: value: value`, or a key on a line that its neighbours do not allow one on.
fn colon(place: Place<'_>) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::YamlSyntax, "a `key: value` pair cannot stand here");
    let line = place.line();
    let before = place.text.get(place.line_start()..place.offset).unwrap_or("");
    let content = before.trim_start_matches([' ', '-']);
    if let Some((key, value)) = content.split_once(": ") {
        let key = key.trim();
        let whole = line.split_once(": ").map_or(value, |(_, whole)| whole).trim();
        let quoted = if whole.contains('"') {
            format!("'{}'", whole.replace('\'', "''"))
        } else {
            format!("\"{}\"", whole.replace('\\', "\\\\"))
        };
        return diagnostic.label(place.character(), "a second `: ` on this line").help(format!(
            "quote the value if it contains `: `, as in `{}: {}`",
            super::excerpt(key),
            super::excerpt(&quoted)
        ));
    }
    diagnostic.label(place.character(), "this `:` begins a value").help(
        "check that this line is indented like its neighbours, and that the line before it ends a value",
    )
}

/// The parser notices lines later, or at the end of the file; the author wants the quote.
fn unclosed_quote(place: Place<'_>) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::YamlSyntax, "a quoted string is not closed");
    match opening_quote(place) {
        Some(opening) => {
            let quote = if opening.rest().starts_with('"') { '"' } else { '\'' };
            diagnostic
                .label(opening.character(), "it begins here")
                .help(format!("close it with `{quote}`; {}", escape_hint(quote)))
        }
        None => diagnostic.label(place.character(), "still inside of a quoted string here"),
    }
}

/// The nearest quote at or before the place that begins a value and is not closed on its line.
fn opening_quote(place: Place<'_>) -> Option<Place<'_>> {
    const LINES: usize = 100;
    if place.rest().starts_with(['"', '\'']) {
        return Some(place);
    }
    let mut end = place.offset;
    for _ in 0..LINES {
        let here = Place { offset: end, ..place };
        let start = here.line_start();
        if let Some(column) = unbalanced_quote(place.text.get(start..end).unwrap_or("")) {
            return Some(Place { offset: start + column, ..place });
        }
        end = start.checked_sub(1)?;
    }
    None
}

/// Where in a line a quoted string begins that the line does not end.
fn unbalanced_quote(line: &str) -> Option<usize> {
    let mut open: Option<(usize, char)> = None;
    let mut before = ' ';
    let mut characters = line.char_indices();
    while let Some((i, c)) = characters.next() {
        match open {
            Some((_, '"')) if c == '\\' => {
                characters.next();
            }
            Some((_, quote)) if c == quote => open = None,
            None if matches!(c, '"' | '\'') && matches!(before, ' ' | '[' | '{' | ',' | '\'') => {
                open = Some((i, c));
            }
            _ => {}
        }
        before = c;
    }
    open.map(|(i, _)| i)
}

fn escape_hint(quote: char) -> &'static str {
    if quote == '"' {
        "a double quote within is written \\\""
    } else {
        "a single quote within is doubled: ''"
    }
}

/// Message (`None`: the parser's own), label and help for the kinds that need no look at the text.
fn words(kind: &ErrorKind) -> (Option<&'static str>, &'static str, &'static str) {
    match kind {
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            Some("this line is neither a `key: value` pair nor part of the value before it"),
            "",
            "add the missing `:`, or check the indentation and the quotes of the lines before",
        ),
        ErrorKind::ExpectedBlockMappingKey => (
            Some("expected a key of the mapping, or its end"),
            "this does not fit the mapping that it stands in",
            "check the indentation: the keys of one mapping stand in the same column",
        ),
        ErrorKind::ExpectedBlockSequenceEntry => (
            Some("expected `-` for the next item of the list, or its end"),
            "this does not fit the list that it stands in",
            "check the indentation: the `-` of one list stand in the same column",
        ),
        ErrorKind::InvalidIndentation | ErrorKind::InvalidBlockScalarIndent => (
            Some("the indentation does not fit what comes before"),
            "",
            "what belongs together stands in the same column",
        ),
        ErrorKind::BlockSequenceEntryNotAllowed => {
            (Some("a list item cannot stand here"), "", "put the list on a line of its own, below its key")
        }
        ErrorKind::BlockEntryInFlowCollection => (
            Some("a `-` item cannot stand inside of brackets"),
            "",
            "within `[` and `]`, separate items with commas",
        ),
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            (None, "", "close the bracket; quote the value if it is meant to begin with `[` or `{`")
        }
        ErrorKind::MismatchedFlowCollectionEnd { .. } | ErrorKind::MisplacedFlowCollectionEnd => {
            (None, "", "check that each bracket is closed once, by its own kind")
        }
        ErrorKind::ExpectedFlowMappingSeparator => {
            (Some("expected `,` or `}`"), "", "quote a value that contains `,`, `: `, brackets or braces")
        }
        ErrorKind::ExpectedFlowSequenceSeparator => {
            (Some("expected `,` or `]`"), "", "quote a value that contains `,`, `: `, brackets or braces")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            Some("text follows a quoted string"),
            "",
            "quote the whole value; a single quote within single quotes is doubled, a double quote within double quotes is written \\\"",
        ),
        ErrorKind::UnknownQuotedScalarEscape => (
            Some("`\\` begins an escape in double quotes, and this one does not exist"),
            "",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        ErrorKind::MissingAnchorOrAliasName => {
            (Some("`&` and `*` need a name"), "", "quote the value if it is meant to begin with `&` or `*`")
        }
        ErrorKind::UndeclaredTagHandle => (
            Some("the tag is not known"),
            "",
            "remove it, or quote the value if it is meant to begin with `!`",
        ),
        ErrorKind::CommentInterceptedScalar => {
            (Some("a comment cannot stand within a value of several lines"), "", "")
        }
        ErrorKind::CommentNotSeparated => (None, "", "put a space before `#`, or quote the value"),
        ErrorKind::ExpectedDocumentStart | ErrorKind::InvalidDocumentEnd => (
            Some("the document has ended before this"),
            "",
            "check the indentation of this line: it belongs to nothing",
        ),
        ErrorKind::InvalidBlockScalarHeader => (
            Some("text follows `|` or `>`"),
            "",
            "begin the text on the next line, or quote the value if it is meant to begin with `|` or `>`",
        ),
        _ => (None, "", ""),
    }
}
