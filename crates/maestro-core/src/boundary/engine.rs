//! One Docker Engine, as the rest of Maestro sees it.

use crate::engine_error::EngineError;
use crate::fleet::{EngineState, HostFacts, HostPort, Platform};
use crate::image::ImageRef;
use crate::names::{ContainerId, InstanceName};
use crate::plan::{EngineCall, RegistryAuth, Target};
use futures_util::Sink;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;

/// One Docker Engine. Connects when it is first used; every method has its deadlines inside.
pub trait Engine: Send + Sync {
    /// What is there now: the containers and images in the scope, and the details of some.
    fn observe<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<EngineState, EngineError>>;

    /// Makes one call that changes the ship, once; retries belong to the caller.
    fn perform<'a>(
        &'a self,
        call: &'a EngineCall,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<CallOutcome, EngineError>>;

    /// What its host is like, as far as it can be learnt without touching anything.
    fn examine<'a>(&'a self, examination: &'a Examination) -> BoxFuture<'a, Result<HostFacts, EngineError>>;

    /// What an image is in its registry now, as the engine reaches it.
    fn look_up<'a>(
        &'a self,
        image: &'a ImageRef,
        auth: Option<&'a RegistryAuth>,
    ) -> BoxFuture<'a, Result<RegistryImage, EngineError>>;

    /// What an image reference stands for in its registry now, as the engine reaches it: a digest, `sha256:…`.
    fn resolve<'a>(
        &'a self,
        image: &'a ImageRef,
        auth: Option<&'a RegistryAuth>,
    ) -> BoxFuture<'a, Result<String, EngineError>> {
        let looking = self.look_up(image, auth);
        Box::pin(async move { Ok(looking.await?.digest) })
    }

    /// Runs a program in a container to its end and returns its exit code; output is thrown away.
    fn run_in<'a>(
        &'a self,
        target: &'a Target,
        command: &'a [String],
    ) -> BoxFuture<'a, Result<i64, EngineError>>;

    /// Runs a program in a container with its streams attached.
    fn attach<'a>(
        &'a self,
        target: &'a Target,
        options: &'a AttachOptions,
    ) -> BoxFuture<'a, Result<ExecSession, EngineError>>;

    /// Tells a terminal program its window's new size, in characters.
    fn resize<'a>(&'a self, exec: &'a str, width: u16, height: u16)
    -> BoxFuture<'a, Result<(), EngineError>>;

    /// How the program of an [`ExecSession`] ended, once its output is over.
    fn exit_code<'a>(&'a self, exec: &'a str) -> BoxFuture<'a, Result<i64, EngineError>>;

    /// A container's output. Ends when the container does, or with the present end if not following.
    fn logs<'a>(
        &'a self,
        target: &'a Target,
        options: &'a LogOptions,
    ) -> BoxStream<'a, Result<LogLine, EngineError>>;

    /// What happens on the engine from now on, or from an earlier time. Resolves once the engine listens.
    fn events(&self, since: Option<Timestamp>) -> BoxFuture<'_, Result<EngineEvents<'_>, EngineError>>;
}

/// What a command has to know besides which of its instances' containers are there, and whether they run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub struct Needs {
    /// The containers' details: one more question per container.
    pub details: bool,
    /// What the containers were made of, which comes with their details: also one more question per image of theirs,
    /// and one per ship.
    pub configurations: bool,
    /// The images on their ships.
    pub images: bool,
    /// The other containers on their ships.
    pub others: bool,
    /// How the containers of their services' hooks ended.
    pub hooks: bool,
}

/// What an observation has to include.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Containers that are asked about; none for all that the engine has.
    pub only: Option<BTreeSet<InstanceName>>,
    /// Containers whose details (times, health, exit code) are wanted, where they exist.
    pub details: BTreeSet<InstanceName>,
    /// Whether it is wanted with the details what those containers were made of, what their images say, and what the
    /// engine takes where nothing is asked for.
    pub configurations: bool,
    /// Whether the images are wanted.
    pub images: bool,
}

/// What is to be learnt of a ship besides what every ship is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examination {
    /// Images that it may have.
    pub images: BTreeSet<ImageRef>,
    /// Ports on which somebody may listen.
    pub ports: BTreeSet<HostPort>,
}

/// What a registry says of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryImage {
    /// Its digest, `sha256:…`.
    pub digest: String,
    /// What it was built for; empty if the registry does not tell.
    pub platforms: Vec<Platform>,
}

/// What a successful call returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// Done.
    Done,
    /// Nothing was to be done: already stopped, already started, already gone.
    Already,
    /// A container was created.
    Created(ContainerId),
    /// An image is there; whether anything was downloaded.
    Pulled {
        /// Whether the engine had an older image, or none, before.
        changed: bool,
    },
}

/// How far a pull is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// Bytes downloaded, of layers whose size is known.
    pub current: u64,
    /// Bytes to download, of layers whose size is known.
    pub total: u64,
    /// The mean over all layers seen, 0 to 100; never falls.
    pub percent: f32,
    /// Layers complete.
    pub layers_done: usize,
    /// Layers seen.
    pub layers: usize,
}

/// How to attach to a program that is started in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// With a terminal; its size in characters.
    pub tty: Option<(u16, u16)>,
    /// With standard input.
    pub stdin: bool,
    /// As this user, instead of the container's.
    pub user: Option<String>,
    /// In this directory, instead of the container's.
    pub workdir: Option<String>,
    /// With these variables besides the container's, `NAME=value`.
    pub env: Vec<String>,
}

/// A program running in a container with its streams attached.
pub struct ExecSession {
    /// The engine's name for it.
    pub id: String,
    /// What it writes, until it ends.
    pub output: BoxStream<'static, Result<ExecOutput, EngineError>>,
    /// What it reads; closing it closes its standard input.
    pub input: ExecInput,
}

/// Where bytes for a program's standard input go.
pub type ExecInput = Pin<Box<dyn Sink<Vec<u8>, Error = EngineError> + Send>>;

impl std::fmt::Debug for ExecSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecSession").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A piece of a program's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Which stream; programs with a terminal write everything to standard output.
    pub stream: LogStream,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What part of a container's output is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Only this many last lines; none for all. 0 with `follow` for new output only.
    pub tail: Option<u64>,
    /// Go on with what the container writes from now on.
    pub follow: bool,
    /// Only what was written at this time or later.
    pub since: Option<Timestamp>,
}

/// A stream of a program's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of a container's output, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the engine received it.
    pub at: Option<Timestamp>,
    /// Which stream.
    pub stream: LogStream,
    /// The line; invalid UTF-8 is replaced.
    pub text: String,
}

/// What happens on an engine, as it happens. Ends when the engine does.
pub type EngineEvents<'a> = BoxStream<'a, Result<EngineEvent, EngineError>>;

/// Something that happened on an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// When, by the engine's clock.
    pub at: Timestamp,
    /// `container`, `image`, `network`, `volume`, `daemon`.
    pub kind: String,
    /// What happened, such as `start`, `die`, `health_status: healthy`.
    pub action: String,
    /// The id of what it happened to.
    pub id: String,
    /// Name, image, exit code and labels, in the engine's words.
    pub attributes: BTreeMap<String, String>,
}

/// How long to wait for what. No call is without all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection, handshakes included.
    pub connect: Duration,
    /// Between two pieces of an answer that comes in pieces.
    pub idle: Duration,
    /// For the whole call.
    pub total: Duration,
}

impl Deadlines {
    /// How long reads may take where the ship sets no `timeout:`.
    pub const DEFAULT_READ: Duration = Duration::from_secs(5);
    /// How long calls that change something may take where the ship sets no `timeout:`. Longer than reads, because
    /// giving up on such a call leaves open whether it happened.
    pub const DEFAULT_WRITE: Duration = Duration::from_secs(30);
    /// How long a pull may go without any news from an engine that is alive: extraction of a large layer is silent.
    pub const PULL_IDLE: Duration = Duration::from_mins(5);
    /// How long a pull may take in all.
    pub const PULL_TOTAL: Duration = Duration::from_hours(6);

    /// For reading calls to a ship with this `timeout:`.
    pub fn read(timeout: Option<Duration>) -> Self {
        let total = timeout.unwrap_or(Self::DEFAULT_READ);
        Self { connect: total, idle: total, total }
    }

    /// For one changing call to a ship with this `timeout:`.
    pub fn perform(call: &EngineCall, timeout: Option<Duration>) -> Self {
        let connect = timeout.unwrap_or(Self::DEFAULT_READ);
        let write = timeout.unwrap_or(Self::DEFAULT_WRITE);
        match call {
            EngineCall::PullImage { .. } => {
                Self { connect, idle: Self::PULL_IDLE.max(write), total: Self::PULL_TOTAL }
            }
            EngineCall::StopContainer { grace, .. } => {
                Self { connect, idle: *grace + write, total: *grace + write }
            }
            // The engine in turn asks the registry.
            EngineCall::Login { .. } => {
                let total = write.max(Self::DEFAULT_WRITE);
                Self { connect, idle: total, total }
            }
            EngineCall::RemoveImage { .. }
            | EngineCall::CreateContainer { .. }
            | EngineCall::StartContainer { .. }
            | EngineCall::KillContainer { .. }
            | EngineCall::RenameContainer { .. }
            | EngineCall::SetRestart { .. }
            | EngineCall::RemoveContainer { .. } => Self { connect, idle: write, total: write },
        }
    }
}
