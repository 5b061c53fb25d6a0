//! Whoever deploys to real engines may die at any moment: somebody else goes on, or back.

use super::site::Site;
use futures_util::future::join_all;
use maestro_testkit::practice::{PracticeFleet, TransportKind};
use std::io::{BufRead as _, BufReader};

/// Deployments side by side, each an environment of its own, so that their waiting takes no longer than one's.
const DEPLOYMENTS: usize = 10;

/// The file of one environment.
fn file(site: &Site, number: usize) -> String {
    let web = site.image("shop/web");
    let fleet = site.fleet.description().environment_yaml();
    let port = 18100 + number;
    format!(
        "__maestro: {{schema: 2}}\nname: site-{number}\n{fleet}services:\n  web:\n    image: {web}:{{{{ env.TAG or '1.0' }}}}\n    \
         ports: {{http: '8080:{port}'}}\n    deploy: {{strategy: rolling, max_unavailable: 1}}\n    \
         lifecycle: {{running: [{{type: http, port: http, path: /, max_wait: 20}}]}}\n    \
         instances:\n      web-{number}-a: {{ship: ship-1, stop_timeout: 1}}\n      \
         web-{number}-b: {{ship: ship-2, stop_timeout: 1}}\n      web-{number}-c: {{ship: ship-3, stop_timeout: 1}}\n"
    )
}

async fn tags(site: &Site, number: usize) -> Vec<String> {
    let names = [("ship-1", "a"), ("ship-2", "b"), ("ship-3", "c")];
    let tags = names.map(async |(ship, letter)| {
        let name = format!("web-{number}-{letter}");
        let running = site.inspect(ship, &name).await.is_some_and(|found| found["State"]["Running"] == true);
        let tag = site.tag(ship, &name).await.unwrap_or_default();
        if running { tag } else { format!("{tag} does not run") }
    });
    join_all(tags).await
}

/// Deploys, is killed when it has told of so many steps, and is brought to an end by somebody else: forth, or back.
async fn deployed_and_killed(site: &Site, number: usize) {
    let two = [("TAG", "2.0")];
    let on = |line: &str| format!("-f {number}.yaml {line}");
    site.maestro(&on("deploy --yes")).await.ok().says("this is release 1");
    let mut dying = site.spawn_with(&on("deploy --yes --progress plain"), &two);
    let lines = BufReader::new(dying.stdout.take().unwrap()).lines();
    // From the first stop to the last start.
    let killing = tokio::task::spawn_blocking(move || {
        let steps = ["stopping", "renaming", "creating", "starting", "waiting for service"];
        let step = |line: &String| steps.iter().any(|step| line.contains(step));
        let told = lines.map_while(Result::ok).filter(step).take(number + 1).count();
        dying.kill().unwrap();
        dying.wait().unwrap();
        told
    });
    assert_eq!(killing.await.unwrap(), number + 1, "it was still at work");
    let (line, expected) =
        if number.is_multiple_of(2) { ("resume --yes", "2.0") } else { ("abort --yes", "1.0") };
    let ran = site.maestro(&on(line)).await.ok();
    assert_eq!(tags(site, number).await, [expected; 3], "{number}: {}", ran.all());
    let again = [("TAG", expected)];
    site.maestro_with(&on("plan deploy --detailed-exitcode"), &again)
        .await
        .ok()
        .says("nothing would be done");
    site.maestro(&on("resume --yes")).await.fails(1).says("no deployment is unfinished");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_goes_on_or_back() {
    let ships = [TransportKind::Tcp, TransportKind::Unix, TransportKind::Ssh];
    let site = Site::up(PracticeFleet::builder().ships(&ships).mixed()).await;
    for number in 0..DEPLOYMENTS {
        std::fs::write(site.path().join(format!("{number}.yaml")), file(&site, number)).unwrap();
    }
    join_all((0..DEPLOYMENTS).map(|number| deployed_and_killed(&site, number))).await;
}
