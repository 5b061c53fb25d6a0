//! What an unquoted scalar means: the resolver of YAML 1.1 as `PyYAML` implements it, which is not what the YAML 1.1
//! documents say in every corner (specification, section 2.2).
//!
//! Two steps as there: [`resolve`] decides the type from the text alone, [`construct`] computes the value and can
//! fail where Python would raise (`2020-13-45` is a date by its form and by nothing else).

use crate::config::node::{Number, Value};
use crate::config::python::push_fmt;
use std::sync::Arc;

/// The types that a plain scalar can resolve to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    Merge,
    DefaultValue,
    Str,
}

/// The type of a plain scalar.
pub(super) fn resolve(text: &str) -> Kind {
    let bytes = text.as_bytes();
    let Some(first) = bytes.first() else { return Kind::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' => match text {
            "null" | "Null" | "NULL" => Kind::Null,
            _ if boolean(text).is_some() => Kind::Bool,
            _ => Kind::Str,
        },
        b'~' if bytes.len() == 1 => Kind::Null,
        b'<' if text == "<<" => Kind::Merge,
        b'=' if bytes.len() == 1 => Kind::DefaultValue,
        b'-' | b'+' | b'.' | b'0'..=b'9' => {
            if is_float(bytes) {
                Kind::Float
            } else if is_int(bytes) {
                Kind::Int
            } else if is_timestamp(text) {
                Kind::Timestamp
            } else {
                Kind::Str
            }
        }
        _ => Kind::Str,
    }
}

/// The value of a text that is to be read as this type.
pub(super) fn construct(kind: Kind, text: &str) -> Result<Value, &'static str> {
    match kind {
        Kind::Null => Ok(Value::Null),
        Kind::Bool => boolean(&text.to_ascii_lowercase())
            .map(Value::Bool)
            .ok_or("not one of yes, no, true, false, on, off"),
        Kind::Int => integer(text).map(|value| Value::Int(Number { value, text: Arc::from(text) })),
        Kind::Float => float(text)
            .map(|value| Value::Float(Number { value, text: Arc::from(text) }))
            .ok_or("not a number"),
        Kind::Timestamp => timestamp(text).map(|text| Value::Timestamp(Arc::from(text))),
        Kind::Str | Kind::Merge | Kind::DefaultValue => Ok(Value::Str(Arc::from(text))),
    }
}

/// Whether this integer or float was written in base 60, as no person writes on purpose.
pub(super) fn is_sexagesimal(text: &str) -> bool {
    text.contains(':')
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn unsigned(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'+' | b'-', rest @ ..] => rest,
        _ => bytes,
    }
}

/// How many of the leading bytes satisfy a condition.
fn run(bytes: &[u8], condition: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|b| condition(**b)).count()
}

fn digit_or_underscore(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// `:[0-5]?[0-9]`, once or more; what is left.
fn base_60_parts(mut rest: &[u8]) -> Option<&[u8]> {
    let mut parts = 0;
    while let [b':', after @ ..] = rest {
        rest = match after {
            [b'0'..=b'5', b'0'..=b'9', rest @ ..] => rest,
            [b'0'..=b'9', rest @ ..] => rest,
            _ => return None,
        };
        parts += 1;
    }
    (parts > 0).then_some(rest)
}

fn is_int(bytes: &[u8]) -> bool {
    let digits = unsigned(bytes);
    match digits {
        [b'0'] => true,
        [b'0', b'b', rest @ ..] => !rest.is_empty() && rest.iter().all(|b| matches!(b, b'0' | b'1' | b'_')),
        [b'0', b'x', rest @ ..] => {
            !rest.is_empty() && rest.iter().all(|b| b.is_ascii_hexdigit() || *b == b'_')
        }
        [b'0', rest @ ..] => rest.iter().all(|b| matches!(b, b'0'..=b'7' | b'_')),
        [b'1'..=b'9', ..] => {
            let rest = &digits[run(digits, digit_or_underscore)..];
            rest.is_empty() || base_60_parts(rest).is_some_and(<[u8]>::is_empty)
        }
        _ => false,
    }
}

/// `(?:[eE][-+][0-9]+)?` and the end. The sign is not optional: `1e3` is a string.
fn exponent_or_end(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', digits @ ..] => {
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

fn is_float(bytes: &[u8]) -> bool {
    if matches!(bytes, b".nan" | b".NaN" | b".NAN") {
        return true;
    }
    let rest = unsigned(bytes);
    if matches!(rest, b".inf" | b".Inf" | b".INF") {
        return true;
    }
    match rest {
        // Without a sign: `+.5` is a string.
        [b'.', b'0'..=b'9', ..] if rest.len() == bytes.len() => {
            let rest = &rest[1..];
            exponent_or_end(&rest[run(rest, digit_or_underscore)..])
        }
        [b'0'..=b'9', ..] => match &rest[run(rest, digit_or_underscore)..] {
            [b'.', rest @ ..] => exponent_or_end(&rest[run(rest, digit_or_underscore)..]),
            rest @ [b':', ..] => match base_60_parts(rest) {
                Some([b'.', rest @ ..]) => rest.iter().copied().all(digit_or_underscore),
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}

const TOO_LARGE: &str = "too large for an integer; quote it to make it a string";

fn integer(text: &str) -> Result<i128, &'static str> {
    const NOT_AN_INTEGER: &str = "not an integer";
    let cleaned = text.trim().replace('_', "");
    let (negative, digits) = match cleaned.as_bytes() {
        [b'-', ..] => (true, &cleaned[1..]),
        [b'+', ..] => (false, &cleaned[1..]),
        _ => (false, &cleaned[..]),
    };
    let radix = |digits: &str, radix: u32| {
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return Err(NOT_AN_INTEGER);
        }
        i128::from_str_radix(digits, radix).map_err(|_| TOO_LARGE)
    };
    let value = if digits == "0" {
        0
    } else if let Some(digits) = digits.strip_prefix("0b") {
        radix(digits, 2)?
    } else if let Some(digits) = digits.strip_prefix("0x") {
        radix(digits, 16)?
    } else if digits.starts_with('0') {
        radix(digits, 8)?
    } else if digits.contains(':') {
        let mut value: i128 = 0;
        for part in digits.split(':') {
            let part = radix(part, 10)?;
            value = value.checked_mul(60).and_then(|v| v.checked_add(part)).ok_or(TOO_LARGE)?;
        }
        value
    } else {
        radix(digits, 10)?
    };
    Ok(if negative { -value } else { value })
}

fn float(text: &str) -> Option<f64> {
    let cleaned = text.trim().replace('_', "").to_ascii_lowercase();
    let (sign, digits) = match cleaned.as_bytes() {
        [b'-', ..] => (-1.0, &cleaned[1..]),
        [b'+', ..] => (1.0, &cleaned[1..]),
        _ => (1.0, &cleaned[..]),
    };
    // Rust also reads `inf`, `infinity` and `nan`; of Python's spellings only those with a dot are YAML's.
    let parse = |digits: &str| -> Option<f64> {
        let numeric = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
        if numeric { digits.parse().ok() } else { None }
    };
    Some(match digits {
        ".inf" => sign * f64::INFINITY,
        ".nan" => f64::NAN,
        _ if digits.contains(':') => {
            let mut value = 0.0;
            let mut base = 1.0;
            for part in digits.rsplit(':') {
                value += parse(part)? * base;
                base *= 60.0;
            }
            sign * value
        }
        _ => sign * parse(digits)?,
    })
}

/// The parts of a timestamp as written.
struct Timestamp<'a> {
    year: &'a str,
    month: &'a str,
    day: &'a str,
    time: Option<Time<'a>>,
}

struct Time<'a> {
    hour: &'a str,
    minute: &'a str,
    second: &'a str,
    fraction: &'a str,
    zone: Option<Zone<'a>>,
}

enum Zone<'a> {
    Utc,
    Offset { negative: bool, hours: &'a str, minutes: &'a str },
}

/// Takes between `least` and `most` digits.
fn digits<'a>(rest: &mut &'a str, least: usize, most: usize) -> Option<&'a str> {
    let found = run(rest.as_bytes(), |b| b.is_ascii_digit()).min(most);
    if found < least {
        return None;
    }
    let (taken, left) = rest.split_at(found);
    *rest = left;
    Some(taken)
}

fn take(rest: &mut &str, character: char) -> Option<()> {
    *rest = rest.strip_prefix(character)?;
    Some(())
}

fn parse_timestamp(text: &str) -> Option<Timestamp<'_>> {
    let mut rest = text;
    let year = digits(&mut rest, 4, 4)?;
    take(&mut rest, '-')?;
    let month = digits(&mut rest, 1, 2)?;
    take(&mut rest, '-')?;
    let day = digits(&mut rest, 1, 2)?;
    if rest.is_empty() {
        return Some(Timestamp { year, month, day, time: None });
    }
    let after = rest.trim_start_matches([' ', '\t']);
    rest = if after.len() < rest.len() { after } else { rest.strip_prefix(['T', 't'])? };
    let hour = digits(&mut rest, 1, 2)?;
    take(&mut rest, ':')?;
    let minute = digits(&mut rest, 2, 2)?;
    take(&mut rest, ':')?;
    let second = digits(&mut rest, 2, 2)?;
    let mut fraction = "";
    if take(&mut rest, '.').is_some() {
        fraction = digits(&mut rest, 0, usize::MAX)?;
    }
    let mut zone = None;
    let after = rest.trim_start_matches([' ', '\t']);
    if !after.is_empty() {
        rest = after;
        if take(&mut rest, 'Z').is_some() {
            zone = Some(Zone::Utc);
        } else {
            let negative = rest.starts_with('-');
            rest = rest.strip_prefix(['-', '+'])?;
            let hours = digits(&mut rest, 1, 2)?;
            let mut minutes = "0";
            if take(&mut rest, ':').is_some() {
                minutes = digits(&mut rest, 2, 2)?;
            }
            zone = Some(Zone::Offset { negative, hours, minutes });
        }
    } else if !rest.is_empty() {
        return None;
    }
    let time = Some(Time { hour, minute, second, fraction, zone });
    rest.is_empty().then_some(Timestamp { year, month, day, time })
}

/// A date alone needs two digits everywhere to be one; `2020-1-2` is a string.
fn is_timestamp(text: &str) -> bool {
    parse_timestamp(text).is_some_and(|t| t.time.is_some() || (t.month.len() == 2 && t.day.len() == 2))
}

/// Python's `str()` of the date, or of the date and time.
fn timestamp(text: &str) -> Result<String, &'static str> {
    let parts = parse_timestamp(text).ok_or("not a date")?;
    let number = |digits: &str| digits.parse::<i16>().unwrap_or(i16::MAX);
    let small = |digits: &str| digits.parse::<i8>().unwrap_or(i8::MAX);
    // Year 0 does not exist for Python.
    let year = number(parts.year);
    if year == 0 {
        return Err("there is no year 0");
    }
    let date = jiff::civil::Date::new(year, small(parts.month), small(parts.day))
        .map_err(|_| "there is no such day; quote it if it is not meant as a date")?;
    let mut out = format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
    let Some(time) = parts.time else { return Ok(out) };
    let micros: String = time.fraction.chars().chain("000000".chars()).take(6).collect();
    let clock = jiff::civil::Time::new(small(time.hour), small(time.minute), small(time.second), 0)
        .map_err(|_| "there is no such time of day; quote it if it is not meant as a time")?;
    push_fmt(&mut out, format_args!(" {:02}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second()));
    if micros != "000000" {
        out.push('.');
        out.push_str(&micros);
    }
    match time.zone {
        None => {}
        Some(Zone::Utc) => out.push_str("+00:00"),
        Some(Zone::Offset { negative, hours, minutes }) => {
            let total = number(hours) * 60 + number(minutes);
            if total >= 24 * 60 {
                return Err("an offset from UTC is less than a day");
            }
            let sign = if negative && total != 0 { '-' } else { '+' };
            push_fmt(&mut out, format_args!("{sign}{:02}:{:02}", total / 60, total % 60));
        }
    }
    Ok(out)
}

/// Base 64 as Python's `decodebytes` reads it: characters outside of the alphabet are skipped, padding is needed.
pub(super) fn binary(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    if !text.is_ascii() {
        return None;
    }
    let kept: Vec<u8> =
        text.bytes().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')).collect();
    LENIENT.decode(kept).ok()
}
