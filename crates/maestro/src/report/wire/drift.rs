//! `drift` for machines.

use super::Error;
use maestro_core::compare::Change as Found;
use maestro_core::drift::{Drift, Verdict};
use serde::{Deserialize, Serialize};

/// One instance, and what of it is not as the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftEntry {
    /// The instance.
    pub instance: String,
    /// Its service.
    pub service: String,
    /// Its ship.
    pub ship: String,
    /// Whether anything is otherwise; `null` if nobody knows.
    pub drifted: Option<bool>,
    /// `same`, `changed`, `missing`, `renamed`, `foreign` or `unknown`.
    pub verdict: String,
    /// Id of the container of its name.
    pub container: Option<String>,
    /// What the container of the instance is called now, if it was renamed.
    pub renamed_to: Option<String>,
    /// Whether its container has Maestro's labels; those that were made by hand or by maestro-ng have none.
    pub labelled: Option<bool>,
    /// Whose the container is, if not this environment's: half a sentence.
    pub foreign: Option<String>,
    /// What is otherwise.
    pub changes: Vec<Change>,
    /// Why nothing is known.
    pub error: Option<Error>,
}

/// An attribute that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Such as `image`, `memory`, `env.LANG`, `ports.80/tcp`.
    pub attribute: String,
    /// What the file says; `null` for nothing.
    pub wanted: Option<String>,
    /// What it is; `null` for nothing.
    pub found: Option<String>,
    /// Whether something of the values is not shown, and stands there as `…`.
    pub hidden: bool,
}

impl From<&Found> for Change {
    fn from(change: &Found) -> Self {
        Self {
            attribute: change.attribute.clone(),
            wanted: change.wanted.clone(),
            found: change.found.clone(),
            hidden: change.secret,
        }
    }
}

impl From<&Drift> for DriftEntry {
    fn from(drift: &Drift) -> Self {
        let nothing = Self {
            instance: drift.instance.as_str().into(),
            service: drift.service.as_str().into(),
            ship: drift.ship.as_str().into(),
            drifted: (!drift.is_unknown()).then(|| drift.is_drift()),
            verdict: "unknown".to_owned(),
            container: drift.container.as_ref().map(|id| id.as_str().into()),
            renamed_to: None,
            labelled: None,
            foreign: None,
            changes: drift.changes.iter().map(Change::from).collect(),
            error: None,
        };
        let verdict = |verdict: &str| verdict.to_owned();
        match &drift.verdict {
            Verdict::Unknown => nothing,
            Verdict::AsInFile => Self { verdict: verdict("same"), ..nothing },
            Verdict::Changed { unlabelled } => {
                Self { verdict: verdict("changed"), labelled: Some(!unlabelled), ..nothing }
            }
            Verdict::Missing { renamed: None } => Self { verdict: verdict("missing"), ..nothing },
            Verdict::Missing { renamed: Some(name) } => {
                Self { verdict: verdict("renamed"), renamed_to: Some(name.to_string()), ..nothing }
            }
            Verdict::Foreign(whose) => {
                Self { verdict: verdict("foreign"), foreign: Some(whose.clone()), ..nothing }
            }
            Verdict::Unseen(error) => Self { error: Some(error.into()), ..nothing },
        }
    }
}
