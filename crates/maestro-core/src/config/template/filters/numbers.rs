//! Filters for numbers.

use super::given;
use crate::config::template::Renderer;
use crate::config::template::arithmetic::as_float;
use crate::config::template::ast::Operator;
use crate::config::template::calls::Arguments;
use crate::config::template::failure::{Failure, Res};
use crate::config::template::methods::int_or;
use crate::config::template::value::Value;
use crate::source::Span;

pub(super) fn filter(
    renderer: &mut Renderer<'_>,
    name: &str,
    value: &Value,
    arguments: &Arguments,
    at: Span,
) -> Res<Value> {
    match name {
        "abs" => {
            let [] = arguments.bind(name, [])?;
            match value {
                Value::Int(int) => int
                    .checked_abs()
                    .map(Value::Int)
                    .ok_or_else(|| Failure::render("the number is too large")),
                Value::Bool(bool) => Ok(Value::Int(i128::from(*bool))),
                Value::Float(float) => Ok(Value::Float(float.abs())),
                _ => {
                    renderer.heap.defined(value)?;
                    Err(Failure::render(format!(
                        "`abs` needs a number, not {}",
                        renderer.heap.described(value)
                    )))
                }
            }
        }
        "int" => {
            let [default, base] = arguments.bind(name, ["default", "base"])?;
            let base = int_or(renderer, name, base.as_ref(), 10)?;
            renderer.heap.defined(value)?;
            let parsed = match value {
                Value::Int(int) => Some(*int),
                Value::Bool(bool) => Some(i128::from(*bool)),
                Value::Float(float) => truncated(*float),
                Value::Str(text) => parse_int(text, base).or_else(|| parse_float(text).and_then(truncated)),
                _ => None,
            };
            Ok(parsed.map_or_else(|| default.unwrap_or(Value::Int(0)), Value::Int))
        }
        "float" => {
            let [default] = arguments.bind(name, ["default"])?;
            renderer.heap.defined(value)?;
            Ok(float(value).map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
        }
        "round" => round(renderer, value, arguments),
        "sum" => {
            let [attribute, start] = arguments.bind(name, ["attribute", "start"])?;
            let attribute = given(attribute);
            let mut sum = start.unwrap_or(Value::Int(0));
            for item in renderer.heap.values(value)? {
                let item = match &attribute {
                    Some(path) => renderer.at_path(&item, path, None, at)?,
                    None => item,
                };
                sum = renderer.heap.binary(Operator::Add, &sum, &item)?;
            }
            Ok(sum)
        }
        _ => {
            let [binary] = arguments.bind(name, ["binary"])?;
            let size = float(value).ok_or_else(|| Failure::render("`filesizeformat` needs a number"))?;
            let binary = renderer.flag(binary.as_ref());
            renderer.heap.str(file_size(size, binary))
        }
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Int(int) => Some(as_float(*int)),
        Value::Bool(bool) => Some(f64::from(u8::from(*bool))),
        Value::Float(float) => Some(*float),
        Value::Str(text) => parse_float(text),
        _ => None,
    }
}

fn truncated(float: f64) -> Option<i128> {
    #[expect(clippy::cast_possible_truncation, reason = "bounded here, and truncation is what is asked for")]
    (float.abs() < 1e38).then_some(float as i128)
}

/// Python lets single underscores stand between digits.
fn without_underscores(digits: &str) -> Option<String> {
    let misplaced = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    (!misplaced).then(|| digits.replace('_', ""))
}

/// Python's `int(text, base)`.
fn parse_int(text: &str, base: i128) -> Option<i128> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)];
    let (digits, radix) = prefixed
        .iter()
        .find(|(prefix, radix)| (base == 0 || base == *radix) && lower.starts_with(prefix))
        .map_or((lower.as_str(), if base == 0 { 10 } else { base }), |(_, radix)| {
            (lower.get(2..).unwrap_or("").trim_start_matches('_'), *radix)
        });
    let radix = u32::try_from(radix).ok().filter(|radix| (2..=36).contains(radix))?;
    let digits = without_underscores(digits)?;
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let int = i128::from_str_radix(&digits, radix).ok()?;
    Some(if negative { -int } else { int })
}

/// Python's `float(text)`.
fn parse_float(text: &str) -> Option<f64> {
    let text = without_underscores(text.trim())?;
    text.parse().ok()
}

fn round(renderer: &Renderer<'_>, value: &Value, arguments: &Arguments) -> Res<Value> {
    let [precision, method] = arguments.bind("round", ["precision", "method"])?;
    let precision = int_or(renderer, "round", precision.as_ref(), 0)?.clamp(-400, 400);
    let method = method.map_or(Ok("common".to_owned()), |method| renderer.heap.str_of(&method))?;
    let number = match value {
        Value::Bool(bool) => Value::Int(i128::from(*bool)),
        Value::Int(_) | Value::Float(_) => value.clone(),
        _ => {
            renderer.heap.defined(value)?;
            return Err(Failure::render(format!(
                "`round` needs a number, not {}",
                renderer.heap.described(value)
            ))
            .help("`|float` makes a number of a string"));
        }
    };
    #[expect(clippy::cast_possible_truncation, reason = "clamped above")]
    let scale = 10_f64.powi(precision as i32);
    match (method.as_str(), number) {
        ("common", Value::Int(int)) if precision >= 0 => Ok(Value::Int(int)),
        ("common", Value::Int(int)) => {
            Ok(Value::Int(truncated(half_even(as_float(int) * scale) / scale).unwrap_or(int)))
        }
        ("common", Value::Float(float)) if precision >= 0 && float.is_finite() => {
            let decimals = usize::try_from(precision).unwrap_or(0);
            Ok(Value::Float(format!("{float:.decimals$}").parse().unwrap_or(float)))
        }
        // So far left of the point that nothing is left, and there is no such power of ten.
        ("common", Value::Float(float)) if float.is_finite() && scale == 0.0 => {
            Ok(Value::Float(0.0_f64.copysign(float)))
        }
        ("common", Value::Float(float)) if float.is_finite() => {
            Ok(Value::Float(half_even(float * scale) / scale))
        }
        ("common", Value::Float(float)) => Ok(Value::Float(float)),
        ("ceil" | "floor", _) if !scale.is_normal() => {
            Err(Failure::render(format!("`round` cannot round to {precision} digits by this method")))
        }
        ("ceil" | "floor", number) => {
            let scaled = float(&number).unwrap_or(0.0) * scale;
            let rounded = if method == "ceil" { scaled.ceil() } else { scaled.floor() };
            Ok(Value::Float(rounded / scale))
        }
        _ => Err(Failure::render("the method of `round` is `common`, `ceil` or `floor`")),
    }
}

fn half_even(float: f64) -> f64 {
    float.round_ties_even()
}

fn file_size(bytes: f64, binary: bool) -> String {
    let base: f64 = if binary { 1024.0 } else { 1000.0 };
    let units = if binary {
        ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    } else {
        ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    };
    #[expect(clippy::float_cmp, reason = "one byte is exactly one")]
    if bytes == 1.0 {
        return "1 Byte".to_owned();
    }
    if bytes < base {
        return format!("{} Bytes", truncated(bytes).unwrap_or(0));
    }
    let mut unit = base;
    for name in units {
        unit *= base;
        if bytes < unit || name.starts_with('Y') {
            return format!("{:.1} {name}", base * bytes / unit);
        }
    }
    String::new()
}
