//! What can be found out of real engines and their hosts without touching them.

use super::site::{Site, until};
use maestro_testkit::practice::{EngineRelease, PracticeFleet, ShipPlan, TransportKind};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The first ship by SSH, with a small disk; one by TCP, one at a socket.
async fn site() -> Site {
    let small = ShipPlan { transport: TransportKind::Ssh, release: EngineRelease::Old, disk_mib: Some(96) };
    let others = [TransportKind::Tcp, TransportKind::Unix];
    Site::up(PracticeFleet::builder().ship(small).ships(&others).mixed()).await
}

fn web(site: &Site, image: &str) -> String {
    format!(
        "  web:\n    image: {}\n    ports: {{http: '8080:18080'}}\n    instances:\n      \
         web-1: {{ship: ship-1, stop_timeout: 0, command: sleep 1000}}\n      web-2: {{ship: ship-2, stop_timeout: 0, command: sleep 1000}}\n      \
         web-3: {{ship: ship-3, stop_timeout: 0, command: sleep 1000}}\n",
        site.image(image)
    )
}

/// A process on a ship that listens on a port of all its addresses, and is no container.
async fn listen(site: &Site, ship: &str, port: u16) -> Child {
    let found = site.fleet.ship(ship).unwrap();
    let listens =
        format!("import socket\ns = socket.create_server(('', {port}))\nwhile True: s.accept()[0].close()");
    let mut program = Command::new("nsenter");
    program.arg(format!("--net=/var/run/netns/{}", found.netns)).args(["python3", "-c", &listens]);
    let child = program.kill_on_drop(true).spawn().unwrap();
    until("somebody listens", async || TcpStream::connect((found.ip, port)).await.is_ok()).await;
    child
}

async fn containers(site: &Site) -> usize {
    let mut all = 0;
    for ship in site.fleet.ships() {
        all += site.fleet.api(&ship.name).unwrap().containers().await.unwrap().len();
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn real_ships_are_examined() {
    let site = site().await;
    site.write(&web(&site, "bb:latest"));
    let well = site.maestro("doctor").await.ok().says("3 ships asked about 3 instances").says("all is well");
    let well = well.never_says("error").never_says("warning").never_says("whether a port is free");
    // Who is reached over SSH, or is this machine, tells how much room there is.
    let told: Vec<&str> = well.stdout.lines().filter(|line| line.contains("to be pulled")).collect();
    assert!(
        told.iter().any(|line| line.contains("ship-1") && line.contains("MiB free of")),
        "{}",
        well.all()
    );
    assert!(told.iter().any(|line| line.contains("ship-3") && line.contains("free of")), "{}", well.all());
    well.says("there is no SSH connection to look through");

    // Somebody else's process: found by looking at the kernel's table, and by knocking.
    let mut taken = [listen(&site, "ship-1", 18080).await, listen(&site, "ship-2", 18080).await];
    site.maestro("doctor")
        .await
        .fails(1)
        .says("something listens on a port")
        .says("ship-1: 18080/tcp of web-1");
    site.maestro("deploy").await.fails(1).says("ship-2: 18080/tcp of web-2").says("nothing has been done");
    assert_eq!(containers(&site).await, 0);
    for child in &mut taken {
        child.kill().await.unwrap();
    }

    // An image for another machine, and one that is not there.
    site.write(&web(&site, "bb:s390x"));
    let ran = site.maestro("doctor").await.fails(1).says("was not built for a ship's platform");
    ran.says("linux/s390x").says("ship-1, ship-2, ship-3");
    site.maestro("plan deploy").await.ok().says("linux/s390x");
    site.maestro("deploy").await.fails(1).says("linux/s390x").says("nothing has been done");

    // A wrong password, told by old engines and by new ones.
    let fleet = site.fleet.description().environment_yaml();
    let password = &site.fleet.description().registry.as_ref().unwrap().login.password;
    assert!(fleet.contains(password.as_str()), "{fleet}");
    site.write_with(&fleet.replace(password.as_str(), "certainly-wrong"), &web(&site, "bb:latest"));
    let ran =
        site.maestro("doctor").await.fails(1).says("a registry does not let a ship in").says("docker login");
    assert!(!ran.all().contains("certainly-wrong"), "{}", ran.all());
    assert_eq!(containers(&site).await, 0);

    // A full disk.
    site.write(&web(&site, "bb:latest"));
    site.fleet.fill_disk("ship-1").await.unwrap();
    site.maestro("doctor").await.fails(1).says("the disk is full").says("ship-1: 0 bytes free of");
    let name = site.maestro("doctor --output name").await.fails(1);
    assert_eq!(name.stdout, "ship-1\n", "{}", name.all());
    site.maestro("deploy").await.fails(1).says("the disk is full");
    assert_eq!(containers(&site).await, 0);
    site.fleet.free_disk("ship-1").unwrap();

    site.maestro("deploy").await.ok().says("3 deployed");
    site.maestro("doctor").await.ok().says("all is well").never_says("error");
    // What another one has on the way is told by name.
    let other = web(&site, "bb:latest").replace("web", "shop");
    site.write(&(web(&site, "bb:latest") + &other));
    site.maestro("doctor shop").await.fails(1).says("18080/tcp of shop-1: web-1 has it");
}
