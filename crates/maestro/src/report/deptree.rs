//! What services need: as a tree of text (specification, section 1.9), or as data.

use super::printer::Printer;
use super::status::Output;
use super::text::clean;
use super::wire;
use maestro_core::names::ServiceName;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Services and what they need.
#[derive(Debug, Clone, Default)]
pub struct Dependencies {
    /// What each service needs directly.
    pub needs: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    /// The services that were asked about.
    pub roots: BTreeSet<ServiceName>,
}

impl Dependencies {
    /// The roots and everything that they need, each once, what is needed first; a circle is entered somewhere.
    pub fn in_order(&self) -> Vec<&ServiceName> {
        let mut order = Vec::new();
        let mut reached: BTreeSet<&ServiceName> = BTreeSet::new();
        let needs = |name| self.needs.get(name).into_iter().flatten();
        // A stack of our own: a chain of thousands of services is legal.
        let mut path = Vec::new();
        for root in &self.roots {
            if reached.insert(root) {
                path.push((root, needs(root)));
            }
            while let Some((name, rest)) = path.last_mut() {
                match rest.find(|needed| reached.insert(needed)) {
                    Some(needed) => path.push((needed, needs(needed))),
                    None => {
                        order.push(*name);
                        path.pop();
                    }
                }
            }
        }
        order
    }
}

/// Prints what services need in the form asked for.
pub fn print(printer: &Printer, dependencies: &Dependencies, recursive: bool, output: Output) {
    let text = match output {
        Output::Table => {
            let mut text = String::new();
            // Writing to a String does not fail.
            _ = write(&mut text, &dependencies.needs, &dependencies.roots, recursive);
            text
        }
        Output::Name => {
            dependencies.in_order().iter().fold(String::new(), |text, name| text + name.as_str() + "\n")
        }
        Output::Json | Output::Jsonl | Output::Yaml => {
            wire::list(output, &wire::ServiceNeeds::all(dependencies))
        }
    };
    printer.data(&text);
}

/// Writes one tree per root, sorted, an empty line between them.
///
/// A service that its root's tree has shown already is left out, unless `recursive`: then everything is shown
/// everywhere, except a service below itself.
pub fn write(
    out: &mut impl fmt::Write,
    children: &BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    roots: &BTreeSet<ServiceName>,
    recursive: bool,
) -> fmt::Result {
    for (at, root) in roots.iter().enumerate() {
        if at > 0 {
            out.write_char('\n')?;
        }
        tree(out, children, root, recursive)?;
    }
    Ok(())
}

/// A node whose children are being written.
struct Level<'a> {
    name: &'a ServiceName,
    children: std::iter::Peekable<std::vec::IntoIter<&'a ServiceName>>,
    /// Length of the indent of its children.
    indent: usize,
}

fn tree<'a>(
    out: &mut impl fmt::Write,
    children: &'a BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    root: &'a ServiceName,
    recursive: bool,
) -> fmt::Result {
    writeln!(out, "{}", clean(root.as_str()))?;
    let mut shown = BTreeSet::from([root]);
    let mut indent = String::from(" ");
    // A stack of our own: a chain of thousands of services is legal.
    let mut path: Vec<Level<'a>> = Vec::new();
    let mut above: BTreeSet<&ServiceName> = BTreeSet::from([root]);
    let open = |name: &'a ServiceName, shown: &mut BTreeSet<&'a ServiceName>, above: &BTreeSet<_>, indent| {
        let all = children.get(name).into_iter().flatten();
        let visible: Vec<&ServiceName> = if recursive {
            all.filter(|child| !above.contains(child)).collect()
        } else {
            all.filter(|child| shown.insert(child)).collect()
        };
        Level { name, children: visible.into_iter().peekable(), indent }
    };
    path.push(open(root, &mut shown, &above, indent.len()));
    while let Some(level) = path.last_mut() {
        indent.truncate(level.indent);
        let Some(child) = level.children.next() else {
            above.remove(level.name);
            path.pop();
            continue;
        };
        let last = level.children.peek().is_none();
        writeln!(out, "{indent}{} {}", if last { "\\-" } else { "+-" }, clean(child.as_str()))?;
        indent.push_str(if last { "   " } else { "|  " });
        above.insert(child);
        let below = open(child, &mut shown, &above, indent.len());
        path.push(below);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(edges: &[(&str, &[&str])], roots: &[&str], recursive: bool) -> String {
        let children = edges
            .iter()
            .map(|(name, needs)| ((*name).into(), needs.iter().map(|n| (*n).into()).collect()))
            .collect();
        let roots = roots.iter().map(|r| (*r).into()).collect();
        let mut text = String::new();
        write(&mut text, &children, &roots, recursive).unwrap();
        text
    }

    const SHOP: &[(&str, &[&str])] =
        &[("web", &["api", "cache"]), ("api", &["db", "cache"]), ("cache", &["db"])];

    #[test]
    fn what_was_shown_is_not_repeated() {
        insta::assert_snapshot!(draw(SHOP, &["web", "db"], false), @r"
        db

        web
         +- api
         |  \- db
         \- cache
        ");
    }

    #[test]
    fn recursive_repeats() {
        insta::assert_snapshot!(draw(SHOP, &["web"], true), @r"
        web
         +- api
         |  +- cache
         |  |  \- db
         |  \- db
         \- cache
            \- db
        ");
    }

    #[test]
    fn circles_end() {
        let circle: &[(&str, &[&str])] = &[("a", &["b"]), ("b", &["a", "b", "c"])];
        assert_eq!(draw(circle, &["a"], true), "a\n \\- b\n    \\- c\n");
        assert_eq!(draw(circle, &["a"], false), "a\n \\- b\n    \\- c\n");
    }

    #[test]
    fn data_says_what_is_needed_first() {
        let name = |name: &&str| ServiceName::from(*name);
        let dependencies = Dependencies {
            needs: SHOP
                .iter()
                .chain([&("db", &[][..]), &("batch", &["db"]), &("a", &["b"]), &("b", &["a"])])
                .map(|(service, needs)| (name(service), needs.iter().map(name).collect()))
                .collect(),
            roots: ["web", "cache", "a"].iter().map(name).collect(),
        };
        let shown = |output| {
            let (printer, captured) = Printer::captured(crate::report::Capabilities::plain(80));
            print(&printer, &dependencies, false, output);
            captured.stdout()
        };
        assert_eq!(shown(Output::Name), "b\na\ndb\ncache\napi\nweb\n");
        insta::assert_snapshot!(shown(Output::Jsonl), @r#"
        {"service":"b","asked":false,"needs":["a"]}
        {"service":"a","asked":true,"needs":["b"]}
        {"service":"db","asked":false,"needs":[]}
        {"service":"cache","asked":true,"needs":["db"]}
        {"service":"api","asked":false,"needs":["cache","db"]}
        {"service":"web","asked":true,"needs":["api","cache"]}
        "#);
        let lines: Vec<serde_json::Value> =
            shown(Output::Jsonl).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let document: serde_json::Value = serde_json::from_str(&shown(Output::Json)).unwrap();
        assert_eq!(document, serde_json::Value::Array(lines));
        assert!(shown(Output::Yaml).starts_with("- service: b\n  asked: false\n  needs:\n  - a\n"));
        assert!(shown(Output::Table).starts_with("a\n \\- b\n\ncache\n \\- db\n\nweb\n"));
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let children = (0..20_000)
            .map(|n| (format!("s{n}").as_str().into(), [format!("s{}", n + 1).as_str().into()].into()))
            .collect();
        let mut lines = Lines(0);
        write(&mut lines, &children, &["s0".into()].into(), true).unwrap();
        assert_eq!(lines.0, 20_001);
        let dependencies = Dependencies { needs: children, roots: ["s0".into()].into() };
        assert_eq!(dependencies.in_order().len(), 20_001);
    }

    struct Lines(usize);

    impl fmt::Write for Lines {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.matches('\n').count();
            Ok(())
        }
    }
}
