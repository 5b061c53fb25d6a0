//! Checks whose results are scripted.

use futures_util::future::BoxFuture;
use maestro_core::boundary::{CheckFailure, Probe};
use maestro_core::model::{Check, ContainerEnv, Phase};
use maestro_core::names::InstanceName;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// After how long a check ends, and whether well.
type Script = (Duration, bool);

/// Runs `check PHASE` programs: all succeed at once, except where something else was said. `sleep` checks sleep.
#[derive(Debug, Default)]
pub(super) struct ScriptedProbe {
    scripts: Mutex<BTreeMap<(String, &'static str), Script>>,
}

impl ScriptedProbe {
    /// The checks of this instance and phase fail after a time.
    pub(super) fn fail(&self, instance: &str, phase: Phase, after: Duration) {
        self.scripts.lock().unwrap().insert((instance.to_owned(), phase.key()), (after, false));
    }

    /// The checks of this instance and phase succeed after a time.
    pub(super) fn delay(&self, instance: &str, phase: Phase, after: Duration) {
        self.scripts.lock().unwrap().insert((instance.to_owned(), phase.key()), (after, true));
    }
}

impl Probe for ScriptedProbe {
    fn check<'a>(
        &'a self,
        instance: &'a InstanceName,
        check: &'a Check,
        _env: Option<&'a ContainerEnv>,
    ) -> BoxFuture<'a, Result<(), CheckFailure>> {
        Box::pin(async move {
            let command = match check {
                Check::Exec { command, .. } => command.join(" "),
                Check::Sleep { wait } => {
                    tokio::time::sleep(*wait).await;
                    return Ok(());
                }
                other => panic!("no script for {other:?}"),
            };
            let script = [Phase::PreStart, Phase::Running, Phase::PreStop, Phase::Stopped]
                .into_iter()
                .find(|phase| command == format!("check {}", phase.key()))
                .and_then(|phase| {
                    self.scripts.lock().unwrap().get(&(instance.to_string(), phase.key())).copied()
                });
            let (after, success) = script.unwrap_or((Duration::ZERO, true));
            tokio::time::sleep(after).await;
            if success {
                return Ok(());
            }
            Err(CheckFailure {
                check: format!("exec {command}"),
                attempts: 1,
                last: "exit code 1".to_owned(),
            })
        })
    }

    fn run<'a>(
        &'a self,
        command: &'a [String],
        _env: &'a ContainerEnv,
        _within: Duration,
    ) -> BoxFuture<'a, Result<(), String>> {
        panic!("no script for {command:?}")
    }
}
