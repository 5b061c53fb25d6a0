//! `deploy:` of a service (design, section 8): how it is brought from one release to the next.

pub(super) mod weight;

use super::fields::Reader;
use super::node::{Mapping, Node, Value};
use super::services::Services;
use super::{hooks, python};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Besides, Canary, Deploy, Hindrance, Pace, Remedy, Share, Strategy};
use std::sync::Arc;
use std::time::Duration;

const KEYS: [&str; 9] = [
    "strategy",
    "max_unavailable",
    "max_surge",
    "canaries",
    "weight",
    "pause",
    "bake",
    "on_failure",
    "hooks",
];

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
        hooks: hooks::read(reader, map.get("hooks"), owner).into(),
    }
}

fn strategy(reader: &mut Reader<'_>, map: &Mapping, what: &str) -> Strategy {
    let mut share = |key: &str| {
        let node = map.get(key).filter(|node| !node.is_null())?;
        Some((node, self::share(reader, node, &format!("`{key}` of {what}"))))
    };
    let (unavailable, surge, canaries) = (share("max_unavailable"), share("max_surge"), share("canaries"));
    let of = |share: Option<(&Arc<Node>, Option<Share>)>| share.and_then(|(_, share)| share);
    let max_unavailable = of(unavailable).unwrap_or(Share::Count(1));
    // As many as the file allows to be worked on at a time, whichever way.
    let as_many = if max_unavailable.is_nothing() { Share::Count(1) } else { max_unavailable };
    let pace = Pace { max_unavailable, max_surge: of(surge).unwrap_or(as_many) };
    let pause_node = map.get("pause").filter(|node| !node.is_null());
    let pause = pause_node.and_then(|node| time(reader, node, &format!("`pause` of {what}")));
    let weight = map.get("weight").filter(|node| !node.is_null());
    let weight = weight.and_then(|node| weight::read(reader, node, &format!("`weight` of {what}")));
    let canary = Canary { canaries: of(canaries).unwrap_or(Share::Count(1)), weight, pause, pace };
    let known = [Strategy::Recreate, Strategy::Rolling(pace), Strategy::BlueGreen, Strategy::Canary(canary)]
        .map(|strategy| (strategy.name(), strategy));
    let strategy =
        word(reader, map.get("strategy"), &format!("`strategy` of {what}"), &known).unwrap_or_default();
    useless(reader, strategy, map, what);
    if let Some((node, Some(share))) = canaries
        && share.is_nothing()
    {
        let message = format!("`canaries` of {what} is 0: nothing would be tried before the others");
        reader.report(
            Diagnostic::error(Code::BadValue, message).at(node.span).help("write `strategy: rolling`"),
        );
    }
    if let (Strategy::Rolling(pace) | Strategy::Canary(Canary { pace, .. }), Some((node, _))) =
        (strategy, unavailable)
        && pace.max_unavailable.is_nothing()
        && pace.max_surge.is_nothing()
    {
        let message = format!(
            "`max_unavailable` and `max_surge` of {what} are both 0: no instance could ever be replaced"
        );
        let error = Diagnostic::error(Code::Conflict, message).at(node.span).help(
            "let one more be there for a while (`max_surge: 1`), or one be down (`max_unavailable: 1`)",
        );
        reader.report(match surge {
            Some((surge, _)) => error.label(surge.span, "and this is 0"),
            None => error,
        });
    }
    strategy
}

/// Keys that mean nothing to a strategy.
fn useless(reader: &mut Reader<'_>, strategy: Strategy, map: &Mapping, what: &str) {
    let (why, keys): (_, &[&str]) = match strategy {
        Strategy::Recreate => (
            "`recreate` replaces all instances at once",
            &["max_unavailable", "max_surge", "canaries", "weight", "pause"],
        ),
        Strategy::Rolling(_) => ("`rolling` tries none of them first", &["canaries", "weight", "pause"]),
        Strategy::BlueGreen => (
            "`blue-green` replaces all instances together",
            &["max_unavailable", "max_surge", "canaries", "weight", "pause"],
        ),
        Strategy::Canary(_) => return,
    };
    for key in keys {
        let Some(node) = map.get(key).filter(|node| !node.is_null()) else { continue };
        let other = if matches!(*key, "canaries" | "weight" | "pause") { "canary" } else { "rolling" };
        reader.report(
            Diagnostic::warning(Code::Suspicious, format!("`{key}` of {what} does nothing: {why}"))
                .at(node.span)
                .help(format!("write `strategy: {other}`")),
        );
    }
}

/// What a service's `deploy` section wants that its instances cannot have.
pub(super) fn check(reader: &mut Reader<'_>, services: &Services) {
    let besides = Besides::of(services.instances.values());
    for (name, service) in &services.by_name {
        let strategy = service.deploy.strategy;
        let wish = match strategy {
            Strategy::BlueGreen => "`strategy: blue-green`",
            Strategy::Rolling(pace) | Strategy::Canary(Canary { pace, .. })
                if pace.max_unavailable.is_nothing() && !pace.max_surge.is_nothing() =>
            {
                "`max_unavailable: 0`"
            }
            Strategy::Recreate | Strategy::Rolling(_) | Strategy::Canary(_) => continue,
        };
        let hindered = service
            .instances
            .iter()
            .find_map(|instance| Some((instance, besides.hindrance(services.instances.get(instance)?)?)));
        let (Some((instance, why)), Some(places)) =
            (hindered.clone(), hindered.and_then(|(instance, _)| services.places.get(instance)))
        else {
            continue;
        };
        let message = format!(
            "{wish} of service `{name}` cannot be kept: there cannot be two containers of `{instance}` at the same time"
        );
        let let_go = match strategy {
            Strategy::BlueGreen => "replace one after the other: `strategy: rolling`",
            _ => "let one be down: `max_unavailable: 1`",
        };
        let help = match why {
            Hindrance::Port(_) => {
                format!("give it a range of ports, such as {{exposed: 80, external: 8100-8199}}, or {let_go}")
            }
            _ => let_go.to_owned(),
        };
        reader.report(
            Diagnostic::error(Code::Conflict, message).at(places.name).note(why.to_string()).help(help),
        );
    }
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

/// `2` or `25%`.
pub(super) fn share(reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<Share> {
    let text = python::text(node);
    let share = match (&node.value, text.trim().strip_suffix('%')) {
        (Value::Str(_), Some(percent)) => {
            percent.trim().parse().ok().filter(|p| *p <= 100).map(Share::Percent)
        }
        (Value::Int(_) | Value::Str(_), None) => text.trim().parse().ok().map(Share::Count),
        _ => None,
    };
    if share.is_none() {
        reader.report(
            Diagnostic::error(
                Code::BadValue,
                format!("{what} must be a number of instances, or a percentage such as `25%`"),
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
