//! Hundreds of ships: everything at once, nothing twice, and a few bad ones hold up nobody.

use super::shell::{Ran, Shell};
use super::site::until;
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::fleet::{Grid, Place, ServedFleet};
use maestro_testkit::state::{Behaviour, Content, Machine};
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How many ships there are.
const SHIPS: usize = 200;
/// How many containers each has.
const CONTAINERS: usize = 1;
/// The ship that never answers, counted from 0.
const HUNG: usize = 80;
/// The ship on which nobody listens.
const GONE: usize = 160;

struct Fleet {
    shell: Shell,
    served: ServedFleet,
}

impl Fleet {
    fn serve(faults: impl Fn(usize) -> Faults) -> Self {
        // Each engine listens, and each is connected to: both ends are in this process's family.
        rlimit::increase_nofile_limit(u64::MAX).unwrap();
        let shell = Shell::empty();
        let place = Place::Sockets(shell.path().to_owned());
        let served = ServedFleet::serve(SHIPS, CONTAINERS, &place, &Latency::default(), faults).unwrap();
        shell.write("maestro.yaml", served.grid.yaml());
        Self { shell, served }
    }

    /// Waits only so many seconds for this ship. All others are waited for as long as ever: the machine may be busy.
    fn wait_for(&self, ship: usize, seconds: &str) {
        let name = Grid::ship(ship);
        let text = std::fs::read_to_string(self.shell.file("maestro.yaml")).unwrap();
        let entry = format!("{name}: {{");
        assert!(text.contains(&entry), "{text}");
        self.shell.write("maestro.yaml", text.replace(&entry, &format!("{entry}timeout: {seconds}, ")));
    }

    async fn run(&self, line: &str) -> Ran {
        self.shell.run(line).await
    }

    /// How many containers run, of how many that there are.
    fn running_of_all(&self) -> (usize, usize) {
        let engines = self.served.engines.iter();
        engines.fold((0, 0), |(running, all), engine| {
            let here = engine.look(|machine| machine.containers().iter().filter(|c| c.is_running()).count());
            (running + here, all + engine.look(Machine::count))
        })
    }

    /// Kinds of calls that have come since the last time, and all that would change something.
    fn asked(&self) -> (BTreeSet<Operation>, Vec<String>) {
        let (mut kinds, mut writes) = (BTreeSet::new(), Vec::new());
        for engine in &self.served.engines {
            kinds.extend(engine.calls().into_keys());
            writes.extend(engine.writes().iter().map(ToString::to_string));
            engine.clear_writes();
        }
        (kinds, writes)
    }
}

#[tokio::test]
async fn a_second_start_asks_and_changes_nothing() {
    let fleet = Fleet::serve(|_| Faults::none());
    let all = SHIPS * CONTAINERS;
    let unchanged = format!("all is up to date: {all} unchanged");

    let ran = fleet.run("status").await.ok();
    assert_eq!(ran.stdout.lines().filter(|line| line.ends_with(" down")).count(), all, "{}", ran.all());
    assert_eq!(fleet.asked().1, [""; 0]);

    let ran = fleet.run("start").await.ok().says(&format!("{all} started in "));
    assert_eq!(ran.stdout.lines().filter(|line| line.trim_end().ends_with(" started")).count(), all);
    assert_eq!(fleet.running_of_all(), (all, all));
    // The images were there: one creation and one start each, and nothing else.
    let (_, writes) = fleet.asked();
    assert_eq!(writes.len(), 2 * all, "{writes:?}");

    for line in ["start", "restart --only-if-changed"] {
        fleet.run(line).await.ok().says(&unchanged);
        let (kinds, writes) = fleet.asked();
        assert_eq!(writes, [""; 0], "{line}");
        assert!(kinds.contains(&Operation::Observe), "the ships were looked at: {kinds:?}");
        assert!(!kinds.contains(&Operation::Login), "{line}: {kinds:?}");
    }

    let ran = fleet.run("status").await.ok();
    assert_eq!(ran.stdout.matches(" running for ").count(), all, "{}", ran.all());
    only_what_has_changed_is_restarted(&fleet).await;

    fleet.run("stop --all").await.ok().says(&format!("{all} stopped in "));
    assert_eq!(fleet.running_of_all(), (0, all));
    fleet.run("clean").await.ok().says(&format!("{all} removed in "));
    assert_eq!(fleet.running_of_all(), (0, 0));
}

/// Another image for the service of one ship.
async fn only_what_has_changed_is_restarted(fleet: &Fleet) {
    fleet.served.add_image("grid/app:2", &Content::new("grid 2", Behaviour::forever()));
    let text = fleet.served.grid.yaml();
    let (before, after) = text.split_once("  app-0007:\n    image: grid/app:1\n").unwrap();
    fleet.shell.write("maestro.yaml", format!("{before}  app-0007:\n    image: grid/app:2\n{after}"));
    fleet.asked();
    let unchanged = (SHIPS - 1) * CONTAINERS;
    fleet
        .run("restart --only-if-changed")
        .await
        .ok()
        .says(&format!("{CONTAINERS} restarted, {unchanged} unchanged in "));
    let (_, writes) = fleet.asked();
    assert!(writes.iter().all(|write| write.contains("app-0007-")), "{writes:?}");
    assert_eq!(writes.len(), 4 * CONTAINERS, "stop, remove, create, start: {writes:?}");
}

#[tokio::test]
async fn bad_ships_hold_up_nobody() {
    let fleet = Fleet::serve(|index| match index {
        HUNG => Faults::hung(),
        GONE => Faults::unreachable(),
        _ => Faults::none(),
    });
    fleet.wait_for(HUNG, "0.4");
    let socket = fleet.shell.file(&format!("{}.sock", Grid::ship(GONE)));
    until("nobody listens", || UnixStream::connect(&socket).is_err()).await;
    let (bad, good) = (2 * CONTAINERS, (SHIPS - 2) * CONTAINERS);

    // Ship, instance and cause of both, whatever the command.
    let names_both = |ran: Ran| {
        let why = |ship: usize, cause: &str| {
            let (ship, instance) = (Grid::ship(ship), format!("app-{:04}-01", ship + 1));
            let named = |line: &str| [&*ship, &*instance, cause].iter().all(|part| line.contains(part));
            assert!(ran.stderr.lines().any(named), "{ship}, {instance}, {cause}: {}", ran.all());
        };
        why(HUNG, &format!("no answer from unix://{}/ship-0081.sock within", fleet.shell.path().display()));
        why(GONE, "host down");
        why(GONE, "Connection refused");
        assert_eq!(ran.stderr.matches("ship ship-").count(), 2, "each is explained once: {}", ran.all());
        ran
    };

    let ran = fleet.run("status").await.ok();
    assert_eq!(ran.stdout.matches("host down").count(), bad, "{}", ran.all());
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("WARNING: ship ship-")).count(), 2);

    names_both(fleet.run("start").await.exits(1)).says(&format!("{good} started, {bad} blocked in "));
    assert_eq!(fleet.running_of_all(), (good, good));
    names_both(fleet.run("restart --only-if-changed").await.exits(1))
        .says(&format!("{good} unchanged, {bad} blocked in "));
    // A stop that cannot be carried out is told, and is no failure: scripts go on to clean and start.
    names_both(fleet.run("stop --all").await.ok())
        .says(&format!("{good} stopped, {bad} could not be stopped in "));
    assert_eq!(fleet.running_of_all(), (0, good));
    names_both(fleet.run("clean").await.exits(1)).says(&format!("{good} removed, {bad} blocked in "));
    assert_eq!(fleet.running_of_all(), (0, 0));
    // What does not concern them does not meet them.
    fleet.run("start -S ship-00[1-7]?").await.ok().says(&format!("{} started in ", 70 * CONTAINERS));
}

/// Engines that fail while they are at work: three are lost, each in its own way, and all others finish.
#[tokio::test]
async fn ships_that_fail_in_the_middle_hold_up_nobody() {
    const FULL: usize = 40;
    let fleet = Fleet::serve(|index| match index {
        HUNG => Faults::none().and(On::Writes, When::From(2), Fault::Hangs),
        GONE => Faults::dies_at_write(1),
        FULL => Faults::full_disk(),
        _ => Faults::none(),
    });
    // It answers what is asked first, and must have the time to.
    fleet.wait_for(HUNG, "3");
    let ran = fleet.run("start").await.exits(1);
    for (ship, cause) in [(HUNG, "no answer from"), (GONE, "host down"), (FULL, "no space left on device")] {
        let (ship, instance) = (Grid::ship(ship), format!("app-{:04}-01", ship + 1));
        let named = |line: &str| [&*ship, &*instance, cause].iter().all(|part| line.contains(part));
        assert!(ran.stderr.lines().any(named), "{ship}, {instance}, {cause}: {}", ran.all());
    }
    let bad = 3 * CONTAINERS;
    let good = SHIPS * CONTAINERS - bad;
    let ran = ran.says(&format!("{good} started, {bad} failed in "));
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    let running = |index: usize| {
        fleet.served.engines[index]
            .look(|machine| machine.containers().iter().filter(|c| c.is_running()).count())
    };
    let healthy = (0..SHIPS).filter(|index| ![HUNG, GONE, FULL].contains(index));
    assert!(healthy.map(running).all(|count| count == CONTAINERS), "{:?}", fleet.running_of_all());
}
