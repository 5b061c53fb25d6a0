//! Ctrl-C: the first lets what is under way come to its end, the second does not wait for it.

use super::shell::{Ran, Shell};
use super::site::{SHOP, Site, until};
use maestro_core::boundary::LogStream;
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use maestro_testkit::state::{Behaviour, Content, OnTerm};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// Long enough for a Ctrl-C in the middle of it, short enough to wait for.
const A_WHILE: Duration = Duration::from_millis(400);
/// Nothing that is waited for takes less.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Whether something of this kind has been asked of a container.
fn asked(site: &Site, operation: Operation, name: &str) -> bool {
    site.writes().iter().any(|write| write.operation == operation && write.subject == name)
}

/// A shop that runs, whose containers do this on SIGTERM.
async fn running_shop(on_term: OnTerm) -> Site {
    let behaviour = Behaviour { on_term, ..Behaviour::default() };
    let site = Site::with(SHOP, |setup| {
        let content = |words| Content::new(words, behaviour.clone());
        setup.image("shop/db:1", &content("db")).image("shop/web:2.0", &content("web"))
    });
    site.run("start").await.ok();
    site.clear_writes();
    site
}

fn states(site: &Site) -> [&'static str; 3] {
    ["db-1", "web-1", "web-2"].map(|name| site.state(name))
}

#[tokio::test]
async fn the_first_lets_a_start_come_to_its_end() {
    let site = Site::slow(SHOP, &Latency::default().but(Operation::Create, A_WHILE));
    site.run("pull").await.ok();
    let start = site.shell.spawn("start");
    until("db-1 is being created", || asked(&site, Operation::Create, "db-1")).await;
    start.interrupt();
    let ran = start.end().await.exits(1);
    assert_eq!(states(&site), ["running", "absent", "absent"], "{}", ran.all());
    insta::assert_snapshot!(site.redacted(&ran));
    // It goes on from there, as it said.
    site.run("start").await.ok().says("2 started, 1 unchanged");
}

#[tokio::test]
async fn the_first_lets_a_stop_come_to_its_end() {
    let site = running_shop(OnTerm::Exits(A_WHILE, 0)).await;
    let stop = site.shell.spawn("stop --all -c 1");
    until("web-1 is being stopped", || asked(&site, Operation::Stop, "web-1")).await;
    stop.interrupt();
    let ran = stop.end().await.exits(1);
    assert_eq!(states(&site), ["running", "exited", "running"], "{}", ran.all());
    insta::assert_snapshot!(site.redacted(&ran));
}

/// A restarted container is there again: it is not left stopped, removed or created.
#[tokio::test]
async fn the_first_leaves_nothing_half_restarted() {
    let site = running_shop(OnTerm::Exits(A_WHILE, 0)).await;
    let restart = site.shell.spawn("restart -c 1 --progress quiet");
    until("web-1 is being stopped", || asked(&site, Operation::Stop, "web-1")).await;
    restart.interrupt();
    let ran = restart.end().await.exits(1).says("1 restarted, 2 left by the interrupt");
    assert_eq!(states(&site), ["running"; 3], "{}", ran.all());
    assert!(asked(&site, Operation::Create, "web-1") && !asked(&site, Operation::Stop, "web-2"));
}

/// Starts a command, presses Ctrl-C when it is so far, and again when the first has been heard.
async fn press_twice(site: &Site, line: &str, so_far: impl FnMut() -> bool) -> (Ran, Duration) {
    let mut running = site.shell.spawn(line);
    until(line, so_far).await;
    running.interrupt();
    running.until_it_says("Ctrl-C again stops at once").await;
    let pressed = tokio::time::Instant::now();
    running.interrupt();
    let ran = running.end().await;
    (ran, pressed.elapsed())
}

#[tokio::test]
async fn the_second_stops_at_once() {
    let site = running_shop(OnTerm::Ignores).await;
    let stopping = || asked(&site, Operation::Stop, "web-1") && asked(&site, Operation::Stop, "web-2");
    let (ran, took) = press_twice(&site, "stop --all", stopping).await;
    assert!(took < AT_ONCE, "{took:?} for a stop with a grace of 10 s: {}", ran.all());
    assert_eq!(states(&site), ["running"; 3]);
    insta::assert_snapshot!(site.redacted(&ran.exits(1)));
}

#[tokio::test]
async fn the_second_does_not_wait_for_an_engine_that_hangs() {
    let site = Site::new(SHOP);
    site.run("pull").await.ok();
    site.atlantic.set_faults(Faults::none().and(On::Writes, When::Always, Fault::Hangs));
    let creating = || asked(&site, Operation::Create, "db-1");
    let (ran, took) = press_twice(&site, "start", creating).await;
    assert!(took < AT_ONCE, "{took:?} for a call that may take 30 s: {}", ran.all());
    ran.exits(1).says("1 call was abandoned and may still take effect: see `maestro status`");
}

/// Nothing has been done yet: one is enough.
#[tokio::test]
async fn while_the_ships_are_looked_at_one_is_enough() {
    let site = Site::new(SHOP);
    site.atlantic.set_faults(Faults::hung());
    let looking = || !site.atlantic.calls().is_empty();
    for line in ["start", "stop --all", "restart --refresh-images --only-if-changed", "start --output json"] {
        site.clear_writes();
        let began = tokio::time::Instant::now();
        let running = site.shell.spawn(line);
        until("the hung ship is asked", looking).await;
        running.interrupt();
        running.end().await.exits(1).says("no container was touched");
        assert!(began.elapsed() < AT_ONCE, "{line}: {:?}", began.elapsed());
        assert_eq!(site.writes(), [], "{line}");
    }
}

#[tokio::test]
async fn reading_commands_end_at_once() {
    let site = Site::new(SHOP);
    site.atlantic.set_faults(Faults::hung());
    for line in ["status", "status --output json", "plan start", "logs db", "exec db-1 true"] {
        site.clear_writes();
        let began = tokio::time::Instant::now();
        let running = site.shell.spawn(line);
        until("the hung ship is asked", || !site.atlantic.calls().is_empty()).await;
        running.interrupt();
        let ran = running.end().await.exits(1);
        assert_eq!((&*ran.stdout, &*ran.stderr), ("", "ERROR: interrupted\n"), "{line}");
        assert!(began.elapsed() < AT_ONCE, "{line}: {:?}", began.elapsed());
    }
}

/// That is how one leaves them.
#[tokio::test]
async fn following_ends_well() {
    let says = Behaviour::forever().says(LogStream::Stdout, "listening");
    let site = Site::with(SHOP, |setup| setup.image("shop/db:1", &Content::new("db", says.clone())));
    site.run("start db").await.ok();
    let mut logs = site.shell.spawn("logs -F -n 5 db");
    logs.until_it_writes("listening").await;
    logs.interrupt();
    logs.end().await.ok();
    let mut events = site.shell.spawn("events --since 10m");
    events.until_it_writes("start").await;
    events.interrupt();
    events.end().await.ok();
}

/// Where nothing runs there is nothing to wait for: a script goes on.
#[tokio::test]
async fn following_nothing_ends_at_once() {
    let says = Behaviour::forever().says(LogStream::Stdout, "one").says(LogStream::Stdout, "two");
    let site = Site::with(SHOP, |setup| setup.image("shop/db:1", &Content::new("db", says.clone())));
    site.run("logs -F db").await.ok().says("db-1 (on atlantic) is not running!");
    site.run("start db").await.ok();
    site.run("stop db").await.ok();
    site.run("logs -F db web").await.ok().says("one").says("two");
    site.run("logs -F -n 1 db").await.ok().never_says("one").says("two");
    site.atlantic.set_faults(Faults::unreachable());
    site.run("logs -F db").await.exits(1).says("host down");
}

/// A service manager's way to say the same.
#[tokio::test]
async fn sigterm_is_heard_too() {
    let site = Site::slow(SHOP, &Latency::default().but(Operation::Create, A_WHILE));
    let start = site.shell.spawn("start --progress quiet");
    until("db-1 is being created", || asked(&site, Operation::Create, "db-1")).await;
    start.send(rustix::process::Signal::TERM);
    start.end().await.exits(1).says("1 started, 2 left by the interrupt");
    assert_eq!(states(&site), ["running", "absent", "absent"]);
}

/// The terminal sends Ctrl-C to a whole group of processes: a proxy of ssh's in Maestro's would end, and with it what is
/// in flight.
#[tokio::test]
async fn ssh_is_out_of_reach_of_the_terminals_ctrl_c() {
    let shell = Shell::empty();
    shell.write(
        "ssh",
        "#!/bin/sh\nread -r pid name state parent group rest < /proc/$$/stat\necho $$ $group > group\nexit 255\n",
    );
    std::fs::set_permissions(shell.file("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    shell.write(
        "maestro.yaml",
        "__maestro: {schema: 2}\nname: far\nships: {box: {ip: 127.0.0.1, ssh_tunnel: {user: nobody, key: id}}}\n\
         services: {web: {image: web:1, instances: {web-1: {ship: box}}}}\n",
    );
    shell.run("status").await;
    let seen = std::fs::read_to_string(shell.file("group")).unwrap();
    let (process, group) = seen.trim().split_once(' ').unwrap();
    assert_eq!(process, group, "ssh leads a group of its own");
}
