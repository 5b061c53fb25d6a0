//! Following a container's output across restarts, replacements, and ships that come and go.

use super::{Source, owned_logs};
use crate::report::{ErrorReport, Printer};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use maestro_core::boundary::{LogLine, LogOptions, Scope};
use maestro_core::engine_error::EngineError;
use maestro_core::names::{ContainerId, InstanceName};
use maestro_core::plan::Target;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long to wait before looking for a container that has ended, or a ship that has gone.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Output that could be followed for so long was well, even if nothing was written: what ends it is news.
const WELL: Duration = Duration::from_secs(5);

impl Source {
    /// Everything that the container of this name writes, whichever container that is at the time.
    pub(super) fn follow(
        self,
        printer: Printer,
        tail: Option<u64>,
    ) -> impl Stream<Item = (InstanceName, LogLine)> {
        let state = Following::new(self, tail);
        stream::unfold((state, printer), async |(mut state, printer)| {
            let line = state.next(&printer).await;
            Some(((state.source.name.clone(), line), (state, printer)))
        })
    }

    /// What a container wrote last, if anything.
    async fn last_line(&self, id: &ContainerId) -> Result<Option<LogLine>, EngineError> {
        let target = Target::Seen { id: id.clone(), name: self.name.clone() };
        let options = LogOptions { tail: Some(1), ..LogOptions::default() };
        let mut lines = self.engine.logs(&target, &options);
        let mut last = None;
        while let Some(line) = lines.next().await {
            last = Some(line?);
        }
        Ok(last)
    }
}

struct Following {
    source: Source,
    from: Begin,
    /// Whether the ship has been looked at, and the container that was there last.
    looked: bool,
    known: Option<ContainerId>,
    lines: Option<BoxStream<'static, Result<LogLine, EngineError>>>,
    /// Since when they are followed.
    attached: Instant,
    complained: bool,
    said_died: bool,
}

/// Where to begin, or to go on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Begin {
    /// With so many last lines.
    Tail(u64),
    /// With the first line: nothing was written before.
    Start,
    /// With what was written after this time, by the ship's clock.
    After(Timestamp),
}

impl Begin {
    fn options(self) -> LogOptions {
        let (tail, since) = match self {
            Begin::Tail(lines) => (Some(lines), None),
            Begin::Start => (None, None),
            Begin::After(at) => (None, at.checked_add(SignedDuration::from_nanos(1)).ok()),
        };
        LogOptions { tail, follow: true, since }
    }
}

impl Following {
    fn new(source: Source, tail: Option<u64>) -> Self {
        let from = tail.map_or(Begin::Start, Begin::Tail);
        Self {
            source,
            from,
            looked: false,
            known: None,
            lines: None,
            attached: Instant::now(),
            complained: false,
            said_died: true,
        }
    }

    async fn next(&mut self, printer: &Printer) -> LogLine {
        loop {
            if let Some(lines) = &mut self.lines {
                match lines.next().await {
                    Some(Ok(line)) => {
                        self.from = line.at.map_or(self.from, Begin::After);
                        self.complained = false;
                        return line;
                    }
                    Some(Err(error)) => {
                        self.complained &= self.attached.elapsed() < WELL;
                        self.complain(printer, &error);
                    }
                    None => {}
                }
                self.lines = None;
                sleep(LOOK_AGAIN).await;
            }
            self.attach(printer).await;
        }
    }

    /// Finds the running container of this name and goes on where the last one ended.
    async fn attach(&mut self, printer: &Printer) {
        let name = &self.source.name;
        let found = match self.source.engine.observe(&Scope::default()).await {
            Ok(state) => state.containers.get(name.as_str()).cloned(),
            Err(error) => {
                self.complain(printer, &error);
                sleep(LOOK_AGAIN).await;
                return;
            }
        };
        if let Err(error) = self.begin(found.as_ref().map(|container| &container.id)).await {
            self.complain(printer, &error);
            sleep(LOOK_AGAIN).await;
            return;
        }
        match found {
            Some(container) if container.state.is_running() => {
                let target = Target::Seen { id: container.id, name: self.source.name.clone() };
                let options = self.from.options();
                self.lines = Some(owned_logs(self.source.engine.clone(), target, options));
                self.attached = Instant::now();
                self.said_died = false;
            }
            _ => {
                if !self.said_died {
                    self.said_died = true;
                    printer.talk(&format!("{} has died, waiting for respawn", self.source.name));
                }
                sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// Finds out where a container's output begins that is not known yet. So a link that drops before the first line
    /// costs no line, and brings none from before.
    async fn begin(&mut self, found: Option<&ContainerId>) -> Result<(), EngineError> {
        let Some(id) = found else {
            self.looked = true;
            return Ok(());
        };
        if let Begin::Tail(lines) = self.from {
            if !self.looked {
                self.from = match (self.source.last_line(id).await?, lines) {
                    (None, _) => Begin::Start,
                    (Some(LogLine { at: Some(at), .. }), 0) => Begin::After(at),
                    (Some(_), lines) => Begin::Tail(lines),
                };
            } else if self.known.as_ref() != Some(id) {
                self.from = Begin::Start;
            }
        }
        self.looked = true;
        self.known = Some(id.clone());
        Ok(())
    }

    /// Says once why nothing comes.
    fn complain(&mut self, printer: &Printer, error: &EngineError) {
        if !self.complained {
            self.complained = true;
            ErrorReport::from(error).warning().about(self.source.name.as_str()).print(printer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Capabilities;
    use maestro_core::boundary::LogStream;
    use maestro_testkit::daemon::Setup;
    use maestro_testkit::fake_engine::FakeEngine;
    use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
    use maestro_testkit::state::{Behaviour, Content, CreateConfig, Removal};
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_mins(1);

    /// An engine, and a container on it that says something whenever it is started, and more later.
    struct World(FakeEngine);

    impl World {
        fn new(behaviour: Behaviour) -> Self {
            Self(Setup::new("a").image("db:1", &Content::new("db", behaviour)).into())
        }

        fn launch(&self) {
            let config = CreateConfig { image: "db:1".into(), ..CreateConfig::default() };
            self.0.meddle(|machine, now| machine.create("db-1", config, now)).unwrap();
            self.start();
        }

        fn start(&self) {
            self.0.meddle(|machine, now| machine.start("db-1", now)).unwrap();
        }

        fn crash(&self) {
            self.0.meddle(|machine, now| machine.crash("db-1", 1, now)).unwrap();
        }

        fn remove(&self) {
            let how = Removal { volumes: true, force: true };
            self.0.meddle(|machine, now| machine.remove("db-1", how, now)).unwrap();
        }

        /// What a follower shows within a minute of each of these happening, `text@second`.
        async fn follow(&self, tail: Option<u64>, happen: &[&dyn Fn(&Self)]) -> Vec<String> {
            self.follow_and_listen(tail, happen).await.0
        }

        /// The same, and what was said meanwhile, but for what is the matter.
        async fn follow_and_listen(
            &self,
            tail: Option<u64>,
            happen: &[&dyn Fn(&Self)],
        ) -> (Vec<String>, Vec<String>) {
            let (printer, captured) = Printer::captured(Capabilities::plain(80));
            let source = Source { name: "db-1".into(), ship: "a".into(), engine: self.0.boxed() };
            let mut following = Following::new(source, tail);
            let mut shown = Vec::new();
            let began = self.0.now() - self.0.clock().elapsed();
            for event in [&(|_: &Self| {}) as &dyn Fn(&Self)].iter().chain(happen) {
                event(self);
                let end = tokio::time::Instant::now() + LONG;
                while let Ok(line) = tokio::time::timeout_at(end, following.next(&printer)).await {
                    shown.push(format!("{}@{}", line.text, line.at.unwrap().duration_since(began).as_secs()));
                }
            }
            let said = captured.stderr();
            let said =
                said.lines().filter(|line| line.contains("db-1")).map(|line| match line.split_once(": ") {
                    Some((level, _)) => level.to_owned(),
                    None => line.to_owned(),
                });
            (shown, said.collect())
        }
    }

    fn down(world: &World) {
        world.0.set_faults(Faults::unreachable());
    }

    fn up(world: &World) {
        world.0.set_faults(Faults::none());
    }

    fn says(text: &str) -> Behaviour {
        Behaviour::forever().says(LogStream::Stdout, text)
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_drops_brings_nothing_from_before() {
        for (tail, first) in [(Some(0), None), (Some(1), Some("two@0")), (Some(5), None)] {
            let world = World::new(says("one").says(LogStream::Stdout, "two"));
            world.launch();
            let shown = world.follow(tail, &[&down, &up, &down, &up, &World::crash, &World::start]).await;
            let mut expected: Vec<&str> =
                if tail == Some(5) { vec!["one@0", "two@0"] } else { first.into_iter().collect() };
            expected.extend(["one@360", "two@360"]);
            assert_eq!(shown, expected, "{tail:?}");
        }
    }

    /// Neither does it cost anything, if nothing was written before either.
    #[tokio::test(start_paused = true)]
    async fn what_is_written_while_the_link_is_down_is_shown() {
        for behaviour in [Behaviour::forever(), says("one")] {
            let mut behaviour = behaviour;
            behaviour.output.push((LONG * 3 / 2, LogStream::Stdout, "late".into()));
            let world = World::new(behaviour);
            world.launch();
            assert_eq!(world.follow(Some(0), &[&down, &up]).await, ["late@90"]);
        }
    }

    /// Once each time, also if the container is silent in between.
    #[tokio::test(start_paused = true)]
    async fn why_nothing_comes_is_said_once() {
        const DIED: &str = "db-1 has died, waiting for respawn";
        for behaviour in [Behaviour::forever(), says("one")] {
            let world = World::new(behaviour);
            world.launch();
            let happen: [&dyn Fn(&World); 6] = [&down, &up, &down, &up, &World::crash, &World::start];
            let (_, said) = world.follow_and_listen(Some(0), &happen).await;
            assert_eq!(said, ["WARNING", "WARNING", DIED]);
            world.0.set_faults(Faults::none().and(
                On::Only(Operation::Logs),
                When::Always,
                Fault::Refused(500, "no such driver".into()),
            ));
            let (_, said) = world.follow_and_listen(Some(0), &[&World::crash, &World::start]).await;
            assert_eq!(said, ["WARNING"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_new_container_everything_is_shown() {
        let world = World::new(says("one"));
        world.launch();
        assert_eq!(world.follow(Some(0), &[&World::remove, &World::launch]).await, ["one@120"]);
        let world = World::new(says("one"));
        assert_eq!(world.follow(Some(0), &[&World::launch]).await, ["one@60"]);
    }

    /// The number of lines that were asked for is not forgotten when they cannot be had at once.
    #[tokio::test(start_paused = true)]
    async fn a_first_attempt_that_fails_changes_nothing() {
        for nth in [1, 2] {
            let world = World::new(says("one").says(LogStream::Stdout, "two"));
            world.launch();
            timeout(LONG, world.0.until(|machine| (machine.get("db-1").ok()?.logs.len() == 2).then_some(())))
                .await
                .unwrap();
            for (tail, expected) in [(0, &[] as &[&str]), (1, &["two@0"])] {
                world.0.set_faults(Faults::refuses_nth(Operation::Logs, nth, 500, "try again"));
                assert_eq!(world.follow(Some(tail), &[]).await, expected, "{nth}");
            }
        }
    }
}
