//! Variables: which name stands for what, where.
//!
//! Scopes live in one list and name their parent by index. That keeps closures of macros alive without reference
//! cycles, and frees a chain of any length without recursion.

use super::ast::Name;
use super::value::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The names in use, so that looking one up compares numbers.
#[derive(Debug, Default)]
pub(super) struct Names {
    texts: Vec<Rc<str>>,
    index: BTreeMap<Rc<str>, Name>,
}

impl Names {
    pub(super) fn intern(&mut self, text: &str) -> Name {
        if let Some(name) = self.index.get(text) {
            return *name;
        }
        let name = Name(super::text::small(self.texts.len()));
        let text: Rc<str> = Rc::from(text);
        self.texts.push(Rc::clone(&text));
        self.index.insert(text, name);
        name
    }

    pub(super) fn text(&self, name: Name) -> Rc<str> {
        self.texts.get(name.0 as usize).map_or_else(|| Rc::from(""), Rc::clone)
    }
}

/// Which scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScopeId(usize);

#[derive(Debug, Default)]
struct Scope {
    parent: Option<ScopeId>,
    variables: Vec<(Name, Value)>,
    /// Where in the list a name is, once the list is long.
    index: BTreeMap<Name, usize>,
}

/// From here on a scope has an index.
const LONG: usize = 16;

impl Scope {
    fn position(&self, name: Name) -> Option<usize> {
        if self.variables.len() < LONG {
            return self.variables.iter().position(|(known, _)| *known == name);
        }
        self.index.get(&name).copied()
    }

    fn set(&mut self, name: Name, value: Value) {
        if let Some((_, slot)) = self.position(name).and_then(|i| self.variables.get_mut(i)) {
            *slot = value;
            return;
        }
        self.variables.push((name, value));
        if self.variables.len() == LONG {
            self.index = self.variables.iter().enumerate().map(|(i, (name, _))| (*name, i)).collect();
        } else if self.variables.len() > LONG {
            self.index.insert(name, self.variables.len() - 1);
        }
    }
}

/// All scopes of a rendering.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    scopes: Vec<Scope>,
    /// How often a scope was captured by a macro: what was captured may not be dropped.
    captures: usize,
}

/// A point to return to when the scopes opened since then are done with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    scopes: usize,
    captures: usize,
}

impl Scopes {
    pub(super) fn open(&mut self, parent: Option<ScopeId>) -> ScopeId {
        self.scopes.push(Scope { parent, ..Scope::default() });
        ScopeId(self.scopes.len() - 1)
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { scopes: self.scopes.len(), captures: self.captures }
    }

    /// Drops the scopes opened since the mark, unless a macro holds one of them.
    pub(super) fn close(&mut self, mark: Mark) {
        if self.captures == mark.captures {
            self.scopes.truncate(mark.scopes);
        }
    }

    pub(super) fn capture(&mut self) {
        self.captures += 1;
    }

    pub(super) fn get(&self, scope: ScopeId, name: Name) -> Option<&Value> {
        let mut next = Some(scope);
        while let Some(scope) = next.and_then(|id| self.scopes.get(id.0)) {
            if let Some((_, value)) = scope.position(name).and_then(|i| scope.variables.get(i)) {
                return Some(value);
            }
            next = scope.parent;
        }
        None
    }

    pub(super) fn set(&mut self, scope: ScopeId, name: Name, value: Value) {
        if let Some(scope) = self.scopes.get_mut(scope.0) {
            scope.set(name, value);
        }
    }

    /// The variables of this scope alone.
    pub(super) fn variables(&self, scope: ScopeId) -> &[(Name, Value)] {
        self.scopes.get(scope.0).map_or(&[], |scope| &scope.variables)
    }
}
