//! Other templates: include, import, extends.

use super::ast::{Expr, Template};
use super::failure::{Failure, Res};
use super::scope::ScopeId;
use super::value::{Dict, Object, Value};
use super::{Place, Renderer, parse};
use crate::config::read::{Unread, read};
use crate::diagnostic::Code;
use crate::source::{SourceError, SourceKind, Span};
use std::rc::Rc;

/// What an `include` or `import` costs at least, so that a chain of them comes to an end in good time.
const FILE_STEPS: usize = 100;

impl Renderer<'_> {
    /// The template of this name. Names are relative to the directory of the environment file and do not leave it.
    pub(super) fn load(&mut self, name: &Value) -> Res<Rc<Template>> {
        self.heap.work(FILE_STEPS)?;
        let Value::Str(name) = name else {
            self.heap.defined(name)?;
            return Err(Failure::render(format!(
                "a template's name is a string, not {}",
                self.heap.described(name)
            )));
        };
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") || parts.iter().any(|part| part.contains(['\\', '\0'])) {
            return Err(Failure::missing(format!("there is no template `{}`", &**name))
                .note("templates are looked for in the directory of the environment file and below it, so `..` finds nothing"));
        }
        let path = parts.join("/");
        if let Some(template) = self.templates.get(&path) {
            return Ok(Rc::clone(template));
        }
        let source = match read(self.sources, SourceKind::Template, &path, self.limits, self.map) {
            Ok(source) => source,
            Err(Unread::Source(SourceError::NotFound)) => {
                return Err(Failure::missing(format!("there is no template `{path}`"))
                    .note("templates are looked for in the directory of the environment file"));
            }
            Err(failure) => {
                let diagnostic =
                    failure.into_diagnostic(&self.sources.display_name(SourceKind::Template, &path));
                return Err(Failure::from_diagnostic(diagnostic));
            }
        };
        let text = self.map.get(source).map(|source| source.text.clone()).unwrap_or_default();
        self.heap.meter.take(text.len())?;
        let template = Rc::new(parse::parse(source, &text, &mut self.names, &self.heap.meter)?);
        self.templates.insert(path, Rc::clone(&template));
        Ok(template)
    }

    pub(super) fn include(
        &mut self,
        place: Place<'_>,
        name: &Expr,
        ignore_missing: bool,
        with_context: bool,
        at: Span,
    ) -> Res<()> {
        let name = self.eval(place, name)?;
        let template = match self.load_first(&name) {
            Err(failure) if ignore_missing && failure.is_missing() => return Ok(()),
            result => result.map_err(|failure| failure.at(at).through(at, "included here"))?,
        };
        let mark = self.scopes.mark();
        let scope = self.scopes.open(with_context.then_some(place.scope));
        let result = self.deeper(at, |this| this.deeper(at, |this| this.template(&template, scope)));
        self.scopes.close(mark);
        result.map_err(|failure| failure.through(at, "included here"))
    }

    /// The first of a list of templates that exists.
    fn load_first(&mut self, name: &Value) -> Res<Rc<Template>> {
        let is_list = matches!(self.heap.object(name), Some(Object::List(_) | Object::Tuple { .. }));
        if !is_list {
            return self.load(name);
        }
        let mut tried = Vec::new();
        for name in self.heap.values(name)? {
            match self.load(&name) {
                Err(failure) if failure.is_missing() => tried.push(self.heap.str_of(&name)?),
                result => return result,
            }
        }
        Err(Failure::missing(format!("none of these templates exists: `{}`", tried.join("`, `"))))
    }

    pub(super) fn import(
        &mut self,
        place: Place<'_>,
        name: &Expr,
        with_context: bool,
        at: Span,
    ) -> Res<Value> {
        let name = self.eval(place, name)?;
        let known = match &name {
            Value::Str(name) if !with_context => self.modules.get(&**name).cloned(),
            _ => None,
        };
        if let Some(module) = known {
            return Ok(module);
        }
        let template = self.load(&name).map_err(|failure| failure.at(at).through(at, "imported here"))?;
        let parent = with_context.then_some(place.scope);
        let module = self
            .deeper(at, |this| this.module(&template, &name, parent))
            .map_err(|failure| failure.through(at, "imported here"))?;
        if let Value::Str(name) = name
            && !with_context
        {
            self.modules.insert(name.to_string(), module.clone());
        }
        Ok(module)
    }

    /// Runs a template for its top-level names; what it writes is dropped.
    fn module(&mut self, template: &Rc<Template>, name: &Value, parent: Option<ScopeId>) -> Res<Value> {
        // The scope is held by what the module exports.
        self.scopes.capture();
        let scope = self.scopes.open(parent);
        let text =
            self.captured(|this| this.deeper(place_of(template), |this| this.template(template, scope)))?;
        let mut exports = Dict::new();
        for (variable, value) in self.scopes.variables(scope).to_vec() {
            let text = self.names.text(variable);
            if text.starts_with('_') {
                continue;
            }
            let key = self.heap.str(&*text)?;
            exports.insert(self.heap.key(&key)?, (key, value));
        }
        let name = Rc::from(self.heap.str_of(name)?);
        self.heap.add(Object::Module { name, exports, text })
    }
}

impl Failure {
    fn from_diagnostic(diagnostic: crate::diagnostic::Diagnostic) -> Self {
        let code: Code = diagnostic.code;
        let mut failure = Self::new(code, diagnostic.message);
        for note in diagnostic.notes {
            failure = failure.note(note);
        }
        for help in diagnostic.help {
            failure = failure.help(help);
        }
        match diagnostic.labels.into_iter().next() {
            Some(label) => failure.at(label.span).label(label.text),
            None => failure,
        }
    }
}

fn place_of(template: &Template) -> Span {
    match template.body.first() {
        Some(super::ast::Stmt::Raw(span)) => *span,
        _ => Span { source: crate::source::SourceId(0), start: 0, end: 0 },
    }
}
