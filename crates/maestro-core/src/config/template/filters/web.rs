//! Filters for JSON, URLs and HTML.

use super::sequences::pairs;
use crate::config::python::{float_repr, push_fmt};
use crate::config::template::Renderer;
use crate::config::template::calls::Arguments;
use crate::config::template::failure::{Failure, Res};
use crate::config::template::methods::int_or;
use crate::config::template::value::{DEEPEST, Heap, Object, Value, too_deep};

pub(super) fn filter(
    renderer: &mut Renderer<'_>,
    name: &str,
    value: &Value,
    arguments: &Arguments,
) -> Res<Value> {
    match name {
        "safe" => {
            let [] = arguments.bind(name, [])?;
            let text = renderer.heap.str_of(value)?;
            renderer.heap.str(text)
        }
        "e" | "escape" | "forceescape" => {
            let [] = arguments.bind(name, [])?;
            let text = renderer.heap.str_of(value)?;
            renderer.heap.meter.afford(text.len().saturating_mul(6))?;
            renderer.heap.str(escaped(&text))
        }
        "striptags" => {
            let [] = arguments.bind(name, [])?;
            let text = renderer.heap.str_of(value)?;
            renderer.heap.str(without_tags(&text))
        }
        "tojson" => {
            let [indent] = arguments.bind(name, ["indent"])?;
            let indent = match indent {
                None | Some(Value::None) => None,
                indent => Some(usize::try_from(int_or(renderer, name, indent.as_ref(), 0)?).unwrap_or(0)),
            };
            let mut out = String::new();
            Json { heap: &renderer.heap, indent }.write(&mut out, value, 0)?;
            let out = out.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
            renderer.heap.str(out.replace('\'', "\\u0027"))
        }
        "urlencode" => {
            let [] = arguments.bind(name, [])?;
            urlencode(renderer, value)
        }
        "xmlattr" => {
            let [autospace] = arguments.bind(name, ["autospace"])?;
            let autospace = autospace.is_none_or(|autospace| renderer.heap.truth(&autospace));
            xmlattr(renderer, value, autospace)
        }
        _ => {
            let [_, _, target, rel, _] =
                arguments.bind(name, ["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"])?;
            if target.is_some() || rel.is_some() {
                return Err(Failure::render("`urlize` takes no `target` and no `rel` here"));
            }
            let text = renderer.heap.str_of(value)?;
            renderer.heap.meter.afford(text.len().saturating_mul(8))?;
            renderer.heap.str(with_links(&text))
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text without comments and tags, white space run together, the common entities resolved.
fn without_tags(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        let end = if tag.starts_with("<!--") {
            tag.find("-->").map(|i| i + 3)
        } else {
            tag.find('>').map(|i| i + 1)
        };
        let Some(end) = end else { break };
        kept.push_str(before);
        rest = tag.get(end..).unwrap_or("");
    }
    kept.push_str(rest);
    let words: Vec<&str> = kept.split_whitespace().collect();
    words
        .join(" ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// JSON as Python's `json.dumps` writes it, keys sorted.
struct Json<'a> {
    heap: &'a Heap,
    indent: Option<usize>,
}

impl Json<'_> {
    fn write(&self, out: &mut String, value: &Value, depth: usize) -> Res<()> {
        if depth > DEEPEST {
            return Err(too_deep());
        }
        self.heap.work(1)?;
        self.heap
            .meter
            .afford(out.len().saturating_add(self.indent.unwrap_or(0).saturating_mul(depth + 1)))?;
        match value {
            Value::None => out.push_str("null"),
            Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
            Value::Int(int) => push_fmt(out, format_args!("{int}")),
            Value::Float(float) => out.push_str(&json_float(*float)),
            Value::Str(text) => write_json_string(out, text),
            Value::Object(_) => match self.heap.object(value) {
                Some(Object::List(items) | Object::Tuple { items, .. }) => {
                    self.write_all(out, ['[', ']'], items.len(), depth, |out, i| match items.get(i) {
                        Some(item) => self.write(out, item, depth + 1),
                        None => Ok(()),
                    })?;
                }
                Some(Object::Dict(dict)) => {
                    let keyed =
                        dict.values().map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>();
                    let order =
                        keyed.iter().enumerate().map(|(i, (key, _))| (key.clone(), Value::Int(i as i128)));
                    let order = self.heap.sorted_by(order.collect(), false)?;
                    self.write_all(out, ['{', '}'], order.len(), depth, |out, i| {
                        let Some(Value::Int(i)) = order.get(i) else { return Ok(()) };
                        let Some((key, value)) = usize::try_from(*i).ok().and_then(|i| keyed.get(i)) else {
                            return Ok(());
                        };
                        write_json_string(out, &self.key(key)?);
                        out.push_str(": ");
                        self.write(out, value, depth + 1)
                    })?;
                }
                _ => return Err(self.not_json(value)),
            },
            _ => return Err(self.not_json(value)),
        }
        Ok(())
    }

    fn write_all(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        count: usize,
        depth: usize,
        mut write: impl FnMut(&mut String, usize) -> Res<()>,
    ) -> Res<()> {
        let break_line = |out: &mut String, depth: usize| {
            if let Some(indent) = self.indent {
                out.push('\n');
                out.push_str(&" ".repeat(indent.saturating_mul(depth)));
            }
        };
        out.push(open);
        for i in 0..count {
            if i > 0 {
                out.push_str(if self.indent.is_some() { "," } else { ", " });
            }
            break_line(out, depth + 1);
            write(out, i)?;
        }
        if count > 0 {
            break_line(out, depth);
        }
        out.push(close);
        Ok(())
    }

    fn key(&self, key: &Value) -> Res<String> {
        Ok(match key {
            Value::Str(text) => text.to_string(),
            Value::None => "null".to_owned(),
            Value::Bool(bool) => bool.to_string(),
            Value::Int(int) => int.to_string(),
            Value::Float(float) => json_float(*float),
            _ => return Err(self.not_json(key)),
        })
    }

    fn not_json(&self, value: &Value) -> Failure {
        if let Err(failure) = self.heap.defined(value) {
            return failure;
        }
        Failure::render(format!("{} cannot be written as JSON", self.heap.described(value)))
    }
}

fn json_float(float: f64) -> String {
    match float {
        f if f.is_nan() => "NaN".to_owned(),
        f if f.is_infinite() => if f > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        f => float_repr(f),
    }
}

fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    push_fmt(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

fn quoted(text: &str, for_query: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            b'/' if !for_query => out.push('/'),
            b' ' if for_query => out.push('+'),
            byte => push_fmt(&mut out, format_args!("%{byte:02X}")),
        }
    }
    out
}

fn urlencode(renderer: &mut Renderer<'_>, value: &Value) -> Res<Value> {
    let entries = match renderer.heap.object(value) {
        Some(Object::Dict(_)) => pairs(renderer, value)?,
        Some(Object::List(_) | Object::Tuple { .. } | Object::View { .. } | Object::Generator { .. }) => {
            renderer.dict_pairs(value)?
        }
        _ => {
            let text = renderer.heap.str_of(value)?;
            renderer.heap.meter.afford(text.len().saturating_mul(3))?;
            return renderer.heap.str(quoted(&text, false));
        }
    };
    let mut out = String::new();
    for (key, value) in entries {
        let (key, value) = (renderer.heap.str_of(&key)?, renderer.heap.str_of(&value)?);
        renderer.heap.meter.afford(out.len() + 3 * (key.len() + value.len()))?;
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(&quoted(&key, true));
        out.push('=');
        out.push_str(&quoted(&value, true));
    }
    renderer.heap.str(out)
}

impl Renderer<'_> {
    /// The items of an iterable of pairs.
    fn dict_pairs(&mut self, value: &Value) -> Res<Vec<(Value, Value)>> {
        let mut found = Vec::new();
        for pair in self.heap.values(value)? {
            match self.heap.values(&pair)?.as_slice() {
                [key, value] => found.push((key.clone(), value.clone())),
                _ => return Err(Failure::render("`urlencode` needs text, a mapping or pairs")),
            }
        }
        Ok(found)
    }
}

fn xmlattr(renderer: &mut Renderer<'_>, value: &Value, autospace: bool) -> Res<Value> {
    if !renderer.is_mapping(value) {
        renderer.heap.defined(value)?;
        return Err(Failure::render(format!(
            "`xmlattr` needs a mapping, not {}",
            renderer.heap.described(value)
        )));
    }
    let mut attributes = Vec::new();
    for (key, value) in pairs(renderer, value)? {
        if matches!(value, Value::None | Value::Undefined(_)) {
            continue;
        }
        let (key, value) = (renderer.heap.str_of(&key)?, renderer.heap.str_of(&value)?);
        if key.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '>' | '=')) {
            return Err(Failure::render(format!("`{key}` cannot be the name of an attribute")));
        }
        renderer.heap.meter.take(key.len() + value.len())?;
        attributes.push(format!("{}=\"{}\"", escaped(&key), escaped(&value)));
    }
    let text = attributes.join(" ");
    renderer.heap.str(if autospace && !text.is_empty() { format!(" {text}") } else { text })
}

/// Turns addresses into links.
fn with_links(text: &str) -> String {
    let mut out = String::new();
    for piece in escaped(text).split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let space = piece.get(word.len()..).unwrap_or("");
        let bare = word.trim_end_matches(['.', ',', ')', '!', '?']);
        let tail = word.get(bare.len()..).unwrap_or("");
        let href = if bare.starts_with("https://") || bare.starts_with("http://") {
            Some(bare.to_owned())
        } else if bare.starts_with("www.") {
            Some(format!("https://{bare}"))
        } else {
            None
        };
        match href {
            Some(href) => push_fmt(
                &mut out,
                format_args!("<a href=\"{href}\" rel=\"noopener\">{bare}</a>{tail}{space}"),
            ),
            None => out.push_str(piece),
        }
    }
    out
}
