//! The functions that every template has: `range`, `dict`, `namespace`, `cycler`, `joiner`.

use super::Renderer;
use super::calls::Arguments;
use super::failure::{Failure, Res};
use super::value::{Dict, Function, Object, Value, put};
use crate::source::Span;

/// Their names, for suggestions.
pub(super) const NAMES: [&str; 6] = ["range", "dict", "namespace", "cycler", "joiner", "lipsum"];

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "range" => Self::Range,
            "dict" => Self::Dict,
            "namespace" => Self::Namespace,
            "cycler" => Self::Cycler,
            "joiner" => Self::Joiner,
            "lipsum" => Self::Lipsum,
            _ => return None,
        })
    }
}

/// Within this bound no arithmetic on positions of a range can overflow.
const BOUND: i128 = 1 << 96;

impl Renderer<'_> {
    pub(super) fn function(&mut self, function: Function, arguments: &Arguments, _at: Span) -> Res<Value> {
        match function {
            Function::Range => self.range(arguments),
            Function::Dict => {
                let dict = self.new_dict("dict", arguments)?;
                self.heap.add(Object::Dict(dict))
            }
            Function::Namespace => {
                let dict = self.new_dict("namespace", arguments)?;
                self.heap.add(Object::Namespace(dict))
            }
            Function::Cycler => {
                if arguments.positional.is_empty() {
                    return Err(Failure::render("`cycler` needs something to cycle through"));
                }
                self.heap.add(Object::Cycler { items: arguments.positional.clone(), next: 0 })
            }
            Function::Joiner => {
                let [separator] = arguments.bind("joiner", ["sep"])?;
                let separator =
                    separator.map_or(Ok(", ".to_owned()), |separator| self.heap.str_of(&separator))?;
                match self.heap.str(separator)? {
                    Value::Str(separator) => self.heap.add(Object::Joiner { separator, used: false }),
                    other => Ok(other),
                }
            }
            Function::Lipsum => Err(Failure::render("`lipsum` is not available")
                .note("it is random, and the same file must always mean the same")),
        }
    }

    fn range(&mut self, arguments: &Arguments) -> Res<Value> {
        if !arguments.named.is_empty() {
            return Err(Failure::render("`range` takes no named arguments"));
        }
        let ints = arguments
            .positional
            .iter()
            .map(|value| match value {
                Value::Int(int) => Ok(*int),
                Value::Bool(bool) => Ok(i128::from(*bool)),
                _ => {
                    self.heap.defined(value)?;
                    Err(Failure::render(format!(
                        "`range` needs integers, not {}",
                        self.heap.described(value)
                    ))
                    .help("`|int` makes an integer of a string"))
                }
            })
            .collect::<Res<Vec<i128>>>()?;
        let (start, stop, stride) = match ints.as_slice() {
            [stop] => (0, *stop, 1),
            [start, stop] => (*start, *stop, 1),
            [_, _, 0] => return Err(Failure::render("the step of `range` cannot be 0")),
            [start, stop, stride] => (*start, *stop, *stride),
            _ => return Err(Failure::render("`range` takes one to three integers")),
        };
        if [start, stop, stride].iter().any(|bound| bound.abs() > BOUND) {
            return Err(Failure::runaway("the numbers of this `range` are too large"));
        }
        self.heap.add(Object::Range { start, stop, stride })
    }

    /// What `dict(…)` and `namespace(…)` begin with: a mapping or a list of pairs, then named arguments.
    fn new_dict(&mut self, what: &str, arguments: &Arguments) -> Res<Dict> {
        let mut dict = Dict::new();
        match arguments.positional.as_slice() {
            [] => {}
            [initial] => dict = self.dict_from(initial)?,
            _ => return Err(Failure::render(format!("`{what}` takes at most one argument without a name"))),
        }
        for (name, value) in &arguments.named {
            let key = self.heap.str(&**name)?;
            put(&mut dict, self.heap.key(&key)?, key, value.clone());
        }
        Ok(dict)
    }

    /// The entries of a mapping, or of an iterable of pairs.
    pub(super) fn dict_from(&mut self, value: &Value) -> Res<Dict> {
        if let Some(Object::Dict(dict)) = self.heap.object(value) {
            self.heap.grow(3 * dict.len())?;
            return Ok(dict.clone());
        }
        let mut dict = Dict::new();
        for pair in self.heap.values(value)? {
            let pair = self.heap.values(&pair)?;
            let [key, value] = pair.as_slice() else {
                return Err(Failure::render("a dict is made of pairs"));
            };
            put(&mut dict, self.heap.key(key)?, key.clone(), value.clone());
        }
        Ok(dict)
    }
}
