//! Plans as they are kept: JSON with a number of the form.

use super::{SavedPlan, Sight};
use crate::names::{InstanceName, ServiceName};
use crate::plan::{Hooking, Intent, Restart};
use crate::release::{DocumentError, Release};
use crate::select::Selector;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The form that is written. Every earlier one is read.
pub const FORMAT: u64 = 1;

/// Why a kept plan cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// It is no JSON, or cut off.
    #[error("it is no JSON: {0}")]
    Json(String),
    /// It is something else.
    #[error(
        "it is no plan that `maestro plan --out` has written: its `{0}` is missing or not what it should be"
    )]
    Field(&'static str),
    /// A newer Maestro wrote it.
    #[error("it has the form {found}, and this Maestro reads up to {FORMAT}")]
    TooNew {
        /// Its form.
        found: u64,
    },
    /// The release in it cannot be read.
    #[error("the release in it cannot be read: {0}")]
    Release(#[from] DocumentError),
}

impl SavedPlan {
    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let release = String::from_utf8_lossy(&self.release.to_bytes()).into_owned();
        let seen: BTreeMap<&str, &Sight> =
            self.seen.iter().map(|(name, sight)| (name.as_str(), sight)).collect();
        let mut document = json!({
            "format": FORMAT,
            "kind": "maestro.plan",
            "environment": self.release.environment,
            "intent": intent(&self.intent),
            "units": self.units,
            "seen": seen,
            "checksum": self.checksum,
            "release": release,
        });
        if let (Value::Object(document), Value::Object(selector)) = (&mut document, selector(&self.selector))
        {
            document.extend(selector);
        }
        document.to_string().into_bytes()
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SavedError> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| SavedError::Json(error.to_string()))?;
        if value.get("kind").and_then(Value::as_str) != Some("maestro.plan") {
            return Err(SavedError::Field("kind"));
        }
        match value.get("format").and_then(Value::as_u64) {
            Some(1..=FORMAT) => {}
            Some(found) => return Err(SavedError::TooNew { found }),
            None => return Err(SavedError::Field("format")),
        }
        let text = |key: &'static str| value.get(key).and_then(Value::as_str).ok_or(SavedError::Field(key));
        let units = value.get("units").and_then(Value::as_u64).and_then(|units| usize::try_from(units).ok());
        Ok(Self {
            release: Release::from_bytes(text("release")?.as_bytes())?,
            intent: value.get("intent").and_then(read_intent).ok_or(SavedError::Field("intent"))?,
            selector: read_selector(&value).map_err(SavedError::Field)?,
            units,
            seen: value.get("seen").and_then(read_seen).ok_or(SavedError::Field("seen"))?,
            checksum: text("checksum")?.to_owned(),
        })
    }
}

/// What the command line says about instances, as it is kept.
pub(crate) fn selector(selector: &Selector) -> Value {
    json!({
        "things": selector.things,
        "with_dependencies": selector.with_dependencies,
        "ignore_dependencies": selector.ignore_dependencies,
        "instance_filter": selector.instance_filter,
        "ship_filter": selector.ship_filter,
        "gone": selector.gone.iter().map(ServiceName::as_str).collect::<Vec<_>>(),
    })
}

/// Reads what [`selector`] has written; else the key that is missing or not what it should be.
pub(crate) fn read_selector(value: &Value) -> Result<Selector, &'static str> {
    let flag = |key: &'static str| value.get(key).and_then(Value::as_bool).ok_or(key);
    let maybe = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let things = value.get("things").and_then(Value::as_array).ok_or("things")?;
    Ok(Selector {
        things: things.iter().filter_map(|thing| thing.as_str().map(str::to_owned)).collect(),
        with_dependencies: flag("with_dependencies")?,
        ignore_dependencies: flag("ignore_dependencies")?,
        instance_filter: maybe("instance_filter"),
        ship_filter: maybe("ship_filter"),
        // Nobody wrote it down at first.
        gone: value
            .get("gone")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(ServiceName::from))
            .collect(),
    })
}

fn read_seen(value: &Value) -> Option<BTreeMap<InstanceName, Sight>> {
    let sights = value.as_object()?.iter().map(|(instance, sight)| {
        let sight = sight.as_object()?.iter();
        let sight = sight.map(|(what, how)| Some((what.clone(), how.as_str()?.to_owned())));
        Some((InstanceName::from(instance.as_str()), sight.collect::<Option<Sight>>()?))
    });
    sights.collect()
}

fn intent(intent: &Intent) -> Value {
    match intent {
        Intent::Start { refresh, reuse } => json!({"do": "start", "refresh": refresh, "reuse": reuse}),
        Intent::Stop | Intent::Kill | Intent::Pull | Intent::Clean => json!({"do": intent.name()}),
        Intent::Restart(how) => json!({
            "do": "restart",
            "refresh": how.refresh,
            "reuse": how.reuse,
            "only_if_changed": how.only_if_changed,
            "step_delay": how.step_delay.as_secs(),
            "stop_start_delay": how.stop_start_delay.as_secs(),
        }),
        // Who is doubtful, and which hooks have been begun, is known to a run that goes on, and to no plan that is kept: a way
        // back is not.
        Intent::Deploy { ask_again, promote, .. } => {
            json!({"do": "deploy", "ask_again": ask_again, "promote": promote})
        }
    }
}

fn read_intent(value: &Value) -> Option<Intent> {
    let flag = |key: &str| value.get(key)?.as_bool();
    let seconds = |key: &str| Some(Duration::from_secs(value.get(key)?.as_u64()?));
    Some(match value.get("do")?.as_str()? {
        "start" => Intent::Start { refresh: flag("refresh")?, reuse: flag("reuse")? },
        "stop" => Intent::Stop,
        "kill" => Intent::Kill,
        "pull" => Intent::Pull,
        "clean" => Intent::Clean,
        "restart" => Intent::Restart(Restart {
            refresh: flag("refresh")?,
            reuse: flag("reuse")?,
            only_if_changed: flag("only_if_changed")?,
            step_delay: seconds("step_delay")?,
            stop_start_delay: seconds("stop_start_delay")?,
        }),
        // Plans of before there were canaries promote nothing.
        "deploy" => {
            let promote = flag("promote").unwrap_or_default();
            let ask_again = flag("ask_again")?;
            Intent::Deploy { ask_again, promote, doubtful: BTreeSet::new(), hooks: Hooking::NEW }
        }
        _ => return None,
    })
}
