//! Texts that mean nothing in a configuration but themselves.

/// What may be in a name: everything else becomes `_`.
pub(super) fn safe(text: &str) -> String {
    replaced(text, |c| matches!(c, '_' | '.' | '-'))
}

/// What may be in a host name or an address.
pub(super) fn address(text: &str) -> String {
    replaced(text, |c| matches!(c, '_' | '.' | '-' | ':' | '%'))
}

fn replaced(text: &str, also: impl Fn(char) -> bool) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || also(c) { c } else { '_' }).collect()
}
