//! Whoever deploys may die after any step: somebody else goes on, or back, and nothing is left half done.

use super::shell::Ran;
use super::site::{SHOP, Site, until_within};
use futures_util::future::join_all;
use maestro_testkit::daemon::{Latency, Write};
use maestro_testkit::faults::Operation;
use rustix::process::Signal;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Long enough to see each change of a container before the next one.
const A_WHILE: Duration = Duration::from_millis(150);
/// Dead owners are found out, and what they asked for is waited for: both the longer, the longer calls may take.
const BRIEF: &str = ", timeout: 2";

/// How a service is deployed.
const STRATEGIES: [&str; 6] = [
    "strategy: rolling, max_unavailable: 1",
    "strategy: recreate",
    "strategy: rolling, max_unavailable: 0",
    "strategy: blue-green",
    "strategy: canary, max_unavailable: 0, pause: 1s",
    // Without a pause, somebody has to say that the others follow, and has done so.
    "strategy: canary, max_unavailable: 0",
];

fn shop(tag: &str, strategy: &str) -> String {
    // The first two have fixed ports, and stop what they replace first.
    let ports = |fixed: &str| match strategy {
        "strategy: recreate" | "strategy: rolling, max_unavailable: 1" => fixed.to_owned(),
        _ => "'8080:18080-18089'".to_owned(),
    };
    // Nor does a budget keep anybody from going on, or back.
    let budget = match strategy {
        "strategy: blue-green" | "strategy: rolling, max_unavailable: 1" => "budget: {max_unavailable: 1}\n",
        _ => "",
    };
    SHOP.replace("'8080:18080'", &ports("'8080:18080'"))
        .replace("'8080:18081'", &ports("'8080:18081'"))
        .replace("shop/web:2.0", &format!("shop/web:{tag}"))
        .replace("    requires: [db]\n", &format!("    requires: [db]\n    deploy: {{{strategy}}}\n"))
        .replace("ports: {", "stop_timeout: 1, ports: {")
        + budget
}

/// How a broken-off deployment is brought to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Resume,
    Abort,
    DeployAgain,
}

/// So many deploy at the same time: more would only keep each other from their deadlines. Whoever waits for somebody who
/// died does not count.
static DEPLOYING: Semaphore = Semaphore::const_new(10);

/// How much has been done. What is tidied when it is over is no part of it.
pub(super) fn changes_of(site: &Site) -> usize {
    let is_kept =
        |write: &Write| write.subject.starts_with("maestro.") || write.operation == Operation::RemoveImage;
    site.writes().iter().filter(|write| !is_kept(write)).count()
}

/// Begins a deployment, and kills it when something is so. What it did, if it came to its end before.
pub(super) async fn killed_when(
    site: &Site,
    line: &str,
    case: &str,
    mut so: impl FnMut() -> bool,
) -> Option<Ran> {
    let mut deploying = site.shell.spawn(line);
    let mut ended = false;
    until_within(Duration::from_mins(1), case, || {
        ended = deploying.has_ended();
        ended || so()
    })
    .await;
    if ended {
        return Some(deploying.end().await);
    }
    deploying.send(Signal::KILL);
    deploying.end().await.exits(-1);
    None
}

/// Kills a deployment after so many changes; whether it had got that far.
async fn killed_after(changes: usize, strategy: &str, tag: &str, then: Then) -> bool {
    let case = format!("{strategy}, to {tag}, killed after {changes} changes, then {then:?}");
    let turn = DEPLOYING.acquire().await;
    let site = Site::slow_with(&shop("2.0", strategy), &Latency::default(), BRIEF);
    site.run("deploy").await.ok();
    let ids = || ["db-1", "web-1", "web-2"].map(|name| site.id(name));
    let before = ids();
    site.write(&shop(tag, strategy));
    site.clear_writes();
    site.changes_take(A_WHILE);
    let promoting = if strategy == STRATEGIES[5] { " --promote" } else { "" };
    let line = format!("deploy --yes -c 1 web{promoting}");
    if killed_when(&site, &line, &case, || changes_of(&site) >= changes).await.is_some() {
        return false;
    }
    site.changes_take(Duration::ZERO);
    drop(turn);
    let releases = site.run("releases").await.ok();
    if !releases.stderr.contains("not finished") {
        // It was written down before the first change, so it was over when the signal came: a moment after the last one.
        let images = ["web-1", "web-2"].map(|name| site.image(name));
        assert!(images[0] == images[1] && changes > 1, "{case}: {images:?}\n{}", releases.all());
        return false;
    }
    let (line, expected) = match then {
        Then::Resume => ("resume --yes", tag),
        Then::Abort => ("abort --yes", "2.0"),
        Then::DeployAgain => ("deploy --yes web", tag),
    };
    let ran = site.run(line).await;
    // What is no good is taken back, or found out by whoever goes on.
    let good = !tag.starts_with("brief");
    let expected = if good { expected } else { "2.0" };
    if good || then == Then::Abort {
        assert_eq!(ran.code, 0, "{case}: {}", ran.all());
    } else {
        assert!([0, 4].contains(&ran.code), "{case}: {}", ran.all());
    }
    for name in ["web-1", "web-2"] {
        let (state, image) = (site.state(name), site.image(name));
        assert_eq!(state, "running", "{case}: {name}: {}", ran.all());
        assert!(image.contains(&format!("web:{expected}")), "{case}: {name} is {image}: {}", ran.all());
    }
    if expected == "2.0" {
        // What was stopped or put aside is brought back, and nothing is made anew in its place.
        assert_eq!(ids(), before, "{case}: {}", ran.all());
    }
    let after = site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
    site.write(&shop(expected, strategy));
    let plan = site.run("plan deploy --detailed-exitcode").await;
    assert_eq!(plan.code, 0, "{case}: {}\n{}", plan.all(), after.all());
    true
}

/// All places at which a deployment can be killed, one after another until it gets to its end.
async fn killed_anywhere(strategy: &str, tag: &str, then: Then) {
    /// More changes than any of these deployments makes.
    const MOST: usize = 14;
    let all = join_all((1..=MOST).map(|changes| killed_after(changes, strategy, tag, then))).await;
    let reached = all.iter().filter(|reached| **reached).count();
    assert!((6..MOST).contains(&reached), "{strategy}, to {tag}: {reached} places");
}

/// All of a deployment's places, for every strategy; and for one of them something else, which takes no longer beside
/// them: they wait.
async fn killed_everywhere(then: Then, tag: &str, otherwise: Then) {
    let all = join_all(STRATEGIES.map(|strategy| killed_anywhere(strategy, "3.0", then)));
    tokio::join!(all, killed_anywhere(STRATEGIES[0], tag, otherwise));
}

/// Also when he died while he took back what was no good.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_goes_on() {
    killed_everywhere(Then::Resume, "brief-3.0", Then::Resume).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_goes_back_or_deploys_the_same() {
    killed_everywhere(Then::Abort, "3.0", Then::DeployAgain).await;
}
