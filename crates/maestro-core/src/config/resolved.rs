//! A loaded file written down again, as text that loads as the same: nothing is left to be rendered, merged or included.

use super::node::{Node, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// A tree as a file, without some of the keys at its root.
///
/// Values that are shared stay so: what an alias stands for is written once.
pub fn resolved(root: &Arc<Node>, without: &[&str]) -> String {
    let mut writer = Writer { text: String::new(), shared: BTreeMap::new(), anchors: 0 };
    let entries = root.as_map().into_iter().flat_map(|map| &map.entries);
    let entries: Vec<_> =
        entries.filter(|(key, _)| key.as_str().is_none_or(|key| !without.contains(&key))).collect();
    for (_, value) in &entries {
        writer.count(value);
    }
    writer.shared.retain(|_, times| *times > Seen::Once);
    for (key, value) in entries {
        writer.node(key);
        writer.text.push_str(": ");
        writer.node(value);
        writer.text.push('\n');
    }
    if writer.text.is_empty() {
        writer.text.push_str("{}\n");
    }
    writer.text
}

/// How often a node is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Once,
    /// Often, and not written yet.
    Often,
    /// Often, and written under this number.
    Written(usize),
}

struct Writer {
    text: String,
    /// By their addresses: whoever lives as long as the tree is at one.
    shared: BTreeMap<*const Node, Seen>,
    /// How many of them have been written.
    anchors: usize,
}

impl Writer {
    fn count(&mut self, node: &Arc<Node>) {
        let (Value::Seq(_) | Value::Map(_)) = &node.value else { return };
        if let Some(seen) = self.shared.get_mut(&Arc::as_ptr(node)) {
            *seen = Seen::Often;
            return;
        }
        self.shared.insert(Arc::as_ptr(node), Seen::Once);
        match &node.value {
            Value::Seq(items) => items.iter().for_each(|item| self.count(item)),
            Value::Map(map) => map.entries.iter().for_each(|(_, value)| self.count(value)),
            _ => {}
        }
    }

    fn node(&mut self, node: &Arc<Node>) {
        match self.shared.get_mut(&Arc::as_ptr(node)) {
            Some(Seen::Written(number)) => {
                let number = *number;
                // A colon behind it would belong to its name.
                _ = write!(self.text, "*v{number} ");
                return;
            }
            Some(seen) => {
                *seen = Seen::Written(self.anchors);
                _ = write!(self.text, "&v{} ", self.anchors);
                self.anchors += 1;
            }
            None => {}
        }
        match &node.value {
            Value::Null => self.text.push_str("null"),
            Value::Bool(value) => self.text.push_str(if *value { "true" } else { "false" }),
            Value::Int(number) => self.tagged("int", &number.text),
            Value::Float(number) => self.tagged("float", &number.text),
            Value::Timestamp(text) => self.tagged("timestamp", text),
            Value::Str(text) => self.quoted(text),
            Value::Binary(bytes) => self.tagged("binary", &base64(bytes)),
            Value::Secret(name) => {
                self.text.push_str("!secret ");
                self.quoted(name);
            }
            Value::Seq(items) => {
                self.text.push('[');
                for (place, item) in items.iter().enumerate() {
                    self.text.push_str(if place == 0 { "" } else { ", " });
                    self.node(item);
                }
                self.text.push(']');
            }
            Value::Map(map) => {
                self.text.push('{');
                for (place, (key, value)) in map.entries.iter().enumerate() {
                    self.text.push_str(if place == 0 { "" } else { ", " });
                    self.node(key);
                    self.text.push_str(": ");
                    self.node(value);
                }
                self.text.push('}');
            }
        }
    }

    fn tagged(&mut self, tag: &str, text: &str) {
        _ = write!(self.text, "!!{tag} ");
        self.quoted(text);
    }

    /// As JSON has strings, and so that no template begins in them.
    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                // Also what ends lines, orders text or is no character to YAML.
                '{'
                | '}'
                | '#'
                | '%'
                | '\0'..='\x1f'
                | '\x7f'..='\u{a0}'
                | '\u{2028}'..='\u{202e}'
                | '\u{feff}'
                | '\u{fffe}'..='\u{ffff}' => _ = write!(self.text, "\\u{:04x}", u32::from(c)),
                _ => self.text.push(c),
            }
        }
        self.text.push('"');
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use crate::config::{Limits, load, resolved};
    use crate::source::MapSources;

    /// As if it had been read from a file.
    fn again(text: &str) -> String {
        let loaded = load(&MapSources::of(text), &Limits::default());
        resolved(loaded.tree.as_ref().unwrap_or_else(|| panic!("{text}\n{:?}", loaded.diagnostics)), &[])
    }

    const FILE: &str = r#"
{% set names = ['a', 'b'] %}
name: "{{ '{{' }} {% raw %}{% x %} {# y #}{% endraw %}"
x-numbers: [1, 0x1f, 017, 1_000, 190:20:30, 1.5, .inf, 1e3, 685.230_15e+03, !!float 3, !!int "3", -0]
x-others: [yes, ~, null, 2001-12-14t21:59:43.10-05:00, 2014-01-01, !!binary aGVsbG8=, "", '1', "\0\x07\u2028\t\r\n"]
x-secrets: [!secret a, !secret "b: c"]
x-keys: {1: a, true: b, ~: c, 1.5: d, 2014-01-01: e, "<<": f, '': g}
x-shared: &shared {list: &list [1, 2], more: *list}
x-use: [*shared, *list, {<<: *shared, own: 1}]
ships:
{% for name in names %}  {{ name }}: {ip: 192.0.2.1}
{% endfor %}
services: {}
"#;

    #[test]
    fn a_file_is_written_down_as_it_was_read() {
        let once = again(FILE);
        insta::assert_snapshot!(once);
        assert_eq!(again(&once), once);
        let values = |text: &str| {
            let loaded = load(&MapSources::of(text), &Limits::default());
            crate::config::json(&loaded.tree.unwrap())
        };
        assert_eq!(values(FILE), values(&once));
    }

    #[test]
    fn it_means_the_same() {
        let file = "
__maestro: {schema: 2}
name: shop
x-env: &env {A: 1, B: '{{ 1 + 1 }}', C: 1.20, D: on, E: 2014-01-01}
ships: {a: {ip: 192.0.2.1, api_version: 1.30}}
services:
  web:
    image: web
    env: {<<: *env, B: two}
    ports: {http: '80:8080', dns: 53/udp}
    deploy: {strategy: rolling, max_unavailable: 25%}
    instances: {web-1: {ship: a, env: *env, volumes: {/a: {target: /b, mode: ro}}}}
";
        let environment = |text: &str| {
            let loaded = load(&MapSources::of(text), &Limits::default());
            loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
        };
        assert_eq!(environment(file), environment(&again(file)));
    }

    #[test]
    fn keys_of_the_root_can_be_left_out() {
        let loaded = load(&MapSources::of("name: t\nships: {}\naudit: []\n"), &Limits::default());
        assert_eq!(resolved(loaded.tree.as_ref().unwrap(), &["audit", "ships"]), "\"name\": \"t\"\n");
    }
}
