//! Errors for machines.

use crate::report::errors::{ErrorReport, Level};
use crate::report::rows::Trouble;
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::event::Failure;
use serde::{Deserialize, Serialize};

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// `error` or `warning`.
    pub severity: String,
    /// What kind: `unreachable`, `unresponsive`, `tls`, `ssh`, `settings`, `api_version`, `not_found`, `conflict`,
    /// `unauthorized`, `registry`, `api`, `lost`, `protocol`, `check`, `not_reached`, `not_kept`, `interrupted`, `foreign`,
    /// `variables`, `internal`, `other`.
    pub kind: String,
    /// What happened, in words.
    pub message: String,
    /// Why, the nearest cause first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
    /// The ship that it happened on.
    pub ship: Option<String>,
    /// What was being done there.
    pub operation: Option<String>,
    /// Whether it may have been done nevertheless.
    pub ambiguous: bool,
}

impl Error {
    fn of(kind: &str, report: ErrorReport) -> Self {
        Self {
            severity: match report.level {
                Level::Error => "error".into(),
                Level::Warning => "warning".into(),
            },
            kind: kind.into(),
            message: report.what,
            causes: report.causes,
            hints: report.hints,
            ship: None,
            operation: None,
            ambiguous: false,
        }
    }
}

impl From<ErrorReport> for Error {
    fn from(report: ErrorReport) -> Self {
        Self::of("other", report)
    }
}

impl From<&EngineError> for Error {
    fn from(error: &EngineError) -> Self {
        Self {
            ship: Some(error.ship.as_str().into()),
            operation: Some(error.operation.clone()),
            ambiguous: error.ambiguous,
            ..Self::of(kind(&error.kind), error.into())
        }
    }
}

impl From<&Failure> for Error {
    fn from(failure: &Failure) -> Self {
        let kind = match failure {
            Failure::Engine(error) => return error.into(),
            Failure::Check(_) => "check",
            Failure::NotReached { .. } => "not_reached",
            Failure::NotKept { .. } => "not_kept",
            Failure::Fenced(_) => "lease_lost",
            Failure::Unbalanced(_) => "unbalanced",
            Failure::Hook { .. } => "hook",
            Failure::Interrupted => "interrupted",
            Failure::Internal(_) => "internal",
        };
        Self::of(kind, failure.into())
    }
}

impl From<&Trouble> for Error {
    fn from(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Step(failure) => failure.into(),
            Trouble::Ship(error) => error.into(),
            Trouble::Foreign(whose) => {
                Self::of("foreign", ErrorReport::new(format!("the container is not ours: {whose}")))
            }
            Trouble::Variables(excess) => Self::of("variables", excess.into()),
            Trouble::Unavailable(why) => Self::of("unavailable", ErrorReport::new(why.clone())),
            Trouble::HalfDone(why) => Self::of("half_done", ErrorReport::new(why.clone())),
            Trouble::Ports(why) => Self::of("ports", ErrorReport::new(why.clone())),
            Trouble::Alone(why) => Self::of("alone", ErrorReport::new(why.clone())),
        }
    }
}

fn kind(kind: &EngineErrorKind) -> &'static str {
    match kind {
        EngineErrorKind::Unreachable { .. } => "unreachable",
        EngineErrorKind::Unresponsive { .. } => "unresponsive",
        EngineErrorKind::Tls { .. } => "tls",
        EngineErrorKind::Ssh { .. } => "ssh",
        EngineErrorKind::Settings(_) => "settings",
        EngineErrorKind::ApiVersion { .. } => "api_version",
        EngineErrorKind::NotFound(_) => "not_found",
        EngineErrorKind::Conflict(_) => "conflict",
        EngineErrorKind::Unauthorized { .. } => "unauthorized",
        EngineErrorKind::Registry { .. } => "registry",
        EngineErrorKind::Api { .. } => "api",
        EngineErrorKind::Lost(_) => "lost",
        EngineErrorKind::Protocol(_) => "protocol",
        _ => "other",
    }
}
