//! `format % values`: Python's older way to format, also behind the filter `format`.

use super::arithmetic::as_float;
use super::failure::{Failure, Res};
use super::format::fixed;
use super::value::{Heap, Object, Value};

/// Flags, width and precision of one conversion.
#[expect(clippy::struct_excessive_bools, reason = "the five flags of a conversion")]
#[derive(Default)]
struct Conversion {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

/// Where values come from.
struct Values<'v> {
    positional: Vec<Value>,
    next: usize,
    mapping: Option<&'v Value>,
    by_name: bool,
}

impl Values<'_> {
    fn take(&mut self) -> Res<Value> {
        let value = self.positional.get(self.next).cloned();
        self.next += 1;
        value.ok_or_else(|| Failure::render("the format needs more values than are given"))
    }
}

impl Heap {
    /// `format % values`, where a tuple gives many values and everything else is one.
    pub(super) fn percent(&self, format: &str, values: &Value) -> Res<String> {
        let positional = match self.object(values) {
            Some(Object::Tuple { items, .. }) => items.clone(),
            _ => vec![values.clone()],
        };
        // To Python, what has items is a mapping here, and need not be used.
        let has_items =
            matches!(self.object(values), Some(Object::Dict(_) | Object::List(_) | Object::Range { .. }));
        let mapping = has_items.then_some(values);
        let mut source = Values { positional, next: 0, mapping, by_name: false };
        let text = self.percent_all(format, &mut source)?;
        if source.next < source.positional.len() && !source.by_name && mapping.is_none() {
            return Err(Failure::render("more values are given than the format uses"));
        }
        Ok(text)
    }

    fn percent_all(&self, format: &str, values: &mut Values<'_>) -> Res<String> {
        let mut out = String::new();
        let mut rest = format;
        while let Some((literal, after)) = rest.split_once('%') {
            out.push_str(literal);
            rest = self.conversion(after, values, &mut out)?;
            self.meter.afford(out.len() + rest.len())?;
            self.work(1)?;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// One conversion, after its `%`; returns what follows it.
    fn conversion<'f>(&self, format: &'f str, values: &mut Values<'_>, out: &mut String) -> Res<&'f str> {
        let mut rest = format;
        let mut named = None;
        if let Some(after) = rest.strip_prefix('(') {
            let Some((name, after)) = after.split_once(')') else {
                return Err(Failure::render("a `%(` without `)` in a format"));
            };
            let Some(mapping) = values.mapping else {
                return Err(Failure::render("a format with names needs a dict"));
            };
            let key = self.str(name)?;
            let value = self.item(mapping, &key)?;
            named = Some(value.ok_or_else(|| Failure::render(format!("the format has no value `{name}`")))?);
            values.by_name = true;
            rest = after;
        }
        let mut how = Conversion::default();
        while let Some(flag) = rest.chars().next() {
            match flag {
                '-' => how.left = true,
                '+' => how.plus = true,
                ' ' => how.space = true,
                '0' => how.zero = true,
                '#' => how.alternate = true,
                _ => break,
            }
            rest = rest.get(1..).unwrap_or("");
        }
        let (width, after) = size(rest, values)?;
        let width = width.unwrap_or(0);
        how.left = how.left || width < 0;
        how.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
        rest = after;
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = size(after, values)?;
            how.precision = Some(usize::try_from(precision.unwrap_or(0).max(0)).unwrap_or(usize::MAX));
            rest = after;
        }
        rest = rest.trim_start_matches(['h', 'l', 'L']);
        let mut characters = rest.chars();
        let Some(kind) = characters.next() else {
            return Err(Failure::render("the format ends within a `%`; write `%%` for the character"));
        };
        if kind == '%' {
            out.push('%');
            return Ok(characters.as_str());
        }
        let value = match named {
            Some(value) => value,
            None => values.take()?,
        };
        // Asked for before anything so large is made.
        self.meter.afford(how.width.saturating_add(how.precision.unwrap_or(0)).saturating_mul(4))?;
        self.convert(kind, &how, &value, out)?;
        Ok(characters.as_str())
    }

    fn convert(&self, kind: char, how: &Conversion, value: &Value, out: &mut String) -> Res<()> {
        let (sign, digits) = match kind {
            's' | 'r' | 'a' => {
                let text = match kind {
                    's' => self.str_of(value)?,
                    'a' => super::format::only_ascii(&self.repr_of(value)?),
                    _ => self.repr_of(value)?,
                };
                let text = match how.precision {
                    Some(precision) => text.chars().take(precision).collect(),
                    None => text,
                };
                push_padded(out, "", &text, how, false);
                return Ok(());
            }
            'c' => {
                let character = match value {
                    Value::Int(code) => u32::try_from(*code).ok().and_then(char::from_u32),
                    Value::Str(text) if text.chars().count() == 1 => text.chars().next(),
                    _ => None,
                };
                let character = character.ok_or_else(|| Failure::render("`%c` needs one character"))?;
                push_padded(out, "", &character.to_string(), how, false);
                return Ok(());
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' => self.int_conversion(kind, how, value)?,
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => self.float_conversion(kind, how, value)?,
            _ => {
                return Err(Failure::render(format!("there is no conversion `%{kind}`"))
                    .help("write `%%` for the character `%`"));
            }
        };
        push_padded(out, &sign, &digits, how, true);
        Ok(())
    }

    fn int_conversion(&self, kind: char, how: &Conversion, value: &Value) -> Res<(String, String)> {
        let int = match value {
            Value::Bool(bool) => Some(i128::from(*bool)),
            Value::Int(int) => Some(*int),
            #[expect(clippy::cast_possible_truncation, reason = "bounded here, and truncated by Python too")]
            Value::Float(float) if float.abs() < 1e38 && matches!(kind, 'd' | 'i' | 'u') => {
                Some(*float as i128)
            }
            _ => None,
        };
        let Some(int) = int else {
            self.defined(value)?;
            return Err(Failure::render(format!("`%{kind}` needs a number, not {}", self.described(value)))
                .help("`|int` makes a number of a string; `%s` takes everything"));
        };
        let size = int.unsigned_abs();
        let (prefix, digits) = match kind {
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            'o' => ("0o", format!("{size:o}")),
            _ => ("", size.to_string()),
        };
        let zeros = how.precision.unwrap_or(0).saturating_sub(digits.len());
        let prefix = if how.alternate { prefix } else { "" };
        Ok((how.sign(int < 0) + prefix, "0".repeat(zeros) + &digits))
    }

    fn float_conversion(&self, kind: char, how: &Conversion, value: &Value) -> Res<(String, String)> {
        let float = match value {
            Value::Bool(bool) => f64::from(u8::from(*bool)),
            Value::Int(int) => as_float(*int),
            Value::Float(float) => *float,
            _ => {
                self.defined(value)?;
                return Err(Failure::render(format!(
                    "`%{kind}` needs a number, not {}",
                    self.described(value)
                ))
                .help("`|float` makes a number of a string"));
            }
        };
        let precision = how.precision.unwrap_or(6);
        let sign = how.sign(float.is_sign_negative() && !float.is_nan());
        if !float.is_finite() {
            let name = if float.is_nan() { "nan" } else { "inf" };
            return Ok((sign, if kind.is_uppercase() { name.to_uppercase() } else { name.to_owned() }));
        }
        let digits = match kind {
            'f' | 'F' => fixed(float.abs(), precision, how.alternate),
            _ => super::format::exponential(float.abs(), precision, how.alternate, matches!(kind, 'g' | 'G')),
        };
        Ok((sign, if kind.is_uppercase() { digits.to_uppercase() } else { digits }))
    }
}

impl Conversion {
    fn sign(&self, negative: bool) -> String {
        match (negative, self.plus, self.space) {
            (true, _, _) => "-".to_owned(),
            (false, true, _) => "+".to_owned(),
            (false, false, true) => " ".to_owned(),
            _ => String::new(),
        }
    }
}

fn push_padded(out: &mut String, sign: &str, digits: &str, how: &Conversion, numeric: bool) {
    let missing = how.width.saturating_sub(sign.chars().count() + digits.chars().count());
    if how.left {
        out.push_str(sign);
        out.push_str(digits);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if how.zero && numeric {
        out.push_str(sign);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(digits);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(sign);
        out.push_str(digits);
    }
}

/// A width or precision: digits, or `*` for a value.
fn size<'f>(format: &'f str, values: &mut Values<'_>) -> Res<(Option<i128>, &'f str)> {
    if let Some(after) = format.strip_prefix('*') {
        return match values.take()? {
            Value::Int(size) => Ok((Some(size), after)),
            _ => Err(Failure::render("`*` in a format needs an integer")),
        };
    }
    let digits = format.len() - format.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (digits, after) = format.split_at(digits);
    if digits.is_empty() {
        return Ok((None, after));
    }
    let size = digits.parse::<u32>().map_err(|_| Failure::runaway("a width in a format is too large"))?;
    Ok((Some(i128::from(size)), after))
}
