//! Which release of the engine is pretended, and in which words each says no.
//!
//! The words were recorded from Debian's packages of both releases.

use crate::state::container::Container;
use crate::state::refusal::{Cause, Refusal};
use maestro_core::fleet::{ContainerState, EngineVersion};
use maestro_core::model::ApiVersion;

/// A release of the Docker Engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edition {
    /// 20.10.24: API 1.41, minimum 1.12.
    #[default]
    V20,
    /// 28.5.2: API 1.51, minimum 1.24.
    V28,
}

impl Edition {
    /// Who the engine says that it is.
    pub fn version(self) -> EngineVersion {
        let (engine, newest) = match self {
            Edition::V20 => ("20.10.24+dfsg1", 41),
            Edition::V28 => ("28.5.2+dfsg4", 51),
        };
        EngineVersion {
            engine: engine.to_owned(),
            api: ApiVersion { major: 1, minor: newest },
            min_api: Some(self.oldest_api()),
        }
    }

    /// The oldest API that it speaks.
    pub(crate) fn oldest_api(self) -> ApiVersion {
        let minor = match self {
            Edition::V20 => 12,
            Edition::V28 => 24,
        };
        ApiVersion { major: 1, minor }
    }

    /// The older or the newer wording.
    pub(crate) fn say(self, old: impl Into<String>, new: impl Into<String>) -> String {
        match self {
            Edition::V20 => old.into(),
            Edition::V28 => new.into(),
        }
    }

    pub(crate) fn not_running(self, id: &str) -> Refusal {
        Refusal::conflict(
            self.say(format!("Container {id} is not running"), format!("container {id} is not running")),
        )
    }

    pub(crate) fn cannot_kill(self, reference: &str, because: &Refusal) -> Refusal {
        let message = self.say(
            format!("Cannot kill container: {reference}: {}", because.message),
            format!("cannot kill container: {reference}: {}", because.message),
        );
        Refusal { message, ..because.clone() }
    }

    pub(crate) fn remove_running(self, container: &Container) -> Refusal {
        let (id, name, state) = (container.id.as_str(), &container.name, container.state.name());
        let paused = container.state == ContainerState::Paused;
        let first = if paused { "Unpause and then stop" } else { "Stop" };
        let new = if paused {
            "container is paused and must be unpaused first".to_owned()
        } else {
            format!("container is {state}: stop the container before removing or force remove")
        };
        Refusal::conflict(self.say(
            format!(
                "You cannot remove a {state} container {id}. \
                 {first} the container before attempting removal or force remove"
            ),
            format!("cannot remove container \"{name}\": {new}"),
        ))
    }

    /// A container whose network another container was to share, which is not there.
    pub(crate) fn no_namespace(self, no: Refusal) -> Refusal {
        match self {
            Edition::V20 => no,
            Edition::V28 => {
                Refusal::failed(format!("joining network namespace of container: {}", no.message))
            }
        }
    }

    pub(crate) fn networking(self, message: impl Into<String>) -> String {
        let message = message.into();
        match self {
            Edition::V20 => message,
            Edition::V28 => format!("failed to set up container networking: {message}"),
        }
    }

    pub(crate) fn restart_policy(self, name: &str) -> Refusal {
        Refusal::bad(self.say(
            format!("invalid restart policy '{name}'"),
            format!(
                "invalid restart policy: unknown policy '{name}'; \
                 use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            ),
        ))
    }

    pub(crate) fn retry_count(self, name: &str) -> Refusal {
        Refusal::bad(self.say(
            format!("maximum retry count cannot be used with restart policy '{name}'"),
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ))
    }

    pub(crate) fn bad_signal(self, reference: &str, signal: &str) -> Refusal {
        Refusal::bad(self.say(
            format!("Invalid signal: {signal}"),
            format!("cannot kill container: {reference}: invalid signal: {signal}"),
        ))
    }

    /// A registry that does not accept a login while pulling.
    pub(crate) fn pull_unauthorized(self) -> Refusal {
        Refusal {
            status: match self {
                Edition::V20 => 500,
                Edition::V28 => 401,
            },
            message: "unauthorized: authentication required".to_owned(),
            cause: Cause::BadLogin,
        }
    }

    pub(crate) fn already_ran(self, exec: &str) -> String {
        self.say(
            format!("Error: Exec command {exec} has already run"),
            format!("exec command {exec} has already run"),
        )
    }

    /// What `exec` of a program that does not exist ends with.
    pub(crate) fn no_such_program(self) -> i64 {
        match self {
            Edition::V20 => 126,
            Edition::V28 => 127,
        }
    }

    pub(crate) fn no_such_image(self, asked: &str, full: &str) -> Refusal {
        Refusal::missing(
            self.say(
                format!("no such image: {asked}: No such image: {full}"),
                format!("No such image: {full}"),
            ),
        )
    }
}
