//! The state machine: laws that hold whatever is asked of it, and the cases that the suite cannot make happen.

use crate::world::{IMAGE, config};
use jiff::{SignedDuration, Timestamp};
use maestro_core::fleet::{ContainerState, Health};
use maestro_testkit::state::{
    Behaviour, Change, Container, Content, CreateConfig, Edition, Ends, HostConfig, HostPort, Machine,
    Removal, RestartPolicy, Stopping,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const T0: Timestamp = Timestamp::constant(1_767_225_600, 0);
const GONE: Removal = Removal { volumes: true, force: false };

fn after(millis: i64) -> Timestamp {
    T0 + SignedDuration::from_millis(millis)
}

fn machine(behaviour: Behaviour) -> Machine {
    let mut machine = Machine::new(Edition::V20, "test", "192.0.2.1");
    machine.add_image(IMAGE, &Content::new("app", behaviour), T0);
    machine
}

fn restarting(policy: &str, tries: i64) -> CreateConfig {
    let policy = RestartPolicy { name: Some(policy.to_owned()), maximum_retry_count: Some(tries) };
    CreateConfig {
        host_config: HostConfig { restart_policy: Some(policy), ..HostConfig::default() },
        ..config()
    }
}

fn publishing(host_ip: &str, host_port: &str) -> CreateConfig {
    let host = HostPort { host_ip: Some(host_ip.to_owned()), host_port: Some(host_port.to_owned()) };
    CreateConfig {
        exposed_ports: Some(BTreeMap::from([("80/tcp".to_owned(), serde_json::json!({}))])),
        host_config: HostConfig {
            port_bindings: Some(BTreeMap::from([("80/tcp".to_owned(), Some(vec![host]))])),
            ..HostConfig::default()
        },
        ..config()
    }
}

#[test]
fn restart_policies_decide_about_the_end() {
    // (policy, tries, exit code, starts within ten seconds, state then)
    let cases = [
        ("no", 0, 1, 1, ContainerState::Exited),
        ("always", 0, 0, 7, ContainerState::Restarting),
        ("unless-stopped", 0, 3, 7, ContainerState::Restarting),
        ("on-failure", 0, 0, 1, ContainerState::Exited),
        ("on-failure", 2, 1, 3, ContainerState::Exited),
    ];
    for (policy, tries, code, starts, state) in cases {
        let mut machine = machine(Behaviour::exits(Duration::ZERO, code));
        machine.create("web-1", restarting(policy, tries), T0).unwrap();
        machine.start("web-1", T0).unwrap();
        machine.advance(after(10_000));
        let container = machine.get("web-1").unwrap();
        assert_eq!((container.starts, container.state), (starts, state), "{policy} {tries} {code}");
        assert_eq!(container.exit_code, code);
    }
}

#[test]
fn a_stop_is_for_good() {
    let mut machine = machine(Behaviour::forever());
    machine.create("web-1", restarting("always", 0), T0).unwrap();
    machine.start("web-1", T0).unwrap();
    machine.crash("web-1", 1, after(20_000)).unwrap();
    assert_eq!(machine.get("web-1").unwrap().state, ContainerState::Restarting);
    assert!(matches!(machine.stop("web-1", Duration::ZERO, after(20_010)), Ok(Stopping::Begun { .. })));
    machine.advance(after(90_000));
    assert_eq!(machine.get("web-1").unwrap().state, ContainerState::Exited);
}

#[test]
fn a_stop_waits_for_who_does_not_listen() {
    let mut machine = machine(Behaviour::ignores_term());
    machine.create("web-1", config(), T0).unwrap();
    machine.start("web-1", T0).unwrap();
    let Ok(Stopping::Begun { id, start }) = machine.stop("web-1", Duration::from_secs(10), after(5)) else {
        panic!("it runs");
    };
    machine.advance(after(10_004));
    assert!(!machine.has_stopped(&id, start));
    assert_eq!(machine.next_wake(), Some(after(10_005)));
    machine.advance(after(10_005));
    assert!(machine.has_stopped(&id, start));
    assert_eq!(machine.get("web-1").unwrap().exit_code, 137);
}

#[test]
fn health_follows_its_script() {
    let changes =
        vec![(Duration::from_secs(2), Health::Healthy), (Duration::from_secs(5), Health::Unhealthy)];
    let mut machine = machine(Behaviour::forever().with_health(changes));
    machine.create("web-1", config(), T0).unwrap();
    machine.start("web-1", T0).unwrap();
    let mut at = |millis| {
        machine.advance(after(millis));
        machine.get("web-1").unwrap().health
    };
    assert_eq!(at(0), Some(Health::Starting));
    assert_eq!(at(2_000), Some(Health::Healthy));
    assert_eq!(at(5_000), Some(Health::Unhealthy));
}

#[test]
fn a_first_start_may_fail_and_the_second_succeed() {
    let ends = Ends::FirstStarts { starts: 1, after: Duration::from_millis(10), code: 2 };
    let mut machine = machine(Behaviour { ends, ..Behaviour::default() });
    machine.create("web-1", config(), T0).unwrap();
    machine.start("web-1", T0).unwrap();
    machine.advance(after(10));
    assert_eq!(machine.get("web-1").unwrap().exit(), Some(2));
    machine.start("web-1", after(20)).unwrap();
    machine.advance(after(60_000));
    assert_eq!(machine.get("web-1").unwrap().state, ContainerState::Running);
}

#[test]
fn ports_conflict_as_addresses_do() {
    // (first, second, whether both may run)
    let cases = [
        (("0.0.0.0", "80"), ("0.0.0.0", "80"), false),
        (("", "80"), ("127.0.0.1", "80"), false),
        (("127.0.0.1", "80"), ("0.0.0.0", "80"), false),
        (("127.0.0.1", "80"), ("192.0.2.1", "80"), true),
        (("0.0.0.0", "80"), ("0.0.0.0", "81"), true),
        (("0.0.0.0", "80-81"), ("0.0.0.0", "80-81"), true),
        (("0.0.0.0", ""), ("0.0.0.0", ""), true),
        (("198.51.100.1", "80"), ("0.0.0.0", "81"), false),
    ];
    for (first, second, both) in cases {
        let mut machine = machine(Behaviour::forever());
        machine.create("web-1", publishing(first.0, first.1), T0).unwrap();
        machine.create("web-2", publishing(second.0, second.1), T0).unwrap();
        let result = machine.start("web-1", T0).and_then(|_| machine.start("web-2", T0));
        assert_eq!(result.is_ok(), both, "{first:?} {second:?}: {result:?}");
    }
}

#[test]
fn a_failed_start_is_remembered_and_can_be_repeated() {
    let mut machine = machine(Behaviour::forever());
    machine.occupy(80);
    machine.create("web-1", publishing("0.0.0.0", "80"), T0).unwrap();
    let no = machine.start("web-1", T0).unwrap_err();
    assert_eq!(no.status, 500);
    assert!(no.message.starts_with("driver failed programming external connectivity on endpoint web-1 ("));
    assert!(no.message.ends_with("): Bind for 0.0.0.0:80 failed: port is already allocated"), "{no}");
    let container = machine.get("web-1").unwrap();
    assert_eq!((container.state, container.exit_code), (ContainerState::Created, 128));
    assert_eq!(container.error, no.message);
}

#[test]
fn creates_are_refused_as_dockerd_refuses_them() {
    let host = |change: fn(&mut HostConfig)| {
        let mut host = HostConfig::default();
        change(&mut host);
        CreateConfig { host_config: host, ..config() }
    };
    let cases = [
        ("w b", config(), 400, "Invalid container name (w b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ("web-1", CreateConfig { image: "nope".into(), ..config() }, 404, "No such image: nope:latest"),
        (
            "web-1",
            restarting("always", 3),
            400,
            "maximum retry count cannot be used with restart policy 'always'",
        ),
        ("web-1", restarting("never", 0), 400, "invalid restart policy 'never'"),
        ("web-1", host(|h| h.memory = Some(100)), 400, "Minimum memory limit allowed is 6MB"),
        (
            "web-1",
            host(|h| h.links = Some(vec!["db:db".into()])),
            400,
            "could not get container for db: No such container: db",
        ),
        ("web-1", host(|h| h.volumes_from = Some(vec!["db".into()])), 400, "No such container: db"),
        ("web-1", host(|h| h.binds = Some(vec!["/a:/b:zz".into()])), 500, "invalid mode: zz"),
        ("web-1", publishing("0.0.0.0", "99999"), 400, "invalid port specification: \"99999\""),
    ];
    for (name, config, status, message) in cases {
        let mut machine = machine(Behaviour::forever());
        let no = machine.create(name, config, T0).unwrap_err();
        assert_eq!((no.status, no.message.as_str()), (status, message));
        assert_eq!(machine.count(), 0);
    }
}

#[test]
fn neighbours_must_run_when_they_are_needed() {
    let mut machine = machine(Behaviour::forever());
    machine.create("db", config(), T0).unwrap();
    let links = HostConfig { links: Some(vec!["db:store".into()]), ..HostConfig::default() };
    machine.create("web-1", CreateConfig { host_config: links, ..config() }, T0).unwrap();
    let no = machine.start("web-1", T0).unwrap_err();
    assert_eq!(no.message, "Cannot link to a non running container: /db AS /web-1/store");
    machine.start("db", T0).unwrap();
    assert_eq!(machine.start("web-1", T0), Ok(Change::Done));
}

#[test]
fn what_cannot_be_removed_is_dead() {
    let mut machine = machine(Behaviour { unremovable: true, ..Behaviour::default() });
    machine.create("web-1", config(), T0).unwrap();
    assert_eq!(machine.remove("web-1", GONE, T0).unwrap_err().status, 500);
    assert_eq!(machine.get("web-1").unwrap().state, ContainerState::Dead);
    assert_eq!(machine.start("web-1", T0).unwrap_err().status, 409);
}

#[test]
fn removing_without_volumes_is_refused() {
    let mut machine = machine(Behaviour::forever());
    machine.create("web-1", config(), T0).unwrap();
    let no = machine.remove("web-1", Removal { volumes: false, force: false }, T0).unwrap_err();
    assert!(no.message.starts_with("strict fake:"), "{no}");
}

#[test]
fn a_moved_tag_takes_its_name_from_a_container() {
    let mut machine = machine(Behaviour::forever());
    machine.create("web-1", config(), T0).unwrap();
    let shown = |machine: &Machine| machine.shown_image(machine.get("web-1").unwrap()).to_owned();
    assert_eq!(shown(&machine), IMAGE);
    assert!(machine.add_image(IMAGE, &Content::new("app 2", Behaviour::forever()), T0));
    assert_eq!(shown(&machine), machine.get("web-1").unwrap().content.id.as_str());
}

/// Something that anybody might ask of an engine.
#[derive(Debug, Clone)]
enum Ask {
    Create(usize),
    Start(usize),
    Stop(usize, u64),
    Kill(usize),
    Remove(usize),
    Pause(usize),
    Unpause(usize),
    Crash(usize, i64),
    Rename(usize, usize),
    Wait(i64),
}

const NAMES: [&str; 3] = ["web-1", "web-2", "db"];

fn ask() -> impl Strategy<Value = Ask> {
    let name = 0..NAMES.len();
    prop_oneof![
        name.clone().prop_map(Ask::Create),
        name.clone().prop_map(Ask::Start),
        (name.clone(), 0..3_u64).prop_map(|(n, grace)| Ask::Stop(n, grace)),
        name.clone().prop_map(Ask::Kill),
        name.clone().prop_map(Ask::Remove),
        name.clone().prop_map(Ask::Pause),
        name.clone().prop_map(Ask::Unpause),
        (name.clone(), 0..3_i64).prop_map(|(n, code)| Ask::Crash(n, code)),
        (name.clone(), name).prop_map(|(a, b)| Ask::Rename(a, b)),
        (1..5_000_i64).prop_map(Ask::Wait),
    ]
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        Just(Behaviour::forever()),
        Just(Behaviour::ignores_term()),
        (0..3_000_u64, 0..3_i64)
            .prop_map(|(millis, code)| Behaviour::exits(Duration::from_millis(millis), code)),
        (0..3_000_u64).prop_map(|millis| Behaviour::healthy(Duration::from_millis(millis))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked: names stay unique, states and their marks agree, times are in order, ports are held by
    /// running containers only and by one each, and every event is about something that there was.
    #[test]
    fn the_laws_hold(
        behaviour in behaviour(),
        policy in prop::sample::select(vec!["no", "always", "on-failure", "unless-stopped"]),
        asks in prop::collection::vec(ask(), 1..60),
    ) {
        let mut machine = machine(behaviour);
        let mut millis = 0;
        for ask in asks {
            let now = after(millis);
            machine.advance(now);
            let before = machine.count();
            // Refusals are right answers; what matters is the state that they leave.
            match &ask {
                Ask::Create(n) => {
                    let existed = machine.get(NAMES[*n]).is_ok();
                    let mut config = restarting(policy, 0);
                    let publish = publishing("0.0.0.0", "8080");
                    config.exposed_ports = publish.exposed_ports;
                    config.host_config.port_bindings = publish.host_config.port_bindings;
                    let created = machine.create(NAMES[*n], config, now);
                    prop_assert_eq!(created.is_ok(), !existed);
                }
                Ask::Start(n) => _ = machine.start(NAMES[*n], now),
                Ask::Stop(n, grace) => _ = machine.stop(NAMES[*n], Duration::from_secs(*grace), now),
                Ask::Kill(n) => {
                    let ran = machine.get(NAMES[*n]).is_ok_and(Container::is_running);
                    prop_assert_eq!(machine.kill(NAMES[*n], None, now).is_ok(), ran);
                    if ran {
                        prop_assert!(!machine.get(NAMES[*n]).unwrap().is_running());
                    }
                }
                Ask::Remove(n) => {
                    let idle = machine.get(NAMES[*n]).is_ok_and(|c| !c.is_running());
                    prop_assert_eq!(machine.remove(NAMES[*n], GONE, now).is_ok(), idle);
                    prop_assert_eq!(machine.count(), before - usize::from(idle));
                }
                Ask::Pause(n) => _ = machine.pause(NAMES[*n], now),
                Ask::Unpause(n) => _ = machine.unpause(NAMES[*n], now),
                Ask::Crash(n, code) => _ = machine.crash(NAMES[*n], *code, now),
                Ask::Rename(a, b) => _ = machine.rename(NAMES[*a], NAMES[*b], now),
                Ask::Wait(more) => millis += more,
            }
            machine.advance(after(millis));
            laws(&machine, after(millis))?;
        }
    }
}

fn laws(machine: &Machine, now: Timestamp) -> Result<(), TestCaseError> {
    let all = machine.containers();
    let mut names: Vec<&str> = all.iter().map(|c| &*c.name).collect();
    names.sort_unstable();
    names.dedup();
    prop_assert_eq!(names.len(), all.len());
    let mut ports = Vec::new();
    for container in &all {
        prop_assert_eq!(&machine.get(&container.name).unwrap().id, &container.id);
        prop_assert_eq!(&machine.get(&container.id.as_str()[..12]).unwrap().id, &container.id);
        prop_assert_eq!(container.started_at.is_some(), container.starts > 0);
        prop_assert_eq!(container.state == ContainerState::Created, container.starts == 0);
        prop_assert!(container.has_process() || container.published.is_empty());
        prop_assert!(container.started_at.is_none_or(|at| at >= container.created_at && at <= now));
        prop_assert!(container.finished_at.is_none_or(|at| at <= now));
        // It is counted when the process has ended, whether it comes to a start or not.
        prop_assert!(container.restarts <= container.starts);
        ports.extend(container.published.iter().map(|p| p.host));
    }
    prop_assert!(ports.len() <= 1, "one port, held twice: {:?}", ports);
    let mut number = 0;
    let mut last = T0;
    while let Some((found, event)) = machine.events().get(number) {
        prop_assert!(event.at >= last, "{:?} is older than the one before it", event);
        last = event.at;
        number = found + 1;
    }
    Ok(())
}
