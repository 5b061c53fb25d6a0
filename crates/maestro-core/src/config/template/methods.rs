//! Methods of Python's types.

mod dicts;
mod lists;
mod strings;

use super::Renderer;
use super::calls::Arguments;
use super::failure::{Failure, Res};
use super::format::Specification;
use super::value::{Id, Object, Value};
use crate::source::Span;

pub(super) use strings::{capitalized, lines, padded, replaced, stripped};

/// The methods of a type, by Python's name of it.
pub(super) fn names(kind: &str) -> &'static [&'static str] {
    match kind {
        "str" => strings::NAMES,
        "list" => lists::NAMES,
        "tuple" | "range" => &["count", "index"],
        "dict" => dicts::NAMES,
        "LoopContext" => &["cycle", "changed"],
        "Cycler" => &["next", "reset"],
        "int" => &["bit_length"],
        "float" => &["is_integer"],
        _ => &[],
    }
}

impl Renderer<'_> {
    pub(super) fn has_method(&self, value: &Value, name: &str) -> bool {
        names(self.heap.type_name(value)).contains(&name)
    }

    /// Calls a method that the value has.
    pub(super) fn method(
        &mut self,
        receiver: &Value,
        name: &str,
        arguments: &Arguments,
        _at: Span,
    ) -> Res<Value> {
        self.heap.work(1)?;
        let result = match receiver {
            Value::Str(text) => Some(strings::call(self, &text.clone(), name, arguments)?),
            Value::Int(int) if name == "bit_length" => {
                Some(Value::Int(i128::from(128 - int.unsigned_abs().leading_zeros())))
            }
            Value::Float(float) if name == "is_integer" => {
                Some(Value::Bool(float.is_finite() && float.fract() == 0.0))
            }
            Value::Object(id) => match self.heap.get(*id) {
                Some(Object::List(_)) => Some(lists::call(self, *id, name, arguments)?),
                Some(Object::Tuple { items, .. }) => {
                    let items = items.clone();
                    Some(lists::search(self, &items, name, arguments)?)
                }
                Some(Object::Range { .. }) => {
                    let items = self.heap.values(receiver)?;
                    Some(lists::search(self, &items, name, arguments)?)
                }
                Some(Object::Dict(_)) => Some(dicts::call(self, receiver, *id, name, arguments)?),
                Some(Object::Loop(_)) => self.loop_method(*id, name, arguments)?,
                Some(Object::Cycler { .. }) => Some(self.cycle(*id, name)),
                _ => None,
            },
            _ => None,
        };
        result.ok_or_else(|| {
            Failure::render(format!("{} has no method `{name}`", self.heap.described(receiver)))
        })
    }

    fn cycle(&mut self, id: Id, name: &str) -> Value {
        let Some(Object::Cycler { items, next }) = self.heap.get_mut(id) else { return Value::None };
        if name == "reset" {
            *next = 0;
            return Value::None;
        }
        let current = items.get(*next).cloned().unwrap_or(Value::None);
        *next = (*next + 1) % items.len().max(1);
        current
    }
}

/// Fills a formatted value up to the width of its specification.
pub(super) fn fill_to_width(
    renderer: &Renderer<'_>,
    text: &str,
    spec: &Specification,
    default_align: char,
) -> Res<String> {
    let fill = spec.fill.unwrap_or(if spec.zero { '0' } else { ' ' });
    let length = text.chars().count();
    let missing = spec.width.saturating_sub(length);
    renderer.heap.meter.afford(missing.saturating_mul(fill.len_utf8()).saturating_add(text.len()))?;
    let left = match spec.align.unwrap_or(default_align) {
        '<' | '=' => 0,
        '^' => missing / 2,
        _ => missing,
    };
    let mut out = String::with_capacity(text.len() + missing);
    out.extend(std::iter::repeat_n(fill, left));
    out.push_str(text);
    out.extend(std::iter::repeat_n(fill, missing - left));
    Ok(out)
}

/// An integer argument.
pub(super) fn int(renderer: &Renderer<'_>, what: &str, value: &Value) -> Res<i128> {
    match value {
        Value::Int(int) => Ok(*int),
        Value::Bool(bool) => Ok(i128::from(*bool)),
        _ => {
            renderer.heap.defined(value)?;
            Err(Failure::render(format!("`{what}` needs an integer, not {}", renderer.heap.described(value))))
        }
    }
}

/// An optional integer argument.
pub(super) fn int_or(renderer: &Renderer<'_>, what: &str, value: Option<&Value>, default: i128) -> Res<i128> {
    match value {
        None => Ok(default),
        Some(value) => int(renderer, what, value),
    }
}

/// A string argument.
pub(super) fn str<'v>(renderer: &Renderer<'_>, what: &str, value: &'v Value) -> Res<&'v str> {
    if let Value::Str(text) = value {
        return Ok(text);
    }
    renderer.heap.defined(value)?;
    Err(Failure::render(format!("`{what}` needs a string, not {}", renderer.heap.described(value))))
}
