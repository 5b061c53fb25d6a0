//! `ledger:`: an etcd that keeps the lease and what was released, in place of ships.

use super::endpoints::{HAS_LOGIN, host, host_and_port, port};
use super::fields::{Reader, truthy};
use super::node::{Mapping, Node};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{ClientCert, Etcd};
use crate::source::{Hidden, Span};
use std::sync::Arc;

const KEYS: [&str; 7] = ["etcd", "prefix", "tls_ca_cert", "tls_cert", "tls_key", "username", "password"];
const PREFIX: &str = "/maestro";
/// Where etcd listens unless it is told otherwise.
const PORT: u16 = 2379;

/// Reads it; none if ships keep everything.
pub(super) fn read(reader: &mut Reader<'_>, root: &Mapping) -> Option<Etcd> {
    let node = root.get("ledger").filter(|node| !node.is_null())?;
    let map = reader.mapping(node, "`ledger`")?;
    reader.check_keys(map, &KEYS, "`ledger`", &[]);
    if root.get("anchors").is_some_and(|anchors| !anchors.is_null()) {
        let error = Diagnostic::error(Code::Conflict, "`ledger` and `anchors` cannot both be given")
            .at(node.span)
            .note("either etcd keeps the lease and what was released, or ships do")
            .help("leave out `anchors`, or `ledger`");
        reader.report(error);
    }
    let Some(addresses) = map.get("etcd") else {
        reader.missing(node, node, "`ledger`", "etcd");
        return None;
    };
    let names = reader.names(addresses, "`etcd` of `ledger`");
    let endpoints: Vec<Arc<str>> =
        names.iter().filter_map(|(text, node)| endpoint(reader, text, node)).collect();
    if names.is_empty() {
        let error = Diagnostic::error(Code::BadValue, "`etcd` of `ledger` names no address");
        reader.report(error.at(addresses.span).help("write `etcd: https://HOST:2379`, or a list of them"));
    }
    let mut text = |key: &str| {
        let node = map.get(key).filter(|node| truthy(node))?;
        Some((reader.text(node, &format!("`{key}` of `ledger`"))?, node.span))
    };
    let prefix = text("prefix").map(|(text, _)| text);
    let ca_file = text("tls_ca_cert").map(|(path, _)| path.into());
    let (cert, key) = (text("tls_cert"), text("tls_key"));
    let username = text("username");
    let password = map.get("password").filter(|node| truthy(node));
    let password =
        password.and_then(|node| Some((reader.secret(node, "`password` of `ledger`")?, node.span)));
    let cert = both(reader, ["tls_cert", "tls_key"], cert, key);
    let login = both(reader, ["username", "password"], username, password);
    Some(Etcd {
        endpoints,
        prefix: prefix.as_deref().unwrap_or(PREFIX).trim_end_matches('/').into(),
        ca_file,
        cert: cert.map(|(cert, key)| ClientCert { cert: cert.into(), key: Some(key.into()) }),
        login: login.map(|(user, password)| (user.into(), password)),
    })
}

/// The address of a member, with its port.
fn endpoint(reader: &mut Reader<'_>, text: &str, node: &Node) -> Option<Arc<str>> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme));
    let authority = text.trim_start_matches(scheme.unwrap_or_default()).trim_end_matches('/');
    let read = || -> Result<Arc<str>, String> {
        if text.contains('@') {
            return Err(HAS_LOGIN.to_owned());
        }
        let scheme = scheme.ok_or("it begins with neither `https://` nor `http://`")?;
        let (name, number) = host_and_port(authority)?;
        host(name)?;
        let number = number.map_or(Ok(PORT), port)?;
        let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
        Ok(format!("{scheme}{name}:{number}").into())
    };
    match read() {
        Ok(endpoint) => Some(endpoint),
        Err(why) => {
            let mut error =
                Diagnostic::error(Code::BadValue, format!("an address in `etcd` of `ledger`: {why}"));
            if why == HAS_LOGIN {
                reader.map.hide(Hidden { span: node.span, within: None });
                error =
                    error.help("write the address without it, and the login as `username:` and `password:`");
            } else if scheme.is_none() && !text.contains("://") {
                error = error.help(format!("write `https://{text}`"));
            }
            reader.report(error.at(node.span));
            None
        }
    }
}

/// Two keys of which one makes no sense without the other.
fn both<T>(
    reader: &mut Reader<'_>,
    keys: [&str; 2],
    one: Option<(String, Span)>,
    other: Option<(T, Span)>,
) -> Option<(String, T)> {
    match (one, other) {
        (Some((one, _)), Some((other, _))) => Some((one, other)),
        (None, None) => None,
        (Some((_, span)), None) | (None, Some((_, span))) => {
            let message = format!("`ledger` needs both `{}` and `{}`", keys[0], keys[1]);
            reader.report(Diagnostic::error(Code::MissingKey, message).at(span));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::golden::show;
    use crate::config::{Limits, load};
    use crate::model::Etcd;
    use crate::source::MapSources;

    fn read(ledger: &str) -> Result<Option<Etcd>, String> {
        let text = format!("name: x\nships: {{a: {{ip: 192.0.2.1}}}}\nservices: {{}}\n{ledger}\n");
        let loaded = load(&MapSources::of(text), &Limits::default());
        assert!(!format!("{:?}", loaded.diagnostics).contains("hunter2"), "{:?}", loaded.diagnostics);
        let said = show(&loaded.diagnostics, &loaded.sources);
        loaded.environment.map(|environment| environment.ledger).ok_or(said)
    }

    #[test]
    fn an_etcd_is_read() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("ledger:"), Ok(None));
        let etcd = read("ledger: {etcd: https://etcd-1.example.com}").unwrap().unwrap();
        assert_eq!(etcd.endpoints, ["https://etcd-1.example.com:2379".into()]);
        assert_eq!((&*etcd.prefix, etcd.ca_file, etcd.cert, etcd.login), ("/maestro", None, None, None));
        let etcd = read(
            "ledger: {etcd: ['http://192.0.2.1:23790/', 'https://[2001:db8::1]'], prefix: /shop/, tls_ca_cert: ca.pem,\n  \
             tls_cert: c.pem, tls_key: k.pem, username: ada, password: hunter2}",
        );
        let etcd = etcd.unwrap().unwrap();
        assert_eq!(etcd.endpoints, ["http://192.0.2.1:23790".into(), "https://[2001:db8::1]:2379".into()]);
        assert_eq!((&*etcd.prefix, etcd.ca_file.as_deref()), ("/shop", Some("ca.pem")));
        assert_eq!(etcd.cert.as_ref().and_then(|cert| cert.key.as_deref()), Some("k.pem"));
        assert!(!format!("{etcd:?}").contains("hunter2"), "{etcd:?}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = [
            "ledger: etcd",
            "ledger: {}",
            "ledger: {etcd: []}",
            "ledger: {etcd: 'etcd-1:2379'}",
            "ledger: {etcd: 'etcd://etcd-1'}",
            "ledger: {etcd: ['https://a', 'https://a:0', 'https://a/x']}",
            "ledger: {etcd: 'https://ci:hunter2@a'}",
            "ledger: {etcd: 'https://a', tls_cert: c.pem}",
            "ledger: {etcd: 'https://a', password: hunter2}",
            "anchors: [a]\nledger: {etcd: 'https://a'}",
        ];
        let said = wrong.map(|ledger| format!("{ledger}\n{}\n", read(ledger).unwrap_err()));
        insta::assert_snapshot!(said.concat());
    }
}
