//! Port specifications: `container[:host]`, the opposite of Docker's own order (specification, section 4.1).

use super::expansion::Counted;
use super::fields::Reader;
use super::node::{Mapping, Node, Value};
use super::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Port, Protocol};
use crate::source::Span;
use indexmap::IndexMap;
use std::sync::Arc;

/// One side of a specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// The first port.
    pub first: u16,
    /// The last; the same as the first if this is no range.
    pub last: u16,
    /// The protocol, `tcp` if none is written.
    pub protocol: Protocol,
    /// The part without protocol, as written.
    pub text: Arc<str>,
}

/// Why a text is no port specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// One side is not `port[-port][/tcp|/udp]`.
    #[error("`{0}` is not a port; expected forms are 80, 80-90, 53/udp, 80-90/tcp")]
    Atom(String),
    /// One side is not within 0 to 65535, or a range goes down.
    #[error("`{0}` is out of range: ports go from 1 to 65535, ranges from the lower to the higher")]
    Range(String),
    /// There is more than one colon.
    #[error(
        "`{0}` has more than one colon; the form is container:host, and an address takes the form {{exposed: …, external: [address, …]}}"
    )]
    Colons(String),
    /// The sides disagree.
    #[error("the sides of `{text}` have different protocols: {exposed} and {external}")]
    Protocols {
        /// The specification.
        text: String,
        /// Protocol in the container.
        exposed: Protocol,
        /// Protocol on the host.
        external: Protocol,
    },
    /// Ranges have different lengths.
    #[error("the ranges `{exposed}` and `{external}` have different lengths")]
    Lengths {
        /// In the container.
        exposed: String,
        /// On the host.
        external: String,
    },
}

/// Reads `80`, `80-90`, `53/udp`.
pub fn atom(text: &str) -> Result<Atom, PortError> {
    let bad = || PortError::Atom(text.to_owned());
    let (ports, protocol) = match text.split_once('/') {
        None => (text, Protocol::Tcp),
        Some((ports, "tcp")) => (ports, Protocol::Tcp),
        Some((ports, "udp")) => (ports, Protocol::Udp),
        Some(_) => return Err(bad()),
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |digits: &str| {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        digits.parse::<u16>().map_err(|_| PortError::Range(text.to_owned()))
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(PortError::Range(text.to_owned()));
    }
    Ok(Atom { first, last, protocol, text: ports.into() })
}

/// Reads the text form `container[:host]`.
pub fn spec(text: &str) -> Result<Port, PortError> {
    let mut sides = text.split(':');
    let (exposed, external) = match (sides.next(), sides.next(), sides.next()) {
        (Some(both), None, None) => (atom(both)?, atom(both)?),
        (Some(exposed), Some(external), None) => (atom(exposed)?, atom(external)?),
        _ => return Err(PortError::Colons(text.to_owned())),
    };
    if exposed.protocol != external.protocol {
        return Err(PortError::Protocols {
            text: text.to_owned(),
            exposed: exposed.protocol,
            external: external.protocol,
        });
    }
    join(&exposed, &external, "0.0.0.0".into())
}

/// Joins both sides. A single exposed port with a range on the host means that the engine picks one of the range; a
/// range of exposed ports needs a range of the same length.
fn join(exposed: &Atom, external: &Atom, address: Arc<str>) -> Result<Port, PortError> {
    // Port 0 on the host lets the engine choose; in the container it means nothing.
    if exposed.first == 0 {
        return Err(PortError::Range(exposed.text.to_string()));
    }
    if exposed.first != exposed.last && exposed.last - exposed.first != external.last - external.first {
        return Err(PortError::Lengths {
            exposed: exposed.text.to_string(),
            external: external.text.to_string(),
        });
    }
    Ok(Port {
        exposed: exposed.text.clone(),
        external: external.text.clone(),
        protocol: exposed.protocol,
        address,
    })
}

/// Ports by name, and their places in the same order.
#[derive(Debug, Clone, Default)]
pub(super) struct Ports {
    pub(super) by_name: Arc<IndexMap<Arc<str>, Port>>,
    pub(super) places: Arc<[Span]>,
    /// Whether there are more of them, which could not be read.
    pub(super) has_faulty: bool,
}

/// Reads `ports:`, which win name by name over those of the service; who has none of its own shares the service's.
pub(super) fn read(
    reader: &mut Reader<'_>,
    inherited: &Ports,
    node: Option<&Arc<Node>>,
    owner: &str,
    at: Span,
) -> Ports {
    let Some(node) = node else { return inherited.clone() };
    let mut has_faulty = inherited.has_faulty || reader.diagnostics.is_gap(node.span);
    let Some(map) = reader.mapping(node, &format!("`ports` of {owner}")) else {
        return Ports { has_faulty: has_faulty || !node.is_null(), ..inherited.clone() };
    };
    if map.entries.is_empty() {
        return Ports { has_faulty, ..inherited.clone() };
    }
    let mut by_name = (*inherited.by_name).clone();
    let mut places = inherited.places.to_vec();
    for (key, value) in &map.entries {
        let name = python::text(key);
        match port(reader, value, &name, owner) {
            Some(port) if reader.expand(Counted::Ports, port.width(), at) => {
                let (index, replaced) = by_name.insert_full(name.into(), port);
                match places.get_mut(index).filter(|_| replaced.is_some()) {
                    Some(place) => *place = value.span,
                    None => places.push(value.span),
                }
            }
            _ => has_faulty = true,
        }
    }
    Ports { by_name: by_name.into(), places: places.into(), has_faulty }
}

/// Reads one named port of a file.
fn port(reader: &mut Reader<'_>, node: &Node, name: &str, owner: &str) -> Option<Port> {
    let what = format!("port `{name}` of {owner}");
    match &node.value {
        Value::Int(_) | Value::Str(_) => {
            let text = python::text(node);
            spec(&text).map_err(|error| complain(reader, node, &what, &error)).ok()
        }
        Value::Map(map) => mapping(reader, node, map, &what),
        _ => {
            let message = format!("{what} must be a port, a string or a mapping, not {}", node.kind());
            reader.report(
                Diagnostic::error(Code::BadPort, message)
                    .at(node.span)
                    .help("write 80, \"80:8080\" (container:host) or {exposed: 80, external: 8080}"),
            );
            None
        }
    }
}

fn mapping(reader: &mut Reader<'_>, node: &Node, map: &Mapping, what: &str) -> Option<Port> {
    reader.check_keys(map, &["exposed", "external"], what, &[]);
    let (Some(exposed), Some(external)) = (map.get("exposed"), map.get("external")) else {
        let message = format!("{what} must have both `exposed` and `external`");
        reader.report(Diagnostic::error(Code::BadPort, message).at(node.span));
        return None;
    };
    let (address, external) = match external.as_seq() {
        None => ("0.0.0.0".into(), external),
        Some([address, port]) => {
            (reader.required_text(address, &format!("the address of {what}"))?.into(), port)
        }
        Some(_) => {
            let message = format!("`external` of {what} must be a port or [address, port]");
            reader.report(Diagnostic::error(Code::BadPort, message).at(external.span));
            return None;
        }
    };
    let mut side = |node: &Node, key: &str| match &node.value {
        Value::Int(_) | Value::Str(_) => {
            let text = python::text(node);
            atom(&text).map_err(|error| complain(reader, node, &format!("`{key}` of {what}"), &error)).ok()
        }
        _ => {
            let message = format!("`{key}` of {what} must be a port, not {}", node.kind());
            reader.report(Diagnostic::error(Code::BadPort, message).at(node.span));
            None
        }
    };
    let (exposed, external) = (side(exposed, "exposed"), side(external, "external"));
    join(&exposed?, &external?, address).map_err(|error| complain(reader, node, what, &error)).ok()
}

fn complain(reader: &mut Reader<'_>, node: &Node, what: &str, error: &PortError) {
    let diagnostic = Diagnostic::error(Code::BadPort, format!("{what}: {error}")).at(node.span);
    reader.report(match error {
        PortError::Range(_) | PortError::Lengths { .. } => {
            diagnostic.formerly("reads the file, and leaves the numbers to the engine")
        }
        PortError::Atom(_) | PortError::Colons(_) | PortError::Protocols { .. } => diagnostic,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        let cases = [
            ("80", "80 80 tcp"),
            ("53/udp", "53 53 udp"),
            ("25:2525", "25 2525 tcp"),
            ("53/udp:5353/udp", "53 5353 udp"),
            ("10-12:30-32", "10-12 30-32 tcp"),
            ("10:30-32", "10 30-32 tcp"),
            ("80:0", "80 0 tcp"),
        ];
        for (text, expected) in cases {
            let port = spec(text).unwrap();
            assert_eq!(format!("{} {} {}", port.exposed, port.external, port.protocol), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_means_nothing() {
        for text in [
            "",
            "a",
            "80:",
            ":80",
            "1:2:3",
            "127.0.0.1:1:2",
            "1/sctp",
            "80.5",
            "53/udp:5353",
            "10-12:30-31",
            "20-10",
            "99999",
            "0",
            "-1",
            "1-",
            "1/TCP",
            " 80",
        ] {
            assert!(spec(text).is_err(), "{text}");
        }
    }
}
