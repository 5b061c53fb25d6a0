//! `anchors:`: the ships that keep the lease and what was released.

use super::fields::Reader;
use super::node::{Mapping, Value};
use super::python;
use super::ships::Ships;
use crate::diagnostic::{Code, Diagnostic};
use crate::names::ShipName;

/// More of them only make every write slower.
const MOST: usize = 5;

/// Reads them; empty if the file does not say.
pub(super) fn read(reader: &mut Reader<'_>, root: &Mapping, ships: &Ships) -> Vec<ShipName> {
    let Some(node) = root.get("anchors").filter(|node| !node.is_null()) else { return Vec::new() };
    let Value::Seq(items) = &node.value else {
        let message = format!("`anchors` must be a list of ships, not {}", node.kind());
        reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
        return Vec::new();
    };
    let mut anchors: Vec<ShipName> = Vec::new();
    for item in items {
        let name = python::text(item);
        match ships.by_name.get(name.as_ref() as &str) {
            Some(ship) if anchors.contains(&ship.name) => {
                let message = format!("`anchors` names `{name}` twice");
                reader.report(Diagnostic::error(Code::BadValue, message).at(item.span));
            }
            Some(ship) => anchors.push(ship.name.clone()),
            None if ships.is_faulty(&name) => {}
            None => {
                let error =
                    Diagnostic::error(Code::UnknownName, format!("there is no ship `{name}`")).at(item.span);
                let known = ships.by_name.keys().map(ShipName::as_str);
                let error = reader.suggest(error, &name, known);
                reader.report(error);
            }
        }
    }
    if items.is_empty() || items.len() > MOST || items.len().is_multiple_of(2) {
        let error = Diagnostic::error(Code::BadValue, "`anchors` must be one, three or five ships")
            .at(node.span)
            .note("a majority of them has to be there; of an even number, one adds nothing to that");
        reader.report(error);
    }
    anchors
}

#[cfg(test)]
mod tests {
    use crate::config::{Limits, load};
    use crate::source::MapSources;

    fn read(anchors: &str) -> Result<Vec<String>, String> {
        let text = format!(
            "name: x\nships: {{a: {{ip: 192.0.2.1}}, b: {{ip: 192.0.2.2}}, c: {{ip: 192.0.2.3}}}}\nservices: {{}}\n{anchors}\n"
        );
        let loaded = load(&MapSources::of(text), &Limits::default());
        match loaded.environment {
            Some(environment) => Ok(environment.anchors.iter().map(ToString::to_string).collect()),
            None => Err(loaded.diagnostics.iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("; ")),
        }
    }

    #[test]
    fn anchors_are_ships_and_an_odd_number() {
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("anchors: [b]"), Ok(vec!["b".to_owned()]));
        assert_eq!(read("anchors: [c, a, b]"), Ok(["c", "a", "b"].map(str::to_owned).to_vec()));
        for (anchors, expected) in [
            ("anchors: a", "must be a list"),
            ("anchors: []", "one, three or five"),
            ("anchors: [a, b]", "one, three or five"),
            ("anchors: [d]", "there is no ship `d`"),
            ("anchors: [a, a, b]", "twice"),
        ] {
            let said = read(anchors).unwrap_err();
            assert!(said.contains(expected), "{anchors}: {said}");
        }
    }
}
