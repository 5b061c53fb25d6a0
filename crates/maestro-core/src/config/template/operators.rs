//! Truth, equality, order, operators, items and slices, as Python has them.

use super::arithmetic::{
    Numbers, compare_int_float, float_arithmetic, int_arithmetic, number, numbers, sign, too_large,
};
use super::ast::{Comparison, Operator};
use super::failure::{Failure, Res};
use super::value::{DEEPEST, Dict, Heap, Id, Items, Key, Object, Value, View, too_deep};
use std::cmp::Ordering;

/// Python's index: negative counts from the end.
fn from_end(index: i128, length: usize) -> Option<usize> {
    let index = if index < 0 { index + length as i128 } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

impl Heap {
    /// Whether a value counts as true.
    pub(super) fn truth(&self, value: &Value) -> bool {
        match value {
            Value::Undefined(_) | Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::Function(_) => true,
            Value::Object(_) => match self.object(value) {
                Some(Object::List(items) | Object::Tuple { items, .. }) => !items.is_empty(),
                Some(Object::View { dict, .. }) => self.dict(*dict).is_some_and(|dict| !dict.is_empty()),
                Some(Object::Dict(dict)) => !dict.is_empty(),
                Some(Object::Range { start, stop, stride }) => range_length(*start, *stop, *stride) > 0,
                _ => true,
            },
        }
    }

    /// Python's `==`.
    pub(super) fn equal(&self, a: &Value, b: &Value) -> Res<bool> {
        self.equal_at(a, b, 0)
    }

    fn equal_at(&self, a: &Value, b: &Value, depth: usize) -> Res<bool> {
        if depth > DEEPEST {
            return Err(too_deep());
        }
        self.work(1)?;
        if let (Some(a), Some(b)) = (number(a), number(b)) {
            return Ok(match (a, b) {
                (Value::Int(a), Value::Int(b)) => a == b,
                (Value::Float(a), Value::Float(b)) => a.partial_cmp(&b) == Some(Ordering::Equal),
                (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => {
                    compare_int_float(a, b) == Some(Ordering::Equal)
                }
                _ => false,
            });
        }
        match (a, b) {
            (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => return Ok(true),
            (Value::Str(a), Value::Str(b)) => {
                self.meter.read(a.len().min(b.len()))?;
                return Ok(a == b);
            }
            (Value::Function(a), Value::Function(b)) => return Ok(a == b),
            (Value::Object(a), Value::Object(b)) if a == b => return Ok(true),
            _ => {}
        }
        match (self.object(a), self.object(b)) {
            (Some(Object::List(a)), Some(Object::List(b)))
            | (Some(Object::Tuple { items: a, .. }), Some(Object::Tuple { items: b, .. })) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(b) {
                    if !self.equal_at(a, b, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Some(Object::Dict(a)), Some(Object::Dict(b))) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (key, (_, a)) in a {
                    match b.get(key) {
                        Some((_, b)) if self.equal_at(a, b, depth + 1)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            (
                Some(Object::View { kind: View::Keys, dict: a }),
                Some(Object::View { kind: View::Keys, dict: b }),
            ) => {
                let (Some(a), Some(b)) = (self.dict(*a), self.dict(*b)) else { return Ok(false) };
                self.work(a.len() / 8)?;
                Ok(a.len() == b.len() && a.keys().all(|key| b.contains_key(key)))
            }
            // Entries are the same in any order, as dictionaries are.
            (
                Some(Object::View { kind: View::Items, dict: a }),
                Some(Object::View { kind: View::Items, dict: b }),
            ) => self.equal_at(&Value::Object(*a), &Value::Object(*b), depth + 1),
            (
                Some(Object::Range { start: a, stop: b, stride: c }),
                Some(Object::Range { start, stop, stride }),
            ) => {
                let (left, right) = (range_length(*a, *b, *c), range_length(*start, *stop, *stride));
                Ok(left == right && (left == 0 || (a == start && (left == 1 || c == stride))))
            }
            _ => Ok(false),
        }
    }

    /// Python's order. `None` where a NaN is involved, an error for types that have no order.
    pub(super) fn order(&self, a: &Value, b: &Value) -> Res<Option<Ordering>> {
        self.order_at(a, b, "<", 0)
    }

    fn order_at(&self, a: &Value, b: &Value, operator: &str, depth: usize) -> Res<Option<Ordering>> {
        if depth > DEEPEST {
            return Err(too_deep());
        }
        self.work(1)?;
        if let (Some(a), Some(b)) = (number(a), number(b)) {
            return Ok(match (a, b) {
                (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
                (Value::Float(a), Value::Float(b)) => a.partial_cmp(&b),
                (Value::Int(a), Value::Float(b)) => compare_int_float(a, b),
                (Value::Float(a), Value::Int(b)) => compare_int_float(b, a).map(Ordering::reverse),
                _ => None,
            });
        }
        if let (Value::Str(a), Value::Str(b)) = (a, b) {
            self.meter.read(a.len().min(b.len()))?;
            return Ok(Some((**a).cmp(&**b)));
        }
        match (self.object(a), self.object(b)) {
            (Some(Object::List(left)), Some(Object::List(right)))
            | (Some(Object::Tuple { items: left, .. }), Some(Object::Tuple { items: right, .. })) => {
                for (a, b) in left.iter().zip(right) {
                    if !self.equal_at(a, b, depth + 1)? {
                        return self.order_at(a, b, operator, depth + 1);
                    }
                }
                Ok(Some(left.len().cmp(&right.len())))
            }
            _ => Err(self.unfit(operator, a, b)),
        }
    }

    pub(super) fn compare(&self, how: Comparison, a: &Value, b: &Value) -> Res<bool> {
        let ordered = |sign: &str| self.order_at(a, b, sign, 0);
        Ok(match how {
            Comparison::Equal => self.equal(a, b)?,
            Comparison::NotEqual => !self.equal(a, b)?,
            Comparison::Less => ordered("<")? == Some(Ordering::Less),
            Comparison::LessOrEqual => matches!(ordered("<=")?, Some(Ordering::Less | Ordering::Equal)),
            Comparison::Greater => ordered(">")? == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => matches!(ordered(">=")?, Some(Ordering::Greater | Ordering::Equal)),
            Comparison::In => self.contains(b, a)?,
            Comparison::NotIn => !self.contains(b, a)?,
        })
    }

    /// Python's `item in container`.
    pub(super) fn contains(&self, container: &Value, item: &Value) -> Res<bool> {
        match container {
            Value::Undefined(_) => return Ok(false),
            Value::Str(text) => {
                return match item {
                    Value::Str(part) => {
                        self.work(text.len() / 64)?;
                        Ok(text.contains(&**part))
                    }
                    _ => Err(Failure::render(format!(
                        "only a string can be looked for in a string, not {}",
                        self.described(item)
                    ))),
                };
            }
            _ => {}
        }
        match self.object(container) {
            Some(Object::Dict(dict)) => Ok(dict.contains_key(&self.key(item)?)),
            Some(Object::View { kind, dict }) => self.view_contains(*kind, *dict, item),
            Some(Object::Range { start, stop, stride }) => Ok(match self.key(item) {
                // As keys, `2.0` and `2` are one.
                Ok(Key::Int(item)) => {
                    let within = if *stride > 0 {
                        item >= *start && item < *stop
                    } else {
                        item <= *start && item > *stop
                    };
                    within && (item - start) % stride == 0
                }
                _ => false,
            }),
            Some(Object::List(items) | Object::Tuple { items, .. } | Object::Generator { items, .. }) => {
                for known in items {
                    if self.equal(known, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Err(Failure::render(format!("{} contains nothing", self.described(container)))),
        }
    }

    pub(super) fn binary(&mut self, operator: Operator, a: &Value, b: &Value) -> Res<Value> {
        match operator {
            Operator::Concatenate => {
                let mut text = self.str_of(a)?;
                self.write_str(&mut text, b)?;
                return self.str(text);
            }
            Operator::Add => {
                if let Some(value) = self.joined(a, b)? {
                    return Ok(value);
                }
            }
            Operator::Multiply => {
                if let Some(value) = self.repeated(a, b)? {
                    return Ok(value);
                }
            }
            Operator::Remainder => {
                if let Value::Str(format) = a {
                    let text = self.percent(format, b)?;
                    return self.str(text);
                }
            }
            _ => {}
        }
        match numbers(a, b) {
            Some(Numbers::Ints(a, b)) => int_arithmetic(operator, a, b),
            Some(Numbers::Floats(a, b)) => float_arithmetic(operator, a, b).map(Value::Float),
            None => Err(self.unfit(sign(operator), a, b)),
        }
    }

    /// `+` of strings, lists and tuples.
    fn joined(&mut self, a: &Value, b: &Value) -> Res<Option<Value>> {
        if let (Value::Str(a), Value::Str(b)) = (a, b) {
            self.meter.afford(a.len() + b.len())?;
            return self.str([&**a, &**b].concat()).map(Some);
        }
        match (self.object(a), self.object(b)) {
            (Some(Object::List(a)), Some(Object::List(b))) => {
                self.meter.afford(32 * (a.len() + b.len()))?;
                let items = [a.as_slice(), b.as_slice()].concat();
                self.list(items).map(Some)
            }
            (Some(Object::Tuple { items: a, .. }), Some(Object::Tuple { items: b, .. })) => {
                self.meter.afford(32 * (a.len() + b.len()))?;
                let items = [a.as_slice(), b.as_slice()].concat();
                self.tuple(items).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// `*` of a string, list or tuple with an integer.
    fn repeated(&mut self, a: &Value, b: &Value) -> Res<Option<Value>> {
        let (what, times) = match (number(a), number(b)) {
            (None, Some(Value::Int(times))) => (a, times),
            (Some(Value::Int(times)), None) => (b, times),
            _ => return Ok(None),
        };
        let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
        if let Value::Str(text) = what {
            self.meter.afford(text.len().saturating_mul(times))?;
            return self.str(text.repeat(if text.is_empty() { 0 } else { times })).map(Some);
        }
        let (items, is_list) = match self.object(what) {
            Some(Object::List(items)) => (items, true),
            Some(Object::Tuple { items, .. }) => (items, false),
            _ => return Ok(None),
        };
        self.meter.afford(items.len().saturating_mul(times).saturating_mul(32))?;
        let times = if items.is_empty() { 0 } else { times };
        let items = std::iter::repeat_n(items, times).flatten().cloned().collect();
        if is_list { self.list(items) } else { self.tuple(items) }.map(Some)
    }

    pub(super) fn negate(&self, value: &Value) -> Res<Value> {
        match number(value) {
            Some(Value::Int(value)) => value.checked_neg().map(Value::Int).ok_or_else(too_large),
            Some(Value::Float(value)) => Ok(Value::Float(-value)),
            _ => {
                self.defined(value)?;
                Err(Failure::render(format!("{} cannot be negated", self.described(value))))
            }
        }
    }

    /// Number of items; `None` for what has no length.
    pub(super) fn length(&self, value: &Value) -> Option<usize> {
        match value {
            Value::Undefined(_) => Some(0),
            Value::Str(text) => Some(text.characters()),
            _ => match self.object(value)? {
                Object::List(items) | Object::Tuple { items, .. } => Some(items.len()),
                Object::View { dict, .. } => Some(self.dict(*dict).map_or(0, Dict::len)),
                Object::Dict(dict) => Some(dict.len()),
                Object::Range { start, stop, stride } => Some(range_length(*start, *stop, *stride)),
                Object::Loop(state) => Some(state.items.len()),
                _ => None,
            },
        }
    }

    /// What iterating over a value yields. A generator is used up by it.
    pub(super) fn items(&mut self, value: &Value) -> Res<Items> {
        if let Value::Str(text) = value {
            self.meter.afford(text.len().saturating_mul(48))?;
            let texts = text.chars().map(String::from).collect::<Vec<_>>();
            return Ok(Items::Values(texts.into_iter().map(|c| self.str(c)).collect::<Res<_>>()?));
        }
        if let Value::Undefined(_) = value {
            return Ok(Items::Values(Vec::new()));
        }
        if let Value::Object(id) = value
            && let Some(Object::Generator { items, next }) = self.get_mut(*id)
        {
            let rest = items.split_off((*next).min(items.len()));
            *next = items.len();
            return Ok(Items::Values(rest));
        }
        if let Some(Object::View { kind, dict }) = self.object(value) {
            let (kind, dict) = (*kind, *dict);
            return self.view_items(kind, dict).map(Items::Values);
        }
        let items = match self.object(value) {
            Some(Object::List(items) | Object::Tuple { items, .. }) => items.clone(),
            Some(Object::Dict(dict)) => dict.values().map(|(key, _)| key.clone()).collect(),
            Some(Object::Range { start, stop, stride }) => {
                let length = range_length(*start, *stop, *stride);
                return Ok(Items::Range { start: *start, stride: *stride, length });
            }
            _ => return Err(Failure::render(format!("{} cannot be iterated over", self.described(value)))),
        };
        self.work(items.len() / 8)?;
        Ok(Items::Values(items))
    }

    fn view_items(&mut self, kind: View, dict: Id) -> Res<Vec<Value>> {
        let entries = self.dict(dict).map(Dict::values).into_iter().flatten();
        let pairs: Vec<(Value, Value)> = entries.cloned().collect();
        self.work(pairs.len() / 8)?;
        let item = |(key, value): (Value, Value)| match kind {
            View::Keys => Ok(key),
            View::Values => Ok(value),
            View::Items => {
                self.work(1)?;
                self.tuple(vec![key, value])
            }
        };
        pairs.into_iter().map(item).collect()
    }

    fn view_contains(&self, kind: View, dict: Id, item: &Value) -> Res<bool> {
        let Some(dict) = self.dict(dict) else { return Ok(false) };
        match (kind, self.object(item)) {
            (View::Keys, _) => Ok(dict.contains_key(&self.key(item)?)),
            (View::Items, Some(Object::Tuple { items, .. })) => match items.as_slice() {
                [key, value] => match dict.get(&self.key(key)?) {
                    Some((_, known)) => self.equal(known, value),
                    None => Ok(false),
                },
                _ => Ok(false),
            },
            (View::Items, _) => Ok(false),
            (View::Values, _) => {
                for (_, known) in dict.values() {
                    if self.equal(known, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// The same as a vector; pays for each item.
    pub(super) fn values(&mut self, value: &Value) -> Res<Vec<Value>> {
        match self.items(value)? {
            Items::Values(values) => {
                self.work(values.len())?;
                Ok(values)
            }
            range => {
                self.work(range.len())?;
                self.meter.afford(range.len().saturating_mul(32))?;
                Ok((0..range.len()).filter_map(|i| range.get(i, self)).collect())
            }
        }
    }

    /// `value[index]` where it has such an item.
    pub(super) fn item(&self, value: &Value, index: &Value) -> Res<Option<Value>> {
        if let Value::Str(text) = value {
            let Some(Value::Int(index)) = number(index) else { return Ok(None) };
            let length = text.characters();
            let found = if length == text.len() {
                from_end(index, length)
                    .and_then(|index| text.as_bytes().get(index))
                    .map(|byte| char::from(*byte))
            } else {
                self.work(text.len() / 64)?;
                from_end(index, length).and_then(|index| text.chars().nth(index))
            };
            return found.map(|c| self.str(c)).transpose();
        }
        Ok(match self.object(value) {
            Some(Object::List(items) | Object::Tuple { items, .. }) => match number(index) {
                Some(Value::Int(index)) => {
                    from_end(index, items.len()).and_then(|index| items.get(index)).cloned()
                }
                _ => None,
            },
            Some(Object::Dict(dict)) => match self.key(index) {
                Ok(key) => dict.get(&key).map(|(_, value)| value.clone()),
                Err(_) => None,
            },
            Some(Object::Range { start, stop, stride }) => match number(index) {
                Some(Value::Int(index)) => {
                    let length = range_length(*start, *stop, *stride);
                    from_end(index, length)
                        .and_then(|i| Items::Range { start: *start, stride: *stride, length }.get(i, self))
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// `value[start:stop:stride]`.
    pub(super) fn slice(&mut self, value: &Value, start: &Value, stop: &Value, stride: &Value) -> Res<Value> {
        let bound = |bound: &Value| match (bound, number(bound)) {
            (Value::None, _) => Ok(None),
            (_, Some(Value::Int(bound))) => Ok(Some(bound)),
            _ => Err(Failure::render(format!("{} cannot bound a slice", self.described(bound)))
                .note("the parts of a slice are integers, or left out")),
        };
        let (start, stop, stride) = (bound(start)?, bound(stop)?, bound(stride)?.unwrap_or(1));
        if stride == 0 {
            return Err(Failure::render("the step of a slice cannot be 0"));
        }
        let pick = |length: usize| slice_indices(length, start, stop, stride);
        if let Value::Str(text) = value {
            self.work(text.len() / 64)?;
            let characters: Vec<char> = text.chars().collect();
            let picked: String = pick(characters.len()).filter_map(|i| characters.get(i)).collect();
            return self.str(picked);
        }
        match self.object(value) {
            Some(Object::List(items)) => {
                let picked = pick(items.len()).filter_map(|i| items.get(i).cloned()).collect();
                self.list(picked)
            }
            Some(Object::Tuple { items, .. }) => {
                let picked = pick(items.len()).filter_map(|i| items.get(i).cloned()).collect();
                self.tuple(picked)
            }
            Some(Object::Range { start: first, stop: end, stride: each }) => {
                let (first, each) = (*first, *each);
                let (low, high) = slice_bounds(range_length(first, *end, each), start, stop, stride);
                let position =
                    |index: i128| each.checked_mul(index).and_then(|offset| first.checked_add(offset));
                let (Some(start), Some(stop), Some(stride)) =
                    (position(low), position(high), each.checked_mul(stride))
                else {
                    return Err(too_large());
                };
                self.add(Object::Range { start, stop, stride })
            }
            _ => {
                self.defined(value)?;
                Err(Failure::render(format!("{} cannot be sliced", self.described(value))))
            }
        }
    }

    /// A value in a message: its type, and what it is where that is short.
    pub(super) fn described(&self, value: &Value) -> String {
        match value {
            Value::Undefined(_) => "an undefined value".to_owned(),
            Value::None => "None".to_owned(),
            Value::Str(_) => "a string".to_owned(),
            Value::Int(_) => "an integer".to_owned(),
            Value::Bool(_) => "a boolean".to_owned(),
            Value::Float(_) => "a float".to_owned(),
            _ => format!("a {}", self.type_name(value)),
        }
    }

    /// An error if the value is undefined.
    #[expect(clippy::unused_self, reason = "asked beside the questions that do need the heap")]
    pub(super) fn defined(&self, value: &Value) -> Res<()> {
        match value {
            Value::Undefined(span) => Err(Failure::undefined(*span)),
            _ => Ok(()),
        }
    }

    fn unfit(&self, operator: &str, a: &Value, b: &Value) -> Failure {
        if let Value::Undefined(span) = a {
            return Failure::undefined(*span);
        }
        if let Value::Undefined(span) = b {
            return Failure::undefined(*span);
        }
        let failure = Failure::render(format!(
            "`{operator}` does not work between {} and {}",
            self.described(a),
            self.described(b)
        ));
        match (operator, a, b) {
            ("+", Value::Str(_), _) | ("+", _, Value::Str(_)) => failure
                .help("`~` joins values of all kinds as text")
                .help("`|int` makes a number of a string; environment variables are strings"),
            ("<" | ">" | "<=" | ">=" | "-" | "*" | "/", Value::Str(_), _)
            | ("<" | ">" | "<=" | ">=" | "-" | "/", _, Value::Str(_)) => {
                failure.help("`|int` makes a number of a string; environment variables are strings")
            }
            _ => failure,
        }
    }
}

/// The first position that a slice picks, and where it stops; Python's `slice.indices`.
fn slice_bounds(length: usize, start: Option<i128>, stop: Option<i128>, stride: i128) -> (i128, i128) {
    let length = length as i128;
    let (least, most) = if stride > 0 { (0, length) } else { (-1, length - 1) };
    let bound =
        |bound: i128| (if bound < 0 { bound.saturating_add(length) } else { bound }).clamp(least, most);
    if stride > 0 {
        (start.map_or(least, bound), stop.map_or(most, bound))
    } else {
        (start.map_or(most, bound), stop.map_or(least, bound))
    }
}

/// The positions that a slice picks.
fn slice_indices(
    length: usize,
    start: Option<i128>,
    stop: Option<i128>,
    stride: i128,
) -> impl Iterator<Item = usize> {
    let (low, high) = slice_bounds(length, start, stop, stride);
    let count = range_length(low, high, stride);
    (0..count).filter_map(move |i| usize::try_from(low + stride.checked_mul(i as i128)?).ok())
}

pub(super) fn range_length(start: i128, stop: i128, stride: i128) -> usize {
    let (low, high) = if stride > 0 { (start, stop) } else { (stop, start) };
    if low >= high || stride == 0 {
        return 0;
    }
    let distance = high.abs_diff(low);
    usize::try_from(distance.div_ceil(stride.unsigned_abs())).unwrap_or(usize::MAX)
}
