//! Whoever deploys may die while he writes to lease or ledger, when one anchor has it and the others have not: whoever
//! comes next finds what was deployed, and nothing in his way.

use super::site::{Site, until};
use futures_util::future::join_all;
use maestro_testkit::daemon::{Latency, Write};
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use rustix::process::Signal;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Dead owners are found out, and what they asked for is waited for: both the longer, the longer calls may take.
const BRIEF: &str = ", timeout: 2";
/// From one anchor to the next.
const APART: Duration = Duration::from_millis(120);

/// So many deploy at the same time: more would only keep each other from their deadlines.
static DEPLOYING: Semaphore = Semaphore::const_new(8);

fn shop(tag: &str) -> String {
    format!(
        "
  web:
    image: shop/web:{tag}
    deploy: {{strategy: rolling, max_unavailable: 1}}
    instances:
      web-1: {{ship: atlantic, stop_timeout: 1, ports: {{http: '8080:18080'}}}}
      web-2: {{ship: pacific, stop_timeout: 1, ports: {{http: '8080:18081'}}}}
"
    )
}

/// What was written to lease and ledger. How often a lease was kept up is no matter.
fn written(site: &Site) -> usize {
    let is_kept =
        |write: &&Write| write.subject.starts_with("maestro.") && write.operation != Operation::Update;
    site.writes().iter().filter(is_kept).count()
}

/// Lease and ledger are written to one anchor after another.
fn writes_one_after_another(site: &Site) {
    for (number, engine) in (0..).zip(site.engines()) {
        let takes = APART * number;
        engine.takes(&Latency::default().but(Operation::Put, takes).but(Operation::Remove, takes));
    }
}

/// Kills a deployment after so many writes; whether it had got that far.
async fn killed_after(writes: usize) -> bool {
    let turn = DEPLOYING.acquire().await;
    let site = Site::of_three(&shop("2.0"), BRIEF);
    site.run("deploy").await.ok();
    site.write(&shop("3.0"));
    site.clear_writes();
    writes_one_after_another(&site);
    let mut deploying = site.shell.spawn("deploy --yes");
    let mut ended = false;
    until(&format!("{writes} writes"), || {
        ended = deploying.has_ended();
        ended || written(&site) >= writes
    })
    .await;
    if ended {
        return false;
    }
    deploying.send(Signal::KILL);
    deploying.end().await.exits(-1);
    site.engines().for_each(|engine| engine.takes(&Latency::default()));
    drop(turn);
    // An anchor less changes nothing, whichever it is.
    for number in 0..3 {
        let case = format!("killed after {writes} writes, without anchor {number}");
        let gone = site.engines().nth(number).unwrap();
        gone.set_faults(Faults::none().and(On::Any, When::Always, Fault::Dies));
        let releases = site.run("releases").await;
        assert_eq!(releases.code, 0, "{case}: {}", releases.all());
        gone.recover().await;
    }
    let case = format!("killed after {writes} writes");
    let unfinished = site.run("releases").await.ok().stderr.contains("not finished");
    let (line, expected) = match (unfinished, writes.is_multiple_of(2)) {
        (true, true) => ("resume --yes", "3.0"),
        (true, false) => ("abort --yes", "2.0"),
        (false, _) => ("deploy --yes", "3.0"),
    };
    let ran = site.run(line).await;
    assert_eq!(ran.code, 0, "{case}, then {line}: {}", ran.all());
    for name in ["web-1", "web-2"] {
        assert_eq!(site.state(name), "running", "{case}, then {line}: {}", ran.all());
        assert!(site.image(name).contains(&format!("web:{expected}")), "{case}, then {line}: {}", ran.all());
    }
    site.write(&shop(expected));
    let plan = site.run("plan deploy --detailed-exitcode").await;
    assert_eq!(plan.code, 0, "{case}, then {line}: {}", plan.all());
    // What is recorded is what runs, and there is a way from it.
    site.write(&shop("4.0"));
    site.run("deploy --yes").await.ok();
    let back = site.run("rollback --yes").await;
    assert_eq!(back.code, 0, "{case}, then {line}, and back: {}", back.all());
    assert!(site.image("web-1").contains(&format!("web:{expected}")), "{case}, and back: {}", back.all());
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_next_finds_everything() {
    /// More than any of these deployments writes.
    const MOST: usize = 32;
    let all = join_all((1..=MOST).map(killed_after)).await;
    let reached = all.iter().filter(|reached| **reached).count();
    assert!((15..MOST).contains(&reached), "{reached} places");
}
