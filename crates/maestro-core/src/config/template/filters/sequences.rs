//! Filters for lists, mappings and whatever else can be iterated over.

use super::given;
use crate::config::template::Renderer;
use crate::config::template::calls::Arguments;
use crate::config::template::failure::{Failure, Res};
use crate::config::template::methods::int;
use crate::config::template::value::{Key, Object, Value};
use crate::source::Span;
use indexmap::IndexSet;
use std::cmp::Ordering;

pub(super) fn filter(
    renderer: &mut Renderer<'_>,
    name: &str,
    value: &Value,
    arguments: &Arguments,
    at: Span,
) -> Res<Value> {
    match name {
        "count" | "length" => {
            let [] = arguments.bind(name, [])?;
            match renderer.heap.length(value) {
                Some(length) => Ok(Value::Int(length as i128)),
                None => Err(no_length(renderer, value)),
            }
        }
        "list" => {
            let [] = arguments.bind(name, [])?;
            let items = renderer.heap.values(value)?;
            renderer.heap.list(items)
        }
        "first" | "last" => {
            let [] = arguments.bind(name, [])?;
            let items = renderer.heap.items(value)?;
            let index = if name == "first" { Some(0) } else { items.len().checked_sub(1) };
            Ok(index.and_then(|index| items.get(index, &renderer.heap)).unwrap_or(Value::Undefined(at)))
        }
        "reverse" => {
            let [] = arguments.bind(name, [])?;
            if let Value::Str(text) = value {
                return renderer.heap.str(text.chars().rev().collect::<String>());
            }
            let mut items = renderer.heap.values(value)?;
            items.reverse();
            renderer.heap.generator(items)
        }
        "items" => {
            let [] = arguments.bind(name, [])?;
            if !renderer.is_mapping(value) && !matches!(value, Value::Undefined(_)) {
                let what = renderer.heap.described(value);
                return Err(Failure::render(format!("`items` needs a mapping, not {what}")));
            }
            let pairs = pairs(renderer, value)?;
            let items = pairs.into_iter().map(|(key, value)| renderer.heap.tuple(vec![key, value]));
            let items = items.collect::<Res<_>>()?;
            renderer.heap.generator(items)
        }
        "join" => join(renderer, value, arguments, at),
        "sort" => sort(renderer, value, arguments, at),
        "dictsort" => dictsort(renderer, value, arguments, at),
        "unique" => unique(renderer, value, arguments, at),
        "min" | "max" => extreme(renderer, name, value, arguments, at),
        "groupby" => groupby(renderer, value, arguments, at),
        "batch" => batch(renderer, value, arguments),
        "slice" => slice(renderer, value, arguments),
        "map" => map(renderer, value, arguments, at),
        _ => select(renderer, name, value, arguments, at),
    }
}

fn no_length(renderer: &Renderer<'_>, value: &Value) -> Failure {
    let failure = Failure::render(format!("{} has no length", renderer.heap.described(value)));
    match renderer.heap.object(value) {
        Some(Object::Generator { .. }) => failure.help("make a list of it first: `|list|length`"),
        _ => failure,
    }
}

/// The entries of a mapping.
pub(super) fn pairs(renderer: &Renderer<'_>, value: &Value) -> Res<Vec<(Value, Value)>> {
    match renderer.heap.object(value) {
        Some(Object::Dict(dict)) => {
            renderer.heap.work(dict.len())?;
            Ok(dict.values().cloned().collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn join(renderer: &mut Renderer<'_>, value: &Value, arguments: &Arguments, at: Span) -> Res<Value> {
    let [separator, attribute] = arguments.bind("join", ["d", "attribute"])?;
    let separator = separator.map_or(Ok(String::new()), |separator| renderer.heap.str_of(&separator))?;
    let attribute = given(attribute);
    let mut out = String::new();
    for (i, item) in renderer.heap.values(value)?.into_iter().enumerate() {
        let item = match &attribute {
            Some(path) => renderer.at_path(&item, path, None, at)?,
            None => item,
        };
        if i > 0 {
            renderer.heap.meter.afford(out.len() + separator.len())?;
            out.push_str(&separator);
        }
        renderer.heap.write_str(&mut out, &item)?;
    }
    renderer.heap.str(out)
}

fn sort(renderer: &mut Renderer<'_>, value: &Value, arguments: &Arguments, at: Span) -> Res<Value> {
    let [reverse, case_sensitive, attribute] =
        arguments.bind("sort", ["reverse", "case_sensitive", "attribute"])?;
    let (reverse, case_sensitive) = (renderer.flag(reverse.as_ref()), renderer.flag(case_sensitive.as_ref()));
    let paths = match given(attribute) {
        Some(Value::Str(paths)) => {
            paths.split(',').map(|path| renderer.heap.str(path).map(Some)).collect::<Res<Vec<_>>>()?
        }
        path => vec![path],
    };
    let mut keyed = Vec::new();
    for item in renderer.heap.values(value)? {
        let mut keys = Vec::with_capacity(paths.len());
        for path in &paths {
            keys.push(renderer.key_of(&item, path.as_ref(), case_sensitive, at)?);
        }
        let key = match keys.pop() {
            Some(key) if keys.is_empty() => key,
            last => {
                keys.extend(last);
                renderer.heap.list(keys)?
            }
        };
        keyed.push((key, item));
    }
    let sorted = renderer.heap.sorted_by(keyed, reverse)?;
    renderer.heap.list(sorted)
}

fn dictsort(renderer: &mut Renderer<'_>, value: &Value, arguments: &Arguments, at: Span) -> Res<Value> {
    let [case_sensitive, by, reverse] = arguments.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
    let (case_sensitive, reverse) = (renderer.flag(case_sensitive.as_ref()), renderer.flag(reverse.as_ref()));
    let by = by.map_or(Ok("key".to_owned()), |by| renderer.heap.str_of(&by))?;
    if !renderer.is_mapping(value) {
        renderer.heap.defined(value)?;
        return Err(Failure::render(format!(
            "`dictsort` needs a mapping, not {}",
            renderer.heap.described(value)
        )));
    }
    let mut keyed = Vec::new();
    for (key, value) in pairs(renderer, value)? {
        let by = match by.as_str() {
            "key" => &key,
            "value" => &value,
            _ => return Err(Failure::render("`dictsort` sorts by `key` or by `value`")),
        };
        let by = renderer.key_of(by, None, case_sensitive, at)?;
        keyed.push((by, renderer.heap.tuple(vec![key, value])?));
    }
    let sorted = renderer.heap.sorted_by(keyed, reverse)?;
    renderer.heap.list(sorted)
}

fn unique(renderer: &mut Renderer<'_>, value: &Value, arguments: &Arguments, at: Span) -> Res<Value> {
    let [case_sensitive, attribute] = arguments.bind("unique", ["case_sensitive", "attribute"])?;
    let (case_sensitive, attribute) = (renderer.flag(case_sensitive.as_ref()), given(attribute));
    let mut seen: IndexSet<Key> = IndexSet::new();
    let mut kept = Vec::new();
    for item in renderer.heap.values(value)? {
        let key = renderer.key_of(&item, attribute.as_ref(), case_sensitive, at)?;
        if seen.insert(renderer.heap.key(&key)?) {
            kept.push(item);
        }
    }
    renderer.heap.generator(kept)
}

fn extreme(
    renderer: &mut Renderer<'_>,
    name: &str,
    value: &Value,
    arguments: &Arguments,
    at: Span,
) -> Res<Value> {
    let [case_sensitive, attribute] = arguments.bind(name, ["case_sensitive", "attribute"])?;
    let (case_sensitive, attribute) = (renderer.flag(case_sensitive.as_ref()), given(attribute));
    let better = if name == "min" { Ordering::Less } else { Ordering::Greater };
    let mut best: Option<(Value, Value)> = None;
    for item in renderer.heap.values(value)? {
        let key = renderer.key_of(&item, attribute.as_ref(), case_sensitive, at)?;
        let replaces = match &best {
            Some((best, _)) => renderer.heap.order(&key, best)? == Some(better),
            None => true,
        };
        if replaces {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Value::Undefined(at), |(_, item)| item))
}

fn groupby(renderer: &mut Renderer<'_>, value: &Value, arguments: &Arguments, at: Span) -> Res<Value> {
    let [attribute, default, case_sensitive] =
        arguments.bind("groupby", ["attribute", "default", "case_sensitive"])?;
    let path = attribute.ok_or_else(|| Failure::render("`groupby` needs an attribute"))?;
    let (default, case_sensitive) = (given(default), renderer.flag(case_sensitive.as_ref()));
    let mut keyed = Vec::new();
    for item in renderer.heap.values(value)? {
        let grouper = renderer.at_path(&item, &path, default.as_ref(), at)?;
        let key = renderer.key_of(&grouper, None, case_sensitive, at)?;
        let entry = renderer.heap.tuple(vec![key.clone(), grouper, item])?;
        keyed.push((key, entry));
    }
    let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for entry in renderer.heap.sorted_by(keyed, false)? {
        let parts = renderer.heap.values(&entry)?;
        let [key, grouper, item] = parts.as_slice() else { continue };
        match groups.last_mut() {
            Some((last, _, items)) if renderer.heap.equal(last, key)? => items.push(item.clone()),
            _ => groups.push((key.clone(), grouper.clone(), vec![item.clone()])),
        }
    }
    let mut out = Vec::with_capacity(groups.len());
    for (_, grouper, items) in groups {
        let items = renderer.heap.list(items)?;
        out.push(renderer.heap.add(Object::Tuple { items: vec![grouper, items], is_group: true })?);
    }
    renderer.heap.list(out)
}

fn batch(renderer: &mut Renderer<'_>, value: &Value, arguments: &Arguments) -> Res<Value> {
    let [size, fill] = arguments.bind("batch", ["linecount", "fill_with"])?;
    let size = int(renderer, "batch", &size.unwrap_or(Value::None))?;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) else {
        return Err(Failure::render("the size of a batch is at least 1"));
    };
    let items = renderer.heap.values(value)?;
    let mut batches = Vec::new();
    for batch in items.chunks(size) {
        let mut batch = batch.to_vec();
        if let Some(fill) = given(fill.clone()) {
            let missing = size - batch.len();
            renderer.heap.meter.afford(missing.saturating_mul(32))?;
            batch.extend(std::iter::repeat_n(fill, missing));
        }
        batches.push(renderer.heap.list(batch)?);
    }
    renderer.heap.generator(batches)
}

fn slice(renderer: &mut Renderer<'_>, value: &Value, arguments: &Arguments) -> Res<Value> {
    let [slices, fill] = arguments.bind("slice", ["slices", "fill_with"])?;
    let slices = int(renderer, "slice", &slices.unwrap_or(Value::None))?;
    let Some(slices) = usize::try_from(slices).ok().filter(|slices| *slices > 0) else {
        return Err(Failure::render("the number of slices is at least 1"));
    };
    let items = renderer.heap.values(value)?;
    renderer.heap.work(slices)?;
    let (each, larger) = (items.len() / slices, items.len() % slices);
    let mut out = Vec::new();
    let mut offset = 0;
    for i in 0..slices {
        let length = each + usize::from(i < larger);
        let mut part = items.get(offset..offset + length).unwrap_or(&[]).to_vec();
        offset += length;
        if let Some(fill) = given(fill.clone())
            && i >= larger
            && larger > 0
        {
            part.push(fill);
        }
        out.push(renderer.heap.list(part)?);
    }
    renderer.heap.generator(out)
}

/// `map('filter', …)` or `map(attribute='…')`.
fn map(renderer: &mut Renderer<'_>, value: &Value, arguments: &Arguments, at: Span) -> Res<Value> {
    let items = renderer.heap.values(value)?;
    let mut mapped = Vec::with_capacity(items.len());
    if arguments.positional.is_empty() {
        let [path, default] = arguments.bind("map", ["attribute", "default"])?;
        let path = path.ok_or_else(|| Failure::render("`map` needs a filter or an attribute"))?;
        for item in items {
            mapped.push(renderer.at_path(&item, &path, default.as_ref(), at)?);
        }
    } else {
        let (filter, rest) = named_first(renderer, "map", arguments, 0)?;
        for item in items {
            mapped.push(renderer.filter(&filter, item, &rest, at)?);
        }
    }
    renderer.heap.generator(mapped)
}

/// `select`, `reject`, `selectattr` and `rejectattr`.
fn select(
    renderer: &mut Renderer<'_>,
    name: &str,
    value: &Value,
    arguments: &Arguments,
    at: Span,
) -> Res<Value> {
    let by_attribute = name.ends_with("attr");
    let wanted = name.starts_with("select");
    let path = match arguments.positional.first() {
        Some(path) if by_attribute => Some(path.clone()),
        None if by_attribute => return Err(Failure::render(format!("`{name}` needs an attribute"))),
        _ => None,
    };
    let skipped = usize::from(by_attribute);
    let test = if arguments.positional.len() > skipped {
        Some(named_first(renderer, name, arguments, skipped)?)
    } else {
        None
    };
    let mut kept = Vec::new();
    for item in renderer.heap.values(value)? {
        let tested = match &path {
            Some(path) => renderer.at_path(&item, path, None, at)?,
            None => item.clone(),
        };
        let holds = match &test {
            Some((test, rest)) => renderer.test(test, &tested, rest)?,
            None => renderer.heap.truth(&tested),
        };
        if holds == wanted {
            kept.push(item);
        }
    }
    renderer.heap.generator(kept)
}

/// The name of a filter or test among arguments, and the arguments after it.
fn named_first(
    renderer: &Renderer<'_>,
    what: &str,
    arguments: &Arguments,
    skipped: usize,
) -> Res<(String, Arguments)> {
    let mut positional = arguments.positional.iter().skip(skipped);
    let name = positional.next().ok_or_else(|| Failure::render(format!("`{what}` needs a name")))?;
    let name = renderer.heap.str_of(name)?;
    Ok((name, Arguments { positional: positional.cloned().collect(), named: arguments.named.clone() }))
}
