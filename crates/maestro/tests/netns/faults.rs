//! What can go wrong on the way, each with a clear message that names ship, instance and cause, while the other ships
//! finish.

use super::site::{Site, until};
use base64::Engine as _;
use maestro_testkit::practice::{EngineRelease, PracticeFleet, ShipPlan, TransportKind};
use std::io::BufRead;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Three ships by TCP, the third with a small disk.
async fn site() -> Site {
    let small = ShipPlan { transport: TransportKind::Tcp, release: EngineRelease::Old, disk_mib: Some(96) };
    Site::up(PracticeFleet::builder().ships(&[TransportKind::Tcp, TransportKind::Tcp]).ship(small)).await
}

fn web(site: &Site, image: &str) -> String {
    format!(
        "  web:\n    image: {}\n    ports: {{http: '8080:18080'}}\n    instances:\n      \
         web-1: {{ship: ship-1, stop_timeout: 1}}\n      web-2: {{ship: ship-2, stop_timeout: 1}}\n      \
         web-3: {{ship: ship-3, stop_timeout: 1}}\n",
        site.image(image)
    )
}

async fn runs(site: &Site, ship: &str, container: &str) -> bool {
    site.inspect(ship, container).await.is_some_and(|found| found["State"]["Running"] == true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_with_trouble() {
    let site = site().await;
    site.write(&web(&site, "shop/web:1.0"));

    // A ship that is cut off: one deadline, and the others finish.
    site.fleet.cut_off("ship-2").await.unwrap();
    let ran = site.maestro("start").await.fails(1).says("ship-2").says("web-2").says("host down");
    assert!(ran.took < Duration::from_secs(25), "{:?}", ran.took);
    assert!(runs(&site, "ship-1", "web-1").await && runs(&site, "ship-3", "web-3").await);
    site.maestro("status").await.ok().says("host down").says("running for");
    site.maestro("stop web-2").await.ok().says("host down");
    site.fleet.restore("ship-2").await.unwrap();
    site.fleet.ping("ship-2", Duration::from_secs(10)).await.unwrap();

    // A ship whose engine hangs is told apart from one that is down.
    site.fleet.hang("ship-2").await.unwrap();
    let ran = site.maestro("start").await.fails(1).says("ship-2").says("no answer");
    assert!(ran.took < Duration::from_secs(25), "{:?}", ran.took);
    site.fleet.wake("ship-2").unwrap();
    site.maestro("start").await.ok().says("started");

    // An engine that is not there at all.
    site.fleet.crash("ship-2").await.unwrap();
    site.maestro("restart").await.fails(1).says("ship-2").says("web-2");
    site.fleet.start_again("ship-2").await.unwrap();
    site.maestro("start").await.ok();

    // An image that is not there stops nothing.
    let before = site.fingerprint().await;
    site.write(&web(&site, "shop/web:3.0"));
    site.maestro("restart")
        .await
        .fails(1)
        .says("shop/web:3.0")
        .says("ship-1")
        .says("web-1")
        .says("not found");
    assert_eq!(site.fingerprint().await, before);
    site.maestro("pull").await.fails(1).says("not found");

    // A wrong password.
    let fleet = site.fleet.description().environment_yaml();
    let login = &site.fleet.description().registry.as_ref().unwrap().login.password;
    site.write_with(&fleet.replace(&format!("{login:?}"), "wrong"), &web(&site, "shop/web:2.0"));
    let registry = site.fleet.description().registry.as_ref().unwrap().address.clone();
    site.maestro("pull web")
        .await
        .fails(1)
        .says("401 Unauthorized")
        .says(&registry)
        .says("ship-1")
        .says("web-1");

    // A registry that does not answer: nothing is stopped.
    site.write(&web(&site, "shop/web:2.0"));
    site.fleet.set_registry_reachable(false).await.unwrap();
    site.maestro("restart web").await.fails(1).says("ship-1").says("web-1").says(&registry);
    assert_eq!(site.fingerprint().await, before);
    site.fleet.set_registry_reachable(true).await.unwrap();

    // A container of somebody else with an instance's name is left alone.
    site.write(&web(&site, "shop/web:1.0").replace("web-1:", "other-1:"));
    let foreign = serde_json::json!({
        "Image": site.image("shop/web:1.0"),
        "Labels": { "com.docker.compose.project": "theirs" },
    });
    site.fleet.api("ship-1").unwrap().run("other-1", &foreign).await.unwrap();
    site.maestro("restart other-1").await.fails(1).says("other-1").says("compose");
    site.maestro("kill other-1").await.fails(1);
    assert!(runs(&site, "ship-1", "other-1").await);
    site.fleet.api("ship-1").unwrap().delete("/containers/other-1?force=1").await.unwrap();

    // A port that is taken: the new container does not start, and the message says why.
    site.write(&format!(
        "{}  second:\n    image: {}\n    ports: {{http: '8080:18080'}}\n    instances: {{second-1: {{ship: ship-1}}, second-2: {{ship: ship-2}}}}\n",
        web(&site, "shop/web:1.0"),
        site.image("shop/web:1.0"),
    ));
    site.maestro("stop web-2").await.ok();
    site.maestro("start second").await.fails(1).says("second-1").says("ship-1").says("18080");
    assert!(runs(&site, "ship-2", "second-2").await, "the other ship finishes");

    // Programs that end at once. Engines list them as running for a while; on a busy machine one may really have been.
    let brief: Vec<String> = (0..8)
        .map(|number| format!("brief-{number}: {{ship: ship-{}, command: 'false'}}", number % 2 + 1))
        .collect();
    let image = site.image("bb:latest");
    site.write(&format!("  brief:\n    image: {image}\n    instances: {{{}}}\n", brief.join(", ")));
    let ran =
        site.maestro("start brief").await.fails(1).says("did not stay running: it is exited with code 1");
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
    let wrong = ran.stdout.lines().filter(|line| line.trim_end().ends_with("started")).count();
    assert!(wrong <= 2, "{}", ran.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_and_a_dying_engine() {
    let site = site().await;
    site.write(&web(&site, "shop/web:1.0"));
    site.maestro("start").await.ok();

    // A full disk: that ship is left as it was, the others move on.
    let before = site.inspect("ship-3", "web-3").await.unwrap()["Id"].clone();
    site.fleet.fill_disk("ship-3").await.unwrap();
    site.write(&web(&site, "shop/web:2.0"));
    site.maestro("pull").await.fails(1).says("ship-3").says("no space left");
    site.maestro("restart").await.fails(1).says("ship-3").says("web-3").says("no space left");
    assert_eq!(site.inspect("ship-3", "web-3").await.unwrap()["Id"], before);
    assert!(runs(&site, "ship-3", "web-3").await);
    site.fleet.free_disk("ship-3").unwrap();
    site.maestro("restart").await.ok();
    assert_eq!(site.tag("ship-3", "web-3").await.as_deref(), Some("2.0"));

    // An engine that dies while a container is being started: the others finish, the exit code is right.
    site.maestro("stop -a").await.ok();
    site.write(&format!(
        "{}    lifecycle: {{running: [{{type: sleep, wait: 6}}]}}\n",
        web(&site, "shop/web:2.0")
    ));
    let child = site.spawn("start");
    until("web-2 runs", async || runs(&site, "ship-2", "web-2").await).await;
    site.fleet.crash("ship-2").await.unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ship-2") && said.contains("web-2"), "{said}");
    assert!(runs(&site, "ship-1", "web-1").await && runs(&site, "ship-3", "web-3").await, "{said}");
    site.fleet.start_again("ship-2").await.unwrap();
}

/// An engine that hangs in the middle of a pull is told apart from pulls that only take long.
#[tokio::test(flavor = "multi_thread")]
async fn a_pull_may_be_slow_and_an_engine_that_hangs_is_given_up() {
    let transports = [TransportKind::Tcp, TransportKind::Ssh, TransportKind::Tls];
    let site = Site::up(PracticeFleet::builder().ships(&transports)).await;
    // Nobody is logged in before a pull whose login is Docker's own: nothing but the pull waits for the registry.
    let registry = site.fleet.description().registry.as_ref().unwrap();
    let login = format!("{}:{}", registry.login.username, registry.login.password);
    let auth = base64::engine::general_purpose::STANDARD.encode(login);
    let config = serde_json::json!({"auths": {registry.address.clone(): {"auth": auth}}}).to_string();
    std::fs::write(site.path().join("config.json"), config).unwrap();
    let yaml = site.fleet.description().environment_yaml();
    let ships = yaml[yaml.find("ships:").unwrap()..].replace("    ip: ", "    timeout: 2\n    ip: ");
    site.write_with(&ships, &web(&site, "shop/web:1.0"));

    site.fleet.hang_registry().await.unwrap();
    let began = Instant::now();
    let mut child = site.spawn("pull");
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let said = Arc::new(Mutex::new(Vec::new()));
    let saying = said.clone();
    let reading = tokio::task::spawn_blocking(move || {
        while let Some(Ok(line)) = lines.next() {
            saying.lock().unwrap().push(line);
        }
    });
    let says = async |instance: &str, text: &str| {
        let so = |line: &String| line.contains(instance) && line.contains(text);
        until(&format!("{instance}: {text}"), async || said.lock().unwrap().iter().any(so)).await;
    };
    for instance in ["web-1", "web-2", "web-3"] {
        says(instance, "pulling").await;
    }
    site.fleet.hang("ship-2").await.unwrap();
    // By now the others have been waiting for the registry just as long.
    says("web-2", "failed!").await;
    let took = began.elapsed();
    site.fleet.wake_registry().unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    reading.await.unwrap();
    let said = said.lock().unwrap().join("\n") + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    // Long before a pull's own deadline, however busy this machine is.
    assert!((Duration::from_secs(6)..Duration::from_secs(40)).contains(&took), "{took:?}: {said}");
    let error = format!("web-2: ship ship-2: pulling {}: no answer from ssh://", site.image("shop/web:1.0"));
    assert!(said.contains(&error) && said.contains("within 6 s (the engine accepts connections"), "{said}");
    for ship in ["ship-1", "ship-3"] {
        let image = format!("/images/{}/json", site.image("shop/web:1.0"));
        site.fleet.api(ship).unwrap().get(&image).await.unwrap();
    }
    site.fleet.wake("ship-2").unwrap();
    site.maestro("pull").await.ok();
}

/// The first interrupt lets what is under way come to its end.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_restart_leaves_nothing_half_done() {
    let site = Site::up(PracticeFleet::builder().ships(&[TransportKind::Tcp])).await;
    let image = site.image("shop/web:1.0");
    site.write(&format!(
        "  web:\n    image: {image}\n    instances:\n      web-1: {{ship: ship-1, stop_timeout: 1}}\n      \
         web-2: {{ship: ship-1, stop_timeout: 1}}\n      web-3: {{ship: ship-1, stop_timeout: 1}}\n    \
         lifecycle: {{running: [{{type: sleep, wait: 3}}]}}\n"
    ));
    site.maestro("start").await.ok();
    let id = async |name: &str| site.inspect("ship-1", name).await.map(|found| found["Id"].clone());
    let before = [id("web-1").await, id("web-2").await, id("web-3").await];
    let child = site.spawn("restart -c 1");
    until("web-1 is a new container", async || id("web-1").await.is_some_and(|now| Some(now) != before[0]))
        .await;
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(runs(&site, "ship-1", "web-1").await, "{said}");
    assert_eq!([id("web-2").await, id("web-3").await], [before[1].clone(), before[2].clone()], "{said}");
}
