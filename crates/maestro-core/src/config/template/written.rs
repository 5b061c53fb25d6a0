//! Values as text: Python's `str()` and `repr()`.

use super::failure::Res;
use super::value::{DEEPEST, Dict, Function, Heap, Id, Object, Value, View, too_deep};
use crate::config::python::{float_repr, push_fmt, write_str_repr};

impl Heap {
    /// `str()`: what `{{ }}` puts into the output.
    pub(super) fn str_of(&self, value: &Value) -> Res<String> {
        let mut out = String::new();
        self.write_str(&mut out, value)?;
        Ok(out)
    }

    pub(super) fn write_str(&self, out: &mut String, value: &Value) -> Res<()> {
        match value {
            Value::Undefined(_) => Ok(()),
            Value::Str(text) => {
                self.meter.read(text.len())?;
                self.meter.afford(out.len() + text.len())?;
                out.push_str(text);
                Ok(())
            }
            _ => match self.object(value) {
                Some(Object::Module { text, .. }) => self.write_str(out, text),
                _ => self.write_repr(out, value, &mut Vec::new()),
            },
        }
    }

    pub(super) fn repr_of(&self, value: &Value) -> Res<String> {
        let mut out = String::new();
        self.write_repr(&mut out, value, &mut Vec::new())?;
        Ok(out)
    }

    /// Shared containers multiply as they are written out: the memory is asked for on the way.
    fn afford_more(&self, length: usize) -> Res<()> {
        self.meter.work(1)?;
        Ok(self.meter.afford(length)?)
    }

    fn write_repr(&self, out: &mut String, value: &Value, within: &mut Vec<Id>) -> Res<()> {
        self.afford_more(out.len())?;
        match value {
            Value::Undefined(_) => out.push_str("Undefined"),
            Value::None => out.push_str("None"),
            Value::Bool(value) => out.push_str(if *value { "True" } else { "False" }),
            Value::Int(value) => push_fmt(out, format_args!("{value}")),
            Value::Float(value) => out.push_str(&float_repr(*value)),
            Value::Str(text) => {
                self.meter.read(4 * text.len())?;
                self.meter.afford(out.len() + 4 * text.len())?;
                write_str_repr(out, text);
            }
            Value::Function(function) => {
                out.push_str(match function {
                    Function::Range => "<class 'range'>",
                    Function::Dict => "<class 'dict'>",
                    Function::Namespace => "<class 'jinja2.utils.Namespace'>",
                    Function::Cycler => "<class 'jinja2.utils.Cycler'>",
                    Function::Joiner => "<class 'jinja2.utils.Joiner'>",
                    Function::Lipsum => "<function generate_lorem_ipsum>",
                });
            }
            Value::Object(id) => self.write_object(out, *id, value, within)?,
        }
        Ok(())
    }

    fn write_object(&self, out: &mut String, id: Id, value: &Value, within: &mut Vec<Id>) -> Res<()> {
        let Some(object) = self.get(id) else { return Ok(()) };
        if within.contains(&id) {
            out.push_str(match object {
                Object::List(_) => "[...]",
                Object::Dict(_) => "{...}",
                _ => "...",
            });
            return Ok(());
        }
        if within.len() > DEEPEST {
            return Err(too_deep());
        }
        within.push(id);
        match object {
            Object::List(items) => self.write_items(out, "[", items, "]", within)?,
            Object::Tuple { items, .. } => {
                let close = if items.len() == 1 { ",)" } else { ")" };
                self.write_items(out, "(", items, close, within)?;
            }
            Object::Dict(dict) => {
                out.push('{');
                for (i, (key, item)) in dict.values().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    self.write_repr(out, key, within)?;
                    out.push_str(": ");
                    self.write_repr(out, item, within)?;
                }
                out.push('}');
            }
            Object::View { kind, dict } => {
                out.push_str(kind.name());
                out.push_str("([");
                for (i, (key, item)) in self.dict(*dict).into_iter().flat_map(Dict::values).enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    match kind {
                        View::Keys => self.write_repr(out, key, within)?,
                        View::Values => self.write_repr(out, item, within)?,
                        View::Items => {
                            let pair = [key.clone(), item.clone()];
                            self.write_items(out, "(", &pair, ")", within)?;
                        }
                    }
                }
                out.push_str("])");
            }
            Object::Range { start, stop, stride: 1 } => push_fmt(out, format_args!("range({start}, {stop})")),
            Object::Range { start, stop, stride } => {
                push_fmt(out, format_args!("range({start}, {stop}, {stride})"));
            }
            Object::Macro(closure) => {
                out.push_str("<Macro ");
                write_str_repr(out, &closure.definition.name);
                out.push('>');
            }
            Object::Module { name, .. } => {
                out.push_str("<TemplateModule ");
                write_str_repr(out, name);
                out.push('>');
            }
            Object::Loop(state) => {
                push_fmt(out, format_args!("<LoopContext {}/{}>", state.index + 1, state.items.len()));
            }
            Object::Method { receiver, name } => {
                let of = self.type_name(receiver);
                push_fmt(out, format_args!("<built-in method {name} of {of} object>"));
            }
            // Python adds an address here, different in each run.
            Object::Generator { .. }
            | Object::Namespace(_)
            | Object::Cycler { .. }
            | Object::Joiner { .. }
            | Object::Blocks { .. }
            | Object::Block { .. } => push_fmt(out, format_args!("<{} object>", self.type_name(value))),
        }
        within.pop();
        Ok(())
    }

    fn write_items(
        &self,
        out: &mut String,
        open: &str,
        items: &[Value],
        close: &str,
        within: &mut Vec<Id>,
    ) -> Res<()> {
        out.push_str(open);
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            self.write_repr(out, item, within)?;
        }
        out.push_str(close);
        Ok(())
    }
}
