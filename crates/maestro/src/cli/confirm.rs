//! Asking before something is done that stops what runs. The commands that maestro-ng had do not ask: scripts call them.

use super::Fault;
use super::interrupts::unless_interrupted;
use crate::report::{Printer, list};
use maestro_core::plan::{Action, EngineCall, Fate, Plan};
use std::io::{self, IsTerminal as _, stdin};
use std::thread;
use tokio::sync::oneshot;

/// Names that a question lists.
const MOST: usize = 5;

/// Whether to ask.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Confirming {
    /// Don't ask; where nobody can be asked, nothing that runs is stopped without it
    #[arg(short, long, env = "MAESTRO_YES", value_parser = clap::builder::FalseyValueParser::new())]
    yes: bool,
}

impl Confirming {
    /// Asks, if the plan stops or removes anything. `verb` is the command's name.
    ///
    /// # Errors
    /// The answer is no, or there is nobody who could give one.
    pub(super) async fn confirm(self, printer: &Printer, plan: &Plan, verb: &str) -> Result<(), Fault> {
        let stopped = stopped(plan);
        if self.yes || stopped.is_empty() {
            return Ok(());
        }
        let shown = match stopped.get(..MOST) {
            Some(first) if stopped.len() > MOST => {
                format!("{} and {} more", list(first), stopped.len() - MOST)
            }
            _ => list(&stopped),
        };
        let what = format!(
            "`{verb}` stops {} of {} containers of `{}`: {shown}",
            stopped.len(),
            plan.items.len(),
            plan.environment,
        );
        question(printer, what).await
    }

    /// Asks about something that is no plan: what there is, and what would be done.
    ///
    /// # Errors
    /// As with a plan.
    pub(super) async fn ask(self, printer: &Printer, what_is: &str, what_follows: &str) -> Result<(), Fault> {
        if self.yes {
            return Ok(());
        }
        question(printer, format!("{what_is}\n{what_follows}")).await
    }
}

async fn question(printer: &Printer, what: String) -> Result<(), Fault> {
    if !stdin().is_terminal() || !printer.capabilities().err_is_tty {
        return Err(Fault::Unconfirmed(what));
    }
    let answer = unless_interrupted(async {
        printer.talk(&format!("{what}\nGo on? [y/N] "));
        Ok(answer().await?)
    });
    let answer = answer.await;
    match answer.as_deref().map(str::trim) {
        Ok("y" | "Y" | "yes") => Ok(()),
        Err(Fault::Terminal(_)) => answer.map(drop),
        // Ctrl-C is an answer, too.
        Ok(_) | Err(_) => Err(Fault::Declined),
    }
}

/// A line from the terminal. It is read on a thread of its own, which nobody waits for: one of the runtime's would keep
/// the process from ending until the line is there.
async fn answer() -> io::Result<String> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = stdin().read_line(&mut line).map(|_| line);
        sender.send(read).ok();
    });
    receiver.await.unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into()))
}

/// Instances whose containers are stopped or removed.
fn stopped(plan: &Plan) -> Vec<&str> {
    let stops = |action: &Action| {
        matches!(
            action,
            Action::Call(
                EngineCall::StopContainer { .. }
                    | EngineCall::KillContainer { .. }
                    | EngineCall::RemoveContainer { .. }
            )
        )
    };
    let items = plan.items.iter().filter(|item| match &item.fate {
        Fate::Act { steps, .. } => {
            steps.iter().filter_map(|id| plan.step(*id)).any(|step| stops(&step.action))
        }
        Fate::Settled(_) | Fate::Blocked(_) | Fate::Waits { .. } => false,
    });
    items.map(|item| item.instance.as_str()).collect()
}
