//! Records of releases as a ledger keeps them: JSON.

use super::{Record, Shipped};
use crate::boundary::{Document, Entry};
use crate::names::ServiceName;
use crate::release::Part;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The form that is written. Every earlier one is read.
pub const FORMAT: u16 = 1;

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A newer Maestro wrote it.
    #[error("the record of release {number} has the form {found}, and this Maestro reads up to {FORMAT}")]
    TooNew {
        /// The release.
        number: u64,
        /// Its form.
        found: u16,
    },
    /// Something is missing, or of the wrong kind.
    #[error("the record of release {0} cannot be read")]
    Damaged(u64),
}

impl Record {
    /// As it is kept.
    pub fn document(&self) -> Document {
        let services: Map<String, Value> = self
            .services
            .iter()
            .map(|(name, shipped)| {
                let Part { id, images } = &shipped.part;
                (name.to_string(), json!({"id": id, "images": images, "before": shipped.before}))
            })
            .collect();
        let document = json!({
            "at": self.at.to_string(),
            "by": self.by,
            "doing": self.doing,
            "before": self.before,
            "back_to": self.back_to,
            "services": services,
        });
        Document::new(FORMAT, document.to_string())
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(entry: &Entry) -> Result<Self, HistoryError> {
        let number = entry.number;
        match entry.head.format {
            1..=FORMAT => {}
            found => return Err(HistoryError::TooNew { number, found }),
        }
        let value: Option<Value> = serde_json::from_slice(&entry.head.bytes).ok();
        value.as_ref().and_then(|value| read(number, value)).ok_or(HistoryError::Damaged(number))
    }
}

fn read(number: u64, value: &Value) -> Option<Record> {
    let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let services = value.get("services")?.as_object()?.iter().map(|(name, shipped)| {
        let images = shipped.get("images")?.as_array()?.iter().map(|image| image.as_str().map(str::to_owned));
        let part =
            Part { id: shipped.get("id")?.as_str()?.to_owned(), images: images.collect::<Option<_>>()? };
        Some((ServiceName::from(name.as_str()), Shipped { part, before: earlier(number, shipped, "before") }))
    });
    Some(Record {
        number,
        at: text("at")?.parse().ok()?,
        by: text("by")?,
        doing: text("doing")?,
        before: earlier(number, value, "before"),
        back_to: earlier(number, value, "back_to"),
        services: services.collect::<Option<BTreeMap<_, _>>>()?,
    })
}

/// A release that can only be an earlier one.
fn earlier(number: u64, value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64().filter(|earlier| *earlier < number)
}
