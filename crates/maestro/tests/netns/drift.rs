//! What is changed by hand is found, and nothing else: both releases of the engine, and every kind of change that people
//! make to containers.

use super::kinds::{By, KINDS, Kind};
use super::site::{Ran, Site};
use futures_util::future::join_all;
use maestro_testkit::practice::{EngineApi, FleetError, PracticeFleet, TransportKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const SHIPS: [usize; 2] = [1, 2];

const IMAGE: &str = "shop/web:1.0";

/// Undisturbed comparisons in a row, at least.
const UNDISTURBED: usize = 1_000;

/// Instances with different settings, besides those that are changed.
const VARIETY: [(&str, &str); 11] = [
    ("plain", ""),
    ("host", "net: host"),
    ("none", "net: none"),
    ("shared", "net: 'container:store-SHIP', command: sleep 100000"),
    ("mine", "net: mine, extra_hosts: {gw: 192.0.2.1}"),
    ("ports", "ports: {a: '7000-7002:27000-27002', b: '53/udp:1053/udp', c: '90:29000-29010'}"),
    ("volumes", "volumes: {named: /named, DATA: {target: /d, mode: ro}}, container_volumes: [/a, /b/]"),
    (
        "limits",
        "limits: {memory: 64m, swap: 128m, cpu: 100}, ulimits: {core: 0, nofile: {soft: 1000, hard: 2000}}",
    ),
    (
        "words",
        "command: \"sh -c 'sleep 100000'\", workdir: /tmp, username: '0:0', env: {EMPTY: '', PATH: /bin}",
    ),
    ("caps", "cap_drop: [CHOWN, MKNOD], security_opt: [no-new-privileges], dns: [192.0.2.2, 192.0.2.1]"),
    ("unlogged", "log_driver: none, restart: {name: always}, labels: {a.b: c, empty: ''}"),
];

fn services(site: &Site) -> String {
    let image = IMAGE;
    let data = site.path().display();
    let mut text = format!("  store:\n    image: {image}\n    instances:\n");
    for ship in SHIPS {
        writeln!(text, "      store-{ship}: {{ship: ship-{ship}, container_volumes: [/store]}}").unwrap();
    }
    write!(text, "  moved:\n    image: 'moved:1'\n    instances:\n").unwrap();
    for ship in SHIPS {
        writeln!(text, "      moved-{ship}: {{ship: ship-{ship}, command: sleep 100000}}").unwrap();
    }
    write!(text, "  variety:\n    image: {image}\n    requires: [store]\n    instances:\n").unwrap();
    for (ship, (name, settings)) in SHIPS.into_iter().flat_map(|ship| VARIETY.map(|one| (ship, one))) {
        let settings = settings.replace("SHIP", &ship.to_string()).replace("DATA", &data.to_string());
        writeln!(text, "      {name}-{ship}: {{ship: ship-{ship}, stop_timeout: 1, {settings}}}").unwrap();
    }
    write!(text, "  kinds:\n    image: {image}\n    instances:\n").unwrap();
    for ship in SHIPS {
        for (number, kind) in KINDS.iter().enumerate() {
            writeln!(
                text,
                "      {}-{ship}: {{ship: ship-{ship}, stop_timeout: 1, command: sleep 100000, workdir: /www, \
                 env: {{MODE: file, DB_PASSWORD: hunter2}}, labels: {{team: shop}}, \
                 ports: {{http: '8080:{}'}}, volumes: {{{data}: {{target: /data, mode: ro}}}}, \
                 container_volumes: [/anonymous], volumes_from: [store-{ship}], links: {{store-{ship}: other}}, \
                 limits: {{memory: 64m, cpu: 512}}, ulimits: {{nofile: 1024}}, dns: [192.0.2.53], \
                 extra_hosts: {{gw: 192.0.2.1}}, cap_drop: [MKNOD], restart: {{name: on-failure, retries: 3}}, \
                 log_driver: json-file, log_opt: {{max-size: 1m}}}}",
                kind.name,
                20_000 + number,
            )
            .unwrap();
        }
    }
    text
}

/// What `drift` says, by instance.
fn entries(ran: &Ran) -> BTreeMap<String, Value> {
    let entries: Vec<Value> =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.all()));
    entries.into_iter().map(|entry| (entry["instance"].as_str().unwrap().to_owned(), entry)).collect()
}

/// Compares these so often, or all that is there, and finds nothing. How many comparisons that were.
async fn undisturbed(site: &Site, services: &str, times: usize, when: &str) -> usize {
    let mut seen = 0;
    for _ in 0..times {
        let ran = site.maestro(&format!("drift {services} --detailed-exitcode --output json")).await;
        let drifted: Vec<String> = entries(&ran)
            .into_values()
            .filter(|entry| entry["drifted"] != false)
            .map(|entry| format!("{} {} {}", entry["instance"], entry["verdict"], entry["changes"]))
            .collect();
        assert!(
            drifted.is_empty() && ran.code == 0,
            "{when}, exit {}: {drifted:#?} {}",
            ran.code,
            ran.stderr
        );
        seen += entries(&ran).len();
    }
    seen
}

/// The body that a container could be created with again.
fn body_of(found: &Value) -> Value {
    let mut body = found["Config"].clone();
    body["HostConfig"] = found["HostConfig"].clone();
    let links: Vec<String> =
        found["HostConfig"]["Links"].as_array().into_iter().flatten().map(plain_link).collect();
    body["HostConfig"]["Links"] = json!(links);
    body
}

/// `/target:/self/alias` is told of what was asked for as `target:alias`.
fn plain_link(link: &Value) -> String {
    let link = link.as_str().unwrap();
    let (target, alias) = link.split_once(':').unwrap();
    format!("{}:{}", target.trim_start_matches('/'), alias.rsplit('/').next().unwrap())
}

/// Changes a container in the way of its kind.
async fn change(api: &EngineApi, kind: &Kind, name: &str) {
    let container = format!("/containers/{name}");
    let fails = |error: FleetError| -> () { panic!("{name}: {error}") };
    let found = api.get(&format!("{container}/json")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    match kind.by {
        By::Update(body) => {
            api.post(&format!("{container}/update"), &body()).await.map_or_else(fails, drop);
        }
        By::Post(path, body) => {
            let (path, body) = (path.replace("NAME", name), body.replace("NAME", name));
            let body = serde_json::from_str(&body).unwrap_or(Value::Null);
            api.post(&path, &body).await.map_or_else(fails, drop);
        }
        By::Remove => api.delete(&format!("{container}?force=1")).await.unwrap_or_else(fails),
        By::Recreate { starts, change } => {
            let mut body = body_of(&found);
            change(&mut body);
            api.delete(&format!("{container}?force=1")).await.unwrap_or_else(fails);
            api.post(&format!("/containers/create?name={name}"), &body).await.map_or_else(fails, drop);
            if starts {
                api.post(&format!("{container}/start"), &Value::Null).await.map_or_else(fails, drop);
            }
        }
    }
}

/// Why what is said of a container is not what should be said; none if it is.
fn wrong(kind: &Kind, entry: &Value) -> Option<String> {
    let changes = entry["changes"].as_array().unwrap();
    let attributes: Vec<&str> = changes.iter().map(|change| change["attribute"].as_str().unwrap()).collect();
    let verdict = entry["verdict"].as_str().unwrap();
    let fits = match kind.finds {
        [only] if only.starts_with('=') => verdict == &only[1..],
        [first, rest @ ..] if *first == "*" => {
            verdict == "changed" && rest.iter().all(|a| attributes.contains(a))
        }
        all => verdict == "changed" && attributes == all,
    };
    (!fits).then(|| format!("{}: {:?}, and is {verdict}: {changes:?}", entry["instance"], kind.finds))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_by_hand_is_found_and_nothing_else() {
    assert!(KINDS.len() >= 40);
    let site =
        Site::up(PracticeFleet::builder().ships(&[TransportKind::Tcp, TransportKind::Unix]).mixed()).await;
    let apis = SHIPS.map(|ship| site.fleet.api(&format!("ship-{ship}")).unwrap());
    for (ship, api) in SHIPS.into_iter().zip(&apis) {
        for release in ["1.0", "2.0"] {
            site.fleet.load_image(&format!("ship-{ship}"), &format!("shop/web:{release}")).await.unwrap();
        }
        api.post(&format!("/images/{IMAGE}/tag?repo=moved&tag=1"), &Value::Null).await.unwrap();
        let addresses = json!({"Config": [{"Subnet": "10.77.0.0/24"}]});
        for body in [json!({"Name": "mine"}), json!({"Name": "other", "IPAM": addresses})] {
            api.post("/networks/create", &body).await.unwrap();
        }
    }
    // So many containers on two cores take their time.
    let fleet = site.fleet.description().environment_yaml().replace("    ip: ", "    timeout: 60\n    ip: ");
    site.write_with(&fleet, &services(&site));
    for services in ["store", "moved variety"] {
        site.maestro(&format!("start -i {services}")).await.ok();
    }

    // Nothing is found as long as nobody changes anything, whatever the engines go through.
    let some = "store moved variety";
    let mut seen = undisturbed(&site, some, 1, "after the start").await;
    site.maestro("stop variety").await.ok();
    site.maestro("start -i variety").await.ok();
    seen += undisturbed(&site, some, 1, "after stop and start").await;
    join_all(SHIPS.map(async |ship| site.fleet.restart_engine(&format!("ship-{ship}")).await.unwrap())).await;
    for services in ["store", "moved variety"] {
        site.maestro(&format!("start -i {services}")).await.ok();
    }
    seen += undisturbed(&site, some, 1, "after new engines").await;
    // Whatever version of the API tells of them, and whichever they were made with.
    for version in ["1.24", "1.30", "1.40"] {
        let spoken = fleet.replace("    ip: ", &format!("    api_version: '{version}'\n    ip: "));
        site.write_with(&spoken, &services(&site));
        seen += undisturbed(&site, some, 1, version).await;
        if version == "1.24" {
            for line in ["stop variety", "clean variety", "start -i variety"] {
                site.maestro(line).await.ok();
            }
            seen += undisturbed(&site, some, 1, "made with 1.24").await;
        }
    }
    site.write_with(&fleet, &services(&site));
    seen += undisturbed(&site, some, 1, "made with 1.24, and seen with another").await;
    site.maestro("drift plain-1").await.ok().says("1 of 1 instance as in the file");
    site.maestro("start -i kinds").await.ok();
    let once = undisturbed(&site, "", 1, "among many").await;
    seen += once;
    // What maestro-ng makes has none of Maestro's labels.
    for (ship, api) in SHIPS.into_iter().zip(&apis) {
        for name in ["plain", "limits", "caps"] {
            let kind = Kind { name, by: By::Recreate { starts: true, change: unlabel }, finds: &[] };
            change(api, &kind, &format!("{name}-{ship}")).await;
        }
    }
    seen += undisturbed(&site, "", UNDISTURBED.saturating_sub(seen).div_ceil(once), "without labels").await;
    assert!(seen >= UNDISTURBED, "{seen}");

    for (ship, api) in SHIPS.into_iter().zip(&apis) {
        for kind in KINDS {
            change(api, kind, &format!("{}-{ship}", kind.name)).await;
        }
        api.post("/images/shop/web:2.0/tag?repo=moved&tag=1", &Value::Null).await.unwrap();
    }
    let ran = site.maestro("drift kinds moved --detailed-exitcode --output json").await.fails(10);
    let ran = ran.never_says("hunter2").never_says("hunter3");
    let entries = entries(&ran);
    let mut findings: Vec<String> = SHIPS
        .into_iter()
        .flat_map(|ship| KINDS.iter().map(move |kind| (ship, kind)))
        .filter_map(|(ship, kind)| wrong(kind, &entries[&format!("{}-{ship}", kind.name)]))
        .collect();
    let moved = Kind { name: "moved", by: By::Remove, finds: &["*", "image"] };
    findings.extend(SHIPS.iter().filter_map(|ship| wrong(&moved, &entries[&format!("moved-{ship}")])));
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    site.maestro("drift variety store --detailed-exitcode").await.ok();
    site.maestro("drift kinds").await.ok().says("memory");

    // Nothing is concluded of a ship that cannot be seen.
    site.fleet.crash("ship-1").await.unwrap();
    site.maestro("drift variety --detailed-exitcode").await.fails(1).says("ship-1").says("unknown");
    site.fleet.start_again("ship-1").await.unwrap();
}

fn unlabel(body: &mut Value) {
    body["Labels"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("maestro."));
}
