//! Filters for text.

use super::given;
use crate::config::template::Renderer;
use crate::config::template::calls::Arguments;
use crate::config::template::failure::{Failure, Res};
use crate::config::template::methods::{capitalized, int_or, lines, padded, replaced, stripped};
use crate::config::template::value::{Object, Value};

pub(super) fn filter(
    renderer: &mut Renderer<'_>,
    name: &str,
    value: &Value,
    arguments: &Arguments,
) -> Res<Value> {
    // These do not make a text of what is none.
    let is_nothing = name == "truncate" && matches!(value, Value::Undefined(_));
    if matches!(name, "indent" | "truncate" | "wordwrap") && !matches!(value, Value::Str(_)) && !is_nothing {
        renderer.heap.defined(value)?;
        return Err(Failure::render(format!(
            "`{name}` needs a string, not {}",
            renderer.heap.described(value)
        ))
        .help("`|string` makes one"));
    }
    let text = renderer.heap.str_of(value)?;
    renderer.heap.work(text.len() / 64)?;
    let changed = match name {
        "lower" | "upper" | "capitalize" | "title" => {
            let [] = arguments.bind(name, [])?;
            renderer.heap.meter.afford(text.len().saturating_mul(3))?;
            match name {
                "lower" => text.to_lowercase(),
                "upper" => text.to_uppercase(),
                "capitalize" => capitalized(&text),
                _ => titled(&text),
            }
        }
        "center" => {
            let [width] = arguments.bind(name, ["width"])?;
            let width = int_or(renderer, name, width.as_ref(), 80)?;
            padded(renderer, &text, width, ' ', name)?
        }
        "format" => {
            if !arguments.named.is_empty() && !arguments.positional.is_empty() {
                return Err(Failure::render("`format` takes values in order or by name, not both"));
            }
            let values = if arguments.named.is_empty() {
                renderer.heap.tuple(arguments.positional.clone())?
            } else {
                let mut dict = crate::config::template::value::Dict::new();
                for (name, value) in &arguments.named {
                    let key = renderer.heap.str(&**name)?;
                    dict.insert(renderer.heap.key(&key)?, (key, value.clone()));
                }
                renderer.heap.add(Object::Dict(dict))?
            };
            renderer.heap.percent(&text, &values)?
        }
        "indent" => indent(renderer, text, arguments)?,
        "replace" => {
            let [old, new, count] = arguments.bind(name, ["old", "new", "count"])?;
            let (Some(old), Some(new)) = (old, new) else {
                return Err(Failure::render("`replace` needs what to replace, and with what"));
            };
            let (old, new) = (renderer.heap.str_of(&old)?, renderer.heap.str_of(&new)?);
            let count = int_or(renderer, name, given(count).as_ref(), -1)?;
            replaced(renderer, &text, &old, &new, count)?
        }
        "trim" => {
            let [characters] = arguments.bind(name, ["chars"])?;
            stripped(renderer, &text, "strip", characters.as_ref())?.to_owned()
        }
        "truncate" => truncate(renderer, text, arguments)?,
        "wordcount" => {
            let [] = arguments.bind(name, [])?;
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let count = text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty()).count();
            return Ok(Value::Int(count as i128));
        }
        _ => wordwrap(renderer, &text, arguments)?,
    };
    renderer.heap.str(changed)
}

/// A word begins after white space, a dash or an opening bracket.
fn titled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at_start = true;
    for c in text.chars() {
        if at_start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        at_start = c.is_whitespace() || matches!(c, '-' | '(' | '{' | '[' | '<');
    }
    out
}

fn indent(renderer: &Renderer<'_>, text: String, arguments: &Arguments) -> Res<String> {
    let [width, first, blank] = arguments.bind("indent", ["width", "first", "blank"])?;
    let indentation = match &width {
        Some(Value::Str(text)) => text.to_string(),
        width => {
            let width =
                usize::try_from(int_or(renderer, "indent", width.as_ref(), 4)?.max(0)).unwrap_or(usize::MAX);
            renderer.heap.meter.afford(width)?;
            " ".repeat(width)
        }
    };
    let (first, blank) = (renderer.flag(first.as_ref()), renderer.flag(blank.as_ref()));
    // As Jinja2 does it: so that a last empty line counts.
    let text = text + "\n";
    let count = lines(&text, false).count();
    renderer.heap.meter.afford(text.len().saturating_add(count.saturating_mul(indentation.len())))?;
    let mut out = String::new();
    for (i, line) in lines(&text, false).enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if if i == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&indentation);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn truncate(renderer: &Renderer<'_>, text: String, arguments: &Arguments) -> Res<String> {
    let [length, kill, end, leeway] = arguments.bind("truncate", ["length", "killwords", "end", "leeway"])?;
    let length = int_or(renderer, "truncate", length.as_ref(), 255)?;
    let leeway = int_or(renderer, "truncate", given(leeway).as_ref(), 5)?;
    let end = end.map_or(Ok("...".to_owned()), |end| renderer.heap.str_of(&end))?;
    let ending = end.chars().count() as i128;
    if length < ending {
        return Err(Failure::render(format!("`truncate` to {length} characters leaves no room for `{end}`")));
    }
    if leeway < 0 {
        return Err(Failure::render("the leeway of `truncate` cannot be negative"));
    }
    if text.chars().count() as i128 <= length.saturating_add(leeway) {
        return Ok(text);
    }
    let kept = usize::try_from(length - ending).unwrap_or(usize::MAX);
    let kept: String = text.chars().take(kept).collect();
    if renderer.flag(kill.as_ref()) {
        return Ok(kept + &end);
    }
    Ok(kept.rsplit_once(' ').map_or(kept.as_str(), |(kept, _)| kept).to_owned() + &end)
}

fn wordwrap(renderer: &Renderer<'_>, text: &str, arguments: &Arguments) -> Res<String> {
    let [width, break_long, separator, hyphens] =
        arguments.bind("wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"])?;
    let width = usize::try_from(int_or(renderer, "wordwrap", width.as_ref(), 79)?).unwrap_or(0);
    if width == 0 {
        return Err(Failure::render("the width of `wordwrap` is at least 1"));
    }
    let separator = given(separator).map_or(Ok("\n".to_owned()), |text| renderer.heap.str_of(&text))?;
    let break_long = break_long.is_none_or(|value| renderer.heap.truth(&value));
    let hyphens = hyphens.is_none_or(|value| renderer.heap.truth(&value));
    renderer.heap.meter.afford(text.len().saturating_mul(separator.len() + 2))?;
    let paragraphs =
        lines(text, false).map(|line| wrapped(line, width, break_long, hyphens).join(&separator));
    Ok(paragraphs.collect::<Vec<_>>().join(&separator))
}

/// One line, wrapped as Python's `textwrap` does it.
fn wrapped(line: &str, width: usize, break_long: bool, hyphens: bool) -> Vec<String> {
    // No chunk is copied, or counted beyond the width: each may be all of the line.
    let chunks = chunks(line, hyphens);
    let mut chunks: Vec<&str> = chunks.iter().map(String::as_str).rev().collect();
    let mut out: Vec<String> = Vec::new();
    while !chunks.is_empty() {
        let mut current: Vec<&str> = Vec::new();
        let mut length = 0;
        if !out.is_empty() && chunks.last().is_some_and(|chunk| chunk.trim().is_empty()) {
            chunks.pop();
        }
        while let Some(chunk) = chunks.last() {
            if chunk.chars().nth(width - length).is_some() {
                break;
            }
            length += chunk.chars().count();
            current.extend(chunks.pop());
        }
        if let Some(chunk) = chunks.last_mut()
            && chunk.chars().nth(width).is_some()
        {
            if break_long {
                // Where no room is left this is nothing, which keeps the white space before it, as in Python.
                let room = width - length;
                let mut at = chunk.char_indices().nth(room).map_or(chunk.len(), |(i, _)| i);
                let hyphen = chunk.get(..at).and_then(|head| head.rfind('-')).filter(|_| hyphens);
                if let Some(hyphen) = hyphen
                    && chunk.bytes().take(hyphen).any(|byte| byte != b'-')
                {
                    at = hyphen + 1;
                }
                let (head, rest) = chunk.split_at(at);
                current.push(head);
                *chunk = rest;
            } else if current.is_empty() {
                current.extend(chunks.pop());
            }
        }
        if current.last().is_some_and(|chunk| chunk.trim().is_empty()) {
            current.pop();
        }
        if !current.is_empty() {
            out.push(current.concat());
        }
    }
    out
}

/// White space and words in turn; words end after a hyphen between letters too.
fn chunks(line: &str, hyphens: bool) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    let mut out: Vec<String> = Vec::new();
    let mut current = String::new();
    for (i, c) in characters.iter().enumerate() {
        if i > 0 {
            let before = characters.get(i - 1).copied().unwrap_or(' ');
            let at = |at: Option<usize>| at.and_then(|i| characters.get(i)).copied();
            let letter = |i: Option<usize>| at(i).is_some_and(|c| c.is_alphabetic() || c == '_');
            // Two letters, or two with a hyphen between them, are on either side of one where words end.
            let pair = |near: Option<usize>, next: Option<usize>, far: Option<usize>| {
                letter(near) && (letter(next) || at(next) == Some('-') && letter(far))
            };
            let after_hyphen = hyphens
                && before == '-'
                && pair(i.checked_sub(2), i.checked_sub(3), i.checked_sub(4))
                && pair(Some(i), Some(i + 1), Some(i + 2));
            if before.is_whitespace() != c.is_whitespace() || after_hyphen {
                out.push(std::mem::take(&mut current));
            }
        }
        current.push(*c);
    }
    if !current.is_empty() {
        out.push(current);
    }
    out
}
