//! The YAML tree as PyYAML would load it, every node with its place in the text.

use crate::source::Span;
use std::sync::Arc;

/// A value and where it stands. Aliases share their node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands in the rendered text.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a node holds, resolved by the rules of YAML 1.1 as PyYAML applies them (specification, section 2.2).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `~`, `null` or nothing.
    Null,
    /// `yes`, `no`, `on`, `off`, `true`, `false`.
    Bool(bool),
    /// An integer of any base, base 60 included.
    Int(Number<i128>),
    /// A float.
    Float(Number<f64>),
    /// A date or a date and time, in the text form that Python's `str()` gives it.
    Timestamp(Arc<str>),
    /// A string.
    Str(Arc<str>),
    /// `!secret`: the name of a secret.
    Secret(Arc<str>),
    /// `!!binary`, decoded.
    Binary(Arc<[u8]>),
    /// A list; tuples and sets do not occur in environment files.
    Seq(Vec<Arc<Node>>),
    /// A mapping, in the order of the text.
    Map(Mapping),
}

/// A number with the text that it was written as: `1.20` is 1.2 to Python, and still an API version 1.20.
#[derive(Debug, Clone, PartialEq)]
pub struct Number<T> {
    /// Its value.
    pub value: T,
    /// As it was written.
    pub text: Arc<str>,
}

/// Key and value pairs in the order of the text; keys are unique by Python's notion of equality.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mapping {
    /// The pairs.
    pub entries: Vec<(Arc<Node>, Arc<Node>)>,
    /// Pairs that are no part of it because of a fault of their keys, which has been reported. Nothing reads them, but
    /// they stand there, and may be as secret as the others.
    pub dropped: Vec<(Arc<Node>, Arc<Node>)>,
}

impl Mapping {
    /// The value of a string key.
    pub fn get(&self, key: &str) -> Option<&Arc<Node>> {
        self.entries.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }
}

impl Node {
    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The mapping, if this is one.
    pub fn as_map(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, if this is one.
    pub fn as_seq(&self) -> Option<&[Arc<Node>]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// What a message calls this kind of value.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Timestamp(_) => "a date",
            Value::Str(_) => "a string",
            Value::Secret(_) => "a secret",
            Value::Binary(_) => "binary data",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}
