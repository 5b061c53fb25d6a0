//! `for`, and the variable `loop` within it.

use super::ast::For;
use super::calls::Arguments;
use super::failure::{Failure, Res};
use super::value::{Chosen, Items, LoopState, Object, Recursion, Value};
use super::{Place, Renderer};
use crate::source::Span;
use std::cell::RefCell;
use std::rc::Rc;

impl Renderer<'_> {
    pub(super) fn for_loop(&mut self, place: Place<'_>, statement: &Rc<For>) -> Res<()> {
        let items = self.eval(place, &statement.items)?;
        self.run_loop(place, statement, &items, 0)
    }

    fn run_loop(&mut self, place: Place<'_>, statement: &Rc<For>, items: &Value, depth: usize) -> Res<()> {
        let at = statement.items.at;
        let live = match (items, self.heap.object(items)) {
            (Value::Object(list), Some(Object::List(items))) => {
                Some(Items::Live { list: *list, length: items.len() })
            }
            _ => None,
        };
        let items = match live {
            Some(live) => live,
            None => self.heap.items(items).map_err(|failure| failure.at(at))?,
        };
        let items = match &statement.condition {
            None => items,
            Some(_) => {
                Items::Chosen(RefCell::new(Chosen { source: Box::new(items), next: 0, kept: Vec::new() }))
            }
        };
        if !self.reaches(place, statement, &items, 0)? {
            return self.deeper(at, |this| this.body(place, &statement.otherwise));
        }
        let items = Rc::new(items);
        let state = if statement.uses_loop || statement.recursive {
            if statement.recursive {
                self.scopes.capture();
            }
            let recursion = (statement.recursive || statement.condition.is_some()).then(|| {
                Rc::new(Recursion {
                    statement: Rc::clone(statement),
                    template: Rc::clone(place.template),
                    chain: place.chain,
                    scope: place.scope,
                })
            });
            let state = LoopState { items: Rc::clone(&items), index: 0, depth, changed: None, recursion };
            Some(self.heap.add(Object::Loop(state))?)
        } else {
            None
        };
        self.deeper(at, |this| {
            let mut index = 0;
            while this.reaches(place, statement, &items, index)? {
                let Some(item) = items.get(index, &this.heap) else { break };
                this.heap.work(1).map_err(|failure| failure.at(at))?;
                if let Some(Value::Object(id)) = &state
                    && let Some(Object::Loop(state)) = this.heap.get_mut(*id)
                {
                    state.index = index;
                }
                let mark = this.scopes.mark();
                let scope = this.scopes.open(Some(place.scope));
                if let Some(state) = &state {
                    this.scopes.set(scope, this.special.the_loop, state.clone());
                }
                let place = Place { scope, ..place };
                this.assign(place, &statement.target, item)?;
                this.body(place, &statement.body)?;
                this.scopes.close(mark);
                index += 1;
            }
            // The scope that the `if` looked into may be gone from here on.
            if let Items::Chosen(chosen) = &*items {
                chosen.borrow_mut().next = usize::MAX;
            }
            Ok(())
        })
    }

    /// Whether there is such an item; the `if` of the loop is asked up to there.
    fn reaches(&mut self, place: Place<'_>, statement: &For, items: &Items, index: usize) -> Res<bool> {
        let (Items::Chosen(chosen), Some(condition)) = (items, &statement.condition) else {
            return Ok(items.get(index, &self.heap).is_some());
        };
        while chosen.borrow().kept.len() <= index {
            let item = {
                let mut chosen = chosen.borrow_mut();
                let Some(item) = chosen.source.get(chosen.next, &self.heap) else { return Ok(false) };
                chosen.next += 1;
                item
            };
            self.heap.work(1)?;
            let mark = self.scopes.mark();
            let scope = self.scopes.open(Some(place.scope));
            let place = Place { scope, ..place };
            self.assign(place, &statement.target, item.clone())?;
            let holds = self.eval(place, condition)?;
            if self.heap.truth(&holds) {
                self.heap.grow(1)?;
                chosen.borrow_mut().kept.push(item);
            }
            self.scopes.close(mark);
        }
        Ok(true)
    }

    /// Asks the `if` of a loop for as many items as an attribute of `loop` has to know of.
    pub(super) fn look_ahead(&mut self, value: &Value, name: &str) -> Res<()> {
        let Some(Object::Loop(state)) = self.heap.object(value) else { return Ok(()) };
        let Some(recursion) = state.recursion.clone() else { return Ok(()) };
        let index = match name {
            "last" | "nextitem" => state.index + 1,
            "length" | "revindex" | "revindex0" => usize::MAX,
            _ => return Ok(()),
        };
        let items = Rc::clone(&state.items);
        let (template, chain, scope) = (&recursion.template, recursion.chain, recursion.scope);
        let place = Place { template, chain, scope, block: None };
        self.reaches(place, &recursion.statement, &items, index).map(|_| ())
    }

    /// An attribute of `loop`.
    pub(super) fn loop_attribute(&self, state: &LoopState, name: &str, at: Span) -> Option<Value> {
        let (index, length) = (state.index, state.items.len());
        let int = |number: usize| Value::Int(number as i128);
        let neighbour = |item: Option<Value>| item.unwrap_or(Value::Undefined(at));
        Some(match name {
            "index" => int(index + 1),
            "index0" => int(index),
            "revindex" => int(length.saturating_sub(index)),
            "revindex0" => int(length.saturating_sub(index + 1)),
            "first" => Value::Bool(index == 0),
            "last" => Value::Bool(index + 1 == length),
            "length" => int(length),
            "depth" => int(state.depth + 1),
            "depth0" => int(state.depth),
            "previtem" => {
                neighbour(index.checked_sub(1).and_then(|index| state.items.get(index, &self.heap)))
            }
            "nextitem" => neighbour(state.items.get(index + 1, &self.heap)),
            _ => return None,
        })
    }

    /// `loop.cycle(…)` and `loop.changed(…)`.
    pub(super) fn loop_method(
        &mut self,
        id: super::value::Id,
        name: &str,
        arguments: &Arguments,
    ) -> Res<Option<Value>> {
        let Some(Object::Loop(state)) = self.heap.get(id) else { return Ok(None) };
        let values = arguments.positional.clone();
        match name {
            "cycle" => {
                if values.is_empty() {
                    return Err(Failure::render("`loop.cycle` needs something to cycle through"));
                }
                Ok(values.get(state.index % values.len()).cloned())
            }
            "changed" => {
                let same = match &state.changed {
                    Some(last) if last.len() == values.len() => {
                        let mut same = true;
                        for (a, b) in last.iter().zip(&values) {
                            same = same && self.heap.equal(a, b)?;
                        }
                        same
                    }
                    _ => false,
                };
                self.heap.grow(values.len())?;
                if let Some(Object::Loop(state)) = self.heap.get_mut(id) {
                    state.changed = Some(values);
                }
                Ok(Some(Value::Bool(!same)))
            }
            _ => Ok(None),
        }
    }

    /// `loop(items)`: the loop again, over other items; what it writes is the value.
    pub(super) fn recurse(&mut self, id: super::value::Id, arguments: &Arguments, at: Span) -> Res<Value> {
        let Some(Object::Loop(state)) = self.heap.get(id) else {
            return Err(Failure::render("there is no loop here"));
        };
        let Some(recursion) = state.recursion.clone().filter(|recursion| recursion.statement.recursive)
        else {
            return Err(Failure::render("this loop cannot be called")
                .help("say `recursive` at its end: `{% for x in items recursive %}`"));
        };
        let depth = state.depth + 1;
        let [items] = arguments.exactly("loop", ["iterable"])?;
        let place = Place {
            template: &recursion.template,
            chain: recursion.chain,
            scope: recursion.scope,
            block: None,
        };
        self.captured(|this| {
            this.deeper(at, |this| this.run_loop(place, &recursion.statement, &items, depth))
        })
    }
}
