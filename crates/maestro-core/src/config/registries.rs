//! `registries:` (specification, sections 3.2 and 4.9).

use super::fields::{Reader, truthy};
use super::node::Mapping;
use super::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Login, Registry, Retry};
use crate::names::RegistryName;
use crate::source::{Hidden, Origin};
use indexmap::IndexMap;

pub(super) fn read(reader: &mut Reader<'_>, root: &Mapping) -> IndexMap<RegistryName, Registry> {
    let mut registries = IndexMap::new();
    let Some(map) = root.get("registries").and_then(|node| reader.mapping(node, "`registries`")) else {
        return registries;
    };
    for (key, node) in &map.entries {
        let name = python::text(key);
        let what = format!("registry `{name}`");
        let Some(map) = reader.mapping(node, &what) else {
            if node.is_null() {
                reader.missing(key, node, &what, "registry");
            }
            continue;
        };
        reader.check_keys(map, &["registry", "username", "password", "email", "retry"], &what, &[]);
        let Some(url) = map.get("registry") else {
            reader.missing(node, node, &what, "registry");
            continue;
        };
        let place = url.span;
        let Some(url) = reader.required_text(url, &format!("`registry` of {what}")) else { continue };
        if url.contains('@') {
            reader.map.hide(Hidden { span: place, within: None });
            // Addresses are printed; only `password:` is kept from sight.
            let message = format!("`registry` of {what} has a login in its address, before the `@`");
            let mut error = Diagnostic::error(Code::BadValue, message)
                .help("write the address without it, and the login as `username:` and `password:`")
                .formerly("takes such an address");
            // What a template put in is not in the author's file, and must not be quoted.
            if reader.map.get(place.source).is_some_and(|text| text.origin == Origin::File) {
                error = error.at(place);
            }
            reader.report(error);
            continue;
        }
        let mut text = |key: &str| {
            let node = map.get(key).filter(|n| truthy(n))?;
            reader.text(node, &format!("`{key}` of {what}"))
        };
        let (username, email) = (text("username"), text("email"));
        let password = map.get("password").filter(|n| truthy(n));
        let password = password.and_then(|node| reader.secret(node, &format!("`password` of {what}")));
        let login = username.map(|username| Login {
            username: username.into(),
            password,
            email: email.map(Into::into),
        });
        let retry =
            map.get("retry").and_then(|n| reader.mapping(n, &format!("`retry` of {what}"))).map(|map| {
                reader.check_keys(map, &["attempts", "when"], &format!("`retry` of {what}"), &[]);
                retry(reader, map, &what)
            });
        let registry =
            Registry { name: name.as_str().into(), url: url.into(), login, retry: retry.unwrap_or_default() };
        registries.insert(registry.name.clone(), registry);
    }
    registries
}

fn retry(reader: &mut Reader<'_>, map: &Mapping, what: &str) -> Retry {
    let mut retry = Retry::default();
    if let Some(node) = map.get("attempts")
        && let Some(attempts) = reader.integer(node, &format!("`attempts` of {what}"))
    {
        // Zero tries would never pull at all.
        retry.attempts = u32::try_from(attempts.max(1)).unwrap_or(u32::MAX);
    }
    let Some(when) = map.get("when").filter(|n| !n.is_null()) else { return retry };
    let Some(items) = when.as_seq() else {
        let message = format!("`when` of {what} must be a list of HTTP statuses, not {}", when.kind());
        reader.report(Diagnostic::error(Code::WrongType, message).at(when.span));
        return retry;
    };
    for item in items {
        let Some(status) = reader.integer(item, &format!("an HTTP status in `when` of {what}")) else {
            continue;
        };
        match u16::try_from(status) {
            Ok(status) if (100..600).contains(&status) => {
                retry.when.insert(status);
            }
            _ => {
                let message = format!("`{status}` in `when` of {what} is no HTTP status");
                reader.report(Diagnostic::error(Code::BadValue, message).at(item.span));
            }
        }
    }
    retry
}

#[cfg(test)]
mod tests {
    use crate::config::{Limits, load};
    use crate::source::MapSources;

    const FILE: &str = "\
name: t
ships: {a: {ip: 192.0.2.1}}
services: {s: {image: bb, instances: {s-1: {ship: a}}}}
registries:
  main:
";

    #[test]
    fn logins_in_addresses_are_refused_and_not_repeated() {
        for (line, labels) in [
            ("registry: 'http://ci:hunter2@host:1'", 1),
            ("registry: 'http://ci:hunt/er2@host:1/v1/'", 1),
            ("registry: 'ci:hunter2@host:1'", 1),
            ("registry: 'http://ci:{{ env.PASSWORD }}@host:1'", 0),
        ] {
            let sources = MapSources::of(format!("{FILE}    {line}\n"));
            let loaded = load(&sources.with_variable("PASSWORD", "hunter2"), &Limits::default());
            assert!(loaded.environment.is_none(), "{line}");
            let found: Vec<_> = loaded.diagnostics.iter().collect();
            let [only] = found[..] else { panic!("{found:?}") };
            assert!(!format!("{only:?}").contains("er2"), "{only:?}");
            assert_eq!(only.labels.len(), labels, "{only:?}");
            assert!(only.help[0].contains("`username:` and `password:`"), "{only:?}");
        }
    }

    #[test]
    fn retries_are_at_least_one_try_and_for_statuses_of_http() {
        let retry = |retry: &str| {
            let sources = MapSources::of(format!("{FILE}    {{registry: 'http://h', retry: {retry}}}\n"));
            let loaded = load(&sources, &Limits::default());
            let said: Vec<String> = loaded.diagnostics.iter().map(|d| d.message.clone()).collect();
            loaded.environment.map(|environment| environment.registries["main"].retry.clone()).ok_or(said)
        };
        for (attempts, expected) in [("0", 1), ("-1", 1), ("1", 1), ("7", 7), ("99999999999", u32::MAX)] {
            assert_eq!(retry(&format!("{{attempts: {attempts}}}")).unwrap().attempts, expected, "{attempts}");
        }
        assert_eq!(retry("{}").unwrap().attempts, 3);
        assert_eq!(retry("{when: [100, '500', 599]}").unwrap().when, [100, 500, 599].into());
        assert_eq!(
            retry("{when: [99, 600, -500]}").unwrap_err(),
            [99, 600, -500]
                .map(|status| format!("`{status}` in `when` of registry `main` is no HTTP status"))
        );
    }

    #[test]
    fn addresses_without_logins_are_taken() {
        let sources = MapSources::of(format!("{FILE}    registry: 'http://host:1'\n"));
        let environment = load(&sources, &Limits::default()).environment.unwrap();
        assert_eq!(&*environment.registries["main"].url, "http://host:1");
    }
}
