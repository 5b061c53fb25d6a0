//! Python's objects, as far as templates can get hold of them.
//!
//! Everything that can contain something lives in one [`Heap`] and is named by its index: lists and dictionaries are
//! shared and changed in place as in Python, a list may contain itself, and freeing never recurses. What a template
//! makes is freed when rendering ends.

use super::ast::{For, Macro, Template};
use super::failure::{Failure, Res};
use super::scope::ScopeId;
use super::text::{Meter, Text};
use crate::source::Span;
use indexmap::IndexMap;
use std::cell::RefCell;
use std::rc::Rc;

/// A value. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing was found where this expression stands.
    Undefined(Span),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Text),
    /// One of the functions that every template has.
    Function(Function),
    Object(Id),
}

/// Which object of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(u32);

/// The functions that every template has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Function {
    Range,
    Dict,
    Namespace,
    Cycler,
    Joiner,
    Lipsum,
}

/// What of a dictionary a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Keys,
    Values,
    Items,
}

impl View {
    /// Python's name of the type.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Keys => "dict_keys",
            Self::Values => "dict_values",
            Self::Items => "dict_items",
        }
    }
}

/// A dictionary, in the order of insertion.
pub(super) type Dict = IndexMap<Key, (Value, Value)>;

/// `dict[key] = value`: of equal keys, the one that was there first stays.
pub(super) fn put(dict: &mut Dict, id: Key, key: Value, value: Value) {
    match dict.get_mut(&id) {
        Some((_, slot)) => *slot = value,
        None => {
            dict.insert(id, (key, value));
        }
    }
}

/// What lives on the heap.
#[derive(Debug)]
pub(super) enum Object {
    List(Vec<Value>),
    Tuple {
        items: Vec<Value>,
        /// Whether it is a group of `groupby`, whose items are also called `grouper` and `list`.
        is_group: bool,
    },
    Dict(Dict),
    /// `keys()`, `values()` or `items()` of a dictionary, which show what becomes of it.
    View {
        kind: View,
        dict: Id,
    },
    /// What a lazy filter returns: it can be iterated over once.
    Generator {
        items: Vec<Value>,
        next: usize,
    },
    Range {
        start: i128,
        stop: i128,
        stride: i128,
    },
    Namespace(Dict),
    Macro(Closure),
    /// A method that is not called yet.
    Method {
        receiver: Value,
        name: Rc<str>,
    },
    Loop(LoopState),
    /// What `import` binds: the top-level names of a template.
    Module {
        name: Rc<str>,
        exports: Dict,
        /// What rendering it wrote, which is what printing it writes.
        text: Value,
    },
    Cycler {
        items: Vec<Value>,
        next: usize,
    },
    Joiner {
        separator: Text,
        used: bool,
    },
    /// `self`: its attributes are the blocks.
    Blocks {
        chain: usize,
    },
    /// `super` within a block, or a block of `self`.
    Block {
        chain: usize,
        name: Rc<str>,
        level: usize,
    },
}

/// A macro with what it sees.
#[derive(Debug, Clone)]
pub(super) struct Closure {
    pub(super) definition: Rc<Macro>,
    pub(super) template: Rc<Template>,
    pub(super) chain: usize,
    pub(super) scope: ScopeId,
}

/// The variable `loop`.
#[derive(Debug)]
pub(super) struct LoopState {
    pub(super) items: Rc<Items>,
    pub(super) index: usize,
    pub(super) depth: usize,
    pub(super) changed: Option<Vec<Value>>,
    pub(super) recursion: Option<Rc<Recursion>>,
}

/// What calling `loop` needs, and asking for its next item.
#[derive(Debug)]
pub(super) struct Recursion {
    pub(super) statement: Rc<For>,
    pub(super) template: Rc<Template>,
    pub(super) chain: usize,
    pub(super) scope: ScopeId,
}

/// What is iterated over, its length known.
#[derive(Debug)]
pub(super) enum Items {
    Values(Vec<Value>),
    /// A list, which the loop may change as it goes.
    Live {
        list: Id,
        length: usize,
    },
    Range {
        start: i128,
        stride: i128,
        length: usize,
    },
    /// What the `if` of a loop lets through, asked as the loop goes: it may ask for what the loop changes.
    Chosen(RefCell<Chosen>),
}

/// The items that an `if` has let through so far.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) source: Box<Items>,
    /// Which one is asked for next; nothing is left once the loop has ended.
    pub(super) next: usize,
    pub(super) kept: Vec<Value>,
}

impl Items {
    /// How many there were to begin with; of chosen ones, how many there are so far.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Chosen(chosen) => chosen.borrow().kept.len(),
            Self::Live { length, .. } | Self::Range { length, .. } => *length,
        }
    }

    pub(super) fn get(&self, index: usize, heap: &Heap) -> Option<Value> {
        match self {
            Self::Values(values) => values.get(index).cloned(),
            Self::Chosen(chosen) => chosen.borrow().kept.get(index).cloned(),
            Self::Live { list, .. } => match heap.get(*list) {
                Some(Object::List(items)) => items.get(index).cloned(),
                _ => None,
            },
            Self::Range { start, stride, length } => {
                let index = (index < *length).then_some(index as i128)?;
                Some(Value::Int(start.checked_add(stride.checked_mul(index)?)?))
            }
        }
    }
}

/// A value as a dictionary tells it from others: `1`, `1.0` and `true` are one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    None,
    Undefined,
    Int(i128),
    /// A float that equals no integer, by its bits.
    Float(u64),
    Str(Text),
    Tuple(Vec<Key>),
    Function(Function),
    Object(Id),
}

/// How deep containers may nest before looking into them is refused: Python has such a limit too.
pub(super) const DEEPEST: usize = 100;

pub(super) fn too_deep() -> Failure {
    Failure::runaway(format!("the value nests more than {DEEPEST} levels deep"))
}

/// All containers of a rendering.
#[derive(Debug)]
pub(super) struct Heap {
    objects: Vec<Object>,
    pub(super) meter: Rc<Meter>,
}

/// About what an object takes beside its items.
const OBJECT_BYTES: usize = 96;
const ITEM_BYTES: usize = 32;

impl Heap {
    pub(super) fn new(meter: Rc<Meter>) -> Self {
        Self { objects: Vec::new(), meter }
    }

    pub(super) fn get(&self, id: Id) -> Option<&Object> {
        self.objects.get(id.0 as usize)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Object> {
        self.objects.get_mut(id.0 as usize)
    }

    /// A dictionary that a view shows.
    pub(super) fn dict(&self, id: Id) -> Option<&Dict> {
        match self.get(id) {
            Some(Object::Dict(dict)) => Some(dict),
            _ => None,
        }
    }

    pub(super) fn object(&self, value: &Value) -> Option<&Object> {
        match value {
            Value::Object(id) => self.get(*id),
            _ => None,
        }
    }

    pub(super) fn add(&mut self, object: Object) -> Res<Value> {
        let items = match &object {
            Object::List(items)
            | Object::Tuple { items, .. }
            | Object::Generator { items, .. }
            | Object::Cycler { items, .. } => items.len(),
            Object::Dict(dict) | Object::Namespace(dict) | Object::Module { exports: dict, .. } => {
                3 * dict.len()
            }
            _ => 0,
        };
        self.meter.take(OBJECT_BYTES + ITEM_BYTES * items)?;
        let id = u32::try_from(self.objects.len()).map_err(|_| super::text::Exhausted::Bytes)?;
        self.objects.push(object);
        Ok(Value::Object(Id(id)))
    }

    /// Pays for items that are added to an object.
    pub(super) fn grow(&self, items: usize) -> Res<()> {
        Ok(self.meter.take(ITEM_BYTES.saturating_mul(items))?)
    }

    /// Pays for visiting items.
    pub(super) fn work(&self, steps: usize) -> Res<()> {
        Ok(self.meter.work(steps as u64)?)
    }

    pub(super) fn list(&mut self, items: Vec<Value>) -> Res<Value> {
        self.add(Object::List(items))
    }

    pub(super) fn tuple(&mut self, items: Vec<Value>) -> Res<Value> {
        self.add(Object::Tuple { items, is_group: false })
    }

    pub(super) fn generator(&mut self, items: Vec<Value>) -> Res<Value> {
        self.add(Object::Generator { items, next: 0 })
    }

    pub(super) fn str(&self, text: impl Into<String>) -> Res<Value> {
        Ok(Value::Str(Text::new(text.into(), Vec::new(), &self.meter)?))
    }

    /// The identity of a value as a key; an error for what Python cannot hash.
    pub(super) fn key(&self, value: &Value) -> Res<Key> {
        self.key_at(value, 0)
    }

    fn key_at(&self, value: &Value, depth: usize) -> Res<Key> {
        if depth > DEEPEST {
            return Err(too_deep());
        }
        Ok(match value {
            Value::Undefined(_) => Key::Undefined,
            Value::None => Key::None,
            Value::Bool(value) => Key::Int(i128::from(*value)),
            Value::Int(value) => Key::Int(*value),
            Value::Float(value) => float_key(*value),
            Value::Str(text) => {
                self.meter.read(text.len())?;
                Key::Str(text.clone())
            }
            Value::Function(function) => Key::Function(*function),
            Value::Object(id) => match self.get(*id) {
                Some(Object::Tuple { items, .. }) => {
                    self.work(items.len())?;
                    Key::Tuple(items.iter().map(|item| self.key_at(item, depth + 1)).collect::<Res<_>>()?)
                }
                Some(Object::List(_) | Object::Dict(_)) => {
                    return Err(Failure::render(format!("a {} cannot be a key", self.type_name(value)))
                        .note("only what cannot change can be a key"));
                }
                _ => Key::Object(*id),
            },
        })
    }

    /// What Python calls the type of a value.
    pub(super) fn type_name(&self, value: &Value) -> &'static str {
        match value {
            Value::Undefined(_) => "Undefined",
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) => "str",
            Value::Function(_) => "function",
            Value::Object(id) => match self.get(*id) {
                Some(Object::List(_)) => "list",
                Some(Object::Tuple { .. }) => "tuple",
                Some(Object::Dict(_)) => "dict",
                Some(Object::View { kind, .. }) => kind.name(),
                Some(Object::Generator { .. }) => "generator",
                Some(Object::Range { .. }) => "range",
                Some(Object::Namespace(_)) => "Namespace",
                Some(Object::Macro(_)) => "Macro",
                Some(Object::Method { .. }) => "builtin_function_or_method",
                Some(Object::Loop(_)) => "LoopContext",
                Some(Object::Module { .. }) => "TemplateModule",
                Some(Object::Cycler { .. }) => "Cycler",
                Some(Object::Joiner { .. }) => "Joiner",
                Some(Object::Blocks { .. }) => "TemplateReference",
                Some(Object::Block { .. }) => "BlockReference",
                None => "object",
            },
        }
    }
}

fn float_key(value: f64) -> Key {
    // 2^127; every float below it that has no fraction is exactly an i128.
    const LIMIT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if value.fract() == 0.0 && value.abs() < LIMIT {
        #[expect(clippy::cast_possible_truncation, reason = "the value is whole and in range")]
        return Key::Int(value as i128);
    }
    Key::Float(value.to_bits())
}
