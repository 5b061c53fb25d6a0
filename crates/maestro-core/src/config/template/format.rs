//! `str.format` and the format specifications of Python: `{0:>8}`, `{name!r}`, `{:.2f}`.

use super::Renderer;
use super::arithmetic::as_float;
use super::calls::Arguments;
use super::failure::{Failure, Res};
use super::methods::fill_to_width;
use super::value::Value;
use crate::config::Limits;
use crate::source::{MapSources, SourceId, SourceMap, Span};
use std::rc::Rc;

/// How often a specification may contain replacement fields itself: Python's limit.
const DEEPEST: usize = 2;

/// Which fields were numbered, and how: `{}` and `{0}` do not mix.
#[derive(Default)]
struct Numbering {
    next: usize,
    by_hand: bool,
}

/// `format.format(**values)` outside of any template, with texts only, in so many bytes of memory; or what is wrong
/// with the format.
pub(crate) fn format_texts(format: &str, values: &[(&str, &str)], bytes: u64) -> Result<String, String> {
    let limits = Limits { template_steps: bytes, template_bytes: bytes, ..Limits::default() };
    let (sources, mut map) = (MapSources::default(), SourceMap::default());
    let mut renderer = Renderer::new(&sources, &limits, &mut map);
    let values = values.iter().map(|(name, value)| Ok((Rc::from(*name), renderer.heap.str(*value)?)));
    let text = values
        .collect::<Res<_>>()
        .and_then(|named| renderer.format(format, &Arguments { positional: Vec::new(), named }));
    text.map_err(|failure| {
        if failure.is_runaway() { "it is too long".to_owned() } else { failure.into_diagnostic(&map).message }
    })
}

impl Renderer<'_> {
    /// `format.format(*positional, **named)`.
    pub(super) fn format(&mut self, format: &str, arguments: &Arguments) -> Res<String> {
        self.format_at(format, arguments, &mut Numbering::default(), DEEPEST)
    }

    fn format_at(
        &mut self,
        format: &str,
        arguments: &Arguments,
        numbering: &mut Numbering,
        depth: usize,
    ) -> Res<String> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Failure::render("a format specification nests too deep"));
        };
        let mut out = String::new();
        let mut rest = format;
        while let Some(brace) = rest.find(['{', '}']) {
            let (literal, from_brace) = rest.split_at(brace);
            out.push_str(literal);
            if let Some(after) = from_brace.strip_prefix("{{") {
                out.push('{');
                rest = after;
                continue;
            }
            if let Some(after) = from_brace.strip_prefix("}}") {
                out.push('}');
                rest = after;
                continue;
            }
            let Some(field) = from_brace.strip_prefix('{') else {
                return Err(Failure::render("a single `}` in a format; write `}}` for the character"));
            };
            let end = field_end(field).ok_or_else(|| {
                Failure::render("a `{` without `}` in a format; write `{{` for the character")
            })?;
            let (field, after) = field.split_at(end);
            rest = after.get(1..).unwrap_or("");
            let text = self.field(field, arguments, numbering, depth)?;
            self.heap.meter.afford(out.len() + text.len() + rest.len())?;
            out.push_str(&text);
        }
        out.push_str(rest);
        Ok(out)
    }

    /// One replacement field: `name!conversion:specification`.
    fn field(
        &mut self,
        field: &str,
        arguments: &Arguments,
        numbering: &mut Numbering,
        depth: usize,
    ) -> Res<String> {
        let name_end = name_end(field);
        let (name, rest) = field.split_at(name_end);
        let (conversion, specification) = match rest.strip_prefix('!') {
            Some(rest) => {
                let mut characters = rest.chars();
                let conversion = characters.next();
                let rest = characters.as_str();
                match (conversion, rest.is_empty(), rest.strip_prefix(':')) {
                    (Some(c @ ('r' | 's' | 'a')), true, _) => (Some(c), ""),
                    (Some(c @ ('r' | 's' | 'a')), _, Some(specification)) => (Some(c), specification),
                    _ => return Err(Failure::render("a conversion in a format is `!r` or `!s`")),
                }
            }
            None => (None, rest.strip_prefix(':').unwrap_or("")),
        };
        let value = self.field_value(name, arguments, numbering)?;
        let value = match conversion {
            Some('s') => self.heap.str_of(&value).and_then(|text| self.heap.str(text))?,
            Some('a') => self.heap.repr_of(&value).and_then(|text| self.heap.str(only_ascii(&text)))?,
            Some(_) => self.heap.repr_of(&value).and_then(|text| self.heap.str(text))?,
            None => value,
        };
        if specification.contains('{') {
            let specification = self.format_at(specification, arguments, numbering, depth)?;
            return self.formatted(&value, &specification);
        }
        self.formatted(&value, specification)
    }

    /// The value that a field names: `0`, `name`, `0.attribute[item]`.
    fn field_value(&mut self, name: &str, arguments: &Arguments, numbering: &mut Numbering) -> Res<Value> {
        let first_end = name.find(['.', '[']).unwrap_or(name.len());
        let (first, mut rest) = name.split_at(first_end);
        let position = if first.is_empty() {
            if numbering.by_hand {
                return Err(Failure::render("`{}` and `{0}` cannot be mixed in one format"));
            }
            numbering.next += 1;
            Some(numbering.next - 1)
        } else if first.bytes().all(|b| b.is_ascii_digit()) {
            if numbering.next > 0 {
                return Err(Failure::render("`{}` and `{0}` cannot be mixed in one format"));
            }
            numbering.by_hand = true;
            first.parse().ok()
        } else {
            None
        };
        let found = match position {
            Some(position) => arguments.positional.get(position),
            None => arguments.named.iter().find(|(known, _)| **known == *first).map(|(_, value)| value),
        };
        let Some(mut value) = found.cloned() else {
            let what = position.map_or_else(|| format!("`{first}`"), |position| format!("number {position}"));
            return Err(Failure::render(format!("the format has no argument {what}")));
        };
        let nowhere = Span { source: SourceId(0), start: 0, end: 0 };
        while !rest.is_empty() {
            let found = if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (attribute, left) = after.split_at(end);
                rest = left;
                let found = self.own_attribute(&value, &Rc::from(attribute), nowhere)?;
                found.unwrap_or(Value::Undefined(nowhere))
            } else {
                let after = rest.strip_prefix('[').unwrap_or(rest);
                let Some((index, left)) = after.split_once(']') else {
                    return Err(Failure::render("a `[` without `]` in a format"));
                };
                rest = left;
                let index = match index.parse() {
                    Ok(index) => Value::Int(index),
                    Err(_) => self.heap.str(index)?,
                };
                self.heap.item(&value, &index)?.unwrap_or(Value::Undefined(nowhere))
            };
            if let Value::Undefined(_) = found {
                return Err(Failure::render(format!("the format asks for `{name}`, which does not exist")));
            }
            value = found;
        }
        Ok(value)
    }

    /// `format(value, specification)`.
    pub(super) fn formatted(&mut self, value: &Value, specification: &str) -> Res<String> {
        if specification.is_empty() {
            return self.heap.str_of(value);
        }
        let Some(spec) = Specification::parse(specification) else {
            return Err(Failure::render(format!("`{specification}` is not a format specification")));
        };
        let fits = |kinds: &str| spec.kind.is_none_or(|kind| kinds.contains(kind));
        let unfit = || {
            let kind = spec.kind.map(String::from).unwrap_or_default();
            Failure::render(format!("the format `{kind}` does not work for {}", self.heap.described(value)))
        };
        // Asked for before anything so large is made.
        self.heap.meter.afford(spec.width.max(spec.precision.unwrap_or(0)).saturating_mul(4))?;
        let (sign, digits, default_align) = match value {
            Value::Str(text) if fits("s") && spec.sign.is_none() && !spec.grouped() => {
                let text = match spec.precision {
                    Some(precision) => text.chars().take(precision).collect(),
                    None => text.to_string(),
                };
                (String::new(), text, '<')
            }
            Value::Bool(_) | Value::Int(_) if fits("bcdnoxX") => {
                let int = match value {
                    Value::Bool(bool) => i128::from(*bool),
                    Value::Int(int) => *int,
                    _ => 0,
                };
                if spec.precision.is_some() {
                    return Err(Failure::render("integers have no precision"));
                }
                let (sign, digits) = int_digits(int, &spec).ok_or_else(unfit)?;
                (sign, digits, '>')
            }
            Value::Bool(_) | Value::Int(_) | Value::Float(_) if fits("eEfFgGn%") => {
                let float = match value {
                    Value::Int(int) => as_float(*int),
                    Value::Bool(bool) => f64::from(u8::from(*bool)),
                    Value::Float(float) => *float,
                    _ => 0.0,
                };
                let (sign, digits) = float_digits(float, &spec);
                (sign, digits, '>')
            }
            _ => return Err(unfit()),
        };
        let is_zero_padded = spec.align == Some('=') || (spec.zero && spec.align.is_none());
        if is_zero_padded && !matches!(value, Value::Str(_)) {
            let fill = spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' });
            let missing = spec.width.saturating_sub(sign.chars().count() + digits.chars().count());
            let digits = match spec.grouping {
                Some(separator) if fill == '0' => zero_grouped(&digits, missing, separator),
                _ => fill.to_string().repeat(missing) + &digits,
            };
            return Ok(sign + &digits);
        }
        fill_to_width(self, &(sign + &digits), &spec, default_align)
    }
}

/// What `ascii()` makes of `repr()`.
pub(super) fn only_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            0..=0x7f => out.push(c),
            code @ 0x80..=0xff => crate::config::python::push_fmt(&mut out, format_args!("\\x{code:02x}")),
            code @ 0x100..=0xffff => crate::config::python::push_fmt(&mut out, format_args!("\\u{code:04x}")),
            code => crate::config::python::push_fmt(&mut out, format_args!("\\U{code:08x}")),
        }
    }
    out
}

/// Where a field ends: at its `}`, nested fields skipped.
fn field_end(field: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, c) in field.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(i),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Where the name of a field ends: at `!` or `:` outside of brackets.
fn name_end(field: &str) -> usize {
    let mut within_brackets = false;
    for (i, c) in field.char_indices() {
        match c {
            '[' => within_brackets = true,
            ']' => within_brackets = false,
            '!' | ':' if !within_brackets => return i,
            _ => {}
        }
    }
    field.len()
}

/// `[[fill]align][sign][z][#][0][width][grouping][.precision][type]`
#[derive(Debug, Default)]
pub(super) struct Specification {
    pub(super) fill: Option<char>,
    pub(super) align: Option<char>,
    pub(super) sign: Option<char>,
    pub(super) alternate: bool,
    pub(super) zero: bool,
    pub(super) width: usize,
    pub(super) grouping: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) kind: Option<char>,
}

impl Specification {
    fn grouped(&self) -> bool {
        self.grouping.is_some()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut spec = Self::default();
        let mut rest: Vec<char> = text.chars().collect();
        rest.reverse();
        let is_align = |c: Option<&char>| matches!(c, Some('<' | '>' | '=' | '^'));
        if rest.len() >= 2 && is_align(rest.get(rest.len() - 2)) {
            spec.fill = rest.pop();
            spec.align = rest.pop();
        } else if is_align(rest.last()) {
            spec.align = rest.pop();
        }
        let next_is = |rest: &[char], wanted: &[char]| rest.last().is_some_and(|c| wanted.contains(c));
        if next_is(&rest, &['+', '-', ' ']) {
            spec.sign = rest.pop();
        }
        if next_is(&rest, &['#']) {
            spec.alternate = rest.pop().is_some();
        }
        if next_is(&rest, &['0']) {
            spec.zero = rest.pop().is_some();
        }
        spec.width = number(&mut rest)?.unwrap_or(0);
        if next_is(&rest, &[',', '_']) {
            spec.grouping = rest.pop();
        }
        if next_is(&rest, &['.']) {
            rest.pop();
            spec.precision = Some(number(&mut rest)??);
        }
        spec.kind = rest.pop();
        let is_known = spec.kind.is_none_or(|kind| "bcdeEfFgGnosxX%".contains(kind));
        (rest.is_empty() && is_known).then_some(spec)
    }
}

/// Digits at the end of reversed text; the outer `None` for a number beyond all reason.
#[expect(clippy::option_option, reason = "no number, and a number that is too large, are different things")]
fn number(rest: &mut Vec<char>) -> Option<Option<usize>> {
    let mut digits = String::new();
    while rest.last().is_some_and(char::is_ascii_digit) {
        digits.extend(rest.pop());
    }
    if digits.is_empty() {
        return Some(None);
    }
    digits.parse().ok().filter(|number| *number < 1 << 31).map(Some)
}

fn sign_of(negative: bool, spec: &Specification) -> String {
    match (negative, spec.sign) {
        (true, _) => "-".to_owned(),
        (false, Some(sign @ ('+' | ' '))) => sign.to_string(),
        _ => String::new(),
    }
}

fn int_digits(int: i128, spec: &Specification) -> Option<(String, String)> {
    let size = int.unsigned_abs();
    let (prefix, digits, every) = match spec.kind {
        Some('b') => ("0b", format!("{size:b}"), 4),
        Some('o') => ("0o", format!("{size:o}"), 4),
        Some('x') => ("0x", format!("{size:x}"), 4),
        Some('X') => ("0X", format!("{size:X}"), 4),
        Some('c') => {
            let character = u32::try_from(int).ok().and_then(char::from_u32)?;
            return Some((String::new(), character.to_string()));
        }
        _ => ("", size.to_string(), 3),
    };
    let mut sign = sign_of(int < 0, spec);
    if spec.alternate {
        sign.push_str(prefix);
    }
    let digits = match spec.grouping {
        Some(separator) => grouped(&digits, separator, every),
        None => digits,
    };
    Some((sign, digits))
}

fn grouped(digits: &str, separator: char, every: usize) -> String {
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(every) {
            out.push(separator);
        }
        out.push(c);
    }
    out
}

/// Zeros in front of grouped digits are grouped too, and never begin with a separator.
fn zero_grouped(digits: &str, missing: usize, separator: char) -> String {
    let (whole, rest) = digits.split_at(digits.find(['.', 'e', 'E', '%']).unwrap_or(digits.len()));
    let width = whole.len() + missing;
    let bare: String = whole.chars().filter(|c| *c != separator).collect();
    let mut count = bare.len();
    while count + (count - 1) / 3 < width {
        count += 1;
    }
    let padded = "0".repeat(count - bare.len()) + &bare;
    grouped(&padded, separator, 3) + rest
}

/// Sign and digits of a float.
fn float_digits(float: f64, spec: &Specification) -> (String, String) {
    let sign = sign_of(float.is_sign_negative() && !float.is_nan(), spec);
    let size = float.abs();
    let upper = matches!(spec.kind, Some('E' | 'F' | 'G'));
    let mut digits = if size.is_nan() || size.is_infinite() {
        let name = if size.is_nan() { "nan" } else { "inf" };
        if spec.kind == Some('%') { format!("{name}%") } else { name.to_owned() }
    } else {
        match spec.kind {
            Some('f' | 'F') => fixed(size, spec.precision.unwrap_or(6), spec.alternate),
            Some('%') => fixed(size * 100.0, spec.precision.unwrap_or(6), spec.alternate) + "%",
            Some('e' | 'E') => scientific(size, spec.precision.unwrap_or(6), spec.alternate),
            Some('g' | 'G' | 'n') => general(size, spec.precision.unwrap_or(6), spec.alternate, false),
            _ => match spec.precision {
                None => crate::config::python::float_repr(size),
                Some(precision) => general(size, precision, spec.alternate, true),
            },
        }
    };
    if upper {
        digits = digits.to_uppercase();
    }
    if let Some(separator) = spec.grouping {
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits = grouped(&digits[..end], separator, 3) + &digits[end..];
    }
    (sign, digits)
}

/// As many digits as a float has are exact; more than this are zeros.
const MOST_DIGITS: usize = 1100;

pub(super) fn fixed(size: f64, precision: usize, alternate: bool) -> String {
    let exact = precision.min(MOST_DIGITS);
    let mut digits = format!("{size:.exact$}");
    digits.push_str(&"0".repeat(precision - exact));
    if alternate && precision == 0 {
        digits.push('.');
    }
    digits
}

/// `e`, or `g` if only so many significant digits are wanted.
pub(super) fn exponential(size: f64, precision: usize, alternate: bool, significant: bool) -> String {
    if significant {
        general(size, precision, alternate, false)
    } else {
        scientific(size, precision, alternate)
    }
}

fn scientific(size: f64, precision: usize, alternate: bool) -> String {
    let exact = precision.min(MOST_DIGITS);
    let written = format!("{size:.exact$e}");
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let dot = if alternate && precision == 0 { "." } else { "" };
    let zeros = "0".repeat(precision - exact);
    format!("{mantissa}{dot}{zeros}e{sign}{:02}", exponent.unsigned_abs())
}

/// `g`: so many significant digits, trailing zeros dropped. Without a type a float keeps one digit after the dot.
fn general(size: f64, precision: usize, alternate: bool, keeps_dot: bool) -> String {
    let precision = precision.clamp(1, MOST_DIGITS);
    let rounded = format!("{size:.*e}", precision - 1);
    let exponent: i64 = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let most = signed(precision) - i64::from(keeps_dot);
    if exponent < -4 || exponent >= most.max(i64::from(!keeps_dot)) {
        let written = scientific(size, precision - 1, alternate);
        let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "+00"));
        let mantissa = if alternate { mantissa } else { without_zeros(mantissa) };
        return format!("{mantissa}e{exponent}");
    }
    let decimals = usize::try_from(signed(precision) - 1 - exponent).unwrap_or(0);
    let written = fixed(size, decimals, alternate);
    let mut written = if alternate { written } else { without_zeros(&written).to_owned() };
    if keeps_dot && !written.contains('.') {
        written.push_str(".0");
    }
    written
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}
