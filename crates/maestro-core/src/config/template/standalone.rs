//! Templates of other things than environment files: texts that are rendered with values of ours, and include nothing.

use super::failure::Res;
use super::text::{Meter, Output};
use super::value::{Dict, Object, Value};
use super::{Renderer, parse};
use crate::config::limits::Limits;
use crate::diagnostic::Diagnostic;
use crate::source::{MapSources, Origin, SourceId, SourceMap, SourceText};
use serde_json::Value as Json;
use std::rc::Rc;
use std::sync::Arc;

/// Why a template of a user's own could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Unrenderable {
    /// File, line and column.
    pub place: String,
    /// What is wrong there.
    pub message: String,
}

/// Renders a text with these variables and nothing else. It ends with a line end.
pub(crate) fn render_values(
    name: &str,
    text: &Arc<str>,
    values: &[(&str, Json)],
    limits: &Limits,
) -> Result<String, Unrenderable> {
    let mut map = SourceMap::default();
    let source = map.add(SourceText { name: name.to_owned(), origin: Origin::File, text: text.clone() });
    let rendered = {
        let nothing = MapSources::default();
        let mut renderer = Renderer::new(&nothing, limits, &mut map);
        renderer.standalone(source, text, values)
    };
    rendered.map_err(|failure| {
        let diagnostic = failure.into_diagnostic(&map);
        let position = diagnostic.labels.first().and_then(|label| map.position(label.span));
        let place =
            position.map_or_else(|| name.to_owned(), |at| format!("{name}:{}:{}", at.line, at.column));
        Unrenderable { place, message: diagnostic.message }
    })
}

/// Whether a text is a template at all.
pub(in crate::config) fn check_syntax(
    source: SourceId,
    map: &SourceMap,
    limits: &Limits,
) -> Result<(), Diagnostic> {
    let text = map.get(source).map(|source| source.text.clone()).unwrap_or_default();
    let meter = Meter::new(limits.template_steps, limits.template_bytes);
    parse::parse(source, &text, &mut super::Names::default(), &meter)
        .map(drop)
        .map_err(|failure| failure.into_diagnostic(map))
}

impl Renderer<'_> {
    fn standalone(&mut self, source: SourceId, text: &Arc<str>, values: &[(&str, Json)]) -> Res<String> {
        let template = Rc::new(parse::parse(source, text, &mut self.names, &self.heap.meter)?);
        let root = self.scopes.open(None);
        for (name, value) in values {
            let value = self.made_of(value)?;
            let name = self.names.intern(name);
            self.scopes.set(root, name, value);
        }
        self.template(&template, root)?;
        let (mut text, _) = self.outputs.pop().map(Output::finish).unwrap_or_default();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }

    /// A value as templates have it. Ours nest a few levels deep.
    fn made_of(&mut self, value: &Json) -> Res<Value> {
        Ok(match value {
            Json::Null => Value::None,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Value::Int(whole.into()),
                (None, Some(float)) => Value::Float(float),
                (None, None) => Value::None,
            },
            Json::String(text) => self.heap.str(text.as_str())?,
            Json::Array(items) => {
                let items = items.iter().map(|item| self.made_of(item)).collect::<Res<_>>()?;
                self.heap.list(items)?
            }
            Json::Object(entries) => {
                let mut dict = Dict::new();
                for (name, value) in entries {
                    let value = self.made_of(value)?;
                    let name = self.heap.str(name.as_str())?;
                    dict.insert(self.heap.key(&name)?, (name, value));
                }
                self.heap.add(Object::Dict(dict))?
            }
        })
    }
}
