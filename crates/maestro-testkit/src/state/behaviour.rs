//! What the process of a container does, as its image scripts it.

use maestro_core::boundary::LogStream;
use maestro_core::fleet::Health;
use std::time::Duration;

/// The script of a container's process. The default runs forever, ends at once on SIGTERM with code 0, and has no
/// HEALTHCHECK.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// How it ends by itself.
    pub ends: Ends,
    /// How long the engine takes to clear away what is left of it when it has ended by itself; lists call it running
    /// for so long.
    pub lingers: Duration,
    /// What it does on SIGTERM.
    pub on_term: OnTerm,
    /// What its HEALTHCHECK says; none if it has none.
    pub health: Option<HealthScript>,
    /// What it writes, and how long after its start.
    pub output: Vec<(Duration, LogStream, String)>,
    /// How often it writes a numbered line; none for never.
    pub ticks: Option<Duration>,
    /// Programs that `exec` finds in it, besides those that every container has.
    pub programs: Vec<ScriptedProgram>,
    /// Its file system cannot be removed: the container becomes `dead`.
    pub unremovable: bool,
    /// What it does instead where its container is made with one of these commands.
    pub commands: Vec<(Vec<String>, Behaviour)>,
}

/// How a process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ends {
    /// It does not.
    #[default]
    Never,
    /// After a time, every time that it is started.
    After(Duration, i64),
    /// After a time, but only the first times that it is started; then it does not.
    FirstStarts {
        /// How many starts end.
        starts: u64,
        /// How long after the start.
        after: Duration,
        /// Exit code.
        code: i64,
    },
    /// It cannot even be started: the program is not in the image.
    NoProgram,
}

/// What a process does on SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTerm {
    /// It ends, so long after, with this code.
    Exits(Duration, i64),
    /// Nothing: only SIGKILL ends it.
    Ignores,
}

impl Default for OnTerm {
    fn default() -> Self {
        OnTerm::Exits(Duration::ZERO, 0)
    }
}

/// What a HEALTHCHECK says after each start; before the first entry, `starting`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthScript {
    /// When it says something else, and what.
    pub changes: Vec<(Duration, Health)>,
}

/// A program that `exec` finds in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedProgram {
    /// The whole command that it answers to.
    pub command: Vec<String>,
    /// Exit codes of its runs in order; the last one stays.
    pub codes: Vec<i64>,
    /// What it writes.
    pub output: String,
}

impl Behaviour {
    /// Runs forever.
    pub fn forever() -> Self {
        Self::default()
    }

    /// Ends by itself, every time.
    pub fn exits(after: Duration, code: i64) -> Self {
        Self { ends: Ends::After(after, code), ..Self::default() }
    }

    /// Ends as soon as it is started, and lists call it running for so long after.
    pub fn lingers(how_long: Duration, code: i64) -> Self {
        Self { lingers: how_long, ..Self::exits(Duration::ZERO, code) }
    }

    /// Runs forever and does not listen to SIGTERM: stopping it takes its whole grace.
    pub fn ignores_term() -> Self {
        Self { on_term: OnTerm::Ignores, ..Self::default() }
    }

    /// Runs forever and becomes healthy.
    pub fn healthy(after: Duration) -> Self {
        Self::default().with_health(vec![(after, Health::Healthy)])
    }

    /// Runs forever and becomes unhealthy.
    pub fn unhealthy(after: Duration) -> Self {
        Self::default().with_health(vec![(after, Health::Unhealthy)])
    }

    /// Runs forever, and its HEALTHCHECK stays at `starting`.
    pub fn never_healthy() -> Self {
        Self::default().with_health(Vec::new())
    }

    /// With a HEALTHCHECK.
    #[must_use]
    pub fn with_health(mut self, changes: Vec<(Duration, Health)>) -> Self {
        self.health = Some(HealthScript { changes });
        self
    }

    /// With a line of output as soon as it starts.
    #[must_use]
    pub fn says(mut self, stream: LogStream, text: &str) -> Self {
        self.output.push((Duration::ZERO, stream, text.to_owned()));
        self
    }

    /// With a program for `exec`.
    #[must_use]
    pub fn with_program(mut self, command: &[&str], codes: &[i64]) -> Self {
        self.programs.push(ScriptedProgram {
            command: command.iter().map(ToString::to_string).collect(),
            codes: codes.to_vec(),
            output: String::new(),
        });
        self
    }

    /// What it does instead where its container is made with this command.
    #[must_use]
    pub fn when(mut self, command: &[&str], instead: Behaviour) -> Self {
        self.commands.push((command.iter().map(ToString::to_string).collect(), instead));
        self
    }

    /// What it does in a container that is made with a command.
    pub(crate) fn with_command(&self, command: Option<&[String]>) -> Option<&Behaviour> {
        self.commands.iter().find(|(known, _)| Some(&**known) == command).map(|(_, instead)| instead)
    }

    /// How the start with this number, from 1, ends by itself.
    pub(crate) fn end(&self, start: u64) -> Option<(Duration, i64)> {
        match self.ends {
            Ends::After(after, code) => Some((after, code)),
            Ends::FirstStarts { starts, after, code } if start <= starts => Some((after, code)),
            Ends::Never | Ends::FirstStarts { .. } | Ends::NoProgram => None,
        }
    }
}
