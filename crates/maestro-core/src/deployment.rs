//! A deployment in progress, as its journal has it: whoever finds it can go on with it, or back (`docs/design/0022`).

use crate::boundary::{Document, Journal};
use crate::history::Return;
use crate::model::graph::Direction;
use crate::model::{Environment, When};
use crate::names::{ContainerId, InstanceName, ServiceName};
use crate::plan::{Begun, Hooking};
use crate::release::Release;
use crate::saved::{read_selector, selector};
use crate::select::{SelectionRules, Selector, select};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The form that is written. Every earlier one is read.
pub const FORMAT: u16 = 1;

/// What a fleet is being brought to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// How it shall be.
    pub release: Release,
    /// Of which instances.
    pub selector: Selector,
    /// How many at a time at most.
    pub units: Option<usize>,
    /// Who began: `ada@laptop`.
    pub by: String,
    /// When, by the clock over there.
    pub at: Timestamp,
    /// With which command: `deploy web`.
    pub doing: String,
    /// For a roll-back, where it goes.
    pub back: Option<Return>,
    /// Containers that turned out to be no good, as `name@ship`.
    pub doubtful: BTreeSet<InstanceName>,
    /// Whether those that wait while others of their service are tried are deployed, too.
    pub promote: bool,
    /// Whether it takes back what another deployment did, which had failed: then nothing is recorded at its end.
    pub gives_up: bool,
    /// Services whose hooks were to be run when it began, and how far those are.
    pub hooks: BTreeMap<ServiceName, Begun>,
}

/// Why a journal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// A newer Maestro wrote it.
    #[error("it has the form {found}, and this Maestro reads up to {FORMAT}")]
    TooNew {
        /// Its form.
        found: u16,
    },
    /// Something is missing, or of the wrong kind.
    #[error("it cannot be read: {0}")]
    Damaged(String),
}

impl Deployment {
    /// As it is kept.
    pub fn document(&self) -> Document {
        let back = self.back.as_ref().map(|back| {
            let services: Map<String, Value> = back
                .services
                .iter()
                .map(|(number, services)| {
                    let services: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
                    (number.to_string(), json!(services))
                })
                .collect();
            json!({"services": services, "whole": back.whole})
        });
        let document = json!({
            "release": String::from_utf8_lossy(&self.release.to_bytes()),
            "selector": selector(&self.selector),
            "units": self.units,
            "by": self.by,
            "at": self.at.to_string(),
            "doing": self.doing,
            "back": back,
            "doubtful": self.doubtful.iter().map(InstanceName::as_str).collect::<Vec<_>>(),
            "promote": self.promote,
            "gives_up": self.gives_up,
            "hooks": self.hooks.iter().map(|(name, begun)| (name.to_string(), progress(begun))).collect::<Map<_, _>>(),
        });
        Document::new(FORMAT, document.to_string())
    }

    /// The hooks that it runs, if `unfinished` is what it goes on with or takes the place of. What that had begun is due
    /// still; what it had done counts if the service is to be the same.
    pub fn hooking(&self, unfinished: Option<&Deployment>) -> Hooking {
        let run = self.run();
        let begun = unfinished.map(|unfinished| &unfinished.hooks).filter(|begun| !begun.is_empty());
        let (Some(begun), Some(unfinished)) = (begun, unfinished) else {
            return Hooking::On { run, begun: BTreeMap::new() };
        };
        let (before, now) = (unfinished.release.parts(), self.release.parts());
        let carried = begun.iter().map(|(service, begun)| {
            let is_same = before.get(service) == now.get(service);
            let anew = || Begun { run: run.clone(), ..Begun::default() };
            (service.clone(), if is_same { begun.clone() } else { anew() })
        });
        let begun = carried.collect();
        Hooking::On { run, begun }
    }

    /// What it means by now. What it names on ships that `today`'s file does not have any more is nobody's business; what
    /// was to be deployed with that, because it is needed there, still is. `environment` is what its release says, of
    /// today's ships.
    pub fn meant(&self, environment: &Environment, today: &Environment) -> Selector {
        let left_out = self.release.left_out(today, environment.services.keys());
        let left_out: BTreeSet<InstanceName> = left_out.into_iter().map(|(name, _)| name).collect();
        let things = self.selector.things.iter().cloned();
        let (lost, mut things): (Vec<_>, Vec<_>) =
            things.partition(|thing| left_out.contains(thing.as_str()));
        if lost.is_empty() {
            return self.selector.clone();
        }
        if self.selector.with_dependencies
            && let Ok(then) = self.release.environment_then(today)
        {
            let rules = SelectionRules { direction: Direction::Requires, includes_omitted: false };
            let needed = select(&then, &self.selector.clone().only(lost), rules).map(|all| all.instances);
            let needed = needed.unwrap_or_default().into_iter().filter(|name| !left_out.contains(name));
            things.extend(needed.map(|name| name.to_string()));
        }
        self.selector.clone().only(things)
    }

    /// What tells it from others: when it began.
    fn run(&self) -> String {
        format!("{:x}", self.at.as_nanosecond())
    }

    /// What a journal says was to be done last: each of its records takes the place of the one before.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn last(journal: &Journal) -> Result<Self, JournalError> {
        let document =
            journal.records.last().ok_or_else(|| JournalError::Damaged("it is empty".to_owned()))?;
        match document.format {
            1..=FORMAT => {}
            found => return Err(JournalError::TooNew { found }),
        }
        let value: Value = serde_json::from_slice(&document.bytes)
            .map_err(|error| JournalError::Damaged(error.to_string()))?;
        let damaged = || JournalError::Damaged("something is missing".to_owned());
        let release = value.get("release").and_then(Value::as_str).ok_or_else(damaged)?;
        let release = Release::from_bytes(release.as_bytes())
            .map_err(|error| JournalError::Damaged(format!("its release: {error}")))?;
        read(&value, release).ok_or_else(damaged)
    }
}

fn read(value: &Value, release: Release) -> Option<Deployment> {
    let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let back = match value.get("back")? {
        Value::Null => None,
        back => Some(read_return(back)?),
    };
    Some(Deployment {
        release,
        selector: read_selector(value.get("selector")?).ok()?,
        units: value.get("units")?.as_u64().and_then(|units| usize::try_from(units).ok()),
        by: text("by")?,
        at: text("at")?.parse().ok()?,
        doing: text("doing")?,
        back,
        doubtful: match value.get("doubtful") {
            // Nobody wrote it down at first.
            None => BTreeSet::new(),
            Some(names) => {
                let names = names.as_array()?.iter().map(|name| Some(InstanceName::from(name.as_str()?)));
                names.collect::<Option<_>>()?
            }
        },
        // Nobody wrote it down at first.
        promote: value.get("promote").is_some_and(|is| *is == Value::Bool(true)),
        gives_up: value.get("gives_up")?.as_bool()?,
        hooks: match value.get("hooks") {
            // There were none at first.
            None => BTreeMap::new(),
            Some(hooks) => {
                let hooks = hooks.as_object()?.iter();
                hooks
                    .map(|(name, begun)| Some((ServiceName::from(name.as_str()), read_progress(begun)?)))
                    .collect::<Option<_>>()?
            }
        },
    })
}

fn progress(begun: &Begun) -> Value {
    let done: Vec<Value> = begun.done.iter().map(|(when, number)| json!([when.key(), number])).collect();
    let late: Vec<&str> = begun.late.iter().map(ContainerId::as_str).collect();
    json!({"run": begun.run, "done": done, "late": late})
}

fn read_progress(value: &Value) -> Option<Begun> {
    let done = value.get("done")?.as_array()?.iter().map(|hook| {
        let when = When::parse(hook.get(0)?.as_str()?)?;
        Some((when, usize::try_from(hook.get(1)?.as_u64()?).ok()?))
    });
    let late = match value.get("late") {
        // Nobody wrote it down at first.
        None => BTreeSet::new(),
        Some(late) => {
            let late = late.as_array()?.iter().map(|id| Some(ContainerId::from(id.as_str()?)));
            late.collect::<Option<_>>()?
        }
    };
    Some(Begun { run: value.get("run")?.as_str()?.to_owned(), done: done.collect::<Option<_>>()?, late })
}

fn read_return(value: &Value) -> Option<Return> {
    let services = value.get("services")?.as_object()?.iter().map(|(number, services)| {
        let services = services.as_array()?.iter().map(|name| name.as_str().map(ServiceName::from));
        Some((number.parse().ok()?, services.collect::<Option<_>>()?))
    });
    Some(Return {
        services: services.collect::<Option<BTreeMap<_, _>>>()?,
        whole: value.get("whole")?.as_u64(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limits, load};
    use crate::source::MapSources;

    fn deployment() -> Deployment {
        let release =
            br#"{"format":2,"environment":"shop","file":"{}","env_files":{},"variables":{},"images":{}}"#;
        Deployment {
            release: Release::from_bytes(release).unwrap(),
            selector: Selector {
                things: vec!["web".into()],
                with_dependencies: true,
                ignore_dependencies: false,
                instance_filter: Some("web-*".into()),
                ship_filter: None,
                gone: ["cache".into()].into(),
            },
            units: Some(3),
            by: "ada@laptop".into(),
            at: "2026-11-21T12:00:00Z".parse().unwrap(),
            doing: "rollback web".into(),
            doubtful: BTreeSet::new(),
            back: Some(Return { services: [(3, [ServiceName::from("web")].into())].into(), whole: None }),
            promote: false,
            gives_up: false,
            hooks: BTreeMap::new(),
        }
    }

    #[test]
    fn the_last_record_is_what_is_to_be_done() {
        let doubtful = ["web-1".into(), "web-2".into()].into();
        let done = [(When::After, 2), (When::Before, 1)].into();
        let begun = Begun { run: "1f".to_owned(), done, late: ["c0ffee".into()].into() };
        let hooks = [("web".into(), begun)].into();
        let last = Deployment {
            back: None,
            promote: true,
            gives_up: true,
            units: None,
            doubtful,
            hooks,
            ..deployment()
        };
        let first = deployment();
        let mut journal = Journal { run: 1, records: vec![first.document()] };
        assert_eq!(Deployment::last(&journal).unwrap(), first);
        journal.records.push(last.document());
        assert_eq!(Deployment::last(&journal).unwrap(), last);
    }

    /// What has been run counts for whoever deploys the same; what has been begun is due for everybody.
    #[test]
    fn hooks_are_gone_on_with_where_the_service_is_the_same() {
        let of = |tag: u32, at: &str| {
            let release = format!(
                r#"{{"format":2,"environment":"shop","file":"services: {{web: {{image: 'web:{tag}'}}, db: {{image: db}}}}","env_files":{{}},"variables":{{}},"images":{{}}}}"#
            );
            let release = Release::from_bytes(release.as_bytes()).unwrap();
            Deployment { release, at: at.parse().unwrap(), ..deployment() }
        };
        let done = [(When::Before, 1)].into();
        let begun = Begun { run: "1f".to_owned(), done, late: ["c0ffee".into()].into() };
        let hooks = [("web".into(), begun.clone()), ("db".into(), begun.clone())].into();
        let unfinished = Deployment { hooks, ..of(1, "2026-11-21T12:00:00Z") };
        let hooking = |tag| of(tag, "2026-11-21T13:00:00.5Z").hooking(Some(&unfinished));
        assert_eq!(
            hooking(1),
            Hooking::On { run: "18ea10ea6d238500".to_owned(), begun: unfinished.hooks.clone() }
        );
        let Hooking::On { run, begun: other } = hooking(2) else { panic!() };
        assert_eq!(other[&ServiceName::from("web")], Begun { run: run.clone(), ..Begun::default() });
        assert_eq!(other[&ServiceName::from("db")], begun);
        let new = of(2, "2026-11-21T13:00:00.5Z").hooking(None);
        assert_eq!(new, Hooking::On { run, begun: BTreeMap::new() });
    }

    /// A ship that is gone is in nobody's way; what was needed there is not forgotten.
    #[test]
    fn what_was_named_on_a_ship_that_is_gone_is_left_out() {
        let file = |ships: &str| {
            format!(
                "
__maestro: {{schema: 2}}
name: shop
ships: {{{ships}}}
services:
  db: {{image: db, instances: {{db-1: {{ship: a}}}}}}
  web: {{image: web, requires: [db], instances: {{web-1: {{ship: a}}, web-2: {{ship: b}}}}}}
"
            )
        };
        let text = file("a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}");
        let release = json!({"format": 2, "environment": "shop", "file": text, "env_files": {}, "variables": {}, "images": {}});
        let release = Release::from_bytes(release.to_string().as_bytes()).unwrap();
        let today = file("a: {ip: 192.0.2.1}").replace(", web-2: {ship: b}", "");
        let today = load(&MapSources::of(today), &Limits::default()).environment.unwrap();
        let environment = release.environment(&today).unwrap();
        let meant = |things: &[&str], with_dependencies: bool| {
            let things = things.iter().map(ToString::to_string).collect();
            let selector = Selector { things, with_dependencies, ..Selector::default() };
            let unfinished = Deployment { release: release.clone(), selector, ..deployment() };
            let rules = SelectionRules { direction: Direction::Requires, includes_omitted: false };
            let selection = select(&environment, &unfinished.meant(&environment, &today), rules).unwrap();
            selection.instances.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        for (things, with_dependencies, expected) in [
            (&["web-2"][..], false, ""),
            (&["web-1", "web-2"], false, "web-1"),
            (&["web-2"], true, "db-1"),
            (&["web-1"], false, "web-1"),
            (&["web"], false, "web-1"),
            (&[], false, "db-1 web-1"),
        ] {
            assert_eq!(meant(things, with_dependencies), expected, "{things:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let of =
            |records: Vec<Document>| Deployment::last(&Journal { run: 1, records }).unwrap_err().to_string();
        assert_eq!(of(vec![]), "it cannot be read: it is empty");
        assert_eq!(of(vec![Document::new(9, "{}")]), "it has the form 9, and this Maestro reads up to 1");
        assert_eq!(of(vec![Document::new(1, "{}")]), "it cannot be read: something is missing");
        let bad = Document::new(1, r#"{"release":"{}"}"#);
        assert!(of(vec![bad]).starts_with("it cannot be read: its release: "));
    }

    /// What version 1 of the form has written.
    #[test]
    fn the_first_form_is_read() {
        let kept = r#"{"at":"2026-11-21T12:00:00Z","back":{"services":{"3":["web"]},"whole":null},"by":"ada@laptop",
            "doing":"rollback web","gives_up":false,"units":3,
            "release":"{\"format\":2,\"environment\":\"shop\",\"file\":\"{}\",\"env_files\":{},\"variables\":{},\"images\":{}}",
            "selector":{"things":["web"],"with_dependencies":true,"ignore_dependencies":false,
            "instance_filter":"web-*","ship_filter":null}}"#;
        let journal = Journal { run: 1, records: vec![Document::new(1, kept)] };
        let mut expected = deployment();
        expected.selector.gone.clear();
        assert_eq!(Deployment::last(&journal).unwrap(), expected);
    }
}
