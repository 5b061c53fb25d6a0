//! Programs that are started in running containers.

use crate::state::event::of_container;
use crate::state::refusal::Refusal;
use crate::state::{Machine, behaviour::Behaviour};
use jiff::Timestamp;
use maestro_core::fleet::ContainerState;
use maestro_core::names::ContainerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is asked for when an exec is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the fields are the Engine API's")]
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether it reads.
    pub stdin: bool,
    /// Whether its standard output is wanted.
    pub stdout: bool,
    /// Whether its standard error is wanted.
    pub stderr: bool,
    /// In which directory, if not the container's.
    pub workdir: Option<String>,
    /// Variables besides the container's.
    pub env: Vec<String>,
    /// As whom, if not as the container's user.
    pub user: Option<String>,
}

/// A program in a container.
#[derive(Debug, Clone)]
pub struct Exec {
    /// Its id.
    pub id: String,
    /// Its container.
    pub container: ContainerId,
    /// What was asked for.
    pub request: ExecRequest,
    /// Whether it has been started.
    pub started: bool,
    /// How it ended; none if it has not.
    pub exit_code: Option<i64>,
    /// Size of its terminal in characters, as it was last set.
    pub size: Option<(u16, u16)>,
    /// The start of the container that it lives in.
    pub(crate) run: u64,
}

impl Exec {
    /// Whether it is under way.
    pub fn is_running(&self) -> bool {
        self.started && self.exit_code.is_none()
    }
}

/// What a program in a container does. Every container has these; images script more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Ends with a code.
    Exit(i64),
    /// Writes text, to standard error if so.
    Say(String, bool),
    /// Writes what it reads.
    Cat,
    /// Lets time pass.
    Sleep(Duration),
    /// One after the other; ends with the code of the last, or with that of `exit`.
    Script(Vec<Program>),
    /// It is not there; ends with this code after this message.
    Missing(String, i64),
}

/// `true`, `false`, `echo`, `cat`, `sleep`, and `sh -c` of those joined by `;`, with `exit` and `>&2`.
fn builtin(words: &[&str]) -> Option<Program> {
    Some(match words {
        ["true"] => Program::Exit(0),
        ["false"] => Program::Exit(1),
        ["cat"] => Program::Cat,
        ["echo", text @ .., ">&2"] => Program::Say(format!("{}\n", text.join(" ")), true),
        ["echo", text @ ..] => Program::Say(format!("{}\n", text.join(" ")), false),
        ["sleep", seconds] => Program::Sleep(Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?),
        ["sh" | "/bin/sh", "-c", script] => Program::Script(
            script
                .split(';')
                .map(|line| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    match words[..] {
                        ["exit"] => Some(Program::Exit(0)),
                        ["exit", code] => code.parse().ok().map(Program::Exit),
                        [] => Some(Program::Exit(0)),
                        _ => builtin(&words),
                    }
                })
                .collect::<Option<Vec<_>>>()?,
        ),
        _ => return None,
    })
}

impl Machine {
    /// `POST /containers/{}/exec`.
    pub fn create_exec(
        &mut self,
        reference: &str,
        request: ExecRequest,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let container = self.get(reference)?;
        match container.state {
            ContainerState::Running => {}
            ContainerState::Paused => {
                return Err(Refusal::conflict(format!(
                    "Container {reference} is paused, unpause the container before exec"
                )));
            }
            ContainerState::Restarting => {
                return Err(Refusal::conflict(format!(
                    "Container {} is restarting, wait until the container is running",
                    container.id.as_str()
                )));
            }
            _ => return Err(self.edition().not_running(container.id.as_str())),
        }
        if request.command.is_empty() {
            return Err(Refusal::bad("No exec command specified"));
        }
        let (owner, run) = (container.id.clone(), container.starts);
        let id = self.next_id("exec");
        let action = format!("exec_create: {} ", request.command.join(" "));
        self.tell(&owner, now, action, &[("execID", id.clone())]);
        let exec = Exec {
            id: id.clone(),
            container: owner,
            request,
            started: false,
            exit_code: None,
            size: None,
            run,
        };
        self.execs.insert(id.clone(), exec);
        Ok(id)
    }

    /// `POST /exec/{}/start`: what it does.
    pub fn start_exec(&mut self, id: &str, now: Timestamp) -> Result<Program, Refusal> {
        let edition = self.edition();
        let exec = self.execs.get_mut(id).ok_or_else(|| no_such_exec(id))?;
        if exec.started {
            return Err(Refusal::conflict(edition.already_ran(id)));
        }
        let owner = exec.container.clone();
        let command = exec.request.command.clone();
        let run = exec.run;
        let container = self.containers.get(&owner).filter(|c| c.has_process() && c.starts == run);
        let Some(container) = container else { return Err(edition.not_running(owner.as_str())) };
        let content = container.content.clone();
        let program = self.program(&owner, &content.behaviour, &command);
        if let Some(exec) = self.execs.get_mut(id) {
            exec.started = true;
        }
        let action = format!("exec_start: {} ", command.join(" "));
        self.tell(&owner, now, action, &[("execID", id.to_owned())]);
        Ok(program)
    }

    fn program(&mut self, owner: &ContainerId, behaviour: &Behaviour, command: &[String]) -> Program {
        if let Some(scripted) = behaviour.programs.iter().find(|p| p.command == command) {
            let runs = self.program_runs.entry((owner.clone(), command.to_vec())).or_default();
            let code = scripted.codes.get(*runs).or(scripted.codes.last()).copied().unwrap_or(0);
            *runs += 1;
            return Program::Script(vec![Program::Say(scripted.output.clone(), false), Program::Exit(code)]);
        }
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        builtin(&words).unwrap_or_else(|| {
            let name = words.first().copied().unwrap_or_default();
            Program::Missing(
                format!(
                    "OCI runtime exec failed: exec failed: unable to start container process: exec: \"{name}\": \
                     executable file not found in $PATH: unknown\r\n"
                ),
                self.edition().no_such_program(),
            )
        })
    }

    /// A program has ended.
    pub fn end_exec(&mut self, id: &str, code: i64, now: Timestamp) {
        let Some(exec) = self.execs.get_mut(id).filter(|e| e.is_running()) else { return };
        exec.exit_code = Some(code);
        let owner = exec.container.clone();
        self.tell(&owner, now, "exec_die", &[("execID", id.to_owned()), ("exitCode", code.to_string())]);
    }

    /// `GET /exec/{}/json`.
    pub fn exec(&self, id: &str) -> Result<&Exec, Refusal> {
        self.execs.get(id).ok_or_else(|| no_such_exec(id))
    }

    /// The size of its terminal from the start.
    pub fn size_exec(&mut self, id: &str, width: u16, height: u16) -> Result<(), Refusal> {
        let exec = self.execs.get_mut(id).ok_or_else(|| no_such_exec(id))?;
        exec.size = Some((width, height));
        Ok(())
    }

    /// `POST /exec/{}/resize`.
    pub fn resize_exec(&mut self, id: &str, width: u16, height: u16) -> Result<(), Refusal> {
        let exec = self.execs.get_mut(id).ok_or_else(|| no_such_exec(id))?;
        if !exec.is_running() {
            return Err(Refusal::conflict(format!("Exec {id} is not running")));
        }
        if !exec.request.tty {
            return Err(Refusal::strict("a program without a terminal is resized"));
        }
        exec.size = Some((width, height));
        Ok(())
    }

    /// Programs end with their container.
    pub(crate) fn kill_execs(&mut self, owner: &ContainerId, now: Timestamp) {
        let ids: Vec<String> = self
            .execs
            .values()
            .filter(|e| e.container == *owner && e.is_running())
            .map(|e| e.id.clone())
            .collect();
        for id in ids {
            self.end_exec(&id, 137, now);
        }
    }

    pub(crate) fn tell(
        &mut self,
        owner: &ContainerId,
        now: Timestamp,
        action: impl Into<String>,
        more: &[(&str, String)],
    ) {
        if let Some(container) = self.containers.get(owner) {
            self.events.push(of_container(container, now, action, more));
        }
    }
}

fn no_such_exec(id: &str) -> Refusal {
    Refusal::missing(format!("No such exec instance: {id}"))
}

/// How often each scripted program has run, by container and command.
pub(crate) type ProgramRuns = BTreeMap<(ContainerId, Vec<String>), usize>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_small_scripts() {
        let run = |script: &str| builtin(&["sh", "-c", script]);
        assert_eq!(
            run("echo hi there; echo no >&2; exit 3"),
            Some(Program::Script(vec![
                Program::Say("hi there\n".into(), false),
                Program::Say("no\n".into(), true),
                Program::Exit(3)
            ]))
        );
        assert_eq!(run("nonsense"), None);
        assert_eq!(builtin(&["nope"]), None);
    }
}
