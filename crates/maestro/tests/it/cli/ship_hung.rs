//! A ship that accepts connections and answers nothing from the middle of a deployment on, or from before it, or is gone,
//! and is well again later. Once it keeps lease and ledger with two others, and once it does not.

use super::shell::Ran;
use super::site::{Site, until};
use futures_util::future::join_all;
use maestro_testkit::daemon::Write;
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use std::time::Duration;

/// However a ship hangs, nothing waits longer: its calls have three seconds each.
const AT_MOST: Duration = Duration::from_secs(45);
const BRIEF: &str = ", timeout: 3";
/// An answer that comes when nobody waits for it any more.
const NEVER: Duration = Duration::from_hours(1);

const ONE: &str = "strategy: rolling, max_unavailable: 1";
const BESIDE: &str = "strategy: rolling, max_unavailable: 0";
/// All at once, but for what binds everybody.
const ALL: &str = "strategy: rolling, max_unavailable: 3";

/// Whether the ship that hangs keeps lease and ledger with two others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Them,
    Nothing,
}

const EITHER: [Keeps; 2] = [Keeps::Them, Keeps::Nothing];

/// How it is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// It hangs, before it has done what it is asked for.
    Hangs,
    /// It has done that, and hangs.
    DoesAndHangs,
    /// It has done that, and nobody is there any more.
    DoesAndDies,
}

/// Four ships, the last of which is to hang. What does not need it is on another one.
fn file(tag: &str, how: &str, policy: &str, keeps: Keeps) -> String {
    let port = if how == BESIDE { "18080-18089" } else { "18080" };
    let anchor = if keeps == Keeps::Them { "pacific" } else { "baltic" };
    let budget = if how == ALL { "budget: {max_unavailable: 1}\n" } else { "" };
    format!(
        "
  api:
    image: shop/api:{tag}
    deploy: {{{ONE}, on_failure: {policy}}}
    instances: {{api-1: {{ship: baltic, stop_timeout: 1}}}}
  web:
    image: shop/web:{tag}
    requires: [api]
    deploy: {{{how}, on_failure: {policy}}}
    instances:
      web-1: {{ship: atlantic, stop_timeout: 1, ports: {{http: '8080:{port}'}}}}
      web-2: {{ship: pacific, stop_timeout: 1, ports: {{http: '8080:{port}'}}}}
      web-3: {{ship: arctic, stop_timeout: 1, ports: {{http: '8080:{port}'}}}}
  batch:
    image: shop/batch:{tag}
    deploy: {{{ONE}, on_failure: {policy}}}
    instances: {{batch-1: {{ship: baltic, stop_timeout: 1}}}}
anchors: [arctic, atlantic, {anchor}]
{budget}"
    )
}

fn is_up(site: &Site, name: &str, tag: &str) -> bool {
    site.state(name) == "running" && site.image(name).contains(&format!(":{tag}"))
}

const NAMES: [&str; 5] = ["api-1", "web-1", "web-2", "web-3", "batch-1"];

/// With version 2.0, and 3.0 in the file.
async fn released(how: &str, policy: &str, keeps: Keeps) -> Site {
    let site = Site::of_four(&file("2.0", how, policy, keeps), BRIEF);
    site.run("deploy").await.ok();
    site.write(&file("3.0", how, policy, keeps));
    site.clear_writes();
    site
}

/// Which call of a kind is the first one for the instance: lease and ledger are containers, too.
fn number_of(operation: Operation, keeps: Keeps) -> u64 {
    if operation == Operation::Create && keeps == Keeps::Them { 3 } else { 1 }
}

/// Deploys, and loses the ship by the first call of this kind.
async fn lost_at(site: &Site, (operation, lost): (Operation, Lost), keeps: Keeps) -> Ran {
    let nth = number_of(operation, keeps);
    let fault = match lost {
        Lost::Hangs => Fault::Hangs,
        Lost::DoesAndHangs => Fault::Slow(NEVER),
        Lost::DoesAndDies => Fault::Dies,
    };
    site.pacific.set_faults(Faults::none().and(On::Only(operation), When::From(nth), fault));
    let mut deploying = site.shell.spawn("deploy --yes");
    let mut ended = false;
    until("it is lost", || {
        ended = deploying.has_ended();
        let is_it = |write: &Write| write.operation == operation && write.subject.contains("web-2");
        ended || site.pacific.writes().iter().any(is_it)
    })
    .await;
    if lost != Lost::DoesAndDies {
        site.pacific.set_faults(Faults::hung());
    }
    deploying.end().await
}

async fn finished_later(how: &'static str, policy: &'static str, keeps: Keeps, at: (Operation, Lost)) {
    let case = format!("{how}, {policy}, {keeps:?}, lost at {at:?}");
    let site = released(how, policy, keeps).await;
    let ran = lost_at(&site, at, keeps).await.within(AT_MOST);
    let said = format!("{case}: {}", ran.all());
    assert_eq!(ran.code, 3, "{said}");
    assert!(ran.stderr.contains("the deployment is not finished"), "{said}");
    // One of them is down, or nobody knows: all others are up. Who has not been replaced by then is not.
    assert!(is_up(&site, "web-1", "3.0") && is_up(&site, "web-3", "2.0"), "{said}");
    // It needs nothing of that ship.
    if policy == "continue" {
        assert!(is_up(&site, "batch-1", "3.0"), "{said}");
    }
    // As long as it is away, nobody goes down beside it.
    site.clear_writes();
    let ran = site.run("resume --yes").await.within(AT_MOST);
    let said = format!("{case}: {}", ran.all());
    // What a budget forbids is refused as a whole.
    assert_eq!(ran.code, if how == ALL { 2 } else { 3 }, "{said}");
    if how != BESIDE {
        assert!(site.changes().iter().all(|change| !change.contains("web-")), "{said}\n{:?}", site.changes());
    }
    assert_eq!((site.state("web-1"), site.state("web-3")), ("running", "running"), "{said}");
    site.pacific.recover().await;
    let ran = site.run("resume --yes").await;
    assert_eq!(ran.code, 0, "{case}: {}", ran.all());
    assert!(NAMES.iter().all(|name| is_up(&site, name, "3.0")), "{case}: {}", ran.all());
    let plan = site.run("plan deploy --detailed-exitcode").await;
    assert_eq!(plan.code, 0, "{case}: {}", plan.all());
    plan.never_says("not finished");
}

const REPLACING: [Operation; 4] = [Operation::Stop, Operation::Rename, Operation::Create, Operation::Start];

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deferred_is_finished_when_it_is_well_again() {
    let mut cases = Vec::new();
    for keeps in EITHER {
        for (how, policy) in [(ONE, "pause"), (BESIDE, "continue"), (ALL, "continue")] {
            let lost = match keeps {
                Keeps::Them => [Lost::DoesAndHangs, Lost::Hangs, Lost::DoesAndDies, Lost::Hangs],
                Keeps::Nothing => [Lost::Hangs, Lost::DoesAndHangs, Lost::Hangs, Lost::DoesAndDies],
            };
            for at in REPLACING.into_iter().zip(lost) {
                cases.push(finished_later(how, policy, keeps, at));
            }
        }
    }
    join_all(cases).await;
}

/// What can be taken back is, at once.
async fn taken_back_later(how: &'static str, keeps: Keeps, at: (Operation, Lost)) {
    let case = format!("{how}, {keeps:?}, lost at {at:?}");
    let site = released(how, "rollback", keeps).await;
    let ran = lost_at(&site, at, keeps).await.within(AT_MOST);
    let said = format!("{case}: {}", ran.all());
    assert_eq!(ran.code, 3, "{said}");
    assert!(ran.stderr.contains("not everything is as in release 1 again"), "{said}");
    for name in ["api-1", "web-3", "batch-1"] {
        assert!(is_up(&site, name, "2.0"), "{name}: {said}");
    }
    // It is well as it is, and would go down beside the one that nobody can see.
    assert!(is_up(&site, "web-1", if how == ONE { "3.0" } else { "2.0" }), "{said}");
    site.pacific.recover().await;
    let ran = site.run("resume --yes").await;
    assert_eq!(ran.code, 0, "{case}: {}", ran.all());
    assert!(NAMES.iter().all(|name| is_up(&site, name, "2.0")), "{case}: {}", ran.all());
    site.write(&file("2.0", how, "rollback", keeps));
    let plan = site.run("plan deploy --detailed-exitcode").await;
    assert_eq!(plan.code, 0, "{case}: {}", plan.all());
    plan.never_says("not finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_taken_back_is_when_it_is_well_again() {
    let mut cases = Vec::new();
    for keeps in EITHER {
        for how in [ONE, BESIDE] {
            let lost = [Lost::DoesAndHangs, Lost::Hangs, Lost::DoesAndDies, Lost::Hangs];
            for at in REPLACING.into_iter().zip(lost) {
                cases.push(taken_back_later(how, keeps, at));
            }
        }
    }
    join_all(cases).await;
}

/// What is there is left for later; what may go down without it, is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_from_the_beginning_is_left_for_later() {
    let left = async |how: &'static str, keeps: Keeps| {
        let case = format!("{how}, {keeps:?}");
        let site = released(how, "rollback", keeps).await;
        site.pacific.set_faults(Faults::hung());
        let ran = site.run("deploy --yes").await.within(AT_MOST);
        let said = format!("{case}: {}", ran.all());
        // Those that cannot be seen count as down.
        let tag = if how == BESIDE { "3.0" } else { "2.0" };
        assert!(is_up(&site, "web-1", tag) && is_up(&site, "web-3", tag), "{said}");
        assert!(is_up(&site, "web-2", "2.0"), "{said}");
        // What a budget forbids is refused as a whole.
        if how == ALL {
            assert_eq!((ran.code, site.changes()), (2, Vec::new()), "{said}");
        } else {
            assert_eq!(ran.code, 3, "{said}");
            assert!(ran.stderr.contains("the deployment is not finished"), "{said}");
            assert!(is_up(&site, "api-1", "3.0") && is_up(&site, "batch-1", "3.0"), "{said}");
        }
        site.pacific.recover().await;
        let ran = site.run(if how == ALL { "deploy --yes" } else { "resume --yes" }).await;
        assert_eq!(ran.code, 0, "{case}: {}", ran.all());
        assert!(NAMES.iter().all(|name| is_up(&site, name, "3.0")), "{case}: {}", ran.all());
    };
    let cases = EITHER.into_iter().flat_map(|keeps| [ONE, BESIDE, ALL].map(|how| left(how, keeps)));
    join_all(cases).await;
}

/// It hung for a moment, and did what it was asked for: that is found out, and the deployment goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_while_it_hung_is_found() {
    let found = async |operation: Operation, keeps: Keeps| {
        let case = format!("{operation:?}, {keeps:?}");
        let site = released(ONE, "rollback", keeps).await;
        let nth = number_of(operation, keeps);
        let slow = Fault::Slow(NEVER);
        site.pacific.set_faults(Faults::none().and(On::Only(operation), When::Nth(nth), slow));
        let ran = site.run("deploy --yes").await.within(AT_MOST);
        assert_eq!(ran.code, 0, "{case}: {}", ran.all());
        assert!(ran.took > Duration::from_secs(3), "{case}: nothing hung: {}", ran.all());
        assert!(NAMES.iter().all(|name| is_up(&site, name, "3.0")), "{case}: {}", ran.all());
    };
    let cases = EITHER.into_iter().flat_map(|keeps| REPLACING.map(|operation| found(operation, keeps)));
    join_all(cases).await;
}
