//! The `http` check, whose options are those of Python's requests.

use super::{Kind, PortName, WHEN_RUN};
use crate::config::endpoints::{http_host, is_token};
use crate::config::fields::{Reader, truthy};
use crate::config::node::{Mapping, Node, Value};
use crate::config::patterns::Unusable;
use crate::config::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{ClientCert, Fields, HttpCheck, RequestOptions};
use crate::names::Secret;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const DEFAULT_WAIT: Duration = Duration::from_mins(5);

const HTTP_KEYS: [&str; 9] =
    ["type", "port", "host", "path", "scheme", "method", "match_regex", "max_wait", "requests_options"];

pub(super) fn read(reader: &mut Reader<'_>, node: &Node, map: &Mapping, what: &str) -> Option<Kind> {
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
    let port = PortName { text: python::text(port_node), span: port_node.span };
    let text = |reader: &mut Reader<'_>, key: &str, default: &str| match map.get(key) {
        None => Some(default.to_owned()),
        Some(node) if node.is_null() => Some(default.to_owned()),
        Some(node) => reader.text(node, &format!("`{key}` of {what}")),
    };
    let place = |key: &str| map.get(key).map_or(node.span, |node| node.span);
    let names_host = map.get("host").is_some_and(|n| !n.is_null());
    let host = text(reader, "host", "")?;
    if let Err(why) = http_host(&host)
        && names_host
    {
        let message = format!("`host` of {what}: {why}");
        reader.report(Diagnostic::error(Code::BadValue, message).at(place("host")).formerly(WHEN_RUN));
    }
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host);
    let mut path = text(reader, "path", "/")?;
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    let scheme = text(reader, "scheme", "http")?.to_lowercase();
    if !matches!(&*scheme, "http" | "https") {
        let message = format!("`scheme` of {what} must be http or https, not `{scheme}`");
        reader.report(Diagnostic::error(Code::BadValue, message).at(place("scheme")).formerly(WHEN_RUN));
    }
    let method = text(reader, "method", "get")?.to_uppercase();
    if !is_token(&method) {
        let message = format!("`method` of {what}: `{method}` is no HTTP method");
        reader.report(Diagnostic::error(Code::BadValue, message).at(place("method")).formerly(WHEN_RUN));
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
    let check = HttpCheck {
        host: host.into(),
        port: 0,
        picked: None,
        scheme: scheme.into(),
        path: path.into(),
        method: method.into(),
        match_regex,
        max_wait,
        options: options.into(),
    };
    Some(Kind::Http { check, port, names_host })
}

fn regex(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Arc<str>> {
    let text = reader.text(node, &format!("`match_regex` of {what}"))?;
    let diagnostic = match reader.patterns.check(&text) {
        Ok(pattern) => return Some(pattern),
        Err(Unusable::NoPattern(error)) => {
            let message = format!("`match_regex` of {what} is no regular expression: {error}");
            Diagnostic::error(Code::BadValue, message).formerly("reads it as Python reads expressions")
        }
        Err(Unusable::Large) => {
            let message = format!("`match_regex` of {what} takes too much memory");
            Diagnostic::error(Code::TooLarge, message).help(
                r"repeat less; `\w` and `\d` stand for all of Unicode, [0-9A-Za-z_] and [0-9] take less",
            )
        }
        Err(Unusable::TooMuch) => {
            Diagnostic::error(Code::TooLarge, "all `match_regex` together take too much work")
                .note("equal patterns count once, those that need much memory count more")
                .help(
                    r"repeat less; `\w` and `\d` stand for all of Unicode, [0-9A-Za-z_] and [0-9] take less",
                )
        }
        Err(Unusable::NotTried) => return None,
    };
    reader.report(diagnostic.at(node.span));
    None
}

const REQUEST_KEYS: [&str; 8] =
    ["verify", "cert", "headers", "params", "timeout", "auth", "data", "allow_redirects"];

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
                let error = Diagnostic::error(Code::BadValue, message).at(node.span);
                // Python's requests verifies unless this is empty.
                let off = "turns verification off for what is empty or 0";
                reader.report(if truthy(node) { error } else { error.formerly(off) });
            }
        }
    }
    if let Some(node) = map.get("headers") {
        options.headers = headers(reader, node, &format!("`headers` of {what}"));
    }
    if let Some(node) = map.get("cert").filter(|n| !n.is_null()) {
        options.cert = client_cert(reader, node, &format!("`cert` of {what}"));
    }
    if let Some(node) = map.get("params").filter(|n| !n.is_null()) {
        options.params = fields(reader, node, &format!("`params` of {what}")).unwrap_or_default();
    }
    if let Some(node) = map.get("timeout").filter(|n| !n.is_null()) {
        options.timeout = reader.seconds(node, &format!("`timeout` of {what}"));
        if options.timeout.is_some_and(|timeout| timeout.is_zero()) {
            let message = format!("`timeout` of {what} is 0, which leaves no time for an answer");
            reader.report(Diagnostic::error(Code::BadValue, message).at(node.span).formerly(WHEN_RUN));
        }
    }
    if let Some(node) = map.get("auth").filter(|n| !n.is_null()) {
        options.auth = login(reader, node, &format!("`auth` of {what}"));
    }
    if let Some(node) = map.get("data").filter(|n| !n.is_null()) {
        options.data = fields(reader, node, &format!("`data` of {what}"));
    }
    options.allow_redirects = map.get("allow_redirects").map(|n| truthy(n));
    options
}

/// `[USER, PASSWORD]`.
fn login(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<(String, Secret)> {
    if let Some([user, password]) = node.as_seq()
        && matches!(password.value, Value::Secret(_))
    {
        let user = reader.required_text(user, &format!("an item of {what}"));
        return user.zip(reader.secret(password, what));
    }
    match reader.texts(node, what).as_slice() {
        [user, password] => Some((user.clone(), Secret::new(password.as_str()))),
        _ => {
            let message = format!("{what} must be [user, password]");
            reader.report(Diagnostic::error(Code::WrongType, message).at(node.span));
            None
        }
    }
}

/// `FILE`, or `[CERTIFICATE, KEY]`.
fn client_cert(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<ClientCert> {
    let files = reader.texts(node, what);
    match files.as_slice() {
        [cert] if node.as_seq().is_none() && !cert.is_empty() => {
            Some(ClientCert { cert: cert.as_str().into(), key: None })
        }
        [cert, key] if !cert.is_empty() && !key.is_empty() => {
            Some(ClientCert { cert: cert.as_str().into(), key: Some(key.as_str().into()) })
        }
        _ => {
            let message = format!("{what} must be the path of a PEM file, or [certificate, key]");
            reader.report(Diagnostic::error(Code::BadValue, message).at(node.span));
            None
        }
    }
}

/// A text, or pairs as a mapping or a list of two each; a value may be several, and null is none.
fn fields(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Fields> {
    let mut pairs = Vec::new();
    match &node.value {
        Value::Map(map) => {
            for (key, value) in &map.entries {
                add_field(reader, &mut pairs, key, value, what);
            }
        }
        Value::Seq(items) => {
            for item in items {
                match item.as_seq() {
                    Some([key, value]) => add_field(reader, &mut pairs, key, value, what),
                    _ => {
                        let message = format!("an item of {what} must be [name, value]");
                        reader.report(Diagnostic::error(Code::WrongType, message).at(item.span));
                    }
                }
            }
        }
        _ => return reader.text(node, what).map(Fields::Text),
    }
    Some(Fields::Pairs(pairs))
}

fn add_field(
    reader: &mut Reader<'_>,
    pairs: &mut Vec<(String, String)>,
    key: &Node,
    value: &Node,
    what: &str,
) {
    let name = python::text(key);
    let what = format!("`{name}` of {what}");
    let values = match &value.value {
        Value::Seq(items) => items.iter().filter_map(|item| reader.text(item, &what)).collect(),
        _ => reader.texts(value, &what),
    };
    pairs.extend(values.into_iter().map(|value| (name.clone(), value)));
}

fn headers(reader: &mut Reader<'_>, node: &Node, what: &str) -> BTreeMap<String, Option<String>> {
    let mut headers = BTreeMap::new();
    let Some(map) = reader.mapping(node, what) else { return headers };
    for (key, value) in &map.entries {
        let name = python::text(key);
        if !is_token(&name) {
            let message = format!("{what}: `{name}` cannot be the name of a header");
            reader.report(Diagnostic::error(Code::BadValue, message).at(key.span));
            continue;
        }
        let what = format!("`{name}` of {what}");
        if value.is_null() {
            headers.insert(name, None);
            continue;
        }
        let Some(text) = reader.text(value, &what) else { continue };
        if text.contains(|c: char| c.is_control() && c != '\t') {
            // Its value may be secret, and is not quoted.
            let message = format!("{what} has characters that cannot be in a header, such as a line end");
            reader.report(Diagnostic::error(Code::BadValue, message).at(value.span));
            continue;
        }
        headers.insert(name, Some(text));
    }
    headers
}

#[cfg(test)]
mod tests {
    use crate::config::golden::show;
    use crate::config::{Limits, load};
    use crate::model::{Check, Fields, HttpCheck, RequestOptions};
    use crate::source::MapSources;

    /// A check with these options, or what is said of them.
    fn check(options: &str) -> Result<HttpCheck, String> {
        let port = if options.starts_with("port") { "" } else { "port: 80, " };
        let text = format!(
            "name: t\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n  s:\n    image: bb\n    instances: {{s-1: {{ship: a}}}}\n\
             \x20   lifecycle: {{running: [{{type: http, {port}{options}}}]}}\n"
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
        format!("{} @ {quoted}", message.replace(" of `http` check (running) of service `s`", ""))
    }

    #[test]
    fn only_a_plain_no_turns_verification_off() {
        let verify = |value: &str| {
            check(&format!("requests_options: {{verify: {value}}}"))
                .map(|c| (c.options.verify, c.options.ca_file.clone()))
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
    #[test]
    fn what_can_never_work_is_refused() {
        let options = [
            "requests_options: {headers: {B C: x}}",
            "requests_options: {headers: {'': x}}",
            "requests_options: {headers: {X: \"a\\nb\"}}",
            "requests_options: {timeout: 0}",
            "requests_options: {timeout: 0.0}",
            "method: G T",
            "method: ''",
            "host: a b",
            "host: 'h:80'",
            "host: 'u:hunter2@h:80'",
            "host: 'u:hunter 2@h'",
            "host: ''",
            "scheme: ftp",
            "port: 0",
            "requests_options: {cert: [a]}",
            "requests_options: {cert: ''}",
            "requests_options: {params: [a]}",
            "requests_options: {data: {a: {b: c}}}",
        ];
        let said: Vec<String> = options.iter().map(|options| refused(options)).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        E0304 `headers` of `requests_options`: `B C` cannot be the name of a header @ "B C"
        E0304 `headers` of `requests_options`: `` cannot be the name of a header @ "''"
        E0304 `X` of `headers` of `requests_options` has characters that cannot be in a header, such as a line end @ "\"a\\nb\""
        E0304 `timeout` of `requests_options` is 0, which leaves no time for an answer @ "0"
        E0304 `timeout` of `requests_options` is 0, which leaves no time for an answer @ "0.0"
        E0304 `method`: `G T` is no HTTP method @ "G T"
        E0304 `method`: `` is no HTTP method @ "''"
        E0304 `host`: `a b` is no host name and no address @ "a b"
        E0304 `host`: `h:80` is no host name and no address @ "'h:80'"
        E0304 `host`: `h:80` is no host name and no address @ "'u:hunter2@h:80'"
        E0304 `host`: its login has characters that must be percent-encoded @ "'u:hunter 2@h'"
        E0304 `host`: it names no host @ "''"
        E0304 `scheme` must be http or https, not `ftp` @ "ftp"
        E0304 `port` must be from 1 to 65535, not 0 @ "0"
        E0304 `cert` of `requests_options` must be the path of a PEM file, or [certificate, key] @ "[a]"
        E0304 `cert` of `requests_options` must be the path of a PEM file, or [certificate, key] @ "''"
        E0301 an item of `params` of `requests_options` must be [name, value] @ "a"
        E0301 `a` of `data` of `requests_options` must be a string, not a mapping @ "{b: c}"
        "#);
    }

    #[test]
    fn options_are_those_of_requests() {
        let options = |options: &str| check(&format!("requests_options: {{{options}}}")).unwrap().options;
        let cert = |text: &str| {
            options(text).cert.as_ref().map(|c| (c.cert.to_string(), c.key.as_ref().map(ToString::to_string)))
        };
        assert_eq!(cert("cert: a.pem"), Some(("a.pem".into(), None)));
        assert_eq!(cert("cert: [a.pem, a.key]"), Some(("a.pem".into(), Some("a.key".into()))));
        assert_eq!(cert("cert: null"), None);
        let pairs = |pairs: &[(&str, &str)]| {
            Fields::Pairs(
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            )
        };
        let expected = pairs(&[("a", "1"), ("a", "True"), ("c", "x")]);
        for text in ["{a: [1, yes], b: null, c: x}", "[[a, 1], [a, yes], [b, null], [c, x]]"] {
            assert!(options(&format!("params: {text}")).params == expected, "{text}");
            assert!(options(&format!("data: {text}")).data.as_ref() == Some(&expected), "{text}");
        }
        assert!(options("params: a=b&c").params == Fields::Text("a=b&c".into()));
        assert!(options("data: text").data == Some(Fields::Text("text".into())));
        assert!(*options("data: null, params: null") == RequestOptions::default());
        let headers = options("headers: {A: null, B: 1}").headers.clone();
        assert_eq!(headers, [("A".to_owned(), None), ("B".to_owned(), Some("1".to_owned()))].into());
    }

    #[test]
    fn what_works_is_taken() {
        let all = check("method: head, scheme: HTTPS, host: bücher.example, path: 'a b?c', requests_options: {headers: {X-A: 'ä b'}}").unwrap();
        assert_eq!((&*all.method, &*all.scheme, &*all.host), ("HEAD", "https", "bücher.example"));
        for host in ["localhost", "'::1'", "'[::1]'", "'u:p%20q@h'", "192.0.2.2"] {
            assert!(check(&format!("host: {host}")).is_ok(), "{host}");
        }
    }
}
