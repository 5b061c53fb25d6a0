//! What services need: as a tree of text (specification, section 1.9), or as data.

use super::errors::ErrorReport;
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

/// How much text trees may be in bytes: where everybody needs the same, a few dozen services are a tree that never ends.
const MOST: usize = 32 << 20;

/// How much text is printed at once.
const PAGE: usize = 1 << 16;

/// Prints what services need in the form asked for. Whether it could be shown to its end; if not, that has been said.
#[must_use]
pub fn print(printer: &Printer, dependencies: &Dependencies, recursive: bool, output: Output) -> bool {
    let text = match output {
        Output::Table => return print_trees(printer, dependencies, recursive, MOST),
        Output::Name => {
            dependencies.in_order().iter().fold(String::new(), |text, name| text + name.as_str() + "\n")
        }
        Output::Json | Output::Jsonl | Output::Yaml => {
            wire::list(output, &wire::ServiceNeeds::all(dependencies))
        }
    };
    printer.data(&text);
    true
}

fn print_trees(printer: &Printer, dependencies: &Dependencies, recursive: bool, most: usize) -> bool {
    let mut pages = Pages { printer, page: String::new(), left: most, is_in_line: false };
    let is_whole = write(&mut pages, &dependencies.needs, &dependencies.roots, recursive).is_ok();
    printer.data(&pages.page);
    // Nobody wants more of it if nobody reads.
    let is_cut = !is_whole && !printer.is_closed();
    if is_cut {
        let error = ErrorReport::new("the tree is too long to be shown to its end");
        let hint = if recursive {
            "without --recursive, a tree shows each service once"
        } else {
            "name the services whose trees you want, or list all with --output name or json"
        };
        error.hint(hint).print(printer);
    }
    !is_cut
}

/// Prints what is written page by page, until it is too much or nobody reads any more.
struct Pages<'a> {
    printer: &'a Printer,
    page: String,
    /// How many bytes more there may be; the last line is finished.
    left: usize,
    is_in_line: bool,
}

impl fmt::Write for Pages<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.left == 0 && !self.is_in_line {
            return Err(fmt::Error);
        }
        self.is_in_line = !text.ends_with('\n');
        self.page.push_str(text);
        self.left = self.left.saturating_sub(text.len());
        if self.page.len() >= PAGE {
            self.printer.data(&std::mem::take(&mut self.page));
            if self.printer.is_closed() {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
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
        indent.push_str(if last { "  " } else { "|  " });
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
        assert_eq!(draw(circle, &["a"], true), "a\n \\- b\n   \\- c\n");
        assert_eq!(draw(circle, &["a"], false), "a\n \\- b\n   \\- c\n");
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
            assert!(print(&printer, &dependencies, false, output));
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

    /// Each service needs the two before it.
    fn ladder(length: usize) -> Dependencies {
        let name = |n: usize| ServiceName::from(format!("s{n}").as_str());
        let needs = (0..length).map(|n| (name(n), (n.saturating_sub(2)..n).map(name).collect()));
        Dependencies { needs: needs.collect(), roots: [name(length - 1)].into() }
    }

    #[test]
    fn a_tree_that_never_ends_is_cut_at_the_end_of_a_line() {
        let (printer, captured) = Printer::captured(crate::report::Capabilities::plain(80));
        assert!(!print_trees(&printer, &ladder(100), true, 200_000));
        let out = captured.stdout();
        assert!((200_000..201_000).contains(&out.len()) && out.ends_with('\n'), "{} bytes", out.len());
        insta::assert_snapshot!(captured.stderr(), @"
        ERROR: the tree is too long to be shown to its end
          hint: without --recursive, a tree shows each service once
        ");
        // Without `--recursive`, and for machines, it is as long as there are services.
        for output in [Output::Table, Output::Name, Output::Jsonl] {
            let (printer, captured) = Printer::captured(crate::report::Capabilities::plain(80));
            assert!(print(&printer, &ladder(100), output != Output::Table, output));
            assert_eq!((captured.stdout().lines().count(), captured.stderr().len()), (100, 0), "{output:?}");
        }
    }

    #[test]
    fn nobody_has_to_read_to_the_end() {
        struct Closed;
        impl std::io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let printer = Printer::new(crate::report::Capabilities::plain(80), Closed, Closed, || None);
        assert!(print(&printer, &ladder(100), true, Output::Table));
    }

    #[test]
    fn trees_as_long_as_the_limit_are_whole() {
        let (printer, captured) = Printer::captured(crate::report::Capabilities::plain(80));
        let dependencies = ladder(3);
        let whole = "s2\n +- s0\n \\- s1\n   \\- s0\n";
        assert!(print_trees(&printer, &dependencies, true, whole.len()));
        assert_eq!(captured.stdout(), whole);
        assert!(!print_trees(&printer, &dependencies, true, 3));
        assert_eq!(captured.stdout_from(whole.len()), "s2\n");
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
