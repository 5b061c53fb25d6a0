//! Tests: what may follow `is`.

use super::Renderer;
use super::ast::Comparison;
use super::calls::Arguments;
use super::failure::{Failure, Res};
use super::value::{Object, Value};
use crate::diagnostic::nearest;

/// All tests, for suggestions and for `is test`.
pub(super) const NAMES: &[&str] = &[
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "==",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    ">=",
    "greaterthan",
    "gt",
    ">",
    "in",
    "integer",
    "iterable",
    "le",
    "<=",
    "lessthan",
    "lower",
    "lt",
    "<",
    "mapping",
    "ne",
    "!=",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

impl Renderer<'_> {
    /// Whether a test holds.
    pub(super) fn test(&mut self, name: &str, value: &Value, arguments: &Arguments) -> Res<bool> {
        let comparison = match name {
            "eq" | "equalto" | "==" => Some(Comparison::Equal),
            "ne" | "!=" => Some(Comparison::NotEqual),
            "lt" | "lessthan" | "<" => Some(Comparison::Less),
            "le" | "<=" => Some(Comparison::LessOrEqual),
            "gt" | "greaterthan" | ">" => Some(Comparison::Greater),
            "ge" | ">=" => Some(Comparison::GreaterOrEqual),
            "in" => Some(Comparison::In),
            _ => None,
        };
        if let Some(comparison) = comparison {
            let [other] = arguments.exactly(name, ["other"])?;
            return self.heap.compare(comparison, value, &other);
        }
        match name {
            "divisibleby" => {
                let [by] = arguments.exactly(name, ["num"])?;
                let rest = self.heap.binary(super::ast::Operator::Remainder, value, &by)?;
                return self.heap.equal(&rest, &Value::Int(0));
            }
            "sameas" => {
                let [other] = arguments.exactly(name, ["other"])?;
                return Ok(same(value, &other));
            }
            _ => {
                let [] = arguments.bind(name, [])?;
            }
        }
        let object = self.heap.object(value);
        Ok(match name {
            "defined" => !matches!(value, Value::Undefined(_)),
            "undefined" => matches!(value, Value::Undefined(_)),
            "none" => matches!(value, Value::None),
            "boolean" => matches!(value, Value::Bool(_)),
            "true" => matches!(value, Value::Bool(true)),
            "false" => matches!(value, Value::Bool(false)),
            "integer" => matches!(value, Value::Int(_)),
            "float" => matches!(value, Value::Float(_)),
            "number" => matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_)),
            "string" => matches!(value, Value::Str(_)),
            "mapping" => matches!(object, Some(Object::Dict(_))),
            "escaped" => false,
            "callable" => {
                matches!(value, Value::Function(_))
                    || matches!(
                        object,
                        Some(
                            Object::Macro(_)
                                | Object::Method { .. }
                                | Object::Loop(_)
                                | Object::Block { .. }
                                | Object::Joiner { .. }
                        )
                    )
            }
            "iterable" => {
                matches!(value, Value::Str(_) | Value::Undefined(_))
                    || matches!(object, Some(Object::Generator { .. } | Object::Loop(_)))
                    || self.heap.length(value).is_some()
            }
            // Python asks for a length and for items by index; a view has the one and not the other.
            "sequence" => {
                matches!(value, Value::Str(_) | Value::Undefined(_))
                    || matches!(
                        object,
                        Some(Object::List(_) | Object::Tuple { .. } | Object::Dict(_) | Object::Range { .. })
                    )
            }
            "even" | "odd" => {
                let rest = self.heap.binary(super::ast::Operator::Remainder, value, &Value::Int(2))?;
                self.heap.equal(&rest, &Value::Int(i128::from(name == "odd")))?
            }
            "lower" | "upper" => {
                let text = self.heap.str_of(value)?;
                let cased = text.chars().any(|c| c.is_lowercase() || c.is_uppercase());
                let other = if name == "lower" { char::is_uppercase } else { char::is_lowercase };
                cased && !text.chars().any(other)
            }
            "filter" => matches!(value, Value::Str(name) if super::filters::NAMES.contains(&&**name)),
            "test" => matches!(value, Value::Str(name) if NAMES.contains(&&**name)),
            _ => {
                let failure = Failure::new(
                    crate::diagnostic::Code::TemplateSyntax,
                    format!("there is no test `{name}`"),
                );
                return Err(match nearest(name, NAMES.iter().copied()) {
                    Some(known) => failure.help(format!("did you mean `{known}`?")),
                    None => failure,
                });
            }
        })
    }
}

/// Python's `is`, as far as it can be told.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a.same_object(b) || a == b,
        (Value::Function(a), Value::Function(b)) => a == b,
        (Value::Object(a), Value::Object(b)) => a == b,
        _ => false,
    }
}
