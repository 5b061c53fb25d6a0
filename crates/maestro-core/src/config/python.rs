//! How Python writes values: maestro-ng puts `str(value)` into container environments, labels and commands, so
//! the exact text is part of the file format (`True`, `1e+16`, `['a']`).
//!
//! Knows the spelling rules only; which value stands where is decided elsewhere.

use super::node::{Node, Value};
use std::fmt::Write as _;

/// What Python's `str()` makes of the value that `PyYAML` loads for this node.
///
/// A string is itself; everything else, and a string inside of a list or mapping, is written as in Python's source.
pub fn text(node: &Node) -> String {
    match &node.value {
        Value::Str(text) | Value::Timestamp(text) => text.to_string(),
        _ => {
            let mut out = String::new();
            write_repr(&mut out, node);
            out
        }
    }
}

fn write_repr(out: &mut String, node: &Node) {
    match &node.value {
        Value::Null => out.push_str("None"),
        Value::Bool(value) => out.push_str(if *value { "True" } else { "False" }),
        Value::Int(number) => push_fmt(out, format_args!("{}", number.value)),
        Value::Float(number) => out.push_str(&float_repr(number.value)),
        Value::Timestamp(text) => out.push_str(&timestamp_repr(text)),
        Value::Str(text) => write_str_repr(out, text),
        // Python knows none; wherever this would matter it is refused.
        Value::Secret(name) => push_fmt(out, format_args!("!secret {name}")),
        Value::Binary(bytes) => write_bytes_repr(out, bytes),
        Value::Seq(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_repr(out, item);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (i, (key, value)) in map.entries.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_repr(out, key);
                out.push_str(": ");
                write_repr(out, value);
            }
            out.push('}');
        }
    }
}

/// Writing to a `String` cannot fail; this says so in one place.
pub(super) fn push_fmt(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    if out.write_fmt(arguments).is_err() {
        debug_assert!(false, "a String refused text");
    }
}

/// Python's `repr()` of a float: the shortest digits that read back the same, an exponent below 1e-4 and from 1e16.
pub(super) fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let shortest = format!("{value:e}");
    // Of two that are as short and as near, Rust takes the upper one and Python the even one.
    let digits = shortest
        .split_once('e')
        .map_or(0, |(mantissa, _)| mantissa.bytes().filter(u8::is_ascii_digit).count().saturating_sub(1));
    let even = format!("{value:.digits$e}");
    let scientific = if even.parse() == Ok(value) { even } else { shortest };
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return plain(mantissa, exponent);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// Digits with an exponent between -4 and 15, without it.
fn plain(mantissa: &str, exponent: i32) -> String {
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let mut digits = mantissa.replace('.', "");
    let Ok(whole) = usize::try_from(exponent) else {
        let zeros = usize::try_from(-1 - exponent).unwrap_or(0);
        return format!("{sign}0.{}{digits}", "0".repeat(zeros));
    };
    while digits.len() < whole + 2 {
        digits.push('0');
    }
    let (whole, fraction) = digits.split_at(whole + 1);
    format!("{sign}{whole}.{fraction}")
}

/// Python's `repr()` of a string: single quotes unless only double quotes spare an escape.
pub(super) fn write_str_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => match u32::from(c) {
                code @ 0..=0xff => push_fmt(out, format_args!("\\x{code:02x}")),
                code @ 0x100..=0xffff => push_fmt(out, format_args!("\\u{code:04x}")),
                code => push_fmt(out, format_args!("\\U{code:08x}")),
            },
        }
    }
    out.push(quote);
}

/// Python's `str.isprintable()` of one character.
///
/// The standard library escapes the same Unicode categories in `str::escape_debug`; the leading letter keeps it
/// from escaping combining marks too.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().count() == 2
}

fn write_bytes_repr(out: &mut String, bytes: &[u8]) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    out.push('b');
    out.push(quote);
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte if char::from(byte) == quote => {
                out.push('\\');
                out.push(quote);
            }
            b' '..=b'~' => out.push(char::from(byte)),
            byte => push_fmt(out, format_args!("\\x{byte:02x}")),
        }
    }
    out.push(quote);
}

/// `datetime.date(…)` or `datetime.datetime(…)` from the text that `str()` gives: `2020-01-02[ 03:04:05[.000006][+07:08]]`.
fn timestamp_repr(text: &str) -> String {
    let number = |range: std::ops::Range<usize>| -> u32 {
        text.get(range).and_then(|digits| digits.parse().ok()).unwrap_or(0)
    };
    let date = format!("{}, {}, {}", number(0..4), number(5..7), number(8..10));
    if text.len() <= 10 {
        return format!("datetime.date({date})");
    }
    let mut out = format!("datetime.datetime({date}, {}, {}", number(11..13), number(14..16));
    let mut rest = text.get(19..).unwrap_or("");
    let mut micros = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        micros = fraction.get(..6).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        rest = fraction.get(6..).unwrap_or("");
    }
    let second = number(17..19);
    if second != 0 || micros != 0 {
        push_fmt(&mut out, format_args!(", {second}"));
    }
    if micros != 0 {
        push_fmt(&mut out, format_args!(", {micros}"));
    }
    if let (Some(sign), Some(hours), Some(minutes)) = (rest.get(..1), rest.get(1..3), rest.get(4..6)) {
        let seconds = hours.parse().unwrap_or(0) * 3600 + minutes.parse().unwrap_or(0) * 60;
        out.push_str(", tzinfo=");
        match (sign, seconds) {
            (_, 0) => out.push_str("datetime.timezone.utc"),
            ("-", s) => push_fmt(
                &mut out,
                format_args!("datetime.timezone(datetime.timedelta(days=-1, seconds={}))", 86_400 - s),
            ),
            (_, s) => push_fmt(&mut out, format_args!("datetime.timezone(datetime.timedelta(seconds={s}))")),
        }
    }
    out.push(')');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1.1, "1.1"),
            (1e15, "1000000000000000.0"),
            (3_333_333_333_333_333.0 / 4.0, "833333333333333.2"),
            (-0.5, "-0.5"),
            (123.456, "123.456"),
            (0.001_234, "0.001234"),
            (100.0, "100.0"),
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (1e22, "1e+22"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e-4, "0.0001"),
            (1.5e-5, "1.5e-05"),
            (1e-5, "1e-05"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, expected) in cases {
            assert_eq!(float_repr(value), expected);
        }
    }

    #[test]
    fn strings_choose_their_quotes_as_python_does() {
        let cases = [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("\"q\"", "'\"q\"'"),
            ("it's \"q\"", "'it\\'s \"q\"'"),
            ("a\\b\n\t\r", "'a\\\\b\\n\\t\\r'"),
            ("\u{7}\u{7f}\u{a0}\u{ad}", "'\\x07\\x7f\\xa0\\xad'"),
            ("é😀e\u{301}", "'é😀e\u{301}'"),
            ("\u{2028}\u{e000}\u{f0000}", "'\\u2028\\ue000\\U000f0000'"),
        ];
        for (value, expected) in cases {
            let mut out = String::new();
            write_str_repr(&mut out, value);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn dates_within_containers_are_python_source() {
        let cases = [
            ("2020-01-02", "datetime.date(2020, 1, 2)"),
            ("2020-01-02 03:04:00", "datetime.datetime(2020, 1, 2, 3, 4)"),
            ("2020-01-02 03:04:05", "datetime.datetime(2020, 1, 2, 3, 4, 5)"),
            ("2020-01-02 03:04:00.000700", "datetime.datetime(2020, 1, 2, 3, 4, 0, 700)"),
            (
                "2020-01-02 03:04:05+00:00",
                "datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)",
            ),
            (
                "2020-01-02 03:04:05.100000+05:30",
                "datetime.datetime(2020, 1, 2, 3, 4, 5, 100000, tzinfo=datetime.timezone(datetime.timedelta(seconds=19800)))",
            ),
            (
                "2020-01-02 03:04:05-01:00",
                "datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(days=-1, seconds=82800)))",
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(timestamp_repr(value), expected);
        }
    }
}
