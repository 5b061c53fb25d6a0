//! From a template's text to its [`Template`]: minijinja reads the syntax, which is Jinja2's; what it drops because
//! its own engine has no use for it (`with context`, `scoped`) is read from the tags here.

mod complexity;
mod mistakes;
mod strings;

use super::ast::{
    Argument, Block, Comparison, Expr, ExprKind, FilterCall, For, Macro, Name, Operator, Stmt, Target,
    Template,
};
use super::failure::{Failure, Res};
use super::scope::Names;
use super::text::{Meter, Text};
use crate::source::{SourceId, Span};
use minijinja::machinery::{self, ast};
use minijinja::syntax::SyntaxConfig;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Parses one file.
pub(super) fn parse(
    source: SourceId,
    text: &Arc<str>,
    names: &mut Names,
    meter: &Rc<Meter>,
) -> Res<Template> {
    complexity::check(source, text)?;
    let parsed = machinery::parse(text, "", SyntaxConfig::default());
    let parsed = parsed.map_err(|error| mistakes::explain(source, text, &error))?;
    let ast::Stmt::Template(parsed) = parsed else {
        return Err(Failure::render("the template has no body"));
    };
    let mut lowering =
        Lowering { source, text, names, meter, blocks: BTreeMap::new(), uses: Uses::default() };
    let body = lowering.body(&parsed.children)?;
    Ok(Template { body, blocks: lowering.blocks, text: Arc::clone(text) })
}

struct Lowering<'a> {
    source: SourceId,
    text: &'a str,
    names: &'a mut Names,
    meter: &'a Rc<Meter>,
    blocks: BTreeMap<Rc<str>, Rc<Block>>,
    uses: Uses,
}

/// Which of the special variables were named since this was last reset.
#[expect(clippy::struct_excessive_bools, reason = "four independent facts")]
#[derive(Debug, Default, Clone, Copy)]
struct Uses {
    the_loop: bool,
    caller: bool,
    varargs: bool,
    kwargs: bool,
}

impl Uses {
    fn and(self, other: Self) -> Self {
        Self {
            the_loop: self.the_loop || other.the_loop,
            caller: self.caller || other.caller,
            varargs: self.varargs || other.varargs,
            kwargs: self.kwargs || other.kwargs,
        }
    }
}

impl Lowering<'_> {
    fn at(&self, span: machinery::Span) -> Span {
        let length = super::text::small(self.text.len());
        let start = span.start_offset.min(length);
        Span { source: self.source, start, end: span.end_offset.clamp(start, length) }
    }

    fn written(&self, at: Span) -> &str {
        self.text.get(at.start as usize..at.end as usize).unwrap_or("")
    }

    /// The part of a statement that is its first tag.
    fn tag_only(&self, at: Span) -> Span {
        let tag = self.written(at).split("%}").next().unwrap_or("");
        let tag = tag.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '+'));
        Span { end: at.start + super::text::small(tag.len()), ..at }
    }

    fn literal(&self, text: &str) -> Res<Text> {
        Ok(Text::new(text.to_owned(), Vec::new(), self.meter)?)
    }

    /// Lowers something, and tells which special variables it names; they count as named outside as well.
    fn noting<T>(&mut self, lower: impl FnOnce(&mut Self) -> Res<T>) -> Res<(T, Uses)> {
        let before = std::mem::take(&mut self.uses);
        let lowered = lower(self)?;
        let within = self.uses;
        self.uses = before.and(within);
        Ok((lowered, within))
    }

    fn body(&mut self, statements: &[ast::Stmt<'_>]) -> Res<Vec<Stmt>> {
        statements.iter().map(|statement| self.statement(statement)).collect()
    }

    fn statement(&mut self, statement: &ast::Stmt<'_>) -> Res<Stmt> {
        Ok(match statement {
            ast::Stmt::Template(template) => {
                let at = self.at(template.span());
                let enabled = Expr { at, kind: Box::new(ExprKind::Bool(false)) };
                Stmt::Autoescape { enabled, body: self.body(&template.children)? }
            }
            ast::Stmt::EmitRaw(raw) => Stmt::Raw(self.raw(raw.raw)),
            ast::Stmt::EmitExpr(emit) => Stmt::Emit(self.expr(&emit.expr)?),
            ast::Stmt::ForLoop(statement) => self.for_loop(statement)?,
            ast::Stmt::IfCond(statement) => self.condition(statement)?,
            ast::Stmt::WithBlock(with) => {
                let assignments = with
                    .assignments
                    .iter()
                    .map(|(target, value)| Ok((self.target(target)?, self.expr(value)?)))
                    .collect::<Res<_>>()?;
                Stmt::With { assignments, body: self.body(&with.body)? }
            }
            ast::Stmt::Set(set) => {
                let value = self.expr(&set.expr)?;
                Stmt::Set { target: self.target(&set.target)?, value }
            }
            ast::Stmt::SetBlock(set) => {
                let mut filters = Vec::new();
                if let Some(filter) = &set.filter {
                    self.filters(filter, &mut filters)?;
                }
                Stmt::SetBlock { target: self.target(&set.target)?, filters, body: self.body(&set.body)? }
            }
            ast::Stmt::FilterBlock(filter) => {
                let mut filters = Vec::new();
                self.filters(&filter.filter, &mut filters)?;
                Stmt::FilterBlock { filters, body: self.body(&filter.body)? }
            }
            ast::Stmt::AutoEscape(escape) => {
                Stmt::Autoescape { enabled: self.expr(&escape.enabled)?, body: self.body(&escape.body)? }
            }
            ast::Stmt::Block(block) => {
                let at = self.at(block.span());
                let scoped = tag_words(self.written(at)).any(|word| word == "scoped");
                self.uses.the_loop |= scoped;
                let lowered = Rc::new(Block {
                    name: Rc::from(block.name),
                    scoped,
                    required: block.required,
                    body: self.body(&block.body)?,
                    at: self.tag_only(at),
                });
                self.blocks.insert(Rc::clone(&lowered.name), Rc::clone(&lowered));
                Stmt::Block(lowered)
            }
            ast::Stmt::Extends(extends) => {
                Stmt::Extends { name: self.expr(&extends.name)?, at: self.at(extends.span()) }
            }
            ast::Stmt::Include(include) => {
                let at = self.at(include.span());
                Stmt::Include {
                    name: self.expr(&include.name)?,
                    ignore_missing: include.ignore_missing,
                    with_context: !self
                        .written(at)
                        .split_whitespace()
                        .rev()
                        .take(4)
                        .any(|word| word == "without"),
                    at,
                }
            }
            ast::Stmt::Import(import) => {
                let at = self.at(import.span());
                let target = self.name(&import.name)?;
                Stmt::Import {
                    name: self.expr(&import.expr)?,
                    target,
                    with_context: self.with_context(at),
                    at,
                }
            }
            ast::Stmt::FromImport(import) => {
                let at = self.at(import.span());
                let mut names = Vec::new();
                for (name, alias) in &import.names {
                    let ast::Expr::Var(exported) = name else { continue };
                    names.push((Rc::from(exported.id), self.name(alias.as_ref().unwrap_or(name))?));
                }
                Stmt::FromImport {
                    name: self.expr(&import.expr)?,
                    names,
                    with_context: self.with_context(at),
                    at,
                }
            }
            ast::Stmt::Macro(definition) => Stmt::Macro(self.definition(definition)?),
            ast::Stmt::CallBlock(block) => {
                let call = self.call(&block.call)?;
                Stmt::CallBlock { call, caller: self.definition(&block.macro_decl)? }
            }
            ast::Stmt::Do(statement) => Stmt::Do(self.call(&statement.call)?),
        })
    }

    /// Whether an import ends in `with context`; it has none by itself.
    fn with_context(&self, at: Span) -> bool {
        let mut words = self.written(at).split_whitespace().rev();
        words.next() == Some("context") && words.next() == Some("with")
    }

    /// Text outside of tags is a slice of the file, so its place is its address.
    fn raw(&self, raw: &str) -> Span {
        let start = (raw.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize).min(self.text.len());
        let end = (start + raw.len()).min(self.text.len());
        Span { source: self.source, start: super::text::small(start), end: super::text::small(end) }
    }

    fn for_loop(&mut self, statement: &ast::Spanned<ast::ForLoop<'_>>) -> Res<Stmt> {
        let target = self.target(&statement.target)?;
        let items = self.expr(&statement.iter)?;
        let ((condition, body), uses) = self.noting(|this| {
            let condition = statement.filter_expr.as_ref().map(|expr| this.expr(expr)).transpose()?;
            Ok((condition, this.body(&statement.body)?))
        })?;
        Ok(Stmt::For(Rc::new(For {
            target,
            items,
            condition,
            recursive: statement.recursive,
            uses_loop: uses.the_loop,
            body,
            otherwise: self.body(&statement.else_body)?,
        })))
    }

    /// `elif` is an `if` within the `else`; here the branches are flat again.
    fn condition(&mut self, statement: &ast::IfCond<'_>) -> Res<Stmt> {
        let mut branches = vec![(self.expr(&statement.expr)?, self.body(&statement.true_body)?)];
        let mut rest = statement.false_body.as_slice();
        while let [ast::Stmt::IfCond(nested)] = rest {
            branches.push((self.expr(&nested.expr)?, self.body(&nested.true_body)?));
            rest = &nested.false_body;
        }
        Ok(Stmt::If { branches, otherwise: self.body(rest)? })
    }

    fn definition(&mut self, definition: &ast::Macro<'_>) -> Res<Rc<Macro>> {
        let mut parameters = Vec::new();
        for parameter in &definition.args {
            let ast::Expr::Var(variable) = parameter else { continue };
            parameters.push((Rc::from(variable.id), self.names.intern(variable.id)));
        }
        let ((defaults, body), uses) = self.noting(|this| {
            let defaults =
                definition.defaults.iter().map(|default| this.expr(default)).collect::<Res<_>>()?;
            Ok((defaults, this.body(&definition.body)?))
        })?;
        Ok(Rc::new(Macro {
            name: Rc::from(definition.name),
            bound_to: self.names.intern(definition.name),
            parameters,
            defaults,
            body,
            uses_caller: uses.caller,
            uses_varargs: uses.varargs,
            uses_kwargs: uses.kwargs,
        }))
    }

    fn name(&mut self, expr: &ast::Expr<'_>) -> Res<Name> {
        match expr {
            ast::Expr::Var(variable) => Ok(self.names.intern(variable.id)),
            _ => Err(Failure::new(crate::diagnostic::Code::TemplateSyntax, "a name is needed here")
                .at(self.at(expr.span()))),
        }
    }

    fn target(&mut self, expr: &ast::Expr<'_>) -> Res<Target> {
        Ok(match expr {
            ast::Expr::GetAttr(attribute) => Target::Attribute {
                namespace: self.name(&attribute.expr)?,
                attribute: Rc::from(attribute.name),
                at: self.at(attribute.span()),
            },
            ast::Expr::List(list) => Target::Unpack {
                targets: list.items.iter().map(|item| self.target(item)).collect::<Res<_>>()?,
                at: self.at(list.span()),
            },
            _ => Target::Name(self.name(expr)?),
        })
    }

    /// A chain of filters without a value, first to last.
    fn filters(&mut self, expr: &ast::Expr<'_>, chain: &mut Vec<FilterCall>) -> Res<()> {
        let ast::Expr::Filter(filter) = expr else { return Ok(()) };
        if let Some(inner) = &filter.expr {
            self.filters(inner, chain)?;
        }
        let arguments = self.arguments(&filter.args)?;
        chain.push(FilterCall { name: Rc::from(filter.name), arguments, at: self.at(filter.span()) });
        Ok(())
    }

    fn arguments(&mut self, arguments: &[ast::CallArg<'_>]) -> Res<Vec<Argument>> {
        arguments
            .iter()
            .map(|argument| {
                Ok(match argument {
                    ast::CallArg::Pos(expr) => Argument::Positional(self.expr(expr)?),
                    ast::CallArg::Kwarg(name, expr) => Argument::Named(Rc::from(*name), self.expr(expr)?),
                    ast::CallArg::PosSplat(expr) => Argument::Spread(self.expr(expr)?),
                    ast::CallArg::KwargSplat(expr) => Argument::SpreadNamed(self.expr(expr)?),
                })
            })
            .collect()
    }

    fn call(&mut self, call: &ast::Spanned<ast::Call<'_>>) -> Res<Expr> {
        let callee = self.expr(&call.expr)?;
        let at = self.at(call.span());
        let kind = ExprKind::Call { callee, arguments: self.arguments(&call.args)? };
        Ok(Expr { at: Span { start: at.start.min(self.start_of(&call.expr)), ..at }, kind: Box::new(kind) })
    }

    fn start_of(&self, expr: &ast::Expr<'_>) -> u32 {
        self.at(expr.span()).start
    }

    fn optional(&mut self, expr: Option<&ast::Expr<'_>>) -> Res<Option<Expr>> {
        expr.map(|expr| self.expr(expr)).transpose()
    }

    fn list(&mut self, items: &[ast::Expr<'_>]) -> Res<Vec<Expr>> {
        items.iter().map(|item| self.expr(item)).collect()
    }

    fn expr(&mut self, expr: &ast::Expr<'_>) -> Res<Expr> {
        let mut at = self.at(expr.span());
        let kind = match expr {
            ast::Expr::Var(variable) => {
                match variable.id {
                    "loop" => self.uses.the_loop = true,
                    "caller" => self.uses.caller = true,
                    "varargs" => self.uses.varargs = true,
                    "kwargs" => self.uses.kwargs = true,
                    _ => {}
                }
                ExprKind::Variable(self.names.intern(variable.id))
            }
            ast::Expr::Const(constant) => match strings::unescaped(self.written(at)) {
                Some(text) if constant.value.as_str().is_some() => ExprKind::Str(self.literal(&text?)?),
                _ => self.constant(&constant.value, at)?,
            },
            ast::Expr::Slice(slice) => {
                at.start = at.start.min(self.start_of(&slice.expr));
                ExprKind::Slice {
                    value: self.expr(&slice.expr)?,
                    start: self.optional(slice.start.as_ref())?,
                    stop: self.optional(slice.stop.as_ref())?,
                    stride: self.optional(slice.step.as_ref())?,
                }
            }
            ast::Expr::UnaryOp(unary) => {
                let operand = self.expr(&unary.expr)?;
                match unary.op {
                    ast::UnaryOpKind::Not => ExprKind::Not(operand),
                    ast::UnaryOpKind::Neg => ExprKind::Negate(operand),
                }
            }
            ast::Expr::BinOp(binary) => {
                at.start = self.start_of(&binary.left).min(at.end);
                let (left, right) = (self.expr(&binary.left)?, self.expr(&binary.right)?);
                match operation(binary.op) {
                    Operation::And => ExprKind::And(left, right),
                    Operation::Or => ExprKind::Or(left, right),
                    Operation::Operator(operator) => ExprKind::Binary(operator, left, right),
                    Operation::Comparison(comparison) => ExprKind::Compare(left, vec![(comparison, right)]),
                }
            }
            ast::Expr::Compare(compare) => {
                at.start = self.start_of(&compare.expr).min(at.end);
                let first = self.expr(&compare.expr)?;
                let rest = compare
                    .ops
                    .iter()
                    .map(|operation| Ok((comparison(operation.op), self.expr(&operation.expr)?)))
                    .collect::<Res<_>>()?;
                ExprKind::Compare(first, rest)
            }
            ast::Expr::IfExpr(conditional) => {
                at.start = self.start_of(&conditional.true_expr).min(at.end);
                ExprKind::Conditional {
                    condition: self.expr(&conditional.test_expr)?,
                    yes: self.expr(&conditional.true_expr)?,
                    no: self.optional(conditional.false_expr.as_ref())?,
                }
            }
            ast::Expr::Filter(filter) => {
                let Some(value) = &filter.expr else {
                    return Err(Failure::new(
                        crate::diagnostic::Code::TemplateSyntax,
                        "a filter needs a value",
                    )
                    .at(at));
                };
                let value = self.expr(value)?;
                let arguments = self.arguments(&filter.args)?;
                let filter = FilterCall { name: Rc::from(filter.name), arguments, at };
                at.start = value.at.start.min(at.end);
                ExprKind::Filter { value, filter }
            }
            ast::Expr::Test(test) => {
                let value = self.expr(&test.expr)?;
                let arguments = self.arguments(&test.args)?;
                let test = FilterCall { name: Rc::from(test.name), arguments, at };
                at.start = value.at.start.min(at.end);
                ExprKind::Test { value, test }
            }
            ast::Expr::GetAttr(attribute) => {
                let value = self.expr(&attribute.expr)?;
                at.start = at.start.min(value.at.start);
                ExprKind::Attribute(value, Rc::from(attribute.name))
            }
            ast::Expr::GetItem(item) => {
                let value = self.expr(&item.expr)?;
                at.start = at.start.min(value.at.start);
                ExprKind::Item(value, self.expr(&item.subscript_expr)?)
            }
            ast::Expr::Call(call) => return self.call(call),
            ast::Expr::List(list) => ExprKind::List(self.list(&list.items)?),
            ast::Expr::Tuple(tuple) => ExprKind::Tuple(self.list(&tuple.items)?),
            ast::Expr::Map(map) => {
                let pairs = map.keys.iter().zip(&map.values);
                ExprKind::Dict(
                    pairs.map(|(key, value)| Ok((self.expr(key)?, self.expr(value)?))).collect::<Res<_>>()?,
                )
            }
        };
        Ok(Expr { at, kind: Box::new(kind) })
    }

    fn constant(&self, value: &minijinja::Value, at: Span) -> Res<ExprKind> {
        use minijinja::value::ValueKind;
        if value.kind() == ValueKind::Number && !is_number(self.written(at)) {
            let message = format!("`{}` is not a number", self.written(at));
            return Err(Failure::new(crate::diagnostic::Code::TemplateSyntax, message)
                .at(at)
                .help("a number does not begin with 0, nor end with a point; `0o17` is octal"));
        }
        Ok(match value.kind() {
            ValueKind::Bool => ExprKind::Bool(value.is_true()),
            ValueKind::String => ExprKind::Str(self.literal(value.as_str().unwrap_or_default())?),
            ValueKind::Number => match i128::try_from(value.clone()) {
                Ok(int) if value.is_integer() => ExprKind::Int(int),
                _ => match f64::try_from(value.clone()) {
                    Ok(float) if !value.is_integer() => ExprKind::Float(float),
                    _ => return Err(Failure::render("the number is too large").at(at)),
                },
            },
            _ => ExprKind::None,
        })
    }
}

/// Whether Jinja2 reads it as a number, too: of what the parser does.
fn is_number(written: &str) -> bool {
    let is_decimal = written.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let leads_with_zero = written.starts_with('0') && written.bytes().any(|b| !matches!(b, b'0' | b'_'));
    let ends_open = written.ends_with(['.', '_']);
    !(ends_open || is_decimal && leads_with_zero || written.contains("__"))
}

/// The words of a tag up to its end.
fn tag_words(written: &str) -> impl Iterator<Item = &str> {
    let tag = written.split("%}").next().unwrap_or("");
    tag.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

enum Operation {
    And,
    Or,
    Operator(Operator),
    Comparison(Comparison),
}

fn operation(kind: ast::BinOpKind) -> Operation {
    match kind {
        ast::BinOpKind::ScAnd => Operation::And,
        ast::BinOpKind::ScOr => Operation::Or,
        ast::BinOpKind::Add => Operation::Operator(Operator::Add),
        ast::BinOpKind::Sub => Operation::Operator(Operator::Subtract),
        ast::BinOpKind::Mul => Operation::Operator(Operator::Multiply),
        ast::BinOpKind::Div => Operation::Operator(Operator::Divide),
        ast::BinOpKind::FloorDiv => Operation::Operator(Operator::FloorDivide),
        ast::BinOpKind::Rem => Operation::Operator(Operator::Remainder),
        ast::BinOpKind::Pow => Operation::Operator(Operator::Power),
        ast::BinOpKind::Concat => Operation::Operator(Operator::Concatenate),
        ast::BinOpKind::Eq => Operation::Comparison(Comparison::Equal),
        ast::BinOpKind::Ne => Operation::Comparison(Comparison::NotEqual),
        ast::BinOpKind::Lt => Operation::Comparison(Comparison::Less),
        ast::BinOpKind::Lte => Operation::Comparison(Comparison::LessOrEqual),
        ast::BinOpKind::Gt => Operation::Comparison(Comparison::Greater),
        ast::BinOpKind::Gte => Operation::Comparison(Comparison::GreaterOrEqual),
        ast::BinOpKind::In => Operation::Comparison(Comparison::In),
    }
}

fn comparison(kind: ast::CompareOpKind) -> Comparison {
    match kind {
        ast::CompareOpKind::Eq => Comparison::Equal,
        ast::CompareOpKind::Ne => Comparison::NotEqual,
        ast::CompareOpKind::Lt => Comparison::Less,
        ast::CompareOpKind::Lte => Comparison::LessOrEqual,
        ast::CompareOpKind::Gt => Comparison::Greater,
        ast::CompareOpKind::Gte => Comparison::GreaterOrEqual,
        ast::CompareOpKind::In => Comparison::In,
        ast::CompareOpKind::NotIn => Comparison::NotIn,
    }
}
