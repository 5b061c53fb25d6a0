//! Methods of lists and tuples. Those that change a list change the object that every name for it shows.

use super::{int, int_or};
use crate::config::template::Renderer;
use crate::config::template::calls::Arguments;
use crate::config::template::failure::{Failure, Res};
use crate::config::template::value::{Id, Object, Value};

pub(super) const NAMES: &[&str] =
    &["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];

fn items<'r>(renderer: &'r mut Renderer<'_>, id: Id) -> Res<&'r mut Vec<Value>> {
    match renderer.heap.get_mut(id) {
        Some(Object::List(items)) => Ok(items),
        _ => Err(Failure::render("this is not a list")),
    }
}

pub(super) fn call(renderer: &mut Renderer<'_>, id: Id, name: &str, arguments: &Arguments) -> Res<Value> {
    match name {
        "append" => {
            let [item] = arguments.exactly("append", ["object"])?;
            renderer.heap.grow(1)?;
            items(renderer, id)?.push(item);
        }
        "extend" => {
            let [more] = arguments.exactly("extend", ["iterable"])?;
            let more = renderer.heap.values(&more)?;
            renderer.heap.grow(more.len())?;
            items(renderer, id)?.extend(more);
        }
        "insert" => {
            let [index, item] = arguments.exactly("insert", ["index", "object"])?;
            let index = int(renderer, "insert", &index)?;
            renderer.heap.grow(1)?;
            let length = items(renderer, id)?.len();
            renderer.heap.work(length / 64)?;
            let items = items(renderer, id)?;
            let length = length as i128;
            let index = if index < 0 { index.saturating_add(length) } else { index }.clamp(0, length);
            items.insert(usize::try_from(index).unwrap_or(0), item);
        }
        "pop" => {
            let [index] = arguments.bind("pop", ["index"])?;
            let index = int_or(renderer, "pop", index.as_ref(), -1)?;
            if index != -1 {
                let length = items(renderer, id)?.len();
                renderer.heap.work(length / 64)?;
            }
            let items = items(renderer, id)?;
            let index = if index < 0 { index.saturating_add(items.len() as i128) } else { index };
            return match usize::try_from(index) {
                Ok(index) if index < items.len() => Ok(items.remove(index)),
                _ if items.is_empty() => Err(Failure::render("`pop` from an empty list")),
                _ => Err(Failure::render("`pop` of an index that the list does not have")),
            };
        }
        "remove" => {
            let [item] = arguments.exactly("remove", ["value"])?;
            let known = items(renderer, id)?.clone();
            renderer.heap.work(known.len())?;
            let index = position(renderer, &known, &item)?
                .ok_or_else(|| Failure::render("`remove` of a value that the list does not have"))?;
            items(renderer, id)?.remove(index);
        }
        "clear" => items(renderer, id)?.clear(),
        "reverse" => items(renderer, id)?.reverse(),
        "copy" => {
            let copy = items(renderer, id)?.clone();
            return renderer.heap.list(copy);
        }
        "sort" => {
            let [reverse, key] = arguments.bind("sort", ["reverse", "key"])?;
            if key.is_some_and(|key| !matches!(key, Value::None)) {
                return Err(Failure::render("`sort` with a key is not available")
                    .help("use the filter: `|sort(attribute='…')`"));
            }
            let reverse = reverse.is_some_and(|reverse| renderer.heap.truth(&reverse));
            let unsorted = items(renderer, id)?.clone();
            let sorted = renderer.heap.sorted(unsorted, reverse)?;
            *items(renderer, id)? = sorted;
        }
        _ => {
            let known = items(renderer, id)?.clone();
            return search(renderer, &known, name, arguments);
        }
    }
    Ok(Value::None)
}

/// `count` and `index`, which tuples have too.
pub(super) fn search(
    renderer: &mut Renderer<'_>,
    items: &[Value],
    name: &str,
    arguments: &Arguments,
) -> Res<Value> {
    renderer.heap.work(items.len())?;
    if name == "count" {
        let [item] = arguments.exactly("count", ["value"])?;
        let mut count = 0;
        for known in items {
            count += i128::from(renderer.heap.equal(known, &item)?);
        }
        return Ok(Value::Int(count));
    }
    let [item, start, stop] = arguments.bind("index", ["value", "start", "stop"])?;
    let item = item.ok_or_else(|| Failure::render("`index` needs a value to look for"))?;
    let length = items.len() as i128;
    let bound = |bound: i128| {
        usize::try_from(if bound < 0 { bound.saturating_add(length) } else { bound }.clamp(0, length))
            .unwrap_or(0)
    };
    let start = bound(int_or(renderer, "index", start.as_ref(), 0)?);
    let stop = bound(int_or(renderer, "index", stop.as_ref(), length)?);
    match position(renderer, items.get(start..stop).unwrap_or(&[]), &item)? {
        Some(index) => Ok(Value::Int((start + index) as i128)),
        None => Err(Failure::render("`index` of a value that is not there")),
    }
}

fn position(renderer: &Renderer<'_>, items: &[Value], item: &Value) -> Res<Option<usize>> {
    for (i, known) in items.iter().enumerate() {
        if renderer.heap.equal(known, item)? {
            return Ok(Some(i));
        }
    }
    Ok(None)
}
