//! The calls that change containers.

use crate::state::behaviour::{Ends, OnTerm};
use crate::state::container::Container;
use crate::state::create::CreateConfig;
use crate::state::image::Content;
use crate::state::process::What;
use crate::state::refusal::Refusal;
use crate::state::validate::{NETWORKS, validate};
use crate::state::{Machine, listed};
use jiff::Timestamp;
use maestro_core::fleet::ContainerState;
use maestro_core::image::ImageRef;
use maestro_core::names::{ContainerId, InstanceName};
use std::sync::Arc;
use std::time::Duration;

/// What a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// What was asked for.
    Done,
    /// Nothing: it was so already. Engines answer 304.
    Already,
}

/// A container that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// What the engine remarks.
    pub warnings: Vec<String>,
}

/// What a stop leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopping {
    /// It did not run.
    Already,
    /// It stops; ask [`Machine::has_stopped`].
    Begun {
        /// The container.
        id: ContainerId,
        /// Which start of its process is to end.
        start: u64,
    },
}

/// How to remove a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removal {
    /// With its anonymous volumes.
    pub volumes: bool,
    /// Even if it runs.
    pub force: bool,
}

impl Machine {
    /// `POST /containers/create`.
    pub fn create(&mut self, name: &str, config: CreateConfig, now: Timestamp) -> Result<Created, Refusal> {
        let name = name.strip_prefix('/').unwrap_or(name);
        if name.is_empty() {
            return Err(Refusal::strict("a container without a name cannot be found again"));
        }
        if !InstanceName::from(name).is_valid() {
            return Err(Refusal::bad(format!(
                "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )));
        }
        validate(&config, self.edition())?;
        if config.image.is_empty() {
            return Err(Refusal::bad(self.edition().say("No command specified", "no command specified")));
        }
        let Some(image) = self.image(&config.image) else {
            let image = ImageRef::parse(config.image.as_str());
            let lower = image.repository().chars().all(|c| !c.is_ascii_uppercase());
            return Err(if lower {
                Refusal::missing(format!("No such image: {}", listed(&image)))
            } else {
                Refusal::bad("invalid reference format: repository name must be lowercase")
            });
        };
        let mut content = image.content.clone();
        if let Some(instead) = content.behaviour.with_command(config.cmd.as_deref()) {
            content = Arc::new(Content { behaviour: instead.clone(), ..Content::clone(&content) });
        }
        self.name_is_free(name)?;
        for link in config.host_config.links.iter().flatten() {
            let other = link.split(':').next().unwrap_or(link);
            self.get(other)
                .map_err(|no| Refusal::bad(format!("could not get container for {other}: {}", no.message)))?;
        }
        for other in config.host_config.volumes_from.iter().flatten() {
            let other = other.split(':').next().unwrap_or(other);
            self.get(other).map_err(|no| Refusal::bad(no.message))?;
        }
        self.make_volumes(config.host_config.binds.as_deref().unwrap_or_default());
        let id = ContainerId::new(self.next_id("container"));
        let name: Arc<str> = name.into();
        let container = Container {
            id: id.clone(),
            name: name.clone(),
            created_at: now,
            config: Arc::new(config),
            content,
            state: ContainerState::Created,
            starts: 0,
            restarts: 0,
            started_at: None,
            finished_at: None,
            exit_code: 0,
            error: String::new(),
            health: None,
            published: Vec::new(),
            logs: Vec::new(),
            stopped_by_hand: false,
            stopping: false,
            backoff: Duration::ZERO,
        };
        self.containers.insert(id.clone(), container);
        self.names.insert(name, id.clone());
        self.tell(&id, now, "create", &[]);
        Ok(Created { id, warnings: Vec::new() })
    }

    fn name_is_free(&self, name: &str) -> Result<(), Refusal> {
        match self.names.get(name) {
            None => Ok(()),
            Some(id) => Err(Refusal::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{}\". \
                 You have to remove (or rename) that container to be able to reuse that name.",
                id.as_str()
            ))),
        }
    }

    /// `POST /containers/{}/start`.
    pub fn start(&mut self, reference: &str, now: Timestamp) -> Result<Change, Refusal> {
        let id = self.resolve(reference)?;
        let container = self.get(reference)?;
        match container.state {
            ContainerState::Running | ContainerState::Restarting => return Ok(Change::Already),
            ContainerState::Paused => {
                return Err(Refusal::conflict("cannot start a paused container, try unpause instead"));
            }
            ContainerState::Removing | ContainerState::Dead => {
                return Err(Refusal::conflict("container is marked for removal and cannot be started"));
            }
            ContainerState::Created | ContainerState::Exited => {}
        }
        match self.may_start(container) {
            Ok(published) => {
                let Some(container) = self.containers.get_mut(&id) else { return Ok(Change::Already) };
                container.published = published;
                container.stopped_by_hand = false;
                container.restarts = 0;
                container.backoff = Duration::ZERO;
                self.launch(&id, now);
                Ok(Change::Done)
            }
            Err((no, code)) => {
                if let Some(container) = self.containers.get_mut(&id) {
                    container.exit_code = code;
                    container.error.clone_from(&no.message);
                }
                Err(no)
            }
        }
    }

    /// The ports that it gets, or why it cannot start and the exit code that the engine then shows.
    fn may_start(
        &self,
        container: &Container,
    ) -> Result<Vec<crate::state::container::Published>, (Refusal, i64)> {
        let edition = self.edition();
        let mode = container.config.network_mode();
        if let Some(other) = mode.strip_prefix("container:") {
            self.get(other).map_err(|no| (edition.no_namespace(no), 128))?;
        } else if !NETWORKS.contains(&mode) {
            return Err((Refusal::missing(edition.networking(format!("network {mode} not found"))), 128));
        }
        for link in container.config.host_config.links.iter().flatten() {
            let (other, alias) = link.split_once(':').unwrap_or((link, link));
            if !self.get(other).is_ok_and(Container::has_process) {
                let message = format!(
                    "Cannot link to a non running container: /{other} AS /{}/{alias}",
                    container.name
                );
                return Err((Refusal::failed(message), 128));
            }
        }
        let published = self.publish(container).map_err(|no| (no, 128))?;
        if container.content.behaviour.ends == Ends::NoProgram {
            let program = container.config.cmd.iter().flatten().next().map_or("program", String::as_str);
            let message = format!(
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start \
                 container process: exec: \"{program}\": executable file not found in $PATH: unknown"
            );
            let message =
                edition.say(message.clone(), format!("failed to create task for container: {message}"));
            return Err((Refusal::bad(message), 127));
        }
        Ok(published)
    }

    /// `POST /containers/{}/stop`: begins it.
    pub fn stop(&mut self, reference: &str, grace: Duration, now: Timestamp) -> Result<Stopping, Refusal> {
        let id = self.resolve(reference)?;
        let Some(container) = self.containers.get_mut(&id) else { return Ok(Stopping::Already) };
        if !container.is_running() {
            return Ok(Stopping::Already);
        }
        container.stopped_by_hand = true;
        let begun = Stopping::Begun { id: id.clone(), start: container.starts };
        if container.state == ContainerState::Restarting {
            container.state = ContainerState::Exited;
            self.tell(&id, now, "stop", &[]);
            return Ok(begun);
        }
        container.stopping = true;
        let listens = container.state == ContainerState::Running;
        let on_term = container.content.behaviour.on_term;
        self.tell(&id, now, "kill", &[("signal", "15".to_owned())]);
        match on_term {
            OnTerm::Exits(after, code) if listens && (after < grace || after.is_zero()) => {
                self.later(&id, now, after, What::End(code));
            }
            OnTerm::Exits(..) | OnTerm::Ignores => self.later(&id, now, grace, What::GraceOver),
        }
        self.advance(now);
        Ok(begun)
    }

    /// Whether a stop that has begun is over.
    pub fn has_stopped(&self, id: &ContainerId, start: u64) -> bool {
        self.containers.get(id).is_none_or(|c| c.starts != start || !c.has_process())
    }

    /// `POST /containers/{}/kill`. Without a signal, SIGKILL.
    pub fn kill(&mut self, reference: &str, signal: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
        let edition = self.edition();
        let signal = signal.unwrap_or("KILL");
        let number = match signal.strip_prefix("SIG").unwrap_or(signal) {
            "KILL" | "9" => 9,
            "TERM" | "15" => 15,
            "HUP" | "1" => 1,
            "INT" | "2" => 2,
            "USR1" | "10" => 10,
            _ => return Err(edition.bad_signal(reference, signal)),
        };
        let id = self.resolve(reference).map_err(|no| edition.cannot_kill(reference, &no))?;
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        if !container.is_running() {
            return Err(edition.cannot_kill(reference, &edition.not_running(id.as_str())));
        }
        let listens = container.state == ContainerState::Running;
        let on_term = container.content.behaviour.on_term;
        if number == 9 {
            container.stopped_by_hand = true;
            if container.state == ContainerState::Restarting {
                container.state = ContainerState::Exited;
            }
        }
        self.tell(&id, now, "kill", &[("signal", number.to_string())]);
        match (number, on_term) {
            (9, _) => self.end(&id, 137, now),
            (15, OnTerm::Exits(after, code)) if listens => self.later(&id, now, after, What::End(code)),
            _ => {}
        }
        self.advance(now);
        Ok(())
    }

    /// `DELETE /containers/{}`.
    pub fn remove(&mut self, reference: &str, how: Removal, now: Timestamp) -> Result<(), Refusal> {
        let id = self.resolve(reference)?;
        if !how.volumes {
            return Err(Refusal::strict("removing without `v` leaves anonymous volumes behind"));
        }
        let edition = self.edition();
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        if !how.force && container.is_running() {
            return Err(edition.remove_running(container));
        }
        if container.has_process() {
            container.stopped_by_hand = true;
            self.tell(&id, now, "kill", &[("signal", "9".to_owned())]);
            self.end(&id, 137, now);
        }
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        if container.content.behaviour.unremovable {
            container.state = ContainerState::Dead;
            return Err(Refusal::failed(format!(
                "container {}: driver \"overlay2\" failed to remove root filesystem: device or resource busy",
                id.as_str()
            )));
        }
        self.tell(&id, now, "destroy", &[]);
        self.vanish(&id);
        Ok(())
    }

    fn vanish(&mut self, id: &ContainerId) {
        if let Some(container) = self.containers.remove(id) {
            self.names.remove(&container.name);
        }
        self.files.forget(id.as_str());
        self.execs.retain(|_, exec| exec.container != *id);
        self.program_runs.retain(|(owner, _), _| owner != id);
    }

    /// `POST /containers/{}/rename`.
    pub fn rename(&mut self, reference: &str, name: &str, now: Timestamp) -> Result<(), Refusal> {
        let id = self.resolve(reference)?;
        let name = name.strip_prefix('/').unwrap_or(name);
        if name.is_empty() {
            return Err(Refusal::bad("Neither old nor new names may be empty"));
        }
        if !InstanceName::from(name).is_valid() {
            return Err(Refusal::bad(format!(
                "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )));
        }
        self.name_is_free(name).map_err(|no| Refusal {
            message: format!("Error when allocating new name: {}", no.message),
            ..no
        })?;
        let name: Arc<str> = name.into();
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        let old = std::mem::replace(&mut container.name, name.clone());
        self.names.remove(&old);
        self.names.insert(name, id.clone());
        self.tell(&id, now, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// `POST /containers/{}/pause`.
    pub fn pause(&mut self, reference: &str, now: Timestamp) -> Result<(), Refusal> {
        self.freeze(reference, ContainerState::Running, ContainerState::Paused, "pause", now)
    }

    /// `POST /containers/{}/unpause`.
    pub fn unpause(&mut self, reference: &str, now: Timestamp) -> Result<(), Refusal> {
        self.freeze(reference, ContainerState::Paused, ContainerState::Running, "unpause", now)
    }

    fn freeze(
        &mut self,
        reference: &str,
        from: ContainerState,
        to: ContainerState,
        action: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let id = self.resolve(reference)?;
        let Some(container) = self.containers.get_mut(&id) else { return Ok(()) };
        if container.state != from {
            return Err(Refusal::conflict(format!(
                "Container {} is {}, not {}",
                id.as_str(),
                container.state.name(),
                from.name()
            )));
        }
        container.state = to;
        self.tell(&id, now, action, &[]);
        Ok(())
    }

    /// The process ends by itself now, as a crash or a finished job does.
    pub fn crash(&mut self, reference: &str, code: i64, now: Timestamp) -> Result<(), Refusal> {
        let id = self.resolve(reference)?;
        self.end(&id, code, now);
        self.advance(now);
        Ok(())
    }
}
