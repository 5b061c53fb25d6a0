//! A small environment on two pretended engines that listen: one of the old release on a socket, one of the new
//! release on a port.

use super::shell::{Ran, Shell};
use maestro_core::config::{Limits, load};
use maestro_core::source::MapSources;
use maestro_testkit::clock::Clock;
use maestro_testkit::daemon::{Latency, Setup, Write};
use maestro_testkit::fake_dockerd::{At, FakeDockerd};
use maestro_testkit::faults::Operation;
use maestro_testkit::fleet::usual_behaviour;
use maestro_testkit::state::{Content, Edition, Registries};
use std::fmt::Write as _;
use std::time::Duration;

/// A shop: a database on one ship, and what needs it on both.
pub(super) const SHOP: &str = "
  db:
    image: shop/db:1
    instances:
      db-1: {ship: atlantic, ports: {sql: '5432'}, volumes: {/data: /srv/db}}
  web:
    image: shop/web:2.0
    requires: [db]
    env: {MODE: production}
    instances:
      web-1: {ship: atlantic, ports: {http: '8080:18080'}}
      web-2: {ship: pacific, ports: {http: '8080:18081'}}
";

/// Engines, and a directory with the environment file that describes them.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) shell: Shell,
    pub(super) atlantic: FakeDockerd,
    pub(super) pacific: FakeDockerd,
    /// More of them, where more are wanted, by the names of their ships.
    more: Vec<(&'static str, FakeDockerd)>,
    pub(super) registries: Registries,
    /// What is said of each ship besides where it is.
    ships: &'static str,
}

impl Site {
    /// With these services, whose images are in their registries and do what their names say.
    pub(super) fn new(services: &str) -> Self {
        Self::with(services, |setup| setup)
    }

    /// The same with engines whose every call takes a time.
    pub(super) fn slow(services: &str, latency: &Latency) -> Self {
        Self::with(services, |setup| setup.latency(latency.clone()))
    }

    /// The same, and more is said of each ship.
    pub(super) fn slow_with(services: &str, latency: &Latency, ships: &'static str) -> Self {
        let mut site = Self::slow(services, latency);
        site.ships = ships;
        site.write(services);
        site
    }

    /// The same on three ships, each of which keeps lease and ledger then.
    pub(super) fn of_three(services: &str, ships: &'static str) -> Self {
        Self::of_more(services, &["arctic"], ships)
    }

    /// The same on four ships, three of which keep lease and ledger: the first ones, if the file does not say.
    pub(super) fn of_four(services: &str, ships: &'static str) -> Self {
        Self::of_more(services, &["arctic", "baltic"], ships)
    }

    fn of_more(services: &str, names: &[&'static str], ships: &'static str) -> Self {
        let mut site = Self::new("");
        let clock = Clock::wall();
        let serve = |name: &'static str| {
            let setup = Setup::new(name).edition(Edition::V28).clock(clock).registries(&site.registries);
            let socket = At::Unix(site.shell.file(&format!("{name}.sock")));
            (name, FakeDockerd::serve(setup, socket).unwrap())
        };
        site.more = names.iter().copied().map(serve).collect();
        site.ships = ships;
        site.write(services);
        site
    }

    /// The same with engines that are made to order.
    pub(super) fn with(services: &str, make: impl Fn(Setup) -> Setup) -> Self {
        let shell = Shell::empty();
        let (registries, clock) = (Registries::none(), Clock::wall());
        let serve = |ship: &str, edition, at| {
            let setup = Setup::new(ship).edition(edition).clock(clock).registries(&registries);
            FakeDockerd::serve(make(setup), at).unwrap()
        };
        let atlantic = serve("atlantic", Edition::V20, At::Unix(shell.file("atlantic.sock")));
        let pacific = serve("pacific", Edition::V28, At::loopback());
        let site = Self { shell, atlantic, pacific, more: Vec::new(), registries, ships: "" };
        site.write(services);
        site
    }

    /// Writes the environment file anew. Its images are in their registries then.
    pub(super) fn write(&self, services: &str) {
        let more: String = self.more.iter().fold(String::new(), |mut text, (name, _)| {
            let socket = self.shell.file(&format!("{name}.sock"));
            writeln!(text, "  {name}: {{ip: 127.0.0.1, socket_path: {}{}}}", socket.display(), self.ships)
                .unwrap();
            text
        });
        let text = format!(
            "__maestro: {{schema: 2}}\nname: shop\nships:\n{more}  atlantic: {{ip: 127.0.0.1, socket_path: {}{ships}}}\n  \
             pacific: {{ip: 127.0.0.1, docker_port: {}{ships}}}\nservices:{services}",
            self.shell.file("atlantic.sock").display(),
            self.pacific.tcp_address().unwrap().port(),
            ships = self.ships,
        );
        let mut sources = MapSources::of(&*text);
        if let Ok(template) = std::fs::read(self.shell.file("front.j2")) {
            sources = sources.with_file("front.j2", template);
        }
        let loaded = load(&sources, &Limits::default());
        let environment = loaded.environment.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.diagnostics));
        for instance in environment.instances.values() {
            let content = Content::of(&instance.image, usual_behaviour(&instance.image));
            self.registries.push(instance.image.as_str(), &content);
        }
        self.shell.write("maestro.yaml", text);
    }

    /// Takes a ship out of the environment file, with all that it says of it on the same line.
    pub(super) fn write_without(&self, ship: &str) {
        let text = std::fs::read_to_string(self.shell.file("maestro.yaml")).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains(ship)).collect();
        self.shell.write("maestro.yaml", lines.join("\n") + "\n");
    }

    /// From now on, whatever changes a container takes so long; nothing else takes any time.
    pub(super) fn changes_take(&self, each: Duration) {
        let slow = [Operation::Create, Operation::Start, Operation::Stop, Operation::Rename];
        let latency =
            slow.into_iter().fold(Latency::default(), |latency, operation| latency.but(operation, each));
        for engine in self.engines() {
            engine.takes(&latency);
        }
    }

    pub(super) fn engines(&self) -> impl Iterator<Item = &FakeDockerd> {
        self.more.iter().map(|(_, engine)| engine).chain([&self.atlantic, &self.pacific])
    }

    pub(super) async fn run(&self, line: &str) -> Ran {
        self.shell.run(line).await
    }

    /// What several commands said, one after another, without what differs from run to run.
    pub(super) async fn transcript(&self, lines: &[&str]) -> String {
        let mut text = String::new();
        for line in lines {
            writeln!(text, "{}", self.redacted(&self.run(line).await)).unwrap();
        }
        text
    }

    /// What a command said, without what differs from run to run.
    pub(super) fn redacted(&self, ran: &Ran) -> String {
        let port = self.pacific.tcp_address().unwrap().port();
        let redactor = self.shell.redactor().port(port, "[PORT]").text(format!(": {port}"), ": [PORT]");
        without_slowest(&redactor.redact(&ran.all()))
    }

    /// What was asked of the engines that changes something.
    pub(super) fn writes(&self) -> Vec<Write> {
        self.engines().flat_map(|engine| engine.writes()).collect()
    }

    /// The image that a container was made from.
    pub(super) fn image(&self, name: &str) -> String {
        let found = self.engines().find_map(|engine| engine.container(name));
        found.unwrap_or_else(|| panic!("there is no {name}")).config.image.clone()
    }

    /// Those that are about containers of the file, as text.
    pub(super) fn changes(&self) -> Vec<String> {
        let is_kept =
            |write: &Write| write.subject.starts_with("maestro.") || write.operation == Operation::Put;
        self.writes().iter().filter(|write| !is_kept(write)).map(ToString::to_string).collect()
    }

    pub(super) fn clear_writes(&self) {
        self.engines().for_each(|engine| engine.clear_writes());
    }

    /// The id of a container, if there is one.
    pub(super) fn id(&self, name: &str) -> Option<String> {
        self.engines().find_map(|engine| engine.container(name)).map(|container| container.id.to_string())
    }

    /// State of a container as Docker calls it; `absent` if there is none.
    pub(super) fn state(&self, name: &str) -> &'static str {
        let found = self.engines().find_map(|engine| engine.container(name));
        found.map_or("absent", |container| container.state.name())
    }
}

/// Which of two ships is the slower one is a matter of microseconds.
fn without_slowest(text: &str) -> String {
    let mut parts = text.split("; slowest ship: ");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept += "; slowest ship: [SHIP]";
        kept += part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
    }
    kept
}

/// Waits until something is so that no engine tells.
pub(super) async fn until(what: &str, so: impl FnMut() -> bool) {
    until_within(Duration::from_secs(20), what, so).await;
}

/// The same where that may take longer.
pub(super) async fn until_within(longest: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + longest;
    while !so() {
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within {longest:?}");
        tokio::time::sleep(longest / 10_000).await;
    }
}
