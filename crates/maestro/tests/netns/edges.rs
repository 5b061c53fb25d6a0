//! Load balancers in containers of real engines, and on a host behind SSH: told through the engine, or by commands.

use super::site::{Site, until};
use maestro::balance::Balancing;
use maestro::engine::{EngineOptions, docker_engines};
use maestro_core::balance::{Generation, Rotation, configuration};
use maestro_core::config::{Limits, load};
use maestro_core::model::Environment;
use maestro_core::source::MapSources;
use maestro_testkit::load::Load;
use maestro_testkit::practice::{LoadBalancer, PracticeFleet, TransportKind};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

fn services(site: &Site, more: &str) -> String {
    let registry = site.image("shop");
    format!(
        "  web:\n    image: {registry}/web:1.0\n    ports: {{http: '8080:18080'}}\n    instances:\n      \
         web-1: {{ship: ship-1, stop_timeout: 1}}\n      web-2: {{ship: ship-2, stop_timeout: 1}}\n\
         \x20 proxy:\n    image: edge/haproxy:1.0\n    ports: {{http: '80:10080', status: '8404:18404'}}\n    instances:\n      \
         proxy-1: {{ship: ship-1, stop_timeout: 1}}\n      proxy-2: {{ship: ship-2, stop_timeout: 1}}\n\
         \x20 gate:\n    image: edge/nginx:1.0\n    ports: {{http: '80:10081', status: '8405:18405'}}\n    instances:\n      \
         gate-1: {{ship: ship-1, stop_timeout: 1}}\n      gate-2: {{ship: ship-2, stop_timeout: 1}}\n\
         balancers:\n  front: {{kind: haproxy, service: proxy, drain: 10s, timeout: 30s, \
         routes: [{{service: web, port: http}}]}}\n  \
         side: {{kind: nginx, service: gate, status: 8405, drain: 10s, timeout: 30s, \
         routes: [{{service: web, port: http}}]}}\n{more}"
    )
}

fn environment(site: &Site) -> Environment {
    let text = std::fs::read(site.path().join("maestro.yaml")).unwrap();
    let loaded = load(&MapSources::of(text), &Limits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

fn balancing(site: &Site, environment: &Environment) -> Balancing {
    let ssh_config = site.fleet.description().ssh_config.clone();
    let options = EngineOptions { ssh_config, ..EngineOptions::default() };
    let engines = docker_engines(environment.ships.values(), options.clone());
    Balancing::new(environment, &engines, &options)
}

fn address(site: &Site, ship: &str, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(site.fleet.ship(ship).unwrap().ip), port)
}

/// The first line of the answer to a request; empty if there is none.
fn ask(address: SocketAddr) -> String {
    let mut text = String::new();
    let asked = TcpStream::connect_timeout(&address, Duration::from_secs(5)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
        stream.read_to_string(&mut text)
    });
    asked.ok();
    text.lines().next().unwrap_or_default().to_owned()
}

async fn answers(address: SocketAddr, status: &str) {
    until(&format!("{address} answers {status}"), async || ask(address).contains(status)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn front_ends_in_containers_are_told_through_their_engines() {
    let ships = [TransportKind::Tcp, TransportKind::Ssh];
    let site = Site::up(PracticeFleet::builder().ships(&ships).mixed()).await;
    for ship in ["ship-1", "ship-2"] {
        for kind in [LoadBalancer::Haproxy, LoadBalancer::Nginx] {
            site.fleet.load_balancer(ship, kind).await.unwrap();
        }
    }
    site.write(&services(&site, ""));
    site.maestro("start").await.ok();
    // They run, and nobody has told them anything.
    site.maestro("balancers").await.fails(1).says("proxy-1").says("unknown");

    let environment = environment(&site);
    let balancing = balancing(&site, &environment);
    let mut rotation = Rotation::all(&environment);
    let publish = async |rotation: &Rotation| {
        let published = balancing.publish(environment.balancers.values(), rotation).await;
        published.unwrap_or_else(|error| panic!("{error}"));
    };
    publish(&rotation).await;
    site.maestro("balancers").await.ok().says("proxy-2").says("gate-1");
    let entries: Value =
        serde_json::from_str(&site.maestro("balancers --output json").await.ok().stdout).unwrap();
    for entry in entries.as_array().unwrap() {
        assert_eq!(entry["current"], true, "{entry}");
        assert_eq!(entry["front_ends"].as_array().unwrap().len(), 2, "{entry}");
        let name = entry["balancer"].as_str().unwrap();
        let text = site.maestro(&format!("balancers --config {name}")).await.ok();
        text.says(entry["generation"].as_str().unwrap()).says("18080");
    }

    let front_ends: Vec<_> = ["ship-1", "ship-2"]
        .iter()
        .flat_map(|ship| [10080, 10081].map(|port| address(&site, ship, port)))
        .collect();
    let load =
        Load { front_ends, host: "shop".into(), path: "/".into(), rate: 60, keeping: 4, fresh: 4 }.start();
    for round in 0..4 {
        let (name, ship) = if round % 2 == 0 { ("web-1", "ship-1") } else { ("web-2", "ship-2") };
        let api = site.fleet.api(ship).unwrap();
        rotation.drain(&name.into());
        if round == 1 {
            // A front end of each kind is killed while it is told, and comes back with the file that it has.
            let killed = [("proxy-2", 10080), ("gate-2", 10081)];
            for (_, port) in killed {
                load.goes_down(address(&site, ship, port));
            }
            for (container, _) in killed {
                api.post(&format!("/containers/{container}/kill"), &Value::Null).await.unwrap();
            }
            let ((), ()) = tokio::join!(publish(&rotation), async {
                for (container, _) in killed {
                    api.post(&format!("/containers/{container}/start"), &Value::Null).await.unwrap();
                }
            });
            for (_, port) in killed {
                load.is_back(address(&site, ship, port));
            }
        } else {
            publish(&rotation).await;
        }
        assert!(
            balancing.drained(environment.balancers.values()).await,
            "round {round}: not all have finished"
        );
        api.post(&format!("/containers/{name}/stop?t=1"), &Value::Null).await.unwrap();
        api.post(&format!("/containers/{name}/start"), &Value::Null).await.unwrap();
        answers(address(&site, ship, 18080), "200").await;
        rotation.admit(&name.into());
        publish(&rotation).await;
    }
    let (tally, rate) = load.stop().await;
    println!("{rate:.0} requests/s, {tally:?}");
    assert_eq!(tally.failed(), 0, "{tally:?}");
    assert!(tally.good > 200, "{tally:?}");

    // A configuration that is wrong changes nothing, and is told in the program's words.
    for balancer in environment.balancers.values() {
        let wrong = maestro_core::model::Balancer { global: "nonsense here;".into(), ..balancer.clone() };
        let wrong = configuration(&wrong, &rotation.endpoints()).unwrap();
        let front_end = &balancing.front_ends(&balancer.name)[0];
        let serving = front_end.serving().await.unwrap();
        let error = front_end.publish(&wrong).await.unwrap_err().to_string();
        assert!(error.contains("does not pass") && error.contains("nonsense"), "{error}");
        assert_eq!(front_end.serving().await.unwrap(), serving);
    }
    site.maestro("balancers").await.ok().never_says("something else");

    // One that starts has from the beginning what it was given before.
    let api = site.fleet.api("ship-2").unwrap();
    for name in ["proxy-2", "gate-2"] {
        api.post(&format!("/containers/{name}/stop?t=1"), &Value::Null).await.unwrap();
        balancing.prepare(&environment, &name.into(), &Rotation::default()).await.unwrap();
        api.post(&format!("/containers/{name}/start"), &Value::Null).await.unwrap();
    }
    answers(address(&site, "ship-2", 10080), "503").await;
    answers(address(&site, "ship-2", 10081), "503").await;
    assert_eq!(balancing.prepare(&environment, &"web-1".into(), &rotation).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_on_a_host_is_told_through_ssh() {
    let site = Site::up(PracticeFleet::builder().ships(&[TransportKind::Tcp, TransportKind::Ssh])).await;
    let (program, libraries) = LoadBalancer::Haproxy.program().unwrap();
    let at = |file: &str| site.path().join(file).display().to_string();
    // In its ship's network, and of the same files as everybody here.
    let more = format!(
        "  host:\n    kind: haproxy\n    hosts: ship-2\n    config: {}\n    listen: 10090\n    status: 18090\n    drain: 2s\n    \
         check: [env, 'LD_LIBRARY_PATH={}', '{}', -c, -f, '{{file}}']\n    \
         reload: [sh, -c, 'kill -USR2 $(cat {})']\n    routes: [{{service: web, port: http}}]\n",
        at("host.cfg"),
        libraries.display(),
        program.display(),
        at("pid"),
    );
    site.write(&services(&site, &more));
    site.maestro("start web").await.ok();
    let environment = environment(&site);
    let balancing = balancing(&site, &environment);
    let balancer = &environment.balancers["host"];
    let front_end = &balancing.front_ends(&balancer.name)[0];
    assert!(front_end.serving().await.unwrap_err().is_transient());

    let empty = configuration(balancer, &[]).unwrap();
    std::fs::write(at("host.cfg"), &*empty.text).unwrap();
    let ssh = async |command: String| {
        let config = site.fleet.description().ssh_config.clone().unwrap();
        let mut ssh = tokio::process::Command::new("ssh");
        ssh.arg("-F")
            .arg(config)
            .args(["ship-2", &command])
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        let status = tokio::time::timeout(Duration::from_secs(20), ssh.status()).await.unwrap().unwrap();
        assert!(status.success(), "{command}: {status}");
    };
    let run = format!("LD_LIBRARY_PATH={} {} -D -W", libraries.display(), program.display());
    ssh(format!("{run} -p {} -f {} >/dev/null 2>&1", at("pid"), at("host.cfg"))).await;
    let edge = address(&site, "ship-2", 10090);
    answers(edge, "503").await;
    assert_eq!(front_end.serving().await.unwrap(), Some(empty.generation.clone()));

    let rotation = Rotation::all(&environment);
    let published = balancing.publish([balancer], &rotation).await;
    assert_eq!(published, Ok(()));
    assert!(ask(edge).contains("200"), "{}", ask(edge));
    let wanted: Generation = configuration(balancer, &rotation.endpoints()).unwrap().generation;
    site.maestro("balancers host").await.ok().says(wanted.as_str());
    site.maestro("balancers hots").await.fails(2).says("did you mean `host`?");
    assert!(!balancing.drained([balancer]).await, "nobody can tell on a host");
    ssh(format!("kill $(cat {})", at("pid"))).await;
}
