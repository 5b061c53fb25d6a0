//! Releases as they are kept: JSON with a number of the form.

use super::Release;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The form that is written. Every earlier one is read.
pub const FORMAT: u64 = 2;

/// Why a kept release cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON, or cut off.
    #[error("it is no JSON: {0}")]
    Json(String),
    /// A newer Maestro wrote it.
    #[error("it has the form {found}, and this Maestro reads up to {FORMAT}")]
    TooNew {
        /// Its form.
        found: u64,
    },
    /// Something is missing, or of the wrong kind.
    #[error("its `{0}` is missing or not what it should be")]
    Field(&'static str),
}

impl Release {
    /// As it is kept. The same release gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let document = json!({
            "format": FORMAT,
            "environment": self.environment,
            "file": self.file,
            "env_files": self.env_files,
            "variables": self.variables,
            "images": self.images,
        });
        document.to_string().into_bytes()
    }

    /// What tells it from every other one: the SHA-256 of what is kept.
    pub fn id(&self) -> String {
        sha256(self.to_bytes())
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DocumentError> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| DocumentError::Json(error.to_string()))?;
        let map = value.as_object().ok_or(DocumentError::Field("format"))?;
        let format = match map.get("format").and_then(Value::as_u64) {
            Some(format @ 1..=FORMAT) => format,
            Some(found) => return Err(DocumentError::TooNew { found }),
            None => return Err(DocumentError::Field("format")),
        };
        let mut release = Self {
            environment: text(map, "environment")?,
            file: text(map, "file")?,
            env_files: texts(map, "env_files")?,
            variables: texts(map, "variables")?,
            images: BTreeMap::new(),
        };
        release.images = if format == 1 {
            // One meaning for all services.
            let images = texts(map, "images")?;
            release.services().into_keys().map(|service| (service, images.clone())).collect()
        } else {
            images(map)?
        };
        Ok(release)
    }
}

fn text(map: &Map<String, Value>, key: &'static str) -> Result<String, DocumentError> {
    map.get(key).and_then(Value::as_str).map(str::to_owned).ok_or(DocumentError::Field(key))
}

fn texts(map: &Map<String, Value>, key: &'static str) -> Result<BTreeMap<String, String>, DocumentError> {
    texts_of(map.get(key), key)
}

fn texts_of(value: Option<&Value>, key: &'static str) -> Result<BTreeMap<String, String>, DocumentError> {
    let map = value.and_then(Value::as_object).ok_or(DocumentError::Field(key))?;
    let pairs = map.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    pairs.collect::<Option<_>>().ok_or(DocumentError::Field(key))
}

fn images(map: &Map<String, Value>) -> Result<BTreeMap<String, BTreeMap<String, String>>, DocumentError> {
    const KEY: &str = "images";
    let services = map.get(KEY).and_then(Value::as_object).ok_or(DocumentError::Field(KEY))?;
    services.keys().map(|service| Ok((service.clone(), texts_of(services.get(service), KEY)?))).collect()
}

/// A SHA-256 in hexadecimal digits.
pub(crate) fn sha256(content: impl AsRef<[u8]>) -> String {
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(content) {
        // Writing to a string cannot fail.
        _ = write!(digits, "{byte:02x}");
    }
    digits
}
