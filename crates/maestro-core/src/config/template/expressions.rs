//! Expressions.

use super::ast::{Argument, Comparison, Expr, ExprKind, FilterCall};
use super::calls::Arguments;
use super::failure::{Failure, Res};
use super::value::{Dict, Function, Object, Value, put};
use super::{Place, Renderer};
use crate::source::Span;
use std::rc::Rc;

impl Renderer<'_> {
    /// The value of an expression.
    pub(super) fn eval(&mut self, place: Place<'_>, expr: &Expr) -> Res<Value> {
        match &*expr.kind {
            ExprKind::Variable(name) => return Ok(self.variable(place, *name, expr.at)),
            ExprKind::Str(text) => return Ok(Value::Str(text.clone())),
            ExprKind::Int(value) => return Ok(Value::Int(*value)),
            ExprKind::Float(value) => return Ok(Value::Float(*value)),
            ExprKind::Bool(value) => return Ok(Value::Bool(*value)),
            ExprKind::None => return Ok(Value::None),
            _ => {}
        }
        self.deeper(expr.at, |this| this.compound(place, expr)).map_err(|failure| failure.at(expr.at))
    }

    /// The kinds of expressions are apart because each of them costs stack in every expression around it.
    fn compound(&mut self, place: Place<'_>, expr: &Expr) -> Res<Value> {
        match &*expr.kind {
            ExprKind::List(_) | ExprKind::Tuple(_) | ExprKind::Dict(_) => self.display(place, expr),
            ExprKind::Compare(first, rest) => self.comparison(place, first, rest),
            ExprKind::Filter { value, filter } => {
                let value = self.eval(place, value)?;
                self.apply_filter(place, value, filter)
            }
            ExprKind::Test { .. } | ExprKind::Attribute(..) | ExprKind::Item(..) | ExprKind::Slice { .. } => {
                self.access(place, expr)
            }
            ExprKind::Call { .. } => self.eval_call(place, expr, None),
            _ => self.operation(place, expr),
        }
    }

    fn display(&mut self, place: Place<'_>, expr: &Expr) -> Res<Value> {
        match &*expr.kind {
            ExprKind::List(items) => {
                let items = self.eval_all(place, items)?;
                self.heap.list(items)
            }
            ExprKind::Tuple(items) => {
                let items = self.eval_all(place, items)?;
                self.heap.tuple(items)
            }
            ExprKind::Dict(pairs) => {
                let mut dict = Dict::new();
                for (key, value) in pairs {
                    let key_value = self.eval(place, key)?;
                    let id = self.heap.key(&key_value).map_err(|failure| failure.at(key.at))?;
                    let value = self.eval(place, value)?;
                    put(&mut dict, id, key_value, value);
                }
                self.heap.add(Object::Dict(dict))
            }
            _ => Ok(Value::None),
        }
    }

    fn comparison(&mut self, place: Place<'_>, first: &Expr, rest: &[(Comparison, Expr)]) -> Res<Value> {
        let mut left = self.eval(place, first)?;
        for (comparison, right) in rest {
            let right = self.eval(place, right)?;
            if !self.heap.compare(*comparison, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    fn operation(&mut self, place: Place<'_>, expr: &Expr) -> Res<Value> {
        match &*expr.kind {
            ExprKind::Not(operand) => {
                let value = self.eval(place, operand)?;
                Ok(Value::Bool(!self.heap.truth(&value)))
            }
            ExprKind::Negate(operand) => {
                let value = self.eval(place, operand)?;
                self.heap.negate(&value)
            }
            ExprKind::And(left, right) => {
                let value = self.eval(place, left)?;
                if self.heap.truth(&value) { self.eval(place, right) } else { Ok(value) }
            }
            ExprKind::Or(left, right) => {
                let value = self.eval(place, left)?;
                if self.heap.truth(&value) { Ok(value) } else { self.eval(place, right) }
            }
            ExprKind::Binary(operator, left, right) => {
                let left = self.eval(place, left)?;
                let right = self.eval(place, right)?;
                self.heap.binary(*operator, &left, &right)
            }
            ExprKind::Conditional { condition, yes, no } => {
                let condition = self.eval(place, condition)?;
                match (self.heap.truth(&condition), no) {
                    (true, _) => self.eval(place, yes),
                    (false, Some(no)) => self.eval(place, no),
                    (false, None) => Ok(Value::Undefined(expr.at)),
                }
            }
            _ => Ok(Value::None),
        }
    }

    fn access(&mut self, place: Place<'_>, expr: &Expr) -> Res<Value> {
        match &*expr.kind {
            ExprKind::Test { value, test } => {
                let value = self.eval(place, value)?;
                let arguments = self.arguments(place, &test.arguments)?;
                self.test(&test.name, &value, &arguments)
                    .map(Value::Bool)
                    .map_err(|failure| failure.at(test.at))
            }
            ExprKind::Attribute(value, name) => {
                let value = self.eval(place, value)?;
                self.attribute(&value, name, expr.at)
            }
            ExprKind::Item(value, index) => {
                let value = self.eval(place, value)?;
                let index = self.eval(place, index)?;
                self.subscript(&value, &index, expr.at)
            }
            ExprKind::Slice { value, start, stop, stride } => {
                let value = self.eval(place, value)?;
                let start = self.eval_bound(place, start.as_ref())?;
                let stop = self.eval_bound(place, stop.as_ref())?;
                let stride = self.eval_bound(place, stride.as_ref())?;
                self.heap.slice(&value, &start, &stop, &stride)
            }
            _ => Ok(Value::None),
        }
    }

    fn eval_all(&mut self, place: Place<'_>, exprs: &[Expr]) -> Res<Vec<Value>> {
        exprs.iter().map(|expr| self.eval(place, expr)).collect()
    }

    fn eval_bound(&mut self, place: Place<'_>, expr: Option<&Expr>) -> Res<Value> {
        expr.map_or(Ok(Value::None), |expr| self.eval(place, expr))
    }

    fn variable(&mut self, place: Place<'_>, name: super::ast::Name, at: Span) -> Value {
        if name == self.special.the_self {
            return self.heap.add(Object::Blocks { chain: place.chain }).unwrap_or(Value::Undefined(at));
        }
        if let Some((block, level)) = place.block
            && name == self.special.the_super
        {
            let parent = Object::Block { chain: place.chain, name: Rc::clone(block), level: level + 1 };
            return self.heap.add(parent).unwrap_or(Value::Undefined(at));
        }
        if let Some(value) = self.scopes.get(place.scope, name) {
            return value.clone();
        }
        Function::named(&self.names.text(name)).map_or(Value::Undefined(at), Value::Function)
    }

    /// Arguments of a call, with `*` and `**` spread out.
    pub(super) fn arguments(&mut self, place: Place<'_>, arguments: &[Argument]) -> Res<Arguments> {
        let mut collected = Arguments::default();
        for argument in arguments {
            match argument {
                Argument::Positional(expr) => collected.positional.push(self.eval(place, expr)?),
                Argument::Named(name, expr) => {
                    let value = self.eval(place, expr)?;
                    collected.named.push((Rc::clone(name), value));
                }
                Argument::Spread(expr) => {
                    let list = self.eval(place, expr)?;
                    let values = self.heap.values(&list).map_err(|failure| failure.at(expr.at))?;
                    collected.positional.extend(values);
                }
                Argument::SpreadNamed(expr) => {
                    let mapping = self.eval(place, expr)?;
                    let Some(Object::Dict(dict)) = self.heap.object(&mapping) else {
                        let what = self.heap.described(&mapping);
                        return Err(Failure::render(format!("`**` spreads a dict, not {what}")).at(expr.at));
                    };
                    self.heap.work(dict.len())?;
                    for (key, value) in dict.values() {
                        let Value::Str(name) = key else {
                            return Err(Failure::render("names of arguments are strings").at(expr.at));
                        };
                        collected.named.push((Rc::from(&**name), value.clone()));
                    }
                }
            }
        }
        Ok(collected)
    }

    pub(super) fn apply_filter(&mut self, place: Place<'_>, value: Value, filter: &FilterCall) -> Res<Value> {
        let arguments = self.arguments(place, &filter.arguments)?;
        self.filter(&filter.name, value, &arguments, filter.at).map_err(|failure| failure.at(filter.at))
    }

    /// `value.name`: methods and attributes first, then items of that name.
    pub(super) fn attribute(&mut self, value: &Value, name: &Rc<str>, at: Span) -> Res<Value> {
        self.heap.defined(value)?;
        if let Some(found) = self.own_attribute(value, name, at)? {
            return Ok(found);
        }
        let key = self.heap.str(&**name)?;
        Ok(self.heap.item(value, &key)?.unwrap_or(Value::Undefined(at)))
    }

    /// `value[index]`: items first, then attributes of that name.
    pub(super) fn subscript(&mut self, value: &Value, index: &Value, at: Span) -> Res<Value> {
        self.heap.defined(value)?;
        if let Some(found) = self.heap.item(value, index)? {
            return Ok(found);
        }
        if let Value::Str(name) = index
            && let Some(found) = self.own_attribute(value, &Rc::from(&**name), at)?
        {
            return Ok(found);
        }
        Ok(Value::Undefined(at))
    }

    /// What Python's `getattr` finds.
    pub(super) fn own_attribute(&mut self, value: &Value, name: &Rc<str>, at: Span) -> Res<Option<Value>> {
        match (value, &**name) {
            (Value::Int(_) | Value::Float(_), "real") | (Value::Int(_), "numerator") => {
                return Ok(Some(value.clone()));
            }
            (Value::Int(_), "imag") => return Ok(Some(Value::Int(0))),
            (Value::Float(_), "imag") => return Ok(Some(Value::Float(0.0))),
            (Value::Int(_), "denominator") => return Ok(Some(Value::Int(1))),
            _ => {}
        }
        self.look_ahead(value, name)?;
        let found = match self.heap.object(value) {
            Some(Object::Loop(state)) => self.loop_attribute(state, name, at),
            Some(Object::Namespace(attributes) | Object::Module { exports: attributes, .. }) => {
                let key = self.heap.str(&**name)?;
                attributes.get(&self.heap.key(&key)?).map(|(_, value)| value.clone())
            }
            Some(Object::Tuple { items, is_group: true }) => match &**name {
                "grouper" => items.first().cloned(),
                "list" => items.get(1).cloned(),
                _ => None,
            },
            Some(Object::Range { start, stop, stride }) => match &**name {
                "start" => Some(Value::Int(*start)),
                "stop" => Some(Value::Int(*stop)),
                "step" => Some(Value::Int(*stride)),
                _ => None,
            },
            Some(Object::Cycler { items, next }) if &**name == "current" => items.get(*next).cloned(),
            Some(Object::Macro(closure)) => match &**name {
                "name" => Some(self.heap.str(&*closure.definition.name)?),
                "catch_varargs" => Some(Value::Bool(closure.definition.uses_varargs)),
                "catch_kwargs" => Some(Value::Bool(closure.definition.uses_kwargs)),
                "caller" => Some(Value::Bool(closure.definition.uses_caller)),
                "arguments" => {
                    let names = closure.definition.parameters.iter().map(|(name, _)| self.heap.str(&**name));
                    let names = names.collect::<Res<_>>()?;
                    Some(self.heap.tuple(names)?)
                }
                _ => None,
            },
            Some(Object::Blocks { chain }) => {
                let chain = *chain;
                let known = self.chains.get(chain).is_some_and(|chain| chain.blocks.contains_key(name));
                let block = Object::Block { chain, name: Rc::clone(name), level: 0 };
                if known { Some(self.heap.add(block)?) } else { None }
            }
            _ => None,
        };
        if found.is_some() || !self.has_method(value, name) {
            return Ok(found);
        }
        self.heap.add(Object::Method { receiver: value.clone(), name: Rc::clone(name) }).map(Some)
    }
}
