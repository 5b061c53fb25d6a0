//! Reading one text: its size, its encoding, its line ends.

use super::limits::Limits;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Origin, SourceError, SourceId, SourceKind, SourceMap, SourceText, Sources, Span};
use std::sync::Arc;

/// Why a text cannot be used.
#[derive(Debug)]
pub(super) enum Unread {
    /// It could not be read.
    Source(SourceError),
    /// It was read, and is not text. Everything is said.
    Text(Diagnostic),
}

/// Reads a text into the map. Its line ends become `\n`, as Python's and Jinja2's reading makes them; lines and
/// columns stay the same.
pub(super) fn read(
    sources: &dyn Sources,
    kind: SourceKind,
    name: &str,
    limits: &Limits,
    map: &mut SourceMap,
) -> Result<SourceId, Unread> {
    let bytes = sources.read(kind, name).map_err(Unread::Source)?;
    if bytes.len() > limits.file_bytes {
        return Err(Unread::Source(SourceError::TooLarge {
            size: bytes.len() as u64,
            limit: limits.file_bytes as u64,
        }));
    }
    let display_name = sources.display_name(kind, name);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(Unread::Text(not_utf8(&error, display_name, map))),
    };
    let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
    Ok(map.add(SourceText { name: display_name, origin: Origin::File, text: Arc::from(text) }))
}

/// Shows the line up to the first byte that is not UTF-8.
fn not_utf8(error: &std::string::FromUtf8Error, name: String, map: &mut SourceMap) -> Diagnostic {
    let valid = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let text = String::from_utf8_lossy(bytes).into_owned();
    // Replacement characters come after the valid part only, so its length is right in the lossy text too.
    let source = map.add(SourceText { name, origin: Origin::File, text: Arc::from(text) });
    let start = u32::try_from(valid).unwrap_or(u32::MAX);
    let width = u32::try_from(char::REPLACEMENT_CHARACTER.len_utf8()).unwrap_or(0);
    let diagnostic = Diagnostic::error(Code::NotUtf8, "the file is not UTF-8")
        .label(Span { source, start, end: start + width }, "this byte is not part of a character");
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return diagnostic.help("it looks like UTF-16: save it as UTF-8");
    }
    let byte = bytes.get(valid).copied().unwrap_or(0);
    diagnostic.note(format!("the byte is 0x{byte:02x}")).help("save it as UTF-8")
}

impl Unread {
    /// What to say about it, given what the text is called.
    pub(super) fn into_diagnostic(self, name: &str) -> Diagnostic {
        match self {
            Self::Text(diagnostic) => diagnostic,
            Self::Source(SourceError::NotFound) => {
                Diagnostic::error(Code::Unreadable, format!("`{name}` was not found"))
                    .help("check the path; a directory needs a `maestro.yaml` in it")
            }
            Self::Source(SourceError::TooLarge { size, limit }) => {
                let (size, limit) = (size >> 20, limit >> 20);
                // Of what has no length beforehand, no more is read than shows that it is too much.
                let what = if size > limit {
                    format!("{size} MiB, and the limit is {limit} MiB")
                } else {
                    format!("more than {limit} MiB")
                };
                Diagnostic::error(Code::TooLarge, format!("`{name}` is too large: {what}"))
                    .help("check that this is the right file: no environment is that large")
            }
            Self::Source(error @ SourceError::Other(_)) => {
                Diagnostic::error(Code::Unreadable, format!("`{name}` could not be read: {error}"))
            }
        }
    }
}
