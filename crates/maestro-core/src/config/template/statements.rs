//! Statements: everything between `{%` and `%}`, and the text around it.

use super::ast::{Block, Expr, FilterCall, Name, Stmt, Target, Template};
use super::failure::{Failure, Res};
use super::scope::ScopeId;
use super::value::{Closure, Object, Value};
use super::{Chain, Place, Renderer};
use crate::source::Span;
use std::rc::Rc;

/// About what a scope takes that a macro keeps from being dropped.
const SCOPE_BYTES: usize = 256;

impl Renderer<'_> {
    /// Renders a template, and its parents if it extends any, into the current output.
    pub(super) fn template(&mut self, template: &Rc<Template>, root: ScopeId) -> Res<()> {
        let chain = self.chains.len();
        self.chains.push(Chain { root: Some(root), ..Chain::default() });
        let mut current = Rc::clone(template);
        loop {
            self.add_blocks(chain, &current);
            let place = Place { template: &current, chain, scope: root, block: None };
            let parent = self.top_level(place, &current.body)?;
            match parent {
                Some(parent) => current = parent,
                None => return Ok(()),
            }
        }
    }

    fn add_blocks(&mut self, chain: usize, template: &Rc<Template>) {
        let Some(chain) = self.chains.get_mut(chain) else { return };
        for (name, block) in &template.blocks {
            chain.blocks.entry(Rc::clone(name)).or_default().push((Rc::clone(template), Rc::clone(block)));
        }
    }

    /// The statements of a file. After `extends`, what they write is dropped; the parent is returned.
    fn top_level(&mut self, place: Place<'_>, body: &[Stmt]) -> Res<Option<Rc<Template>>> {
        for (i, statement) in body.iter().enumerate() {
            let Stmt::Extends { name, at } = statement else {
                // `extends` may stand within an `if`.
                if let Some(parent) = self.conditional_extends(place, statement)? {
                    return self.after_extends(place, parent, body.get(i + 1..).unwrap_or(&[]));
                }
                continue;
            };
            let parent = self.parent(place, name, *at)?;
            return self.after_extends(place, parent, body.get(i + 1..).unwrap_or(&[]));
        }
        Ok(None)
    }

    fn after_extends(
        &mut self,
        place: Place<'_>,
        parent: Rc<Template>,
        rest: &[Stmt],
    ) -> Res<Option<Rc<Template>>> {
        let rest: Vec<&Stmt> = rest.iter().filter(|statement| !matches!(statement, Stmt::Block(_))).collect();
        self.captured(|this| {
            for statement in rest {
                if let Stmt::Extends { at, .. } = statement {
                    return Err(Failure::render("a template extends one other").at(*at));
                }
                this.statement(place, statement)?;
            }
            Ok(())
        })?;
        Ok(Some(parent))
    }

    fn parent(&mut self, place: Place<'_>, name: &Expr, at: Span) -> Res<Rc<Template>> {
        let name = self.eval(place, name)?;
        self.heap.work(1000).map_err(|failure| failure.at(at))?;
        let parent = self.load(&name).map_err(|failure| failure.at(at))?;
        let again = self.chains.get(place.chain).is_some_and(|chain| {
            chain.blocks.values().flatten().any(|(template, _)| Rc::ptr_eq(template, &parent))
        });
        if again || Rc::ptr_eq(place.template, &parent) {
            return Err(Failure::render("templates extend each other in a circle").at(at));
        }
        Ok(parent)
    }

    /// Runs a statement of the top level; the parent if it was an `if` that led to an `extends`.
    fn conditional_extends(&mut self, place: Place<'_>, statement: &Stmt) -> Res<Option<Rc<Template>>> {
        if let Stmt::If { branches, otherwise } = statement
            && branches
                .iter()
                .map(|(_, body)| body)
                .chain([otherwise])
                .flatten()
                .any(|s| matches!(s, Stmt::Extends { .. }))
        {
            for (condition, body) in branches {
                let condition = self.eval(place, condition)?;
                if self.heap.truth(&condition) {
                    return self.top_level(place, body);
                }
            }
            return self.top_level(place, otherwise);
        }
        self.statement(place, statement)?;
        Ok(None)
    }

    pub(super) fn body(&mut self, place: Place<'_>, body: &[Stmt]) -> Res<()> {
        for statement in body {
            self.statement(place, statement)?;
        }
        Ok(())
    }

    fn nested(&mut self, place: Place<'_>, at: Span, body: &[Stmt]) -> Res<()> {
        self.deeper(at, |this| this.body(place, body))
    }

    fn statement(&mut self, place: Place<'_>, statement: &Stmt) -> Res<()> {
        let nowhere = Span { source: crate::source::SourceId(0), start: 0, end: 0 };
        match statement {
            Stmt::Raw(span) => {
                let raw = place.template.text.get(span.start as usize..span.end as usize).unwrap_or("");
                let written =
                    self.output().and_then(|output| Ok(output.raw(raw, span.source, span.start)?));
                written.map_err(|failure| failure.at(*span))
            }
            Stmt::Emit(expr) => self.emit(place, expr),
            Stmt::For(statement) => self.for_loop(place, statement),
            Stmt::If { branches, otherwise } => {
                for (condition, body) in branches {
                    let value = self.eval(place, condition)?;
                    if self.heap.truth(&value) {
                        return self.nested(place, condition.at, body);
                    }
                }
                match branches.first() {
                    Some((condition, _)) => self.nested(place, condition.at, otherwise),
                    None => Ok(()),
                }
            }
            Stmt::With { assignments, body } => {
                let mark = self.scopes.mark();
                let scope = self.scopes.open(Some(place.scope));
                for (target, value) in assignments {
                    let value = self.eval(place, value)?;
                    self.assign(Place { scope, ..place }, target, value)?;
                }
                let at = assignments.first().map_or(nowhere, |(_, value)| value.at);
                self.nested(Place { scope, ..place }, at, body)?;
                self.scopes.close(mark);
                Ok(())
            }
            Stmt::Set { target, value } => {
                let value = self.eval(place, value)?;
                self.assign(place, target, value)
            }
            Stmt::SetBlock { target, filters, body } => {
                let value = self.enclosed(place, filters, body)?;
                self.assign(place, target, value)
            }
            Stmt::FilterBlock { filters, body } => {
                let value = self.enclosed(place, filters, body)?;
                match &value {
                    Value::Str(_) => self.write(&value),
                    _ => Err(Failure::render(format!(
                        "the filter makes {} of the text",
                        self.heap.described(&value)
                    ))
                    .help("`{% set x %}…{% endset %}` and `{{ x|… }}` can write it")),
                }
            }
            Stmt::Autoescape { enabled, body } => {
                let value = self.eval(place, enabled)?;
                if self.heap.truth(&value) {
                    return Err(Failure::render("`autoescape` is not available")
                        .at(enabled.at)
                        .help("escape single values with the filter `e`"));
                }
                self.nested(place, enabled.at, body)
            }
            Stmt::Block(block) => self.block_here(place, block),
            Stmt::Extends { at, .. } => {
                Err(Failure::render("`extends` stands at the top of a file, outside of other tags").at(*at))
            }
            Stmt::Include { name, ignore_missing, with_context, at } => {
                self.include(place, name, *ignore_missing, *with_context, *at)
            }
            Stmt::Import { name, target, with_context, at } => {
                let module = self.import(place, name, *with_context, *at)?;
                self.scopes.set(place.scope, *target, module);
                Ok(())
            }
            Stmt::FromImport { name, names, with_context, at } => {
                let module = self.import(place, name, *with_context, *at)?;
                for (exported, target) in names {
                    let value = match self.heap.object(&module) {
                        Some(Object::Module { exports, .. }) => {
                            let key = self.heap.str(&**exported)?;
                            exports.get(&self.heap.key(&key)?).map(|(_, value)| value.clone())
                        }
                        _ => None,
                    };
                    self.scopes.set(place.scope, *target, value.unwrap_or(Value::Undefined(*at)));
                }
                Ok(())
            }
            Stmt::Macro(definition) => {
                let value = self.closure(place, definition)?;
                self.scopes.set(place.scope, definition.bound_to, value);
                Ok(())
            }
            Stmt::CallBlock { call, caller } => {
                let caller = self.closure(place, caller)?;
                let value = self.eval_call(place, call, Some(caller))?;
                self.write(&value)
            }
            Stmt::Do(call) => self.eval(place, call).map(|_| ()),
        }
    }

    fn emit(&mut self, place: Place<'_>, expr: &Expr) -> Res<()> {
        let value = self.eval(place, expr)?;
        self.write(&value).map_err(|failure| failure.at(expr.at))
    }

    /// Puts a value into the output.
    pub(super) fn write(&mut self, value: &Value) -> Res<()> {
        match value {
            Value::Undefined(_) => Ok(()),
            Value::Str(text) => Ok(self.output()?.text(text)?),
            _ => {
                let text = self.heap.str_of(value)?;
                Ok(self.output()?.computed(&text)?)
            }
        }
    }

    /// What a body writes, sent through filters.
    fn enclosed(&mut self, place: Place<'_>, filters: &[FilterCall], body: &[Stmt]) -> Res<Value> {
        let mark = self.scopes.mark();
        let scope = self.scopes.open(Some(place.scope));
        let at =
            filters.first().map_or(Span { source: crate::source::SourceId(0), start: 0, end: 0 }, |f| f.at);
        let mut value = self.captured(|this| this.nested(Place { scope, ..place }, at, body))?;
        self.scopes.close(mark);
        for filter in filters {
            value = self.apply_filter(place, value, filter)?;
        }
        Ok(value)
    }

    fn closure(&mut self, place: Place<'_>, definition: &Rc<super::ast::Macro>) -> Res<Value> {
        self.scopes.capture();
        self.heap.meter.take(SCOPE_BYTES)?;
        self.heap.add(Object::Macro(Closure {
            definition: Rc::clone(definition),
            template: Rc::clone(place.template),
            chain: place.chain,
            scope: place.scope,
        }))
    }

    pub(super) fn assign(&mut self, place: Place<'_>, target: &Target, value: Value) -> Res<()> {
        match target {
            Target::Name(name) => {
                self.scopes.set(place.scope, *name, value);
                Ok(())
            }
            Target::Attribute { namespace, attribute, at } => {
                self.assign_attribute(place, *namespace, attribute, value).map_err(|failure| failure.at(*at))
            }
            Target::Unpack { targets, at } => {
                let values = self.heap.defined(&value).and_then(|()| self.heap.values(&value));
                let values = values.map_err(|failure| failure.at(*at))?;
                if values.len() != targets.len() {
                    let message = format!("{} names for {} values", targets.len(), values.len());
                    return Err(Failure::render(message).at(*at));
                }
                targets.iter().zip(values).try_for_each(|(target, value)| self.assign(place, target, value))
            }
        }
    }

    fn assign_attribute(
        &mut self,
        place: Place<'_>,
        namespace: Name,
        attribute: &Rc<str>,
        value: Value,
    ) -> Res<()> {
        let key = self.heap.str(&**attribute)?;
        let id = self.heap.key(&key)?;
        let object = self.scopes.get(place.scope, namespace).cloned();
        self.heap.grow(3)?;
        if let Some(Value::Object(object)) = object
            && let Some(Object::Namespace(attributes)) = self.heap.get_mut(object)
        {
            attributes.insert(id, (key, value));
            return Ok(());
        }
        let name = self.names.text(namespace);
        Err(Failure::render(format!("`{name}` is not a namespace, so it has no attributes to set"))
            .help(format!("make it one first: `{{% set {name} = namespace() %}}`")))
    }

    /// A block where it stands: the most derived definition of it is rendered.
    fn block_here(&mut self, place: Place<'_>, block: &Rc<Block>) -> Res<()> {
        let root = self.chains.get(place.chain).and_then(|chain| chain.root).unwrap_or(place.scope);
        let scope = if block.scoped { place.scope } else { root };
        self.block(place.chain, &block.name, 0, scope, block.at)
    }

    /// Renders the definition of a block that is so far up the chain.
    pub(super) fn block(
        &mut self,
        chain: usize,
        name: &Rc<str>,
        level: usize,
        scope: ScopeId,
        at: Span,
    ) -> Res<()> {
        let found = self
            .chains
            .get(chain)
            .and_then(|chain| chain.blocks.get(name))
            .and_then(|b| b.get(level))
            .cloned();
        let Some((template, block)) = found else {
            return Err(Failure::render(format!("there is no parent of block `{name}`")).at(at));
        };
        if block.required {
            return Err(Failure::render(format!(
                "block `{name}` must be defined by a template that extends this one"
            ))
            .at(block.at));
        }
        let mark = self.scopes.mark();
        let scope = self.scopes.open(Some(scope));
        let place = Place { template: &template, chain, scope, block: Some((name, level)) };
        self.nested(place, at, &block.body)?;
        self.scopes.close(mark);
        Ok(())
    }
}
