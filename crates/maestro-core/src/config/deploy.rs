//! `deploy:` of a service (design, section 8): how it is brought from one release to the next.

use super::fields::Reader;
use super::node::{Mapping, Node, Value};
use super::python;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Deploy, Remedy, Share, Strategy};
use std::sync::Arc;
use std::time::Duration;

const KEYS: [&str; 4] = ["strategy", "max_unavailable", "bake", "on_failure"];

/// Reads the section; a service without one is deployed as by maestro-ng.
pub(super) fn read(reader: &mut Reader<'_>, node: Option<&Arc<Node>>, owner: &str) -> Deploy {
    let what = format!("`deploy` of {owner}");
    let Some(map) = node.and_then(|node| reader.mapping(node, &what)) else { return Deploy::default() };
    reader.check_keys(map, &KEYS, &what, &[]);
    Deploy {
        strategy: strategy(reader, map, &what),
        bake: map
            .get("bake")
            .and_then(|node| time(reader, node, &format!("`bake` of {what}")))
            .unwrap_or_default(),
        on_failure: word(
            reader,
            map.get("on_failure"),
            &format!("`on_failure` of {what}"),
            &[Remedy::Rollback, Remedy::Pause, Remedy::Continue].map(|remedy| (remedy.name(), remedy)),
        )
        .unwrap_or_default(),
    }
}

fn strategy(reader: &mut Reader<'_>, map: &Mapping, what: &str) -> Strategy {
    let share = map.get("max_unavailable");
    let max_unavailable =
        share.and_then(|node| self::share(reader, node, &format!("`max_unavailable` of {what}")));
    let rolling = Strategy::Rolling { max_unavailable: max_unavailable.unwrap_or(Share::Count(1)) };
    let known = [Strategy::Recreate, rolling].map(|strategy| (strategy.name(), strategy));
    let strategy =
        word(reader, map.get("strategy"), &format!("`strategy` of {what}"), &known).unwrap_or_default();
    if let (Some(node), Strategy::Recreate) = (share, strategy) {
        reader.report(
            Diagnostic::warning(
                Code::Suspicious,
                format!(
                    "`max_unavailable` of {what} does nothing: `recreate` replaces all instances at once"
                ),
            )
            .at(node.span)
            .help("write `strategy: rolling`"),
        );
    }
    strategy
}

/// One of a few words.
fn word<T: Copy>(
    reader: &mut Reader<'_>,
    node: Option<&Arc<Node>>,
    what: &str,
    known: &[(&'static str, T)],
) -> Option<T> {
    let node = node.filter(|node| !node.is_null())?;
    let text = reader.text(node, what)?;
    let found = known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
        let error = Diagnostic::error(Code::BadValue, format!("{what} cannot be `{text}`"))
            .at(node.span)
            .note(format!("it is one of {}", names.join(", ")));
        let error = reader.suggest(error, &text, known.iter().map(|(name, _)| *name));
        reader.report(error);
    }
    found
}

/// `2` or `25%`; of nothing, nothing could ever be done.
pub(super) fn share(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Share> {
    let text = python::text(node);
    let share = match (&node.value, text.trim().strip_suffix('%')) {
        (Value::Str(_), Some(percent)) => {
            percent.trim().parse().ok().filter(|p| *p <= 100).map(Share::Percent)
        }
        (Value::Int(_) | Value::Str(_), None) => text.trim().parse().ok().map(Share::Count),
        _ => None,
    };
    let share = share.filter(|share| !matches!(share, Share::Count(0) | Share::Percent(0)));
    if share.is_none() {
        reader.report(
            Diagnostic::error(
                Code::BadValue,
                format!(
                    "{what} must be a number of instances, or a percentage such as `25%`, and not nothing"
                ),
            )
            .at(node.span),
        );
    }
    share
}

/// `90`, `90s`, `5m`, `1h`.
pub(super) fn time(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Duration> {
    if node.is_null() {
        return None;
    }
    let units = [('s', 1), ('m', 60), ('h', 3600)];
    let written = node.as_str().map(str::trim).unwrap_or_default();
    let found = units.iter().find_map(|(unit, factor)| Some((written.strip_suffix(*unit)?, *factor)));
    let Some((number, factor)) = found else { return reader.seconds(node, what) };
    let seconds = Node { span: node.span, value: Value::Str(number.into()) };
    let number = reader.seconds(&seconds, what)?;
    let total = number.checked_mul(factor).filter(|total| *total < Duration::from_hours(24 * 365));
    if total.is_none() {
        reader.report(
            Diagnostic::error(Code::BadValue, format!("{what} must be less than a year")).at(node.span),
        );
    }
    total
}
