//! A loaded file as JSON, for looking at.

use super::node::{Node, Value};
use super::python;

/// Keys whose values are nobody's business.
const SECRETS: [&str; 1] = ["password"];

/// A tree as JSON. Passwords are left out; what JSON does not know is as Python prints it.
pub fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => {
            i64::try_from(number.value).map_or_else(|_| number.text.to_string().into(), Into::into)
        }
        Value::Float(number) => serde_json::Number::from_f64(number.value)
            .map_or_else(|| number.text.to_string().into(), Into::into),
        Value::Str(text) => text.to_string().into(),
        Value::Timestamp(_) | Value::Binary(_) => python::text(node).into(),
        Value::Seq(items) => items.iter().map(|item| json(item)).collect(),
        Value::Map(map) => map
            .entries
            .iter()
            .map(|(key, value)| {
                let key = python::text(key);
                let value = if SECRETS.contains(&&*key) { "***".into() } else { json(value) };
                (key, value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
