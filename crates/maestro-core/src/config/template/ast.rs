//! The shape of a parsed template. Owned, so that macros and blocks can outlive the parse of their file.

use super::text::Text;
use crate::source::Span;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A variable's name, as an index into [`super::scope::Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) u32);

/// One parsed file.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) body: Vec<Stmt>,
    /// Every block of the file, nested ones included.
    pub(super) blocks: BTreeMap<Rc<str>, Rc<Block>>,
    pub(super) text: std::sync::Arc<str>,
}

#[derive(Debug)]
pub(super) enum Stmt {
    /// Text outside of tags.
    Raw(Span),
    Emit(Expr),
    For(Rc<For>),
    If {
        branches: Vec<(Expr, Vec<Stmt>)>,
        otherwise: Vec<Stmt>,
    },
    With {
        assignments: Vec<(Target, Expr)>,
        body: Vec<Stmt>,
    },
    Set {
        target: Target,
        value: Expr,
    },
    SetBlock {
        target: Target,
        filters: Vec<FilterCall>,
        body: Vec<Stmt>,
    },
    FilterBlock {
        filters: Vec<FilterCall>,
        body: Vec<Stmt>,
    },
    /// `autoescape`: without effect when off, an error when on.
    Autoescape {
        enabled: Expr,
        body: Vec<Stmt>,
    },
    Block(Rc<Block>),
    Extends {
        name: Expr,
        at: Span,
    },
    Include {
        name: Expr,
        ignore_missing: bool,
        with_context: bool,
        at: Span,
    },
    Import {
        name: Expr,
        target: Name,
        with_context: bool,
        at: Span,
    },
    FromImport {
        name: Expr,
        names: Vec<(Rc<str>, Name)>,
        with_context: bool,
        at: Span,
    },
    Macro(Rc<Macro>),
    CallBlock {
        call: Expr,
        caller: Rc<Macro>,
    },
    Do(Expr),
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) target: Target,
    pub(super) items: Expr,
    pub(super) condition: Option<Expr>,
    pub(super) recursive: bool,
    pub(super) uses_loop: bool,
    pub(super) body: Vec<Stmt>,
    pub(super) otherwise: Vec<Stmt>,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) name: Rc<str>,
    pub(super) scoped: bool,
    pub(super) required: bool,
    pub(super) body: Vec<Stmt>,
    pub(super) at: Span,
}

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Rc<str>,
    pub(super) bound_to: Name,
    pub(super) parameters: Vec<(Rc<str>, Name)>,
    /// Of the last parameters.
    pub(super) defaults: Vec<Expr>,
    pub(super) body: Vec<Stmt>,
    pub(super) uses_caller: bool,
    pub(super) uses_varargs: bool,
    pub(super) uses_kwargs: bool,
}

/// What can be assigned to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Name),
    /// An attribute of a `namespace()`.
    Attribute {
        namespace: Name,
        attribute: Rc<str>,
        at: Span,
    },
    Unpack {
        targets: Vec<Target>,
        at: Span,
    },
}

/// A filter or test with the arguments after its first.
#[derive(Debug)]
pub(super) struct FilterCall {
    pub(super) name: Rc<str>,
    pub(super) arguments: Vec<Argument>,
    pub(super) at: Span,
}

#[derive(Debug)]
pub(super) enum Argument {
    Positional(Expr),
    Named(Rc<str>, Expr),
    /// `*list`
    Spread(Expr),
    /// `**mapping`
    SpreadNamed(Expr),
}

#[derive(Debug)]
pub(super) struct Expr {
    pub(super) at: Span,
    pub(super) kind: Box<ExprKind>,
}

#[derive(Debug)]
pub(super) enum ExprKind {
    Variable(Name),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Text),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Not(Expr),
    Negate(Expr),
    And(Expr, Expr),
    Or(Expr, Expr),
    Binary(Operator, Expr, Expr),
    /// `a < b < c`: each pair must hold.
    Compare(Expr, Vec<(Comparison, Expr)>),
    Conditional {
        condition: Expr,
        yes: Expr,
        no: Option<Expr>,
    },
    Filter {
        value: Expr,
        filter: FilterCall,
    },
    Test {
        value: Expr,
        test: FilterCall,
    },
    Attribute(Expr, Rc<str>),
    Item(Expr, Expr),
    Slice {
        value: Expr,
        start: Option<Expr>,
        stop: Option<Expr>,
        stride: Option<Expr>,
    },
    Call {
        callee: Expr,
        arguments: Vec<Argument>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
    /// `~`
    Concatenate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}
