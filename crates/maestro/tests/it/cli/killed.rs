//! Whoever deploys may die after any step: somebody else goes on, or back, and nothing is left half done.

use super::site::{SHOP, Site, until};
use futures_util::future::join_all;
use maestro_testkit::daemon::Latency;
use maestro_testkit::faults::Operation;
use rustix::process::Signal;
use std::time::Duration;

/// Long enough to see each change of a container before the next one.
const A_WHILE: Duration = Duration::from_millis(150);
/// Dead owners are found out, and what they asked for is waited for: both the longer, the longer calls may take.
const BRIEF: &str = ", timeout: 2";

/// How a service is deployed.
const STRATEGIES: [&str; 5] = [
    "strategy: rolling, max_unavailable: 1",
    "strategy: recreate",
    "strategy: rolling, max_unavailable: 0",
    "strategy: blue-green",
    "strategy: canary, max_unavailable: 0, pause: 1s",
];

/// What is behind a strategy if only one instance of all may be down.
const WITHIN: &str = ", within a budget";

fn shop(tag: &str, strategy: &str) -> String {
    let (strategy, budget) = match strategy.strip_suffix(WITHIN) {
        Some(strategy) => (strategy, "budget: {max_unavailable: 1}\n"),
        None => (strategy, ""),
    };
    // The first two have fixed ports, and stop what they replace first.
    let ports = |fixed: &str| match strategy {
        "strategy: recreate" | "strategy: rolling, max_unavailable: 1" => fixed.to_owned(),
        _ => "'8080:18080-18089'".to_owned(),
    };
    SHOP.replace("'8080:18080'", &ports("'8080:18080'"))
        .replace("'8080:18081'", &ports("'8080:18081'"))
        .replace("shop/web:2.0", &format!("shop/web:{tag}"))
        .replace("    requires: [db]\n", &format!("    requires: [db]\n    deploy: {{{strategy}}}\n"))
        .replace("ports: {http", "stop_timeout: 1, ports: {http")
        + budget
}

/// Changing takes its time here, and nothing else does.
fn site(services: &str) -> Site {
    let slow = [Operation::Create, Operation::Start, Operation::Stop, Operation::Rename];
    let latency =
        slow.into_iter().fold(Latency::default(), |latency, operation| latency.but(operation, A_WHILE));
    Site::slow_with(services, &latency, BRIEF)
}

/// How a broken-off deployment is brought to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Resume,
    Abort,
    DeployAgain,
}

/// Kills a deployment after so many changes; whether it had got that far.
async fn killed_after(changes: usize, strategy: &str, tag: &str, then: Then) -> bool {
    let case = format!("{strategy}, to {tag}, killed after {changes} changes, then {then:?}");
    let site = site(&shop("2.0", strategy));
    site.run("deploy").await.ok();
    site.write(&shop(tag, strategy));
    site.clear_writes();
    let mut deploying = site.shell.spawn("deploy --yes -c 1 web");
    let ended = async {
        let mut ended = false;
        until(&case, || {
            ended = deploying.has_ended();
            ended || site.changes().len() >= changes
        })
        .await;
        ended
    };
    if ended.await {
        return false;
    }
    deploying.send(Signal::KILL);
    deploying.end().await.exits(-1);
    let journal = site.run("releases").await.ok().stderr.contains("not finished");
    assert!(journal, "{case}: it was written down before the first change");
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

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_goes_on() {
    join_all(STRATEGIES.map(|strategy| killed_anywhere(strategy, "3.0", Then::Resume))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_goes_back() {
    join_all(STRATEGIES.map(|strategy| killed_anywhere(strategy, "3.0", Then::Abort))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_deploys_the_same() {
    killed_anywhere(STRATEGIES[0], "3.0", Then::DeployAgain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_keeps_nobody_from_going_on_or_back() {
    for strategy in [STRATEGIES[0], STRATEGIES[3]].map(|strategy| format!("{strategy}{WITHIN}")) {
        for then in [Then::Resume, Then::Abort] {
            killed_anywhere(&strategy, "3.0", then).await;
        }
    }
}

/// Also while it takes back what was no good.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_back_may_die_too() {
    killed_anywhere(STRATEGIES[0], "brief-3.0", Then::Resume).await;
}
