//! The practice fleet itself, on real engines: it does what it says and leaves nothing behind.
//!
//! Needs root and what scripts/install-practice-fleet installs. Without, these tests say so and pass, unless
//! `MAESTRO_REQUIRE_NETNS` is set.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "test code outside test functions")]

use futures_util::future::join_all;
use maestro_testkit::practice::{
    EngineApi, EngineRelease, FleetDescription, FleetError, Login, PracticeFleet, ShipDescription, ShipPlan,
    TransportKind,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::RwLock;

const BINARY: &str = env!("CARGO_BIN_EXE_practice-fleet");
const ALL: [TransportKind; 4] =
    [TransportKind::Tcp, TransportKind::Tls, TransportKind::Ssh, TransportKind::Unix];
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(30);

/// Every new fleet removes abandoned ones, so a test that looks at an abandoned one needs to be alone.
static ABANDONED: RwLock<()> = RwLock::const_new(());

/// Whether fleets can be brought up here; says why not.
fn possible() -> bool {
    let Err(error) = PracticeFleet::available() else { return true };
    assert!(std::env::var_os("MAESTRO_REQUIRE_NETNS").is_none(), "real engines are required: {error}");
    eprintln!("SKIPPED, no real engines: {error}");
    false
}

/// Waits until a condition holds.
async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < LONG, "{what} did not come about within {LONG:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The body of `GET path`, or nothing if the server cannot be reached in a short time.
async fn fetch(ship: &ShipDescription, port: u16, path: &str) -> Option<String> {
    let exchange = async {
        let mut stream = TcpStream::connect((ship.ip, port)).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    };
    tokio::time::timeout(SHORT, exchange).await.ok()?
}

fn container(image: &str, port: u16) -> Value {
    let name = format!("{port}/tcp");
    json!({
        "Image": image,
        "ExposedPorts": { &name: {} },
        "HostConfig": { "PortBindings": { &name: [{ "HostPort": port.to_string() }] } },
    })
}

/// Everything of a fleet that could be left behind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Traces {
    namespaces: BTreeSet<String>,
    interfaces: BTreeSet<String>,
    processes: BTreeSet<i32>,
    mounts: BTreeSet<String>,
    cgroups: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
}

fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

impl Traces {
    /// What there is of the fleet in this slot and state directory.
    fn find(slot: u16, state: &Path) -> Traces {
        let bridge = format!("mp{slot}");
        let ours = |name: &String| {
            name.strip_prefix(&bridge)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['s', 'r', 'x']))
        };
        let namespaces: BTreeSet<String> = names("/run/netns").into_iter().filter(ours).collect();
        let run = PathBuf::from(format!("/run/maestro-practice/{slot}"));
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounted = |line: &&str| {
            let point = line.split(' ').nth(4).unwrap();
            Path::new(point).starts_with(state) || Path::new(point).starts_with(&run)
        };
        let cgroups: BTreeSet<PathBuf> = ["/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory"]
            .iter()
            .flat_map(|root| names(root).into_iter().map(move |name| Path::new(root).join(name)))
            .filter(|path| {
                path.file_name().unwrap().to_str().unwrap().starts_with(&format!("maestro-{bridge}s"))
            })
            .collect();
        let mut processes = BTreeSet::new();
        let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        let spaces: Vec<_> =
            namespaces.iter().filter_map(|name| identity(&Path::new("/run/netns").join(name))).collect();
        for pid in names("/proc").iter().filter_map(|name| name.parse::<i32>().ok()) {
            if identity(Path::new(&format!("/proc/{pid}/ns/net"))).is_some_and(|its| spaces.contains(&its)) {
                processes.insert(pid);
            }
        }
        for group in &cgroups {
            for inner in fs::read_dir(group).into_iter().flatten().flatten() {
                let listed = fs::read_to_string(inner.path().join("cgroup.procs")).unwrap_or_default();
                processes.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()));
            }
        }
        Traces {
            interfaces: names("/sys/class/net").into_iter().filter(ours).collect(),
            mounts: table.lines().filter(mounted).map(str::to_owned).collect(),
            directories: [state.to_owned()].into_iter().filter(|path| path.exists()).collect(),
            namespaces,
            processes,
            cgroups,
        }
    }
}

/// Whether a process runs; one that only waits to be collected does not.
fn alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The directory that records who has a slot.
fn slot_directory(slot: u16) -> PathBuf {
    Path::new("/run/maestro-practice").join(slot.to_string())
}

/// Whether a slot belongs to the fleet of a state directory.
fn is_its_slot(slot: u16, state: &Path) -> bool {
    let record = fs::read(slot_directory(slot).join("record.json")).unwrap_or_default();
    let record: Value = serde_json::from_slice(&record).unwrap_or_default();
    record.get("state").and_then(Value::as_str).is_some_and(|of| Path::new(of) == state)
}

/// What there is of a fleet now; nothing if it is gone and somebody else has its slot.
fn traces_of(slot: u16, state: &Path) -> Traces {
    let found = Traces::find(slot, state);
    if is_its_slot(slot, state) { found } else { Traces::default() }
}

/// A slot that is kept free.
struct Reserved(PathBuf, fs::File);

impl Reserved {
    /// Nothing if another fleet has the slot, from another test run perhaps.
    fn new(slot: u16) -> Option<Reserved> {
        let path = slot_directory(slot);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::create_dir(&path).ok()?;
        let directory = fs::File::open(&path).ok()?;
        directory.try_lock().ok()?;
        Some(Reserved(path, directory))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap();
        fs::remove_dir(self.0.parent().unwrap()).ok();
        self.1.unlock().unwrap();
    }
}

/// Asserts that nothing is left of a fleet of which there was `before`.
#[track_caller]
fn assert_nothing_left(slot: u16, state: &Path, before: &Traces) {
    let running: Vec<_> = before.processes.iter().filter(|pid| alive(**pid)).collect();
    assert!(running.is_empty(), "processes {running:?}");
    assert!(!state.exists() && !is_its_slot(slot, state));
    // Names count only while nobody else can have them. A fleet that has them got them because they were free.
    if let Some(_reserved) = Reserved::new(slot) {
        assert_eq!(Traces::find(slot, state), Traces::default());
    }
}

/// Asserts that nothing is left of a fleet that was complete.
#[track_caller]
fn assert_gone(fleet: &FleetDescription, before: &Traces) {
    assert!(!before.processes.is_empty() && before.namespaces.len() > fleet.ships.len(), "{before:?}");
    assert_nothing_left(fleet.slot, &fleet.state, before);
}

#[tokio::test]
async fn a_mixed_fleet_pulls_runs_and_is_reached_by_every_transport() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let fleet = PracticeFleet::builder().ships(&ALL).mixed().registry(Login::default()).up().await.unwrap();
    let description = fleet.description().clone();
    let releases: BTreeSet<&str> =
        fleet.ships().iter().map(|ship| ship.engine_version.get(..3).unwrap()).collect();
    assert_eq!(releases.len(), if PracticeFleet::has(EngineRelease::New) { 2 } else { 1 }, "{releases:?}");
    for (ship, transport) in fleet.ships().iter().zip(ALL) {
        assert_eq!(ship.transport.kind(), transport);
        fleet.ping(&ship.name, LONG).await.unwrap();
        let api = fleet.api(&ship.name).unwrap();
        let image = fleet.pull_image(&ship.name, "shop/web", "1.0").await.unwrap();
        api.run("web", &container(&image, 8080)).await.unwrap();
        eventually("the page of web", || async {
            fetch(ship, 8080, "/").await.is_some_and(|page| page.starts_with("shop/web 1.0 on "))
        })
        .await;
        assert_eq!(fetch(ship, 8080, "/healthz").await.as_deref(), Some("ok\n"));
    }
    let before = traces_of(description.slot, &description.state);
    fleet.down().await.unwrap();
    assert_gone(&description, &before);
}

#[tokio::test]
async fn the_registry_wants_its_login_and_engines_reach_nothing_else() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let fleet =
        PracticeFleet::builder().ships(&[TransportKind::Unix]).registry(Login::default()).up().await.unwrap();
    let api = fleet.api("ship-1").unwrap();
    let registry = fleet.description().registry.clone().unwrap();
    let repository = format!("{}/shop/web", registry.address);
    let wrong = Login { password: "wrong".to_owned(), ..registry.login.clone() };
    for login in [None, Some(&wrong)] {
        let refused = api.pull(&repository, "2.0", login).await.unwrap_err();
        assert!(matches!(refused, FleetError::Answer { .. }), "{refused}");
    }
    let started = Instant::now();
    let elsewhere = api.pull("registry.invalid/shop/web", "2.0", None).await.unwrap_err();
    assert!(matches!(elsewhere, FleetError::Answer { .. }), "{elsewhere}");
    // Nobody is asked who might not answer: that would take an engine half a minute.
    assert!(started.elapsed() < LONG / 3, "took {:?}", started.elapsed());

    fleet.set_registry_reachable(false).await.unwrap();
    let cut = tokio::time::timeout(SHORT, api.pull(&repository, "2.0", Some(&registry.login))).await;
    assert!(!matches!(cut, Ok(Ok(()))), "the registry was cut off");
    fleet.set_registry_reachable(true).await.unwrap();
    eventually("a pull", || async { api.pull(&repository, "2.0", Some(&registry.login)).await.is_ok() })
        .await;
}

#[tokio::test]
async fn every_ready_made_image_does_what_it_says_without_a_registry() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let fleet = PracticeFleet::builder().ships(&[TransportKind::Tcp]).up().await.unwrap();
    let ship = fleet.ship("ship-1").unwrap().clone();
    let api = fleet.api("ship-1").unwrap();
    let load = async |name| fleet.load_image("ship-1", name).await.unwrap();
    api.run("api", &container(&load("shop/api:2.0").await, 8080)).await.unwrap();
    api.run("db", &container(&load("shop/db:1.0").await, 5432)).await.unwrap();
    let mut broken = container(&load("shop/web:broken").await, 8081);
    broken.as_object_mut().unwrap().insert("Env".to_owned(), json!(["PORT=8081"]));
    api.run("broken", &broken).await.unwrap();
    for name in ["api", "db"] {
        let path = format!("/containers/{name}/json");
        eventually("a healthy container", || async {
            api.get(&path).await.unwrap().pointer("/State/Health/Status") == Some(&json!("healthy"))
        })
        .await;
    }
    eventually("the page of broken", || async { fetch(&ship, 8081, "/").await.is_some() }).await;
    assert!(fetch(&ship, 8081, "/healthz").await.unwrap().contains("404"), "broken has no /healthz");

    let base = load("bb:latest").await;
    api.run("shell", &json!({ "Image": base, "Cmd": ["sh", "-c", "exit 7"] })).await.unwrap();
    let ended = api.post("/containers/shell/wait", &Value::Null).await.unwrap();
    assert_eq!(ended.get("StatusCode"), Some(&json!(7)));

    // Told to stop, they do, before an engine loses its patience and kills them.
    for name in ["api", "db", "broken"] {
        api.post(&format!("/containers/{name}/stop"), &Value::Null).await.unwrap();
        let code = api.get(&format!("/containers/{name}/json")).await.unwrap();
        assert_eq!(code.pointer("/State/ExitCode"), Some(&json!(0)), "{name}");
    }
}

#[tokio::test]
async fn a_ship_that_is_cut_off_is_unreachable_until_it_is_restored() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let fleet = PracticeFleet::builder().ships(&ALL).up().await.unwrap();
    let port = 8080;
    for ship in fleet.ships() {
        let image = fleet.load_image(&ship.name, "shop/web:1.0").await.unwrap();
        fleet.api(&ship.name).unwrap().run("web", &container(&image, port)).await.unwrap();
        eventually("the page of web", || async { fetch(ship, port, "/").await.is_some() }).await;
    }
    for ship in fleet.ships() {
        fleet.cut_off(&ship.name).await.unwrap();
    }
    join_all(fleet.ships().iter().map(async |ship| {
        let (ping, page) = tokio::join!(fleet.ping(&ship.name, SHORT), fetch(ship, port, "/"));
        assert!(ping.is_err() && page.is_none(), "{} is cut off", ship.name);
        // The harness still sees into it.
        assert_eq!(fleet.api(&ship.name).unwrap().containers().await.unwrap(), ["web"]);
    }))
    .await;
    for ship in fleet.ships() {
        fleet.restore(&ship.name).await.unwrap();
        eventually("an answer after the cable is back", || async {
            fleet.ping(&ship.name, SHORT).await.is_ok() && fetch(ship, port, "/").await.is_some()
        })
        .await;
    }
}

#[tokio::test]
async fn engines_hang_crash_and_lose_their_power_and_come_back() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let fleet =
        PracticeFleet::builder().ships(&[TransportKind::Tcp, TransportKind::Ssh]).mixed().up().await.unwrap();
    join_all(fleet.ships().iter().map(async |ship| {
        let name = ship.name.as_str();
        let image = fleet.load_image(name, "shop/web:1.0").await.unwrap();
        let mut body = container(&image, 8080);
        *body.pointer_mut("/HostConfig").unwrap() = json!({
            "PortBindings": { "8080/tcp": [{ "HostPort": "8080" }] },
            "RestartPolicy": { "Name": "always" },
        });
        fleet.api(name).unwrap().run("web", &body).await.unwrap();
        let serves = || eventually("the page of web", || async { fetch(ship, 8080, "/").await.is_some() });
        serves().await;

        fleet.hang(name).await.unwrap();
        assert!(fleet.ping(name, SHORT).await.is_err(), "a hung engine does not answer");
        fleet.wake(name).unwrap();
        fleet.ping(name, LONG).await.unwrap();

        fleet.crash(name).await.unwrap();
        assert!(fleet.ping(name, SHORT).await.is_err(), "a crashed engine does not answer");
        fleet.start_again(name).await.unwrap();
        fleet.ping(name, LONG).await.unwrap();
        serves().await;

        fleet.power_off(name).await.unwrap();
        assert_eq!(fetch(ship, 8080, "/").await, None, "containers are gone with the power");
        fleet.start_again(name).await.unwrap();
        fleet.ping(name, LONG).await.unwrap();
        serves().await;

        fleet.restart_engine(name).await.unwrap();
        fleet.ping(name, LONG).await.unwrap();
        serves().await;
    }))
    .await;
    let description = fleet.description().clone();
    let before = traces_of(description.slot, &description.state);
    drop(fleet);
    assert_gone(&description, &before);
}

#[tokio::test]
async fn a_full_disk_stops_new_containers_until_there_is_room_again() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let plan = ShipPlan { transport: TransportKind::Unix, release: EngineRelease::Old, disk_mib: Some(64) };
    let fleet = PracticeFleet::builder().ship(plan).ship(plan).mixed().up().await.unwrap();
    for ship in fleet.ships() {
        let api = fleet.api(&ship.name).unwrap();
        let image = fleet.load_image(&ship.name, "bb:latest").await.unwrap();
        fleet.fill_disk(&ship.name).await.unwrap();
        let refused = api.run("no-room", &json!({ "Image": image })).await.unwrap_err();
        assert!(refused.to_string().contains("no space left on device"), "{refused}");
        fleet.free_disk(&ship.name).unwrap();
        api.run("room", &json!({ "Image": image })).await.unwrap();
    }
}

/// Whoever is frozen cannot be killed: nothing of a paused container may stay behind.
#[tokio::test]
async fn a_fleet_with_a_paused_container_comes_down_whole() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let fleet = PracticeFleet::builder().ships(&[TransportKind::Tcp]).up().await.unwrap();
    let api = fleet.api("ship-1").unwrap();
    let image = fleet.load_image("ship-1", "bb:latest").await.unwrap();
    api.run("frozen", &json!({ "Image": image, "Cmd": ["sleep", "1000"] })).await.unwrap();
    api.post("/containers/frozen/pause", &Value::Null).await.unwrap();
    // Fails, after its deadline, if anything is left.
    fleet.down().await.unwrap();
}

#[tokio::test]
async fn a_slow_ship_is_slow_where_the_kernel_can_do_that() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let fleet = PracticeFleet::builder().ships(&[TransportKind::Tcp]).up().await.unwrap();
    let delay = Duration::from_millis(300);
    match fleet.slow_down("ship-1", delay).await {
        Ok(()) => {
            let started = Instant::now();
            fleet.ping("ship-1", LONG).await.unwrap();
            assert!(started.elapsed() >= delay);
        }
        Err(error) => assert!(matches!(error, FleetError::Unsupported { .. }), "{error}"),
    }
    fleet.slow_down("ship-1", Duration::ZERO).await.unwrap();
    fleet.ping("ship-1", SHORT).await.unwrap();
}

#[tokio::test]
async fn two_fleets_side_by_side_do_not_meet() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let build = || PracticeFleet::builder().ships(&[TransportKind::Tcp]).registry(Login::default()).up();
    let (one, two) = tokio::join!(build(), build());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.description().subnet, two.description().subnet);
    one.load_image("ship-1", "bb:latest").await.unwrap();
    one.api("ship-1").unwrap().run("only-here", &json!({ "Image": "bb:latest" })).await.unwrap();
    assert_eq!(two.api("ship-1").unwrap().containers().await.unwrap(), Vec::<String>::new());
    let gone = one.description().clone();
    let before = traces_of(gone.slot, &gone.state);
    drop(one);
    assert_gone(&gone, &before);
    two.ping("ship-1", LONG).await.unwrap();
    two.pull_image("ship-1", "shop/web", "1.0").await.unwrap();
}

fn practice_fleet(arguments: &[&str], state: &Path) -> std::process::Output {
    Command::new(BINARY).args(arguments).arg("--state").arg(state).output().unwrap()
}

#[tokio::test]
async fn the_program_leaves_a_fleet_running_and_takes_it_down_again() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let directory = tempfile::tempdir().unwrap();
    // However one gets there, it is the same fleet.
    std::os::unix::fs::symlink(directory.path(), directory.path().join("link")).unwrap();
    let state = directory.path().join("link/fleet");
    let up = practice_fleet(&["up", "--ships", "2", "--mixed", "--registry"], &state);
    assert!(up.status.success(), "{up:?}");
    let env = practice_fleet(&["env"], &state);
    let description: FleetDescription = serde_json::from_slice(&env.stdout).unwrap();
    let before = traces_of(description.slot, &description.state);
    PracticeFleet::sweep().await.unwrap();
    let status = practice_fleet(&["status"], &directory.path().join("fleet"));
    assert!(status.status.success(), "a sweep leaves it alone: {status:?}");
    assert!(practice_fleet(&["fault", "cut", "ship-1"], &state).status.success());
    assert!(!practice_fleet(&["status"], &state).status.success(), "a ship is cut off");

    let again = practice_fleet(&["up"], &state);
    assert!(String::from_utf8_lossy(&again.stderr).contains("a fleet is up there"), "{again:?}");

    assert!(practice_fleet(&["down"], &state).status.success());
    assert_gone(&description, &before);
    let twice = practice_fleet(&["down"], &state);
    assert!(twice.status.success(), "taking down what is not there is no error: {twice:?}");
}

#[tokio::test]
async fn a_directory_with_other_files_is_never_taken() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("precious"), "x").unwrap();
    let up = practice_fleet(&["up"], directory.path());
    assert!(String::from_utf8_lossy(&up.stderr).contains("not empty"), "{up:?}");
    assert!(practice_fleet(&["down"], directory.path()).status.success());
    assert!(directory.path().join("precious").exists());
}

/// Kills `up` when it has got so far that `reached` says so, and finds out which slot it had.
async fn kill_half_way(state: &Path, reached: impl Fn(u16) -> bool) -> u16 {
    let mut up = Command::new(BINARY)
        .args(["up", "--ships", "3", "--registry", "--state"])
        .arg(state)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let slot = || fs::read_to_string(state.join("slot")).ok()?.parse().ok();
    eventually("a half-built fleet", || async { slot().is_some_and(&reached) }).await;
    let slot = slot().unwrap();
    up.kill().unwrap();
    up.wait().unwrap();
    slot
}

#[tokio::test]
async fn an_interrupted_up_removes_what_it_made() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.read().await;
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("fleet");
    let mut up = Command::new(BINARY).args(["up", "--registry", "--state"]).arg(&state).spawn().unwrap();
    let slot = || fs::read_to_string(state.join("slot")).ok()?.parse::<u16>().ok();
    let engine = |slot| PathBuf::from(format!("/run/maestro-practice/{slot}/s2/docker.pid"));
    eventually("a starting engine", || async { slot().is_some_and(|slot| engine(slot).exists()) }).await;
    let slot = slot().unwrap();
    let before = traces_of(slot, &state);
    kill_process(Pid::from_child(&up), Signal::INT).unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(130));
    assert!(!before.processes.is_empty());
    assert_nothing_left(slot, &state, &before);
}

/// Whether the fleet in a slot and state directory has got to a certain point.
type Stage = fn(u16, &Path) -> bool;

#[tokio::test]
async fn what_a_killed_owner_leaves_is_removed_by_down() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.write().await;
    let directory = tempfile::tempdir().unwrap();
    let stages: [Stage; 3] = [
        |_, _| true,
        |slot, _| Path::new(&format!("/run/netns/mp{slot}s1")).exists(),
        |slot, _| Path::new(&format!("/run/maestro-practice/{slot}/s2/docker.pid")).exists(),
    ];
    for (number, stage) in stages.into_iter().enumerate() {
        let state = directory.path().join(number.to_string());
        let slot = kill_half_way(&state, |slot| stage(slot, &state)).await;
        let before = traces_of(slot, &state);
        let down = practice_fleet(&["down"], &state);
        assert!(down.status.success(), "{down:?}");
        assert_nothing_left(slot, &state, &before);
    }
}

#[tokio::test]
async fn what_a_killed_owner_leaves_is_removed_by_the_next_fleet() {
    if !possible() {
        return;
    }
    let _abandoned = ABANDONED.write().await;
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("fleet");
    let slot = kill_half_way(&state, |slot| {
        Path::new(&format!("/run/maestro-practice/{slot}/s1/docker.pid")).exists()
    })
    .await;
    let before = traces_of(slot, &state);
    let next = PracticeFleet::builder().ships(&[TransportKind::Unix]).up().await.unwrap();
    assert_nothing_left(slot, &state, &before);
    EngineApi::unix(&next.ship("1").unwrap().harness_socket).ping(SHORT).await.unwrap();
}
