//! What tries a configuration, and what makes it count.

use super::super::fields::Reader;
use super::super::node::{Node, Value};
use super::super::words;
use super::{Entry, fault};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Balancer, BalancerKind, BalancerPlace, Reload};
use std::sync::Arc;

impl Entry<'_> {
    /// A command as a list of words, or as a text that is split into them as by a shell.
    pub(super) fn command(&self, reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<Arc<[String]>> {
        let what = self.of(key);
        let words = if matches!(node.value, Value::Seq(_)) {
            reader.texts(node, &what)
        } else {
            let text = reader.required_text(node, &what)?;
            match words::split(&text) {
                Ok(words) => words,
                Err(error) => {
                    let message = format!("{what} cannot be split into words: {error}");
                    fault(reader, Code::BadValue, node.span, message);
                    return None;
                }
            }
        };
        if words.is_empty() {
            fault(reader, Code::BadValue, node.span, format!("{what} is empty"));
            return None;
        }
        Some(words.into())
    }

    pub(super) fn check(&self, reader: &mut Reader<'_>, kind: &BalancerKind) -> Option<Arc<[String]>> {
        let Some(node) = self.get("check") else {
            let usual: &[&str] = match kind {
                BalancerKind::Haproxy => &["haproxy", "-c", "-f", Balancer::FILE],
                BalancerKind::Nginx => &["nginx", "-t", "-q", "-c", Balancer::FILE],
                BalancerKind::Template { .. } => {
                    self.missing(reader, "check");
                    return None;
                }
            };
            return Some(usual.iter().map(|word| (*word).to_owned()).collect());
        };
        let command = self.command(reader, node, "check")?;
        if !command.iter().any(|word| word.contains(Balancer::FILE)) {
            reader.report(
                Diagnostic::error(
                    Code::BadValue,
                    format!("{} does not say which file it tries", self.of("check")),
                )
                .at(node.span)
                .note("the file is tried under another name before it takes the place of the one in use")
                .help("write `{file}` where the path of the configuration belongs"),
            );
            return None;
        }
        Some(command)
    }

    pub(super) fn reload(
        &self,
        reader: &mut Reader<'_>,
        kind: &BalancerKind,
        place: &BalancerPlace,
    ) -> Option<Reload> {
        let in_container = matches!(place, BalancerPlace::Service(_));
        let Some(node) = self.get("reload") else {
            let command = |words: [&str; 3]| Reload::Command(words.map(str::to_owned).into());
            return Some(match (kind, in_container) {
                (BalancerKind::Haproxy, true) => Reload::Signal("USR2".into()),
                (BalancerKind::Nginx, true) => Reload::Signal("HUP".into()),
                (BalancerKind::Haproxy, false) => command(["systemctl", "reload", "haproxy"]),
                (BalancerKind::Nginx, false) => command(["systemctl", "reload", "nginx"]),
                (BalancerKind::Template { .. }, _) => {
                    self.missing(reader, "reload");
                    return None;
                }
            });
        };
        let Value::Map(map) = &node.value else {
            return self.command(reader, node, "reload").map(Reload::Command);
        };
        let what = self.of("reload");
        reader.check_keys(map, &["signal"], &what, &[]);
        let Some(signal) = map.get("signal") else {
            reader.missing(node, node, &what, "signal");
            return None;
        };
        let name = reader.required_text(signal, &format!("`signal` of {what}"))?;
        let bare = name.strip_prefix("SIG").unwrap_or(&name);
        if !in_container {
            reader.report(
                Diagnostic::error(Code::BadValue, format!("{what} can only be a signal to a container"))
                    .at(signal.span)
                    .help("give a command, such as `systemctl reload haproxy`"),
            );
            return None;
        }
        if !["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH"].contains(&bare) {
            let message = format!("`signal` of {what} cannot be `{name}`");
            reader.unknown_word(signal, message, bare, &["HUP", "USR1", "USR2", "WINCH"], "usual signals");
            return None;
        }
        Some(Reload::Signal(bare.into()))
    }
}
