//! A program that is run when a command has succeeded.
//!
//! As for checks, its output is captured, not inherited as by maestro-ng; of a program that fails, the last line is
//! told.

use crate::probe::run_program;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use maestro_core::boundary::{Auditor, Undelivered};
use maestro_core::model::Script;
use maestro_core::notification::Notification;

pub(super) struct ScriptRun {
    script: Script,
}

impl ScriptRun {
    pub(super) fn new(script: Script) -> Self {
        Self { script }
    }
}

impl Auditor for ScriptRun {
    fn tell<'a>(&'a self, notification: &'a Notification) -> BoxFuture<'a, Result<(), Undelivered>> {
        async {
            let run = notification
                .invocation(&self.script)
                .map_err(|because| Undelivered(format!("its `args`: {because}")))?;
            run_program(&run.command, run.input.as_bytes(), self.script.timeout).await.map_err(Undelivered)
        }
        .boxed()
    }
}
