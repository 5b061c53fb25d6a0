//! Auditors: who is told what, and what happens if they cannot be.

use super::{Found, items};
use crate::config::fields::truthy;
use crate::config::node::{Mapping, Node, Value};
use crate::diagnostic::{Change, Diagnostic};
use crate::model::Environment;

/// From so many on, maestro-ng names containers by their number, and its errors get lost.
const MANY: usize = 5;

pub(super) fn find(root: &Mapping, environment: &Environment, found: &mut Found) {
    let mut logs = 0;
    for map in items(root.get("audit")).iter().filter_map(|node| node.as_map()) {
        let Some(kind) = map.get("type") else { continue };
        match kind.as_str() {
            Some("log") => {
                logs += 1;
                if logs == 2 {
                    found.push(
                        Diagnostic::changed(
                            Change::SeveralLogs,
                            "each `log` auditor writes a line once, by its own `level`",
                            "writes each line into every log once for each of them, by the last one's `level`",
                        )
                        .at(kind.span),
                    );
                }
                debug(map, found);
            }
            Some("http") => debug(map, found),
            Some("slack") => {
                if environment.instances.len() >= MANY {
                    found.push(
                        Diagnostic::changed(
                            Change::SlackErrors,
                            format!("Slack is told of failures of {MANY} containers and more, too"),
                            "loses what it would say about them",
                        )
                        .at(kind.span),
                    );
                }
                debug(map, found);
            }
            Some("exec") => exec(map, found),
            _ => {}
        }
    }
}

/// At level `debug`, each container is announced.
fn debug(map: &Mapping, found: &mut Found) {
    let ignores = map.get("ignore_errors").is_some_and(|node| matches!(node.value, Value::Bool(true)));
    let is_debug = |node: &Node| match &node.value {
        Value::Str(text) => &**text == "debug",
        Value::Int(number) => number.value <= 10,
        Value::Float(number) => number.value <= 10_i32.into(),
        _ => false,
    };
    if let Some(node) = map.get("level").filter(|node| !ignores && is_debug(node)) {
        found.push(
            Diagnostic::changed(
                Change::DebugAuditor,
                "no container fails because this auditor could not be told of it",
                "fails each container that it cannot announce",
            )
            .at(node.span)
            .note("a command that cannot be announced ends before anything is touched, as ever"),
        );
    }
}

fn exec(map: &Mapping, found: &mut Found) {
    let Some(script) = map.get("script") else { return };
    if !map.get("args").is_some_and(|node| truthy(node)) {
        found.push(
            Diagnostic::changed(
                Change::ScriptWithoutArguments,
                "this program is run after every command that succeeds",
                "runs no auditor's program that has no `args`",
            )
            .at(script.span)
            .help("see what it does before Maestro runs it; it has 60 s, or `timeout:`"),
        );
    } else if map.get("timeout").is_none_or(|node| node.is_null()) {
        found.push(
            Diagnostic::changed(
                Change::ScriptTimeout,
                "this program is ended after 60 s",
                "waits for it, however long it takes",
            )
            .at(script.span)
            .help("if it may need longer, write `timeout:` with a number of seconds; maestro-ng ignores that key"),
        );
    }
}
