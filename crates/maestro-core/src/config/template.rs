//! The template stage: Jinja2 as maestro-ng's files use it (specification, section 2.1).
//!
//! minijinja reads the syntax. The semantics are Python's and Jinja2's and are done here, because that is what the
//! files rely on: lists that are appended to, methods of strings and dictionaries, `%`, imports without context.
//! It also lets every step be counted, and every piece of the output be traced to the file that it stands in.
//!
//! Reads files through [`Sources`] only. Knows nothing of YAML.

mod arithmetic;
mod ast;
mod calls;
mod expressions;
mod failure;
mod files;
mod filters;
mod format;
mod functions;
mod loops;
mod methods;
mod operators;
mod parse;
mod percent;
mod predicates;
mod scope;
mod standalone;
mod statements;
#[cfg(test)]
mod tests;
mod text;
mod value;
mod written;

use super::limits::Limits;
use crate::diagnostic::Diagnostic;
use crate::source::{SourceId, SourceMap, Sources, Span};
use ast::Name;
use failure::{Failure, Res};
use scope::{Names, ScopeId, Scopes};
use std::collections::BTreeMap;
use std::rc::Rc;
use text::{Meter, Output};
use value::{Heap, Object, Value};

pub(crate) use format::format_texts;
pub use standalone::Unrenderable;
pub(in crate::config) use standalone::check_syntax;
pub(crate) use standalone::render_values;
pub(crate) use text::Segment;

/// What rendering produced.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// The text for the YAML stage.
    pub(crate) text: String,
    /// Which parts of it stand in a file just so, in the order of the text.
    pub(crate) segments: Vec<Segment>,
}

/// Whether a text has any template syntax. Without, rendering leaves it as it is, but for its last line end.
pub(crate) fn has_logic(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Renders the environment file, whose text is already in the map; files that it includes are added there.
pub(crate) fn render(
    environment: SourceId,
    sources: &dyn Sources,
    limits: &Limits,
    map: &mut SourceMap,
) -> Result<Rendered, Diagnostic> {
    let mut renderer = Renderer::new(sources, limits, map);
    let result = renderer.environment(environment);
    result.map_err(|failure| failure.into_diagnostic(map))
}

/// Everything that one rendering keeps.
struct Renderer<'a> {
    sources: &'a dyn Sources,
    limits: &'a Limits,
    map: &'a mut SourceMap,
    names: Names,
    special: Special,
    heap: Heap,
    scopes: Scopes,
    /// Templates by the name they were asked for, and modules that were imported without context.
    templates: BTreeMap<String, Rc<ast::Template>>,
    modules: BTreeMap<String, Value>,
    /// What `extends` builds up: for each rendering of a template, the blocks of it and of its parents.
    chains: Vec<Chain>,
    /// Where output goes: the last one is in use.
    outputs: Vec<Output>,
    depth: usize,
}

/// Names with a meaning of their own.
struct Special {
    env: Name,
    the_self: Name,
    the_super: Name,
    the_loop: Name,
    caller: Name,
    varargs: Name,
    kwargs: Name,
}

/// A block, and the template that it stands in.
type Definition = (Rc<ast::Template>, Rc<ast::Block>);

/// The blocks of a template and its parents, the most derived first.
#[derive(Debug, Default)]
struct Chain {
    blocks: BTreeMap<Rc<str>, Vec<Definition>>,
    /// Where the blocks look for variables.
    root: Option<ScopeId>,
}

/// Where in a template evaluation is.
#[derive(Clone, Copy)]
struct Place<'t> {
    template: &'t Rc<ast::Template>,
    chain: usize,
    scope: ScopeId,
    /// The block that is being rendered, and how far up the chain.
    block: Option<(&'t Rc<str>, usize)>,
}

/// How deep evaluation may nest, all kinds of nesting counted together: this is what bounds the stack.
const DEEPEST: usize = 250;

impl<'a> Renderer<'a> {
    fn new(sources: &'a dyn Sources, limits: &'a Limits, map: &'a mut SourceMap) -> Self {
        let mut names = Names::default();
        let special = Special {
            env: names.intern("env"),
            the_self: names.intern("self"),
            the_super: names.intern("super"),
            the_loop: names.intern("loop"),
            caller: names.intern("caller"),
            varargs: names.intern("varargs"),
            kwargs: names.intern("kwargs"),
        };
        let meter = Meter::new(limits.template_steps, limits.template_bytes);
        let outputs = vec![Output::new(&meter)];
        Self {
            sources,
            limits,
            map,
            names,
            special,
            heap: Heap::new(meter),
            scopes: Scopes::default(),
            templates: BTreeMap::new(),
            modules: BTreeMap::new(),
            chains: Vec::new(),
            outputs,
            depth: 0,
        }
    }

    fn environment(&mut self, environment: SourceId) -> Res<Rendered> {
        let text = self.map.get(environment).map(|source| source.text.clone()).unwrap_or_default();
        let template = Rc::new(parse::parse(environment, &text, &mut self.names, &self.heap.meter)?);
        let root = self.scopes.open(None);
        let env = self.process_environment()?;
        self.scopes.set(root, self.special.env, env);
        self.template(&template, root)?;
        let (text, segments) = self.outputs.pop().map(Output::finish).unwrap_or_default();
        Ok(Rendered { text, segments })
    }

    fn process_environment(&mut self) -> Res<Value> {
        let mut variables = value::Dict::new();
        for (name, value) in self.sources.variables() {
            let (name, value) = (self.heap.str(name)?, self.heap.str(value)?);
            variables.insert(self.heap.key(&name)?, (name, value));
        }
        self.heap.add(Object::Dict(variables))
    }

    /// One level deeper; an error where that would use up the stack.
    fn deeper<T>(&mut self, at: Span, work: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        self.heap.meter.work(1).map_err(|exhausted| Failure::from(exhausted).at(at))?;
        if self.depth >= DEEPEST {
            return Err(Failure::runaway("the template calls itself too deep")
                .at(at)
                .help("look for a macro, an include or a recursive loop that does not stop"));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    fn output(&mut self) -> Res<&mut Output> {
        let limit = self.limits.rendered_bytes;
        match self.outputs.last_mut() {
            Some(output) if output.text.len() <= limit => Ok(output),
            Some(_) => Err(Failure::new(
                crate::diagnostic::Code::TooLarge,
                format!("the rendered text is larger than {} MiB", limit >> 20),
            )
            .help("look for a loop over too many items")),
            None => Err(Failure::runaway("there is nowhere to write to")),
        }
    }

    /// Runs something, and returns what it wrote as a value.
    fn captured(&mut self, work: impl FnOnce(&mut Self) -> Res<()>) -> Res<Value> {
        self.outputs.push(Output::new(&self.heap.meter));
        let result = work(self);
        let (text, segments) = self.outputs.pop().map(Output::finish).unwrap_or_default();
        result?;
        Ok(Value::Str(text::Text::new(text, segments, &self.heap.meter)?))
    }
}
