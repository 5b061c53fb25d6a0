//! The tree of what services need, as text (specification, section 1.9).

use super::text::clean;
use maestro_core::names::ServiceName;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

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
    fn a_long_chain_needs_no_stack() {
        let children = (0..20_000)
            .map(|n| (format!("s{n}").as_str().into(), [format!("s{}", n + 1).as_str().into()].into()))
            .collect();
        let mut lines = Lines(0);
        write(&mut lines, &children, &["s0".into()].into(), true).unwrap();
        assert_eq!(lines.0, 20_001);
    }

    struct Lines(usize);

    impl fmt::Write for Lines {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.matches('\n').count();
            Ok(())
        }
    }
}
