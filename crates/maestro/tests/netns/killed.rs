//! Whoever deploys to real engines may die at any moment: somebody else goes on, or back.

use super::site::Site;
use futures_util::future::join_all;
use maestro_testkit::practice::{PracticeFleet, TransportKind};
use std::io::{BufRead as _, BufReader};

/// Deployments side by side, each an environment of its own, so that their waiting takes no longer than one's.
const DEPLOYMENTS: usize = 10;

/// One of each for two of them, and ports: fixed ones, or ranges where there are two of each instance for a while.
const STRATEGIES: [(&str, bool); 5] = [
    ("strategy: rolling, max_unavailable: 1", false),
    ("strategy: rolling, max_unavailable: 0", true),
    ("strategy: blue-green", true),
    ("strategy: canary, max_unavailable: 0, pause: 1s", true),
    ("strategy: recreate", false),
];

/// The file of one environment.
fn file(site: &Site, number: usize) -> String {
    let web = site.image("shop/web");
    let fleet = site.fleet.description().environment_yaml();
    let (strategy, is_range) = STRATEGIES[number % STRATEGIES.len()];
    let first = 18100 + 10 * number;
    let port = if is_range { format!("{first}-{}", first + 9) } else { first.to_string() };
    format!(
        "__maestro: {{schema: 2}}\nname: site-{number}\n{fleet}services:\n  web:\n    image: {web}:{{{{ env.TAG or '1.0' }}}}\n    \
         ports: {{http: '8080:{port}'}}\n    deploy: {{{strategy}}}\n    \
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

/// Deploys, is killed when it has told of so many steps, and is brought to an end by somebody else: back, and another time
/// forth.
async fn deployed_and_killed(site: &Site, number: usize) {
    site.maestro(&format!("-f {number}.yaml deploy --yes")).await.ok().says("this is release 1");
    for (line, expected) in [("abort --yes", "1.0"), ("resume --yes", "2.0")] {
        killed_and(site, number, line, expected).await;
    }
}

async fn killed_and(site: &Site, number: usize, line: &str, expected: &str) {
    let two = [("TAG", "2.0")];
    let on = |line: &str| format!("-f {number}.yaml {line}");
    let mut dying = site.spawn_with(&on("deploy --yes --progress plain"), &two);
    let lines = BufReader::new(dying.stdout.take().unwrap()).lines();
    // Of the fifteen things that are done to three instances.
    let killing = tokio::task::spawn_blocking(move || {
        let steps = ["stopping", "renaming", "creating", "starting", "waiting for service"];
        let step = |line: &String| steps.iter().any(|step| line.contains(step));
        let told = lines.map_while(Result::ok).filter(step).take(number + 1).count();
        dying.kill().unwrap();
        dying.wait().unwrap();
        told
    });
    assert_eq!(killing.await.unwrap(), number + 1, "it was still at work");
    let ran = site.maestro(&on(line)).await.ok();
    assert_eq!(tags(site, number).await, [expected; 3], "{number}, {line}: {}", ran.all());
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
