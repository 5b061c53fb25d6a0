//! `hooks:` of a service's `deploy:`: commands that are run once in a deployment.

use super::fields::Reader;
use super::node::{Mapping, Node};
use super::services::Services;
use super::{checks, deploy, python};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Hook, HookPlace, Hooks, When};
use std::sync::Arc;
use std::time::Duration;

/// How long a hook may take whose author does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);
/// So many there may be before, and so many after. A program that does many things is one hook.
const MOST: usize = 16;
const KEYS: [&str; 3] = ["run", "local", "timeout"];

/// Reads the section; a service without one has none.
pub(super) fn read(reader: &mut Reader<'_>, node: Option<&Arc<Node>>, owner: &str) -> Hooks {
    let what = format!("`hooks` of {owner}");
    let node = node.filter(|node| !node.is_null());
    let Some(map) = node.and_then(|node| reader.mapping(node, &what)) else { return Hooks::default() };
    reader.check_keys(map, &[When::Before.key(), When::After.key()], &what, &[]);
    let mut at = |when: When| list(reader, map, when, owner);
    Hooks { before: at(When::Before), after: at(When::After) }
}

fn list(reader: &mut Reader<'_>, map: &Mapping, when: When, owner: &str) -> Vec<Hook> {
    let what = format!("`{}` hooks of {owner}", when.key());
    let Some(node) = map.get(when.key()).filter(|node| !node.is_null()) else { return Vec::new() };
    let Some(items) = node.as_seq() else {
        let message = format!("{what} must be a list, not {}", node.kind());
        let error = Diagnostic::error(Code::WrongType, message).at(node.span);
        reader.report(error.help(format!("write `{}: [{{run: [bin/migrate]}}]`", when.key())));
        return Vec::new();
    };
    if items.len() > MOST {
        let message = format!("there are {} {what}, and there may be {MOST}", items.len());
        let error = Diagnostic::error(Code::TooLarge, message).at(node.span);
        reader.report(error.help("let one program do what belongs together"));
        return Vec::new();
    }
    let one = |(number, item): (usize, &Arc<Node>)| {
        hook(reader, item, &format!("`{}` hook {number} of {owner}", when.key()))
    };
    (1..).zip(items).filter_map(one).collect()
}

fn hook(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Hook> {
    let map = reader.mapping(node, what)?;
    reader.check_keys(map, &KEYS, what, &[]);
    let given = |key: &str| map.get(key).filter(|node| !node.is_null());
    let (place, key, command) = match (given("run"), given("local")) {
        (Some(command), None) => (HookPlace::Container, "run", command),
        (None, Some(command)) => (HookPlace::Local, "local", command),
        (Some(_), Some(local)) => {
            let message = format!("{what} has both `run` and `local`");
            reader.report(
                Diagnostic::error(Code::Conflict, message)
                    .at(local.span)
                    .help("make two hooks of it: they are run one after the other"),
            );
            return None;
        }
        (None, None) => {
            let message = format!("{what} has nothing to run");
            reader.report(
                Diagnostic::error(Code::MissingKey, message)
                    .at(node.span)
                    .help("write `run: [program]` for a container of the image, `local: [program]` for the machine that deploys"),
            );
            return None;
        }
    };
    let written = command;
    let command = checks::words_of(reader, written, &format!("`{key}` of {what}"));
    if command.as_ref().is_some_and(|words| words.first().is_some_and(String::is_empty)) {
        let message = format!("`{key}` of {what} has an empty text where its program is to be");
        reader.report(Diagnostic::error(Code::BadValue, message).at(written.span));
        return None;
    }
    let timeout = timeout(reader, given("timeout"), what);
    Some(Hook { place, command: command?, timeout: timeout? })
}

fn timeout(reader: &mut Reader<'_>, node: Option<&Arc<Node>>, what: &str) -> Option<Duration> {
    let Some(node) = node else { return Some(DEFAULT_TIMEOUT) };
    let timeout = deploy::time(reader, node, &format!("`timeout` of {what}"))?;
    if timeout.is_zero() {
        let message =
            format!("`timeout` of {what} is {}: it could never come to its end", python::text(node));
        let error = Diagnostic::error(Code::BadValue, message).at(node.span);
        reader.report(error.help("write how long it may take, such as `10m`"));
        return None;
    }
    Some(timeout)
}

/// Containers that hooks are run in need names that engines take, and that no instance has.
pub(super) fn check(reader: &mut Reader<'_>, services: &Services) {
    for (name, service) in &services.by_name {
        let Some(place) = services.service_places.get(name) else { continue };
        for hook in service.deploy.hooks.containers(name) {
            let container = hook.container();
            if !container.is_valid() {
                let message = format!(
                    "a hook of service `{name}` cannot be run in a container: `{container}` cannot be the name of one"
                );
                let error = Diagnostic::error(Code::BadValue, message).at(*place);
                reader.report(error.note(
                    "the engine wants two or more of a-z A-Z 0-9 _ . - that begin with a letter or digit",
                ));
                break;
            }
            if let Some(other) = services.places.get(&container) {
                let message =
                    format!("`{container}` is the name of an instance, and that of a container for {hook}");
                let error = Diagnostic::error(Code::Conflict, message).at(other.name);
                reader.report(error.label(*place, "the hook is of this service").help("rename the instance"));
            }
        }
    }
}
