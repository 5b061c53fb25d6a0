//! Methods of strings. Positions count characters, as Python's do.

use super::{int, int_or, str};
use crate::config::template::Renderer;
use crate::config::template::calls::Arguments;
use crate::config::template::failure::{Failure, Res};
use crate::config::template::text::Text;
use crate::config::template::value::{Object, Value};

pub(super) const NAMES: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

pub(super) fn call(
    renderer: &mut Renderer<'_>,
    text: &Text,
    name: &str,
    arguments: &Arguments,
) -> Res<Value> {
    renderer.heap.work(text.len() / 64)?;
    match name {
        "capitalize" | "casefold" | "lower" | "swapcase" | "title" | "upper" => {
            let [] = arguments.bind(name, [])?;
            renderer.heap.meter.afford(text.len().saturating_mul(3))?;
            renderer.heap.str(match name {
                "capitalize" => capitalized(text),
                "title" => titled(text),
                "swapcase" => swapped(text),
                "upper" => text.to_uppercase(),
                "casefold" => folded(text),
                _ => text.to_lowercase(),
            })
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = arguments.bind(name, ["width", "fillchar"])?;
            let width = int_or(renderer, name, width.as_ref(), 0)?;
            let fill = match &fill {
                None => ' ',
                Some(fill) => single(renderer, name, fill)?,
            };
            let padded = padded(renderer, text, width, fill, name)?;
            renderer.heap.str(padded)
        }
        "zfill" => {
            let [width] = arguments.exactly("zfill", ["width"])?;
            let width = int(renderer, name, &width)?;
            let (sign, digits) = match text.chars().next() {
                Some(sign @ ('+' | '-')) => (sign.to_string(), text.get(1..).unwrap_or("")),
                _ => (String::new(), &**text),
            };
            let filled = padded(renderer, digits, width - sign.len() as i128, '0', "rjust")?;
            renderer.heap.str(sign + &filled)
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(renderer, text, name, arguments),
        "startswith" | "endswith" => affix(renderer, text, name, arguments),
        "strip" | "lstrip" | "rstrip" => {
            let [characters] = arguments.bind(name, ["chars"])?;
            let stripped = stripped(renderer, text, name, characters.as_ref())?;
            renderer.heap.str(stripped)
        }
        "removeprefix" | "removesuffix" => {
            let [affix] = arguments.exactly(name, ["affix"])?;
            let affix = str(renderer, name, &affix)?;
            let rest =
                if name == "removeprefix" { text.strip_prefix(affix) } else { text.strip_suffix(affix) };
            renderer.heap.str(rest.unwrap_or(text))
        }
        "replace" => {
            let [old, new, count] = arguments.bind(name, ["old", "new", "count"])?;
            let (Some(old), Some(new)) = (old, new) else {
                return Err(Failure::render("`replace` needs what to replace, and with what"));
            };
            let (old, new) = (str(renderer, name, &old)?, str(renderer, name, &new)?);
            let count = int_or(renderer, name, count.as_ref(), -1)?;
            let replaced = replaced(renderer, text, old, new, count)?;
            renderer.heap.str(replaced)
        }
        "split" | "rsplit" => split(renderer, text, name, arguments),
        "splitlines" => {
            let [keep] = arguments.bind(name, ["keepends"])?;
            let keep = keep.is_some_and(|keep| renderer.heap.truth(&keep));
            let lines = lines(text, keep).map(|line| renderer.heap.str(line)).collect::<Res<_>>()?;
            renderer.heap.list(lines)
        }
        "partition" | "rpartition" => {
            let [separator] = arguments.exactly(name, ["sep"])?;
            let separator = str(renderer, name, &separator)?;
            if separator.is_empty() {
                return Err(Failure::render("the separator is empty"));
            }
            let parts = match name {
                "partition" => {
                    text.split_once(separator).map_or([&**text, "", ""], |(a, b)| [a, separator, b])
                }
                _ => text.rsplit_once(separator).map_or(["", "", &**text], |(a, b)| [a, separator, b]),
            };
            let parts = parts.into_iter().map(|part| renderer.heap.str(part)).collect::<Res<_>>()?;
            renderer.heap.tuple(parts)
        }
        "join" => {
            let [items] = arguments.exactly(name, ["iterable"])?;
            let mut out = String::new();
            for (i, item) in renderer.heap.values(&items)?.iter().enumerate() {
                let Value::Str(item) = item else {
                    return Err(Failure::render(format!(
                        "`join` joins strings, not {}",
                        renderer.heap.described(item)
                    ))
                    .help("the filter `|join` makes text of everything"));
                };
                renderer.heap.meter.afford(out.len() + text.len() + item.len())?;
                if i > 0 {
                    out.push_str(text);
                }
                out.push_str(item);
            }
            renderer.heap.str(out)
        }
        "expandtabs" => {
            let [size] = arguments.bind(name, ["tabsize"])?;
            let size = usize::try_from(int_or(renderer, name, size.as_ref(), 8)?).unwrap_or(0);
            let tabs = text.matches('\t').count();
            renderer.heap.meter.afford(text.len().saturating_add(tabs.saturating_mul(size)))?;
            renderer.heap.str(expanded(text, size))
        }
        "format" => {
            let formatted = renderer.format(text, arguments)?;
            renderer.heap.str(formatted)
        }
        "format_map" => {
            let [mapping] = arguments.exactly(name, ["mapping"])?;
            let mut arguments = Arguments::default();
            for (key, value) in renderer.dict_from(&mapping)?.into_values() {
                arguments.named.push((std::rc::Rc::from(renderer.heap.str_of(&key)?), value));
            }
            let formatted = renderer.format(text, &arguments)?;
            renderer.heap.str(formatted)
        }
        "encode" => {
            Err(Failure::render("`encode` is not available").note("templates here have no bytes, only text"))
        }
        _ => {
            let [] = arguments.bind(name, [])?;
            Ok(Value::Bool(is(text, name)))
        }
    }
}

pub(in crate::config::template) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().collect::<String>() + &characters.as_str().to_lowercase(),
        None => String::new(),
    }
}

/// Unicode's full case folding. But for two exceptions it is what the three conversions in a row come to: the dotless i
/// folds to itself, and Cherokee, which got its lower case late, folds to upper case.
fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ı' => out.push(c),
            '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' => out.extend(c.to_uppercase()),
            _ => out.extend(c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)),
        }
    }
    out
}

fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut within_word = false;
    for c in text.chars() {
        if within_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        within_word = c.is_alphabetic();
    }
    out
}

fn swapped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_uppercase() { out.extend(c.to_lowercase()) } else { out.extend(c.to_uppercase()) }
    }
    out
}

fn expanded(text: &str, size: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let width = size - column % size;
                out.extend(std::iter::repeat_n(' ', width));
                column += width;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            _ => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

fn single(renderer: &Renderer<'_>, what: &str, value: &Value) -> Res<char> {
    let text = str(renderer, what, value)?;
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(c), None) => Ok(c),
        _ => Err(Failure::render(format!("`{what}` fills with one character"))),
    }
}

/// Fills up to a width in characters. `how` is `center`, `ljust` or `rjust`.
pub(in crate::config::template) fn padded(
    renderer: &Renderer<'_>,
    text: &str,
    width: i128,
    fill: char,
    how: &str,
) -> Res<String> {
    let length = text.chars().count();
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let missing = width.saturating_sub(length);
    renderer.heap.meter.afford(missing.saturating_mul(fill.len_utf8()).saturating_add(text.len()))?;
    let left = match how {
        "ljust" => 0,
        "rjust" => missing,
        // CPython puts the odd one to the left where the width is odd.
        _ => missing / 2 + (missing & width & 1),
    };
    let mut out = String::with_capacity(text.len() + missing);
    out.extend(std::iter::repeat_n(fill, left));
    out.push_str(text);
    out.extend(std::iter::repeat_n(fill, missing - left));
    Ok(out)
}

pub(in crate::config::template) fn replaced(
    renderer: &Renderer<'_>,
    text: &str,
    old: &str,
    new: &str,
    count: i128,
) -> Res<String> {
    let most = if count < 0 { usize::MAX } else { usize::try_from(count).unwrap_or(usize::MAX) };
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() }.min(most);
    renderer.heap.meter.afford(text.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(text.replacen(old, new, most))
}

/// Part of a text by character positions, and where it begins.
fn part<'t>(
    renderer: &Renderer<'_>,
    text: &'t str,
    what: &str,
    start: Option<&Value>,
    end: Option<&Value>,
) -> Res<(&'t str, usize)> {
    let absent = |value: Option<&Value>| value.is_none_or(|value| matches!(value, Value::None));
    if absent(start) && absent(end) {
        return Ok((text, 0));
    }
    let length = text.chars().count() as i128;
    let bound = |value: Option<&Value>, default: i128| -> Res<usize> {
        let bound = if absent(value) { default } else { int_or(renderer, what, value, default)? };
        let bound = if bound < 0 { bound.saturating_add(length) } else { bound };
        Ok(usize::try_from(bound.max(0)).unwrap_or(usize::MAX))
    };
    let (start, end) = (bound(start, 0)?, bound(end, length)?);
    let byte = |position: usize| text.char_indices().nth(position).map_or(text.len(), |(i, _)| i);
    if start as i128 > length {
        // An empty part that nothing is found in, not even nothing.
        return Ok(("", usize::MAX));
    }
    Ok((text.get(byte(start)..byte(end).max(byte(start))).unwrap_or(""), start))
}

fn search(renderer: &Renderer<'_>, text: &str, name: &str, arguments: &Arguments) -> Res<Value> {
    let [wanted, start, end] = arguments.bind(name, ["sub", "start", "end"])?;
    let wanted = wanted.ok_or_else(|| Failure::render(format!("`{name}` needs a string to look for")))?;
    let wanted = str(renderer, name, &wanted)?;
    let (within, offset) = part(renderer, text, name, start.as_ref(), end.as_ref())?;
    let outside = offset == usize::MAX;
    if name == "count" {
        let count = match wanted {
            _ if outside => 0,
            "" => within.chars().count() + 1,
            _ => within.matches(wanted).count(),
        };
        return Ok(Value::Int(count as i128));
    }
    let found = if name.starts_with('r') { within.rfind(wanted) } else { within.find(wanted) };
    match found.filter(|_| !outside).and_then(|byte| within.get(..byte)) {
        Some(before) => Ok(Value::Int((offset + before.chars().count()) as i128)),
        None if name.ends_with("find") => Ok(Value::Int(-1)),
        None => Err(Failure::render(format!("`{name}` of a string that is not there"))
            .help("`find` returns -1 instead")),
    }
}

fn affix(renderer: &mut Renderer<'_>, text: &str, name: &str, arguments: &Arguments) -> Res<Value> {
    let [affix, start, end] = arguments.bind(name, ["affix", "start", "end"])?;
    let affix = affix.ok_or_else(|| Failure::render(format!("`{name}` needs a string")))?;
    let (within, offset) = part(renderer, text, name, start.as_ref(), end.as_ref())?;
    let affixes = match renderer.heap.object(&affix) {
        Some(Object::Tuple { items, .. }) => items.clone(),
        _ => vec![affix],
    };
    for affix in &affixes {
        let affix = str(renderer, name, affix)?;
        let matches = if name == "startswith" { within.starts_with(affix) } else { within.ends_with(affix) };
        if matches && offset != usize::MAX {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Python's `strip` and its one-sided kin.
pub(in crate::config::template) fn stripped<'t>(
    renderer: &Renderer<'_>,
    text: &'t str,
    how: &str,
    characters: Option<&Value>,
) -> Res<&'t str> {
    let characters = match characters {
        None | Some(Value::None) => None,
        Some(value) => Some(str(renderer, how, value)?),
    };
    let strip = |c: char| characters.map_or_else(|| is_space(c), |characters| characters.contains(c));
    Ok(match how {
        "lstrip" => text.trim_start_matches(strip),
        "rstrip" => text.trim_end_matches(strip),
        _ => text.trim_matches(strip),
    })
}

/// Python also has the separators of ASCII among white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn split(renderer: &mut Renderer<'_>, text: &str, name: &str, arguments: &Arguments) -> Res<Value> {
    let [separator, most] = arguments.bind(name, ["sep", "maxsplit"])?;
    let most = int_or(renderer, name, most.as_ref(), -1)?;
    let most = if most < 0 { usize::MAX } else { usize::try_from(most).unwrap_or(usize::MAX) };
    renderer.heap.meter.afford(text.len().saturating_mul(24))?;
    let parts: Vec<&str> = match &separator {
        None | Some(Value::None) if name == "split" => words(text, most),
        None | Some(Value::None) => words_from_end(text, most),
        Some(separator) => {
            let separator = str(renderer, name, separator)?;
            if separator.is_empty() {
                return Err(Failure::render("the separator is empty"));
            }
            if name == "split" {
                text.splitn(most.saturating_add(1), separator).collect()
            } else {
                let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), separator).collect();
                parts.reverse();
                parts
            }
        }
    };
    let parts = parts.into_iter().map(|part| renderer.heap.str(part)).collect::<Res<_>>()?;
    renderer.heap.list(parts)
}

fn words(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        parts.push(word);
        rest = after.trim_start_matches(is_space);
    }
    parts
}

fn words_from_end(text: &str, most: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end_matches(is_space);
    while !rest.is_empty() {
        if parts.len() == most {
            parts.push(rest);
            break;
        }
        let start =
            rest.char_indices().rev().find(|(_, c)| is_space(*c)).map_or(0, |(i, c)| i + c.len_utf8());
        let (before, word) = rest.split_at(start);
        parts.push(word);
        rest = before.trim_end_matches(is_space);
    }
    parts.reverse();
    parts
}

/// Python's `splitlines`: more ends a line than `\n`.
pub(in crate::config::template) fn lines(text: &str, keep_ends: bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let is_end = |c: char| {
            matches!(
                c,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
            )
        };
        let end = rest.find(is_end).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        let width =
            if after.starts_with("\r\n") { 2 } else { after.chars().next().map_or(0, char::len_utf8) };
        let whole = rest.get(..end + width).unwrap_or(line);
        rest = after.get(width..).unwrap_or("");
        Some(if keep_ends { whole } else { line })
    })
}

/// The questions that a string answers about its characters.
fn is(text: &str, question: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    match question {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" => {
            all(|c| c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric() && !c.is_alphabetic()))
        }
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(is_space),
        "isprintable" => {
            let mut written = String::new();
            crate::config::python::write_str_repr(&mut written, &text.replace(['\\', '\'', '"'], ""));
            !written.contains('\\')
        }
        "isidentifier" => {
            let mut characters = text.chars();
            characters.next().is_some_and(|c| c == '_' || c.is_alphabetic())
                && characters.all(|c| c == '_' || c.is_alphanumeric())
        }
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        _ => {
            let mut within_word = false;
            let mut cased = false;
            for c in text.chars() {
                if (c.is_uppercase() && within_word) || (c.is_lowercase() && !within_word) {
                    return false;
                }
                within_word = c.is_uppercase() || c.is_lowercase();
                cased = cased || within_word;
            }
            cased
        }
    }
}
