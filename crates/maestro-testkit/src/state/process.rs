//! What time brings about: processes end, are started again, and change their health.

use crate::state::Machine;
use crate::state::container::Container;
use crate::state::event::of_network;
use jiff::{SignedDuration, Timestamp};
use maestro_core::boundary::LogStream;
use maestro_core::fleet::{ContainerState, Health};
use maestro_core::names::ContainerId;
use std::time::Duration;

/// Something that will happen to a process, unless that start of it is over before.
#[derive(Debug, Clone)]
pub(crate) struct Wake {
    container: ContainerId,
    start: u64,
    what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// It ends.
    End(i64),
    /// It is killed because it did not stop.
    GraceOver,
    /// The engine starts it again.
    StartAgain,
    /// Its HEALTHCHECK says something else.
    Health(Health),
    /// It writes a line.
    Say(LogStream, String),
    /// It writes a numbered line, and another one later.
    Tick(u64),
}

/// The first pause before a restart; it doubles up to a minute, and starts over after ten seconds of running.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

impl Machine {
    /// When something happens by itself next.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.keys().next().map(|(at, _)| *at)
    }

    /// Catches up until now, and returns a time that is later than every one it has returned before.
    pub fn after(&mut self, now: Timestamp) -> Timestamp {
        let next = self.now.saturating_add(SignedDuration::from_micros(1)).unwrap_or(Timestamp::MAX);
        let now = now.max(next);
        self.advance(now);
        now
    }

    /// Catches up with everything that has happened by itself until now. Every other method expects this first.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some(entry) = self.wakes.first_entry() {
            let at = entry.key().0;
            if at > now {
                break;
            }
            let wake = entry.remove();
            self.wake(wake, at);
        }
    }

    fn wake(&mut self, wake: Wake, at: Timestamp) {
        let Some(container) = self.containers.get_mut(&wake.container).filter(|c| c.starts == wake.start)
        else {
            return;
        };
        let id = wake.container;
        match wake.what {
            What::StartAgain if container.state == ContainerState::Restarting => {
                self.launch(&id, at);
            }
            _ if !container.has_process() => {}
            What::StartAgain => {}
            What::End(code) => self.end(&id, code, at),
            What::GraceOver => {
                self.tell(&id, at, "kill", &[("signal", "9".to_owned())]);
                self.end(&id, 137, at);
            }
            What::Health(health) => {
                container.health = Some(health);
                let word = match health {
                    Health::Healthy => "health_status: healthy",
                    Health::Unhealthy => "health_status: unhealthy",
                    Health::None | Health::Starting => return,
                };
                self.tell(&id, at, word, &[]);
            }
            What::Say(stream, text) => container.log(at, stream, text),
            What::Tick(number) => {
                container.log(at, LogStream::Stdout, format!("tick {number}"));
                if let Some(every) = container.content.behaviour.ticks {
                    self.later(&id, at, every, What::Tick(number + 1));
                }
            }
        }
    }

    /// Makes something happen to the present start of a container's process.
    pub(crate) fn later(&mut self, id: &ContainerId, now: Timestamp, after: Duration, what: What) {
        let Some(container) = self.containers.get(id) else { return };
        let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
        let at = now.saturating_add(after).unwrap_or(Timestamp::MAX);
        self.made += 1;
        self.wakes.insert((at, self.made), Wake { container: id.clone(), start: container.starts, what });
    }

    /// The process starts. That it may has been found out before.
    pub(crate) fn launch(&mut self, id: &ContainerId, now: Timestamp) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.state = ContainerState::Running;
        container.starts += 1;
        container.started_at = Some(now);
        container.exit_code = 0;
        container.error.clear();
        let content = container.content.clone();
        let start = container.starts;
        container.health = content.behaviour.health.as_ref().map(|_| Health::Starting);
        let network = container.config.network_mode().to_owned();
        self.events.push(of_network(&network, now, "connect", id));
        self.tell(id, now, "start", &[]);
        for (after, stream, text) in &content.behaviour.output {
            self.later(id, now, *after, What::Say(*stream, text.clone()));
        }
        if let Some(every) = content.behaviour.ticks {
            self.later(id, now, every, What::Tick(1));
        }
        for (after, health) in content.behaviour.health.iter().flat_map(|script| &script.changes) {
            self.later(id, now, *after, What::Health(*health));
        }
        if let Some((after, code)) = content.behaviour.end(start) {
            self.later(id, now, after, What::End(code));
        }
        self.advance(now);
    }

    /// The process ends, whoever wanted it.
    pub(crate) fn end(&mut self, id: &ContainerId, code: i64, now: Timestamp) {
        let Some(container) = self.containers.get_mut(id).filter(|c| c.has_process()) else { return };
        let ran = container.started_at.map_or(SignedDuration::ZERO, |start| now.duration_since(start));
        container.exit_code = code;
        container.finished_at = Some(now);
        container.published.clear();
        let again = starts_again(container, code);
        container.state = if again { ContainerState::Restarting } else { ContainerState::Exited };
        container.restarts += u64::from(again);
        let was_stopping = std::mem::take(&mut container.stopping);
        if ran >= SignedDuration::from_secs(10) || container.backoff.is_zero() {
            container.backoff = FIRST_BACKOFF;
        } else {
            container.backoff = (container.backoff * 2).min(Duration::from_mins(1));
        }
        let backoff = container.backoff;
        let network = container.config.network_mode().to_owned();
        self.kill_execs(id, now);
        self.tell(id, now, "die", &[("exitCode", code.to_string())]);
        self.events.push(of_network(&network, now, "disconnect", id));
        if was_stopping {
            self.tell(id, now, "stop", &[]);
        }
        if again {
            self.later(id, now, backoff, What::StartAgain);
        }
    }
}

fn starts_again(container: &Container, code: i64) -> bool {
    if container.stopped_by_hand {
        return false;
    }
    match container.config.restart_policy() {
        "always" | "unless-stopped" => true,
        "on-failure" => {
            let tries = container.config.restart_tries();
            code != 0 && (tries == 0 || container.restarts < tries)
        }
        _ => false,
    }
}
