//! Calls: macros, methods, functions, and how arguments meet parameters.

use super::ast::{Expr, ExprKind};
use super::failure::{Failure, Res};
use super::value::{Closure, Dict, Id, Object, Value};
use super::{Place, Renderer};
use crate::source::Span;
use std::rc::Rc;

/// The arguments of one call.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(Rc<str>, Value)>,
}

impl Arguments {
    /// The arguments in the order of these parameters; `None` for those that were not given.
    pub(super) fn bind<const N: usize>(&self, what: &str, parameters: [&str; N]) -> Res<[Option<Value>; N]> {
        if self.positional.len() > N {
            let most = match N {
                0 => "no argument".to_owned(),
                1 => "at most 1 argument".to_owned(),
                _ => format!("at most {N} arguments"),
            };
            return Err(Failure::render(format!("`{what}` takes {most}, not {}", self.positional.len())));
        }
        let mut bound = [const { None }; N];
        for (slot, value) in bound.iter_mut().zip(&self.positional) {
            *slot = Some(value.clone());
        }
        for (name, value) in &self.named {
            let Some(index) = parameters.iter().position(|parameter| **parameter == **name) else {
                let failure = Failure::render(format!("`{what}` has no parameter `{name}`"));
                return Err(match crate::diagnostic::nearest(name, parameters) {
                    Some(known) => failure.help(format!("did you mean `{known}`?")),
                    None => failure,
                });
            };
            match bound.get_mut(index) {
                Some(slot @ None) => *slot = Some(value.clone()),
                _ => return Err(Failure::render(format!("`{what}` is given `{name}` twice"))),
            }
        }
        Ok(bound)
    }

    /// The same, all of them needed.
    pub(super) fn exactly<const N: usize>(&self, what: &str, parameters: [&str; N]) -> Res<[Value; N]> {
        let bound = self.bind(what, parameters)?;
        if let Some(missing) = bound.iter().position(Option::is_none) {
            let name = parameters.get(missing).unwrap_or(&"");
            return Err(Failure::render(format!("`{what}` needs an argument `{name}`")));
        }
        Ok(bound.map(|value| value.unwrap_or(Value::None)))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let index = self.named.iter().position(|(known, _)| **known == *name)?;
        Some(self.named.remove(index).1)
    }
}

impl Renderer<'_> {
    /// The value of a call expression; `caller` is what a `call` block passes along.
    pub(super) fn eval_call(&mut self, place: Place<'_>, expr: &Expr, caller: Option<Value>) -> Res<Value> {
        let ExprKind::Call { callee, arguments } = &*expr.kind else {
            return Err(Failure::render("this is not a call").at(expr.at));
        };
        // A method is called on its object without making a value of it first.
        if let ExprKind::Attribute(receiver, name) = &*callee.kind {
            let receiver = self.eval(place, receiver)?;
            if matches!(receiver, Value::Undefined(_)) {
                return Err(self
                    .heap
                    .defined(&receiver)
                    .err()
                    .unwrap_or_else(|| Failure::render(""))
                    .at(callee.at));
            }
            if self.has_method(&receiver, name) {
                let arguments = self.arguments(place, arguments)?;
                return self
                    .method(&receiver, name, &arguments, expr.at)
                    .map_err(|failure| failure.at(expr.at));
            }
            let function = self.attribute(&receiver, name, callee.at)?;
            if let Value::Undefined(_) = function {
                return Err(self.no_such_method(&receiver, name).at(callee.at));
            }
            let arguments = self.arguments(place, arguments)?;
            return self.call(&function, arguments, caller, expr.at).map_err(|failure| failure.at(expr.at));
        }
        let function = self.eval(place, callee)?;
        let arguments = self.arguments(place, arguments)?;
        if let Value::Undefined(span) = function {
            let failure = Failure::undefined(span).at(callee.at);
            return Err(match (&*callee.kind, self.near_function(callee)) {
                (ExprKind::Variable(_), Some(known)) => failure.help(format!("did you mean `{known}`?")),
                _ => failure,
            });
        }
        self.call(&function, arguments, caller, expr.at).map_err(|failure| failure.at(expr.at))
    }

    fn near_function(&self, callee: &Expr) -> Option<&'static str> {
        let ExprKind::Variable(name) = &*callee.kind else { return None };
        crate::diagnostic::nearest(&self.names.text(*name), super::functions::NAMES)
    }

    fn no_such_method(&self, receiver: &Value, name: &str) -> Failure {
        let kind = self.heap.type_name(receiver);
        let failure = Failure::render(format!("{} has no method `{name}`", self.heap.described(receiver)));
        match crate::diagnostic::nearest(name, super::methods::names(kind).iter().copied()) {
            Some(known) => failure.help(format!("did you mean `{known}`?")),
            None => failure,
        }
    }

    /// Calls a value.
    pub(super) fn call(
        &mut self,
        function: &Value,
        arguments: Arguments,
        caller: Option<Value>,
        at: Span,
    ) -> Res<Value> {
        if let Value::Function(function) = function {
            return self.function(*function, &arguments, at);
        }
        let Value::Object(id) = function else {
            return Err(Failure::render(format!("{} cannot be called", self.heap.described(function))));
        };
        match self.heap.get(*id) {
            Some(Object::Macro(closure)) => {
                let closure = closure.clone();
                self.invoke(&closure, arguments, caller, at)
            }
            Some(Object::Method { receiver, name }) => {
                let (receiver, name) = (receiver.clone(), Rc::clone(name));
                self.method(&receiver, &name, &arguments, at)
            }
            Some(Object::Loop(_)) => self.recurse(*id, &arguments, at),
            Some(Object::Block { chain, name, level }) => {
                let (chain, name, level) = (*chain, Rc::clone(name), *level);
                let root = self.chains.get(chain).and_then(|chain| chain.root);
                let scope = root.unwrap_or_else(|| self.scopes.open(None));
                self.captured(|this| this.block(chain, &name, level, scope, at))
            }
            Some(Object::Joiner { .. }) => Ok(self.join_next(*id)),
            _ => Err(Failure::render(format!("{} cannot be called", self.heap.described(function)))),
        }
    }

    /// A joiner is empty the first time, and its separator from then on.
    fn join_next(&mut self, id: Id) -> Value {
        let Some(Object::Joiner { separator, used }) = self.heap.get_mut(id) else { return Value::None };
        let separator = separator.clone();
        if std::mem::replace(used, true) {
            return Value::Str(separator);
        }
        self.heap.str("").unwrap_or(Value::None)
    }

    /// Runs a macro; what it writes is its value.
    fn invoke(
        &mut self,
        closure: &Closure,
        mut arguments: Arguments,
        caller: Option<Value>,
        at: Span,
    ) -> Res<Value> {
        let definition = &closure.definition;
        let name = &definition.name;
        let mark = self.scopes.mark();
        let scope = self.scopes.open(Some(closure.scope));
        let place = Place { template: &closure.template, chain: closure.chain, scope, block: None };
        let caller = caller.or_else(|| arguments.take("caller"));
        if definition.uses_caller {
            self.scopes.set(scope, self.special.caller, caller.unwrap_or(Value::Undefined(at)));
        } else if caller.is_some() {
            return Err(Failure::render(format!(
                "the macro `{name}` does not use `caller()`, so `call` cannot be used with it"
            )));
        }
        let given = arguments.positional.len();
        let mut positional = arguments.positional.into_iter();
        let first_default =
            definition.parameters.len() - definition.defaults.len().min(definition.parameters.len());
        let mut named = arguments.named;
        for (i, (parameter, variable)) in definition.parameters.iter().enumerate() {
            let by_name = named.iter().position(|(known, _)| known == parameter).map(|i| named.remove(i).1);
            let value = match (positional.next(), by_name) {
                (Some(_), Some(_)) => {
                    return Err(Failure::render(format!("the macro `{name}` is given `{parameter}` twice")));
                }
                (Some(value), None) | (None, Some(value)) => value,
                (None, None) => match i.checked_sub(first_default).and_then(|i| definition.defaults.get(i)) {
                    Some(default) => self.eval(place, default)?,
                    None => Value::Undefined(at),
                },
            };
            self.scopes.set(scope, *variable, value);
        }
        let rest: Vec<Value> = positional.collect();
        if definition.uses_varargs {
            let rest = self.heap.tuple(rest)?;
            self.scopes.set(scope, self.special.varargs, rest);
        } else if !rest.is_empty() {
            let most = definition.parameters.len();
            return Err(Failure::render(format!(
                "the macro `{name}` takes {most} arguments, {given} are given"
            )));
        }
        if definition.uses_kwargs {
            let mut dict = Dict::new();
            for (name, value) in named {
                let key = self.heap.str(&*name)?;
                dict.insert(self.heap.key(&key)?, (key, value));
            }
            let kwargs = self.heap.add(Object::Dict(dict))?;
            self.scopes.set(scope, self.special.kwargs, kwargs);
        } else if let Some((unknown, _)) = named.first() {
            let failure = Failure::render(format!("the macro `{name}` has no parameter `{unknown}`"));
            let known = definition.parameters.iter().map(|(name, _)| &**name);
            return Err(match crate::diagnostic::nearest(unknown, known) {
                Some(known) => failure.help(format!("did you mean `{known}`?")),
                None => failure,
            });
        }
        let result = self.captured(|this| this.deeper(at, |this| this.body(place, &definition.body)));
        let result = result.map_err(|failure| failure.through(at, "called here"));
        // What the macro defined inside of itself may live on in what it returned by way of a namespace.
        self.scopes.close(mark);
        result
    }
}
