//! Filters: what may follow `|`. Each takes what Jinja2's takes, under the same names.

mod numbers;
mod sequences;
mod sorting;
mod strings;
mod web;

use super::Renderer;
use super::calls::Arguments;
use super::failure::{Failure, Res};
use super::value::{Object, Value};
use crate::diagnostic::nearest;
use crate::source::Span;
use std::rc::Rc;

/// All filters, for suggestions and for `is filter`.
pub(super) const NAMES: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
];

impl Renderer<'_> {
    /// The value that a filter makes of a value.
    pub(super) fn filter(&mut self, name: &str, value: Value, arguments: &Arguments, at: Span) -> Res<Value> {
        self.heap.work(1)?;
        if matches!(name, "length" | "count") {
            self.look_ahead(&value, "length")?;
        }
        match name {
            "d" | "default" => {
                let [default, boolean] = arguments.bind(name, ["default_value", "boolean"])?;
                let boolean = boolean.is_some_and(|boolean| self.heap.truth(&boolean));
                if matches!(value, Value::Undefined(_)) || (boolean && !self.heap.truth(&value)) {
                    return default.map_or_else(|| self.heap.str(""), Ok);
                }
                Ok(value)
            }
            "attr" => {
                let [attribute] = arguments.exactly(name, ["name"])?;
                let attribute: Rc<str> = Rc::from(self.heap.str_of(&attribute)?);
                self.heap.defined(&value)?;
                Ok(self.own_attribute(&value, &attribute, at)?.unwrap_or(Value::Undefined(at)))
            }
            "string" => {
                let [] = arguments.bind(name, [])?;
                match value {
                    Value::Str(_) => Ok(value),
                    _ => self.heap.str_of(&value).and_then(|text| self.heap.str(text)),
                }
            }
            "pprint" => {
                let [] = arguments.bind(name, [])?;
                let text = self.heap.repr_of(&value)?;
                self.heap.str(text)
            }
            "random" => {
                Err(Failure::render("`random` is not available")
                    .note("the same file must always mean the same"))
            }
            "abs" | "filesizeformat" | "float" | "int" | "round" | "sum" => {
                numbers::filter(self, name, &value, arguments, at)
            }
            "batch" | "count" | "dictsort" | "first" | "groupby" | "items" | "join" | "last" | "length"
            | "list" | "map" | "max" | "min" | "reject" | "rejectattr" | "reverse" | "select"
            | "selectattr" | "slice" | "sort" | "unique" => {
                sequences::filter(self, name, &value, arguments, at)
            }
            "capitalize" | "center" | "format" | "indent" | "lower" | "replace" | "title" | "trim"
            | "truncate" | "upper" | "wordcount" | "wordwrap" => {
                strings::filter(self, name, &value, arguments)
            }
            "e" | "escape" | "forceescape" | "safe" | "striptags" | "tojson" | "urlencode" | "urlize"
            | "xmlattr" => web::filter(self, name, &value, arguments),
            _ => {
                let failure = Failure::new(
                    crate::diagnostic::Code::TemplateSyntax,
                    format!("there is no filter `{name}`"),
                );
                Err(match nearest(name, NAMES.iter().copied()) {
                    Some(known) => failure.help(format!("did you mean `{known}`?")),
                    None => failure,
                })
            }
        }
    }

    /// What `attribute='a.0.b'` of a filter finds in an item.
    fn at_path(&mut self, item: &Value, path: &Value, default: Option<&Value>, at: Span) -> Res<Value> {
        let Value::Str(path) = path else {
            return self.subscript(item, path, at);
        };
        let mut value = item.clone();
        for part in path.split('.') {
            let part = match part.parse::<i128>() {
                Ok(index) if part.bytes().all(|b| b.is_ascii_digit()) => Value::Int(index),
                _ => self.heap.str(part)?,
            };
            value = self.subscript(&value, &part, at)?;
            if let (Value::Undefined(_), Some(default)) = (&value, default) {
                value = default.clone();
            }
        }
        Ok(value)
    }

    /// The key that an item is compared by: an attribute of it, in lower case unless case matters.
    fn key_of(&mut self, item: &Value, path: Option<&Value>, case_sensitive: bool, at: Span) -> Res<Value> {
        let key = match path {
            Some(path) => self.at_path(item, path, None, at)?,
            None => item.clone(),
        };
        match key {
            Value::Str(text) if !case_sensitive => self.heap.str(text.to_lowercase()),
            key => Ok(key),
        }
    }

    /// An optional argument that is a flag.
    fn flag(&self, value: Option<&Value>) -> bool {
        value.is_some_and(|value| self.heap.truth(value))
    }

    fn is_mapping(&self, value: &Value) -> bool {
        matches!(self.heap.object(value), Some(Object::Dict(_)))
    }
}

/// An argument where `none` means that it is not given.
fn given(value: Option<Value>) -> Option<Value> {
    value.filter(|value| !matches!(value, Value::None))
}
