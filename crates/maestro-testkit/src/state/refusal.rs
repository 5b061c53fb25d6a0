//! How an engine says no.

use std::fmt;

/// An HTTP status, the engine's words, and what they mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// In the engine's words.
    pub message: String,
    /// What kind of no; a real engine leaves finding this out to its client.
    pub cause: Cause,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no such thing.
    Missing,
    /// Something stands in the way.
    Conflict,
    /// Credentials are missing or wrong.
    BadLogin,
    /// The registry cannot be reached or is in trouble; its HTTP status where it gave one.
    Registry(Option<u16>),
    /// The request is wrong, or carrying it out failed.
    Other,
}

impl Refusal {
    /// 400: the request is wrong.
    pub fn bad(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into(), cause: Cause::Other }
    }

    /// 400, for what a real engine lets pass and this one does not.
    pub fn strict(message: impl fmt::Display) -> Self {
        Self::bad(format!("strict fake: {message}"))
    }

    /// 404.
    pub fn missing(message: impl Into<String>) -> Self {
        Self { status: 404, message: message.into(), cause: Cause::Missing }
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { status: 409, message: message.into(), cause: Cause::Conflict }
    }

    /// 500: carrying it out failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { status: 500, message: message.into(), cause: Cause::Other }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message)
    }
}
