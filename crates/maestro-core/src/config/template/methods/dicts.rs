//! Methods of dictionaries, those of Python 2 included that old templates still call.

use crate::config::template::Renderer;
use crate::config::template::calls::Arguments;
use crate::config::template::failure::{Failure, Res};
use crate::config::template::value::{Dict, Id, Object, Value, View, put};

pub(super) const NAMES: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "has_key",
    "items",
    "iteritems",
    "iterkeys",
    "itervalues",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];

fn entries<'r>(renderer: &'r mut Renderer<'_>, id: Id) -> Res<&'r mut Dict> {
    match renderer.heap.get_mut(id) {
        Some(Object::Dict(dict)) => Ok(dict),
        _ => Err(Failure::render("this is not a dict")),
    }
}

pub(super) fn call(
    renderer: &mut Renderer<'_>,
    receiver: &Value,
    id: Id,
    name: &str,
    arguments: &Arguments,
) -> Res<Value> {
    match name {
        "get" => {
            let [key, default] = arguments.bind("get", ["key", "default"])?;
            let key = needed(key, "get")?;
            let key = renderer.heap.key(&key)?;
            let found = entries(renderer, id)?.get(&key).map(|(_, value)| value.clone());
            Ok(found.or(default).unwrap_or(Value::None))
        }
        "has_key" => {
            let [key] = arguments.exactly("has_key", ["key"])?;
            renderer.heap.contains(receiver, &key).map(Value::Bool)
        }
        "items" | "iteritems" => renderer.heap.add(Object::View { kind: View::Items, dict: id }),
        "keys" | "iterkeys" => renderer.heap.add(Object::View { kind: View::Keys, dict: id }),
        "values" | "itervalues" => renderer.heap.add(Object::View { kind: View::Values, dict: id }),
        "pop" => {
            let [key, default] = arguments.bind("pop", ["key", "default"])?;
            let key = needed(key, "pop")?;
            let id_of_key = renderer.heap.key(&key)?;
            let length = entries(renderer, id)?.len();
            renderer.heap.work(length / 8)?;
            let found = entries(renderer, id)?.shift_remove(&id_of_key).map(|(_, value)| value);
            match found.or(default) {
                Some(value) => Ok(value),
                None => Err(missing(renderer, "pop", &key)),
            }
        }
        "popitem" => match entries(renderer, id)?.pop() {
            Some((_, (key, value))) => renderer.heap.tuple(vec![key, value]),
            None => Err(Failure::render("`popitem` from an empty dict")),
        },
        "setdefault" => {
            let [key, default] = arguments.bind("setdefault", ["key", "default"])?;
            let key = needed(key, "setdefault")?;
            let default = default.unwrap_or(Value::None);
            let id_of_key = renderer.heap.key(&key)?;
            renderer.heap.grow(3)?;
            let (_, value) = entries(renderer, id)?.entry(id_of_key).or_insert((key, default));
            Ok(value.clone())
        }
        "update" => {
            let more = match arguments.positional.as_slice() {
                [] => Dict::new(),
                [more] => renderer.dict_from(more)?,
                _ => return Err(Failure::render("`update` takes at most one argument without a name")),
            };
            let mut added: Vec<(Value, Value)> = more.into_values().collect();
            for (name, value) in &arguments.named {
                added.push((renderer.heap.str(&**name)?, value.clone()));
            }
            renderer.heap.grow(3 * added.len())?;
            for (key, value) in added {
                let id_of_key = renderer.heap.key(&key)?;
                put(entries(renderer, id)?, id_of_key, key, value);
            }
            Ok(Value::None)
        }
        "clear" => {
            entries(renderer, id)?.clear();
            Ok(Value::None)
        }
        "copy" => {
            let copy = entries(renderer, id)?.clone();
            renderer.heap.add(Object::Dict(copy))
        }
        _ => {
            let [keys, value] = arguments.bind("fromkeys", ["iterable", "value"])?;
            let mut dict = Dict::new();
            for key in renderer.heap.values(&needed(keys, "fromkeys")?)? {
                put(&mut dict, renderer.heap.key(&key)?, key, value.clone().unwrap_or(Value::None));
            }
            renderer.heap.add(Object::Dict(dict))
        }
    }
}

fn needed(value: Option<Value>, what: &str) -> Res<Value> {
    value.ok_or_else(|| Failure::render(format!("`{what}` needs an argument")))
}

fn missing(renderer: &Renderer<'_>, what: &str, key: &Value) -> Failure {
    let key = renderer.heap.repr_of(key).unwrap_or_default();
    Failure::render(format!("`{what}` of a key that the dict does not have: {key}"))
        .help("a second argument is returned where the key is missing")
}
