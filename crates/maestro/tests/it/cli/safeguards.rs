//! `budget:` and `freeze:`: what binds every command that acts.

use super::site::{SHOP, Site};
use maestro_testkit::faults::{Fault, Faults, On, Operation, When};
use std::fmt::Write as _;

/// The shop with something at the root of its file.
fn shop(root: &str) -> String {
    format!("{SHOP}{root}\n")
}

const FROZEN: &str =
    "freeze: [{from: 2020-01-01, to: 2099-12-31, timezone: Europe/Berlin, reason: stocktaking}]";

#[tokio::test]
async fn nothing_is_changed_while_that_is_frozen() {
    let site = Site::new(&shop(FROZEN));
    let mut text = String::new();
    for line in [
        "start",
        "deploy",
        "plan start",
        "pull --progress quiet",
        "status",
        "--despite-freeze hotfix start --progress quiet",
    ] {
        writeln!(text, "{}", site.redacted(&site.run(line).await)).unwrap();
    }
    insta::assert_snapshot!(text);
    site.clear_writes();
    for line in
        ["stop --all", "kill web-1", "restart", "restart --refresh-images --only-if-changed", "clean -i db"]
    {
        let ran = site.run(line).await;
        // What changes nothing is not refused.
        if line.starts_with("clean") {
            ran.ok();
        } else {
            ran.exits(1).says("nothing has been done: frozen until").says(": stocktaking");
        }
    }
    assert_eq!(site.writes(), []);
    site.run("deploy --yes").await.ok().says("unchanged");
    // A file without the key, and one whose windows are over, bind nobody.
    site.write(&shop("freeze: [{from: 2020-01-01, to: 2020-12-31}]"));
    site.run("restart web").await.ok();
}

/// Also ways back, and what was begun or saved when nothing was frozen.
#[tokio::test]
async fn what_was_begun_before_is_frozen_too() {
    let web = |tag: &str, root: &str| {
        let deploy =
            "    requires: [db]\n    deploy: {strategy: rolling, max_unavailable: 1, on_failure: pause}\n";
        let text = SHOP.replace("shop/web:2.0", &format!("shop/web:{tag}"));
        text.replace("    requires: [db]\n", deploy) + root + "\n"
    };
    let is_of = |site: &Site, tag: &str| {
        ["web-1", "web-2"].iter().all(|name| site.image(name).contains(&format!("web:{tag}")))
    };
    let refused = async |site: &Site, line: &str| {
        site.clear_writes();
        site.run(line)
            .await
            .exits(2)
            .says("nothing has been done: frozen until Friday 2100-01-01 00:00 Europe/Berlin: stocktaking")
            .says("`maestro --despite-freeze REASON …`");
        assert_eq!(site.writes(), [], "{line}");
    };
    let despite = async |site: &Site, line: &str| {
        let ran = site.run(&format!("--despite-freeze hotfix {line}")).await.ok();
        ran.says("frozen until Friday 2100-01-01").says("done all the same: hotfix")
    };
    let site = Site::new(&web("2.0", ""));
    site.run("deploy").await.ok();
    site.write(&web("3.0", ""));
    site.run("deploy --yes web").await.ok().says("this is release 2");
    site.write(&web("4.0", ""));
    site.run("plan --out next.plan deploy").await.ok();
    site.write(&web("4.0", FROZEN));
    refused(&site, "rollback --yes").await;
    refused(&site, "apply --yes next.plan").await;
    despite(&site, "apply --yes next.plan").await.says("this is release 3");
    assert!(is_of(&site, "4.0"));
    despite(&site, "rollback --yes").await.says("this is release 4, as 2 was");
    assert!(is_of(&site, "3.0"));

    for (line, tag) in [("resume --yes", "5.0"), ("abort --yes", "5.0")] {
        site.write(&web(if line.starts_with("abort") { "6.0" } else { tag }, ""));
        let no =
            Faults::none().and(On::Only(Operation::Start), When::Always, Fault::Refused(500, "no".into()));
        site.pacific.set_faults(no);
        site.run("deploy --yes -c 1 web").await.exits(3).says("not finished");
        site.pacific.recover().await;
        site.write(&web("7.0", FROZEN));
        refused(&site, line).await;
        despite(&site, line).await;
        assert!(is_of(&site, tag), "{line}");
    }
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
}

#[tokio::test]
async fn a_budget_binds_every_command() {
    let site = Site::new(&shop("budget: {max_unavailable: 1}"));
    site.run("start").await.ok();
    site.clear_writes();
    let mut text = String::new();
    for line in ["stop --all", "plan kill web"] {
        writeln!(text, "{}", site.redacted(&site.run(line).await)).unwrap();
    }
    insta::assert_snapshot!(text);
    assert_eq!(site.writes(), []);
    // One after the other it can be done.
    site.run("restart").await.ok().says("3 restarted");
    site.run("kill web-1").await.ok();
    site.run("kill web-2").await.exits(1).says("at least 2 of 3 instances would be down");
    site.run("restart db").await.exits(1).says("(1 are now)");
    site.run("start").await.ok();
    site.run("restart db").await.ok();
    // Whom nobody can see counts as down.
    site.atlantic.set_faults(maestro_testkit::faults::Faults::unreachable());
    site.run("kill web-2").await.exits(1).says("2 of them because nobody can see them");
    site.run("--despite-budget emergency kill web-2").await.ok().says("done all the same: emergency");
    assert_eq!(site.state("web-2"), "exited");
}
