//! What every implementation of [`Engine`] must do, over whatever engine: one suite for the fake, for the real client
//! over a pretended dockerd, and for the real client over real ones.
//!
//! A case makes containers of its own with names of its own, and whatever it leaves behind is removed after it.

mod configurations;
mod hosts;
mod images;
mod lifecycle;
mod observe;
mod programs;
mod spec;
mod streams;

use futures_util::future::BoxFuture;
use maestro_core::boundary::{CallOutcome, Engine, Progress, Scope};
use maestro_core::engine_error::{EngineError, EngineErrorKind};
use maestro_core::fleet::{EngineState, ObservedContainer};
use maestro_core::image::ImageRef;
use maestro_core::names::InstanceName;
use maestro_core::plan::{EngineCall, RegistryAuth, Target};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// An engine to try, and what there is on it.
pub trait Harness: Send + Sync {
    /// The engine.
    fn engine(&self) -> Arc<dyn Engine>;

    /// Makes sure that a sample image is on the engine, and says how it is named there.
    fn sample(&self, sample: Sample) -> BoxFuture<'_, Result<ImageRef, String>>;

    /// Waits until the program of a started sample has come so far that it heeds, or ignores, signals. A process of
    /// number 1 that has not set its traps yet ignores SIGTERM.
    fn ready<'a>(&'a self, _target: &'a Target) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    /// A registry that the engine can reach.
    fn remote(&self) -> Remote;

    /// A port of the engine's host that nobody listens on; another one each time.
    fn free_port(&self) -> u16;
}

/// Images that the suite needs. Each has `sh`, `true`, `false`, `cat`, `echo` and `sleep`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Writes `up` to standard output, runs until SIGTERM, and then ends at once. Listens on TCP port 8080. No HEALTHCHECK.
    /// Its image has variables (`LANG=C`), the label `made-by`, a user, a working directory, ports and a volume.
    Forever,
    /// Writes `one`, `two` and `three` to standard output and `oops` to standard error, and exits with 3, all within
    /// three seconds.
    Exits3,
    /// Runs and ignores SIGTERM.
    IgnoresTerm,
    /// Runs, and its HEALTHCHECK says so within twenty seconds.
    Healthy,
}

impl Sample {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Forever, Self::Exits3, Self::IgnoresTerm, Self::Healthy];
}

/// A registry with a login.
#[derive(Debug, Clone)]
pub struct Remote {
    /// An image in it that may be pulled with the login.
    pub image: ImageRef,
    /// An image that it does not have.
    pub unknown: ImageRef,
    /// The login.
    pub auth: RegistryAuth,
}

/// One thing that every engine must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it is, as a test's name.
    pub name: &'static str,
    body: for<'a> fn(&'a Context<'a>) -> BoxFuture<'a, Result<(), String>>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$(Case { name: stringify!($name), body: |cx| Box::pin($module::$name(cx)) }),*]
    };
}

/// The suite.
pub const CASES: &[Case] = cases![
    observe::says_who_it_is,
    observe::shows_created_containers_with_their_labels,
    observe::shows_details_only_where_they_are_wanted,
    observe::shows_those_that_are_asked_about,
    observe::shows_the_same_without_others_as_among_them,
    observe::shows_images_when_asked,
    observe::shows_containers_of_others,
    observe::passes_over_containers_that_are_not_there,
    observe::shows_how_healthy_a_container_is,
    configurations::tells_what_containers_were_made_of,
    configurations::tells_what_is_otherwise,
    configurations::tells_configurations_only_where_they_are_wanted,
    hosts::tells_what_its_host_is_like,
    hosts::tells_who_has_which_port,
    hosts::tells_which_volumes_there_are,
    hosts::looks_images_up,
    lifecycle::makes_a_name_only_once,
    lifecycle::makes_a_name_only_once_at_the_same_time,
    lifecycle::knows_which_images_it_has,
    lifecycle::refuses_bad_names,
    lifecycle::refuses_what_is_not_there,
    lifecycle::starts_once,
    lifecycle::stops_once,
    lifecycle::kills_what_does_not_stop,
    lifecycle::kills_only_what_runs,
    lifecycle::removes_only_what_does_not_run,
    lifecycle::tells_exit_codes,
    lifecycle::starts_again_by_hand,
    lifecycle::starts_again_by_itself,
    lifecycle::tells_a_container_from_its_successor,
    lifecycle::gives_a_port_away_once,
    lifecycle::refuses_unknown_neighbours,
    streams::reads_logs,
    streams::reads_the_end_of_logs,
    streams::follows_logs_to_their_end,
    streams::follows_logs_until_removal,
    streams::tells_what_happens,
    streams::tells_what_has_happened,
    programs::runs_programs_to_their_end,
    programs::runs_programs_only_in_running_containers,
    programs::separates_output_and_errors,
    programs::hands_on_standard_input,
    programs::resizes_terminals,
    programs::ends_programs_with_their_container,
    images::logs_in_with_the_right_password_only,
    images::pulls_with_the_right_password_only,
    images::pulls_what_is_there_only,
    images::pulls_once,
    images::removes_images_that_nothing_needs,
];

static RUN: AtomicU64 = AtomicU64::new(0);

/// How long one case may take.
const CASE_DEADLINE: Duration = Duration::from_secs(90);
/// How long a state may take to come about.
const STATE_DEADLINE: Duration = Duration::from_secs(30);

/// Runs one case and removes what it leaves behind.
pub async fn run(case: &Case, harness: &dyn Harness) -> Result<(), String> {
    let number = RUN.fetch_add(1, Ordering::Relaxed);
    let cx = Context {
        harness,
        engine: harness.engine(),
        // With the dash at its end, so that case 1 does not remove what case 12 has made.
        prefix: format!("mc-{}-{number}-", std::process::id()),
        made: AtomicU64::new(0),
    };
    let result = match tokio::time::timeout(CASE_DEADLINE, (case.body)(&cx)).await {
        Ok(result) => result,
        Err(_) => Err(format!("not over within {} s", CASE_DEADLINE.as_secs())),
    };
    let cleaned = cx.clean().await;
    result.and(cleaned).map_err(|problem| format!("{}: {problem}", case.name))
}

/// What a case works with.
pub(crate) struct Context<'a> {
    pub(crate) harness: &'a dyn Harness,
    pub(crate) engine: Arc<dyn Engine>,
    prefix: String,
    made: AtomicU64,
}

impl Context<'_> {
    /// A container's name that nobody else uses.
    pub(crate) fn name(&self) -> InstanceName {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        InstanceName::new(format!("{}{number}", self.prefix))
    }

    pub(crate) async fn perform(&self, call: EngineCall) -> Result<CallOutcome, EngineError> {
        self.engine.perform(&call, &ignore).await
    }

    pub(crate) async fn start(&self, target: &Target) -> Result<CallOutcome, EngineError> {
        self.perform(EngineCall::StartContainer { target: target.clone() }).await
    }

    pub(crate) async fn stop(&self, target: &Target, grace: u64) -> Result<CallOutcome, EngineError> {
        let grace = Duration::from_secs(grace);
        self.perform(EngineCall::StopContainer { target: target.clone(), grace }).await
    }

    pub(crate) async fn kill(&self, target: &Target) -> Result<CallOutcome, EngineError> {
        self.perform(EngineCall::KillContainer { target: target.clone() }).await
    }

    pub(crate) async fn remove(&self, target: &Target) -> Result<CallOutcome, EngineError> {
        self.perform(EngineCall::RemoveContainer { target: target.clone() }).await
    }

    /// Creates a container of a sample.
    pub(crate) async fn create(&self, sample: Sample) -> Result<Target, String> {
        let image = self.harness.sample(sample).await?;
        self.create_from(&spec::plain(self.name(), image)).await
    }

    /// Creates a container from a specification.
    pub(crate) async fn create_from(
        &self,
        spec: &maestro_core::model::ContainerSpec,
    ) -> Result<Target, String> {
        match self.perform(spec::create(spec)).await.map_err(say)? {
            CallOutcome::Created(id) => Ok(Target::Seen { id, name: spec.name.clone() }),
            other => Err(format!("create returned {other:?}")),
        }
    }

    /// Creates and starts a container of a sample.
    pub(crate) async fn launch(&self, sample: Sample) -> Result<Target, String> {
        let target = self.create(sample).await?;
        expect_eq("start", self.start(&target).await.map_err(say)?, CallOutcome::Done)?;
        Ok(target)
    }

    pub(crate) async fn observe(&self, scope: &Scope) -> Result<EngineState, String> {
        self.engine.observe(scope).await.map_err(say)
    }

    /// A container with its details.
    pub(crate) async fn look(&self, target: &Target) -> Result<Option<ObservedContainer>, String> {
        let scope = Scope { details: [target.name().clone()].into(), ..Scope::default() };
        Ok(self.observe(&scope).await?.containers.remove(target.name().as_str()))
    }

    /// A container with its details, which must be there.
    pub(crate) async fn see(&self, target: &Target) -> Result<ObservedContainer, String> {
        self.look(target).await?.ok_or_else(|| format!("container {} is not there", target.name()))
    }

    /// Waits until a container looks like this.
    pub(crate) async fn wait(
        &self,
        target: &Target,
        what: &str,
        test: impl Fn(&ObservedContainer) -> bool,
    ) -> Result<ObservedContainer, String> {
        let deadline = tokio::time::Instant::now() + STATE_DEADLINE;
        loop {
            let seen = self.see(target).await?;
            if test(&seen) {
                return Ok(seen);
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("{} did not become {what}: it is {seen:?}", target.name()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn clean(&self) -> Result<(), String> {
        let state = self.observe(&Scope::default()).await?;
        for container in state.containers.values().filter(|c| c.name.starts_with(&self.prefix)) {
            let name = InstanceName::new(container.name.clone());
            let target = Target::Seen { id: container.id.clone(), name };
            // It may have ended meanwhile.
            _ = self.kill(&target).await;
            self.remove(&target).await.map_err(|e| format!("cleaning up: {}", say(e)))?;
        }
        Ok(())
    }
}

fn ignore(_: Progress) {}

/// An error with its chain.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
pub(crate) fn say(error: EngineError) -> String {
    error.to_string()
}

pub(crate) fn expect(what: &str, holds: bool) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("it does not hold that {what}")) }
}

#[expect(clippy::needless_pass_by_value, reason = "calls read better with values")]
pub(crate) fn expect_eq<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should: T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?}, and should be {should:?}")) }
}

/// A refusal of a certain kind.
pub(crate) fn expect_kind<T: std::fmt::Debug>(
    what: &str,
    result: Result<T, EngineError>,
    wanted: &str,
) -> Result<EngineError, String> {
    match result {
        Ok(value) => Err(format!("{what}: succeeded with {value:?}, and should be refused as {wanted}")),
        Err(error) if kind_name(&error.kind) == wanted => Ok(error),
        Err(error) => Err(format!("{what}: refused as {:?}, and should be as {wanted}", error.kind)),
    }
}

fn kind_name(kind: &EngineErrorKind) -> &'static str {
    match kind {
        EngineErrorKind::NotFound(_) => "NotFound",
        EngineErrorKind::Conflict(_) => "Conflict",
        EngineErrorKind::Unauthorized { .. } => "Unauthorized",
        EngineErrorKind::Api { .. } => "Api",
        EngineErrorKind::Registry { .. } => "Registry",
        _ => "another",
    }
}
