//! The face of a pretended engine that the executor sees: [`Engine`] directly over the state, without HTTP.
//!
//! Works under `tokio::time::pause`: every wait is a timer or a change of the state.

mod convert;
mod error;
mod shelf;
mod stream;

pub use convert::create_config;

use crate::daemon::{Daemon, Layers, Setup, Trouble};
use crate::faults::{Faults, Operation};
use crate::state::{Change, Container, Credentials, ExecRequest, Machine, Removal, RestartPolicy, Update};
use error::Question;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use maestro_core::boundary::{
    AttachOptions, CallOutcome, Deadlines, Engine, EngineEvents, Examination, ExecSession, LogLine,
    LogOptions, Progress, RegistryImage, Scope,
};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::{EngineState, HostFacts};
use maestro_core::image::ImageRef;
use maestro_core::plan::{EngineCall, RegistryAuth, Target};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// A pretended engine. Clones are the same engine. Everything that [`Daemon`] can do (look, meddle, tell the writes
/// so far) can be done with it too.
#[derive(Debug, Clone)]
pub struct FakeEngine {
    daemon: Arc<Daemon>,
    timeout: Option<Duration>,
}

impl Deref for FakeEngine {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

impl From<Setup> for FakeEngine {
    fn from(setup: Setup) -> Self {
        Self::over(setup.build())
    }
}

impl FakeEngine {
    /// An engine without images on which nothing goes wrong.
    pub fn new(ship: &str) -> Self {
        Setup::new(ship).into()
    }

    /// An engine without images on which this goes wrong.
    pub fn faulty(ship: &str, faults: Faults) -> Self {
        Setup::new(ship).faults(faults).into()
    }

    /// The face of an engine that may have others.
    pub fn over(daemon: Arc<Daemon>) -> Self {
        Self { daemon, timeout: None }
    }

    /// With the ship's `timeout:`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What is behind it.
    pub fn daemon(&self) -> &Arc<Daemon> {
        &self.daemon
    }

    /// As the boundary wants it.
    pub fn boxed(&self) -> Arc<dyn Engine> {
        Arc::new(self.clone())
    }

    fn question(&self, what: impl Into<String>, operation: Operation, deadlines: Deadlines) -> Question<'_> {
        Question { engine: self, what: what.into(), operation, deadlines }
    }

    fn reading(&self, what: impl Into<String>, operation: Operation) -> Question<'_> {
        self.question(what, operation, Deadlines::read(self.timeout))
    }

    async fn carry_out(
        &self,
        call: &EngineCall,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<CallOutcome, Trouble> {
        let daemon = &self.daemon;
        match call {
            EngineCall::Login { auth, .. } => {
                daemon.login(&auth.url, &credentials(auth)).await?;
                Ok(CallOutcome::Done)
            }
            EngineCall::PullImage { image, auth, .. } => {
                let who = auth.as_ref().map(credentials);
                let content = daemon.begin_pull(image, who.as_ref()).await?;
                let mut layers = Layers::new(&content.layers);
                let changed = daemon.finish_pull(image, &content, |news| progress(layers.take(news))).await?;
                Ok(CallOutcome::Pulled { changed })
            }
            EngineCall::RemoveImage { image } => match daemon.remove_image(image.as_str()).await {
                Ok(_) => Ok(CallOutcome::Done),
                Err(Trouble::Refused(no)) if no.status == 404 => Ok(CallOutcome::Already),
                Err(trouble) => Err(trouble),
            },
            EngineCall::CreateContainer { spec, .. } => {
                let config = convert::create_config(spec);
                let created = daemon.create(spec.name.as_str(), config).await?;
                Ok(CallOutcome::Created(created.id))
            }
            EngineCall::StartContainer { target } => Ok(outcome(daemon.start(target.reference()).await?)),
            EngineCall::StopContainer { target, grace } => {
                Ok(outcome(daemon.stop(target.reference(), *grace).await?))
            }
            EngineCall::KillContainer { target } => match daemon.kill(target.reference(), None).await {
                Ok(()) => Ok(CallOutcome::Done),
                Err(Trouble::Refused(no)) if no.message.contains("is not running") => {
                    Ok(CallOutcome::Already)
                }
                Err(trouble) => Err(trouble),
            },
            EngineCall::RenameContainer { target, to } => {
                daemon.rename(target.reference(), to.as_str()).await?;
                Ok(CallOutcome::Done)
            }
            EngineCall::SetRestart { target, restart } => {
                let policy = RestartPolicy {
                    name: Some(restart.name.to_string()),
                    maximum_retry_count: Some(restart.retries),
                };
                let update = Update { restart_policy: Some(policy), ..Update::default() };
                daemon.update(target.reference(), update).await?;
                Ok(CallOutcome::Done)
            }
            EngineCall::RemoveContainer { target } => {
                let how = Removal { volumes: true, force: false };
                match daemon.remove(target.reference(), how).await {
                    Ok(()) => Ok(CallOutcome::Done),
                    Err(Trouble::Refused(no)) if no.status == 404 => Ok(CallOutcome::Already),
                    Err(trouble) => Err(trouble),
                }
            }
        }
    }

    async fn start_program(
        &self,
        target: &Target,
        request: ExecRequest,
    ) -> Result<(String, Streams), Trouble> {
        let id = self.daemon.create_exec(target.reference(), request).await?;
        let streams = self.daemon.run_exec(&id)?;
        Ok((id, streams))
    }

    async fn wait_for_code(&self, exec: &str) -> Result<i64, Trouble> {
        let over = |machine: &crate::state::Machine| match machine.exec(exec) {
            Ok(exec) => exec.exit_code.map(Ok),
            Err(no) => Some(Err(Trouble::Refused(no))),
        };
        self.daemon.until(over).await
    }
}

type Streams = crate::daemon::ExecStreams;

fn outcome(change: Change) -> CallOutcome {
    match change {
        Change::Done => CallOutcome::Done,
        Change::Already => CallOutcome::Already,
    }
}

fn credentials(auth: &RegistryAuth) -> Credentials {
    Credentials {
        username: auth.username.to_string(),
        password: auth.password.as_ref().map(|p| p.expose().to_owned()).unwrap_or_default(),
    }
}

/// What is asked, as half a sentence, and as what it counts.
fn asked(call: &EngineCall) -> (String, Operation) {
    match call {
        EngineCall::Login { auth, .. } => (format!("logging in to {}", auth.url), Operation::Login),
        EngineCall::PullImage { image, .. } => (format!("pulling {image}"), Operation::Pull),
        EngineCall::RemoveImage { image } => (format!("removing {image}"), Operation::RemoveImage),
        EngineCall::CreateContainer { spec, .. } => {
            (format!("creating container {}", spec.name), Operation::Create)
        }
        EngineCall::StartContainer { target } => {
            (format!("starting container {}", target.name()), Operation::Start)
        }
        EngineCall::StopContainer { target, .. } => {
            (format!("stopping container {}", target.name()), Operation::Stop)
        }
        EngineCall::KillContainer { target } => {
            (format!("killing container {}", target.name()), Operation::Kill)
        }
        EngineCall::RenameContainer { target, .. } => {
            (format!("renaming container {}", target.name()), Operation::Rename)
        }
        EngineCall::SetRestart { target, .. } => {
            (format!("updating container {}", target.name()), Operation::Update)
        }
        EngineCall::RemoveContainer { target } => {
            (format!("removing container {}", target.name()), Operation::Remove)
        }
    }
}

impl Engine for FakeEngine {
    fn observe<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<EngineState, EngineError>> {
        Box::pin(async move {
            let question = self.reading("listing containers", Operation::Observe);
            let observe =
                self.daemon.read(Operation::Observe, "", |machine| Ok(convert::engine_state(machine, scope)));
            question.within(observe).await
        })
    }

    fn perform<'a>(
        &'a self,
        call: &'a EngineCall,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> BoxFuture<'a, Result<CallOutcome, EngineError>> {
        Box::pin(async move {
            let (what, operation) = asked(call);
            let deadlines = Deadlines::perform(call, self.timeout);
            self.question(what, operation, deadlines).within(self.carry_out(call, progress)).await
        })
    }

    fn examine<'a>(&'a self, examination: &'a Examination) -> BoxFuture<'a, Result<HostFacts, EngineError>> {
        Box::pin(async move {
            let question = self.reading("finding out what its host is like", Operation::Inspect);
            let look = |machine: &Machine| Ok(convert::host_facts(machine, examination));
            question.within(self.daemon.read(Operation::Inspect, "", look)).await
        })
    }

    fn look_up<'a>(
        &'a self,
        image: &'a ImageRef,
        auth: Option<&'a RegistryAuth>,
    ) -> BoxFuture<'a, Result<RegistryImage, EngineError>> {
        Box::pin(async move {
            let question = self.reading(format!("asking which content {image} is"), Operation::Resolve);
            let who = auth.map(credentials);
            let found = question.within(self.daemon.look_up(image, who.as_ref())).await?;
            Ok(RegistryImage { digest: found.digest.clone(), platforms: vec![found.platform.clone()] })
        })
    }

    fn run_in<'a>(
        &'a self,
        target: &'a Target,
        command: &'a [String],
    ) -> BoxFuture<'a, Result<i64, EngineError>> {
        Box::pin(async move {
            let what = format!("running a program in container {}", target.name());
            let request = ExecRequest {
                command: command.to_vec(),
                stdout: true,
                stderr: true,
                ..ExecRequest::default()
            };
            let deadlines = Deadlines { total: Deadlines::PULL_TOTAL, ..Deadlines::read(self.timeout) };
            let run = async {
                let (id, mut streams) = self.start_program(target, request).await?;
                while streams.output.recv().await.is_some() {}
                self.wait_for_code(&id).await
            };
            self.question(what, Operation::Exec, deadlines).within(run).await
        })
    }

    fn attach<'a>(
        &'a self,
        target: &'a Target,
        options: &'a AttachOptions,
    ) -> BoxFuture<'a, Result<ExecSession, EngineError>> {
        Box::pin(async move {
            let what = format!("attaching to container {}", target.name());
            let request = ExecRequest {
                command: options.command.clone(),
                tty: options.tty.is_some(),
                stdin: options.stdin,
                stdout: true,
                stderr: true,
                workdir: options.workdir.clone(),
                env: options.env.clone(),
                user: options.user.clone(),
            };
            let question = self.reading(what, Operation::Exec);
            let (id, streams) = question.within(self.start_program(target, request)).await?;
            if let Some((width, height)) = options.tty {
                // A program that has ended already needs no size.
                _ = self.daemon.meddle(|machine, _| machine.resize_exec(&id, width, height));
            }
            Ok(stream::session(self, id, streams, options.stdin))
        })
    }

    fn resize<'a>(
        &'a self,
        exec: &'a str,
        width: u16,
        height: u16,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let question = self.reading("resizing a terminal", Operation::Exec);
            let resize = async {
                self.daemon
                    .meddle(|machine, _| machine.resize_exec(exec, width, height))
                    .map_err(Trouble::from)
            };
            question.within(resize).await
        })
    }

    fn exit_code<'a>(&'a self, exec: &'a str) -> BoxFuture<'a, Result<i64, EngineError>> {
        Box::pin(async move {
            let question = self.reading("asking how a program ended", Operation::Exec);
            question.within(self.wait_for_code(exec)).await
        })
    }

    fn logs<'a>(
        &'a self,
        target: &'a Target,
        options: &'a LogOptions,
    ) -> BoxStream<'a, Result<LogLine, EngineError>> {
        stream::logs(self, target, options)
    }

    fn events(&self, since: Option<Timestamp>) -> BoxFuture<'_, Result<EngineEvents<'_>, EngineError>> {
        Box::pin(stream::events(self, since))
    }
}

impl FakeEngine {
    /// A container as it is now.
    pub fn container(&self, name: &str) -> Option<Container> {
        self.daemon.container(name)
    }

    /// The error that following a stream of an engine ends with when the engine goes away.
    fn lost(&self, what: String) -> EngineError {
        EngineError {
            ship: self.daemon.ship().clone(),
            operation: what,
            kind: EngineErrorKind::Lost("connection reset by peer".to_owned()),
            ambiguous: false,
        }
    }
}
