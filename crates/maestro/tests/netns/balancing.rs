//! Real load balancers on loopback: requests keep coming while what is behind them changes, and none is lost.

use super::site::until;
use maestro::balance::Balancing;
use maestro::engine::EngineOptions;
use maestro_core::balance::{Endpoint, Rotation, RouteChange, Standing, configuration};
use maestro_core::boundary::FrontEndError;
use maestro_core::config::{Limits, load};
use maestro_core::model::{Balancer, Environment, Portion};
use maestro_core::names::InstanceName;
use maestro_core::source::MapSources;
use maestro_testkit::backend::Backend;
use maestro_testkit::load::{Load, Running};
use maestro_testkit::practice::LoadBalancer;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Half as much again as is asked for.
const RATE: u32 = 300;

/// Two front ends of one kind on this machine.
struct Edge {
    kind: LoadBalancer,
    dir: TempDir,
    environment: Environment,
    balancing: Balancing,
    programs: BTreeMap<&'static str, Child>,
    rotation: Rotation,
    _ports: [UdpSocket; 4],
}

const NAMES: [&str; 2] = ["left", "right"];

/// Ports that nobody listens on, all of them different, and none that a connection is given for its own end: while a
/// front end is down, who tries to reach it would sooner or later reach himself. As long as the sockets are there, no
/// other test takes them, which asks for the same numbers of UDP.
fn free_ports<const N: usize>() -> [(u16, UdpSocket); N] {
    let from = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let taken = |port| {
        let mine = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok().then_some((port, mine))
    };
    let mut free = (from..32_768).filter_map(taken);
    [(); N].map(|()| free.next().unwrap())
}

impl Edge {
    /// Both run, and have no one behind them. `reload` is a shell's words for what makes one reload; `$1` is its process.
    async fn up(kind: LoadBalancer, reload: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (program, libraries) = kind.program().unwrap_or_else(|error| panic!("{error}"));
        let mut text =
            "name: t\nships: {a: {ip: 127.0.0.1}}\nservices:\n  web: {image: w, ports: {http: 80}, \
                        instances: {web-0: {ship: a}}}\nbalancers:\n"
                .to_owned();
        let taken = free_ports::<4>();
        let ports = taken.each_ref().map(|(port, _)| *port);
        for (name, ports) in NAMES.into_iter().zip(ports.chunks(2)) {
            let at = |file: &str| dir.path().join(format!("{name}.{file}")).display().to_string();
            std::fs::create_dir(at("files")).unwrap();
            let (check, global, defaults) = match kind {
                LoadBalancer::Haproxy => ("-c -f", String::new(), String::new()),
                LoadBalancer::Nginx => {
                    let directories = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                        .map(|of| format!("{of}_temp_path {}/{of};", at("files")));
                    let global = format!("pid {}; user root;", at("pid"));
                    (r"-t -q -c", global, format!("access_log off; {}", directories.join(" ")))
                }
            };
            write!(
                text,
                "  {name}:\n    kind: {}\n    local: true\n    config: {}\n    listen: '127.0.0.1:{}'\n    status: {}\n    \
                 drain: 1s\n    timeout: 20s\n    check: [env, 'LD_LIBRARY_PATH={}', '{}', {}, '{{file}}']\n    \
                 reload: [sh, -c, '{reload}', sh, '{}']\n    global: '{global}'\n    defaults: '{defaults}'\n    \
                 routes: [{{host: shop.example.com, service: web, port: http}}]\n",
                kind.name(),
                at("cfg"),
                ports[0],
                ports[1],
                libraries.display(),
                program.display(),
                check.replace(' ', ", "),
                at("pid"),
            )
            .unwrap();
        }
        let loaded = load(&MapSources::of(text.clone()), &Limits::default());
        let environment = loaded.environment.unwrap_or_else(|| panic!("{text}\n{:?}", loaded.diagnostics));
        let balancing = Balancing::new(&environment, &BTreeMap::new(), &EngineOptions::default());
        let mut rotation = Rotation::all(&environment);
        rotation.withdraw(&"web-0".into());
        let ports = taken.map(|(_, socket)| socket);
        let mut edge =
            Self { kind, dir, environment, balancing, programs: BTreeMap::new(), rotation, _ports: ports };
        for name in NAMES {
            let balancer = &edge.environment.balancers[name];
            let empty = configuration(balancer, &edge.rotation.endpoints()).unwrap();
            std::fs::write(&*balancer.config, &*empty.text).unwrap();
            edge.start(name);
        }
        for name in NAMES {
            edge.answers(name).await;
        }
        edge
    }

    fn path(&self, name: &str, file: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.{file}"))
    }

    /// Starts a front end with the configuration that is there.
    fn start(&mut self, name: &'static str) {
        use std::os::unix::process::CommandExt as _;
        let (program, libraries) = self.kind.program().unwrap();
        let balancer = &self.environment.balancers[name];
        let log = std::fs::File::options().create(true).append(true).open(self.path(name, "log")).unwrap();
        let mut command = Command::new(program);
        match self.kind {
            LoadBalancer::Haproxy => {
                command.args(["-W", "-db", "-f", &balancer.config, "-p"]).arg(self.path(name, "pid"))
            }
            LoadBalancer::Nginx => command.args(["-g", "daemon off;", "-c", &balancer.config]),
        };
        command.env("LD_LIBRARY_PATH", libraries).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let child = command.spawn().unwrap();
        self.programs.insert(name, child);
    }

    /// It answers, and is ready for signals: only then it writes down which process it is.
    async fn answers(&self, name: &str) {
        until(&format!("{name} answers"), async || TcpStream::connect(self.address(name)).is_ok()).await;
        let (process, file) = (self.programs[name].id().to_string(), self.path(name, "pid"));
        until(&format!("{name} has said who it is"), async || {
            std::fs::read_to_string(&file).is_ok_and(|said| said.trim() == process)
        })
        .await;
    }

    /// Kills a front end, all processes of it.
    fn kill(&mut self, name: &str) {
        let mut child = self.programs.remove(name).unwrap();
        kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
    }

    fn address(&self, name: &str) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.environment.balancers[name].listen[0].port))
    }

    fn balancers(&self) -> impl Iterator<Item = &Balancer> {
        self.environment.balancers.values()
    }

    fn load(&self) -> Running {
        let front_ends = NAMES.map(|name| self.address(name)).into();
        let (host, path) = ("shop.example.com".to_owned(), "/".to_owned());
        Load { front_ends, host, path, rate: RATE, keeping: 12, fresh: 12 }.start()
    }

    fn admit(&mut self, name: &str, backend: &Backend) {
        self.rotation.put(Endpoint {
            service: "web".into(),
            instance: name.into(),
            port: "http".into(),
            address: "127.0.0.1".into(),
            number: backend.address().port(),
            standing: Standing::In,
            portion: None,
            weight: Endpoint::WEIGHT,
        });
    }

    async fn publish(&self) {
        let published = self.balancing.publish(self.balancers(), &self.rotation).await;
        published.unwrap_or_else(|error| panic!("{error}\n{}", self.logs()));
    }

    fn logs(&self) -> String {
        let read = |name: &&str| std::fs::read_to_string(self.path(name, "log")).unwrap_or_default();
        NAMES.iter().map(read).collect()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        for child in self.programs.values_mut() {
            kill_process_group(Pid::from_child(child), Signal::KILL).ok();
            child.wait().ok();
        }
    }
}

/// Two new backends for the next round.
async fn backends(round: u32) -> Vec<(InstanceName, Backend)> {
    let mut made = Vec::new();
    for number in 1..=2 {
        let name = format!("web-{round}-{number}");
        let backend = Backend::start(&name, Duration::from_millis(20)).await.unwrap();
        made.push((name.as_str().into(), backend));
    }
    made
}

/// What a deployment does: the new ones in, the old ones drained, each acknowledged, and then the old ones stopped. At
/// one of twenty times a front end is killed while it is told.
#[expect(clippy::print_stdout, reason = "figures, for people")]
async fn no_request_is_lost(kind: LoadBalancer, reload: &str, rounds: u32, kill_at: Option<u32>) {
    let mut edge = Edge::up(kind, reload).await;
    let mut serving = backends(0).await;
    for (name, backend) in &serving {
        edge.admit(name.as_str(), backend);
    }
    edge.publish().await;
    let load = edge.load();
    for round in 1..=rounds {
        let next = backends(round).await;
        for (name, backend) in &next {
            edge.admit(name.as_str(), backend);
        }
        if kill_at == Some(round) {
            let (right, file) = (edge.address("right"), edge.environment.balancers["right"].config.clone());
            let balancing = edge.balancing.clone();
            let (balancers, rotation): (Vec<_>, _) =
                (edge.balancers().cloned().collect(), edge.rotation.clone());
            let telling = tokio::spawn(async move { balancing.publish(&balancers, &rotation).await });
            // It has been given the file: whether it has been told to read it, nobody knows.
            until("the file is there", async || holds(&file, &format!("web-{round}-2"))).await;
            load.goes_down(right);
            edge.kill("right");
            edge.start("right");
            edge.answers("right").await;
            load.is_back(right);
            telling.await.unwrap().unwrap_or_else(|error| panic!("{error}\n{}", edge.logs()));
        } else {
            edge.publish().await;
        }
        for (name, _) in &serving {
            assert!(edge.rotation.drain(name));
        }
        edge.publish().await;
        edge.balancing.drained(edge.balancers()).await;
        for (name, _) in &serving {
            assert!(edge.rotation.withdraw(name));
        }
        serving = next;
    }
    let (tally, rate) = load.stop().await;
    println!("{}: {rate:.0} requests/s, {tally:?}", kind.name());
    assert_eq!(tally.failed(), 0, "{:?}\n{}", tally.failures, edge.logs());
    assert!(rate >= 200.0, "only {rate} requests a second");
    assert!(tally.good > u64::from(rounds) * 200, "{tally:?}");
    let answered = tally.answers.keys().filter(|name| name.starts_with("web-")).count();
    assert_eq!(answered, 2 * (rounds as usize + 1), "{:?}", tally.answers);
}

fn holds(file: &str, text: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|found| found.contains(text))
}

/// One that is being started again is told once it can hear it.
const USR2: &str = "until kill -USR2 $(cat $1) 2>/dev/null; do sleep 0.01; done";
const HUP: &str = "until kill -HUP $(cat $1) 2>/dev/null; do sleep 0.01; done";

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_loses_no_request() {
    no_request_is_lost(LoadBalancer::Haproxy, USR2, 20, Some(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_loses_no_request() {
    no_request_is_lost(LoadBalancer::Nginx, HUP, 20, Some(10)).await;
}

/// A reload that takes its time: whoever waits for the acknowledgement loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reload_is_waited_for() {
    for (kind, signal) in [(LoadBalancer::Haproxy, "USR2"), (LoadBalancer::Nginx, "HUP")] {
        let reload = format!("(sleep 2; kill -{signal} $(cat $1)) >/dev/null 2>&1 &");
        no_request_is_lost(kind, &reload, 1, None).await;
    }
}

/// And whoever does not wait for it loses some: without the acknowledgement this is what would happen. The reloads wait
/// for a word, so that it happens on a machine of any speed.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_acknowledgement_requests_are_lost() {
    for (kind, signal) in [(LoadBalancer::Haproxy, "USR2"), (LoadBalancer::Nginx, "HUP")] {
        let word = tempfile::tempdir().unwrap();
        let go = word.path().join("go");
        let reload = format!(
            "(until [ -e {} ]; do sleep 0.05; done; kill -{signal} $(cat $1)) >/dev/null 2>&1 &",
            go.display()
        );
        let mut edge = Edge::up(kind, &reload).await;
        let old = backends(0).await;
        for (name, backend) in &old {
            edge.admit(name.as_str(), backend);
        }
        std::fs::write(&go, "").unwrap();
        edge.publish().await;
        std::fs::remove_file(&go).unwrap();
        let load = edge.load();
        until("requests are answered", async || load.so_far().good > 50).await;
        let new = backends(1).await;
        for (name, backend) in &new {
            edge.admit(name.as_str(), backend);
        }
        for (name, _) in &old {
            edge.rotation.withdraw(name);
        }
        for balancer in edge.balancers() {
            let configuration = configuration(balancer, &edge.rotation.endpoints()).unwrap();
            for front_end in edge.balancing.front_ends(&balancer.name) {
                front_end.publish(&configuration).await.unwrap();
            }
        }
        drop(old);
        until("requests are lost", async || load.so_far().failed() > 50).await;
        assert!(new.iter().all(|(_, backend)| backend.served() == 0), "{}", kind.name());
        std::fs::write(&go, "").unwrap();
        until("the new ones are asked", async || new.iter().all(|(_, backend)| backend.served() > 0)).await;
        load.stop().await;
    }
}

/// What is wrong with a configuration is said in the program's own words, and nothing has changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_wrong_changes_nothing() {
    for (kind, reload) in [(LoadBalancer::Haproxy, USR2), (LoadBalancer::Nginx, HUP)] {
        let mut edge = Edge::up(kind, reload).await;
        let behind = backends(0).await;
        for (name, backend) in &behind {
            edge.admit(name.as_str(), backend);
        }
        edge.publish().await;
        let balancer = edge.environment.balancers["left"].clone();
        let front_end = edge.balancing.front_ends(&balancer.name)[0].clone();
        let before = std::fs::read_to_string(&*balancer.config).unwrap();
        let serving = front_end.serving().await.unwrap();

        let wrong = Balancer { global: "nonsense here;".into(), ..balancer.clone() };
        let wrong = configuration(&wrong, &edge.rotation.endpoints()).unwrap();
        let error = front_end.publish(&wrong).await.unwrap_err();
        let FrontEndError::Refused { output, .. } = &error else { panic!("{error}") };
        assert!(output.contains("nonsense"), "{error}");
        assert_eq!(std::fs::read_to_string(&*balancer.config).unwrap(), before);
        assert_eq!(front_end.serving().await.unwrap(), serving);

        // A reload that fails is told, and the file is the old one again.
        let broken = Balancer {
            reload: maestro_core::model::Reload::Command(
                ["sh", "-c", "echo no way; exit 3"].map(str::to_owned).into(),
            ),
            ..balancer.clone()
        };
        let front_end = maestro::balance::HostFrontEnd::local(&broken);
        let other = configuration(&balancer, &[]).unwrap();
        let error = maestro_core::boundary::FrontEnd::publish(&front_end, &other).await.unwrap_err();
        let FrontEndError::Unloaded { output, restored: true, .. } = &error else { panic!("{error}") };
        assert_eq!(output, "no way");
        assert_eq!(std::fs::read_to_string(&*balancer.config).unwrap(), before);
        let answer = ask(edge.address("left"), "shop.example.com");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

        // Nobody behind it is no fault, and nobody's request.
        edge.rotation = Rotation::default();
        edge.publish().await;
        assert!(ask(edge.address("left"), "shop.example.com").starts_with("HTTP/1.1 503"), "{}", kind.name());
        assert!(
            ask(edge.address("left"), "other.example.com").starts_with("HTTP/1.1 404"),
            "{}",
            kind.name()
        );
        assert!(Path::new(&format!("{}.previous", balancer.config)).exists());
    }
}

/// Canaries get their portion of real requests, within what chance leaves; and then what everybody gets.
#[tokio::test(flavor = "multi_thread")]
async fn canaries_get_their_portion() {
    const REQUESTS: u32 = 200;
    for (kind, reload) in [(LoadBalancer::Haproxy, USR2), (LoadBalancer::Nginx, HUP)] {
        let mut edge = Edge::up(kind, reload).await;
        let mut behind: Vec<(InstanceName, Backend)> = Vec::new();
        for name in ["web-1", "web-2", "web-3", "web-4"] {
            let backend = Backend::start(name, Duration::ZERO).await.unwrap();
            edge.admit(name, &backend);
            behind.push((name.into(), backend));
        }
        let address = edge.address("left");
        let asked = || behind.iter().map(|(_, backend)| backend.served()).collect::<Vec<_>>();
        let mut level = RouteChange::default();
        // One of four is the canary, and then two are; then nobody is.
        for (percent, canaries) in [(10, 1), (30, 2), (50, 2)] {
            let names: Vec<_> = behind.iter().take(canaries).map(|(name, _)| name.clone()).collect();
            edge.rotation.change(&level);
            if percent < 50 {
                edge.rotation.try_first(&"web".into(), &names, Portion { percent, canaries });
            }
            edge.publish().await;
            let before = asked();
            for _ in 0..REQUESTS {
                let answer = ask(address, "shop.example.com");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
            let served: Vec<_> = asked().iter().zip(before).map(|(now, before)| now - before).collect();
            let all: u64 = served.iter().sum();
            let tried: u64 = served.iter().take(canaries).sum();
            println!("{}: {percent}% to {canaries} of {all} requests: {served:?}", kind.name());
            assert_eq!(all, u64::from(REQUESTS));
            // Processes and threads of a front end count for themselves.
            let wanted = all * u64::from(percent) / 100;
            assert!(tried.abs_diff(wanted) <= all / 50, "{}: {percent}%, {served:?}", kind.name());
            level = RouteChange { level: vec!["web".into()], ..RouteChange::default() };
        }
    }
}

/// The answer to one request, whatever it is.
fn ask(address: SocketAddr, host: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // In one piece: the second one would wait until the first is acknowledged.
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Whatever the file may say comes to a configuration that the program takes.
#[tokio::test(flavor = "multi_thread")]
async fn every_form_is_taken() {
    let services = "name: t\nships: {a: {ip: 127.0.0.1}, b: {ip: '::1'}, c: {ip: nowhere.invalid}}\nservices:\n  \
                    'web \"1\"': {image: w, ports: {'p #1': 8080}, instances: {web-1: {ship: a}, web-2: {ship: b}}}\n  \
                    far: {image: w, ports: {http: 8081}, instances: {far-1: {ship: c}}}\n";
    let http = "routes: [{host: a.example.com, service: 'web \"1\"', port: 'p #1'}, {path: /x, service: 'web \"1\"', \
                port: 'p #1'}, {host: a.example.com, path: /x/y, service: 'web \"1\"', port: 'p #1'}]";
    let tcp = "mode: tcp, routes: [{service: 'web \"1\"', port: 'p #1'}]";
    let far = "routes: [{service: far, port: http}]";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cfg");
    let template = "global\ndefaults\n  timeout client 1s\n  timeout server 1s\n  timeout connect 1s\n  mode http\n\
                    {% for b in backends %}backend {{ b.name }}\n{% for s in b.servers %}  server {{ s.name }} \
                    {{ s.authority }} weight {{ s.weight }}\n{% endfor %}{% endfor %}frontend {{ balancer }}\n  \
                    bind 127.0.0.1:{{ 10000 + 80 }}\n  http-request return status 200 content-type text/plain string \
                    {{ generation }}\n{% for r in routes %}  use_backend {{ r.backend }} if { path_beg {{ r.path }} }\n\
                    {% endfor %}";
    let own = "template: front.j2, config: /x, check: 'x {file}', reload: x, status: 81";
    let forms = [
        (LoadBalancer::Haproxy, format!("kind: haproxy, listen: ['127.0.0.1:80', '[::1]:80', 81], {http}")),
        (LoadBalancer::Haproxy, format!("kind: haproxy, {tcp}")),
        (LoadBalancer::Haproxy, format!("kind: haproxy, {far}")),
        (LoadBalancer::Haproxy, format!("kind: template, {own}, {http}")),
        (LoadBalancer::Nginx, format!("kind: nginx, listen: ['127.0.0.1:80', '[::1]:80', 81], {http}")),
    ];
    for (kind, form) in forms {
        let text = format!("{services}balancers: {{front: {{local: true, {form}}}}}\n");
        let loaded = load(&MapSources::of(text).with_file("front.j2", template), &Limits::default());
        let environment = loaded.environment.unwrap_or_else(|| panic!("{form}\n{:?}", loaded.diagnostics));
        let mut balancer = environment.balancers["front"].clone();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|of| format!("{of}_temp_path {}/{of};\n", dir.path().display()));
        if kind == LoadBalancer::Nginx {
            balancer.global = format!("pid {}/pid;", dir.path().display()).into();
            balancer.defaults = format!("access_log off;\n{}", temporary.concat()).into();
        }
        let mut rotation = Rotation::all(&environment);
        // All there, one of them draining, and nobody at all.
        for change in 0..3 {
            match change {
                0 => {}
                1 => assert!(rotation.drain(&"web-1".into())),
                _ => rotation = Rotation::default(),
            }
            let configuration = configuration(&balancer, &rotation.endpoints()).unwrap();
            std::fs::write(&file, &*configuration.text).unwrap();
            let (program, libraries) = kind.program().unwrap();
            let arguments: &[&str] =
                if kind == LoadBalancer::Haproxy { &["-c", "-f"] } else { &["-t", "-q", "-c"] };
            let tried = Command::new(program)
                .args(arguments)
                .arg(&file)
                .env("LD_LIBRARY_PATH", libraries)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&tried.stderr);
            assert!(tried.status.success(), "{form}\n{}\n{said}", configuration.text);
            // It says that a name has no address, and goes on without it.
            let warned =
                |line: &str| line.to_lowercase().contains("[warn") && !line.contains("could not resolve");
            assert!(!said.lines().any(warned), "{form}\n{}\n{said}", configuration.text);
        }
    }
}
