//! The `http` check, whose options are those of Python's requests.

use super::{Subject, external, unknown_port};
use crate::config::fields::{Reader, truthy};
use crate::config::node::{Mapping, Node, Value};
use crate::config::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Check, HttpCheck, RequestOptions};
use crate::names::Secret;
use std::sync::Arc;
use std::time::Duration;

const DEFAULT_WAIT: Duration = Duration::from_mins(5);

const HTTP_KEYS: [&str; 9] =
    ["type", "port", "host", "path", "scheme", "method", "match_regex", "max_wait", "requests_options"];

pub(super) fn read(
    reader: &mut Reader<'_>,
    node: &Node,
    map: &Mapping,
    what: &str,
    subject: &Subject<'_>,
) -> Option<Check> {
    for (key, _) in &map.entries {
        let text = python::text(key);
        if !HTTP_KEYS.contains(&&*text) {
            reader.report(
                Diagnostic::error(Code::BadValue, format!("{what} has no option `{text}`"))
                    .at(key.span)
                    .suggest(&text, HTTP_KEYS),
            );
        }
    }
    let Some(port_node) = map.get("port") else {
        reader.missing(node, node, what, "port");
        return None;
    };
    let name = python::text(port_node);
    let port = match (subject.ports.get(&*name), name.trim().parse::<u16>()) {
        (Some(declared), _) => external(reader, port_node.span, &name, declared, what)?,
        (None, Ok(number)) => number,
        (None, Err(_)) => {
            unknown_port(reader, port_node.span, &name, what, subject);
            return None;
        }
    };
    let mut text = |key: &str, default: &str| match map.get(key) {
        None => Some(default.to_owned()),
        Some(node) if node.is_null() => Some(default.to_owned()),
        Some(node) => reader.text(node, &format!("`{key}` of {what}")),
    };
    let host = text("host", &subject.ip)?;
    let mut path = text("path", "/")?;
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    let scheme = text("scheme", "http")?;
    let method = text("method", "get")?.to_uppercase();
    if !matches!(&*scheme, "http" | "https") {
        let message = format!("`scheme` of {what} must be http or https, not `{scheme}`");
        reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
        return None;
    }
    let match_regex = match map.get("match_regex").filter(|n| !n.is_null()) {
        None => None,
        Some(node) => Some(regex(reader, node, what)?),
    };
    let max_wait = match map.get("max_wait") {
        Some(node) => reader.seconds(node, &format!("`max_wait` of {what}"))?,
        None => DEFAULT_WAIT,
    };
    let options =
        map.get("requests_options").map(|node| request_options(reader, node, what)).unwrap_or_default();
    Some(Check::Http(Box::new(HttpCheck {
        host: host.into(),
        port,
        scheme: scheme.into(),
        path: path.into(),
        method: method.into(),
        match_regex,
        max_wait,
        options,
    })))
}

fn regex(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Arc<str>> {
    let text = reader.text(node, &format!("`match_regex` of {what}"))?;
    match fancy_regex::Regex::new(&text) {
        Ok(_) => Some(text.into()),
        Err(error) => {
            let message = format!("`match_regex` of {what} is no regular expression: {error}");
            reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
            None
        }
    }
}

const REQUEST_KEYS: [&str; 7] = ["verify", "headers", "params", "timeout", "auth", "data", "allow_redirects"];

fn request_options(reader: &mut Reader<'_>, node: &Node, what: &str) -> RequestOptions {
    let what = format!("`requests_options` of {what}");
    let mut options = RequestOptions::default();
    let Some(map) = reader.mapping(node, &what) else { return options };
    reader.check_keys(map, &REQUEST_KEYS, &what, &[]);
    if let Some(node) = map.get("verify") {
        match &node.value {
            // An expression that gave nothing must not be what turns verification off.
            Value::Null => {}
            Value::Bool(value) => options.verify = Some(*value),
            Value::Str(path) if !path.is_empty() => options.ca_file = Some(path.clone()),
            _ => {
                let message = format!("`verify` of {what} must be true, false or the path of a CA file");
                reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
            }
        }
    }
    if let Some(node) = map.get("headers") {
        options.headers = reader.text_map(node, &format!("`headers` of {what}")).into_iter().collect();
    }
    if let Some(node) = map.get("params") {
        options.params = reader.text_map(node, &format!("`params` of {what}")).into_iter().collect();
    }
    if let Some(node) = map.get("timeout").filter(|n| !n.is_null()) {
        options.timeout = reader.seconds(node, &format!("`timeout` of {what}"));
    }
    if let Some(node) = map.get("auth").filter(|n| !n.is_null()) {
        match reader.texts(node, &format!("`auth` of {what}")).as_slice() {
            [user, password] => options.auth = Some((user.clone(), Secret::new(password.as_str()))),
            _ => {
                let message = format!("`auth` of {what} must be [user, password]");
                reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
            }
        }
    }
    if let Some(node) = map.get("data").filter(|n| !n.is_null()) {
        options.data = reader.text(node, &format!("`data` of {what}"));
    }
    options.allow_redirects = map.get("allow_redirects").map(|n| truthy(n));
    options
}

#[cfg(test)]
mod tests {
    use crate::config::golden::show;
    use crate::config::{Limits, load};
    use crate::model::{Check, HttpCheck};
    use crate::source::MapSources;

    /// A check with these options, or what is said of them.
    fn check(options: &str) -> Result<HttpCheck, String> {
        let text = format!(
            "name: t\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n  s:\n    image: bb\n    instances: {{s-1: {{ship: a}}}}\n\
             \x20   lifecycle: {{running: [{{type: http, port: 80, {options}}}]}}\n"
        );
        let loaded = load(&MapSources::of(text), &Limits::default());
        let said = show(&loaded.diagnostics, &loaded.sources);
        let environment = loaded.environment.ok_or_else(|| said.clone())?;
        assert_eq!(said, "", "{options}");
        match environment.instances["s-1"].checks.values().flatten().next() {
            Some(Check::Http(check)) => Ok((**check).clone()),
            other => panic!("{other:?}"),
        }
    }

    /// The only thing that is said, and the place.
    fn refused(options: &str) -> String {
        let said = check(options).expect_err(options);
        let lines: Vec<&str> = said.lines().collect();
        let [message, place] = lines[..] else { panic!("{said}") };
        let quoted = place.split_once(' ').and_then(|(_, rest)| rest.trim().split_once(' ')).unwrap().1;
        format!("{} @ {quoted}", message.replace(" of `http` check (running) of instance `s-1`", ""))
    }

    #[test]
    fn only_a_plain_no_turns_verification_off() {
        let verify = |value: &str| {
            check(&format!("requests_options: {{verify: {value}}}"))
                .map(|c| (c.options.verify, c.options.ca_file))
        };
        assert_eq!(verify("false"), Ok((Some(false), None)));
        assert_eq!(verify("yes"), Ok((Some(true), None)));
        assert_eq!(verify("null"), Ok((None, None)));
        assert_eq!(verify(""), Ok((None, None)));
        assert_eq!(verify("ca.pem"), Ok((None, Some("ca.pem".into()))));
        for value in ["''", "0", "[]", "{}", "1"] {
            let said = refused(&format!("requests_options: {{verify: {value}}}"));
            let expected =
                "E0304 `verify` of `requests_options` must be true, false or the path of a CA file @";
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
