//! A ship that is lost in the middle of a deployment, or before it, and is back later. And a registry that is down.

use super::site::Site;
use maestro_testkit::faults::{Fault, Faults, On, When};
use std::time::Duration;

/// However a ship is lost, nothing waits longer.
const AT_MOST: Duration = Duration::from_secs(30);

/// Lease and ledger are on the ship that stays.
fn file(tag: &str, deploy: &str, ports: [&str; 3]) -> String {
    let [one, two, three] = ports;
    format!(
        "
  web:
    image: shop/web:{tag}
    deploy: {{{deploy}}}
    instances:
      web-1: {{ship: atlantic, stop_timeout: 1, ports: {{http: '8080:{one}'}}}}
      web-2: {{ship: pacific, stop_timeout: 1, ports: {{http: '8080:{two}'}}}}
      web-3: {{ship: atlantic, stop_timeout: 1, ports: {{http: '8080:{three}'}}}}
anchors: [atlantic]
"
    )
}

const FIXED: [&str; 3] = ["18080", "18081", "18082"];
const RANGE: [&str; 3] = ["18080-18089"; 3];

fn images(site: &Site) -> [&'static str; 3] {
    ["web-1", "web-2", "web-3"].map(|name| if site.image(name).contains("web:3.0") { "3.0" } else { "2.0" })
}

/// The ship's engine dies when it is asked for its change of this number.
async fn lost_at(change: u64, deploy: &str, ports: [&str; 3]) -> Site {
    let site = Site::new(&file("2.0", deploy, ports));
    site.run("deploy").await.ok();
    site.write(&file("3.0", deploy, ports));
    // The first one is the pull.
    site.pacific.set_faults(Faults::none().and(On::Writes, When::Nth(change), Fault::Dies));
    site
}

#[tokio::test]
async fn what_was_deferred_is_finished_when_it_is_back() {
    for (ports, how) in [(FIXED, "max_unavailable: 1"), (RANGE, "max_unavailable: 0")] {
        for change in 2..=5 {
            let case = format!("{how}, lost at change {change}");
            let site = lost_at(change, &format!("strategy: rolling, {how}, on_failure: pause"), ports).await;
            let ran = site.run("deploy --yes").await.exits(3).within(AT_MOST);
            assert!(ran.stderr.contains("the deployment is not finished"), "{case}: {}", ran.all());
            // Nobody else has been stopped since.
            assert_eq!(site.state("web-3"), "running", "{case}");
            assert!(site.image("web-3").contains("2.0"), "{case}: {}", ran.all());
            // As long as it is away, nothing is done that cannot be.
            site.run("resume --yes").await.exits(3).within(AT_MOST);
            site.pacific.recover().await;
            let resumed = site.run("resume --yes").await.ok();
            assert_eq!(images(&site), ["3.0"; 3], "{case}: {}", resumed.all());
            site.run("plan deploy --detailed-exitcode").await.exits(0);
        }
    }
}

#[tokio::test]
async fn what_could_not_be_taken_back_is_when_it_is_back() {
    for change in 2..=5 {
        let site = lost_at(change, "strategy: rolling, max_unavailable: 0", RANGE).await;
        let ran = site.run("deploy --yes").await.exits(3).within(AT_MOST);
        assert!(ran.stderr.contains("not everything is as in release 1 again"), "{change}: {}", ran.all());
        assert!(site.image("web-1").contains("web:2.0"), "{change}: {}", ran.all());
        site.pacific.recover().await;
        let resumed = site.run("resume --yes").await.ok();
        assert_eq!(images(&site), ["2.0"; 3], "{change}: {}", resumed.all());
        site.write(&file("2.0", "strategy: rolling, max_unavailable: 0", RANGE));
        site.run("plan deploy --detailed-exitcode").await.exits(0);
    }
}

/// All might go at once, but for the budget: what cannot be seen has used it up.
#[tokio::test]
async fn a_budget_is_kept_when_a_ship_is_lost() {
    let all = "strategy: rolling, max_unavailable: 3, on_failure: pause";
    let shop = |tag: &str| file(tag, all, FIXED) + "budget: {max_unavailable: 1}\n";
    for change in 2..=5 {
        let site = Site::new(&shop("2.0"));
        site.run("deploy").await.ok();
        site.write(&shop("3.0"));
        site.pacific.set_faults(Faults::none().and(On::Writes, When::Nth(change), Fault::Dies));
        let ran = site.run("deploy --yes").await.exits(3).within(AT_MOST).says("not finished");
        let up = |name: &str, tag: &str| site.state(name) == "running" && site.image(name).contains(tag);
        assert!(up("web-1", "3.0") && up("web-3", "2.0"), "{change}: {}", ran.all());
        site.clear_writes();
        let ran = site.run("resume --yes").await.within(AT_MOST);
        assert_ne!(ran.code, 0, "{change}: {}", ran.all());
        assert!(site.changes().iter().all(|done| !done.contains("stop")), "{change}: {:?}", site.changes());
        site.pacific.recover().await;
        let resumed = site.run("resume --yes").await.ok();
        assert_eq!(images(&site), ["3.0"; 3], "{change}: {}", resumed.all());
        site.run("plan deploy --detailed-exitcode").await.exits(0);
    }
}

/// Those that cannot be seen count as down: where another one would have to go down, nothing is done.
#[tokio::test]
async fn who_cannot_be_seen_counts_as_down() {
    let stop_first = "strategy: rolling, max_unavailable: 1, on_failure: pause";
    let site = Site::new(&file("2.0", stop_first, FIXED));
    site.run("deploy").await.ok();
    site.write(&file("3.0", stop_first, FIXED));
    site.pacific.set_faults(Faults::unreachable());
    site.clear_writes();
    let ran = site.run("deploy --yes").await.within(AT_MOST);
    assert_ne!(ran.code, 0, "{}", ran.all());
    assert!(site.changes().iter().all(|change| !change.contains("stop")), "{:?}", site.changes());
    assert!(
        ran.all().contains("1 of the instances of web cannot be seen, and 1 may be down at a time"),
        "{}",
        ran.all()
    );
    site.pacific.recover().await;
    site.run("deploy --yes").await.ok();
    assert_eq!(images(&site), ["3.0"; 3]);
}

/// Nothing is stopped when no image can be had, and the way back asks no registry.
#[tokio::test]
async fn a_registry_that_is_down_stops_nothing() {
    let rolling = "strategy: rolling, max_unavailable: 1";
    let site = Site::new(&file("2.0", rolling, FIXED));
    site.run("deploy").await.ok();
    site.write(&file("3.0", rolling, FIXED));
    site.run("deploy --yes").await.ok();
    site.write(&file("4.0", rolling, FIXED));
    site.registries.forget("docker.io");
    site.clear_writes();
    let ran = site.run("deploy --yes").await.within(AT_MOST);
    assert_ne!(ran.code, 0, "{}", ran.all());
    assert!(site.changes().is_empty(), "{:?}", site.changes());
    site.run("rollback --yes").await.ok().within(AT_MOST);
    assert_eq!(images(&site), ["2.0"; 3]);
    assert!(site.changes().iter().all(|change| !change.contains("pull") && !change.contains("create")));
}

/// Nothing can be done as long as it is away, and that is no end.
#[tokio::test]
async fn what_is_unfinished_stays_so_while_all_of_it_is_away() {
    let alone = |tag: &str| {
        format!(
            "
  web:
    image: shop/web:{tag}
    deploy: {{strategy: rolling, max_unavailable: 1, on_failure: pause}}
    instances: {{web-1: {{ship: pacific, stop_timeout: 1}}}}
anchors: [atlantic]
"
        )
    };
    let site = Site::new(&alone("2.0"));
    site.run("deploy").await.ok();
    site.write(&alone("3.0"));
    site.pacific.set_faults(Faults::none().and(On::Writes, When::Nth(3), Fault::Dies));
    site.run("deploy --yes").await.exits(3).within(AT_MOST).says("the deployment is not finished");
    for line in ["resume --yes", "abort --yes"] {
        let ran = site.run(line).await.exits(3).within(AT_MOST);
        ran.says("the deployment is not finished").says("`maestro resume` goes on with it");
    }
    site.pacific.recover().await;
    site.run("resume --yes").await.ok().says("this is release 2");
    assert!(site.image("web-1").contains("web:3.0"));
}

/// One that does not come back leaves the file, and is in nobody's way then, although the way back names what was on it.
#[tokio::test]
async fn what_was_unfinished_is_ended_without_a_ship_that_has_left_the_file() {
    for (line, tag) in [
        ("resume --yes", "2.0"),
        ("abort --yes", "2.0"),
        ("deploy --yes", "3.0"),
        ("rollback --yes --to 1", "2.0"),
    ] {
        let site = lost_at(4, "strategy: rolling, max_unavailable: 0", RANGE).await;
        site.run("deploy --yes")
            .await
            .exits(3)
            .within(AT_MOST)
            .says("not everything is as in release 1 again");
        site.write_without("pacific");
        let ran = site.run(line).await.ok().within(AT_MOST);
        let [one, _, three] = images(&site);
        assert_eq!((one, three), (tag, tag), "{}", ran.all());
        assert_eq!((site.state("web-1"), site.state("web-3")), ("running", "running"), "{}", ran.all());
        site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
    }
}

/// Nor is one with which everything has gone that was to be deployed.
#[tokio::test]
async fn what_was_unfinished_on_a_ship_that_has_left_the_file_is_over() {
    for line in ["resume --yes", "abort --yes", "deploy --yes"] {
        let site = lost_at(4, "strategy: rolling, max_unavailable: 0, on_failure: pause", RANGE).await;
        site.run("deploy --yes web-2").await.exits(3).within(AT_MOST).says("the deployment is not finished");
        site.write_without("pacific");
        site.clear_writes();
        let ran = site.run(line).await.ok().within(AT_MOST);
        if !line.starts_with("deploy") {
            assert_eq!(site.changes(), Vec::<String>::new(), "{}", ran.all());
            site.run("releases --output name").await.ok().says("1\n").never_says("2");
        }
        site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
    }
}
