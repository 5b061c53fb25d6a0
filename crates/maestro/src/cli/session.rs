//! What one invocation works with: where it prints, and the environment that it reads.

use super::interrupts::unless_interrupted;
use super::kept::Kept;
use super::{Cli, Fault};
use crate::engine::{self, EngineOptions};
use crate::observe::Engines;
use crate::report::{Capabilities, Printer, diagnostics};
use crate::secrets::Secrets;
use crate::sources::FileSources;
use maestro_core::boundary::Engine;
use maestro_core::config::node::Node;
use maestro_core::config::{Limits, Loaded, load, load_compared};
use maestro_core::model::Environment;
use maestro_core::names::SecretName;
use maestro_core::release::{Recorded, Release};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Warnings that a command other than `validate` shows before it does its work.
const MOST_WARNINGS: usize = 5;

/// Safeguards of the file that need not be heeded this time, each for a reason.
pub(super) struct Despite {
    /// Windows in which nothing may be changed.
    pub(super) freeze: Option<String>,
    /// How much may be down at once.
    pub(super) budget: Option<String>,
    /// What a deployment would fail of.
    pub(super) preflight: Option<String>,
}

/// One invocation.
pub(super) struct Session {
    /// Where everything is printed.
    pub(super) printer: Printer,
    /// When the command began.
    pub(super) began: Instant,
    /// What need not be heeded this time.
    pub(super) despite: Despite,
    file: String,
    ssh_config: Option<PathBuf>,
    secrets: Secrets,
}

impl Session {
    pub(super) fn new(cli: &Cli) -> Self {
        let capabilities = Capabilities::of_process(cli.color, &|name| std::env::var(name).ok());
        Self {
            printer: Printer::stdio(capabilities),
            began: Instant::now(),
            despite: Despite {
                freeze: cli.despite_freeze.clone(),
                budget: cli.despite_budget.clone(),
                preflight: cli.despite_preflight.clone(),
            },
            file: cli.file.clone(),
            ssh_config: cli.ssh_config.clone(),
            secrets: Secrets::new(FileSources::new(&cli.file, 0).base().to_owned()),
        }
    }

    /// Reads the environment, and keeps what is to be said about it.
    pub(super) fn read(&self) -> Loaded {
        let limits = Limits::default();
        load(&FileSources::new(&self.file, limits.file_bytes as u64), &limits)
    }

    /// The same, and says wherever something else comes of the file than with maestro-ng.
    pub(super) fn read_compared(&self) -> Loaded {
        let limits = Limits::default();
        load_compared(&FileSources::new(&self.file, limits.file_bytes as u64), &limits)
    }

    /// Where what the environment file names is looked up.
    pub(super) fn base_directory(&self) -> String {
        FileSources::new(&self.file, 0).base_directory()
    }

    /// Reads the environment and says what is wrong with it. Opens no connection.
    pub(super) fn environment(&self) -> Result<Environment, Fault> {
        Ok(self.environment_and_text()?.0)
    }

    /// The same, with the tree of the text that it was made from: standard input can be read once only.
    pub(super) fn environment_and_text(&self) -> Result<(Environment, Option<Arc<Node>>), Fault> {
        self.shown(self.read())
    }

    /// Reads the environment as something to be shipped. `change` may change the file before it is one.
    pub(super) fn release(
        &self,
        change: impl FnOnce(&Environment, Arc<Node>) -> Result<Arc<Node>, Fault>,
    ) -> Result<(Environment, Release), Fault> {
        let limits = Limits::default();
        let files = FileSources::new(&self.file, limits.file_bytes as u64);
        let sources = Recorded::new(&files);
        let (today, tree) = self.shown(load(&sources, &limits))?;
        let tree = change(&today, tree.ok_or(Fault::Environment)?)?;
        let release = Release::of(&today, &tree, &sources);
        Ok((today, release))
    }

    /// Says what is wrong with what was read.
    fn shown(&self, loaded: Loaded) -> Result<(Environment, Option<Arc<Node>>), Fault> {
        let mut shown = loaded.diagnostics;
        let left_out = if shown.has_errors() { 0 } else { shown.truncate(MOST_WARNINGS) };
        diagnostics::print(&self.printer, &shown, &loaded.sources);
        if left_out > 0 {
            self.printer.talk(&format!("{left_out} more warnings; `maestro validate` shows them"));
        }
        Ok((loaded.environment.ok_or(Fault::Environment)?, loaded.tree))
    }

    /// The engines of an environment's ships. Opens no connection either.
    pub(super) fn engines(&self, environment: &Environment) -> Engines {
        let options = EngineOptions { ssh_config: self.ssh_config.clone(), ..EngineOptions::default() };
        engine::engines(environment.ships.values(), options)
    }

    /// Fetches secrets, all at once, and puts their values where the environment uses them. Of those that it does not
    /// name, nothing is read.
    ///
    /// # Errors
    /// [`Fault::Secrets`] with all that cannot be had.
    pub(super) async fn unseal(
        &self,
        environment: &mut Environment,
        wanted: &BTreeSet<SecretName>,
    ) -> Result<(), Fault> {
        if wanted.is_empty() {
            return Ok(());
        }
        let fetching = self.secrets.fetch(&environment.secrets, wanted);
        let values = unless_interrupted(async { fetching.await.map_err(Fault::Secrets) }).await?;
        environment.unseal(&values);
        Ok(())
    }

    /// What a program has written, without the values of secrets that have been fetched.
    pub(super) fn veiled(&self, text: String) -> String {
        self.secrets.veiled(text)
    }

    /// The engines, and where they keep what is for everybody who deploys. What is needed to log in there is fetched.
    pub(super) async fn fleet(&self, environment: &mut Environment) -> Result<(Arc<Engines>, Kept), Fault> {
        let wanted = environment.secrets_of_ledger();
        self.unseal(environment, &wanted).await?;
        let options = EngineOptions { ssh_config: self.ssh_config.clone(), ..EngineOptions::default() };
        let docker_engines = engine::docker_engines(environment.ships.values(), options.clone());
        let engines =
            docker_engines.iter().map(|(name, engine)| (name.clone(), engine.clone() as Arc<dyn Engine>));
        let engines = Arc::new(engines.collect());
        Ok((engines, Kept::new(environment, docker_engines, options)))
    }

    /// The exit code of a command that came to its end. Where its output cannot be written, that is a failure; what other
    /// codes say of the fleet counts for more.
    pub(super) fn ended(&self, code: ExitCode) -> ExitCode {
        // Nobody read to the end (`maestro status | head`): that is no failure of ours.
        match self.printer.outcome() {
            Ok(()) => code,
            Err(error) => {
                Fault::Output(error).print(&self.printer);
                if code == ExitCode::SUCCESS { ExitCode::FAILURE } else { code }
            }
        }
    }
}
