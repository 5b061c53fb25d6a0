//! Text on a grid of character cells: how wide it is, how it is cut, and that it cannot steer the terminal.

use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Number of terminal cells that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The longest beginning that takes at most so many cells.
fn take(text: &str, cells: usize) -> &str {
    if text.len() <= cells {
        // No character takes more cells than bytes.
        return text;
    }
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > cells {
            return &text[..at];
        }
    }
    text
}

/// The text in exactly so many cells: filled with blanks on the right, or cut.
pub(super) fn fit(text: &str, cells: usize) -> String {
    let cut = take(text, cells);
    let mut fitted = String::with_capacity(cells);
    fitted.push_str(cut);
    fitted.extend(std::iter::repeat_n(' ', cells.saturating_sub(width(cut))));
    fitted
}

/// The text in at least so many cells, filled with blanks on the right.
pub(super) fn pad(text: &str, cells: usize) -> String {
    fit(text, cells.max(width(text)))
}

/// The text in at least so many cells, filled with blanks on the left.
pub(super) fn right(text: &str, cells: usize) -> String {
    format!("{}{text}", " ".repeat(cells.saturating_sub(width(text))))
}

/// The text, or as much of it as goes into so many cells with an ellipsis at the end.
pub fn crop(text: &str, cells: usize, ellipsis: &str) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let room = cells.saturating_sub(width(ellipsis));
    format!("{}{}", take(text, room).trim_end(), take(ellipsis, cells))
}

/// A text in pieces that take at most so many cells, the first one and the others, broken at blanks. A word that is
/// longer stays whole: what is to be copied should be one piece.
pub(super) fn broken(text: &str, first: usize, others: usize) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some(text);
    (0..).map_while(move |at| {
        let text = rest?;
        let room = if at == 0 { first } else { others };
        let fits = take(text, room);
        // A blank just behind what fits is a good place, too.
        let end = match text[fits.len()..].chars().next() {
            None => text.len(),
            Some(' ') => fits.len(),
            Some(_) => fits.rfind(' ').or_else(|| text.find(' ')).unwrap_or(text.len()),
        };
        let (piece, more) = text.split_at(end);
        rest = Some(more.trim_start_matches(' ')).filter(|more| !more.is_empty());
        Some((at, piece.trim_end_matches(' ')))
    })
}

/// A text on lines of at most so many cells, all but the first indented by two.
pub(super) fn wrapped(text: &str, cells: usize) -> String {
    broken(text, cells, cells.saturating_sub(2)).fold(String::new(), |mut lines, (at, piece)| {
        if at > 0 {
            lines.push_str("\n  ");
        }
        lines + piece
    })
}

/// The text on one line and without control characters: what engines, programs and files say is shown, not obeyed.
///
/// Line ends become blanks. Other controls become the pictures that Unicode has for them, and the invisible marks that
/// reverse the direction of text are replaced.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.trim_end().chars() {
        match c {
            '\n' | '\t' => shown.push(' '),
            '\r' => {}
            '\0'..='\x1f' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\x7f' => shown.push('\u{2421}'),
            c if unprintable(c) => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_characters_take_two_cells() {
        assert_eq!(fit("東京-1", 8), "東京-1  ");
        assert_eq!(fit("東京-1", 3), "東 ", "half a character is not shown");
        assert_eq!(fit("e\u{301}cole", 5), "e\u{301}cole", "combining marks take none");
        assert_eq!(crop("東京-1", 5, "…"), "東京…");
        assert_eq!(crop("web", 3, "…"), "web");
        assert_eq!(crop("web-1", 0, "…"), "");
        assert_eq!(right("5", 3), "  5");
        assert_eq!(pad("longer", 3), "longer");
    }

    #[test]
    fn controls_are_shown_not_obeyed() {
        assert_eq!(clean("a\x1b[31mb\r\nc\td\x07"), "a␛[31mb c d␇");
        assert_eq!(clean("a\u{202e}b\u{9b}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(clean("only\n"), "only");
        assert!(matches!(clean("déjà 東京"), Cow::Borrowed(_)));
    }

    #[test]
    fn lines_break_at_blanks() {
        let pieces = |text: &'static str, first, others| -> Vec<&str> {
            broken(text, first, others).map(|(_, piece)| piece).collect()
        };
        assert_eq!(wrapped("one two three four", 8), "one two\n  three\n  four");
        assert_eq!(pieces("one two three", 7, 5), ["one two", "three"]);
        assert_eq!(pieces("one two three", 6, 9), ["one", "two three"]);
        assert_eq!(pieces("https://192.0.2.1:2376 is down", 5, 7), ["https://192.0.2.1:2376", "is down"]);
        assert_eq!(pieces("a  b", 1, 1), ["a", "b"]);
        assert_eq!(pieces("東京 東京", 5, 4), ["東京", "東京"]);
        assert_eq!(pieces("whole", usize::MAX, 0), ["whole"]);
        assert_eq!(pieces("", 5, 5), [""]);
        assert_eq!(pieces(" x", 0, 0), ["", "x"]);
    }

    proptest! {
        #[test]
        fn broken_text_is_whole(text in "[a-z東 ]{0,60}", first in 0usize..20, others in 0usize..20) {
            let pieces: Vec<&str> = broken(&text, first, others).map(|(_, piece)| piece).collect();
            let together = pieces.join(" ");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&together), words(&text));
            let wide = |(at, piece): (usize, &&str)| {
                piece.contains(' ') && width(piece) > if at == 0 { first } else { others }
            };
            prop_assert!(!pieces.iter().enumerate().any(wide));
        }

        #[test]
        fn fitted_text_is_exactly_as_wide_as_asked(text in "\\PC*", cells in 0usize..40) {
            prop_assert_eq!(width(&fit(&text, cells)), cells);
            prop_assert!(width(&crop(&text, cells, "…")) <= cells);
        }

        #[test]
        fn cleaned_text_has_no_controls(text in "(?s).*") {
            prop_assert!(!clean(&text).chars().any(unprintable));
        }
    }
}
